//! What VM networks get for their gateway connections: a gateway subnet, an active host, MAC addresses, and addresses outside.
//! It is one for all connections of a VM network, and stays as long as there is one.
//!
//! First all VM networks that are concerned give back what they no longer need, then each takes what it needs: so what one
//! loses, another may have at once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use model::fabric::{Allocation, Gateway, GatewayAllocation, Key, Kind, Object, ResourceName, Spec};
use model::gateway::{Forward, ForwardProtocol, SharedAddress};
use model::security::PortRange;

use super::Run;
use super::checks::overlap;
use super::gateway_network::{Connections, Needs, remote_prefixes};
use crate::fabric::allocation::{kept_outside, networks_in, prefix_in, shown, with_length};
use crate::fabric::{Context, Fabric, GatewayRefusal, Refusal, TenantRefusal, Transition};

/// Where gateway subnets of IPv4 lie, the last one of each first: private addresses (RFC 1918) that people seldom use, and the
/// last of those between carriers and customers (RFC 6598).
const SUBNETS_V4: [[u8; 2]; 4] = [[10, 254], [172, 31], [100, 127], [192, 168]];
/// Their length: a network, a router, a compartment, and room.
const LENGTH_V4: u8 = 29;
/// Where those of IPv6 lie (RFC 4193), of length 64.
const SUBNETS_V6: [u16; 2] = [0xfdfe, 0xfe00];

/// The prefixes that a gateway subnet may have, the preferred ones first.
fn candidates(v4: bool) -> Box<dyn Iterator<Item = IpNet>> {
    if v4 {
        let all = SUBNETS_V4.into_iter().flat_map(|[a, b]| (0..=254_u8).rev().map(move |c| Ipv4Addr::new(a, b, c, 0)));
        return Box::new(all.filter_map(|network| Ipv4Net::new(network, LENGTH_V4).ok()).map(IpNet::V4));
    }
    let [a, b] = SUBNETS_V6;
    let all = (0..=0xfe_u16).rev().map(move |c| Ipv6Addr::new(a, b, 0, c, 0, 0, 0, 0));
    Box::new(all.filter_map(|network| Ipv6Net::new(network, 64).ok()).map(IpNet::V6))
}

impl Fabric {
    /// The prefixes of a VM network's gateway subnet: those that it has, unless something is there by now.
    fn gateway_prefixes(&self, with: &Connections, had: &[IpNet]) -> Option<Vec<IpNet>> {
        let mut taken: Vec<IpNet> = with.prefixes.iter().map(|(_, prefix)| *prefix).collect();
        taken.extend(with.all.iter().flat_map(|(_, spec)| remote_prefixes(spec)));
        taken.extend(with.gateway.networks.iter().map(|network| network.prefix));
        for route in self.users_by_name(&with.network, Kind::CustomerRoute) {
            if let Some(Spec::CustomerRoute(route)) = self.get(route).map(|object| &object.resource.spec) {
                taken.push(route.prefix);
            }
        }
        let free = |prefix: &IpNet| !taken.iter().any(|other| other.prefix_len() > 0 && overlap(prefix, other));
        let choose = |v4: bool| {
            let kept = had.iter().copied().find(|prefix| prefix.addr().is_ipv4() == v4 && free(prefix));
            kept.or_else(|| candidates(v4).find(free))
        };
        Some(vec![choose(true)?, choose(false)?])
    }

    /// Puts what VM networks were given for their connections in the place of what they had. `None` if that is nothing.
    pub(in crate::fabric) fn put_gateways(
        &mut self,
        given: Vec<(Key, GatewayAllocation)>,
        context: Context<'_>,
    ) -> Option<Transition> {
        if given.is_empty() {
            return None;
        }
        let keys = given.iter().map(|(network, _)| network.clone()).collect();
        let mut run = Run::new(self, context);
        for (network, given) in given {
            run.allocate(&network, |allocation| allocation.gateway = Some(Box::new(given)));
        }
        run.finish(keys).ok()
    }
}

/// The hosts of a gateway: the active one, which stays so while it is one of them, and the others in their order.
fn hosts(gateway: &Gateway, active: Option<&ResourceName>) -> Option<(ResourceName, Vec<ResourceName>)> {
    let all: Vec<&ResourceName> = gateway.hosts.iter().map(|host| &host.host).collect();
    let preferred = all.iter().copied().find(|host| !gateway.drained.contains(host));
    let first = active.filter(|active| all.contains(active)).or(preferred).or(all.first().copied())?;
    Some((first.clone(), all.into_iter().filter(|host| *host != first).cloned().collect()))
}

impl Run<'_, '_> {
    /// What stays of it when the VM network itself changes; `settle_gateways` sees to the rest.
    pub(super) fn kept_gateway(&self, network: &Key, given: &Allocation) -> Option<Box<GatewayAllocation>> {
        let mut kept = given.gateway.clone()?;
        self.fabric.connections_of(network).next()?;
        self.fabric.gateway(&kept.gateway)?;
        kept.standby.retain(|host| self.fabric.host(host).is_some());
        if self.fabric.host(&kept.host).is_none() {
            kept.host = (!kept.standby.is_empty()).then(|| kept.standby.remove(0))?;
        }
        still_moving(&mut kept);
        Some(kept)
    }

    /// Gives each VM network whose gateway connections are concerned by the changes what these need.
    pub(super) fn settle_gateways(&mut self) {
        let networks = self.networks_to_look_at();
        for network in &networks {
            self.release_gateway(network);
        }
        for network in &networks {
            let Some(with) = self.fabric.all_connections(network, |key| self.before.contains_key(key)) else {
                continue;
            };
            // What is refused already needs no second sentence.
            if with.all.iter().any(|(key, _)| self.failed.contains(key)) || self.failed.contains(&with.gateway_key) {
                continue;
            }
            if self.check_together(&with) && self.give_gateway(&with) {
                self.check_forwards(&with);
            }
        }
    }

    /// The VM networks whose connections, subnets or routes changed, or whose gateway did, or one of its hosts.
    fn networks_to_look_at(&self) -> BTreeSet<Key> {
        let mut networks = BTreeSet::new();
        for (key, (before, _)) in &self.before {
            let sides = [before.as_ref(), self.fabric.get(key)];
            for object in sides.into_iter().flatten() {
                networks.extend(self.networks_of(key, object));
            }
        }
        networks.retain(|network| {
            self.fabric.given_gateway(network).is_some() || self.fabric.connections_of(network).next().is_some()
        });
        networks
    }

    fn networks_of(&self, key: &Key, object: &Object) -> Vec<Key> {
        let named = |name: &ResourceName| vec![key.sibling(Kind::VmNetwork, name)];
        match &object.resource.spec {
            Spec::VmNetwork(_) => vec![key.clone()],
            Spec::VmSubnet(subnet) => named(&subnet.vm_network),
            Spec::CustomerRoute(route) => named(&route.vm_network),
            Spec::GatewayConnection(connection) => named(&connection.vm_network),
            Spec::Gateway(_) | Spec::Host(_) => {
                self.fabric.users_by_name(key, Kind::VmNetwork).map(|user| user.as_ref().clone()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Gives back what a VM network does not need any more.
    fn release_gateway(&mut self, network: &Key) {
        let Some(given) = self.fabric.given_gateway(network).cloned() else { return };
        let with = self.fabric.all_connections(network, |key| self.before.contains_key(key));
        let kept =
            with.filter(|with| with.gateway_key.name == given.gateway).and_then(|with| still_needed(&given, &with));
        if kept.as_ref() != Some(&given) {
            self.allocate(network, |allocation| allocation.gateway = kept.map(Box::new));
        }
    }

    /// Gives a VM network what its connections need. Whether it got that.
    fn give_gateway(&mut self, with: &Connections) -> bool {
        let had = self.fabric.given_gateway(&with.network).cloned();
        let needs = with.needs(had.as_ref().map(|given| given.vlan));
        if !self.may_have(with, &needs) {
            return false;
        }
        let Some(mut given) = self.base(with, had.as_ref(), &needs) else { return false };
        let unchanged = had.as_ref() == Some(&given);
        if !unchanged {
            self.allocate(&with.network, |allocation| allocation.gateway = Some(Box::new(given.clone())));
        }
        for v4 in needs.drawn {
            if given.addresses.iter().any(|address| address.addr().is_ipv4() == v4) {
                continue;
            }
            let drawn = self.fabric.free_external(&with.gateway, needs.vlan, v4);
            let Some(address) = drawn.and_then(|address| with_length(&with.gateway, needs.vlan, address)) else {
                let (used, total) = self.fabric.external_counts(&with.gateway, needs.vlan, v4);
                let (network, gateway, vlan) = (with.network.clone(), with.gateway_key.clone(), needs.vlan);
                let (used, total) = (shown(used), shown(total));
                let prefix = prefix_in(&with.gateway, vlan, Some(v4));
                let refusal = GatewayRefusal::RangesExhausted { network, gateway, vlan, v4, used, total, prefix };
                self.refuse(&with.network, refusal.into());
                return false;
            };
            given.addresses.push(address);
            given.addresses.sort_unstable();
            self.allocate(&with.network, |allocation| allocation.gateway = Some(Box::new(given.clone())));
        }
        if let Some(count) = needs.shared.filter(|_| given.shared.is_none()) {
            let Some(shared) = self.fabric.free_ports(&with.gateway, count) else {
                let (used, total) = self.fabric.external_counts(&with.gateway, None, true);
                let (network, gateway) = (with.network.clone(), with.gateway_key.clone());
                let (used, total) = (shown(used), shown(total));
                let prefix = prefix_in(&with.gateway, None, Some(true));
                let refusal = GatewayRefusal::PortsExhausted { network, gateway, count, used, total, prefix };
                self.refuse(&with.network, refusal.into());
                return false;
            };
            given.shared = Some(shared);
            self.allocate(&with.network, |allocation| allocation.gateway = Some(Box::new(given)));
        }
        true
    }

    /// Whether what specs name outside is there, and nobody else's.
    fn may_have(&mut self, with: &Connections, needs: &Needs) -> bool {
        let before = self.refusals.len();
        let outside: Vec<IpNet> = networks_in(&with.gateway, needs.vlan).map(|network| network.prefix).collect();
        let names = |address: &IpAddr| {
            let named = with.nats().find(|(_, nat)| nat.externals().contains(address));
            named.map_or_else(|| with.network.clone(), |(key, _)| key.clone())
        };
        // Ports of the shared address may be forwarded by its name.
        let shared =
            self.fabric.given_gateway(&with.network).and_then(|given| given.shared).map(|shared| shared.address);
        for address in needs.named.iter().filter(|address| Some(**address) != shared) {
            let key = names(address);
            if !self.inside(&key, "address outside", *address, &outside) {
                continue;
            }
            if let Some(what) = kept_outside(&with.gateway, needs.vlan, *address) {
                let (address, gateway) = (*address, with.gateway_key.clone());
                self.refuse(&key, GatewayRefusal::Kept { key: key.clone(), address, what, gateway }.into());
            }
            self.unowned(&key, with, needs, (*address, *address));
        }
        for prefix in &needs.translated {
            let named = with.nats().find(|(_, nat)| nat.translations.iter().any(|one| one.external == *prefix));
            let key = named.map_or_else(|| with.network.clone(), |(key, _)| key.clone());
            self.unowned(&key, with, needs, (prefix.network().into(), prefix.broadcast().into()));
        }
        self.refusals.len() == before
    }

    fn unowned(&mut self, key: &Key, with: &Connections, needs: &Needs, addresses: (IpAddr, IpAddr)) {
        let owner = self.fabric.claims.external_owner(needs.vlan, addresses, &with.network);
        let Some((what, owner)) = owner.map(|(what, owner)| (what, owner.clone())) else { return };
        // One tenant learns nothing of another.
        let refusal = if owner.tenant == key.tenant {
            Refusal::Claimed { key: key.clone(), what, owner }
        } else {
            TenantRefusal::Taken { key: key.clone(), what }.into()
        };
        self.refuse(key, refusal);
    }

    /// All that does not come out of the gateway's ranges.
    fn base(
        &mut self,
        with: &Connections,
        had: Option<&GatewayAllocation>,
        needs: &Needs,
    ) -> Option<GatewayAllocation> {
        let key = &with.network;
        let (host, standby) = hosts(&with.gateway, had.map(|given| &given.host))?;
        let exhausted = |what| Refusal::Exhausted { key: key.clone(), what };
        let prefixes = self.fabric.gateway_prefixes(with, had.map_or(&[][..], |given| &given.prefixes));
        let Some(prefixes) = prefixes else {
            self.refuse(key, exhausted("prefixes that a gateway subnet could have"));
            return None;
        };
        let Some(vsid) = had.map(|given| given.vsid).or_else(|| self.fabric.free_vsid()) else {
            self.refuse(key, exhausted("VSIDs (4096 to 16777214)"));
            return None;
        };
        let mac = had.map(|given| given.mac).or_else(|| self.fabric.free_mac());
        let outside_mac = had.map(|given| given.outside_mac).or_else(|| self.fabric.free_mac_beside(mac));
        let Some((mac, outside_mac)) = mac.zip(outside_mac) else {
            let total = self.fabric.all_macs();
            self.refuse(key, Refusal::MacsExhausted { key: key.clone(), total });
            return None;
        };
        let addresses: Vec<IpNet> = had.map(|given| given.addresses.clone()).unwrap_or_default();
        let shared: Option<SharedAddress> = had.and_then(|given| given.shared);
        let own = addresses.iter().map(|address| address.addr()).chain(shared.map(|shared| shared.address));
        let own: Vec<IpAddr> = own.collect();
        let named = needs.named.iter().filter(|address| !own.contains(address));
        let named = named.filter_map(|address| with_length(&with.gateway, needs.vlan, *address)).collect();
        let (gateway, vlan, translated) = (with.gateway_key.name.clone(), needs.vlan, needs.translated.clone());
        let mut given = GatewayAllocation {
            gateway,
            host,
            standby,
            next: had.and_then(|given| given.next.clone()),
            ready: had.is_some_and(|given| given.ready),
            came_from: had.and_then(|given| given.came_from.clone()),
            vsid,
            prefixes,
            mac,
            outside_mac,
            vlan,
            addresses,
            named,
            translated,
            shared,
        };
        still_moving(&mut given);
        Some(given)
    }

    /// No port outside leads to two VMs, and those of a shared address are among the ones that the VM network has.
    fn check_forwards(&mut self, with: &Connections) {
        let Some(given) = self.fabric.given_gateway(&with.network).cloned() else { return };
        let mut seen: BTreeMap<(ForwardProtocol, IpAddr), Vec<(PortRange, Key)>> = BTreeMap::new();
        for (key, nat) in with.nats() {
            for forward in &nat.forwards {
                let Some(external) = external_of(forward, &nat.addresses, &given) else {
                    let (gateway, v4) = (with.gateway_key.clone(), Some(forward.internal.is_ipv4()));
                    let (vlan, prefix) = (given.vlan, prefix_in(&with.gateway, given.vlan, v4));
                    let refusal = GatewayRefusal::NoRange { key: key.clone(), gateway, vlan, v4, prefix };
                    self.refuse(key, refusal.into());
                    continue;
                };
                let ports = forward.ports;
                if let Some(shared) = given.shared.filter(|shared| shared.address == external) {
                    let (address, block) = (shared.address, shared.ports);
                    if ports.first() < block.first() || ports.last() > block.last() {
                        let refusal = GatewayRefusal::SharedForward { key: key.clone(), ports, address, block };
                        self.refuse(key, refusal.into());
                    }
                }
                let others = seen.entry((forward.protocol, external)).or_default();
                let meets =
                    |(other, _): &&(PortRange, Key)| other.first() <= ports.last() && ports.first() <= other.last();
                if let Some((other, owner)) = others.iter().find(meets).cloned() {
                    let what = format!("{} port {other} of {external} forwarded", forward.protocol.as_str());
                    let remedy = "choose another port or address outside";
                    let refusal = GatewayRefusal::Both { key: key.clone(), what, other: owner, remedy };
                    self.refuse(key, refusal.into());
                }
                others.push((ports, key.clone()));
            }
        }
    }
}

/// The address outside of a forwarded port: the one that it names, else the first of NAT's, named or drawn, of the VM's
/// family.
pub(in crate::fabric) fn external_of(forward: &Forward, named: &[IpAddr], given: &GatewayAllocation) -> Option<IpAddr> {
    let same = |address: &IpAddr| address.is_ipv4() == forward.internal.is_ipv4();
    let drawn = given.addresses.iter().map(|address| address.addr());
    let shared = given.shared.map(|shared| shared.address);
    forward.external.or_else(|| named.iter().copied().chain(shared).chain(drawn).find(same))
}

/// What stays of what a VM network was given, of the same gateway.
fn still_needed(given: &GatewayAllocation, with: &Connections) -> Option<GatewayAllocation> {
    let needs = with.needs(Some(given.vlan));
    let (host, standby) = hosts(&with.gateway, Some(&given.host))?;
    let mut kept = GatewayAllocation { host, standby, vlan: needs.vlan, ..given.clone() };
    let same = needs.vlan == given.vlan;
    // With the length that their network has by now.
    let now = |address: &IpNet| with_length(&with.gateway, needs.vlan, address.addr()).unwrap_or(*address);
    let drawn = given.addresses.iter().filter(|address| same && needs.drawn.contains(&address.addr().is_ipv4()));
    kept.addresses = drawn.map(now).collect();
    kept.named = given.named.iter().filter(|address| same && needs.named.contains(&address.addr())).map(now).collect();
    kept.translated.retain(|prefix| same && needs.translated.contains(prefix));
    let count = |shared: &SharedAddress| u32::from(shared.ports.last() - shared.ports.first()) + 1;
    kept.shared = given.shared.filter(|shared| needs.shared.map(u32::from) == Some(count(shared)));
    still_moving(&mut kept);
    Some(kept)
}

/// Forgets where it goes and where it has come from, if that host is none of the gateway's any more, or is the active one.
fn still_moving(given: &mut GatewayAllocation) {
    let GatewayAllocation { standby, next, ready, came_from, .. } = given;
    for place in [&mut *next, came_from] {
        if place.as_ref().is_some_and(|host| !standby.contains(host)) {
            *place = None;
        }
    }
    *ready &= next.is_some();
}
