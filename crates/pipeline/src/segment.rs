//! Numbers of physical networks, which stand in the tables where those of VM subnets do.
//!
//! The physical network behind an uplink, or one of its VLANs, has a number with the highest bit set, and so it is never
//! mistaken for a VSID, which has 24 bits. The number says by itself which uplink and which VLAN it is: no table need be
//! asked, and two uplinks may both have a VLAN 42.

/// The bit that no VSID has.
const PHYSICAL: u32 = 1 << 31;
/// Bits of a VLAN identifier.
const VLAN_BITS: u32 = 12;

/// Highest interface index that an uplink of a physical network can have; `plan` refuses others.
pub const MAX_UPLINK: u32 = (PHYSICAL >> VLAN_BITS) - 1;
/// A VLAN identifier that no network has (IEEE 802.1Q, table 9-2).
pub const NO_VLAN: u16 = 0xfff;

/// The number of the physical network behind an uplink: of the VLAN with this identifier, or with 0 the untagged one.
#[inline(always)]
pub const fn number(uplink: u32, vlan: u16) -> u32 {
    PHYSICAL | ((uplink & MAX_UPLINK) << VLAN_BITS) | (vlan & NO_VLAN) as u32
}

/// Whether a number is that of a physical network, not a VSID.
#[inline(always)]
pub const fn is_physical(number: u32) -> bool {
    number & PHYSICAL != 0
}

/// Interface index of the uplink of a physical network.
#[inline(always)]
pub const fn uplink(number: u32) -> u32 {
    (number >> VLAN_BITS) & MAX_UPLINK
}

/// VLAN identifier of a physical network; 0 for the untagged one.
#[inline(always)]
pub const fn vlan(number: u32) -> u16 {
    (number & NO_VLAN as u32) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_its_uplink_and_vlan_and_is_no_vsid() {
        for (index, tag) in [(1, 0), (2, 42), (MAX_UPLINK, 4094), (7, 4094)] {
            let number = number(index, tag);
            assert!(is_physical(number));
            assert_eq!((uplink(number), vlan(number)), (index, tag));
        }
        assert!(!is_physical(0) && !is_physical(4096) && !is_physical((1 << 24) - 1));
        assert_eq!(MAX_UPLINK, 524_287);
    }
}
