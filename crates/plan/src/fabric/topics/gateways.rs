//! What gateways and VM networks with gateway connections contribute to the topics: for the hosts of the VM network where its
//! compartment is and what leads there, for the hosts of the gateway what they are and the compartments that they have.

use std::net::IpAddr;

use ipnet::IpNet;
use model::fabric::{
    ExternalNetwork, Gateway, GatewayAllocation, GatewayConnection, Key, Object, ResourceName, VmNetwork,
};
use model::gateway::{self, Compartment, Connection, GatewayPeer, Inside, Outside};
use model::{LookupRecord, LookupRecordType, Migration, QualifiedName, Resource, RoutingDomainId, TranslationMethod};

use super::items::on_link;
use crate::fabric::admission::{external_of, remote_prefixes};
use crate::fabric::allocation::{network_of, networks_in};
use crate::fabric::slots::compartment_device;
use crate::fabric::{Fabric, TopicId};

/// The metric of the default routes to a compartment: a VM network's own default route, by one of its VMs, goes before them.
const DEFAULT_METRIC: u32 = 1024;

impl Fabric {
    /// For each of its hosts that it is a gateway.
    pub(super) fn gateway_items(&self, spec: &Gateway) -> Vec<(TopicId, Resource)> {
        let next_hops = next_hops(networks_in(spec, None));
        let address = |host: &ResourceName| Some(self.provider_of(host, &spec.logical_network)?.0.addr());
        let peer =
            |of: &model::fabric::GatewayHost| Some(GatewayPeer { host: of.host.clone(), address: address(&of.host)? });
        let peers: Vec<GatewayPeer> = spec.hosts.iter().filter_map(peer).collect();
        let item = |host: &model::fabric::GatewayHost| {
            let (interface, addresses) = (host.interface.clone(), host.addresses.clone());
            let others = peers.iter().filter(|peer| peer.host != host.host).cloned();
            let gateway = gateway::Gateway {
                interface,
                addresses,
                next_hops: next_hops.clone(),
                address: address(&host.host),
                peers: others.collect(),
            };
            (TopicId::Host(host.host.clone()), Resource::Gateway(Box::new(gateway)))
        };
        spec.hosts.iter().map(item).collect()
    }

    /// What follows from a VM network's gateway connections.
    pub(super) fn compartment_items(
        &self,
        key: &Key,
        object: &Object,
        network: &VmNetwork,
    ) -> Vec<(TopicId, Resource)> {
        let (Some(given), Some(rdid)) = (object.allocation.gateway.as_deref(), object.allocation.rdid) else {
            return Vec::new();
        };
        let (Some(spec), Some(device)) = (self.gateway(&given.gateway), compartment_device(object.uid)) else {
            return Vec::new();
        };
        if !network.isolation.is_virtualized() {
            return Vec::new();
        }
        let topic = TopicId::Network(rdid);
        let mut items: Vec<(TopicId, Resource)> = Vec::new();
        let place = |host: &ResourceName| Some(self.provider_of(host, &network.logical_network)?.0.addr());
        if let Some(provider) = place(&given.host) {
            let records = records(given, provider).map(Resource::LookupRecord);
            items.extend(records.map(|record| (topic.clone(), record)));
            let to = given.next.as_ref().and_then(place).filter(|to| *to != provider);
            let from = given.came_from.as_ref().and_then(place).filter(|from| to.is_none() && *from != provider);
            if to.or(from).is_some() {
                let migration = Resource::Migration(Migration { vsid: given.vsid, mac: given.mac, to, from });
                items.push((topic.clone(), migration));
            }
        }
        let routes = self.routes_to(key, given, rdid).into_iter().map(Resource::CustomerRoute);
        items.extend(routes.map(|route| (topic.clone(), route)));
        let mut port = model::Port::new(device.clone(), device.clone(), given.mac, Some(given.vsid));
        port.addresses = given.inside().iter().map(IpNet::addr).collect();
        // At both places of one that moves, so that it finds its network there.
        let places = std::iter::once(&given.host).chain(&given.next).chain(&given.came_from);
        items.extend(places.map(|host| (TopicId::Host(host.clone()), Resource::Port(port.clone()))));
        let compartment = self.compartment(key, given, spec, device);
        items.extend(given.hosts().map(|host| {
            let standby = *host != given.host;
            // One that is about to take over can forward before the first packet comes.
            let coming = given.ready && given.next.as_ref() == Some(host);
            let leaving = coming || given.came_from.as_ref() == Some(host);
            let compartment = Compartment { standby, leaving, ..compartment.clone() };
            (TopicId::Host(host.clone()), Resource::Compartment(Box::new(compartment)))
        }));
        items
    }

    /// The gateway subnet, and what leads to the compartment there: everything that nothing else takes, and by name what lies
    /// behind its connections, so that it is found where a VM of the network is its default router.
    fn routes_to(&self, network: &Key, given: &GatewayAllocation, rdid: RoutingDomainId) -> Vec<model::CustomerRoute> {
        let vsid = given.vsid;
        let route = |prefix, next_hop, metric| model::CustomerRoute { rdid, vsid, prefix, next_hop, metric };
        let mut routes: Vec<_> = given.prefixes.iter().map(|prefix| route(*prefix, on_link(prefix), 0)).collect();
        let inside = given.inside();
        let by = |prefix: &IpNet| {
            inside.iter().map(IpNet::addr).find(|address| address.is_ipv4() == prefix.addr().is_ipv4())
        };
        for address in &inside {
            if let Ok(all) = IpNet::new(on_link(address), 0) {
                routes.push(route(all, address.addr(), DEFAULT_METRIC));
            }
        }
        let behind = self.connections_of(network).flat_map(|(_, spec)| remote_prefixes(spec));
        let behind = behind.filter(|prefix| prefix.prefix_len() > 0);
        routes.extend(behind.filter_map(|prefix| Some(route(prefix, by(&prefix)?, 0))));
        routes
    }

    fn compartment(
        &self,
        network: &Key,
        given: &GatewayAllocation,
        spec: &Gateway,
        device: model::Name,
    ) -> Compartment {
        let tenant = network.tenant.clone().unwrap_or_else(ResourceName::default_tenant);
        let prefixes = self.subnets_of(network).flat_map(|(_, subnet)| subnet.prefixes.iter().copied());
        let prefixes: Vec<IpNet> = prefixes.collect();
        let connections = self.connections_of(network);
        let connections = connections.filter(|(_, spec)| !waits_for_a_subnet(given, spec));
        let connections = connections.map(|(object, spec)| self.connection(network, object, spec, given, &prefixes));
        let connections = connections.collect();
        let routers = given.prefixes.iter().filter_map(|prefix| model::gateway_of(*prefix)).collect();
        let (mac, addresses) = (given.mac, given.inside());
        Compartment {
            name: QualifiedName::of_tenant(&tenant, &network.name),
            standby: false,
            leaving: false,
            inside: Inside { device, mac, addresses, routers, prefixes },
            outside: outside(given, spec),
            connections,
        }
    }

    /// A connection with what was chosen for it.
    fn connection(
        &self,
        network: &Key,
        object: &Object,
        spec: &GatewayConnection,
        given: &GatewayAllocation,
        prefixes: &[IpNet],
    ) -> Connection {
        let mut connection = spec.connection(object.resource.name.clone());
        if let Some(nat) = &mut connection.nat {
            for forward in &mut nat.forwards {
                forward.external = external_of(forward, &nat.addresses, given);
            }
            let named = |v4: bool| nat.addresses.iter().any(|address| address.is_ipv4() == v4);
            let (v4, v6) = (named(true), named(false));
            if nat.shared_ports.is_some() {
                nat.addresses.extend(given.shared.map(|shared| shared.address));
            }
            // IPv6 has an address of its own only where it is not translated by prefix.
            let translated = !nat.translations.is_empty();
            let shared = nat.shared_ports.is_some();
            let drawn = given.addresses.iter().map(IpNet::addr);
            nat.addresses.extend(drawn.filter(|own| if own.is_ipv4() { !v4 && !shared } else { !v6 && !translated }));
        }
        if let Some(bgp) = connection.bgp.as_mut().filter(|bgp| bgp.announce.is_empty()) {
            bgp.announce = prefixes.to_vec();
        }
        if let Some(wireguard) = connection.wireguard.as_mut().filter(|own| own.private_key.is_none()) {
            wireguard.private_key.clone_from(&object.allocation.private_key);
        }
        if let Some(dns) = &mut connection.dns {
            dns.names = self.dns_names(network, dns);
        }
        connection
    }
}

/// The compartment's addresses inside, and what stands for all that has no record in the gateway subnet.
fn records(given: &GatewayAllocation, provider_address: IpAddr) -> impl Iterator<Item = LookupRecord> {
    let inside = given.inside().into_iter();
    inside.flat_map(move |own| {
        let record = |customer_address, record_type| LookupRecord {
            vsid: given.vsid,
            customer_address: Some(customer_address),
            mac: given.mac,
            provider_address,
            rule: TranslationMethod::Encap,
            record_type,
            vm_name: Some(format!("gateway {}", given.gateway)),
            customer_id: None,
            context: None,
            security_groups: Vec::new(),
        };
        [record(own.addr(), LookupRecordType::Static), record(on_link(&own), LookupRecordType::GatewayWildcard)]
    })
}

/// Whether a connection is told to no host yet: it leads outside, and its VM network, which has no VM subnet whose family would
/// say what is needed there, has been given nothing.
pub fn waits_for_a_subnet(given: &GatewayAllocation, spec: &GatewayConnection) -> bool {
    spec.dns.is_none() && !has_outside(given)
}

fn has_outside(given: &GatewayAllocation) -> bool {
    let nothing = given.addresses.is_empty() && given.named.is_empty();
    !(nothing && given.shared.is_none() && given.translated.is_empty())
}

/// The compartment's side towards the outside; `None` if it has nothing there.
fn outside(given: &GatewayAllocation, spec: &Gateway) -> Option<Outside> {
    if !has_outside(given) {
        return None;
    }
    let addresses: Vec<IpNet> = given.addresses.iter().chain(&given.named).copied().collect();
    let mut networks: Vec<&ExternalNetwork> = Vec::new();
    // By the networks of its own addresses rather than by others of the VLAN.
    networks.extend(addresses.iter().filter_map(|own| network_of(spec, given.vlan, own.addr())));
    networks.extend(networks_in(spec, given.vlan));
    let next_hops = next_hops(networks);
    let (mac, vlan, shared) = (given.outside_mac, given.vlan, given.shared.into_iter().collect());
    Some(Outside { mac, vlan, addresses, next_hops, shared })
}

/// The first next hop of each family.
fn next_hops<'a>(networks: impl IntoIterator<Item = &'a ExternalNetwork>) -> Vec<IpAddr> {
    let mut hops: Vec<IpAddr> = Vec::new();
    for hop in networks.into_iter().filter_map(|network| network.next_hop) {
        if !hops.iter().any(|other| other.is_ipv4() == hop.is_ipv4()) {
            hops.push(hop);
        }
    }
    hops
}
