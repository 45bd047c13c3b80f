//! `netvirt migrate`: the network follows a VM that somebody moves to another host while it runs.
//!
//! The port is prepared on both hosts, and when all hosts that know the VM know that, whoever moves VMs may move this one.
//! Its first sign of life on the other host takes the network there; all that is done here is to wait for it.

use std::time::{Duration, Instant};

use api::Outcome;
use api::fabric::{Change, ChangeReport, ChangeResult, ChangeSet, Item};
use model::fabric::{Key, Kind, ResourceName};
use serde_json::Value;

use super::{Controller, wait};
use crate::CliError;
use crate::args::Migrate;
use crate::fields;
use crate::run::Streams;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// How long the hosts may take to know of it.
const PREPARATION: Duration = Duration::from_secs(30);

/// Prepares, says when the VM may be moved, and waits until it has.
pub fn migrate(controller: &Controller, migrate: &Migrate, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let key = controller.key(Kind::Port, &migrate.port)?;
    let to = &migrate.to;
    let item = controller.client.get(&key)?;
    let from = host_of(&item).unwrap_or_default();
    if let Some(other) = goes_to(&item) {
        return Err(CliError::Told(format!(
            "{key} is on its way from {from} to {other} already; wait for that, or take it back with \"netvirt set port {} \
             --migrate-to ''\"",
            key.name
        )));
    }
    await_rest(controller, &key, item)?;
    if let Err(error) = direct(controller, &key, Some(to), true) {
        // Where nothing was declared there is nothing to take back.
        if matches!(error, CliError::NotRealized(_)) {
            direct(controller, &key, None, false)?;
            streams.note(&format!("note: {key} stays on {from}; do not move its VM"))?;
        }
        return Err(error);
    }
    streams.print(&format!("{key} is prepared on {to}: move its VM there from {from} now\n"))?;
    let began = Instant::now();
    while began.elapsed() < migrate.timeout {
        std::thread::sleep(PAUSE);
        // A controller that does not answer now may in a moment; the hosts follow the VM without it.
        let Ok(item) = controller.client.get(&key) else { continue };
        match (host_of(&item).as_deref(), goes_to(&item).as_deref()) {
            (Some(host), _) if host == to.as_str() => {
                let waited = began.elapsed().as_secs_f64();
                return streams.print(&format!("{key} is on {to}: its VM was heard there after {waited:.1} s\n"));
            }
            (_, Some(goes)) if goes == to.as_str() => {}
            _ => return Err(CliError::Told(format!("{key} is to go to {to} no more: somebody else has changed that"))),
        }
    }
    // Nothing is taken back: the VM may come at any moment, and would be cut off then.
    Err(CliError::Told(format!(
        "{key}: its VM was not heard on {to} within {}; it is prepared there still. When it is sure that the VM stays on {from}, say \
         \"netvirt set port {} --migrate-to ''\"",
        humantime::format_duration(migrate.timeout),
        key.name
    )))
}

/// Waits until nothing is late from the VM's last move: what a host has not heard of that could mislead it in this one.
fn await_rest(controller: &Controller, key: &Key, mut item: Item) -> Result<(), CliError> {
    let began = Instant::now();
    while item.status.allocation.came_from.is_some() && began.elapsed() < PREPARATION {
        std::thread::sleep(PAUSE);
        item = controller.client.get(key)?;
    }
    let known = ChangeReport {
        revision: item.revision,
        results: vec![ChangeResult { outcome: Outcome::Unchanged, item }],
        findings: Vec::new(),
    };
    wait::until_realized(controller, &known, PREPARATION)
}

/// Says where a port is to go, or that it stays; and waits until all hosts know, if that matters.
fn direct(controller: &Controller, key: &Key, to: Option<&ResourceName>, waits: bool) -> Result<(), CliError> {
    let item = controller.client.get(key)?;
    let mut spec = item.spec;
    if let Some(spec) = spec.as_object_mut() {
        spec.insert("migrateTo".to_owned(), to.map_or(Value::Null, |to| to.as_str().into()));
    }
    let resource = fields::changed_at_controller(key, spec)?;
    let changes = vec![Change::Replace { resource, revision: Some(item.revision) }];
    let report = controller.client.change(&ChangeSet { changes, dry_run: false })?;
    if waits { wait::until_realized(controller, &report, PREPARATION) } else { Ok(()) }
}

fn host_of(item: &Item) -> Option<String> {
    item.spec.get("host").and_then(Value::as_str).map(str::to_owned)
}

fn goes_to(item: &Item) -> Option<String> {
    item.spec.get("migrateTo").and_then(Value::as_str).map(str::to_owned)
}
