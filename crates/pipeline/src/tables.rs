//! What the pipeline reads: plain-old-data keys and values, and the trait [`Tables`] that looks them up.
//!
//! Each type here is at the same time the key or value of one BPF map, so all are `repr(C)`, without implicit
//! padding (the kernel hashes and compares padding too), and their sizes are asserted at the end of the file.
//! Numbers are in host byte order unless a field says otherwise.

use crate::Work;
pub use crate::address::Address;
use crate::encapsulation::Encapsulation;
use crate::flow::{Flow, FlowEntry, FlowKey, FragmentKey, Usage};
use crate::meter::{Limit, MeterKey, Size};
use crate::moves::Move;
use crate::policy::{Direction, Logged, Matches, MemberKey, Policy, PrefixKey, Rule, RuleKey, ServiceKey, WordKey};
use crate::stages::security::{self, Case};

/// Most ports on one host; the length of the `PORTS` map and of the counters' array.
pub const MAX_PORTS: u32 = 4096;
/// Most lookup records on one host, over all VM subnets (the `RECORDS` and the `STATIONS` map each).
pub const MAX_RECORDS: u32 = 1 << 18;
/// Most VMs that move at a time, of those that one host knows.
pub const MAX_MOVES: u32 = 1 << 14;
/// Most customer routes on one host, over all routing domains.
pub const MAX_ROUTES: u32 = 1 << 16;
/// Most VM subnets known to one host.
pub const MAX_SUBNETS: u32 = 1 << 16;
/// Most ways to other hosts known to one host, over all of them.
pub const MAX_PEERS: u32 = 1 << 15;
/// Most ways to one other host.
pub const MAX_PATHS: u32 = 8;
/// Most provider addresses of one host.
pub const MAX_PROVIDERS: u32 = 64;
/// Most replicas made of one broadcast or multicast frame. Ports and hosts beyond it get none of it; `plan` reports
/// a subnet that is larger.
pub const MAX_REPLICAS: u32 = 64;
/// Longest frame in bytes that is handed to the host's agent: Ethernet's longest without a tag.
pub const MAX_PUNT: u32 = 1514;
/// Address of the DHCP server that each host is for its VMs, as Hyper-V Network Virtualization has it.
pub const DHCP_SERVER: Address = Address::v4([192, 0, 2, 253]);

flags! {
    /// Properties of the [`Host`].
    HostFlags: u16 {
        /// `PLAIN` has entries: packets of the underlay are looked up there.
        PLAIN = 0;
        /// Some port is joined to a physical network: what passes the uplinks is looked up for it.
        PHYSICAL = 1;
        /// Some VM network travels in VXLAN: what comes by its UDP port is this host's own.
        VXLAN = 2;
        /// Some VM network travels in Geneve: what comes by its UDP port is this host's own.
        GENEVE = 3;
        /// Some port has a limit, or its VM network has.
        LIMITED = 4;
        /// Routers of VM subnets are outside of the hosts: nothing is routed here.
        EXTERNAL_ROUTER = 5;
    }
}

/// What the pipeline must know of the host itself; the single entry of the `HOST` map.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(C)]
pub struct Host {
    /// The MAC address of every subnet's gateway, the same on all hosts.
    pub gateway_mac: [u8; 6],
    /// Properties.
    pub flags: HostFlags,
    /// Broadcast and multicast frames that a port may send in one second; 0 forbids them.
    pub flood_rate: u32,
    /// Broadcast and multicast frames that a port may send at once after a silence.
    pub flood_burst: u32,
    /// Frames of a port that are handed to the host's agent in one second; 0 forbids them.
    pub punt_rate: u32,
    /// Frames of a port that are handed to the host's agent at once after a silence.
    pub punt_burst: u32,
    /// Flows that the VM of a port may have opened. Others may have opened [`crate::flow::INGRESS_SHARE`] times as many
    /// towards it.
    pub flow_limit: u32,
    /// How many of them nobody has answered yet, likewise.
    pub half_open_limit: u32,
}

flags! {
    /// Properties of a [`Port`].
    PortFlags: u16 {
        /// The device is a veth whose other end stands in another namespace: `bpf_redirect_peer` delivers.
        PEER = 0;
        /// The port's addresses are learnt (record type L2Only): the source guard checks the MAC address alone.
        LEARN = 1;
        /// The port forwards for others (a VM as router, a gateway): any source address may leave it.
        FORWARDER = 2;
        /// The host's agent answers DHCP in the port's subnet, and nobody else does.
        DHCP = 3;
        /// The host's agent answers DHCPv6 and router solicitations in the port's subnet, and nobody else does.
        DHCP_V6 = 4;
        /// The port has a limit, or its VM network has.
        LIMITED = 5;
        /// Its VM is on another host and is to come (`MOVES`): the first that it sends says that it has.
        AWAITS = 6;
    }
}

/// One port of this host, by the interface index of its device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(C)]
pub struct Port {
    /// VSID, or the number of a physical network ([`crate::segment`]), here as in all tables; 0 means that the port's
    /// traffic passes through unvirtualized.
    pub vsid: u32,
    /// The routing domain of the VSID, as in [`RouteKey::domain`]; 0 when the VSID has no customer route.
    pub domain: u32,
    /// Index of its counters, 1..[`MAX_PORTS`]; slot 0 counts what no port can be blamed for.
    pub slot: u32,
    /// MAC address.
    pub mac: [u8; 6],
    /// Properties.
    pub flags: PortFlags,
    /// Longest network packet in bytes that the port's physical network carries; 0 where the port has a VSID.
    pub mtu: u32,
    /// Number of the policy that its security groups make together ([`crate::policy`]); 0 if it is in none, and then
    /// nothing is filtered.
    pub policy: u32,
    /// Most that the VM may send.
    pub egress: Limit,
    /// Most that it may be sent.
    pub ingress: Limit,
}

/// Key of a lookup record: a customer address inside of a VM subnet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(C)]
pub struct RecordKey {
    /// VSID.
    pub vsid: u32,
    /// Customer address.
    pub address: Address,
}

/// Key of a station: a MAC address inside of a VM subnet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(C)]
pub struct StationKey {
    /// VSID.
    pub vsid: u32,
    /// MAC address.
    pub mac: [u8; 6],
    /// Zero.
    pub reserved: u16,
}

flags! {
    /// Properties of a [`Record`].
    RecordFlags: u16 {
        /// The provider address is one of this host.
        LOCAL = 0;
        /// The address of the subnet's gateway, which every host answers for itself.
        GATEWAY = 1;
        /// This VM forwards for others: it may send from addresses that are not its own.
        FORWARDER = 2;
        /// Record type GatewayWildcard: stands for each address of the subnet that has no record.
        WILDCARD = 3;
        /// Record type L2Only: the MAC address is known, the customer addresses are learnt.
        L2_ONLY = 4;
        /// Rule TranslationMethodNat: the customer address is rewritten to the provider address on the wire.
        NAT = 5;
        /// Rule TranslationMethodNone: the packet goes onto the wire as it is.
        BARE = 6;
        /// Record type Dynamic: learnt from the VM's own ARP or ND.
        DYNAMIC = 7;
        /// The VM moves to another host, or has come from one: `MOVES` has its other place ([`crate::moves`]).
        MOVES = 8;
    }
}

/// Where a customer address (in `RECORDS`) or a MAC address (in `STATIONS`) is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(C)]
pub struct Record {
    /// MAC address of the VM.
    pub mac: [u8; 6],
    /// Properties.
    pub flags: RecordFlags,
    /// Interface index of the port's device if it is plugged on this host, else 0. In a physical network the host itself
    /// is a station too, and its device the uplink.
    pub ifindex: u32,
    /// Number of the set of security groups that the VM is in, by which the rules of others may name it; 0 for none.
    pub groups: u32,
    /// Provider address: of the host the VM is on, or with rule NAT the address that stands for the VM.
    pub provider: Address,
}

flags! {
    /// Properties of a [`Subnet`].
    SubnetFlags: u32 {
        /// Some record of the subnet is L2Only: who asks for an unknown address is heard by all.
        LEARN = 0;
        /// Frames travel to other hosts in VXLAN; without this and [`SubnetFlags::GENEVE`] in NVGRE.
        VXLAN = 1;
        /// Frames travel to other hosts in Geneve.
        GENEVE = 2;
    }
}

/// A VM subnet, by its VSID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(C)]
pub struct Subnet {
    /// Routing domain, as in [`RouteKey::domain`]; 0 when no customer route names the subnet.
    pub domain: u32,
    /// Properties.
    pub flags: SubnetFlags,
    /// How many entries of `REPLICAS`, from index 0, are for this subnet; at most [`MAX_REPLICAS`].
    pub replicas: u32,
    /// How many of them, the first ones, are ports of this host. The others are hosts, IPv4 before IPv6.
    pub local_replicas: u32,
    /// IPv4 address of the gateway, [`Address::UNSPECIFIED_V6`] (all zero) if there is none.
    pub gateway_v4: Address,
    /// IPv6 address of the gateway, all zero if there is none.
    pub gateway_v6: Address,
    /// Most that all ports of its VM network on this host may send together.
    pub egress: Limit,
    /// Most that they may be sent together.
    pub ingress: Limit,
}

impl Subnet {
    /// How frames for its VMs travel to other hosts.
    #[inline(always)]
    pub const fn encapsulation(&self) -> Encapsulation {
        if self.flags.has(SubnetFlags::VXLAN) {
            Encapsulation::Vxlan
        } else if self.flags.has(SubnetFlags::GENEVE) {
            Encapsulation::Geneve
        } else {
            Encapsulation::Nvgre
        }
    }
}

/// Key of a customer route, matched by longest prefix (`BPF_MAP_TYPE_LPM_TRIE`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(C)]
pub struct RouteKey {
    /// Length of the prefix in bits, the 32 of `domain` and, for IPv4, the 96 of the mapping included.
    pub prefix_len: u32,
    /// Number that this host gave to the routing domain, never 0. In network byte order, since the trie compares bytes.
    pub domain: [u8; 4],
    /// Destination.
    pub address: Address,
}

impl RouteKey {
    /// Bits of the key before the address.
    pub const DOMAIN_BITS: u32 = 32;

    /// The key that finds the route for one address.
    #[inline(always)]
    pub const fn exact(domain: u32, address: Address) -> Self {
        Self { prefix_len: Self::DOMAIN_BITS + 128, domain: domain.to_be_bytes(), address }
    }
}

flags! {
    /// Properties of a [`Route`].
    RouteFlags: u32 {
        /// The destination itself is in the route's VM subnet (next hop 0.0.0.0 or ::).
        ON_LINK = 0;
    }
}

/// A customer route.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(C)]
pub struct Route {
    /// VM subnet in which the next hop, or the destination itself, is.
    pub vsid: u32,
    /// Properties.
    pub flags: RouteFlags,
    /// Customer address of the next hop.
    pub next_hop: Address,
}

/// Key of one of the ways to another host, which all cost the same ([`crate::paths`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(C)]
pub struct PeerKey {
    /// The host's provider address.
    pub provider: Address,
    /// 0..[`Peer::paths`].
    pub path: u32,
}

impl PeerKey {
    /// The key of the first way to a host, which is there if any is.
    #[inline(always)]
    pub const fn first(provider: Address) -> Self {
        Self { provider, path: 0 }
    }
}

flags! {
    /// Properties of a [`Peer`].
    PeerFlags: u16 {
        /// `next_hop` is known; otherwise the kernel's routing table decides for each packet.
        NEXT_HOP = 0;
    }
}

/// One way to reach another host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(C)]
pub struct Peer {
    /// Our provider address towards it, of the same family.
    pub local: Address,
    /// Next hop in the underlay, of the same family.
    pub next_hop: Address,
    /// Interface index of the uplink.
    pub uplink: u32,
    /// MTU of the underlay towards it: the largest outer IP packet, in bytes; the same on all ways to a host.
    pub mtu: u32,
    /// Properties.
    pub flags: PeerFlags,
    /// How many ways there are to the host, at most [`MAX_PATHS`]; the same on all of them.
    pub paths: u16,
}

/// A provider address of this host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(C)]
pub struct Provider {
    /// Interface index of the uplink that it is on.
    pub uplink: u32,
}

/// Key of one replica of the subnet's broadcast and multicast frames.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(C)]
pub struct ReplicaKey {
    /// VSID.
    pub vsid: u32,
    /// 0..[`Subnet::replicas`].
    pub index: u32,
}

/// Where one replica goes: to a port of this host, or to another host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(C)]
pub struct Replica {
    /// Interface index of a port's device, or 0.
    pub ifindex: u32,
    /// Provider address of another host, if `ifindex` is 0.
    pub provider: Address,
}

/// What an address on the wire stands for, when no encapsulation says it: the provider address of a record with rule
/// NAT, or the customer address of one with rule None.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(C)]
pub struct Plain {
    /// VSID.
    pub vsid: u32,
    /// Customer address.
    pub customer: Address,
}

/// What is known of a fragmented packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(C)]
pub struct Fragmented {
    /// As [`crate::stages::probe::Probe::ports`].
    pub ports: u32,
    /// As [`crate::stages::probe::Probe::icmp`].
    pub icmp: u16,
    /// 1 if the packet has no flow, else 0.
    pub single: u16,
    /// How many bytes of its payload have come, from the beginning.
    pub end: u32,
}

/// One turn of a loop.
pub trait Turn {
    /// Takes the turn; whether to go on.
    fn turn<T: Tables>(&mut self, tables: &T) -> bool;
}

/// Looks up what the pipeline must know. Implemented over BPF maps in the kernel and over ordered maps in user space.
///
/// Values come by reference, so that a look-up in the kernel costs no copy.
pub trait Tables {
    /// The host itself; `None` before the agent has written it.
    fn host(&self) -> Option<&Host>;
    /// The port with the device of this interface index.
    fn port(&self, ifindex: u32) -> Option<&Port>;
    /// The lookup record of a customer address; exact, wildcards are asked for by [`Address::UNSPECIFIED_V4`] and `_V6`.
    fn record(&self, key: &RecordKey) -> Option<&Record>;
    /// Where a MAC address of a VM subnet is.
    fn station(&self, key: &StationKey) -> Option<&Record>;
    /// The other place of a VM that moves.
    fn moves(&self, key: &StationKey) -> Option<&Move>;
    /// The provider address of the host at which a VM that moves was heard.
    fn heard_at(&self, key: &StationKey) -> Option<&Address>;
    /// Notes at which it was heard.
    fn hear(&self, key: &StationKey, provider: &Address);
    /// Counts a frame that is sent on to where its VM has gone. Has no part in the decision.
    #[inline(always)]
    fn sent_on(&self, _key: &StationKey) {}
    /// The VM subnet.
    fn subnet(&self, vsid: u32) -> Option<&Subnet>;
    /// The customer route with the longest prefix that matches a key made by [`RouteKey::exact`].
    fn route(&self, key: &RouteKey) -> Option<&Route>;
    /// One way to another host; see [`crate::paths`].
    fn peer(&self, key: &PeerKey) -> Option<&Peer>;
    /// Whether the address is a provider address of this host.
    fn provider(&self, address: &Address) -> Option<&Provider>;
    /// One replica of a broadcast or multicast frame.
    fn replica(&self, key: &ReplicaKey) -> Option<&Replica>;
    /// What an unencapsulated address stands for.
    fn plain(&self, address: &Address) -> Option<&Plain>;
    /// A policy.
    fn policy(&self, number: u32) -> Option<&Policy>;
    /// The rules of the longest prefix that matches a key made by [`PrefixKey::exact`].
    fn prefix(&self, key: &PrefixKey) -> Option<&Matches>;
    /// The rules that name a security group of the remote's.
    fn member(&self, key: &MemberKey) -> Option<&Matches>;
    /// The rules of the narrowest service that matches the key.
    fn service(&self, key: &ServiceKey) -> Option<&Matches>;
    /// One word of a set of rules; none means zero.
    fn word(&self, key: &WordKey) -> Option<&u64>;
    /// What a rule says.
    fn rule(&self, key: &RuleKey) -> Option<&Rule>;
    /// The time in nanoseconds of a clock that never goes back; it may be some milliseconds late.
    fn now(&self) -> u64;
    /// The policy epoch with this index, below [`crate::flow::MAX_EPOCHS`]: it goes up with each change of the tables that
    /// may concern flows of its VM networks.
    fn epoch(&self, index: u32) -> u32;
    /// A flow at a port.
    fn flow(&self, key: &FlowKey) -> Option<&FlowEntry>;
    /// Remembers a flow of which nothing is known; false if something is (another CPU was faster), or if there is no room.
    fn create_flow(&self, key: &FlowKey, flow: &Flow) -> bool;
    /// Remembers a flow, in the place of what was known of it; false if there is no room.
    fn write_flow(&self, key: &FlowKey, flow: &Flow) -> bool;
    /// How many flows the port with this counter slot has that were opened this way.
    fn usage(&self, slot: u32, opener: Direction) -> Usage;
    /// Counts such flows as they come, go, or are answered.
    fn count_flow(&self, slot: u32, opener: Direction, flows: i32, half_open: i32);
    /// What the first fragment of a packet said.
    fn fragment(&self, key: &FragmentKey) -> Option<&Fragmented>;
    /// Notes it.
    fn note_fragment(&self, key: &FragmentKey, fragmented: &Fragmented);
    /// Tells the agent that a rule wants a packet to be logged. Has no part in the decision.
    #[inline(always)]
    fn log(&self, _logged: &Logged) {}
    /// [`security::judge`]. The kernel has a way of its own to call this and the next ones, so that its verifier looks
    /// through them once.
    #[inline(always)]
    fn judge(&self, work: &mut Work, case: &Case) -> u32
    where
        Self: Sized,
    {
        security::judge(self, work, case)
    }
    /// [`crate::stages::limit::pay`].
    #[inline(always)]
    fn pay(&self, from: u32, to: u32, size: Size) -> bool
    where
        Self: Sized,
    {
        crate::stages::limit::pay(self, from, to, size)
    }
    /// [`security::judge_group`].
    #[inline(always)]
    fn judge_group(&self, work: &mut Work, case: &Case) -> u32
    where
        Self: Sized,
    {
        security::judge_group(self, work, case)
    }
    /// [`security::remember`].
    #[inline(always)]
    fn remember(&self, work: &Work, far: bool) -> bool
    where
        Self: Sized,
    {
        security::remember(self, work, far)
    }
    /// Runs the turns of a loop until one says false, at most so many. The kernel has a loop of its own for this.
    #[inline(always)]
    fn repeat<L: Turn>(&self, turns: u32, looped: &mut L)
    where
        Self: Sized,
    {
        let mut i = 0;
        while i < turns && looped.turn(self) {
            i += 1;
        }
    }
    /// Counts a frame at a meter, if the limit has as much left; false if it has not.
    fn admit(&self, key: &MeterKey, limit: &Limit, size: Size) -> bool;
    /// Takes one token for a broadcast or multicast frame from the port with this counter slot; false when none is
    /// left. See [`crate::meter`].
    fn admit_flood(&self, slot: u32) -> bool;
    /// Takes one token for a frame that the port with this counter slot sends to the host's agent, as
    /// [`Tables::admit_flood`] does for its group.
    fn admit_punt(&self, slot: u32) -> bool;
    /// Hears of an address that a VM uses and no record knows. Has no part in the decision; the kernel tells the agent,
    /// which makes a record of type Dynamic of it.
    #[inline(always)]
    fn learnt(&self, _learn: &crate::Learn) {}
    /// Called at the beginning of each stage. Does nothing in the kernel; `netvirt trace` listens.
    #[inline(always)]
    fn enter(&self, _stage: crate::Stage) {}
}

const _: () = {
    assert!(size_of::<Host>() == 32);
    assert!(size_of::<Fragmented>() == 12);
    assert!(size_of::<Port>() == 60);
    assert!(size_of::<RecordKey>() == 20);
    assert!(size_of::<StationKey>() == 12);
    assert!(size_of::<Record>() == 32);
    assert!(size_of::<Subnet>() == 80);
    assert!(size_of::<RouteKey>() == 24);
    assert!(size_of::<Route>() == 24);
    assert!(size_of::<PeerKey>() == 20);
    assert!(size_of::<Peer>() == 44);
    assert!(size_of::<Provider>() == 4);
    assert!(size_of::<ReplicaKey>() == 8);
    assert!(size_of::<Replica>() == 20);
    assert!(size_of::<Plain>() == 20);
};

/// What is counted for each port, and in slot 0 for the uplink.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Counters {
    /// Frames that came from it; one that stands for many segments counts once.
    pub from_packets: u64,
    /// Their bytes.
    pub from_bytes: u64,
    /// Frames that went to it, answers not included.
    pub to_packets: u64,
    /// Their bytes.
    pub to_bytes: u64,
    /// Frames that came from it and were dropped, by [`crate::DropReason`].
    pub drops: [u64; crate::MAX_REASONS],
}
