//! What pictures say: what is collapsed is counted, what went wrong is seen without colours, and what moves may stand.

use super::samples;
use crate::pictures::{CSS, Setting, StretchKind, VmState, Words, address_map, fabric, topology, trace};

const PAGE: Setting = Setting::page(Words::ENGLISH);

/// What stands in the elements of a name that have this class; all of that name for none.
fn found(svg: &str, name: &str, class: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(svg).unwrap_or_else(|error| panic!("{error}:\n{svg}"));
    let has = |node: &roxmltree::Node<'_, '_>| {
        node.has_tag_name(name)
            && (class.is_empty() || node.attribute("class").is_some_and(|it| it.split(' ').any(|it| it == class)))
    };
    document.descendants().filter(has).map(|node| node.text().unwrap_or_default().to_owned()).collect()
}

#[test]
fn of_a_large_subnet_twelve_are_drawn_and_the_others_counted() {
    let (_, it) = samples::topologies().remove(0);
    let svg = topology::topology(&it, &PAGE);
    let texts = found(&svg, "text", "");
    assert_eq!(texts.iter().filter(|text| text.starts_with("app-")).count(), 12);
    assert!(texts.contains(&"+ 238".to_owned()) && texts.contains(&"250 VMs".to_owned()), "{texts:?}");
}

#[test]
fn what_is_not_as_it_should_be_is_never_among_those_that_are_not_drawn() {
    let (_, mut it) = samples::topologies().remove(0);
    let vms = &mut it.networks[0].subnets[1].vms;
    let mut last = vms[0].clone();
    last.name = "the-last".to_owned();
    last.state = VmState::Missing;
    vms.push(last);
    let texts = found(&topology::topology(&it, &PAGE), "text", "");
    assert!(texts.contains(&"the-last".to_owned()) && texts.contains(&"+ 239".to_owned()), "{texts:?}");
}

#[test]
fn a_vm_that_moves_stands_between_its_hosts() {
    let (_, it) = samples::topologies().remove(0);
    let svg = topology::topology(&it, &PAGE);
    let titles = found(&svg, "title", "");
    assert!(titles.contains(&"web-2\nmoving: host-1 → host-3".to_owned()), "{titles:?}");
    assert_eq!(found(&svg, "path", "travels").len(), 2, "one line from a host, one to a host");
}

#[test]
fn nothing_moves_for_those_who_mind() {
    let (still, moving) = CSS.split_once("@media (prefers-reduced-motion:no-preference)").expect("the one place");
    assert!(!still.contains("animation"), "{still}");
    assert!(moving.contains("animation:pic-travel"), "{moving}");
}

#[test]
fn each_health_has_a_shape_of_its_own() {
    let shapes = fabric::Health::ALL.map(|health| {
        let (_, mut it) = samples::fabrics().remove(1);
        it.hosts[0].health = health;
        let svg = fabric::fabric(&it, &PAGE);
        let document = roxmltree::Document::parse(&svg).expect("XML");
        let card = document.descendants().find(|node| node.attribute("href") == Some("/hosts/host-1")).expect("a card");
        let marks = card.children().filter(|node| node.has_tag_name("path")).take(2);
        marks.map(|node| node.attribute("d").unwrap_or_default().to_owned()).collect::<String>()
    });
    for (at, shape) in shapes.iter().enumerate() {
        assert!(!shapes[..at].contains(shape), "{shape} is drawn for two");
    }
}

#[test]
fn lines_are_wider_the_more_runs_through_them_and_say_how_much() {
    let (_, mut it) = samples::fabrics().remove(1);
    let mut before = 0.0;
    for bits in [0, 5_000, 2_000_000, 30_000_000_000, u64::MAX] {
        (it.tunnels[0].there, it.tunnels[0].back) = (bits, 0);
        let svg = fabric::fabric(&it, &PAGE);
        let document = roxmltree::Document::parse(&svg).expect("XML");
        let line = document.descendants().find(|node| node.has_attribute("stroke-width")).expect("a tunnel");
        let width: f64 = line.attribute("stroke-width").and_then(|width| width.parse().ok()).expect("a number");
        assert!(width > before, "{bits}: {width} after {before}");
        before = width;
    }
    (it.tunnels[0].there, it.tunnels[0].back) = (30_000_000_000, 500_000_000);
    let svg = fabric::fabric(&it, &PAGE);
    assert!(found(&svg, "text", "").contains(&"30.5 Gbit/s".to_owned()));
    assert!(found(&svg, "title", "").contains(&"host-1 → host-2: 30 Gbit/s\nhost-2 → host-1: 500 Mbit/s".to_owned()));
}

#[test]
fn two_hundred_hosts_are_groups_in_their_order() {
    let (_, it) = samples::fabrics().into_iter().find(|(name, _)| *name == "fabric-200").expect("a sample");
    let svg = fabric::fabric(&it, &PAGE);
    let names: Vec<String> = found(&svg, "text", "b").into_iter().filter(|text| text.starts_with("rack-")).collect();
    assert_eq!(names, (1..=17).map(|at| format!("rack-{at}")).collect::<Vec<_>>());
    let mut alone = it.clone();
    for host in &mut alone.hosts {
        host.group.clear();
    }
    let names = found(&fabric::fabric(&alone, &PAGE), "text", "b");
    assert!(names.contains(&"host-1 – host-14".to_owned()), "{names:?}");
}

#[test]
fn a_map_counts_every_address_however_many_there_are() {
    for (name, said) in [
        ("map-30", "192.0.2.4 – 192.0.2.7: 1 given out, 1 gateway, 1 reserved, 1 free"),
        ("map-8", "10.0.0.0 – 10.255.255.255: 2,930,001 given out, 13,847,215 free"),
        ("map-six", "2001:db8:0:2:: – 2001:db8:0:2:ffff:ffff:ffff:ffff: 50 given out, 1 gateway, ≈ 2⁶⁴ free"),
    ] {
        let (_, it) = samples::maps().into_iter().find(|(it, _)| *it == name).expect("a sample");
        let svg = address_map::address_map(&it, &PAGE);
        assert_eq!(found(&svg, "desc", ""), [said]);
        // Either each address has its cell, or the fullest part is shown in detail.
        assert!(found(&svg, "text", "m").iter().any(|text| text == "G" || name == "map-8"), "{svg}");
    }
}

#[test]
fn a_map_is_in_detail_where_one_asks() {
    let (_, mut it) = samples::maps().into_iter().find(|(name, _)| *name == "map-16").expect("a sample");
    it.at = Some([10, 32, 9, 7].into());
    let texts = found(&address_map::address_map(&it, &PAGE), "text", "");
    assert!(texts.contains(&"10.32.9.0 – 10.32.9.255".to_owned()), "{texts:?}");
    it.stretches.retain(|stretch| stretch.kind == StretchKind::Reserved);
    it.at = Some([192, 0, 2, 1].into());
    let texts = found(&address_map::address_map(&it, &PAGE), "text", "");
    assert!(texts.contains(&"10.32.0.0 – 10.32.0.255".to_owned()), "what lies outside is not shown: {texts:?}");
}

#[test]
fn the_way_of_a_packet_ends_where_it_is_dropped() {
    let sample = |name: &str| samples::traces().into_iter().find(|(it, _)| *it == name).expect("a sample").1;
    let delivered = trace::trace(&sample("trace"), &PAGE);
    assert_eq!((found(&delivered, "path", "tip").len(), found(&delivered, "path", "way-gone").len()), (1, 0));
    for name in ["trace-dropped", "trace-early"] {
        let svg = trace::trace(&sample(name), &PAGE);
        assert_eq!((found(&svg, "path", "tip").len(), found(&svg, "path", "way-gone").len()), (0, 1), "{name}");
        assert_eq!(found(&svg, "rect", "troubled").len(), 2, "the stage and the verdict");
    }
    let texts = found(&trace::trace(&sample("trace-dropped"), &PAGE), "text", "");
    assert!(texts.contains(&"IngressRule".to_owned()) && texts.contains(&"dropped".to_owned()), "{texts:?}");
}
