//! What a namespace has of devices, listed again only when something has happened to them: there may be hundreds of namespaces,
//! and each is looked at every second.

use host::{Alarm, Error, Link, Namespace, Netlink};

/// The devices of a namespace.
#[derive(Debug)]
pub struct Devices {
    netlink: Netlink,
    alarm: Alarm,
    links: Vec<Link>,
    /// Whether `links` is what there was when the alarm was asked last.
    listed: bool,
}

impl Devices {
    /// Those of a namespace.
    ///
    /// # Errors
    /// When the namespace cannot be entered or sockets are refused.
    pub fn of(namespace: &Namespace) -> Result<Self, Error> {
        let alarm = Alarm::of_links(namespace)?;
        Ok(Self { netlink: Netlink::in_namespace(namespace)?, alarm, links: Vec::new(), listed: false })
    }

    /// For requests about them.
    pub const fn netlink(&self) -> &Netlink {
        &self.netlink
    }

    /// The devices as they are.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn links(&mut self) -> Result<&[Link], Error> {
        // Asked before they are listed, so that what happens meanwhile is not missed.
        if self.alarm.has_rung() || !self.listed {
            self.listed = false;
            self.links = self.netlink.links()?;
            self.listed = true;
        }
        Ok(&self.links)
    }
}

/// Devices and routes of a namespace that are to be looked after when something has happened to them.
#[derive(Debug)]
pub struct Watched {
    namespace: Namespace,
    netlink: Netlink,
    alarm: Alarm,
    new: bool,
}

impl Watched {
    /// Those that were watched, if they are of this namespace; else anew.
    ///
    /// # Errors
    /// As [`Devices::of`].
    pub fn again(known: Option<Self>, namespace: &Namespace) -> Result<Self, Error> {
        if let Some(known) = known.filter(|known| known.namespace.is_same(namespace)) {
            return Ok(known);
        }
        let alarm = Alarm::of_links_and_routes(namespace)?;
        let netlink = Netlink::in_namespace(namespace)?;
        Ok(Self { namespace: namespace.clone(), netlink, alarm, new: true })
    }

    /// For requests about them.
    pub const fn netlink(&self) -> &Netlink {
        &self.netlink
    }

    /// Whether something has happened since this was asked last. At first that is not known, and may be.
    pub fn has_changed(&mut self) -> bool {
        self.alarm.has_rung() | std::mem::take(&mut self.new)
    }
}
