//! What a host says of itself, as both sides read it.

use ipnet::IpNet;
use model::{MacAddress, Name, Vsid};
use std::net::IpAddr;

/// What a host is, said when it joins and whenever it connects.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HostFacts {
    /// Version of the agent.
    pub version: String,
    /// Its interfaces in the underlay.
    pub uplinks: Vec<Uplink>,
    /// The names of the questions that its agent answers; see [`crate::Hub::ask`].
    pub questions: Vec<String>,
}

/// An interface in the underlay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Uplink {
    /// Its name.
    pub interface: Name,
    /// Its addresses, each with the length of its on-link prefix.
    pub addresses: Vec<IpNet>,
    /// Its MTU, in bytes.
    pub mtu: u32,
}

/// All that a host has to say beside acknowledgements. A report replaces the one before.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// The ports that are declared there.
    pub ports: Vec<PortReport>,
    /// What is legal but probably not meant, or could not be carried out, one sentence each.
    pub findings: Vec<String>,
    /// The addresses that VMs were heard to use.
    pub learnt: Vec<LearntAddress>,
    /// The uplinks as they are now.
    pub uplinks: Vec<Uplink>,
    /// The VMs that were to move to this host while they run, and were heard here.
    pub arrived: Vec<Station>,
    /// The VMs that move away from this host while they run, or have moved.
    pub departures: Vec<Departure>,
}

/// A VM that moves away from a host, or has moved: what became there of what was for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Departure {
    /// Which.
    pub station: Station,
    /// Frames that came for it after it had gone, and were sent on to it.
    pub sent_on: u64,
    /// Frames that went to its device and that it did not take, as it stood still; none where that cannot be known.
    pub lost: Option<u64>,
    /// Flows that were handed over.
    pub flows: u64,
}

/// A VM, as its subnet knows it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Station {
    /// The subnet.
    pub vsid: Vsid,
    /// Its MAC address.
    pub mac: MacAddress,
}

/// A port on its host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortReport {
    /// Its name on the host.
    pub name: Name,
    /// Whether its device is there.
    pub bound: bool,
}

/// An address that a VM was heard to use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LearntAddress {
    /// The subnet.
    pub vsid: Vsid,
    /// The VM's MAC address.
    pub mac: MacAddress,
    /// The address.
    pub address: IpAddr,
}
