//! Rules of a security group as rows of a table, and back.

use api::Problem;
use model::fabric::ResourceName;
use model::security::{Action, Direction, Remote};

use crate::forms::Form;
use crate::pages::tenant::pieces::joined;

/// A rule of the fabric.
pub type Rule = model::security::SecurityRule<ResourceName>;

/// A rule as it is typed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Row {
    pub direction: String,
    pub action: String,
    pub protocol: String,
    /// Ports, or of ICMP type and code: `8/0`.
    pub service: String,
    /// Prefixes, `group:NAME` or `set:NAME`; everybody if it is empty.
    pub peer: String,
    pub priority: String,
    pub log: String,
    pub description: String,
}

/// The fields of a row, each with its name in forms.
pub const FIELDS: [&str; 8] = ["direction", "action", "protocol", "service", "peer", "priority", "log", "note"];

impl Row {
    /// A rule as a row.
    pub fn of(rule: &Rule) -> Self {
        let service = match (rule.icmp_type, rule.icmp_code) {
            (Some(kind), Some(code)) => format!("{kind}/{code}"),
            (Some(kind), None) => kind.to_string(),
            _ => joined(&rule.ports),
        };
        Self {
            direction: rule.direction.to_string(),
            action: rule.action.to_string(),
            protocol: rule.protocol.to_string(),
            service,
            peer: peer(rule.remote.as_ref()),
            priority: rule.priority.to_string(),
            log: if rule.log { "yes" } else { "no" }.to_owned(),
            description: rule.description.clone().unwrap_or_default(),
        }
    }

    /// The rows of a form. One whose choices alone are filled in is one that nobody has typed into.
    pub fn all(form: &Form) -> Vec<Self> {
        let columns = FIELDS.map(|name| form.all(name).map(str::to_owned).collect::<Vec<_>>());
        let length = columns.iter().map(Vec::len).max().unwrap_or_default();
        let row = |index: usize| {
            let mut cells = columns.iter().map(|column| column.get(index).cloned().unwrap_or_default());
            let mut next = || cells.next().unwrap_or_default();
            Self {
                direction: next(),
                action: next(),
                protocol: next(),
                service: next(),
                peer: next(),
                priority: next(),
                log: next(),
                description: next(),
            }
        };
        (0..length).map(row).filter(|row| !row.is_empty()).collect()
    }

    fn is_empty(&self) -> bool {
        let typed = [&self.protocol, &self.service, &self.peer, &self.priority, &self.description];
        typed.into_iter().all(String::is_empty)
    }

    /// The rule.
    fn rule(&self) -> Result<Rule, String> {
        // A word that is none of these, or a column that a form lacks, must not open what was to be closed.
        let direction = match self.direction.as_str() {
            "ingress" => Direction::Ingress,
            "egress" => Direction::Egress,
            other => return Err(format!("direction: \"{other}\" is none; choose ingress or egress")),
        };
        let action = match self.action.as_str() {
            "allow" => Action::Allow,
            "deny" => Action::Deny,
            other => return Err(format!("action: \"{other}\" is none; choose allow or deny")),
        };
        let mut rule = Rule::new(direction, action);
        if !self.protocol.is_empty() {
            rule.protocol = read("protocol", &self.protocol)?;
        }
        if rule.protocol.is_icmp() && !self.service.is_empty() {
            let (kind, code) =
                self.service.split_once('/').map_or((self.service.as_str(), None), |(a, b)| (a, Some(b)));
            rule.icmp_type = Some(read("icmpType", kind.trim())?);
            rule.icmp_code = code.map(|code| read("icmpCode", code.trim())).transpose()?;
        } else {
            rule.ports = words(&self.service).map(|word| read("ports", word)).collect::<Result<_, _>>()?;
        }
        rule.remote = self.remote()?;
        if !self.priority.is_empty() {
            rule.priority = read("priority", &self.priority)?;
        }
        rule.log = self.log == "yes";
        rule.description = Some(self.description.clone()).filter(|text| !text.is_empty());
        rule.check().map_err(|error| error.to_string())?;
        Ok(rule)
    }

    fn remote(&self) -> Result<Option<Remote<ResourceName>>, String> {
        if let Some(name) = self.peer.strip_prefix("group:") {
            return Ok(Some(Remote::SecurityGroup(read("group", name.trim())?)));
        }
        if let Some(name) = self.peer.strip_prefix("set:") {
            return Ok(Some(Remote::AddressSet(read("set", name.trim())?)));
        }
        let prefixes: Vec<_> = words(&self.peer).map(|word| read("peer", word)).collect::<Result<_, _>>()?;
        Ok(Some(prefixes).filter(|prefixes| !prefixes.is_empty()).map(Remote::Prefixes))
    }
}

/// The other side of a rule in a word.
pub fn peer(remote: Option<&Remote<ResourceName>>) -> String {
    match remote {
        None => String::new(),
        Some(Remote::Prefixes(prefixes)) => joined(prefixes),
        Some(Remote::AddressSet(name)) => format!("set:{name}"),
        Some(Remote::SecurityGroup(name)) => format!("group:{name}"),
    }
}

/// The rules of all rows. One that nobody has typed into is none, also where it was put there to be typed into.
///
/// # Errors
/// What is wrong with each row that is no rule, with its number.
pub fn rules(rows: &[Row]) -> Result<Vec<Rule>, Problem> {
    let mut problems = Vec::new();
    let mut rules = Vec::new();
    for (index, row) in rows.iter().enumerate().filter(|(_, row)| !row.is_empty()) {
        match row.rule() {
            Ok(rule) => rules.push(rule),
            Err(sentence) => problems.push(format!("rule {}: {sentence}", index + 1)),
        }
    }
    if problems.is_empty() { Ok(rules) } else { Err(Problem::with_errors(api::ProblemType::Invalid, problems)) }
}

fn read<T: std::str::FromStr<Err: std::fmt::Display>>(field: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{field}: \"{text}\": {error}"))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', ',']).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_comes_back_as_it_went() {
        for text in [
            "ingress allow tcp 80,443,8000-8100 from 10.0.0.0/8,fd00::/8 priority 10 log",
            "egress deny udp 53 to set:resolvers",
            "ingress allow icmp 8/0 from group:web",
            "ingress allow icmpv6 128",
            "egress deny any",
        ] {
            let rule: Rule = text.parse().unwrap();
            assert_eq!(Row::of(&rule).rule(), Ok(rule), "{text}");
        }
    }

    #[test]
    fn what_is_no_rule_is_said_with_its_number() {
        let any = Row::of(&Rule::new(Direction::Ingress, Action::Allow));
        let rows = [any.clone(), Row { protocol: "tpc".into(), ..any.clone() }];
        let problem = rules(&rows).unwrap_err();
        assert!(problem.detail.starts_with("rule 2: protocol: \"tpc\": "), "{problem}");
        let rows = [Row { service: "80".into(), ..any.clone() }];
        assert!(rules(&rows).unwrap_err().detail.contains("has no ports"), "of any protocol");
        for (row, words) in [
            (Row { action: "Deny".into(), ..any.clone() }, "action: \"Deny\" is none"),
            (Row { action: String::new(), ..any.clone() }, "action: \"\" is none"),
            (Row { direction: "out".into(), ..any }, "direction: \"out\" is none"),
        ] {
            assert!(rules(&[row]).unwrap_err().detail.contains(words), "{words}");
        }
    }

    #[test]
    fn rows_that_nobody_typed_into_are_none() {
        let form = Form::read(b"direction=ingress&action=allow&protocol=&service=&peer=&priority=&log=no&note=");
        assert_eq!(Row::all(&form), []);
        assert_eq!(rules(&[Row::default()]), Ok(Vec::new()));
    }
}
