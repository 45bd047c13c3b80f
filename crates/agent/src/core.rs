//! The agent's state, and the one way in which it changes: check, write down, carry out, or take all back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use api::{ChangeReport, ChangeResult, ChangeSet, Outcome, Problem, ProblemType};
use datapath::{Attachment, Datapath, Role};
use host::Netlink;
use model::{Change, Intent, IntentError, Name, Resource};
use plan::{Compiled, Facts, HostTables, Severity, compile, diff};

use crate::config::Config;
use crate::controlled::Controlled;
use crate::error::RunError;
use crate::facts;
use crate::learnt::Learnt;
use crate::punts::Leases;
use crate::saved::Saved;

/// All that an agent knows and owns.
pub struct Core {
    pub name: String,
    pub started: SystemTime,
    /// What is declared, over the socket and in the configuration.
    pub declared: Intent,
    /// What is declared and what is learnt.
    pub intent: Intent,
    pub facts: Facts,
    pub compiled: Compiled,
    /// What is in force: equal to the compiled tables unless the kernel refused them.
    pub tables: HostTables,
    pub datapath: Datapath,
    /// What the start found different between declared and in force.
    pub drift: Vec<String>,
    /// What DHCP said to the ports.
    pub leases: Leases,
    /// Grows whenever what is in force may have changed.
    pub generation: u64,
    pub settings: plan::Settings,
    learnt: Learnt,
    controlled: Controlled,
    saved: Saved,
    netlink: Netlink,
}

impl Core {
    /// Takes over a host: what differs from what is declared is changed, and said. `controlled` is what the controller
    /// said last, as far as it is known; what of it contradicts this host's own declarations is left out.
    pub fn start(config: &Config, controlled: Vec<Resource>) -> Result<Self, RunError> {
        let saved = Saved::in_folder(&config.state)?;
        let declared = declared(saved.read()?, config)?;
        let netlink = Netlink::current()?;
        let settings = config.settings();
        // Before anything is made: what cannot be carried out changes nothing.
        let mut noted = Controlled::default();
        noted.note(controlled.into_iter().map(Change::Set).collect());
        let intent = noted.merge(&declared);
        let first = compile(&intent, &facts::observe(&netlink, &HostTables::default())?, &settings);
        refuse(&first)?;
        let datapath = Datapath::open(&config.bpffs)?;
        let tables = datapath.tables()?;
        let facts = facts::observe(&netlink, &tables)?;
        let compiled = compile(&intent, &facts, &settings);
        refuse(&compiled)?;
        let fresh = tables == HostTables::default();
        let mut core = Self {
            name: config.name.as_ref().map_or_else(host_name, |name| name.as_str().to_owned()),
            started: SystemTime::now(),
            intent,
            declared,
            facts,
            compiled: compiled.clone(),
            tables,
            datapath,
            drift: Vec::new(),
            leases: Leases::default(),
            generation: 0,
            settings,
            learnt: Learnt::default(),
            controlled: noted,
            saved,
            netlink,
        };
        let mut drift = if fresh { Vec::new() } else { diff(&core.tables, &compiled.tables).describe() };
        core.carry_out(&compiled)?;
        let attached = core.attach(&compiled)?;
        if !fresh {
            drift.extend(attached);
        }
        for line in &drift {
            tracing::warn!("drift: {line}");
        }
        core.drift = drift;
        Ok(core)
    }

    /// Takes over what the controller says: resources to put and keys to delete, of those that it said before. What
    /// contradicts this host's own declarations, or the rest of what the controller said, is left out, and tried
    /// again whenever something changes. Answers with a sentence for each that is left out at present.
    ///
    /// # Errors
    /// When the kernel refuses; then nothing is changed.
    pub fn update_controlled(&mut self, changes: Vec<Change>) -> Result<Vec<String>, RunError> {
        self.controlled.note(changes);
        self.refresh()?;
        Ok(self.controlled.left_out().to_vec())
    }

    /// Writes the difference into the kernel; takes it back if the kernel refuses a part.
    fn carry_out(&mut self, compiled: &Compiled) -> Result<(), datapath::Error> {
        self.generation += 1;
        self.leases.keep(|name| compiled.ports.contains_key(name));
        let changes = diff(&self.tables, &compiled.tables);
        if changes.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.datapath.apply(&changes) {
            // Read back rather than assumed: some of it was written.
            let now = self.datapath.tables()?;
            if let Err(second) = self.datapath.apply(&diff(&now, &self.tables)) {
                tracing::error!("cannot take a refused change back: {second}");
            }
            return Err(error);
        }
        let old_slots: BTreeSet<u32> = self.tables.ports.values().map(|port| port.slot).collect();
        for port in compiled.tables.ports.values().filter(|port| !old_slots.contains(&port.slot)) {
            self.datapath.clear_counters(port.slot)?;
        }
        self.tables = compiled.tables.clone();
        Ok(())
    }

    /// Makes the programs run at the uplinks and at the bound ports, and gives the ports' devices room for what their
    /// VMs may send.
    fn attach(&mut self, compiled: &Compiled) -> Result<Vec<String>, RunError> {
        let mut wanted = BTreeSet::new();
        for address in self.intent.provider_addresses() {
            if let Some(link) = self.facts.links.get(&address.interface) {
                let device = address.interface.to_string();
                wanted.insert(Attachment { ifindex: link.ifindex, device, role: Role::Uplink });
            }
        }
        for port in self.intent.ports() {
            let Some(status) = compiled.ports.get(&port.name) else { continue };
            let Some(ifindex) = status.ifindex() else { continue };
            wanted.insert(Attachment { ifindex, device: port.device.to_string(), role: Role::Port });
            let mtu = self.facts.links.get(&port.device).map_or(0, |link| link.mtu);
            // A veth drops what is larger than the receiving end's MTU.
            if let Some(needed) = status.mtu.filter(|needed| *needed > mtu) {
                self.netlink.set_mtu(port.device.as_str(), needed)?;
            }
        }
        Ok(self.datapath.reconcile(&wanted)?)
    }

    /// Says what would forbid a start, without changing anything.
    pub fn check(config: &Config) -> Result<(), RunError> {
        let saved = if config.state.exists() { Saved::in_folder(&config.state)?.read()? } else { Vec::new() };
        let facts = facts::observe(&Netlink::current()?, &HostTables::default())?;
        refuse(&compile(&declared(saved, config)?, &facts, &config.settings()))
    }

    /// Looks at the host again and carries out what follows: devices came, went or changed, or an address was learnt.
    pub fn refresh(&mut self) -> Result<(), RunError> {
        self.facts = facts::observe(&self.netlink, &self.tables)?;
        self.intent = self.learnt.merge(&self.controlled.merge(&self.declared));
        let compiled = compile(&self.intent, &self.facts, &self.settings);
        if let Err(error) = refuse(&compiled) {
            // An uplink lost its address, for example. What is in force stays: it may come back, and traffic that needs
            // nothing of it goes on.
            tracing::error!("{error}");
            self.compiled.findings = compiled.findings;
            return Ok(());
        }
        self.carry_out(&compiled)?;
        for line in self.attach(&compiled)? {
            tracing::info!("{line}");
        }
        self.compiled = compiled;
        Ok(())
    }

    /// Takes an address over that a VM was heard to use.
    pub fn learn(&mut self, learn: &pipeline::Learn) {
        if !self.learnt.note(learn, &self.intent) {
            return;
        }
        tracing::info!(vsid = learn.vsid, address = %learn.address, "learnt an address");
        if let Err(error) = self.refresh() {
            tracing::error!("cannot take a learnt address over: {error}");
        }
    }

    /// Carries a set of changes out, wholly or not at all.
    pub fn change(&mut self, set: ChangeSet) -> Result<ChangeReport, Problem> {
        let (declared, results) = self.judge(&set)?;
        self.facts = facts::observe(&self.netlink, &self.tables).map_err(internal)?;
        let intent = self.learnt.merge(&self.controlled.merge(&declared));
        let compiled = compile(&intent, &self.facts, &self.settings);
        let refusals: Vec<String> = compiled.refusals().map(ToString::to_string).collect();
        if !refusals.is_empty() {
            return Err(Problem::with_errors(ProblemType::Invalid, refusals));
        }
        let warnings = compiled.findings.iter().filter(|finding| finding.severity() == Severity::Warn);
        let findings: Vec<String> = warnings.map(ToString::to_string).collect();
        if set.dry_run {
            return Ok(ChangeReport { results, findings });
        }
        self.saved.write(declared.resources()).map_err(internal)?;
        if let Err(error) = self.carry_out(&compiled) {
            self.saved.write(self.declared.resources()).map_err(internal)?;
            return Err(internal(error));
        }
        let before = std::mem::replace(&mut self.intent, intent);
        if let Err(error) = self.attach(&compiled) {
            self.intent = before;
            self.take_back()?;
            return Err(internal(error));
        }
        self.declared = declared;
        self.compiled = compiled;
        Ok(ChangeReport { results, findings })
    }

    /// Back to what was in force before a change, whose programs could not be attached.
    fn take_back(&mut self) -> Result<(), Problem> {
        self.saved.write(self.declared.resources()).map_err(internal)?;
        let old = self.compiled.clone();
        self.carry_out(&old).map_err(internal)?;
        self.attach(&old).map_err(internal)?;
        Ok(())
    }

    /// What a set of changes would make of what is declared, and of each resource.
    fn judge(&self, set: &ChangeSet) -> Result<(Intent, Vec<ChangeResult>), Problem> {
        let mut resources: BTreeMap<model::Key, Resource> =
            self.declared.resources().map(|resource| (resource.key(), resource.clone())).collect();
        let mut results = Vec::new();
        let said = set.changes.iter().filter_map(|change| match change {
            api::Change::Create(resource) | api::Change::Put(resource) | api::Change::Replace(resource) => {
                Some(resource)
            }
            api::Change::Delete(_) => None,
        });
        said_once(said).map_err(|errors| contradiction(&errors))?;
        for change in &set.changes {
            let key = change.key();
            let old = resources.get(&key).cloned();
            let outcome = match (change, old) {
                (api::Change::Create(_), Some(_)) => return Err(exists(&key)),
                (api::Change::Replace(_) | api::Change::Delete(_), None) => return Err(self.absent(&key)),
                (api::Change::Delete(_), Some(_)) => {
                    resources.remove(&key);
                    Outcome::Deleted
                }
                (api::Change::Create(new) | api::Change::Put(new), None) => {
                    resources.insert(key.clone(), new.clone());
                    Outcome::Created
                }
                (api::Change::Put(new) | api::Change::Replace(new), Some(old)) if *new == old => Outcome::Unchanged,
                (api::Change::Put(new) | api::Change::Replace(new), Some(_)) => {
                    resources.insert(key.clone(), new.clone());
                    Outcome::Configured
                }
            };
            results.push(ChangeResult { key, outcome });
        }
        let declared = Intent::new(resources.into_values()).map_err(|errors| contradiction(&errors))?;
        Ok((declared, results))
    }

    fn absent(&self, key: &model::Key) -> Problem {
        if self.declared.get(key).is_some() {
            return Problem::conflict(format!("{key} is named more than once; name it once"));
        }
        if self.intent.get(key).is_some() {
            return Problem::conflict(format!(
                "{key} was learnt from the VM itself; delete the L2Only record of its MAC address instead"
            ));
        }
        Problem::not_found(format!("there is no {key} on host {}", self.name))
    }
}

/// The name of a device of this host by its index.
pub fn device_name(facts: &Facts, ifindex: u32) -> Option<&Name> {
    facts.links.iter().find(|(_, link)| link.ifindex == ifindex).map(|(name, _)| name)
}

fn exists(key: &model::Key) -> Problem {
    Problem::conflict(format!("{key} exists already; change it with \"netvirt set\" or \"netvirt apply\""))
}

/// The kernel refused, or the disk: not the caller's fault, and nothing is half-done.
fn internal(error: impl std::fmt::Display) -> Problem {
    Problem::new(ProblemType::Internal, error.to_string())
}

fn contradiction(errors: &[IntentError]) -> Problem {
    Problem::with_errors(ProblemType::Conflict, errors.iter().map(ToString::to_string).collect())
}

/// Sees to it that nothing is declared twice with different content: the later would win unseen.
fn said_once<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Result<(), Vec<IntentError>> {
    let mut first: BTreeMap<model::Key, &Resource> = BTreeMap::new();
    let mut errors = Vec::new();
    for resource in resources {
        let key = resource.key();
        if *first.entry(key.clone()).or_insert(resource) != resource {
            errors.push(IntentError::ChangedTwice { key });
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// What was saved, with the configuration's resources over it.
fn declared(saved: Vec<Resource>, config: &Config) -> Result<Intent, RunError> {
    said_once(&config.resources).map_err(RunError::Contradiction)?;
    let mut resources: BTreeMap<model::Key, Resource> =
        saved.into_iter().map(|resource| (resource.key(), resource)).collect();
    resources.extend(config.resources.iter().map(|resource| (resource.key(), resource.clone())));
    Intent::new(resources.into_values()).map_err(RunError::Contradiction)
}

fn refuse(compiled: &Compiled) -> Result<(), RunError> {
    let refusals: Vec<_> = compiled.refusals().cloned().collect();
    if refusals.is_empty() { Ok(()) } else { Err(RunError::Refused(refusals)) }
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "host".to_owned(), |name| name.trim().to_owned())
}
