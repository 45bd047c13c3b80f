//! The DHCP scopes of VM subnets.
//!
//! A subnet has one scope for each prefix of which an IP pool has addresses. Where several pools share a prefix, DHCP
//! still has one answer for it: DNS servers, suffixes and routes are those of all pools, in the order of the pools'
//! names and each once; the lease time is the shortest, so that no client keeps an address longer than its pool says.

use ipnet::IpNet;
use model::fabric::{IpPool, Key, ResourceName, VmSubnet};
use model::{DhcpScope, Resource};

use crate::fabric::{Fabric, TopicId};

/// Adds what is not there yet.
fn union<T: PartialEq + Clone>(all: &mut Vec<T>, more: impl IntoIterator<Item = T>) {
    for item in more {
        if !all.contains(&item) {
            all.push(item);
        }
    }
}

/// The scope of one prefix, out of the pools that have addresses of it; `None` if none has.
fn scope(prefix: IpNet, pools: &[&IpPool]) -> Option<DhcpScope> {
    let has = |pool: &&&IpPool| pool.ranges.iter().any(|range| prefix.contains(&range.first()));
    let v4 = prefix.addr().is_ipv4();
    let mut scope: Option<DhcpScope> = None;
    for pool in pools.iter().filter(has) {
        let merged = scope.get_or_insert_with(|| DhcpScope {
            vsid: None,
            physical: None,
            prefix,
            gateway: None,
            dns_servers: Vec::new(),
            dns_suffixes: Vec::new(),
            routes: Vec::new(),
            lease_time: pool.lease_time,
        });
        union(&mut merged.dns_servers, pool.dns_servers.iter().filter(|server| server.is_ipv4() == v4).copied());
        union(&mut merged.dns_suffixes, pool.dns_suffixes.iter().cloned());
        let routes = pool.routes.iter().filter(|route| prefix.contains(&route.next_hop));
        union(&mut merged.routes, routes.copied());
        merged.lease_time = merged.lease_time.min(pool.lease_time);
    }
    scope
}

impl Fabric {
    /// The scopes of a subnet, still without saying where.
    pub(super) fn scopes(&self, key: &Key, subnet: &VmSubnet) -> Vec<DhcpScope> {
        let pools: Vec<&IpPool> = self.pools_of(key).map(|(_, pool)| pool).collect();
        subnet.prefixes.iter().filter_map(|prefix| scope(*prefix, &pools)).collect()
    }

    /// The scopes of the physical networks to which a host's ports are joined.
    pub(super) fn physical_scopes(&self, host: &ResourceName) -> Vec<(TopicId, Resource)> {
        let mut items = Vec::new();
        for (key, _) in self.index.placed_on(host) {
            let (Some(subnet), Some(physical)) = (self.vm_subnet(key), self.physical_of(host, key)) else { continue };
            for mut scope in self.scopes(key, subnet) {
                scope.physical = Some(physical.clone());
                scope.gateway = subnet.gateways.iter().copied().find(|gateway| scope.prefix.contains(gateway));
                items.push((TopicId::Host(host.clone()), Resource::DhcpScope(scope)));
            }
        }
        items
    }
}
