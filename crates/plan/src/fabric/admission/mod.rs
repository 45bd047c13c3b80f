//! Whether a set of changes may come into force, and what comes of it.
//!
//! The order of the changes does not matter. First what is deleted goes; then, kind by kind in the order in which
//! they refer to one another, what is created or changed (1) *settles*: gives back what it no longer needs, (2) is
//! *checked* and takes what its spec names, and (3) is *given* what its spec leaves open. Then each VM network whose gateway
//! connections are concerned gives back, and is given, what they need together (`gateway_giving`). Last, what others hold of what
//! changed or went is *verified*, so that a set may take away something together with those who use it. On a refusal
//! everything is put back.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use model::fabric::{Allocation, Key, Kind, Object, Resource, Spec};

use self::gateway_vpn::makes_key;
use super::claims::Slot;
use super::retired::given_back;
use super::slots::references;
use super::{Change, Claim, Context, Fabric, Finding, Outcome, Refusal, Step, Transition};

mod checks;
mod claim;
mod customer_route;
mod gateway;
mod gateway_bgp;
mod gateway_connection;
mod gateway_giving;
mod gateway_network;
mod gateway_vpn;
mod host;
mod ip_pool;
mod learn;
mod logical_network;
mod mac_pool;
mod migration;
mod port;
mod quota;
mod request;
mod security;
mod users;
mod vm_network;
mod vm_subnet;

pub(super) use gateway_giving::external_of;
pub(super) use gateway_network::remote_prefixes;
pub(super) use request::reveal;

pub use claim::{ClaimRefusal, ClaimStep};

/// Most resources of a fabric.
pub const MAX_OBJECTS: usize = 1 << 20;

/// Most entries of a list in a spec: ranges, prefixes, sites, uplinks.
pub const MAX_ENTRIES: usize = 256;

/// Most characters of a text for the reader: a description, the name of a VM.
pub const MAX_TEXT: usize = 1024;

/// Most customer addresses of a port, named or learnt. The hosts learn as many.
pub const MAX_ADDRESSES: usize = 16;

/// Most ports of a host: the kernel's tables have as many, and one slot counts for nobody.
pub const MAX_HOST_PORTS: usize = pipeline::MAX_PORTS as usize - 1;

/// The isolations of virtualized VM networks, as refusals name them.
const VIRTUALIZED: &str = "nvgre, vxlan and geneve";

/// A set of changes while it is judged.
struct Run<'f, 'c> {
    fabric: &'f mut Fabric,
    context: Context<'c>,
    /// What was there before, of all that was touched, with what it had.
    before: BTreeMap<Key, (Option<Object>, Vec<Slot>)>,
    /// Objects that are refused already, and are not judged further.
    failed: BTreeSet<Key>,
    refusals: Vec<Refusal>,
    findings: Vec<Finding>,
}

impl Fabric {
    /// Carries out all changes, or none.
    ///
    /// # Errors
    /// All refusals that were found, never an empty list; the fabric is as it was.
    pub fn change(&mut self, changes: &[Change], context: Context<'_>) -> Result<Transition, Vec<Refusal>> {
        let wanted = request::wanted(self, changes)?;
        let mut run = Run::new(self, context);
        run.carry_out(&wanted);
        let steps = changes.iter().map(Change::key).collect();
        run.finish(steps)
    }
}

impl<'f, 'c> Run<'f, 'c> {
    const fn new(fabric: &'f mut Fabric, context: Context<'c>) -> Self {
        Self {
            fabric,
            context,
            before: BTreeMap::new(),
            failed: BTreeSet::new(),
            refusals: Vec::new(),
            findings: Vec::new(),
        }
    }

    fn carry_out(&mut self, wanted: &BTreeMap<Key, Option<Resource>>) {
        for (key, _) in wanted.iter().rev().filter(|(_, resource)| resource.is_none()) {
            self.set(key, None);
        }
        for kind in Kind::ALL {
            let of_kind = wanted.iter().filter(|(key, _)| key.kind == kind);
            let changed: Vec<&Resource> = of_kind
                .filter_map(|(key, resource)| resource.as_ref().filter(|resource| self.differs(key, resource)))
                .collect();
            for resource in &changed {
                self.settle(resource);
            }
            let mut keys: Vec<Key> = changed.iter().map(|resource| resource.key()).collect();
            // As many ports as there are can be here.
            let asked: HashSet<Key> = keys.iter().cloned().collect();
            for key in self.consequences(kind) {
                if !asked.contains(&key) {
                    self.resettle(&key);
                    keys.push(key);
                }
            }
            for key in &keys {
                self.check(key);
            }
            for key in keys.iter().filter(|key| !self.failed.contains(*key)).cloned().collect::<Vec<_>>() {
                self.give(&key);
            }
        }
        self.settle_gateways();
        self.forget_unchanged();
        self.verify();
    }

    /// An object that was only looked at keeps its revision.
    fn forget_unchanged(&mut self) {
        let same = |(key, (before, _)): (&Key, &(Option<Object>, Vec<Slot>))| {
            let (before, after) = (before.as_ref()?, self.fabric.get(key)?);
            let same = before.resource == after.resource && before.allocation == after.allocation;
            (same && before.revision != after.revision).then(|| before.clone())
        };
        for before in self.before.iter().filter_map(same).collect::<Vec<_>>() {
            self.set(&before.key(), Some(before));
        }
    }

    fn differs(&self, key: &Key, resource: &Resource) -> bool {
        self.fabric.get(key).is_none_or(|object| object.resource != *resource)
    }

    /// Replaces an object, or takes it away, and remembers what was there at first.
    fn set(&mut self, key: &Key, object: Option<Object>) {
        let slots = if self.before.contains_key(key) { Vec::new() } else { self.fabric.slots_held(key).to_vec() };
        let before = self.fabric.swap(key, object);
        self.before.entry(key.clone()).or_insert((before, slots));
    }

    fn refuse(&mut self, key: &Key, refusal: Refusal) {
        self.failed.insert(key.clone());
        self.refusals.push(refusal);
    }

    /// Changes what an object was given.
    fn allocate(&mut self, key: &Key, change: impl FnOnce(&mut Allocation)) {
        let Some(object) = self.fabric.get(key) else { return };
        let mut object = object.clone();
        change(&mut object.allocation);
        object.revision = self.context.revision;
        self.set(key, Some(object));
    }

    /// Puts the new spec in force with what may stay of what the object was given.
    fn settle(&mut self, resource: &Resource) {
        let key = resource.key();
        let revision = self.context.revision;
        let object = match self.fabric.get(&key) {
            Some(old) => {
                let allocation = self.kept(old, resource);
                Object { resource: resource.clone(), uid: old.uid, revision, created: old.created, allocation }
            }
            None => {
                let (uid, created) = ((self.context.uuid)(), self.context.now);
                Object { resource: resource.clone(), uid, revision, created, allocation: Allocation::default() }
            }
        };
        self.set(&key, Some(object));
    }

    /// The same for an object that changes as a consequence alone.
    fn resettle(&mut self, key: &Key) {
        if let Some(object) = self.fabric.get(key) {
            let resource = object.resource.clone();
            self.settle(&resource);
        }
    }

    /// What stays of what an object was given.
    fn kept(&self, old: &Object, new: &Resource) -> Allocation {
        let given = &old.allocation;
        match (&old.resource.spec, &new.spec) {
            (Spec::VmNetwork(_), Spec::VmNetwork(spec)) => Allocation {
                rdid: given.rdid.filter(|rdid| spec.rdid.is_none_or(|wanted| wanted == *rdid)),
                gateway: self.kept_gateway(&new.key(), given),
                ..Allocation::default()
            },
            (Spec::VmSubnet(_), Spec::VmSubnet(spec)) => Allocation {
                vsid: given.vsid.filter(|vsid| spec.vsid.is_none_or(|wanted| wanted == *vsid)),
                ..Allocation::default()
            },
            // Which of them stay depends on the new uplinks; `give` looks.
            (Spec::Host(_), Spec::Host(_)) => given.clone(),
            (Spec::GatewayConnection(_), Spec::GatewayConnection(spec)) => Allocation {
                private_key: given.private_key.clone().filter(|_| makes_key(spec)),
                ..Allocation::default()
            },
            (Spec::Port(before), Spec::Port(spec)) => self.kept_of_port(&new.key(), given, before, spec),
            _ => Allocation::default(),
        }
    }

    /// Objects of a kind whose allocation could be different because of what changed of the kinds before.
    fn consequences(&self, kind: Kind) -> Vec<Key> {
        match kind {
            Kind::Host => self.hosts_to_look_at(),
            Kind::Port => self.ports_to_look_at(),
            _ => Vec::new(),
        }
    }

    /// Checks an object, and gives it what its spec names.
    fn check(&mut self, key: &Key) {
        let Some(object) = self.fabric.get(key).cloned() else { return };
        for missing in references(&object) {
            if self.fabric.get(&missing).is_none() {
                self.refuse(key, Refusal::Missing { key: key.clone(), missing });
            }
        }
        self.texts(key, &object.resource.spec);
        if self.failed.contains(key) {
            return;
        }
        match &object.resource.spec {
            Spec::LogicalNetwork(spec) => self.check_logical_network(key, spec),
            Spec::MacPool(spec) => self.check_mac_pool(key, spec),
            Spec::Host(spec) => self.check_host(key, spec),
            Spec::Tenant(_) => {}
            Spec::VmNetwork(spec) => self.check_vm_network(key, spec),
            Spec::AddressSet(spec) => self.check_address_set(key, spec),
            Spec::SecurityGroup(spec) => self.check_security_group(key, spec),
            Spec::VmSubnet(spec) => self.check_vm_subnet(key, spec),
            Spec::IpPool(spec) => self.check_ip_pool(key, spec),
            Spec::CustomerRoute(spec) => self.check_customer_route(key, spec),
            Spec::Gateway(spec) => self.check_gateway(key, spec),
            Spec::GatewayConnection(spec) => self.check_gateway_connection(key, spec),
            Spec::Port(spec) => self.check_port(key, spec),
        }
    }

    /// Gives an object what its spec leaves open.
    fn give(&mut self, key: &Key) {
        let Some(object) = self.fabric.get(key).cloned() else { return };
        match &object.resource.spec {
            Spec::Host(spec) => self.give_host(key, spec),
            Spec::VmNetwork(_) => self.give_vm_network(key, &object.allocation),
            Spec::VmSubnet(spec) => self.give_vm_subnet(key, spec, &object.allocation),
            Spec::Port(spec) => self.give_port(key, spec, &object.allocation),
            Spec::GatewayConnection(spec) => self.give_gateway_connection(key, spec, &object.allocation),
            _ => {}
        }
    }

    /// Looks whether all that others hold is still there.
    fn verify(&mut self) {
        let touched: Vec<Key> = self.before.keys().filter(|key| !self.failed.contains(*key)).cloned().collect();
        for key in touched {
            let Some((before, _)) = self.before.get(&key) else { continue };
            let before = before.clone();
            match (before, self.fabric.get(&key).cloned()) {
                (Some(before), None) => self.verify_deleted(&key, &before),
                (Some(before), Some(after)) => self.verify_changed(&key, &before, &after),
                (None, _) => {}
            }
        }
        self.verify_rules();
        self.verify_quotas();
    }

    /// The transition, or the refusals and everything as it was.
    fn finish(mut self, keys: Vec<Key>) -> Result<Transition, Vec<Refusal>> {
        if !self.refusals.is_empty() {
            self.put_back();
            return Err(self.refusals);
        }
        let mut transition = Transition::default();
        for (key, (before, slots)) in &self.before {
            let after = self.fabric.get(key);
            if before.as_ref() != after {
                let now = self.fabric.slots_held(key);
                let claim = |slot: &Slot| Claim { key: slot.to_string(), owner: key.clone() };
                transition.claimed.extend(now.iter().filter(|slot| !slots.contains(slot)).map(claim));
                transition.released.extend(slots.iter().filter(|slot| !now.contains(slot)).map(claim));
            }
            let vsid = given_back(before.as_ref(), after);
            self.fabric.retired.add(vsid);
        }
        transition.steps = keys.iter().map(|key| self.step(key)).collect();
        let named: BTreeSet<&Key> = keys.iter().collect();
        let also = self.before.keys().filter(|key| !named.contains(key)).map(|key| self.step(key));
        transition.also = also.filter(|step| step.outcome != Outcome::Unchanged).collect();
        transition.topics = self.fabric.publish();
        transition.findings = self.findings;
        Ok(transition)
    }

    /// Back to what was there before, with no trace.
    fn put_back(&mut self) {
        // As in [`Fabric::undo`], all go before any comes, so that each gets what it had.
        let before: Vec<_> = std::mem::take(&mut self.before).into_iter().collect();
        for (key, _) in before.iter().rev() {
            self.fabric.swap(key, None);
        }
        for (key, (object, _)) in before {
            if let Some(object) = object {
                self.fabric.swap(&key, Some(object));
            }
        }
        self.fabric.publish();
    }

    fn step(&self, key: &Key) -> Step {
        let after = self.fabric.get(key).cloned();
        let before = match self.before.get(key) {
            Some((before, _)) => before.clone(),
            None => after.clone(),
        };
        let outcome = match (&before, &after) {
            (None, _) => Outcome::Created,
            (_, None) => Outcome::Deleted,
            (Some(before), Some(after)) if before == after => Outcome::Unchanged,
            _ => Outcome::Configured,
        };
        Step { before, after, outcome }
    }
}
