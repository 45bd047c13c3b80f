//! What `plan` writes in the words of `wg(8)`, read again by the process of a tunnel.

use std::net::SocketAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ipnet::IpNet;

/// 32 bytes: a key.
pub(super) type Key = [u8; 32];

/// A tunnel with one peer.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Configuration {
    pub private_key: Key,
    pub listen_port: u16,
    pub peer_key: Key,
    pub preshared_key: Option<Key>,
    pub allowed: Vec<IpNet>,
    pub endpoint: Option<SocketAddr>,
    pub keepalive: Option<u16>,
}

impl Configuration {
    /// Reads a configuration.
    ///
    /// # Errors
    /// The line that is not understood, as far as its `=`, since keys stand behind it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut made = Self::default();
        let mut keys = 0;
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with(['#', '[']) {
                continue;
            }
            let (name, value) =
                line.split_once('=').map(|(name, value)| (name.trim(), value.trim())).unwrap_or((line, ""));
            let read = match name {
                "PrivateKey" => key(value).map(|key| (made.private_key, keys) = (key, keys + 1)),
                "PublicKey" => key(value).map(|key| (made.peer_key, keys) = (key, keys + 1)),
                "PresharedKey" => key(value).map(|key| made.preshared_key = Some(key)),
                "ListenPort" => value.parse().ok().map(|port| made.listen_port = port),
                "Endpoint" => value.parse().ok().map(|endpoint| made.endpoint = Some(endpoint)),
                "PersistentKeepalive" => value.parse().ok().map(|seconds| made.keepalive = Some(seconds)),
                "AllowedIPs" => prefixes(value).map(|prefixes| made.allowed = prefixes),
                _ => None,
            };
            read.ok_or_else(|| name.to_owned())?;
        }
        if keys == 2 { Ok(made) } else { Err("PrivateKey, PublicKey".to_owned()) }
    }
}

/// A key as `wg` writes it.
pub(super) fn key(text: &str) -> Option<Key> {
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}

fn prefixes(text: &str) -> Option<Vec<IpNet>> {
    text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(|text| text.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";

    #[test]
    fn what_is_written_is_read() {
        let text = format!(
            "[Interface]\nPrivateKey = {KEY}\nListenPort = 51821\n\n[Peer]\nPublicKey = {KEY}\nAllowedIPs = 10.2.0.0/24, \
             fd00::/8\nEndpoint = [2001:db8::1]:51820\nPersistentKeepalive = 25\n"
        );
        let read = Configuration::read(&text).map_err(|line| panic!("{line}")).unwrap();
        assert_eq!(read.listen_port, 51821);
        assert_eq!(read.allowed.len(), 2);
        assert_eq!(read.keepalive, Some(25));
        assert_eq!(read.endpoint, Some("[2001:db8::1]:51820".parse().unwrap()));
        assert_eq!(
            Configuration::read(&text.replace("PrivateKey = H", "PrivateKey = !")).err().as_deref(),
            Some("PrivateKey")
        );
        assert!(Configuration::read("[Interface]").is_err());
    }
}
