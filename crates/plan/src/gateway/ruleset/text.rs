//! Writing nftables' language: chains, sets and their elements.

use std::fmt::Display;

use ipnet::IpNet;

use super::Ruleset;

/// The table that is being written.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Text {
    counters: Vec<String>,
    body: String,
}

/// The families, as rules name them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::gateway) struct Family {
    /// Whether it is IPv6.
    pub(in crate::gateway) v6: bool,
    /// The word for the header: `ip` or `ip6`.
    pub(in crate::gateway) ip: &'static str,
    /// The digit at the end of sets' names.
    pub(in crate::gateway) digit: char,
    /// The type of addresses.
    pub(in crate::gateway) address: &'static str,
    /// The protocol whose queries have identifiers in the place of ports.
    pub(in crate::gateway) icmp: &'static str,
}

/// IPv4 and IPv6.
pub(in crate::gateway) const FAMILIES: [Family; 2] = [
    Family { v6: false, ip: "ip", digit: '4', address: "ipv4_addr", icmp: "icmp" },
    Family { v6: true, ip: "ip6", digit: '6', address: "ipv6_addr", icmp: "ipv6-icmp" },
];

impl Text {
    /// Declares a named counter.
    pub(in crate::gateway) fn counter(&mut self, name: impl Into<String>) {
        self.counters.push(name.into());
    }

    /// Writes a chain, when it has rules.
    pub(in crate::gateway) fn chain(&mut self, name: &str, rules: &[String]) {
        if rules.is_empty() {
            return;
        }
        self.body.push_str(&format!("\tchain {name} {{\n"));
        for rule in rules {
            self.body.push_str(&format!("\t\t{rule}\n"));
        }
        self.body.push_str("\t}\n");
    }

    /// Writes a set of the prefixes of one family.
    pub(in crate::gateway) fn prefixes<'n>(
        &mut self,
        name: &str,
        family: Family,
        nets: impl IntoIterator<Item = &'n IpNet>,
    ) {
        let elements = of_family(family, nets);
        let kind = format!("type {}; flags interval; auto-merge;", family.address);
        self.collection("set", name, &kind, &elements);
    }

    /// Writes a set or a map.
    pub(in crate::gateway) fn collection(&mut self, what: &str, name: &str, kind: &str, elements: &[String]) {
        let elements = match elements {
            [] => String::new(),
            some => format!(" elements = {};", braces(some)),
        };
        self.body.push_str(&format!("\t{what} {name} {{ {kind}{elements} }}\n"));
    }

    /// The whole.
    pub(in crate::gateway) fn finish(self) -> Ruleset {
        Ruleset::new(self.counters, self.body)
    }
}

/// The prefixes of one family, as elements.
pub(in crate::gateway) fn of_family<'n>(family: Family, nets: impl IntoIterator<Item = &'n IpNet>) -> Vec<String> {
    let of_family = nets.into_iter().filter(|net| net.addr().is_ipv6() == family.v6);
    let mut nets: Vec<_> = of_family.map(IpNet::trunc).collect();
    nets.sort_unstable();
    nets.dedup();
    nets.iter().map(element).collect()
}

/// A prefix as an element: a single address without its length.
pub(in crate::gateway) fn element(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.trunc().to_string() }
}

/// Elements in braces.
pub(in crate::gateway) fn braces<T: Display>(elements: &[T]) -> String {
    let texts: Vec<_> = elements.iter().map(ToString::to_string).collect();
    format!("{{ {} }}", texts.join(", "))
}
