//! NVGRE (RFC 7637): GRE (RFC 2890) with a key and nothing else around an Ethernet frame.

/// Length of the GRE header with its key.
pub const LEN: usize = 8;
/// TTL of outer headers; the same that Linux tunnels use by default (`IPDEFTTL`).
pub const OUTER_TTL: u8 = 64;

/// Flags and version: key present, nothing else, version 0; then Transparent Ethernet Bridging.
const PREFIX: [u8; 4] = [0x20, 0x00, 0x65, 0x58];

/// What an NVGRE header says (RFC 7637, section 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nvgre {
    /// Virtual subnet identifier, 24 bits.
    pub vsid: u32,
    /// Entropy of the inner flow, so that the underlay spreads flows over its paths.
    pub flow_id: u8,
}

impl Nvgre {
    /// Reads a header; `None` if it is another kind of GRE.
    #[inline(always)]
    pub const fn read(bytes: &[u8; LEN]) -> Option<Self> {
        let [a, b, c, d, v0, v1, v2, flow_id] = *bytes;
        if u32::from_be_bytes([a, b, c, d]) != u32::from_be_bytes(PREFIX) {
            return None;
        }
        Some(Self {
            vsid: u32::from_be_bytes([0, v0, v1, v2]),
            flow_id,
        })
    }

    /// The header's bytes.
    #[inline(always)]
    pub const fn write(&self) -> [u8; LEN] {
        let [a, b, c, d] = PREFIX;
        let [_, v0, v1, v2] = self.vsid.to_be_bytes();
        [a, b, c, d, v0, v1, v2, self.flow_id]
    }
}
