//! Signing in by an identity provider (OpenID Connect Core 1.0, section 3.1): a browser is sent there and comes back with a
//! code, for which the provider tells this server who it is. What that person may do is the controller's to say.
//!
//! `attempt` is what a sign-in remembers while the browser is away, `provider` asks the provider, `web` carries the questions.

mod attempt;
mod provider;
mod web;

use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;

use api::fabric::PageAnswer;
use api::fabric::accounts::{Identity, IdentityProvider, same};
use api::{Problem, ProblemType};

use self::attempt::Attempt;
pub use self::provider::Providers;
use crate::answer;
use crate::context::{Context, cookie};
use crate::{forms, pages, session};

/// The cookie of a sign-in that is under way.
const COOKIE: &str = "__Host-netvirt-openid";

/// Where browsers come back to.
const CALLBACK: &str = "/sign-in/openid/callback";

/// Most characters of what a provider says that are shown.
const MAX_TOLD: usize = 200;

/// Sends the browser to the provider.
pub fn start(context: &Context<'_>, providers: &Providers) -> PageAnswer {
    let next = session::local(context.query.first("next").unwrap_or("/"));
    let begun = configured(context).and_then(|provider| {
        if let Some(place) = elsewhere(context, &provider, &next) {
            return Ok(answer::see_other(&place));
        }
        let redirect = redirect_uri(context, &provider)?;
        let attempt = Attempt::new(SystemTime::now(), &next);
        let place = providers.address(&provider, &attempt, redirect)?;
        let mut answer = answer::see_other(&place);
        answer.fields.push(("set-cookie", set_cookie(attempt.cookie(), attempt::LIFE.as_secs())));
        Ok(answer)
    });
    begun.unwrap_or_else(|problem| refused(context, &next, &problem))
}

/// The browser comes back. Whatever comes of it, this sign-in is over.
pub fn callback(context: &Context<'_>, providers: &Providers) -> PageAnswer {
    let attempt = cookie(context.request, COOKIE).and_then(|cookie| Attempt::read(cookie, SystemTime::now()));
    let next = session::local(attempt.as_ref().map_or("/", Attempt::next));
    let signed_in = configured(context).and_then(|provider| {
        let code = code(context, &provider, attempt.as_ref())?;
        let attempt = attempt.as_ref().ok_or_else(not_begun)?;
        let claims = providers.claims(&provider, attempt, code, redirect_uri(context, &provider)?)?;
        let subject = claims.get("sub").and_then(|sub| sub.as_str()).unwrap_or_default().to_owned();
        let from = context.request.peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        context.api.sign_in_with(Identity { issuer: provider.issuer, subject, claims, from })
    });
    let mut answer = match signed_in {
        Ok(session) => session::begun(session.secret.as_str(), session.expires, &next),
        Err(problem) => refused(context, &next, &problem),
    };
    answer.fields.push(("set-cookie", set_cookie("", 0)));
    answer
}

/// The page that asks to sign in, with what was in the way; the password is another way.
fn refused(context: &Context<'_>, next: &str, problem: &Problem) -> PageAnswer {
    tracing::warn!("a sign-in by the identity provider failed: {}", problem.detail);
    pages::sign_in::page(context, problem.status, next, Some(problem))
}

fn configured(context: &Context<'_>) -> Result<IdentityProvider, Problem> {
    context.api.identity_provider().ok_or_else(|| {
        let detail = "the controller knows no identity provider; sign in with a user of the controller, or have an operator \
                      name one under console.openid of its configuration";
        Problem::not_found(detail)
    })
}

fn not_begun() -> Problem {
    let detail = "this sign-in was not begun in this browser, or longer than ten minutes ago; begin it again, with cookies \
                  allowed for this site";
    Problem::new(ProblemType::BadRequest, detail)
}

/// The code that the provider has sent back by the browser. Nothing is looked at before it is clear that the browser has asked
/// for it: else somebody could be signed in as another by a link.
fn code<'c>(
    context: &'c Context<'_>,
    provider: &IdentityProvider,
    attempt: Option<&Attempt>,
) -> Result<&'c str, Problem> {
    let attempt = attempt.ok_or_else(not_begun)?;
    let refused = |kind, detail: String| Problem::new(kind, detail);
    if !same(attempt.state().as_bytes(), context.query.text("state").as_bytes()) {
        let detail = format!(
            "what came back from {} belongs to no sign-in of this browser, or to an earlier one; begin it again",
            provider.name
        );
        return Err(refused(ProblemType::BadRequest, detail));
    }
    // Providers that name themselves must be the right one (RFC 9207, section 2.4).
    if let Some(issuer) = context.query.given("iss").filter(|issuer| *issuer != provider.issuer) {
        let detail = format!("{} answered instead of {}; begin again", told(issuer), provider.issuer);
        return Err(refused(ProblemType::BadRequest, detail));
    }
    if let Some(error) = context.query.given("error") {
        let why = context.query.given("error_description").map_or_else(String::new, |why| format!(" ({})", told(why)));
        let detail = format!(
            "{} did not sign you in: {}{why}; try again, or ask those who keep it whether you may use \"{}\"",
            provider.name,
            told(error),
            provider.client_id
        );
        return Err(refused(ProblemType::Forbidden, detail));
    }
    context.query.given("code").ok_or_else(|| {
        let detail = format!("{} sent you back without a code; begin again", provider.name);
        refused(ProblemType::BadRequest, detail)
    })
}

/// What others say, as much as fits into a sentence.
fn told(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.char_indices().nth(MAX_TOLD) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Where the provider sends the browser back to: as configured, or else the console by the name that the browser knows it by.
///
/// The name that a browser shows needs no other check: a page cannot choose it for a browser, the browser has compared it
/// with the certificate, the provider sends nobody to an address that is not registered there, and whoever comes back under
/// another name comes without the cookie.
fn redirect_uri(context: &Context<'_>, provider: &IdentityProvider) -> Result<String, Problem> {
    if let Some(configured) = &provider.redirect_uri {
        return Ok(configured.clone());
    }
    let host = context.request.field("host");
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    if host.is_empty() || host.len() > 255 || !host.chars().all(fits) {
        let detail = "the browser does not say by which name it calls the console; an operator may set \
                      console.openid.redirectUri";
        return Err(Problem::new(ProblemType::BadRequest, detail));
    }
    Ok(format!("https://{host}{CALLBACK}"))
}

/// The same page under the name that the provider sends browsers back to, so that they have the cookie there. One that comes
/// from there already stays, whatever a proxy has made of the name.
fn elsewhere(context: &Context<'_>, provider: &IdentityProvider, next: &str) -> Option<String> {
    let authority = provider.redirect_uri.as_deref()?.strip_prefix("https://")?.strip_suffix(CALLBACK)?;
    if context.query.is_set("moved") || authority == context.request.field("host") {
        return None;
    }
    Some(format!("https://{authority}/sign-in/openid{}", forms::query(&[("next", next), ("moved", "1")])))
}

fn set_cookie(value: &str, seconds: u64) -> String {
    format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax")
}
