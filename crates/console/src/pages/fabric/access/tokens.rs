//! Tokens of programs: made and ended.

use api::Problem;
use api::fabric::{NewToken, PageAnswer, Token};
use maud::{Markup, html};
use model::fabric::ResourceName;

use super::super::pieces;
use super::{HERE, Told, buttons, question, role, who_fields};
use crate::context::View;
use crate::forms::query;
use crate::texts::common::*;
use crate::texts::fabric::*;
use crate::{answer, layout};

/// Makes a token.
///
/// # Errors
/// Those of the form, and of [`api::fabric::FabricApi::create_token`].
pub fn create(view: &View<'_>) -> Result<Told, Problem> {
    let form = &view.context.form;
    let token = NewToken {
        name: form.need("name")?,
        role: role(view)?,
        tenant: form.parse("tenant")?,
        seconds: form.parse("seconds")?,
    };
    let seconds = token.seconds;
    let made = view.context.api.create_token(view.caller(), token)?;
    let name = made.token.name.as_str();
    let tenant = made.token.tenant.as_ref().map(|tenant| format!(" --tenant {}", layout::word(tenant.as_str())));
    let expires = seconds.map(|seconds| format!(" --expires {seconds}s"));
    Ok(Told {
        sentence: view.tf(TOKEN_MADE, &[name]),
        secret: Some(made.secret),
        command: format!(
            "netvirt create token {} --role {}{}{}",
            layout::word(name),
            made.token.role,
            tenant.unwrap_or_default(),
            expires.unwrap_or_default()
        ),
    })
}

/// The tokens, and the form for another one.
///
/// # Errors
/// Those of [`api::fabric::FabricApi::tokens`].
pub fn section(view: &View<'_>, refused: Option<&Problem>) -> Result<Markup, Problem> {
    let tokens = view.context.api.tokens(view.caller())?;
    let rows: Vec<Markup> = tokens.iter().map(|token| row(view, token)).collect();
    let columns = [NAME, ROLE, TENANT, CREATED, EXPIRES, EDIT];
    let lasts = [("", FOR_GOOD), ("86400", DAY), ("2592000", MONTH), ("31536000", YEAR)];
    let lasts = lasts.map(|(seconds, text)| (seconds.to_owned(), view.t(text).to_owned()));
    let chosen = if refused.is_some() { view.context.form.text("seconds") } else { "" };
    Ok(html! {
        section aria-labelledby="tokens" {
            h2 #tokens { (view.t(TOKENS)) }
            (pieces::table(view, TOKENS, &columns, &rows, NOTHING))
            details open[refused.is_some()] {
                summary { (view.t(NEW_TOKEN)) }
                @if let Some(problem) = refused { (layout::problem(&view.context, problem)) }
                form.card.narrow method="post" action={ (HERE) "/tokens" } {
                    (layout::csrf(view))
                    (who_fields(view, refused.is_some()))
                    (pieces::field(view, SECONDS, None, &pieces::select("seconds", chosen, &lasts)))
                    button.main type="submit" { (view.t(CREATE)) }
                }
            }
            (layout::command(view, &["netvirt get tokens".to_owned()]))
        }
    })
}

fn row(view: &View<'_>, token: &Token) -> Markup {
    html! {
        th scope="row" { (token.name) }
        td { (token.role) }
        td { @if let Some(tenant) = &token.tenant { a href=(layout::tenant_address(tenant)) { (tenant) } } }
        td { (pieces::time(&token.created)) }
        td { @match &token.expires { Some(expires) => (pieces::time(expires)), None => (view.t(NEVER)) } }
        td {
            a href={ (HERE) "/tokens/" (layout::segment(token.name.as_str())) "/delete" } {
                (view.t(DELETE)) span.unseen { " " (token.name) }
            }
        }
    }
}

/// Asks before a token ends, and has it end.
///
/// # Errors
/// Those of the interface that no form can be shown for.
pub fn delete(view: &View<'_>, name: &ResourceName) -> Result<PageAnswer, Problem> {
    let mut refused = None;
    let what = format!("token \"{name}\"");
    if view.context.is_post() {
        match view.context.api.delete_token(view.caller(), name) {
            Ok(()) => {
                let done = query(&[("done", "deleted"), ("what", &what)]);
                return Ok(answer::see_other(&format!("{HERE}{done}")));
            }
            Err(problem) => refused = Some(problem),
        }
    }
    if refused.is_none() && !view.context.api.tokens(view.caller())?.iter().any(|token| token.name == *name) {
        return Err(crate::pages::nowhere());
    }
    let inside = buttons(view, DELETE);
    Ok(question(view, &view.tf(DELETE_QUESTION, &[&what]), DELETE_TOKEN_HINT, &inside, refused.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Desk;
    use api::fabric::{FabricApi as _, Role};

    #[test]
    fn a_token_s_secret_is_told_once_and_ends_with_it() {
        let desk = Desk::of(Role::Admin, None);
        let form = [("name", "ci"), ("role", "reader"), ("tenant", ""), ("seconds", "86400")];
        let page = desk.post("/fabric/access/tokens", &form);
        assert_eq!((page.status, page.cache.as_str()), (200, "no-store"));
        page.has("netvirt create token ci --role reader --expires 86400s");
        let secret = page.between("<pre tabindex=\"0\"><code>", "</code>");
        assert_eq!(desk.api.authenticate(&secret).unwrap().name.as_str(), "ci");
        desk.get("/fabric/access").has("ci").lacks(&secret);
        let page = desk.post("/fabric/access/tokens", &form);
        assert_eq!(page.status, 409);
        page.has("value=\"ci\"").has("value=\"86400\" selected").lacks(&secret);
        desk.get("/fabric/access/tokens/ci/delete").says("Delete token \"ci\"?");
        desk.post("/fabric/access/tokens/ci/delete", &[]).leads_on(&desk).says("token \"ci\" was deleted.");
        assert!(desk.api.authenticate(&secret).is_err());
        assert_eq!(desk.get("/fabric/access/tokens/ci/delete").status, 404);
    }
}
