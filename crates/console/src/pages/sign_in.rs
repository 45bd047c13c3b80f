//! Signing in; and the same for somebody whose session has ended while a form was open: what was typed is kept in the page.

use api::Problem;
use api::fabric::PageAnswer;
use maud::{Markup, html};

use crate::context::{Context, View};
use crate::forms::typed;
use crate::layout;
use crate::secrets::without_secrets;
use crate::texts::common::*;

/// Fields of declarations, in which there may be secrets.
const DECLARATIONS: [&str; 2] = ["spec", "yaml"];

/// Fields that are never sent back: they are secret, or belong to the session.
const NEVER: [&str; 5] = ["csrf", "password", "old-password", "secret", "psk"];

/// The page with the form; `next` is where it leads.
pub fn page(context: &Context<'_>, status: u16, next: &str, problem: Option<&Problem>) -> PageAnswer {
    let body = html! {
        h1 { (context.t(SIGN_IN)) }
        @if context.query.is_set("signed-out") { p.done role="status" { (context.t(SIGNED_OUT)) } }
        @if let Some(problem) = problem { (layout::problem(context, problem)) }
        form.card.narrow method="post" action="/sign-in" {
            input type="hidden" name="next" value=(next);
            (fields(context))
            button.main type="submit" { (context.t(SIGN_IN)) }
        }
        (elsewhere(context, next))
    };
    layout::open_page(context, status, context.t(SIGN_IN), &body)
}

fn fields(context: &Context<'_>) -> Markup {
    html! {
        label.field { span { (context.t(USER)) }
            input name="user" required autocomplete="username" autofocus value=(context.form.text("user"));
        }
        label.field { span { (context.t(PASSWORD)) }
            input type="password" name="password" required autocomplete="current-password";
        }
    }
}

/// The way to an identity provider, if the controller knows one.
fn elsewhere(context: &Context<'_>, next: &str) -> Markup {
    html! {
        @if let Some(provider) = context.api.identity_provider() {
            p { a.button href={ "/sign-in/openid" (crate::forms::query(&[("next", next)])) } {
                (SIGN_IN_WITH.with(context.language, &[&provider.name]))
            } }
        }
    }
}

/// The answer to a form that nobody is known for any more. Signing in opens in a tab of its own; the form that was sent stands
/// here meanwhile, and is sent again by a button.
pub fn with_form(context: &Context<'_>) -> PageAnswer {
    let body = html! {
        h1 { (context.t(SIGN_IN)) }
        div.problem role="alert" { p { (context.t(SESSION_OVER)) } }
        p { a.button.main href="/sign-in" target="_blank" rel="noopener" { (context.t(SIGN_IN)) } }
        (kept(context, None))
    };
    layout::open_page(context, 401, context.t(SIGN_IN), &body)
}

/// The same when another session has begun since: the form is one button away.
pub fn again(view: &View<'_>) -> PageAnswer {
    let context = &view.context;
    let body = html! {
        h1 { (context.t(SESSION_OVER)) }
        (kept(context, Some(view)))
    };
    layout::with_status(view, 409, context.t(SESSION_OVER), &body)
}

/// What was typed, as a form of its own.
fn kept(context: &Context<'_>, view: Option<&View<'_>>) -> Markup {
    let shown = context.form.pairs().filter(|(name, _)| !NEVER.contains(name)).map(|(name, value)| {
        (name, if DECLARATIONS.contains(&name) { without_secrets(value) } else { value.to_owned() })
    });
    html! {
        form.card method="post" action=(context.here()) {
            @if let Some(view) = view { (layout::csrf(view)) }
            @for (name, value) in shown {
                label.field { span { (name) } textarea name=(name) rows="2" { (typed(&value)) } }
            }
            button.main type="submit" { (context.t(SAVE)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::pages::tenant::testing::Desk;

    #[test]
    fn what_was_typed_is_kept_without_its_secrets() {
        let desk = Desk::of_blue();
        let spec = "\n# home\nvmNetwork: front\nipsec: {psk: opensesame, remote: 198.51.100.1}\n";
        let form = [("name", "x"), ("spec", spec), ("psk", "opensesame"), ("yaml", "\n\nkind: port # ours\n")];
        let page = desk.post_with("of an earlier session", "/t/blue/gateway-connections/new/yaml", &form);
        assert_eq!(page.status, 409);
        page.lacks("opensesame").has("(hidden)").has("vmNetwork: front").has(">\nx</textarea>");
        page.has(">\n\n\nkind: port # ours\n</textarea>");
    }
}
