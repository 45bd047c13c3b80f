//! The stages of a packet's way, one question a file, in this order.
//!
//! From a port: [`parse`], [`known`], [`source_guard`], [`punt`], [`answer`], [`forward`], [`security`], [`locate`] and once
//! more [`security`], or [`flood`] for group addresses.
//! From the uplink: [`unwrap`], [`parse`], [`known`], [`origin`], [`deliver`], [`security`].
//! In physical networks [`physical`] stands for all that follows [`punt`], and for all from the uplink.

pub mod answer;
pub mod deliver;
pub mod flood;
pub mod forward;
pub mod fragment;
pub mod known;
pub mod limit;
pub mod locate;
pub mod origin;
pub mod parse;
pub mod physical;
pub mod probe;
pub mod punt;
pub mod security;
pub mod source_guard;
pub mod unwrap;

/// A stage, as `netvirt trace` names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// [`parse`].
    Parse,
    /// [`known`].
    Known,
    /// [`limit`].
    Limit,
    /// [`source_guard`].
    SourceGuard,
    /// [`punt`].
    Punt,
    /// [`answer`].
    Answer,
    /// [`forward`].
    Forward,
    /// [`security`], at the sender's port.
    Egress,
    /// [`locate`].
    Locate,
    /// [`security`], at the receiver's port.
    Ingress,
    /// [`flood`].
    Flood,
    /// [`unwrap`].
    Unwrap,
    /// [`origin`].
    Origin,
    /// [`deliver`].
    Deliver,
    /// [`physical`].
    Physical,
}

impl Stage {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Known => "known",
            Self::Limit => "limit",
            Self::SourceGuard => "source guard",
            Self::Punt => "punt",
            Self::Answer => "answer",
            Self::Forward => "forward",
            Self::Egress => "egress",
            Self::Locate => "locate",
            Self::Ingress => "ingress",
            Self::Flood => "flood",
            Self::Unwrap => "unwrap",
            Self::Origin => "origin",
            Self::Deliver => "deliver",
            Self::Physical => "physical",
        }
    }

    /// The question that it answers.
    pub const fn question(self) -> &'static str {
        match self {
            Self::Parse => "Which port is it, and is the frame well-formed?",
            Self::Known => "Is it the next packet of a flow that was decided already?",
            Self::Limit => "Is there as much bandwidth as it takes?",
            Self::SourceGuard => "Do its source addresses belong to the port?",
            Self::Punt => "Is it DHCP or a router solicitation for the host's agent?",
            Self::Answer => "Does the host answer in place of the network?",
            Self::Forward => "Which customer address, in which VM subnet, is it to go to?",
            Self::Egress => "Do the security groups of the sending port let it out?",
            Self::Locate => "Where is that address, and does the packet fit on the way?",
            Self::Ingress => "Do the security groups of the port that it is for let it in?",
            Self::Flood => "Who hears a frame to a group?",
            Self::Unwrap => "Is it an encapsulated packet for this host?",
            Self::Origin => "Did it come from the host that its sender is on?",
            Self::Deliver => "Which port of this host is it for?",
            Self::Physical => "Where in its physical network does it go?",
        }
    }
}
