//! The lookup records: where each customer address and each MAC address is, and what stands for it on the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use model::{Intent, LookupRecord, LookupRecordType, MacAddress, TranslationMethod, Vsid};
use pipeline::{Plain, Record, RecordFlags, RecordKey, StationKey};

use super::{Compiled, Context, port_key, record_key};
use crate::{Finding, to_address};

/// The MAC addresses that forward for others: gateways, and VMs that are the next hop of a customer route.
pub(super) fn forwarders(intent: &Intent) -> BTreeSet<(Vsid, MacAddress)> {
    let next_hops: BTreeSet<(Vsid, IpAddr)> = intent
        .customer_routes()
        .filter(|route| !route.is_on_link())
        .map(|route| (route.vsid, route.next_hop))
        .collect();
    let forwards = |record: &&LookupRecord| {
        record.record_type == LookupRecordType::GatewayWildcard
            || record.customer_address.is_some_and(|address| next_hops.contains(&(record.vsid, address)))
    };
    intent.lookup_records().filter(forwards).map(|record| (record.vsid, record.mac)).collect()
}

/// Fills `RECORDS`, `STATIONS` and `PLAIN`.
pub(super) fn records(context: &Context, compiled: &mut Compiled) {
    let mut stations = BTreeMap::<(Vsid, MacAddress), Record>::new();
    for record in context.intent.lookup_records() {
        let entry = entry(context, record);
        if let Some(customer) = record.customer_address {
            let customer = to_address(customer);
            let vsid = record.vsid.get();
            compiled.tables.records.insert(RecordKey { vsid, address: customer }, entry);
            let wire = match record.rule {
                TranslationMethod::Encap => None,
                TranslationMethod::Nat => Some(entry.provider),
                TranslationMethod::None => Some(customer),
            };
            if let Some(wire) = wire {
                compiled.tables.plain.insert(wire, Plain { vsid, customer });
            }
        }
        stations.entry((record.vsid, record.mac)).and_modify(|station| merge(station, entry)).or_insert(entry);
        findings_of(context, record, &mut compiled.findings);
    }
    for ((vsid, mac), mut station) in stations {
        // What travels unencapsulated is led by its customer address, each with its own address on the wire. Only
        // within the host, where nothing goes onto the wire, does the MAC address lead to such a VM.
        if is_plain(station) && station.ifindex == 0 {
            continue;
        }
        station.flags = RecordFlags(station.flags.0 & STATION_FLAGS);
        compiled.tables.stations.insert(StationKey { vsid: vsid.get(), mac: mac.octets(), reserved: 0 }, station);
    }
    gateways(context, compiled);
    link_local_addresses(context, compiled);
}

/// The properties of a [`Record`] that are the VM's and not the address's.
const STATION_FLAGS: u16 =
    RecordFlags::LOCAL.0 | RecordFlags::L2_ONLY.0 | RecordFlags::FORWARDER.0 | RecordFlags::NAT.0 | RecordFlags::BARE.0;

fn is_plain(record: Record) -> bool {
    record.flags.has(RecordFlags::NAT) || record.flags.has(RecordFlags::BARE)
}

fn entry(context: &Context, record: &LookupRecord) -> Record {
    let (vsid, mac) = (record.vsid, record.mac);
    let flags = [
        (context.is_local(record), RecordFlags::LOCAL),
        (context.forwarders.contains(&(vsid, mac)), RecordFlags::FORWARDER),
        (record.record_type == LookupRecordType::GatewayWildcard, RecordFlags::WILDCARD),
        (record.record_type == LookupRecordType::L2Only, RecordFlags::L2_ONLY),
        (record.rule == TranslationMethod::Nat, RecordFlags::NAT),
        (record.rule == TranslationMethod::None, RecordFlags::BARE),
        (record.record_type == LookupRecordType::Dynamic, RecordFlags::DYNAMIC),
    ];
    Record {
        mac: mac.octets(),
        flags: flags.into_iter().filter(|(set, _)| *set).fold(RecordFlags::NONE, |all, (_, flag)| all.with(flag)),
        ifindex: context.bound(vsid, mac).unwrap_or(0),
        provider: to_address(record.provider_address),
    }
}

/// Adds another record of the same MAC address to a station. An encapsulated one says where the VM's host is, and so
/// goes before one that says what stands for the VM on the wire.
fn merge(station: &mut Record, other: Record) {
    let shared = RecordFlags::LOCAL.0 | RecordFlags::L2_ONLY.0 | RecordFlags::FORWARDER.0;
    let both = RecordFlags((station.flags.0 | other.flags.0) & shared);
    if is_plain(*station) && !is_plain(other) {
        *station = other;
    }
    station.flags = station.flags.with(both);
}

/// The gateway of each on-link prefix, which each host answers for itself, and its link-local address where there is
/// IPv6.
fn gateways(context: &Context, compiled: &mut Compiled) {
    let mac = context.settings.gateway_mac;
    let gateway = Record {
        mac: mac.octets(),
        flags: RecordFlags::GATEWAY.with(RecordFlags::LOCAL),
        ifindex: 0,
        provider: pipeline::Address::default(),
    };
    for route in context.intent.customer_routes().filter(|route| route.is_on_link()) {
        let link_local = route.prefix.addr().is_ipv6().then(|| IpAddr::from(mac.link_local()));
        for address in route.gateway().into_iter().chain(link_local) {
            let key = RecordKey { vsid: route.vsid.get(), address: to_address(address) };
            compiled.tables.records.insert(key, gateway);
        }
    }
}

/// The link-local address of each station in the subnets where IPv6 may be spoken.
fn link_local_addresses(context: &Context, compiled: &mut Compiled) {
    let routes = context.intent.customer_routes().filter(|route| route.is_on_link() && route.prefix.addr().is_ipv6());
    let records = context.intent.lookup_records().filter(|record| {
        record.record_type == LookupRecordType::L2Only || record.customer_address.is_some_and(|ca| ca.is_ipv6())
    });
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
fn findings_of(context: &Context, record: &LookupRecord, findings: &mut Vec<Finding>) {
    let (vsid, mac, provider) = (record.vsid, record.mac, record.provider_address);
    if mac == context.settings.gateway_mac {
        findings.push(Finding::GatewayMac { key: record_key(record), mac });
    }
    match (context.is_local(record), context.ports.get(&(vsid, mac))) {
        (true, None) => findings.push(Finding::NoPort { key: record_key(record), provider, mac, vsid }),
        (false, Some(port)) => {
            findings.push(Finding::PortElsewhere { port: port_key(port), key: record_key(record), provider });
        }
        _ => {}
    }
}
