//! What can belong to one object alone: VSIDs, addresses, devices. Who has which, and which is the lowest free one.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use ipnet::{IpNet, Ipv6Net};
use model::fabric::{AddressRange, Key, MacRange, ResourceName};
use model::{MacAddress, Name, RoutingDomainId, VlanId, Vsid};
use rangemap::RangeInclusiveSet;
use uuid::Uuid;

/// What an object has for itself. The store writes it under its key, which must not exist.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Claim {
    /// `vsid/4096`, `rdid/UUID`, `mac/00-1D-D8-B7-1C-00`, `address/UID-OF-THE-SUBNET/10.10.1.100`,
    /// `provider-address/192.168.4.11`, `device/HOST/DEVICE`, `port/HOST/NAME`, `vlan/LOGICAL-NETWORK/42`,
    /// `flat/LOGICAL-NETWORK`, `route/UID-OF-THE-VM-NETWORK/10.20.0.0/16/10.10.1.100`, `gateway-host/HOST`,
    /// `external-address/203.0.113.10` (`external-address/VLAN/…` in a VLAN), `external-ports/203.0.113.10/1024-2047`,
    /// `external-prefix/2001:db8:1::/48`.
    pub key: String,
    /// Whose it is.
    pub owner: Key,
}

/// One thing that one object alone can have.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Slot {
    Vsid(Vsid),
    Rdid(RoutingDomainId),
    Mac(MacAddress),
    /// Of a host, in the underlay.
    Provider(IpAddr),
    /// A customer address, in the subnet with this uid.
    Address(Uuid, IpAddr),
    /// A device of a host.
    Device(ResourceName, Name),
    /// The name by which a host knows a port.
    HostPort(ResourceName, Name),
    /// A VLAN of a logical network.
    Vlan(ResourceName, VlanId),
    /// A logical network as it is: the one VM network without isolation.
    Flat(ResourceName),
    /// A customer route of the VM network with this uid, to a prefix by a next hop.
    Route(Uuid, IpNet, IpAddr),
    /// A host as one of a gateway's: it is of one only.
    GatewayHost(ResourceName),
    /// An address outside of gateways, in a VLAN of theirs or untagged.
    External(Option<VlanId>, IpAddr),
    /// Ports of an untagged address outside of gateways.
    ExternalPorts(Ipv4Addr, u16, u16),
    /// A prefix outside of gateways that stands for one of a VM network.
    ExternalPrefix(Option<VlanId>, Ipv6Net),
}

/// How a VLAN stands in a key.
fn in_vlan(vlan: &Option<VlanId>) -> String {
    vlan.map(|vlan| format!("{vlan}/")).unwrap_or_default()
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vsid(vsid) => write!(f, "vsid/{vsid}"),
            Self::Rdid(rdid) => write!(f, "rdid/{}", Uuid::from_bytes(*rdid.as_bytes())),
            Self::Mac(mac) => write!(f, "mac/{mac}"),
            Self::Provider(address) => write!(f, "provider-address/{address}"),
            Self::Address(subnet, address) => write!(f, "address/{subnet}/{address}"),
            Self::Device(host, device) => write!(f, "device/{host}/{device}"),
            Self::HostPort(host, name) => write!(f, "port/{host}/{name}"),
            Self::Vlan(network, vlan) => write!(f, "vlan/{network}/{vlan}"),
            Self::Flat(network) => write!(f, "flat/{network}"),
            Self::Route(network, prefix, next_hop) => write!(f, "route/{network}/{prefix}/{next_hop}"),
            Self::GatewayHost(host) => write!(f, "gateway-host/{host}"),
            Self::External(vlan, address) => write!(f, "external-address/{}{address}", in_vlan(vlan)),
            Self::ExternalPorts(address, first, last) => write!(f, "external-ports/{address}/{first}-{last}"),
            Self::ExternalPrefix(vlan, prefix) => write!(f, "external-prefix/{}{prefix}", in_vlan(vlan)),
        }
    }
}

/// Numbers among which a lowest free one is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Space {
    Vsid,
    Mac,
    Provider {
        v4: bool,
    },
    Address {
        subnet: Uuid,
        v4: bool,
    },
    /// Outside of gateways. Of IPv4 each port of an address has a number, since addresses can be shared; see [`ports_of`].
    External {
        vlan: Option<VlanId>,
        v4: bool,
    },
}

/// The numbers in [`Space::External`] of an address as a whole.
pub(super) fn ports_of(address: IpAddr) -> RangeInclusive<u128> {
    match address {
        IpAddr::V4(v4) => {
            let first = u128::from(v4.to_bits()) << 16;
            first..=first | 0xffff
        }
        IpAddr::V6(v6) => v6.to_bits()..=v6.to_bits(),
    }
}

/// An address as a number; comparable inside of one family alone.
pub(super) const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits() as u128,
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address that is this number.
pub(super) fn address_of(bits: u128, v4: bool) -> IpAddr {
    match u32::try_from(bits) {
        Ok(bits) if v4 => IpAddr::V4(bits.into()),
        _ => IpAddr::V6(bits.into()),
    }
}

pub(super) fn mac_bits(mac: MacAddress) -> u128 {
    mac.octets().into_iter().fold(0, |bits, octet| bits << 8 | u128::from(octet))
}

/// A range of addresses as numbers.
pub(super) const fn range_bits(range: &AddressRange) -> RangeInclusive<u128> {
    bits(range.first())..=bits(range.last())
}

pub(super) fn mac_range_bits(range: &MacRange) -> RangeInclusive<u128> {
    mac_bits(range.first())..=mac_bits(range.last())
}

impl Slot {
    /// The numbers that it is, for those of which free ones are looked for.
    fn numbers(&self) -> Option<(Space, RangeInclusive<u128>)> {
        let (space, number) = match self {
            Self::Vsid(vsid) => (Space::Vsid, vsid.get().into()),
            Self::Mac(mac) => (Space::Mac, mac_bits(*mac)),
            Self::Provider(address) => (Space::Provider { v4: address.is_ipv4() }, bits(*address)),
            Self::Address(subnet, address) => {
                (Space::Address { subnet: *subnet, v4: address.is_ipv4() }, bits(*address))
            }
            Self::External(vlan, address) => {
                return Some((Space::External { vlan: *vlan, v4: address.is_ipv4() }, ports_of(*address)));
            }
            Self::ExternalPorts(address, low, high) => {
                let first = u128::from(address.to_bits()) << 16;
                let numbers = first | u128::from(*low)..=first | u128::from(*high);
                return Some((Space::External { vlan: None, v4: true }, numbers));
            }
            Self::ExternalPrefix(vlan, prefix) => {
                let numbers = prefix.network().to_bits()..=prefix.broadcast().to_bits();
                return Some((Space::External { vlan: *vlan, v4: false }, numbers));
            }
            _ => return None,
        };
        Some((space, number..=number))
    }
}

/// Who has what.
///
/// Numbers that are taken lie in sets of ranges beside it, so that the lowest free one is found in the time that one
/// look into a tree takes, however many are taken.
#[derive(Clone, Default, Debug)]
pub(super) struct Claims {
    owners: BTreeMap<Slot, Arc<Key>>,
    taken: HashMap<Space, RangeInclusiveSet<u128>>,
}

impl Claims {
    /// Gives what nobody has; of two owners, the first keeps it.
    pub(super) fn claim(&mut self, slot: Slot, owner: &Arc<Key>) {
        if let Some((space, numbers)) = slot.numbers() {
            self.taken.entry(space).or_default().insert(numbers);
        }
        self.owners.entry(slot).or_insert_with(|| owner.clone());
    }

    /// Takes it back, if it is the owner's.
    pub(super) fn release(&mut self, slot: &Slot, owner: &Key) {
        if self.owner(slot) != Some(owner) {
            return;
        }
        self.owners.remove(slot);
        if let Some((space, numbers)) = slot.numbers()
            && let Some(taken) = self.taken.get_mut(&space)
        {
            taken.remove(numbers);
            if taken.is_empty() {
                self.taken.remove(&space);
            }
        }
    }

    pub(super) fn owner(&self, slot: &Slot) -> Option<&Key> {
        self.owners.get(slot).map(Arc::as_ref)
    }

    /// The lowest number of these ranges, tried in this order, that is not taken and not excluded.
    pub(super) fn lowest_free(
        &self,
        space: Space,
        ranges: impl IntoIterator<Item = RangeInclusive<u128>>,
        excluded: &RangeInclusiveSet<u128>,
    ) -> Option<u128> {
        let taken = self.taken.get(&space);
        ranges.into_iter().find_map(|range| {
            let mut candidate = *range.start();
            // Each turn passes a whole range of what is taken or excluded.
            while candidate <= *range.end() {
                let blocked = taken.and_then(|taken| taken.get(&candidate)).or_else(|| excluded.get(&candidate));
                match blocked {
                    Some(blocked) => candidate = blocked.end().checked_add(1)?,
                    None => return Some(candidate),
                }
            }
            None
        })
    }

    /// The lowest run of `size` numbers in the range, beginning at a multiple of `step`, none of them taken or excluded.
    pub(super) fn lowest_run(
        &self,
        space: Space,
        range: &RangeInclusive<u128>,
        (size, step): (u128, u128),
        excluded: &RangeInclusiveSet<u128>,
    ) -> Option<u128> {
        let taken = self.taken.get(&space);
        let mut first = range.start().checked_next_multiple_of(step)?;
        loop {
            let run = first..=first.checked_add(size - 1).filter(|last| last <= range.end())?;
            let blocked = taken.and_then(|taken| taken.overlapping(&run).next_back());
            match blocked.or_else(|| excluded.overlapping(&run).next_back()) {
                // Each turn passes a whole range of what is taken or excluded.
                Some(blocked) => first = blocked.end().checked_add(1)?.checked_next_multiple_of(step)?,
                None => return Some(first),
            }
        }
    }

    /// Whose something outside of gateways is that has one of these addresses; the first of several, and never the one who asks.
    pub(super) fn external_owner(
        &self,
        vlan: Option<VlanId>,
        (first, last): (IpAddr, IpAddr),
        but: &Key,
    ) -> Option<(String, &Key)> {
        let addresses = self.owners.range(Slot::External(vlan, first)..=Slot::External(vlan, last));
        let ports = match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) if vlan.is_none() => {
                let range = Slot::ExternalPorts(first, 0, 0)..=Slot::ExternalPorts(last, u16::MAX, u16::MAX);
                Some(self.owners.range(range))
            }
            _ => None,
        };
        let prefixes = Slot::ExternalPrefix(vlan, Ipv6Net::default())..;
        let prefixes = self
            .owners
            .range(prefixes)
            .take_while(|(slot, _)| matches!(slot, Slot::ExternalPrefix(other, _) if *other == vlan));
        let prefixes = prefixes.filter(|(slot, _)| match slot {
            Slot::ExternalPrefix(_, prefix) => first <= prefix.broadcast() && last >= prefix.network(),
            _ => false,
        });
        let all = addresses.chain(ports.into_iter().flatten()).chain(prefixes);
        let mut others = all.filter(|(_, owner)| owner.as_ref() != but);
        others.next().map(|(slot, owner)| {
            let what = match slot {
                Slot::External(_, address) => format!("address {address} outside"),
                Slot::ExternalPorts(address, low, high) => format!("ports {low}-{high} of address {address} outside"),
                Slot::ExternalPrefix(_, prefix) => format!("prefix {prefix} outside"),
                _ => String::new(),
            };
            (what, owner.as_ref())
        })
    }

    /// How many addresses outside of gateways somebody has, as a whole or ports of them.
    pub(super) fn count_external(&self, vlan: Option<VlanId>, range: &AddressRange) -> u128 {
        let (first, last) = (range.first(), range.last());
        let whole = self.owners.range(Slot::External(vlan, first)..=Slot::External(vlan, last)).count();
        let mut shared: Vec<Ipv4Addr> = match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) if vlan.is_none() => {
                let range = Slot::ExternalPorts(first, 0, 0)..=Slot::ExternalPorts(last, u16::MAX, u16::MAX);
                let address = |(slot, _): (&Slot, _)| match slot {
                    Slot::ExternalPorts(address, ..) => Some(*address),
                    _ => None,
                };
                self.owners.range(range).filter_map(address).collect()
            }
            _ => Vec::new(),
        };
        shared.dedup();
        (whole + shared.len()) as u128
    }

    /// How many numbers of the range are taken.
    pub(super) fn count_taken(&self, space: Space, range: &RangeInclusive<u128>) -> u128 {
        let Some(taken) = self.taken.get(&space) else { return 0 };
        let part = |taken: &RangeInclusive<u128>| {
            let (first, last) = (*taken.start().max(range.start()), *taken.end().min(range.end()));
            (last - first).saturating_add(1)
        };
        taken.overlapping(range).map(part).fold(0, u128::saturating_add)
    }

    /// The customer addresses that are taken in a range of a subnet, and by whom.
    pub(super) fn addresses(&self, subnet: Uuid, range: &AddressRange) -> impl Iterator<Item = (IpAddr, &Key)> {
        let range = Slot::Address(subnet, range.first())..=Slot::Address(subnet, range.last());
        self.owners.range(range).filter_map(|(slot, owner)| match slot {
            Slot::Address(_, address) => Some((*address, owner.as_ref())),
            _ => None,
        })
    }

    /// The MAC addresses that are taken in a range, and by whom.
    pub(super) fn macs(&self, range: &MacRange) -> impl Iterator<Item = (MacAddress, &Key)> {
        self.owners.range(Slot::Mac(range.first())..=Slot::Mac(range.last())).filter_map(|(slot, owner)| match slot {
            Slot::Mac(mac) => Some((*mac, owner.as_ref())),
            _ => None,
        })
    }
}

impl Claims {
    /// All that is claimed, in no order that matters.
    pub(super) fn iter(&self) -> impl Iterator<Item = Claim> {
        self.owners.iter().map(|(slot, owner)| Claim { key: slot.to_string(), owner: owner.as_ref().clone() })
    }
}
