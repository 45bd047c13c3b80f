//! DHCPv6 (RFC 8415): which message is answered how.
//!
//! The addresses of a port are declared, so the first association (IA_NA) of a message gets all of them, with the lease
//! time of their scope, and further ones none. Temporary addresses and prefixes are not given.

mod message;

use std::net::Ipv6Addr;

use dhcproto::v6::{DhcpOption, DhcpOptions, IAAddr, IANA, IAPD, IATA, MessageType, Status, StatusCode};

use crate::binding::{Answer, Binding, Event, Lease6};
use crate::frame::{self, ALL_SERVERS, Datagram};
pub use message::server_duid;
pub(crate) use message::v6_of;
use message::{Association, Message};

/// Answers a DHCPv6 message.
pub(crate) fn answer(datagram: &Datagram<Ipv6Addr>, port: &Binding) -> Option<Answer> {
    let message = Message::read(datagram.payload)?;
    port.scopes_v6().next()?;
    let leases: Vec<Lease6> = port.leases_v6().collect();
    let exchange = Exchange { message: &message, port, leases: &leases };
    let (kind, options, event) =
        if datagram.destination == ALL_SERVERS { exchange.by_type()? } else { exchange.use_multicast()? };
    let payload = message.reply(kind, options, port.gateway_mac)?;
    let frame = frame::dhcpv6(port.gateway_mac, (port.mac.octets(), datagram.source), &payload);
    Some(Answer { frame, event })
}

/// Type, options and meaning of a reply.
type Outcome = (MessageType, Vec<DhcpOption>, Event);

/// A message, and what there is to say to it.
struct Exchange<'a> {
    message: &'a Message,
    port: &'a Binding,
    leases: &'a [Lease6<'a>],
}

impl Exchange<'_> {
    /// By the type of the message (RFC 8415, section 18.3), after the checks of section 16.
    fn by_type(&self) -> Option<Outcome> {
        let client = self.message.client.is_some();
        let server = self.message.server.as_deref();
        let ours = server == Some(&server_duid(self.port.gateway_mac)[..]);
        let anyone = server.is_none();
        match self.message.kind {
            MessageType::Solicit if client && anyone => Some(self.solicit()),
            MessageType::Request if client && ours => Some(self.request()),
            MessageType::Renew if client && ours => Some(self.renew()),
            MessageType::Rebind if client && anyone => Some(self.renew()),
            MessageType::Confirm if client && anyone => self.confirm(),
            MessageType::Release if client && ours => Some(self.give_back(Event::Released)),
            MessageType::Decline if client && ours => Some(self.give_back(Event::Declined)),
            MessageType::InformationRequest if (anyone || ours) && !self.message.has_associations() => {
                Some((MessageType::Reply, self.configuration(), Event::Informed))
            }
            _ => None,
        }
    }

    /// A message to one address, which the server has not invited to (RFC 8415, section 18.3.9 and following).
    fn use_multicast(&self) -> Option<Outcome> {
        let ours = self.message.server.as_deref() == Some(&server_duid(self.port.gateway_mac)[..]);
        let told = matches!(
            self.message.kind,
            MessageType::Request | MessageType::Renew | MessageType::Release | MessageType::Decline
        );
        let status = status(Status::UseMulticast, "send to ff02::1:2");
        (ours && told).then(|| (MessageType::Reply, vec![status], Event::Refused(None)))
    }

    fn solicit(&self) -> Outcome {
        let (mut options, given) = self.offer();
        options.extend(self.configuration());
        let Some(address) = given else {
            // No association, so that nothing could be given, or no address is declared.
            return (MessageType::Advertise, options, Event::NoAddress);
        };
        if self.message.rapid_commit {
            options.push(DhcpOption::RapidCommit);
            return (MessageType::Reply, options, Event::Bound(address.into()));
        }
        // Nobody else answers, so the client need not wait for others.
        options.push(DhcpOption::Preference(u8::MAX));
        (MessageType::Advertise, options, Event::Offered(address.into()))
    }

    fn request(&self) -> Outcome {
        let (mut options, given) = self.offer();
        options.extend(self.configuration());
        let event = given.map_or(Event::Refused(self.first_asked()), |address| Event::Bound(address.into()));
        (MessageType::Reply, options, event)
    }

    /// What each association gets of a SOLICIT or a REQUEST, and the first address that was given.
    fn offer(&self) -> (Vec<DhcpOption>, Option<Ipv6Addr>) {
        let strict = self.message.kind == MessageType::Request;
        let mut given = None;
        let associations = self.message.associations.iter().enumerate().map(|(index, association)| {
            let off_link = association.addresses.iter().any(|asked| !self.is_on_link(*asked));
            if strict && off_link {
                return self.association(association, vec![status(Status::NotOnLink, "an address is of another link")]);
            }
            let leases = if index == 0 { self.leases } else { &[] };
            if leases.is_empty() {
                return self.association(association, vec![status(Status::NoAddrsAvail, "no address is declared")]);
            }
            given = given.or(leases.first().map(|lease| lease.address));
            self.association(association, leases.iter().map(granted).collect())
        });
        let mut options: Vec<_> = associations.collect();
        options.extend(self.not_given());
        (options, given)
    }

    /// RENEW and REBIND: own addresses are prolonged, others expire at once.
    fn renew(&self) -> Outcome {
        let mut given = None;
        let associations = self.message.associations.iter().enumerate().map(|(index, association)| {
            let leases = if index == 0 { self.leases } else { &[] };
            given = given.or(leases.first().map(|lease| lease.address));
            let foreign = association.addresses.iter().filter(|asked| !self.is_own(**asked));
            let mut content: Vec<_> = leases.iter().map(granted).chain(foreign.map(|asked| expired(*asked))).collect();
            if content.is_empty() {
                content.push(status(Status::NoBinding, "no address is declared"));
            }
            self.association(association, content)
        });
        let mut options: Vec<_> = associations.collect();
        options.extend(self.not_given());
        options.extend(self.configuration());
        let event = given.map_or(Event::Refused(self.first_asked()), |address| Event::Bound(address.into()));
        (MessageType::Reply, options, event)
    }

    /// Whether the addresses fit the link. They are the port's own or of no use, since the source guard drops others.
    fn confirm(&self) -> Option<Outcome> {
        let mut asked = self.message.associations.iter().flat_map(|association| &association.addresses).copied();
        let first = self.first_asked()?;
        let fits = asked.all(|address| self.is_own(address));
        let (code, text) = if fits {
            (Status::Success, "all addresses are on link")
        } else {
            (Status::NotOnLink, "an address is not of this port")
        };
        let event = if fits { Event::Bound(first) } else { Event::Refused(Some(first)) };
        Some((MessageType::Reply, vec![status(code, text)], event))
    }

    /// RELEASE and DECLINE: associations of which nothing is the port's own are named (RFC 8415, section 18.3.7).
    fn give_back(&self, event: impl Fn(std::net::IpAddr) -> Event) -> Outcome {
        let mut options = vec![status(Status::Success, "noted")];
        for association in &self.message.associations {
            if !association.addresses.iter().any(|asked| self.is_own(*asked)) {
                options.push(self.association(association, vec![status(Status::NoBinding, "not of this port")]));
            }
        }
        let mut asked = self.message.associations.iter().flat_map(|association| &association.addresses);
        let own = asked.find(|asked| self.is_own(**asked));
        let event = own.map_or(Event::Refused(self.first_asked()), |address| event((*address).into()));
        (MessageType::Reply, options, event)
    }

    /// An association with this content, and the times of the shortest lease in it (RFC 8415, section 21.4).
    fn association(&self, association: &Association, content: Vec<DhcpOption>) -> DhcpOption {
        let gives =
            content.iter().any(|option| matches!(option, DhcpOption::IAAddr(address) if address.valid_life > 0));
        let shortest = self.leases.iter().map(|lease| lease.scope.lease_time.seconds()).min();
        let seconds = shortest.filter(|_| gives).unwrap_or_default();
        // Half and eight tenths of it; 0 leaves the times to the client.
        let (t1, t2) = (seconds / 2, seconds - seconds / 5);
        let opts: DhcpOptions = content.into_iter().collect();
        DhcpOption::IANA(IANA { id: association.id, t1, t2, opts })
    }

    /// Temporary addresses and prefixes are not given.
    fn not_given(&self) -> Vec<DhcpOption> {
        let temporary = self.message.temporary.iter().map(|id| {
            let none = status(Status::NoAddrsAvail, "temporary addresses are not given");
            DhcpOption::IATA(IATA { id: *id, opts: [none].into_iter().collect() })
        });
        let prefixes = self.message.prefixes.iter().map(|id| {
            let none = status(Status::NoPrefixAvail, "prefixes are not given");
            DhcpOption::IAPD(IAPD { id: *id, t1: 0, t2: 0, opts: [none].into_iter().collect() })
        });
        temporary.chain(prefixes).collect()
    }

    /// DNS servers and search list of all scopes, as far as the client wants them, and how long they are good for.
    fn configuration(&self) -> Vec<DhcpOption> {
        let mut options = message::name_options(self.port);
        if self.message.kind == MessageType::InformationRequest {
            let shortest = self.port.scopes_v6().map(|(_, scope)| scope.lease_time.seconds()).min();
            options.extend(shortest.map(message::refresh_time));
        }
        options.retain(|option| self.message.wants(option));
        options
    }

    fn is_own(&self, address: Ipv6Addr) -> bool {
        self.leases.iter().any(|lease| lease.address == address)
    }

    fn is_on_link(&self, address: Ipv6Addr) -> bool {
        self.port.scopes_v6().any(|(prefix, _)| prefix.contains(&address))
    }

    fn first_asked(&self) -> Option<std::net::IpAddr> {
        let mut asked = self.message.associations.iter().flat_map(|association| &association.addresses);
        asked.next().map(|address| (*address).into())
    }
}

/// An address for as long as its scope lends it.
fn granted(lease: &Lease6) -> DhcpOption {
    let seconds = lease.scope.lease_time.seconds();
    let opts = DhcpOptions::new();
    DhcpOption::IAAddr(IAAddr { addr: lease.address, preferred_life: seconds, valid_life: seconds, opts })
}

/// An address that the client must no longer use.
fn expired(addr: Ipv6Addr) -> DhcpOption {
    DhcpOption::IAAddr(IAAddr { addr, preferred_life: 0, valid_life: 0, opts: DhcpOptions::new() })
}

fn status(status: Status, why: &str) -> DhcpOption {
    DhcpOption::StatusCode(StatusCode { status, msg: why.to_owned() })
}
