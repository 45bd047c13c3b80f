//! What makes a topology one that cannot be built. All that is wrong is said at once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use model::{Intent, Kind};

use crate::LabError;
use crate::topology::{Topology, UnderlayKind, Vm};
use crate::wiring::{ROUTER, SEGMENT, namespace_name, router_address};

/// Longest name of a network namespace.
const MAX_NAMESPACE: usize = 63;

/// IPv6 needs 1280 bytes (RFC 8200); a veth takes 65535 at most.
pub(crate) const MTU: std::ops::RangeInclusive<u32> = 1280..=65535;

/// MiB of a guest: with less its kernel does not come up, and more is more than a machine for tests has.
const MEMORY: std::ops::RangeInclusive<u32> = 96..=65536;
/// Processors of a guest; more than a machine for tests has to emulate.
const CPUS: std::ops::RangeInclusive<u32> = 1..=16;
/// Queues of a guest's interface.
const QUEUES: std::ops::RangeInclusive<u32> = 1..=16;

impl Topology {
    /// Refuses contradictions.
    ///
    /// # Errors
    /// [`LabError::Invalid`] with a sentence for each.
    pub fn validate(&self) -> Result<(), LabError> {
        let mut problems = Vec::new();
        self.check_names(&mut problems);
        self.check_underlay(&mut problems);
        self.check_host_addresses(&mut problems);
        self.check_controller(&mut problems);
        self.check_vms(&mut problems);
        self.check_outside(&mut problems);
        self.check_resources(&mut problems);
        self.check_intents(&mut problems);
        if problems.is_empty() { Ok(()) } else { Err(LabError::Invalid { lab: self.name.to_string(), problems }) }
    }

    fn check_names(&self, problems: &mut Vec<String>) {
        let mut seen = BTreeSet::new();
        for name in self.named_nodes() {
            if !seen.insert(name.clone()) {
                problems.push(format!("two nodes are named {name}; give each host and VM a name of its own"));
            }
            if [SEGMENT, ROUTER].contains(&name.as_str()) {
                problems.push(format!("a node is named {name}, which is the underlay's own; choose another name"));
            }
            if self.outside_node() == Some(name.as_str()) {
                problems.push(format!("a node is named {name}, as the segment itself is; choose another name"));
            }
            let namespace = namespace_name(&self.name, &name);
            if namespace.len() > MAX_NAMESPACE {
                problems.push(format!(
                    "{namespace} is too long for a network namespace ({} characters of {MAX_NAMESPACE}); shorten the \
                     name of the lab or the node",
                    namespace.len()
                ));
            }
        }
    }

    fn check_underlay(&self, problems: &mut Vec<String>) {
        let count = self.hosts.len();
        if count == 0 {
            problems.push("there is no host; name at least one under \"hosts\"".to_owned());
        }
        if self.underlay.kind == UnderlayKind::Cable && count != 2 {
            problems.push(format!("a cable joins exactly two hosts, and there are {count}; use kind: segment"));
        }
        if !MTU.contains(&self.underlay.mtu) {
            let (least, most) = MTU.into_inner();
            problems.push(format!("the underlay's MTU is {}; choose one of {least} to {most}", self.underlay.mtu));
        }
    }

    fn check_host_addresses(&self, problems: &mut Vec<String>) {
        let mut owners = BTreeMap::new();
        for host in &self.hosts {
            // One with an agent of its own may be given its provider addresses later.
            if host.addresses.is_empty() && (host.joined || !host.agent) {
                problems.push(format!("host {} has no address; list at least one under \"addresses\"", host.name));
            }
            for address in &host.addresses {
                if let Some(other) = owners.insert(address.addr(), &host.name) {
                    problems.push(format!("{} is an address of both {other} and {}", address.addr(), host.name));
                }
                self.check_routed_prefix(host.name.as_str(), address, problems);
            }
        }
    }

    /// With a router each prefix belongs to one host and has room for the router.
    fn check_routed_prefix(&self, host: &str, address: &IpNet, problems: &mut Vec<String>) {
        if self.underlay.kind != UnderlayKind::Routed {
            return;
        }
        if router_address(address).is_none() {
            problems.push(format!("the prefix of {address} (host {host}) has no address left for the router"));
        }
        for other in self.hosts.iter().filter(|other| other.name.as_str() < host) {
            if other.addresses.iter().any(|its| overlaps(its, address)) {
                problems.push(format!(
                    "{address} of host {host} is in the same subnet as host {}; with kind: routed each host has a \
                     subnet of its own",
                    other.name
                ));
            }
        }
    }

    fn check_controller(&self, problems: &mut Vec<String>) {
        let Some(controller) = &self.controller else {
            for host in self.hosts.iter().filter(|host| host.joined) {
                problems.push(format!("host {} is joined, but there is no \"controller\" to join; add one", host.name));
            }
            return;
        };
        if self.underlay.kind != UnderlayKind::Segment {
            problems.push(format!("{} needs a place on the underlay; use kind: segment", controller.name));
        }
        if controller.addresses.is_empty() {
            problems.push(format!("{} has no address; list at least one under \"addresses\"", controller.name));
        }
        for address in &controller.addresses {
            let mut hosts = self.hosts.iter();
            if let Some(host) = hosts.find(|host| host.addresses.iter().any(|its| its.addr() == address.addr())) {
                let (address, name) = (address.addr(), &controller.name);
                problems.push(format!("{address} is an address of both {name} and {}", host.name));
            }
        }
        for host in self.hosts.iter().filter(|host| host.joined && !host.agent) {
            problems.push(format!("host {} is joined and has \"agent: false\"; leave one of the two out", host.name));
        }
    }

    fn check_vms(&self, problems: &mut Vec<String>) {
        let (mut macs, mut addresses) = (BTreeMap::new(), BTreeMap::new());
        for vm in &self.vms {
            if !self.hosts.iter().any(|host| host.name == vm.host) {
                problems.push(format!("VM {} is on host {}, which is not under \"hosts\"", vm.name, vm.host));
            }
            let joined = self.hosts.iter().any(|host| host.name == vm.host && host.joined);
            if let Some(vsid) = vm.vsid.filter(|_| joined) {
                problems.push(format!(
                    "VM {} has VSID {vsid}, but its host {} is told by the controller alone what its VMs are in; \
                     leave the VSID out",
                    vm.name, vm.host
                ));
            }
            if let Some(mtu) = vm.mtu.filter(|mtu| !MTU.contains(mtu)) {
                let (least, most) = MTU.into_inner();
                problems.push(format!("the MTU of VM {} is {mtu}; choose one of {least} to {most}", vm.name));
            }
            check_kind(vm, problems);
            if let Some(other) = macs.insert((vm.vsid, vm.mac), &vm.name) {
                problems
                    .push(format!("{} is the MAC address of both {other} and {} in one VM subnet", vm.mac, vm.name));
            }
            for address in &vm.addresses {
                // Who is in no subnet yet may be put into any.
                if vm.vsid.is_some()
                    && let Some(other) = addresses.insert((vm.vsid, address.addr()), &vm.name)
                {
                    let address = address.addr();
                    problems.push(format!("{address} is an address of both {other} and {} in one VM subnet", vm.name));
                }
            }
            for route in &vm.routes {
                if route.to.addr().is_ipv4() != route.via.is_ipv4() {
                    problems.push(format!(
                        "VM {}: the route to {} goes via {}, which is of the other IP version",
                        vm.name, route.to, route.via
                    ));
                } else if !is_link_local(route.via) && !vm.addresses.iter().any(|its| its.contains(&route.via)) {
                    problems.push(format!(
                        "VM {}: the route to {} goes via {}, which is in the prefix of none of its addresses",
                        vm.name, route.to, route.via
                    ));
                }
            }
        }
    }

    fn check_resources(&self, problems: &mut Vec<String>) {
        for resource in &self.resources {
            let made_from = match resource.kind() {
                Kind::ProviderAddress => "the addresses under \"hosts\"",
                Kind::Port => "\"vms\"",
                _ => continue,
            };
            problems.push(format!(
                "{} is under \"resources\", which every host gets, and is one host's alone; the lab makes such from \
                 {made_from}",
                resource.key()
            ));
        }
    }

    /// What each host would be given must make an intent. What all hosts would refuse is said once.
    fn check_intents(&self, problems: &mut Vec<String>) {
        for host in self.hosts.iter().filter(|host| host.agent) {
            let Err(errors) = Intent::new(crate::agent::resources_of(self, host)) else {
                continue;
            };
            for sentence in errors.iter().map(ToString::to_string) {
                if !problems.contains(&sentence) {
                    problems.push(sentence);
                }
            }
        }
    }
}

/// What a guest has must be something that QEMU and its kernel can make use of, and only guests have it.
fn check_kind(vm: &Vm, problems: &mut Vec<String>) {
    for (field, value, range, unit) in [
        ("memory", vm.memory, MEMORY, "MiB"),
        ("cpus", vm.cpus, CPUS, "processors"),
        ("queues", vm.queues, QUEUES, "queues"),
    ] {
        let Some(value) = value else { continue };
        if !vm.is_guest() {
            problems.push(format!(
                "VM {} is a network namespace and has \"{field}\", which only a guest has; leave it out, or write \"kind: \
                 vm\"",
                vm.name
            ));
        } else if !range.contains(&value) {
            let (least, most) = range.into_inner();
            problems.push(format!("{field} of VM {} is {value}; choose {least} to {most} {unit}", vm.name));
        }
    }
    if vm.is_guest() && QUEUES.contains(&vm.queues()) && vm.queues() > vm.cpus() {
        problems.push(format!(
            "VM {} has {} queues and {} processors, and a guest uses as many queues as it has processors; lower \"queues\" \
             or raise \"cpus\"",
            vm.name,
            vm.queues(),
            vm.cpus()
        ));
    }
}

/// Whether an address is in both prefixes.
pub(crate) fn overlaps(one: &IpNet, other: &IpNet) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(ip) if ip.is_unicast_link_local())
}
