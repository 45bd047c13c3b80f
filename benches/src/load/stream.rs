//! TCP in one direction, as fast as it goes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::{Ends, Stop, StopAtEnd, Timing, growth, join, side, timed_out};
use crate::Error;
use crate::error::Tried;

/// How much one call hands to the kernel and takes from it, in bytes.
const CHUNK: usize = 128 * 1024;

/// Who sends. Connections are the client's in either case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// The client.
    There,
    /// The server.
    Back,
}

/// Bits a second that are read from that many connections.
pub(super) fn run(ends: Ends<'_>, connections: usize, way: Way, timing: Timing) -> Result<f64, Error> {
    let listener = ends.listen()?;
    let (stop, received) = (Stop::default(), AtomicU64::new(0));
    thread::scope(|scope| {
        let at_end = StopAtEnd(&stop);
        let mut sides = Vec::new();
        for _ in 0..connections {
            let (client, server) = ends.connection(&listener)?;
            let (stop, received) = (&stop, &received);
            let there = way == Way::There;
            sides.push(side(scope, ends.server, ends.server_cpu, move || match there {
                true => read(server, stop, received),
                false => write(server, stop),
            }));
            sides.push(side(scope, ends.client, ends.client_cpu, move || match there {
                true => write(client, stop),
                false => read(client, stop, received),
            }));
        }
        let rate = growth(&received, timing);
        drop(at_end);
        sides.into_iter().try_for_each(join)?;
        Ok(rate? * 8.0)
    })
}

/// The side that reads.
fn read(mut socket: TcpStream, stop: &Stop, received: &AtomicU64) -> Result<(), Error> {
    let mut chunk = vec![0; CHUNK];
    while !stop.is_set() {
        match socket.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => {
                received.fetch_add(length as u64, Ordering::Relaxed);
            }
            Err(error) if timed_out(&error) => {}
            // The other side ends first when both are told to.
            Err(_) if stop.is_set() => break,
            Err(error) => return Err(error).tried("read from a TCP stream"),
        }
    }
    Ok(())
}

/// The side that writes.
fn write(mut socket: TcpStream, stop: &Stop) -> Result<(), Error> {
    let chunk = vec![0x5a; CHUNK];
    while !stop.is_set() {
        match socket.write(&chunk) {
            Ok(_) => {}
            Err(error) if timed_out(&error) => {}
            // The other side ends first when both are told to.
            Err(_) if stop.is_set() => break,
            Err(error) => return Err(error).tried("write to a TCP stream"),
        }
    }
    Ok(())
}
