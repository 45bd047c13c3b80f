//! The lookup records: where each customer address and each MAC address is, and what stands for it on the wire.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use model::{
    CustomerRoute, Intent, Key, Kind, LookupRecord, LookupRecordType, MacAddress, Resource, TranslationMethod, Vsid,
};
use pipeline::moves::{Move, MoveFlags};
use pipeline::{Address, Plain, Record, RecordFlags, RecordKey, StationKey};

use super::{Compiled, Context, Station, port_key};
use crate::{Finding, to_address};

/// Whether a record makes its MAC address one that forwards for others: a gateway, a VM that is the next hop of a customer
/// route, or a router in place of the hosts.
pub(crate) fn forwards(intent: &Intent, record: &LookupRecord) -> bool {
    record.record_type == LookupRecordType::GatewayWildcard
        || record.customer_address.is_some_and(|address| {
            intent.is_next_hop(record.vsid, address) || intent.is_external_router(record.vsid, address)
        })
}

/// Fills `RECORDS`, `STATIONS` and `PLAIN`.
pub(super) fn records(context: &Context, compiled: &mut Compiled) {
    let mut stations = BTreeMap::<(Vsid, MacAddress), (Station, Record)>::new();
    for (key, resource) in context.intent.of_kind(Kind::LookupRecord) {
        let Resource::LookupRecord(record) = resource else { continue };
        let entry = match stations.entry((record.vsid, record.mac)) {
            Entry::Vacant(vacant) => {
                let station = context.station(record.vsid, record.mac);
                let entry = entry(context, &station, record);
                vacant.insert((station, entry)).1
            }
            Entry::Occupied(occupied) => {
                let (station, merged) = occupied.into_mut();
                let entry = entry(context, station, record);
                merge(merged, entry);
                entry
            }
        };
        if let Some(customer) = record.customer_address {
            let key = RecordKey { vsid: record.vsid.get(), address: to_address(customer) };
            compiled.tables.records.insert(key, entry);
            if let Some((wire, plain)) = on_wire(record) {
                compiled.tables.plain.insert(wire, plain);
            }
        }
        compiled.findings.extend(findings_of(context, key, record));
    }
    for ((vsid, mac), (_, station)) in stations {
        if let Some(other) = move_of(context, vsid, mac, station) {
            compiled.tables.moves.insert(station_key(vsid, mac), other);
        }
        if let Some(station) = of_mac_address(station) {
            compiled.tables.stations.insert(station_key(vsid, mac), station);
        }
    }
    gateways(context, compiled);
    link_local_addresses(context, compiled);
}

/// What a record that is not encapsulated adds to `PLAIN`.
pub(crate) fn on_wire(record: &LookupRecord) -> Option<(Address, Plain)> {
    let customer = to_address(record.customer_address?);
    let wire = match record.rule {
        TranslationMethod::Encap => return None,
        TranslationMethod::Nat => to_address(record.provider_address),
        TranslationMethod::None => customer,
    };
    Some((wire, Plain { vsid: record.vsid.get(), customer }))
}

pub(crate) const fn station_key(vsid: Vsid, mac: MacAddress) -> StationKey {
    StationKey { vsid: vsid.get(), mac: mac.octets(), reserved: 0 }
}

/// What the merged records of a MAC address say of the address itself.
pub(crate) fn of_mac_address(mut merged: Record) -> Option<Record> {
    // What travels unencapsulated is led by its customer address, each with its own address on the wire. Only within the
    // host, where nothing goes onto the wire, does the MAC address lead to such a VM.
    if is_plain(merged) && merged.ifindex == 0 {
        return None;
    }
    merged.flags = RecordFlags(merged.flags.0 & STATION_FLAGS);
    Some(merged)
}

/// The properties of a [`Record`] that are the VM's and not the address's.
const STATION_FLAGS: u16 = RecordFlags::LOCAL.0
    | RecordFlags::L2_ONLY.0
    | RecordFlags::FORWARDER.0
    | RecordFlags::NAT.0
    | RecordFlags::BARE.0
    | RecordFlags::MOVES.0;

/// The other place of a station whose VM moves, `merged` being what its records say.
pub(crate) fn move_of(context: &Context, vsid: Vsid, mac: MacAddress, merged: Record) -> Option<Move> {
    let migration = context.intent.migration_of(vsid, mac)?;
    let other = migration.other()?;
    let is_here = context.own.contains(&other);
    let port = context.intent.port_at(vsid, mac).filter(|_| is_here);
    let link = port.and_then(|port| context.facts.links.get(&port.device));
    let here = Record { flags: RecordFlags(merged.flags.0 & STATION_FLAGS), ..merged };
    let flags = RecordFlags(here.flags.0 & !RecordFlags::LOCAL.0);
    let there = Record {
        flags: if is_here { flags.with(RecordFlags::LOCAL) } else { flags },
        ifindex: link.map_or(0, |link| link.ifindex),
        provider: to_address(other),
        ..merged
    };
    let flags = if migration.from.is_some() { MoveFlags::FROM } else { MoveFlags::NONE };
    Some(Move { there, here, flags })
}

fn is_plain(record: Record) -> bool {
    record.flags.has(RecordFlags::NAT) || record.flags.has(RecordFlags::BARE)
}

/// What a record says of its address.
pub(crate) fn entry(context: &Context, station: &Station, record: &LookupRecord) -> Record {
    let (local, moves) = (context.is_local(record), context.intent.migration_of(record.vsid, record.mac).is_some());
    let flags = [
        (local, RecordFlags::LOCAL),
        (moves, RecordFlags::MOVES),
        (station.forwards, RecordFlags::FORWARDER),
        (record.record_type == LookupRecordType::GatewayWildcard, RecordFlags::WILDCARD),
        (record.record_type == LookupRecordType::L2Only, RecordFlags::L2_ONLY),
        (record.rule == TranslationMethod::Nat, RecordFlags::NAT),
        (record.rule == TranslationMethod::None, RecordFlags::BARE),
        (record.record_type == LookupRecordType::Dynamic, RecordFlags::DYNAMIC),
    ];
    Record {
        mac: record.mac.octets(),
        flags: flags.into_iter().filter(|(set, _)| *set).fold(RecordFlags::NONE, |all, (_, flag)| all.with(flag)),
        // The port of a VM that moves is there at both of its places.
        ifindex: if moves && !local { 0 } else { station.ifindex },
        groups: station.groups,
        provider: to_address(record.provider_address),
    }
}

/// Adds another record of the same MAC address to a station. An encapsulated one says where the VM's host is, and so
/// goes before one that says what stands for the VM on the wire.
pub(crate) fn merge(station: &mut Record, other: Record) {
    let shared = RecordFlags::LOCAL.0 | RecordFlags::L2_ONLY.0 | RecordFlags::FORWARDER.0;
    let both = RecordFlags((station.flags.0 | other.flags.0) & shared);
    if is_plain(*station) && !is_plain(other) {
        *station = other;
    }
    station.flags = station.flags.with(both);
}

/// The entry of a gateway's address, which each host answers for itself.
pub(crate) fn gateway(context: &Context) -> Record {
    Record {
        mac: context.settings.gateway_mac.octets(),
        flags: RecordFlags::GATEWAY.with(RecordFlags::LOCAL),
        ifindex: 0,
        groups: 0,
        provider: Address::default(),
    }
}

/// The gateway's addresses that an on-link route brings: the one of its prefix, and its link-local address where there
/// is IPv6.
pub(crate) fn gateway_addresses(context: &Context, route: &CustomerRoute) -> impl Iterator<Item = IpAddr> + use<> {
    let v6 = !context.intent.global().external_router && route.is_on_link() && route.prefix.addr().is_ipv6();
    let link_local = v6.then(|| IpAddr::from(context.settings.gateway_mac.link_local()));
    context.intent.gateway(route).into_iter().chain(link_local)
}

fn gateways(context: &Context, compiled: &mut Compiled) {
    for route in context.intent.customer_routes() {
        for address in gateway_addresses(context, route) {
            let key = RecordKey { vsid: route.vsid.get(), address: to_address(address) };
            compiled.tables.records.insert(key, gateway(context));
        }
    }
}

/// Whether a record shows that IPv6 may be spoken in its subnet.
pub(crate) fn may_speak_v6(record: &LookupRecord) -> bool {
    record.record_type == LookupRecordType::L2Only || record.customer_address.is_some_and(|ca| ca.is_ipv6())
}

/// The link-local address of each station in the subnets where IPv6 may be spoken.
fn link_local_addresses(context: &Context, compiled: &mut Compiled) {
    let routes = context.intent.customer_routes().filter(|route| route.is_on_link() && route.prefix.addr().is_ipv6());
    let records = context.intent.lookup_records().filter(|record| may_speak_v6(record));
    let speaking: BTreeSet<u32> =
        routes.map(|route| route.vsid.get()).chain(records.map(|record| record.vsid.get())).collect();
    let tables = &mut compiled.tables;
    for (key, station) in tables.stations.iter().filter(|(key, _)| speaking.contains(&key.vsid)) {
        let Ok(mac) = MacAddress::new(key.mac) else { continue };
        let address: Ipv6Addr = mac.link_local();
        // Nobody takes the gateway's own address; a VM with its MAC address is refused anyway.
        tables.records.entry(RecordKey { vsid: key.vsid, address: to_address(address.into()) }).or_insert(*station);
    }
}

/// What there is to say about one record.
pub(crate) fn findings_of(context: &Context, key: &Key, record: &LookupRecord) -> Vec<Finding> {
    let (vsid, mac, provider) = (record.vsid, record.mac, record.provider_address);
    let (mut findings, key) = (Vec::new(), || key.clone());
    if mac == context.settings.gateway_mac {
        findings.push(Finding::GatewayMac { key: key(), mac });
    }
    match (context.is_local(record), context.intent.port_at(vsid, mac)) {
        (true, None) => findings.push(Finding::NoPort { key: key(), provider, mac, vsid }),
        // Its port waits for it here, or has not gone yet.
        (false, Some(_)) if context.intent.migration_of(vsid, mac).is_some() => {}
        (false, Some(port)) => findings.push(Finding::PortElsewhere { port: port_key(port), key: key(), provider }),
        _ => {}
    }
    findings
}
