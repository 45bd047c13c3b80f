//! What is seen of a compartment that has been carried out, for its report.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use host::Netlink;
use host::conntrack::{Conntrack, Entry};
use plan::gateway::judgement::Seen;
use plan::gateway::layout::{answers, next_hops};
use plan::gateway::ruleset::Counts;
use plan::gateway::{NUMBER_MASK, OUTSIDE, number};

use crate::compartment::{Carrier, Wanted};
use crate::silent::Silent;

/// For how long refused connections are told in words.
const LATELY: Duration = Duration::from_secs(30);

/// Each connection is looked at only every so many looks: there may be a hundred thousand. Where their number is the same as it
/// was then, it is done more rarely still: to list even a few, the kernel goes through the table of all namespaces.
const LOOKS: u32 = 5;
const LOOKS_WHEN_CALM: u32 = 30;

/// Of so many seconds counters are kept.
const KEPT: usize = 40;

/// What is remembered from one look to the next.
#[derive(Debug, Default)]
pub struct Watcher {
    past: VecDeque<(Instant, Counts, u64)>,
    /// Connections without a port when the process began to look: they are old.
    first: Option<u64>,
    silent: Silent,
    /// Connections by what they are part of, and how many looks ago they were counted.
    sessions: Option<BTreeMap<u16, u64>>,
    looks: u32,
    /// How many there were then.
    counted: u64,
}

impl Watcher {
    /// Looks at a compartment.
    pub fn look(&mut self, carrier: &mut Carrier, wanted: &Wanted, edge: Option<String>) -> Seen {
        let counters = carrier.counters();
        let rules = counters.iter().any(|counter| counter.name == carrier.rules());
        let counts: Counts =
            counters.into_iter().map(|counter| (counter.name, (counter.packets, counter.bytes))).collect();
        let tracked = carrier.tracked();
        let portless = tracked.map_or(0, |tracked| tracked.insert_failed);
        let general = carrier.troubles().find(|trouble| trouble.connection.is_none());
        let trouble = general.map(|trouble| trouble.reason.clone());
        let outside = carrier.device(OUTSIDE).map(|link| (link.index, link.up, link.carrier));
        let silent = self.silent(carrier.netlink(), outside.map(|(index, ..)| index), wanted);
        let (before, portless_before) = self.past(&counts, portless);
        Seen {
            trouble,
            rules,
            carrier: outside.filter(|(_, up, _)| *up).map(|(.., carrier)| carrier),
            silent,
            edge,
            counts,
            before,
            sessions: tracked.and_then(|tracked| self.sessions(carrier, wanted, tracked.count)),
            portless,
            portless_before,
        }
    }

    /// Connections by what they are part of. Where a NAT is all that there is, the kernel's own count of all is that; else each
    /// is looked at, now and then.
    fn sessions(&mut self, carrier: &Carrier, wanted: &Wanted, all: u64) -> Option<BTreeMap<u16, u64>> {
        let compartment = &wanted.compartment;
        if !compartment.connections.iter().any(|connection| connection.nat.is_some()) {
            return None;
        }
        if let [only] = compartment.connections.as_slice() {
            return Some(BTreeMap::from([(number(compartment, only)?, all)]));
        }
        if all == 0 {
            return Some(BTreeMap::new());
        }
        let due = if all == self.counted { LOOKS_WHEN_CALM } else { LOOKS };
        if self.looks >= due || self.sessions.is_none() {
            (self.looks, self.counted) = (0, all);
            let mut sessions = BTreeMap::new();
            let mut count = |entry: Entry| {
                let number = u16::try_from(entry.mark & NUMBER_MASK).unwrap_or_default();
                *sessions.entry(number).or_default() += 1;
            };
            let counted = Conntrack::in_namespace(carrier.namespace()).and_then(|table| table.each(&mut count));
            self.sessions = counted.is_ok().then_some(sessions);
        }
        self.looks = self.looks.saturating_add(1);
        self.sessions.clone()
    }

    /// Counters as they were some time ago; what is now is kept.
    fn past(&mut self, counts: &Counts, portless: u64) -> (Counts, u64) {
        let first = *self.first.get_or_insert(portless);
        let now = Instant::now();
        self.past.push_back((now, counts.clone(), portless));
        while self.past.len() > KEPT || self.past.front().is_some_and(|(at, ..)| now.duration_since(*at) > LATELY) {
            self.past.pop_front();
        }
        match self.past.front() {
            Some((_, counts, portless)) => (counts.clone(), *portless),
            None => (counts.clone(), first),
        }
    }

    /// The routers outside that do not answer.
    fn silent(&mut self, netlink: &Netlink, device: Option<u32>, wanted: &Wanted) -> Vec<IpAddr> {
        let mut asked = Vec::new();
        if let Some(outside) = wanted.compartment.outside.as_ref().filter(|_| answers(&wanted.compartment)) {
            let own = wanted.gateway.as_ref().map_or(&[][..], |gateway| &gateway.next_hops);
            let of_a_family =
                |router: &&IpAddr| outside.addresses.iter().any(|address| address.addr().is_ipv6() == router.is_ipv6());
            asked.extend(next_hops(outside, own).iter().filter(of_a_family));
        }
        self.silent.look(netlink, device, &asked)
    }
}
