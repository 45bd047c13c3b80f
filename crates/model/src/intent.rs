//! The intent of a host: all its resources, checked to contradict neither themselves nor one another.

use std::collections::BTreeMap;

use index::{Gathered, Index, LARGE_PART};

use crate::{Key, Resource, SharedKey};

mod checks;
mod error;
mod gateway_error;
#[cfg(test)]
mod gateway_tests;
mod gateways;
mod index;
mod network_error;
mod networks;
#[cfg(test)]
mod properties;
mod queries;
#[cfg(test)]
mod record_tests;
mod security;
mod security_error;
#[cfg(test)]
mod tests;

pub use error::IntentError;
pub use gateway_error::GatewayError;
pub use network_error::NetworkError;
pub use security_error::SecurityError;

/// All resources of one host, free of contradictions.
#[derive(Clone, Default)]
pub struct Intent {
    resources: BTreeMap<SharedKey, Resource>,
    index: Index,
}

/// The groups follow from the resources.
impl PartialEq for Intent {
    fn eq(&self, other: &Self) -> bool {
        self.resources == other.resources
    }
}

impl Eq for Intent {}

impl std::fmt::Debug for Intent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Intent").field(&self.resources).finish()
    }
}

/// One change of an intent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Creates the resource, or replaces the one with its key.
    Set(Resource),
    /// Removes the resource with this key.
    Delete(Key),
}

impl Change {
    /// The key of the resource that changes.
    pub fn key(&self) -> Key {
        match self {
            Self::Set(resource) => resource.key(),
            Self::Delete(key) => key.clone(),
        }
    }

    /// What is there after the change.
    fn after(self) -> Option<Resource> {
        match self {
            Self::Set(resource) => Some(resource),
            Self::Delete(_) => None,
        }
    }
}

/// What a change made of one resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replaced {
    /// The resource's key.
    pub key: SharedKey,
    /// What it was; `None` if it was not there.
    pub before: Option<Resource>,
}

impl Intent {
    /// The intent of these resources. Where one stands twice word for word it counts once.
    ///
    /// # Errors
    /// All contradictions, each as one error; never an empty list.
    pub fn new(resources: impl IntoIterator<Item = Resource>) -> Result<Self, Vec<IntentError>> {
        let mut intent = Self::default();
        intent.apply(resources.into_iter().map(Change::Set))?;
        Ok(intent)
    }

    /// The intent after these changes, all or none of them. Copies the whole intent; see [`Intent::apply`].
    ///
    /// # Errors
    /// All contradictions, each as one error; never an empty list.
    pub fn with(&self, changes: impl IntoIterator<Item = Change>) -> Result<Self, Vec<IntentError>> {
        let mut intent = self.clone();
        intent.apply(changes)?;
        Ok(intent)
    }

    /// Makes these changes, all or none of them, and says what each resource was before that differs now, in the order
    /// of the keys. Costs about as much as the changes are many: what they cannot touch is not looked at. Only an on-link
    /// customer route touches all records and routes of its subnet.
    ///
    /// # Errors
    /// All contradictions, each as one error; never an empty list. The intent is as before.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = Change>) -> Result<Vec<Replaced>, Vec<IntentError>> {
        let changes = changes.into_iter();
        // Large ones are moved as seldom as can be.
        let mut touched: Vec<(SharedKey, Change)> = Vec::with_capacity(changes.size_hint().1.unwrap_or(0));
        touched.extend(changes.map(|change| (SharedKey::from(change.key()), change)));
        // Stable, so that of what is said twice the first one counts.
        touched.sort_by(|(one, _), (other, _)| one.cmp(other));
        let (mut errors, mut replaced) = (Vec::new(), Vec::with_capacity(touched.len()));
        let (mut new, mut gathered) = (Vec::with_capacity(touched.len()), Gathered::default());
        let mut touched = touched.into_iter().peekable();
        while let Some((key, change)) = touched.next() {
            while let Some((again, other)) = touched.next_if(|(again, _)| *again == key) {
                if other != change {
                    errors.push(IntentError::ChangedTwice { key: Key::clone(&again) });
                }
            }
            match (self.resources.get(&key), change) {
                (None, Change::Delete(_)) => errors.push(IntentError::NotFound { key: Key::clone(&key) }),
                (Some(before), Change::Set(after)) if *before == after => {}
                (Some(_), change) => {
                    let before = self.put(&key, change.after());
                    replaced.push(Replaced { key, before });
                }
                (None, Change::Set(after)) => {
                    self.index.add(&key, &after, &mut gathered);
                    new.push((key.clone(), after));
                    replaced.push(Replaced { key, before: None });
                }
            }
        }
        self.index.add_gathered(gathered);
        if new.len() > self.resources.len() / LARGE_PART {
            self.resources.append(&mut new.into_iter().collect());
        } else {
            self.resources.extend(new);
        }
        errors.extend(checks::contradictions(self, &replaced));
        if errors.is_empty() {
            return Ok(replaced);
        }
        self.undo(replaced);
        Err(errors)
    }

    /// Takes back what [`Intent::apply`] did last, and says as that does what each resource was before.
    pub fn undo(&mut self, replaced: Vec<Replaced>) -> Vec<Replaced> {
        let back = |Replaced { key, before }| Replaced { before: self.put(&key, before), key };
        replaced.into_iter().map(back).collect()
    }

    /// Puts a resource in the place of another, or of none, and says what was there.
    fn put(&mut self, key: &SharedKey, after: Option<Resource>) -> Option<Resource> {
        if let Some(before) = self.resources.get(key) {
            self.index.put(key, before, false);
        }
        match after {
            Some(after) => {
                self.index.put(key, &after, true);
                self.resources.insert(key.clone(), after)
            }
            None => self.resources.remove(key),
        }
    }

    /// All resources, in the order of their keys.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.resources.values()
    }

    /// The resource with this key.
    pub fn get(&self, key: &Key) -> Option<&Resource> {
        self.resources.get(key)
    }

    /// The resource with this key, found sooner than by [`Intent::get`].
    pub fn get_shared(&self, key: &SharedKey) -> Option<&Resource> {
        self.resources.get(key)
    }

    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }
}
