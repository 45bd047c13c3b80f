//! Gateways: what joins a VM network to something outside of it. The parts of a connection that operators and tenants write at
//! the controller ([`crate::fabric::GatewayConnection`]) and that a gateway's host is told ([`Compartment`]) are one and the
//! same types.
//!
//! A gateway's host has for each VM network that it serves a *compartment* (RRAS' word): a network namespace with an
//! interface *inside*, which is a port of the VM network's gateway subnet, and one *outside*. The hosts of the VM network send
//! there, by a customer route, whatever no other route of it takes.

mod bgp;
mod compartment;
mod dns;
mod hidden;
mod nat;
mod peer;
mod secret;
mod status;
mod vpn;

pub use bgp::{Bgp, BgpNeighbor, PrefixFilter};
pub(crate) use compartment::CompartmentSpec;
pub use compartment::{Compartment, Connection, Gateway, Inside, Outside, Service, SharedAddress};
pub use dns::{Dns, DnsName, DnsZone};
pub use hidden::secrets_of;
pub use nat::{Floating, Forward, ForwardProtocol, Nat, NatLimits, PrefixTranslation};
pub use peer::{GatewayBeat, GatewayLinks, GatewayPeer, PeerReport};
pub use secret::Secret;
pub use status::{CompartmentReport, ConnectionReport, ConnectionState, GatewayReport};
pub use vpn::{Certificates, Ipsec, Routing, StaticRoute, Wireguard, WireguardKey, WireguardKeyError};

/// What a part leaves out when nothing stands in it.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
