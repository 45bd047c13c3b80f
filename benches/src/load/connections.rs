//! Connect, ask, be answered, close: one connection after the other.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpListener};
use std::thread;

use super::{Ends, LOST, RoundTripClock, Stop, StopAtEnd, Timing, join, side, tcp, timed_out};
use crate::error::Tried;
use crate::{Error, interrupt};

/// Connections a second.
pub(super) fn run(ends: Ends<'_>, timing: Timing) -> Result<f64, Error> {
    let listener = ends.listen()?;
    let target = ends.target(tcp::port_of(&listener)?);
    let stop = Stop::default();
    thread::scope(|scope| {
        let at_end = StopAtEnd(&stop);
        let answering = side(scope, ends.server, ends.server_cpu, || answer(&listener, &stop));
        let asking = side(scope, ends.client, ends.client_cpu, move || ask(target, timing));
        let rate = join(asking);
        drop(at_end);
        join(answering)?;
        rate
    })
}

/// The client closes last, so that its port is free again at once and only the server remembers the connection.
fn ask(target: SocketAddrV4, timing: Timing) -> Result<f64, Error> {
    let mut clock = RoundTripClock::start(timing);
    while !interrupt::asked() {
        let mut socket = tcp::connected(target).tried("connect by TCP")?;
        let (mut byte, mut rest) = ([1], [0]);
        socket.write_all(&byte).tried("send a request")?;
        socket.read_exact(&mut byte).tried("receive a response")?;
        while socket.read(&mut rest).tried("wait for the end of a connection")? > 0 {}
        drop(socket);
        if !clock.lap() {
            break;
        }
    }
    clock.figures().map(|figures| figures.rate)
}

fn answer(listener: &TcpListener, stop: &Stop) -> Result<(), Error> {
    while !stop.is_set() {
        let mut socket = match listener.accept() {
            Ok((socket, _)) => socket,
            Err(error) if timed_out(&error) => continue,
            Err(error) => return Err(error).tried("accept a TCP connection"),
        };
        socket.set_read_timeout(Some(LOST)).tried("set a time limit")?;
        let mut byte = [0];
        let answered = socket.read_exact(&mut byte).and_then(|()| socket.write_all(&byte));
        if !stop.is_set() {
            answered.tried("answer a request")?;
        }
    }
    Ok(())
}
