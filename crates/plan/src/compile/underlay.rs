//! The underlay: this host's provider addresses, the way to each other host, and the MTU that is left for VMs.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use model::{Key, LookupRecord, ProviderAddress, ProviderRoute, Resource};
use pipeline::{Peer, PeerFlags, Provider};

use super::{Compiled, Context, record_key};
use crate::{Finding, Link, to_address};

/// Bytes that NVGRE adds to a VM's network packet in IPv4: outer IP 20, GRE with key 8, inner Ethernet 14 (RFC 7637).
const OVERHEAD_V4: u32 = 20 + 8 + 14;
/// The same in IPv6, whose header is 40 bytes long.
const OVERHEAD_V6: u32 = 40 + 8 + 14;

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

/// The largest network packet of a VM that fits into the underlay through each of the host's provider addresses.
///
/// All of them count, whether or not a peer is reached from them today, because a VM's MTU must not change when
/// another host joins.
pub(crate) fn port_mtu(context: &Context) -> Option<u32> {
    let through = |provider: &ProviderAddress| {
        let link = context.facts.links.get(&provider.interface)?;
        Some(link.mtu.saturating_sub(if provider.address.is_ipv4() { OVERHEAD_V4 } else { OVERHEAD_V6 }))
    };
    context.intent.provider_addresses().filter_map(through).min()
}

/// Fills `PEERS`.
pub(super) fn peers(context: &Context, compiled: &mut Compiled) {
    let mut remotes = BTreeMap::<IpAddr, &LookupRecord>::new();
    for record in context.intent.lookup_records().filter(|record| !context.is_local(record)) {
        remotes.entry(record.provider_address).or_insert(record);
    }
    for (provider, record) in remotes {
        compiled.tables.peers.extend(peer(context, provider).map(|peer| (to_address(provider), peer)));
        compiled.findings.extend(finding_of_peer(context, provider, || Some(record_key(record))));
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

/// The way to another host; `None` if this one has no address of that family on an interface that exists.
pub(crate) fn peer(context: &Context, remote: IpAddr) -> Option<Peer> {
    let candidates = || {
        let family = context.intent.provider_addresses().filter(|own| own.address.is_ipv4() == remote.is_ipv4());
        family.filter_map(|own| Some((own, context.facts.links.get(&own.interface)?)))
    };
    // Among the addresses whose prefix contains it the most specific one is meant, then the lowest.
    let on_link = candidates()
        .filter(|(own, _)| prefix_of(own).is_some_and(|prefix| prefix.contains(&remote)))
        .min_by_key(|(own, _)| (std::cmp::Reverse(own.prefix_length), own.address));
    if let Some((own, link)) = on_link {
        return Some(to_peer(own, link, Some(remote)));
    }
    let lowest = candidates().min_by_key(|(own, _)| own.address);
    let Some((route, uplink)) = best_route(context, remote) else {
        return lowest.map(|(own, link)| to_peer(own, link, None));
    };
    let on_uplink = candidates().filter(|(own, _)| own.interface == route.interface).min_by_key(|(own, _)| own.address);
    on_uplink.or(lowest).map(|(own, _)| to_peer(own, uplink, Some(route.next_hop)))
}

fn prefix_of(own: &ProviderAddress) -> Option<IpNet> {
    IpNet::new(own.address, own.prefix_length).ok()
}

/// The provider route with the longest prefix, then the lowest metric, whose interface exists.
fn best_route<'a>(context: &Context<'a>, remote: IpAddr) -> Option<(&'a ProviderRoute, &'a Link)> {
    let matching = context.intent.provider_routes().filter(|route| route.prefix.contains(&remote));
    matching
        .filter_map(|route| Some((route, context.facts.links.get(&route.interface)?)))
        .min_by_key(|(route, _)| (std::cmp::Reverse(route.prefix.prefix_len()), route.metric, route.next_hop))
}

fn to_peer(own: &ProviderAddress, uplink: &Link, next_hop: Option<IpAddr>) -> Peer {
    Peer {
        local: to_address(own.address),
        next_hop: next_hop.map(to_address).unwrap_or_default(),
        uplink: uplink.ifindex,
        mtu: uplink.mtu,
        flags: if next_hop.is_some() { PeerFlags::NEXT_HOP } else { PeerFlags::NONE },
    }
}
