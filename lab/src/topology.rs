//! A lab as its YAML file describes it.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;
use model::{MacAddress, Name, Resource, Vsid};
use serde::{Deserialize, Serialize};

use crate::LabError;
use crate::outside::{Outside, Site};

/// A lab.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Topology {
    /// Its name; that of its network namespaces begins with it.
    pub name: Name,
    /// What joins the hosts.
    #[serde(default)]
    pub underlay: Underlay,
    /// An Ethernet segment beside the underlay, where gateways have their external interfaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<Outside>,
    /// A node that runs `netvirt controller`; only with an underlay of kind `segment`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<Controller>,
    /// The hosts.
    pub hosts: Vec<Host>,
    /// The VMs: network namespaces too, each joined to its host by a veth pair, or virtual machines, each on a tap of its
    /// host.
    #[serde(default)]
    pub vms: Vec<Vm>,
    /// Companies' sites on the outside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<Site>,
    /// Lookup records, customer routes and provider routes that every agent gets. Provider addresses and ports are
    /// made from `hosts` and `vms`.
    #[serde(default)]
    pub resources: Vec<Resource>,
}

/// What joins the hosts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Underlay {
    /// Its shape.
    #[serde(default)]
    pub kind: UnderlayKind,
    /// MTU of its devices in bytes. The default of 1600 has room for 1500 inside of any encapsulation.
    #[serde(default = "Underlay::default_mtu")]
    pub mtu: u32,
    /// Offloads of the hosts' uplinks; those left out stay as the kernel sets them.
    #[serde(default)]
    pub offloads: Offloads,
}

impl Underlay {
    const fn default_mtu() -> u32 {
        1600
    }
}

impl Default for Underlay {
    fn default() -> Self {
        Self { kind: UnderlayKind::default(), mtu: Self::default_mtu(), offloads: Offloads::default() }
    }
}

/// The shape of an underlay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UnderlayKind {
    /// One bridge; the hosts are neighbours.
    #[default]
    Segment,
    /// One router; each host is in a subnet of its own and has a default route.
    Routed,
    /// One veth pair between exactly two hosts, with nothing between: for benchmarks.
    Cable,
}

/// Switches of a device's offloads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Offloads {
    /// Generic receive offload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gro: Option<bool>,
    /// Generic segmentation offload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gso: Option<bool>,
    /// TCP segmentation offload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tso: Option<bool>,
    /// Checksums on sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx: Option<bool>,
}

/// The node of a controller.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Controller {
    /// Its name.
    #[serde(default = "Controller::default_name")]
    pub name: Name,
    /// Addresses of its `eth0` on the underlay, by which the hosts reach it.
    pub addresses: Vec<IpNet>,
}

impl Controller {
    fn default_name() -> Name {
        "controller".parse().unwrap_or_else(|_| unreachable!("\"controller\" is a legal name"))
    }
}

/// A host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Host {
    /// Its name. Its agent's socket is named after it.
    pub name: Name,
    /// Addresses of its uplink `eth0`; with an agent they are its provider addresses. An agent may do without, until it
    /// is told one.
    pub addresses: Vec<IpNet>,
    /// Whether it runs an agent; false for peers that are not netvirt.
    #[serde(default = "yes")]
    pub agent: bool,
    /// Whether the agent is enrolled at the lab's controller. The lab declares nothing to it then: all that it does
    /// comes from the controller, and `resources` are for the others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub joined: bool,
    /// Its place on the outside: an `eth1` there, with these addresses, which may be none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<Vec<IpNet>>,
    /// Whether it runs `netvirt gateway` beside its agent. Its `eth1` is the gateway's then, and the lab gives it no address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gateway: bool,
}

const fn yes() -> bool {
    true
}

/// A VM.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Vm {
    /// Its name, and that of its port.
    pub name: Name,
    /// What it is made of.
    #[serde(default)]
    pub kind: VmKind,
    /// The host that it is on.
    pub host: Name,
    /// MAC address of its `eth0`.
    pub mac: MacAddress,
    /// The VM subnet that it is in; absent or 0: not virtualized.
    #[serde(default, deserialize_with = "vsid_or_zero", skip_serializing_if = "Option::is_none")]
    pub vsid: Option<Vsid>,
    /// Its customer addresses.
    #[serde(default)]
    pub addresses: Vec<IpNet>,
    /// Its routes.
    #[serde(default)]
    pub routes: Vec<VmRoute>,
    /// MTU of its `eth0` in bytes; by default the agent's word, or 1500 on a host without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Offloads of its `eth0`; those left out stay as the kernel sets them.
    #[serde(default)]
    pub offloads: Offloads,
    /// Of kind `vm`: its memory in MiB, 128 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u32>,
    /// Of kind `vm`: how many processors it has, 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Of kind `vm`: how many queues its `eth0` has in each direction, 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queues: Option<u32>,
}

impl Vm {
    /// Whether it is a virtual machine with a kernel of its own.
    pub fn is_guest(&self) -> bool {
        self.kind == VmKind::Vm
    }

    /// MiB of memory of a guest.
    pub(crate) fn memory(&self) -> u32 {
        self.memory.unwrap_or(128)
    }

    /// Processors of a guest.
    pub(crate) fn cpus(&self) -> u32 {
        self.cpus.unwrap_or(1)
    }

    /// Queues of a guest's interface.
    pub(crate) fn queues(&self) -> u32 {
        self.queues.unwrap_or(1)
    }
}

/// What a VM is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VmKind {
    /// A network namespace: quick, small, and its kernel is this machine's.
    #[default]
    Namespace,
    /// A guest: QEMU, virtio-net on a tap, and a kernel of its own.
    Vm,
}

/// A route in a VM.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VmRoute {
    /// Where to.
    pub to: IpNet,
    /// The next hop.
    pub via: IpAddr,
}

impl Topology {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, is not YAML of this shape (with line and column), or contradicts itself.
    pub fn from_file(path: &Path) -> Result<Self, LabError> {
        let text = fs::read_to_string(path).map_err(|source| LabError::Read { path: path.to_owned(), source })?;
        Self::from_yaml(&text)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// When it is not YAML of this shape (with line and column), or contradicts itself.
    pub fn from_yaml(text: &str) -> Result<Self, LabError> {
        let topology: Self = serde_saphyr::from_str(text).map_err(|error| yaml_error(&error))?;
        topology.validate()?;
        Ok(topology)
    }
}

/// Leaves the place out of the reader's words, since [`LabError::Yaml`] says it in front.
struct WithoutPlace;

impl serde_saphyr::Localizer for WithoutPlace {
    fn attach_location<'a>(
        &self,
        message: std::borrow::Cow<'a, str>,
        _: serde_saphyr::Location,
    ) -> std::borrow::Cow<'a, str> {
        message
    }
}

/// Place and words of what the reader refused.
fn yaml_error(error: &serde_saphyr::Error) -> LabError {
    let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
    let formatter = serde_saphyr::UserMessageFormatter.with_localizer(&WithoutPlace);
    LabError::Yaml { line, column, message: error.without_snippet().render_with_formatter(&formatter) }
}

/// Reads a VSID; 0 and null are none.
fn vsid_or_zero<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vsid>, D::Error> {
    match Option::<u32>::deserialize(deserializer)? {
        None | Some(0) => Ok(None),
        Some(number) => Vsid::new(number).map(Some).map_err(serde::de::Error::custom),
    }
}
