//! The page that says what went wrong where no form is there to say it beside.

use api::fabric::PageAnswer;
use api::{Problem, ProblemType};
use maud::html;

use crate::context::{Context, View};
use crate::layout;
use crate::texts::common::*;

/// The page; in the frame of whoever has signed in.
pub fn page(context: &Context<'_>, view: Option<&View<'_>>, problem: &Problem) -> PageAnswer {
    let missing = problem.problem_type == ProblemType::NotFound;
    let title = context.t(if missing { NOT_FOUND } else { PROBLEM });
    let body = html! {
        h1 { (title) }
        @if missing { p { (context.t(NOT_FOUND_HINT)) } }
        div.problem role="alert" { p { (problem.detail) } }
    };
    match view {
        Some(view) => layout::with_status(view, problem.status, title, &body),
        None => layout::open_page(context, problem.status, title, &body),
    }
}
