//! What the kernel programs tell the agent: addresses to learn, and frames that it answers.

use std::os::fd::AsFd as _;

use aya::maps::{MapData, MapError, RingBuf};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pipeline::flow::FlowKey;
use pipeline::policy::Logged;
use pipeline::{Address, Learn};

use crate::Datapath;
use crate::error::Error;

/// The agent's end of the ring of events.
pub struct Events(RingBuf<MapData>);

/// The agent's end of the ring of punted frames.
pub struct Punts(RingBuf<MapData>);

/// The agent's end of the ring of packets that rules want to be logged.
pub struct Logs(RingBuf<MapData>);

/// A frame that the agent answers: DHCP, DHCPv6, a router solicitation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Punt {
    /// Interface index of the port's device, to which the answer goes.
    pub ifindex: u32,
    /// VSID of the port; a number that is no VSID for a port of a physical network.
    pub vsid: u32,
    /// The frame as the VM sent it, from its Ethernet header on. The VM may have left the UDP checksum to its network
    /// interface, as virtual ones let it: it must not be verified.
    pub frame: Vec<u8>,
}

impl Datapath {
    /// The ring of events; there is only one end, so it can be taken once.
    ///
    /// # Errors
    /// When it has been taken.
    pub fn take_events(&mut self) -> Result<Events, Error> {
        let map = self.ebpf.take_map("EVENTS").ok_or(Error::Missing("EVENTS, which has been taken already"))?;
        map.try_into().map(Events).map_err(|e: MapError| Error::map("open", "EVENTS", &e))
    }

    /// The ring of punted frames; there is only one end, so it can be taken once.
    ///
    /// # Errors
    /// When it has been taken.
    pub fn take_punts(&mut self) -> Result<Punts, Error> {
        let map = self.ebpf.take_map("PUNTS").ok_or(Error::Missing("PUNTS, which has been taken already"))?;
        map.try_into().map(Punts).map_err(|e: MapError| Error::map("open", "PUNTS", &e))
    }
}

impl Datapath {
    /// The ring of packets that rules want to be logged; there is only one end, so it can be taken once.
    ///
    /// # Errors
    /// When it has been taken.
    pub fn take_logs(&mut self) -> Result<Logs, Error> {
        let map = self.ebpf.take_map("LOGS").ok_or(Error::Missing("LOGS, which has been taken already"))?;
        map.try_into().map(Logs).map_err(|e: MapError| Error::map("open", "LOGS", &e))
    }
}

impl Logs {
    /// Waits until there is a packet.
    ///
    /// # Errors
    /// When the kernel does not let wait.
    pub fn wait(&self) -> std::io::Result<()> {
        wait(&self.0)
    }

    /// The next packet, if there is one.
    pub fn next_logged(&mut self) -> Option<Logged> {
        loop {
            let item = self.0.next()?;
            if let Some(logged) = decode_logged(&item) {
                return Some(logged);
            }
        }
    }
}

impl Events {
    /// Waits until there is an event.
    ///
    /// # Errors
    /// When the kernel does not let wait.
    pub fn wait(&self) -> std::io::Result<()> {
        wait(&self.0)
    }

    /// The next event, if there is one.
    pub fn next_event(&mut self) -> Option<Learn> {
        loop {
            let item = self.0.next()?;
            if let Some(learn) = decode(&item) {
                return Some(learn);
            }
        }
    }
}

impl Punts {
    /// Waits until there is a frame.
    ///
    /// # Errors
    /// When the kernel does not let wait.
    pub fn wait(&self) -> std::io::Result<()> {
        wait(&self.0)
    }

    /// The next frame, if there is one.
    pub fn next_punt(&mut self) -> Option<Punt> {
        loop {
            let item = self.0.next()?;
            if let Some(punt) = decode_punt(&item) {
                return Some(punt);
            }
        }
    }
}

/// Waits until a ring has something to read.
fn wait(ring: &RingBuf<MapData>) -> std::io::Result<()> {
    let mut ring = [PollFd::new(ring.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut ring, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => {}
            result => return result.map(|_| ()).map_err(Into::into),
        }
    }
}

/// Reads a [`pipeline::Punted`] by its layout: interface index, VSID, counter slot, length, frame.
fn decode_punt(bytes: &[u8]) -> Option<Punt> {
    let number = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let length = number(12)? as usize;
    Some(Punt { ifindex: number(0)?, vsid: number(4)?, frame: bytes.get(16..16 + length)?.to_vec() })
}

/// Reads a [`Logged`] by its layout: interface index, side, place of the rule, whether it may pass, and the flow's key.
fn decode_logged(bytes: &[u8]) -> Option<Logged> {
    let number = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let address = |at: usize| Some(Address::new(bytes.get(at..at + 16)?.try_into().ok()?));
    let key = FlowKey {
        vsid: number(16)?,
        ports: number(20)?,
        mac: bytes.get(24..30)?.try_into().ok()?,
        protocol: *bytes.get(30)?,
        reserved: 0,
        local: address(32)?,
        remote: address(48)?,
    };
    Some(Logged { ifindex: number(0)?, side: number(4)?, index: number(8)?, allowed: number(12)?, key })
}

/// Reads an event by its layout: interface index, VSID, address, MAC address, two bytes of zero.
fn decode(bytes: &[u8]) -> Option<Learn> {
    let ifindex = u32::from_ne_bytes(bytes.get(0..4)?.try_into().ok()?);
    let vsid = u32::from_ne_bytes(bytes.get(4..8)?.try_into().ok()?);
    let address = Address::new(bytes.get(8..24)?.try_into().ok()?);
    let mac = bytes.get(24..30)?.try_into().ok()?;
    Some(Learn { ifindex, vsid, address, mac, reserved: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_by_its_layout() {
        assert_eq!(size_of::<Learn>(), 32);
        let mut bytes = Vec::new();
        bytes.extend(7u32.to_ne_bytes());
        bytes.extend(5001u32.to_ne_bytes());
        bytes.extend(Address::v4([10, 0, 0, 5]).octets());
        bytes.extend([6, 6, 0, 0, 0, 5, 0, 0]);
        let learn = decode(&bytes).unwrap();
        assert_eq!((learn.ifindex, learn.vsid), (7, 5001));
        assert_eq!(learn.address, Address::v4([10, 0, 0, 5]));
        assert_eq!(learn.mac, [6, 6, 0, 0, 0, 5]);
        assert_eq!(decode(&bytes[..29]), None);
    }

    #[test]
    fn a_logged_packet_is_read_by_its_layout() {
        assert_eq!(size_of::<Logged>(), 64);
        let mut bytes = Vec::new();
        for number in [7u32, 3, 12, 1, 5001, (40_000 << 16) | 443] {
            bytes.extend(number.to_ne_bytes());
        }
        bytes.extend([6, 6, 0, 0, 0, 5, 17, 0]);
        bytes.extend(Address::v4([10, 0, 0, 5]).octets());
        bytes.extend(Address::v4([10, 0, 0, 7]).octets());
        let logged = decode_logged(&bytes).unwrap();
        assert_eq!((logged.ifindex, logged.side, logged.index, logged.allowed), (7, 3, 12, 1));
        assert_eq!((logged.key.vsid, logged.key.ports, logged.key.protocol), (5001, (40_000 << 16) | 443, 17));
        assert_eq!((logged.key.local, logged.key.remote), (Address::v4([10, 0, 0, 5]), Address::v4([10, 0, 0, 7])));
        assert_eq!((logged.key.mac, decode_logged(&bytes[..63])), ([6, 6, 0, 0, 0, 5], None));
    }

    #[test]
    fn a_punted_frame_is_read_by_its_layout() {
        let mut bytes = Vec::new();
        for number in [7u32, 5001, 3, 60] {
            bytes.extend(number.to_ne_bytes());
        }
        assert_eq!(std::mem::offset_of!(pipeline::Punted, frame), bytes.len());
        bytes.extend([0xab; 60]);
        bytes.extend([0xcd; 1460]);
        let punt = decode_punt(&bytes).unwrap();
        assert_eq!(punt, Punt { ifindex: 7, vsid: 5001, frame: vec![0xab; 60] });
        assert_eq!(decode_punt(&bytes[..75]), None);
        assert_eq!(decode_punt(&bytes[..15]), None);
    }
}
