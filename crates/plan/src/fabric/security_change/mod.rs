//! What a change of a security group's rules opens and closes: of two policies, exactly the flows about which they differ.
//!
//! Rules are asked one after the other, by priority and what denies before what allows; the first that matches decides.
//! So a rule that is added may open nothing, since another decides before it, and one that is taken away may open
//! something. Both policies are therefore asked about every flow that can make a difference: `services` splits protocols
//! and ports, `peers` addresses and members, so that inside of a part no rule tells flows apart.
//!
//! **Invariant:** what is said is of ports that are in this group alone: other groups of a port may decide before it. It
//! says nothing of fragments that do not tell their port.

mod budget;
mod members;
mod peers;
mod services;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use ipnet::IpNet;
use model::fabric::{ResourceName, Security};
use model::security::{Action, Direction, IngressDefault, Remote};

pub use peers::{Peers, Span};
pub use services::Services;

use budget::Budget;
use peers::Places;
use services::Atom;

type Rule = model::security::SecurityRule<ResourceName>;

/// The address sets of a VM network. One that is not among them has nobody in it.
pub type AddressSets = BTreeMap<ResourceName, Vec<IpNet>>;

/// What decides about the flows of a group's members.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy<'p> {
    /// The group's rules, as they are declared.
    pub rules: &'p [Rule],
    /// What becomes of flows that no rule is about.
    pub defaults: Security,
}

impl Policy<'_> {
    /// Nothing passes: to compare a new group with.
    pub const NOTHING: Self =
        Self { rules: &[], defaults: Security { egress: Action::Deny, ingress: IngressDefault::Deny } };
}

/// Flows that pass after a change and did not before, or the other way round.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reach {
    /// Who opens them.
    pub direction: Direction,
    /// Whether they pass now; else they pass no longer.
    pub opens: bool,
    /// What they are for.
    pub services: Vec<Services>,
    /// With whom.
    pub peers: Peers,
}

/// A rule, or a default, as one more that comes last.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Step<'p> {
    rule: Option<&'p Rule>,
    remote: Option<&'p Remote<ResourceName>>,
    allows: bool,
}

impl Step<'_> {
    /// What it costs to see whether it is about some flows.
    fn cost(&self) -> usize {
        1 + self.rule.map_or(0, |rule| rule.ports.len())
    }
}

/// The rules of a direction in the order in which they decide, and what decides after them.
struct Order<'p> {
    steps: Vec<Step<'p>>,
    default: bool,
}

impl<'p> Order<'p> {
    /// `own` is the group itself, as the other side of a flow.
    fn of(policy: &Policy<'p>, direction: Direction, own: &'p Remote<ResourceName>) -> Self {
        let mut rules: Vec<&Rule> = policy.rules.iter().filter(|rule| rule.direction == direction).collect();
        rules.sort_by_key(|rule| (rule.priority, rule.action == Action::Allow));
        let step = |rule: &'p Rule| Step {
            rule: Some(rule),
            remote: rule.remote.as_ref(),
            allows: rule.action == Action::Allow,
        };
        let mut steps: Vec<Step<'p>> = rules.into_iter().map(step).collect();
        let default = match direction {
            Direction::Egress => policy.defaults.egress == Action::Allow,
            Direction::Ingress => policy.defaults.ingress == IngressDefault::Allow,
        };
        if direction == Direction::Ingress && policy.defaults.ingress == IngressDefault::SameGroup {
            steps.push(Step { rule: None, remote: Some(own), allows: true });
        }
        Self { steps, default }
    }

    /// What it costs to find those that are about some flows.
    fn cost(&self) -> usize {
        self.steps.iter().map(Step::cost).sum()
    }

    /// The steps that are about some flows, in their order.
    fn about(&self, atom: &Atom) -> Vec<Step<'p>> {
        let is_about = |step: &&Step<'p>| step.rule.is_none_or(|rule| atom.is_of(rule));
        self.steps.iter().filter(is_about).cloned().collect()
    }
}

/// The steps that are in one of two orders and not in the other. A flow that none of them is about is decided by the same
/// steps in both, which are in the same order.
fn changed<'s, 'p>(before: &'s Order<'p>, after: &'s Order<'p>) -> Vec<&'s Step<'p>> {
    let bare = |order: &'s Order<'p>| order.steps.iter().map(|step| (step, bare(step))).collect::<Vec<_>>();
    let (before, after) = (bare(before), bare(after));
    let only = |one: &[(&'s Step<'p>, Bare<'p>)], other: &[(&'s Step<'p>, Bare<'p>)]| {
        let mut left: Vec<&Bare<'p>> = other.iter().map(|(_, bare)| bare).collect();
        let gone = one.iter().filter(|(_, bare)| match left.iter().position(|other| *other == bare) {
            Some(place) => {
                left.swap_remove(place);
                false
            }
            None => true,
        });
        gone.map(|(step, _)| *step).collect::<Vec<_>>()
    };
    let mut all = only(&before, &after);
    all.extend(only(&after, &before));
    all
}

/// A step without what decides nothing: what is told, and what is for the reader.
type Bare<'p> = (Option<Rule>, Option<&'p Remote<ResourceName>>, bool);

fn bare<'p>(step: &Step<'p>) -> Bare<'p> {
    let rule = step.rule.map(|rule| Rule { log: false, description: None, ..rule.clone() });
    (rule, step.remote, step.allows)
}

/// What passes after a change of the group `own` and did not before, and what passes no longer. None if there are so many
/// rules, or groups that they name, that it would take too long to say.
pub fn security_change(
    own: &ResourceName,
    before: &Policy<'_>,
    after: &Policy<'_>,
    sets: &AddressSets,
) -> Option<Vec<Reach>> {
    within(own, before, after, sets, &mut Budget::new())
}

fn within(
    own: &ResourceName,
    before: &Policy<'_>,
    after: &Policy<'_>,
    sets: &AddressSets,
    budget: &mut Budget,
) -> Option<Vec<Reach>> {
    let own = Remote::SecurityGroup(own.clone());
    let mut reaches = Vec::new();
    for direction in [Direction::Ingress, Direction::Egress] {
        let (before, after) = (Order::of(before, direction, &own), Order::of(after, direction, &own));
        reaches.extend(of_direction(direction, &before, &after, sets, budget)?);
    }
    // What is opened is what people look for first.
    reaches.sort_by_key(|reach| !reach.opens);
    Some(reaches)
}

fn of_direction(
    direction: Direction,
    before: &Order<'_>,
    after: &Order<'_>,
    sets: &AddressSets,
    budget: &mut Budget,
) -> Option<Vec<Reach>> {
    budget.spend_each(before.steps.len(), after.steps.len())?;
    let changed = changed(before, after);
    let everything = before.default != after.default;
    if changed.is_empty() && !everything {
        return Some(Vec::new());
    }
    let rules: Vec<&Rule> = before.steps.iter().chain(&after.steps).filter_map(|step| step.rule).collect();
    let atoms = services::atoms(&rules, &changed, everything, budget)?;
    let places = Places::of(before.steps.iter().chain(&after.steps), sets, budget)?;
    let mut found: Vec<(bool, Peers, Vec<Atom>)> = Vec::new();
    budget.spend_each(atoms.len(), before.cost() + after.cost())?;
    for atom in atoms {
        let (was, is) = (before.about(&atom), after.about(&atom));
        for (opens, peers) in places.differences((&was, before.default), (&is, after.default), budget)? {
            budget.spend(found.len())?;
            match found.iter_mut().find(|(other, whom, _)| *other == opens && *whom == peers) {
                Some((_, _, atoms)) => atoms.push(atom.clone()),
                None => found.push((opens, peers, vec![atom.clone()])),
            }
        }
    }
    let reach = |(opens, peers, atoms): (bool, Peers, Vec<Atom>)| Reach {
        direction,
        opens,
        services: services::joined(&atoms),
        peers,
    };
    Some(found.into_iter().map(reach).collect())
}
