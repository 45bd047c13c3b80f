//! What a browser sends: the pairs of a query or of a form, kept so that a form can be shown again as it was filled in.

use api::Problem;
use maud::{Markup, html};

/// Names and values in their order; a name may stand several times.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `a=1&b=2` (WHATWG URL, "application/x-www-form-urlencoded"). Nothing is refused: what is no text becomes U+FFFD.
    pub fn read(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// The first value of a name, as it was typed, without blanks around it; empty if there is none.
    pub fn text(&self, name: &str) -> &str {
        self.first(name).unwrap_or_default().trim()
    }

    /// The first value of a name, if it has one that is not empty.
    pub fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// The first value of a name exactly as it was sent.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a name, those that are empty too.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.trim())
    }

    /// Whether a box is ticked.
    pub fn is_set(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// The value of a name, read as `T`; `None` if it is left empty.
    ///
    /// # Errors
    /// The sentence of `T`, with the name in front.
    pub fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.given(name).map(|text| parse(name, text)).transpose()
    }

    /// The value of a name, read as `T`.
    ///
    /// # Errors
    /// See [`Self::parse`]; and when it is left empty.
    pub fn need<T: std::str::FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<T, Problem> {
        self.parse(name)?.ok_or_else(|| Problem::invalid(format!("{name} is left empty; fill it in")))
    }

    /// Words between blanks, commas or line ends, each read as `T`.
    ///
    /// # Errors
    /// See [`Self::parse`].
    pub fn list<T: std::str::FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Vec<T>, Problem> {
        let words = self.text(name).split([' ', ',', '\n', '\r', '\t']).filter(|word| !word.is_empty());
        words.map(|word| parse(name, word)).collect()
    }

    /// All pairs, as they were sent.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// With this value in place of what a name had.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.retain(|(key, _)| key != name);
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// With one more value of a name.
    #[must_use]
    pub fn and(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }
}

/// What a textarea holds. Browsers drop one line end behind its tag: this one, and none of what was typed.
pub fn typed(text: &str) -> Markup {
    html! { "\n" (text) }
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| Problem::invalid(format!("{name}: \"{text}\": {error}")))
}

/// A query out of pairs, for a link: `?a=1&b=2`; pairs without a value are left out.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let given = pairs.iter().filter(|(_, value)| !value.is_empty());
    let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
    if text.is_empty() { text } else { format!("?{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_read() {
        let form = Form::read(b"name=+AAA%20&prefix=10.1.1.0%2F24%2C+10.2.2.0/24&x&y=%FF");
        assert_eq!((form.text("name"), form.first("name")), ("AAA", Some(" AAA ")));
        assert_eq!(form.list::<ipnet::IpNet>("prefix").unwrap().len(), 2);
        assert!(form.is_set("x") && !form.is_set("z") && form.given("x").is_none());
        assert_eq!(form.text("y"), "\u{fffd}");
        let problem = form.need::<ipnet::IpNet>("name").unwrap_err();
        assert!(problem.detail.starts_with("name: \"AAA\": "), "{problem}");
        assert!(form.need::<u8>("z").unwrap_err().detail.contains("left empty"));
        assert_eq!(form.with("name", "BBB").text("name"), "BBB");
    }

    #[test]
    fn a_query_leads_back() {
        let text = query(&[("q", "a&b <c>"), ("after", "")]);
        assert_eq!(text, "?q=a%26b+%3Cc%3E");
        assert_eq!(Form::read(&text.as_bytes()[1..]).text("q"), "a&b <c>");
    }
}
