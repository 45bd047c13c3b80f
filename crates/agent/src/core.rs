//! The agent's state, and the one way in which it changes: check, write down, carry out, or take all back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Instant, SystemTime};

use api::{ChangeReport, ChangeResult, ChangeSet, Outcome, Problem, ProblemType};
use datapath::{Attachment, Datapath, Role};
use host::{LinkEvent, Netlink};
use model::{Change, Intent, IntentError, Key, Kind, Name, Port, Resource};
use plan::{Changes, Epochs, Facts, Finding, HostTables, Link, PortStatus, Severity, Update, compile, diff, epochs};

use crate::addresses::Addresses;
use crate::config::Config;
use crate::desired::{Desired, Refused, Step};
use crate::error::RunError;
use crate::facts;
use crate::gateways::Gateways;
use crate::punts::Leases;
use crate::saved::Saved;

/// All that an agent knows and owns.
pub struct Core {
    pub name: String,
    pub started: SystemTime,
    /// What is to be in force. It is, unless a change is under way.
    pub desired: Desired,
    pub datapath: Datapath,
    /// What the start found different between declared and in force.
    pub drift: Vec<String>,
    /// What DHCP said to the ports.
    pub leases: Leases,
    /// What the host's gateway is to do, and what it said.
    pub gateways: Gateways,
    /// Grows whenever what is in force may have changed.
    pub generation: u64,
    pub settings: plan::Settings,
    /// How it stands with the controller, if the host has joined one.
    pub controller: Option<api::ControllerStatus>,
    /// Where the programs of ports run, by the ports' names.
    attached: BTreeMap<Name, Attachment>,
    /// Where the program of uplinks runs.
    uplinks: BTreeSet<Attachment>,
    saved: Saved,
    netlink: Netlink,
    /// Provider addresses that this host declares itself and that it has put on its interfaces.
    addresses: Addresses,
}

impl Core {
    /// Takes over a host: what differs from what is declared is changed, and said. `controlled` is what the controller
    /// said last, as far as it is known; what of it contradicts this host's own declarations is left out.
    ///
    /// An uplink that is not there, or has not got its address yet, is a finding, and acts when it appears.
    pub fn start(config: &Config, controlled: Vec<Resource>) -> Result<Self, RunError> {
        let saved = Saved::in_folder(&config.state)?;
        let declared = declared(saved.read()?, config)?;
        let netlink = Netlink::current()?;
        let settings = config.settings();
        // Before anything is made: what cannot be carried out changes nothing.
        refuse(&compile(&declared, &facts::observe(&netlink, &HostTables::default())?, &settings).findings)?;
        let mut addresses = Addresses::of_host(&config.state);
        addresses.set(providers(&declared));
        addresses.add_missing(&netlink);
        let datapath = Datapath::open(&config.bpffs)?;
        let tables = datapath.tables()?;
        let mut desired = Desired::new(declared, facts::observe(&netlink, &tables)?, settings);
        refuse(&desired.live.findings())?;
        let step = desired.control(&controlled.into_iter().map(Change::Set).collect::<Vec<_>>());
        desired.live.settle(&step.update);
        let mut core = Self {
            name: config.name.as_ref().map_or_else(host_name, |name| name.as_str().to_owned()),
            started: SystemTime::now(),
            desired,
            datapath,
            drift: Vec::new(),
            leases: Leases::default(),
            gateways: Gateways::new(SystemTime::now()),
            generation: 0,
            settings,
            controller: None,
            attached: BTreeMap::new(),
            uplinks: BTreeSet::new(),
            saved,
            netlink,
            addresses,
        };
        core.take_over(&tables)?;
        core.follow_gateways(None);
        core.addresses.delete_unwanted(&core.netlink);
        core.addresses.tell_problems();
        Ok(core)
    }

    /// Makes the kernel do what is to be in force, whatever it did before.
    fn take_over(&mut self, before: &HostTables) -> Result<(), RunError> {
        let fresh = *before == HostTables::default();
        let changes = diff(before, self.tables());
        let mut drift = if fresh { Vec::new() } else { changes.describe() };
        self.write(before, &changes)?;
        let attached = self.attach_all()?;
        if !fresh {
            drift.extend(attached);
        }
        for line in &drift {
            tracing::warn!("drift: {line}");
        }
        for finding in self.desired.live.findings().iter().filter(|finding| finding.severity() == Severity::Refuse) {
            tracing::warn!("{finding}");
        }
        self.drift = drift;
        Ok(())
    }

    /// All that is to be in force: declared, said by the controller, learnt.
    pub const fn intent(&self) -> &Intent {
        self.desired.live.intent()
    }

    /// Requests to the kernel about the host's interfaces.
    pub const fn netlink(&self) -> &Netlink {
        &self.netlink
    }

    /// Looks at the device of a port now, rather than when there is news of it.
    pub fn look_at(&mut self, port: &Port) {
        self.look_again(&[Change::Set(Resource::Port(port.clone()))]);
    }

    /// The interfaces of the host, as they are now.
    ///
    /// # Errors
    /// When the kernel does not list them.
    pub fn links(&self) -> Result<Vec<host::Link>, host::Error> {
        self.netlink.links()
    }

    /// How many frames a device has handed to whoever is behind it; none if it is gone.
    pub fn transmitted(&self, device: &str) -> Option<u64> {
        self.netlink.transmitted(device).ok()
    }

    /// What was observed.
    pub const fn facts(&self) -> &Facts {
        self.desired.live.facts()
    }

    /// The tables that are in force.
    pub const fn tables(&self) -> &HostTables {
        self.desired.live.tables()
    }

    /// The state of each port.
    pub const fn ports(&self) -> &BTreeMap<Name, PortStatus> {
        self.desired.live.ports()
    }

    /// What the operator should know: of what is in force, and of what the controller said and is left out.
    pub fn findings(&self) -> Vec<String> {
        let findings = self.desired.live.findings();
        findings.iter().map(ToString::to_string).chain(self.desired.left_out()).collect()
    }

    /// Whether anything that the controller said is left out at present.
    pub fn leaves_out(&self) -> bool {
        self.desired.is_waiting()
    }

    /// Takes over what the controller says: resources to put and keys to delete, of those that it said before. What
    /// contradicts this host's own declarations, or the rest of what the controller said, is left out, and tried
    /// again whenever something changes. Answers with a sentence for each that is left out at present.
    ///
    /// # Errors
    /// When the kernel refuses; then nothing is changed.
    pub fn update_controlled(&mut self, changes: &[Change]) -> Result<Vec<String>, RunError> {
        self.look_again(changes);
        let began = Instant::now();
        let step = self.desired.control(changes);
        let (decided, entries) = (began.elapsed(), step.update.changes.len());
        self.carry_out(step)?;
        let carried_out = began.elapsed() - decided;
        tracing::debug!(changes = changes.len(), entries, ?decided, ?carried_out, "in force");
        Ok(self.desired.left_out())
    }

    /// Writes what changes into the kernel and attaches programs; takes all back if the kernel refuses a part.
    fn carry_out(&mut self, step: Step) -> Result<(), RunError> {
        let (changes, ports) = (&step.update.changes, &step.update.ports);
        if changes.is_empty() && ports.is_empty() {
            self.settle(&step.update);
            return Ok(());
        }
        let done = self.write_update(changes).and_then(|()| self.attach(ports));
        if let Err(error) = done {
            let back = self.desired.undo(step);
            // Read back rather than assumed: some of it was written.
            let restored = self.datapath.tables().and_then(|now| {
                self.datapath.apply(&diff(&now, self.tables()))?;
                self.datapath.begin_epochs(&Epochs::All)
            });
            if let Err(second) = restored.map_err(RunError::from).and_then(|()| self.attach(&back.ports)) {
                tracing::error!("cannot take a refused change back: {second}");
            }
            return Err(error);
        }
        self.settle(&step.update);
        let known = self.desired.live.ports();
        self.leases.keep(|name| known.contains_key(name));
        Ok(())
    }

    /// An update is in force.
    fn settle(&mut self, update: &Update) {
        self.desired.live.settle(update);
        self.generation += 1;
        self.follow_gateways(Some(update));
    }

    /// Writes the changes of an update; what counts for another port from now on begins at zero.
    fn write_update(&mut self, changes: &Changes) -> Result<(), RunError> {
        let in_force = &self.desired.live.facts().slots;
        let new = changes.ports.upserts.iter().filter(|(ifindex, port)| in_force.get(ifindex) != Some(&port.slot));
        for (_, port) in new {
            self.datapath.clear_counters(port.slot)?;
        }
        self.datapath.apply(changes)?;
        // Flows that are under way are judged anew, where the change may concern them; under the old tables until here.
        Ok(self.datapath.begin_epochs(&epochs(changes, self.tables()))?)
    }

    /// Writes changes of what the kernel held before, with counters that go on where they counted.
    fn write(&mut self, before: &HostTables, changes: &Changes) -> Result<(), RunError> {
        let old: BTreeSet<u32> = before.ports.values().map(|port| port.slot).collect();
        for port in changes.ports.upserts.values().filter(|port| !old.contains(&port.slot)) {
            self.datapath.clear_counters(port.slot)?;
        }
        self.datapath.apply(changes)?;
        // Whoever ran before may have changed tables and not come to this.
        Ok(self.datapath.begin_epochs(&Epochs::All)?)
    }

    /// Makes the programs run at the uplinks and at all bound ports, and nowhere else.
    fn attach_all(&mut self) -> Result<Vec<String>, RunError> {
        self.uplinks = self.wanted_uplinks();
        let names: Vec<Name> = self.ports().keys().cloned().collect();
        let wanted = names.into_iter().filter_map(|name| Some((self.wanted_at(&name)?, name)));
        self.attached = wanted.map(|(attachment, name)| (name, attachment)).collect();
        let all = self.attached.values().chain(&self.uplinks).cloned().collect();
        let changed = self.datapath.reconcile(&all)?;
        for uplink in &self.uplinks {
            self.open_wide(uplink, true)?;
        }
        for name in self.attached.keys() {
            self.make_room(name)?;
        }
        Ok(changed)
    }

    /// Makes the programs run at these ports as their state is now, and at the uplinks.
    fn attach(&mut self, ports: &BTreeSet<Name>) -> Result<(), RunError> {
        let uplinks = self.wanted_uplinks();
        let (mut gone, mut come) = (BTreeSet::new(), BTreeSet::new());
        gone.extend(self.uplinks.difference(&uplinks).cloned());
        come.extend(uplinks.difference(&self.uplinks).cloned());
        for name in ports {
            let wanted = self.wanted_at(name);
            let before = match &wanted {
                Some(wanted) => self.attached.insert(name.clone(), wanted.clone()),
                None => self.attached.remove(name),
            };
            if before != wanted {
                gone.extend(before);
                come.extend(wanted);
            }
        }
        self.uplinks = uplinks;
        // One port's device may be another one's from now on.
        let gone: BTreeSet<Attachment> = gone.difference(&come).cloned().collect();
        for line in self.datapath.move_programs(&come, &gone)? {
            tracing::info!("{line}");
        }
        come.iter().try_for_each(|attachment| self.open_wide(attachment, true))?;
        for attachment in &gone {
            // The device itself may be gone.
            if let Err(error) = self.open_wide(attachment, false) {
                tracing::debug!("{error}");
            }
        }
        ports.iter().try_for_each(|name| self.make_room(name))
    }

    /// An uplink with physical networks must take in what is for its VMs, whose MAC addresses a network card does not
    /// know; without them it need not.
    fn open_wide(&self, attachment: &Attachment, on: bool) -> Result<(), host::Error> {
        match attachment.role {
            Role::Host => self.netlink.set_promiscuous(&attachment.device, on),
            Role::Port | Role::Uplink => Ok(()),
        }
    }

    /// Where the programs of uplinks run: those of provider addresses and provider routes and, on both sides, those of
    /// physical networks.
    fn wanted_uplinks(&self) -> BTreeSet<Attachment> {
        let addresses = self.intent().provider_addresses().map(|address| (&address.interface, Role::Uplink));
        let underlay = addresses.chain(self.intent().provider_routes().map(|route| (&route.interface, Role::Uplink)));
        let joined: BTreeSet<&Name> =
            self.intent().ports().filter_map(|port| Some(&port.physical.as_ref()?.interface)).collect();
        let physical = joined.into_iter().flat_map(|uplink| [(uplink, Role::Uplink), (uplink, Role::Host)]);
        let attachments = underlay.chain(physical).filter_map(|(uplink, role)| {
            let link = self.facts().links.get(uplink)?;
            Some(Attachment { ifindex: link.ifindex, device: uplink.to_string(), role })
        });
        attachments.collect()
    }

    /// Where the program of a port runs, if it is bound.
    fn wanted_at(&self, name: &Name) -> Option<Attachment> {
        let ifindex = self.ports().get(name)?.ifindex()?;
        Some(Attachment { ifindex, device: self.port(name)?.device.to_string(), role: Role::Port })
    }

    fn port(&self, name: &Name) -> Option<&Port> {
        match self.intent().get(&Key { kind: Kind::Port, name: name.to_string() }) {
            Some(Resource::Port(port)) => Some(port),
            _ => None,
        }
    }

    /// Gives a port's device room for what its VM may send: a veth drops what is larger than the receiving end's MTU.
    fn make_room(&self, name: &Name) -> Result<(), RunError> {
        let (Some(port), Some(status)) = (self.port(name), self.ports().get(name)) else { return Ok(()) };
        let Some(link) = self.facts().links.get(&port.device) else { return Ok(()) };
        if let Some(needed) = status.mtu.filter(|needed| *needed > link.mtu) {
            self.netlink.set_mtu(port.device.as_str(), needed)?;
        }
        Ok(())
    }

    /// Says what would forbid a start, without changing anything.
    pub fn check(config: &Config) -> Result<(), RunError> {
        let saved = if config.state.exists() { Saved::in_folder(&config.state)?.read()? } else { Vec::new() };
        let facts = facts::observe(&Netlink::current()?, &HostTables::default())?;
        refuse(&compile(&declared(saved, config)?, &facts, &config.settings()).findings)
    }

    /// Takes over what became of devices, in the order in which it happened.
    pub fn devices(&mut self, events: impl IntoIterator<Item = LinkEvent>) {
        for links in facts::steps(events, |ifindex| device_name(self.facts(), ifindex).cloned()) {
            self.observe(links);
        }
    }

    /// Looks at the devices that changes name: what was declared after its device came must not wait for the news of it.
    fn look_again<'a>(&mut self, changes: impl IntoIterator<Item = &'a Change>) {
        let mut links = Vec::new();
        for change in changes {
            let device = match change {
                Change::Set(Resource::Port(port)) => &port.device,
                Change::Set(Resource::ProviderAddress(address)) => &address.interface,
                Change::Set(Resource::ProviderRoute(route)) => &route.interface,
                Change::Set(_) | Change::Delete(_) => continue,
            };
            match self.netlink.link(device.as_str()) {
                Ok(link) => links.push((device.clone(), Some(facts::convert(&link)))),
                Err(error) if error.is_absent() => links.push((device.clone(), None)),
                Err(error) => tracing::warn!("{error}"),
            }
        }
        self.observe(links);
    }

    /// As if the provider addresses that would be put on interfaces were there; to be taken back, and not carried out.
    fn pretend(&mut self, changes: &[Change]) -> Step {
        let mut links: BTreeMap<Name, Option<Link>> = BTreeMap::new();
        for change in changes {
            let Change::Set(Resource::ProviderAddress(provider)) = change else { continue };
            let Ok(address) = ipnet::IpNet::new(provider.address, provider.prefix_length) else { continue };
            let known = self.facts().links.get(&provider.interface).cloned();
            if let Some(link) = links.entry(provider.interface.clone()).or_insert(known)
                && !link.addresses.iter().any(|known| known.addr() == address.addr())
            {
                link.addresses.push(address);
            }
        }
        Step::observed(self.desired.live.observe(links))
    }

    /// Carries out what follows of what links are now.
    fn observe(&mut self, links: Vec<(Name, Option<Link>)>) {
        let ports: BTreeSet<Name> = {
            let on = |(name, _): &(Name, Option<Link>)| self.intent().port_on(name).map(|port| port.name.clone());
            links.iter().filter_map(on).collect()
        };
        let update = self.desired.live.observe(links);
        for refusal in update.refusals() {
            // An uplink lost its address, for example. It may come back, and traffic that needs nothing of it goes on.
            tracing::error!("{refusal}");
        }
        let step = Step::observed(update);
        let done = self.carry_out(step).and_then(|()| ports.iter().try_for_each(|name| self.make_room(name)));
        if let Err(error) = done {
            tracing::error!("cannot follow a change of devices: {error}");
        }
    }

    /// Takes an address over that a VM was heard to use.
    pub fn learn(&mut self, learn: &pipeline::Learn) {
        let Some(step) = self.desired.learn(learn) else { return };
        tracing::info!(vsid = learn.vsid, address = %learn.address, "learnt an address");
        if let Err(error) = self.carry_out(step) {
            tracing::error!("cannot take a learnt address over: {error}");
        }
    }

    /// Carries a set of changes out, wholly or not at all.
    pub fn change(&mut self, mut set: ChangeSet) -> Result<ChangeReport, Problem> {
        self.find_secrets(&mut set);
        let (changes, results) = self.judge(&set)?;
        if set.dry_run {
            self.look_again(&changes);
            let pretended = self.pretend(&changes);
            let result = self.make(&changes, results, true);
            self.desired.undo(pretended);
            return result;
        }
        // What the tables are made for must be there before, and what they do without may go after.
        self.addresses.note(&changes);
        self.addresses.add_missing(&self.netlink);
        self.look_again(&changes);
        let result = self.make(&changes, results, false);
        self.addresses.set(providers(&self.desired.declared));
        self.addresses.delete_unwanted(&self.netlink);
        self.addresses.tell_problems();
        result
    }

    /// Makes changes that were judged, or says what would come of them.
    fn make(&mut self, changes: &[Change], results: Vec<ChangeResult>, dry_run: bool) -> Result<ChangeReport, Problem> {
        let step = self.desired.declare(changes).map_err(|refused| match refused {
            Refused::Contradiction(errors) => contradiction(&errors),
            Refused::Findings(findings) => {
                Problem::with_errors(ProblemType::Invalid, findings.iter().map(ToString::to_string).collect())
            }
        })?;
        let findings = self.desired.live.findings();
        let warnings = findings.iter().filter(|finding| finding.severity() == Severity::Warn);
        let findings: Vec<String> = warnings.map(ToString::to_string).collect();
        if dry_run {
            self.desired.undo(step);
            return Ok(ChangeReport { results, findings });
        }
        if let Err(error) = self.saved.write(self.desired.declared.resources()) {
            self.desired.undo(step);
            return Err(internal(error));
        }
        if let Err(error) = self.carry_out(step) {
            self.saved.write(self.desired.declared.resources()).map_err(internal)?;
            return Err(internal(error));
        }
        if self.desired.is_waiting()
            && let Err(error) = self.update_controlled(&[])
        {
            tracing::error!("cannot try again what the controller said: {error}");
        }
        Ok(ChangeReport { results, findings })
    }

    /// What a set of changes is for what is declared, and what it makes of each resource.
    fn judge(&self, set: &ChangeSet) -> Result<(Vec<Change>, Vec<ChangeResult>), Problem> {
        let said = set.changes.iter().filter_map(|change| match change {
            api::Change::Create(resource) | api::Change::Put(resource) | api::Change::Replace(resource) => {
                Some(resource)
            }
            api::Change::Delete(_) => None,
        });
        said_once(said).map_err(|errors| contradiction(&errors))?;
        // What the changes before in the set made of a resource; `None` is deleted.
        let mut changed = BTreeMap::<Key, Option<&Resource>>::new();
        let mut results = Vec::new();
        for change in &set.changes {
            let key = change.key();
            if self.desired.is_controlled(&key) {
                return Err(controlled(&key));
            }
            let old = changed.get(&key).copied().unwrap_or_else(|| self.desired.declared.get(&key));
            let (new, outcome) = match (change, old) {
                (api::Change::Create(_), Some(_)) => return Err(exists(&key)),
                (api::Change::Replace(_) | api::Change::Delete(_), None) => return Err(self.absent(&key)),
                (api::Change::Delete(_), Some(_)) => (None, Outcome::Deleted),
                (api::Change::Create(new) | api::Change::Put(new), None) => (Some(new), Outcome::Created),
                (api::Change::Put(new) | api::Change::Replace(new), Some(old)) => {
                    (Some(new), if new == old { Outcome::Unchanged } else { Outcome::Configured })
                }
            };
            changed.insert(key.clone(), new);
            results.push(ChangeResult { key, outcome });
        }
        let changes = changed.into_iter().filter_map(|(key, new)| match new {
            Some(new) => Some(Change::Set(new.clone())),
            None => self.desired.declared.get(&key).map(|_| Change::Delete(key)),
        });
        Ok((changes.collect(), results))
    }

    fn absent(&self, key: &Key) -> Problem {
        if self.desired.declared.get(key).is_some() {
            return Problem::conflict(format!("{key} is named more than once; name it once"));
        }
        if self.intent().get(key).is_some() {
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

fn controlled(key: &Key) -> Problem {
    Problem::conflict(format!(
        "{key} is the controller's; change what it follows from there, with \"netvirt --context FILE\""
    ))
}

fn exists(key: &Key) -> Problem {
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
    let mut first: BTreeMap<Key, &Resource> = BTreeMap::new();
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
    let mut resources: BTreeMap<Key, Resource> = saved.into_iter().map(|resource| (resource.key(), resource)).collect();
    resources.extend(config.resources.iter().map(|resource| (resource.key(), resource.clone())));
    Intent::new(resources.into_values()).map_err(RunError::Contradiction)
}

/// Refuses what cannot be carried out, but for what may pass by itself.
fn refuse(findings: &[Finding]) -> Result<(), RunError> {
    let forbids = |finding: &&Finding| finding.severity() == Severity::Refuse && !finding.may_pass();
    let refusals: Vec<_> = findings.iter().filter(forbids).cloned().collect();
    if refusals.is_empty() { Ok(()) } else { Err(RunError::Refused(refusals)) }
}

/// What this machine calls itself.
pub fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "host".to_owned(), |name| name.trim().to_owned())
}

/// The provider addresses among what is declared.
fn providers(declared: &Intent) -> impl Iterator<Item = &Resource> {
    declared.of_kind(Kind::ProviderAddress).map(|(_, resource)| resource)
}
