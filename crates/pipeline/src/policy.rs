//! What the tables say of security groups: the rules of a policy, laid out so that the first packet of a flow does not pay
//! by their number.
//!
//! All ports with the same security groups share one *policy*, and each of its two directions is a *side* with an ordered
//! list of rules, of which the first that matches decides. A packet is looked up three times, each time by one of its
//! properties, and each look-up gives the set of the rules that the property meets, as bits in the order of the list
//! (Lakshman and Stiliadis, "High-speed policy-based packet forwarding", SIGCOMM 1998):
//!
//! - the *prefixes* that the remote address is in, or the *members* that the remote is one of (either will do);
//! - the *service*: protocol, and the destination's port or the ICMP type and code.
//!
//! The first bit that the sets have in common is the rule. Sets come with a summary that says which of their words are not
//! zero (Baboescu and Varghese, "Scalable packet classification", SIGCOMM 2001), so that those alone are fetched.

use crate::address::Address;
use crate::flow::FlowKey;

/// Most rules of one side of a policy.
pub const MAX_RULES: u32 = 16_384;
/// Words of a set, of 64 rules each.
pub const MAX_WORDS: u32 = MAX_RULES / 64;
/// Words of a summary, of 64 words of the set each.
pub const SUMMARY_WORDS: usize = (MAX_WORDS / 64) as usize;
/// Most policies on one host: each port may have its own.
pub const MAX_POLICIES: u32 = 4096;
/// Most prefixes, members and services in all policies of one host, each.
pub const MAX_MATCHES: u32 = 1 << 18;
/// Most words of sets in all policies of one host.
pub const MAX_SET_WORDS: u32 = 1 << 19;
/// Most rules in all policies of one host, both directions.
pub const MAX_ALL_RULES: u32 = 1 << 18;

/// Which way a flow was opened, as the port sees it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u32)]
pub enum Direction {
    /// By the port's own VM, out of it.
    #[default]
    Egress = 0,
    /// By somebody else, towards the VM.
    Ingress = 1,
}

impl Direction {
    /// The other one.
    #[inline(always)]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Egress => Self::Ingress,
            Self::Ingress => Self::Egress,
        }
    }
}

/// The number of one direction of a policy, as the keys below hold it.
#[inline(always)]
pub const fn side(policy: u32, direction: Direction) -> u32 {
    (policy << 1) | direction as u32
}

flags! {
    /// Properties of a [`Policy`].
    PolicyFlags: u32 {
        /// What no rule of the egress side matches may leave.
        EGRESS = 0;
        /// What no rule of the ingress side matches may come in.
        INGRESS = 1;
    }
}

/// A policy, by its number, which is never 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(C)]
pub struct Policy {
    /// Properties.
    pub flags: PolicyFlags,
    /// Number of rules of the egress side and of the ingress side; a side without rules is not looked up.
    pub rules: [u32; 2],
}

/// Key of the rules that an address meets by its prefixes, matched by longest prefix (`BPF_MAP_TYPE_LPM_TRIE`). A prefix
/// has the rules of all prefixes that it is inside of as well.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(C)]
pub struct PrefixKey {
    /// Length of the prefix in bits, the 32 of `side` and, for IPv4, the 96 of the mapping included. A rule for every
    /// address of both families has a prefix of the 32 bits alone.
    pub prefix_len: u32,
    /// See [`side`]. In network byte order, since the trie compares bytes.
    pub side: [u8; 4],
    /// The prefix.
    pub address: Address,
}

impl PrefixKey {
    /// Bits of the key before the address.
    pub const SIDE_BITS: u32 = 32;

    /// The key that finds the rules for one address.
    #[inline(always)]
    pub const fn exact(side: u32, address: Address) -> Self {
        Self { prefix_len: Self::SIDE_BITS + 128, side: side.to_be_bytes(), address }
    }
}

/// Key of the rules that name a security group which the remote is a member of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(C)]
pub struct MemberKey {
    /// See [`side`].
    pub side: u32,
    /// Number of the groups that the remote is in: [`crate::Record::groups`], never 0.
    pub groups: u32,
}

/// Key of the rules that a service meets, matched by longest prefix. An entry has the rules of all entries that it is
/// inside of as well.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(C)]
pub struct ServiceKey {
    /// Length of the prefix in bits: 32 for every protocol, 40 for one, up to 56 for one port.
    pub prefix_len: u32,
    /// See [`side`]. In network byte order, since the trie compares bytes.
    pub side: [u8; 4],
    /// IP protocol. ICMPv6 is 58.
    pub protocol: u8,
    /// Destination port of TCP, UDP, SCTP, UDP-Lite and DCCP; type and code of ICMP and ICMPv6; else 0. In network
    /// byte order.
    pub port: [u8; 2],
    /// Zero.
    pub reserved: u8,
}

impl ServiceKey {
    /// Bits of the key before the protocol.
    pub const SIDE_BITS: u32 = 32;
    /// Bits of the key before the port.
    pub const PROTOCOL_BITS: u32 = 40;

    /// The key that finds the rules for one port.
    #[inline(always)]
    pub const fn exact(side: u32, protocol: u8, port: u16) -> Self {
        Self {
            prefix_len: Self::PROTOCOL_BITS + 16,
            side: side.to_be_bytes(),
            protocol,
            port: port.to_be_bytes(),
            reserved: 0,
        }
    }
}

/// The rules that one property of a packet meets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(C)]
pub struct Matches {
    /// Number of the set, unique on the host; where the same set stands several times it may have one number.
    pub set: u32,
    /// Zero.
    pub reserved: u32,
    /// Bit `w % 64` of word `w / 64` is set if word `w` of the set is not zero.
    pub summary: [u64; SUMMARY_WORDS],
}

/// Key of one word of a set, which has an entry if it is not zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(C)]
pub struct WordKey {
    /// [`Matches::set`].
    pub set: u32,
    /// Index of the word: it has the rules `64 * word` to `64 * word + 63`, the first in its lowest bit.
    pub word: u32,
}

/// Key of one rule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(C)]
pub struct RuleKey {
    /// See [`side`].
    pub side: u32,
    /// Place in the list: the lowest that matches decides.
    pub index: u32,
}

flags! {
    /// What a rule says.
    RuleFlags: u32 {
        /// What matches may pass; otherwise it may not.
        ALLOW = 0;
        /// The first packet of each flow that matches is told to the agent.
        LOG = 1;
    }
}

/// What one rule says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(C)]
pub struct Rule {
    /// What it says.
    pub flags: RuleFlags,
}

/// A packet that a rule wants to be logged: the first of its flow, or one that has none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(C)]
pub struct Logged {
    /// Interface index of the port's device.
    pub ifindex: u32,
    /// See [`side`].
    pub side: u32,
    /// Place of the rule in the list.
    pub index: u32,
    /// 1 if it may pass, 0 if it may not.
    pub allowed: u32,
    /// Which flow.
    pub key: FlowKey,
}

const _: () = {
    assert!(size_of::<Logged>() == 64);
    assert!(SUMMARY_WORDS == 4 && MAX_WORDS as usize == SUMMARY_WORDS * 64);
    assert!(size_of::<Policy>() == 12);
    assert!(size_of::<PrefixKey>() == 24);
    assert!(size_of::<MemberKey>() == 8);
    assert!(size_of::<ServiceKey>() == 12);
    assert!(size_of::<Matches>() == 40);
    assert!(size_of::<WordKey>() == 8);
    assert!(size_of::<RuleKey>() == 8);
    assert!(size_of::<Rule>() == 4);
};
