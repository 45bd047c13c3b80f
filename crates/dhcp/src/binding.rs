//! What an answer is made of, and what it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use model::{DhcpScope, MacAddress};

/// A port as it is answered: what is declared of it and of its subnet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binding {
    /// MAC address of the VM's interface; only frames from it are answered.
    pub mac: MacAddress,
    /// The addresses that it is given. Those outside of all scopes are not.
    pub addresses: Vec<IpAddr>,
    /// The DHCP scopes of its subnet.
    pub scopes: Vec<DhcpScope>,
    /// MAC address of the gateway, from which answers come.
    pub gateway_mac: MacAddress,
    /// Largest network packet that fits through the network, in bytes.
    pub mtu: u32,
    /// Whether the host learns the port's addresses (a record of type L2Only): then those that the VM makes of an
    /// advertised prefix may be used (SLAAC). Elsewhere only declared addresses pass the source guard.
    pub learns: bool,
    /// Whether the host itself is the gateway of the port's subnet. Elsewhere it advertises no router.
    pub routes: bool,
}

/// An address to give, with the scope that it is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease<'a, A, P> {
    pub address: A,
    pub prefix: P,
    pub scope: &'a DhcpScope,
}

pub(crate) type Lease4<'a> = Lease<'a, Ipv4Addr, Ipv4Net>;
pub(crate) type Lease6<'a> = Lease<'a, Ipv6Addr, Ipv6Net>;

impl Binding {
    /// The IPv4 scopes.
    pub(crate) fn scopes_v4(&self) -> impl Iterator<Item = (Ipv4Net, &DhcpScope)> {
        self.scopes.iter().filter_map(|scope| match scope.prefix {
            IpNet::V4(prefix) => Some((prefix, scope)),
            IpNet::V6(_) => None,
        })
    }

    /// The IPv6 scopes.
    pub(crate) fn scopes_v6(&self) -> impl Iterator<Item = (Ipv6Net, &DhcpScope)> {
        self.scopes.iter().filter_map(|scope| match scope.prefix {
            IpNet::V6(prefix) => Some((prefix, scope)),
            IpNet::V4(_) => None,
        })
    }

    /// The IPv4 addresses to give, in the order in which they are declared.
    pub(crate) fn leases_v4(&self) -> impl Iterator<Item = Lease4<'_>> {
        self.addresses.iter().filter_map(|address| match *address {
            IpAddr::V4(address) => {
                let (prefix, scope) = self.scopes_v4().find(|(prefix, _)| prefix.contains(&address))?;
                Some(Lease { address, prefix, scope })
            }
            IpAddr::V6(_) => None,
        })
    }

    /// The IPv6 addresses to give, in the order in which they are declared.
    pub(crate) fn leases_v6(&self) -> impl Iterator<Item = Lease6<'_>> {
        self.addresses.iter().filter_map(|address| match *address {
            IpAddr::V6(address) => {
                let (prefix, scope) = self.scopes_v6().find(|(prefix, _)| prefix.contains(&address))?;
                Some(Lease { address, prefix, scope })
            }
            IpAddr::V4(_) => None,
        })
    }
}

/// What comes of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The frame for the port's device, if the message is answered at all.
    pub frame: Option<Vec<u8>>,
    /// What happened.
    pub event: Event,
}

/// What a message did.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// An address was offered (OFFER, ADVERTISE).
    Offered(IpAddr),
    /// An address was given, or its lease prolonged (ACK, REPLY).
    Bound(IpAddr),
    /// What the VM asked for is not its own (NAK; NotOnLink, lifetimes of zero): it must begin anew.
    Refused(Option<IpAddr>),
    /// The VM gave an address back.
    Released(IpAddr),
    /// The VM found that somebody else uses an address.
    Declined(IpAddr),
    /// The VM was told what there is beside addresses (INFORM, INFORMATION-REQUEST).
    Informed,
    /// The VM asks for an address, and none is declared for it in any scope of its subnet.
    NoAddress,
    /// A router solicitation was answered.
    RouterAdvertised,
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Offered(address) => write!(f, "offered {address}"),
            Self::Bound(address) => write!(f, "bound {address}"),
            Self::Refused(Some(address)) => write!(f, "refused {address}"),
            Self::Refused(None) => f.write_str("refused the VM's request"),
            Self::Released(address) => write!(f, "released {address}"),
            Self::Declined(address) => write!(f, "declined {address}"),
            Self::Informed => f.write_str("informed"),
            Self::NoAddress => f.write_str("has no address to give"),
            Self::RouterAdvertised => f.write_str("advertised the router"),
        }
    }
}
