//! The edge of the host, carried out: see `plan::gateway::edge`. One of each VLAN in which addresses are shared.

use std::net::IpAddr;
use std::sync::Arc;

use host::{Namespace, Netfilter, Netlink, VethEnd};
use model::gateway::{Gateway, SharedAddress};
use model::{MacAddress, VlanId};
use parking_lot::Mutex;
use plan::gateway::edge::{self, Member};
use plan::gateway::layout::{self, Device};
use plan::gateway::{EDGE, OUTSIDE, announce, judgement};

use crate::announcing::announce_soon;
use crate::compartment::{open_or_create, remove_namespace};
use crate::devices::Devices;
use crate::silent::Silent;
use crate::{Error, links, tools};

/// What an edge is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WantedEdge {
    /// Name of its namespace.
    pub namespace: String,
    /// The host as a gateway.
    pub gateway: Gateway,
    /// In which VLAN it is.
    pub vlan: Option<VlanId>,
    /// The routers outside.
    pub next_hops: Vec<IpAddr>,
    /// The compartments that share addresses.
    pub members: Vec<WantedMember>,
}

/// A compartment that is to be joined to an edge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WantedMember {
    /// Its namespace.
    pub namespace: String,
    /// What of shared addresses is its.
    pub shared: Vec<SharedAddress>,
    /// See [`Member::answers`].
    pub answers: bool,
}

/// What others are told of an edge: why it does not work.
pub type EdgeTrouble = Arc<Mutex<Option<String>>>;

/// An edge as it is.
pub struct EdgeCarrier {
    namespace: Namespace,
    near: Netlink,
    devices: Devices,
    filter: Netfilter,
    /// What could not be done the last time.
    trouble: Option<String>,
    silent: Silent,
    told: EdgeTrouble,
}

impl EdgeCarrier {
    /// Opens the edge's namespace, or makes it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn open(name: &str, told: EdgeTrouble) -> Result<Self, Error> {
        let namespace = open_or_create(name)?;
        let near = Netlink::current()?;
        let devices = Devices::of(&namespace)?;
        let filter = Netfilter::in_namespace(&namespace)?;
        Ok(Self { namespace, near, devices, filter, trouble: None, silent: Silent::default(), told })
    }

    /// Whether the namespace is what its name says.
    pub fn is_in_place(&self) -> bool {
        self.namespace.is_in_place()
    }

    /// Whether the device outside and those towards the compartments are there and lead where they should.
    pub fn is_undisturbed(&mut self, wanted: &WantedEdge) -> bool {
        let Ok(links) = self.devices.links() else { return false };
        let joined = |namespace: &String| {
            links.iter().any(|link| link.alias.as_ref() == Some(namespace) && link.up && link.carrier)
        };
        self.namespace.is_in_place()
            && links.iter().any(|link| link.name == OUTSIDE && link.up)
            && wanted.members.iter().all(|member| joined(&member.namespace))
    }

    /// Makes everything what is wanted. Answers whether all of it could be done.
    pub fn settle(&mut self, wanted: &WantedEdge) -> bool {
        let done = self.try_to_settle(wanted);
        self.trouble = done.as_ref().err().map(ToString::to_string);
        self.tend(wanted);
        matches!(done, Ok(true))
    }

    /// Looks after the routers, and tells how things are.
    pub fn tend(&mut self, wanted: &WantedEdge) {
        let outside = self.devices.links().ok().and_then(|links| links.iter().find(|link| link.name == OUTSIDE));
        let outside = outside.map(|link| link.index);
        let shared = wanted.members.iter().flat_map(|member| &member.shared);
        let needed = edge::needed_hops(shared, &wanted.next_hops);
        let silent = self.silent.look(self.devices.netlink(), outside, &needed);
        let silent = silent.first().map(|router| judgement::silent(*router));
        *self.told.lock() = self.trouble.clone().or(silent);
    }

    /// Takes the edge away.
    pub fn remove(self, wanted: &WantedEdge) {
        for link in self.own().links().unwrap_or_default() {
            if link.name != "lo" {
                let _ = links::delete(self.own(), &link.name);
            }
        }
        remove_namespace(&wanted.namespace, &self.namespace);
    }

    /// Answers whether all compartments were there to be joined.
    fn try_to_settle(&self, wanted: &WantedEdge) -> Result<bool, Error> {
        if !self.own().link("lo")?.up {
            self.own().set_up("lo")?;
        }
        self.set_sysctls(&[])?;
        links::ensure_outside(&self.near, self.own(), &self.namespace, &wanted.gateway, wanted.vlan, None)?;
        let (members, complete) = self.settle_members(wanted)?;
        // Rules before addresses, so that no packet for a shared address is the edge's own.
        tools::apply_rules(&self.namespace, &self.filter, &edge::ruleset(&members))?;
        links::settle_rules(self.own(), &edge::rules(&members))?;
        self.move_local_rule()?;
        let [here, _] = layout::edge_link();
        for member in &members {
            let name = edge::device(member.slot);
            links::settle_addresses(self.own(), &name, &here, true)?;
            self.set_sysctls(&[&name])?;
        }
        let addresses = edge::addresses(&wanted.gateway, &members);
        let outside = Device { name: OUTSIDE, addresses, up: true };
        let changes = links::settle_device(self.own(), &outside)?;
        self.set_sysctls(&[OUTSIDE])?;
        let routes = edge::routes(&members, &wanted.next_hops);
        links::settle_routes(
            self.own(),
            routes.iter().map(|route| (route.table, route.to, route.via, route.device.as_str())),
        )?;
        self.announce(&changes.gained);
        Ok(complete)
    }

    /// For requests about its devices.
    const fn own(&self) -> &Netlink {
        self.devices.netlink()
    }

    fn set_sysctls(&self, devices: &[&str]) -> Result<(), Error> {
        let sysctls = edge::sysctls(devices);
        let pairs: Vec<_> = sysctls.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Ok(self.namespace.set_sysctls(pairs)?)
    }

    /// Joins each compartment that is there to the edge. A compartment keeps its slot, which is noted at its device.
    fn settle_members(&self, wanted: &WantedEdge) -> Result<(Vec<Member>, bool), Error> {
        let devices: Vec<_> = self.own().links()?.into_iter().filter(|link| slot_of(&link.name).is_some()).collect();
        for link in &devices {
            if !wanted.members.iter().any(|member| link.alias.as_ref() == Some(&member.namespace)) {
                links::delete(self.own(), &link.name)?;
            }
        }
        let mut taken: Vec<_> = devices
            .iter()
            .filter(|link| wanted.members.iter().any(|member| link.alias.as_ref() == Some(&member.namespace)))
            .filter_map(|link| slot_of(&link.name))
            .collect();
        let mut members = Vec::new();
        let mut complete = true;
        for WantedMember { namespace: name, shared, answers } in &wanted.members {
            let known =
                devices.iter().find(|link| link.alias.as_ref() == Some(name)).and_then(|link| slot_of(&link.name));
            let slot = match known {
                Some(slot) => slot,
                None => {
                    let free = (0..=edge::LAST_SLOT).find(|slot| !taken.contains(slot));
                    free.ok_or(Error::EdgeFull(edge::LAST_SLOT))?
                }
            };
            let namespace = match Namespace::open(name) {
                Ok(namespace) => namespace,
                // Its own thread has not made it yet.
                Err(error) if error.is_absent() => {
                    complete = false;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let far = Netlink::in_namespace(&namespace)?;
            let device = edge::device(slot);
            let ends = (VethEnd::named(&device), VethEnd::named(EDGE));
            links::ensure_pair(self.own(), &far, &namespace, ends.0, ends.1)?;
            if known.is_none() || self.own().link(&device)?.alias.as_ref() != Some(name) {
                self.own().set_alias(&device, name)?;
            }
            taken.push(slot);
            members.push(Member { slot, shared: shared.clone(), answers: *answers });
        }
        Ok((members, complete))
    }

    /// Puts the kernel's rule for its own addresses behind those of the compartments. The new one, which is among the wanted
    /// rules, is there before the old one goes.
    fn move_local_rule(&self) -> Result<(), Error> {
        for rule in self.own().rules()?.iter().filter(|rule| rule.priority == 0) {
            self.own().delete_rule(rule)?;
        }
        Ok(())
    }

    /// Tells the neighbors outside where addresses are.
    fn announce(&self, gained: &[ipnet::IpNet]) {
        let mac = self.own().link(OUTSIDE).ok().and_then(|link| MacAddress::new(link.mac?).ok());
        let Some(mac) = mac.filter(|_| !gained.is_empty()) else { return };
        let frames = gained.iter().map(|address| announce::frame(mac, address.addr())).collect();
        if let Err(error) = announce_soon(self.own(), OUTSIDE, frames) {
            tracing::warn!("the neighbors of the edge are not told of its addresses: {error}");
        }
    }
}

/// The slot whose device has this name.
fn slot_of(device: &str) -> Option<u16> {
    let slot = device.strip_prefix('e')?.parse().ok()?;
    (edge::device(slot) == device).then_some(slot)
}
