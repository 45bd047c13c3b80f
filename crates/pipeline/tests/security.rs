//! Security groups and the flow table: what passes, what does not and why, and what the next packet of a flow finds.

mod common;

use common::policies::{Remote, Told};
use common::{GATEWAY, Net, Way, blue, echo, inner, ip, nvgre, packet, syn, udp};
use pipeline::flow::{FlowKey, Usage, epoch_index};
use pipeline::policy::{Direction, PolicyFlags, RuleFlags};
use pipeline::track::{Phase, State};
use pipeline::{DropReason, Tables as _};

const PA: &str = "192.168.4.11";
const OTHER_PA: &str = "192.168.4.22";
const SECOND: u64 = 1_000_000_000;
/// Blue 5 and Blue 6 here, and the policies that the tests give them.
const BLUE5: u32 = 11;
/// See [`BLUE5`].
const BLUE6: u32 = 12;

/// The network, with room for flows.
fn net() -> Net {
    let mut net = Net::new();
    let host = net.host.as_mut().unwrap();
    (host.flow_limit, host.half_open_limit) = (100, 100);
    net.memory.now.set(SECOND);
    net
}

/// With a policy at a port.
fn with(mut net: Net, port: u32, flags: PolicyFlags, told: &[Told]) -> Net {
    net.policies.add(port, flags, told);
    net.ports.get_mut(&port).unwrap().policy = port;
    net
}

fn allow_tcp(direction: Direction, port: u16) -> Told {
    Told { protocol: Some(6), ports: Some((port, port)), ..Told::allow(direction) }
}

/// A TCP segment with these flags from Blue 5 to Blue 6, or back.
fn tcp(back: bool, flags: &str) -> Vec<u8> {
    let (mut frame, (from, to)) = (Vec::new(), if back { (6, 5) } else { (5, 6) });
    let step = packet(blue(to), blue(from), &format!("10.0.0.{from}"), &format!("10.0.0.{to}"), 64);
    let (source, destination) = if back { (443, 40_000) } else { (40_000, 443) };
    let mut step = step.tcp(source, destination, 1, 64_000);
    for flag in flags.split_whitespace() {
        step = match flag {
            "syn" => step.syn(),
            "ack" => step.ack(1),
            "fin" => step.fin(),
            "rst" => step.rst(),
            other => panic!("{other} is no flag"),
        };
    }
    step.write(&mut frame, b"").unwrap();
    frame
}

/// The state of the connection that [`tcp`] makes, at Blue 6.
fn state_at_blue6(net: &Net) -> Option<State> {
    let key = FlowKey {
        vsid: 5001,
        ports: (443 << 16) | 40_000,
        mac: blue(6),
        protocol: 6,
        reserved: 0,
        local: ip("10.0.0.6"),
        remote: ip("10.0.0.5"),
    };
    net.flow(&key).map(|flow| flow.state())
}

#[test]
fn what_no_rule_allows_does_not_come_in_and_its_answers_need_none() {
    let net = with(net(), BLUE6, PolicyFlags::EGRESS, &[allow_tcp(Direction::Ingress, 443)]);
    net.port_sends(BLUE5, &udp(blue(6), blue(5), "10.0.0.5", "10.0.0.6", b"")).dropped(DropReason::IngressRule);
    net.port_sends(BLUE5, &tcp(false, "syn")).went(&Way::Port(BLUE6));
    net.port_sends(BLUE6, &tcp(true, "syn ack")).went(&Way::Port(BLUE5));
    net.port_sends(BLUE5, &tcp(false, "ack")).went(&Way::Port(BLUE6));
    assert_eq!(state_at_blue6(&net).unwrap().phase, Phase::Open);
    // Blue 6 opens what it likes, and hears the answers.
    net.port_sends(BLUE6, &udp(blue(5), blue(6), "10.0.0.6", "10.0.0.5", b"")).went(&Way::Port(BLUE5));
    let mut answer = Vec::new();
    packet(blue(6), blue(5), "10.0.0.5", "10.0.0.6", 64).udp(2000, 1000).write(&mut answer, b"").unwrap();
    net.port_sends(BLUE5, &answer).went(&Way::Port(BLUE6));
}

#[test]
fn what_no_rule_allows_does_not_go_out() {
    let net = with(net(), BLUE5, PolicyFlags::INGRESS, &[allow_tcp(Direction::Egress, 443)]);
    net.port_sends(BLUE5, &echo(blue(6), blue(5), "10.0.0.5", "10.0.0.6", b"")).dropped(DropReason::EgressRule);
    net.port_sends(BLUE5, &tcp(false, "syn")).went(&Way::Port(BLUE6));
    // Through the router and to another host as well.
    net.port_sends(BLUE5, &udp(GATEWAY, blue(5), "10.0.0.5", "10.0.1.7", b"")).dropped(DropReason::EgressRule);
    net.port_sends(BLUE5, &syn(GATEWAY, blue(5), "10.0.0.5", "10.0.1.7", &[])).went(&Way::Tunnel(5002));
    // The gateway itself answers, and multicast counts as what it is.
    net.port_sends(BLUE5, &echo(GATEWAY, blue(5), "10.0.0.5", "10.0.0.1", b"")).went(&Way::Answer);
    let group = udp([1, 0, 0x5e, 0, 0, 9], blue(5), "10.0.0.5", "224.0.0.9", b"");
    net.port_sends(BLUE5, &group).dropped(DropReason::EgressRule);
}

#[test]
fn the_first_rule_that_matches_decides() {
    let deny = Told { flags: RuleFlags::NONE, ..allow_tcp(Direction::Ingress, 443) };
    let from = |remote, rule: Told| Told { remote, ..rule };
    let blue5 = Remote::Prefix(ip("10.0.0.5"), 128);
    let all = Remote::Prefix(ip("10.0.0.0"), 96 + 8);
    for (rules, passes) in [
        (vec![from(blue5, deny), from(all, allow_tcp(Direction::Ingress, 443))], false),
        (vec![from(blue5, allow_tcp(Direction::Ingress, 443)), from(all, deny)], true),
        (vec![from(all, deny), from(blue5, allow_tcp(Direction::Ingress, 443))], false),
        (vec![from(Remote::Groups(7), deny), from(all, allow_tcp(Direction::Ingress, 443))], true),
    ] {
        let net = with(net(), BLUE6, PolicyFlags::EGRESS, &rules);
        let done = net.port_sends(BLUE5, &tcp(false, "syn"));
        assert_eq!(done.way == Way::Port(BLUE6), passes, "{rules:?}: {:?}", done.way);
    }
}

#[test]
fn a_group_means_its_members_wherever_they_are() {
    let members = Told { remote: Remote::Groups(7), ..Told::allow(Direction::Ingress) };
    let mut net = with(net(), BLUE6, PolicyFlags::EGRESS, &[members]);
    let here = udp(blue(6), blue(5), "10.0.0.5", "10.0.0.6", b"");
    let same_subnet = nvgre(OTHER_PA, PA, 5001, &udp(blue(6), blue(7), "10.0.0.7", "10.0.0.6", b""));
    let routed = nvgre(OTHER_PA, PA, 5001, &udp(blue(6), GATEWAY, "10.0.1.7", "10.0.0.6", b""));
    net.port_sends(BLUE5, &here).dropped(DropReason::IngressRule);
    net.underlay_sends(&same_subnet).dropped(DropReason::IngressRule);
    net.underlay_sends(&routed).dropped(DropReason::IngressRule);
    for (key, record) in &mut net.records {
        record.groups = if key.vsid != 6001 { 7 } else { 0 };
    }
    net.port_sends(BLUE5, &here).went(&Way::Port(BLUE6));
    net.underlay_sends(&same_subnet).went(&Way::Port(BLUE6));
    net.underlay_sends(&routed).went(&Way::Port(BLUE6));
    // They leave the group, and a new epoch begins: what was under way ends.
    net.records.values_mut().for_each(|record| record.groups = 8);
    net.port_sends(BLUE5, &here).went(&Way::Port(BLUE6));
    net.memory.turn();
    net.port_sends(BLUE5, &here).dropped(DropReason::IngressRule);
    net.underlay_sends(&routed).dropped(DropReason::IngressRule);
}

#[test]
fn a_revoked_permission_cuts_what_is_under_way_in_both_directions() {
    let mut net = with(net(), BLUE6, PolicyFlags::EGRESS, &[allow_tcp(Direction::Ingress, 443)]);
    for (back, flags) in [(false, "syn"), (true, "syn ack"), (false, "ack")] {
        net.port_sends(if back { BLUE6 } else { BLUE5 }, &tcp(back, flags));
    }
    net.policies = Default::default();
    net.policies.add(BLUE6, PolicyFlags::EGRESS, &[allow_tcp(Direction::Ingress, 80)]);
    net.memory.turn();
    // The answer is judged by the direction in which the connection was opened, though Blue 6 may send what it likes.
    net.port_sends(BLUE6, &tcp(true, "ack")).dropped(DropReason::IngressRule);
    net.port_sends(BLUE5, &tcp(false, "ack")).dropped(DropReason::IngressRule);
    // Given back, it goes on where it was.
    net.policies = Default::default();
    net.policies.add(BLUE6, PolicyFlags::EGRESS, &[allow_tcp(Direction::Ingress, 443)]);
    net.memory.turn();
    net.port_sends(BLUE6, &tcp(true, "ack")).went(&Way::Port(BLUE5));
    assert_eq!(state_at_blue6(&net).unwrap().phase, Phase::Open);
}

/// Begins a new policy epoch for one VM network.
fn turn(net: &Net, domain: u32) {
    *net.memory.epochs.borrow_mut().entry(epoch_index(domain, 5001)).or_default() += 1;
}

#[test]
fn a_permission_is_revoked_in_the_routing_domain_that_a_flow_has_come_into() {
    let rule = allow_tcp(Direction::Ingress, 443);
    let mut net = with(net(), BLUE6, PolicyFlags::EGRESS, &[rule]);
    net.ports.values_mut().for_each(|port| port.domain = 0);
    for (back, flags) in [(false, "syn"), (true, "syn ack"), (false, "ack")] {
        net.port_sends(if back { BLUE6 } else { BLUE5 }, &tcp(back, flags));
    }
    // The VM subnet gets its first customer route: both epochs end, as `plan::epochs` says.
    net.ports.values_mut().for_each(|port| port.domain = 1);
    for domain in [0, 1] {
        turn(&net, domain);
    }
    net.port_sends(BLUE5, &tcp(false, "ack")).went(&Way::Port(BLUE6));
    net.port_sends(BLUE6, &tcp(true, "ack")).went(&Way::Port(BLUE5));
    // From now on the flow is of the new one, and ends with that.
    net.policies = Default::default();
    net.policies.add(BLUE6, PolicyFlags::EGRESS, &[allow_tcp(Direction::Ingress, 80)]);
    turn(&net, 1);
    net.port_sends(BLUE5, &tcp(false, "ack")).dropped(DropReason::IngressRule);
    net.port_sends(BLUE6, &tcp(true, "ack")).dropped(DropReason::IngressRule);
}

#[test]
fn a_flow_table_without_room_closes_guarded_ports_alone() {
    let net = with(net(), BLUE6, PolicyFlags::EGRESS, &[allow_tcp(Direction::Ingress, 443)]);
    net.port_sends(BLUE5, &tcp(false, "syn")).went(&Way::Port(BLUE6));
    net.memory.full.set(true);
    // What is known goes on, and is still followed.
    net.port_sends(BLUE6, &tcp(true, "syn ack")).went(&Way::Port(BLUE5));
    net.port_sends(BLUE5, &tcp(false, "ack")).went(&Way::Port(BLUE6));
    assert_eq!(state_at_blue6(&net).unwrap().phase, Phase::Open);
    let new = udp(blue(5), blue(6), "10.0.0.6", "10.0.0.5", b"");
    net.port_sends(BLUE6, &new).dropped(DropReason::FlowLimit);
    let elsewhere = udp(GATEWAY, blue(5), "10.0.0.5", "10.0.1.5", b"");
    net.port_sends(BLUE5, &elsewhere).went(&Way::Port(13));
}

#[test]
fn a_port_whose_count_has_gone_below_zero_is_not_closed() {
    let net = with(net(), BLUE6, PolicyFlags::EGRESS, &[allow_tcp(Direction::Ingress, 443)]);
    // Two CPUs have both counted that one flow is half-open no longer.
    let usage = Usage { flows: 0, half_open: u64::MAX - 4 };
    net.memory.usage.borrow_mut().insert((BLUE6, Direction::Ingress), usage);
    net.port_sends(BLUE5, &tcp(false, "syn")).went(&Way::Port(BLUE6));
}

#[test]
fn what_has_the_numbers_of_the_links_own_business_and_is_for_one_vm_is_judged() {
    let net = with(net(), BLUE5, PolicyFlags::INGRESS, &[]);
    let mut igmp = udp(blue(6), blue(5), "10.0.0.5", "10.0.0.6", b"anything");
    igmp[23] = 2;
    net.port_sends(BLUE5, &igmp).dropped(DropReason::EgressRule);
    let icmpv6 = |kind: u8, hops: u8| {
        let mut frame = Vec::new();
        let icmp = etherparse::Icmpv6Type::Unknown { type_u8: kind, code_u8: 0, bytes5to8: [0; 4] };
        packet(blue(6), blue(5), "fd00::5", "fd00::6", hops).icmpv6(icmp).write(&mut frame, &[0; 16]).unwrap();
        frame
    };
    for (kind, hops) in [(131, 64), (143, 1), (133, 64)] {
        net.port_sends(BLUE5, &icmpv6(kind, hops)).dropped(DropReason::EgressRule);
    }
}

#[test]
fn an_icmp_error_about_a_flow_passes_and_another_does_not() {
    let net = with(net(), BLUE5, PolicyFlags::EGRESS, &[allow_tcp(Direction::Ingress, 80)]);
    let asked = udp(blue(6), blue(5), "10.0.0.5", "10.0.0.6", b"anybody?");
    net.port_sends(BLUE5, &asked).went(&Way::Port(BLUE6));
    let unreachable = |quoted: &[u8]| {
        let mut frame = Vec::new();
        let kind = etherparse::Icmpv4Type::DestinationUnreachable(etherparse::icmpv4::DestUnreachableHeader::Port);
        packet(blue(5), blue(6), "10.0.0.6", "10.0.0.5", 64).icmpv4(kind).write(&mut frame, quoted).unwrap();
        frame
    };
    net.port_sends(BLUE6, &unreachable(&asked[14..])).went(&Way::Port(BLUE5));
    let other = udp(blue(6), blue(5), "10.0.0.5", "10.0.0.8", b"anybody?");
    net.port_sends(BLUE6, &unreachable(&other[14..])).dropped(DropReason::IngressRule);
    net.port_sends(BLUE6, &unreachable(&asked[14..36])).dropped(DropReason::IngressRule);
    // A flow whose permission has been revoked lets none in, though it is kept in case that is given back.
    let mut net = net;
    net.policies = Default::default();
    net.policies.add(BLUE5, PolicyFlags::NONE, &[]);
    net.memory.turn();
    net.port_sends(BLUE6, &unreachable(&asked[14..])).dropped(DropReason::IngressRule);
}

/// An IPv4 fragment of a UDP datagram from port 1000 to port 2000: its offset in bytes and its payload.
fn fragment(offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = udp(blue(6), blue(5), "10.0.0.5", "10.0.0.6", payload);
    if offset != 0 {
        frame.drain(34..42);
    }
    let length = (frame.len() - 14) as u16;
    frame[16..18].copy_from_slice(&length.to_be_bytes());
    let field = (offset / 8) | if more { 0x2000 } else { 0 };
    frame[20..22].copy_from_slice(&field.to_be_bytes());
    frame
}

#[test]
fn fragments_belong_to_what_their_first_one_says() {
    let rule = Told { protocol: Some(17), ports: Some((2000, 2000)), ..Told::allow(Direction::Egress) };
    let net = with(net(), BLUE5, PolicyFlags::INGRESS, &[rule]);
    let later = fragment(808, false, &[7; 100]);
    net.port_sends(BLUE5, &later).dropped(DropReason::FragmentLost);
    net.port_sends(BLUE5, &fragment(0, true, &[7; 800])).went(&Way::Port(BLUE6));
    net.port_sends(BLUE5, &later).went(&Way::Port(BLUE6));
    // What has been judged is not written over: neither the header, nor what came already.
    net.port_sends(BLUE5, &fragment(400, false, &[7; 100])).dropped(DropReason::FragmentOverlap);
    let mut tiny = fragment(0, true, &[]);
    tiny.truncate(38);
    tiny[16..18].copy_from_slice(&24u16.to_be_bytes());
    net.port_sends(BLUE5, &tiny).dropped(DropReason::FragmentOverlap);
}

#[test]
fn options_that_lead_a_packet_elsewhere_are_refused() {
    let net = net();
    let mut frame = udp(blue(6), blue(5), "10.0.0.5", "10.0.0.6", b"");
    // Loose source and record route, and router alert.
    for (option, passes) in [([0x83, 3, 4, 0], false), ([0x94, 4, 0, 0], true), ([7, 3, 4, 0], false)] {
        let mut frame = frame.clone();
        frame.splice(34..34, option);
        frame[14] = 0x46;
        let length = (frame.len() - 14) as u16;
        frame[16..18].copy_from_slice(&length.to_be_bytes());
        let done = net.port_sends(BLUE5, &frame);
        assert_eq!(done.way, if passes { Way::Port(BLUE6) } else { Way::Drop(DropReason::IpOptions) }, "{option:x?}");
    }
    // Behind a routing header of type 0, and behind one that nothing is wrong with (type 4, RFC 8754).
    frame = udp(blue(6), blue(5), "fd00::5", "fd00::6", b"");
    for (kind, passes) in [(0, false), (4, true)] {
        let mut frame = frame.clone();
        frame.splice(54..54, [17, 0, kind, 0, 0, 0, 0, 0]);
        frame[20] = 43;
        let length = (frame.len() - 54) as u16;
        frame[18..20].copy_from_slice(&length.to_be_bytes());
        let done = net.port_sends(BLUE5, &frame);
        assert_eq!(done.way, if passes { Way::Port(BLUE6) } else { Way::Drop(DropReason::IpOptions) }, "type {kind}");
    }
}

#[test]
fn nothing_hides_behind_extension_headers() {
    let rule = Told {
        flags: RuleFlags::NONE,
        protocol: Some(17),
        ports: Some((2000, 2000)),
        ..Told::allow(Direction::Egress)
    };
    let net = with(net(), BLUE5, PolicyFlags::EGRESS.with(PolicyFlags::INGRESS), &[rule]);
    let mut frame = udp(blue(6), blue(5), "fd00::5", "fd00::6", b"");
    net.port_sends(BLUE5, &frame).dropped(DropReason::EgressRule);
    frame.splice(54..54, [17, 0, 1, 4, 0, 0, 0, 0]);
    frame[20] = 60;
    frame[18..20].copy_from_slice(&16u16.to_be_bytes());
    net.port_sends(BLUE5, &frame).dropped(DropReason::EgressRule);
}

#[test]
fn a_port_has_as_many_flows_as_its_limit_says_and_its_neighbours_have_theirs() {
    let mut net = with(net(), BLUE5, PolicyFlags::EGRESS.with(PolicyFlags::INGRESS), &[]);
    net.host.as_mut().unwrap().half_open_limit = 3;
    let open = |port: u16| {
        let mut frame = Vec::new();
        packet(blue(6), blue(5), "10.0.0.5", "10.0.0.6", 64).udp(port, 9).write(&mut frame, b"").unwrap();
        frame
    };
    for port in 1..=3 {
        net.port_sends(BLUE5, &open(port)).went(&Way::Port(BLUE6));
    }
    net.port_sends(BLUE5, &open(4)).dropped(DropReason::FlowLimit);
    assert_eq!(net.usage(BLUE5, Direction::Egress).flows, 3);
    // Towards it, and by others, flows are opened as before.
    net.port_sends(BLUE6, &udp(blue(5), blue(6), "10.0.0.6", "10.0.0.5", b"")).went(&Way::Port(BLUE5));
    // Who is answered is half open no more.
    let mut answer = Vec::new();
    packet(blue(5), blue(6), "10.0.0.6", "10.0.0.5", 64).udp(9, 1).write(&mut answer, b"").unwrap();
    net.port_sends(BLUE6, &answer).went(&Way::Port(BLUE5));
    net.port_sends(BLUE5, &open(4)).went(&Way::Port(BLUE6));
    // Without security groups the table is for speed alone.
    net.ports.get_mut(&BLUE5).unwrap().policy = 0;
    net.port_sends(BLUE5, &open(5)).went(&Way::Port(BLUE6));
    assert_eq!(net.usage(BLUE5, Direction::Egress).flows, 4);
}

#[test]
fn what_a_flow_has_found_the_next_packet_need_not_look_for() {
    let mut net = net();
    let there = udp(GATEWAY, blue(5), "10.0.0.5", "10.0.1.7", b"one");
    let first = net.port_sends(BLUE5, &there).went(&Way::Tunnel(5002));
    let back = nvgre(OTHER_PA, PA, 5001, &udp(blue(5), GATEWAY, "10.0.1.7", "10.0.0.5", b"two"));
    net.underlay_sends(&back).went(&Way::Port(BLUE5));
    // All tables but the ports are empty from here on.
    let ports = std::mem::take(&mut net.ports);
    let (host, memory) = (net.host, std::mem::take(&mut net.memory));
    let net = Net { ports, host, memory, ..Net::default() };
    let second = net.port_sends(BLUE5, &there).went(&Way::Tunnel(5002));
    assert_eq!(inner(&first), inner(&second));
    net.memory.turn();
    assert_ne!(net.port_sends(BLUE5, &there).way, Way::Tunnel(5002), "a new epoch, and it is looked for again");
}

#[test]
fn a_known_flow_is_nothing_that_another_host_can_speak_into() {
    let net = net();
    let inner = udp(blue(5), blue(7), "10.0.0.7", "10.0.0.5", b"");
    net.underlay_sends(&nvgre(OTHER_PA, PA, 5001, &inner)).went(&Way::Port(BLUE5));
    net.underlay_sends(&nvgre("192.168.4.66", PA, 5001, &inner)).dropped(DropReason::UnknownProvider);
    assert_eq!(net.underlay_sends(&nvgre(OTHER_PA, "192.168.4.67", 5001, &inner)).way, Way::Pass, "not to us");
    let other = udp(blue(5), blue(8), "10.0.0.7", "10.0.0.5", b"");
    assert!(matches!(net.underlay_sends(&nvgre(OTHER_PA, PA, 5001, &other)).way, Way::Drop(_)));
}

#[test]
fn a_rule_that_logs_tells_the_first_packet_of_a_flow() {
    let rule = Told { flags: RuleFlags::ALLOW.with(RuleFlags::LOG), ..allow_tcp(Direction::Ingress, 443) };
    let deny = Told { flags: RuleFlags::LOG, ..Told::allow(Direction::Ingress) };
    let net = with(net(), BLUE6, PolicyFlags::EGRESS, &[rule, deny]);
    for (back, flags) in [(false, "syn"), (true, "syn ack"), (false, "ack"), (false, "ack")] {
        net.port_sends(if back { BLUE6 } else { BLUE5 }, &tcp(back, flags));
    }
    net.port_sends(BLUE5, &echo(blue(6), blue(5), "10.0.0.5", "10.0.0.6", b"")).dropped(DropReason::IngressRule);
    let logged = net.memory.logged.borrow();
    let told: Vec<_> =
        logged.iter().map(|logged| (logged.ifindex, logged.index, logged.allowed, logged.key.protocol)).collect();
    assert_eq!(told, [(BLUE6, 0, 1, 6), (BLUE6, 1, 0, 1)]);
}
