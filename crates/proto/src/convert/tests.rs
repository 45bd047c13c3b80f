//! What goes out comes in again; what is wrong is named; nothing that comes in makes the program panic.

use model::{Key, Kind, Resource};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use prost::bytes::Bytes;

use super::*;
use crate::wire::resource::Resource as Wire;
use crate::{Encoded, Mirror, wire};

fn any_kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL.to_vec())
}

proptest! {
    #[test]
    fn a_resource_goes_out_and_comes_in(resource in Resource::any()) {
        let item = encode_item(&resource);
        prop_assert_eq!(&item, &encode_item(&resource), "the same bytes each time");
        prop_assert_eq!(decode_item(&item), Ok(resource));
    }

    #[test]
    fn a_key_goes_out_and_comes_in(kind in any_kind(), name in "[ -~]{0,40}") {
        let key = Key { kind, name };
        prop_assert_eq!(key_in(key_out(&key)), Ok(key));
    }

    #[test]
    fn random_bytes_are_refused_or_read_but_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode_item(&bytes);
        let _ = wire::AgentMessage::decode(&bytes[..]).map(|message| match message.message {
            Some(wire::agent_message::Message::Hello(hello)) => facts_in(hello.facts).map(drop),
            Some(wire::agent_message::Message::Report(report)) => report_in(report).map(drop),
            Some(wire::agent_message::Message::Claim(claim)) => claim_in(claim).map(drop),
            _ => Ok(()),
        });
        let mut mirror = Mirror::default();
        let message: Encoded = prost::Message::decode(&bytes[..]).unwrap();
        let _ = message.claim_answer();
        let _ = mirror.hear(message);
    }

    /// Far more of these are well-formed than of random bytes.
    #[test]
    fn damaged_items_never_panic(resource in Resource::any(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut item = encode_item(&resource).to_vec();
        let at = at.index(item.len());
        item[at] = byte;
        if let Ok(read) = decode_item(&item) {
            prop_assert_eq!(decode_item(&encode_item(&read)), Ok(read));
        }
    }
}

fn record(change: impl FnOnce(&mut wire::LookupRecord)) -> Result<Resource, WireError> {
    let mut record = wire::LookupRecord {
        vsid: 5001,
        customer_address: Some(Bytes::from_static(&[10, 0, 0, 5])),
        mac: Bytes::from_static(&[6, 6, 0, 0, 0, 5]),
        provider_address: Bytes::from_static(&[192, 168, 4, 11]),
        ..wire::LookupRecord::default()
    };
    change(&mut record);
    decode_item(&wire::Resource { resource: Some(Wire::LookupRecord(record)) }.encode_to_vec())
}

#[test]
fn an_error_names_the_field_and_its_value() {
    assert!(record(|_| ()).is_ok());
    let sentence = |change: fn(&mut wire::LookupRecord)| record(change).unwrap_err().to_string();
    for (sentence, words) in [
        (sentence(|r| r.vsid = 70), ["\"vsid\"", "VSID 70 is out of range"]),
        (sentence(|r| r.mac = Bytes::from_static(&[1, 0, 0, 0, 0, 5])), ["\"mac\"", "multicast"]),
        (sentence(|r| r.mac = Bytes::from_static(&[6, 6])), ["\"mac\" of a message is 0x0606", "6 bytes"]),
        (sentence(|r| r.customer_address = Some(Bytes::new())), ["\"customer_address\"", "4 or 16 bytes"]),
        (sentence(|r| r.rule = 9), ["\"rule\" of a message is 9", "no such rule"]),
    ] {
        assert!(words.iter().all(|word| sentence.contains(word)), "{sentence}");
    }
    assert_eq!(decode_item(&[]), Err(WireError::Missing { field: "resource" }));
}
