//! What only the host itself knows: drift, findings, drops, traffic.

use api::fabric::{HostReport, Tunnels};
use api::{DropCounter, HostStatus, Problem, UplinkStatus};
use maud::{Markup, html};

use super::super::picture;
use super::super::pieces::{self, bytes, number};
use crate::context::View;
use crate::texts::common::*;
use crate::texts::fabric::*;

/// Most drops in the table: those of which there are most.
const DROPS_SHOWN: usize = 100;

/// What the host said; or why it did not.
pub fn said(view: &View<'_>, said: &Result<HostReport, Problem>) -> Markup {
    html! {
        h2 { (view.t(SAID_BY_HOST)) }
        @match said {
            Ok(report) => {
                (facts(view, &report.status))
                (uplinks(view, &report.status.uplinks))
                h3 { (view.t(FINDINGS)) }
                (pieces::sentences(view, &report.status.findings, NO_DRIFT))
                h3 { (view.t(DRIFT)) }
                (pieces::sentences(view, &report.status.drift, NO_DRIFT))
                h3 { (view.t(UPLINK_TRAFFIC)) }
                dl.facts {
                    dt { (view.t(SENT)) } dd { (traffic(view, report.uplink.sent_packets, report.uplink.sent_bytes)) }
                    dt { (view.t(RECEIVED)) }
                    dd { (traffic(view, report.uplink.received_packets, report.uplink.received_bytes)) }
                }
                h3 { (view.t(DROPS)) }
                (drops(view, &report.drops))
            }
            Err(problem) => {
                div.away role="status" { p { (view.t(HOST_AWAY)) } p { (problem.detail) } }
            }
        }
    }
}

fn traffic(view: &View<'_>, packets: u64, count: u64) -> String {
    view.tf(PACKETS_BYTES, &[&number(packets), &bytes(count)])
}

fn facts(view: &View<'_>, status: &HostStatus) -> Markup {
    let controller = status.controller.as_ref();
    html! {
        dl.facts {
            dt { (view.t(AGENT_VERSION)) } dd { (status.version) }
            dt { (view.t(AGENT_STARTED)) } dd { (pieces::time(&status.started)) }
            dt { (view.t(BOUND_PORTS)) }
            dd { (view.tf(USED_OF, &[&number(status.bound_ports as u64), &number(status.ports as u64)])) }
            dt { (view.t(RECORDS)) } dd { (number(status.records as u64)) }
            dt { (view.t(ROUTES)) } dd { (number(status.routes as u64)) }
            @if let Some(revision) = controller.and_then(|controller| controller.revision) {
                dt { (view.t(IN_FORCE_UP_TO)) } dd { (number(revision)) }
            }
            @if let Some(problem) = controller.and_then(|controller| controller.problem.as_ref()) {
                dt { (view.t(CONTROLLER)) } dd { (problem) }
            }
        }
    }
}

fn uplinks(view: &View<'_>, uplinks: &[UplinkStatus]) -> Markup {
    let row = |uplink: &UplinkStatus| {
        html! {
            th scope="row" { (uplink.interface) }
            td { (pieces::joined(&uplink.addresses)) }
            td.number { (uplink.mtu) }
        }
    };
    let rows: Vec<Markup> = uplinks.iter().map(row).collect();
    pieces::table(view, UPLINKS, &[INTERFACE, ADDRESSES, MTU], &rows, NOTHING)
}

fn drops(view: &View<'_>, drops: &[DropCounter]) -> Markup {
    let mut drops: Vec<&DropCounter> = drops.iter().filter(|drops| drops.packets > 0).collect();
    drops.sort_by_key(|drops| std::cmp::Reverse(drops.packets));
    let row = |drops: &&DropCounter| {
        html! {
            th scope="row" { (drops.port) }
            td { (drops.reason) } td { (drops.explanation) } td.number { (number(drops.packets)) }
        }
    };
    let rows: Vec<Markup> = drops.iter().take(DROPS_SHOWN).map(row).collect();
    let reasons = drops.iter().map(|drops| (drops.reason.as_str(), drops.explanation.as_str(), drops.packets));
    html! {
        (picture::drops(view, reasons))
        (pieces::table(view, DROPS, &[PORTS, REASON, DESCRIPTION, PACKETS], &rows, NO_DROPS))
        @if drops.len() > DROPS_SHOWN { p.hint { (view.tf(ONLY_FIRST, &[&DROPS_SHOWN.to_string()])) } }
    }
}

/// The host's traffic with each of its peers.
pub fn tunnels(view: &View<'_>, tunnels: &Result<Tunnels, Problem>) -> Markup {
    let row = |tunnel: &api::fabric::Tunnel| {
        html! {
            th scope="row" {
                @if let Some(host) = &tunnel.host { (pieces::host_link(host)) " " }
                (tunnel.remote)
            }
            td.number { (number(tunnel.flows)) }
            td { (traffic(view, tunnel.sent_packets, tunnel.sent_bytes)) }
            td { (traffic(view, tunnel.received_packets, tunnel.received_bytes)) }
        }
    };
    html! {
        h2 { (view.t(TUNNELS)) }
        @match tunnels {
            Ok(tunnels) => {
                p.hint { (view.t(TUNNELS_HINT)) " " a href="" { (view.t(LOOK_AGAIN)) } }
                @let rows: Vec<Markup> = tunnels.tunnels.iter().map(row).collect();
                (pieces::table(view, TUNNELS, &[PEER, FLOWS, SENT, RECEIVED], &rows, NO_TUNNELS))
            }
            Err(problem) => p.hint { (problem.detail) }
        }
    }
}
