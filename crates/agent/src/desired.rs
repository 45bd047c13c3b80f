//! What is to be in force on this host, out of three sources: what it declares itself, what the controller says, and
//! what its VMs were heard to use; and who gives way where these contradict each other.
//!
//! What the host declares stands. What the controller says gives way to it: resource by resource, so that one mistake
//! does not keep the rest out, and until something changes. What was heard gives way to both, and is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Deref};

use model::{Change, Intent, IntentError, Key, MacAddress, Replaced, Resource, Vsid};
use pipeline::Learn;
use plan::{Facts, Finding, Live, Settings, Update};

use crate::learnt::{self, Learnt};

#[cfg(test)]
#[path = "desired_tests.rs"]
mod tests;

/// How many of the resources that are left out are tried again at each change, so that a change costs what it costs
/// however many are left out; the others have their turn at the next ones.
const RETRIES: usize = 256;

/// How many of the resources that are left out are told one by one.
const TOLD: usize = 100;

/// What is to be in force.
pub struct Desired {
    /// What the host itself declares, over the socket and in the configuration.
    pub declared: Intent,
    /// All together, with the tables that follow.
    pub live: Live,
    learnt: Learnt,
    left_out: BTreeMap<Key, LeftOut>,
    /// The last one that was tried again.
    retried: Option<Key>,
}

/// What the controller said and could not be taken over.
struct LeftOut {
    change: Change,
    why: String,
}

/// A change that is made but not yet settled.
pub struct Step {
    /// What it makes of the tables.
    pub update: Update,
    /// What was declared before, and is not any more.
    declared: Vec<Replaced>,
    /// What was learnt or forgotten with it.
    learnt: Vec<Resource>,
    forgotten: Vec<Resource>,
}

impl Step {
    /// What was observed made other tables.
    pub fn observed(update: Update) -> Self {
        Self { update, declared: Vec::new(), learnt: Vec::new(), forgotten: Vec::new() }
    }
}

/// Why a change cannot be made.
#[derive(Debug)]
pub enum Refused {
    /// It contradicts itself, or what is declared or said by the controller.
    Contradiction(Vec<IntentError>),
    /// It cannot be carried out on this host.
    Findings(Vec<Finding>),
}

/// A change on its way into force. There may be very many at once, so that what was said is not copied before it is in.
enum Want<'a> {
    Said(&'a Change),
    Follows(Box<Change>),
}

impl Deref for Want<'_> {
    type Target = Change;
    fn deref(&self) -> &Change {
        match self {
            Self::Said(change) => change,
            Self::Follows(change) => change,
        }
    }
}

/// Changes by the key of what they change.
type Wanted<'a> = BTreeMap<Key, Want<'a>>;

fn by_key(changes: &[Change]) -> impl Iterator<Item = (Key, Want<'_>)> {
    changes.iter().map(|change| (change.key(), Want::Said(change)))
}

impl Desired {
    /// What a host declares itself, and nothing else yet.
    pub fn new(declared: Intent, facts: Facts, settings: Settings) -> Self {
        let live = Live::new(declared.clone(), facts, settings);
        Self { declared, live, learnt: Learnt::default(), left_out: BTreeMap::new(), retried: None }
    }

    /// Whether a resource in force is the controller's.
    pub fn is_controlled(&self, key: &Key) -> bool {
        let known = self.live.intent().get(key);
        known.is_some_and(|resource| self.declared.get(key).is_none() && !self.learnt.has(resource))
    }

    /// Changes what the host itself declares, all or none of it.
    ///
    /// # Errors
    /// When it contradicts anything but what was heard, or cannot be carried out here.
    pub fn declare(&mut self, changes: &[Change]) -> Result<Step, Refused> {
        let declared = self.declared.apply(changes.iter().cloned()).map_err(Refused::Contradiction)?;
        let mut step = match self.bring_about(&by_key(changes).collect()) {
            Ok(step) => step,
            Err(errors) => {
                self.declared.undo(declared);
                return Err(Refused::Contradiction(errors));
            }
        };
        step.declared = declared;
        let refusals: Vec<Finding> = step.update.refusals().cloned().collect();
        if refusals.is_empty() {
            return Ok(step);
        }
        self.undo(step);
        Err(Refused::Findings(refusals))
    }

    /// Takes back a step that has not been settled, and says what that changes.
    pub fn undo(&mut self, step: Step) -> Update {
        self.declared.undo(step.declared);
        for resource in &step.learnt {
            self.forget(resource);
        }
        for resource in &step.forgotten {
            self.keep(resource);
        }
        self.live.undo(step.update)
    }

    /// Takes over an address that a VM was heard to use, if that is something new and contradicts nothing.
    pub fn learn(&mut self, learn: &Learn) -> Option<Step> {
        let record = Resource::LookupRecord(self.learnt.hear(learn, self.live.intent())?);
        let update = self.live.update([Change::Set(record.clone())]).ok()?;
        self.keep(&record);
        let step = Step { update, declared: Vec::new(), learnt: vec![record], forgotten: Vec::new() };
        if step.update.refusals().next().is_some() {
            self.undo(step);
            return None;
        }
        Some(step)
    }

    /// Takes over what the controller says; what contradicts the rest is left out.
    pub fn control(&mut self, changes: &[Change]) -> Step {
        let said: Vec<(Key, Want)> = by_key(changes).collect();
        for (key, _) in &said {
            self.left_out.remove(key);
        }
        let again = self.retries();
        let mut wanted: Wanted = by_key(&again).chain(said).collect();
        wanted.retain(|key, change| self.is_acceptable(key, change));
        loop {
            match self.bring_about(&wanted) {
                Ok(step) => {
                    let refusal = step.update.refusals().find(|finding| {
                        matches!(
                            finding,
                            Finding::GatewayMac { .. } | Finding::TooManyRules { .. } | Finding::Limit { .. }
                        )
                    });
                    let Some(refusal) = refusal.cloned() else { return step };
                    self.undo(step);
                    let offenders = match &refusal {
                        Finding::GatewayMac { key, .. } if wanted.contains_key(key) || self.is_controlled(key) => {
                            BTreeSet::from([key.clone()])
                        }
                        Finding::TooManyRules { key, .. } if wanted.contains_key(key) => BTreeSet::from([key.clone()]),
                        // What is refused may be the host's own, or a port whose group has grown: it is not to blame.
                        _ => latter_half(&wanted),
                    };
                    self.leave_out(&mut wanted, offenders, &refusal.to_string());
                }
                Err(errors) => {
                    let mut offenders = BTreeMap::new();
                    for error in &errors {
                        offenders.extend(self.offenders(error, &wanted).into_iter().map(|key| (key, error)));
                    }
                    if offenders.is_empty() {
                        let why = errors.iter().map(IntentError::to_string).collect::<Vec<_>>().join("; ");
                        let half = latter_half(&wanted);
                        self.leave_out(&mut wanted, half, &why);
                    }
                    for (key, error) in offenders {
                        self.leave_out(&mut wanted, [key].into(), &error.to_string());
                    }
                }
            }
        }
    }

    /// A sentence for each resource of the controller that is left out.
    pub fn left_out(&self) -> Vec<String> {
        let told = self.left_out.iter().take(TOLD).map(|(key, left)| key.left_out(&left.why));
        let more = self.left_out.len().saturating_sub(TOLD);
        told.chain((more > 0).then(|| format!("{more} more resources are left out"))).collect()
    }

    /// Whether the controller waits for something to change.
    pub fn is_waiting(&self) -> bool {
        !self.left_out.is_empty()
    }

    /// Those that are left out and have their turn to be tried again.
    fn retries(&mut self) -> Vec<Change> {
        let from = self.retried.take().map_or(Bound::Unbounded, Bound::Excluded);
        let keys = self.left_out.range((from, Bound::Unbounded)).take(RETRIES).map(|(key, _)| key.clone());
        let keys: Vec<Key> = keys.collect();
        self.retried = keys.last().filter(|_| keys.len() == RETRIES).cloned();
        keys.into_iter().filter_map(|key| self.left_out.remove(&key).map(|left| left.change)).collect()
    }

    /// Whether a change of the controller is one that can be tried. What the host declares itself is not the
    /// controller's.
    fn is_acceptable(&mut self, key: &Key, change: &Change) -> bool {
        let own = self.declared.get(key);
        match change {
            Change::Delete(_) => self.is_controlled(key),
            Change::Set(_) if own.is_none() => true,
            Change::Set(_) => {
                let why = "this host declares it itself; delete one of the two".to_owned();
                self.left_out.insert(key.clone(), LeftOut { change: change.clone(), why });
                false
            }
        }
    }

    /// The resources of the controller that an error is about: of those that change, or else of those in force.
    fn offenders(&self, error: &IntentError, wanted: &Wanted) -> Vec<Key> {
        let keys: Vec<Key> = match error {
            IntentError::VsidInTwoDomains { vsid, .. } => {
                let kind = model::Kind::CustomerRoute;
                let of_subnet = |key: &&Key| key.kind == kind && key.name.starts_with(&format!("{vsid}/"));
                let changing: Vec<Key> = wanted.keys().filter(of_subnet).cloned().collect();
                let there = self.live.intent().in_subnet(kind, *vsid).map(|(key, _)| Key::clone(key));
                if changing.is_empty() { there.filter(|key| self.is_controlled(key)).collect() } else { changing }
            }
            _ => {
                let named = error.keys();
                let mut last_first = named.iter().rev().copied();
                let changing = last_first.clone().find(|key| wanted.contains_key(*key));
                changing.or_else(|| last_first.find(|key| self.is_controlled(key))).cloned().into_iter().collect()
            }
        };
        keys
    }

    /// Leaves resources out of what is wanted, and takes out of force what the controller said of them before.
    fn leave_out(&mut self, wanted: &mut Wanted, offenders: BTreeSet<Key>, why: &str) {
        for key in offenders {
            let controlled = self.is_controlled(&key);
            let there = self.live.intent().get(&key).cloned();
            let change = match wanted.remove(&key) {
                Some(Want::Said(change)) => change.clone(),
                Some(Want::Follows(change)) => *change,
                None => match there {
                    Some(resource) => Change::Set(resource),
                    None => continue,
                },
            };
            if controlled && matches!(change, Change::Set(_)) {
                wanted.insert(key.clone(), Want::Follows(Box::new(Change::Delete(key.clone()))));
            }
            self.left_out.insert(key, LeftOut { change, why: why.to_owned() });
        }
    }

    /// Makes changes, and keeps what was heard in accord with them: what was heard of a station that changes is taken
    /// out, and put back as far as it still fits.
    fn bring_about(&mut self, wanted: &Wanted) -> Result<Step, Vec<IntentError>> {
        let mut dropped = self.heard(wanted);
        // What is wanted besides, or, for the keys that are in both, instead; `None` is nothing.
        let mut besides: BTreeMap<Key, Option<Change>> = BTreeMap::new();
        for key in dropped.keys().filter(|key| !wanted.contains_key(*key)) {
            besides.insert(key.clone(), Some(Change::Delete(key.clone())));
        }
        let mut again: Option<BTreeMap<Key, Resource>> = None;
        loop {
            let said = wanted.iter().filter(|(key, _)| besides.is_empty() || !besides.contains_key(*key));
            let said = said.map(|(_, change)| Change::clone(change));
            match self.live.update(said.chain(besides.values().flatten().cloned())) {
                Ok(update) => {
                    if again.is_none() {
                        let fitting = self.fitting(&dropped);
                        again = Some(fitting.clone());
                        if !fitting.is_empty() {
                            self.live.undo(update);
                            besides.extend(fitting.into_iter().map(|(key, known)| (key, Some(Change::Set(known)))));
                            continue;
                        }
                    }
                    let (forgotten, learnt) = (values(dropped), values(again.unwrap_or_default()));
                    forgotten.iter().for_each(|resource| self.forget(resource));
                    learnt.iter().for_each(|resource| self.keep(resource));
                    return Ok(Step { update, declared: Vec::new(), learnt, forgotten });
                }
                Err(errors) => {
                    let mut gave_way = false;
                    for key in errors.iter().flat_map(IntentError::keys) {
                        let back = again.as_mut().and_then(|again| again.remove(key)).is_some();
                        let known = self.live.intent().get(key).filter(|resource| self.learnt.has(resource)).cloned();
                        let is_wanted = besides.get(key).map_or_else(|| wanted.contains_key(key), Option::is_some);
                        if back || (known.is_some() && !is_wanted) {
                            gave_way = true;
                            besides.insert(key.clone(), known.as_ref().map(|_| Change::Delete(key.clone())));
                            if let Some(known) = known {
                                dropped.insert(key.clone(), known);
                            }
                        }
                    }
                    if !gave_way {
                        return Err(errors);
                    }
                }
            }
        }
    }

    /// What was heard of the stations that changes are about.
    fn heard(&self, wanted: &Wanted) -> BTreeMap<Key, Resource> {
        if self.learnt.is_empty() {
            return BTreeMap::new();
        }
        let intent = self.live.intent();
        let mut stations = BTreeSet::<(Vsid, MacAddress)>::new();
        for (key, change) in wanted {
            let new = match &**change {
                Change::Set(resource) => Some(resource),
                Change::Delete(_) => None,
            };
            let records = intent.get(key).into_iter().chain(new).filter_map(|resource| match resource {
                Resource::LookupRecord(record) => Some((record.vsid, record.mac)),
                _ => None,
            });
            stations.extend(records.filter(|(vsid, mac)| self.learnt.of(*vsid, *mac).next().is_some()));
        }
        let addresses =
            stations.into_iter().flat_map(|(vsid, mac)| self.learnt.of(vsid, mac).map(move |address| (vsid, address)));
        let keys = addresses.map(|(vsid, address)| learnt::key(vsid, address));
        keys.filter_map(|key| intent.get(&key).cloned().map(|resource| (key, resource))).collect()
    }

    /// What was heard and may be known again, now that what it was taken out for is changed.
    fn fitting(&self, dropped: &BTreeMap<Key, Resource>) -> BTreeMap<Key, Resource> {
        let intent = self.live.intent();
        let free = dropped.iter().filter(|(key, _)| intent.get(key).is_none());
        let records = free.filter_map(|(key, resource)| match resource {
            Resource::LookupRecord(old) => {
                let record = learnt::record(intent, old.vsid, old.mac, old.customer_address?)?;
                Some((key.clone(), Resource::LookupRecord(record)))
            }
            _ => None,
        });
        records.collect()
    }

    fn keep(&mut self, resource: &Resource) {
        if let Resource::LookupRecord(record) = resource {
            self.learnt.keep(record);
        }
    }

    fn forget(&mut self, resource: &Resource) {
        if let Resource::LookupRecord(record) = resource {
            self.learnt.forget(record);
        }
    }
}

fn values(resources: BTreeMap<Key, Resource>) -> Vec<Resource> {
    resources.into_values().collect()
}

/// The latter half of what is wanted, rounded up, so that it is left out piece by piece.
fn latter_half(wanted: &Wanted) -> BTreeSet<Key> {
    let puts: Vec<&Key> =
        wanted.iter().filter(|(_, change)| matches!(***change, Change::Set(_))).map(|(key, _)| key).collect();
    let keys = if puts.is_empty() { wanted.keys().collect() } else { puts };
    keys[keys.len() / 2..].iter().copied().cloned().collect()
}
