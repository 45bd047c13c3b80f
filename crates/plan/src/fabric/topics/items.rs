//! What each object contributes to the topics.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use model::fabric::{Addressing, CustomerRoute, Key, Kind, Object, Port, ResourceName, Spec, VmNetwork, VmSubnet};
use model::{
    Encapsulation, Limits, LookupRecord, LookupRecordType, Migration, ProviderAddress, QualifiedName, Resource,
    RoutingDomain, RoutingDomainId, TranslationMethod, Vsid,
};

use super::Contributor;
use crate::fabric::slots::{device_of, host_port_name};
use crate::fabric::{Fabric, TopicId};

/// The next hop that says that a prefix is the subnet's own.
pub(super) const fn on_link(prefix: &IpNet) -> IpAddr {
    match prefix {
        IpNet::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpNet::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

impl Fabric {
    /// The items of a contributor, each with the topic that it is in.
    pub(super) fn items(&self, contributor: &Contributor) -> Vec<(TopicId, Resource)> {
        let key = match contributor {
            Contributor::Scopes(host) => return self.physical_scopes(host),
            Contributor::Object(key) => key.as_ref(),
        };
        let Some(object) = self.get(key) else { return Vec::new() };
        match &object.resource.spec {
            Spec::Host(_) => self.provider_items(object),
            Spec::AddressSet(set) => self.address_set_items(key, set),
            Spec::SecurityGroup(group) => self.security_group_items(key, group),
            Spec::VmSubnet(subnet) => self.subnet_items(object, subnet),
            Spec::CustomerRoute(route) => self.route_items(key, route),
            Spec::Port(port) => self.port_items(key, object, port),
            Spec::VmNetwork(network) => {
                let mut items = network_items(object, network);
                items.extend(self.compartment_items(key, object, network));
                items
            }
            Spec::Gateway(gateway) => self.gateway_items(gateway),
            Spec::LogicalNetwork(_)
            | Spec::MacPool(_)
            | Spec::Tenant(_)
            | Spec::IpPool(_)
            | Spec::GatewayConnection(_) => Vec::new(),
        }
    }

    /// The VM network of a subnet, and its routing domain if it is virtualized.
    fn routing_domain(&self, beside: &Key, subnet: &VmSubnet) -> Option<(&VmNetwork, RoutingDomainId)> {
        let network = self.get(&beside.sibling(Kind::VmNetwork, &subnet.vm_network))?;
        match &network.resource.spec {
            Spec::VmNetwork(spec) if spec.isolation.is_virtualized() => Some((spec, network.allocation.rdid?)),
            _ => None,
        }
    }

    fn provider_items(&self, object: &Object) -> Vec<(TopicId, Resource)> {
        let topic = TopicId::Host(object.resource.name.clone());
        let item = |(address, interface): (IpNet, model::Name)| {
            let provider = ProviderAddress { address: address.addr(), interface, prefix_length: address.prefix_len() };
            (topic.clone(), Resource::ProviderAddress(provider))
        };
        self.providers(object).into_iter().map(item).collect()
    }

    /// A virtualized subnet: an on-link route for each prefix, and the DHCP scopes.
    fn subnet_items(&self, object: &Object, subnet: &VmSubnet) -> Vec<(TopicId, Resource)> {
        let key = object.key();
        let (Some((_, rdid)), Some(vsid)) = (self.routing_domain(&key, subnet), object.allocation.vsid) else {
            return Vec::new();
        };
        let route = |prefix: &IpNet| {
            let next_hop = on_link(prefix);
            Resource::CustomerRoute(model::CustomerRoute { rdid, vsid, prefix: *prefix, next_hop, metric: 0 })
        };
        let routes = subnet.prefixes.iter().map(route);
        let network = key.sibling(Kind::VmNetwork, &subnet.vm_network);
        let dns = self.dns_of(&network);
        let scopes = self.scopes(&key, subnet).into_iter().map(|mut scope| {
            scope.vsid = Some(vsid);
            if let Some((dns, given)) = dns {
                super::dns::complete(&mut scope, dns, given);
            }
            Resource::DhcpScope(scope)
        });
        routes.chain(scopes).map(|resource| (TopicId::Network(rdid), resource)).collect()
    }

    /// A route by a VM, with the VSID of the subnet that the VM is in.
    fn route_items(&self, key: &Key, route: &CustomerRoute) -> Vec<(TopicId, Resource)> {
        let network = key.sibling(Kind::VmNetwork, &route.vm_network);
        let subnet = self
            .subnets_of(&network)
            .find(|(_, subnet)| subnet.prefixes.iter().any(|prefix| prefix.contains(&route.next_hop)));
        let Some((object, subnet)) = subnet else { return Vec::new() };
        let (Some((_, rdid)), Some(vsid)) = (self.routing_domain(key, subnet), object.allocation.vsid) else {
            return Vec::new();
        };
        let CustomerRoute { prefix, next_hop, metric, .. } = *route;
        let item = Resource::CustomerRoute(model::CustomerRoute { rdid, vsid, prefix, next_hop, metric });
        vec![(TopicId::Network(rdid), item)]
    }

    /// A port on a host and in a VM network: its device in the host's topic, its records in the network's. A port
    /// without host is nowhere, and one without VM network reaches nothing, so that neither has items: its device, if
    /// there is one, is not touched and leads nowhere.
    fn port_items(&self, key: &Key, object: &Object, port: &Port) -> Vec<(TopicId, Resource)> {
        let given = &object.allocation;
        let (Some(host), Some(subnet), Some(mac)) = (&port.host, &given.vm_subnet, given.mac) else {
            return Vec::new();
        };
        let (Some(name), Some(device)) = (host_port_name(key), device_of(&key.name, port)) else { return Vec::new() };
        let subnet_key = key.sibling(Kind::VmSubnet, subnet);
        let Some(subnet) = self.get(&subnet_key) else { return Vec::new() };
        let Spec::VmSubnet(spec) = &subnet.resource.spec else { return Vec::new() };
        let Some(network) = self.vm_network(key, &spec.vm_network) else { return Vec::new() };
        let mut plugged = model::Port::new(name, device, mac, None);
        plugged.addresses = one_of_each(&spec.prefixes, &given.addresses);
        plugged.limits = port.limits;
        plugged.uid = Some(object.uid);
        let topic = TopicId::Host(host.clone());
        if !network.isolation.is_virtualized() {
            plugged.physical = self.physical_of(host, &subnet_key);
            return if plugged.physical.is_some() { vec![(topic, Resource::Port(plugged))] } else { Vec::new() };
        }
        let (Some((_, rdid)), Some(vsid)) = (self.routing_domain(key, spec), subnet.allocation.vsid) else {
            return Vec::new();
        };
        plugged.vsid = Some(vsid);
        plugged.security_groups = self.qualified_groups(key);
        let plugged_groups = plugged.security_groups.clone();
        // At both places of a VM that moves, so that it finds its network there.
        let there = port.migrate_to.iter().map(|to| (TopicId::Host(to.clone()), Resource::Port(plugged.clone())));
        let mut items: Vec<(TopicId, Resource)> = there.collect();
        items.push((topic, Resource::Port(plugged)));
        if let Some(provider) = self.provider_of(host, &network.logical_network) {
            let records = records(object, port, vsid, provider.0.addr(), &plugged_groups);
            items.extend(records.into_iter().map(|record| (TopicId::Network(rdid), Resource::LookupRecord(record))));
            let place = |host: &ResourceName| Some(self.provider_of(host, &network.logical_network)?.0.addr());
            let to = port.migrate_to.as_ref().and_then(place);
            let from =
                given.came_from.as_ref().and_then(place).filter(|from| to.is_none() && *from != provider.0.addr());
            if to.or(from).is_some() {
                let migration = Resource::Migration(Migration { vsid, mac, to, from });
                items.push((TopicId::Network(rdid), migration));
            }
        }
        items
    }
}

/// A virtualized VM network: how it travels and what its limits are, if this is not what hosts take for granted.
fn network_items(object: &Object, network: &VmNetwork) -> Vec<(TopicId, Resource)> {
    let (Some(rdid), Some(encapsulation)) = (object.allocation.rdid, network.isolation.encapsulation()) else {
        return Vec::new();
    };
    let domain = RoutingDomain { rdid, encapsulation, limits: network.limits };
    if domain == (RoutingDomain { rdid, encapsulation: Encapsulation::default(), limits: Limits::default() }) {
        return Vec::new();
    }
    vec![(TopicId::Network(rdid), Resource::RoutingDomain(domain))]
}

/// The records of a virtualized port: one for each address, and of one whose addresses are learnt one without address.
fn records(
    object: &Object,
    port: &Port,
    vsid: Vsid,
    provider_address: IpAddr,
    groups: &[QualifiedName],
) -> Vec<LookupRecord> {
    let given = &object.allocation;
    let Some(mac) = given.mac else { return Vec::new() };
    let vm_name = Some(port.vm_name.clone().unwrap_or_else(|| object.resource.name.to_string()));
    let record = |customer_address, record_type| LookupRecord {
        vsid,
        customer_address,
        mac,
        provider_address,
        rule: TranslationMethod::Encap,
        record_type,
        vm_name: vm_name.clone(),
        customer_id: None,
        context: None,
        security_groups: groups.to_vec(),
    };
    match port.addressing {
        Addressing::Pool => {
            given.addresses.iter().map(|address| record(Some(*address), LookupRecordType::Static)).collect()
        }
        Addressing::Learnt => {
            let learnt = given.learnt.iter().map(|address| record(Some(*address), LookupRecordType::Dynamic));
            std::iter::once(record(None, LookupRecordType::L2Only)).chain(learnt).collect()
        }
    }
}

/// The first address in each prefix: what DHCP gives, which has one address for a client.
fn one_of_each(prefixes: &[IpNet], addresses: &[IpAddr]) -> Vec<IpAddr> {
    let mut left: Vec<&IpNet> = prefixes.iter().collect();
    let mut first = |address: &&IpAddr| {
        left.iter().position(|prefix| prefix.contains(*address)).map(|position| left.remove(position)).is_some()
    };
    addresses.iter().filter(&mut first).copied().collect()
}
