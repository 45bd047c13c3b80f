//! The intent of a host: all its resources, checked to contradict neither themselves nor one another.

use std::collections::BTreeMap;

use crate::{CustomerRoute, Key, LookupRecord, Port, ProviderAddress, ProviderRoute, Resource};

mod checks;
mod error;
#[cfg(test)]
mod record_tests;
#[cfg(test)]
mod tests;

pub use error::IntentError;

/// All resources of one host, free of contradictions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Intent {
    resources: BTreeMap<Key, Resource>,
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
}

impl Intent {
    /// The intent of these resources. Where one stands twice word for word it counts once.
    ///
    /// # Errors
    /// All contradictions, each as one error; never an empty list.
    pub fn new(resources: impl IntoIterator<Item = Resource>) -> Result<Self, Vec<IntentError>> {
        Self::default().with(resources.into_iter().map(Change::Set))
    }

    /// The intent after these changes, all or none of them.
    ///
    /// # Errors
    /// All contradictions, each as one error; never an empty list.
    pub fn with(&self, changes: impl IntoIterator<Item = Change>) -> Result<Self, Vec<IntentError>> {
        let (mut resources, mut errors) = (self.resources.clone(), Vec::new());
        let mut touched = BTreeMap::<Key, Change>::new();
        for change in changes {
            let key = change.key();
            match touched.get(&key) {
                Some(earlier) if *earlier == change => continue,
                Some(_) => {
                    errors.push(IntentError::ChangedTwice { key });
                    continue;
                }
                None => {}
            }
            match &change {
                Change::Set(resource) => {
                    resources.insert(key.clone(), resource.clone());
                }
                Change::Delete(_) => {
                    if resources.remove(&key).is_none() {
                        errors.push(IntentError::NotFound { key: key.clone() });
                    }
                }
            }
            touched.insert(key, change);
        }
        let intent = Self { resources };
        errors.extend(checks::contradictions(&intent));
        if errors.is_empty() { Ok(intent) } else { Err(errors) }
    }

    /// All resources, in the order of their keys.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.resources.values()
    }

    /// The resource with this key.
    pub fn get(&self, key: &Key) -> Option<&Resource> {
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

    /// The lookup records, in the order of their keys.
    pub fn lookup_records(&self) -> impl Iterator<Item = &LookupRecord> {
        self.resources().filter_map(|resource| match resource {
            Resource::LookupRecord(record) => Some(record),
            _ => None,
        })
    }

    /// The customer routes, in the order of their keys.
    pub fn customer_routes(&self) -> impl Iterator<Item = &CustomerRoute> {
        self.resources().filter_map(|resource| match resource {
            Resource::CustomerRoute(route) => Some(route),
            _ => None,
        })
    }

    /// The provider addresses, in the order of their keys.
    pub fn provider_addresses(&self) -> impl Iterator<Item = &ProviderAddress> {
        self.resources().filter_map(|resource| match resource {
            Resource::ProviderAddress(address) => Some(address),
            _ => None,
        })
    }

    /// The provider routes, in the order of their keys.
    pub fn provider_routes(&self) -> impl Iterator<Item = &ProviderRoute> {
        self.resources().filter_map(|resource| match resource {
            Resource::ProviderRoute(route) => Some(route),
            _ => None,
        })
    }

    /// The ports, in the order of their names.
    pub fn ports(&self) -> impl Iterator<Item = &Port> {
        self.resources().filter_map(|resource| match resource {
            Resource::Port(port) => Some(port),
            _ => None,
        })
    }
}
