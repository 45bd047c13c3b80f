//! Pictures as they may come, to be looked at and checked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::pictures::address_map::{AddressMap, Stretch, StretchKind};
use crate::pictures::charts::{Bar, Bars};
use crate::pictures::fabric::{Fabric, GatewayRole, Health, Host, Migration, Tunnel, Uplink};
use crate::pictures::topology::{
    Connection, ConnectionKind, ConnectionState, Gateway, Network, Router, Site, Subnet, Topology, Vm, VmState,
};
use crate::pictures::trace::{End, Leg, Passage, Stage, StageState, Trace};

/// Names that somebody will have.
pub(super) const NAMES: [&str; 7] = [
    "<script>alert(1)</script><b>&amp;\"'",
    "]]> --> <![CDATA[ <?xml ?> &#0; %00",
    "数据库服务器一号主节点生产环境",
    "خادم قاعدة البيانات الرئيسي",
    "\u{202e}gnp.exe\u{202c} zalgo\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}",
    "\u{0}\u{8}\u{1b}[31mred\u{ffff}\u{fdfd}👩‍👩‍👧",
    "a-name-of-two-hundred-letters-a-name-of-two-hundred-letters-a-name-of-two-hundred-letters-a-name-of-two-hundred-\
     letters-a-name-of-two-hundred-letters-a-name-of-two-hundred-letters-a-name-of-two-hundred-l",
];

fn vm(name: &str, address: &str, state: VmState) -> Vm {
    Vm {
        name: name.to_owned(),
        href: format!("/t/blue/ports/{}", name.len()),
        addresses: vec![address.to_owned()],
        state,
    }
}

fn bound(host: &str) -> VmState {
    VmState::Bound { host: host.to_owned() }
}

fn moving(from: &str, to: &str) -> VmState {
    VmState::Moving { from: from.to_owned(), to: to.to_owned() }
}

fn connection(name: &str, kind: ConnectionKind, state: ConnectionState, site: (&str, &str)) -> Connection {
    let site = Site { name: site.0.to_owned(), about: site.1.to_owned() };
    let reason =
        if state == ConnectionState::Down { "no answer from 203.0.113.7 for 40 s".to_owned() } else { String::new() };
    Connection { name: name.to_owned(), href: "/t/blue/gateways/edge".to_owned(), kind, state, reason, site }
}

fn subnet(name: &str, prefix: &str, vsid: u32, vms: Vec<Vm>, unlisted: u64) -> Subnet {
    let (href, segment) = (format!("/t/blue/subnets/{vsid}"), format!("VSID {vsid}"));
    Subnet { name: name.to_owned(), href, prefixes: vec![prefix.to_owned()], segment, vms, unlisted }
}

fn many(name: &str, prefix: &str, number: usize) -> Vec<Vm> {
    (0..number).map(|at| vm(&format!("{name}-{}", at + 1), &format!("{prefix}.{}", at + 4), bound("host-2"))).collect()
}

fn blue() -> Network {
    let mut front = many("web", "10.0.1", 5);
    front[1].state = moving("host-1", "host-3");
    front[3].state = VmState::Missing;
    let mut six = subnet("backend", "10.0.2.0/24", 5002, many("app", "10.0.2", 12), 238);
    six.prefixes.push("2001:db8:0:2::/64".to_owned());
    let edge = Gateway {
        name: "edge".to_owned(),
        href: "/t/blue/gateways/edge".to_owned(),
        active: Some("host-4".to_owned()),
        standby: vec!["host-5".to_owned()],
        connections: vec![
            connection("internet", ConnectionKind::Nat, ConnectionState::Up, ("Internet", "198.51.100.20")),
            connection("paris", ConnectionKind::Ipsec, ConnectionState::Down, ("Paris", "192.168.10.0/24")),
            connection(
                "road",
                ConnectionKind::WireGuard,
                ConnectionState::Connecting,
                ("Road warriors", "10.99.0.0/24"),
            ),
        ],
    };
    let core = Gateway {
        name: "core".to_owned(),
        href: "/t/blue/gateways/core".to_owned(),
        active: Some("host-5".to_owned()),
        standby: Vec::new(),
        connections: vec![connection(
            "corp",
            ConnectionKind::Routed,
            ConnectionState::Standby,
            ("Campus", "172.16.0.0/12"),
        )],
    };
    Network {
        name: "blue-production".to_owned(),
        href: "/t/blue/networks/production".to_owned(),
        about: "VXLAN · 6f2c9a7e-0f2b-4c51-9d1e-b2f0a8c17d33".to_owned(),
        router: Some(Router { href: "/t/blue/routes".to_owned(), about: "10.0.1.1, 10.0.2.1".to_owned() }),
        subnets: vec![
            subnet("frontend", "10.0.1.0/24", 5001, front, 0),
            six,
            subnet("staging", "10.0.3.0/24", 5003, Vec::new(), 0),
        ],
        gateways: vec![edge, core],
    }
}

fn lab() -> Network {
    Network {
        name: "blue-lab".to_owned(),
        href: "/t/blue/networks/lab".to_owned(),
        about: "Geneve".to_owned(),
        router: Some(Router { href: "/t/blue/routes".to_owned(), about: "192.168.0.1".to_owned() }),
        subnets: vec![subnet("bench", "192.168.0.0/25", 6001, many("bench", "192.168.0", 2), 0)],
        gateways: Vec::new(),
    }
}

fn topology(networks: Vec<Network>) -> Topology {
    Topology { title: "Topology of blue".to_owned(), networks, href: "/t/blue/networks".to_owned() }
}

/// Ten thousand ports in two hundred subnets.
pub(super) fn huge_topology() -> Topology {
    let network = |number: usize| Network {
        name: format!("production-network-number-{number}"),
        href: format!("/t/blue/networks/production-network-number-{number}"),
        subnets: (0..50)
            .map(|at| {
                let vms = (0..50).map(|vm| Vm {
                    name: format!("virtual-machine-{number}-{at}-{vm}.blue.example"),
                    href: format!("/t/blue/ports/virtual-machine-{number}-{at}-{vm}.blue.example"),
                    addresses: vec![format!("10.{number}.{at}.{vm}"), format!("2001:db8:{number}:{at}::{vm:x}")],
                    state: bound("host-with-a-name-42.rack-7"),
                });
                subnet(&format!("subnet-{at}"), &format!("10.{number}.{at}.0/24"), 5000, vms.collect(), 0)
            })
            .collect(),
        ..blue()
    };
    topology((0..4).map(network).collect())
}

pub(super) fn topology_of(name: &str) -> Topology {
    let mut network = blue();
    network.name = name.to_owned();
    network.subnets[0].name = name.to_owned();
    network.gateways[0].name = name.to_owned();
    network.gateways[0].connections[0].name = name.to_owned();
    network.gateways[0].connections[1].site = Site { name: name.to_owned(), about: name.to_owned() };
    for vm in &mut network.subnets[0].vms {
        vm.name = name.to_owned();
        vm.addresses.push(name.to_owned());
    }
    network.subnets[0].vms[1].state = moving(name, name);
    topology(vec![network])
}

pub(super) fn topologies() -> Vec<(&'static str, Topology)> {
    vec![
        ("topology", topology(vec![blue(), lab()])),
        ("topology-small", topology(vec![lab()])),
        ("topology-empty", topology(vec![Network { subnets: Vec::new(), ..lab() }])),
        ("topology-huge", huge_topology()),
        ("topology-names", topology_of(NAMES[0])),
        ("topology-chinese", topology_of(NAMES[2])),
        ("topology-arabic", topology_of(NAMES[3])),
        ("topology-odd", topology_of(NAMES[5])),
        ("topology-long", topology_of(NAMES[6])),
    ]
}

fn host(at: usize, health: Health) -> Host {
    let gateways = match at % 4 {
        3 => vec![GatewayRole { name: "edge".to_owned(), href: "/gateways/edge".to_owned(), active: at == 3 }],
        _ => Vec::new(),
    };
    Host {
        name: format!("host-{}", at + 1),
        href: format!("/hosts/host-{}", at + 1),
        group: format!("rack-{}", at / 12 + 1),
        health,
        note: String::new(),
        addresses: vec![format!("10.1.{}.{}", at / 200, at % 200 + 11)],
        uplinks: vec![
            Uplink { name: "eth0".to_owned(), up: health != Health::Gone },
            Uplink { name: "eth1".to_owned(), up: at % 5 != 4 },
        ],
        vms: (at as u64 * 37) % 61,
        gateways,
    }
}

fn fabric(number: usize) -> Fabric {
    let health = |at: usize| match at % 13 {
        2 if number > 2 => Health::Lagging,
        4 => Health::Unfit,
        7 => Health::Gone,
        9 => Health::Drained,
        11 => Health::Unknown,
        _ => Health::Well,
    };
    let hosts: Vec<Host> = (0..number).map(|at| host(at, health(at))).collect();
    let mut tunnels = Vec::new();
    for one in 0..number {
        for other in one + 1..number.min(one + 7) {
            let rate = [0, 48_000, 2_300_000, 940_000_000, 7_600_000_000, 12_000][(one * 5 + other * 3) % 6];
            let (one, other) = (hosts[one].name.clone(), hosts[other].name.clone());
            tunnels.push(Tunnel { one, other, there: rate, back: rate / 3 });
        }
    }
    let migrations = vec![Migration {
        vm: "web-2".to_owned(),
        href: "/ports/web-2".to_owned(),
        from: "host-1".to_owned(),
        to: format!("host-{}", number.min(3)),
        about: "62 %".to_owned(),
    }];
    let underlay = "10.1.0.0/16 · VXLAN".to_owned();
    Fabric { title: "The fabric".to_owned(), underlay, hosts, tunnels, migrations }
}

pub(super) fn fabric_of(name: &str) -> Fabric {
    let mut it = fabric(6);
    for at in 0..2 {
        it.hosts[at].gateways = vec![GatewayRole { name: name.to_owned(), href: "/g".to_owned(), active: true }];
        it.hosts[at].addresses.push(name.to_owned());
        it.hosts[at].uplinks[0].name = name.to_owned();
    }
    let old = std::mem::replace(&mut it.hosts[0].name, name.to_owned());
    for end in it.tunnels.iter_mut().flat_map(|it| [&mut it.one, &mut it.other]).filter(|end| **end == old) {
        name.clone_into(end);
    }
    it.migrations[0].from = name.to_owned();
    it.migrations[0].vm = name.to_owned();
    it
}

pub(super) fn fabrics() -> Vec<(&'static str, Fabric)> {
    vec![
        ("fabric", fabric(6)),
        ("fabric-2", fabric(2)),
        ("fabric-3", fabric(3)),
        ("fabric-12", fabric(12)),
        ("fabric-60", fabric(60)),
        ("fabric-200", fabric(200)),
        ("fabric-names", fabric_of(NAMES[0])),
        ("fabric-long", fabric_of(NAMES[6])),
    ]
}

fn stretch(first: impl Into<IpAddr>, last: impl Into<IpAddr>, kind: StretchKind, label: &str) -> Stretch {
    let href = if kind == StretchKind::Given { "/t/blue/ports/web".to_owned() } else { String::new() };
    Stretch { first: first.into(), last: last.into(), kind, label: label.to_owned(), href }
}

fn map(first: impl Into<IpAddr>, last: impl Into<IpAddr>, stretches: Vec<Stretch>) -> AddressMap {
    let (title, zoom) = ("Pool blue".to_owned(), "/t/blue/pools/blue?at=".to_owned());
    AddressMap { title, first: first.into(), last: last.into(), stretches, at: None, zoom }
}

fn four(bits: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(bits)
}

fn pool_24(name: &str) -> AddressMap {
    let base = Ipv4Addr::new(10, 0, 1, 0).to_bits();
    let mut stretches = vec![
        stretch(four(base + 1), four(base + 1), StretchKind::Gateway, name),
        stretch(four(base), four(base + 3), StretchKind::Reserved, "network, gateway"),
        stretch(four(base + 200), four(base + 219), StretchKind::Reserved, "printers"),
        stretch(four(base + 255), four(base + 255), StretchKind::Reserved, "broadcast"),
    ];
    let used = (4..170u32).filter(|at| at * 7919 % 11 > 3);
    stretches.extend(used.map(|at| stretch(four(base + at), four(base + at), StretchKind::Given, name)));
    map(four(base), four(base + 255), stretches)
}

pub(super) fn map_of(name: &str) -> AddressMap {
    pool_24(name)
}

pub(super) fn maps() -> Vec<(&'static str, AddressMap)> {
    let tiny = Ipv4Addr::new(192, 0, 2, 4).to_bits();
    let tiny_stretches = vec![
        stretch(four(tiny), four(tiny), StretchKind::Reserved, "network"),
        stretch(four(tiny + 1), four(tiny + 1), StretchKind::Gateway, "gateway"),
        stretch(four(tiny + 2), four(tiny + 2), StretchKind::Given, "web-1"),
    ];
    let wide = Ipv4Addr::new(10, 32, 0, 0).to_bits();
    let mut wide_stretches = vec![
        stretch(four(wide), four(wide + 1023), StretchKind::Reserved, "operators"),
        stretch(four(wide + 1025), four(wide + 1025), StretchKind::Gateway, "gateway"),
    ];
    for block in 4..90u32 {
        let number = (block * 131) % 257;
        let first = wide + block * 256;
        wide_stretches.push(stretch(four(first), four(first + number.min(255)), StretchKind::Given, "servers"));
    }
    let ten = Ipv4Addr::new(10, 0, 0, 0).to_bits();
    let eight = vec![stretch(four(ten + 70_000), four(ten + 3_000_000), StretchKind::Given, "all")];
    let six = |number: u128| Ipv6Addr::from_bits(0x2001_0db8_0000_0002_u128 << 64 | number);
    let mut six_stretches = vec![stretch(six(1), six(1), StretchKind::Gateway, "gateway")];
    six_stretches
        .extend((16..90).filter(|at| at % 3 != 0).map(|at| stretch(six(at), six(at), StretchKind::Given, "app")));
    vec![
        ("map-30", map(four(tiny), four(tiny + 3), tiny_stretches)),
        ("map-24", pool_24("web")),
        ("map-part", map(four(tiny + 6), four(tiny + 171), Vec::new())),
        ("map-16", map(four(wide), four(wide + 65_535), wide_stretches)),
        ("map-8", map(four(ten), four(ten + 0xff_ffff), eight)),
        ("map-six", map(six(0), six(u128::from(u64::MAX)), six_stretches)),
    ]
}

fn stage(name: &str, question: &str, decision: &str, state: StageState) -> Stage {
    Stage { name: name.to_owned(), question: question.to_owned(), decision: decision.to_owned(), state }
}

fn end(name: &str, address: &str) -> End {
    End { name: name.to_owned(), href: format!("/t/blue/ports/{}", name.len()), address: address.to_owned() }
}

fn leg(host: &str, address: &str, stages: Vec<Stage>, passage: Option<Passage>) -> Leg {
    Leg { host: host.to_owned(), href: format!("/hosts/{host}"), address: address.to_owned(), stages, passage }
}

fn sending() -> Vec<Stage> {
    let passed = StageState::Passed;
    vec![
        stage(
            "parse",
            "Which port is it, and is the frame well-formed?",
            "port web-1, TCP 49152 to 5432",
            passed.clone(),
        ),
        stage("source guard", "Do its source addresses belong to the port?", "10.0.1.4 is the port's", passed.clone()),
        stage(
            "forward",
            "In which VM subnet is it to go?",
            "10.0.2.0/24 is VSID 5002, through the router",
            passed.clone(),
        ),
        stage("egress", "Do the security groups let it out?", "group web, rule 3 allows tcp/5432", passed.clone()),
        stage("locate", "Where is that address?", "10.0.2.9 is on host-3, 10.1.0.13", passed),
    ]
}

fn receiving(ingress: StageState, deliver: StageState) -> Vec<Stage> {
    let passed = StageState::Passed;
    vec![
        stage("unwrap", "Is it an encapsulated packet for this host?", "VXLAN, VSID 5002", passed.clone()),
        stage("origin", "Did it come from the host that its sender is on?", "10.1.0.11 is host-1", passed),
        stage("deliver", "Which port of this host is it for?", "port db-1", deliver),
        stage(
            "ingress",
            "Do the security groups let it in?",
            "group db: no rule lets tcp/5432 in from 10.0.1.4",
            ingress,
        ),
    ]
}

fn trace(legs: Vec<Leg>, verdict: &str, explanation: &str) -> Trace {
    Trace {
        title: "Trace from web-1 to db-1".to_owned(),
        packet: "10.0.1.4:49152 > 10.0.2.9:5432 TCP SYN, ttl 64, 56 bytes".to_owned(),
        from: end("web-1", "10.0.1.4"),
        to: end("db-1", "10.0.2.9"),
        legs,
        verdict: verdict.to_owned(),
        explanation: explanation.to_owned(),
    }
}

fn passage() -> Option<Passage> {
    Some(Passage { name: "VXLAN, VNI 5002".to_owned(), about: "10.1.0.11 → 10.1.0.13".to_owned() })
}

const WHY: &str = "the security groups of the port that it is for do not let it in; add a rule that allows it";

pub(super) fn trace_of(name: &str) -> Trace {
    let mut legs = vec![leg(name, name, sending(), passage())];
    let dropped = StageState::Dropped { reason: name.to_owned(), explanation: name.to_owned() };
    legs.push(leg(name, name, receiving(dropped, StageState::Passed), None));
    legs[0].stages[1].decision = name.to_owned();
    let mut trace = trace(legs, name, name);
    trace.from.name = name.to_owned();
    trace.to.name = name.to_owned();
    trace
}

pub(super) fn traces() -> Vec<(&'static str, Trace)> {
    let dropped = StageState::Dropped { reason: "IngressRule".to_owned(), explanation: WHY.to_owned() };
    let to = |ingress| leg("host-3", "10.1.0.13", receiving(ingress, StageState::Passed), None);
    let from = || leg("host-1", "10.1.0.11", sending(), passage());
    let mut early = sending();
    let why = "the source address has no lookup record with the sender's MAC address in this VSID";
    early[1].state = StageState::Dropped { reason: "SourceAddress".to_owned(), explanation: why.to_owned() };
    for late in &mut early[2..] {
        late.state = StageState::NotReached;
        late.decision = String::new();
    }
    let mut local = sending();
    local.extend(receiving(StageState::Passed, StageState::Passed).split_off(2));
    let unreached = receiving(StageState::NotReached, StageState::NotReached);
    let unreached = unreached.into_iter().map(|it| Stage { state: StageState::NotReached, ..it }).collect();
    vec![
        ("trace", trace(vec![from(), to(StageState::Passed)], "delivered to port db-1", "The packet reaches the VM.")),
        ("trace-dropped", trace(vec![from(), to(dropped)], "dropped: IngressRule", WHY)),
        (
            "trace-early",
            trace(
                vec![leg("host-1", "10.1.0.11", early, passage()), leg("host-3", "10.1.0.13", unreached, None)],
                "dropped: SourceAddress",
                why,
            ),
        ),
        ("trace-local", trace(vec![leg("host-1", "10.1.0.11", local, None)], "delivered to port db-1", "")),
        (
            "trace-three",
            trace(vec![from(), from(), to(StageState::Passed)], "delivered", "By way of a gateway's host."),
        ),
        ("trace-names", trace_of(NAMES[0])),
        ("trace-arabic", trace_of(NAMES[3])),
        ("trace-long", trace_of(NAMES[6])),
    ]
}

fn bar(label: &str, value: u64) -> Bar {
    Bar { label: label.to_owned(), about: "what it means".to_owned(), href: "/drops".to_owned(), value }
}

pub(super) fn bars_of(name: &str) -> Bars {
    Bars { title: "Drops".to_owned(), bars: vec![bar(name, 12), bar("IngressRule", u64::MAX)], bad: true }
}

pub(super) fn bars() -> Vec<(&'static str, Bars)> {
    let reasons =
        [("IngressRule", 48_210), ("NoRecord", 9_120), ("SourceAddress", 311), ("FloodLimit", 12), ("TooBig", 1)];
    let drops = reasons.iter().map(|(name, value)| bar(name, *value)).collect();
    let many = (0..40).map(|at| bar(&format!("web-{at}"), at * at * 1013)).collect();
    vec![
        ("bars", Bars { title: "Drops by reason".to_owned(), bars: drops, bad: true }),
        ("bars-many", Bars { title: "Traffic by port".to_owned(), bars: many, bad: false }),
        ("bars-none", Bars { title: "Drops".to_owned(), bars: Vec::new(), bad: true }),
        ("bars-names", bars_of(NAMES[1])),
    ]
}
