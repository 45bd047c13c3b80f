//! What of gateways and their connections is refused, and in which words.

use super::gateways::{connection, world};
use super::{PHYSICAL, World};

/// The world with what lies beside: another gateway, VM networks elsewhere, and a connection of each service.
fn beside() -> World {
    let mut world = world();
    world.apply(PHYSICAL.replace("host17", "host19").as_str());
    world.apply("{kind: logical-network, name: Spare, spec: {networkVirtualization: true}}\n---\n{kind: vm-network, name: Spare, spec: {logicalNetwork: Spare}}");
    world
        .apply("{kind: gateway, name: other, spec: {logicalNetwork: TDIv2, hosts: [{host: host16, interface: eth1}]}}");
    world
}

/// The same with connections.
fn connected() -> World {
    let mut world = beside();
    for (name, what) in [
        ("internet", "nat: {}"),
        ("names", "dns: {}"),
        ("wg", "wireguard: {peerKey: HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=, remotePrefixes: [10.40.0.0/16]}"),
        ("site", "ipsec: {remote: 198.51.100.1, psk: x, remotePrefixes: [10.20.0.0/16]}"),
        ("branch", "routing: {}, bgp: {localAs: 64512, neighbors: [{address: 203.0.113.1, remoteAs: 64513}]}"),
    ] {
        world.apply(&connection(name, what));
    }
    world
}

#[track_caller]
fn refused(world: &mut World, name: &str, spec: &str) -> String {
    let spec =
        if spec.starts_with("vmNetwork") { spec.to_owned() } else { format!("vmNetwork: AAA, gateway: gw, {spec}") };
    world.refused(&format!("{{kind: gateway-connection, name: {name}, spec: {{{spec}}}}}")).join(" / ")
}

#[test]
fn one_service_and_what_it_stands_on() {
    let mut world = connected();
    for (name, spec, wanted) in [
        (
            "c",
            "vmNetwork: AAA, gateway: gw",
            "gateway connection c says not what it is; a connection is exactly one of nat, routing, ipsec, wireguard and dns: say one, and make a connection of its own for each other",
        ),
        (
            "c",
            "vmNetwork: AAA, gateway: gw, nat: {}, dns: {}",
            "gateway connection c says nat, dns; a connection is exactly one of nat, routing, ipsec, wireguard and dns: say one, and make a connection of its own for each other",
        ),
        (
            "c",
            "vmNetwork: none, gateway: gw, nat: {}",
            "gateway connection c names VM network none, which does not exist; create it with \"netvirt create vm-network none\"",
        ),
        (
            "c",
            "vmNetwork: AAA, gateway: none, nat: {}",
            "gateway connection c names gateway none, which does not exist; create it with \"netvirt create gateway none\"",
        ),
        (
            "c",
            "vmNetwork: floor, gateway: gw, nat: {}",
            "gateway connection c: a gateway connection is for isolation nvgre, vxlan and geneve only, and VM network floor has isolation vlan; leave it out",
        ),
        (
            "c",
            "vmNetwork: Spare, gateway: gw, nat: {}",
            "gateway connection c: gateway gw serves the VM networks of logical network TDIv2, and VM network Spare is on Spare; choose a gateway of that one",
        ),
        (
            "c",
            "vmNetwork: AAA, gateway: other, dns: {domain: b}",
            "gateway connection c is at gateway other, and gateway connection branch of the same VM network is at gateway gw; all connections of a VM network are at one: choose the same / gateway connection c: gateway connection names of the same VM network has a DNS server already; put what it says into that one",
        ),
        (
            "c",
            "vmNetwork: AAA, gateway: gw, nat: {}, limits: {egress: {packets: 5}}",
            "gateway connection c: a connection limits bandwidth, not packets; leave the packets of egress out",
        ),
        (
            "c",
            "vmNetwork: AAA, gateway: gw, nat: {}, bgp: {localAs: 1, neighbors: []}",
            "gateway connection c: bgp is for connections of routing, ipsec and wireguard, and this one is of nat; leave it out",
        ),
    ] {
        assert_eq!(refused(&mut world, name, spec), wanted, "{spec}");
    }
}

#[test]
fn addresses_of_nat() {
    let mut world = beside();
    for (name, spec, wanted) in [
        ("c", "nat: {sharedPorts: 63}", "gateway connection c: sharedPorts 63 is out of range; choose 64 to 32768"),
        (
            "c",
            "nat: {sharedPorts: 64, addresses: [203.0.113.20]}",
            "gateway connection c: nat.sharedPorts stands beside IPv4 addresses of its own; leave one of the two out",
        ),
        (
            "c",
            "nat: {addresses: [203.0.113.20, 203.0.113.20]}",
            "gateway connection c: address 203.0.113.20 outside stands there twice; keep one of the two",
        ),
        (
            "c",
            "nat: {addresses: [203.0.114.20]}",
            "gateway connection c: address outside 203.0.114.20 is in none of the prefixes 203.0.113.0/24, fd99::/64; choose one inside",
        ),
        (
            "c",
            "nat: {addresses: [203.0.113.11]}",
            "gateway connection c: 203.0.113.11 is the next hop of gateway gw; choose another",
        ),
        (
            "c",
            "nat: {addresses: [203.0.113.3]}",
            "gateway connection c: 203.0.113.3 is an address of a host of gateway gw; choose another",
        ),
        (
            "c",
            "nat: {addresses: [203.0.113.255]}",
            "gateway connection c: 203.0.113.255 is the network or broadcast address of a network of gateway gw; choose another",
        ),
        (
            "c",
            "nat: {floating: [{external: 203.0.113.20, internal: 10.10.0.5}, {external: 203.0.113.20, internal: 10.10.0.6}]}",
            "gateway connection c: address 203.0.113.20 outside stands there twice; keep one of the two",
        ),
        (
            "c",
            "nat: {floating: [{external: 203.0.113.20, internal: 10.11.0.5}]}",
            "gateway connection c: floating address's VM 10.11.0.5 is in none of the prefixes 10.10.0.0/16; choose one inside",
        ),
        (
            "c",
            "nat: {floating: [{external: 'fd99::50', internal: 10.10.0.5}]}",
            "gateway connection c: fd99::50 and 10.10.0.5 are of different families; use IPv4 for both or IPv6",
        ),
    ] {
        assert_eq!(refused(&mut world, name, spec), wanted, "{spec}");
    }
}

#[test]
fn ports_and_prefixes_of_nat() {
    let mut world = beside();
    for (name, spec, wanted) in [
        (
            "c",
            "nat: {forwards: [{protocol: tcp, ports: 80, internal: 10.11.0.5}]}",
            "gateway connection c: forwarded port's VM 10.11.0.5 is in none of the prefixes 10.10.0.0/16; choose one inside",
        ),
        (
            "c",
            "nat: {forwards: [{protocol: tcp, ports: 80-90, internal: 10.10.0.5}, {protocol: tcp, ports: 90, external: 203.0.113.11, internal: 10.10.0.6}]}",
            "gateway connection c: 203.0.113.11 is the next hop of gateway gw; choose another",
        ),
        (
            "c",
            "nat: {forwards: [{protocol: tcp, ports: 80-90, internal: 10.10.0.5}, {protocol: tcp, ports: 90, internal: 10.10.0.6}]}",
            "gateway connection c: gateway connection c of the same VM network has tcp port 80-90 of 203.0.113.10 forwarded already; choose another port or address outside",
        ),
        (
            "c",
            "nat: {forwards: [{protocol: udp, ports: 0, internal: 10.10.0.5}]}",
            "gateway connection c: forwarded port 0 is out of range; choose 1 to 65535",
        ),
        (
            "c",
            "nat: {forwards: [{protocol: udp, ports: 1-9, internal: 10.10.0.5, internalPort: 65530}]}",
            "gateway connection c: ports 1-9 lead to port 65530 and those behind it, and there is none beyond 65535; choose a lower one",
        ),
        (
            "c",
            "nat: {prefixes: [10.11.0.0/24]}",
            "gateway connection c: 10.11.0.0/24 is inside of none of the prefixes of the VM network (10.10.0.0/16); choose one inside",
        ),
        (
            "c",
            "nat: {translations: [{internal: 'fd00::/64', external: 'fd98::/56'}]}",
            "gateway connection c: fd00::/64 and fd98::/56 are of different lengths; choose prefixes of one length",
        ),
        (
            "c",
            "nat: {limits: {connections: 0}}",
            "gateway connection c: limits.connections 0 is out of range; choose 1 or more, or leave it out",
        ),
    ] {
        assert_eq!(refused(&mut world, name, spec), wanted, "{spec}");
    }
}

#[test]
fn keys_of_tunnels() {
    let mut world = beside();
    for (name, spec, wanted) in [
        (
            "c",
            "ipsec: {remote: 198.51.100.1}",
            "gateway connection c has neither a pre-shared key nor certificates; an IPsec tunnel has exactly one of these: give it a key with \"--psk-file FILE\", or certificates with \"netvirt apply\"",
        ),
        (
            "c",
            "ipsec: {remote: 198.51.100.1, psk: x, certificates: {certificate: c, privateKey: k, ca: a}}",
            "gateway connection c has a pre-shared key and certificates; an IPsec tunnel has exactly one of these: leave one out / gateway connection c: ipsec.certificates.certificate is not PEM; write what begins with \"-----BEGIN\" / gateway connection c: ipsec.certificates.ca is not PEM; write what begins with \"-----BEGIN\" / gateway connection c: ipsec.certificates.privateKey is not PEM; write what begins with \"-----BEGIN\"",
        ),
        (
            "c",
            "ipsec: {psk: x}",
            "gateway connection c names no remote, and opens the tunnel itself; name the other side with \"--remote ADDRESS\", or let it wait with \"passive: true\"",
        ),
        (
            "c",
            "ipsec: {psk: x, passive: true, remotePrefixes: [10.20.0.0/16]}",
            "gateway connection c names no remote, so that the other side is known by its name in IKE alone; write that with \"--remote-id NAME\", or its address with \"--remote ADDRESS\"",
        ),
        (
            "c",
            "ipsec: {psk: x, passive: true, remoteId: cafe.example, remotePrefixes: [0.0.0.0/0]}",
            "gateway connection c names no remote, and leads everything to it: what keeps the tunnel up would be led there too; name the other side with \"--remote ADDRESS\", or what lies behind it with \"--remote-prefix PREFIX\"",
        ),
        (
            "c",
            "ipsec: {remote: 198.51.100.1, psk: ' '}",
            "gateway connection c: ipsec.psk is empty; write a key that both sides know, of 16 random characters or more",
        ),
        (
            "c",
            "ipsec: {remote: 198.51.100.1, psk: (hidden)}",
            "gateway connection c: ipsec.psk is \"(hidden)\", which stands for a secret that was there before, and there was none; write the secret itself",
        ),
        (
            "c",
            "ipsec: {remote: 198.51.100.1, certificates: {certificate: c, privateKey: '-----BEGIN', ca: '-----BEGIN'}}",
            "gateway connection c: ipsec.certificates.certificate is not PEM; write what begins with \"-----BEGIN\" / gateway connection c: ipsec.certificates.ca is not PEM; write what begins with \"-----BEGIN\" / gateway connection c: ipsec.certificates.privateKey is not PEM; write what begins with \"-----BEGIN\"",
        ),
    ] {
        assert_eq!(refused(&mut world, name, spec), wanted, "{spec}");
    }
}

#[test]
fn prefixes_and_words_of_tunnels() {
    let mut world = beside();
    for (name, spec, wanted) in [
        (
            "c",
            "ipsec: {remote: 198.51.100.1, psk: x, remotePrefixes: [10.10.5.0/24]}",
            "gateway connection c: 10.10.5.0/24 overlaps with 10.10.0.0/16 of VM subnet test; choose another prefix",
        ),
        (
            "c",
            "ipsec: {remote: 198.51.100.1, psk: x, remotePrefixes: [10.20.0.1/16]}",
            "gateway connection c: 10.20.0.1/16 has bits set behind its length; write 10.20.0.0/16",
        ),
        (
            "c",
            "ipsec: {remote: 198.51.100.1, psk: x, localPrefixes: [10.11.0.0/24]}",
            "gateway connection c: 10.11.0.0/24 is inside of none of the prefixes of the VM network (10.10.0.0/16); choose one inside",
        ),
        (
            "c",
            "ipsec: {remote: 198.51.100.1, psk: x, ikeProposals: ['aes256 sha256']}",
            "gateway connection c: ipsec.ikeProposals has what is no proposal; write such as aes256gcm16-prfsha384-ecp384",
        ),
        (
            "c",
            "ipsec: {remote: 198.51.100.1, psk: x, dpdDelay: 0}",
            "gateway connection c: ipsec.dpdDelay 0 is out of range; choose 1 to 604800 seconds",
        ),
        (
            "c",
            "ipsec: {remote: 198.51.100.1, psk: x, localId: ''}",
            "gateway connection c: ipsec.localId is no name in IKE; write an address, a domain name, or a distinguished name in one line",
        ),
        (
            "c",
            "wireguard: {peerKey: HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=, privateKey: x}",
            "gateway connection c: wireguard.privateKey: this is no key of WireGuard (44 characters of base64, the last of them \"=\"); \"wg genkey\" and \"wg pubkey\" write such",
        ),
        (
            "c",
            "wireguard: {peerKey: HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=, listenPort: 0}",
            "gateway connection c: wireguard.listenPort 0 is out of range; choose 1 to 65535",
        ),
        (
            "c",
            "wireguard: {peerKey: HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=, endpoint: '198.51.100.1:0'}",
            "gateway connection c: wireguard.endpoint's port 0 is out of range; choose 1 to 65535",
        ),
    ] {
        assert_eq!(refused(&mut world, name, spec), wanted, "{spec}");
    }
}

#[test]
fn routes() {
    let mut world = beside();
    for (name, spec, wanted) in [
        (
            "c",
            "routing: {vlan: 43}",
            "gateway connection c: gateway gw has no network in VLAN 43 outside; add one with \"netvirt set gateway gw --add-network PREFIX,...\", or choose another VLAN",
        ),
        (
            "c",
            "routing: {routes: [{prefix: 10.20.0.0/16, nextHop: 10.99.0.1}]}",
            "gateway connection c: next hop 10.99.0.1 is in none of the prefixes 203.0.113.0/24, fd99::/64; choose one inside",
        ),
        (
            "c",
            "routing: {routes: [{prefix: 'fd20::/64', nextHop: 203.0.113.1}]}",
            "gateway connection c: fd20::/64 and its next hop 203.0.113.1 are of different families; use IPv4 for both or IPv6",
        ),
        (
            "c",
            "routing: {vlan: 42}, bgp: {localAs: 0, neighbors: [{address: 10.99.0.1, remoteAs: 1, holdTime: 2}]}",
            "gateway connection c: bgp.localAs 0 is out of range; choose 1 to 4294967294 / gateway connection c: bgp.neighbors.holdTime 2 is out of range; choose 0, or 3 to 65535 seconds (RFC 4271, 4.2)",
        ),
        (
            "c",
            "routing: {vlan: 42}, bgp: {localAs: 1, neighbors: []}",
            "gateway connection c has no neighbor; name at least one with \"--neighbor ADDRESS=AS\"",
        ),
        (
            "c",
            "routing: {vlan: 42}, bgp: {localAs: 1, neighbors: [{address: 10.99.0.1, remoteAs: 1}, {address: 10.99.0.1, remoteAs: 2}]}",
            "gateway connection c: neighbor 10.99.0.1 stands there twice; keep one of the two",
        ),
        (
            "c",
            "routing: {vlan: 42}, bgp: {localAs: 1, neighbors: [{address: 10.98.0.1, remoteAs: 1}]}",
            "gateway connection c: neighbor 10.98.0.1 is not reached over this connection, which has 10.99.0.0/24; choose one on-link, or say \"multihop: true\"",
        ),
        (
            "c",
            "routing: {vlan: 42}, bgp: {localAs: 1, neighbors: [{address: 10.99.0.1, remoteAs: 1, import: [{prefix: 10.0.0.0/8, atLeast: 25, atMost: 24}]}]}",
            "gateway connection c: the filter for 10.0.0.0/8 takes lengths of 25 to 24, and there are none such inside of it; choose lengths of 8 to 32",
        ),
        (
            "c",
            "routing: {vlan: 42}, bgp: {localAs: 1, neighbors: [{address: 10.99.0.1, remoteAs: 1, password: ''}]}",
            "gateway connection c: bgp.neighbors.password of 10.99.0.1 is no password of TCP MD5 signatures; write 1 to 80 characters, or leave it out",
        ),
        (
            "c",
            "ipsec: {remote: 198.51.100.1, psk: x}, bgp: {localAs: 1, neighbors: [{address: 169.254.1.1, remoteAs: 1}]}",
            "gateway connection c: neighbor 169.254.1.1 is not reached over this connection, which has none; name its prefix in \"addresses\" or \"remotePrefixes\"",
        ),
    ] {
        assert_eq!(refused(&mut world, name, spec), wanted, "{spec}");
    }
}

#[test]
fn names() {
    let mut world = beside();
    for (name, spec, wanted) in [
        (
            "c",
            "dns: {domain: 'a b'}",
            "gateway connection c: \"a b\" is not a domain name; write one such as vm.example.com",
        ),
        (
            "c",
            "dns: {zones: [{zone: corp.example, servers: []}]}",
            "gateway connection c has no server of a zone; name at least one with \"servers: [ADDRESS]\"",
        ),
        (
            "c",
            "dns: {domain: Corp.example, zones: [{zone: corp.example, servers: [10.20.0.53]}]}",
            "gateway connection c: zone corp.example stands there twice; keep one of the two",
        ),
        (
            "c",
            "dns: {names: [{name: a, addresses: []}]}",
            "gateway connection c has no address of a name; name at least one with \"addresses: [ADDRESS]\"",
        ),
        (
            "c",
            "dns: {names: [{name: a, addresses: [10.0.0.1]}, {name: A, addresses: [10.0.0.2]}]}",
            "gateway connection c: name a stands there twice; keep one of the two",
        ),
    ] {
        assert_eq!(refused(&mut world, name, spec), wanted, "{spec}");
    }
}

#[test]
fn together() {
    let mut world = connected();
    for (name, spec, wanted) in [
        (
            "nat2",
            "nat: {}",
            "gateway connection nat2: gateway connection internet of the same VM network has NAT of 10.10.0.0/16 already; name other \"prefixes\" in each, or put all of it into one connection",
        ),
        (
            "dns2",
            "dns: {}",
            "gateway connection dns2: gateway connection names of the same VM network has a DNS server already; put what it says into that one",
        ),
        (
            "wg2",
            "wireguard: {peerKey: HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=, remotePrefixes: [10.50.0.0/16]}",
            "gateway connection wg2: gateway connection wg of the same VM network has WireGuard's UDP port 51820 already; choose another \"listenPort\"",
        ),
        (
            "site2",
            "ipsec: {remote: 198.51.100.2, psk: x, remotePrefixes: [10.20.5.0/24]}",
            "gateway connection site2: 10.20.5.0/24 overlaps with 10.20.0.0/16 of gateway connection site; choose another prefix",
        ),
        (
            "company",
            "routing: {}, bgp: {localAs: 7, neighbors: [{address: 203.0.113.9, remoteAs: 64513}]}",
            "gateway connection company: it is in autonomous system 7, and gateway connection branch of the same VM network is in 64512; choose one for both",
        ),
        (
            "lab",
            "routing: {vlan: 42}",
            "gateway connection lab is in VLAN 42 outside, and gateway connection branch of the same VM network untagged; a VM network has one way out: choose the same VLAN",
        ),
    ] {
        assert_eq!(refused(&mut world, name, spec), wanted, "{spec}");
    }
}

#[test]
fn gateways_themselves() {
    let mut world = connected();
    let host = "hosts: [{host: host18, interface: eth1}]";
    let mut refused = |spec: &str| {
        let spec =
            if spec.contains("logicalNetwork") { spec.to_owned() } else { format!("logicalNetwork: TDIv2, {spec}") };
        world.refused(&format!("{{kind: gateway, name: new, spec: {{{spec}}}}}")).join(" / ")
    };
    for (spec, wanted) in [
        ("hosts: []".to_owned(), "gateway new has no host; name at least one with \"--gateway-host HOST=INTERFACE\""),
        ("hosts: [{host: none, interface: a}]".to_owned(), "gateway new names host none, which does not exist"),
        (host.to_owned(), "gateway new: host host18 belongs to gateway gw already; choose another"),
        (
            "hosts: [{host: host15, interface: a}, {host: host15, interface: b}]".to_owned(),
            "host host15 stands there twice",
        ),
        (
            "hosts: [{host: host15, interface: eth1234567890123}]".to_owned(),
            "gateway new: \"eth1234567890123\" cannot be the external interface of host host15: 1 to 15 letters",
        ),
        (
            "hosts: [{host: host15, interface: eth0}]".to_owned(),
            "gateway new: eth0 is an uplink of host host15, and the external interface is one that the host uses for nothing else",
        ),
        (
            "logicalNetwork: Spare, hosts: [{host: host15, interface: eth1}]".to_owned(),
            "gateway new: host host15 has no uplink in logical network Spare",
        ),
        (
            "hosts: [{host: host15, interface: eth1, addresses: [203.0.113.9/24]}]".to_owned(),
            "gateway new: address of a host 203.0.113.9 is in none of the prefixes none",
        ),
        (
            "hosts: [{host: host15, interface: eth1}], networks: [{prefix: 10.9.0.0/24, ranges: [10.8.0.1-10.8.0.9]}]"
                .to_owned(),
            "gateway new: 10.8.0.1-10.8.0.9 is not inside of one of the prefixes 10.9.0.0/24",
        ),
        (
            "hosts: [{host: host15, interface: eth1}], networks: [{prefix: 10.9.0.0/24}, {prefix: 10.9.0.0/16}]"
                .to_owned(),
            "gateway new: 10.9.0.0/16 overlaps with 10.9.0.0/24 of gateway new",
        ),
        (
            "hosts: [{host: host15, interface: eth1}], networks: [{prefix: 10.9.0.0/24, nextHop: 10.8.0.1}]".to_owned(),
            "gateway new: next hop 10.8.0.1 is in none of the prefixes 10.9.0.0/24",
        ),
    ] {
        let said = refused(&spec);
        assert!(said.contains(wanted), "{spec}: {said}");
    }
}

#[test]
fn what_is_in_use_stays() {
    let mut world = connected();
    let gateway = |networks: &str| {
        format!(
            "{{kind: gateway, name: gw, spec: {{logicalNetwork: TDIv2, hosts: [{{host: host17, interface: eth1}}], networks: [{networks}]}}}}"
        )
    };
    assert_eq!(
        world.refused(&gateway("{prefix: 203.0.113.0/24, ranges: [203.0.113.15-203.0.113.18]}")),
        [
            "gateway gw: the new networks would leave out what is in use by VM network AAA; keep it, or change these first"
        ]
    );
    let refusals = world.refused("{kind: vm-subnet, name: more, spec: {vmNetwork: AAA, prefixes: [10.20.1.0/24]}}");
    assert_eq!(
        refusals,
        ["gateway connection site: 10.20.0.0/16 overlaps with 10.20.1.0/24 of VM subnet more; choose another prefix"]
    );
    let refusals =
        world.refused("{kind: mac-pool, name: default, spec: {ranges: [00-1D-D8-F4-1F-FF..00-1D-D8-F4-1F-FF]}}");
    assert!(refusals[0].contains("VM network AAA"), "{refusals:?}");
    let host = "{kind: host, name: host17, spec: {uplinks: [{interface: eth1, addresses: [192.168.4.17/24], logicalNetworks: [TDIv2]}]}}";
    assert_eq!(
        world.refused(host),
        ["host host17: the new uplinks would leave out what is in use by gateway gw; keep it, or change these first"]
    );
}
