//! Connections that the guest has opened and over which nothing is said until all moves are over.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::scene::{GUEST, LIMIT, PEER, PEER_ADDRESS, Scene};
use crate::Error;
use crate::error::Tried;

const PORT: u16 = 9000;
/// How long they may take to be there: an emulated guest starts a program for each.
const OPEN_LIMIT: Duration = Duration::from_secs(120);
/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// The peer's ends.
pub(super) struct Held {
    streams: Vec<TcpStream>,
}

impl Held {
    /// Has the guest open so many; what it hears on one it says again.
    pub(super) fn open(scene: &Scene, count: usize) -> Result<Self, Error> {
        let address: SocketAddr =
            format!("{PEER_ADDRESS}:{PORT}").parse().map_err(std::io::Error::other).tried("listen")?;
        let listener = scene.lab.vm(PEER)?.namespace().run(|| TcpListener::bind(address))?.tried("listen")?;
        listener.set_nonblocking(true).tried("listen without waiting")?;
        let script = format!(
            "cat >/tmp/open <<'END'\nfor i in $(seq {count}); do nc {PEER_ADDRESS} {PORT} -e cat & done\nwait\nEND\nsetsid sh /tmp/open \
             >/dev/null 2>&1 </dev/null &"
        );
        scene.lab.vm(GUEST)?.output(&["sh", "-c", &script], LIMIT)?.ok()?;
        let (mut streams, end) = (Vec::new(), Instant::now() + OPEN_LIMIT);
        while streams.len() < count {
            match listener.accept() {
                Ok((stream, _)) => streams.push(stream),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let what = format!("the guest has opened {} of {count} connections", streams.len());
                    return Err(Error::Late { what, seconds: OPEN_LIMIT.as_secs(), log: String::new() });
                }
                Err(source) => return Err(Error::Socket { action: "accept a connection", source }),
            }
        }
        for stream in &streams {
            stream.set_nonblocking(false).tried("have a socket wait")?;
            stream.set_read_timeout(Some(ANSWER_LIMIT)).tried("set a time limit")?;
        }
        Ok(Self { streams })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.streams.len()
    }

    /// How many of them still carry what is said, and the answer.
    pub(super) fn still_answer(self) -> usize {
        let answers = |mut stream: TcpStream| {
            let mut heard = [0; 6];
            stream.write_all(b"hello\n").and_then(|()| stream.read_exact(&mut heard)).is_ok() && heard == *b"hello\n"
        };
        self.streams.into_iter().map(answers).filter(|answered| *answered).count()
    }
}
