//! Whether neighbours answer: what the kernel knows of them, and asking for them.

use std::net::IpAddr;

use rtnetlink::packet_core::NLM_F_CREATE;
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Netlink;
use crate::Error;

/// How far the kernel is with a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reachability {
    /// It has answered lately, or is set for good.
    Reachable,
    /// It has answered once; whether it is there still is not known.
    Stale,
    /// It is asked for, and has not answered yet.
    Asked,
    /// It was asked for, and has not answered.
    Failed,
}

impl Netlink {
    /// What is known of a neighbour on a device, by the device's number; `None` when it was not asked for lately.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn neighbour(&self, device: u32, address: IpAddr) -> Result<Option<Reachability>, Error> {
        let message = RouteNetlinkMessage::GetNeighbour(neighbour(device, address));
        // Asked for alone: a list would be of the neighbours on all devices.
        match self.requests.get(&format!("find neighbour {address}"), message) {
            Ok(answers) => Ok(answers.iter().find_map(|answer| match answer {
                RouteNetlinkMessage::NewNeighbour(message) => reachability(message.header.state),
                _ => None,
            })),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has the kernel ask for a neighbour on a device, by the device's number, as if something were to be sent to it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn ask_for_neighbour(&self, device: u32, address: IpAddr) -> Result<(), Error> {
        let mut message = neighbour(device, address);
        message.header.flags = NeighbourFlags::Use;
        let action = format!("ask for neighbour {address} on device {device}");
        self.requests.change(&action, RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE)
    }
}

/// The message that stands for a neighbour.
fn neighbour(device: u32, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(address);
    message.header.ifindex = device;
    message.attributes.push(NeighbourAttribute::Destination(destination(address)));
    message
}

/// What a state of the kernel's (NUD_* of linux/neighbour.h) says.
const fn reachability(state: NeighbourState) -> Option<Reachability> {
    match state {
        NeighbourState::Reachable | NeighbourState::Permanent | NeighbourState::Noarp => Some(Reachability::Reachable),
        NeighbourState::Delay | NeighbourState::Probe | NeighbourState::Stale => Some(Reachability::Stale),
        NeighbourState::Incomplete => Some(Reachability::Asked),
        NeighbourState::Failed => Some(Reachability::Failed),
        _ => None,
    }
}

/// The address as messages have it.
const fn destination(address: IpAddr) -> NeighbourAddress {
    match address {
        IpAddr::V4(ip) => NeighbourAddress::Inet(ip),
        IpAddr::V6(ip) => NeighbourAddress::Inet6(ip),
    }
}

/// The family of an address.
const fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
