//! The agent's side of the northbound interface.

use std::sync::Arc;

use api::{
    AddressState, ChangeReport, ChangeSet, DropCounter, FlowFilter, FlowList, GATEWAY_WAIT, GatewayWork, HostApi,
    HostStatus, InterfaceAddress, InterfaceStatus, InterfaceVlan, Item, PlugReport, PlugRequest, PortMemory, Problem,
    Remembered, TraceReport, TraceRequest, UPLINK, UnplugReport, UnplugRequest, UplinkStatus,
};
use datapath::SlotCounters;
use model::gateway::{GatewayBeat, GatewayReport};
use model::{Key, Kind, MacAddress};
use pipeline::DropReason;

use crate::core::{Core, device_name};
use crate::run::{Shared, lock};
use crate::session::claims::Claimant;
use crate::trace::{self, Seen};
use crate::{flows, plugging, port_memory, statuses};

/// Answers for the core, and asks the controller if there is one.
pub struct LocalApi(pub Shared, pub Option<Claimant>);

impl HostApi for LocalApi {
    fn status(&self) -> Result<HostStatus, Problem> {
        Ok(status(&lock(&self.0)))
    }

    fn list(&self, kind: Kind) -> Result<Vec<Item>, Problem> {
        let core = lock(&self.0);
        core.intent().of_kind(kind).map(|(_, resource)| statuses::item(&core, resource)).collect()
    }

    fn get(&self, kind: Kind, name: &str) -> Result<Item, Problem> {
        let core = lock(&self.0);
        match core.intent().get(&Key { kind, name: name.to_owned() }) {
            Some(resource) => statuses::item(&core, resource),
            None => Err(Problem::not_found(format!("there is no {kind} {name} on host {}", core.name))),
        }
    }

    fn change(&self, changes: ChangeSet) -> Result<ChangeReport, Problem> {
        lock(&self.0).change(changes)
    }

    fn gateway_work(&self, after: Option<u64>) -> Result<GatewayWork, Problem> {
        let bell = Arc::clone(&lock(&self.0).gateways.bell);
        bell.wait(after, GATEWAY_WAIT);
        Ok(lock(&self.0).gateway_work())
    }

    fn report_gateway(&self, report: GatewayReport) -> Result<(), Problem> {
        lock(&self.0).gateways.take_report(report);
        Ok(())
    }

    fn gateway_beat(&self, beat: GatewayBeat) -> Result<(), Problem> {
        lock(&self.0).gateways.take_beat(beat);
        Ok(())
    }

    fn drops(&self) -> Result<Vec<DropCounter>, Problem> {
        drops(&lock(&self.0))
    }

    fn clear_drops(&self) -> Result<(), Problem> {
        let mut core = lock(&self.0);
        for (_, slot) in slots(&core) {
            core.datapath.clear_counters(slot).map_err(internal)?;
        }
        Ok(())
    }

    fn flows(&self, filter: FlowFilter) -> Result<FlowList, Problem> {
        flows::list(&lock(&self.0), &filter)
    }

    fn port_memory(&self, port: &str) -> Result<PortMemory, Problem> {
        port_memory::of(&lock(&self.0), port)
    }

    fn remember(&self, port: &str, memory: PortMemory) -> Result<Remembered, Problem> {
        port_memory::take_in(&mut lock(&self.0), port, &memory)
    }

    fn interfaces(&self) -> Result<Vec<InterfaceStatus>, Problem> {
        let links = lock(&self.0).links().map_err(|error| Problem::internal(error.to_string()))?;
        let mut interfaces: Vec<InterfaceStatus> = links.iter().map(interface).collect();
        interfaces.sort_by_key(|interface| interface.ifindex);
        Ok(interfaces)
    }

    fn plug(&self, request: PlugRequest) -> Result<PlugReport, Problem> {
        plugging::plug(&self.0, self.1.as_ref(), &request)
    }

    fn unplug(&self, request: UnplugRequest) -> Result<UnplugReport, Problem> {
        plugging::unplug(&self.0, self.1.as_ref(), &request)
    }

    fn trace(&self, request: TraceRequest) -> Result<TraceReport, Problem> {
        traced(&lock(&self.0), |seen| trace::from_port(seen, &request)).map(|traced| traced.report)
    }
}

/// Traces a packet over what the kernel holds, not over what we believe that it holds.
pub fn traced<T>(core: &Core, trace: impl FnOnce(Seen<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
    let tables = core.datapath.tables().map_err(internal)?;
    let names = |ifindex: u32| {
        let device = device_name(core.facts(), ifindex)?;
        let port = core.intent().port_on(device);
        Some(port.map_or_else(|| device.to_string(), |port| port.name.to_string()))
    };
    let heard = core.datapath.heard().map_err(internal)?;
    trace(Seen { tables: &tables, heard: &heard, intent: core.intent(), names: &names })
}

/// All counters of drops that are not 0.
pub fn drops(core: &Core) -> Result<Vec<DropCounter>, Problem> {
    let mut drops = Vec::new();
    for (name, slot) in slots(core) {
        drops.extend(drops_of(&name, &core.datapath.counters(slot).map_err(internal)?));
    }
    Ok(drops)
}

/// Those of one port.
pub fn drops_of(port: &str, counters: &SlotCounters) -> impl Iterator<Item = DropCounter> {
    DropReason::ALL.iter().filter_map(move |reason| {
        let packets = counters.drops(*reason);
        (packets > 0).then(|| DropCounter {
            port: port.to_owned(),
            reason: reason.name().to_owned(),
            explanation: reason.explanation().to_owned(),
            packets,
        })
    })
}

/// Each bound port with its counters' slot, and the uplink.
fn slots(core: &Core) -> Vec<(String, u32)> {
    let ports = core.ports().iter().filter_map(|(name, status)| match status.state {
        plan::PortState::Bound { slot, .. } => Some((name.to_string(), slot)),
        plan::PortState::NoDevice => None,
    });
    ports.chain([(UPLINK.to_owned(), 0)]).collect()
}

/// The host itself.
pub fn status(core: &Core) -> HostStatus {
    let mut uplinks: Vec<UplinkStatus> = Vec::new();
    for address in core.intent().provider_addresses() {
        let Some(link) = core.facts().links.get(&address.interface) else { continue };
        match uplinks.iter_mut().find(|uplink| uplink.ifindex == link.ifindex) {
            Some(uplink) => uplink.addresses.push(address.address),
            None => uplinks.push(UplinkStatus {
                interface: address.interface.to_string(),
                ifindex: link.ifindex,
                mtu: link.mtu,
                addresses: vec![address.address],
            }),
        }
    }
    HostStatus {
        name: core.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started: humantime::format_rfc3339_seconds(core.started).to_string(),
        uplinks,
        ports: core.intent().ports().count(),
        bound_ports: core.ports().values().filter(|status| status.ifindex().is_some()).count(),
        records: core.intent().lookup_records().count(),
        routes: core.intent().customer_routes().count(),
        drift: core.drift.clone(),
        findings: core.findings(),
        gateway_mac: Some(core.settings.gateway_mac),
        controller: core.controller.clone(),
    }
}

/// An interface as the kernel describes it.
fn interface(link: &host::Link) -> InterfaceStatus {
    let state = |state: &host::AddressState| match state {
        host::AddressState::Tentative => AddressState::Tentative,
        host::AddressState::Duplicate => AddressState::Duplicate,
        host::AddressState::Deprecated => AddressState::Deprecated,
        host::AddressState::Preferred => AddressState::Preferred,
    };
    let kind = match link.kind {
        host::LinkKind::Veth => "veth",
        host::LinkKind::Tun => "tap",
        host::LinkKind::Bridge => "bridge",
        host::LinkKind::Vxlan => "vxlan",
        host::LinkKind::Other if link.vlan.is_some() => "vlan",
        host::LinkKind::Other if link.mac.is_none_or(|mac| mac == [0; 6]) => "loopback",
        host::LinkKind::Other => "ethernet",
    };
    let addresses = link.addresses.iter().zip(&link.states);
    InterfaceStatus {
        name: link.name.clone(),
        ifindex: link.index,
        mac: link.mac.and_then(|mac| MacAddress::new(mac).ok()),
        mtu: link.mtu,
        up: link.up && link.carrier,
        kind: kind.to_owned(),
        addresses: addresses.map(|(address, how)| InterfaceAddress { address: *address, state: state(how) }).collect(),
        vlan: link.vlan.map(|(parent, id)| InterfaceVlan { parent, id }),
    }
}

pub fn internal(error: datapath::Error) -> Problem {
    Problem::new(api::ProblemType::Internal, error.to_string())
}
