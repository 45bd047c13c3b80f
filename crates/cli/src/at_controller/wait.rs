//! `--wait`: until what was declared is in force on every host that needs it, and what was deleted gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use api::fabric::{ChangeReport, Item, Realized};
use api::{Outcome, ProblemType};
use model::fabric::{Key, Kind, ResourceName};

use super::Controller;
use crate::CliError;

/// The pause between two looks, at first and at most; it doubles.
const PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(500)];
/// Of more resources than this of one kind and owner, all are listed instead of each being asked for.
const SINGLY: usize = 8;

/// What is not in force yet, and where.
type Missing = BTreeMap<Key, Realized>;

/// Waits, but no longer than `limit`, and not for the hosts in `without`.
///
/// # Errors
/// [`CliError::NotRealized`] with the hosts that are missing and why.
pub fn until_realized(
    controller: &Controller,
    report: &ChangeReport,
    limit: Duration,
    without: &[ResourceName],
) -> Result<(), CliError> {
    let end = Instant::now() + limit;
    let declared = report.results.iter().filter(|result| result.outcome != Outcome::Deleted);
    let mut missing: Missing = declared.filter_map(|result| outstanding(&result.item, without)).collect();
    let mut pause = PAUSES[0];
    while !missing.is_empty() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let time = humantime::format_duration(limit);
            let sentences = missing.iter().map(|(key, realized)| sentence(key, realized, &time.to_string()));
            return Err(CliError::NotRealized(sentences.collect()));
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(PAUSES[1]);
        missing = look(controller, &missing, without)?;
    }
    Ok(())
}

/// Waits until what was deleted is gone from every host that had it, but not past `end`, which is `limit` after the
/// beginning.
///
/// # Errors
/// [`CliError::NotRealized`] with the hosts that may have it still and why.
pub fn until_gone(
    controller: &Controller,
    report: &ChangeReport,
    end: Instant,
    limit: Duration,
) -> Result<(), CliError> {
    let deleted = || report.results.iter().filter(|result| result.outcome == Outcome::Deleted);
    let mut pause = PAUSES[0];
    while deleted().next().is_some() {
        let realized = controller.client.realized(report.revision)?;
        if realized.everywhere() {
            break;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let time = humantime::format_duration(limit).to_string();
            let place = place(&realized);
            let sentence =
                |key: Key| format!("{key} is deleted, but was not seen to be gone within {time} from {place}");
            return Err(CliError::NotRealized(deleted().map(|result| sentence(result.item.key())).collect()));
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(PAUSES[1]);
    }
    Ok(())
}

/// The key and what is missing of an item that is not in force everywhere.
fn outstanding(item: &Item, without: &[ResourceName]) -> Option<(Key, Realized)> {
    let mut realized = item.status.realized.clone()?;
    let named = realized.waiting_for.len();
    realized.waiting_for.retain(|waiting| !without.contains(&waiting.host));
    // Who is passed over is not counted either.
    realized.of = realized.of.saturating_sub(u32::try_from(named - realized.waiting_for.len()).unwrap_or(u32::MAX));
    (!realized.everywhere()).then(|| (item.key(), realized))
}

/// Which of these are still not in force.
fn look(controller: &Controller, missing: &Missing, without: &[ResourceName]) -> Result<Missing, CliError> {
    let mut groups: BTreeMap<(Kind, Option<ResourceName>), BTreeSet<&Key>> = BTreeMap::new();
    for key in missing.keys() {
        groups.entry((key.kind, key.tenant.clone())).or_default().insert(key);
    }
    let mut still = Missing::new();
    for ((kind, tenant), keys) in groups {
        if keys.len() > SINGLY {
            let items = controller.client.list_all(kind, tenant.as_ref())?.items;
            still.extend(
                items.iter().filter(|item| keys.contains(&item.key())).filter_map(|item| outstanding(item, without)),
            );
            continue;
        }
        for key in keys {
            match controller.client.get(key) {
                Ok(item) => still.extend(outstanding(&item, without)),
                // Somebody has deleted it: there is nothing left to wait for.
                Err(error) if error.problem().is_some_and(|problem| problem.problem_type == ProblemType::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(still)
}

/// `port "a" is not realized within 30s on 1 of 2 hosts: host16 (its agent is not connected)`.
fn sentence(key: &Key, realized: &Realized, time: &str) -> String {
    format!("{key} is declared, but not realized within {time} on {}", place(realized))
}

/// `1 of 2 hosts: host16 (its agent is not connected)`.
fn place(realized: &Realized) -> String {
    let lacking = realized.of.saturating_sub(realized.hosts);
    let hosts: Vec<String> =
        realized.waiting_for.iter().map(|host| format!("{} ({})", host.host, host.reason)).collect();
    let unnamed = usize::try_from(lacking).unwrap_or(usize::MAX).saturating_sub(hosts.len());
    let more = match (hosts.is_empty(), unnamed) {
        (_, 0) | (true, _) => String::new(),
        (false, unnamed) => format!(" and {unnamed} more"),
    };
    let list = if hosts.is_empty() { String::new() } else { format!(": {}{more}", hosts.join(", ")) };
    format!("{lacking} of {} hosts{list}", realized.of)
}

#[cfg(test)]
mod tests {
    use api::fabric::HostRealization;

    use super::*;

    #[test]
    fn what_is_missing_is_said_with_its_reason() {
        let key = Key::new(Kind::Port, None, "test01".parse().unwrap());
        let waiting =
            |host: &str| HostRealization { host: host.parse().unwrap(), reason: "its agent is not connected".into() };
        let realized = Realized { hosts: 1, of: 2, waiting_for: vec![waiting("host16")] };
        assert_eq!(
            sentence(&key, &realized, "30s"),
            "port \"test01\" is declared, but not realized within 30s on 1 of 2 hosts: host16 (its agent is not connected)"
        );
        let realized = Realized { hosts: 0, of: 150, waiting_for: vec![waiting("a"), waiting("b")] };
        assert!(sentence(&key, &realized, "1s").ends_with("b (its agent is not connected) and 148 more"));
        let realized = Realized { hosts: 0, of: 1, waiting_for: Vec::new() };
        assert!(sentence(&key, &realized, "1s").ends_with("on 1 of 1 hosts"));
    }
}
