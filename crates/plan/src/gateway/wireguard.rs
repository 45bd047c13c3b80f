//! WireGuard tunnels of a compartment: the configuration of each, what leads into it, and how large a packet may be.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use model::gateway::{Compartment, Connection, Wireguard, WireguardKey};

use super::tunnel_device;

/// The port on which is listened where none is said.
pub const LISTEN_PORT: u16 = 51820;

/// What WireGuard puts around a packet: UDP, its own header of 16 bytes, an authentication tag of 16 (`wireguard.com/protocol`).
const OVERHEAD: u32 = 8 + 16 + 16;

/// Seconds after a handshake until which a session is certainly in use: `REJECT_AFTER_TIME` of the protocol's description.
pub const SESSION: u64 = 180;

/// How the names of devices begin.
const DEVICE: &str = "wg";

/// The device of a connection with this number.
pub(super) fn device(number: u16) -> String {
    format!("{DEVICE}{number:04x}")
}

/// Whether a device of a compartment is a tunnel's, or was one.
pub fn is_device(name: &str) -> bool {
    let number = name.strip_prefix(DEVICE);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// A tunnel, every choice made.
#[derive(Clone, PartialEq, Eq)]
pub struct Tunnel<'c> {
    /// Its device.
    pub device: String,
    /// Our private key.
    private_key: WireguardKey,
    /// Where is listened.
    pub listen_port: u16,
    /// What is declared.
    pub declared: &'c Wireguard,
    /// What the other side may send from, and what is sent to it.
    pub allowed: Vec<IpNet>,
    /// What is routed into the tunnel.
    pub routes: Vec<IpNet>,
}

impl std::fmt::Debug for Tunnel<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnel").field("device", &self.device).field("listen_port", &self.listen_port).finish()
    }
}

/// Why there can be no such tunnel.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// No private key.
    #[error("the tunnel has no private key; set wireguard.privateKey to what \"wg genkey\" writes")]
    NoKey,
    /// A key that is none.
    #[error("wireguard.{0} is no key of WireGuard; \"wg genkey\" and \"wg genpsk\" write such")]
    Key(&'static str),
    /// Two listen at one port.
    #[error("port {port} is that of tunnel {other} already; set wireguard.listenPort to another one")]
    Port {
        /// Which.
        port: u16,
        /// By which connection.
        other: String,
    },
    /// Two lead to the same.
    #[error("{prefix} is behind tunnel {other} already; let one of the two lead there")]
    Taken {
        /// What.
        prefix: IpNet,
        /// By which connection.
        other: String,
    },
    /// No address by which the other side could be spoken with.
    #[error(
        "the compartment has no address of its own outside, by which a tunnel could be spoken with; WireGuard cannot listen \
         at an address that compartments share: give the compartment's outside one of its own"
    )]
    NoAddress,
}

/// The tunnels of a compartment, or why there can be none, with their connections. None while it stands by, also while it is
/// leaving: a peer answers whoever spoke last with its key, and two hosts with the same would take packets from each other.
pub fn tunnels(compartment: &Compartment) -> Vec<(&Connection, Result<Tunnel<'_>, Error>)> {
    let mut tunnels: Vec<(&Connection, Result<Tunnel<'_>, Error>)> = Vec::new();
    for connection in compartment.connections.iter().filter(|_| !compartment.standby) {
        let Some(wireguard) = &connection.wireguard else { continue };
        let made = tunnel(compartment, connection, wireguard).and_then(|tunnel| {
            let others = tunnels.iter().filter_map(|(other, made)| Some((other.name.as_str(), made.as_ref().ok()?)));
            match others.into_iter().find_map(|(name, other)| collision(&tunnel, name, other)) {
                Some(taken) => Err(taken),
                None => Ok(tunnel),
            }
        });
        tunnels.push((connection, made));
    }
    tunnels
}

/// What two tunnels cannot both have.
fn collision(one: &Tunnel<'_>, name: &str, other: &Tunnel<'_>) -> Option<Error> {
    if one.listen_port == other.listen_port {
        return Some(Error::Port { port: one.listen_port, other: name.to_owned() });
    }
    let prefix = one.routes.iter().find(|prefix| other.routes.contains(prefix))?;
    Some(Error::Taken { prefix: *prefix, other: name.to_owned() })
}

fn tunnel<'c>(
    compartment: &'c Compartment,
    connection: &'c Connection,
    wireguard: &'c Wireguard,
) -> Result<Tunnel<'c>, Error> {
    if compartment.outside.as_ref().is_none_or(|outside| outside.addresses.is_empty()) {
        return Err(Error::NoAddress);
    }
    let private_key = wireguard.private_key.as_ref().ok_or(Error::NoKey)?;
    let private_key = private_key.reveal().parse().map_err(|_| Error::Key("privateKey"))?;
    if wireguard.preshared_key.as_ref().is_some_and(|key| key.reveal().parse::<WireguardKey>().is_err()) {
        return Err(Error::Key("presharedKey"));
    }
    let mut allowed: Vec<_> = wireguard.remote_prefixes.iter().chain(&wireguard.addresses).map(IpNet::trunc).collect();
    // What is learnt is not known beforehand.
    if connection.bgp.is_some() && wireguard.remote_prefixes.is_empty() {
        allowed = vec![IpNet::V4(ipnet::Ipv4Net::default()), IpNet::V6(ipnet::Ipv6Net::default())];
    }
    Ok(Tunnel {
        device: tunnel_device(compartment, connection).unwrap_or_default(),
        private_key,
        listen_port: wireguard.listen_port.unwrap_or(LISTEN_PORT),
        declared: wireguard,
        allowed,
        routes: wireguard.remote_prefixes.iter().flat_map(super::ipsec::routes).collect(),
    })
}

impl Tunnel<'_> {
    /// The configuration in the words of `wg(8)`, which the kernel's WireGuard is told by that program and the embedded one
    /// reads itself.
    pub fn configuration(&self) -> String {
        let mut text =
            format!("[Interface]\nPrivateKey = {}\nListenPort = {}\n", self.private_key.as_str(), self.listen_port);
        let _ = write!(text, "\n[Peer]\nPublicKey = {}\n", self.declared.peer_key.as_str());
        if let Some(key) = &self.declared.preshared_key {
            let _ = writeln!(text, "PresharedKey = {}", key.reveal());
        }
        let allowed = self.allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "AllowedIPs = {allowed}");
        if let Some(endpoint) = self.declared.endpoint {
            let _ = writeln!(text, "Endpoint = {endpoint}");
        }
        if let Some(seconds) = self.declared.keepalive {
            let _ = writeln!(text, "PersistentKeepalive = {seconds}");
        }
        text
    }

    /// The largest packet, in bytes, that passes it over a link whose MTU is `outside`. Where the other side may speak by either
    /// family, IPv6 has the larger header.
    pub fn mtu(&self, outside: u32) -> u32 {
        let ip = if self.declared.endpoint.is_some_and(|endpoint| endpoint.is_ipv4()) { 20 } else { 40 };
        outside.saturating_sub(ip + OVERHEAD)
    }

    /// The other side's address, if it is known.
    pub fn remote(&self) -> Option<IpAddr> {
        self.declared.endpoint.map(|endpoint| endpoint.ip())
    }

    /// Why there has been no handshake, as a sentence that says what to do. `heard` is where the other side spoke from last.
    pub fn silence(&self, heard: Option<SocketAddr>) -> String {
        let port = self.listen_port;
        let (whom, pass) = match self.declared.endpoint.or(heard) {
            Some(endpoint) => {
                (format!("with {endpoint}"), format!("does UDP pass to {endpoint} and back to port {port}"))
            }
            None => ("yet".to_owned(), format!("does UDP port {port} pass to us")),
        };
        format!(
            "no handshake {whom}: is the other side up, {pass}, does it know our public key, and is its key {}?{}",
            self.declared.peer_key.as_str(),
            if self.declared.preshared_key.is_some() { " Is the pre-shared key the same?" } else { "" }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";

    fn compartment(connections: &str) -> Compartment {
        let inside = r#"{"device": "gw1", "mac": "02:00:00:00:00:01", "addresses": ["10.254.254.2/29"],
            "routers": ["10.254.254.1"], "prefixes": ["10.1.0.0/24"]}"#;
        let outside = r#"{"mac": "02:00:00:00:01:01", "addresses": ["203.0.113.5/24"]}"#;
        Compartment {
            name: "aaa/net".parse().unwrap(),
            standby: false,
            leaving: false,
            inside: serde_json::from_str(inside).unwrap(),
            outside: serde_json::from_str(outside).unwrap(),
            connections: serde_json::from_str(&connections.replace("KEY", KEY)).unwrap(),
        }
    }

    #[test]
    fn a_tunnel_in_the_words_of_wg() {
        let compartment = compartment(
            r#"[{"name": "a", "wireguard": {"privateKey": "KEY", "peerKey": "KEY", "presharedKey": "KEY", "keepalive": 25,
                "endpoint": "198.51.100.1:51820", "remotePrefixes": ["10.2.0.0/16"], "addresses": ["169.254.1.1/30"]}}]"#,
        );
        let made = tunnels(&compartment);
        let tunnel = made[0].1.as_ref().unwrap();
        assert!(is_device(&tunnel.device) && tunnel.device.len() <= 15, "{}", tunnel.device);
        assert!(!["wg", "inside", "ipsec0", "wg-x"].into_iter().any(is_device));
        let wanted = "[Interface]\nPrivateKey = KEY\nListenPort = 51820\n\n[Peer]\nPublicKey = KEY\nPresharedKey = KEY\n\
                      AllowedIPs = 10.2.0.0/16, 169.254.1.0/30\nEndpoint = 198.51.100.1:51820\nPersistentKeepalive = 25\n";
        assert_eq!(tunnel.configuration(), wanted.replace("KEY", KEY));
        assert_eq!(tunnel.mtu(1500), 1440);
        assert!(tunnel.silence(None).starts_with("no handshake with 198.51.100.1:51820: is the other side up"));
        assert!(!format!("{tunnel:?}").contains(KEY), "keys are not shown");
    }

    #[test]
    fn what_cannot_be_is_said() {
        let compartment = compartment(
            r#"[{"name": "a", "wireguard": {"privateKey": "KEY", "peerKey": "KEY", "remotePrefixes": ["10.2.0.0/16"]}},
                {"name": "b", "wireguard": {"privateKey": "KEY", "peerKey": "KEY"}},
                {"name": "c", "wireguard": {"privateKey": "KEY", "peerKey": "KEY", "listenPort": 1,
                    "remotePrefixes": ["10.2.0.0/16"]}},
                {"name": "d", "wireguard": {"peerKey": "KEY", "listenPort": 2}},
                {"name": "e", "wireguard": {"privateKey": "x", "peerKey": "KEY", "listenPort": 3}}]"#,
        );
        let said: Vec<_> = tunnels(&compartment).into_iter().map(|(_, made)| made.err()).collect();
        let prefix = "10.2.0.0/16".parse().unwrap();
        let wanted = [
            None,
            Some(Error::Port { port: 51820, other: "a".to_owned() }),
            Some(Error::Taken { prefix, other: "a".to_owned() }),
            Some(Error::NoKey),
            Some(Error::Key("privateKey")),
        ];
        assert_eq!(said, wanted);
    }

    #[test]
    fn one_that_stands_by_or_is_leaving_has_no_tunnel() {
        let mut compartment = compartment(r#"[{"name": "a", "wireguard": {"privateKey": "KEY", "peerKey": "KEY"}}]"#);
        assert_eq!(tunnels(&compartment).len(), 1);
        for leaving in [false, true] {
            (compartment.standby, compartment.leaving) = (true, leaving);
            assert!(tunnels(&compartment).is_empty());
        }
    }

    #[test]
    fn over_either_family_the_larger_header_counts() {
        let compartment = compartment(r#"[{"name": "a", "wireguard": {"privateKey": "KEY", "peerKey": "KEY"}}]"#);
        assert_eq!(tunnels(&compartment)[0].1.as_ref().unwrap().mtu(1500), 1420);
    }
}
