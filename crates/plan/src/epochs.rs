//! Which policy epochs end with a change of the tables: what was decided about flows under them counts no longer.
//!
//! To end too many costs the flows of a VM network a second look each, to end too few would let through what is no longer
//! allowed: where it cannot be told whom a change concerns, all end.

use std::collections::BTreeSet;

use pipeline::flow::epoch_index;

use crate::{Changes, HostTables, TableChanges};

/// Policy epochs of VM networks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Epochs {
    /// All.
    All,
    /// Those with these indexes ([`pipeline::flow::epoch_index`]).
    Some(BTreeSet<u32>),
}

/// All keys that change.
fn keys<K: Ord + Copy, V>(changes: &TableChanges<K, V>) -> impl Iterator<Item = K> + '_ {
    changes.deletions.iter().chain(changes.upserts.keys()).copied()
}

/// The policy epochs that end with these changes, `after` being the tables as they are then.
pub fn epochs(changes: &Changes, after: &HostTables) -> Epochs {
    let everybody = changes.host.is_some()
        || !changes.peers.is_empty()
        || !changes.providers.is_empty()
        || !changes.plain.is_empty();
    if everybody {
        return Epochs::All;
    }
    let mut indexes = BTreeSet::new();
    let networks = keys(&changes.records).map(|key| key.vsid);
    let networks = networks.chain(keys(&changes.stations).map(|key| key.vsid)).chain(keys(&changes.subnets));
    let mut last = None;
    for vsid in networks {
        // Many of them in one VM subnet come one after the other.
        if last.replace(vsid) == Some(vsid) {
            continue;
        }
        let domain = after.subnets.get(&vsid).map_or(0, |subnet| subnet.domain);
        indexes.extend([epoch_index(domain, vsid), epoch_index(0, vsid)]);
    }
    indexes.extend(keys(&changes.routes).map(|key| epoch_index(u32::from_be_bytes(key.domain), 0)));
    indexes.extend(changes.ports.upserts.values().map(|port| epoch_index(port.domain, port.vsid)));
    let policies = policies(changes);
    let ports = after.ports.values().filter(|port| policies.contains(&port.policy));
    indexes.extend(ports.map(|port| epoch_index(port.domain, port.vsid)));
    Epochs::Some(indexes)
}

/// The policies of which something changes. A set of rules has a number that follows from what is in it, so that no set
/// changes without somebody who names it.
fn policies(changes: &Changes) -> BTreeSet<u32> {
    let sides = keys(&changes.prefixes).map(|key| u32::from_be_bytes(key.side));
    let sides = sides.chain(keys(&changes.services).map(|key| u32::from_be_bytes(key.side)));
    let sides = sides.chain(keys(&changes.members).map(|key| key.side)).chain(keys(&changes.rules).map(|key| key.side));
    let mut policies: BTreeSet<u32> = keys(&changes.policies).collect();
    policies.extend(sides.map(|side| side >> 1));
    policies
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeline::policy::{MemberKey, Rule, RuleKey};
    use pipeline::{Address, Port, Record, RecordKey, Route, RouteKey, Subnet};

    fn tables() -> HostTables {
        let port = |vsid, domain, policy| Port { vsid, domain, policy, ..Port::default() };
        HostTables {
            ports: [(7, port(5001, 0x1234, 3)), (8, port(6001, 0x5678, 0))].into(),
            subnets: [
                (5001, Subnet { domain: 0x1234, ..Subnet::default() }),
                (6001, Subnet { domain: 0x5678, ..Subnet::default() }),
            ]
            .into(),
            ..HostTables::default()
        }
    }

    fn some(indexes: impl IntoIterator<Item = u32>) -> Epochs {
        Epochs::Some(indexes.into_iter().collect())
    }

    #[test]
    fn a_change_ends_the_epochs_of_the_networks_that_it_is_about() {
        let mut changes = Changes::default();
        assert_eq!(epochs(&changes, &tables()), some([]));
        let key = RecordKey { vsid: 5001, address: Address::v4([10, 0, 0, 5]) };
        changes.records.upserts.insert(key, Record::default());
        assert_eq!(epochs(&changes, &tables()), some([0x234, 5001 % 4096]));
        changes.records.upserts.clear();
        changes.routes.deletions.insert(RouteKey::exact(0x5678, Address::v4([10, 0, 0, 0])));
        assert_eq!(epochs(&changes, &tables()), some([0x678]));
        changes.routes.upserts.insert(RouteKey::exact(0x1234, Address::v4([10, 0, 0, 0])), Route::default());
        assert_eq!(epochs(&changes, &tables()), some([0x234, 0x678]));
    }

    #[test]
    fn a_policy_is_about_the_networks_of_its_ports() {
        let mut changes = Changes::default();
        changes.rules.upserts.insert(RuleKey { side: 3 << 1 | 1, index: 0 }, Rule::default());
        assert_eq!(epochs(&changes, &tables()), some([0x234]));
        changes.rules.upserts.clear();
        changes.members.deletions.insert(MemberKey { side: 4 << 1, groups: 1 });
        assert_eq!(epochs(&changes, &tables()), some([]), "no port of this host has the policy");
    }

    #[test]
    fn the_underlay_is_about_everybody() {
        let mut changes = Changes { host: Some(None), ..Changes::default() };
        assert_eq!(epochs(&changes, &tables()), Epochs::All);
        changes.host = None;
        changes.providers.deletions.insert(Address::v4([192, 168, 4, 11]));
        assert_eq!(epochs(&changes, &tables()), Epochs::All);
    }
}
