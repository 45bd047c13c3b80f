//! Lookup records whose rule is not to encapsulate: TranslationMethodNat rewrites customer addresses to provider addresses,
//! TranslationMethodNone changes nothing. Needs root.

use tests::capture::Capture;
use tests::stage::Stage;
use tests::tools::{must_not_ping, must_ping, must_tcp, received_bytes, tcp};

/// Each VM has a provider address of its own, as rule Nat wants it.
const NAT: &str = r#"
name: LAB
hosts:
  - {name: H1, addresses: [192.168.4.11/24, 192.168.4.105/24]}
  - {name: H2, addresses: [192.168.4.22/24, 192.168.4.107/24]}
vms:
  - {name: blue1, host: H1, mac: 06-06-00-00-00-05, vsid: 5001, addresses: [10.0.0.5/24]}
  - {name: blue2, host: H2, mac: 06-06-00-00-00-07, vsid: 5001, addresses: [10.0.0.7/24]}
  - {name: blue3, host: H1, mac: 06-06-00-00-00-09, vsid: 5001, addresses: [10.0.0.9/24]}
resources:
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.105, rule: TranslationMethodNat}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.4.107, rule: TranslationMethodNat}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.9, mac: 06-06-00-00-00-09, providerAddress: 192.168.4.11}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
"#;

#[test]
fn rule_nat_puts_plain_packets_with_provider_addresses_on_the_wire() {
    let stage = Stage::up(NAT);
    let (blue1, blue2) = (stage.vm("blue1"), stage.vm("blue2"));
    let wire = Capture::start(&stage.host(2), "eth0", "ip");
    let heard = Capture::start(&blue2, "eth0", "ip");
    must_ping(&blue1, "10.0.0.7");
    must_ping(&blue2, "10.0.0.5");
    must_tcp(&blue1, &blue2, "10.0.0.7");
    must_tcp(&blue2, &blue1, "10.0.0.5");
    for (from, to, address) in [(&blue1, &blue2, "10.0.0.7"), (&blue2, &blue1, "10.0.0.5")] {
        assert!(received_bytes(&tcp(from, to, address, "-u -b 10M -l 1000 -n 1M")) > 900_000);
    }
    let wire = wire.end();
    assert_eq!(wire.count("gre"), 0, "not encapsulated");
    assert_eq!(wire.count("ip.addr == 10.0.0.0/24"), 0, "no customer address is seen");
    assert!(wire.count("icmp && ip.src == 192.168.4.105 && ip.dst == 192.168.4.107") >= 6);
    assert!(wire.count("tcp && ip.src == 192.168.4.107 && ip.dst == 192.168.4.105") > 10);
    assert!(wire.count("udp && ip.src == 192.168.4.105 && ip.dst == 192.168.4.107") > 10);
    let heard = heard.end();
    assert_eq!(heard.count("ip.addr == 192.168.4.0/24"), 0, "no provider address is seen by a VM");
    // A VM whose record says Encap is not reached by one whose says Nat, and the drop says why.
    must_not_ping(&stage.vm("blue3"), "10.0.0.7");
    assert!(stage.drops(1, "blue3", "NotTranslated") >= 2, "{}", stage.all_drops(1));
}

#[test]
fn rule_none_puts_the_packets_as_they_are_on_the_wire() {
    let text = NAT.replace("TranslationMethodNat", "TranslationMethodNone");
    let text =
        text.replace("192.168.4.105, rule", "192.168.4.11, rule").replace("192.168.4.107, rule", "192.168.4.22, rule");
    let stage = Stage::up(&text);
    let (blue1, blue2) = (stage.vm("blue1"), stage.vm("blue2"));
    let wire = Capture::start(&stage.host(2), "eth0", "ip");
    must_ping(&blue1, "10.0.0.7");
    must_ping(&blue2, "10.0.0.5");
    must_tcp(&blue1, &blue2, "10.0.0.7");
    must_tcp(&blue2, &blue1, "10.0.0.5");
    assert!(received_bytes(&tcp(&blue1, &blue2, "10.0.0.7", "-u -b 10M -l 1000 -n 1M")) > 900_000);
    let wire = wire.end();
    // What VMs say of their multicast groups is for all of a subnet, so it is encapsulated, whatever the records say.
    assert_eq!(wire.count("gre && !icmpv6"), 0, "not encapsulated");
    assert!(wire.count("icmp && ip.src == 10.0.0.5 && ip.dst == 10.0.0.7") >= 6, "{}", wire.lines("icmp"));
    assert!(wire.count("tcp && ip.src == 10.0.0.7 && ip.dst == 10.0.0.5") > 10);
}
