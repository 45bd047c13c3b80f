//! UDP datagrams over more flows than there could be sockets.
//!
//! They are written into a packet socket of the client's VM as whole frames, one flow after the other. The server's VM has
//! sockets for them that nobody reads, so that it answers nothing, and what its IPv4 takes in is counted: the figure is
//! that of the way, not that of a program that reads.

use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use host::{Namespace, Netlink};
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, SockaddrLike, bind, setsockopt, socket, sockopt,
};

use super::batch::Batch;
use super::{Ends, Stop, StopAtEnd, Timing, breathe, frame, growth_of, join, side};
use crate::error::Tried;
use crate::{Error, interrupt};

/// UDP payload in bytes.
const PAYLOAD: usize = 64;
/// Frames in one system call.
const BATCH: usize = 64;
/// The VM's interface.
const DEVICE: &str = "eth0";
/// The lowest source port, and how many there are at most.
const FIRST_SOURCE: u16 = 1024;
const SOURCES: usize = 62_500;
/// How long it may take until each flow was sent once.
const FILLED_WITHIN: Duration = Duration::from_secs(8);
const GLANCE: Duration = Duration::from_millis(5);

/// Packets a second that the server's VM takes in.
pub(super) fn run(ends: Ends<'_>, flows: usize, timing: Timing) -> Result<f64, Error> {
    let receivers = (0..flows.div_ceil(SOURCES)).map(|_| receiver(ends)).collect::<Result<Vec<_>, Error>>()?;
    let targets = receivers
        .iter()
        .map(|socket| Ok(socket.local_addr().tried("read the address of a socket")?.port()))
        .collect::<Result<Vec<_>, Error>>()?;
    let socket = sender(ends.client)?;
    let (stop, sent) = (Stop::default(), AtomicU64::new(0));
    thread::scope(|scope| {
        let at_end = StopAtEnd(&stop);
        let sending = side(scope, ends.client, ends.client_cpu, || send(&socket, ends, &targets, flows, &stop, &sent));
        let rate = filled(&sent, flows).and_then(|()| growth_of(|| taken_in(ends.server), timing));
        drop(at_end);
        join(sending)?;
        rate
    })
}

/// Waits until each flow was sent once, if that is possible in time.
fn filled(sent: &AtomicU64, flows: usize) -> Result<(), Error> {
    let end = Instant::now() + FILLED_WITHIN;
    while sent.load(Ordering::Relaxed) < flows as u64 && Instant::now() < end {
        interrupt::pause(GLANCE)?;
    }
    Ok(())
}

/// A socket of the server that takes as little as can be.
fn receiver(ends: Ends<'_>) -> Result<UdpSocket, Error> {
    let socket = ends.server.run(|| UdpSocket::bind(ends.target(0)))?.tried("open a UDP socket")?;
    setsockopt(&socket, sockopt::RcvBuf, &0).map_err(std::io::Error::from).tried("shrink a receive buffer")?;
    Ok(socket)
}

/// A packet socket at the client's interface, which receives nothing.
fn sender(client: &Namespace) -> Result<OwnedFd, Error> {
    let index = Netlink::in_namespace(client)?.link(DEVICE)?.index;
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        // Of no protocol: it is for sending alone.
        sll_protocol: 0,
        sll_ifindex: index.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [0; 8],
    };
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the pointer is to a whole address of that length, which is copied before `address` goes.
    let address = unsafe { LinkAddr::from_raw((&raw const address).cast(), Some(length)) };
    let open = || {
        let opened = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None::<SockProtocol>)?;
        bind(opened.as_raw_fd(), &address.ok_or(nix::Error::EINVAL)?)?;
        Ok::<_, nix::Error>(opened)
    };
    client.run(open)?.map_err(std::io::Error::from).tried("open a packet socket")
}

fn send(
    socket: &OwnedFd,
    ends: Ends<'_>,
    targets: &[u16],
    flows: usize,
    stop: &Stop,
    sent: &AtomicU64,
) -> Result<(), Error> {
    let frame = frame::udp(ends.own, ends.next_hop, ends.address, PAYLOAD);
    let mut batch = Batch::of(&frame, BATCH);
    let sources = flows.min(SOURCES);
    let mut next = (0..sources).flat_map(|source| targets.iter().map(move |target| (source, *target))).cycle();
    while !stop.is_set() {
        batch.edit(|frame| {
            if let Some((source, target)) = next.next() {
                frame::set_ports(frame, FIRST_SOURCE + source as u16, target);
            }
        });
        match batch.send(socket.as_fd()) {
            Ok(count) => {
                sent.fetch_add(count as u64, Ordering::Relaxed);
            }
            // A queue on the way is full.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => breathe(),
            Err(error) => return Err(error).tried("send frames"),
        }
    }
    Ok(())
}

/// How many IPv4 packets a VM has taken in.
fn taken_in(vm: &Namespace) -> Result<u64, Error> {
    let text = vm.run(|| std::fs::read_to_string("/proc/thread-self/net/snmp"))?.tried("read /proc/net/snmp")?;
    in_receives(&text).ok_or(Error::Silence)
}

/// The value of `InReceives` in the two lines of IPv4.
fn in_receives(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with("Ip:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let place = names.split_whitespace().position(|name| name == "InReceives")?;
    values.split_whitespace().nth(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::load::loopback::inside;

    #[test]
    fn the_counter_is_found_by_its_name() {
        let text = "Ip: Forwarding DefaultTTL InReceives InHdrErrors\nIp: 2 64 1234 0\nIcmp: InMsgs\nIcmp: 9\n";
        assert_eq!(in_receives(text), Some(1234));
        assert_eq!(in_receives("Udp: InDatagrams\nUdp: 3\n"), None);
    }

    #[test]
    fn packets_of_this_namespace_alone_are_counted() {
        inside(|| {
            let here = Namespace::current().unwrap();
            let before = taken_in(&here).unwrap();
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket.send_to(&[0; 10], socket.local_addr().unwrap()).unwrap();
            assert_eq!(taken_in(&here).unwrap(), before + 1);
        });
    }
}
