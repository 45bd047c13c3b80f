//! Finding resources by what people know of them.

use std::fmt::Display;

use super::{Allocation, Object, Spec};
use crate::MacAddress;

impl Object {
    /// Whether something by which people know it has this text in it: its name, addresses, MAC address, VSID, prefixes, host, VM
    /// or description. `needle` is in lower case. Secrets are not looked at.
    pub fn mentions(&self, needle: &str) -> bool {
        let mut search = Search { needle, found: false };
        search.one(&self.resource.name);
        search.allocation(&self.allocation);
        search.spec(&self.resource.spec);
        search.found
    }
}

/// One search through one resource.
struct Search<'n> {
    needle: &'n str,
    found: bool,
}

impl Search<'_> {
    fn one(&mut self, value: impl Display) {
        self.found = self.found || value.to_string().to_lowercase().contains(self.needle);
    }

    fn all<T: Display>(&mut self, values: impl IntoIterator<Item = T>) {
        values.into_iter().for_each(|value| self.one(value));
    }

    /// With dashes, as Windows and we write it, or with colons, as Linux does.
    fn mac(&mut self, mac: Option<MacAddress>) {
        self.all(mac);
        self.all(mac.map(|mac| mac.to_string().replace('-', ":")));
    }

    fn allocation(&mut self, allocation: &Allocation) {
        self.all(allocation.vsid);
        self.mac(allocation.mac);
        self.all(&allocation.vm_subnet);
        self.all(&allocation.addresses);
        self.all(&allocation.learnt);
        self.all(&allocation.provider_addresses);
        self.all(&allocation.came_from);
    }

    fn spec(&mut self, spec: &Spec) {
        match spec {
            Spec::LogicalNetwork(network) => {
                self.all(network.sites.iter().flat_map(|site| &site.subnets).map(|subnet| subnet.prefix));
                self.all(network.provider_pools.iter().map(|pool| pool.prefix));
                self.all(&network.description);
            }
            Spec::MacPool(pool) => self.all(&pool.ranges),
            Spec::Host(host) => {
                self.all(host.uplinks.iter().flat_map(|uplink| &uplink.addresses));
                self.all(&host.description);
            }
            Spec::Tenant(tenant) => self.all(&tenant.description),
            Spec::Gateway(gateway) => self.all(gateway.hosts.iter().map(|host| &host.host)),
            Spec::VmNetwork(network) => {
                self.one(&network.logical_network);
                self.all(&network.description);
            }
            Spec::AddressSet(set) => {
                self.all(&set.prefixes);
                self.all(&set.description);
            }
            Spec::SecurityGroup(group) => {
                self.one(&group.vm_network);
                self.all(&group.description);
            }
            Spec::VmSubnet(subnet) => {
                self.one(&subnet.vm_network);
                self.all(&subnet.prefixes);
            }
            Spec::IpPool(pool) => {
                self.one(&pool.vm_subnet);
                self.all(&pool.ranges);
            }
            Spec::CustomerRoute(route) => {
                self.one(&route.vm_network);
                self.one(route.prefix);
                self.one(route.next_hop);
            }
            Spec::Port(port) => {
                self.all(&port.host);
                self.all(&port.migrate_to);
                self.all(&port.device);
                self.all(&port.vm_name);
                self.all(&port.addresses);
                self.mac(port.mac);
            }
            Spec::GatewayConnection(connection) => {
                self.one(&connection.vm_network);
                self.one(&connection.gateway);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fabric::{Port, Resource};
    use uuid::Uuid;

    #[test]
    fn a_port_is_found_by_what_people_know_of_it() {
        let to = Some("host16".parse().unwrap());
        let port = Port { vm_name: Some("SQL Server".to_owned()), migrate_to: to, ..Port::default() };
        let resource = Resource::new(None, "blue-2".parse().unwrap(), port);
        let addresses = vec!["10.1.1.12".parse().unwrap()];
        let mac = Some("00:1d:d8:b7:1c:00".parse().unwrap());
        let came_from = Some("host14".parse().unwrap());
        let allocation = Allocation { addresses, mac, came_from, ..Allocation::default() };
        let object = Object { resource, uid: Uuid::from_u128(1), revision: 1, created: 0, allocation };
        for needle in ["blue", "sql server", "10.1.1.1", "d8:b7", "d8-b7", "host16", "host14"] {
            assert!(object.mentions(needle), "{needle}");
        }
        assert!(!object.mentions("red") && !object.mentions("10.1.2."));
    }
}
