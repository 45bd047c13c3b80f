//! Security groups and address sets, and who is in them.

use std::collections::{BTreeMap, BTreeSet};

use model::fabric::{AddressSet, Key, Kind, ResourceName, SecurityGroup, Spec};
use model::security::{
    Direction, MAX_GROUP_ENTRIES, MAX_GROUP_RULES, MAX_PORT_GROUPS, MAX_SET_PREFIXES, check_prefix, entries,
};

use super::checks::twice;
use super::{Run, VIRTUALIZED};
use crate::fabric::{Fabric, Refusal, SecurityRefusal};

/// Most security groups of a port, and of a VM subnet: together they are what a port of a host takes.
const MAX_GROUPS: usize = MAX_PORT_GROUPS / 2;

/// Most rules of a port for one direction, of all its groups. There may be one more for each group, by which it is open to
/// itself.
const MAX_PORT_RULES: usize = pipeline::policy::MAX_RULES as usize - MAX_PORT_GROUPS;

impl Fabric {
    fn security_group(&self, key: &Key) -> Option<&SecurityGroup> {
        match &self.get(key)?.resource.spec {
            Spec::SecurityGroup(group) => Some(group),
            _ => None,
        }
    }

    /// The VM network that a security group or an address set is of.
    fn network_of(&self, key: &Key) -> Option<Key> {
        let name = match &self.get(key)?.resource.spec {
            Spec::SecurityGroup(group) => &group.vm_network,
            Spec::AddressSet(set) => &set.vm_network,
            _ => return None,
        };
        Some(key.sibling(Kind::VmNetwork, name))
    }
}

impl Run<'_, '_> {
    pub(super) fn check_address_set(&mut self, key: &Key, spec: &AddressSet) {
        self.check_isolation(key, "an address set", &spec.vm_network);
        let count = spec.prefixes.len();
        if count > MAX_SET_PREFIXES {
            let what = "prefixes";
            self.refuse(key, Refusal::TooMany { key: key.clone(), what, count, limit: MAX_SET_PREFIXES });
        }
        if let Some(error) = spec.prefixes.iter().find_map(|prefix| check_prefix(prefix).err()) {
            self.refuse(key, SecurityRefusal::Prefix { key: key.clone(), error }.into());
        }
    }

    pub(super) fn check_security_group(&mut self, key: &Key, spec: &SecurityGroup) {
        self.check_isolation(key, "a security group", &spec.vm_network);
        let count = spec.rules.len();
        if count > MAX_GROUP_RULES {
            let what = "rules";
            self.refuse(key, Refusal::TooMany { key: key.clone(), what, count, limit: MAX_GROUP_RULES });
            return;
        }
        let count = entries(&spec.rules);
        if count > MAX_GROUP_ENTRIES {
            let what = "prefixes and ports in its rules";
            self.refuse(key, Refusal::TooMany { key: key.clone(), what, count, limit: MAX_GROUP_ENTRIES });
        }
        for (number, rule) in (1..).zip(&spec.rules) {
            if let Err(error) = rule.check() {
                self.refuse(key, SecurityRefusal::Rule { key: key.clone(), number, error }.into());
            }
        }
        let groups = spec.rules.iter().filter_map(|rule| rule.remote_group());
        let sets = spec.rules.iter().filter_map(|rule| rule.address_set());
        let named = groups.map(|name| key.sibling(Kind::SecurityGroup, name));
        let named: BTreeSet<Key> = named.chain(sets.map(|name| key.sibling(Kind::AddressSet, name))).collect();
        for what in named {
            self.check_network(key, what, &spec.vm_network);
        }
    }

    /// Only where netvirt makes the network itself does it filter.
    pub(super) fn check_isolation(&mut self, key: &Key, field: &'static str, network: &ResourceName) {
        let Some(isolation) = self.fabric.vm_network(key, network).map(|network| network.isolation) else { return };
        if !isolation.is_virtualized() {
            let network = key.sibling(Kind::VmNetwork, network);
            self.refuse(key, Refusal::Isolation { key: key.clone(), field, needed: VIRTUALIZED, network, isolation });
        }
    }

    /// What is named is of the same VM network.
    fn check_network(&mut self, key: &Key, what: Key, network: &ResourceName) {
        let not = key.sibling(Kind::VmNetwork, network);
        if let Some(to) = self.fabric.network_of(&what).filter(|to| *to != not) {
            self.refuse(key, Refusal::Elsewhere { key: key.clone(), what, to, not });
        }
    }

    /// The groups that a port or a VM subnet names.
    pub(super) fn check_groups(&mut self, key: &Key, groups: &[ResourceName], network: &ResourceName) {
        if groups.is_empty() {
            return;
        }
        self.check_isolation(key, "securityGroups", network);
        let (what, count) = ("security groups", groups.len());
        if count > MAX_GROUPS {
            self.refuse(key, Refusal::TooMany { key: key.clone(), what, count, limit: MAX_GROUPS });
        }
        if let Some(group) = twice(groups.iter().cloned()) {
            self.refuse(key, SecurityRefusal::Twice { key: key.clone(), group }.into());
        }
        for group in groups {
            self.check_network(key, key.sibling(Kind::SecurityGroup, group), network);
        }
    }

    /// No port has more rules than its host takes.
    pub(super) fn verify_rules(&mut self) {
        let mut known = BTreeMap::<Vec<Key>, [usize; 2]>::new();
        for port in self.ports_with_other_rules() {
            let groups = self.fabric.groups_of_port(&port);
            let counts = *known.entry(groups).or_insert_with_key(|groups| self.count_rules(groups));
            for (direction, count) in [Direction::Ingress, Direction::Egress].into_iter().zip(counts) {
                if count > MAX_PORT_RULES {
                    let (key, limit) = (port.clone(), MAX_PORT_RULES);
                    self.refuse(&port, SecurityRefusal::TooManyRules { port: key, direction, count, limit }.into());
                }
            }
        }
    }

    /// Ports that are in other groups than before, or whose groups have other rules.
    fn ports_with_other_rules(&self) -> BTreeSet<Key> {
        let (mut ports, mut subnets) = (BTreeSet::new(), BTreeSet::new());
        for key in self.before.keys().filter(|key| !self.failed.contains(*key)) {
            match self.fabric.get(key).map(|object| &object.resource.spec) {
                Some(Spec::Port(_)) => {
                    ports.insert(key.clone());
                }
                Some(Spec::VmSubnet(subnet)) if !subnet.security_groups.is_empty() => {
                    subnets.insert(key.clone());
                }
                Some(Spec::SecurityGroup(_)) => {
                    let users = |kind| self.fabric.users_by_name(key, kind).map(|user| user.as_ref().clone());
                    ports.extend(users(Kind::Port));
                    subnets.extend(users(Kind::VmSubnet));
                }
                _ => {}
            }
        }
        for subnet in subnets {
            ports.extend(self.fabric.users_by_name(&subnet, Kind::Port).map(|user| user.as_ref().clone()));
        }
        ports.retain(|port| !self.failed.contains(port));
        ports
    }

    /// How many rules groups have together, for ingress and egress.
    fn count_rules(&self, groups: &[Key]) -> [usize; 2] {
        let groups = groups.iter().filter_map(|group| self.fabric.security_group(group));
        groups.flat_map(|group| &group.rules).fold([0, 0], |[ingress, egress], rule| match rule.direction {
            Direction::Ingress => [ingress + 1, egress],
            Direction::Egress => [ingress, egress + 1],
        })
    }
}
