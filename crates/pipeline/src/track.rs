//! Connection tracking: what is known of a flow, how a packet changes it, and how long it is kept.
//!
//! One small machine for all protocols. For TCP it follows the flags (RFC 9293, 3.3.2), as far as it matters who may
//! speak: sequence numbers are the VMs' own business. For others a flow is open as soon as it has been answered
//! (RFC 4787, REQ-5 for UDP).

use crate::headers::ip;
use crate::policy::Direction;

/// TCP flags (RFC 9293, 3.1).
pub const FIN: u8 = 0x01;
/// See [`FIN`].
pub const SYN: u8 = 0x02;
/// See [`FIN`].
pub const RST: u8 = 0x04;
/// See [`FIN`].
pub const ACK: u8 = 0x10;

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// How far a flow has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Phase {
    /// One side has spoken.
    #[default]
    New = 0,
    /// TCP: the other side has answered the SYN.
    Opening = 1,
    /// Both sides have spoken; TCP: the handshake is complete.
    Open = 2,
    /// TCP: one side has said that it has no more to send.
    Closing = 3,
    /// TCP: both sides have.
    Closed = 4,
    /// TCP: one side has broken it off.
    Reset = 5,
}

impl Phase {
    /// The phase with this number.
    #[inline(always)]
    pub const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::New,
            1 => Self::Opening,
            2 => Self::Open,
            3 => Self::Closing,
            4 => Self::Closed,
            _ => Self::Reset,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Opening => "opening",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Closed => "closed",
            Self::Reset => "reset",
        }
    }

    /// Whether nobody can be sure yet that both sides want the flow: such flows have a limit of their own.
    #[inline(always)]
    pub const fn is_half_open(self) -> bool {
        (self as u8) < Self::Open as u8
    }
}

/// What is known of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct State {
    /// How far it has come.
    pub phase: Phase,
    /// Who opened it.
    pub opener: Direction,
    /// The port's own side has sent a FIN.
    pub local_fin: bool,
    /// The other side has.
    pub remote_fin: bool,
    /// The policy epoch under which the port's security groups let it pass.
    pub epoch: u32,
}

impl State {
    /// As [`crate::flow::Flow::state`] holds it.
    #[inline(always)]
    pub const fn to_bits(self) -> u64 {
        self.phase as u64
            | (self.opener as u64) << 8
            | (self.local_fin as u64) << 9
            | (self.remote_fin as u64) << 10
            | (self.epoch as u64) << 32
    }

    /// The reverse of [`State::to_bits`].
    #[inline(always)]
    pub const fn from_bits(bits: u64) -> Self {
        Self {
            phase: Phase::from_number(bits as u8),
            opener: if bits & (1 << 8) != 0 { Direction::Ingress } else { Direction::Egress },
            local_fin: bits & (1 << 9) != 0,
            remote_fin: bits & (1 << 10) != 0,
            epoch: (bits >> 32) as u32,
        }
    }

    /// What a flow is after its first packet. A TCP connection is taken up in its middle too, as by Linux
    /// (`nf_conntrack_tcp_loose`), so that VMs that move, and hosts that forgot, break none.
    #[inline(always)]
    pub const fn opened(opener: Direction, epoch: u32) -> Self {
        Self { phase: Phase::New, opener, local_fin: false, remote_fin: false, epoch }
    }

    /// What it is after another packet, which goes in this direction; `flags` are TCP's, 0 for other protocols.
    #[inline(always)]
    pub const fn advance(mut self, protocol: u8, flags: u8, direction: Direction) -> Self {
        let answer = direction as u32 != self.opener as u32;
        if protocol != ip::TCP {
            if answer {
                self.phase = Phase::Open;
            }
            return self;
        }
        if flags & RST != 0 {
            self.phase = Phase::Reset;
            return self;
        }
        match self.phase {
            Phase::New if answer => self.phase = if flags & SYN != 0 { Phase::Opening } else { Phase::Open },
            Phase::Opening if !answer && flags & (SYN | ACK) == ACK => self.phase = Phase::Open,
            _ => {}
        }
        if flags & FIN != 0 {
            match direction {
                Direction::Egress => self.local_fin = true,
                Direction::Ingress => self.remote_fin = true,
            }
        }
        if matches!(self.phase, Phase::Open | Phase::Closing) {
            self.phase = match (self.local_fin, self.remote_fin) {
                (false, false) => Phase::Open,
                (true, true) => Phase::Closed,
                _ => Phase::Closing,
            };
        }
        self
    }

    /// Whether a packet begins a flow anew with the addresses and ports of one that has ended (RFC 9293, 3.6.1; RFC 6191).
    #[inline(always)]
    pub const fn is_reopened(self, protocol: u8, flags: u8) -> bool {
        protocol == ip::TCP && flags & (SYN | ACK | RST) == SYN && matches!(self.phase, Phase::Closed | Phase::Reset)
    }

    /// How long a flow is kept after its last packet, in nanoseconds: the times of Linux's connection tracking
    /// (`tcp_timeouts`, `udp_timeouts`, `icmp_timeout`), but for half-open flows, which get less, and idle ones of protocols
    /// that no timeout is standard for.
    #[inline(always)]
    pub const fn timeout(self, protocol: u8) -> u64 {
        let seconds = match (protocol, self.phase) {
            (ip::TCP, Phase::New | Phase::Opening) => 60,
            (ip::TCP, Phase::Open) => 432_000,
            (ip::TCP, Phase::Closing | Phase::Closed) => 120,
            (ip::TCP, Phase::Reset) => 10,
            (ip::ICMP | ip::ICMPV6, _) => 30,
            (_, Phase::New) => 30,
            (_, _) => 120,
        };
        seconds * SECOND
    }

    /// Whether it has been forgotten at the time `now`, having been seen last at `seen`.
    #[inline(always)]
    pub const fn is_over(self, protocol: u8, seen: u64, now: u64) -> bool {
        now.saturating_sub(seen) > self.timeout(protocol)
    }
}
