//! BGP of a compartment: one BIRD, which puts what it learns into the compartment's routes by itself. BIRD 2, since it is one
//! small process where FRR is three, takes a new configuration without disturbing sessions that are the same in it, and
//! leaves the kernel's routes alone when it dies (GPL; a program beside ours, not a part of it).

mod control;
mod seen;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use host::Netlink;
use ipnet::IpNet;
use model::gateway::{Compartment, Connection, ConnectionReport, ConnectionState};
use plan::gateway::bird::{self, ROUTE_PROTOCOL, Session, Start};

use crate::daemons::own_folder;
use crate::{ConfigFile, Daemon, Daemons, OnChange, Part, Place, Trouble};
use control::Control;
use seen::Seen;

/// The name of the daemon.
const NAME: &str = "bird";
/// The folder that BIRD has for itself.
const FOLDER: &str = "/run/bird";
/// Its configurations in it: of the first start, and of others.
const CONFIGS: [(Start, &str); 2] = [(Start::First, "bird.conf"), (Start::Again, "again.conf")];
/// Its control socket in it.
const SOCKET: &str = "bird.ctl";
/// So many learnt prefixes of a connection are told.
const TOLD: usize = 100;
/// A neighbor that has not answered for so long is said not to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The signal by which BIRD reads its configuration anew. Sessions that are the same in both stay up.
const RECONFIGURE: i32 = nix::sys::signal::Signal::SIGHUP as i32;

/// The part of a compartment that speaks BGP.
pub struct Bgp {
    daemons: Daemons,
    /// Whether routes of an ended BIRD may be left in the kernel.
    leftovers: bool,
    /// What was seen of the sessions last, by their names in BIRD; `None` if BIRD did not answer.
    sessions: Option<BTreeMap<String, Seen>>,
    /// Since when each that is not established is not.
    silent: BTreeMap<String, Instant>,
    /// What each has told and was taken.
    learnt: BTreeMap<String, Vec<IpNet>>,
}

impl Bgp {
    /// The kind of daemons that are to be handed to [`Bgp::new`].
    pub const KIND: &str = "bgp";

    /// A part that knows of no session yet.
    pub fn new(daemons: Daemons) -> Self {
        Self { daemons, leftovers: true, sessions: None, silent: BTreeMap::new(), learnt: BTreeMap::new() }
    }

    /// Asks BIRD.
    fn look(&mut self, place: &Place<'_>) {
        self.sessions = None;
        self.learnt.clear();
        let folder = own_folder(place.folder, Path::new(FOLDER));
        let Ok(mut control) = Control::connect(&folder, SOCKET) else { return };
        let Ok(lines) = control.ask("show protocols all", usize::MAX) else { return };
        let sessions = seen::sessions(&lines);
        for (name, _) in sessions.iter().filter(|(_, seen)| seen.is_established()) {
            // Some lines are headings, or more ways to the same prefix.
            let limit = 2 * TOLD + 10;
            let answer = control.ask(&format!("show route protocol '{name}'"), limit);
            let Ok(lines) = answer else { break };
            self.learnt.insert(name.clone(), seen::prefixes(&lines));
            if lines.len() >= limit {
                // What is left of the answer would be taken for that to the next question.
                let Ok(fresh) = Control::connect(&folder, SOCKET) else { break };
                control = fresh;
            }
        }
        let now = Instant::now();
        self.silent.retain(|name, _| sessions.get(name).is_some_and(|seen| !seen.is_established()));
        for (name, _) in sessions.iter().filter(|(_, seen)| !seen.is_established()) {
            self.silent.entry(name.clone()).or_insert(now);
        }
        self.sessions = Some(sessions);
    }

    /// Removes what an ended BIRD has left in the kernel, where none is wanted: while one is, what it left carries on. What
    /// still comes to a compartment that another host takes over is forwarded too.
    fn sweep(&mut self, place: &Place<'_>) -> Result<(), host::Error> {
        if !self.leftovers || place.compartment.leaving || self.daemons.status(place.folder, NAME).pid.is_some() {
            return Ok(());
        }
        let netlink = Netlink::in_namespace(place.namespace)?;
        for route in netlink.routes_of(ROUTE_PROTOCOL)? {
            netlink.delete_route_of(ROUTE_PROTOCOL, &route)?;
        }
        self.leftovers = false;
        Ok(())
    }

    /// What is in the way of all connections that have BGP; of what single sessions lack their reports tell.
    fn troubles(place: &Place<'_>, reasons: &[String]) -> Vec<Trouble> {
        let with_bgp: Vec<_> = place.compartment.connections.iter().filter(|one| one.bgp.is_some()).collect();
        let of_each = |reason: &String| with_bgp.iter().map(|one| Trouble::of(one, reason)).collect::<Vec<_>>();
        if with_bgp.is_empty() {
            return reasons.iter().map(Trouble::general).collect();
        }
        reasons.iter().flat_map(of_each).collect()
    }
}

/// BIRD as a compartment's daemon; `None` if nothing is for it to do.
fn daemon(compartment: &Compartment) -> Option<Daemon> {
    let in_folder = |name: &str| format!("{FOLDER}/{name}");
    let mut files = Vec::new();
    for (start, config) in CONFIGS {
        let name = own_folder(Path::new(""), &Path::new(FOLDER).join(config)).to_string_lossy().into_owned();
        let contents = bird::config(compartment, start)?;
        files.push(ConfigFile { name, contents, on_change: OnChange::Signal(RECONFIGURE) });
    }
    let [(_, first), (_, again)] = CONFIGS.map(|(start, config)| (start, in_folder(config)));
    let arguments = ["-f", "-R", "-u", "bird", "-g", "bird", "-s", &in_folder(SOCKET), "-c", &first];
    Some(Daemon {
        name: NAME.to_owned(),
        program: "bird".into(),
        package: "bird2",
        arguments: arguments.map(str::to_owned).to_vec(),
        // Of two configurations BIRD takes the last.
        arguments_again: vec!["-c".to_owned(), again],
        environment: Vec::new(),
        files,
        own_folders: vec![FOLDER.into()],
        user: Some("bird"),
    })
}

impl Part for Bgp {
    fn settle(&mut self, place: &Place<'_>) -> Vec<Trouble> {
        let wanted: Vec<Daemon> = daemon(place.compartment).into_iter().collect();
        if place.compartment.standby {
            // Without a word to its neighbors: they keep its routes until the other host's BIRD speaks to them.
            self.daemons.kill(place);
        }
        let mut reasons = self.daemons.settle(place, &wanted);
        if !wanted.is_empty() {
            self.leftovers = true;
        } else if let Err(error) = self.sweep(place) {
            reasons.push(error.to_string());
        }
        Self::troubles(place, &reasons)
    }

    fn tend(&mut self, place: &Place<'_>) -> Vec<Trouble> {
        let mut reasons = Vec::new();
        if bird::config(place.compartment, Start::First).is_some() {
            self.look(place);
            reasons.extend(self.daemons.status(place.folder, NAME).trouble);
        } else if let Err(error) = self.sweep(place) {
            reasons.push(error.to_string());
        }
        Self::troubles(place, &reasons)
    }

    fn report(&mut self, place: &Place<'_>, connection: &Connection, report: &mut ConnectionReport) {
        let sessions = bird::sessions(place.compartment);
        let sessions: Vec<_> = sessions.iter().filter(|session| session.connection.name == connection.name).collect();
        if sessions.is_empty() {
            return;
        }
        report.carriers.push(NAME.to_owned());
        let mut established = 0;
        let mut reasons = Vec::new();
        for session in &sessions {
            let seen = self.sessions.as_ref().map(|seen| seen.get(&session.protocol).cloned().unwrap_or_default());
            match seen {
                Some(seen) if seen.is_established() => {
                    established += 1;
                    report.learnt.extend(self.learnt.get(&session.protocol).into_iter().flatten());
                }
                seen => reasons.push(self.why_not(place, session, seen.as_ref())),
            }
        }
        report.learnt.sort_unstable();
        report.learnt.dedup();
        report.learnt.truncate(TOLD);
        if reasons.is_empty() || report.state != ConnectionState::Up {
            return;
        }
        // With one of several neighbors routes are there, though not for long if it goes too.
        let trying = reasons.iter().any(Option::is_none);
        let reasons: Vec<String> = reasons.into_iter().flatten().collect();
        if established == 0 {
            report.state =
                if trying && reasons.is_empty() { ConnectionState::Connecting } else { ConnectionState::Down };
        }
        if !reasons.is_empty() {
            report.reason = Some(reasons.join("; "));
        }
    }

    fn remove(&mut self, place: &Place<'_>) {
        for sentence in self.daemons.remove(place) {
            tracing::warn!("{sentence}");
        }
    }
}

impl Bgp {
    /// Why a session is not up; `None` while it is being opened for the first time.
    fn why_not(&self, place: &Place<'_>, session: &Session<'_>, seen: Option<&Seen>) -> Option<String> {
        if let Some(trouble) = bird::trouble(session) {
            return Some(trouble);
        }
        let Some(seen) = seen else { return self.daemons.status(place.folder, NAME).trouble };
        let waits = self.silent.get(&session.protocol).is_none_or(|since| since.elapsed() < PATIENCE);
        let first = waits && seen.last_error.is_none() && !session.is_off_link();
        (!first).then(|| seen::reason(session, seen))
    }
}
