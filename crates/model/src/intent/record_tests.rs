//! Contradictions that lookup records make, each by one change of the host of [`super::tests`].

use super::tests::{accepted, host, refused};
use super::{Change, IntentError};
use crate::resources_from_yaml;

/// A spec of a record in VSID 5001 with this customer address.
fn record(address: &str, rest: &str) -> String {
    format!("vsid: 5001, customerAddress: '{address}', mac: 06-06-00-00-00-09, providerAddress: 192.168.4.22{rest}")
}

#[test]
fn a_customer_address_is_one_that_a_vm_of_the_subnet_can_have() {
    for address in ["224.0.0.9", "127.0.0.1", "255.255.255.255", "0.1.2.3", "ff02::9", "::1"] {
        refused(
            "lookup-record",
            &record(address, ""),
            &[&format!(
                "lookup-record 5001/{address}: customer address {address} is multicast, broadcast or loopback; give \
                 the \
                 VM's unicast address"
            )],
        );
    }
    refused(
        "lookup-record",
        &record("fe80::9", ""),
        &["lookup-record 5001/fe80::9: fe80::9 is link-local, and such addresses follow from the MAC address by \
           themselves; remove the record"],
    );
    refused(
        "lookup-record",
        &record("::ffff:10.0.0.9", ""),
        &["lookup-record 5001/::ffff:10.0.0.9: ::ffff:10.0.0.9 is an IPv4 address written as IPv6; write 10.0.0.9"],
    );
    for (gateway, prefix) in [("10.0.0.1", "10.0.0.0/24"), ("fd00::1", "fd00::/64")] {
        refused(
            "lookup-record",
            &record(gateway, ""),
            &[&format!(
                "lookup-record 5001/{gateway}: {gateway} is the gateway of VSID 5001 (the lowest host address of \
                 {prefix}); \
                 give the VM another address, or, to note the gateway alone, a provider address of 169.254.0.0/16"
            )],
        );
    }
    // Which HNV's scripts note, with a provider address of no host.
    for gateway in ["10.0.0.1", "fd00::1"] {
        let note = format!(
            "vsid: 5001, customerAddress: '{gateway}', mac: 10-10-10-10-11-01, providerAddress: 169.254.254.254"
        );
        accepted("lookup-record", &note);
    }
    for (address, prefix) in [("10.0.0.0", "10.0.0.0/24"), ("10.0.0.255", "10.0.0.0/24"), ("fd00::", "fd00::/64")] {
        refused(
            "lookup-record",
            &record(address, ""),
            &[&format!(
                "lookup-record 5001/{address}: {address} is the network or broadcast address of {prefix} in VSID \
                 5001; \
                 give the VM another address"
            )],
        );
    }
    refused(
        "lookup-record",
        &record("10.0.1.9", ""),
        &["lookup-record 5001/10.0.1.9: customer address 10.0.1.9 is in no on-link prefix of VSID 5001 \
             (10.0.0.0/24); \
           choose one inside, or declare its prefix with a customer route whose next hop is 0.0.0.0 or ::"],
    );
    accepted("lookup-record", &record("fd00::ffff", ""));
    // Without a prefix of the family nothing is known about what fits.
    accepted(
        "lookup-record",
        "vsid: 5002, customerAddress: 'fd07::9', mac: 06-06-00-00-00-09, providerAddress: 192.168.4.22",
    );
}

#[test]
fn types_and_rules_fit_together() {
    let wildcard = ", type: GatewayWildcard";
    accepted("lookup-record", &record("0.0.0.0", wildcard));
    accepted("lookup-record", &record("::", wildcard));
    refused(
        "lookup-record",
        &record("10.0.0.9", wildcard),
        &["lookup-record 5001/10.0.0.9: type GatewayWildcard stands for every address without a record; its \
             customer \
           address is 0.0.0.0 or ::, not 10.0.0.9"],
    );
    refused(
        "lookup-record",
        &record("0.0.0.0", ""),
        &["lookup-record 5001/0.0.0.0: customer address 0.0.0.0 is for type GatewayWildcard alone; give the VM's \
             address \
           or that type"],
    );
    refused(
        "lookup-record",
        &record("0.0.0.0", ", type: GatewayWildcard, rule: TranslationMethodNone"),
        &["lookup-record 5001/0.0.0.0: type GatewayWildcard cannot have rule TranslationMethodNone, which is \
             about one \
           address; use TranslationMethodEncap"],
    );
    let l2_only = "vsid: 5001, mac: 06-06-00-00-00-09, providerAddress: 192.168.4.22";
    accepted("lookup-record", &format!("{l2_only}, type: L2Only"));
    refused(
        "lookup-record",
        &format!("{l2_only}, type: L2Only, rule: TranslationMethodNat"),
        &["lookup-record 5001/06-06-00-00-00-09: type L2Only cannot have rule TranslationMethodNat, which needs \
             the \
           customer address; use TranslationMethodEncap"],
    );
    refused(
        "lookup-record",
        &format!("{l2_only}, type: Dynamic"),
        &["lookup-record 5001/06-06-00-00-00-09: type Dynamic needs a customer address; give one, or use type \
             L2Only for \
           a VM whose addresses are learnt"],
    );
    refused(
        "lookup-record",
        &record("fd00::9", ", rule: TranslationMethodNone"),
        &["lookup-record 5001/fd00::9: rule TranslationMethodNone sends the packet as it is, so customer address \
             fd00::9 \
           and provider address 192.168.4.22 must be of one family"],
    );
}

#[test]
fn a_vm_is_on_one_host() {
    refused(
        "lookup-record",
        "vsid: 5001, customerAddress: 'fd00::7', mac: 06-06-00-00-00-07, providerAddress: 192.168.4.11",
        &["lookup-record 5001/10.0.0.7 and lookup-record 5001/fd00::7: MAC address 06-06-00-00-00-07 of VSID 5001 \
             is at \
           192.168.4.22 and at 192.168.4.11; a VM is on one host: correct one of the two"],
    );
    // The same MAC address in another subnet is another VM.
    accepted(
        "lookup-record",
        "vsid: 5002, customerAddress: 10.0.1.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.4.11",
    );
}

#[test]
fn an_address_on_the_wire_means_one_vm() {
    let nat = |vsid: u32, address: &str, last: u8, provider: &str| {
        format!(
            "{{kind: lookup-record, spec: {{vsid: {vsid}, customerAddress: {address}, mac: 06-06-00-00-00-{last:02}, \
             providerAddress: {provider}, rule: TranslationMethodNat}}}}"
        )
    };
    let errors = |documents: &[String]| -> Vec<String> {
        let resources = resources_from_yaml(&documents.join("\n---\n")).unwrap();
        let result = host().with(resources.into_iter().map(Change::Set));
        result.err().unwrap_or_default().iter().map(IntentError::to_string).collect()
    };
    let bare = "{kind: lookup-record, spec: {vsid: 5003, customerAddress: 198.18.0.9, mac: 06-06-00-00-00-30, \
                providerAddress: 192.168.4.22, rule: TranslationMethodNone}}";
    assert_eq!(errors(&[nat(5001, "10.0.0.9", 9, "198.18.0.8"), nat(5001, "10.0.0.10", 9, "198.18.0.10")]), [""; 0]);
    // The VM's host must answer for the address in the underlay, so it may be declared as the host's own.
    let own = "{kind: provider-address, spec: {address: 198.18.0.8, interface: eth0, prefixLength: 24}}";
    assert_eq!(errors(&[nat(5001, "10.0.0.9", 9, "198.18.0.8"), own.to_owned()]), [""; 0]);
    assert_eq!(errors(&[nat(5001, "10.0.0.9", 9, "192.168.4.11")]).len(), 1, "192.168.4.11 is an Encap record's too");
    assert_eq!(
        errors(&[nat(5001, "10.0.0.9", 9, "198.18.0.9"), nat(5001, "10.0.0.10", 10, "198.18.0.9")]),
        ["lookup-record 5001/10.0.0.10 and lookup-record 5001/10.0.0.9: a packet to 198.18.0.9, which is not \
          encapsulated, could be for either; give one of the two another address"]
    );
    assert_eq!(
        errors(&[nat(5001, "10.0.0.9", 9, "198.18.0.9"), bare.to_owned()]),
        ["lookup-record 5001/10.0.0.9 and lookup-record 5003/198.18.0.9: a packet to 198.18.0.9, which is not \
          encapsulated, could be for either; give one of the two another address"]
    );
    assert_eq!(
        errors(&[nat(5001, "10.0.0.9", 9, "192.168.4.22")]),
        ["lookup-record 5001/10.0.0.9: 192.168.4.22 stands for a VM on the wire, and lookup-record 5001/10.0.0.7 \
             has it \
          as the address of a host; give the VM an address of its own"]
    );
    assert_eq!(
        errors(&[bare.replace("198.18.0.9", "192.168.4.11").replace("4.22", "4.33")])[0],
        "lookup-record 5003/192.168.4.11: 192.168.4.11 stands for a VM on the wire, and lookup-record 5001/10.0.0.5 \
         has \
         it as the address of a host; give the VM an address of its own"
    );
}
