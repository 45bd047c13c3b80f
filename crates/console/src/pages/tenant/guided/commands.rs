//! Resources as the commands that create them.

use model::fabric::{AddressSet, IpPool, Isolation, Resource, Security, Spec, VmNetwork, VmSubnet};

use crate::layout::{for_tenant, word};

/// `netvirt create …`, one line each. Of kinds that this page does not make, there are none.
pub fn of(resources: &[Resource]) -> Vec<String> {
    resources.iter().filter_map(one).collect()
}

fn one(resource: &Resource) -> Option<String> {
    let flags = match &resource.spec {
        Spec::VmNetwork(network) => of_network(network),
        Spec::VmSubnet(subnet) => of_subnet(subnet),
        Spec::IpPool(pool) => of_pool(pool),
        Spec::AddressSet(AddressSet { vm_network, prefixes, .. }) => std::iter::once(flag("vm-network", vm_network))
            .chain(prefixes.iter().map(|one| flag("prefix", one)))
            .collect(),
        _ => return None,
    };
    let (kind, name) = (resource.kind(), word(resource.name.as_str()));
    Some(format!("netvirt create {kind} {name}{}{}", flags.concat(), for_tenant(resource.tenant.as_ref())))
}

fn flag(name: &str, value: impl ToString) -> String {
    format!(" --{name} {}", word(&value.to_string()))
}

fn of_network(network: &VmNetwork) -> Vec<String> {
    let VmNetwork { logical_network, isolation, security, description, .. } = network;
    let usual = Security::default();
    let mut flags = vec![flag("logical-network", logical_network)];
    flags.extend((*isolation != Isolation::default()).then(|| flag("isolation", isolation)));
    flags.extend((security.ingress != usual.ingress).then(|| flag("ingress-default", security.ingress)));
    flags.extend((security.egress != usual.egress).then(|| flag("egress-default", security.egress)));
    flags.extend(description.as_ref().map(|text| flag("description", text)));
    flags
}

fn of_subnet(subnet: &VmSubnet) -> Vec<String> {
    let prefixes = subnet.prefixes.iter().map(|prefix| flag("prefix", prefix));
    std::iter::once(flag("vm-network", &subnet.vm_network)).chain(prefixes).collect()
}

fn of_pool(pool: &IpPool) -> Vec<String> {
    let ranges = pool.ranges.iter().map(|range| flag("range", range));
    let servers = pool.dns_servers.iter().map(|server| flag("dns-server", server));
    std::iter::once(flag("vm-subnet", &pool.vm_subnet)).chain(ranges).chain(servers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_say_all_that_is_declared() {
        let text = "
{kind: vm-network, tenant: blue, name: my shop, spec: {logicalNetwork: TDIv2, isolation: geneve, security: {ingress: deny, egress: deny}}}
---
{kind: vm-subnet, name: web, spec: {vmNetwork: my shop, prefixes: [10.1.0.0/24, 'fd00::/64']}}
---
{kind: ip-pool, tenant: blue, name: p, spec: {vmSubnet: web, ranges: [10.1.0.9-10.1.0.12], dnsServers: [10.1.0.5]}}
";
        assert_eq!(
            of(&model::fabric::resources_from_yaml(text).unwrap()),
            [
                "netvirt create vm-network 'my shop' --logical-network TDIv2 --isolation geneve --ingress-default deny \
             --egress-default deny --tenant blue",
                "netvirt create vm-subnet web --vm-network 'my shop' --prefix 10.1.0.0/24 --prefix fd00::/64",
                "netvirt create ip-pool p --vm-subnet web --range 10.1.0.9-10.1.0.12 --dns-server 10.1.0.5 --tenant blue",
            ]
        );
    }
}
