//! Each contradiction, made by one change of a host that has none.

use proptest::prelude::*;

use super::*;
use crate::{CustomerRoute, MAX_PATHS, resources_from_yaml};

/// A host with Blue's subnets 5001 (both families) and 5002, and Red's 6001 with the same addresses.
const HOST: &str = "\
{kind: provider-address, spec: {address: 192.168.4.11, interface: eth0, prefixLength: 24}}
---
{kind: provider-route, spec: {prefix: 192.168.0.0/16, nextHop: 192.168.4.1, interface: eth0}}
---
kind: customer-route
spec: {rdid: 11111111-2222-3333-4444-000000005001, vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}
---
kind: customer-route
spec: {rdid: 11111111-2222-3333-4444-000000005001, vsid: 5001, prefix: 'fd00::/64', nextHop: '::'}
---
kind: customer-route
spec: {rdid: 11111111-2222-3333-4444-000000005001, vsid: 5002, prefix: 10.0.1.0/24, nextHop: 0.0.0.0}
---
kind: customer-route
spec: {rdid: 11111111-2222-3333-4444-000000006001, vsid: 6001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}
---
kind: lookup-record
spec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}
---
kind: lookup-record
spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.4.22}
---
kind: lookup-record
spec: {vsid: 6001, customerAddress: 10.0.0.7, mac: 08-08-00-00-00-07, providerAddress: 192.168.4.22}
---
{kind: port, name: blue1, spec: {device: blue1, mac: 06-06-00-00-00-05, vsid: 5001}}
";

pub(super) fn host() -> Intent {
    Intent::new(resources_from_yaml(HOST).unwrap()).unwrap()
}

/// The sentences of what is wrong when this is declared on top of [`HOST`].
pub(super) fn errors_of(kind: &str, spec: &str) -> Vec<String> {
    let name = if matches!(kind, "port" | "security-group" | "address-set") { "name: extra, " } else { "" };
    let text = format!("{{kind: {kind}, {name}spec: {{{spec}}}}}");
    let resources = resources_from_yaml(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    match host().with(resources.into_iter().map(Change::Set)) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(IntentError::to_string).collect(),
    }
}

#[track_caller]
pub(super) fn refused(kind: &str, spec: &str, sentences: &[&str]) {
    assert_eq!(errors_of(kind, spec), sentences, "{kind} {spec}");
}

#[track_caller]
pub(super) fn accepted(kind: &str, spec: &str) {
    assert_eq!(errors_of(kind, spec), Vec::<String>::new(), "{kind} {spec}");
}

const BLUE: &str = "rdid: 11111111-2222-3333-4444-000000005001";

#[test]
fn the_same_thing_twice_counts_once_and_two_things_of_one_name_are_refused() {
    let resources = resources_from_yaml(HOST).unwrap();
    let twice = resources.iter().chain(&resources).cloned();
    assert_eq!(Intent::new(twice), Ok(host()));
    let mut other = resources_from_yaml(HOST).unwrap();
    let Some(Resource::Port(port)) = other.last_mut() else { panic!("the port is last") };
    port.device = "tap9".parse().unwrap();
    let errors = Intent::new(resources.into_iter().chain(other)).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].to_string(), "port blue1 is declared twice with different content; keep one of the two");
}

#[test]
fn changes_are_made_all_or_none() {
    let key = |name: &str| Key { kind: crate::Kind::Port, name: name.to_owned() };
    let without = host().with([Change::Delete(key("blue1"))]).unwrap();
    assert_eq!((without.len(), host().len()), (host().len() - 1, host().ports().count() + without.len()));
    assert!(without.get(&key("blue1")).is_none());
    let errors = host().with([Change::Delete(key("blue1")), Change::Delete(key("red1"))]).unwrap_err();
    assert_eq!(errors[0].to_string(), "there is no port red1; \"netvirt get port\" lists what there is");
    let errors = host().with([Change::Set(host().get(&key("blue1")).unwrap().clone()), Change::Delete(key("blue1"))]);
    assert_eq!(errors, Err(vec![IntentError::ChangedTwice { key: key("blue1") }]));
}

#[test]
fn all_contradictions_are_reported_at_once() {
    let text = "\
{kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.1, mac: 06-06-00-00-00-09, providerAddress: 224.0.0.1}}
---
{kind: provider-address, spec: {address: 192.168.4.12, interface: eth0, prefixLength: 33}}";
    let errors = host().with(resources_from_yaml(text).unwrap().into_iter().map(Change::Set)).unwrap_err();
    assert!(
        matches!(
            errors[..],
            [
                IntentError::ProviderNotUnicast { .. },
                IntentError::CustomerIsGateway { .. },
                IntentError::PrefixLength { .. }
            ]
        ),
        "{errors:?}"
    );
}

#[test]
fn a_subnet_is_in_one_routing_domain() {
    refused(
        "customer-route",
        "rdid: 11111111-2222-3333-4444-000000006001, vsid: 5001, prefix: 10.9.0.0/24, nextHop: 0.0.0.0",
        &["VSID 5001 is in routing domain {11111111-2222-3333-4444-000000005001} and in \
           {11111111-2222-3333-4444-000000006001}; a VM subnet is in one: give one of the two another VSID"],
    );
}

#[test]
fn prefixes_and_next_hops_fit_together() {
    refused(
        "customer-route",
        &format!("{BLUE}, vsid: 5001, prefix: 10.7.0.9/24, nextHop: 0.0.0.0"),
        &["customer-route 5001/10.7.0.9/24/0.0.0.0: 10.7.0.9/24 has bits set behind its length; write 10.7.0.0/24"],
    );
    refused(
        "customer-route",
        &format!("{BLUE}, vsid: 5001, prefix: 10.7.0.0/24, nextHop: '::'"),
        &["customer-route 5001/10.7.0.0/24/::: prefix 10.7.0.0/24 and next hop :: are of different families; use \
             IPv4 for both or IPv6"],
    );
    refused(
        "provider-route",
        "prefix: 172.16.0.1/12, nextHop: 192.168.4.1, interface: eth0",
        &["provider-route 172.16.0.1/12/192.168.4.1: 172.16.0.1/12 has bits set behind its length; write \
             172.16.0.0/12"],
    );
    refused(
        "customer-route",
        &format!("{BLUE}, vsid: 5001, prefix: '::ffff:10.7.0.0/120', nextHop: '::'"),
        &["customer-route 5001/::ffff:10.7.0.0/120/::: ::ffff:10.7.0.0 is an IPv4 address written as IPv6; write \
             10.7.0.0"],
    );
}

#[test]
fn a_next_hop_is_a_vm_of_the_subnet() {
    let route = |next_hop: &str| format!("{BLUE}, vsid: 5001, prefix: 0.0.0.0/0, nextHop: {next_hop}");
    accepted("customer-route", &route("10.0.0.7"));
    refused(
        "customer-route",
        &route("10.0.1.7"),
        &["customer-route 5001/0.0.0.0/0/10.0.1.7: next hop 10.0.1.7 is in no on-link prefix of VSID 5001 \
             (10.0.0.0/24); \
           choose a next hop inside, or declare the prefix with a customer route whose next hop is 0.0.0.0 or ::"],
    );
    refused(
        "customer-route",
        &format!("{BLUE}, vsid: 5009, prefix: 0.0.0.0/0, nextHop: 10.0.0.7"),
        &["customer-route 5009/0.0.0.0/0/10.0.0.7: next hop 10.0.0.7 is in no on-link prefix of VSID 5009 (it has \
             none); \
           choose a next hop inside, or declare the prefix with a customer route whose next hop is 0.0.0.0 or ::"],
    );
    refused(
        "customer-route",
        &route("10.0.0.1"),
        &["customer-route 5001/0.0.0.0/0/10.0.0.1: next hop 10.0.0.1 is the gateway of VSID 5001 itself; give the \
           address of the VM that routes"],
    );
    refused(
        "customer-route",
        &route("224.0.0.5"),
        &["customer-route 5001/0.0.0.0/0/224.0.0.5: next hop 224.0.0.5 is no address that a VM can have; give the \
           customer address of the VM that routes, or 0.0.0.0 or :: for on-link"],
    );
}

#[test]
fn two_subnets_of_a_domain_cannot_both_be_the_destination() {
    refused(
        "customer-route",
        &format!("{BLUE}, vsid: 5002, prefix: 10.0.0.0/24, nextHop: 0.0.0.0"),
        &["customer-route 5001/10.0.0.0/24/0.0.0.0 and customer-route 5002/10.0.0.0/24/0.0.0.0: both VM subnets \
             have \
           10.0.0.0/24 on-link in routing domain {11111111-2222-3333-4444-000000005001} with metric 0; give one of the \
           two another metric or another prefix"],
    );
    accepted("customer-route", &format!("{BLUE}, vsid: 5002, prefix: 10.0.0.0/24, nextHop: 0.0.0.0, metric: 5"));
}

#[test]
fn the_underlay_is_reachable() {
    for address in ["224.0.0.1", "127.0.0.1", "0.0.0.0", "ff02::1", "::1", "::", "fe80::1", "255.255.255.255"] {
        refused(
            "provider-address",
            &format!("address: '{address}', interface: eth0, prefixLength: 24"),
            &[&format!(
                "provider-address {address}: {address} is not a unicast address that another host can reach; give \
                 one that is"
            )],
        );
    }
    for (address, length, max) in [("10.1.1.1", 33, 32), ("10.1.1.1", 0, 32), ("fd01::1", 129, 128)] {
        refused(
            "provider-address",
            &format!("address: '{address}', interface: eth0, prefixLength: {length}"),
            &[&format!(
                "provider-address {address}: prefix length {length} is out of range for {address}; choose one of 1 \
                 to {max}"
            )],
        );
    }
    accepted("provider-address", "address: 'fd01::1', interface: eth0, prefixLength: 128");
    accepted("provider-route", "prefix: 'fd01::/32', nextHop: 'fe80::1', interface: eth0");
    refused(
        "provider-route",
        "prefix: 172.16.0.0/12, nextHop: 0.0.0.0, interface: eth0",
        &["provider-route 172.16.0.0/12/0.0.0.0: next hop 0.0.0.0 is no address of a router; give the unicast \
             address of \
           the underlay's router"],
    );
}

#[test]
fn provider_routes_to_one_prefix_are_ways_up_to_a_limit() {
    let route = |number: usize, metric: u32| {
        let spec = format!("prefix: 192.168.0.0/16, nextHop: 192.168.4.{number}, interface: eth{number}");
        format!("{{kind: provider-route, spec: {{{spec}, metric: {metric}}}}}")
    };
    let with = |routes: Vec<String>| {
        let resources = resources_from_yaml(&routes.join("\n---\n")).unwrap();
        host().with(resources.into_iter().map(Change::Set)).map(|_| ())
    };
    assert_eq!(with((2..=MAX_PATHS).map(|number| route(number, 0)).collect()), Ok(()));
    let mut more: Vec<String> = (2..=MAX_PATHS + 1).map(|number| route(number, 0)).collect();
    let errors: Vec<String> = with(more.clone()).unwrap_err().iter().map(IntentError::to_string).collect();
    assert_eq!(
        errors,
        [
            "provider-route 192.168.0.0/16/192.168.4.9: there are 8 other provider routes to 192.168.0.0/16 with metric 0, \
          and flows are spread over no more; delete one of them, or give it another metric"
        ]
    );
    more[7] = route(9, 1);
    assert_eq!(with(more), Ok(()));
}

#[test]
fn names_of_interfaces_fit_into_the_kernel() {
    let sentence = |key: &str| {
        format!(
            "{key}: \"a-device-far-too-long\" is 21 characters long, and the kernel takes 15 for an interface; name \
             the \
             device as \"ip link\" shows it"
        )
    };
    let device = "a-device-far-too-long";
    refused("port", &format!("device: {device}, mac: 06-06-00-00-00-09"), &[&sentence("port extra")]);
    refused(
        "provider-address",
        &format!("address: 10.1.1.1, interface: {device}, prefixLength: 8"),
        &[&sentence("provider-address 10.1.1.1")],
    );
    refused(
        "provider-route",
        &format!("prefix: 172.16.0.0/12, nextHop: 192.168.4.1, interface: {device}"),
        &[&sentence("provider-route 172.16.0.0/12/192.168.4.1")],
    );
}

#[test]
fn ports_share_neither_device_nor_station() {
    refused(
        "port",
        "device: blue1, mac: 06-06-00-00-00-09, vsid: 5001",
        &["port blue1 and port extra have the same device \"blue1\"; a device belongs to one port: correct one of \
             the two"],
    );
    refused(
        "port",
        "device: tap9, mac: 06-06-00-00-00-05, vsid: 5001",
        &["port blue1 and port extra have the same MAC address 06-06-00-00-00-05 in VSID 5001; give one of the \
             two another"],
    );
    refused(
        "port",
        "device: eth0, mac: 06-06-00-00-00-09",
        &["port extra: \"eth0\" is the uplink of provider-address 192.168.4.11; a port's device is the tap or \
             veth of one VM"],
    );
    refused(
        "port",
        "device: lo, mac: 06-06-00-00-00-09",
        &["port extra: lo is the host's loopback; name the host's device of the VM, a tap or its end of a veth"],
    );
    accepted("port", "device: tap9, mac: 06-06-00-00-00-05, vsid: 6001");
    accepted("port", "device: tap9, mac: 06-06-00-00-00-05");
}

#[test]
fn small_prefixes_have_no_gateway() {
    let gateway = |prefix: &str| {
        let prefix: ipnet::IpNet = prefix.parse().unwrap();
        let next_hop = if prefix.addr().is_ipv4() { "0.0.0.0" } else { "::" }.parse().unwrap();
        let rdid = "11111111-2222-3333-4444-000000005001".parse().unwrap();
        let vsid = crate::Vsid::MIN;
        CustomerRoute { rdid, vsid, prefix, next_hop, metric: 0 }.gateway().map(|gateway| gateway.to_string())
    };
    assert_eq!(gateway("10.0.0.0/24").as_deref(), Some("10.0.0.1"));
    assert_eq!(gateway("10.0.0.4/30").as_deref(), Some("10.0.0.5"));
    assert_eq!(gateway("fd00::/64").as_deref(), Some("fd00::1"));
    assert_eq!(gateway("fd00::4/126").as_deref(), Some("fd00::5"));
    for prefix in ["10.0.0.4/31", "10.0.0.4/32", "fd00::4/127", "fd00::4/128", "0.0.0.0/0", "::/0"] {
        assert_eq!(gateway(prefix), None, "{prefix}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn generated_intents_are_consistent_and_survive_deleting_and_declaring_again(intent in Intent::any()) {
        let again = Intent::new(intent.resources().cloned());
        prop_assert_eq!(again.as_ref(), Ok(&intent));
        let ports: Vec<Resource> = intent.ports().cloned().map(Resource::Port).collect();
        let without = intent.with(ports.iter().map(|port| Change::Delete(port.key()))).unwrap();
        prop_assert_eq!(without.ports().count(), 0);
        prop_assert_eq!(without.with(ports.into_iter().map(Change::Set)).unwrap(), intent);
    }

    #[test]
    fn no_resources_make_the_checks_panic(resources in proptest::collection::vec(Resource::any(), 0..20)) {
        if let Err(errors) = Intent::new(resources) {
            prop_assert!(!errors.is_empty());
        }
    }
}

#[test]
fn names_do_not_disturb_terminals() {
    let errors = errors_of(
        "lookup-record",
        "vsid: 5001, customerAddress: 10.0.0.9, mac: 06-06-00-00-00-09, providerAddress: 192.168.4.22, \
         vmName: \"a\\e[31mred\"",
    );
    assert_eq!(
        errors,
        ["lookup-record 5001/10.0.0.9: vmName has a control character in it; use letters, digits, spaces and signs"]
    );
}
