//! What the controller asks this host, answered from what the kernel counts and the agent knows.
//!
//! The core's lock is held while what is asked about is looked up and read, and no longer: what is made of it comes after.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use api::fabric::{HostReport, UplinkTraffic};
use api::{
    Counters, DropCounter, HostAnswer, HostQuestion, LeaseState, LeaseStatus, PeerTraffic, PortCounters, PortLease,
    Problem,
};
use datapath::SlotCounters;
use model::{Intent, Key, Kind, Name, Port, Resource};
use pipeline::flow::{ArrivalFlags, Flow, WayFlags};
use plan::{PortState, to_ip};

use crate::core::Core;
use crate::local_api::{self, internal};
use crate::run::{Shared, lock};
use crate::trace;

/// Answers a question as the protocol carries it. It may block for as long as the core is busy.
pub fn answer(core: &Shared, question: &[u8]) -> Vec<u8> {
    let answer = HostQuestion::read(question).and_then(|question| answered(core, question));
    answer.unwrap_or_else(HostAnswer::Refused).to_bytes(proto::MAX_ANSWER_BYTES)
}

fn answered(core: &Shared, question: HostQuestion) -> Result<HostAnswer, Problem> {
    match question {
        HostQuestion::Counters { ports } => {
            let counted = counted(&lock(core), ports)?;
            Ok(HostAnswer::Counters(counted.into_iter().map(|(port, counted)| counters(port, counted)).collect()))
        }
        HostQuestion::Status {} => report(&lock(core)).map(|report| HostAnswer::Status(Box::new(report))),
        HostQuestion::Tunnels {} => {
            let flows = lock(core).datapath.flows().map_err(internal)?;
            Ok(HostAnswer::Tunnels(by_peer(flows.values())))
        }
        HostQuestion::Leases { ports } => {
            let lent = lent(&lock(core), &ports);
            Ok(HostAnswer::Leases(lent.into_iter().map(shown).collect()))
        }
        HostQuestion::Trace { packet } => local_api::traced(&lock(core), |seen| trace::from_port(seen, &packet))
            .map(|trace| HostAnswer::Trace(Box::new(trace))),
        HostQuestion::Arrival { frame, packet } => {
            local_api::traced(&lock(core), |seen| trace::arrival(seen, frame.0, packet))
                .map(|trace| HostAnswer::Trace(Box::new(trace)))
        }
    }
}

/// What was counted for ports; none for one whose device is not there, and nothing of those that are not declared.
fn counted(core: &Core, ports: Vec<String>) -> Result<Vec<(String, Option<SlotCounters>)>, Problem> {
    let mut all = Vec::with_capacity(ports.len());
    for port in ports {
        let status = port.parse::<Name>().ok().and_then(|name| core.ports().get(&name));
        let Some(status) = status else { continue };
        let counted = match status.state {
            PortState::Bound { slot, .. } => Some(core.datapath.counters(slot).map_err(internal)?),
            PortState::NoDevice => None,
        };
        all.push((port, counted));
    }
    Ok(all)
}

/// What passed a port.
fn counters(port: String, counted: Option<SlotCounters>) -> PortCounters {
    let Some(counted) = counted else { return PortCounters { port, counters: None, drops: Vec::new() } };
    let counters = Counters {
        rx_packets: counted.from_packets,
        rx_bytes: counted.from_bytes,
        tx_packets: counted.to_packets,
        tx_bytes: counted.to_bytes,
        drops: counted.all_drops(),
    };
    let drops = local_api::drops_of(&port, &counted).collect();
    PortCounters { port, counters: Some(counters), drops }
}

fn report(core: &Core) -> Result<HostReport, Problem> {
    let drops: Vec<DropCounter> = local_api::drops(core)?;
    // The first slot is the uplink's.
    let uplink = core.datapath.counters(0).map_err(internal)?;
    let uplink = UplinkTraffic {
        sent_packets: uplink.to_packets,
        sent_bytes: uplink.to_bytes,
        received_packets: uplink.from_packets,
        received_bytes: uplink.from_bytes,
    };
    Ok(HostReport { status: local_api::status(core), drops, uplink })
}

/// The other host of a flow, as its packets went or came last; none of one between ports of this host.
fn peer(flow: &Flow) -> Option<IpAddr> {
    let (way, arrival) = (&flow.way, &flow.arrival);
    if way.flags.has(WayFlags::KNOWN) {
        return way.flags.has(WayFlags::ENCAPSULATE).then(|| to_ip(way.remote));
    }
    arrival.flags.has(ArrivalFlags::KNOWN).then(|| to_ip(arrival.remote))
}

/// What flows have carried to and from each other host.
fn by_peer<'a>(flows: impl Iterator<Item = &'a Flow>) -> Vec<PeerTraffic> {
    let mut peers: BTreeMap<IpAddr, PeerTraffic> = BTreeMap::new();
    for flow in flows {
        let Some(remote) = peer(flow) else { continue };
        let none = PeerTraffic { remote, flows: 0, to_packets: 0, to_bytes: 0, from_packets: 0, from_bytes: 0 };
        let known = peers.entry(remote).or_insert(none);
        known.flows += 1;
        // What a flow has from its VM goes to the other host.
        known.to_packets += flow.from_packets;
        known.to_bytes += flow.from_bytes;
        known.from_packets += flow.to_packets;
        known.from_bytes += flow.to_bytes;
    }
    peers.into_values().collect()
}

/// What DHCP last said to a port, and how long it lends there.
struct Lent {
    port: String,
    lease: LeaseStatus,
    lease_time: Option<Duration>,
}

/// What DHCP last said to ports.
fn lent(core: &Core, ports: &[String]) -> Vec<Lent> {
    let declared = ports.iter().filter_map(|name| port(core.intent(), name));
    let lent = declared.flat_map(|port| {
        let leases = core.leases.of(port).into_iter();
        leases.map(|lease| Lent {
            port: port.name.to_string(),
            lease_time: lease_time(core.intent(), port, lease.address),
            lease,
        })
    });
    lent.collect()
}

/// The port of a name.
fn port<'i>(intent: &'i Intent, name: &str) -> Option<&'i Port> {
    match intent.get(&Key { kind: Kind::Port, name: name.to_owned() })? {
        Resource::Port(port) => Some(port),
        _ => None,
    }
}

/// How long the scope of an address lends.
fn lease_time(intent: &Intent, port: &Port, address: IpAddr) -> Option<Duration> {
    let mut scopes = intent.scopes(port.vsid, port.physical.as_ref());
    let scope = scopes.find(|scope| scope.prefix.contains(&address))?;
    Some(Duration::from_secs(scope.lease_time.seconds().into()))
}

/// The same, as it is told.
fn shown(lent: Lent) -> PortLease {
    let until = until(&lent);
    let Lent { port, lease: LeaseStatus { address, since, state }, .. } = lent;
    PortLease { port, address, state, since, until }
}

/// When a lease that a VM has ends.
fn until(lent: &Lent) -> Option<String> {
    let Lent { lease, lease_time, .. } = lent;
    let since: SystemTime = humantime::parse_rfc3339(&lease.since).ok().filter(|_| lease.state == LeaseState::Bound)?;
    Some(humantime::format_rfc3339_seconds(since.checked_add((*lease_time)?)?).to_string())
}

#[cfg(test)]
mod tests {
    use pipeline::flow::{Arrival, Way};

    use super::*;

    fn flow(way: WayFlags, arrival: ArrivalFlags, packets: u64) -> Flow {
        let address = |last| plan::to_address(IpAddr::from([192, 168, 4, last]));
        Flow {
            way: Way { flags: way, remote: address(16), ..Way::default() },
            arrival: Arrival { flags: arrival, remote: address(17), ..Arrival::default() },
            from_packets: packets,
            from_bytes: packets * 100,
            to_packets: packets + 1,
            to_bytes: packets * 10,
            ..Flow::default()
        }
    }

    #[test]
    fn flows_are_summed_by_the_host_that_they_go_to() {
        let known = WayFlags::KNOWN.with(WayFlags::ENCAPSULATE);
        let flows = [
            flow(known, ArrivalFlags::KNOWN, 1),
            flow(known, ArrivalFlags::NONE, 2),
            flow(WayFlags::NONE, ArrivalFlags::KNOWN, 5),
            flow(WayFlags::KNOWN, ArrivalFlags::KNOWN, 7),
            flow(WayFlags::NONE, ArrivalFlags::NONE, 9),
        ];
        let sums = by_peer(flows.iter());
        let of = |peer: &PeerTraffic| (peer.remote.to_string(), peer.flows, peer.to_packets, peer.from_packets);
        let expected = [("192.168.4.16".to_owned(), 2, 3, 5), ("192.168.4.17".to_owned(), 1, 5, 6)];
        assert_eq!(sums.iter().map(of).collect::<Vec<_>>(), expected);
        assert_eq!((sums[0].to_bytes, sums[0].from_bytes), (300, 30));
    }

    #[test]
    fn a_lease_ends_by_the_scope_of_its_address() {
        let text = "{kind: dhcp-scope, spec: {vsid: 5001, prefix: 10.10.0.0/16, leaseTime: 1h}}\n---\n\
                    {kind: port, name: a, spec: {device: a, mac: 06-06-00-00-00-05, vsid: 5001}}\n";
        let intent = Intent::new(model::resources_from_yaml(text).unwrap()).unwrap();
        let port = port(&intent, "a").unwrap();
        assert_eq!(super::port(&intent, "b"), None);
        let ends = |address: &str, state| {
            let (address, since) = (address.parse().unwrap(), "2026-01-01T10:00:00Z".to_owned());
            let lease_time = lease_time(&intent, port, address);
            until(&Lent { port: port.name.to_string(), lease: LeaseStatus { address, since, state }, lease_time })
        };
        assert_eq!(ends("10.10.0.5", LeaseState::Bound).as_deref(), Some("2026-01-01T11:00:00Z"));
        assert_eq!(ends("10.10.0.5", LeaseState::Released), None);
        assert_eq!(ends("10.11.0.5", LeaseState::Bound), None);
    }
}
