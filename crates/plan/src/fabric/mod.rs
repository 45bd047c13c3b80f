//! A whole fabric: what operators and tenants declared, what they were given, and what each host must know of it.
//!
//! [`Fabric::change`] judges changes (`admission`), gives what the specs leave open (`allocation`), and says what
//! changes in the topics that hosts subscribe to (`topics`). A topic holds the very resources that can be declared at
//! a host that stands alone, and the union of a host's topics is an intent that [`crate::compile`] takes.
//!
//! **Invariant:** everything but the objects follows from the objects; [`Fabric::load`] of the same objects gives the
//! same fabric, except that it does not know which VSIDs were given back lately (`retired`). **Invariant:** pure: time and randomness come in by [`Context`].

mod admission;
mod allocation;
mod change;
mod claims;
mod finding;
mod gateway_refusal;
mod index;
mod lookups;
mod migration_refusal;
mod proposal;
mod refusal;
mod refusal_sort;
mod retired;
mod security_change;
mod security_refusal;
mod settling;
mod slots;
mod switch_over;
mod tenancy;
#[cfg(test)]
mod tests;
mod topic;
mod topics;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::fabric::{Key, Object};

pub use admission::{ClaimRefusal, ClaimStep, MAX_ADDRESSES, MAX_ENTRIES, MAX_HOST_PORTS, MAX_OBJECTS, MAX_TEXT};
pub use allocation::FamilyUsage;
pub use change::{Change, Context, Outcome, Step, Transition};
pub use claims::Claim;
pub use finding::Finding;
pub use gateway_refusal::GatewayRefusal;
pub use lookups::Audience;
pub use migration_refusal::MigrationRefusal;
pub use proposal::{Proposal, free_prefix, overlap};
pub use refusal::Refusal;
pub use refusal_sort::RefusalSort;
pub use security_change::{AddressSets, Peers, Policy, Reach, Services, Span, security_change};
pub use security_refusal::SecurityRefusal;
pub use settling::{Late, SETTLING, SETTLING_WITHOUT, Settling, settles_after};
pub use slots::host_port_name;
pub use switch_over::{Manner, TakeOver};
pub use tenancy::TenantRefusal;
pub use topic::{Topic, TopicChange, TopicId, TopicIdError};
pub use topics::waits_for_a_subnet;
pub use words::Users;

/// A fabric.
#[derive(Clone, Default, Debug)]
pub struct Fabric {
    objects: BTreeMap<Arc<Key>, index::Entry>,
    index: index::Index,
    claims: claims::Claims,
    topics: topics::Topics,
    /// Not of the objects, and of no consequence but to the choice of the next VSIDs.
    retired: retired::Retired,
}

impl Fabric {
    /// The fabric of these objects, as the store keeps them. Nothing is judged anew.
    pub fn load(objects: impl IntoIterator<Item = Object>) -> Self {
        let mut fabric = Self::default();
        // In the order of their keys, whom an object refers to comes before it.
        let objects: BTreeMap<Key, Object> = objects.into_iter().map(|object| (object.key(), object)).collect();
        for (key, object) in objects {
            fabric.swap(&key, Some(object));
        }
        fabric.publish();
        fabric
    }

    /// Takes a transition back, the last one first: for dry runs, for what the store refused, and while it is not known
    /// yet whether the store will.
    pub fn undo(&mut self, transition: &Transition) {
        self.turn(transition, |step| (step.after.as_ref(), step.before.as_ref()));
        for step in transition.steps.iter().chain(&transition.also) {
            self.retired.withdraw(retired::given_back(step.before.as_ref(), step.after.as_ref()));
        }
    }

    /// Carries a transition out again that was taken back. In between, nothing else may have changed.
    pub fn redo(&mut self, transition: &Transition) {
        self.turn(transition, |step| (step.before.as_ref(), step.after.as_ref()));
        for step in transition.steps.iter().chain(&transition.also) {
            self.retired.add(retired::given_back(step.before.as_ref(), step.after.as_ref()));
        }
    }

    /// Puts the objects of a transition in each other's place: `sides` says which go and which come.
    fn turn(&mut self, transition: &Transition, sides: impl Fn(&Step) -> (Option<&Object>, Option<&Object>)) {
        let steps = transition.steps.iter().chain(&transition.also).map(sides);
        let mut steps: Vec<_> = steps.collect();
        steps.sort_by_cached_key(|(going, coming)| going.or(*coming).map(Object::key));
        // Whom an object refers to is there whenever the object comes or goes.
        for object in steps.iter().rev().filter_map(|(going, _)| *going) {
            self.swap(&object.key(), None);
        }
        for object in steps.iter().filter_map(|(_, coming)| *coming) {
            self.swap(&object.key(), Some(object.clone()));
        }
        self.publish();
    }
}
