//! An operator's pages: how the fabric is, its hosts and how VMs move between them, networks and pools, tenants and quotas,
//! gateways, who may do what, what was done, and changes as files.
//!
//! Whatever has no page here is shown by `resources`. Readers without a tenant see these pages, too, without their buttons.

mod access;
mod audit;
mod changes;
mod difference;
mod gateways;
mod hosts;
mod maps;
mod moves;
mod networks;
mod overview;
pub mod picture;
mod pieces;
pub mod pools;
mod tenants;
#[cfg(test)]
mod testing;

use api::Problem;
use api::fabric::PageAnswer;
use model::fabric::Kind;

use super::{nowhere, resources};
use crate::context::View;

/// Answers for a path below `/fabric`.
///
/// # Errors
/// See [`super::answer`].
pub fn answer(view: &View<'_>, rest: &[&str]) -> Result<PageAnswer, Problem> {
    if !view.is_operator() {
        return Err(nowhere());
    }
    match rest {
        [] => overview::answer(view),
        ["access", rest @ ..] => access::answer(view, rest),
        ["audit"] => audit::answer(view),
        ["changes", rest @ ..] => changes::answer(view, rest),
        ["picture"] => picture::answer(view),
        ["picture.svg"] => picture::file(view),
        ["pools"] => pools::answer(view),
        ["pools", tenant, pool] => pools::ip_pool(view, &View::name(tenant)?, &View::name(pool)?),
        ["ports", tenant, port, "move"] => moves::answer(view, &View::name(tenant)?, &View::name(port)?),
        ["hosts", rest @ ..] => hosts::answer(view, rest),
        ["logical-networks", rest @ ..] => networks::answer(view, rest),
        ["mac-pools", rest @ ..] => pools::mac_pools(view, rest),
        ["tenants", rest @ ..] => tenants::answer(view, rest),
        ["gateways", rest @ ..] => gateways::answer(view, rest),
        [plural, rest @ ..] => {
            let kind = Kind::ALL.into_iter().find(|kind| !kind.has_tenant() && kind.plural() == *plural);
            resources::answer(view, kind.ok_or_else(nowhere)?, None, rest)
        }
    }
}
