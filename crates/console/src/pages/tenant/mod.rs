//! A tenant's pages.

use api::Problem;
use api::fabric::PageAnswer;
use model::fabric::{Kind, ResourceName};

use super::{nowhere, resources};
use crate::context::View;

/// Answers for a path below the tenant's.
///
/// # Errors
/// See [`super::answer`].
pub fn answer(view: &View<'_>, tenant: &ResourceName, rest: &[&str]) -> Result<PageAnswer, Problem> {
    // Another tenant is to a tenant as one that there is not.
    if view.confined_to().is_some_and(|own| own != tenant) {
        return Err(nowhere());
    }
    match rest {
        [plural, rest @ ..] => {
            let kind = Kind::ALL.into_iter().find(|kind| kind.has_tenant() && kind.plural() == *plural);
            resources::answer(view, kind.ok_or_else(nowhere)?, Some(tenant), rest)
        }
        [] => resources::answer(view, Kind::VmNetwork, Some(tenant), &[]),
    }
}
