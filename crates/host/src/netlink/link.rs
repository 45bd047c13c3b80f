//! A network device as the kernel describes it.

use std::net::IpAddr;

use ipnet::IpNet;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};

use crate::Mac;

/// What kind of device a link is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkKind {
    /// One end of a pair.
    Veth,
    /// A tun or tap device.
    Tun,
    /// A bridge.
    Bridge,
    /// A VXLAN device.
    Vxlan,
    /// Anything else, hardware and loopback included.
    Other,
}

/// How far the kernel is with an address (RFC 4862, section 5.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressState {
    /// Not yet known to be unique.
    Tentative,
    /// Another machine has it.
    Duplicate,
    /// For old connections alone.
    Deprecated,
    /// In use.
    Preferred,
}

/// A network device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Its name, unique in its namespace.
    pub name: String,
    /// Its number, unique in its namespace; a device that is made anew gets another.
    pub index: u32,
    /// Largest packet without the Ethernet header, in bytes.
    pub mtu: u32,
    /// How many packets may wait to be sent, for a tun to be read.
    pub queue: u32,
    /// What kind it is.
    pub kind: LinkKind,
    /// For a veth: whether the other end is in another network namespace.
    pub peer_elsewhere: bool,
    /// MAC address, for devices with one.
    pub mac: Option<Mac>,
    /// Whether it is set up.
    pub up: bool,
    /// Whether it has a carrier: a veth whose other end is up too, a tap that a process has open.
    pub carrier: bool,
    /// Number of the bridge that it is a port of.
    pub master: Option<u32>,
    /// Number of the device that it stands on (VLAN, macvlan), or of a veth's other end; it may be in another namespace.
    pub lower: Option<u32>,
    /// For a VLAN of another device: the number of that, and the VLAN.
    pub vlan: Option<(u32, u16)>,
    /// What somebody noted at it (`ip link set alias`).
    pub alias: Option<String>,
    /// Its addresses, in the kernel's order.
    pub addresses: Vec<IpNet>,
    /// How far the kernel is with each of them.
    pub states: Vec<AddressState>,
}

impl Link {
    /// The device that a message describes, without addresses; absent when the message names none.
    pub(crate) fn from_message(message: &LinkMessage) -> Option<Self> {
        let flags = message.header.flags;
        let mut link = Self {
            name: String::new(),
            index: message.header.index,
            mtu: 0,
            queue: 0,
            kind: LinkKind::Other,
            peer_elsewhere: false,
            mac: None,
            up: flags.contains(LinkFlags::Up),
            carrier: flags.contains(LinkFlags::LowerUp),
            master: None,
            lower: None,
            vlan: None,
            alias: None,
            addresses: Vec::new(),
            states: Vec::new(),
        };
        let mut vlan = None;
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::IfAlias(text) => link.alias = Some(text.clone()),
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::TxQueueLen(packets) => link.queue = *packets,
                LinkAttribute::Address(bytes) => link.mac = Mac::try_from(bytes.as_slice()).ok(),
                LinkAttribute::Controller(index) => link.master = Some(*index),
                LinkAttribute::LinkNetNsId(_) => link.peer_elsewhere = true,
                LinkAttribute::Link(index) => link.lower = Some(*index),
                LinkAttribute::LinkInfo(infos) => {
                    link.kind = kind_of(infos);
                    vlan = vlan_of(infos);
                }
                _ => {}
            }
        }
        link.vlan = link.lower.zip(vlan);
        (!link.name.is_empty()).then_some(link)
    }
}

/// The kind among the details.
fn kind_of(infos: &[LinkInfo]) -> LinkKind {
    let kind = infos.iter().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind),
        _ => None,
    });
    match kind {
        Some(InfoKind::Veth) => LinkKind::Veth,
        Some(InfoKind::Tun) => LinkKind::Tun,
        Some(InfoKind::Bridge) => LinkKind::Bridge,
        Some(InfoKind::Vxlan) => LinkKind::Vxlan,
        _ => LinkKind::Other,
    }
}

/// The VLAN among the details.
fn vlan_of(infos: &[LinkInfo]) -> Option<u16> {
    infos.iter().find_map(|info| match info {
        LinkInfo::Data(InfoData::Vlan(details)) => details.iter().find_map(|detail| match detail {
            InfoVlan::Id(id) => Some(*id),
            _ => None,
        }),
        _ => None,
    })
}

/// How far the kernel is with the address that a message is about.
pub(crate) fn state_of(message: &AddressMessage) -> AddressState {
    let flags = message.header.flags;
    match () {
        () if flags.contains(AddressHeaderFlags::Dadfailed) => AddressState::Duplicate,
        () if flags.contains(AddressHeaderFlags::Tentative) => AddressState::Tentative,
        () if flags.contains(AddressHeaderFlags::Deprecated) => AddressState::Deprecated,
        () => AddressState::Preferred,
    }
}

/// The device's index and the address that a message is about.
pub(crate) fn address_of(message: &AddressMessage) -> Option<(u32, IpNet)> {
    let find = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| message.attributes.iter().find_map(wanted);
    // On a point-to-point device ADDRESS is the other end's and LOCAL ours; IPv6 gives ADDRESS alone.
    let local = find(|attribute| if let AddressAttribute::Local(ip) = attribute { Some(*ip) } else { None });
    let address = find(|attribute| if let AddressAttribute::Address(ip) = attribute { Some(*ip) } else { None });
    let net = IpNet::new(local.or(address)?, message.header.prefix_len).ok()?;
    Some((message.header.index, net))
}
