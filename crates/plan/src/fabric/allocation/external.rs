//! Addresses outside of gateways: what the ranges of a gateway have to give, and what of it is free.
//!
//! An address is one VM network's, or in parts of its ports that of several. Gateways whose external interfaces are in the
//! same VLAN, or untagged, are taken to be on one network, so that two never give the same address.

use std::net::IpAddr;

use ipnet::IpNet;
use model::VlanId;
use model::fabric::{AddressRange, ExternalNetwork, Gateway};
use model::gateway::SharedAddress;
use model::security::PortRange;
use rangemap::RangeInclusiveSet;

use super::customer::is_subnet_address;
use super::shown;
use crate::fabric::Fabric;
use crate::fabric::claims::{Space, address_of, ports_of, range_bits};

/// The first port of an address that is shared: those below are known to services (RFC 6335, section 6), and clients
/// that bind to one get it translated to another.
const FIRST_SHARED_PORT: u16 = 1024;

/// The networks of a gateway in a VLAN.
pub(in crate::fabric) fn networks_in(
    gateway: &Gateway,
    vlan: Option<VlanId>,
) -> impl DoubleEndedIterator<Item = &ExternalNetwork> {
    gateway.networks.iter().filter(move |network| network.vlan == vlan)
}

/// The first network of a gateway in a VLAN that is of a family, if that matters.
pub(in crate::fabric) fn prefix_in(gateway: &Gateway, vlan: Option<VlanId>, v4: Option<bool>) -> Option<IpNet> {
    let mut prefixes = networks_in(gateway, vlan).map(|network| network.prefix);
    prefixes.find(|prefix| v4.is_none_or(|v4| prefix.addr().is_ipv4() == v4))
}

/// The network of a gateway that has the address.
pub(in crate::fabric) fn network_of(
    gateway: &Gateway,
    vlan: Option<VlanId>,
    address: IpAddr,
) -> Option<&ExternalNetwork> {
    networks_in(gateway, vlan).find(|network| network.prefix.contains(&address))
}

/// The address with the length of its network's prefix.
pub(in crate::fabric) fn with_length(gateway: &Gateway, vlan: Option<VlanId>, address: IpAddr) -> Option<IpNet> {
    IpNet::new(address, network_of(gateway, vlan, address)?.prefix.prefix_len()).ok()
}

/// What an address outside is for already, if it is nobody's to have.
pub(in crate::fabric) fn kept_outside(
    gateway: &Gateway,
    vlan: Option<VlanId>,
    address: IpAddr,
) -> Option<&'static str> {
    if networks_in(gateway, vlan).any(|network| network.next_hop == Some(address)) {
        return Some("the next hop");
    }
    // The hosts' own addresses are untagged.
    let own = |host: &model::fabric::GatewayHost| host.addresses.iter().any(|own| own.addr() == address);
    if vlan.is_none() && gateway.hosts.iter().any(own) {
        return Some("an address of a host");
    }
    let ends = networks_in(gateway, vlan).any(|network| is_subnet_address(&network.prefix, address));
    ends.then_some("the network or broadcast address of a network")
}

/// The numbers of addresses of one family that are never given, though they may be in ranges.
fn excluded(gateway: &Gateway, vlan: Option<VlanId>, v4: bool) -> RangeInclusiveSet<u128> {
    let networks = networks_in(gateway, vlan);
    let known = networks
        .flat_map(|network| [network.prefix.network(), network.prefix.broadcast()].into_iter().chain(network.next_hop));
    let hosts = gateway.hosts.iter().flat_map(|host| &host.addresses).map(|own| own.addr());
    let all = known.chain(hosts).filter(|address| address.is_ipv4() == v4);
    all.filter(|address| kept_outside(gateway, vlan, *address).is_some()).map(ports_of).collect()
}

/// The ranges of one family in a VLAN.
pub(in crate::fabric) fn ranges(
    gateway: &Gateway,
    vlan: Option<VlanId>,
    v4: bool,
) -> impl Iterator<Item = &AddressRange> {
    networks_in(gateway, vlan).flat_map(|network| &network.ranges).filter(move |range| range.first().is_ipv4() == v4)
}

/// The address that has a number in [`Space::External`].
fn address_of_number(number: u128, v4: bool) -> IpAddr {
    address_of(if v4 { number >> 16 } else { number }, v4)
}

/// How many addresses of one family are given out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FamilyUsage {
    /// Whether it is IPv4.
    pub v4: bool,
    /// How many are given out.
    pub used: u64,
    /// How many there are.
    pub total: u64,
}

impl Fabric {
    /// The lowest address of a family that the gateway's ranges in the VLAN have left.
    pub(in crate::fabric) fn free_external(&self, gateway: &Gateway, vlan: Option<VlanId>, v4: bool) -> Option<IpAddr> {
        let excluded = excluded(gateway, vlan, v4);
        let size = if v4 { 1 << 16 } else { 1 };
        let found = ranges(gateway, vlan, v4).find_map(|range| {
            let numbers = *ports_of(range.first()).start()..=*ports_of(range.last()).end();
            self.claims.lowest_run(Space::External { vlan, v4 }, &numbers, (size, size), &excluded)
        });
        found.map(|number| address_of_number(number, v4))
    }

    /// The lowest ports, so many in a row, that an untagged IPv4 address of the gateway's ranges has left.
    pub(in crate::fabric) fn free_ports(&self, gateway: &Gateway, count: u16) -> Option<SharedAddress> {
        let (space, excluded) = (Space::External { vlan: None, v4: true }, excluded(gateway, None, true));
        for range in ranges(gateway, None, true) {
            for number in range_bits(range) {
                let ports = (number << 16) | u128::from(FIRST_SHARED_PORT)..=(number << 16) | 0xffff;
                let first = self.claims.lowest_run(space, &ports, (count.into(), 1), &excluded);
                let first = first.and_then(|first| u16::try_from(first & 0xffff).ok());
                let ports =
                    first.and_then(|first| PortRange::new(first, first.checked_add(count.checked_sub(1)?)?).ok());
                if let Some(ports) = ports {
                    return Some(SharedAddress { address: address_of(number, true), ports });
                }
            }
        }
        None
    }

    /// How many addresses of a family the ranges in a VLAN have given, and how many they have to give.
    pub(in crate::fabric) fn external_counts(&self, gateway: &Gateway, vlan: Option<VlanId>, v4: bool) -> (u128, u128) {
        let excluded = excluded(gateway, vlan, v4);
        ranges(gateway, vlan, v4).fold((0, 0), |(used, total), range| {
            let numbers = *ports_of(range.first()).start()..=*ports_of(range.last()).end();
            let lost = excluded.overlapping(&numbers).count() as u128;
            let of = range.count().saturating_sub(lost);
            (used + self.claims.count_external(vlan, range), of.saturating_add(total))
        })
    }

    /// The same of all VLANs of a gateway, for each family of which it has ranges. Both numbers saturate. A sum of both families
    /// would say nothing: one range of IPv6 has more than there are of IPv4, and gives none where that has run dry.
    pub fn external_usage(&self, gateway: &Gateway) -> Vec<FamilyUsage> {
        let mut places: Vec<Option<VlanId>> = gateway.networks.iter().map(|network| network.vlan).collect();
        places.sort_unstable();
        places.dedup();
        let of = |v4: bool| {
            let has = places.iter().any(|vlan| ranges(gateway, *vlan, v4).next().is_some());
            let counts = places.iter().map(|vlan| self.external_counts(gateway, *vlan, v4));
            let (used, total) =
                counts.fold((0, 0_u128), |(used, total), (more, of)| (used + more, total.saturating_add(of)));
            has.then(|| FamilyUsage { v4, used: shown(used), total: shown(total) })
        };
        [true, false].into_iter().filter_map(of).collect()
    }
}
