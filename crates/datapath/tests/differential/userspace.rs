//! What user space makes of a frame: the pipeline on ordered maps, and what the kernel's entry points do with verdicts.

use std::cell::RefCell;
use std::collections::BTreeMap;

use datapath::testrun::Outcome;
use datapath::{Punt, Role};
use pipeline::apply::{self, Dressed};
use pipeline::flow::{Flow, FlowEntry, FlowKey, FragmentKey, Usage};
use pipeline::headers::{EthernetWords, Words};
use pipeline::meter::{Limit, MeterKey, Size};
use pipeline::moves::Move;
use pipeline::policy::{Direction, Logged, Matches, MemberKey, Policy, PrefixKey, Rule, RuleKey, ServiceKey, WordKey};
use pipeline::stages::flood;
use pipeline::{
    Action, Address, Buffer, ChecksumField, DropReason, Encapsulation, Flood, Fragmented, Frame, Host, Learn,
    MAX_REASONS, MAX_REPLICAS, Meta, Network, NoRoom, Packet, Peer, PeerKey, Plain, Port, Provider, Record, RecordKey,
    Replica, ReplicaKey, Route, RouteKey, Stage, StationKey, Strip, Subnet, Tables, Then, Verdict, Work,
};
use plan::HostTables;

use crate::memory::Memory;

/// `TCX_NEXT`, `TCX_DROP` and `TCX_REDIRECT`.
const NEXT: i32 = -1;
const DROP: i32 = 2;
const REDIRECT: i32 = 7;

/// Tables that listen to what the pipeline says on its way.
struct Recorder<'t> {
    tables: &'t HostTables,
    memory: &'t Memory,
    stages: RefCell<Vec<Stage>>,
    learnt: RefCell<Vec<Learn>>,
}

impl Tables for Recorder<'_> {
    fn host(&self) -> Option<&Host> {
        self.tables.host()
    }
    fn port(&self, ifindex: u32) -> Option<&Port> {
        self.tables.port(ifindex)
    }
    fn record(&self, key: &RecordKey) -> Option<&Record> {
        self.tables.record(key)
    }
    fn station(&self, key: &StationKey) -> Option<&Record> {
        self.tables.station(key)
    }
    fn moves(&self, key: &StationKey) -> Option<&Move> {
        self.tables.moves(key)
    }
    fn heard_at(&self, key: &StationKey) -> Option<&Address> {
        self.memory.heard.borrow().get(key).copied()
    }
    fn hear(&self, key: &StationKey, provider: &Address) {
        self.memory.heard.borrow_mut().insert(*key, Box::leak(Box::new(*provider)));
    }
    fn subnet(&self, vsid: u32) -> Option<&Subnet> {
        self.tables.subnet(vsid)
    }
    fn route(&self, key: &RouteKey) -> Option<&Route> {
        self.tables.route(key)
    }
    fn peer(&self, key: &PeerKey) -> Option<&Peer> {
        self.tables.peer(key)
    }
    fn provider(&self, address: &Address) -> Option<&Provider> {
        self.tables.provider(address)
    }
    fn replica(&self, key: &ReplicaKey) -> Option<&Replica> {
        self.tables.replica(key)
    }
    fn plain(&self, address: &Address) -> Option<&Plain> {
        self.tables.plain(address)
    }
    fn policy(&self, number: u32) -> Option<&Policy> {
        self.tables.policy(number)
    }
    fn prefix(&self, key: &PrefixKey) -> Option<&Matches> {
        self.tables.prefix(key)
    }
    fn member(&self, key: &MemberKey) -> Option<&Matches> {
        self.tables.member(key)
    }
    fn service(&self, key: &ServiceKey) -> Option<&Matches> {
        self.tables.service(key)
    }
    fn word(&self, key: &WordKey) -> Option<&u64> {
        self.tables.word(key)
    }
    fn rule(&self, key: &RuleKey) -> Option<&Rule> {
        self.tables.rule(key)
    }
    fn now(&self) -> u64 {
        self.memory.now.get()
    }
    fn epoch(&self, index: u32) -> u32 {
        self.memory.epochs.borrow().get(&index).copied().unwrap_or(0)
    }
    fn flow(&self, key: &FlowKey) -> Option<&FlowEntry> {
        self.memory.flows.borrow().get(key).copied()
    }
    fn create_flow(&self, key: &FlowKey, flow: &Flow) -> bool {
        self.memory.create(key, flow)
    }
    fn write_flow(&self, key: &FlowKey, flow: &Flow) -> bool {
        self.memory.write(key, flow)
    }
    fn usage(&self, slot: u32, opener: Direction) -> Usage {
        self.memory.usage.borrow().get(&(slot, opener)).copied().unwrap_or_default()
    }
    fn count_flow(&self, slot: u32, opener: Direction, flows: i32, half_open: i32) {
        self.memory.count(slot, opener, flows, half_open);
    }
    fn fragment(&self, key: &FragmentKey) -> Option<&Fragmented> {
        self.memory.fragments.borrow().get(key).copied()
    }
    fn note_fragment(&self, key: &FragmentKey, fragmented: &Fragmented) {
        self.memory.fragments.borrow_mut().insert(*key, Box::leak(Box::new(*fragmented)));
    }
    fn log(&self, logged: &Logged) {
        self.memory.logged.borrow_mut().push(*logged);
    }
    fn admit(&self, key: &MeterKey, limit: &Limit, size: Size) -> bool {
        self.tables.admit(key, limit, size)
    }
    fn admit_flood(&self, slot: u32) -> bool {
        self.tables.admit_flood(slot)
    }
    fn admit_punt(&self, slot: u32) -> bool {
        self.tables.admit_punt(slot)
    }
    fn learnt(&self, learn: &Learn) {
        self.learnt.borrow_mut().push(*learn);
    }
    fn enter(&self, stage: Stage) {
        self.stages.borrow_mut().push(stage);
    }
}

/// What is counted for one slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Count {
    pub from: (u64, u64),
    pub to: (u64, u64),
    pub drops: [u64; MAX_REASONS],
}

impl Default for Count {
    fn default() -> Self {
        Self { from: (0, 0), to: (0, 0), drops: [0; MAX_REASONS] }
    }
}

/// The counters by slot.
pub type Counts = BTreeMap<u32, Count>;

/// What user space makes of a frame.
pub struct Expected {
    pub outcome: Outcome,
    /// Name of the verdict.
    pub kind: &'static str,
    pub reason: Option<DropReason>,
    pub stages: Vec<Stage>,
    pub learnt: Vec<Learn>,
    /// What the agent gets.
    pub punted: Vec<Punt>,
    /// VSID of the port that it goes to, or that the encapsulation names.
    pub vsid: Option<u32>,
}

/// Decides about a frame, carries the decision out on a copy, and counts.
pub fn run(
    role: Role,
    frame: &[u8],
    meta: &Meta,
    tables: &HostTables,
    memory: &Memory,
    counts: &mut Counts,
) -> Expected {
    let recorder = Recorder { tables, memory, stages: RefCell::default(), learnt: RefCell::default() };
    let mut room = vec![0; frame.len() + 1400];
    room[..frame.len()].copy_from_slice(frame);
    let mut buffer = AsTestRun { buffer: Buffer::new(&mut room, frame.len()), untyped: meta.segment != 0 };
    let (mut work, mut verdict) = (Work::default(), Verdict::default());
    match role {
        Role::Port => pipeline::from_port(&buffer, &recorder, meta, &mut work, &mut verdict),
        Role::Uplink => pipeline::from_uplink(&buffer, &recorder, meta, &mut work, &mut verdict),
        Role::Host => pipeline::from_host(&buffer, &recorder, meta, &mut work, &mut verdict),
    }
    pipeline::limit(&buffer, &recorder, meta, &work, &mut verdict);
    let kind = kind(&verdict);
    let mut finish = Finish { tables, meta, counts, reported: (0, 0) };
    let action = finish.finish(&mut buffer, &verdict, &mut work);
    let (verdict_code, detail) = finish.reported;
    let vsid = match verdict.action() {
        Action::Deliver { ifindex, .. } => tables.port(ifindex).map(|port| port.vsid),
        Action::Encapsulate { tunnel } => Some(tunnel.vsid),
        Action::Flood(flood) => Some(flood.vsid),
        Action::Wire { network } | Action::Host { network } => Some(network),
        _ => None,
    };
    let outcome = Outcome { action, verdict: verdict_code, detail, frame: buffer.buffer.as_slice().to_vec() };
    let reason = (verdict_code == 1).then(|| DropReason::from_number(detail));
    let punted = match verdict.action() {
        Action::Punt { vsid } => vec![Punt { ifindex: meta.ifindex, vsid, frame: frame.to_vec() }],
        _ => Vec::new(),
    };
    let (stages, learnt) = (recorder.stages.into_inner(), recorder.learnt.into_inner());
    Expected { outcome, kind, reason, stages, learnt, punted, vsid }
}

/// A buffer that refuses what the kernel refuses in a test run: frames that stand for many segments have no type there
/// (`gso_type`), and without one `bpf_skb_adjust_room` does not touch them. Changes of the length make single frames of
/// them.
struct AsTestRun<'a> {
    buffer: Buffer<'a>,
    untyped: bool,
}

impl AsTestRun<'_> {
    fn adjustable(&self) -> Result<(), NoRoom> {
        if self.untyped { Err(NoRoom) } else { Ok(()) }
    }
}

impl Packet for AsTestRun<'_> {
    fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.buffer.bytes(offset)
    }
    fn bytes_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.buffer.bytes_at(offset)
    }
}

impl Frame for AsTestRun<'_> {
    fn store<const N: usize>(&mut self, offset: usize, bytes: &[u8; N]) -> Result<(), NoRoom> {
        self.buffer.store(offset, bytes)
    }
    fn correct_checksum(&mut self, field: ChecksumField, difference: u16) -> Result<(), NoRoom> {
        self.buffer.correct_checksum(field, difference)
    }
    fn resize(&mut self, len: usize) -> Result<(), NoRoom> {
        self.untyped = false;
        self.buffer.resize(len)
    }
    fn store_words<const N: usize>(&mut self, offset: usize, words: &Words<N>) -> Result<(), NoRoom> {
        self.buffer.store_words(offset, words)
    }
    fn open(&mut self, room: usize) -> Result<(), NoRoom> {
        self.adjustable()?;
        self.buffer.open(room)
    }
    fn encapsulate<const N: usize>(
        &mut self,
        header: &Words<N>,
        encapsulation: Encapsulation,
        outer: Network,
        inner: Network,
    ) -> Result<(), NoRoom> {
        if inner != Network::Other {
            self.adjustable()?;
        }
        self.buffer.encapsulate(header, encapsulation, outer, inner)
    }
    fn prepend<const N: usize>(&mut self, room: usize, header: &Words<N>) -> Result<(), NoRoom> {
        self.untyped = false;
        self.buffer.prepend(room, header)
    }
    fn decapsulate(&mut self, room: usize, udp: bool, ethernet: &EthernetWords, inner: Network) -> Result<(), NoRoom> {
        self.adjustable()?;
        self.buffer.decapsulate(room, udp, ethernet, inner)
    }
    /// The kernel puts the tag beside the frame.
    fn push_tag(&mut self, _vlan: u16) -> Result<(), NoRoom> {
        Ok(())
    }
    fn pop_tag(&mut self) -> Result<(), NoRoom> {
        self.buffer.pop_tag()
    }
}

/// The name of a verdict.
pub fn kind(verdict: &Verdict) -> &'static str {
    use pipeline::Answer;
    use pipeline::headers::icmp::IcmpError;
    match verdict.action() {
        Action::Pass => "pass",
        Action::Drop(_) => "drop",
        Action::Deliver { strip: Some(Strip::TAG), .. } => "deliver, untagged",
        Action::Deliver { strip: Some(strip), .. } if strip.is_udp() => "deliver, decapsulated from UDP",
        Action::Deliver { strip: Some(_), .. } => "deliver, decapsulated",
        Action::Deliver { translation, .. } if translation.wanted => "deliver, translated",
        Action::Deliver { .. } => "deliver",
        Action::Encapsulate { tunnel } => match (tunnel.encapsulation, tunnel.remote.is_v4()) {
            (Encapsulation::Nvgre, true) => "encapsulate in NVGRE over IPv4",
            (Encapsulation::Nvgre, false) => "encapsulate in NVGRE over IPv6",
            (Encapsulation::Vxlan, true) => "encapsulate in VXLAN over IPv4",
            (Encapsulation::Vxlan, false) => "encapsulate in VXLAN over IPv6",
            (Encapsulation::Geneve, true) => "encapsulate in Geneve over IPv4",
            (Encapsulation::Geneve, false) => "encapsulate in Geneve over IPv6",
        },
        Action::Plain { .. } => "plain",
        Action::Onward { .. } => "send on",
        Action::Answer(Answer::Arp(_)) => "answer ARP",
        Action::Answer(Answer::Neighbor { .. }) => "answer ND",
        Action::Answer(Answer::Echo) => "answer echo",
        Action::Answer(Answer::Error { error: IcmpError::TimeExceeded, .. }) => "answer time exceeded",
        Action::Answer(Answer::Error { error: IcmpError::TooBig(_), .. }) => "answer too big",
        Action::Flood(Flood { then: Then::Wire, .. }) => "flood and out of the uplink",
        Action::Flood(Flood { then: Then::Stack, strip: None, .. }) => "flood beside the host",
        Action::Flood(Flood { then: Then::Stack, .. }) => "flood beside the host, untagged",
        Action::Flood(Flood { strip: None, encapsulation, .. }) if encapsulation.is_udp() => {
            "flood from a port over UDP"
        }
        Action::Flood(Flood { strip: None, .. }) => "flood from a port",
        Action::Flood(Flood { strip: Some(strip), .. }) if strip.is_udp() => "flood from the uplink over UDP",
        Action::Flood(_) => "flood from the uplink",
        Action::Wire { .. } => "out of the uplink",
        Action::Host { .. } => "to the host",
        Action::Punt { .. } => "punt",
        Action::Relay { .. } => "relay",
    }
}

/// All names that [`kind`] gives.
pub const KINDS: [&str; 31] = [
    "pass",
    "send on",
    "drop",
    "deliver, decapsulated",
    "deliver, decapsulated from UDP",
    "deliver, untagged",
    "deliver, translated",
    "deliver",
    "encapsulate in NVGRE over IPv4",
    "encapsulate in NVGRE over IPv6",
    "encapsulate in VXLAN over IPv4",
    "encapsulate in VXLAN over IPv6",
    "encapsulate in Geneve over IPv4",
    "encapsulate in Geneve over IPv6",
    "plain",
    "answer ARP",
    "answer ND",
    "answer echo",
    "answer time exceeded",
    "answer too big",
    "flood from a port",
    "flood from a port over UDP",
    "flood from the uplink",
    "flood from the uplink over UDP",
    "flood and out of the uplink",
    "flood beside the host",
    "flood beside the host, untagged",
    "out of the uplink",
    "to the host",
    "punt",
    "relay",
];

/// Does what `ebpf/src/egress.rs` does.
struct Finish<'a> {
    tables: &'a HostTables,
    meta: &'a Meta,
    counts: &'a mut Counts,
    /// What the kernel leaves in the control block.
    reported: (u32, u32),
}

impl Finish<'_> {
    fn finish(&mut self, frame: &mut AsTestRun, verdict: &Verdict, work: &mut Work) -> i32 {
        if verdict.is_pass() {
            return NEXT;
        }
        let from = &mut self.counts.entry(verdict.slot).or_default().from;
        *from = (from.0 + 1, from.1 + u64::from(self.meta.len));
        match self.carry_out(frame, verdict, work) {
            Ok(action) => action,
            Err(reason) => {
                self.reported = (1, reason as u32);
                self.counts.entry(verdict.slot).or_default().drops[reason as usize] += 1;
                DROP
            }
        }
    }

    fn carry_out(&mut self, frame: &mut AsTestRun, verdict: &Verdict, work: &mut Work) -> Result<i32, DropReason> {
        let no_room = |NoRoom| DropReason::NoRoom;
        let len = self.meta.len;
        match verdict.action() {
            Action::Pass => {}
            Action::Drop(reason) => return Err(reason),
            Action::Answer(_) => {
                self.reported = (verdict.code(), self.meta.ifindex);
                let host = self.tables.host.ok_or(DropReason::NotConfigured)?;
                apply::answer(frame, verdict, &host.gateway_mac).map_err(no_room)?;
            }
            Action::Deliver { ifindex, slot, strip, translation, .. } => {
                self.reported = (verdict.code(), ifindex);
                apply::translate(frame, &work.edit, &translation).map_err(no_room)?;
                apply::deliver(frame, strip, &work.edit).map_err(no_room)?;
                self.count_to(slot, work.parsed.inner_len(len));
            }
            Action::Encapsulate { tunnel } => {
                self.reported = (verdict.code(), tunnel.peer.uplink);
                self.count_to(0, len);
                apply::edit(frame, &work.edit).map_err(no_room)?;
                apply::encapsulate(frame, &tunnel, &work.edit, len).map_err(no_room)?;
            }
            Action::Plain { peer, translation } => {
                self.reported = (verdict.code(), peer.uplink);
                self.count_to(0, len);
                apply::translate(frame, &work.edit, &translation).map_err(no_room)?;
                apply::plain(frame, &work.edit).map_err(no_room)?;
            }
            Action::Onward { peer, remote } => {
                self.reported = (verdict.code(), peer.uplink);
                self.count_to(0, len);
                apply::onward(frame, peer, remote, &work.edit).map_err(no_room)?;
            }
            Action::Flood(flood) => {
                self.reported = (verdict.code(), flood.to);
                self.replicate(frame, &flood, work, verdict.slot).map_err(no_room)?;
                match flood.then {
                    Then::End => return Ok(DROP),
                    Then::Wire => self.count_to(0, len),
                    Then::Stack => return Ok(NEXT),
                }
            }
            Action::Wire { network } => {
                self.reported = (verdict.code(), network);
                self.count_to(0, len);
                apply::tag(frame, network).map_err(no_room)?;
            }
            Action::Host { network } => {
                self.reported = (verdict.code(), network);
                apply::tag(frame, network).map_err(no_room)?;
            }
            Action::Punt { vsid } => {
                self.reported = (verdict.code(), vsid);
                return Ok(DROP);
            }
            Action::Relay { peer } => self.reported = (verdict.code(), peer.uplink),
        }
        Ok(REDIRECT)
    }

    fn count_to(&mut self, slot: u32, len: u32) {
        let to = &mut self.counts.entry(slot).or_default().to;
        *to = (to.0 + 1, to.1 + u64::from(len));
    }

    fn replicate(&mut self, frame: &mut AsTestRun, flood: &Flood, work: &mut Work, slot: u32) -> Result<(), NoRoom> {
        let (mut len, mut dressed, mut result) = (self.meta.len, Dressed::Bare, Ok(()));
        if let Some(strip) = flood.strip {
            len -= apply::strip_off(frame, strip, &work.edit)?;
        }
        for index in 0..flood.to.min(MAX_REPLICAS) {
            let Some(replica) = flood::replica(self.tables, flood, index) else { continue };
            if replica.ifindex != 0 {
                if flood::admits(self.tables, replica.ifindex, flood, work) {
                    if let Some(port) = self.tables.port(replica.ifindex) {
                        self.count_to(port.slot, len);
                    }
                } else {
                    self.counts.entry(slot).or_default().drops[DropReason::IngressRule as usize] += 1;
                }
                continue;
            }
            let Some(peer) = flood::peer(self.tables, flood, replica) else {
                let reason = flood::refusal(self.tables, replica);
                self.counts.entry(slot).or_default().drops[reason as usize] += 1;
                continue;
            };
            let tunnel = flood::tunnel(flood, peer, replica);
            match apply::dress(frame, dressed, &tunnel, &work.edit.ethernet, len) {
                Ok(now) => dressed = now,
                Err(NoRoom) => {
                    result = Err(NoRoom);
                    continue;
                }
            }
            self.count_to(0, len);
        }
        result
    }
}
