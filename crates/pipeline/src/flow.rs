//! The flow table: what was decided for a flow at one port, with all that its next packet needs.
//!
//! An entry belongs to one port and stands for both directions, as the port's VM sees them: its own address is *local*,
//! the other *remote*. It holds what connection tracking knows of the flow ([`crate::track`]), the [`Way`] that the VM's
//! packets take, and the [`Arrival`] that packets for the VM come by. Each of these holds the policy epoch of the VM network
//! under which it was decided, and counts for nothing under another: that is how a change of the tables holds for flows
//! that are under way.

use crate::address::Address;
use crate::encapsulation::Encapsulation;
use crate::policy::Direction;
use crate::tables::Peer;
use crate::track::State;

/// Most flows that one host remembers; each of its ports has a limit of its own below ([`crate::Host::flow_limit`]).
pub const MAX_FLOWS: u32 = 1 << 20;
/// Number of policy epochs. VM networks may share one, which costs their flows a second look, and nothing else.
pub const MAX_EPOCHS: u32 = 1 << 12;
/// Most fragmented packets whose ports are known at a time; the oldest is forgotten first.
pub const MAX_FRAGMENTED: u32 = 1 << 13;
/// So many times the flows that a VM may open may be opened towards it: what one of its neighbours opens does not take the
/// place of what all others do.
pub const INGRESS_SHARE: u32 = 4;
/// A flow that was seen not longer ago than this, in nanoseconds, is not noted anew.
pub const SEEN_GRAIN: u64 = 250_000_000;

/// Index of the policy epoch of a VM network: `domain` as in [`crate::Port::domain`], `vsid` of the port.
#[inline(always)]
pub const fn epoch_index(domain: u32, vsid: u32) -> u32 {
    let number = if domain != 0 { domain } else { vsid };
    number & (MAX_EPOCHS - 1)
}

/// Which flow at which port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(C)]
pub struct FlowKey {
    /// VSID of the port.
    pub vsid: u32,
    /// The VM's port in the upper 16 bits, the other side's in the lower; of ICMP echo the identifier twice; else 0.
    pub ports: u32,
    /// MAC address of the port.
    pub mac: [u8; 6],
    /// IP protocol.
    pub protocol: u8,
    /// Zero.
    pub reserved: u8,
    /// Address on the VM's side.
    pub local: Address,
    /// Address on the other side.
    pub remote: Address,
}

flags! {
    /// Properties of a [`Way`].
    WayFlags: u16 {
        /// The packet is routed: its time to live goes down.
        ROUTED = 0;
        /// The receiving VM sees other MAC addresses than the sending one wrote.
        READDRESS = 1;
        /// To another host, encapsulated; otherwise to a port of this host.
        ENCAPSULATE = 2;
        /// The receiving port's device is a veth whose other end is in another namespace.
        PEER = 3;
        /// The way is known.
        KNOWN = 4;
        /// Encapsulated in VXLAN.
        VXLAN = 5;
        /// Encapsulated in Geneve; without this and the one before, in NVGRE.
        GENEVE = 6;
    }
}

impl WayFlags {
    /// How packets are encapsulated on the way.
    #[inline(always)]
    pub const fn encapsulation(self) -> Encapsulation {
        if self.has(Self::VXLAN) {
            Encapsulation::Vxlan
        } else if self.has(Self::GENEVE) {
            Encapsulation::Geneve
        } else {
            Encapsulation::Nvgre
        }
    }

    /// The flags of a way to another host.
    #[inline(always)]
    pub const fn encapsulated(encapsulation: Encapsulation) -> Self {
        match encapsulation {
            Encapsulation::Nvgre => Self::ENCAPSULATE,
            Encapsulation::Vxlan => Self::ENCAPSULATE.with(Self::VXLAN),
            Encapsulation::Geneve => Self::ENCAPSULATE.with(Self::GENEVE),
        }
    }
}

/// Where the VM's packets go.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct Way {
    /// The MAC address that the VM sends them to.
    pub destination: [u8; 6],
    /// Properties.
    pub flags: WayFlags,
    /// The Ethernet header that the receiving VM sees, in words.
    pub ethernet: [u16; 7],
    /// Zero.
    pub reserved: u16,
    /// The policy epoch of this.
    pub epoch: u32,
    /// Longest network packet in bytes that fits on the way.
    pub limit: u32,
    /// VSID that they arrive in.
    pub vsid: u32,
    /// Hash of the flow, for the underlay.
    pub hash: u32,
    /// Interface index of the receiving port's device, on this host.
    pub ifindex: u32,
    /// Slot of that port's counters.
    pub slot: u32,
    /// Provider address of the other host.
    pub remote: Address,
    /// How to reach it.
    pub peer: Peer,
}

flags! {
    /// Properties of an [`Arrival`].
    ArrivalFlags: u16 {
        /// The port's device is a veth whose other end is in another namespace.
        PEER = 0;
        /// The arrival is known.
        KNOWN = 1;
    }
}

/// How packets for the VM come from another host.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct Arrival {
    /// Their source MAC address.
    pub source: [u8; 6],
    /// Properties.
    pub flags: ArrivalFlags,
    /// The policy epoch of this.
    pub epoch: u32,
    /// Interface index of the port's device.
    pub ifindex: u32,
    /// Slot of the port's counters.
    pub slot: u32,
    /// Our provider address that they come to.
    pub local: Address,
    /// The provider address that they come from.
    pub remote: Address,
}

/// One flow at one port. In the table `N` is `Cell<u64>`, so that what each packet changes is changed in place; a copy
/// has `u64`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct Flow<N = u64> {
    /// When it was seen last, in nanoseconds of the clock of [`crate::Tables::now`].
    pub seen: N,
    /// What connection tracking knows: [`State::to_bits`].
    pub state: N,
    /// Frames that the VM sent.
    pub from_packets: N,
    /// Their bytes.
    pub from_bytes: N,
    /// Frames that went to the VM.
    pub to_packets: N,
    /// Their bytes.
    pub to_bytes: N,
    /// Interface index of the port's device.
    pub ifindex: u32,
    /// Slot of the port's counters.
    pub slot: u32,
    /// Index of the policy epoch of the port's VM network.
    pub epoch_index: u32,
    /// Zero.
    pub reserved: u32,
    /// Where the VM's packets go.
    pub way: Way,
    /// How packets for the VM come.
    pub arrival: Arrival,
}

/// A flow in the table.
pub type FlowEntry = Flow<core::cell::Cell<u64>>;

impl Flow {
    /// Makes it one of which nothing is known.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.seen = 0;
        self.state = 0;
        self.from_packets = 0;
        self.from_bytes = 0;
        self.to_packets = 0;
        self.to_bytes = 0;
        self.way.flags = WayFlags::NONE;
        self.arrival.flags = ArrivalFlags::NONE;
    }

    /// Counts a frame.
    #[inline(always)]
    pub fn count(&mut self, direction: Direction, len: u32) {
        match direction {
            Direction::Egress => {
                self.from_packets += 1;
                self.from_bytes += len as u64;
            }
            Direction::Ingress => {
                self.to_packets += 1;
                self.to_bytes += len as u64;
            }
        }
    }
}

impl FlowEntry {
    /// What it is now.
    #[inline(always)]
    pub fn copy_to(&self, flow: &mut Flow) {
        flow.seen = self.seen.get();
        flow.state = self.state.get();
        flow.from_packets = self.from_packets.get();
        flow.from_bytes = self.from_bytes.get();
        flow.to_packets = self.to_packets.get();
        flow.to_bytes = self.to_bytes.get();
        flow.ifindex = self.ifindex;
        flow.slot = self.slot;
        flow.epoch_index = self.epoch_index;
        flow.way = self.way;
        flow.arrival = self.arrival;
    }

    /// What connection tracking knows.
    #[inline(always)]
    pub fn state(&self) -> State {
        State::from_bits(self.state.get())
    }
}

/// Which fragmented packet, as one port sees it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(C)]
pub struct FragmentKey {
    /// VSID of the port.
    pub vsid: u32,
    /// Identification of the packet (RFC 791, RFC 8200, 4.5).
    pub identification: u32,
    /// MAC address of the port.
    pub mac: [u8; 6],
    /// IP protocol.
    pub protocol: u8,
    /// [`crate::policy::Direction`], since a packet may go to and fro.
    pub direction: u8,
    /// Source.
    pub source: Address,
    /// Destination.
    pub destination: Address,
}

/// How many flows a port has that were opened one way.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct Usage {
    /// All of them.
    pub flows: u64,
    /// Those of them that nobody has answered yet.
    pub half_open: u64,
}

const _: () = {
    assert!(size_of::<FlowKey>() == 48);
    assert!(size_of::<Way>() == 108);
    assert!(size_of::<Arrival>() == 52);
    assert!(size_of::<Flow>() == 224 && size_of::<FlowEntry>() == 224);
    assert!(size_of::<FragmentKey>() == 48);
    assert!(size_of::<Usage>() == 16);
};
