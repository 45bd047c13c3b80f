//! What hosts say: joining, connecting, reporting, learning.

mod support;

use std::time::Duration;

use api::fabric::{AuditQuery, FabricApi as _, NewJoinToken, PortDevice, WatchQuery};
use model::fabric::{Kind, ResourceName};
use plan::fabric::TopicId;
use proto::{Controller as _, HostFacts, JoinAsk, LearntAddress, Peer, PortReport, Refused, Report, Uplink};
use support::{BASE, Scene, admin, delete, key, name, port};

fn facts(address: &str) -> HostFacts {
    let uplink = Uplink { interface: "eth0".parse().unwrap(), addresses: vec![address.parse().unwrap()], mtu: 1500 };
    HostFacts { version: "1.2.3".to_owned(), uplinks: vec![uplink], ..HostFacts::default() }
}

fn token(scene: &Scene, host: Option<&str>) -> proto::Token {
    let new = NewJoinToken { host: host.map(name), seconds: None };
    scene.controller.create_join_token(&admin(), new).unwrap().token.parse().unwrap()
}

fn join(scene: &Scene, token: &proto::Token, host: &str, address: &str) -> Result<proto::Joined, Refused> {
    let address_of = "192.168.4.99:5000".parse().unwrap();
    scene.controller.join(&JoinAsk {
        token_id: token.id.clone(),
        secret: token.secret.clone(),
        name: host.to_owned(),
        facts: facts(address),
        address: address_of,
    })
}

fn peer(host: &str, uid: &str) -> Peer {
    let not_after = std::time::SystemTime::now() + Duration::from_secs(60);
    Peer { host: name(host), uid: uid.to_owned(), fingerprint: String::new(), not_after }
}

#[test]
fn a_host_joins_once_with_a_token_and_gets_a_logical_network() {
    let scene = Scene::new();
    let one = token(&scene, None);
    let joined = join(&scene, &one, "host15", "192.168.4.15/24").unwrap();
    assert_eq!((joined.host.as_str(), joined.life), ("host15", Duration::from_secs(3600)));
    let host = scene.get(&key(Kind::Host, "host15"));
    assert_eq!(joined.uid, host.uid.to_string());
    assert_eq!(host.spec["uplinks"][0]["logicalNetworks"][0], "eth0");
    assert_eq!(scene.get(&key(Kind::LogicalNetwork, "eth0")).spec["networkVirtualization"], true);
    let refused = join(&scene, &one, "host16", "192.168.4.16/24").unwrap_err();
    assert!(matches!(&refused, Refused::Token(text) if text.contains("used already")), "{refused}");
    let lines = scene.controller.audit(&admin(), AuditQuery { before: None, limit: Some(1) }).unwrap();
    assert_eq!((lines[0].who.as_str(), lines[0].action.as_str()), ("host host15", "join"));
    scene.controller.admit(&peer("host15", &joined.uid)).unwrap();
    let scene = scene.restart();
    scene.controller.admit(&peer("host15", &joined.uid)).unwrap();
    let refused = join(&scene, &one, "host16", "192.168.4.16/24").unwrap_err();
    assert!(matches!(refused, Refused::Token(_)), "used is used after a restart too");
}

#[test]
fn who_may_not_join_is_told_why_and_the_token_stays() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    let for_one = token(&scene, Some("host17"));
    let open = token(&scene, None);
    let wrong = proto::Token { secret: "guess".to_owned(), ..open.clone() };
    let text = |token, host, address| join(&scene, token, host, address).unwrap_err().to_string();
    assert!(text(&wrong, "host18", "192.168.4.18/24").contains("unknown or was used already"));
    assert!(text(&for_one, "host18", "192.168.4.18/24").contains("join with \"--name host17\""));
    assert!(text(&open, "host15", "192.168.4.15/24").contains("has joined already"));
    assert!(text(&open, "a b", "192.168.4.18/24").contains("has a space"));
    assert!(text(&open, "a/b", "192.168.4.18/24").contains("may not stand"));
    assert!(text(&open, "host18", "192.168.4.15/24").contains("192.168.4.15"), "the address is another host's");
    join(&scene, &for_one, "host17", "192.168.4.17/24").unwrap();
    join(&scene, &open, "host18", "192.168.4.18/24").unwrap();
    let again = token(&scene, Some("host18"));
    let uid = scene.get(&key(Kind::Host, "host18")).uid;
    let joined = join(&scene, &again, "host18", "192.168.4.28/24").unwrap();
    assert_eq!(joined.uid, uid.to_string(), "the same host, with a new address");
    assert_eq!(scene.get(&key(Kind::Host, "host18")).spec["uplinks"][0]["addresses"][0], "192.168.4.28/24");
}

#[test]
fn a_deleted_host_is_cut_off_and_a_later_one_of_its_name_is_another() {
    let scene = Scene::new();
    let joined = join(&scene, &token(&scene, None), "host15", "192.168.4.15/24").unwrap();
    let host: ResourceName = name("host15");
    scene.controller.connected(&host, "192.168.4.15:1".parse().unwrap(), facts("192.168.4.15/24"));
    scene.controller.change(&admin(), delete(key(Kind::Host, "host15"))).unwrap();
    assert_eq!(*scene.sessions.disconnected.lock(), std::slice::from_ref(&host));
    assert!(scene.controller.admit(&peer("host15", &joined.uid)).unwrap_err().to_string().contains("was deleted"));
    scene.controller.disconnected(&host);
    scene.controller.report(&host, Report { uplinks: facts("192.168.4.15/24").uplinks, ..Report::default() });
    scene.controller.connected(&host, "192.168.4.15:1".parse().unwrap(), facts("192.168.4.15/24"));
    assert!(scene.controller.get(&admin(), &key(Kind::Host, "host15")).is_err(), "speaking does not bring it back");
    join(&scene, &token(&scene, None), "host15", "192.168.4.15/24").unwrap();
    assert!(scene.controller.admit(&peer("host15", &joined.uid)).unwrap_err().to_string().contains("another machine"));
}

#[test]
fn a_host_is_declared_with_the_addresses_that_it_has() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    let host = name("host15");
    let revision = scene.controller.revision();
    scene.controller.connected(&host, "192.168.4.15:1".parse().unwrap(), facts("192.168.4.15/24"));
    assert_eq!(scene.controller.revision(), revision, "nothing is different");
    let status = scene.get(&key(Kind::Host, "host15")).status;
    assert_eq!((status.version.as_deref(), status.last_seen.is_some()), (Some("1.2.3"), true));
    scene.controller.report(&host, Report { uplinks: facts("192.168.4.25/24").uplinks, ..Report::default() });
    let item = scene.get(&key(Kind::Host, "host15"));
    assert_eq!(item.spec["uplinks"][0]["addresses"][0], "192.168.4.25/24");
    assert_eq!(item.spec["uplinks"][0]["logicalNetworks"][0], "TDIv2");
    assert_eq!(item.status.allocation.provider_addresses[0].to_string(), "192.168.4.25/24");
    let lines = scene.controller.audit(&admin(), AuditQuery { before: None, limit: Some(1) }).unwrap();
    assert_eq!((lines[0].who.as_str(), lines[0].action.as_str()), ("host host15", "configure"));
    // What another host has is refused, and the host's status says so until it is mended.
    scene.controller.report(&host, Report { uplinks: facts("192.168.4.16/24").uplinks, ..Report::default() });
    let item = scene.get(&key(Kind::Host, "host15"));
    assert_eq!(item.spec["uplinks"][0]["addresses"][0], "192.168.4.25/24");
    assert!(item.status.findings[0].contains("cannot be taken over"), "{:?}", item.status.findings);
    scene.controller.report(&host, Report { uplinks: facts("192.168.4.25/24").uplinks, ..Report::default() });
    assert!(scene.get(&key(Kind::Host, "host15")).status.findings.is_empty());
}

#[test]
fn devices_and_findings_are_shown_and_watched() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    scene.apply(&port("test01", "host15")).unwrap();
    let device = || scene.get(&key(Kind::Port, "test01")).status.device;
    assert_eq!(device(), Some(PortDevice::Unknown));
    let query = WatchQuery { kind: Some(Kind::Port), ..WatchQuery::default() };
    let mut watch = scene.controller.watch(&admin(), query).unwrap();
    let report = |bound| {
        let ports = vec![PortReport { name: "test01".parse().unwrap(), bound }];
        let findings = vec!["the MTU is small".to_owned()];
        scene.controller.report(&name("host15"), Report { ports, findings, ..Report::default() });
    };
    report(false);
    assert_eq!(device(), Some(PortDevice::Missing));
    report(true);
    assert_eq!(device(), Some(PortDevice::Bound));
    report(true);
    let told: Vec<_> =
        (0..2).map(|_| watch.next(Duration::ZERO).unwrap().unwrap().item.status.device.unwrap()).collect();
    assert_eq!(told, [PortDevice::Missing, PortDevice::Bound]);
    assert_eq!(watch.next(Duration::ZERO).unwrap(), None, "what is said again is no news");
    assert_eq!(scene.get(&key(Kind::Host, "host15")).status.findings, ["the MTU is small"]);
}

#[test]
fn what_a_vm_was_heard_to_use_becomes_known_everywhere() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    scene.apply("kind: port\nname: own\nspec: {host: host15, vmNetwork: AAA, addressing: learnt}\n").unwrap();
    scene.apply(&port("test02", "host16")).unwrap();
    let (subnet, item) = (scene.get(&key(Kind::VmSubnet, "test")), scene.get(&key(Kind::Port, "own")));
    let heard = |addresses: &[&str]| {
        let learnt = addresses.iter().map(|address| LearntAddress {
            vsid: subnet.status.allocation.vsid.unwrap(),
            mac: item.status.allocation.mac.unwrap(),
            address: address.parse().unwrap(),
        });
        scene.controller.report(&name("host15"), Report { learnt: learnt.collect(), ..Report::default() });
        scene.get(&key(Kind::Port, "own")).status.allocation.learnt.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(heard(&["10.10.7.7"]), ["10.10.7.7"]);
    let rdid = scene.get(&key(Kind::VmNetwork, "AAA")).status.allocation.rdid.unwrap();
    let records = scene.controller.topic(&TopicId::Network(rdid)).items;
    let written = serde_json::to_string(&records).unwrap();
    assert!(written.contains("10.10.7.7"), "{written}");
    let revision = scene.controller.revision();
    assert_eq!(heard(&["10.10.7.7"]), ["10.10.7.7"]);
    assert_eq!(heard(&[]), ["10.10.7.7"], "an agent that has just started has heard nothing");
    assert_eq!(scene.controller.revision(), revision);
    assert_eq!(heard(&["10.10.7.8"]), ["10.10.7.8"]);
    let scene = scene.restart();
    let learnt = scene.get(&key(Kind::Port, "own")).status.allocation.learnt;
    assert_eq!(learnt[0].to_string(), "10.10.7.8");
}

#[test]
fn a_host_is_given_the_topics_of_its_ports() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    assert_eq!(scene.controller.topics_of(&name("host15")).len(), 1);
    scene.apply(&port("test01", "host15")).unwrap();
    let topics = scene.controller.topics_of(&name("host15"));
    assert_eq!(topics.len(), 2);
    for topic in topics {
        let content = scene.controller.topic(&topic);
        assert_eq!(content.revision, scene.controller.revision());
        assert!(!content.items.is_empty(), "{topic}");
    }
}
