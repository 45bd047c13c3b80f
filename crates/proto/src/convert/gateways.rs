//! Gateways and compartments. Between controller and gateway nobody looks into what they say, so that it travels as the JSON
//! that it is written in elsewhere.

use model::QualifiedName;
use model::gateway::{Compartment, Gateway, GatewayBeat, GatewayReport};
use prost::bytes::Bytes;

use super::values::{WireError, refused};
use crate::wire;

/// Most bytes of a report: a message takes 4 MiB.
const MAX_REPORT: usize = 3 << 20;

/// A structure of strings, numbers and addresses as JSON, which has words for all of them. The same gives the same bytes.
fn json(it: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(it).unwrap_or_default().into()
}

pub fn gateway_out(gateway: &Gateway) -> wire::Gateway {
    wire::Gateway { spec: json(gateway) }
}

pub fn gateway_in(gateway: &wire::Gateway) -> Result<Gateway, WireError> {
    serde_json::from_slice(&gateway.spec).map_err(|error| refused("spec", "of a gateway", error))
}

pub fn compartment_out(compartment: &Compartment) -> wire::Compartment {
    wire::Compartment { name: compartment.name.to_string(), spec: json(compartment) }
}

pub fn compartment_in(compartment: wire::Compartment) -> Result<Compartment, WireError> {
    let wire::Compartment { name, spec } = compartment;
    let name: QualifiedName = name.parse().map_err(|error| refused("name", format_args!("\"{name}\""), error))?;
    // The error names the field and never a secret's text: secrets are texts, and every text is one.
    let error = |error: serde_json::Error| refused("spec", format_args!("of compartment {name}"), error);
    Compartment::from_json(name.clone(), &spec).map_err(error)
}

/// A report. One that is too large for a message tells nothing of the prefixes that were learnt.
pub fn gateway_report_out(report: &GatewayReport) -> Bytes {
    let whole = json(report);
    if whole.len() <= MAX_REPORT {
        return whole;
    }
    let mut short = report.clone();
    let connections = short.compartments.iter_mut().flat_map(|compartment| &mut compartment.connections);
    connections.for_each(|connection| connection.learnt.clear());
    json(&short)
}

pub fn gateway_report_in(report: &[u8]) -> Result<GatewayReport, WireError> {
    serde_json::from_slice(report).map_err(|error| refused("gateway_report", "of a host", error))
}

pub fn gateway_beat_out(beat: &GatewayBeat) -> Bytes {
    json(beat)
}

pub fn gateway_beat_in(beat: &[u8]) -> Result<GatewayBeat, WireError> {
    serde_json::from_slice(beat).map_err(|error| refused("gateway_beat", "of a host", error))
}
