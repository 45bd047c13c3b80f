//! Rate limits as flags, of what has them at hosts and at a controller.

use clap::Args;
use model::Limit;
use serde::Serialize;
use serde_json::{Map, Value};

use super::given;
use super::values::OrNothing;

/// Rate limits of both directions.
#[derive(Debug, Args, Serialize)]
pub struct LimitFields {
    /// Most that it may send: a bandwidth in kbit/s, Mbit/s or Gbit/s, packets, or both: "50 Mbit/s, 2000 packets/s". How much
    /// passes at once, what passes in 300 ms if nothing is said, can be added in B, kB or MB: ", burst 4 MB"; with less TCP
    /// does not reach the rate. "" takes the limit away.
    #[arg(id = "egress_limit", long = "egress-limit", value_name = "LIMIT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    egress: Option<OrNothing<Limit>>,
    /// Most that it may be sent, likewise.
    #[arg(id = "ingress_limit", long = "ingress-limit", value_name = "LIMIT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ingress: Option<OrNothing<Limit>>,
}

impl LimitFields {
    /// Puts the field `limits` among others, if something of it is given.
    pub(super) fn add_to(&self, fields: &mut Map<String, Value>) {
        let limits = given(self);
        if !limits.is_empty() {
            fields.insert("limits".to_owned(), limits.into());
        }
    }
}
