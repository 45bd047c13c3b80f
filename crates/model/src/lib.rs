//! What is declared: the resources of one host, as the operator writes them, and the checks that make an intent of
//! them that can be carried out.
//!
//! **Invariant:** no clock, no randomness, no I/O. **Invariant:** a value of a newtype here is a legal one; an
//! [`Intent`] is free of contradictions.

mod document;
#[cfg(feature = "generators")]
pub mod generators;
mod intent;
mod mac;
mod names;
mod resource;
mod routing_domain;
mod vsid;

pub use document::{YamlError, YamlWriteError, resources_from_yaml, resources_to_yaml};
pub use intent::{Change, Intent, IntentError};
pub use mac::{MacAddress, MacAddressError};
pub use names::{Name, NameError};
pub use resource::{
    CustomerRoute, Key, Kind, KindError, LookupRecord, LookupRecordType, Port, ProviderAddress, ProviderRoute,
    Resource, TranslationMethod,
};
pub use routing_domain::{RoutingDomainId, RoutingDomainIdError};
pub use vsid::{Vsid, VsidError};
