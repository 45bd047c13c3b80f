//! A company's site: Debian's strongSwan as its administrator sets it up, by `swanctl.conf`, and a server behind.

use std::path::PathBuf;
use std::process::Child;

use super::{Net, Router, kill, until};

/// A site with a server at 10.2.0.10 and fd00:2::10.
pub struct Site {
    pub net: Net,
    folder: tempfile::TempDir,
    charon: Option<Child>,
}

/// What its charon is set to: what Debian's is, but that it has this folder for itself and does ESP by itself.
const STRONGSWAN_CONF: &str = "
charon {
    load_modular = no
    load = random nonce drbg openssl aes sha1 sha2 hmac kdf gcm curve25519 chapoly x509 constraints pubkey pkcs1 pkcs8 pem \
        kernel-libipsec kernel-netlink socket-default vici
    install_routes = no
    filelog {
        site {
            path = /run/charon.log
            default = 1
            flush_line = yes
        }
    }
}
swanctl {
    load = nonce random openssl pem pkcs1 pkcs8 x509 pubkey
}
";

impl Site {
    /// A site that has 192.0.NUMBER.1 and 2001:db8:NUMBER::1. Its charon does not run yet.
    pub fn new(router: &Router, number: u8) -> Self {
        let net = Net::new(&format!("{}-s{number}", router.word));
        router.join(&net, number);
        net.sh("ip addr add 10.2.0.10/32 dev lo && ip addr add fd00:2::10/128 dev lo nodad");
        let folder = tempfile::tempdir().unwrap();
        let site = Self { net, folder, charon: None };
        std::fs::create_dir_all(site.run()).unwrap();
        std::fs::write(site.run().join("strongswan.conf"), STRONGSWAN_CONF).unwrap();
        for name in [
            "x509", "x509ca", "private", "x509ocsp", "x509aa", "x509ac", "x509crl", "pubkey", "rsa", "ecdsa", "bliss",
            "pkcs8", "pkcs12",
        ] {
            std::fs::create_dir_all(site.run().join(name)).unwrap();
        }
        site
    }

    /// What its programs see as `/run`.
    pub fn run(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Starts its charon with this `swanctl.conf`, and routes into its tunnel.
    pub fn start(&mut self, swanctl_conf: &str) {
        assert!(self.charon.is_none());
        let _ = std::fs::remove_file(self.run().join("charon.vici"));
        let _ = std::fs::remove_file(self.run().join("charon.pid"));
        std::fs::write(self.run().join("swanctl.conf"), swanctl_conf).unwrap();
        let own = format!("mount --bind {} /run; STRONGSWAN_CONF=/run/strongswan.conf", self.run().display());
        self.charon = Some(self.net.spawn(&format!("unshare -m sh -c '{own} exec /usr/lib/ipsec/charon' 2>/dev/null")));
        until("the site's charon listens", || self.run().join("charon.vici").exists());
        self.load();
        until("the site has its device", || self.net.try_sh("ip link show ipsec0").0);
        self.net.sh("ip link set ipsec0 mtu 1400 && ip route replace 10.1.0.0/24 dev ipsec0 src 10.2.0.10 && \
             ip route replace fd00:1::/64 dev ipsec0 src fd00:2::10");
    }

    /// Has it read its configuration again, after it was changed.
    pub fn reload(&self, swanctl_conf: &str) {
        std::fs::write(self.run().join("swanctl.conf"), swanctl_conf).unwrap();
        self.load();
    }

    fn load(&self) {
        until("the site takes its configuration", || self.swanctl("--load-all --file /run/swanctl.conf").0);
    }

    /// Runs its swanctl.
    pub fn swanctl(&self, arguments: &str) -> (bool, String) {
        let own = format!("mount --bind {} /run; export STRONGSWAN_CONF=/run/strongswan.conf", self.run().display());
        self.net.try_sh(&format!("unshare -m sh -c '{own}; timeout 10 swanctl {arguments}'"))
    }

    /// Kills its charon, as a power cut does: nobody is told.
    pub fn kill(&mut self) {
        if let Some(mut charon) = self.charon.take() {
            kill(charon.id());
            charon.wait().unwrap();
        }
    }

    /// What its charon has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.run().join("charon.log")).unwrap_or_default()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the site at {} has logged:\n{}", self.run().display(), self.log());
        }
        self.kill();
    }
}

/// A `swanctl.conf` with one connection, by a pre-shared key, that waits for the other side. More lines may follow for the
/// connection and its child.
pub fn psk(local: &str, remote: &str, key: &str, connection: &str, child: &str) -> String {
    format!(
        "connections {{ gw {{
  version = 2
  local_addrs = {local}
  remote_addrs = {remote}
  encap = yes
  {connection}
  local {{
    auth = psk
    id = {local}
  }}
  remote {{
    auth = psk
    id = {remote}
  }}
  children {{ net {{
    local_ts = 10.2.0.0/24,fd00:2::/64
    remote_ts = 10.1.0.0/24,fd00:1::/64
    {child}
  }} }}
}} }}
secrets {{ ike-1 {{
  id-1 = {local}
  id-2 = {remote}
  secret = \"{key}\"
}} }}
"
    )
}

/// A `swanctl.conf` with one connection by certificates, that waits for the other side.
pub fn certificates(local: &str, remote: &str, ids: [&str; 2], connection: &str) -> String {
    format!(
        "connections {{ gw {{
  version = 2
  local_addrs = {local}
  remote_addrs = {remote}
  encap = yes
  {connection}
  local {{
    auth = pubkey
    certs = own.pem
    id = {}
  }}
  remote {{
    auth = pubkey
    id = {}
  }}
  children {{ net {{
    local_ts = 10.2.0.0/24,fd00:2::/64
    remote_ts = 10.1.0.0/24,fd00:1::/64
  }} }}
}} }}
",
        ids[0], ids[1]
    )
}

impl Site {
    /// Gives it a certificate with its key, and its authority's.
    pub fn certify(&self, own: &super::authority::Signed, authority: &str) {
        std::fs::write(self.run().join("x509/own.pem"), &own.certificate).unwrap();
        std::fs::write(self.run().join("private/own.pem"), &own.key).unwrap();
        std::fs::write(self.run().join("x509ca/ca.pem"), authority).unwrap();
    }
}
