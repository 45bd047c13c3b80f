//! What changes in the tables of security groups.

use pipeline::policy::{Matches, MemberKey, Policy as Entry, PrefixKey, Rule, RuleKey, ServiceKey, WordKey, side};
use pipeline::{Address, policy};

use super::bits::Bits;
use super::classifier::Policy;
use super::numbers::Numbers;
use crate::Changes;
use crate::HostTables;
use crate::edit::Edit;

/// The edits of the six tables.
#[derive(Default)]
pub(crate) struct SecurityEdits {
    policies: Edit<u32, Entry>,
    prefixes: Edit<PrefixKey, Matches>,
    pub(super) members: Edit<MemberKey, Matches>,
    services: Edit<ServiceKey, Matches>,
    words: Edit<WordKey, u64>,
    rules: Edit<RuleKey, Rule>,
}

/// Both directions, with the place of each.
pub(super) const SIDES: [policy::Direction; 2] = [policy::Direction::Egress, policy::Direction::Ingress];

impl SecurityEdits {
    /// A policy with its numbers is there, or is no longer. All that go are said before those that come.
    pub(super) fn policy(&mut self, policy: &Policy, numbers: Numbers, present: bool) {
        let matches = |set: usize| {
            let number = numbers.first_set + set as u32;
            present.then(|| policy.sets.get(set).map(|bits| bits.matches(number)).unwrap_or_default())
        };
        self.policies.set(numbers.policy, present.then_some(policy.entry));
        for (direction, laid_out) in SIDES.into_iter().zip(&policy.sides) {
            let side = side(numbers.policy, direction);
            for (index, rule) in (0..).zip(&laid_out.rules) {
                self.rules.set(RuleKey { side, index }, present.then_some(*rule));
            }
            for (prefix, set) in &laid_out.prefixes {
                let address = Address::new(prefix.address.to_be_bytes());
                let prefix_len = PrefixKey::SIDE_BITS + prefix.length;
                self.prefixes.set(PrefixKey { prefix_len, side: side.to_be_bytes(), address }, matches(*set));
            }
            for (service, set) in &laid_out.services {
                let [_, protocol, a, b] = service.value.to_be_bytes();
                let prefix_len = ServiceKey::SIDE_BITS + service.length;
                let key = ServiceKey { prefix_len, side: side.to_be_bytes(), protocol, port: [a, b], reserved: 0 };
                self.services.set(key, matches(*set));
            }
        }
        for (number, bits) in (numbers.first_set..).zip(&policy.sets) {
            if present { self.words(number, bits) } else { self.no_words(number, bits) }
        }
    }

    /// The words of a set are there.
    pub(super) fn words(&mut self, set: u32, bits: &Bits) {
        for (key, word) in bits.entries(set) {
            self.words.set(key, Some(word));
        }
    }

    /// The words of a set are no longer there.
    pub(super) fn no_words(&mut self, set: u32, bits: &Bits) {
        for (key, _) in bits.entries(set) {
            self.words.set(key, None);
        }
    }

    /// Writes them, and says what differs from what was.
    pub(crate) fn carry_out(self, tables: &mut HostTables) -> Changes {
        Changes {
            policies: self.policies.carry_out(&mut tables.policies),
            prefixes: self.prefixes.carry_out(&mut tables.prefixes),
            members: self.members.carry_out(&mut tables.members),
            services: self.services.carry_out(&mut tables.services),
            words: self.words.carry_out(&mut tables.words),
            rules: self.rules.carry_out(&mut tables.rules),
            ..Changes::default()
        }
    }
}
