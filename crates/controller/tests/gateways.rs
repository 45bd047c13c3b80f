//! Gateways through the whole interface: secrets are never shown, kept over restarts, and found again when what stands for them
//! is written back; what hosts say of connections is shown.

mod support;

use api::fabric::{AuditQuery, EventKind, FabricApi as _, WatchQuery};
use model::fabric::{Kind, ResourceName};
use model::gateway::GatewayReport;
use plan::fabric::TopicId;
use proto::Controller as _;
use support::{BASE, Scene, admin, key, list, puts};

const SECRETS: [&str; 3] = ["swordfish", "jaguar-of-bgp", "2LAXbsn+XVXMaPzANsP/X8MLnUnWSGm8oL8m5WjgCG8="];

const GATEWAY: &str = "\
kind: gateway
name: gw
spec:
  logicalNetwork: TDIv2
  hosts: [{host: host15, interface: eth1}, {host: host16, interface: eth1}]
  networks: [{prefix: 203.0.113.0/24, nextHop: 203.0.113.1, ranges: [203.0.113.10-203.0.113.19]}]
---
kind: gateway-connection
name: site
spec:
  vmNetwork: AAA
  gateway: gw
  ipsec: {remote: 198.51.100.1, psk: swordfish, remotePrefixes: [10.20.0.0/16], addresses: [169.254.7.1/30]}
  bgp: {localAs: 64512, neighbors: [{address: 169.254.7.2, remoteAs: 64513, password: jaguar-of-bgp}]}
---
kind: gateway-connection
name: branch
spec:
  vmNetwork: AAA
  gateway: gw
  wireguard:
    peerKey: HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=
    privateKey: 2LAXbsn+XVXMaPzANsP/X8MLnUnWSGm8oL8m5WjgCG8=
    remotePrefixes: [10.30.0.0/16]
---
kind: gateway-connection
name: made
spec:
  vmNetwork: AAA
  gateway: gw
  wireguard: {peerKey: HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=, listenPort: 51821, remotePrefixes: [10.40.0.0/16]}
";

/// What the active host is told, secrets in full.
fn told(scene: &Scene) -> String {
    let host: ResourceName = "host15".parse().unwrap();
    let topic = scene.controller.topic(&TopicId::Host(host));
    let compartments = topic.items.iter().filter(|item| item.kind() == model::Kind::Compartment);
    compartments.map(|item| serde_json::to_string(item).unwrap()).collect()
}

#[test]
fn secrets_go_to_the_host_and_nowhere_else() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    let mut watch = scene.controller.watch(&admin(), WatchQuery::default()).unwrap();
    let report = scene.apply(GATEWAY).unwrap();
    let compartment = told(&scene);
    assert!(SECRETS.iter().all(|secret| compartment.contains(secret)), "{compartment}");
    let made = compartment.matches("\"privateKey\":\"").count();
    assert_eq!(made, 2, "one is made where none is named: {compartment}");

    let audit = scene.controller.audit(&admin(), AuditQuery::default()).unwrap();
    let mut shown =
        serde_json::to_string(&(report.results.iter().map(|result| &result.item).collect::<Vec<_>>(), audit)).unwrap();
    shown += &serde_json::to_string(&list(&scene.controller, Kind::GatewayConnection)).unwrap();
    let item = scene.get(&key(Kind::GatewayConnection, "site"));
    shown += &serde_json::to_string(&item).unwrap();
    shown += &serde_json::to_string(&scene.get(&key(Kind::GatewayConnection, "made"))).unwrap();
    while let Some(event) = watch.next(std::time::Duration::ZERO).unwrap() {
        shown += &serde_json::to_string(&event).unwrap();
    }
    assert!(shown.contains("(hidden)"));
    for secret in SECRETS {
        assert!(!shown.contains(secret), "{secret} is shown");
    }
    assert!(!shown.contains("\"status\":{\"privateKey"), "what was made is not shown either");

    // Written back as it was shown, nothing changes; after a restart it is all still there.
    let resource = model::fabric::Resource::new(
        item.tenant.clone(),
        item.name.clone(),
        model::fabric::Spec::deserialize(Kind::GatewayConnection, item.spec.clone()).unwrap(),
    );
    let yaml = model::fabric::resources_to_yaml([&resource]).unwrap();
    let back = scene.controller.change(&admin(), puts(&yaml)).unwrap();
    assert_eq!(back.results[0].outcome, api::Outcome::Unchanged);
    drop(watch);
    let scene = scene.restart();
    assert_eq!(told(&scene), compartment);
    // An export is for another controller, which must have them.
    let export = String::from_utf8(scene.controller.export(&admin()).unwrap()).unwrap();
    assert!(!export.contains("(hidden)"));
}

#[test]
fn a_connection_tells_why_it_is_not_up() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    scene.apply(GATEWAY).unwrap();
    let status = |scene: &Scene| scene.get(&key(Kind::GatewayConnection, "site")).status.connection.unwrap();
    let first = status(&scene);
    assert_eq!(first.state.as_str(), "connecting");
    assert_eq!(first.reason.as_deref(), Some("host host15 has not reported; is \"netvirt gateway\" running there?"));
    assert_eq!(first.external[0].to_string(), "203.0.113.10/24");
    let mut watch = scene.controller.watch(&admin(), WatchQuery::default()).unwrap();
    let report: GatewayReport = serde_json::from_value(serde_json::json!({"compartments": [{
        "name": "default/AAA", "namespace": "nvgw-1",
        "connections": [{"name": "site", "state": "down", "reason": "the other side does not answer; is it there?"}]
    }]}))
    .unwrap();
    scene.controller.gateway_report(&"host15".parse().unwrap(), report);
    let now = status(&scene);
    assert_eq!(
        (now.state.as_str(), now.reason.as_deref()),
        ("down", Some("the other side does not answer; is it there?"))
    );
    let mut told = Vec::new();
    while let Some(event) = watch.next(std::time::Duration::ZERO).unwrap() {
        told.push((event.event, event.item.name.to_string()));
    }
    assert!(told.contains(&(EventKind::Status, "site".to_owned())), "{told:?}");
    let gateway = scene.get(&key(Kind::Gateway, "gw")).status;
    let used: Vec<_> = gateway.families.iter().map(|of| (of.family.as_str(), of.used, of.total)).collect();
    assert_eq!((used, gateway.total), (vec![("IPv4", 1, 10)], None));
    let hosts: Vec<_> = gateway.gateway_hosts.iter().map(|host| (host.active, host.standby)).collect();
    assert_eq!(hosts, [(1, 0), (0, 1)]);
}
