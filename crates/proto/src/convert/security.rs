//! Security groups and address sets.

use model::security::{Action, Direction, IngressDefault, PortRange, Protocol, Remote};
use model::{AddressSet, QualifiedName, SecurityGroup, SecurityRule};

use super::values::{WireError, prefix_in, prefix_out, refused};
use crate::wire;
use crate::wire::remote::Remote as Wire;

pub fn group_name_in(field: &'static str, text: String) -> Result<QualifiedName, WireError> {
    QualifiedName::try_from(text.clone()).map_err(|error| refused(field, format_args!("\"{text}\""), error))
}

pub fn group_names_in(field: &'static str, list: Vec<String>) -> Result<Vec<QualifiedName>, WireError> {
    list.into_iter().map(|text| group_name_in(field, text)).collect()
}

pub fn group_names_out(list: &[QualifiedName]) -> Vec<String> {
    list.iter().map(QualifiedName::to_string).collect()
}

const fn action_out(action: Action) -> wire::Action {
    match action {
        Action::Allow => wire::Action::Allow,
        Action::Deny => wire::Action::Deny,
    }
}

fn action_in(field: &'static str, action: i32) -> Result<Action, WireError> {
    match wire::Action::try_from(action) {
        Ok(wire::Action::Allow) => Ok(Action::Allow),
        Ok(wire::Action::Deny) => Ok(Action::Deny),
        Err(_) => Err(refused(field, action, "this version of netvirt knows no such action")),
    }
}

pub fn group_out(group: &SecurityGroup) -> wire::SecurityGroup {
    let ingress_default = match group.ingress_default {
        IngressDefault::SameGroup => wire::IngressDefault::SameGroup,
        IngressDefault::Allow => wire::IngressDefault::Allow,
        IngressDefault::Deny => wire::IngressDefault::Deny,
    };
    wire::SecurityGroup {
        name: group.name.to_string(),
        rules: group.rules.iter().map(rule_out).collect(),
        egress_default: action_out(group.egress_default).into(),
        ingress_default: ingress_default.into(),
    }
}

pub fn group_in(group: wire::SecurityGroup) -> Result<SecurityGroup, WireError> {
    let ingress_default = match wire::IngressDefault::try_from(group.ingress_default) {
        Ok(wire::IngressDefault::SameGroup) => IngressDefault::SameGroup,
        Ok(wire::IngressDefault::Allow) => IngressDefault::Allow,
        Ok(wire::IngressDefault::Deny) => IngressDefault::Deny,
        Err(_) => {
            let reason = "this version of netvirt knows no such default";
            return Err(refused("ingress_default", group.ingress_default, reason));
        }
    };
    Ok(SecurityGroup {
        name: group_name_in("name", group.name)?,
        rules: group.rules.into_iter().map(rule_in).collect::<Result<_, _>>()?,
        egress_default: action_in("egress_default", group.egress_default)?,
        ingress_default,
    })
}

fn rule_out(rule: &SecurityRule) -> wire::SecurityRule {
    let direction = match rule.direction {
        Direction::Ingress => wire::Direction::Ingress,
        Direction::Egress => wire::Direction::Egress,
    };
    let range = |range: &PortRange| wire::PortRange { first: range.first().into(), last: range.last().into() };
    wire::SecurityRule {
        direction: direction.into(),
        action: action_out(rule.action).into(),
        priority: rule.priority.into(),
        protocol: rule.protocol.number().map(u32::from),
        ports: rule.ports.iter().map(range).collect(),
        icmp_type: rule.icmp_type.map(u32::from),
        icmp_code: rule.icmp_code.map(u32::from),
        remote: rule.remote.as_ref().map(remote_out),
        log: rule.log,
        description: rule.description.clone(),
    }
}

fn rule_in(rule: wire::SecurityRule) -> Result<SecurityRule, WireError> {
    let direction = match wire::Direction::try_from(rule.direction) {
        Ok(wire::Direction::Ingress) => Direction::Ingress,
        Ok(wire::Direction::Egress) => Direction::Egress,
        Err(_) => return Err(refused("direction", rule.direction, "this version of netvirt knows no such direction")),
    };
    let range = |range: wire::PortRange| {
        let (first, last) = (port_in(range.first)?, port_in(range.last)?);
        PortRange::new(first, last).map_err(|error| refused("ports", format_args!("{first}-{last}"), error))
    };
    Ok(SecurityRule {
        direction,
        action: action_in("action", rule.action)?,
        priority: u16::try_from(rule.priority)
            .map_err(|_| refused("priority", rule.priority, "a priority has 16 bits"))?,
        protocol: rule
            .protocol
            .map(|number| byte_in("protocol", number))
            .transpose()?
            .map_or(Protocol::ANY, Protocol::new),
        ports: rule.ports.into_iter().map(range).collect::<Result<_, _>>()?,
        icmp_type: rule.icmp_type.map(|number| byte_in("icmp_type", number)).transpose()?,
        icmp_code: rule.icmp_code.map(|number| byte_in("icmp_code", number)).transpose()?,
        remote: rule.remote.map(remote_in).transpose()?,
        log: rule.log,
        description: rule.description,
    })
}

fn port_in(number: u32) -> Result<u16, WireError> {
    u16::try_from(number).map_err(|_| refused("ports", number, "a port has 16 bits"))
}

fn byte_in(field: &'static str, number: u32) -> Result<u8, WireError> {
    u8::try_from(number).map_err(|_| refused(field, number, "it has 8 bits"))
}

fn remote_out(remote: &Remote) -> wire::Remote {
    let remote = match remote {
        Remote::Prefixes(prefixes) => {
            Wire::Prefixes(wire::Prefixes { prefixes: prefixes.iter().copied().map(prefix_out).collect() })
        }
        Remote::AddressSet(name) => Wire::AddressSet(name.to_string()),
        Remote::SecurityGroup(name) => Wire::SecurityGroup(name.to_string()),
    };
    wire::Remote { remote: Some(remote) }
}

fn remote_in(remote: wire::Remote) -> Result<Remote, WireError> {
    Ok(match remote.remote.ok_or(WireError::Missing { field: "remote" })? {
        Wire::Prefixes(prefixes) => Remote::Prefixes(prefixes_in("remote.prefixes", prefixes.prefixes)?),
        Wire::AddressSet(name) => Remote::AddressSet(group_name_in("remote.address_set", name)?),
        Wire::SecurityGroup(name) => Remote::SecurityGroup(group_name_in("remote.security_group", name)?),
    })
}

fn prefixes_in(field: &'static str, list: Vec<wire::Prefix>) -> Result<Vec<ipnet::IpNet>, WireError> {
    list.into_iter().map(|prefix| prefix_in(field, Some(prefix))).collect()
}

pub fn set_out(set: &AddressSet) -> wire::AddressSet {
    wire::AddressSet { name: set.name.to_string(), prefixes: set.prefixes.iter().copied().map(prefix_out).collect() }
}

pub fn set_in(set: wire::AddressSet) -> Result<AddressSet, WireError> {
    Ok(AddressSet { name: group_name_in("name", set.name)?, prefixes: prefixes_in("prefixes", set.prefixes)? })
}
