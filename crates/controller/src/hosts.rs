//! What is known of hosts besides what is declared: whether they are connected, what their agents said.

use std::collections::HashMap;
use std::time::Duration;

use api::HostQuestion;
use api::fabric::LastMove;
use model::Name;
use model::fabric::{Key, ResourceName};
use plan::fabric::TopicChange;
use proto::{AskError, Report, Standing};

use crate::limits::MAX_FINDINGS;

/// The sessions with the agents, as the core sees them. [`proto::Hub`] is it; tests have one of their own.
pub trait Sessions: Send + Sync {
    /// Tells the agents what a revision changes; called in the order of revisions, and must not block.
    fn publish(&self, revision: u64, changes: &[TopicChange]);
    /// How far hosts are, each in its place.
    fn standing(&self, hosts: &[&ResourceName]) -> Vec<Standing>;
    /// How many hosts are connected.
    fn connected(&self) -> usize;
    /// Ends the session of a host that was deleted.
    fn disconnect(&self, host: &ResourceName);
    /// Asks a host something, on the part of its places that `asker` has. It must not block; the answer is waited for with what
    /// it gives.
    ///
    /// # Errors
    /// When the host cannot be asked now.
    fn ask(&self, host: &ResourceName, asker: &str, question: &HostQuestion) -> Result<Pending, AskError>;
}

/// Waits for a host's answer, for so long since it was asked.
pub type Pending = Box<dyn FnOnce(Duration) -> Result<Vec<u8>, AskError> + Send>;

impl Sessions for proto::Hub {
    fn publish(&self, revision: u64, changes: &[TopicChange]) {
        self.publish(revision, changes);
    }

    fn standing(&self, hosts: &[&ResourceName]) -> Vec<Standing> {
        self.standing(hosts.iter().copied())
    }

    fn connected(&self) -> usize {
        self.connected().len()
    }

    fn disconnect(&self, host: &ResourceName) {
        self.disconnect(host);
    }

    fn ask(&self, host: &ResourceName, asker: &str, question: &HostQuestion) -> Result<Pending, AskError> {
        let waiting = self.ask(host, asker, question.name(), question.to_bytes())?;
        Ok(Box::new(move |limit| waiting.wait(limit)))
    }
}

/// What the agents said since the controller started.
#[derive(Default)]
pub struct Reports {
    hosts: HashMap<ResourceName, HostReport>,
    /// The last moves of ports, as far as they were seen.
    moves: HashMap<Key, LastMove>,
}

/// What one agent said.
#[derive(Clone, Default, Debug)]
pub struct HostReport {
    /// Version of the agent.
    pub version: Option<String>,
    /// When it was last heard of, in milliseconds since 1970.
    pub last_seen: Option<u64>,
    /// Its ports by the names that they have there, and whether their devices exist.
    pub ports: HashMap<Name, bool>,
    /// What it found, one sentence each.
    pub findings: Vec<String>,
    /// Why what it said of itself could not be taken over.
    pub refusal: Option<String>,
}

impl Reports {
    pub fn get(&self, host: &ResourceName) -> Option<&HostReport> {
        self.hosts.get(host)
    }

    /// Something was heard of the host.
    pub fn seen(&mut self, host: &ResourceName, now: u64) -> &mut HostReport {
        let report = self.hosts.entry(host.clone()).or_default();
        report.last_seen = report.last_seen.max(Some(now));
        report
    }

    /// Takes a report over; returns the ports whose devices came or went.
    pub fn take(&mut self, host: &ResourceName, report: &Report, now: u64) -> Vec<Name> {
        let known = self.seen(host, now);
        let ports: HashMap<Name, bool> = report.ports.iter().map(|port| (port.name.clone(), port.bound)).collect();
        let mut changed: Vec<Name> = ports
            .iter()
            .filter(|(name, bound)| known.ports.get(*name) != Some(*bound))
            .map(|(name, _)| name.clone())
            .collect();
        changed.extend(known.ports.keys().filter(|name| !ports.contains_key(*name)).cloned());
        known.ports = ports;
        known.findings = report.findings.iter().take(MAX_FINDINGS).cloned().collect();
        if let Some(more) = report.findings.len().checked_sub(MAX_FINDINGS).filter(|more| *more > 0) {
            known.findings.push(format!("{more} more findings are not shown; see \"netvirt status\" on the host"));
        }
        changed
    }

    /// How the VM of a port has moved last, while it ran.
    pub fn last_move(&self, port: &Key) -> Option<&LastMove> {
        self.moves.get(port)
    }

    /// Notes how a port's VM moves; whether that is news.
    pub fn moved(&mut self, port: &Key, moved: LastMove) -> bool {
        self.moves.insert(port.clone(), moved.clone()).as_ref() != Some(&moved)
    }

    /// The port is deleted.
    pub fn forget_port(&mut self, port: &Key) {
        self.moves.remove(port);
    }

    /// The host is deleted.
    pub fn forget(&mut self, host: &ResourceName) {
        self.hosts.remove(host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::PortReport;

    #[test]
    fn a_report_replaces_the_one_before_and_names_what_changed() {
        let host: ResourceName = "host15".parse().unwrap();
        let port = |name: &str, bound| PortReport { name: name.parse().unwrap(), bound };
        let mut reports = Reports::default();
        let mut report = Report { ports: vec![port("a", true), port("b", false)], ..Report::default() };
        assert_eq!(reports.take(&host, &report, 5).len(), 2);
        assert!(reports.take(&host, &report, 6).is_empty());
        report.ports = vec![port("b", true)];
        report.findings = (0..MAX_FINDINGS + 3).map(|number| format!("finding {number}")).collect();
        let mut changed: Vec<String> = reports.take(&host, &report, 4).iter().map(ToString::to_string).collect();
        changed.sort();
        assert_eq!(changed, ["a", "b"]);
        let known = reports.get(&host).unwrap();
        assert_eq!(known.last_seen, Some(6));
        assert_eq!(known.findings.len(), MAX_FINDINGS + 1);
        assert!(known.findings[MAX_FINDINGS].starts_with("3 more findings"));
    }
}
