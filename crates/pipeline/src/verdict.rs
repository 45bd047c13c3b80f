//! What is decided about a packet: plain data, carried out by [`crate::apply`].

use crate::DropReason;
use crate::encapsulation::{Encapsulation, Outer};
use crate::flow::{Flow, FlowKey, FragmentKey};
use crate::headers::EthernetWords;
use crate::headers::icmp::IcmpError;
use crate::headers::ip::Ip;
use crate::headers::transport::Clamp;
use crate::packet::Network;
use crate::stages::parse::Parsed;
use crate::stages::probe::Probe;
use crate::stages::security::{Desk, Quoted};
use crate::tables::{Address, MAX_PUNT, Peer};
use crate::track::State;

/// The changes that a frame may need on its way from one VM to the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Edit {
    /// The Ethernet header that the receiving VM sees.
    pub ethernet: EthernetWords,
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
    /// A maximum segment size to lower, if its offset is not 0.
    pub clamp: Clamp,
}

/// What the encapsulation needs to know.
#[derive(Clone, Copy)]
pub struct Tunnel<'t> {
    /// How to reach the other host.
    pub peer: &'t Peer,
    /// Its provider address.
    pub remote: &'t Address,
    /// How the frame travels.
    pub encapsulation: Encapsulation,
    /// VSID of the destination.
    pub vsid: u32,
    /// Hash of the inner flow.
    pub hash: u32,
    /// Traffic class of the outer header: the ECN bits of the inner one (RFC 6040, section 4.1).
    pub traffic_class: u8,
}

/// Addresses to write, for rule TranslationMethodNat; `None` where the frame's own stays.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Translation<'t> {
    /// There is something to translate.
    pub wanted: bool,
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
    /// How many of the subnet's `REPLICAS`, from index 0, get a copy.
    pub to: u32,
    /// Interface index of the port the frame came from, which gets no copy; 0 if it came from another host.
    pub except: u32,
    /// How copies travel to other hosts.
    pub encapsulation: Encapsulation,
    /// Hash of the flow.
    pub hash: u32,
    /// Traffic class of the outer headers.
    pub traffic_class: u8,
    /// Length of the frame's network packet in bytes.
    pub length: u32,
    /// Outer headers to take off before.
    pub strip: Option<Strip>,
    /// What becomes of the frame itself.
    pub then: Then,
}

/// What becomes of a frame after its copies have been made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// Nothing: the copies are all.
    End,
    /// It goes to this host's own stack, and out of the uplink of its physical network.
    Wire,
    /// It goes on where it was going, as it came.
    Stack,
}

/// Headers to take off a frame: outer ones of a frame that came from another host, or [`Strip::TAG`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strip(u32);

impl Strip {
    /// An 802.1Q tag, in the frame or beside it.
    pub const TAG: Self = Self(4);
    /// Set beside the length if the headers are those of UDP.
    const UDP: u32 = 1 << 8;

    /// Outer headers: this many bytes, behind the first 14.
    #[inline(always)]
    pub const fn outer(room: u8, udp: bool) -> Self {
        Self(room as u32 | if udp { Self::UDP } else { 0 })
    }

    /// How many bytes.
    #[inline(always)]
    pub const fn room(self) -> usize {
        (self.0 & 0xff) as usize
    }

    /// Whether a UDP header is among them.
    #[inline(always)]
    pub const fn is_udp(self) -> bool {
        self.0 & Self::UDP != 0
    }
}

/// What happens to a packet: the meaning of a [`Verdict`].
#[derive(Clone, Copy)]
pub enum Action<'t> {
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
        translation: Translation<'t>,
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
        /// Addresses to translate.
        translation: Translation<'t>,
    },
    /// From another host to a third one, as it came but for the outer addresses: its receiver has gone there.
    Onward {
        /// How to reach it.
        peer: &'t Peer,
        /// Its provider address.
        remote: &'t Address,
    },
    /// Out of the uplink of a physical network.
    Wire {
        /// Number of the network ([`crate::segment`]).
        network: u32,
    },
    /// From a port of a physical network to this host's own stack, as if it had come in by the uplink.
    Host {
        /// Number of the network.
        network: u32,
    },
    /// Back to the port it came from.
    Answer(Answer<'t>),
    /// To many.
    Flood(Flood),
    /// To the host's agent, which answers the port by itself: DHCP, DHCPv6, router solicitations.
    Punt {
        /// VSID of the port.
        vsid: u32,
    },
    /// An encapsulated frame that this host put back to its uplink: out to where its outer header says.
    Relay {
        /// How to reach the other host.
        peer: &'t Peer,
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

/// A frame on its way to the host's agent.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Punted {
    /// Interface index of the port's device.
    pub ifindex: u32,
    /// VSID of the port.
    pub vsid: u32,
    /// Slot of the port's counters.
    pub slot: u32,
    /// How many bytes of `frame` are the frame.
    pub length: u32,
    /// The frame as the VM sent it, and room to a multiple of eight.
    pub frame: [u8; 1520],
}

const _: () = assert!(size_of::<Punted>() == 1536 && MAX_PUNT <= 1520);

/// What one frame's journey has found out so far: what its headers say, and what is to change.
///
/// The caller lends it, since in the kernel it does not fit on the stack of 512 bytes and lies in a map. Nothing in it
/// outlives the frame.
#[derive(Clone, Copy, Default)]
pub struct Work {
    /// The outer IP header of a frame from the uplink.
    pub outer_ip: Ip,
    /// What the encapsulation of a frame from the uplink says.
    pub outer: Outer,
    /// The headers; of the inner frame if it is encapsulated.
    pub parsed: Parsed,
    /// VSID of the record that the packet goes to.
    pub vsid: u32,
    /// Why no record was found.
    pub missing: DropReason,
    /// The changes.
    pub edit: Edit,
    /// What of the packet matters for its flow.
    pub probe: Probe,
    /// The flow at the port that the packet came from, or, from the uplink, at the port that it is for.
    pub own: Draft,
    /// The flow at the port of this host that a packet of another port is for.
    pub far: Draft,
    /// Which fragmented packet.
    pub fragment: FragmentKey,
    /// Between whom the packet went that an ICMP error quotes.
    pub quoted: Quoted,
    /// What of it matters for its flow.
    pub quoted_probe: Probe,
    /// Its flow.
    pub quoted_key: FlowKey,
    /// What is asked of security groups.
    pub desk: Desk,
}

/// A flow before it is remembered.
#[derive(Clone, Copy, Default)]
pub struct Draft {
    /// Which.
    pub key: FlowKey,
    /// What it will be.
    pub flow: Flow,
    /// What is to be done with it.
    pub fate: Fate,
    /// Whether security groups filter what goes to and from the port.
    pub filtered: bool,
    /// Length of the packet's frame in bytes.
    pub len: u32,
    /// Slot of the port that had the flow before.
    pub before_slot: u32,
    /// What was known of it then.
    pub before: State,
}

/// What is to be done with a flow after a packet has been decided about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u32)]
pub enum Fate {
    /// Nothing: the packet has no flow, or there is no room for another one.
    #[default]
    None,
    /// It was there, and is written anew.
    Renew,
    /// It was not there.
    Create,
    /// Another one of the same name had ended.
    Replace,
}

/// What is decided about a packet, in a shape that the kernel programs can keep on their stack: read it with
/// [`Verdict::action`].
///
/// An enum leaves the bytes that a variant does not use undefined, and the compiler fills them with whatever register is
/// at hand, half a pointer for example, which the kernel's verifier refuses to see stored. Here every field is always
/// defined: the caller lends a [`Verdict::default`], and who decides writes into it.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Verdict<'t> {
    kind: u32,
    /// Slot of the counters of the port that the packet came from; 0 for the uplink.
    pub slot: u32,
    numbers: [u32; 8],
    peer: Option<&'t Peer>,
    first: Option<&'t Address>,
    second: Option<&'t Address>,
}

const PASS: u32 = 0;
const DROP: u32 = 1;
const DELIVER: u32 = 2;
const ENCAPSULATE: u32 = 3;
const PLAIN: u32 = 4;
const ARP: u32 = 5;
const NEIGHBOR: u32 = 6;
const ECHO: u32 = 7;
const TIME_EXCEEDED: u32 = 8;
const TOO_BIG: u32 = 9;
const FLOOD: u32 = 10;
const RELAY: u32 = 11;
const PUNT: u32 = 12;
const WIRE: u32 = 13;
const HOST: u32 = 14;
const ONWARD: u32 = 15;

#[inline(always)]
const fn from_mac(mac: [u8; 6]) -> [u32; 2] {
    let [a, b, c, d, e, f] = mac;
    [u32::from_ne_bytes([a, b, c, d]), u16::from_ne_bytes([e, f]) as u32]
}

#[inline(always)]
const fn to_mac(words: [u32; 2]) -> [u8; 6] {
    let [high, low] = words;
    let ([a, b, c, d], [e, f]) = (high.to_ne_bytes(), (low as u16).to_ne_bytes());
    [a, b, c, d, e, f]
}

#[inline(always)]
const fn from_strip(strip: Option<Strip>) -> u32 {
    match strip {
        Some(Strip(bits)) => bits,
        None => 0,
    }
}

#[inline(always)]
const fn to_strip(bits: u32) -> Option<Strip> {
    if bits == 0 { None } else { Some(Strip(bits)) }
}

#[inline(always)]
const fn from_then(then: Then) -> u32 {
    match then {
        Then::End => 0,
        Then::Wire => 1,
        Then::Stack => 2,
    }
}

#[inline(always)]
const fn to_then(number: u32) -> Then {
    match number {
        1 => Then::Wire,
        2 => Then::Stack,
        _ => Then::End,
    }
}

impl<'t> Verdict<'t> {
    /// Decides. Writes no more than the action needs: what is not written keeps its default.
    #[inline(always)]
    pub fn set(&mut self, action: Action<'t>) {
        match action {
            Action::Pass => self.kind = PASS,
            Action::Drop(reason) => self.put(DROP, [reason as u32]),
            Action::Deliver { ifindex, slot, peer, strip, translation } => {
                self.put(DELIVER, [ifindex, slot, peer as u32, from_strip(strip)]);
                self.translate(translation);
            }
            Action::Encapsulate { tunnel } => {
                let (traffic_class, encapsulation) = (tunnel.traffic_class as u32, tunnel.encapsulation as u32);
                self.put(ENCAPSULATE, [tunnel.vsid, tunnel.hash, traffic_class, encapsulation]);
                self.peer = Some(tunnel.peer);
                self.first = Some(tunnel.remote);
            }
            Action::Plain { peer, translation } => {
                self.kind = PLAIN;
                self.peer = Some(peer);
                self.translate(translation);
            }
            Action::Onward { peer, remote } => {
                self.kind = ONWARD;
                self.peer = Some(peer);
                self.first = Some(remote);
            }
            Action::Answer(Answer::Arp(mac)) => self.put(ARP, from_mac(mac)),
            Action::Answer(Answer::Neighbor { mac, router }) => {
                let [high, low] = from_mac(mac);
                self.put(NEIGHBOR, [high, low, router as u32]);
            }
            Action::Answer(Answer::Echo) => self.kind = ECHO,
            Action::Answer(Answer::Error { error, gateway, length }) => {
                match error {
                    IcmpError::TimeExceeded => self.put(TIME_EXCEEDED, [length]),
                    IcmpError::TooBig(mtu) => self.put(TOO_BIG, [length, mtu]),
                }
                self.first = Some(gateway);
            }
            Action::Flood(Flood { vsid, to, except, encapsulation, hash, traffic_class, length, strip, then }) => {
                let (travels, strip) = ((encapsulation as u32) << 8 | traffic_class as u32, from_strip(strip));
                self.put(FLOOD, [vsid, to, except, hash, travels, length, strip, from_then(then)]);
            }
            Action::Wire { network } => self.put(WIRE, [network]),
            Action::Host { network } => self.put(HOST, [network]),
            Action::Punt { vsid } => self.put(PUNT, [vsid]),
            Action::Relay { peer } => {
                self.kind = RELAY;
                self.peer = Some(peer);
            }
        }
    }

    /// Decides on a drop.
    #[inline(always)]
    pub fn drop(&mut self, reason: DropReason) {
        self.set(Action::Drop(reason));
    }

    #[inline(always)]
    fn put<const N: usize>(&mut self, kind: u32, numbers: [u32; N]) {
        self.kind = kind;
        if let Some(first) = self.numbers.get_mut(..N) {
            first.copy_from_slice(&numbers);
        }
    }

    #[inline(always)]
    fn translate(&mut self, translation: Translation<'t>) {
        if translation.wanted {
            let [_, _, _, _, wanted, ..] = &mut self.numbers;
            *wanted = 1;
            self.first = translation.source;
            self.second = translation.destination;
        }
    }

    /// What happens to the packet.
    #[inline(always)]
    pub fn action(&self) -> Action<'t> {
        let [a, b, c, d, e, f, g, h] = self.numbers;
        match (self.kind, self.peer, self.first) {
            (PASS, ..) => Action::Pass,
            (DELIVER, ..) => Action::Deliver {
                ifindex: a,
                slot: b,
                peer: c != 0,
                strip: to_strip(d),
                translation: self.translation(),
            },
            (ENCAPSULATE, Some(peer), Some(remote)) => {
                let encapsulation = Encapsulation::from_number(d);
                Action::Encapsulate {
                    tunnel: Tunnel { peer, remote, encapsulation, vsid: a, hash: b, traffic_class: c as u8 },
                }
            }
            (PLAIN, Some(peer), _) => Action::Plain { peer, translation: self.translation() },
            (ONWARD, Some(peer), Some(remote)) => Action::Onward { peer, remote },
            (ARP, ..) => Action::Answer(Answer::Arp(to_mac([a, b]))),
            (NEIGHBOR, ..) => Action::Answer(Answer::Neighbor { mac: to_mac([a, b]), router: c != 0 }),
            (ECHO, ..) => Action::Answer(Answer::Echo),
            (TIME_EXCEEDED, _, Some(gateway)) => {
                Action::Answer(Answer::Error { error: IcmpError::TimeExceeded, gateway, length: a })
            }
            (TOO_BIG, _, Some(gateway)) => {
                Action::Answer(Answer::Error { error: IcmpError::TooBig(b), gateway, length: a })
            }
            (FLOOD, ..) => Action::Flood(Flood {
                vsid: a,
                to: b,
                except: c,
                encapsulation: Encapsulation::from_number(e >> 8),
                hash: d,
                traffic_class: e as u8,
                length: f,
                strip: to_strip(g),
                then: to_then(h),
            }),
            (WIRE, ..) => Action::Wire { network: a },
            (HOST, ..) => Action::Host { network: a },
            (PUNT, ..) => Action::Punt { vsid: a },
            (RELAY, Some(peer), _) => Action::Relay { peer },
            _ => Action::Drop(DropReason::from_number(a)),
        }
    }

    /// Interface index of the device that the frame is delivered to.
    #[inline(always)]
    pub const fn delivered(&self) -> Option<u32> {
        let [ifindex, ..] = self.numbers;
        if self.kind == DELIVER { Some(ifindex) } else { None }
    }

    /// Whether the frame goes on to somebody.
    #[inline(always)]
    pub const fn travels(&self) -> bool {
        matches!(self.kind, DELIVER | ENCAPSULATE | PLAIN | FLOOD | WIRE | HOST)
    }

    /// Whether the host's stack goes on with the packet.
    #[inline(always)]
    pub const fn is_pass(&self) -> bool {
        self.kind == PASS
    }

    /// Whether the packet becomes an [`Answer`].
    #[inline(always)]
    pub const fn is_answer(&self) -> bool {
        self.kind >= ARP && self.kind <= TOO_BIG
    }

    /// Whether the packet is copied to many.
    #[inline(always)]
    pub const fn is_flood(&self) -> bool {
        self.kind == FLOOD
    }

    /// Whether the packet is handed to the host's agent.
    #[inline(always)]
    pub const fn is_punt(&self) -> bool {
        self.kind == PUNT
    }

    /// The number of the reason, if the packet is dropped.
    #[inline(always)]
    pub const fn dropped(&self) -> Option<u32> {
        let [reason, ..] = self.numbers;
        if self.kind == DROP { Some(reason) } else { None }
    }

    #[inline(always)]
    const fn translation(&self) -> Translation<'t> {
        let [_, _, _, _, wanted, ..] = self.numbers;
        Translation { wanted: wanted != 0, source: self.first, destination: self.second }
    }

    /// A small number for each kind of verdict, by which the kernel reports it to tests.
    #[inline(always)]
    pub const fn code(&self) -> u32 {
        self.kind
    }
}
