//! What the compiler is told beside the intent: what the host observed, and how it is set up.

use std::collections::BTreeMap;

use ipnet::IpNet;
use model::{MacAddress, Name};

/// What the host observed of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// Its network interfaces by name.
    pub links: BTreeMap<Name, Link>,
    /// The counter slots in force, by the interface index of the port's device. Ports keep theirs, so that counters
    /// go on counting for whom they counted.
    pub slots: BTreeMap<u32, u32>,
}

/// A network interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Its index.
    pub ifindex: u32,
    /// The largest network packet that it takes, in bytes.
    pub mtu: u32,
    /// Whether it can carry anything: it is set up, and has a carrier.
    pub up: bool,
    /// What it is.
    pub kind: LinkKind,
    /// Its MAC address, if it has one that can be.
    pub mac: Option<MacAddress>,
    /// Its addresses, each with the length of its prefix.
    pub addresses: Vec<IpNet>,
}

/// What an interface is, as far as it matters for delivering to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkKind {
    /// One end of a pair of virtual Ethernet devices.
    Veth {
        /// Whether the other end is in another network namespace, where a packet can be put directly.
        peer_in_other_namespace: bool,
    },
    /// A device whose other end is a process, such as QEMU.
    Tap,
    /// Anything else, such as a physical interface.
    Other,
}

/// How the host is set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// MAC address of every subnet's gateway; the same on all hosts.
    pub gateway_mac: MacAddress,
    /// Broadcast and multicast frames that a port may send in one second; 0 forbids them.
    pub flood_rate: u32,
    /// Broadcast and multicast frames that a port may send at once after a silence.
    pub flood_burst: u32,
    /// DHCP messages and router solicitations of a port that the agent takes in one second; 0 forbids them.
    pub punt_rate: u32,
    /// DHCP messages and router solicitations of a port that the agent takes at once after a silence.
    pub punt_burst: u32,
    /// Flows that the VM of a port may have opened at a time. Others may have opened four times as many towards it.
    pub flow_limit: u32,
    /// How many of them nobody has answered yet, likewise.
    pub half_open_limit: u32,
}

impl Settings {
    /// The gateway's MAC address where none is chosen: locally administered, and "NV" in its second and third byte.
    pub const GATEWAY_MAC: [u8; 6] = [0x02, 0x4e, 0x56, 0x00, 0x00, 0x01];
    /// Broadcast and multicast frames a second where nothing is chosen: what ARP and ND of a busy VM stay well below.
    pub const FLOOD_RATE: u32 = 1000;
    /// Broadcast and multicast frames at once where nothing is chosen.
    pub const FLOOD_BURST: u32 = 200;
    /// DHCP messages and router solicitations a second where nothing is chosen: a client that starts sends five or six
    /// in its first second, and one that runs two in half a lease time.
    pub const PUNT_RATE: u32 = 10;
    /// DHCP messages and router solicitations at once where nothing is chosen.
    pub const PUNT_BURST: u32 = 20;
    /// Flows of a port where nothing is chosen: what busy proxies have. With those that others open
    /// towards them ([`pipeline::flow::INGRESS_SHARE`]), four ports at both limits fill the table of a host.
    pub const FLOW_LIMIT: u32 = 65_536;
    /// Half-open flows where nothing is chosen: over 250 new ones a second that nobody answers.
    pub const HALF_OPEN_LIMIT: u32 = 16_384;
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            gateway_mac: MacAddress::new(Self::GATEWAY_MAC).expect("the constant is a unicast address"),
            flood_rate: Self::FLOOD_RATE,
            flood_burst: Self::FLOOD_BURST,
            punt_rate: Self::PUNT_RATE,
            punt_burst: Self::PUNT_BURST,
            flow_limit: Self::FLOW_LIMIT,
            half_open_limit: Self::HALF_OPEN_LIMIT,
        }
    }
}
