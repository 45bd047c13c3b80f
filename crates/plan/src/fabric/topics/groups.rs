//! What security groups and address sets contribute to the topics: to that of their VM network, under names that no other
//! owner's can meet.

use model::fabric::{AddressSet, Key, Kind, ResourceName, SecurityGroup, Spec};
use model::{QualifiedName, Resource, RoutingDomainId};

use crate::fabric::{Fabric, TopicId};

/// The name by which hosts know what a VM network has.
fn qualified(beside: &Key, network: &ResourceName, name: &ResourceName) -> QualifiedName {
    let tenant = beside.tenant.clone().unwrap_or_else(ResourceName::default_tenant);
    QualifiedName::of_network(&tenant, network, name)
}

impl Fabric {
    /// The security groups that a port is in: its own, and those of its VM subnet. In their order, each once.
    pub(in crate::fabric) fn groups_of_port(&self, key: &Key) -> Vec<Key> {
        let Some((object, port)) = self.port(key) else { return Vec::new() };
        let subnet = object.allocation.vm_subnet.as_ref().map(|subnet| key.sibling(Kind::VmSubnet, subnet));
        let of_subnet = subnet.and_then(|subnet| self.vm_subnet(&subnet)).map(|subnet| &subnet.security_groups);
        let names = port.security_groups.iter().chain(of_subnet.into_iter().flatten());
        let mut groups: Vec<Key> = names.map(|name| key.sibling(Kind::SecurityGroup, name)).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    /// The same by the names that hosts know.
    pub(super) fn qualified_groups(&self, key: &Key) -> Vec<QualifiedName> {
        let Some(network) = self.port(key).and_then(|(_, port)| port.vm_network.as_ref()) else { return Vec::new() };
        self.groups_of_port(key).iter().map(|group| qualified(key, network, &group.name)).collect()
    }

    /// The routing domain of a VM network that is virtualized.
    fn domain_of(&self, beside: &Key, network: &ResourceName) -> Option<RoutingDomainId> {
        let object = self.get(&beside.sibling(Kind::VmNetwork, network))?;
        match &object.resource.spec {
            Spec::VmNetwork(spec) if spec.isolation.is_virtualized() => object.allocation.rdid,
            _ => None,
        }
    }

    pub(super) fn address_set_items(&self, key: &Key, set: &AddressSet) -> Vec<(TopicId, Resource)> {
        let Some(rdid) = self.domain_of(key, &set.vm_network) else { return Vec::new() };
        let name = qualified(key, &set.vm_network, &key.name);
        let item = Resource::AddressSet(model::AddressSet { name, prefixes: set.prefixes.clone() });
        vec![(TopicId::Network(rdid), item)]
    }

    pub(super) fn security_group_items(&self, key: &Key, group: &SecurityGroup) -> Vec<(TopicId, Resource)> {
        let network = &group.vm_network;
        let (Some(rdid), Some(spec)) = (self.domain_of(key, network), self.vm_network(key, network)) else {
            return Vec::new();
        };
        // What is for the reader alone is not told.
        let rules = group.rules.iter().map(|rule| model::SecurityRule {
            description: None,
            ..rule.renamed(|name| qualified(key, network, name))
        });
        let item = Resource::SecurityGroup(model::SecurityGroup {
            name: qualified(key, network, &key.name),
            rules: rules.collect(),
            egress_default: spec.security.egress,
            ingress_default: spec.security.ingress,
        });
        vec![(TopicId::Network(rdid), item)]
    }
}
