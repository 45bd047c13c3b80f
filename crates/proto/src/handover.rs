//! What a host hands over of a VM that moves to another one while it runs.

use std::net::IpAddr;
use std::time::Duration;

use model::LeaseState;
use pipeline::travel::Traveller;

use crate::Station;

/// What a host remembers of a VM that moves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Handover {
    /// Which VM.
    pub station: Station,
    /// Some of its flows, at most [`Handover::MAX_FLOWS`]; all of its port.
    pub flows: Vec<Traveller>,
    /// What DHCP last said to it.
    pub leases: Vec<Lease>,
}

impl Handover {
    /// Most flows that travel in one message: some 100 KB.
    pub const MAX_FLOWS: usize = 1024;
}

/// What DHCP last said of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// The address.
    pub address: IpAddr,
    /// What has become of it.
    pub state: LeaseState,
    /// How long ago; whole milliseconds.
    pub age: Duration,
}
