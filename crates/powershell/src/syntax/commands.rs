//! Commands: what they call, and what they are given.

use poshtree::v2::{Node, NodeKind as N};

use super::lower::Lowering;
use super::tree::{Argument, Callee, Command, Discard, Expression, Kind, Piece};
use super::{text, words};

impl Lowering<'_> {
    pub(super) fn command(&mut self, node: &Node) -> Option<Command> {
        let N::Command { name, invocation, elements, redirections, .. } = &node.kind else { return None };
        let callee = self.callee(name, *invocation, self.source(node).starts_with('.'));
        let mut discard = Discard::default();
        for redirection in redirections {
            self.redirection(redirection, &mut discard);
        }
        let called = match &callee {
            Some(Callee::Name(name)) => Some(name.to_lowercase()),
            _ => None,
        };
        let arguments = self.arguments(called.as_deref(), elements);
        Some(Command { callee: callee?, arguments: arguments?, discard, at: self.at(node) })
    }

    fn callee(&mut self, name: &Node, invocation: bool, dot: bool) -> Option<Callee> {
        let word = match &name.kind {
            N::BareWord(word) if word == "." || (invocation && dot) => {
                self.wrong(name, "running another file with . is not supported; put its text into this one");
                return None;
            }
            N::BareWord(word) => word.clone(),
            N::StringLiteral { parts, .. } if invocation && parts.is_empty() => match self.string(name)? {
                Kind::Text(text) => text.to_string(),
                _ => return None,
            },
            N::ScriptBlockExpression(_) | N::Variable(_) if invocation => {
                return Some(Callee::Block(Box::new(self.expression(name)?)));
            }
            _ => {
                self.wrong(name, "a command is called by its name, or a script block with &");
                return None;
            }
        };
        let lower = word.to_lowercase();
        if self.functions.contains(&lower) || self.known.command(&lower) {
            return Some(Callee::Name(word));
        }
        let hint = if matches!(lower.as_str(), "if" | "for" | "foreach" | "while" | "switch") {
            format!("{lower} cannot stand here; put it into $( ... )")
        } else {
            match self.known.similar(&lower) {
                Some(meant) => format!("there is no cmdlet or function {word}; did you mean {meant}?"),
                None => format!("there is no cmdlet or function {word}; \"Get-Command\" lists those that there are"),
            }
        };
        self.wrong(name, hint);
        None
    }

    fn redirection(&mut self, node: &Node, discard: &mut Discard) {
        let N::Redirection { op, target } = &node.kind else { return };
        let into_nothing = target.as_ref().is_some_and(|target| self.source(target).eq_ignore_ascii_case("$null"));
        match op.as_str() {
            ">" | "1>" if into_nothing => discard.output = true,
            "2>" if into_nothing => discard.errors = true,
            "*>" if into_nothing => *discard = Discard { output: true, errors: true },
            "3>" | "4>" | "5>" | "6>" if into_nothing => {}
            _ => {
                let op = op.clone();
                self.wrong(node, format!("the redirection {op} is not supported but to $null; a shell can write what netvirt prints to a file"));
            }
        }
    }

    /// The arguments of a command. What stands between commas is one list, and what touches is one text.
    fn arguments(&mut self, called: Option<&str>, elements: &[Node]) -> Option<Vec<Argument>> {
        let mut arguments: Vec<Argument> = Vec::new();
        let (mut whole, mut comma, mut end) = (true, false, None);
        for element in elements {
            match &element.kind {
                N::BareWord(word) if word == "," => {
                    comma = true;
                    continue;
                }
                N::CommandParameter { name, argument } => {
                    whole &= self.named(called, element, name, argument.as_deref(), &mut arguments);
                    end = Some(element.span.end);
                    comma = false;
                    continue;
                }
                N::Variable(raw) if raw.starts_with('@') => {
                    let at = self.at(element);
                    arguments.push(Argument::Splat(raw[1..].to_lowercase(), at));
                    end = Some(element.span.end);
                    continue;
                }
                _ => {}
            }
            let mut words = Vec::new();
            whole &= self.words(element, &mut words);
            for word in words {
                let touches = end == Some(word.start) && !comma;
                end = Some(word.end);
                match arguments.last_mut() {
                    // The parser does not tie to a name what begins with an operator: -Name *.
                    Some(Argument::Named { value: value @ None, .. }) if !comma => *value = Some(word.value),
                    Some(Argument::Positional(last, _) | Argument::Named { value: Some(last), .. }) if comma => {
                        listed(last, word.value);
                    }
                    Some(Argument::Positional(last, _) | Argument::Named { value: Some(last), .. }) if touches => {
                        joined(last, word.value);
                    }
                    _ => {
                        let at = word.value.at;
                        arguments.push(Argument::Positional(word.value, at));
                    }
                }
                comma = false;
            }
        }
        whole.then_some(arguments)
    }

    /// Behind a command nothing is counted: `$i/24` is a text, and `$a + $b` are three arguments.
    fn words(&mut self, node: &Node, out: &mut Vec<Word>) -> bool {
        match &node.kind {
            N::Binary { op, left, right } if words::logical(&op.to_lowercase()).is_none() => {
                let mut whole = self.words(left, out);
                let between = self.text.get(left.span.end..right.span.start).unwrap_or_default();
                let start = left.span.end + between.find(op.as_str()).unwrap_or(0);
                let value = Expression { kind: Kind::Text(op.as_str().into()), at: (self.place)(start) };
                out.push(Word { value, start, end: start + op.len() });
                whole &= self.words(right, out);
                whole
            }
            N::MemberAccess { target, member, is_static: false } if !is_name(member) && !member.is_empty() => {
                // The parser takes what stands behind the name for a part of it: $a.b/24.
                let name: String = member.chars().take_while(|letter| is_letter(*letter) || *letter == '.').collect();
                let Some((owner, last)) = self.owner(node, target, name.trim_end_matches('.')) else { return false };
                let (at, end) = (self.at(node), node.span.end);
                let split = end - (member.len() - name.len());
                let value = Expression { kind: Kind::Member(Box::new(owner), last), at };
                out.push(Word { value, start: node.span.start, end: split });
                let rest = Expression { kind: Kind::Text(member[name.len()..].into()), at: (self.place)(split) };
                out.push(Word { value: rest, start: split, end });
                !name.is_empty()
            }
            _ => match self.argument(node) {
                Some(value) => {
                    out.push(Word { value, start: node.span.start, end: node.span.end });
                    true
                }
                None => false,
            },
        }
    }

    fn named(
        &mut self,
        called: Option<&str>,
        node: &Node,
        name: &str,
        argument: Option<&Node>,
        arguments: &mut Vec<Argument>,
    ) -> bool {
        let at = self.at(node);
        // The parser takes -Name:5 for one name.
        let (name, written) = name.split_once(':').map_or((name, ""), |(name, written)| (name, written));
        let tied = self.source(node).get(1 + name.len()..).is_some_and(|rest| rest.starts_with(':'));
        let wrong = called
            .filter(|called| !self.functions.contains(*called))
            .and_then(|called| self.known.wrong_parameter(called, name));
        if let Some(wrong) = wrong {
            self.wrong(node, wrong);
            return false;
        }
        let mut words = Vec::new();
        if !written.is_empty() {
            let start = node.span.start + 1 + name.len() + 1;
            let value = Expression { kind: text::bare(&text::unescape(written, None)), at: (self.place)(start) };
            words.push(Word { value, start, end: start + written.len() });
        }
        if !argument.is_none_or(|argument| self.words(argument, &mut words)) {
            return false;
        }
        let mut words = words.into_iter();
        let first = words.next();
        let mut end = first.as_ref().map(|first| first.end);
        arguments.push(Argument::Named { name: name.to_owned(), value: first.map(|first| first.value), tied, at });
        for word in words {
            match arguments.last_mut() {
                Some(Argument::Named { value: Some(last), .. } | Argument::Positional(last, _))
                    if end == Some(word.start) =>
                {
                    joined(last, word.value);
                }
                _ => {
                    let at = word.value.at;
                    arguments.push(Argument::Positional(word.value, at));
                }
            }
            end = Some(word.end);
        }
        true
    }

    fn argument(&mut self, node: &Node) -> Option<Expression> {
        match &node.kind {
            N::BareWord(word) => Some(Expression { kind: text::bare(&text::unescape(word, None)), at: self.at(node) }),
            _ => self.expression(node),
        }
    }
}

/// A piece of an argument, and the bytes that it stands in.
struct Word {
    value: Expression,
    start: usize,
    end: usize,
}

const fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

fn is_name(text: &str) -> bool {
    text.chars().all(|letter| is_letter(letter) || letter == '.')
}

/// Makes a list of what stands before a comma and what stands behind it.
fn listed(last: &mut Expression, value: Expression) {
    let at = last.at;
    let before = std::mem::replace(last, Expression { kind: Kind::List(Vec::new()), at });
    last.kind = Kind::List(match before.kind {
        Kind::List(mut items) => {
            items.push(value);
            items
        }
        kind => vec![Expression { kind, at }, value],
    });
}

/// Makes one text of two that touch, such as `10.0.0.$i`.
fn joined(last: &mut Expression, value: Expression) {
    let at = last.at;
    // Behind a comma it belongs to the last one of the list.
    if let Kind::List(items) = &mut last.kind
        && let Some(item) = items.last_mut()
    {
        return joined(item, value);
    }
    let before = std::mem::replace(last, Expression { kind: Kind::List(Vec::new()), at });
    let mut pieces = match before.kind {
        Kind::Expanding(pieces) => pieces,
        kind => vec![Piece::Value(Expression { kind, at })],
    };
    pieces.push(Piece::Value(value));
    last.kind = Kind::Expanding(pieces);
}
