//! Hosts in groups, where there are too many to draw each.

use std::collections::{BTreeMap, HashMap};

use super::{Health, Host};
use crate::pictures::words::Words;

/// Hosts that are drawn as one.
pub(super) struct Group<'f> {
    pub(super) name: String,
    pub(super) hosts: Vec<&'f Host>,
}

impl Group<'_> {
    /// How many of its hosts are how, worst last.
    pub(super) fn tally(&self) -> Vec<(Health, usize)> {
        let mut tally = BTreeMap::new();
        for host in &self.hosts {
            *tally.entry(host.health).or_insert(0) += 1;
        }
        tally.into_iter().collect()
    }
}

/// The groups that hosts name themselves, in the order in which they come; where they name fewer than two, equal parts of
/// the hosts.
pub(super) fn groups<'f>(hosts: &'f [Host], most: usize, words: &Words) -> Vec<Group<'f>> {
    let mut groups: Vec<Group<'f>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for host in hosts {
        let at = *places.entry(&host.group).or_insert_with(|| {
            groups.push(Group { name: host.group.clone(), hosts: Vec::new() });
            groups.len() - 1
        });
        groups[at].hosts.push(host);
    }
    if groups.len() < 2 {
        return parts(hosts, most);
    }
    let unnamed = groups.iter().position(|it| it.name.is_empty()).map(|at| groups.remove(at));
    let mut others = unnamed.map_or_else(Vec::new, |it| it.hosts);
    if groups.len() + usize::from(!others.is_empty()) > most {
        others.extend(groups.drain(most - 1..).flat_map(|it| it.hosts));
    }
    if !others.is_empty() {
        groups.push(Group { name: words.others.to_owned(), hosts: others });
    }
    groups
}

fn parts(hosts: &[Host], most: usize) -> Vec<Group<'_>> {
    // As many groups as hosts in each, about.
    let size = hosts.len().isqrt().max(hosts.len().div_ceil(most)).max(1);
    let part = |hosts: &'_ [Host]| match hosts {
        [first, .., last] => format!("{} – {}", first.name, last.name),
        [only] => only.name.clone(),
        [] => String::new(),
    };
    hosts.chunks(size).map(|hosts| Group { name: part(hosts), hosts: hosts.iter().collect() }).collect()
}
