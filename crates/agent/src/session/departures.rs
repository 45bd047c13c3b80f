//! VMs that move away from this host while they run: what is known of their flows goes ahead of them, and what became of the
//! frames that were still for them here is told.
//!
//! The kernel hears when such a VM is elsewhere, and tells nobody: it is asked ten times a second, for as long as a VM
//! moves. What changed since is handed over each time, and once more when the VM has gone; what is handed over twice or too
//! late does no harm ([`pipeline::travel`]).

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use model::Migration;
use pipeline::StationKey;
use pipeline::flow::{Flow, FlowKey};
use pipeline::travel::{Traveller, set_out};
use plan::{LinkKind, to_ip};
use proto::{Departure, Handover, Lease, Station};

use crate::core::Core;
use crate::flows::now;

/// How often is looked at most while a VM moves away.
pub const LOOK: Duration = Duration::from_millis(100);
/// So many times as long as a look took does the next one wait: a table of a million flows takes a third of a second.
const PAUSE: u32 = 10;
/// A flow that goes on is handed over again when it has been seen so much later, in nanoseconds. It matters for when it is
/// forgotten alone, and the last look hands over all.
const SEEN_GRAIN: u64 = 10_000_000_000;

/// The VMs that are on their way, and those that have just gone.
#[derive(Default)]
pub struct Departures {
    leaving: BTreeMap<Station, Leaving>,
    /// When the next look is due.
    next: Option<Instant>,
}

/// One of them.
#[derive(Default)]
struct Leaving {
    /// What was handed over last of each flow: its state, and when it was seen.
    handed_over: HashMap<FlowKey, (u64, u64)>,
    /// It was heard elsewhere, and all has been handed over.
    gone: bool,
    /// It was heard elsewhere.
    left: bool,
    device: DeviceCount,
    sent_on: u64,
}

/// Frames that went to a VM's device, and that it took.
#[derive(Clone, Copy, Default)]
struct DeviceCount {
    slot: Option<u32>,
    /// How many more went there than it took, at least, for as long as it ran: counts of answers by the host, which are not
    /// among the first, make it less with time.
    ahead: Option<i64>,
    /// How many it took when that was seen last.
    taken: Option<u64>,
    lost: Option<u64>,
}

impl DeviceCount {
    /// Takes a reading in.
    fn note(&mut self, delivered: u64, taken: Option<u64>, gone: bool) {
        // A device that has gone took no more.
        let Some(taken) = taken.or(self.taken) else { return };
        self.taken = Some(taken);
        let ahead = (delivered as i64).wrapping_sub(taken as i64);
        match self.ahead {
            Some(before) if gone => self.lost = Some(u64::try_from(ahead.wrapping_sub(before)).unwrap_or_default()),
            Some(before) => self.ahead = Some(before.min(ahead)),
            None if gone => {}
            None => self.ahead = Some(ahead),
        }
    }
}

/// What one look found out about a VM.
struct Seen {
    station: Station,
    gone: bool,
}

impl Departures {
    /// Looks, if it is time to: what is to be handed over.
    pub fn look(&mut self, core: &mut Core) -> Vec<Handover> {
        let began = Instant::now();
        if core.intent().migrations().next().is_none() {
            self.leaving.clear();
            return Vec::new();
        }
        if self.next.is_some_and(|next| began < next) {
            return Vec::new();
        }
        let seen = match self.who(core) {
            Ok(seen) => seen,
            Err(error) => {
                tracing::error!("which VMs leave cannot be read: {error}");
                return Vec::new();
            }
        };
        let handovers = self.hand_over(core, &seen);
        self.next = Some(Instant::now() + (began.elapsed() * PAUSE).max(LOOK));
        handovers
    }

    /// Who moves away, or has; and what their devices and the kernel have counted of them.
    fn who(&mut self, core: &Core) -> Result<Vec<Seen>, datapath::Error> {
        let own: Vec<IpAddr> = core.intent().provider_addresses().map(|provider| provider.address).collect();
        let is_ours = |address: Option<IpAddr>| address.is_some_and(|address| own.contains(&address));
        let leaves = |it: &&Migration| {
            let here = core.intent().port_at(it.vsid, it.mac).is_some();
            is_ours(it.from) || (it.to.is_some() && !is_ours(it.to) && here)
        };
        let moves: Vec<Migration> = core.intent().migrations().filter(leaves).copied().collect();
        let station = |it: &Migration| Station { vsid: it.vsid, mac: it.mac };
        self.leaving.retain(|known, _| moves.iter().any(|it| station(it) == *known));
        if moves.is_empty() {
            return Ok(Vec::new());
        }
        let (heard, sent_on) = (core.datapath.heard()?, core.datapath.sent_on()?);
        let mut seen = Vec::new();
        for it in &moves {
            let station = station(it);
            let key = StationKey { vsid: it.vsid.get(), mac: it.mac.octets(), reserved: 0 };
            let gone = it.from.is_some() || heard.get(&key).is_some_and(|at| it.to == Some(to_ip(*at)));
            let leaving = self.leaving.entry(station).or_default();
            leaving.left |= gone;
            leaving.sent_on = sent_on.get(&key).copied().unwrap_or_default().max(leaving.sent_on);
            if !leaving.gone {
                leaving.count(core, station, gone)?;
                seen.push(Seen { station, gone });
            }
        }
        Ok(seen)
    }

    /// What is to be handed over of these VMs.
    fn hand_over(&mut self, core: &Core, seen: &[Seen]) -> Vec<Handover> {
        if seen.is_empty() {
            return Vec::new();
        }
        let flows = match core.datapath.flows() {
            Ok(flows) => flows,
            Err(error) => {
                tracing::error!("what goes with a VM that moves cannot be read: {error}");
                return Vec::new();
            }
        };
        let (now, mut all) = (now(), Vec::new());
        for Seen { station, gone } in seen {
            let Some(leaving) = self.leaving.get_mut(station) else { continue };
            let own = flows.iter().filter(|(key, _)| key.vsid == station.vsid.get() && key.mac == station.mac.octets());
            let new: Vec<Traveller> = own.filter_map(|(key, flow)| leaving.take(key, flow, now, *gone)).collect();
            leaving.gone = *gone;
            let leases = leases(core, *station);
            let mut parts = new.chunks(Handover::MAX_FLOWS).peekable();
            if parts.peek().is_none() && *gone {
                all.push(Handover { station: *station, flows: Vec::new(), leases: leases.clone() });
            }
            all.extend(parts.map(|part| Handover { station: *station, flows: part.to_vec(), leases: leases.clone() }));
        }
        all
    }

    /// Forgets what was handed over: the one who takes it may have been another, or away.
    pub fn begin_anew(&mut self) {
        for leaving in self.leaving.values_mut() {
            leaving.handed_over.clear();
            leaving.gone = false;
        }
    }

    /// What is to be told of those that have left: others may stay after all.
    pub fn told(&self) -> Vec<Departure> {
        let told = self.leaving.iter().filter(|(_, leaving)| leaving.left).map(|(station, leaving)| Departure {
            station: *station,
            sent_on: leaving.sent_on,
            lost: leaving.device.lost,
            flows: leaving.handed_over.len() as u64,
        });
        told.collect()
    }
}

impl Leaving {
    /// A flow, if it is to be handed over now.
    fn take(&mut self, key: &FlowKey, flow: &Flow, now: u64, last: bool) -> Option<Traveller> {
        let traveller = set_out(key, flow, now)?;
        let grain = if last { 1 } else { SEEN_GRAIN };
        let known = self.handed_over.get(key);
        if known.is_some_and(|(state, seen)| *state == traveller.state && flow.seen.saturating_sub(*seen) < grain) {
            return None;
        }
        self.handed_over.insert(*key, (traveller.state, flow.seen));
        Some(traveller)
    }

    /// Notes what went to its device, and what it took.
    fn count(&mut self, core: &Core, station: Station, gone: bool) -> Result<(), datapath::Error> {
        let port = core.intent().port_at(station.vsid, station.mac);
        let ifindex = port.and_then(|port| core.ports().get(&port.name)?.ifindex());
        let slot = ifindex.and_then(|ifindex| Some(core.tables().ports.get(&ifindex)?.slot));
        self.device.slot = slot.or(self.device.slot);
        let Some(slot) = self.device.slot else { return Ok(()) };
        let delivered = core.datapath.counters(slot)?.to_packets;
        let device = port.map(|port| &port.device);
        let is_tap =
            |device: &&model::Name| core.facts().links.get(*device).is_some_and(|link| link.kind == LinkKind::Tap);
        let taken = device.filter(is_tap).and_then(|device| core.transmitted(device.as_str()));
        self.device.note(delivered, taken, gone);
        Ok(())
    }
}

/// What DHCP last said to a VM.
fn leases(core: &Core, station: Station) -> Vec<Lease> {
    let port = core.intent().port_at(station.vsid, station.mac);
    port.map(|port| core.leases.handed_over(port)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_did_not_take_after_its_vm_stood_still_is_lost() {
        let mut count = DeviceCount::default();
        // Three frames lie in the queue, then none; then the host answers twice, which it counts nowhere.
        for (delivered, taken) in [(103, 100), (110, 110), (110, 112)] {
            count.note(delivered, Some(taken), false);
        }
        // The VM stands still; five come. Its device goes, and two more come.
        count.note(115, Some(112), false);
        count.note(117, None, true);
        assert_eq!(count.lost, Some(7));
    }

    #[test]
    fn of_a_device_that_was_never_seen_nothing_is_known() {
        let mut count = DeviceCount::default();
        count.note(115, None, false);
        count.note(117, None, true);
        assert_eq!(count.lost, None);
        count.note(117, Some(100), true);
        assert_eq!(count.lost, None, "it was seen too late");
    }

    #[test]
    fn a_flow_is_handed_over_when_it_has_changed_and_at_last() {
        let mut leaving = Leaving::default();
        let key = FlowKey { protocol: 6, ..FlowKey::default() };
        let mut flow = Flow { seen: 1_000, state: 2, ..Flow::default() };
        let mut taken = |flow: &Flow, last| leaving.take(&key, flow, 2_000, last).is_some();
        assert!(taken(&flow, false));
        assert!(!taken(&flow, false));
        flow.seen += 5;
        assert!(!taken(&flow, false), "a moment matters at last only");
        flow.state = 3;
        assert!(taken(&flow, false));
        assert!(!taken(&flow, true));
        flow.seen += 5;
        assert!(taken(&flow, true));
    }
}
