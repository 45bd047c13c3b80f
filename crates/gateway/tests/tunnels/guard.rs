//! A company's site with Debian's wireguard-go, set up by `wg` as its administrator would, and a server behind.

use std::process::Child;

use super::{Net, Router, kill, run, until};

/// A pair of keys, as `wg` makes them.
#[derive(Clone, Debug)]
pub struct Keys {
    pub private: String,
    pub public: String,
}

impl Keys {
    pub fn new() -> Self {
        let private = run("wg", &["genkey"]).trim().to_owned();
        let public = run("sh", &["-c", &format!("echo {private} | wg pubkey")]).trim().to_owned();
        Self { private, public }
    }
}

/// A site with a server at 10.NET.0.10, and its WireGuard.
pub struct Site {
    pub net: Net,
    pub keys: Keys,
    folder: tempfile::TempDir,
    process: Option<Child>,
    inside: u8,
}

impl Site {
    /// A site that has 192.0.NUMBER.1, and 10.INSIDE.0.0/24 behind. Its WireGuard does not run yet.
    pub fn new(router: &Router, number: u8, inside: u8) -> Self {
        let net = Net::new(&format!("{}-s{number}", router.word));
        router.join(&net, number);
        net.sh(&format!("ip addr add 10.{inside}.0.10/32 dev lo && ip addr add fd00:{inside}::10/128 dev lo nodad"));
        Self { net, keys: Keys::new(), folder: tempfile::tempdir().unwrap(), process: None, inside }
    }

    fn own(&self) -> String {
        format!("mkdir -p /run/wireguard; mount --bind {} /run/wireguard", self.folder.path().display())
    }

    /// Starts it, with a peer as `wg set wg0 peer` has it.
    pub fn start(&mut self, peer: &str) {
        assert!(self.process.is_none());
        let _ = std::fs::remove_file(self.folder.path().join("wg0.sock"));
        let line = format!("unshare -m sh -c '{}; exec wireguard-go -f wg0' >/dev/null 2>&1", self.own());
        self.process = Some(self.net.spawn(&line));
        until("the site's WireGuard listens", || self.folder.path().join("wg0.sock").exists());
        std::fs::write(self.folder.path().join("key"), &self.keys.private).unwrap();
        self.wg("set wg0 listen-port 51820 private-key /run/wireguard/key");
        self.wg(&format!("set wg0 peer {peer}"));
        let inside = self.inside;
        self.net.sh(&format!(
            "ip link set wg0 up mtu 1420 && ip route replace 10.1.0.0/24 dev wg0 src 10.{inside}.0.10 && \
             ip route replace fd00:1::/64 dev wg0 src fd00:{inside}::10"
        ));
    }

    /// Runs its `wg`.
    pub fn wg(&self, arguments: &str) -> String {
        self.net.sh(&format!("unshare -m sh -c '{}; wg {arguments}'", self.own()))
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            kill(process.id());
            process.wait().unwrap();
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill();
    }
}
