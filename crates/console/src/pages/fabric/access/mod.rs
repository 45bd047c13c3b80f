//! Who may do what: users, tokens, and the tokens with which hosts join.
//!
//! **Invariant:** a secret stands in the answer to the form that had it made, and nowhere else: nothing leads to that page, no
//! cache keeps it, and to load it again sends the form again, which makes another secret or is refused.

mod join;
mod tokens;
mod users;

use api::fabric::{PageAnswer, Role};
use api::{Problem, ProblemType};
use maud::{Markup, html};

use super::pieces;
use crate::answer as answers;
use crate::context::View;
use crate::layout;
use crate::pages::nowhere;
use crate::texts::Text;
use crate::texts::common::*;
use crate::texts::fabric::*;

/// Where the page is.
const HERE: &str = "/fabric/access";

/// One of the page's forms.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    User,
    Token,
    Join,
}

/// What became of a form of the page.
enum Outcome {
    /// It was carried out, and this is told once.
    Done(Told),
    /// It was refused.
    Refused(Which, Problem),
}

/// What is told once.
struct Told {
    /// What was done, in a sentence.
    sentence: String,
    /// The secret, or the command with it.
    secret: Option<String>,
    /// The command that does the same.
    command: String,
}

/// Answers for a path below `/fabric/access`.
///
/// # Errors
/// See [`crate::pages::answer`].
pub fn answer(view: &View<'_>, rest: &[&str]) -> Result<PageAnswer, Problem> {
    let post = view.context.is_post();
    let outcome = |which, made: Result<Told, Problem>| {
        Some(made.map_or_else(|problem| Outcome::Refused(which, problem), Outcome::Done))
    };
    match rest {
        [] => page(view, None),
        ["users"] if post => page(view, outcome(Which::User, users::create(view))),
        ["tokens"] if post => page(view, outcome(Which::Token, tokens::create(view))),
        ["join-tokens"] if post => page(view, outcome(Which::Join, join::create(view))),
        // Where a form was sent to, there is nothing to see.
        ["users" | "tokens" | "join-tokens"] => Ok(answers::see_other(HERE)),
        ["users", name, "delete"] => users::delete(view, &View::name(name)?),
        ["users", name, "password"] => users::password(view, &View::name(name)?),
        ["tokens", name, "delete"] => tokens::delete(view, &View::name(name)?),
        _ => Err(nowhere()),
    }
}

fn page(view: &View<'_>, outcome: Option<Outcome>) -> Result<PageAnswer, Problem> {
    let (told, refused) = match outcome {
        Some(Outcome::Done(told)) => (Some(told), None),
        Some(Outcome::Refused(which, problem)) => (None, Some((which, problem))),
        None => (None, None),
    };
    let status = refused.as_ref().map_or(200, |(_, problem)| problem.status);
    let beside = |which: Which| refused.as_ref().filter(|(of, _)| *of == which).map(|(_, problem)| problem);
    if view.caller().role != Role::Admin {
        // What a form of somebody else's would have done was refused by the interface; that is what is said.
        return Err(
            refused.map_or_else(|| Problem::new(ProblemType::Forbidden, view.t(ADMINS_ONLY)), |(_, problem)| problem)
        );
    }
    let body = html! {
        (layout::heading(view.t(USERS), &[], &html! {}))
        (layout::done(view))
        @if let Some(told) = &told { (once(view, told)) }
        (users::section(view, beside(Which::User))?)
        (tokens::section(view, beside(Which::Token))?)
        (join::section(view, beside(Which::Join)))
    };
    Ok(layout::with_status(view, status, view.t(USERS), &body))
}

/// What is told once.
fn once(view: &View<'_>, told: &Told) -> Markup {
    html! {
        section.done.once role="status" data-once=(HERE) {
            p { strong { (told.sentence) } }
            @if let Some(secret) = &told.secret {
                div.copied {
                    pre tabindex="0" { code { (secret) } }
                    button.quiet type="button" data-copy hidden { (view.t(COPY)) }
                }
                p { (view.t(SHOWN_ONCE)) }
            }
            (layout::command(view, std::slice::from_ref(&told.command)))
        }
    }
}

/// A page of its own that tells something once.
fn told_page(view: &View<'_>, told: &Told) -> PageAnswer {
    let body = html! {
        (layout::heading(view.t(USERS), &[(HERE.to_owned(), view.t(USERS).to_owned())], &html! {}))
        (once(view, told))
    };
    layout::page(view, view.t(USERS), &body)
}

/// A page that asks before something is done.
fn question(view: &View<'_>, title: &str, hint: Text, inside: &Markup, refused: Option<&Problem>) -> PageAnswer {
    let body = html! {
        (layout::heading(title, &[(HERE.to_owned(), view.t(USERS).to_owned())], &html! {}))
        @if let Some(problem) = refused { (layout::problem(&view.context, problem)) }
        p { (view.t(hint)) }
        form.card.narrow method="post" {
            (layout::csrf(view))
            (inside)
        }
    };
    layout::with_status(view, refused.map_or(200, |problem| problem.status), title, &body)
}

/// The buttons of such a page.
fn buttons(view: &View<'_>, text: Text) -> Markup {
    html! {
        div.buttons {
            button.danger type="submit" { (view.t(text)) }
            a.button href=(HERE) { (view.t(CANCEL)) }
        }
    }
}

/// Name, role and tenant, as typed if it was this form that was sent.
fn who_fields(view: &View<'_>, sent: bool) -> Markup {
    let typed = |name: &str| if sent { view.context.form.first(name).unwrap_or_default() } else { "" };
    let roles = [(Role::Tenant, ROLE_TENANT), (Role::Reader, ROLE_READER), (Role::Admin, ROLE_ADMIN)];
    let roles = roles.map(|(role, text)| (role.as_str().to_owned(), view.t(text).to_owned()));
    html! {
        (pieces::field(view, NAME, None, &html! { input name="name" required maxlength="63" autocomplete="off" value=(typed("name")); }))
        (pieces::field(view, ROLE, None, &pieces::select("role", typed("role"), &roles)))
        (pieces::field(view, TENANT, Some(TENANT_HINT), &html! { input name="tenant" autocomplete="off" value=(typed("tenant")); }))
    }
}

/// The role that was chosen.
fn role(view: &View<'_>) -> Result<Role, Problem> {
    let word = view.context.form.text("role");
    let role = [Role::Admin, Role::Tenant, Role::Reader].into_iter().find(|role| role.as_str() == word);
    role.ok_or_else(|| Problem::invalid(format!("role: \"{word}\" is no role; choose admin, tenant or reader")))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Desk;
    use api::fabric::Role;

    #[test]
    fn only_admins_see_who_may_what_and_forms_of_others_are_refused() {
        let forms = [
            ("/fabric/access/users", [("name", "eve"), ("role", "admin")]),
            ("/fabric/access/tokens", [("name", "eve"), ("role", "admin")]),
            ("/fabric/access/join-tokens", [("host", ""), ("seconds", "3600")]),
            ("/fabric/access/users/admin/password", [("new", ""), ("x", "")]),
            ("/fabric/access/users/admin/delete", [("x", ""), ("y", "")]),
            ("/fabric/access/tokens/admin/delete", [("x", ""), ("y", "")]),
        ];
        let reader = Desk::of(Role::Reader, None);
        assert_eq!(reader.get("/fabric/access").status, 403);
        reader.get("/fabric/access").lacks("admin</");
        let tenant = Desk::of(Role::Tenant, Some("blue"));
        assert_eq!(tenant.get("/fabric/access").status, 404);
        for (address, form) in forms {
            let page = reader.post(address, &form);
            assert_eq!(page.status, 403, "{address}: {}", page.text);
            page.has("only an admin may");
            assert_eq!(tenant.post(address, &form).status, 404, "{address}");
        }
    }

    #[test]
    fn nothing_is_behind_the_addresses_of_forms() {
        let desk = Desk::of(Role::Admin, None);
        for part in ["users", "tokens", "join-tokens"] {
            assert_eq!(desk.get(&format!("/fabric/access/{part}")).location, "/fabric/access");
        }
        assert_eq!(desk.get("/fabric/access/none").status, 404);
    }
}
