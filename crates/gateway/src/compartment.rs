//! One compartment, carried out: namespace, devices, routes, rules, classes of bandwidth, and its parts. What one step cannot do
//! does not keep the others from their work.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use host::{Counter, Link, Namespace, Netfilter, Netlink, PacketSocket};
use model::gateway::{Compartment, Connection, ConnectionReport, ConnectionState, Gateway};
use nix::sys::signal::Signal;
use plan::gateway::layout::{self, Layout};
use plan::gateway::ruleset::{TABLE, ruleset};
use plan::gateway::shaping::shaping;
use plan::gateway::{EDGE, INSIDE, OUTSIDE, announce};

use crate::announcing::announce_soon;
use crate::devices::Devices;
use crate::links::{self, Changes};
use crate::tracked::{Connections, Tracked};
use crate::{Error, Part, Place, Trouble, tools};

/// How often addresses that have come are announced: a frame may be lost.
const ANNOUNCEMENTS: u8 = 3;

/// What a compartment is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The compartment.
    pub compartment: Compartment,
    /// The host as a gateway.
    pub gateway: Option<Gateway>,
    /// MTU of its interface inside, when it is known.
    pub mtu: Option<u32>,
    /// Name of its namespace.
    pub namespace: String,
    /// Its folder.
    pub folder: PathBuf,
}

/// A compartment as it is.
pub struct Carrier {
    namespace: Namespace,
    /// The host's devices; the compartment's.
    near: Netlink,
    devices: Devices,
    filter: Netfilter,
    /// The name of the counter that tells that the rules are in force which were wanted last.
    rules: String,
    /// What the kernel counts of connections, once it counts.
    tracked: Option<Tracked>,
    parts: Vec<Box<dyn Part>>,
    /// What is in the way of devices, routes and rules, and of parts.
    own_troubles: Vec<Trouble>,
    part_troubles: Vec<Trouble>,
    /// Addresses still to be announced, and how often.
    announced: Vec<IpAddr>,
    announcements: u8,
    /// Whether it answered for its addresses outside when they were looked at last.
    answered: bool,
    /// The devices as they were when all was settled.
    seen: Option<Vec<Seen>>,
}

/// What of a device tells that somebody else has changed it.
type Seen = (String, u32, bool, Vec<ipnet::IpNet>);

impl Carrier {
    /// Opens the compartment's namespace, or makes it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn open(wanted: &Wanted, parts: Vec<Box<dyn Part>>) -> Result<Self, Error> {
        let namespace = open_or_create(&wanted.namespace)?;
        let near = Netlink::current()?;
        let devices = Devices::of(&namespace)?;
        let filter = Netfilter::in_namespace(&namespace)?;
        Ok(Self {
            namespace,
            near,
            devices,
            filter,
            rules: String::new(),
            tracked: None,
            parts,
            own_troubles: Vec::new(),
            part_troubles: Vec::new(),
            answered: false,
            announced: Vec::new(),
            announcements: 0,
            seen: None,
        })
    }

    /// The namespace.
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// For requests about the compartment's devices.
    pub const fn netlink(&self) -> &Netlink {
        self.devices.netlink()
    }

    /// Its device of this name, if there is one.
    pub fn device(&mut self, name: &str) -> Option<&Link> {
        self.devices.links().ok()?.iter().find(|link| link.name == name)
    }

    /// The counters of its packet filter.
    pub fn counters(&self) -> Vec<Counter> {
        self.filter.counters(TABLE).unwrap_or_default()
    }

    /// The counter that is among them when the rules are in force that were wanted last.
    pub fn rules(&self) -> &str {
        &self.rules
    }

    /// What the kernel counts of its connections.
    pub fn tracked(&mut self) -> Option<Connections> {
        if self.tracked.is_none() {
            self.tracked = Tracked::open(&self.namespace);
        }
        self.tracked.as_ref()?.connections()
    }

    /// Adds to a connection's report what keeps it from its work, and what parts know.
    pub fn add_to(&mut self, wanted: &Wanted, connection: &Connection, report: &mut ConnectionReport) {
        let place = Place { compartment: &wanted.compartment, namespace: &self.namespace, folder: &wanted.folder };
        for part in &mut self.parts {
            part.report(&place, connection, report);
        }
        let own = |trouble: &&Trouble| trouble.connection.as_ref() == Some(&connection.name);
        if let Some(trouble) = self.troubles().find(own) {
            report.reason.get_or_insert_with(|| trouble.reason.clone());
            if report.state == ConnectionState::Up {
                report.state = ConnectionState::Down;
            }
        }
    }

    /// Whether something of devices, routes and rules could not be done.
    pub fn has_own_trouble(&self) -> bool {
        !self.own_troubles.is_empty()
    }

    /// What is in the way.
    pub fn troubles(&self) -> impl Iterator<Item = &Trouble> {
        self.own_troubles.iter().chain(&self.part_troubles)
    }

    /// Whether the namespace is what its name says, and the devices are as they were left.
    pub fn is_undisturbed(&mut self) -> bool {
        self.namespace.is_in_place() && self.look().is_ok_and(|seen| Some(seen) == self.seen)
    }

    /// Makes everything what is wanted.
    pub fn settle(&mut self, wanted: &Wanted) {
        self.settle_own(wanted);
        let place = Place { compartment: &wanted.compartment, namespace: &self.namespace, folder: &wanted.folder };
        self.part_troubles = self.parts.iter_mut().flat_map(|part| part.settle(&place)).collect();
    }

    /// Makes devices, routes and rules what is wanted. What somebody else changes while that is done may be seen by no step of
    /// it: so only what was found as it was left counts as well, and what was not is settled once more.
    pub fn settle_own(&mut self, wanted: &Wanted) {
        let before = self.look().ok();
        let mut troubles = Vec::new();
        let mut try_to = |step: Result<(), Error>| {
            if let Err(error) = step {
                troubles.push(Trouble::general(error.to_string()));
            }
        };
        let next_hops = wanted.gateway.as_ref().map_or(&[][..], |gateway| &gateway.next_hops);
        let plan = layout::layout(&wanted.compartment, next_hops);
        try_to(self.settle_namespace(wanted));
        let rules = ruleset(&wanted.compartment);
        self.rules = rules.version();
        try_to(tools::apply_rules(&self.namespace, &self.filter, &rules).map(|_| ()));
        let inside = &wanted.compartment.inside;
        try_to(links::ensure_inside(&self.near, self.netlink(), &self.namespace, inside, wanted.mtu));
        try_to(self.ensure_outside(wanted));
        try_to(self.settle_devices(wanted, &plan));
        try_to(self.settle_routes(&plan));
        try_to(self.settle_shaping(wanted));
        self.own_troubles = troubles;
        self.seen = self.look().ok().filter(|after| before.as_ref() == Some(after));
    }

    /// Looks after what goes on: announcements, parts.
    pub fn tend(&mut self, wanted: &Wanted) {
        self.announce(wanted);
        let place = Place { compartment: &wanted.compartment, namespace: &self.namespace, folder: &wanted.folder };
        self.part_troubles = self.parts.iter_mut().flat_map(|part| part.tend(&place)).collect();
        // A tunnel's device may have come, or come anew.
        if let Err(error) = self.settle_shaping(wanted) {
            self.part_troubles.push(Trouble::general(error.to_string()));
        }
    }

    /// Takes everything away.
    pub fn remove(mut self, wanted: &Wanted) {
        let place = Place { compartment: &wanted.compartment, namespace: &self.namespace, folder: &wanted.folder };
        for part in &mut self.parts {
            part.remove(&place);
        }
        strip(&self.namespace);
        remove_namespace(&wanted.namespace, &self.namespace);
        let _ = fs::remove_dir_all(&wanted.folder);
    }

    fn look(&mut self) -> Result<Vec<Seen>, host::Error> {
        let own = |link: &&Link| [INSIDE, OUTSIDE, EDGE].contains(&link.name.as_str());
        let seen = |link: &Link| (link.name.clone(), link.index, link.up, link.addresses.clone());
        Ok(self.devices.links()?.iter().filter(own).map(seen).collect())
    }

    fn settle_namespace(&self, wanted: &Wanted) -> Result<(), Error> {
        make_folder(&wanted.folder)?;
        if !self.netlink().link("lo")?.up {
            self.netlink().set_up("lo")?;
        }
        self.set_sysctls(&[])
    }

    /// Sets what is to be so of the namespace and of these devices.
    fn set_sysctls(&self, devices: &[&str]) -> Result<(), Error> {
        let sysctls = layout::sysctls(devices);
        let pairs: Vec<_> = sysctls.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Ok(self.namespace.set_sysctls(pairs)?)
    }

    fn ensure_outside(&self, wanted: &Wanted) -> Result<(), Error> {
        let Some(outside) = &wanted.compartment.outside else {
            return Ok(links::delete(self.netlink(), OUTSIDE)?);
        };
        let gateway = wanted.gateway.as_ref().ok_or(Error::NoGateway)?;
        links::ensure_outside(&self.near, self.netlink(), &self.namespace, gateway, outside.vlan, Some(outside.mac))
    }

    fn settle_devices(&mut self, wanted: &Wanted, plan: &Layout) -> Result<(), Error> {
        for device in &plan.devices {
            if links::found(self.netlink(), device.name)?.is_none() {
                if device.name == EDGE {
                    return Err(Error::Edge("its device is not there yet".to_owned()));
                }
                // Why it could not be made is said already.
                continue;
            }
            let changes = links::settle_device(self.netlink(), device)?;
            self.set_sysctls(&[device.name])?;
            if device.name == OUTSIDE {
                let answers = layout::answers(&wanted.compartment);
                let (key, value) = layout::arp_sysctl(OUTSIDE, answers);
                self.namespace.set_sysctls([(key.as_str(), value.as_str())])?;
                if answers {
                    let all = if self.answered { changes } else { changes.with_all(&device.addresses) };
                    self.after_change(wanted, &all)?;
                }
                self.answered = answers;
            }
        }
        Ok(())
    }

    /// What follows when addresses outside have gone or come.
    fn after_change(&mut self, wanted: &Wanted, changes: &Changes) -> Result<(), Error> {
        if !changes.gained.is_empty() {
            self.announced = changes.gained.iter().map(ipnet::IpNet::addr).collect();
            self.announcements = ANNOUNCEMENTS;
            if let Some(outside) = &wanted.compartment.outside {
                announce_soon(
                    self.netlink(),
                    OUTSIDE,
                    self.announced.iter().map(|own| announce::frame(outside.mac, *own)).collect(),
                )?;
            }
        }
        let gone: Vec<_> = changes.lost.iter().map(ipnet::IpNet::addr).collect();
        tools::forget_connections(&self.namespace, &gone)
    }

    /// Tells the neighbors outside where addresses are. A frame that is lost is followed by others.
    fn announce(&mut self, wanted: &Wanted) {
        if !layout::answers(&wanted.compartment) {
            self.announcements = 0;
        }
        let Some(outside) = wanted.compartment.outside.as_ref().filter(|_| self.announcements > 0) else { return };
        self.announcements -= 1;
        let (Ok(link), Ok(socket)) = (self.netlink().link(OUTSIDE), PacketSocket::open(self.netlink())) else { return };
        for address in &self.announced {
            let _ = socket.send(link.index, &announce::frame(outside.mac, *address));
        }
    }

    fn settle_routes(&self, plan: &Layout) -> Result<(), Error> {
        links::settle_rules(self.netlink(), &plan.rules)?;
        links::settle_routes(self.netlink(), plan.routes.iter().map(links::named))?;
        Ok(())
    }

    fn settle_shaping(&mut self, wanted: &Wanted) -> Result<(), Error> {
        let shaping = shaping(&wanted.compartment);
        for link in self.devices.links()?.to_vec() {
            let classes = shaping.iter().find(|shaping| shaping.device == link.name);
            tools::apply_shaping(&self.namespace, self.netlink(), &link, classes)?;
        }
        Ok(())
    }
}

/// Deletes the devices of a namespace that is to go. Of a pair both ends go, at once; else the near end would go some time after
/// the namespace.
pub fn strip(namespace: &Namespace) {
    let Ok(netlink) = Netlink::in_namespace(namespace) else { return };
    for link in netlink.links().unwrap_or_default() {
        let _ = links::delete(&netlink, &link.name);
    }
}

/// Opens a namespace, or makes it.
pub fn open_or_create(name: &str) -> Result<Namespace, host::Error> {
    match Namespace::open(name) {
        Err(error) if error.is_absent() => Namespace::create(name),
        opened => opened,
    }
}

/// Ends what still runs in a namespace, and deletes it.
pub fn remove_namespace(name: &str, namespace: &Namespace) {
    for pid in namespace.processes().unwrap_or_default() {
        if let Ok(process) = host::Process::open(pid) {
            let _ = process.signal(Signal::SIGKILL as i32);
        }
    }
    if let Err(error) = Namespace::delete(name) {
        tracing::warn!("{error}");
    }
}

/// Makes a folder that only its owner reads.
pub fn make_folder(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Folder { action: "make the folder", path: path.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)
}
