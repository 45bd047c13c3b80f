//! Entries of conntrack as messages of ctnetlink, and back (include/uapi/linux/netfilter/nfnetlink_conntrack.h).
//!
//! How a translated connection is written down is what libnetfilter_conntrack does for conntrackd (NFCT_SOPT_UNDO_SNAT and
//! its like): the kernel is told the reply as it would be without translation, and the translation, since only by making the
//! translation itself does it set the bits by which it translates packets (ctnetlink_setup_nat in
//! net/netfilter/nf_conntrack_netlink.c).

use std::net::IpAddr;

use netlink_packet_netfilter::conntrack::{
    ConntrackAttribute, ConntrackMessage, IPTuple, ProtoInfo, ProtoInfoTCP, ProtoTuple, Protocol, Status, TCPFlags,
    Tuple as TupleAttribute,
};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};
use rtnetlink::packet_core::{DefaultNla, Emitable, Nla};

use super::{Entry, Layer4, TcpState, Tuple};

/// CTA_NAT_SRC, CTA_NAT_DST and CTA_ZONE of enum ctattr_type.
const NAT_SOURCE: u16 = 6;
const NAT_DESTINATION: u16 = 13;
const ZONE: u16 = 18;
/// CTA_NAT_V4_MINIP, CTA_NAT_V6_MINIP and CTA_NAT_PROTO of enum ctattr_nat; the greatest address follows the least.
const NAT_V4_MIN: u16 = 1;
const NAT_V6_MIN: u16 = 4;
const NAT_PROTOCOL: u16 = 3;
/// CTA_PROTONAT_PORT_MIN and _MAX of enum ctattr_protonat.
const NAT_PORTS: [u16; 2] = [1, 2];
/// CTA_PROTO_ICMP_ID and CTA_PROTO_ICMPV6_ID of enum ctattr_l4proto; type and code follow.
const ICMP_ID: u16 = 4;
const ICMPV6_ID: u16 = 7;
/// NLA_F_NESTED.
const NESTED: u16 = 1 << 15;

/// Protocol number of the ICMP of IPv6.
const ICMPV6: u8 = 58;

/// IP_CT_TCP_FLAG_BE_LIBERAL: a packet outside of the window is none of another connection. What the windows are is not handed
/// over.
const BE_LIBERAL: u8 = 0x08;
/// The flags of TCP that are said: window scaling, selective acknowledgements, who closes, being liberal.
const TCP_FLAGS: u8 = 0x0f;

/// Asks for all.
pub(super) fn list() -> NetfilterMessage {
    wrap(NetfilterProtoFamily::Unspec, ConntrackMessage::Get(Vec::new()))
}

/// Asks for the one whose opener sends so.
pub(super) fn get(original: &Tuple, zone: u16) -> NetfilterMessage {
    let attributes = with_zone(vec![ConntrackAttribute::CtaTupleOrig(tuple(original))], zone);
    wrap(family(original), ConntrackMessage::Get(attributes))
}

/// Forgets the one whose opener sends so.
pub(super) fn remove(original: &Tuple, zone: u16) -> NetfilterMessage {
    let attributes = with_zone(vec![ConntrackAttribute::CtaTupleOrig(tuple(original))], zone);
    wrap(family(original), ConntrackMessage::Delete(attributes))
}

/// Forgets the one that is answered so.
pub(super) fn remove_reply(reply: &Tuple, zone: u16) -> NetfilterMessage {
    let attributes = with_zone(vec![ConntrackAttribute::CtaTupleReply(tuple(reply))], zone);
    wrap(family(reply), ConntrackMessage::Delete(attributes))
}

/// Makes one.
pub(super) fn create(entry: &Entry) -> NetfilterMessage {
    let mut attributes = vec![
        ConntrackAttribute::CtaTupleOrig(tuple(&entry.original)),
        ConntrackAttribute::CtaTupleReply(tuple(&untranslated(entry))),
    ];
    attributes.extend(translations(entry));
    attributes.extend(state(entry));
    wrap(family(&entry.original), ConntrackMessage::New(with_zone(attributes, entry.zone)))
}

/// Changes one. Translations cannot be changed, so they are not said.
pub(super) fn update(entry: &Entry) -> NetfilterMessage {
    let mut attributes = vec![ConntrackAttribute::CtaTupleOrig(tuple(&entry.original))];
    attributes.extend(state(entry));
    wrap(family(&entry.original), ConntrackMessage::New(with_zone(attributes, entry.zone)))
}

/// The entry in a message of the kernel; none in other messages, and in those of protocols that are not IP.
pub(super) fn entry_of(message: &NetfilterMessage) -> Option<Entry> {
    let NetfilterMessageInner::Conntrack(
        ConntrackMessage::New(attributes) | ConntrackMessage::Delete(attributes) | ConntrackMessage::Get(attributes),
    ) = &message.inner
    else {
        return None;
    };
    let (mut original, mut reply) = (None, None);
    let (mut status, mut timeout, mut mark, mut zone, mut tcp) = (0, 0, 0, 0, None);
    for attribute in attributes {
        match attribute {
            ConntrackAttribute::CtaTupleOrig(parts) => original = tuple_of(parts),
            ConntrackAttribute::CtaTupleReply(parts) => reply = tuple_of(parts),
            ConntrackAttribute::CtaStatus(bits) => status = bits.bits(),
            ConntrackAttribute::CtaTimeout(seconds) => timeout = *seconds,
            ConntrackAttribute::CtaMark(value) => mark = *value,
            ConntrackAttribute::CtaProtoInfo(infos) => tcp = infos.iter().find_map(tcp_of),
            ConntrackAttribute::Other(other) if other.kind() == ZONE => zone = big_endian(other).unwrap_or(0),
            _ => {}
        }
    }
    Some(Entry { original: original?, reply: reply?, status, timeout, mark, zone, tcp })
}

/// A message with the header of its family.
fn wrap(family: NetfilterProtoFamily, message: ConntrackMessage) -> NetfilterMessage {
    NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), message)
}

/// IPv4 or IPv6.
fn family(tuple: &Tuple) -> NetfilterProtoFamily {
    match tuple.source {
        IpAddr::V4(_) => NetfilterProtoFamily::IPv4,
        IpAddr::V6(_) => NetfilterProtoFamily::IPv6,
    }
}

/// The attributes, with the zone where it is not the ordinary one.
fn with_zone(mut attributes: Vec<ConntrackAttribute>, zone: u16) -> Vec<ConntrackAttribute> {
    if zone != 0 {
        attributes.push(ConntrackAttribute::Other(DefaultNla::new(ZONE, zone.to_be_bytes().to_vec())));
    }
    attributes
}

/// A tuple as attributes.
fn tuple(tuple: &Tuple) -> Vec<TupleAttribute> {
    let mut protocol = vec![ProtoTuple::Protocol(Protocol::from(tuple.protocol))];
    match tuple.layer4 {
        Layer4::None => {}
        Layer4::Ports(from, to) => {
            protocol.push(ProtoTuple::SourcePort(from));
            protocol.push(ProtoTuple::DestinationPort(to));
        }
        Layer4::Icmp(id, kind, code) => {
            let first = if tuple.protocol == ICMPV6 { ICMPV6_ID } else { ICMP_ID };
            let values = [id.to_be_bytes().to_vec(), vec![kind], vec![code]];
            protocol.extend((first..).zip(values).map(|(kind, value)| ProtoTuple::Other(DefaultNla::new(kind, value))));
        }
    }
    vec![
        TupleAttribute::Ip(vec![IPTuple::SourceAddress(tuple.source), IPTuple::DestinationAddress(tuple.destination)]),
        TupleAttribute::Proto(protocol),
    ]
}

/// A tuple out of attributes.
fn tuple_of(parts: &[TupleAttribute]) -> Option<Tuple> {
    let (mut source, mut destination, mut protocol) = (None, None, None);
    let (mut from, mut to) = (None, None);
    let (mut id, mut kind, mut code) = (None, 0, 0);
    for part in parts {
        match part {
            TupleAttribute::Ip(addresses) => {
                for address in addresses {
                    match address {
                        IPTuple::SourceAddress(ip) => source = Some(*ip),
                        IPTuple::DestinationAddress(ip) => destination = Some(*ip),
                        _ => {}
                    }
                }
            }
            TupleAttribute::Proto(numbers) => {
                for number in numbers {
                    match number {
                        ProtoTuple::Protocol(number) => protocol = Some(u8::from(*number)),
                        ProtoTuple::SourcePort(port) => from = Some(*port),
                        ProtoTuple::DestinationPort(port) => to = Some(*port),
                        ProtoTuple::Other(other) => match other.kind() {
                            ICMP_ID | ICMPV6_ID => id = big_endian(other),
                            5 | 8 => kind = byte(other),
                            6 | 9 => code = byte(other),
                            _ => {}
                        },
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let layer4 = match (id, from, to) {
        (Some(id), ..) => Layer4::Icmp(id, kind, code),
        (None, Some(from), Some(to)) => Layer4::Ports(from, to),
        _ => Layer4::None,
    };
    Some(Tuple { source: source?, destination: destination?, protocol: protocol?, layer4 })
}

/// How the connection would be answered if nothing of it were translated.
fn untranslated(entry: &Entry) -> Tuple {
    let layer4 = match (entry.original.layer4, entry.reply.layer4) {
        (Layer4::Ports(from, to), _) => Layer4::Ports(to, from),
        // An answer has a type of its own.
        (Layer4::Icmp(id, ..), Layer4::Icmp(_, kind, code)) => Layer4::Icmp(id, kind, code),
        (other, _) => other,
    };
    Tuple {
        source: entry.original.destination,
        destination: entry.original.source,
        protocol: entry.original.protocol,
        layer4,
    }
}

/// What is translated: where it comes from, where it goes to.
fn translations(entry: &Entry) -> Vec<ConntrackAttribute> {
    let (plain, reply) = (untranslated(entry), entry.reply);
    let (source, destination) = match (plain.layer4, reply.layer4) {
        (Layer4::Ports(plain_from, plain_to), Layer4::Ports(from, to)) => {
            ((to, to != plain_to), (from, from != plain_from))
        }
        (Layer4::Icmp(plain_id, ..), Layer4::Icmp(id, ..)) => ((id, id != plain_id), (0, false)),
        _ => ((0, false), (0, false)),
    };
    let mut attributes = Vec::new();
    if reply.destination != plain.destination || source.1 {
        let number = (reply.layer4 != Layer4::None).then_some(source.0);
        attributes.push(translation(NAT_SOURCE, reply.destination, number));
    }
    if reply.source != plain.source || destination.1 {
        let number = matches!(reply.layer4, Layer4::Ports(..)).then_some(destination.0);
        attributes.push(translation(NAT_DESTINATION, reply.source, number));
    }
    attributes
}

/// One translation: to exactly this address, and this port or identifier.
fn translation(kind: u16, address: IpAddr, number: Option<u16>) -> ConntrackAttribute {
    let (first, octets) = match address {
        IpAddr::V4(ip) => (NAT_V4_MIN, ip.octets().to_vec()),
        IpAddr::V6(ip) => (NAT_V6_MIN, ip.octets().to_vec()),
    };
    let mut parts = vec![DefaultNla::new(first, octets.clone()), DefaultNla::new(first + 1, octets)];
    if let Some(number) = number {
        let bounds: Vec<_> =
            NAT_PORTS.iter().map(|bound| DefaultNla::new(*bound, number.to_be_bytes().to_vec())).collect();
        parts.push(nested(NAT_PROTOCOL, &bounds));
    }
    ConntrackAttribute::Other(nested(kind, &parts))
}

/// Attributes inside of one.
fn nested(kind: u16, parts: &[DefaultNla]) -> DefaultNla {
    let mut bytes = vec![0; parts.buffer_len()];
    parts.emit(&mut bytes);
    DefaultNla::new(kind | NESTED, bytes)
}

/// What may change while a connection lasts.
fn state(entry: &Entry) -> Vec<ConntrackAttribute> {
    // The other bits are the kernel's own (IPS_UNCHANGEABLE_MASK); one that is written down is confirmed.
    let told = Status::SeenReply | Status::Assured | Status::FixedTimeout;
    let status = Status::from_bits_retain(entry.status & told.bits()) | Status::Confirmed;
    let mut attributes = vec![ConntrackAttribute::CtaStatus(status), ConntrackAttribute::CtaTimeout(entry.timeout)];
    if entry.mark != 0 {
        attributes.push(ConntrackAttribute::CtaMark(entry.mark));
    }
    if let Some(tcp) = entry.tcp {
        let mut parts = vec![
            ProtoInfoTCP::State(tcp.state),
            ProtoInfoTCP::OriginalWindowScale(tcp.scales.0),
            ProtoInfoTCP::ReplyWindowScale(tcp.scales.1),
        ];
        let flags = |flags: u8| TCPFlags::parse(&[(flags | BE_LIBERAL) & TCP_FLAGS, TCP_FLAGS]).ok();
        parts.extend(flags(tcp.flags.0).map(ProtoInfoTCP::OriginalFlags));
        parts.extend(flags(tcp.flags.1).map(ProtoInfoTCP::ReplyFlags));
        attributes.push(ConntrackAttribute::CtaProtoInfo(vec![ProtoInfo::TCP(parts)]));
    }
    attributes
}

/// What the kernel says of a TCP connection.
fn tcp_of(info: &ProtoInfo) -> Option<TcpState> {
    let ProtoInfo::TCP(parts) = info else { return None };
    let mut state = None;
    let (mut flags, mut scales) = ((0, 0), (0, 0));
    for part in parts {
        match part {
            ProtoInfoTCP::State(number) => state = Some(*number),
            ProtoInfoTCP::OriginalWindowScale(scale) => scales.0 = *scale,
            ProtoInfoTCP::ReplyWindowScale(scale) => scales.1 = *scale,
            ProtoInfoTCP::OriginalFlags(its) => flags.0 = its.flags,
            ProtoInfoTCP::ReplyFlags(its) => flags.1 = its.flags,
            _ => {}
        }
    }
    state.map(|state| TcpState { state, flags, scales })
}

/// The number in an attribute of two bytes.
fn big_endian(attribute: &DefaultNla) -> Option<u16> {
    Some(u16::from_be_bytes(value_of(attribute).get(..2)?.try_into().ok()?))
}

/// The number in an attribute of one byte.
fn byte(attribute: &DefaultNla) -> u8 {
    value_of(attribute).first().copied().unwrap_or(0)
}

/// What an attribute holds.
fn value_of(attribute: &DefaultNla) -> Vec<u8> {
    let mut value = vec![0; attribute.value_len()];
    attribute.emit_value(&mut value);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(protocol: u8, original: Layer4, reply: Layer4) -> Entry {
        let ip = |text: &str| text.parse().unwrap();
        Entry {
            original: Tuple { source: ip("10.0.0.5"), destination: ip("203.0.113.9"), protocol, layer4: original },
            reply: Tuple { source: ip("203.0.113.9"), destination: ip("198.51.100.1"), protocol, layer4: reply },
            status: 0x18e,
            timeout: 300,
            mark: 7,
            zone: 3,
            tcp: None,
        }
    }

    #[test]
    fn what_is_not_translated_is_the_reverse() {
        let tcp = entry(6, Layer4::Ports(4000, 80), Layer4::Ports(80, 61_000));
        assert_eq!(untranslated(&tcp).layer4, Layer4::Ports(80, 4000));
        let kinds = |entry: &Entry| translations(entry).iter().map(|nla| nla.kind() & !NESTED).collect::<Vec<_>>();
        assert_eq!(kinds(&tcp), [NAT_SOURCE]);
        // The answer to an echo request is of another type.
        let ping = entry(1, Layer4::Icmp(5, 8, 0), Layer4::Icmp(6, 0, 0));
        assert_eq!(untranslated(&ping).layer4, Layer4::Icmp(5, 0, 0));
        assert_eq!(kinds(&ping), [NAT_SOURCE]);
        let plain = Entry { reply: untranslated(&tcp), ..tcp };
        assert!(kinds(&plain).is_empty());
    }

    #[test]
    fn what_is_said_is_understood() {
        for said in [
            entry(6, Layer4::Ports(4000, 80), Layer4::Ports(80, 4000)),
            entry(1, Layer4::Icmp(5, 8, 0), Layer4::Icmp(5, 0, 0)),
            entry(50, Layer4::None, Layer4::None),
        ] {
            let plain = Entry { reply: untranslated(&said), ..said };
            let heard = entry_of(&create(&plain)).unwrap();
            // Of the status, only what can be set is said.
            assert_eq!(heard, Entry { status: 0xe, ..plain });
        }
    }
}
