//! DNS of a compartment, in dnsmasq's words: the names of the VM network's own, and whom to ask for the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::IpAddr;

use ipnet::IpNet;
use model::gateway::{Compartment, Dns};

use super::INSIDE;

/// Seconds for which clients may keep the name of a VM: one that is replaced is soon found anew.
const TTL: u32 = 10;
/// How many answers of others are kept.
const CACHE: u32 = 2000;
/// How many questions may be open with other servers: what one tenant's VMs can make this host ask at once.
const OPEN: u32 = 300;
/// The longest answer over UDP that is not fragmented on any way (DNS flag day 2020).
const LONGEST_ANSWER: u32 = 1232;

/// What dnsmasq reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Texts {
    /// Its configuration. A change wants a new start.
    pub config: String,
    /// The names, as /etc/hosts has them. A change is read when it is told to (SIGHUP).
    pub hosts: String,
    /// The servers that it asks, each with a zone that it is asked for; an empty one stands for everything.
    pub servers: BTreeMap<IpAddr, String>,
    /// What was left out, as sentences.
    pub left_out: Vec<String>,
}

/// What dnsmasq reads in a compartment, with the path at which it sees the names; `None` if nothing is for it to do.
pub fn texts(compartment: &Compartment, hosts_path: &str) -> Option<Texts> {
    let all: Vec<&Dns> = compartment.connections.iter().filter_map(|connection| connection.dns.as_ref()).collect();
    if compartment.standby || all.is_empty() {
        return None;
    }
    let mut left_out = Vec::new();
    let hosts = hosts(&all, &mut left_out);
    let config = config(compartment, &all, hosts_path, &mut left_out);
    let zones = all.iter().flat_map(|dns| &dns.zones).filter_map(|zone| Some((zone_name(&zone.zone)?, &zone.servers)));
    let of_zones = zones.flat_map(|(zone, servers)| servers.iter().map(move |server| (*server, zone.clone())));
    let forwarders = all.iter().flat_map(|dns| dns.forwarders.iter().map(|server| (*server, String::new())));
    let servers = of_zones.chain(forwarders).collect();
    Some(Texts { config, hosts, servers, left_out })
}

fn config(compartment: &Compartment, all: &[&Dns], hosts_path: &str, left_out: &mut Vec<String>) -> String {
    let mut text = format!(
        "# Written by netvirt: what is changed here is lost.\n\
         interface={INSIDE}\nexcept-interface=lo\nbind-dynamic\n\
         no-resolv\nno-poll\nno-hosts\naddn-hosts={hosts_path}\n\
         log-facility=-\n\
         cache-size={CACHE}\ndns-forward-max={OPEN}\nedns-packet-max={LONGEST_ANSWER}\n\
         local-ttl={TTL}\ndomain-needed\nlocalise-queries\n\
         all-servers\n"
    );
    let mut zones: BTreeMap<String, &[IpAddr]> = BTreeMap::new();
    for zone in all.iter().flat_map(|dns| &dns.zones) {
        match zone_name(&zone.zone) {
            Some(name) => _ = zones.insert(name, &zone.servers),
            None => left_out.push(no_name("zone", &zone.zone)),
        }
    }
    // What is our own is never asked of others; a zone that says who knows it goes before.
    let mut own: BTreeSet<String> = compartment.inside.prefixes.iter().flat_map(reverse_zones).collect();
    for domain in all.iter().filter_map(|dns| dns.domain.as_ref()) {
        match zone_name(domain) {
            Some(name) => _ = own.insert(name),
            None => left_out.push(no_name("domain", domain)),
        }
    }
    for name in own.iter().filter(|name| !zones.contains_key(*name)) {
        let _ = writeln!(text, "local=/{name}/");
    }
    for (zone, servers) in &zones {
        for server in *servers {
            let _ = writeln!(text, "server=/{zone}/{server}");
        }
    }
    let forwarders: BTreeSet<IpAddr> = all.iter().flat_map(|dns| dns.forwarders.iter().copied()).collect();
    for forwarder in forwarders {
        let _ = writeln!(text, "server={forwarder}");
    }
    text
}

/// The names in the form of /etc/hosts: the full name first, by which its address is told.
fn hosts(all: &[&Dns], left_out: &mut Vec<String>) -> String {
    let mut text = String::new();
    for dns in all {
        let domain = dns.domain.as_deref().and_then(zone_name);
        for name in &dns.names {
            let Some(plain) = zone_name(&name.name) else {
                left_out.push(no_name("name", &name.name));
                continue;
            };
            for address in &name.addresses {
                let _ = match &domain {
                    Some(domain) if !plain.contains('.') => writeln!(text, "{address} {plain}.{domain} {plain}"),
                    _ => writeln!(text, "{address} {plain}"),
                };
            }
        }
    }
    text
}

/// A name as dnsmasq is told it: without the dot at its end. `None` if it is no name of the DNS (RFC 1035, with `_` as in
/// RFC 2782).
fn zone_name(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let legal = |label: &str| {
        let characters = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        characters && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    (name.len() <= 253 && name.split('.').all(legal)).then(|| name.to_ascii_lowercase())
}

fn no_name(what: &str, name: &str) -> String {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    format!(
        "the {what} \"{shown}\" is no name of the DNS and is left out; use labels of letters, digits and '-', with dots"
    )
}

/// The zones in which the names of a prefix's addresses are (RFC 1035, 3.5; RFC 3596, 2.5): one, or several where the prefix
/// ends inside of a label.
fn reverse_zones(prefix: &IpNet) -> Vec<String> {
    let (digits, base, bits, suffix) = match prefix.network() {
        IpAddr::V4(address) => (address.octets().map(u16::from).to_vec(), 10, 8, "in-addr.arpa"),
        IpAddr::V6(address) => {
            let halves = address.octets().into_iter().flat_map(|byte| [u16::from(byte >> 4), u16::from(byte & 15)]);
            (halves.collect(), 16, 4, "ip6.arpa")
        }
    };
    let length = usize::from(prefix.prefix_len());
    let labels = length.div_ceil(bits);
    let Some(last) = labels.checked_sub(1) else { return Vec::new() };
    let several = 1_u16 << (labels * bits - length);
    (0..several)
        .map(|step| {
            let mut digits: Vec<u16> = digits[..labels].to_vec();
            digits[last] += step;
            let written =
                digits.iter().rev().map(|digit| if base == 10 { format!("{digit}.") } else { format!("{digit:x}.") });
            written.collect::<String>() + suffix
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reverse(prefix: &str) -> Vec<String> {
        reverse_zones(&prefix.parse().unwrap())
    }

    #[test]
    fn zones_of_addresses() {
        assert_eq!(reverse("10.0.1.0/24"), ["1.0.10.in-addr.arpa"]);
        assert_eq!(reverse("10.0.2.0/23"), ["2.0.10.in-addr.arpa", "3.0.10.in-addr.arpa"]);
        assert_eq!(reverse("10.0.1.128/26").len(), 64);
        assert_eq!(reverse("10.0.1.128/26")[63], "191.1.0.10.in-addr.arpa");
        assert_eq!(reverse("10.0.0.0/8"), ["10.in-addr.arpa"]);
        assert_eq!(reverse("0.0.0.0/0"), Vec::<String>::new());
        assert_eq!(reverse("fd00:a::/32"), ["a.0.0.0.0.0.d.f.ip6.arpa"]);
        assert_eq!(reverse("fd00:a::/31")[1], "b.0.0.0.0.0.d.f.ip6.arpa");
    }

    #[test]
    fn only_names_reach_the_files() {
        for legal in ["aaa", "AAA.Internal.", "_ldap._tcp.corp.example", "1.0.10.in-addr.arpa"] {
            assert!(zone_name(legal).is_some(), "{legal}");
        }
        assert_eq!(zone_name("AAA.Internal."), Some("aaa.internal".to_owned()));
        let long = "a".repeat(64);
        for illegal in
            ["", ".", "a..b", "a b", "a\nserver=1.2.3.4", "a/b", "-a", "é", &long, &"a.".repeat(127).repeat(2)]
        {
            assert_eq!(zone_name(illegal), None, "{illegal:?}");
        }
        let dns = Dns { domain: Some("x\ny".to_owned()), ..Dns::default() };
        let mut left_out = Vec::new();
        assert_eq!(hosts(&[&dns], &mut left_out), "");
        let bad = model::gateway::DnsName { name: "a\nb".to_owned(), addresses: vec!["10.0.0.1".parse().unwrap()] };
        let dns = Dns { names: vec![bad], ..Dns::default() };
        assert_eq!(hosts(&[&dns], &mut left_out), "");
        assert!(left_out[0].contains("\"ab\" is no name"), "{left_out:?}");
    }
}
