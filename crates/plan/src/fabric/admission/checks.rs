//! Checks that several kinds share: prefixes, ranges, texts, lengths of lists.

use std::net::IpAddr;

use ipnet::IpNet;
use model::fabric::{AddressRange, Key, Spec};

use super::{MAX_ENTRIES, MAX_TEXT, Run};
use crate::fabric::Refusal;
use crate::fabric::allocation::is_unicast;

pub(super) use crate::fabric::proposal::overlap;

impl Run<'_, '_> {
    /// Texts for the reader stand in one line of a table.
    pub(super) fn texts(&mut self, key: &Key, spec: &Spec) {
        let texts = match spec {
            Spec::LogicalNetwork(spec) => [("description", &spec.description)],
            Spec::Host(spec) => [("description", &spec.description)],
            Spec::Tenant(spec) => [("description", &spec.description)],
            Spec::VmNetwork(spec) => [("description", &spec.description)],
            Spec::AddressSet(spec) => [("description", &spec.description)],
            Spec::SecurityGroup(spec) => [("description", &spec.description)],
            Spec::Gateway(spec) => [("description", &spec.description)],
            Spec::GatewayConnection(spec) => [("description", &spec.description)],
            Spec::Port(spec) => [("vmName", &spec.vm_name)],
            Spec::MacPool(_) | Spec::VmSubnet(_) | Spec::IpPool(_) | Spec::CustomerRoute(_) => return,
        };
        for (field, text) in texts {
            if text.as_ref().is_some_and(|text| text.chars().any(char::is_control)) {
                self.refuse(key, Refusal::ControlCharacter { key: key.clone(), field });
            }
            let count = text.as_ref().map_or(0, |text| text.chars().count());
            if count > MAX_TEXT {
                let what = if field == "vmName" { "characters in vmName" } else { "characters in its description" };
                self.refuse(key, Refusal::TooMany { key: key.clone(), what, count, limit: MAX_TEXT });
            }
        }
    }

    /// A list may not be longer than [`MAX_ENTRIES`].
    pub(super) fn length(&mut self, key: &Key, what: &'static str, count: usize) {
        if count > MAX_ENTRIES {
            self.refuse(key, Refusal::TooMany { key: key.clone(), what, count, limit: MAX_ENTRIES });
        }
    }

    /// A prefix with a place for a gateway, and of addresses that an interface can have. Whether it is one.
    pub(super) fn prefix(&mut self, key: &Key, prefix: IpNet) -> bool {
        let key = key.clone();
        let max = prefix.max_prefix_len() - 2;
        let refusal = if prefix != prefix.trunc() {
            Refusal::HostBits { key: key.clone(), prefix }
        } else if prefix.prefix_len() == 0 || prefix.prefix_len() > max {
            Refusal::PrefixLength { key: key.clone(), prefix, min: 1, max }
        } else if !holds_unicast_only(&prefix) {
            Refusal::NotUnicast { key: key.clone(), address: prefix.addr() }
        } else {
            return true;
        };
        self.refuse(&key, refusal);
        false
    }

    /// An address that an interface can be given.
    pub(super) fn unicast(&mut self, key: &Key, address: IpAddr) -> bool {
        let good = is_unicast(address);
        if !good {
            self.refuse(key, Refusal::NotUnicast { key: key.clone(), address });
        }
        good
    }

    /// Each range inside of one of the prefixes, and none overlapping another one of the list.
    pub(super) fn ranges(&mut self, key: &Key, ranges: &[AddressRange], prefixes: &[IpNet]) {
        self.length(key, "ranges", ranges.len());
        for range in ranges {
            if !is_inside(range, prefixes) {
                let prefixes = prefixes.to_vec();
                self.refuse(key, Refusal::RangeOutside { key: key.clone(), range: *range, prefixes });
            }
        }
        if let Some((range, theirs)) = overlapping(ranges) {
            self.refuse(key, Refusal::RangeOverlap { key: key.clone(), range, other: key.clone(), theirs });
        }
    }
}

/// Whether no address of the prefix is unspecified, "this network" (RFC 1122, section 3.2.1.3), multicast, loopback,
/// link-local or IPv4 in the clothes of IPv6.
fn holds_unicast_only(prefix: &IpNet) -> bool {
    let never = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "::/127", "ff00::/8", "fe80::/10", "::ffff:0:0/96"];
    never.into_iter().filter_map(|text| text.parse::<IpNet>().ok()).all(|never| !overlap(prefix, &never))
}

/// Whether a range is inside of one of the prefixes.
pub(super) fn is_inside(range: &AddressRange, prefixes: &[IpNet]) -> bool {
    prefixes.iter().any(|prefix| prefix.contains(&range.first()) && prefix.contains(&range.last()))
}

/// Two ranges of a list that overlap, the later one first.
fn overlapping(ranges: &[AddressRange]) -> Option<(AddressRange, AddressRange)> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).find_map(|pair| match pair {
        [first, second] if first.overlaps(second) => Some((*second, *first)),
        _ => None,
    })
}

/// The first value that stands in a list twice.
pub(super) fn twice<T: Ord + Clone>(items: impl IntoIterator<Item = T>) -> Option<T> {
    let mut seen = std::collections::BTreeSet::new();
    items.into_iter().find(|item| !seen.insert(item.clone()))
}
