//! UDP datagrams as fast as the sender can, over one flow or many.

use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

use super::batch::Batch;
use super::{Ends, GLANCE, Stop, StopAtEnd, Timing, breathe, growth, join, side, timed_out};
use crate::Error;
use crate::error::Tried;

/// Datagrams in one system call over one flow.
const BATCH: usize = 64;
/// Room for what came while the receiver was not running, in bytes.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Larger than any datagram that is sent.
const BUFFER: usize = 2048;

/// Datagrams a second that the server reads. `flows` is 1 or a square: so many sockets on either side that each pair
/// of them is a flow of its own.
pub(super) fn run(ends: Ends<'_>, payload: usize, flows: usize, timing: Timing) -> Result<f64, Error> {
    let sockets = flows.isqrt();
    let receivers = (0..sockets).map(|_| receiver(ends)).collect::<Result<Vec<_>, Error>>()?;
    let targets = receivers
        .iter()
        .map(|socket| {
            let address = socket.local_addr().tried("read the address of a socket")?;
            Ok(ends.target(address.port()))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let senders = (0..sockets).map(|_| sender(ends, &targets)).collect::<Result<Vec<_>, Error>>()?;
    let (stop, received) = (Stop::default(), AtomicU64::new(0));
    thread::scope(|scope| {
        let at_end = StopAtEnd(&stop);
        let receiving = side(scope, ends.server, ends.server_cpu, || match receivers.as_slice() {
            [one] => receive_from_one(one, &stop, &received),
            many => receive_from_many(many, &stop, &received),
        });
        let sending = side(scope, ends.client, ends.client_cpu, || send(&senders, &targets, payload, &stop));
        let rate = growth(&received, timing);
        drop(at_end);
        join(sending)?;
        join(receiving)?;
        rate
    })
}

/// A socket of the server.
fn receiver(ends: Ends<'_>) -> Result<UdpSocket, Error> {
    let socket = ends.server.run(|| UdpSocket::bind(ends.target(0)))?.tried("open a UDP socket")?;
    setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)
        .map_err(std::io::Error::from)
        .tried("enlarge a receive buffer")?;
    socket.set_read_timeout(Some(GLANCE)).tried("set a time limit")?;
    Ok(socket)
}

/// A socket of the client, connected when there is one target alone.
fn sender(ends: Ends<'_>, targets: &[SocketAddrV4]) -> Result<UdpSocket, Error> {
    let socket = ends.client.run(|| UdpSocket::bind(("0.0.0.0", 0)))?.tried("open a UDP socket")?;
    if let [target] = targets {
        socket.connect(target).tried("connect a UDP socket")?;
    }
    socket.set_write_timeout(Some(GLANCE)).tried("set a time limit")?;
    Ok(socket)
}

fn send(sockets: &[UdpSocket], targets: &[SocketAddrV4], payload: usize, stop: &Stop) -> Result<(), Error> {
    // Each socket in turn sends one datagram to each target, so that neighbours on the wire are of different flows.
    let mut batch = match targets {
        [_] => Batch::new(BATCH, payload),
        many => Batch::to(many, payload),
    };
    for socket in sockets.iter().cycle() {
        if stop.is_set() {
            break;
        }
        match batch.send(socket.as_fd()) {
            Ok(_) => {}
            Err(error) if timed_out(&error) => {}
            // A queue on the way is full.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => breathe(),
            // The server's sockets are gone already.
            Err(_) if stop.is_set() => break,
            Err(error) => return Err(error).tried("send datagrams"),
        }
    }
    Ok(())
}

fn receive_from_one(socket: &UdpSocket, stop: &Stop, received: &AtomicU64) -> Result<(), Error> {
    let mut batch = Batch::new(BATCH, BUFFER);
    while !stop.is_set() {
        match batch.receive(socket.as_fd(), false) {
            Ok(count) => {
                received.fetch_add(count as u64, Ordering::Relaxed);
            }
            Err(error) if timed_out(&error) => {}
            Err(error) => return Err(error).tried("receive datagrams"),
        }
    }
    Ok(())
}

fn receive_from_many(sockets: &[UdpSocket], stop: &Stop, received: &AtomicU64) -> Result<(), Error> {
    let mut batch = Batch::new(BATCH, BUFFER);
    let limit = PollTimeout::try_from(GLANCE).unwrap_or(PollTimeout::ZERO);
    let mut polled: Vec<_> = sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
    while !stop.is_set() {
        match poll(&mut polled, limit) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(std::io::Error::from(error)).tried("wait for datagrams"),
        }
        for (socket, polled) in sockets.iter().zip(&polled) {
            if !polled.any().unwrap_or(false) {
                continue;
            }
            match batch.receive(socket.as_fd(), true) {
                Ok(count) => {
                    received.fetch_add(count as u64, Ordering::Relaxed);
                }
                Err(error) if timed_out(&error) => {}
                Err(error) => return Err(error).tried("receive datagrams"),
            }
        }
    }
    Ok(())
}
