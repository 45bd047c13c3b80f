//! Translation (RFC 3022, RFC 4787, RFC 6296): of destinations where packets come in, of sources where they leave.
//!
//! Prefixes of IPv6 are translated one to one by the table of connections, which keeps checksums right, instead of by the
//! checksum-neutral change of RFC 6296, 3.1: host bits stay as they are.

use std::net::IpAddr;

use model::gateway::SharedAddress;

use super::text::{FAMILIES, Family, Text, braces};
use crate::gateway::NUMBER_MASK;
use crate::gateway::layout::EDGE_THERE;
use crate::gateway::nat::{Sources, Translation};

/// The devices by which packets are translated: not those of tunnels.
const TRANSLATING: &str = "{ \"inside\", \"outside\", \"edge\" }";

/// Writes the translation of destinations. It is the same for what comes from outside and for what VMs send to addresses of
/// the outside that lead back (hairpin, RFC 4787 REQ-9).
pub(super) fn inbound(text: &mut Text, translations: &[Translation<'_>]) {
    let mut base = Vec::new();
    for translation in translations {
        let number = translation.number;
        let mut rules = Vec::new();
        for family in FAMILIES {
            let externals = translation.externals(family.v6);
            if externals.is_empty() {
                continue;
            }
            let name = format!("external_{number:04x}_{}", family.digit);
            text.prefixes(&name, family, &externals);
            base.push(format!("iifname {TRANSLATING} {} daddr @{name} goto translate_in_{number:04x}", family.ip));
            rules.extend(forwards(text, translation, family));
            rules.extend(floating(translation, family, false));
        }
        let prefixes: Vec<_> = translation
            .nat
            .translations
            .iter()
            .map(|pair| format!("{} : {}", pair.external.trunc(), pair.internal.trunc()))
            .collect();
        if !prefixes.is_empty() {
            rules.push(format!("dnat ip6 prefix to ip6 daddr map {}", braces(&prefixes)));
        }
        if !rules.is_empty() {
            rules.insert(0, format!("ct mark set {number:#x}"));
        }
        text.chain(&format!("translate_in_{number:04x}"), &rules);
    }
    if !base.is_empty() {
        base.insert(0, "type nat hook prerouting priority dstnat; policy accept;".to_owned());
    }
    text.chain("translate_in", &base);
}

/// Ports that lead to VMs: those that keep their numbers in one map, by ranges, and those that change them in another, one by
/// one, since nftables shifts no ranges.
fn forwards(text: &mut Text, translation: &Translation<'_>, family: Family) -> Vec<String> {
    let (mut kept, mut moved) = (Vec::new(), Vec::new());
    for forward in &translation.nat.forwards {
        let Some(external) = translation.external(forward).filter(|external| external.is_ipv6() == family.v6) else {
            continue;
        };
        let (protocol, internal, ports) = (forward.protocol.as_str(), forward.internal, forward.ports);
        match forward.internal_port.filter(|first| *first != ports.first()) {
            None => kept.push(format!("{external} . {protocol} . {} : {internal}", range(ports.first(), ports.last()))),
            Some(first) => {
                let pairs = (ports.first()..=ports.last()).zip(first..=u16::MAX);
                moved.extend(
                    pairs.map(|(outside, inside)| {
                        format!("{external} . {protocol} . {outside} : {internal} . {inside}")
                    }),
                );
            }
        }
    }
    let (ip, address) = (family.ip, family.address);
    let key = format!("{address} . inet_proto . inet_service");
    let mut rules = Vec::new();
    if !moved.is_empty() {
        let name = format!("moved_{:04x}_{}", translation.number, family.digit);
        text.collection("map", &name, &format!("type {key} : {address} . inet_service;"), &moved);
        rules.push(format!("dnat {ip} to {ip} daddr . meta l4proto . th dport map @{name}"));
    }
    if !kept.is_empty() {
        let name = format!("kept_{:04x}_{}", translation.number, family.digit);
        text.collection("map", &name, &format!("type {key} : {address}; flags interval;"), &kept);
        rules.push(format!("dnat {ip} to {ip} daddr . meta l4proto . th dport map @{name}"));
    }
    rules
}

/// Addresses that stand for one VM each, in one direction.
fn floating(translation: &Translation<'_>, family: Family, out: bool) -> Option<String> {
    let pairs: Vec<_> = translation
        .nat
        .floating
        .iter()
        .filter(|floating| floating.external.is_ipv6() == family.v6)
        .map(|floating| match out {
            true => format!("{} : {}", floating.internal, floating.external),
            false => format!("{} : {}", floating.external, floating.internal),
        })
        .collect();
    let ip = family.ip;
    let rule = |pairs| match out {
        true => format!("snat {ip} to {ip} saddr map {pairs}"),
        false => format!("dnat {ip} to {ip} daddr map {pairs}"),
    };
    (!pairs.is_empty()).then(|| rule(braces(&pairs)))
}

/// Writes the translation of sources.
pub(super) fn outbound(text: &mut Text, translations: &[Translation<'_>]) {
    if translations.is_empty() {
        return;
    }
    let (mut plain, mut hairpins) = (Vec::new(), Vec::new());
    for translation in translations {
        let number = translation.number;
        let mut rules = Vec::new();
        for family in FAMILIES {
            rules.extend(floating(translation, family, true));
            if family.v6 {
                rules.extend(prefixes_out(translation));
            }
            rules.extend(sources(text, translation, family));
        }
        text.chain(&format!("translate_out_{number:04x}"), &rules);
        if rules.is_empty() {
            continue;
        }
        plain.push(format!("{number:#x} : goto translate_out_{number:04x}"));
        hairpins.push(format!("{number:#x} : goto hairpin_{number:04x}"));
        // A VM that appears as nothing is known to other VMs by the compartment's address inside.
        let hairpin = [format!("jump translate_out_{number:04x}"), "masquerade".to_owned()];
        text.chain(&format!("hairpin_{number:04x}"), &hairpin);
    }
    if plain.is_empty() {
        return;
    }
    let mut base = vec!["type nat hook postrouting priority srcnat; policy accept;".to_owned()];
    for family in FAMILIES {
        let (ip, digit) = (family.ip, family.digit);
        base.push(format!(
            "oifname \"inside\" ct status dnat {ip} saddr @inside{digit} ct mark and {NUMBER_MASK:#x} vmap {}",
            braces(&hairpins)
        ));
    }
    base.push(format!("oifname {{ \"outside\", \"edge\" }} ct mark and {NUMBER_MASK:#x} vmap {}", braces(&plain)));
    // What the compartment sends by itself, questions of its DNS server for example.
    for family in FAMILIES {
        let shares = |one: &&Translation<'_>| matches!(one.sources(family.v6), Sources::Shared(_));
        if let Some(translation) = translations.iter().find(shares) {
            let (ip, number) = (family.ip, translation.number);
            let own = EDGE_THERE[usize::from(family.v6)];
            base.push(format!("oifname \"edge\" {ip} saddr {own} goto translate_out_{number:04x}"));
        }
    }
    text.chain("translate_out", &base);
}

/// Prefixes of IPv6 on their way out.
fn prefixes_out(translation: &Translation<'_>) -> Option<String> {
    let pairs: Vec<_> = translation
        .nat
        .translations
        .iter()
        .map(|pair| format!("{} : {}", pair.internal.trunc(), pair.external.trunc()))
        .collect();
    (!pairs.is_empty()).then(|| format!("snat ip6 prefix to ip6 saddr map {}", braces(&pairs)))
}

/// What VMs appear as. Of several addresses each VM has always the same (RFC 4787, REQ-2), by a hash of its own.
fn sources(text: &mut Text, translation: &Translation<'_>, family: Family) -> Vec<String> {
    let Family { ip, digit, icmp, .. } = family;
    match translation.sources(family.v6) {
        Sources::None => Vec::new(),
        Sources::Own(addresses) => match addresses.as_slice() {
            [one] => vec![format!("meta nfproto {} snat {ip} to {one}", nfproto(family))],
            several => {
                let pairs: Vec<_> = several.iter().enumerate().map(|(at, one)| format!("{at} : {one}")).collect();
                let count = several.len();
                vec![format!("snat {ip} to jhash {ip} saddr mod {count} map {}", braces(&pairs))]
            }
        },
        Sources::Shared(parts) => match parts.as_slice() {
            [one] => shared(one, icmp, ip),
            several => {
                let mut choices = Vec::new();
                for (at, part) in several.iter().enumerate() {
                    let name = format!("share_{:04x}_{digit}_{at}", translation.number);
                    text.chain(&name, &shared(part, icmp, ip));
                    choices.push(format!("{at} : goto {name}"));
                }
                vec![format!("jhash {ip} saddr mod {} vmap {}", several.len(), braces(&choices))]
            }
        },
    }
}

/// The ports of a shared address as a source. The same range is that of ICMP's identifiers, by which the edge knows answers.
fn shared(part: &SharedAddress, icmp: &str, ip: &str) -> Vec<String> {
    let ports = range(part.ports.first(), part.ports.last());
    let address = match part.address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    ["{ tcp, udp }", icmp].map(|protocols| format!("meta l4proto {protocols} snat {ip} to {address}:{ports}")).to_vec()
}

/// The word for a family where no header is named.
fn nfproto(family: Family) -> &'static str {
    if family.v6 { "ipv6" } else { "ipv4" }
}

/// A range of ports, or one.
pub(in crate::gateway) fn range(first: u16, last: u16) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}
