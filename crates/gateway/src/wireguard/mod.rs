//! WireGuard in a compartment: a device for each tunnel, of the kernel's where it has WireGuard, else with a process of its
//! own behind it.

mod configuration;
mod process;
mod status;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use gotatun::x25519::{PublicKey, StaticSecret};
use host::{LinkKind, Netlink};
use model::gateway::{Connection, ConnectionReport, ConnectionState};
use plan::gateway::OUTSIDE;
use plan::gateway::wireguard::{self, SESSION, Tunnel};

use crate::devices::Watched;
use crate::tunnel_device::{Wanted, settle_routes};
use crate::{ConfigFile, Daemon, Daemons, OnChange, Part, Place, Trouble};
pub use process::{WireguardError, WireguardOptions, run_wireguard};
use status::Status;

/// The protocol number of routes into tunnels; 110 are those of the compartment itself, 111 those into IPsec's.
const ROUTE_PROTOCOL: u8 = 120;

/// How many tunnels a compartment may have: each may be a process, and all compartments of a host share its memory.
const TUNNELS: usize = 64;

/// Who carries tunnels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Carrier {
    Kernel,
    Userspace,
}

/// The program that is started for a tunnel where the kernel has no WireGuard: `netvirt gateway wireguard`, by its file and
/// the arguments before `--device DEVICE --config FILE --socket FILE --mtu BYTES`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WireguardProgram {
    /// The file.
    pub program: PathBuf,
    /// The arguments that come first.
    pub arguments: Vec<String>,
}

/// WireGuard in one compartment.
pub struct WireguardPart {
    daemons: Daemons,
    program: WireguardProgram,
    carrier: Option<Carrier>,
    /// What the kernel's devices were told, by their names.
    told: BTreeMap<String, String>,
    /// How tunnels are, by their devices.
    status: BTreeMap<String, Status>,
    /// What is in the way of tunnels, by their devices.
    broken: BTreeMap<String, String>,
    /// Where devices and routes are asked for, once there are tunnels.
    watched: Option<Watched>,
}

impl WireguardPart {
    /// The kind of daemons that are to be handed to [`WireguardPart::new`].
    pub const KIND: &str = "wireguard";

    /// A part that knows of no tunnel yet.
    pub fn new(daemons: Daemons, program: WireguardProgram) -> Self {
        Self {
            daemons,
            program,
            carrier: None,
            told: BTreeMap::new(),
            status: BTreeMap::new(),
            broken: BTreeMap::new(),
            watched: None,
        }
    }

    /// Tries a device of the kernel's, so that its module is loaded if it is there. It changes with the kernel alone.
    fn carrier(&mut self, netlink: &Netlink) -> Carrier {
        const PROBE: &str = "nvt-probe";
        *self.carrier.get_or_insert_with(|| {
            let tried = netlink.create_wireguard(PROBE).is_ok() && netlink.delete_link(PROBE).is_ok();
            if tried { Carrier::Kernel } else { Carrier::Userspace }
        })
    }

    /// Makes the devices of tunnels with the routes into them, and takes those away that are no tunnel's.
    fn settle_devices(
        &mut self,
        place: &Place<'_>,
        netlink: &Netlink,
        tunnels: &[Tunnel<'_>],
    ) -> Result<(), host::Error> {
        let carrier = self.carrier(netlink);
        let links = netlink.links()?;
        let outside = links.iter().find(|link| link.name == OUTSIDE).map_or(1500, |link| link.mtu);
        for link in links.iter().filter(|link| wireguard::is_device(&link.name)) {
            let fits = (link.kind == LinkKind::Tun) == (carrier == Carrier::Userspace);
            if !fits || tunnels.iter().all(|tunnel| tunnel.device != link.name) {
                let _ = netlink.delete_link(&link.name);
                self.told.remove(&link.name);
            }
        }
        let wanted = |tunnel| wanted(tunnel, outside);
        for tunnel in tunnels {
            let made = self.make_device(place, netlink, tunnel, carrier);
            let done = made.and_then(|()| wanted(tunnel).settle(netlink).map_err(|error| error.to_string()));
            match done {
                Ok(()) => self.broken.remove(&tunnel.device),
                Err(why) => self.broken.insert(tunnel.device.clone(), why),
            };
        }
        self.broken.retain(|device, _| tunnels.iter().any(|tunnel| tunnel.device == *device));
        settle_routes(netlink, ROUTE_PROTOCOL, &tunnels.iter().map(wanted).collect::<Vec<_>>())
    }

    fn make_device(
        &mut self,
        place: &Place<'_>,
        netlink: &Netlink,
        tunnel: &Tunnel<'_>,
        carrier: Carrier,
    ) -> Result<(), String> {
        match carrier {
            Carrier::Userspace => netlink.create_tun(&tunnel.device).map_err(|error| error.to_string()),
            Carrier::Kernel => {
                match netlink.create_wireguard(&tunnel.device) {
                    Err(error) if !error.is_exists() => return Err(error.to_string()),
                    _ => {}
                }
                self.tell_kernel(place, tunnel)
            }
        }
    }

    /// Tells a device of the kernel's its configuration: `wg syncconf` changes what differs, so that sessions go on.
    fn tell_kernel(&mut self, place: &Place<'_>, tunnel: &Tunnel<'_>) -> Result<(), String> {
        let configuration = tunnel.configuration();
        if self.told.get(&tunnel.device) == Some(&configuration) {
            return Ok(());
        }
        let path = place.folder.join(config_file(&tunnel.device));
        write_secret(&path, &configuration).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        let mut command = place.namespace.command("wg");
        let output = command.arg("syncconf").arg(&tunnel.device).arg(&path).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("cannot run wg: {error}; install the package wireguard-tools"))?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(format!("wg syncconf {} refuses: {words}", tunnel.device));
        }
        self.told.insert(tunnel.device.clone(), configuration);
        Ok(())
    }

    /// The processes behind the devices, of which each has one where the kernel has no WireGuard.
    fn settle_daemons(&mut self, place: &Place<'_>, netlink: &Netlink, tunnels: &[Tunnel<'_>]) -> Vec<Trouble> {
        let userspace = self.carrier(netlink) == Carrier::Userspace;
        let mtu = |tunnel: &Tunnel<'_>| netlink.link(&tunnel.device).map_or(1420, |link| link.mtu);
        let daemon = |tunnel: &Tunnel<'_>| daemon(&self.program, place.folder, tunnel, mtu(tunnel));
        let wanted: Vec<_> = tunnels.iter().filter(|_| userspace).map(daemon).collect();
        self.daemons.settle(place, &wanted).into_iter().map(Trouble::general).collect()
    }

    /// Asks how tunnels are.
    fn look(&mut self, place: &Place<'_>, tunnels: &[Tunnel<'_>]) {
        self.status.retain(|device, _| tunnels.iter().any(|tunnel| tunnel.device == *device));
        for tunnel in tunnels {
            let status = match self.carrier {
                Some(Carrier::Kernel) => status::of_kernel(place.namespace, &tunnel.device),
                _ => status::of_process(place.folder, &socket(&tunnel.device)),
            };
            match status {
                Ok(status) => {
                    self.status.insert(tunnel.device.clone(), status);
                }
                Err(error) => {
                    tracing::debug!(device = tunnel.device, "cannot ask how the tunnel is: {error}");
                    self.status.remove(&tunnel.device);
                }
            }
        }
    }

    fn work(&mut self, place: &Place<'_>, settle: bool) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        let mut tunnels = Vec::new();
        for (connection, tunnel) in wireguard::tunnels(place.compartment) {
            match tunnel {
                Ok(tunnel) if tunnels.len() < TUNNELS => tunnels.push(tunnel),
                Ok(_) => troubles
                    .push(Trouble::of(connection, format!("a compartment has {TUNNELS} WireGuard tunnels at most"))),
                Err(error) => troubles.push(Trouble::of(connection, error.to_string())),
            }
        }
        if tunnels.is_empty() && !settle {
            return troubles;
        }
        let mut watched = match Watched::again(self.watched.take(), place.namespace) {
            Ok(watched) => watched,
            Err(error) => return vec![Trouble::general(error.to_string())],
        };
        let mut done = Ok(());
        if watched.has_changed() || settle || !self.broken.is_empty() {
            done = self.settle_devices(place, watched.netlink(), &tunnels);
        }
        if settle {
            troubles.extend(self.settle_daemons(place, watched.netlink(), &tunnels));
        }
        match done {
            Ok(()) => self.watched = Some(watched),
            // Not kept, it is looked at anew the next time.
            Err(error) => troubles.push(Trouble::general(error.to_string())),
        }
        if !settle {
            self.look(place, &tunnels);
            let trouble = |tunnel: &Tunnel<'_>| self.daemons.status(place.folder, &tunnel.device).trouble;
            troubles.extend(tunnels.iter().filter_map(trouble).map(Trouble::general));
        }
        troubles
    }
}

impl Part for WireguardPart {
    fn settle(&mut self, place: &Place<'_>) -> Vec<Trouble> {
        let troubles = self.work(place, true);
        let tunnels: Vec<_> =
            wireguard::tunnels(place.compartment).into_iter().filter_map(|(_, made)| made.ok()).collect();
        self.look(place, &tunnels);
        troubles
    }

    fn tend(&mut self, place: &Place<'_>) -> Vec<Trouble> {
        self.work(place, false)
    }

    fn report(&mut self, place: &Place<'_>, connection: &Connection, report: &mut ConnectionReport) {
        let Some(declared) = &connection.wireguard else { return };
        if let Some(key) = declared.private_key.as_ref().and_then(|key| configuration::key(key.reveal())) {
            report.public_key = Some(public_key(key));
        }
        let made = wireguard::tunnels(place.compartment).into_iter().find(|(other, _)| other.name == connection.name);
        let tunnel = match made {
            None => return,
            Some((_, Err(error))) => {
                report.state = ConnectionState::Down;
                report.reason = Some(error.to_string());
                return;
            }
            Some((_, Ok(tunnel))) => tunnel,
        };
        report.carriers = vec![match self.carrier {
            Some(Carrier::Kernel) => "kernel WireGuard".to_owned(),
            _ => "userspace WireGuard".to_owned(),
        }];
        for address in place.compartment.outside.iter().flat_map(|outside| &outside.addresses) {
            if !report.addresses.contains(&address.addr()) {
                report.addresses.push(address.addr());
            }
        }
        let status = self.status.get(&tunnel.device).copied().unwrap_or_default();
        report.received_bytes = status.received;
        report.sent_bytes = status.sent;
        let daemon = self.daemons.status(place.folder, &tunnel.device);
        if let Some(trouble) = self.broken.get(&tunnel.device).cloned().or(daemon.trouble) {
            report.state = ConnectionState::Down;
            report.reason = Some(trouble);
        } else if status.handshake.is_some_and(|age| age < SESSION) {
            report.state = ConnectionState::Up;
        } else {
            report.state = ConnectionState::Connecting;
            report.reason = Some(tunnel.silence(status.endpoint));
        }
    }

    fn remove(&mut self, place: &Place<'_>) {
        for trouble in self.daemons.remove(place) {
            tracing::warn!("{trouble}");
        }
        let Ok(netlink) = Netlink::in_namespace(place.namespace) else { return };
        let _ = settle_routes(&netlink, ROUTE_PROTOCOL, &[]);
        for link in netlink.links().unwrap_or_default().iter().filter(|link| wireguard::is_device(&link.name)) {
            let _ = netlink.delete_link(&link.name);
        }
        self.told.clear();
        self.status.clear();
    }
}

/// The public key of a private one, as `wg` writes it.
fn public_key(private_key: configuration::Key) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(PublicKey::from(&StaticSecret::from(private_key)).as_bytes())
}

/// What the device of a tunnel is to have, where the MTU outside is this.
fn wanted<'w>(tunnel: &'w Tunnel<'_>, outside: u32) -> Wanted<'w> {
    Wanted {
        name: &tunnel.device,
        mtu: tunnel.mtu(outside),
        addresses: tunnel.declared.addresses.clone(),
        routes: tunnel.routes.clone(),
        remotes: tunnel.remote().into_iter().collect(),
    }
}

/// The daemon of a tunnel. The MTU is among its arguments since it must know it when it starts.
fn daemon(program: &WireguardProgram, folder: &Path, tunnel: &Tunnel<'_>, mtu: u32) -> Daemon {
    let file = ConfigFile {
        name: config_file(&tunnel.device),
        contents: tunnel.configuration(),
        on_change: OnChange::Signal(libc::SIGHUP),
    };
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let mut arguments = program.arguments.clone();
    arguments.extend(["--device".to_owned(), tunnel.device.clone()]);
    arguments.extend(["--config".to_owned(), path(&file.name)]);
    arguments.extend(["--status".to_owned(), path(&socket(&tunnel.device))]);
    arguments.extend(["--mtu".to_owned(), mtu.to_string()]);
    Daemon {
        name: tunnel.device.clone(),
        program: program.program.clone(),
        package: "netvirt",
        arguments,
        arguments_again: Vec::new(),
        environment: Vec::new(),
        files: vec![file],
        own_folders: Vec::new(),
        user: None,
    }
}

fn config_file(device: &str) -> String {
    format!("{device}.conf")
}

fn socket(device: &str) -> String {
    format!("{device}.sock")
}

/// Writes a file for root alone.
fn write_secret(path: &Path, contents: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(contents.as_bytes())
}
