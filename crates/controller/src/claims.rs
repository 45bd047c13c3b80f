//! Ports that any host may plug: carries out what `plan` decides about claims, and says how far the hosts are with it.

use model::fabric::{Key, Object, ResourceName, Spec};
use plan::fabric::{Change, ClaimStep, host_port_name};
use proto::{Claim, Claimed};
use uuid::Uuid;

use crate::commit::Actor;
use crate::core::{Core, Work};
use crate::hosts::Reports;
use crate::state::State;

/// How often a claim is judged anew at once, because of what it changed itself. Twice is enough but for others who change the
/// port at the same time.
const ROUNDS: usize = 4;

/// Takes a claim as far as it goes.
pub fn claim(core: &Core, host: &ResourceName, claim: &Claim) -> Claimed {
    if claim.release {
        return release(core, host, claim.uid);
    }
    for _ in 0..ROUNDS {
        let step = {
            let state = core.state();
            judge(core, &state, host, claim)
        };
        match step {
            Err(refusal) => return Claimed::Refused(refusal),
            Ok(ClaimStep::Wait(why)) => return Claimed::Pending(why),
            Ok(ClaimStep::Stands { port, moves }) => return progress(core, host, &port, moves, claim.uid),
            Ok(ClaimStep::Change(_)) => {}
        }
        let actor = Actor { who: format!("host {host}"), action: Some("claim") };
        let done = core.transact(&actor, false, |state| {
            // What was judged may be another's by now.
            let changes = match judge(core, state, host, claim) {
                Ok(ClaimStep::Change(resource)) => vec![Change::Put { resource: *resource, revision: None }],
                _ => Vec::new(),
            };
            Ok(Work::Changes(changes).into())
        });
        if let Err(problem) = done {
            return Claimed::Refused(problem.detail);
        }
    }
    Claimed::Pending("somebody else changes the port at the same time".to_owned())
}

fn judge(core: &Core, state: &State, host: &ResourceName, claim: &Claim) -> Result<ClaimStep, String> {
    let bound = |object: &Object, at: &ResourceName| is_bound(&core.reports(), object, at);
    state.fabric.claim(claim.uid, host, claim.device.as_ref(), bound).map_err(|refusal| refusal.to_string())
}

/// Whether a port's device is on its host, as that has said.
fn is_bound(reports: &Reports, object: &Object, host: &ResourceName) -> Option<bool> {
    reports.get(host)?.ports.get(&host_port_name(&object.key())?).copied()
}

/// Whether what must know of a claim does: the host itself, and of a VM that moves all others, so that none sends to where it
/// is not.
fn progress(core: &Core, host: &ResourceName, port: &Key, moves: bool, uid: Uuid) -> Claimed {
    let state = core.state();
    let Some(object) = state.fabric.get(port) else {
        return Claimed::Pending(format!("port {uid} is being deleted"));
    };
    let Spec::Port(_) = &object.resource.spec else { return Claimed::Pending(format!("{uid} is no port")) };
    let lacking = core.view(&state, |view| view.lacking(object));
    let missing: Vec<&str> = lacking.iter().filter(|name| moves || *name == host).map(ResourceName::as_str).collect();
    if missing.is_empty() {
        return Claimed::Done;
    }
    Claimed::Pending(format!("port {uid} is not yet known on {}", missing.join(", ")))
}

fn release(core: &Core, host: &ResourceName, uid: Uuid) -> Claimed {
    if core.state().fabric.release(uid, host).is_none() {
        return Claimed::Done;
    }
    let actor = Actor { who: format!("host {host}"), action: Some("release") };
    let done = core.transact(&actor, false, |state| {
        let change = state.fabric.release(uid, host);
        Ok(Work::Changes(change.map(|resource| Change::Put { resource, revision: None }).into_iter().collect()).into())
    });
    match done {
        Ok(_) => Claimed::Done,
        Err(problem) => Claimed::Refused(problem.detail),
    }
}
