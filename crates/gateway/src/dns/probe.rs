//! Whether the servers that dnsmasq asks answer at all: each is asked now and then for what any server can say something to.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::{Duration, Instant};

use host::Namespace;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a server is asked that answers.
const RARELY: Duration = Duration::from_secs(30);
/// How often one is asked that does not.
const OFTEN: Duration = Duration::from_secs(5);
/// After so many questions without an answer it is said.
const MISSES: u32 = 2;
/// So many servers of a compartment are asked.
const SERVERS: usize = 32;

/// The servers of a compartment.
#[derive(Default)]
pub(super) struct Probes {
    servers: BTreeMap<IpAddr, Probe>,
}

struct Probe {
    /// The zone that it is asked for; empty, the root.
    zone: String,
    socket: Option<UdpSocket>,
    asked: Instant,
    next: Instant,
    number: u16,
    misses: u32,
}

impl Probes {
    /// These are the servers, with the zones that they are asked for.
    pub(super) fn set(&mut self, wanted: &BTreeMap<IpAddr, String>) {
        self.servers.retain(|server, probe| wanted.get(server).is_some_and(|zone| *zone == probe.zone));
        let now = Instant::now();
        for (server, zone) in wanted.iter().take(SERVERS) {
            let zone = zone.clone();
            let new = || Probe { zone, socket: None, asked: now, next: now, number: 0, misses: 0 };
            self.servers.entry(*server).or_insert_with(new);
        }
    }

    /// Takes answers, and asks whom it is time to ask. It waits for nothing.
    pub(super) fn tend(&mut self, namespace: &Namespace) {
        let now = Instant::now();
        for (server, probe) in &mut self.servers {
            probe.listen(now);
            if probe.socket.is_none() && probe.next <= now {
                probe.ask(namespace, *server, now);
            }
        }
    }

    /// Those that do not answer.
    pub(super) fn missed(&self) -> impl Iterator<Item = &IpAddr> {
        self.servers.iter().filter(|(_, probe)| probe.misses >= MISSES).map(|(server, _)| server)
    }
}

impl Probe {
    fn listen(&mut self, now: Instant) {
        let Some(socket) = &self.socket else { return };
        let mut answer = [0; 512];
        match socket.recv(&mut answer) {
            Ok(length) if is_answer(&answer[..length], self.number) => {
                (self.misses, self.next, self.socket) = (0, now + RARELY, None);
            }
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => self.miss(now),
            _ if now.duration_since(self.asked) >= PATIENCE => self.miss(now),
            _ => {}
        }
    }

    fn miss(&mut self, now: Instant) {
        self.misses = self.misses.saturating_add(1);
        self.next = if self.misses < MISSES { now } else { now + OFTEN };
        self.socket = None;
    }

    fn ask(&mut self, namespace: &Namespace, server: IpAddr, now: Instant) {
        self.number = self.number.wrapping_add(1);
        self.asked = now;
        let question = question(self.number, &self.zone);
        // A socket stays in the namespace that it was made in. A new one has a new port, so that late answers are not ours.
        let asked = namespace.run(|| {
            let any: IpAddr =
                if server.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
            let socket = UdpSocket::bind((any, 0))?;
            socket.set_nonblocking(true)?;
            socket.connect((server, 53))?;
            socket.send(&question)?;
            Ok::<_, io::Error>(socket)
        });
        match asked {
            Ok(Ok(socket)) => self.socket = Some(socket),
            _ => self.miss(now),
        }
    }
}

/// A question for the servers of a zone (RFC 1035, 4.1).
fn question(number: u16, zone: &str) -> Vec<u8> {
    const RECURSION_DESIRED: [u8; 2] = [1, 0];
    const ONE_QUESTION: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 0];
    const NS_IN: [u8; 4] = [0, 2, 0, 1];
    let mut bytes = [&number.to_be_bytes()[..], &RECURSION_DESIRED, &ONE_QUESTION].concat();
    for label in zone.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap_or_default());
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes.extend(NS_IN);
    bytes
}

/// Whether this is an answer to the question with this number, whatever it says.
fn is_answer(bytes: &[u8], number: u16) -> bool {
    const RESPONSE: u8 = 0x80;
    bytes.len() >= 12 && bytes[..2] == number.to_be_bytes() && bytes[2] & RESPONSE != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_as_it_is_on_the_wire() {
        let bytes = question(7, "corp.example");
        assert_eq!(bytes[..12], [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&bytes[12..], b"\x04corp\x07example\x00\x00\x02\x00\x01");
        assert!(!is_answer(&bytes, 7), "it is no answer to itself");
        let mut answer = bytes;
        answer[2] |= 0x80;
        assert!(is_answer(&answer, 7) && !is_answer(&answer, 8) && !is_answer(&answer[..11], 7));
    }
}
