//! Tokens with which hosts join, as the command that is run there.

use api::Problem;
use api::fabric::NewJoinToken;
use maud::{Markup, html};

use super::super::pieces;
use super::{HERE, Told};
use crate::context::View;
use crate::layout;
use crate::texts::fabric::*;

/// Makes a token.
///
/// # Errors
/// Those of the form, and of [`api::fabric::FabricApi::create_join_token`].
pub fn create(view: &View<'_>) -> Result<Told, Problem> {
    let form = &view.context.form;
    let asked = NewJoinToken { host: form.parse("host")?, seconds: form.parse("seconds")? };
    let name = asked.host.as_ref().map(|host| format!(" --name {}", layout::word(host.as_str()))).unwrap_or_default();
    let made = view.context.api.create_join_token(view.caller(), asked)?;
    let [controller, token] = [&made.controller, &made.token].map(|text| layout::word(text));
    Ok(Told {
        sentence: view.tf(JOIN_MADE, &[&made.expires]),
        secret: Some(format!("netvirt host join --controller {controller} --token {token} --uplink INTERFACE{name}")),
        command: format!("netvirt create join-token{name}"),
    })
}

/// The form for a token.
pub fn section(view: &View<'_>, refused: Option<&Problem>) -> Markup {
    let typed = |name: &str| if refused.is_some() { view.context.form.first(name).unwrap_or_default() } else { "" };
    let lasts = [("3600", HOUR), ("86400", DAY), ("2592000", MONTH)];
    let lasts = lasts.map(|(seconds, text)| (seconds.to_owned(), view.t(text).to_owned()));
    html! {
        section aria-labelledby="join" {
            h2 #join { (view.t(JOINING)) }
            p { (view.t(JOIN_HINT)) }
            @if let Some(problem) = refused { (layout::problem(&view.context, problem)) }
            form.card.narrow method="post" action={ (HERE) "/join-tokens" } {
                (layout::csrf(view))
                (pieces::field(view, HOST, Some(JOIN_HOST_HINT), &html! {
                    input name="host" maxlength="63" autocomplete="off" value=(typed("host"));
                }))
                (pieces::field(view, SECONDS, None, &pieces::select("seconds", typed("seconds"), &lasts)))
                button.main type="submit" { (view.t(MAKE_JOIN_TOKEN)) }
            }
            (layout::command(view, &["netvirt create join-token".to_owned()]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Desk, EVIL};
    use api::fabric::Role;

    #[test]
    fn the_command_to_join_with_is_told_once() {
        let desk = Desk::of(Role::Admin, None);
        let page = desk.post("/fabric/access/join-tokens", &[("host", "host17"), ("seconds", "3600")]);
        assert_eq!((page.status, page.cache.as_str()), (200, "no-store"));
        let line = page.between("<pre tabindex=\"0\"><code>", "</code>");
        assert!(line.starts_with("netvirt host join --controller 127.0.0.1:7444 --token join-"), "{line}");
        assert!(line.ends_with(" --uplink INTERFACE --name host17"), "{line}");
        page.has("netvirt create join-token --name host17");
        desk.get("/fabric/access").lacks(&line);
    }

    #[test]
    fn what_is_no_host_is_said_and_kept() {
        let desk = Desk::of(Role::Admin, None);
        let page = desk.post("/fabric/access/join-tokens", &[("host", EVIL), ("seconds", "86400")]);
        assert_eq!(page.status, 422);
        page.says(EVIL).has("value=\"86400\" selected").lacks("netvirt host join");
    }
}
