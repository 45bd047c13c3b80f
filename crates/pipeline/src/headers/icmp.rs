//! ICMP (RFC 792) and ICMPv6 (RFC 4443): echo, and the errors that a router reports.

/// Most bytes of the offending packet that an ICMP error quotes: the whole answer fits in 576 bytes (RFC 1812, 4.3.2.3).
pub const QUOTE_V4: usize = 544;
/// Most bytes of the offending packet that an ICMPv6 error quotes: the whole answer fits in 1,280 bytes (RFC 4443, 2.4).
pub const QUOTE_V6: usize = 1_232;

/// Length of the ICMP header of echo and of errors.
pub const LEN: usize = 8;

/// Type of an echo request.
#[inline(always)]
pub const fn echo_request(v4: bool) -> u8 {
    if v4 { 8 } else { 128 }
}

/// Type of an echo reply.
#[inline(always)]
pub const fn echo_reply(v4: bool) -> u8 {
    if v4 { 0 } else { 129 }
}

/// Whether a message of this type is itself an error, which must never be answered by another (RFC 1122, 3.2.2;
/// RFC 4443, 2.4).
#[inline(always)]
pub const fn is_error(v4: bool, kind: u8) -> bool {
    if v4 { matches!(kind, 3 | 4 | 5 | 11 | 12) } else { kind < 128 }
}

/// An error that a router reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IcmpError {
    /// The time to live, or hop limit, ran out.
    TimeExceeded,
    /// The packet is larger than this many bytes.
    TooBig(u32),
}

impl IcmpError {
    /// The ICMP header, its checksum zero.
    #[inline(always)]
    pub const fn write(self, v4: bool) -> [u8; LEN] {
        match self {
            Self::TimeExceeded => [if v4 { 11 } else { 3 }, 0, 0, 0, 0, 0, 0, 0],
            Self::TooBig(mtu) => {
                let [m0, m1, m2, m3] = mtu.to_be_bytes();
                // ICMP has 16 bits for the MTU (RFC 1191, section 4), ICMPv6 has 32.
                if v4 { [3, 4, 0, 0, 0, 0, m2, m3] } else { [2, 0, 0, 0, m0, m1, m2, m3] }
            }
        }
    }
}
