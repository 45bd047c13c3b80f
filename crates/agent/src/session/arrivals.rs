//! VMs that come to this host while they run: what their old host remembers of them is taken in, as soon as their ports
//! have devices.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pipeline::flow::{FlowKey, INGRESS_SHARE};
use pipeline::travel::Traveller;
use proto::{Handover, Station};

use crate::core::Core;

/// What came for VMs whose ports have no device yet.
#[derive(Default)]
pub struct Arrivals(BTreeMap<Station, BTreeMap<FlowKey, (Traveller, Instant)>>);

impl Arrivals {
    /// Takes in what was handed over.
    pub fn hear(&mut self, core: &mut Core, handover: Handover) {
        let station = handover.station;
        let Some(port) = core.intent().port_at(station.vsid, station.mac).cloned() else { return };
        core.leases.take_over(&port, &handover.leases);
        let room = core.settings.flow_limit as usize * (1 + INGRESS_SHARE as usize);
        let waiting = self.0.entry(station).or_default();
        for flow in handover.flows {
            // What does not fit into the table does not wait for it either.
            if waiting.len() < room || waiting.contains_key(&flow.key) {
                waiting.insert(flow.key, (flow, Instant::now()));
            }
        }
        self.settle(core);
    }

    /// Gives to ports that have devices by now what came for them, and forgets VMs that do not come any more.
    pub fn settle(&mut self, core: &mut Core) {
        if self.0.is_empty() {
            return;
        }
        for (station, flows) in std::mem::take(&mut self.0) {
            let Some(port) = core.intent().port_at(station.vsid, station.mac) else { continue };
            match core.ports().get(&port.name).and_then(plan::PortStatus::ifindex) {
                Some(ifindex) => take_in(core, ifindex, station, &flows),
                None if core.intent().migration_of(station.vsid, station.mac).is_some() => {
                    self.0.insert(station, flows);
                }
                None => {}
            }
        }
    }
}

fn take_in(core: &mut Core, ifindex: u32, station: Station, flows: &BTreeMap<FlowKey, (Traveller, Instant)>) {
    let aged = |(flow, since): &(Traveller, Instant)| {
        let waited = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Traveller { idle: flow.idle.saturating_add(waited), ..*flow }
    };
    let aged: Vec<Traveller> = flows.values().map(aged).collect();
    let began = Instant::now();
    match core.datapath.take_flows(ifindex, &aged) {
        Ok(taken) if taken.no_room > 0 => tracing::warn!(
            vsid = %station.vsid, mac = %station.mac,
            "{} connections of a VM that comes find no room at its port (\"flows\" in the host's configuration); they go on \
             if its security groups let them pass as new ones",
            taken.no_room
        ),
        Ok(taken) => {
            let took: Duration = began.elapsed();
            tracing::debug!(vsid = %station.vsid, mac = %station.mac, ?taken, ?took, "took connections in");
        }
        Err(error) => tracing::error!("connections of a VM that comes cannot be taken in: {error}"),
    }
}
