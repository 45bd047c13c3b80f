//! From resources to messages and back. What comes in is checked: an error names the field and its value.

mod claims;
mod facts;
mod gateways;
mod handover;
mod resources;
mod security;
#[cfg(test)]
mod tests;
mod values;

pub use values::WireError;

pub(crate) use claims::{answer_in, answer_out, claim_in, claim_out};
pub(crate) use facts::{facts_in, facts_out, report_in, report_out};
pub(crate) use gateways::{gateway_beat_in, gateway_beat_out, gateway_report_in, gateway_report_out};
pub(crate) use handover::{handover_in, handover_out};
#[cfg(test)]
pub(crate) use resources::decode_item;
pub(crate) use resources::{decode_shared, encode_item, key_in, key_out};
pub(crate) use values::{digest_in, topic_in};
