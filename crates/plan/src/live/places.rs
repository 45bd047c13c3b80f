//! Where a finding stands among the others: what it is about, in the order in which the compiler goes through an intent.

use std::net::IpAddr;

use model::{Key, Kind, PhysicalNetwork, Vsid};

use crate::Finding;

/// What findings are about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Place {
    ProviderAddress(Key),
    ProviderRoute(Key),
    Record(Key),
    Port(Key),
    Peer(IpAddr),
    Subnet(Vsid),
    Physical(PhysicalNetwork),
    SecurityGroup(Key),
}

impl Place {
    /// The place of what is said of a resource.
    pub(super) fn of(key: &Key) -> Self {
        let key = key.clone();
        match key.kind {
            Kind::ProviderAddress => Self::ProviderAddress(key),
            Kind::ProviderRoute => Self::ProviderRoute(key),
            Kind::Port => Self::Port(key),
            Kind::SecurityGroup | Kind::AddressSet => Self::SecurityGroup(key),
            Kind::LookupRecord
            | Kind::CustomerRoute
            | Kind::DhcpScope
            | Kind::RoutingDomain
            | Kind::Global
            | Kind::Migration
            | Kind::Gateway
            | Kind::Compartment => Self::Record(key),
        }
    }
}

/// The place of a finding; `None` for those about all tables together.
pub(super) fn place(finding: &Finding) -> Option<Place> {
    match finding {
        Finding::NoInterface { key, .. }
        | Finding::NotAnUplink { key, .. }
        | Finding::AddressNotOnInterface { key, .. }
        | Finding::GatewayMac { key, .. }
        | Finding::NoDevice { key, .. }
        | Finding::NoPort { key, .. }
        | Finding::PortElsewhere { key, .. }
        | Finding::NoRecord { key, .. }
        | Finding::NoSecurityGroup { key, .. }
        | Finding::NoAddressSet { key, .. }
        | Finding::NoRemoteGroup { key, .. }
        | Finding::TooManyRules { key, .. } => Some(Place::of(key)),
        Finding::NoLocalAddress { provider, .. } => Some(Place::Peer(*provider)),
        Finding::TooManyReplicas { vsid, .. } => Some(Place::Subnet(*vsid)),
        Finding::TooManyOnUplink { network, .. } => Some(Place::Physical(network.clone())),
        Finding::Limit { .. } => None,
    }
}
