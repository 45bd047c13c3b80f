//! Why a change about security groups is refused, each as a sentence with the value and what mends it.

use model::fabric::{Key, ResourceName};
use model::security::{Direction, RuleError};

use super::words::{Named, argument};

/// Why a security group, an address set, or who is in one, cannot be so.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SecurityRefusal {
    /// A rule that makes no sense by itself.
    #[error("{}: rule {number}: {error}", Named(.key))]
    Rule {
        /// The group.
        key: Key,
        /// Which of its rules, from 1.
        number: usize,
        /// What is wrong with it.
        error: RuleError,
    },
    /// A prefix that is none.
    #[error("{}: {error}", Named(.key))]
    Prefix {
        /// The address set.
        key: Key,
        /// What is wrong with it.
        error: RuleError,
    },
    /// In one group twice.
    #[error("{}: security group {group} stands twice; name it once", Named(.key))]
    Twice {
        /// The port or VM subnet.
        key: Key,
        /// The group.
        group: ResourceName,
    },
    /// A port with more rules than one look-up takes.
    #[error(
        "{}: its security groups, those of its VM subnet included, have {count} {direction} rules together, and a port takes \
         {limit}; take it out of one with \"netvirt set port {} --security-group ...\", or replace rules by such with address sets \
         and ranges of ports",
        Named(.port), argument(.port)
    )]
    TooManyRules {
        /// The port.
        port: Key,
        /// The direction.
        direction: Direction,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}
