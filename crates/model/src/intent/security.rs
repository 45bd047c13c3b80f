//! The checks of security groups and address sets, and of who is in them, each by itself.

use super::{IntentError, SecurityError};
use crate::security::{MAX_GROUP_ENTRIES, MAX_GROUP_RULES, MAX_PORT_GROUPS, MAX_SET_PREFIXES, check_prefix, entries};
use crate::{AddressSet, Key, Port, QualifiedName, SecurityGroup};

/// What is wrong with a group by itself.
pub(super) fn group(key: &Key, group: &SecurityGroup) -> Vec<IntentError> {
    let count = group.rules.len();
    if count > MAX_GROUP_RULES {
        return vec![SecurityError::TooManyRules { key: key.clone(), count }.into()];
    }
    let count = entries(&group.rules);
    if count > MAX_GROUP_ENTRIES {
        return vec![SecurityError::TooManyEntries { key: key.clone(), count }.into()];
    }
    let wrong = (1..).zip(&group.rules).filter_map(|(number, rule)| {
        let error = rule.check().err()?;
        Some(SecurityError::Rule { key: key.clone(), number, error }.into())
    });
    wrong.collect()
}

/// What is wrong with an address set by itself.
pub(super) fn address_set(key: &Key, set: &AddressSet) -> Vec<IntentError> {
    let count = set.prefixes.len();
    if count > MAX_SET_PREFIXES {
        return vec![SecurityError::TooManyPrefixes { key: key.clone(), count }.into()];
    }
    let wrong = set.prefixes.iter().filter_map(|prefix| check_prefix(prefix).err());
    wrong.map(|error| SecurityError::Prefix { key: key.clone(), error }.into()).collect()
}

/// What is wrong with the groups that a port or a record is in.
pub(super) fn memberships(key: &Key, groups: &[QualifiedName]) -> Vec<IntentError> {
    if groups.len() > MAX_PORT_GROUPS {
        return vec![SecurityError::TooManyGroups { key: key.clone(), count: groups.len() }.into()];
    }
    let twice = groups.iter().enumerate().find(|(at, group)| groups[..*at].contains(group));
    twice
        .map(|(_, group)| SecurityError::GroupTwice { key: key.clone(), group: group.clone() }.into())
        .into_iter()
        .collect()
}

/// What is wrong with a port's groups.
pub(super) fn port(key: &Key, port: &Port) -> Vec<IntentError> {
    let mut errors = memberships(key, &port.security_groups);
    if !port.security_groups.is_empty() && port.vsid.is_none() {
        errors.push(SecurityError::NotVirtualized { key: key.clone() }.into());
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::super::tests::{accepted, refused};

    #[test]
    fn a_rule_makes_sense_by_itself() {
        accepted(
            "security-group",
            "rules: [{direction: ingress, protocol: tcp, ports: [80, '8000-8100'], remote: {prefixes: [10.0.0.0/8, 'fd00::/8']}}, \
             {direction: ingress, protocol: icmp, icmpType: 8, icmpCode: 0, remote: {securityGroup: t/n/web}}, \
             {direction: egress, action: deny, priority: 5, protocol: 47, remote: {addressSet: resolvers}, log: true}], \
             egressDefault: deny, ingressDefault: allow",
        );
        for (rule, sentence) in [
            ("protocol: icmp, ports: [80]", "protocol icmp has no ports; leave them out, or name tcp, udp or sctp"),
            (
                "icmpType: 8",
                "protocol any has no message types; leave icmpType and icmpCode out, or name icmp or icmpv6",
            ),
            ("protocol: icmp, icmpCode: 0", "icmpCode 0 says nothing without icmpType; give the type as well"),
            (
                "remote: {prefixes: []}",
                "its remote has no prefixes, and so it matches nobody; give some, or leave the remote out to mean everybody",
            ),
            ("remote: {prefixes: [10.0.0.1/8]}", "10.0.0.1/8 has bits set behind its length; write 10.0.0.0/8"),
            (
                "remote: {prefixes: ['::ffff:10.0.0.0/104']}",
                "::ffff:10.0.0.0 is an IPv4 address written as IPv6; write 10.0.0.0",
            ),
            (
                "protocol: icmpv6, remote: {prefixes: [10.0.0.0/8]}",
                "icmpv6 does not travel between addresses of 10.0.0.0/8; choose the protocol or prefix of the other family",
            ),
            (
                "description: \"a\\tb\"",
                "its description has a control character in it; use letters, digits, spaces and signs",
            ),
        ] {
            let spec = format!("rules: [{{direction: egress}}, {{direction: ingress, {rule}}}]");
            refused("security-group", &spec, &[&format!("security-group extra: rule 2: {sentence}")]);
        }
    }

    #[test]
    fn lists_have_limits() {
        let rules = |count| format!("rules: [{}]", vec!["{direction: egress}"; count].join(", "));
        accepted("security-group", &rules(10_000));
        refused(
            "security-group",
            &rules(10_001),
            &["security-group extra: it has 10001 rules, and a security group takes 10000; make two groups of it"],
        );
        let prefixes = |count: u32| {
            let all: Vec<String> =
                (0..count).map(|number| format!("10.0.{}.{}/32", number >> 8, number & 255)).collect();
            format!("prefixes: [{}]", all.join(", "))
        };
        accepted("address-set", &prefixes(10_000));
        refused(
            "address-set",
            &prefixes(10_001),
            &["address-set extra: it has 10001 prefixes, and an address set takes 10000; make two sets of it"],
        );
        refused(
            "address-set",
            "prefixes: ['fd00::1/8']",
            &["address-set extra: fd00::1/8 has bits set behind its length; write fd00::/8"],
        );
        let port = |groups: &str| format!("device: x, mac: 06-06-00-00-00-30, vsid: 5001, securityGroups: [{groups}]");
        let names: Vec<String> = (0..17).map(|number| format!("g{number}")).collect();
        accepted("port", &port(&names[..16].join(", ")));
        refused(
            "port",
            &port(&names.join(", ")),
            &["port extra: it is in 17 security groups, and 16 are allowed; put rules together"],
        );
        refused("port", &port("web, db, web"), &["port extra: security group \"web\" stands twice; name it once"]);
    }

    #[test]
    fn groups_are_for_ports_of_a_subnet() {
        refused(
            "port",
            "device: x, mac: 06-06-00-00-00-30, securityGroups: [web]",
            &["port extra: security groups are for ports in a VM subnet; give it a VSID, or leave the groups out"],
        );
        accepted(
            "lookup-record",
            "vsid: 5001, customerAddress: 10.0.0.9, mac: 06-06-00-00-00-09, providerAddress: 192.168.4.22, \
             securityGroups: [web, blue/net/db]",
        );
    }
}
