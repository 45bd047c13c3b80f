//! NVGRE (RFC 7637): GRE (RFC 2890) with a key and nothing else around an Ethernet frame.

use super::{Words, word};

/// Length of the GRE header with its key.
pub const LEN: usize = 8;

/// Flags and version: key present, nothing else, version 0; then Transparent Ethernet Bridging.
const PREFIX: [u8; 4] = [0x20, 0x00, 0x65, 0x58];

/// Whether a GRE header is NVGRE's: key present and nothing else, protocol Transparent Ethernet Bridging.
#[inline(always)]
pub const fn is_nvgre(bytes: &[u8; LEN]) -> bool {
    let [a, b, c, d, ..] = *bytes;
    u32::from_ne_bytes([a, b, c, d]) == u32::from_ne_bytes(PREFIX)
}

/// The virtual subnet identifier of an NVGRE header: the upper 24 bits of the key (RFC 7637, section 3.2).
#[inline(always)]
pub const fn vsid(bytes: &[u8; LEN]) -> u32 {
    let [_, _, _, _, v0, v1, v2, _] = *bytes;
    u32::from_be_bytes([0, v0, v1, v2])
}

/// An NVGRE header in words. The FlowID, the lower 8 bits of the key, is entropy of the inner flow, so that the underlay
/// spreads flows over its paths.
#[inline(always)]
pub const fn words(vsid: u32, flow_id: u8) -> Words<4> {
    let [a, b, c, d] = PREFIX;
    let key = (vsid << 8) | flow_id as u32;
    [word(a, b), word(c, d), ((key >> 16) as u16).to_be(), (key as u16).to_be()]
}
