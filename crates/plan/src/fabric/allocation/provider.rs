//! Provider addresses: where a host is in a logical network.
//!
//! A host has one in each logical network that allows network virtualization and that one of its uplinks is in. It is
//! drawn from the first provider pool whose prefix holds an address of that uplink; where there is none, it is the
//! uplink's own first address, IPv4 before IPv6. An address that the host has stays while it is one of these, so that
//! a pool that comes later moves no host.

use std::net::IpAddr;

use ipnet::IpNet;
use model::Name;
use model::fabric::{Host, LogicalNetwork, Object, ProviderPool, ResourceName, Spec, Uplink};
use rangemap::RangeInclusiveSet;

use super::customer::{is_subnet_address, is_unicast};
use crate::fabric::Fabric;
use crate::fabric::claims::{Space, address_of, bits, range_bits};

/// Why a host gets no provider address.
pub(in crate::fabric) enum NoProvider {
    /// The pool has given all of its addresses.
    Exhausted { pool: ResourceName, total: u64 },
    /// The uplink has no address that could be one.
    NoAddress,
}

/// The first uplink in a logical network.
fn uplink<'a>(host: &'a Host, network: &ResourceName) -> Option<&'a Uplink> {
    host.uplinks.iter().find(|uplink| uplink.logical_networks.contains(network))
}

/// The pools from which an uplink draws.
fn pools<'a>(network: &'a LogicalNetwork, uplink: &'a Uplink) -> impl Iterator<Item = &'a ProviderPool> {
    let holds = |pool: &&ProviderPool| uplink.addresses.iter().any(|own| pool.prefix.contains(&own.addr()));
    network.provider_pools.iter().filter(holds)
}

/// The numbers of a pool that are never given.
fn excluded(pool: &ProviderPool) -> RangeInclusiveSet<u128> {
    let ends = [pool.prefix.network(), pool.prefix.broadcast()];
    let ends = ends.into_iter().filter(|address| is_subnet_address(&pool.prefix, *address)).map(bits);
    ends.map(|number| number..=number).collect()
}

impl Fabric {
    /// The uplink by which a host is in a logical network.
    pub(in crate::fabric) fn uplink_in(&self, host: &ResourceName, network: &ResourceName) -> Option<&Uplink> {
        uplink(self.host(host)?.1, network)
    }

    /// The provider address that a host has in a logical network, and the interface that it is on.
    pub(in crate::fabric) fn provider_of(&self, host: &ResourceName, network: &ResourceName) -> Option<(IpNet, Name)> {
        let (object, spec) = self.host(host)?;
        let (uplink, network) = (uplink(spec, network)?, self.logical_network(network)?);
        if !network.network_virtualization {
            return None;
        }
        let given = &object.allocation.provider_addresses;
        let of_pool = |address: &&IpNet| {
            pools(network, uplink).any(|pool| {
                pool.prefix.prefix_len() == address.prefix_len()
                    && pool.ranges.iter().any(|range| range.contains(address.addr()))
            })
        };
        let of_uplink = |address: &&IpNet| uplink.addresses.contains(address);
        let address = given.iter().find(of_pool).or_else(|| given.iter().find(of_uplink))?;
        Some((*address, uplink.interface.clone()))
    }

    /// The provider addresses of a host with their interfaces, each once.
    pub(in crate::fabric) fn providers(&self, host: &Object) -> Vec<(IpNet, Name)> {
        let Spec::Host(spec) = &host.resource.spec else { return Vec::new() };
        let mut providers: Vec<(IpNet, Name)> = Vec::new();
        for network in spec.uplinks.iter().flat_map(|uplink| &uplink.logical_networks) {
            let Some(provider) = self.provider_of(&host.resource.name, network) else { continue };
            if providers.iter().all(|(address, _)| address.addr() != provider.0.addr()) {
                providers.push(provider);
            }
        }
        providers
    }

    /// A provider address for a host that has none in a logical network yet; `Ok(None)` where it needs none.
    pub(in crate::fabric) fn free_provider(
        &self,
        host: &ResourceName,
        network: &ResourceName,
    ) -> Result<Option<IpNet>, NoProvider> {
        let place = self.host(host).and_then(|(_, spec)| uplink(spec, network));
        let (Some(uplink), Some(network)) = (place, self.logical_network(network)) else { return Ok(None) };
        if !network.network_virtualization {
            return Ok(None);
        }
        let mut full = None;
        for pool in pools(network, uplink) {
            if let Some(address) = self.draw_provider(pool) {
                return Ok(Some(address));
            }
            let total = super::shown(self.provider_pool_counts(pool).1);
            full.get_or_insert(NoProvider::Exhausted { pool: pool.name.clone(), total });
        }
        if let Some(full) = full {
            return Err(full);
        }
        let usable = |v4| uplink.addresses.iter().find(move |own| own.addr().is_ipv4() == v4 && is_unicast(own.addr()));
        usable(true).or_else(|| usable(false)).copied().map(Some).ok_or(NoProvider::NoAddress)
    }

    fn draw_provider(&self, pool: &ProviderPool) -> Option<IpNet> {
        let v4 = pool.prefix.addr().is_ipv4();
        let mut excluded = excluded(pool);
        // Addresses that uplinks have by themselves are passed over; there are no more of them than hosts have addresses.
        loop {
            let number =
                self.claims.lowest_free(Space::Provider { v4 }, pool.ranges.iter().map(range_bits), &excluded)?;
            let address = address_of(number, v4);
            if !self.index.is_uplink_address(address) {
                return IpNet::new(address, pool.prefix.prefix_len()).ok();
            }
            excluded.insert(number..=number);
        }
    }

    fn provider_pool_counts(&self, pool: &ProviderPool) -> (u128, u128) {
        let space = Space::Provider { v4: pool.prefix.addr().is_ipv4() };
        let excluded = excluded(pool);
        pool.ranges.iter().fold((0, 0), |(used, total), range| {
            let numbers = range_bits(range);
            let lost = excluded.overlapping(&numbers).count() as u128;
            (used + self.claims.count_taken(space, &numbers), range.count().saturating_sub(lost).saturating_add(total))
        })
    }

    /// How many addresses of all provider pools are in use, and how many there are.
    pub(super) fn provider_counts(&self, network: &LogicalNetwork) -> (u128, u128) {
        network
            .provider_pools
            .iter()
            .map(|pool| self.provider_pool_counts(pool))
            .fold((0, 0), |(used, total), (more, of)| (used + more, of.saturating_add(total)))
    }

    /// Whether two hosts would have the address.
    pub(in crate::fabric) fn provider_owner(&self, address: IpAddr) -> Option<&model::fabric::Key> {
        self.claims.owner(&crate::fabric::claims::Slot::Provider(address))
    }
}
