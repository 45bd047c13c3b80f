//! Idle connections, over which nothing is said until all moves are over; then the VM that stayed speaks first. Half of them the
//! guest has opened, at a port that nobody may open towards it; the others were opened towards it, at a port that is open.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::scene::{GUEST, GUEST_ADDRESS, LIMIT, PEER, PEER_ADDRESS, Scene};
use crate::Error;
use crate::error::Tried;

/// Where the peer listens, and where the guest does.
const PORT: u16 = 9000;
const GUEST_PORT: u16 = 9001;
/// How long they may take to be there: an emulated guest starts a program for each.
const OPEN_LIMIT: Duration = Duration::from_secs(120);
/// How long the answers of all may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);
/// What is said, and said again.
const WORDS: [u8; 6] = *b"hello\n";

/// The peer's ends.
pub(super) struct Held {
    opened_by_guest: Vec<TcpStream>,
    opened_to_guest: Vec<TcpStream>,
}

/// How many connections there were of a kind, and how many carried something at the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Kept {
    /// There were.
    pub of: usize,
    /// That carried something.
    pub kept: usize,
}

impl Held {
    /// Opens so many; what the guest hears on one it says again.
    pub(super) fn open(scene: &Scene, count: usize) -> Result<Self, Error> {
        let address = |ip: &str, port| format!("{ip}:{port}").parse::<SocketAddr>().map_err(std::io::Error::other);
        let (own, guests) =
            (address(PEER_ADDRESS, PORT).tried("listen")?, address(GUEST_ADDRESS, GUEST_PORT).tried("connect")?);
        let namespace = scene.lab.vm(PEER)?;
        let listener = namespace.namespace().run(|| TcpListener::bind(own))?.tried("listen")?;
        let (by, to) = (count.div_ceil(2), count / 2);
        let script = format!(
            "cat >/tmp/open <<'END'\nfor i in $(seq {by}); do nc {PEER_ADDRESS} {PORT} -e cat & done\nnc -ll -p {GUEST_PORT} -e cat\nEND\n\
             setsid sh /tmp/open >/dev/null 2>&1 </dev/null &"
        );
        scene.lab.vm(GUEST)?.output(&["sh", "-c", &script], LIMIT)?.ok()?;
        let end = Instant::now() + OPEN_LIMIT;
        let opened_by_guest = accepted(&listener, by, end)?;
        let mut opened_to_guest = Vec::new();
        while opened_to_guest.len() < to {
            match namespace.namespace().run(|| TcpStream::connect_timeout(&guests, LIMIT))? {
                Ok(stream) => opened_to_guest.push(stream),
                Err(_) if Instant::now() < end => std::thread::sleep(PAUSE),
                Err(source) => return Err(Error::Socket { action: "connect to the guest", source }),
            }
        }
        for stream in opened_by_guest.iter().chain(&opened_to_guest) {
            stream.set_nonblocking(true).tried("have a socket not wait")?;
        }
        Ok(Self { opened_by_guest, opened_to_guest })
    }

    /// How many of both kinds still carry what is said, and the answer: those that the guest has opened, and the others.
    pub(super) fn still_answer(self) -> [Kept; 2] {
        [self.opened_by_guest, self.opened_to_guest].map(answers)
    }
}

/// Accepts so many connections.
fn accepted(listener: &TcpListener, count: usize, end: Instant) -> Result<Vec<TcpStream>, Error> {
    listener.set_nonblocking(true).tried("listen without waiting")?;
    let mut streams = Vec::new();
    while streams.len() < count {
        match listener.accept() {
            Ok((stream, _)) => streams.push(stream),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && Instant::now() < end => {
                std::thread::sleep(PAUSE);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                let what = format!("the guest has opened {} of {count} connections", streams.len());
                return Err(Error::Late { what, seconds: OPEN_LIMIT.as_secs(), log: String::new() });
            }
            Err(source) => return Err(Error::Socket { action: "accept a connection", source }),
        }
    }
    Ok(streams)
}

/// Says something on all of them, and counts who answers.
fn answers(streams: Vec<TcpStream>) -> Kept {
    let of = streams.len();
    let said =
        streams.into_iter().filter_map(|mut stream| stream.write_all(&WORDS).is_ok().then_some((stream, Vec::new())));
    let mut waiting: Vec<(TcpStream, Vec<u8>)> = said.collect();
    let (mut kept, end) = (0, Instant::now() + ANSWER_LIMIT);
    while !waiting.is_empty() && Instant::now() < end {
        waiting.retain_mut(|(stream, heard)| {
            let mut bytes = [0; WORDS.len()];
            if let Ok(count) = stream.read(&mut bytes) {
                heard.extend_from_slice(&bytes[..count]);
                kept += usize::from(*heard == WORDS);
                // One that has ended says nothing more.
                return count > 0 && *heard != WORDS;
            }
            true
        });
        std::thread::sleep(PAUSE);
    }
    Kept { of, kept }
}
