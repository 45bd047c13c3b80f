//! Rules as people type and read them: `ingress allow tcp 80,443 from 10.0.0.0/8 priority 10 log`.
//!
//! What is written is read back as the same rule (property test below). Names with spaces stand in double quotes.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use ipnet::IpNet;

use super::{Action, Direction, PortRange, PortRangeError, ProtocolError, Remote, RuleError, SecurityRule};

/// What a rule looks like, for those who wrote something else.
const LIKE: &str = "such as \"ingress allow tcp 80,443 from 10.0.0.0/8\", \"ingress allow icmp 8/0 from group:web\" or \"egress \
                    deny udp 53 to set:resolvers priority 10 log\"";

/// Why a text is no rule.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RuleTextError {
    /// It ends too early.
    #[error("the rule \"{rule}\" ends where {wanted} is expected; write one {LIKE}")]
    Ends {
        /// The text.
        rule: String,
        /// What should stand there.
        wanted: &'static str,
    },
    /// Another word than can stand there.
    #[error("the rule \"{rule}\" has \"{word}\" where {wanted} is expected; write one {LIKE}")]
    Word {
        /// The text.
        rule: String,
        /// The word.
        word: String,
        /// What should stand there.
        wanted: &'static str,
    },
    /// The same said twice.
    #[error("the rule \"{rule}\" says \"{word}\" twice; say it once, and write another rule for the rest")]
    Twice {
        /// The text.
        rule: String,
        /// What stands twice.
        word: String,
    },
    /// A quotation that does not end.
    #[error("the rule \"{0}\" has a double quote that is not closed; close it")]
    Quote(String),
    /// See [`ProtocolError`].
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// See [`PortRangeError`].
    #[error(transparent)]
    Ports(#[from] PortRangeError),
    /// A name of a group or set that is none.
    #[error("the rule \"{rule}\": {reason}")]
    Name {
        /// The text.
        rule: String,
        /// What the reader of names says.
        reason: String,
    },
    /// See [`RuleError`].
    #[error("the rule \"{rule}\": {error}")]
    Rule {
        /// The text.
        rule: String,
        /// What is wrong.
        error: RuleError,
    },
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}

impl fmt::Display for super::IngressDefault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SameGroup => "same-group",
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}

/// A text as one word: in quotes if it would be several.
struct Word<'a>(&'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() || self.0.contains(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '\\')) {
            f.write_char('"')?;
            for letter in self.0.chars() {
                if matches!(letter, '"' | '\\') {
                    f.write_char('\\')?;
                }
                f.write_char(letter)?;
            }
            f.write_char('"')
        } else {
            f.write_str(self.0)
        }
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

impl<N: AsRef<str>> fmt::Display for SecurityRule<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.direction, self.action, self.protocol)?;
        if !self.ports.is_empty() {
            write!(f, " {}", list(&self.ports))?;
        }
        if let Some(icmp_type) = self.icmp_type {
            write!(f, " {icmp_type}")?;
        }
        if let Some(code) = self.icmp_code {
            write!(f, "/{code}")?;
        }
        let preposition = match self.direction {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        };
        match &self.remote {
            None => {}
            Some(Remote::Prefixes(prefixes)) => write!(f, " {preposition} {}", list(prefixes))?,
            Some(Remote::AddressSet(name)) => write!(f, " {preposition} set:{}", Word(name.as_ref()))?,
            Some(Remote::SecurityGroup(name)) => write!(f, " {preposition} group:{}", Word(name.as_ref()))?,
        }
        if self.priority != Self::DEFAULT_PRIORITY {
            write!(f, " priority {}", self.priority)?;
        }
        if self.log {
            f.write_str(" log")?;
        }
        match &self.description {
            Some(description) => write!(f, " description {}", Word(description)),
            None => Ok(()),
        }
    }
}

/// The words of a rule. A part in double quotes belongs to one word, whatever is in it.
fn words(rule: &str) -> Result<Vec<String>, RuleTextError> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    let mut letters = rule.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => word.get_or_insert_default().extend(letters.next()),
            _ if letter.is_whitespace() && !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    if quoted {
        return Err(RuleTextError::Quote(rule.to_owned()));
    }
    words.extend(word);
    Ok(words)
}

/// A rule under way.
struct Reader<'a> {
    rule: &'a str,
    words: std::iter::Peekable<std::vec::IntoIter<String>>,
}

impl Reader<'_> {
    fn next(&mut self, wanted: &'static str) -> Result<String, RuleTextError> {
        self.words.next().ok_or_else(|| RuleTextError::Ends { rule: self.rule.to_owned(), wanted })
    }

    fn wrong(&self, word: &str, wanted: &'static str) -> RuleTextError {
        RuleTextError::Word { rule: self.rule.to_owned(), word: word.to_owned(), wanted }
    }

    /// The next word, if it is about ports or message types.
    fn number(&mut self) -> Option<String> {
        self.words.next_if(|word| word.starts_with(|letter: char| letter.is_ascii_digit()))
    }

    fn service<N>(&mut self, to: &mut SecurityRule<N>) -> Result<(), RuleTextError> {
        let Some(word) = self.number() else { return Ok(()) };
        if !to.protocol.is_icmp() {
            to.ports = word.split(',').map(PortRange::from_str).collect::<Result<_, _>>()?;
            return Ok(());
        }
        let wanted = "an ICMP type, or type/code, each of 0 to 255,";
        let (kind, code) = word.split_once('/').map_or((word.as_str(), None), |(kind, code)| (kind, Some(code)));
        let number = |text: &str| text.parse::<u8>().map_err(|_| self.wrong(&word, wanted));
        to.icmp_type = Some(number(kind)?);
        to.icmp_code = code.map(number).transpose()?;
        Ok(())
    }

    fn remote<N: FromStr<Err: fmt::Display>>(&mut self) -> Result<Option<Remote<N>>, RuleTextError> {
        let wanted = "any, prefixes, group:NAME or set:NAME";
        let word = self.next(wanted)?;
        let name = |text: &str| {
            let error = |reason: N::Err| RuleTextError::Name { rule: self.rule.to_owned(), reason: reason.to_string() };
            text.parse::<N>().map_err(error)
        };
        if word == "any" {
            return Ok(None);
        }
        if let Some(group) = word.strip_prefix("group:") {
            return name(group).map(|name| Some(Remote::SecurityGroup(name)));
        }
        if let Some(set) = word.strip_prefix("set:") {
            return name(set).map(|name| Some(Remote::AddressSet(name)));
        }
        let prefix = |text: &str| {
            let address = || text.parse::<std::net::IpAddr>().map(IpNet::from);
            text.parse::<IpNet>().or_else(|_| address()).map_err(|_| self.wrong(text, wanted))
        };
        word.split(',').map(prefix).collect::<Result<_, _>>().map(|prefixes| Some(Remote::Prefixes(prefixes)))
    }
}

impl<N: FromStr<Err: fmt::Display>> FromStr for SecurityRule<N> {
    type Err = RuleTextError;
    fn from_str(text: &str) -> Result<Self, RuleTextError> {
        let mut reader = Reader { rule: text, words: words(text)?.into_iter().peekable() };
        let (wanted, word) = ("ingress or egress", reader.next("ingress or egress")?);
        let direction = match word.as_str() {
            "ingress" => Direction::Ingress,
            "egress" => Direction::Egress,
            _ => return Err(reader.wrong(&word, wanted)),
        };
        let (wanted, word) = ("allow or deny", reader.next("allow or deny")?);
        let action = match word.as_str() {
            "allow" => Action::Allow,
            "deny" => Action::Deny,
            _ => return Err(reader.wrong(&word, wanted)),
        };
        let mut rule = Self::new(direction, action);
        rule.protocol = reader.next("a protocol, or any,")?.parse()?;
        reader.service(&mut rule)?;
        let mut said: Vec<String> = Vec::new();
        while let Some(word) = reader.words.next() {
            if said.contains(&word) {
                return Err(RuleTextError::Twice { rule: text.to_owned(), word });
            }
            said.push(word.clone());
            match (word.as_str(), direction) {
                ("from", Direction::Ingress) | ("to", Direction::Egress) => rule.remote = reader.remote()?,
                ("priority", _) => {
                    let (wanted, word) = ("a priority of 0 to 65535", reader.next("a priority of 0 to 65535")?);
                    rule.priority = word.parse().map_err(|_| reader.wrong(&word, wanted))?;
                }
                ("log", _) => rule.log = true,
                ("description", _) => rule.description = Some(reader.next("a description")?),
                (_, Direction::Ingress) => return Err(reader.wrong(&word, "from, priority, log or description")),
                (_, Direction::Egress) => return Err(reader.wrong(&word, "to, priority, log or description")),
            }
        }
        rule.check().map_err(|error| RuleTextError::Rule { rule: text.to_owned(), error })?;
        Ok(rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::QualifiedName;
    use crate::fabric::ResourceName;
    use proptest::prelude::*;

    #[test]
    fn what_is_typed_is_shown_the_same() {
        for rule in [
            "ingress allow tcp 80,443 from 0.0.0.0/0",
            "ingress allow any from group:web",
            "ingress allow any from group:\"web tier\"",
            "egress deny udp 53 to set:resolvers priority 10 log",
            "ingress deny any",
            "ingress allow icmp 8/0 from 10.0.0.0/8,192.168.0.0/16",
            "ingress allow icmpv6 128 description \"echo \\\"request\\\"\"",
            "egress allow sctp 1-65535 priority 0",
            "egress allow 47 to fd00::/8",
        ] {
            assert_eq!(rule.parse::<SecurityRule<ResourceName>>().unwrap().to_string(), rule);
        }
        let short = |rule: &str| rule.parse::<SecurityRule>().unwrap().to_string();
        assert_eq!(short("ingress allow tcp 22 from 10.0.0.5 priority 1000"), "ingress allow tcp 22 from 10.0.0.5/32");
        assert_eq!(short("  egress  allow 6 to any"), "egress allow tcp");
    }

    #[test]
    fn what_is_no_rule_says_where_and_what_to_write() {
        for (rule, sentence) in [
            ("", "the rule \"\" ends where ingress or egress is expected; write one such as "),
            (
                "allow tcp",
                "the rule \"allow tcp\" has \"allow\" where ingress or egress is expected; write one such as ",
            ),
            ("ingress tcp", "the rule \"ingress tcp\" has \"tcp\" where allow or deny is expected; "),
            ("ingress allow", "the rule \"ingress allow\" ends where a protocol, or any, is expected; "),
            ("ingress allow http", "\"http\" is no protocol; write tcp, udp, "),
            (
                "ingress allow tcp 80 to 10.0.0.0/8",
                "the rule \"ingress allow tcp 80 to 10.0.0.0/8\" has \"to\" where from, priority, log or description is expected; ",
            ),
            ("ingress allow tcp 8o", "\"8o\" is no port; write a number of 0 to 65535, or a range such as 8000-8100"),
            (
                "ingress allow any 80",
                "the rule \"ingress allow any 80\": protocol any has no ports; leave them out, or name tcp, udp or sctp",
            ),
            (
                "ingress allow icmp 8/x",
                "the rule \"ingress allow icmp 8/x\" has \"8/x\" where an ICMP type, or type/code, each of 0 to 255, is expected; ",
            ),
            (
                "ingress allow any from web",
                "the rule \"ingress allow any from web\" has \"web\" where any, prefixes, group:NAME or set:NAME is expected; ",
            ),
            ("ingress allow any from group:", "the rule \"ingress allow any from group:\": a name is empty; "),
            (
                "ingress allow any from 10.0.0.1/8",
                "the rule \"ingress allow any from 10.0.0.1/8\": 10.0.0.1/8 has bits set behind its length; write 10.0.0.0/8",
            ),
            (
                "ingress allow any priority 65536",
                "the rule \"ingress allow any priority 65536\" has \"65536\" where a priority of 0 to 65535 is expected; ",
            ),
            (
                "ingress allow any from group:\"web",
                "the rule \"ingress allow any from group:\"web\" has a double quote that is not closed; close it",
            ),
            (
                "ingress allow icmp from fd00::/8",
                "the rule \"ingress allow icmp from fd00::/8\": icmp does not travel between addresses of fd00::/8; ",
            ),
        ] {
            let error = rule.parse::<SecurityRule>().unwrap_err().to_string();
            assert!(error.starts_with(sentence), "{rule}: {error}");
        }
    }

    proptest! {
        #[test]
        fn writing_and_reading_gives_the_same(rule in SecurityRule::any()) {
            prop_assume!(rule.check().is_ok());
            prop_assert_eq!(rule.to_string().parse::<SecurityRule<QualifiedName>>(), Ok(rule));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "((ingress|egress|allow|any|tcp|from|group:|,|/|\"|\\\\|[0-9]{1,3}) ?){0,8}") {
            let _ = text.parse::<SecurityRule>();
        }
    }
}
