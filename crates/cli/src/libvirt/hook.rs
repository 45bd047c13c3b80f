//! What libvirt's hook for QEMU does: before a domain is started its ports are plugged, and when it has gone unplugged.
//!
//! libvirt waits for the hook, and the hook may ask it nothing. What it prints as an error, libvirt's own error repeats. On
//! standard output it says nothing: that would be a domain's XML when one comes by migration.

use std::io::Read as _;

use api::{Client, PlugReport, PlugRequest, UnplugRequest};

use super::domain::{self, Interface};
use crate::CliError;
use crate::args::Hook;
use crate::run::Streams;

/// Most bytes of a domain's XML that are read.
const MAX_XML: u64 = 16 << 20;

/// Carries out one operation of libvirt's.
pub fn run(hook: &Hook, client: &Client, streams: &mut Streams<'_>) -> Result<(), CliError> {
    match hook.operation.as_str() {
        "prepare" => plug_all(&ports(hook, streams)?, client),
        // The VM runs: a hook that fails here has libvirt kill it.
        "reconnect" | "attach" => {
            let plugged = ports(hook, streams).and_then(|ports| plug_all(&ports, client));
            plugged.or_else(|error| streams.note(&format!("warning: domain {}: {error}", hook.domain)))
        }
        "release" => unplug_all(&ports(hook, streams)?, client, streams),
        // Between these two nothing is to be done, and libvirt may have more operations some day.
        _ => Ok(()),
    }
}

fn ports(hook: &Hook, streams: &mut Streams<'_>) -> Result<Vec<Interface>, CliError> {
    let mut xml = String::new();
    let read = streams.input.take(MAX_XML).read_to_string(&mut xml);
    read.map_err(|error| CliError::Told(format!("domain {}: its XML cannot be read: {error}", hook.domain)))?;
    domain::interfaces(&xml).map_err(|error| CliError::Told(format!("domain {}: {error}", hook.domain)))
}

/// All, or none that was not plugged before.
fn plug_all(ports: &[Interface], client: &Client) -> Result<(), CliError> {
    let mut made = Vec::new();
    for port in ports {
        if let Err(error) = plug(port, client, &mut made) {
            for port in made {
                // The first error is the one to tell.
                let _ = client.unplug(&UnplugRequest { port: Some(port), existing: false, force: false });
            }
            return Err(error);
        }
    }
    Ok(())
}

fn plug(port: &Interface, client: &Client, made: &mut Vec<String>) -> Result<(), CliError> {
    let Interface { port: uuid, device, queues, .. } = port.clone();
    let report = client.plug(&PlugRequest { device, queues, ..PlugRequest::of(uuid) })?;
    if report.made || report.claimed {
        made.push(port.port.clone());
    }
    fits(port, &report).map_err(CliError::Told)
}

/// Whether the VM will use the device and the MAC address that its port has.
fn fits(port: &Interface, report: &PlugReport) -> Result<(), String> {
    let PlugReport { port: name, device, mac, .. } = report;
    if port.device.is_none() {
        return Err(format!(
            "the interface of port {name} has no target device; write <target dev='{device}' managed='no'/>"
        ));
    }
    match port.mac {
        Some(own) if own == *mac => Ok(()),
        own => {
            let own = own.map_or_else(|| "none".to_owned(), |own| own.to_string());
            let right = mac.to_string().replace('-', ":").to_lowercase();
            Err(format!(
                "interface {device} has MAC address {own}, but port {name} has {mac}, and drops what comes from another; write \
                 <mac address='{right}'/>"
            ))
        }
    }
}

/// As many as can be; the last error is told.
fn unplug_all(ports: &[Interface], client: &Client, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let mut result = Ok(());
    for port in ports {
        let request = UnplugRequest { port: Some(port.port.clone()), existing: false, force: false };
        match client.unplug(&request) {
            Ok(report) => {
                for note in report.notes {
                    streams.note(&format!("warning: {note}"))?;
                }
            }
            Err(error) => result = Err(error.into()),
        }
    }
    result
}
