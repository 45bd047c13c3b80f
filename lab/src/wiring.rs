//! How the parts of a lab are named and which addresses the underlay takes. Pure, so that a topology can be judged
//! before anything is made.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use model::Name;

use crate::outside::ETH1;
use crate::topology::{Topology, UnderlayKind};

/// Node with the bridge of a segment.
pub(crate) const SEGMENT: &str = "underlay";
/// Node that is the router of a routed underlay.
pub(crate) const ROUTER: &str = "router";
/// A host's uplink, and a VM's interface.
pub(crate) const ETH0: &str = "eth0";
/// The bridge of a segment.
pub(crate) const BRIDGE: &str = "br0";
/// The host's end of a VM's cable while it is unplugged: it lies in the VM's own namespace then.
pub(crate) const PARKED: &str = "unplugged0";

/// The controller among the handles of processes that this process started, which are else named after hosts. No host
/// has this name.
pub(crate) const CONTROLLER: &str = "the controller";

/// A host's gateway among those handles.
pub(crate) fn gateway_handle(host: &str) -> String {
    format!("the gateway of {host}")
}

/// Longest name of a device.
const MAX_DEVICE: usize = 15;

/// Where netvirt keeps what is gone after a boot.
const RUN: &str = "/run/netvirt";
/// Where agents pin their programs.
const BPFFS: &str = "/sys/fs/bpf/netvirt";

/// Folder of what is gone after a boot.
pub(crate) fn run_folder() -> &'static Path {
    Path::new(RUN)
}

/// Folder of all labs.
pub(crate) fn labs_folder() -> PathBuf {
    run_folder().join("lab")
}

/// Folder of one lab.
pub(crate) fn lab_folder(lab: &str) -> PathBuf {
    labs_folder().join(lab)
}

/// Where a host's agent listens.
pub(crate) fn socket_path(host: &str) -> PathBuf {
    Path::new(RUN).join(format!("{host}.sock"))
}

/// Where a host's agent pins.
pub(crate) fn bpffs_folder(host: &str) -> PathBuf {
    Path::new(BPFFS).join(host)
}

/// Name of a node's network namespace.
pub(crate) fn namespace_name(lab: &Name, node: &str) -> String {
    format!("{lab}-{node}")
}

/// The address that the router takes in a host's prefix: the lowest that hosts may have, or the highest if that is
/// the host's own.
pub(crate) fn router_address(host: &IpNet) -> Option<IpNet> {
    let mut candidates = host.hosts().filter(|ip| !is_anycast(host, *ip));
    let lowest = candidates.next()?;
    let chosen = if lowest == host.addr() { highest(host)? } else { lowest };
    (chosen != host.addr()).then(|| IpNet::new(chosen, host.prefix_len()).ok()).flatten()
}

/// The first address of an IPv6 prefix stands for any router (RFC 4291, section 2.6.1) and is no host's.
fn is_anycast(net: &IpNet, ip: IpAddr) -> bool {
    ip.is_ipv6() && net.prefix_len() < 127 && ip == net.network()
}

/// The highest address that hosts may have.
fn highest(net: &IpNet) -> Option<IpAddr> {
    match net {
        IpNet::V4(net) if net.prefix_len() >= 31 => Some(net.broadcast().into()),
        IpNet::V4(net) => u32::from(net.broadcast()).checked_sub(1).map(|bits| std::net::Ipv4Addr::from(bits).into()),
        IpNet::V6(net) => Some(net.broadcast().into()),
    }
}

impl Topology {
    /// The node that is the underlay itself, when there is one.
    pub(crate) const fn underlay_node(&self) -> Option<&'static str> {
        match self.underlay.kind {
            UnderlayKind::Segment => Some(SEGMENT),
            UnderlayKind::Routed => Some(ROUTER),
            UnderlayKind::Cable => None,
        }
    }

    /// All nodes: the underlay, the outside, and those that the topology names.
    pub(crate) fn nodes(&self) -> Vec<String> {
        let segments = self.underlay_node().into_iter().chain(self.outside_node()).map(str::to_owned);
        segments.chain(self.named_nodes()).collect()
    }

    /// The nodes that the topology names: controller, hosts, VMs, and what is joined to the outside.
    pub(crate) fn named_nodes(&self) -> Vec<String> {
        let hosts = self.hosts.iter().map(|host| host.name.to_string());
        let vms = self.vms.iter().map(|vm| vm.name.to_string());
        let controller = self.controller.iter().map(|controller| controller.name.to_string());
        controller.chain(hosts).chain(vms).chain(self.outside_nodes()).collect()
    }

    /// The nodes that are network namespaces: all but guests.
    pub(crate) fn namespaced_nodes(&self) -> Vec<String> {
        let is_guest = |node: &String| self.vms.iter().any(|vm| vm.is_guest() && vm.name.as_str() == node);
        self.nodes().into_iter().filter(|node| !is_guest(node)).collect()
    }

    /// Names of the host's ends of the VMs' cables, and of the guests' taps, in the order of the VMs: unique in the whole lab, so that a VM may
    /// move to any host.
    pub(crate) fn vm_devices(&self) -> Vec<String> {
        device_names(self.vms.iter().map(|vm| vm.name.as_str()), &["lo", ETH0, ETH1, PARKED])
    }

    /// Names of the underlay's ends of the hosts' cables, in the order of the hosts; then the controller's.
    pub(crate) fn underlay_devices(&self) -> Vec<String> {
        let controller = self.controller.iter().map(|controller| controller.name.as_str());
        device_names(self.hosts.iter().map(|host| host.name.as_str()).chain(controller), &["lo", BRIDGE])
    }
}

/// Names of devices that are as close to the given ones as 15 characters and uniqueness allow.
pub(crate) fn device_names<'a>(names: impl Iterator<Item = &'a str>, reserved: &[&str]) -> Vec<String> {
    let mut taken: BTreeSet<String> = reserved.iter().map(|&name| name.to_owned()).collect();
    let mut chosen = Vec::new();
    for name in names {
        let short = &name[..name.len().min(MAX_DEVICE)];
        let mut candidate = short.to_owned();
        let mut number = 1;
        while !taken.insert(candidate.clone()) {
            let tail = format!("-{number}");
            candidate = format!("{}{tail}", &short[..short.len().min(MAX_DEVICE - tail.len())]);
            number += 1;
        }
        chosen.push(candidate);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_get_short_names_that_differ() {
        let names = ["blue1", "a-very-long-name-1", "a-very-long-name-2", "eth0"];
        let chosen = device_names(names.into_iter(), &["lo", ETH0]);
        assert_eq!(chosen, ["blue1", "a-very-long-nam", "a-very-long-n-1", "eth0-1"]);
        assert!(chosen.iter().all(|name| name.len() <= MAX_DEVICE));
    }

    #[test]
    fn the_router_takes_the_lowest_address_or_the_last() {
        for (host, router) in [
            ("192.168.4.11/24", Some("192.168.4.1/24")),
            ("192.168.4.1/24", Some("192.168.4.254/24")),
            ("10.0.0.0/31", Some("10.0.0.1/31")),
            ("10.0.0.1/31", Some("10.0.0.0/31")),
            ("10.0.0.1/32", None),
            ("fd00:4::11/64", Some("fd00:4::1/64")),
            ("fd00:4::1/64", Some("fd00:4::ffff:ffff:ffff:ffff/64")),
            ("fd00::1/128", None),
        ] {
            let router = router.map(|text| text.parse::<IpNet>().unwrap());
            assert_eq!(router_address(&host.parse().unwrap()), router, "{host}");
        }
    }
}
