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

/// Bits a second that the server reads from that many connections.
pub(super) fn run(ends: Ends<'_>, connections: usize, timing: Timing) -> Result<f64, Error> {
    let listener = ends.listen()?;
    let (stop, received) = (Stop::default(), AtomicU64::new(0));
    thread::scope(|scope| {
        let at_end = StopAtEnd(&stop);
        let mut sides = Vec::new();
        for _ in 0..connections {
            let (client, server) = ends.connection(&listener)?;
            let (stop, received) = (&stop, &received);
            sides.push(side(scope, ends.server, ends.server_cpu, move || read(server, stop, received)));
            sides.push(side(scope, ends.client, ends.client_cpu, move || write(client, stop)));
        }
        let rate = growth(&received, timing);
        drop(at_end);
        sides.into_iter().try_for_each(join)?;
        Ok(rate? * 8.0)
    })
}

/// The server's side.
fn read(mut socket: TcpStream, stop: &Stop, received: &AtomicU64) -> Result<(), Error> {
    let mut chunk = vec![0; CHUNK];
    while !stop.is_set() {
        match socket.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => {
                received.fetch_add(length as u64, Ordering::Relaxed);
            }
            Err(error) if timed_out(&error) => {}
            // The client ends first when both are told to.
            Err(_) if stop.is_set() => break,
            Err(error) => return Err(error).tried("read from a TCP stream"),
        }
    }
    Ok(())
}

/// The client's side.
fn write(mut socket: TcpStream, stop: &Stop) -> Result<(), Error> {
    let chunk = vec![0x5a; CHUNK];
    while !stop.is_set() {
        match socket.write(&chunk) {
            Ok(_) => {}
            Err(error) if timed_out(&error) => {}
            // The server ends first when both are told to.
            Err(_) if stop.is_set() => break,
            Err(error) => return Err(error).tried("write to a TCP stream"),
        }
    }
    Ok(())
}
