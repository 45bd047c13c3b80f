//! Every route of the REST interface, tried by those who must not: with no token, one that was made up, that has ended, a
//! reader's, another tenant's.

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use api::fabric::accounts::NewUser;
use api::fabric::{AuditQuery, FabricApi as _, NewToken, Role, ServerTls, TlsIdentity, openapi, server};
use proto::ca::Authority;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use support::{BASE, Scene, admin, name};

/// What blue must never read: it stands in the names of everything that is red's, and of what is the operator's.
const MARK: &str = "SECRETLY";

/// A controller behind its port.
struct Served {
    scene: Scene,
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    _runtime: tokio::runtime::Runtime,
}

/// One operation as it is tried: everything in it names what is not the caller's.
#[derive(Debug)]
struct Operation {
    method: String,
    path: String,
    body: Option<(&'static str, String)>,
    open: bool,
    /// Whether it changes something, for those who may.
    changes: bool,
}

impl Served {
    fn new() -> Self {
        let scene = Scene::new();
        scene.apply(BASE).unwrap();
        let red = format!(
            "kind: tenant\nname: blue\n---\nkind: tenant\nname: {MARK}\n---\nkind: mac-pool\nname: {MARK}\nspec: {{ranges: \
             [02-00-00-00-00-00..02-00-00-00-00-FF]}}\n---\nkind: vm-network\ntenant: {MARK}\nname: {MARK}\nspec: \
             {{logicalNetwork: TDIv2}}\n---\nkind: port\ntenant: {MARK}\nname: {MARK}\n---\nkind: port\nname: {MARK}\n"
        );
        scene.apply(&red).unwrap();
        let token = NewToken { name: name(MARK), role: Role::Admin, tenant: None, seconds: None };
        scene.controller.create_token(&admin(), token).unwrap();
        let user = NewUser { name: name(MARK), role: Role::Admin, tenant: None, password: None };
        scene.controller.create_user(&admin(), user).unwrap();
        let authority = Authority::create().unwrap();
        let certified = authority.server_certificate(&["127.0.0.1".to_owned()], Duration::from_secs(3600)).unwrap();
        let identity = TlsIdentity { certificate_chain: certified.chain.clone(), key: certified.key.clone() };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let controller = Arc::new(scene.controller.clone());
        runtime.spawn(server::serve(
            listener,
            ServerTls::new(&identity).unwrap(),
            controller,
            None,
            std::future::pending::<()>(),
        ));
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
        Self { scene, address, tls, _runtime: runtime }
    }

    fn token(&self, name: &str, role: Role, tenant: Option<&str>, seconds: Option<u64>) -> String {
        let new = NewToken { name: support::name(name), role, tenant: tenant.map(support::name), seconds };
        self.scene.controller.create_token(&admin(), new).unwrap().secret
    }

    /// Status and body of an answer; of a stream, what comes at once.
    fn ask(&self, operation: &Operation, token: Option<&str>) -> (u16, String) {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::clone(&self.tls), name).unwrap();
        let mut stream = StreamOwned::new(connection, TcpStream::connect(self.address).unwrap());
        let Operation { method, path, body, .. } = operation;
        let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let (kind, body) = body.as_ref().map_or(("", ""), |(kind, body)| (*kind, body.as_str()));
        let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{authorization}{kind}\r\n\
             {body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let (mut answer, mut part) = (Vec::new(), [0; 16384]);
        loop {
            match stream.read(&mut part) {
                Ok(0) | Err(_) => break,
                Ok(bytes) => answer.extend_from_slice(&part[..bytes]),
            }
            let text = String::from_utf8_lossy(&answer);
            // A stream of events has begun when its first block is here, and does not end.
            if text.contains("text/event-stream") && text.contains("\nid: ") {
                break;
            }
        }
        let text = String::from_utf8(answer).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into());
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{operation:?}: {text}"));
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    /// Everything that could have been changed.
    fn everything(&self) -> (u64, Vec<api::fabric::Item>, usize, usize, usize) {
        let controller = &self.scene.controller;
        (
            controller.revision(),
            self.scene.all(),
            controller.tokens(&admin()).unwrap().len(),
            controller.users(&admin()).unwrap().len(),
            controller.audit(&admin(), AuditQuery::default()).unwrap().len(),
        )
    }
}

/// A body that an admin could send.
fn body(document: &Value, operation: &Value, of_tenant: bool) -> Option<(&'static str, String)> {
    let content = operation.pointer("/requestBody/content")?;
    if content.get("application/json").is_none() {
        return Some(("application/x-ndjson", "{}\n".to_owned()));
    }
    let text = content["application/json"]["schema"].to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let declaration = schemas.keys().find(|name| text.contains(&format!("/{name}\"")) && name.ends_with("Declaration"));
    let body = match declaration {
        Some(declaration) => {
            let mut body = schemas[declaration]["examples"][0].clone();
            body["name"] = json!(MARK);
            if of_tenant {
                body["tenant"] = json!(MARK);
            }
            body
        }
        None if text.contains("/ChangeSet\"") => {
            json!({"changes": [{"put": {"resource": {"kind": "port", "tenant": MARK, "name": "new"}}}]})
        }
        None if text.contains("/NewToken\"") => json!({"name": "new", "role": "admin"}),
        None if text.contains("/NewUser\"") => json!({"name": "new", "role": "admin"}),
        None if text.contains("/AskedPorts\"") => json!({"ports": [MARK]}),
        None if text.contains("/TraceRequest\"") => json!({"to": "10.10.1.100"}),
        None => json!({}),
    };
    Some(("application/json", body.to_string()))
}

/// All operations that the document describes.
fn operations() -> Vec<Operation> {
    let document = openapi::document();
    let mut all = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters") {
            let mut place = path.clone();
            for variable in ["{name}", "{tenant}", "{resource}"] {
                place = place.replace(variable, MARK);
            }
            let of_tenant = path.starts_with("/v1/tenants/{") && place.matches('/').count() > 3;
            let body = body(&document, operation, of_tenant);
            let open = operation["security"] == json!([]);
            // What hosts are asked is looked at as everything else is; only that it does not fit into a path.
            let changes = method != "get" && operation["tags"] != json!(["asking"]);
            all.push(Operation { method: method.to_uppercase(), path: place, body, open, changes });
        }
    }
    assert!(all.len() > 80, "{}", all.len());
    all
}

#[test]
fn nobody_gets_in_without_a_token_that_holds() {
    let served = Served::new();
    let gone = served.token("gone", Role::Admin, None, None);
    served.scene.controller.delete_token(&admin(), &name("gone")).unwrap();
    let expired = served.token("expired", Role::Admin, None, Some(1));
    std::thread::sleep(Duration::from_millis(1100));
    // A session opens pages, and nothing of this interface.
    let password = served.scene.controller.set_password(&admin(), &name(MARK), Default::default()).unwrap().password;
    let sign_in = api::fabric::accounts::SignIn {
        name: MARK.to_owned(),
        password: password.unwrap(),
        from: [127, 0, 0, 1].into(),
    };
    let session = served.scene.controller.sign_in(sign_in).unwrap().secret;
    let before = served.everything();
    for operation in operations() {
        for token in [None, Some("made-up"), Some(&*gone), Some(&*expired), Some(session.as_str())] {
            let (status, body) = served.ask(&operation, token);
            if operation.open {
                assert_eq!(status, 200, "{operation:?}");
            } else {
                assert_eq!(status, 401, "{operation:?}: {body}");
                assert!(!body.contains(MARK), "{operation:?}: {body}");
            }
        }
    }
    assert_eq!(served.everything(), before);
}

#[test]
fn a_reader_changes_nothing() {
    let served = Served::new();
    let reader = served.token("reader", Role::Reader, None, None);
    let confined = served.token("confined", Role::Reader, Some("blue"), None);
    let before = served.everything();
    for operation in operations().iter().filter(|operation| operation.changes) {
        for token in [&reader, &confined] {
            let (status, body) = served.ask(operation, Some(token));
            assert_eq!(status, 403, "{operation:?}: {body}");
        }
    }
    for path in ["/v1/tokens", "/v1/users", "/v1/export", "/v1/backup"] {
        let (method, path) = ("GET".to_owned(), path.to_owned());
        let operation = Operation { method, path, body: None, open: false, changes: false };
        assert_eq!(served.ask(&operation, Some(&reader)).0, 403, "{operation:?}");
    }
    assert_eq!(served.everything(), before);
}

#[test]
fn one_tenant_neither_sees_nor_changes_anything_of_another() {
    let served = Served::new();
    let tokens = [
        served.token("blue", Role::Tenant, Some("blue"), None),
        served.token("blue-reader", Role::Reader, Some("blue"), None),
    ];
    // What blue may ask for is what is its own, or open to all; in each of it, nothing is anybody else's.
    let open = ["/v1/status", "/v1/watch", "/v1/audit", "/v1/logical-networks", "/v1/tenants"];
    let kinds = model::fabric::Kind::ALL.into_iter().filter(|kind| kind.has_tenant());
    let own: Vec<String> = kinds.map(|kind| format!("/v1/{}", kind.plural())).collect();
    let before = served.everything();
    for operation in operations().iter().filter(|operation| !operation.open) {
        for token in &tokens {
            let (status, body) = served.ask(operation, Some(token));
            let Operation { method, path, .. } = operation;
            let shown = method == "GET" && (open.contains(&path.as_str()) || own.contains(path));
            // Of what is open to all, there is none of this name.
            let none = method == "GET" && *path == format!("/v1/logical-networks/{MARK}");
            let expected = if shown {
                200
            } else if none {
                404
            } else {
                403
            };
            assert_eq!(status, expected, "{operation:?}: {body}");
            // A refusal repeats what was asked for, whether it exists or not.
            assert!(status != 200 || !body.contains(MARK), "{operation:?}: {body}");
        }
    }
    assert_eq!(served.everything(), before);
}
