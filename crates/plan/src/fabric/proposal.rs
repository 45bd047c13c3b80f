//! What a prefix would be as a VM subnet, before there is one: its gateway, how many addresses VMs can have, which of them a
//! pool could give, and which prefix is free beside others.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use model::fabric::AddressRange;

use super::allocation::{is_subnet_address, plausible_range, router};
use super::claims::bits;

/// What a prefix would be as a virtualized VM subnet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proposal {
    /// The prefix, without bits behind its length.
    pub prefix: IpNet,
    /// The distributed router's address.
    pub gateway: IpAddr,
    /// How many addresses VMs can have. Saturates.
    pub usable: u128,
    /// What a pool could give; none if there is no room for one.
    pub pool: Option<AddressRange>,
}

impl Proposal {
    /// What this prefix would be.
    pub fn of(prefix: IpNet) -> Self {
        let prefix = prefix.trunc();
        let gateway = router(&prefix);
        let mut kept = vec![gateway, prefix.network(), prefix.broadcast()];
        kept.retain(|address| *address == gateway || is_subnet_address(&prefix, *address));
        kept.sort_unstable();
        kept.dedup();
        let all = (bits(prefix.broadcast()) - bits(prefix.network())).saturating_add(1);
        let pool = plausible_range(&prefix).filter(|range| !kept.iter().any(|address| range.contains(*address)));
        Self { prefix, gateway, usable: all.saturating_sub(kept.len() as u128), pool }
    }

    /// How many addresses VMs can have that are in none of these ranges, which lie apart.
    pub fn beside(&self, ranges: &[AddressRange]) -> u128 {
        let inside =
            ranges.iter().filter(|range| self.prefix.contains(&range.first()) && self.prefix.contains(&range.last()));
        let kept = [self.gateway, self.prefix.network(), self.prefix.broadcast()];
        let useless = |range: &AddressRange| {
            let mut found: Vec<IpAddr> = kept
                .into_iter()
                .filter(|address| *address == self.gateway || is_subnet_address(&self.prefix, *address))
                .filter(|address| range.contains(*address))
                .collect();
            found.sort_unstable();
            found.dedup();
            found.len() as u128
        };
        let taken = inside.map(|range| range.count().saturating_sub(useless(range))).fold(0, u128::saturating_add);
        self.usable.saturating_sub(taken)
    }
}

/// The lowest /24 of 10.0.0.0/8 that overlaps none of these prefixes, if there is one.
pub fn free_prefix(taken: &[IpNet]) -> Option<IpNet> {
    let mut next = u32::from(Ipv4Addr::new(10, 0, 0, 0));
    while next >> 24 == 10 {
        let candidate = IpNet::V4(Ipv4Net::new(Ipv4Addr::from(next), 24).ok()?);
        let in_the_way = taken.iter().filter(|other| overlap(&candidate, other));
        // Beyond the largest that is in the way, so that a few steps lead past a few prefixes.
        let Some(last) = in_the_way.map(|other| bits(other.broadcast())).max() else { return Some(candidate) };
        next = u32::try_from(last.max(bits(candidate.broadcast()))).ok()?.checked_add(1)?;
    }
    None
}

/// Whether some address is in both.
pub fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (String, u128, Option<String>) {
        let proposal = Proposal::of(text.parse().unwrap());
        (proposal.gateway.to_string(), proposal.usable, proposal.pool.map(|range| range.to_string()))
    }

    #[test]
    fn a_prefix_says_what_it_would_be() {
        assert_eq!(of("10.1.2.7/24"), ("10.1.2.1".into(), 253, Some("10.1.2.100-10.1.2.199".into())));
        assert_eq!(of("10.1.2.0/29"), ("10.1.2.1".into(), 5, Some("10.1.2.2-10.1.2.6".into())));
        assert_eq!(of("10.1.2.0/30"), ("10.1.2.1".into(), 1, Some("10.1.2.2".into())));
        assert_eq!(of("10.1.2.0/31").1, 1);
        assert_eq!(of("fd00::/64").0, "fd00::1");
        assert_eq!(of("fd00::/64").1, (1 << 64) - 2);
        assert_eq!(of("::/0").1, u128::MAX - 2);
    }

    #[test]
    fn what_is_left_beside_pools() {
        let proposal = Proposal::of("10.1.2.0/24".parse().unwrap());
        let range = |text: &str| text.parse().unwrap();
        assert_eq!(proposal.beside(&[]), 253);
        assert_eq!(proposal.beside(&[range("10.1.2.100-10.1.2.199")]), 153);
        assert_eq!(proposal.beside(&[range("10.1.2.0-10.1.2.255")]), 0);
        assert_eq!(proposal.beside(&[range("10.9.0.0-10.9.0.9")]), 253);
    }

    #[test]
    fn a_prefix_that_is_free_is_found() {
        let free = |taken: &[&str]| {
            let taken: Vec<IpNet> = taken.iter().map(|text| text.parse().unwrap()).collect();
            free_prefix(&taken).map(|prefix| prefix.to_string())
        };
        assert_eq!(free(&[]).as_deref(), Some("10.0.0.0/24"));
        assert_eq!(free(&["10.0.0.0/16", "fd00::/8", "10.1.0.128/25"]).as_deref(), Some("10.1.1.0/24"));
        assert_eq!(free(&["0.0.0.0/0"]), None);
        assert_eq!(free(&["10.0.0.0/8"]), None);
    }
}
