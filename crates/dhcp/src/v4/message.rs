//! DHCP messages: what of a request matters, and how a reply is written.

use std::net::Ipv4Addr;

use dhcproto::v4::{DhcpOption, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};

use crate::options::{V4_FIXED, strain_v4};
use crate::v4::SERVER_IDENTIFIER;

/// The longest IP packet that every client takes (RFC 2131, section 2).
const LEAST_PACKET: u32 = 576;
/// IPv4 and UDP headers.
const HEADERS: u32 = 28;
/// The shortest message: what BOOTP's relays and old clients expect (RFC 1542, section 2.1).
const SHORTEST: usize = 300;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    pub kind: MessageType,
    pub ciaddr: Ipv4Addr,
    pub giaddr: Ipv4Addr,
    pub chaddr: [u8; 6],
    pub broadcast: bool,
    /// Requested IP address.
    pub requested: Option<Ipv4Addr>,
    /// Server identifier.
    pub server: Option<Ipv4Addr>,
    pub rapid_commit: bool,
    /// The options that it asks for, in its order; none when it does not say.
    wanted: Option<Vec<OptionCode>>,
    /// The longest packet that it takes.
    packet: u32,
    /// The client identifier as it came.
    identifier: Option<Vec<u8>>,
    transaction: u32,
    flags: dhcproto::v4::Flags,
}

impl Request {
    /// Reads a request; none if it is malformed.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let message = Message::decode(&mut Decoder::new(&strain_v4(payload)?)).ok()?;
        let mut request = Self {
            kind: message.opts().msg_type()?,
            ciaddr: message.ciaddr(),
            giaddr: message.giaddr(),
            chaddr: message.chaddr().try_into().ok()?,
            broadcast: message.flags().broadcast(),
            requested: None,
            server: None,
            rapid_commit: false,
            wanted: None,
            packet: LEAST_PACKET,
            identifier: None,
            transaction: message.xid(),
            flags: message.flags(),
        };
        for (_, option) in message.opts().iter() {
            match option {
                DhcpOption::RequestedIpAddress(address) => request.requested = Some(*address),
                DhcpOption::ServerIdentifier(address) => request.server = Some(*address),
                DhcpOption::ParameterRequestList(codes) => request.wanted = Some(codes.clone()),
                DhcpOption::MaxMessageSize(size) => request.packet = u32::from(*size).max(LEAST_PACKET),
                DhcpOption::ClientIdentifier(identifier) => request.identifier = Some(identifier.clone()),
                DhcpOption::RapidCommit => request.rapid_commit = true,
                _ => {}
            }
        }
        Some(request)
    }
}

/// A reply that is being made.
#[derive(Clone, Debug)]
pub struct Reply {
    pub kind: MessageType,
    /// `ciaddr`.
    pub client: Ipv4Addr,
    /// `yiaddr`.
    pub your: Ipv4Addr,
    /// The options that it has in any case.
    pub fixed: Vec<DhcpOption>,
    /// The options of which it has what the request asks for, in the request's order.
    pub wanted: Vec<DhcpOption>,
}

impl Reply {
    /// A reply without addresses. The client identifier comes back as it was sent (RFC 6842).
    pub fn new(kind: MessageType, request: &Request) -> Self {
        let mut fixed = vec![DhcpOption::MessageType(kind), DhcpOption::ServerIdentifier(SERVER_IDENTIFIER)];
        fixed.extend(request.identifier.clone().map(DhcpOption::ClientIdentifier));
        Self { kind, client: Ipv4Addr::UNSPECIFIED, your: Ipv4Addr::UNSPECIFIED, fixed, wanted: Vec::new() }
    }

    /// Writes the message. What does not fit into the packet that the client takes is left out, option by option, so
    /// that no option is cut.
    pub fn write(&self, request: &Request, mtu: u32) -> Option<Vec<u8>> {
        let none = Ipv4Addr::UNSPECIFIED;
        let mut message =
            Message::new_with_id(request.transaction, self.client, self.your, none, none, &request.chaddr);
        message.set_opcode(Opcode::BootReply).set_flags(request.flags);
        let mut bytes = message.to_vec().ok()?;
        bytes.truncate(V4_FIXED);
        let longest = request.packet.min(mtu).max(LEAST_PACKET).saturating_sub(HEADERS) as usize;
        for option in self.fixed.iter().chain(self.ordered(request)) {
            let mut part = Vec::new();
            option.encode(&mut Encoder::new(&mut part)).ok()?;
            // The end mark needs a byte.
            if bytes.len() + part.len() < longest {
                bytes.extend(part);
            }
        }
        bytes.push(OptionCode::End.into());
        if bytes.len() < SHORTEST {
            bytes.resize(SHORTEST, OptionCode::Pad.into());
        }
        Some(bytes)
    }

    /// What is wanted of what there is, in the order of the request, or all in ours if it names nothing.
    fn ordered<'a>(&'a self, request: &'a Request) -> Vec<&'a DhcpOption> {
        let Some(codes) = &request.wanted else { return self.wanted.iter().collect() };
        let mut ordered: Vec<&DhcpOption> = Vec::new();
        for code in codes {
            let option = self.wanted.iter().find(|option| OptionCode::from(*option) == *code);
            // A code may be named twice.
            ordered.extend(option.filter(|option| !ordered.iter().any(|other| std::ptr::eq(*other, *option))));
        }
        ordered
    }
}
