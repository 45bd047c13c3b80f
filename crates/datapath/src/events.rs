//! What the kernel programs tell the agent: addresses to learn.

use std::os::fd::AsFd as _;

use aya::maps::{MapData, MapError, RingBuf};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pipeline::{Address, Learn};

use crate::Datapath;
use crate::error::Error;

/// The agent's end of the ring of events.
pub struct Events(RingBuf<MapData>);

impl Datapath {
    /// The ring of events; there is only one end, so it can be taken once.
    ///
    /// # Errors
    /// When it has been taken.
    pub fn take_events(&mut self) -> Result<Events, Error> {
        let map = self.ebpf.take_map("EVENTS").ok_or(Error::Missing("EVENTS, which has been taken already"))?;
        map.try_into().map(Events).map_err(|e: MapError| Error::map("open", "EVENTS", &e))
    }
}

impl Events {
    /// Waits until there is an event.
    ///
    /// # Errors
    /// When the kernel does not let wait.
    pub fn wait(&self) -> std::io::Result<()> {
        let mut ring = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut ring, PollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => {}
                result => return result.map(|_| ()).map_err(Into::into),
            }
        }
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
}
