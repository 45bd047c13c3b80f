//! Plugs ports: makes the taps that VMs are started on, takes over what is there, and removes it again.
//!
//! What a tap was made for is noted at the tap itself (`ip link` shows it as the alias), and so known for as long as there is
//! something to know, whatever becomes of this agent and of the port.

use host::{Link, LinkKind, TapOptions};
use model::{Key, Kind, Name, Port, Resource};
use proto::Claim;
use uuid::Uuid;

use api::{PlugReport, PlugRequest, Problem, ProblemType, UnplugReport, UnplugRequest};

use crate::core::Core;
use crate::run::{Shared, lock};
use crate::session::claims::{ClaimError, Claimant};

/// Begins what is noted at a tap; name and UUID of the port follow.
const MARK: &str = "netvirt port ";
/// Most queues that a tap can have in the kernel.
const MAX_QUEUES: u32 = 256;

/// See [`api::HostApi::plug`].
pub fn plug(core: &Shared, claimant: Option<&Claimant>, request: &PlugRequest) -> Result<PlugReport, Problem> {
    if request.queues == 0 || request.queues > MAX_QUEUES {
        return Err(invalid(format!("{} queues are not possible; write 1 to {MAX_QUEUES}", request.queues)));
    }
    let known = find(&lock(core), &request.port)?;
    if known.is_none() {
        must_be_free(&lock(core), request)?;
    }
    let claimed = known.is_none();
    let port = match known {
        Some(port) => port,
        None => claim(core, claimant, request)?,
    };
    let plugged = plug_here(&mut lock(core), &port, request);
    if let (Err(_), true, Some(uid), Some(claimant)) = (&plugged, claimed, port.uid, claimant)
        && let Err(error) = claimant.ask(Claim { uid, device: None, release: true })
    {
        tracing::warn!("port {} was claimed, cannot be plugged, and cannot be given back: {error}", port.name);
    }
    plugged.map(|report| PlugReport { claimed, ..report })
}

/// See [`api::HostApi::unplug`].
pub fn unplug(core: &Shared, claimant: Option<&Claimant>, request: &UnplugRequest) -> Result<UnplugReport, Problem> {
    let Some(word) = &request.port else { return leftovers(&lock(core), request.force) };
    let (mut report, uid) = {
        let mut core = lock(core);
        let marked = marked(&core)?;
        let port = find(&core, word)?;
        let is_meant = |mark: &Mark| {
            mark.name == *word || mark.link.name == *word || mark.uid.is_some_and(|uid| parse(word) == Some(uid))
        };
        let link = match &port {
            Some(port) => core.netlink().link(port.device.as_str()).ok(),
            None => marked.iter().find(|mark| is_meant(mark)).map(|mark| mark.link.clone()),
        };
        let uid = match &port {
            // What a person declared here is nothing that a controller knows.
            Some(port) => port.uid.filter(|_| core.desired.is_controlled(&key(port))),
            None => marked.iter().find(|mark| is_meant(mark)).and_then(|mark| mark.uid).or_else(|| parse(word)),
        };
        if port.is_none() && link.is_none() && uid.is_none() {
            return Err(unknown(&core, word));
        }
        let mut report = UnplugReport::default();
        if let Some(link) = link.filter(|_| !request.existing) {
            remove(&mut core, &link, port.as_ref(), request.force)?;
            report.removed.extend(link.name.parse::<Name>());
        }
        (report, uid)
    };
    if let (Some(uid), Some(claimant)) = (uid, claimant)
        && let Err(error) = claimant.ask(Claim { uid, device: None, release: true })
    {
        report.notes.push(format!("port {uid} stays this host's at the controller for now: {error}"));
    }
    Ok(report)
}

/// The port that a word names: by its name here, its device, or its UUID.
pub fn find(core: &Core, word: &str) -> Result<Option<Port>, Problem> {
    let uid = parse(word);
    if let Some(Resource::Port(port)) = core.intent().get(&Key { kind: Kind::Port, name: word.to_owned() }) {
        return Ok(Some(port.clone()));
    }
    let meant: Vec<&Port> = core
        .intent()
        .ports()
        .filter(|port| port.device.as_str() == word || (uid.is_some() && port.uid == uid))
        .collect();
    match meant.as_slice() {
        [] => Ok(None),
        [port] => Ok(Some((*port).clone())),
        [first, second, ..] => Err(Problem::conflict(format!(
            "ports {} and {} both have UUID {word}; name the port that is meant",
            first.name, second.name
        ))),
    }
}

/// Whether a device that a port is to get here can be one: better known before the port has it.
fn must_be_free(core: &Core, request: &PlugRequest) -> Result<(), Problem> {
    let Some(device) = &request.device else { return Ok(()) };
    match core.netlink().link(device.as_str()) {
        Ok(link) if link.kind != LinkKind::Tun => Err(Problem::conflict(format!(
            "device {device} exists already and is not a tap that a VM could be started on; choose another --device"
        ))),
        _ => Ok(()),
    }
}

fn parse(word: &str) -> Option<Uuid> {
    Uuid::try_parse(word).ok()
}

fn key(port: &Port) -> Key {
    Key { kind: Kind::Port, name: port.name.to_string() }
}

pub fn unknown(core: &Core, word: &str) -> Problem {
    Problem::not_found(format!(
        "there is no port {word} on host {}: no port has this name, device or UUID; \"netvirt get ports -o wide\" lists those \
         that there are, and one that any host may plug is named by its UUID the first time",
        core.name
    ))
}

/// Has the controller give the port to this host.
fn claim(core: &Shared, claimant: Option<&Claimant>, request: &PlugRequest) -> Result<Port, Problem> {
    let word = &request.port;
    let (Some(uid), Some(claimant)) = (parse(word), claimant) else {
        let mut problem = unknown(&lock(core), word);
        if parse(word).is_some() {
            problem.detail.push_str("; and this host has no controller that could give it one");
        }
        return Err(problem);
    };
    claimant.ask(Claim { uid, device: request.device.clone(), release: false }).map_err(|error| match &error {
        ClaimError::Refused(_) => Problem::conflict(format!("cannot plug port {uid}: {error}")),
        ClaimError::NotConnected => {
            Problem::unavailable(format!("there is no port {uid} on host {} yet, and {error}", lock(core).name))
        }
    })?;
    let core = lock(core);
    find(&core, word)?.ok_or_else(|| {
        let findings = core.findings();
        let why = if findings.is_empty() { "it is gone again".to_owned() } else { findings.join("; ") };
        Problem::conflict(format!("the controller gave port {uid} to this host, where it is not in force: {why}"))
    })
}

/// Makes the device, or takes it over, and sees to it that it is the port.
fn plug_here(core: &mut Core, port: &Port, request: &PlugRequest) -> Result<PlugReport, Problem> {
    let device = port.device.as_str();
    if let Some(wanted) = request.device.as_ref().filter(|wanted| **wanted != port.device) {
        return Err(Problem::conflict(format!(
            "port {} has device {device}, not {wanted}; plug it without --device, or change the port",
            port.name
        )));
    }
    let made = if request.existing { stand_by(core, port)? } else { make(core, port, request)? };
    core.netlink().set_up(device).map_err(internal)?;
    core.look_at(port);
    let link = core.netlink().link(device).map_err(internal)?;
    let status = core.ports().get(&port.name).cloned();
    let Some(status) = status.filter(|status| status.ifindex() == Some(link.index)) else {
        let findings = core.findings().join("; ");
        return Err(Problem::conflict(format!(
            "device {device} is there, but is not port {} yet: {}",
            port.name,
            if findings.is_empty() { "see \"netvirt status\" and the agent's log" } else { &findings }
        )));
    };
    tracing::info!(port = %port.name, device, made, "plugged");
    Ok(PlugReport {
        port: port.name.to_string(),
        uid: port.uid,
        device: port.device.clone(),
        mac: port.mac,
        mtu: status.mtu,
        made,
        claimed: false,
        expected: is_expected(core, port),
    })
}

/// Whether a port's VM runs on another host, and is to come here.
fn is_expected(core: &Core, port: &Port) -> bool {
    let migration = port.vsid.and_then(|vsid| core.intent().migration_of(vsid, port.mac));
    let to = migration.and_then(|migration| migration.to);
    to.is_some_and(|to| core.intent().provider_addresses().any(|own| own.address == to))
}

/// Somebody else has made the device, QEMU for example.
fn stand_by(core: &Core, port: &Port) -> Result<bool, Problem> {
    match core.netlink().link(port.device.as_str()) {
        Ok(_) => Ok(false),
        Err(error) if error.is_absent() => Err(Problem::not_found(format!(
            "there is no device {} for port {}; \"netvirt port plug {}\" makes it",
            port.device, port.name, port.name
        ))),
        Err(error) => Err(internal(error)),
    }
}

/// Makes the tap, or takes over one that a process has left behind or has open.
fn make(core: &Core, port: &Port, request: &PlugRequest) -> Result<bool, Problem> {
    let (netlink, device) = (core.netlink(), port.device.as_str());
    let options = TapOptions { vnet_hdr: true, multi_queue: request.queues > 1 };
    let there = match netlink.link(device) {
        Ok(link) => Some(link),
        Err(error) if error.is_absent() => None,
        Err(error) => return Err(internal(error)),
    };
    let mut made = there.is_none();
    match &there {
        Some(link) if link.kind != LinkKind::Tun => return Err(no_tap(port, link)),
        Some(link) if is_other_ports(link, port) => {
            return Err(Problem::conflict(format!(
                "device {device} is there for another port ({}); \"netvirt port unplug {device}\" removes it",
                link.alias.as_deref().unwrap_or_default()
            )));
        }
        // A process has it open: a VM that runs, whose network this is.
        Some(link) if link.carrier => {}
        Some(link) => match netlink.adopt_tap(device, options, request.owner) {
            Ok(()) => {}
            Err(error) if error.is_busy() => {}
            Err(error) if error.is_other_kind() && link.alias.as_deref().is_some_and(|it| it.starts_with(MARK)) => {
                // Of another number of queues, and nobody's: QEMU could not open it.
                netlink.delete_link(device).map_err(internal)?;
                netlink.adopt_tap(device, options, request.owner).map_err(internal)?;
                made = true;
            }
            Err(error) if error.is_other_kind() => return Err(no_tap(port, link)),
            Err(error) => return Err(internal(error)),
        },
        None => netlink.adopt_tap(device, options, request.owner).map_err(internal)?,
    }
    if made {
        // The host's own stack has no business on a VM's port: it would talk of itself to the VM.
        let quiet = netlink.namespace().set_sysctl(&format!("ipv6/conf/{device}/disable_ipv6"), "1");
        if let Err(error) = quiet {
            tracing::debug!("{error}");
        }
    }
    netlink.set_alias(device, &mark(port)).map_err(internal)?;
    Ok(made)
}

fn no_tap(port: &Port, link: &Link) -> Problem {
    Problem::conflict(format!(
        "device {} of port {} exists already and is not a tap that a VM could be started on; remove or rename it (\"ip -d link \
         show {}\" tells what it is), or give the port another device",
        link.name, port.name, link.name
    ))
}

/// What is noted at the tap of a port.
fn mark(port: &Port) -> String {
    match port.uid {
        Some(uid) => format!("{MARK}{} {uid}", port.name),
        None => format!("{MARK}{}", port.name),
    }
}

/// Whether a tap was plugged for another port.
fn is_other_ports(link: &Link, port: &Port) -> bool {
    Mark::of(link).is_some_and(|mark| mark.name != port.name.as_str() && (mark.uid.is_none() || mark.uid != port.uid))
}

/// A tap that was plugged.
struct Mark {
    link: Link,
    /// The name of its port.
    name: String,
    uid: Option<Uuid>,
}

impl Mark {
    fn of(link: &Link) -> Option<Self> {
        let text = link.alias.as_deref()?.strip_prefix(MARK)?;
        let (name, uid) = text.split_once(' ').unwrap_or((text, ""));
        let is_tap = link.kind == LinkKind::Tun;
        is_tap.then(|| Self { link: link.clone(), name: name.to_owned(), uid: parse(uid) })
    }
}

fn marked(core: &Core) -> Result<Vec<Mark>, Problem> {
    Ok(core.links().map_err(internal)?.iter().filter_map(Mark::of).collect())
}

/// Whether a process has a tap open. The kernel says so of one that is up alone, and QEMU opens it before it is.
fn is_open(core: &Core, link: &Link) -> Result<bool, Problem> {
    if link.up || link.carrier {
        return Ok(link.carrier);
    }
    let now = core.netlink().set_up(&link.name).and_then(|()| core.netlink().link(&link.name));
    match now {
        Ok(link) => Ok(link.carrier),
        Err(error) if error.is_absent() => Ok(false),
        Err(error) => Err(internal(error)),
    }
}

/// Removes a tap, unless a process has it open.
fn remove(core: &mut Core, link: &Link, port: Option<&Port>, force: bool) -> Result<(), Problem> {
    let device = link.name.as_str();
    if link.kind != LinkKind::Tun {
        return Err(Problem::conflict(format!(
            "device {device} is no tap, so that it was not plugged by netvirt; whoever made it removes it"
        )));
    }
    if !force && is_open(core, link)? {
        return Err(Problem::conflict(format!(
            "a process has device {device} open: its VM runs; end that first, or cut it off with --force"
        )));
    }
    match core.netlink().delete_link(device) {
        Ok(()) => {}
        Err(error) if error.is_absent() => {}
        Err(error) => return Err(internal(error)),
    }
    if let Some(port) = port {
        core.look_at(port);
    }
    tracing::info!(device, "unplugged");
    Ok(())
}

/// Removes the taps that were plugged for ports that are gone.
fn leftovers(core: &Core, force: bool) -> Result<UnplugReport, Problem> {
    let mut report = UnplugReport::default();
    for Mark { link, name, .. } in marked(core)? {
        let Ok(device) = link.name.parse::<Name>() else { continue };
        if core.intent().port_on(&device).is_some() {
            continue;
        }
        if !force && is_open(core, &link)? {
            report.notes.push(format!(
                "device {device} stays, although its port {name} is gone: a process has it open; --force removes it"
            ));
            continue;
        }
        match core.netlink().delete_link(link.name.as_str()) {
            Ok(()) => report.removed.push(device),
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(internal(error)),
        }
    }
    Ok(report)
}

fn internal(error: host::Error) -> Problem {
    Problem::internal(error.to_string())
}

fn invalid(detail: String) -> Problem {
    Problem::new(ProblemType::Invalid, detail)
}
