//! Geneve (RFC 8926): UDP, 8 bytes, and options around an Ethernet frame. This host sends no options and knows none.

use super::{Words, word};

/// Length of the header behind UDP's, without options.
pub const LEN: usize = 8;
/// UDP port that it is sent to (IANA; RFC 8926, section 3.3).
pub const PORT: u16 = 6081;
/// Most bytes of options that are skipped. The field could say 252; what peers are known to send is far below.
pub const MAX_OPTIONS: u8 = 128;

/// The O flag: a control packet, whose payload is not to be sent on.
const CONTROL: u8 = 0x80;
/// The C flag: who does not know all of the options that call themselves critical must drop the packet.
const CRITICAL: u8 = 0x40;
/// Transparent Ethernet Bridging.
const ETHERNET: [u8; 2] = [0x65, 0x58];

/// What a Geneve header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geneve {
    /// Virtual network identifier, which is the VSID.
    pub vsid: u32,
    /// Length of the options in bytes, at most 252.
    pub options: u8,
    /// There is something that must be understood, and is not: a control packet, or a critical option.
    pub unknown: bool,
}

/// Reads a header; `None` if it is of another version, or something else than an Ethernet frame follows.
#[inline(always)]
pub const fn read(bytes: &[u8; LEN]) -> Option<Geneve> {
    let [first, flags, p0, p1, v0, v1, v2, _] = *bytes;
    let protocol = u16::from_ne_bytes([p0, p1]) == u16::from_ne_bytes(ETHERNET);
    if first >> 6 != 0 || !protocol {
        return None;
    }
    Some(Geneve {
        vsid: u32::from_be_bytes([0, v0, v1, v2]),
        options: (first & 0x3f) << 2,
        unknown: flags & (CONTROL | CRITICAL) != 0,
    })
}

/// A Geneve header without options, in words.
#[inline(always)]
pub const fn words(vsid: u32) -> Words<4> {
    let [p0, p1] = ETHERNET;
    let network = vsid << 8;
    [0, word(p0, p1), ((network >> 16) as u16).to_be(), (network as u16).to_be()]
}
