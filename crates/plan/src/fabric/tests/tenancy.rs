//! What a tenant may do by itself, and what rests before another has it.

use super::*;

const PHYSICAL_PORT: &str = "\
{kind: ip-pool, name: desks, spec: {vmSubnet: desk, ranges: [172.16.1.0-172.16.1.9]}}
---
{kind: port, name: a, spec: {host: host17, device: tap7, vmNetwork: floor}}
";

fn world() -> World {
    let mut world = World::new();
    world.apply(AAA);
    world.apply(PHYSICAL);
    world.apply(PHYSICAL_PORT);
    world
}

#[track_caller]
fn confined(world: &World, yaml: &str) -> Vec<String> {
    let refusals = world.fabric.confine(&puts(yaml)).err().unwrap_or_default();
    assert!(refusals.iter().all(|refusal| refusal.sort() == crate::fabric::RefusalSort::Forbidden));
    sentences(&refusals)
}

#[test]
fn a_tenant_makes_networks_of_its_own() {
    let world = world();
    for own in [
        "{kind: vm-network, name: N, spec: {logicalNetwork: TDIv2}}\n---\n{kind: vm-subnet, name: s, spec: {vmNetwork: N, prefixes: [10.0.0.0/24]}}\n---\n{kind: ip-pool, name: p, spec: {vmSubnet: s, ranges: [10.0.0.5-10.0.0.9]}}",
        "{kind: port, name: x, spec: {vmNetwork: AAA, addresses: [10.10.1.101], mac: 06-06-00-00-00-05}}",
        "{kind: port, name: test01, spec: {host: host16, vmNetwork: AAA, addresses: [10.10.1.103]}}",
        "{kind: customer-route, name: r, spec: {vmNetwork: AAA, prefix: 10.20.0.0/16, nextHop: 10.10.1.100}}",
        // What an operator has made stays as it is, whoever says it again; and its ports are the tenant's.
        PHYSICAL_PORT,
        "{kind: port, name: a, spec: {host: host17, device: tap7}}",
        "{kind: port, name: b, spec: {vmNetwork: floor}}",
    ] {
        assert_eq!(confined(&world, own), [""; 0], "{own}");
    }
    let port = Change::Delete { key: key(Kind::Port, "a"), revision: None };
    assert!(world.fabric.confine(&[port]).is_ok());
}

#[test]
fn the_physical_network_is_the_operators() {
    let world = world();
    let sentence = |what: &str, isolation: &str| {
        format!(
            "{what} belongs to a VM network of isolation {isolation}, which is the physical network that all tenants and the \
             hosts share: what is in it is an operator's to change; use a VM network of isolation nvgre, vxlan or geneve, or ask an admin"
        )
    };
    for (yaml, what, isolation) in [
        ("{kind: vm-network, name: N, spec: {logicalNetwork: Office, isolation: vlan}}", "VM network N", "vlan"),
        ("{kind: vm-network, name: N, spec: {logicalNetwork: Office, isolation: none}}", "VM network N", "none"),
        ("{kind: vm-network, name: AAA, spec: {logicalNetwork: TDIv2, isolation: none}}", "VM network AAA", "none"),
        ("{kind: vm-network, name: floor, spec: {logicalNetwork: Office}}", "VM network floor", "vlan"),
        ("{kind: vm-subnet, name: s, spec: {vmNetwork: floor, vlan: 43}}", "VM subnet s", "vlan"),
        ("{kind: vm-subnet, name: desk, spec: {vmNetwork: floor, vlan: 43}}", "VM subnet desk", "vlan"),
        ("{kind: vm-subnet, name: desk, spec: {vmNetwork: AAA, prefixes: [172.16.0.0/16]}}", "VM subnet desk", "vlan"),
        ("{kind: vm-subnet, name: test, spec: {vmNetwork: bare}}", "VM subnet test", "none"),
        ("{kind: ip-pool, name: p, spec: {vmSubnet: desk, ranges: [172.16.2.0-172.16.2.9]}}", "IP pool p", "vlan"),
    ] {
        assert_eq!(confined(&world, yaml), [sentence(what, isolation)], "{yaml}");
    }
    for (kind, name) in [(Kind::VmNetwork, "floor"), (Kind::VmSubnet, "desk"), (Kind::IpPool, "desks")] {
        let delete = Change::Delete { key: key(kind, name), revision: None };
        assert_eq!(world.fabric.confine(&[delete]).unwrap_err().len(), 1);
    }
}

#[test]
fn a_port_is_plugged_and_named_on_the_physical_network_by_an_operator() {
    let world = world();
    for (yaml, begin) in [
        ("{kind: port, name: x, spec: {host: host15}}", "port x: host says which device"),
        ("{kind: port, name: x, spec: {device: docker0}}", "port x: device says which device"),
        ("{kind: port, name: x, spec: {anyHost: true}}", "port x: anyHost says which device"),
        ("{kind: port, name: test01, spec: {host: host15, vmNetwork: AAA}}", "port test01: host says"),
        ("{kind: port, name: test01, spec: {vmNetwork: AAA}}", "port test01: host says"),
        ("{kind: port, name: test01, spec: {host: host16, device: eth7, vmNetwork: AAA}}", "port test01: device says"),
        ("{kind: port, name: b, spec: {vmNetwork: floor, mac: 06-06-00-00-00-05}}", "port b: mac is an operator's"),
        (
            "{kind: port, name: b, spec: {vmNetwork: floor, addresses: [172.16.0.1]}}",
            "port b: addresses is an operator's",
        ),
        ("{kind: port, name: b, spec: {vmNetwork: floor, addressing: learnt}}", "port b: addressing is an operator's"),
    ] {
        let sentences = confined(&world, yaml);
        assert!(sentences.len() == 1 && sentences[0].starts_with(begin), "{yaml}: {sentences:?}");
        assert!(sentences[0].ends_with("leave it as it is, or ask an admin"), "{sentences:?}");
    }
}

#[test]
fn numbers_that_all_share_are_the_operators() {
    let world = world();
    for (yaml, field) in [
        ("{kind: vm-subnet, name: s, spec: {vmNetwork: AAA, prefixes: [10.0.0.0/24], vsid: 5001}}", "vsid"),
        (
            "{kind: vm-network, name: N, spec: {logicalNetwork: TDIv2, rdid: 11111111-2222-3333-4444-000000005001}}",
            "rdid",
        ),
    ] {
        let sentences = confined(&world, yaml);
        assert!(
            sentences[0].contains(&format!(": {field} is a number that all tenants and hosts share")),
            "{sentences:?}"
        );
    }
}

#[test]
fn what_another_tenant_has_is_taken_and_not_told() {
    let mut world = World::new();
    world.apply(
        "{kind: tenant, name: red}\n---\n{kind: port, tenant: red, name: secret, spec: {mac: 06-06-00-00-00-05}}",
    );
    let refused = world.refused("{kind: port, name: x, spec: {mac: 06-06-00-00-00-05}}");
    assert_eq!(refused, ["port x: MAC address 06-06-00-00-00-05 belongs to another tenant already; choose another"]);
    let refused = world.refused("{kind: port, tenant: red, name: x, spec: {mac: 06-06-00-00-00-05}}");
    assert!(refused[0].contains("belongs to port secret of tenant red already"), "{refused:?}");
}

#[test]
fn a_vsid_rests_before_another_subnet_has_it() {
    let subnet =
        |name: &str| format!("{{kind: vm-subnet, name: {name}, spec: {{vmNetwork: AAA, prefixes: [10.0.0.0/24]}}}}");
    let mut world = World::new();
    world.apply("{kind: vm-network, name: AAA, spec: {logicalNetwork: TDIv2}}");
    let vsid = |world: &World, name: &str| world.get(Kind::VmSubnet, name).allocation.vsid.unwrap().get();
    // A dry run uses nothing up, neither of what it makes nor of what it deletes.
    for _ in 0..2 {
        let dry = world.apply(&subnet("a"));
        assert_eq!(vsid(&world, "a"), 4096);
        world.fabric.undo(&dry);
    }
    world.apply(&subnet("a"));
    let dry = world.delete(Kind::VmSubnet, "a").unwrap();
    world.fabric.undo(&dry);
    assert_eq!(world.fabric.retired.oldest().count(), 0);
    world.delete(Kind::VmSubnet, "a").unwrap();
    world.apply(&subnet("b"));
    assert_eq!(vsid(&world, "b"), 4097);
    world.delete(Kind::VmSubnet, "b").unwrap();
    // An operator who names it knows.
    world.apply("{kind: vm-subnet, name: c, spec: {vmNetwork: AAA, prefixes: [10.0.0.0/24], vsid: 4096}}");
    assert_eq!(vsid(&world, "c"), 4096);
}

#[test]
fn a_text_for_the_reader_has_a_limit() {
    let mut world = World::new();
    let network = |count: usize| {
        format!("{{kind: vm-network, name: N, spec: {{logicalNetwork: TDIv2, description: {}}}}}", "ü".repeat(count))
    };
    world.apply(&network(crate::fabric::MAX_TEXT));
    let refused = world.refused(&network(crate::fabric::MAX_TEXT + 1));
    assert_eq!(refused, ["VM network N has 1025 characters in its description; at most 1024 are possible"]);
}

#[test]
fn how_much_of_the_network_a_tenant_uses_is_the_operators_to_say() {
    let mut world = world();
    let sentence = |what: &str| {
        format!(
            "{what}: limits say how much of the network that all tenants share it may use, and are an operator's to choose; \
             leave them as they are, or ask an admin"
        )
    };
    let port = |limits: &str| {
        format!("{{kind: port, name: test01, spec: {{host: host16, vmNetwork: AAA, limits: {limits}}}}}")
    };
    let network =
        |limits: &str| format!("{{kind: vm-network, name: AAA, spec: {{logicalNetwork: TDIv2, limits: {limits}}}}}");
    let (slow, fast) = ("{egress: {bandwidth: 10 Mbit/s}}", "{egress: {bandwidth: 10 Gbit/s}}");
    assert_eq!(confined(&world, &port(slow)), [sentence("port test01")]);
    assert_eq!(confined(&world, &network(slow)), [sentence("VM network AAA")]);
    world.apply(&port(slow));
    world.apply(&network(slow));
    assert_eq!((confined(&world, &port(slow)), confined(&world, &network(slow))), (vec![], vec![]));
    for limits in [fast, "{}"] {
        assert_eq!(confined(&world, &port(limits)), [sentence("port test01")], "{limits}");
        assert_eq!(confined(&world, &network(limits)), [sentence("VM network AAA")], "{limits}");
    }
}

#[test]
fn connections_of_gateways_that_a_tenant_makes() {
    use super::gateways::connection;
    let mut world = super::gateways::world();
    world.apply("{kind: tenant, name: blue}\n---\n{kind: vm-network, tenant: blue, name: n, spec: {logicalNetwork: TDIv2}}\n---\n{kind: vm-subnet, tenant: blue, name: s, spec: {vmNetwork: n, prefixes: [10.0.0.0/24]}}\n---\n{kind: gateway-connection, tenant: blue, name: c, spec: {vmNetwork: n, gateway: gw, nat: {}}}");
    world.apply(&connection("mine", "nat: {addresses: [203.0.113.50], limits: {connections: 9}}"));
    world.apply(&connection("company", "routing: {}"));
    for own in [
        connection("site", "ipsec: {remote: 198.51.100.1, psk: x}"),
        connection("names", "dns: {}"),
        // What an operator has chosen stays, and by name a tenant uses what it has.
        connection(
            "mine",
            "nat: {addresses: [203.0.113.50], limits: {connections: 9}, forwards: [{protocol: tcp, ports: 80, external: 203.0.113.50, internal: 10.10.1.100}]}",
        ),
        connection("company", "routing: {}"),
    ] {
        assert_eq!(confined(&world, &own), [""; 0], "{own}");
    }
    for (change, wanted) in [
        (
            connection("other", "routing: {}"),
            "gateway connection other: a connection of routing makes what a tenant says known",
        ),
        (
            connection("company", "routing: {}, bgp: {localAs: 1, neighbors: []}"),
            "gateway connection company: a connection of routing makes what a tenant says known",
        ),
        (
            connection("mine", "nat: {}, limits: {egress: {bandwidth: 1 Gbit/s}}"),
            "gateway connection mine: limits say how much",
        ),
        (
            connection("mine", "nat: {addresses: [203.0.113.50]}"),
            "gateway connection mine: limits of NAT keeps tenants in bounds",
        ),
        (
            connection("mine", "nat: {addresses: [203.0.113.50], limits: {connections: 9}, log: true}"),
            "gateway connection mine: log of NAT keeps tenants in bounds",
        ),
        // Free, and another tenant's: one is not told which.
        (
            connection("new", "nat: {addresses: [203.0.113.51]}"),
            "gateway connection new: address 203.0.113.51 outside is not one that the tenant has",
        ),
        (
            connection("new", "nat: {addresses: [203.0.113.10]}"),
            "gateway connection new: address 203.0.113.10 outside is not one that the tenant has",
        ),
        (
            connection("new", "nat: {translations: [{internal: 'fd00::/64', external: 'fd98::/64'}]}"),
            "gateway connection new: prefix fd98::/64 outside is not one that the tenant has",
        ),
    ] {
        let said = confined(&world, &change);
        assert!(said.len() == 1 && said[0].starts_with(wanted), "{change}: {said:?}");
    }
}
