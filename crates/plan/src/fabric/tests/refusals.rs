//! Every refusal, as the whole sentence that an operator reads.

use model::fabric::{AddressRange, Kind};

use super::{AAA, BASE, PHYSICAL, World, key, puts, resource};
use crate::fabric::{Change, MAX_ENTRIES, MAX_HOST_PORTS, MAX_OBJECTS, Refusal, RefusalSort, Users};

/// A world with the networks of most tests.
pub(super) fn world() -> World {
    let mut world = World::new();
    world.apply(AAA);
    world.apply(PHYSICAL);
    world
}

/// Applied to that world, the text is refused with just this sentence.
#[track_caller]
pub(super) fn refused(yaml: &str, sentence: &str) {
    assert_eq!(world().refused(yaml), [sentence], "{yaml}");
}

#[test]
fn the_tour_names_the_command_that_mends_it() {
    let mut world = World::new();
    world.apply("{kind: port, name: test01, spec: {host: host16}}");
    world.apply("{kind: vm-network, name: AAA, spec: {logicalNetwork: TDIv2}}");
    let moved = "{kind: port, name: test01, spec: {host: host16, vmNetwork: AAA}}";
    assert_eq!(
        world.refused(moved),
        ["VM network AAA has no VM subnet; create one with \"netvirt create vm-subnet NAME --vm-network AAA --prefix \
             10.0.0.0/24\""]
    );
    world.apply("{kind: vm-subnet, name: test, spec: {vmNetwork: AAA, prefixes: [10.10.0.0/16]}}");
    assert_eq!(
        world.refused(moved),
        ["VM subnet test of VM network AAA has no IP pool; create one with \"netvirt create ip-pool NAME --vm-subnet \
             test --range 10.10.0.100-10.10.0.199\""]
    );
    world.apply("{kind: ip-pool, name: CA Pool, spec: {vmSubnet: test, ranges: [10.10.1.100-10.10.1.130]}}");
    world.apply(moved);
    assert_eq!(world.addresses("test01"), ["10.10.1.100"]);
}

#[test]
fn the_command_names_the_tenant_where_there_is_one() {
    let mut world = World::new();
    world.apply("{kind: tenant, name: blue team}\n---\n{kind: vm-network, tenant: blue team, name: B B, spec: {logicalNetwork: TDIv2}}");
    let port = "{kind: port, tenant: blue team, name: x, spec: {host: host15, vmNetwork: B B}}";
    assert_eq!(
        world.refused(port),
        ["VM network B B of tenant blue team has no VM subnet; create one with \"netvirt create vm-subnet NAME \
             --vm-network 'B B' --tenant 'blue team' --prefix 10.0.0.0/24\""]
    );
    world.apply("{kind: vm-subnet, tenant: blue team, name: s s, spec: {vmNetwork: B B, prefixes: ['fd00::/64']}}");
    assert_eq!(
        world.refused(port),
        ["VM subnet s s of tenant blue team of VM network B B of tenant blue team has no IP pool; create one with \
             \"netvirt create ip-pool NAME --vm-subnet 's s' --tenant 'blue team' --range fd00::64-fd00::c7\""]
    );
}

#[test]
fn what_the_present_is_not() {
    let mut world = world();
    let test01 = resource("{kind: port, name: test01, spec: {host: host16, vmNetwork: AAA}}");
    let missing = resource("{kind: port, name: test09, spec: {}}");
    assert_eq!(
        world.refused_changes(&[Change::Create(test01.clone())]),
        ["port test01 exists already; change it with \"netvirt set port test01\""]
    );
    assert_eq!(
        world.refused_changes(&[Change::Replace { resource: missing.clone(), revision: None }]),
        ["there is no port test09; \"netvirt get ports\" lists what there is"]
    );
    assert_eq!(
        world.refused_changes(&[Change::Put { resource: missing, revision: Some(3) }]),
        ["there is no port test09; \"netvirt get ports\" lists what there is"]
    );
    assert_eq!(
        world.refused_changes(&[Change::Delete { key: test01.key(), revision: Some(1) }]),
        [
            "port test01 has revision 2, not 1: somebody changed it meanwhile; look at it with \"netvirt get port test01\" \
             and try again"
        ]
    );
    let delete = Change::Delete { key: test01.key(), revision: None };
    assert_eq!(
        world.refused_changes(&[Change::Put { resource: test01, revision: None }, delete]),
        ["port test01 is changed twice in one set of changes; keep one of the two"]
    );
}

#[test]
fn names_that_lead_nowhere() {
    refused(
        "{kind: port, name: x, spec: {vmNetwork: CCC}}",
        "port x names VM network CCC, which does not exist; create it with \"netvirt create vm-network CCC\"",
    );
    refused(
        "{kind: port, name: x, spec: {host: host99}}",
        "port x names host host99, which does not exist; it comes into being by \"netvirt host join\"",
    );
    refused(
        "{kind: vm-network, tenant: red, name: x, spec: {logicalNetwork: TDIv2}}",
        "VM network x of tenant red names tenant red, which does not exist; create it with \"netvirt create tenant red\"",
    );
    refused(
        "{kind: port, name: x, spec: {host: host15, vmNetwork: AAA, ipPool: Other Pool}}",
        "port x names IP pool Other Pool, which does not exist; create it with \"netvirt create ip-pool 'Other Pool'\"",
    );
}

#[test]
fn what_is_in_use_cannot_be_deleted() {
    let mut world = world();
    for number in 2..14 {
        world.apply(&format!("{{kind: port, name: test{number:02}, spec: {{vmNetwork: AAA}}}}"));
    }
    let sentence = |world: &mut World, kind, name: &str| {
        let delete = [Change::Delete { key: key(kind, name), revision: None }];
        world.refused_changes(&delete).join("\n")
    };
    assert_eq!(
        sentence(&mut world, Kind::IpPool, "CA Pool"),
        "IP pool CA Pool is in use by port test01, port test02, port test03, port test04, port test05, port test06, port \
         test07, port test08, port test09, port test10 and 3 more; delete or change these first"
    );
    assert_eq!(
        sentence(&mut world, Kind::Host, "host16"),
        "host host16 is in use by port test01; delete or change these first"
    );
    assert_eq!(
        sentence(&mut world, Kind::LogicalNetwork, "TDIv2"),
        "logical network TDIv2 is in use by host host15, host host16, VM network AAA; delete or change these first"
    );
    world.apply("{kind: customer-route, name: r, spec: {vmNetwork: AAA, prefix: 0.0.0.0/0, nextHop: 10.10.7.7}}");
    assert!(
        sentence(&mut world, Kind::VmSubnet, "test")
            .starts_with("VM subnet test is in use by IP pool CA Pool, customer route r, port test01,")
    );
    assert!(
        sentence(&mut world, Kind::Tenant, "default")
            .starts_with("tenant default is in use by VM network AAA, VM network bare,")
    );
    assert!(sentence(&mut world, Kind::MacPool, "default").starts_with("MAC pool default is in use by port test01,"));
    // Together with its users it can go, in whatever order they are named.
    world.apply("{kind: tenant, name: red}");
    world.apply("{kind: port, tenant: red, name: x}");
    let go = [Kind::Tenant, Kind::Port].map(|kind| {
        let name = if kind == Kind::Port { "x" } else { "red" };
        Change::Delete {
            key: model::fabric::Key::new(kind, Some("red".parse().unwrap()), name.parse().unwrap()),
            revision: None,
        }
    });
    world.change(&go).unwrap();
}

#[test]
fn what_others_stand_on_is_fixed() {
    refused(
        "{kind: vm-network, name: AAA, spec: {logicalNetwork: TDIv2, rdid: 11111111-2222-3333-4444-000000005001}}",
        "the RDID of VM network AAA cannot change while it is in use by VM subnet test, port test01; delete these first, or \
         create another VM network",
    );
    refused(
        "{kind: vm-subnet, name: test, spec: {vmNetwork: AAA, prefixes: [10.10.0.0/16], vsid: 5001}}",
        "the VSID of VM subnet test cannot change while it is in use by port test01; delete these first, or create another \
         VM subnet",
    );
    assert!(
        world().refused("{kind: vm-network, name: AAA, spec: {logicalNetwork: Office, isolation: vlan}}")[0]
            .starts_with(
                "the logical network of VM network AAA cannot change while it is in use by VM subnet test, port test01;"
            )
    );
    let mut world = world();
    world.apply("{kind: vm-subnet, name: more, spec: {vmNetwork: AAA, prefixes: [10.11.0.0/16, 10.12.0.0/16]}}");
    world.apply("{kind: ip-pool, name: More, spec: {vmSubnet: more, ranges: [10.11.0.5]}}");
    world.apply("{kind: port, name: y, spec: {vmNetwork: AAA, vmSubnet: more, ipPool: More}}");
    let refused = world.refused("{kind: ip-pool, name: More, spec: {vmSubnet: test, ranges: [10.10.0.5]}}");
    let both = [
        "IP pool More: the new ranges would leave out what is in use by port y; keep it, or change these first",
        "the VM subnet of IP pool More cannot change while it is in use by port y; delete these first, or create another IP pool",
    ];
    assert_eq!(refused, both);
}

#[test]
fn what_was_given_stays_legal() {
    let out =
        |what: &str| format!("{what} would leave out what is in use by port test01; keep it, or change these first");
    refused(
        "{kind: ip-pool, name: CA Pool, spec: {vmSubnet: test, ranges: [10.10.1.101-10.10.1.130]}}",
        &out("IP pool CA Pool: the new ranges"),
    );
    refused(
        "{kind: ip-pool, name: CA Pool, spec: {vmSubnet: test, ranges: [10.10.1.100-10.10.1.130], reserved: [10.10.1.100]}}",
        &out("IP pool CA Pool: the new ranges"),
    );
    refused(
        "{kind: mac-pool, name: default, spec: {ranges: [00-1D-D8-B7-1C-01..00-1D-D8-F4-1F-FF]}}",
        &out("MAC pool default: the new ranges"),
    );
    refused(
        "{kind: host, name: host16, spec: {uplinks: [{interface: eth0, addresses: [192.168.4.16/24]}]}}",
        &out("host host16: the new uplinks"),
    );
    refused(
        "{kind: vm-subnet, name: test, spec: {vmNetwork: AAA, prefixes: [10.10.0.0/24]}}",
        "VM subnet test: the new prefixes and gateways would leave out what is in use by IP pool CA Pool, port test01; keep \
         it, or change these first",
    );
    refused(
        "{kind: logical-network, name: TDIv2}",
        "logical network TDIv2: network virtualization switched off would leave out what is in use by VM network AAA; keep \
         it, or change these first",
    );
    refused(
        "{kind: logical-network, name: Office}",
        "logical network Office: the new sites would leave out what is in use by VM subnet desk; keep it, or change these first",
    );
    let mut world = world();
    let pool = |range: &str| {
        format!(
            "{{kind: logical-network, name: TDIv2, spec: {{networkVirtualization: true, providerPools: [{{name: a, prefix: 192.168.4.0/24, ranges: [{range}]}}]}}}}"
        )
    };
    world.apply(&pool("192.168.4.100-192.168.4.109"));
    world.apply("{kind: host, name: host18, spec: {uplinks: [{interface: eth0, addresses: [192.168.4.18/24], logicalNetworks: [TDIv2]}]}}");
    assert_eq!(
        world.refused(&pool("192.168.4.101-192.168.4.109")),
        [
            "logical network TDIv2: the new provider pools would leave out what is in use by host host18; keep it, or change these first"
        ]
    );
}

#[test]
fn quotas_and_limits() {
    let mut world = world();
    world.apply("{kind: tenant, name: red, spec: {quota: {ports: 2}}}");
    let port = |name: &str| format!("{{kind: port, tenant: red, name: {name}}}");
    world.apply(&format!("{}\n---\n{}", port("a"), port("b")));
    let full =
        "tenant red has 2 ports, as many as its quota allows; delete some, or raise it with \"netvirt set tenant red\"";
    assert_eq!(world.refused(&port("c")), [full]);
    let lowered = world.apply("{kind: tenant, name: red, spec: {quota: {ports: 1}}}");
    let sentences: Vec<String> = lowered.findings.iter().map(ToString::to_string).collect();
    assert_eq!(sentences, ["tenant red has 2 ports, more than its new quota of 1; it keeps them, but gets no more"]);
    let ranges: Vec<String> = (0..=MAX_ENTRIES).map(|at| format!("10.10.{}.{}", 2 + at / 200, 1 + at % 200)).collect();
    assert_eq!(
        world
            .refused(&format!("{{kind: ip-pool, name: x, spec: {{vmSubnet: test, ranges: [{}]}}}}", ranges.join(", "))),
        ["IP pool x has 257 ranges; at most 256 are possible"]
    );
    assert_eq!(
        Refusal::Full { limit: MAX_OBJECTS }.to_string(),
        "there are 1048576 resources, as many as a controller keeps; delete some that nobody needs"
    );
}

#[test]
fn a_host_has_so_many_ports() {
    let mut world = World::new();
    world.apply(
        "{kind: vm-network, name: big, spec: {logicalNetwork: TDIv2}}
---
{kind: vm-subnet, name: big, spec: {vmNetwork: big, prefixes: [10.0.0.0/16]}}
---
{kind: ip-pool, name: big, spec: {vmSubnet: big, ranges: [10.0.0.0-10.0.255.255]}}",
    );
    let port =
        |number: usize| resource(&format!("{{kind: port, name: p{number}, spec: {{host: host15, vmNetwork: big}}}}"));
    let ports: Vec<Change> = (0..MAX_HOST_PORTS).map(|number| Change::Create(port(number))).collect();
    world.change(&ports).unwrap();
    assert_eq!(
        world.refused_changes(&[Change::Create(port(MAX_HOST_PORTS))]),
        ["host host15 has 4096 connected ports; at most 4095 are possible"]
    );
}

#[test]
fn names_on_hosts() {
    refused(
        "{kind: port, name: a b}",
        "port a b: a host would know it as \"a b\", which has a space in it or more than 63 characters; choose another name",
    );
    refused(
        "{kind: host, name: host 1, spec: {uplinks: [{interface: eth0, addresses: []}]}}",
        "host host 1: a host would know it as \"host 1\", which has a space in it or more than 63 characters; choose another name",
    );
    refused(
        "{kind: port, name: a-name-of-sixteen, spec: {host: host15}}",
        "port a-name-of-sixteen: \"a-name-of-sixteen\" cannot be the name of an interface: 1 to 15 letters, digits, '.', '_' or \
         '-', and not \"lo\"; name the device with \"--device NAME\"",
    );
    refused(
        "{kind: host, name: h, spec: {uplinks: [{interface: lo, addresses: []}]}}",
        "host h: \"lo\" cannot be the name of an interface: 1 to 15 letters, digits, '.', '_' or '-', and not \"lo\"; name the \
         uplink with \"--uplink NAME\"",
    );
    refused(
        "{kind: port, name: x, spec: {host: host15, device: eth0}}",
        "port x: \"eth0\" is an uplink of host host15; a port's device is the tap or veth of one VM: name that with \"--device\"",
    );
    refused(
        "{kind: port, name: x, spec: {vmName: \"a\\tb\"}}",
        "port x: vmName has a control character in it; use letters, digits, spaces and signs",
    );
    refused("{kind: host, name: h}", "host h has no uplink; name at least one with \"--uplink NAME\"");
    refused(
        "{kind: host, name: h, spec: {uplinks: [{interface: a, addresses: []}, {interface: a, addresses: []}]}}",
        "host h: uplink a stands there twice; keep one of the two",
    );
}

#[test]
fn addresses() {
    let port = |rest: &str| format!("{{kind: port, name: x, spec: {{host: host15, {rest}}}}}");
    refused(
        &port("vmNetwork: AAA, addresses: [10.11.0.5]"),
        "port x: address 10.11.0.5 is in none of the prefixes 10.10.0.0/16; choose one inside",
    );
    refused(
        &port("vmNetwork: AAA, addresses: [10.10.0.1]"),
        "port x: address 10.10.0.1 is the gateway, network or broadcast address of VM subnet test; choose another",
    );
    refused(
        &port("vmNetwork: AAA, addresses: [10.10.1.100]"),
        "port x: address 10.10.1.100 belongs to port test01 already; choose another",
    );
    refused(
        &port("vmNetwork: AAA, addresses: [10.10.0.5, 10.10.0.5]"),
        "port x: address 10.10.0.5 stands there twice; keep one of the two",
    );
    refused(
        &port("mac: 00-1D-D8-B7-1C-00"),
        "port x: MAC address 00-1D-D8-B7-1C-00 belongs to port test01 already; choose another",
    );
    refused(
        &port("mac: 02-4E-56-00-00-01"),
        "port x: MAC address 02-4E-56-00-00-01 is the one of every gateway; give the VM another",
    );
    refused(
        "{kind: vm-subnet, name: s, spec: {vmNetwork: AAA, prefixes: [10.0.0.0/24], vsid: 4096}}",
        "VM subnet s: VSID 4096 belongs to VM subnet test already; choose another",
    );
    refused(
        "{kind: host, name: h, spec: {uplinks: [{interface: eth0, addresses: [192.168.4.15/24], logicalNetworks: [TDIv2]}]}}",
        "host h: provider address 192.168.4.15 belongs to host host15 already; choose another",
    );
    refused(
        &port("vmNetwork: AAA, addressing: learnt, addresses: [10.10.0.5]"),
        "port x: with addressing learnt the VM chooses its addresses; leave addresses out, or use addressing pool",
    );
    refused(
        &port("addresses: [10.10.0.5]"),
        "port x names addresses but no VM network; name that with \"netvirt set port x --vm-network NAME\"",
    );
    refused(
        "{kind: customer-route, name: r, spec: {vmNetwork: AAA, prefix: 10.0.0.0/8, nextHop: 10.9.0.1}}",
        "customer route r: next hop 10.9.0.1 is in none of the prefixes 10.10.0.0/16; choose one inside",
    );
    let mut world = world();
    world.apply("{kind: customer-route, name: r, spec: {vmNetwork: AAA, prefix: 10.0.0.0/8, nextHop: 10.10.0.9}}");
    assert_eq!(
        world.refused(
            "{kind: customer-route, name: q, spec: {vmNetwork: AAA, prefix: 10.0.0.0/8, nextHop: 10.10.0.9, metric: 5}}"
        ),
        ["customer route q: the route to 10.0.0.0/8 by 10.10.0.9 belongs to customer route r already; choose another"]
    );
}

#[test]
fn which_subnet_and_which_pool() {
    let mut world = world();
    world.apply("{kind: vm-subnet, name: test02, spec: {vmNetwork: AAA, prefixes: [172.16.0.0/16]}}");
    assert_eq!(
        world.refused("{kind: port, name: x, spec: {vmNetwork: AAA}}"),
        [
            "VM network AAA has several VM subnets (test, test02); say which with \"netvirt set port x --vm-subnet NAME\""
        ]
    );
    assert_eq!(
        world.refused("{kind: port, name: x, spec: {vmNetwork: AAA, vmSubnet: desk}}"),
        ["port x: VM subnet desk belongs to VM network floor, not to VM network AAA; choose one of the latter"]
    );
    assert_eq!(
        world.refused("{kind: port, name: x, spec: {vmNetwork: AAA, vmSubnet: test02, ipPool: CA Pool}}"),
        ["port x: IP pool CA Pool belongs to VM subnet test, not to VM subnet test02; choose one of the latter"]
    );
}

#[test]
fn hosts_and_logical_networks() {
    refused(
        "{kind: port, name: x, spec: {host: host17, vmNetwork: AAA}}",
        "port x: host host17 has no uplink in logical network TDIv2; add it to one with \"netvirt set host host17 --uplink NAME \
         --logical-network TDIv2\"",
    );
    refused(
        "{kind: host, name: h, spec: {uplinks: [{interface: e, addresses: [], logicalNetworks: [TDIv2]}]}}
---
{kind: port, name: x, spec: {host: h, vmNetwork: AAA}}",
        "port x: host h has no provider address in logical network TDIv2; give its uplink an address, or logical network TDIv2 a \
         provider pool",
    );
    refused(
        "{kind: logical-network, name: Office, spec: {sites: [{name: hall, hosts: [host15], subnets: [{prefix: 172.16.0.0/16, vlan: 42}]}]}}
---
{kind: port, name: x, spec: {host: host17, vmNetwork: floor}}",
        "port x: logical network Office has VLAN 42 at no site of host host17; its VLANs are none: choose one of these, or add it \
         to a site with \"netvirt apply\"",
    );
    let mut world = World::new();
    world.apply(PHYSICAL);
    world.apply("{kind: logical-network, name: Annex}\n---\n{kind: host, name: host17, spec: {uplinks: [{interface: eth1, addresses: [], logicalNetworks: [Office, Annex]}]}}");
    world.apply("{kind: vm-network, name: annex, spec: {logicalNetwork: Annex, isolation: none}}\n---\n{kind: vm-subnet, name: annex, spec: {vmNetwork: annex, prefixes: [10.0.0.0/24]}}");
    world.apply("{kind: vm-subnet, name: open, spec: {vmNetwork: bare, prefixes: [10.0.0.0/16]}}");
    world.apply("{kind: port, name: a, spec: {host: host17, vmNetwork: bare}}");
    assert_eq!(
        world.refused("{kind: port, name: b, spec: {host: host17, vmNetwork: annex}}"),
        [
            "port b: on host host17 it would share the physical network eth1 with VM subnet open, which has the same addresses; use \
          another host, uplink or prefix"
        ]
    );
}

#[test]
fn what_is_exhausted() {
    let mut world = world();
    world.apply("{kind: vm-subnet, name: tiny, spec: {vmNetwork: AAA, prefixes: [10.0.0.0/30]}}\n---\n{kind: ip-pool, name: Tiny Pool, spec: {vmSubnet: tiny, ranges: [10.0.0.0-10.0.0.3]}}");
    world.apply("{kind: port, name: a, spec: {vmNetwork: AAA, vmSubnet: tiny}}");
    assert_eq!(world.addresses("a"), ["10.0.0.2"]);
    assert_eq!(
        world.refused("{kind: port, name: b, spec: {vmNetwork: AAA, vmSubnet: tiny}}"),
        [
            "IP pool Tiny Pool has given all of its 1 IPv4 addresses; add a range with \"netvirt set ip-pool 'Tiny Pool' --add-range \
             FIRST-LAST\", or a pool with \"netvirt create ip-pool NAME --vm-subnet tiny --range FIRST-LAST\""
        ]
    );
    let mut world = World::default();
    world.apply("{kind: tenant, name: default}\n---\n{kind: mac-pool, name: m, spec: {ranges: [02-00-00-00-00-01..02-00-00-00-00-01]}}");
    world.apply("{kind: port, name: a}");
    assert_eq!(
        world.refused("{kind: port, name: b}"),
        [
            "port b: the MAC pools have given all of their 1 addresses; name one with \"--mac\", or create a pool with \"netvirt \
             create mac-pool NAME --range FIRST..LAST\""
        ]
    );
    world.apply("{kind: logical-network, name: L, spec: {networkVirtualization: true, providerPools: [{name: pa, prefix: 192.168.4.0/24, ranges: [192.168.4.100]}]}}");
    let host = |name: &str, last: u8| {
        format!(
            "{{kind: host, name: {name}, spec: {{uplinks: [{{interface: e, addresses: [192.168.4.{last}/24], logicalNetworks: [L]}}]}}}}"
        )
    };
    world.apply(&host("h1", 1));
    assert_eq!(
        world.refused(&host("h2", 2)),
        [
            "host h2: provider pool pa of logical network L has given all of its 1 addresses; add a range to it with \"netvirt apply\""
        ]
    );
    let exhausted = Refusal::Exhausted { key: key(Kind::VmSubnet, "s"), what: "VSIDs (4096 to 16777214)" };
    assert_eq!(exhausted.to_string(), "VM subnet s: all VSIDs (4096 to 16777214) are in use; delete what nobody needs");
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let refused = world().refused("{kind: port, name: a b}\n---\n{kind: port, name: x, spec: {vmNetwork: CCC}}");
    assert_eq!(refused.len(), 2);
}

#[test]
fn each_sort_has_its_answer() {
    let sort = |world: &mut World, changes: &[Change]| world.change(changes).unwrap_err()[0].sort();
    let mut world = world();
    assert_eq!(world.delete(Kind::Port, "none").unwrap_err()[0].sort(), RefusalSort::NotFound);
    assert_eq!(world.delete(Kind::Host, "host16").unwrap_err()[0].sort(), RefusalSort::Conflict);
    assert_eq!(sort(&mut world, &puts("{kind: port, name: a b}")), RefusalSort::Invalid);
    let stale = [Change::Delete { key: key(Kind::Port, "test01"), revision: Some(77) }];
    assert_eq!(sort(&mut world, &stale), RefusalSort::PreconditionFailed);
    world.apply("{kind: tenant, name: red, spec: {quota: {ports: 0}}}");
    assert_eq!(sort(&mut world, &puts("{kind: port, tenant: red, name: x}")), RefusalSort::Quota);
    assert!(BASE.contains("host15") && Users(vec![]).to_string().is_empty());
    assert!("10.0.0.1".parse::<AddressRange>().is_ok());
}
