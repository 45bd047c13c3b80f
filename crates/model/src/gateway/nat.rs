//! Network address translation of a compartment: many behind few (RFC 3022), one to one, single ports, and prefixes of IPv6
//! (RFC 6296).

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_default;
use crate::fabric::named;
use crate::security::PortRange;

/// NAT. VMs open connections to the outside in the name of [`Nat::addresses`]; nothing from outside reaches them but by
/// `floating`, `forwards` and `translations`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Nat {
    /// The addresses that the VMs appear under, IPv4 or IPv6. At a controller they may be left out: one is chosen from the
    /// gateway's pool.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// At a controller: do with so many ports of an address that is shared with others, instead of one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 64, max = 32768))]
    pub shared_ports: Option<u16>,
    /// Which of the VM network's addresses are translated; none means all that its subnets have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub prefixes: Vec<IpNet>,
    /// Addresses of the outside that stand for one VM each, in both directions.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "named::list")]
    pub floating: Vec<Floating>,
    /// Ports of the outside that lead to VMs.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "named::list")]
    pub forwards: Vec<Forward>,
    /// Prefixes of IPv6 that stand for prefixes of the VM network (NPTv6), in both directions. The router outside is told of
    /// them: it sends what is for them to the compartment.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "named::list")]
    pub translations: Vec<PrefixTranslation>,
    /// What its VMs may have at once.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "named::one")]
    pub limits: NatLimits,
    /// Whether the gateway's host logs who had which address and port when (RFC 6888, REQ-12).
    #[serde(skip_serializing_if = "is_default")]
    pub log: bool,
}

impl Nat {
    /// The addresses of the outside that it names, in whatever part, each once.
    pub fn externals(&self) -> Vec<IpAddr> {
        let floating = self.floating.iter().map(|floating| floating.external);
        let forwards = self.forwards.iter().filter_map(|forward| forward.external);
        let mut all: Vec<IpAddr> = self.addresses.iter().copied().chain(floating).chain(forwards).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// An address of the outside that stands for one of the inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Floating {
    /// Of the outside.
    pub external: IpAddr,
    /// Of the VM, of the same family.
    pub internal: IpAddr,
}

/// Ports of the outside that lead to a VM.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Forward {
    /// TCP or UDP.
    pub protocol: ForwardProtocol,
    /// Address of the outside; the first of [`Nat::addresses`] of the VM's family if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<IpAddr>,
    /// Ports of the outside.
    pub ports: PortRange,
    /// The VM's address.
    pub internal: IpAddr,
    /// The VM's port that the first of `ports` leads to, the others following; the same ports if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal_port: Option<u16>,
}

/// The protocols that have ports to forward.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ForwardProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl ForwardProtocol {
    /// The word for it, nftables' too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A prefix of IPv6 that stands for one of the VM network, of the same length.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrefixTranslation {
    /// Of the VM network.
    #[schemars(with = "String")]
    pub internal: Ipv6Net,
    /// Of the outside.
    #[schemars(with = "String")]
    pub external: Ipv6Net,
}

/// What the VMs of a NAT may have at once; none means no limit of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NatLimits {
    /// Connections of all VMs together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub connections: Option<u32>,
    /// Connections of each address of the inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub connections_per_address: Option<u32>,
    /// New connections a second, of all together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub new_per_second: Option<u32>,
}
