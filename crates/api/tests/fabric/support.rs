//! A served fabric, an authority of its own, and requests by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use api::fabric::memory::{ADMIN_SECRET, MemoryFabric};
use api::fabric::{
    Change, ChangeSet, Client, ClientError, Endpoint, FabricApi, NewToken, Role, ServerTls, TlsIdentity, server,
};
use api::{Outcome, Problem};
use model::fabric::{Key, Kind, Resource, ResourceName};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

/// An authority that signs what it is asked to.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "netvirt test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn identity(&self, name: &str) -> TlsIdentity {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        TlsIdentity { certificate_chain: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A served fabric. The runtime is ended in an orderly way by [`Served::stop`], otherwise with the test.
pub struct Served {
    pub authority: Authority,
    pub address: SocketAddr,
    pub tls: ServerTls,
    pub fabric: Arc<MemoryFabric>,
    runtime: tokio::runtime::Runtime,
    shutdown: tokio::sync::oneshot::Sender<()>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Served {
    pub fn new() -> Self {
        let fabric = Arc::new(MemoryFabric::new());
        Self::with(Arc::clone(&fabric), fabric, "127.0.0.1:0".parse().unwrap())
    }

    /// Serves something else than the fabric itself.
    pub fn with(fabric: Arc<MemoryFabric>, api: Arc<dyn FabricApi>, address: SocketAddr) -> Self {
        let authority = Authority::new();
        let tls = ServerTls::new(&authority.identity("127.0.0.1")).unwrap();
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (shutdown, asked) = tokio::sync::oneshot::channel();
        let server = runtime.spawn(server::serve(listener, tls.clone(), api, None, async move {
            let _ = asked.await;
        }));
        Self { authority, address, tls, fabric, runtime, shutdown, server }
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint {
            url: format!("https://{}", self.address),
            ca_pem: self.authority.pem(),
            token: ADMIN_SECRET.to_owned(),
        }
    }

    pub fn client(&self) -> Client {
        Client::new(&self.endpoint()).unwrap()
    }

    /// A client with a token of its own.
    pub fn client_as(&self, name: &str, role: Role, tenant: Option<&str>) -> Client {
        let token = NewToken { name: named(name), role, tenant: tenant.map(named), seconds: None };
        let token = self.client().create_token(&token).unwrap().secret;
        Client::new(&Endpoint { token, ..self.endpoint() }).unwrap()
    }

    /// A connection by hand.
    pub fn connect(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        StreamOwned::new(connection, stream)
    }

    /// Sends bytes as they are and returns the whole answer.
    pub fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        // The server may close without saying so in TLS when it has answered early.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    /// A request by hand, with the admin's token. Headers are lines that end with `\r\n`.
    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let authorization = format!("Authorization: Bearer {ADMIN_SECRET}\r\n");
        self.ask_as(&authorization, method, path, headers, body)
    }

    pub fn ask_as(&self, authorization: &str, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let answer = self.raw(
            format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\
                 {authorization}{headers}\r\n{body}"
            )
            .as_bytes(),
        );
        Answer::read(&answer)
    }

    /// A request with JSON.
    pub fn json(&self, method: &str, path: &str, headers: &str, body: &Value) -> Answer {
        self.ask(method, path, &format!("Content-Type: application/json\r\n{headers}"), &body.to_string())
    }

    pub fn stop(self) {
        self.shutdown.send(()).unwrap();
        self.runtime.block_on(self.server).unwrap().unwrap();
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    pub fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head[9..12].parse().unwrap();
        let answer = Self { status, head: head.to_owned(), body: body.to_owned() };
        if status >= 400 {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{head}");
        }
        answer
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn value(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn problem(&self) -> Problem {
        let problem: Problem = serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert_eq!(problem.status, self.status);
        problem
    }
}

pub fn named(name: &str) -> ResourceName {
    name.parse().unwrap()
}

pub fn resource(kind: Kind, tenant: Option<&str>, name: &str, spec: Value) -> Resource {
    let mut value = json!({"kind": kind, "name": name, "spec": spec});
    if let Some(tenant) = tenant {
        value["tenant"] = json!(tenant);
    }
    serde_json::from_value(value).unwrap()
}

pub fn port(name: &str, vm: &str) -> Resource {
    resource(Kind::Port, None, name, json!({"vmName": vm}))
}

pub fn port_key(name: &str) -> Key {
    Key::new(Kind::Port, None, named(name))
}

pub fn set(changes: Vec<Change>) -> ChangeSet {
    ChangeSet { changes, ..ChangeSet::default() }
}

/// Carries out one change.
pub fn put(client: &Client, resource: Resource) -> (Outcome, u64) {
    let report = client.change(&set(vec![Change::Put { resource, revision: None }])).unwrap();
    (report.results[0].outcome, report.revision)
}

pub fn refused(error: &ClientError) -> Problem {
    error.problem().cloned().unwrap_or_else(|| panic!("expected a refusal, not: {error}"))
}
