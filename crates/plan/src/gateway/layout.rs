//! The devices of a compartment, with their addresses, and its routes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use model::gateway::{Compartment, Outside, Service};

use super::nat::{is_shared, translations};
use super::{EDGE, INSIDE, LEARNT_TABLE, OUTSIDE};

/// The protocol number of the routes that a gateway makes, by which it knows them again. Numbers from 100 on are nobody's
/// (rt_protos of iproute2), but those of routing daemons.
pub const ROUTE_PROTOCOL: u8 = 110;

/// The kernel's main table.
pub const MAIN_TABLE: u32 = 254;

/// The table of what goes by the edge, in a compartment that has addresses of its own too.
pub const EDGE_TABLE: u32 = 101;

/// The bit of a mark that says that a packet, or a connection, goes by the edge.
pub const EDGE_MARK: u32 = 0x1_0000;

/// The bit of a mark with which a rule of the packet filter looks into [`LEARNT_TABLE`] alone.
pub const LEARNT_MARK: u32 = 0x2_0000;

/// The edge's addresses on each of its devices towards compartments, and the compartments' there (RFC 3927, RFC 4291). No
/// packet of others has them.
pub const EDGE_HERE: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(169, 254, 1, 1)), link_local(1)];
/// See [`EDGE_HERE`].
pub const EDGE_THERE: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(169, 254, 1, 2)), link_local(2)];

/// How long the prefixes of [`EDGE_HERE`] and [`EDGE_THERE`] are.
const EDGE_LENGTHS: [u8; 2] = [30, 64];

const fn link_local(host: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host))
}

/// What a compartment's namespace holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Layout {
    /// The addresses of each device that it has: [`INSIDE`], [`OUTSIDE`], [`EDGE`]. A device that is there without addresses
    /// has an entry too.
    pub devices: Vec<Device>,
    /// Its routes.
    pub routes: Vec<Route>,
    /// Which table is asked.
    pub rules: Vec<Rule>,
}

/// A device of a compartment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// Its name.
    pub name: &'static str,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
    /// Whether it is up.
    pub up: bool,
}

/// A route of a compartment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Route {
    /// The table that it is in.
    pub table: u32,
    /// Where to.
    pub to: IpNet,
    /// The next hop, on the device's link.
    pub via: IpAddr,
    /// The device.
    pub device: &'static str,
}

/// What a rule asks for the route of a packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Asked {
    /// The table of this number.
    Table(u32),
    /// The rules from this priority on; those between are passed over.
    Rules(u32),
    /// Nothing: there is no route.
    Nothing,
}

/// Which table is asked for the route of a packet. Rules of lower priority come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rule {
    /// Its priority; one of each family is made.
    pub priority: u32,
    /// The mark that the packet must have, and the bits of it that count.
    pub mark: Option<(u32, u32)>,
    /// What is asked.
    pub asks: Asked,
    /// Whether the table's route to everything is passed over.
    pub but_default: bool,
}

/// The addresses of both ends between a compartment and the edge.
pub fn edge_link() -> [Vec<IpNet>; 2] {
    [EDGE_HERE, EDGE_THERE].map(|ends| {
        ends.iter().zip(EDGE_LENGTHS).filter_map(|(address, length)| IpNet::new(*address, length).ok()).collect()
    })
}

/// The layout of a compartment on a host whose gateway has these routers outside.
pub fn layout(compartment: &Compartment, gateway_hops: &[IpAddr]) -> Layout {
    let inside = &compartment.inside;
    let mut layout = Layout {
        devices: vec![Device { name: INSIDE, addresses: inside.addresses.clone(), up: true }],
        routes: inside_routes(compartment),
        rules: Vec::new(),
    };
    if let Some(outside) = &compartment.outside {
        let forwards = forwards(compartment);
        let addresses = if forwards { outside_addresses(compartment, outside) } else { Vec::new() };
        layout.devices.push(Device { name: OUTSIDE, addresses, up: forwards });
        if !outside.shared.is_empty() {
            let [_, addresses] = edge_link();
            layout.devices.push(Device { name: EDGE, addresses, up: true });
        }
        if forwards {
            layout.routes.extend(outside_routes(compartment, outside, gateway_hops));
        }
    }
    layout.rules = rules(compartment);
    layout.routes.sort_unstable();
    layout.routes.dedup();
    layout
}

/// Whether the compartment forwards: it is the active one, or was until now.
pub const fn forwards(compartment: &Compartment) -> bool {
    !compartment.standby || compartment.leaving
}

/// Whether it answers for its addresses outside. One that is leaving does not; its neighbors are to forget it.
pub const fn answers(compartment: &Compartment) -> bool {
    !compartment.standby
}

/// The sysctl by which a device answers ARP for the addresses that it has, or for none at all.
pub fn arp_sysctl(device: &str, answers: bool) -> (String, String) {
    (format!("ipv4/conf/{device}/arp_ignore"), if answers { "1" } else { "8" }.to_owned())
}

/// The routers of the outside: the compartment's, else the host's.
pub fn next_hops<'n>(outside: &'n Outside, gateway_hops: &'n [IpAddr]) -> &'n [IpAddr] {
    if outside.next_hops.is_empty() { gateway_hops } else { &outside.next_hops }
}

/// Whether the compartment has addresses of its own outside, of a family. Its way to everything is then by its own device,
/// else by the edge.
fn has_own(compartment: &Compartment, outside: &Outside, v6: bool) -> bool {
    outside_addresses(compartment, outside).iter().any(|address| address.addr().is_ipv6() == v6)
}

/// The addresses of the device outside: those that are declared, and those that NAT answers for beside them.
pub fn outside_addresses(compartment: &Compartment, outside: &Outside) -> Vec<IpNet> {
    let mut addresses = outside.addresses.clone();
    for translation in translations(compartment) {
        let nat = translation.nat;
        let floating = nat.floating.iter().map(|floating| floating.external);
        let forwards = nat.forwards.iter().filter_map(|forward| translation.external(forward));
        for address in nat.addresses.iter().copied().chain(floating).chain(forwards) {
            let known = addresses.iter().any(|known| known.addr() == address);
            if !known && !is_shared(outside, address) {
                addresses.push(IpNet::from(address));
            }
        }
    }
    addresses
}

/// Routes to the VM network, by the distributed router.
fn inside_routes(compartment: &Compartment) -> Vec<Route> {
    let inside = &compartment.inside;
    let mut routes = Vec::new();
    for prefix in &inside.prefixes {
        let same_family = |address: &&IpAddr| address.is_ipv6() == prefix.addr().is_ipv6();
        let Some(router) = inside.routers.iter().find(same_family) else { continue };
        let on_link = inside.addresses.iter().any(|address| address.trunc() == prefix.trunc());
        if !on_link {
            routes.push(Route { table: MAIN_TABLE, to: prefix.trunc(), via: *router, device: INSIDE });
        }
    }
    routes
}

/// Routes to everything else.
fn outside_routes(compartment: &Compartment, outside: &Outside, gateway_hops: &[IpAddr]) -> Vec<Route> {
    let mut routes = Vec::new();
    for v6 in [false, true] {
        let everything = everything(v6);
        let own = has_own(compartment, outside, v6);
        if own {
            let routers = next_hops(outside, gateway_hops).iter().filter(|router| router.is_ipv6() == v6);
            let route = |via: &IpAddr| Route { table: MAIN_TABLE, to: everything, via: *via, device: OUTSIDE };
            routes.extend(routers.map(route).take(1));
        }
        if outside.shared.iter().any(|part| part.address.is_ipv6() == v6) {
            let via = EDGE_HERE[usize::from(v6)];
            let table = if own { EDGE_TABLE } else { MAIN_TABLE };
            routes.push(Route { table, to: everything, via, device: EDGE });
        }
    }
    for connection in &compartment.connections {
        if let Some(Service::Routing(routing)) = connection.service() {
            routes.extend(routing.routes.iter().map(|route| {
                let to = route.prefix.trunc();
                Route { table: MAIN_TABLE, to, via: route.next_hop, device: OUTSIDE }
            }));
        }
    }
    // A route to everything that is declared takes the place of the one by the next hop.
    let declared = |route: &Route| routes.iter().rev().find(|other| (other.table, other.to) == (route.table, route.to));
    routes.iter().filter(|route| declared(route) == Some(route)).copied().collect()
}

/// Which tables are asked. What is declared comes before what is learnt, and that before the way to everything; else a default
/// route that a neighbor tells would lead away what is for the VM network.
fn rules(compartment: &Compartment) -> Vec<Rule> {
    let rule = |priority, mark: Option<u32>, asks, but_default| {
        let mark = mark.map(|bit| (bit, bit));
        Rule { priority, mark, asks, but_default }
    };
    let mut rules = Vec::new();
    if is_steered(compartment) {
        rules.push(rule(80, Some(EDGE_MARK), Asked::Table(MAIN_TABLE), true));
        rules.push(rule(81, Some(EDGE_MARK), Asked::Table(EDGE_TABLE), false));
    }
    if compartment.connections.iter().any(|connection| connection.bgp.is_some()) {
        rules.push(rule(90, Some(LEARNT_MARK), Asked::Table(LEARNT_TABLE), false));
        rules.push(rule(91, Some(LEARNT_MARK), Asked::Nothing, false));
        rules.push(rule(98, None, Asked::Table(MAIN_TABLE), true));
        rules.push(rule(100, None, Asked::Table(LEARNT_TABLE), false));
    }
    rules
}

/// Whether the compartment has, in one family, both a way of its own and one by the edge, so that each packet needs to be told
/// which to take.
pub(super) fn is_steered(compartment: &Compartment) -> bool {
    compartment.outside.as_ref().is_some_and(|outside| {
        let both = |v6| {
            let shared = outside.shared.iter().any(|part| part.address.is_ipv6() == v6);
            shared && has_own(compartment, outside, v6)
        };
        both(false) || both(true)
    })
}

/// The prefix of everything.
pub(super) fn everything(v6: bool) -> IpNet {
    let address: IpAddr = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    IpNet::new_assert(address, 0)
}

/// Milliseconds after which a neighbor that has not answered is asked again. The kernel's own second would be lost when a compartment
/// takes over: the first question may come before the port inside is there, or before the outside has learnt where it is.
const NEIGHBOR_RETRY: u32 = 50;

/// What a compartment's namespace is set to, as sysctls below `net`: it forwards, believes nobody's word about routes and
/// addresses, answers ARP only for what the asked device has, and counts the bytes of connections.
pub fn sysctls(devices: &[&str]) -> Vec<(String, String)> {
    const OF_V4: [(&str, &str); 8] = [
        ("forwarding", "1"),
        ("rp_filter", "0"),
        ("accept_redirects", "0"),
        ("send_redirects", "0"),
        ("accept_source_route", "0"),
        ("arp_ignore", "1"),
        ("arp_announce", "2"),
        ("promote_secondaries", "1"),
    ];
    const OF_V6: [(&str, &str); 5] =
        [("forwarding", "1"), ("accept_ra", "0"), ("accept_dad", "0"), ("accept_redirects", "0"), ("autoconf", "0")];
    let mut sysctls = vec![
        ("ipv4/ip_forward".to_owned(), "1".to_owned()),
        ("netfilter/nf_conntrack_acct".to_owned(), "1".to_owned()),
        // Of connections that were there before anybody asked the kernel tells too, and those that another host has begun go on,
        // whatever their windows have become.
        ("netfilter/nf_conntrack_events".to_owned(), "1".to_owned()),
        ("netfilter/nf_conntrack_tcp_be_liberal".to_owned(), "1".to_owned()),
    ];
    for device in ["all", "default"].iter().chain(devices) {
        for (family, settings) in [("ipv4", OF_V4.as_slice()), ("ipv6", OF_V6.as_slice())] {
            for (key, value) in settings {
                sysctls.push((format!("{family}/conf/{device}/{key}"), (*value).to_owned()));
            }
            // There is no such setting of all.
            if *device != "all" {
                let key = format!("{family}/neigh/{device}/retrans_time_ms");
                sysctls.push((key, NEIGHBOR_RETRY.to_string()));
            }
        }
    }
    sysctls
}
