//! What the gateways of hosts said last.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::fabric::ResourceName;
use model::gateway::{GatewayBeat, GatewayReport};
use parking_lot::Mutex;

/// The last report of each host's gateway. It is kept while the host is away.
#[derive(Default)]
pub struct GatewayReports {
    reports: Mutex<BTreeMap<ResourceName, Arc<GatewayReport>>>,
    /// What is wrong with hosts that watch each other.
    ills: Mutex<BTreeMap<ResourceName, Ills>>,
}

/// What is wrong with a host of a gateway.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Ills {
    /// What others see.
    seen: Option<String>,
    /// What it says of its peers.
    said: Option<String>,
}

impl GatewayReports {
    /// Keeps a report in the place of the host's last one.
    pub fn note(&self, host: &ResourceName, report: GatewayReport) {
        self.reports.lock().insert(host.clone(), Arc::new(report));
    }

    /// The host is deleted.
    pub fn forget(&self, host: &ResourceName) {
        self.reports.lock().remove(host);
        self.ills.lock().remove(host);
    }

    /// Keeps what is wrong with a host, as others see it.
    pub fn note_health(&self, host: &ResourceName, trouble: Option<String>) {
        self.ills.lock().entry(host.clone()).or_default().seen = trouble;
    }

    /// Keeps what a host says of its peers.
    pub fn note_beat(&self, host: &ResourceName, beat: &GatewayBeat) {
        let trouble = beat.peers.iter().find_map(|peer| Some((&peer.host, peer.trouble.as_ref()?)));
        let trouble = trouble.map(|(peer, trouble)| format!("of what {peer} has active: {trouble}"));
        let mut ills = self.ills.lock();
        match ills.get_mut(host) {
            Some(known) => known.said = trouble,
            None if trouble.is_some() => {
                ills.insert(host.clone(), Ills { seen: None, said: trouble });
            }
            None => {}
        }
    }

    /// What is wrong with a host that others watch.
    pub fn ill(&self, host: &ResourceName) -> Option<String> {
        let ills = self.ills.lock();
        let of = ills.get(host)?;
        of.seen.clone().or_else(|| of.said.clone())
    }

    /// What the gateway of a host said last; none if it has said nothing since the controller started.
    pub fn of(&self, host: &ResourceName) -> Option<Arc<GatewayReport>> {
        self.reports.lock().get(host).cloned()
    }
}
