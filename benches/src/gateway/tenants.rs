//! Many tenants with the same prefixes on one gateway: what each costs, and whether one reaches another.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use super::cloud::{self, Cloud};
use super::daemon::{Daemon, script};
use super::isolation::{self, Party, Seen, Server};
use super::memory;
use super::tunnels::{self, Ipsec, Kind, PORT, PSK};
use super::{Plan, failed};
use crate::contestant::LAB_PREFIX;
use crate::{Error, interrupt};

/// The router outside, which answers behind NAT.
const INTERNET: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// What answers behind the routed connections.
const ROUTED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
/// The other end of all tunnels, and what answers behind it.
const SITE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 100);
const BEHIND: Ipv4Addr = Ipv4Addr::new(10, 10, 2, 1);
/// Ports of a shared address that a tenant gets.
const SHARED: u16 = 512;
/// Connections of a tenant.
const EACH: usize = 3;
/// How long a tenant may take, and all of them beside that.
const PER_TENANT: Duration = Duration::from_secs(3);
const BESIDE: Duration = Duration::from_secs(60);
/// How long the gateway settles before memory is looked at.
const SETTLE: Duration = Duration::from_secs(5);

/// What was seen with so many tenants.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenants {
    /// Which tunnels.
    pub tunnel: String,
    /// Who carries these.
    pub carriers: String,
    /// How many tenants.
    pub count: usize,
    /// Seconds until their networks and ports were realized, without a connection.
    pub networks: f64,
    /// Seconds from the declaration of all connections until the controller had accepted it and hosts had realized it.
    pub realized: f64,
    /// Seconds from the declaration until all connections are told to be up.
    pub up: f64,
    /// KiB of the processes in compartments (proportional shares).
    pub daemons: u64,
    /// How many there are.
    pub processes: usize,
    /// By how many KiB the gateway's and its agent's processes have grown.
    pub gateway: i64,
    /// By how many KiB the kernel's own memory has grown.
    pub kernel: i64,
    /// By how many KiB less memory is available.
    pub available: i64,
    /// Processor time a second, of all in compartments and the gateway, at rest.
    pub rest: f64,
    /// Whom VMs are to reach.
    pub servers: String,
    /// What reached whom.
    pub seen: Seen,
}

/// The address of a tenant's VM: all are in one prefix, and different, so that each may be sent to.
fn address(number: usize) -> Ipv4Addr {
    let [.., high, low] = (number as u32 + 256).to_be_bytes();
    Ipv4Addr::new(10, 1, high, low)
}

fn name(number: usize) -> String {
    format!("t{number}")
}

fn mac(number: usize) -> String {
    let [.., high, low] = (number as u32).to_be_bytes();
    format!("06-06-00-01-{high:02x}-{low:02x}")
}

/// Names of the lab's hosts: that with the VMs, and the gateway's.
fn hosts() -> [String; 2] {
    [1, 2].map(|number| format!("{LAB_PREFIX}gt{number}"))
}

fn yaml(count: usize) -> String {
    let [one, two] = hosts();
    let mut text = format!(
        "name: {LAB_PREFIX}gt\ncontroller: {{addresses: [192.168.4.1/24]}}\nhosts:\n  - {{name: {one}, addresses: \
         [192.168.4.11/24], joined: true}}\n  - {{name: {two}, addresses: [192.168.4.12/24], joined: true, outside: [], gateway: \
         true}}\noutside: {{router: {{name: internet, addresses: [{INTERNET}/16], lan: [{ROUTED}/24]}}}}\nsites:\n  - {{name: site, \
         addresses: [{SITE}/16], lan: [{BEHIND}/24]}}\nvms:\n"
    );
    for number in 0..count {
        let (vm, mac, address) = (name(number), mac(number), address(number));
        text += &format!(
            "  - {{name: {vm}, host: {one}, mac: {mac}, addresses: [{address}/16], mtu: 1300, routes: [{{to: 0.0.0.0/0, via: \
             10.1.0.1}}]}}\n"
        );
    }
    text
}

/// Everything but connections.
fn networks(count: usize) -> Vec<String> {
    let [one, two] = hosts();
    let mut all = vec![cloud::gateway(&two, "198.18.0.2/16", "198.18.0.0/16", INTERNET, "198.18.1.0-198.18.8.255")];
    for number in 0..count {
        let tenant = name(number);
        all.extend(cloud::tenant(&tenant, "10.1.0.0/16"));
        all.push(cloud::port(&tenant, &tenant, &one, &mac(number), address(number)));
    }
    all
}

/// The connections of all tenants.
fn connections(count: usize, kind: Kind, site_key: &str) -> Vec<String> {
    let tunnel = match kind {
        Kind::Wireguard => format!(
            "wireguard: {{peerKey: \"{site_key}\", endpoint: \"{SITE}:{PORT}\", keepalive: 20, remotePrefixes: [10.10.2.0/24]}}"
        ),
        Kind::Ipsec => format!("ipsec: {{remote: {SITE}, psk: {PSK}, remotePrefixes: [10.10.2.0/24]}}"),
    };
    let routing = format!("routing: {{routes: [{{prefix: 192.0.2.0/24, nextHop: {INTERNET}}}]}}");
    let nat = format!("nat: {{sharedPorts: {SHARED}}}");
    let each = [("nat", &nat), ("office", &routing), ("home", &tunnel)];
    (0..count).flat_map(|number| each.map(|(what, kind)| cloud::connection(&name(number), what, kind))).collect()
}

/// Measures so many tenants.
pub(super) fn measure(plan: &Plan, kind: Kind, count: usize) -> Result<Tenants, Error> {
    eprintln!("setting up {count} tenants, {}", kind.name());
    let [one, two] = hosts();
    let cloud = Cloud::up(&yaml(count), &plan.netvirt, &[&one, &two], &two)?;
    for number in 0..count {
        // Who is not there is not asked for by ARP: the kernel knows only so many neighbors at once.
        let text =
            "ip route del 10.1.0.0/16 dev eth0\nip route add 10.1.0.1 dev eth0\nip route add 10.1.0.0/16 via 10.1.0.1";
        script(&cloud.lab.vm(&name(number))?, text)?;
    }
    let began = Instant::now();
    cloud.apply(&networks(count))?;
    let networks = began.elapsed().as_secs_f64();
    let site = cloud.lab.node("site")?;
    let key = tunnels::keys(&site, 1)?.swap_remove(0);
    let folder = cloud.lab.folder().join("site");
    interrupt::pause(SETTLE)?;
    let own: Vec<u32> = own_processes(&cloud)?;
    let before = [memory::available()?, memory::kernel()?, memory::shares(&own)];

    eprintln!("{} connections", count * EACH);
    let began = Instant::now();
    // The other end must be there before, or know the keys of those that come.
    let mut other = None;
    if kind == Kind::Ipsec {
        other = Some(charon(&cloud, &folder)?);
    }
    cloud.apply(&connections(count, kind, &key.1))?;
    let realized = began.elapsed().as_secs_f64();
    if kind == Kind::Wireguard {
        let keys = public_keys(&cloud, count)?;
        other = Some(tunnels::wireguard_go(&site, &folder, &key.0, &keys)?);
        script(&site, "ip route replace 10.1.0.0/16 dev wg0")?;
    }
    let all = cloud.await_up(count * EACH, PER_TENANT * u32::try_from(count).unwrap_or(u32::MAX) + BESIDE)?;
    let up = began.elapsed().as_secs_f64();
    interrupt::pause(SETTLE)?;
    let inside = memory::processes(&cloud.namespaces()?)?;
    let after = [memory::available()?, memory::kernel()?, memory::shares(&own)];
    let grown = |place: usize| after[place].cast_signed() - before[place].cast_signed();
    let (available, kernel, gateway) = (-grown(0), grown(1), grown(2));
    let daemons = memory::shares(&inside);
    eprintln!("all rest");
    let everybody = [inside.as_slice(), &own].concat();
    let (used, began) = (memory::used(&everybody), Instant::now());
    interrupt::pause(plan.rest)?;
    let rest = memory::used(&everybody).saturating_sub(used).as_secs_f64() / began.elapsed().as_secs_f64();

    eprintln!("all pairs");
    let parties = parties(&cloud, &all, count)?;
    let servers = servers(&cloud, &parties, kind)?;
    let seen = isolation::all_pairs(&parties, &servers)?;
    drop(other);
    Ok(Tenants {
        tunnel: kind.name().to_owned(),
        carriers: carriers(&all),
        count,
        networks,
        realized,
        up,
        daemons,
        processes: inside.len(),
        gateway,
        kernel,
        available,
        rest,
        servers: isolation::names(&servers),
        seen,
    })
}

/// The gateway's process.
fn own_processes(cloud: &Cloud) -> Result<Vec<u32>, Error> {
    let gateway = cloud.lab.gateway_pid(&cloud.gateway)?;
    let nodes = cloud.lab.status()?.nodes;
    let agent = nodes.into_iter().find(|node| node.name == cloud.gateway).and_then(|node| node.agent?.pid);
    Ok(gateway.into_iter().chain(agent).collect())
}

/// The other end of all tunnels of IPsec. Its ESP is charon's own, and it takes whoever has the key.
fn charon(cloud: &Cloud, folder: &std::path::Path) -> Result<Daemon, Error> {
    let settings = "charon {\n load = random nonce openssl curve25519 pem pkcs1 x509 pubkey hmac kdf gcm aes sha1 sha2 constraints \
                    kernel-libipsec kernel-netlink socket-default vici\n install_routes = no\n plugins {\n vici {\n socket = \
                    unix:///run/charon.vici\n }\n kernel-libipsec {\n allow_peer_ts = yes\n }\n }\n}\n";
    let end = Ipsec { local: SITE, remote: "%any", here: "10.10.2.0/24", there: "10.1.0.0/16", interface: false };
    end.start(&cloud.lab.node("site")?, folder, settings)
}

/// The connections of one kind, by tenant.
fn of<'v>(all: &'v [Value], tenant: &str, connection: &str) -> Option<&'v Value> {
    let one = all.iter().find(|one| one["tenant"] == tenant && one["name"] == connection)?;
    Some(&one["status"]["connection"])
}

/// The public keys of the tenants' tunnels, with what may come from each.
fn public_keys(cloud: &Cloud, count: usize) -> Result<Vec<(String, String)>, Error> {
    let end = Instant::now() + BESIDE;
    loop {
        let all = cloud.await_up(0, BESIDE)?;
        let key = |number| {
            let key = of(&all, &name(number), "home")?["report"]["publicKey"].as_str()?.to_owned();
            Some((key, format!("{}/32", address(number))))
        };
        if let Some(keys) = (0..count).map(key).collect() {
            return Ok(keys);
        }
        if Instant::now() >= end {
            return Err(failed("read the gateway's keys of WireGuard")(&"not all are told"));
        }
        interrupt::pause(Duration::from_millis(100))?;
    }
}

/// The VMs with what is known of their compartments.
fn parties(cloud: &Cloud, all: &[Value], count: usize) -> Result<Vec<Party>, Error> {
    let party = |number| {
        let tenant = name(number);
        let external = of(all, &tenant, "office").and_then(|one| one["external"][0].as_str());
        let outside = external.and_then(|text| text.split('/').next()?.parse().ok());
        let outside = outside.ok_or_else(|| failed("read the address of a compartment")(&tenant))?;
        let namespace = cloud.lab.vm(&tenant)?.namespace().clone();
        Ok(Party { namespace, inside: address(number), outside })
    };
    (0..count).map(party).collect()
}

/// Who answers VMs behind each of their connections. Of tunnels of IPsec, whose selectors are all the same, a site cannot tell
/// which to answer by.
fn servers(cloud: &Cloud, parties: &[Party], kind: Kind) -> Result<Vec<Server>, Error> {
    let (internet, site) = (cloud.lab.node("internet")?, cloud.lab.node("site")?);
    let routes: Vec<_> =
        parties.iter().map(|party| format!("ip route replace {}/32 via {}", party.inside, party.outside)).collect();
    script(&internet, &routes.join("\n"))?;
    let mut servers = vec![
        Server { namespace: internet.namespace().clone(), address: INTERNET, by: "NAT" },
        Server { namespace: internet.namespace().clone(), address: ROUTED, by: "the routed connection" },
    ];
    if kind == Kind::Wireguard {
        servers.push(Server { namespace: site.namespace().clone(), address: BEHIND, by: "the tunnel" });
    }
    Ok(servers)
}

/// Who carries tunnels, as the gateway tells.
fn carriers(all: &[Value]) -> String {
    let tells = of(all, &name(0), "home").map(|one| one["report"]["carriers"].clone()).unwrap_or_default();
    let words: Vec<_> = tells.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use lab::Topology;

    use super::*;

    #[test]
    fn tenants_are_alike_but_in_what_tells_them_apart() {
        let topology = Topology::from_yaml(&yaml(300)).unwrap();
        let macs: BTreeSet<_> = topology.vms.iter().map(|vm| vm.mac).collect();
        let addresses: BTreeSet<_> = (0..300).map(address).collect();
        assert_eq!((macs.len(), addresses.len()), (300, 300));
        assert_eq!(address(0), Ipv4Addr::new(10, 1, 1, 0));
        assert_eq!(connections(2, Kind::Ipsec, "").len(), 2 * EACH);
    }
}
