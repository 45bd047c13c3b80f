//! Stage "security": do the port's security groups let it pass? Asked once at the sender's port and once at the receiver's,
//! each on the host of the port, and only for the first packet of a flow and after changes.
//!
//! A flow is judged in the direction in which it was opened, and both directions pass when that does. What has no flow is
//! judged packet by packet. ARP, Neighbor Discovery and multicast listener reports are the link's own business, and are
//! guarded elsewhere.

use crate::flow::{ArrivalFlags, FlowKey, INGRESS_SHARE, WayFlags, epoch_index};
use crate::headers::icmp;
use crate::headers::ip::{self, Ip};
use crate::packet::Packet;
use crate::policy::{
    Direction, Logged, MAX_WORDS, Matches, MemberKey, PolicyFlags, PrefixKey, RuleFlags, RuleKey, SUMMARY_WORDS,
    ServiceKey, WordKey, side,
};
use crate::segment;
use crate::stages::fragment;
use crate::stages::probe::{self, Kind, Probe};
use crate::tables::{Address, Port, RecordKey, RouteFlags, RouteKey, Tables, Turn};
use crate::track::{RST, SYN, State};
use crate::verdict::{Draft, Fate, Work};
use crate::{DropReason, Stage};

/// What is asked of a policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Question {
    /// Number of the policy; 0 lets everything pass.
    pub policy: u32,
    /// Which way the flow was opened.
    pub direction: Direction,
    /// The other side's address.
    pub remote: Address,
    /// Number of the security groups that the other side is in, 0 for none.
    pub groups: u32,
    /// IP protocol.
    pub protocol: u8,
    /// Whether the service is known; it is not of a fragment but the first.
    pub has_service: bool,
    /// Destination port, or ICMP type and code.
    pub service: u16,
}

/// The answer that lets pass.
pub const ALLOWED: u32 = 1 << 0;
/// The rule that matched wants to be logged.
pub const LOGGED: u32 = 1 << 1;
/// A rule matched; its place in the list stands in the bits from [`INDEX_SHIFT`] on.
pub const MATCHED: u32 = 1 << 2;
/// See [`MATCHED`].
pub const INDEX_SHIFT: u32 = 8;

/// Between whom the packet went that an ICMP error quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Quoted {
    /// Source.
    pub source: Address,
    /// Destination.
    pub destination: Address,
}

/// What is asked, and what it is looked up by. The caller lends it, as it lends [`Work`]: in the kernel it does not fit on the
/// stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Desk {
    /// What is asked.
    pub question: Question,
    search: Search,
    prefix: PrefixKey,
    service: ServiceKey,
    record: RecordKey,
    route: RouteKey,
    logged: Logged,
}

/// Looks for the first rule that the three sets have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Search {
    /// The words in which there may be one.
    left: [u64; SUMMARY_WORDS],
    /// The sets; 0 for none.
    prefix: u32,
    member: u32,
    service: u32,
    /// Index of the rule, [`NONE`] as long as none is found.
    found: u32,
}

/// No rule.
const NONE: u32 = u32::MAX;

/// One word of a set; none of no set.
#[inline(always)]
fn word<T: Tables>(tables: &T, set: u32, word: u32) -> u64 {
    if set == 0 {
        return 0;
    }
    match tables.word(&WordKey { set, word }) {
        Some(word) => *word,
        None => 0,
    }
}

impl Turn for Search {
    /// Looks into the first word that is left.
    #[inline(always)]
    fn turn<T: Tables>(&mut self, tables: &T) -> bool {
        let [a, b, c, d] = &mut self.left;
        let (base, left) = if *a != 0 {
            (0, a)
        } else if *b != 0 {
            (64, b)
        } else if *c != 0 {
            (128, c)
        } else if *d != 0 {
            (192, d)
        } else {
            return false;
        };
        let index = base + left.trailing_zeros();
        *left &= left.wrapping_sub(1);
        let remote = word(tables, self.prefix, index) | word(tables, self.member, index);
        let common = remote & word(tables, self.service, index);
        if common == 0 {
            return true;
        }
        self.found = index * 64 + common.trailing_zeros();
        false
    }
}

/// What a policy says to the question on the desk: [`ALLOWED`], [`LOGGED`], [`MATCHED`] and the rule's place.
#[inline(always)]
pub fn evaluate<T: Tables>(tables: &T, desk: &mut Desk) -> u32 {
    let question = &desk.question;
    let Some(policy) = tables.policy(question.policy) else { return 0 };
    let [egress, ingress] = policy.rules;
    let (default, rules) = match question.direction {
        Direction::Egress => (PolicyFlags::EGRESS, egress),
        Direction::Ingress => (PolicyFlags::INGRESS, ingress),
    };
    let otherwise = if policy.flags.has(default) { ALLOWED } else { 0 };
    if rules == 0 {
        return otherwise;
    }
    let side = side(question.policy, question.direction);
    let index = first(tables, side, desk);
    if index == NONE {
        return otherwise;
    }
    let Some(rule) = tables.rule(&RuleKey { side, index }) else { return otherwise };
    let allowed = if rule.flags.has(RuleFlags::ALLOW) { ALLOWED } else { 0 };
    let logged = if rule.flags.has(RuleFlags::LOG) { LOGGED } else { 0 };
    allowed | logged | MATCHED | (index << INDEX_SHIFT)
}

/// Index of the first rule that matches, or [`NONE`].
#[inline(always)]
fn first<T: Tables>(tables: &T, side: u32, desk: &mut Desk) -> u32 {
    let Desk { question, search, prefix: prefix_key, service: service_key, .. } = desk;
    service_key.side = side.to_be_bytes();
    service_key.protocol = question.protocol;
    service_key.port = question.service.to_be_bytes();
    service_key.prefix_len =
        if question.has_service { ServiceKey::PROTOCOL_BITS + 16 } else { ServiceKey::PROTOCOL_BITS };
    let Some(service) = tables.service(service_key) else { return NONE };
    search.service = service.set;
    search.left = service.summary;
    search.found = NONE;
    prefix_key.prefix_len = PrefixKey::SIDE_BITS + 128;
    prefix_key.side = side.to_be_bytes();
    prefix_key.address = question.remote;
    let prefix = tables.prefix(prefix_key);
    let member = match question.groups {
        0 => None,
        groups => tables.member(&MemberKey { side, groups }),
    };
    let of = |matches: Option<&Matches>| match matches {
        Some(matches) => (matches.set, matches.summary),
        None => (0, [0; SUMMARY_WORDS]),
    };
    let ((prefix_set, [p0, p1, p2, p3]), (member_set, [m0, m1, m2, m3])) = (of(prefix), of(member));
    (search.prefix, search.member) = (prefix_set, member_set);
    let [s0, s1, s2, s3] = &mut search.left;
    *s0 &= p0 | m0;
    *s1 &= p1 | m1;
    *s2 &= p2 | m2;
    *s3 &= p3 | m3;
    tables.repeat(MAX_WORDS, search);
    search.found
}

/// Whether the port may have another flow that was opened this way.
#[inline(always)]
pub fn has_room<T: Tables>(tables: &T, slot: u32, opener: Direction) -> bool {
    let Some(host) = tables.host() else { return false };
    let usage = tables.usage(slot, opener);
    let share = match opener {
        Direction::Egress => 1,
        Direction::Ingress => INGRESS_SHARE as u64,
    };
    // Below zero, where CPUs that ended one flow at the same time have both counted that, there is room.
    (usage.flows as i64) < (host.flow_limit as u64 * share) as i64
        && (usage.half_open as i64) < (host.half_open_limit as u64 * share) as i64
}

/// What [`judge`] says of a packet that may pass; otherwise the number of a [`DropReason`].
pub const PASS: u32 = u32::MAX;

/// At which port a packet is judged, and how it comes there. Numbers alone: the kernel hands it to a function that takes
/// nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Case {
    /// Interface index of the port's device.
    pub ifindex: u32,
    /// Whether the port's own VM sent the packet, or it is for that.
    pub direction: Direction,
    /// VSID that the other side's address is in; 0 if it is somewhere in the port's routing domain.
    pub remote_vsid: u32,
    /// The port is the receiver's of a packet that a port of this host sent: its flow is `work.far`, else `work.own`.
    pub far: bool,
    /// Length of the frame in bytes.
    pub len: u32,
}

/// Judges a packet at one port, and drafts what its flow is afterwards: [`PASS`] or the number of a [`DropReason`].
#[inline(always)]
pub fn judge<T: Tables>(tables: &T, work: &mut Work, case: &Case) -> u32 {
    let direction = case.direction;
    tables.enter(stage(direction));
    let Work { parsed, probe, own, far, fragment, quoted, quoted_probe, quoted_key, desk, .. } = work;
    let draft = if case.far { far } else { own };
    draft.fate = Fate::None;
    let Some(ip) = parsed.ip() else { return PASS };
    let Some(port) = tables.port(case.ifindex) else { return DropReason::NoPort as u32 };
    let mut related = false;
    if port.policy != 0 {
        if ip.fragment
            && let Err(reason) = fragment::resolve(tables, port.vsid, &port.mac, direction, ip, probe, fragment)
        {
            return reason as u32;
        }
        if probe.kind == Kind::Error && quoted_probe.kind == Kind::Flow {
            // The packet that it quotes went the other way.
            let (from, to) = (&quoted.source, &quoted.destination);
            probe::key(quoted_key, port.vsid, &port.mac, quoted_probe, direction.opposite(), from, to);
            related = is_under_way(tables, quoted_key);
        }
    }
    begin(draft, desk, port, case, ip, probe);
    if port.policy != 0 {
        match case.remote_vsid {
            0 => groups_in_domain(tables, port.domain, desk),
            vsid => groups(tables, vsid, desk),
        }
    }
    match probe.kind {
        Kind::None => PASS,
        Kind::Error if related => PASS,
        Kind::Flow => track(tables, probe, draft, desk),
        _ => ask(tables, desk, &draft.key, case.ifindex),
    }
}

/// The stage that asks about a direction.
const fn stage(direction: Direction) -> Stage {
    match direction {
        Direction::Egress => Stage::Egress,
        Direction::Ingress => Stage::Ingress,
    }
}

/// Says which flow it is, at which port, and what is to be asked of the policy if the packet opens the flow.
#[inline(always)]
fn begin(draft: &mut Draft, desk: &mut Desk, port: &Port, case: &Case, ip: &Ip, probe: &Probe) {
    let Draft { key, flow, len, filtered, .. } = draft;
    let question = &mut desk.question;
    probe::key(key, port.vsid, &port.mac, probe, case.direction, &ip.source, &ip.destination);
    flow.clear();
    flow.ifindex = case.ifindex;
    flow.slot = port.slot;
    flow.epoch_index = epoch_index(port.domain, port.vsid);
    *len = case.len;
    *filtered = port.policy != 0;
    question.policy = port.policy;
    question.direction = case.direction;
    question.remote = key.remote;
    question.groups = 0;
    question.protocol = probe.protocol;
    question.has_service = true;
    question.service = probe.service();
}

/// Whether a flow is known at a port, let pass under the policy epoch of now, and has not ended.
#[inline(always)]
fn is_under_way<T: Tables>(tables: &T, key: &FlowKey) -> bool {
    match tables.flow(key) {
        Some(flow) => {
            let state = flow.state();
            // One that a change of the rules has cut is not deleted: it may be given back.
            state.epoch == tables.epoch(flow.epoch_index) && !state.is_over(key.protocol, flow.seen.get(), tables.now())
        }
        None => false,
    }
}

/// Asks the policy, and tells the agent where a rule wants that; [`PASS`] or the reason.
#[inline(always)]
fn ask<T: Tables>(tables: &T, desk: &mut Desk, key: &FlowKey, ifindex: u32) -> u32 {
    if desk.question.policy == 0 {
        return PASS;
    }
    let answer = evaluate(tables, desk);
    let Desk { question, logged, .. } = desk;
    if answer & LOGGED != 0 {
        logged.ifindex = ifindex;
        logged.side = side(question.policy, question.direction);
        logged.index = answer >> INDEX_SHIFT;
        logged.allowed = answer & ALLOWED;
        logged.key = *key;
        tables.log(logged);
    }
    match (answer & ALLOWED != 0, question.direction) {
        (true, _) => PASS,
        (false, Direction::Egress) => DropReason::EgressRule as u32,
        (false, Direction::Ingress) => DropReason::IngressRule as u32,
    }
}

/// Follows the connection that a packet is part of, or begins with it.
#[inline(always)]
fn track<T: Tables>(tables: &T, probe: &Probe, draft: &mut Draft, desk: &mut Desk) -> u32 {
    let Draft { key, flow, fate, len, before, before_slot, filtered } = draft;
    let (direction, ifindex) = (desk.question.direction, flow.ifindex);
    let index = flow.epoch_index;
    let (now, epoch) = (tables.now(), tables.epoch(index));
    let mut new = Fate::Create;
    if let Some(known) = tables.flow(key) {
        let state = known.state();
        let over = known.ifindex != ifindex
            || state.is_over(key.protocol, known.seen.get(), now)
            || state.is_reopened(key.protocol, probe.flags);
        (*before, *before_slot) = (state, known.slot);
        if over {
            new = Fate::Replace;
        } else {
            // Epochs of two VM networks are two counts, and say nothing of one another.
            let moved = known.epoch_index != index;
            if moved || state.epoch != epoch {
                desk.question.direction = state.opener;
                desk.question.service = probe::service(key, state.opener);
                let verdict = ask(tables, desk, key, ifindex);
                if verdict != PASS {
                    return verdict;
                }
            }
            let next = State { epoch, ..state }.advance(key.protocol, probe.flags, direction);
            known.copy_to(flow);
            if moved {
                flow.epoch_index = index;
                flow.way.flags = WayFlags::NONE;
                flow.arrival.flags = ArrivalFlags::NONE;
            }
            flow.state = next.to_bits();
            flow.seen = now;
            flow.count(direction, *len);
            *fate = Fate::Renew;
            return PASS;
        }
    }
    let verdict = ask(tables, desk, key, ifindex);
    // What ends flows or answers opens none.
    if verdict != PASS || probe.flags & RST != 0 || probe.is_echo_reply() {
        return verdict;
    }
    if !has_room(tables, flow.slot, direction) {
        // Without security groups the flow table is for speed alone, and one can do without it.
        return if !*filtered { PASS } else { DropReason::FlowLimit as u32 };
    }
    flow.state = State::opened(direction, epoch).advance(key.protocol, probe.flags & !SYN, direction).to_bits();
    flow.seen = now;
    flow.count(direction, *len);
    *fate = new;
    PASS
}

/// Writes a flow down that was drafted; false if it must be and cannot. `far` as in [`Case::far`].
#[inline(always)]
pub fn remember<T: Tables>(tables: &T, work: &Work, far: bool) -> bool {
    let draft = if far { &work.far } else { &work.own };
    if draft.fate == Fate::None {
        return true;
    }
    let created = draft.fate == Fate::Create && tables.create_flow(&draft.key, &draft.flow);
    if !created && !tables.write_flow(&draft.key, &draft.flow) {
        return !draft.filtered;
    }
    if draft.fate == Fate::Create && !created {
        // Another CPU was faster, and has counted it.
        return true;
    }
    let (before, after) = (draft.before, State::from_bits(draft.flow.state));
    let (was, is) = (before.phase.is_half_open() as i32, after.phase.is_half_open() as i32);
    if draft.fate == Fate::Renew {
        if was != is {
            tables.count_flow(draft.flow.slot, after.opener, 0, is - was);
        }
        return true;
    }
    tables.count_flow(draft.flow.slot, after.opener, 1, is);
    if draft.fate == Fate::Replace {
        tables.count_flow(draft.before_slot, before.opener, -1, -was);
    }
    true
}

/// Reads the packet that an ICMP error quotes, if it may be one of a flow; `work.quoted_probe` says whether it is.
#[inline(always)]
pub fn quote<P: Packet>(packet: &P, work: &mut Work) {
    let Work { parsed, probe, quoted, quoted_probe, .. } = work;
    quoted_probe.kind = Kind::None;
    if probe.kind != Kind::Error || !probe.plain {
        return;
    }
    let Some(ip) = parsed.ip() else { return };
    let at = parsed.network as usize + ip.header_len() + icmp::LEN;
    if read_quoted(packet, at, ip.v4, quoted, quoted_probe) {
        quoted_probe.kind = Kind::Flow;
    }
}

/// An address in a packet, read in words, since there is little room on the kernel's stack here.
#[inline(always)]
fn address<P: Packet>(packet: &P, at: usize, v4: bool) -> Option<Address> {
    let word = |at| packet.bytes_at::<4>(at);
    if v4 {
        return word(at).map(Address::v4);
    }
    let words = [word(at)?, word(at + 4)?, word(at + 8)?, word(at + 12)?];
    Some(Address::from_words(words.map(u32::from_ne_bytes)))
}

/// Reads the packet that an ICMP error quotes at `at`; false if that names no flow.
#[inline(never)]
fn read_quoted<P: Packet>(packet: &P, at: usize, v4: bool, quoted: &mut Quoted, probe: &mut Probe) -> bool {
    let Some([first]) = packet.bytes_at::<1>(at) else { return false };
    let (protocol, addresses, length, transport) = if v4 {
        (at + 9, at + 12, 4, at + ((first & 0x0f) << 2) as usize)
    } else {
        (at + 6, at + 8, 16, at + ip::V6_LEN)
    };
    let Some([protocol]) = packet.bytes_at::<1>(protocol) else { return false };
    let Some(source) = address(packet, addresses, v4) else { return false };
    let Some(destination) = address(packet, addresses + length, v4) else { return false };
    let Some([a, b, c, d, e, f]) = packet.bytes_at::<6>(transport) else { return false };
    quoted.source = source;
    quoted.destination = destination;
    probe.protocol = protocol;
    let echo = a == icmp::echo_request(v4) || a == icmp::echo_reply(v4);
    probe.ports = match protocol {
        protocol if probe::has_ports(protocol) => u32::from_be_bytes([a, b, c, d]),
        ip::ICMP | ip::ICMPV6 if echo => u32::from_be_bytes([e, f, e, f]),
        ip::ICMP | ip::ICMPV6 => return false,
        _ => 0,
    };
    true
}

/// Notes the security groups of the remote, an address in a VM subnet.
#[inline(always)]
fn groups<T: Tables>(tables: &T, vsid: u32, desk: &mut Desk) {
    let Desk { question, record: key, .. } = desk;
    key.vsid = vsid;
    key.address = question.remote;
    if let Some(record) = tables.record(key) {
        question.groups = record.groups;
    }
}

/// The same of an address somewhere in a routing domain.
#[inline(always)]
fn groups_in_domain<T: Tables>(tables: &T, domain: u32, desk: &mut Desk) {
    if domain == 0 {
        return;
    }
    desk.route = RouteKey::exact(domain, desk.question.remote);
    if let Some(route) = tables.route(&desk.route)
        && route.flags.has(RouteFlags::ON_LINK)
    {
        groups(tables, route.vsid, desk);
    }
}

/// Whether a port lets a frame to a group pass, one of its own VM's or a copy for it: [`PASS`] or the number of a
/// [`DropReason`]. Such packets have no flow, and of `case` their VSID and the port count alone.
#[inline(always)]
pub fn judge_group<T: Tables>(tables: &T, work: &mut Work, case: &Case) -> u32 {
    let Work { parsed, probe, desk, quoted_key: key, .. } = work;
    let Some(ip) = parsed.ip() else { return PASS };
    // A port that is not in the tables has no say; no copy reaches one.
    let Some(port) = tables.port(case.ifindex) else { return PASS };
    // In a physical network frames are not read so far.
    if port.policy == 0 || segment::is_physical(case.remote_vsid) || probe.kind == Kind::None {
        return PASS;
    }
    tables.enter(stage(case.direction));
    probe::key(key, port.vsid, &port.mac, probe, case.direction, &ip.source, &ip.destination);
    let question = &mut desk.question;
    question.policy = port.policy;
    question.direction = case.direction;
    question.remote = key.remote;
    question.groups = 0;
    question.protocol = probe.protocol;
    question.has_service = probe.kind != Kind::Fragment;
    question.service = probe.service();
    groups(tables, case.remote_vsid, desk);
    ask(tables, desk, key, case.ifindex)
}

/// What [`judge`] says, as a result.
#[inline(always)]
pub fn outcome(verdict: u32) -> Result<(), DropReason> {
    if verdict == PASS { Ok(()) } else { Err(DropReason::from_number(verdict)) }
}
