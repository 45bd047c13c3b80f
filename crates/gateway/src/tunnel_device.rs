//! The devices of tunnels in a compartment: the MTU and the addresses of each, and the routes that lead into them.

use std::net::IpAddr;

use host::{Error, LinkKind, Netlink, Process, TableRoute};
use ipnet::IpNet;

/// The kernel's main table.
const MAIN_TABLE: u32 = 254;

/// How many packets may wait until a daemon reads them from its device. By default 500 do, which are ten pieces of 64 kB as TCP hands
/// them over: a stream fills that while the daemon waits for a processor, and what does not fit is lost.
const QUEUE: u32 = 2000;

/// How much may wait until a daemon reads it from its sockets, in bytes. By default it is less than a hundred packets: those of 4 ms at
/// 300 Mbit/s, for which a daemon may well have to wait for a processor.
const RECEIVE_BUFFER: usize = 4 << 20;

/// What a device of tunnels is to have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wanted<'w> {
    /// Its name.
    pub name: &'w str,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
    /// What is routed into it.
    pub routes: Vec<IpNet>,
    /// The other sides of the tunnels, as far as they are known: they must be reached outside of them.
    pub remotes: Vec<IpAddr>,
}

impl Wanted<'_> {
    /// Makes the device, which is there, so. What differs is changed, and nothing else.
    ///
    /// # Errors
    /// When there is no such device, or what the kernel refuses.
    pub(crate) fn settle(&self, netlink: &Netlink) -> Result<(), Error> {
        let link = netlink.link(self.name)?;
        if link.mtu != self.mtu {
            netlink.set_mtu(self.name, self.mtu)?;
        }
        if link.kind == LinkKind::Tun && link.queue < QUEUE {
            netlink.set_queue(self.name, QUEUE)?;
        }
        let of_link = |address: &IpNet| matches!(address.addr(), IpAddr::V6(v6) if v6.is_unicast_link_local());
        for address in link.addresses.iter().filter(|has| !of_link(has) && !self.addresses.contains(has)) {
            tolerate(netlink.delete_address(self.name, *address), Error::is_absent)?;
        }
        for address in self.addresses.iter().filter(|wanted| !link.addresses.contains(wanted)) {
            tolerate(netlink.add_address(self.name, *address), Error::is_exists)?;
        }
        if !link.up {
            netlink.set_up(self.name)?;
        }
        Ok(())
    }

    /// Routes into the device, whose number is given, and to the other sides.
    fn routes(&self, device: u32, all: &[TableRoute]) -> Vec<TableRoute> {
        let on_link = |to: &IpNet| self.addresses.iter().any(|address| address.trunc() == *to);
        let into = self.routes.iter().filter(|to| !on_link(to));
        let mut routes: Vec<_> = into.map(|to| TableRoute { table: MAIN_TABLE, to: *to, via: None, device }).collect();
        // To the other sides that a route into the tunnel would lead into it: as all else goes, without the tunnel.
        let inside = |remote: &&IpAddr| self.routes.iter().any(|to| to.contains(*remote));
        let everything = |remote: &IpAddr| {
            all.iter().find(|route| route.to.prefix_len() == 0 && route.to.addr().is_ipv4() == remote.is_ipv4())
        };
        let out = |remote: &IpAddr| everything(remote).map(|route| TableRoute { to: IpNet::from(*remote), ..*route });
        routes.extend(self.remotes.iter().filter(inside).filter_map(out));
        routes
    }
}

/// Gives the sockets of a daemon that carries tunnels room for what comes while it waits for a processor. Where the kernel does not
/// let us, the daemon works as it does by itself.
pub(crate) fn make_room(pid: u32) {
    let enlarged = Process::open(pid).and_then(|process| process.enlarge_receive_buffers(RECEIVE_BUFFER));
    match enlarged {
        Ok(sockets) => tracing::debug!(pid, sockets, "sockets have more room"),
        Err(error) => {
            tracing::warn!(pid, "cannot give the daemon's sockets more room, it may lose more packets: {error}");
        }
    }
}

/// Makes the routes of a protocol number those of these devices, as far as they are there, and no others.
///
/// # Errors
/// What the kernel refuses.
pub(crate) fn settle_routes(netlink: &Netlink, protocol: u8, devices: &[Wanted<'_>]) -> Result<(), Error> {
    let links = netlink.links()?;
    let all = netlink.routes_in(MAIN_TABLE)?;
    let mut wanted = Vec::new();
    for device in devices {
        let Some(link) = links.iter().find(|link| link.name == device.name) else { continue };
        for route in device.routes(link.index, &all) {
            // Two tunnels may have the same other side.
            if !wanted.contains(&route) {
                wanted.push(route);
            }
        }
    }
    let there = netlink.routes_of(protocol)?;
    for route in there.iter().filter(|route| !wanted.contains(route)) {
        tolerate(netlink.delete_route_of(protocol, route), Error::is_absent)?;
    }
    for route in wanted.iter().filter(|route| !there.contains(route)) {
        tolerate(netlink.add_route_of(protocol, route), Error::is_exists)?;
    }
    Ok(())
}

/// Takes an error of one kind for a success: somebody else was faster.
fn tolerate(result: Result<(), Error>, of_kind: impl Fn(&Error) -> bool) -> Result<(), Error> {
    match result {
        Err(error) if of_kind(&error) => Ok(()),
        other => other,
    }
}
