//! Security groups in a fabric: what hosts hear of them, and what is refused.

use model::fabric::Kind;

use super::{AAA, PHYSICAL, World, key, sentences};
use crate::fabric::{Topic, TopicId};

/// Two groups and a set in VM network AAA, and a port in one of them.
const GROUPS: &str = "\
{kind: address-set, name: offices, spec: {vmNetwork: AAA, prefixes: [192.168.0.0/16, 'fd00:1::/32']}}
---
kind: security-group
name: web
spec:
  vmNetwork: AAA
  rules:
  - {direction: ingress, protocol: tcp, ports: [80, 443], remote: {addressSet: offices}}
  - {direction: egress, action: deny, remote: {securityGroup: db}, priority: 5, log: true}
---
{kind: security-group, name: db, spec: {vmNetwork: AAA, rules: [{direction: ingress, remote: {securityGroup: db}}]}}
---
{kind: port, name: test01, spec: {host: host16, vmNetwork: AAA, securityGroups: [web]}}
";

fn world() -> World {
    let mut world = World::new();
    world.apply(AAA);
    world.apply(GROUPS);
    world
}

/// What the topic of VM network AAA has, as YAML, of the kinds that are about security.
fn told(world: &World) -> String {
    let rdid = world.get(Kind::VmNetwork, "AAA").allocation.rdid.unwrap();
    let topic = world.fabric.topic(&TopicId::Network(rdid)).cloned().unwrap_or_default();
    let security = [model::Kind::SecurityGroup, model::Kind::AddressSet];
    let of_security = topic.values().filter(|resource| security.contains(&resource.key().kind));
    let groups = of_security.map(serde_line).collect::<Vec<_>>().join("\n");
    let records = topic.values().filter_map(|resource| match resource {
        model::Resource::LookupRecord(record) => {
            Some(format!("{} {:?}", resource.key(), names(&record.security_groups)))
        }
        _ => None,
    });
    let host: Topic = world.fabric.topic(&TopicId::Host("host16".parse().unwrap())).cloned().unwrap_or_default();
    let ports = host.values().filter_map(|resource| match resource {
        model::Resource::Port(port) => Some(format!("{} {:?}", resource.key(), names(&port.security_groups))),
        _ => None,
    });
    format!("{groups}\n{}", records.chain(ports).collect::<Vec<_>>().join("\n"))
}

fn names(groups: &[model::QualifiedName]) -> Vec<&str> {
    groups.iter().map(model::QualifiedName::as_str).collect()
}

fn serde_line(resource: &model::Resource) -> String {
    match resource {
        model::Resource::SecurityGroup(group) => {
            let rules: Vec<String> = group.rules.iter().map(ToString::to_string).collect();
            format!("{} egress {} ingress {} {rules:?}", group.name, group.egress_default, group.ingress_default)
        }
        model::Resource::AddressSet(set) => format!("{} {:?}", set.name, set.prefixes),
        _ => String::new(),
    }
}

#[test]
fn hosts_hear_of_groups_under_the_names_of_their_network() {
    let mut world = world();
    assert_eq!(
        told(&world),
        "default/AAA/db egress allow ingress same-group [\"ingress allow any from group:default/AAA/db\"]\n\
         default/AAA/web egress allow ingress same-group [\"ingress allow tcp 80,443 from set:default/AAA/offices\", \"egress deny \
         any to group:default/AAA/db priority 5 log\"]\n\
         default/AAA/offices [192.168.0.0/16, fd00:1::/32]\n\
         lookup-record 4096/10.10.1.100 [\"default/AAA/web\"]\n\
         port test01 [\"default/AAA/web\"]"
    );
    // Those of the VM subnet come on top, and what no rule is about is the network's to say.
    world.apply(
        "{kind: vm-subnet, name: test, spec: {vmNetwork: AAA, prefixes: [10.10.0.0/16], securityGroups: [db, web]}}",
    );
    world.apply(
        "{kind: vm-network, name: AAA, spec: {logicalNetwork: TDIv2, security: {egress: deny, ingress: allow}}}",
    );
    let now = told(&world);
    assert!(now.contains("default/AAA/db egress deny ingress allow"), "{now}");
    assert!(now.contains("default/AAA/web egress deny ingress allow"), "{now}");
    assert!(now.ends_with("port test01 [\"default/AAA/db\", \"default/AAA/web\"]"), "{now}");
    assert!(now.contains("lookup-record 4096/10.10.1.100 [\"default/AAA/db\", \"default/AAA/web\"]"), "{now}");
}

#[test]
fn what_is_in_use_stays_and_what_names_itself_alone_goes() {
    let mut world = world();
    let mut refused = |kind, name| sentences(&world.delete(kind, name).unwrap_err());
    let sentence = "is in use by security group web";
    assert!(refused(Kind::AddressSet, "offices")[0].contains(sentence), "{:?}", refused(Kind::AddressSet, "offices"));
    assert!(refused(Kind::SecurityGroup, "web")[0].contains("is in use by port test01"));
    assert!(refused(Kind::SecurityGroup, "db")[0].contains(sentence));
    world.apply("{kind: security-group, name: web, spec: {vmNetwork: AAA}}");
    world.delete(Kind::SecurityGroup, "db").unwrap();
    world.delete(Kind::AddressSet, "offices").unwrap();
    assert!(world.fabric.get(&key(Kind::SecurityGroup, "db")).is_none());
}

#[test]
fn a_refusal_names_what_is_wrong_and_what_mends_it() {
    let mut world = world();
    world.apply(PHYSICAL);
    world.apply("{kind: vm-network, name: BBB, spec: {logicalNetwork: TDIv2}}\n---\n{kind: security-group, name: other, spec: {vmNetwork: BBB}}");
    for (yaml, sentence) in [
        (
            "{kind: security-group, name: x, spec: {vmNetwork: AAA, rules: [{direction: egress}, {direction: ingress, protocol: icmp, ports: [80]}]}}",
            "security group x: rule 2: protocol icmp has no ports; leave them out, or name tcp, udp or sctp",
        ),
        (
            "{kind: security-group, name: x, spec: {vmNetwork: AAA, rules: [{direction: ingress, remote: {securityGroup: none}}]}}",
            "security group x names security group none, which does not exist; create it with \"netvirt create security-group none\"",
        ),
        (
            "{kind: security-group, name: x, spec: {vmNetwork: AAA, rules: [{direction: ingress, remote: {securityGroup: other}}]}}",
            "security group x: security group other belongs to VM network BBB, not to VM network AAA; choose one of the latter",
        ),
        (
            "{kind: security-group, name: x, spec: {vmNetwork: floor}}",
            "security group x: a security group is for isolation nvgre, vxlan and geneve only, and VM network floor has isolation vlan; leave it out",
        ),
        (
            "{kind: address-set, name: x, spec: {vmNetwork: AAA, prefixes: [10.0.0.1/8]}}",
            "address set x: 10.0.0.1/8 has bits set behind its length; write 10.0.0.0/8",
        ),
        (
            "{kind: port, name: test01, spec: {host: host16, vmNetwork: AAA, securityGroups: [other]}}",
            "port test01: security group other belongs to VM network BBB, not to VM network AAA; choose one of the latter",
        ),
        (
            "{kind: port, name: test01, spec: {host: host16, vmNetwork: AAA, securityGroups: [web, db, web]}}",
            "port test01: security group web stands twice; name it once",
        ),
        (
            "{kind: port, name: test02, spec: {securityGroups: [web]}}",
            "port test02 names securityGroups but no VM network; name that with \"netvirt set port test02 --vm-network NAME\"",
        ),
        (
            "{kind: vm-subnet, name: desk, spec: {vmNetwork: floor, vlan: 42, prefixes: [172.16.0.0/16], gateways: [172.16.0.254], securityGroups: [web]}}",
            "VM subnet desk: securityGroups is for isolation nvgre, vxlan and geneve only, and VM network floor has isolation vlan; leave it out",
        ),
        (
            "{kind: vm-network, name: floor, spec: {logicalNetwork: Office, isolation: vlan, security: {egress: deny}}}",
            "VM network floor: security is for isolation nvgre, vxlan and geneve only, and VM network floor has isolation vlan; leave it out",
        ),
        (
            "{kind: security-group, name: web, spec: {vmNetwork: BBB}}",
            "the VM network of security group web cannot change while it is in use by port test01; ",
        ),
    ] {
        let refused = world.refused(yaml);
        assert!(refused[0].starts_with(sentence), "{yaml}: {refused:#?}");
    }
}

#[test]
fn a_port_has_no_more_rules_than_its_host_takes() {
    let mut world = world();
    let group = |name: &str, count: usize| {
        let rules = vec!["{direction: ingress, protocol: tcp}"; count].join(", ");
        format!("{{kind: security-group, name: {name}, spec: {{vmNetwork: AAA, rules: [{rules}]}}}}")
    };
    world.apply(&group("large", 10_000));
    assert_eq!(
        world.refused(&group("huge", 10_001)),
        ["security group huge has 10001 rules; at most 10000 are possible"]
    );
    world.apply("{kind: port, name: test01, spec: {host: host16, vmNetwork: AAA, securityGroups: [large, web]}}");
    let sentence = "port test01: its security groups, those of its VM subnet included, have 20000 ingress rules together, and a port \
                    takes 16368; take it out of one with \"netvirt set port test01 --security-group ...\", or replace rules by such \
                    with address sets and ranges of ports";
    assert_eq!(world.refused(&group("web", 10_000)), [sentence]);
    world.apply(&group("more", 10_000));
    let subnet =
        "{kind: vm-subnet, name: test, spec: {vmNetwork: AAA, prefixes: [10.10.0.0/16], securityGroups: [more]}}";
    assert_eq!(world.refused(subnet), [sentence.replace("20000", "20001")]);
}
