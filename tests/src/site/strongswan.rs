//! strongSwan as a company's site has it: Debian's charon, told by swanctl, its ESP in user space.

use std::fs;

use lab::Node;
use nix::sys::signal::Signal;

use super::{Den, text};
use crate::stage::eventually;
use crate::tools::{Background, run};

/// How long charon may take to answer, and a tunnel to come up.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(15);

/// One tunnel, as its one end sees it.
#[derive(Clone, Copy, Debug)]
pub struct IpsecPeer<'t> {
    /// Its name.
    pub name: &'t str,
    /// Our address and identity.
    pub local: &'t str,
    /// The other side's address, or `%any`.
    pub remote: &'t str,
    /// The other side's identity.
    pub remote_id: &'t str,
    /// The pre-shared key.
    pub psk: &'t str,
    /// Our traffic selectors.
    pub local_prefixes: &'t str,
    /// The other side's traffic selectors.
    pub remote_prefixes: &'t str,
    /// More settings of the connection, such as `proposals`.
    pub connection: &'t str,
    /// More settings of its child, such as `esp_proposals`.
    pub child: &'t str,
}

impl Default for IpsecPeer<'_> {
    fn default() -> Self {
        Self {
            name: "cloud",
            local: "",
            remote: "",
            remote_id: "%any",
            psk: "",
            local_prefixes: "0.0.0.0/0",
            remote_prefixes: "0.0.0.0/0",
            connection: "",
            child: "",
        }
    }
}

impl IpsecPeer<'_> {
    /// What swanctl reads.
    fn configuration(&self) -> String {
        let Self { name, local, remote, remote_id, psk, local_prefixes, remote_prefixes, connection, child } = self;
        format!(
            "connections {{\n {name} {{\n  version = 2\n  local_addrs = {local}\n  remote_addrs = {remote}\n  encap = yes\n\
             \x20 dpd_delay = 2s\n  {connection}\n  local {{\n   auth = psk\n   id = {local}\n  }}\n  remote {{\n   auth = psk\n\
             \x20  id = {remote_id}\n  }}\n  children {{\n   {name} {{\n    local_ts = {local_prefixes}\n\
             \x20   remote_ts = {remote_prefixes}\n    dpd_action = restart\n    {child}\n   }}\n  }}\n }}\n}}\n\
             secrets {{\n ike-{name} {{\n  id = {remote_id}\n  secret = \"{psk}\"\n }}\n}}\n"
        )
    }
}

/// A charon; it ends when this goes, with its tunnels.
pub struct StrongSwan {
    den: Den,
    daemon: Option<Background>,
}

impl StrongSwan {
    /// Starts one that knows no tunnel yet. Routes of the node come before those that its tunnels ask for, so that a tunnel for
    /// everything takes what is routed into `ipsec0`.
    #[track_caller]
    pub fn start(node: Node) -> Self {
        let den = Den::new(node, &["/etc/swanctl"]);
        for folder in ["x509ca", "x509", "private"] {
            fs::create_dir(den.path("etc-swanctl").join(folder)).expect("a scratch folder takes folders");
        }
        let socket = den.path("run").join("charon.vici");
        den.file(
            "strongswan.conf",
            &format!(
                "charon {{\n load = random nonce openssl curve25519 pem pkcs1 pkcs8 x509 pubkey hmac kdf gcm aes sha1 sha2 \
                 constraints revocation kernel-libipsec kernel-netlink socket-default vici updown\n routing_table_prio = \
                 40000\n plugins {{\n  vici {{\n   socket = unix://{}\n  }}\n  kernel-netlink {{\n   fwmark = !0x42\n  }}\n  \
                 socket-default {{\n   fwmark = 0x42\n  }}\n  kernel-libipsec {{\n   allow_peer_ts = yes\n  }}\n }}\n \
                 filelog {{\n  stderr {{\n   default = 1\n   flush_line = yes\n  }}\n }}\n}}\n",
                socket.display()
            ),
        );
        let mut new = Self { den, daemon: None };
        new.run();
        new
    }

    /// Runs the daemon.
    #[track_caller]
    fn run(&mut self) {
        let settings = self.den.path("strongswan.conf");
        let command = format!("env STRONGSWAN_CONF={} /usr/lib/ipsec/charon", settings.display());
        let daemon = self.den.start(&command);
        let socket = self.den.path("run").join("charon.vici");
        assert!(
            eventually(LIMIT, || std::os::unix::net::UnixStream::connect(&socket).is_ok()),
            "charon does not answer: {}",
            daemon.output()
        );
        self.daemon = Some(daemon);
    }

    /// `swanctl ARGUMENTS`; it must end well.
    #[track_caller]
    pub fn swanctl(&self, arguments: &[&str]) -> String {
        let settings = format!("STRONGSWAN_CONF={}", self.den.path("strongswan.conf").display());
        let uri = format!("unix://{}", self.den.path("run").join("charon.vici").display());
        self.den.run(&[&["env", &settings, "swanctl"], arguments, &["--uri", &uri]].concat())
    }

    /// Tells it of a tunnel, in place of all before.
    #[track_caller]
    pub fn load(&self, peer: &IpsecPeer<'_>) {
        self.load_text(&peer.configuration());
    }

    /// Tells it what stands in a text of swanctl's, in place of all before.
    #[track_caller]
    pub fn load_text(&self, configuration: &str) {
        fs::write(self.den.path("etc-swanctl").join("swanctl.conf"), configuration).expect("a scratch file takes text");
        self.swanctl(&["--load-all", "--clear", "--file", "/etc/swanctl/swanctl.conf"]);
    }

    /// Gives it a file of a certificate (`x509`), an authority (`x509ca`) or a private key (`private`), for the next load.
    #[track_caller]
    pub fn credential(&self, folder: &str, name: &str, pem: &str) {
        let path = self.den.path("etc-swanctl").join(folder).join(name);
        fs::write(path, pem).expect("a scratch file takes text");
    }

    /// Opens a tunnel from here; it must come up.
    #[track_caller]
    pub fn initiate(&self, tunnel: &str) {
        self.swanctl(&["--initiate", "--child", tunnel, "--timeout", "15"]);
    }

    /// Waits until a tunnel is up.
    #[track_caller]
    pub fn await_up(&self, tunnel: &str) {
        let up = || {
            let sas = self.swanctl(&["--list-sas"]);
            sas.lines().any(|line| line.trim_start().starts_with(&format!("{tunnel}: #")) && line.contains("INSTALLED"))
        };
        assert!(eventually(LIMIT, up), "{tunnel} does not come up: {}\n{}", self.swanctl(&["--list-sas"]), self.log());
    }

    /// Gives the tunnels' device an address: that of BGP, for example.
    #[track_caller]
    pub fn address(&self, address: &str) {
        run(&self.den.node, &format!("ip address add {address} dev ipsec0"));
    }

    /// Leads a prefix into the tunnels.
    #[track_caller]
    pub fn route(&self, prefix: &str) {
        run(&self.den.node, &format!("ip route replace {prefix} dev ipsec0"));
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.end(Signal::SIGKILL);
        }
    }

    /// Starts it again after [`StrongSwan::kill`], with what it knew.
    #[track_caller]
    pub fn restart(&mut self) {
        let _ = fs::remove_file(self.den.path("run").join("charon.vici"));
        let _ = fs::remove_file(self.den.path("run").join("charon.pid"));
        self.run();
        self.swanctl(&["--load-all", "--clear", "--file", "/etc/swanctl/swanctl.conf"]);
    }

    /// What it has said.
    pub fn log(&self) -> String {
        self.daemon.as_ref().map(Background::output).unwrap_or_default()
    }

    /// The folder of its private `/run`, as everybody sees it.
    pub fn run_folder(&self) -> String {
        text(&self.den.path("run")).to_owned()
    }
}
