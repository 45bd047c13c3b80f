//! What the host knows of each resource: read off the tables that are in force.

use api::{
    AddressSetStatus, Counters, CustomerRouteStatus, DhcpScopeStatus, GlobalStatus, Item, ItemStatus,
    LookupRecordStatus, MigrationStatus, PortStatus, Problem, ProblemType, ProviderAddressStatus, ProviderRouteStatus,
    RealizedState, RoutingDomainStatus, SecurityGroupStatus,
};
use ipnet::IpNet;
use model::{
    AddressSet, CustomerRoute, DhcpScope, LookupRecord, Migration, Port, ProviderAddress, ProviderRoute, Resource,
    RoutingDomain, SecurityGroup,
};
use pipeline::{RecordKey, RouteFlags, StationKey};
use plan::PortState;

use crate::core::Core;

/// A resource with its status.
pub fn item(core: &Core, resource: &Resource) -> Result<Item, Problem> {
    let status = match resource {
        Resource::Port(port) => ItemStatus::Port(of_port(core, port)?),
        Resource::LookupRecord(record) => ItemStatus::LookupRecord(of_record(core, record)),
        Resource::CustomerRoute(route) => ItemStatus::CustomerRoute(of_route(core, route)),
        Resource::ProviderAddress(address) => ItemStatus::ProviderAddress(of_address(core, address)),
        Resource::DhcpScope(scope) => ItemStatus::DhcpScope(of_scope(core, scope)),
        Resource::SecurityGroup(group) => ItemStatus::SecurityGroup(of_group(core, group)),
        Resource::AddressSet(set) => ItemStatus::AddressSet(of_set(core, set)),
        Resource::RoutingDomain(domain) => ItemStatus::RoutingDomain(of_routing_domain(core, domain)),
        Resource::Migration(migration) => ItemStatus::Migration(of_migration(core, migration)?),
        Resource::Global(_) => ItemStatus::Global(GlobalStatus { state: RealizedState::InForce }),
        Resource::Gateway(_) => ItemStatus::Gateway(core.gateways.of_gateway()),
        Resource::Compartment(compartment) => ItemStatus::Compartment(core.gateways.of(&compartment.name)),
        Resource::ProviderRoute(route) => ItemStatus::ProviderRoute(of_provider_route(core, route)),
    };
    let key = resource.key();
    Ok(Item { kind: key.kind, name: key.name, spec: api::spec_of(resource), status: status.into() })
}

fn of_port(core: &Core, port: &Port) -> Result<PortStatus, Problem> {
    let Some(status) = core.ports().get(&port.name) else { return Ok(PortStatus::default()) };
    let PortState::Bound { ifindex, slot } = status.state else {
        return Ok(PortStatus { mtu: status.mtu, ..PortStatus::default() });
    };
    let counters =
        core.datapath.counters(slot).map_err(|error| Problem::new(ProblemType::Internal, error.to_string()))?;
    Ok(PortStatus {
        state: api::PortState::Bound,
        ifindex: Some(ifindex),
        mtu: status.mtu,
        slot: Some(slot),
        counters: Counters {
            rx_packets: counters.from_packets,
            rx_bytes: counters.from_bytes,
            tx_packets: counters.to_packets,
            tx_bytes: counters.to_bytes,
            drops: counters.all_drops(),
        },
        leases: core.leases.of(port),
    })
}

/// Whether it acts, by the reason why it does not.
fn realized(reason: &Option<String>) -> RealizedState {
    if reason.is_none() { RealizedState::InForce } else { RealizedState::NotInForce }
}

fn of_record(core: &Core, record: &LookupRecord) -> LookupRecordStatus {
    let local = core.intent().provider_addresses().any(|own| own.address == record.provider_address);
    let port = core.intent().port_at(record.vsid, record.mac);
    let in_tables = match record.customer_address {
        Some(address) => {
            let key = RecordKey { vsid: record.vsid.get(), address: plan::to_address(address) };
            core.tables().records.contains_key(&key)
        }
        None => {
            let key = StationKey { vsid: record.vsid.get(), mac: record.mac.octets(), reserved: 0 };
            core.tables().stations.contains_key(&key)
        }
    };
    let bound = port.is_some_and(|port| core.ports().get(&port.name).is_some_and(|s| s.ifindex().is_some()));
    let reason = if core.intent().notes_gateway(record) {
        Some("it notes the gateway of its subnet, for which this host answers itself".to_owned())
    } else if !in_tables {
        Some("the kernel's tables do not have it".to_owned())
    } else if local && !bound {
        Some(format!("no port with MAC address {} is bound in VSID {} here", record.mac, record.vsid))
    } else {
        None
    };
    LookupRecordStatus { state: realized(&reason), reason, local, port: port.map(|port| port.name.to_string()) }
}

fn of_route(core: &Core, route: &CustomerRoute) -> CustomerRouteStatus {
    let reason = match plan::best_route(core.intent(), route.rdid, route.prefix) {
        Some(better) if better != route => Some(format!(
            "the route by {} in VSID {} has a better metric, {}",
            if better.is_on_link() { "on-link".to_owned() } else { better.next_hop.to_string() },
            better.vsid,
            better.metric
        )),
        _ if !in_tables(core, route) => Some("the kernel's tables do not have it".to_owned()),
        _ => None,
    };
    CustomerRouteStatus { state: realized(&reason), reason }
}

fn in_tables(core: &Core, route: &CustomerRoute) -> bool {
    let address = plan::to_address(route.prefix.addr());
    core.tables().routes.iter().any(|(key, value)| {
        let bits = key.prefix_len.saturating_sub(pipeline::RouteKey::DOMAIN_BITS);
        let mapped = if matches!(route.prefix, IpNet::V4(_)) { 96 } else { 0 };
        key.address == address
            && bits == u32::from(route.prefix.prefix_len()) + mapped
            && value.vsid == route.vsid.get()
            && (value.flags.has(RouteFlags::ON_LINK) || value.next_hop == plan::to_address(route.next_hop))
    })
}

fn of_address(core: &Core, address: &ProviderAddress) -> ProviderAddressStatus {
    let link = core.facts().links.get(&address.interface);
    let present = link.is_some_and(|link| link.addresses.iter().any(|net| net.addr() == address.address));
    let reason = if present { None } else { Some(format!("it is not on {}", address.interface)) };
    ProviderAddressStatus {
        state: realized(&reason),
        reason,
        ifindex: link.map(|link| link.ifindex),
        mtu: link.map(|link| link.mtu),
    }
}

fn of_scope(core: &Core, scope: &DhcpScope) -> DhcpScopeStatus {
    let served = core.intent().ports().filter(|port| match scope.vsid {
        Some(vsid) => port.vsid == Some(vsid),
        None => port.physical == scope.physical,
    });
    let ports: Vec<String> = served.map(|port| port.name.to_string()).collect();
    let reason = ports.is_empty().then(|| "no port of this host is in its subnet".to_owned());
    DhcpScopeStatus { state: realized(&reason), reason, ports }
}

fn of_group(core: &Core, group: &SecurityGroup) -> SecurityGroupStatus {
    let ports: Vec<String> = core.intent().ports_in_group(&group.name).map(|port| port.name.to_string()).collect();
    let reason = ports.is_empty().then(|| "no port of this host is in it".to_owned());
    let findings = plan::findings_of_group(core.intent(), group).iter().map(ToString::to_string).collect();
    SecurityGroupStatus { state: realized(&reason), reason, ports, findings }
}

fn of_set(core: &Core, set: &AddressSet) -> AddressSetStatus {
    let named_by = core.intent().groups_that_name(model::Kind::AddressSet, &set.name);
    let security_groups: Vec<String> = named_by.map(|group| group.name.to_string()).collect();
    let reason = security_groups.is_empty().then(|| "no security group of this host names it".to_owned());
    AddressSetStatus { state: realized(&reason), reason, security_groups }
}

fn of_routing_domain(core: &Core, domain: &RoutingDomain) -> RoutingDomainStatus {
    let mut vsids: Vec<u32> = core.intent().routes_of(domain.rdid).map(|route| route.vsid.get()).collect();
    vsids.sort_unstable();
    vsids.dedup();
    let reason = vsids.is_empty().then(|| "no customer route names it".to_owned());
    RoutingDomainStatus { state: realized(&reason), reason, vsids }
}

fn of_migration(core: &Core, migration: &Migration) -> Result<MigrationStatus, Problem> {
    let key = StationKey { vsid: migration.vsid.get(), mac: migration.mac.octets(), reserved: 0 };
    let (record, other) = (core.tables().stations.get(&key), core.tables().moves.get(&key));
    let (Some(record), Some(other)) = (record, other) else {
        let reason = format!("no lookup record says where {} of VSID {} is", migration.mac, migration.vsid);
        return Ok(MigrationStatus { state: RealizedState::NotInForce, reason: Some(reason), at: None });
    };
    let heard = core.datapath.heard().map_err(|error| Problem::new(ProblemType::Internal, error.to_string()))?;
    let came = migration.to.is_some() && heard.get(&key) == Some(&other.there.provider);
    let at = plan::to_ip(if came { other.there.provider } else { record.provider });
    Ok(MigrationStatus { state: RealizedState::InForce, reason: None, at: Some(at) })
}

fn of_provider_route(core: &Core, route: &ProviderRoute) -> ProviderRouteStatus {
    let hosts = core.tables().peers.iter().filter(|(_, peer)| plan::to_ip(peer.next_hop) == route.next_hop);
    let hosts = hosts.map(|(key, _)| plan::to_ip(key.provider)).filter(|ip| route.prefix.contains(ip)).collect();
    ProviderRouteStatus { state: RealizedState::InForce, reason: None, hosts }
}
