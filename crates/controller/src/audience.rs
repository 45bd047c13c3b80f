//! How far the hosts are that need something, found out once for all objects that the same hosts need.

use api::fabric::{HostRealization, Realized};
use model::fabric::ResourceName;
use plan::fabric::Late;
use proto::Standing;

use crate::hosts::Sessions;
use crate::limits::MAX_WAITING_FOR;
use crate::realized::Needs;

/// The hosts of an audience as one moment shows them.
pub struct Hosts {
    hosts: Vec<Known>,
    /// Of those that have everything that they need, the revision up to which they have it; the lowest first.
    far: Vec<u64>,
}

struct Known {
    name: ResourceName,
    standing: Standing,
    /// The revision since which it needs all that it needs.
    since: u64,
}

impl Known {
    fn has(&self, revision: u64) -> bool {
        self.standing.in_force.is_some_and(|in_force| in_force >= revision.max(self.since))
    }
}

impl Hosts {
    /// Asks how far these hosts are.
    pub fn look<'a>(
        names: impl Iterator<Item = &'a ResourceName>,
        needs: &Needs,
        sessions: &(impl Sessions + ?Sized),
    ) -> Self {
        let names: Vec<&ResourceName> = names.collect();
        let standings = sessions.standing(&names);
        let known = |(name, standing): (&ResourceName, Standing)| Known {
            name: name.clone(),
            standing,
            since: needs.since(name),
        };
        let hosts: Vec<Known> = names.into_iter().zip(standings).map(known).collect();
        let mut far: Vec<u64> =
            hosts.iter().filter(|host| host.has(0)).filter_map(|host| host.standing.in_force).collect();
        far.sort_unstable();
        Self { hosts, far }
    }

    /// On how many of them something is in force that was last changed by this revision; `named` says which of the
    /// others are named.
    pub fn realized(&self, revision: u64, named: bool) -> Realized {
        let has = self.far.len() - self.far.partition_point(|far| *far < revision);
        let mut realized = Realized { of: count(self.hosts.len()), hosts: count(has), ..Realized::default() };
        if named && has < self.hosts.len() {
            let waiting = self.hosts.iter().filter(|host| !host.has(revision)).take(MAX_WAITING_FOR);
            realized.waiting_for = waiting.map(|host| host.waited_for(revision)).collect();
        }
        realized
    }

    /// Those on which it is not in force.
    pub fn lacking(&self, revision: u64) -> impl Iterator<Item = &ResourceName> {
        self.hosts.iter().filter(move |host| !host.has(revision)).map(|host| &host.name)
    }

    /// The same, with whether they are connected.
    pub fn late(&self, revision: u64) -> impl Iterator<Item = Late> {
        let late = self.hosts.iter().filter(move |host| !host.has(revision));
        late.map(|host| Late { host: host.name.clone(), connected: host.standing.connected })
    }
}

impl Known {
    fn waited_for(&self, revision: u64) -> HostRealization {
        let reason = match self.standing {
            Standing { connected: false, .. } => "its agent is not connected".to_owned(),
            Standing { in_force: None, .. } => "its agent has not acknowledged anything yet".to_owned(),
            Standing { in_force: Some(now), .. } => {
                format!("its agent has acknowledged revision {now} and not yet {}", revision.max(self.since))
            }
        };
        HostRealization { host: self.name.clone(), reason }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
