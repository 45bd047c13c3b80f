//! DHCPv6: every message, and all options of what is answered.

mod common;

use std::net::IpAddr;

use common::{
    ALL_SERVERS, LINK_LOCAL, MAC, SERVER_DUID, addresses, ask_v6, association, associations, frame_v6, heard_v6,
    message_v6, port, status, with,
};
use dhcp::Event;
use dhcproto::Name;
use dhcproto::v6::{DhcpOption, DhcpOptions, IAPD, IATA, MessageType, ORO, OptionCode, Status};

const OWN: &str = "fd00:a::100";

fn own() -> IpAddr {
    OWN.parse().unwrap()
}

fn server() -> DhcpOption {
    DhcpOption::ServerId(SERVER_DUID.to_vec())
}

fn wanted(codes: &[OptionCode]) -> DhcpOption {
    DhcpOption::ORO(ORO { opts: codes.to_vec() })
}

fn granted() -> Vec<(String, u32, u32)> {
    vec![(OWN.to_owned(), 3600, 3600)]
}

#[test]
fn a_solicit_is_answered_by_an_advertise_with_all_that_a_client_needs() {
    let asked = wanted(&[OptionCode::DomainNameServers, OptionCode::DomainSearchList]);
    let heard = heard_v6(ask_v6(&port(), &message_v6(MessageType::Solicit, &[association(7, &[]), asked])));
    assert_eq!(heard.event, Event::Offered(own()));
    assert_eq!((heard.mac, heard.destination), (MAC, LINK_LOCAL.into()));
    let message = &heard.message;
    assert_eq!(message.msg_type(), MessageType::Advertise);
    assert_eq!(message.opts().get(OptionCode::ClientId), Some(&DhcpOption::ClientId(common::DUID.to_vec())));
    assert_eq!(message.opts().get(OptionCode::Preference), Some(&DhcpOption::Preference(255)));
    let association = &associations(message)[0];
    assert_eq!((association.id, association.t1, association.t2), (7, 1800, 2880));
    assert_eq!(addresses(association), granted());
    let servers = DhcpOption::DomainNameServers(vec!["fd00:a::53".parse().unwrap()]);
    assert_eq!(message.opts().get(OptionCode::DomainNameServers), Some(&servers));
    let names = ["corp.example.", "example."].map(|name| Name::from_ascii(name).unwrap()).to_vec();
    assert_eq!(message.opts().get(OptionCode::DomainSearchList), Some(&DhcpOption::DomainSearchList(names)));
    // Names are not compressed (RFC 8415, section 10).
    let whole = b"\x04corp\x07example\x00\x07example\x00";
    assert!(heard.payload.windows(whole.len()).any(|window| window == whole));
}

#[test]
fn only_what_is_asked_for_is_told() {
    let asked = wanted(&[OptionCode::DomainSearchList]);
    let answer = heard_v6(ask_v6(&port(), &message_v6(MessageType::Solicit, &[association(7, &[]), asked])));
    assert_eq!(answer.message.opts().get(OptionCode::DomainNameServers), None);
    assert!(answer.message.opts().get(OptionCode::DomainSearchList).is_some());
}

#[test]
fn rapid_commit_binds_at_once() {
    let options = [association(7, &[]), DhcpOption::RapidCommit];
    let answer = heard_v6(ask_v6(&port(), &message_v6(MessageType::Solicit, &options)));
    assert_eq!((answer.event, answer.message.msg_type()), (Event::Bound(own()), MessageType::Reply));
    assert_eq!(answer.message.opts().get(OptionCode::RapidCommit), Some(&DhcpOption::RapidCommit));
    assert_eq!(addresses(&associations(&answer.message)[0]), granted());
}

#[test]
fn request_renew_and_rebind_bind_the_address() {
    for (kind, options) in [
        (MessageType::Request, vec![server(), association(7, &[OWN])]),
        (MessageType::Request, vec![server(), association(7, &["fd00:a::999"])]),
        (MessageType::Renew, vec![server(), association(7, &[OWN])]),
        (MessageType::Rebind, vec![association(7, &[OWN])]),
    ] {
        let answer = heard_v6(ask_v6(&port(), &message_v6(kind, &options)));
        assert_eq!((answer.event, answer.message.msg_type()), (Event::Bound(own()), MessageType::Reply), "{kind:?}");
        assert_eq!(addresses(&associations(&answer.message)[0]), granted(), "{kind:?}");
        assert!(answer.message.opts().get(OptionCode::DomainNameServers).is_some());
    }
}

#[test]
fn who_comes_from_another_link_is_told_so() {
    let stale = association(7, &["fd00:99::5"]);
    let answer = heard_v6(ask_v6(&port(), &message_v6(MessageType::Request, &[server(), stale.clone()])));
    assert_eq!(answer.event, Event::Refused(Some("fd00:99::5".parse().unwrap())));
    assert_eq!(status(&associations(&answer.message)[0].opts), Some(Status::NotOnLink));
    let answer = heard_v6(ask_v6(&port(), &message_v6(MessageType::Confirm, std::slice::from_ref(&stale))));
    assert_eq!(status(answer.message.opts()), Some(Status::NotOnLink));
    for kind in [MessageType::Renew, MessageType::Rebind] {
        let mut options = vec![stale.clone()];
        options.extend((kind == MessageType::Renew).then(server));
        let answer = heard_v6(ask_v6(&port(), &message_v6(kind, &options)));
        let expired = ("fd00:99::5".to_owned(), 0, 0);
        assert_eq!(addresses(&associations(&answer.message)[0]), [granted(), vec![expired]].concat(), "{kind:?}");
    }
}

#[test]
fn confirm_agrees_to_the_own_address_and_needs_one() {
    let answer = heard_v6(ask_v6(&port(), &message_v6(MessageType::Confirm, &[association(7, &[OWN])])));
    assert_eq!((answer.event, status(answer.message.opts())), (Event::Bound(own()), Some(Status::Success)));
    assert_eq!(ask_v6(&port(), &message_v6(MessageType::Confirm, &[association(7, &[])])), None);
}

#[test]
fn release_and_decline_are_noted() {
    for (kind, event) in
        [(MessageType::Release, Event::Released(own())), (MessageType::Decline, Event::Declined(own()))]
    {
        let answer = heard_v6(ask_v6(&port(), &message_v6(kind, &[server(), association(7, &[OWN])])));
        assert_eq!((answer.event, status(answer.message.opts())), (event, Some(Status::Success)));
        assert!(associations(&answer.message).is_empty());
        let foreign = [server(), association(7, &["fd00:a::999"])];
        let answer = heard_v6(ask_v6(&port(), &message_v6(kind, &foreign)));
        assert_eq!(status(&associations(&answer.message)[0].opts), Some(Status::NoBinding));
    }
}

#[test]
fn information_is_given_to_who_asks_for_nothing_else() {
    let asked = wanted(&[OptionCode::DomainNameServers, OptionCode::from(32)]);
    let mut message = message_v6(MessageType::InformationRequest, &[asked]);
    message.opts_mut().remove(OptionCode::ClientId);
    let answer = heard_v6(ask_v6(&port(), &message));
    assert_eq!((answer.event, answer.message.msg_type()), (Event::Informed, MessageType::Reply));
    assert!(answer.message.opts().get(OptionCode::DomainNameServers).is_some());
    assert!(answer.payload.windows(8).any(|window| window == [0, 32, 0, 4, 0, 0, 0x0e, 0x10]), "refresh time 3600");
    let both = message_v6(MessageType::InformationRequest, &[association(7, &[])]);
    assert_eq!(ask_v6(&port(), &both), None, "RFC 8415, section 16.12");
}

#[test]
fn further_associations_temporary_addresses_and_prefixes_get_nothing() {
    let options = [
        association(7, &[]),
        association(8, &[]),
        DhcpOption::IATA(IATA { id: 9, opts: DhcpOptions::new() }),
        DhcpOption::IAPD(IAPD { id: 10, t1: 0, t2: 0, opts: DhcpOptions::new() }),
    ];
    let answer = heard_v6(ask_v6(&port(), &message_v6(MessageType::Solicit, &options)));
    let given = associations(&answer.message);
    assert_eq!(given.iter().map(|association| association.id).collect::<Vec<_>>(), [7, 8]);
    assert_eq!(addresses(&given[0]), granted());
    assert_eq!((status(&given[1].opts), given[1].t1), (Some(Status::NoAddrsAvail), 0));
    let Some(DhcpOption::IATA(temporary)) = answer.message.opts().get(OptionCode::IATA) else { panic!() };
    assert_eq!((temporary.id, status(&temporary.opts)), (9, Some(Status::NoAddrsAvail)));
    let Some(DhcpOption::IAPD(prefix)) = answer.message.opts().get(OptionCode::IAPD) else { panic!() };
    assert_eq!((prefix.id, status(&prefix.opts)), (10, Some(Status::NoPrefixAvail)));
}

#[test]
fn without_an_address_none_is_available_and_without_a_scope_nothing_is_said() {
    let solicit = message_v6(MessageType::Solicit, &[association(7, &[])]);
    let answer = heard_v6(ask_v6(&with(common::SCOPES, &["10.10.1.100"]), &solicit));
    assert_eq!((answer.event, answer.message.msg_type()), (Event::NoAddress, MessageType::Advertise));
    assert_eq!(status(&associations(&answer.message)[0].opts), Some(Status::NoAddrsAvail));
    let renew = message_v6(MessageType::Renew, &[server(), association(7, &[])]);
    let answer = heard_v6(ask_v6(&with(common::SCOPES, &[]), &renew));
    assert_eq!(status(&associations(&answer.message)[0].opts), Some(Status::NoBinding));
    assert_eq!(ask_v6(&with("", &[OWN]), &solicit), None);
}

#[test]
fn messages_that_break_the_rules_get_no_answer() {
    let another = DhcpOption::ServerId(vec![0, 3, 0, 1, 9, 9, 9, 9, 9, 9]);
    for (kind, options) in [
        (MessageType::Solicit, vec![server(), association(7, &[])]),
        (MessageType::Request, vec![association(7, &[])]),
        (MessageType::Request, vec![another.clone(), association(7, &[])]),
        (MessageType::Renew, vec![another, association(7, &[OWN])]),
        (MessageType::Rebind, vec![server(), association(7, &[OWN])]),
        (MessageType::Release, vec![association(7, &[OWN])]),
        (MessageType::Advertise, vec![]),
        (MessageType::Reply, vec![]),
        (MessageType::RelayForw, vec![]),
    ] {
        assert_eq!(ask_v6(&port(), &message_v6(kind, &options)), None, "{kind:?} {options:?}");
    }
    let mut anonymous = message_v6(MessageType::Solicit, &[association(7, &[])]);
    anonymous.opts_mut().remove(OptionCode::ClientId);
    assert_eq!(ask_v6(&port(), &anonymous), None);
}

#[test]
fn who_sends_to_one_address_is_told_to_use_the_group() {
    let gateway = common::port().gateway_mac.link_local();
    let renew = message_v6(MessageType::Renew, &[server(), association(7, &[OWN])]);
    let answer = heard_v6(dhcp::answer(&frame_v6(gateway, &renew), &port()));
    assert_eq!(status(answer.message.opts()), Some(Status::UseMulticast));
    let solicit = message_v6(MessageType::Solicit, &[association(7, &[])]);
    assert_eq!(dhcp::answer(&frame_v6(gateway, &solicit), &port()), None);
    // The group is the one of servers.
    assert!(dhcp::answer(&frame_v6(ALL_SERVERS, &solicit), &port()).is_some());
}
