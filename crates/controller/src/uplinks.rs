//! From what a machine says of its interfaces to what is declared of it: which logical networks they are in, and a
//! default one where there is none.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use model::fabric::{Host, Key, Kind, LogicalNetwork, Object, Resource, ResourceName, Site, SiteSubnet, Spec, Uplink};
use plan::fabric::{Change, Fabric};

/// The site of a logical network that was made for a host. Further prefixes are added to this one.
const DEFAULT_SITE: &str = "default";

/// How many names are tried for a default logical network: `eth0`, `eth0-2`, ...
const NAMES: usize = 100;

/// What must change so that the host is declared with the uplinks that it has: nothing, if it is already.
///
/// Addresses follow what the host says. The logical networks of an uplink that is declared are the operator's; one that
/// is new is put into those that have a site (or a provider pool) with its prefix, or into a default one, which is named
/// after it and made if it is missing. What is declared and was not said stays.
pub fn changes(fabric: &Fabric, name: &ResourceName, said: &[proto::Uplink]) -> Vec<Change> {
    let key = Key::global(Kind::Host, name);
    let declared = fabric.get(&key);
    let before = declared.and_then(host);
    let given = declared.map(|object| object.allocation.provider_addresses.as_slice()).unwrap_or_default();
    let mut spec = before.cloned().unwrap_or_default();
    let mut networks = BTreeMap::new();
    for uplink in said {
        let known = spec.uplinks.iter_mut().find(|known| known.interface == uplink.interface);
        let old = known.as_ref().map(|known| known.addresses.as_slice()).unwrap_or_default();
        let addresses = addresses(uplink, old, given);
        match known {
            Some(known) => known.addresses = addresses,
            None => {
                let logical_networks = networks_for(fabric, &mut networks, name, uplink, &addresses);
                spec.uplinks.push(Uplink { interface: uplink.interface.clone(), addresses, logical_networks });
            }
        }
    }
    let put = |name: &ResourceName, spec: Spec| Change::Put {
        resource: Resource::new(None, name.clone(), spec),
        revision: None,
    };
    let mut changes: Vec<Change> = networks.into_iter().map(|(name, spec)| put(&name, spec.into())).collect();
    if before != Some(&spec) {
        changes.push(put(name, spec.into()));
    }
    changes
}

fn host(object: &Object) -> Option<&Host> {
    match &object.resource.spec {
        Spec::Host(host) => Some(host),
        _ => None,
    }
}

/// The addresses of an uplink as they are declared: those that other hosts can reach, without provider addresses that
/// the host has only because the controller gave them to it. In the old order if they are the old ones.
fn addresses(uplink: &proto::Uplink, old: &[IpNet], given: &[IpNet]) -> Vec<IpNet> {
    let ours = |address: &&IpNet| {
        let given = given.iter().any(|given| given.addr() == address.addr());
        is_global(address.addr()) && (!given || old.contains(address))
    };
    let new: Vec<IpNet> = uplink.addresses.iter().filter(ours).copied().collect();
    let set = |addresses: &[IpNet]| addresses.iter().copied().collect::<BTreeSet<_>>();
    if set(&new) == set(old) { old.to_vec() } else { new }
}

/// Neither loopback nor link-local (RFC 3927, RFC 4291).
const fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !(address.is_loopback() || address.is_link_local() || address.is_unspecified()),
        IpAddr::V6(address) => !(address.is_loopback() || address.is_unicast_link_local() || address.is_unspecified()),
    }
}

/// The logical networks of a new uplink. Those in `made` are made or extended with the host.
fn networks_for(
    fabric: &Fabric,
    made: &mut BTreeMap<ResourceName, LogicalNetwork>,
    host: &ResourceName,
    uplink: &proto::Uplink,
    addresses: &[IpNet],
) -> Vec<ResourceName> {
    let there = fabric.of_kind(Kind::LogicalNetwork, None).filter_map(|object| match &object.resource.spec {
        Spec::LogicalNetwork(network) => Some((&object.resource.name, network)),
        _ => None,
    });
    let there: BTreeMap<&ResourceName, &LogicalNetwork> = there.chain(made.iter()).collect();
    let holds = |network: &LogicalNetwork| addresses.iter().any(|address| has_prefix(network, host, address.addr()));
    let found: Vec<ResourceName> =
        there.iter().filter(|(_, network)| holds(network)).map(|(name, _)| (*name).clone()).collect();
    let prefixes: BTreeSet<IpNet> = addresses.iter().map(IpNet::trunc).collect();
    if !found.is_empty() || prefixes.is_empty() {
        return found;
    }
    let names = std::iter::once(uplink.interface.to_string())
        .chain((2..=NAMES).map(|number| format!("{}-{number}", uplink.interface)))
        .filter_map(|name| name.parse::<ResourceName>().ok());
    for name in names {
        let mut network = match there.get(&name) {
            None => LogicalNetwork {
                network_virtualization: true,
                sites: DEFAULT_SITE.parse().into_iter().map(site).collect(),
                description: Some(format!("made when host {host} joined")),
                ..LogicalNetwork::default()
            },
            Some(network) => (*network).clone(),
        };
        // One of an operator's own is left as it is.
        let Some(site) = network.sites.iter_mut().find(|site| is_default(site)) else { continue };
        site.subnets.extend(prefixes.iter().map(|&prefix| SiteSubnet { prefix, vlan: None }));
        made.insert(name.clone(), network);
        return vec![name];
    }
    Vec::new()
}

const fn site(name: ResourceName) -> Site {
    Site { name, hosts: Vec::new(), subnets: Vec::new() }
}

fn is_default(site: &Site) -> bool {
    site.name.as_str() == DEFAULT_SITE && site.hosts.is_empty()
}

/// Whether a site for this host, or a provider pool, has the address.
fn has_prefix(network: &LogicalNetwork, host: &ResourceName, address: IpAddr) -> bool {
    let sites = network.sites.iter().filter(|site| site.hosts.is_empty() || site.hosts.contains(host));
    let mut prefixes = sites
        .flat_map(|site| &site.subnets)
        .map(|subnet| subnet.prefix)
        .chain(network.provider_pools.iter().map(|pool| pool.prefix));
    prefixes.any(|prefix| prefix.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::fabric::Context;
    use uuid::Uuid;

    fn name(text: &str) -> ResourceName {
        text.parse().unwrap()
    }

    fn uplink(interface: &str, addresses: &[&str]) -> proto::Uplink {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        proto::Uplink { interface: interface.parse().unwrap(), addresses, mtu: 1500 }
    }

    fn carry_out(fabric: &mut Fabric, changes: &[Change]) {
        let context = Context { revision: 1, now: 0, uuid: &mut Uuid::new_v4 };
        fabric.change(changes, context).map_err(|refusals| refusals[0].to_string()).unwrap();
    }

    fn networks(fabric: &Fabric, of: &str) -> Vec<String> {
        let object = fabric.get(&Key::global(Kind::Host, &name(of))).unwrap();
        host(object).unwrap().uplinks.iter().flat_map(|it| &it.logical_networks).map(ToString::to_string).collect()
    }

    #[test]
    fn the_first_host_makes_a_network_that_others_join() {
        let mut fabric = Fabric::default();
        let first = changes(&fabric, &name("host15"), &[uplink("eth0", &["192.168.4.11/24", "fe80::1/64"])]);
        assert_eq!(first.len(), 2);
        carry_out(&mut fabric, &first);
        assert_eq!(networks(&fabric, "host15"), ["eth0"]);
        assert!(changes(&fabric, &name("host15"), &[uplink("eth0", &["192.168.4.11/24"])]).is_empty(), "it is so");
        // The same prefix by another interface: the same network.
        let second = changes(&fabric, &name("host16"), &[uplink("ens3", &["192.168.4.12/24"])]);
        carry_out(&mut fabric, &second);
        assert_eq!(networks(&fabric, "host16"), ["eth0"]);
        // Another prefix behind the same name: routed underlay, one network.
        let third = changes(&fabric, &name("host17"), &[uplink("eth0", &["192.168.5.13/24"])]);
        carry_out(&mut fabric, &third);
        assert_eq!(networks(&fabric, "host17"), ["eth0"]);
        let Spec::LogicalNetwork(network) =
            &fabric.get(&Key::global(Kind::LogicalNetwork, &name("eth0"))).unwrap().resource.spec
        else {
            panic!("it is a logical network")
        };
        assert!(network.network_virtualization);
        assert_eq!(network.sites[0].subnets.len(), 2);
    }

    #[test]
    fn an_operators_network_is_joined_by_prefix_and_never_changed() {
        let mut fabric = Fabric::default();
        let subnet = SiteSubnet { prefix: "10.0.0.0/8".parse().unwrap(), vlan: None };
        let rack = Site { name: name("rack"), hosts: vec![], subnets: vec![subnet] };
        for text in ["TDI", "eth0"] {
            let prefix = if text == "TDI" {
                subnet
            } else {
                SiteSubnet { prefix: "172.16.0.0/12".parse().unwrap(), vlan: None }
            };
            let sites = vec![Site { subnets: vec![prefix], ..rack.clone() }];
            let spec = LogicalNetwork { sites, ..LogicalNetwork::default() };
            carry_out(&mut fabric, &[Change::Create(Resource::new(None, name(text), spec))]);
        }
        let all = changes(&fabric, &name("a"), &[uplink("eth0", &["10.1.2.3/24"])]);
        assert_eq!(all.len(), 1);
        carry_out(&mut fabric, &all);
        assert_eq!(networks(&fabric, "a"), ["TDI"]);
        carry_out(&mut fabric.clone(), &changes(&fabric, &name("b"), &[uplink("eth0", &["192.168.1.1/24"])]));
        let b = changes(&fabric, &name("b"), &[uplink("eth0", &["192.168.1.1/24"])]);
        carry_out(&mut fabric, &b);
        assert_eq!(networks(&fabric, "b"), ["eth0-2"]);
    }

    #[test]
    fn addresses_follow_the_host_and_networks_the_operator() {
        let mut fabric = Fabric::default();
        let first = changes(&fabric, &name("a"), &[uplink("eth0", &["192.168.4.11/24"])]);
        carry_out(&mut fabric, &first);
        let moved = changes(&fabric, &name("a"), &[uplink("eth0", &["192.168.9.11/24"])]);
        assert_eq!(moved.len(), 1);
        carry_out(&mut fabric, &moved);
        assert_eq!(networks(&fabric, "a"), ["eth0"]);
        let none = changes(&fabric, &name("b"), &[uplink("eth0", &["169.254.1.1/16"])]);
        let Change::Put { resource, .. } = &none[0] else { panic!("a put: {none:?}") };
        let Spec::Host(host) = &resource.spec else { panic!("a host: {none:?}") };
        assert!(host.uplinks[0].addresses.is_empty() && host.uplinks[0].logical_networks.is_empty());
    }

    #[test]
    fn provider_addresses_that_were_given_are_not_the_hosts_own() {
        let given: IpNet = "192.168.4.200/24".parse().unwrap();
        let own: IpNet = "192.168.4.11/24".parse().unwrap();
        let said = uplink("eth0", &["192.168.4.200/24", "192.168.4.11/24"]);
        assert_eq!(addresses(&said, &[own], &[given]), [own]);
        assert_eq!(addresses(&said, &[own, given], &[given]), [own, given]);
        assert_eq!(addresses(&said, &[], &[own]), [given]);
    }
}
