//! The pipeline's plain-old-data as aya wants it: types that may be handed to the kernel as bytes.

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
    pipeline::flow::Flow,
    pipeline::flow::FlowKey,
    pipeline::flow::Usage,
    pipeline::meter::Bucket,
);

/// A value as the kernel sees it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Raw<T: Layout>(pub T);

// SAFETY: Layout is implemented only for types without padding (sizes asserted in pipeline's tables), for all of whose
// bit patterns are values.
unsafe impl<T: Layout> aya::Pod for Raw<T> {}
