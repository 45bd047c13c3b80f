//! What a host remembers of a port's VM: its connections and leases, for another host that the VM moves to where no
//! controller carries them.

use std::net::IpAddr;

use model::{LeaseState, MacAddress, Vsid};
use serde::{Deserialize, Serialize};

/// All of it. Times are ages, since the clocks of two hosts have nothing in common.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortMemory {
    /// VSID of the port.
    pub vsid: Vsid,
    /// MAC address of the port.
    pub mac: MacAddress,
    /// The connections that are under way.
    #[serde(default)]
    pub connections: Vec<Connection>,
    /// What DHCP last said of addresses.
    #[serde(default)]
    pub leases: Vec<PastLease>,
}

/// A connection, or what is like one in other protocols than TCP.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Connection {
    /// Name or number of the IP protocol.
    pub protocol: String,
    /// The VM's address.
    pub local: IpAddr,
    /// Its port, or the ICMP identifier; 0 where there is none.
    pub local_port: u16,
    /// The other side's address.
    pub remote: IpAddr,
    /// Its port, or the ICMP identifier.
    pub remote_port: u16,
    /// Who opened it: `egress` if the VM did, else `ingress`.
    pub opened: String,
    /// How far it has come: `new`, `opening`, `open`, `closing`, `closed`, `reset`.
    pub state: String,
    /// Whether the VM has said that it has no more to send.
    #[serde(default)]
    pub local_fin: bool,
    /// Whether the other side has.
    #[serde(default)]
    pub remote_fin: bool,
    /// Milliseconds since its last packet.
    pub idle_ms: u64,
    /// Frames that the VM sent.
    #[serde(default)]
    pub from_packets: u64,
    /// Their bytes.
    #[serde(default)]
    pub from_bytes: u64,
    /// Frames that went to the VM.
    #[serde(default)]
    pub to_packets: u64,
    /// Their bytes.
    #[serde(default)]
    pub to_bytes: u64,
}

/// What DHCP last said of an address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PastLease {
    /// The address.
    pub address: IpAddr,
    /// What has become of it.
    pub state: LeaseState,
    /// Milliseconds since then.
    pub age_ms: u64,
}

/// What has become of what a host was given to remember.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remembered {
    /// Connections that it remembers now.
    pub connections: usize,
    /// Connections that it has seen itself since, and knows better.
    pub known: usize,
    /// Connections that have ended.
    pub ended: usize,
    /// Connections for which the port has no room.
    pub no_room: usize,
}
