//! What an object has for itself alone, and to whom it refers.

use std::net::IpAddr;

use model::fabric::{GatewayAllocation, Isolation, Key, Kind, Object, Port, Spec};
use model::gateway::SharedAddress;
use model::{Name, fabric};
use uuid::Uuid;

use super::Fabric;
use super::claims::Slot;

/// The name by which a host knows a port: its own in the default tenant, `TENANT.NAME` in others, since two tenants
/// may give one name. `None` if a host could not have it (spaces, or more than 63 characters).
pub fn host_port_name(port: &Key) -> Option<Name> {
    let name = port.name.as_str();
    match &port.tenant {
        Some(tenant) if tenant.as_str() != fabric::DEFAULT_TENANT => {
            format!("{}.{name}", tenant.as_str().replace(' ', "_")).parse().ok()
        }
        _ => name.parse().ok(),
    }
}

/// The device of a port on its host: the one that it names, or one of its own name.
pub(super) fn device_of(name: &fabric::ResourceName, port: &Port) -> Option<Name> {
    port.device.clone().or_else(|| name.as_str().parse().ok()).filter(Name::is_interface_name)
}

/// The name of the port and of the device by which a host's compartment of a VM network is joined to it: short enough for an
/// interface (15 bytes), and the same for as long as the VM network is there.
pub(super) fn compartment_device(network: Uuid) -> Option<Name> {
    let hex = network.simple().to_string();
    // The last bits are the random ones of an identifier, if any are.
    format!("nvgw{}", hex.get(hex.len().checked_sub(11)?..)?).parse().ok()
}

/// What a VM network has by its gateway connections. The port is claimed where the active host is; addresses that are both
/// drawn and named are there once.
fn slots_of_gateway(given: &GatewayAllocation, network: Uuid) -> Vec<Slot> {
    let mut slots = vec![Slot::Vsid(given.vsid), Slot::Mac(given.mac), Slot::Mac(given.outside_mac)];
    if let Some(device) = compartment_device(network) {
        slots.push(Slot::Device(given.host.clone(), device.clone()));
        slots.push(Slot::HostPort(given.host.clone(), device));
    }
    let addresses = given.addresses.iter().chain(&given.named);
    slots.extend(addresses.map(|address| Slot::External(given.vlan, address.addr())));
    slots.extend(given.translated.iter().map(|prefix| Slot::ExternalPrefix(given.vlan, *prefix)));
    if let Some(SharedAddress { address: IpAddr::V4(address), ports }) = given.shared {
        slots.push(Slot::ExternalPorts(address, ports.first(), ports.last()));
    }
    slots
}

/// Whom the object names, in its spec or by what it was given.
pub(super) fn references(object: &Object) -> Vec<Key> {
    let key = object.key();
    let mut references = Vec::new();
    references.extend(key.tenant.as_ref().map(|tenant| Key::global(Kind::Tenant, tenant)));
    match &object.resource.spec {
        Spec::LogicalNetwork(_) | Spec::MacPool(_) | Spec::Tenant(_) => {}
        Spec::Host(host) => {
            let networks = host.uplinks.iter().flat_map(|uplink| &uplink.logical_networks);
            references.extend(networks.map(|network| Key::global(Kind::LogicalNetwork, network)));
        }
        Spec::Gateway(gateway) => {
            references.push(Key::global(Kind::LogicalNetwork, &gateway.logical_network));
            references.extend(gateway.hosts.iter().map(|host| Key::global(Kind::Host, &host.host)));
        }
        Spec::VmNetwork(network) => {
            references.push(Key::global(Kind::LogicalNetwork, &network.logical_network));
            if let Some(given) = &object.allocation.gateway {
                references.push(Key::global(Kind::Gateway, &given.gateway));
                references.extend(given.hosts().map(|host| Key::global(Kind::Host, host)));
            }
        }
        Spec::GatewayConnection(connection) => {
            references.push(key.sibling(Kind::VmNetwork, &connection.vm_network));
            references.push(Key::global(Kind::Gateway, &connection.gateway));
        }
        Spec::AddressSet(set) => references.push(key.sibling(Kind::VmNetwork, &set.vm_network)),
        Spec::SecurityGroup(group) => {
            references.push(key.sibling(Kind::VmNetwork, &group.vm_network));
            let groups = group.rules.iter().filter_map(|rule| rule.remote_group());
            let groups = groups.map(|name| key.sibling(Kind::SecurityGroup, name));
            // A group that names itself does not keep itself from being deleted.
            references.extend(groups.filter(|other| *other != key));
            let sets = group.rules.iter().filter_map(|rule| rule.address_set());
            references.extend(sets.map(|name| key.sibling(Kind::AddressSet, name)));
        }
        Spec::VmSubnet(subnet) => {
            references.push(key.sibling(Kind::VmNetwork, &subnet.vm_network));
            references.extend(subnet.security_groups.iter().map(|group| key.sibling(Kind::SecurityGroup, group)));
        }
        Spec::IpPool(pool) => references.push(key.sibling(Kind::VmSubnet, &pool.vm_subnet)),
        Spec::CustomerRoute(route) => references.push(key.sibling(Kind::VmNetwork, &route.vm_network)),
        Spec::Port(port) => {
            references.extend(port.host.as_ref().map(|host| Key::global(Kind::Host, host)));
            let others = port.migrate_to.iter().chain(&object.allocation.came_from);
            references.extend(others.map(|host| Key::global(Kind::Host, host)));
            references.extend(port.vm_network.as_ref().map(|network| key.sibling(Kind::VmNetwork, network)));
            let subnet = object.allocation.vm_subnet.as_ref().or(port.vm_subnet.as_ref());
            references.extend(subnet.map(|subnet| key.sibling(Kind::VmSubnet, subnet)));
            references.extend(port.security_groups.iter().map(|group| key.sibling(Kind::SecurityGroup, group)));
            references.extend(port.ip_pool.as_ref().map(|pool| key.sibling(Kind::IpPool, pool)));
        }
    }
    references.sort_unstable();
    references.dedup();
    references
}

impl Fabric {
    /// What the object has, as its spec and its allocation say. Whom it refers to must be there.
    pub(super) fn slots(&self, object: &Object) -> Vec<Slot> {
        let (key, allocation) = (object.key(), &object.allocation);
        let mut slots = Vec::new();
        match &object.resource.spec {
            Spec::Host(_) => {
                slots.extend(allocation.provider_addresses.iter().map(|address| Slot::Provider(address.addr())));
            }
            Spec::VmNetwork(network) => {
                slots.extend(allocation.rdid.map(Slot::Rdid));
                if network.isolation == Isolation::None {
                    slots.push(Slot::Flat(network.logical_network.clone()));
                }
                slots.extend(allocation.gateway.iter().flat_map(|given| slots_of_gateway(given, object.uid)));
            }
            Spec::Gateway(gateway) => {
                slots.extend(gateway.hosts.iter().map(|host| Slot::GatewayHost(host.host.clone())));
            }
            Spec::VmSubnet(subnet) => {
                slots.extend(allocation.vsid.map(Slot::Vsid));
                if let (Some(vlan), Some(network)) = (subnet.vlan, self.vm_network(&key, &subnet.vm_network))
                    && network.isolation == Isolation::Vlan
                {
                    slots.push(Slot::Vlan(network.logical_network.clone(), vlan));
                }
            }
            Spec::CustomerRoute(route) => {
                let network = self.get(&key.sibling(Kind::VmNetwork, &route.vm_network));
                slots.extend(network.map(|network| Slot::Route(network.uid, route.prefix, route.next_hop)));
            }
            Spec::Port(port) => {
                slots.extend(allocation.mac.map(Slot::Mac));
                let subnet = allocation.vm_subnet.as_ref();
                if let Some(subnet) = subnet.and_then(|name| self.get(&key.sibling(Kind::VmSubnet, name))) {
                    let addresses = allocation.addresses.iter().chain(&allocation.learnt);
                    slots.extend(addresses.map(|address| Slot::Address(subnet.uid, *address)));
                }
                for host in port.host.iter().chain(&port.migrate_to) {
                    slots.extend(device_of(&key.name, port).map(|device| Slot::Device(host.clone(), device)));
                    slots.extend(host_port_name(&key).map(|name| Slot::HostPort(host.clone(), name)));
                }
            }
            Spec::LogicalNetwork(_)
            | Spec::MacPool(_)
            | Spec::Tenant(_)
            | Spec::AddressSet(_)
            | Spec::SecurityGroup(_)
            | Spec::IpPool(_)
            | Spec::GatewayConnection(_) => {}
        }
        slots
    }
}
