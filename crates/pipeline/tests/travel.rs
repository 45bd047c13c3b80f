//! Flows that move with their VM: what goes with it, and what the host makes of it that it comes to.

mod common;

use common::policies::Told;
use common::{Net, Way, blue, ip, packet};
use pipeline::flow::{Flow, FlowKey, Usage};
use pipeline::policy::{Direction, PolicyFlags};
use pipeline::track::{Phase, State};
use pipeline::travel::{Arrived, Traveller, set_out, take_in};
use pipeline::{DropReason, Tables as _};

const SECOND: u64 = 1_000_000_000;
/// Blue 5, whom Blue 6, the VM that moves, serves at port 443.
const BLUE5: u32 = 11;
/// See [`BLUE5`]. Its own host before and after is the same network to these tests, with and without memory.
const BLUE6: u32 = 12;

/// A host on which nobody may open connections from Blue 6, and all may open some to its port 443.
fn host(now: u64) -> Net {
    let mut net = Net::new();
    let host = net.host.as_mut().unwrap();
    (host.flow_limit, host.half_open_limit) = (100, 100);
    net.memory.now.set(now);
    let serves = Told { protocol: Some(6), ports: Some((443, 443)), ..Told::allow(Direction::Ingress) };
    net.policies.add(BLUE6, PolicyFlags::NONE, &[serves]);
    net.ports.get_mut(&BLUE6).unwrap().policy = BLUE6;
    net
}

/// A segment of the connection, from Blue 6 if `back`.
fn tcp(back: bool, flags: &str) -> Vec<u8> {
    let (mut frame, (from, to)) = (Vec::new(), if back { (6, 5) } else { (5, 6) });
    let step = packet(blue(to), blue(from), &format!("10.0.0.{from}"), &format!("10.0.0.{to}"), 64);
    let (source, destination) = if back { (443, 40_000) } else { (40_000, 443) };
    let step = step.tcp(source, destination, 1, 64_000);
    let step = if flags.contains("syn") { step.syn() } else { step };
    let step = if flags.contains("ack") { step.ack(1) } else { step };
    let step = if flags.contains("fin") { step.fin() } else { step };
    step.write(&mut frame, b"").unwrap();
    frame
}

/// The connection's flow at Blue 6.
fn key() -> FlowKey {
    let ports = (443 << 16) | 40_000;
    let (local, remote) = (ip("10.0.0.6"), ip("10.0.0.5"));
    FlowKey { vsid: 5001, ports, mac: blue(6), protocol: 6, reserved: 0, local, remote }
}

/// The old host, with the connection open, and what leaves it.
fn connected() -> (Net, Traveller) {
    let net = host(1000 * SECOND);
    net.port_sends(BLUE5, &tcp(false, "syn")).went(&Way::Port(BLUE6));
    net.port_sends(BLUE6, &tcp(true, "syn ack")).went(&Way::Port(BLUE5));
    net.port_sends(BLUE5, &tcp(false, "ack")).went(&Way::Port(BLUE6));
    net.memory.now.set(1007 * SECOND);
    let traveller = leaving(&net).unwrap();
    (net, traveller)
}

fn leaving(net: &Net) -> Option<Traveller> {
    set_out(&key(), &net.memory.all()[&key()], net.memory.now.get())
}

fn take(net: &Net, traveller: &Traveller) -> Arrived {
    take_in(net, traveller, BLUE6, &mut Flow::default())
}

fn usage(net: &Net) -> Usage {
    net.usage(BLUE6, Direction::Ingress)
}

#[test]
fn a_connection_that_others_opened_goes_on_where_its_vm_has_come_to() {
    let (_, traveller) = connected();
    assert_eq!((traveller.idle, traveller.to_packets, traveller.from_packets), (7 * SECOND, 2, 1));
    // Another host, another clock.
    let there = host(50 * SECOND);
    there.port_sends(BLUE6, &tcp(true, "ack")).dropped(DropReason::EgressRule);
    assert_eq!(take(&there, &traveller), Arrived::Taken);
    assert_eq!(usage(&there), Usage { flows: 1, half_open: 0 });
    there.port_sends(BLUE6, &tcp(true, "ack")).went(&Way::Port(BLUE5));
    let flow = there.memory.all()[&key()];
    let state = State::from_bits(flow.state);
    assert_eq!((state.phase, state.opener, state.epoch), (Phase::Open, Direction::Ingress, 0));
    assert_eq!((flow.from_packets, flow.to_packets), (2, 2), "the count goes on");
}

#[test]
fn the_new_host_asks_its_own_policy_before_the_first_packet_passes() {
    let (_, traveller) = connected();
    let mut there = host(50 * SECOND);
    there.policies = Default::default();
    there.policies.add(BLUE6, PolicyFlags::NONE, &[]);
    assert_eq!(take(&there, &traveller), Arrived::Taken);
    there.port_sends(BLUE6, &tcp(true, "ack")).dropped(DropReason::IngressRule);
    // An answer to what was quoted under the old host's policy is not related to it here yet.
    let state = there.flow(&key()).unwrap().state();
    assert_ne!(state.epoch, there.epoch(there.flow(&key()).unwrap().epoch_index));
}

#[test]
fn a_flow_that_comes_again_counts_once_and_as_it_is_by_then() {
    let (here, first) = connected();
    let there = host(50 * SECOND);
    assert_eq!(take(&there, &first), Arrived::Taken);
    here.port_sends(BLUE5, &tcp(false, "fin ack")).went(&Way::Port(BLUE6));
    here.memory.now.set(1008 * SECOND);
    there.memory.now.set(51 * SECOND);
    assert_eq!(take(&there, &leaving(&here).unwrap()), Arrived::Taken);
    assert_eq!(there.flow(&key()).unwrap().state().phase, Phase::Closing);
    assert_eq!(usage(&there), Usage { flows: 1, half_open: 0 });
    // What was under way for longer says less.
    assert_eq!(take(&there, &first), Arrived::Known);
    assert_eq!(there.flow(&key()).unwrap().state().phase, Phase::Closing);
}

#[test]
fn what_was_seen_here_since_is_known_better_here() {
    let (_, traveller) = connected();
    let there = host(50 * SECOND);
    assert_eq!(take(&there, &traveller), Arrived::Taken);
    there.port_sends(BLUE6, &tcp(true, "fin ack")).went(&Way::Port(BLUE5));
    assert_eq!(take(&there, &traveller), Arrived::Known);
    assert_eq!(there.flow(&key()).unwrap().state().phase, Phase::Closing);
    assert_eq!(usage(&there), Usage { flows: 1, half_open: 0 });
}

#[test]
fn half_open_flows_are_counted_as_such() {
    let here = host(1000 * SECOND);
    here.port_sends(BLUE5, &tcp(false, "syn")).went(&Way::Port(BLUE6));
    let there = host(50 * SECOND);
    assert_eq!(take(&there, &leaving(&here).unwrap()), Arrived::Taken);
    assert_eq!(usage(&there), Usage { flows: 1, half_open: 1 });
    here.memory.now.set(1001 * SECOND);
    here.port_sends(BLUE6, &tcp(true, "syn ack")).went(&Way::Port(BLUE5));
    here.port_sends(BLUE5, &tcp(false, "ack")).went(&Way::Port(BLUE6));
    there.memory.now.set(51 * SECOND);
    assert_eq!(take(&there, &leaving(&here).unwrap()), Arrived::Taken);
    assert_eq!(usage(&there), Usage { flows: 1, half_open: 0 });
}

#[test]
fn what_is_over_does_not_set_out_and_is_not_taken_in() {
    let (here, mut traveller) = connected();
    here.memory.now.set(1008 * SECOND + 432_000 * SECOND);
    assert_eq!(leaving(&here), None);
    let there = host(500_000 * SECOND);
    traveller.idle = 432_001 * SECOND;
    assert_eq!(take(&there, &traveller), Arrived::Gone);
    // A host that was started after the flow was last seen knows it as seen when it began.
    let young = host(3 * SECOND);
    traveller.idle = 7 * SECOND;
    assert_eq!(take(&young, &traveller), Arrived::Taken);
    assert_eq!(young.flow(&key()).unwrap().seen.get(), 0);
}

#[test]
fn a_flow_goes_to_its_own_port_and_to_no_other() {
    let (_, traveller) = connected();
    let there = host(50 * SECOND);
    for (ifindex, why) in [(BLUE5, "another MAC address"), (21, "another subnet"), (99, "no port")] {
        assert_eq!(take_in(&there, &traveller, ifindex, &mut Flow::default()), Arrived::Gone, "{why}");
    }
    assert!(there.memory.all().is_empty());
}

#[test]
fn a_port_takes_no_more_flows_in_than_it_may_have() {
    let (_, traveller) = connected();
    let mut there = host(50 * SECOND);
    there.host.as_mut().unwrap().flow_limit = 1;
    // Others may open four times as many as the VM itself.
    let outcomes: Vec<Arrived> = (1..=5)
        .map(|port| {
            let key = FlowKey { ports: (443 << 16) | port, ..traveller.key };
            take(&there, &Traveller { key, ..traveller })
        })
        .collect();
    assert_eq!(outcomes, [[Arrived::Taken; 4].as_slice(), &[Arrived::NoRoom]].concat());
    assert_eq!(usage(&there).flows, 4);
    let full = host(50 * SECOND);
    full.memory.full.set(true);
    assert_eq!(take(&full, &traveller), Arrived::NoRoom);
    assert_eq!(usage(&full), Usage::default());
}
