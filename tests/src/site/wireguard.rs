//! WireGuard's other side: Debian's wireguard-go, told by `wg`.

use std::process::Command;

use lab::Node;

use super::Den;
use crate::stage::eventually;
use crate::tools::{Background, run};

/// How long it may take to make its device, and to shake hands.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(15);

/// A private key and its public key.
#[track_caller]
pub fn wireguard_keys() -> (String, String) {
    let output = Command::new("sh")
        .args(["-c", "key=$(wg genkey) && echo \"$key\" && echo \"$key\" | wg pubkey"])
        .output()
        .expect("a shell runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = text.lines().map(str::to_owned);
    match (lines.next(), lines.next()) {
        (Some(private), Some(public)) => (private, public),
        _ => panic!("wg makes no keys: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// The one peer of a device.
#[derive(Clone, Copy, Default, Debug)]
pub struct WireguardPeer<'t> {
    /// Our private key.
    pub private_key: &'t str,
    /// The UDP port on which we listen.
    pub listen_port: u16,
    /// The other side's public key.
    pub public_key: &'t str,
    /// Where it listens; empty: wherever it speaks from.
    pub endpoint: &'t str,
    /// What it may send from, with commas between.
    pub allowed: &'t str,
    /// Seconds between signs of life; 0: none.
    pub keepalive: u16,
}

/// A wireguard-go with its device `wg0`; both end when this goes.
pub struct WireguardGo {
    den: Den,
    daemon: Background,
}

impl WireguardGo {
    /// Starts it, with these addresses on `wg0`, and leads what its peer may send from into it.
    #[track_caller]
    pub fn start(node: Node, peer: &WireguardPeer<'_>, addresses: &[&str]) -> Self {
        let den = Den::new(node, &[]);
        let daemon = den.start("env LOG_LEVEL=verbose wireguard-go -f wg0");
        let socket = den.path("run").join("wireguard/wg0.sock");
        assert!(eventually(LIMIT, || socket.exists()), "wireguard-go does not start: {}", daemon.output());
        let new = Self { den, daemon };
        new.load(peer);
        for address in addresses {
            run(&new.den.node, &format!("ip address add {address} dev wg0"));
        }
        run(&new.den.node, "ip link set wg0 mtu 1420 up");
        for prefix in peer.allowed.split(',').map(str::trim) {
            run(&new.den.node, &format!("ip route replace {prefix} dev wg0"));
        }
        new
    }

    /// Tells it of its peer, in place of what was before.
    #[track_caller]
    pub fn load(&self, peer: &WireguardPeer<'_>) {
        let WireguardPeer { private_key, listen_port, public_key, endpoint, allowed, keepalive } = peer;
        let mut text = format!(
            "[Interface]\nPrivateKey = {private_key}\nListenPort = {listen_port}\n[Peer]\nPublicKey = {public_key}\n\
             AllowedIPs = {allowed}\n"
        );
        if !endpoint.is_empty() {
            text += &format!("Endpoint = {endpoint}\n");
        }
        if *keepalive > 0 {
            text += &format!("PersistentKeepalive = {keepalive}\n");
        }
        let file = self.den.file("wg0.conf", &text);
        self.den.run(&["wg", "setconf", "wg0", &file]);
    }

    /// What `wg show wg0` prints.
    #[track_caller]
    pub fn show(&self) -> String {
        self.den.run(&["wg", "show", "wg0"])
    }

    /// Waits until it has shaken hands.
    #[track_caller]
    pub fn await_handshake(&self) {
        let shaken = eventually(LIMIT, || self.show().contains("latest handshake"));
        assert!(shaken, "no handshake: {}\n{}", self.show(), self.daemon.output());
    }
}
