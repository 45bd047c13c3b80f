//! What agents ask and say: [`proto::Controller`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use api::fabric::LastMove;
use model::fabric::{Addressing, Key, Kind, ResourceName, Spec};
use model::gateway::{GatewayBeat, GatewayReport};
use model::{MacAddress, Vsid};
use plan::fabric::{Change, Fabric, TopicId};
use proto::{
    Claim, Claimed, Departure, HostFacts, JoinAsk, Joined, LearntAddress, Peer, Refused, Report, Station, TopicContent,
};
use store::Transaction;

use crate::commit::Actor;
use crate::core::{Core, Prepared, Then, Work};
use crate::gateway_status;
use crate::northbound::Controller;
use crate::records::JOIN;
use crate::state::State;
use crate::{claims, clock, secrets, uplinks};

impl proto::Controller for Controller {
    fn join(&self, ask: &JoinAsk) -> Result<Joined, Refused> {
        let name: ResourceName = ask.name.parse().map_err(|error| Refused::Conflict(format!("{error}")))?;
        if !name.is_host_name() {
            return Err(Refused::Conflict(format!(
                "\"{name}\" is no name for a host, since it has a space; choose another"
            )));
        }
        let actor = Actor { who: format!("host {name}"), action: Some("join") };
        let mut refused = None;
        let done = self.0.transact(&actor, false, |state| {
            if let Err(refusal) = may_join(state, ask, &name) {
                let text = refusal.to_string();
                refused = Some(refusal);
                return Err(api::Problem::conflict(text));
            }
            let id = ask.token_id.clone();
            let extra = Transaction { deletes: vec![format!("{JOIN}{id}")], ..Transaction::default() };
            let then: Then = Box::new(move |state| {
                state.joins.remove(&id);
            });
            let work = Work::Changes(uplinks::changes(&state.fabric, &name, &ask.facts.uplinks));
            Ok(Prepared { work, extra, then: Some(then), ..Prepared::default() })
        });
        if let Err(problem) = done {
            return Err(refused.unwrap_or(match problem.status {
                500.. => Refused::Internal(problem.detail),
                _ => Refused::Conflict(problem.detail),
            }));
        }
        let uid = self.0.state().host(&name).map(|object| object.uid.to_string());
        let uid =
            uid.ok_or_else(|| Refused::Host(format!("host \"{name}\" was deleted while it joined; join again")))?;
        tracing::info!(host = %name, address = %ask.address, "joined");
        Ok(Joined { host: name, uid, life: self.0.settings.certificate_life })
    }

    fn leave(&self, peer: &Peer) -> Result<(), Refused> {
        let actor = Actor { who: format!("host {}", peer.host), action: Some("leave") };
        let key = Key::global(Kind::Host, &peer.host);
        let done = self.0.transact(&actor, false, |state| {
            let ours = state.host(&peer.host).filter(|object| object.uid.to_string() == peer.uid);
            // One that was deleted since it was admitted has left.
            let changes = ours.map(|object| Change::Delete { key: key.clone(), revision: Some(object.revision) });
            Ok(Work::Changes(changes.into_iter().collect()).into())
        });
        match done {
            Ok(_) => Ok(()),
            Err(problem) if problem.status >= 500 => Err(Refused::Internal(problem.detail)),
            Err(problem) => Err(Refused::Conflict(problem.detail)),
        }
    }

    fn admit(&self, peer: &Peer) -> Result<(), Refused> {
        let refused = |what| {
            Err(Refused::Host(format!(
                "host \"{}\" {what}; join again: \"netvirt create join-token\" at the controller, \"netvirt host join\" here",
                peer.host
            )))
        };
        match self.0.state().host(&peer.host) {
            Some(object) if object.uid.to_string() == peer.uid => Ok(()),
            Some(_) => refused("is another machine by now"),
            None => refused("was deleted"),
        }
    }

    fn certificate_life(&self) -> Duration {
        self.0.settings.certificate_life
    }

    fn topics_of(&self, host: &ResourceName) -> BTreeSet<TopicId> {
        self.0.state().fabric.subscriptions(host)
    }

    fn topic(&self, topic: &TopicId) -> TopicContent {
        let state = self.0.state();
        let items = state.fabric.topic(topic).map(|topic| topic.values().cloned().collect()).unwrap_or_default();
        TopicContent { revision: state.revision, items }
    }

    fn connected(&self, host: &ResourceName, address: SocketAddr, facts: HostFacts) {
        tracing::info!(%host, %address, version = facts.version, "connected");
        self.0.reports().seen(host, clock::now()).version = Some(facts.version);
        follow_uplinks(&self.0, host, &facts.uplinks);
        self.0.tell_status(&self.0.state(), [Key::global(Kind::Host, host)]);
    }

    fn disconnected(&self, host: &ResourceName) {
        let state = self.0.state();
        // Of a host that was deleted nothing is kept.
        if state.host(host).is_some() {
            tracing::info!(%host, "disconnected");
            self.0.reports().seen(host, clock::now());
            self.0.tell_status(&state, [Key::global(Kind::Host, host)]);
        }
    }

    fn acked(&self, host: &ResourceName, _revision: u64) {
        self.0.note_ack(host);
    }

    fn gateway_beat(&self, host: &ResourceName, beat: &GatewayBeat) {
        self.0.gateway_watch.heard(host, beat);
        self.0.gateways.note_beat(host, beat);
    }

    fn gateway_report(&self, host: &ResourceName, report: GatewayReport) {
        let state = self.0.state();
        // Of a host that was deleted nothing is kept.
        if state.host(host).is_none() {
            return;
        }
        let before = self.0.gateways.of(host);
        let known = before.as_ref().and_then(|before| before.trouble.as_ref());
        if let Some(trouble) = report.trouble.as_ref().filter(|trouble| known != Some(*trouble)) {
            tracing::warn!(%host, "the host's gateway cannot do its work: {trouble}");
        }
        let changed = gateway_status::concerned(&state.fabric, host, before.as_deref(), &report);
        self.0.gateways.note(host, report);
        self.0.tell_status(&state, changed);
    }

    fn report(&self, host: &ResourceName, report: Report) {
        {
            let state = self.0.state();
            if state.host(host).is_none() {
                return;
            }
            let before = self.0.reports().get(host).map(|known| known.findings.clone());
            let names = self.0.reports().take(host, &report, clock::now());
            let changed = names.iter().filter_map(|name| state.fabric.port_on_host(host, name)).map(|port| port.key());
            self.0.tell_status(&state, changed);
            if self.0.reports().get(host).map(|known| known.findings.clone()) != before {
                self.0.tell_status(&state, [Key::global(Kind::Host, host)]);
            }
        }
        if !report.uplinks.is_empty() {
            follow_uplinks(&self.0, host, &report.uplinks);
        }
        learn(&self.0, host, &report.learnt);
        note_departures(&self.0, host, &report.departures);
        arrive(&self.0, host, &report.arrived);
    }

    fn claim(&self, host: &ResourceName, claim: &Claim) -> Claimed {
        claims::claim(&self.0, host, claim)
    }

    fn successor(&self, host: &ResourceName, vm: Station) -> Option<ResourceName> {
        Some(self.0.state().fabric.successor(host, vm.vsid, vm.mac)?.1)
    }
}

/// Notes what became of frames for VMs that move away from a host, to be shown with their ports.
fn note_departures(core: &Core, host: &ResourceName, departures: &[Departure]) {
    if departures.is_empty() {
        return;
    }
    let state = core.state();
    let of_port = |departure: &Departure| {
        let (port, to) = state.fabric.successor(host, departure.station.vsid, departure.station.mac)?;
        let moved = LastMove {
            from: host.clone(),
            to,
            flows: departure.flows,
            lost: departure.lost,
            sent_on: departure.sent_on,
        };
        core.reports().moved(&port, moved).then_some(port)
    };
    let changed: Vec<Key> = departures.iter().filter_map(of_port).collect();
    core.tell_status(&state, changed);
}

/// Whether the token is one, and good for this name.
fn may_join(state: &State, ask: &JoinAsk, name: &ResourceName) -> Result<(), Refused> {
    let token = |what: String| Err(Refused::Token(what));
    let record = state.joins.get(&ask.token_id).filter(|it| secrets::same(&it.sha256, &secrets::hash(&ask.secret)));
    let Some(record) = record else {
        return token(
            "this join token is unknown or was used already; make a new one with \"netvirt create join-token\""
                .to_owned(),
        );
    };
    if record.expires <= clock::now() {
        let end = clock::rfc3339(record.expires);
        return token(format!("this join token ended at {end}; make a new one with \"netvirt create join-token\""));
    }
    match &record.host {
        Some(host) if host != name => {
            token(format!("this join token is for host \"{host}\", not for \"{name}\"; join with \"--name {host}\""))
        }
        // Who made a token for this very name knows that it may be joined again.
        Some(_) => Ok(()),
        None if state.host(name).is_some() => Err(Refused::Conflict(format!(
            "host \"{name}\" has joined already; choose another name with \"--name\", or if this is the same host, make a \
             token for it with \"netvirt create join-token --name {name}\""
        ))),
        None => Ok(()),
    }
}

/// Declares the host with the uplinks that it has now. What cannot be is said in the host's status.
fn follow_uplinks(core: &Core, host: &ResourceName, said: &[proto::Uplink]) {
    let actor = Actor::new(format!("host {host}"));
    let done = core.transact(&actor, false, |state| {
        // One that is deleted does not come back by speaking.
        let changes = state.host(host).map(|_| uplinks::changes(&state.fabric, host, said)).unwrap_or_default();
        Ok(Work::Changes(changes).into())
    });
    let refusal = done.err().map(|problem| {
        tracing::warn!(%host, "its addresses cannot be taken over: {problem}");
        format!("the addresses that the host has now cannot be taken over: {problem}")
    });
    let state = core.state();
    if state.host(host).is_some() {
        core.reports().seen(host, clock::now()).refusal = refusal;
    }
}

/// Takes over the addresses that ports with addressing `learnt` were heard to use. What was learnt stays until something
/// else is: an agent that has just started has not heard anything yet.
fn learn(core: &Core, host: &ResourceName, learnt: &[LearntAddress]) {
    if learnt.is_empty() {
        return;
    }
    let mut heard: BTreeMap<(Vsid, MacAddress), BTreeSet<IpAddr>> = BTreeMap::new();
    for it in learnt {
        heard.entry((it.vsid, it.mac)).or_default().insert(it.address);
    }
    let news = ports_that_learn(&core.state().fabric, host, &heard);
    for (port, addresses) in news {
        let actor = Actor::new(format!("host {host}"));
        let done = core.transact(&actor, false, |_| Ok(Work::Learn(port.clone(), addresses.clone()).into()));
        if let Err(problem) = done {
            tracing::warn!(%host, "what {port} was heard to use cannot be taken over: {problem}");
        }
    }
}

/// Takes over that VMs which were to move to a host were heard there: their ports are on it from now on.
fn arrive(core: &Core, host: &ResourceName, arrived: &[Station]) {
    if arrived.is_empty() {
        return;
    }
    let actor = Actor::new(format!("host {host}"));
    let done = core.transact(&actor, false, |state| {
        let ports = state.fabric.ports_at(host, |vsid, mac| arrived.contains(&Station { vsid, mac }));
        let moved = ports.into_iter().filter_map(|port| state.fabric.arrived(&port, host));
        Ok(Work::Changes(moved.map(|resource| Change::Put { resource, revision: None }).collect()).into())
    });
    if let Err(problem) = done {
        tracing::error!(%host, "VMs have come, and their ports cannot be put there: {problem}");
    }
}

/// The ports of a host that were heard to use other addresses than are known.
fn ports_that_learn(
    fabric: &Fabric,
    host: &ResourceName,
    heard: &BTreeMap<(Vsid, MacAddress), BTreeSet<IpAddr>>,
) -> Vec<(Key, Vec<IpAddr>)> {
    let topic = fabric.topic(&TopicId::Host(host.clone()));
    let ports = topic.into_iter().flat_map(|topic| topic.values()).filter_map(|resource| match resource {
        model::Resource::Port(port) => Some(port),
        _ => None,
    });
    let news = ports.filter_map(|port| {
        let addresses = heard.get(&(port.vsid?, port.mac))?;
        let object = fabric.port_on_host(host, &port.name)?;
        let Spec::Port(spec) = &object.resource.spec else { return None };
        let known: BTreeSet<IpAddr> = object.allocation.learnt.iter().copied().collect();
        let new = spec.addressing == Addressing::Learnt && known != *addresses;
        new.then(|| (object.key(), addresses.iter().copied().collect()))
    });
    news.collect()
}
