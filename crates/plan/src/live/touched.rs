//! Which parts of the tables a change can touch.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use model::{
    CustomerRoute, DhcpScope, LookupRecord, MacAddress, Migration, Name, Port, QualifiedName, Replaced, Resource,
    RoutingDomain, RoutingDomainId, SharedKey, Vsid,
};

use super::{Given, State};
use crate::compile::Context;
use crate::compile::records::{gateway_addresses, on_wire};
use crate::compile::security::SecurityTouched;
use crate::{Link, domain_numbers, to_ip};

/// What a change may gather by the hundred thousand, put in order once: a set that is in order all the time costs more.
pub(super) struct Gathered<T>(Vec<T>);

impl<T> Default for Gathered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Ord> Gathered<T> {
    pub(super) fn insert(&mut self, one: T) {
        if self.0.last() != Some(&one) {
            self.0.push(one);
        }
    }

    pub(super) fn extend(&mut self, some: impl IntoIterator<Item = T>) {
        some.into_iter().for_each(|one| self.insert(one));
    }

    /// All of them, in no order, and some perhaps more than once.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    /// Takes all of them out, in their order, each once.
    pub(super) fn take(&mut self) -> Vec<T> {
        let mut all = std::mem::take(&mut self.0);
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// What is to be made anew.
#[derive(Default)]
pub(super) struct Touched {
    /// MAC addresses, with all their records.
    pub(super) stations: Gathered<(Vsid, MacAddress)>,
    /// Customer addresses, gateways' and link-local ones among them.
    pub(super) addresses: Gathered<(Vsid, IpAddr)>,
    /// Addresses on the wire of what is not encapsulated.
    pub(super) wires: BTreeSet<IpAddr>,
    /// Records that are no longer there.
    pub(super) gone: Vec<SharedKey>,
    pub(super) ports: BTreeSet<Name>,
    /// Provider addresses of hosts.
    pub(super) peers: Gathered<IpAddr>,
    pub(super) subnets: BTreeSet<Vsid>,
    /// Destinations of customer routes.
    pub(super) destinations: BTreeSet<(RoutingDomainId, IpNet)>,
    /// Something about the ports of physical networks.
    pub(super) physical: bool,
    /// Security groups that there may be something else to say about.
    pub(super) groups: BTreeSet<QualifiedName>,
}

/// The numbers of the routing domains, if a change makes them others.
pub(super) fn new_numbers(given: &Given, replaced: &[Replaced]) -> Option<BTreeMap<RoutingDomainId, u32>> {
    let before = replaced.iter().filter_map(|replaced| replaced.before.as_ref());
    let resources = before.chain(replaced.iter().filter_map(|replaced| given.intent.get_shared(&replaced.key)));
    let rdids: BTreeSet<RoutingDomainId> = resources
        .filter_map(|resource| match resource {
            Resource::CustomerRoute(route) => Some(route.rdid),
            _ => None,
        })
        .collect();
    let comes_or_goes =
        |rdid: &RoutingDomainId| given.intent.routes_of(*rdid).next().is_some() != given.numbers.contains_key(rdid);
    rdids.iter().any(comes_or_goes).then(|| domain_numbers(&given.intent))
}

impl Touched {
    /// The routing domains whose numbers are other ones: where two hashes met, one that comes or goes moves another.
    pub(super) fn domains(&mut self, context: &Context, old: Option<&BTreeMap<RoutingDomainId, u32>>) {
        let Some(old) = old else { return };
        for (rdid, number) in context.numbers {
            if old.get(rdid).is_some_and(|old| old != number) {
                for route in context.intent.routes_of(*rdid) {
                    self.destinations.insert((*rdid, route.prefix));
                    self.subnets.insert(route.vsid);
                }
            }
        }
    }

    /// What resources touch, as they were and as they are. Records are counted on the way.
    pub(super) fn resources(&mut self, context: &Context, state: &mut State, replaced: &[Replaced]) {
        for Replaced { key, before } in replaced {
            let after = context.intent.get_shared(key);
            if let Some(Resource::LookupRecord(record)) = before {
                if state.census.remove(context, key, record) {
                    self.subnets.insert(record.vsid);
                }
                if after.is_none() {
                    self.gone.push(key.clone());
                }
            }
            if let Some(Resource::LookupRecord(record)) = after
                && state.census.add(context, key, record)
            {
                self.subnets.insert(record.vsid);
            }
            for resource in before.iter().chain(after) {
                match resource {
                    Resource::LookupRecord(record) => self.record(record),
                    Resource::CustomerRoute(route) => self.route(context, route),
                    Resource::DhcpScope(scope) => self.scope(context, scope),
                    Resource::Port(port) => self.port(port),
                    Resource::RoutingDomain(domain) => self.domain(context, domain),
                    // These are about the host itself, and with them all tables are made anew.
                    Resource::ProviderAddress(_) | Resource::ProviderRoute(_) | Resource::Global(_) => {}
                    Resource::Migration(migration) => self.migration(context, migration),
                    // These are the gateway's, and the kernel programs have nothing of them.
                    Resource::Gateway(_) | Resource::Compartment(_) => {}
                    // What these touch is known already.
                    Resource::SecurityGroup(_) | Resource::AddressSet(_) => {}
                }
            }
        }
    }

    /// What security groups touch beside their own tables.
    pub(super) fn security(&mut self, touched: SecurityTouched) {
        self.ports.extend(touched.ports);
        self.stations.extend(touched.members);
        self.groups = touched.groups;
    }

    /// The links that are other than they were.
    pub(super) fn links(&mut self, context: &Context, links: &[(Name, Option<Link>)]) {
        for port in links.iter().filter_map(|(name, _)| context.intent.port_on(name)) {
            self.port(port);
        }
        let changed: BTreeSet<&Name> = links.iter().map(|(name, _)| name).collect();
        let joined = |port: &&Port| port.physical.as_ref().is_some_and(|to| changed.contains(&to.interface));
        for port in context.intent.ports().filter(joined) {
            self.port(port);
        }
    }

    fn record(&mut self, record: &LookupRecord) {
        self.stations.insert((record.vsid, record.mac));
        self.addresses.extend(record.customer_address.map(|address| (record.vsid, address)));
        self.wires.extend(on_wire(record).map(|(wire, _)| to_ip(wire)));
        self.peers.insert(record.provider_address);
    }

    /// Where a VM is that moves, who hears its subnet, and what its port may expect.
    fn migration(&mut self, context: &Context, migration: &Migration) {
        self.stations.insert((migration.vsid, migration.mac));
        self.subnets.insert(migration.vsid);
        self.peers.extend(migration.other());
        self.ports.extend(context.intent.port_at(migration.vsid, migration.mac).map(|port| port.name.clone()));
    }

    fn route(&mut self, context: &Context, route: &CustomerRoute) {
        self.destinations.insert((route.rdid, route.prefix));
        self.subnets.insert(route.vsid);
        self.addresses.extend(gateway_addresses(context, route).map(|address| (route.vsid, address)));
        for router in [Some(route.next_hop), route.gateway()].into_iter().flatten() {
            if let Some((_, router)) = context.intent.record_of(route.vsid, router) {
                self.stations.insert((router.vsid, router.mac));
            }
        }
    }

    /// How its frames travel: what its subnets say, and the MTU of its ports.
    fn domain(&mut self, context: &Context, domain: &RoutingDomain) {
        for route in context.intent.routes_of(domain.rdid) {
            self.subnets.insert(route.vsid);
            self.ports.extend(context.intent.ports_in(route.vsid).map(|port| port.name.clone()));
        }
    }

    fn scope(&mut self, context: &Context, scope: &DhcpScope) {
        match scope.vsid {
            Some(vsid) => self.ports.extend(context.intent.ports_in(vsid).map(|port| port.name.clone())),
            None => {
                let joined = context.intent.ports().filter(|port| port.physical == scope.physical);
                self.ports.extend(joined.map(|port| port.name.clone()));
            }
        }
    }

    fn port(&mut self, port: &Port) {
        self.ports.insert(port.name.clone());
        self.physical |= port.physical.is_some();
        self.subnets.extend(port.vsid);
        self.stations.extend(port.vsid.map(|vsid| (vsid, port.mac)));
    }
}
