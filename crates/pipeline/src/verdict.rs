//! What is decided about a packet: plain data, carried out by [`crate::apply`].

use crate::DropReason;
use crate::headers::icmp::IcmpError;
use crate::headers::transport::Clamp;
use crate::packet::Network;
use crate::stages::parse::Parsed;
use crate::tables::{Address, Peer};

/// The changes that a frame may need on its way from one VM to the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Edit {
    /// The Ethernet header that the receiving VM sees.
    pub ethernet: [u8; 14],
    /// That header differs from the frame's.
    pub rewrite_ethernet: bool,
    /// A router was passed: the time to live goes down by one.
    pub routed: bool,
    /// The underlay marked congestion, which the inner header takes over (RFC 6040).
    pub congestion: bool,
    /// Protocol of the frame's payload.
    pub network: Network,
    /// Offset of the payload in the frame as it came.
    pub at: u16,
    /// A maximum segment size to lower.
    pub clamp: Option<Clamp>,
}

/// What the encapsulation needs to know.
#[derive(Clone, Copy)]
pub struct Tunnel<'t> {
    /// How to reach the other host.
    pub peer: &'t Peer,
    /// Its provider address.
    pub remote: &'t Address,
    /// VSID of the destination.
    pub vsid: u32,
    /// Hash of the inner flow.
    pub hash: u32,
    /// Traffic class of the outer header: the ECN bits of the inner one (RFC 6040, section 4.1).
    pub traffic_class: u8,
}

/// Addresses to write, for rule TranslationMethodNat; `None` where the frame's own stays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Translation<'t> {
    /// New source.
    pub source: Option<&'t Address>,
    /// New destination.
    pub destination: Option<&'t Address>,
}

/// What a port gets back at once, without its packet going anywhere.
#[derive(Clone, Copy)]
pub enum Answer<'t> {
    /// An ARP reply: this MAC address has the target.
    Arp([u8; 6]),
    /// A neighbor advertisement: this MAC address has the target; `router` if it is the gateway.
    Neighbor {
        /// Who has the target's address.
        mac: [u8; 6],
        /// The target is the gateway.
        router: bool,
    },
    /// An echo reply.
    Echo,
    /// An ICMP error.
    Error {
        /// What to say.
        error: IcmpError,
        /// Who says it: the subnet's gateway.
        gateway: &'t Address,
        /// Length of the offending packet in bytes.
        length: u32,
    },
}

/// Copies of a frame for all ports of a subnet, here and on other hosts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flood {
    /// VSID.
    pub vsid: u32,
    /// Indices of `REPLICAS` to serve.
    pub from: u32,
    /// End of the indices.
    pub to: u32,
    /// Interface index of the port the frame came from, which gets no copy; 0 if it came from another host.
    pub except: u32,
    /// Hash of the flow.
    pub hash: u32,
    /// Traffic class of the outer headers.
    pub traffic_class: u8,
    /// Length of the frame's network packet in bytes.
    pub length: u32,
    /// Outer headers to take off before.
    pub strip: Option<Strip>,
}

/// Headers to take off a frame that came from another host: this many bytes, behind the first 14.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strip(pub usize);

/// What happens to a packet.
#[derive(Clone, Copy)]
pub enum Verdict<'t> {
    /// Not ours: the host's stack goes on with it, untouched.
    Pass,
    /// It ends here.
    Drop(DropReason),
    /// To a port of this host.
    Deliver {
        /// Interface index of its device.
        ifindex: u32,
        /// Slot of its counters.
        slot: u32,
        /// The device is a veth whose other end is in another namespace.
        peer: bool,
        /// Outer headers to take off before.
        strip: Option<Strip>,
        /// Addresses to translate.
        translation: Option<Translation<'t>>,
    },
    /// To another host, encapsulated.
    Encapsulate {
        /// Where to, and how.
        tunnel: Tunnel<'t>,
    },
    /// To another host, not encapsulated.
    Plain {
        /// How to reach it.
        peer: &'t Peer,
        /// Its provider address.
        remote: &'t Address,
        /// Addresses to translate.
        translation: Translation<'t>,
    },
    /// Back to the port it came from.
    Answer(Answer<'t>),
    /// To many.
    Flood(Flood),
    /// An encapsulated frame that this host put back to its uplink: out to where its outer header says.
    Relay {
        /// How to reach the other host.
        peer: &'t Peer,
        /// Its provider address.
        remote: Address,
    },
}

/// An address that a VM uses and no record knows; the agent makes a record of type Dynamic of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Learn {
    /// Interface index of the port, or of the uplink.
    pub ifindex: u32,
    /// VSID.
    pub vsid: u32,
    /// Customer address.
    pub address: Address,
    /// MAC address.
    pub mac: [u8; 6],
    /// Zero.
    pub reserved: u16,
}

/// What one frame's journey has found out so far: what its headers say, and what is to change.
///
/// The caller lends it, since in the kernel it does not fit on the stack of 512 bytes and lies in a map. Nothing in it
/// outlives the frame.
#[derive(Clone, Copy, Default)]
pub struct Work {
    /// The headers; of the inner frame if it is encapsulated.
    pub parsed: Parsed,
    /// The changes.
    pub edit: Edit,
}

/// A verdict, and what goes with it.
#[derive(Clone, Copy)]
pub struct Decision<'t> {
    /// What happens to the packet.
    pub verdict: Verdict<'t>,
    /// Slot of the counters of the port that the packet came from; 0 for the uplink.
    pub slot: u32,
}

/// Numbers of the verdicts, by which the kernel reports them to tests.
impl Verdict<'_> {
    /// A small number for each kind of verdict.
    #[inline(always)]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Pass => 0,
            Self::Drop(_) => 1,
            Self::Deliver { .. } => 2,
            Self::Encapsulate { .. } => 3,
            Self::Plain { .. } => 4,
            Self::Answer(_) => 5,
            Self::Flood(_) => 6,
            Self::Relay { .. } => 7,
        }
    }
}
