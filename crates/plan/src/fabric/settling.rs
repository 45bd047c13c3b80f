//! When a VM's move is over, and when its next one may begin. What the hosts have acknowledged decides, and for how long it has
//! been so; both are handed in. [`model::Migration`] says why, and the rules have their numbers from there.

use std::collections::BTreeMap;
use std::time::Duration;

use model::fabric::{Key, Kind, Object, Port, ResourceName, Spec};

use super::{Change, Fabric, MigrationRefusal, Refusal};

/// For how long after all hosts know that a VM has moved its old host still sends on what comes there: as long as a frame
/// that was sent before may take through the underlay, with much to spare.
pub const SETTLING: Duration = Duration::from_secs(1);
/// The same where a host that ought to know is away. What it sends to the old host is lost from then on, until it is back; a
/// network whose VMs could not move until then would be worse off.
pub const SETTLING_WITHOUT: Duration = Duration::from_secs(30);

/// A host that has not acknowledged what was last declared of a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Late {
    /// The host.
    pub host: ResourceName,
    /// Whether its agent is connected.
    pub connected: bool,
}

impl std::fmt::Display for Late {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.host, if self.connected { "" } else { " (its agent is not connected)" })
    }
}

/// For how long what is late is still sent on, from when these are all that have not acknowledged where a VM has come from
/// (rule 3). `None` while one of them can still be told: then nothing is over.
pub fn settles_after(late: &[Late]) -> Option<Duration> {
    match late {
        [] => Some(SETTLING),
        late => late.iter().all(|late| !late.connected).then_some(SETTLING_WITHOUT),
    }
}

/// The moves that come to their end. Times are since any moment that is always the same.
#[derive(Default, Debug)]
pub struct Settling(BTreeMap<Key, Since>);

/// How long a move settles, and since when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Since {
    wait: Duration,
    since: Duration,
}

impl Settling {
    /// Takes in who is late, of each VM that has moved; returns the ports whose moves are over, once each.
    pub fn look(&mut self, now: Duration, arrivals: impl IntoIterator<Item = (Key, Vec<Late>)>) -> Vec<Key> {
        let waits = arrivals.into_iter().filter_map(|(port, late)| Some((port, settles_after(&late)?)));
        let waits: BTreeMap<Key, Duration> = waits.collect();
        // Who is waited for in another way is waited for anew.
        self.0.retain(|port, known| waits.get(port) == Some(&known.wait));
        for (port, wait) in waits {
            self.0.entry(port).or_insert(Since { wait, since: now });
        }
        let over = |(_, known): &(&Key, &Since)| now >= known.since + known.wait;
        let over: Vec<Key> = self.0.iter().filter(over).map(|(port, _)| port.clone()).collect();
        self.0.retain(|port, _| !over.contains(port));
        over
    }

    /// When to look again though nobody has acknowledged anything; `None` if nothing is on its way to its end.
    pub fn next(&self) -> Option<Duration> {
        self.0.values().map(|known| known.since + known.wait).min()
    }
}

impl Fabric {
    /// Whether the moves that these changes begin may begin: only when every host has acknowledged the end of the VM's last one
    /// (rule 4). It is not kept when that was, so that all that was declared of the port must be known. `late` says who has not
    /// acknowledged that; who is in `without` is passed over, and may take the VM to have arrived before it has left.
    ///
    /// # Errors
    /// One refusal for each port that is not at rest, never an empty list.
    pub fn at_rest(
        &self,
        changes: &[Change],
        without: &[ResourceName],
        late: impl Fn(&Object) -> Vec<Late>,
    ) -> Result<(), Vec<Refusal>> {
        let refusal = |change: &Change| {
            let key = change.key();
            let resource = match change {
                Change::Create(resource) | Change::Put { resource, .. } | Change::Replace { resource, .. } => resource,
                Change::Delete { .. } => return None,
            };
            let Spec::Port(Port { host: Some(from), migrate_to: Some(to), .. }) = &resource.spec else { return None };
            if let Some(host) = without.iter().find(|host| *host == from || *host == to) {
                let host = Key::global(Kind::Host, host);
                return Some(Refusal::from(MigrationRefusal::NotWithout { port: key, host }));
            }
            let (object, before) = self.port(&key)?;
            // One that still arrives has a sentence of its own, and one that is on its way as well.
            if before.migrate_to.is_some() || object.allocation.came_from.is_some() {
                return None;
            }
            let late: Vec<Late> = late(object).into_iter().filter(|late| !without.contains(&late.host)).collect();
            (!late.is_empty()).then(|| MigrationRefusal::NotAtRest { port: key, to: to.clone(), late }.into())
        };
        let refusals: Vec<Refusal> = changes.iter().filter_map(refusal).collect();
        if refusals.is_empty() { Ok(()) } else { Err(refusals) }
    }

    /// What hosts are told of a port: the keys of the host's resources that follow from it. A host that leaves one of them out
    /// does not carry the port, or does not follow its VM.
    pub fn told_of(&self, port: &Key) -> Vec<model::Key> {
        let Some((object, _)) = self.port(port) else { return Vec::new() };
        let name = super::host_port_name(port);
        let own = name.map(|name| model::Key { kind: model::Kind::Port, name: name.to_string() });
        let given = &object.allocation;
        let subnet = given.vm_subnet.as_ref().and_then(|subnet| self.get(&port.sibling(Kind::VmSubnet, subnet)));
        let Some((vsid, mac)) = subnet.and_then(|subnet| subnet.allocation.vsid).zip(given.mac) else {
            return own.into_iter().collect();
        };
        let records = given.addresses.iter().chain(&given.learnt);
        let records =
            records.map(|address| model::Key { kind: model::Kind::LookupRecord, name: format!("{vsid}/{address}") });
        let migration = model::Resource::Migration(model::Migration { vsid, mac, to: None, from: None }).key();
        own.into_iter().chain([migration]).chain(records).collect()
    }
}
