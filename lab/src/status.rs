//! What a lab looks like now.

use host::{Namespace, Netlink};
use serde::Serialize;

use crate::LabError;
use crate::guest::{Accelerator, Place};
use crate::state::State;
use crate::topology::Vm;
use crate::wiring::{ETH0, namespace_name};

/// A lab among others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LabSummary {
    /// Its name.
    pub name: String,
    /// How many hosts it has.
    pub hosts: usize,
    /// How many VMs it has.
    pub vms: usize,
    /// Whether it was built to the end; if not, `down` mends it.
    pub complete: bool,
}

/// A lab in detail.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LabStatus {
    /// Its name.
    pub name: String,
    /// Whether it was built to the end; if not, `down` mends it.
    pub complete: bool,
    /// Its nodes: underlay, controller, hosts, VMs, outside.
    pub nodes: Vec<NodeStatus>,
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum NodeKind {
    /// Bridge or router between the hosts.
    Underlay,
    /// The controller.
    Controller,
    /// A host.
    Host,
    /// A VM.
    Vm,
    /// The segment outside.
    Outside,
    /// The router of the outside, or that of a site, or what translates for it.
    Router,
    /// A server behind a router.
    Server,
}

/// A node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// Its network namespace; of a guest, which has none, that of its host.
    pub namespace: String,
    /// Whether the namespace, or the guest, is there.
    pub present: bool,
    /// Addresses that its `eth0` (of the underlay and of routers: all its devices) has now, link-local ones left out.
    pub addresses: Vec<ipnet::IpNet>,
    /// MTU of its `eth0`, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Of a VM: the host that it is plugged into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Of a host: its agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentStatus>,
    /// Of a host: its gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayStatus>,
    /// Of a VM that is a guest: its QEMU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest: Option<GuestStatus>,
}

/// The QEMU of a guest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GuestStatus {
    /// Its process id; none when it was never started.
    pub pid: Option<u32>,
    /// Whether it runs.
    pub alive: bool,
    /// What runs the guest's instructions; none when it was never started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accelerator: Option<Accelerator>,
    /// Why it is not KVM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// Where it takes orders (QMP).
    pub qmp: std::path::PathBuf,
    /// What the guest's kernel printed.
    pub console: std::path::PathBuf,
}

/// An agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// Its process id; none when it was never started.
    pub pid: Option<u32>,
    /// Whether it runs.
    pub alive: bool,
    /// Where it listens.
    pub socket: std::path::PathBuf,
    /// Where its log is.
    pub log: std::path::PathBuf,
}

/// A host's gateway.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayStatus {
    /// Its process id; none when it was never started.
    pub pid: Option<u32>,
    /// Whether it runs.
    pub alive: bool,
    /// Network namespaces that it has made.
    pub namespaces: Vec<String>,
    /// Where its log is.
    pub log: std::path::PathBuf,
}

/// All labs.
pub(crate) fn list() -> Result<Vec<LabSummary>, LabError> {
    let mut labs = Vec::new();
    for name in State::names()? {
        match State::load(&name) {
            Ok(State { topology, complete, .. }) => {
                labs.push(LabSummary { name, hosts: topology.hosts.len(), vms: topology.vms.len(), complete });
            }
            // It was taken down between the two.
            Err(LabError::NoLab(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(labs)
}

/// One lab.
pub(crate) fn status(state: &State) -> LabStatus {
    let topology = &state.topology;
    let underlay = topology.underlay_node().map(|name| node(state, name, NodeKind::Underlay));
    let controller = topology.controller.iter();
    let controller = controller.map(|controller| node(state, controller.name.as_str(), NodeKind::Controller));
    let hosts = topology.hosts.iter().map(|host| NodeStatus {
        agent: host.agent.then(|| agent(state, host.name.as_str())),
        gateway: host.gateway.then(|| gateway(state, host.name.as_str())),
        ..node(state, host.name.as_str(), NodeKind::Host)
    });
    let vms = topology.vms.iter().map(|vm| {
        let its = if vm.is_guest() { guest_node(state, vm) } else { node(state, vm.name.as_str(), NodeKind::Vm) };
        NodeStatus { host: state.host_of(vm.name.as_str()), ..its }
    });
    let outside = topology.outside_node().map(|name| node(state, name, NodeKind::Outside));
    let servers: Vec<_> = topology.servers().map(|server| server.name.to_string()).collect();
    let outside = outside.into_iter().chain(topology.outside_nodes().into_iter().map(|name| {
        let kind = if servers.contains(&name) { NodeKind::Server } else { NodeKind::Router };
        node(state, &name, kind)
    }));
    let nodes = underlay.into_iter().chain(controller).chain(hosts).chain(vms).chain(outside).collect();
    LabStatus { name: topology.name.to_string(), complete: state.complete, nodes }
}

/// What all nodes have.
fn node(state: &State, name: &str, kind: NodeKind) -> NodeStatus {
    let namespace = namespace_name(&state.topology.name, name);
    // A node that is not there, or goes while it is looked at, has no links.
    let links = Namespace::open(&namespace).and_then(|open| Netlink::in_namespace(&open)).and_then(|open| open.links());
    let mut links = links.unwrap_or_default();
    let is_router = matches!(kind, NodeKind::Underlay | NodeKind::Outside | NodeKind::Router);
    links.retain(|link| link.name == ETH0 || (is_router && link.name != "lo"));
    let addresses = links.iter().flat_map(|link| &link.addresses).copied();
    let is_link_local = |net: &ipnet::IpNet| matches!(net, ipnet::IpNet::V6(net) if net.addr().is_unicast_link_local());
    NodeStatus {
        name: name.to_owned(),
        kind,
        present: Namespace::exists(&namespace),
        namespace,
        addresses: addresses.filter(|net| !is_link_local(net)).collect(),
        mtu: links.iter().find(|link| link.name == ETH0).map(|link| link.mtu),
        host: None,
        agent: None,
        gateway: None,
        guest: None,
    }
}

/// What a guest says of itself, and its QEMU.
fn guest_node(state: &State, vm: &Vm) -> NodeStatus {
    let (lab, name) = (&state.topology.name, vm.name.as_str());
    let guest = state.guests.get(name);
    let alive = guest.is_some_and(|guest| guest.process.is_alive());
    let place = Place::new(lab.as_str(), name, guest.map_or(1, |guest| guest.generation));
    let (addresses, mtu) = if alive { crate::guest::interface(state, name) } else { (Vec::new(), None) };
    NodeStatus {
        name: name.to_owned(),
        kind: NodeKind::Vm,
        namespace: namespace_name(lab, state.host_of(name).as_deref().unwrap_or(vm.host.as_str())),
        present: alive,
        addresses,
        mtu,
        host: None,
        agent: None,
        gateway: None,
        guest: Some(GuestStatus {
            pid: guest.map(|guest| guest.process.pid),
            alive,
            accelerator: guest.map(|guest| guest.choice.accelerator),
            because: guest.and_then(|guest| guest.choice.because.clone()),
            qmp: place.qmp(),
            console: place.console(),
        }),
    }
}

/// A host's agent.
fn agent(state: &State, host: &str) -> AgentStatus {
    let process = state.agents.get(host);
    AgentStatus {
        pid: process.map(|process| process.pid),
        alive: process.is_some_and(|process| process.is_alive()),
        socket: crate::wiring::socket_path(host),
        log: crate::agent::log_path(state.topology.name.as_str(), host),
    }
}

/// A host's gateway.
fn gateway(state: &State, host: &str) -> GatewayStatus {
    let process = state.gateways.get(host);
    let beginning = plan::gateway::namespace_prefix(host);
    let namespaces = state.of_gateways().unwrap_or_default();
    GatewayStatus {
        pid: process.map(|process| process.pid),
        alive: process.is_some_and(|process| process.is_alive()),
        namespaces: namespaces.into_iter().filter(|name| name.starts_with(&beginning)).collect(),
        log: crate::gateway::log_path(state.topology.name.as_str(), host),
    }
}
