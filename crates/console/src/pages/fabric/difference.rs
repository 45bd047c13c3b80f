//! What is different between two texts, line by line.

use maud::{Markup, html};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::context::View;
use crate::texts::fabric::*;

/// Most lines that are shown of one difference.
const MOST: usize = 30;

/// Lines that stay are shown so far from those that do not.
const AROUND: usize = 2;

/// A value as `netvirt get -o yaml` says it; nothing of what is not there.
pub fn text_of(value: &Value) -> String {
    if value.is_null() { String::new() } else { serde_saphyr::to_string(value).unwrap_or_default() }
}

/// The lines with what became of each: `+`, `-`, or a blank for those that stay; `…` stands for lines left out between.
pub fn lines(before: &str, after: &str) -> Vec<(char, String)> {
    let difference = TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    for (number, group) in difference.grouped_ops(AROUND).iter().enumerate() {
        if number > 0 {
            lines.push((' ', "…".to_owned()));
        }
        for change in group.iter().flat_map(|operation| difference.iter_changes(operation)) {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            lines.push((sign, change.value().trim_end_matches(['\r', '\n']).to_owned()));
        }
    }
    lines
}

/// The difference as it stands in a page. The signs say all; colours only repeat them.
pub fn shown(view: &View<'_>, before: &str, after: &str) -> Markup {
    let lines = lines(before, after);
    html! {
        @if lines.is_empty() { p.hint { (view.t(NO_DIFFERENCE)) } }
        @else {
            pre.difference tabindex="0" aria-label=(view.t(DIFFERENCE)) {
                @for (sign, line) in lines.iter().take(MOST) {
                    @match sign {
                        '+' => ins { "+ " (line) "\n" },
                        '-' => del { "- " (line) "\n" },
                        _ => span { "  " (line) "\n" },
                    }
                }
                @if lines.len() > MOST { span { (view.tf(LINES_LEFT_OUT, &[&(lines.len() - MOST).to_string()])) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_has_signs_and_what_stands_around_it() {
        let before = "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6\n";
        let after = "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 7\n";
        let said: Vec<String> = lines(before, after).iter().map(|(sign, line)| format!("{sign}{line}")).collect();
        assert_eq!(said, [" d: 4", " e: 5", "-f: 6", "+f: 7"]);
        assert!(lines(before, before).is_empty());
        assert_eq!(lines("", "a: 1\n"), [('+', "a: 1".to_owned())]);
    }

    #[test]
    fn what_is_not_there_is_no_text() {
        assert_eq!(text_of(&Value::Null), "");
        assert_eq!(text_of(&serde_json::json!({ "a": 1 })), "a: 1\n");
    }
}
