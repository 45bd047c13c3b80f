//! Who asks: signing in and out, the cookie, and what becomes of a form when a session has ended meanwhile.

use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;

use api::fabric::accounts::{SessionInfo, SignIn};
use api::fabric::{PageAnswer, PageMethod, PageRequest};
use api::{Problem, ProblemType};

use crate::answer;
use crate::context::{Context, LANGUAGE_COOKIE, THEME_COOKIE, Theme, cookie};
use crate::pages;
use crate::texts::Language;

/// The cookie with the session's secret. The prefix has browsers refuse it where it is not for this host alone, over TLS
/// (RFC 6265bis, section 4.1.3.2).
const COOKIE: &str = "__Host-netvirt";

/// For how long preferences are kept, in seconds: a year.
const YEAR: u32 = 31_536_000;

/// The session of a request. What the page's script asks for by itself, again and again, is no use of it: else a page that is
/// left open would keep its session for ever.
///
/// # Errors
/// [`ProblemType::Unauthorized`] when it has none, or one that is over.
pub fn of(context: &Context<'_>) -> Result<SessionInfo, Problem> {
    let secret = secret(context.request);
    let secret = secret.ok_or_else(|| Problem::new(ProblemType::Unauthorized, "nobody has signed in"))?;
    if is_by_itself(context.request) { context.api.session_lasts(secret) } else { context.api.session(secret) }
}

/// Whether nobody has asked for it but the page's script: the page once more, or the stream of what changes.
fn is_by_itself(request: &PageRequest) -> bool {
    request.method == PageMethod::Get && is_of_script(request)
}

/// Whether a script wants it, and no page that is looked at.
fn is_of_script(request: &PageRequest) -> bool {
    request.field("accept").contains("text/event-stream") || request.field("x-fragment") == "1"
}

/// The secret that a request shows.
pub fn secret(request: &PageRequest) -> Option<&str> {
    cookie(request, COOKIE).filter(|secret| !secret.is_empty())
}

/// The page that asks to sign in, and what becomes of its form.
pub fn sign_in(context: &Context<'_>) -> PageAnswer {
    let next = local(context.query.first("next").or(context.form.first("next")).unwrap_or("/"));
    if !context.is_post() {
        return pages::sign_in::page(context, 200, &next, None);
    }
    let sign_in = SignIn {
        name: context.form.text("user").to_owned(),
        password: context.form.first("password").unwrap_or_default().into(),
        from: context.request.peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
    };
    match context.api.sign_in(sign_in) {
        Ok(session) => begun(session.secret.as_str(), session.expires, &next),
        Err(problem) => pages::sign_in::page(context, problem.status, &next, Some(&problem)),
    }
}

/// The answer with which a session begins.
pub fn begun(secret: &str, expires: SystemTime, next: &str) -> PageAnswer {
    let left = expires.duration_since(SystemTime::now()).map_or(0, |left| left.as_secs());
    let mut answer = answer::see_other(next);
    answer
        .fields
        .push(("set-cookie", format!("{COOKIE}={secret}; Path=/; Max-Age={left}; Secure; HttpOnly; SameSite=Lax")));
    answer
}

/// Ends the session, if there is one. Its own form alone can do so.
pub fn sign_out(context: &Context<'_>) -> PageAnswer {
    if let (Some(secret), Ok(session)) = (secret(context.request), of(context)) {
        if !session.is_csrf(context.form.text("csrf")) {
            return answer::see_other("/");
        }
        // One that is over already has nothing to end.
        let _ = context.api.sign_out(secret);
    }
    let mut answer = answer::see_other("/sign-in?signed-out");
    answer.fields.push(("set-cookie", format!("{COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax")));
    answer
}

/// Keeps the language and the look that somebody has chosen.
pub fn prefer(context: &Context<'_>) -> PageAnswer {
    let mut answer = answer::see_other(&local(context.form.text("next")));
    let mut keep = |name: &str, value: &str| {
        let cookie = format!("{name}={value}; Path=/; Max-Age={YEAR}; Secure; SameSite=Lax");
        answer.fields.push(("set-cookie", cookie));
    };
    if let Some(language) = Language::of(context.form.text("language")) {
        keep(LANGUAGE_COOKIE, language.tag());
    }
    let theme = context.form.text("theme");
    if let Some(theme) = Theme::ALL.into_iter().find(|one| one.as_str() == theme) {
        keep(THEME_COOKIE, theme.as_str());
    }
    answer
}

/// The answer to somebody who has no session. What was asked for is opened after signing in; a form that was sent is kept in
/// the page, and can be sent again.
pub fn ask(context: &Context<'_>, request: &PageRequest) -> PageAnswer {
    if context.is_post() {
        return pages::sign_in::with_form(context);
    }
    if is_of_script(request) {
        return answer::json_status(401, &serde_json::json!({ "signIn": true }));
    }
    answer::see_other(&format!("/sign-in{}", crate::forms::query(&[("next", &context.here())])))
}

/// A place in the console, or its first page: nobody is led away from here.
pub fn local(next: &str) -> String {
    let inside = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n', '\t']);
    if inside && !next.starts_with("/sign-") { next.to_owned() } else { "/".to_owned() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use api::fabric::memory::{ADMIN_PASSWORD, MemoryFabric};
    use api::fabric::{FabricApi as _, Pages as _};

    use super::*;
    use crate::Console;

    #[test]
    fn what_a_page_asks_for_by_itself_is_no_use_of_the_session() {
        let fabric = Arc::new(MemoryFabric::new());
        let sign_in =
            SignIn { name: "admin".to_owned(), password: ADMIN_PASSWORD.into(), from: Ipv4Addr::LOCALHOST.into() };
        let secret = fabric.sign_in(sign_in).unwrap().secret;
        let console = Console { api: fabric.clone(), providers: crate::openid::Providers::default() };
        let uses = |method, path: &str, secret: &str, field: (&str, &str)| {
            let before = fabric.session_uses(secret);
            let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            let fields = vec![owned(("cookie", &format!("{COOKIE}={secret}"))), owned(field)];
            let request = PageRequest { method, path: path.to_owned(), fields, ..PageRequest::default() };
            (console.answer(&request).status, fabric.session_uses(secret) - before)
        };
        let (secret, fragment) = (secret.as_str(), ("x-fragment", "1"));
        assert_eq!(uses(PageMethod::Get, "/fabric/audit", secret, ("accept", "text/html")), (200, 1));
        assert_eq!(uses(PageMethod::Get, "/fabric/audit", secret, fragment), (200, 0));
        assert_eq!(uses(PageMethod::Get, "/events", secret, ("accept", "text/event-stream")), (200, 0));
        assert_eq!(uses(PageMethod::Get, "/fabric/audit", "made up", fragment), (401, 0));
        // Drafts are sent while somebody types.
        assert_eq!(uses(PageMethod::Post, "/fabric/audit", secret, fragment).1, 1);
    }

    #[test]
    fn nobody_is_led_away() {
        assert_eq!(local("/t/blue?q=a%2Fb"), "/t/blue?q=a%2Fb");
        for elsewhere in ["https://evil.example", "//evil.example", "/\\evil.example", "", "/sign-in", "/a\r\nb"] {
            assert_eq!(local(elsewhere), "/", "{elsewhere}");
        }
    }
}
