//! A VM that moves from one host to another while it runs.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{MacAddress, Vsid};

/// The other place of a VM that moves from one host to another while it runs: live migration. Its lookup records say where it
/// is. Before it moves, all hosts that know the VM are told where `to`; with the first frame that it sends from there, each
/// of them takes it to be there. When its records name the new place, they are told where it came `from`, for as long as
/// somebody may not know yet: what still comes to the old place is sent on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Migration {
    /// VSID of the VM's subnet.
    pub vsid: Vsid,
    /// MAC address of the VM.
    pub mac: MacAddress,
    /// Provider address of the host that it will be on; either this or `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<IpAddr>,
    /// Provider address of the host that it was on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
}

impl Migration {
    /// The provider address of the other place. (Of two the one that it goes to, and none of neither; a checked intent has
    /// exactly one.)
    pub fn other(&self) -> Option<IpAddr> {
        self.to.or(self.from)
    }
}
