//! Plugs ports into domains that run: libvirt calls no hook when an interface comes or goes, so that the port is plugged before
//! and unplugged after, and virsh is run in between.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use api::{Client, PlugReport, PlugRequest, UnplugRequest};

use super::domain::{self, ALIAS, Interface};
use crate::CliError;
use crate::args::{Attach, Connect, Detach, Output};
use crate::port::plugged;
use crate::run::Streams;

/// How long a VM may take to let its interface go: it has to agree.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two looks whether it has.
const PAUSE: Duration = Duration::from_millis(200);

/// Plugs a port into a domain.
pub fn attach(attach: &Attach, client: &Client, output: Output, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let report = client.plug(&PlugRequest { queues: attach.queues, ..PlugRequest::of(&attach.port) })?;
    let mut words = vec!["attach-device", &attach.domain, "/dev/stdin", "--live"];
    words.extend(attach.persistent.then_some("--config"));
    let attached = xml(&report, attach).and_then(|xml| virsh(&attach.to, &words, &xml));
    if let Err(error) = attached {
        if report.made || report.claimed {
            // Why it was not attached is the error to tell.
            let _ = client.unplug(&UnplugRequest { port: Some(attach.port.clone()), existing: false, force: false });
        }
        return Err(error);
    }
    match output {
        Output::Name => streams.print(&format!("{}\n", report.device)),
        _ => streams.print(&format!("{}; domain {} has it\n", plugged(&report), attach.domain)),
    }
}

/// The interface of a port.
fn xml(report: &PlugReport, attach: &Attach) -> Result<String, CliError> {
    let PlugReport { device, mac, .. } = report;
    let Some(uid) = report.uid else {
        return Err(CliError::Told(format!(
            "port {} has no UUID, by which the domain could name it; give it one with \"netvirt set port {} --uid UUID\"",
            report.port, report.port
        )));
    };
    if !attach.model.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        return Err(CliError::Usage(format!(
            "\"{}\" is no model of an interface; write virtio or e1000",
            attach.model
        )));
    }
    let mac = mac.to_string().replace('-', ":").to_lowercase();
    let driver = if attach.queues > 1 { format!("<driver queues='{}'/>", attach.queues) } else { String::new() };
    Ok(format!(
        "<interface type='ethernet'><mac address='{mac}'/><target dev='{device}' managed='no'/><model type='{}'/>{driver}\
         <alias name='{ALIAS}{uid}'/></interface>\n",
        attach.model
    ))
}

/// Unplugs a port from a domain.
pub fn detach(detach: &Detach, client: &Client, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let (interface, alias) = find(detach, client)?;
    let mut words = vec!["detach-device-alias", &detach.domain, &alias, "--live"];
    words.extend(detach.persistent.then_some("--config"));
    virsh(&detach.to, &words, "")?;
    let end = Instant::now() + PATIENCE;
    while interfaces(detach)?.iter().any(|known| known.port == interface.port) {
        if Instant::now() >= end {
            return Err(CliError::Told(format!(
                "domain {} was asked to let port {} go and has not within {} s; when it has, say \"netvirt port unplug {}\"",
                detach.domain,
                interface.port,
                PATIENCE.as_secs(),
                interface.port
            )));
        }
        thread::sleep(PAUSE);
    }
    let report = client.unplug(&UnplugRequest { port: Some(interface.port), existing: false, force: false })?;
    for note in report.notes {
        streams.note(&format!("note: {note}"))?;
    }
    let devices: Vec<String> = report.removed.iter().map(ToString::to_string).collect();
    streams.print(&format!(
        "domain {} has port {} no more; unplugged {}\n",
        detach.domain,
        detach.port,
        devices.join(", ")
    ))
}

/// The interface of a domain that is a port, and its alias.
fn find(detach: &Detach, client: &Client) -> Result<(Interface, String), CliError> {
    // By whatever name: the agent knows which UUID it has.
    let uid = client.list(model::Kind::Port)?.into_iter().find_map(|item| {
        let field = |name: &str| item.spec.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
        let is_it = item.name == detach.port || field("device").as_deref() == Some(&detach.port);
        if is_it { field("uid") } else { None }
    });
    let wanted = uid.as_deref().unwrap_or(&detach.port);
    let known = interfaces(detach)?;
    match known.iter().find(|interface| interface.port.eq_ignore_ascii_case(wanted)) {
        Some(interface) => Ok((interface.clone(), format!("{ALIAS}{}", interface.port))),
        None => {
            let all: Vec<&str> = known.iter().map(|interface| interface.port.as_str()).collect();
            let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
            let domain = &detach.domain;
            Err(CliError::Told(format!("domain {domain} has no port {}; its ports are {all}", detach.port)))
        }
    }
}

fn interfaces(detach: &Detach) -> Result<Vec<Interface>, CliError> {
    let xml = virsh(&detach.to, &["dumpxml", &detach.domain], "")?;
    domain::interfaces(&xml).map_err(|error| CliError::Told(format!("domain {}: {error}", detach.domain)))
}

/// What virsh prints; what it complains about is the error.
fn virsh(to: &Connect, words: &[&str], input: &str) -> Result<String, CliError> {
    let told = |what: String| CliError::Told(format!("\"virsh {}\": {what}", words.join(" ")));
    let mut command = Command::new("virsh");
    command.args(to.connect.iter().flat_map(|uri| ["--connect", uri])).arg("--quiet").args(words);
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| told(format!("{error}; is it installed? (Debian: libvirt-clients)")))?;
    if let Some(mut pipe) = child.stdin.take() {
        // One that does not read says why itself.
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| told(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(told(String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ")))
}
