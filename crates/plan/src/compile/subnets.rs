//! The VM subnets: how customer routes lead to them, who hears their broadcasts, and who their gateway is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{CustomerRoute, LookupRecordType, RoutingDomainId, TranslationMethod, Vsid};
use pipeline::{Address, MAX_REPLICAS, Replica, ReplicaKey, Route, RouteFlags, RouteKey, Subnet, SubnetFlags};

use super::{Compiled, Context};
use crate::{Finding, to_address, to_ip};

/// Fills `ROUTES`: of the routes to one prefix of a routing domain the one with the lowest metric, then the one with
/// the lowest VSID, then the one with the lowest next hop.
pub(super) fn routes(context: &Context, compiled: &mut Compiled) {
    let mut best = BTreeMap::<(RoutingDomainId, ipnet::IpNet), &CustomerRoute>::new();
    for route in context.intent.customer_routes() {
        let order = |route: &CustomerRoute| (route.metric, route.vsid, route.next_hop);
        best.entry((route.rdid, route.prefix))
            .and_modify(|winner| {
                if order(route) < order(winner) {
                    *winner = route;
                }
            })
            .or_insert(route);
    }
    for ((rdid, prefix), route) in best {
        let mapped = if prefix.addr().is_ipv4() { 96 } else { 0 };
        let key = RouteKey {
            prefix_len: RouteKey::DOMAIN_BITS + mapped + u32::from(prefix.prefix_len()),
            domain: context.numbers[&rdid].to_be_bytes(),
            address: to_address(prefix.network()),
        };
        let flags = if route.is_on_link() { RouteFlags::ON_LINK } else { RouteFlags::NONE };
        let value = Route { vsid: route.vsid.get(), flags, next_hop: to_address(route.next_hop) };
        compiled.tables.routes.insert(key, value);
    }
}

/// What is gathered about one subnet.
#[derive(Default)]
struct Members {
    learn: bool,
    /// Interface indexes of the ports of this host.
    ports: BTreeSet<u32>,
    /// Provider addresses of the other hosts, IPv4 before IPv6.
    hosts: BTreeSet<IpAddr>,
    gateway_v4: Option<IpAddr>,
    gateway_v6: Option<IpAddr>,
}

/// Fills `SUBNETS` and `REPLICAS`, after `PORTS`.
pub(super) fn subnets(context: &Context, compiled: &mut Compiled) {
    for (vsid, members) in members(context) {
        let replicas = replicas(&members);
        let kept = replicas.len().min(MAX_REPLICAS as usize);
        if replicas.len() > kept {
            let left_out = replicas[kept..].iter().map(|replica| name_of(context, replica)).collect();
            compiled.findings.push(Finding::TooManyReplicas { vsid, limit: MAX_REPLICAS, left_out });
        }
        for (index, replica) in (0..).zip(replicas[..kept].iter().copied()) {
            compiled.tables.replicas.insert(ReplicaKey { vsid: vsid.get(), index }, replica);
        }
        let subnet = Subnet {
            domain: context.domain(vsid),
            flags: if members.learn { SubnetFlags::LEARN } else { SubnetFlags::NONE },
            replicas: kept as u32,
            local_replicas: members.ports.len().min(kept) as u32,
            gateway_v4: members.gateway_v4.map(to_address).unwrap_or_default(),
            gateway_v6: members.gateway_v6.map(to_address).unwrap_or_default(),
        };
        compiled.tables.subnets.insert(vsid.get(), subnet);
    }
}

fn members(context: &Context) -> BTreeMap<Vsid, Members> {
    let mut subnets = BTreeMap::<Vsid, Members>::new();
    for route in context.intent.customer_routes() {
        let members = subnets.entry(route.vsid).or_default();
        if let Some(gateway) = route.gateway() {
            let known = if gateway.is_ipv4() { &mut members.gateway_v4 } else { &mut members.gateway_v6 };
            // A subnet with several prefixes speaks from the lowest of its gateways.
            *known = Some(known.map_or(gateway, |known| known.min(gateway)));
        }
    }
    for record in context.intent.lookup_records() {
        let members = subnets.entry(record.vsid).or_default();
        members.learn |= record.record_type == LookupRecordType::L2Only;
        // A frame to a group cannot be translated; only encapsulated does it keep its subnet.
        if record.rule == TranslationMethod::Encap && !context.is_local(record) {
            members.hosts.insert(record.provider_address);
        }
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
fn name_of(context: &Context, replica: &Replica) -> String {
    if replica.ifindex == 0 {
        return format!("host {}", to_ip(replica.provider));
    }
    let device = context.facts.links.iter().find(|(_, link)| link.ifindex == replica.ifindex).map(|(name, _)| name);
    let port = context.intent.ports().find(|port| Some(&port.device) == device);
    port.map_or_else(|| format!("interface {}", replica.ifindex), |port| format!("port {}", port.name))
}
