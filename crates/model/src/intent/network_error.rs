//! What can be wrong with DHCP scopes and with ports of physical networks, each as a sentence with the value and the
//! remedy.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{Key, MacAddress, Name, PhysicalNetwork, Vsid};

/// One contradiction about DHCP scopes, or about the networks of ports.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NetworkError {
    /// A scope that is nowhere.
    #[error("{key}: it names no network; give the VSID of its subnet, or the physical network")]
    ScopeWithoutNetwork {
        /// The scope.
        key: Key,
    },
    /// A port or a scope that is in two places.
    #[error("{key}: it is in VSID {vsid} and in the physical network {physical}; keep one of the two")]
    TwoNetworks {
        /// The port or scope.
        key: Key,
        /// The one.
        vsid: Vsid,
        /// The other.
        physical: PhysicalNetwork,
    },
    /// The prefix of everything.
    #[error("{key}: {prefix} is no prefix of a subnet; give the one whose addresses the VMs have")]
    ScopePrefix {
        /// The scope.
        key: Key,
        /// Its prefix.
        prefix: IpNet,
    },
    /// A gateway that VMs cannot reach.
    #[error("{key}: gateway {gateway} is no host address of {prefix}; give one that is")]
    ScopeGateway {
        /// The scope.
        key: Key,
        /// Its gateway.
        gateway: IpAddr,
        /// Its prefix.
        prefix: IpNet,
    },
    /// A DNS server of the other family, or no host.
    #[error(
        "{key}: DNS server {server} is no {} address of a host; give one, or put it in a scope of the other family",
        if .prefix.addr().is_ipv4() { "IPv4" } else { "IPv6" }
    )]
    ScopeDnsServer {
        /// The scope.
        key: Key,
        /// The server.
        server: IpAddr,
        /// The scope's prefix.
        prefix: IpNet,
    },
    /// A suffix that DNS cannot carry.
    #[error(
        "{key}: DNS suffix \"{suffix}\" is no domain name; write one such as example.com, of letters, digits and hyphens"
    )]
    ScopeDnsSuffix {
        /// The scope.
        key: Key,
        /// The suffix.
        suffix: String,
    },
    /// A route of the other family.
    #[error("{key}: route {route} is of another family than {prefix}; put it in a scope of its own family")]
    ScopeRouteFamily {
        /// The scope.
        key: Key,
        /// The route's destination.
        route: IpNet,
        /// The scope's prefix.
        prefix: IpNet,
    },
    /// A router that VMs cannot reach.
    #[error("{key}: next hop {next_hop} of route {route} is no host address of {prefix}; give one that is")]
    ScopeNextHop {
        /// The scope.
        key: Key,
        /// The route's destination.
        route: IpNet,
        /// The router.
        next_hop: IpAddr,
        /// The scope's prefix.
        prefix: IpNet,
    },
    /// An address of two scopes.
    #[error("{first} and {second} overlap in {network}; an address is of one scope: change one of the two prefixes")]
    ScopesOverlap {
        /// One scope.
        first: Key,
        /// The other.
        second: Key,
        /// Their network.
        network: String,
    },
    /// An address that no VM can have.
    #[error("{key}: address {address} is no unicast address that a VM can be given; choose another")]
    PortAddress {
        /// The port.
        key: Key,
        /// The address.
        address: IpAddr,
    },
    /// Two addresses of one prefix.
    #[error(
        "{key}: {first} and {second} are both of {scope}; DHCP gives a VM one address of each prefix: keep one of the two"
    )]
    TwoAddresses {
        /// The port.
        key: Key,
        /// One address.
        first: IpAddr,
        /// The other.
        second: IpAddr,
        /// The scope that both are of.
        scope: Key,
    },
    /// Two ports with one address.
    #[error("{first} and {second} have the same address {address} in {network}; give one of the two another")]
    AddressTwice {
        /// One port.
        first: Key,
        /// The other.
        second: Key,
        /// The address.
        address: IpAddr,
        /// Their network.
        network: String,
    },
    /// Two ports with one MAC address in one physical network.
    #[error(
        "{first} and {second} have the same MAC address {mac} in the physical network {network}; give one of the two \
         another"
    )]
    MacTwice {
        /// One port.
        first: Key,
        /// The other.
        second: Key,
        /// The MAC address.
        mac: MacAddress,
        /// Their network.
        network: PhysicalNetwork,
    },
    /// A port on the uplink of another.
    #[error(
        "{key}: \"{device}\" is the uplink of the physical network of {other}; a port's device is the tap or veth of one VM"
    )]
    DeviceIsUplink {
        /// The port.
        key: Key,
        /// Its device.
        device: Name,
        /// The port that is joined to a network behind it.
        other: Key,
    },
}

impl NetworkError {
    /// The resources that contradict each other, the one that is to be corrected first standing last.
    pub(super) fn keys(&self) -> Vec<&Key> {
        match self {
            Self::ScopeWithoutNetwork { key }
            | Self::TwoNetworks { key, .. }
            | Self::ScopePrefix { key, .. }
            | Self::ScopeGateway { key, .. }
            | Self::ScopeDnsServer { key, .. }
            | Self::ScopeDnsSuffix { key, .. }
            | Self::ScopeRouteFamily { key, .. }
            | Self::ScopeNextHop { key, .. }
            | Self::PortAddress { key, .. } => vec![key],
            Self::TwoAddresses { scope, key, .. } => vec![scope, key],
            Self::DeviceIsUplink { other, key, .. } => vec![other, key],
            Self::ScopesOverlap { first, second, .. }
            | Self::AddressTwice { first, second, .. }
            | Self::MacTwice { first, second, .. } => vec![first, second],
        }
    }
}
