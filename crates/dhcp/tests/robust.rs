//! No frame leads to a panic, and none to an answer to somebody else: random frames, and good ones with bytes changed,
//! cut off or added.

mod common;

use common::{
    ALL_SERVERS, EVERYBODY, GATEWAY_MAC, MAC, NOBODY, OWN, SERVER, SERVER_DUID, association, frame_v4, frame_v6,
    message_v6, port, request,
};
use dhcproto::v4::{DhcpOption, MessageType};
use dhcproto::v6;
use proptest::prelude::*;

/// One good frame of each kind.
fn good() -> Vec<Vec<u8>> {
    let options = [
        DhcpOption::RequestedIpAddress(OWN),
        DhcpOption::ServerIdentifier(SERVER),
        DhcpOption::MaxMessageSize(1400),
        DhcpOption::ClientIdentifier(vec![1; 7]),
        DhcpOption::Hostname("vm".into()),
    ];
    let mut frames = Vec::new();
    for kind in [MessageType::Discover, MessageType::Request, MessageType::Inform, MessageType::Decline] {
        frames.push(frame_v4(NOBODY, EVERYBODY, &request(kind, &options)));
        frames.push(frame_v4(OWN, SERVER, &request(kind, &[])));
    }
    let server = v6::DhcpOption::ServerId(SERVER_DUID.to_vec());
    let asked = v6::DhcpOption::ORO(v6::ORO { opts: vec![v6::OptionCode::DomainNameServers] });
    let own = association(7, &["fd00:a::100", "fd00:99::1"]);
    for (kind, options) in [
        (v6::MessageType::Solicit, vec![own.clone(), asked]),
        (v6::MessageType::Request, vec![own.clone(), server.clone()]),
        (v6::MessageType::Renew, vec![own.clone(), server.clone()]),
        (v6::MessageType::Release, vec![own, server]),
        (v6::MessageType::InformationRequest, vec![]),
    ] {
        frames.push(frame_v6(ALL_SERVERS, &message_v6(kind, &options)));
    }
    frames
}

/// An answer goes from the gateway to the port, or to a group.
fn judge(frame: &[u8]) -> Result<(), TestCaseError> {
    if let Some(frame) = dhcp::answer(frame, &port()).and_then(|answer| answer.frame) {
        prop_assert_eq!(&frame[6..12], &GATEWAY_MAC);
        prop_assert!(frame[..6] == MAC || frame[0] & 1 == 1);
        prop_assert!(frame.len() <= 14 + 1458);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes(frame in prop::collection::vec(any::<u8>(), 0..600)) {
        judge(&frame)?;
    }

    #[test]
    fn random_messages_in_good_envelopes(which in any::<prop::sample::Index>(), noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let frames = good();
        let mut frame = which.get(&frames).clone();
        // Behind Ethernet, IP and UDP; a DHCP message keeps its fixed part, so that its options are read.
        let kept = if frame[12..14] == [8, 0] { 42 + 240 } else { 62 + 4 };
        let end = frame.len().min(kept + noise.len());
        frame[kept..end].copy_from_slice(&noise[..end - kept]);
        judge(&frame)?;
    }

    #[test]
    fn good_frames_with_changed_bytes(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let frames = good();
        let mut frame = which.get(&frames).clone();
        for (place, byte) in changes {
            let place = place.index(frame.len());
            frame[place] = byte;
        }
        if cuts {
            frame.truncate(cut.index(frame.len()));
        }
        judge(&frame)?;
    }

    /// What the libraries' own assertions would trip over: each option code with any length and content.
    #[test]
    fn every_option_with_every_length(code in any::<u8>(), value in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut message = v6::Message::new_with_id(v6::MessageType::Solicit, [1, 2, 3]);
        message.opts_mut().insert(v6::DhcpOption::ClientId(common::DUID.to_vec()));
        message.opts_mut().insert(association(7, &[]));
        let unknown = v6::UnknownOption::new(v6::OptionCode::from(u16::from(code)), value.clone());
        message.opts_mut().insert(v6::DhcpOption::Unknown(unknown));
        judge(&frame_v6(ALL_SERVERS, &message))?;
        let mut discover = request(MessageType::Discover, &[]);
        discover.opts_mut().insert(DhcpOption::VendorExtensions(value.clone()));
        let mut frame = frame_v4(NOBODY, EVERYBODY, &discover);
        // The option's code becomes the random one.
        let place = frame[42 + 240..].windows(2).position(|pair| pair == [43, value.len() as u8]);
        if let Some(place) = place {
            frame[42 + 240 + place] = code;
        }
        judge(&frame)?;
    }
}

#[test]
fn the_good_frames_are_good() {
    let answered = good().iter().filter(|frame| dhcp::answer(frame, &port()).is_some()).count();
    assert!(answered >= 9, "{answered}");
}
