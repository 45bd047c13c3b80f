//! What the gateways of hosts said last.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::fabric::ResourceName;
use model::gateway::GatewayReport;
use parking_lot::Mutex;

/// The last report of each host's gateway. It is kept while the host is away.
#[derive(Default)]
pub struct GatewayReports(Mutex<BTreeMap<ResourceName, Arc<GatewayReport>>>);

impl GatewayReports {
    /// Keeps a report in the place of the host's last one.
    pub fn note(&self, host: &ResourceName, report: GatewayReport) {
        self.0.lock().insert(host.clone(), Arc::new(report));
    }

    /// The host is deleted.
    pub fn forget(&self, host: &ResourceName) {
        self.0.lock().remove(host);
    }

    /// What the gateway of a host said last; none if it has said nothing since the controller started.
    pub fn of(&self, host: &ResourceName) -> Option<Arc<GatewayReport>> {
        self.0.lock().get(host).cloned()
    }
}
