//! DNS of a compartment: one dnsmasq, at the compartment's addresses inside. dnsmasq, since it is small, asks zones of their
//! own servers, takes up new names without a new start, and is on every distribution (GPL; a program beside ours).

mod probe;

use std::net::IpAddr;
use std::path::Path;

use model::gateway::{Connection, ConnectionReport, ConnectionState};
use plan::gateway::dns::{self, Texts};

use crate::daemons::own_folder;
use probe::Probes;

use crate::{ConfigFile, Daemon, Daemons, OnChange, Part, Place, Trouble};

/// The name of the daemon.
const NAME: &str = "dnsmasq";
/// The folder that dnsmasq has for itself.
const FOLDER: &str = "/run/dnsmasq";
/// Its configuration in it.
const CONFIG: &str = "dnsmasq.conf";
/// The names that it knows.
const HOSTS: &str = "hosts";
/// The signal by which dnsmasq reads the names anew. What it has of others in its cache is asked for anew.
const REREAD: i32 = nix::sys::signal::Signal::SIGHUP as i32;

/// The part of a compartment that answers questions about names.
pub struct Dns {
    daemons: Daemons,
    left_out: Vec<String>,
    probes: Probes,
}

impl Dns {
    /// The kind of daemons that are to be handed to [`Dns::new`].
    pub const KIND: &str = "dns";

    /// A part that has nothing to answer yet.
    pub fn new(daemons: Daemons) -> Self {
        Self { daemons, left_out: Vec::new(), probes: Probes::default() }
    }

    /// What is in the way, of each connection that is DNS.
    fn troubles(place: &Place<'_>, reasons: &[String]) -> Vec<Trouble> {
        let of_dns = || place.compartment.connections.iter().filter(|one| one.dns.is_some());
        reasons.iter().flat_map(|reason| of_dns().map(move |one| Trouble::of(one, reason))).collect()
    }

    /// The servers of a connection that do not answer, as a sentence.
    fn missed(&self, dns: &model::gateway::Dns) -> Option<String> {
        let theirs = |server: &&IpAddr| {
            dns.forwarders.contains(server) || dns.zones.iter().any(|zone| zone.servers.contains(server))
        };
        let missed: Vec<String> = self.probes.missed().filter(theirs).map(ToString::to_string).collect();
        let (servers, answer, they) = match missed.len() {
            0 => return None,
            1 => ("server", "does", "it runs, and whether it"),
            _ => ("servers", "do", "they run, and whether they"),
        };
        let list = missed.join(", ");
        Some(format!("{servers} {list} {answer} not answer; look whether {they} can be reached from the gateway"))
    }
}

/// The place of a file as dnsmasq sees it, and in the compartment's folder.
fn path(name: &str) -> (String, String) {
    let seen = Path::new(FOLDER).join(name);
    let kept = own_folder(Path::new(""), &seen);
    (seen.to_string_lossy().into_owned(), kept.to_string_lossy().into_owned())
}

/// dnsmasq as a compartment's daemon.
fn daemon(texts: &Texts) -> Daemon {
    let ((config, kept_config), (_, kept_hosts)) = (path(CONFIG), path(HOSTS));
    let (pid, _) = path("pid");
    Daemon {
        name: NAME.to_owned(),
        program: NAME.into(),
        package: "dnsmasq-base",
        arguments: vec![
            "--keep-in-foreground".to_owned(),
            format!("--conf-file={config}"),
            "--user=dnsmasq".to_owned(),
            format!("--pid-file={pid}"),
        ],
        arguments_again: Vec::new(),
        environment: Vec::new(),
        files: vec![
            ConfigFile { name: kept_config, contents: texts.config.clone(), on_change: OnChange::Restart },
            ConfigFile { name: kept_hosts, contents: texts.hosts.clone(), on_change: OnChange::Signal(REREAD) },
        ],
        own_folders: vec![FOLDER.into()],
        user: Some("dnsmasq"),
    }
}

impl Part for Dns {
    fn settle(&mut self, place: &Place<'_>) -> Vec<Trouble> {
        let texts = dns::texts(place.compartment, &path(HOSTS).0);
        let wanted: Vec<Daemon> = texts.iter().map(daemon).collect();
        let reasons = self.daemons.settle(place, &wanted);
        self.probes.set(&texts.as_ref().map(|texts| texts.servers.clone()).unwrap_or_default());
        self.left_out = texts.map(|texts| texts.left_out).unwrap_or_default();
        Self::troubles(place, &reasons)
    }

    fn tend(&mut self, place: &Place<'_>) -> Vec<Trouble> {
        self.probes.tend(place.namespace);
        let reason = self.daemons.status(place.folder, NAME).trouble;
        Self::troubles(place, reason.as_slice())
    }

    fn report(&mut self, place: &Place<'_>, connection: &Connection, report: &mut ConnectionReport) {
        let Some(dns) = connection.dns.as_ref().filter(|_| !place.compartment.standby) else { return };
        report.carriers.push(NAME.to_owned());
        let status = self.daemons.status(place.folder, NAME);
        let reason = status.trouble.or_else(|| self.left_out.first().cloned()).or_else(|| self.missed(dns));
        if status.pid.is_none() {
            report.state = if reason.is_some() { ConnectionState::Down } else { ConnectionState::Connecting };
        }
        if reason.is_some() {
            report.reason = reason;
        }
    }

    fn remove(&mut self, place: &Place<'_>) {
        for sentence in self.daemons.remove(place) {
            tracing::warn!("{sentence}");
        }
    }
}
