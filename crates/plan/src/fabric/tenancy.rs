//! What a tenant may declare by itself: virtualized VM networks, and what is in them. What reaches the physical
//! network, says where a port is plugged, or names a number that all tenants share, is the operator's.

use model::Limits;
use model::fabric::{Addressing, Isolation, Key, Kind, Object, Port, Resource, ResourceName, Spec};

use super::words::Named;
use super::{Change, Fabric, Refusal, RefusalSort};

/// Why something is not a tenant's to do, or to know.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TenantRefusal {
    /// It reaches the physical network.
    #[error(
        "{} belongs to a VM network of isolation {isolation}, which is the physical network that all tenants and the hosts \
         share: what is in it is an operator's to change; use a VM network of isolation nvgre, vxlan or geneve, or ask an admin",
        Named(.key)
    )]
    Physical {
        /// What a tenant wants to change.
        key: Key,
        /// The isolation of its VM network.
        isolation: Isolation,
    },
    /// A port that chooses its own addresses on the physical network.
    #[error(
        "{}: {field} is an operator's to choose in a VM network of isolation {isolation}, since a VM could pass for any \
         machine of the physical network by it; leave it as it is, or ask an admin", Named(.port)
    )]
    PhysicalAddress {
        /// The port.
        port: Key,
        /// What it names.
        field: &'static str,
        /// The isolation of its VM network.
        isolation: Isolation,
    },
    /// A port that says where it is plugged.
    #[error(
        "{}: {field} says which device of which host becomes the port, and with it whose traffic it carries: this is an \
         operator's to choose; leave it as it is, or ask an admin", Named(.port)
    )]
    Placement {
        /// The port.
        port: Key,
        /// `host`, `migrateTo`, `anyHost` or `device`.
        field: &'static str,
    },
    /// How much of the network that all share it may use.
    #[error(
        "{}: limits say how much of the network that all tenants share it may use, and are an operator's to choose; leave \
         them as they are, or ask an admin", Named(.0)
    )]
    Limits(Key),
    /// A number out of a space that all tenants share.
    #[error(
        "{}: {field} is a number that all tenants and hosts share, and an operator's to choose; leave it out and the \
         controller chooses one, or ask an admin", Named(.key)
    )]
    Number {
        /// The VM network or VM subnet.
        key: Key,
        /// `vsid` or `rdid`.
        field: &'static str,
    },
    /// A port whose VM an operator moves.
    #[error(
        "{}: an operator moves its VM to another host, and until that is over it stays in a VM network of isolation nvgre, vxlan or \
         geneve; try again in a moment", Named(.0)
    )]
    Moves(Key),
    /// It belongs to another tenant, of whom this one learns nothing.
    #[error("{}: {what} belongs to another tenant already; choose another", Named(.key))]
    Taken {
        /// Who wants it.
        key: Key,
        /// What it is.
        what: String,
    },
}

impl TenantRefusal {
    /// What kind of answer it is.
    pub(super) const fn sort(&self) -> RefusalSort {
        match self {
            Self::Taken { .. } | Self::Moves(_) => RefusalSort::Conflict,
            _ => RefusalSort::Forbidden,
        }
    }
}

impl Fabric {
    /// Whether a tenant may make these changes of what is its own, as far as they are legal at all. What stays as it is
    /// may always be said again.
    ///
    /// # Errors
    /// All refusals that were found, never an empty list.
    pub fn confine(&self, changes: &[Change]) -> Result<(), Vec<Refusal>> {
        let refusals: Vec<Refusal> = changes.iter().filter_map(|change| self.not_a_tenants(change)).collect();
        if refusals.is_empty() { Ok(()) } else { Err(refusals) }
    }

    fn not_a_tenants(&self, change: &Change) -> Option<Refusal> {
        let key = change.key();
        let before = self.get(&key);
        let after = match change {
            Change::Create(resource) | Change::Put { resource, .. } | Change::Replace { resource, .. } => {
                Some(&resource.spec)
            }
            Change::Delete { .. } => None,
        };
        let was = before.map(|object| &object.resource.spec);
        if was == after {
            return None;
        }
        // A port may leave the physical network, and be deleted: that takes nothing from anybody.
        if key.kind != Kind::Port {
            let physical = [was, after].into_iter().flatten().find_map(|spec| self.physical_isolation(&key, spec));
            if let Some(isolation) = physical {
                return Some(TenantRefusal::Physical { key, isolation }.into());
            }
        }
        match (after?, was) {
            (Spec::Port(port), _) => self.port_by_tenant(key, port, before),
            (Spec::VmNetwork(new), old) => {
                let limits = match old {
                    Some(Spec::VmNetwork(old)) => old.limits,
                    _ => Limits::default(),
                };
                if new.limits != limits {
                    return Some(TenantRefusal::Limits(key).into());
                }
                let known = matches!(old, Some(Spec::VmNetwork(old)) if old.rdid == new.rdid);
                (new.rdid.is_some() && !known).then(|| TenantRefusal::Number { key, field: "rdid" }.into())
            }
            (Spec::VmSubnet(new), old) => {
                let known = matches!(old, Some(Spec::VmSubnet(old)) if old.vsid == new.vsid);
                (new.vsid.is_some() && !known).then(|| TenantRefusal::Number { key, field: "vsid" }.into())
            }
            _ => None,
        }
    }

    /// The isolation of the VM network that a spec is in or is, if it is a physical one. One that is made by the same
    /// changes is judged with these.
    fn physical_isolation(&self, key: &Key, spec: &Spec) -> Option<Isolation> {
        let of_network = |name: &ResourceName| self.vm_network(key, name).map(|network| network.isolation);
        let isolation = match spec {
            Spec::VmNetwork(network) => Some(network.isolation),
            Spec::VmSubnet(subnet) => of_network(&subnet.vm_network),
            Spec::AddressSet(set) => of_network(&set.vm_network),
            Spec::SecurityGroup(group) => of_network(&group.vm_network),
            Spec::CustomerRoute(route) => of_network(&route.vm_network),
            Spec::GatewayConnection(connection) => of_network(&connection.vm_network),
            Spec::Port(port) => port.vm_network.as_ref().and_then(of_network),
            Spec::IpPool(pool) => {
                let subnet = self.vm_subnet(&key.sibling(Kind::VmSubnet, &pool.vm_subnet));
                subnet.and_then(|subnet| of_network(&subnet.vm_network))
            }
            Spec::LogicalNetwork(_) | Spec::MacPool(_) | Spec::Host(_) | Spec::Tenant(_) | Spec::Gateway(_) => None,
        };
        isolation.filter(|isolation| !isolation.is_virtualized())
    }

    fn port_by_tenant(&self, key: Key, new: &Port, before: Option<&Object>) -> Option<Refusal> {
        let nothing = Port::default();
        let old = match before.map(|Object { resource: Resource { spec, .. }, .. }| spec) {
            Some(Spec::Port(old)) => old,
            _ => &nothing,
        };
        for (field, same) in [
            ("host", old.host == new.host),
            ("migrateTo", old.migrate_to == new.migrate_to),
            ("anyHost", old.any_host == new.any_host),
            ("device", old.device == new.device),
        ] {
            if !same {
                return Some(TenantRefusal::Placement { port: key, field }.into());
            }
        }
        if new.limits != old.limits {
            return Some(TenantRefusal::Limits(key).into());
        }
        if new.migrate_to.is_some() {
            let network = new.vm_network.as_ref().and_then(|name| self.vm_network(&key, name));
            if network.is_none_or(|network| !network.isolation.is_virtualized()) {
                return Some(TenantRefusal::Moves(key).into());
            }
        }
        let isolation = self.physical_isolation(&key, &Spec::Port(new.clone()))?;
        // What was chosen in another VM network is chosen anew in this one.
        let old = if old.vm_network == new.vm_network { old } else { &nothing };
        let free = [
            ("mac", new.mac.is_none() || new.mac == old.mac),
            ("addresses", new.addresses.is_empty() || new.addresses == old.addresses),
            ("addressing", new.addressing == Addressing::Pool || new.addressing == old.addressing),
        ];
        let (field, _) = free.into_iter().find(|(_, free)| !free)?;
        Some(TenantRefusal::PhysicalAddress { port: key, field, isolation }.into())
    }
}
