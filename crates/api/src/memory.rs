//! A host without a kernel behind it: keeps what it is given. For tests of clients; it decides about no packet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use model::gateway::{GatewayBeat, GatewayReport};
use model::{Key, Kind, Port, Resource};

use crate::{
    AddressState, Bell, Change, ChangeReport, ChangeResult, ChangeSet, Counters, CustomerRouteStatus, DropCounter,
    FlowFilter, FlowList, GATEWAY_WAIT, GatewayWork, HostApi, HostStatus, InterfaceAddress, InterfaceStatus, Item,
    ItemStatus, LookupRecordStatus, Outcome, PlugReport, PlugRequest, PortMemory, PortState, PortStatus, Problem,
    ProblemType, ProviderAddressStatus, ProviderRouteStatus, Remembered, TraceLookup, TraceReport, TraceRequest,
    TraceStep, UPLINK, UnplugReport, UnplugRequest, UplinkStatus,
};

/// See the module.
#[derive(Debug)]
pub struct MemoryHost {
    resources: Mutex<BTreeMap<Key, Resource>>,
    drops: Mutex<Vec<DropCounter>>,
    plugged: Mutex<BTreeSet<model::Name>>,
    report: Mutex<Option<GatewayReport>>,
    /// Rings with each change.
    bell: Bell,
}

/// MTU of the compartments' interfaces: 1500 bytes less what NVGRE takes.
const INSIDE_MTU: u32 = 1458;

impl Default for MemoryHost {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryHost {
    /// A host with two counters of drops and no resources.
    pub fn new() -> Self {
        let drop = |port: &str, reason: &str, explanation: &str, packets| DropCounter {
            port: port.to_owned(),
            reason: reason.to_owned(),
            explanation: explanation.to_owned(),
            packets,
        };
        let drops = vec![
            drop("blue1", "source-mac", "The source MAC address is not the port's.", 3),
            drop(UPLINK, "unknown-vsid", "The VSID is not known on this host.", 12),
        ];
        Self {
            resources: Mutex::default(),
            drops: Mutex::new(drops),
            plugged: Mutex::default(),
            report: Mutex::default(),
            bell: Bell::new(1),
        }
    }

    /// What a gateway reported last.
    pub fn gateway_report(&self) -> Option<GatewayReport> {
        locked(&self.report).clone()
    }
}

/// A lock whose holder panicked guards test data only, which is as good as before.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn missing(key: &Key) -> Problem {
    Problem::not_found(format!("there is no {key}; see \"netvirt get {}\"", key.kind))
}

/// The resource as it is shown.
fn item(resource: &Resource) -> Result<Item, Problem> {
    let status = match resource {
        Resource::Port(_) => ItemStatus::Port(PortStatus {
            state: PortState::Bound,
            ifindex: Some(7),
            mtu: Some(1458),
            slot: Some(1),
            counters: Counters { rx_packets: 10, rx_bytes: 980, tx_packets: 9, tx_bytes: 882, drops: 3 },
            leases: Vec::new(),
        }),
        Resource::LookupRecord(_) => ItemStatus::LookupRecord(LookupRecordStatus {
            local: true,
            port: Some("blue1".to_owned()),
            ..LookupRecordStatus::default()
        }),
        Resource::CustomerRoute(_) => ItemStatus::CustomerRoute(CustomerRouteStatus::default()),
        Resource::ProviderAddress(_) => ItemStatus::ProviderAddress(ProviderAddressStatus {
            ifindex: Some(2),
            mtu: Some(1500),
            ..ProviderAddressStatus::default()
        }),
        Resource::DhcpScope(_) => ItemStatus::DhcpScope(crate::DhcpScopeStatus::default()),
        Resource::SecurityGroup(_) => ItemStatus::SecurityGroup(crate::SecurityGroupStatus::default()),
        Resource::AddressSet(_) => ItemStatus::AddressSet(crate::AddressSetStatus::default()),
        Resource::RoutingDomain(_) => ItemStatus::RoutingDomain(crate::RoutingDomainStatus::default()),
        Resource::Migration(_) => ItemStatus::Migration(crate::MigrationStatus::default()),
        Resource::Global(_) => ItemStatus::Global(crate::GlobalStatus::default()),
        Resource::Gateway(_) => ItemStatus::Gateway(crate::GatewayStatus::default()),
        Resource::Compartment(_) => ItemStatus::Compartment(crate::CompartmentStatus::default()),
        Resource::ProviderRoute(_) => ItemStatus::ProviderRoute(ProviderRouteStatus::default()),
    };
    let Key { kind, name } = resource.key();
    Ok(Item { kind, name, spec: crate::spec_of(resource), status: status.into() })
}

/// What one change does to the resources.
fn carry_out(resources: &mut BTreeMap<Key, Resource>, change: Change) -> Result<ChangeResult, Problem> {
    let key = change.key();
    let outcome = match change {
        Change::Create(_) if resources.contains_key(&key) => {
            return Err(Problem::conflict(format!("{key} exists; change it with \"netvirt set {key}\"")));
        }
        Change::Replace(_) | Change::Delete(_) if !resources.contains_key(&key) => return Err(missing(&key)),
        Change::Create(resource) | Change::Put(resource) | Change::Replace(resource) => {
            let found = resources.get(&key).and_then(|old| resource.with_secrets_of(old));
            let resource = found.unwrap_or(resource);
            match resources.insert(key.clone(), resource.clone()) {
                None => Outcome::Created,
                Some(old) if old == resource => Outcome::Unchanged,
                Some(_) => Outcome::Configured,
            }
        }
        Change::Delete(_) => {
            resources.remove(&key);
            Outcome::Deleted
        }
    };
    Ok(ChangeResult { key, outcome })
}

impl MemoryHost {
    /// A port by its name, device or UUID.
    fn port(&self, word: &str) -> Result<Port, Problem> {
        let resources = locked(&self.resources);
        let is_it = |port: &&Port| {
            let uid = port.uid.map(|uid| uid.to_string());
            port.name.as_str() == word || port.device.as_str() == word || uid.as_deref() == Some(word)
        };
        let ports = resources.values().filter_map(|resource| match resource {
            Resource::Port(port) => Some(port),
            _ => None,
        });
        ports.into_iter().find(is_it).cloned().ok_or_else(|| Problem::not_found(format!("there is no port {word}")))
    }
}

impl HostApi for MemoryHost {
    fn status(&self) -> Result<HostStatus, Problem> {
        let resources = locked(&self.resources);
        let count = |kind| resources.keys().filter(|key| key.kind == kind).count();
        Ok(HostStatus {
            name: "host1".to_owned(),
            version: "0.1.0".to_owned(),
            pid: 4711,
            started: "2026-01-02T03:04:05Z".to_owned(),
            uplinks: vec![UplinkStatus {
                interface: "up0".to_owned(),
                ifindex: 2,
                mtu: 1500,
                addresses: vec![[192, 168, 4, 11].into()],
            }],
            ports: count(Kind::Port),
            bound_ports: count(Kind::Port),
            records: count(Kind::LookupRecord),
            routes: count(Kind::CustomerRoute),
            drift: vec!["lookup record 5001/10.0.0.9 was in force but is not declared; it was removed".to_owned()],
            findings: Vec::new(),
            gateway_mac: "00-00-5E-00-01-01".parse().ok(),
            controller: None,
        })
    }

    fn list(&self, kind: Kind) -> Result<Vec<Item>, Problem> {
        locked(&self.resources).values().filter(|resource| resource.kind() == kind).map(item).collect()
    }

    fn get(&self, kind: Kind, name: &str) -> Result<Item, Problem> {
        let key = Key { kind, name: name.to_owned() };
        locked(&self.resources).get(&key).ok_or_else(|| missing(&key)).and_then(item)
    }

    fn change(&self, changes: ChangeSet) -> Result<ChangeReport, Problem> {
        let mut resources = locked(&self.resources);
        let mut next = resources.clone();
        let (mut results, mut problems) = (Vec::new(), Vec::new());
        for change in changes.changes {
            match carry_out(&mut next, change) {
                Ok(result) => results.push(result),
                Err(problem) => problems.push(problem),
            }
        }
        if let Some(first) = problems.first() {
            let problem_type = if problems.len() == 1 { first.problem_type } else { ProblemType::Invalid };
            let errors = problems.into_iter().map(|problem| problem.detail).collect();
            return Err(Problem::with_errors(problem_type, errors));
        }
        if !changes.dry_run {
            *resources = next;
            self.bell.ring(self.bell.revision() + 1);
        }
        Ok(ChangeReport { results, findings: Vec::new() })
    }

    fn drops(&self) -> Result<Vec<DropCounter>, Problem> {
        Ok(locked(&self.drops).clone())
    }

    fn clear_drops(&self) -> Result<(), Problem> {
        locked(&self.drops).clear();
        Ok(())
    }

    /// None: there is no kernel to know any.
    fn flows(&self, filter: FlowFilter) -> Result<FlowList, Problem> {
        if let Some(port) = filter.port {
            self.get(Kind::Port, &port)?;
        }
        Ok(FlowList::default())
    }

    /// A device is there when it was plugged.
    fn plug(&self, request: PlugRequest) -> Result<PlugReport, Problem> {
        let port = self.port(&request.port)?;
        let made = locked(&self.plugged).insert(port.device.clone());
        let Port { name, device, mac, uid, .. } = port;
        Ok(PlugReport {
            port: name.to_string(),
            uid,
            device,
            mac,
            mtu: Some(1458),
            made,
            claimed: false,
            expected: false,
        })
    }

    fn unplug(&self, request: UnplugRequest) -> Result<UnplugReport, Problem> {
        let mut plugged = locked(&self.plugged);
        let removed = match request.port {
            Some(port) => plugged.take(&self.port(&port)?.device).into_iter().collect(),
            None => Vec::new(),
        };
        Ok(UnplugReport { removed, notes: Vec::new() })
    }

    /// Nothing but which VM it is.
    fn port_memory(&self, port: &str) -> Result<PortMemory, Problem> {
        let key = Key { kind: Kind::Port, name: port.to_owned() };
        match locked(&self.resources).get(&key) {
            Some(Resource::Port(Port { vsid: Some(vsid), mac, .. })) => {
                Ok(PortMemory { vsid: *vsid, mac: *mac, connections: Vec::new(), leases: Vec::new() })
            }
            _ => Err(missing(&key)),
        }
    }

    fn remember(&self, port: &str, memory: PortMemory) -> Result<Remembered, Problem> {
        self.port_memory(port)?;
        Ok(Remembered { no_room: memory.connections.len(), ..Remembered::default() })
    }

    /// Each change is one for it.
    fn gateway_work(&self, after: Option<u64>) -> Result<GatewayWork, Problem> {
        self.bell.wait(after, GATEWAY_WAIT);
        let resources = locked(&self.resources);
        let of_gateways =
            resources.values().filter(|resource| matches!(resource.kind(), Kind::Gateway | Kind::Compartment));
        let compartments = resources.values().filter_map(|resource| match resource {
            Resource::Compartment(compartment) => Some((compartment.name.clone(), INSIDE_MTU)),
            _ => None,
        });
        Ok(GatewayWork {
            revision: self.bell.revision(),
            host: "host1".to_owned(),
            mtus: compartments.collect(),
            resources: of_gateways.cloned().collect(),
            confirmed: true,
        })
    }

    fn report_gateway(&self, report: GatewayReport) -> Result<(), Problem> {
        *locked(&self.report) = Some(report);
        Ok(())
    }

    fn gateway_beat(&self, _: GatewayBeat) -> Result<(), Problem> {
        Ok(())
    }

    fn interfaces(&self) -> Result<Vec<InterfaceStatus>, Problem> {
        let interface = |name: &str, ifindex, kind: &str, address: &str| InterfaceStatus {
            name: name.to_owned(),
            ifindex,
            mac: format!("02-00-00-00-00-0{ifindex}").parse().ok(),
            mtu: 1500,
            up: true,
            kind: kind.to_owned(),
            addresses: address
                .parse()
                .map(|address| InterfaceAddress { address, state: AddressState::Preferred })
                .into_iter()
                .collect(),
            vlan: None,
        };
        Ok(vec![interface("lo", 1, "loopback", "127.0.0.1/8"), interface("up0", 2, "ethernet", "192.168.4.11/24")])
    }

    /// The answer shows the shape of one; no packet is judged.
    fn trace(&self, request: TraceRequest) -> Result<TraceReport, Problem> {
        self.get(Kind::Port, &request.from)?;
        Ok(TraceReport {
            packet: format!("{:?} to {}", request.protocol, request.to),
            steps: vec![TraceStep {
                stage: "route".to_owned(),
                question: "Which subnet leads to the destination?".to_owned(),
                lookups: vec![TraceLookup {
                    table: "records".to_owned(),
                    key: format!("5001/{}", request.to),
                    found: None,
                }],
            }],
            verdict: "drop".to_owned(),
            reason: Some("no-record".to_owned()),
            explanation: Some("No lookup record names the destination.".to_owned()),
            output: Vec::new(),
        })
    }
}
