//! Users: made, given another password, deleted.

use api::Problem;
use api::fabric::PageAnswer;
use api::fabric::accounts::{NewPassword, NewUser, Secret, User, UserSource};
use maud::{Markup, html};
use model::fabric::ResourceName;

use super::super::pieces;
use super::{HERE, Told, buttons, question, role, told_page, who_fields};
use crate::context::View;
use crate::forms::query;
use crate::texts::common::*;
use crate::texts::fabric::*;
use crate::{answer, layout};

fn password_typed(view: &View<'_>) -> Option<Secret> {
    view.context.form.first("password").filter(|typed| !typed.is_empty()).map(Secret::from)
}

/// Makes a user.
///
/// # Errors
/// Those of the form, and of [`api::fabric::FabricApi::create_user`].
pub fn create(view: &View<'_>) -> Result<Told, Problem> {
    let form = &view.context.form;
    let user = NewUser {
        name: form.need("name")?,
        role: role(view)?,
        tenant: form.parse("tenant")?,
        password: password_typed(view),
    };
    let made = view.context.api.create_user(view.caller(), user)?;
    let name = made.user.name.as_str();
    let text = if made.password.is_some() { USER_MADE } else { USER_MADE_PLAIN };
    let tenant = made.user.tenant.as_ref().map(|tenant| format!(" --tenant {}", layout::word(tenant.as_str())));
    Ok(Told {
        sentence: view.tf(text, &[name]),
        secret: made.password.as_ref().map(|password| password.as_str().to_owned()),
        command: format!(
            "netvirt create user {} --role {}{}{}",
            layout::word(name),
            made.user.role,
            tenant.unwrap_or_default(),
            if made.password.is_some() { "" } else { " --password" }
        ),
    })
}

/// The users, and the form for another one.
///
/// # Errors
/// Those of [`api::fabric::FabricApi::users`].
pub fn section(view: &View<'_>, refused: Option<&Problem>) -> Result<Markup, Problem> {
    let users = view.context.api.users(view.caller())?;
    let rows: Vec<Markup> = users.iter().map(|user| row(view, user)).collect();
    let columns = [NAME, ROLE, TENANT, SOURCE, CREATED, EDIT];
    Ok(html! {
        section aria-labelledby="users" {
            h2 #users { (view.t(PEOPLE)) }
            (pieces::table(view, PEOPLE, &columns, &rows, NOTHING))
            details open[refused.is_some()] {
                summary { (view.t(NEW_USER)) }
                @if let Some(problem) = refused { (layout::problem(&view.context, problem)) }
                form.card.narrow method="post" action={ (HERE) "/users" } {
                    (layout::csrf(view))
                    (who_fields(view, refused.is_some()))
                    (password_field(view))
                    button.main type="submit" { (view.t(CREATE)) }
                }
            }
            (layout::command(view, &["netvirt get users".to_owned()]))
        }
    })
}

fn password_field(view: &View<'_>) -> Markup {
    pieces::field(
        view,
        PASSWORD,
        Some(PASSWORD_HINT),
        &html! {
            input type="password" name="password" autocomplete="new-password";
        },
    )
}

fn row(view: &View<'_>, user: &User) -> Markup {
    let base = format!("{HERE}/users/{}", layout::segment(user.name.as_str()));
    html! {
        th scope="row" { (user.name) }
        td { (user.role) }
        td { @if let Some(tenant) = &user.tenant { a href=(layout::tenant_address(tenant)) { (tenant) } } }
        td {
            @match &user.source {
                UserSource::Local => (view.t(BY_PASSWORD)),
                UserSource::OpenId(issuer) => (issuer),
            }
        }
        td { (pieces::time(&user.created)) }
        td {
            @if user.source == UserSource::Local {
                a href={ (base) "/password" } { (view.t(RESET_PASSWORD)) span.unseen { " " (user.name) } } " "
            }
            a href={ (base) "/delete" } { (view.t(DELETE)) span.unseen { " " (user.name) } }
        }
    }
}

/// Gives a user another password, which is told once if it was made up.
///
/// # Errors
/// Those of the interface that no form can be shown for.
pub fn password(view: &View<'_>, name: &ResourceName) -> Result<PageAnswer, Problem> {
    let mut refused = None;
    if view.context.is_post() {
        let form = &view.context.form;
        let old = form.first("old-password").filter(|typed| !typed.is_empty()).map(Secret::from);
        let new = NewPassword { old, new: password_typed(view) };
        match view.context.api.set_password(view.caller(), name, new) {
            Ok(set) => {
                let (text, made_up) = match set.password {
                    Some(_) => (PASSWORD_SET, " --generate"),
                    None => (PASSWORD_SET_PLAIN, ""),
                };
                let told = Told {
                    sentence: view.tf(text, &[name.as_str()]),
                    secret: set.password.map(|password| password.as_str().to_owned()),
                    command: format!("netvirt set password {}{made_up}", layout::word(name.as_str())),
                };
                return Ok(told_page(view, &told));
            }
            Err(problem) => refused = Some(problem),
        }
    }
    exists(view, name)?;
    let own = view.session.user.name == *name;
    let inside = html! {
        @if own {
            (pieces::field(view, OLD_PASSWORD, None, &html! {
                input type="password" name="old-password" required autocomplete="current-password";
            }))
        }
        (password_field(view))
        (buttons(view, RESET_PASSWORD))
    };
    Ok(question(view, &view.tf(RESET_QUESTION, &[name.as_str()]), RESET_HINT, &inside, refused.as_ref()))
}

/// Whether there is such a user, as far as the caller may know.
fn exists(view: &View<'_>, name: &ResourceName) -> Result<(), Problem> {
    let users = view.context.api.users(view.caller())?;
    let found = users.iter().any(|user| user.name == *name);
    if found { Ok(()) } else { Err(crate::pages::nowhere()) }
}

/// Asks before a user goes, and has it go.
///
/// # Errors
/// Those of the interface that no form can be shown for.
pub fn delete(view: &View<'_>, name: &ResourceName) -> Result<PageAnswer, Problem> {
    let mut refused = None;
    let what = format!("user \"{name}\"");
    if view.context.is_post() {
        match view.context.api.delete_user(view.caller(), name) {
            Ok(()) => {
                let done = query(&[("done", "deleted"), ("what", &what)]);
                return Ok(answer::see_other(&format!("{HERE}{done}")));
            }
            Err(problem) => refused = Some(problem),
        }
    }
    if refused.is_none() {
        exists(view, name)?;
    }
    let inside = buttons(view, DELETE);
    Ok(question(view, &view.tf(DELETE_QUESTION, &[&what]), DELETE_USER_HINT, &inside, refused.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Desk, EVIL, admin};
    use api::fabric::accounts::SignIn;
    use api::fabric::{FabricApi as _, Role};

    fn may_sign_in(desk: &Desk, name: &str, password: &str) -> bool {
        let sign_in = SignIn { name: name.into(), password: password.into(), from: [127, 0, 0, 1].into() };
        desk.api.sign_in(sign_in).is_ok()
    }

    #[test]
    fn a_made_up_password_is_told_once() {
        let desk = Desk::of(Role::Admin, None);
        let form = [("name", "tim"), ("role", "tenant"), ("tenant", "blue"), ("password", "")];
        let page = desk.post("/fabric/access/users", &form);
        assert_eq!((page.status, page.cache.as_str()), (200, "no-store"));
        page.has("User tim was created").has("netvirt create user tim --role tenant --tenant blue");
        let password = page.between("<pre tabindex=\"0\"><code>", "</code>");
        assert!(may_sign_in(&desk, "tim", &password), "{password}");
        // Nothing shows it again: not the page, and not the form sent a second time.
        desk.get("/fabric/access").has("tim").lacks(&password);
        let page = desk.post("/fabric/access/users", &form);
        assert_eq!(page.status, 409);
        page.lacks(&password).has("value=\"tim\"").has("value=\"blue\"");
    }

    #[test]
    fn what_is_refused_stands_beside_the_form_with_what_was_typed() {
        let desk = Desk::of(Role::Admin, None);
        let password = "a password of mine";
        let form = [("name", EVIL), ("role", "reader"), ("tenant", EVIL), ("password", password)];
        let page = desk.post("/fabric/access/users", &form);
        assert_eq!(page.status, 422);
        page.says(EVIL).has("value=\"reader\" selected").has("<details open>").lacks(password);
        let page = desk.post("/fabric/access/users", &[("name", "tim"), ("role", "tenant")]);
        page.has("needs a tenant").has("value=\"tim\"");
        let page = desk.post("/fabric/access/users", &[("name", "tim"), ("role", "boss")]);
        page.says("role: \"boss\" is no role");
    }

    #[test]
    fn a_password_is_set_anew_and_a_user_goes() {
        let desk = Desk::of(Role::Admin, None);
        desk.post("/fabric/access/users", &[("name", "tim"), ("role", "admin"), ("password", "correct horse")]);
        assert!(may_sign_in(&desk, "tim", "correct horse"));
        desk.get("/fabric/access/users/tim/password").has("A new password for tim?").lacks("old-password");
        let page = desk.post("/fabric/access/users/tim/password", &[("password", "short")]);
        assert_eq!(page.status, 422);
        let page = desk.post("/fabric/access/users/tim/password", &[("password", "")]);
        let password = page.between("<pre tabindex=\"0\"><code>", "</code>");
        assert!(may_sign_in(&desk, "tim", &password) && !may_sign_in(&desk, "tim", "correct horse"));
        desk.get("/fabric/access/users/tim/delete").says("Delete user \"tim\"?");
        desk.post("/fabric/access/users/tim/delete", &[]).leads_on(&desk).says("user \"tim\" was deleted.");
        assert!(!desk.api.users(&admin()).unwrap().iter().any(|user| user.name.as_str() == "tim"));
        assert_eq!(desk.get("/fabric/access/users/tim/delete").status, 404);
        // One's own needs the old one.
        desk.get("/fabric/access/users/somebody/password").has("old-password");
    }
}
