//! What holds of a host as a whole.

use serde::{Deserialize, Serialize};

/// What holds of a host as a whole (NetVirtualizationGlobal). There is one of it at most, named [`Global::NAME`]; without it
/// all is as by default.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Global {
    /// Whether the routers of VM subnets are outside of the hosts (`-UseExternalRouter`): a VM, or what a record leads to. The
    /// host is then no subnet's gateway: it answers for no gateway's address and takes nothing from one VM subnet to
    /// another, and what has a gateway's address forwards for others. To be said to all hosts alike.
    #[serde(default)]
    pub external_router: bool,
}

impl Global {
    /// The name of the one that there is.
    pub const NAME: &str = "host";
}
