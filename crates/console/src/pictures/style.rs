//! The colours of pictures, light and dark, and their stylesheet: one text of rules, in which a page finds variables and
//! a file of its own finds colours, because programs that show files seldom know variables.

use std::fmt::Write as _;
use std::sync::LazyLock;

/// Name, on light ground, on dark ground.
const PALETTE: [(&str, &str, &str); 27] = [
    ("paper", "#ffffff", "#12151a"),
    ("panel", "#f5f7fa", "#191d24"),
    ("card", "#ffffff", "#222831"),
    ("edge", "#cdd4de", "#3d4654"),
    ("line", "#8592a6", "#76839a"),
    ("ink", "#1a2230", "#e8ecf2"),
    ("dim", "#566174", "#a7b1c0"),
    ("accent", "#1f57c3", "#82acff"),
    ("accent-pale", "#e5edfc", "#1c2b4a"),
    ("good", "#16793f", "#4fc784"),
    ("good-pale", "#e2f4e9", "#16321f"),
    ("warn", "#8f5a00", "#eab54f"),
    ("warn-pale", "#fcf0d6", "#382c12"),
    ("bad", "#bf2630", "#ff8080"),
    ("bad-pale", "#fde6e7", "#40201f"),
    ("move", "#7437b8", "#c5a0ff"),
    ("move-pale", "#f0e7fb", "#2e2147"),
    ("free", "#e9edf3", "#2a313c"),
    ("given-1", "#c3d6f9", "#243c6b"),
    ("given-2", "#8fb1f0", "#30529a"),
    ("given-3", "#5585e2", "#4a78d0"),
    ("given-4", "#2a5fcb", "#79a5fa"),
    ("on-mark", "#ffffff", "#12151a"),
    ("received", "#1f6fc3", "#6db3f5"),
    ("sent", "#b05a12", "#f0a35c"),
    ("tunnel", "#5b83c9", "#6f93d6"),
    ("cloud", "#eef2f8", "#161a21"),
];

const RULES: &str = include_str!("pictures.css");

/// What the console's stylesheet has for pictures. The ground follows the reader's preference, or the attribute
/// `data-theme` (`dark` or `light`) of the document's root; on paper it is light.
pub static CSS: LazyLock<String> = LazyLock::new(|| {
    let variables = |dark: bool| {
        PALETTE.iter().fold(String::new(), |mut text, (name, light, night)| {
            let _ = write!(text, "--pic-{name}:{};", if dark { night } else { light });
            text
        })
    };
    let (light, dark) = (variables(false), variables(true));
    format!(
        ".pic{{{light}}}\n@media screen and (prefers-color-scheme:dark){{.pic{{{dark}}}}}\n@media \
         screen{{:root[data-theme=\"dark\"] .pic{{{dark}}}\n:root[data-theme=\"light\"] .pic{{{light}}}}}\n{}",
        compact(RULES)
    )
});

/// The stylesheet of a picture that is a file.
pub(super) static STANDALONE: LazyLock<String> = LazyLock::new(|| {
    let rules = compact(RULES);
    let night: Vec<&str> = rules.lines().filter(|rule| rule.contains("var(") && !rule.starts_with('@')).collect();
    let coloured = |rules: &str, dark: bool| {
        PALETTE.iter().fold(rules.to_owned(), |text, (name, light, night)| {
            text.replace(&format!("var(--pic-{name})"), if dark { night } else { light })
        })
    };
    format!(
        "{}@media screen and (prefers-color-scheme:dark){{\n{}\n}}\n",
        coloured(&rules, false),
        coloured(&night.join("\n"), true)
    )
});

/// The rules without comments and indentation, one a line.
fn compact(rules: &str) -> String {
    let mut text = String::new();
    let mut rest = rules;
    while let Some((before, after)) = rest.split_once("/*") {
        text.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text.lines().map(str::trim).filter(|line| !line.is_empty()).fold(String::new(), |mut text, line| {
        text.push_str(line);
        text.push('\n');
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_of_the_rules_is_in_the_palette_and_used() {
        for (name, ..) in PALETTE {
            assert!(RULES.contains(&format!("var(--pic-{name})")), "nothing uses {name}");
        }
        assert!(!STANDALONE.contains("var("), "a rule uses a colour that the palette has not:\n{}", *STANDALONE);
        assert!(!STANDALONE.contains(['<', '&']), "the stylesheet stands in a document as it is");
    }

    #[test]
    fn each_rule_is_on_a_line_of_its_own() {
        // The dark ones are picked by line.
        for line in compact(RULES).lines().filter(|line| line.contains("var(")) {
            assert_eq!((line.matches('{').count(), line.matches('}').count()), (1, 1), "{line}");
        }
    }

    /// Contrast as WCAG 2 reckons it.
    fn contrast(one: &str, other: &str) -> f64 {
        let luminance = |colour: &str| -> f64 {
            let channel = |at: usize| {
                let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).expect("two digits")) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
        };
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn text_is_readable_on_what_it_stands_on() {
        let colours = |name: &str| {
            let found = PALETTE.iter().find(|(it, ..)| *it == name).expect("a colour of the palette");
            [found.1, found.2]
        };
        for (text, grounds) in [
            (
                "ink",
                &["paper", "panel", "card", "cloud", "free", "bad-pale", "move-pale", "good-pale", "warn-pale"][..],
            ),
            ("dim", &["paper", "panel", "card", "cloud"]),
            ("accent", &["card", "accent-pale", "panel"]),
            ("good", &["good-pale", "card", "panel"]),
            ("warn", &["warn-pale", "card", "panel"]),
            ("bad", &["bad-pale", "card", "panel"]),
            ("move", &["move-pale", "card", "panel"]),
            ("on-mark", &["good", "bad", "warn", "move"]),
        ] {
            for ground in grounds {
                for (text_colour, ground_colour) in colours(text).into_iter().zip(colours(ground)) {
                    let contrast = contrast(text_colour, ground_colour);
                    assert!(contrast >= 4.5, "{text} on {ground}: {contrast:.2}");
                }
            }
        }
    }
}
