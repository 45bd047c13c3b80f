//! What a set of changes asks for, each resource once, if what it says of the present is true.

use std::collections::BTreeMap;

use model::fabric::{Key, Resource, Spec};

use super::MAX_OBJECTS;
use crate::fabric::{Change, Fabric, Refusal};

/// Puts the secrets that a gateway connection has in the places where only what stands for them was written back.
pub(in crate::fabric) fn reveal(fabric: &Fabric, resource: &mut Resource) {
    let old = fabric.get(&resource.key()).map(|object| &object.resource.spec);
    if let (Spec::GatewayConnection(new), Some(Spec::GatewayConnection(old))) = (&mut resource.spec, old) {
        new.reveal(old);
    }
}

/// What is wanted of each resource: what it shall be, or nothing.
///
/// # Errors
/// When a change contradicts the present (exists already, does not exist, has another revision) or another change.
pub(super) fn wanted(fabric: &Fabric, changes: &[Change]) -> Result<BTreeMap<Key, Option<Resource>>, Vec<Refusal>> {
    let (mut wanted, mut refusals) = (BTreeMap::new(), Vec::new());
    for change in changes {
        let (key, present) = match change {
            Change::Create(resource) | Change::Put { resource, .. } | Change::Replace { resource, .. } => {
                let mut resource = Resource::new(resource.tenant.clone(), resource.name.clone(), resource.spec.clone());
                reveal(fabric, &mut resource);
                (resource.key(), Some(resource))
            }
            Change::Delete { key, .. } => (Key::new(key.kind, key.tenant.clone(), key.name.clone()), None),
        };
        if let Some(refusal) = contradiction(fabric, change, &key) {
            refusals.push(refusal);
        }
        if wanted.insert(key.clone(), present).is_some() {
            refusals.push(Refusal::ChangedTwice { key });
        }
    }
    let new = wanted.iter().filter(|(key, present)| present.is_some() && fabric.get(key).is_none()).count();
    let gone = wanted.values().filter(|present| present.is_none()).count();
    if fabric.len() + new > MAX_OBJECTS + gone {
        refusals.push(Refusal::Full { limit: MAX_OBJECTS });
    }
    if refusals.is_empty() { Ok(wanted) } else { Err(refusals) }
}

/// What a change says of the present that is not so.
fn contradiction(fabric: &Fabric, change: &Change, key: &Key) -> Option<Refusal> {
    let key = key.clone();
    match (fabric.get(&key), change, change.revision()) {
        (Some(_), Change::Create(_), _) => Some(Refusal::AlreadyExists { key }),
        (Some(object), _, Some(seen)) if object.revision != seen => {
            Some(Refusal::Revision { key, seen, is: object.revision })
        }
        (None, Change::Replace { .. } | Change::Delete { .. }, _) | (None, Change::Put { .. }, Some(_)) => {
            Some(Refusal::NotFound { key })
        }
        _ => None,
    }
}
