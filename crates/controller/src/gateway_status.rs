//! How gateways and their connections are: what was given, and what the gateways of hosts say.

use std::collections::{BTreeMap, BTreeSet};

use api::fabric::{ConnectionStatus, FamilyUsage, GatewayHostStatus};
use model::QualifiedName;
use model::fabric::{Gateway, GatewayAllocation, GatewayConnection, Key, Kind, Object, ResourceName, Spec};
use model::gateway::{CompartmentReport, ConnectionReport, ConnectionState, GatewayReport};
use plan::fabric::{Fabric, Refusal, waits_for_a_subnet};

use crate::gateway_reports::GatewayReports;

/// What a host that has said nothing has to hear.
fn silent(host: &ResourceName) -> String {
    format!("host {host} has not reported; is \"netvirt gateway\" running there?")
}

/// A connection, with what the active host says of it. `None` until its VM network was given what it needs.
pub fn connection(
    fabric: &Fabric,
    reports: &GatewayReports,
    key: &Key,
    spec: &GatewayConnection,
) -> Option<ConnectionStatus> {
    let network = key.sibling(Kind::VmNetwork, &spec.vm_network);
    let given = fabric.get(&network)?.allocation.gateway.as_deref()?;
    let (state, reason, report) = match reports.of(&given.host) {
        // It is told to no host before it can be something there.
        _ if waits_for_a_subnet(given, spec) => {
            let lacking = Refusal::NoVmSubnet { network: network.clone() };
            (ConnectionState::Connecting, Some(lacking.to_string()), None)
        }
        None => (ConnectionState::Connecting, Some(silent(&given.host)), None),
        Some(said) => said_of(&said, given, &network, &key.name),
    };
    Some(ConnectionStatus {
        state,
        reason,
        host: given.host.clone(),
        standby: given.standby.clone(),
        vsid: given.vsid,
        external: given.addresses.iter().chain(&given.named).copied().collect(),
        shared: given.shared,
        report,
    })
}

/// What a host's gateway says of one connection of a VM network.
fn said_of(
    said: &GatewayReport,
    given: &GatewayAllocation,
    network: &Key,
    name: &ResourceName,
) -> (ConnectionState, Option<String>, Option<ConnectionReport>) {
    let host = &given.host;
    let of_host = |sentence: &String| Some(format!("host {host}: {sentence}"));
    let tenant = network.tenant.clone().unwrap_or_else(ResourceName::default_tenant);
    let compartment = QualifiedName::of_tenant(&tenant, &network.name);
    let Some(compartment) = said.compartments.iter().find(|one| one.name == compartment) else {
        return match &said.trouble {
            Some(trouble) => (ConnectionState::Down, of_host(trouble), None),
            None => (ConnectionState::Connecting, Some(format!("host {host} has not taken it up yet")), None),
        };
    };
    match compartment.connections.iter().find(|one| one.name == *name) {
        // One that just became active still says what it was.
        Some(report) if report.state == ConnectionState::Standby => {
            (ConnectionState::Connecting, Some(format!("host {host} is about to take over")), Some(report.clone()))
        }
        Some(report) => (report.state, report.reason.clone(), Some(report.clone())),
        None => match compartment.trouble.as_ref().or(said.trouble.as_ref()) {
            Some(trouble) => (ConnectionState::Down, of_host(trouble), None),
            None => (ConnectionState::Connecting, Some(format!("host {host} has not taken it up yet")), None),
        },
    }
}

/// The hosts of a gateway, each with how much it has to do. Of one that has nothing to do, silence is no trouble.
pub fn hosts(fabric: &Fabric, reports: &GatewayReports, spec: &Gateway) -> Vec<GatewayHostStatus> {
    let mut hosts: Vec<GatewayHostStatus> = spec
        .hosts
        .iter()
        .map(|of| GatewayHostStatus { host: of.host.clone(), active: 0, standby: 0, trouble: None })
        .collect();
    for network in fabric.of_kind(Kind::VmNetwork, None) {
        let Some(given) = network.allocation.gateway.as_deref() else { continue };
        for host in &mut hosts {
            host.active += u32::from(given.host == host.host);
            host.standby += u32::from(given.standby.contains(&host.host));
        }
    }
    for host in &mut hosts {
        host.trouble = match reports.of(&host.host) {
            Some(said) => said.trouble.clone(),
            None => (host.active + host.standby > 0).then(|| silent(&host.host)),
        };
        host.trouble = host.trouble.take().or_else(|| reports.ill(&host.host));
    }
    hosts
}

/// How much of its addresses a gateway has given out.
pub fn families(fabric: &Fabric, spec: &Gateway) -> Vec<FamilyUsage> {
    let word = |v4: bool| if v4 { "IPv4" } else { "IPv6" };
    let shown =
        |of: plan::fabric::FamilyUsage| FamilyUsage { family: word(of.v4).to_owned(), used: of.used, total: of.total };
    fabric.external_usage(spec).into_iter().map(shown).collect()
}

/// Whose status changes when a host's gateway says something else than before: the gateways of the host, and the connections
/// of which more than counters is different.
pub fn concerned(
    fabric: &Fabric,
    host: &ResourceName,
    before: Option<&GatewayReport>,
    after: &GatewayReport,
) -> Vec<Key> {
    let as_before = before.is_some_and(|before| before.trouble == after.trouble);
    let is_one = |object: &&Object| matches!(&object.resource.spec, Spec::Gateway(spec) if spec.hosts.iter().any(|of| of.host == *host));
    let gateways = fabric.of_kind(Kind::Gateway, None).filter(|object| !as_before && is_one(object));
    let mut keys: Vec<Key> = gateways.map(Object::key).collect();
    let mut compartments: BTreeMap<&QualifiedName, (Option<&CompartmentReport>, Option<&CompartmentReport>)> =
        BTreeMap::new();
    for one in before.iter().flat_map(|before| &before.compartments) {
        compartments.entry(&one.name).or_default().0 = Some(one);
    }
    for one in &after.compartments {
        compartments.entry(&one.name).or_default().1 = Some(one);
    }
    let changed: BTreeSet<&str> = compartments
        .into_iter()
        .filter(|(_, (before, after))| before.map(without_counters) != after.map(without_counters))
        .map(|(name, _)| name.as_str())
        .collect();
    if as_before && changed.is_empty() {
        return keys;
    }
    let concerns = |object: &&Object| {
        let Spec::GatewayConnection(spec) = &object.resource.spec else { return false };
        let key = object.key();
        let network = key.sibling(Kind::VmNetwork, &spec.vm_network);
        let active = fabric.get(&network).and_then(|network| network.allocation.gateway.as_deref());
        let tenant = key.tenant.unwrap_or_else(ResourceName::default_tenant);
        active.is_some_and(|given| given.host == *host)
            && (!as_before || changed.contains(QualifiedName::of_tenant(&tenant, &network.name).as_str()))
    };
    keys.extend(fabric.of_kind(Kind::GatewayConnection, None).filter(concerns).map(Object::key));
    keys
}

/// A report without what changes all the time.
fn without_counters(report: &CompartmentReport) -> CompartmentReport {
    let mut report = report.clone();
    for one in &mut report.connections {
        (one.sessions, one.refused, one.received_bytes, one.sent_bytes) = (None, 0, 0, 0);
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(trouble: Option<&str>, state: ConnectionState, bytes: u64) -> GatewayReport {
        let connection = ConnectionReport {
            name: "internet".parse().unwrap(),
            state,
            reason: None,
            carriers: vec!["nftables".to_owned()],
            addresses: Vec::new(),
            public_key: None,
            learnt: Vec::new(),
            sessions: Some(bytes),
            refused: 0,
            received_bytes: bytes,
            sent_bytes: 0,
        };
        let compartment = CompartmentReport {
            name: "default/AAA".parse().unwrap(),
            namespace: "nvgw-1".to_owned(),
            trouble: None,
            connections: vec![connection],
        };
        let trouble = trouble.map(str::to_owned);
        GatewayReport { trouble, compartments: vec![compartment] }
    }

    fn fabric(subnet: &str) -> Fabric {
        let yaml = format!("{}---\n{subnet}", FABRIC);
        let resources = model::fabric::resources_from_yaml(&yaml).unwrap().into_iter();
        let changes: Vec<_> = resources.map(plan::fabric::Change::Create).collect();
        let mut fabric = Fabric::default();
        let context = plan::fabric::Context { revision: 1, now: 1, uuid: &mut uuid::Uuid::new_v4 };
        fabric.change(&changes, context).unwrap();
        fabric
    }

    const SUBNET: &str = "{kind: vm-subnet, name: first, spec: {vmNetwork: AAA, prefixes: [10.0.0.0/24]}}";

    const FABRIC: &str = "{kind: tenant, name: default}
---
{kind: mac-pool, name: default, spec: {ranges: [00-1D-D8-B7-1C-00..00-1D-D8-F4-1F-FF]}}
---
{kind: logical-network, name: L, spec: {networkVirtualization: true}}
---
{kind: host, name: h1, spec: {uplinks: [{interface: eth0, addresses: [192.168.4.15/24], logicalNetworks: [L]}]}}
---
{kind: host, name: h2, spec: {uplinks: [{interface: eth0, addresses: [192.168.4.16/24], logicalNetworks: [L]}]}}
---
{kind: gateway, name: gw, spec: {logicalNetwork: L, hosts: [{host: h1, interface: eth1}, {host: h2, interface: eth1}], networks: [{prefix: 203.0.113.0/24, ranges: [203.0.113.9]}]}}
---
{kind: vm-network, name: AAA, spec: {logicalNetwork: L}}
---
{kind: gateway-connection, name: internet, spec: {vmNetwork: AAA, gateway: gw, nat: {}}}
";

    #[test]
    fn a_connection_without_a_subnet_says_so() {
        let key = Key::new(Kind::GatewayConnection, None, "internet".parse().unwrap());
        let fabric = fabric("");
        let Spec::GatewayConnection(spec) = &fabric.get(&key).unwrap().resource.spec else { panic!("it is there") };
        let status = connection(&fabric, &GatewayReports::default(), &key, spec).unwrap();
        assert_eq!(status.state, ConnectionState::Connecting);
        assert!(status.reason.unwrap().contains("AAA has no VM subnet; create one with"));
    }

    #[test]
    fn a_connection_is_as_its_active_host_says() {
        let (fabric, reports) = (fabric(SUBNET), GatewayReports::default());
        let (h1, h2): (ResourceName, ResourceName) = ("h1".parse().unwrap(), "h2".parse().unwrap());
        let key = Key::new(Kind::GatewayConnection, None, "internet".parse().unwrap());
        let object = fabric.get(&key).unwrap();
        let Spec::GatewayConnection(spec) = &object.resource.spec else { panic!("{object:?}") };
        let shown = |reports: &GatewayReports| {
            let status = connection(&fabric, reports, &key, spec).unwrap();
            (status.state.as_str(), status.reason.unwrap_or_default())
        };
        let silent = "host h1 has not reported; is \"netvirt gateway\" running there?";
        reports.note(&h2, report(None, ConnectionState::Standby, 0));
        assert_eq!(shown(&reports), ("connecting", silent.to_owned()));
        reports.note(&h1, GatewayReport::default());
        assert_eq!(shown(&reports), ("connecting", "host h1 has not taken it up yet".to_owned()));
        reports.note(&h1, GatewayReport { trouble: Some("there is no nft".to_owned()), ..GatewayReport::default() });
        assert_eq!(shown(&reports), ("down", "host h1: there is no nft".to_owned()));
        reports.note(&h1, report(None, ConnectionState::Up, 7));
        assert_eq!(shown(&reports), ("up", String::new()));
        let Spec::Gateway(gateway) =
            &fabric.get(&Key::global(Kind::Gateway, &"gw".parse().unwrap())).unwrap().resource.spec
        else {
            panic!("it is there")
        };
        let of = |host: &str, active, standby| GatewayHostStatus {
            host: host.parse().unwrap(),
            active,
            standby,
            trouble: None,
        };
        assert_eq!(hosts(&fabric, &reports, gateway), [of("h1", 1, 0), of("h2", 0, 1)]);
        reports.forget(&h2);
        assert!(
            hosts(&fabric, &reports, gateway)[1].trouble.as_deref().unwrap().starts_with("host h2 has not reported")
        );
    }

    #[test]
    fn only_what_is_different_is_told() {
        let fabric = fabric(SUBNET);
        let (h1, h2): (ResourceName, ResourceName) = ("h1".parse().unwrap(), "h2".parse().unwrap());
        let up = |bytes| report(None, ConnectionState::Up, bytes);
        let keys = |host, before: Option<&GatewayReport>, after: &GatewayReport| {
            concerned(&fabric, host, before, after).iter().map(|key| key.kind).collect::<Vec<_>>()
        };
        let both = [Kind::Gateway, Kind::GatewayConnection];
        assert_eq!(keys(&h1, None, &up(1)), both);
        assert!(keys(&h1, Some(&up(1)), &up(2)).is_empty(), "counters alone");
        assert_eq!(keys(&h1, Some(&up(1)), &report(None, ConnectionState::Down, 1)), [Kind::GatewayConnection]);
        assert_eq!(keys(&h1, Some(&up(1)), &report(Some("x"), ConnectionState::Up, 1)), both);
        assert!(keys(&h2, Some(&up(1)), &report(None, ConnectionState::Down, 1)).is_empty(), "it is not active");
    }
}
