//! What is given where a spec leaves it open: always the lowest free value, so that the same changes give the same
//! values, and people find what they expect; but VSIDs that were given back lately come last (`retired`). What was given
//! stays as long as it is legal.

mod customer;
mod external;
mod provider;

use model::fabric::{Key, Kind, MacPool, Spec};
use model::{MacAddress, Vsid};

use super::Fabric;
use super::claims::{Slot, Space, mac_bits, mac_range_bits};

pub(super) use customer::{is_subnet_address, is_unicast, plausible_range, router};
pub use external::FamilyUsage;
pub(super) use external::{kept_outside, network_of, networks_in, prefix_in, ranges, with_length};
pub(super) use provider::NoProvider;

/// A number of addresses as it is shown; saturates.
pub(super) fn shown(count: u128) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl Fabric {
    /// The lowest free VSID that nobody had lately; where there is none, the one that was given back longest ago. It
    /// begins at 4096, the lowest there is, so that nothing of the range is lost, and well below the numbers that people
    /// like to choose themselves.
    pub(super) fn free_vsid(&self) -> Option<Vsid> {
        let range = u128::from(Vsid::MIN.get())..=u128::from(Vsid::MAX.get());
        let fresh = self.claims.lowest_free(Space::Vsid, [range], self.retired.numbers());
        let fresh = fresh.and_then(|number| u32::try_from(number).ok()).and_then(|number| Vsid::new(number).ok());
        fresh.or_else(|| self.retired.oldest().find(|vsid| self.claims.owner(&Slot::Vsid(*vsid)).is_none()))
    }

    fn mac_pools(&self) -> impl Iterator<Item = &MacPool> {
        self.of_kind(Kind::MacPool, None).filter_map(|object| match &object.resource.spec {
            Spec::MacPool(pool) => Some(pool),
            _ => None,
        })
    }

    /// The lowest free MAC address of the first pool that has one, in the order of their names.
    pub(super) fn free_mac(&self) -> Option<MacAddress> {
        self.free_mac_beside(None)
    }

    /// The same, where one is about to be given already.
    pub(super) fn free_mac_beside(&self, other: Option<MacAddress>) -> Option<MacAddress> {
        let ranges = self.mac_pools().flat_map(|pool| &pool.ranges).map(mac_range_bits);
        let gateway = gateway_mac().map_or(0, mac_bits);
        let excluded = std::iter::once(gateway).chain(other.map(mac_bits)).map(|number| number..=number).collect();
        let number = self.claims.lowest_free(Space::Mac, ranges, &excluded)?;
        let [.., a, b, c, d, e, f] = number.to_be_bytes();
        MacAddress::new([a, b, c, d, e, f]).ok()
    }

    /// How many MAC addresses the pools have.
    pub(super) fn all_macs(&self) -> u64 {
        shown(self.mac_pools().flat_map(|pool| &pool.ranges).map(|range| u128::from(range.count())).sum())
    }

    /// How many addresses of a pool are given out or used otherwise, and how many it has to give: of an IP pool, of a
    /// MAC pool, of all provider pools of a logical network. `None` for what is no pool, and for a gateway, whose families have
    /// pools of their own: [`Fabric::external_usage`]. Both numbers saturate.
    pub fn pool_usage(&self, key: &Key) -> Option<(u64, u64)> {
        let (used, total) = match &self.get(key)?.resource.spec {
            Spec::IpPool(pool) => self.pool_counts(key, pool, None)?,
            Spec::MacPool(pool) => {
                let counts = pool.ranges.iter().map(|range| {
                    (self.claims.count_taken(Space::Mac, &mac_range_bits(range)), u128::from(range.count()))
                });
                counts.fold((0, 0), |(used, total), (more, of)| (used + more, total + of))
            }
            Spec::LogicalNetwork(network) if !network.provider_pools.is_empty() => self.provider_counts(network),
            _ => return None,
        };
        Some((shown(used), shown(total)))
    }
}

/// Every gateway's MAC address where none is chosen.
pub(super) fn gateway_mac() -> Option<MacAddress> {
    MacAddress::new(crate::Settings::GATEWAY_MAC).ok()
}
