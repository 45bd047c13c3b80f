//! VM subnets: prefixes, VSIDs, VLANs and the routers of physical networks.

use std::net::IpAddr;

use ipnet::IpNet;
use model::fabric::{Allocation, Isolation, Key, Kind, VmNetwork, VmSubnet};

use super::checks::overlap;
use super::logical_network::{prefixes, vlans};
use super::{Run, VIRTUALIZED};
use crate::fabric::Refusal;
use crate::fabric::allocation::is_subnet_address;
use crate::fabric::claims::Slot;

impl Run<'_, '_> {
    pub(super) fn check_vm_subnet(&mut self, key: &Key, spec: &VmSubnet) {
        let network_key = key.sibling(Kind::VmNetwork, &spec.vm_network);
        let Some(network) = self.fabric.vm_network(key, &spec.vm_network).cloned() else { return };
        self.check_subnet_prefixes(key, spec, &network_key, network.isolation);
        self.check_groups(key, &spec.security_groups, &spec.vm_network);
        let misplaced = |field, needed| Refusal::Isolation {
            key: key.clone(),
            field,
            needed,
            network: network_key.clone(),
            isolation: network.isolation,
        };
        if spec.vsid.is_some() && !network.isolation.is_virtualized() {
            self.refuse(key, misplaced("vsid", VIRTUALIZED));
        }
        if spec.vlan.is_some() && network.isolation != Isolation::Vlan {
            self.refuse(key, misplaced("vlan", "vlan"));
        }
        if network.isolation.is_virtualized() && !spec.gateways.is_empty() {
            self.refuse(key, misplaced("gateways", "vlan and none"));
        } else {
            self.check_gateways(key, spec);
        }
        match network.isolation {
            Isolation::Nvgre | Isolation::Vxlan | Isolation::Geneve => self.take_vsid(key, spec),
            Isolation::Vlan => self.check_vlan(key, spec, &network_key, &network),
            Isolation::None => {}
        }
    }

    fn check_subnet_prefixes(&mut self, key: &Key, spec: &VmSubnet, network: &Key, isolation: Isolation) {
        self.length(key, "prefixes", spec.prefixes.len());
        if spec.prefixes.is_empty() && isolation.is_virtualized() {
            self.refuse(key, Refusal::Empty { key: key.clone(), what: "prefix", option: "--prefix 10.0.0.0/24" });
        }
        let mut seen: Vec<(Key, IpNet)> = Vec::new();
        for (object, other) in self.fabric.subnets_of(network).filter(|(object, _)| object.key() != *key) {
            seen.extend(other.prefixes.iter().map(|prefix| (object.key(), *prefix)));
        }
        for prefix in &spec.prefixes {
            if !self.prefix(key, *prefix) {
                continue;
            }
            if let Some((other, theirs)) = seen.iter().find(|(_, theirs)| overlap(prefix, theirs)).cloned() {
                self.refuse(key, Refusal::PrefixOverlap { key: key.clone(), prefix: *prefix, other, theirs });
            }
            seen.push((key.clone(), *prefix));
        }
    }

    /// The physical network's routers: at most one of each family, hosts of a prefix of it.
    fn check_gateways(&mut self, key: &Key, spec: &VmSubnet) {
        for v4 in [true, false] {
            if spec.gateways.iter().filter(|gateway| gateway.is_ipv4() == v4).count() > 1 {
                self.refuse(key, Refusal::GatewayTwice { key: key.clone(), v4 });
            }
        }
        for gateway in &spec.gateways {
            self.inside(key, "gateway", *gateway, &spec.prefixes);
            if spec.prefixes.iter().any(|prefix| is_subnet_address(prefix, *gateway)) {
                let (what, address) = ("gateway", *gateway);
                self.refuse(key, Refusal::AddressKept { key: key.clone(), what, address, subnet: key.clone() });
            }
        }
    }

    /// An address in one of the prefixes.
    pub(super) fn inside(&mut self, key: &Key, what: &'static str, address: IpAddr, prefixes: &[IpNet]) -> bool {
        let inside = prefixes.iter().any(|prefix| prefix.contains(&address));
        if !inside {
            let prefixes = prefixes.to_vec();
            self.refuse(key, Refusal::AddressOutside { key: key.clone(), what, address, prefixes });
        }
        inside
    }

    fn take_vsid(&mut self, key: &Key, spec: &VmSubnet) {
        let Some(vsid) = spec.vsid else { return };
        match self.fabric.claims.owner(&Slot::Vsid(vsid)).filter(|owner| *owner != key).cloned() {
            Some(owner) => {
                let what = format!("VSID {vsid}");
                self.refuse(key, Refusal::Claimed { key: key.clone(), what, owner });
            }
            None => self.allocate(key, |given| given.vsid = Some(vsid)),
        }
    }

    fn check_vlan(&mut self, key: &Key, spec: &VmSubnet, network_key: &Key, network: &VmNetwork) {
        let Some(on) = self.fabric.logical_network(&network.logical_network).cloned() else { return };
        let logical = Key::global(Kind::LogicalNetwork, &network.logical_network);
        let vlans = vlans(&on, None);
        let Some(vlan) = spec.vlan else {
            self.refuse(key, Refusal::NoVlan { key: key.clone(), network: network_key.clone(), vlans });
            return;
        };
        if !vlans.contains(&vlan) {
            self.refuse(key, Refusal::UnknownVlan { key: key.clone(), vlan, network: logical, host: None, vlans });
            return;
        }
        // What settled before it may have had it; it is claimed anew.
        self.allocate(key, |_| {});
        let owner = self.fabric.claims.owner(&Slot::Vlan(network.logical_network.clone(), vlan)).cloned();
        if let Some(owner) = owner.filter(|owner| owner != key) {
            let what = format!("VLAN {vlan} of logical network {}", network.logical_network);
            self.refuse(key, Refusal::Claimed { key: key.clone(), what, owner });
        }
        let prefixes = prefixes(&on, vlan);
        for prefix in spec.prefixes.iter().filter(|prefix| !prefixes.iter().any(|site| site.contains(*prefix))) {
            // IPv6 beside a site that lists IPv4 alone is nothing that the site says anything about.
            if prefixes.iter().any(|site| site.addr().is_ipv4() == prefix.addr().is_ipv4()) {
                let (network, prefixes, prefix) = (logical.clone(), prefixes.clone(), *prefix);
                self.refuse(key, Refusal::VlanPrefix { key: key.clone(), prefix, vlan, network, prefixes });
            }
        }
    }

    pub(super) fn give_vm_subnet(&mut self, key: &Key, spec: &VmSubnet, given: &Allocation) {
        let isolation = self.fabric.vm_network(key, &spec.vm_network).map(|network| network.isolation);
        match (isolation, given.vsid) {
            (Some(isolation), None) if isolation.is_virtualized() => match self.fabric.free_vsid() {
                Some(vsid) => self.allocate(key, |given| given.vsid = Some(vsid)),
                None => self.refuse(key, Refusal::Exhausted { key: key.clone(), what: "VSIDs (4096 to 16777214)" }),
            },
            (_, None) => {}
            (Some(isolation), Some(_)) if isolation.is_virtualized() => {}
            // It moved to a VM network that has none.
            (_, Some(_)) => self.allocate(key, |given| given.vsid = None),
        }
    }
}
