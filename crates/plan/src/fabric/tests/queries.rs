//! What can be asked of a fabric.

use std::collections::BTreeSet;

use model::fabric::{Kind, ResourceName};

use super::{AAA, PHYSICAL, World, key};
use crate::fabric::TopicId;

fn names(names: &[&str]) -> BTreeSet<ResourceName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn world() -> World {
    let mut world = World::new();
    world.apply(AAA);
    world.apply(PHYSICAL);
    world.apply(
        "{kind: customer-route, name: r, spec: {vmNetwork: AAA, prefix: 10.0.0.0/8, nextHop: 10.10.0.9}}
---
{kind: port, name: t2, spec: {host: host15, vmNetwork: AAA}}
---
{kind: port, name: desk, spec: {host: host17, vmNetwork: floor}}
---
{kind: ip-pool, name: desk, spec: {vmSubnet: desk, ranges: [172.16.0.5]}}
---
{kind: port, name: nowhere, spec: {vmNetwork: AAA}}",
    );
    world
}

#[test]
fn which_host_needs_what() {
    let mut world = world();
    let needing = |world: &World, kind, name: &str| world.fabric.hosts_needing(&key(kind, name));
    let both = names(&["host15", "host16"]);
    for (kind, name) in [
        (Kind::VmNetwork, "AAA"),
        (Kind::VmSubnet, "test"),
        (Kind::IpPool, "CA Pool"),
        (Kind::CustomerRoute, "r"),
        (Kind::Port, "t2"),
        (Kind::LogicalNetwork, "TDIv2"),
    ] {
        assert_eq!(needing(&world, kind, name), both, "{kind} {name}");
    }
    for (kind, name) in [(Kind::Port, "desk"), (Kind::VmSubnet, "desk"), (Kind::IpPool, "desk"), (Kind::Host, "host17")]
    {
        assert_eq!(needing(&world, kind, name), names(&["host17"]), "{kind} {name}");
    }
    for (kind, name) in [
        (Kind::Port, "nowhere"),
        (Kind::Tenant, "default"),
        (Kind::MacPool, "default"),
        (Kind::VmSubnet, "open"),
        (Kind::Port, "none"),
    ] {
        assert_eq!(needing(&world, kind, name), names(&[]), "{kind} {name}");
    }
    let rdid = world.get(Kind::VmNetwork, "AAA").allocation.rdid.unwrap();
    let subscriptions = world.fabric.subscriptions(&"host15".parse().unwrap());
    assert_eq!(subscriptions, [TopicId::Host("host15".parse().unwrap()), TopicId::Network(rdid)].into());
    let subscribers: BTreeSet<ResourceName> = world.fabric.subscribers(&TopicId::Network(rdid)).cloned().collect();
    assert_eq!(subscribers, both);
    assert_eq!(world.fabric.subscribers(&TopicId::Host("host17".parse().unwrap())).count(), 1);
    assert_eq!(world.fabric.subscribers(&TopicId::Host("host99".parse().unwrap())).count(), 0);
    // The physical ones have no topic of their own.
    let floor = world.get(Kind::VmNetwork, "floor").allocation.rdid.unwrap();
    assert_eq!(world.fabric.subscribers(&TopicId::Network(floor)).count(), 0);
    world.delete(Kind::Port, "t2").unwrap();
    assert_eq!(needing(&world, Kind::VmNetwork, "AAA"), names(&["host16"]));
    assert_eq!(world.fabric.subscriptions(&"host15".parse().unwrap()).len(), 1);
}

#[test]
fn who_uses_what() {
    let world = world();
    let users =
        |kind, name: &str| world.fabric.users_of(&key(kind, name)).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(users(Kind::IpPool, "CA Pool"), ["port \"nowhere\"", "port \"t2\"", "port \"test01\""]);
    assert_eq!(
        users(Kind::VmSubnet, "test"),
        ["ip-pool \"CA Pool\"", "customer-route \"r\"", "port \"nowhere\"", "port \"t2\"", "port \"test01\""]
    );
    assert_eq!(users(Kind::MacPool, "default").len(), 4);
    assert_eq!(users(Kind::Host, "host17"), ["port \"desk\""]);
    assert_eq!(
        users(Kind::LogicalNetwork, "Office"),
        ["host \"host17\"", "vm-network \"bare\"", "vm-network \"floor\""]
    );
    assert_eq!(users(Kind::Port, "t2").len() + users(Kind::Port, "none").len(), 0);
}

#[test]
fn lists_are_in_the_order_of_tenant_and_name() {
    let mut world = world();
    world.apply("{kind: tenant, name: blue}\n---\n{kind: port, tenant: blue, name: z}");
    let all: Vec<String> = world.fabric.of_kind(Kind::Port, None).map(|port| port.key().to_string()).collect();
    assert_eq!(
        all,
        ["port \"z\" of tenant \"blue\"", "port \"desk\"", "port \"nowhere\"", "port \"t2\"", "port \"test01\""]
    );
    let default = ResourceName::default_tenant();
    assert_eq!(world.fabric.of_kind(Kind::Port, Some(&default)).count(), 4);
    assert_eq!(world.fabric.of_kind_after(&key(Kind::Port, "nowhere")).count(), 2);
    assert_eq!(world.fabric.count(Kind::Port), 5);
    assert_eq!(world.fabric.of_kind(Kind::Host, Some(&default)).count(), 3);
    assert_eq!(world.fabric.len(), world.fabric.iter().count());
    assert!(!world.fabric.is_empty() && super::Fabric::default().is_empty());
}

#[test]
fn how_full_pools_are() {
    let world = world();
    let usage = |kind, name: &str| world.fabric.pool_usage(&key(kind, name));
    assert_eq!(usage(Kind::IpPool, "CA Pool"), Some((3, 31)));
    assert_eq!(usage(Kind::IpPool, "desk"), Some((1, 1)));
    assert_eq!(usage(Kind::MacPool, "default"), Some((4, 0xf4_1fff - 0xb7_1c00 + 1)));
    assert_eq!(usage(Kind::LogicalNetwork, "TDIv2"), None);
    assert_eq!((usage(Kind::Port, "t2"), usage(Kind::IpPool, "none")), (None, None));
    assert_eq!(
        world
            .fabric
            .gateways(&key(Kind::VmSubnet, "test"))
            .into_iter()
            .chain(world.fabric.gateways(&key(Kind::VmSubnet, "desk")))
            .map(|address| address.to_string())
            .collect::<Vec<_>>(),
        ["10.10.0.1", "172.16.0.254"]
    );
}
