//! What can be asked of an intent: its resources by kind, and those that have something in common. Each answer costs
//! about as much as it is long.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::Intent;
use super::index::{LARGE_PART, lowest_station, station};
use crate::gateway::{Compartment, Gateway};
use crate::{
    AddressSet, CustomerRoute, DhcpScope, Encapsulation, Global, Key, Kind, Limits, LookupRecord, MacAddress,
    Migration, Name, PhysicalNetwork, Port, ProviderAddress, ProviderRoute, QualifiedName, Resource, RoutingDomainId,
    SecurityGroup, SharedKey, Vsid,
};

/// What takes the resources of one kind out of their enum.
macro_rules! of_kind {
    ($kind:ident, $resources:expr) => {
        $resources.filter_map(|(_, resource)| match resource {
            Resource::$kind(found) => Some(found),
            _ => None,
        })
    };
}

/// The lowest prefix in the order of prefixes.
const LOWEST_PREFIX: IpNet = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0));

impl Intent {
    /// The resources of a kind whose names begin with something, in the order of their keys.
    fn named(&self, kind: Kind, prefix: String) -> impl Iterator<Item = (&SharedKey, &Resource)> + use<'_> {
        let from = Key { kind, name: prefix };
        let range = self.resources.range::<Key, _>(&from..);
        range.take_while(move |(key, _)| key.kind == kind && key.name.starts_with(&from.name))
    }

    /// The resources of a kind, each with its key, in the order of the keys.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&SharedKey, &Resource)> + use<'_> {
        self.named(kind, String::new())
    }

    /// The resources of a kind in a subnet, each with its key: lookup records, customer routes and DHCP scopes.
    pub fn in_subnet(&self, kind: Kind, vsid: Vsid) -> impl Iterator<Item = (&SharedKey, &Resource)> + use<'_> {
        self.named(kind, format!("{vsid}/"))
    }

    /// The resources of these keys.
    pub(super) fn resolve<'a>(
        &'a self,
        keys: impl Iterator<Item = &'a SharedKey>,
    ) -> impl Iterator<Item = (&'a SharedKey, &'a Resource)> {
        keys.filter_map(|key| Some((key, self.resources.get(key)?)))
    }

    /// The resources of some keys that are in their order, each once.
    pub(super) fn resolve_in_order<'a>(
        &'a self,
        keys: &'a [&'a SharedKey],
    ) -> Box<dyn Iterator<Item = (&'a SharedKey, &'a Resource)> + 'a> {
        if keys.len() <= self.resources.len() / LARGE_PART {
            return Box::new(self.resolve(keys.iter().copied()));
        }
        let mut keys = keys.iter().peekable();
        Box::new(self.resources.iter().filter(move |(key, _)| {
            while keys.next_if(|wanted| **wanted < *key).is_some() {}
            keys.next_if(|wanted| **wanted == *key).is_some()
        }))
    }

    /// The lookup records, in the order of their keys.
    pub fn lookup_records(&self) -> impl Iterator<Item = &LookupRecord> {
        of_kind!(LookupRecord, self.of_kind(Kind::LookupRecord))
    }

    /// The customer routes, in the order of their keys.
    pub fn customer_routes(&self) -> impl Iterator<Item = &CustomerRoute> {
        of_kind!(CustomerRoute, self.of_kind(Kind::CustomerRoute))
    }

    /// The provider addresses, in the order of their keys.
    pub fn provider_addresses(&self) -> impl Iterator<Item = &ProviderAddress> {
        of_kind!(ProviderAddress, self.of_kind(Kind::ProviderAddress))
    }

    /// The provider routes, in the order of their keys.
    pub fn provider_routes(&self) -> impl Iterator<Item = &ProviderRoute> {
        of_kind!(ProviderRoute, self.of_kind(Kind::ProviderRoute))
    }

    /// The DHCP scopes, in the order of their keys.
    pub fn dhcp_scopes(&self) -> impl Iterator<Item = &DhcpScope> {
        of_kind!(DhcpScope, self.of_kind(Kind::DhcpScope))
    }

    /// The DHCP scopes of a subnet, or else of a physical network.
    pub fn scopes(&self, vsid: Option<Vsid>, physical: Option<&PhysicalNetwork>) -> impl Iterator<Item = &DhcpScope> {
        let network = vsid.map(|vsid| vsid.to_string()).or_else(|| physical.map(PhysicalNetwork::to_string));
        let named = network.into_iter().flat_map(|network| self.named(Kind::DhcpScope, format!("{network}/")));
        let of = (vsid, physical.cloned());
        of_kind!(DhcpScope, named).filter(move |scope| (scope.vsid, &scope.physical) == (of.0, &of.1))
    }

    /// That the host is a gateway, with the key.
    pub fn own_gateway(&self) -> Option<(&SharedKey, &Gateway)> {
        self.of_kind(Kind::Gateway).find_map(|(key, resource)| match resource {
            Resource::Gateway(gateway) => Some((key, &**gateway)),
            _ => None,
        })
    }

    /// The compartments, each with its key, in the order of their names.
    pub fn compartments(&self) -> impl Iterator<Item = (&SharedKey, &Compartment)> {
        self.of_kind(Kind::Compartment).filter_map(|(key, resource)| match resource {
            Resource::Compartment(compartment) => Some((key, &**compartment)),
            _ => None,
        })
    }

    /// The ports, in the order of their names.
    pub fn ports(&self) -> impl Iterator<Item = &Port> {
        of_kind!(Port, self.of_kind(Kind::Port))
    }

    /// The lookup records of a MAC address in a subnet, each with its key, in the order of the keys.
    pub fn records_at(&self, vsid: Vsid, mac: MacAddress) -> impl Iterator<Item = (&SharedKey, &LookupRecord)> {
        self.resolve(self.index.stations.of(station(vsid, mac))).filter_map(|(key, resource)| match resource {
            Resource::LookupRecord(record) => Some((key, record)),
            _ => None,
        })
    }

    /// The lookup record of a customer address, with its key.
    pub fn record_of(&self, vsid: Vsid, address: IpAddr) -> Option<(&SharedKey, &LookupRecord)> {
        let key = Key { kind: Kind::LookupRecord, name: format!("{vsid}/{address}") };
        match self.resources.get_key_value(&key)? {
            (key, Resource::LookupRecord(record)) => Some((key, record)),
            _ => None,
        }
    }

    /// The lookup records with a provider address, each with its key: those of its host's VMs in the order of their keys,
    /// then those of VMs that it stands for.
    pub fn records_to(&self, provider: IpAddr) -> impl Iterator<Item = (&SharedKey, &LookupRecord)> {
        let keys = self.index.hosts.of(provider).chain(self.index.wires.of(provider));
        self.resolve(keys).filter_map(move |(key, resource)| match resource {
            Resource::LookupRecord(record) if record.provider_address == provider => Some((key, record)),
            _ => None,
        })
    }

    /// The lookup record that an address on the wire stands for, where nothing is encapsulated.
    pub fn record_on_wire(&self, wire: IpAddr) -> Option<&LookupRecord> {
        of_kind!(LookupRecord, self.resolve(self.index.wires.of(wire))).last()
    }

    /// The on-link customer routes of a subnet, in the order of their keys.
    pub fn on_link_routes(&self, vsid: Vsid) -> impl Iterator<Item = &CustomerRoute> {
        of_kind!(CustomerRoute, self.resolve(self.index.on_link.of(vsid)))
    }

    /// Whether a customer route of the subnet leads to this next hop.
    pub fn is_next_hop(&self, vsid: Vsid, address: IpAddr) -> bool {
        self.index.next_hops.of((vsid, address)).next().is_some()
    }

    /// The customer routes of a routing domain to one prefix, in the order of their keys.
    pub fn routes_to(&self, rdid: RoutingDomainId, prefix: IpNet) -> impl Iterator<Item = &CustomerRoute> {
        of_kind!(CustomerRoute, self.resolve(self.index.destinations.of((rdid, prefix))))
    }

    /// The customer routes of a routing domain, in the order of their prefixes.
    pub fn routes_of(&self, rdid: RoutingDomainId) -> impl Iterator<Item = &CustomerRoute> {
        let entries = self.index.destinations.from((rdid, LOWEST_PREFIX));
        let entries = entries.take_while(move |((other, _), _)| *other == rdid);
        of_kind!(CustomerRoute, self.resolve(entries.map(|(_, key)| key)))
    }

    /// The routing domain of a subnet, if a customer route names the subnet.
    pub fn routing_domain(&self, vsid: Vsid) -> Option<RoutingDomainId> {
        of_kind!(CustomerRoute, self.in_subnet(Kind::CustomerRoute, vsid)).next().map(|route| route.rdid)
    }

    /// The routing domains, each once, in their order.
    pub fn routing_domains(&self) -> impl Iterator<Item = RoutingDomainId> {
        let mut last = None;
        let domains = self.index.destinations.groups().map(|(rdid, _)| *rdid);
        domains.filter(move |rdid| last.replace(*rdid) != Some(*rdid))
    }

    /// How frames of a routing domain travel to other hosts.
    pub fn encapsulation(&self, rdid: RoutingDomainId) -> Encapsulation {
        match self.get(&Key { kind: Kind::RoutingDomain, name: rdid.to_string() }) {
            Some(Resource::RoutingDomain(domain)) => domain.encapsulation,
            _ => Encapsulation::default(),
        }
    }

    /// What a routing domain's ports may send and be sent together.
    pub fn limits(&self, rdid: RoutingDomainId) -> Limits {
        match self.get(&Key { kind: Kind::RoutingDomain, name: rdid.to_string() }) {
            Some(Resource::RoutingDomain(domain)) => domain.limits,
            _ => Limits::default(),
        }
    }

    /// What holds of the host as a whole.
    pub const fn global(&self) -> Global {
        self.index.global
    }

    /// The migrations, in the order of their VSIDs.
    pub fn migrations(&self) -> impl Iterator<Item = &Migration> {
        self.index.migrations.values()
    }

    /// The migration of a VM.
    pub fn migration_of(&self, vsid: Vsid, mac: MacAddress) -> Option<&Migration> {
        self.index.migrations.get(&station(vsid, mac))
    }

    /// The migrations of a subnet's VMs.
    pub fn migrations_in(&self, vsid: Vsid) -> impl Iterator<Item = &Migration> {
        let all = self.index.migrations.range((vsid, [0; 6])..=(vsid, [0xff; 6]));
        all.map(|(_, migration)| migration)
    }

    /// The address of a subnet's gateway that an on-link route brings, for which the host itself stands.
    pub fn gateway(&self, route: &CustomerRoute) -> Option<IpAddr> {
        route.gateway().filter(|_| !self.global().external_router)
    }

    /// Whether this customer address is that of a subnet's gateway, and somebody else than the hosts stands for it.
    pub fn is_external_router(&self, vsid: Vsid, address: IpAddr) -> bool {
        self.global().external_router && self.on_link_routes(vsid).any(|route| route.gateway() == Some(address))
    }

    /// Whether a record only notes the gateway of its subnet, for which the host itself stands.
    pub fn notes_gateway(&self, record: &LookupRecord) -> bool {
        let mut routes = self.on_link_routes(record.vsid);
        let gateway = record.customer_address.filter(|_| record.names_no_host());
        gateway.is_some() && routes.any(|route| self.gateway(route) == gateway)
    }

    /// Whether a declared routing domain has this encapsulation.
    pub fn is_encapsulated_in(&self, encapsulation: Encapsulation) -> bool {
        let mut domains = of_kind!(RoutingDomain, self.of_kind(Kind::RoutingDomain));
        domains.any(|domain| domain.encapsulation == encapsulation)
    }

    /// The port with a device, in an intent at most one.
    pub fn port_on(&self, device: &Name) -> Option<&Port> {
        of_kind!(Port, self.resolve(self.index.devices.of(device.clone()))).next()
    }

    /// The port of a MAC address in a subnet, in an intent at most one.
    pub fn port_at(&self, vsid: Vsid, mac: MacAddress) -> Option<&Port> {
        of_kind!(Port, self.resolve(self.index.ports.of(station(vsid, mac)))).next()
    }

    /// The ports in a subnet, in the order of their MAC addresses.
    pub fn ports_in(&self, vsid: Vsid) -> impl Iterator<Item = &Port> {
        let entries = self.index.ports.from(lowest_station(vsid)).take_while(move |((other, _), _)| *other == vsid);
        of_kind!(Port, self.resolve(entries.map(|(_, key)| key)))
    }

    /// Whether an interface is one that provider addresses or provider routes name.
    pub fn is_uplink(&self, interface: &Name) -> bool {
        self.index.uplinks.of(interface.clone()).next().is_some()
    }

    /// The security groups, in the order of their names.
    pub fn security_groups(&self) -> impl Iterator<Item = &SecurityGroup> {
        of_kind!(SecurityGroup, self.of_kind(Kind::SecurityGroup))
    }

    /// The security group with a name.
    pub fn security_group(&self, name: &QualifiedName) -> Option<&SecurityGroup> {
        match self.resources.get(&Key { kind: Kind::SecurityGroup, name: name.as_str().to_owned() })? {
            Resource::SecurityGroup(group) => Some(group),
            _ => None,
        }
    }

    /// The address set with a name.
    pub fn address_set(&self, name: &QualifiedName) -> Option<&AddressSet> {
        match self.resources.get(&Key { kind: Kind::AddressSet, name: name.as_str().to_owned() })? {
            Resource::AddressSet(set) => Some(set),
            _ => None,
        }
    }

    /// The ports that are in a security group, in the order of their names.
    pub fn ports_in_group(&self, name: &QualifiedName) -> impl Iterator<Item = &Port> {
        of_kind!(Port, self.resolve(self.index.members.of(name.clone())))
    }

    /// The security groups whose rules name another group, or an address set, in the order of their names.
    pub fn groups_that_name(&self, kind: Kind, name: &QualifiedName) -> impl Iterator<Item = &SecurityGroup> {
        of_kind!(SecurityGroup, self.resolve(self.index.remotes.of((kind, name.clone()))))
    }
}
