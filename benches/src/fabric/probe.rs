//! One ICMP echo request after the other, until one is answered.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use host::Namespace;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recv, sendto, socket};
use std::os::fd::AsFd;

use crate::error::Tried;
use crate::{Error, interrupt};

/// How long an answer is waited for before the next request goes out.
const PAUSE: Duration = Duration::from_micros(500);

/// A socket for ICMP in a namespace.
pub struct Probe {
    socket: OwnedFd,
    target: SockaddrIn,
    sequence: u16,
}

impl Probe {
    /// Towards this address.
    pub fn open(namespace: &Namespace, target: Ipv4Addr) -> Result<Self, Error> {
        let open = || socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_NONBLOCK, SockProtocol::Icmp);
        let socket = namespace.run(open)?.map_err(std::io::Error::from).tried("open a socket for ICMP")?;
        let [a, b, c, d] = target.octets();
        Ok(Self { socket, target: SockaddrIn::new(a, b, c, d, 0), sequence: 0 })
    }

    /// Asks until there is an answer, and says when it came; none within the limit.
    pub fn until_answered(&mut self, limit: Duration) -> Result<Option<Instant>, Error> {
        let end = Instant::now() + limit;
        while Instant::now() < end && !interrupt::asked() {
            if self.ask()? {
                return Ok(Some(Instant::now()));
            }
        }
        Ok(None)
    }

    /// One request; whether an answer to any of ours came within the pause.
    pub fn ask(&mut self) -> Result<bool, Error> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = request(self.sequence);
        // That there is no way yet, or no room in a queue, is what the next request is for.
        let _ = sendto(self.socket.as_raw_fd(), &request, &self.target, MsgFlags::empty());
        let until = Instant::now() + PAUSE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let mut waiting = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match ppoll(&mut waiting, Some(left.into()), None) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(std::io::Error::from(error)).tried("wait for an answer"),
            }
            let mut answer = [0; 256];
            match recv(self.socket.as_raw_fd(), &mut answer, MsgFlags::empty()) {
                Ok(length) if is_answer(&answer[..length]) => return Ok(true),
                Ok(_) => {}
                // Nothing came; or "Unreachable" of an earlier request, for example.
                Err(_) => {}
            }
        }
    }
}

/// The identifier of our requests.
const IDENTIFIER: u16 = 0x6e76;

/// An echo request of 8 bytes (RFC 792).
fn request(sequence: u16) -> [u8; 8] {
    let [i, j] = IDENTIFIER.to_be_bytes();
    let [s, t] = sequence.to_be_bytes();
    let sum = 0x0800_u32 + u32::from(IDENTIFIER) + u32::from(sequence);
    let folded = (sum & 0xffff) + (sum >> 16);
    let [x, y] = (!u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or_default()).to_be_bytes();
    [8, 0, x, y, i, j, s, t]
}

/// Whether an IPv4 packet is an echo reply to one of ours.
fn is_answer(packet: &[u8]) -> bool {
    let header = packet.first().map_or(0, |first| usize::from(first & 15) * 4);
    let [i, j] = IDENTIFIER.to_be_bytes();
    matches!(packet.get(header..header + 6), Some([0, 0, _, _, a, b]) if (*a, *b) == (i, j))
}
