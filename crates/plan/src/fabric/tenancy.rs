//! What a tenant may declare by itself: virtualized VM networks, and what is in them. What reaches the physical
//! network, says where a port is plugged, or names a number that all tenants share, is the operator's.
//!
//! Of gateways, a tenant makes connections of NAT, IPsec, WireGuard and DNS for its VM networks. Which addresses outside it has
//! is drawn; by name it uses only those that it has already. Connections of routing, which make its addresses known to the
//! physical network, how much a connection may carry, and what is logged for accountability are an operator's.

use std::net::IpAddr;

use model::Limits;
use model::fabric::{Addressing, GatewayConnection, Isolation, Key, Kind, Object, Port, Resource, ResourceName, Spec};
use model::gateway::Nat;

use super::admission::reveal;
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
    /// It makes a tenant's addresses known to the physical network.
    #[error(
        "{}: a connection of routing makes what a tenant says known to the physical network that all share, and is an operator's to \
         make and change; use nat, ipsec or wireguard, or ask an admin", Named(.0)
    )]
    Routing(Key),
    /// Something outside of a gateway that it does not have.
    #[error(
        "{}: {what} outside is not one that the tenant has, and which it gets is an operator's to choose; leave it out and one is drawn, \
         or ask an admin", Named(.key)
    )]
    External {
        /// The gateway connection.
        key: Key,
        /// The address or the prefix.
        what: String,
    },
    /// What keeps its NAT in bounds, or to account.
    #[error(
        "{}: {field} of NAT keeps tenants in bounds on a gateway that they share, and is an operator's to choose; leave it as it is, or \
         ask an admin", Named(.key)
    )]
    Nat {
        /// The gateway connection.
        key: Key,
        /// `limits` or `log`.
        field: &'static str,
    },
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
                let mut resource = resource.clone();
                reveal(self, &mut resource);
                Some(resource.spec)
            }
            Change::Delete { .. } => None,
        };
        let after = after.as_ref();
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
            (Spec::GatewayConnection(new), old) => {
                let old =
                    old.and_then(|old| if let Spec::GatewayConnection(old) = old { Some(old.as_ref()) } else { None });
                self.connection_by_tenant(key, new, old)
            }
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

    fn connection_by_tenant(
        &self,
        key: Key,
        new: &GatewayConnection,
        old: Option<&GatewayConnection>,
    ) -> Option<Refusal> {
        if new.limits != old.map(|old| old.limits).unwrap_or_default() {
            return Some(TenantRefusal::Limits(key).into());
        }
        // What an operator chose was chosen for this VM network and gateway.
        let old = old.filter(|old| old.vm_network == new.vm_network && old.gateway == new.gateway);
        if new.routing.is_some() && old.is_none_or(|old| old.routing != new.routing || old.bgp != new.bgp) {
            return Some(TenantRefusal::Routing(key).into());
        }
        let nat = new.nat.as_ref()?;
        let none = Nat::default();
        let was = old.and_then(|old| old.nat.as_ref()).unwrap_or(&none);
        if let Some((field, _)) =
            [("limits", nat.limits == was.limits), ("log", nat.log == was.log)].into_iter().find(|(_, same)| !same)
        {
            return Some(TenantRefusal::Nat { key, field }.into());
        }
        let known = was.externals();
        let others = nat.externals().into_iter().filter(|address| !known.contains(address));
        let address = others.into_iter().find(|address| !self.has_outside(&key, &new.gateway, *address));
        let prefix =
            nat.translations.iter().find(|one| !was.translations.iter().any(|had| had.external == one.external));
        let what = match (address, prefix) {
            (Some(address), _) => format!("address {address}"),
            (None, Some(prefix)) => format!("prefix {}", prefix.external),
            (None, None) => return None,
        };
        Some(TenantRefusal::External { key, what }.into())
    }

    /// Whether one of the tenant's VM networks has the address outside of the gateway, as a whole or ports of it.
    fn has_outside(&self, key: &Key, gateway: &ResourceName, address: IpAddr) -> bool {
        let own = self
            .of_kind(Kind::VmNetwork, key.tenant.as_ref())
            .filter_map(|network| network.allocation.gateway.as_ref());
        own.filter(|given| given.gateway == *gateway).any(|given| {
            given.addresses.iter().chain(&given.named).any(|own| own.addr() == address)
                || given.shared.is_some_and(|shared| shared.address == address)
        })
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
