//! Resources and their keys.

use model::{
    Bandwidth, ByteSize, ClasslessRoute, CustomerRoute, DhcpScope, Encapsulation, Global, Key, Kind, LeaseTime, Limit,
    Limits, LookupRecord, LookupRecordType, Migration, Port, ProviderAddress, ProviderRoute, Resource, RoutingDomain,
    RoutingDomainId, TranslationMethod,
};
use prost::Message as _;
use prost::bytes::Bytes;
use uuid::Uuid;

use super::gateways::{compartment_in, compartment_out, gateway_in, gateway_out};
use super::security::{group_in, group_names_in, group_names_out, group_out, set_in, set_out};
use super::values::{
    WireError, address_in, address_out, addresses_in, addresses_out, mac_in, mac_out, name_in, physical_in,
    physical_out, prefix_in, prefix_out, refused, uuid_in, uuid_out, vsid_in,
};
use crate::wire;
use crate::wire::resource::Resource as Wire;

/// A resource as an item of a topic. The same resource always gives the same bytes.
pub fn encode_item(resource: &Resource) -> Bytes {
    let resource = match resource {
        Resource::LookupRecord(record) => Wire::LookupRecord(record_out(record)),
        Resource::CustomerRoute(route) => Wire::CustomerRoute(customer_route_out(route)),
        Resource::ProviderAddress(address) => Wire::ProviderAddress(provider_address_out(address)),
        Resource::ProviderRoute(route) => Wire::ProviderRoute(provider_route_out(route)),
        Resource::DhcpScope(scope) => Wire::DhcpScope(scope_out(scope)),
        Resource::Port(port) => Wire::Port(port_out(port)),
        Resource::SecurityGroup(group) => Wire::SecurityGroup(group_out(group)),
        Resource::AddressSet(set) => Wire::AddressSet(set_out(set)),
        Resource::RoutingDomain(domain) => Wire::RoutingDomain(routing_domain_out(domain)),
        Resource::Migration(migration) => Wire::Migration(wire::Migration {
            vsid: migration.vsid.get(),
            mac: mac_out(migration.mac),
            to: migration.to.map(address_out),
            from: migration.from.map(address_out),
        }),
        Resource::Global(Global { external_router }) => {
            Wire::Global(wire::Global { external_router: *external_router })
        }
        Resource::Gateway(gateway) => Wire::Gateway(gateway_out(gateway)),
        Resource::Compartment(compartment) => Wire::Compartment(compartment_out(compartment)),
    };
    wire::Resource { resource: Some(resource) }.encode_to_vec().into()
}

/// An item of a topic as a resource.
#[cfg(test)]
pub fn decode_item(item: &[u8]) -> Result<Resource, WireError> {
    decode_shared(&Bytes::copy_from_slice(item))
}

/// An item of a topic as a resource. What it holds of bytes is not copied on the way.
pub fn decode_shared(item: &Bytes) -> Result<Resource, WireError> {
    Ok(match wire::Resource::decode(item.clone())?.resource.ok_or(WireError::Missing { field: "resource" })? {
        Wire::LookupRecord(record) => Resource::LookupRecord(record_in(record)?),
        Wire::CustomerRoute(route) => Resource::CustomerRoute(customer_route_in(route)?),
        Wire::ProviderAddress(address) => Resource::ProviderAddress(provider_address_in(address)?),
        Wire::ProviderRoute(route) => Resource::ProviderRoute(provider_route_in(route)?),
        Wire::DhcpScope(scope) => Resource::DhcpScope(scope_in(scope)?),
        Wire::Port(port) => Resource::Port(port_in(port)?),
        Wire::SecurityGroup(group) => Resource::SecurityGroup(group_in(group)?),
        Wire::AddressSet(set) => Resource::AddressSet(set_in(set)?),
        Wire::RoutingDomain(domain) => Resource::RoutingDomain(routing_domain_in(domain)?),
        Wire::Migration(migration) => Resource::Migration(Migration {
            vsid: vsid_in("vsid", migration.vsid)?,
            mac: mac_in("mac", &migration.mac)?,
            to: migration.to.map(|bytes| address_in("to", &bytes)).transpose()?,
            from: migration.from.map(|bytes| address_in("from", &bytes)).transpose()?,
        }),
        Wire::Global(wire::Global { external_router }) => Resource::Global(Global { external_router }),
        Wire::Gateway(gateway) => Resource::Gateway(Box::new(gateway_in(&gateway)?)),
        Wire::Compartment(compartment) => Resource::Compartment(Box::new(compartment_in(compartment)?)),
    })
}

/// A key as it is deleted by.
pub fn key_out(key: &Key) -> wire::Key {
    let kind = match key.kind {
        Kind::LookupRecord => wire::Kind::LookupRecord,
        Kind::CustomerRoute => wire::Kind::CustomerRoute,
        Kind::ProviderAddress => wire::Kind::ProviderAddress,
        Kind::ProviderRoute => wire::Kind::ProviderRoute,
        Kind::DhcpScope => wire::Kind::DhcpScope,
        Kind::Port => wire::Kind::Port,
        Kind::SecurityGroup => wire::Kind::SecurityGroup,
        Kind::AddressSet => wire::Kind::AddressSet,
        Kind::RoutingDomain => wire::Kind::RoutingDomain,
        Kind::Global => wire::Kind::Global,
        Kind::Migration => wire::Kind::Migration,
        Kind::Gateway => wire::Kind::Gateway,
        Kind::Compartment => wire::Kind::Compartment,
    };
    wire::Key { kind: kind.into(), name: key.name.clone() }
}

/// The key of what is deleted.
pub fn key_in(key: wire::Key) -> Result<Key, WireError> {
    let kind = match wire::Kind::try_from(key.kind) {
        Ok(wire::Kind::LookupRecord) => Kind::LookupRecord,
        Ok(wire::Kind::CustomerRoute) => Kind::CustomerRoute,
        Ok(wire::Kind::ProviderAddress) => Kind::ProviderAddress,
        Ok(wire::Kind::ProviderRoute) => Kind::ProviderRoute,
        Ok(wire::Kind::DhcpScope) => Kind::DhcpScope,
        Ok(wire::Kind::Port) => Kind::Port,
        Ok(wire::Kind::SecurityGroup) => Kind::SecurityGroup,
        Ok(wire::Kind::AddressSet) => Kind::AddressSet,
        Ok(wire::Kind::RoutingDomain) => Kind::RoutingDomain,
        Ok(wire::Kind::Global) => Kind::Global,
        Ok(wire::Kind::Migration) => Kind::Migration,
        Ok(wire::Kind::Gateway) => Kind::Gateway,
        Ok(wire::Kind::Compartment) => Kind::Compartment,
        Ok(wire::Kind::Unspecified) | Err(_) => {
            return Err(refused("kind", key.kind, "this version of netvirt knows no such kind"));
        }
    };
    Ok(Key { kind, name: key.name })
}

fn record_out(record: &LookupRecord) -> wire::LookupRecord {
    let rule = match record.rule {
        TranslationMethod::Encap => wire::TranslationMethod::Encap,
        TranslationMethod::Nat => wire::TranslationMethod::Nat,
        TranslationMethod::None => wire::TranslationMethod::None,
    };
    let record_type = match record.record_type {
        LookupRecordType::Static => wire::LookupRecordType::Static,
        LookupRecordType::Dynamic => wire::LookupRecordType::Dynamic,
        LookupRecordType::L2Only => wire::LookupRecordType::L2Only,
        LookupRecordType::GatewayWildcard => wire::LookupRecordType::GatewayWildcard,
    };
    wire::LookupRecord {
        vsid: record.vsid.get(),
        customer_address: record.customer_address.map(address_out),
        mac: mac_out(record.mac),
        provider_address: address_out(record.provider_address),
        rule: rule.into(),
        r#type: record_type.into(),
        vm_name: record.vm_name.clone(),
        security_groups: group_names_out(&record.security_groups),
        customer_id: record.customer_id.map(|id| Bytes::copy_from_slice(id.as_bytes())),
        context: record.context.clone(),
    }
}

fn record_in(record: wire::LookupRecord) -> Result<LookupRecord, WireError> {
    let rule = match wire::TranslationMethod::try_from(record.rule) {
        Ok(wire::TranslationMethod::Encap) => TranslationMethod::Encap,
        Ok(wire::TranslationMethod::Nat) => TranslationMethod::Nat,
        Ok(wire::TranslationMethod::None) => TranslationMethod::None,
        Err(_) => return Err(refused("rule", record.rule, "this version of netvirt knows no such rule")),
    };
    let record_type = match wire::LookupRecordType::try_from(record.r#type) {
        Ok(wire::LookupRecordType::Static) => LookupRecordType::Static,
        Ok(wire::LookupRecordType::Dynamic) => LookupRecordType::Dynamic,
        Ok(wire::LookupRecordType::L2Only) => LookupRecordType::L2Only,
        Ok(wire::LookupRecordType::GatewayWildcard) => LookupRecordType::GatewayWildcard,
        Err(_) => return Err(refused("type", record.r#type, "this version of netvirt knows no such type")),
    };
    let customer_address = record.customer_address.as_deref();
    Ok(LookupRecord {
        vsid: vsid_in("vsid", record.vsid)?,
        customer_address: customer_address.map(|bytes| address_in("customer_address", bytes)).transpose()?,
        mac: mac_in("mac", &record.mac)?,
        provider_address: address_in("provider_address", &record.provider_address)?,
        rule,
        record_type,
        vm_name: record.vm_name,
        customer_id: record.customer_id.as_deref().map(rdid_in).transpose()?,
        context: record.context,
        security_groups: group_names_in("security_groups", record.security_groups)?,
    })
}

fn customer_route_out(route: &CustomerRoute) -> wire::CustomerRoute {
    wire::CustomerRoute {
        rdid: Bytes::copy_from_slice(route.rdid.as_bytes()),
        vsid: route.vsid.get(),
        prefix: Some(prefix_out(route.prefix)),
        next_hop: address_out(route.next_hop),
        metric: route.metric,
    }
}

fn customer_route_in(route: wire::CustomerRoute) -> Result<CustomerRoute, WireError> {
    Ok(CustomerRoute {
        rdid: rdid_in(&route.rdid)?,
        vsid: vsid_in("vsid", route.vsid)?,
        prefix: prefix_in("prefix", route.prefix)?,
        next_hop: address_in("next_hop", &route.next_hop)?,
        metric: route.metric,
    })
}

fn rdid_in(rdid: &[u8]) -> Result<RoutingDomainId, WireError> {
    let refuse = |reason: &dyn std::fmt::Display| refused("rdid", format_args!("{rdid:02x?}"), reason);
    let uuid = Uuid::from_slice(rdid).map_err(|error| refuse(&error))?;
    RoutingDomainId::new(uuid).map_err(|error| refuse(&error))
}

fn routing_domain_out(domain: &RoutingDomain) -> wire::RoutingDomain {
    let encapsulation = match domain.encapsulation {
        Encapsulation::Nvgre => wire::Encapsulation::Nvgre,
        Encapsulation::Vxlan => wire::Encapsulation::Vxlan,
        Encapsulation::Geneve => wire::Encapsulation::Geneve,
    };
    wire::RoutingDomain {
        rdid: Bytes::copy_from_slice(domain.rdid.as_bytes()),
        encapsulation: encapsulation.into(),
        limits: limits_out(&domain.limits),
    }
}

fn routing_domain_in(domain: wire::RoutingDomain) -> Result<RoutingDomain, WireError> {
    let encapsulation = match wire::Encapsulation::try_from(domain.encapsulation) {
        Ok(wire::Encapsulation::Nvgre) => Encapsulation::Nvgre,
        Ok(wire::Encapsulation::Vxlan) => Encapsulation::Vxlan,
        Ok(wire::Encapsulation::Geneve) => Encapsulation::Geneve,
        Err(_) => {
            let reason = "this version of netvirt knows no such encapsulation";
            return Err(refused("encapsulation", domain.encapsulation, reason));
        }
    };
    Ok(RoutingDomain { rdid: rdid_in(&domain.rdid)?, encapsulation, limits: limits_in(domain.limits)? })
}

fn provider_address_out(address: &ProviderAddress) -> wire::ProviderAddress {
    wire::ProviderAddress {
        address: address_out(address.address),
        interface: address.interface.to_string(),
        prefix_length: address.prefix_length.into(),
    }
}

fn provider_address_in(address: wire::ProviderAddress) -> Result<ProviderAddress, WireError> {
    let length = address.prefix_length;
    Ok(ProviderAddress {
        address: address_in("address", &address.address)?,
        interface: name_in("interface", address.interface)?,
        prefix_length: u8::try_from(length)
            .map_err(|_| refused("prefix_length", length, "an address has at most 128 bits"))?,
    })
}

fn provider_route_out(route: &ProviderRoute) -> wire::ProviderRoute {
    wire::ProviderRoute {
        prefix: Some(prefix_out(route.prefix)),
        next_hop: address_out(route.next_hop),
        interface: route.interface.to_string(),
        metric: route.metric,
    }
}

fn provider_route_in(route: wire::ProviderRoute) -> Result<ProviderRoute, WireError> {
    Ok(ProviderRoute {
        prefix: prefix_in("prefix", route.prefix)?,
        next_hop: address_in("next_hop", &route.next_hop)?,
        interface: name_in("interface", route.interface)?,
        metric: route.metric,
    })
}

fn scope_out(scope: &DhcpScope) -> wire::DhcpScope {
    let route = |route: &ClasslessRoute| wire::ClasslessRoute {
        prefix: Some(prefix_out(route.prefix)),
        next_hop: address_out(route.next_hop),
    };
    wire::DhcpScope {
        vsid: scope.vsid.map(model::Vsid::get),
        physical: scope.physical.as_ref().map(physical_out),
        prefix: Some(prefix_out(scope.prefix)),
        gateway: scope.gateway.map(address_out),
        dns_servers: addresses_out(&scope.dns_servers),
        dns_suffixes: scope.dns_suffixes.clone(),
        routes: scope.routes.iter().map(route).collect(),
        lease_time: scope.lease_time.seconds(),
    }
}

fn scope_in(scope: wire::DhcpScope) -> Result<DhcpScope, WireError> {
    let route = |route: wire::ClasslessRoute| {
        Ok::<_, WireError>(ClasslessRoute {
            prefix: prefix_in("routes.prefix", route.prefix)?,
            next_hop: address_in("routes.next_hop", &route.next_hop)?,
        })
    };
    Ok(DhcpScope {
        vsid: scope.vsid.map(|number| vsid_in("vsid", number)).transpose()?,
        physical: scope.physical.map(|physical| physical_in("physical", physical)).transpose()?,
        prefix: prefix_in("prefix", scope.prefix)?,
        gateway: scope.gateway.as_deref().map(|bytes| address_in("gateway", bytes)).transpose()?,
        dns_servers: addresses_in("dns_servers", &scope.dns_servers)?,
        dns_suffixes: scope.dns_suffixes,
        routes: scope.routes.into_iter().map(route).collect::<Result<_, _>>()?,
        lease_time: LeaseTime::new(scope.lease_time).map_err(|error| refused("lease_time", scope.lease_time, error))?,
    })
}

fn limits_out(limits: &Limits) -> Option<wire::Limits> {
    let limit = |limit: Limit| wire::Limit {
        bandwidth: limit.bandwidth.map(Bandwidth::kilobits),
        packets: limit.packets.map(std::num::NonZeroU32::get),
        burst: limit.burst.map(ByteSize::bytes),
    };
    let Limits { egress, ingress } = *limits;
    (!limits.is_none()).then(|| wire::Limits { egress: egress.map(limit), ingress: ingress.map(limit) })
}

fn limits_in(limits: Option<wire::Limits>) -> Result<Limits, WireError> {
    let limit = |limit: wire::Limit| {
        let bandwidth = limit.bandwidth.map(Bandwidth::new).transpose();
        let bandwidth = bandwidth.map_err(|error| refused("bandwidth", limit.bandwidth.unwrap_or(0), error))?;
        let burst = limit.burst.map(ByteSize::new).transpose();
        let burst = burst.map_err(|error| refused("burst", limit.burst.unwrap_or(0), error))?;
        let packets = limit.packets.and_then(std::num::NonZeroU32::new);
        Limit::new(bandwidth, packets, burst).map_err(|error| refused("packets", limit.packets.unwrap_or(0), error))
    };
    let wire::Limits { egress, ingress } = limits.unwrap_or_default();
    Ok(Limits { egress: egress.map(limit).transpose()?, ingress: ingress.map(limit).transpose()? })
}

fn port_out(port: &Port) -> wire::Port {
    wire::Port {
        name: port.name.to_string(),
        device: port.device.to_string(),
        mac: mac_out(port.mac),
        vsid: port.vsid.map(model::Vsid::get),
        physical: port.physical.as_ref().map(physical_out),
        addresses: addresses_out(&port.addresses),
        security_groups: group_names_out(&port.security_groups),
        limits: limits_out(&port.limits),
        uid: port.uid.map(uuid_out),
    }
}

fn port_in(port: wire::Port) -> Result<Port, WireError> {
    Ok(Port {
        name: name_in("name", port.name)?,
        device: name_in("device", port.device)?,
        mac: mac_in("mac", &port.mac)?,
        vsid: port.vsid.map(|number| vsid_in("vsid", number)).transpose()?,
        physical: port.physical.map(|physical| physical_in("physical", physical)).transpose()?,
        addresses: addresses_in("addresses", &port.addresses)?,
        security_groups: group_names_in("security_groups", port.security_groups)?,
        limits: limits_in(port.limits)?,
        uid: port.uid.map(|bytes| uuid_in("uid", &bytes)).transpose()?,
    })
}
