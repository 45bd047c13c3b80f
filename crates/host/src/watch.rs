//! What happens to the devices of a network namespace, as it happens.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use rtnetlink::MulticastGroup;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};

use crate::netlink::{address_of, split};
use crate::{Error, Link, Netlink};

/// How many events wait for their reader. When it is slower, the kernel's socket buffer fills, and when that overflows
/// the watch lists all devices again and tells what differs: nothing is lost but what was undone meanwhile.
const QUEUE: usize = 1024;

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkEvent {
    /// A device is there. Those that were there when the watch began are told first.
    Appeared(Link),
    /// A device changed: its name, MTU, state, MAC address, bridge or addresses.
    Changed(Link),
    /// A device is gone; this is how it was.
    Gone(Link),
}

/// A running watch: an iterator that blocks for the next event and ends when the watch is stopped.
#[derive(Debug)]
pub struct LinkWatch {
    events: Option<Receiver<Result<LinkEvent, Error>>>,
    stop: LinkWatchStop,
    thread: Option<JoinHandle<()>>,
}

/// Stops a watch from another thread.
#[derive(Clone, Debug)]
pub struct LinkWatchStop(Arc<EventFd>);

impl LinkWatchStop {
    /// Stops the watch: its iterator ends after the events that wait already.
    pub fn stop(&self) {
        // It fails only when the counter would overflow, after 2^64 calls.
        let _ = self.0.write(1);
    }
}

impl Netlink {
    /// Watches the devices of this namespace.
    ///
    /// # Errors
    /// When the namespace cannot be entered or the socket is refused.
    pub fn watch_links(&self) -> Result<LinkWatch, Error> {
        let failed = |source| Error::Netlink { action: "watch the devices".to_owned(), message: None, source };
        let namespace = self.namespace().clone();
        // Subscribed before the devices are listed, so that no change falls between.
        let socket = namespace.run(|| subscribe(&OF_LINKS))?.map_err(failed)?;
        let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|error| failed(error.into()))?;
        let stop = LinkWatchStop(Arc::new(stop));
        let (sender, events) = sync_channel(QUEUE);
        let watcher = Watcher {
            lister: Self::in_namespace(&namespace)?,
            socket,
            stop: stop.clone(),
            known: BTreeMap::new(),
            sender,
        };
        let thread =
            std::thread::Builder::new().name("link-watch".to_owned()).spawn(move || watcher.run()).map_err(failed)?;
        Ok(LinkWatch { events: Some(events), stop, thread: Some(thread) })
    }
}

impl LinkWatch {
    /// What stops it.
    pub fn stop_handle(&self) -> LinkWatchStop {
        self.stop.clone()
    }

    /// Waits for the next event at most so long; `None` when none came, or the watch was stopped.
    ///
    /// # Errors
    /// When the watch failed; it has ended then.
    pub fn next_within(&mut self, limit: Duration) -> Result<Option<LinkEvent>, Error> {
        match self.events.as_ref().map(|events| events.recv_timeout(limit)) {
            Some(Ok(event)) => event.map(Some),
            Some(Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)) | None => Ok(None),
        }
    }
}

impl Iterator for LinkWatch {
    type Item = Result<LinkEvent, Error>;
    fn next(&mut self) -> Option<Self::Item> {
        self.events.as_ref()?.recv().ok()
    }
}

impl Drop for LinkWatch {
    fn drop(&mut self) {
        self.stop.stop();
        // Without a reader the thread does not wait for room in the queue.
        self.events = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What tells of devices and their addresses.
pub(crate) const OF_LINKS: [MulticastGroup; 3] =
    [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];

/// A socket that hears of these in the namespace of the calling thread.
pub(crate) fn subscribe(groups: &[MulticastGroup]) -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    for group in groups {
        socket.add_membership(*group as u32)?;
    }
    socket.set_non_blocking(true)?;
    Ok(socket)
}

/// The reader went away: nobody wants the rest.
struct NoReader;

/// The thread's state.
struct Watcher {
    socket: Socket,
    lister: Netlink,
    stop: LinkWatchStop,
    known: BTreeMap<u32, Link>,
    sender: SyncSender<Result<LinkEvent, Error>>,
}

impl Watcher {
    /// Until it is stopped, fails or has no reader.
    fn run(mut self) {
        let ended = self.resync().and_then(|()| {
            while self.wait()? {
                self.drain()?;
            }
            Ok(())
        });
        if let Err(Some(error)) = ended {
            let _ = self.sender.send(Err(error));
        }
    }

    /// Waits until something is to be read; false when the watch shall end.
    fn wait(&self) -> Result<bool, Option<Error>> {
        // SAFETY: the socket is open as long as `self`.
        let socket = unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) };
        let stop = self.stop.0.as_fd();
        let mut waits = [PollFd::new(socket, PollFlags::POLLIN), PollFd::new(stop, PollFlags::POLLIN)];
        match poll(&mut waits, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(waits[1].any() != Some(true)),
            Err(error) => Err(Some(watch_failed(error.into()))),
        }
    }

    /// Reads all that is there.
    fn drain(&mut self) -> Result<(), Option<Error>> {
        loop {
            let bytes = match self.socket.recv_from_full() {
                Ok((bytes, _)) => bytes,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.resync()?;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Some(watch_failed(error))),
            };
            for message in split::<RouteNetlinkMessage>(&bytes) {
                if let NetlinkPayload::InnerMessage(message) = message.map_err(Some)?.payload {
                    self.note(&message).map_err(|NoReader| None)?;
                }
            }
        }
    }

    /// Lists all devices and tells what differs from what is known.
    fn resync(&mut self) -> Result<(), Option<Error>> {
        let links = self.lister.links().map_err(Some)?;
        let gone: Vec<_> =
            self.known.keys().copied().filter(|index| links.iter().all(|link| link.index != *index)).collect();
        for index in gone {
            self.forget(index).map_err(|NoReader| None)?;
        }
        links.into_iter().try_for_each(|link| self.learn(link)).map_err(|NoReader| None)
    }

    /// Takes one message in.
    fn note(&mut self, message: &RouteNetlinkMessage) -> Result<(), NoReader> {
        match message {
            // Bridges tell of their ports in messages of a family of their own, which say nothing about the device.
            RouteNetlinkMessage::NewLink(link) if link.header.interface_family == AddressFamily::Unspec => {
                let Some(mut link) = Link::from_message(link) else {
                    return Ok(());
                };
                if let Some(known) = self.known.get(&link.index) {
                    link.addresses.clone_from(&known.addresses);
                }
                self.learn(link)
            }
            RouteNetlinkMessage::DelLink(link) if link.header.interface_family == AddressFamily::Unspec => {
                self.forget(link.header.index)
            }
            RouteNetlinkMessage::NewAddress(message) => {
                let Some((index, address)) = address_of(message) else {
                    return Ok(());
                };
                self.edit(index, |link| {
                    if !link.addresses.contains(&address) {
                        link.addresses.push(address);
                    }
                })
            }
            RouteNetlinkMessage::DelAddress(message) => {
                let Some((index, address)) = address_of(message) else {
                    return Ok(());
                };
                self.edit(index, |link| link.addresses.retain(|known| *known != address))
            }
            _ => Ok(()),
        }
    }

    /// Changes what is known of a device.
    fn edit(&mut self, index: u32, change: impl FnOnce(&mut Link)) -> Result<(), NoReader> {
        let Some(mut link) = self.known.get(&index).cloned() else {
            return Ok(());
        };
        change(&mut link);
        self.learn(link)
    }

    /// A device is there and looks so.
    fn learn(&mut self, link: Link) -> Result<(), NoReader> {
        let event = match self.known.insert(link.index, link.clone()) {
            None => LinkEvent::Appeared(link),
            Some(before) if before != link => LinkEvent::Changed(link),
            Some(_) => return Ok(()),
        };
        self.sender.send(Ok(event)).map_err(|_| NoReader)
    }

    /// A device is not there any more.
    fn forget(&mut self, index: u32) -> Result<(), NoReader> {
        match self.known.remove(&index) {
            Some(link) => self.sender.send(Ok(LinkEvent::Gone(link))).map_err(|_| NoReader),
            None => Ok(()),
        }
    }
}

/// The watch's own failure.
fn watch_failed(source: io::Error) -> Error {
    Error::Netlink { action: "watch the devices".to_owned(), message: None, source }
}
