//! What hosts are asked, through server and client.

use api::fabric::{Answer, Client, ClientError, Endpoint, NewToken, Question, Role, TraceFate};
use api::{Problem, ProblemType, TraceRequest};
use model::fabric::ResourceName;
use serde_json::json;

use crate::support::{Served, refused};

const JSON: &str = "Content-Type: application/json\r\n";

fn name(text: &str) -> ResourceName {
    text.parse().unwrap()
}

fn refusal(result: Result<Answer, ClientError>) -> Problem {
    refused(&result.unwrap_err())
}

/// A fabric with a subnet of Blue with two ports, a host, and a token of Blue and one of Red.
fn served() -> (Served, Client, [Client; 2]) {
    let served = Served::new();
    let admin = Client::new(&served.endpoint()).unwrap();
    for resource in [
        json!({"kind": "host", "name": "host15", "spec": {}}),
        json!({"kind": "tenant", "name": "blue", "spec": {}}),
        json!({"kind": "tenant", "name": "red", "spec": {}}),
        json!({"kind": "vm-subnet", "tenant": "blue", "name": "test", "spec": {"vmNetwork": "AAA", "prefixes": ["10.10.0.0/16"]}}),
        json!({"kind": "port", "tenant": "blue", "name": "my port", "spec": {"vmSubnet": "test"}}),
        json!({"kind": "port", "tenant": "blue", "name": "test02", "spec": {"vmSubnet": "test"}}),
    ] {
        let body = json!({"changes": [{"create": resource}]}).to_string();
        let answer = served.ask("POST", "/v1/changes", JSON, &body);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let tenant = |tenant: &str| {
        let token = NewToken { name: name(tenant), role: Role::Tenant, tenant: Some(name(tenant)), seconds: None };
        let secret = admin.create_token(&token).unwrap().secret;
        Client::new(&Endpoint { token: secret, ..served.endpoint() }).unwrap()
    };
    let tenants = [tenant("blue"), tenant("red")];
    (served, admin, tenants)
}

fn counters(ports: &[&str]) -> Question {
    Question::Counters { tenant: name("blue"), ports: ports.iter().map(|port| name(port)).collect() }
}

fn trace() -> Question {
    Question::Trace { tenant: name("blue"), packet: TraceRequest::new("my port", "10.10.1.101".parse().unwrap()) }
}

#[test]
fn a_tenant_asks_about_its_own() {
    let (served, _, [blue, _]) = served();
    let traffic = blue.ask(&counters(&["test02", "my port"])).unwrap().counters().unwrap();
    assert_eq!(traffic.ports.iter().map(|port| port.port.as_str()).collect::<Vec<_>>(), ["test02", "my port"]);
    let one = served.ask("GET", "/v1/tenants/blue/ports/my%20port/counters", "", "");
    assert_eq!((one.status, one.value()), (200, serde_json::to_value(&traffic.ports[1]).unwrap()));
    let leases = Question::Leases { tenant: name("blue"), vm_subnet: name("test") };
    let leases = blue.ask(&leases).unwrap().leases().unwrap().leases;
    assert_eq!(leases.iter().map(|lease| lease.port.as_str()).collect::<Vec<_>>(), ["my port", "test02"]);
    let told = blue.ask(&trace()).unwrap().trace().unwrap();
    assert_eq!(told.legs.iter().map(|leg| leg.end.fate).collect::<Vec<_>>(), [TraceFate::ToHost, TraceFate::Delivered]);
    assert!(told.legs.iter().all(|leg| leg.host.is_none() && leg.end.remote.is_none()), "{told:?}");
}

#[test]
fn an_admin_asks_about_hosts() {
    let (_served, admin, [blue, _]) = served();
    let host = Question::Host { host: name("host15") };
    let report = admin.ask(&host).unwrap().host().unwrap();
    assert_eq!((report.status.name.as_str(), report.drops.len()), ("host15", 1));
    let tunnels = Question::Tunnels { host: name("host15") };
    assert_eq!(admin.ask(&tunnels).unwrap().tunnels().unwrap().tunnels.len(), 1);
    let told = admin.ask(&trace()).unwrap().trace().unwrap();
    assert_eq!(told.legs[0].host, Some(name("host15")));
    for question in [host, tunnels] {
        assert_eq!(refusal(blue.ask(&question)).problem_type, ProblemType::Forbidden);
    }
    let unknown = Question::Host { host: name("host99") };
    assert_eq!(refusal(admin.ask(&unknown)).problem_type, ProblemType::NotFound);
}

#[test]
fn what_is_anothers_is_as_what_is_not_there() {
    let (_served, _, [blue, red]) = served();
    let unknown = refusal(blue.ask(&counters(&["my port", "nowhere"])));
    assert_eq!(unknown.problem_type, ProblemType::NotFound);
    assert!(unknown.detail.contains("nowhere"), "{unknown}");
    let leases = |subnet: &str| Question::Leases { tenant: name("blue"), vm_subnet: name(subnet) };
    for (there, not) in [(counters(&["test02"]), counters(&["test99"])), (leases("test"), leases("test9"))] {
        let (there, not) = (refusal(red.ask(&there)), refusal(red.ask(&not)));
        assert_eq!(there.problem_type, not.problem_type);
        let bare =
            |text: &str| text.replace("test02", "X").replace("test99", "X").replace("test9", "X").replace("test", "X");
        assert_eq!(bare(&there.detail), bare(&not.detail));
    }
    assert_eq!(refusal(red.ask(&trace())).problem_type, ProblemType::NotFound);
}

#[test]
fn bodies_that_are_wrong_are_refused_with_the_field() {
    let (served, ..) = served();
    let path = "/v1/tenants/blue/ports/test02/trace";
    for (path, body, words) in [
        (path, json!({}), "missing field `to`"),
        (path, json!({"to": "10.10.1.101", "from": "my port"}), "make them the same"),
        (path, json!({"to": "10.10.1.101", "from": 7}), "make them the same"),
        (path, json!({"to": "10.10.1.101", "speed": 1}), "unknown field `speed`"),
        (path, json!([]), "packet"),
        ("/v1/tenants/blue/counters", json!({"ports": "test02"}), "ports"),
        ("/v1/tenants/blue/counters", json!({"port": []}), "port"),
    ] {
        let problem = served.ask("POST", path, JSON, &body.to_string()).problem();
        assert_eq!(problem.problem_type, ProblemType::BadRequest, "{problem}");
        assert!(problem.detail.contains(words), "{problem}");
    }
    let answer = served.ask("POST", path, JSON, &json!({"to": "10.10.1.101", "from": "test02"}).to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(served.ask("GET", path, "", "").problem().problem_type, ProblemType::MethodNotAllowed);
    assert_eq!(served.ask("GET", "/v1/hosts/host15/status?x=1", "", "").problem().status, 400);
}
