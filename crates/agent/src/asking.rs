//! What the controller asks this host, answered from what the kernel counts and the agent knows.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use api::fabric::{HostReport, UplinkTraffic};
use api::{
    Counters, DropCounter, HostAnswer, HostQuestion, LeaseState, LeaseStatus, PeerTraffic, PortCounters, PortLease,
    Problem,
};
use model::{Intent, Port};
use pipeline::flow::{ArrivalFlags, Flow, WayFlags};
use plan::{PortState, to_ip};

use crate::core::Core;
use crate::local_api::{self, internal};
use crate::run::{Shared, lock};
use crate::trace;

/// Answers a question as the protocol carries it. It may block for as long as the core is busy.
pub fn answer(core: &Shared, question: &[u8]) -> Vec<u8> {
    let answer = HostQuestion::read(question).and_then(|question| answered(&lock(core), question));
    answer.unwrap_or_else(HostAnswer::Refused).to_bytes(proto::MAX_ANSWER_BYTES)
}

fn answered(core: &Core, question: HostQuestion) -> Result<HostAnswer, Problem> {
    match question {
        HostQuestion::Counters { ports } => {
            let counters = ports.into_iter().filter_map(|port| counters(core, port).transpose());
            counters.collect::<Result<_, _>>().map(HostAnswer::Counters)
        }
        HostQuestion::Status {} => report(core).map(|report| HostAnswer::Status(Box::new(report))),
        HostQuestion::Tunnels {} => {
            let flows = core.datapath.flows().map_err(internal)?;
            Ok(HostAnswer::Tunnels(by_peer(flows.values())))
        }
        HostQuestion::Leases { ports } => Ok(HostAnswer::Leases(leases(core, &ports))),
        HostQuestion::Trace { packet } => local_api::traced(core, |seen| trace::from_port(seen, &packet))
            .map(|trace| HostAnswer::Trace(Box::new(trace))),
        HostQuestion::Arrival { frame, packet } => {
            local_api::traced(core, |seen| trace::arrival(seen, frame.0, packet))
                .map(|trace| HostAnswer::Trace(Box::new(trace)))
        }
    }
}

/// What passed a port; none if it is not declared.
fn counters(core: &Core, port: String) -> Result<Option<PortCounters>, Problem> {
    let status = core.ports().iter().find(|(name, _)| name.as_str() == port);
    let Some((_, status)) = status else { return Ok(None) };
    let PortState::Bound { slot, .. } = status.state else {
        return Ok(Some(PortCounters { port, counters: None, drops: Vec::new() }));
    };
    let counted = core.datapath.counters(slot).map_err(internal)?;
    let counters = Counters {
        rx_packets: counted.from_packets,
        rx_bytes: counted.from_bytes,
        tx_packets: counted.to_packets,
        tx_bytes: counted.to_bytes,
        drops: counted.all_drops(),
    };
    let drops = local_api::drops_of(&port, &counted).collect();
    Ok(Some(PortCounters { port, counters: Some(counters), drops }))
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

/// What DHCP last said to ports.
fn leases(core: &Core, ports: &[String]) -> Vec<PortLease> {
    let declared = core.intent().ports().filter(|port| ports.iter().any(|name| name == port.name.as_str()));
    let leases = declared.flat_map(|port| {
        let leases = core.leases.of(port).into_iter();
        leases.map(|lease| PortLease { until: until(core.intent(), port, &lease), ..unlimited(port, lease) })
    });
    leases.collect()
}

fn unlimited(port: &Port, lease: LeaseStatus) -> PortLease {
    let LeaseStatus { address, since, state } = lease;
    PortLease { port: port.name.to_string(), address, state, since, until: None }
}

/// When a lease that a VM has ends, by the scope of its address.
fn until(intent: &Intent, port: &Port, lease: &LeaseStatus) -> Option<String> {
    let since: SystemTime = humantime::parse_rfc3339(&lease.since).ok().filter(|_| lease.state == LeaseState::Bound)?;
    let mut scopes = intent.scopes(port.vsid, port.physical.as_ref());
    let scope = scopes.find(|scope| scope.prefix.contains(&lease.address))?;
    let end = since.checked_add(Duration::from_secs(scope.lease_time.seconds().into()))?;
    Some(humantime::format_rfc3339_seconds(end).to_string())
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
        let port = intent.ports().next().unwrap();
        let lease = |address: &str, state| LeaseStatus {
            address: address.parse().unwrap(),
            since: "2026-01-01T10:00:00Z".to_owned(),
            state,
        };
        let ends = |address, state| until(&intent, port, &lease(address, state));
        assert_eq!(ends("10.10.0.5", LeaseState::Bound).as_deref(), Some("2026-01-01T11:00:00Z"));
        assert_eq!(ends("10.10.0.5", LeaseState::Released), None);
        assert_eq!(ends("10.11.0.5", LeaseState::Bound), None);
    }
}
