//! The agent's part in a gateway: it tells `netvirt gateway`, which runs beside it, what to carry out, and keeps what that
//! reports. It has no say in either.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use api::{Bell, Change, ChangeSet, CompartmentStatus, GatewayStatus, GatewayWork, RealizedState};
use model::gateway::{Compartment, GatewayBeat, GatewayReport};
use model::{Kind, QualifiedName, Resource};
use plan::Update;
use tokio::sync::Notify;

use crate::core::Core;

/// How long a report counts. A gateway says it again more often than that.
const FRESH: Duration = Duration::from_secs(10);
/// What is said of a gateway that says nothing.
const SILENT: &str = "netvirt gateway has not reported; is it running?";

/// What the gateway of this host has to carry out, and how it stands with that.
pub struct Gateways {
    /// The host's gateway and its compartments.
    resources: Vec<Resource>,
    mtus: BTreeMap<QualifiedName, u32>,
    /// Whether the controller has said it in the present session, or there is none.
    confirmed: bool,
    /// Rings when one of these changes.
    pub bell: Arc<Bell>,
    report: Option<(Instant, GatewayReport)>,
    /// Told of each report that says something new.
    pub news: Arc<Notify>,
    beat: Option<(Instant, GatewayBeat)>,
    /// Told of each sign of life.
    pub beats: Arc<Notify>,
}

impl Gateways {
    /// Nothing to do. The first number is the time, so that no number means something else after a restart.
    pub fn new(started: SystemTime) -> Self {
        let since = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let first = u64::try_from(since.as_micros()).unwrap_or_default();
        Self {
            resources: Vec::new(),
            mtus: BTreeMap::new(),
            confirmed: true,
            bell: Arc::new(Bell::new(first)),
            report: None,
            news: Arc::default(),
            beat: None,
            beats: Arc::default(),
        }
    }

    /// Notes whether the controller has said in the present session what there is to do. The gateway is told.
    pub fn confirm(&mut self, confirmed: bool) {
        if std::mem::replace(&mut self.confirmed, confirmed) != confirmed {
            self.bell.ring(self.bell.revision() + 1);
        }
    }

    /// What the controller is to know: the report, or that there is none though there is something to do.
    pub fn told(&self) -> Option<GatewayReport> {
        match self.report() {
            Ok(report) => Some(report.clone()),
            Err(_) if self.report.is_none() && self.resources.is_empty() => None,
            Err(why) => Some(GatewayReport { trouble: Some(why), ..GatewayReport::default() }),
        }
    }

    /// Takes in a sign of life.
    pub fn take_beat(&mut self, beat: GatewayBeat) {
        self.beat = Some((Instant::now(), beat));
        self.beats.notify_one();
    }

    /// The sign of life that this host gives, with the last one of its gateway in it; none where the gateway has no other host
    /// that could take its place.
    pub fn sign_of_life(&self) -> Option<GatewayBeat> {
        let has_peers =
            |resource: &Resource| matches!(resource, Resource::Gateway(gateway) if !gateway.peers.is_empty());
        if !self.resources.iter().any(has_peers) {
            return None;
        }
        let Some((at, beat)) = &self.beat else { return Some(GatewayBeat::default()) };
        let age = u32::try_from(at.elapsed().as_millis()).unwrap_or(u32::MAX);
        Some(GatewayBeat { age: Some(age), ..beat.clone() })
    }

    /// Takes in a report.
    pub fn take_report(&mut self, report: GatewayReport) {
        let is_new = self.report.as_ref().is_none_or(|(_, before)| *before != report);
        self.report = Some((Instant::now(), report));
        if is_new {
            self.news.notify_one();
        }
    }

    /// A report that counts, or why there is none.
    fn report(&self) -> Result<&GatewayReport, String> {
        match &self.report {
            Some((at, report)) if at.elapsed() < FRESH => Ok(report),
            _ => Err(SILENT.to_owned()),
        }
    }

    /// What is known of the host's being a gateway.
    pub fn of_gateway(&self) -> GatewayStatus {
        let (compartments, reason) = match self.report() {
            Ok(report) => {
                let names = report.compartments.iter().map(|compartment| compartment.name.to_string());
                (names.collect(), report.trouble.clone())
            }
            Err(why) => (Vec::new(), Some(why)),
        };
        GatewayStatus { state: realized(&reason), reason, compartments }
    }

    /// What is known of a compartment.
    pub fn of(&self, name: &QualifiedName) -> CompartmentStatus {
        let report = match self.report() {
            Ok(report) => report,
            Err(why) => {
                return CompartmentStatus { state: RealizedState::NotInForce, reason: Some(why), ..Default::default() };
            }
        };
        let Some(of) = report.compartments.iter().find(|compartment| compartment.name == *name) else {
            let waits = || "netvirt gateway has not come to it yet; if that lasts, its log says why".to_owned();
            let reason = Some(report.trouble.clone().unwrap_or_else(waits));
            return CompartmentStatus { state: RealizedState::NotInForce, reason, ..Default::default() };
        };
        let reason = report.trouble.clone().or_else(|| of.trouble.clone());
        CompartmentStatus {
            state: realized(&reason),
            reason,
            namespace: Some(of.namespace.clone()),
            connections: of.connections.clone(),
        }
    }
}

fn realized(reason: &Option<String>) -> RealizedState {
    if reason.is_none() { RealizedState::InForce } else { RealizedState::NotInForce }
}

impl Core {
    /// What the gateway of this host has to carry out.
    pub fn gateway_work(&self) -> GatewayWork {
        let Gateways { resources, mtus, bell, confirmed, .. } = &self.gateways;
        GatewayWork {
            revision: bell.revision(),
            host: self.name.clone(),
            resources: resources.clone(),
            mtus: mtus.clone(),
            confirmed: *confirmed,
        }
    }

    /// Tells the gateway what has become of its work, if it is another one since this update; without one, whatever changed.
    pub fn follow_gateways(&mut self, update: Option<&Update>) {
        let is_about = |kind: Kind| matches!(kind, Kind::Gateway | Kind::Compartment);
        let declared = update.is_none_or(|update| update.kinds().any(is_about));
        let none = self.gateways.resources.is_empty();
        // Most hosts are no gateways, and most changes change nothing for those that are.
        if !declared && (none || update.is_some_and(|update| update.ports.is_empty())) {
            return;
        }
        let resources = declared.then(|| {
            let of_kind = |kind| self.intent().of_kind(kind).map(|(_, resource)| resource.clone());
            of_kind(Kind::Gateway).chain(of_kind(Kind::Compartment)).collect::<Vec<_>>()
        });
        let resources = resources.filter(|resources| *resources != self.gateways.resources);
        let mtus = self.inside_mtus();
        if resources.is_none() && mtus == self.gateways.mtus {
            return;
        }
        self.gateways.mtus = mtus;
        if let Some(resources) = resources {
            self.gateways.resources = resources;
        }
        self.gateways.bell.ring(self.gateways.bell.revision() + 1);
    }

    /// Puts secrets back where only what stands for them was written, as they were declared before.
    pub fn find_secrets(&self, set: &mut ChangeSet) {
        for change in &mut set.changes {
            let (Change::Put(new) | Change::Replace(new)) = change else { continue };
            let old = matches!(new, Resource::Compartment(_)).then(|| self.desired.declared.get(&new.key())).flatten();
            if let Some(found) = old.and_then(|old| new.with_secrets_of(old)) {
                *new = found;
            }
        }
    }

    /// The MTU of each compartment's port.
    fn inside_mtus(&self) -> BTreeMap<QualifiedName, u32> {
        let mtu = |compartment: &Compartment| {
            let port = self.intent().port_on(&compartment.inside.device)?;
            Some((compartment.name.clone(), self.ports().get(&port.name)?.mtu?))
        };
        self.intent().compartments().filter_map(|(_, compartment)| mtu(compartment)).collect()
    }
}
