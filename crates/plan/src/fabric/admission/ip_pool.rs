//! IP pools: ranges inside of a prefix of the subnet that no other pool has, and what DHCP tells beside the address.

use std::net::IpAddr;

use ipnet::IpNet;
use model::ClasslessRoute;
use model::fabric::{AddressRange, IpPool, Key, Kind};

use super::Run;
use crate::fabric::Refusal;
use crate::fabric::allocation::is_subnet_address;

impl Run<'_, '_> {
    pub(super) fn check_ip_pool(&mut self, key: &Key, spec: &IpPool) {
        let subnet = key.sibling(Kind::VmSubnet, &spec.vm_subnet);
        let prefixes = self.fabric.vm_subnet(&subnet).map(|subnet| subnet.prefixes.clone()).unwrap_or_default();
        if spec.ranges.is_empty() {
            self.refuse(key, Refusal::Empty { key: key.clone(), what: "range", option: "--range FIRST-LAST" });
        }
        self.ranges(key, &spec.ranges, &prefixes);
        self.length(key, "reserved ranges", spec.reserved.len());
        let others = self.fabric.pools_of(&subnet).filter(|(other, _)| other.as_ref() != key);
        let seen: Vec<(Key, AddressRange)> = others
            .flat_map(|(other, pool)| pool.ranges.iter().map(move |range| (other.as_ref().clone(), *range)))
            .collect();
        for range in &spec.ranges {
            if let Some((other, theirs)) = seen.iter().find(|(_, theirs)| theirs.overlaps(range)).cloned() {
                self.refuse(key, Refusal::RangeOverlap { key: key.clone(), range: *range, other, theirs });
            }
        }
        self.check_options(key, spec, &subnet, &prefixes);
    }

    fn check_options(&mut self, key: &Key, spec: &IpPool, subnet: &Key, prefixes: &[IpNet]) {
        self.length(key, "DNS servers", spec.dns_servers.len());
        self.length(key, "DNS suffixes", spec.dns_suffixes.len());
        self.length(key, "routes", spec.routes.len());
        for server in &spec.dns_servers {
            // A resolver on the link itself is known to IPv6 by its link-local address (RFC 8106, section 5.1).
            if !matches!(server, IpAddr::V6(v6) if v6.is_unicast_link_local()) {
                self.unicast(key, *server);
            }
        }
        for suffix in spec.dns_suffixes.iter().filter(|suffix| !is_domain(suffix)) {
            self.refuse(key, Refusal::DnsSuffix { key: key.clone(), suffix: suffix.clone() });
        }
        for ClasslessRoute { prefix, next_hop } in spec.routes.iter().copied() {
            if prefix != prefix.trunc() {
                self.refuse(key, Refusal::HostBits { key: key.clone(), prefix });
            } else if prefix.addr().is_ipv4() != next_hop.is_ipv4() {
                self.refuse(key, Refusal::Families { key: key.clone(), prefix, next_hop });
            } else if prefix.addr() != prefix.addr().to_canonical() {
                self.refuse(key, Refusal::NotUnicast { key: key.clone(), address: prefix.addr() });
            } else if self.inside(key, "next hop", next_hop, prefixes)
                && prefixes.iter().any(|prefix| is_subnet_address(prefix, next_hop))
            {
                let (what, address, subnet) = ("next hop", next_hop, subnet.clone());
                self.refuse(key, Refusal::AddressKept { key: key.clone(), what, address, subnet });
            }
        }
    }
}

/// Whether DNS takes it as a name: labels of 1 to 63 letters, digits, hyphens and underscores, 253 characters in all
/// (RFC 1035, section 2.3.4). A dot at the end is not written.
pub(super) fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}
