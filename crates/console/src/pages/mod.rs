//! The pages, and which of them a path is for. What has no page of its own is shown by `resources`.

mod fabric;
mod home;
mod pieces;
pub mod problem;
mod resources;
pub mod sign_in;
mod tenant;

use api::Problem;
use api::fabric::PageAnswer;

use crate::context::View;
use crate::live;

/// Answers for a path.
///
/// # Errors
/// What the interface refuses, and that there is no such page.
pub fn answer(view: &View<'_>, segments: &[&str]) -> Result<PageAnswer, Problem> {
    match segments {
        [] => Ok(home::answer(view)),
        ["events"] => live::events(view),
        ["t", tenant, rest @ ..] => tenant::answer(view, &View::name(tenant)?, rest),
        ["fabric", rest @ ..] => fabric::answer(view, rest),
        _ => Err(nowhere()),
    }
}

/// There is no such page. It is said of what is another tenant's, too, in the same words.
pub fn nowhere() -> Problem {
    Problem::not_found("there is no such page")
}
