//! The labs in which a compartment is compared: a cloud with a gateway, and two without netvirt, whose routers have the VMs on
//! their own hosts and on others.

use std::net::Ipv4Addr;
use std::time::Duration;

use lab::{LabGuard, Topology, UpOptions};
use serde_json::Value;

use super::cloud::{self, Cloud};
use super::daemon::{Daemon, ROOM, script};
use super::rounds::{Group, ROUTER, TUNNEL, Way};
use super::tunnels::{self, Alone, Ipsec, Kind, PORT, PSK, Told};
use super::{Part, Plan, failed, plain};
use crate::Error;
use crate::contestant::LAB_PREFIX;

/// The router outside, which is the server of what leaves.
const INTERNET: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// The server of each site: its router's address towards its own servers.
const SITE_SERVER: Ipv4Addr = Ipv4Addr::new(10, 10, 2, 1);
/// What lies behind each site.
const SITE_PREFIX: &str = "10.10.2.0/24";
/// Provider addresses of the host with VMs alone, and of the gateway's.
const PROVIDERS: [&str; 2] = ["192.168.4.11", "192.168.4.12"];
/// How long connections may take to be up.
const UP_WITHIN: Duration = Duration::from_secs(60);
/// MTU of VMs, and of those whose packets go into a tunnel of either kind.
const MTUS: [u32; 2] = [1500, 1300];

/// A tenant, its subnet's third byte, and its VMs: name, host (0: without the gateway), last byte of the address.
type Tenant = (&'static str, u8, &'static [(&'static str, usize, u8)]);
const TENANTS: [Tenant; 5] = [
    ("own", 1, &[("own-near", 1, 5), ("own-far", 0, 6)]),
    ("shared", 1, &[("shared-near", 1, 5)]),
    ("routed", 2, &[("routed-near", 1, 5), ("routed-far", 0, 6)]),
    ("ipsec", 3, &[("ipsec-near", 1, 5)]),
    ("wireguard", 4, &[("wg-near", 1, 5)]),
];

/// The sites, with their addresses.
const SITES: [(Kind, &str, Ipv4Addr); 2] = [
    (Kind::Ipsec, "site-ipsec", Ipv4Addr::new(203, 0, 113, 100)),
    (Kind::Wireguard, "site-wg", Ipv4Addr::new(203, 0, 113, 101)),
];

fn kind_of(tenant: &str) -> Option<Kind> {
    match tenant {
        "ipsec" => Some(Kind::Ipsec),
        "wireguard" => Some(Kind::Wireguard),
        _ => None,
    }
}

/// The part that a tenant is measured in.
fn part_of(tenant: &str) -> Part {
    match tenant {
        "routed" => Part::Routing,
        "ipsec" | "wireguard" => Part::Vpn,
        _ => Part::Nat,
    }
}

fn vm(tenant: &str, name: &str, host: &str, number: u8, subnet: u8, last: u8) -> String {
    let mtu = MTUS[usize::from(kind_of(tenant).is_some())];
    format!(
        "  - {{name: {name}, host: {host}, mac: {}, addresses: [10.{subnet}.0.{last}/24], mtu: {mtu}, routes: [{{to: 0.0.0.0/0, \
         via: 10.{subnet}.0.1}}]}}\n",
        mac(number)
    )
}

fn mac(number: u8) -> String {
    format!("06-06-00-00-01-{number:02x}")
}

/// What lies outside of each lab. The sites are those of tunnels.
fn outside(sites: bool) -> String {
    let mut text = format!("outside: {{router: {{name: internet, addresses: [{INTERNET}/24]}}}}\n");
    if sites {
        text += "sites:\n";
        for (_, name, address) in SITES {
            text += &format!("  - {{name: {name}, addresses: [{address}/24], lan: [{SITE_SERVER}/24]}}\n");
        }
    }
    text
}

/// Names of a lab's hosts: that with VMs alone, and the gateway's.
fn cloud_hosts() -> [String; 2] {
    [1, 2].map(|number| format!("{LAB_PREFIX}gn{number}"))
}

/// The cloud, as YAML.
fn cloud_yaml() -> String {
    let [one, two] = &cloud_hosts();
    let mut text = format!(
        "name: {LAB_PREFIX}gn\ncontroller: {{addresses: [192.168.4.1/24]}}\nhosts:\n  - {{name: {one}, addresses: [{}/24], joined: \
         true}}\n  - {{name: {two}, addresses: [{}/24], joined: true, outside: [], gateway: true}}\nvms:\n",
        PROVIDERS[0], PROVIDERS[1]
    );
    let mut number = 0;
    for (tenant, subnet, vms) in TENANTS {
        for (name, host, last) in vms {
            number += 1;
            text += &vm(tenant, name, &cloud_hosts()[*host], number, subnet, *last);
        }
    }
    text + &outside(true)
}

/// The routers without netvirt, as YAML: one for each tenant that has a VM on the gateway's host, or on the other.
fn plain_yaml(near: bool) -> String {
    let lab = plain_lab(near);
    let mut text = format!("name: {lab}\nhosts:\n");
    let mut vms = String::new();
    for (number, (tenant, subnet, name, last)) in (1..).zip(plain_vms(near)) {
        let router = router_name(near, tenant);
        text += &format!("  - {{name: {router}, addresses: [192.168.4.{number}3/24], agent: false, outside: []}}\n");
        let mut host = router.clone();
        if !near {
            let [one, two] = ends(&router);
            text += &format!("  - {{name: {one}, addresses: [192.168.4.{number}1/24], agent: false}}\n");
            text += &format!("  - {{name: {two}, addresses: [192.168.4.{number}2/24], agent: false}}\n");
            host = one;
        }
        vms += &vm(tenant, name, &host, number, subnet, last);
    }
    format!("{text}vms:\n{vms}{}", outside(near))
}

fn plain_lab(near: bool) -> String {
    format!("{LAB_PREFIX}gp{}", if near { "n" } else { "f" })
}

fn router_name(near: bool, tenant: &str) -> String {
    format!("{}-{tenant}", plain_lab(near))
}

/// Names of the two hosts between which the VXLAN of a router is.
fn ends(router: &str) -> [String; 2] {
    ["v", "w"].map(|end| format!("{router}{end}"))
}

/// Tenants of a plain lab with their subnets, VMs and last bytes of addresses. One who shares an address has none: what it is
/// compared with is the router of who has one.
fn plain_vms(near: bool) -> impl Iterator<Item = (&'static str, u8, &'static str, u8)> {
    TENANTS.into_iter().filter(|(tenant, ..)| *tenant != "shared").flat_map(move |(tenant, subnet, vms)| {
        let here = vms.iter().filter(move |(_, host, _)| (*host == 1) == near);
        here.map(move |(name, _, last)| (tenant, subnet, *name, *last))
    })
}

/// All labs.
#[derive(Debug)]
pub(super) struct Scene {
    // Daemons go before the labs that they are in.
    daemons: Vec<Daemon>,
    told: Vec<Told>,
    cloud: Cloud,
    near: LabGuard,
    far: LabGuard,
}

impl Scene {
    /// Builds them.
    pub(super) fn up(plan: &Plan) -> Result<Self, Error> {
        eprintln!("setting up a cloud with a gateway");
        let [one, two] = &cloud_hosts();
        let cloud = Cloud::up(&cloud_yaml(), &plan.netvirt, &[one, two], two)?;
        let mut daemons = Vec::new();
        let keys = tunnels::keys(&cloud.lab.node("site-wg")?, 2)?;
        cloud.apply(&documents(&keys[1].1))?;
        // The gateway tells its public key.
        let key = public_key(&cloud)?;
        eprintln!("setting up plain routers");
        let lab = |near| -> Result<LabGuard, Error> {
            Ok(LabGuard::up(&Topology::from_yaml(&plain_yaml(near))?, UpOptions::default())?)
        };
        let (near, far) = (lab(true)?, lab(false)?);
        let ipsec = charon_settings(&cloud)?;
        for (place, lab) in [(0, &cloud.lab), (1, &near)] {
            daemons.extend(sites(lab, &ipsec, &keys[1].0, &key, place)?);
        }
        let told = connect(&cloud)?;
        let mut scene = Self { daemons, told, cloud, near, far };
        scene.routers(plan)?;
        scene.steer(plan)?;
        Ok(scene)
    }

    /// What there is to know of how it was set up.
    pub(super) fn notes(&self) -> Vec<String> {
        let room = format!("sites' daemons have {} MiB of room in their sockets, on either side", ROOM >> 20);
        self.told.iter().map(Told::carrier).chain([room]).collect()
    }

    /// Makes hosts of the plain labs routers, each with the address outside and the rules that the compartment of its tenant has.
    fn routers(&mut self, plan: &Plan) -> Result<(), Error> {
        let all = self.cloud.await_up(TENANTS.len(), UP_WITHIN)?;
        for near in [true, false] {
            for (number, (tenant, subnet, name, _)) in (1..).zip(plain_vms(near)) {
                let lab = if near { &self.near } else { &self.far };
                let router = router_name(near, tenant);
                let node = lab.host(&router)?;
                if near {
                    plain::beside(&node, name)?;
                } else {
                    let [here, there] = [1, 2].map(|last| format!("192.168.4.{number}{last}"));
                    let [one, two] = ends(&router);
                    let (one, two) = (lab.host(&one)?, lab.host(&two)?);
                    plain::behind_vxlan((&one, name, &here), (&two, &there), &node, number)?;
                }
                let own = external(&all, tenant)?;
                plain::router(&node, &format!("10.{subnet}.0.1/24"), own)?;
                if part_of(tenant) == Part::Routing {
                    script(&lab.node("internet")?, &format!("ip route add 10.{subnet}.0.0/24 via {own}"))?;
                }
                match (kind_of(tenant), self.told.iter().find(|told| kind_of(tenant) == Some(told.kind))) {
                    (Some(kind), Some(told)) => {
                        let here = format!("10.{subnet}.0.0/24");
                        let folder = lab.folder().join(&router);
                        let (node, program, site) = (&node, plan.netvirt.as_path(), site_of(kind));
                        let at = Alone { node, folder, program, own, site, here: &here, there: SITE_PREFIX };
                        self.daemons.extend(told.start(&at)?);
                    }
                    _ => plain::filter(&node, &plain::rules(&self.cloud.compartment(tenant)?)?)?,
                }
            }
        }
        let own = external(&all, "routed")?;
        script(&self.cloud.lab.node("internet")?, &format!("ip route add 10.2.0.0/24 via {own}")).map(drop)
    }

    /// Steers what comes from another host to the CPU of the server's side, with all ways alike.
    fn steer(&self, plan: &Plan) -> Result<(), Error> {
        let [client, server] = plan.cpus;
        let steer = |lab: &LabGuard, host: &str, cpu: usize| -> Result<(), Error> {
            Ok(lab.host(host)?.namespace().set_receive_cpus("eth0", &[cpu])?)
        };
        let [one, two] = &cloud_hosts();
        steer(&self.cloud.lab, one, client)?;
        steer(&self.cloud.lab, two, server)?;
        for (tenant, ..) in plain_vms(false) {
            let [one, two] = ends(&router_name(false, tenant));
            steer(&self.far, &one, client)?;
            steer(&self.far, &two, server)?;
        }
        Ok(())
    }

    /// The ways of the parts that are wanted.
    pub(super) fn groups(&self, plan: &Plan) -> Vec<Group> {
        let near = |tenant| self.pair(tenant, true, "VM on the gateway's host");
        let far = |tenant| self.pair(tenant, false, "VM on another host");
        let mut groups = Vec::new();
        if plan.parts.contains(&Part::Nat) {
            let mut ways = near("own");
            let shared = self.cloud.lab.vm("shared-near").ok().zip(self.cloud.lab.node("internet").ok());
            ways.extend(shared.map(|(client, server)| Way {
                name: "netvirt, VM on the gateway's host, shared address".to_owned(),
                client,
                server,
                address: INTERNET,
                beside: Some(0),
            }));
            groups.push(Group { title: "NAT", measures: &ROUTER, ways });
            groups.push(Group { title: "NAT", measures: &ROUTER, ways: far("own") });
        }
        if plan.parts.contains(&Part::Routing) {
            groups.push(Group { title: "routing", measures: &ROUTER, ways: near("routed") });
            groups.push(Group { title: "routing", measures: &ROUTER, ways: far("routed") });
        }
        if plan.parts.contains(&Part::Vpn) {
            groups.push(Group { title: "IPsec", measures: &TUNNEL, ways: near("ipsec") });
            groups.push(Group { title: "WireGuard", measures: &TUNNEL, ways: near("wireguard") });
        }
        groups
    }

    /// The plain router's way and the compartment's.
    fn pair(&self, tenant: &str, near: bool, place: &str) -> Vec<Way> {
        let plain = if near { &self.near } else { &self.far };
        let found = plain_vms(near).find(|(other, ..)| *other == tenant);
        let Some((_, _, vm, _)) = found else { return Vec::new() };
        let kind = kind_of(tenant);
        let (server, address) = match SITES.iter().find(|(its, ..)| Some(*its) == kind) {
            Some((_, site, _)) => (*site, SITE_SERVER),
            None => ("internet", INTERNET),
        };
        let who = match (kind, near) {
            (Some(_), _) => "the daemon alone",
            (None, true) => "plain router",
            (None, false) => "plain router behind VXLAN",
        };
        let labs = [(who, plain, None), ("netvirt", &self.cloud.lab, Some(0))];
        let way = |(who, lab, beside): (&str, &LabGuard, Option<usize>)| {
            let (client, server) = (lab.vm(vm).ok()?, lab.node(server).ok()?);
            Some(Way { name: format!("{who}, {place}"), client, server, address, beside })
        };
        labs.into_iter().filter_map(way).collect()
    }
}

fn site_of(kind: Kind) -> Ipv4Addr {
    SITES.iter().find(|(its, ..)| *its == kind).map_or(Ipv4Addr::UNSPECIFIED, |(_, _, address)| *address)
}

/// What is declared at the controller.
fn documents(site_key: &str) -> Vec<String> {
    let hosts = cloud_hosts();
    let range = "203.0.113.16-203.0.113.63";
    let mut all = vec![cloud::gateway(&hosts[1], "203.0.113.2/24", "203.0.113.0/24", INTERNET, range)];
    let mut number = 0;
    for (name, subnet, vms) in TENANTS {
        all.extend(cloud::tenant(name, &format!("10.{subnet}.0.0/24")));
        for (vm, host, last) in vms {
            number += 1;
            all.push(cloud::port(name, vm, &hosts[*host], &mac(number), Ipv4Addr::new(10, subnet, 0, *last)));
        }
        let (site, there) = (kind_of(name).map(site_of), SITE_PREFIX);
        let kind = match (name, site) {
            ("own", _) => "nat: {}".to_owned(),
            ("shared", _) => "nat: {sharedPorts: 32768}".to_owned(),
            ("ipsec", Some(site)) => format!("ipsec: {{remote: {site}, psk: {PSK}, remotePrefixes: [{there}]}}"),
            (_, Some(site)) => format!(
                "wireguard: {{peerKey: \"{site_key}\", endpoint: \"{site}:{PORT}\", keepalive: 5, remotePrefixes: [{there}]}}"
            ),
            _ => "routing: {}".to_owned(),
        };
        all.push(cloud::connection(name, "way", &kind));
    }
    all
}

/// The settings of the charon of the compartment with a tunnel of IPsec, once the gateway has written them.
fn charon_settings(cloud: &Cloud) -> Result<String, Error> {
    Ok(Told::look(cloud, "ipsec", Kind::Ipsec)?.text)
}

/// The public key of the gateway's end of the tunnel of WireGuard.
fn public_key(cloud: &Cloud) -> Result<String, Error> {
    let all = cloud.await_up(TENANTS.len() - 2, UP_WITHIN)?;
    let of = |one: &&Value| one["tenant"] == "wireguard";
    let key = all.iter().find(of).and_then(|one| one["status"]["connection"]["report"]["publicKey"].as_str());
    key.map(ToOwned::to_owned).ok_or_else(|| failed("read the gateway's key of WireGuard")(&"it is not told"))
}

/// The sites' ends of tunnels in a lab.
fn sites(lab: &LabGuard, ipsec: &str, private: &str, peer: &str, place: usize) -> Result<Vec<Daemon>, Error> {
    let mut daemons = Vec::new();
    for (kind, name, local) in SITES {
        let node = lab.node(name)?;
        let folder = lab.folder().join(format!("{name}-{place}"));
        daemons.push(match kind {
            Kind::Ipsec => {
                let end = Ipsec { local, remote: "%any", here: SITE_PREFIX, there: "10.3.0.0/24", interface: false };
                end.start(&node, &folder, ipsec)?
            }
            Kind::Wireguard => {
                let peers = [(peer.to_owned(), "10.4.0.0/24".to_owned())];
                tunnels::wireguard_go(&node, &folder, private, &peers)?
            }
        });
        if let Some(daemon) = daemons.last() {
            // It shares two processors with all that is measured. With the buffers that it has by default, for 4 ms, it loses a
            // packet in six whenever it waits for one of them, and what is measured then is who made it wait.
            daemon.make_room()?;
        }
        let there = if kind == Kind::Ipsec { "10.3.0.0/24" } else { "10.4.0.0/24" };
        // Where the kernel does ESP there is no device, and policies take what the default route leads out.
        if tunnels::has_device(node.namespace(), kind.device()) {
            let device = kind.device();
            script(&node, &format!("ip link set {device} mtu 1420 up\nip route replace {there} dev {device}"))?;
        }
    }
    Ok(daemons)
}

/// What the gateway has told the daemons of both tunnels, once these are up.
fn connect(cloud: &Cloud) -> Result<Vec<Told>, Error> {
    cloud.await_up(TENANTS.len(), UP_WITHIN)?;
    SITES
        .iter()
        .map(|(kind, ..)| {
            let tenant = if *kind == Kind::Ipsec { "ipsec" } else { "wireguard" };
            Told::look(cloud, tenant, *kind)
        })
        .collect()
}

/// The address outside of a tenant's compartment.
fn external(all: &[Value], tenant: &str) -> Result<Ipv4Addr, Error> {
    let one = all.iter().find(|one| one["tenant"] == tenant);
    let text = one.and_then(|one| one["status"]["connection"]["external"][0].as_str());
    let address = text.and_then(|text| text.split('/').next()?.parse().ok());
    address.ok_or_else(|| failed("read the address of a compartment")(&format!("{tenant} is told none")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_labs_are_legal_and_a_benchmarks_own() {
        for yaml in [cloud_yaml(), plain_yaml(true), plain_yaml(false)] {
            let topology = Topology::from_yaml(&yaml).unwrap();
            assert!(topology.name.as_str().starts_with(LAB_PREFIX));
        }
    }

    #[test]
    fn each_way_through_a_compartment_has_a_plain_one_beside_it() {
        let near: Vec<_> = plain_vms(true).map(|(tenant, ..)| tenant).collect();
        assert_eq!(near, ["own", "routed", "ipsec", "wireguard"]);
        let far: Vec<_> = plain_vms(false).map(|(tenant, ..)| tenant).collect();
        assert_eq!(far, ["own", "routed"]);
    }
}
