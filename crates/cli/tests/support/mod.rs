//! A controller in memory behind TLS on the loopback, and command lines that ask it.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::Problem;
use api::fabric::accounts::{
    Identity, IdentityProvider, NewPassword, NewUser, PasswordSet, Session, SessionInfo, SignIn, User, UserCreated,
};
use api::fabric::memory::{ADMIN_SECRET, MemoryFabric};
use api::fabric::{
    Answer, AuditEntry, AuditQuery, Caller, Change, ChangeReport, ChangeSet, Context, ControllerStatus, FabricApi,
    HostRealization, Item, JoinToken, ListQuery, NewJoinToken, NewToken, Page, Question, Realized, ServerTls,
    TlsIdentity, Token, TokenCreated, Watch, WatchQuery, server,
};
use cli::{Environment, Roles, Streams, run_with};
use model::fabric::{Key, Kind, ResourceName};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// What a test tells the controller to do.
#[derive(Default)]
pub struct Script {
    /// How often a port is still not realized when it is asked for.
    pub slow: AtomicU32,
    /// Changes that others make, each just before the next one that is asked for is carried out.
    pub others: Mutex<Vec<Change>>,
}

/// A fabric in memory whose ports need a host, which may be slow.
struct Fabric {
    memory: MemoryFabric,
    script: Arc<Script>,
}

impl Fabric {
    fn with_status(&self, mut item: Item) -> Item {
        if item.kind == Kind::Port {
            let left = self.script.slow.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            let waiting =
                HostRealization { host: "host16".parse().unwrap(), reason: "its agent is not connected".to_owned() };
            item.status.realized = Some(match left {
                Ok(_) => Realized { hosts: 0, of: 1, waiting_for: vec![waiting] },
                Err(_) => Realized { hosts: 1, of: 1, waiting_for: Vec::new() },
            });
        }
        item
    }
}

impl FabricApi for Fabric {
    fn authenticate(&self, secret: &str) -> Result<Caller, Problem> {
        self.memory.authenticate(secret)
    }
    fn status(&self, caller: &Caller) -> Result<ControllerStatus, Problem> {
        self.memory.status(caller)
    }
    fn realized(&self, caller: &Caller, revision: u64) -> Result<Realized, Problem> {
        self.memory.realized(caller, revision)?;
        let left = self.script.slow.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        let reason = "its agent is not connected".to_owned();
        let waiting = HostRealization { host: "host16".parse().unwrap(), reason };
        Ok(match left {
            Ok(_) => Realized { hosts: 1, of: 2, waiting_for: vec![waiting] },
            Err(_) => Realized::default(),
        })
    }
    fn list(&self, caller: &Caller, query: ListQuery) -> Result<Page, Problem> {
        self.memory
            .list(caller, query)
            .map(|page| Page { items: page.items.into_iter().map(|item| self.with_status(item)).collect(), ..page })
    }
    fn get(&self, caller: &Caller, key: &Key) -> Result<Item, Problem> {
        self.memory.get(caller, key).map(|item| self.with_status(item))
    }
    fn change(&self, caller: &Caller, changes: ChangeSet) -> Result<ChangeReport, Problem> {
        let other = self.script.others.lock().unwrap().pop();
        if let Some(other) = other {
            self.memory.change(caller, ChangeSet { changes: vec![other], ..ChangeSet::default() })?;
        }
        let mut report = self.memory.change(caller, changes)?;
        for result in &mut report.results {
            result.item = self.with_status(result.item.clone());
        }
        Ok(report)
    }
    fn watch(&self, caller: &Caller, query: WatchQuery) -> Result<Box<dyn Watch>, Problem> {
        self.memory.watch(caller, query)
    }
    fn ask(&self, caller: &Caller, question: Question) -> Result<Answer, Problem> {
        self.memory.ask(caller, question)
    }
    fn tokens(&self, caller: &Caller) -> Result<Vec<Token>, Problem> {
        self.memory.tokens(caller)
    }
    fn create_token(&self, caller: &Caller, token: NewToken) -> Result<TokenCreated, Problem> {
        self.memory.create_token(caller, token)
    }
    fn delete_token(&self, caller: &Caller, name: &ResourceName) -> Result<(), Problem> {
        self.memory.delete_token(caller, name)
    }
    fn users(&self, caller: &Caller) -> Result<Vec<User>, Problem> {
        self.memory.users(caller)
    }
    fn create_user(&self, caller: &Caller, user: NewUser) -> Result<UserCreated, Problem> {
        self.memory.create_user(caller, user)
    }
    fn delete_user(&self, caller: &Caller, name: &ResourceName) -> Result<(), Problem> {
        self.memory.delete_user(caller, name)
    }
    fn set_password(&self, caller: &Caller, name: &ResourceName, new: NewPassword) -> Result<PasswordSet, Problem> {
        self.memory.set_password(caller, name, new)
    }
    fn sign_in(&self, sign_in: SignIn) -> Result<Session, Problem> {
        self.memory.sign_in(sign_in)
    }
    fn sign_in_with(&self, identity: Identity) -> Result<Session, Problem> {
        self.memory.sign_in_with(identity)
    }
    fn identity_provider(&self) -> Option<IdentityProvider> {
        self.memory.identity_provider()
    }
    fn session(&self, secret: &str) -> Result<SessionInfo, Problem> {
        self.memory.session(secret)
    }
    fn session_lasts(&self, secret: &str) -> Result<SessionInfo, Problem> {
        self.memory.session_lasts(secret)
    }
    fn sign_out(&self, secret: &str) -> Result<(), Problem> {
        self.memory.sign_out(secret)
    }
    fn create_join_token(&self, caller: &Caller, token: NewJoinToken) -> Result<JoinToken, Problem> {
        self.memory.create_join_token(caller, token)
    }
    fn audit(&self, caller: &Caller, query: AuditQuery) -> Result<Vec<AuditEntry>, Problem> {
        self.memory.audit(caller, query)
    }
    fn export(&self, caller: &Caller) -> Result<Vec<u8>, Problem> {
        self.memory.export(caller)
    }
    fn import(&self, caller: &Caller, text: &[u8]) -> Result<u64, Problem> {
        self.memory.import(caller, text)
    }
    fn backup(&self, caller: &Caller) -> Result<Vec<u8>, Problem> {
        self.memory.backup(caller)
    }
}

/// A controller that is asked by command lines.
pub struct Controller {
    pub folder: tempfile::TempDir,
    pub script: Arc<Script>,
    _runtime: tokio::runtime::Runtime,
}

/// How a command ended.
#[derive(Debug, PartialEq)]
pub struct Ended {
    pub code: u8,
    pub out: String,
    pub err: String,
}

fn certificates() -> (String, TlsIdentity) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    (authority.pem(), TlsIdentity { certificate_chain: certificate.pem(), key: key.serialize_pem() })
}

impl Controller {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ca, identity) = certificates();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let controller = format!("https://{}", listener.local_addr().unwrap());
        Context { controller, ca, token: ADMIN_SECRET.to_owned(), tenant: None }
            .write(folder.path().join("admin.yaml"))
            .unwrap();
        let script = Arc::new(Script::default());
        let fabric = Arc::new(Fabric { memory: MemoryFabric::new(), script: Arc::clone(&script) });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let tls = ServerTls::new(&identity).unwrap();
        runtime.spawn(server::serve(listener, tls, fabric, None, std::future::pending()));
        Self { folder, script, _runtime: runtime }
    }

    /// One with a VM network AAA, its subnet and pool, and a port of the default tenant.
    pub fn with_aaa() -> Self {
        let controller = Self::start();
        controller.ok(&["apply", "-f", "-"], AAA);
        controller
    }

    pub fn context(&self) -> PathBuf {
        self.folder.path().join("admin.yaml")
    }

    pub fn run(&self, args: &[&str], input: &str) -> Ended {
        self.run_until(args, input, |time| {
            std::thread::sleep(time);
            false
        })
    }

    /// The same with a reader of the output who may go away.
    pub fn run_until(&self, args: &[&str], input: &str, reader_gone: fn(Duration) -> bool) -> Ended {
        let environment = Environment { context: Some(self.context().into()), ..Environment::default() };
        run(args, input, &environment, reader_gone)
    }

    /// A command that must succeed without a word of complaint; returns its output.
    pub fn ok(&self, args: &[&str], input: &str) -> String {
        let ended = self.run(args, input);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{args:?}");
        ended.out
    }

    pub fn get(&self, line: &str) -> String {
        self.ok(&line.split_whitespace().collect::<Vec<_>>(), "")
    }

    /// A command that must fail; returns exit code and complaint.
    pub fn refused(&self, line: &str) -> (u8, String) {
        let ended = self.run(&line.split_whitespace().collect::<Vec<_>>(), "");
        assert_eq!(ended.out, "", "{line}");
        (ended.code, ended.err)
    }
}

pub fn run(args: &[&str], input: &str, environment: &Environment, reader_gone: fn(Duration) -> bool) -> Ended {
    run_asking(args, input, environment, reader_gone, |_| Ok(None))
}

/// The same at a terminal that answers like this.
pub fn run_asking(
    args: &[&str],
    input: &str,
    environment: &Environment,
    reader_gone: fn(Duration) -> bool,
    ask: fn(&str) -> std::io::Result<Option<String>>,
) -> Ended {
    let roles = Roles {
        agent: |_| Ok(()),
        gateway: |_| Ok(()),
        wireguard: |_| Ok(()),
        controller: |options| Err(format!("cannot listen on {:?}", options.listen).into()),
        leave: |options| {
            let unasked = options.force.then(|| "it does not answer".to_owned());
            Ok(cli::Left { host: "host15".into(), controller: "c:7444".into(), unasked })
        },
        join: |options| Ok(options.name.clone().unwrap_or_else(|| "host15".into())),
    };
    let (mut input, mut out, mut err) = (input.as_bytes(), Vec::new(), Vec::new());
    let mut streams = Streams { input: &mut input, out: &mut out, err: &mut err, reader_gone, ask };
    let args = std::iter::once("netvirt").chain(args.iter().copied()).map(OsString::from);
    let code = run_with(args, environment, roles, &mut streams);
    Ended { code, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

/// A VM network from nothing to a port.
pub const AAA: &str = "\
kind: logical-network
name: TDIv2
spec: {networkVirtualization: true}
---
kind: vm-network
name: AAA
spec: {logicalNetwork: TDIv2}
---
kind: vm-subnet
name: test
spec: {vmNetwork: AAA, prefixes: [10.10.0.0/16]}
---
kind: ip-pool
name: CA Pool
spec: {vmSubnet: test, ranges: [10.10.1.100-10.10.1.130]}
---
kind: port
name: test01
spec: {host: host16, vmNetwork: AAA}
";
