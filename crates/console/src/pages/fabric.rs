//! An operator's pages.

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
        [plural, rest @ ..] => {
            let kind = Kind::ALL.into_iter().find(|kind| !kind.has_tenant() && kind.plural() == *plural);
            resources::answer(view, kind.ok_or_else(nowhere)?, None, rest)
        }
        [] => resources::answer(view, Kind::Host, None, &[]),
    }
}
