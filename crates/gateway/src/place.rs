//! Where a compartment is carried out.

use std::path::Path;

use host::Namespace;
use model::gateway::Compartment;

/// A compartment, its network namespace, and the folder of what its daemons need: configuration, sockets, process numbers.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    /// What is to be.
    pub compartment: &'p Compartment,
    /// Where.
    pub namespace: &'p Namespace,
    /// Readable for root alone; it may be gone after a reboot.
    pub folder: &'p Path,
}
