//! What only hosts know, and a controller asks them on demand: what passed a port, how a host is, which addresses DHCP has
//! given, what would become of a packet.
//!
//! **Invariant:** nothing of it is stored: who asks nothing costs nothing, and an answer is of the moment.
//! **Invariant:** a tenant is told neither names of hosts nor provider addresses.

use std::net::IpAddr;
use std::time::Duration;

use model::fabric::ResourceName;
use model::{LeaseState, MacAddress};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DropCounter, HostStatus, Problem, TraceReport, TraceRequest};

/// How long a host may take to answer.
pub const ASK_TIMEOUT: Duration = Duration::from_secs(2);
/// Most ports in one question.
pub const MAX_ASKED_PORTS: usize = super::MAX_PAGE;

/// A question that hosts answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Question {
    /// What passed ports of a tenant since their devices came, and what of their VMs was dropped. At most [`MAX_ASKED_PORTS`].
    Counters {
        /// The owner of the ports.
        tenant: ResourceName,
        /// The ports. One that there is none of fails the whole question.
        ports: Vec<ResourceName>,
    },
    /// How a host is. Not for those who are confined to a tenant.
    Host {
        /// The host.
        host: ResourceName,
    },
    /// What the flows that a host knows now have sent to other hosts, and got from them. Not for those who are confined to
    /// a tenant. The host looks through its whole flow table for it: ask rarely.
    Tunnels {
        /// The host.
        host: ResourceName,
    },
    /// The addresses that DHCP has given in a VM subnet.
    Leases {
        /// The owner of the VM subnet.
        tenant: ResourceName,
        /// The VM subnet.
        vm_subnet: ResourceName,
    },
    /// What would become of a packet, on each host that it comes to.
    Trace {
        /// The owner of the port that it is from.
        tenant: ResourceName,
        /// The packet; `from` is the name of the port at the controller.
        packet: TraceRequest,
    },
}

/// What came of a [`Question`]: the variant of the same name.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// See [`Question::Counters`].
    Counters(Traffic),
    /// See [`Question::Host`].
    Host(Box<HostReport>),
    /// See [`Question::Tunnels`].
    Tunnels(Tunnels),
    /// See [`Question::Leases`].
    Leases(Leases),
    /// See [`Question::Trace`].
    Trace(Trace),
}

/// An answer to another question, which is a bug of who has answered.
fn another<T>() -> Result<T, Problem> {
    Err(Problem::internal("the answer is to another question, which is a bug"))
}

impl Answer {
    /// The answer to [`Question::Counters`].
    ///
    /// # Errors
    /// When it is one to another question.
    pub fn counters(self) -> Result<Traffic, Problem> {
        if let Self::Counters(traffic) = self { Ok(traffic) } else { another() }
    }

    /// The answer to [`Question::Host`].
    ///
    /// # Errors
    /// When it is one to another question.
    pub fn host(self) -> Result<HostReport, Problem> {
        if let Self::Host(report) = self { Ok(*report) } else { another() }
    }

    /// The answer to [`Question::Tunnels`].
    ///
    /// # Errors
    /// When it is one to another question.
    pub fn tunnels(self) -> Result<Tunnels, Problem> {
        if let Self::Tunnels(tunnels) = self { Ok(tunnels) } else { another() }
    }

    /// The answer to [`Question::Leases`].
    ///
    /// # Errors
    /// When it is one to another question.
    pub fn leases(self) -> Result<Leases, Problem> {
        if let Self::Leases(leases) = self { Ok(leases) } else { another() }
    }

    /// The answer to [`Question::Trace`].
    ///
    /// # Errors
    /// When it is one to another question.
    pub fn trace(self) -> Result<Trace, Problem> {
        if let Self::Trace(trace) = self { Ok(trace) } else { another() }
    }
}

/// The ports of a question about several, as its body has them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AskedPorts {
    /// The ports.
    #[schemars(length(max = 500))]
    pub(super) ports: Vec<ResourceName>,
}

/// What nobody could say, while the rest was answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unanswered {
    /// The ports of which nothing is known.
    #[schemars(with = "Vec<String>")]
    pub ports: Vec<ResourceName>,
    /// Why, in a sentence.
    pub reason: String,
}

/// What passed ports. If no host answers at all, the question is refused with
/// [`crate::ProblemType::Unavailable`] instead.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// The ports of which something is known, in the order of the question.
    pub ports: Vec<PortTraffic>,
    /// The others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Unanswered>,
}

/// What passed a port since its device came. It begins anew when the VM moves to another host, and where an admin of the host
/// resets it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortTraffic {
    /// The port.
    #[schemars(with = "String")]
    pub port: ResourceName,
    /// Packets that the VM sent.
    pub sent_packets: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Packets that were delivered to the VM.
    pub received_packets: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Packets of the VM that were dropped, by reason; reasons that nothing was dropped for are left out. What came for it and
    /// was not let in is counted where it came from: at the sender's port on the same host, else at the host's uplink, for all
    /// ports together ([`HostReport::drops`]).
    #[serde(default)]
    pub drops: Vec<Dropped>,
}

impl PortTraffic {
    /// Packets that were dropped, for whatever reason.
    pub fn dropped(&self) -> u64 {
        self.drops.iter().map(|drops| drops.packets).sum()
    }
}

/// Packets that were dropped for one reason.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dropped {
    /// Name of the reason.
    pub reason: String,
    /// The reason in a sentence.
    pub explanation: String,
    /// How many.
    pub packets: u64,
}

/// How a host is, as it says itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostReport {
    /// What `netvirt status` says on the host: version, drift, findings ...
    pub status: HostStatus,
    /// What was dropped, by port and reason, as `netvirt get drops` says on the host. The ports have the names that they have
    /// there.
    pub drops: Vec<DropCounter>,
    /// What went to other hosts and to the physical network, over all uplinks.
    pub uplink: UplinkTraffic,
}

/// What passed the uplinks of a host. It is counted for all peers together; what is known of each is in [`Tunnels`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UplinkTraffic {
    /// Packets that left.
    pub sent_packets: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Packets that came and were for VMs.
    pub received_packets: u64,
    /// Their bytes.
    pub received_bytes: u64,
}

/// The traffic of a host by peer. The kernel programs count flows and not peers: it is what the flows of the moment have
/// carried, and what ended is in it no longer.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tunnels {
    /// In the order of the remote addresses.
    pub tunnels: Vec<Tunnel>,
}

/// What the flows between two hosts have carried.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tunnel {
    /// Provider address of the other host.
    pub remote: IpAddr,
    /// The host that has it; absent if none of this controller has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub host: Option<ResourceName>,
    /// Flows that are under way.
    pub flows: u64,
    /// Packets that they sent to the other host.
    pub sent_packets: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Packets that they got from it.
    pub received_packets: u64,
    /// Their bytes.
    pub received_bytes: u64,
}

/// The addresses that DHCP has given in a VM subnet. If no host answers at all, the question is refused with
/// [`crate::ProblemType::Unavailable`] instead.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Leases {
    /// In the order of ports and addresses.
    pub leases: Vec<Lease>,
    /// The ports whose hosts do not answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Unanswered>,
}

/// What DHCP last said of an address to a port, at most one of each family. An agent that starts anew knows of none before
/// the VM asks again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The port.
    #[schemars(with = "String")]
    pub port: ResourceName,
    /// Its MAC address.
    #[schemars(with = "String")]
    pub mac: MacAddress,
    /// The address.
    pub address: IpAddr,
    /// What was said.
    #[schemars(with = "String")]
    pub state: LeaseState,
    /// When (RFC 3339); a renewal counts.
    pub since: String,
    /// When it ends if the VM does not renew it (RFC 3339). Only of one that the VM has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// What would become of a packet, from host to host.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// One for each host that it comes to, in their order; at least one.
    pub legs: Vec<TraceLeg>,
    /// Why it is not known how it goes on after the last leg, if it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<String>,
}

/// What becomes of a packet on one host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TraceLeg {
    /// The host; a tenant is not told which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub host: Option<ResourceName>,
    /// What `netvirt trace` says on the host. For a tenant it is without all that is of the provider.
    pub report: TraceReport,
    /// How it ends there, for programs and pictures.
    pub end: TraceEnd,
}

/// How a packet ends on a host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TraceEnd {
    /// What becomes of it.
    pub fate: TraceFate,
    /// The port that it is delivered to; absent if it is not, or the port is none that the caller may see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub port: Option<ResourceName>,
    /// The provider address that it goes to; a tenant is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<IpAddr>,
}

/// What becomes of a packet on a host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TraceFate {
    /// It is dropped; the report has the reason.
    Dropped,
    /// It is delivered to a port of the host.
    Delivered,
    /// It goes to another host, encapsulated or not; the next leg is there.
    ToHost,
    /// It is copied to ports of the host and to other hosts. It is not followed further.
    Replicated,
    /// The host answers it.
    Answered,
    /// It goes to the physical network, or to the host's own stack.
    Outside,
}
