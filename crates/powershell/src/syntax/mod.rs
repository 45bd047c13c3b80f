//! From a text to a tree: what is not supported is said before anything is carried out, all of it at once.

mod commands;
mod lower;
mod members;
pub(crate) mod text;
pub mod tree;
pub mod words;

use std::borrow::Cow;
use std::collections::BTreeSet;

use poshtree::v2::parser::parse as read;
use poshtree::v2::{LineIndex, lex};

use tree::{Block, Place};

/// The largest script, in bytes.
pub const MAX_BYTES: usize = 128 << 20;
/// Most mistakes that are told.
const MAX_TOLD: usize = 50;

/// A mistake in a script, or something in it that is not supported.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// Where.
    pub at: Place,
    /// What, in a sentence.
    pub message: String,
}

impl Mistake {
    /// The mistake as compilers write it.
    pub fn in_file(&self, file: &str) -> String {
        format!("{file}:{}: {}", self.at, self.message)
    }
}

/// What a script may call besides what it defines itself.
pub trait Known {
    /// Whether there is a cmdlet, an alias or a function of this name, in lower case.
    fn command(&self, name: &str) -> bool;

    /// Why a cmdlet does not take a parameter of this name; none when it does, or when it is a function that says so itself.
    fn wrong_parameter(&self, command: &str, parameter: &str) -> Option<String>;

    /// The command that may have been meant by a name in lower case that none has.
    fn similar(&self, name: &str) -> Option<String>;
}

/// Reads a script.
///
/// # Errors
/// All mistakes in it, in their order.
pub fn parse(text: &str, known: &dyn Known) -> Result<Block, Vec<Mistake>> {
    if text.len() > MAX_BYTES {
        let message = format!("the script has {} bytes, more than {MAX_BYTES}; divide it into several", text.len());
        return Err(vec![Mistake { at: Place { line: 1, column: 1 }, message }]);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = LineIndex::new(text);
    let read = read(&without_bindings(text));
    let place = |offset: usize| place(text, &lines, offset);
    if !read.errors.is_empty() {
        let mistakes = read.errors.iter().take(MAX_TOLD);
        let told = |message: &str| if message.is_empty() { "this is not understood" } else { message }.to_owned();
        return Err(mistakes.map(|it| Mistake { at: place(it.span.start), message: told(&it.message) }).collect());
    }
    let mut functions = BTreeSet::new();
    read.script.walk(&mut |node| {
        if let poshtree::v2::NodeKind::Function { name, .. } = &node.kind {
            functions.insert(name.to_lowercase());
        }
    });
    let mut lowering = lower::Lowering { text, place: &place, known, functions, mistakes: Vec::new() };
    let block = lowering.block(&read.script);
    let mut mistakes = lowering.mistakes;
    if mistakes.is_empty() {
        return Ok(block);
    }
    mistakes.sort_by_key(|mistake| mistake.at);
    mistakes.dedup();
    mistakes.truncate(MAX_TOLD);
    Err(mistakes)
}

/// Whether a text is the beginning of something: a quote, a bracket or a pipe stands open at its end.
pub fn is_open(text: &str) -> bool {
    let trimmed = text.trim_end();
    if trimmed.ends_with('|') || text.ends_with('`') {
        return true;
    }
    read(text).errors.iter().any(|error| error.span.end >= trimmed.len() && error.span.start + 1 >= trimmed.len())
        || lex(text).errors.iter().any(|error| is_unterminated(&error.to_string()))
}

/// Whether the lexer complains of a text or a comment without an end.
fn is_unterminated(message: &str) -> bool {
    message.to_lowercase().contains("unterminated")
}

/// The script with blanks in the place of `[CmdletBinding(...)]`, behind which the parser does not know `param`. What it
/// says (`SupportsShouldProcess` and such) is about functions that are cmdlets, which those of scripts here are not.
fn without_bindings(text: &str) -> Cow<'_, str> {
    let lower = text.to_ascii_lowercase();
    if !lower.contains("cmdletbinding") {
        return Cow::Borrowed(text);
    }
    let starts: BTreeSet<usize> = lex(text).tokens.iter().map(|token| token.span.start).collect();
    let mut out = text.to_owned();
    for (at, _) in lower.match_indices("cmdletbinding") {
        let open = text[..at].trim_end().len().checked_sub(1);
        let Some(open) = open.filter(|open| text.as_bytes()[*open] == b'[' && starts.contains(open)) else { continue };
        let Some(length) = text[at..].find(']') else { continue };
        let inner = &text[at + "cmdletbinding".len()..at + length];
        let inner = inner.trim();
        if inner.is_empty() || (inner.starts_with('(') && inner.ends_with(')')) {
            let end = at + length + 1;
            let blank: String = text[open..end].chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }).collect();
            if blank.len() == end - open {
                out.replace_range(open..end, &blank);
            }
        }
    }
    Cow::Owned(out)
}

fn place(text: &str, lines: &LineIndex, offset: usize) -> Place {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let column = text[start..offset].chars().count() + 1;
    Place { line: lines.line_col(offset).line + 1, column: u32::try_from(column).unwrap_or(u32::MAX) }
}

/// An argument without quotes that is a number.
pub(crate) fn bare_argument(word: &str) -> Option<crate::value::Value> {
    match text::bare(word) {
        tree::Kind::Integer(number) => Some(crate::value::Value::Integer(number)),
        tree::Kind::Real(number) => Some(crate::value::Value::Real(number)),
        _ => None,
    }
}
