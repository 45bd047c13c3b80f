//! Texts and numbers as they are written.

use poshtree::v2::{Node, NodeKind as N, StringKind};

use super::lower::Lowering;
use super::tree::{Kind, Piece};

/// A number as it is written: decimal, hexadecimal, with an exponent, with kb, mb, gb, tb or pb behind it.
pub fn number(raw: &str) -> Option<Kind> {
    let lower = raw.to_lowercase();
    let suffixes = [("kb", 10), ("mb", 20), ("gb", 30), ("tb", 40), ("pb", 50)];
    let suffix = suffixes.iter().find(|(suffix, _)| lower.ends_with(suffix) && !lower.starts_with("0x"));
    let (digits, shift) =
        suffix.map_or((lower.as_str(), 0), |(suffix, shift)| (&lower[..lower.len() - suffix.len()], *shift));
    let factor = 1_i64 << shift;
    if let Some(hexadecimal) = digits.strip_prefix("0x") {
        let bits = u64::from_str_radix(hexadecimal.trim_end_matches('l'), 16).ok()?;
        // As PowerShell does, 32 bits are those of an int: 0xFFFFFFFF is -1.
        let narrow = hexadecimal.len() <= 8 && !hexadecimal.ends_with('l');
        return Some(Kind::Integer(if narrow { i64::from(bits as u32 as i32) } else { bits as i64 }));
    }
    let digits = digits.trim_end_matches(['l', 'd']);
    if let Ok(whole) = digits.parse::<i64>() {
        return whole.checked_mul(factor).map(Kind::Integer);
    }
    let real = digits.parse::<f64>().ok().filter(|real| real.is_finite())?;
    Some(Kind::Real(real * factor as f64))
}

/// An argument without quotes: a number where it is written as one would be, else a text.
pub fn bare(word: &str) -> Kind {
    match number(word) {
        Some(Kind::Integer(number)) if number.to_string() == word || word.starts_with("0x") => Kind::Integer(number),
        Some(Kind::Real(number)) if number.to_string() == word => Kind::Real(number),
        _ => Kind::Text(word.into()),
    }
}

/// The beginning of a text, for sentences.
pub fn beginning(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let short: String = line.chars().take(40).collect();
    if short.len() < text.len() { format!("{short}...") } else { short }
}

/// What a text says whose escapes begin with a backtick.
pub fn unescape(text: &str, doubled: Option<char>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '`' => out.extend(letters.next().map(|escaped| match escaped {
                '0' => '\0',
                'a' => '\u{7}',
                'b' => '\u{8}',
                'e' => '\u{1b}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\u{b}',
                other => other,
            })),
            letter if doubled == Some(letter) && letters.peek() == Some(&letter) => {
                letters.next();
                out.push(letter);
            }
            letter => out.push(letter),
        }
    }
    out
}

impl Lowering<'_> {
    /// A text in quotes.
    pub(super) fn string(&mut self, node: &Node) -> Option<Kind> {
        let N::StringLiteral { kind, value, parts } = &node.kind else { return None };
        Some(match kind {
            StringKind::Single => {
                let inner = value.get(1..value.len().saturating_sub(1)).unwrap_or_default();
                Kind::Text(inner.replace("''", "'").into())
            }
            StringKind::HereSingle => Kind::Text(here(value).1.into()),
            StringKind::Double => {
                let end = node.span.end.saturating_sub(1);
                self.expanding(node.span.start + 1, end, Some('"'), parts)?
            }
            StringKind::HereDouble => {
                let (before, inner) = here(value);
                let start = node.span.start + before;
                self.expanding(start, start + inner.len(), None, parts)?
            }
        })
    }

    /// A text with values in it, between two offsets.
    fn expanding(&mut self, start: usize, end: usize, doubled: Option<char>, parts: &[Node]) -> Option<Kind> {
        let source = self.text;
        let text = |from: usize, to: usize| unescape(source.get(from..to).unwrap_or_default(), doubled);
        if parts.is_empty() {
            return Some(Kind::Text(text(start, end).into()));
        }
        let (mut pieces, mut from) = (Vec::new(), start);
        for part in parts {
            if part.span.start > from {
                pieces.push(Piece::Text(text(from, part.span.start)));
            }
            pieces.push(Piece::Value(self.expression(part)?));
            from = part.span.end;
        }
        if from < end {
            pieces.push(Piece::Text(text(from, end)));
        }
        Some(Kind::Expanding(pieces))
    }
}

/// The lines of a here-string, and how many bytes stand before them.
fn here(raw: &str) -> (usize, &str) {
    let before = raw.find('\n').map_or(raw.len(), |newline| newline + 1);
    let inner = raw.get(before..raw.len().saturating_sub(2)).unwrap_or_default();
    let inner = inner.strip_suffix('\n').unwrap_or(inner);
    (before, inner.strip_suffix('\r').unwrap_or(inner))
}
