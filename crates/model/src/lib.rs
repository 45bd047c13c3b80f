//! What is declared: the resources of one host, with the checks that make an intent of them that can be carried out,
//! and in [`fabric`] the resources of a whole fabric, of which the controller makes those of its hosts.
//!
//! **Invariant:** no clock, no randomness, no I/O. **Invariant:** a value of a newtype here is a legal one; an
//! [`Intent`] is free of contradictions.

mod document;
pub mod fabric;
pub mod gateway;
#[cfg(feature = "generators")]
pub mod generators;
mod global;
mod intent;
mod lease;
mod limits;
mod mac;
mod migration;
mod names;
mod qualified_name;
mod resource;
mod routing_domain;
mod scope;
pub mod security;
mod shared_key;
mod vlan;
mod vsid;

pub use document::{YamlError, YamlWriteError, resources_from_yaml, resources_to_yaml};
pub use global::Global;
pub use intent::{Change, GatewayError, Intent, IntentError, NetworkError, Replaced, SecurityError};
pub use lease::{LeaseState, LeaseTime, LeaseTimeError};
pub use limits::{Bandwidth, ByteSize, Limit, LimitError, Limits};
pub use mac::{MacAddress, MacAddressError};
pub use migration::Migration;
pub use names::{Name, NameError};
pub use qualified_name::{QualifiedName, QualifiedNameError};
pub use resource::{
    CustomerRoute, Key, Kind, KindError, LookupRecord, LookupRecordType, MAX_PATHS, Port, ProviderAddress,
    ProviderRoute, Resource, TranslationMethod, gateway_of,
};
pub use routing_domain::{Encapsulation, RoutingDomain, RoutingDomainId, RoutingDomainIdError};
pub use scope::{ClasslessRoute, DhcpScope, PhysicalNetwork};
pub use security::{AddressSet, SecurityGroup, SecurityRule};
pub use shared_key::SharedKey;
pub use vlan::{VlanId, VlanIdError};
pub use vsid::{Vsid, VsidError};
