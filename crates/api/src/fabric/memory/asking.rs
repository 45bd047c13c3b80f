//! What the hosts of a [`super::MemoryFabric`] would say, if there were any: plausible, and the same each time.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use model::fabric::{Key, Kind, ResourceName};
use model::{LeaseState, MacAddress};

use super::{MemoryFabric, forbidden, rfc3339};
use crate::fabric::{
    Answer, Caller, Dropped, FabricApi as _, HostReport, Item, Lease, Leases, PortTraffic, Question, Trace, TraceEnd,
    TraceFate, TraceLeg, Traffic, Tunnel, Tunnels, UplinkTraffic,
};
use crate::{DropCounter, HostStatus, Problem, TraceLookup, TraceReport, TraceRequest, TraceStep, UplinkStatus};

/// The provider addresses that traces tell of.
const PROVIDERS: [[u8; 4]; 2] = [[192, 168, 4, 15], [192, 168, 4, 16]];

/// Answers a question.
pub(super) fn answer(fabric: &MemoryFabric, caller: &Caller, question: Question) -> Result<Answer, Problem> {
    let key = |kind, tenant: &ResourceName, name: &ResourceName| Key::new(kind, Some(tenant.clone()), name.clone());
    match question {
        Question::Counters { tenant, ports } => {
            let traffic = |port: &ResourceName| {
                fabric.get(caller, &key(Kind::Port, &tenant, port))?;
                Ok(traffic(port))
            };
            let ports = ports.iter().map(traffic).collect::<Result<_, Problem>>()?;
            Ok(Answer::Counters(Traffic { ports, unanswered: Vec::new() }))
        }
        Question::Host { host } => {
            let item = of_host(fabric, caller, &host)?;
            Ok(Answer::Host(Box::new(report(&item))))
        }
        Question::Tunnels { host } => {
            of_host(fabric, caller, &host)?;
            Ok(Answer::Tunnels(tunnels()))
        }
        Question::Leases { tenant, vm_subnet } => {
            let subnet = key(Kind::VmSubnet, &tenant, &vm_subnet);
            fabric.get(caller, &subnet)?;
            let state = fabric.shared.lock();
            let ports = state.objects.values().filter(|item| item.kind == Kind::Port && item.tenant == subnet.tenant);
            let inside = ports.filter(|port| port.spec["vmSubnet"].as_str() == Some(vm_subnet.as_str()));
            let leases = inside.zip(1..=u8::MAX).filter_map(|(port, number)| lease(port, number)).collect();
            Ok(Answer::Leases(Leases { leases, unanswered: Vec::new() }))
        }
        Question::Trace { tenant, packet } => {
            let name = packet.from.parse().map_err(|error| Problem::bad_request(format!("{error}")))?;
            fabric.get(caller, &key(Kind::Port, &tenant, &name))?;
            Ok(Answer::Trace(trace(&packet, caller.tenant.is_none())))
        }
    }
}

fn of_host(fabric: &MemoryFabric, caller: &Caller, host: &ResourceName) -> Result<Item, Problem> {
    if caller.tenant.is_some() {
        return Err(forbidden(caller, "ask hosts how they are"));
    }
    let item = fabric.get(caller, &Key::global(Kind::Host, host))?;
    if item.status.connected == Some(false) {
        let detail = format!("host {host} is not connected; start its agent, and ask again");
        return Err(Problem::unavailable(detail));
    }
    Ok(item)
}

/// The same numbers for the same name.
fn traffic(port: &ResourceName) -> PortTraffic {
    let seed: u64 = port.as_str().bytes().map(u64::from).sum();
    let drops = Dropped {
        reason: "NoRoute".to_owned(),
        explanation: "no customer route leads to the destination".to_owned(),
        packets: seed % 5,
    };
    PortTraffic {
        port: port.clone(),
        sent_packets: seed * 10,
        sent_bytes: seed * 980,
        received_packets: seed * 11,
        received_bytes: seed * 1078,
        drops: Some(drops).filter(|drops| drops.packets > 0).into_iter().collect(),
    }
}

fn report(item: &Item) -> HostReport {
    let uplink = UplinkStatus {
        interface: "eth0".to_owned(),
        ifindex: 2,
        mtu: 1600,
        addresses: vec![IpAddr::from(PROVIDERS[0])],
    };
    let status = HostStatus {
        name: item.name.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: 4711,
        started: item.created.clone(),
        uplinks: vec![uplink],
        ports: 2,
        bound_ports: 1,
        records: 4,
        routes: 1,
        drift: vec!["lookup record 5001/10.0.0.9 was missing and has been added".to_owned()],
        findings: vec!["port test02 waits for its device \"test02\"".to_owned()],
        gateway_mac: None,
        controller: None,
    };
    let drops = DropCounter {
        port: "test01".to_owned(),
        reason: "NoRoute".to_owned(),
        explanation: "no customer route leads to the destination".to_owned(),
        packets: 3,
    };
    let uplink = UplinkTraffic { sent_packets: 120, sent_bytes: 16_800, received_packets: 118, received_bytes: 16_520 };
    HostReport { status, drops: vec![drops], uplink }
}

fn tunnels() -> Tunnels {
    let tunnel = Tunnel {
        remote: IpAddr::from(PROVIDERS[1]),
        host: "host16".parse().ok(),
        flows: 2,
        sent_packets: 100,
        sent_bytes: 9800,
        received_packets: 99,
        received_bytes: 9702,
    };
    Tunnels { tunnels: vec![tunnel] }
}

fn lease(port: &Item, number: u8) -> Option<Lease> {
    let mac = port.spec["mac"].as_str().and_then(|mac| mac.parse().ok());
    let first = port.spec.pointer("/addresses/0").and_then(|address| address.as_str()?.parse().ok());
    let since = SystemTime::now() - Duration::from_secs(600);
    Some(Lease {
        port: port.name.clone(),
        mac: mac.or(MacAddress::new([0, 0x1d, 0xd8, 0xb7, 0x1c, number]).ok())?,
        address: first.unwrap_or(IpAddr::V4(Ipv4Addr::new(10, 10, 1, 99_u8.saturating_add(number)))),
        state: LeaseState::Bound,
        since: rfc3339(since),
        until: Some(rfc3339(since + Duration::from_secs(8 * 3600))),
    })
}

/// A packet that goes from one host to another, as an admin or a tenant is told.
fn trace(packet: &TraceRequest, admin: bool) -> Trace {
    let step = |stage: &str, question: &str, lookups| TraceStep {
        stage: stage.to_owned(),
        question: question.to_owned(),
        lookups,
    };
    let lookup = TraceLookup {
        table: "lookup record".to_owned(),
        key: format!("5001/{}", packet.to),
        found: Some(if admin { "00-1D-D8-B7-1C-02 at 192.168.4.16" } else { "there is one" }.to_owned()),
    };
    let leg = |host: &str, steps, verdict: &str, fate, remote: Option<[u8; 4]>| TraceLeg {
        host: host.parse().ok().filter(|_| admin),
        report: TraceReport {
            packet: format!("packet from {} to {}, {} bytes", packet.from, packet.to, packet.size),
            steps,
            verdict: verdict.to_owned(),
            reason: None,
            explanation: None,
            output: vec![format!("IPv4 10.10.1.100 -> {}, ICMP, TTL {}", packet.to, packet.ttl)],
        },
        end: TraceEnd {
            fate,
            port: "test02".parse().ok().filter(|_| fate == TraceFate::Delivered),
            remote: remote.map(IpAddr::from).filter(|_| admin),
        },
    };
    let sent = if admin { "encapsulated in NVGRE to 192.168.4.16, VSID 5001, by eth0" } else { "sent to another host" };
    let first = vec![
        step("parse", "What kind of packet is it?", Vec::new()),
        step("locate", "Where is the destination?", vec![lookup]),
    ];
    let second = vec![step("unwrap", "Is it for a VM of this host?", Vec::new())];
    let legs = vec![
        leg("host15", first, sent, TraceFate::ToHost, Some(PROVIDERS[1])),
        leg("host16", second, "delivered to port test02 on this host", TraceFate::Delivered, None),
    ];
    Trace { legs, unfinished: None }
}
