//! What a page knows while it is made: who asks, in which language, and the interface that it asks in turn.

use std::sync::Arc;

use api::Problem;
use api::fabric::accounts::SessionInfo;
use api::fabric::{Caller, FabricApi, PageMethod, PageRequest, Role};
use model::fabric::ResourceName;
use percent_encoding::percent_decode_str;

use crate::forms::Form;
use crate::texts::{Language, Text};

/// How pages look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Theme {
    /// As the system does.
    #[default]
    Automatic,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// All of them, as they are offered.
    pub const ALL: [Self; 3] = [Self::Automatic, Self::Light, Self::Dark];

    /// The word for it in the cookie and in `data-theme`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// A request, as pages see it.
pub struct Context<'r> {
    /// The controller.
    pub api: &'r Arc<dyn FabricApi>,
    /// The request itself.
    pub request: &'r PageRequest,
    /// The path's segments, decoded.
    pub segments: Vec<String>,
    /// What stands behind `?`.
    pub query: Form,
    /// The form that was sent; empty with GET.
    pub form: Form,
    /// In which language.
    pub language: Language,
    /// How it looks.
    pub theme: Theme,
}

/// The same with somebody who has signed in.
pub struct View<'r> {
    /// The request.
    pub context: Context<'r>,
    /// Who asks.
    pub session: SessionInfo,
}

impl<'r> Context<'r> {
    /// Reads a request.
    pub fn read(api: &'r Arc<dyn FabricApi>, request: &'r PageRequest) -> Self {
        let decoded = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
        let segments = request.path.split('/').filter(|segment| !segment.is_empty()).map(decoded).collect();
        let is_form = request.field("content-type").starts_with("application/x-www-form-urlencoded");
        let form = if is_form { Form::read(&request.body) } else { Form::default() };
        let chosen = cookie(request, LANGUAGE_COOKIE).and_then(Language::of);
        let language = chosen.unwrap_or_else(|| Language::accepted(request.field("accept-language")));
        let theme = cookie(request, THEME_COOKIE);
        let theme = Theme::ALL.into_iter().find(|one| Some(one.as_str()) == theme).unwrap_or_default();
        Self { api, request, segments, query: Form::read(request.query.as_bytes()), form, language, theme }
    }

    /// A text in the language of the request.
    pub const fn t(&self, text: Text) -> &'static str {
        text.of(self.language)
    }

    /// Whether a form was sent.
    pub fn is_post(&self) -> bool {
        self.request.method == PageMethod::Post
    }

    /// The path and query, to come back to.
    pub fn here(&self) -> String {
        let PageRequest { path, query, .. } = self.request;
        if query.is_empty() { path.clone() } else { format!("{path}?{query}") }
    }
}

impl View<'_> {
    /// Who asks, as the interface wants it.
    pub const fn caller(&self) -> &Caller {
        &self.session.caller
    }

    /// A text in the language of the request.
    pub const fn t(&self, text: Text) -> &'static str {
        self.context.t(text)
    }

    /// A text with its gaps filled.
    pub fn tf(&self, text: Text, words: &[&str]) -> String {
        text.with(self.context.language, words)
    }

    /// The tenant that is all that the caller sees; none of an operator.
    pub const fn confined_to(&self) -> Option<&ResourceName> {
        match self.caller().role {
            Role::Admin => None,
            Role::Tenant | Role::Reader => self.caller().tenant.as_ref(),
        }
    }

    /// Whether the caller may change anything: buttons that would be refused are not shown.
    pub const fn may_change(&self) -> bool {
        !matches!(self.caller().role, Role::Reader)
    }

    /// Whether the caller sees the fabric as an operator does.
    pub const fn is_operator(&self) -> bool {
        self.confined_to().is_none()
    }

    /// A name out of the path. One that can be no name leads nowhere.
    ///
    /// # Errors
    /// That there is no such page.
    pub fn name(text: &str) -> Result<ResourceName, Problem> {
        text.parse().map_err(|_| Problem::not_found("there is no such page"))
    }
}

/// The cookie of the language.
pub const LANGUAGE_COOKIE: &str = "netvirt-language";
/// The cookie of the look.
pub const THEME_COOKIE: &str = "netvirt-theme";

/// The value of a cookie (RFC 6265, section 5.4).
pub fn cookie<'r>(request: &'r PageRequest, name: &str) -> Option<&'r str> {
    let pairs = request.field("cookie").split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}
