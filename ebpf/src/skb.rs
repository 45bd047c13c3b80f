//! A frame that is an skb: [`Packet`] and [`Frame`] by the kernel's helpers.

use aya_ebpf::bindings::bpf_adj_room_mode::BPF_ADJ_ROOM_MAC;
use aya_ebpf::bindings::{
    __sk_buff, BPF_CSUM_LEVEL_DEC, BPF_F_ADJ_ROOM_DECAP_L3_IPV4, BPF_F_ADJ_ROOM_DECAP_L3_IPV6,
    BPF_F_ADJ_ROOM_ENCAP_L2_ETH, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6,
    BPF_F_ADJ_ROOM_ENCAP_L4_GRE, BPF_F_ADJ_ROOM_ENCAP_L4_UDP, BPF_F_ADJ_ROOM_FIXED_GSO, BPF_F_ADJ_ROOM_NO_CSUM_RESET,
    BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR,
};
use aya_ebpf::helpers::generated::{
    bpf_csum_level, bpf_l4_csum_replace, bpf_skb_adjust_room, bpf_skb_change_head, bpf_skb_change_tail,
    bpf_skb_load_bytes, bpf_skb_pull_data, bpf_skb_store_bytes, bpf_skb_vlan_pop, bpf_skb_vlan_push,
};
use pipeline::headers::ethernet;
use pipeline::headers::{ETHERNET_LEN, EthernetWords, Words};
use pipeline::segment::NO_VLAN;
use pipeline::{ChecksumField, Encapsulation, Frame, Meta, Network, NoRoom, Packet};

/// Mark of a frame that this host puts back to its own uplink, to be sent on from there. Marks do not cross the wire.
pub const RELAY_MARK: u32 = 0x6e76_7431;
/// Mark of a frame that these programs have decided about, on its way through the uplink, in or out.
pub const DECIDED_MARK: u32 = 0x6e76_7432;

/// `BPF_F_ADJ_ROOM_ENCAP_L2`: the inner frame has an Ethernet header.
const ENCAP_L2: u64 = (ETHERNET_LEN as u64) << 56;

/// `BPF_F_ADJ_ROOM_DECAP_L4_GRE` and `_UDP`: with the headers goes the mark of a tunnel (`SKB_GSO_GRE`, `SKB_GSO_UDP_TUNNEL`).
/// In kernels after 7.0 (include/uapi/linux/bpf.h).
const DECAP_L4_GRE: u64 = 1 << 9;
/// See [`DECAP_L4_GRE`].
const DECAP_L4_UDP: u64 = 1 << 10;

/// What `bpf_skb_adjust_room` says of a frame that is in a tunnel already (include/uapi/asm-generic/errno.h).
const EALREADY: i64 = -114;

/// The skb of one run of a program, whose first `LINEAR` bytes can be read directly, unless it is shorter.
///
/// What an skb carries behind its headers is usually in fragments, which only a helper reads. `LINEAR` is as far as the
/// headers of the common packets reach, no further: to pull in more would copy payload.
pub struct Skb<const LINEAR: usize> {
    pub raw: *mut __sk_buff,
}

/// Reads `N` bytes in words, of two bytes at least, wherever they lie.
///
/// To the compiler a byte array may lie anywhere, and so it would load each byte by itself. Packets do lie anywhere, but
/// the machines that run BPF at speed load words from there at no cost (`HAVE_EFFICIENT_UNALIGNED_ACCESS`; on others the
/// verifier refuses the program).
///
/// # Safety
/// The `N` bytes must be readable.
#[inline(always)]
unsafe fn words<const N: usize>(from: *const u8) -> [u8; N] {
    let mut bytes = [0u8; N];
    let mut at = 0;
    // SAFETY: each load lies within the N bytes.
    unsafe {
        while at + 4 <= N {
            let word = *from.add(at).cast::<u32>();
            if let Some(slot) = bytes.get_mut(at..at + 4) {
                slot.copy_from_slice(&word.to_ne_bytes());
            }
            at += 4;
        }
        while at + 2 <= N {
            let word = *from.add(at).cast::<u16>();
            if let Some(slot) = bytes.get_mut(at..at + 2) {
                slot.copy_from_slice(&word.to_ne_bytes());
            }
            at += 2;
        }
        while at < N {
            if let Some(slot) = bytes.get_mut(at) {
                *slot = *from.add(at);
            }
            at += 1;
        }
    }
    bytes
}

/// The outcome of a helper.
#[inline(always)]
fn done(result: i64) -> Result<(), NoRoom> {
    if result == 0 { Ok(()) } else { Err(NoRoom) }
}

impl<const LINEAR: usize> Skb<LINEAR> {
    #[inline(always)]
    pub fn new(raw: *mut __sk_buff) -> Self {
        // SAFETY: the context of a classifier is a valid __sk_buff. A pull that fails leaves a frame that reads as
        // truncated.
        unsafe {
            let linear = (*raw).data_end.wrapping_sub((*raw).data);
            if linear < LINEAR as u32 && linear < (*raw).len {
                bpf_skb_pull_data(raw, core::cmp::min(LINEAR as u32, (*raw).len));
            }
        }
        Self { raw }
    }

    /// What is known beside the bytes.
    #[inline(always)]
    pub fn meta(&self) -> Meta {
        // SAFETY: the context of a classifier is a valid __sk_buff.
        let skb = unsafe { &*self.raw };
        Meta {
            ifindex: skb.ifindex,
            len: skb.len,
            segment: skb.gso_size,
            vlan: skb.vlan_present != 0,
            // The upper bits of the control information are the priority.
            tag: if skb.vlan_proto == u32::from(ethernet::VLAN.to_be()) {
                skb.vlan_tci as u16 & NO_VLAN
            } else {
                NO_VLAN
            },
            relayed: skb.mark == RELAY_MARK,
            decided: skb.mark == DECIDED_MARK,
        }
    }

    #[inline(always)]
    pub fn set_mark(&mut self, mark: u32) {
        // SAFETY: as above; the field is writable for classifiers.
        unsafe { (*self.raw).mark = mark };
    }

    /// Leaves what was decided where a test can read it: the control block, which nobody else uses here.
    #[inline(always)]
    pub fn report(&mut self, verdict: u32, detail: u32) {
        // SAFETY: as above; the field is writable for classifiers.
        unsafe {
            (*self.raw).cb[0] = verdict;
            (*self.raw).cb[1] = detail;
        }
    }
}

impl<const LINEAR: usize> Packet for Skb<LINEAR> {
    #[inline(always)]
    fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        // Of `pointer < data_end`, which the compiler makes of a test for one byte, the verifier learns nothing.
        let length = if N == 1 { 2 } else { N };
        // SAFETY: the verifier checks that the access is bounded by data_end.
        unsafe {
            let data = (*self.raw).data as usize;
            let end = (*self.raw).data_end as usize;
            if data + offset + length <= end {
                return Some(words((data + offset) as *const u8));
            }
        }
        if N > 1 && offset + N <= LINEAR { None } else { self.bytes_at(offset) }
    }

    #[inline(always)]
    fn words<const N: usize>(&self, offset: usize) -> Option<Words<N>> {
        let mut words = [0u16; N];
        // SAFETY: the verifier checks that the access is bounded by data_end.
        unsafe {
            let data = (*self.raw).data as usize;
            let end = (*self.raw).data_end as usize;
            if data + offset + 2 * N <= end {
                let from = (data + offset) as *const u16;
                let mut i = 0;
                while i < N {
                    if let Some(word) = words.get_mut(i) {
                        *word = *from.add(i);
                    }
                    i += 1;
                }
                return Some(words);
            }
        }
        if offset + 2 * N <= LINEAR {
            return None;
        }
        // SAFETY: the helper writes 2 N bytes or fails.
        let result =
            unsafe { bpf_skb_load_bytes(self.raw.cast(), offset as u32, words.as_mut_ptr().cast(), 2 * N as u32) };
        if result == 0 { Some(words) } else { None }
    }

    #[inline(always)]
    fn bytes_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let mut bytes = [0u8; N];
        // SAFETY: the helper writes N bytes or fails.
        let result = unsafe { bpf_skb_load_bytes(self.raw.cast(), offset as u32, bytes.as_mut_ptr().cast(), N as u32) };
        if result == 0 { Some(bytes) } else { None }
    }
}

/// Takes outer headers off. A frame that stands for many segments says of itself that it is a tunnel's, and a tap, which takes none
/// such, gets it cut up: kernels that can take that off it are asked to, and others refuse before they have touched it.
///
/// # Safety
/// `raw` must be the skb of this run.
#[inline(never)]
unsafe fn take_off(raw: *mut __sk_buff, room: u32, flags: u64) -> i64 {
    // SAFETY: the helper checks the length.
    unsafe {
        if (*raw).gso_size != 0 && bpf_skb_adjust_room(raw, -(room as i32), BPF_ADJ_ROOM_MAC, flags) == 0 {
            return 0;
        }
        bpf_skb_adjust_room(raw, -(room as i32), BPF_ADJ_ROOM_MAC, flags & !(DECAP_L4_GRE | DECAP_L4_UDP))
    }
}

/// Makes room for outer headers. A frame that a namespace of this machine has forwarded (a router, a gateway's compartment) may
/// have come out of a tunnel, and says so still where the kernel cannot take that off it (see [`take_off`]): the helper refuses
/// to put such a one into another tunnel (`EALREADY`). All that it would note of the tunnel is noted then, and room is what is left
/// to make.
///
/// # Safety
/// `raw` must be the skb of this run.
#[inline(never)]
unsafe fn put_around(raw: *mut __sk_buff, room: u32, flags: u64) -> i64 {
    // SAFETY: the helper checks the length.
    unsafe {
        match bpf_skb_adjust_room(raw, room as i32, BPF_ADJ_ROOM_MAC, flags) {
            EALREADY => bpf_skb_adjust_room(raw, room as i32, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO as u64),
            other => other,
        }
    }
}

impl<const LINEAR: usize> Frame for Skb<LINEAR> {
    #[inline(always)]
    fn store<const N: usize>(&mut self, offset: usize, bytes: &[u8; N]) -> Result<(), NoRoom> {
        // SAFETY: the helper reads N bytes.
        done(unsafe { bpf_skb_store_bytes(self.raw, offset as u32, bytes.as_ptr().cast(), N as u32, 0) })
    }

    #[inline(always)]
    fn store_words<const N: usize>(&mut self, offset: usize, words: &Words<N>) -> Result<(), NoRoom> {
        // SAFETY: the helper reads 2 N bytes.
        done(unsafe { bpf_skb_store_bytes(self.raw, offset as u32, words.as_ptr().cast(), 2 * N as u32, 0) })
    }

    #[inline(always)]
    fn correct_checksum(&mut self, field: ChecksumField, difference: u16) -> Result<(), NoRoom> {
        let mut flags = 0;
        if field.pseudo {
            flags |= BPF_F_PSEUDO_HDR as u64;
        }
        if field.udp {
            flags |= BPF_F_MARK_MANGLED_0 as u64;
        }
        // Size 0 in the flags: `to` is a difference, in the byte order of the packet.
        // SAFETY: the helper checks the offset.
        done(unsafe { bpf_l4_csum_replace(self.raw, field.offset as u32, 0, u64::from(difference.to_be()), flags) })
    }

    #[inline(always)]
    fn resize(&mut self, len: usize) -> Result<(), NoRoom> {
        // SAFETY: the helper checks the length.
        done(unsafe { bpf_skb_change_tail(self.raw, len as u32, 0) })
    }

    #[inline(always)]
    fn open(&mut self, room: usize) -> Result<(), NoRoom> {
        // SAFETY: the helper checks the length.
        done(unsafe { bpf_skb_adjust_room(self.raw, room as i32, BPF_ADJ_ROOM_MAC, 0) })
    }

    #[inline(always)]
    fn encapsulate<const N: usize>(
        &mut self,
        header: &Words<N>,
        encapsulation: Encapsulation,
        outer: Network,
        inner: Network,
    ) -> Result<(), NoRoom> {
        let l3 = match outer {
            Network::V6 => BPF_F_ADJ_ROOM_ENCAP_L3_IPV6,
            _ => BPF_F_ADJ_ROOM_ENCAP_L3_IPV4,
        };
        // The helper refuses payloads that are not IP.
        if inner == Network::Other {
            return self.prepend(2 * N - ETHERNET_LEN, header);
        }
        let l4 = if encapsulation.is_udp() { BPF_F_ADJ_ROOM_ENCAP_L4_UDP } else { BPF_F_ADJ_ROOM_ENCAP_L4_GRE };
        // FIXED_GSO: the pipeline has seen to it that each segment fits.
        let flags = ENCAP_L2 | (BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L2_ETH | l4 | l3) as u64;
        // SAFETY: the helper checks the length.
        done(unsafe { put_around(self.raw, (2 * N - ETHERNET_LEN) as u32, flags) })?;
        self.store_words(0, header)
    }

    #[inline(always)]
    fn prepend<const N: usize>(&mut self, room: usize, header: &Words<N>) -> Result<(), NoRoom> {
        // SAFETY: the helper checks the length.
        done(unsafe { bpf_skb_change_head(self.raw, room as u32, 0) })?;
        self.store_words(0, header)
    }

    #[inline(always)]
    fn decapsulate(&mut self, room: usize, udp: bool, ethernet: &EthernetWords, inner: Network) -> Result<(), NoRoom> {
        // A payload that is neither is called IPv4 so as to pass the helper's check of its length; the device that
        // the frame goes to reads the protocol from the Ethernet header anew.
        let l3 = match inner {
            Network::V6 => BPF_F_ADJ_ROOM_DECAP_L3_IPV6,
            _ => BPF_F_ADJ_ROOM_DECAP_L3_IPV4,
        };
        // FIXED_GSO, else segments grow by what was taken off. NVGRE has no checksum of its own, so what the device has
        // verified is the inner packet's: NO_CSUM_RESET keeps that. UDP's is one of those that it counts, be it zero or
        // not (`csum_level` in Linux's skbuff.h), and so there is one less of them.
        let flags = (BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET | l3) as u64;
        let l4 = if udp { DECAP_L4_UDP } else { DECAP_L4_GRE };
        // SAFETY: the skb is this program's own.
        done(unsafe { take_off(self.raw, room as u32, flags | l4) })?;
        if udp {
            // SAFETY: a helper without pointers but the skb.
            unsafe { bpf_csum_level(self.raw, u64::from(BPF_CSUM_LEVEL_DEC)) };
        }
        self.store_words(0, ethernet)
    }

    #[inline(always)]
    fn push_tag(&mut self, vlan: u16) -> Result<(), NoRoom> {
        // SAFETY: the helper checks that there is room.
        done(unsafe { bpf_skb_vlan_push(self.raw, ethernet::VLAN.to_be(), vlan) })
    }

    #[inline(always)]
    fn pop_tag(&mut self) -> Result<(), NoRoom> {
        // SAFETY: the helper checks the length.
        done(unsafe { bpf_skb_vlan_pop(self.raw) })
    }
}
