//! The refusals that are about prefixes, ranges and isolation, each as its whole sentence.

use super::refusals::refused;

#[test]
fn prefixes() {
    let subnet =
        |prefixes: &str| format!("{{kind: vm-subnet, name: s, spec: {{vmNetwork: AAA, prefixes: [{prefixes}]}}}}");
    refused(&subnet("10.0.0.1/24"), "VM subnet s: 10.0.0.1/24 has bits set behind its length; write 10.0.0.0/24");
    refused(
        &subnet("10.0.0.0/31"),
        "VM subnet s: the length of 10.0.0.0/31 is out of range; choose one of 1 to 30 bits",
    );
    refused(&subnet("'::/0'"), "VM subnet s: the length of ::/0 is out of range; choose one of 1 to 126 bits");
    refused(
        &subnet("224.0.0.0/8"),
        "VM subnet s: 224.0.0.0 is not a unicast address that an interface can be given (multicast, loopback, link-local, \
         unspecified or IPv4 written as IPv6); give one that is",
    );
    refused(
        &subnet("10.10.7.0/24"),
        "VM subnet s: 10.10.7.0/24 overlaps with 10.10.0.0/16 of VM subnet test; choose another prefix",
    );
    refused(
        &subnet("10.7.0.0/24, 10.0.0.0/8"),
        "VM subnet s: 10.0.0.0/8 overlaps with 10.10.0.0/16 of VM subnet test; choose another prefix",
    );
    refused(
        &subnet("10.7.0.0/24, 10.7.0.0/25"),
        "VM subnet s: 10.7.0.0/25 overlaps with 10.7.0.0/24 of VM subnet s; choose another prefix",
    );
    refused(&subnet(""), "VM subnet s has no prefix; name at least one with \"--prefix 10.0.0.0/24\"");
}

#[test]
fn ranges() {
    let pool = |rest: &str| format!("{{kind: ip-pool, name: p, spec: {{vmSubnet: test, {rest}}}}}");
    refused(&pool("ranges: []"), "IP pool p has no range; name at least one with \"--range FIRST-LAST\"");
    refused(
        &pool("ranges: [10.11.0.5]"),
        "IP pool p: 10.11.0.5 is not inside of one of the prefixes 10.10.0.0/16; choose a range that is",
    );
    refused(
        &pool("ranges: [10.10.1.120-10.10.1.140]"),
        "IP pool p: 10.10.1.120-10.10.1.140 overlaps with 10.10.1.100-10.10.1.130 of IP pool CA Pool; choose another range",
    );
    refused(
        &pool("ranges: [10.10.2.1-10.10.2.9, 10.10.2.5]"),
        "IP pool p: 10.10.2.5 overlaps with 10.10.2.1-10.10.2.9 of IP pool p; choose another range",
    );
    refused(
        &pool("ranges: [10.10.2.1], dnsSuffixes: [a..b]"),
        "IP pool p: \"a..b\" is not a domain name; write one such as vm.example.com",
    );
    refused(
        &pool("ranges: [10.10.2.1], routes: [{prefix: 10.1.0.0/16, nextHop: 'fd00::1'}]"),
        "IP pool p: 10.1.0.0/16 and its next hop fd00::1 are of different families; use IPv4 for both or IPv6",
    );
    refused(
        &pool("ranges: [10.10.2.1], routes: [{prefix: 10.1.0.0/16, nextHop: 10.9.0.1}]"),
        "IP pool p: next hop 10.9.0.1 is in none of the prefixes 10.10.0.0/16; choose one inside",
    );
    refused(
        "{kind: mac-pool, name: m, spec: {ranges: [00-1D-D8-F4-1F-FF..00-1D-D8-F4-20-00]}}",
        "MAC pool m: 00-1D-D8-F4-1F-FF..00-1D-D8-F4-20-00 overlaps with 00-1D-D8-B7-1C-00..00-1D-D8-F4-1F-FF of MAC pool \
         default; choose another range",
    );
}

#[test]
fn isolation() {
    let network = |rest: &str| format!("{{kind: vm-network, name: n, spec: {{{rest}}}}}");
    refused(
        &network("logicalNetwork: Office"),
        "logical network Office does not allow network virtualization; allow it with \"netvirt set logical-network Office \
         --network-virtualization\", or use isolation vlan or none for VM network n",
    );
    refused(
        &network("logicalNetwork: Office, isolation: none"),
        "VM network bare is the VM network of logical network Office without isolation, and there is one only; use that one, or \
         another isolation for VM network n",
    );
    refused(
        &network("logicalNetwork: Office, isolation: vlan, limits: {egress: {packets: 10}}"),
        "VM network n: limits is for isolation nvgre, vxlan and geneve only, and VM network n has isolation vlan; leave it out",
    );
    let subnet = |rest: &str| format!("{{kind: vm-subnet, name: s, spec: {{{rest}}}}}");
    refused(
        &subnet("vmNetwork: floor, vsid: 5001, vlan: 43"),
        "VM subnet s: vsid is for isolation nvgre, vxlan and geneve only, and VM network floor has isolation vlan; leave it out",
    );
    refused(
        &subnet("vmNetwork: bare, vlan: 43"),
        "VM subnet s: vlan is for isolation vlan only, and VM network bare has isolation none; leave it out",
    );
    refused(
        &subnet("vmNetwork: AAA, prefixes: [10.0.0.0/24], gateways: [10.0.0.1]"),
        "VM subnet s: gateways is for isolation vlan and none only, and VM network AAA has isolation nvgre; leave it out",
    );
    refused(
        &subnet("vmNetwork: floor"),
        "VM subnet s names no VLAN, and VM network floor has isolation vlan; name one of 42, 43 with \"--vlan\"",
    );
    refused(
        &subnet("vmNetwork: floor, vlan: 44"),
        "VM subnet s: logical network Office has VLAN 44 at no site; its VLANs are 42, 43: choose one of these, or add it to a \
         site with \"netvirt apply\"",
    );
    refused(
        &subnet("vmNetwork: floor, vlan: 42"),
        "VM subnet s: VLAN 42 of logical network Office belongs to VM subnet desk already; choose another",
    );
    refused(
        &subnet("vmNetwork: floor, vlan: 43, prefixes: [172.18.0.0/16]"),
        "VM subnet s: 172.18.0.0/16 is inside of none of the prefixes that VLAN 43 of logical network Office has \
         (172.17.0.0/16); choose one inside",
    );
    refused(
        &subnet("vmNetwork: floor, vlan: 43, prefixes: [172.17.0.0/16], gateways: [172.17.0.1, 172.17.0.2]"),
        "VM subnet s: there are two IPv4 gateways; keep one of each family",
    );
    refused(
        &subnet("vmNetwork: floor, vlan: 43, prefixes: [172.17.0.0/16], gateways: [172.17.0.0]"),
        "VM subnet s: gateway 172.17.0.0 is the gateway, network or broadcast address of VM subnet s; choose another",
    );
    refused(
        "{kind: customer-route, name: r, spec: {vmNetwork: floor, prefix: 10.0.0.0/8, nextHop: 172.16.0.1}}",
        "customer route r: a customer route is for isolation nvgre, vxlan and geneve only, and VM network floor has isolation vlan; leave it out",
    );
}
