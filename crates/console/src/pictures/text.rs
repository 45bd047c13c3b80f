//! How wide a text is, and what of it fits: without fonts at hand, by a bound that the usual ones stay below.

/// The face that a text is set in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Face {
    /// Proportional.
    Plain,
    /// Proportional and bold.
    Bold,
    /// Every letter as wide as any other.
    Mono,
}

/// As many letters of a text are shown in a title; nobody reads more.
const LONGEST: usize = 300;

/// The text as XML may hold it, on one line: control characters, which XML forbids, are replaced, and of the marks that
/// stack upon a letter two are left.
pub(super) fn clean(text: &str) -> String {
    let mut marks = 0;
    let mut shown = String::with_capacity(text.len());
    for letter in text.trim().chars().take(LONGEST) {
        marks = if combining(letter) { marks + 1 } else { 0 };
        match letter {
            _ if marks > 2 => {}
            '\t' | '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => shown.push(' '),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => shown.push('\u{fffd}'),
            letter => shown.push(letter),
        }
    }
    if text.trim().chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// Whether it is drawn over the letter before it, or not at all.
const fn combining(letter: char) -> bool {
    matches!(letter,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}'
        | '\u{64b}'..='\u{65f}' | '\u{6d6}'..='\u{6dc}' | '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}'
        | '\u{feff}')
}

/// Whether a text has letters whose width nothing is known of; it is clipped then, so that it covers nothing else.
pub(super) fn exotic(text: &str) -> bool {
    let known = |letter: char| {
        matches!(letter,
            ' '..='\u{52f}' | '\u{1e00}'..='\u{1eff}' | '\u{2010}'..='\u{2027}' | '\u{2070}'..='\u{209c}'
            | '\u{2190}'..='\u{2193}' | '\u{3000}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}'
            | '\u{ff00}'..='\u{ff5e}')
            && !combining(letter)
    };
    !text.chars().all(known)
}

/// A letter's width in thousandths of the size.
fn advance(letter: char, face: Face) -> u32 {
    if combining(letter) {
        return 0;
    }
    let plain = match letter {
        _ if !letter.is_ascii() => return 1000,
        _ if face == Face::Mono => return 605,
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | ' ' | '|' => 340,
        'f' | 'r' | 't' | '(' | ')' | '[' | ']' | '/' | '\\' | '-' | '"' | '!' | '`' => 420,
        'm' | 'w' | 'M' | 'W' | 'Q' | '@' | '%' | '&' | '+' | '=' | '<' | '>' | '~' | '#' | '^' => 1000,
        'A'..='Z' => 780,
        _ => 640,
    };
    if face == Face::Bold { plain * 11 / 10 } else { plain }
}

/// How wide a text is at most, in pixels.
pub(super) fn width(text: &str, size: i32, face: Face) -> i32 {
    let thousandths: u64 = text.chars().map(|letter| u64::from(advance(letter, face))).sum();
    let pixels = (thousandths * u64::from(size.unsigned_abs())).div_ceil(1000);
    i32::try_from(pixels).unwrap_or(i32::MAX)
}

/// As much of a clean text as fits, with an ellipsis if that is not all.
pub(super) fn fit(text: &str, room: i32, size: i32, face: Face) -> String {
    if width(text, size, face) <= room {
        return text.to_owned();
    }
    let left = u64::try_from(room).unwrap_or(0) * 1000 / u64::from(size.unsigned_abs().max(1));
    let mut used = u64::from(advance('…', face));
    let taken = text.chars().take_while(|letter| {
        used += u64::from(advance(*letter, face));
        used <= left
    });
    let mut shown: String = taken.collect();
    shown.truncate(shown.trim_end().len());
    shown.push('…');
    shown
}

/// A clean text on at most so many lines; what is left of it goes on the last one, with an ellipsis.
pub(super) fn wrap(text: &str, room: i32, lines: usize, size: i32, face: Face) -> Vec<String> {
    let mut wrapped = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && wrapped.len() + 1 < lines && width(rest, size, face) > room {
        let at = line_end(rest, room, size, face);
        wrapped.push(rest[..at].trim_end().to_owned());
        rest = rest[at..].trim_start();
    }
    if !rest.is_empty() && lines > 0 {
        wrapped.push(fit(rest, room, size, face));
    }
    wrapped
}

/// Where the first line ends: after the last blank, comma or wide letter that fits, otherwise in the middle of a word.
fn line_end(text: &str, room: i32, size: i32, face: Face) -> usize {
    let (mut end, mut pleasant) = (0, 0);
    for (at, letter) in text.char_indices() {
        let next = at + letter.len_utf8();
        if width(&text[..next], size, face) > room {
            break;
        }
        end = next;
        if letter == ' ' || letter == ',' || ('\u{2e80}'..='\u{ffef}').contains(&letter) {
            pleasant = next;
        }
    }
    let first = text.chars().next().map_or(0, char::len_utf8);
    if pleasant > 0 { pleasant } else { end.max(first) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_xml_forbids_is_replaced() {
        assert_eq!(clean("a\u{0}b\u{1b}\nc\u{ffff}"), "a\u{fffd}b\u{fffd} c\u{fffd}");
        assert_eq!(clean("e\u{301}\u{301}\u{301}\u{301}x"), "e\u{301}\u{301}x");
        assert_eq!(clean(&"x".repeat(400)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn what_does_not_fit_ends_with_an_ellipsis() {
        assert_eq!(fit("web-1", 100, 13, Face::Plain), "web-1");
        assert_eq!(fit("a-name-that-is-longer", 66, 12, Face::Mono), "a-name-…");
        assert_eq!(fit("数据库服务器一号", 60, 12, Face::Plain), "数据库服…");
        assert_eq!(fit("x", 0, 12, Face::Plain), "…");
    }

    #[test]
    fn a_text_wraps_at_blanks_and_between_wide_letters() {
        let lines = wrap("the security groups do not let it out", 120, 2, 12, Face::Plain);
        assert_eq!(lines, ["the security", "groups do not le…"]);
        assert_eq!(wrap("安全组不允许", 40, 3, 12, Face::Plain), ["安全组", "不允许"]);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_never_wider_than_its_room(text in ".{0,80}", room in 20..400i32, lines in 1..4usize) {
            let text = clean(&text);
            for face in [Face::Plain, Face::Bold, Face::Mono] {
                prop_assert!(width(&fit(&text, room, 12, face), 12, face) <= room);
                for line in wrap(&text, room, lines, 12, face) {
                    prop_assert!(width(&line, 12, face) <= room, "{line}");
                }
            }
        }
    }
}
