//! Which of a gateway's hosts can do its work, and who takes the place of one that cannot.
//!
//! Nobody can see that a host is dead, only that it says nothing. So it takes two that have not heard of it: the controller,
//! which its agent reports to, and the gateway's other hosts, which its gateway sends heartbeats to. Whoever of them has heard
//! of it a moment ago is believed. A host whose agent alone has died, or whose gateway alone, or whose way to the controller
//! alone is cut, is therefore left in its place: what it has made forwards on without either process.
//!
//! All of it is pure: times are durations since an instant that the caller chose.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use model::fabric::ResourceName;
use model::gateway::{GatewayBeat, GatewayLinks, PeerReport};

/// How often a gateway sends a heartbeat to each peer.
pub const HEARTBEAT: Duration = Duration::from_millis(100);
/// How often a gateway reports at least, if it has peers, and its agent to the controller.
pub const REPORT: Duration = Duration::from_millis(200);
/// How long a host must have been silent, to the controller and to every peer that speaks, to be dead. Four heartbeats.
pub const DEAD_AFTER: Duration = Duration::from_millis(400);
/// How often the controller judges.
pub const JUDGE: Duration = Duration::from_millis(50);
/// For how long after the controller's start a host that it has not heard of yet is not dead.
pub const GRACE: Duration = Duration::from_secs(5);
/// How long a host that was dead or unfit must have been well again before it takes another one's place.
pub const HOLD_DOWN: Duration = Duration::from_secs(10);
/// The same, when no other one can.
pub const HOLD_DOWN_ALONE: Duration = Duration::from_secs(1);
/// How long a host of a gateway that comes back waits for the controller's word before it goes by what it was told last.
pub const UNCONFIRMED: Duration = Duration::from_secs(10);
/// When the controller itself has not judged for so long, it was held up, and reports may lie unread: that silence is its own.
const HELD_UP: Duration = Duration::from_millis(250);

/// How a gateway came to know that a compartment is to be active on its host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// Whether the controller has said so in the agent's present session with it.
    pub confirmed: bool,
    /// Whether the host has been at it all the time, with a carrier.
    pub carried: bool,
    /// Whether another host could have taken it over.
    pub has_peers: bool,
    /// How long ago the gateway started, or its uplink's carrier came back.
    pub back: Duration,
}

impl Told {
    /// Whether it is not yet to be believed: a host that was dead or cut off remembers what was so before, and another one may be
    /// active since. Two that are would take each other's addresses and tunnels. Where no controller says so or otherwise for
    /// [`UNCONFIRMED`], it counts.
    pub fn may_be_past(self) -> bool {
        !self.confirmed && !self.carried && self.has_peers && self.back < UNCONFIRMED
    }
}

/// What a host is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// It works, for so long at least.
    Well {
        /// For how long; none where it was never seen otherwise.
        since: Option<Duration>,
    },
    /// It lives, and its gateway says nothing: it forwards as it was told last, and takes up nothing new.
    Speechless,
    /// Nobody has seen it yet, and it is too early to say that it is dead.
    Unknown,
    /// It lives, and an interface that it cannot do without has no carrier.
    Unfit(Lost),
    /// It works, and an operator wants it empty.
    Drained,
    /// Nobody has heard of it for so long.
    Dead {
        /// For how long: what the one says who heard it last.
        silent: Duration,
    },
}

/// What an unfit host has lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// Its external interface has no carrier.
    Outside,
    /// The interface of its provider address has none.
    Uplink,
}

/// Why a host does not keep its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure<'h> {
    /// Which.
    pub host: &'h ResourceName,
    /// How it is.
    pub health: Health,
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host;
        match self.health {
            Health::Dead { silent } => write!(f, "{host} has been silent for {} ms", silent.as_millis()),
            Health::Unfit(Lost::Outside) => write!(f, "the external interface of {host} has no carrier"),
            Health::Unfit(Lost::Uplink) => write!(f, "the uplink of {host} has no carrier"),
            Health::Speechless => {
                write!(f, "netvirt gateway on {host} says nothing; what it was told last goes on, start it again")
            }
            Health::Unknown => write!(f, "{host} has not been heard of yet"),
            Health::Drained => write!(f, "{host} is drained"),
            Health::Well { .. } => write!(f, "{host} is well"),
        }
    }
}

/// What the controller has heard of one host.
#[derive(Debug, Default)]
struct Seen {
    /// When its agent was heard last.
    agent: Option<Duration>,
    /// When its gateway was, and what it said then.
    gateway: Option<(Duration, Option<GatewayLinks>, Vec<PeerReport>)>,
    /// When it was last judged to be anything but well.
    unwell: Option<Duration>,
    /// Since when it is expected to be there.
    expected: Duration,
}

/// All that the controller has heard of the hosts of its gateways.
#[derive(Debug, Default)]
pub struct Watch {
    seen: BTreeMap<ResourceName, Seen>,
    judged: Option<Duration>,
    /// No silence from before then counts, but as long as it would take anew.
    excused: Duration,
}

impl Watch {
    /// Nothing has been heard.
    pub fn new() -> Self {
        Self::default()
    }

    /// These are the hosts that count; what is known of others is forgotten.
    pub fn expect<'h>(&mut self, hosts: impl IntoIterator<Item = &'h ResourceName>, now: Duration) {
        let mut before = std::mem::take(&mut self.seen);
        for host in hosts {
            let seen = before.remove(host).unwrap_or_else(|| Seen { expected: now, ..Seen::default() });
            self.seen.insert(host.clone(), seen);
        }
    }

    /// A host's agent was heard, with what its gateway has said last.
    pub fn heard(&mut self, host: &ResourceName, beat: &GatewayBeat, now: Duration) {
        let Some(seen) = self.seen.get_mut(host) else { return };
        seen.agent = Some(now);
        if let Some(age) = beat.age {
            let at = now.saturating_sub(Duration::from_millis(age.into()));
            seen.gateway = Some((at, beat.links, beat.peers.clone()));
        }
    }

    /// How all hosts are.
    pub fn judge(&mut self, now: Duration) -> BTreeMap<ResourceName, Health> {
        let held_up = self.judged.is_some_and(|before| now.saturating_sub(before) > HELD_UP);
        if held_up {
            self.excused = now;
        }
        self.judged = Some(now);
        let verdicts: BTreeMap<_, _> =
            self.seen.iter().map(|(host, seen)| (host.clone(), self.health(host, seen, now))).collect();
        for (host, seen) in &mut self.seen {
            if !matches!(verdicts.get(host), Some(Health::Well { .. })) {
                // One that is only not known yet has not failed.
                let failed = !matches!(verdicts.get(host), Some(Health::Unknown));
                seen.unwell = if failed { Some(now) } else { seen.unwell };
            }
        }
        verdicts
    }

    /// How one host is.
    fn health(&self, host: &ResourceName, seen: &Seen, now: Duration) -> Health {
        let silent = |at: Duration| now.saturating_sub(at);
        let lives = |at: Option<Duration>| at.is_some_and(|at| silent(at) <= DEAD_AFTER);
        let witnessed = self.witnessed(host, now);
        if lives(seen.agent) || lives(witnessed) {
            return match &seen.gateway {
                Some((at, links, _)) if silent(*at) <= DEAD_AFTER || lives(witnessed) => fitness(*links, seen, now),
                _ => Health::Speechless,
            };
        }
        let last = seen.agent.max(witnessed).max(seen.gateway.as_ref().map(|(at, ..)| *at));
        let early = match last {
            // Silence during which the controller did not listen is none.
            Some(_) => silent(self.excused) <= DEAD_AFTER,
            None => silent(seen.expected) <= GRACE,
        };
        if early { Health::Unknown } else { Health::Dead { silent: silent(last.unwrap_or(seen.expected)) } }
    }

    /// When one of the others that speak heard a host last.
    fn witnessed(&self, host: &ResourceName, now: Duration) -> Option<Duration> {
        let mut latest = None;
        for (other, seen) in &self.seen {
            let Some((at, _, peers)) = &seen.gateway else { continue };
            if other == host || now.saturating_sub(*at) > DEAD_AFTER {
                continue;
            }
            let sees = peers.iter().find(|peer| peer.host == *host);
            latest = latest.max(sees.map(|peer| at.saturating_sub(Duration::from_millis(peer.silent.into()))));
        }
        latest
    }
}

/// How a host is that lives, and whose gateway speaks.
fn fitness(links: Option<GatewayLinks>, seen: &Seen, now: Duration) -> Health {
    match links {
        Some(GatewayLinks { uplink: false, .. }) => Health::Unfit(Lost::Uplink),
        Some(GatewayLinks { outside: false, .. }) => Health::Unfit(Lost::Outside),
        _ => Health::Well { since: seen.unwell.map(|unwell| now.saturating_sub(unwell)) },
    }
}

/// One that is to be moved from a host that cannot do its work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Succession<N> {
    /// What it is: a VM network.
    pub network: N,
    /// Where it was.
    pub from: ResourceName,
    /// Where it is to be.
    pub to: ResourceName,
    /// Why, as a sentence.
    pub reason: String,
}

/// Who takes over what, from hosts that cannot do their work. `gateway` are its hosts, the preferred ones first; `active` says
/// which of them each VM network has. A network whose host is dead, unfit or drained goes to the host with the fewest networks among
/// those that can take it; where there is none it stays. Nothing ever goes back by itself: that would be one more interruption.
pub fn successions<N: Clone>(
    gateway: &[ResourceName],
    active: impl IntoIterator<Item = (N, ResourceName)>,
    health: &BTreeMap<ResourceName, Health>,
) -> Vec<Succession<N>> {
    let active: Vec<_> = active.into_iter().collect();
    let mut load: BTreeMap<&ResourceName, usize> = gateway.iter().map(|host| (host, 0)).collect();
    for (_, host) in &active {
        if let Some(load) = load.get_mut(host) {
            *load += 1;
        }
    }
    let mut successions = Vec::new();
    for (network, from) in &active {
        let Some(verdict @ (Health::Dead { .. } | Health::Unfit(_) | Health::Drained)) = health.get(from).copied()
        else {
            continue;
        };
        let Some(to) = successor(gateway, from, health, &load) else { continue };
        *load.entry(to).or_default() += 1;
        let reason = Failure { host: from, health: verdict }.to_string();
        successions.push(Succession { network: network.clone(), from: from.clone(), to: to.clone(), reason });
    }
    successions
}

/// The host that is to have one network more: the least laden one, the preferred one of equals.
pub fn successor<'g>(
    gateway: &'g [ResourceName],
    from: &ResourceName,
    health: &BTreeMap<ResourceName, Health>,
    load: &BTreeMap<&ResourceName, usize>,
) -> Option<&'g ResourceName> {
    let well_for = |host: &ResourceName| match health.get(host) {
        Some(Health::Well { since }) => Some(since.unwrap_or(Duration::MAX)),
        _ => None,
    };
    let best = |at_least: Duration| {
        let able = gateway.iter().filter(|host| *host != from && well_for(host).is_some_and(|time| time >= at_least));
        able.min_by_key(|host| load.get(host).copied().unwrap_or_default())
    };
    best(HOLD_DOWN).or_else(|| best(HOLD_DOWN_ALONE))
}

#[cfg(test)]
mod tests;
