//! VXLAN (RFC 7348): UDP and 8 bytes around an Ethernet frame.

use super::{Words, word};

/// Length of the header behind UDP's.
pub const LEN: usize = 8;
/// UDP port that it is sent to (IANA; RFC 7348, section 5).
pub const PORT: u16 = 4789;

/// The I flag: the header names a network. It must be set.
const NAMES_NETWORK: u8 = 0x08;

/// The virtual network identifier of a VXLAN header, which is the VSID; `None` if it names none. All other bits of the
/// header are reserved, and ignored (RFC 7348, section 5).
#[inline(always)]
pub const fn vsid(bytes: &[u8; LEN]) -> Option<u32> {
    let [flags, _, _, _, v0, v1, v2, _] = *bytes;
    if flags & NAMES_NETWORK == 0 { None } else { Some(u32::from_be_bytes([0, v0, v1, v2])) }
}

/// A VXLAN header in words.
#[inline(always)]
pub const fn words(vsid: u32) -> Words<4> {
    let network = vsid << 8;
    [word(NAMES_NETWORK, 0), 0, ((network >> 16) as u16).to_be(), (network as u16).to_be()]
}
