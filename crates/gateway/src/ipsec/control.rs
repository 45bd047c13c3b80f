//! What is in charon made what is wanted, and asked how it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use plan::gateway::ipsec::{Esp, Journal, Tunnel};
use sha2::{Digest, Sha256};

use super::messages;
use crate::vici::{Client, Error, Section};

/// What is not up is tried again after this time, where charon itself has given up: when the other side refuses us.
const AGAIN: Duration = Duration::from_secs(10);

/// Where is noted what was told.
const LOADED: &str = "charon.loaded.json";

/// A charon that is spoken with.
pub(super) struct Control {
    client: Client,
    notes: PathBuf,
    /// Digests of what it was told, by the names of tunnels.
    loaded: BTreeMap<String, String>,
    /// When tunnels were last told to open.
    tried: BTreeMap<String, Instant>,
}

/// What came of telling charon.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Told {
    /// Tunnels that are others than before, or gone.
    pub changed: Vec<String>,
    /// What charon refuses, by tunnels' names, in its words.
    pub refused: BTreeMap<String, String>,
}

/// What a pair of SAs had counted: of which tunnel, charon's number of it, bytes that came and went.
pub(super) type LastCount = (String, u64, (u64, u64));

/// How a tunnel is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct State {
    /// Whether its keys are made and packets pass.
    pub up: bool,
    /// Whether charon speaks with the other side.
    pub busy: bool,
    /// Bytes that came and went, of each pair of SAs, by charon's numbers of them.
    pub bytes: BTreeMap<u64, (u64, u64)>,
}

impl Control {
    /// Connects to the charon whose socket is in this folder; what it was told by another process is noted in `notes`.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) fn connect(socket: &Path, name: &str, notes: &Path) -> Result<Self, Error> {
        let mut client = Client::connect(socket, name)?;
        for event in ["log", "child-rekey", "child-updown"] {
            client.register(event)?;
        }
        let notes = notes.join(LOADED);
        let noted = std::fs::read(&notes).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let mut loaded: BTreeMap<String, String> = noted.unwrap_or_default();
        let there: BTreeSet<_> = client.request("get-conns", &Section::new())?.texts("conns").into_iter().collect();
        loaded.retain(|name, _| there.contains(name));
        // What it has and nobody remembers is told anew, or taken away.
        for name in there {
            loaded.entry(name).or_default();
        }
        Ok(Self { client, notes, loaded, tried: BTreeMap::new() })
    }

    /// Tells charon of these tunnels and no others. What it knows already is left as it is.
    ///
    /// # Errors
    /// When it breaks off.
    pub(super) fn settle(&mut self, tunnels: &[Tunnel<'_>], esp: Esp) -> Result<Told, Error> {
        let wanted = |name: &String| tunnels.iter().any(|tunnel| tunnel.name == name);
        let mut told = Told::default();
        for name in self.loaded.keys().filter(|name| !wanted(name)).cloned().collect::<Vec<_>>() {
            self.unload(&name)?;
            told.changed.push(name);
        }
        let mut new = Vec::new();
        for tunnel in tunnels {
            let digest = digest(tunnel, esp)?;
            if self.loaded.get(tunnel.name) == Some(&digest) {
                continue;
            }
            if self.loaded.contains_key(tunnel.name) {
                self.unload(tunnel.name)?;
            }
            told.changed.push(tunnel.name.to_owned());
            new.push((tunnel, digest));
        }
        if told.changed.is_empty() {
            return Ok(told);
        }
        // Keys and certificates that are not wanted any more must go, or charon would find them for another tunnel. They cannot
        // be named one by one; tunnels that are up do not ask for them.
        self.told("clear-creds", &Section::new())?;
        for tunnel in tunnels {
            if let Some(refusal) = self.load_credentials(tunnel)? {
                told.refused.insert(tunnel.name.to_owned(), refusal);
            }
        }
        for (tunnel, digest) in new {
            match self.client.request("load-conn", &messages::connection(tunnel, esp)) {
                Ok(_) => {
                    self.loaded.insert(tunnel.name.to_owned(), digest);
                    self.tried.insert(tunnel.name.to_owned(), Instant::now());
                }
                Err(Error::Refused { reason, .. }) => {
                    told.refused.entry(tunnel.name.to_owned()).or_insert(reason);
                }
                Err(error) => return Err(error),
            }
        }
        self.note();
        Ok(told)
    }

    /// Tells charon the keys and certificates of a tunnel. Answers the first that it refuses.
    fn load_credentials(&mut self, tunnel: &Tunnel<'_>) -> Result<Option<String>, Error> {
        let mut refusal = None;
        for (command, message) in messages::credentials(tunnel) {
            match self.client.request(command, &message) {
                Ok(_) => {}
                Err(Error::Refused { reason, .. }) => {
                    refusal.get_or_insert(format!("{command}: {reason}"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(refusal)
    }

    /// Has charon forget a tunnel and end it. What it was never told or has forgotten itself is no error.
    fn unload(&mut self, name: &str) -> Result<(), Error> {
        self.told("unload-conn", &Section::new().value("name", name))?;
        // It says goodbye to the other side and does not wait for its answer.
        self.told("terminate", &Section::new().value("ike", name).value("timeout", "-1"))?;
        self.loaded.remove(name);
        self.tried.remove(name);
        Ok(())
    }

    /// Tells charon something that it may refuse.
    fn told(&mut self, command: &str, message: &Section) -> Result<(), Error> {
        match self.client.request(command, message) {
            Ok(_) | Err(Error::Refused { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes down what was told. When that fails, the next process tells it again, and tunnels begin anew.
    fn note(&self) {
        let written = serde_json::to_vec(&self.loaded).map_err(std::io::Error::from);
        if let Err(error) = written.and_then(|text| std::fs::write(&self.notes, text)) {
            tracing::warn!("cannot write {}: {error}", self.notes.display());
        }
    }

    /// What charon has logged since it was asked last goes to the journal. Answers what SAs had counted that are replaced or gone.
    ///
    /// # Errors
    /// When it has ended.
    pub(super) fn hear(&mut self, journal: &mut Journal) -> Result<Vec<LastCount>, Error> {
        let mut counts = Vec::new();
        for event in self.client.events()? {
            if event.name != "log" {
                counts.extend(last_counts(&event.message));
                continue;
            }
            let name = event.message.text("ikesa-name").unwrap_or_default();
            let number = event.message.number("ikesa-uniqueid").unwrap_or_default();
            let line = event.message.text("msg").unwrap_or_default();
            tracing::debug!(tunnel = name, number, "charon: {line}");
            journal.hear(&name, number, &line);
        }
        Ok(counts)
    }

    /// How all tunnels are, by name.
    ///
    /// # Errors
    /// When it breaks off.
    pub(super) fn states(&mut self) -> Result<BTreeMap<String, State>, Error> {
        const WORKS: [&str; 4] = ["INSTALLED", "UPDATING", "REKEYING", "REKEYED"];
        let listed = self.client.list("list-sas", "list-sa", &Section::new().value("noblock", "yes"))?;
        let mut states: BTreeMap<String, State> = BTreeMap::new();
        for (name, sa) in listed.iter().flat_map(Section::sections) {
            let state = states.entry(name.to_owned()).or_default();
            state.busy |= matches!(sa.text("state").as_deref(), Some("CONNECTING" | "CREATED"));
            state.busy |= !sa.texts("tasks-active").is_empty() || !sa.texts("tasks-queued").is_empty();
            for (_, child) in sa.child("child-sas").into_iter().flat_map(Section::sections) {
                state.up |= child.text("state").is_some_and(|state| WORKS.contains(&state.as_str()));
                state.bytes.extend(bytes(child));
            }
        }
        Ok(states)
    }

    /// Has charon open those tunnels that are ours to open, are not up, and that it does not try to open itself.
    ///
    /// # Errors
    /// When it breaks off.
    pub(super) fn open(&mut self, tunnels: &[Tunnel<'_>], states: &BTreeMap<String, State>) -> Result<(), Error> {
        for tunnel in tunnels.iter().filter(|tunnel| tunnel.opens) {
            let known = self.loaded.contains_key(tunnel.name);
            let idle = states.get(tunnel.name).is_none_or(|state| !state.up && !state.busy);
            let patient = self.tried.get(tunnel.name).is_none_or(|at| at.elapsed() >= AGAIN);
            if known && idle && patient {
                let message = Section::new().value("ike", tunnel.name).value("child", tunnel.name);
                self.told("initiate", &message.value("timeout", "-1"))?;
                self.tried.insert(tunnel.name.to_owned(), Instant::now());
            }
        }
        Ok(())
    }

    /// Has charon make new keys for the packets of a tunnel.
    ///
    /// # Errors
    /// When it refuses or breaks off.
    pub(super) fn rekey(&mut self, name: &str) -> Result<(), Error> {
        self.client.request("rekey", &Section::new().value("child", name)).map(|_| ())
    }
}

/// The bytes that came and went by a pair of SAs, with charon's number of it.
fn bytes(child: &Section) -> Option<(u64, (u64, u64))> {
    let count = |of: &str| child.number(of).unwrap_or_default();
    Some((child.number("uniqueid")?, (count("bytes-in"), count("bytes-out"))))
}

/// What the events `child-rekey` and `child-updown` say of SAs that were replaced, or have gone.
fn last_counts(event: &Section) -> Vec<LastCount> {
    let mut counts = Vec::new();
    for (name, sa) in event.sections() {
        for (_, child) in sa.child("child-sas").into_iter().flat_map(Section::sections) {
            let child = child.child("old").unwrap_or(child);
            counts.extend(bytes(child).map(|(number, bytes)| (name.to_owned(), number, bytes)));
        }
    }
    counts
}

/// A digest of all that charon is told of a tunnel.
fn digest(tunnel: &Tunnel<'_>, esp: Esp) -> Result<String, Error> {
    let mut hash = Sha256::new();
    hash.update(messages::connection(tunnel, esp).encode()?);
    for (_, message) in messages::credentials(tunnel) {
        hash.update(message.encode()?);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
