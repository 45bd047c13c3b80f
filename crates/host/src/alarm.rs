//! Whether anything has happened to the devices of a network namespace, for who looks now and then: where nothing has, a look
//! costs one system call, and not a list of all devices.

use std::io;

use rtnetlink::MulticastGroup;
use rtnetlink::sys::Socket;

use crate::watch::{OF_LINKS, subscribe};
use crate::{Error, Namespace};

/// Room for one message; what does not fit is cut off, since nobody reads it.
const ROOM: usize = 64;

/// Rings when something changes in a namespace.
#[derive(Debug)]
pub struct Alarm(Socket);

impl Alarm {
    /// One that rings for devices and their addresses. What is listed afterwards is listed again only after it has rung.
    ///
    /// # Errors
    /// When the namespace cannot be entered or the socket is refused.
    pub fn of_links(namespace: &Namespace) -> Result<Self, Error> {
        Self::of(namespace, &OF_LINKS)
    }

    /// One that rings for routes too.
    ///
    /// # Errors
    /// As [`Alarm::of_links`].
    pub fn of_links_and_routes(namespace: &Namespace) -> Result<Self, Error> {
        let [link, v4, v6] = OF_LINKS;
        Self::of(namespace, &[link, v4, v6, MulticastGroup::Ipv4Route, MulticastGroup::Ipv6Route])
    }

    fn of(namespace: &Namespace, groups: &[MulticastGroup]) -> Result<Self, Error> {
        let failed = |source| Error::Netlink { action: "watch the devices".to_owned(), message: None, source };
        Ok(Self(namespace.run(|| subscribe(groups))?.map_err(failed)?))
    }

    /// Whether it has rung since it was asked last. It does too when so much has happened that the kernel could not tell all.
    pub fn has_rung(&self) -> bool {
        let mut rang = false;
        loop {
            let mut message = Vec::with_capacity(ROOM);
            match self.0.recv(&mut message, 0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return rang,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) => rang = true,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => rang = true,
                // A socket that tells nothing any more may have missed something.
                Err(_) => return true,
            }
        }
    }
}
