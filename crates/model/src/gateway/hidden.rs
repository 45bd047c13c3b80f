//! Secrets are not shown: what stands in their place, and how they are found again when that is written back.

use std::collections::BTreeMap;

use super::{Bgp, Compartment, Connection, Ipsec, Secret, Wireguard};
use crate::Resource;

/// The secrets of a connection's parts, each with its place, such as `ipsec.psk`, which another version of the connection has
/// for it too.
pub fn secrets_of<'s>(
    ipsec: Option<&'s mut Ipsec>,
    wireguard: Option<&'s mut Wireguard>,
    bgp: Option<&'s mut Bgp>,
) -> Vec<(String, &'s mut Secret)> {
    let mut secrets = Vec::new();
    if let Some(Ipsec { psk, certificates, .. }) = ipsec {
        secrets.extend(psk.as_mut().map(|psk| ("ipsec.psk".to_owned(), psk)));
        let key = certificates.as_mut().map(|certificates| &mut certificates.private_key);
        secrets.extend(key.map(|key| ("ipsec.certificates.privateKey".to_owned(), key)));
    }
    if let Some(Wireguard { private_key, preshared_key, .. }) = wireguard {
        secrets.extend(private_key.as_mut().map(|key| ("wireguard.privateKey".to_owned(), key)));
        secrets.extend(preshared_key.as_mut().map(|key| ("wireguard.presharedKey".to_owned(), key)));
    }
    for neighbor in bgp.into_iter().flat_map(|bgp| &mut bgp.neighbors) {
        let place = format!("bgp.neighbors.{}.password", neighbor.address);
        secrets.extend(neighbor.password.as_mut().map(|password| (place, password)));
    }
    secrets
}

impl Connection {
    /// Its secrets, each with its place; see [`secrets_of`].
    pub fn secrets(&mut self) -> Vec<(String, &mut Secret)> {
        secrets_of(self.ipsec.as_mut(), self.wireguard.as_mut(), self.bgp.as_mut())
    }
}

impl Compartment {
    /// The secrets of all connections, each with the connection's name before its place.
    fn secrets(&mut self) -> Vec<(String, &mut Secret)> {
        let mut all = Vec::new();
        for connection in &mut self.connections {
            let name = connection.name.clone();
            all.extend(connection.secrets().into_iter().map(|(place, secret)| (format!("{name}.{place}"), secret)));
        }
        all
    }

    /// Hides its secrets.
    pub fn hide_secrets(&mut self) {
        self.secrets().into_iter().for_each(|(_, secret)| *secret = Secret::hidden());
    }

    /// Where something stands in the place of a secret, the secret that the same place of `old` has; else it stays hidden.
    pub fn find_secrets(&mut self, old: &Self) {
        let mut old = old.clone();
        let known: BTreeMap<String, Secret> =
            old.secrets().into_iter().map(|(place, secret)| (place, secret.clone())).collect();
        for (place, secret) in self.secrets().into_iter().filter(|(_, secret)| secret.is_hidden()) {
            if let Some(known) = known.get(&place) {
                *secret = known.clone();
            }
        }
    }

    /// The places of what stands for secrets, without the secrets.
    pub fn hidden_secrets(&self) -> Vec<String> {
        let mut copy = self.clone();
        let hidden = copy.secrets().into_iter().filter(|(_, secret)| secret.is_hidden());
        hidden.map(|(place, _)| place).collect()
    }
}

impl Resource {
    /// The same with its secrets hidden, if it is of a kind that has some.
    #[must_use]
    pub fn without_secrets(&self) -> Option<Self> {
        let Self::Compartment(compartment) = self else { return None };
        let mut hidden = compartment.clone();
        hidden.hide_secrets();
        Some(Self::Compartment(hidden))
    }

    /// The same with the secrets of the one that it replaces where something stands in their place, if that is so.
    #[must_use]
    pub fn with_secrets_of(&self, old: &Self) -> Option<Self> {
        let (Self::Compartment(new), Self::Compartment(old)) = (self, old) else { return None };
        if new.hidden_secrets().is_empty() {
            return None;
        }
        let mut found = new.clone();
        found.find_secrets(old);
        Some(Self::Compartment(found))
    }
}
