//! Fields of security groups and address sets, which hosts and controllers both have.

use clap::Args;
use model::fabric::ResourceName;
use model::security::{Action, IngressDefault};
use model::{QualifiedName, SecurityRule};
use serde::Serialize;
use serde_json::{Map, Value};

use super::given;
use super::values::{OrNothing, Prefix};

/// Fields of a security group.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityGroupFields {
    /// Rule, such as "ingress allow tcp 80,443 from 10.0.0.0/8", "ingress allow icmp 8/0 from group:web" or "egress deny
    /// udp 53 to set:resolvers priority 10 log"; may be repeated. With set, all rules anew; "" takes all away.
    #[arg(long = "rule", value_name = "RULE")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<OrNothing<SecurityRule<QualifiedName>>>,
    /// At a controller: the VM network whose ports can be in it.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    vm_network: Option<ResourceName>,
    /// At a controller: for the reader only; "" takes it away.
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// At a host: what becomes of what members open and no rule is about: allow (the default) or deny.
    #[arg(long, value_parser = action)]
    #[serde(skip_serializing_if = "Option::is_none")]
    egress_default: Option<Action>,
    /// At a host: to whom members are open where no rule is about it: same-group (the default), allow or deny.
    #[arg(long, value_parser = ingress_default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ingress_default: Option<IngressDefault>,
}

/// Fields of an address set.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressSetFields {
    /// Prefix, IPv4 or IPv6; may be repeated. With set, all prefixes anew; "" takes all away.
    #[arg(long = "prefix", value_name = "PREFIX")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prefixes: Vec<OrNothing<Prefix>>,
    /// At a controller: the VM network whose security groups can name it.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    vm_network: Option<ResourceName>,
    /// At a controller: for the reader only; "" takes it away.
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

/// What becomes of flows in a VM network that no rule is about.
#[derive(Debug, Args, Serialize)]
pub struct SecurityFields {
    /// Of flows that ports in security groups open and no rule is about: allow (the default) or deny.
    #[arg(long = "egress-default", value_name = "ACTION", value_parser = action)]
    #[serde(skip_serializing_if = "Option::is_none")]
    egress: Option<Action>,
    /// To whom ports in security groups are open where no rule is about it: same-group (the default), allow or deny.
    #[arg(long = "ingress-default", value_name = "WHOM", value_parser = ingress_default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ingress: Option<IngressDefault>,
}

impl SecurityFields {
    /// The field of the VM network, if something of it is given.
    pub(super) fn given(&self) -> Option<Map<String, Value>> {
        Some(given(self)).filter(|fields| !fields.is_empty())
    }
}

fn action(text: &str) -> Result<Action, String> {
    match text {
        "allow" => Ok(Action::Allow),
        "deny" => Ok(Action::Deny),
        _ => Err("what is opened is allowed or denied: write allow or deny".to_owned()),
    }
}

fn ingress_default(text: &str) -> Result<IngressDefault, String> {
    match text {
        "same-group" => Ok(IngressDefault::SameGroup),
        "allow" => Ok(IngressDefault::Allow),
        "deny" => Ok(IngressDefault::Deny),
        _ => {
            Err("a port is open to the same group, to everybody or to nobody: write same-group, allow or deny"
                .to_owned())
        }
    }
}
