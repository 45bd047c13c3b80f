//! From an intent and the facts of a host to its tables: the order of the steps, and what they share.
//!
//! Each step is a file of its own and fills one or two tables: [`ports`], [`underlay`], [`records`], [`subnets`],
//! [`physical`]; [`security`] has those of security groups.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{
    Encapsulation, Intent, Key, Limits, LookupRecord, MacAddress, Name, Resource, RoutingDomainId, TranslationMethod,
    Vsid,
};
use pipeline::{Host, HostFlags, PortFlags};

use crate::{Facts, Finding, HostTables, Settings, Severity};
use security::Security;

pub(crate) mod domains;
pub(crate) mod limits;
pub(crate) mod physical;
pub(crate) mod ports;
pub(crate) mod records;
pub(crate) mod security;
pub(crate) mod subnets;
pub(crate) mod underlay;

pub use domains::domain_numbers;
pub use security::{findings_of_group, rule_at};

#[cfg(test)]
mod finding_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

/// What comes of an intent on one host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Compiled {
    /// The tables. Not to be applied when a finding refuses.
    pub tables: HostTables,
    /// What the operator should know; refusals first.
    pub findings: Vec<Finding>,
    /// The state of each port.
    pub ports: BTreeMap<Name, PortStatus>,
}

impl Compiled {
    /// The findings that forbid to apply the tables.
    pub fn refusals(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity() == Severity::Refuse)
    }
}

/// The state of a port on this host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortStatus {
    /// Whether it has its device.
    pub state: PortState,
    /// The largest network packet in bytes that its VM may send and still fit into the underlay: the MTU to set in the
    /// VM. `None` for a port that is not virtualized, and where there is no provider address or uplink yet.
    pub mtu: Option<u32>,
}

impl PortStatus {
    /// Interface index of the port's device, if it is bound.
    pub const fn ifindex(&self) -> Option<u32> {
        match self.state {
            PortState::Bound { ifindex, .. } => Some(ifindex),
            PortState::NoDevice => None,
        }
    }
}

/// Whether a port has its device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PortState {
    /// It has.
    Bound {
        /// Interface index of the device.
        ifindex: u32,
        /// Index of the port's counters.
        slot: u32,
    },
    /// The device does not exist; the port is bound when it appears.
    NoDevice,
}

impl std::fmt::Display for PortState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Bound { .. } => "bound",
            Self::NoDevice => "no such device",
        })
    }
}

/// What the steps share.
pub(crate) struct Context<'a> {
    pub(crate) intent: &'a Intent,
    pub(crate) facts: &'a Facts,
    pub(crate) settings: &'a Settings,
    /// Number of each routing domain.
    pub(crate) numbers: &'a BTreeMap<RoutingDomainId, u32>,
    /// This host's provider addresses.
    pub(crate) own: &'a BTreeSet<IpAddr>,
    /// The security groups.
    pub(crate) security: &'a Security,
}

/// What is known of a MAC address in a subnet beside its records.
#[derive(Clone, Copy)]
pub(crate) struct Station {
    /// Interface index of the device of the port that has it; 0 without one.
    pub(crate) ifindex: u32,
    /// Whether it forwards for others.
    pub(crate) forwards: bool,
    /// Number of the security groups that its VM is in.
    pub(crate) groups: u32,
}

/// Makes the tables of a host.
///
/// The same input gives the same tables: nothing is numbered by the order in which it comes.
pub fn compile(intent: &Intent, facts: &Facts, settings: &Settings) -> Compiled {
    compile_all(intent, facts, settings).0
}

/// The same, with the security groups that the tables are made with.
pub(crate) fn compile_all(intent: &Intent, facts: &Facts, settings: &Settings) -> (Compiled, Security) {
    let (numbers, own) = (domain_numbers(intent), own_addresses(intent));
    let (security, edits) = Security::new(intent);
    let context = Context { intent, facts, settings, numbers: &numbers, own: &own, security: &security };
    let mut compiled = Compiled::default();
    edits.carry_out(&mut compiled.tables);
    underlay::providers(&context, &mut compiled);
    records::records(&context, &mut compiled);
    ports::ports(&context, &mut compiled);
    underlay::peers(&context, &mut compiled);
    subnets::routes(&context, &mut compiled);
    subnets::subnets(&context, &mut compiled);
    physical::physical(&context, &mut compiled);
    compiled.findings.extend(intent.security_groups().flat_map(|group| security::findings_of_group(intent, group)));
    compiled.tables.host = Some(host(&context, &compiled.tables));
    compiled.findings.extend(limits::exceeded(&compiled.tables));
    compiled.findings.sort_by_key(Finding::severity);
    (compiled, security)
}

/// What the tables say of the host itself, after all others.
pub(crate) fn host(context: &Context, tables: &HostTables) -> Host {
    let settings = context.settings;
    let flags = [
        (tables.ports.values().any(|port| port.flags.has(PortFlags::LIMITED)), HostFlags::LIMITED),
        (context.intent.is_encapsulated_in(Encapsulation::Vxlan), HostFlags::VXLAN),
        (context.intent.is_encapsulated_in(Encapsulation::Geneve), HostFlags::GENEVE),
        (!tables.plain.is_empty(), HostFlags::PLAIN),
        (context.intent.global().external_router, HostFlags::EXTERNAL_ROUTER),
        (tables.subnets.range(physical::LOWEST..).next().is_some(), HostFlags::PHYSICAL),
    ];
    Host {
        gateway_mac: settings.gateway_mac.octets(),
        flags: flags.into_iter().filter(|(set, _)| *set).fold(HostFlags::NONE, |all, (_, flag)| all.with(flag)),
        flood_rate: settings.flood_rate,
        flood_burst: settings.flood_burst,
        punt_rate: settings.punt_rate,
        punt_burst: settings.punt_burst,
        flow_limit: settings.flow_limit,
        half_open_limit: settings.half_open_limit,
    }
}

/// The host's provider addresses.
pub(crate) fn own_addresses(intent: &Intent) -> BTreeSet<IpAddr> {
    intent.provider_addresses().map(|provider| provider.address).collect()
}

impl Context<'_> {
    /// The number of a subnet's routing domain; 0 when no customer route names the subnet.
    pub(crate) fn domain(&self, vsid: Vsid) -> u32 {
        self.intent.routing_domain(vsid).and_then(|rdid| self.numbers.get(&rdid).copied()).unwrap_or(0)
    }

    /// How frames of a subnet travel to other hosts.
    pub(crate) fn encapsulation(&self, vsid: Vsid) -> Encapsulation {
        self.intent.routing_domain(vsid).map(|rdid| self.intent.encapsulation(rdid)).unwrap_or_default()
    }

    /// What the ports of a subnet's VM network may send and be sent together.
    pub(crate) fn limits(&self, vsid: Vsid) -> Limits {
        self.intent.routing_domain(vsid).map(|rdid| self.intent.limits(rdid)).unwrap_or_default()
    }

    /// What is known of a MAC address in a subnet beside its records.
    pub(crate) fn station(&self, vsid: Vsid, mac: MacAddress) -> Station {
        let records = self.intent.records_at(vsid, mac).map(|(_, record)| record);
        self.station_of((vsid, mac), self.intent.port_at(vsid, mac), records)
    }

    /// The same, of the port and the records of the MAC address.
    pub(crate) fn station_of<'a>(
        &self,
        (vsid, mac): (Vsid, MacAddress),
        port: Option<&model::Port>,
        mut of_mac: impl Iterator<Item = &'a model::LookupRecord>,
    ) -> Station {
        let link = port.and_then(|port| self.facts.links.get(&port.device));
        let forwards = of_mac.any(|record| records::forwards(self.intent, record));
        let groups = self.security.groups(vsid, mac);
        Station { ifindex: link.map_or(0, |link| link.ifindex), forwards, groups }
    }

    /// Whether the record's VM is on this host: its provider address says so or, where that stands for the VM or
    /// nothing is encapsulated, a port.
    pub(crate) fn is_local(&self, record: &LookupRecord) -> bool {
        self.own.contains(&record.provider_address)
            || (record.rule != TranslationMethod::Encap && self.intent.port_at(record.vsid, record.mac).is_some())
    }
}

pub(crate) fn record_key(record: &LookupRecord) -> Key {
    Resource::LookupRecord(record.clone()).key()
}

pub(crate) fn port_key(port: &model::Port) -> Key {
    Resource::Port(port.clone()).key()
}
