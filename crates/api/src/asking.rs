//! What a controller asks an agent through their session, and what it is answered: JSON that the protocol between them
//! carries without reading it. What people ask is in [`crate::fabric`].

use std::net::IpAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use model::LeaseState;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::fabric::{HostReport, TraceFate};
use crate::{Counters, DropCounter, Problem, ProblemType, TraceReport, TraceRequest};

/// A question. Ports have the names that they have on the host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HostQuestion {
    /// What passed ports, and what was dropped there.
    Counters {
        /// The ports.
        ports: Vec<String>,
    },
    /// How the host is.
    Status {},
    /// What the flows of the moment have carried to and from other hosts.
    Tunnels {},
    /// What DHCP last said to ports.
    Leases {
        /// The ports.
        ports: Vec<String>,
    },
    /// What would become of a packet from a port.
    Trace {
        /// The packet.
        packet: TraceRequest,
    },
    /// What would become of a packet that another host sent here.
    Arrival {
        /// The frame with its outer headers.
        frame: Frame,
        /// The packet in one line, as the host said where it comes from.
        packet: String,
    },
}

impl HostQuestion {
    /// The names of all questions, which an agent tells when it connects: it is asked no others.
    pub const NAMES: [&str; 6] = ["counters", "status", "tunnels", "leases", "trace", "arrival"];

    /// The name of this one.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Counters { .. } => Self::NAMES[0],
            Self::Status {} => Self::NAMES[1],
            Self::Tunnels {} => Self::NAMES[2],
            Self::Leases { .. } => Self::NAMES[3],
            Self::Trace { .. } => Self::NAMES[4],
            Self::Arrival { .. } => Self::NAMES[5],
        }
    }

    /// As the protocol carries it.
    pub fn to_bytes(&self) -> Vec<u8> {
        // There is nothing in it that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What the protocol has carried.
    ///
    /// # Errors
    /// When it is no question that this version knows.
    pub fn read(bytes: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(bytes)
            .map_err(|error| Problem::bad_request(format!("the host does not understand the question: {error}")))
    }
}

/// The bytes of a frame, written in base64.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame(pub Vec<u8>);

impl Serialize for Frame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Frame {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// An answer: the variant of the question's name, or why there is none.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HostAnswer {
    /// To [`HostQuestion::Counters`]; ports that are not there are left out.
    Counters(Vec<PortCounters>),
    /// To [`HostQuestion::Status`].
    Status(Box<HostReport>),
    /// To [`HostQuestion::Tunnels`].
    Tunnels(Vec<PeerTraffic>),
    /// To [`HostQuestion::Leases`].
    Leases(Vec<PortLease>),
    /// To [`HostQuestion::Trace`] and [`HostQuestion::Arrival`].
    Trace(Box<HostTrace>),
    /// The question is refused.
    Refused(Problem),
}

impl HostAnswer {
    /// As the protocol carries it, in at most so many bytes.
    pub fn to_bytes(&self, most: usize) -> Vec<u8> {
        // There is nothing in it that JSON cannot say.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        if bytes.len() <= most {
            return bytes;
        }
        let detail = format!(
            "the answer of {} bytes is larger than the {most} that there is room for; ask about less",
            bytes.len()
        );
        serde_json::to_vec(&Self::Refused(Problem::new(ProblemType::TooLarge, detail))).unwrap_or_default()
    }

    /// What the protocol has carried; a refusal is an error.
    ///
    /// # Errors
    /// The refusal, or that it is no answer that this version knows.
    pub fn read(bytes: &[u8]) -> Result<Self, Problem> {
        match serde_json::from_slice(bytes) {
            Ok(Self::Refused(problem)) => Err(problem),
            Ok(answer) => Ok(answer),
            Err(error) => Err(Problem::internal(format!("a host's answer is not understood: {error}"))),
        }
    }
}

/// What passed a port.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortCounters {
    /// The port.
    pub port: String,
    /// What passed; none if its device is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<Counters>,
    /// What was dropped, by reason.
    #[serde(default)]
    pub drops: Vec<DropCounter>,
}

/// What flows have carried to and from another host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerTraffic {
    /// Provider address of the other host.
    pub remote: IpAddr,
    /// How many flows.
    pub flows: u64,
    /// Packets to it.
    pub to_packets: u64,
    /// Their bytes.
    pub to_bytes: u64,
    /// Packets from it.
    pub from_packets: u64,
    /// Their bytes.
    pub from_bytes: u64,
}

/// What DHCP last said of an address to a port.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortLease {
    /// The port.
    pub port: String,
    /// The address.
    pub address: IpAddr,
    /// What was said.
    pub state: LeaseState,
    /// When (RFC 3339).
    pub since: String,
    /// When it ends (RFC 3339), if the VM has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// What becomes of a packet on a host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostTrace {
    /// As `netvirt trace` says it.
    pub report: TraceReport,
    /// How it ends.
    pub fate: TraceFate,
    /// The port that it is delivered to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The provider address that it goes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<IpAddr>,
    /// The frame that goes there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
    /// At which line of the report's output the headers begin that the VM wrote, behind those of a tunnel.
    #[serde(default)]
    pub inner: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_is_written_under_its_name() {
        let questions = [
            HostQuestion::Counters { ports: vec!["a".to_owned()] },
            HostQuestion::Status {},
            HostQuestion::Tunnels {},
            HostQuestion::Leases { ports: Vec::new() },
            HostQuestion::Trace { packet: TraceRequest::new("a", IpAddr::from([10, 0, 0, 7])) },
            HostQuestion::Arrival { frame: Frame(vec![0, 1, 254]), packet: "a packet".to_owned() },
        ];
        for (question, name) in questions.iter().zip(HostQuestion::NAMES) {
            let json = serde_json::to_value(question).unwrap();
            assert_eq!((question.name(), json.as_object().unwrap().keys().next().unwrap().as_str()), (name, name));
            assert_eq!(HostQuestion::read(&question.to_bytes()).unwrap(), *question);
        }
        let unknown = HostQuestion::read(br#"{"weather": {}}"#).unwrap_err();
        assert!(unknown.detail.contains("unknown variant `weather`"), "{unknown}");
    }

    #[test]
    fn an_answer_that_is_too_large_is_a_refusal_that_says_so() {
        let answer =
            HostAnswer::Counters(vec![PortCounters { port: "a".repeat(100), counters: None, drops: Vec::new() }]);
        let bytes = answer.to_bytes(1000);
        assert_eq!(HostAnswer::read(&bytes).unwrap(), answer);
        let refused = HostAnswer::read(&answer.to_bytes(bytes.len() - 1)).unwrap_err();
        assert_eq!(refused.problem_type, ProblemType::TooLarge);
        let sentence = format!("the answer of {} bytes is larger than the {}", bytes.len(), bytes.len() - 1);
        assert!(refused.detail.starts_with(&sentence), "{refused}");
    }
}
