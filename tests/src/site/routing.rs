//! BGP's other side: FRR (zebra and bgpd) and BIRD.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lab::Node;
use nix::sys::signal::Signal;

use super::{Den, text};
use crate::stage::eventually;
use crate::tools::Background;

/// How long a daemon may take to answer, and a route to come: who speaks of graceful restarts waits for its neighbors first.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(40);

/// FRR's zebra and bgpd; they end when this goes.
pub struct Frr {
    den: Den,
    bgpd: Option<Background>,
    _zebra: Background,
}

impl Frr {
    /// Starts them with a configuration of bgpd, such as [`Frr::speaker`] makes.
    #[track_caller]
    pub fn start(node: Node, configuration: &str) -> Self {
        let den = Den::new(node, &["/etc/frr"]);
        // They give up root, and read and write as the user of Debian's package then.
        let script = format!("mkdir -p {run}/frr && chown frr:frr {run}/frr", run = den.path("run").display());
        let prepared = std::process::Command::new("sh").args(["-c", &script]).status().expect("a shell runs");
        assert!(prepared.success(), "there is no user frr; install the package frr");
        for (file, text) in [("zebra.conf", "log stdout\n"), ("bgpd.conf", configuration), ("vtysh.conf", "")] {
            let path = den.path("etc-frr").join(file);
            fs::write(&path, text).expect("a scratch file takes text");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a file may be read");
        }
        let zebra = den.start("/usr/lib/frr/zebra -f /etc/frr/zebra.conf -P 0 -z /run/frr/zserv.api");
        let socket = den.path("run").join("frr/zserv.api");
        assert!(eventually(LIMIT, || answers(&socket)), "zebra does not answer: {}", zebra.output());
        let mut new = Self { den, bgpd: None, _zebra: zebra };
        new.run();
        new
    }

    /// What bgpd reads to announce prefixes to neighbors, each an address and its autonomous system.
    pub fn speaker(own_as: u32, router_id: &str, neighbors: &[(&str, u32)], prefixes: &[&str]) -> String {
        let mut text = format!(
            "log stdout\nrouter bgp {own_as}\n bgp router-id {router_id}\n no bgp ebgp-requires-policy\n \
             no bgp network import-check\n bgp graceful-restart\n"
        );
        for (address, their_as) in neighbors {
            text += &format!(" neighbor {address} remote-as {their_as}\n neighbor {address} timers 3 9\n");
            text += &format!(" neighbor {address} timers connect 1\n");
        }
        for family in ["ipv4", "ipv6"] {
            text += &format!(" address-family {family} unicast\n");
            for prefix in prefixes.iter().filter(|prefix| prefix.contains(':') == (family == "ipv6")) {
                text += &format!("  network {prefix}\n");
            }
            for (address, _) in neighbors.iter().filter(|(address, _)| address.contains(':') == (family == "ipv6")) {
                text += &format!("  neighbor {address} activate\n");
            }
            text += " exit-address-family\n";
        }
        text
    }

    /// Runs bgpd.
    #[track_caller]
    fn run(&mut self) {
        let bgpd = self.den.start("/usr/lib/frr/bgpd -f /etc/frr/bgpd.conf -P 0 -z /run/frr/zserv.api");
        let socket = self.den.path("run").join("frr/bgpd.vty");
        assert!(eventually(LIMIT, || answers(&socket)), "bgpd does not answer: {}", bgpd.output());
        self.bgpd = Some(bgpd);
    }

    /// What `vtysh -c COMMAND` prints.
    #[track_caller]
    pub fn vtysh(&self, command: &str) -> String {
        self.den.run(&["vtysh", "-c", command])
    }

    /// Configures bgpd further while it runs: lines as in its configuration.
    #[track_caller]
    pub fn configure(&self, lines: &[&str]) {
        let mut words = vec!["vtysh", "-c", "configure terminal"];
        words.extend(lines.iter().flat_map(|line| ["-c", line]));
        self.den.run(&words);
    }

    /// Waits until a route to a prefix has come by BGP and is in the node's table.
    #[track_caller]
    pub fn await_route(&self, prefix: &str) {
        await_route(&self.den, prefix, &|| self.vtysh("show bgp summary"));
    }

    /// Waits until no route to a prefix is in the node's table.
    #[track_caller]
    pub fn await_no_route(&self, prefix: &str) {
        await_no_route(&self.den, prefix);
    }

    /// Kills bgpd, as a crash would; zebra keeps its routes for graceful restart.
    pub fn kill(&mut self) {
        if let Some(mut bgpd) = self.bgpd.take() {
            bgpd.end(Signal::SIGKILL);
        }
    }

    /// Starts bgpd again after [`Frr::kill`].
    #[track_caller]
    pub fn restart(&mut self) {
        self.run();
    }
}

/// BIRD 2; it ends when this goes.
pub struct Bird {
    den: Den,
    _daemon: Background,
}

impl Bird {
    /// Starts it with a configuration, to which the protocols `device` and `kernel` are added.
    #[track_caller]
    pub fn start(node: Node, configuration: &str) -> Self {
        let den = Den::new(node, &[]);
        let kernel = "log stderr all;\nprotocol device {}\nprotocol kernel k4 { ipv4 { export all; }; }\n\
                      protocol kernel k6 { ipv6 { export all; }; }\n";
        let file = den.file("bird.conf", &format!("{kernel}{configuration}"));
        let daemon = den.start(&format!("bird -f -c {file} -s {} -P /run/bird.pid", text(&den.path("bird.ctl"))));
        let socket = den.path("bird.ctl");
        assert!(eventually(LIMIT, || answers(&socket)), "BIRD does not answer: {}", daemon.output());
        Self { den, _daemon: daemon }
    }

    /// What `birdc COMMAND` prints.
    #[track_caller]
    pub fn birdc(&self, command: &str) -> String {
        self.den.run(&["birdc", "-s", text(&self.den.path("bird.ctl")), command])
    }

    /// Waits until a route to a prefix is in the node's table.
    #[track_caller]
    pub fn await_route(&self, prefix: &str) {
        await_route(&self.den, prefix, &|| self.birdc("show protocols all"));
    }

    /// Waits until no route to a prefix is in the node's table.
    #[track_caller]
    pub fn await_no_route(&self, prefix: &str) {
        await_no_route(&self.den, prefix);
    }
}

/// Whether somebody listens there.
fn answers(socket: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(socket).is_ok()
}

/// The node's routes to a prefix.
fn routes(den: &Den, prefix: &str) -> String {
    let family = if prefix.contains(':') { "-6" } else { "-4" };
    den.run(&["ip", family, "route", "show", "exact", prefix])
}

#[track_caller]
fn await_route(den: &Den, prefix: &str, told: &dyn Fn() -> String) {
    let there = eventually(LIMIT, || !routes(den, prefix).trim().is_empty());
    assert!(there, "{} has no route to {prefix}: {}{}", den.node.name(), den.run(&["ip", "route"]), told());
}

#[track_caller]
fn await_no_route(den: &Den, prefix: &str) {
    let gone = eventually(LIMIT, || routes(den, prefix).trim().is_empty());
    assert!(gone, "{} still has a route to {prefix}: {}", den.node.name(), routes(den, prefix));
}
