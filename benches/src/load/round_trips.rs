//! One byte there and back, over and over: rate and percentiles.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::thread;

use super::{Ends, Figures, GLANCE, LOST, RoundTripClock, Stop, StopAtEnd, Timing, join, side, timed_out};
use crate::error::Tried;
use crate::{Error, interrupt};

/// Over one TCP connection.
pub(super) fn tcp(ends: Ends<'_>, timing: Timing) -> Result<Figures, Error> {
    let listener = ends.listen()?;
    let (client, server) = ends.connection(&listener)?;
    // No answer within this time is an error: TCP loses nothing.
    client.set_read_timeout(Some(LOST * 5)).tried("set a time limit")?;
    let stop = Stop::default();
    thread::scope(|scope| {
        let at_end = StopAtEnd(&stop);
        let answering = side(scope, ends.server, ends.server_cpu, || answer_tcp(server, &stop));
        let asking = side(scope, ends.client, ends.client_cpu, move || ask_tcp(client, timing));
        let figures = join(asking);
        drop(at_end);
        join(answering)?;
        figures
    })
}

fn ask_tcp(mut socket: TcpStream, timing: Timing) -> Result<Figures, Error> {
    let (mut byte, mut clock) = ([1], RoundTripClock::start(timing));
    while !interrupt::asked() {
        socket.write_all(&byte).tried("send a request")?;
        socket.read_exact(&mut byte).tried("receive a response")?;
        if !clock.lap() {
            break;
        }
    }
    clock.figures()
}

fn answer_tcp(mut socket: TcpStream, stop: &Stop) -> Result<(), Error> {
    let mut byte = [0];
    while !stop.is_set() {
        match socket.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => match socket.write_all(&byte) {
                Ok(()) => {}
                Err(_) if stop.is_set() => break,
                Err(error) => return Err(error).tried("send a response"),
            },
            Err(error) if timed_out(&error) => {}
            Err(_) if stop.is_set() => break,
            Err(error) => return Err(error).tried("receive a request"),
        }
    }
    Ok(())
}

/// In UDP datagrams.
pub(super) fn udp(ends: Ends<'_>, timing: Timing) -> Result<Figures, Error> {
    let server = ends.server.run(|| UdpSocket::bind(ends.target(0)))?.tried("open a UDP socket")?;
    let target = server.local_addr().tried("read the address of a socket")?;
    let client = ends
        .client
        .run(|| UdpSocket::bind(("0.0.0.0", 0)).and_then(|socket| socket.connect(target).map(|()| socket)))?
        .tried("open a UDP socket")?;
    for socket in [&client, &server] {
        socket.set_read_timeout(Some(GLANCE)).tried("set a time limit")?;
    }
    let stop = Stop::default();
    thread::scope(|scope| {
        let at_end = StopAtEnd(&stop);
        let answering = side(scope, ends.server, ends.server_cpu, || answer_udp(&server, &stop));
        let asking = side(scope, ends.client, ends.client_cpu, move || ask_udp(&client, timing));
        let figures = join(asking);
        drop(at_end);
        join(answering)?;
        figures
    })
}

fn ask_udp(socket: &UdpSocket, timing: Timing) -> Result<Figures, Error> {
    let (mut number, mut clock) = (0_u8, RoundTripClock::start(timing));
    'trips: while !interrupt::asked() {
        number = number.wrapping_add(1);
        socket.send(&[number]).tried("send a request")?;
        loop {
            let mut byte = [0];
            match socket.recv(&mut byte) {
                Ok(_) if byte[0] == number => break,
                // The answer to a request that was given up.
                Ok(_) => {}
                // Lost: it does not count as a round trip, but its time does.
                Err(error) if timed_out(&error) => {
                    if clock.begin() {
                        continue 'trips;
                    }
                    break 'trips;
                }
                Err(error) => return Err(error).tried("receive a response"),
            }
        }
        if !clock.lap() {
            break;
        }
    }
    clock.figures()
}

fn answer_udp(socket: &UdpSocket, stop: &Stop) -> Result<(), Error> {
    let mut byte = [0];
    while !stop.is_set() {
        match socket.recv_from(&mut byte) {
            Ok((_, from)) => {
                socket.send_to(&byte, from).tried("send a response")?;
            }
            Err(error) if timed_out(&error) => {}
            Err(error) => return Err(error).tried("receive a request"),
        }
    }
    Ok(())
}
