//! ARP for IPv4 over Ethernet (RFC 826).

use super::{part, put};
use crate::packet::Packet;

/// Length of the message.
pub const LEN: usize = 28;

/// An ARP message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Arp {
    /// Request (1) or reply (2).
    pub request: bool,
    /// Sender's MAC address.
    pub sender_mac: [u8; 6],
    /// Sender's IPv4 address; 0.0.0.0 in a probe (RFC 5227).
    pub sender: [u8; 4],
    /// Target's MAC address, of no meaning in a request.
    pub target_mac: [u8; 6],
    /// Target's IPv4 address.
    pub target: [u8; 4],
}

impl Arp {
    /// Reads the message at `offset` into this; false if it is truncated, of other networks, or of an operation other than
    /// request and reply.
    #[inline(always)]
    pub fn read<P: Packet>(&mut self, packet: &P, offset: usize) -> bool {
        let Some(bytes) = packet.bytes::<LEN>(offset) else { return false };
        let header: [u8; 6] = part(&bytes, 0);
        let operation = u16::from_be_bytes(part(&bytes, 6));
        if header != [0, 1, 0x08, 0, 6, 4] || operation == 0 || operation > 2 {
            return false;
        }
        self.request = operation == 1;
        self.sender_mac = part(&bytes, 8);
        self.sender = part(&bytes, 14);
        self.target_mac = part(&bytes, 18);
        self.target = part(&bytes, 24);
        true
    }

    /// The message's bytes.
    #[inline(always)]
    pub fn write(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        put(&mut bytes, 0, [0, 1, 0x08, 0, 6, 4, 0, if self.request { 1 } else { 2 }]);
        put(&mut bytes, 8, self.sender_mac);
        put(&mut bytes, 14, self.sender);
        put(&mut bytes, 18, self.target_mac);
        put(&mut bytes, 24, self.target);
        bytes
    }
}
