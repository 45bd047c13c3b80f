//! What is given, and that it stays.

use model::fabric::Kind;
use model::{RoutingDomainId, Vsid};

use super::{AAA, PHYSICAL, World, key, resource};
use crate::fabric::{Change, Outcome};

#[test]
fn the_lowest_free_value_is_given() {
    let mut world = World::new();
    let transition = world.apply(AAA);
    assert!(transition.steps.iter().all(|step| step.outcome == Outcome::Created));
    assert_eq!(world.get(Kind::VmSubnet, "test").allocation.vsid, Some(Vsid::MIN));
    assert!(world.get(Kind::VmNetwork, "AAA").allocation.rdid.is_some());
    let port = &world.get(Kind::Port, "test01").allocation;
    assert_eq!(port.mac.unwrap().to_string(), "00-1D-D8-B7-1C-00");
    assert_eq!(
        (port.addresses[0].to_string(), port.vm_subnet.clone().unwrap().to_string()),
        ("10.10.1.100".into(), "test".into())
    );
    let host = &world.get(Kind::Host, "host16").allocation;
    assert_eq!(host.provider_addresses, ["192.168.4.16/24".parse().unwrap()]);
    world.apply("{kind: port, name: b, spec: {vmNetwork: AAA}}\n---\n{kind: port, name: c, spec: {vmNetwork: AAA}}");
    assert_eq!(
        (world.addresses("b"), world.addresses("c")),
        (vec!["10.10.1.101".into()], vec!["10.10.1.102".to_owned()])
    );
    // What is free again is given again.
    world.delete(Kind::Port, "b").unwrap();
    world.apply("{kind: port, name: d, spec: {vmNetwork: AAA}}");
    assert_eq!(world.addresses("d"), ["10.10.1.101"]);
    // What somebody names is passed over.
    world.apply("{kind: port, name: e, spec: {vmNetwork: AAA, vmSubnet: test, addresses: [10.10.1.103]}}\n---\n{kind: vm-subnet, name: s, spec: {vmNetwork: AAA, prefixes: [10.0.0.0/24], vsid: 4097}}");
    world.apply("{kind: port, name: f, spec: {vmNetwork: AAA, vmSubnet: test}}\n---\n{kind: vm-subnet, name: t, spec: {vmNetwork: AAA, prefixes: [10.1.0.0/24]}}");
    assert_eq!(world.addresses("f"), ["10.10.1.104"]);
    assert_eq!(world.get(Kind::VmSubnet, "t").allocation.vsid.unwrap().get(), 4098);
}

#[test]
fn within_one_set_what_is_named_comes_before_what_is_given() {
    let mut world = World::new();
    world.apply(AAA);
    world.apply(
        "{kind: port, name: a, spec: {vmNetwork: AAA}}
---
{kind: port, name: b, spec: {vmNetwork: AAA, addresses: [10.10.1.101], mac: 00-1D-D8-B7-1C-01}}",
    );
    assert_eq!(world.addresses("a"), ["10.10.1.102"]);
    // Two ports exchange addresses and devices in one set.
    world.apply(
        "{kind: port, name: a, spec: {host: host15, device: x, vmNetwork: AAA, addresses: [10.10.1.120]}}
---
{kind: port, name: b, spec: {host: host15, device: y, vmNetwork: AAA, addresses: [10.10.1.121]}}",
    );
    let transition = world.apply(
        "{kind: port, name: a, spec: {host: host15, device: y, vmNetwork: AAA, addresses: [10.10.1.121]}}
---
{kind: port, name: b, spec: {host: host15, device: x, vmNetwork: AAA, addresses: [10.10.1.120]}}",
    );
    assert_eq!(
        (world.addresses("a"), world.addresses("b")),
        (vec!["10.10.1.121".into()], vec!["10.10.1.120".to_owned()])
    );
    assert_eq!((transition.claimed.len(), transition.released.len()), (4, 4));
}

#[test]
fn what_was_given_stays() {
    let mut world = World::new();
    world.apply(AAA);
    world.apply("{kind: port, name: a, spec: {vmNetwork: AAA}}");
    let (mac, rdid) = (world.get(Kind::Port, "a").allocation.mac, world.get(Kind::VmNetwork, "AAA").allocation.rdid);
    // test01 leaves 10.10.1.100 free; nobody moves there.
    world.delete(Kind::Port, "test01").unwrap();
    world.apply("{kind: port, name: a, spec: {host: host15, vmNetwork: AAA, vmName: web}}");
    world.apply("{kind: vm-network, name: AAA, spec: {logicalNetwork: TDIv2, description: the blue one}}");
    assert_eq!((world.addresses("a"), world.get(Kind::Port, "a").allocation.mac), (vec!["10.10.1.101".into()], mac));
    assert_eq!(world.get(Kind::VmNetwork, "AAA").allocation.rdid, rdid);
    // The same again is no change.
    let again = world.apply("{kind: port, name: a, spec: {host: host15, vmNetwork: AAA, vmName: web}}");
    assert_eq!(again.steps[0].outcome, Outcome::Unchanged);
    assert!(again.topics.is_empty() && again.claimed.is_empty() && again.also.is_empty());
}

#[test]
fn who_moves_to_another_subnet_keeps_its_mac_alone() {
    let mut world = World::new();
    world.apply(AAA);
    world.apply(
        "{kind: vm-subnet, name: test02, spec: {vmNetwork: AAA, prefixes: [172.16.0.0/16]}}
---
{kind: ip-pool, name: Other, spec: {vmSubnet: test02, ranges: [172.16.0.10-172.16.0.20]}}",
    );
    let mac = world.get(Kind::Port, "test01").allocation.mac;
    // A second subnet does not move a port that names none.
    world.apply("{kind: port, name: test01, spec: {host: host15, vmNetwork: AAA}}");
    assert_eq!(world.addresses("test01"), ["10.10.1.100"]);
    world.apply("{kind: port, name: test01, spec: {host: host15, vmNetwork: AAA, vmSubnet: test02}}");
    assert_eq!(
        (world.addresses("test01"), world.get(Kind::Port, "test01").allocation.mac),
        (vec!["172.16.0.10".into()], mac)
    );
    world.apply("{kind: port, name: test01, spec: {host: host15}}");
    assert_eq!((world.addresses("test01").len(), world.get(Kind::Port, "test01").allocation.mac), (0, mac));
}

#[test]
fn a_pool_that_comes_later_gives_to_all() {
    let mut world = World::new();
    world.apply(AAA);
    world.apply("{kind: port, name: b, spec: {vmNetwork: AAA}}");
    world.apply("{kind: vm-subnet, name: test, spec: {vmNetwork: AAA, prefixes: [10.10.0.0/16, 'fd00::/64']}}");
    let transition = world.apply("{kind: ip-pool, name: six, spec: {vmSubnet: test, ranges: ['fd00::-fd00::2']}}");
    // fd00:: is the subnet-router anycast address and fd00::1 the gateway, so there is one for two ports.
    assert_eq!(
        (world.addresses("b"), world.addresses("test01")),
        (vec!["10.10.1.101".to_owned(), "fd00::2".into()], vec!["10.10.1.100".into()])
    );
    assert_eq!(transition.also.len(), 1);
    let findings: Vec<String> = transition.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        findings,
        [
            "port test01 has no address of IP pool six, which is exhausted; add a range to it, or a pool: \"netvirt create ip-pool NAME \
          --vm-subnet test --range FIRST-LAST\""
        ]
    );
    assert_eq!(world.fabric.pool_usage(&key(Kind::IpPool, "six")), Some((1, 1)));
}

#[test]
fn physical_networks_may_have_no_pool() {
    let mut world = World::new();
    world.apply(PHYSICAL);
    world.apply("{kind: port, name: a, spec: {host: host17, vmNetwork: bare}}");
    assert!(world.addresses("a").is_empty());
    assert_eq!(world.get(Kind::VmSubnet, "desk").allocation.vsid, None);
    world.apply("{kind: ip-pool, name: desk, spec: {vmSubnet: desk, ranges: [172.16.0.253-172.16.0.255]}}");
    world.apply("{kind: port, name: b, spec: {host: host17, vmNetwork: floor}}\n---\n{kind: port, name: c, spec: {host: host17, vmNetwork: floor}}");
    // The router has 172.16.0.254.
    assert_eq!(
        (world.addresses("b"), world.addresses("c")),
        (vec!["172.16.0.253".into()], vec!["172.16.0.255".to_owned()])
    );
}

#[test]
fn provider_addresses() {
    let mut world = World::new();
    let given = |world: &World, host: &str| {
        world.get(Kind::Host, host).allocation.provider_addresses.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    // A pool that comes later moves no host, and addresses that uplinks have are not drawn.
    world.apply("{kind: logical-network, name: TDIv2, spec: {networkVirtualization: true, providerPools: [{name: pa, prefix: 192.168.4.0/24, ranges: [192.168.4.15-192.168.4.20]}]}}");
    assert_eq!(given(&world, "host15"), ["192.168.4.15/24"]);
    let host = |name: &str, addresses: &str| {
        format!(
            "{{kind: host, name: {name}, spec: {{uplinks: [{{interface: eth0, addresses: [{addresses}], logicalNetworks: [TDIv2]}}]}}}}"
        )
    };
    world.apply(&host("h1", "192.168.4.17/24"));
    assert_eq!(given(&world, "h1"), ["192.168.4.18/24"]);
    assert_eq!(world.fabric.pool_usage(&key(Kind::LogicalNetwork, "TDIv2")), Some((3, 6)));
    // Elsewhere it is the uplink's own, IPv4 before IPv6, and link-local addresses are none.
    world.apply(&host("h2", "'fe80::5/64', 'fd00::5/64', 10.0.0.5/24"));
    assert_eq!(given(&world, "h2"), ["10.0.0.5/24"]);
    world.apply(&host("h2", "'fe80::5/64', 'fd00::5/64'"));
    assert_eq!(given(&world, "h2"), ["fd00::5/64"]);
    world.apply(&host("h3", "'fe80::6/64'"));
    assert!(given(&world, "h3").is_empty());
}

#[test]
fn identifiers_that_are_taken_are_asked_for_again() {
    let mut world = World::new();
    let mut uuids = [7_u128, 7, 0, 9].into_iter();
    world.apply(
        "{kind: vm-network, name: AAA, spec: {logicalNetwork: TDIv2, rdid: 00000000-0000-0000-0000-000000000007}}",
    );
    let mut uuid = || uuid::Uuid::from_u128(uuids.next().unwrap());
    let network = resource("{kind: vm-network, name: BBB, spec: {logicalNetwork: TDIv2}}");
    let context = crate::fabric::Context { revision: 9, now: 9, uuid: &mut uuid };
    world.fabric.change(&[Change::Create(network)], context).unwrap();
    let nine = RoutingDomainId::new(uuid::Uuid::from_u128(9)).unwrap();
    assert_eq!(world.get(Kind::VmNetwork, "BBB").allocation.rdid, Some(nine));
}

/// Creating a port costs about the same however many there are: the last 2,000 of 20,000 as the first 2,000, with room
/// for a busy machine.
#[test]
fn the_lowest_free_address_is_found_among_many() {
    let mut world = World::new();
    world.apply(
        "{kind: vm-network, name: big, spec: {logicalNetwork: TDIv2}}
---
{kind: vm-subnet, name: big, spec: {vmNetwork: big, prefixes: [10.0.0.0/8]}}
---
{kind: ip-pool, name: big, spec: {vmSubnet: big, ranges: [10.0.0.0-10.255.255.255]}}",
    );
    let port = resource("{kind: port, name: p, spec: {vmNetwork: big}}");
    let create = |world: &mut World, numbers: std::ops::Range<usize>| {
        let start = std::time::Instant::now();
        for number in numbers {
            let port = model::fabric::Resource { name: format!("p{number}").parse().unwrap(), ..port.clone() };
            world.change(&[Change::Create(port)]).unwrap();
        }
        start.elapsed()
    };
    let first = create(&mut world, 0..2_000);
    create(&mut world, 2_000..18_000);
    let last = create(&mut world, 18_000..20_000);
    assert!(last < first * 8, "the first 2,000 took {first:?}, the last {last:?}");
    assert_eq!(world.addresses("p19999"), ["10.0.78.33"]);
    world.delete(Kind::Port, "p777").unwrap();
    create(&mut world, 20_000..20_001);
    assert_eq!(world.addresses("p20000"), ["10.0.3.11"]);
    assert_eq!(world.fabric.pool_usage(&key(Kind::IpPool, "big")), Some((20_000, (1 << 24) - 3)));
}
