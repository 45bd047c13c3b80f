//! What a namespace's kernel remembers of connections that pass through it (conntrack): listed, heard of, written down.
//!
//! A gateway's state is handed to the gateway that stands ready in its place: entries are read in one namespace and put in
//! another one, on another host, where they say the same. What is only true on the one host (numbers, counters, times) is
//! not part of an [`Entry`].

mod message;
mod watch;

use std::collections::BTreeSet;
use std::net::IpAddr;

use netlink_packet_netfilter::NetfilterMessage;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use serde::{Deserialize, Serialize};

use crate::netlink::RequestSocket;
use crate::{Error, Namespace};

pub use watch::{ConntrackEvent, ConntrackWatch};

/// One direction of a connection: what its packets carry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Tuple {
    /// Where they come from.
    #[serde(rename = "s")]
    pub source: IpAddr,
    /// Where they go to.
    #[serde(rename = "d")]
    pub destination: IpAddr,
    /// The protocol above IP (IANA's number).
    #[serde(rename = "p")]
    pub protocol: u8,
    /// What tells connections between the same two apart.
    #[serde(rename = "l", default)]
    pub layer4: Layer4,
}

/// What tells connections between the same two apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Layer4 {
    /// Nothing, or nothing that netvirt knows of.
    #[default]
    None,
    /// TCP, UDP, SCTP and the like, and GRE's keys: from and to.
    Ports(u16, u16),
    /// ICMP of IPv4 or IPv6: identifier, type, code.
    Icmp(u16, u8, u8),
}

/// What is known of a TCP connection. Windows are not: the kernel takes them up from the next packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TcpState {
    /// A number of enum tcp_conntrack in include/uapi/linux/netfilter/nf_conntrack_tcp.h; 3 is established.
    pub state: u8,
    /// Flags (IP_CT_TCP_FLAG_*) of the side that opened it, and of the other one.
    pub flags: (u8, u8),
    /// How far the windows of both are scaled.
    pub scales: (u8, u8),
}

/// A connection that passes through the namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// As the side that opened it sends.
    #[serde(rename = "o")]
    pub original: Tuple,
    /// As the other side answers: not just the reverse, where addresses are translated.
    #[serde(rename = "r")]
    pub reply: Tuple,
    /// Bits IPS_* of include/uapi/linux/netfilter/nf_conntrack_common.h.
    #[serde(rename = "st")]
    pub status: u32,
    /// Seconds for which it is remembered without a packet.
    #[serde(rename = "t")]
    pub timeout: u32,
    /// What rules have marked it with.
    #[serde(rename = "m", default, skip_serializing_if = "is_zero")]
    pub mark: u32,
    /// Its zone (NF_CT_ZONE); 0 is the ordinary one.
    #[serde(rename = "z", default, skip_serializing_if = "is_no_zone")]
    pub zone: u16,
    /// Of TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpState>,
}

/// For serde, which hands references.
fn is_zero(mark: &u32) -> bool {
    *mark == 0
}

/// For serde, which hands references.
fn is_no_zone(zone: &u16) -> bool {
    *zone == 0
}

impl Entry {
    /// Whether it passes through, and neither begins nor ends in the namespace whose own addresses these are.
    pub fn is_forwarded(&self, own: &BTreeSet<IpAddr>) -> bool {
        // Where the opener sends from, and who really answers, are not translated.
        let foreign = |address: &IpAddr| {
            !(own.contains(address) || address.is_loopback() || address.is_multicast() || is_link_local(address))
        };
        foreign(&self.original.source) && foreign(&self.reply.source) && !self.original.destination.is_multicast()
    }

    /// Whether both sides have spoken, so that it is not among the first to be forgotten when there are too many (IPS_ASSURED).
    pub const fn is_assured(&self) -> bool {
        self.status & (1 << 2) != 0
    }

    /// Whether both say the same of the connection, times aside.
    pub fn same_but_time(&self, other: &Self) -> bool {
        Self { timeout: 0, ..*self } == Self { timeout: 0, ..*other }
    }
}

/// Addresses that mean something on one link alone.
fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// The connections of one namespace.
#[derive(Debug)]
pub struct Conntrack {
    namespace: Namespace,
    requests: RequestSocket<NetfilterMessage>,
}

impl Conntrack {
    /// Those of a namespace.
    ///
    /// # Errors
    /// When the namespace cannot be entered or sockets are refused.
    pub fn in_namespace(namespace: &Namespace) -> Result<Self, Error> {
        let opened = namespace.run(|| RequestSocket::of_protocol(NETLINK_NETFILTER))?;
        let requests = opened.map_err(|source| Error::Netlink {
            action: "open a socket for connection tracking".to_owned(),
            message: None,
            source,
        })?;
        Ok(Self { namespace: namespace.clone(), requests })
    }

    /// Gives each connection to `take`, as the kernel tells it. One that comes or goes meanwhile may be told or not.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn each(&self, mut take: impl FnMut(Entry)) -> Result<(), Error> {
        self.requests.dump_once("list the connections", message::list(), &mut |answer| {
            if let Some(entry) = message::entry_of(&answer) {
                take(entry);
            }
        })?;
        Ok(())
    }

    /// All connections.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn list(&self) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        self.each(|entry| entries.push(entry))?;
        Ok(entries)
    }

    /// The connection whose opener sends so.
    ///
    /// # Errors
    /// When the kernel refuses for another reason than that there is none.
    pub fn get(&self, original: &Tuple, zone: u16) -> Result<Option<Entry>, Error> {
        match self.requests.get("look up a connection", message::get(original, zone)) {
            Ok(answers) => Ok(answers.iter().find_map(message::entry_of)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a connection down as it is said: translated as it is, also where another one stood in its place.
    ///
    /// # Errors
    /// When the kernel refuses: without CAP_NET_ADMIN, or with ENOMEM where `nf_conntrack_max` is reached.
    pub fn put(&self, entry: &Entry) -> Result<(), Error> {
        match self.create(entry) {
            Err(error) if error.is_exists() => {}
            other => return other,
        }
        let there = self.get(&entry.original, entry.zone)?;
        if there.is_some_and(|there| there.reply == entry.reply) && self.update(entry).is_ok() {
            return Ok(());
        }
        self.remove(entry)?;
        self.create(entry)
    }

    /// Writes a connection down as it is said if there is none in its place; whether it did.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn add(&self, entry: &Entry) -> Result<bool, Error> {
        match self.create(entry) {
            Err(error) if error.is_exists() => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Forgets a connection, and any other one that answers in its name. One that is not there is none to be forgotten.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(&self, entry: &Entry) -> Result<(), Error> {
        for message in [message::remove(&entry.original, entry.zone), message::remove_reply(&entry.reply, entry.zone)] {
            match self.requests.change("forget a connection", message, 0) {
                Err(error) if !error.is_absent() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// How many connections there are now.
    ///
    /// # Errors
    /// When the kernel tracks none at all.
    pub fn count(&self) -> Result<u64, Error> {
        let text = self.namespace.sysctl("netfilter/nf_conntrack_count")?;
        text.parse().map_err(|_| Error::Unexpected {
            path: "/proc/sys/net/netfilter/nf_conntrack_count".into(),
            text: text.clone(),
        })
    }

    /// A new one.
    fn create(&self, entry: &Entry) -> Result<(), Error> {
        self.requests.change("write down a connection", message::create(entry), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// One that is there and is translated as this one is.
    fn update(&self, entry: &Entry) -> Result<(), Error> {
        self.requests.change("write down what became of a connection", message::update(entry), 0)
    }
}
