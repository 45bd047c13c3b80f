//! All there is to know of one resource of a controller, or of the controller itself, one line a field.

use std::fmt::Write;

use api::fabric::{ControllerStatus, Item, PortDevice};
use serde_json::Value;

use super::columns;
use crate::render::NONE;
use crate::render::columns::{limit, rule, text};
use crate::render::describe::{label, line, sentences};

/// One resource.
pub fn describe(item: &Item) -> String {
    let mut out = String::new();
    line(&mut out, 0, "Name", item.name.as_str());
    line(&mut out, 0, "Kind", item.kind.as_str());
    if let Some(tenant) = &item.tenant {
        line(&mut out, 0, "Tenant", tenant.as_str());
    }
    line(&mut out, 0, "Created", &item.created);
    line(&mut out, 0, "Revision", &item.revision.to_string());
    line(&mut out, 0, "UID", &item.uid.to_string());
    out.push_str("Declared:\n");
    match item.spec.as_object() {
        Some(fields) if !fields.is_empty() => fields.iter().for_each(|(field, value)| tree(&mut out, 2, field, value)),
        _ => out.push_str("  nothing\n"),
    }
    out.push_str("Status:\n");
    status_lines(&mut out, item);
    sentences(&mut out, "Findings", &item.status.findings);
    out
}

/// A field with all that is in it.
fn tree(out: &mut String, indent: usize, field: &str, value: &Value) {
    if let Some(limit) = limit(value) {
        return line(out, indent, &label(field), &limit);
    }
    match value {
        Value::Object(fields) => {
            // Writing into a String cannot fail.
            let _ = writeln!(out, "{:indent$}{}:", "", label(field));
            fields.iter().for_each(|(field, value)| tree(out, indent + 2, field, value));
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            let _ = writeln!(out, "{:indent$}{}:", "", label(field));
            for element in list {
                let _ = writeln!(out, "{:indent$}  - {}", "", inline(element));
            }
        }
        value => line(out, indent, &label(field), &text(Some(value))),
    }
}

/// An object in one line.
fn inline(value: &Value) -> String {
    if let Some(rule) = rule(value) {
        return rule;
    }
    match value {
        Value::Object(fields) => {
            let parts: Vec<String> =
                fields.iter().map(|(field, value)| format!("{}: {}", label(field), inline(value))).collect();
            parts.join("; ")
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            list.iter().map(|value| format!("({})", inline(value))).collect::<Vec<_>>().join(", ")
        }
        value => text(Some(value)),
    }
}

fn status_lines(out: &mut String, item: &Item) {
    let status = &item.status;
    let allocation = &status.allocation;
    let mut any = false;
    let mut show = |label: &str, value: Option<String>| {
        if let Some(value) = value {
            line(out, 2, label, &value);
            any = true;
        }
    };
    let list = |values: Vec<String>| (!values.is_empty()).then(|| values.join(", "));
    show("State", status.connected.map(|_| columns::connection(item)));
    show("Version", status.version.clone());
    show("Last Seen", status.last_seen.clone());
    show("Provider Addresses", list(allocation.provider_addresses.iter().map(ToString::to_string).collect()));
    show("RDID", allocation.rdid.map(|rdid| rdid.to_string()));
    show("VSID", allocation.vsid.map(|vsid| vsid.to_string()));
    show("Gateways", list(status.gateways.iter().map(ToString::to_string).collect()));
    show("Used", status.total.map(|_| columns::usage(item)));
    show("Addresses Used", (!status.families.is_empty()).then(|| columns::family_usage(item)));
    show("VM Subnet", allocation.vm_subnet.as_ref().map(ToString::to_string));
    show("Addresses", list(allocation.addresses.iter().map(ToString::to_string).collect()));
    show("Learnt", list(allocation.learnt.iter().map(ToString::to_string).collect()));
    show("MAC", allocation.mac.map(|mac| mac.to_string()));
    if let Some(own) = &status.connection {
        show("State", Some(own.state.as_str().to_owned()));
        show("Reason", own.reason.clone());
        show("Active Host", Some(own.host.to_string()));
        show("Standby Hosts", list(own.standby.iter().map(ToString::to_string).collect()));
        show("Gateway Subnet VSID", Some(own.vsid.to_string()));
        show("External Addresses", Some(columns::external(item)));
        if let Some(report) = &own.report {
            show("Carried By", list(report.carriers.clone()));
            show("Public Key", report.public_key.clone());
            show("Learnt Prefixes", list(report.learnt.iter().map(ToString::to_string).collect()));
            show("Connections Now", report.sessions.map(|number| number.to_string()));
            show("Connections Refused", (report.refused > 0).then(|| report.refused.to_string()));
            show("Bytes In / Out", Some(format!("{} / {}", report.received_bytes, report.sent_bytes)));
        }
    }
    for host in &status.gateway_hosts {
        let work = format!("active for {} VM networks, standby for {}", host.active, host.standby);
        let trouble = host.trouble.as_ref().map(|trouble| format!("; {trouble}")).unwrap_or_default();
        show(&format!("Host {}", host.host), Some(format!("{work}{trouble}")));
    }
    if let Some(given) = &allocation.gateway {
        show("Gateway", Some(format!("{}, active host {}", given.gateway, given.host)));
        show("Gateway Subnet", list(given.prefixes.iter().map(ToString::to_string).collect()));
    }
    let device = status.device.map(|device| match device {
        PortDevice::Bound => "bound",
        PortDevice::Missing => "missing on its host",
        PortDevice::Unknown => "unknown: its host has not said yet",
    });
    show("Device", device.map(str::to_owned));
    let realized = status.realized.as_ref();
    show("Realized", realized.map(|realized| format!("on {} of {} hosts", realized.hosts, realized.of)));
    if !any {
        let _ = writeln!(out, "  {NONE}");
    }
    let waiting = realized.map_or(&[][..], |realized| realized.waiting_for.as_slice());
    if !waiting.is_empty() {
        out.push_str("  Waiting For:\n");
        for host in waiting {
            let _ = writeln!(out, "    - {}: {}", host.host, host.reason);
        }
    }
}

/// The controller itself.
pub fn status(url: &str, status: &ControllerStatus) -> String {
    let mut out = String::new();
    line(&mut out, 0, "Controller", url);
    line(&mut out, 0, "Version", &format!("netvirt {}", status.version));
    line(&mut out, 0, "Started", &status.started);
    line(&mut out, 0, "Revision", &status.revision.to_string());
    line(&mut out, 0, "Store (bytes)", &status.store_bytes.to_string());
    line(&mut out, 0, "Connected Hosts", &status.connected_hosts.to_string());
    out.push_str("Resources:\n");
    for (kind, count) in &status.resources {
        line(&mut out, 2, kind, &count.to_string());
    }
    out
}
