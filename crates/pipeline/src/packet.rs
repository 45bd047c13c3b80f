//! The two views of a frame: [`Packet`] to decide with, [`Frame`] to carry a decision out with.
//!
//! In the kernel both are an skb; in user space both are bytes ([`crate::Buffer`]).

use crate::encapsulation::Encapsulation;
use crate::headers::{EthernetWords, Words};

/// What is known of a frame beside its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Meta {
    /// Interface index of the device that the frame came in by.
    pub ifindex: u32,
    /// Length of the frame in bytes, the Ethernet header included.
    pub len: u32,
    /// Payload bytes of each segment that the frame stands for (`gso_size`); 0 if it stands for itself.
    pub segment: u32,
    /// An 802.1Q tag was taken off the frame by the device and stands beside it.
    pub vlan: bool,
    /// The VLAN identifier of that tag; [`crate::segment::NO_VLAN`] if it is not an 802.1Q one.
    pub tag: u16,
    /// The frame was put back to the uplink by [`crate::Action::Relay`], so as to be sent on.
    pub relayed: bool,
    /// This host's programs have decided about the frame already and let it pass the uplink, one way or the other.
    pub decided: bool,
}

/// Reads a frame.
pub trait Packet {
    /// The `N` bytes from an offset that is a constant after inlining; `None` if the frame ends before.
    fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;
    /// The `2 N` bytes from an offset that is a constant after inlining, as words; `None` if the frame ends before.
    #[inline(always)]
    fn words<const N: usize>(&self, offset: usize) -> Option<Words<N>> {
        let mut words = [0; N];
        let mut i = 0;
        while i < N {
            let bytes = self.bytes::<2>(offset + 2 * i)?;
            if let Some(word) = words.get_mut(i) {
                *word = u16::from_ne_bytes(bytes);
            }
            i += 1;
        }
        Some(words)
    }
    /// The `N` bytes from any offset; `None` if the frame ends before. Slower than [`Packet::bytes`] in the kernel.
    fn bytes_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;
}

/// A packet to be read at offsets that are not constants.
pub struct AnyOffset<'a, P>(pub &'a P);

impl<P: Packet> Packet for AnyOffset<'_, P> {
    #[inline(always)]
    fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.0.bytes_at(offset)
    }

    #[inline(always)]
    fn bytes_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.0.bytes_at(offset)
    }
}

/// The frame could not be changed: too long, or no memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoRoom;

/// The network protocol of a frame's payload, as far as the kernel's helpers want to know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Network {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Anything else, ARP for example.
    #[default]
    Other,
}

/// How a checksum of the transport layer depends on what changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChecksumField {
    /// Offset of the checksum in the frame.
    pub offset: usize,
    /// The change is in the pseudo header (addresses), which devices that compute checksums take as done already.
    pub pseudo: bool,
    /// UDP: a checksum of zero means that there is none (RFC 768) and stays so.
    pub udp: bool,
}

/// Changes a frame.
///
/// A change that fails leaves a frame that must be dropped.
pub trait Frame: Packet {
    /// Overwrites bytes.
    ///
    /// # Errors
    /// When the frame ends before.
    fn store<const N: usize>(&mut self, offset: usize, bytes: &[u8; N]) -> Result<(), NoRoom>;
    /// Overwrites bytes, given as words.
    ///
    /// # Errors
    /// When the frame ends before.
    fn store_words<const N: usize>(&mut self, offset: usize, words: &Words<N>) -> Result<(), NoRoom>;
    /// Corrects a transport checksum by a difference in the sense of [`crate::checksum::difference`].
    ///
    /// # Errors
    /// When the frame ends before.
    fn correct_checksum(&mut self, field: ChecksumField, difference: u16) -> Result<(), NoRoom>;
    /// Cuts the frame, or lengthens it with zeros, to this many bytes.
    ///
    /// # Errors
    /// When the length is out of bounds.
    fn resize(&mut self, len: usize) -> Result<(), NoRoom>;
    /// Opens `room` bytes, of any content, behind the Ethernet header of an IP packet.
    ///
    /// # Errors
    /// When there is no room.
    fn open(&mut self, room: usize) -> Result<(), NoRoom>;
    /// Puts the frame, whose payload is `inner`, behind outer headers of protocol `outer`: the first 7 words of `header`
    /// are the outer Ethernet header, its last 7 replace the frame's own.
    ///
    /// # Errors
    /// When there is no room.
    fn encapsulate<const N: usize>(
        &mut self,
        header: &Words<N>,
        encapsulation: Encapsulation,
        outer: Network,
        inner: Network,
    ) -> Result<(), NoRoom>;
    /// Puts `header` before the frame and forgets what the kernel knew of the frame's structure; for the second and
    /// later copies of a flooded frame, whose outer headers `header` replaces from the front.
    ///
    /// # Errors
    /// When there is no room.
    fn prepend<const N: usize>(&mut self, room: usize, header: &Words<N>) -> Result<(), NoRoom>;
    /// Takes `room` bytes off behind the first 14, outer headers, UDP's or not, and makes `ethernet` the frame's Ethernet
    /// header.
    ///
    /// # Errors
    /// When the frame is shorter.
    fn decapsulate(&mut self, room: usize, udp: bool, ethernet: &EthernetWords, inner: Network) -> Result<(), NoRoom>;
    /// Gives a frame without a tag an 802.1Q tag with this VLAN identifier.
    ///
    /// # Errors
    /// When there is no room.
    fn push_tag(&mut self, vlan: u16) -> Result<(), NoRoom>;
    /// Takes the 802.1Q tag off, whether it stands in the frame or beside it.
    ///
    /// # Errors
    /// When the frame is shorter.
    fn pop_tag(&mut self) -> Result<(), NoRoom>;
}
