//! A VM that moves from one host to another while it runs.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{MacAddress, Vsid};

/// The other place of a VM that moves from one host to another while it runs: live migration. Its lookup records say where it
/// is. Before it moves, all hosts that know the VM are told where `to`; with the first frame that it sends from there, each
/// of them takes it to be there. When its records name the new place, they are told where it came `from`, for as long as
/// somebody may not know yet: what still comes to the old place is sent on.
///
/// So that nothing is lost but what comes while the VM stands still, who declares it must wait, each time:
///
/// 1. *Before the VM runs at the new place*: until every host that knows the VM has acknowledged where `to`: both places, and
///    each host that has records of its subnet. One that has not refuses what the VM says from there, until it has been told of
///    any later state; what it sends reaches the VM all the same, by way of the old place. If the new place has not, nobody
///    hears the VM at all; if the old place has not, what comes to it is lost. A host that cannot be told may be passed over
///    at that price.
/// 2. *Before it is declared to be at the new place*: until that place has noted that it was heard there, under this very
///    declaration and not under one of an earlier migration.
/// 3. *Before all forget where it came `from`*: until every host but the two places has acknowledged that, and a time after,
///    in which the slowest frame that was sent before comes to its end. What a host sends that has not is lost at the old
///    place, until it has been told.
/// 4. *Before the VM's next migration*: until every host, the two places as well, has acknowledged the end of this one. One
///    that has not keeps what it has heard of this one, and takes the VM to have arrived before it has left.
/// 5. *Before it is taken back*: until it is certain that the VM will not run at the new place.
///
/// An acknowledgement is given when all tables are written. `migration_model` in the tests of `plan` looks at all states of
/// it, and shows for 1, 3 and 4 what happens otherwise.
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
