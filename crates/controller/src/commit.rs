//! What the store must write for a change of the fabric, and on what conditions: the objects are as the fabric knows
//! them, what is claimed belongs to nobody.

use std::collections::BTreeMap;

use api::fabric::AuditEntry;
use plan::fabric::{Outcome, Step, Transition};
use store::{Condition, Transaction};

use crate::{clock, records, view};

/// Why a transaction cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Something is no JSON.
    #[error("a resource or a line of the audit log cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The lines of the audit log that must go cannot be found.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Who does something, and how it is called if not by its outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actor {
    /// Name of a token, or `host NAME`.
    pub who: String,
    /// `join`, `import`; `create`, `configure` or `delete` if absent.
    pub action: Option<&'static str>,
}

impl Actor {
    /// Somebody who does what the changes say.
    pub fn new(who: impl Into<String>) -> Self {
        Self { who: who.into(), action: None }
    }
}

/// Takes the steps of a transition, and what they claim and release, into a transaction.
pub fn add_transition(transaction: &mut Transaction, transition: &Transition) -> Result<(), serde_json::Error> {
    for step in changed(transition) {
        let Some(object) = step.after.as_ref().or(step.before.as_ref()) else { continue };
        let key = records::object_key(&object.key());
        transaction.conditions.push(match &step.before {
            Some(before) => Condition::Unchanged { key: key.clone(), revision: before.revision },
            None => Condition::Absent(key.clone()),
        });
        match &step.after {
            Some(after) => transaction.puts.push((key, records::object_value(after)?)),
            None => transaction.deletes.push(key),
        }
    }
    // Of a claim that goes from one object to another, both lists know.
    let mut claims: BTreeMap<&str, (bool, Option<String>)> =
        transition.released.iter().map(|claim| (claim.key.as_str(), (true, None))).collect();
    for claim in &transition.claimed {
        claims.entry(&claim.key).or_default().1 = Some(records::path(&claim.owner));
    }
    for (key, (held, owner)) in claims {
        let key = format!("{}{key}", records::CLAIMS);
        if !held {
            transaction.conditions.push(Condition::Absent(key.clone()));
        }
        match owner {
            Some(owner) => transaction.puts.push((key, owner.into_bytes())),
            None => transaction.deletes.push(key),
        }
    }
    Ok(())
}

/// The steps that changed something, those asked for and their consequences; of an object that was changed several times
/// one step, from its first state to its last.
fn changed(transition: &Transition) -> Vec<Step> {
    let mut steps: BTreeMap<model::fabric::Key, Step> = BTreeMap::new();
    for step in transition.steps.iter().chain(&transition.also).filter(|step| step.outcome != Outcome::Unchanged) {
        let Some(object) = step.after.as_ref().or(step.before.as_ref()) else { continue };
        match steps.entry(object.key()) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(step.clone());
            }
            std::collections::btree_map::Entry::Occupied(mut place) => place.get_mut().after = step.after.clone(),
        }
    }
    steps.into_values().filter(|step| step.before.is_some() || step.after.is_some()).collect()
}

/// The lines of the audit log for a transition: for each step that changed what is declared, one.
pub fn audit_of(transition: &Transition, actor: &Actor) -> Vec<AuditEntry> {
    let declared = |step: &&Step| {
        let spec = |object: &Option<model::fabric::Object>| object.as_ref().map(|object| object.resource.spec.clone());
        step.outcome != Outcome::Unchanged && spec(&step.before) != spec(&step.after)
    };
    let line = |step: &Step| {
        let key = step.after.as_ref().or(step.before.as_ref())?.key();
        let action = actor.action.unwrap_or(match step.outcome {
            Outcome::Created => "create",
            Outcome::Configured | Outcome::Unchanged => "configure",
            Outcome::Deleted => "delete",
        });
        let spec = |object: &Option<model::fabric::Object>| object.as_ref().map(view::spec).unwrap_or_default();
        let mut entry = audit(actor, action, key.to_string(), spec(&step.before), spec(&step.after));
        entry.tenant = key.tenant;
        Some(entry)
    };
    transition.steps.iter().chain(&transition.also).filter(declared).filter_map(line).collect()
}

/// A line of the audit log, without its number; see [`crate::audit`].
pub fn audit(
    actor: &Actor,
    action: &str,
    object: String,
    before: serde_json::Value,
    after: serde_json::Value,
) -> AuditEntry {
    let (time, who) = (clock::rfc3339(clock::now()), actor.who.clone());
    AuditEntry { id: 0, time, who, action: action.to_owned(), object, tenant: None, before, after }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::fabric::{Allocation, Key, Kind, Object, Resource, Tenant};
    use plan::fabric::Claim;

    fn object(revision: u64, description: Option<&str>) -> Object {
        let spec = Tenant { description: description.map(str::to_owned), ..Tenant::default() };
        let resource = Resource::new(None, "blue".parse().unwrap(), spec);
        Object { resource, uid: uuid::Uuid::nil(), revision, created: 1, allocation: Allocation::default() }
    }

    fn step(before: Option<Object>, after: Option<Object>, outcome: Outcome) -> Step {
        Step { before, after, outcome }
    }

    #[test]
    fn conditions_name_what_was_seen() {
        let claim =
            |key: &str| Claim { key: key.to_owned(), owner: Key::global(Kind::Tenant, &"blue".parse().unwrap()) };
        let transition = Transition {
            steps: vec![step(Some(object(3, None)), Some(object(9, Some("x"))), Outcome::Configured)],
            claimed: vec![claim("vsid/1"), claim("vsid/2")],
            released: vec![claim("vsid/2"), claim("vsid/3")],
            ..Transition::default()
        };
        let mut transaction = Transaction::default();
        add_transition(&mut transaction, &transition).unwrap();
        let key = "objects/tenant/-/blue".to_owned();
        assert_eq!(
            transaction.conditions,
            [Condition::Unchanged { key, revision: 3 }, Condition::Absent("claims/vsid/1".to_owned())]
        );
        let puts: Vec<&str> = transaction.puts.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(puts, ["objects/tenant/-/blue", "claims/vsid/1", "claims/vsid/2"]);
        assert_eq!(transaction.puts[1].1, b"tenant/-/blue");
        assert_eq!(transaction.deletes, ["claims/vsid/3"]);
    }

    #[test]
    fn an_object_that_changes_twice_is_written_once() {
        let transition = Transition {
            steps: vec![step(None, Some(object(9, None)), Outcome::Created)],
            also: vec![step(Some(object(9, None)), Some(object(9, Some("x"))), Outcome::Configured)],
            ..Transition::default()
        };
        let mut transaction = Transaction::default();
        add_transition(&mut transaction, &transition).unwrap();
        assert_eq!(transaction.conditions, [Condition::Absent("objects/tenant/-/blue".to_owned())]);
        assert_eq!(transaction.puts.len(), 1);
        assert!(String::from_utf8_lossy(&transaction.puts[0].1).contains("\"x\""));
    }
}
