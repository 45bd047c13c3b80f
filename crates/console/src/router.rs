//! Which page a path is for, who may be there, and what becomes of what goes wrong.

use std::sync::Arc;

use api::fabric::{FabricApi, PageAnswer, PageMethod, PageRequest};
use api::{Problem, ProblemType};

use crate::context::{Context, View};
use crate::{answer, assets, openid, pages, session};

/// Answers a request.
pub fn answer(api: &Arc<dyn FabricApi>, providers: &openid::Providers, request: &PageRequest) -> PageAnswer {
    if request.path.starts_with("/assets/") {
        return assets::answer(&request.path);
    }
    let context = Context::read(api, request);
    if context.is_post() && !is_of_our_pages(request) {
        let detail = "the form was sent by a page of another site; open the console itself and try again there";
        return pages::problem::page(&context, None, &Problem::new(ProblemType::Forbidden, detail));
    }
    let segments: Vec<String> = context.segments.clone();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    if let Some(answer) = open_to_all(&context, providers, &segments) {
        return answer;
    }
    let session = match session::of(&context) {
        Ok(session) => session,
        Err(problem) if problem.problem_type == ProblemType::Unauthorized => return session::ask(&context, request),
        Err(problem) => return pages::problem::page(&context, None, &problem),
    };
    let view = View { context, session };
    let csrf = view.context.form.text("csrf");
    if request.method == PageMethod::Post && !view.session.is_csrf(csrf) {
        // It is of an earlier session of the same browser: shown again, it can be sent in this one.
        return pages::sign_in::again(&view);
    }
    pages::answer(&view, &segments).unwrap_or_else(|problem| pages::problem::page(&view.context, Some(&view), &problem))
}

/// Pages for which nobody has to sign in.
fn open_to_all(context: &Context<'_>, providers: &openid::Providers, segments: &[&str]) -> Option<PageAnswer> {
    match segments {
        ["sign-in"] => Some(session::sign_in(context)),
        ["sign-in", "openid"] => Some(openid::start(context, providers)),
        ["sign-in", "openid", "callback"] => Some(openid::callback(context, providers)),
        ["sign-out"] if context.is_post() => Some(session::sign_out(context)),
        ["preferences"] if context.is_post() => Some(session::prefer(context)),
        ["health"] => Some(answer::json(&serde_json::json!({ "status": "ok" }))),
        _ => None,
    }
}

/// Whether a form comes from a page of ours. Browsers say so themselves (Fetch Metadata; RFC 6454, section 7); what is no
/// browser says nothing, and has no cookie that somebody else could use.
fn is_of_our_pages(request: &PageRequest) -> bool {
    let site = request.field("sec-fetch-site");
    let origin = request.field("origin");
    let same_site = site.is_empty() || site == "same-origin" || site == "none";
    let same_origin = origin.is_empty() || origin.strip_prefix("https://") == Some(request.field("host"));
    same_site && same_origin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_of_another_site_is_not_ours() {
        let with = |fields: &[(&str, &str)]| {
            let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            is_of_our_pages(&PageRequest { fields, ..PageRequest::default() })
        };
        assert!(with(&[("host", "cloud.example:7443"), ("origin", "https://cloud.example:7443")]));
        assert!(with(&[("sec-fetch-site", "same-origin")]) && with(&[]));
        assert!(!with(&[("host", "cloud.example:7443"), ("origin", "https://evil.example")]));
        assert!(!with(&[("host", "cloud.example"), ("origin", "null")]));
        assert!(!with(&[("sec-fetch-site", "cross-site")]) && !with(&[("sec-fetch-site", "same-site")]));
    }
}
