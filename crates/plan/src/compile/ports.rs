//! The ports: which device each one has, its counters, and what it may do.

use std::collections::{BTreeMap, BTreeSet};

use model::Vsid;
use pipeline::meter::{Limit, MAX_BURST};
use pipeline::{MAX_PORTS, Port, PortFlags, Record, RecordFlags};

use super::records::station_key;
use super::underlay::OverlayMtu;
use super::{Compiled, Context, PortState, PortStatus, physical, port_key, underlay};
use crate::{Finding, Link, LinkKind};

/// Fills `PORTS`, after `STATIONS`.
pub(super) fn ports(context: &Context, compiled: &mut Compiled) {
    let mtu = underlay::overlay_mtu(context);
    let bound = context.intent.ports().filter_map(|port| context.facts.links.get(&port.device));
    let slots = slots(bound.map(|link| link.ifindex), &context.facts.slots);
    for port in context.intent.ports() {
        compiled.findings.extend(findings_of(context, port));
        let link = context.facts.links.get(&port.device);
        let state = link.map_or(PortState::NoDevice, |link| {
            let slot = slots.get(&link.ifindex).copied().unwrap_or(0);
            let key = port.vsid.map(|vsid| station_key(vsid, port.mac));
            let station = key.and_then(|key| compiled.tables.stations.get(&key));
            let entry = entry(context, station, port, link, slot);
            compiled.tables.ports.extend(entry.map(|entry| (link.ifindex, entry)));
            PortState::Bound { ifindex: link.ifindex, slot }
        });
        compiled.ports.insert(port.name.clone(), PortStatus { state, mtu: mtu_of(context, port, &mtu) });
    }
}

/// The largest network packet of a port's VM, `overlay` being those of ports with a VSID.
pub(crate) fn mtu_of(context: &Context, port: &model::Port, overlay: &OverlayMtu) -> Option<u32> {
    match &port.physical {
        Some(network) => physical::mtu(context, network),
        None => overlay.of(context.encapsulation(port.vsid?)),
    }
}

/// What there is to say about one port.
pub(crate) fn findings_of(context: &Context, port: &model::Port) -> Vec<Finding> {
    let mut findings = Vec::new();
    if port.mac == context.settings.gateway_mac {
        findings.push(Finding::GatewayMac { key: port_key(port), mac: port.mac });
    }
    let unknown = |vsid: &Vsid| context.intent.records_at(*vsid, port.mac).next().is_none();
    if let Some(vsid) = port.vsid.filter(unknown) {
        findings.push(Finding::NoRecord { key: port_key(port), vsid, mac: port.mac });
    }
    findings.extend(physical::finding_of(context, port));
    findings.extend(context.security.findings_of(context.intent, port));
    if !context.facts.links.contains_key(&port.device) {
        findings.push(Finding::NoDevice { key: port_key(port), device: port.device.clone() });
    }
    findings
}

/// The entry of a bound port, after `STATIONS`; none if it is joined to a physical network whose uplink is not there.
pub(crate) fn entry(
    context: &Context,
    station: Option<&Record>,
    port: &model::Port,
    link: &Link,
    slot: u32,
) -> Option<Port> {
    let network = port.physical.as_ref().map(|network| physical::number(context, network));
    let has = |flag| station.is_some_and(|station| station.flags.has(flag));
    let of_network = port.vsid.map(|vsid| context.limits(vsid)).unwrap_or_default();
    let is_limited = [port.limits, of_network]
        .iter()
        .flat_map(|limits| [limits.egress, limits.ingress])
        .any(|declared| limit(declared).is_set());
    let migration = port.vsid.and_then(|vsid| context.intent.migration_of(vsid, port.mac));
    let awaits = migration.and_then(|migration| migration.to).is_some_and(|to| context.own.contains(&to));
    let flags = [
        (matches!(link.kind, LinkKind::Veth { peer_in_other_namespace: true }), PortFlags::PEER),
        // In a physical network a port without addresses may have any that no other port has.
        (has(RecordFlags::L2_ONLY) || network.is_some() && port.addresses.is_empty(), PortFlags::LEARN),
        (has(RecordFlags::FORWARDER), PortFlags::FORWARDER),
        (scoped(context, port, true), PortFlags::DHCP),
        (scoped(context, port, false), PortFlags::DHCP_V6),
        (is_limited, PortFlags::LIMITED),
        (awaits, PortFlags::AWAITS),
    ];
    Some(Port {
        // Without its uplink the port is in no network, and what its VM sends must not reach the host's stack instead.
        vsid: match network {
            Some(network) => network?,
            None => port.vsid.map_or(0, model::Vsid::get),
        },
        domain: port.vsid.map_or(0, |vsid| context.domain(vsid)),
        slot,
        mac: port.mac.octets(),
        flags: flags.into_iter().filter(|(set, _)| *set).fold(PortFlags::NONE, |all, (_, flag)| all.with(flag)),
        mtu: port.physical.as_ref().and_then(|network| physical::mtu(context, network)).unwrap_or(0),
        policy: context.security.policy(&port.name),
        egress: limit(port.limits.egress),
        ingress: limit(port.limits.ingress),
    })
}

/// A limit as the tables have it. Without a burst it is what passes in 300 ms, and 256 kB or 64 packets at least.
///
/// A TCP whose packets go a short way fills whatever burst there is within milliseconds, then loses all that it has under way,
/// and is silent until its retransmission timer ends: 200 ms (Linux, `TCP_RTO_MIN`). The burst must hold what may pass
/// meanwhile, or it never reaches the rate; 256 kB hold some of the largest frames that stand for many segments.
pub(crate) fn limit(declared: Option<model::Limit>) -> Limit {
    const BURST_MS: u64 = 300;
    const LEAST_BURST: u32 = 256_000;
    const LEAST_PACKETS: u32 = 64;
    let Some(declared) = declared else { return Limit::default() };
    let bandwidth = declared.bandwidth.map_or(0, model::Bandwidth::kilobits);
    let packets = declared.packets.map_or(0, std::num::NonZeroU32::get);
    let usual = |a_second: u64| u32::try_from(a_second * BURST_MS / 1000).unwrap_or(MAX_BURST).min(MAX_BURST);
    Limit {
        bandwidth,
        burst: declared.burst.map_or(usual(u64::from(bandwidth) * 125).max(LEAST_BURST), model::ByteSize::bytes),
        packets,
        packet_burst: usual(packets.into()).max(LEAST_PACKETS),
    }
}

/// Whether the port's network has a DHCP scope of the family.
fn scoped(context: &Context, port: &model::Port, v4: bool) -> bool {
    context.intent.scopes(port.vsid, port.physical.as_ref()).any(|scope| scope.prefix.addr().is_ipv4() == v4)
}

/// The counter slot of each port, by the interface index of its device.
///
/// A port that has a slot keeps it; the others take the lowest free ones from 1. When all are taken the rest has slot
/// 0, which counts for nobody; such an intent is refused for its number of ports.
pub(crate) fn slots(bound: impl Iterator<Item = u32>, in_force: &BTreeMap<u32, u32>) -> BTreeMap<u32, u32> {
    let bound: BTreeSet<u32> = bound.collect();
    let mut taken = BTreeSet::new();
    let mut slots = BTreeMap::new();
    for ifindex in &bound {
        if let Some(slot) = in_force.get(ifindex).copied().filter(|slot| (1..MAX_PORTS).contains(slot))
            && taken.insert(slot)
        {
            slots.insert(*ifindex, slot);
        }
    }
    let mut free = (1..MAX_PORTS).filter(|slot| !taken.contains(slot));
    for ifindex in bound {
        slots.entry(ifindex).or_insert_with(|| free.next().unwrap_or(0));
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_keep_their_slots_and_new_ones_take_the_lowest_free() {
        let in_force = BTreeMap::from([(10, 3), (11, 1), (12, 3), (13, 0), (14, MAX_PORTS), (99, 2)]);
        // 12 lost its slot to 10, 13 and 14 have none that exists, 15 is new, and 99 is gone.
        let expected = BTreeMap::from([(10, 3), (11, 1), (12, 2), (13, 4), (14, 5), (15, 6)]);
        assert_eq!(slots([10, 11, 12, 13, 14, 15].into_iter(), &in_force), expected);
        assert_eq!(slots(expected.keys().copied(), &expected), expected);
    }

    #[test]
    fn beyond_the_last_slot_nobody_is_counted() {
        let slots = slots(1..=MAX_PORTS, &BTreeMap::new());
        assert_eq!((slots[&1], slots[&(MAX_PORTS - 1)], slots[&MAX_PORTS]), (1, MAX_PORTS - 1, 0));
    }
}
