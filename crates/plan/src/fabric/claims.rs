//! What can belong to one object alone: VSIDs, addresses, devices. Who has which, and which is the lowest free one.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ipnet::IpNet;
use model::fabric::{AddressRange, Key, MacRange, ResourceName};
use model::{MacAddress, Name, RoutingDomainId, VlanId, Vsid};
use rangemap::RangeInclusiveSet;
use uuid::Uuid;

/// What an object has for itself. The store writes it under its key, which must not exist.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Claim {
    /// `vsid/4096`, `rdid/UUID`, `mac/00-1D-D8-B7-1C-00`, `address/UID-OF-THE-SUBNET/10.10.1.100`,
    /// `provider-address/192.168.4.11`, `device/HOST/DEVICE`, `port/HOST/NAME`, `vlan/LOGICAL-NETWORK/42`,
    /// `flat/LOGICAL-NETWORK`, `route/UID-OF-THE-VM-NETWORK/10.20.0.0/16/10.10.1.100`.
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
        }
    }
}

/// Numbers among which a lowest free one is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Space {
    Vsid,
    Mac,
    Provider { v4: bool },
    Address { subnet: Uuid, v4: bool },
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
    /// The number that it is, for those of which free ones are looked for.
    fn number(&self) -> Option<(Space, u128)> {
        match self {
            Self::Vsid(vsid) => Some((Space::Vsid, vsid.get().into())),
            Self::Mac(mac) => Some((Space::Mac, mac_bits(*mac))),
            Self::Provider(address) => Some((Space::Provider { v4: address.is_ipv4() }, bits(*address))),
            Self::Address(subnet, address) => {
                Some((Space::Address { subnet: *subnet, v4: address.is_ipv4() }, bits(*address)))
            }
            _ => None,
        }
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
        if let Some((space, number)) = slot.number() {
            self.taken.entry(space).or_default().insert(number..=number);
        }
        self.owners.entry(slot).or_insert_with(|| owner.clone());
    }

    /// Takes it back, if it is the owner's.
    pub(super) fn release(&mut self, slot: &Slot, owner: &Key) {
        if self.owner(slot) != Some(owner) {
            return;
        }
        self.owners.remove(slot);
        if let Some((space, number)) = slot.number()
            && let Some(taken) = self.taken.get_mut(&space)
        {
            taken.remove(number..=number);
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
