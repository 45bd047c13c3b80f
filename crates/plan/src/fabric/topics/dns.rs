//! The names of a VM network's VMs, and what DHCP says of the server that knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::DhcpScope;
use model::fabric::{GatewayAllocation, Key, Kind};
use model::gateway::{Dns, DnsName};

use crate::fabric::Fabric;

/// The longest label of a name (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

impl Fabric {
    /// What a VM network's gateway answers for names, if it does, and where.
    pub(in crate::fabric) fn dns_of(&self, network: &Key) -> Option<(&Dns, &GatewayAllocation)> {
        let given = self.given_gateway(network)?;
        let dns = self.connections_of(network).find_map(|(_, spec)| spec.dns.as_ref())?;
        Some((dns, given))
    }

    /// The names of the VMs of a VM network, and those that its connection names, each once and in their order.
    pub(super) fn dns_names(&self, network: &Key, dns: &Dns) -> Vec<DnsName> {
        let mut names: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
        for port in self.users_by_name(network, Kind::Port) {
            let Some((object, spec)) = self.port(port) else { continue };
            let name = spec.vm_name.as_deref().unwrap_or(port.name.as_str());
            let addresses = object.allocation.addresses.iter().chain(&object.allocation.learnt);
            if let Some(label) = label(name) {
                names.entry(label).or_default().extend(addresses);
            }
        }
        names.retain(|_, addresses| !addresses.is_empty());
        // What somebody says goes before what follows from ports.
        for name in &dns.names {
            names.insert(name.name.to_ascii_lowercase(), name.addresses.iter().copied().collect());
        }
        names
            .into_iter()
            .map(|(name, addresses)| DnsName { name, addresses: addresses.into_iter().collect() })
            .collect()
    }
}

/// The name of a VM as a label: in lower case, with a hyphen for whatever may not stand in one. `None` if nothing is left.
fn label(name: &str) -> Option<String> {
    let letters =
        name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' });
    let mut label = String::new();
    for letter in letters {
        if letter != '-' || !label.ends_with('-') {
            label.push(letter);
        }
    }
    let label = label.trim_matches('-');
    let label = label.get(..label.len().min(MAX_LABEL))?.trim_end_matches('-');
    (!label.is_empty()).then(|| label.to_owned())
}

/// A scope whose pools name no DNS server has the gateway's, which knows the VMs; and the VMs' domain, if they name none.
pub(super) fn complete(scope: &mut DhcpScope, dns: &Dns, given: &GatewayAllocation) {
    if !scope.dns_servers.is_empty() {
        return;
    }
    let v4 = scope.prefix.addr().is_ipv4();
    scope.dns_servers = given.inside().iter().map(|own| own.addr()).filter(|own| own.is_ipv4() == v4).collect();
    if scope.dns_suffixes.is_empty() {
        scope.dns_suffixes.extend(dns.domain.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn names_of_vms_as_labels() {
        for (name, wanted) in [
            ("Web 01", Some("web-01")),
            ("sql_1.corp", Some("sql-1-corp")),
            ("  --", None),
            ("Büro", Some("b-ro")),
            ("a--b", Some("a-b")),
        ] {
            assert_eq!(label(name).as_deref(), wanted, "{name}");
        }
        assert_eq!(label(&"x".repeat(100)).map(|label| label.len()), Some(63));
    }
}
