//! Generators for property tests: any resource, and any consistent intent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use crate::gateway::{Compartment, Gateway};
use crate::security::{Action, Direction, IngressDefault, PortRange, Protocol, Remote};
use crate::{
    AddressSet, Bandwidth, ByteSize, ClasslessRoute, CustomerRoute, DhcpScope, Encapsulation, Global, Intent,
    LeaseTime, Limit, Limits, LookupRecord, LookupRecordType, MacAddress, Migration, Name, PhysicalNetwork, Port,
    ProviderAddress, ProviderRoute, QualifiedName, Resource, RoutingDomain, RoutingDomainId, SecurityGroup,
    SecurityRule, TranslationMethod, VlanId, Vsid,
};

mod gateways;

/// Any prefix without bits behind its length.
pub fn any_prefix() -> impl Strategy<Value = IpNet> {
    (any::<IpAddr>(), 0..=128u8).prop_map(|(address, length)| {
        let length = if address.is_ipv4() { length % 33 } else { length };
        IpNet::new(address, length).map_or(IpNet::from(address), |prefix| prefix.trunc())
    })
}

fn any_rule() -> impl Strategy<Value = TranslationMethod> {
    prop_oneof![
        8 => Just(TranslationMethod::Encap),
        1 => Just(TranslationMethod::Nat),
        1 => Just(TranslationMethod::None),
    ]
}

fn any_record_type() -> impl Strategy<Value = LookupRecordType> {
    prop_oneof![
        6 => Just(LookupRecordType::Static),
        2 => Just(LookupRecordType::Dynamic),
        1 => Just(LookupRecordType::L2Only),
        1 => Just(LookupRecordType::GatewayWildcard),
    ]
}

impl LookupRecord {
    /// Any lookup record, whether or not it makes sense.
    pub fn any() -> impl Strategy<Value = Self> {
        let addresses = (option::of(any::<IpAddr>()), any::<IpAddr>());
        let vm_name = option::of("[ -~]{0,20}");
        let notes = (vm_name, option::of(RoutingDomainId::any()), option::of("[ -~]{0,20}"));
        let groups = vec(QualifiedName::any(), 0..3);
        (Vsid::any(), addresses, MacAddress::any(), any_rule(), any_record_type(), notes, groups).prop_map(
            |(vsid, (customer_address, provider_address), mac, rule, record_type, notes, security_groups)| Self {
                vsid,
                customer_address,
                mac,
                provider_address,
                rule,
                record_type,
                vm_name: notes.0,
                customer_id: notes.1,
                context: notes.2,
                security_groups,
            },
        )
    }
}

impl CustomerRoute {
    /// Any customer route, whether or not it makes sense.
    pub fn any() -> impl Strategy<Value = Self> {
        (RoutingDomainId::any(), Vsid::any(), any_prefix(), any::<IpAddr>(), any::<u32>())
            .prop_map(|(rdid, vsid, prefix, next_hop, metric)| Self { rdid, vsid, prefix, next_hop, metric })
    }
}

impl ProviderAddress {
    /// Any provider address, whether or not it makes sense.
    pub fn any() -> impl Strategy<Value = Self> {
        (any::<IpAddr>(), Name::any(), any::<u8>()).prop_map(|(address, interface, prefix_length)| Self {
            address,
            interface,
            prefix_length,
        })
    }
}

impl ProviderRoute {
    /// Any provider route, whether or not it makes sense.
    pub fn any() -> impl Strategy<Value = Self> {
        (any_prefix(), any::<IpAddr>(), Name::any(), any::<u32>())
            .prop_map(|(prefix, next_hop, interface, metric)| Self { prefix, next_hop, interface, metric })
    }
}

impl Port {
    /// Any port, whether or not it makes sense.
    pub fn any() -> impl Strategy<Value = Self> {
        let physical = option::of((Name::any(), option::of(1_u16..=4094))).prop_map(any_physical);
        let addresses = vec(any::<IpAddr>(), 0..3);
        let groups = vec(QualifiedName::any(), 0..3);
        let rest = (groups, Limits::any(), option::of(any::<u128>().prop_map(Uuid::from_u128)));
        (Name::any(), Name::any(), MacAddress::any(), option::of(Vsid::any()), physical, addresses, rest).prop_map(
            |(name, device, mac, vsid, physical, addresses, (security_groups, limits, uid))| Self {
                name,
                device,
                mac,
                vsid,
                physical,
                addresses,
                security_groups,
                limits,
                uid,
            },
        )
    }
}

/// A physical network of its parts.
fn any_physical(parts: Option<(Name, Option<u16>)>) -> Option<PhysicalNetwork> {
    parts.map(|(interface, vlan)| PhysicalNetwork { interface, vlan: vlan.and_then(|vlan| VlanId::new(vlan).ok()) })
}

impl DhcpScope {
    /// Any DHCP scope, whether or not it makes sense.
    pub fn any() -> impl Strategy<Value = Self> {
        let route = (any_prefix(), any::<IpAddr>()).prop_map(|(prefix, next_hop)| ClasslessRoute { prefix, next_hop });
        (
            option::of(Vsid::any()),
            option::of((Name::any(), option::of(1_u16..=4094))).prop_map(any_physical),
            any_prefix(),
            option::of(any::<IpAddr>()),
            proptest::collection::vec(any::<IpAddr>(), 0..3),
            proptest::collection::vec("[a-z]{1,8}\\.example", 0..3),
            proptest::collection::vec(route, 0..3),
            60_u32..10_000_000,
        )
            .prop_map(|(vsid, physical, prefix, gateway, dns_servers, dns_suffixes, routes, seconds)| Self {
                vsid,
                physical,
                prefix,
                gateway,
                dns_servers,
                dns_suffixes,
                routes,
                lease_time: LeaseTime::new(seconds).unwrap_or_default(),
            })
    }
}

fn any_remote() -> impl Strategy<Value = Remote> {
    prop_oneof![
        vec(any_prefix(), 1..4).prop_map(Remote::Prefixes),
        QualifiedName::any().prop_map(Remote::AddressSet),
        QualifiedName::any().prop_map(Remote::SecurityGroup),
    ]
}

impl SecurityRule {
    /// Any rule, whether or not it makes sense.
    pub fn any() -> impl Strategy<Value = Self> {
        let direction = prop_oneof![Just(Direction::Ingress), Just(Direction::Egress)];
        let action = prop_oneof![Just(Action::Allow), Just(Action::Deny)];
        let icmp = (option::of(any::<u8>()), option::of(any::<u8>()));
        let service = (Protocol::any(), vec(PortRange::any(), 0..3), icmp);
        let rest = (option::of(any_remote()), any::<bool>(), option::of("[ -~]{0,20}"));
        (direction, action, any::<u16>(), service, rest).prop_map(
            |(direction, action, priority, (protocol, ports, icmp), (remote, log, description))| Self {
                direction,
                action,
                priority,
                protocol,
                // Ports and types where they make sense, for the most part.
                ports: if protocol.has_ports() { ports } else { Vec::new() },
                icmp_type: icmp.0.filter(|_| protocol.is_icmp()),
                icmp_code: icmp.1.filter(|_| protocol.is_icmp()),
                remote,
                log,
                description,
            },
        )
    }
}

impl SecurityGroup {
    /// Any group, whether or not it makes sense.
    pub fn any() -> impl Strategy<Value = Self> {
        let egress = prop_oneof![Just(Action::Allow), Just(Action::Deny)];
        let ingress =
            prop_oneof![Just(IngressDefault::SameGroup), Just(IngressDefault::Allow), Just(IngressDefault::Deny)];
        (QualifiedName::any(), vec(SecurityRule::any(), 0..4), egress, ingress).prop_map(
            |(name, rules, egress_default, ingress_default)| Self { name, rules, egress_default, ingress_default },
        )
    }
}

impl AddressSet {
    /// Any address set, whether or not it makes sense.
    pub fn any() -> impl Strategy<Value = Self> {
        (QualifiedName::any(), vec(any_prefix(), 0..4)).prop_map(|(name, prefixes)| Self { name, prefixes })
    }
}

impl Limits {
    /// Limits that refuse nothing, so that what is decided does not depend on the time.
    fn generous() -> Self {
        let (most, burst) = (4_000_000_000, 1_000_000_000);
        let packets = Some(std::num::NonZeroU32::MAX);
        let limit = Limit { bandwidth: Bandwidth::new(most).ok(), packets, burst: ByteSize::new(burst).ok() };
        Self { egress: Some(limit), ingress: Some(limit) }
    }

    /// Any limits.
    pub fn any() -> impl Strategy<Value = Self> {
        (option::of(Limit::any()), option::of(Limit::any())).prop_map(|(egress, ingress)| Self { egress, ingress })
    }
}

impl Limit {
    /// Any limit.
    pub fn any() -> impl Strategy<Value = Self> {
        let bandwidth = option::of((1..=4_000_000_000_u32).prop_filter_map("in range", |it| Bandwidth::new(it).ok()));
        let burst = option::of((1..=1_000_000_000_u32).prop_filter_map("in range", |it| ByteSize::new(it).ok()));
        let packets = option::of((1..=u32::MAX).prop_filter_map("not zero", std::num::NonZeroU32::new));
        (bandwidth, packets, burst).prop_filter_map("limits something", |(bandwidth, packets, burst)| {
            Self::new(bandwidth, packets, burst).ok()
        })
    }
}

impl RoutingDomain {
    /// Any routing domain.
    pub fn any() -> impl Strategy<Value = Self> {
        (RoutingDomainId::any(), any_encapsulation(), Limits::any()).prop_map(|(rdid, encapsulation, limits)| Self {
            rdid,
            encapsulation,
            limits,
        })
    }
}

fn any_encapsulation() -> impl Strategy<Value = Encapsulation> {
    prop::sample::select(&Encapsulation::ALL[..])
}

impl Resource {
    /// Any resource, whether or not it makes sense.
    pub fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            LookupRecord::any().prop_map(Self::LookupRecord),
            CustomerRoute::any().prop_map(Self::CustomerRoute),
            ProviderAddress::any().prop_map(Self::ProviderAddress),
            ProviderRoute::any().prop_map(Self::ProviderRoute),
            DhcpScope::any().prop_map(Self::DhcpScope),
            Port::any().prop_map(Self::Port),
            SecurityGroup::any().prop_map(Self::SecurityGroup),
            AddressSet::any().prop_map(Self::AddressSet),
            RoutingDomain::any().prop_map(Self::RoutingDomain),
            Migration::any().prop_map(Self::Migration),
            any::<bool>().prop_map(|external_router| Self::Global(Global { external_router })),
            Gateway::any().prop_map(|gateway| Self::Gateway(Box::new(gateway))),
            Compartment::any().prop_map(|compartment| Self::Compartment(Box::new(compartment))),
        ]
    }
}

impl Migration {
    /// Any migration, whether or not it makes sense.
    pub fn any() -> impl Strategy<Value = Self> {
        let place = || option::of(any::<IpAddr>());
        (Vsid::any(), MacAddress::any(), place(), place()).prop_map(|(vsid, mac, to, from)| Self {
            vsid,
            mac,
            to,
            from,
        })
    }
}

/// The name of the uplink in the intents of [`Intent::any`].
pub const UPLINK: &str = "uplink0";

/// One VM of a generated intent.
#[derive(Clone, Debug)]
struct Vm {
    /// The host it is on; 0 is the one whose intent this is.
    host: u8,
    rule: TranslationMethod,
    record_type: LookupRecordType,
    /// Which families of customer address it has; neither only with L2Only.
    v4: bool,
    v6: bool,
    /// Whether its host has an IPv6 provider address for it.
    underlay_v6: bool,
    /// Whether the port is declared, if it is on host 0.
    port: bool,
    /// Whether a customer route leads to it.
    routes: bool,
    metric: u8,
    /// The other host of one that moves, and whether it has come from there.
    moves: Option<(u8, bool)>,
}

fn any_vm() -> impl Strategy<Value = Vm> {
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.2));
    let moves = option::weighted(0.25, (0..4u8, any::<bool>()));
    (0..4u8, any_rule(), any_record_type(), switches, any::<u8>(), moves).prop_map(
        |(host, rule, record_type, (v4, v6, underlay_v6, port, routes), metric, moves)| Vm {
            host,
            rule,
            record_type,
            v4,
            v6,
            underlay_v6,
            port,
            routes,
            metric,
            moves,
        },
    )
}

/// The provider address of a host. Host 3 is behind the underlay's router.
fn host_address(host: u8, v6: bool) -> IpAddr {
    let segment = if host == 3 { 9 } else { 4 };
    match v6 {
        true => Ipv6Addr::new(0xfd01, 0, 0, segment, 0, 0, 0, 0x10 + u16::from(host)).into(),
        false => Ipv4Addr::new(192, 168, segment.to_be_bytes()[1], 10 + host).into(),
    }
}

/// A VM's place in the generated intent: tenant, subnet in it, and number in that.
#[derive(Clone, Copy)]
struct Place {
    tenant: u8,
    subnet: u8,
    number: u8,
}

impl Place {
    fn rdid(self) -> RoutingDomainId {
        format!("11111111-2222-3333-4444-{:012}", 5001 + u32::from(self.tenant) * 1000)
            .parse()
            .expect("a UUID by construction")
    }

    fn vsid(self) -> Vsid {
        Vsid::new(5001 + u32::from(self.tenant) * 1000 + u32::from(self.subnet)).expect("in range by construction")
    }

    fn mac(self) -> MacAddress {
        MacAddress::new([6, 6, 0, self.tenant, self.subnet, self.number]).expect("unicast by construction")
    }

    /// Prefix of the subnet: the same for all tenants, but with rule None, whose addresses are seen on the wire.
    fn prefix(self, v6: bool, bare: bool) -> IpNet {
        let (tenant, subnet) = (self.tenant, self.subnet);
        let (address, length): (IpAddr, u8) = match (v6, bare) {
            (false, false) => (Ipv4Addr::new(10, 0, subnet, 0).into(), 24),
            (false, true) => (Ipv4Addr::new(172, 16 + tenant, subnet, 0).into(), 24),
            (true, false) => (Ipv6Addr::new(0xfd00, 0, 0, subnet.into(), 0, 0, 0, 0).into(), 64),
            (true, true) => (Ipv6Addr::new(0xfd02, 0, tenant.into(), subnet.into(), 0, 0, 0, 0).into(), 64),
        };
        IpNet::new(address, length).expect("in range by construction")
    }

    fn customer_address(self, v6: bool, bare: bool) -> IpAddr {
        self.in_prefix(self.prefix(v6, bare))
    }

    /// The address that stands for the VM on the wire with rule Nat.
    fn wire_address(self, v6: bool) -> IpAddr {
        let (tenant, subnet) = (self.tenant, self.subnet);
        let address: IpAddr = match v6 {
            true => Ipv6Addr::new(0xfd03, 0, tenant.into(), subnet.into(), 0, 0, 0, 0).into(),
            false => Ipv4Addr::new(198, 18 + tenant, subnet, 0).into(),
        };
        self.in_prefix(IpNet::from(address))
    }

    fn in_prefix(self, prefix: IpNet) -> IpAddr {
        let host = 4 + u32::from(self.number);
        match prefix.addr() {
            IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() + host).into(),
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() + u128::from(host)).into(),
        }
    }

    fn records(self, vm: &Vm) -> Vec<LookupRecord> {
        let record = |customer_address, provider_address, rule| LookupRecord {
            vsid: self.vsid(),
            customer_address,
            mac: self.mac(),
            provider_address,
            rule,
            record_type: vm.record_type,
            vm_name: Some(format!("vm{}", self.number)),
            customer_id: None,
            context: None,
            security_groups: Vec::new(),
        };
        let host = host_address(vm.host, vm.underlay_v6);
        let families = [(false, vm.v4), (true, vm.v6)].into_iter().filter(|(_, has)| *has).map(|(v6, _)| v6);
        match vm.record_type {
            LookupRecordType::L2Only => vec![record(None, host, TranslationMethod::Encap)],
            LookupRecordType::GatewayWildcard => {
                let any = if vm.v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
                vec![record(Some(any), host, TranslationMethod::Encap)]
            }
            LookupRecordType::Static | LookupRecordType::Dynamic => families
                .map(|v6| match vm.rule {
                    TranslationMethod::Encap => record(Some(self.customer_address(v6, false)), host, vm.rule),
                    TranslationMethod::Nat => {
                        record(Some(self.customer_address(v6, false)), self.wire_address(v6), vm.rule)
                    }
                    TranslationMethod::None => {
                        record(Some(self.customer_address(v6, true)), host_address(vm.host, v6), vm.rule)
                    }
                })
                .collect(),
        }
    }

    fn on_link_routes(self) -> impl Iterator<Item = CustomerRoute> {
        [(false, false), (false, true), (true, false), (true, true)].into_iter().map(move |(v6, bare)| CustomerRoute {
            rdid: self.rdid(),
            vsid: self.vsid(),
            prefix: self.prefix(v6, bare),
            next_hop: if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() },
            metric: 0,
        })
    }

    /// What HNV's scripts note of the gateway: its address, a MAC address, and no host.
    fn gateway_note(self) -> LookupRecord {
        LookupRecord {
            vsid: self.vsid(),
            customer_address: crate::resource::gateway_of(self.prefix(false, false)),
            mac: MacAddress::new([6, 7, 0, self.tenant, self.subnet, 1]).expect("unicast by construction"),
            provider_address: Ipv4Addr::new(169, 254, 254, 254).into(),
            rule: TranslationMethod::Encap,
            record_type: LookupRecordType::Static,
            vm_name: None,
            customer_id: Some(self.rdid()),
            context: Some("gateway".to_owned()),
            security_groups: Vec::new(),
        }
    }

    /// A VM on another host that has the address of the gateway, and routes in its place.
    fn external_router(self) -> LookupRecord {
        LookupRecord {
            provider_address: host_address(1, false),
            context: Some("router".to_owned()),
            ..self.gateway_note()
        }
    }

    /// The other place of a VM that moves. Only what is encapsulated does.
    fn migration(self, vm: &Vm) -> Option<Migration> {
        let (other, from) = vm.moves.filter(|(other, _)| *other != vm.host && vm.rule == TranslationMethod::Encap)?;
        let place = host_address(other, vm.underlay_v6);
        let (to, from) = if from { (None, Some(place)) } else { (Some(place), None) };
        Some(Migration { vsid: self.vsid(), mac: self.mac(), to, from })
    }

    /// A route through the VM to what is outside of the tenant's subnets.
    fn route_through(self, vm: &Vm) -> CustomerRoute {
        let everything: IpAddr = if vm.v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        CustomerRoute {
            rdid: self.rdid(),
            vsid: self.vsid(),
            prefix: IpNet::new(everything, 0).expect("a default route by construction"),
            next_hop: self.customer_address(vm.v6, vm.rule == TranslationMethod::None),
            metric: vm.metric.into(),
        }
    }

    fn port(self, vm: &Vm) -> Option<Port> {
        let name = format!("t{}s{}v{}", self.tenant, self.subnet, self.number);
        let device = format!("tap-{name}").parse().expect("a name by construction");
        let name = name.parse().expect("a name by construction");
        let here =
            vm.host == 0 || self.migration(vm).is_some_and(|it| it.other() == Some(host_address(0, vm.underlay_v6)));
        (here && vm.port).then(|| {
            let limits = if vm.metric.is_multiple_of(3) { Limits::generous() } else { Limits::default() };
            Port { limits, ..Port::new(name, device, self.mac(), Some(self.vsid())) }
        })
    }
}

/// What every generated intent has: this host's provider addresses and the way to the host behind the router.
fn underlay() -> Vec<Resource> {
    let uplink: Name = UPLINK.parse().expect("a name by construction");
    let address = |v6, prefix_length| {
        let address = host_address(0, v6);
        Resource::ProviderAddress(ProviderAddress { address, interface: uplink.clone(), prefix_length })
    };
    let route = |prefix: &str, next_hop: &str| {
        Resource::ProviderRoute(ProviderRoute {
            prefix: prefix.parse().expect("a prefix by construction"),
            next_hop: next_hop.parse().expect("an address by construction"),
            interface: uplink.clone(),
            metric: 0,
        })
    };
    vec![
        address(false, 24),
        address(true, 64),
        route("192.168.0.0/16", "192.168.4.1"),
        route("fd01::/32", "fd01:0:0:4::1"),
    ]
}

impl Intent {
    /// Any consistent intent: up to three tenants with the same addresses, both families inside and outside, all types
    /// of record, all rules, ports, now and then with routers outside of the hosts; the host itself is 192.168.4.10 and fd01:0:0:4::10 on [`UPLINK`].
    pub fn any() -> impl Strategy<Value = Self> {
        let tenants = vec((vec(vec(any_vm(), 0..6), 1..4), option::of((any_encapsulation(), any::<bool>()))), 0..4);
        (tenants, 0..3u8, prop::bool::weighted(0.15)).prop_map(|(tenants, unvirtualized, external_router)| {
            let mut resources = underlay();
            resources.extend(external_router.then_some(Resource::Global(Global { external_router })));
            for (tenant, (subnets, domain)) in (0..).zip(&tenants) {
                let rdid = Place { tenant, subnet: 0, number: 0 }.rdid();
                resources.extend(domain.map(|(encapsulation, limited)| {
                    let limits = if limited { Limits::generous() } else { Limits::default() };
                    Resource::RoutingDomain(RoutingDomain { rdid, encapsulation, limits })
                }));
                for (subnet, vms) in (0..).zip(subnets) {
                    let place = Place { tenant, subnet, number: 0 };
                    resources.extend(place.on_link_routes().map(Resource::CustomerRoute));
                    if vms.len().is_multiple_of(2) {
                        let gateway = if external_router { place.external_router() } else { place.gateway_note() };
                        resources.push(Resource::LookupRecord(gateway));
                    }
                    resources.extend(subnet_resources(place, vms));
                }
            }
            resources.extend((0..unvirtualized).map(|number| {
                let place = Place { tenant: 9, subnet: 9, number };
                let name: Name = format!("plain{number}").parse().expect("a name by construction");
                Resource::Port(Port::new(name.clone(), name, place.mac(), None))
            }));
            Self::new(resources).unwrap_or_else(|errors| panic!("a generated intent contradicts itself: {errors:?}"))
        })
    }
}

fn subnet_resources(place: Place, vms: &[Vm]) -> Vec<Resource> {
    let mut resources = Vec::new();
    let mut wildcards = [false; 2];
    for (number, vm) in (0..).zip(vms) {
        let place = Place { number, ..place };
        // There is one wildcard for each family.
        let duplicate = vm.record_type == LookupRecordType::GatewayWildcard
            && std::mem::replace(&mut wildcards[usize::from(vm.v6)], true);
        if !duplicate {
            resources.extend(place.records(vm).into_iter().map(Resource::LookupRecord));
        }
        if vm.routes {
            resources.push(Resource::CustomerRoute(place.route_through(vm)));
        }
        resources.extend(place.migration(vm).map(Resource::Migration));
        resources.extend(place.port(vm).map(Resource::Port));
    }
    resources
}
