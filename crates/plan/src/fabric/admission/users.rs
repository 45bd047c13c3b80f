//! Who uses what: what others hold must still be there when something changes or goes.

use std::net::IpAddr;

use model::fabric::{
    AddressRange, Allocation, CustomerRoute, IpPool, Isolation, Key, Kind, LogicalNetwork, MacPool, MacRange, Object,
    Spec, VmSubnet,
};

use super::Run;
use super::checks::is_inside;
use super::logical_network::{prefixes, vlans};
use crate::fabric::{Fabric, Refusal, Users};

impl Fabric {
    /// Who refers to an object: by name, or by holding what it gave (addresses of pools), or by leading through it
    /// (customer routes through a subnet). In the order of their keys.
    pub fn users_of(&self, key: &Key) -> Vec<Key> {
        let mut users: Vec<Key> = self.index.users(key).map(|user| user.as_ref().clone()).collect();
        if let Some(object) = self.get(key) {
            users.extend(self.unnamed_users(key, &object.resource.spec, |_| false));
        }
        users.sort_unstable();
        users.dedup();
        users
    }

    /// Who uses what this spec has without naming it, but for addresses that are still to be had otherwise.
    fn unnamed_users(&self, key: &Key, spec: &Spec, otherwise: impl Fn(&Key) -> bool) -> Vec<Key> {
        let users = match spec {
            Spec::IpPool(pool) => self.drawn(key, pool),
            Spec::MacPool(pool) => self.drawn_macs(&pool.ranges),
            Spec::VmSubnet(subnet) => self.routes_through(key, subnet).map(|(route, _)| route).collect(),
            _ => Vec::new(),
        };
        users.into_iter().filter(|user| !otherwise(user)).collect()
    }

    /// The ports that have drawn from a pool.
    fn drawn(&self, key: &Key, pool: &IpPool) -> Vec<Key> {
        let subnet = key.sibling(Kind::VmSubnet, &pool.vm_subnet);
        let Some(uid) = self.get(&subnet).map(|subnet| subnet.uid) else { return Vec::new() };
        let drew = |(address, owner): (IpAddr, &Key)| {
            let (object, spec) = self.port(owner)?;
            let drawn = object.allocation.addresses.contains(&address) && !spec.addresses.contains(&address);
            drawn.then(|| owner.clone())
        };
        pool.ranges.iter().flat_map(|range: &AddressRange| self.claims.addresses(uid, range)).filter_map(drew).collect()
    }

    fn drawn_macs(&self, ranges: &[MacRange]) -> Vec<Key> {
        let owners = ranges.iter().flat_map(|range| self.claims.macs(range)).map(|(_, owner)| owner);
        let drew = |owner: &&Key| match self.port(owner) {
            Some((_, port)) => port.mac.is_none(),
            None => self.given_gateway(owner).is_some(),
        };
        owners.filter(drew).cloned().collect()
    }

    /// The customer routes whose next hop is in a subnet.
    fn routes_through(&self, key: &Key, subnet: &VmSubnet) -> impl Iterator<Item = (Key, CustomerRoute)> {
        let network = key.sibling(Kind::VmNetwork, &subnet.vm_network);
        self.users_by_name(&network, Kind::CustomerRoute).filter_map(|user| match &self.get(user)?.resource.spec {
            Spec::CustomerRoute(route) if subnet.prefixes.iter().any(|prefix| prefix.contains(&route.next_hop)) => {
                Some((user.as_ref().clone(), route.clone()))
            }
            _ => None,
        })
    }

    /// Whether a port that drew its addresses could have drawn all of them as things are.
    fn is_well_given(&self, key: &Key) -> bool {
        let Some((object, spec)) = self.port(key) else { return true };
        let Some(subnet) = &object.allocation.vm_subnet else { return true };
        let subnet = key.sibling(Kind::VmSubnet, subnet);
        let drawn = object.allocation.addresses.iter().filter(|address| !spec.addresses.contains(address));
        drawn.copied().all(|address| self.may_keep(&subnet, spec, address))
    }

    /// Whether some MAC pool has each MAC address that a port, or a VM network for its gateway, was given.
    fn has_mac_pool(&self, key: &Key) -> bool {
        let Some(Allocation { mac, gateway, .. }) = self.get(key).map(|object| &object.allocation) else { return true };
        let given = mac.iter().copied().chain(gateway.iter().flat_map(|given| [given.mac, given.outside_mac]));
        given.into_iter().all(|mac| {
            self.of_kind(Kind::MacPool, None).any(|pool| {
                matches!(&pool.resource.spec, Spec::MacPool(pool) if pool.ranges.iter().any(|range| range.contains(mac)))
            })
        })
    }

    /// Whether the route's next hop is an address that a VM of some subnet can have.
    fn leads_somewhere(&self, key: &Key, route: &CustomerRoute) -> bool {
        self.subnets_of(&key.sibling(Kind::VmNetwork, &route.vm_network)).any(|(object, subnet)| {
            subnet.prefixes.iter().any(|prefix| prefix.contains(&route.next_hop))
                && !self.is_kept(&object.key(), subnet, route.next_hop)
        })
    }
}

impl Run<'_, '_> {
    /// What is gone has no users left.
    pub(super) fn verify_deleted(&mut self, key: &Key, before: &Object) {
        let fabric = &*self.fabric;
        let mut users: Vec<Key> = fabric.index.users(key).map(|user| user.as_ref().clone()).collect();
        users.extend(fabric.unnamed_users(key, &before.resource.spec, |user| match user.kind {
            Kind::Port | Kind::VmNetwork if key.kind == Kind::MacPool => fabric.has_mac_pool(user),
            Kind::Port => fabric.is_well_given(user),
            _ => fabric.get(user).is_none_or(
                |object| matches!(&object.resource.spec, Spec::CustomerRoute(route) if fabric.leads_somewhere(user, route)),
            ),
        }));
        // The connections, or the gateway, say it better than the VM network that was given something.
        users.retain(|user| user.kind != Kind::VmNetwork || !matches!(key.kind, Kind::Host | Kind::Gateway));
        users.sort_unstable();
        users.dedup();
        if !users.is_empty() {
            self.refuse(key, Refusal::InUse { key: key.clone(), users: Users(users) });
        }
    }

    /// What changed has not taken anything away from its users.
    pub(super) fn verify_changed(&mut self, key: &Key, before: &Object, after: &Object) {
        match (&before.resource.spec, &after.resource.spec) {
            (Spec::LogicalNetwork(before), Spec::LogicalNetwork(after)) => {
                self.verify_logical_network(key, before, after)
            }
            (Spec::MacPool(before), Spec::MacPool(_)) => self.verify_mac_pool(key, before),
            // One that changed as a consequence alone is judged with the logical network that was the cause.
            (Spec::Host(spec), Spec::Host(now)) if spec != now => self.verify_host(key),
            (Spec::VmNetwork(before), Spec::VmNetwork(spec)) => {
                let rdid = self.before.get(key).and_then(|(object, _)| object.as_ref()?.allocation.rdid);
                let virtualized = before.isolation.is_virtualized() && spec.isolation.is_virtualized();
                let fields = [
                    ("the logical network", before.logical_network != spec.logical_network),
                    // Hosts take frames of a VM network in all encapsulations, so that these follow one another.
                    ("the isolation", before.isolation != spec.isolation && !virtualized),
                    ("the RDID", rdid != after.allocation.rdid),
                ];
                let users: Vec<Key> = self.named_users(key, |_| true);
                self.fixed(key, fields, users);
            }
            (Spec::VmSubnet(spec), Spec::VmSubnet(now)) => {
                let moved = spec.vm_network != now.vm_network;
                let users = self.named_users(key, |user| moved || user.kind == Kind::Port);
                let fields = [
                    ("the VM network", moved),
                    ("the VSID", before.allocation.vsid != after.allocation.vsid),
                    ("the VLAN", spec.vlan != now.vlan),
                ];
                self.fixed(key, fields, users);
                self.verify_vm_subnet(key, spec, now);
            }
            (Spec::SecurityGroup(spec), Spec::SecurityGroup(now)) => {
                let users = self.named_users(key, |_| true);
                self.fixed(key, [("the VM network", spec.vm_network != now.vm_network)], users);
            }
            (Spec::AddressSet(spec), Spec::AddressSet(now)) => {
                let users = self.named_users(key, |_| true);
                self.fixed(key, [("the VM network", spec.vm_network != now.vm_network)], users);
            }
            (Spec::Gateway(before), Spec::Gateway(after)) => self.verify_gateway(key, before, after),
            (Spec::IpPool(before), Spec::IpPool(after)) => self.verify_ip_pool(key, before, after),
            _ => {}
        }
    }

    fn named_users(&self, key: &Key, which: impl Fn(&Key) -> bool) -> Vec<Key> {
        self.fabric.index.users(key).map(|user| user.as_ref().clone()).filter(which).collect()
    }

    /// Fields on which users stand.
    pub(super) fn fixed(&mut self, key: &Key, fields: impl IntoIterator<Item = (&'static str, bool)>, users: Vec<Key>) {
        if users.is_empty() {
            return;
        }
        for (field, _) in fields.into_iter().filter(|(_, changed)| *changed) {
            self.refuse(key, Refusal::Fixed { key: key.clone(), field, users: Users(users.clone()) });
        }
    }

    pub(super) fn left_out(&mut self, key: &Key, what: String, mut users: Vec<Key>) {
        users.sort_unstable();
        users.dedup();
        if !users.is_empty() {
            self.refuse(key, Refusal::LeftOut { key: key.clone(), what, users: Users(users) });
        }
    }

    fn verify_logical_network(&mut self, key: &Key, before: &LogicalNetwork, after: &LogicalNetwork) {
        let networks: Vec<Key> = self.named_users(key, |user| user.kind == Kind::VmNetwork);
        let isolation =
            |run: &Self, network: &Key| run.fabric.vm_network(network, &network.name).map(|spec| spec.isolation);
        if !after.network_virtualization {
            let users =
                networks.iter().filter(|network| isolation(self, network).is_some_and(Isolation::is_virtualized));
            let users = users.cloned().collect();
            self.left_out(key, "network virtualization switched off".to_owned(), users);
        }
        let (mut subnets, mut ports) = (Vec::new(), Vec::new());
        for network in networks.iter().filter(|network| isolation(self, network) == Some(Isolation::Vlan)) {
            for (object, subnet) in self.fabric.subnets_of(network) {
                let Some(vlan) = subnet.vlan else { continue };
                let has = prefixes(after, vlan);
                let outside = |prefix: &ipnet::IpNet| {
                    let same = |site: &&ipnet::IpNet| site.addr().is_ipv4() == prefix.addr().is_ipv4();
                    has.iter().any(|site| same(&site)) && !has.iter().any(|site| site.contains(prefix))
                };
                if !vlans(after, None).contains(&vlan) || subnet.prefixes.iter().any(outside) {
                    subnets.push(object.key());
                    continue;
                }
                let users = self.fabric.users_by_name(&object.key(), Kind::Port);
                let lost = users.filter(|user| !self.failed.contains(user.as_ref())).filter(|user| {
                    self.fabric.port(user).is_some_and(|(_, spec)| self.fabric.misplaced(user, spec).is_some())
                });
                ports.extend(lost.map(|user| user.as_ref().clone()));
            }
        }
        subnets.extend(ports);
        self.left_out(key, "the new sites".to_owned(), subnets);
        if after.network_virtualization {
            self.verify_provider_pools(key, before, after);
        }
    }

    /// Hosts that drew from a pool still could.
    fn verify_provider_pools(&mut self, key: &Key, before: &LogicalNetwork, after: &LogicalNetwork) {
        let has = |spec: &LogicalNetwork, address: &ipnet::IpNet| {
            spec.provider_pools.iter().any(|pool| {
                pool.prefix.prefix_len() == address.prefix_len()
                    && pool.ranges.iter().any(|range| range.contains(address.addr()))
            })
        };
        let users = self.named_users(key, |user| user.kind == Kind::Host);
        let lost = users.into_iter().filter(|user| {
            let was = match self.before.get(user) {
                Some((before, _)) => before.as_ref(),
                None => self.fabric.get(user),
            };
            let Some(Object { resource, allocation, .. }) = was else { return false };
            let Spec::Host(host) = &resource.spec else { return false };
            let own = |address: &ipnet::IpNet| host.uplinks.iter().any(|uplink| uplink.addresses.contains(address));
            allocation.provider_addresses.iter().any(|given| !own(given) && has(before, given) && !has(after, given))
        });
        let lost = lost.collect();
        self.left_out(key, "the new provider pools".to_owned(), lost);
    }

    fn verify_mac_pool(&mut self, key: &Key, before: &MacPool) {
        let users = self.fabric.drawn_macs(&before.ranges);
        let lost = users.into_iter().filter(|user| !self.fabric.has_mac_pool(user)).collect();
        self.left_out(key, "the new ranges".to_owned(), lost);
    }

    fn verify_host(&mut self, key: &Key) {
        let ports = self.named_users(key, |user| user.kind == Kind::Port);
        let lost = ports.into_iter().filter(|user| {
            !self.failed.contains(user)
                && self.fabric.port(user).is_some_and(|(_, spec)| self.fabric.misplaced(user, spec).is_some())
        });
        let lost = lost.chain(self.lost_gateways(&key.name)).collect();
        self.left_out(key, "the new uplinks".to_owned(), lost);
    }

    fn verify_vm_subnet(&mut self, key: &Key, before: &VmSubnet, after: &VmSubnet) {
        if before.prefixes == after.prefixes && before.gateways == after.gateways {
            return;
        }
        let fabric = &*self.fabric;
        let mut lost: Vec<Key> = Vec::new();
        let outside = |pool: &IpPool| {
            let routes = pool.routes.iter().map(|route| route.next_hop);
            pool.ranges.iter().any(|range| !is_inside(range, &after.prefixes))
                || routes.into_iter().any(|hop| !after.prefixes.iter().any(|prefix| prefix.contains(&hop)))
        };
        lost.extend(fabric.pools_of(key).filter(|(_, pool)| outside(pool)).map(|(pool, _)| pool.as_ref().clone()));
        for user in fabric.users_by_name(key, Kind::Port) {
            let Some(object) = fabric.get(user) else { continue };
            let gone = |address: &IpAddr| {
                !after.prefixes.iter().any(|prefix| prefix.contains(address)) || fabric.is_kept(key, after, *address)
            };
            let misplaced = |(_, spec)| fabric.misplaced(user, spec).is_some();
            if object.allocation.addresses.iter().any(gone) || fabric.port(user).is_some_and(misplaced) {
                lost.push(user.as_ref().clone());
            }
        }
        let routes = fabric.routes_through(key, before).filter(|(user, route)| !fabric.leads_somewhere(user, route));
        lost.extend(routes.map(|(user, _)| user));
        self.left_out(key, "the new prefixes and gateways".to_owned(), lost);
    }

    fn verify_ip_pool(&mut self, key: &Key, before: &IpPool, after: &IpPool) {
        let lost = self.fabric.drawn(key, before).into_iter().filter(|user| !self.fabric.is_well_given(user)).collect();
        self.left_out(key, "the new ranges".to_owned(), lost);
        if before.vm_subnet != after.vm_subnet {
            let users = self.named_users(key, |_| true);
            self.fixed(key, [("the VM subnet", true)], users);
        }
    }
}
