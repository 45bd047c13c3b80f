//! The checks that an intent must pass. Each reports all places where it fails, so that an operator corrects a file in
//! one go.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Intent, IntentError};
use crate::{
    CustomerRoute, Key, LookupRecord, LookupRecordType, Name, Port, ProviderAddress, ProviderRoute, Resource,
    TranslationMethod, Vsid,
};

/// What has been found so far, and what several checks ask for.
struct Checks<'a> {
    errors: Vec<IntentError>,
    /// The on-link customer routes of each subnet.
    on_link: BTreeMap<Vsid, Vec<&'a CustomerRoute>>,
}

/// All contradictions of an intent.
pub(super) fn contradictions(intent: &Intent) -> Vec<IntentError> {
    let mut on_link = BTreeMap::<Vsid, Vec<&CustomerRoute>>::new();
    for route in intent.customer_routes().filter(|route| route.is_on_link()) {
        on_link.entry(route.vsid).or_default().push(route);
    }
    let mut checks = Checks { errors: Vec::new(), on_link };
    for (key, resource) in &intent.resources {
        match resource {
            Resource::LookupRecord(record) => checks.lookup_record(key, record),
            Resource::CustomerRoute(route) => checks.customer_route(key, route),
            Resource::ProviderAddress(address) => checks.provider_address(key, address),
            Resource::ProviderRoute(route) => checks.provider_route(key, route),
            Resource::DhcpScope(_) => {}
            Resource::Port(port) => checks.interface_name(key, &port.device),
        }
    }
    checks.routing_domains(intent);
    checks.customer_routes(intent);
    checks.provider_routes(intent);
    checks.stations(intent);
    checks.wire_addresses(intent);
    checks.ports(intent);
    checks.errors
}

impl Checks<'_> {
    fn lookup_record(&mut self, key: &Key, record: &LookupRecord) {
        if record.vm_name.as_ref().is_some_and(|name| name.chars().any(char::is_control)) {
            self.errors.push(IntentError::ControlCharacter { key: key.clone(), field: "vmName" });
        }
        let (rule, record_type, provider) = (record.rule, record.record_type, record.provider_address);
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
        let key = key.clone();
        match (record_type == LookupRecordType::GatewayWildcard, address.is_unspecified()) {
            (true, true) => {}
            (true, false) => self.errors.push(IntentError::WildcardAddress { key, address }),
            (false, true) => self.errors.push(IntentError::UnspecifiedAddress { key, address }),
            (false, false) => self.customer_address(key, record.vsid, address),
        }
    }

    /// The customer address of a record that stands for one VM.
    fn customer_address(&mut self, key: Key, vsid: Vsid, address: IpAddr) {
        if !is_unicast(address) {
            self.errors.push(IntentError::CustomerNotUnicast { key, address });
            return;
        }
        if is_link_local_v6(address) {
            self.errors.push(IntentError::CustomerLinkLocal { key, address });
            return;
        }
        let routes = self.on_link.get(&vsid).map_or(&[][..], Vec::as_slice);
        if let Some(route) = routes.iter().find(|route| route.gateway() == Some(address)) {
            self.errors.push(IntentError::CustomerIsGateway { key, address, vsid, prefix: route.prefix });
            return;
        }
        if let Some(route) = routes.iter().find(|route| is_subnet_address(&route.prefix, address)) {
            self.errors.push(IntentError::CustomerIsSubnetAddress { key, address, vsid, prefix: route.prefix });
            return;
        }
        let on_link = prefixes(routes, address);
        if !on_link.is_empty() && !on_link.iter().any(|prefix| prefix.contains(&address)) {
            self.errors.push(IntentError::CustomerNotOnLink { key, address, vsid, on_link });
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
        let routes = self.on_link.get(&vsid).map_or(&[][..], Vec::as_slice);
        if routes.iter().any(|route| route.gateway() == Some(next_hop)) {
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

    fn routing_domains(&mut self, intent: &Intent) {
        let mut seen = BTreeMap::new();
        for route in intent.customer_routes() {
            let first = *seen.entry(route.vsid).or_insert(route.rdid);
            if first != route.rdid {
                let error = IntentError::VsidInTwoDomains { vsid: route.vsid, first, second: route.rdid };
                if !self.errors.contains(&error) {
                    self.errors.push(error);
                }
            }
        }
    }

    fn customer_routes(&mut self, intent: &Intent) {
        let mut seen = BTreeMap::<_, &CustomerRoute>::new();
        for route in intent.customer_routes().filter(|route| route.is_on_link()) {
            let (rdid, prefix, metric) = (route.rdid, route.prefix, route.metric);
            let first = *seen.entry((rdid, prefix, metric)).or_insert(route);
            if first.vsid != route.vsid {
                let first = Resource::CustomerRoute(first.clone()).key();
                let second = Resource::CustomerRoute(route.clone()).key();
                self.errors.push(IntentError::AmbiguousRoutes { first, second, rdid, prefix, metric });
            }
        }
    }

    fn provider_routes(&mut self, intent: &Intent) {
        let mut seen = BTreeMap::<_, &ProviderRoute>::new();
        for route in intent.provider_routes() {
            let (prefix, metric) = (route.prefix, route.metric);
            let first = *seen.entry((prefix, metric)).or_insert(route);
            if first.next_hop != route.next_hop {
                let first = Resource::ProviderRoute(first.clone()).key();
                let second = Resource::ProviderRoute(route.clone()).key();
                self.errors.push(IntentError::AmbiguousProviderRoutes { first, second, prefix, metric });
            }
        }
    }

    /// A VM is on one host. With rule Nat each customer address has a provider address of its own, and with rule None
    /// the two families have theirs, so that only like is compared with like.
    fn stations(&mut self, intent: &Intent) {
        let mut seen = BTreeMap::<_, &LookupRecord>::new();
        for record in intent.lookup_records() {
            let family = match record.rule {
                TranslationMethod::Encap => None,
                TranslationMethod::None => Some(record.provider_address.is_ipv4()),
                TranslationMethod::Nat => continue,
            };
            let (vsid, mac, other) = (record.vsid, record.mac, record.provider_address);
            let first = *seen.entry((vsid, mac, record.rule, family)).or_insert(record);
            if first.provider_address != other {
                let one = first.provider_address;
                let (first, second) = (record_key(first), record_key(record));
                self.errors.push(IntentError::StationOnTwoHosts { first, second, vsid, mac, one, other });
            }
        }
    }

    /// A packet that is not encapsulated must say by its address alone for whom it is.
    fn wire_addresses(&mut self, intent: &Intent) {
        let mut hosts = BTreeMap::<IpAddr, Key>::new();
        for record in intent.lookup_records().filter(|record| record.rule != TranslationMethod::Nat) {
            hosts.entry(record.provider_address).or_insert_with(|| record_key(record));
        }
        let own = intent.provider_addresses().map(|own| (own.address, Resource::ProviderAddress(own.clone()).key()));
        let own: BTreeMap<IpAddr, Key> = own.collect();
        let mut seen = BTreeMap::<IpAddr, &LookupRecord>::new();
        for record in intent.lookup_records() {
            let (wire, own) = match (record.rule, record.customer_address) {
                // The address of a rule Nat must be on the VM's host for the underlay to find it, so it may be there.
                (TranslationMethod::Nat, Some(_)) => (record.provider_address, None),
                (TranslationMethod::None, Some(address)) => (address, own.get(&address)),
                (TranslationMethod::Encap, _) | (_, None) => continue,
            };
            if let Some(host) = hosts.get(&wire).or(own) {
                let (key, host) = (record_key(record), host.clone());
                self.errors.push(IntentError::WireAddressIsHost { key, wire, host });
            }
            if let Some(first) = seen.insert(wire, record) {
                let (first, second) = (record_key(first), record_key(record));
                self.errors.push(IntentError::WireAddressTwice { first, second, wire });
            }
        }
    }

    fn ports(&mut self, intent: &Intent) {
        let (mut devices, mut stations) = (BTreeMap::<_, &Port>::new(), BTreeMap::<_, &Port>::new());
        let mut uplinks = BTreeMap::new();
        for provider in intent.provider_addresses() {
            uplinks.entry(&provider.interface).or_insert(provider);
        }
        for port in intent.ports() {
            if port.device.as_str() == "lo" {
                self.errors.push(IntentError::DeviceIsLoopback { key: port_key(port), device: port.device.clone() });
            }
            if let Some(first) = devices.insert(&port.device, port) {
                let (first, second) = (port_key(first), port_key(port));
                self.errors.push(IntentError::DeviceTwice { first, second, device: port.device.clone() });
            }
            if let Some(provider) = uplinks.get(&port.device) {
                let provider = Resource::ProviderAddress((*provider).clone()).key();
                let (key, device) = (port_key(port), port.device.clone());
                self.errors.push(IntentError::DeviceIsUplink { key, device, provider });
            }
            // Ports that are not virtualized share no network that we make.
            let Some(vsid) = port.vsid else { continue };
            if let Some(first) = stations.insert((vsid, port.mac), port) {
                let (first, second) = (port_key(first), port_key(port));
                self.errors.push(IntentError::MacTwice { first, second, mac: port.mac, vsid });
            }
        }
    }
}

fn record_key(record: &LookupRecord) -> Key {
    Resource::LookupRecord(record.clone()).key()
}

fn port_key(port: &Port) -> Key {
    Resource::Port(port.clone()).key()
}

/// The prefixes of these routes that are of the address's family.
fn prefixes(routes: &[&CustomerRoute], address: IpAddr) -> Vec<IpNet> {
    let same_family = |prefix: &IpNet| prefix.addr().is_ipv4() == address.is_ipv4();
    routes.iter().map(|route| route.prefix).filter(same_family).collect()
}

/// Whether one interface somewhere can have the address and be reached by it.
fn is_unicast(address: IpAddr) -> bool {
    let never = match address {
        // 0.0.0.0/8 means "this host on this network" and is never a destination (RFC 1122, 3.2.1.3).
        IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unspecified(),
    };
    !(never || address.is_multicast() || address.is_loopback())
}

fn is_link_local_v6(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// Whether the address is the first or the last one of an IPv4 prefix that sets these apart (RFC 3021 for /31), or the
/// subnet-router anycast address of an IPv6 prefix (RFC 4291, 2.6.1; RFC 6164 for /127).
fn is_subnet_address(prefix: &IpNet, address: IpAddr) -> bool {
    match prefix {
        IpNet::V4(v4) => v4.prefix_len() < 31 && (address == v4.network() || address == v4.broadcast()),
        IpNet::V6(v6) => v6.prefix_len() < 127 && address == v6.network(),
    }
}
