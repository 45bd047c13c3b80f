//! From an intent and the facts of a host to its tables: the order of the steps, and what they share.
//!
//! Each step is a file of its own and fills one or two tables: [`ports`], [`underlay`], [`records`], [`subnets`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{Intent, Key, LookupRecord, MacAddress, Name, PhysicalNetwork, Resource, RoutingDomainId, TranslationMethod, Vsid};
use pipeline::{Host, HostFlags};

use crate::{Facts, Finding, HostTables, Settings, Severity};

mod domains;
mod limits;
mod ports;
mod records;
mod subnets;
mod underlay;

pub use domains::domain_numbers;

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
    /// VM. `None` for a port that is not virtualized, and where there is no provider address yet.
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
struct Context<'a> {
    intent: &'a Intent,
    facts: &'a Facts,
    settings: &'a Settings,
    /// Number of the routing domain of each subnet that has one.
    domains: BTreeMap<Vsid, u32>,
    /// Number of each routing domain.
    numbers: BTreeMap<RoutingDomainId, u32>,
    /// This host's provider addresses.
    own: BTreeSet<IpAddr>,
    /// Declared ports by subnet and MAC address.
    ports: BTreeMap<(Vsid, MacAddress), &'a model::Port>,
    /// The MAC addresses that forward for others.
    forwarders: BTreeSet<(Vsid, MacAddress)>,
    /// The networks that have DHCP scopes, and whether for IPv4 or else IPv6.
    scopes: BTreeSet<(Option<Vsid>, Option<&'a PhysicalNetwork>, bool)>,
}

/// Makes the tables of a host.
///
/// The same input gives the same tables: nothing is numbered by the order in which it comes.
pub fn compile(intent: &Intent, facts: &Facts, settings: &Settings) -> Compiled {
    let context = Context::new(intent, facts, settings);
    let mut compiled = Compiled::default();
    underlay::providers(&context, &mut compiled);
    records::records(&context, &mut compiled);
    ports::ports(&context, &mut compiled);
    underlay::peers(&context, &mut compiled);
    subnets::routes(&context, &mut compiled);
    subnets::subnets(&context, &mut compiled);
    compiled.tables.host = Some(Host {
        gateway_mac: settings.gateway_mac.octets(),
        flags: if compiled.tables.plain.is_empty() { HostFlags::NONE } else { HostFlags::PLAIN },
        flood_rate: settings.flood_rate,
        flood_burst: settings.flood_burst,
        punt_rate: settings.punt_rate,
        punt_burst: settings.punt_burst,
    });
    compiled.findings.extend(limits::exceeded(&compiled.tables));
    compiled.findings.sort_by_key(Finding::severity);
    compiled
}

impl<'a> Context<'a> {
    fn new(intent: &'a Intent, facts: &'a Facts, settings: &'a Settings) -> Self {
        let numbers = domain_numbers(intent);
        Self {
            intent,
            facts,
            settings,
            domains: intent.customer_routes().map(|route| (route.vsid, numbers[&route.rdid])).collect(),
            numbers,
            own: intent.provider_addresses().map(|provider| provider.address).collect(),
            ports: intent.ports().filter_map(|port| Some(((port.vsid?, port.mac), port))).collect(),
            forwarders: records::forwarders(intent),
            scopes: intent
                .dhcp_scopes()
                .map(|scope| (scope.vsid, scope.physical.as_ref(), scope.prefix.addr().is_ipv4()))
                .collect(),
        }
    }

    /// The number of a subnet's routing domain; 0 when no customer route names the subnet.
    fn domain(&self, vsid: Vsid) -> u32 {
        self.domains.get(&vsid).copied().unwrap_or(0)
    }

    /// Interface index of the device of the port with this station, if there is one and it is bound.
    fn bound(&self, vsid: Vsid, mac: MacAddress) -> Option<u32> {
        let port = self.ports.get(&(vsid, mac))?;
        self.facts.links.get(&port.device).map(|link| link.ifindex)
    }

    /// Whether the record's VM is on this host: its provider address says so or, where that stands for the VM or
    /// nothing is encapsulated, a port.
    fn is_local(&self, record: &LookupRecord) -> bool {
        self.own.contains(&record.provider_address)
            || (record.rule != TranslationMethod::Encap && self.ports.contains_key(&(record.vsid, record.mac)))
    }
}

fn record_key(record: &LookupRecord) -> Key {
    Resource::LookupRecord(record.clone()).key()
}

fn port_key(port: &model::Port) -> Key {
    Resource::Port(port.clone()).key()
}
