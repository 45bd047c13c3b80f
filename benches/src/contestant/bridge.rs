//! Kernel VXLAN and a bridge on each host, with nothing to learn: forwarding entries and neighbours are static. On one
//! host there is the bridge alone.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use host::Vxlan;
use lab::Node;

use super::stage::{Design, ETH0, LOCAL_MTU, MACS, PROVIDERS, Stage, VMS};
use crate::Error;
use crate::measure::Scene;

/// Addresses of the VMs.
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 5), Ipv4Addr::new(10, 0, 0, 7)];
/// What VXLAN over IPv4 adds to a packet, in bytes: IPv4, UDP, VXLAN, inner Ethernet.
const OVERHEAD: u32 = 20 + 8 + 8 + 14;
const BRIDGE: &str = "br0";
const VXLAN: &str = "vxlan0";
/// How long a program of iproute2 may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Builds it, in a lab with that letter.
pub(super) fn raise(scene: Scene, letter: &str) -> Result<Stage, Error> {
    let mtu = match scene {
        Scene::TwoHosts(mtu) => mtu - OVERHEAD,
        Scene::OneHost => LOCAL_MTU,
    };
    let stage = Design {
        letter,
        scene,
        agent: false,
        addresses: ADDRESSES,
        vm_fields: format!(", mtu: {mtu}"),
        each_vm: [String::new(), String::new()],
        resources: String::new(),
        program: None,
    }
    .raise()?;
    for host in &stage.hosts {
        let netlink = host.netlink()?;
        netlink.create_bridge(BRIDGE)?;
        netlink.set_mtu(BRIDGE, mtu)?;
        netlink.set_up(BRIDGE)?;
    }
    match stage.hosts.as_slice() {
        [one, other] => {
            join_hosts(one, mtu, [0, 1])?;
            join_hosts(other, mtu, [1, 0])?;
        }
        hosts => {
            for device in VMS {
                join_bridge(&hosts[0], device)?;
            }
            for (device, mac) in VMS.into_iter().zip(MACS) {
                learn(&hosts[0], device, mac)?;
            }
        }
    }
    for (vm, other) in [(&stage.client, 1), (&stage.server, 0)] {
        vm.netlink()?.set_neighbour(ETH0, IpAddr::V4(ADDRESSES[other]), MACS[other])?;
    }
    Ok(stage)
}

/// The bridge and the VXLAN device of one host. `own` and `other` are places in the lists of two.
fn join_hosts(host: &Node, mtu: u32, [own, other]: [usize; 2]) -> Result<(), Error> {
    let netlink = host.netlink()?;
    netlink.create_vxlan(&Vxlan {
        name: VXLAN,
        vni: 5001,
        local: IpAddr::V4(PROVIDERS[own]),
        device: ETH0,
        port: 4789,
    })?;
    netlink.set_mtu(VXLAN, mtu)?;
    netlink.set_up(VXLAN)?;
    netlink.add_fdb_entry(VXLAN, MACS[other], IpAddr::V4(PROVIDERS[other]))?;
    for device in [VMS[own], VXLAN] {
        join_bridge(host, device)?;
    }
    learn(host, VMS[own], MACS[own])?;
    learn(host, VXLAN, MACS[other])
}

/// Makes a device a port of the bridge that learns nothing.
fn join_bridge(host: &Node, device: &str) -> Result<(), Error> {
    host.netlink()?.set_master(device, Some(BRIDGE))?;
    run(host, &["bridge", "link", "set", "dev", device, "learning", "off"])
}

/// Tells the bridge where a MAC address is.
fn learn(host: &Node, device: &str, mac: [u8; 6]) -> Result<(), Error> {
    let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
    run(host, &["bridge", "fdb", "replace", &mac, "dev", device, "master", "static"])
}

fn run(host: &Node, command: &[&str]) -> Result<(), Error> {
    host.output(command, LIMIT)?.ok()?;
    Ok(())
}
