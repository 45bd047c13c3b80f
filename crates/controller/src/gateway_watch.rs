//! The clock of gateways: hears their hosts' signs of life, asks `plan` who is well, and has another host take over what one
//! cannot do any more, or is not to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use api::Problem;
use api::fabric::AuditEntry;
use model::fabric::{Kind, Object, ResourceName, Spec};
use model::gateway::GatewayBeat;
use parking_lot::Mutex;
use plan::fabric::{Manner, TakeOver};
use plan::gateway::health::{Failure, Health, JUDGE, Watch};
use serde_json::json;

use crate::commit::{self, Actor};
use crate::core::{Core, Prepared, Work};

/// How often is looked whether there is anything to watch, while there is not.
const REST: Duration = Duration::from_millis(500);
/// After a switch-over that could not be written down, it is tried again after so long.
const RETRY: Duration = Duration::from_secs(1);

/// What has been heard, and since when.
pub struct GatewayWatch {
    began: Instant,
    watch: Mutex<Watch>,
    /// How the hosts were when it was judged last.
    health: Mutex<BTreeMap<ResourceName, Health>>,
    ended: AtomicBool,
}

impl Default for GatewayWatch {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            watch: Mutex::new(Watch::new()),
            health: Mutex::default(),
            ended: AtomicBool::new(false),
        }
    }
}

impl GatewayWatch {
    /// A host gives a sign of life.
    pub fn heard(&self, host: &ResourceName, beat: &GatewayBeat) {
        self.watch.lock().heard(host, beat, self.began.elapsed());
    }

    /// Lets [`Core::watch_gateways`] end.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// How these hosts are now, and of whom that is another thing than before.
    fn judge(&self, hosts: &BTreeSet<ResourceName>) -> (BTreeMap<ResourceName, Health>, Vec<ResourceName>) {
        let mut watch = self.watch.lock();
        let now = self.began.elapsed();
        watch.expect(hosts, now);
        let verdicts = watch.judge(now);
        let mut before = self.health.lock();
        let mut changed = Vec::new();
        for (host, health) in &verdicts {
            let known = before.get(host);
            if known.map(std::mem::discriminant) != Some(std::mem::discriminant(health)) {
                tell(host, known.is_some(), *health);
                changed.push(host.clone());
            }
        }
        before.clone_from(&verdicts);
        (verdicts, changed)
    }
}

/// Writes into the log what has become of a host.
fn tell(host: &ResourceName, known: bool, health: Health) {
    let words = Failure { host, health };
    match health {
        Health::Well { .. } if known => tracing::info!("{words}"),
        Health::Well { .. } | Health::Unknown | Health::Drained => tracing::debug!("{words}"),
        Health::Dead { .. } | Health::Unfit(_) | Health::Speechless => tracing::warn!("{words}"),
    }
}

impl Core {
    /// Watches until [`GatewayWatch::end`].
    pub fn watch_gateways(&self) {
        let mut known = None;
        let (mut hosts, mut drained) = (BTreeSet::new(), false);
        while !self.gateway_watch.ended.load(Ordering::Relaxed) {
            {
                let state = self.state();
                if known != Some(state.revision) {
                    known = Some(state.revision);
                    hosts = state.fabric.redundant_hosts();
                    drained = state.fabric.has_drained();
                }
            }
            if hosts.is_empty() {
                std::thread::sleep(REST);
                continue;
            }
            let (health, changed) = self.gateway_watch.judge(&hosts);
            if !changed.is_empty() {
                self.note_healths(&health, &changed);
            }
            let well = health.values().all(|health| matches!(health, Health::Well { .. }));
            if !well || drained {
                self.take_over(&health);
            }
            std::thread::sleep(JUDGE);
        }
    }

    /// Shows how these hosts are now.
    fn note_healths(&self, health: &BTreeMap<ResourceName, Health>, changed: &[ResourceName]) {
        for host in changed {
            let health = health.get(host).copied().unwrap_or(Health::Unknown);
            let ill = matches!(health, Health::Dead { .. } | Health::Unfit(_) | Health::Speechless);
            self.gateways.note_health(host, ill.then(|| Failure { host, health }.to_string()));
        }
        let state = self.state();
        let of = |object: &&Object| match &object.resource.spec {
            Spec::Gateway(spec) => spec.hosts.iter().any(|host| changed.contains(&host.host)),
            _ => false,
        };
        let gateways: Vec<_> = state.fabric.of_kind(Kind::Gateway, None).filter(of).map(Object::key).collect();
        self.tell_status(&state, gateways);
    }

    /// Has hosts take over what others cannot do, as they are.
    fn take_over(&self, health: &BTreeMap<ResourceName, Health>) {
        let nothing = self.state().fabric.take_overs(health).is_empty();
        if nothing {
            return;
        }
        let began = Instant::now();
        let mut done = Vec::new();
        let prepare = |state: &crate::state::State| -> Result<Prepared, Problem> {
            done = state.fabric.take_overs(health);
            let lines = done.iter().filter(|one| one.manner != Manner::Cancelled).map(line).collect();
            Ok(Prepared { lines, ..Work::TakeOver(done.clone()).into() })
        };
        let written = self.transact(&actor(), false, prepare);
        match written {
            Ok(_) => {
                let took = began.elapsed().as_millis();
                for TakeOver { network, from, to, manner, reason } in &done {
                    let what = match manner {
                        Manner::Prepared => "is to go over",
                        Manner::Cancelled => "does not go over",
                        Manner::Forwarding | Manner::Abrupt => "goes over",
                    };
                    tracing::warn!(took, "{network} {what} from {from} to {to}: {reason}");
                }
            }
            Err(problem) => {
                tracing::error!("gateways cannot be switched over: {problem}");
                std::thread::sleep(RETRY);
            }
        }
    }
}

fn actor() -> Actor {
    Actor { who: "controller".to_owned(), action: Some("switch-over") }
}

/// The line of the audit log.
fn line(one: &TakeOver) -> AuditEntry {
    let before = json!({ "gatewayHost": one.from });
    let after = json!({ "gatewayHost": one.to, "reason": format!("switched over: {}", one.reason) });
    let mut line = commit::audit(&actor(), "switch-over", one.network.to_string(), before, after);
    line.tenant.clone_from(&one.network.tenant);
    line
}
