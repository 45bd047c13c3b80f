//! What the tests of the controller share: a controller over a real store, sessions that remember what they were told,
//! a store that fails when it is told to.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use api::fabric::{Caller, CallerKind, Change, ChangeReport, ChangeSet, FabricApi as _, Item, Role};
use api::{HostAnswer, HostQuestion, Problem};
use controller::{Controller, Pending, Sessions, Settings};
use model::fabric::{Key, Kind, ResourceName, resources_from_yaml};
use parking_lot::{Condvar, Mutex};
use plan::fabric::TopicChange;
use proto::{AskError, Standing};
use store::{CommitError, Error, Options, RedbStore, Revision, Snapshot, Store, Transaction, Watch, WatchError};

/// Sessions with agents that acknowledge when the test says so.
#[derive(Default)]
pub struct Fake {
    pub published: Mutex<Vec<(u64, Vec<TopicChange>)>>,
    pub in_force: Mutex<HashMap<ResourceName, u64>>,
    pub disconnected: Mutex<Vec<ResourceName>>,
    /// What hosts say when they are asked; nothing, if nobody has said what.
    answer: Mutex<Option<Box<Says>>>,
    /// On whose part each question was asked.
    pub askers: Mutex<Vec<String>>,
}

/// What a host says to a question.
type Says = dyn Fn(&ResourceName, &HostQuestion) -> Result<HostAnswer, AskError> + Send;

impl Fake {
    /// From now on hosts say this.
    pub fn answers(
        &self,
        says: impl Fn(&ResourceName, &HostQuestion) -> Result<HostAnswer, AskError> + Send + 'static,
    ) {
        *self.answer.lock() = Some(Box::new(says));
    }
}

impl Sessions for Fake {
    fn publish(&self, revision: u64, changes: &[TopicChange]) {
        self.published.lock().push((revision, changes.to_vec()));
    }
    fn standing(&self, hosts: &[&ResourceName]) -> Vec<Standing> {
        let known = self.in_force.lock();
        let standing = |host: &&ResourceName| {
            let in_force = known.get(*host).copied();
            Standing { connected: in_force.is_some(), in_force }
        };
        hosts.iter().map(standing).collect()
    }
    fn connected(&self) -> usize {
        self.in_force.lock().len()
    }
    fn disconnect(&self, host: &ResourceName) {
        self.in_force.lock().remove(host);
        self.disconnected.lock().push(host.clone());
    }
    fn ask(&self, host: &ResourceName, asker: &str, question: &HostQuestion) -> Result<Pending, AskError> {
        self.askers.lock().push(asker.to_owned());
        let answer = self.answer.lock();
        let bytes = answer.as_ref().ok_or(AskError::NotConnected)?(host, question)?.to_bytes(usize::MAX);
        Ok(Box::new(move |_| Ok(bytes)))
    }
}

/// How a store fails next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Fault {
    None,
    /// Nothing is written, for good.
    Broken,
    /// Says that somebody else was first, each time.
    Conflict,
}

/// A store that fails when it is told to, and takes its time.
pub struct Flaky {
    inner: RedbStore,
    fault: AtomicU8,
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Default)]
struct Held {
    on: bool,
    /// Commits that have been asked for and wait.
    waiting: usize,
}

impl Flaky {
    /// From now on commits wait.
    pub fn hold(&self) {
        self.held.lock().on = true;
    }

    /// Commits go on.
    pub fn let_go(&self) {
        self.held.lock().on = false;
        self.changed.notify_all();
    }

    /// Waits until some commits wait.
    pub fn until_asked(&self, commits: usize) {
        let mut held = self.held.lock();
        while held.waiting < commits {
            let late = self.changed.wait_for(&mut held, Duration::from_secs(60)).timed_out();
            assert!(!late, "{} of {commits} commits were asked for", held.waiting);
        }
    }

    /// How many commits wait now.
    pub fn asked(&self) -> usize {
        self.held.lock().waiting
    }

    fn wait(&self) {
        let mut held = self.held.lock();
        held.waiting += 1;
        self.changed.notify_all();
        while held.on {
            self.changed.wait(&mut held);
        }
        held.waiting -= 1;
    }

    pub fn fail(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::SeqCst);
    }
}

impl Store for Flaky {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error> {
        self.inner.snapshot()
    }
    fn commit(&self, transaction: Transaction) -> Result<Revision, CommitError> {
        self.wait();
        match self.fault.load(Ordering::SeqCst) {
            fault if fault == Fault::Broken as u8 => Err(Error::Closed.into()),
            fault if fault == Fault::Conflict as u8 => Err(CommitError::Conflict { key: "x".to_owned(), found: None }),
            _ => self.inner.commit(transaction),
        }
    }
    fn watch(&self, prefix: &str, after: Revision) -> Result<Box<dyn Watch>, WatchError> {
        self.inner.watch(prefix, after)
    }
    fn compact(&self, upto: Revision) -> Result<(), Error> {
        self.inner.compact(upto)
    }
    fn backup(&self, path: &Path) -> Result<(), Error> {
        self.inner.backup(path)
    }
    fn max_operations(&self) -> usize {
        self.inner.max_operations()
    }
    fn bytes(&self) -> Result<u64, Error> {
        self.inner.bytes()
    }
}

/// A controller in a folder of its own.
pub struct Scene {
    pub controller: Controller,
    pub sessions: Arc<Fake>,
    pub store: Arc<Flaky>,
    pub folder: Arc<tempfile::TempDir>,
}

pub fn settings(folder: &Path) -> Settings {
    Settings {
        agents: "controller.example:7444".to_owned(),
        fingerprint: "0f".repeat(32),
        certificate_life: Duration::from_secs(3600),
        scratch: folder.to_owned(),
        openid: None,
    }
}

impl Scene {
    pub fn new() -> Self {
        Self::in_folder(Arc::new(tempfile::tempdir().unwrap()))
    }

    fn in_folder(folder: Arc<tempfile::TempDir>) -> Self {
        let inner = RedbStore::open(&folder.path().join("store.redb"), Options::default()).unwrap();
        let store = Arc::new(Flaky {
            inner,
            fault: AtomicU8::new(Fault::None as u8),
            held: Mutex::default(),
            changed: Condvar::new(),
        });
        let (controller, sessions) = beside(&store, folder.path());
        Self { controller, sessions, store, folder }
    }

    /// The controller ends, and another one starts in its folder.
    pub fn restart(self) -> Self {
        let folder = Arc::clone(&self.folder);
        drop(self);
        Self::in_folder(folder)
    }

    pub fn apply(&self, yaml: &str) -> Result<ChangeReport, Problem> {
        self.controller.change(&admin(), puts(yaml))
    }

    pub fn get(&self, key: &Key) -> Item {
        self.controller.get(&admin(), key).unwrap()
    }

    /// Everything that is declared, as the API shows it.
    pub fn all(&self) -> Vec<Item> {
        Kind::ALL.into_iter().flat_map(|kind| list(&self.controller, kind)).collect()
    }
}

/// A controller over a store that another one may have too.
pub fn beside(store: &Arc<Flaky>, folder: &Path) -> (Controller, Arc<Fake>) {
    let controller = Controller::open(Arc::clone(store) as Arc<dyn Store>, settings(folder)).unwrap();
    let sessions = Arc::new(Fake::default());
    controller.connect(Arc::clone(&sessions) as Arc<dyn Sessions>);
    (controller, sessions)
}

pub fn list(controller: &Controller, kind: Kind) -> Vec<Item> {
    let query = api::fabric::ListQuery { kind, tenant: None, limit: None, continue_token: None, search: None };
    controller.list(&admin(), query).unwrap().items
}

pub fn name(text: &str) -> ResourceName {
    text.parse().unwrap()
}

pub fn key(kind: Kind, text: &str) -> Key {
    Key::new(kind, None, name(text))
}

pub fn admin() -> Caller {
    Caller { kind: CallerKind::Token, name: name("admin"), role: Role::Admin, tenant: None }
}

pub fn puts(yaml: &str) -> ChangeSet {
    let put = |resource| Change::Put { resource, revision: None };
    ChangeSet { changes: resources_from_yaml(yaml).unwrap().into_iter().map(put).collect(), ..ChangeSet::default() }
}

pub fn delete(key: Key) -> ChangeSet {
    ChangeSet { changes: vec![Change::Delete { key, revision: None }], ..ChangeSet::default() }
}

/// Two hosts, a network with a subnet and a pool.
pub const BASE: &str = "
kind: logical-network
name: TDIv2
spec: {networkVirtualization: true, sites: [{name: rack, subnets: [{prefix: 192.168.4.0/24}]}]}
---
kind: host
name: host15
spec: {uplinks: [{interface: eth0, addresses: [192.168.4.15/24], logicalNetworks: [TDIv2]}]}
---
kind: host
name: host16
spec: {uplinks: [{interface: eth0, addresses: [192.168.4.16/24], logicalNetworks: [TDIv2]}]}
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
";

/// A port of the network above.
pub fn port(name: &str, host: &str) -> String {
    format!("kind: port\nname: {name}\nspec: {{host: {host}, vmNetwork: AAA}}\n")
}
