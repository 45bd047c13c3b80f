//! What the compiler refuses and what it warns of, each on the host of [`super::tests`].

use pipeline::RecordFlags;

use super::tests::{compiled, facts, intent, key, link, sentences, station};
use super::*;
use crate::LinkKind;

#[test]
fn an_underlay_that_is_not_there_is_refused() {
    let mut without = facts();
    without.links.get_mut("eth0").unwrap().addresses = vec!["192.168.4.12/24".parse().unwrap()];
    let settings = Settings::default();
    assert_eq!(
        sentences(&compile(&intent(&[]), &without, &settings)),
        ["error: provider-address 192.168.4.11: interface eth0 has 192.168.4.12/24, not 192.168.4.11; give it \
             the address \
          with \"ip address add 192.168.4.11/24 dev eth0\", or declare one that it has"]
    );
    without.links.get_mut("eth0").unwrap().addresses = vec![];
    assert!(
        sentences(&compile(&intent(&[]), &without, &settings))[0].contains("eth0 has no address, not 192.168.4.11")
    );
    without.links.remove("eth0");
    let route = "{kind: provider-route, spec: {prefix: 172.16.0.0/12, nextHop: 192.168.4.1, interface: eth7}}";
    assert_eq!(
        sentences(&compile(&intent(&[route]), &without, &settings)),
        [
            "error: provider-address 192.168.4.11: there is no interface \"eth0\" on this host; name the uplink as \
             \"ip link\" \
             shows it",
            "error: provider-route 172.16.0.0/12/192.168.4.1: there is no interface \"eth7\" on this host; name the \
             uplink \
             as \"ip link\" shows it"
        ]
    );
    let record = "kind: lookup-record\nspec: {vsid: 5001, customerAddress: 10.0.0.9, mac: 06-06-00-00-00-09, \
     providerAddress: 'fd01::22'}";
    assert_eq!(
        sentences(&compiled(&[record])),
        ["error: lookup-record 5001/10.0.0.9: this host has no IPv6 provider address to reach fd01::22 from; \
             declare one \
          with \"netvirt create provider-address\""]
    );
}

#[test]
fn nobody_has_the_gateways_mac_address() {
    let record = "kind: lookup-record\nspec: {vsid: 5001, customerAddress: 10.0.0.9, mac: 02-4E-56-00-00-01, \
     providerAddress: 192.168.4.22}";
    assert_eq!(
        sentences(&compiled(&[record])),
        ["error: lookup-record 5001/10.0.0.9: MAC address 02-4E-56-00-00-01 is the one of every subnet's \
             gateway; give \
          the VM another, or choose another gateway MAC"]
    );
    let port = "{kind: port, name: p, spec: {device: red1x, mac: 02-4E-56-00-00-01}}";
    assert_eq!(compiled(&[port]).refusals().count(), 1);
}

#[test]
fn what_does_not_fit_together_is_warned_of() {
    let mut facts = facts();
    facts.links.remove("red1");
    let record = "kind: lookup-record\nspec: {vsid: 5001, customerAddress: 10.0.0.9, mac: 06-06-00-00-00-09, \
     providerAddress: 192.168.4.11}";
    let moved = "{kind: port, name: blue2, spec: {device: blue2, mac: 06-06-00-00-00-07, vsid: 5001}}";
    let unknown = "{kind: port, name: green1, spec: {device: green1, mac: 06-06-00-00-00-77, vsid: 7001}}";
    facts.links.insert("blue2".parse().unwrap(), link(13, LinkKind::Tap, &[]));
    facts.links.insert("green1".parse().unwrap(), link(14, LinkKind::Tap, &[]));
    let compiled = compile(&intent(&[record, moved, unknown]), &facts, &Settings::default());
    assert_eq!(
        sentences(&compiled),
        [
            "warning: port blue2: lookup-record 5001/10.0.0.7 says that its MAC address is at 192.168.4.22, which \
             is not this \
             host's; correct the record, or remove the port if the VM has left",
            "warning: lookup-record 5001/10.0.0.9: provider address 192.168.4.11 is this host's, but no port here \
             has MAC \
             address 06-06-00-00-00-09 in VSID 5001; declare the port, or correct the provider address",
            "warning: port green1: VSID 7001 has no lookup record with MAC address 06-06-00-00-00-77, so the port \
             can \
             neither send nor be reached; declare one with \"netvirt create lookup-record\"",
            "warning: port red1: there is no device \"red1\" on this host; the port is bound when it appears",
        ]
    );
    assert_eq!(compiled.refusals().count(), 0);
    let red1 = compiled.ports[&"red1".parse::<Name>().unwrap()];
    assert_eq!((red1.ifindex(), red1.state.to_string().as_str(), red1.mtu), (None, "no such device", Some(1558)));
    assert!(!compiled.tables.stations.contains_key(&station(7001, [6, 6, 0, 0, 0, 0x77])));
    // The record of a VM here whose device is absent is local all the same, so that nothing is sent elsewhere.
    let record = compiled.tables.records[&key(6001, "10.0.0.5")];
    assert_eq!((record.ifindex, record.flags), (0, RecordFlags::LOCAL));
}

#[test]
fn a_subnet_beyond_the_copies_says_who_hears_nothing() {
    let records: Vec<String> = (1..=65)
        .map(|host| {
            format!(
                "kind: lookup-record\nspec: {{vsid: 5001, customerAddress: 10.0.0.{}, mac: 06-06-00-00-01-{host:02}, \
                 providerAddress: 192.168.5.{host}}}",
                100 + host
            )
        })
        .collect();
    let compiled = compiled(&records.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(
        sentences(&compiled),
        ["warning: VSID 5001 has more members than the 64 copies made of a broadcast or multicast frame; these \
             get none: \
          host 192.168.5.63, host 192.168.5.64, host 192.168.5.65"]
    );
    let subnet = compiled.tables.subnets[&5001];
    assert_eq!((subnet.replicas, subnet.local_replicas), (64, 1));
    assert_eq!(compiled.tables.replicas.keys().filter(|key| key.vsid == 5001).count(), 64);
}
