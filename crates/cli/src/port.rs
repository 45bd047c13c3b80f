//! `netvirt port`: devices of ports are made and removed by the agent of this host.

use std::fmt::Write as _;
use std::path::PathBuf;

use api::{Client, PlugReport, PlugRequest, PortMemory, Remembered, UnplugReport, UnplugRequest};
use nix::unistd::User;
use serde::Serialize;

use crate::CliError;
use crate::args::{Output, Plug, PortVerb, Unplug};
use crate::files;
use crate::run::Streams;

/// Carries out one verb.
pub fn run(verb: &PortVerb, client: &Client, output: Output, streams: &mut Streams<'_>) -> Result<(), CliError> {
    match verb {
        PortVerb::Plug(plug) => {
            let report = client.plug(&request(plug)?)?;
            show(&report, &plugged(&report), report.device.as_str(), output, streams)
        }
        PortVerb::Unplug(unplug) => {
            let report = client.unplug(&asked(unplug))?;
            tell(&report, output, streams)
        }
        PortVerb::Recall { port } => {
            let memory = client.port_memory(port)?;
            // What is for a machine to read again is JSON unless YAML is asked for.
            let output = if matches!(output, Output::Yaml) { Output::Yaml } else { Output::Json };
            show(&memory, "", port, output, streams)
        }
        PortVerb::Remember { port, file } => {
            let report = client.remember(port, &memory(file, streams)?)?;
            show(&report, &remembered(&report), port, output, streams)
        }
        PortVerb::QemuUp { device } => {
            let report = client.plug(&PlugRequest { existing: true, ..PlugRequest::of(device) })?;
            show(&report, &plugged(&report), report.device.as_str(), output, streams)
        }
        PortVerb::QemuDown { device } => {
            let request = UnplugRequest { port: Some(device.clone()), existing: true, force: false };
            tell(&client.unplug(&request)?, output, streams)
        }
    }
}

fn request(plug: &Plug) -> Result<PlugRequest, CliError> {
    let owner = plug.user.as_deref().map(number).transpose()?;
    let Plug { port, device, queues, .. } = plug;
    Ok(PlugRequest { port: port.clone(), device: device.clone(), queues: *queues, owner, existing: false })
}

fn asked(unplug: &Unplug) -> UnplugRequest {
    UnplugRequest { port: unplug.port.clone(), existing: false, force: unplug.force }
}

/// What another host remembers, as a file has it.
fn memory(file: &PathBuf, streams: &mut Streams<'_>) -> Result<PortMemory, CliError> {
    let texts = files::read(std::slice::from_ref(file), streams.input)?;
    let (name, text) = texts.first().map(files::Text::parts).unwrap_or_default();
    // JSON is YAML.
    serde_saphyr::from_str(text)
        .map_err(|error| CliError::Told(format!("{name} is nothing that \"netvirt port recall\" has printed: {error}")))
}

/// What has become of it, as a sentence.
fn remembered(report: &Remembered) -> String {
    let Remembered { connections, known, ended, no_room } = *report;
    let mut sentence = format!("{connections} connections are known here now");
    for (count, what) in [
        (known, "were seen here since"),
        (ended, "have ended"),
        (no_room, "find no room (\"flows\" in the host's configuration)"),
    ] {
        if count > 0 {
            // Strings take everything.
            let _ = write!(sentence, ", {count} {what}");
        }
    }
    sentence
}

/// The number of a user.
fn number(user: &str) -> Result<u32, CliError> {
    if let Ok(number) = user.parse() {
        return Ok(number);
    }
    match User::from_name(user) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => {
            Err(CliError::Usage(format!("there is no user {user} on this machine; \"getent passwd\" lists them")))
        }
        Err(error) => Err(CliError::Told(format!("cannot look user {user} up: {error}"))),
    }
}

/// What was plugged, as a sentence.
pub fn plugged(report: &PlugReport) -> String {
    let PlugReport { port, device, mac, .. } = report;
    let mut sentence = format!("port \"{port}\" is plugged: device {device}, MAC address {mac}");
    if let Some(mtu) = report.mtu {
        // Strings take everything.
        let _ = write!(sentence, ", MTU {mtu}");
    }
    if report.expected {
        sentence.push_str("; its VM runs on another host, and all are ready for it to come here");
    } else if report.claimed {
        sentence.push_str("; it is this host's now");
    }
    sentence
}

fn tell(report: &UnplugReport, output: Output, streams: &mut Streams<'_>) -> Result<(), CliError> {
    for note in &report.notes {
        streams.note(&format!("note: {note}"))?;
    }
    let names: Vec<&str> = report.removed.iter().map(model::Name::as_str).collect();
    let sentence = match names.as_slice() {
        [] => "nothing was there to unplug".to_owned(),
        [one] => format!("device {one} is unplugged"),
        all => format!("devices {} are unplugged", all.join(", ")),
    };
    show(report, &sentence, &names.join("\n"), output, streams)
}

fn show(
    report: &impl Serialize,
    sentence: &str,
    name: &str,
    output: Output,
    streams: &mut Streams<'_>,
) -> Result<(), CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::Render(error.to_string());
    let text = match output {
        Output::Table | Output::Wide => sentence.to_owned(),
        Output::Name => name.to_owned(),
        Output::Json => serde_json::to_string_pretty(report).map_err(|error| failed(&error))?,
        Output::Yaml => serde_saphyr::to_string(report).map_err(|error| failed(&error))?.trim_end().to_owned(),
    };
    if text.is_empty() { Ok(()) } else { streams.print(&format!("{text}\n")) }
}
