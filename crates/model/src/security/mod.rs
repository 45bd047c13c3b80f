//! Security groups: who may speak with the VMs of a port, and with whom these may speak.
//!
//! What a rule says is the same on a host and in a fabric; `N` is what names the groups and sets in it: a
//! [`QualifiedName`] on a host, the name of a resource of the same VM network in a fabric.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::QualifiedName;
use crate::fabric::named;

mod check;
mod service;
mod text;

pub use check::{RuleError, check_prefix};
pub use service::{PortRange, PortRangeError, Protocol, ProtocolError};
pub use text::RuleTextError;

/// Most rules of one security group.
pub const MAX_GROUP_RULES: usize = 10_000;
/// Most prefixes, ports and ranges of ports of all rules of one security group together: with these, a group is told to a
/// host in one message.
pub const MAX_GROUP_ENTRIES: usize = 1 << 16;
/// Most prefixes of one rule; an address set takes more.
pub const MAX_RULE_PREFIXES: usize = 256;
/// Most ports and ranges of ports of one rule.
pub const MAX_RULE_PORTS: usize = 64;
/// Most prefixes of one address set.
pub const MAX_SET_PREFIXES: usize = 10_000;
/// Most security groups of one port, those of its VM subnet included.
pub const MAX_PORT_GROUPS: usize = 16;

/// Which way a flow is opened, as the port's VM sees it. The answers of a flow pass with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// By somebody else, towards the VM.
    Ingress,
    /// By the VM.
    Egress,
}

/// What becomes of what a rule matches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It passes.
    #[default]
    Allow,
    /// It does not.
    Deny,
}

/// Whom a VM is open to where no rule says anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IngressDefault {
    /// To the other members of the group.
    #[default]
    SameGroup,
    /// To everybody.
    Allow,
    /// To nobody.
    Deny,
}

/// The other side of a flow.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Remote<N = QualifiedName> {
    /// Its address is in one of these prefixes.
    #[schemars(with = "Vec<String>")]
    Prefixes(Vec<IpNet>),
    /// Its address is in a prefix of this address set.
    AddressSet(N),
    /// It is a member of this security group, wherever it is and whatever its address.
    SecurityGroup(N),
}

/// One rule of a security group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, bound(deserialize = "N: Deserialize<'de>"))]
pub struct SecurityRule<N = QualifiedName> {
    /// Which flows it is about.
    pub direction: Direction,
    /// What becomes of them.
    #[serde(default)]
    pub action: Action,
    /// Of the rules that match, the lowest number decides, and with equal numbers one that denies.
    #[serde(default = "SecurityRule::<N>::default_priority")]
    pub priority: u16,
    /// The IP protocol.
    #[serde(default, skip_serializing_if = "Protocol::is_any")]
    pub protocol: Protocol,
    /// Destination ports, any of which will do; none means all. For protocols with ports alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortRange>,
    /// Type of an ICMP or ICMPv6 message; none means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp_type: Option<u8>,
    /// Code of an ICMP or ICMPv6 message of that type; none means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp_code: Option<u8>,
    /// The other side; none means everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<Remote<N>>,
    /// Whether the first packet of each flow that it decides is told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub log: bool,
    /// For the reader only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl<N> SecurityRule<N> {
    /// The priority of a rule that names none.
    pub const DEFAULT_PRIORITY: u16 = 1000;

    const fn default_priority() -> u16 {
        Self::DEFAULT_PRIORITY
    }

    /// A rule for everything in one direction.
    pub const fn new(direction: Direction, action: Action) -> Self {
        Self {
            direction,
            action,
            priority: Self::DEFAULT_PRIORITY,
            protocol: Protocol::ANY,
            ports: Vec::new(),
            icmp_type: None,
            icmp_code: None,
            remote: None,
            log: false,
            description: None,
        }
    }

    /// The same rule with other names for groups and sets.
    pub fn renamed<M>(&self, rename: impl Fn(&N) -> M) -> SecurityRule<M> {
        let remote = self.remote.as_ref().map(|remote| match remote {
            Remote::Prefixes(prefixes) => Remote::Prefixes(prefixes.clone()),
            Remote::AddressSet(name) => Remote::AddressSet(rename(name)),
            Remote::SecurityGroup(name) => Remote::SecurityGroup(rename(name)),
        });
        SecurityRule {
            direction: self.direction,
            action: self.action,
            priority: self.priority,
            protocol: self.protocol,
            ports: self.ports.clone(),
            icmp_type: self.icmp_type,
            icmp_code: self.icmp_code,
            remote,
            log: self.log,
            description: self.description.clone(),
        }
    }

    /// The security group that it names as the other side.
    pub const fn remote_group(&self) -> Option<&N> {
        match &self.remote {
            Some(Remote::SecurityGroup(name)) => Some(name),
            _ => None,
        }
    }

    /// The address set that it names.
    pub const fn address_set(&self) -> Option<&N> {
        match &self.remote {
            Some(Remote::AddressSet(name)) => Some(name),
            _ => None,
        }
    }
}

/// How many prefixes, ports and ranges of ports rules have together; see [`MAX_GROUP_ENTRIES`].
pub fn entries<N>(rules: &[SecurityRule<N>]) -> usize {
    let prefixes = |rule: &SecurityRule<N>| match &rule.remote {
        Some(Remote::Prefixes(prefixes)) => prefixes.len(),
        _ => 0,
    };
    rules.iter().map(|rule| prefixes(rule) + rule.ports.len()).sum()
}

/// A security group of a host. Its members are the ports and lookup records that name it.
///
/// It is written as the `spec` of a [`crate::Resource`]; the name stands beside it, and so only a whole resource is read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityGroup {
    /// Name, unique on the host.
    #[serde(skip)]
    pub name: QualifiedName,
    /// What its members may do, and who may do what to them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<SecurityRule>,
    /// Whether members may open flows that no rule is about. A port in several groups may if one of them says so.
    pub egress_default: Action,
    /// Who may open flows to members that no rule is about. A port in several groups is open to whom one of them is.
    pub ingress_default: IngressDefault,
}

impl SecurityGroup {
    /// A group without rules.
    pub const fn new(name: QualifiedName) -> Self {
        let (egress_default, ingress_default) = (Action::Allow, IngressDefault::SameGroup);
        Self { name, rules: Vec::new(), egress_default, ingress_default }
    }
}

/// What a security group's `spec` says; the name stands beside it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SecurityGroupSpec {
    #[serde(default, deserialize_with = "named::list")]
    rules: Vec<SecurityRule>,
    #[serde(default)]
    egress_default: Action,
    #[serde(default)]
    ingress_default: IngressDefault,
}

impl SecurityGroupSpec {
    pub(crate) fn with_name(self, name: QualifiedName) -> SecurityGroup {
        let Self { rules, egress_default, ingress_default } = self;
        SecurityGroup { name, rules, egress_default, ingress_default }
    }
}

/// An address set of a host: prefixes that rules name together.
///
/// It is written as the `spec` of a [`crate::Resource`]; the name stands beside it, and so only a whole resource is read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressSet {
    /// Name, unique on the host.
    #[serde(skip)]
    pub name: QualifiedName,
    /// The prefixes, of either family.
    pub prefixes: Vec<IpNet>,
}

/// What an address set's `spec` says; the name stands beside it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AddressSetSpec {
    #[serde(default)]
    prefixes: Vec<IpNet>,
}

impl AddressSetSpec {
    pub(crate) fn with_name(self, name: QualifiedName) -> AddressSet {
        AddressSet { name, prefixes: self.prefixes }
    }
}
