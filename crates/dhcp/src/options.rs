//! The options of a message, judged before a library reads them: `dhcproto` asserts the lengths of some in debug builds,
//! subtracts from others unchecked, and a VM may write what it likes. Only those that matter are kept.

use std::collections::BTreeMap;

/// Length of a DHCP message before its options, the magic cookie included (RFC 2131, figure 1).
pub const V4_FIXED: usize = 240;

/// The options of DHCP that matter here, with their least and greatest lengths.
const V4_KEPT: [(u8, usize, usize); 7] = [
    (50, 4, 4),          // requested IP address
    (53, 1, 1),          // message type
    (54, 4, 4),          // server identifier
    (55, 1, usize::MAX), // parameter request list
    (57, 2, 2),          // maximum DHCP message size
    (61, 2, usize::MAX), // client identifier
    (80, 0, 0),          // rapid commit
];

/// Option codes of DHCP that this reads itself.
const PAD: u8 = 0;
const OVERLOAD: u8 = 52;
const END: u8 = 255;

/// A DHCP request with the options that matter alone, or none if it is no request of an Ethernet client or malformed.
pub fn strain_v4(message: &[u8]) -> Option<Vec<u8>> {
    let (fixed, options) = message.split_at_checked(V4_FIXED)?;
    // BOOTREQUEST, Ethernet, six bytes of address, the cookie.
    if fixed[..3] != [1, 1, 6] || fixed[236..] != dhcproto::v4::MAGIC {
        return None;
    }
    let mut found: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    collect(options, &mut found)?;
    // The fields `file` and `sname` may hold more of them, in this order (RFC 2131, section 4.1).
    let overload = match found.get(&OVERLOAD).map(Vec::as_slice) {
        None => 0,
        Some([fields @ 1..=3]) => *fields,
        Some(_) => return None,
    };
    if overload & 1 != 0 {
        collect(&fixed[108..236], &mut found)?;
    }
    if overload & 2 != 0 {
        collect(&fixed[44..108], &mut found)?;
    }
    let mut strained = fixed[..44].to_vec();
    strained.resize(236, 0);
    strained.extend_from_slice(&fixed[236..]);
    for (code, least, greatest) in V4_KEPT {
        let Some(value) = found.get(&code) else { continue };
        if !(least..=greatest).contains(&value.len()) {
            return None;
        }
        if value.is_empty() {
            strained.extend([code, 0]);
        }
        for part in value.chunks(255) {
            strained.extend([code, part.len() as u8]);
            strained.extend_from_slice(part);
        }
    }
    strained.push(END);
    Some(strained)
}

/// Reads options up to the end mark or the end; those that come in parts are joined (RFC 3396).
fn collect(mut rest: &[u8], found: &mut BTreeMap<u8, Vec<u8>>) -> Option<()> {
    loop {
        match *rest {
            [] | [END, ..] => return Some(()),
            [PAD, ..] => rest = &rest[1..],
            [code, length, ref tail @ ..] => {
                let (value, tail) = tail.split_at_checked(length.into())?;
                found.entry(code).or_default().extend_from_slice(value);
                rest = tail;
            }
            [_] => return None,
        }
    }
}

/// Length of a DHCPv6 message before its options (RFC 8415, section 8).
const V6_FIXED: usize = 4;

/// The options of DHCPv6 that matter here, each with how many of its first bytes are fixed (RFC 8415, section 21).
const CLIENT_ID: u16 = 1;
const SERVER_ID: u16 = 2;
const IA_NA: u16 = 3;
const IA_TA: u16 = 4;
const IA_ADDR: u16 = 5;
const OPTION_REQUEST: u16 = 6;
const RAPID_COMMIT: u16 = 14;
const IA_PD: u16 = 25;

/// The greatest length of a DUID, its type included (RFC 8415, section 11.1).
const MAX_DUID: usize = 130;

/// A DHCPv6 message with the options that matter alone, or none if it is malformed.
pub fn strain_v6(message: &[u8]) -> Option<Vec<u8>> {
    let (fixed, mut rest) = message.split_at_checked(V6_FIXED)?;
    let mut strained = fixed.to_vec();
    while !rest.is_empty() {
        let (code, value) = next_v6(&mut rest)?;
        match code {
            CLIENT_ID | SERVER_ID if (3..=MAX_DUID).contains(&value.len()) => put_v6(&mut strained, code, value),
            IA_NA => put_v6(&mut strained, code, &strain_association(value)?),
            IA_TA => put_v6(&mut strained, code, value.get(..4)?),
            IA_PD => put_v6(&mut strained, code, value.get(..12)?),
            OPTION_REQUEST if value.len().is_multiple_of(2) => put_v6(&mut strained, code, value),
            RAPID_COMMIT if value.is_empty() => put_v6(&mut strained, code, value),
            CLIENT_ID | SERVER_ID | OPTION_REQUEST | RAPID_COMMIT => return None,
            _ => {}
        }
    }
    Some(strained)
}

/// The content of an IA_NA with its addresses alone.
fn strain_association(value: &[u8]) -> Option<Vec<u8>> {
    let (fixed, mut rest) = value.split_at_checked(12)?;
    let mut strained = fixed.to_vec();
    while !rest.is_empty() {
        let (code, value) = next_v6(&mut rest)?;
        if code == IA_ADDR {
            // What stands in an address is a status, which is for servers to say.
            put_v6(&mut strained, code, value.get(..24)?);
        }
    }
    Some(strained)
}

/// Takes an option off: its code and value.
fn next_v6<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let (&[a, b, c, d], tail) = rest.split_first_chunk::<4>()?;
    let (value, tail) = tail.split_at_checked(u16::from_be_bytes([c, d]).into())?;
    *rest = tail;
    Some((u16::from_be_bytes([a, b]), value))
}

/// Adds an option. It came out of one, so its length has two bytes.
fn put_v6(to: &mut Vec<u8>, code: u16, value: &[u8]) {
    to.extend(code.to_be_bytes());
    to.extend((value.len() as u16).to_be_bytes());
    to.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(options: &[u8]) -> Vec<u8> {
        let mut message = vec![0; V4_FIXED];
        message[..3].copy_from_slice(&[1, 1, 6]);
        message[236..].copy_from_slice(&dhcproto::v4::MAGIC);
        message.extend_from_slice(options);
        message
    }

    fn strained(options: &[u8]) -> Option<Vec<u8>> {
        strain_v4(&request(options)).map(|message| message[V4_FIXED..].to_vec())
    }

    #[test]
    fn what_matters_is_kept_and_parts_are_joined() {
        assert_eq!(strained(&[53, 1, 1, 12, 1, 0xff, 0, 255, 9, 9]), Some(vec![53, 1, 1, 255]));
        assert_eq!(strained(&[55, 2, 1, 3, 53, 1, 1, 55, 1, 6]), Some(vec![53, 1, 1, 55, 3, 1, 3, 6, 255]));
        assert_eq!(strained(&[80, 0]), Some(vec![80, 0, 255]));
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        for options in
            [&[53, 2, 1, 1][..], &[50, 3, 1, 1, 1], &[54, 0], &[57, 1, 1], &[80, 1, 0], &[61, 1, 1], &[53], &[53, 9, 1]]
        {
            assert_eq!(strained(options), None, "{options:?}");
        }
    }

    #[test]
    fn options_may_stand_in_the_fields_for_names() {
        let mut message = request(&[52, 1, 3, 255]);
        message[108..111].copy_from_slice(&[53, 1, 3]);
        message[44..50].copy_from_slice(&[50, 4, 10, 0, 0, 5]);
        let kept = strain_v4(&message).unwrap();
        assert_eq!(kept[V4_FIXED..], [50, 4, 10, 0, 0, 5, 53, 1, 3, 255]);
        assert_eq!(strained(&[52, 1, 4]), None);
    }

    #[test]
    fn associations_keep_their_addresses() {
        let mut address = vec![0, 5, 0, 30];
        address.extend([7; 24]);
        address.extend([0, 13, 0, 2, 0, 1]);
        let mut message = vec![1, 0, 0, 1, 0, 3, 0, (12 + address.len()) as u8];
        message.extend([1; 12]);
        message.extend(&address);
        message.extend([0, 13, 0, 1, 0]);
        let kept = strain_v6(&message).unwrap();
        assert_eq!(kept[..8], [1, 0, 0, 1, 0, 3, 0, 40]);
        assert_eq!(kept[20..24], [0, 5, 0, 24]);
        assert_eq!(kept.len(), 48);
        for cut in 5..message.len() {
            // Cut anywhere but between options, it is malformed.
            let whole = cut == message.len() - 5;
            assert_eq!(strain_v6(&message[..cut]).is_some(), whole, "{cut}");
        }
    }
}
