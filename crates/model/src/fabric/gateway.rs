//! Gateways and their connections, as operators and tenants declare them at the controller.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AddressRange, ResourceName, named};
use crate::gateway::{Bgp, Connection, Dns, Ipsec, Nat, Routing, Secret, Wireguard, secrets_of};
use crate::{Limits, Name, VlanId};

/// A gateway: hosts that join the VM networks of a logical network to something outside. Of its hosts one is active for each
/// VM network, and the others stand ready.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gateway {
    /// The logical network whose VM networks it may serve.
    pub logical_network: ResourceName,
    /// Its hosts, the preferred ones first.
    #[serde(deserialize_with = "named::list")]
    pub hosts: Vec<GatewayHost>,
    /// What lies at its external interface, and which addresses of it connections are given.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "named::list")]
    pub networks: Vec<ExternalNetwork>,
    /// Hosts of it that are to be empty, for maintenance for example: their VM networks go to the other hosts, and lose nothing
    /// by it. They do not come back by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drained: Vec<ResourceName>,
    /// For the reader only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A host of a gateway.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayHost {
    /// The host.
    pub host: ResourceName,
    /// Its interface towards the outside, which it uses for nothing else.
    #[schemars(with = "String")]
    pub interface: Name,
    /// Its own addresses outside; needed where connections share addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub addresses: Vec<IpNet>,
}

/// A network outside, at the external interfaces of a gateway's hosts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExternalNetwork {
    /// Its prefix.
    #[schemars(with = "String")]
    pub prefix: IpNet,
    /// The VLAN that it is in; none: untagged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u16>", range(min = 1, max = 4094))]
    pub vlan: Option<VlanId>,
    /// Its router towards everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<IpAddr>,
    /// The addresses that connections are given, inside of the prefix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<AddressRange>,
}

/// A connection of a VM network to something outside, by a gateway. Exactly one of `nat`, `routing`, `ipsec`, `wireguard` and
/// `dns` says what it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayConnection {
    /// The VM network of the same tenant.
    pub vm_network: ResourceName,
    /// The gateway; all connections of a VM network have the same.
    pub gateway: ResourceName,
    /// Network address translation.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "named::option")]
    pub nat: Option<Nat>,
    /// Routing without translation.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "named::option")]
    pub routing: Option<Routing>,
    /// An IPsec tunnel to a site.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "named::option")]
    pub ipsec: Option<Ipsec>,
    /// A WireGuard tunnel to a site.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "named::option")]
    pub wireguard: Option<Wireguard>,
    /// A DNS server for the VM network.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "named::option")]
    pub dns: Option<Dns>,
    /// Routes that are exchanged over it; with `routing`, `ipsec` and `wireguard`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "named::option")]
    pub bgp: Option<Bgp>,
    /// How much may pass: `egress` from the VM network, `ingress` to it. An operator's to choose.
    #[serde(default, skip_serializing_if = "Limits::is_none", deserialize_with = "named::one")]
    pub limits: Limits,
    /// For the reader only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl GatewayConnection {
    /// The same as a compartment has it.
    pub fn connection(&self, name: ResourceName) -> Connection {
        Connection {
            name,
            nat: self.nat.clone(),
            routing: self.routing.clone(),
            ipsec: self.ipsec.clone(),
            wireguard: self.wireguard.clone(),
            dns: self.dns.clone(),
            bgp: self.bgp.clone(),
            limits: self.limits,
        }
    }
}

impl GatewayConnection {
    /// Its secrets, each with its place.
    fn secrets(&mut self) -> Vec<(String, &mut Secret)> {
        secrets_of(self.ipsec.as_mut(), self.wireguard.as_mut(), self.bgp.as_mut())
    }

    /// Puts what stands for a secret in the place of each: for whoever may look at a connection.
    pub fn hide(&mut self) {
        for (_, secret) in self.secrets() {
            *secret = Secret::hidden();
        }
    }

    /// Puts the secrets of another version of it in the places where this one has only what stands for them.
    pub fn reveal(&mut self, old: &Self) {
        let mut old = old.clone();
        let known: Vec<(String, Secret)> =
            old.secrets().into_iter().map(|(field, secret)| (field, secret.clone())).collect();
        for (field, secret) in self.secrets().into_iter().filter(|(_, secret)| secret.is_hidden()) {
            if let Some((_, was)) = known.iter().find(|(other, _)| *other == field) {
                secret.clone_from(was);
            }
        }
    }

    /// The field of a secret that is only what stands for one.
    pub fn hidden_secret(&self) -> Option<String> {
        self.clone().secrets().into_iter().find(|(_, secret)| secret.is_hidden()).map(|(field, _)| field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_found_again() {
        let text = "{vmNetwork: a, gateway: g, ipsec: {remote: 198.51.100.1, psk: swordfish}, bgp: {localAs: 1, neighbors: \
                    [{address: 10.0.0.1, remoteAs: 2, password: jaguar}, {address: 10.0.0.2, remoteAs: 2, password: ocelot}]}}";
        let connection: GatewayConnection = serde_saphyr::from_str(text).unwrap();
        let mut shown = connection.clone();
        shown.hide();
        let json = serde_json::to_string(&shown).unwrap();
        assert!(!["swordfish", "jaguar", "ocelot"].iter().any(|secret| json.contains(secret)), "{json}");
        assert_eq!(shown.hidden_secret().as_deref(), Some("ipsec.psk"));
        // Written back in another order, with one of them new.
        if let Some(bgp) = &mut shown.bgp {
            bgp.neighbors.reverse();
            bgp.neighbors[1].password = Some(Secret::new("three"));
        }
        shown.reveal(&connection);
        assert_eq!(shown.hidden_secret(), None);
        let passwords: Vec<_> = shown.bgp.unwrap().neighbors.into_iter().map(|one| one.password.unwrap()).collect();
        assert_eq!(passwords, [Secret::new("ocelot"), Secret::new("three")]);
        assert_eq!(shown.ipsec, connection.ipsec);
    }
}
