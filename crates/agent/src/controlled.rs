//! What the controller says that this host must know, and what of it cannot stand beside what the host declares itself.

use std::collections::BTreeMap;

use model::{Change, Intent, Key, Resource};

/// The resources of the controller.
#[derive(Default)]
pub struct Controlled {
    wanted: BTreeMap<Key, Resource>,
    left_out: Vec<String>,
}

impl Controlled {
    /// Notes what the controller says now.
    pub fn note(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Set(resource) => self.wanted.insert(resource.key(), resource),
                Change::Delete(key) => self.wanted.remove(&key),
            };
        }
    }

    /// What is declared with all that the controller says and that does not contradict it.
    pub fn merge(&mut self, declared: &Intent) -> Intent {
        self.left_out.clear();
        let (mut fit, mut clash) = (Vec::new(), Vec::new());
        for (key, resource) in &self.wanted {
            match declared.get(key) {
                Some(own) if own != resource => clash.push(key),
                _ => fit.push(Change::Set(resource.clone())),
            }
        }
        self.left_out.extend(clash.iter().map(|key| format!("{key} is declared on this host with other content")));
        if let Ok(intent) = declared.with(fit.iter().cloned()) {
            return intent;
        }
        let mut intent = declared.clone();
        for change in fit {
            match intent.with([change]) {
                Ok(with) => intent = with,
                Err(errors) => self.left_out.extend(errors.iter().map(ToString::to_string)),
            }
        }
        intent
    }

    /// A sentence for each resource that is left out.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }
}
