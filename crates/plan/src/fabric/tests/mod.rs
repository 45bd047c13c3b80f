//! Tests of the fabric: what they share.

use std::collections::BTreeMap;

use model::fabric::{Key, Kind, Object, Resource, resources_from_yaml};
use uuid::Uuid;

use super::{Change, Claim, Context, Fabric, Refusal, Topic, TopicId, Transition};

mod allocation;
mod claims;
mod gateway_refusals;
mod gateways;
mod migration;
mod moves;
mod properties;
mod queries;
mod refusals;
mod refusals_of_networks;
mod security;
mod switch_over;
mod tenancy;
mod topics;

/// A fabric with what it needs of the world: a clock that counts and identifiers that count.
#[derive(Clone, Default)]
pub(super) struct World {
    pub fabric: Fabric,
    pub revision: u64,
    uuids: u128,
}

impl World {
    /// A world with a tenant, a MAC pool, a logical network and two hosts on it.
    pub fn new() -> Self {
        let mut world = Self::default();
        world.apply(BASE);
        world
    }

    pub fn change(&mut self, changes: &[Change]) -> Result<Transition, Vec<Refusal>> {
        self.revision += 1;
        let Self { fabric, revision, uuids } = self;
        let mut uuid = || {
            *uuids += 1;
            Uuid::from_u128(*uuids)
        };
        fabric.change(changes, Context { revision: *revision, now: *revision * 1000, uuid: &mut uuid })
    }

    pub fn learn(&mut self, port: &Key, addresses: &[std::net::IpAddr]) -> Option<Transition> {
        self.revision += 1;
        let Self { fabric, revision, uuids } = self;
        let mut uuid = || {
            *uuids += 1;
            Uuid::from_u128(*uuids)
        };
        fabric.learn(port, addresses, Context { revision: *revision, now: *revision * 1000, uuid: &mut uuid })
    }

    /// Another host takes over, or is to.
    pub fn take_over(
        &mut self,
        network: &Key,
        to: &model::fabric::ResourceName,
        manner: super::Manner,
    ) -> Option<Transition> {
        let from = self.fabric.given_gateway(network)?.host.clone();
        let one = super::TakeOver { network: network.clone(), from, to: to.clone(), manner, reason: String::new() };
        self.take_over_all(&[one])
    }

    pub fn take_over_all(&mut self, all: &[super::TakeOver]) -> Option<Transition> {
        self.revision += 1;
        let Self { fabric, revision, .. } = self;
        let mut uuid = || unreachable!("nothing is made");
        fabric.take_over(all, Context { revision: *revision, now: *revision * 1000, uuid: &mut uuid })
    }

    pub fn settle(&mut self, port: &Key) -> Option<Transition> {
        self.revision += 1;
        let Self { fabric, revision, .. } = self;
        let mut uuid = || unreachable!("nothing is made");
        fabric.settle(port, Context { revision: *revision, now: *revision * 1000, uuid: &mut uuid })
    }

    /// What "netvirt apply" does with a text.
    #[track_caller]
    pub fn try_apply(&mut self, yaml: &str) -> Result<Transition, Vec<Refusal>> {
        self.change(&puts(yaml))
    }

    #[track_caller]
    pub fn apply(&mut self, yaml: &str) -> Transition {
        self.try_apply(yaml).unwrap_or_else(|refusals| panic!("{:#?}", sentences(&refusals)))
    }

    /// The sentences with which a text is refused; nothing may have changed then.
    #[track_caller]
    pub fn refused(&mut self, yaml: &str) -> Vec<String> {
        self.refused_changes(&puts(yaml))
    }

    #[track_caller]
    pub fn refused_changes(&mut self, changes: &[Change]) -> Vec<String> {
        let before = State::of(&self.fabric);
        let refusals = self.change(changes).expect_err("it should be refused");
        assert!(before == State::of(&self.fabric), "a refusal left a trace");
        sentences(&refusals)
    }

    pub fn delete(&mut self, kind: Kind, name: &str) -> Result<Transition, Vec<Refusal>> {
        self.change(&[Change::Delete { key: key(kind, name), revision: None }])
    }

    #[track_caller]
    pub fn get(&self, kind: Kind, name: &str) -> &Object {
        self.fabric.get(&key(kind, name)).expect("it exists")
    }

    /// The addresses of a port, as text.
    #[track_caller]
    pub fn addresses(&self, port: &str) -> Vec<String> {
        self.get(Kind::Port, port).allocation.addresses.iter().map(ToString::to_string).collect()
    }

    /// What is in a topic, as text: the keys.
    pub fn items(&self, topic: &TopicId) -> Vec<String> {
        self.fabric.topic(topic).into_iter().flat_map(Topic::keys).map(ToString::to_string).collect()
    }
}

/// The start of most stories.
pub(super) const BASE: &str = "\
{kind: tenant, name: default}
---
{kind: mac-pool, name: default, spec: {ranges: [00-1D-D8-B7-1C-00..00-1D-D8-F4-1F-FF]}}
---
{kind: logical-network, name: TDIv2, spec: {networkVirtualization: true}}
---
{kind: host, name: host15, spec: {uplinks: [{interface: eth0, addresses: [192.168.4.15/24], logicalNetworks: [TDIv2]}]}}
---
{kind: host, name: host16, spec: {uplinks: [{interface: eth0, addresses: [192.168.4.16/24], logicalNetworks: [TDIv2]}]}}
";

/// VM network AAA with a subnet, a pool and a port on it.
pub(super) const AAA: &str = "\
{kind: vm-network, name: AAA, spec: {logicalNetwork: TDIv2}}
---
{kind: vm-subnet, name: test, spec: {vmNetwork: AAA, prefixes: [10.10.0.0/16]}}
---
{kind: ip-pool, name: CA Pool, spec: {vmSubnet: test, ranges: [10.10.1.100-10.10.1.130]}}
---
{kind: port, name: test01, spec: {host: host16, vmNetwork: AAA}}
";

/// A logical network with VLANs, a host in it, and VM networks of isolation `vlan` and `none`.
pub(super) const PHYSICAL: &str = "\
{kind: logical-network, name: Office, spec: {sites: [{name: hall, subnets: [{prefix: 172.16.0.0/16, vlan: 42}, {prefix: 172.17.0.0/16, vlan: 43}]}]}}
---
{kind: host, name: host17, spec: {uplinks: [{interface: eth1, addresses: [], logicalNetworks: [Office]}]}}
---
{kind: vm-network, name: floor, spec: {logicalNetwork: Office, isolation: vlan}}
---
{kind: vm-subnet, name: desk, spec: {vmNetwork: floor, vlan: 42, prefixes: [172.16.0.0/16], gateways: [172.16.0.254]}}
---
{kind: vm-network, name: bare, spec: {logicalNetwork: Office, isolation: none}}
---
{kind: vm-subnet, name: open, spec: {vmNetwork: bare}}
";

#[track_caller]
pub(super) fn puts(yaml: &str) -> Vec<Change> {
    let resources = resources_from_yaml(yaml).expect("the test's YAML is right");
    resources.into_iter().map(|resource| Change::Put { resource, revision: None }).collect()
}

#[track_caller]
pub(super) fn resource(yaml: &str) -> Resource {
    resources_from_yaml(yaml).expect("the test's YAML is right").pop().expect("there is one")
}

pub(super) fn key(kind: Kind, name: &str) -> Key {
    Key::new(kind, None, name.parse().expect("the test's name is right"))
}

pub(super) fn sentences(refusals: &[Refusal]) -> Vec<String> {
    refusals.iter().map(ToString::to_string).collect()
}

/// All that can be seen of a fabric.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct State {
    pub objects: Vec<Object>,
    pub topics: BTreeMap<TopicId, Topic>,
    pub claims: Vec<Claim>,
}

impl State {
    pub fn of(fabric: &Fabric) -> Self {
        let topics = fabric.topics().map(|(id, topic)| (id.clone(), topic.clone())).collect();
        let mut claims: Vec<Claim> = fabric.claims().collect();
        claims.sort();
        Self { objects: fabric.iter().cloned().collect(), topics, claims }
    }
}
