//! Gateways: their hosts, and what lies outside of these.

use std::collections::BTreeSet;

use ipnet::IpNet;
use model::fabric::{Gateway, GatewayHost, Key, Kind, ResourceName};

use super::Run;
use super::checks::{overlap, twice};
use crate::fabric::allocation::{is_subnet_address, kept_outside, networks_in, ranges};
use crate::fabric::claims::Slot;
use crate::fabric::{Fabric, GatewayRefusal, Refusal};

impl Fabric {
    /// Why a host cannot be one of a gateway, if it cannot.
    pub(super) fn no_gateway_host(&self, key: &Key, spec: &Gateway, of: &GatewayHost) -> Option<Refusal> {
        let (object, host) = self.host(&of.host)?;
        let network = Key::global(Kind::LogicalNetwork, &spec.logical_network);
        if host.uplinks.iter().any(|uplink| uplink.interface == of.interface) {
            let (host, interface) = (of.host.clone(), of.interface.clone());
            return Some(GatewayRefusal::IsUplink { key: key.clone(), host, interface }.into());
        }
        if self.uplink_in(&of.host, &spec.logical_network).is_none() {
            return Some(Refusal::NotCarried { key: key.clone(), host: object.key(), network });
        }
        let none = self.provider_of(&of.host, &spec.logical_network).is_none();
        none.then(|| Refusal::NoProviderAddress { key: key.clone(), host: object.key(), network })
    }

    /// Whether a gateway can still give what a VM network drew from it.
    pub(super) fn still_gives(&self, gateway: &Gateway, network: &Key) -> bool {
        let Some(given) = self.given_gateway(network) else { return true };
        let drawn = given.addresses.iter().map(|address| (given.vlan, address.addr()));
        let shared = given.shared.map(|shared| (None, shared.address));
        drawn.chain(shared).all(|(vlan, address)| {
            ranges(gateway, vlan, address.is_ipv4()).any(|range| range.contains(address))
                && kept_outside(gateway, vlan, address).is_none()
        })
    }
}

impl Run<'_, '_> {
    pub(super) fn check_gateway(&mut self, key: &Key, spec: &Gateway) {
        self.length(key, "hosts", spec.hosts.len());
        self.length(key, "networks", spec.networks.len());
        if spec.hosts.is_empty() {
            self.refuse(
                key,
                Refusal::Empty { key: key.clone(), what: "host", option: "--gateway-host HOST=INTERFACE" },
            );
        }
        if let Some(host) = twice(spec.hosts.iter().map(|host| &host.host)) {
            self.refuse(key, Refusal::Twice { key: key.clone(), what: format!("host {host}") });
        }
        if let Some(host) = spec.drained.iter().find(|host| spec.hosts.iter().all(|own| own.host != **host)) {
            let hosts = spec.hosts.iter().map(|own| own.host.clone()).collect();
            self.refuse(key, GatewayRefusal::NotToDrain { key: key.clone(), host: host.clone(), hosts }.into());
        }
        if !spec.hosts.is_empty() && spec.hosts.iter().all(|own| spec.drained.contains(&own.host)) {
            let hosts = spec.hosts.iter().map(|own| own.host.clone()).collect();
            self.refuse(key, GatewayRefusal::AllDrained { key: key.clone(), hosts }.into());
        }
        // What settled before it may have had a host; it is claimed anew.
        self.allocate(key, |_| {});
        for host in &spec.hosts {
            self.check_gateway_host(key, spec, host);
        }
        self.check_external_networks(key, spec);
    }

    fn check_gateway_host(&mut self, key: &Key, spec: &Gateway, host: &GatewayHost) {
        if !host.interface.is_interface_name() || host.interface.as_str() == "lo" {
            let (host, name) = (host.host.clone(), host.interface.clone());
            self.refuse(key, GatewayRefusal::Interface { key: key.clone(), host, name }.into());
            return;
        }
        let owner = self.fabric.claims.owner(&Slot::GatewayHost(host.host.clone())).filter(|owner| *owner != key);
        if let Some(owner) = owner.cloned() {
            let what = format!("host {}", host.host);
            self.refuse(key, Refusal::Claimed { key: key.clone(), what, owner });
        } else if let Some(refusal) = self.fabric.no_gateway_host(key, spec, host) {
            self.refuse(key, refusal);
        }
        self.length(key, "addresses of a host", host.addresses.len());
        let prefixes: Vec<IpNet> = networks_in(spec, None).map(|network| network.prefix).collect();
        for own in &host.addresses {
            if self.unicast(key, own.addr()) {
                self.inside(key, "address of a host", own.addr(), &prefixes);
            }
        }
    }

    fn check_external_networks(&mut self, key: &Key, spec: &Gateway) {
        let own: Vec<_> = spec.hosts.iter().flat_map(|host| &host.addresses).map(|own| own.addr()).collect();
        if let Some(address) = twice(own.iter()) {
            self.refuse(key, Refusal::Twice { key: key.clone(), what: format!("address {address}") });
        }
        for (index, network) in spec.networks.iter().enumerate() {
            if !self.prefix(key, network.prefix) {
                continue;
            }
            self.ranges(key, &network.ranges, &[network.prefix]);
            if let Some(next_hop) = network.next_hop
                && self.inside(key, "next hop", next_hop, &[network.prefix])
                && is_subnet_address(&network.prefix, next_hop)
            {
                let (address, what, gateway) = (next_hop, "the network or broadcast address of a network", key.clone());
                self.refuse(key, GatewayRefusal::Kept { key: key.clone(), address, what, gateway }.into());
            }
            let before = spec.networks.iter().take(index).filter(|other| other.vlan == network.vlan);
            if let Some(theirs) = before.map(|other| other.prefix).find(|other| overlap(&network.prefix, other)) {
                let (prefix, other) = (network.prefix, key.clone());
                self.refuse(key, Refusal::PrefixOverlap { key: key.clone(), prefix, other, theirs });
            }
        }
    }

    /// What changed of a gateway has not taken anything away from VM networks.
    pub(super) fn verify_gateway(&mut self, key: &Key, before: &Gateway, after: &Gateway) {
        let connections: Vec<Key> =
            self.fabric.users_by_name(key, Kind::GatewayConnection).map(|user| user.as_ref().clone()).collect();
        self.fixed(key, [("the logical network", before.logical_network != after.logical_network)], connections);
        let networks = self.fabric.users_by_name(key, Kind::VmNetwork);
        let lost = networks.filter(|network| !self.fabric.still_gives(after, network));
        let lost = lost.map(|network| network.as_ref().clone()).collect();
        self.left_out(key, "the new networks".to_owned(), lost);
    }

    /// A host that is one of a gateway can still be that.
    pub(super) fn lost_gateways(&self, host: &ResourceName) -> Vec<Key> {
        let gateways = self.fabric.users_by_name(&Key::global(Kind::Host, host), Kind::Gateway);
        let lost = gateways.filter(|user| {
            let spec = self.fabric.gateway(&user.name).filter(|_| !self.failed.contains(user.as_ref()));
            spec.is_some_and(|spec| {
                let mut hosts = spec.hosts.iter().filter(|of| of.host == *host);
                hosts.any(|of| self.fabric.no_gateway_host(user, spec, of).is_some())
            })
        });
        let lost: BTreeSet<Key> = lost.map(|user| user.as_ref().clone()).collect();
        lost.into_iter().collect()
    }
}
