//! The list of a kind: searched and cut into pages by the interface, so that it costs the same with ten and ten thousand.

use api::Problem;
use api::fabric::{ListQuery, Page, PageAnswer};
use maud::{Markup, html};
use model::fabric::{Kind, ResourceName};

use crate::context::View;
use crate::forms::query;
use crate::layout;
use crate::pages::resources::{state, summary};
use crate::texts::common::*;

/// How many a page has.
const SIZE: usize = 100;

/// The page.
///
/// # Errors
/// Those of [`api::fabric::FabricApi::list`].
pub fn answer(view: &View<'_>, kind: Kind, tenant: Option<&ResourceName>) -> Result<PageAnswer, Problem> {
    let search = view.context.query.text("q");
    let page = view.context.api.list(
        view.caller(),
        ListQuery {
            kind,
            tenant: tenant.cloned(),
            limit: Some(SIZE),
            continue_token: view.context.query.given("after").map(str::to_owned),
            search: Some(search.to_owned()),
        },
    )?;
    let title = view.t(layout::kind_text(kind));
    let new = format!("{}/new", layout::list_address(kind, tenant));
    let actions = html! {
        @if view.may_change() { a.button.main href=(new) { (view.t(CREATE)) } }
    };
    let body = html! {
        (layout::heading(title, &[], &actions))
        (layout::done(view))
        (search_form(view, search))
        div #list data-live=(watched(kind, tenant)) { (table(view, kind, &page, search)) }
        (layout::command(view, &[format!("netvirt get {}{}", kind.plural(), layout::for_tenant(tenant))]))
    };
    Ok(layout::page(view, title, &body))
}

/// What the script watches for a region of a page.
pub fn watched(kind: Kind, tenant: Option<&ResourceName>) -> String {
    query(&[("kind", kind.as_str()), ("tenant", tenant.map_or("", ResourceName::as_str))])
}

/// The field to search in.
pub fn search_form(view: &View<'_>, search: &str) -> Markup {
    html! {
        form.search role="search" method="get" {
            label { span.unseen { (view.t(SEARCH)) }
                input type="search" name="q" value=(search) placeholder=(view.t(SEARCH_HINT));
            }
            button type="submit" { (view.t(SEARCH)) }
        }
    }
}

fn table(view: &View<'_>, kind: Kind, page: &Page, search: &str) -> Markup {
    html! {
        @if page.items.is_empty() {
            p.nothing { @if search.is_empty() { (view.t(NOTHING)) } @else { (view.tf(NOTHING_FOUND, &[search])) } }
        } @else {
            div.wide tabindex="0" role="group" aria-label=(view.t(layout::kind_text(kind))) {
                table {
                    thead { tr {
                        th scope="col" { (view.t(NAME)) }
                        th scope="col" { (view.t(DETAILS)) }
                        th scope="col" { (view.t(STATE)) }
                    } }
                    tbody {
                        @for item in &page.items {
                            tr {
                                th scope="row" { a href=(layout::address(&item.key())) { (item.name) } }
                                td { (summary(item)) }
                                td { (state(view, item)) }
                            }
                        }
                    }
                }
            }
            (pager(view, page.continue_token.as_deref(), search))
        }
    }
}

/// The ways to the next page and back to the first.
pub fn pager(view: &View<'_>, next: Option<&str>, search: &str) -> Markup {
    let beyond = view.context.query.is_set("after");
    html! {
        @if beyond || next.is_some() {
            nav.pager aria-label=(view.t(NEXT_PAGE)) {
                @if beyond { a href=(format!("?{}", query(&[("q", search)]).trim_start_matches('?'))) { (view.t(FIRST_PAGE)) } }
                @if let Some(next) = next { a rel="next" href=(query(&[("q", search), ("after", next)])) { (view.t(NEXT_PAGE)) } }
            }
        }
    }
}
