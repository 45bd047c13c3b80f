//! A cloud whose gateway has two hosts, four tenants with a connection of each kind, and what is done to the active host.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lab::Node;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::traffic::Ping;
use super::{FailoverPlan, Way};
use crate::contestant::LAB_PREFIX;
use crate::gateway::cloud::{self, Cloud, GATEWAY};
use crate::gateway::daemon::{Daemon, own, script, write};
use crate::gateway::failed;
use crate::gateway::tunnels::{self, Ipsec, Kind, PORT, PSK, Told};
use crate::{Error, interrupt};

/// The router outside, which is the server of what leaves.
const INTERNET: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// Sites, and the server of each, which is its router's address towards its own servers.
const SITES: [(&str, Ipv4Addr); 2] =
    [("site-ipsec", Ipv4Addr::new(203, 0, 113, 100)), ("site-wg", Ipv4Addr::new(203, 0, 113, 101))];
const SITE_SERVER: &str = "10.10.2.1";
const SITE_PREFIX: &str = "10.10.2.0/24";
/// Tenants, each with a VM of the same name, in the order of what is pinged.
const TENANTS: [&str; 4] = ["nat", "routed", "ipsec", "wireguard"];
/// What the routed tenant's subnet is known under outside, and the autonomous systems.
const ROUTED: &str = "10.2.0.0/24";
const OWN_AS: u32 = 65_001;
const THEIR_AS: u32 = 65_002;
/// How long connections may take to be up.
const UP_WITHIN: Duration = Duration::from_secs(60);
/// How long everything may take to pass again.
const RECOVERY: Duration = Duration::from_secs(60);
/// So many answers show that a connection passes.
const PASSING: usize = 100;
/// How long all pings must have passed again.
const STEADY: Duration = Duration::from_secs(2);
/// How long it is left alone after each round. One that has come back is not made active at once; and BIRD, when it has started anew,
/// tells its neighbors only after 20 s that it has told them all, before which they bear with no other start.
const REST: Duration = Duration::from_secs(22);
const GLANCE: Duration = Duration::from_millis(100);

/// All of it.
pub(super) struct Scene {
    // Daemons go before the lab that they are in.
    _daemons: Vec<Daemon>,
    cloud: Cloud,
    /// The host that something was done to.
    struck: String,
}

/// The hosts: that of VMs, and those of the gateway.
fn hosts() -> [String; 3] {
    [1, 2, 3].map(|number| format!("{LAB_PREFIX}fo{number}"))
}

fn yaml() -> String {
    let [one, two, three] = &hosts();
    let mut text = format!(
        "name: {LAB_PREFIX}fo\ncontroller: {{addresses: [192.168.4.1/24]}}\nhosts:\n  - {{name: {one}, addresses: [192.168.4.11/24], \
         joined: true}}\n"
    );
    for (host, last) in [(two, 12), (three, 13)] {
        text += &format!(
            "  - {{name: {host}, addresses: [192.168.4.{last}/24], joined: true, outside: [], gateway: true}}\n"
        );
    }
    text += "vms:\n";
    for (number, tenant) in (1..).zip(TENANTS) {
        text += &format!(
            "  - {{name: {tenant}, host: {one}, mac: 06-06-00-00-02-0{number}, addresses: [10.{number}.0.5/24], mtu: 1300, routes: \
             [{{to: 0.0.0.0/0, via: 10.{number}.0.1}}]}}\n"
        );
    }
    text += &format!("outside: {{router: {{name: internet, addresses: [{INTERNET}/24]}}}}\nsites:\n");
    for (name, address) in SITES {
        text += &format!("  - {{name: {name}, addresses: [{address}/24], lan: [{SITE_SERVER}/24]}}\n");
    }
    text
}

/// All that is declared.
fn documents(site_key: &str) -> Vec<String> {
    let [one, two, three] = &hosts();
    let mut all = vec![format!(
        "{{kind: gateway, name: {GATEWAY}, spec: {{logicalNetwork: fabric, hosts: [{{host: {two}, interface: eth1}}, {{host: {three}, \
         interface: eth1}}], networks: [{{prefix: 203.0.113.0/24, nextHop: {INTERNET}, ranges: [203.0.113.10-203.0.113.40]}}]}}}}"
    )];
    for (number, tenant) in (1_u8..).zip(TENANTS) {
        all.extend(cloud::tenant(tenant, &format!("10.{number}.0.0/24")));
        let mac = format!("06-06-00-00-02-0{number}");
        all.push(cloud::port(tenant, tenant, one, &mac, Ipv4Addr::new(10, number, 0, 5)));
    }
    let [(_, ipsec), (_, wireguard)] = SITES;
    all.push(cloud::connection("nat", "out", "nat: {}"));
    let bgp = format!(
        "routing: {{}}, bgp: {{localAs: {OWN_AS}, neighbors: [{{address: {INTERNET}, remoteAs: {THEIR_AS}}}]}}"
    );
    all.push(cloud::connection("routed", "out", &bgp));
    let tunnel = format!("ipsec: {{remote: {ipsec}, psk: {PSK}, remotePrefixes: [{SITE_PREFIX}], dpdDelay: 1}}");
    all.push(cloud::connection("ipsec", "site", &tunnel));
    let tunnel = format!(
        "wireguard: {{peerKey: \"{site_key}\", endpoint: \"{wireguard}:{PORT}\", remotePrefixes: [{SITE_PREFIX}], keepalive: 1}}"
    );
    all.push(cloud::connection("wireguard", "site", &tunnel));
    all
}

/// The value of the connection of a tenant, as the controller tells it.
fn of<'c>(connections: &'c [Value], tenant: &str) -> &'c Value {
    connections.iter().find(|one| one["tenant"] == tenant).unwrap_or(&Value::Null)
}

/// The address outside that a connection has.
fn external(connections: &[Value], tenant: &str) -> Result<Ipv4Addr, Error> {
    let all = &of(connections, tenant)["status"]["connection"]["external"];
    let texts = all.as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut parsed = texts.filter_map(|text| text.split('/').next()?.parse().ok());
    parsed.next().ok_or_else(|| failed("find an address outside")(&format!("{tenant} has {all}")))
}

impl Scene {
    /// Builds it, and waits until everything passes.
    pub(super) fn up(plan: &FailoverPlan) -> Result<Self, Error> {
        eprintln!("setting up a cloud with a gateway of two hosts");
        let names = hosts();
        let [one, two, three] = names.each_ref().map(String::as_str);
        let cloud = Cloud::up(&yaml(), &plan.netvirt, &[one, two, three], two)?;
        let keys = tunnels::keys(&cloud.lab.node("site-wg")?, 1)?;
        let (private, public) = keys.first().ok_or(Error::Silence)?;
        cloud.apply(&documents(public))?;
        let mut daemons = Vec::new();
        let end = Instant::now() + UP_WITHIN;
        let key = loop {
            let all = cloud.connections()?;
            let key = of(&all, "wireguard")["status"]["connection"]["report"]["publicKey"].clone();
            match key.as_str() {
                Some(key) => break key.to_owned(),
                None if Instant::now() < end => interrupt::pause(GLANCE)?,
                None => return Err(failed("find the gateway's key of WireGuard")(&key)),
            }
        };
        let all = cloud.connections()?;
        let folder = |name: &str| cloud.lab.folder().join(name);
        let site = cloud.lab.node("site-wg")?;
        let peer = (key, "10.4.0.0/24".to_owned());
        daemons.push(tunnels::wireguard_go(&site, &folder("site-wg"), private, &[peer])?);
        script(&site, "ip route add 10.4.0.0/24 dev wg0")?;
        let site = cloud.lab.node("site-ipsec")?;
        let ends =
            Ipsec { local: SITES[0].1, remote: "%any", here: SITE_PREFIX, there: "10.3.0.0/24", interface: false };
        let settings = Told::look(&cloud, "ipsec", Kind::Ipsec)?.text;
        daemons.push(ends.start(&site, &folder("site-ipsec"), &settings)?);
        // Where the kernel does ESP there is no device.
        if tunnels::has_device(site.namespace(), "ipsec0") {
            script(&site, "ip link set ipsec0 mtu 1420 up; ip route replace 10.3.0.0/24 dev ipsec0")?;
        }
        daemons.push(bird(&cloud.lab.node("internet")?, &folder("internet-bird"), external(&all, "routed")?)?);
        let scene = Self { _daemons: daemons, cloud, struck: String::new() };
        scene.cloud.await_up(TENANTS.len(), UP_WITHIN)?;
        scene.await_recovery(&scene.pings()?)?;
        Ok(scene)
    }

    /// What is pinged, in words.
    pub(super) const fn kinds(&self) -> [&'static str; 4] {
        ["NAT", "BGP", "IPsec", "WireGuard"]
    }

    /// Begins to ping over connections of each kind.
    pub(super) fn pings(&self) -> Result<[Ping; 4], Error> {
        let internet = INTERNET.to_string();
        let ping = |tenant: &str, to: &str| {
            Ping::start(&self.cloud.lab.vm(tenant)?, to, self.cloud.lab.folder().join(format!("ping.{tenant}")))
        };
        Ok([
            ping("nat", &internet)?,
            ping("routed", &internet)?,
            ping("ipsec", SITE_SERVER)?,
            ping("wireguard", SITE_SERVER)?,
        ])
    }

    /// The VM behind NAT, and the server outside with its address.
    pub(super) fn nat(&self) -> Result<(Node, Node, Ipv4Addr), Error> {
        Ok((self.cloud.lab.vm("nat")?, self.cloud.lab.node("internet")?, INTERNET))
    }

    /// The host that is active.
    fn active(&self) -> Result<String, Error> {
        let all = self.cloud.connections()?;
        let host = &of(&all, "nat")["status"]["connection"]["host"];
        host.as_str().map(str::to_owned).ok_or_else(|| failed("find the active host")(host))
    }

    /// Does it to the active host.
    pub(super) fn strike(&mut self, way: Way) -> Result<(), Error> {
        self.struck = self.active()?;
        let host = self.struck.clone();
        let node = self.cloud.lab.node(&host)?;
        match way {
            Way::Gateway => {
                self.cloud.lab.kill_gateway(&host)?;
                interrupt::pause(Duration::from_secs(1))?;
                self.cloud.lab.start_gateway(&host)?;
            }
            Way::Agent => {
                self.cloud.lab.kill_agent(&host)?;
                interrupt::pause(Duration::from_secs(1))?;
                self.cloud.lab.start_agent(&host)?;
            }
            Way::Host => {
                script(&node, "ip link set dev eth0 down; ip link set dev eth1 down")?;
                // What is in its memory goes with it.
                self.cloud.lab.lose_gateway(&host)?;
                self.cloud.lab.kill_agent(&host)?;
            }
            Way::OutsideLink => script(&node, "ip link set dev eth1 down").map(drop)?,
            Way::Uplink => script(&node, "ip link set dev eth0 down").map(drop)?,
            Way::Drain => self.cloud.operator(&["set", "gateway", GATEWAY, "--drained", &host]).map(drop)?,
            Way::Bgp => self.kill_daemon("routed", "bird")?,
            Way::Ipsec => self.kill_daemon("ipsec", "charon")?,
            Way::Wireguard => self.kill_daemon("wireguard", "netvirt")?,
        }
        Ok(())
    }

    /// Kills the processes of a compartment of the active host whose program has this name.
    fn kill_daemon(&self, tenant: &str, program: &str) -> Result<(), Error> {
        let compartment = cloud::compartment_on(&self.struck, tenant)?;
        let mut killed = 0;
        for pid in compartment.processes()? {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            if name.trim() == program && kill(Pid::from_raw(pid as i32), Signal::SIGKILL).is_ok() {
                killed += 1;
            }
        }
        if killed > 0 { Ok(()) } else { Err(failed("kill a daemon")(&format!("{tenant} has no {program}"))) }
    }

    /// Waits until all pings pass: what had not come back before would not be seen to go.
    pub(super) fn await_passing(&self, pings: &[Ping; 4]) -> Result<(), Error> {
        let end = Instant::now() + RECOVERY;
        while pings.iter().any(|ping| ping.count() < PASSING) {
            if Instant::now() >= end {
                let what = format!("not everything passes: answers {:?}", pings.each_ref().map(Ping::count));
                return Err(Error::Late { what, seconds: RECOVERY.as_secs(), log: String::new() });
            }
            interrupt::pause(GLANCE)?;
        }
        Ok(())
    }

    /// Waits until all pings have passed for a while, after what was done.
    pub(super) fn await_recovery(&self, pings: &[Ping; 4]) -> Result<(), Error> {
        let end = Instant::now() + RECOVERY;
        // A failure is noticed after some hundred milliseconds at the latest.
        interrupt::pause(Duration::from_secs(1))?;
        let mut steady = Instant::now();
        let mut before = pings.each_ref().map(Ping::count);
        while steady.elapsed() < STEADY {
            if Instant::now() >= end {
                let what = format!("not everything passes: answers {before:?}");
                return Err(Error::Late { what, seconds: RECOVERY.as_secs(), log: String::new() });
            }
            interrupt::pause(Duration::from_millis(500))?;
            let now = pings.each_ref().map(Ping::count);
            if now.iter().zip(&before).any(|(now, before)| now <= before) {
                steady = Instant::now();
            }
            before = now;
        }
        Ok(())
    }

    /// Makes everything as it was, but for which host is active.
    pub(super) fn restore(&mut self, way: Way) -> Result<(), Error> {
        let host = self.struck.clone();
        let node = self.cloud.lab.node(&host)?;
        match way {
            Way::Host => {
                script(&node, "ip link set dev eth0 up; ip link set dev eth1 up")?;
                self.cloud.lab.start_agent(&host)?;
                self.cloud.lab.start_gateway(&host)?;
            }
            Way::OutsideLink => script(&node, "ip link set dev eth1 up").map(drop)?,
            Way::Uplink => script(&node, "ip link set dev eth0 up").map(drop)?,
            Way::Drain => self.cloud.operator(&["set", "gateway", GATEWAY, "--drained", ""]).map(drop)?,
            _ => {}
        }
        let end = Instant::now() + RECOVERY;
        loop {
            let text = self.cloud.operator(&["get", "gateway", GATEWAY, "-o", "json"])?;
            let gateway: Value = serde_json::from_str(&text).map_err(|error| failed("read the gateway")(&error))?;
            let hosts = gateway["status"]["gatewayHosts"].as_array().cloned().unwrap_or_default();
            if hosts.len() == 2 && hosts.iter().all(|host| host["trouble"].is_null()) {
                break;
            }
            if Instant::now() >= end {
                return Err(failed("restore the hosts")(&gateway["status"]));
            }
            interrupt::pause(GLANCE)?;
        }
        self.cloud.await_up(TENANTS.len(), UP_WITHIN)?;
        interrupt::pause(REST)
    }
}

/// The neighbor: a BIRD of the router outside.
fn bird(node: &Node, folder: &std::path::Path, neighbor: Ipv4Addr) -> Result<Daemon, Error> {
    let text = format!(
        "router id {INTERNET};\nprotocol device {{}}\nprotocol direct {{ ipv4; }}\nprotocol kernel {{ persist; ipv4 {{ import none; export where \
         source = RTS_BGP; }}; }}\nprotocol bgp cloud {{\n local {INTERNET} as {THEIR_AS};\n neighbor {neighbor} as {OWN_AS};\n hold time \
         9;\n connect delay time 1;\n error wait time 1, 2;\n graceful restart on;\n ipv4 {{ import where net = {ROUTED}; export \
         none; }};\n}}\n"
    );
    write(&own(folder, "bird.conf"), &text)?;
    let mut daemon =
        Daemon::start(node, folder, "bird", &["bird", "-f", "-c", "/run/bird.conf", "-s", "/run/bird.ctl"])?;
    daemon.until(|run| run.join("bird.ctl").exists())?;
    Ok(daemon)
}
