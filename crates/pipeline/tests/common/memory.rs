//! What a host remembers of flows, in user space: the part of `Tables` that packets change. Values are never freed, since
//! the pipeline borrows them while it changes the tables; a test is short.
#![allow(dead_code, reason = "each test file is a crate of its own and uses its part")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use pipeline::flow::{Flow, FlowEntry, FlowKey, FragmentKey, Usage};
use pipeline::policy::{Direction, Logged};
use pipeline::{Address, Fragmented, StationKey};

/// Flows, how many each port has, fragmented packets, epochs, and what rules wanted to be logged.
#[derive(Default)]
pub struct Memory {
    pub now: Cell<u64>,
    pub epochs: RefCell<BTreeMap<u32, u32>>,
    pub flows: RefCell<BTreeMap<FlowKey, &'static FlowEntry>>,
    pub usage: RefCell<BTreeMap<(u32, Direction), Usage>>,
    /// Where VMs that move were heard.
    pub heard: RefCell<BTreeMap<StationKey, &'static Address>>,
    pub fragments: RefCell<BTreeMap<FragmentKey, &'static Fragmented>>,
    pub logged: RefCell<Vec<Logged>>,
    /// There is no room for another flow.
    pub full: Cell<bool>,
}

impl Memory {
    /// Remembers a flow of which nothing is known.
    pub fn create(&self, key: &FlowKey, flow: &Flow) -> bool {
        !self.flows.borrow().contains_key(key) && self.write(key, flow)
    }

    /// Remembers a flow, in the place of what was known of it.
    pub fn write(&self, key: &FlowKey, flow: &Flow) -> bool {
        let fits = !self.full.get() || self.flows.borrow().contains_key(key);
        if fits {
            self.remember(key, flow);
        }
        fits
    }

    fn remember(&self, key: &FlowKey, flow: &Flow) {
        let entry = FlowEntry {
            seen: Cell::new(flow.seen),
            state: Cell::new(flow.state),
            from_packets: Cell::new(flow.from_packets),
            from_bytes: Cell::new(flow.from_bytes),
            to_packets: Cell::new(flow.to_packets),
            to_bytes: Cell::new(flow.to_bytes),
            ifindex: flow.ifindex,
            slot: flow.slot,
            epoch_index: flow.epoch_index,
            reserved: flow.reserved,
            way: flow.way,
            arrival: flow.arrival,
        };
        self.flows.borrow_mut().insert(*key, Box::leak(Box::new(entry)));
    }

    /// Counts flows that come, go, or are answered.
    pub fn count(&self, slot: u32, opener: Direction, flows: i32, half_open: i32) {
        let mut usage = self.usage.borrow_mut();
        let usage = usage.entry((slot, opener)).or_default();
        usage.flows = usage.flows.checked_add_signed(flows.into()).expect("no more flows go than came");
        usage.half_open = usage.half_open.checked_add_signed(half_open.into()).expect("no more flows open than came");
    }

    /// Forgets all flows, and what fragments said.
    pub fn clear(&self) {
        self.flows.borrow_mut().clear();
        self.usage.borrow_mut().clear();
        self.fragments.borrow_mut().clear();
    }

    /// All flows as they are now.
    pub fn all(&self) -> BTreeMap<FlowKey, Flow> {
        let copy = |entry: &FlowEntry| {
            let mut flow = Flow::default();
            entry.copy_to(&mut flow);
            flow
        };
        self.flows.borrow().iter().map(|(key, entry)| (*key, copy(entry))).collect()
    }

    /// Begins a new policy epoch for all VM networks.
    pub fn turn(&self) {
        let mut epochs = self.epochs.borrow_mut();
        for index in 0..pipeline::flow::MAX_EPOCHS {
            *epochs.entry(index).or_default() += 1;
        }
    }
}
