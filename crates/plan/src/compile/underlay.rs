//! The underlay: this host's provider addresses, the way to each other host, and the MTU that is left for VMs.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use model::{Encapsulation, Key, LookupRecord, ProviderAddress, ProviderRoute, Resource};
use pipeline::encapsulation::overhead;
use pipeline::{MAX_PATHS, Peer, PeerFlags, PeerKey, Provider};

use super::{Compiled, Context, record_key};
use crate::{Finding, Link, to_address};

const _: () = assert!(model::MAX_PATHS == MAX_PATHS as usize);

/// Fills `PROVIDERS`.
pub(super) fn providers(context: &Context, compiled: &mut Compiled) {
    for provider in context.intent.provider_addresses() {
        let key = || Resource::ProviderAddress(provider.clone()).key();
        let interface = provider.interface.clone();
        let Some(link) = context.facts.links.get(&interface) else {
            compiled.findings.push(Finding::NoInterface { key: key(), interface });
            continue;
        };
        if !link.addresses.iter().any(|present| present.addr() == provider.address) {
            let (address, prefix_length, present) = (provider.address, provider.prefix_length, link.addresses.clone());
            let finding = Finding::AddressNotOnInterface { key: key(), interface, address, prefix_length, present };
            compiled.findings.push(finding);
        }
        compiled.tables.providers.insert(to_address(provider.address), Provider { uplink: link.ifindex });
    }
    for route in context.intent.provider_routes() {
        if !context.facts.links.contains_key(&route.interface) {
            let key = Resource::ProviderRoute(route.clone()).key();
            compiled.findings.push(Finding::NoInterface { key, interface: route.interface.clone() });
        }
    }
}

/// The underlay's MTU in each family: the least of all uplinks by which a host may be reached in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OverlayMtu {
    v4: Option<u32>,
    v6: Option<u32>,
}

impl OverlayMtu {
    /// The largest network packet of a VM that fits into the underlay in an encapsulation, in either family.
    pub(crate) fn of(&self, encapsulation: Encapsulation) -> Option<u32> {
        let encapsulation = match encapsulation {
            Encapsulation::Nvgre => pipeline::Encapsulation::Nvgre,
            Encapsulation::Vxlan => pipeline::Encapsulation::Vxlan,
            Encapsulation::Geneve => pipeline::Encapsulation::Geneve,
        };
        let left = |mtu: u32, v4| mtu.saturating_sub(overhead(encapsulation, v4));
        let families = [self.v4.map(|mtu| left(mtu, true)), self.v6.map(|mtu| left(mtu, false))];
        families.into_iter().flatten().min()
    }
}

/// The underlay's MTU through all of the host's provider addresses and provider routes.
///
/// All of them count, whether or not a peer is reached by them today, because a VM's MTU must not change when
/// another host joins.
pub(crate) fn overlay_mtu(context: &Context) -> OverlayMtu {
    let least = |v4: bool| {
        let addresses = context.intent.provider_addresses().filter(|own| own.address.is_ipv4() == v4);
        let routes = context.intent.provider_routes().filter(|route| route.next_hop.is_ipv4() == v4);
        let mut addresses = addresses.map(|own| &own.interface).peekable();
        // Without an address of the family no host is reached in it.
        addresses.peek()?;
        let uplinks = addresses.chain(routes.map(|route| &route.interface));
        uplinks.filter_map(|uplink| context.facts.links.get(uplink)).map(|link| link.mtu).min()
    };
    OverlayMtu { v4: least(true), v6: least(false) }
}

/// Fills `PEERS`.
pub(super) fn peers(context: &Context, compiled: &mut Compiled) {
    let mut remotes = BTreeMap::<IpAddr, &LookupRecord>::new();
    for record in context.intent.lookup_records().filter(|record| !context.is_local(record)) {
        remotes.entry(record.provider_address).or_insert(record);
    }
    let mut remotes: BTreeMap<IpAddr, Key> =
        remotes.into_iter().map(|(provider, record)| (provider, record_key(record))).collect();
    for migration in context.intent.migrations() {
        if let Some(other) = migration.other().filter(|other| !context.own.contains(other)) {
            remotes.entry(other).or_insert_with(|| Resource::Migration(*migration).key());
        }
    }
    for (provider, named_by) in remotes {
        let key = |path| PeerKey { provider: to_address(provider), path };
        compiled.tables.peers.extend((0..).map(key).zip(ways(context, provider)));
        compiled.findings.extend(finding_of_peer(context, provider, || Some(named_by)));
    }
}

/// What there is to say about the way to another host. An absent uplink has a finding already; this one is about what
/// was not declared.
pub(crate) fn finding_of_peer(
    context: &Context,
    provider: IpAddr,
    key: impl FnOnce() -> Option<Key>,
) -> Option<Finding> {
    let declared = context.own.iter().any(|own| own.is_ipv4() == provider.is_ipv4());
    if declared { None } else { Some(Finding::NoLocalAddress { key: key()?, provider }) }
}

/// The ways to another host, none if this one has no address of that family on an interface that exists. There are
/// several where provider routes to one prefix have one metric; they all have one source, by which the other host knows
/// this one, and the smallest of their MTUs.
pub(crate) fn ways(context: &Context, remote: IpAddr) -> Vec<Peer> {
    let candidates = || {
        let family = context.intent.provider_addresses().filter(|own| own.address.is_ipv4() == remote.is_ipv4());
        family.filter_map(|own| Some((own, context.facts.links.get(&own.interface)?)))
    };
    // Among the addresses whose prefix contains it the most specific one is meant, then the lowest.
    let on_link = candidates()
        .filter(|(own, _)| prefix_of(own).is_some_and(|prefix| prefix.contains(&remote)))
        .min_by_key(|(own, _)| (Reverse(own.prefix_length), own.address));
    if let Some((own, link)) = on_link {
        return vec![to_peer(own, link, Some(remote))];
    }
    let lowest = candidates().min_by_key(|(own, _)| own.address);
    let routes = best_routes(context, remote);
    let Some((first, _)) = routes.first() else {
        return lowest.map(|(own, link)| to_peer(own, link, None)).into_iter().collect();
    };
    let on_uplink = candidates().filter(|(own, _)| own.interface == first.interface).min_by_key(|(own, _)| own.address);
    let Some((own, _)) = on_uplink.or(lowest) else { return Vec::new() };
    let (paths, mtu) = (routes.len() as u16, routes.iter().map(|(_, uplink)| uplink.mtu).min());
    let way = |(route, uplink): (&ProviderRoute, &Link)| to_peer(own, uplink, Some(route.next_hop));
    routes.into_iter().map(way).map(|way| Peer { paths, mtu: mtu.unwrap_or(way.mtu), ..way }).collect()
}

fn prefix_of(own: &ProviderAddress) -> Option<IpNet> {
    IpNet::new(own.address, own.prefix_length).ok()
}

/// The provider routes with the longest prefix, then the lowest metric, whose interface exists, in the order of their next
/// hops. An interface that is down, or without a carrier, is one of them only if all are: a path that fails is left, and
/// its flows take the others.
fn best_routes<'a>(context: &Context<'a>, remote: IpAddr) -> Vec<(&'a ProviderRoute, &'a Link)> {
    let cost = |route: &ProviderRoute, link: &Link| (!link.up, Reverse(route.prefix.prefix_len()), route.metric);
    let matching = context.intent.provider_routes().filter(|route| route.prefix.contains(&remote));
    let usable = matching.filter_map(|route| Some((route, context.facts.links.get(&route.interface)?)));
    let mut usable: Vec<_> = usable.collect();
    let best = usable.iter().map(|(route, link)| cost(route, link)).min();
    usable.retain(|(route, link)| Some(cost(route, link)) == best);
    usable.sort_by_key(|(route, _)| (route.next_hop, &route.interface));
    usable.truncate(MAX_PATHS as usize);
    usable
}

fn to_peer(own: &ProviderAddress, uplink: &Link, next_hop: Option<IpAddr>) -> Peer {
    Peer {
        local: to_address(own.address),
        next_hop: next_hop.map(to_address).unwrap_or_default(),
        uplink: uplink.ifindex,
        mtu: uplink.mtu,
        flags: if next_hop.is_some() { PeerFlags::NEXT_HOP } else { PeerFlags::NONE },
        paths: 1,
    }
}
