//! DHCP (RFC 2131): which message is answered how.
//!
//! The server is 192.0.2.253 for every VM, as in Hyper-V Network Virtualization, and it is authoritative: what is not
//! the port's own address is refused, so that a VM that came from another subnet begins anew at once.
//!
//! A client renews its lease by unicast to the server. 192.0.2.253 is in no subnet, so the datagram goes to the VM's
//! default gateway by its MAC address, and the host takes it there. In a scope without a gateway it cannot be sent, and
//! the client's broadcast (REBINDING, after seven eighths of the lease) does the same.

mod message;

use std::net::{IpAddr, Ipv4Addr};

use dhcproto::v4::{DhcpOption, MessageType};
use model::DhcpScope;

use crate::binding::{Answer, Binding, Event, Lease4};
use crate::frame::{self, Datagram};
use message::{Reply, Request};

/// The server identifier that all VMs see (Hyper-V Network Virtualization's DHCP server).
pub const SERVER_IDENTIFIER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 253);

/// Answers a DHCP message.
pub(crate) fn answer(datagram: &Datagram<Ipv4Addr>, port: &Binding) -> Option<Answer> {
    let request = Request::read(datagram.payload)?;
    // A relay stands between us and the client, or the client speaks for another.
    let foreign = !request.giaddr.is_unspecified() || request.chaddr != port.mac.octets();
    if foreign || port.scopes_v4().next().is_none() {
        return None;
    }
    match request.kind {
        MessageType::Discover => Some(discover(&request, port)),
        MessageType::Request => self::request(&request, port),
        MessageType::Inform => inform(&request, datagram, port),
        MessageType::Release if is_ours(&request) => said(Event::Released(request.ciaddr.into())),
        MessageType::Decline if is_ours(&request) => said(Event::Declined(request.requested?.into())),
        _ => None,
    }
}

/// Nothing is sent.
fn said(event: Event) -> Option<Answer> {
    Some(Answer { frame: None, event })
}

/// Whether a message names this server; RELEASE and DECLINE must (RFC 2131, table 5).
fn is_ours(request: &Request) -> bool {
    request.server == Some(SERVER_IDENTIFIER)
}

fn discover(request: &Request, port: &Binding) -> Answer {
    // The address that the client had before, if it is its own; otherwise the first.
    let wanted = port.leases_v4().find(|lease| Some(lease.address) == request.requested);
    let Some(lease) = wanted.or_else(|| port.leases_v4().next()) else {
        return Answer { frame: None, event: Event::NoAddress };
    };
    if request.rapid_commit {
        let mut reply = grant(MessageType::Ack, request, &lease, port);
        reply.fixed.push(DhcpOption::RapidCommit);
        return sent(&reply, request, port, Event::Bound(lease.address.into()));
    }
    let reply = grant(MessageType::Offer, request, &lease, port);
    sent(&reply, request, port, Event::Offered(lease.address.into()))
}

/// A REQUEST in each of the states that RFC 2131, section 4.3.2 tells apart.
fn request(request: &Request, port: &Binding) -> Option<Answer> {
    if request.server.is_some() && !is_ours(request) {
        // The client has chosen another server.
        return None;
    }
    // SELECTING and INIT-REBOOT say it in the option, RENEWING and REBINDING in the field.
    let wanted = request.requested.or_else(|| (!request.ciaddr.is_unspecified()).then_some(request.ciaddr))?;
    match port.leases_v4().find(|lease| lease.address == wanted) {
        Some(lease) => {
            let reply = grant(MessageType::Ack, request, &lease, port);
            Some(sent(&reply, request, port, Event::Bound(wanted.into())))
        }
        None => {
            let mut reply = Reply::new(MessageType::Nak, request);
            let why = format!("{wanted} is not an address of {}", port.mac);
            reply.fixed.push(DhcpOption::Message(why));
            Some(sent(&reply, request, port, Event::Refused(Some(wanted.into()))))
        }
    }
}

/// The client has an address already, and wants to know the rest.
fn inform(request: &Request, datagram: &Datagram<Ipv4Addr>, port: &Binding) -> Option<Answer> {
    // Some clients leave the field empty.
    let address = if request.ciaddr.is_unspecified() { datagram.source } else { request.ciaddr };
    let (prefix, scope) = port.scopes_v4().find(|(prefix, _)| prefix.contains(&address))?;
    let mut reply = Reply::new(MessageType::Ack, request);
    reply.client = address;
    reply.fixed.push(DhcpOption::SubnetMask(prefix.netmask()));
    reply.wanted = configuration(scope, port);
    Some(sent(&reply, request, port, Event::Informed))
}

/// A reply that gives an address.
fn grant(kind: MessageType, request: &Request, lease: &Lease4, port: &Binding) -> Reply {
    let mut reply = Reply::new(kind, request);
    reply.client = if kind == MessageType::Ack { request.ciaddr } else { Ipv4Addr::UNSPECIFIED };
    reply.your = lease.address;
    let seconds = lease.scope.lease_time.seconds();
    reply.fixed.extend([
        DhcpOption::AddressLeaseTime(seconds),
        // Half of it and seven eighths (RFC 2131, section 4.4.5).
        DhcpOption::Renewal(seconds / 2),
        DhcpOption::Rebinding(seconds - seconds / 8),
        DhcpOption::SubnetMask(lease.prefix.netmask()),
    ]);
    reply.wanted = configuration(lease.scope, port);
    reply.wanted.push(DhcpOption::BroadcastAddr(lease.prefix.broadcast()));
    reply
}

/// What a scope says beside the address, in the order of importance.
fn configuration(scope: &DhcpScope, port: &Binding) -> Vec<DhcpOption> {
    let v4 = |address: &IpAddr| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    };
    let router = scope.router().as_ref().and_then(v4);
    let mut options = Vec::new();
    options.extend(router.map(|router| DhcpOption::Router(vec![router])));
    let routes = scope.routes.iter().filter_map(|route| match (route.prefix, route.next_hop) {
        (ipnet::IpNet::V4(prefix), IpAddr::V4(next_hop)) => Some((prefix.trunc(), next_hop)),
        _ => None,
    });
    let mut routes: Vec<_> = routes.collect();
    if !routes.is_empty() {
        // A client that reads this option ignores the router's, so the default route stands here too (RFC 3442).
        let has_default = routes.iter().any(|(prefix, _)| prefix.prefix_len() == 0);
        let default = router.filter(|_| !has_default).map(|router| (ipnet::Ipv4Net::default(), router));
        routes.extend(default);
        options.push(DhcpOption::ClasslessStaticRoute(routes));
    }
    // An option's value is a 16-bit number; no interface of a VM has more.
    options.push(DhcpOption::InterfaceMtu(u16::try_from(port.mtu).unwrap_or(u16::MAX)));
    let servers: Vec<_> = scope.dns_servers.iter().filter_map(v4).collect();
    if !servers.is_empty() {
        options.push(DhcpOption::DomainNameServer(servers));
    }
    options
        .extend(scope.dns_suffixes.first().map(|first| DhcpOption::DomainName(first.trim_end_matches('.').to_owned())));
    let names = crate::names::names(&scope.dns_suffixes);
    if !names.is_empty() {
        options.push(DhcpOption::DomainSearch(names));
    }
    options
}

/// The answer with its frame, addressed as RFC 2131, section 4.1 says.
fn sent(reply: &Reply, request: &Request, port: &Binding, event: Event) -> Answer {
    let everybody = ([0xff; 6], Ipv4Addr::BROADCAST);
    let destination = if reply.kind == MessageType::Nak {
        everybody
    } else if !reply.client.is_unspecified() {
        (port.mac.octets(), reply.client)
    } else if request.broadcast {
        everybody
    } else {
        (port.mac.octets(), reply.your)
    };
    let frame = reply.write(request, port.mtu).and_then(|payload| frame::dhcp(port.gateway_mac, destination, &payload));
    Answer { frame, event }
}
