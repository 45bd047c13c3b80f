//! What a trace tells an operator about the hosts of `examples/blue-red.yaml`, and about tenants with more than those.

use std::collections::BTreeMap;
use std::net::IpAddr;

use agent::trace;
use api::{Problem, ProblemType, TraceProtocol, TraceReport, TraceRequest};
use model::{Intent, resources_from_yaml};
use pipeline::DropReason;
use plan::{Facts, HostTables, Link, LinkKind, Settings, compile};

const EXAMPLE: &str = include_str!("../../../examples/blue-red.yaml");

/// What Host 1 has beside the resources of the example: its provider address, and the ports of its VMs.
const HOST1: &str = "\
{kind: provider-address, spec: {address: 192.168.4.11, interface: eth0, prefixLength: 24}}
---
{kind: port, name: blue1, spec: {device: tap-blue1, mac: 06-06-00-00-00-05, vsid: 5001}}
---
{kind: port, name: red1, spec: {device: tap-red1, mac: 08-08-00-00-00-05, vsid: 6001}}
---
{kind: port, name: plain, spec: {device: tap-plain, mac: 0A-0A-00-00-00-05, vsid: 0}}
---
{kind: port, name: unplugged, spec: {device: tap-off, mac: 06-06-00-00-00-09, vsid: 5001}}
";

/// A second VM subnet of Blue with IPv6, a VM of it on each host, and a third one of Blue on Host 1.
const MORE: &str = "\
kind: customer-route
spec: {rdid: 11111111-2222-3333-4444-000000005001, vsid: 5002, prefix: 10.0.1.0/24, nextHop: 0.0.0.0}
---
kind: customer-route
spec: {rdid: 11111111-2222-3333-4444-000000005001, vsid: 5002, prefix: fd00:1::/64, nextHop: \"::\"}
---
kind: customer-route
spec: {rdid: 11111111-2222-3333-4444-000000005001, vsid: 5001, prefix: 172.16.0.0/12, nextHop: 10.0.0.7}
---
kind: lookup-record
spec: {vsid: 5002, customerAddress: 10.0.1.5, mac: 06-06-00-00-01-05, providerAddress: 192.168.4.11}
---
kind: lookup-record
spec: {vsid: 5002, customerAddress: \"fd00:1::5\", mac: 06-06-00-00-01-05, providerAddress: 192.168.4.11}
---
kind: lookup-record
spec: {vsid: 5002, customerAddress: 10.0.1.7, mac: 06-06-00-00-01-07, providerAddress: 192.168.4.22}
---
kind: lookup-record
spec: {vsid: 5002, customerAddress: \"fd00:1::7\", mac: 06-06-00-00-01-07, providerAddress: 192.168.4.22}
---
kind: lookup-record
spec: {vsid: 5001, customerAddress: 10.0.0.6, mac: 06-06-00-00-00-06, providerAddress: 192.168.4.11}
---
{kind: port, name: blue3, spec: {device: tap-blue3, mac: 06-06-00-00-00-06, vsid: 5001}}
---
{kind: port, name: blue4, spec: {device: tap-blue4, mac: 06-06-00-00-01-05, vsid: 5002}}
";

/// A host, as the agent on it sees it.
struct Host {
    intent: Intent,
    facts: Facts,
    tables: HostTables,
}

/// The resources of the example: a list there, documents of their own here.
fn example() -> String {
    let (_, list) = EXAMPLE.split_once("\nresources:\n").expect("the example has resources");
    list.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| match line.strip_prefix("  - ") {
            Some(first) => format!("---\n{first}\n"),
            None => format!("{}\n", line.strip_prefix("    ").expect("a line of the list's items")),
        })
        .collect()
}

fn host(more: &[&str]) -> Host {
    let example = example();
    let texts = [example.as_str(), HOST1].into_iter().chain(more.iter().copied());
    let resources = texts.flat_map(|text| resources_from_yaml(text).unwrap_or_else(|error| panic!("{text}: {error}")));
    let intent = Intent::new(resources).unwrap();
    let link = |ifindex, addresses: &[&str]| Link {
        ifindex,
        up: true,
        mtu: 1600,
        kind: LinkKind::Tap,
        mac: None,
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    };
    let mut facts = Facts::default();
    facts.links.insert("eth0".parse().unwrap(), link(2, &["192.168.4.11/24", "fd00:4::11/64"]));
    let ports = intent.ports().filter(|port| port.name.as_str() != "unplugged");
    for (ifindex, port) in (11..).zip(ports) {
        facts.links.insert(port.device.clone(), link(ifindex, &[]));
    }
    let compiled = compile(&intent, &facts, &Settings::default());
    assert_eq!(compiled.refusals().count(), 0, "{:?}", compiled.findings);
    Host { intent, facts, tables: compiled.tables }
}

impl Host {
    fn name_of(&self, ifindex: u32) -> Option<String> {
        let (name, _) = self.facts.links.iter().find(|(_, link)| link.ifindex == ifindex)?;
        let port = self.intent.ports().find(|port| port.device == *name);
        Some(port.map_or(name, |port| &port.name).to_string())
    }

    fn ask(&self, request: &TraceRequest) -> Result<TraceReport, Problem> {
        trace(&self.tables, &BTreeMap::new(), &self.intent, &|ifindex| self.name_of(ifindex), request)
    }

    fn report(&self, request: &TraceRequest) -> TraceReport {
        self.ask(request).unwrap_or_else(|problem| panic!("{request:?}: {problem}"))
    }

    fn ping(&self, from: &str, to: &str) -> TraceReport {
        self.report(&request(from, to))
    }
}

fn request(from: &str, to: &str) -> TraceRequest {
    TraceRequest::new(from, to.parse::<IpAddr>().unwrap())
}

/// The stages with their look-ups, one a line.
fn steps(report: &TraceReport) -> Vec<String> {
    let mut lines = Vec::new();
    for step in &report.steps {
        lines.push(step.stage.clone());
        for lookup in &step.lookups {
            let found = lookup.found.as_deref().unwrap_or("nothing");
            lines.push(format!("  {}[{}] = {found}", lookup.table, lookup.key));
        }
    }
    lines
}

fn assert_dropped(report: &TraceReport, reason: DropReason) {
    assert_eq!(report.verdict, "dropped", "{report:#?}");
    assert_eq!(report.reason.as_deref(), Some(reason.name()), "{report:#?}");
    assert_eq!(report.explanation.as_deref(), Some(reason.explanation()));
    assert_eq!(report.output, [""; 0]);
}

#[test]
fn a_ping_across_hosts_is_told_from_stage_to_stage_and_from_header_to_header() {
    let report = host(&[]).ping("blue1", "10.0.0.7");
    assert_eq!(
        report.packet,
        "ICMP echo request 10.0.0.5 -> 10.0.0.7, 56 bytes, TTL 64; to MAC 06-06-00-00-00-07, the neighbour's"
    );
    assert_eq!(
        steps(&report),
        [
            "parse",
            "  port[blue1] = VSID 5001, RDID {11111111-2222-3333-4444-000000005001}, MAC 06-06-00-00-00-05",
            "  host[this host] = gateway MAC 02-4E-56-00-00-01",
            "source guard",
            "  lookup record[5001/10.0.0.5] = 06-06-00-00-00-05 at 192.168.4.11 (port blue1 of this host), \
             TranslationMethodEncap, Static",
            "forward",
            "  station[5001/06-06-00-00-00-07] = 06-06-00-00-00-07 at 192.168.4.22, TranslationMethodEncap, Static",
            "locate",
            "  peer[192.168.4.22] = from 192.168.4.11 by eth0, MTU 1600, next hop 192.168.4.22",
            "  VM subnet[5001] = RDID {11111111-2222-3333-4444-000000005001}, gateway 10.0.0.1, in NVGRE, 1 port here, \
             1 other host",
        ]
    );
    assert_eq!(report.steps[2].question, "Which customer address, in which VM subnet, is it to go to?");
    assert_eq!(report.verdict, "encapsulated in NVGRE to 192.168.4.22, VSID 5001, by eth0");
    assert_eq!(report.reason, None);
    let explanation = report.explanation.unwrap();
    assert!(explanation.starts_with("the host with 192.168.4.22 decides further"), "{explanation}");
    assert_eq!(
        report.output,
        [
            "Ethernet, its MAC addresses by the kernel's neighbour table, IPv4",
            "IPv4 192.168.4.11 -> 192.168.4.22, GRE, TTL 64, don't fragment, 126 bytes",
            "GRE key = VSID 5001 FlowID 0x33, protocol 0x6558 (Ethernet)",
            "Ethernet 06-06-00-00-00-05 -> 06-06-00-00-00-07, IPv4",
            "IPv4 10.0.0.5 -> 10.0.0.7, ICMP, TTL 64, 84 bytes",
            "ICMP echo request, sequence 1, 56 bytes",
        ]
    );
}

#[test]
fn the_same_addresses_lead_each_tenant_to_its_own_vm() {
    let host = host(&[]);
    let (blue, red) = (host.ping("blue1", "10.0.0.7"), host.ping("red1", "10.0.0.7"));
    assert_eq!(red.verdict, "encapsulated in NVGRE to 192.168.4.22, VSID 6001, by eth0");
    let texts = |report: &TraceReport| [steps(report), report.output.clone()].concat().join("\n");
    assert!(!texts(&blue).contains("6001") && !texts(&blue).contains("08-08"), "{blue:#?}");
    assert!(!texts(&red).contains("5001") && !texts(&red).contains("06-06"), "{red:#?}");
    // Nothing of Red's is reached by its MAC address either: the frame is led by its customer address, in Blue.
    let via = Some("08-08-00-00-00-07".parse().unwrap());
    let report = host.report(&TraceRequest { via, ..request("blue1", "10.0.0.7") });
    assert!(report.packet.ends_with("to MAC 08-08-00-00-00-07, as --via says"), "{}", report.packet);
    assert!(steps(&report).contains(&"  station[5001/08-08-00-00-00-07] = nothing".to_owned()));
    assert_eq!(report.output[3], "Ethernet 06-06-00-00-00-05 -> 06-06-00-00-00-07, IPv4");
}

#[test]
fn the_gateway_answers_echo_and_nothing_else() {
    let host = host(&[MORE]);
    let report = host.ping("blue1", "10.0.0.1");
    assert!(report.packet.ends_with("to MAC 02-4E-56-00-00-01, the gateway's"), "{}", report.packet);
    assert_eq!(report.verdict, "answered by the host: echo reply from 10.0.0.1, the gateway");
    assert_eq!(
        steps(&report)[5..],
        ["forward", "  lookup record[5001/10.0.0.1] = 02-4E-56-00-00-01, the gateway, which each host is"]
    );
    assert_eq!(
        report.output,
        [
            "Ethernet 02-4E-56-00-00-01 -> 06-06-00-00-00-05, IPv4",
            "IPv4 10.0.0.1 -> 10.0.0.5, ICMP, TTL 64, 84 bytes",
            "ICMP echo reply, sequence 1, 56 bytes",
        ]
    );
    let report = host.ping("blue4", "fd00:1::1");
    assert_eq!(report.verdict, "answered by the host: echo reply from fd00:1::1, the gateway");
    assert_eq!(report.output[2], "ICMPv6 echo reply, sequence 1, 56 bytes");
    let tcp = TraceRequest { protocol: TraceProtocol::Tcp, ..request("blue1", "10.0.0.1") };
    assert_dropped(&host.report(&tcp), DropReason::ToGateway);
}

#[test]
fn customer_routes_lead_from_one_vsid_to_another() {
    let host = host(&[MORE]);
    let rdid = "RDID {11111111-2222-3333-4444-000000005001}";
    let report = host.ping("blue1", "10.0.1.5");
    assert_eq!(report.verdict, "delivered to port blue4 on this host");
    assert_eq!(
        steps(&report)[5..],
        [
            "forward".to_owned(),
            "  lookup record[5001/10.0.1.5] = nothing".to_owned(),
            format!("  customer route[{rdid} to 10.0.1.5] = 10.0.1.0/24 in VSID 5002, on-link"),
            "  lookup record[5002/10.0.1.5] = 06-06-00-00-01-05 at 192.168.4.11 (port blue4 of this host), \
             TranslationMethodEncap, Static"
                .to_owned(),
            "locate".to_owned(),
            format!("  port[blue4] = VSID 5002, {rdid}, MAC 06-06-00-00-01-05"),
        ]
    );
    assert_eq!(
        report.output[..2],
        ["Ethernet 02-4E-56-00-00-01 -> 06-06-00-00-01-05, IPv4", "IPv4 10.0.0.5 -> 10.0.1.5, ICMP, TTL 63, 84 bytes",]
    );
    let report = host.ping("blue1", "10.0.1.7");
    assert_eq!(report.verdict, "encapsulated in NVGRE to 192.168.4.22, VSID 5002, by eth0");
    let report = host.ping("blue1", "172.16.4.4");
    let route = format!("  customer route[{rdid} to 172.16.4.4] = 172.16.0.0/12 in VSID 5001, next hop 10.0.0.7");
    assert!(steps(&report).contains(&route), "{report:#?}");
    assert_eq!(report.verdict, "encapsulated in NVGRE to 192.168.4.22, VSID 5001, by eth0");
    let report = host.ping("red1", "10.0.1.5");
    let route = "  customer route[RDID {11111111-2222-3333-4444-000000006001} to 10.0.1.5] = nothing";
    assert_eq!(steps(&report).last().unwrap(), route);
    assert_dropped(&report, DropReason::NoRoute);
}

#[test]
fn for_an_unknown_neighbour_the_question_for_its_mac_address_is_traced() {
    let host = host(&[MORE]);
    let report = host.ping("blue1", "10.0.0.9");
    assert_eq!(
        report.packet,
        "ARP request: who has 10.0.0.9? tell 10.0.0.5; comes before the ICMP echo request, since 10.0.0.9 is on-link in \
         VSID 5001 and has no lookup record there"
    );
    assert_eq!(steps(&report)[5..7], ["answer", "  lookup record[5001/10.0.0.9] = nothing"]);
    assert_dropped(&report, DropReason::NoRecord);
    let report = host.ping("blue4", "fd00:1::9");
    assert!(report.packet.starts_with("neighbor solicitation: who has fd00:1::9? tell fd00:1::5; comes before"));
    assert_dropped(&report, DropReason::NoRecord);
}

#[test]
fn where_addresses_are_learnt_the_question_goes_to_all() {
    let learnt = "{kind: lookup-record, spec: {vsid: 5001, mac: 06-06-00-00-00-0A, providerAddress: 192.168.4.22, \
                  type: L2Only}}";
    let report = host(&[MORE, learnt]).ping("blue1", "10.0.0.10");
    assert_eq!(report.verdict, "replicated to 1 port and 1 host");
    assert_eq!(
        report.output,
        [
            "to port blue3:",
            "  Ethernet 06-06-00-00-00-05 -> FF-FF-FF-FF-FF-FF, ARP",
            "  ARP request: who has 10.0.0.10? tell 10.0.0.5",
            "to host 192.168.4.22 by eth0:",
            "  Ethernet, its MAC addresses by the kernel's neighbour table, IPv4",
            "  IPv4 192.168.4.11 -> 192.168.4.22, GRE, TTL 64, don't fragment, 70 bytes",
            "  GRE key = VSID 5001 FlowID 0x00, protocol 0x6558 (Ethernet)",
            "  Ethernet 06-06-00-00-00-05 -> FF-FF-FF-FF-FF-FF, ARP",
            "  ARP request: who has 10.0.0.10? tell 10.0.0.5",
        ]
    );
}

#[test]
fn a_packet_that_does_not_fit_is_answered_with_what_would() {
    let host = host(&[MORE]);
    // The underlay's 1,600 bytes less an IPv4 header, GRE and an Ethernet header.
    let report = host.report(&TraceRequest { size: 1531, ..request("blue1", "10.0.0.7") });
    assert_eq!(
        report.verdict,
        "answered by the host: fragmentation needed, at most 1558 bytes fit, from 10.0.0.1, the gateway"
    );
    assert_eq!(
        report.output[1..4],
        [
            "IPv4 10.0.0.1 -> 10.0.0.5, ICMP, TTL 64, 572 bytes",
            "ICMP fragmentation needed, next-hop MTU 1558",
            "  about IPv4 10.0.0.5 -> 10.0.0.7, ICMP, TTL 64, 1559 bytes",
        ]
    );
    let report = host.report(&TraceRequest { size: 1530, ..request("blue1", "10.0.0.7") });
    assert!(report.verdict.starts_with("encapsulated"), "{}", report.verdict);
    let report = host.report(&TraceRequest { size: 1511, ..request("blue4", "fd00:1::7") });
    assert_eq!(
        report.verdict,
        "answered by the host: packet too big, at most 1558 bytes fit, from fd00:1::1, the gateway"
    );
    assert_eq!(report.output[2], "ICMPv6 packet too big, MTU 1558");
}

#[test]
fn a_packet_whose_hops_run_out_is_answered_by_the_gateway() {
    let host = host(&[MORE]);
    let report = host.report(&TraceRequest { ttl: 1, ..request("blue1", "10.0.1.7") });
    assert_eq!(report.verdict, "answered by the host: time exceeded, from 10.0.0.1, the gateway");
    assert_eq!(report.output[2..4], ["ICMP time exceeded", "  about IPv4 10.0.0.5 -> 10.0.1.7, ICMP, TTL 1, 84 bytes"]);
    // Between two VMs of one subnet there is no hop.
    let report = host.report(&TraceRequest { ttl: 1, ..request("blue1", "10.0.0.7") });
    assert!(report.verdict.starts_with("encapsulated"), "{}", report.verdict);
}

#[test]
fn a_borrowed_source_address_is_stopped_at_the_source_guard() {
    let host = host(&[MORE]);
    for source in ["10.0.0.6", "10.9.9.9"] {
        let source = Some(source.parse().unwrap());
        let report = host.report(&TraceRequest { source, ..request("blue1", "10.0.0.7") });
        assert_eq!(report.steps.last().unwrap().stage, "source guard");
        assert_dropped(&report, DropReason::SourceAddress);
    }
}

#[test]
fn broadcasts_and_multicasts_are_replicated_within_the_vsid() {
    let host = host(&[MORE]);
    let udp = TraceRequest { protocol: TraceProtocol::Udp, ..request("blue1", "10.0.0.255") };
    let report = host.report(&udp);
    assert_eq!(
        report.packet,
        "UDP datagram 10.0.0.5:49152 -> 10.0.0.255:80, 56 bytes, TTL 64; to MAC FF-FF-FF-FF-FF-FF, broadcast"
    );
    assert_eq!(report.verdict, "replicated to 1 port and 1 host");
    assert_eq!(
        steps(&report)[5..],
        [
            "flood",
            "  VM subnet[5001] = RDID {11111111-2222-3333-4444-000000005001}, gateway 10.0.0.1, in NVGRE, 2 ports here, \
             1 other host",
            "  flood limit[counter slot 1] = at most 1000 frames a second, 200 at once",
            "  replicas[5001/0] = port blue1, the sender, which gets none",
            "  replicas[5001/1] = port blue3",
            "  replicas[5001/2] = host 192.168.4.22",
            "  peer[192.168.4.22] = from 192.168.4.11 by eth0, MTU 1600, next hop 192.168.4.22",
        ]
    );
    assert_eq!(report.explanation.as_deref(), Some("each other host decides further for its own ports"));
    assert_eq!(report.output.last().unwrap(), "  UDP 49152 -> 80, 56 bytes");
    let report = host.ping("blue4", "ff02::1");
    assert!(report.packet.contains("fe80::406:ff:fe00:105 -> ff02::1"), "{}", report.packet);
    assert!(report.packet.ends_with("to MAC 33-33-00-00-00-01, multicast"), "{}", report.packet);
    assert_eq!(report.verdict, "replicated to 1 host");
    let report = host.report(&TraceRequest { size: 1600, ..udp });
    assert_eq!(report.verdict, "replicated to 1 port");
    assert_eq!(
        report.explanation.as_deref(),
        Some("left out, since the frame does not fit on the way or none is known: host 192.168.4.22")
    );
}

#[test]
fn asking_takes_nothing_of_what_the_port_may_flood() {
    let mut host = host(&[]);
    host.tables.host.as_mut().unwrap().flood_rate = 1;
    let reports: Vec<TraceReport> = (0..500).map(|_| host.ping("blue1", "255.255.255.255")).collect();
    assert!(reports.iter().all(|report| report.verdict == "replicated to 1 host"));
    host.tables.host.as_mut().unwrap().flood_rate = 0;
    let report = host.ping("blue1", "255.255.255.255");
    assert_eq!(steps(&report).last().unwrap(), "  flood limit[counter slot 1] = nothing");
    assert_dropped(&report, DropReason::FloodLimit);
}

#[test]
fn tcp_is_shown_with_its_flags_and_the_segment_size_that_fits() {
    let syn = TraceRequest { protocol: TraceProtocol::Tcp, syn: true, size: 0, ..request("blue1", "10.0.0.7") };
    let mut host = host(&[MORE]);
    let report = host.report(&syn);
    assert!(report.packet.starts_with("TCP SYN 10.0.0.5:49152 -> 10.0.0.7:80, 0 bytes, TTL 64;"), "{}", report.packet);
    assert_eq!(report.output[5], "TCP 49152 -> 80, SYN, MSS 1460, 0 bytes");
    for peer in host.tables.peers.values_mut() {
        peer.mtu = 1500;
    }
    // 1,500 less the encapsulation's 42, an IPv4 and a TCP header.
    assert_eq!(host.report(&syn).output[5], "TCP 49152 -> 80, SYN, MSS 1418, 0 bytes");
    let report = host.report(&TraceRequest { syn: false, dont_fragment: true, ..syn });
    assert_eq!(report.output[4], "IPv4 10.0.0.5 -> 10.0.0.7, TCP, TTL 64, don't fragment, 40 bytes");
    assert_eq!(report.output[5], "TCP 49152 -> 80, ACK, 0 bytes");
}

#[test]
fn an_underlay_of_ipv6_is_decoded_too() {
    let v6 = "\
{kind: provider-address, spec: {address: \"fd00:4::11\", interface: eth0, prefixLength: 64}}
---
kind: lookup-record
spec: {vsid: 5001, customerAddress: 10.0.0.8, mac: 06-06-00-00-00-08, providerAddress: \"fd00:4::22\"}
";
    let report = host(&[v6]).ping("blue1", "10.0.0.8");
    assert_eq!(report.verdict, "encapsulated in NVGRE to fd00:4::22, VSID 5001, by eth0");
    assert_eq!(report.output[1], "IPv6 fd00:4::11 -> fd00:4::22, GRE, hop limit 64, 146 bytes");
    assert_eq!(report.output[4], "IPv4 10.0.0.5 -> 10.0.0.8, ICMP, TTL 64, 84 bytes");
}

#[test]
fn rewritten_addresses_are_named() {
    let nat = "\
kind: lookup-record
spec: {vsid: 5001, customerAddress: 10.0.0.20, mac: 06-06-00-00-00-14, providerAddress: 192.168.4.120, rule: TranslationMethodNat}
---
kind: lookup-record
spec: {vsid: 5001, customerAddress: 10.0.0.21, mac: 06-06-00-00-00-15, providerAddress: 192.168.4.121, rule: TranslationMethodNat}
---
{kind: port, name: nat1, spec: {device: tap-nat1, mac: 06-06-00-00-00-14, vsid: 5001}}
";
    let host = host(&[nat]);
    let report = host.ping("nat1", "10.0.0.21");
    assert_eq!(
        report.verdict,
        "sent unencapsulated to 192.168.4.121 by eth0, source 10.0.0.20 rewritten to 192.168.4.120, destination \
         10.0.0.21 rewritten to 192.168.4.121"
    );
    assert_eq!(report.output[1], "IPv4 192.168.4.120 -> 192.168.4.121, ICMP, TTL 64, 84 bytes");
    assert_dropped(&host.ping("blue1", "10.0.0.21"), DropReason::NotTranslated);
}

/// The problem with a request, its type checked.
fn problem(host: &Host, request: &TraceRequest, problem_type: ProblemType) -> String {
    let problem = host.ask(request).expect_err("there is nothing to trace");
    assert_eq!(problem.problem_type, problem_type, "{problem}");
    problem.detail
}

#[test]
fn a_port_that_cannot_be_traced_from_is_refused_with_what_to_do() {
    let host = host(&[]);
    assert_eq!(
        problem(&host, &request("blue2", "10.0.0.7"), ProblemType::NotFound),
        "there is no port \"blue2\"; the ports of this host are blue1, plain, red1, unplugged"
    );
    assert_eq!(
        problem(&host, &request("unplugged", "10.0.0.7"), ProblemType::Unavailable),
        "port unplugged is not bound: this host has no device \"tap-off\"; start the VM, or create the device"
    );
    let text = problem(&host, &request("plain", "10.0.0.7"), ProblemType::Invalid);
    assert!(text.starts_with("port plain has VSID 0, so its packets pass through"), "{text}");
    let empty =
        trace(&HostTables::default(), &BTreeMap::new(), &Intent::default(), &|_| None, &request("blue1", "10.0.0.7"));
    let text = empty.unwrap_err().detail;
    assert!(text.ends_with("this host has none; create one with \"netvirt create port\""), "{text}");
}

#[test]
fn a_packet_that_no_vm_sends_is_refused_with_what_to_do() {
    let host = host(&[MORE]);
    let text = problem(&host, &request("blue1", "fd00:1::7"), ProblemType::Invalid);
    assert_eq!(
        text,
        "port blue1 has no lookup record with an IPv6 address in VSID 5001; say with --source from which address its VM \
         sends"
    );
    let source = Some("fd00:1::5".parse().unwrap());
    let mixed = TraceRequest { source, ..request("blue1", "10.0.0.7") };
    let text = problem(&host, &mixed, ProblemType::BadRequest);
    assert_eq!(text, "source fd00:1::5 is IPv6 and destination 10.0.0.7 is IPv4; give two addresses of one family");
    let text = problem(&host, &request("blue1", "10.0.0.5"), ProblemType::BadRequest);
    assert!(text.starts_with("10.0.0.5 is an address of the VM at port blue1 itself"), "{text}");
    let text = problem(&host, &request("blue1", "0.0.0.0"), ProblemType::BadRequest);
    assert!(text.starts_with("0.0.0.0 is no destination"), "{text}");
    let long = |size| TraceRequest { size, ..request("blue1", "10.0.0.7") };
    let text = problem(&host, &long(65_508), ProblemType::BadRequest);
    assert_eq!(text, "65508 bytes are more than one packet holds; choose a --size of at most 65507");
    assert!(host.ask(&long(65_507)).is_ok());
}
