//! What hosts are told.

use model::fabric::Kind;
use model::{LookupRecordType, Resource, resources_to_yaml};

use super::{AAA, PHYSICAL, World, key};
use crate::fabric::TopicId;

fn network_of(world: &World, name: &str) -> TopicId {
    TopicId::Network(world.get(Kind::VmNetwork, name).allocation.rdid.unwrap())
}

fn host(name: &str) -> TopicId {
    TopicId::Host(name.parse().unwrap())
}

#[track_caller]
fn yaml(world: &World, topic: &TopicId) -> String {
    resources_to_yaml(world.fabric.topic(topic).into_iter().flat_map(|topic| topic.values())).unwrap()
}

#[test]
fn a_virtualized_network_as_its_hosts_see_it() {
    let mut world = World::new();
    world.apply(AAA);
    world.apply(
        "{kind: customer-route, name: out, spec: {vmNetwork: AAA, prefix: 10.20.0.0/16, nextHop: 10.10.7.7, metric: 5}}
---
{kind: port, name: nowhere, spec: {vmNetwork: AAA}}
---
{kind: port, name: unconnected, spec: {host: host15}}",
    );
    assert_eq!(world.items(&host("host16")), ["provider-address 192.168.4.16", "port test01"]);
    assert_eq!(world.items(&host("host15")), ["provider-address 192.168.4.15"]);
    assert_eq!(
        world.items(&network_of(&world, "AAA")),
        [
            "lookup-record 4096/10.10.1.100",
            "customer-route 4096/10.10.0.0/16/0.0.0.0",
            "customer-route 4096/10.20.0.0/16/10.10.7.7",
            "dhcp-scope 4096/10.10.0.0/16"
        ]
    );
    let text = yaml(&world, &network_of(&world, "AAA"));
    for part in
        ["providerAddress: \"192.168.4.16\"", "vmName: test01", "mac: 00-1D-D8-B7-1C-00", "metric: 5", "type: Static"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    let port = yaml(&world, &host("host16"));
    for part in ["device: test01", "vsid: 4096", "10.10.1.100"] {
        assert!(port.contains(part), "{part} in {port}");
    }
    // It moves: one host forgets the port, the other learns it, the network learns where it is.
    let moved = world.apply("{kind: port, name: test01, spec: {host: host15, vmNetwork: AAA}}");
    let changed: Vec<(String, usize, usize)> =
        moved.topics.iter().map(|change| (change.topic.to_string(), change.puts.len(), change.deletes.len())).collect();
    assert_eq!(changed[..2], [("host/host15".into(), 1, 0), ("host/host16".into(), 0, 1)]);
    assert_eq!((changed.len(), changed[2].1, changed[2].2), (3, 1, 0));
    // The host has another address: all records of its ports follow.
    world.apply("{kind: host, name: host15, spec: {uplinks: [{interface: eth0, addresses: [192.168.9.15/24], logicalNetworks: [TDIv2]}]}}");
    assert!(yaml(&world, &network_of(&world, "AAA")).contains("providerAddress: \"192.168.9.15\""));
}

#[test]
fn learnt_addresses_are_dynamic_records() {
    let mut world = World::new();
    world.apply(AAA);
    world.apply("{kind: port, name: l, spec: {host: host15, vmNetwork: AAA, addressing: learnt}}");
    let port = key(Kind::Port, "l");
    let heard = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<std::net::IpAddr>>();
    // The gateway, another's address, one of elsewhere, the broadcast address and a link-local one do not count.
    let all = heard(&["10.10.0.9", "10.10.0.1", "10.10.1.100", "10.11.0.9", "10.10.255.255", "fe80::1", "10.10.0.8"]);
    let transition = world.learn(&port, &all).unwrap();
    assert_eq!(transition.claimed.len(), 2);
    assert!(world.learn(&port, &all).is_none(), "nothing new");
    let topic = world.fabric.topic(&network_of(&world, "AAA")).unwrap();
    let records: Vec<(Option<String>, LookupRecordType)> = topic
        .values()
        .filter_map(|item| match item {
            Resource::LookupRecord(record) if record.vm_name.as_deref() == Some("l") => {
                Some((record.customer_address.map(|address| address.to_string()), record.record_type))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        records,
        [
            (None, LookupRecordType::L2Only),
            (Some("10.10.0.8".into()), LookupRecordType::Dynamic),
            (Some("10.10.0.9".into()), LookupRecordType::Dynamic),
        ]
    );
    // What a pool would give next and a VM has taken is passed over.
    world.learn(&port, &heard(&["10.10.1.101"])).unwrap();
    world.apply("{kind: port, name: m, spec: {vmNetwork: AAA}}");
    assert_eq!(world.addresses("m"), ["10.10.1.102"]);
    // A port whose addresses are given learns nothing.
    assert!(world.learn(&key(Kind::Port, "m"), &all).is_none());
    // More than a port may have is left out.
    let many: Vec<_> = (1..=40).map(|last| format!("10.10.3.{last}").parse().unwrap()).collect();
    world.learn(&port, &many).unwrap();
    assert_eq!(world.get(Kind::Port, "l").allocation.learnt.len(), crate::fabric::MAX_ADDRESSES);
}

#[test]
fn pools_of_one_prefix_are_one_scope() {
    let mut world = World::new();
    world.apply(AAA);
    world.apply(
        "{kind: vm-subnet, name: test, spec: {vmNetwork: AAA, prefixes: [10.10.0.0/16, 'fd00::/64', 10.12.0.0/16]}}
---
{kind: ip-pool, name: CA Pool, spec: {vmSubnet: test, ranges: [10.10.1.100-10.10.1.130], dnsServers: [10.0.0.53, 'fd00::53'], leaseTime: 8h, routes: [{prefix: 10.7.0.0/16, nextHop: 10.10.0.7}, {prefix: 10.8.0.0/16, nextHop: 10.12.0.7}]}}
---
{kind: ip-pool, name: Second, spec: {vmSubnet: test, ranges: [10.10.2.1-10.10.2.9, 'fd00::10-fd00::20'], dnsServers: [10.0.0.54, 10.0.0.53], dnsSuffixes: [example.com], leaseTime: 1h}}",
    );
    let topic = world.fabric.topic(&network_of(&world, "AAA")).unwrap();
    let scopes: Vec<_> = topic
        .values()
        .filter_map(|item| match item {
            Resource::DhcpScope(scope) => Some(scope),
            _ => None,
        })
        .collect();
    assert_eq!(scopes.iter().map(|scope| scope.prefix.to_string()).collect::<Vec<_>>(), ["10.10.0.0/16", "fd00::/64"]);
    let v4 = scopes[0];
    assert_eq!(v4.dns_servers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.53", "10.0.0.54"]);
    assert_eq!(
        (v4.dns_suffixes.clone(), v4.lease_time.seconds(), v4.routes.len()),
        (vec!["example.com".to_owned()], 3600, 1)
    );
    assert_eq!((scopes[1].dns_servers.len(), scopes[1].lease_time.seconds()), (0, 3600));
}

#[test]
fn physical_networks_are_in_the_topics_of_hosts() {
    let mut world = World::new();
    world.apply(PHYSICAL);
    world.apply(
        "{kind: ip-pool, name: desk, spec: {vmSubnet: desk, ranges: [172.16.0.10-172.16.0.20], dnsServers: [172.16.0.53]}}
---
{kind: port, name: a, spec: {host: host17, vmNetwork: floor}}
---
{kind: port, name: b, spec: {host: host17, vmNetwork: bare}}",
    );
    assert_eq!(world.items(&host("host17")), ["dhcp-scope eth1.42/172.16.0.0/16", "port a", "port b"]);
    let text = yaml(&world, &host("host17"));
    for part in ["gateway: \"172.16.0.254\"", "vlan: 42", "interface: eth1", "172.16.0.10"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(world.fabric.subscriptions(&"host17".parse().unwrap()).len(), 1);
    world.delete(Kind::Port, "a").unwrap();
    assert_eq!(world.items(&host("host17")), ["port b"]);
}

#[test]
fn ports_of_two_tenants_may_have_one_name_on_a_host() {
    let mut world = World::new();
    world.apply(AAA);
    world.apply(
        "{kind: tenant, name: blue}
---
{kind: vm-network, tenant: blue, name: AAA, spec: {logicalNetwork: TDIv2}}
---
{kind: vm-subnet, tenant: blue, name: test, spec: {vmNetwork: AAA, prefixes: [10.10.0.0/16]}}
---
{kind: ip-pool, tenant: blue, name: CA Pool, spec: {vmSubnet: test, ranges: [10.10.1.100-10.10.1.130]}}
---
{kind: port, tenant: blue, name: test01, spec: {host: host16, device: tap7, vmNetwork: AAA}}",
    );
    assert_eq!(world.items(&host("host16")), ["provider-address 192.168.4.16", "port blue.test01", "port test01"]);
    let port = world.fabric.port_on_host(&"host16".parse().unwrap(), &"blue.test01".parse().unwrap()).unwrap();
    assert_eq!(port.allocation.addresses, world.get(Kind::Port, "test01").allocation.addresses);
    assert_eq!(world.fabric.subscriptions(&"host16".parse().unwrap()).len(), 3);
}

#[test]
fn rate_limits_go_to_the_hosts() {
    let mut world = World::new();
    world.apply(AAA);
    let domain = |world: &World| {
        let all = world.fabric.topic(&network_of(world, "AAA")).into_iter().flat_map(|topic| topic.values());
        all.filter(|item| matches!(item, Resource::RoutingDomain(_))).cloned().collect::<Vec<_>>()
    };
    assert_eq!(domain(&world), []);
    let network = |rest: &str| format!("{{kind: vm-network, name: AAA, spec: {{logicalNetwork: TDIv2, {rest}}}}}");
    world.apply(&network("limits: {egress: {bandwidth: 50 Mbit/s, burst: 1 MB}}"));
    let limits = model::Limits { egress: "50 Mbit/s, burst 1 MB".parse().ok(), ingress: None };
    assert!(matches!(&domain(&world)[..], [Resource::RoutingDomain(domain)] if domain.limits == limits));
    world.apply(&network("isolation: nvgre"));
    assert_eq!(domain(&world), []);
    let port = "{kind: port, name: test01, spec: {host: host16, vmNetwork: AAA, limits: {ingress: {packets: 2000}}}}";
    world.apply(port);
    let port = yaml(&world, &host("host16"));
    assert!(port.contains("ingress:\n      packets: 2000"), "{port}");
}
