//! Frames that tell the neighbors outside where addresses are now.

use std::thread;
use std::time::Duration;

use host::{Netlink, PacketSocket};

use crate::Error;

/// After how many milliseconds frames are sent again, each after the last. A device that has just come up drops what it is given
/// until the kernel has woken its queue, some milliseconds later, which it tells nobody; and who takes over is waited for.
const AGAIN: [u64; 4] = [10, 20, 40, 80];

/// Sends frames out of a device of a namespace now, and some times within the next moments. Nobody waits for that.
///
/// # Errors
/// When the device is not there, or sockets or threads are refused.
pub fn announce_soon(netlink: &Netlink, device: &str, frames: Vec<Vec<u8>>) -> Result<(), Error> {
    let index = netlink.link(device)?.index;
    let socket = PacketSocket::open(netlink)?;
    let send = move |socket: &PacketSocket| {
        for frame in &frames {
            // One that is lost is followed by others.
            let _ = socket.send(index, frame);
        }
    };
    send(&socket);
    let again = move || {
        for pause in AGAIN {
            thread::sleep(Duration::from_millis(pause));
            send(&socket);
        }
    };
    thread::Builder::new().name("announce".to_owned()).spawn(again).map(drop).map_err(Error::Thread)
}
