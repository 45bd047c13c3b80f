//! Hands a frame to the device that its verdict names, and counts.

use core::ffi::c_void;

use aya_ebpf::bindings::{__sk_buff, BPF_F_INGRESS, bpf_redir_neigh, bpf_redir_neigh__bindgen_ty_1};
use aya_ebpf::helpers::generated::{
    bpf_clone_redirect, bpf_loop, bpf_redirect, bpf_redirect_neigh, bpf_redirect_peer, bpf_skb_change_type,
};
use pipeline::apply::{self, Dressed};
use pipeline::stages::flood as copies;
use pipeline::{
    Action, DropReason, Edit, Flood, MAX_REPLICAS, Meta, Network, NoRoom, Peer, PeerFlags, Strip, Tables, Then, Tunnel,
    Verdict, Work, segment,
};

use crate::global;
use crate::maps::{self, MAPS};
use crate::skb::{DECIDED_MARK, RELAY_MARK, Skb};

/// `TCX_NEXT`: the next program, or the host's stack.
pub const NEXT: i32 = -1;
/// `TCX_DROP`.
const DROP: i32 = 2;
/// Address families as `bpf_redir_neigh` wants them.
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
/// `PACKET_HOST`: the frame is for the stack that gets it.
const PACKET_HOST: u32 = 0;

/// Where a program runs.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Hook {
    /// Ingress of a port.
    Port,
    /// Ingress of an uplink.
    Uplink,
    /// Egress of an uplink.
    Host,
}

/// Lets a frame go on to the host's stack; what the program returns. The host's own traffic, which passes the uplink's
/// program, is none of ours to count.
#[inline(always)]
pub fn pass<const LINEAR: usize>(skb: &mut Skb<LINEAR>, meta: &Meta) -> i32 {
    if meta.decided {
        skb.set_mark(0);
    }
    NEXT
}

/// Carries out any other decision, and counts; what the program returns.
#[inline(always)]
pub fn finish<const LINEAR: usize>(
    skb: &mut Skb<LINEAR>,
    meta: &Meta,
    verdict: &Verdict<'static>,
    work: &mut Work,
    hook: Hook,
) -> i32 {
    if let Some(counters) = maps::counters(verdict.slot) {
        counters.from_packets += 1;
        counters.from_bytes += u64::from(meta.len);
    }
    // A port that has no room for another flow has some that are over, perhaps, and nobody to forget them.
    if verdict.dropped() == Some(DropReason::FlowLimit as u32) && maps::is_unswept() {
        global::netvirt_forget();
    }
    // Answers and copies take much stack, so they are not called from below.
    if verdict.is_answer() {
        answer(skb, meta, verdict)
    } else if verdict.is_flood() {
        flood(skb, meta, verdict, work)
    } else if verdict.is_punt() {
        punt(skb, meta, verdict)
    } else {
        carry_out(skb, meta, verdict, work, hook)
    }
}

/// Copies a frame to many.
#[inline(never)]
fn flood<const LINEAR: usize>(skb: &mut Skb<LINEAR>, meta: &Meta, verdict: &Verdict<'static>, work: &mut Work) -> i32 {
    let Action::Flood(flood) = verdict.action() else { return DROP };
    skb.report(verdict.code(), flood.to);
    match checked(replicate(skb, &flood, work, meta.len, verdict.slot)) {
        Ok(action) => action,
        Err(reason) => dropped(skb, verdict.slot, reason as u32),
    }
}

/// Hands a frame to the agent, where its journey ends.
#[inline(never)]
fn punt<const LINEAR: usize>(skb: &mut Skb<LINEAR>, meta: &Meta, verdict: &Verdict<'static>) -> i32 {
    let Action::Punt { vsid } = verdict.action() else { return DROP };
    skb.report(verdict.code(), vsid);
    if maps::punt(skb.raw, meta.ifindex, verdict.slot, vsid) {
        return DROP;
    }
    dropped(skb, verdict.slot, DropReason::PuntLost as u32)
}

/// Sends an answer back to the port that asked.
#[inline(always)]
fn answer<const LINEAR: usize>(skb: &mut Skb<LINEAR>, meta: &Meta, verdict: &Verdict<'static>) -> i32 {
    skb.report(verdict.code(), meta.ifindex);
    let Some(host) = MAPS.host() else { return dropped(skb, verdict.slot, DropReason::NotConfigured as u32) };
    match apply::answer(skb, verdict, &host.gateway_mac) {
        // SAFETY: a helper without pointers.
        Ok(()) => unsafe { bpf_redirect(meta.ifindex, 0) as i32 },
        Err(NoRoom) => dropped(skb, verdict.slot, DropReason::NoRoom as u32),
    }
}

#[inline(never)]
fn carry_out<const LINEAR: usize>(
    skb: &mut Skb<LINEAR>,
    meta: &Meta,
    verdict: &Verdict<'static>,
    work: &Work,
    hook: Hook,
) -> i32 {
    let action = verdict.action();
    if let Some(reason) = verdict.dropped() {
        return dropped(skb, verdict.slot, reason);
    }
    let result = match &action {
        Action::Pass => return NEXT,
        Action::Drop(reason) => Err(*reason),
        Action::Deliver { ifindex, slot, peer, strip, translation } => {
            skb.report(verdict.code(), *ifindex);
            apply::translate(skb, &work.edit, translation)
                .and_then(|()| apply::deliver(skb, *strip, &work.edit))
                .map(|()| {
                    count_to(*slot, work.parsed.inner_len(meta.len));
                    let peer = *peer && work.edit.network != Network::Other && hook != Hook::Host;
                    let outer = strip.is_some_and(|strip| strip != Strip::TAG);
                    to_port(skb, *ifindex, peer, hook == Hook::Port || !outer)
                })
                .map_err(|NoRoom| DropReason::NoRoom)
        }
        Action::Encapsulate { tunnel } => {
            skb.report(verdict.code(), tunnel.peer.uplink);
            count_to(0, meta.len);
            apply::edit(skb, &work.edit)
                .map_err(|NoRoom| DropReason::NoRoom)
                .and_then(|()| checked(encapsulate(skb, tunnel, &work.edit, meta.len)))
        }
        Action::Plain { peer, translation } => {
            skb.report(verdict.code(), peer.uplink);
            count_to(0, meta.len);
            apply::translate(skb, &work.edit, translation)
                .and_then(|()| apply::plain(skb, &work.edit))
                .map(|()| to_underlay(peer))
                .map_err(|NoRoom| DropReason::NoRoom)
        }
        Action::Onward { peer, remote } => {
            skb.report(verdict.code(), peer.uplink);
            count_to(0, meta.len);
            apply::onward(skb, peer, remote, &work.edit)
                .map(|()| to_underlay(peer))
                .map_err(|NoRoom| DropReason::NoRoom)
        }
        Action::Wire { network } => {
            skb.report(verdict.code(), *network);
            count_to(0, meta.len);
            to_uplink(skb, *network, 0).map_err(|NoRoom| DropReason::NoRoom)
        }
        Action::Host { network } => {
            skb.report(verdict.code(), *network);
            to_uplink(skb, *network, BPF_F_INGRESS).map_err(|NoRoom| DropReason::NoRoom)
        }
        // Other functions', see `finish`.
        Action::Answer(_) | Action::Flood(_) | Action::Punt { .. } => Err(DropReason::NoRoom),
        Action::Relay { peer } => {
            skb.report(verdict.code(), peer.uplink);
            skb.set_mark(0);
            Ok(to_underlay(peer))
        }
    };
    match result {
        Ok(code) => code,
        Err(reason) => dropped(skb, verdict.slot, reason as u32),
    }
}

/// What the functions below return when the kernel has no room: no action has this number.
const FAILED: i32 = -2;

/// The action, or why there is none.
#[inline(always)]
fn checked(action: i32) -> Result<i32, DropReason> {
    if action == FAILED { Err(DropReason::NoRoom) } else { Ok(action) }
}

/// Encapsulates and sends. A function of its own, as are those below, so that each has its part of the stack in turn.
#[inline(never)]
fn encapsulate<const LINEAR: usize>(skb: &mut Skb<LINEAR>, tunnel: &Tunnel, edit: &Edit, len: u32) -> i32 {
    match apply::encapsulate(skb, tunnel, edit, len) {
        Err(NoRoom) => FAILED,
        Ok(()) if edit.network == Network::Other => back_to_uplink(skb, tunnel.peer.uplink),
        Ok(()) => to_underlay(tunnel.peer),
    }
}

/// Counts a drop.
#[inline(always)]
fn dropped<const LINEAR: usize>(skb: &mut Skb<LINEAR>, slot: u32, reason: u32) -> i32 {
    skb.report(1, reason);
    count_drop(slot, reason);
    DROP
}

#[inline(always)]
fn count_drop(slot: u32, reason: u32) {
    if let Some(counters) = maps::counters(slot)
        && let Some(counter) = counters.drops.get_mut(reason as usize)
    {
        *counter += 1;
    }
}

#[inline(always)]
fn count_to(slot: u32, len: u32) {
    if let Some(counters) = maps::counters(slot) {
        counters.to_packets += 1;
        counters.to_bytes += u64::from(len);
    }
}

/// To the VM behind a port. `other` if the frame may have come in as somebody else's.
#[inline(always)]
fn to_port<const LINEAR: usize>(skb: &mut Skb<LINEAR>, ifindex: u32, peer: bool, other: bool) -> i32 {
    if !peer {
        // SAFETY: a helper without pointers.
        return unsafe { bpf_redirect(ifindex, 0) } as i32;
    }
    // The device that the frame came in by took it for somebody else's, since the destination is not its own MAC
    // address; the receiving stack must not.
    // SAFETY: the skb is this program's own.
    unsafe {
        if other {
            bpf_skb_change_type(skb.raw, PACKET_HOST);
        }
        bpf_redirect_peer(ifindex, 0) as i32
    }
}

/// Through the uplink of a physical network, out (`flags` 0) or in, past the programs there.
#[inline(always)]
fn to_uplink<const LINEAR: usize>(skb: &mut Skb<LINEAR>, network: u32, flags: u32) -> Result<i32, NoRoom> {
    apply::tag(skb, network)?;
    skb.set_mark(DECIDED_MARK);
    // SAFETY: a helper without pointers.
    Ok(unsafe { bpf_redirect(segment::uplink(network), u64::from(flags)) } as i32)
}

/// To the next hop of another host; the kernel's neighbour table knows its MAC address, or asks for it.
#[inline(always)]
fn to_underlay(peer: &Peer) -> i32 {
    if !peer.flags.has(PeerFlags::NEXT_HOP) {
        // SAFETY: without parameters the kernel routes by the packet's own destination.
        return unsafe { bpf_redirect_neigh(peer.uplink, core::ptr::null_mut(), 0, 0) } as i32;
    }
    let mut next_hop = if peer.local.is_v4() {
        bpf_redir_neigh {
            nh_family: AF_INET,
            __bindgen_anon_1: bpf_redir_neigh__bindgen_ty_1 { ipv4_nh: u32::from_ne_bytes(peer.next_hop.last4()) },
        }
    } else {
        bpf_redir_neigh {
            nh_family: AF_INET6,
            __bindgen_anon_1: bpf_redir_neigh__bindgen_ty_1 { ipv6_nh: peer.next_hop.words() },
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

/// What the copies of one flooded frame have in common.
struct Replication<'a> {
    raw: *mut __sk_buff,
    flood: &'a Flood,
    work: &'a mut Work,
    len: u32,
    /// Counters of the port that the frame came from.
    slot: u32,
    /// [`Dressed`] as a number, since the verifier wants every byte of the kernel's stack to be defined.
    dressed: u32,
    failed: u32,
}

/// Copies a frame to many; what then becomes of the original.
#[inline(always)]
fn replicate<const LINEAR: usize>(skb: &mut Skb<LINEAR>, flood: &Flood, work: &mut Work, len: u32, slot: u32) -> i32 {
    let mut len = len;
    if let Some(strip) = flood.strip {
        match apply::strip_off(skb, strip, &work.edit) {
            Ok(room) => len = len.wrapping_sub(room),
            Err(NoRoom) => return FAILED,
        }
    }
    let mut replication = Replication { raw: skb.raw, flood, work, len, slot, dressed: 0, failed: 0 };
    // The helper's loop, of which the verifier looks through one turn, not through all of them.
    // SAFETY: `copy` takes what is handed to it here, and the helper calls it while this function waits.
    unsafe {
        let count = core::cmp::min(flood.to, MAX_REPLICAS);
        bpf_loop(count, copy as *mut c_void, core::ptr::from_mut(&mut replication).cast(), 0);
    }
    skb.set_mark(0);
    if replication.failed != 0 {
        return FAILED;
    }
    match flood.then {
        Then::End => DROP,
        Then::Wire => to_both(skb, flood.vsid, len),
        Then::Stack if flood.strip.is_some() && apply::tag(skb, flood.vsid).is_err() => FAILED,
        Then::Stack => NEXT,
    }
}

/// A copy to this host's own stack, and the frame itself out of the uplink.
#[inline(always)]
fn to_both<const LINEAR: usize>(skb: &mut Skb<LINEAR>, network: u32, len: u32) -> i32 {
    count_to(0, len);
    let Ok(action) = to_uplink(skb, network, 0) else { return FAILED };
    // SAFETY: the helper clones the skb; what it fails to send is lost as on any wire.
    unsafe { bpf_clone_redirect(skb.raw, segment::uplink(network), u64::from(BPF_F_INGRESS)) };
    action
}

/// Makes one copy; 0, for the loop to go on.
///
/// # Safety
/// `replication` must point to one.
unsafe extern "C" fn copy(index: u64, replication: *mut Replication) -> u64 {
    // SAFETY: see above.
    let replication = unsafe { &mut *replication };
    copy_to(index as u32, replication);
    0
}

#[inline(always)]
fn copy_to(index: u32, replication: &mut Replication) {
    let Some(replica) = copies::replica(&MAPS, replication.flood, index) else { return };
    if replica.ifindex != 0 {
        if !copies::admits(&MAPS, replica.ifindex, replication.flood, replication.work) {
            count_drop(replication.slot, DropReason::IngressRule as u32);
            return;
        }
        // SAFETY: the helper clones the skb; what it fails to send is lost as on any wire.
        unsafe { bpf_clone_redirect(replication.raw, replica.ifindex, 0) };
        if let Some(port) = MAPS.port(replica.ifindex) {
            count_to(port.slot, replication.len);
        }
        return;
    }
    let Some(peer) = copies::peer(&MAPS, replication.flood, replica) else {
        count_drop(replication.slot, copies::refusal(&MAPS, replica) as u32);
        return;
    };
    let tunnel = copies::tunnel(replication.flood, peer, replica);
    // No byte of the frame is read from here on, so none need be readable.
    let mut skb = Skb::<0> { raw: replication.raw };
    let dressed = match replication.dressed {
        0 => Dressed::Bare,
        1 => Dressed::V4,
        _ => Dressed::V6,
    };
    match apply::dress(&mut skb, dressed, &tunnel, &replication.work.edit.ethernet, replication.len) {
        Ok(dressed) => replication.dressed = dressed as u32,
        Err(NoRoom) => {
            replication.failed = 1;
            return;
        }
    }
    skb.set_mark(RELAY_MARK);
    // SAFETY: as above.
    unsafe { bpf_clone_redirect(replication.raw, peer.uplink, u64::from(BPF_F_INGRESS)) };
    count_to(0, replication.len);
}
