//! Wildcards: `*`, `?` and `[a-z]`, in any case (about_Wildcards).

/// Whether a text has something that a wildcard would stand for.
pub fn is_wild(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// Whether a text is what a pattern says, looking at case or not.
pub fn matches(pattern: &str, text: &str, case: bool) -> bool {
    let fold =
        |text: &str| -> Vec<char> { if case { text.chars().collect() } else { text.to_lowercase().chars().collect() } };
    fits(&fold(pattern), &fold(text))
}

/// Goes back to the last star alone, so that it takes at most the product of the lengths.
fn fits(pattern: &[char], text: &[char]) -> bool {
    let (mut at, mut from, mut star) = (0, 0, None);
    while from < text.len() {
        match step(pattern, at, text[from]) {
            Step::Star => {
                star = Some((at + 1, from));
                at += 1;
            }
            Step::Goes(next) => {
                at = next;
                from += 1;
            }
            Step::Differs => match star {
                Some((behind, taken)) => {
                    star = Some((behind, taken + 1));
                    at = behind;
                    from = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

enum Step {
    Star,
    Goes(usize),
    Differs,
}

fn step(pattern: &[char], at: usize, letter: char) -> Step {
    match pattern.get(at) {
        Some('*') => Step::Star,
        Some('?') => Step::Goes(at + 1),
        Some('`') if pattern.get(at + 1) == Some(&letter) => Step::Goes(at + 2),
        Some('[') => match pattern[at + 1..].iter().position(|it| *it == ']') {
            Some(length) if set_has(&pattern[at + 1..at + 1 + length], letter) => Step::Goes(at + length + 2),
            Some(_) => Step::Differs,
            None if letter == '[' => Step::Goes(at + 1),
            None => Step::Differs,
        },
        Some(expected) if *expected == letter => Step::Goes(at + 1),
        _ => Step::Differs,
    }
}

fn set_has(set: &[char], letter: char) -> bool {
    let mut at = 0;
    while at < set.len() {
        if at + 2 < set.len() && set[at + 1] == '-' {
            if (set[at]..=set[at + 2]).contains(&letter) {
                return true;
            }
            at += 3;
        } else {
            if set[at] == letter {
                return true;
            }
            at += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_powershell() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("blue*", "Blue1", true),
            ("b?ue1", "blue1", true),
            ("[a-c]lue", "Blue", true),
            ("[x-z]lue", "blue", false),
            ("*1", "blue", false),
            ("*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("10.0.0.*", "10.0.0.5", true),
            ("", "", true),
            ("", "x", false),
            ("a`*", "a*", true),
        ] {
            assert_eq!(matches(pattern, text, false), expected, "{pattern} {text}");
        }
        assert!(!matches("Blue", "blue", true));
    }
}
