//! What people ask hosts through the controller: whom it asks, what it tells, and what it says when a host says nothing.

mod support;

use api::fabric::{Answer, Caller, CallerKind, FabricApi as _, Question, Role, TraceFate};
use api::{
    Counters, DropCounter, Frame, HostAnswer, HostQuestion, HostTrace, PeerTraffic, PortCounters, PortLease, Problem,
    ProblemType, TraceReport, TraceRequest, TraceStep,
};
use model::LeaseState;
use proto::AskError;
use support::{Scene, admin, name};

const TENANTS: &str = "
kind: tenant
name: blue
---
kind: tenant
name: red
---
kind: vm-network
tenant: blue
name: net
spec: {logicalNetwork: TDIv2}
---
kind: vm-subnet
tenant: blue
name: test
spec: {vmNetwork: net, prefixes: [10.10.0.0/16]}
---
kind: ip-pool
tenant: blue
name: pool
spec: {vmSubnet: test, ranges: [10.10.1.100-10.10.1.130]}
---
kind: port
tenant: blue
name: a
spec: {host: host15, vmNetwork: net}
---
kind: port
tenant: blue
name: b
spec: {host: host16, vmNetwork: net}
---
kind: port
tenant: blue
name: c
spec: {vmNetwork: net}
";

fn scene() -> Scene {
    let scene = Scene::new();
    scene.apply(support::BASE).unwrap();
    scene.apply(TENANTS).unwrap();
    scene
}

fn of(tenant: &str) -> Caller {
    Caller { kind: CallerKind::Token, name: name("tim"), role: Role::Tenant, tenant: Some(name(tenant)) }
}

fn counters(ports: &[&str]) -> Question {
    Question::Counters { tenant: name("blue"), ports: ports.iter().map(|port| name(port)).collect() }
}

fn leases() -> Question {
    Question::Leases { tenant: name("blue"), vm_subnet: name("test") }
}

fn trace() -> Question {
    Question::Trace { tenant: name("blue"), packet: TraceRequest::new("a", "10.10.1.101".parse().unwrap()) }
}

fn said(port: &str, packets: u64) -> PortCounters {
    let drop = |reason: &str| DropCounter {
        port: port.to_owned(),
        reason: reason.to_owned(),
        explanation: "why".to_owned(),
        packets,
    };
    let counters =
        Counters { rx_packets: packets, rx_bytes: packets * 98, tx_packets: 1, tx_bytes: 98, drops: packets };
    PortCounters { port: port.to_owned(), counters: Some(counters), drops: vec![drop("NoRoute")] }
}

/// What a host says of a packet.
fn leg(fate: TraceFate, port: Option<&str>, remote: Option<&str>) -> HostAnswer {
    // What is delivered has no outer headers any more.
    let outer = remote.map(|_| "IPv4 192.168.4.15 -> 192.168.4.16").into_iter();
    let report = TraceReport {
        packet: "a packet".to_owned(),
        steps: vec![TraceStep { stage: "s".to_owned(), question: "q".to_owned(), lookups: Vec::new() }],
        verdict: "goes by eth0 of host15 to 192.168.4.16".to_owned(),
        reason: None,
        explanation: None,
        output: outer.chain(["IPv4 10.10.1.100 -> 10.10.1.101"]).map(str::to_owned).collect(),
    };
    HostAnswer::Trace(Box::new(HostTrace {
        report,
        fate,
        port: port.map(str::to_owned),
        remote: remote.map(|remote| remote.parse().unwrap()),
        frame: remote.map(|_| Frame(vec![1, 2, 3])),
        inner: 1,
    }))
}

#[test]
fn each_port_is_asked_about_where_it_is() {
    let scene = scene();
    scene.sessions.answers(|host, question| match (host.as_str(), question) {
        ("host15", HostQuestion::Counters { ports }) if *ports == ["blue.a"] => {
            Ok(HostAnswer::Counters(vec![said("blue.a", 3), said("red.secret", 9)]))
        }
        ("host16", HostQuestion::Counters { ports }) if *ports == ["blue.b"] => {
            Ok(HostAnswer::Counters(vec![said("blue.b", 5)]))
        }
        other => panic!("{other:?}"),
    });
    let traffic = scene.controller.ask(&of("blue"), counters(&["b", "c", "a"])).unwrap().counters().unwrap();
    let known: Vec<_> = traffic.ports.iter().map(|port| (port.port.as_str(), port.sent_packets)).collect();
    assert_eq!(known, [("b", 5), ("a", 3)]);
    assert_eq!((traffic.ports[0].received_bytes, traffic.ports[0].drops[0].reason.as_str()), (98, "NoRoute"));
    assert_eq!(traffic.unanswered.len(), 1);
    assert!(traffic.unanswered[0].reason.contains("the port is on no host"), "{traffic:?}");
    assert_eq!(traffic.unanswered[0].ports, [name("c")]);
}

#[test]
fn what_one_host_does_not_say_is_told_beside_what_the_other_does() {
    let scene = scene();
    scene.sessions.answers(|host, question| match (host.as_str(), question) {
        ("host15", HostQuestion::Leases { ports }) if *ports == ["blue.a"] => {
            let lease = PortLease {
                port: "blue.a".to_owned(),
                address: "10.10.1.100".parse().unwrap(),
                state: LeaseState::Bound,
                since: "2026-01-01T10:00:00Z".to_owned(),
                until: Some("2026-01-01T18:00:00Z".to_owned()),
            };
            Ok(HostAnswer::Leases(vec![lease]))
        }
        ("host15", HostQuestion::Counters { .. }) => {
            let absent = PortCounters { port: "blue.a".to_owned(), counters: None, drops: Vec::new() };
            Ok(HostAnswer::Counters(vec![absent]))
        }
        _ => Err(AskError::NotConnected),
    });
    let told = scene.controller.ask(&admin(), leases()).unwrap().leases().unwrap();
    assert_eq!(told.leases.len(), 1);
    let lease = &told.leases[0];
    assert_eq!((lease.port.as_str(), lease.until.as_deref()), ("a", Some("2026-01-01T18:00:00Z")));
    let key = model::fabric::Key::new(model::fabric::Kind::Port, Some(name("blue")), name("a"));
    assert_eq!(Some(lease.mac), scene.get(&key).status.allocation.mac);
    assert_eq!(told.unanswered[0].ports, [name("b")]);
    assert_eq!(told.unanswered[0].reason, "host \"host16\" does not answer: its agent is not connected");
    let told = scene.controller.ask(&of("blue"), leases()).unwrap().leases().unwrap();
    assert!(!told.unanswered[0].reason.contains("host16"), "{told:?}");
    // Nothing at all is a refusal.
    let problem = scene.controller.ask(&admin(), counters(&["b"])).unwrap_err();
    assert_eq!(problem.problem_type, ProblemType::Unavailable);
    assert_eq!(problem.detail, "host \"host16\" does not answer: its agent is not connected");
    let problem = scene.controller.ask(&of("blue"), counters(&["a"])).unwrap_err();
    assert!(problem.detail.contains("no device yet"), "{problem}");
}

#[test]
fn who_has_enough_questions_to_a_host_is_told_when_to_ask_again() {
    let scene = scene();
    scene.sessions.answers(|_, _| Err(AskError::Share));
    for (caller, asker) in [(admin(), "admin"), (of("blue"), "tenant blue")] {
        scene.sessions.askers.lock().clear();
        let problem = scene.controller.ask(&caller, counters(&["a"])).unwrap_err();
        assert_eq!((problem.status, problem.retry_after), (429, Some(2)), "{problem}");
        assert_eq!(problem.detail.contains("host15"), asker == "admin", "{problem}");
        let problem = scene.controller.ask(&caller, trace()).unwrap_err();
        assert_eq!((problem.status, problem.retry_after), (429, Some(2)), "{problem}");
        // What each tenant has, it has by all of its tokens and users together.
        assert_eq!(*scene.sessions.askers.lock(), [asker, asker]);
    }
}

#[test]
fn a_packet_is_followed_from_host_to_host() {
    let scene = scene();
    scene.sessions.answers(|host, question| match (host.as_str(), question) {
        ("host15", HostQuestion::Trace { packet }) if packet.from == "blue.a" => {
            Ok(leg(TraceFate::ToHost, None, Some("192.168.4.16")))
        }
        ("host16", HostQuestion::Arrival { frame, packet }) if frame.0 == [1, 2, 3] && packet == "a packet" => {
            Ok(leg(TraceFate::Delivered, Some("blue.b"), None))
        }
        other => panic!("{other:?}"),
    });
    let told = scene.controller.ask(&admin(), trace()).unwrap().trace().unwrap();
    let hosts: Vec<_> = told.legs.iter().map(|leg| leg.host.clone().unwrap().to_string()).collect();
    assert_eq!((hosts, told.unfinished), (vec!["host15".to_owned(), "host16".to_owned()], None));
    assert!(told.legs[0].report.verdict.contains("192.168.4.16"), "an admin is told all");
    assert_eq!((told.legs[1].end.fate, told.legs[1].end.port.clone()), (TraceFate::Delivered, Some(name("b"))));
    let told = scene.controller.ask(&of("blue"), trace()).unwrap();
    let text = format!("{told:?}");
    for secret in ["192.168.4.", "host15", "host16", "eth0"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    let told = told.trace().unwrap();
    assert_eq!(told.legs[0].report.output, ["IPv4 10.10.1.100 -> 10.10.1.101"]);
    assert_eq!(told.legs[1].end.port, Some(name("b")));
}

#[test]
fn a_trace_that_cannot_go_on_says_why() {
    let scene = scene();
    // The second host sends it back, and that again.
    scene.sessions.answers(|host, _| {
        Ok(leg(TraceFate::ToHost, None, Some(if host.as_str() == "host15" { "192.168.4.16" } else { "192.168.4.15" })))
    });
    let told = scene.controller.ask(&admin(), trace()).unwrap().trace().unwrap();
    assert_eq!(told.legs.len(), 4);
    assert!(told.unfinished.unwrap().contains("followed to 4 hosts"));
    scene.sessions.answers(|_, _| Ok(leg(TraceFate::ToHost, None, Some("192.168.4.99"))));
    let told = scene.controller.ask(&admin(), trace()).unwrap().trace().unwrap();
    assert_eq!(told.unfinished.as_deref(), Some("no host of this controller has 192.168.4.99"));
    let told = scene.controller.ask(&of("blue"), trace()).unwrap().trace().unwrap();
    assert_eq!((told.legs.len(), told.unfinished.as_deref()), (1, Some("it leaves the hosts of this fabric")));
    scene.sessions.answers(|host, _| match host.as_str() {
        "host15" => Ok(leg(TraceFate::ToHost, None, Some("192.168.4.16"))),
        _ => Err(AskError::Unknown { version: "0.0.1".to_owned() }),
    });
    let told = scene.controller.ask(&admin(), trace()).unwrap().trace().unwrap();
    let why = told.unfinished.unwrap();
    assert!(
        why.starts_with("host \"host16\" does not know this question, since its agent is of version 0.0.1"),
        "{why}"
    );
}

#[test]
fn a_hosts_refusal_is_told_to_admins_as_it_is() {
    let scene = scene();
    let refuse = |problem_type, detail: &str| {
        let refused = HostAnswer::Refused(Problem::new(problem_type, detail));
        scene.sessions.answers(move |_, _| Ok(refused.clone()));
        [admin(), of("blue")].map(|caller| scene.controller.ask(&caller, trace()).unwrap_err().detail)
    };
    let [whole, told] = refuse(ProblemType::NotFound, "there is no port \"blue.a\"; the ports are red.secret");
    assert!(whole.contains("red.secret") && !told.contains("red.secret"), "{told}");
    let [whole, told] = refuse(ProblemType::BadRequest, "0.0.0.0 is no destination");
    assert_eq!((whole.as_str(), told.as_str()), ("0.0.0.0 is no destination", "0.0.0.0 is no destination"));
}

#[test]
fn nobody_asks_about_what_he_may_not_read() {
    let scene = scene();
    scene.sessions.answers(|host, _| panic!("{host} was asked"));
    let ask = |question: Question| scene.controller.ask(&of("red"), question).unwrap_err();
    for (there, not) in [
        (counters(&["a"]), counters(&["x"])),
        (leases(), Question::Leases { tenant: name("blue"), vm_subnet: name("x") }),
        (
            trace(),
            Question::Trace { tenant: name("blue"), packet: TraceRequest::new("x", "10.0.0.1".parse().unwrap()) },
        ),
    ] {
        let (there, not) = (ask(there), ask(not));
        assert_eq!((there.problem_type, not.problem_type), (ProblemType::Forbidden, ProblemType::Forbidden));
        let bare = |text: &str| text.replace("\"a\"", "X").replace("\"test\"", "X").replace("\"x\"", "X");
        assert_eq!(bare(&there.detail), bare(&not.detail), "whether it is there is not told");
    }
    for question in [Question::Host { host: name("host15") }, Question::Tunnels { host: name("host15") }] {
        assert_eq!(ask(question).problem_type, ProblemType::Forbidden);
    }
    let own = scene.controller.ask(&of("blue"), counters(&["a", "x"])).unwrap_err();
    assert_eq!(own.problem_type, ProblemType::NotFound);
    let many: Vec<String> = (0..501).map(|number| format!("p{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let problem = scene.controller.ask(&of("blue"), counters(&many)).unwrap_err();
    assert!(problem.detail.contains("501 ports are more than the 500"), "{problem}");
}

#[test]
fn tunnels_have_the_names_of_hosts() {
    let scene = scene();
    scene.sessions.answers(|_, question| match question {
        HostQuestion::Tunnels {} => {
            let peer = |remote: &str| PeerTraffic {
                remote: remote.parse().unwrap(),
                flows: 1,
                to_packets: 2,
                to_bytes: 3,
                from_packets: 4,
                from_bytes: 5,
            };
            Ok(HostAnswer::Tunnels(vec![peer("192.168.4.16"), peer("192.168.4.77")]))
        }
        // What was not asked for is a bug, and told as one.
        _ => Ok(HostAnswer::Tunnels(Vec::new())),
    });
    let answer = scene.controller.ask(&admin(), Question::Tunnels { host: name("host15") }).unwrap();
    let Answer::Tunnels(told) = answer else { panic!("{answer:?}") };
    assert_eq!(told.tunnels.iter().map(|tunnel| tunnel.host.clone()).collect::<Vec<_>>(), [Some(name("host16")), None]);
    assert_eq!((told.tunnels[0].sent_packets, told.tunnels[0].received_bytes), (2, 5));
    let problem = scene.controller.ask(&admin(), Question::Host { host: name("host15") }).unwrap_err();
    assert_eq!(problem.problem_type, ProblemType::Internal);
    let problem = scene.controller.ask(&admin(), Question::Host { host: name("nobody") }).unwrap_err();
    assert_eq!(problem.problem_type, ProblemType::NotFound);
}
