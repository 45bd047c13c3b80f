//! The flows that a host knows, and which of them one asks for.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// How many flows are told where nothing else is asked for.
pub const FLOWS: usize = 1_000;

/// Which flows one asks for: those that meet all that is given.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FlowFilter {
    /// Name of the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Name or number of the IP protocol: `tcp`, `udp`, `icmp`, `icmpv6`, or 0 to 255.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Address on either side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// TCP or UDP port on either side, or ICMP identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<u16>,
    /// How far it has come: `new`, `opening`, `open`, `closing`, `closed`, `reset`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Most flows to tell; [`FLOWS`] without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// One flow at one port.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlowItem {
    /// Name of the port.
    pub port: String,
    /// Name or number of the IP protocol.
    pub protocol: String,
    /// Address on the VM's side.
    pub local: IpAddr,
    /// The VM's TCP or UDP port, or the ICMP identifier; 0 where there is none.
    pub local_port: u16,
    /// Address on the other side.
    pub remote: IpAddr,
    /// The other side's port, or the ICMP identifier; 0 where there is none.
    pub remote_port: u16,
    /// Who opened it: `egress` if the VM did, else `ingress`.
    pub opened: String,
    /// How far it has come: see [`FlowFilter::state`].
    pub state: String,
    /// Milliseconds since its last packet, to a quarter of a second.
    pub idle_ms: u64,
    /// Milliseconds until it is forgotten if no packet comes.
    pub expires_ms: u64,
    /// Frames that the VM sent.
    pub from_packets: u64,
    /// Their bytes.
    pub from_bytes: u64,
    /// Frames that went to the VM.
    pub to_packets: u64,
    /// Their bytes.
    pub to_bytes: u64,
    /// Where the VM's packets go, in words; none as long as it has sent none, or none that others go after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<String>,
    /// Whether what was decided still counts; otherwise the next packet is decided about anew.
    pub current: bool,
}

/// What a host answers.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlowList {
    /// The flows, at most as many as were asked for, in the order of port, protocol and addresses.
    pub flows: Vec<FlowItem>,
    /// How many meet what was asked for.
    pub matching: usize,
    /// How many the host knows.
    pub all: usize,
}

/// Protocols with names.
const PROTOCOLS: [(u8, &str); 8] =
    [(1, "icmp"), (6, "tcp"), (17, "udp"), (33, "dccp"), (47, "gre"), (50, "esp"), (58, "icmpv6"), (132, "sctp")];

/// The name of an IP protocol, or its number.
pub fn protocol_name(number: u8) -> String {
    let named = PROTOCOLS.iter().find(|(named, _)| *named == number);
    named.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}

/// The number of an IP protocol, by its name or itself; `None` if there is no such.
pub fn protocol_number(text: &str) -> Option<u8> {
    let named = PROTOCOLS.iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
    named.map_or_else(|| text.parse().ok(), |(number, _)| Some(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_named_and_read() {
        for number in 0..=u8::MAX {
            assert_eq!(protocol_number(&protocol_name(number)), Some(number));
        }
        assert_eq!((protocol_number("TCP"), protocol_number("256"), protocol_number("tcpp")), (Some(6), None, None));
    }
}
