//! Devices and addresses of one network namespace.

mod link;
mod neighbours;
mod routes;
mod socket;
mod stacked;
mod tables;
mod tunnels;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

use ipnet::IpNet;
use nix::sys::socket::{AddressFamily as SocketFamily, SockFlag, SockType, socket as open_socket};
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkMessage};
use rtnetlink::{AddressMessageBuilder, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVxlan};

pub use link::{AddressState, Link, LinkKind};
pub(crate) use link::{address_of, state_of};
pub use neighbours::Reachability;
pub use routes::Route;
pub(crate) use socket::{RequestSocket, split};
pub use tables::{Asked, PolicyRule, TableRoute};

use crate::{Error, Mac, Namespace};

/// One end of a veth pair that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct VethEnd<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its MAC address; by default the kernel draws one.
    pub mac: Option<Mac>,
    /// Its MTU in bytes; by default the kernel's 1500.
    pub mtu: Option<u32>,
}

impl<'a> VethEnd<'a> {
    /// An end with the kernel's defaults.
    pub const fn named(name: &'a str) -> Self {
        Self { name, mac: None, mtu: None }
    }
}

/// A VXLAN device that is to be made. It learns nothing: its forwarding database is filled by
/// [`Netlink::add_fdb_entry`].
#[derive(Clone, Copy, Debug)]
pub struct Vxlan<'a> {
    /// Its name.
    pub name: &'a str,
    /// The network identifier, 24 bits.
    pub vni: u32,
    /// The address that its packets come from.
    pub local: IpAddr,
    /// The underlay's device.
    pub device: &'a str,
    /// UDP port; RFC 7348 says 4789.
    pub port: u16,
}

/// Requests to the kernel about one network namespace, wherever they are made from. Threads may share it.
#[derive(Debug)]
pub struct Netlink {
    namespace: Namespace,
    requests: RequestSocket,
    pub(crate) ioctls: OwnedFd,
}

impl Netlink {
    /// For the namespace of the calling thread.
    ///
    /// # Errors
    /// When /proc is not mounted or sockets are refused.
    pub fn current() -> Result<Self, Error> {
        Self::in_namespace(&Namespace::current()?)
    }

    /// For a namespace.
    ///
    /// # Errors
    /// When the namespace cannot be entered or sockets are refused.
    pub fn in_namespace(namespace: &Namespace) -> Result<Self, Error> {
        let opened = namespace.run(|| {
            let requests = RequestSocket::open()?;
            let ioctls = open_socket(SocketFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
            Ok((requests, ioctls))
        })?;
        let (requests, ioctls) = opened.map_err(|source| Error::Netlink {
            action: "open a netlink socket".to_owned(),
            message: None,
            source,
        })?;
        Ok(Self { namespace: namespace.clone(), requests, ioctls })
    }

    /// The namespace that it is for.
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// All devices with their addresses.
    ///
    /// # Errors
    /// When the kernel refuses or the list cannot be had in one piece.
    pub fn links(&self) -> Result<Vec<Link>, Error> {
        let asked = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let mut links: Vec<_> = self
            .requests
            .dump("list the devices", asked)?
            .iter()
            .filter_map(|answer| match answer {
                RouteNetlinkMessage::NewLink(message) => Link::from_message(message),
                _ => None,
            })
            .collect();
        let asked = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        for answer in self.requests.dump("list the addresses", asked)? {
            let RouteNetlinkMessage::NewAddress(message) = answer else {
                continue;
            };
            let Some((index, address)) = address_of(&message) else {
                continue;
            };
            if let Some(link) = links.iter_mut().find(|link| link.index == index) {
                link.addresses.push(address);
                link.states.push(state_of(&message));
            }
        }
        Ok(links)
    }

    /// One device with its addresses.
    ///
    /// # Errors
    /// [`Error::NoDevice`] when there is none of this name.
    pub fn link(&self, name: &str) -> Result<Link, Error> {
        let mut link = self.describe(name)?;
        let asked = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let answers = self.requests.dump("list the addresses", asked)?;
        for answer in &answers {
            let RouteNetlinkMessage::NewAddress(message) = answer else { continue };
            if let Some((_, address)) = address_of(message).filter(|(index, _)| *index == link.index) {
                link.addresses.push(address);
                link.states.push(state_of(message));
            }
        }
        Ok(link)
    }

    /// Makes a veth pair: one end in this namespace, the other in `far_namespace`. Both are down.
    ///
    /// # Errors
    /// When a name is illegal or taken, or without CAP_NET_ADMIN in both namespaces.
    pub fn create_veth(&self, near: VethEnd<'_>, far: VethEnd<'_>, far_namespace: &Namespace) -> Result<(), Error> {
        let far_end = end_message(LinkMessageBuilder::<LinkUnspec>::new(), far)?.setns_by_fd(far_namespace.raw());
        let message = end_message(LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::Veth), near)?
            .set_info_data(InfoData::Veth(InfoVeth::Peer(far_end.build())))
            .build();
        let action = format!("make the veth pair {} and {}", near.name, far.name);
        self.requests.change(&action, RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Makes a bridge without spanning tree and multicast snooping: it forwards at once, and all of it. It is down.
    ///
    /// # Errors
    /// When the name is illegal or taken, or without CAP_NET_ADMIN.
    pub fn create_bridge(&self, name: &str) -> Result<(), Error> {
        let message = LinkBridge::new(checked(name)?).mcast_snooping(false).down().build();
        let action = format!("make the bridge {name}");
        self.requests.change(&action, RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Makes a VXLAN device. It is down.
    ///
    /// # Errors
    /// When the name is illegal or taken, the underlay's device is absent, or without CAP_NET_ADMIN.
    pub fn create_vxlan(&self, vxlan: &Vxlan<'_>) -> Result<(), Error> {
        let builder = LinkVxlan::new(checked(vxlan.name)?, vxlan.vni)
            .dev(self.index(vxlan.device)?)
            .port(vxlan.port)
            .learning(false);
        let builder = match vxlan.local {
            IpAddr::V4(ip) => builder.local(ip),
            IpAddr::V6(ip) => builder.local6(ip),
        };
        let action = format!("make the VXLAN device {}", vxlan.name);
        self.requests.change(&action, RouteNetlinkMessage::NewLink(builder.build()), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Deletes a device; of a veth pair both ends go.
    ///
    /// # Errors
    /// [`Error::NoDevice`] when there is none of this name.
    pub fn delete_link(&self, name: &str) -> Result<(), Error> {
        let message = LinkUnspec::new_with_index(self.index(name)?).build();
        self.requests.change(&format!("delete device {name}"), RouteNetlinkMessage::DelLink(message), 0)
    }

    /// Sets a device up.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or what the kernel says.
    pub fn set_up(&self, name: &str) -> Result<(), Error> {
        self.set(name, &format!("set device {name} up"), LinkMessageBuilder::up)
    }

    /// Sets a device down.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or what the kernel says.
    pub fn set_down(&self, name: &str) -> Result<(), Error> {
        self.set(name, &format!("set device {name} down"), LinkMessageBuilder::down)
    }

    /// Sets a device's MTU in bytes.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or what the kernel says.
    pub fn set_mtu(&self, name: &str, mtu: u32) -> Result<(), Error> {
        self.set(name, &format!("set the MTU of device {name} to {mtu}"), |link| link.mtu(mtu))
    }

    /// Sets how many packets may wait at a device to be sent, at a tun to be read.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or what the kernel says.
    pub fn set_queue(&self, name: &str, packets: u32) -> Result<(), Error> {
        let action = format!("let {packets} packets wait at device {name}");
        self.set(name, &action, |link| link.append_extra_attribute(LinkAttribute::TxQueueLen(packets)))
    }

    /// Lets a device take in frames for MAC addresses that are not its own, or not any more: what `ip link set promisc`
    /// switches.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or what the kernel says.
    pub fn set_promiscuous(&self, name: &str, on: bool) -> Result<(), Error> {
        let what = if on { "on" } else { "off" };
        self.set(name, &format!("set promiscuous mode of device {name} {what}"), |link| link.promiscuous(on))
    }

    /// Notes something at a device, up to 255 characters, for whoever looks at it later; it goes with the device.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or what the kernel says.
    pub fn set_alias(&self, name: &str, text: &str) -> Result<(), Error> {
        let action = format!("note \"{text}\" at device {name}");
        self.set(name, &action, |link| link.append_extra_attribute(LinkAttribute::IfAlias(text.to_owned())))
    }

    /// Sets a device's MAC address.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or what the kernel says.
    pub fn set_mac(&self, name: &str, mac: Mac) -> Result<(), Error> {
        self.set(name, &format!("set the MAC address of device {name}"), |link| link.address(mac.to_vec()))
    }

    /// Makes a device a port of a bridge, or takes it out of its bridge.
    ///
    /// # Errors
    /// [`Error::NoDevice`] for either, or what the kernel says.
    pub fn set_master(&self, name: &str, master: Option<&str>) -> Result<(), Error> {
        let index = master.map_or(Ok(0), |master| self.index(master))?;
        let action = format!("make device {name} a port of {}", master.unwrap_or("no bridge"));
        self.set(name, &action, |link| link.controller(index))
    }

    /// Moves a device into another namespace, under another name there if one is given. Its addresses and routes are
    /// lost and it is down then.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or what the kernel says (the name is taken there, for example).
    pub fn move_link(&self, name: &str, to: &Namespace, new_name: Option<&str>) -> Result<(), Error> {
        let new_name = new_name.map(checked).transpose()?;
        self.set(name, &format!("move device {name} to another network namespace"), |link| {
            let link = link.setns_by_fd(to.raw());
            match new_name {
                Some(new_name) => link.name(new_name),
                None => link,
            }
        })
    }

    /// Gives a device an address and the route to its prefix. An IPv6 address is usable at once, without duplicate
    /// address detection: who adds one here knows that it is free.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or what the kernel says; see [`Error::is_exists`].
    pub fn add_address(&self, device: &str, address: IpNet) -> Result<(), Error> {
        let mut message = address_message(self.index(device)?, address);
        if address.addr().is_ipv6() {
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        let action = format!("add address {address} to device {device}");
        self.requests.change(&action, RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Takes an address from a device.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or what the kernel says.
    pub fn delete_address(&self, device: &str, address: IpNet) -> Result<(), Error> {
        let message = address_message(self.index(device)?, address);
        let action = format!("delete address {address} from device {device}");
        self.requests.change(&action, RouteNetlinkMessage::DelAddress(message), 0)
    }

    /// Number of a device.
    fn index(&self, name: &str) -> Result<u32, Error> {
        Ok(self.describe(name)?.index)
    }

    /// One device without its addresses.
    fn describe(&self, name: &str) -> Result<Link, Error> {
        self.ask(name, Link::from_message)
    }

    /// Frames that a device has transmitted: of a tap, those that the process behind it has taken.
    ///
    /// # Errors
    /// When there is no such device or the kernel refuses.
    pub fn transmitted(&self, name: &str) -> Result<u64, Error> {
        self.ask(name, |message| {
            message.attributes.iter().find_map(|attribute| match attribute {
                LinkAttribute::Stats64(stats) => Some(stats.tx_packets),
                _ => None,
            })
        })
    }

    /// Reads something off what the kernel says of a device.
    fn ask<T>(&self, name: &str, read: impl Fn(&LinkMessage) -> Option<T>) -> Result<T, Error> {
        let message = LinkUnspec::new_with_name(checked(name)?).build();
        let answers = self.requests.get(&format!("find device {name}"), RouteNetlinkMessage::GetLink(message));
        match answers {
            Ok(answers) => answers
                .iter()
                .find_map(|answer| match answer {
                    RouteNetlinkMessage::NewLink(message) => read(message),
                    _ => None,
                })
                .ok_or_else(|| Error::NoDevice(name.to_owned())),
            Err(error) if error.is_absent() => Err(Error::NoDevice(name.to_owned())),
            Err(error) => Err(error),
        }
    }

    /// Changes a device.
    fn set(
        &self,
        name: &str,
        action: &str,
        change: impl FnOnce(LinkMessageBuilder<LinkUnspec>) -> LinkMessageBuilder<LinkUnspec>,
    ) -> Result<(), Error> {
        let message = change(LinkUnspec::new_with_index(self.index(name)?)).build();
        self.requests.change(action, RouteNetlinkMessage::SetLink(message), 0)
    }
}

/// A veth's end added to a message.
fn end_message(
    builder: LinkMessageBuilder<LinkUnspec>,
    end: VethEnd<'_>,
) -> Result<LinkMessageBuilder<LinkUnspec>, Error> {
    let mut builder = builder.name(checked(end.name)?);
    if let Some(mac) = end.mac {
        builder = builder.append_extra_attribute(LinkAttribute::Address(mac.to_vec()));
    }
    if let Some(mtu) = end.mtu {
        builder = builder.mtu(mtu);
    }
    Ok(builder)
}

/// The message that stands for an address.
fn address_message(index: u32, address: IpNet) -> AddressMessage {
    match address {
        IpNet::V4(net) => {
            AddressMessageBuilder::<Ipv4Addr>::new().index(index).address(net.addr(), net.prefix_len()).build()
        }
        IpNet::V6(net) => {
            AddressMessageBuilder::<Ipv6Addr>::new().index(index).address(net.addr(), net.prefix_len()).build()
        }
    }
}

/// Refuses what the kernel would refuse as a device's name, with better words.
pub(crate) fn checked(name: &str) -> Result<&str, Error> {
    let illegal = |c: char| c == '/' || c == ':' || c.is_whitespace() || c == '\0';
    if name.is_empty() || name.len() > 15 || name == "." || name == ".." || name.contains(illegal) {
        return Err(Error::DeviceName(name.to_owned()));
    }
    Ok(name)
}
