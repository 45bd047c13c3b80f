//! Ports: where they are plugged, which subnet they are in, and the addresses that they get.

use std::net::IpAddr;

use model::PhysicalNetwork;
use model::fabric::{Addressing, Allocation, Isolation, Key, Kind, Object, Port, ResourceName, VmNetwork, VmSubnet};

use super::checks::{overlap, twice};
use super::logical_network::vlans;
use super::migration::came_from;
use super::{MAX_ADDRESSES, MAX_HOST_PORTS, Run};
use crate::fabric::allocation::{gateway_mac, plausible_range};
use crate::fabric::claims::Slot;
use crate::fabric::slots::{device_of, host_port_name};
use crate::fabric::{Fabric, Finding, Refusal, TenantRefusal, Users};

impl Fabric {
    /// The VM subnet that a port shall be in: the one that it names, the one that it is in, or the only one.
    fn subnet_for(
        &self,
        key: &Key,
        spec: &Port,
        network: &Key,
        given: Option<&ResourceName>,
    ) -> Result<Key, Box<Refusal>> {
        if let Some(name) = &spec.vm_subnet {
            let subnet = key.sibling(Kind::VmSubnet, name);
            let of = self.vm_subnet(&subnet).map(|subnet| key.sibling(Kind::VmNetwork, &subnet.vm_network));
            return match of {
                Some(to) if to != *network => {
                    Err(Box::new(Refusal::Elsewhere { key: key.clone(), what: subnet, to, not: network.clone() }))
                }
                Some(_) => Ok(subnet),
                None => Err(Box::new(Refusal::Missing { key: key.clone(), missing: subnet })),
            };
        }
        let given = given.map(|name| key.sibling(Kind::VmSubnet, name));
        let still = |subnet: &Key| self.vm_subnet(subnet).is_some_and(|spec| spec.vm_network == network.name);
        if let Some(given) = given.filter(still) {
            return Ok(given);
        }
        let mut subnets = self.subnets_of(network).map(|(object, _)| object.key());
        match (subnets.next(), subnets.next()) {
            (None, _) => Err(Box::new(Refusal::NoVmSubnet { network: network.clone() })),
            (Some(only), None) => Ok(only),
            (Some(first), Some(second)) => {
                let subnets = [first, second].into_iter().chain(subnets).take(Users::SHOWN).map(|key| key.name);
                let (port, network) = (key.clone(), network.clone());
                Err(Box::new(Refusal::WhichVmSubnet { port, network, subnets: subnets.collect() }))
            }
        }
    }

    /// Whether a pool that the port may draw from may give the address.
    pub(super) fn may_keep(&self, subnet: &Key, spec: &Port, address: IpAddr) -> bool {
        let mut pools =
            self.pools_of(subnet).filter(|(key, _)| spec.ip_pool.as_ref().is_none_or(|name| *name == key.name));
        pools.any(|(_, pool)| self.may_give(subnet, pool, address))
    }

    /// Why a port cannot be on its host, or cannot move to another one, if it cannot.
    pub(super) fn misplaced(&self, key: &Key, spec: &Port) -> Option<Refusal> {
        let there = spec.host.as_ref().and_then(|host| self.misplaced_at(key, spec, host));
        there.or_else(|| self.immovable(key, spec))
    }

    /// Why a port cannot be on this host, if it cannot.
    pub(super) fn misplaced_at(&self, key: &Key, spec: &Port, host: &ResourceName) -> Option<Refusal> {
        let (host, at) = self.host(host)?;
        let host = host.key();
        let device = device_of(&key.name, spec)?;
        if at.uplinks.iter().any(|uplink| uplink.interface == device) {
            return Some(Refusal::DeviceIsUplink { key: key.clone(), device, host });
        }
        let VmNetwork { logical_network, isolation, .. } = self.vm_network(key, spec.vm_network.as_ref()?)?;
        let network = Key::global(Kind::LogicalNetwork, logical_network);
        if self.uplink_in(&host.name, logical_network).is_none() {
            return Some(Refusal::NotCarried { key: key.clone(), host, network });
        }
        if isolation.is_virtualized() {
            let none = self.provider_of(&host.name, logical_network).is_none();
            return none.then(|| Refusal::NoProviderAddress { key: key.clone(), host, network });
        }
        let subnet = self.get(key)?.allocation.vm_subnet.as_ref().or(spec.vm_subnet.as_ref())?;
        let subnet = key.sibling(Kind::VmSubnet, subnet);
        if *isolation == Isolation::Vlan {
            let vlan = self.vm_subnet(&subnet)?.vlan?;
            let vlans = vlans(self.logical_network(logical_network)?, Some(&host.name));
            if !vlans.contains(&vlan) {
                let host = Some(host.name);
                return Some(Refusal::UnknownVlan { key: key.clone(), vlan, network, host, vlans });
            }
        }
        let (physical, other) = self.shares_physical(&host.name, &subnet)?;
        Some(Refusal::SharedPhysical { key: key.clone(), host, physical: physical.to_string(), other })
    }

    /// Another VM subnet with ports on the host that is the same physical network there, and has addresses in common.
    /// Inside of one logical network there is none; but an uplink can be in two.
    fn shares_physical(&self, host: &ResourceName, subnet: &Key) -> Option<(PhysicalNetwork, Key)> {
        let physical = self.physical_of(host, subnet)?;
        let prefixes = &self.vm_subnet(subnet)?.prefixes;
        let same = |other: &Key| {
            other != subnet
                && self.physical_of(host, other).as_ref() == Some(&physical)
                && self.vm_subnet(other).is_some_and(|other| {
                    prefixes.iter().any(|prefix| other.prefixes.iter().any(|theirs| overlap(prefix, theirs)))
                })
        };
        let other = self.index.placed_on(host).map(|(other, _)| other).find(|other| same(other))?.clone();
        Some((physical, other))
    }
}

impl Run<'_, '_> {
    /// What stays of what a port was given.
    pub(super) fn kept_of_port(&self, key: &Key, given: &Allocation, before: &Port, spec: &Port) -> Allocation {
        let mac = given.mac.filter(|mac| spec.mac.is_none_or(|wanted| wanted == *mac));
        let mut kept = Allocation { mac, came_from: came_from(given, before, spec), ..Allocation::default() };
        let Some(network) = spec.vm_network.as_ref().filter(|network| before.vm_network.as_ref() == Some(network))
        else {
            return kept;
        };
        let network = key.sibling(Kind::VmNetwork, network);
        let Ok(subnet) = self.fabric.subnet_for(key, spec, &network, given.vm_subnet.as_ref()) else { return kept };
        if given.vm_subnet.as_ref() != Some(&subnet.name) {
            return kept;
        }
        kept.vm_subnet = Some(subnet.name.clone());
        match spec.addressing {
            Addressing::Learnt => {
                let legal =
                    given.learnt.iter().filter(|address| mac.is_some() && self.fabric.is_learnable(&subnet, **address));
                kept.learnt = legal.copied().collect();
            }
            Addressing::Pool => {
                for address in &given.addresses {
                    let fixed = spec.addresses.contains(address);
                    let open =
                        !spec.addresses.iter().chain(&kept.addresses).any(|other| other.is_ipv4() == address.is_ipv4());
                    if fixed || (open && self.fabric.may_keep(&subnet, spec, *address)) {
                        kept.addresses.push(*address);
                    }
                }
            }
        }
        kept
    }

    /// Ports to which pools that are new may give an address, and ports that learnt what is not legal any more.
    pub(super) fn ports_to_look_at(&self) -> Vec<Key> {
        let mut ports = Vec::new();
        for key in self.before.keys().filter(|key| !self.failed.contains(*key)) {
            let subnet = match key.kind {
                Kind::IpPool => self.fabric.ip_pool(key).map(|pool| key.sibling(Kind::VmSubnet, &pool.vm_subnet)),
                Kind::VmSubnet => Some(key.clone()),
                _ => None,
            };
            let Some(subnet) = subnet.filter(|subnet| self.fabric.get(subnet).is_some()) else { continue };
            let families = [true, false].map(|v4| self.fabric.pools_of(&subnet).any(|(_, pool)| has_family(pool, v4)));
            let users = self.fabric.users_by_name(&subnet, Kind::Port).filter(|port| {
                let Some((object, spec)) = self.fabric.port(port) else { return false };
                let given = &object.allocation;
                let lacks = |v4: bool| !given.addresses.iter().any(|address| address.is_ipv4() == v4);
                match spec.addressing {
                    Addressing::Pool => (families[0] && lacks(true)) || (families[1] && lacks(false)),
                    Addressing::Learnt => {
                        !given.learnt.iter().all(|address| self.fabric.is_learnable(&subnet, *address))
                    }
                }
            });
            ports.extend(users.map(|port| port.as_ref().clone()));
        }
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    pub(super) fn check_port(&mut self, key: &Key, spec: &Port) {
        self.check_names(key, spec);
        if let Some(mac) = spec.mac.filter(|mac| gateway_mac() == Some(*mac)) {
            self.refuse(key, Refusal::GatewayMac { key: key.clone(), mac });
        }
        let named = [
            ("vmSubnet", spec.vm_subnet.is_some()),
            ("addresses", !spec.addresses.is_empty()),
            ("ipPool", spec.ip_pool.is_some()),
        ];
        for (field, _) in named.into_iter().filter(|(_, named)| *named) {
            if spec.vm_network.is_none() {
                self.refuse(key, Refusal::Unconnected { port: key.clone(), field });
            } else if spec.addressing == Addressing::Learnt && field != "vmSubnet" {
                self.refuse(key, Refusal::Learnt { port: key.clone(), field });
            }
        }
        match &spec.vm_network {
            Some(network) => self.check_groups(key, &spec.security_groups, network),
            None if spec.security_groups.is_empty() => {}
            None => self.refuse(key, Refusal::Unconnected { port: key.clone(), field: "securityGroups" }),
        }
        if let Some(network) = &spec.vm_network {
            let network = key.sibling(Kind::VmNetwork, network);
            let given = self.fabric.get(key).and_then(|object| object.allocation.vm_subnet.clone());
            match self.fabric.subnet_for(key, spec, &network, given.as_ref()) {
                Ok(subnet) => self.check_connection(key, spec, &subnet),
                Err(refusal) => self.refuse(key, *refusal),
            }
        }
        if self.failed.contains(key) {
            return;
        }
        // Here the port claims its device anew, which another may have held while it settled.
        self.allocate(key, |given| {
            if spec.mac.is_some() {
                given.mac = spec.mac;
            }
        });
        self.check_owned(key, spec);
        self.check_move(key, spec);
        if self.failed.contains(key) {
            return;
        }
        if let Some(refusal) = self.fabric.misplaced(key, spec) {
            self.refuse(key, refusal);
        }
    }

    fn check_names(&mut self, key: &Key, spec: &Port) {
        if host_port_name(key).is_none() {
            let tenant = key.tenant.as_ref().filter(|tenant| tenant.as_str() != model::fabric::DEFAULT_TENANT);
            let name = tenant.map(|tenant| format!("{tenant}.{}", key.name)).unwrap_or_else(|| key.name.to_string());
            self.refuse(key, Refusal::HostName { key: key.clone(), name });
        }
        let device = device_of(&key.name, spec).filter(|device| device.as_str() != "lo");
        if device.is_none() && (spec.device.is_some() || spec.host.is_some()) {
            let name = spec.device.as_ref().map_or_else(|| key.name.to_string(), ToString::to_string);
            self.refuse(key, Refusal::InterfaceName { key: key.clone(), name });
        }
    }

    /// The subnet, the pool and the addresses that it names fit together; it takes them.
    fn check_connection(&mut self, key: &Key, spec: &Port, subnet: &Key) {
        if let Some(pool) = spec.ip_pool.as_ref().map(|name| key.sibling(Kind::IpPool, name)) {
            let to = self.fabric.ip_pool(&pool).map(|pool| key.sibling(Kind::VmSubnet, &pool.vm_subnet));
            if let Some(to) = to.filter(|to| to != subnet) {
                self.refuse(key, Refusal::Elsewhere { key: key.clone(), what: pool, to, not: subnet.clone() });
            }
        }
        let Some((object, at)) = self.fabric.get(subnet).zip(self.fabric.vm_subnet(subnet)) else { return };
        let (uid, at) = (object.uid, at.clone());
        if spec.addresses.len() > MAX_ADDRESSES {
            let (what, count) = ("addresses", spec.addresses.len());
            self.refuse(key, Refusal::TooMany { key: key.clone(), what, count, limit: MAX_ADDRESSES });
        }
        if let Some(address) = twice(spec.addresses.iter()) {
            self.refuse(key, Refusal::Twice { key: key.clone(), what: format!("address {address}") });
        }
        for address in &spec.addresses {
            self.check_address(key, *address, subnet, &at);
            let owner = self.fabric.claims.owner(&Slot::Address(uid, *address)).filter(|owner| *owner != key).cloned();
            if let Some(owner) = owner {
                let what = format!("address {address}");
                self.refuse(key, Refusal::Claimed { key: key.clone(), what, owner });
            }
        }
        if self.failed.contains(key) {
            return;
        }
        self.allocate(key, |given| {
            given.vm_subnet = Some(subnet.name.clone());
            let drawn = given.addresses.iter().filter(|address| !spec.addresses.contains(address));
            given.addresses = spec.addresses.iter().chain(drawn).copied().collect();
        });
    }

    fn check_address(&mut self, key: &Key, address: IpAddr, subnet: &Key, spec: &VmSubnet) {
        if self.unicast(key, address)
            && self.inside(key, "address", address, &spec.prefixes)
            && self.fabric.is_kept(subnet, spec, address)
        {
            let (what, subnet) = ("address", subnet.clone());
            self.refuse(key, Refusal::AddressKept { key: key.clone(), what, address, subnet });
        }
    }

    /// MAC address, device and name on the host are its own.
    fn check_owned(&mut self, key: &Key, spec: &Port) {
        let mut wanted: Vec<(String, Slot)> = Vec::new();
        wanted.extend(spec.mac.map(|mac| (format!("MAC address {mac}"), Slot::Mac(mac))));
        for host in spec.host.iter().chain(&spec.migrate_to) {
            let device = device_of(&key.name, spec);
            wanted.extend(
                device.map(|device| (format!("device {device} of host {host}"), Slot::Device(host.clone(), device))),
            );
            let name = host_port_name(key);
            wanted.extend(
                name.map(|name| (format!("the name {name} on host {host}"), Slot::HostPort(host.clone(), name))),
            );
        }
        for (what, slot) in wanted {
            if let Some(owner) = self.fabric.claims.owner(&slot).filter(|owner| *owner != key).cloned() {
                // One tenant learns nothing of another, not the names of its ports either. Devices are named by operators.
                let hidden = matches!(slot, Slot::Mac(_)) && owner.tenant != key.tenant;
                let refusal = if hidden {
                    TenantRefusal::Taken { key: key.clone(), what }.into()
                } else {
                    Refusal::Claimed { key: key.clone(), what, owner }
                };
                self.refuse(key, refusal);
            }
        }
        for host in spec.host.iter().chain(&spec.migrate_to) {
            let count = self.fabric.index.placed_on(host).map(|(_, count)| count).sum();
            if count > MAX_HOST_PORTS {
                let host = Key::global(Kind::Host, host);
                self.refuse(key, Refusal::TooMany { key: host, what: "connected ports", count, limit: MAX_HOST_PORTS });
            }
        }
    }

    /// A MAC address, and a customer address of each family of which the subnet has a pool.
    pub(super) fn give_port(&mut self, key: &Key, spec: &Port, given: &Allocation) {
        if given.mac.is_none() {
            match self.fabric.free_mac() {
                Some(mac) => self.allocate(key, |given| given.mac = Some(mac)),
                None => {
                    let total = self.fabric.all_macs();
                    self.refuse(key, Refusal::MacsExhausted { key: key.clone(), total });
                }
            }
        }
        let Some(subnet) = given.vm_subnet.as_ref().map(|subnet| key.sibling(Kind::VmSubnet, subnet)) else { return };
        if spec.addressing == Addressing::Pool {
            for v4 in [true, false] {
                if !given.addresses.iter().any(|address| address.is_ipv4() == v4) {
                    self.draw(key, spec, &subnet, v4);
                }
            }
            self.check_has_address(key, spec, &subnet);
        }
    }

    /// The lowest free address of one family of the pools that it may draw from.
    fn draw(&mut self, key: &Key, spec: &Port, subnet: &Key, v4: bool) {
        let permitted = |name: &ResourceName| spec.ip_pool.as_ref().is_none_or(|pool| pool == name);
        let pools: Vec<Key> = self
            .fabric
            .pools_of(subnet)
            .filter(|(pool, spec)| permitted(&pool.name) && has_family(spec, v4))
            .map(|(pool, _)| pool.as_ref().clone())
            .collect();
        let free =
            pools.iter().filter_map(|pool| self.fabric.free_address(subnet, self.fabric.ip_pool(pool)?, v4)).min();
        match (free, pools.into_iter().last()) {
            (Some(address), _) => self.allocate(key, |given| given.addresses.push(address)),
            (None, None) => {}
            (None, Some(pool)) => self.exhausted(key, subnet, pool, v4),
        }
    }

    fn exhausted(&mut self, key: &Key, subnet: &Key, pool: Key, v4: bool) {
        let counts = self.fabric.ip_pool(&pool).and_then(|spec| self.fabric.pool_counts(&pool, spec, Some(v4)));
        let total = counts.map_or(0, |(_, total)| u64::try_from(total).unwrap_or(u64::MAX));
        let subnet = subnet.name.clone();
        // A port that nobody asked to change does without, as it did before the pool came.
        let unasked =
            self.before.get(key).and_then(|(before, _)| before.as_ref()).is_some_and(|before: &Object| {
                self.fabric.get(key).is_some_and(|after| before.resource == after.resource)
            });
        if !unasked {
            self.refuse(key, Refusal::PoolExhausted { pool, subnet, v4, total });
        } else if !self
            .findings
            .iter()
            .any(|finding| matches!(finding, Finding::NoAddressLeft { pool: known, .. } if *known == pool))
        {
            self.findings.push(Finding::NoAddressLeft { port: key.clone(), pool, subnet });
        }
    }

    /// A virtualized port without any address could never be reached. On a physical network somebody else may give it
    /// one.
    fn check_has_address(&mut self, key: &Key, spec: &Port, subnet: &Key) {
        let Some(network) = spec.vm_network.as_ref().map(|network| key.sibling(Kind::VmNetwork, network)) else {
            return;
        };
        let virtualized =
            self.fabric.vm_network(key, &network.name).is_some_and(|spec| spec.isolation.is_virtualized());
        let has = self.fabric.get(key).is_some_and(|object| !object.allocation.addresses.is_empty());
        if !virtualized || has || self.failed.contains(key) {
            return;
        }
        let prefix = self.fabric.vm_subnet(subnet).and_then(|subnet| subnet.prefixes.first());
        if let Some(range) = prefix.and_then(plausible_range) {
            self.refuse(key, Refusal::NoIpPool { subnet: subnet.clone(), network, range });
        }
    }
}

fn has_family(pool: &model::fabric::IpPool, v4: bool) -> bool {
    pool.ranges.iter().any(|range| range.first().is_ipv4() == v4)
}
