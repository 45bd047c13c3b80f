//! Whatever was changed before, a change is judged as if all had been declared at once.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index as Pick;

use super::*;

/// Resources of several hosts, which agree in themselves but not with each other, and with oddities among them.
fn any_pool() -> impl Strategy<Value = Vec<Resource>> {
    (vec(Intent::any(), 2..4), vec(Resource::any(), 0..3), any::<Pick>()).prop_map(|(intents, odd, pick)| {
        let mut pool: Vec<Resource> = intents.iter().flat_map(|intent| intent.resources().cloned()).collect();
        // A port on an uplink, on the loopback, and on another's device; a record of another's MAC address.
        let other = pick.get(&pool).clone();
        let twisted = pool.clone().into_iter().filter_map(|resource| twist(resource, &other));
        let twisted: Vec<Resource> = twisted.take(12).collect();
        pool.extend(twisted);
        pool.extend(odd);
        pool
    })
}

/// The resource with something of another in it.
fn twist(mut resource: Resource, other: &Resource) -> Option<Resource> {
    match (&mut resource, other) {
        (Resource::Port(port), Resource::Port(other)) => port.device = other.device.clone(),
        (Resource::Port(port), Resource::ProviderAddress(other)) => port.device = other.interface.clone(),
        (Resource::Port(port), _) => port.device = "lo".parse().ok()?,
        (Resource::LookupRecord(record), Resource::LookupRecord(other)) => record.mac = other.mac,
        (Resource::LookupRecord(record), Resource::ProviderAddress(other)) => {
            record.customer_address = Some(other.address)
        }
        (Resource::CustomerRoute(route), Resource::CustomerRoute(other)) => route.rdid = other.rdid,
        (Resource::CustomerRoute(route), Resource::LookupRecord(other)) => {
            route.next_hop = other.customer_address?;
        }
        (Resource::ProviderRoute(route), Resource::ProviderRoute(other)) => route.prefix = other.prefix,
        _ => return None,
    }
    Some(resource)
}

/// What is changed at once: which resources of the pool are put, and which of those that there are deleted.
type Step = (Vec<Pick>, Vec<Pick>);

fn any_history() -> impl Strategy<Value = (Vec<Resource>, Vec<Step>)> {
    let step = prop_oneof![
        4 => (vec(any::<Pick>(), 1..4), vec(any::<Pick>(), 0..2)),
        1 => (vec(any::<Pick>(), 0..2), vec(any::<Pick>(), 1..6)),
        1 => (vec(any::<Pick>(), 8..40), vec(any::<Pick>(), 0..2)),
    ];
    (any_pool(), vec(step, 1..24))
}

/// The changes of a step, none of which is about what another one is about.
fn changes(pool: &[Resource], there: &BTreeMap<Key, Resource>, (puts, deletes): &Step) -> BTreeMap<Key, Change> {
    let there: Vec<&Key> = there.keys().collect();
    let deletes = deletes.iter().filter(|_| !there.is_empty()).map(|pick| Change::Delete((*pick.get(&there)).clone()));
    let puts = puts.iter().map(|pick| Change::Set(pick.get(pool).clone()));
    deletes.chain(puts).map(|change| (change.key(), change)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_history_is_judged_as_its_outcome((pool, steps) in any_history()) {
        let (mut intent, mut there) = (Intent::default(), BTreeMap::<Key, Resource>::new());
        for step in &steps {
            let changes = changes(&pool, &there, step);
            let mut after = there.clone();
            for (key, change) in &changes {
                match change {
                    Change::Set(resource) => after.insert(key.clone(), resource.clone()),
                    Change::Delete(_) => after.remove(key),
                };
            }
            let at_once = Intent::new(after.values().cloned());
            let before = intent.clone();
            match (intent.apply(changes.into_values()), at_once) {
                (Ok(replaced), Ok(at_once)) => {
                    prop_assert_eq!(&intent, &at_once);
                    prop_assert_eq!(&intent.index, &at_once.index);
                    let mut undone = intent.clone();
                    undone.undo(replaced);
                    prop_assert_eq!(&undone.index, &before.index);
                    prop_assert_eq!(undone, before);
                    there = after;
                }
                (Err(errors), Err(expected)) => {
                    prop_assert_eq!(errors, expected);
                    prop_assert_eq!(&intent.index, &before.index);
                    prop_assert_eq!(&intent, &before);
                }
                (step, at_once) => prop_assert!(false, "step by step {step:?}, at once {at_once:?}"),
            }
        }
    }
}
