//! All there is to know of one resource, or of a host, one line a field.

use std::fmt::Write;

use api::{ControllerStatus, DropCounter, HostStatus, Item};
use model::Kind;
use serde_json::Value;

use super::columns::{NONE, text};
use super::drops;

/// Width of the labels with the space behind them.
const LABEL_WIDTH: usize = 20;

/// The fields of a spec and of a status in the order in which they are shown, so that what is absent is shown too.
const fn fields(kind: Kind) -> (&'static [&'static str], &'static [&'static str]) {
    match kind {
        Kind::LookupRecord => (
            &[
                "vsid",
                "customerAddress",
                "mac",
                "providerAddress",
                "rule",
                "type",
                "vmName",
                "customerId",
                "context",
                "securityGroups",
            ],
            &["state", "local", "port"],
        ),
        Kind::CustomerRoute => (&["rdid", "vsid", "prefix", "nextHop", "metric"], &["state"]),
        Kind::ProviderAddress => (&["address", "interface", "prefixLength"], &["state", "ifindex", "mtu"]),
        Kind::ProviderRoute => (&["prefix", "nextHop", "interface", "metric"], &["state", "hosts"]),
        Kind::DhcpScope => (
            &["vsid", "physical", "prefix", "gateway", "dnsServers", "dnsSuffixes", "routes", "leaseTime"],
            &["state", "ports"],
        ),
        Kind::RoutingDomain => (&["rdid", "encapsulation", "limits"], &["state", "vsids"]),
        Kind::Gateway => (&["interface", "addresses", "nextHops", "address", "peers"], &["state", "compartments"]),
        Kind::Compartment => {
            (&["standby", "leaving", "inside", "outside", "connections"], &["state", "namespace", "connections"])
        }
        Kind::Migration => (&["vsid", "mac", "to", "from"], &["state", "at"]),
        Kind::Global => (&["externalRouter"], &["state"]),
        Kind::SecurityGroup => (&["ingressDefault", "egressDefault", "rules"], &["state", "ports"]),
        Kind::AddressSet => (&["prefixes"], &["state", "securityGroups"]),
        Kind::Port => (
            &["device", "mac", "vsid", "physical", "addresses", "securityGroups", "limits", "uid"],
            &["state", "ifindex", "mtu", "slot"],
        ),
    }
}

/// Fields that have fields of their own, each of which has a line.
const NESTED: [&str; 2] = ["inside", "outside"];

/// `customerAddress` as "Customer Address", abbreviations in capitals.
pub(super) fn label(field: &str) -> String {
    match field {
        "vsid" | "rdid" | "mac" | "vlan" => return field.to_uppercase(),
        "mtu" => return "MTU (bytes)".to_owned(),
        "uid" => return "UID".to_owned(),
        "vmName" => return "VM".to_owned(),
        "customerId" => return "Customer ID".to_owned(),
        "vmNetwork" => return "VM Network".to_owned(),
        "vmNetworks" => return "VM Networks".to_owned(),
        "vmSubnet" => return "VM Subnet".to_owned(),
        "vmSubnets" => return "VM Subnets".to_owned(),
        "ipPool" => return "IP Pool".to_owned(),
        "ipPools" => return "IP Pools".to_owned(),
        "dnsServers" => return "DNS Servers".to_owned(),
        "dnsSuffixes" => return "DNS Suffixes".to_owned(),
        "ifindex" => return "Interface Index".to_owned(),
        "vsids" => return "VSIDs".to_owned(),
        "slot" => return "Counter Slot".to_owned(),
        _ => {}
    }
    let mut words = String::new();
    for (position, letter) in field.chars().enumerate() {
        if letter.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(if position == 0 { letter.to_ascii_uppercase() } else { letter });
    }
    words
}

/// A line of several with one label.
fn entry(out: &mut String, indent: usize, label: &str, value: &str) {
    if label.is_empty() {
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{:LABEL_WIDTH$} {value}", "");
    } else {
        line(out, indent, label, value);
    }
}

pub(super) fn line(out: &mut String, indent: usize, label: &str, value: &str) {
    let label = format!("{:indent$}{label}:", "");
    // Writing into a String cannot fail.
    let _ = writeln!(out, "{label:LABEL_WIDTH$} {value}");
}

/// The known fields in their order, then whatever a later version added.
fn section(out: &mut String, indent: usize, known: &[&str], values: &Value, hidden: &[&str]) {
    for field in known {
        if let Some(list) = values.get(field).and_then(Value::as_array).filter(|list| list.iter().any(Value::is_object))
        {
            // One line each.
            let labels = std::iter::once(label(field)).chain(std::iter::repeat(String::new()));
            for (label, value) in labels.zip(list) {
                entry(out, indent, &label, &text(Some(value)));
            }
            continue;
        }
        if let Some(parts) = values.get(field).and_then(Value::as_object).filter(|_| NESTED.contains(field)) {
            // Writing into a String cannot fail.
            let _ = writeln!(out, "{:indent$}{}:", "", label(field));
            for (part, value) in parts {
                line(out, indent + 2, &label(part), &text(Some(value)));
            }
            continue;
        }
        line(out, indent, &label(field), &text(values.get(field)));
    }
    let others = values.as_object().into_iter().flatten();
    for (field, value) in
        others.filter(|(field, _)| !known.contains(&field.as_str()) && !hidden.contains(&field.as_str()))
    {
        line(out, indent, &label(field), &text(Some(value)));
    }
}

/// One resource; of a port with what was dropped at it.
pub fn describe(item: &Item, all_drops: &[DropCounter]) -> String {
    let (spec, status) = fields(item.kind);
    let mut out = String::new();
    line(&mut out, 0, "Name", &item.name);
    line(&mut out, 0, "Kind", item.kind.as_str());
    section(&mut out, 0, spec, &item.spec, &[]);
    out.push_str("Status:\n");
    section(&mut out, 2, status, &item.status, &["counters", "leases"]);
    leases(&mut out, &item.status);
    let Some(counters) = item.status.get("counters") else {
        return out;
    };
    let count = |field: &str| counters.get(field).and_then(Value::as_u64).unwrap_or_default();
    let traffic = |packets: &str, bytes: &str| format!("{} packets, {} bytes", count(packets), count(bytes));
    out.push_str("Traffic:\n");
    line(&mut out, 2, "From the VM", &traffic("rxPackets", "rxBytes"));
    line(&mut out, 2, "To the VM", &traffic("txPackets", "txBytes"));
    line(&mut out, 2, "Dropped", &format!("{} packets", count("drops")));
    let own: Vec<DropCounter> = all_drops.iter().filter(|drop| drop.port == item.name).cloned().collect();
    if !own.is_empty() {
        out.push_str("Drops:\n");
        for row in drops(&own, true).lines() {
            let _ = writeln!(out, "  {row}");
        }
    }
    out
}

/// What DHCP last said to a port.
fn leases(out: &mut String, status: &Value) {
    for lease in status.get("leases").and_then(Value::as_array).into_iter().flatten() {
        let state = text(lease.get("state")).to_lowercase();
        line(
            out,
            2,
            "DHCP Lease",
            &format!("{}, {state} since {}", text(lease.get("address")), text(lease.get("since"))),
        );
    }
}

/// A host.
pub fn status(status: &HostStatus) -> String {
    let mut out = String::new();
    line(&mut out, 0, "Host", &status.name);
    line(&mut out, 0, "Agent", &format!("netvirt {}, process {}", status.version, status.pid));
    line(&mut out, 0, "Started", &status.started);
    if let Some(controller) = &status.controller {
        line(&mut out, 0, "Controller", &controller_words(controller));
    }
    if status.uplinks.is_empty() {
        line(&mut out, 0, "Uplinks", NONE);
    }
    for uplink in &status.uplinks {
        let addresses: Vec<String> = uplink.addresses.iter().map(ToString::to_string).collect();
        let value = format!("{}, MTU {} bytes, {}", uplink.interface, uplink.mtu, addresses.join(", "));
        line(&mut out, 0, "Uplink", &value);
    }
    line(&mut out, 0, "Ports", &format!("{}, {} bound", status.ports, status.bound_ports));
    line(&mut out, 0, "Lookup Records", &status.records.to_string());
    line(&mut out, 0, "Customer Routes", &status.routes.to_string());
    sentences(&mut out, "Drift at the start", &status.drift);
    sentences(&mut out, "Findings", &status.findings);
    out
}

/// How the host stands with the controller that it has joined.
fn controller_words(controller: &ControllerStatus) -> String {
    let revision = match controller.revision {
        Some(revision) => format!("revision {revision} in force"),
        None => "nothing heard yet".to_owned(),
    };
    match (controller.connected, &controller.problem) {
        (true, _) => format!("{}, connected, {revision}", controller.address),
        (false, None) => format!("{}, connecting, {revision}", controller.address),
        (false, Some(problem)) => format!("{}, not connected, {revision}: {problem}", controller.address),
    }
}

/// Sentences under a label, one a line.
pub(super) fn sentences(out: &mut String, label: &str, sentences: &[String]) {
    if sentences.is_empty() {
        return line(out, 0, label, NONE);
    }
    let _ = writeln!(out, "{label}:");
    for sentence in sentences {
        let _ = writeln!(out, "  - {sentence}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_words() {
        for (field, words) in [
            ("customerAddress", "Customer Address"),
            ("vsid", "VSID"),
            ("type", "Type"),
            ("prefixLength", "Prefix Length"),
        ] {
            assert_eq!(label(field), words);
        }
    }

    #[test]
    fn a_host_says_how_it_stands_with_its_controller() {
        let words = |connected, revision, problem: Option<&str>| {
            let problem = problem.map(str::to_owned);
            controller_words(&ControllerStatus { address: "c:7444".into(), connected, revision, problem })
        };
        assert_eq!(words(true, Some(7), None), "c:7444, connected, revision 7 in force");
        assert_eq!(words(false, None, None), "c:7444, connecting, nothing heard yet");
        assert_eq!(words(false, Some(7), Some("it is gone")), "c:7444, not connected, revision 7 in force: it is gone");
    }
}
