//! What flows are for: protocols, ports, ICMP types and codes, split so that no rule tells two of a part apart.

use model::security::Protocol;

use super::budget::Budget;
use super::{Rule, Step};

/// Flows of one protocol with destination ports, or ICMP type and code, from the first to the last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Atom {
    wire: Wire,
    first: u16,
    last: u16,
}

/// A protocol on the wire.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Wire {
    Number(u8),
    /// All that no rule names.
    Others {
        named: Vec<u8>,
    },
}

/// Services that differ in the same way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Services {
    /// Of every protocol but these.
    AllBut(Vec<Protocol>),
    /// Of one protocol.
    Of {
        /// The protocol.
        protocol: Protocol,
        /// Destination ports, or ICMP types and codes as `type * 256 + code`, from the first to the last; none means all.
        ranges: Vec<(u16, u16)>,
    },
}

/// The numbers that a rule is about; none means all.
fn ranges(rule: &Rule) -> Vec<(u16, u16)> {
    if let Some(kind) = rule.icmp_type {
        let base = u16::from(kind) << 8;
        return vec![
            rule.icmp_code.map_or((base, base | 0xff), |code| (base | u16::from(code), base | u16::from(code))),
        ];
    }
    rule.ports.iter().map(|range| (range.first(), range.last())).collect()
}

impl Atom {
    /// Whether a rule is about it. It is about all of it, or nothing.
    pub(super) fn is_of(&self, rule: &Rule) -> bool {
        let Some(number) = rule.protocol.number() else { return true };
        let ranges = ranges(rule);
        self.wire == Wire::Number(number)
            && (ranges.is_empty() || ranges.iter().any(|(first, last)| *first <= self.first && self.last <= *last))
    }
}

/// The parts of all flows that the steps that have changed are about; of all, if `everything` has. None if there are too many.
pub(super) fn atoms(
    rules: &[&Rule],
    changed: &[&Step<'_>],
    everything: bool,
    budget: &mut Budget,
) -> Option<Vec<Atom>> {
    let mut named: Vec<u8> = rules.iter().filter_map(|rule| rule.protocol.number()).collect();
    named.sort_unstable();
    named.dedup();
    budget.spend_each(named.len(), rules.len())?;
    let mut atoms = Vec::new();
    for number in &named {
        let of_protocol = rules.iter().filter(|rule| rule.protocol.number() == Some(*number));
        // Where a part begins.
        let mut begins: Vec<u32> = vec![0, 1 << 16];
        for (first, last) in of_protocol.flat_map(|rule| ranges(rule)) {
            begins.extend([u32::from(first), u32::from(last) + 1]);
        }
        begins.sort_unstable();
        begins.dedup();
        let parts = begins.windows(2).filter_map(|pair| {
            let (first, last) = (u16::try_from(pair[0]).ok()?, u16::try_from(pair[1] - 1).ok()?);
            Some(Atom { wire: Wire::Number(*number), first, last })
        });
        atoms.extend(parts);
    }
    atoms.push(Atom { wire: Wire::Others { named }, first: 0, last: u16::MAX });
    if !everything {
        budget.spend_each(atoms.len(), changed.iter().map(|step| step.cost()).sum())?;
        atoms.retain(|atom| changed.iter().any(|step| step.rule.is_none_or(|rule| atom.is_of(rule))));
    }
    Some(atoms)
}

/// Parts as people say them.
pub(super) fn joined(atoms: &[Atom]) -> Vec<Services> {
    let mut by_protocol: Vec<(u8, Vec<(u16, u16)>)> = Vec::new();
    let mut others: Option<&Vec<u8>> = None;
    for atom in atoms {
        match &atom.wire {
            Wire::Others { named } => others = Some(named),
            Wire::Number(number) => match by_protocol.iter_mut().find(|(other, _)| other == number) {
                Some((_, ranges)) => add(ranges, (atom.first, atom.last)),
                None => by_protocol.push((*number, vec![(atom.first, atom.last)])),
            },
        }
    }
    let mut services = Vec::new();
    if let Some(named) = others {
        let whole = |number: &u8| by_protocol.iter().any(|(other, ranges)| other == number && is_whole(ranges));
        let but: Vec<u8> = named.iter().copied().filter(|number| !whole(number)).collect();
        by_protocol.retain(|(_, ranges)| !is_whole(ranges));
        services.push(Services::AllBut(but.into_iter().map(Protocol::new).collect()));
    }
    services.extend(by_protocol.into_iter().map(|(number, ranges)| Services::Of {
        protocol: Protocol::new(number),
        ranges: if is_whole(&ranges) { Vec::new() } else { ranges },
    }));
    services
}

fn is_whole(ranges: &[(u16, u16)]) -> bool {
    ranges == [(0, u16::MAX)]
}

/// Adds a range that lies behind all that are there.
fn add(ranges: &mut Vec<(u16, u16)>, (first, last): (u16, u16)) {
    match ranges.last_mut().filter(|(_, end)| end.checked_add(1) == Some(first)) {
        Some((_, end)) => *end = last,
        None => ranges.push((first, last)),
    }
}
