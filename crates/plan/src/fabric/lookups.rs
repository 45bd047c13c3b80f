//! What can be asked of a fabric.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::fabric::{
    Gateway, GatewayAllocation, GatewayConnection, Host, IpPool, Isolation, Key, Kind, LogicalNetwork, Object, Port,
    ResourceName, Spec, VmNetwork, VmSubnet,
};
use model::{Name, PhysicalNetwork};

use super::claims::{Claim, Slot};
use super::{Fabric, Topic, TopicId};

/// Who must know of an object. Many objects have the same, so that what is known of these hosts needs to be found out
/// once for all of them.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Audience {
    /// One host.
    Host(ResourceName),
    /// The hosts with an uplink in a logical network.
    LogicalNetwork(Key),
    /// The hosts with ports in a VM network, and those of its gateway.
    VmNetwork(Key),
    /// The hosts of a gateway.
    Gateway(Key),
    /// The hosts with ports in a VM subnet.
    VmSubnet(Key),
}

impl Fabric {
    /// The object with this key.
    pub fn get(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key).map(|entry| &entry.object)
    }

    /// All objects, in the order of their keys: what is referred to comes before what refers.
    pub fn iter(&self) -> impl Iterator<Item = &Object> {
        self.objects.values().map(|entry| &entry.object)
    }

    /// The objects of a kind, of one tenant or of all, in the order of tenant and name.
    pub fn of_kind(&self, kind: Kind, tenant: Option<&ResourceName>) -> impl Iterator<Item = &Object> + use<'_> {
        let tenant = tenant.filter(|_| kind.has_tenant()).cloned();
        let first = Key { kind, tenant: tenant.clone(), name: lowest_name() };
        let same = move |key: &Key| key.kind == kind && (tenant.is_none() || key.tenant == tenant);
        self.objects.range(first..).take_while(move |(key, _)| same(key)).map(|(_, entry)| &entry.object)
    }

    /// The objects of a kind that come after `after`, in the order of tenant and name: the next page of a list.
    pub fn of_kind_after(&self, after: &Key) -> impl Iterator<Item = &Object> + use<'_> {
        let kind = after.kind;
        let range = (std::ops::Bound::Excluded(after.clone()), std::ops::Bound::Unbounded);
        self.objects.range(range).take_while(move |(key, _)| key.kind == kind).map(|(_, entry)| &entry.object)
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// How many objects of a kind there are, of all tenants.
    pub fn count(&self, kind: Kind) -> usize {
        self.index.count_all(kind)
    }

    /// All that is claimed, in no order that matters: what the store must hold.
    pub fn claims(&self) -> impl Iterator<Item = Claim> {
        self.claims.iter()
    }

    /// A topic; `None` if nothing is in it.
    pub fn topic(&self, id: &TopicId) -> Option<&Topic> {
        self.topics.get(id)
    }

    /// All topics in which there is something, in the order of their names.
    pub fn topics(&self) -> impl Iterator<Item = (&TopicId, &Topic)> {
        self.topics.iter()
    }

    /// The topics that a host needs: its own, and those of the virtualized VM networks of its ports and that it is a gateway of.
    pub fn subscriptions(&self, host: &ResourceName) -> BTreeSet<TopicId> {
        let mut topics = BTreeSet::from([TopicId::Host(host.clone())]);
        for (subnet, _) in self.index.placed_on(host) {
            let network =
                self.vm_subnet(subnet).and_then(|spec| self.get(&subnet.sibling(Kind::VmNetwork, &spec.vm_network)));
            topics.extend(network.and_then(topic_of_network));
        }
        let served = self.users_by_name(&Key::global(Kind::Host, host), Kind::VmNetwork);
        topics.extend(served.filter_map(|network| topic_of_network(self.get(network)?)));
        topics
    }

    /// The hosts that need a topic, in the order of their names.
    pub fn subscribers(&self, topic: &TopicId) -> impl Iterator<Item = &ResourceName> {
        let (host, network) = match topic {
            TopicId::Host(name) => (self.objects.get_key_value(&Key::global(Kind::Host, name)), None),
            TopicId::Network(rdid) => (None, self.claims.owner(&Slot::Rdid(*rdid))),
        };
        let network = network.filter(|key| {
            self.get(key).is_some_and(
                |object| matches!(&object.resource.spec, Spec::VmNetwork(spec) if spec.isolation.is_virtualized()),
            )
        });
        let hosts = network.into_iter().flat_map(|network| self.index.hosts_of_network(network));
        host.into_iter().map(|(key, _)| &key.name).chain(hosts)
    }

    /// The hosts that must know of an object before it is in force everywhere. None for kinds of which no host needs to
    /// know, and while no port makes it needed.
    pub fn hosts_needing(&self, key: &Key) -> BTreeSet<ResourceName> {
        let audience = self.audience(key);
        audience.iter().flat_map(|audience| self.hosts_in_audience(audience)).cloned().collect()
    }

    /// Who must know of an object; `None` for kinds of which no host needs to know, and for ports without a place.
    pub fn audience(&self, key: &Key) -> Option<Audience> {
        match &self.get(key)?.resource.spec {
            Spec::Tenant(_) | Spec::MacPool(_) => None,
            Spec::LogicalNetwork(_) => Some(Audience::LogicalNetwork(key.clone())),
            Spec::Host(_) => Some(Audience::Host(key.name.clone())),
            Spec::VmNetwork(_) => Some(Audience::VmNetwork(key.clone())),
            Spec::VmSubnet(spec) => Some(self.audience_of_subnet(key, spec)),
            Spec::IpPool(pool) => {
                let subnet = key.sibling(Kind::VmSubnet, &pool.vm_subnet);
                self.vm_subnet(&subnet).map(|spec| self.audience_of_subnet(&subnet, spec))
            }
            Spec::AddressSet(set) => Some(Audience::VmNetwork(key.sibling(Kind::VmNetwork, &set.vm_network))),
            Spec::SecurityGroup(group) => Some(Audience::VmNetwork(key.sibling(Kind::VmNetwork, &group.vm_network))),
            Spec::Gateway(_) => Some(Audience::Gateway(key.clone())),
            Spec::GatewayConnection(spec) => Some(Audience::VmNetwork(key.sibling(Kind::VmNetwork, &spec.vm_network))),
            Spec::CustomerRoute(route) => Some(Audience::VmNetwork(key.sibling(Kind::VmNetwork, &route.vm_network))),
            Spec::Port(port) => {
                let (host, network) = (port.host.as_ref()?, port.vm_network.as_ref()?);
                Some(match self.vm_network(key, network) {
                    Some(spec) if spec.isolation.is_virtualized() => {
                        Audience::VmNetwork(key.sibling(Kind::VmNetwork, network))
                    }
                    _ => Audience::Host(host.clone()),
                })
            }
        }
    }

    /// Virtualized, all hosts of the VM network know its routes and scopes; otherwise those with ports in it.
    fn audience_of_subnet(&self, key: &Key, spec: &VmSubnet) -> Audience {
        match self.vm_network(key, &spec.vm_network) {
            Some(network) if network.isolation.is_virtualized() => {
                Audience::VmNetwork(key.sibling(Kind::VmNetwork, &spec.vm_network))
            }
            _ => Audience::VmSubnet(key.clone()),
        }
    }

    /// The hosts that an audience is now, in the order of their names.
    pub fn hosts_in_audience<'a>(&'a self, audience: &'a Audience) -> Box<dyn Iterator<Item = &'a ResourceName> + 'a> {
        match audience {
            Audience::Host(name) => Box::new(std::iter::once(name)),
            Audience::LogicalNetwork(key) => Box::new(self.users_by_name(key, Kind::Host).map(|host| &host.name)),
            Audience::VmNetwork(key) => Box::new(self.index.hosts_of_network(key)),
            Audience::Gateway(key) => {
                Box::new(self.gateway(&key.name).into_iter().flat_map(|spec| &spec.hosts).map(|host| &host.host))
            }
            Audience::VmSubnet(key) => Box::new(self.index.hosts_in(key)),
        }
    }

    /// The port that a host knows by this name (see [`super::host_port_name`]).
    pub fn port_on_host(&self, host: &ResourceName, name: &Name) -> Option<&Object> {
        let owner = self.claims.owner(&Slot::HostPort(host.clone(), name.clone()));
        // The one that joins a gateway's compartment to its VM network is nobody's to declare.
        owner.filter(|key| key.kind == Kind::Port).and_then(|key| self.get(key))
    }

    /// Who refers to it by name, of one kind.
    pub(super) fn users_by_name(&self, key: &Key, kind: Kind) -> impl Iterator<Item = &Arc<Key>> + use<'_> {
        self.index.users(key).skip_while(move |user| user.kind < kind).take_while(move |user| user.kind == kind)
    }

    pub(super) fn logical_network(&self, name: &ResourceName) -> Option<&LogicalNetwork> {
        match &self.get(&Key::global(Kind::LogicalNetwork, name))?.resource.spec {
            Spec::LogicalNetwork(spec) => Some(spec),
            _ => None,
        }
    }

    pub(super) fn host(&self, name: &ResourceName) -> Option<(&Object, &Host)> {
        let object = self.get(&Key::global(Kind::Host, name))?;
        match &object.resource.spec {
            Spec::Host(spec) => Some((object, spec)),
            _ => None,
        }
    }

    pub(super) fn gateway(&self, name: &ResourceName) -> Option<&Gateway> {
        match &self.get(&Key::global(Kind::Gateway, name))?.resource.spec {
            Spec::Gateway(spec) => Some(spec),
            _ => None,
        }
    }

    /// The gateway connections of a VM network, in the order of their names.
    pub(super) fn connections_of(&self, network: &Key) -> impl Iterator<Item = (&Object, &GatewayConnection)> {
        self.users_by_name(network, Kind::GatewayConnection).filter_map(|key| {
            let object = self.get(key)?;
            match &object.resource.spec {
                Spec::GatewayConnection(spec) => Some((object, spec.as_ref())),
                _ => None,
            }
        })
    }

    /// What a VM network was given for its gateway connections.
    pub(super) fn given_gateway(&self, network: &Key) -> Option<&GatewayAllocation> {
        self.get(network)?.allocation.gateway.as_deref()
    }

    /// The VM network of this name that belongs to the same tenant as `beside`.
    pub(super) fn vm_network(&self, beside: &Key, name: &ResourceName) -> Option<&VmNetwork> {
        match &self.get(&beside.sibling(Kind::VmNetwork, name))?.resource.spec {
            Spec::VmNetwork(spec) => Some(spec),
            _ => None,
        }
    }

    pub(super) fn vm_subnet(&self, key: &Key) -> Option<&VmSubnet> {
        match &self.get(key)?.resource.spec {
            Spec::VmSubnet(spec) => Some(spec),
            _ => None,
        }
    }

    /// The physical network that a VM subnet without virtualization is to a host.
    pub(super) fn physical_of(&self, host: &ResourceName, subnet: &Key) -> Option<PhysicalNetwork> {
        let spec = self.vm_subnet(subnet)?;
        let network = self.vm_network(subnet, &spec.vm_network)?;
        let vlan = match network.isolation {
            Isolation::Nvgre | Isolation::Vxlan | Isolation::Geneve => return None,
            Isolation::Vlan => Some(spec.vlan?),
            Isolation::None => None,
        };
        let interface = self.uplink_in(host, &network.logical_network)?.interface.clone();
        Some(PhysicalNetwork { interface, vlan })
    }

    pub(super) fn ip_pool(&self, key: &Key) -> Option<&IpPool> {
        match &self.get(key)?.resource.spec {
            Spec::IpPool(spec) => Some(spec),
            _ => None,
        }
    }

    pub(super) fn port(&self, key: &Key) -> Option<(&Object, &Port)> {
        let object = self.get(key)?;
        match &object.resource.spec {
            Spec::Port(spec) => Some((object, spec)),
            _ => None,
        }
    }

    /// The IP pools of a VM subnet, in the order of their names.
    pub(super) fn pools_of(&self, subnet: &Key) -> impl Iterator<Item = (&Arc<Key>, &IpPool)> + use<'_> {
        self.users_by_name(subnet, Kind::IpPool).filter_map(|key| Some((key, self.ip_pool(key)?)))
    }

    /// The VM subnets of a VM network, in the order of their names.
    pub(super) fn subnets_of(&self, network: &Key) -> impl Iterator<Item = (&Object, &VmSubnet)> + use<'_> {
        self.users_by_name(network, Kind::VmSubnet).filter_map(|key| {
            let object = self.get(key)?;
            match &object.resource.spec {
                Spec::VmSubnet(spec) => Some((object, spec)),
                _ => None,
            }
        })
    }
}

/// The topic of a VM network that is virtualized.
fn topic_of_network(network: &Object) -> Option<TopicId> {
    match &network.resource.spec {
        Spec::VmNetwork(spec) if spec.isolation.is_virtualized() => network.allocation.rdid.map(TopicId::Network),
        _ => None,
    }
}

/// The name before which there is none.
fn lowest_name() -> ResourceName {
    // The lowest character that may stand first is '0', and nothing is shorter.
    "0".parse().unwrap_or_else(|_| ResourceName::default_tenant())
}
