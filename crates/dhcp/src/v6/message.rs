//! DHCPv6 messages: what of a request matters, and how a reply is written.

use std::net::{IpAddr, Ipv6Addr};

use dhcproto::v6::{self, DhcpOption, MessageType, OptionCode, UnknownOption};
use dhcproto::{Decodable, Decoder, Encodable};
use model::MacAddress;

use crate::binding::Binding;
use crate::names;
use crate::options::strain_v6;

/// The shortest time for which a client is told to believe what it was told (RFC 8415, section 7.6: IRT_MINIMUM).
const LEAST_REFRESH: u32 = 600;

/// An IA_NA.
#[derive(Clone, Debug)]
pub struct Association {
    /// IAID.
    pub id: u32,
    /// The addresses that the client says are in it.
    pub addresses: Vec<Ipv6Addr>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Message {
    pub kind: MessageType,
    /// DUID of the client.
    pub client: Option<Vec<u8>>,
    /// DUID of the server that it means.
    pub server: Option<Vec<u8>>,
    pub rapid_commit: bool,
    /// IA_NA.
    pub associations: Vec<Association>,
    /// IAIDs of IA_TA.
    pub temporary: Vec<u32>,
    /// IAIDs of IA_PD.
    pub prefixes: Vec<u32>,
    /// The options that it asks for; none when it does not say.
    wanted: Option<Vec<OptionCode>>,
    transaction: [u8; 3],
}

impl Message {
    /// Reads a request; none if it is malformed.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let message = v6::Message::decode(&mut Decoder::new(&strain_v6(payload)?)).ok()?;
        let mut read = Self {
            kind: message.msg_type(),
            client: None,
            server: None,
            rapid_commit: false,
            associations: Vec::new(),
            temporary: Vec::new(),
            prefixes: Vec::new(),
            wanted: None,
            transaction: message.xid(),
        };
        for option in message.opts().iter() {
            match option {
                DhcpOption::ClientId(duid) => read.client = Some(duid.clone()),
                DhcpOption::ServerId(duid) => read.server = Some(duid.clone()),
                DhcpOption::RapidCommit => read.rapid_commit = true,
                DhcpOption::IANA(association) => {
                    let addresses = association.opts.iter().filter_map(|option| match option {
                        DhcpOption::IAAddr(address) => Some(address.addr),
                        _ => None,
                    });
                    read.associations.push(Association { id: association.id, addresses: addresses.collect() });
                }
                DhcpOption::IATA(association) => read.temporary.push(association.id),
                DhcpOption::IAPD(association) => read.prefixes.push(association.id),
                DhcpOption::ORO(request) => read.wanted = Some(request.opts.clone()),
                _ => {}
            }
        }
        Some(read)
    }

    /// Whether it speaks of addresses or prefixes at all.
    pub fn has_associations(&self) -> bool {
        !(self.associations.is_empty() && self.temporary.is_empty() && self.prefixes.is_empty())
    }

    /// Whether it asks for an option, or for none in particular.
    pub fn wants(&self, option: &DhcpOption) -> bool {
        // By number, because one code may be two values of the library's type.
        let code = u16::from(OptionCode::from(option));
        self.wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|wanted| u16::from(*wanted) == code))
    }

    /// The reply with these options and the identifiers of both sides.
    pub fn reply(&self, kind: MessageType, options: Vec<DhcpOption>, gateway: MacAddress) -> Option<Vec<u8>> {
        let mut reply = v6::Message::new_with_id(kind, self.transaction);
        let client = self.client.clone().map(DhcpOption::ClientId);
        let server = DhcpOption::ServerId(server_duid(gateway).to_vec());
        reply.set_opts(client.into_iter().chain([server]).chain(options).collect());
        reply.to_vec().ok()
    }
}

/// The DUID of every host's server: made of the gateway's MAC address (DUID-LL, RFC 8415, section 11.4), so that it is
/// the same on the host that a VM moves to.
pub fn server_duid(gateway: MacAddress) -> [u8; 10] {
    let [a, b, c, d, e, f] = gateway.octets();
    [0, 3, 0, 1, a, b, c, d, e, f]
}

/// DNS servers and search list of all IPv6 scopes of a port (RFC 3646).
pub fn name_options(port: &Binding) -> Vec<DhcpOption> {
    let servers = crate::router::dns_servers(port);
    let search = names::wire(&crate::router::search_list(port));
    let mut options = Vec::new();
    if !servers.is_empty() {
        options.push(DhcpOption::DomainNameServers(servers));
    }
    if !search.is_empty() {
        // The library would compress the names.
        options.push(DhcpOption::Unknown(UnknownOption::new(OptionCode::DomainSearchList, search)));
    }
    options
}

/// How long the answer to an INFORMATION-REQUEST is good for (RFC 8415, section 21.23).
pub fn refresh_time(lease_seconds: u32) -> DhcpOption {
    DhcpOption::InformationRefreshTime(lease_seconds.max(LEAST_REFRESH))
}

/// An IPv6 address of a list of both families.
pub fn v6_of(address: &IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(address) => Some(*address),
        IpAddr::V4(_) => None,
    }
}
