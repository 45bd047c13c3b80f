//! What the compiler has to say about an intent on this host, each as a sentence with the value and the remedy.

use std::net::IpAddr;

use ipnet::IpNet;
use model::{Key, MacAddress, Name, PhysicalNetwork, QualifiedName, Vsid};
use pipeline::policy::Direction;

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// The intent cannot be carried out on this host; nothing of it may be applied.
    Refuse,
    /// It can be carried out, but probably does not do what was meant.
    Warn,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Refuse => "error",
            Self::Warn => "warning",
        })
    }
}

/// Something that the operator should know.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
pub enum Finding {
    /// An uplink does not exist.
    #[error("{key}: there is no interface \"{interface}\" on this host; name the uplink as \"ip link\" shows it")]
    NoInterface {
        /// The provider address or route, or the port of a physical network.
        key: Key,
        /// The interface.
        interface: Name,
    },
    /// An interface that no physical network can be behind.
    #[error(
        "{key}: interface \"{interface}\" is a VM's tap, or its index is above {max}, and so it cannot be an uplink; name \
         the interface that leads to the physical network",
        max = pipeline::segment::MAX_UPLINK
    )]
    NotAnUplink {
        /// The port.
        key: Key,
        /// The interface.
        interface: Name,
    },
    /// A physical network with more ports on this host than copies are made.
    #[error(
        "physical network {network} has more ports on this host than the {limit} copies made of a broadcast or multicast \
         frame; these get none: {}", .left_out.join(", ")
    )]
    TooManyOnUplink {
        /// The network.
        network: PhysicalNetwork,
        /// How many copies are made.
        limit: u32,
        /// The ports that get none.
        left_out: Vec<String>,
    },
    /// A provider address that the host does not have.
    #[error(
        "{key}: interface {interface} has {}, not {address}; give it the address with \"ip address add \
         {address}/{prefix_length} dev {interface}\", or declare one that it has",
        addresses_or_none(.present)
    )]
    AddressNotOnInterface {
        /// The provider address.
        key: Key,
        /// The interface.
        interface: Name,
        /// The address.
        address: IpAddr,
        /// The length of its prefix.
        prefix_length: u8,
        /// The addresses that the interface has.
        present: Vec<IpNet>,
    },
    /// Another host cannot be reached, since this one has no address of that family.
    #[error(
        "{key}: this host has no {} provider address to reach {provider} from; declare one with \
         \"netvirt create provider-address\"",
        if .provider.is_ipv4() { "IPv4" } else { "IPv6" }
    )]
    NoLocalAddress {
        /// The first record that needs it.
        key: Key,
        /// The other host.
        provider: IpAddr,
    },
    /// A VM with the gateway's MAC address.
    #[error(
        "{key}: MAC address {mac} is the one of every subnet's gateway; give the VM another, or choose another \
     gateway MAC"
    )]
    GatewayMac {
        /// The record or port.
        key: Key,
        /// The MAC address.
        mac: MacAddress,
    },
    /// More than a table holds.
    #[error(
        "the intent makes {count} {what}, and a host holds {limit}; spread its VMs over more hosts or VM \
     networks"
    )]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: u32,
    },
    /// A port without its device.
    #[error("{key}: there is no device \"{device}\" on this host; the port is bound when it appears")]
    NoDevice {
        /// The port.
        key: Key,
        /// The device.
        device: Name,
    },
    /// A record for a VM on this host, but no port.
    #[error(
        "{key}: provider address {provider} is this host's, but no port here has MAC address {mac} in VSID {vsid}; \
         declare the port, or correct the provider address"
    )]
    NoPort {
        /// The record.
        key: Key,
        /// The provider address.
        provider: IpAddr,
        /// The MAC address.
        mac: MacAddress,
        /// The subnet.
        vsid: Vsid,
    },
    /// A port here, but its record is for another host.
    #[error(
        "{port}: {key} says that its MAC address is at {provider}, which is not this host's; correct the record, or \
         remove the port if the VM has left"
    )]
    PortElsewhere {
        /// The port.
        port: Key,
        /// The record.
        key: Key,
        /// The record's provider address.
        provider: IpAddr,
    },
    /// A port without a record.
    #[error(
        "{key}: VSID {vsid} has no lookup record with MAC address {mac}, so the port can neither send nor be \
         reached; \
         declare one with \"netvirt create lookup-record\""
    )]
    NoRecord {
        /// The port.
        key: Key,
        /// The subnet.
        vsid: Vsid,
        /// Its MAC address.
        mac: MacAddress,
    },
    /// A subnet with more members than copies are made.
    #[error("VSID {vsid} has more members than the {limit} copies made of a broadcast or multicast frame; these get \
     none: {}", .left_out.join(", "))]
    TooManyReplicas {
        /// The subnet.
        vsid: Vsid,
        /// How many copies are made.
        limit: u32,
        /// The ports and hosts that get none.
        left_out: Vec<String>,
    },
    /// A port in a security group that is not there.
    #[error(
        "{key}: there is no security group \"{group}\": it opens nothing, and a port that is in no other neither sends nor is sent \
         anything; declare it with \"netvirt create security-group\", or take the port out of it"
    )]
    NoSecurityGroup {
        /// The port.
        key: Key,
        /// The group.
        group: QualifiedName,
    },
    /// A rule with an address set that is not there.
    #[error(
        "{key}: its rules name address set \"{set}\", which is not there, and so they match nobody; declare it with \"netvirt \
         create address-set\""
    )]
    NoAddressSet {
        /// The security group.
        key: Key,
        /// The set.
        set: QualifiedName,
    },
    /// A rule with a security group that is not there.
    #[error(
        "{key}: its rules name security group \"{group}\", which is not declared here; correct the name if it is not one of \
         other hosts' VMs alone"
    )]
    NoRemoteGroup {
        /// The security group.
        key: Key,
        /// The group that is named.
        group: QualifiedName,
    },
    /// A port with more rules than one look-up takes.
    #[error(
        "{key}: its security groups have {count} rules for {} together, and a port takes {limit}; put it into fewer groups, or \
         replace rules by such with address sets and ranges of ports",
        direction_name(*.direction)
    )]
    TooManyRules {
        /// The port.
        key: Key,
        /// The direction.
        direction: Direction,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: u32,
    },
}

const fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "ingress",
        Direction::Egress => "egress",
    }
}

impl Finding {
    /// Whether it is about the host and not about what is declared, so that it may pass by itself: an uplink that is
    /// not there yet, or that has not got its address yet.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::NoInterface { .. } | Self::AddressNotOnInterface { .. })
    }

    /// How bad it is.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::NoInterface { .. }
            | Self::NotAnUplink { .. }
            | Self::AddressNotOnInterface { .. }
            | Self::NoLocalAddress { .. }
            | Self::GatewayMac { .. }
            | Self::TooManyRules { .. }
            | Self::Limit { .. } => Severity::Refuse,
            Self::NoDevice { .. }
            | Self::NoPort { .. }
            | Self::PortElsewhere { .. }
            | Self::NoRecord { .. }
            | Self::TooManyReplicas { .. }
            | Self::NoSecurityGroup { .. }
            | Self::NoAddressSet { .. }
            | Self::NoRemoteGroup { .. }
            | Self::TooManyOnUplink { .. } => Severity::Warn,
        }
    }
}

fn addresses_or_none(present: &[IpNet]) -> String {
    if present.is_empty() {
        return "no address".to_owned();
    }
    present.iter().map(IpNet::to_string).collect::<Vec<_>>().join(", ")
}
