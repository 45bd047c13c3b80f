//! Hosts: their list, the page of one, and in what words their state is said.

mod list;
mod page;
mod ports;
mod report;

use api::Problem;
use api::fabric::{Item, PageAnswer};
use maud::{Markup, html};
use model::fabric::Kind;

use crate::context::View;
use crate::layout;
use crate::pages::resources;
use crate::texts::common::*;
use crate::texts::fabric::*;

pub use ports::moves_of;

/// Answers for a path below `/fabric/hosts`.
///
/// # Errors
/// See [`crate::pages::answer`].
pub fn answer(view: &View<'_>, rest: &[&str]) -> Result<PageAnswer, Problem> {
    match rest {
        [] => list::answer(view),
        ["new"] => resources::answer(view, Kind::Host, None, rest),
        [name] => page::answer(view, &View::name(name)?),
        [name, "ports"] => ports::answer(view, &View::name(name)?),
        _ => resources::answer(view, Kind::Host, None, rest),
    }
}

/// Whether the host has not carried out all that it was told.
pub fn is_lagging(host: &Item) -> bool {
    host.status.realized.as_ref().is_some_and(|realized| !realized.everywhere())
}

/// Whether somebody should look at the host.
pub fn needs_a_look(host: &Item) -> bool {
    host.status.connected == Some(false) || is_lagging(host) || !host.status.findings.is_empty()
}

/// How a host is, in marks.
pub fn marks(view: &View<'_>, host: &Item) -> Markup {
    let status = &host.status;
    html! {
        @match status.connected {
            Some(true) => (layout::mark("good", view.t(CONNECTED))),
            Some(false) => (layout::mark("bad", view.t(NOT_CONNECTED))),
            None => (layout::mark("plain", view.t(NEVER_HEARD))),
        }
        @if is_lagging(host) { (layout::mark("wait", view.t(LAGGING))) }
        @else if status.realized.is_some() { (layout::mark("good", view.t(EVERYWHERE))) }
        @if !status.findings.is_empty() {
            (layout::mark("wait", &view.tf(N_FINDINGS, &[&status.findings.len().to_string()])))
        }
    }
}

/// Why it is so: what is missing there, and what it has found.
pub fn sentences(host: &Item) -> Vec<&str> {
    let waiting = host.status.realized.iter().flat_map(|realized| &realized.waiting_for);
    waiting.map(|waiting| waiting.reason.as_str()).chain(host.status.findings.iter().map(String::as_str)).collect()
}

/// The same in a cell of a table.
pub fn why(host: &Item) -> Markup {
    /// Sentences in a table; the host's page has all.
    const MOST: usize = 3;
    let sentences = sentences(host);
    html! {
        @for sentence in sentences.iter().take(MOST) { div { (sentence) } }
        @if sentences.len() > MOST { div { "…" } }
    }
}
