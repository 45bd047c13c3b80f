//! Carries a decision out on a frame. The same code runs on an skb in the kernel and on bytes in user space, so that
//! what leaves is the same to the last bit.

use crate::checksum;
use crate::encapsulation;
use crate::headers::arp::{self, Arp};
use crate::headers::ethernet::{self, Ethernet};
use crate::headers::icmp;
use crate::headers::ip::{self, Ip};
use crate::headers::transport::{self, Clamp};
use crate::headers::{ETHERNET_LEN, EthernetWords, Words, neighbor, part, put};
use crate::packet::{AnyOffset, ChecksumField, Frame, Network, NoRoom};
use crate::segment;
use crate::tables::{Address, Peer};
use crate::verdict::{Action, Answer, Edit, Strip, Translation, Tunnel, Verdict};

/// Hop limit of what the gateway says itself.
const GATEWAY_TTL: u8 = 64;
/// Hop limit of Neighbor Discovery, which proves that it was not routed (RFC 4861, 7.1).
const ND_TTL: u8 = 255;
/// Length of a frame with a neighbor advertisement.
const ADVERTISEMENT_FRAME: usize = ETHERNET_LEN + ip::V6_LEN + neighbor::LEN_WITH_OPTION;

/// Makes the changes of an [`Edit`] except for its Ethernet header, on the frame as it came: the first step of every way
/// out. Most frames have none.
///
/// # Errors
/// When the kernel has no room.
#[inline(always)]
pub fn edit<F: Frame>(frame: &mut F, edit: &Edit) -> Result<(), NoRoom> {
    if edit.clamp.offset != 0 {
        clamp(frame, &edit.clamp)?;
    }
    if edit.routed || edit.congestion {
        return rewrite(frame, edit, None, None);
    }
    Ok(())
}

/// [`edit()`], and a translation of addresses if one is wanted.
///
/// # Errors
/// When the kernel has no room.
#[inline(always)]
pub fn translate<F: Frame>(frame: &mut F, edit: &Edit, translation: &Translation) -> Result<(), NoRoom> {
    if !translation.wanted {
        return self::edit(frame, edit);
    }
    if edit.clamp.offset != 0 {
        clamp(frame, &edit.clamp)?;
    }
    translate_checksum(frame, edit, translation.source, translation.destination)?;
    rewrite(frame, edit, translation.source, translation.destination)
}

/// Rewrites the IP header.
#[inline(always)]
fn rewrite<F: Frame>(
    frame: &mut F,
    edit: &Edit,
    source: Option<&Address>,
    destination: Option<&Address>,
) -> Result<(), NoRoom> {
    match edit.network {
        Network::V4 => edit_v4(frame, edit, source, destination),
        Network::V6 => edit_v6(frame, edit, source, destination),
        Network::Other => Ok(()),
    }
}

/// Lowers a maximum segment size. A call of its own in the kernel, as the next ones: rare, and so they take no stack from
/// the others.
#[inline(never)]
fn clamp<F: Frame>(frame: &mut F, clamp: &Clamp) -> Result<(), NoRoom> {
    frame.store(clamp.offset as usize, &clamp.value.to_be_bytes())?;
    let field = ChecksumField { offset: clamp.checksum as usize, pseudo: false, udp: false };
    frame.correct_checksum(field, clamp.difference)
}

/// Rewrites the IPv4 header, its checksum corrected by what changed.
#[inline(never)]
fn edit_v4<F: Frame>(
    frame: &mut F,
    edit: &Edit,
    source: Option<&Address>,
    destination: Option<&Address>,
) -> Result<(), NoRoom> {
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
    if let Some(source) = source {
        put(&mut header, 12, source.last4());
    }
    if let Some(destination) = destination {
        put(&mut header, 16, destination.last4());
    }
    let old = u16::from_be_bytes(part(&header, 10));
    let new = checksum::correct(old, checksum::difference(before, checksum::sum(&header)));
    put(&mut header, 10, new.to_be_bytes());
    frame.store(edit.at as usize, &header)
}

/// Rewrites what changes of the IPv6 header.
#[inline(never)]
fn edit_v6<F: Frame>(
    frame: &mut F,
    edit: &Edit,
    source: Option<&Address>,
    destination: Option<&Address>,
) -> Result<(), NoRoom> {
    let [first, second, _, _, _, _, _, ttl] = frame.bytes_at::<8>(edit.at as usize).ok_or(NoRoom)?;
    if edit.congestion {
        frame.store(edit.at as usize, &[first, second | (encapsulation::CONGESTION_EXPERIENCED << 4)])?;
    }
    if edit.routed {
        frame.store(edit.at as usize + 7, &[ttl.saturating_sub(1)])?;
    }
    if let Some(source) = source {
        frame.store(edit.at as usize + 8, &source.octets())?;
    }
    if let Some(destination) = destination {
        frame.store(edit.at as usize + 24, &destination.octets())?;
    }
    Ok(())
}

/// Corrects the transport checksum for new addresses in the pseudo header. Before the IP header is rewritten.
#[inline(never)]
fn translate_checksum<F: Frame>(
    frame: &mut F,
    edit: &Edit,
    source: Option<&Address>,
    destination: Option<&Address>,
) -> Result<(), NoRoom> {
    let network = edit.at as usize;
    let mut ip = Ip::default();
    let readable = match edit.network {
        Network::V4 => ip.read_v4(&AnyOffset(frame), network),
        Network::V6 => ip.read_v6(&AnyOffset(frame), network),
        Network::Other => false,
    };
    if !readable {
        return Err(NoRoom);
    }
    let field = match ip.protocol {
        ip::TCP => transport::TCP_CHECKSUM,
        ip::UDP => transport::UDP_CHECKSUM,
        ip::ICMPV6 if !ip.v4 => transport::ICMPV6_CHECKSUM,
        _ => return Ok(()),
    };
    let Some(offset) = ip.transport_offset(network) else {
        return Ok(());
    };
    let before = ip.source.sum() + ip.destination.sum();
    let after = source.unwrap_or(&ip.source).sum() + destination.unwrap_or(&ip.destination).sum();
    let field = ChecksumField { offset: offset + field, pseudo: true, udp: ip.protocol == ip::UDP };
    frame.correct_checksum(field, checksum::difference(before, after))
}

/// For a port of this host, after [`edit()`]: takes outer headers off, and gives it its Ethernet header.
///
/// # Errors
/// When the kernel has no room.
#[inline(always)]
pub fn deliver<F: Frame>(frame: &mut F, strip: Option<Strip>, edit: &Edit) -> Result<(), NoRoom> {
    match strip {
        Some(headers) => strip_off(frame, headers, edit).map(|_| ()),
        None if edit.rewrite_ethernet => frame.store_words(0, &edit.ethernet),
        None => Ok(()),
    }
}

/// Takes headers off; by how many bytes the frame got shorter, a tag not being counted.
///
/// # Errors
/// When the kernel has no room.
#[inline(always)]
pub fn strip_off<F: Frame>(frame: &mut F, strip: Strip, edit: &Edit) -> Result<u32, NoRoom> {
    if strip == Strip::TAG {
        return frame.pop_tag().map(|()| 0);
    }
    let room = strip.room();
    frame.decapsulate(room, strip.is_udp(), &edit.ethernet, edit.network).map(|()| room as u32)
}

/// Gives a frame the tag that it has in a physical network, if it has one there.
///
/// # Errors
/// When the kernel has no room.
#[inline(always)]
pub fn tag<F: Frame>(frame: &mut F, network: u32) -> Result<(), NoRoom> {
    match segment::vlan(network) {
        0 => Ok(()),
        vlan => frame.push_tag(vlan),
    }
}

/// For another host, in the clear, after [`edit()`].
///
/// # Errors
/// When the kernel has no room.
#[inline(always)]
pub fn plain<F: Frame>(frame: &mut F, edit: &Edit) -> Result<(), NoRoom> {
    // The MAC addresses are the underlay's business; the kernel's neighbour table fills them in.
    let [.., ethertype] = edit.ethernet;
    frame.store_words(0, &[0, 0, 0, 0, 0, 0, ethertype])
}

/// For the host that the receiver has gone to, as it came but for the outer addresses; the [`Edit`] is of the outer header.
///
/// # Errors
/// When the kernel has no room.
#[inline(always)]
pub fn onward<F: Frame>(frame: &mut F, peer: &Peer, remote: &Address, edit: &Edit) -> Result<(), NoRoom> {
    translate_checksum(frame, edit, Some(&peer.local), Some(remote))?;
    rewrite(frame, edit, Some(&peer.local), Some(remote))?;
    plain(frame, edit)
}

/// For another host, encapsulated, after [`edit()`]; `len` is the frame's length.
///
/// # Errors
/// When the kernel has no room.
#[inline(always)]
pub fn encapsulate<F: Frame>(frame: &mut F, tunnel: &Tunnel, edit: &Edit, len: u32) -> Result<(), NoRoom> {
    let (ethernet, inner, len) = (&edit.ethernet, edit.network, len as usize);
    let (encapsulation, v4) = (tunnel.encapsulation, tunnel.remote.is_v4());
    match (encapsulation.is_udp(), v4) {
        (false, true) => {
            frame.encapsulate(&encapsulation::nvgre_v4(tunnel, ethernet, len), encapsulation, Network::V4, inner)
        }
        (false, false) => {
            frame.encapsulate(&encapsulation::nvgre_v6(tunnel, ethernet, len), encapsulation, Network::V6, inner)
        }
        (true, true) => {
            frame.encapsulate(&encapsulation::udp_v4(tunnel, ethernet, len), encapsulation, Network::V4, inner)
        }
        (true, false) => {
            frame.encapsulate(&encapsulation::udp_v6(tunnel, ethernet, len), encapsulation, Network::V6, inner)
        }
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
/// headers only ever grow. All copies of a frame have the same encapsulation, that of its VM network.
///
/// # Errors
/// When the kernel has no room, or the order of hosts is broken.
#[inline(always)]
pub fn dress<F: Frame>(
    frame: &mut F,
    dressed: Dressed,
    tunnel: &Tunnel,
    ethernet: &EthernetWords,
    len: u32,
) -> Result<Dressed, NoRoom> {
    let len = len as usize;
    match (tunnel.encapsulation.is_udp(), tunnel.remote.is_v4()) {
        (false, true) => dress_v4(frame, dressed, &encapsulation::nvgre_v4(tunnel, ethernet, len)),
        (false, false) => dress_v6(frame, dressed, &encapsulation::nvgre_v6(tunnel, ethernet, len)),
        (true, true) => dress_v4(frame, dressed, &encapsulation::udp_v4(tunnel, ethernet, len)),
        (true, false) => dress_v6(frame, dressed, &encapsulation::udp_v6(tunnel, ethernet, len)),
    }
}

/// Puts headers over IPv4 on.
#[inline(always)]
fn dress_v4<F: Frame, const N: usize>(frame: &mut F, dressed: Dressed, header: &Words<N>) -> Result<Dressed, NoRoom> {
    match dressed {
        Dressed::Bare => frame.prepend(2 * N - ETHERNET_LEN, header)?,
        Dressed::V4 => frame.store_words(0, header)?,
        Dressed::V6 => return Err(NoRoom),
    }
    Ok(Dressed::V4)
}

/// Puts headers over IPv6 on.
#[inline(always)]
fn dress_v6<F: Frame, const N: usize>(frame: &mut F, dressed: Dressed, header: &Words<N>) -> Result<Dressed, NoRoom> {
    match dressed {
        Dressed::Bare => frame.prepend(2 * N - ETHERNET_LEN, header)?,
        Dressed::V4 => frame.prepend(ip::V6_LEN - ip::V4_LEN, header)?,
        Dressed::V6 => frame.store_words(0, header)?,
    }
    Ok(Dressed::V6)
}

/// Turns the frame into the answer to itself that the verdict says.
///
/// A call of its own in the kernel, as are the answers with long headers, so that the stack of 512 bytes suffices.
///
/// # Errors
/// When the kernel has no room.
#[inline(never)]
pub fn answer<F: Frame>(frame: &mut F, verdict: &Verdict, gateway_mac: &[u8; 6]) -> Result<(), NoRoom> {
    let Action::Answer(answer) = verdict.action() else { return Err(NoRoom) };
    let mut ethernet = Ethernet::default();
    if !ethernet.read(frame, 0) {
        return Err(NoRoom);
    }
    let asker = ethernet.source;
    let reply = Ethernet { destination: asker, source: *gateway_mac, ethertype: ethernet.ethertype };
    match answer {
        Answer::Arp(mac) => answer_arp(frame, asker, mac),
        Answer::Neighbor { mac, router } => answer_nd(frame, asker, mac, router),
        Answer::Echo if ethernet.ethertype == ethernet::IPV4 => echo_v4(frame, &reply),
        Answer::Echo => echo_v6(frame, &reply),
        Answer::Error { error, gateway, length } if gateway.is_v4() => {
            error_v4(frame, &reply, &error.write(true), gateway, (length as usize).min(icmp::QUOTE_V4))
        }
        Answer::Error { error, gateway, length } => {
            error_v6(frame, &reply, &error.write(false), gateway, (length as usize).min(icmp::QUOTE_V6))
        }
    }
}

#[inline(always)]
fn answer_arp<F: Frame>(frame: &mut F, asker: [u8; 6], mac: [u8; 6]) -> Result<(), NoRoom> {
    let mut request = Arp::default();
    if !request.read(frame, ETHERNET_LEN) {
        return Err(NoRoom);
    }
    let reply =
        Arp { request: false, sender_mac: mac, sender: request.target, target_mac: asker, target: request.sender };
    let mut bytes = [0; ETHERNET_LEN + arp::LEN];
    put(&mut bytes, 0, Ethernet { destination: asker, source: mac, ethertype: ethernet::ARP }.write());
    put(&mut bytes, ETHERNET_LEN, reply.write());
    frame.store(0, &bytes)
}

#[inline(never)]
fn answer_nd<F: Frame>(frame: &mut F, asker: [u8; 6], mac: [u8; 6], router: bool) -> Result<(), NoRoom> {
    // Who has no address yet hears of the conflict as a member of all nodes (RFC 4861, 7.2.4).
    const ALL_NODES: Address = Address::new([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    let source = Address::read(&frame.bytes(ETHERNET_LEN + 8).ok_or(NoRoom)?);
    let target = Address::read(&frame.bytes(ETHERNET_LEN + ip::V6_LEN + 8).ok_or(NoRoom)?);
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
        transport: 0,
        length: (ip::V6_LEN + neighbor::LEN_WITH_OPTION) as u32,
        ..Ip::default()
    };
    frame.resize(ADVERTISEMENT_FRAME)?;
    frame.store(0, &Ethernet { destination: to_mac, source: mac, ethertype: ethernet::IPV6 }.write())?;
    frame.store(ETHERNET_LEN, &ip::write_v6(&header, 0))?;
    let advertisement = neighbor::write_advertisement(&target, mac, &to, router, solicited);
    frame.store(ETHERNET_LEN + ip::V6_LEN, &advertisement)
}

#[inline(never)]
fn echo_v4<F: Frame>(frame: &mut F, reply: &Ethernet) -> Result<(), NoRoom> {
    let mut ip = Ip::default();
    if !ip.read_v4(frame, ETHERNET_LEN) {
        return Err(NoRoom);
    }
    let mut header = frame.bytes::<{ ip::V4_LEN }>(ETHERNET_LEN).ok_or(NoRoom)?;
    let before = checksum::sum(&header);
    put(&mut header, 8, [GATEWAY_TTL]);
    put(&mut header, 12, ip.destination.last4());
    put(&mut header, 16, ip.source.last4());
    let old = u16::from_be_bytes(part(&header, 10));
    let new = checksum::correct(old, checksum::difference(before, checksum::sum(&header)));
    put(&mut header, 10, new.to_be_bytes());
    frame.store(ETHERNET_LEN, &header)?;
    frame.store(0, &reply.write())?;
    echo(frame, ip.transport_offset(ETHERNET_LEN).ok_or(NoRoom)?, true)
}

#[inline(never)]
fn echo_v6<F: Frame>(frame: &mut F, reply: &Ethernet) -> Result<(), NoRoom> {
    let addresses = frame.bytes::<32>(ETHERNET_LEN + 8).ok_or(NoRoom)?;
    let mut swapped = [0; 33];
    put(&mut swapped, 0, [GATEWAY_TTL]);
    put(&mut swapped, 1, part::<32, 16>(&addresses, 16));
    put(&mut swapped, 17, part::<32, 16>(&addresses, 0));
    frame.store(ETHERNET_LEN + 7, &swapped)?;
    frame.store(0, &reply.write())?;
    echo(frame, ETHERNET_LEN + ip::V6_LEN, false)
}

/// Makes an echo reply of the request whose ICMP header is at `at`.
#[inline(always)]
fn echo<F: Frame>(frame: &mut F, at: usize, v4: bool) -> Result<(), NoRoom> {
    let (request, reply) = (icmp::echo_request(v4), icmp::echo_reply(v4));
    frame.store(at, &[reply])?;
    let field = ChecksumField { offset: at + 2, pseudo: false, udp: false };
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
        transport: 0,
        length: length as u32,
        ..Ip::default()
    }
}

#[inline(never)]
fn error_v4<F: Frame>(
    frame: &mut F,
    reply: &Ethernet,
    message: &[u8; icmp::LEN],
    gateway: &Address,
    quote: usize,
) -> Result<(), NoRoom> {
    let sender = Address::v4(frame.bytes(ETHERNET_LEN + 12).ok_or(NoRoom)?);
    let sum = checksum::sum_range::<{ icmp::QUOTE_V4 }, F>(frame, ETHERNET_LEN, quote).ok_or(NoRoom)?;
    let header = from_gateway(gateway, sender, ip::ICMP, ip::V4_LEN + icmp::LEN + quote);
    error(frame, reply, &ip::write_v4(&header, 0), message, sum, quote)
}

#[inline(never)]
fn error_v6<F: Frame>(
    frame: &mut F,
    reply: &Ethernet,
    message: &[u8; icmp::LEN],
    gateway: &Address,
    quote: usize,
) -> Result<(), NoRoom> {
    let sender = Address::read(&frame.bytes(ETHERNET_LEN + 8).ok_or(NoRoom)?);
    let sum = checksum::sum_range::<{ icmp::QUOTE_V6 }, F>(frame, ETHERNET_LEN, quote).ok_or(NoRoom)?;
    let sum = sum + ip::pseudo_sum(gateway, &sender, ip::ICMPV6, (icmp::LEN + quote) as u32);
    let header = from_gateway(gateway, sender, ip::ICMPV6, ip::V6_LEN + icmp::LEN + quote);
    error(frame, reply, &ip::write_v6(&header, 0), message, sum, quote)
}

/// Puts an ICMP error before the first `quote` bytes of the packet that it is about; `sum` is that of all that its checksum
/// covers beside itself.
#[inline(always)]
fn error<const HEADER: usize, F: Frame>(
    frame: &mut F,
    reply: &Ethernet,
    header: &[u8; HEADER],
    message: &[u8; icmp::LEN],
    sum: u32,
    quote: usize,
) -> Result<(), NoRoom> {
    let mut message = *message;
    let checksum = !checksum::fold(sum + checksum::sum(&message));
    put(&mut message, 2, checksum.to_be_bytes());
    frame.resize(ETHERNET_LEN + quote)?;
    frame.open(HEADER + icmp::LEN)?;
    frame.store(0, &reply.write())?;
    frame.store(ETHERNET_LEN, header)?;
    frame.store(ETHERNET_LEN + HEADER, &message)
}
