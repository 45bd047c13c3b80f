//! The checks that an intent must pass. Each reports all places where it fails, so that an operator corrects a file in
//! one go.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::index::{Station, station, wire_address};
use super::networks::{self, Network};
use super::{Intent, IntentError, Replaced, gateways, security};
use crate::{
    CustomerRoute, Key, Kind, LookupRecord, LookupRecordType, MAX_PATHS, Migration, Name, Port, ProviderAddress,
    ProviderRoute, Resource, RoutingDomainId, SharedKey, TranslationMethod, Vsid,
};

/// What a change may have brought into contradiction: single resources, and groups whose members must agree.
#[derive(Default)]
struct Touched<'a> {
    /// In their order, each once, when all are gathered. So are the stations.
    resources: Vec<&'a SharedKey>,
    subnets: BTreeSet<Vsid>,
    destinations: BTreeSet<(RoutingDomainId, IpNet)>,
    provider_routes: bool,
    stations: Vec<Station>,
    wires: BTreeSet<IpAddr>,
    devices: BTreeSet<Name>,
    ports: BTreeSet<Station>,
    networks: BTreeSet<Network>,
    /// What gateways and compartments have to do with.
    gateways: bool,
}

/// What has been found so far, and what several checks ask for.
struct Checks<'a> {
    intent: &'a Intent,
    errors: Vec<IntentError>,
    /// The subnet that was asked for last, and its on-link customer routes.
    on_link: (Option<Vsid>, Vec<&'a CustomerRoute>),
}

/// An error of a group, with its place among those of other groups: the resource at which it was found, and which of the
/// questions about that resource it answers.
type Found = (SharedKey, u8, IntentError);

/// All contradictions of an intent that had none before these resources changed.
pub(super) fn contradictions(intent: &Intent, replaced: &[Replaced]) -> Vec<IntentError> {
    let touched = Touched::by(intent, replaced);
    let mut checks = Checks { intent, errors: Vec::new(), on_link: (None, Vec::new()) };
    for (key, resource) in intent.resolve_in_order(&touched.resources) {
        match resource {
            Resource::LookupRecord(record) => checks.lookup_record(key, record),
            Resource::CustomerRoute(route) => checks.customer_route(key, route),
            Resource::ProviderAddress(address) => checks.provider_address(key, address),
            Resource::ProviderRoute(route) => checks.provider_route(key, route),
            Resource::Port(port) => {
                checks.interface_name(key, &port.device);
                checks.errors.extend(networks::port(key, port));
                checks.errors.extend(security::port(key, port));
            }
            Resource::SecurityGroup(group) => checks.errors.extend(security::group(key, group)),
            Resource::AddressSet(set) => checks.errors.extend(security::address_set(key, set)),
            Resource::DhcpScope(scope) => checks.errors.extend(networks::scope(key, scope)),
            // There is one of each, by its name, and nothing that it could contradict.
            Resource::RoutingDomain(_) | Resource::Global(_) => {}
            Resource::Gateway(gateway) => {
                checks.interface_name(key, &gateway.interface);
                checks.errors.extend(gateways::gateway(key, gateway));
            }
            Resource::Compartment(compartment) => {
                checks.interface_name(key, &compartment.inside.device);
                checks.errors.extend(gateways::compartment(key, compartment));
            }
            Resource::Migration(migration) => checks.migration(key, migration),
        }
    }
    for vsid in &touched.subnets {
        checks.routing_domains(*vsid);
    }
    let groups = &checks;
    let routes = touched.destinations.iter().flat_map(|(rdid, prefix)| groups.customer_routes(*rdid, *prefix));
    let routes = in_order(routes.collect());
    let stations = intent.index.stations.several_among(&touched.stations);
    let stations = in_order(stations.into_iter().flat_map(|station| groups.stations(station)).collect());
    let wires = in_order(touched.wires.iter().flat_map(|wire| groups.wire_addresses(*wire)).collect());
    let devices = touched.devices.iter().flat_map(|device| groups.devices(device));
    let ports = in_order(devices.chain(touched.ports.iter().flat_map(|station| groups.ports(station))).collect());
    checks.errors.extend(routes);
    if touched.provider_routes {
        checks.provider_routes();
    }
    checks.errors.extend(stations.chain(wires).chain(ports));
    checks.errors.extend(networks::contradictions(intent, &touched.networks));
    if touched.gateways {
        checks.errors.extend(gateways::contradictions(intent));
    }
    checks.errors
}

/// The errors in the order of the resources, as if these had been gone through one by one.
fn in_order(mut found: Vec<Found>) -> impl Iterator<Item = IntentError> {
    found.sort_by(|(key, question, _), (other, other_question, _)| (key, question).cmp(&(other, other_question)));
    found.into_iter().map(|(_, _, error)| error)
}

impl<'a> Touched<'a> {
    fn by(intent: &'a Intent, replaced: &'a [Replaced]) -> Self {
        let mut touched = Self::default();
        for Replaced { key, before } in replaced {
            let after = intent.resources.get(key);
            if after.is_some() {
                touched.resources.push(key);
            }
            for resource in before.iter().chain(after) {
                touched.resource(intent, resource);
            }
        }
        // Runs that are in order already, for the most part.
        touched.resources.sort();
        touched.resources.dedup();
        touched.stations.sort_unstable();
        touched.stations.dedup();
        touched
    }

    /// What this resource, as it was or as it is, may contradict.
    fn resource(&mut self, intent: &'a Intent, resource: &Resource) {
        match resource {
            Resource::LookupRecord(record) => {
                let of_vm = intent.migration_of(record.vsid, record.mac).map(|it| Resource::Migration(*it).key());
                self.resources.extend(of_vm.and_then(|key| intent.resources.get_key_value(&key)).map(|(key, _)| key));
                self.stations.push(station(record.vsid, record.mac));
                self.wires.insert(record.provider_address);
                self.wires.extend(wire_address(record));
            }
            Resource::CustomerRoute(route) => {
                self.subnets.insert(route.vsid);
                self.destinations.insert((route.rdid, route.prefix));
                if route.is_on_link() {
                    // What the addresses and next hops of the whole subnet are measured by.
                    for kind in [Kind::LookupRecord, Kind::CustomerRoute] {
                        self.resources.extend(intent.in_subnet(kind, route.vsid).map(|(key, _)| key));
                    }
                }
            }
            Resource::ProviderAddress(provider) => {
                self.gateways = true;
                self.wires.insert(provider.address);
                self.devices.insert(provider.interface.clone());
            }
            Resource::ProviderRoute(_) => {
                self.gateways = true;
                self.provider_routes = true;
            }
            Resource::RoutingDomain(_) | Resource::Migration(_) => {}
            Resource::Gateway(_) | Resource::Compartment(_) => self.gateways = true,
            Resource::Global(_) => {
                // Who has a gateway's address may be another question now.
                for kind in [Kind::LookupRecord, Kind::CustomerRoute] {
                    self.resources.extend(intent.of_kind(kind).map(|(key, _)| key));
                }
            }
            Resource::DhcpScope(scope) => {
                self.networks.extend(Network::of(scope.vsid, scope.physical.as_ref()));
            }
            Resource::Port(port) => {
                self.networks.extend(Network::of(port.vsid, port.physical.as_ref()));
                self.gateways = true;
                self.devices.insert(port.device.clone());
                self.ports.extend(port.vsid.map(|vsid| station(vsid, port.mac)));
            }
            // Whether the names in a rule lead anywhere is no question of contradiction: on a host they come one by one.
            Resource::SecurityGroup(_) | Resource::AddressSet(_) => {}
        }
    }
}

impl<'a> Checks<'a> {
    /// The on-link customer routes of a subnet, in the order of their keys.
    fn on_link(&mut self, vsid: Vsid) -> &[&'a CustomerRoute] {
        if self.on_link.0 != Some(vsid) {
            let intent = self.intent;
            self.on_link = (Some(vsid), intent.on_link_routes(vsid).collect());
        }
        &self.on_link.1
    }

    fn lookup_record(&mut self, key: &Key, record: &LookupRecord) {
        for (field, text) in [("vmName", &record.vm_name), ("context", &record.context)] {
            if text.as_ref().is_some_and(|text| text.chars().any(char::is_control)) {
                self.errors.push(IntentError::ControlCharacter { key: key.clone(), field });
            }
        }
        let (rule, record_type, provider) = (record.rule, record.record_type, record.provider_address);
        self.errors.extend(security::memberships(key, &record.security_groups));
        self.provider_is_unicast(key, provider);
        if record_type == LookupRecordType::L2Only && rule != TranslationMethod::Encap {
            self.errors.push(IntentError::L2OnlyRule { key: key.clone(), rule });
        }
        if record_type == LookupRecordType::GatewayWildcard && rule != TranslationMethod::Encap {
            self.errors.push(IntentError::WildcardRule { key: key.clone(), rule });
        }
        let Some(address) = record.customer_address else {
            if record_type != LookupRecordType::L2Only {
                self.errors.push(IntentError::NoCustomerAddress { key: key.clone(), record_type });
            }
            return;
        };
        if self.is_mapped(key, address) {
            return;
        }
        if rule != TranslationMethod::Encap && address.is_ipv4() != provider.is_ipv4() {
            self.errors.push(IntentError::RecordFamilies { key: key.clone(), rule, address, provider });
        }
        match (record_type == LookupRecordType::GatewayWildcard, address.is_unspecified()) {
            (true, true) => {}
            (true, false) => self.errors.push(IntentError::WildcardAddress { key: key.clone(), address }),
            (false, true) => self.errors.push(IntentError::UnspecifiedAddress { key: key.clone(), address }),
            (false, false) => self.customer_address(key, record, address),
        }
    }

    /// The customer address of a record that stands for one VM.
    fn customer_address(&mut self, key: &Key, record: &LookupRecord, address: IpAddr) {
        let vsid = record.vsid;
        if !is_unicast(address) {
            self.errors.push(IntentError::CustomerNotUnicast { key: key.clone(), address });
            return;
        }
        if is_link_local_v6(address) {
            self.errors.push(IntentError::CustomerLinkLocal { key: key.clone(), address });
            return;
        }
        let hosts_route = !self.intent.global().external_router;
        let routes = self.on_link(vsid);
        if let Some(prefix) = gateway_in(routes, address).filter(|_| hosts_route) {
            if record.names_no_host() {
                return;
            }
            self.errors.push(IntentError::CustomerIsGateway { key: key.clone(), address, vsid, prefix });
            return;
        }
        let mut all = routes.iter().map(|route| route.prefix);
        if let Some(prefix) = all.find(|prefix| is_subnet_address(prefix, address)) {
            self.errors.push(IntentError::CustomerIsSubnetAddress { key: key.clone(), address, vsid, prefix });
            return;
        }
        if routes.iter().any(|route| route.prefix.contains(&address)) {
            return;
        }
        let on_link = prefixes(routes, address);
        if !on_link.is_empty() {
            self.errors.push(IntentError::CustomerNotOnLink { key: key.clone(), address, vsid, on_link });
        }
    }

    fn migration(&mut self, key: &Key, migration: &Migration) {
        let key = || key.clone();
        let (Some(other), true) = (migration.other(), migration.to.is_some() != migration.from.is_some()) else {
            self.errors.push(IntentError::MigrationDirection { key: key() });
            return;
        };
        self.provider_is_unicast(&key(), other);
        for (record, found) in self.intent.records_at(migration.vsid, migration.mac) {
            let record = Key::clone(record);
            if found.rule != TranslationMethod::Encap {
                self.errors.push(IntentError::MigrationRule { key: key(), record, rule: found.rule });
            } else if found.provider_address == other {
                self.errors.push(IntentError::MigrationPlace { key: key(), record, provider: other });
            }
        }
    }

    fn customer_route(&mut self, key: &Key, route: &CustomerRoute) {
        let (vsid, next_hop) = (route.vsid, route.next_hop);
        if !self.route(key, route.prefix, next_hop) || route.is_on_link() {
            return;
        }
        let key = key.clone();
        if !is_unicast(next_hop) || is_link_local_v6(next_hop) {
            self.errors.push(IntentError::NextHopNotUnicast { key, next_hop });
            return;
        }
        let hosts_route = !self.intent.global().external_router;
        let routes = self.on_link(vsid);
        if hosts_route && gateway_in(routes, next_hop).is_some() {
            self.errors.push(IntentError::NextHopIsGateway { key, next_hop, vsid });
            return;
        }
        let on_link = prefixes(routes, next_hop);
        if !on_link.iter().any(|prefix| prefix.contains(&next_hop)) {
            self.errors.push(IntentError::NextHopNotOnLink { key, next_hop, vsid, on_link });
        }
    }

    fn provider_address(&mut self, key: &Key, provider: &ProviderAddress) {
        let (address, length) = (provider.address, provider.prefix_length);
        self.interface_name(key, &provider.interface);
        if self.provider_is_unicast(key, address) && IpNet::new(address, length).map_or(true, |_| length == 0) {
            self.errors.push(IntentError::PrefixLength { key: key.clone(), length, address });
        }
    }

    fn provider_route(&mut self, key: &Key, route: &ProviderRoute) {
        self.interface_name(key, &route.interface);
        // An IPv6 router is often known by its link-local address, which the interface makes unambiguous.
        if self.route(key, route.prefix, route.next_hop) && !is_unicast(route.next_hop) {
            self.errors.push(IntentError::ProviderNextHop { key: key.clone(), next_hop: route.next_hop });
        }
    }

    /// What holds of customer and provider routes alike; whether it does.
    fn route(&mut self, key: &Key, prefix: IpNet, next_hop: IpAddr) -> bool {
        if self.is_mapped(key, prefix.addr()) || self.is_mapped(key, next_hop) {
            return false;
        }
        let before = self.errors.len();
        if prefix != prefix.trunc() {
            self.errors.push(IntentError::HostBits { key: key.clone(), prefix });
        }
        if prefix.addr().is_ipv4() != next_hop.is_ipv4() {
            self.errors.push(IntentError::RouteFamilies { key: key.clone(), prefix, next_hop });
        }
        self.errors.len() == before
    }

    /// IPv4 addresses in IPv6 clothes would be mistaken for IPv4 ones in the tables.
    fn is_mapped(&mut self, key: &Key, address: IpAddr) -> bool {
        let mapped = address != address.to_canonical();
        if mapped {
            self.errors.push(IntentError::Mapped { key: key.clone(), address });
        }
        mapped
    }

    fn provider_is_unicast(&mut self, key: &Key, address: IpAddr) -> bool {
        if self.is_mapped(key, address) {
            return false;
        }
        let good = is_unicast(address) && !is_link_local_v6(address);
        if !good {
            self.errors.push(IntentError::ProviderNotUnicast { key: key.clone(), address });
        }
        good
    }

    fn interface_name(&mut self, key: &Key, name: &Name) {
        if !name.is_interface_name() {
            self.errors.push(IntentError::InterfaceNameTooLong { key: key.clone(), name: name.clone() });
        }
    }

    /// The customer routes of a subnet are all of one routing domain.
    fn routing_domains(&mut self, vsid: Vsid) {
        let intent = self.intent;
        let domains = intent.in_subnet(Kind::CustomerRoute, vsid).filter_map(|(_, resource)| match resource {
            Resource::CustomerRoute(route) => Some(route.rdid),
            _ => None,
        });
        let mut first = None;
        for second in domains {
            let first = *first.get_or_insert(second);
            let error = IntentError::VsidInTwoDomains { vsid, first, second };
            if first != second && !self.errors.contains(&error) {
                self.errors.push(error);
            }
        }
    }

    /// Of the on-link routes of a routing domain to one prefix with one metric all are of one subnet.
    fn customer_routes(&self, rdid: RoutingDomainId, prefix: IpNet) -> Vec<Found> {
        let (mut seen, mut found) = (BTreeMap::<u32, &CustomerRoute>::new(), Vec::new());
        for route in self.intent.routes_to(rdid, prefix).filter(|route| route.is_on_link()) {
            let metric = route.metric;
            let first = *seen.entry(metric).or_insert(route);
            if first.vsid != route.vsid {
                let (first, second) = (route_key(first), route_key(route));
                let place = SharedKey::from(second.clone());
                found.push((place, 0, IntentError::AmbiguousRoutes { first, second, rdid, prefix, metric }));
            }
        }
        found
    }

    fn provider_routes(&mut self) {
        let mut seen = BTreeMap::<_, usize>::new();
        for route in self.intent.provider_routes() {
            let (prefix, metric) = (route.prefix, route.metric);
            let count = seen.entry((prefix, metric)).or_default();
            *count += 1;
            if *count > MAX_PATHS {
                let key = Resource::ProviderRoute(route.clone()).key();
                self.errors.push(IntentError::TooManyPaths { key, prefix, metric, limit: MAX_PATHS });
            }
        }
    }

    /// A VM is on one host. With rule Nat each customer address has a provider address of its own, and with rule None
    /// the two families have theirs, so that only like is compared with like.
    fn stations(&self, station: &Station) -> Vec<Found> {
        let (mut seen, mut found) = (BTreeMap::<_, (&SharedKey, &LookupRecord)>::new(), Vec::new());
        for (key, resource) in self.intent.resolve(self.intent.index.stations.of(*station)) {
            let Resource::LookupRecord(record) = resource else { continue };
            let family = match record.rule {
                TranslationMethod::Encap => None,
                TranslationMethod::None => Some(record.provider_address.is_ipv4()),
                TranslationMethod::Nat => continue,
            };
            let (vsid, mac, other) = (record.vsid, record.mac, record.provider_address);
            let (first, before) = *seen.entry((record.rule, family)).or_insert((key, record));
            let one = before.provider_address;
            if one != other {
                let (first, second) = (Key::clone(first), Key::clone(key));
                let error = IntentError::StationOnTwoHosts { first, second, vsid, mac, one, other };
                found.push((key.clone(), 0, error));
            }
        }
        found
    }

    /// A packet that is not encapsulated must say by its address alone for whom it is.
    fn wire_addresses(&self, wire: IpAddr) -> Vec<Found> {
        let (index, mut previous, mut found) = (&self.intent.index, None::<&SharedKey>, Vec::new());
        for (key, resource) in self.intent.resolve(index.wires.of(wire)) {
            let Resource::LookupRecord(record) = resource else { continue };
            let own = || {
                let mut all = self.intent.of_kind(Kind::ProviderAddress);
                all.find(|(_, own)| matches!(own, Resource::ProviderAddress(own) if own.address == wire))
            };
            let host = index.hosts.of(wire).next().or_else(|| match record.rule {
                TranslationMethod::None => own().map(|(key, _)| key),
                // The address of a rule Nat must be on the VM's host for the underlay to find it, so it may be there.
                TranslationMethod::Nat | TranslationMethod::Encap => None,
            });
            if let Some(host) = host {
                let (host, of) = (Key::clone(host), Key::clone(key));
                found.push((key.clone(), 0, IntentError::WireAddressIsHost { key: of, wire, host }));
            }
            if let Some(first) = previous.replace(key) {
                let (first, second) = (Key::clone(first), Key::clone(key));
                found.push((key.clone(), 1, IntentError::WireAddressTwice { first, second, wire }));
            }
        }
        found
    }

    /// A device belongs to one port, and to no uplink.
    fn devices(&self, device: &Name) -> Vec<Found> {
        let (mut previous, mut found) = (None::<&SharedKey>, Vec::new());
        let mut uplinks = self.intent.of_kind(Kind::ProviderAddress);
        let uplink = uplinks.find(|(_, own)| matches!(own, Resource::ProviderAddress(own) if own.interface == *device));
        for key in self.intent.index.devices.of(device.clone()) {
            let (of, device) = (|| Key::clone(key), || device.clone());
            if device().as_str() == "lo" {
                found.push((key.clone(), 0, IntentError::DeviceIsLoopback { key: of(), device: device() }));
            }
            if let Some(first) = previous.replace(key) {
                let error = IntentError::DeviceTwice { first: Key::clone(first), second: of(), device: device() };
                found.push((key.clone(), 1, error));
            }
            if let Some((provider, _)) = uplink {
                let error = IntentError::DeviceIsUplink { key: of(), device: device(), provider: Key::clone(provider) };
                found.push((key.clone(), 2, error));
            }
        }
        found
    }

    /// A MAC address is one port's of a subnet. Ports that are not virtualized share no network that we make.
    fn ports(&self, station: &Station) -> Vec<Found> {
        let (mut previous, mut found) = (None::<&SharedKey>, Vec::new());
        for (key, resource) in self.intent.resolve(self.intent.index.ports.of(*station)) {
            let Resource::Port(Port { mac, vsid: Some(vsid), .. }) = resource else { continue };
            if let Some(first) = previous.replace(key) {
                let (first, second) = (Key::clone(first), Key::clone(key));
                found.push((key.clone(), 3, IntentError::MacTwice { first, second, mac: *mac, vsid: *vsid }));
            }
        }
        found
    }
}

fn route_key(route: &CustomerRoute) -> Key {
    Resource::CustomerRoute(route.clone()).key()
}

/// The prefix whose gateway's address this is.
fn gateway_in(routes: &[&CustomerRoute], address: IpAddr) -> Option<IpNet> {
    routes.iter().find(|route| route.gateway() == Some(address)).map(|route| route.prefix)
}

/// The prefixes of these routes that are of the address's family.
fn prefixes(routes: &[&CustomerRoute], address: IpAddr) -> Vec<IpNet> {
    let same_family = |prefix: &IpNet| prefix.addr().is_ipv4() == address.is_ipv4();
    routes.iter().map(|route| route.prefix).filter(same_family).collect()
}

/// Whether one interface somewhere can have the address and be reached by it.
pub(super) fn is_unicast(address: IpAddr) -> bool {
    let never = match address {
        // 0.0.0.0/8 means "this host on this network" and is never a destination (RFC 1122, 3.2.1.3).
        IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unspecified(),
    };
    !(never || address.is_multicast() || address.is_loopback())
}

pub(super) fn is_link_local_v6(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// Whether the address is the first or the last one of an IPv4 prefix that sets these apart (RFC 3021 for /31), or the
/// subnet-router anycast address of an IPv6 prefix (RFC 4291, 2.6.1; RFC 6164 for /127).
pub(super) fn is_subnet_address(prefix: &IpNet, address: IpAddr) -> bool {
    match prefix {
        IpNet::V4(v4) => v4.prefix_len() < 31 && (address == v4.network() || address == v4.broadcast()),
        IpNet::V6(v6) => v6.prefix_len() < 127 && address == v6.network(),
    }
}
