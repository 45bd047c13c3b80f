//! The network before a VM moves: its port is declared to go to the other host, and all hosts that know the VM have
//! acknowledged that; and the way back.

use std::time::{Duration, Instant};

use api::fabric::{Change, ChangeReport, ChangeResult, ChangeSet, Item};
use api::{Outcome, ProblemType};
use model::fabric::{Key, ResourceName};
use serde_json::Value;

use super::{Move, PAUSE, goes_to, host_of};
use crate::CliError;
use crate::at_controller::{Controller, wait};
use crate::fields;
use crate::run::Streams;

/// How long the hosts may take to know of it.
const PREPARATION: Duration = Duration::from_secs(30);
/// How often it is taken back while somebody else changes the port.
const ATTEMPTS: usize = 5;

impl Move<'_> {
    /// Declares that the port goes, and waits until all hosts know; those in `without` are not waited for. `item` is the port as
    /// it was looked at.
    pub(super) fn prepare(
        &self,
        item: Item,
        without: &[ResourceName],
        streams: &mut Streams<'_>,
    ) -> Result<(), CliError> {
        let Self { controller, key, from, to, .. } = self;
        let item = await_rest(controller, key, item, without)?;
        self.must_stay_yet(&item)?;
        // Whoever has changed the port since then may move it himself: then this one does not.
        let report = declare(controller, key, item, &[("migrateTo", to.as_str().into())], without)?;
        let prepared = wait::until_realized(controller, &report, PREPARATION, without).and_then(|()| self.is_whole());
        if let Err(error) = prepared {
            take_back(self)?;
            streams.note(&format!(
                "note: {key} stays on {from}, and nothing is prepared any more; a host that is away can be passed over with --without"
            ))?;
            return Err(error);
        }
        Ok(())
    }

    /// Whether no host has left out what it was told of the port, because it contradicts what the host itself declares.
    fn is_whole(&self) -> Result<(), CliError> {
        let Self { controller, key, to, .. } = self;
        let findings = controller.client.get(key)?.status.findings;
        if findings.is_empty() {
            return Ok(());
        }
        Err(CliError::Told(format!(
            "{key} cannot move to {to}, since not every host has taken over what it was told of it: {}; mend that there, and try again",
            findings.join("; ")
        )))
    }
}

/// Waits until nothing is late from the VM's last move: what a host has not heard of that could mislead it in this one. Whether it
/// is so the controller judges; here it is waited for. The port as it is then.
fn await_rest(controller: &Controller, key: &Key, mut item: Item, without: &[ResourceName]) -> Result<Item, CliError> {
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
    wait::until_realized(controller, &known, PREPARATION, without)?;
    Ok(controller.client.get(key)?)
}

/// Declares fields of a port as it was looked at.
fn declare(
    controller: &Controller,
    key: &Key,
    item: Item,
    values: &[(&str, Value)],
    without: &[ResourceName],
) -> Result<ChangeReport, CliError> {
    let mut spec = item.spec;
    if let Some(spec) = spec.as_object_mut() {
        spec.extend(values.iter().map(|(field, value)| ((*field).to_owned(), value.clone())));
    }
    let resource = fields::changed_at_controller(key, spec)?;
    let changes = vec![Change::Replace { resource, revision: Some(item.revision) }];
    Ok(controller.client.change(&ChangeSet { changes, without: without.to_vec(), ..ChangeSet::default() })?)
}

/// Declares that the port stays where it was. If its VM was heard at the other host before it was ended there, the port has
/// gone there, and comes back.
pub(super) fn take_back(its: &Move<'_>) -> Result<(), CliError> {
    let Move { controller, key, from, to, .. } = its;
    let mut attempts = 0..ATTEMPTS;
    loop {
        let item = controller.client.get(key)?;
        let mut values = vec![("migrateTo", Value::Null)];
        if host_of(&item).as_deref() == Some(to.as_str()) {
            values.push(("host", from.as_str().into()));
        } else if goes_to(&item).as_deref() != Some(to.as_str()) {
            return Ok(());
        }
        match declare(controller, key, item, &values, &[]) {
            Err(CliError::Fabric(error)) if attempts.next().is_some() && is_outdated(&error) => {}
            declared => return declared.map(drop),
        }
    }
}

/// Whether somebody else has changed it in between.
fn is_outdated(error: &api::fabric::ClientError) -> bool {
    error.problem().is_some_and(|problem| problem.problem_type == ProblemType::PreconditionFailed)
}
