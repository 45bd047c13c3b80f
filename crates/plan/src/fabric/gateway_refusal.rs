//! Why a change about gateways and their connections is refused, each as a sentence with the value and what mends it.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};
use model::fabric::{Key, ResourceName};
use model::gateway::WireguardKeyError;
use model::security::PortRange;
use model::{Name, VlanId};

use super::RefusalSort;
use super::words::{Named, added_range, argument, family, in_vlan, list, quoted};

/// Why a gateway or a gateway connection cannot be so.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GatewayRefusal {
    /// No device can have the name, or it is the loopback's.
    #[error(
        "{}: \"{name}\" cannot be the external interface of host {host}: 1 to 15 letters, digits, '.', '_' or '-', and not \"lo\"; \
         name it with \"--gateway-host {host}=NAME\"", Named(.key)
    )]
    Interface {
        /// The gateway.
        key: Key,
        /// Its host.
        host: ResourceName,
        /// The name.
        name: Name,
    },
    /// What is to be emptied is no host of the gateway.
    #[error("{}: {host} cannot be drained, since it is no host of the gateway; these are: {}", Named(.key), list(.hosts))]
    NotToDrain {
        /// The gateway.
        key: Key,
        /// What is named.
        host: ResourceName,
        /// The gateway's hosts.
        hosts: Vec<ResourceName>,
    },
    /// There is nobody to take over from what is to be emptied.
    #[error(
        "{}: {} cannot be drained, since nobody would be left to take over; leave one of its hosts, or add another with \"netvirt \
         set gateway {} --add-gateway-host HOST=INTERFACE\"", Named(.key), list(.hosts), argument(.key)
    )]
    AllDrained {
        /// The gateway.
        key: Key,
        /// Its hosts, all of which are named.
        hosts: Vec<ResourceName>,
    },
    /// The external interface carries the VM networks.
    #[error(
        "{}: {interface} is an uplink of host {host}, and the external interface is one that the host uses for nothing else; name \
         another with \"--gateway-host {host}=NAME\"", Named(.key)
    )]
    IsUplink {
        /// The gateway, or the host.
        key: Key,
        /// The host.
        host: ResourceName,
        /// The interface.
        interface: Name,
    },
    /// A connection that is nothing, or several things.
    #[error(
        "{} says {}; a connection is exactly one of nat, routing, ipsec, wireguard and dns: say one, and make a connection of its \
         own for each other", Named(.key), if .said.is_empty() { "not what it is".to_owned() } else { list(.said) }
    )]
    NotOne {
        /// The connection.
        key: Key,
        /// What it says.
        said: Vec<&'static str>,
    },
    /// The gateway and the VM network are on different logical networks.
    #[error(
        "{}: {} serves the VM networks of logical network {serves}, and {} is on {on}; choose a gateway of that one",
        Named(.key), Named(.gateway), Named(.network)
    )]
    OtherLogicalNetwork {
        /// The connection.
        key: Key,
        /// The gateway.
        gateway: Key,
        /// Its logical network.
        serves: ResourceName,
        /// The VM network.
        network: Key,
        /// Its logical network.
        on: ResourceName,
    },
    /// Connections of one VM network at two gateways.
    #[error(
        "{} is at gateway {gateway}, and {} of the same VM network is at gateway {theirs}; all connections of a VM network are at \
         one: choose the same", Named(.key), Named(.other)
    )]
    OtherGateway {
        /// The connection.
        key: Key,
        /// Its gateway.
        gateway: ResourceName,
        /// The other connection.
        other: Key,
        /// The other's gateway.
        theirs: ResourceName,
    },
    /// Something that a connection can have once, and two have it.
    #[error("{}: {} of the same VM network has {what} already; {remedy}", Named(.key), Named(.other))]
    Both {
        /// The connection.
        key: Key,
        /// What both have, with its value.
        what: String,
        /// The other connection, or itself.
        other: Key,
        /// What to do.
        remedy: &'static str,
    },
    /// An address and the one that it stands for are of different families.
    #[error("{}: {external} and {internal} are of different families; use IPv4 for both or IPv6", Named(.key))]
    Families {
        /// The connection.
        key: Key,
        /// Outside.
        external: IpAddr,
        /// Inside.
        internal: IpAddr,
    },
    /// More ports than there are behind the first.
    #[error("{}: ports {ports} lead to port {internal} and those behind it, and there is none beyond 65535; choose a lower one", Named(.key))]
    ForwardPorts {
        /// The connection.
        key: Key,
        /// Ports outside.
        ports: PortRange,
        /// The VM's first port.
        internal: u16,
    },
    /// A forwarded port that is not among those that the VM network has of a shared address.
    #[error(
        "{}: it has ports {block} of the shared address {address}, and {ports} are not among them; forward some of these, or leave \
         sharedPorts out so that it has an address of its own", Named(.key)
    )]
    SharedForward {
        /// The connection.
        key: Key,
        /// The ports that it forwards.
        ports: PortRange,
        /// The shared address.
        address: IpAddr,
        /// The ports that it has.
        block: PortRange,
    },
    /// A number that is out of its bounds.
    #[error("{}: {field} {value} is out of range; choose {bounds}", Named(.key))]
    Range {
        /// The connection.
        key: Key,
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// What is possible.
        bounds: &'static str,
    },
    /// Prefixes of different lengths cannot stand for one another.
    #[error("{}: {internal} and {external} are of different lengths; choose prefixes of one length", Named(.key))]
    Lengths {
        /// The connection.
        key: Key,
        /// Inside.
        internal: Ipv6Net,
        /// Outside.
        external: Ipv6Net,
    },
    /// A prefix that the VM network does not have.
    #[error("{}: {prefix} is inside of none of the prefixes of the VM network ({}); choose one inside", Named(.key), list(.prefixes))]
    PrefixOutside {
        /// The connection.
        key: Key,
        /// The prefix.
        prefix: IpNet,
        /// Those of the VM network.
        prefixes: Vec<IpNet>,
    },
    /// A key and certificates, or neither.
    #[error(
        "{} has {}; an IPsec tunnel has exactly one of these: {}", Named(.key),
        if *.both { "a pre-shared key and certificates" } else { "neither a pre-shared key nor certificates" },
        if *.both { "leave one out" } else { "give it a key with \"--psk-file FILE\", or certificates with \"netvirt apply\"" }
    )]
    PskOrCertificates {
        /// The connection.
        key: Key,
        /// Whether it has both.
        both: bool,
    },
    /// Nobody to open the tunnel to.
    #[error("{} names no remote, and opens the tunnel itself; name the other side with \"--remote ADDRESS\", or let it wait with \"passive: true\"", Named(.0))]
    NoRemote(Key),
    /// Nobody to wait for.
    #[error("{} names no remote, so that the other side is known by its name in IKE alone; write that with \"--remote-id NAME\", or its address with \"--remote ADDRESS\"", Named(.0))]
    NoRemoteName(Key),
    /// All that leaves would go into a tunnel whose own way nobody knows.
    #[error("{} names no remote, and leads everything to it: what keeps the tunnel up would be led there too; name the other side with \"--remote ADDRESS\", or what lies behind it with \"--remote-prefix PREFIX\"", Named(.0))]
    NoWay(Key),
    /// A text that must have something in it, or be of a certain form.
    #[error("{}: {field} {wrong}", Named(.key))]
    Text {
        /// The connection.
        key: Key,
        /// The field.
        field: String,
        /// What is wrong with it, and what to write.
        wrong: &'static str,
    },
    /// What stands for a secret, where there was none before.
    #[error("{}: {field} is \"(hidden)\", which stands for a secret that was there before, and there was none; write the secret itself", Named(.key))]
    Hidden {
        /// The connection.
        key: Key,
        /// The field.
        field: String,
    },
    /// No key of WireGuard.
    #[error("{}: {field}: {error}", Named(.key))]
    WireguardKey {
        /// The connection.
        key: Key,
        /// The field.
        field: &'static str,
        /// Why it is none.
        error: WireguardKeyError,
    },
    /// Routes can be exchanged only over what leads somewhere.
    #[error("{}: bgp is for connections of routing, ipsec and wireguard, and this one is of {service}; leave it out", Named(.key))]
    BgpWithout {
        /// The connection.
        key: Key,
        /// What it is.
        service: &'static str,
    },
    /// A neighbor that is not at the other end.
    #[error(
        "{}: neighbor {neighbor} is not reached over this connection, which has {}; {}", Named(.key), list(.prefixes),
        if *.tunnel { "name its prefix in \"addresses\" or \"remotePrefixes\"" } else { "choose one on-link, or say \"multihop: true\"" }
    )]
    NeighborElsewhere {
        /// The connection.
        key: Key,
        /// The neighbor.
        neighbor: IpAddr,
        /// What is on the connection.
        prefixes: Vec<IpNet>,
        /// Whether it is a tunnel.
        tunnel: bool,
    },
    /// A filter that takes nothing.
    #[error("{}: the filter for {prefix} takes lengths of {at_least} to {at_most}, and there are none such inside of it; choose lengths of {} to {}",
        Named(.key), .prefix.prefix_len(), .prefix.max_prefix_len())]
    Filter {
        /// The connection.
        key: Key,
        /// The prefix.
        prefix: IpNet,
        /// The shortest length.
        at_least: u8,
        /// The longest.
        at_most: u8,
    },
    /// A gateway is one autonomous system to each VM network.
    #[error("{}: it is in autonomous system {number}, and {} of the same VM network is in {theirs}; choose one for both", Named(.key), Named(.other))]
    LocalAs {
        /// The connection.
        key: Key,
        /// Its number.
        number: u32,
        /// The other connection.
        other: Key,
        /// The other's number.
        theirs: u32,
    },
    /// Packets a second, where bytes alone are counted.
    #[error("{}: a connection limits bandwidth, not packets; leave the packets of {direction} out", Named(.key))]
    Packets {
        /// The connection.
        key: Key,
        /// `egress` or `ingress`.
        direction: &'static str,
    },
    /// Connections of one VM network in two VLANs.
    #[error(
        "{} is {} outside, and {} of the same VM network {}; a VM network has one way out: choose the same VLAN", Named(.key),
        in_vlan(.vlan), Named(.other), in_vlan(.theirs)
    )]
    TwoVlans {
        /// The connection.
        key: Key,
        /// Its VLAN.
        vlan: Option<VlanId>,
        /// The other connection.
        other: Key,
        /// Its VLAN.
        theirs: Option<VlanId>,
    },
    /// The gateway has nothing there.
    #[error(
        "{}: {} has no network {} outside; add one with \"netvirt set gateway {} --add-network PREFIX,...\", or choose another VLAN",
        Named(.key), Named(.gateway), in_vlan(.vlan), quoted(&.gateway.name)
    )]
    NoNetwork {
        /// The connection.
        key: Key,
        /// The gateway.
        gateway: Key,
        /// The VLAN.
        vlan: Option<VlanId>,
    },
    /// An address outside that means something else.
    #[error("{}: {address} is {what} of {}; choose another", Named(.key), Named(.gateway))]
    Kept {
        /// The connection.
        key: Key,
        /// The address.
        address: IpAddr,
        /// What it is.
        what: &'static str,
        /// The gateway.
        gateway: Key,
    },
    /// There is nothing that an address could be drawn from.
    #[error(
        "{} needs {} address outside, and {} has no range {} to draw one from; add one with \"netvirt set gateway {} \
         {}\"", Named(.key), match .v4 { Some(true) => "an IPv4", Some(false) => "an IPv6", None => "an" }, Named(.gateway),
        in_vlan(.vlan), quoted(&.gateway.name), added_range(.prefix, .vlan)
    )]
    NoRange {
        /// The connection.
        key: Key,
        /// The gateway.
        gateway: Key,
        /// The VLAN.
        vlan: Option<VlanId>,
        /// Of which family, if it matters.
        v4: Option<bool>,
        /// A network that a range could be in.
        prefix: Option<IpNet>,
    },
    /// All addresses are given.
    #[error(
        "{} needs an {} address outside, and of the {total} that {} has to give {}, {used} are in use; add a range with \"netvirt set \
         gateway {} {}\", delete connections that nobody needs, or let connections of NAT share \
         addresses with \"--shared-ports COUNT\"", Named(.network), family(*.v4), Named(.gateway), in_vlan(.vlan),
        argument(.gateway), added_range(.prefix, .vlan)
    )]
    RangesExhausted {
        /// The VM network.
        network: Key,
        /// The gateway.
        gateway: Key,
        /// The VLAN.
        vlan: Option<VlanId>,
        /// Of which family.
        v4: bool,
        /// How many are in use.
        used: u64,
        /// How many there are.
        total: u64,
        /// The network that they are in.
        prefix: Option<IpNet>,
    },
    /// No address has so many ports left.
    #[error(
        "{} needs {count} ports of an address outside, and none of the {total} that {} has to give untagged has so many left ({used} \
         are in use); ask for fewer, or add a range with \"netvirt set gateway {} {}\"",
        Named(.network), Named(.gateway), argument(.gateway), added_range(.prefix, &None)
    )]
    PortsExhausted {
        /// The VM network.
        network: Key,
        /// The gateway.
        gateway: Key,
        /// How many ports it needs.
        count: u16,
        /// How many addresses are in use.
        used: u64,
        /// How many there are.
        total: u64,
        /// The network that they are in.
        prefix: Option<IpNet>,
    },
    /// Shared addresses are those of the edge, which is untagged.
    #[error("{}: addresses are shared untagged only, and the VM network is {} outside; leave sharedPorts out", Named(.key), in_vlan(.vlan))]
    SharedInVlan {
        /// The connection.
        key: Key,
        /// The VLAN.
        vlan: Option<VlanId>,
    },
    /// Where connections share addresses, hosts must be able to ask for their neighbors.
    #[error(
        "{}: host {host} of {} has no IPv4 address of its own outside, which it needs where connections share addresses; give it one \
         with \"netvirt set gateway {} --gateway-host {host}=INTERFACE,ADDRESS/LENGTH\", or leave sharedPorts out",
        Named(.key), Named(.gateway), quoted(&.gateway.name)
    )]
    NoHostAddress {
        /// The connection.
        key: Key,
        /// The gateway.
        gateway: Key,
        /// Its host.
        host: ResourceName,
    },
}

impl GatewayRefusal {
    /// What kind of answer it is.
    pub(super) const fn sort(&self) -> RefusalSort {
        match self {
            Self::OtherGateway { .. }
            | Self::Both { .. }
            | Self::LocalAs { .. }
            | Self::TwoVlans { .. }
            | Self::RangesExhausted { .. }
            | Self::PortsExhausted { .. } => RefusalSort::Conflict,
            _ => RefusalSort::Invalid,
        }
    }
}
