//! Routes, neighbours and forwarding entries of one network namespace.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteScope};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Netlink;
use crate::{Error, Mac};

/// A route of the kernel's main table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route<'a> {
    /// Where to; host bits are ignored.
    pub to: IpNet,
    /// The next hop; absent: the destination is on the device's link.
    pub via: Option<IpAddr>,
    /// The device; absent: the one that leads to the next hop.
    pub device: Option<&'a str>,
    /// Whether the next hop counts as on the device's link though no address of ours says so.
    pub onlink: bool,
    /// MTU of the path in bytes, instead of the device's.
    pub mtu: Option<u32>,
    /// Among routes to one prefix the lowest metric wins.
    pub metric: Option<u32>,
}

impl<'a> Route<'a> {
    /// A route through a next hop.
    pub const fn via(to: IpNet, via: IpAddr) -> Self {
        Self { to, via: Some(via), device: None, onlink: false, mtu: None, metric: None }
    }

    /// A route to what is on a device's link.
    pub const fn on_link(to: IpNet, device: &'a str) -> Self {
        Self { to, via: None, device: Some(device), onlink: false, mtu: None, metric: None }
    }
}

impl Netlink {
    /// Adds a route to the main table.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or what the kernel says (the next hop is not on-link, for example).
    pub fn add_route(&self, route: &Route<'_>) -> Result<(), Error> {
        let message = self.route_message(route)?;
        let action = format!("add the route to {}", route.to);
        self.requests.change(&action, RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Deletes a route from the main table.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or what the kernel says.
    pub fn delete_route(&self, route: &Route<'_>) -> Result<(), Error> {
        let message = self.route_message(route)?;
        let action = format!("delete the route to {}", route.to);
        self.requests.change(&action, RouteNetlinkMessage::DelRoute(message), 0)
    }

    /// Sets the MAC address of a neighbour for good: it is never asked for by ARP or ND. Replaces what was known.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or what the kernel says.
    pub fn set_neighbour(&self, device: &str, address: IpAddr, mac: Mac) -> Result<(), Error> {
        let mut message = neighbour_message(self.index(device)?, family(address), address);
        message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
        let action = format!("set neighbour {address} on device {device}");
        self.requests.change(&action, RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Forgets a neighbour.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or what the kernel says.
    pub fn delete_neighbour(&self, device: &str, address: IpAddr) -> Result<(), Error> {
        let message = neighbour_message(self.index(device)?, family(address), address);
        let action = format!("delete neighbour {address} on device {device}");
        self.requests.change(&action, RouteNetlinkMessage::DelNeighbour(message), 0)
    }

    /// Adds an entry to a VXLAN device's forwarding database: frames to `mac` go to `remote`. The MAC address of zeros
    /// stands for all frames to more than one or to nobody known; such entries add up.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or what the kernel says.
    pub fn add_fdb_entry(&self, device: &str, mac: Mac, remote: IpAddr) -> Result<(), Error> {
        let mut message = neighbour_message(self.index(device)?, AddressFamily::Bridge, remote);
        message.header.flags = NeighbourFlags::Own;
        message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
        let action = format!("add the forwarding entry to {remote} to device {device}");
        // Only the entry of zeros may have several remotes, which the kernel wants appended.
        let flags = if mac == [0; 6] { NLM_F_APPEND } else { NLM_F_EXCL };
        self.requests.change(&action, RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | flags)
    }

    /// The message that stands for a route.
    fn route_message(&self, route: &Route<'_>) -> Result<RouteMessage, Error> {
        let mut message = match route.to.trunc() {
            IpNet::V4(to) => {
                RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(to.addr(), to.prefix_len()).build()
            }
            IpNet::V6(to) => {
                RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(to.addr(), to.prefix_len()).build()
            }
        };
        match (route.via, route.to) {
            (Some(IpAddr::V4(via)), _) => message.attributes.push(RouteAttribute::Gateway(via.into())),
            (Some(IpAddr::V6(via)), IpNet::V6(_)) => message.attributes.push(RouteAttribute::Gateway(via.into())),
            (Some(IpAddr::V6(via)), IpNet::V4(_)) => message.attributes.push(RouteAttribute::Via(via.into())),
            (None, _) => message.header.scope = RouteScope::Link,
        }
        if let Some(device) = route.device {
            message.attributes.push(RouteAttribute::Oif(self.index(device)?));
        }
        if route.onlink {
            message.header.flags |= RouteFlags::Onlink;
        }
        if let Some(mtu) = route.mtu {
            message.attributes.push(RouteAttribute::Metrics(vec![RouteMetric::Mtu(mtu)]));
        }
        if let Some(metric) = route.metric {
            message.attributes.push(RouteAttribute::Priority(metric));
        }
        Ok(message)
    }
}

/// A permanent neighbour, or forwarding entry, with its destination.
fn neighbour_message(index: u32, family: AddressFamily, destination: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family;
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    message.attributes.push(NeighbourAttribute::Destination(match destination {
        IpAddr::V4(ip) => NeighbourAddress::Inet(ip),
        IpAddr::V6(ip) => NeighbourAddress::Inet6(ip),
    }));
    message
}

/// The family of an address.
const fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
