//! Answers, and the header fields by which browsers are told what pages may do.

use api::fabric::{PageAnswer, PageBody, PageEvents};
use maud::Markup;

/// Where scripts, styles, pictures and forms may come from and lead: here alone (Content Security Policy Level 3). What
/// stands in a page cannot run or style anything, so that stored text stays text even where it should slip through.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
                      connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every answer says.
fn fields(kind: &str) -> Vec<(&'static str, String)> {
    [
        ("content-type", kind),
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        // A year, as browsers ask for; it counts only where the certificate is trusted (RFC 6797, section 8.1).
        ("strict-transport-security", "max-age=31536000"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

/// An answer that no cache keeps.
fn whole(status: u16, kind: &str, body: Vec<u8>) -> PageAnswer {
    let mut fields = fields(kind);
    fields.push(("cache-control", "no-store".to_owned()));
    PageAnswer { status, fields, body: PageBody::Whole(body) }
}

/// A page.
pub fn html(status: u16, page: Markup) -> PageAnswer {
    whole(status, "text/html; charset=utf-8", page.into_string().into_bytes())
}

/// A file to keep: `kind` is its media type.
pub fn file(name: &str, kind: &str, body: Vec<u8>) -> PageAnswer {
    let mut answer = whole(200, kind, body);
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
    answer.fields.push(("content-disposition", format!("attachment; filename=\"{plain}\"")));
    answer
}

/// A picture that stands by itself.
pub fn picture(svg: String) -> PageAnswer {
    let mut answer = whole(200, "image/svg+xml", svg.into_bytes());
    // It brings its own style, and nothing else.
    answer.fields.retain(|(name, _)| *name != "content-security-policy");
    answer
        .fields
        .push(("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox".to_owned()));
    answer
}

/// JSON for a script of ours.
pub fn json(value: &serde_json::Value) -> PageAnswer {
    whole(200, "application/json", value.to_string().into_bytes())
}

/// What never changes under its address.
pub fn asset(kind: &str, body: &'static [u8]) -> PageAnswer {
    let mut fields = fields(kind);
    fields.push(("cache-control", "public, max-age=31536000, immutable".to_owned()));
    PageAnswer { status: 200, fields, body: PageBody::Whole(body.to_vec()) }
}

/// After a form was carried out: the page to see now (RFC 9110, section 15.4.4), so that "reload" does not do it again.
pub fn see_other(path: &str) -> PageAnswer {
    let mut answer = whole(303, "text/plain; charset=utf-8", Vec::new());
    answer.fields.push(("location", path.to_owned()));
    answer
}

/// A stream of events.
pub fn events(events: Box<dyn PageEvents>) -> PageAnswer {
    let mut fields = fields("text/event-stream");
    fields.push(("cache-control", "no-store".to_owned()));
    PageAnswer { status: 200, fields, body: PageBody::Events(events) }
}

/// JSON for a script of ours, with a status.
pub fn json_status(status: u16, value: &serde_json::Value) -> PageAnswer {
    PageAnswer { status, ..json(value) }
}
