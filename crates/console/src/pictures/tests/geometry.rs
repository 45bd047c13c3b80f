//! Whether anything in a picture covers anything else, of samples and of whatever comes to a random generator's mind.

use proptest::prelude::*;

use crate::pictures::address_map::{self, AddressMap, Stretch, StretchKind};
use crate::pictures::fabric::{self, Fabric, GatewayRole, Health, Host, Migration, Tunnel, Uplink};
use crate::pictures::scene::{Item, Label, Rect, Scene};
use crate::pictures::topology::{
    self, Connection, ConnectionKind, ConnectionState, Gateway, Network, Router, Site, Subnet, Topology, Vm, VmState,
};
use crate::pictures::trace::{self, End, Leg, Passage, Stage, StageState, Trace};
use crate::pictures::{Setting, Words, render};

/// Boxes are apart or one inside of the other, texts are apart from each other, and in a box or not at all; nothing is
/// outside of the picture.
pub(super) fn check(scene: &Scene) -> Result<(), String> {
    let (mut frames, mut labels) = (Vec::new(), Vec::new());
    collect(&scene.drawing.items, &mut frames, &mut labels);
    let whole = Rect::new(0, 0, scene.width, scene.height);
    for (at, (one, class)) in frames.iter().enumerate() {
        if !whole.holds(one) {
            return Err(format!("a box {class} {one:?} is outside of {whole:?}"));
        }
        for (other, other_class) in &frames[..at] {
            if one.meets(other) && !one.holds(other) && !other.holds(one) {
                return Err(format!("the boxes {class} {one:?} and {other_class} {other:?} cut each other"));
            }
        }
    }
    let labels: Vec<(Rect, &Label)> = labels.into_iter().map(|label| (label.rect(), label)).collect();
    for (at, (rect, one)) in labels.iter().enumerate() {
        if !whole.holds(rect) {
            return Err(format!("the text {:?} at {rect:?} is outside of {whole:?}", one.shown()));
        }
        if let Some((_, other)) = labels[..at].iter().find(|(other, _)| other.meets(rect)) {
            return Err(format!("the texts {:?} and {:?} cover each other at {rect:?}", one.shown(), other.shown()));
        }
        if let Some((frame, class)) = frames.iter().find(|(frame, _)| frame.meets(rect) && !frame.holds(rect)) {
            return Err(format!("the text {:?} at {rect:?} runs out of the box {class} {frame:?}", one.shown()));
        }
    }
    Ok(())
}

fn collect<'s>(items: &'s [Item], frames: &mut Vec<(Rect, &'s str)>, labels: &mut Vec<&'s Label>) {
    for item in items {
        match item {
            Item::Frame { rect, class, .. } => frames.push((*rect, class)),
            Item::Text(label) => labels.push(label),
            Item::Group(group) => collect(&group.items, frames, labels),
            Item::Cells { rects, class } => frames.extend(rects.iter().map(|rect| (*rect, *class))),
            Item::Path { .. } => {}
        }
    }
}

/// Checks a picture's geometry, and that it is XML.
fn sound(scene: &Scene, setting: &Setting) -> Result<(), TestCaseError> {
    check(scene).map_err(TestCaseError::fail)?;
    let svg = render::svg(scene, setting);
    roxmltree::Document::parse(&svg).map_err(|error| TestCaseError::fail(format!("{error}: {svg}")))?;
    Ok(())
}

fn setting() -> impl Strategy<Value = Setting> {
    prop_oneof![Just(Setting::page(Words::ENGLISH)), Just(Setting::file(Words::CHINESE, ""))]
}

/// Any text: short ones, long ones, and such that nobody would expect.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,12}-[0-9]{1,3}", "\\PC{0,40}", ".{0,30}", "[A-Z@%<&]{60,90}", Just("虚拟机".repeat(30))]
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(text(), 0..3)
}

fn vm() -> impl Strategy<Value = Vm> {
    let state = prop_oneof![
        4 => text().prop_map(|host| VmState::Bound { host }),
        1 => Just(VmState::Missing),
        1 => (text(), text()).prop_map(|(from, to)| VmState::Moving { from, to }),
    ];
    (text(), texts(), state).prop_map(|(name, addresses, state)| Vm { name, href: "/p".to_owned(), addresses, state })
}

fn subnet() -> impl Strategy<Value = Subnet> {
    let vms = prop::collection::vec(vm(), 0..20);
    (text(), texts(), text(), vms, prop_oneof![Just(0), any::<u32>()]).prop_map(
        |(name, prefixes, segment, vms, more)| Subnet {
            name,
            href: String::new(),
            prefixes,
            segment,
            vms,
            unlisted: more.into(),
        },
    )
}

fn gateway() -> impl Strategy<Value = Gateway> {
    let kind =
        prop_oneof![Just(ConnectionKind::Nat), Just(ConnectionKind::Ipsec), text().prop_map(ConnectionKind::Other)];
    let state = prop_oneof![Just(ConnectionState::Up), Just(ConnectionState::Down), Just(ConnectionState::Standby)];
    let connection = (text(), kind, state, text(), text()).prop_map(|(name, kind, state, site, about)| {
        let site = Site { name: site, about };
        Connection { name, href: "/c".to_owned(), kind, state, reason: String::new(), site }
    });
    (text(), prop::option::of(text()), texts(), prop::collection::vec(connection, 0..11)).prop_map(
        |(name, active, standby, connections)| Gateway { name, href: "/g".to_owned(), active, standby, connections },
    )
}

fn network() -> impl Strategy<Value = Network> {
    let router = prop::option::of(text().prop_map(|about| Router { href: String::new(), about }));
    let (subnets, gateways) = (prop::collection::vec(subnet(), 0..6), prop::collection::vec(gateway(), 0..3));
    (text(), text(), router, subnets, gateways).prop_map(|(name, about, router, subnets, gateways)| Network {
        name,
        href: "/n".to_owned(),
        about,
        router,
        subnets,
        gateways,
    })
}

fn host() -> impl Strategy<Value = Host> {
    let health = prop::sample::select(vec![
        Health::Well,
        Health::Lagging,
        Health::Unfit,
        Health::Gone,
        Health::Drained,
        Health::Unknown,
    ]);
    let uplink = (text(), any::<bool>()).prop_map(|(name, up)| Uplink { name, up });
    let role = (text(), any::<bool>()).prop_map(|(name, active)| GatewayRole { name, href: "/g".to_owned(), active });
    let lists = (prop::collection::vec(uplink, 0..5), prop::collection::vec(role, 0..3));
    (text(), text(), health, text(), texts(), any::<u64>(), lists).prop_map(
        |(name, group, health, note, addresses, vms, (uplinks, gateways))| Host {
            name,
            href: "/h".to_owned(),
            group,
            health,
            note,
            addresses,
            uplinks,
            vms,
            gateways,
        },
    )
}

/// Hosts, and what runs between some of them.
fn fabric_of(hosts: std::ops::Range<usize>) -> impl Strategy<Value = Fabric> {
    let pairs =
        prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u64>()), 0..90);
    let ways = prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), text()), 0..6);
    (prop::collection::vec(host(), hosts), text(), pairs, ways).prop_map(|(hosts, underlay, pairs, ways)| {
        let name = |at: prop::sample::Index| at.get(&hosts).name.clone();
        let tunnels = pairs.into_iter().map(|(one, other, bits)| {
            let (one, other) = (name(one), name(other));
            Tunnel { one, other, there: bits, back: bits >> 20 }
        });
        let migrations = ways.into_iter().map(|(from, to, vm)| {
            let (from, to, about) = (name(from), name(to), vm.clone());
            Migration { vm, href: "/p".to_owned(), from, to, about }
        });
        let (tunnels, migrations) = (tunnels.collect(), migrations.collect());
        Fabric { title: String::new(), underlay, hosts, tunnels, migrations }
    })
}

fn stage() -> impl Strategy<Value = Stage> {
    let state = prop_oneof![
        6 => Just(StageState::Passed),
        1 => (text(), text()).prop_map(|(reason, explanation)| StageState::Dropped { reason, explanation }),
        1 => Just(StageState::Answered),
        1 => Just(StageState::NotReached),
    ];
    (text(), text(), text(), state).prop_map(|(name, question, decision, state)| Stage {
        name,
        question,
        decision,
        state,
    })
}

fn any_trace() -> impl Strategy<Value = Trace> {
    let passage = prop::option::of((text(), text()).prop_map(|(name, about)| Passage { name, about }));
    let leg = (text(), text(), prop::collection::vec(stage(), 0..9), passage)
        .prop_map(|(host, address, stages, passage)| Leg { host, href: "/h".to_owned(), address, stages, passage });
    let end = || (text(), text()).prop_map(|(name, address)| End { name, href: "/p".to_owned(), address });
    (text(), end(), end(), prop::collection::vec(leg, 0..5), text(), text()).prop_map(
        |(packet, from, to, legs, verdict, explanation)| Trace {
            title: String::new(),
            packet,
            from,
            to,
            legs,
            verdict,
            explanation,
        },
    )
}

/// A pool of any size in either family.
fn any_map() -> impl Strategy<Value = AddressMap> {
    let kind = prop::sample::select(vec![StretchKind::Given, StretchKind::Reserved, StretchKind::Gateway]);
    let stretches = prop::collection::vec((any::<u128>(), 0..600u128, kind, text()), 0..40);
    (any::<bool>(), any::<u128>(), 0..128u32, stretches).prop_map(|(six, first, bits, stretches)| {
        let address = |number: u128| -> std::net::IpAddr {
            if six {
                std::net::Ipv6Addr::from_bits(number).into()
            } else {
                std::net::Ipv4Addr::from_bits(u32::try_from(number & 0xffff_ffff).unwrap_or(0)).into()
            }
        };
        let size = 1u128 << if six { bits } else { bits % 32 };
        let last =
            if six { first.saturating_add(size - 1) } else { ((first & 0xffff_ffff) + size - 1).min(0xffff_ffff) };
        let first = if six { first } else { first & 0xffff_ffff };
        let stretches = stretches.into_iter().map(|(at, length, kind, label)| {
            let from = first.saturating_add(at % size).min(last);
            let to = from.saturating_add(length).min(last);
            Stretch { first: address(from), last: address(to), kind, label, href: "/p".to_owned() }
        });
        let stretches = stretches.collect();
        let (first, last, zoom) = (address(first), address(last), "/pool?at=".to_owned());
        AddressMap { title: String::new(), first, last, stretches, at: None, zoom }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_of_a_topology_covers_anything(networks in prop::collection::vec(network(), 0..4), setting in setting()) {
        let it = Topology { title: "t".to_owned(), networks, href: "/n".to_owned() };
        sound(&topology::scene(&it, &setting), &setting)?;
    }

    #[test]
    fn nothing_of_a_small_fabric_covers_anything(it in fabric_of(1..24), setting in setting()) {
        sound(&fabric::scene(&it, &setting), &setting)?;
    }

    #[test]
    fn nothing_of_a_large_fabric_covers_anything(it in fabric_of(50..150), setting in setting()) {
        sound(&fabric::scene(&it, &setting), &setting)?;
    }

    #[test]
    fn nothing_of_a_map_covers_anything(it in any_map(), setting in setting()) {
        sound(&address_map::scene(&it, &setting), &setting)?;
    }

    #[test]
    fn nothing_of_a_trace_covers_anything(it in any_trace(), setting in setting()) {
        sound(&trace::scene(&it, &setting), &setting)?;
    }
}
