//! Heartbeats: one to each peer every [`HEARTBEAT`], and when each was heard.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use plan::gateway::health::HEARTBEAT;

use super::state::Shared;
use super::wire;

/// An address that is not there yet is tried again after so long.
const RETRY: Duration = Duration::from_millis(500);

/// Sends and listens until the end.
pub fn run(shared: &Shared) {
    let mut bound: Option<(IpAddr, UdpSocket)> = None;
    let mut next = Instant::now();
    while !shared.is_over() {
        let (host, address, peers) = shared
            .read(|state| (state.host.clone(), state.address.filter(|_| !state.peers.is_empty()), state.peers.clone()));
        let Some(address) = address else {
            bound = None;
            shared.wait(RETRY);
            continue;
        };
        if bound.as_ref().is_none_or(|(at, _)| *at != address) {
            bound = match UdpSocket::bind((address, wire::PORT)) {
                Ok(socket) => Some((address, socket)),
                Err(error) => {
                    tracing::debug!("no heartbeats from {address} yet: {error}");
                    std::thread::sleep(RETRY);
                    continue;
                }
            };
        }
        let Some((_, socket)) = &bound else { continue };
        let now = Instant::now();
        if now >= next {
            let beat = wire::heartbeat(&host);
            for peer in &peers {
                // One that does not go out is as one that does not arrive.
                let _ = socket.send_to(&beat, (peer.address, wire::PORT));
            }
            // After it was held up it does not make up for what it has not sent.
            next = (next + HEARTBEAT).max(now);
        }
        if let Err(error) = listen(shared, socket, next.saturating_duration_since(Instant::now())) {
            tracing::debug!("heartbeats are not heard: {error}");
            bound = None;
            std::thread::sleep(RETRY);
        }
    }
}

/// Takes in one heartbeat, if one comes in this time.
fn listen(shared: &Shared, socket: &UdpSocket, limit: Duration) -> io::Result<()> {
    socket.set_read_timeout(Some(limit.max(Duration::from_millis(1))))?;
    let mut bytes = [0; 512];
    match socket.recv_from(&mut bytes) {
        Ok((length, from)) => {
            note(shared, &bytes[..length], from);
            Ok(())
        }
        // A peer that has no gateway yet answers so by ICMP.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::WouldBlock
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::Interrupted
                    | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Notes that a peer was heard, if it is one, under its own name.
fn note(shared: &Shared, bytes: &[u8], from: SocketAddr) {
    let Some(peer) = shared.peer_at(from.ip()) else { return };
    if wire::sender(bytes) == Some(peer.as_str()) {
        shared.heard(&peer);
    }
}
