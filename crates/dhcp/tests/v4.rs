//! DHCP: every message in every state, and all options of what is answered.

mod common;

use std::net::{IpAddr, Ipv4Addr};

use common::{EVERYBODY, GATEWAY_MAC, MAC, NOBODY, OWN, SERVER, ask, codes, frame_v4, heard, port, request, with};
use dhcp::Event;
use dhcproto::Name;
use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, OptionCode};

fn own() -> IpAddr {
    OWN.into()
}

/// A REQUEST of a client that was offered an address.
fn selecting(address: Ipv4Addr) -> Message {
    request(MessageType::Request, &[DhcpOption::RequestedIpAddress(address), DhcpOption::ServerIdentifier(SERVER)])
}

/// A REQUEST of a client that has the address: by unicast when it renews, by broadcast when it rebinds.
fn renewing(address: Ipv4Addr) -> Message {
    let mut message = request(MessageType::Request, &[]);
    message.set_ciaddr(address);
    message
}

#[track_caller]
fn has(message: &Message, option: &DhcpOption) {
    assert_eq!(message.opts().get(OptionCode::from(option)), Some(option));
}

#[test]
fn a_discover_is_answered_by_an_offer_with_all_that_a_client_needs() {
    let heard = heard(ask(&port(), &request(MessageType::Discover, &[DhcpOption::ClientIdentifier(vec![1, 2, 3])])));
    assert_eq!(heard.event, Event::Offered(own()));
    assert_eq!((heard.mac, heard.destination), (MAC, own()), "the client takes unicast");
    let message = &heard.message;
    assert_eq!((message.yiaddr(), message.ciaddr(), message.giaddr()), (OWN, NOBODY, NOBODY));
    has(message, &DhcpOption::MessageType(MessageType::Offer));
    has(message, &DhcpOption::ServerIdentifier(SERVER));
    has(message, &DhcpOption::ClientIdentifier(vec![1, 2, 3]));
    has(message, &DhcpOption::AddressLeaseTime(28_800));
    has(message, &DhcpOption::Renewal(14_400));
    has(message, &DhcpOption::Rebinding(25_200));
    has(message, &DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 0, 0)));
    has(message, &DhcpOption::BroadcastAddr(Ipv4Addr::new(10, 10, 255, 255)));
    let router = Ipv4Addr::new(10, 10, 0, 1);
    has(message, &DhcpOption::Router(vec![router]));
    has(message, &DhcpOption::DomainNameServer(vec![Ipv4Addr::new(10, 10, 0, 53), Ipv4Addr::new(10, 10, 0, 54)]));
    has(message, &DhcpOption::DomainName("corp.example".into()));
    let names = ["corp.example.", "example."].map(|name| Name::from_ascii(name).unwrap());
    has(message, &DhcpOption::DomainSearch(names.to_vec()));
    has(message, &DhcpOption::InterfaceMtu(1458));
    let routes =
        vec![("172.16.0.0/12".parse().unwrap(), Ipv4Addr::new(10, 10, 0, 9)), ("0.0.0.0/0".parse().unwrap(), router)];
    has(message, &DhcpOption::ClasslessStaticRoute(routes));
    // First what every reply has, then what was asked for, in the client's order, without what we have not.
    assert_eq!(codes(&heard.payload), [53, 54, 61, 51, 58, 59, 1, 28, 3, 15, 6, 119, 26, 121]);
}

#[test]
fn a_client_gets_what_it_asks_for_and_without_a_list_everything() {
    let mut message = request(MessageType::Discover, &[]);
    message.opts_mut().insert(DhcpOption::ParameterRequestList(vec![OptionCode::DomainNameServer, OptionCode::Router]));
    assert_eq!(codes(&heard(ask(&port(), &message)).payload), [53, 54, 51, 58, 59, 1, 6, 3]);
    message.opts_mut().remove(OptionCode::ParameterRequestList);
    assert_eq!(codes(&heard(ask(&port(), &message)).payload), [53, 54, 51, 58, 59, 1, 3, 121, 26, 6, 15, 119, 28]);
}

#[test]
fn the_broadcast_flag_is_honoured_until_the_client_has_an_address() {
    let mut message = request(MessageType::Discover, &[]);
    message.set_flags(Flags::default().set_broadcast());
    let answer = heard(ask(&port(), &message));
    assert_eq!((answer.mac, answer.destination), ([0xff; 6], EVERYBODY.into()));
    assert!(answer.message.flags().broadcast());
    let mut message = renewing(OWN);
    message.set_flags(Flags::default().set_broadcast());
    let answer = heard(dhcp::answer(&frame_v4(OWN, SERVER, &message), &port()));
    assert_eq!((answer.mac, answer.destination), (MAC, own()));
}

#[test]
fn a_request_is_acknowledged_in_every_state() {
    let unicast = |message: &Message| dhcp::answer(&frame_v4(OWN, SERVER, message), &port());
    let broadcast = |message: &Message| dhcp::answer(&frame_v4(OWN, EVERYBODY, message), &port());
    let init_reboot = request(MessageType::Request, &[DhcpOption::RequestedIpAddress(OWN)]);
    let answers =
        [ask(&port(), &selecting(OWN)), ask(&port(), &init_reboot), unicast(&renewing(OWN)), broadcast(&renewing(OWN))];
    for (answer, ciaddr) in answers.into_iter().zip([NOBODY, NOBODY, OWN, OWN]) {
        let answer = heard(answer);
        assert_eq!(answer.event, Event::Bound(own()));
        has(&answer.message, &DhcpOption::MessageType(MessageType::Ack));
        has(&answer.message, &DhcpOption::AddressLeaseTime(28_800));
        assert_eq!((answer.message.yiaddr(), answer.message.ciaddr()), (OWN, ciaddr));
        assert_eq!((answer.mac, answer.destination), (MAC, own()));
    }
}

#[test]
fn what_is_not_the_ports_own_is_refused_to_everybodys_ears() {
    let other = Ipv4Addr::new(10, 10, 1, 101);
    let elsewhere = Ipv4Addr::new(192, 168, 7, 7);
    for (message, wanted) in [
        (selecting(other), other),
        (request(MessageType::Request, &[DhcpOption::RequestedIpAddress(elsewhere)]), elsewhere),
        (renewing(other), other),
    ] {
        let answer = heard(ask(&port(), &message));
        assert_eq!(answer.event, Event::Refused(Some(wanted.into())));
        assert_eq!((answer.mac, answer.destination), ([0xff; 6], EVERYBODY.into()));
        assert_eq!((answer.message.yiaddr(), answer.message.ciaddr()), (NOBODY, NOBODY));
        assert_eq!(codes(&answer.payload), [53, 54, 56]);
        has(&answer.message, &DhcpOption::MessageType(MessageType::Nak));
    }
}

#[test]
fn a_request_to_another_server_is_his() {
    let other = DhcpOption::ServerIdentifier(Ipv4Addr::new(10, 10, 0, 2));
    let message = request(MessageType::Request, &[DhcpOption::RequestedIpAddress(OWN), other]);
    assert_eq!(ask(&port(), &message), None);
}

#[test]
fn inform_is_answered_without_a_lease() {
    let mut message = request(MessageType::Inform, &[]);
    message.set_ciaddr(OWN);
    for message in [message, request(MessageType::Inform, &[])] {
        let answer = heard(dhcp::answer(&frame_v4(OWN, EVERYBODY, &message), &port()));
        assert_eq!(answer.event, Event::Informed);
        assert_eq!((answer.mac, answer.destination), (MAC, own()));
        assert_eq!(answer.message.yiaddr(), NOBODY);
        has(&answer.message, &DhcpOption::MessageType(MessageType::Ack));
        assert_eq!(codes(&answer.payload), [53, 54, 1, 3, 15, 6, 119, 26, 121]);
    }
}

#[test]
fn release_and_decline_are_noted_and_not_answered() {
    let mut release = request(MessageType::Release, &[DhcpOption::ServerIdentifier(SERVER)]);
    release.set_ciaddr(OWN);
    let answer = dhcp::answer(&frame_v4(OWN, SERVER, &release), &port()).unwrap();
    assert_eq!((answer.frame, answer.event), (None, Event::Released(own())));
    let named = [DhcpOption::RequestedIpAddress(OWN), DhcpOption::ServerIdentifier(SERVER)];
    let answer = ask(&port(), &request(MessageType::Decline, &named)).unwrap();
    assert_eq!((answer.frame, answer.event), (None, Event::Declined(own())));
    assert_eq!(ask(&port(), &request(MessageType::Decline, &named[..1])), None, "it must name the server");
}

#[test]
fn rapid_commit_skips_the_offer() {
    let answer = heard(ask(&port(), &request(MessageType::Discover, &[DhcpOption::RapidCommit])));
    assert_eq!(answer.event, Event::Bound(own()));
    has(&answer.message, &DhcpOption::MessageType(MessageType::Ack));
    has(&answer.message, &DhcpOption::RapidCommit);
}

#[test]
fn of_several_addresses_the_client_gets_the_one_it_had() {
    let scopes = "kind: dhcp-scope\nspec: {vsid: 5001, prefix: 10.10.0.0/16}\n---\n\
                  kind: dhcp-scope\nspec: {vsid: 5001, prefix: 10.20.0.0/16, gateway: 10.20.0.254}";
    let port = with(scopes, &["10.10.1.100", "10.20.1.100"]);
    let had = Ipv4Addr::new(10, 20, 1, 100);
    let answer = heard(ask(&port, &request(MessageType::Discover, &[DhcpOption::RequestedIpAddress(had)])));
    assert_eq!(answer.message.yiaddr(), had);
    has(&answer.message, &DhcpOption::Router(vec![Ipv4Addr::new(10, 20, 0, 254)]));
    assert_eq!(heard(ask(&port, &request(MessageType::Discover, &[]))).message.yiaddr(), OWN);
}

#[test]
fn in_a_physical_network_the_gateway_is_the_declared_one_or_none() {
    let scope =
        |rest: &str| format!("kind: dhcp-scope\nspec: {{physical: {{interface: eth0}}, prefix: 10.10.0.0/16{rest}}}");
    let discover = request(MessageType::Discover, &[]);
    let without = heard(ask(&with(&scope(""), &["10.10.1.100"]), &discover));
    assert_eq!(without.message.opts().get(OptionCode::Router), None);
    assert_eq!(without.message.opts().get(OptionCode::ClasslessStaticRoute), None);
    let declared = heard(ask(&with(&scope(", gateway: 10.10.0.254"), &["10.10.1.100"]), &discover));
    has(&declared.message, &DhcpOption::Router(vec![Ipv4Addr::new(10, 10, 0, 254)]));
}

#[test]
fn without_an_address_nothing_is_given_and_without_a_scope_nothing_said() {
    let discover = request(MessageType::Discover, &[]);
    let answer = ask(&with(common::SCOPES, &["fd00:a::100", "192.168.1.1"]), &discover).unwrap();
    assert_eq!((answer.frame, answer.event), (None, Event::NoAddress));
    assert_eq!(ask(&with("", &["10.10.1.100"]), &discover), None);
}

#[test]
fn what_does_not_fit_is_left_out_whole() {
    let many: Vec<_> = (1..=60).map(|last| format!("10.10.0.{last}")).collect();
    let suffixes: Vec<_> = (1..=12).map(|n| format!("department-{n}.corp.example")).collect();
    let scopes = format!(
        "kind: dhcp-scope\nspec: {{vsid: 5001, prefix: 10.10.0.0/16, dnsServers: [{}], dnsSuffixes: [{}]}}",
        many.join(", "),
        suffixes.join(", ")
    );
    let port = with(&scopes, &["10.10.1.100"]);
    let small = heard(ask(&port, &request(MessageType::Discover, &[])));
    assert!(small.payload.len() <= 576 - 28, "{}", small.payload.len());
    // The list of servers does not fit; what comes after it in the client's list does.
    assert_eq!(codes(&small.payload), [53, 54, 51, 58, 59, 1, 28, 3, 15, 119, 26]);
    let large = heard(ask(&port, &request(MessageType::Discover, &[DhcpOption::MaxMessageSize(1500)])));
    let Some(DhcpOption::DomainNameServer(all)) = large.message.opts().get(OptionCode::DomainNameServer) else {
        panic!()
    };
    assert_eq!(all.len(), 60);
    assert!(large.payload.len() <= 1458 - 28);
}

#[test]
fn foreign_messages_get_no_answer() {
    let port = port();
    let discover = request(MessageType::Discover, &[]);
    let mut relayed = discover.clone();
    relayed.set_giaddr(OWN);
    assert_eq!(ask(&port, &relayed), None, "relayed");
    let mut another = discover.clone();
    another.set_chaddr(&[6, 6, 0, 0, 0, 7]);
    assert_eq!(ask(&port, &another), None, "for another interface");
    let frame = frame_v4(NOBODY, EVERYBODY, &discover);
    let mut from_another = frame.clone();
    from_another[6..12].copy_from_slice(&GATEWAY_MAC);
    assert_eq!(dhcp::answer(&from_another, &port), None, "from another interface");
    let mut reply = frame.clone();
    reply[42] = 2;
    assert_eq!(dhcp::answer(&reply, &port), None, "a reply");
    let mut fragment = frame;
    fragment[20] |= 0x20;
    assert_eq!(dhcp::answer(&fragment, &port), None, "a fragment");
    assert_eq!(dhcp::answer(&frame_v4(NOBODY, OWN, &discover), &port), None, "to somebody else");
    assert_eq!(ask(&port, &request(MessageType::Offer, &[])), None, "an offer");
}
