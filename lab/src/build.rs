//! Builds namespaces, underlay, VMs' cables and guests' taps.

use host::{Namespace, Netlink, Offload, Route, TapOptions, VethEnd};
use ipnet::IpNet;

use crate::LabError;
use crate::error::InNode;
use crate::outside;
use crate::topology::{Host, Offloads, Topology, UnderlayKind, Vm};
use crate::wiring::{BRIDGE, ETH0, PARKED, ROUTER, SEGMENT, namespace_name, router_address};

/// What a node is, as far as its settings differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Segment,
    Router,
    Host,
    Vm,
}

/// A namespace while it is being furnished.
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) namespace: Namespace,
    pub(crate) netlink: Netlink,
}

impl Room {
    /// Makes a node's namespace with the settings of its role.
    pub(crate) fn create(topology: &Topology, node: &str, role: Role) -> Result<Self, LabError> {
        let namespace = Namespace::create(&namespace_name(&topology.name, node)).in_node(node)?;
        let netlink = Netlink::in_namespace(&namespace).in_node(node)?;
        for (key, value) in settings(role) {
            match namespace.set_sysctl(key, value) {
                Ok(()) => {}
                // Bridges need not be filtered where the kernel has no filter for them.
                Err(_) if key.starts_with("bridge/") && namespace.sysctl(key).is_err() => {}
                Err(error) => return Err(error).in_node(node),
            }
        }
        netlink.set_up("lo").in_node(node)?;
        Ok(Self { name: node.to_owned(), namespace, netlink })
    }

    /// Opens a node that is there.
    pub(crate) fn open(topology: &Topology, node: &str) -> Result<Self, LabError> {
        let namespace = Namespace::open(&namespace_name(&topology.name, node)).in_node(node)?;
        let netlink = Netlink::in_namespace(&namespace).in_node(node)?;
        Ok(Self { name: node.to_owned(), namespace, netlink })
    }
}

/// Sysctls of a node, in the order in which they are set.
fn settings(role: Role) -> Vec<(&'static str, &'static str)> {
    // Frames over a bridge are not handed to iptables: nobody measures that by accident.
    let mut settings = vec![
        ("bridge/bridge-nf-call-iptables", "0"),
        ("bridge/bridge-nf-call-ip6tables", "0"),
        ("bridge/bridge-nf-call-arptables", "0"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
        // Addresses are known to be free, and nobody waits a second for each.
        ("ipv6/conf/default/accept_dad", "0"),
        ("ipv6/conf/default/dad_transmits", "0"),
        // The link-local address follows the MAC address, as the agent expects of a VM.
        ("ipv6/conf/default/addr_gen_mode", "0"),
    ];
    match role {
        Role::Segment => settings.push(("ipv6/conf/default/disable_ipv6", "1")),
        Role::Router => settings.extend([("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1")]),
        Role::Host | Role::Vm => {
            settings.extend([
                ("ipv4/ip_forward", "0"),
                ("ipv6/conf/default/router_solicitations", "0"),
                // Both reports of a multicast group are sent at once when it is joined, while the node is built, and not
                // at a random time within the next second, amid what a story counts.
                ("ipv6/conf/default/mldv1_unsolicited_report_interval", "1"),
                ("ipv6/conf/default/mldv2_unsolicited_report_interval", "1"),
            ]);
        }
    }
    settings
}

/// Builds all but the agents.
pub(crate) fn build(topology: &Topology) -> Result<(), LabError> {
    let hosts = topology
        .hosts
        .iter()
        .map(|host| Room::create(topology, host.name.as_str(), Role::Host))
        .collect::<Result<Vec<_>, _>>()?;
    let controller = topology
        .controller
        .as_ref()
        .map(|controller| Room::create(topology, controller.name.as_str(), Role::Host))
        .transpose()?;
    match topology.underlay.kind {
        UnderlayKind::Segment => build_segment(topology, hosts.iter().chain(&controller))?,
        UnderlayKind::Routed => build_routed(topology, &hosts)?,
        UnderlayKind::Cable => build_cable(topology, &hosts)?,
    }
    for (host, room) in topology.hosts.iter().zip(&hosts) {
        set_offloads(room, ETH0, topology.underlay.offloads)?;
        for address in &host.addresses {
            room.netlink.add_address(ETH0, *address).in_node(&room.name)?;
        }
        if topology.underlay.kind == UnderlayKind::Routed {
            add_default_routes(host, room)?;
        }
    }
    for (controller, room) in topology.controller.iter().zip(&controller) {
        for address in &controller.addresses {
            room.netlink.add_address(ETH0, *address).in_node(&room.name)?;
        }
    }
    for (vm, device) in topology.vms.iter().zip(topology.vm_devices()) {
        if vm.is_guest() {
            build_tap(topology, vm, &device)?;
        } else {
            build_vm(topology, vm, &device)?;
        }
    }
    outside::build(topology, &hosts)
}

/// One bridge, and a cable from each host, and from the controller, to it.
fn build_segment<'a>(topology: &Topology, hosts: impl Iterator<Item = &'a Room>) -> Result<(), LabError> {
    let segment = Room::create(topology, SEGMENT, Role::Segment)?;
    segment.netlink.create_bridge(BRIDGE).in_node(SEGMENT)?;
    segment.netlink.set_mtu(BRIDGE, topology.underlay.mtu).in_node(SEGMENT)?;
    segment.netlink.set_up(BRIDGE).in_node(SEGMENT)?;
    for (host, device) in hosts.zip(topology.underlay_devices()) {
        lay_uplink(topology, host, &segment, &device)?;
        segment.netlink.set_master(&device, Some(BRIDGE)).in_node(SEGMENT)?;
    }
    Ok(())
}

/// One router, and a cable from each host to it.
fn build_routed(topology: &Topology, hosts: &[Room]) -> Result<(), LabError> {
    let router = Room::create(topology, ROUTER, Role::Router)?;
    for ((host, room), device) in topology.hosts.iter().zip(hosts).zip(topology.underlay_devices()) {
        lay_uplink(topology, room, &router, &device)?;
        for address in host.addresses.iter().filter_map(router_address) {
            // A host may have two addresses of one prefix, for which the router needs one.
            match router.netlink.add_address(&device, address) {
                Err(error) if error.is_exists() => {}
                other => other.in_node(ROUTER)?,
            }
        }
    }
    Ok(())
}

/// The hosts' uplinks are the two ends of one cable.
fn build_cable(topology: &Topology, hosts: &[Room]) -> Result<(), LabError> {
    match hosts {
        [one, other] => lay_uplink(topology, one, other, ETH0),
        // Refused before anything was built.
        _ => topology.validate(),
    }
}

/// A cable between a host's uplink and a device elsewhere, both ends up.
fn lay_uplink(topology: &Topology, host: &Room, far: &Room, device: &str) -> Result<(), LabError> {
    let end = |name| VethEnd { mtu: Some(topology.underlay.mtu), ..VethEnd::named(name) };
    host.netlink.create_veth(end(ETH0), end(device), &far.namespace).in_node(&host.name)?;
    far.netlink.set_up(device).in_node(&far.name)?;
    host.netlink.set_up(ETH0).in_node(&host.name)
}

/// The router is a host's way to all other prefixes.
fn add_default_routes(host: &Host, room: &Room) -> Result<(), LabError> {
    for is_ipv4 in [true, false] {
        let mut routers =
            host.addresses.iter().filter(|its| its.addr().is_ipv4() == is_ipv4).filter_map(router_address);
        let Some(router) = routers.next() else { continue };
        let everywhere = if is_ipv4 { IpNet::V4(Default::default()) } else { IpNet::V6(Default::default()) };
        room.netlink.add_route(&Route::via(everywhere, router.addr())).in_node(&room.name)?;
    }
    Ok(())
}

/// A VM's namespace and its cable to the host.
fn build_vm(topology: &Topology, vm: &Vm, device: &str) -> Result<(), LabError> {
    let room = Room::create(topology, vm.name.as_str(), Role::Vm)?;
    let host = Room::open(topology, vm.host.as_str())?;
    let end = VethEnd { mac: Some(vm.mac.octets()), mtu: vm.mtu, name: ETH0 };
    let host_end = VethEnd { mtu: vm.mtu, ..VethEnd::named(device) };
    room.netlink.create_veth(end, host_end, &host.namespace).in_node(&room.name)?;
    connect(topology, vm, &host, device)?;
    room.netlink.set_up(ETH0).in_node(&room.name)?;
    set_offloads(&room, ETH0, vm.offloads)?;
    for address in &vm.addresses {
        room.netlink.add_address(ETH0, *address).in_node(&room.name)?;
    }
    for route in &vm.routes {
        let route = Route { device: Some(ETH0), ..Route::via(route.to, route.via) };
        room.netlink.add_route(&route).in_node(&room.name)?;
    }
    Ok(())
}

/// The tap of a guest in its host. It goes with the host's namespace.
pub(crate) fn build_tap(topology: &Topology, vm: &Vm, device: &str) -> Result<(), LabError> {
    let host = Room::open(topology, vm.host.as_str())?;
    // QEMU opens the tap with the same options, or not at all.
    let options = TapOptions { vnet_hdr: true, multi_queue: vm.queues() > 1 };
    host.netlink.create_tap(device, options).in_node(&host.name)?;
    if let Some(mtu) = vm.mtu {
        host.netlink.set_mtu(device, mtu).in_node(&host.name)?;
    }
    connect(topology, vm, &host, device)
}

/// Takes the tap of a guest away from a host.
pub(crate) fn remove_tap(topology: &Topology, host: &str, device: &str) -> Result<(), LabError> {
    Room::open(topology, host)?.netlink.delete_link(device).in_node(host)
}

/// Sets the host's end of a VM's cable up, wherever it came from.
fn connect(topology: &Topology, vm: &Vm, host: &Room, device: &str) -> Result<(), LabError> {
    let agent = topology.hosts.iter().find(|its| its.name.as_str() == host.name && its.agent);
    if agent.is_some_and(|host| host.joined || vm.vsid.is_some()) {
        // The host's own stack has no business on a virtualized port: it would talk of itself to the VM.
        host.namespace.set_sysctl(&format!("ipv6/conf/{device}/disable_ipv6"), "1").in_node(&host.name)?;
    }
    host.netlink.set_up(device).in_node(&host.name)
}

/// Moves the host's end of a VM's cable from where it is (`from`, its name there) to a host.
pub(crate) fn plug(topology: &Topology, vm: &Vm, from: (&str, &str), to: &str, device: &str) -> Result<(), LabError> {
    let (from_node, from_device) = from;
    let (from, to) = (Room::open(topology, from_node)?, Room::open(topology, to)?);
    from.netlink.move_link(from_device, &to.namespace, Some(device)).in_node(from_node)?;
    connect(topology, vm, &to, device)
}

/// Moves the host's end of a VM's cable off the host, into the VM's own namespace, where it is down: the VM loses its
/// carrier, as with a cable that is pulled.
pub(crate) fn unplug(topology: &Topology, vm: &Vm, host: &str, device: &str) -> Result<(), LabError> {
    let (from, to) = (Room::open(topology, host)?, Room::open(topology, vm.name.as_str())?);
    from.netlink.move_link(device, &to.namespace, Some(PARKED)).in_node(host)
}

/// Sets the MTU of both ends of a VM's cable, or of a guest's tap. A veth drops what is larger than the MTU of the end that
/// receives.
pub(crate) fn set_vm_mtu(topology: &Topology, vm: &Vm, host: &str, device: &str, mtu: u32) -> Result<(), LabError> {
    Room::open(topology, host)?.netlink.set_mtu(device, mtu).in_node(host)?;
    let name = vm.name.as_str();
    if vm.is_guest() { Ok(()) } else { Room::open(topology, name)?.netlink.set_mtu(ETH0, mtu).in_node(name) }
}

/// Switches what the topology names.
pub(crate) fn set_offloads(room: &Room, device: &str, offloads: Offloads) -> Result<(), LabError> {
    let Offloads { gro, gso, tso, tx } = offloads;
    // The checksum comes first, because TSO needs it.
    for (offload, on) in [(Offload::TxChecksum, tx), (Offload::Tso, tso), (Offload::Gso, gso), (Offload::Gro, gro)] {
        if let Some(on) = on {
            room.netlink.set_offload(device, offload, on).in_node(&room.name)?;
        }
    }
    Ok(())
}
