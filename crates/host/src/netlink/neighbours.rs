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
    /// What is known of a neighbour on a device; `None` when it was not asked for lately.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or what the kernel says.
    pub fn neighbour(&self, device: &str, address: IpAddr) -> Result<Option<Reachability>, Error> {
        let index = self.index(device)?;
        let mut message = NeighbourMessage::default();
        message.header.family = family(address);
        let answers = self.requests.dump("list the neighbours", RouteNetlinkMessage::GetNeighbour(message))?;
        Ok(answers.iter().find_map(|answer| match answer {
            RouteNetlinkMessage::NewNeighbour(message) if message.header.ifindex == index => {
                let is_it = message.attributes.contains(&NeighbourAttribute::Destination(destination(address)));
                is_it.then(|| reachability(message.header.state)).flatten()
            }
            _ => None,
        }))
    }

    /// Has the kernel ask for a neighbour, as if something were to be sent to it.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or what the kernel says.
    pub fn ask_for_neighbour(&self, device: &str, address: IpAddr) -> Result<(), Error> {
        let mut message = NeighbourMessage::default();
        message.header.family = family(address);
        message.header.ifindex = self.index(device)?;
        message.header.flags = NeighbourFlags::Use;
        message.attributes.push(NeighbourAttribute::Destination(destination(address)));
        let action = format!("ask for neighbour {address} on device {device}");
        self.requests.change(&action, RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE)
    }
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
