//! The question what would become of a packet, and its answer.

use std::net::IpAddr;

use model::MacAddress;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The protocol of the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TraceProtocol {
    /// An echo request of ICMP or ICMPv6, by the family of the destination.
    #[default]
    Icmp,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A packet that a VM would send.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TraceRequest {
    /// Name of the port of the VM that would send it.
    pub from: String,
    /// Destination address.
    pub to: IpAddr,
    /// Protocol.
    #[serde(default)]
    pub protocol: TraceProtocol,
    /// Source address; by default a customer address of the port of the destination's family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// Source port of TCP and UDP.
    #[serde(default = "default_source_port")]
    pub source_port: u16,
    /// Destination port of TCP and UDP.
    #[serde(default = "default_destination_port")]
    pub destination_port: u16,
    /// Time to live, or hop limit.
    #[serde(default = "default_ttl")]
    pub ttl: u8,
    /// Bytes of payload after the ICMP, TCP or UDP header.
    #[serde(default = "default_size")]
    pub size: u32,
    /// With TCP: a SYN, with an MSS option; otherwise an ACK.
    #[serde(default)]
    pub syn: bool,
    /// With IPv4: whether the packet forbids to be fragmented. IPv6 always does.
    #[serde(default)]
    pub dont_fragment: bool,
    /// Destination MAC address; by default as the VM would: the record's in its own subnet, else the gateway's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub via: Option<MacAddress>,
}

/// The first of the dynamic ports (RFC 6335).
const fn default_source_port() -> u16 {
    49152
}

const fn default_destination_port() -> u16 {
    80
}

const fn default_ttl() -> u8 {
    64
}

/// As ping(8) sends.
const fn default_size() -> u32 {
    56
}

impl TraceRequest {
    /// An echo request from the VM at a port, all else by default.
    pub fn new(from: impl Into<String>, to: IpAddr) -> Self {
        Self {
            from: from.into(),
            to,
            protocol: TraceProtocol::default(),
            source: None,
            source_port: default_source_port(),
            destination_port: default_destination_port(),
            ttl: default_ttl(),
            size: default_size(),
            syn: false,
            dont_fragment: false,
            via: None,
        }
    }
}

/// One look-up in a table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TraceLookup {
    /// The table.
    pub table: String,
    /// What was looked for.
    pub key: String,
    /// What was found, or nothing.
    #[serde(default)]
    pub found: Option<String>,
}

/// One stage that the packet went through.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TraceStep {
    /// The stage.
    pub stage: String,
    /// The question that the stage answers.
    pub question: String,
    /// What it looked up, in order.
    #[serde(default)]
    pub lookups: Vec<TraceLookup>,
}

/// What would become of the packet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TraceReport {
    /// The packet, in one line.
    pub packet: String,
    /// The stages that it went through.
    pub steps: Vec<TraceStep>,
    /// What becomes of it.
    pub verdict: String,
    /// Name of the reason, if it is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The reason, or the verdict, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// What leaves, decoded, one line a header.
    #[serde(default)]
    pub output: Vec<String>,
}
