//! VM networks that another host of their gateway becomes the active one of: because theirs can no more, or since an operator
//! wants it empty.
//!
//! What is planned loses nothing. It goes as a VM that moves: first all hosts are told of both places
//! ([`GatewayAllocation::next`]), so that they believe what comes from either; then the new one forwards
//! ([`GatewayAllocation::ready`]), so that it can when the first packet comes; then the new host is the active one, and the old
//! one sends on and forwards what still comes to it ([`GatewayAllocation::came_from`]); and when all hosts know, that is over. A
//! host that is dead is simply succeeded.

use std::collections::{BTreeMap, BTreeSet};

use model::fabric::{Gateway, GatewayAllocation, Key, Kind, ResourceName, Spec};

use super::{Context, Fabric, Transition};
use crate::gateway::health::{Health, Lost, Succession, successions};

/// How a host takes another one's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// All hosts are told of both first; it becomes the active one when they know.
    Prepared,
    /// At once; the one before forwards what still comes to it.
    Forwarding,
    /// At once; the one before is gone.
    Abrupt,
    /// Not at all: what was prepared is taken back.
    Cancelled,
}

/// A VM network that another host is to be the active one of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakeOver {
    /// Which.
    pub network: Key,
    /// The host that is the active one.
    pub from: ResourceName,
    /// The host that is to be.
    pub to: ResourceName,
    /// How.
    pub manner: Manner,
    /// Why, as a sentence.
    pub reason: String,
}

/// Networks that can only go together, since they share an address outside.
type Together<'f> = Vec<(&'f Key, &'f GatewayAllocation)>;

impl Fabric {
    /// The hosts that others could take the place of, or that could take others' place: those of gateways with several.
    pub fn redundant_hosts(&self) -> BTreeSet<ResourceName> {
        let gateways = self.of_kind(Kind::Gateway, None).filter_map(|object| match &object.resource.spec {
            Spec::Gateway(spec) if spec.hosts.len() > 1 => Some(spec),
            _ => None,
        });
        gateways.flat_map(|spec| &spec.hosts).map(|host| host.host.clone()).collect()
    }

    /// Whether an operator wants some host of a gateway empty.
    pub fn has_drained(&self) -> bool {
        self.of_kind(Kind::Gateway, None).any(|object| match &object.resource.spec {
            Spec::Gateway(spec) => !spec.drained.is_empty(),
            _ => false,
        })
    }

    /// What is to be taken over, as hosts are.
    pub fn take_overs(&self, health: &BTreeMap<ResourceName, Health>) -> Vec<TakeOver> {
        let gateways = self.of_kind(Kind::Gateway, None).filter_map(|object| match &object.resource.spec {
            Spec::Gateway(spec) if spec.hosts.len() > 1 => Some((object.key(), spec)),
            _ => None,
        });
        gateways.flat_map(|(key, spec)| self.take_overs_of(&key, spec, health)).collect()
    }

    fn take_overs_of(&self, gateway: &Key, spec: &Gateway, health: &BTreeMap<ResourceName, Health>) -> Vec<TakeOver> {
        let mut verdicts = health.clone();
        for host in &spec.drained {
            verdicts.entry(host.clone()).and_modify(|health| {
                if matches!(health, Health::Well { .. }) {
                    *health = Health::Drained;
                }
            });
        }
        let hosts: Vec<ResourceName> = spec.hosts.iter().map(|host| host.host.clone()).collect();
        let units = self.units(gateway);
        let active = units.iter().enumerate().filter_map(|(unit, networks)| {
            let (_, given) = networks.first()?;
            // What moves already comes to its end first, unless the host fails meanwhile.
            let moves = networks.iter().any(|(_, given)| given.next.is_some() || given.came_from.is_some());
            let waits = moves && verdicts.get(&given.host) == Some(&Health::Drained);
            (!waits).then(|| (unit, given.host.clone()))
        });
        let mut all = Vec::new();
        for Succession { network: unit, from, to, reason } in successions(&hosts, active, &verdicts) {
            let manner = match verdicts.get(&from) {
                Some(Health::Drained) => Manner::Prepared,
                // It reaches the VM network's hosts, so that what goes out through it can be sent on.
                Some(Health::Unfit(Lost::Outside)) => Manner::Forwarding,
                _ => Manner::Abrupt,
            };
            let each = units.get(unit).into_iter().flatten().map(|(network, _)| TakeOver {
                network: (*network).clone(),
                from: from.clone(),
                to: to.clone(),
                manner,
                reason: reason.clone(),
            });
            all.extend(each);
        }
        // One that was to come and does not work is not waited for.
        let fails = |host: &ResourceName| matches!(health.get(host), Some(Health::Dead { .. } | Health::Unfit(_)));
        for (network, given) in units.iter().flatten() {
            let Some(next) = given.next.as_ref().filter(|next| fails(next)) else { continue };
            if all.iter().all(|one| one.network != **network) {
                let (network, from, to) = ((*network).clone(), given.host.clone(), next.clone());
                let reason = format!("{next} cannot take it over any more");
                all.push(TakeOver { network, from, to, manner: Manner::Cancelled, reason });
            }
        }
        all
    }

    /// The VM networks of a gateway, those together that share an address outside on the same host.
    fn units(&self, gateway: &Key) -> Vec<Together<'_>> {
        let mut units: BTreeMap<_, Together<'_>> = BTreeMap::new();
        for network in self.users_by_name(gateway, Kind::VmNetwork) {
            let Some(given) = self.given_gateway(network) else { continue };
            let alone = given.shared.is_none().then_some(network.as_ref());
            let shared = given.shared.map(|shared| (given.vlan, shared.address));
            units.entry((&given.host, shared, alone)).or_default().push((network, given));
        }
        units.into_values().collect()
    }

    /// Has hosts take over. What is no more as it was when that was decided is left as it is. `None` if that is all.
    pub fn take_over(&mut self, all: &[TakeOver], context: Context<'_>) -> Option<Transition> {
        let changed: Vec<(Key, GatewayAllocation)> = all
            .iter()
            .filter_map(|one| {
                let given = self.given_gateway(&one.network).filter(|given| given.host == one.from)?;
                let after = handed_over(given, &one.to, one.manner)?;
                Some((one.network.clone(), after))
            })
            .collect();
        self.put_gateways(changed, context)
    }

    /// The next step of a VM network's move to another host of its gateway, when all hosts know of the last one. `None` if it
    /// does not move.
    pub(super) fn settle_gateway_move(&mut self, network: &Key, context: Context<'_>) -> Option<Transition> {
        let given = self.given_gateway(network)?;
        let after = match (&given.next, &given.came_from) {
            // Its device outside, which has the MAC address that the other one's has, may be heard from then on.
            (Some(_), _) if !given.ready => GatewayAllocation { ready: true, ..given.clone() },
            (Some(next), _) => handed_over(given, &next.clone(), Manner::Forwarding)?,
            (None, Some(_)) => GatewayAllocation { came_from: None, ..given.clone() },
            (None, None) => return None,
        };
        self.put_gateways(vec![(network.clone(), after)], context)
    }
}

/// What a VM network has after a step of such a kind towards a host; `None` if nothing changes by it.
fn handed_over(given: &GatewayAllocation, to: &ResourceName, manner: Manner) -> Option<GatewayAllocation> {
    let mut after = given.clone();
    let place = after.standby.iter().position(|host| host == to)?;
    match manner {
        Manner::Prepared => {
            after.next = Some(to.clone());
            after.ready = false;
            // One that just came from there is not on its way any more.
            after.came_from = None;
        }
        Manner::Cancelled => (after.next, after.ready) = (None, false),
        Manner::Forwarding | Manner::Abrupt => {
            let before = std::mem::replace(&mut after.host, to.clone());
            after.came_from = (manner == Manner::Forwarding).then(|| before.clone());
            after.standby[place] = before;
            (after.next, after.ready) = (None, false);
        }
    }
    (after != *given).then_some(after)
}
