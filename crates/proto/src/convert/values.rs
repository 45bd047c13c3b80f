//! The values that messages are made of.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use model::{MacAddress, Name, PhysicalNetwork, VlanId, Vsid};
use prost::bytes::Bytes;
use uuid::Uuid;

use crate::{Digest, TopicId, wire};

/// Why a message cannot be understood.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    /// No protocol buffer of the kind that was expected.
    #[error("a message is broken: {0}")]
    Malformed(String),
    /// A field that must be there is not, or is of a kind that this version does not know.
    #[error("a message lacks \"{field}\", or this version of netvirt does not know what it has instead")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A field with a value that it cannot have.
    #[error("\"{field}\" of a message is {value}: {reason}")]
    Value {
        /// The field.
        field: &'static str,
        /// The value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<prost::DecodeError> for WireError {
    fn from(error: prost::DecodeError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// The error of a field whose value was refused.
pub fn refused(field: &'static str, value: impl Display, reason: impl Display) -> WireError {
    WireError::Value { field, value: value.to_string(), reason: reason.to_string() }
}

/// Bytes as people read them.
fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

pub fn address_out(address: IpAddr) -> Bytes {
    match address {
        IpAddr::V4(v4) => Bytes::copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => Bytes::copy_from_slice(&v6.octets()),
    }
}

pub fn address_in(field: &'static str, bytes: &[u8]) -> Result<IpAddr, WireError> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ok(Ipv4Addr::from(v4).into());
    }
    let v6: [u8; 16] = bytes.try_into().map_err(|_| refused(field, hex(bytes), "an IP address has 4 or 16 bytes"))?;
    Ok(Ipv6Addr::from(v6).into())
}

pub fn addresses_in(field: &'static str, list: &[Bytes]) -> Result<Vec<IpAddr>, WireError> {
    list.iter().map(|bytes| address_in(field, bytes)).collect()
}

pub fn addresses_out(list: &[IpAddr]) -> Vec<Bytes> {
    list.iter().copied().map(address_out).collect()
}

pub fn mac_out(mac: MacAddress) -> Bytes {
    Bytes::copy_from_slice(&mac.octets())
}

pub fn mac_in(field: &'static str, bytes: &[u8]) -> Result<MacAddress, WireError> {
    let octets = bytes.try_into().map_err(|_| refused(field, hex(bytes), "a MAC address has 6 bytes"))?;
    MacAddress::new(octets).map_err(|error| refused(field, hex(bytes), error))
}

pub fn vsid_in(field: &'static str, number: u32) -> Result<Vsid, WireError> {
    Vsid::new(number).map_err(|error| refused(field, number, error))
}

pub fn name_in(field: &'static str, text: String) -> Result<Name, WireError> {
    Name::try_from(text.clone()).map_err(|error| refused(field, format_args!("\"{text}\""), error))
}

pub fn prefix_out(prefix: IpNet) -> wire::Prefix {
    wire::Prefix { address: address_out(prefix.addr()), length: prefix.prefix_len().into() }
}

pub fn prefix_in(field: &'static str, prefix: Option<wire::Prefix>) -> Result<IpNet, WireError> {
    let prefix = prefix.ok_or(WireError::Missing { field })?;
    let address = address_in(field, &prefix.address)?;
    let refuse =
        || refused(field, format_args!("{address}/{}", prefix.length), "the prefix is longer than the address");
    let length = u8::try_from(prefix.length).map_err(|_| refuse())?;
    IpNet::new(address, length).map_err(|_| refuse())
}

pub fn physical_out(physical: &PhysicalNetwork) -> wire::PhysicalNetwork {
    wire::PhysicalNetwork {
        interface: physical.interface.to_string(),
        vlan: physical.vlan.map(|vlan| u32::from(vlan.get())),
    }
}

pub fn physical_in(field: &'static str, physical: wire::PhysicalNetwork) -> Result<PhysicalNetwork, WireError> {
    let vlan = |number: u32| {
        let short = u16::try_from(number).map_err(|_| refused(field, number, "a VLAN has 12 bits"))?;
        VlanId::new(short).map_err(|error| refused(field, number, error))
    };
    Ok(PhysicalNetwork { interface: name_in(field, physical.interface)?, vlan: physical.vlan.map(vlan).transpose()? })
}

pub fn uuid_out(uuid: Uuid) -> Bytes {
    Bytes::copy_from_slice(uuid.as_bytes())
}

pub fn uuid_in(field: &'static str, bytes: &[u8]) -> Result<Uuid, WireError> {
    Uuid::from_slice(bytes).map_err(|_| refused(field, hex(bytes), "a UUID has 16 bytes"))
}

/// The digest of a topic.
pub fn digest_in(bytes: &[u8]) -> Result<Digest, WireError> {
    let octets: [u8; 16] =
        bytes.try_into().map_err(|_| refused("digest", hex(bytes), "a topic's digest has 16 bytes"))?;
    Ok(Digest::from_bytes(octets))
}

/// The name of a topic.
pub fn topic_in(text: &str) -> Result<TopicId, WireError> {
    text.parse().map_err(|error| refused("topic", format_args!("\"{text}\""), error))
}
