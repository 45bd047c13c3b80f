//! The tables of a host that change with what is declared and observed, at the cost of the change.
//!
//! [`crate::compile`] makes all tables at once. [`Live`] holds an intent, what was observed, and the tables that follow
//! from both, and makes only those entries anew that a change can touch; both ask the same functions what an entry is.
//!
//! **Invariant:** after each step tables, findings and ports are those that [`crate::compile`] makes of the same intent
//! and facts (property test in `live/properties.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{Change, Intent, IntentError, Kind, Name, Replaced, Resource, RoutingDomainId, SharedKey, Vsid};

use crate::compile::security::Security;
use crate::compile::{Context, compile_all, limits, own_addresses};
use crate::{Changes, Compiled, Facts, Finding, HostTables, Link, PortStatus, Settings, Severity, diff};

mod census;
mod edits;
mod places;
mod routes;
mod stations;
mod step;
mod touched;

#[cfg(test)]
mod properties;

use census::Census;
use places::{Place, place};
use step::Step;
use touched::Touched;

/// An intent, the facts of a host, and the tables that follow.
#[derive(Clone, Debug)]
pub struct Live {
    given: Given,
    state: State,
}

/// What the tables follow from.
#[derive(Clone, Debug)]
struct Given {
    intent: Intent,
    facts: Facts,
    settings: Settings,
    numbers: BTreeMap<RoutingDomainId, u32>,
    own: BTreeSet<IpAddr>,
    security: Security,
}

/// What follows.
#[derive(Clone, Debug, Default)]
struct State {
    tables: HostTables,
    ports: BTreeMap<Name, PortStatus>,
    findings: BTreeMap<Place, Vec<Finding>>,
    census: Census,
    /// The bound ports by the interface index of their device.
    bound: BTreeMap<u32, BTreeSet<Name>>,
    /// The counter slots of the bound ports, by the interface index of their device.
    slots: BTreeMap<u32, u32>,
    /// The subnets in which IPv6 may be spoken.
    speaking: BTreeSet<Vsid>,
}

/// What a change made of the tables.
#[derive(Clone, Debug, Default)]
pub struct Update {
    /// What makes the tables before it into those after it.
    pub changes: Changes,
    /// The findings that there were none of before, refusals first.
    pub findings: Vec<Finding>,
    /// The ports whose state or MTU is another one, or that are gone.
    pub ports: BTreeSet<Name>,
    /// What the resources were before.
    replaced: Vec<Replaced>,
    /// What the links were before.
    links: Vec<(Name, Option<Link>)>,
}

impl Update {
    /// The kinds of the resources that change, each as often as there are some.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.replaced.iter().map(|replaced| replaced.key.kind)
    }

    /// The new findings that forbid to apply the changes.
    pub fn refusals(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity() == Severity::Refuse)
    }
}

impl Given {
    fn context(&self) -> Context<'_> {
        let Self { intent, facts, settings, numbers, own, security } = self;
        Context { intent, facts, settings, numbers, own, security }
    }
}

impl Live {
    /// The tables of an intent on a host.
    pub fn new(intent: Intent, facts: Facts, settings: Settings) -> Self {
        let (numbers, own, security) = (BTreeMap::new(), BTreeSet::new(), Security::default());
        let given = Given { intent, facts, settings, numbers, own, security };
        let mut live = Self { given, state: State::default() };
        live.make_anew();
        live
    }

    /// What is declared.
    pub const fn intent(&self) -> &Intent {
        &self.given.intent
    }

    /// What was observed.
    pub const fn facts(&self) -> &Facts {
        &self.given.facts
    }

    /// The tables.
    pub const fn tables(&self) -> &HostTables {
        &self.state.tables
    }

    /// The state of each port.
    pub const fn ports(&self) -> &BTreeMap<Name, PortStatus> {
        &self.state.ports
    }

    /// What the operator should know; refusals first.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.state.findings.values().flatten().cloned().collect();
        findings.extend(limits::exceeded(&self.state.tables));
        findings.sort_by_key(Finding::severity);
        findings
    }

    /// Changes what is declared, all or none of it.
    ///
    /// # Errors
    /// The contradictions that the changes bring; nothing is changed then.
    pub fn update(&mut self, changes: impl IntoIterator<Item = Change>) -> Result<Update, Vec<IntentError>> {
        let replaced = self.given.intent.apply(changes)?;
        Ok(self.follow(replaced, Vec::new()))
    }

    /// Takes over what links are now, `None` for those that are gone. Links that are not named are as they were.
    pub fn observe(&mut self, links: impl IntoIterator<Item = (Name, Option<Link>)>) -> Update {
        let mut before = Vec::new();
        let known = &mut self.given.facts.links;
        for (name, link) in links {
            if known.get(&name) != link.as_ref() {
                let old = match link {
                    Some(link) => known.insert(name.clone(), link),
                    None => known.remove(&name),
                };
                before.push((name, old));
            }
        }
        self.follow(Vec::new(), before)
    }

    /// Takes back the last update, which has not been [settled](Live::settle), and says what that changes.
    pub fn undo(&mut self, update: Update) -> Update {
        let Update { replaced, mut links, .. } = update;
        let known = &mut self.given.facts.links;
        // One link may have been named twice; what it was first is what it is again.
        links.reverse();
        let links = links.into_iter().map(|(name, old)| {
            let new = match old {
                Some(old) => known.insert(name.clone(), old),
                None => known.remove(&name),
            };
            (name, new)
        });
        let links = links.collect();
        let replaced = self.given.intent.undo(replaced);
        self.follow(replaced, links)
    }

    /// Notes that the last update is in force: from now on its ports keep their counter slots. Each update is settled or
    /// [taken back](Live::undo) before the next one.
    pub fn settle(&mut self, update: &Update) {
        let slots = &mut self.given.facts.slots;
        // A port whose uplink has gone has no entry, and keeps its slot as long as its device is there.
        for ifindex in update.changes.ports.deletions.iter().filter(|gone| !self.state.slots.contains_key(gone)) {
            slots.remove(ifindex);
        }
        slots.extend(update.changes.ports.upserts.iter().map(|(ifindex, port)| (*ifindex, port.slot)));
    }

    /// Makes the tables follow what was changed already.
    fn follow(&mut self, replaced: Vec<Replaced>, links: Vec<(Name, Option<Link>)>) -> Update {
        let limits: Vec<Finding> = limits::exceeded(&self.state.tables).collect();
        let mut update =
            if self.is_global(&replaced, &links) { self.make_anew() } else { self.step(&replaced, &links) };
        update.findings.extend(limits::exceeded(&self.state.tables).filter(|limit| !limits.contains(limit)));
        update.findings.sort_by_key(Finding::severity);
        Update { replaced, links, ..update }
    }

    /// Whether the change is about the host itself or its underlay, on which all tables depend.
    fn is_global(&self, replaced: &[Replaced], links: &[(Name, Option<Link>)]) -> bool {
        let of_host = |resource: &Resource| {
            matches!(resource, Resource::ProviderAddress(_) | Resource::ProviderRoute(_) | Resource::Global(_))
        };
        let after = |key: &SharedKey| self.given.intent.get_shared(key);
        replaced.iter().any(|replaced| replaced.before.iter().chain(after(&replaced.key)).any(of_host))
            || links.iter().any(|(name, _)| self.given.intent.is_uplink(name))
    }

    /// Makes all tables.
    fn make_anew(&mut self) -> Update {
        let given = &mut self.given;
        given.numbers = crate::domain_numbers(&given.intent);
        given.own = own_addresses(&given.intent);
        let (compiled, security) = compile_all(&given.intent, &given.facts, &given.settings);
        given.security = security;
        let Compiled { tables, findings, ports } = compiled;
        let mut state = State { tables, ports, ..State::default() };
        for finding in findings {
            if let Some(place) = place(&finding) {
                state.findings.entry(place).or_default().push(finding);
            }
        }
        state.take_census(&given.context());
        let old = std::mem::replace(&mut self.state, state);
        let new = &self.state;
        let differing = |name: &&Name| old.ports.get(*name) != new.ports.get(*name);
        let is_new = |(place, finding): &(&Place, &Finding)| {
            !old.findings.get(*place).is_some_and(|before| before.contains(finding))
        };
        let placed = new.findings.iter().flat_map(|(place, all)| all.iter().map(move |finding| (place, finding)));
        Update {
            changes: diff(&old.tables, &new.tables),
            findings: placed.filter(is_new).map(|(_, finding)| finding.clone()).collect(),
            ports: old.ports.keys().chain(new.ports.keys()).filter(differing).cloned().collect(),
            ..Update::default()
        }
    }

    /// Makes only those entries anew that the change touches.
    fn step(&mut self, replaced: &[Replaced], links: &[(Name, Option<Link>)]) -> Update {
        let numbers = touched::new_numbers(&self.given, replaced);
        let old_numbers = numbers.map(|numbers| std::mem::replace(&mut self.given.numbers, numbers));
        let (security, of_security) = self.given.security.update(&self.given.intent, replaced);
        let context = self.given.context();
        let mut touched = Touched::default();
        touched.security(of_security);
        touched.domains(&context, old_numbers.as_ref());
        touched.resources(&context, &mut self.state, replaced);
        touched.links(&context, links);
        let old_numbers = old_numbers.as_ref().unwrap_or(context.numbers);
        Step::new(&context, &mut self.state, touched, security).carry_out(old_numbers)
    }
}
