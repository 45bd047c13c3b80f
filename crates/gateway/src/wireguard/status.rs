//! How a tunnel is: asked at the socket of the embedded WireGuard, or of the kernel's by the program `wg`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use host::Namespace;

/// How long the process of a tunnel may take for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How a tunnel is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Status {
    /// Seconds since the last handshake.
    pub handshake: Option<u64>,
    /// Bytes that came.
    pub received: u64,
    /// Bytes that went.
    pub sent: u64,
    /// Where the other side spoke from last.
    pub endpoint: Option<SocketAddr>,
}

/// Asks the process of a tunnel, by WireGuard's cross-platform interface (`wireguard.com/xplatform`).
pub(super) fn of_process(folder: &Path, socket: &str) -> io::Result<Status> {
    let folder = File::open(folder)?;
    let mut stream = UnixStream::connect(format!("/proc/self/fd/{}/{socket}", folder.as_raw_fd()))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"get=1\n\n")?;
    let mut lines = Vec::new();
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    Ok(read_answer(lines.iter().map(String::as_str), now()))
}

fn read_answer<'l>(lines: impl Iterator<Item = &'l str>, now: u64) -> Status {
    let mut status = Status::default();
    for (name, value) in lines.filter_map(|line| line.split_once('=')) {
        let number = || value.parse().unwrap_or_default();
        match name {
            "rx_bytes" => status.received = number(),
            "tx_bytes" => status.sent = number(),
            "last_handshake_time_sec" => status.handshake = age(number(), now),
            "endpoint" => status.endpoint = value.parse().ok(),
            _ => {}
        }
    }
    status
}

/// Asks for a tunnel of the kernel's. By the program `wg`: it is of WireGuard's own authors, and part of what every distribution
/// has for it; the crates for netlink that the project stands on do not speak of WireGuard.
pub(super) fn of_kernel(namespace: &Namespace, device: &str) -> io::Result<Status> {
    let mut command = namespace.command("wg");
    let output = command.args(["show", device, "dump"]).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(read_dump(&String::from_utf8_lossy(&output.stdout), now()))
}

/// Reads the line of the peer: its key, the shared one, endpoint, allowed addresses, handshake, received, sent, keepalive.
fn read_dump(text: &str, now: u64) -> Status {
    let peer: Vec<&str> = text.lines().nth(1).map(|line| line.split('\t').collect()).unwrap_or_default();
    let number = |at: usize| peer.get(at).and_then(|value| value.parse::<u64>().ok()).unwrap_or_default();
    Status {
        handshake: age(number(4), now),
        received: number(5),
        sent: number(6),
        endpoint: peer.get(2).and_then(|value| value.parse().ok()),
    }
}

/// Seconds since a time; 0 says that there was none.
fn age(time: u64, now: u64) -> Option<u64> {
    (time != 0).then(|| now.saturating_sub(time))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_both_kinds() {
        let wanted =
            Status { handshake: Some(10), received: 92, sent: 180, endpoint: Some("192.0.2.1:51820".parse().unwrap()) };
        let lines = [
            "private_key=00",
            "rx_bytes=92",
            "tx_bytes=180",
            "last_handshake_time_sec=990",
            "endpoint=192.0.2.1:51820",
        ];
        assert_eq!(read_answer(lines.into_iter(), 1000), wanted);
        let dump = "priv\tpub\t51820\toff\npeer\t(none)\t192.0.2.1:51820\t10.2.0.0/24\t990\t92\t180\toff\n";
        assert_eq!(read_dump(dump, 1000), wanted);
        assert_eq!(
            read_dump("priv\tpub\t51820\toff\npeer\t(none)\t(none)\t(none)\t0\t0\t0\toff\n", 1000),
            Status::default()
        );
        assert_eq!(read_dump("", 1000), Status::default());
    }
}
