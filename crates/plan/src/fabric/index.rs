//! The objects of a fabric with all that follows from them: who refers to whom, how much a tenant has, what is claimed.
//!
//! [`Fabric::swap`] is the only way in which an object changes, and it is its own reverse.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use model::fabric::{Key, Kind, Object, Port, ResourceName, Spec};
use uuid::Uuid;

use super::claims::Slot;
use super::{Fabric, slots};

/// An object, and what follows from it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) object: Object,
    /// What it has for itself. Kept, so that it gives back just what it took.
    slots: Box<[Slot]>,
}

/// Who refers to whom, and how much there is.
#[derive(Clone, Default, Debug)]
pub(super) struct Index {
    users: HashMap<Arc<Key>, BTreeSet<Arc<Key>>>,
    counts: HashMap<(Option<ResourceName>, Kind), usize>,
    /// How many ports of each host are in each VM subnet.
    placements: Counts<ResourceName, Key>,
    /// The other way round: the hosts with ports in a VM subnet.
    hosts: Counts<Key, ResourceName>,
    /// The hosts with ports in a VM network, and those of its gateway, for subscriptions.
    networks: Counts<Key, ResourceName>,
    /// The addresses that uplinks have by themselves.
    uplinks: HashMap<IpAddr, usize>,
    /// Ports that have come from another host while their VMs ran.
    arrivals: BTreeSet<Arc<Key>>,
    /// Ports that any host may plug, by what hosts know them by.
    claimable: HashMap<Uuid, Arc<Key>>,
}

/// How many there are of each second key with each first one; what there is none of is not there.
type Counts<K, L> = HashMap<K, BTreeMap<L, usize>>;

/// One more or one less.
fn count<K: Hash + Eq + Clone, L: Ord + Clone>(counts: &mut Counts<K, L>, key: &K, second: &L, more: bool) {
    if more {
        *counts.entry(key.clone()).or_default().entry(second.clone()).or_default() += 1;
        return;
    }
    let Some(inner) = counts.get_mut(key) else { return };
    match inner.get_mut(second) {
        Some(number) if *number > 1 => *number -= 1,
        _ => {
            inner.remove(second);
        }
    }
    if inner.is_empty() {
        counts.remove(key);
    }
}

impl Index {
    /// Takes the object in, or out.
    fn note(&mut self, id: &Arc<Key>, object: &Object, more: bool) {
        for reference in slots::references(object) {
            if more {
                self.users.entry(Arc::new(reference)).or_default().insert(id.clone());
            } else if let Some(users) = self.users.get_mut(&reference) {
                users.remove(id);
                if users.is_empty() {
                    self.users.remove(&reference);
                }
            }
        }
        let gateway = object.allocation.gateway.as_deref();
        let gateway_moves = gateway.is_some_and(|given| given.next.is_some() || given.came_from.is_some());
        if object.allocation.came_from.is_some() || gateway_moves {
            match more {
                true => self.arrivals.insert(id.clone()),
                false => self.arrivals.remove(id),
            };
        }
        if matches!(&object.resource.spec, Spec::Port(port) if port.any_host) {
            match more {
                true => self.claimable.insert(object.uid, id.clone()),
                false => self.claimable.remove(&object.uid),
            };
        }
        for host in object.allocation.gateway.iter().flat_map(|given| given.hosts()) {
            count(&mut self.networks, id.as_ref(), host, more);
        }
        let counter = self.counts.entry((id.tenant.clone(), id.kind)).or_default();
        *counter = if more { *counter + 1 } else { counter.saturating_sub(1) };
        if let Spec::Host(host) = &object.resource.spec {
            for address in host.uplinks.iter().flat_map(|uplink| &uplink.addresses) {
                let number = self.uplinks.entry(address.addr()).or_default();
                *number = if more { *number + 1 } else { number.saturating_sub(1) };
                if *number == 0 {
                    self.uplinks.remove(&address.addr());
                }
            }
        }
        if let Spec::Port(port) = &object.resource.spec
            && let Some(subnet) = &object.allocation.vm_subnet
        {
            let subnet = id.sibling(Kind::VmSubnet, subnet);
            for host in hosts_of(port, object) {
                count(&mut self.hosts, &subnet, host, more);
                count(&mut self.placements, host, &subnet, more);
                if let Some(network) = &port.vm_network {
                    count(&mut self.networks, &id.sibling(Kind::VmNetwork, network), host, more);
                }
            }
        }
    }

    /// Who refers to it by name.
    pub(super) fn users(&self, key: &Key) -> impl DoubleEndedIterator<Item = &Arc<Key>> + use<'_> {
        self.users.get(key).into_iter().flatten()
    }

    /// The ports that have come from another host while their VMs ran.
    pub(super) fn arrivals(&self) -> impl Iterator<Item = &Key> {
        self.arrivals.iter().map(AsRef::as_ref)
    }

    /// The port with this UUID, if any host may plug it.
    pub(super) fn claimable(&self, uid: Uuid) -> Option<&Key> {
        self.claimable.get(&uid).map(AsRef::as_ref)
    }

    /// How many of a kind a tenant has.
    pub(super) fn count(&self, tenant: Option<&ResourceName>, kind: Kind) -> usize {
        self.counts.get(&(tenant.cloned(), kind)).copied().unwrap_or(0)
    }

    /// How many of a kind there are.
    pub(super) fn count_all(&self, kind: Kind) -> usize {
        self.counts.iter().filter(|((_, counted), _)| *counted == kind).map(|(_, count)| count).sum()
    }

    /// Whether the address is one that an uplink has by itself.
    pub(super) fn is_uplink_address(&self, address: IpAddr) -> bool {
        self.uplinks.contains_key(&address)
    }

    /// How many ports of a host are in a VM subnet.
    pub(super) fn placed(&self, host: &ResourceName, subnet: &Key) -> usize {
        self.placements.get(host).and_then(|subnets| subnets.get(subnet)).copied().unwrap_or(0)
    }

    /// The hosts with ports in the VM subnet.
    pub(super) fn hosts_in(&self, subnet: &Key) -> impl Iterator<Item = &ResourceName> + use<'_> {
        self.hosts.get(subnet).into_iter().flat_map(BTreeMap::keys)
    }

    /// The hosts with ports in the VM network, and those of its gateway.
    pub(super) fn hosts_of_network(&self, network: &Key) -> impl Iterator<Item = &ResourceName> + use<'_> {
        self.networks.get(network).into_iter().flat_map(BTreeMap::keys)
    }

    /// The VM subnets in which the host has ports, and how many.
    pub(super) fn placed_on(&self, host: &ResourceName) -> impl Iterator<Item = (&Key, usize)> + use<'_> {
        self.placements.get(host).into_iter().flatten().map(|(subnet, count)| (subnet, *count))
    }
}

/// The hosts that must know a port's VM network for its sake: its own, the one that it is to move to, and the one that it has
/// come from. Each once, as in what the port refers to: [`stays`] goes by that.
fn hosts_of<'a>(port: &'a Port, object: &'a Object) -> BTreeSet<&'a ResourceName> {
    port.host.iter().chain(&port.migrate_to).chain(&object.allocation.came_from).collect()
}

/// Whether a port is still on its host and in its subnet, so that the index is the same with either.
fn stays(before: &Object, after: &Object) -> bool {
    let claimable = |object: &Object| matches!(&object.resource.spec, Spec::Port(port) if port.any_host);
    after.resource.kind() == Kind::Port
        && claimable(before) == claimable(after)
        && before.allocation.vm_subnet == after.allocation.vm_subnet
        && before.allocation.came_from == after.allocation.came_from
        && slots::references(before) == slots::references(after)
}

impl Fabric {
    /// Puts an object in the place of the one with its key, or takes it away; returns what was there.
    pub(super) fn swap(&mut self, key: &Key, object: Option<Object>) -> Option<Object> {
        let id = self.objects.get_key_value(key).map_or_else(|| Arc::new(key.clone()), |(id, _)| id.clone());
        let before = self.objects.remove(key).map(|entry| {
            for slot in &entry.slots {
                self.claims.release(slot, key);
            }
            entry.object
        });
        // Most changes of a port leave it where it is, and the sets of users are long.
        let stays = before.as_ref().zip(object.as_ref()).is_some_and(|(before, after)| stays(before, after));
        if let Some(before) = before.as_ref().filter(|_| !stays) {
            self.index.note(&id, before, false);
        }
        if let Some(object) = &object {
            let slots = self.slots(object).into_boxed_slice();
            for slot in &slots {
                self.claims.claim(slot.clone(), &id);
            }
            if !stays {
                self.index.note(&id, object, true);
            }
            self.objects.insert(id, Entry { object: object.clone(), slots });
        }
        self.mark(key, before.as_ref(), object.as_ref());
        before
    }

    /// What the object with this key has for itself.
    pub(super) fn slots_held(&self, key: &Key) -> &[Slot] {
        self.objects.get(key).map_or(&[], |entry| &entry.slots)
    }
}
