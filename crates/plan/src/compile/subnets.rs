//! The VM subnets: how customer routes lead to them, who hears their broadcasts, and who their gateway is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use model::{
    CustomerRoute, Encapsulation, Intent, LookupRecordType, Migration, RoutingDomainId, TranslationMethod, Vsid,
};
use pipeline::{Address, MAX_REPLICAS, Replica, ReplicaKey, Route, RouteFlags, RouteKey, Subnet, SubnetFlags};

use super::ports::limit;
use super::{Compiled, Context};
use crate::{Finding, to_address, to_ip};

/// Fills `ROUTES`: of the routes to one prefix of a routing domain the one with the lowest metric, then the one with
/// the lowest VSID, then the one with the lowest next hop.
pub(super) fn routes(context: &Context, compiled: &mut Compiled) {
    let mut best = BTreeMap::<(RoutingDomainId, ipnet::IpNet), &CustomerRoute>::new();
    for route in context.intent.customer_routes() {
        best.entry((route.rdid, route.prefix))
            .and_modify(|winner| {
                if order(route) < order(winner) {
                    *winner = route;
                }
            })
            .or_insert(route);
    }
    for route in best.into_values() {
        let (key, value) = entry(context, route);
        compiled.tables.routes.insert(key, value);
    }
}

/// Of two routes to one prefix of a routing domain the lower one is taken.
pub(crate) const fn order(route: &CustomerRoute) -> (u32, Vsid, IpAddr) {
    (route.metric, route.vsid, route.next_hop)
}

/// The key of a prefix in the domain with this number.
pub(crate) fn route_key(domain: u32, prefix: IpNet) -> RouteKey {
    let mapped = if prefix.addr().is_ipv4() { 96 } else { 0 };
    RouteKey {
        prefix_len: RouteKey::DOMAIN_BITS + mapped + u32::from(prefix.prefix_len()),
        domain: domain.to_be_bytes(),
        address: to_address(prefix.network()),
    }
}

/// The entry of the route that is taken to its prefix.
pub(crate) fn entry(context: &Context, route: &CustomerRoute) -> (RouteKey, Route) {
    let flags = if route.is_on_link() { RouteFlags::ON_LINK } else { RouteFlags::NONE };
    let value = Route { vsid: route.vsid.get(), flags, next_hop: to_address(route.next_hop) };
    (route_key(context.numbers[&route.rdid], route.prefix), value)
}

/// What is gathered about one subnet.
#[derive(Default)]
pub(crate) struct Members {
    pub(crate) learn: bool,
    /// Interface indexes of the ports of this host.
    pub(crate) ports: BTreeSet<u32>,
    /// Provider addresses of the other hosts, IPv4 before IPv6.
    pub(crate) hosts: BTreeSet<IpAddr>,
    pub(crate) gateway_v4: Option<IpAddr>,
    pub(crate) gateway_v6: Option<IpAddr>,
}

impl Members {
    /// Adds the other place of a VM that moves: what all of the subnet hear is heard at both.
    pub(crate) fn move_to(&mut self, context: &Context, migration: &Migration) {
        self.hosts.extend(migration.other().filter(|other| !context.own.contains(other)));
    }

    /// Adds what a customer route of the subnet says.
    pub(crate) fn add(&mut self, intent: &Intent, route: &CustomerRoute) {
        let Some(gateway) = intent.gateway(route) else { return };
        let known = if gateway.is_ipv4() { &mut self.gateway_v4 } else { &mut self.gateway_v6 };
        // A subnet with several prefixes speaks from the lowest of its gateways.
        *known = Some(known.map_or(gateway, |known| known.min(gateway)));
    }
}

/// Fills `SUBNETS` and `REPLICAS`, after `PORTS`.
pub(super) fn subnets(context: &Context, compiled: &mut Compiled) {
    for (vsid, members) in members(context) {
        let (subnet, replicas, finding) = entries(context, vsid, &members);
        for (index, replica) in (0..).zip(replicas) {
            compiled.tables.replicas.insert(ReplicaKey { vsid: vsid.get(), index }, replica);
        }
        compiled.tables.subnets.insert(vsid.get(), subnet);
        compiled.findings.extend(finding);
    }
}

/// The entries of a subnet, and whom its broadcasts do not reach.
pub(crate) fn entries(context: &Context, vsid: Vsid, members: &Members) -> (Subnet, Vec<Replica>, Option<Finding>) {
    let mut replicas = replicas(members);
    let kept = replicas.len().min(MAX_REPLICAS as usize);
    let beyond = replicas.split_off(kept);
    let finding = (!beyond.is_empty()).then(|| {
        let left_out = beyond.iter().map(|replica| name_of(context, vsid, replica)).collect();
        Finding::TooManyReplicas { vsid, limit: MAX_REPLICAS, left_out }
    });
    let learn = if members.learn { SubnetFlags::LEARN } else { SubnetFlags::NONE };
    let limits = context.limits(vsid);
    let subnet = Subnet {
        domain: context.domain(vsid),
        flags: flags(context.encapsulation(vsid)).with(learn),
        replicas: kept as u32,
        local_replicas: members.ports.len().min(kept) as u32,
        gateway_v4: members.gateway_v4.map(to_address).unwrap_or_default(),
        gateway_v6: members.gateway_v6.map(to_address).unwrap_or_default(),
        egress: limit(limits.egress),
        ingress: limit(limits.ingress),
    };
    (subnet, replicas, finding)
}

/// What says how frames travel to other hosts.
const fn flags(encapsulation: Encapsulation) -> SubnetFlags {
    match encapsulation {
        Encapsulation::Nvgre => SubnetFlags::NONE,
        Encapsulation::Vxlan => SubnetFlags::VXLAN,
        Encapsulation::Geneve => SubnetFlags::GENEVE,
    }
}

fn members(context: &Context) -> BTreeMap<Vsid, Members> {
    let mut subnets = BTreeMap::<Vsid, Members>::new();
    for route in context.intent.customer_routes() {
        subnets.entry(route.vsid).or_default().add(context.intent, route);
    }
    for record in context.intent.lookup_records() {
        let members = subnets.entry(record.vsid).or_default();
        members.learn |= record.record_type == LookupRecordType::L2Only;
        // A frame to a group cannot be translated; only encapsulated does it keep its subnet.
        if record.rule == TranslationMethod::Encap && !context.is_local(record) {
            members.hosts.insert(record.provider_address);
        }
    }
    for migration in context.intent.migrations() {
        subnets.entry(migration.vsid).or_default().move_to(context, migration);
    }
    for port in context.intent.ports() {
        let Some(vsid) = port.vsid else { continue };
        let members = subnets.entry(vsid).or_default();
        members.ports.extend(context.facts.links.get(&port.device).map(|link| link.ifindex));
    }
    subnets
}

fn replicas(members: &Members) -> Vec<Replica> {
    let ports = members.ports.iter().map(|ifindex| Replica { ifindex: *ifindex, provider: Address::default() });
    let hosts = members.hosts.iter().map(|provider| Replica { ifindex: 0, provider: to_address(*provider) });
    ports.chain(hosts).collect()
}

/// A replica as the operator knows it.
fn name_of(context: &Context, vsid: Vsid, replica: &Replica) -> String {
    if replica.ifindex == 0 {
        return format!("host {}", to_ip(replica.provider));
    }
    let is_it =
        |port: &&model::Port| context.facts.links.get(&port.device).is_some_and(|link| link.ifindex == replica.ifindex);
    let port = context.intent.ports_in(vsid).find(is_it);
    port.map_or_else(|| format!("interface {}", replica.ifindex), |port| format!("port {}", port.name))
}
