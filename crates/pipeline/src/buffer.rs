//! A frame in a slice of bytes: the user-space counterpart of an skb, for tests and `netvirt trace`.

use crate::checksum;
use crate::encapsulation::Encapsulation;
use crate::headers::{ETHERNET_LEN, EthernetWords, Words, ethernet, ip};
use crate::packet::{ChecksumField, Frame, Network, NoRoom, Packet};

/// Where a tag stands: behind the two MAC addresses.
const TAG_AT: usize = 12;
/// Length of a tag.
const TAG_LEN: usize = 4;

/// A frame in a buffer of fixed capacity.
#[derive(Debug)]
pub struct Buffer<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl<'a> Buffer<'a> {
    /// A frame of `len` bytes at the beginning of `bytes`, whose rest is room to grow. A `len` beyond it is cut.
    pub fn new(bytes: &'a mut [u8], len: usize) -> Self {
        let len = len.min(bytes.len());
        Self { bytes, len }
    }

    /// The frame.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Makes room for `room` bytes at `at`, moving what stands behind.
    fn insert(&mut self, at: usize, room: usize) -> Result<(), NoRoom> {
        if at > self.len || self.len + room > self.bytes.len() {
            return Err(NoRoom);
        }
        self.bytes.copy_within(at..self.len, at + room);
        self.bytes[at..at + room].fill(0);
        self.len += room;
        Ok(())
    }
}

impl Packet for Buffer<'_> {
    fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.as_slice().get(offset..offset + N)?.try_into().ok()
    }

    fn bytes_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.bytes(offset)
    }
}

impl Frame for Buffer<'_> {
    fn store<const N: usize>(&mut self, offset: usize, bytes: &[u8; N]) -> Result<(), NoRoom> {
        let len = self.len;
        let target = self.bytes[..len].get_mut(offset..offset + N).ok_or(NoRoom)?;
        target.copy_from_slice(bytes);
        Ok(())
    }

    fn store_words<const N: usize>(&mut self, offset: usize, words: &Words<N>) -> Result<(), NoRoom> {
        for (index, word) in words.iter().enumerate() {
            self.store(offset + 2 * index, &word.to_ne_bytes())?;
        }
        Ok(())
    }

    fn correct_checksum(&mut self, field: ChecksumField, difference: u16) -> Result<(), NoRoom> {
        let old = u16::from_be_bytes(self.bytes(field.offset).ok_or(NoRoom)?);
        if field.udp && old == 0 {
            return Ok(());
        }
        let mut new = checksum::correct(old, difference);
        if field.udp && new == 0 {
            new = 0xffff;
        }
        self.store(field.offset, &new.to_be_bytes())
    }

    fn resize(&mut self, len: usize) -> Result<(), NoRoom> {
        if len > self.bytes.len() {
            return Err(NoRoom);
        }
        if len > self.len {
            self.bytes[self.len..len].fill(0);
        }
        self.len = len;
        Ok(())
    }

    fn open(&mut self, room: usize) -> Result<(), NoRoom> {
        self.insert(ETHERNET_LEN, room)
    }

    fn encapsulate<const N: usize>(
        &mut self,
        header: &Words<N>,
        _encapsulation: Encapsulation,
        _outer: Network,
        _inner: Network,
    ) -> Result<(), NoRoom> {
        self.prepend(2 * N - ETHERNET_LEN, header)
    }

    fn prepend<const N: usize>(&mut self, room: usize, header: &Words<N>) -> Result<(), NoRoom> {
        self.insert(0, room)?;
        self.store_words(0, header)
    }

    fn decapsulate(&mut self, room: usize, _udp: bool, ethernet: &EthernetWords, inner: Network) -> Result<(), NoRoom> {
        // The kernel's helper wants an IP header to be left, and takes what is not IP for IPv4.
        let least = if inner == Network::V6 { ip::V6_LEN } else { ip::V4_LEN };
        if self.len < ETHERNET_LEN + room + least {
            return Err(NoRoom);
        }
        self.bytes.copy_within(ETHERNET_LEN + room..self.len, ETHERNET_LEN);
        self.len -= room;
        self.store_words(0, ethernet)
    }

    fn push_tag(&mut self, vlan: u16) -> Result<(), NoRoom> {
        self.insert(TAG_AT, TAG_LEN)?;
        let [high, low] = vlan.to_be_bytes();
        let [first, second] = ethernet::VLAN.to_be_bytes();
        self.store(TAG_AT, &[first, second, high, low])
    }

    /// A tag beside the frame is none of the bytes.
    fn pop_tag(&mut self) -> Result<(), NoRoom> {
        if self.bytes::<2>(TAG_AT) == Some(ethernet::VLAN.to_be_bytes()) {
            if self.len < TAG_AT + TAG_LEN {
                return Err(NoRoom);
            }
            self.bytes.copy_within(TAG_AT + TAG_LEN..self.len, TAG_AT);
            self.len -= TAG_LEN;
        }
        Ok(())
    }
}
