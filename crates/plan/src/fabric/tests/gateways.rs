//! Gateways and their connections: what VM networks are given for them, and what hosts hear of it.

use model::Resource;
use model::fabric::{GatewayAllocation, Key, Kind};
use model::gateway::{Compartment, Connection};

use super::{AAA, World, key, sentences};
use crate::fabric::{Manner, TopicId};

/// A gateway of two hosts, host17 before host18, with nine addresses of each family, of which one is the router's.
pub(super) const GW: &str = "\
{kind: host, name: host17, spec: {uplinks: [{interface: eth0, addresses: [192.168.4.17/24], logicalNetworks: [TDIv2]}]}}
---
{kind: host, name: host18, spec: {uplinks: [{interface: eth0, addresses: [192.168.4.18/24], logicalNetworks: [TDIv2]}]}}
---
{kind: gateway, name: gw, spec: {logicalNetwork: TDIv2, hosts: [{host: host17, interface: eth1, addresses: [203.0.113.3/24]},
  {host: host18, interface: eth1, addresses: [203.0.113.4/24]}],
  networks: [{prefix: 203.0.113.0/24, nextHop: 203.0.113.11, ranges: [203.0.113.10-203.0.113.18]},
  {prefix: 'fd99::/64', nextHop: 'fd99::1', ranges: ['fd99::10-fd99::18']},
  {prefix: 10.99.0.0/24, vlan: 42, nextHop: 10.99.0.1, ranges: [10.99.0.10-10.99.0.11]}]}}
";

/// A world with the gateway, and VM network AAA.
pub(super) fn world() -> World {
    let mut world = World::new();
    world.apply(&format!("{GW}---\n{AAA}"));
    world
}

/// A connection of VM network AAA.
pub(super) fn connection(name: &str, what: &str) -> String {
    format!("{{kind: gateway-connection, name: {name}, spec: {{vmNetwork: AAA, gateway: gw, {what}}}}}")
}

pub(super) fn given(world: &World) -> Option<GatewayAllocation> {
    world.get(Kind::VmNetwork, "AAA").allocation.gateway.as_deref().cloned()
}

/// The compartment of a host, for tenant and VM network.
pub(super) fn compartment(world: &World, host: &str, name: &str) -> Option<Compartment> {
    let topic = world.fabric.topic(&TopicId::Host(host.parse().unwrap()))?;
    topic.values().find_map(|resource| match resource {
        Resource::Compartment(found) if found.name.as_str() == name => Some(found.as_ref().clone()),
        _ => None,
    })
}

fn only(world: &World) -> Connection {
    compartment(world, "host17", "default/AAA").unwrap().connections.pop().unwrap()
}

pub(super) fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

#[test]
fn nat_from_the_vm_network_to_the_outside() {
    let mut world = world();
    world.apply(&connection(
        "internet",
        "nat: {forwards: [{protocol: tcp, ports: 8443, internal: 10.10.1.100, internalPort: 443}]}",
    ));
    let network = world.get(Kind::VmNetwork, "AAA");
    let given = given(&world).unwrap();
    assert_eq!((given.host.as_str(), texts(&given.standby)), ("host17", vec!["host18".to_owned()]));
    assert_eq!(texts(&given.prefixes), ["10.254.254.0/29", "fdfe:fe00:0:fe::/64"]);
    assert_eq!(texts(&given.addresses), ["203.0.113.10/24"], "the VM network has IPv4 alone");
    assert_ne!(given.mac, given.outside_mac);

    // The hosts of the VM network hear where the compartment is, and what leads there.
    let topic = TopicId::Network(network.allocation.rdid.unwrap());
    let vsid = given.vsid;
    let items = world.items(&topic);
    for item in [
        format!("customer-route {vsid}/10.254.254.0/29/0.0.0.0"),
        format!("customer-route {vsid}/0.0.0.0/0/10.254.254.2"),
        format!("customer-route {vsid}/::/0/fdfe:fe00:0:fe::2"),
        format!("lookup-record {vsid}/0.0.0.0"),
        format!("lookup-record {vsid}/::"),
        format!("lookup-record {vsid}/10.254.254.2"),
    ] {
        assert!(items.contains(&item), "{item} is not in {items:?}");
    }
    let records = world.fabric.topic(&topic).unwrap().values().filter_map(|resource| match resource {
        Resource::LookupRecord(record) if record.vsid == vsid => {
            Some((record.provider_address.to_string(), record.mac))
        }
        _ => None,
    });
    assert!(records.into_iter().all(|record| record == ("192.168.4.17".to_owned(), given.mac)));

    // The gateway's hosts hear all that, and what they are.
    for (host, standby) in [("host17", false), ("host18", true)] {
        assert!(world.fabric.subscriptions(&host.parse().unwrap()).contains(&topic), "{host}");
        assert!(world.fabric.subscribers(&topic).any(|subscriber| subscriber.as_str() == host));
        let found = compartment(&world, host, "default/AAA").unwrap();
        assert_eq!((found.standby, texts(&found.inside.prefixes)), (standby, vec!["10.10.0.0/16".to_owned()]));
        assert_eq!(texts(&found.inside.addresses), ["10.254.254.2/29", "fdfe:fe00:0:fe::2/64"]);
        assert_eq!(texts(&found.inside.routers), ["10.254.254.1", "fdfe:fe00:0:fe::1"]);
        let outside = found.outside.unwrap();
        assert_eq!((outside.mac, texts(&outside.addresses)), (given.outside_mac, vec!["203.0.113.10/24".to_owned()]));
        assert_eq!(texts(&outside.next_hops), ["203.0.113.11", "fd99::1"]);
        let nat = found.connections[0].nat.as_ref().unwrap();
        assert_eq!(texts(&nat.addresses), ["203.0.113.10"]);
        assert_eq!(nat.forwards[0].external, Some("203.0.113.10".parse().unwrap()));
        let own = world.items(&TopicId::Host(host.parse().unwrap()));
        assert!(own.contains(&"gateway host".to_owned()), "{own:?}");
        let peer =
            world.fabric.topic(&TopicId::Host(host.parse().unwrap())).unwrap().values().find_map(|item| match item {
                Resource::Gateway(gateway) => Some(format!("{} {}", gateway.peers[0].host, gateway.peers[0].address)),
                _ => None,
            });
        let other = if standby { "host17 192.168.4.17" } else { "host18 192.168.4.18" };
        assert_eq!(peer.as_deref(), Some(other));
        assert_eq!(own.iter().any(|item| item.starts_with("port nvgw")), !standby, "{own:?}");
    }
}

#[test]
fn one_that_translates_prefixes_has_an_address_by_which_it_is_reached() {
    let mut world = world();
    world.apply("{kind: vm-subnet, name: six, spec: {vmNetwork: AAA, prefixes: ['fd00:a::/64']}}");
    world.apply(&connection(
        "internet",
        "nat: {translations: [{internal: 'fd00:a::/64', external: '2001:db8:a::/64'}]}",
    ));
    assert_eq!(texts(&given(&world).unwrap().addresses), ["203.0.113.10/24", "fd99::10/64"]);
    let found = compartment(&world, "host17", "default/AAA").unwrap();
    assert_eq!(texts(&found.outside.unwrap().addresses), ["203.0.113.10/24", "fd99::10/64"]);
    let nat = found.connections[0].nat.as_ref().unwrap();
    assert_eq!(texts(&nat.addresses), ["203.0.113.10"], "nothing is translated to it");
}

#[test]
fn what_was_given_stays_until_the_last_connection_goes() {
    let mut world = world();
    world.apply(&connection("internet", "nat: {}"));
    let first = given(&world);
    world.apply(&connection("site", "ipsec: {remote: 198.51.100.1, psk: x, remotePrefixes: [10.20.0.0/16]}"));
    assert_eq!(given(&world), first, "one for all connections");
    world.apply("{kind: vm-subnet, name: more, spec: {vmNetwork: AAA, prefixes: [10.11.0.0/16]}}");
    assert_eq!(given(&world), first);
    assert_eq!(compartment(&world, "host18", "default/AAA").unwrap().inside.prefixes.len(), 2);
    // A subnet that takes the place of the gateway subnet moves that one, and nothing else.
    world.apply("{kind: vm-subnet, name: there, spec: {vmNetwork: AAA, prefixes: [10.254.254.0/24, 'fd01::/64']}}");
    let moved = given(&world).unwrap();
    assert_eq!(texts(&moved.prefixes), ["10.254.253.0/29", "fdfe:fe00:0:fe::/64"]);
    assert_eq!(texts(&moved.addresses), ["203.0.113.10/24", "fd99::10/64"], "there is IPv6 now");
    assert_eq!((moved.vsid, moved.mac, moved.outside_mac), first.map(|it| (it.vsid, it.mac, it.outside_mac)).unwrap());
    world.delete(Kind::GatewayConnection, "internet").unwrap();
    assert_eq!(given(&world).unwrap().vsid, moved.vsid);
    world.delete(Kind::GatewayConnection, "site").unwrap();
    assert_eq!(given(&world), None);
    let claims: Vec<_> = world.fabric.claims().filter(|claim| claim.key.contains("external")).collect();
    assert!(claims.is_empty() && compartment(&world, "host17", "default/AAA").is_none(), "{claims:?}");
}

#[test]
fn addresses_have_one_owner_and_pools_run_dry() {
    let mut world = world();
    world.apply("{kind: tenant, name: blue}");
    for number in 0..9 {
        world.apply(&format!(
            "{{kind: vm-network, tenant: blue, name: n{number}, spec: {{logicalNetwork: TDIv2}}}}
---
{{kind: vm-subnet, tenant: blue, name: s{number}, spec: {{vmNetwork: n{number}, prefixes: [10.10.0.0/16]}}}}"
        ));
    }
    let nat = |number: usize, what: &str| {
        format!(
            "{{kind: gateway-connection, tenant: blue, name: c{number}, spec: {{vmNetwork: n{number}, gateway: gw, nat: {{{what}}}}}}}"
        )
    };
    // Tenants may have the same prefixes; the router's address is none to give.
    (0..8).for_each(|number| drop(world.apply(&nat(number, ""))));
    let model::fabric::Spec::Gateway(gateway) = &world.get(Kind::Gateway, "gw").resource.spec else { panic!("gw") };
    let usage = world.fabric.external_usage(gateway);
    let numbers: Vec<_> = usage.iter().map(|of| (of.v4, of.used, of.total)).collect();
    assert_eq!(numbers, [(true, 8, 8 + 2), (false, 0, 9)]);
    assert_eq!(
        world.refused(&nat(8, "")),
        [
            "VM network n8 of tenant blue needs an IPv4 address outside, and of the 8 that gateway gw has to give untagged, 8 are in \
          use; add a range with \"netvirt set gateway gw --add-network '203.0.113.0/24,range FIRST-LAST'\", delete connections that nobody \
          needs, or let connections of NAT share addresses with \"--shared-ports COUNT\""
        ]
    );
    assert_eq!(
        world.refused(&nat(8, "sharedPorts: 1024")),
        [
            "VM network n8 of tenant blue needs 1024 ports of an address outside, and none of the 8 that gateway gw has to give \
          untagged has so many left (8 are in use); ask for fewer, or add a range with \"netvirt set gateway gw --add-network \
          '203.0.113.0/24,range FIRST-LAST'\""
        ]
    );
    // What one gives back, another has at once.
    world.apply(&format!("{}\n---\n{}", nat(3, "sharedPorts: 32000"), nat(8, "sharedPorts: 32000")));
    let shared = |number: usize| {
        let key = Key::new(Kind::VmNetwork, Some("blue".parse().unwrap()), format!("n{number}").parse().unwrap());
        let shared = world.fabric.get(&key).unwrap().allocation.gateway.as_ref().unwrap().shared.unwrap();
        format!("{} {}", shared.address, shared.ports)
    };
    assert_eq!((shared(3), shared(8)), ("203.0.113.14 1024-33023".to_owned(), "203.0.113.14 33024-65023".to_owned()));
    assert_eq!(
        world.refused(&connection("internet", "nat: {addresses: [203.0.113.14]}")),
        [
            "gateway connection internet: ports 1024-33023 of address 203.0.113.14 outside belongs to another tenant already; choose \
          another"
        ]
    );
    assert_eq!(
        world.refused(&connection("internet", "nat: {floating: [{external: 203.0.113.10, internal: 10.10.1.100}]}")),
        ["gateway connection internet: address 203.0.113.10 outside belongs to another tenant already; choose another"]
    );
}

#[test]
fn a_shared_address_and_its_ports_as_the_host_hears_of_them() {
    let mut world = world();
    world.apply(&connection("internet", "nat: {sharedPorts: 1024}"));
    let found = compartment(&world, "host17", "default/AAA").unwrap();
    let outside = found.outside.unwrap();
    assert!(outside.addresses.is_empty());
    assert_eq!(outside.shared[0].ports.to_string(), "1024-2047");
    assert_eq!(texts(&found.connections[0].nat.as_ref().unwrap().addresses), ["203.0.113.10"]);
    let forward = |port: u16| {
        connection(
            "internet",
            &format!("nat: {{sharedPorts: 1024, forwards: [{{protocol: tcp, ports: {port}, internal: 10.10.1.100}}]}}"),
        )
    };
    assert_eq!(
        world.refused(&forward(80)),
        [
            "gateway connection internet: it has ports 1024-2047 of the shared address 203.0.113.10, and 80 are not among them; forward \
          some of these, or leave sharedPorts out so that it has an address of its own"
        ]
    );
    world.apply(&forward(1080));
    assert_eq!(only(&world).nat.unwrap().forwards[0].external, Some("203.0.113.10".parse().unwrap()));
}

#[test]
fn routing_in_a_vlan_with_bgp() {
    let mut world = world();
    world.apply(&connection(
        "company",
        "routing: {vlan: 42, routes: [{prefix: 10.20.0.0/16, nextHop: 10.99.0.1}]}, \
         bgp: {localAs: 64512, neighbors: [{address: 10.99.0.1, remoteAs: 64513}]}",
    ));
    let found = compartment(&world, "host17", "default/AAA").unwrap();
    let outside = found.outside.unwrap();
    assert_eq!(outside.vlan.map(model::VlanId::get), Some(42));
    assert_eq!(
        (texts(&outside.addresses), texts(&outside.next_hops)),
        (vec!["10.99.0.10/24".into()], vec!["10.99.0.1".into()])
    );
    assert_eq!(texts(&found.connections[0].bgp.as_ref().unwrap().announce), ["10.10.0.0/16"]);
    // By name, for VM networks whose own default route leads elsewhere.
    let given = given(&world).unwrap();
    let topic = TopicId::Network(world.get(Kind::VmNetwork, "AAA").allocation.rdid.unwrap());
    assert!(world.items(&topic).contains(&format!("customer-route {}/10.20.0.0/16/10.254.254.2", given.vsid)));
}

#[test]
fn a_gateway_answers_for_the_names_of_vms() {
    let mut world = world();
    world.apply(&connection("names", "dns: {domain: aaa.internal, names: [{name: Printer, addresses: [10.10.0.9]}]}"));
    let names = |world: &World| {
        let names = only(world).dns.unwrap().names;
        names.iter().map(|name| format!("{}={}", name.name, texts(&name.addresses).join(","))).collect::<Vec<_>>()
    };
    assert_eq!(names(&world), ["printer=10.10.0.9", "test01=10.10.1.100"]);
    assert!(compartment(&world, "host17", "default/AAA").unwrap().outside.is_none(), "nothing of it needs an address");
    world.apply("{kind: port, name: p2, spec: {host: host15, vmNetwork: AAA, vmName: Web 01}}");
    assert_eq!(names(&world), ["printer=10.10.0.9", "test01=10.10.1.100", "web-01=10.10.1.101"]);
    let scope = |world: &World| {
        let topic = TopicId::Network(world.get(Kind::VmNetwork, "AAA").allocation.rdid.unwrap());
        let scope = world.fabric.topic(&topic).unwrap().values().find_map(|resource| match resource {
            Resource::DhcpScope(scope) => Some(scope.clone()),
            _ => None,
        });
        scope.map(|scope| (texts(&scope.dns_servers), scope.dns_suffixes)).unwrap()
    };
    assert_eq!(scope(&world), (vec!["10.254.254.2".to_owned()], vec!["aaa.internal".to_owned()]));
    world.delete(Kind::GatewayConnection, "names").unwrap();
    assert_eq!(scope(&world), (Vec::new(), Vec::new()));
}

#[test]
fn a_private_key_is_made_where_none_is_named() {
    let mut world = world();
    let site = |more: &str| {
        let key = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";
        connection("site", &format!("wireguard: {{peerKey: {key}, remotePrefixes: [10.20.0.0/16]{more}}}"))
    };
    world.apply(&site(""));
    let made = only(&world).wireguard.unwrap().private_key.unwrap();
    assert!(made.reveal().parse::<model::gateway::WireguardKey>().is_ok());
    world.apply(&site(", listenPort: 51821"));
    assert_eq!(only(&world).wireguard.unwrap().private_key, Some(made), "it stays");
    world.apply(&site(", privateKey: 2LAXbsn+XVXMaPzANsP/X8MLnUnWSGm8oL8m5WjgCG8="));
    assert_eq!(world.get(Kind::GatewayConnection, "site").allocation.private_key, None);
    let own = only(&world).wireguard.unwrap().private_key.unwrap();
    assert_eq!(own.reveal(), "2LAXbsn+XVXMaPzANsP/X8MLnUnWSGm8oL8m5WjgCG8=");
    // What stands for a secret is the secret.
    world.apply(&site(", privateKey: (hidden), keepalive: 5"));
    assert_eq!(only(&world).wireguard.unwrap().private_key, Some(own));
}

#[test]
fn another_host_takes_over() {
    let mut world = world();
    world.apply(&connection("internet", "nat: {}"));
    let before = given(&world).unwrap();
    let network = key(Kind::VmNetwork, "AAA");
    assert!(world.take_over(&network, &"host17".parse().unwrap(), Manner::Abrupt).is_none(), "it is active");
    assert!(world.take_over(&network, &"host16".parse().unwrap(), Manner::Abrupt).is_none(), "it is no gateway");
    world.take_over(&network, &"host18".parse().unwrap(), Manner::Abrupt).unwrap();
    let after = given(&world).unwrap();
    assert_eq!((after.host.as_str(), texts(&after.standby)), ("host18", vec!["host17".to_owned()]));
    assert_eq!(after.outside_mac, before.outside_mac);
    assert!(compartment(&world, "host17", "default/AAA").unwrap().standby);
    // It stays so, until the gateway loses the host.
    world.apply(&connection("internet", "nat: {log: true}"));
    assert_eq!(given(&world).unwrap().host.as_str(), "host18");
    let gateway = world.get(Kind::Gateway, "gw").resource.clone();
    let mut spec = gateway.spec.clone();
    if let model::fabric::Spec::Gateway(spec) = &mut spec {
        spec.hosts.pop();
    }
    let resource = model::fabric::Resource { spec, ..gateway };
    world.change(&[crate::fabric::Change::Put { resource, revision: None }]).unwrap();
    assert_eq!(given(&world).unwrap().host.as_str(), "host17");
    let refusals = world.delete(Kind::Gateway, "gw").unwrap_err();
    assert_eq!(
        sentences(&refusals),
        ["gateway gw is in use by gateway connection internet; delete or change these first"]
    );
    let refusals = world.delete(Kind::Host, "host17").unwrap_err();
    assert_eq!(sentences(&refusals), ["host host17 is in use by gateway gw; delete or change these first"]);
}

#[test]
fn what_leads_outside_waits_for_the_first_subnet() {
    let mut world = world();
    world.apply(
        "{kind: vm-network, name: BBB, spec: {logicalNetwork: TDIv2}}\n---\n{kind: gateway-connection, name: out, spec: \
         {vmNetwork: BBB, gateway: gw, nat: {}}}\n---\n{kind: gateway-connection, name: names, spec: {vmNetwork: BBB, gateway: \
         gw, dns: {}}}",
    );
    let names = |world: &World| {
        let found = compartment(world, "host17", "default/BBB").unwrap();
        (found.outside.is_some(), texts(&found.connections.iter().map(|one| &one.name).collect::<Vec<_>>()))
    };
    assert_eq!(names(&world), (false, vec!["names".to_owned()]), "a host would refuse all of it");
    world.apply("{kind: vm-subnet, name: first, spec: {vmNetwork: BBB, prefixes: [10.77.0.0/24]}}");
    assert_eq!(names(&world), (true, vec!["names".to_owned(), "out".to_owned()]));
}
