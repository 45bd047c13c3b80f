//! IPsec in a compartment: a charon that has it to itself, told by VICI what `plan::gateway::ipsec` says.
//!
//! Charon outlives the gateway, and so do its tunnels: the next process finds it by its socket, and tells it only what
//! differs.

mod control;
mod kernel;
mod messages;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use host::Netlink;
use model::gateway::{Connection, ConnectionReport, ConnectionState};
use plan::gateway::OUTSIDE;
use plan::gateway::ipsec::{self, Authentication, DEVICE, Esp, INTERFACE_ID, Journal, Tunnel};

use crate::daemons::own_folder;
use crate::devices::Watched;
use crate::tunnel_device::{Wanted, make_room, settle_routes};
use crate::vici::Error;
use crate::{ConfigFile, Daemon, Daemons, OnChange, Part, Place, Trouble};
use control::{Control, State};

/// The protocol number of routes into tunnels; 110 are those of the compartment itself.
const ROUTE_PROTOCOL: u8 = 111;

/// The name of the daemon.
const CHARON: &str = "charon";

/// The socket of VICI, in [`SOCKET_FOLDER`].
const SOCKET: &str = "charon.vici";

/// Where charon sees its socket and its process number.
const SOCKET_FOLDER: &str = "/var/run";

/// How long a charon that was just started is waited for.
const START: Duration = Duration::from_secs(2);

/// IPsec in one compartment.
pub struct IpsecPart {
    daemons: Daemons,
    esp: Option<Esp>,
    control: Option<Control>,
    journal: Journal,
    states: BTreeMap<String, State>,
    /// Bytes of SAs that are no more, by tunnel.
    earlier: BTreeMap<String, (u64, u64)>,
    /// What charon refuses, by tunnel.
    refused: BTreeMap<String, String>,
    /// Where devices and routes are asked for, once there are tunnels.
    watched: Option<Watched>,
    /// Whether the device and its routes were made what they should be.
    settled: bool,
    /// Whether nothing is left of former tunnels.
    cleared: bool,
}

impl IpsecPart {
    /// The kind of daemons that are to be handed to [`IpsecPart::new`].
    pub const KIND: &str = "ipsec";

    /// With the supervisor's daemons of the kind `ipsec`.
    pub fn new(daemons: Daemons) -> Self {
        Self {
            daemons,
            esp: None,
            control: None,
            journal: Journal::default(),
            states: BTreeMap::new(),
            earlier: BTreeMap::new(),
            refused: BTreeMap::new(),
            watched: None,
            settled: false,
            cleared: false,
        }
    }

    /// Has charon make new keys for the packets of a connection, before it is time.
    ///
    /// # Errors
    /// When charon does not run, or refuses.
    pub fn rekey(&mut self, connection: &str) -> Result<(), Error> {
        let absent = || Error::Unknown(format!("the connection \"{connection}\""));
        self.control.as_mut().ok_or_else(absent)?.rekey(connection)
    }

    fn esp(&mut self, place: &Place<'_>) -> Esp {
        *self.esp.get_or_insert_with(|| kernel::esp(place.namespace))
    }

    /// Starts charon where there are tunnels, ends it where there are none.
    fn settle_daemon(&mut self, place: &Place<'_>, wanted: bool) -> Vec<Trouble> {
        let esp = self.esp(place);
        let daemons: Vec<_> = wanted.then(|| daemon(place.folder, esp)).into_iter().collect();
        if wanted && let Err(error) = std::fs::create_dir_all(socket_folder(place.folder)) {
            let folder = socket_folder(place.folder);
            return vec![Trouble::general(format!("cannot make {}: {error}", folder.display()))];
        }
        self.daemons.settle(place, &daemons).into_iter().map(Trouble::general).collect()
    }

    /// Speaks with charon, once it can be spoken with, about all that is wanted. It must see the addresses before it opens
    /// tunnels.
    fn speak(&mut self, place: &Place<'_>, tunnels: &[Tunnel<'_>]) -> Result<Vec<Trouble>, Error> {
        let esp = self.esp(place);
        if self.control.is_none() {
            self.control = Some(Control::connect(&socket_folder(place.folder), SOCKET, place.folder)?);
            // It has no setting for it. One that can be spoken with has its sockets already.
            self.daemons.status(place.folder, CHARON).pid.into_iter().for_each(make_room);
        }
        let device = self.settle_device(place, tunnels);
        let Some(control) = &mut self.control else { return Ok(Vec::new()) };
        let told = control.settle(tunnels, esp)?;
        for tunnel in tunnels {
            if told.changed.iter().any(|name| name == tunnel.name) {
                self.refused.remove(tunnel.name);
                self.journal.forget(tunnel);
            }
        }
        self.refused.extend(told.refused);
        self.refused.retain(|name, _| tunnels.iter().any(|tunnel| tunnel.name == name));
        let last_counts = control.hear(&mut self.journal)?;
        for (name, number, bytes) in last_counts {
            self.states.entry(name).or_default().bytes.insert(number, bytes);
        }
        let states = control.states()?;
        control.open(tunnels, &states)?;
        self.take(tunnels, states);
        Ok(device.err().map(|error| Trouble::general(error.to_string())).into_iter().collect())
    }

    /// Takes up how tunnels are. What SAs have counted that are gone stays counted, and what one has counted that counts no more,
    /// since the keys of one direction have gone already.
    fn take(&mut self, tunnels: &[Tunnel<'_>], mut states: BTreeMap<String, State>) {
        for (name, old) in &self.states {
            let mut new = states.get_mut(name);
            for (number, (received, sent)) in &old.bytes {
                if let Some(count) = new.as_mut().and_then(|new| new.bytes.get_mut(number)) {
                    *count = (count.0.max(*received), count.1.max(*sent));
                } else {
                    let earlier = self.earlier.entry(name.clone()).or_default();
                    *earlier = (earlier.0 + received, earlier.1 + sent);
                }
            }
        }
        self.states = states;
        self.earlier.retain(|name, _| tunnels.iter().any(|tunnel| tunnel.name == name));
        self.journal.keep(tunnels);
        for tunnel in tunnels.iter().filter(|tunnel| self.states.get(tunnel.name).is_some_and(|state| state.up)) {
            self.journal.forget(tunnel);
        }
    }

    /// Charon has ended, or does not speak: it is spoken with anew.
    fn lost(&mut self, tunnels: &[Tunnel<'_>]) {
        self.control = None;
        self.take(tunnels, BTreeMap::new());
    }

    /// Makes the device and its routes what they should be, if they were not made so or something has happened to them.
    fn settle_device(&mut self, place: &Place<'_>, tunnels: &[Tunnel<'_>]) -> Result<(), host::Error> {
        let mut watched = Watched::again(self.watched.take(), place.namespace)?;
        if watched.has_changed() || !self.settled {
            let made = Self::make_device(watched.netlink(), self.esp(place), tunnels);
            self.settled = made.is_ok();
            made?;
        }
        self.watched = Some(watched);
        Ok(())
    }

    fn make_device(netlink: &Netlink, esp: Esp, tunnels: &[Tunnel<'_>]) -> Result<(), host::Error> {
        if esp == Esp::Kernel && netlink.link(DEVICE).is_err_and(|error| error.is_absent()) {
            netlink.create_xfrm(DEVICE, INTERFACE_ID)?;
        }
        let outside = netlink.link(OUTSIDE).map_or(1500, |link| link.mtu);
        let wanted = Wanted {
            name: DEVICE,
            mtu: tunnels.iter().map(|tunnel| ipsec::mtu(outside, tunnel, esp)).min().unwrap_or(outside),
            addresses: tunnels.iter().flat_map(|tunnel| tunnel.addresses.clone()).collect(),
            routes: tunnels.iter().flat_map(|tunnel| tunnel.routes.clone()).collect(),
            remotes: tunnels.iter().filter_map(|tunnel| tunnel.remote).collect(),
        };
        wanted.settle(netlink)?;
        settle_routes(netlink, ROUTE_PROTOCOL, &[wanted])
    }

    /// No tunnels: nothing of theirs is left.
    fn clear(&mut self, place: &Place<'_>) {
        self.lost(&[]);
        self.refused.clear();
        // A charon that is about to end may still do what it was told.
        self.cleared = self.daemons.status(place.folder, CHARON).pid.is_none();
        if let Ok(netlink) = Netlink::in_namespace(place.namespace) {
            let _ = settle_routes(&netlink, ROUTE_PROTOCOL, &[]);
            if self.esp(place) == Esp::Kernel {
                let _ = netlink.delete_link(DEVICE);
            }
        }
    }

    /// All but the daemon.
    fn work(&mut self, place: &Place<'_>, wait: Duration) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        let mut tunnels = Vec::new();
        for (connection, tunnel) in ipsec::tunnels(place.compartment) {
            match tunnel {
                Ok(tunnel) => tunnels.push(tunnel),
                Err(error) => troubles.push(Trouble::of(connection, error.to_string())),
            }
        }
        if tunnels.is_empty() {
            if !self.cleared {
                self.clear(place);
            }
            return troubles;
        }
        self.cleared = false;
        let until = Instant::now() + wait;
        loop {
            match self.speak(place, &tunnels) {
                Ok(more) => {
                    troubles.extend(more);
                    break;
                }
                Err(Error::Connect { .. }) if Instant::now() < until => thread::sleep(Duration::from_millis(20)),
                Err(error) => {
                    let was_there = self.control.is_some();
                    self.lost(&tunnels);
                    // The daemon's own trouble, if it has one, says more.
                    if !was_there && self.daemons.status(place.folder, CHARON).trouble.is_none() {
                        troubles.push(Trouble::general(error.to_string()));
                    }
                    break;
                }
            }
        }
        troubles
    }

    /// Why a tunnel is not up.
    fn reason(&self, tunnel: &Tunnel<'_>) -> Option<String> {
        if let Authentication::Certificates(certificates) = tunnel.authentication {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            if let Some(trouble) = ipsec::certificate_trouble(certificates, now) {
                return Some(trouble);
            }
        }
        if let Some(words) = self.refused.get(tunnel.name) {
            return Some(format!(
                "charon does not take this tunnel: {words}; look at its proposals, names and certificates"
            ));
        }
        self.journal.complaint(tunnel).map(|complaint| complaint.sentence(tunnel))
    }
}

impl Part for IpsecPart {
    fn settle(&mut self, place: &Place<'_>) -> Vec<Trouble> {
        let wanted = ipsec::tunnels(place.compartment).iter().any(|(_, tunnel)| tunnel.is_ok());
        (self.settled, self.cleared) = (false, false);
        let mut troubles = self.settle_daemon(place, wanted);
        let runs = self.daemons.status(place.folder, CHARON).pid.is_some();
        troubles.extend(self.work(place, if runs { START } else { Duration::ZERO }));
        troubles
    }

    fn tend(&mut self, place: &Place<'_>) -> Vec<Trouble> {
        let trouble = self.daemons.status(place.folder, CHARON).trouble;
        let mut troubles: Vec<_> = trouble.into_iter().map(Trouble::general).collect();
        troubles.extend(self.work(place, Duration::ZERO));
        troubles
    }

    fn report(&mut self, place: &Place<'_>, connection: &Connection, report: &mut ConnectionReport) {
        let made = ipsec::tunnels(place.compartment).into_iter().find(|(other, _)| other.name == connection.name);
        let Some((_, made)) = made else { return };
        report.carriers = vec![CHARON.to_owned(), self.esp(place).as_str().to_owned()];
        let tunnel = match made {
            Ok(tunnel) => tunnel,
            Err(error) => {
                report.state = ConnectionState::Down;
                report.reason = Some(error.to_string());
                return;
            }
        };
        if !report.addresses.contains(&tunnel.local) {
            report.addresses.push(tunnel.local);
        }
        let state = self.states.get(tunnel.name).cloned().unwrap_or_default();
        let earlier = self.earlier.get(tunnel.name).copied().unwrap_or_default();
        report.received_bytes = earlier.0 + state.bytes.values().map(|(received, _)| received).sum::<u64>();
        report.sent_bytes = earlier.1 + state.bytes.values().map(|(_, sent)| sent).sum::<u64>();
        if state.up {
            report.state = ConnectionState::Up;
            return;
        }
        let trouble = || self.daemons.status(place.folder, CHARON).trouble;
        let reason = trouble().or_else(|| self.reason(&tunnel));
        report.state = if reason.is_some() { ConnectionState::Down } else { ConnectionState::Connecting };
        report.reason = reason.or_else(|| (!tunnel.opens).then(|| tunnel.waiting()));
    }

    fn remove(&mut self, place: &Place<'_>) {
        self.clear(place);
        for trouble in self.daemons.remove(place) {
            tracing::warn!("{trouble}");
        }
    }
}

/// The daemon.
fn daemon(folder: &Path, esp: Esp) -> Daemon {
    let socket = Path::new(SOCKET_FOLDER).join(SOCKET);
    let file = ConfigFile {
        name: "charon/strongswan.conf".to_owned(),
        contents: ipsec::strongswan_conf(esp, &socket.to_string_lossy()),
        on_change: OnChange::Restart,
    };
    let path = folder.join(&file.name);
    Daemon {
        name: CHARON.to_owned(),
        program: CHARON.into(),
        package: "strongswan-charon and libcharon-extra-plugins",
        arguments: Vec::new(),
        arguments_again: Vec::new(),
        environment: vec![("STRONGSWAN_CONF".to_owned(), path.to_string_lossy().into_owned())],
        files: vec![file],
        own_folders: vec![own(folder)],
        user: None,
    }
}

/// The folder of the machine that a charon has for itself, in which it sees [`SOCKET_FOLDER`]. `/var/run` is a link to `/run`, and
/// the compartment's folder can be in neither of what is covered: so `/var`, or else `/run`.
fn own(folder: &Path) -> PathBuf {
    if folder.starts_with("/var") { "/run".into() } else { "/var".into() }
}

/// Where is what charon sees as [`SOCKET_FOLDER`].
fn socket_folder(folder: &Path) -> PathBuf {
    let own_folder = own_folder(folder, &own(folder));
    if folder.starts_with("/var") { own_folder } else { own_folder.join("run") }
}
