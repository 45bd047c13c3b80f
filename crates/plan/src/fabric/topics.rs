//! The topics of a fabric, kept up to date as its objects change.
//!
//! Each resource of a topic is contributed by one [`Contributor`], as a pure function of the fabric (`items`). When an
//! object changes, the contributors whose items could differ are marked; [`Fabric::publish`] makes their items anew
//! and says what changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use model::fabric::{Key, Kind, Object, ResourceName, Spec};
use model::{Key as ItemKey, Resource};

use super::{Fabric, Topic, TopicChange, TopicId};
pub use gateways::waits_for_a_subnet;

mod dns;
mod gateways;
mod groups;
mod items;
mod scopes;

/// Whose items they are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Contributor {
    /// An object's own.
    Object(Arc<Key>),
    /// The DHCP scopes of the physical networks that a host's ports are joined to. Two VM subnets can be the same
    /// physical network to a host, so they are made together.
    Scopes(ResourceName),
}

/// The topics, and who contributed what.
#[derive(Clone, Default, Debug)]
pub(super) struct Topics {
    topics: BTreeMap<TopicId, Topic>,
    parts: HashMap<Contributor, Box<[(TopicId, ItemKey)]>>,
    marked: BTreeSet<Contributor>,
}

impl Topics {
    pub(super) fn get(&self, id: &TopicId) -> Option<&Topic> {
        self.topics.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&TopicId, &Topic)> {
        self.topics.iter()
    }

    fn remove(&mut self, id: &TopicId, key: &ItemKey) -> Option<Resource> {
        let topic = self.topics.get_mut(id)?;
        let resource = topic.remove(key);
        if topic.is_empty() {
            self.topics.remove(id);
        }
        resource
    }
}

impl Fabric {
    /// Marks those whose items could be different now that an object is.
    pub(super) fn mark(&mut self, key: &Key, before: Option<&Object>, after: Option<&Object>) {
        let mut marked = vec![Contributor::Object(Arc::new(key.clone()))];
        for object in [before, after].into_iter().flatten() {
            self.mark_dependents(key, object, &mut marked);
        }
        self.topics.marked.extend(marked);
    }

    fn mark_dependents(&self, key: &Key, object: &Object, marked: &mut Vec<Contributor>) {
        let host = |marked: &mut Vec<Contributor>, host: &Key| {
            marked.push(Contributor::Scopes(host.name.clone()));
            marked.extend(self.users_by_name(host, Kind::Port).cloned().map(Contributor::Object));
            let served = self.users_by_name(host, Kind::Gateway).chain(self.users_by_name(host, Kind::VmNetwork));
            marked.extend(served.cloned().map(Contributor::Object));
        };
        match &object.resource.spec {
            Spec::Tenant(_) | Spec::MacPool(_) | Spec::CustomerRoute(_) => {}
            // Which of a host's addresses is the one in a logical network depends on the pools of that.
            Spec::LogicalNetwork(_) => {
                for user in self.users_by_name(key, Kind::Host) {
                    marked.push(Contributor::Object(user.clone()));
                    host(marked, user);
                }
            }
            Spec::Host(_) => host(marked, key),
            // RDID and logical network are fixed as long as there are users, and so is the isolation but for the
            // encapsulation, of which the VM network itself says. What no rule is about is the groups' to know.
            Spec::VmNetwork(_) => {
                let groups = self.users_by_name(key, Kind::SecurityGroup);
                marked.extend(groups.cloned().map(Contributor::Object));
                // Where its gateway answers for names, scopes say so.
                if object.allocation.gateway.is_some() {
                    marked.extend(self.users_by_name(key, Kind::VmSubnet).cloned().map(Contributor::Object));
                }
            }
            Spec::Gateway(_) => {
                marked.extend(self.users_by_name(key, Kind::VmNetwork).cloned().map(Contributor::Object));
            }
            Spec::GatewayConnection(spec) => {
                let network = key.sibling(Kind::VmNetwork, &spec.vm_network);
                marked.extend(self.users_by_name(&network, Kind::VmSubnet).cloned().map(Contributor::Object));
                marked.push(Contributor::Object(Arc::new(network)));
            }
            // Others know them by name, and the VM network that is part of it is fixed as long as there are users.
            Spec::AddressSet(_) | Spec::SecurityGroup(_) => {}
            Spec::VmSubnet(subnet) => {
                let network = key.sibling(Kind::VmNetwork, &subnet.vm_network);
                let users =
                    self.users_by_name(key, Kind::Port).chain(self.users_by_name(&network, Kind::CustomerRoute));
                marked.extend(users.cloned().map(Contributor::Object));
                if self.given_gateway(&network).is_some() {
                    marked.push(Contributor::Object(Arc::new(network)));
                }
                marked.extend(self.index.hosts_in(key).cloned().map(Contributor::Scopes));
            }
            Spec::IpPool(pool) => {
                let subnet = key.sibling(Kind::VmSubnet, &pool.vm_subnet);
                marked.extend(self.index.hosts_in(&subnet).cloned().map(Contributor::Scopes));
                marked.push(Contributor::Object(Arc::new(subnet)));
            }
            Spec::Port(port) => {
                if let Some(network) = port.vm_network.as_ref().map(|network| key.sibling(Kind::VmNetwork, network))
                    && self.dns_of(&network).is_some()
                {
                    marked.push(Contributor::Object(Arc::new(network)));
                }
                let subnet = object.allocation.vm_subnet.as_ref().map(|subnet| key.sibling(Kind::VmSubnet, subnet));
                if let (Some(host), Some(subnet)) = (&port.host, subnet)
                    && self.index.placed(host, &subnet) <= 1
                    && port
                        .vm_network
                        .as_ref()
                        .and_then(|name| self.vm_network(key, name))
                        .is_none_or(|network| !network.isolation.is_virtualized())
                {
                    marked.push(Contributor::Scopes(host.clone()));
                }
            }
        }
    }

    /// Makes the items of all that are marked, and says what is different from before.
    pub(super) fn publish(&mut self) -> Vec<TopicChange> {
        let marked = std::mem::take(&mut self.topics.marked);
        let mut before = BTreeMap::<(TopicId, ItemKey), Option<Resource>>::new();
        // All leave before any comes: what one loses, such as an address, another may have at once.
        for contributor in &marked {
            for (id, key) in self.topics.parts.remove(contributor).unwrap_or_default() {
                let resource = self.topics.remove(&id, &key);
                before.insert((id, key), resource);
            }
        }
        for contributor in marked {
            let items = self.items(&contributor);
            if items.is_empty() {
                continue;
            }
            let mut part = Vec::with_capacity(items.len());
            for (id, resource) in items {
                let key = resource.key();
                let previous = self.topics.topics.entry(id.clone()).or_default().insert(key.clone(), resource);
                before.entry((id.clone(), key.clone())).or_insert(previous);
                part.push((id, key));
            }
            self.topics.parts.insert(contributor, part.into_boxed_slice());
        }
        self.differences(before)
    }

    fn differences(&self, before: BTreeMap<(TopicId, ItemKey), Option<Resource>>) -> Vec<TopicChange> {
        let mut changes = Vec::<TopicChange>::new();
        for ((topic, key), previous) in before {
            let now = self.topics.get(&topic).and_then(|topic| topic.get(&key));
            if now == previous.as_ref() {
                continue;
            }
            if changes.last().is_none_or(|last| last.topic != topic) {
                changes.push(TopicChange { topic, puts: Vec::new(), deletes: Vec::new() });
            }
            let Some(change) = changes.last_mut() else { continue };
            match now {
                Some(resource) => change.puts.push(resource.clone()),
                None => change.deletes.push(key),
            }
        }
        changes
    }
}
