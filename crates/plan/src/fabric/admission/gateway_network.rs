//! The gateway connections of one VM network together: whether they go with one another, with its subnets, and with what the
//! gateway has outside; and what they need there.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};
use model::VlanId;
use model::fabric::{Gateway, GatewayConnection, Key, Kind};
use model::gateway::Nat;

use super::Run;
use super::checks::overlap;
use super::gateway_bgp::neighbors_on_link;
use crate::fabric::allocation::{networks_in, prefix_in, ranges};
use crate::fabric::{Fabric, GatewayRefusal, Refusal};

/// The connections of a VM network, with the gateway that all of them have.
pub(super) struct Connections {
    pub(super) network: Key,
    pub(super) gateway_key: Key,
    pub(super) gateway: Gateway,
    pub(super) all: Vec<(Key, GatewayConnection)>,
    /// The prefixes of the VM network's subnets, each with its owner.
    pub(super) prefixes: Vec<(Key, IpNet)>,
}

/// What the connections of a VM network need outside, together.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Needs {
    pub(super) vlan: Option<VlanId>,
    /// Addresses that specs name.
    pub(super) named: Vec<IpAddr>,
    /// Prefixes that specs translate to.
    pub(super) translated: Vec<Ipv6Net>,
    /// The families of which an address is drawn: whether it is IPv4.
    pub(super) drawn: Vec<bool>,
    /// So many ports of a shared address.
    pub(super) shared: Option<u16>,
}

/// The families of which a connection would have an address outside, and those without which it is nothing.
struct Wants {
    wished: Vec<bool>,
    must: Vec<bool>,
}

/// What is reached over a connection, and what a tunnel has of its own.
pub(in crate::fabric) fn remote_prefixes(spec: &GatewayConnection) -> Vec<IpNet> {
    let routing = spec.routing.iter().flat_map(|routing| &routing.routes).map(|route| route.prefix);
    let ipsec = spec.ipsec.iter().flat_map(|ipsec| ipsec.remote_prefixes.iter().chain(&ipsec.addresses));
    let wireguard = spec.wireguard.iter().flat_map(|own| own.remote_prefixes.iter().chain(&own.addresses));
    let mut all: Vec<IpNet> = routing.chain(ipsec.chain(wireguard).map(IpNet::trunc)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether two prefixes claim the same addresses. What leads everywhere takes only what nothing else does.
pub(super) fn contend(one: &IpNet, other: &IpNet) -> bool {
    overlap(one, other) && (one.prefix_len() == 0) == (other.prefix_len() == 0)
}

impl Fabric {
    /// The connections of a VM network that has some, as far as their gateway is there. Those that are `new` come last: of two
    /// that do not go together, it is the one that is to be told.
    pub(super) fn all_connections(&self, network: &Key, new: impl Fn(&Key) -> bool) -> Option<Connections> {
        let mut all: Vec<_> = self.connections_of(network).map(|(object, spec)| (object.key(), spec.clone())).collect();
        all.sort_by_key(|(key, _)| new(key));
        let name = all.first().map(|(_, spec)| &spec.gateway)?;
        let gateway = self.gateway(name)?.clone();
        let subnets = self.subnets_of(network);
        let prefixes =
            subnets.flat_map(|(object, spec)| spec.prefixes.iter().map(move |prefix| (object.key(), *prefix)));
        let prefixes = prefixes.collect();
        Some(Connections {
            network: network.clone(),
            gateway_key: Key::global(Kind::Gateway, name),
            gateway,
            all,
            prefixes,
        })
    }
}

impl Connections {
    fn families(&self) -> Vec<bool> {
        let has = |v4: &bool| self.prefixes.iter().any(|(_, prefix)| prefix.addr().is_ipv4() == *v4);
        [true, false].into_iter().filter(has).collect()
    }

    pub(super) fn nats(&self) -> impl Iterator<Item = (&Key, &Nat)> {
        self.all.iter().filter_map(|(key, spec)| Some((key, spec.nat.as_ref()?)))
    }

    /// The VLAN outside: the one that connections of routing name, else that of what was given or is named, else the first
    /// that has addresses to give.
    fn vlan(&self, before: Option<Option<VlanId>>) -> Option<VlanId> {
        if let Some(routing) = self.all.iter().find_map(|(_, spec)| spec.routing.as_ref()) {
            return routing.vlan;
        }
        let named = self.named();
        let networks = &self.gateway.networks;
        let of_named = networks.iter().find(|network| named.iter().any(|address| network.prefix.contains(address)));
        if let Some(network) = of_named {
            return network.vlan;
        }
        if self.nats().any(|(_, nat)| nat.shared_ports.is_some()) {
            return None;
        }
        let still = before.filter(|vlan| networks_in(&self.gateway, *vlan).next().is_some());
        let giving = || networks.iter().find(|network| !network.ranges.is_empty()).or(networks.first());
        still.unwrap_or_else(|| giving().and_then(|network| network.vlan))
    }

    /// The addresses outside that specs name, each once.
    fn named(&self) -> Vec<IpAddr> {
        let mut named: Vec<IpAddr> = self.nats().flat_map(|(_, nat)| nat.externals()).collect();
        named.sort_unstable();
        named.dedup();
        named
    }

    /// Whether a connection of NAT names an address of the family for all to use.
    fn names(&self, v4: bool) -> bool {
        self.nats().any(|(_, nat)| nat.addresses.iter().any(|address| address.is_ipv4() == v4))
    }

    fn wants(&self, spec: &GatewayConnection) -> Wants {
        let families = self.families();
        let (mut wished, mut must) = (Vec::new(), Vec::new());
        if let Some(nat) = &spec.nat {
            wished = families.iter().copied().filter(|v4| nat_draws(nat, *v4)).collect();
        }
        if let Some(routing) = &spec.routing {
            wished = families;
            must.extend(routing.routes.iter().map(|route| route.next_hop.is_ipv4()));
            must.extend(neighbors_on_link(spec).map(|neighbor| neighbor.address.is_ipv4()));
        }
        let other_side = match (&spec.ipsec, &spec.wireguard) {
            (Some(ipsec), _) => Some(ipsec.remote),
            (_, Some(wireguard)) => Some(wireguard.endpoint.map(|endpoint| endpoint.ip())),
            _ => None,
        };
        match other_side {
            Some(Some(address)) => must.push(address.is_ipv4()),
            Some(None) => wished = vec![true, false],
            None => {}
        }
        wished.extend(&must);
        Wants { wished, must }
    }

    /// What they need outside, where `before` is the VLAN that they have been given.
    pub(super) fn needs(&self, before: Option<Option<VlanId>>) -> Needs {
        let vlan = self.vlan(before);
        let wished = |v4: &bool| self.all.iter().any(|(_, spec)| self.wants(spec).wished.contains(v4));
        let gives = |v4: &bool| ranges(&self.gateway, vlan, *v4).next().is_some();
        let drawn = [true, false].into_iter().filter(|v4| !self.names(*v4) && wished(v4) && gives(v4)).collect();
        let mut translated: Vec<Ipv6Net> =
            self.nats().flat_map(|(_, nat)| &nat.translations).map(|translation| translation.external).collect();
        translated.sort_unstable();
        translated.dedup();
        let shared = self.nats().find_map(|(_, nat)| nat.shared_ports);
        Needs { vlan, named: self.named(), translated, drawn, shared }
    }
}

/// Whether NAT of a family needs an address to be drawn. Where prefixes are translated it does too: the compartment is the next
/// hop of what they stand for, and speaks to its own by that address.
fn nat_draws(nat: &Nat, v4: bool) -> bool {
    let concerned = nat.prefixes.is_empty() || nat.prefixes.iter().any(|prefix| prefix.addr().is_ipv4() == v4);
    let named = nat.addresses.iter().any(|address| address.is_ipv4() == v4);
    concerned && !named && !(v4 && nat.shared_ports.is_some())
}

impl Run<'_, '_> {
    /// Whether the connections of a VM network go together.
    pub(super) fn check_together(&mut self, with: &Connections) -> bool {
        let before = self.refusals.len();
        for (key, spec) in &with.all {
            if spec.gateway != with.gateway_key.name {
                let (other, theirs) = (with.all[0].0.clone(), with.gateway_key.name.clone());
                let gateway = spec.gateway.clone();
                self.refuse(key, GatewayRefusal::OtherGateway { key: key.clone(), gateway, other, theirs }.into());
            }
        }
        self.check_vlans(with);
        self.check_remote_prefixes(with);
        self.check_once(with);
        for (key, spec) in &with.all {
            self.check_inside(key, spec, with);
            self.check_outside(key, spec, with);
        }
        self.refusals.len() == before
    }

    fn check_vlans(&mut self, with: &Connections) {
        let routed = with.all.iter().filter_map(|(key, spec)| Some((key, spec.routing.as_ref()?.vlan)));
        let mut first: Option<(&Key, Option<VlanId>)> = None;
        for (key, vlan) in routed {
            match first {
                Some((other, theirs)) if theirs != vlan => {
                    let refusal = GatewayRefusal::TwoVlans { key: key.clone(), vlan, other: other.clone(), theirs };
                    self.refuse(key, refusal.into());
                }
                Some(_) => {}
                None => first = Some((key, vlan)),
            }
            if networks_in(&with.gateway, vlan).next().is_none() {
                let gateway = with.gateway_key.clone();
                self.refuse(key, GatewayRefusal::NoNetwork { key: key.clone(), gateway, vlan }.into());
            }
        }
    }

    /// What lies behind a connection is nowhere else.
    fn check_remote_prefixes(&mut self, with: &Connections) {
        let mut seen: Vec<(Key, IpNet)> = with.prefixes.clone();
        for (key, spec) in &with.all {
            let own = remote_prefixes(spec);
            for prefix in &own {
                if let Some((other, theirs)) = seen.iter().find(|(_, theirs)| contend(prefix, theirs)).cloned() {
                    self.refuse(key, Refusal::PrefixOverlap { key: key.clone(), prefix: *prefix, other, theirs });
                }
            }
            seen.extend(own.into_iter().map(|prefix| (key.clone(), prefix)));
        }
    }

    /// What one of them alone can have.
    fn check_once(&mut self, with: &Connections) {
        for (index, (key, spec)) in with.all.iter().enumerate() {
            for (other, theirs) in with.all.iter().take(index) {
                if let Some((what, remedy)) = in_common(spec, theirs, with) {
                    let (key, other) = (key.clone(), other.clone());
                    self.refuse(&key, GatewayRefusal::Both { key: key.clone(), what, other, remedy }.into());
                }
                if let (Some(own), Some(its)) = (&spec.bgp, &theirs.bgp)
                    && own.local_as != its.local_as
                {
                    let (number, other, theirs) = (own.local_as, other.clone(), its.local_as);
                    self.refuse(key, GatewayRefusal::LocalAs { key: key.clone(), number, other, theirs }.into());
                }
            }
        }
    }

    /// What a connection names of the VM network is there.
    fn check_inside(&mut self, key: &Key, spec: &GatewayConnection, with: &Connections) {
        let prefixes: Vec<IpNet> = with.prefixes.iter().map(|(_, prefix)| *prefix).collect();
        let mut parts: Vec<IpNet> = spec.ipsec.iter().flat_map(|ipsec| &ipsec.local_prefixes).copied().collect();
        if let Some(nat) = &spec.nat {
            for floating in &nat.floating {
                self.inside(key, "floating address's VM", floating.internal, &prefixes);
            }
            for forward in &nat.forwards {
                self.inside(key, "forwarded port's VM", forward.internal, &prefixes);
            }
            parts.extend(nat.prefixes.iter().copied());
            parts.extend(nat.translations.iter().map(|translation| IpNet::V6(translation.internal)));
        }
        for prefix in parts.into_iter().filter(|part| !prefixes.iter().any(|prefix| prefix.contains(part))) {
            let prefixes = prefixes.clone();
            self.refuse(key, GatewayRefusal::PrefixOutside { key: key.clone(), prefix, prefixes }.into());
        }
    }

    /// What a connection needs outside is there.
    fn check_outside(&mut self, key: &Key, spec: &GatewayConnection, with: &Connections) {
        let needs = with.needs(self.fabric.given_gateway(&with.network).map(|given| given.vlan));
        let vlan = needs.vlan;
        let outside: Vec<IpNet> = networks_in(&with.gateway, vlan).map(|network| network.prefix).collect();
        let has = |v4: &bool| with.names(*v4) || needs.drawn.contains(v4);
        if outside.is_empty() && spec.routing.is_some() {
            // There is a sentence about that.
            return;
        }
        let wants = with.wants(spec);
        let lacking = wants.must.iter().find(|v4| !has(v4)).map(|v4| Some(*v4));
        let nothing = !wants.wished.is_empty() && !wants.wished.iter().any(has);
        let otherwise = spec
            .nat
            .as_ref()
            .is_some_and(|nat| nat.shared_ports.is_some() || !nat.addresses.is_empty() || !nat.translations.is_empty());
        if let Some(v4) = lacking.or_else(|| (nothing && !otherwise).then_some(None)) {
            let (gateway, prefix) = (with.gateway_key.clone(), prefix_in(&with.gateway, vlan, v4));
            self.refuse(key, GatewayRefusal::NoRange { key: key.clone(), gateway, vlan, v4, prefix }.into());
        }
        for route in spec.routing.iter().flat_map(|routing| &routing.routes) {
            self.inside(key, "next hop", route.next_hop, &outside);
        }
        for neighbor in neighbors_on_link(spec) {
            if !outside.iter().any(|prefix| prefix.contains(&neighbor.address)) {
                let (neighbor, prefixes, tunnel) = (neighbor.address, outside.clone(), false);
                let refusal = GatewayRefusal::NeighborElsewhere { key: key.clone(), neighbor, prefixes, tunnel };
                self.refuse(key, refusal.into());
            }
        }
        if spec.nat.as_ref().is_some_and(|nat| nat.shared_ports.is_some()) {
            self.check_shared(key, with, vlan);
        }
    }

    fn check_shared(&mut self, key: &Key, with: &Connections, vlan: Option<VlanId>) {
        if vlan.is_some() {
            self.refuse(key, GatewayRefusal::SharedInVlan { key: key.clone(), vlan }.into());
        } else if ranges(&with.gateway, None, true).next().is_none() {
            let (gateway, v4) = (with.gateway_key.clone(), Some(true));
            let prefix = prefix_in(&with.gateway, vlan, v4);
            self.refuse(key, GatewayRefusal::NoRange { key: key.clone(), gateway, vlan, v4, prefix }.into());
        }
        let without = |host: &&model::fabric::GatewayHost| !host.addresses.iter().any(|own| own.addr().is_ipv4());
        if let Some(host) = with.gateway.hosts.iter().find(without).map(|host| host.host.clone()) {
            let gateway = with.gateway_key.clone();
            self.refuse(key, GatewayRefusal::NoHostAddress { key: key.clone(), gateway, host }.into());
        }
    }
}

/// What two connections of a VM network both have, though one alone can, and what to do.
fn in_common(
    spec: &GatewayConnection,
    theirs: &GatewayConnection,
    with: &Connections,
) -> Option<(String, &'static str)> {
    if let (Some(own), Some(its)) = (&spec.nat, &theirs.nat) {
        return nats_in_common(own, its, with);
    }
    if spec.dns.is_some() && theirs.dns.is_some() {
        return Some(("a DNS server".to_owned(), "put what it says into that one"));
    }
    if let (Some(own), Some(its)) = (&spec.wireguard, &theirs.wireguard) {
        let (own, its) = (own.listen_port.unwrap_or(LISTEN_PORT), its.listen_port.unwrap_or(LISTEN_PORT));
        return (own == its).then(|| (format!("WireGuard's UDP port {own}"), "choose another \"listenPort\""));
    }
    None
}

/// WireGuard's UDP port where none is named.
const LISTEN_PORT: u16 = 51_820;

fn nats_in_common(own: &Nat, its: &Nat, with: &Connections) -> Option<(String, &'static str)> {
    let all: Vec<IpNet> = with.prefixes.iter().map(|(_, prefix)| *prefix).collect();
    let of = |nat: &Nat| if nat.prefixes.is_empty() { all.clone() } else { nat.prefixes.clone() };
    let (mine, theirs) = (of(own), of(its));
    let both = mine.iter().find(|prefix| theirs.iter().any(|other| overlap(prefix, other)));
    if let Some(prefix) = both {
        return Some((
            format!("NAT of {prefix}"),
            "name other \"prefixes\" in each, or put all of it into one connection",
        ));
    }
    // Before there is a subnet, both would translate all that comes.
    if own.prefixes.is_empty() && its.prefixes.is_empty() {
        return Some(("NAT of all prefixes".to_owned(), "put all of it into one connection"));
    }
    if own.shared_ports.is_some() && its.shared_ports.is_some() {
        return Some(("ports of a shared address".to_owned(), "leave \"sharedPorts\" out of one"));
    }
    let externals = |nat: &Nat| nat.floating.iter().map(|floating| floating.external).collect::<Vec<_>>();
    let named = |nat: &Nat| nat.addresses.iter().copied().chain(externals(nat)).collect::<Vec<_>>();
    let both = named(own).into_iter().find(|address| named(its).contains(address));
    if let Some(address) = both {
        return Some((format!("address {address} outside"), "name another"));
    }
    let prefixes = |nat: &Nat| nat.translations.iter().map(|one| one.external).collect::<Vec<_>>();
    let both = prefixes(own)
        .into_iter()
        .find(|one| prefixes(its).iter().any(|other| overlap(&(*one).into(), &(*other).into())));
    both.map(|prefix| (format!("prefix {prefix} outside"), "name another"))
}
