//! What a host that was dead or cut off remembers of the time before: until its agent has heard from the controller, compartments
//! that were active then stand by, as `plan::gateway::health` says.

use std::collections::BTreeSet;
use std::time::Instant;

use host::Namespace;
use model::QualifiedName;
use plan::gateway::health::{Told, UNCONFIRMED};
use plan::gateway::namespace_name;

use crate::agent::Work;

/// What was there when the gateway started, and what is held back since.
pub struct Past {
    /// When it started, or the uplink's carrier came back.
    back: Instant,
    /// The namespaces of the machine then.
    found: BTreeSet<String>,
    /// Compartments that were carried out as they were told, by this gateway or an earlier one.
    carried: BTreeSet<QualifiedName>,
    /// Whether some are held back.
    holds: bool,
}

impl Past {
    /// The gateway starts.
    pub fn begin() -> Self {
        let found = Namespace::list().unwrap_or_default().into_iter().collect();
        Self { back: Instant::now(), found, carried: BTreeSet::new(), holds: false }
    }

    /// The uplink's carrier is back: what was done until it went counts for nothing.
    pub fn begin_anew(&mut self) {
        self.back = Instant::now();
        self.found.clear();
        self.carried.clear();
    }

    /// Has those compartments stand by whose being active may be past.
    pub fn hold_back(&mut self, work: &mut Work) {
        let has_peers = work.gateway.as_ref().is_some_and(|gateway| !gateway.peers.is_empty());
        let (back, before) = (self.back.elapsed(), std::mem::take(&mut self.holds));
        for compartment in work.compartments.iter_mut().filter(|compartment| !compartment.standby) {
            let name = &compartment.name;
            let carried = self.carried.contains(name) || self.found.contains(&namespace_name(&work.host, name));
            let told = Told { confirmed: work.confirmed, carried, has_peers, back };
            if told.may_be_past() {
                (compartment.standby, compartment.leaving, self.holds) = (true, false, true);
            } else {
                self.carried.insert(name.clone());
            }
        }
        if self.holds && !before {
            tracing::info!("what was active here stands by until the controller says that it still is");
        }
    }

    /// Whether what is held back has been so for long enough.
    pub fn is_over(&self) -> bool {
        self.holds && self.back.elapsed() >= UNCONFIRMED
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::gateway::Compartment;

    use super::*;

    /// Whether a compartment that is to be active stands by.
    fn stands_by(past: &mut Past, confirmed: bool) -> bool {
        let inside = r#"{"device": "gw0", "mac": "02:00:00:00:00:01", "addresses": ["10.254.254.2/29"],
            "routers": ["10.254.254.1"], "prefixes": ["10.1.0.0/24"]}"#;
        let name = "aaa/net".parse().unwrap();
        let inside = serde_json::from_str(inside).unwrap();
        let compartment =
            Compartment { name, standby: false, leaving: false, inside, outside: None, connections: Vec::new() };
        let gateway = r#"{"interface": "eth1", "peers": [{"host": "other", "address": "192.0.2.9"}]}"#;
        let mut work = Work {
            revision: 1,
            host: format!("t{}", uuid::Uuid::new_v4().simple()),
            gateway: Some(serde_json::from_str(gateway).unwrap()),
            compartments: vec![compartment],
            mtus: BTreeMap::new(),
            confirmed,
        };
        past.hold_back(&mut work);
        work.compartments[0].standby
    }

    #[test]
    fn a_host_whose_uplink_is_back_waits_as_one_that_starts() {
        let mut past = Past::begin();
        assert!(stands_by(&mut past, false));
        assert!(!stands_by(&mut past, true));
        assert!(!stands_by(&mut past, false), "it has been at it all the time");
        past.begin_anew();
        assert!(stands_by(&mut past, false) && !past.is_over());
        assert!(!stands_by(&mut past, true));
    }
}
