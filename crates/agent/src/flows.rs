//! The flow table, as the agent keeps it and tells of it: flows that are over are forgotten, and those that somebody asks
//! for are told in words.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use api::{FLOWS, FlowFilter, FlowItem, FlowList, Problem, protocol_name, protocol_number};
use nix::time::{ClockId, clock_gettime};
use pipeline::flow::{Flow, FlowKey, WayFlags};
use pipeline::policy::Direction;
use pipeline::track::{Phase, State};
use plan::to_ip;

use crate::core::{Core, device_name};
use crate::error::RunError;
use crate::run::{Shared, lock};

/// How often the table is looked through at most.
const AT_MOST: Duration = Duration::from_secs(1);
/// So many times as long as a look through it took does the next one wait, so that no more than a fiftieth of a processor
/// goes into it.
const PAUSE: u32 = 50;
/// States by their names.
pub const PHASES: [Phase; 6] = [Phase::New, Phase::Opening, Phase::Open, Phase::Closing, Phase::Closed, Phase::Reset];

/// Forgets flows that are over, again and again.
pub fn keep(core: Shared) -> Result<(), RunError> {
    let body = move || loop {
        let began = Instant::now();
        if let Err(error) = lock(&core).datapath.sweep() {
            tracing::error!("cannot look through the flow table: {error}; the next attempt is in {AT_MOST:?}");
        }
        std::thread::sleep((began.elapsed() * PAUSE).max(AT_MOST));
    };
    std::thread::Builder::new()
        .name("flows".to_owned())
        .spawn(body)
        .map(|_| ())
        .map_err(|source| RunError::Io { what: "start the look through the flow table", source })
}

/// A filter, understood.
struct Wanted<'a> {
    port: Option<&'a str>,
    protocol: Option<u8>,
    address: Option<IpAddr>,
    service: Option<u16>,
    phase: Option<Phase>,
}

impl<'a> Wanted<'a> {
    fn new(filter: &'a FlowFilter, core: &Core) -> Result<Self, Problem> {
        let port = filter.port.as_deref();
        if let Some(port) = port
            && core.intent().ports().all(|known| known.name.as_str() != port)
        {
            return Err(Problem::not_found(format!("there is no port {port} on host {}", core.name)));
        }
        let protocol = filter.protocol.as_deref().map(|text| {
            let sentence = "is no IP protocol; say tcp, udp, icmp, icmpv6, or a number from 0 to 255";
            protocol_number(text).ok_or_else(|| Problem::bad_request(format!("\"{text}\" {sentence}")))
        });
        let phase = filter.state.as_deref().map(|text| {
            let names: Vec<&str> = PHASES.iter().map(|phase| phase.name()).collect();
            let found = PHASES.into_iter().find(|phase| phase.name() == text);
            found.ok_or_else(|| {
                Problem::bad_request(format!("\"{text}\" is no state of a flow; the states are {}", names.join(", ")))
            })
        });
        let (protocol, phase) = (protocol.transpose()?, phase.transpose()?);
        Ok(Self { port, protocol, address: filter.address, service: filter.service, phase })
    }

    fn meets(&self, port: &str, key: &FlowKey, state: State) -> bool {
        let [local, remote] = ports(key);
        self.port.is_none_or(|wanted| wanted == port)
            && self.protocol.is_none_or(|wanted| wanted == key.protocol)
            && self.address.is_none_or(|wanted| [to_ip(key.local), to_ip(key.remote)].contains(&wanted))
            && self.service.is_none_or(|wanted| [local, remote].contains(&wanted))
            && self.phase.is_none_or(|wanted| wanted == state.phase)
    }
}

/// The VM's port and the other side's.
fn ports(key: &FlowKey) -> [u16; 2] {
    [(key.ports >> 16) as u16, key.ports as u16]
}

/// The flows that a filter asks for.
pub fn list(core: &Core, filter: &FlowFilter) -> Result<FlowList, Problem> {
    let internal = |error: datapath::Error| Problem::new(api::ProblemType::Internal, error.to_string());
    let wanted = Wanted::new(filter, core)?;
    let flows = core.datapath.flows().map_err(internal)?;
    let epochs = core.datapath.epochs().map_err(internal)?;
    let now = now();
    let limit = filter.limit.unwrap_or(FLOWS);
    let mut list = FlowList { all: flows.len(), ..FlowList::default() };
    for (key, flow) in &flows {
        let state = State::from_bits(flow.state);
        // A port that is gone has no name any more, and its flows are about to be forgotten.
        let Some(port) = port_name(core, flow.ifindex) else { continue };
        if !wanted.meets(&port, key, state) {
            continue;
        }
        list.matching += 1;
        if list.flows.len() < limit {
            let current = epochs.get(flow.epoch_index as usize) == Some(&state.epoch);
            list.flows.push(item(core, port, key, flow, state, current, now));
        }
    }
    list.flows.sort_by(|one, other| {
        let order = |flow: &FlowItem| (flow.port.clone(), flow.protocol.clone(), flow.local, flow.remote);
        order(one).cmp(&order(other))
    });
    Ok(list)
}

fn item(core: &Core, port: String, key: &FlowKey, flow: &Flow, state: State, current: bool, now: u64) -> FlowItem {
    let [local_port, remote_port] = ports(key);
    let idle = now.saturating_sub(flow.seen);
    let left = state.timeout(key.protocol).saturating_sub(idle);
    let milliseconds = |nanoseconds: u64| nanoseconds / 1_000_000;
    FlowItem {
        port,
        protocol: protocol_name(key.protocol),
        local: to_ip(key.local),
        local_port,
        remote: to_ip(key.remote),
        remote_port,
        opened: match state.opener {
            Direction::Egress => "egress".to_owned(),
            Direction::Ingress => "ingress".to_owned(),
        },
        state: state.phase.name().to_owned(),
        idle_ms: milliseconds(idle),
        expires_ms: milliseconds(left),
        from_packets: flow.from_packets,
        from_bytes: flow.from_bytes,
        to_packets: flow.to_packets,
        to_bytes: flow.to_bytes,
        way: way(core, flow),
        current,
    }
}

/// Where the VM's packets go, in words.
fn way(core: &Core, flow: &Flow) -> Option<String> {
    let way = &flow.way;
    if !way.flags.has(WayFlags::KNOWN) {
        return None;
    }
    let routed = if way.flags.has(WayFlags::ROUTED) { ", routed" } else { "" };
    if way.flags.has(WayFlags::ENCAPSULATE) {
        let encapsulation = way.flags.encapsulation();
        return Some(format!("{} to {}, VSID {}{routed}", encapsulation.name(), to_ip(way.remote), way.vsid));
    }
    let port = port_name(core, way.ifindex)?;
    Some(format!("port {port}, VSID {}{routed}", way.vsid))
}

/// The name of the port with the device of an interface index.
fn port_name(core: &Core, ifindex: u32) -> Option<String> {
    let device = device_name(core.facts(), ifindex)?;
    core.intent().port_on(device).map(|port| port.name.to_string())
}

/// The time as the kernel programs see it, in nanoseconds.
pub fn now() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| Duration::from(time).as_nanos() as u64)
}
