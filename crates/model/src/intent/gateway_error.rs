//! What can be wrong with a host's gateway and its compartments, each as a sentence with the value and the remedy.

use std::net::IpAddr;

use crate::fabric::ResourceName;
use crate::gateway::Secret;
use crate::security::PortRange;
use crate::{Key, MacAddress, Name};

/// One thing that cannot be of gateways.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GatewayError {
    /// The way outside is the underlay's.
    #[error(
        "{key}: \"{interface}\" is the uplink of {used}; a gateway needs an interface of its own towards the outside: name \
         another one"
    )]
    InterfaceIsUplink {
        /// The gateway.
        key: Key,
        /// Its interface.
        interface: Name,
        /// The provider address or route on it.
        used: Key,
    },
    /// The way outside is a VM's.
    #[error(
        "{key}: \"{interface}\" is the device of {port}; a gateway needs an interface of its own towards the outside: name \
         another one"
    )]
    InterfaceIsDevice {
        /// The gateway.
        key: Key,
        /// Its interface.
        interface: Name,
        /// The port on it.
        port: Key,
    },
    /// Nothing to reach the outside by.
    #[error(
        "{key}: it has an outside, and this host is no gateway; declare one with \"kind: gateway\" and the interface towards the \
         outside"
    )]
    NoGateway {
        /// The compartment.
        key: Key,
    },
    /// A compartment that nothing can be sent to.
    #[error(
        "{key}: it has no address inside; give it one in the VM network's gateway subnet, with the prefix's length"
    )]
    NoInsideAddress {
        /// The compartment.
        key: Key,
    },
    /// An address that no interface can have.
    #[error("{key}: {place} has {address}, which no interface can have; give it an address of one host")]
    NotUnicast {
        /// The gateway or compartment.
        key: Key,
        /// Where it stands.
        place: &'static str,
        /// The address.
        address: IpAddr,
    },
    /// A router that cannot be reached.
    #[error(
        "{key}: router {router} is in no prefix of the addresses inside; give the distributed router's address in the gateway \
         subnet"
    )]
    RouterNotOnLink {
        /// The compartment.
        key: Key,
        /// The router.
        router: IpAddr,
    },
    /// The compartment would send to itself.
    #[error("{key}: router {router} is the compartment's own address; give that of the distributed router")]
    RouterIsOwn {
        /// The compartment.
        key: Key,
        /// The router.
        router: IpAddr,
    },
    /// Two default routers of one family.
    #[error("{key}: {place} has {first} and {second}; one router of each family is enough: leave one out")]
    TwoRouters {
        /// The gateway or compartment.
        key: Key,
        /// Where they stand.
        place: &'static str,
        /// One.
        first: IpAddr,
        /// The other.
        second: IpAddr,
    },
    /// Two connections of one name.
    #[error("{key}: two connections have the name \"{connection}\"; give one of the two another")]
    ConnectionTwice {
        /// The compartment.
        key: Key,
        /// The name.
        connection: ResourceName,
    },
    /// A connection that is nothing, or several things.
    #[error(
        "{key}: connection \"{connection}\" {said}; it must have exactly one of nat, routing, ipsec, wireguard and dns",
        said = if said.is_empty() { "says nothing of what it is".to_owned() } else { format!("has {}", said.join(" and ")) }
    )]
    Service {
        /// The compartment.
        key: Key,
        /// The connection.
        connection: ResourceName,
        /// What it says it is.
        said: Vec<&'static str>,
    },
    /// BGP where there is nobody to speak with.
    #[error(
        "{key}: connection \"{connection}\" has bgp beside {service}; routes are exchanged over routing, ipsec and wireguard: \
         move it to such a connection"
    )]
    BgpWithout {
        /// The compartment.
        key: Key,
        /// The connection.
        connection: ResourceName,
        /// What the connection is.
        service: &'static str,
    },
    /// A connection to nowhere.
    #[error(
        "{key}: connection \"{connection}\" is {service}, which needs an outside; give the compartment one, with addresses"
    )]
    NoOutside {
        /// The compartment.
        key: Key,
        /// The connection.
        connection: ResourceName,
        /// What it is.
        service: &'static str,
    },
    /// Only what stands for a secret, and none is known.
    #[error(
        "{key}: {place} is \"{hidden}\", which stands for a secret that is not shown, and none was declared before; write the secret \
         itself",
        hidden = Secret::HIDDEN
    )]
    Hidden {
        /// The compartment.
        key: Key,
        /// Where it stands.
        place: String,
    },
    /// A tunnel with two sorts of keys, or none.
    #[error("{key}: connection \"{connection}\" needs either a pre-shared key (psk) or certificates, and has {has}")]
    IpsecKeys {
        /// The compartment.
        key: Key,
        /// The connection.
        connection: ResourceName,
        /// What it has of these.
        has: &'static str,
    },
    /// A tunnel without a key that is one.
    #[error(
        "{key}: connection \"{connection}\" needs {field}, a key as \"wg genkey\" writes it: 44 characters of base64, the last of \
         them \"=\""
    )]
    WireguardKey {
        /// The compartment.
        key: Key,
        /// The connection.
        connection: ResourceName,
        /// Which key.
        field: &'static str,
    },
    /// One device for two compartments.
    #[error("{first} and {second} have the same device inside, \"{device}\"; give one of the two another")]
    DeviceTwice {
        /// One compartment.
        first: Key,
        /// The other.
        second: Key,
        /// The device.
        device: Name,
    },
    /// The port would drop all that the compartment sends.
    #[error(
        "{key}: its MAC address inside is {mac}, and {port}, whose device \"{device}\" it has, has {of_port}; make the two the same"
    )]
    PortMac {
        /// The compartment.
        key: Key,
        /// The port on its device.
        port: Key,
        /// The device.
        device: Name,
        /// The compartment's.
        mac: MacAddress,
        /// The port's.
        of_port: MacAddress,
    },
    /// Two stations of the outside that cannot be told apart.
    #[error("{first} and {second} have the same MAC address outside, {mac}; give one of the two another")]
    MacTwice {
        /// One compartment.
        first: Key,
        /// The other.
        second: Key,
        /// The MAC address.
        mac: MacAddress,
    },
    /// One address of the outside for two compartments.
    #[error(
        "{first} and {second} both have the address {address} outside; give one of the two another, or have both share it, each \
         with ports of its own"
    )]
    AddressTwice {
        /// One compartment, or the gateway.
        first: Key,
        /// The other.
        second: Key,
        /// The address.
        address: IpAddr,
    },
    /// Ports that stand twice.
    #[error("{key}: ports {ports} of {address}, which it shares, stand twice; let each part have ports of its own")]
    OwnPortsTwice {
        /// The compartment.
        key: Key,
        /// The address.
        address: IpAddr,
        /// What stands twice.
        ports: PortRange,
    },
    /// Ports of the outside for two compartments.
    #[error("{first} and {second} share {address}, and both have ports {ports} of it; give one of the two others")]
    PortsTwice {
        /// One compartment.
        first: Key,
        /// The other.
        second: Key,
        /// The address.
        address: IpAddr,
        /// What both have.
        ports: PortRange,
    },
}

impl GatewayError {
    /// The resources that it is about, the one that is to be corrected first standing last.
    pub fn keys(&self) -> Vec<&Key> {
        match self {
            Self::InterfaceIsUplink { key, used: other, .. }
            | Self::InterfaceIsDevice { key, port: other, .. }
            | Self::PortMac { key, port: other, .. } => vec![other, key],
            Self::NoGateway { key }
            | Self::NoInsideAddress { key }
            | Self::NotUnicast { key, .. }
            | Self::RouterNotOnLink { key, .. }
            | Self::RouterIsOwn { key, .. }
            | Self::TwoRouters { key, .. }
            | Self::ConnectionTwice { key, .. }
            | Self::Service { key, .. }
            | Self::BgpWithout { key, .. }
            | Self::NoOutside { key, .. }
            | Self::Hidden { key, .. }
            | Self::IpsecKeys { key, .. }
            | Self::WireguardKey { key, .. }
            | Self::OwnPortsTwice { key, .. } => vec![key],
            Self::DeviceTwice { first, second, .. }
            | Self::MacTwice { first, second, .. }
            | Self::AddressTwice { first, second, .. }
            | Self::PortsTwice { first, second, .. } => vec![first, second],
        }
    }
}
