//! The pipeline's plain-old-data as aya wants it: types that may be handed to the kernel as bytes.

use pipeline::policy::{Matches, MemberKey, Policy, PrefixKey, Rule, RuleKey, ServiceKey, WordKey};
use pipeline::{
    Address, Counters, Host, Peer, PeerKey, Plain, Port, Provider, Record, RecordKey, Replica, ReplicaKey, Route,
    RouteKey, StationKey, Subnet,
};

/// A type whose bytes are its value: `repr(C)`, without padding or references.
pub trait Layout: Copy + Send + Sync + 'static {}

macro_rules! layouts {
    ($($name:ty),* $(,)?) => { $(impl Layout for $name {})* };
}

layouts!(
    u32,
    u64,
    Address,
    Counters,
    Host,
    Peer,
    PeerKey,
    Plain,
    Port,
    Provider,
    Record,
    RecordKey,
    Replica,
    ReplicaKey,
    Route,
    RouteKey,
    StationKey,
    Subnet,
    pipeline::moves::Move,
    pipeline::flow::Flow,
    pipeline::flow::FlowKey,
    pipeline::flow::FragmentKey,
    pipeline::flow::Usage,
    pipeline::travel::Traveller,
    pipeline::Fragmented,
    pipeline::meter::Bucket,
    Matches,
    MemberKey,
    Policy,
    Rule,
    RuleKey,
    WordKey,
);

/// A value as the kernel sees it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Raw<T: Layout>(pub T);

// SAFETY: Layout is implemented only for types without padding (sizes asserted in pipeline's tables), for all of whose
// bit patterns are values.
unsafe impl<T: Layout> aya::Pod for Raw<T> {}

/// A key that is matched by longest prefix: the length of the prefix, and behind it the bytes that are compared.
pub trait TrieLayout: Copy + Ord + std::fmt::Debug {
    /// The bytes behind the length.
    type Data: aya::Pod;
    /// The length in bits, and the bytes.
    fn to_trie(&self) -> (u32, Self::Data);
    /// The key of a length and bytes.
    fn from_trie(prefix_len: u32, data: Self::Data) -> Self;
}

/// Four bytes that say whose the address is, and the address.
fn with_address(of: [u8; 4], address: Address) -> [u8; 20] {
    let mut data = [0; 20];
    data[..4].copy_from_slice(&of);
    data[4..].copy_from_slice(&address.octets());
    data
}

/// The parts of [`with_address`].
fn parts([a, b, c, d, address @ ..]: [u8; 20]) -> ([u8; 4], Address) {
    ([a, b, c, d], Address::new(address))
}

impl TrieLayout for RouteKey {
    type Data = [u8; 20];
    fn to_trie(&self) -> (u32, [u8; 20]) {
        (self.prefix_len, with_address(self.domain, self.address))
    }
    fn from_trie(prefix_len: u32, data: [u8; 20]) -> Self {
        let (domain, address) = parts(data);
        Self { prefix_len, domain, address }
    }
}

impl TrieLayout for PrefixKey {
    type Data = [u8; 20];
    fn to_trie(&self) -> (u32, [u8; 20]) {
        (self.prefix_len, with_address(self.side, self.address))
    }
    fn from_trie(prefix_len: u32, data: [u8; 20]) -> Self {
        let (side, address) = parts(data);
        Self { prefix_len, side, address }
    }
}

impl TrieLayout for ServiceKey {
    type Data = [u8; 8];
    fn to_trie(&self) -> (u32, [u8; 8]) {
        let ([a, b, c, d], [e, f]) = (self.side, self.port);
        (self.prefix_len, [a, b, c, d, self.protocol, e, f, self.reserved])
    }
    fn from_trie(prefix_len: u32, [a, b, c, d, protocol, e, f, reserved]: [u8; 8]) -> Self {
        Self { prefix_len, side: [a, b, c, d], protocol, port: [e, f], reserved }
    }
}
