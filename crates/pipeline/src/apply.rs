//! Carries a decision out on a frame. The same code runs on an skb in the kernel and on bytes in user space, so that
//! what leaves is the same to the last bit.

use crate::checksum;
use crate::encapsulation::{self, HEADER_V4, HEADER_V6};
use crate::headers::arp::{self, Arp};
use crate::headers::ethernet::{self, Ethernet};
use crate::headers::icmp::{self, IcmpError};
use crate::headers::ip::{self, Ip, Transport};
use crate::headers::{ETHERNET_LEN, neighbor, nvgre, part, put, transport};
use crate::packet::{ChecksumField, Frame, Network, NoRoom};
use crate::tables::Address;
use crate::verdict::{Answer, Edit, Strip, Translation, Tunnel};

/// Hop limit of what the gateway says itself.
const GATEWAY_TTL: u8 = 64;
/// Hop limit of Neighbor Discovery, which proves that it was not routed (RFC 4861, 7.1).
const ND_TTL: u8 = 255;
/// Length of a frame with a neighbor advertisement.
const ADVERTISEMENT_FRAME: usize = ETHERNET_LEN + ip::V6_LEN + neighbor::LEN_WITH_OPTION;

/// Makes the changes of an [`Edit`] except for its Ethernet header, on the frame as it came. Most frames have none.
#[inline(always)]
fn edit_network<F: Frame>(frame: &mut F, edit: &Edit, translation: Option<&Translation>) -> Result<(), NoRoom> {
    if edit.routed || edit.congestion || edit.clamp.is_some() || translation.is_some() {
        return change_network(frame, edit, translation);
    }
    Ok(())
}

/// A call of its own in the kernel: rare, and so it takes no stack from the others.
#[inline(never)]
fn change_network<F: Frame>(frame: &mut F, edit: &Edit, translation: Option<&Translation>) -> Result<(), NoRoom> {
    if let Some(clamp) = edit.clamp {
        frame.store(clamp.offset as usize, &clamp.value.to_be_bytes())?;
        let field = ChecksumField {
            offset: clamp.checksum as usize,
            pseudo: false,
            udp: false,
        };
        frame.correct_checksum(field, clamp.difference)?;
    }
    if let Some(translation) = translation {
        translate_checksum(frame, edit, translation)?;
    }
    if edit.routed || edit.congestion || translation.is_some() {
        return match edit.network {
            Network::V4 => edit_v4(frame, edit, translation),
            Network::V6 => edit_v6(frame, edit, translation),
            Network::Other => Ok(()),
        };
    }
    Ok(())
}

/// Rewrites the IPv4 header, its checksum corrected by what changed.
#[inline(always)]
fn edit_v4<F: Frame>(frame: &mut F, edit: &Edit, translation: Option<&Translation>) -> Result<(), NoRoom> {
    let mut header = frame.bytes_at::<{ ip::V4_LEN }>(edit.at as usize).ok_or(NoRoom)?;
    let [_, mut traffic_class, _, _, _, _, _, _, mut ttl, ..] = header;
    let before = checksum::sum(&header);
    if edit.congestion {
        traffic_class |= encapsulation::CONGESTION_EXPERIENCED;
    }
    if edit.routed {
        ttl = ttl.saturating_sub(1);
    }
    put(&mut header, 1, [traffic_class]);
    put(&mut header, 8, [ttl]);
    if let Some(Translation {
        source: Some(source), ..
    }) = translation
    {
        put(&mut header, 12, source.last4());
    }
    if let Some(Translation {
        destination: Some(destination),
        ..
    }) = translation
    {
        put(&mut header, 16, destination.last4());
    }
    let old = u16::from_be_bytes(part(&header, 10));
    let new = checksum::correct(old, checksum::difference(before, checksum::sum(&header)));
    put(&mut header, 10, new.to_be_bytes());
    frame.store(edit.at as usize, &header)
}

/// Rewrites what changes of the IPv6 header.
#[inline(always)]
fn edit_v6<F: Frame>(frame: &mut F, edit: &Edit, translation: Option<&Translation>) -> Result<(), NoRoom> {
    let [first, second, _, _, _, _, _, ttl] = frame.bytes_at::<8>(edit.at as usize).ok_or(NoRoom)?;
    if edit.congestion {
        frame.store(
            edit.at as usize,
            &[first, second | (encapsulation::CONGESTION_EXPERIENCED << 4)],
        )?;
    }
    if edit.routed {
        frame.store(edit.at as usize + 7, &[ttl.saturating_sub(1)])?;
    }
    if let Some(translation) = translation {
        if let Some(source) = translation.source {
            frame.store(edit.at as usize + 8, &source.octets())?;
        }
        if let Some(destination) = translation.destination {
            frame.store(edit.at as usize + 24, &destination.octets())?;
        }
    }
    Ok(())
}

/// Sum of an address's words, IPv4 or IPv6.
#[inline(always)]
fn address_sum(address: &Address) -> u32 {
    if address.is_v4() {
        checksum::sum(&address.last4())
    } else {
        checksum::sum(&address.octets())
    }
}

/// Corrects the transport checksum for new addresses in the pseudo header. Before the IP header is rewritten.
#[inline(always)]
fn translate_checksum<F: Frame>(frame: &mut F, edit: &Edit, translation: &Translation) -> Result<(), NoRoom> {
    let network = edit.at as usize;
    let ip = match edit.network {
        Network::V4 => Ip::read_v4(frame, network),
        Network::V6 => Ip::read_v6(frame, network),
        Network::Other => None,
    };
    let ip = ip.ok_or(NoRoom)?;
    let field = match ip.protocol {
        ip::TCP => transport::TCP_CHECKSUM,
        ip::UDP => transport::UDP_CHECKSUM,
        ip::ICMPV6 if !ip.v4 => transport::ICMPV6_CHECKSUM,
        _ => return Ok(()),
    };
    let Some(offset) = ip.transport_offset(network) else {
        return Ok(());
    };
    let before = address_sum(&ip.source) + address_sum(&ip.destination);
    let after = address_sum(translation.source.unwrap_or(&ip.source))
        + address_sum(translation.destination.unwrap_or(&ip.destination));
    let field = ChecksumField {
        offset: offset + field,
        pseudo: true,
        udp: ip.protocol == ip::UDP,
    };
    frame.correct_checksum(field, checksum::difference(before, after))
}

/// For a port of this host: edits, and takes outer headers off.
///
/// # Errors
/// When the kernel has no room.
#[inline(always)]
pub fn deliver<F: Frame>(
    frame: &mut F,
    strip: Option<Strip>,
    edit: &Edit,
    translation: Option<&Translation>,
) -> Result<(), NoRoom> {
    edit_network(frame, edit, translation)?;
    match strip {
        Some(Strip(room)) => frame.decapsulate(room, &edit.ethernet, edit.network),
        None if edit.rewrite_ethernet => frame.store(0, &edit.ethernet),
        None => Ok(()),
    }
}

/// For another host, in the clear.
///
/// # Errors
/// When the kernel has no room.
#[inline(always)]
pub fn plain<F: Frame>(frame: &mut F, edit: &Edit, translation: &Translation) -> Result<(), NoRoom> {
    edit_network(frame, edit, Some(translation))?;
    // The MAC addresses are the underlay's business; the kernel's neighbour table fills them in.
    let mut ethernet = [0; ETHERNET_LEN];
    put(&mut ethernet, 12, part::<14, 2>(&edit.ethernet, 12));
    frame.store(0, &ethernet)
}

/// For another host, encapsulated; `len` is the frame's length.
///
/// # Errors
/// When the kernel has no room.
#[inline(always)]
pub fn encapsulate<F: Frame>(frame: &mut F, tunnel: &Tunnel, edit: &Edit, len: u32) -> Result<(), NoRoom> {
    edit_network(frame, edit, None)?;
    if tunnel.remote.is_v4() {
        let header = encapsulation::header_v4(tunnel, &edit.ethernet, len as usize);
        frame.encapsulate(&header, Network::V4, edit.network)
    } else {
        let header = encapsulation::header_v6(tunnel, &edit.ethernet, len as usize);
        frame.encapsulate(&header, Network::V6, edit.network)
    }
}

/// The outer headers that the copies of a flooded frame have so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dressed {
    /// None: the copies are for ports.
    Bare,
    /// Headers over IPv4.
    V4,
    /// Headers over IPv6.
    V6,
}

/// Dresses a flooded frame, of `len` bytes when bare, for the next host. Hosts with IPv4 addresses come first, so the
/// headers only ever grow.
///
/// # Errors
/// When the kernel has no room, or the order of hosts is broken.
#[inline(always)]
pub fn dress<F: Frame>(
    frame: &mut F,
    dressed: Dressed,
    tunnel: &Tunnel,
    ethernet: &[u8; ETHERNET_LEN],
    len: u32,
) -> Result<Dressed, NoRoom> {
    if tunnel.remote.is_v4() {
        let header = encapsulation::header_v4(tunnel, ethernet, len as usize);
        match dressed {
            Dressed::Bare => frame.prepend(HEADER_V4 - ETHERNET_LEN, &header)?,
            Dressed::V4 => frame.store(0, &header)?,
            Dressed::V6 => return Err(NoRoom),
        }
        Ok(Dressed::V4)
    } else {
        let header = encapsulation::header_v6(tunnel, ethernet, len as usize);
        match dressed {
            Dressed::Bare => frame.prepend(HEADER_V6 - ETHERNET_LEN, &header)?,
            Dressed::V4 => frame.prepend(HEADER_V6 - HEADER_V4, &header)?,
            Dressed::V6 => frame.store(0, &header)?,
        }
        Ok(Dressed::V6)
    }
}

/// Turns the frame into the answer to itself.
///
/// A call of its own in the kernel, as are the answers with long headers, so that the stack of 512 bytes suffices.
///
/// # Errors
/// When the kernel has no room.
#[inline(never)]
pub fn answer<F: Frame>(frame: &mut F, answer: &Answer, gateway_mac: &[u8; 6]) -> Result<(), NoRoom> {
    let ethernet = Ethernet::read(frame, 0).ok_or(NoRoom)?;
    match answer {
        Answer::Arp(mac) => answer_arp(frame, ethernet.source, *mac),
        Answer::Neighbor { mac, router } => answer_nd(frame, ethernet.source, *mac, *router),
        Answer::Echo if ethernet.ethertype == ethernet::IPV4 => echo_v4(frame, ethernet.source, *gateway_mac),
        Answer::Echo => echo_v6(frame, ethernet.source, *gateway_mac),
        Answer::Error { error, gateway, length } if gateway.is_v4() => {
            let quote = (*length as usize).min(icmp::QUOTE_V4);
            error_v4(frame, ethernet.source, *gateway_mac, *error, gateway, quote)
        }
        Answer::Error { error, gateway, length } => {
            let quote = (*length as usize).min(icmp::QUOTE_V6);
            error_v6(frame, ethernet.source, *gateway_mac, *error, gateway, quote)
        }
    }
}

#[inline(always)]
fn answer_arp<F: Frame>(frame: &mut F, asker: [u8; 6], mac: [u8; 6]) -> Result<(), NoRoom> {
    let request = Arp::read(frame, ETHERNET_LEN).ok_or(NoRoom)?;
    let reply = Arp {
        request: false,
        sender_mac: mac,
        sender: request.target,
        target_mac: asker,
        target: request.sender,
    };
    let mut bytes = [0; ETHERNET_LEN + arp::LEN];
    put(
        &mut bytes,
        0,
        Ethernet {
            destination: asker,
            source: mac,
            ethertype: ethernet::ARP,
        }
        .write(),
    );
    put(&mut bytes, ETHERNET_LEN, reply.write());
    frame.store(0, &bytes)
}

#[inline(always)]
fn answer_nd<F: Frame>(frame: &mut F, asker: [u8; 6], mac: [u8; 6], router: bool) -> Result<(), NoRoom> {
    // Who has no address yet hears of the conflict as a member of all nodes (RFC 4861, 7.2.4).
    const ALL_NODES: Address = Address::new([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    let source = Address::new(frame.bytes(ETHERNET_LEN + 8).ok_or(NoRoom)?);
    let target = Address::new(frame.bytes(ETHERNET_LEN + ip::V6_LEN + 8).ok_or(NoRoom)?);
    let solicited = source != Address::UNSPECIFIED_V6;
    let to = if solicited { source } else { ALL_NODES };
    let to_mac = if solicited { asker } else { [0x33, 0x33, 0, 0, 0, 1] };
    let header = Ip {
        v4: false,
        source: target,
        destination: to,
        traffic_class: 0,
        ttl: ND_TTL,
        protocol: ip::ICMPV6,
        dont_fragment: true,
        fragment: false,
        transport: Transport::V6,
        length: (ip::V6_LEN + neighbor::LEN_WITH_OPTION) as u32,
    };
    let mut bytes = [0; ADVERTISEMENT_FRAME];
    put(
        &mut bytes,
        0,
        Ethernet {
            destination: to_mac,
            source: mac,
            ethertype: ethernet::IPV6,
        }
        .write(),
    );
    put(&mut bytes, ETHERNET_LEN, ip::write_v6(&header, 0));
    put(
        &mut bytes,
        ETHERNET_LEN + ip::V6_LEN,
        neighbor::write_advertisement(&target, mac, &to, router, solicited),
    );
    frame.resize(ADVERTISEMENT_FRAME)?;
    frame.store(0, &bytes)
}

#[inline(always)]
fn echo_v4<F: Frame>(frame: &mut F, asker: [u8; 6], gateway_mac: [u8; 6]) -> Result<(), NoRoom> {
    let ip = Ip::read_v4(frame, ETHERNET_LEN).ok_or(NoRoom)?;
    let mut header = frame.bytes::<{ ip::V4_LEN }>(ETHERNET_LEN).ok_or(NoRoom)?;
    let before = checksum::sum(&header);
    put(&mut header, 8, [GATEWAY_TTL]);
    put(&mut header, 12, ip.destination.last4());
    put(&mut header, 16, ip.source.last4());
    let old = u16::from_be_bytes(part(&header, 10));
    let new = checksum::correct(old, checksum::difference(before, checksum::sum(&header)));
    put(&mut header, 10, new.to_be_bytes());
    frame.store(ETHERNET_LEN, &header)?;
    frame.store(
        0,
        &Ethernet {
            destination: asker,
            source: gateway_mac,
            ethertype: ethernet::IPV4,
        }
        .write(),
    )?;
    echo(frame, ip.transport_offset(ETHERNET_LEN).ok_or(NoRoom)?, true)
}

#[inline(always)]
fn echo_v6<F: Frame>(frame: &mut F, asker: [u8; 6], gateway_mac: [u8; 6]) -> Result<(), NoRoom> {
    let addresses = frame.bytes::<32>(ETHERNET_LEN + 8).ok_or(NoRoom)?;
    let mut swapped = [0; 33];
    put(&mut swapped, 0, [GATEWAY_TTL]);
    put(&mut swapped, 1, part::<32, 16>(&addresses, 16));
    put(&mut swapped, 17, part::<32, 16>(&addresses, 0));
    frame.store(ETHERNET_LEN + 7, &swapped)?;
    frame.store(
        0,
        &Ethernet {
            destination: asker,
            source: gateway_mac,
            ethertype: ethernet::IPV6,
        }
        .write(),
    )?;
    echo(frame, ETHERNET_LEN + ip::V6_LEN, false)
}

/// Makes an echo reply of the request whose ICMP header is at `at`.
#[inline(always)]
fn echo<F: Frame>(frame: &mut F, at: usize, v4: bool) -> Result<(), NoRoom> {
    let (request, reply) = (icmp::echo_request(v4), icmp::echo_reply(v4));
    frame.store(at, &[reply])?;
    let field = ChecksumField {
        offset: at + 2,
        pseudo: false,
        udp: false,
    };
    let word = |kind: u8| (kind as u32) << 8;
    frame.correct_checksum(field, checksum::difference(word(request), word(reply)))
}

/// The header of what the gateway says to the sender of a packet.
#[inline(always)]
fn from_gateway(gateway: &Address, sender: Address, protocol: u8, length: usize) -> Ip {
    Ip {
        v4: gateway.is_v4(),
        source: *gateway,
        destination: sender,
        traffic_class: 0xc0, // Internetwork control (RFC 1812, 4.3.2.5).
        ttl: GATEWAY_TTL,
        protocol,
        dont_fragment: false,
        fragment: false,
        transport: Transport::Absent,
        length: length as u32,
    }
}

#[inline(always)]
fn error_v4<F: Frame>(
    frame: &mut F,
    asker: [u8; 6],
    gateway_mac: [u8; 6],
    error: IcmpError,
    gateway: &Address,
    quote: usize,
) -> Result<(), NoRoom> {
    const ROOM: usize = ip::V4_LEN + icmp::LEN;
    let sender = Ip::read_v4(frame, ETHERNET_LEN).ok_or(NoRoom)?.source;
    let mut message = error.write(true);
    let sum = checksum::sum_range::<{ icmp::QUOTE_V4 }, F>(frame, ETHERNET_LEN, quote).ok_or(NoRoom)?;
    let sum = sum + checksum::sum(&message);
    put(&mut message, 2, (!checksum::fold(sum)).to_be_bytes());
    let header = from_gateway(gateway, sender, ip::ICMP, ROOM + quote);
    let mut bytes = [0; ETHERNET_LEN + ROOM];
    put(
        &mut bytes,
        0,
        Ethernet {
            destination: asker,
            source: gateway_mac,
            ethertype: ethernet::IPV4,
        }
        .write(),
    );
    put(&mut bytes, ETHERNET_LEN, ip::write_v4(&header, 0));
    put(&mut bytes, ETHERNET_LEN + ip::V4_LEN, message);
    frame.resize(ETHERNET_LEN + quote)?;
    frame.open(ROOM)?;
    frame.store(0, &bytes)
}

#[inline(always)]
fn error_v6<F: Frame>(
    frame: &mut F,
    asker: [u8; 6],
    gateway_mac: [u8; 6],
    error: IcmpError,
    gateway: &Address,
    quote: usize,
) -> Result<(), NoRoom> {
    const ROOM: usize = ip::V6_LEN + icmp::LEN;
    let sender = Ip::read_v6(frame, ETHERNET_LEN).ok_or(NoRoom)?.source;
    let mut message = error.write(false);
    let length = icmp::LEN + quote;
    let sum = checksum::sum_range::<{ icmp::QUOTE_V6 }, F>(frame, ETHERNET_LEN, quote).ok_or(NoRoom)?
        + checksum::sum(&message)
        + ip::pseudo_sum(gateway, &sender, ip::ICMPV6, length as u32);
    put(&mut message, 2, (!checksum::fold(sum)).to_be_bytes());
    let header = from_gateway(gateway, sender, ip::ICMPV6, ROOM + quote);
    let mut bytes = [0; ETHERNET_LEN + ROOM];
    put(
        &mut bytes,
        0,
        Ethernet {
            destination: asker,
            source: gateway_mac,
            ethertype: ethernet::IPV6,
        }
        .write(),
    );
    put(&mut bytes, ETHERNET_LEN, ip::write_v6(&header, 0));
    put(&mut bytes, ETHERNET_LEN + ip::V6_LEN, message);
    frame.resize(ETHERNET_LEN + quote)?;
    frame.open(ROOM)?;
    frame.store(0, &bytes)
}

const _: () = assert!(HEADER_V4 - ETHERNET_LEN == ip::V4_LEN + nvgre::LEN + ETHERNET_LEN);
