//! Sockets of another process.

use std::net::UdpSocket;

use host::Process;
use nix::sys::socket::{getsockopt, sockopt};

/// More than this machine lets a socket have that nobody has forced it on.
const BYTES: usize = 16 << 20;

#[test]
fn the_buffers_of_what_a_process_has_open_become_larger_and_never_smaller() {
    // A child inherits the socket, and has a descriptor of its own of it.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    nix::fcntl::fcntl(&socket, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let process = Process::open(child.id()).unwrap();
    assert_eq!(process.enlarge_receive_buffers(BYTES).unwrap(), 1);
    assert_eq!(getsockopt(&socket, sockopt::RcvBuf).unwrap(), 2 * BYTES);
    assert_eq!(process.enlarge_receive_buffers(BYTES / 2).unwrap(), 0);
    assert_eq!(getsockopt(&socket, sockopt::RcvBuf).unwrap(), 2 * BYTES);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(process.enlarge_receive_buffers(BYTES).is_err(), "it has ended");
}
