//! What makes an outside one that cannot be built.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::{Router, Site};
use crate::topology::{Host, Topology, VmRoute};
use crate::validate::{MTU, overlaps};

impl Topology {
    /// Names each contradiction of the outside, and of what is joined to it.
    pub(crate) fn check_outside(&self, problems: &mut Vec<String>) {
        for host in &self.hosts {
            self.check_gateway(host, problems);
        }
        let Some(outside) = &self.outside else {
            let hosts =
                self.hosts.iter().filter(|host| host.outside.is_some()).map(|host| format!("host {}", host.name));
            for who in hosts.chain(self.sites.iter().map(|site| format!("site {}", site.name))) {
                problems.push(format!("{who} is on the outside, but the topology has no \"outside\"; add one"));
            }
            return;
        };
        if !MTU.contains(&outside.mtu) {
            let (least, most) = MTU.into_inner();
            problems.push(format!("the outside's MTU is {}; choose one of {least} to {most}", outside.mtu));
        }
        self.check_outside_addresses(problems);
        if let Some(internet) = self.internet() {
            check_routes(internet.name.as_str(), &internet.addresses, &internet.routes, problems);
        }
        for site in &self.sites {
            check_routes(site.name.as_str(), &site.addresses, site.routes.as_deref().unwrap_or_default(), problems);
            check_nat(site, problems);
        }
        for router in self.routers() {
            check_lan(router, problems);
        }
    }

    /// A gateway has an agent that it works for and an interface outside, which the lab leaves to it.
    fn check_gateway(&self, host: &Host, problems: &mut Vec<String>) {
        if !host.gateway {
            return;
        }
        let name = &host.name;
        if !host.agent {
            problems.push(format!(
                "host {name} has \"gateway: true\" and \"agent: false\"; a gateway asks its host's agent what to do"
            ));
        }
        match &host.outside {
            None => problems.push(format!("host {name} has \"gateway: true\" and no interface for it; write \"outside: []\"")),
            Some(addresses) if !addresses.is_empty() => problems.push(format!(
                "host {name} has \"gateway: true\" and addresses on the outside, which the gateway is told of by whoever \
                 declares it; write \"outside: []\""
            )),
            Some(_) => {}
        }
    }

    /// Each address on the outside is one node's, and in a prefix of the router's if there is one of its family.
    fn check_outside_addresses(&self, problems: &mut Vec<String>) {
        let mut owners = BTreeMap::new();
        let hosts = self.hosts.iter().filter_map(|host| Some((&host.name, host.outside.as_deref()?)));
        let routers = self.routers().map(|router| (router.name, router.addresses));
        for (name, addresses) in hosts.chain(routers) {
            for address in addresses {
                if let Some(other) = owners.insert(address.addr(), name) {
                    problems
                        .push(format!("{} is an address of both {other} and {name} on the outside", address.addr()));
                }
                let own = self.internet().map(|router| router.addresses.as_slice()).unwrap_or_default();
                let mut own = own.iter().filter(|own| own.addr().is_ipv4() == address.addr().is_ipv4()).peekable();
                if own.peek().is_some() && !own.any(|own| own.trunc() == address.trunc()) {
                    problems
                        .push(format!("{address} of {name} is in no prefix of the outside's router; choose another"));
                }
            }
        }
        for router in self.routers().filter(|router| router.addresses.is_empty()) {
            problems
                .push(format!("{} has no address on the outside; list at least one under \"addresses\"", router.name));
        }
    }
}

/// Next hops are on a link of the addresses.
fn check_routes(name: &str, addresses: &[IpNet], routes: &[VmRoute], problems: &mut Vec<String>) {
    for VmRoute { to, via } in routes {
        if to.addr().is_ipv4() != via.is_ipv4() {
            problems.push(format!("{name}: the route to {to} goes via {via}, which is of the other IP version"));
        } else if !addresses.iter().any(|its| its.contains(via)) {
            problems.push(format!(
                "{name}: the route to {to} goes via {via}, which is in the prefix of none of its addresses"
            ));
        }
    }
}

/// What stands before a site translates IPv4.
fn check_nat(site: &Site, problems: &mut Vec<String>) {
    if site.nat && !site.addresses.iter().all(|address| address.addr().is_ipv4()) {
        problems.push(format!("site {} has \"nat: true\", which is of IPv4; leave its IPv6 addresses out", site.name));
    }
}

/// Servers have addresses in the prefixes of their router's LAN, and nobody has them twice.
fn check_lan(router: Router<'_>, problems: &mut Vec<String>) {
    let name = router.name;
    for lan in router.lan {
        if let Some(address) = router.addresses.iter().find(|address| overlaps(address, lan)) {
            problems
                .push(format!("the LAN {lan} of {name} overlaps its {address} on the outside; choose another prefix"));
        }
    }
    let mut owners: BTreeMap<_, _> = router.lan.iter().map(|lan| (lan.addr(), name)).collect();
    for server in router.servers {
        if server.addresses.is_empty() {
            problems.push(format!("server {} has no address; list at least one under \"addresses\"", server.name));
        }
        for address in &server.addresses {
            if !router.lan.iter().any(|lan| lan.trunc() == address.trunc()) {
                problems.push(format!("{address} of server {} is in no prefix of the \"lan\" of {name}", server.name));
            }
            if let Some(other) = owners.insert(address.addr(), &server.name) {
                problems.push(format!(
                    "{} is an address of both {other} and {} behind {name}",
                    address.addr(),
                    server.name
                ));
            }
        }
    }
}
