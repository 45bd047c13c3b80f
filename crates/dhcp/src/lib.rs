//! What a host answers to DHCP, DHCPv6 and router solicitations.
//!
//! Pure: a frame and what is declared of its port go in, a frame and what it means come out. Nothing is remembered,
//! because nothing need be: which address a port gets is declared, so every host gives the same answer at any time, and
//! a VM that has moved renews its lease with the host where it is now.
//!
//! - [`v4`]: DHCP (RFC 2131, RFC 2132, RFC 3397, RFC 3442, RFC 4039, RFC 6842).
//! - [`v6`]: DHCPv6 (RFC 8415, RFC 3646).
//! - [`router`]: router advertisements (RFC 4861, RFC 8106, RFC 4191).
//!
//! **Invariant:** no frame, however made, leads to a panic. Options reach the libraries that read them only after their
//! lengths have been judged ([`options`]).

mod binding;
mod frame;
mod names;
mod options;
pub mod router;
pub mod v4;
pub mod v6;

pub use binding::{Answer, Binding, Event};
pub use router::router_advertisement;
pub use v4::SERVER_IDENTIFIER;

/// Answers a frame that came from a port, if it is a DHCP or DHCPv6 message or a router solicitation for this host:
/// well-formed, from the port itself, and of a family in which its subnet has a scope.
pub fn answer(frame: &[u8], port: &Binding) -> Option<Answer> {
    match frame::parse(frame, port.mac)? {
        frame::Question::Dhcp(datagram) => v4::answer(&datagram, port),
        frame::Question::Dhcpv6(datagram) => v6::answer(&datagram, port),
        frame::Question::RouterSolicitation { source } => router::answer(source, port),
    }
}
