//! The catalogue of texts: every sentence of the console in each of its languages, side by side.
//!
//! One file for each part of the console. What the interface says (problems, findings, reasons) is shown as it is said there,
//! in English: it is the same sentence that the command line prints and that people search for.

pub mod common;
pub mod fabric;
pub mod tenant;

/// A language of the console.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// All of them, as they are offered.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// Its tag (RFC 5646), for `lang` and for the cookie.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    /// Its name in itself.
    pub const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Chinese => "中文",
        }
    }

    /// The language of this tag.
    pub fn of(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag() == tag)
    }

    /// The first language of `Accept-Language` that there is (RFC 9110, section 12.5.4). Weights are not looked at: browsers
    /// send what their users prefer first.
    pub fn accepted(field: &str) -> Self {
        let first = |range: &str| {
            let primary = range.trim().split(['-', ';']).next().unwrap_or_default().to_ascii_lowercase();
            match primary.as_str() {
                "en" => Some(Self::English),
                "zh" => Some(Self::Chinese),
                _ => None,
            }
        };
        field.split(',').find_map(first).unwrap_or_default()
    }
}

/// One text in each language. `{}` stands for what is filled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Text {
    /// In English.
    pub en: &'static str,
    /// In Chinese.
    pub zh: &'static str,
}

impl Text {
    /// In a language.
    pub const fn of(self, language: Language) -> &'static str {
        match language {
            Language::English => self.en,
            Language::Chinese => self.zh,
        }
    }

    /// In a language, with these words in place of each `{}`, in their order.
    pub fn with(self, language: Language, words: &[&str]) -> String {
        let mut parts = self.of(language).split("{}");
        let mut text = parts.next().unwrap_or_default().to_owned();
        for (part, word) in parts.zip(words) {
            text.push_str(word);
            text.push_str(part);
        }
        text
    }
}

/// A part of the catalogue: `NAME = "English", "Chinese";`.
macro_rules! texts {
    ($($(#[$note:meta])* $name:ident = $en:literal, $zh:literal;)*) => {
        $($(#[$note])* pub const $name: $crate::texts::Text = $crate::texts::Text { en: $en, zh: $zh };)*

        /// All texts of this part, by their names.
        #[cfg(test)]
        pub const ALL: &[(&str, $crate::texts::Text)] = &[$((stringify!($name), $name)),*];
    };
}
pub(crate) use texts;

#[cfg(test)]
mod tests {
    use super::*;

    /// Every part of the catalogue.
    const PARTS: &[&[(&str, Text)]] = &[common::ALL, fabric::ALL, tenant::ALL];

    #[test]
    fn every_text_is_there_in_each_language_with_the_same_gaps() {
        for (name, text) in PARTS.iter().flat_map(|part| part.iter()) {
            for language in Language::ALL {
                assert!(!text.of(language).trim().is_empty(), "{name} is missing in {}", language.name());
            }
            let gaps = |language| text.of(language).matches("{}").count();
            assert_eq!(gaps(Language::English), gaps(Language::Chinese), "{name} has other gaps in Chinese");
        }
    }

    #[test]
    fn a_browser_gets_its_language() {
        assert_eq!(Language::accepted("fr-CH, zh-TW;q=0.9, en;q=0.8"), Language::Chinese);
        assert_eq!(Language::accepted("en-GB,en"), Language::English);
        assert_eq!(Language::accepted(""), Language::English);
        assert_eq!(Language::of("zh-CN"), Some(Language::Chinese));
        assert_eq!(Language::of("zh\"><script>"), None);
    }

    #[test]
    fn gaps_are_filled() {
        let text = Text { en: "{} of {}", zh: "{}/{}" };
        assert_eq!(text.with(Language::English, &["1", "{}"]), "1 of {}");
        assert_eq!(text.with(Language::Chinese, &["1"]), "1/");
    }
}
