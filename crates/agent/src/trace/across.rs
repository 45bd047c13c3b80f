//! A packet is followed from one host to the other: what the first makes of it, the second takes in.

use std::collections::BTreeMap;

use api::fabric::TraceFate;
use api::{HostTrace, Problem, TraceRequest};
use ipnet::IpNet;
use model::{Intent, resources_from_yaml};
use plan::{Facts, HostTables, Link, LinkKind, Settings, compile};

use super::{Seen, arrival, from_port};

/// What both hosts know; `rule` is how packets travel.
fn both(rule: &str) -> String {
    format!(
        "kind: customer-route\nspec: {{rdid: 11111111-2222-3333-4444-000000005001, vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}\n\
         ---\n\
         kind: lookup-record\nspec: {{vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11, rule: {rule}}}\n\
         ---\n\
         kind: lookup-record\nspec: {{vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.4.22, rule: {rule}}}\n"
    )
}

struct Host {
    intent: Intent,
    tables: HostTables,
}

/// The host with this provider address and one port.
fn host(rule: &str, address: &str, port: &str, mac: &str) -> Host {
    let own = format!(
        "kind: provider-address\nspec: {{address: {address}, interface: eth0, prefixLength: 24}}\n---\n\
         kind: port\nname: {port}\nspec: {{device: {port}, mac: {mac}, vsid: 5001}}\n"
    );
    let texts = [both(rule), own];
    let resources = texts.iter().flat_map(|text| resources_from_yaml(text).unwrap());
    let intent = Intent::new(resources).unwrap();
    let link = |ifindex, addresses: Vec<IpNet>| Link {
        ifindex,
        mtu: 1600,
        up: true,
        kind: LinkKind::Tap,
        mac: None,
        addresses,
    };
    let mut facts = Facts::default();
    facts.links.insert("eth0".parse().unwrap(), link(2, vec![format!("{address}/24").parse().unwrap()]));
    facts.links.insert(port.parse().unwrap(), link(11, Vec::new()));
    let tables = compile(&intent, &facts, &Settings::default()).tables;
    Host { intent, tables }
}

impl Host {
    fn see<T>(&self, look: impl FnOnce(Seen<'_>) -> T) -> T {
        let names = |ifindex: u32| match ifindex {
            2 => Some("eth0".to_owned()),
            _ => self.intent.ports().next().map(|port| port.name.to_string()),
        };
        look(Seen { tables: &self.tables, heard: &BTreeMap::new(), intent: &self.intent, names: &names })
    }
}

/// A ping from the VM of the first host to that of the second, at both.
fn ping(rule: &str) -> (HostTrace, Result<HostTrace, Problem>) {
    let one = host(rule, "192.168.4.11", "one", "06-06-00-00-00-05");
    let two = host(rule, "192.168.4.22", "two", "06-06-00-00-00-07");
    let sent = one.see(|seen| from_port(seen, &TraceRequest::new("one", "10.0.0.7".parse().unwrap()))).unwrap();
    let frame = sent.frame.clone().unwrap().0;
    let came = two.see(|seen| arrival(seen, frame, sent.report.packet.clone()));
    (sent, came)
}

#[test]
fn what_one_host_encapsulates_the_other_delivers() {
    let (sent, came) = ping("TranslationMethodEncap");
    assert_eq!((sent.fate, sent.remote), (TraceFate::ToHost, "192.168.4.22".parse().ok()));
    let inner = &sent.report.output[sent.inner..];
    assert!(inner[0].starts_with("Ethernet 06-06-00-00-00-05 -> 06-06-00-00-00-07"), "{:#?}", sent.report.output);
    assert!(inner.iter().all(|line| !line.contains("192.168.4.")), "{inner:?}");
    let came = came.unwrap();
    assert_eq!((came.fate, came.port.as_deref(), came.remote), (TraceFate::Delivered, Some("two"), None));
    assert_eq!(came.report.packet, sent.report.packet);
    assert_eq!(came.report.output, inner, "what is delivered is what was sent");
    assert!(came.report.steps.iter().any(|step| step.stage == "unwrap" || step.stage == "deliver"), "{came:?}");
}

/// No controller has records with another rule than TranslationMethodEncap (`plan::fabric::topics`), so only a host by hand sends
/// such a packet, and nobody follows that one's.
#[test]
fn what_travels_unencapsulated_ends_at_the_sender() {
    let (sent, came) = ping("TranslationMethodNone");
    assert_eq!((sent.fate, sent.remote), (TraceFate::ToHost, "10.0.0.7".parse().ok()));
    // It goes by the customer's address, of which no host says that it is its own.
    assert!(came.unwrap_err().detail.contains("10.0.0.7 is no provider address of this host"));
    assert_eq!(sent.inner, sent.report.output.len());
}

#[test]
fn a_frame_that_is_none_is_refused() {
    let two = host("TranslationMethodEncap", "192.168.4.22", "two", "06-06-00-00-00-07");
    for frame in [Vec::new(), vec![0; 13], vec![0xff; 60]] {
        let refused = two.see(|seen| arrival(seen, frame, String::new())).unwrap_err();
        assert!(refused.detail.contains("holds no IP packet"), "{refused}");
    }
    let drop = two.see(|seen| from_port(seen, &TraceRequest::new("two", "10.9.0.7".parse().unwrap()))).unwrap();
    assert_eq!((drop.fate, drop.frame, drop.port), (TraceFate::Dropped, None, None));
}
