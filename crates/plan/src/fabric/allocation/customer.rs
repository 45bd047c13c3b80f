//! Customer addresses: what IP pools have to give, and what of it is free.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use model::fabric::{AddressRange, IpPool, Key, Kind, VmSubnet};
use rangemap::RangeInclusiveSet;

use crate::fabric::Fabric;
use crate::fabric::claims::{Space, address_of, bits, range_bits};

/// Whether one interface somewhere can be given the address and be reached by it beyond its link.
pub(in crate::fabric) fn is_unicast(address: IpAddr) -> bool {
    let never = match address {
        // 0.0.0.0/8 means "this host on this network" and is never a destination (RFC 1122, 3.2.1.3).
        IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_unicast_link_local() || v6.to_ipv4_mapped().is_some(),
    };
    !(never || address.is_multicast() || address.is_loopback())
}

/// Whether the address is the first or the last one of an IPv4 prefix that sets these apart (RFC 3021 for /31), or the
/// subnet-router anycast address of an IPv6 prefix (RFC 4291, 2.6.1; RFC 6164 for /127).
pub(in crate::fabric) fn is_subnet_address(prefix: &IpNet, address: IpAddr) -> bool {
    match prefix {
        IpNet::V4(v4) => v4.prefix_len() < 31 && (address == v4.network() || address == v4.broadcast()),
        IpNet::V6(v6) => v6.prefix_len() < 127 && address == v6.network(),
    }
}

/// The gateway of a virtualized prefix: its lowest host address, as [`model::CustomerRoute::gateway`] has it.
pub(in crate::fabric) fn router(prefix: &IpNet) -> IpAddr {
    address_of(bits(prefix.network()) | 1, prefix.addr().is_ipv4())
}

/// Addresses of a prefix that could be in a pool: a hundred or so behind the first hundred, as far as there are so many.
pub(in crate::fabric) fn plausible_range(prefix: &IpNet) -> Option<AddressRange> {
    let v4 = prefix.addr().is_ipv4();
    let (network, last) = (bits(prefix.network()), bits(prefix.broadcast()));
    let end = if v4 { last.checked_sub(1)? } else { last };
    let first = network.saturating_add(100);
    let (first, last) =
        if first.saturating_add(99) <= end { (first, first + 99) } else { (network.saturating_add(2), end) };
    AddressRange::new(address_of(first, v4), address_of(last, v4)).ok()
}

impl Fabric {
    /// The gateways of a VM subnet: of each prefix the distributed router's address, or the physical network's routers.
    pub fn gateways(&self, subnet: &Key) -> Vec<IpAddr> {
        let Some(spec) = self.vm_subnet(subnet) else { return Vec::new() };
        match self.vm_network(subnet, &spec.vm_network) {
            Some(network) if network.isolation.is_virtualized() => spec.prefixes.iter().map(router).collect(),
            _ => spec.gateways.clone(),
        }
    }

    /// Whether the address means something else in the subnet: its gateway, the network itself, all of its hosts.
    pub(in crate::fabric) fn is_kept(&self, subnet: &Key, spec: &VmSubnet, address: IpAddr) -> bool {
        spec.prefixes.iter().any(|prefix| is_subnet_address(prefix, address))
            || self.gateways(subnet).contains(&address)
    }

    /// The numbers of one family that a pool never gives, though they are in its ranges.
    fn withheld(&self, subnet: &Key, pool: &IpPool, v4: bool) -> RangeInclusiveSet<u128> {
        let mut withheld: RangeInclusiveSet<u128> =
            pool.reserved.iter().filter(|range| range.first().is_ipv4() == v4).map(range_bits).collect();
        let prefixes = self.vm_subnet(subnet).map_or(&[][..], |spec| &spec.prefixes);
        let ends = prefixes.iter().flat_map(|prefix| {
            [prefix.network(), prefix.broadcast()].into_iter().filter(|address| is_subnet_address(prefix, *address))
        });
        for address in ends.chain(self.gateways(subnet)).filter(|address| address.is_ipv4() == v4) {
            withheld.insert(bits(address)..=bits(address));
        }
        withheld
    }

    /// Whether the pool may give the address.
    pub(in crate::fabric) fn may_give(&self, subnet: &Key, pool: &IpPool, address: IpAddr) -> bool {
        pool.ranges.iter().any(|range| range.contains(address))
            && !self.withheld(subnet, pool, address.is_ipv4()).contains(&bits(address))
    }

    /// The lowest address of one family that the pool may give and nobody in the subnet has.
    pub(in crate::fabric) fn free_address(&self, subnet: &Key, pool: &IpPool, v4: bool) -> Option<IpAddr> {
        let space = Space::Address { subnet: self.get(subnet)?.uid, v4 };
        let mut ranges: Vec<RangeInclusive<u128>> = numbers(pool, v4).collect();
        ranges.sort_unstable_by_key(|range| *range.start());
        let withheld = self.withheld(subnet, pool, v4);
        self.claims.lowest_free(space, ranges, &withheld).map(|number| address_of(number, v4))
    }

    /// How many addresses of a pool are taken, and how many it has to give; of one family, or of both.
    pub(in crate::fabric) fn pool_counts(
        &self,
        key: &Key,
        pool: &IpPool,
        family: Option<bool>,
    ) -> Option<(u128, u128)> {
        let subnet = key.sibling(Kind::VmSubnet, &pool.vm_subnet);
        let uid = self.get(&subnet)?.uid;
        let (mut used, mut total) = (0_u128, 0_u128);
        for v4 in [true, false].into_iter().filter(|v4| family.is_none_or(|family| family == *v4)) {
            let withheld = self.withheld(&subnet, pool, v4);
            for range in numbers(pool, v4) {
                for open in withheld.gaps(&range) {
                    total = total.saturating_add((open.end() - open.start()).saturating_add(1));
                    used = used.saturating_add(self.claims.count_taken(Space::Address { subnet: uid, v4 }, &open));
                }
            }
        }
        Some((used, total))
    }
}

/// The ranges of a pool of one family, as numbers.
fn numbers(pool: &IpPool, v4: bool) -> impl Iterator<Item = RangeInclusive<u128>> {
    pool.ranges.iter().filter(move |range| range.first().is_ipv4() == v4).map(range_bits)
}
