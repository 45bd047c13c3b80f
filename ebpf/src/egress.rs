//! Hands a frame to the device that its verdict names, and counts.

use aya_ebpf::bindings::{BPF_F_INGRESS, bpf_redir_neigh, bpf_redir_neigh__bindgen_ty_1};
use aya_ebpf::helpers::generated::{
    bpf_clone_redirect, bpf_redirect, bpf_redirect_neigh, bpf_redirect_peer, bpf_skb_change_type,
};
use pipeline::apply::{self, Dressed};
use pipeline::stages::flood::{self, Copy};
use pipeline::{
    Address, Decision, DropReason, Edit, Flood, MAX_REPLICAS, Meta, Network, NoRoom, Peer, PeerFlags, Tables, Verdict, Work,
};

use crate::maps::{self, MAPS};
use crate::skb::{RELAY_MARK, Skb};

/// `TCX_NEXT`: the next program, or the host's stack.
pub const NEXT: i32 = -1;
/// `TCX_DROP`.
const DROP: i32 = 2;
/// Address families as `bpf_redir_neigh` wants them.
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
/// `PACKET_HOST`: the frame is for the stack that gets it.
const PACKET_HOST: u32 = 0;

/// Carries a decision out; what the program returns.
#[inline(always)]
pub fn carry_out<const LINEAR: usize>(
    skb: &mut Skb<LINEAR>,
    meta: &Meta,
    decision: &Decision<'static>,
    work: &Work,
    from_port: bool,
) -> i32 {
    // The host's own traffic, which passes the uplink's program, is none of ours to count.
    if let Verdict::Pass = decision.verdict {
        return NEXT;
    }
    if let Some(counters) = maps::counters(decision.slot) {
        counters.from_packets += 1;
        counters.from_bytes += u64::from(meta.len);
    }
    let result = match &decision.verdict {
        Verdict::Pass => return NEXT,
        Verdict::Drop(reason) => Err(*reason),
        Verdict::Deliver {
            ifindex,
            slot,
            peer,
            strip,
            translation,
        } => {
            skb.report(decision.verdict.code(), *ifindex);
            apply::deliver(skb, *strip, &work.edit, translation.as_ref())
                .map(|()| {
                    to_port(
                        skb,
                        meta,
                        *ifindex,
                        *slot,
                        *peer && work.edit.network != Network::Other,
                        from_port,
                    )
                })
                .map_err(|NoRoom| DropReason::NoRoom)
        }
        Verdict::Encapsulate { tunnel } => {
            skb.report(decision.verdict.code(), tunnel.peer.uplink);
            count_to(0, meta.len);
            apply::encapsulate(skb, tunnel, &work.edit, meta.len)
                .map(|()| {
                    if work.edit.network == Network::Other {
                        back_to_uplink(skb, tunnel.peer.uplink)
                    } else {
                        to_underlay(tunnel.peer, tunnel.remote)
                    }
                })
                .map_err(|NoRoom| DropReason::NoRoom)
        }
        Verdict::Plain {
            peer,
            remote,
            translation,
        } => {
            skb.report(decision.verdict.code(), peer.uplink);
            count_to(0, meta.len);
            apply::plain(skb, &work.edit, translation)
                .map(|()| to_underlay(peer, remote))
                .map_err(|NoRoom| DropReason::NoRoom)
        }
        Verdict::Answer(answer) => {
            skb.report(decision.verdict.code(), meta.ifindex);
            let gateway_mac = MAPS.host().map_or([0; 6], |host| host.gateway_mac);
            apply::answer(skb, answer, &gateway_mac)
                // SAFETY: a helper without pointers.
                .map(|()| unsafe { bpf_redirect(meta.ifindex, 0) } as i32)
                .map_err(|NoRoom| DropReason::NoRoom)
        }
        Verdict::Flood(flood) => {
            skb.report(decision.verdict.code(), flood.to);
            replicate(skb, flood, &work.edit, meta.len)
        }
        Verdict::Relay { peer, remote } => {
            skb.report(decision.verdict.code(), peer.uplink);
            skb.set_mark(0);
            Ok(to_underlay(peer, remote))
        }
    };
    match result {
        Ok(code) => code,
        Err(reason) => dropped(skb, decision.slot, reason),
    }
}

/// Counts a drop.
#[inline(always)]
fn dropped<const LINEAR: usize>(skb: &mut Skb<LINEAR>, slot: u32, reason: DropReason) -> i32 {
    skb.report(1, reason as u32);
    if let Some(counters) = maps::counters(slot)
        && let Some(counter) = counters.drops.get_mut(reason as usize)
    {
        *counter += 1;
    }
    DROP
}

#[inline(always)]
fn count_to(slot: u32, len: u32) {
    if let Some(counters) = maps::counters(slot) {
        counters.to_packets += 1;
        counters.to_bytes += u64::from(len);
    }
}

/// To the VM behind a port.
#[inline(always)]
fn to_port<const LINEAR: usize>(
    skb: &mut Skb<LINEAR>,
    meta: &Meta,
    ifindex: u32,
    slot: u32,
    peer: bool,
    from_port: bool,
) -> i32 {
    count_to(slot, meta.len);
    if !peer {
        // SAFETY: a helper without pointers.
        return unsafe { bpf_redirect(ifindex, 0) } as i32;
    }
    // The device of the sending port took the frame for somebody else's, since the destination is not its own MAC
    // address; the receiving stack must not.
    // SAFETY: the skb is this program's own.
    unsafe {
        if from_port {
            bpf_skb_change_type(skb.raw, PACKET_HOST);
        }
        bpf_redirect_peer(ifindex, 0) as i32
    }
}

/// To the next hop of another host; the kernel's neighbour table knows its MAC address, or asks for it.
#[inline(always)]
fn to_underlay(peer: &Peer, remote: &Address) -> i32 {
    if !peer.flags.has(PeerFlags::NEXT_HOP) {
        // SAFETY: without parameters the kernel routes by the packet's own destination.
        return unsafe { bpf_redirect_neigh(peer.uplink, core::ptr::null_mut(), 0, 0) } as i32;
    }
    let mut next_hop = if remote.is_v4() {
        bpf_redir_neigh {
            nh_family: AF_INET,
            __bindgen_anon_1: bpf_redir_neigh__bindgen_ty_1 {
                ipv4_nh: u32::from_ne_bytes(peer.next_hop.last4()),
            },
        }
    } else {
        bpf_redir_neigh {
            nh_family: AF_INET6,
            __bindgen_anon_1: bpf_redir_neigh__bindgen_ty_1 {
                ipv6_nh: peer.next_hop.words(),
            },
        }
    };
    // SAFETY: the helper copies the parameters.
    unsafe { bpf_redirect_neigh(peer.uplink, &mut next_hop, size_of::<bpf_redir_neigh>() as i32, 0) as i32 }
}

/// Puts an encapsulated frame back to the uplink. `bpf_redirect_neigh` looks at the protocol that the skb had when it
/// came in, and refuses what is neither IPv4 nor IPv6, as ARP; on the way in the kernel reads the protocol anew.
#[inline(always)]
fn back_to_uplink<const LINEAR: usize>(skb: &mut Skb<LINEAR>, uplink: u32) -> i32 {
    skb.set_mark(RELAY_MARK);
    // SAFETY: a helper without pointers.
    unsafe { bpf_redirect(uplink, u64::from(BPF_F_INGRESS)) as i32 }
}

/// Copies a frame to many; the original ends here.
#[inline(never)]
fn replicate<const LINEAR: usize>(skb: &mut Skb<LINEAR>, flood: &Flood, edit: &Edit, len: u32) -> Result<i32, DropReason> {
    let mut len = len;
    if let Some(strip) = flood.strip {
        let pipeline::Strip(room) = strip;
        pipeline::Frame::decapsulate(skb, room, &edit.ethernet, edit.network).map_err(|NoRoom| DropReason::NoRoom)?;
        len = len.wrapping_sub(room as u32);
    }
    let mut dressed = Dressed::Bare;
    let mut index = flood.from;
    for _ in 0..MAX_REPLICAS {
        if index >= flood.to {
            break;
        }
        match flood::copy(&MAPS, flood, index) {
            Copy::Port(ifindex) => {
                // SAFETY: the helper clones the skb; what it fails to send is lost as on any wire.
                unsafe { bpf_clone_redirect(skb.raw, ifindex, 0) };
            }
            Copy::Host(tunnel) => {
                dressed =
                    apply::dress(skb, dressed, &tunnel, &edit.ethernet, len).map_err(|NoRoom| DropReason::NoRoom)?;
                skb.set_mark(RELAY_MARK);
                // SAFETY: as above.
                unsafe { bpf_clone_redirect(skb.raw, tunnel.peer.uplink, u64::from(BPF_F_INGRESS)) };
                count_to(0, len);
            }
            Copy::None => {}
        }
        index += 1;
    }
    skb.set_mark(0);
    Ok(DROP)
}
