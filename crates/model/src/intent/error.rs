//! What can be wrong with an intent, each as a sentence with the value and the remedy.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{GatewayError, NetworkError, SecurityError};
use crate::{Key, LookupRecordType, MacAddress, Name, RoutingDomainId, TranslationMethod, Vsid};

/// One contradiction in an intent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IntentError {
    /// One set of changes says two things of one resource.
    #[error("{key} is declared twice with different content; keep one of the two")]
    ChangedTwice {
        /// The resource.
        key: Key,
    },
    /// A name that would disturb the terminals it is shown on.
    #[error("{key}: {field} has a control character in it; use letters, digits, spaces and signs")]
    ControlCharacter {
        /// The resource.
        key: Key,
        /// The field.
        field: &'static str,
    },
    /// The loopback device is no port.
    #[error("{key}: {device} is the host's loopback; name the host's device of the VM, a tap or its end of a veth")]
    DeviceIsLoopback {
        /// The port.
        key: Key,
        /// The device.
        device: Name,
    },
    /// There is nothing to delete.
    #[error("there is no {key}; \"netvirt get {kind}\" lists what there is", kind = .key.kind)]
    NotFound {
        /// What was to be deleted.
        key: Key,
    },
    /// The kernel does not take the name for an interface.
    #[error(
        "{key}: \"{name}\" is {len} characters long, and the kernel takes {max} for an interface; name the device as \
         \"ip link\" shows it",
        len = .name.as_str().len(),
        max = Name::MAX_INTERFACE_LENGTH
    )]
    InterfaceNameTooLong {
        /// The resource.
        key: Key,
        /// The name.
        name: Name,
    },
    /// An IPv4 address in IPv6 clothes.
    #[error("{key}: {address} is an IPv4 address written as IPv6; write {plain}", plain = .address.to_canonical())]
    Mapped {
        /// The resource.
        key: Key,
        /// The address, or the prefix's.
        address: IpAddr,
    },
    /// A prefix with bits behind its length.
    #[error("{key}: {prefix} has bits set behind its length; write {network}", network = .prefix.trunc())]
    HostBits {
        /// The resource.
        key: Key,
        /// The prefix.
        prefix: IpNet,
    },
    /// A prefix of one family with a next hop of the other.
    #[error("{key}: prefix {prefix} and next hop {next_hop} are of different families; use IPv4 for both or IPv6")]
    RouteFamilies {
        /// The resource.
        key: Key,
        /// The prefix.
        prefix: IpNet,
        /// The next hop.
        next_hop: IpAddr,
    },
    /// One subnet in two routing domains.
    #[error(
        "VSID {vsid} is in routing domain {first} and in {second}; a VM subnet is in one: give one of the two \
         another VSID"
    )]
    VsidInTwoDomains {
        /// The subnet.
        vsid: Vsid,
        /// One domain.
        first: RoutingDomainId,
        /// The other.
        second: RoutingDomainId,
    },
    /// The subnets of a domain overlap and nothing tells which one is meant.
    #[error(
        "{first} and {second}: both VM subnets have {prefix} on-link in routing domain {rdid} with metric {metric}; \
         give one of the two another metric or another prefix"
    )]
    AmbiguousRoutes {
        /// One route.
        first: Key,
        /// The other.
        second: Key,
        /// The routing domain.
        rdid: RoutingDomainId,
        /// Their prefix.
        prefix: IpNet,
        /// Their metric.
        metric: u32,
    },
    /// A next hop that cannot be a VM.
    #[error(
        "{key}: next hop {next_hop} is no address that a VM can have; give the customer address of the VM that \
         routes, \
         or 0.0.0.0 or :: for on-link"
    )]
    NextHopNotUnicast {
        /// The route.
        key: Key,
        /// The next hop.
        next_hop: IpAddr,
    },
    /// A next hop that is not in the route's subnet.
    #[error(
        "{key}: next hop {next_hop} is in no on-link prefix of VSID {vsid} ({}); choose a next hop inside, or \
         declare \
         the prefix with a customer route whose next hop is 0.0.0.0 or ::",
        prefix_list(.on_link)
    )]
    NextHopNotOnLink {
        /// The route.
        key: Key,
        /// The next hop.
        next_hop: IpAddr,
        /// The subnet.
        vsid: Vsid,
        /// Its prefixes.
        on_link: Vec<IpNet>,
    },
    /// A next hop that is the distributed router itself.
    #[error(
        "{key}: next hop {next_hop} is the gateway of VSID {vsid} itself; give the address of the VM that \
     routes"
    )]
    NextHopIsGateway {
        /// The route.
        key: Key,
        /// The next hop.
        next_hop: IpAddr,
        /// The subnet.
        vsid: Vsid,
    },
    /// An address that no host can have.
    #[error("{key}: {address} is not a unicast address that another host can reach; give one that is")]
    ProviderNotUnicast {
        /// The resource.
        key: Key,
        /// The address.
        address: IpAddr,
    },
    /// A prefix length that the family does not have.
    #[error("{key}: prefix length {length} is out of range for {address}; choose one of 1 to \
     {max}", max = bits(*.address))]
    PrefixLength {
        /// The provider address.
        key: Key,
        /// The length.
        length: u8,
        /// The address.
        address: IpAddr,
    },
    /// An underlay router that cannot be one.
    #[error(
        "{key}: next hop {next_hop} is no address of a router; give the unicast address of the underlay's \
     router"
    )]
    ProviderNextHop {
        /// The provider route.
        key: Key,
        /// The next hop.
        next_hop: IpAddr,
    },
    /// More provider routes to one prefix with one metric than a host shares its flows among.
    #[error(
        "{key}: there are {limit} other provider routes to {prefix} with metric {metric}, and flows are spread over no more; \
         delete one of them, or give it another metric"
    )]
    TooManyPaths {
        /// The route.
        key: Key,
        /// Their prefix.
        prefix: IpNet,
        /// Their metric.
        metric: u32,
        /// How many there may be.
        limit: usize,
    },
    /// A record that needs a customer address has none.
    #[error(
        "{key}: type {record_type:?} needs a customer address; give one, or use type L2Only for a VM whose \
         addresses are learnt"
    )]
    NoCustomerAddress {
        /// The record.
        key: Key,
        /// Its type.
        record_type: LookupRecordType,
    },
    /// L2Only with a rule that needs to know the customer address.
    #[error("{key}: type L2Only cannot have rule {rule}, which needs the customer address; use \
     TranslationMethodEncap", rule = rule_name(*.rule))]
    L2OnlyRule {
        /// The record.
        key: Key,
        /// Its rule.
        rule: TranslationMethod,
    },
    /// GatewayWildcard with a rule that rewrites or bares one address.
    #[error("{key}: type GatewayWildcard cannot have rule {rule}, which is about one address; use \
     TranslationMethodEncap", rule = rule_name(*.rule))]
    WildcardRule {
        /// The record.
        key: Key,
        /// Its rule.
        rule: TranslationMethod,
    },
    /// GatewayWildcard with an address of its own.
    #[error(
        "{key}: type GatewayWildcard stands for every address without a record; its customer address is 0.0.0.0 or \
         ::, not {address}"
    )]
    WildcardAddress {
        /// The record.
        key: Key,
        /// Its customer address.
        address: IpAddr,
    },
    /// The unspecified address without GatewayWildcard.
    #[error(
        "{key}: customer address {address} is for type GatewayWildcard alone; give the VM's address or that \
     type"
    )]
    UnspecifiedAddress {
        /// The record.
        key: Key,
        /// Its customer address.
        address: IpAddr,
    },
    /// A customer address that no VM can have.
    #[error("{key}: customer address {address} is multicast, broadcast or loopback; give the VM's unicast address")]
    CustomerNotUnicast {
        /// The record.
        key: Key,
        /// Its customer address.
        address: IpAddr,
    },
    /// IPv6 link-local addresses follow from the MAC addresses.
    #[error(
        "{key}: {address} is link-local, and such addresses follow from the MAC address by themselves; remove the \
         record"
    )]
    CustomerLinkLocal {
        /// The record.
        key: Key,
        /// Its customer address.
        address: IpAddr,
    },
    /// A migration without a direction, or with both.
    #[error("{key}: a VM moves to a host or has come from one; give one of \"to\" and \"from\"")]
    MigrationDirection {
        /// The migration.
        key: Key,
    },
    /// A VM moves whose host no encapsulated packet finds.
    #[error(
        "{key}: {record} has rule {rule:?}, and only what is encapsulated can move while it runs; give it rule Encap"
    )]
    MigrationRule {
        /// The migration.
        key: Key,
        /// The VM's record.
        record: Key,
        /// Its rule.
        rule: TranslationMethod,
    },
    /// A VM moves to where it is.
    #[error(
        "{key}: {provider} is where {record} says that the VM is already; give the provider address of another host"
    )]
    MigrationPlace {
        /// The migration.
        key: Key,
        /// The VM's record.
        record: Key,
        /// Provider address of both.
        provider: IpAddr,
    },
    /// The gateway's address given to a VM.
    #[error(
        "{key}: {address} is the gateway of VSID {vsid} (the lowest host address of {prefix}); give the VM another \
         address, or, to note the gateway alone, a provider address of 169.254.0.0/16"
    )]
    CustomerIsGateway {
        /// The record.
        key: Key,
        /// Its customer address.
        address: IpAddr,
        /// The subnet.
        vsid: Vsid,
        /// The prefix whose gateway it is.
        prefix: IpNet,
    },
    /// The first or last address of the subnet given to a VM.
    #[error(
        "{key}: {address} is the network or broadcast address of {prefix} in VSID {vsid}; give the VM another address"
    )]
    CustomerIsSubnetAddress {
        /// The record.
        key: Key,
        /// Its customer address.
        address: IpAddr,
        /// The subnet.
        vsid: Vsid,
        /// The prefix.
        prefix: IpNet,
    },
    /// A customer address outside of its subnet.
    #[error(
        "{key}: customer address {address} is in no on-link prefix of VSID {vsid} ({}); choose one inside, or \
         declare \
         its prefix with a customer route whose next hop is 0.0.0.0 or ::",
        prefix_list(.on_link)
    )]
    CustomerNotOnLink {
        /// The record.
        key: Key,
        /// Its customer address.
        address: IpAddr,
        /// The subnet.
        vsid: Vsid,
        /// Its prefixes of that family.
        on_link: Vec<IpNet>,
    },
    /// Nothing is encapsulated, so the families must be one.
    #[error("{key}: rule {rule} sends the packet as it is, so customer address {address} and provider address \
     {provider} must be of one family", rule = rule_name(*.rule))]
    RecordFamilies {
        /// The record.
        key: Key,
        /// Its rule.
        rule: TranslationMethod,
        /// Its customer address.
        address: IpAddr,
        /// Its provider address.
        provider: IpAddr,
    },
    /// One VM on two hosts.
    #[error(
        "{first} and {second}: MAC address {mac} of VSID {vsid} is at {one} and at {other}; a VM is on one host: \
         correct one of the two"
    )]
    StationOnTwoHosts {
        /// One record.
        first: Key,
        /// The other.
        second: Key,
        /// The subnet.
        vsid: Vsid,
        /// The MAC address.
        mac: MacAddress,
        /// The provider address of the first record.
        one: IpAddr,
        /// The provider address of the second.
        other: IpAddr,
    },
    /// A plain packet to this address could be for two VMs.
    #[error(
        "{first} and {second}: a packet to {wire}, which is not encapsulated, could be for either; give one of the \
         two another address"
    )]
    WireAddressTwice {
        /// One record.
        first: Key,
        /// The other.
        second: Key,
        /// The address on the wire.
        wire: IpAddr,
    },
    /// An address that is a host's and stands for a VM too.
    #[error(
        "{key}: {wire} stands for a VM on the wire, and {host} has it as the address of a host; give the VM an \
         address of its own"
    )]
    WireAddressIsHost {
        /// The record with rule Nat or None.
        key: Key,
        /// The address on the wire.
        wire: IpAddr,
        /// The record with rule Encap, or the provider address, that says it is a host's.
        host: Key,
    },
    /// Two ports on one device.
    #[error(
        "{first} and {second} have the same device \"{device}\"; a device belongs to one port: correct one of the two"
    )]
    DeviceTwice {
        /// One port.
        first: Key,
        /// The other.
        second: Key,
        /// The device.
        device: Name,
    },
    /// Two ports with one MAC address in one subnet.
    #[error("{first} and {second} have the same MAC address {mac} in VSID {vsid}; give one of the two another")]
    MacTwice {
        /// One port.
        first: Key,
        /// The other.
        second: Key,
        /// The MAC address.
        mac: MacAddress,
        /// The subnet.
        vsid: Vsid,
    },
    /// A port on the uplink.
    #[error("{key}: \"{device}\" is the uplink of {provider}; a port's device is the tap or veth of one VM")]
    DeviceIsUplink {
        /// The port.
        key: Key,
        /// The device.
        device: Name,
        /// The provider address on it.
        provider: Key,
    },
    /// Something about a DHCP scope, or about the network of a port.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// See [`GatewayError`].
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// See [`SecurityError`].
    #[error(transparent)]
    Security(#[from] SecurityError),
}

impl IntentError {
    /// The resources that contradict each other, the one that is to be corrected first standing last; none where the error
    /// names a subnet instead.
    pub fn keys(&self) -> Vec<&Key> {
        match self {
            Self::ChangedTwice { key, .. }
            | Self::ControlCharacter { key, .. }
            | Self::DeviceIsLoopback { key, .. }
            | Self::NotFound { key, .. }
            | Self::InterfaceNameTooLong { key, .. }
            | Self::Mapped { key, .. }
            | Self::HostBits { key, .. }
            | Self::RouteFamilies { key, .. }
            | Self::NextHopNotUnicast { key, .. }
            | Self::NextHopNotOnLink { key, .. }
            | Self::NextHopIsGateway { key, .. }
            | Self::ProviderNotUnicast { key, .. }
            | Self::PrefixLength { key, .. }
            | Self::ProviderNextHop { key, .. }
            | Self::NoCustomerAddress { key, .. }
            | Self::L2OnlyRule { key, .. }
            | Self::WildcardRule { key, .. }
            | Self::WildcardAddress { key, .. }
            | Self::UnspecifiedAddress { key, .. }
            | Self::CustomerNotUnicast { key, .. }
            | Self::CustomerLinkLocal { key, .. }
            | Self::CustomerIsGateway { key, .. }
            | Self::CustomerIsSubnetAddress { key, .. }
            | Self::CustomerNotOnLink { key, .. }
            | Self::RecordFamilies { key, .. }
            | Self::TooManyPaths { key, .. }
            | Self::MigrationDirection { key } => vec![key],
            Self::MigrationRule { key, record, .. } | Self::MigrationPlace { key, record, .. } => vec![record, key],
            Self::AmbiguousRoutes { first, second, .. }
            | Self::StationOnTwoHosts { first, second, .. }
            | Self::WireAddressTwice { first, second, .. }
            | Self::DeviceTwice { first, second, .. }
            | Self::MacTwice { first, second, .. } => vec![first, second],
            Self::WireAddressIsHost { host, key, .. } => vec![host, key],
            Self::DeviceIsUplink { provider, key, .. } => vec![provider, key],
            Self::Network(error) => error.keys(),
            Self::Security(error) => error.keys(),
            Self::Gateway(error) => error.keys(),
            Self::VsidInTwoDomains { .. } => Vec::new(),
        }
    }
}

fn prefix_list(prefixes: &[IpNet]) -> String {
    if prefixes.is_empty() {
        return "it has none".to_owned();
    }
    prefixes.iter().map(IpNet::to_string).collect::<Vec<_>>().join(", ")
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

const fn rule_name(rule: TranslationMethod) -> &'static str {
    match rule {
        TranslationMethod::Encap => "TranslationMethodEncap",
        TranslationMethod::Nat => "TranslationMethodNat",
        TranslationMethod::None => "TranslationMethodNone",
    }
}
