//! How a connection reaches its other side: on a link, in an IPsec tunnel, in a WireGuard tunnel.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Secret, is_default};
use crate::VlanId;
use crate::fabric::named;

/// Routing without translation: the VM network's addresses are known outside.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Routing {
    /// The VLAN of the gateway's external interface that leads there; none: untagged. A compartment has one outside, so all
    /// its connections name the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u16>", range(min = 1, max = 4094))]
    pub vlan: Option<VlanId>,
    /// Routes to what lies behind routers of the outside. What BGP tells comes beside them.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "named::list")]
    pub routes: Vec<StaticRoute>,
}

/// A route to a prefix by a router of the outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StaticRoute {
    /// Where to.
    #[schemars(with = "String")]
    pub prefix: IpNet,
    /// The router, on-link outside.
    pub next_hop: IpAddr,
}

/// An IPsec tunnel (RFC 4301), its keys by IKEv2 (RFC 7296). Exactly one of `psk` and `certificates`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Ipsec {
    /// Address of the other side. One that is passive may leave it out, and is then opened from anywhere by the side that
    /// `remoteId` names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<IpAddr>,
    /// Who we are in IKE; our address outside if it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_id: Option<String>,
    /// Who the other side is in IKE; its address if it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_id: Option<String>,
    /// The pre-shared key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psk: Option<Secret>,
    /// Certificates in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Certificates>,
    /// What lies behind the other side: routes into the tunnel, and its traffic selectors there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub remote_prefixes: Vec<IpNet>,
    /// What the other side may reach here; the prefixes of the VM network's subnets if it is left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub local_prefixes: Vec<IpNet>,
    /// Our own addresses inside of the tunnel, where BGP speaks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub addresses: Vec<IpNet>,
    /// Proposals of IKE, in strongSwan's words, such as `aes256gcm16-prfsha384-ecp384`; a modern choice if it is left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ike_proposals: Vec<String>,
    /// Proposals of ESP, such as `aes256gcm16-ecp384`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub esp_proposals: Vec<String>,
    /// Whether we wait for the other side instead of opening the tunnel ourselves.
    #[serde(skip_serializing_if = "is_default")]
    pub passive: bool,
    /// Seconds of silence after which the other side is asked whether it is there (RFC 7296, 2.4). 5 if it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpd_delay: Option<u32>,
    /// Seconds after which the keys of ESP are made anew. 3600 if it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rekey_time: Option<u32>,
}

/// Certificates of a tunnel, as PEM.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Certificates {
    /// Ours, and those between it and its authority.
    pub certificate: String,
    /// The private key of ours.
    pub private_key: Secret,
    /// The authority that the other side's must come from.
    pub ca: String,
}

/// A WireGuard tunnel with one peer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wireguard {
    /// Our private key. At a controller it may be left out: one is made, and its public key is in the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<Secret>,
    /// UDP port on which we listen. 51820 if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub listen_port: Option<u16>,
    /// The other side's public key.
    #[schemars(with = "String")]
    pub peer_key: WireguardKey,
    /// A key that both sides keep beside their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preshared_key: Option<Secret>,
    /// Where the other side listens; none: wherever it speaks from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub endpoint: Option<SocketAddr>,
    /// What lies behind the other side: routes into the tunnel, and what it may send from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub remote_prefixes: Vec<IpNet>,
    /// Our own addresses inside of the tunnel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub addresses: Vec<IpNet>,
    /// Seconds between signs of life, so that NATs on the way remember us. None if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub keepalive: Option<u16>,
}

/// A key of WireGuard: 32 bytes, written in base64 as `wg` does.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WireguardKey(String);

/// Why a text is no key of WireGuard.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "this is no key of WireGuard (44 characters of base64, the last of them \"=\"); \"wg genkey\" and \"wg pubkey\" write such"
)]
pub struct WireguardKeyError;

impl WireguardKey {
    /// The key as `wg` writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for WireguardKey {
    type Error = WireguardKeyError;
    /// 43 characters and a `=` hold 32 bytes; of the last character only four bits may be set.
    fn try_from(text: String) -> Result<Self, WireguardKeyError> {
        let body = text.strip_suffix('=').filter(|body| body.len() == 43).ok_or(WireguardKeyError)?;
        let legal = body.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
        let ends_well = body.ends_with(|last| "AEIMQUYcgkosw048".contains(last));
        if legal && ends_well { Ok(Self(text)) } else { Err(WireguardKeyError) }
    }
}

impl std::str::FromStr for WireguardKey {
    type Err = WireguardKeyError;
    fn from_str(text: &str) -> Result<Self, WireguardKeyError> {
        text.to_owned().try_into()
    }
}

impl From<WireguardKey> for String {
    fn from(key: WireguardKey) -> Self {
        key.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_wireguard() {
        let key = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";
        assert_eq!(key.parse::<WireguardKey>().unwrap().as_str(), key);
        let spoilt_end = key.replace("kw=", "kx=");
        for wrong in ["", "=", &key[1..], &key.replace('=', ""), &key.replace('H', "!"), &spoilt_end] {
            assert_eq!(wrong.parse::<WireguardKey>(), Err(WireguardKeyError), "{wrong}");
        }
    }
}
