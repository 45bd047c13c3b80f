//! The device of tunnels in a compartment: its MTU, its addresses, and the routes that lead into it.

use std::net::IpAddr;

use host::{Error, Netlink, TableRoute};
use ipnet::IpNet;

/// The kernel's main table.
const MAIN_TABLE: u32 = 254;

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
    /// The other sides of the tunnels: they must be reached outside of them.
    pub remotes: Vec<IpAddr>,
    /// The protocol number by which routes into it are known again.
    pub protocol: u8,
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
        self.settle_routes(netlink, link.index)
    }

    fn settle_routes(&self, netlink: &Netlink, device: u32) -> Result<(), Error> {
        let route = |to| TableRoute { table: MAIN_TABLE, to, via: None, device };
        let on_link = |to: &IpNet| self.addresses.iter().any(|address| address.trunc() == *to);
        let mut wanted: Vec<_> = self.routes.iter().filter(|to| !on_link(to)).map(|to| route(*to)).collect();
        wanted.extend(self.ways_out(netlink)?);
        let there = netlink.routes_of(self.protocol)?;
        let ours = |route: &TableRoute| route.device == device || self.remotes.contains(&route.to.addr());
        for route in there.iter().filter(|route| ours(route) && !wanted.contains(route)) {
            tolerate(netlink.delete_route_of(self.protocol, route), Error::is_absent)?;
        }
        for route in wanted.iter().filter(|route| !there.contains(route)) {
            tolerate(netlink.add_route_of(self.protocol, route), Error::is_exists)?;
        }
        Ok(())
    }

    /// Routes to the other sides that a route into the tunnel would lead into it: those that all else takes, without it.
    fn ways_out(&self, netlink: &Netlink) -> Result<Vec<TableRoute>, Error> {
        let inside = |remote: &&IpAddr| self.routes.iter().any(|to| to.contains(*remote));
        let remotes: Vec<_> = self.remotes.iter().filter(inside).copied().collect();
        if remotes.is_empty() {
            return Ok(Vec::new());
        }
        let all = netlink.routes_in(MAIN_TABLE)?;
        let everything = |remote: &IpAddr| {
            all.iter().find(|route| route.to.prefix_len() == 0 && route.to.addr().is_ipv4() == remote.is_ipv4())
        };
        let out = |remote: &IpAddr| everything(remote).map(|route| TableRoute { to: IpNet::from(*remote), ..*route });
        Ok(remotes.iter().filter_map(out).collect())
    }
}

/// Takes the routes of a protocol number away that lead by way of no device of these.
pub(crate) fn forget_routes(netlink: &Netlink, protocol: u8, kept: &[IpNet]) {
    for route in netlink.routes_of(protocol).unwrap_or_default() {
        if !kept.contains(&route.to) {
            let _ = netlink.delete_route_of(protocol, &route);
        }
    }
}

/// Takes an error of one kind for a success: somebody else was faster.
fn tolerate(result: Result<(), Error>, of_kind: impl Fn(&Error) -> bool) -> Result<(), Error> {
    match result {
        Err(error) if of_kind(&error) => Ok(()),
        other => other,
    }
}
