//! What DHCP tells the VMs of one prefix, beside the addresses themselves.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{LeaseTime, Name, VlanId, Vsid};

/// The physical network behind an uplink, as a port sees it: untagged, or one of its VLANs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PhysicalNetwork {
    /// The uplink.
    pub interface: Name,
    /// The VLAN; none means untagged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<VlanId>,
}

/// `eth0`, or `eth0.42` with a VLAN.
impl std::fmt::Display for PhysicalNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.vlan {
            Some(vlan) => write!(f, "{}.{vlan}", self.interface),
            None => self.interface.fmt(f),
        }
    }
}

/// A route that DHCP tells a VM (RFC 3442).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClasslessRoute {
    /// Destination.
    #[schemars(with = "String")]
    pub prefix: IpNet,
    /// The router, on-link for the VM.
    pub next_hop: IpAddr,
}

/// A DHCP scope: one prefix of a subnet in which the host answers DHCP (IPv4), or DHCPv6 and router solicitations
/// (IPv6). Which address a VM gets is said by its port, or by the static lookup record of its MAC address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DhcpScope {
    /// VSID of the subnet; or else
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vsid: Option<Vsid>,
    /// the physical network that the ports are joined to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical: Option<PhysicalNetwork>,
    /// The prefix whose addresses the VMs have.
    pub prefix: IpNet,
    /// The VMs' default gateway. In a subnet with a VSID it is the distributed router's address and may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// DNS servers of the prefix's family, in the order in which they are asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_servers: Vec<IpAddr>,
    /// The VMs' domain, and what short names are searched in after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_suffixes: Vec<String>,
    /// Routes besides the default one, of the prefix's family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<ClasslessRoute>,
    /// How long a lease is valid.
    #[serde(default)]
    pub lease_time: LeaseTime,
}

impl DhcpScope {
    /// The VMs' default gateway: the one that is declared, or in a subnet with a VSID the distributed router.
    pub fn router(&self) -> Option<IpAddr> {
        self.gateway.or_else(|| self.vsid.and_then(|_| crate::resource::gateway_of(self.prefix)))
    }
}
