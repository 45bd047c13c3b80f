//! The rules of a compartment, in nftables' language: one table, replaced as a whole.
//!
//! What may pass, and as part of which connection, is decided on a flow's first packet, by the device that its route leads
//! to; the connection's number is the flow's mark from then on. Later packets pass between the devices of their connection
//! and nowhere else, so that a flow whose route has changed (a tunnel has gone) ends, and does not leak.
//!
//! - `guard` (raw): who sends from addresses that are not theirs is dropped before anything else.
//! - `steer`: where a compartment has both addresses of its own and shared ones, which way a packet goes.
//! - `translate_in` (dstnat), `translate_out` (srcnat): see [`nat`].
//! - `forward`, `leave`, `enter`, `pass_N`: see [`filter`].
//! - `input`: what is for the compartment itself.

mod filter;
pub(super) mod nat;
pub(super) mod text;

use std::collections::BTreeMap;

use model::gateway::Compartment;

use super::names::hash;
use super::nat::translations;
use text::Text;

/// The table of all rules that a gateway makes in a namespace.
pub const TABLE: &str = "netvirt";

/// How the name of the counter begins that says which rules are in force.
const VERSION: &str = "rules_";

/// Packets and bytes of named counters.
pub type Counts = BTreeMap<String, (u64, u64)>;

/// A table of rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ruleset {
    /// Names of its counters.
    counters: Vec<String>,
    /// Everything else in the table.
    body: String,
}

impl Ruleset {
    /// Rules with these counters.
    pub(super) fn new(counters: Vec<String>, body: String) -> Self {
        Self { counters, body }
    }

    /// The name of a counter that tables with these very rules have, and none else.
    pub fn version(&self) -> String {
        let all = format!("{}\n{}", self.counters.join(" "), self.body);
        format!("{VERSION}{:016x}", hash(all.as_bytes()))
    }

    /// The orders to `nft -f -` that put these rules in the place of those that are there, in one step. Counters that were
    /// there go on from what they had come to.
    pub fn orders(&self, counts: &Counts) -> String {
        let mut orders = format!("table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n");
        for name in self.counters.iter().chain([&self.version()]) {
            let (packets, bytes) = counts.get(name).copied().unwrap_or_default();
            orders.push_str(&format!("\tcounter {name} {{ packets {packets} bytes {bytes} }}\n"));
        }
        orders.push_str(&self.body);
        orders.push_str("}\n");
        orders
    }
}

/// The names of counters.
pub mod counter {
    /// Bytes of a connection to the outside.
    pub fn sent(number: u16) -> String {
        format!("sent_{number:04x}")
    }

    /// Bytes of a connection from the outside.
    pub fn received(number: u16) -> String {
        format!("received_{number:04x}")
    }

    /// Connections refused since all VMs together had too many.
    pub fn too_many(number: u16) -> String {
        format!("too_many_{number:04x}")
    }

    /// Connections refused since one VM had too many.
    pub fn too_many_of_one(number: u16) -> String {
        format!("too_many_of_one_{number:04x}")
    }

    /// Connections refused since too many came in one second.
    pub fn too_fast(number: u16) -> String {
        format!("too_fast_{number:04x}")
    }

    /// Packets from addresses that are not their sender's.
    pub const SPOOFED: &str = "spoofed";
    /// Packets that belong to no connection and open none.
    pub const INVALID: &str = "invalid";
    /// Packets of flows whose connection is gone or leads elsewhere now.
    pub const STRAYED: &str = "strayed";
    /// Packets that nothing lets through.
    pub const DENIED: &str = "denied";
}

/// The rules of a compartment.
pub fn ruleset(compartment: &Compartment) -> Ruleset {
    let translations = translations(compartment);
    let mut text = Text::default();
    for name in [counter::SPOOFED, counter::INVALID, counter::STRAYED, counter::DENIED] {
        text.counter(name);
    }
    filter::sets(&mut text, compartment);
    filter::guard(&mut text);
    filter::silence(&mut text, compartment);
    filter::steer(&mut text, compartment, &translations);
    nat::inbound(&mut text, &translations);
    filter::forward(&mut text, compartment, &translations);
    filter::input(&mut text, compartment);
    nat::outbound(&mut text, &translations);
    text.finish()
}

#[cfg(test)]
mod tests;
