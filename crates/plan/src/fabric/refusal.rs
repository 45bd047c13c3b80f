//! Why a change of a fabric is refused, each as a sentence with the value and the command that mends it.

use std::net::IpAddr;

use ipnet::IpNet;
use model::fabric::{AddressRange, Isolation, Key, Kind, MacRange, ResourceName};
use model::{MacAddress, Name, VlanId};

use super::words::{Named, Users, argument, at_host, creation, family, list, quoted, tenant_argument};
use super::{GatewayRefusal, MigrationRefusal, RefusalSort, SecurityRefusal, TenantRefusal};

/// Why a change is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// What is to be replaced or deleted is not there.
    #[error("there is no {}; \"netvirt get {}{}\" lists what there is", Named(.key), .key.kind.plural(), tenant_argument(.key))]
    NotFound {
        /// Which.
        key: Key,
    },
    /// What is to be created is there.
    #[error("{} exists already; change it with \"netvirt set {} {}\"", Named(.key), .key.kind, argument(.key))]
    AlreadyExists {
        /// Which.
        key: Key,
    },
    /// Two changes of one set are about one resource.
    #[error("{} is changed twice in one set of changes; keep one of the two", Named(.key))]
    ChangedTwice {
        /// Which.
        key: Key,
    },
    /// Somebody else changed it meanwhile.
    #[error(
        "{} has revision {is}, not {seen}: somebody changed it meanwhile; look at it with \"netvirt get {} {}\" and \
         try again", Named(.key), .key.kind, argument(.key)
    )]
    Revision {
        /// Which.
        key: Key,
        /// The revision that the caller saw.
        seen: u64,
        /// The revision that it has.
        is: u64,
    },
    /// A name leads nowhere.
    #[error("{} names {}, which does not exist; {}", Named(.key), Named(.missing), creation(.missing))]
    Missing {
        /// Who names it.
        key: Key,
        /// What does not exist.
        missing: Key,
    },
    /// What is to be deleted is in use.
    #[error("{} is in use by {users}; delete or change these first", Named(.key))]
    InUse {
        /// Which.
        key: Key,
        /// By whom.
        users: Users,
    },
    /// What others stand on cannot change.
    #[error("{field} of {} cannot change while it is in use by {users}; delete these first, or create another {}",
        Named(.key), .key.kind.title())]
    Fixed {
        /// Which.
        key: Key,
        /// Which of its fields.
        field: &'static str,
        /// By whom.
        users: Users,
    },
    /// What others hold would no longer be legal.
    #[error("{}: {what} would leave out what is in use by {users}; keep it, or change these first", Named(.key))]
    LeftOut {
        /// Which.
        key: Key,
        /// What of it changes, with its value.
        what: String,
        /// By whom.
        users: Users,
    },
    /// The tenant has all that it may have.
    #[error(
        "{} has {limit} {}, as many as its quota allows; delete some, or raise it with \"netvirt set tenant {}\"",
        Named(.tenant), .kind.plural(), quoted(&.tenant.name)
    )]
    Quota {
        /// The tenant.
        tenant: Key,
        /// Of which kind.
        kind: Kind,
        /// How many it may have.
        limit: u32,
    },
    /// More resources than a controller keeps.
    #[error("there are {limit} resources, as many as a controller keeps; delete some that nobody needs")]
    Full {
        /// How many there may be.
        limit: usize,
    },
    /// More than a named limit.
    #[error("{} has {count} {what}; at most {limit} are possible", Named(.key))]
    TooMany {
        /// Which.
        key: Key,
        /// Of what there are too many.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A name that no host can have for it.
    #[error(
        "{}: a host would know it as \"{name}\", which has a space in it or more than 63 characters; choose \
         another name", Named(.key)
    )]
    HostName {
        /// Which host or port.
        key: Key,
        /// The name on the host.
        name: String,
    },
    /// A name that no device can have.
    #[error(
        "{}: \"{name}\" cannot be the name of an interface: 1 to 15 letters, digits, '.', '_' or '-', and not \"lo\"; \
         name {} with \"--{} NAME\"", Named(.key), if .key.kind == Kind::Host { "the uplink" } else { "the device" },
        if .key.kind == Kind::Host { "uplink" } else { "device" }
    )]
    InterfaceName {
        /// Which host or port.
        key: Key,
        /// The name.
        name: String,
    },
    /// A text that would break the line that it is shown in.
    #[error("{}: {field} has a control character in it; use letters, digits, spaces and signs", Named(.key))]
    ControlCharacter {
        /// Which.
        key: Key,
        /// Which of its fields.
        field: &'static str,
    },
    /// Two parts of one resource have one name or value.
    #[error("{}: {what} stands there twice; keep one of the two", Named(.key))]
    Twice {
        /// Which.
        key: Key,
        /// What, with its value.
        what: String,
    },
    /// What cannot be empty is.
    #[error("{} has no {what}; name at least one with \"{option}\"", Named(.key))]
    Empty {
        /// Which.
        key: Key,
        /// Of what there is none.
        what: &'static str,
        /// The option that names one.
        option: &'static str,
    },
    /// Bits behind the length.
    #[error("{}: {prefix} has bits set behind its length; write {}", Named(.key), .prefix.trunc())]
    HostBits {
        /// Which.
        key: Key,
        /// The prefix.
        prefix: IpNet,
    },
    /// Too short or too long.
    #[error("{}: the length of {prefix} is out of range; choose one of {min} to {max} bits", Named(.key))]
    PrefixLength {
        /// Which.
        key: Key,
        /// The prefix.
        prefix: IpNet,
        /// The shortest.
        min: u8,
        /// The longest.
        max: u8,
    },
    /// No address of one interface.
    #[error(
        "{}: {address} is not a unicast address that an interface can be given (multicast, loopback, link-local, \
         unspecified or IPv4 written as IPv6); give one that is", Named(.key)
    )]
    NotUnicast {
        /// Which.
        key: Key,
        /// The address, or the first of a prefix.
        address: IpAddr,
    },
    /// Prefixes that share addresses.
    #[error("{}: {prefix} overlaps with {theirs} of {}; choose another prefix", Named(.key), Named(.other))]
    PrefixOverlap {
        /// Which.
        key: Key,
        /// Its prefix.
        prefix: IpNet,
        /// The other one, or itself.
        other: Key,
        /// The other prefix.
        theirs: IpNet,
    },
    /// Ranges that share addresses.
    #[error("{}: {range} overlaps with {theirs} of {}; choose another range", Named(.key), Named(.other))]
    RangeOverlap {
        /// Which.
        key: Key,
        /// Its range.
        range: AddressRange,
        /// The other one, or itself.
        other: Key,
        /// The other range.
        theirs: AddressRange,
    },
    /// MAC ranges that share addresses.
    #[error("{}: {range} overlaps with {theirs} of {}; choose another range", Named(.key), Named(.other))]
    MacRangeOverlap {
        /// Which.
        key: Key,
        /// Its range.
        range: MacRange,
        /// The other one, or itself.
        other: Key,
        /// The other range.
        theirs: MacRange,
    },
    /// A range that is not inside of one prefix.
    #[error("{}: {range} is not inside of one of the prefixes {}; choose a range that is", Named(.key), list(.prefixes))]
    RangeOutside {
        /// Which.
        key: Key,
        /// The range.
        range: AddressRange,
        /// The prefixes that there are.
        prefixes: Vec<IpNet>,
    },
    /// An address that is in no prefix.
    #[error("{}: {what} {address} is in none of the prefixes {}; choose one inside", Named(.key), list(.prefixes))]
    AddressOutside {
        /// Which.
        key: Key,
        /// What the address is.
        what: &'static str,
        /// The address.
        address: IpAddr,
        /// The prefixes that there are.
        prefixes: Vec<IpNet>,
    },
    /// An address that has another meaning.
    #[error("{}: {what} {address} is the gateway, network or broadcast address of {}; choose another", Named(.key), Named(.subnet))]
    AddressKept {
        /// Which.
        key: Key,
        /// What the address is.
        what: &'static str,
        /// The address.
        address: IpAddr,
        /// The VM subnet.
        subnet: Key,
    },
    /// Two addresses where one of each family may be.
    #[error("{}: there are two {} gateways; keep one of each family", Named(.key), family(*.v4))]
    GatewayTwice {
        /// Which.
        key: Key,
        /// Of which family.
        v4: bool,
    },
    /// IPv4 by IPv6, or the other way round.
    #[error("{}: {prefix} and its next hop {next_hop} are of different families; use IPv4 for both or IPv6", Named(.key))]
    Families {
        /// Which.
        key: Key,
        /// The destination.
        prefix: IpNet,
        /// The next hop.
        next_hop: IpAddr,
    },
    /// No domain name.
    #[error("{}: \"{suffix}\" is not a domain name; write one such as vm.example.com", Named(.key))]
    DnsSuffix {
        /// Which.
        key: Key,
        /// The text.
        suffix: String,
    },
    /// A field that another isolation needs.
    #[error("{}: {field} is for isolation {needed} only, and {} has isolation {isolation}; leave it out", Named(.key), Named(.network))]
    Isolation {
        /// Which.
        key: Key,
        /// Which of its fields, or which kind.
        field: &'static str,
        /// The isolations that it is for.
        needed: &'static str,
        /// The VM network.
        network: Key,
        /// The isolation that it has.
        isolation: Isolation,
    },
    /// A subnet with isolation `vlan` that names none.
    #[error(
        "{} names no VLAN, and {} has isolation vlan; name one of {} with \"--vlan\"", Named(.key), Named(.network), list(.vlans)
    )]
    NoVlan {
        /// The VM subnet.
        key: Key,
        /// Its VM network.
        network: Key,
        /// The VLANs of the logical network.
        vlans: Vec<VlanId>,
    },
    /// A VLAN that no site has.
    #[error(
        "{}: {} has VLAN {vlan} at no site{}; its VLANs are {}: choose one of these, or add it to a site with \"netvirt \
         apply\"", Named(.key), Named(.network), at_host(.host), list(.vlans)
    )]
    UnknownVlan {
        /// The VM subnet, or the port.
        key: Key,
        /// The VLAN.
        vlan: VlanId,
        /// The logical network.
        network: Key,
        /// The host, if it is about its site.
        host: Option<ResourceName>,
        /// The VLANs of the logical network.
        vlans: Vec<VlanId>,
    },
    /// Prefixes that the VLAN does not have.
    #[error("{}: {prefix} is inside of none of the prefixes that VLAN {vlan} of {} has ({}); choose one inside", Named(.key), Named(.network), list(.prefixes))]
    VlanPrefix {
        /// The VM subnet.
        key: Key,
        /// Its prefix.
        prefix: IpNet,
        /// The VLAN.
        vlan: VlanId,
        /// The logical network.
        network: Key,
        /// The prefixes that the VLAN has there.
        prefixes: Vec<IpNet>,
    },
    /// Network virtualization where it is not allowed.
    #[error(
        "{} does not allow network virtualization; allow it with \"netvirt set logical-network {} \
         --network-virtualization\", or use isolation vlan or none for {}", Named(.network), argument(.network), Named(.key)
    )]
    NotVirtualized {
        /// The VM network.
        key: Key,
        /// The logical network.
        network: Key,
    },
    /// What another one has.
    #[error("{}: {what} belongs to {} already; choose another", Named(.key), Named(.owner))]
    Claimed {
        /// Who wants it.
        key: Key,
        /// What, with its value.
        what: String,
        /// Whose it is.
        owner: Key,
    },
    /// A second VM network without isolation.
    #[error(
        "{} is the VM network of {} without isolation, and there is one only; use that one, or another isolation for {}",
        Named(.owner), Named(.network), Named(.key)
    )]
    FlatTwice {
        /// The second.
        key: Key,
        /// The logical network.
        network: Key,
        /// The first.
        owner: Key,
    },
    /// A port in a VM network without subnet.
    #[error(
        "{} has no VM subnet; create one with \"netvirt create vm-subnet NAME --vm-network {}{} --prefix 10.0.0.0/24\"",
        Named(.network), quoted(&.network.name), tenant_argument(.network)
    )]
    NoVmSubnet {
        /// The VM network.
        network: Key,
    },
    /// A port that does not say which subnet it is in.
    #[error("{} has several VM subnets ({}); say which with \"netvirt set port {} --vm-subnet NAME\"", Named(.network), list(.subnets), argument(.port))]
    WhichVmSubnet {
        /// The port.
        port: Key,
        /// The VM network.
        network: Key,
        /// Its VM subnets, the first [`Users::SHOWN`] of them.
        subnets: Vec<ResourceName>,
    },
    /// A subnet or pool that is somewhere else.
    #[error("{}: {} belongs to {}, not to {}; choose one of the latter", Named(.key), Named(.what), Named(.to), Named(.not))]
    Elsewhere {
        /// The port.
        key: Key,
        /// The VM subnet, or the IP pool.
        what: Key,
        /// The VM network, or the VM subnet, to which that belongs.
        to: Key,
        /// The one in which the port is.
        not: Key,
    },
    /// A port that names what only a connected one has.
    #[error("{} names {field} but no VM network; name that with \"netvirt set port {} --vm-network NAME\"", Named(.port), argument(.port))]
    Unconnected {
        /// The port.
        port: Key,
        /// The field.
        field: &'static str,
    },
    /// A subnet from which no address can be given.
    #[error(
        "{} of {} has no IP pool; create one with \"netvirt create ip-pool NAME --vm-subnet {}{} --range {range}\"",
        Named(.subnet), Named(.network), quoted(&.subnet.name), tenant_argument(.subnet)
    )]
    NoIpPool {
        /// The VM subnet.
        subnet: Key,
        /// Its VM network.
        network: Key,
        /// Addresses that could be in one.
        range: AddressRange,
    },
    /// All addresses are given.
    #[error(
        "{} has given all of its {total} {} addresses; add a range with \"netvirt set ip-pool {} --add-range FIRST-LAST\", \
         or a pool with \"netvirt create ip-pool NAME --vm-subnet {}{} --range FIRST-LAST\"",
        Named(.pool), family(*.v4), argument(.pool), quoted(.subnet), tenant_argument(.pool)
    )]
    PoolExhausted {
        /// The pool, the last of several.
        pool: Key,
        /// Its VM subnet.
        subnet: ResourceName,
        /// Of which family.
        v4: bool,
        /// How many addresses it has.
        total: u64,
    },
    /// No MAC address is left.
    #[error(
        "{}: the MAC pools have given all of their {total} addresses; name one with \"--mac\", or create a pool with \
         \"netvirt create mac-pool NAME --range FIRST..LAST\"", Named(.key)
    )]
    MacsExhausted {
        /// The port.
        key: Key,
        /// How many addresses the pools have.
        total: u64,
    },
    /// No identifier is left.
    #[error("{}: all {what} are in use; delete what nobody needs", Named(.key))]
    Exhausted {
        /// The VM network or VM subnet.
        key: Key,
        /// Of what there is none left.
        what: &'static str,
    },
    /// No provider address is left.
    #[error(
        "{}: provider pool {pool} of {} has given all of its {total} addresses; add a range to it with \"netvirt apply\"",
        Named(.host), Named(.network)
    )]
    ProvidersExhausted {
        /// The host.
        host: Key,
        /// The logical network.
        network: Key,
        /// Its pool.
        pool: ResourceName,
        /// How many addresses it has.
        total: u64,
    },
    /// A port whose VM configures its own addresses, with addresses.
    #[error("{}: with addressing learnt the VM chooses its addresses; leave {field} out, or use addressing pool", Named(.port))]
    Learnt {
        /// The port.
        port: Key,
        /// The field.
        field: &'static str,
    },
    /// A host that is not in the logical network.
    #[error(
        "{}: {} has no uplink in {}; add it to one with \"netvirt set host {} --uplink NAME --logical-network {}\"",
        Named(.key), Named(.host), Named(.network), argument(.host), quoted(&.network.name)
    )]
    NotCarried {
        /// The port.
        key: Key,
        /// The host.
        host: Key,
        /// The logical network of its VM network.
        network: Key,
    },
    /// A host that cannot be reached in the logical network.
    #[error(
        "{}: {} has no provider address in {}; give its uplink an address, or {} a provider pool",
        Named(.key), Named(.host), Named(.network), Named(.network)
    )]
    NoProviderAddress {
        /// The port.
        key: Key,
        /// The host.
        host: Key,
        /// The logical network of its VM network.
        network: Key,
    },
    /// A port on an uplink.
    #[error("{}: \"{device}\" is an uplink of {}; a port's device is the tap or veth of one VM: name that with \"--device\"", Named(.key), Named(.host))]
    DeviceIsUplink {
        /// The port.
        key: Key,
        /// The device.
        device: Name,
        /// The host.
        host: Key,
    },
    /// Two VM subnets that are one physical network to a host, with addresses in common.
    #[error(
        "{}: on {} it would share the physical network {physical} with {}, which has the same addresses; use another host, \
         uplink or prefix", Named(.key), Named(.host), Named(.other)
    )]
    SharedPhysical {
        /// The port.
        key: Key,
        /// The host.
        host: Key,
        /// The uplink, with the VLAN.
        physical: String,
        /// The other VM subnet with ports on the host.
        other: Key,
    },
    /// A VM with the gateway's MAC address.
    #[error("{}: MAC address {mac} is the one of every gateway; give the VM another", Named(.key))]
    GatewayMac {
        /// The port.
        key: Key,
        /// The MAC address.
        mac: MacAddress,
    },
    /// It is not this tenant's.
    #[error(transparent)]
    Tenant(#[from] TenantRefusal),
    /// It is about security groups.
    #[error(transparent)]
    Security(#[from] SecurityRefusal),
    /// It is about gateways and their connections.
    #[error(transparent)]
    Gateway(#[from] GatewayRefusal),
    /// A VM that cannot move while it runs.
    #[error(transparent)]
    Migration(#[from] MigrationRefusal),
}

impl Refusal {
    /// What kind of answer it is.
    pub const fn sort(&self) -> RefusalSort {
        match self {
            Self::NotFound { .. } => RefusalSort::NotFound,
            Self::Revision { .. } => RefusalSort::PreconditionFailed,
            Self::Tenant(refusal) => refusal.sort(),
            Self::Quota { .. } | Self::Full { .. } => RefusalSort::Quota,
            Self::AlreadyExists { .. }
            | Self::InUse { .. }
            | Self::Fixed { .. }
            | Self::LeftOut { .. }
            | Self::PrefixOverlap { .. }
            | Self::RangeOverlap { .. }
            | Self::MacRangeOverlap { .. }
            | Self::Claimed { .. }
            | Self::FlatTwice { .. }
            | Self::PoolExhausted { .. }
            | Self::MacsExhausted { .. }
            | Self::Exhausted { .. }
            | Self::ProvidersExhausted { .. } => RefusalSort::Conflict,
            Self::Gateway(refusal) => refusal.sort(),
            Self::Migration(refusal) => refusal.sort(),
            _ => RefusalSort::Invalid,
        }
    }
}
