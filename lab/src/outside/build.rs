//! Builds the outside: its segment and router, the sites, and their servers.

use std::net::IpAddr;
use std::time::Duration;

use host::{Route, VethEnd};
use ipnet::{IpNet, Ipv4Net};

use super::{ETH1, LAN, OUTSIDE, Outside, Router, Server, Site};
use crate::build::{Role, Room, set_offloads};
use crate::error::InNode;
use crate::topology::{Topology, VmRoute};
use crate::wiring::{BRIDGE, ETH0, device_names, namespace_name};
use crate::{LabError, Node};

/// The link between a site and the node that translates for it: the site's address, and the translator's.
const BEHIND_NAT: [Ipv4Net; 2] = [
    Ipv4Net::new_assert(std::net::Ipv4Addr::new(100, 64, 0, 2), 24),
    Ipv4Net::new_assert(std::net::Ipv4Addr::new(100, 64, 0, 1), 24),
];
/// What the translator's kernel is told: what goes out has its address, and only answers come in.
const NAT_RULES: &str = "\
table ip nat {
    chain postrouting { type nat hook postrouting priority srcnat; oifname \"eth0\" masquerade; }
    chain forward {
        type filter hook forward priority filter; policy accept;
        iifname \"eth0\" ct state established,related accept
        iifname \"eth0\" drop
    }
}";
/// How long `nft` may take.
const NFT_LIMIT: Duration = Duration::from_secs(10);

/// Builds it, and gives the hosts their place on it.
pub(crate) fn build(topology: &Topology, hosts: &[Room]) -> Result<(), LabError> {
    let Some(outside) = &topology.outside else { return Ok(()) };
    let segment = Room::create(topology, OUTSIDE, Role::Segment)?;
    segment.netlink.create_bridge(BRIDGE).in_node(OUTSIDE)?;
    segment.netlink.set_mtu(BRIDGE, outside.mtu).in_node(OUTSIDE)?;
    segment.netlink.set_up(BRIDGE).in_node(OUTSIDE)?;
    let segment = Segment { outside, room: segment, cables: topology.outside_cables() };
    for (host, room) in topology.hosts.iter().zip(hosts) {
        let Some(addresses) = &host.outside else { continue };
        segment.join(room, ETH1)?;
        add_addresses(room, ETH1, addresses)?;
    }
    if let Some(internet) = &outside.router {
        let room = Room::create(topology, internet.name.as_str(), Role::Router)?;
        segment.join(&room, ETH0)?;
        add_addresses(&room, ETH0, &internet.addresses)?;
        add_routes(&room, &internet.routes)?;
    }
    for site in &topology.sites {
        build_site(topology, site, &segment)?;
    }
    for router in topology.routers().filter(|router| !router.lan.is_empty()) {
        build_lan(topology, router)?;
    }
    Ok(())
}

/// The segment while it is being built.
struct Segment<'t> {
    outside: &'t Outside,
    room: Room,
    cables: Vec<(String, String)>,
}

impl Segment<'_> {
    /// Lays a cable to a node's device, both ends up.
    fn join(&self, room: &Room, device: &str) -> Result<(), LabError> {
        let end = |name| VethEnd { mtu: Some(self.outside.mtu), ..VethEnd::named(name) };
        let Some((_, far)) = self.cables.iter().find(|(node, _)| *node == room.name) else { return Ok(()) };
        room.netlink.create_veth(end(device), end(far), &self.room.namespace).in_node(&room.name)?;
        self.room.netlink.set_up(far).in_node(OUTSIDE)?;
        self.room.netlink.set_master(far, Some(BRIDGE)).in_node(OUTSIDE)?;
        room.netlink.set_up(device).in_node(&room.name)?;
        set_offloads(room, device, self.outside.offloads)
    }
}

/// A site's router, and what translates for it.
fn build_site(topology: &Topology, site: &Site, segment: &Segment<'_>) -> Result<(), LabError> {
    let room = Room::create(topology, site.name.as_str(), Role::Router)?;
    let routes = site.routes.clone().unwrap_or_else(|| default_routes(topology, &site.addresses));
    let Some(translator) = site.nat_node() else {
        segment.join(&room, ETH0)?;
        add_addresses(&room, ETH0, &site.addresses)?;
        return add_routes(&room, &routes);
    };
    let before = Room::create(topology, &translator, Role::Router)?;
    segment.join(&before, ETH0)?;
    add_addresses(&before, ETH0, &site.addresses)?;
    add_routes(&before, &routes)?;
    let end = |name| VethEnd { mtu: Some(segment.outside.mtu), ..VethEnd::named(name) };
    room.netlink.create_veth(end(ETH0), end(ETH1), &before.namespace).in_node(&room.name)?;
    let [inner, outer] = BEHIND_NAT;
    for (room, device, address) in [(&room, ETH0, inner), (&before, ETH1, outer)] {
        room.netlink.set_up(device).in_node(&room.name)?;
        add_addresses(room, device, &[IpNet::V4(address)])?;
    }
    add_routes(&room, &[VmRoute { to: IpNet::V4(Ipv4Net::default()), via: IpAddr::V4(outer.addr()) }])?;
    let node = Node::open(&translator, &namespace_name(&topology.name, &translator))?;
    node.output(&["nft", NAT_RULES], NFT_LIMIT)?.ok().map(drop)
}

/// Everything by the outside's router, of each family in which it is on a link of these addresses.
fn default_routes(topology: &Topology, addresses: &[IpNet]) -> Vec<VmRoute> {
    let routers = topology.internet().map(|router| router.addresses.as_slice()).unwrap_or_default();
    by_routers(addresses, routers)
}

/// Default routes of one with these addresses by these routers, as far as they are on its links.
fn by_routers(addresses: &[IpNet], routers: &[IpNet]) -> Vec<VmRoute> {
    let everywhere = [IpNet::V4(Default::default()), IpNet::V6(Default::default())];
    let route = |to: IpNet| {
        let on_link = |router: &&IpNet| {
            router.addr().is_ipv4() == to.addr().is_ipv4() && addresses.iter().any(|its| its.contains(&router.addr()))
        };
        routers.iter().find(on_link).map(|router| VmRoute { to, via: router.addr() })
    };
    everywhere.into_iter().filter_map(route).collect()
}

/// A bridge in the router's node, and a cable to each of its servers.
fn build_lan(topology: &Topology, router: Router<'_>) -> Result<(), LabError> {
    let room = Room::open(topology, router.name.as_str())?;
    room.netlink.create_bridge(LAN).in_node(&room.name)?;
    room.netlink.set_up(LAN).in_node(&room.name)?;
    add_addresses(&room, LAN, router.lan)?;
    let devices = device_names(router.servers.iter().map(|server| server.name.as_str()), &["lo", ETH0, LAN]);
    for (server, device) in router.servers.iter().zip(devices) {
        build_server(topology, router, server, &room, &device)?;
    }
    Ok(())
}

/// A server's namespace, and its cable to the router's bridge.
fn build_server(
    topology: &Topology,
    router: Router<'_>,
    server: &Server,
    at: &Room,
    device: &str,
) -> Result<(), LabError> {
    let room = Room::create(topology, server.name.as_str(), Role::Vm)?;
    room.netlink.create_veth(VethEnd::named(ETH0), VethEnd::named(device), &at.namespace).in_node(&room.name)?;
    at.netlink.set_master(device, Some(LAN)).in_node(&at.name)?;
    at.netlink.set_up(device).in_node(&at.name)?;
    room.netlink.set_up(ETH0).in_node(&room.name)?;
    add_addresses(&room, ETH0, &server.addresses)?;
    add_routes(&room, &by_routers(&server.addresses, router.lan))
}

fn add_addresses(room: &Room, device: &str, addresses: &[IpNet]) -> Result<(), LabError> {
    addresses.iter().try_for_each(|address| room.netlink.add_address(device, *address)).in_node(&room.name)
}

fn add_routes(room: &Room, routes: &[VmRoute]) -> Result<(), LabError> {
    routes.iter().try_for_each(|route| room.netlink.add_route(&Route::via(route.to, route.via))).in_node(&room.name)
}
