//! The cmdlets of PowerShell itself that deployment scripts use.

mod format;
mod objects;
mod output;
mod properties;
mod session;

use super::Cmdlet;

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Cmdlet> {
    objects::CMDLETS.iter().chain(output::CMDLETS).chain(format::CMDLETS).chain(session::CMDLETS)
}
