//! What can be wrong with one rule by itself.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{MAX_RULE_PORTS, MAX_RULE_PREFIXES, Protocol, Remote, SecurityRule};

/// Why a rule cannot be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RuleError {
    /// Ports of a protocol without ports.
    #[error("protocol {0} has no ports; leave them out, or name tcp, udp or sctp")]
    Ports(Protocol),
    /// More ports than [`MAX_RULE_PORTS`].
    #[error("it has {count} ports and ranges, and a rule takes {MAX_RULE_PORTS}; make two rules of it")]
    TooManyPorts {
        /// How many there are.
        count: usize,
    },
    /// A message type of a protocol that is not ICMP.
    #[error("protocol {0} has no message types; leave icmpType and icmpCode out, or name icmp or icmpv6")]
    IcmpType(Protocol),
    /// A code alone.
    #[error("icmpCode {0} says nothing without icmpType; give the type as well")]
    CodeWithoutType(u8),
    /// No prefix at all.
    #[error(
        "its remote has no prefixes, and so it matches nobody; give some, or leave the remote out to mean everybody"
    )]
    NoPrefixes,
    /// More prefixes than [`MAX_RULE_PREFIXES`].
    #[error("it has {count} prefixes, and a rule takes {MAX_RULE_PREFIXES}; put them into an address set")]
    TooManyPrefixes {
        /// How many there are.
        count: usize,
    },
    /// A prefix of the family that the protocol is not of.
    #[error(
        "{protocol} does not travel between addresses of {prefix}; choose the protocol or prefix of the other family"
    )]
    Family {
        /// The protocol.
        protocol: Protocol,
        /// The prefix.
        prefix: IpNet,
    },
    /// A prefix with bits behind its length.
    #[error("{0} has bits set behind its length; write {network}", network = .0.trunc())]
    HostBits(IpNet),
    /// An IPv4 address in IPv6 clothes.
    #[error("{0} is an IPv4 address written as IPv6; write {plain}", plain = .0.to_canonical())]
    Mapped(IpAddr),
    /// A text that would disturb the terminals it is shown on.
    #[error("its description has a control character in it; use letters, digits, spaces and signs")]
    ControlCharacter,
}

/// What is wrong with a prefix by itself.
pub(crate) fn prefix_error(prefix: &IpNet) -> Option<RuleError> {
    let address = prefix.addr();
    if address != address.to_canonical() {
        return Some(RuleError::Mapped(address));
    }
    (*prefix != prefix.trunc()).then_some(RuleError::HostBits(*prefix))
}

impl<N> SecurityRule<N> {
    /// Whether the rule makes sense by itself; whether the names in it lead anywhere is another question.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), RuleError> {
        let protocol = self.protocol;
        if !self.ports.is_empty() && !protocol.has_ports() {
            return Err(RuleError::Ports(protocol));
        }
        if self.ports.len() > MAX_RULE_PORTS {
            return Err(RuleError::TooManyPorts { count: self.ports.len() });
        }
        if (self.icmp_type.is_some() || self.icmp_code.is_some()) && !protocol.is_icmp() {
            return Err(RuleError::IcmpType(protocol));
        }
        if let (None, Some(code)) = (self.icmp_type, self.icmp_code) {
            return Err(RuleError::CodeWithoutType(code));
        }
        if self.description.as_ref().is_some_and(|text| text.chars().any(char::is_control)) {
            return Err(RuleError::ControlCharacter);
        }
        match &self.remote {
            Some(Remote::Prefixes(prefixes)) => self.check_prefixes(prefixes),
            Some(Remote::AddressSet(_) | Remote::SecurityGroup(_)) | None => Ok(()),
        }
    }

    fn check_prefixes(&self, prefixes: &[IpNet]) -> Result<(), RuleError> {
        if prefixes.is_empty() {
            return Err(RuleError::NoPrefixes);
        }
        if prefixes.len() > MAX_RULE_PREFIXES {
            return Err(RuleError::TooManyPrefixes { count: prefixes.len() });
        }
        if let Some(error) = prefixes.iter().find_map(prefix_error) {
            return Err(error);
        }
        let protocol = self.protocol;
        let foreign = |prefix: &&IpNet| match protocol {
            Protocol::ICMP => prefix.addr().is_ipv6(),
            Protocol::ICMPV6 => prefix.addr().is_ipv4(),
            _ => false,
        };
        match prefixes.iter().find(foreign) {
            Some(prefix) => Err(RuleError::Family { protocol, prefix: *prefix }),
            None => Ok(()),
        }
    }
}
