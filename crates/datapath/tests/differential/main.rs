//! The cornerstone: the kernel programs and the pipeline in user space decide alike.
//!
//! Random frames over random tables go through both. What is decided, why, for whom, every byte that comes out, what is
//! learnt and what is counted must agree. Needs root: it loads the programs (`BPF_PROG_TEST_RUN`) and makes
//! devices in a network namespace of its own.

mod agent_frames;
mod coverage;
mod craft;
mod flows;
mod groups;
mod isolation;
mod limits;
#[path = "../../../pipeline/tests/common/memory.rs"]
mod memory;
mod physical_frames;
mod port_frames;
mod replay;
mod report;
mod soundness;
mod travel;
mod uplink_frames;
mod userspace;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use datapath::testrun::Outcome;
use datapath::{Datapath, Events, Punt, Punts, Role};
use pipeline::flow::{Arrival, ArrivalFlags, Flow, FlowKey, Way, WayFlags};
use pipeline::{DropReason, Learn};
use plan::{Epochs, HostTables};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use coverage::Coverage;
use memory::Memory;
use port_frames::{Case, Frames};
use replay::Replay;
use userspace::{Counts, Expected};
use world::World;

/// How many tables, and how many frames over each.
const BATCHES: u64 = 160;
const FRAMES: usize = 200;
/// Which packets the fixed test draws.
const SEED: u64 = 0x6e65_7476_6972_7432;
/// How many mismatches are told.
const TOLD: usize = 20;

#[test]
fn kernel_and_user_space_decide_alike() {
    let coverage = compare("fixed", SEED);
    coverage.assert_complete();
}

#[test]
fn kernel_and_user_space_decide_alike_about_new_packets_each_time() {
    let seed = match std::env::var("NETVIRT_SEED") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("NETVIRT_SEED is {text:?}; it must be a number of 64 bits")),
        Err(_) => rand::rng().random(),
    };
    println!("to repeat this: NETVIRT_SEED={seed}");
    compare("random", seed);
}

/// Compares on all batches of a seed.
fn compare(test: &str, seed: u64) -> Coverage {
    let world = World::new(test);
    let run = || {
        let mut datapath = Datapath::open(&world.folder).expect("the kernel takes the programs");
        let events = datapath.take_events().expect("the ring of events");
        let punts = datapath.take_punts().expect("the ring of punted frames");
        let mut comparison = Comparison {
            world: &world,
            datapath,
            events,
            punts,
            tables: HostTables::default(),
            memory: Memory::default(),
            broken: false,
            coverage: Coverage::default(),
            seed,
            mismatches: Vec::new(),
        };
        for batch in 0..BATCHES {
            comparison.batch(batch);
            if comparison.mismatches.len() > TOLD {
                break;
            }
        }
        let Comparison { mismatches, coverage, .. } = comparison;
        println!("{coverage}");
        let told = mismatches.join("\n");
        assert!(mismatches.is_empty(), "kernel and user space differ:\n{told}");
        assert!(coverage.compared >= 20_000, "{} frames are too few", coverage.compared);
        coverage
    };
    world.namespace.run(run).expect("the namespace can be entered")
}

struct Comparison<'w> {
    world: &'w World,
    datapath: Datapath,
    events: Events,
    punts: Punts,
    /// What the kernel's maps hold.
    tables: HostTables,
    /// What it remembers of flows.
    memory: Memory,
    /// They are such as the compiler never makes.
    broken: bool,
    coverage: Coverage,
    seed: u64,
    mismatches: Vec<String>,
}

impl Comparison<'_> {
    /// One set of tables, and frames over it.
    fn batch(&mut self, batch: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ batch.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (tables, broken) = world::tables(&self.world.devices, &mut rng);
        self.datapath.apply(&plan::diff(&self.tables, &tables)).expect("the kernel takes the tables");
        assert_eq!(self.datapath.tables().expect("the tables"), tables, "the kernel holds other tables than written");
        self.datapath.begin_epochs(&Epochs::All).expect("the kernel takes new epochs");
        self.memory.turn();
        self.datapath.clear_flows().expect("the flows can be forgotten");
        self.memory.clear();
        // A VM that moves in the batch before and in this one stays heard.
        let heard = self.datapath.heard().expect("where VMs were heard");
        *self.memory.heard.borrow_mut() = heard.into_iter().map(|(key, at)| (key, &*Box::leak(Box::new(at)))).collect();
        self.tables = tables;
        self.broken = broken;
        let slots: BTreeSet<u32> = self.tables.ports.values().map(|port| port.slot).chain([0]).collect();
        for slot in &slots {
            self.datapath.clear_counters(*slot).expect("the counters can be cleared");
        }
        let mut counts = Counts::default();
        let mut replay = Replay::default();
        for index in 0..FRAMES {
            let known = if rng.random_bool(0.35) { replay.draw(&mut rng) } else { None };
            let case = match known {
                Some(case) => case,
                None => Frames::new(&mut rng, &self.tables, &self.world.devices).draw(),
            };
            if rng.random_bool(0.02) {
                self.datapath.begin_epochs(&Epochs::All).expect("the kernel takes new epochs");
                self.memory.turn();
            }
            if let Some(expected) = self.frame(&case, &mut counts, &format!("batch {batch}, frame {index}")) {
                replay.keep(&case, &expected, &self.tables, &self.world.devices);
            }
            if rng.random_bool(0.01) {
                self.user_space_alone(&case);
            }
        }
        for slot in slots {
            let expected = counts.remove(&slot).unwrap_or_default();
            let got = self.datapath.counters(slot).expect("the counters");
            let drops = DropReason::ALL.iter().map(|reason| got.drops(*reason));
            let same = (got.from_packets, got.from_bytes) == expected.from
                && (got.to_packets, got.to_bytes) == expected.to
                && drops.eq(expected.drops[..DropReason::ALL.len()].iter().copied());
            if !same {
                let text = format!("batch {batch}: counters of slot {slot} are {got:?}, and should be {expected:?}");
                self.mismatches.push(text);
            }
        }
        self.flows(batch);
        self.heard(batch);
        assert_eq!(counts, Counts::default(), "user space counted for slots that no port has");
    }

    /// Compares on one frame.
    fn frame(&mut self, case: &Case, counts: &mut Counts, place: &str) -> Option<Expected> {
        let before = counts.clone();
        let expected = userspace::run(case.role, &case.frame, &case.meta, &self.tables, &self.memory, counts);
        let outcome = match self.datapath.test_run(case.role, &case.frame, &case.meta) {
            Ok(outcome) => outcome,
            Err(error) => {
                // The frame counts for nothing.
                *counts = before;
                assert!(refused_by_test_run(&case.frame), "{place}: {error} for {:02x?}", case.frame);
                self.coverage.refused += 1;
                return None;
            }
        };
        self.coverage.add(case, &expected);
        let mut learnt = Vec::new();
        while let Some(learn) = self.events.next_event() {
            learnt.push(learn);
        }
        let mut punted = Vec::new();
        while let Some(punt) = self.punts.next_punt() {
            punted.push(punt);
        }
        if !agree(&expected, &outcome, &learnt, &punted) {
            let tables = self.mismatches.is_empty().then_some(&self.tables);
            let text = report::mismatch(self.seed, place, case, &expected, &outcome, (&learnt, &punted), tables);
            self.mismatches.push(text);
        }
        // What is sent on must be sound; the rest is what it was. With tables that let an IPv6 address stand for an IPv4
        // address there is no right checksum.
        let sound = !self.broken && outcome.verdict > 1 && soundness::is_sound(&case.frame);
        if sound && !soundness::is_sound(&outcome.frame) {
            let text = report::mismatch(self.seed, place, case, &expected, &outcome, (&learnt, &punted), None);
            self.mismatches.push(format!("a sound frame came out unsound: {text}"));
        }
        self.coverage.sound += u64::from(sound);
        Some(expected)
    }

    /// Compares what both remember of flows, but for the times, which are those of two clocks; and how many each port has.
    fn flows(&mut self, batch: u64) {
        // What is not known yet is whatever the flow before left there.
        let timeless = |flows: BTreeMap<FlowKey, Flow>| -> BTreeMap<FlowKey, Flow> {
            let known = |flow: Flow| Flow {
                seen: 0,
                way: if flow.way.flags.has(WayFlags::KNOWN) { flow.way } else { Way::default() },
                arrival: if flow.arrival.flags.has(ArrivalFlags::KNOWN) { flow.arrival } else { Arrival::default() },
                ..flow
            };
            flows.into_iter().map(|(key, flow)| (key, known(flow))).collect()
        };
        let (kernel, own) = (timeless(self.datapath.flows().expect("the flows")), timeless(self.memory.all()));
        let different = |key: &&FlowKey| kernel.get(*key) != own.get(*key);
        let keys: BTreeSet<&FlowKey> = kernel.keys().chain(own.keys()).collect();
        for key in keys.into_iter().filter(different).take(2) {
            let text =
                format!("batch {batch}: flow {key:?} is {:?}, and should be {:?}", kernel.get(key), own.get(key));
            self.mismatches.push(text);
        }
        for (&(slot, opener), usage) in self.memory.usage.borrow().iter() {
            let got = self.datapath.usage(slot, opener).expect("the usage");
            if got != *usage {
                let text = format!("batch {batch}: slot {slot} {opener:?} has {got:?}, and should have {usage:?}");
                self.mismatches.push(text);
            }
        }
        self.coverage.flows += kernel.len() as u64;
    }

    /// Compares where both have heard VMs that move.
    fn heard(&mut self, batch: u64) {
        let own: BTreeMap<_, _> = self.memory.heard.borrow().iter().map(|(key, at)| (*key, **at)).collect();
        let kernel = self.datapath.heard().expect("where VMs were heard");
        if kernel != own {
            self.mismatches.push(format!("batch {batch}: VMs were heard at {kernel:?}, and should be at {own:?}"));
        }
        self.coverage.heard += kernel.len() as u64;
    }

    /// A tag beside the frame, which a test run cannot have.
    fn user_space_alone(&self, case: &Case) {
        let mut meta = case.meta;
        // Of a kind that no physical network has.
        (meta.vlan, meta.tag) = (true, pipeline::segment::NO_VLAN);
        let expected =
            userspace::run(case.role, &case.frame, &meta, &self.tables, &Memory::default(), &mut Counts::default());
        let Some(port) = self.tables.ports.get(&meta.ifindex).filter(|port| port.vsid != 0) else { return };
        if case.role != Role::Port {
            assert_eq!(expected.kind, "pass");
        } else if case.frame.len() >= 14 && self.tables.host.is_some() {
            assert_eq!(expected.reason, Some(DropReason::VlanTag), "port {port:?}");
        }
    }
}

/// Whether the kernel refuses to run a program on a frame: shorter than its Ethernet header, or than the IP header that
/// the EtherType announces.
fn refused_by_test_run(frame: &[u8]) -> bool {
    match frame {
        [_, _, _, _, _, _, _, _, _, _, _, _, 0x08, 0x00, rest @ ..] => rest.len() < 20,
        [_, _, _, _, _, _, _, _, _, _, _, _, 0x86, 0xdd, rest @ ..] => rest.len() < 40,
        _ => frame.len() <= 14,
    }
}

/// Whether both say the same. A frame that could not be changed is dropped, whatever is left of it.
fn agree(expected: &Expected, outcome: &Outcome, learnt: &[Learn], punted: &[Punt]) -> bool {
    let same = if expected.reason == Some(DropReason::NoRoom) {
        let Outcome { action, verdict, detail, .. } = expected.outcome;
        (action, verdict, detail) == (outcome.action, outcome.verdict, outcome.detail)
    } else {
        expected.outcome == *outcome
    };
    same && expected.learnt == learnt && expected.punted == punted
}
