//! Logical networks: sites and provider pools.

use std::collections::BTreeSet;

use ipnet::IpNet;
use model::VlanId;
use model::fabric::{AddressRange, Key, Kind, LogicalNetwork, ResourceName, Spec};

use super::Run;
use super::checks::{overlap, twice};
use crate::fabric::{Finding, Refusal};

/// The VLANs of a logical network, at one host or anywhere, from the lowest.
pub(super) fn vlans(spec: &LogicalNetwork, host: Option<&ResourceName>) -> Vec<VlanId> {
    let vlans: BTreeSet<VlanId> = subnets(spec, host).filter_map(|(_, vlan)| vlan).collect();
    vlans.into_iter().collect()
}

/// The prefixes that a VLAN has in a logical network.
pub(super) fn prefixes(spec: &LogicalNetwork, vlan: VlanId) -> Vec<IpNet> {
    subnets(spec, None).filter(|(_, its)| *its == Some(vlan)).map(|(prefix, _)| prefix).collect()
}

fn subnets<'a>(
    spec: &'a LogicalNetwork,
    host: Option<&'a ResourceName>,
) -> impl Iterator<Item = (IpNet, Option<VlanId>)> + 'a {
    let sites = spec
        .sites
        .iter()
        .filter(move |site| host.is_none_or(|host| site.hosts.is_empty() || site.hosts.contains(host)));
    sites.flat_map(|site| site.subnets.iter().map(|subnet| (subnet.prefix, subnet.vlan)))
}

impl Run<'_, '_> {
    pub(super) fn check_logical_network(&mut self, key: &Key, spec: &LogicalNetwork) {
        self.length(key, "sites", spec.sites.len());
        self.length(key, "provider pools", spec.provider_pools.len());
        self.check_sites(key, spec);
        self.check_provider_pools(key, spec);
    }

    fn check_sites(&mut self, key: &Key, spec: &LogicalNetwork) {
        if let Some(site) = twice(spec.sites.iter().map(|site| &site.name)) {
            self.refuse(key, Refusal::Twice { key: key.clone(), what: format!("site {site}") });
        }
        for site in &spec.sites {
            self.length(key, "prefixes in a site", site.subnets.len());
            for subnet in &site.subnets {
                self.prefix(key, subnet.prefix);
            }
            let again = twice(site.subnets.iter().map(|subnet| (subnet.prefix, subnet.vlan.map(VlanId::get))));
            if let Some((prefix, _)) = again {
                let what = format!("prefix {prefix} of site {}", site.name);
                self.refuse(key, Refusal::Twice { key: key.clone(), what });
            }
            for host in &site.hosts {
                if self.fabric.host(host).is_none() {
                    let (network, site, host) = (key.clone(), site.name.clone(), host.clone());
                    self.findings.push(Finding::NoSuchHost { network, site, host });
                }
            }
        }
    }

    /// Provider addresses are unique in the fabric, and so are the ranges that they come from.
    fn check_provider_pools(&mut self, key: &Key, spec: &LogicalNetwork) {
        if let Some(pool) = twice(spec.provider_pools.iter().map(|pool| &pool.name)) {
            self.refuse(key, Refusal::Twice { key: key.clone(), what: format!("provider pool {pool}") });
        }
        let mut seen: Vec<(Key, AddressRange)> = Vec::new();
        for other in self.fabric.of_kind(Kind::LogicalNetwork, None).filter(|other| other.key() != *key) {
            if let Spec::LogicalNetwork(network) = &other.resource.spec {
                let ranges = network.provider_pools.iter().flat_map(|pool| &pool.ranges);
                seen.extend(ranges.map(|range| (other.key(), *range)));
            }
        }
        for pool in &spec.provider_pools {
            if pool.ranges.is_empty() {
                let (what, option) = ("range in a provider pool", "ranges: [FIRST-LAST]");
                self.refuse(key, Refusal::Empty { key: key.clone(), what, option });
            }
            if self.prefix(key, pool.prefix) {
                self.ranges(key, &pool.ranges, &[pool.prefix]);
            }
            for range in &pool.ranges {
                if let Some((other, theirs)) = seen.iter().find(|(_, theirs)| theirs.overlaps(range)).cloned() {
                    self.refuse(key, Refusal::RangeOverlap { key: key.clone(), range: *range, other, theirs });
                }
            }
            seen.extend(pool.ranges.iter().map(|range| (key.clone(), *range)));
        }
        let prefixes: Vec<IpNet> = spec.provider_pools.iter().map(|pool| pool.prefix).collect();
        for (index, prefix) in prefixes.iter().enumerate() {
            let theirs = prefixes.iter().take(index).find(|other| overlap(prefix, other) && *other != prefix);
            if let Some(theirs) = theirs {
                let (other, theirs) = (key.clone(), *theirs);
                self.refuse(key, Refusal::PrefixOverlap { key: key.clone(), prefix: *prefix, other, theirs });
            }
        }
    }
}
