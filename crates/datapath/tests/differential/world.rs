//! Where the comparison takes place: a network namespace with devices, a folder for the maps, and random tables.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use host::{Namespace, Netlink, TapOptions};
use ipnet::IpNet;
use model::generators::UPLINK;
use model::{
    Change, DhcpScope, Intent, LeaseTime, MacAddress, Name, PhysicalNetwork, Port, ProviderAddress, Resource,
    TranslationMethod, VlanId,
};
use pipeline::{Address, MAX_PATHS, Peer, PeerKey, PortFlags, RecordFlags};
use plan::{Facts, HostTables, Link, LinkKind, Settings};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::seq::IteratorRandom as _;
use rand::{Rng as _, RngCore as _};
use rand_chacha::ChaCha8Rng;

/// MAC address of the uplink.
pub const UPLINK_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// How many ports there can be.
const DEVICES: usize = 40;

/// Interface indexes of a host.
#[derive(Default)]
pub struct Devices {
    pub ports: Vec<u32>,
    pub uplink: u32,
}

/// A namespace with devices, and a folder in the BPF file system; both go with it.
pub struct World {
    pub namespace: Namespace,
    pub folder: PathBuf,
    pub devices: Devices,
}

impl World {
    /// Makes one. The name of the test keeps it apart from others of the same process.
    pub fn new(test: &str) -> Self {
        assert!(host::process::is_root(), "this test loads kernel programs and makes devices: run it as root");
        let name = format!("nvt-{test}-{}", std::process::id());
        let folder = Path::new(host::kernel::BPFFS_ROOT).join(&name);
        host::kernel::ensure_bpffs(&folder).expect("a folder in the BPF file system");
        let namespace = Namespace::create(&name).expect("a namespace can be made");
        // From here on the drop cleans up.
        let mut world = Self { namespace, folder, devices: Devices::default() };
        let netlink = Netlink::in_namespace(&world.namespace).expect("netlink in the namespace");
        let tap = TapOptions { vnet_hdr: false, multi_queue: false };
        let names: Vec<String> = (0..DEVICES).map(|i| format!("tap{i}")).chain(["uplink".to_owned()]).collect();
        for name in &names {
            netlink.create_tap(name, tap).expect("a tap can be made");
        }
        let links = netlink.links().expect("the links");
        let index = |name: &String| links.iter().find(|link| link.name == *name).expect("a device just made").index;
        let mut indexes: Vec<u32> = names.iter().map(index).collect();
        world.devices.uplink = indexes.pop().expect("the uplink is the last");
        world.devices.ports = indexes;
        world
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = datapath::Datapath::remove(&self.folder);
        let _ = Namespace::delete(self.namespace.name().unwrap_or_default());
    }
}

/// A random consistent intent with something in it, as [`Intent::any`] makes it for host 0.
fn intent(rng: &mut ChaCha8Rng) -> Intent {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    let test_rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), test_rng);
    let strategy = Intent::any();
    loop {
        let intent = strategy.new_tree(&mut runner).expect("no filter that fails").current();
        if intent.lookup_records().count() > 3 || rng.random_bool(0.02) {
            return intent;
        }
    }
}

/// What another host of the same network would be told: its own provider addresses, and ports for its own VMs.
fn seen_from(intent: &Intent, host: u8, rng: &mut ChaCha8Rng) -> Intent {
    let own = |address: &IpAddr| match address {
        IpAddr::V4(v4) => v4.octets()[3] == 10 + host && v4.octets()[0] == 192,
        IpAddr::V6(v6) => v6.segments()[0] == 0xfd01 && v6.segments()[7] == 0x10 + u16::from(host),
    };
    let mut resources: Vec<Resource> = intent
        .resources()
        .filter(|resource| !matches!(resource, Resource::ProviderAddress(_) | Resource::Port(_)))
        .cloned()
        .collect();
    let uplink: Name = UPLINK.parse().expect("a name");
    let segment = if host == 3 { 9 } else { 4 };
    let addresses = [
        (format!("192.168.{segment}.{}", 10 + host), 24),
        (format!("fd01:0:0:{segment}::{:x}", 0x10 + u16::from(host)), 64),
    ];
    // Some hosts have addresses of one family alone.
    let both = rng.random_bool(0.8);
    for (address, prefix_length) in addresses.iter().take(if both { 2 } else { 1 }) {
        let address = address.parse().expect("an address");
        let interface = uplink.clone();
        resources.push(Resource::ProviderAddress(ProviderAddress {
            address,
            interface,
            prefix_length: *prefix_length,
        }));
    }
    let mut stations = BTreeSet::new();
    for record in intent.lookup_records() {
        let here = match record.rule {
            TranslationMethod::Nat => rng.random_bool(0.3),
            _ => own(&record.provider_address),
        };
        if here && rng.random_bool(0.85) && stations.insert((record.vsid, record.mac)) {
            let number = stations.len();
            resources.push(Resource::Port(Port::new(
                format!("p{number}").parse().expect("a name"),
                format!("tap-p{number}").parse().expect("a name"),
                record.mac,
                Some(record.vsid),
            )));
        }
    }
    for migration in intent.migrations().filter(|migration| migration.other().as_ref().is_some_and(own)) {
        if rng.random_bool(0.85) && stations.insert((migration.vsid, migration.mac)) {
            let number = stations.len();
            resources.push(Resource::Port(Port::new(
                format!("p{number}").parse().expect("a name"),
                format!("tap-p{number}").parse().expect("a name"),
                migration.mac,
                Some(migration.vsid),
            )));
        }
    }
    Intent::new(resources).unwrap_or_else(|errors| panic!("the view of host {host} contradicts itself: {errors:?}"))
}

/// With ports of the physical network behind the uplink and of two of its VLANs, most of the time.
fn with_physical_ports(intent: &Intent, rng: &mut ChaCha8Rng) -> Intent {
    let mut ports = Vec::new();
    for number in 0..if rng.random_bool(0.6) { rng.random_range(1..6) } else { 0 } {
        let name: Name = format!("physical{number}").parse().expect("a name");
        let mac = MacAddress::new([6, 6, 9, 0, 0, number]).expect("unicast");
        let vlan = *[None, None, Some(42), Some(7)].iter().choose(rng).expect("some");
        let mut port = Port::new(name.clone(), name, mac, None);
        port.physical = Some(network(vlan));
        if rng.random() {
            port.addresses = vec![IpAddr::from([192, 168, 4, 100 + number])];
        }
        if rng.random_bool(0.3) {
            port.addresses.push(format!("fd01:0:0:4::10{number}").parse().expect("an address"));
        }
        ports.push(Change::Set(Resource::Port(port)));
    }
    intent.with(ports).unwrap_or_else(|errors| panic!("the physical ports contradict something: {errors:?}"))
}

fn network(vlan: Option<u16>) -> PhysicalNetwork {
    let vlan = vlan.map(|vlan| VlanId::new(vlan).expect("a VLAN"));
    PhysicalNetwork { interface: UPLINK.parse().expect("a name"), vlan }
}

/// With DHCP scopes in some of the subnets, for one family or both.
fn with_scopes(intent: &Intent, rng: &mut ChaCha8Rng) -> Intent {
    let mut scopes = Vec::new();
    let subnets = intent.customer_routes().filter(|route| route.is_on_link());
    let subnets = subnets.map(|route| (Some(route.vsid), None, route.prefix));
    let prefixes = ["192.168.4.0/24", "fd01:0:0:4::/64"].map(|prefix| prefix.parse().expect("a prefix"));
    let physical =
        [None, Some(42)].into_iter().flat_map(|vlan| prefixes.map(|prefix| (None, Some(network(vlan)), prefix)));
    for (vsid, physical, prefix) in subnets.chain(physical) {
        if rng.random_bool(0.5) {
            scopes.push(Change::Set(Resource::DhcpScope(DhcpScope {
                vsid,
                physical,
                prefix,
                gateway: None,
                dns_servers: Vec::new(),
                dns_suffixes: Vec::new(),
                routes: Vec::new(),
                lease_time: LeaseTime::default(),
            })));
        }
    }
    intent.with(scopes).unwrap_or_else(|errors| panic!("the scopes contradict something: {errors:?}"))
}

/// What the host observes: nearly all devices are there.
fn facts(devices: &Devices, intent: &Intent, rng: &mut ChaCha8Rng) -> Facts {
    let mtu = *[1600, 1500, 1400, 1342, 9000, rng.random_range(1280..2000)].iter().choose(rng).expect("six");
    let addresses =
        intent.provider_addresses().filter_map(|own| IpNet::new(own.address, own.prefix_length).ok()).collect();
    let mac = MacAddress::new(UPLINK_MAC).ok();
    let uplink = Link { ifindex: devices.uplink, mtu, up: true, kind: LinkKind::Other, mac, addresses };
    let mut links = BTreeMap::from([(UPLINK.parse().expect("a name"), uplink)]);
    for (port, ifindex) in intent.ports().zip(&devices.ports) {
        let kind = match rng.random_range(0..3) {
            0 => LinkKind::Tap,
            other => LinkKind::Veth { peer_in_other_namespace: other == 1 },
        };
        if rng.random_bool(0.95) {
            links.insert(
                port.device.clone(),
                Link { ifindex: *ifindex, mtu: 1500, up: true, kind, mac: None, addresses: vec![] },
            );
        }
    }
    Facts { links, slots: BTreeMap::new() }
}

/// A random network as one of its hosts sees it, and the tables of that host.
pub fn host_of_a_network(devices: &Devices, rng: &mut ChaCha8Rng) -> (Intent, HostTables) {
    let intent = intent(rng);
    let host = rng.random_range(0..4);
    let intent = if host == 0 { intent } else { seen_from(&intent, host, rng) };
    let intent = with_scopes(&with_physical_ports(&intent, rng), rng);
    let intent = crate::groups::with_groups(&intent, rng);
    let facts = facts(devices, &intent, rng);
    // No frame is refused for its number, since the kernel's limiter has a clock and user space has none.
    let flood_rate = if rng.random_bool(0.06) { 0 } else { 1_000_000_000 };
    let punt_rate = if rng.random_bool(0.06) { 0 } else { 1_000_000_000 };
    let (flood_burst, punt_burst) = (u32::MAX, u32::MAX);
    // Now and then there is room for a few flows alone.
    let flow_limit = if rng.random_bool(0.1) { rng.random_range(0..3) } else { Settings::FLOW_LIMIT };
    let settings = Settings { flood_rate, flood_burst, punt_rate, punt_burst, flow_limit, ..Settings::default() };
    let mut tables = plan::compile(&intent, &facts, &settings).tables;
    ways(&mut tables, devices, rng);
    (intent, tables)
}

/// Gives some hosts more ways than one.
fn ways(tables: &mut HostTables, devices: &Devices, rng: &mut ChaCha8Rng) {
    for (key, first) in tables.peers.clone() {
        let paths = if rng.random() { 1 } else { rng.random_range(2..=MAX_PATHS as u16) };
        for path in 0..u32::from(paths) {
            let uplink = if path == 0 { first.uplink } else { *devices.ports.iter().choose(rng).expect("some") };
            tables.peers.insert(PeerKey { path, ..key }, Peer { paths, uplink, ..first });
        }
    }
}

/// Random tables of one host, nearly always with a port, and whether they were broken by hand.
pub fn tables(devices: &Devices, rng: &mut ChaCha8Rng) -> (HostTables, bool) {
    let mut tables = host_of_a_network(devices, rng).1;
    while (tables.ports.len() < 2 || tables.peers.is_empty()) && rng.random_bool(0.9) {
        tables = host_of_a_network(devices, rng).1;
    }
    let broken = rng.random_bool(0.4);
    if broken {
        for _ in 0..rng.random_range(1..6) {
            breakage(devices, &mut tables, rng);
        }
    }
    (tables, broken)
}

/// Breaks one thing that the compiler would never leave broken.
fn breakage(devices: &Devices, tables: &mut HostTables, rng: &mut ChaCha8Rng) {
    let device = *devices.ports.iter().choose(rng).expect("devices");
    match rng.random_range(0..19) {
        0 => drop(any_key(&tables.ports, rng).map(|key| tables.ports.remove(&key))),
        1 => drop(any_key(&tables.peers, rng).map(|key| tables.peers.remove(&key))),
        2 => drop(any_key(&tables.subnets, rng).map(|key| tables.subnets.remove(&key))),
        3 => drop(any_key(&tables.records, rng).map(|key| tables.records.remove(&key))),
        4 => drop(any_key(&tables.stations, rng).map(|key| tables.stations.remove(&key))),
        5 => drop(any_key(&tables.routes, rng).map(|key| tables.routes.remove(&key))),
        6 => drop(any_key(&tables.replicas, rng).map(|key| tables.replicas.remove(&key))),
        7 => drop(any_key(&tables.providers, rng).map(|key| tables.providers.remove(&key))),
        8 if rng.random_bool(0.2) => tables.host = None,
        9 => {
            let vsid = tables.subnets.keys().copied().choose(rng).unwrap_or(0);
            if let Some(port) = tables.ports.values_mut().choose(rng) {
                port.vsid = vsid;
            }
        }
        10 => {
            if let Some(record) = tables.records.values_mut().choose(rng) {
                record.ifindex = if rng.random() { device } else { 0 };
            }
        }
        11 => {
            if let Some(station) = tables.stations.values_mut().choose(rng) {
                station.ifindex = if rng.random() { device } else { 0 };
            }
        }
        12 => {
            if let Some(record) = tables.records.values_mut().choose(rng) {
                record.flags = RecordFlags(rng.random::<u16>() & rng.random::<u16>() & 0xff);
            }
        }
        13 => {
            if let Some(port) = tables.ports.values_mut().choose(rng) {
                port.flags = PortFlags(rng.random::<u16>() & 0x1f);
            }
        }
        14 | 16 | 17 => {
            // A station is never one that is reached without encapsulation, since only addresses lead there.
            if let Some(station) = tables.stations.values_mut().choose(rng) {
                station.flags = if rng.random() { RecordFlags::BARE } else { RecordFlags::NAT };
            }
        }
        15 => {
            // Hosts in the wrong order: IPv6 before IPv4.
            let values: Vec<_> = tables.replicas.values().copied().collect();
            for (slot, value) in tables.replicas.values_mut().zip(values.into_iter().rev()) {
                *slot = value;
            }
        }
        _ => {
            if let Some(subnet) = tables.subnets.values_mut().choose(rng) {
                subnet.gateway_v4 = Address::UNSPECIFIED_V6;
                subnet.gateway_v6 = Address::UNSPECIFIED_V6;
            }
        }
    }
}

fn any_key<K: Copy, V>(table: &BTreeMap<K, V>, rng: &mut ChaCha8Rng) -> Option<K> {
    table.keys().copied().choose(rng)
}
