//! What a step makes of customer routes, subnets and other hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{Key, Kind, Resource, RoutingDomainId, Vsid};
use pipeline::{PeerKey, ReplicaKey};

use super::Place;
use super::step::Step;
use crate::compile::Context;
use crate::compile::subnets::{Members, entries, entry, route_key};
use crate::compile::underlay::{finding_of_peer, ways};
use crate::{best_route, to_address};

/// The first migration to or from a host that is another one.
fn first_move_to(context: &Context, provider: IpAddr) -> Option<Key> {
    if context.own.contains(&provider) {
        return None;
    }
    let first = context.intent.migrations().find(|migration| migration.other() == Some(provider))?;
    Some(Resource::Migration(*first).key())
}

impl Step<'_> {
    /// `ROUTES`: the best route to each destination that is touched.
    pub(super) fn routes(&mut self, old_numbers: &BTreeMap<RoutingDomainId, u32>) {
        let destinations = std::mem::take(&mut self.touched.destinations);
        // All keys that were go first: the number of one domain may now be another one's.
        for (rdid, prefix) in &destinations {
            if let Some(number) = old_numbers.get(rdid) {
                self.edits.routes.set(route_key(*number, *prefix), None);
            }
        }
        for (rdid, prefix) in destinations {
            if let Some(best) = best_route(self.context.intent, rdid, prefix) {
                let (key, value) = entry(self.context, best);
                self.edits.routes.set(key, Some(value));
            }
        }
    }

    /// `PEERS`: the hosts that records lead to.
    pub(super) fn peers(&mut self) {
        for provider in self.touched.peers.take() {
            let leads = self.state.census.leads_to(provider) || first_move_to(self.context, provider).is_some();
            let ways = if leads { ways(self.context, provider) } else { Vec::new() };
            let key = |path| PeerKey { provider: to_address(provider), path };
            let before = self.state.tables.peers.get(&key(0)).map_or(0, |peer| u32::from(peer.paths));
            for path in 0..before.max(ways.len() as u32) {
                self.edits.peers.set(key(path), ways.get(path as usize).copied());
            }
            let finding = leads.then(|| finding_of_peer(self.context, provider, || self.first_to(provider))).flatten();
            self.find(Place::Peer(provider), finding.into_iter().collect());
        }
    }

    /// The first record that leads to a host.
    fn first_to(&self, provider: IpAddr) -> Option<Key> {
        let records = self.context.intent.records_to(provider);
        let elsewhere = records.filter(|(_, record)| !self.context.is_local(record)).map(|(key, _)| key);
        let moves = || first_move_to(self.context, provider);
        elsewhere.min().map(|key| Key::clone(key)).or_else(moves)
    }

    /// The subnets whose routing domain has come, gone, or has another number: their ports name it too.
    pub(super) fn domains(&mut self) {
        for vsid in &self.touched.subnets {
            let before = self.state.tables.subnets.get(&vsid.get()).map_or(0, |subnet| subnet.domain);
            if before != self.context.domain(*vsid) {
                self.touched.ports.extend(self.context.intent.ports_in(*vsid).map(|port| port.name.clone()));
            }
        }
    }

    /// `SUBNETS` and `REPLICAS`, after `PORTS`.
    pub(super) fn subnets(&mut self) {
        for vsid in std::mem::take(&mut self.touched.subnets) {
            let made = self.members(vsid).map(|members| entries(self.context, vsid, &members));
            let (subnet, replicas, finding) = match made {
                Some((subnet, replicas, finding)) => (Some(subnet), replicas, finding),
                None => (None, Vec::new(), None),
            };
            let before = self.state.tables.subnets.get(&vsid.get()).map_or(0, |subnet| subnet.replicas);
            for index in 0..before.max(replicas.len() as u32) {
                let replica = replicas.get(index as usize).copied();
                self.edits.replicas.set(ReplicaKey { vsid: vsid.get(), index }, replica);
            }
            self.edits.subnets.set(vsid.get(), subnet);
            self.find(Place::Subnet(vsid), finding.into_iter().collect());
        }
    }

    /// What is in a subnet; `None` if nothing names it.
    fn members(&self, vsid: Vsid) -> Option<Members> {
        let counts = self.state.census.of(vsid);
        let mut members = Members {
            learn: counts.is_some_and(|counts| counts.l2_only > 0),
            hosts: counts.map(|counts| counts.hosts.keys().copied().collect()).unwrap_or_default(),
            ..Members::default()
        };
        let mut named = counts.is_some();
        for migration in self.context.intent.migrations_in(vsid) {
            members.move_to(self.context, migration);
            named = true;
        }
        for port in self.context.intent.ports_in(vsid) {
            members.ports.extend(self.context.facts.links.get(&port.device).map(|link| link.ifindex));
            named = true;
        }
        for (_, resource) in self.context.intent.in_subnet(Kind::CustomerRoute, vsid) {
            if let Resource::CustomerRoute(route) = resource {
                members.add(self.context.intent, route);
                named = true;
            }
        }
        named.then_some(members)
    }

    /// The subnets in which IPv6 begins or ends to be spoken: the link-local addresses of all their stations.
    pub(super) fn speaking(&mut self) {
        let mut vsids: BTreeSet<Vsid> = self.touched.stations.iter().map(|(vsid, _)| *vsid).collect();
        vsids.extend(&self.touched.subnets);
        for vsid in vsids {
            let routes = || self.context.intent.on_link_routes(vsid).any(|route| route.prefix.addr().is_ipv6());
            let speaks = self.state.census.of(vsid).is_some_and(|counts| counts.v6 > 0) || routes();
            if speaks != self.state.speaking.contains(&vsid) {
                self.link_locals_of(vsid);
            }
            if speaks {
                self.state.speaking.insert(vsid);
            } else {
                self.state.speaking.remove(&vsid);
            }
        }
    }
}
