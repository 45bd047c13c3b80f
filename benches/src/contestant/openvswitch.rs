//! Open vSwitch with its datapath in userspace and a GRE port with a fixed key: one of it on each host.
//!
//! It reads and writes its devices frame by frame through packet sockets, so that the VMs must send finished frames:
//! their offloads are off for good.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use lab::Node;

use super::daemon::Daemon;
use super::stage::{Design, ETH0, MACS, PROVIDERS, Stage, VMS};
use crate::Error;
use crate::measure::Scene;

/// Addresses of the VMs.
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 5), Ipv4Addr::new(10, 0, 0, 7)];
/// What GRE with a key over IPv4 adds to a packet, in bytes: IPv4, GRE, inner Ethernet.
const OVERHEAD: u32 = 20 + 8 + 14;
/// VSID 5001 and FlowID 0, as in NVGRE.
const KEY: u32 = 5001 << 8;
/// Where Debian's package has the database's schema.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// The bridge of the uplink, which has the provider address, and that of the VMs.
const UNDERLAY: &str = "br-phy";
const OVERLAY: &str = "br-int";
/// How long a control program may take.
const LIMIT: Duration = Duration::from_secs(15);

/// The flows of the bridge of the VMs with connection tracking: what belongs to a connection that is known passes, what
/// may begin one is remembered.
const TRACKING: &str = "\
table=0,priority=10,arp,actions=NORMAL
table=0,priority=10,ip,actions=ct(table=1)
table=0,priority=0,actions=drop
table=1,priority=10,ip,ct_state=+trk+est,actions=NORMAL
table=1,priority=10,ip,ct_state=+trk+rel,actions=NORMAL
table=1,priority=10,ip,ct_state=+trk+new,actions=ct(commit),NORMAL
table=1,priority=0,actions=drop
";

/// Builds it, with connection tracking or without.
pub(super) fn raise(scene: Scene, tracked: bool) -> Result<Stage, Error> {
    let Scene::TwoHosts(mtu) = scene else {
        return Err(Error::Nothing);
    };
    let vm_mtu = mtu - OVERHEAD;
    let mut stage = Design {
        letter: if tracked { "cct" } else { "c" },
        scene,
        agent: false,
        addresses: ADDRESSES,
        vm_fields: format!(", mtu: {vm_mtu}, offloads: {{tx: false, gso: false}}"),
        each_vm: [String::new(), String::new()],
        resources: String::new(),
        program: None,
    }
    .raise()?;
    stage.whole_frames = false;
    for own in [0, 1] {
        let daemons = start(&stage.hosts[own], &stage.folder(&format!("ovs{own}")), own, mtu)?;
        stage.daemons.extend(daemons.into_iter().map(|daemon| (own, daemon)));
    }
    for (vm, other) in [(&stage.client, 1), (&stage.server, 0)] {
        vm.netlink()?.set_neighbour(ETH0, IpAddr::V4(ADDRESSES[other]), MACS[other])?;
    }
    if tracked {
        track(&stage)?;
    }
    Ok(stage)
}

/// Replaces the flows of the bridges by tracking ones, and sees to it that connections are indeed known.
fn track(stage: &Stage) -> Result<(), Error> {
    let folder = |own: usize| stage.folder(&format!("ovs{own}"));
    for (own, host) in stage.hosts.iter().enumerate() {
        let file = folder(own).join("flows");
        fs::write(&file, TRACKING).map_err(|source| Error::File { action: "write", path: file.clone(), source })?;
        let bridge = format!("unix:{}", folder(own).join(format!("{OVERLAY}.mgmt")).display());
        run(
            host,
            &[
                "ovs-ofctl",
                "--timeout=10",
                "--protocols=OpenFlow13",
                "replace-flows",
                &bridge,
                &file.display().to_string(),
            ],
        )?;
    }
    let address = stage.address.to_string();
    stage.client.output(&["ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", &address], LIMIT)?.ok()?;
    for (own, host) in stage.hosts.iter().enumerate() {
        let control = folder(own).join("vswitchd.ctl").display().to_string();
        let known = host.output(&["ovs-appctl", "-t", &control, "dpctl/dump-conntrack"], LIMIT)?.ok()?;
        if !known.contains("icmp") {
            return Err(Error::Untracked { host: host.name().to_owned(), rules: TRACKING.to_owned() });
        }
    }
    Ok(())
}

/// Starts the two daemons of a host, whose database, sockets and logs are in a folder of its own, and sets them up.
fn start(host: &Node, folder: &Path, own: usize, mtu: u32) -> Result<[Daemon; 2], Error> {
    fs::create_dir_all(folder).map_err(|source| Error::File {
        action: "make the folder",
        path: folder.to_owned(),
        source,
    })?;
    let inside = |name: &str| folder.join(name).display().to_string();
    let (database, socket) = (inside("conf.db"), inside("db.sock"));
    run(host, &["ovsdb-tool", "create", &database, SCHEMA])?;
    let mut command = host.command("ovsdb-server");
    command
        .arg(&database)
        .arg(format!("--remote=punix:{socket}"))
        .arg(format!("--unixctl={}", inside("ovsdb.ctl")))
        .env("OVS_RUNDIR", folder);
    let mut server = Daemon::start(command, folder)?;
    server.await_file(Path::new(&socket))?;
    let db = format!("--db=unix:{socket}");
    run(host, &["ovs-vsctl", &db, "--no-wait", "init"])?;
    let mut command = host.command("ovs-vswitchd");
    command
        .arg(format!("unix:{socket}"))
        .arg(format!("--unixctl={}", inside("vswitchd.ctl")))
        .env("OVS_RUNDIR", folder);
    let mut switch = Daemon::start(command, folder)?;
    switch.await_file(Path::new(&inside("vswitchd.ctl")))?;
    set_up(host, &db, &inside("vswitchd.ctl"), own, mtu)?;
    Ok([server, switch])
}

/// Two bridges, as Open vSwitch wants it: one owns the uplink and the provider address, one the VM and the tunnel.
fn set_up(host: &Node, db: &str, control: &str, own: usize, mtu: u32) -> Result<(), Error> {
    let (remote, key) = (PROVIDERS[1 - own], KEY);
    let request = format!("mtu_request={mtu}");
    let (remote, key) = (format!("options:remote_ip={remote}"), format!("options:key={key}"));
    for arguments in [
        &["add-br", UNDERLAY, "--", "set", "bridge", UNDERLAY, "datapath_type=netdev"][..],
        &["add-br", OVERLAY, "--", "set", "bridge", OVERLAY, "datapath_type=netdev"],
        &["add-port", UNDERLAY, ETH0],
        &["set", "interface", UNDERLAY, &request],
        &["add-port", OVERLAY, VMS[own]],
        &["add-port", OVERLAY, "gre0", "--", "set", "interface", "gre0", "type=gre", &remote, &key],
    ] {
        let command = [&["ovs-vsctl", db, "--timeout=10"][..], arguments].concat();
        run(host, &command)?;
    }
    let netlink = host.netlink()?;
    let address = IpNet::V4(Ipv4Net::new_assert(PROVIDERS[own], 24));
    netlink.delete_address(ETH0, address)?;
    netlink.add_address(UNDERLAY, address)?;
    netlink.set_up(UNDERLAY)?;
    // It hears of addresses and routes by netlink, at times before its bridge is ready to end tunnels on them, and then never
    // again: every packet is answered by "protocol 47 unreachable". A route that it is told itself makes it look anew.
    let route = format!("{}/32", PROVIDERS[1 - own]);
    run(host, &["ovs-appctl", "-t", control, "ovs/route/add", &route, UNDERLAY])
}

fn run(host: &Node, command: &[&str]) -> Result<(), Error> {
    host.output(command, LIMIT)?.ok()?;
    Ok(())
}
