//! The kernel programs: one at the ingress of each port, one at the ingress of the uplink, and one at its egress where
//! there are ports of physical networks.
//!
//! **Invariant:** nothing is decided here. [`pipeline`] decides; this crate gives it the skb ([`skb`]) and the maps
//! ([`maps`]), and hands the frame to the device that the verdict names ([`egress`]).
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod egress;
mod global;
mod maps;
mod skb;

use core::mem::MaybeUninit;

use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;

use egress::Hook;
use maps::MAPS;
use pipeline::stages::limit;
use pipeline::{DropReason, Meta, Tables, Verdict, Work, travel};
use skb::Skb;

/// Ethernet, IPv4 and TCP, or Ethernet and IPv6.
const PORT_LINEAR: usize = 54;
/// The same behind Ethernet, IPv4, UDP and VXLAN.
const UPLINK_LINEAR: usize = 104;

type PortSkb = Skb<PORT_LINEAR>;
type UplinkSkb = Skb<UPLINK_LINEAR>;
/// Ethernet with a tag.
type HostSkb = Skb<18>;

/// Runs for each frame that a VM sends: tcx ingress of the port's device.
#[classifier]
pub fn netvirt_port(ctx: TcContext) -> i32 {
    let Some(work) = maps::work() else { return egress::NEXT };
    let mut skb = PortSkb::new(ctx.skb.skb);
    let meta = skb.meta();
    let mut verdict = MaybeUninit::uninit();
    let verdict = undecided(&mut verdict);
    if decide_port(&skb, &meta, work, verdict) {
        return egress::pass(&mut skb, &meta);
    }
    if !within_port(&skb, &meta, work, verdict) {
        verdict.drop(DropReason::RateLimit);
    }
    egress::finish(&mut skb, &meta, verdict, work, Hook::Port)
}

/// Runs for each frame that comes from the underlay: tcx ingress of the uplink.
#[classifier]
pub fn netvirt_uplink(ctx: TcContext) -> i32 {
    let Some(work) = maps::work() else { return egress::NEXT };
    let mut skb = UplinkSkb::new(ctx.skb.skb);
    let meta = skb.meta();
    let mut verdict = MaybeUninit::uninit();
    let verdict = undecided(&mut verdict);
    if decide_uplink(&skb, &meta, work, verdict) {
        return egress::pass(&mut skb, &meta);
    }
    if !within_uplink(&skb, &meta, work, verdict) {
        verdict.drop(DropReason::RateLimit);
    }
    egress::finish(&mut skb, &meta, verdict, work, Hook::Uplink)
}

/// Runs for each frame that leaves by an uplink with physical networks behind it: tcx egress of the uplink.
#[classifier]
pub fn netvirt_host(ctx: TcContext) -> i32 {
    let Some(work) = maps::work() else { return egress::NEXT };
    let mut skb = HostSkb::new(ctx.skb.skb);
    let meta = skb.meta();
    let mut verdict = MaybeUninit::uninit();
    let verdict = undecided(&mut verdict);
    if decide_host(&skb, &meta, work, verdict) {
        return egress::pass(&mut skb, &meta);
    }
    if !within_host(&skb, &meta, work, verdict) {
        verdict.drop(DropReason::RateLimit);
    }
    egress::finish(&mut skb, &meta, verdict, work, Hook::Host)
}

/// Runs when the host's agent says so, on no frame that matters: forgets flows that are over. Returns how many.
#[classifier]
pub fn netvirt_sweep(_ctx: TcContext) -> i32 {
    global::netvirt_forget() as i32
}

/// Runs when the host's agent says so, on a frame that begins with two numbers: the interface index of a port's device, and how
/// many flows have come with its VM. Takes them in, and returns what became of them ([`global::TakingIn::outcomes`]).
#[classifier]
pub fn netvirt_take_flows(ctx: TcContext) -> i32 {
    let (Ok(ifindex), Ok(count)) = (ctx.load::<u32>(0), ctx.load::<u32>(4)) else { return 0 };
    let mut taking = global::TakingIn { ifindex, count, next: 0, outcomes: 0 };
    MAPS.repeat(travel::MAX_TOGETHER, &mut taking);
    taking.outcomes as i32
}

/// Makes a verdict in its place, as [`Verdict::default`] is.
///
/// Word by word: the compiler's calls to `memset` and `memcpy` would write bytes, and the verifier would not see that
/// eight of them are no pointer.
#[inline(always)]
fn undecided<'a>(place: &'a mut MaybeUninit<Verdict<'static>>) -> &'a mut Verdict<'static> {
    const WORDS: usize = size_of::<Verdict>() / 8;
    let mut i = 0;
    while i < WORDS {
        // SAFETY: the words lie within the verdict.
        unsafe { place.as_mut_ptr().cast::<u64>().add(i).write_volatile(0) };
        i += 1;
    }
    // SAFETY: all words are written, and all zero is a verdict's default: numbers, and references that are None.
    unsafe { place.assume_init_mut() }
}

/// Whether the frame passes; the verdict says more.
///
/// A function of its own, so that deciding and carrying out use the same 512 bytes of stack one after the other. It returns
/// something, since one that does not leaves whatever is at hand in the register for it, and a pointer into the caller's
/// stack there makes the verifier refuse the program.
#[inline(never)]
fn decide_port(skb: &PortSkb, meta: &Meta, work: &mut Work, verdict: &mut Verdict<'static>) -> bool {
    pipeline::from_port(skb, &MAPS, meta, work, verdict);
    verdict.is_pass()
}

/// As [`decide_port`].
#[inline(never)]
fn decide_uplink(skb: &UplinkSkb, meta: &Meta, work: &mut Work, verdict: &mut Verdict<'static>) -> bool {
    pipeline::from_uplink(skb, &MAPS, meta, work, verdict);
    verdict.is_pass()
}

/// Whether what was decided stands where there are limits: the second half of the decision, as [`decide_port`] is the
/// first, and as [`pipeline::limit`] has it.
#[inline(never)]
fn within_port(skb: &PortSkb, meta: &Meta, work: &Work, verdict: &Verdict<'static>) -> bool {
    limit::within(skb, &MAPS, meta, work, verdict)
}

/// As [`within_port`].
#[inline(never)]
fn within_uplink(skb: &UplinkSkb, meta: &Meta, work: &Work, verdict: &Verdict<'static>) -> bool {
    limit::within(skb, &MAPS, meta, work, verdict)
}

/// As [`within_port`].
#[inline(never)]
fn within_host(skb: &HostSkb, meta: &Meta, work: &Work, verdict: &Verdict<'static>) -> bool {
    limit::within(skb, &MAPS, meta, work, verdict)
}

/// As [`decide_port`].
#[inline(never)]
fn decide_host(skb: &HostSkb, meta: &Meta, work: &mut Work, verdict: &mut Verdict<'static>) -> bool {
    pipeline::from_host(skb, &MAPS, meta, work, verdict);
    verdict.is_pass()
}

/// The verifier proves that no panic is reached; a loop without end would make it refuse one that is.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
