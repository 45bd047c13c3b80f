//! What passes a gateway while something happens to it: pings two hundred times a second, and TCP connections.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use lab::Node;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::scene::Scene;
use crate::Error;
use crate::error::Tried;

/// Seconds between two pings; what an outage is shorter than cannot be told from none.
const INTERVAL: &str = "0.005";
/// The port of the server outside.
const PORT: u16 = 9000;
/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(15);

/// Pings that go on until they are ended.
pub(super) struct Ping {
    child: Child,
    log: PathBuf,
}

impl Ping {
    /// Begins.
    pub(super) fn start(from: &Node, to: &str, log: PathBuf) -> Result<Self, Error> {
        let file = File::create(&log).map_err(|source| Error::File { action: "write", path: log.clone(), source })?;
        let child = from
            .command("ping")
            .args(["-n", "-D", "-i", INTERVAL, to])
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(Stdio::null())
            .spawn()
            .tried("ping")?;
        Ok(Self { child, log })
    }

    /// When answers came, in seconds.
    fn answers(&self) -> Vec<f64> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let time = |line: &str| {
            let (time, rest) = line.strip_prefix('[')?.split_once(']')?;
            if rest.contains("bytes from") { time.parse().ok() } else { None }
        };
        text.lines().filter_map(time).collect()
    }

    /// How many answers came so far.
    pub(super) fn count(&self) -> usize {
        self.answers().len()
    }

    /// Ends it; the longest time between two answers, in milliseconds, less the time between two pings.
    pub(super) fn end(mut self) -> Result<f64, Error> {
        let pid = i32::try_from(self.child.id()).unwrap_or_default();
        // It may have ended already, for want of a route.
        let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
        let _ = self.child.wait();
        let answers = self.answers();
        let longest = answers.windows(2).map(|two| two[1] - two[0]).fold(0.0, f64::max);
        if answers.len() < 2 {
            return Err(Error::Silence);
        }
        Ok((longest * 1000.0 - 5.0).max(0.0))
    }
}

impl Drop for Ping {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both ends of TCP connections through NAT.
pub(super) struct Held(Vec<(TcpStream, TcpStream)>);

impl Held {
    /// Opens so many.
    pub(super) fn open(scene: &Scene, count: usize) -> Result<Self, Error> {
        let (client, server, address) = scene.nat()?;
        let to = SocketAddr::from((address, PORT));
        let listener = server.namespace().run(|| TcpListener::bind(to))?.tried("listen")?;
        let mut held = Vec::with_capacity(count);
        for _ in 0..count {
            let near = client.namespace().run(|| TcpStream::connect_timeout(&to, LIMIT))?.tried("connect")?;
            let (far, _) = listener.accept().tried("accept")?;
            for end in [&near, &far] {
                end.set_read_timeout(Some(LIMIT)).tried("set a time limit")?;
                end.set_nodelay(true).tried("send at once")?;
            }
            held.push((near, far));
        }
        let held = Self(held);
        // What is under way when the host dies is nobody's to know; these have been there for a moment.
        std::thread::sleep(Duration::from_millis(500));
        Ok(held)
    }

    /// How many of them carry something, there and back.
    pub(super) fn check(mut self) -> usize {
        let said = self.0.iter_mut().map(|(near, _)| near.write_all(b"ping").is_ok()).collect::<Vec<_>>();
        let echo = |(near, far): &mut (TcpStream, TcpStream)| -> std::io::Result<()> {
            let mut bytes = [0; 4];
            far.read_exact(&mut bytes)?;
            far.write_all(b"pong")?;
            near.read_exact(&mut bytes)
        };
        self.0.iter_mut().zip(said).filter_map(|(pair, said)| (said && echo(pair).is_ok()).then_some(())).count()
    }
}
