//! A trace of any packet over any intent says what the pipeline says without anybody listening.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use api::{Problem, TraceProtocol, TraceReport, TraceRequest};
use ipnet::IpNet;
use model::generators::UPLINK;
use model::{Intent, MacAddress};
use pipeline::{Record, RecordFlags, RecordKey, Stage, Verdict, Work};
use plan::{Facts, HostTables, Link, LinkKind, Settings, compile, to_ip};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::recorder::Recorder;
use super::words::Words;
use super::{outcome, packet, sender, trace};

/// A host that has what the intent says.
fn tables_of(intent: &Intent) -> HostTables {
    let own = intent.provider_addresses().filter_map(|own| IpNet::new(own.address, own.prefix_length).ok());
    let link = |ifindex, addresses| Link { ifindex, mtu: 1600, up: true, kind: LinkKind::Tap, mac: None, addresses };
    let mut facts = Facts::default();
    facts.links.insert(UPLINK.parse().unwrap(), link(2, own.collect()));
    for (ifindex, port) in (100..).zip(intent.ports()) {
        facts.links.insert(port.device.clone(), link(ifindex, Vec::new()));
    }
    compile(intent, &facts, &Settings::default()).tables
}

fn name_of(ifindex: u32) -> Option<String> {
    ifindex.is_multiple_of(2).then(|| format!("if{ifindex}"))
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    let text = |text: &'static str| Just(text.parse().unwrap());
    prop_oneof![
        4 => (0..4u8, 0..12u8).prop_map(|(subnet, host)| IpAddr::from([10, 0, subnet, host])),
        2 => (0..4u16, 0..12u16).prop_map(|(subnet, host)| IpAddr::from([0xfd00, 0, 0, subnet, 0, 0, 0, host])),
        1 => (0..4u8).prop_map(|subnet| IpAddr::from([10, 0, subnet, 255])),
        1 => text("255.255.255.255"),
        1 => text("ff02::fb"),
        1 => text("fe80::4e:56ff:fe00:1"),
        1 => any::<IpAddr>(),
    ]
}

fn any_request() -> impl Strategy<Value = TraceRequest> {
    let protocol = prop_oneof![Just(TraceProtocol::Icmp), Just(TraceProtocol::Tcp), Just(TraceProtocol::Udp)];
    let size = prop_oneof![3 => 0..100u32, 1 => 1400..1700u32, 1 => any::<u32>()];
    let ttl = prop_oneof![3 => Just(64), 1 => 0..3u8];
    let via = option::weighted(0.1, MacAddress::any());
    let source = option::weighted(0.2, any_address());
    (any_address(), protocol, size, ttl, (any::<bool>(), any::<bool>()), via, source).prop_map(
        |(to, protocol, size, ttl, (syn, dont_fragment), via, source)| TraceRequest {
            protocol,
            size,
            ttl,
            syn,
            dont_fragment,
            via,
            source,
            ..TraceRequest::new("", to)
        },
    )
}

fn is_plain(record: &Record) -> bool {
    record.flags.has(RecordFlags::NAT) || record.flags.has(RecordFlags::BARE)
}

/// Sender and destination among those that speak without encapsulation, where there are such; by themselves they meet
/// too seldom.
fn plain_pair(intent: &Intent, tables: &HostTables) -> Option<(String, IpAddr)> {
    intent.ports().find_map(|port| {
        let own = |key: &RecordKey| port.vsid.is_some_and(|vsid| key.vsid == vsid.get());
        let records = || tables.records.iter().filter(|(key, record)| own(key) && is_plain(record));
        let (source, _) = records().find(|(_, record)| record.mac == port.mac.octets())?;
        let mut others = records().filter(|(key, record)| {
            record.flags.0 & RecordFlags::LOCAL.0 == 0 && key.address.is_v4() == source.address.is_v4()
        });
        others.next().map(|(key, _)| (port.name.to_string(), to_ip(key.address)))
    })
}

/// A request on a host: from one of its ports, half of the time to an address that some record of its VSID has.
fn any_case() -> impl Strategy<Value = (Intent, HostTables, TraceRequest)> {
    let choices = (any::<Index>(), option::of(any::<Index>()), prop::bool::weighted(0.2));
    (Intent::any(), any_request(), choices).prop_map(|(intent, mut request, (port, record, plain))| {
        let tables = tables_of(&intent);
        let ports: Vec<&model::Port> = intent.ports().collect();
        let mut vsid = 0;
        if !ports.is_empty() {
            let port = port.get(&ports);
            request.from = port.name.to_string();
            vsid = port.vsid.map_or(0, model::Vsid::get);
        }
        let known = tables.records.keys().filter(|key| key.vsid == vsid);
        let known: Vec<IpAddr> = known.map(|key| to_ip(key.address)).collect();
        if let (Some(record), false) = (record, known.is_empty()) {
            request.to = *record.get(&known);
        }
        if let (true, Some((from, to))) = (plain, plain_pair(&intent, &tables)) {
            (request.from, request.to) = (from, to);
        }
        (intent, tables, request)
    })
}

fn ask(case: &(Intent, HostTables, TraceRequest)) -> Result<TraceReport, Problem> {
    trace(&case.1, &BTreeMap::new(), &case.0, &name_of, &case.2)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_verdict_is_that_of_the_pipeline_alone(case in any_case()) {
        let report = ask(&case);
        let (intent, tables, request) = case;
        let Ok(report) = report else { return Ok(()) };
        let sender = sender(&tables, &intent, &request.from).unwrap();
        let sent = packet::build(&tables, &intent, &sender, &request).unwrap();
        let (mut work, mut verdict) = (Work::default(), Verdict::default());
        let mut room = sent.room();
        pipeline::from_port(&sent.frame(&mut room), &tables, &sent.meta(), &mut work, &mut verdict);
        let words = Words::new(&intent, &name_of);
        let heard = BTreeMap::new();
        let recorder = Recorder::new(&tables, &heard, &words, sender.ifindex);
        let outcome = outcome::carry_out(&recorder, &words, &sent, &work, &verdict);
        prop_assert_eq!(&report.verdict, &outcome.verdict);
        prop_assert_eq!(&report.reason, &outcome.reason.map(|reason| reason.name().to_owned()));
        prop_assert_eq!(&report.explanation, &outcome.explanation);
        prop_assert_eq!(&report.output, &outcome.output);
        prop_assert_eq!(verdict.dropped().is_some(), report.reason.is_some());
    }

    #[test]
    fn a_trace_is_complete_and_readable(case in any_case()) {
        let Ok(report) = ask(&case) else { return Ok(()) };
        prop_assert_eq!(&report.steps[0].stage, Stage::Parse.name());
        prop_assert_eq!(&report.steps[0].lookups[0].table, "port");
        prop_assert_eq!(report.output.is_empty(), report.reason.is_some() || report.verdict.ends_with("nobody"));
        for line in &report.output {
            prop_assert!(!line.contains("unreadable") && !line.contains("not "), "{line}");
        }
        prop_assert_eq!(ask(&case).unwrap(), report, "the second time it says something else");
    }
}

#[test]
fn the_random_requests_have_every_fate() {
    let mut runner = TestRunner::deterministic();
    let mut fates = BTreeSet::new();
    for _ in 0..2000 {
        let case = any_case().new_tree(&mut runner).unwrap().current();
        let fate = ask(&case).map_or_else(|_| "refused".to_owned(), |report| report.verdict);
        fates.extend(fate.split_whitespace().next().map(str::to_owned));
    }
    let expected = ["answered", "delivered", "dropped", "encapsulated", "refused", "replicated", "sent"];
    assert_eq!(fates.into_iter().collect::<Vec<_>>(), expected);
}
