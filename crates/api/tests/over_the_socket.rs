//! Server and client over a real unix socket, in front of a host in memory: what each path answers, and each way in
//! which a request can fail.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::memory::MemoryHost;
use api::{
    Change, ChangeReport, ChangeSet, Client, ClientError, DropCounter, FlowFilter, FlowList, HostApi, HostStatus, Item,
    Outcome, PortStatus, Problem, ProblemType, Socket, TraceReport, TraceRequest,
};
use model::{Key, Kind, Resource};

/// A served host. The runtime is ended in an orderly way by [`Served::stop`], otherwise with the test.
struct Served {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    shutdown: tokio::sync::oneshot::Sender<()>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Served {
    fn new(host: impl HostApi) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = Socket::bind(folder.path().join("agent.sock")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (shutdown, asked) = tokio::sync::oneshot::channel();
        let server = runtime.spawn(api::server::serve(socket, Arc::new(host), async move {
            let _ = asked.await;
        }));
        Self { folder, runtime, shutdown, server }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("agent.sock")
    }

    fn client(&self) -> Client {
        Client::new(self.path()).unwrap()
    }

    /// Sends bytes as they are and returns the whole answer.
    fn raw(&self, request: &str) -> String {
        let mut stream = UnixStream::connect(self.path()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// A request by hand: status and body.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let answer = self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        ));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head[9..12].parse().unwrap();
        if status >= 400 {
            assert!(head.to_lowercase().contains("content-type: application/problem+json"), "{head}");
        }
        (status, body.to_owned())
    }

    /// A request by hand that must fail.
    fn problem(&self, method: &str, path: &str, body: &str) -> Problem {
        let (status, body) = self.ask(method, path, "", body);
        let problem: Problem = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert_eq!(problem.status, status);
        problem
    }

    fn stop(self) {
        self.shutdown.send(()).unwrap();
        self.runtime.block_on(self.server).unwrap().unwrap();
    }
}

fn port(name: &str, device: &str) -> Resource {
    let json = serde_json::json!({
        "kind": "port", "name": name, "spec": {"device": device, "mac": "06-06-00-00-00-05", "vsid": 5001}
    });
    serde_json::from_value(json).unwrap()
}

const RECORD: &str = r#"{"kind": "lookup-record", "spec": {"vsid": 5001, "customerAddress": "10.0.0.5",
    "mac": "06-06-00-00-00-05", "providerAddress": "192.168.4.11"}}"#;

fn refused(error: ClientError) -> Problem {
    match error {
        ClientError::Refused(problem) => *problem,
        other => panic!("expected a refusal, not: {other}"),
    }
}

fn one(change: Change) -> ChangeSet {
    ChangeSet { changes: vec![change], dry_run: false }
}

#[test]
fn every_method_arrives_and_comes_back() {
    let served = Served::new(MemoryHost::new());
    let client = served.client();
    let key = Key { kind: Kind::Port, name: "blue1".into() };

    let report = client.change(&one(Change::Create(port("blue1", "tap1")))).unwrap();
    assert_eq!((&report.results[0].key, report.results[0].outcome), (&key, Outcome::Created));
    let outcome = |change| client.change(&one(change)).unwrap().results[0].outcome;
    assert_eq!(outcome(Change::Put(port("blue1", "tap1"))), Outcome::Unchanged);
    assert_eq!(outcome(Change::Replace(port("blue1", "tap2"))), Outcome::Configured);

    let listed = client.list(Kind::Port).unwrap();
    assert_eq!(listed, [client.get(Kind::Port, "blue1").unwrap()]);
    assert_eq!(listed[0].spec["device"], "tap2");
    assert_eq!(listed[0].status_as::<PortStatus>().unwrap().counters.rx_bytes, 980);
    assert_eq!(client.list(Kind::LookupRecord).unwrap(), []);

    assert_eq!(client.status().unwrap().ports, 1);
    let report = client.trace(&TraceRequest::new("blue1", [10, 0, 0, 7].into())).unwrap();
    assert_eq!(report.reason.as_deref(), Some("no-record"));

    assert_eq!(client.drops().unwrap().len(), 2);
    client.clear_drops().unwrap();
    assert_eq!(client.drops().unwrap(), []);

    assert_eq!(outcome(Change::Delete(key)), Outcome::Deleted);
    assert_eq!(client.list(Kind::Port).unwrap(), []);
}

#[test]
fn a_set_of_changes_is_all_or_nothing() {
    let served = Served::new(MemoryHost::new());
    let client = served.client();
    let absent = |name: &str| Change::Delete(Key { kind: Kind::Port, name: name.into() });
    let changes = vec![Change::Create(port("blue1", "tap1")), absent("x"), absent("y")];
    let problem = refused(client.change(&ChangeSet { changes, dry_run: false }).unwrap_err());
    assert_eq!(
        problem.sentences().collect::<Vec<_>>(),
        ["there is no port x; see \"netvirt get port\"", "there is no port y; see \"netvirt get port\""]
    );
    assert_eq!(client.list(Kind::Port).unwrap(), []);

    let dry = ChangeSet { changes: vec![Change::Create(port("blue1", "tap1"))], dry_run: true };
    assert_eq!(client.change(&dry).unwrap().results[0].outcome, Outcome::Created);
    assert_eq!(client.list(Kind::Port).unwrap(), []);
}

#[test]
fn each_resource_has_a_path_of_its_own() {
    let served = Served::new(MemoryHost::new());
    let path = "/v1/lookup-records/5001%2F10.0.0.5";
    let status = |method: &str, path: &str, headers: &str, body: &str| served.ask(method, path, headers, body).0;
    assert_eq!(status("PUT", path, "If-Match: *\r\n", RECORD), 404, "nothing to replace yet");
    assert_eq!(status("POST", "/v1/lookup-records?dryRun=true", "", RECORD), 201);
    assert_eq!(status("GET", path, "", ""), 404, "a dry run changes nothing");
    assert_eq!(status("POST", "/v1/lookup-records", "", RECORD), 201);
    assert_eq!(status("POST", "/v1/lookup-records", "", RECORD), 409);
    assert_eq!(status("PUT", path, "If-Match: *\r\n", RECORD), 200);
    let (code, body) = served.ask("GET", path, "", "");
    assert_eq!((code, serde_json::from_str::<Item>(&body).unwrap().name.as_str()), (200, "5001/10.0.0.5"));
    let (code, body) = served.ask("DELETE", path, "", "");
    assert_eq!(code, 200);
    assert_eq!(serde_json::from_str::<ChangeReport>(&body).unwrap().results[0].outcome, Outcome::Deleted);
    assert_eq!(served.ask("DELETE", "/v1/drops", "", ""), (204, String::new()));
}

#[test]
fn whatever_is_wrong_is_a_problem_that_says_what() {
    let served = Served::new(MemoryHost::new());
    let port_text = serde_json::to_string(&port("blue1", "tap1")).unwrap();
    for (method, path, body, problem_type, words) in [
        ("GET", "/v1/nothing/at/all", "", ProblemType::NotFound, "there is no path /v1/nothing/at/all"),
        ("GET", "/", "", ProblemType::NotFound, "there is no path /"),
        ("GET", "/v1/vlans", "", ProblemType::NotFound, "there is no kind \"vlans\""),
        ("GET", "/v1/ports/x", "", ProblemType::NotFound, "there is no port x"),
        ("DELETE", "/v1/ports/x", "", ProblemType::NotFound, "there is no port x"),
        ("PATCH", "/v1/ports", "", ProblemType::MethodNotAllowed, "/v1/ports cannot be asked with PATCH"),
        ("POST", "/v1/status", "", ProblemType::MethodNotAllowed, "/v1/status cannot be asked with POST"),
        ("POST", "/v1/changes", "{", ProblemType::BadRequest, "the body is not a set of changes in JSON: EOF"),
        ("POST", "/v1/changes", "", ProblemType::BadRequest, "the body is not a set of changes in JSON"),
        ("POST", "/v1/changes", r#"{"changes":[],"x":1}"#, ProblemType::BadRequest, "unknown field `x`"),
        ("POST", "/v1/trace", r#"{"from":"blue1"}"#, ProblemType::BadRequest, "missing field `to`"),
        ("POST", "/v1/ports", &RECORD.replace("5001", "70"), ProblemType::BadRequest, "VSID 70 is out of range"),
        ("POST", "/v1/ports", RECORD, ProblemType::BadRequest, "post it to /v1/lookup-records"),
        ("POST", "/v1/ports?dry=1", &port_text, ProblemType::BadRequest, "only dryRun=true or false"),
        (
            "PUT",
            "/v1/ports/red1",
            &port_text,
            ProblemType::BadRequest,
            "the path names port red1, but the body is port blue1",
        ),
        ("GET", "/v1/ports/%FF", "", ProblemType::BadRequest, "UTF-8"),
    ] {
        let problem = served.problem(method, path, body);
        assert_eq!(problem.problem_type, problem_type, "{method} {path}: {problem:?}");
        assert!(problem.detail.contains(words), "{method} {path}: {problem:?}");
    }
}

#[test]
fn a_body_beyond_the_limit_is_refused_before_it_is_sent() {
    let served = Served::new(MemoryHost::new());
    let length = api::MAX_BODY_BYTES + 1;
    let answer = served
        .raw(&format!("POST /v1/changes HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("the request is larger than 64 MiB; send the changes in several requests"), "{answer}");
}

#[test]
fn a_client_does_not_begin_to_send_what_is_beyond_the_limit() {
    let served = Served::new(MemoryHost::new());
    let name = "x".repeat(api::MAX_BODY_BYTES);
    let problem = refused(served.client().change(&one(Change::Delete(Key { kind: Kind::Port, name }))).unwrap_err());
    assert_eq!(problem.problem_type, ProblemType::TooLarge);
}

#[test]
fn without_an_agent_the_error_says_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.sock");
    let sentence = format!(
        "no agent listens on {}; start one with \"netvirt agent --config FILE\", or say where it is with --host NAME or --socket PATH",
        path.display()
    );
    let client = Client::new(&path).unwrap();
    assert_eq!(client.status().unwrap_err().to_string(), sentence, "no file");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert_eq!(client.status().unwrap_err().to_string(), sentence, "a stale socket");
}

#[test]
fn an_agent_that_breaks_off_or_speaks_otherwise_is_named() {
    for (answer, words) in [
        ("", "broke"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            "the answer to GET /v1/status is not understood: missing field",
        ),
        ("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "status 502 Bad Gateway without a problem"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let error = Client::new(&path).unwrap().status().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        server.join().unwrap();
    }
}

#[test]
fn an_agent_that_does_not_answer_is_not_waited_for_forever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let client = Client::new(&path).unwrap().with_timeout(Duration::from_millis(50));
    assert!(matches!(client.status(), Err(ClientError::Timeout { .. })));
}

/// A host whose every method fails in its own way.
struct Broken;

impl HostApi for Broken {
    fn status(&self) -> Result<HostStatus, Problem> {
        panic!("on purpose");
    }
    fn list(&self, _: Kind) -> Result<Vec<Item>, Problem> {
        Err(Problem::unavailable("the kernel's tables are being rebuilt; try again in a second"))
    }
    fn get(&self, _: Kind, _: &str) -> Result<Item, Problem> {
        std::thread::sleep(Duration::from_millis(300));
        Err(Problem::internal("slow"))
    }
    fn change(&self, _: ChangeSet) -> Result<ChangeReport, Problem> {
        Err(Problem::with_errors(ProblemType::Invalid, vec!["a".into(), "b".into()]))
    }
    fn drops(&self) -> Result<Vec<DropCounter>, Problem> {
        Err(Problem::internal("the map is gone"))
    }
    fn clear_drops(&self) -> Result<(), Problem> {
        Err(Problem::internal("the map is gone"))
    }
    fn flows(&self, _: FlowFilter) -> Result<FlowList, Problem> {
        panic!("for the test")
    }
    fn port_memory(&self, _: &str) -> Result<api::PortMemory, Problem> {
        Err(Problem::internal("the map is gone"))
    }
    fn remember(&self, _: &str, _: api::PortMemory) -> Result<api::Remembered, Problem> {
        Err(Problem::internal("the map is gone"))
    }
    fn gateway_work(&self, _: Option<u64>) -> Result<api::GatewayWork, Problem> {
        Err(Problem::internal("this host is no gateway"))
    }
    fn report_gateway(&self, _: model::gateway::GatewayReport) -> Result<(), Problem> {
        Err(Problem::internal("this host is no gateway"))
    }
    fn gateway_beat(&self, _: model::gateway::GatewayBeat) -> Result<(), Problem> {
        Err(Problem::internal("this host is no gateway"))
    }
    fn interfaces(&self) -> Result<Vec<api::InterfaceStatus>, Problem> {
        Err(Problem::internal("the kernel does not say"))
    }
    fn plug(&self, _: api::PlugRequest) -> Result<api::PlugReport, Problem> {
        Err(Problem::conflict("the device is no tap"))
    }
    fn unplug(&self, _: api::UnplugRequest) -> Result<api::UnplugReport, Problem> {
        Err(Problem::conflict("the device is in use"))
    }
    fn trace(&self, _: TraceRequest) -> Result<TraceReport, Problem> {
        Err(Problem::bad_request("no"))
    }
}

#[test]
fn a_failing_host_is_reported_and_a_panic_does_not_end_the_server() {
    let served = Served::new(Broken);
    let client = served.client();
    let problem = refused(client.status().unwrap_err());
    assert_eq!(problem.problem_type, ProblemType::Internal);
    assert!(problem.detail.contains("which is a bug"), "{problem:?}");
    assert_eq!(refused(client.list(Kind::Port).unwrap_err()).status, 503);
    assert_eq!(refused(client.change(&ChangeSet::default()).unwrap_err()).errors, ["a", "b"]);
    assert_eq!(refused(client.drops().unwrap_err()).detail, "the map is gone");
    assert_eq!(refused(client.clear_drops().unwrap_err()).status, 500);
    assert_eq!(refused(client.plug(&api::PlugRequest::of("p")).unwrap_err()).detail, "the device is no tap");
    let leftovers = api::UnplugRequest { port: None, existing: false, force: false };
    assert_eq!(refused(client.unplug(&leftovers).unwrap_err()).status, 409);
    assert_eq!(refused(client.trace(&TraceRequest::new("p", [1; 4].into())).unwrap_err()).status, 400);
}

#[test]
fn a_shutdown_lets_requests_end_and_takes_the_socket_away() {
    let served = Served::new(Broken);
    let (path, client) = (served.path(), served.client());
    // An idle connection must not hold the shutdown up.
    let _idle = UnixStream::connect(&path).unwrap();
    let asking = std::thread::spawn(move || refused(client.get(Kind::Port, "x").unwrap_err()).detail);
    std::thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    let folder_kept = {
        let Served { folder, runtime, shutdown, server } = served;
        shutdown.send(()).unwrap();
        runtime.block_on(server).unwrap().unwrap();
        folder
    };
    assert_eq!(asking.join().unwrap(), "slow");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(!path.exists());
    drop(folder_kept);
}

#[test]
fn more_clients_than_slots_are_served_one_after_another() {
    let served = Served::new(MemoryHost::new());
    let clients = (0..api::server::MAX_CONNECTIONS + 20).map(|_| {
        let path = served.path();
        std::thread::spawn(move || Client::new(path).unwrap().status().unwrap().pid)
    });
    for client in clients.collect::<Vec<_>>() {
        assert_eq!(client.join().unwrap(), 4711);
    }
    served.stop();
}
