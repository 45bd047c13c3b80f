//! How looks what hosts say through the controller.

use std::fmt::Write;

use api::fabric::{HostReport, Lease, PortTraffic, Trace, Tunnel};
use model::fabric::ResourceName;

use super::{headings, or_none};
use crate::render::flows::amount;
use crate::render::{self, NONE, Table};

/// Rows, each with its owner in front if there is one.
fn owned(tenant: Option<&ResourceName>, row: Vec<String>) -> Vec<String> {
    tenant.map(ToString::to_string).into_iter().chain(row).collect()
}

fn header(with_tenants: bool, words: &[&str]) -> Vec<String> {
    headings(if with_tenants { &["TENANT"] } else { &[] }).into_iter().chain(headings(words)).collect()
}

/// A table of what passed ports; wide with what was dropped for which reason.
pub fn counters(ports: &[(Option<&ResourceName>, &PortTraffic)], wide: bool) -> String {
    let mut words = vec!["PORT", "SENT", "RECEIVED", "DROPPED"];
    if wide {
        words.push("REASONS");
    }
    let row = |(tenant, port): &(Option<&ResourceName>, &PortTraffic)| {
        let mut row = vec![
            port.port.to_string(),
            amount(port.sent_packets, port.sent_bytes),
            amount(port.received_packets, port.received_bytes),
            port.dropped().to_string(),
        ];
        if wide {
            let reasons: Vec<_> = port.drops.iter().map(|drop| format!("{} {}", drop.packets, drop.reason)).collect();
            row.push(if reasons.is_empty() { NONE.to_owned() } else { reasons.join(", ") });
        }
        owned(*tenant, row)
    };
    let with_tenants = ports.iter().any(|(tenant, _)| tenant.is_some());
    Table::new(header(with_tenants, &words)).render(ports.iter().map(row).collect(), true)
}

/// A table of leases.
pub fn leases(leases: &[(Option<&ResourceName>, &Lease)]) -> String {
    let row = |(tenant, lease): &(Option<&ResourceName>, &Lease)| {
        let row = vec![
            lease.address.to_string(),
            lease.port.to_string(),
            lease.mac.to_string(),
            format!("{:?}", lease.state),
            lease.since.clone(),
            or_none(lease.until.as_ref()),
        ];
        owned(*tenant, row)
    };
    let with_tenants = leases.iter().any(|(tenant, _)| tenant.is_some());
    let words = ["ADDRESS", "PORT", "MAC", "STATE", "SINCE", "UNTIL"];
    Table::new(header(with_tenants, &words)).render(leases.iter().map(row).collect(), true)
}

/// A table of tunnels.
pub fn tunnels(tunnels: &[Tunnel]) -> String {
    let row = |tunnel: &Tunnel| {
        vec![
            tunnel.remote.to_string(),
            or_none(tunnel.host.as_ref()),
            tunnel.flows.to_string(),
            amount(tunnel.sent_packets, tunnel.sent_bytes),
            amount(tunnel.received_packets, tunnel.received_bytes),
        ]
    };
    Table::new(headings(&["REMOTE", "HOST", "FLOWS", "SENT", "RECEIVED"]))
        .render(tunnels.iter().map(row).collect(), true)
}

/// A trace from host to host.
pub fn trace(trace: &Trace) -> String {
    let mut out = String::new();
    for (index, leg) in trace.legs.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        // Writing into a String cannot fail.
        let _ = match (&leg.host, index) {
            (Some(host), _) => writeln!(out, "On host {host}:"),
            (None, 0) => writeln!(out, "On the host of the port:"),
            (None, _) => writeln!(out, "On the next host:"),
        };
        out.push_str(&render::trace(&leg.report));
    }
    if let Some(why) = &trace.unfinished {
        let _ = writeln!(out, "\nHow it goes on is not known: {why}");
    }
    out
}

/// What a host says of itself.
pub fn host_report(report: &HostReport) -> String {
    let mut out = format!("The host itself:\n{}", render::status(&report.status));
    let uplink = &report.uplink;
    let (sent, received) =
        (amount(uplink.sent_packets, uplink.sent_bytes), amount(uplink.received_packets, uplink.received_bytes));
    let _ = writeln!(out, "Over all uplinks:    sent {sent}, received {received}");
    if !report.drops.is_empty() {
        let _ = writeln!(out, "Drops:\n{}", render::drops(&report.drops, true).trim_end());
    }
    out
}
