//! Contradictions that gateways and compartments make, each by one change of the host of [`super::tests`] as a gateway.

use super::tests::host;
use super::{Change, Intent, IntentError};
use crate::{Key, Kind, Resource, resources_from_yaml};

const KEY: &str = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";

/// What makes a gateway of the host, with one compartment and the port of it.
const GATEWAY: &str = "\
{kind: gateway, spec: {interface: ext0, addresses: [203.0.113.2/24], nextHops: [203.0.113.1, fe80::1]}}
---
{kind: port, name: gw-aaa, spec: {device: gw0, mac: 06-0F-00-00-00-01, vsid: 5001}}
---
kind: compartment
name: aaa/net
spec:
  inside:
    device: gw0
    mac: 06-0F-00-00-00-01
    addresses: [10.254.254.2/29, 'fd00:ffff::2/64']
    routers: [10.254.254.1, 'fd00:ffff::1']
    prefixes: [10.0.0.0/24, 'fd00::/64']
  outside:
    mac: 06-0F-00-00-01-01
    addresses: [203.0.113.10/24]
    shared: [{address: 203.0.113.20, ports: 1024-2047}]
  connections:
  - {name: out, nat: {addresses: [203.0.113.20], floating: [{external: 203.0.113.11, internal: 10.0.0.5}]}}
  - {name: site, ipsec: {remote: 198.51.100.1, psk: swordfish, remotePrefixes: [10.1.0.0/16]}}
";

fn gateway() -> Intent {
    let resources = resources_from_yaml(GATEWAY).unwrap();
    host().with(resources.into_iter().map(Change::Set)).unwrap()
}

fn compartment(name: &str, spec: &str) -> String {
    format!("{{kind: compartment, name: {name}, spec: {{{spec}}}}}")
}

/// A compartment's side inside that nobody else has.
fn inside(rest: &str) -> String {
    format!("inside: {{device: gw1, mac: 06-0F-00-00-00-02, prefixes: [], {rest}}}")
}

/// The same, as it should be.
fn plain() -> String {
    inside("addresses: [10.254.254.2/29], routers: [10.254.254.1]")
}

/// A compartment with this outside beside [`plain`].
fn outside(spec: &str) -> String {
    compartment("bbb/net", &format!("{}, outside: {{mac: 06-0F-00-00-01-02, {spec}}}", plain()))
}

/// A compartment with these connections beside [`plain`], and an outside.
fn connections(list: &str) -> String {
    let outside = "outside: {mac: 06-0F-00-00-01-02, addresses: [203.0.113.30/24]}";
    compartment("bbb/net", &format!("{}, {outside}, connections: [{list}]", plain()))
}

#[track_caller]
fn refused(intent: &Intent, text: &str, sentences: &[&str]) {
    let resources = resources_from_yaml(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let errors = intent.with(resources.into_iter().map(Change::Set)).err().unwrap_or_default();
    assert_eq!(errors.iter().map(IntentError::to_string).collect::<Vec<_>>(), sentences, "{text}");
}

#[test]
fn what_is_right_is_accepted() {
    let intent = gateway();
    assert_eq!(intent.own_gateway().unwrap().1.interface.as_str(), "ext0");
    assert_eq!(intent.compartments().map(|(key, _)| key.name.as_str()).collect::<Vec<_>>(), ["aaa/net"]);
    for text in [
        outside("addresses: [203.0.113.12/24], shared: [{address: 203.0.113.20, ports: 2048-4095}]"),
        outside("vlan: 7, addresses: [203.0.113.10/24]"),
        outside("shared: [{address: 203.0.113.2, ports: 2048-4095}]"),
        connections(&format!("{{name: wg, wireguard: {{peerKey: {KEY}, privateKey: {KEY}}}}}")),
        connections("{name: r, routing: {}, bgp: {localAs: 65000, neighbors: []}}"),
        compartment("bbb/net", &format!("{}, connections: [{{name: d, dns: {{domain: b.internal}}}}]", plain())),
    ] {
        refused(&intent, &text, &[]);
    }
}

#[test]
fn a_gateways_interface_is_for_nothing_else() {
    refused(
        &gateway(),
        "{kind: gateway, spec: {interface: eth0}}",
        &[
            "gateway host: \"eth0\" is the uplink of provider-address 192.168.4.11; a gateway needs an interface of its own \
           towards the outside: name another one",
        ],
    );
    let sentence = "gateway host: \"blue1\" is the device of port blue1; a gateway needs an interface of its own towards the \
                    outside: name another one";
    refused(&gateway(), "{kind: gateway, spec: {interface: blue1}}", &[sentence]);
    refused(
        &gateway(),
        "{kind: provider-address, spec: {address: 192.168.9.9, interface: ext0, prefixLength: 24}}",
        &[
            "gateway host: \"ext0\" is the uplink of provider-address 192.168.9.9; a gateway needs an interface of its own \
           towards the outside: name another one",
        ],
    );
    refused(
        &gateway(),
        "{kind: gateway, spec: {interface: interface-of-20c, addresses: [203.0.113.0/24], nextHops: [203.0.113.1, 203.0.113.9]}}",
        &[
            "gateway host: \"interface-of-20c\" is 16 characters long, and the kernel takes 15 for an interface; name the device \
           as \"ip link\" shows it",
            "gateway host: addresses has 203.0.113.0, which no interface can have; give it an address of one host",
            "gateway host: nextHops has 203.0.113.1 and 203.0.113.9; one router of each family is enough: leave one out",
        ],
    );
}

#[test]
fn an_outside_needs_a_gateway() {
    let sentence = "compartment bbb/net: it has an outside, and this host is no gateway; declare one with \"kind: gateway\" and \
                    the interface towards the outside";
    refused(&host(), &outside("addresses: [203.0.113.12/24]"), &[sentence]);
    let errors = gateway().with([Change::Delete(Key { kind: Kind::Gateway, name: "host".to_owned() })]).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].to_string().starts_with("compartment aaa/net: it has an outside"), "{errors:?}");
}

#[test]
fn the_side_inside_fits_together_and_to_its_port() {
    let errors = [
        (
            "addresses: [], routers: []",
            "it has no address inside; give it one in the VM network's gateway subnet, with the \
                                        prefix's length",
        ),
        (
            "addresses: [10.254.254.7/29], routers: []",
            "inside.addresses has 10.254.254.7, which no interface can have; give \
                                                       it an address of one host",
        ),
        (
            "addresses: [10.254.254.2/29], routers: ['fd00::1']",
            "router fd00::1 is in no prefix of the addresses inside; give \
                                                                the distributed router's address in the gateway subnet",
        ),
        (
            "addresses: [10.254.254.2/29], routers: [10.254.254.2]",
            "router 10.254.254.2 is the compartment's own address; give \
                                                                   that of the distributed router",
        ),
        (
            "addresses: [10.254.254.2/29], routers: [10.254.254.1, 10.254.254.3]",
            "inside.routers has 10.254.254.1 and \
          10.254.254.3; one router of each family is enough: leave one out",
        ),
    ];
    for (rest, sentence) in errors {
        refused(&gateway(), &compartment("bbb/net", &inside(rest)), &[&format!("compartment bbb/net: {sentence}")]);
    }
    let sentence = "compartment aaa/net: its MAC address inside is 06-0F-00-00-00-01, and port gw-aaa, whose device \"gw0\" it \
                    has, has 06-0F-00-00-00-09; make the two the same";
    let port = "{kind: port, name: gw-aaa, spec: {device: gw0, mac: 06-0F-00-00-00-09, vsid: 5001}}";
    refused(&gateway(), port, &[sentence]);
    let taken = plain().replace("gw1", "gw0").replace("00-00-02", "00-00-01");
    refused(
        &gateway(),
        &compartment("bbb/net", &taken),
        &[
            "compartment aaa/net and compartment bbb/net have the same device inside, \"gw0\"; give one of the two another",
        ],
    );
}

#[test]
fn nothing_outside_is_two_compartments() {
    let twice = |address: &str| {
        format!(
            "compartment aaa/net and compartment bbb/net both have the address {address} outside; give one of the two another, \
             or have both share it, each with ports of its own"
        )
    };
    for (spec, address) in [
        ("addresses: [203.0.113.10/24]", "203.0.113.10"),
        ("addresses: [203.0.113.11/24]", "203.0.113.11"),
        ("addresses: [203.0.113.20/24]", "203.0.113.20"),
        ("shared: [{address: 203.0.113.10, ports: 1024-2047}]", "203.0.113.10"),
    ] {
        refused(&gateway(), &outside(spec), &[&twice(address)]);
    }
    let own = "gateway host and compartment bbb/net both have the address 203.0.113.2 outside; give one of the two another, or \
               have both share it, each with ports of its own";
    refused(&gateway(), &outside("addresses: [203.0.113.2/24]"), &[own]);
    for (ports, both) in
        [("2047-3000", "2047"), ("1-1024", "1024"), ("1200-1300", "1200-1300"), ("1-65535", "1024-2047")]
    {
        let sentence = format!(
            "compartment aaa/net and compartment bbb/net share 203.0.113.20, and both have ports {both} of it; give one of the \
             two others"
        );
        refused(&gateway(), &outside(&format!("shared: [{{address: 203.0.113.20, ports: {ports}}}]")), &[&sentence]);
    }
    let two = "shared: [{address: 203.0.113.21, ports: 1-9}, {address: 203.0.113.21, ports: 5-20}]";
    let sentence = "compartment bbb/net: ports 5-9 of 203.0.113.21, which it shares, stand twice; let each part have ports of \
                    its own";
    refused(&gateway(), &outside(two), &[sentence]);
    let taken = outside("addresses: [203.0.113.12/24]").replace("00-01-02", "00-01-01");
    let sentence = "compartment aaa/net and compartment bbb/net have the same MAC address outside, 06-0F-00-00-01-01; give one \
                    of the two another";
    refused(&gateway(), &taken, &[sentence]);
}

#[test]
fn a_connection_is_one_thing() {
    let exactly = "it must have exactly one of nat, routing, ipsec, wireguard and dns";
    let key = "a key as \"wg genkey\" writes it: 44 characters of base64, the last of them \"=\"";
    for (list, sentence) in [
        ("{name: x}", format!("connection \"x\" says nothing of what it is; {exactly}")),
        ("{name: x, nat: {}, dns: {}}", format!("connection \"x\" has nat and dns; {exactly}")),
        ("{name: x, nat: {}}, {name: x, dns: {}}", "two connections have the name \"x\"; give one of the two another".into()),
        (
            "{name: x, nat: {}, bgp: {localAs: 65000, neighbors: []}}",
            "connection \"x\" has bgp beside nat; routes are exchanged over routing, ipsec and wireguard: move it to such a \
             connection"
                .into(),
        ),
        (
            "{name: x, ipsec: {}}",
            "connection \"x\" needs either a pre-shared key (psk) or certificates, and has neither".into(),
        ),
        (
            &format!("{{name: x, wireguard: {{peerKey: {KEY}}}}}"),
            format!("connection \"x\" needs privateKey, {key}"),
        ),
        (
            &format!("{{name: x, wireguard: {{peerKey: {KEY}, privateKey: {KEY}, presharedKey: short}}}}"),
            format!("connection \"x\" needs presharedKey, {key}"),
        ),
    ] {
        refused(&gateway(), &connections(list), &[&format!("compartment bbb/net: {sentence}")]);
    }
    let nowhere = compartment("bbb/net", &format!("{}, connections: [{{name: x, nat: {{}}}}]", plain()));
    let sentence = "compartment bbb/net: connection \"x\" is nat, which needs an outside; give the compartment one, with \
                    addresses";
    refused(&gateway(), &nowhere, &[sentence]);
}

#[test]
fn what_stands_for_a_secret_is_none_and_is_found_again() {
    let intent = gateway();
    let declared = intent.get(&Key { kind: Kind::Compartment, name: "aaa/net".to_owned() }).unwrap();
    let hidden = declared.without_secrets().unwrap();
    let errors = intent.with([Change::Set(hidden.clone())]).unwrap_err();
    assert_eq!(
        errors.iter().map(IntentError::to_string).collect::<Vec<_>>(),
        [
            "compartment aaa/net: site.ipsec.psk is \"(hidden)\", which stands for a secret that is not shown, and none was declared \
          before; write the secret itself"
        ]
    );
    assert_eq!(hidden.with_secrets_of(declared).as_ref(), Some(declared));
    assert_eq!(declared.with_secrets_of(declared), None, "nothing is hidden in it");
    let text = crate::resources_to_yaml([&hidden]).unwrap();
    assert!(!text.contains("swordfish") && text.contains("(hidden)"), "{text}");
    assert!(!format!("{declared:?}").contains("swordfish"));
    let Resource::Compartment(other) = &hidden else { panic!("it is a compartment") };
    assert_eq!(other.hidden_secrets(), ["site.ipsec.psk"]);
}
