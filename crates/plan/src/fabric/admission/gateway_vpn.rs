//! Tunnels of gateway connections: keys and the other side.

use model::fabric::{GatewayConnection, Key};
use model::gateway::{Ipsec, Secret, Wireguard, WireguardKey};
use uuid::Uuid;

use super::{MAX_ENTRIES, Run};
use crate::fabric::{GatewayRefusal, Refusal};
use crate::gateway::ipsec::{Lack, lack};

/// Most characters of a certificate, with those between it and its authority.
const MAX_PEM: usize = 64 * 1024;

/// Whether a tunnel needs a private key that its spec leaves out.
pub(super) fn makes_key(spec: &GatewayConnection) -> bool {
    spec.wireguard.as_ref().is_some_and(|wireguard| wireguard.private_key.is_none())
}

/// A private key of WireGuard (Curve25519, RFC 7748, section 5) out of random identifiers. Of each of these, bytes 6 and 8 are
/// not all random (RFC 9562, section 5.4) and are left out.
pub(super) fn private_key(uuid: &mut dyn FnMut() -> Uuid) -> String {
    use base64::Engine as _;
    let random =
        |id: Uuid| id.into_bytes().into_iter().enumerate().filter(|(at, _)| !matches!(at, 6 | 8)).map(|(_, byte)| byte);
    let mut key = [0_u8; 32];
    let bytes = random(uuid()).chain(random(uuid())).chain(random(uuid()));
    for (place, byte) in key.iter_mut().zip(bytes) {
        *place = byte;
    }
    key[0] &= 0b1111_1000;
    key[31] = key[31] & 0b0111_1111 | 0b0100_0000;
    base64::engine::general_purpose::STANDARD.encode(key)
}

impl Run<'_, '_> {
    fn text(&mut self, key: &Key, field: &str, wrong: &'static str) {
        self.refuse(key, GatewayRefusal::Text { key: key.clone(), field: field.to_owned(), wrong }.into());
    }

    pub(super) fn check_ipsec(&mut self, key: &Key, ipsec: &Ipsec) {
        if ipsec.psk.is_some() == ipsec.certificates.is_some() {
            let both = ipsec.psk.is_some();
            self.refuse(key, GatewayRefusal::PskOrCertificates { key: key.clone(), both }.into());
        }
        if ipsec.psk.as_ref().is_some_and(|psk| psk.reveal().trim().is_empty()) {
            self.text(key, "ipsec.psk", "is empty; write a key that both sides know, of 16 random characters or more");
        }
        if let Some(certificates) = &ipsec.certificates {
            let texts = [
                ("ipsec.certificates.certificate", certificates.certificate.as_str()),
                ("ipsec.certificates.ca", certificates.ca.as_str()),
                ("ipsec.certificates.privateKey", certificates.private_key.reveal()),
            ];
            for (field, text) in texts {
                if text.len() > MAX_PEM {
                    self.text(key, field, "has more than 65536 characters; give what is needed of the chain alone");
                } else if !text.trim_start().starts_with("-----BEGIN ") && text != Secret::HIDDEN {
                    self.text(key, field, "is not PEM; write what begins with \"-----BEGIN\"");
                }
            }
        }
        if let Some(remote) = ipsec.remote {
            self.unicast(key, remote);
        }
        match lack(ipsec) {
            Some(Lack::Remote) => self.refuse(key, GatewayRefusal::NoRemote(key.clone()).into()),
            Some(Lack::Name) => self.refuse(key, GatewayRefusal::NoRemoteName(key.clone()).into()),
            Some(Lack::Way) => self.refuse(key, GatewayRefusal::NoWay(key.clone()).into()),
            None => {}
        }
        for (field, text) in [("ipsec.localId", &ipsec.local_id), ("ipsec.remoteId", &ipsec.remote_id)] {
            if text
                .as_ref()
                .is_some_and(|text| text.is_empty() || text.len() > 255 || text.chars().any(char::is_control))
            {
                self.text(
                    key,
                    field,
                    "is no name in IKE; write an address, a domain name, or a distinguished name in one line",
                );
            }
        }
        for (field, proposals) in
            [("ipsec.ikeProposals", &ipsec.ike_proposals), ("ipsec.espProposals", &ipsec.esp_proposals)]
        {
            self.length(key, "proposals", proposals.len());
            let legal = |text: &String| {
                !text.is_empty()
                    && text.len() <= 255
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            };
            if !proposals.iter().all(legal) {
                self.text(key, field, "has what is no proposal; write such as aes256gcm16-prfsha384-ecp384");
            }
        }
        let prefixes = [("remote prefixes", &ipsec.remote_prefixes), ("local prefixes", &ipsec.local_prefixes)];
        for (what, prefixes) in prefixes {
            self.length(key, what, prefixes.len());
            for prefix in prefixes {
                self.remote_prefix(key, *prefix);
            }
        }
        self.tunnel_addresses(key, &ipsec.addresses);
        for (field, seconds) in [("ipsec.dpdDelay", ipsec.dpd_delay), ("ipsec.rekeyTime", ipsec.rekey_time)] {
            if let Some(seconds) = seconds.filter(|seconds| !(1..=86_400 * 7).contains(seconds)) {
                self.out_of_range(key, field, seconds.into(), "1 to 604800 seconds");
            }
        }
    }

    pub(super) fn check_wireguard(&mut self, key: &Key, wireguard: &Wireguard) {
        let secrets =
            [("wireguard.privateKey", &wireguard.private_key), ("wireguard.presharedKey", &wireguard.preshared_key)];
        for (field, secret) in secrets {
            let Some(secret) = secret.as_ref().filter(|secret| !secret.is_hidden()) else { continue };
            if let Err(error) = secret.reveal().parse::<WireguardKey>() {
                self.refuse(key, GatewayRefusal::WireguardKey { key: key.clone(), field, error }.into());
            }
        }
        if wireguard.listen_port == Some(0) {
            self.out_of_range(key, "wireguard.listenPort", 0, "1 to 65535");
        }
        if wireguard.keepalive == Some(0) {
            self.out_of_range(key, "wireguard.keepalive", 0, "1 to 65535 seconds, or leave it out");
        }
        if let Some(endpoint) = wireguard.endpoint {
            self.unicast(key, endpoint.ip());
            if endpoint.port() == 0 {
                self.out_of_range(key, "wireguard.endpoint's port", 0, "1 to 65535");
            }
        }
        self.length(key, "remote prefixes", wireguard.remote_prefixes.len());
        for prefix in &wireguard.remote_prefixes {
            self.remote_prefix(key, *prefix);
        }
        self.tunnel_addresses(key, &wireguard.addresses);
    }

    fn tunnel_addresses(&mut self, key: &Key, addresses: &[ipnet::IpNet]) {
        // A tunnel's own addresses are few; the bound is that of all lists.
        if addresses.len() > MAX_ENTRIES {
            let (what, count) = ("addresses in the tunnel", addresses.len());
            self.refuse(key, Refusal::TooMany { key: key.clone(), what, count, limit: MAX_ENTRIES });
        }
        for own in addresses {
            self.unicast(key, own.addr());
        }
    }
}
