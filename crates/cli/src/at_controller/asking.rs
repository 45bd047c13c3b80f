//! What the controller asks hosts: what passed ports, the addresses that DHCP has given, tunnels, traces.

use std::collections::BTreeMap;

use api::fabric::asking::MAX_ASKED_PORTS;
use api::fabric::{ClientError, Lease, Leases, PortTraffic, Question, Traffic, Tunnels, Unanswered};
use api::{Problem, TraceRequest};
use model::fabric::{Key, Kind, ResourceName};
use serde::Serialize;

use super::Controller;
use crate::CliError;
use crate::args::{Get, Output};
use crate::render::{self, fabric};
use crate::run::Streams;

/// What is known of a tenant's, with whose it is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Owned<T> {
    tenant: ResourceName,
    #[serde(flatten)]
    of: T,
}

/// `netvirt get counters`.
pub fn counters(controller: &Controller, get: &Get, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let mut ports: BTreeMap<ResourceName, Vec<ResourceName>> = BTreeMap::new();
    for item in controller.fetch(Kind::Port, &get.names)? {
        ports.entry(item.tenant.unwrap_or_else(ResourceName::default_tenant)).or_default().push(item.name);
    }
    if ports.is_empty() {
        return streams.note(&controller.nothing(Kind::Port));
    }
    let (mut known, mut unanswered) = (Vec::new(), Vec::new());
    for (tenant, ports) in ports {
        for some in ports.chunks(MAX_ASKED_PORTS) {
            let question = Question::Counters { tenant: tenant.clone(), ports: some.to_vec() };
            match controller.client.ask(&question).and_then(|answer| Ok(answer.counters()?)) {
                Ok(Traffic { ports, unanswered: lacking }) => {
                    known.extend(ports.into_iter().map(|of| Owned { tenant: tenant.clone(), of }));
                    unanswered.extend(lacking);
                }
                Err(error) => unanswered.push(silent(error, some.to_vec())?),
            }
        }
    }
    let name = |port: &Owned<PortTraffic>| format!("port/{}\n", port.of.port);
    let table = |wide| {
        let rows: Vec<_> =
            known.iter().map(|port| (controller.all_tenants.then_some(&port.tenant), &port.of)).collect();
        fabric::counters(&rows, wide)
    };
    show(controller, &known, name, table, streams)?;
    all_said(known.is_empty(), unanswered, streams)
}

/// `netvirt get leases`; the names are those of VM subnets.
pub fn leases(controller: &Controller, get: &Get, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let subnets = controller.fetch(Kind::VmSubnet, &get.names)?;
    let (mut known, mut unanswered) = (Vec::new(), Vec::new());
    for subnet in subnets {
        let tenant = subnet.tenant.unwrap_or_else(ResourceName::default_tenant);
        let question = Question::Leases { tenant: tenant.clone(), vm_subnet: subnet.name };
        match controller.client.ask(&question).and_then(|answer| Ok(answer.leases()?)) {
            Ok(Leases { leases, unanswered: lacking }) => {
                known.extend(leases.into_iter().map(|of| Owned { tenant: tenant.clone(), of }));
                unanswered.extend(lacking);
            }
            Err(error) => unanswered.push(silent(error, Vec::new())?),
        }
    }
    if known.is_empty() && unanswered.is_empty() && controller.tables() {
        return streams.note("DHCP has given no address there since the hosts' agents started");
    }
    let name = |lease: &Owned<Lease>| format!("{}/{}\n", lease.of.port, lease.of.address);
    let table = |_| {
        let rows: Vec<_> =
            known.iter().map(|lease| (controller.all_tenants.then_some(&lease.tenant), &lease.of)).collect();
        fabric::leases(&rows)
    };
    show(controller, &known, name, table, streams)?;
    all_said(known.is_empty(), unanswered, streams)
}

/// `netvirt get tunnels`; the names are those of hosts.
pub fn tunnels(controller: &Controller, get: &Get, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let [host] = get.names.as_slice() else {
        let sentence = "tunnels are looked for in all flows of a host, so name one: \"netvirt get tunnels HOST\"";
        return Err(CliError::Usage(sentence.to_owned()));
    };
    let host: ResourceName = host.parse().map_err(|error| CliError::Usage(format!("{error}")))?;
    let Tunnels { tunnels } =
        controller.client.ask(&Question::Tunnels { host })?.tunnels().map_err(ClientError::from)?;
    if tunnels.is_empty() && controller.tables() {
        return streams.note("no flow of the host goes to another host now");
    }
    show(controller, &tunnels, |tunnel| format!("{}\n", tunnel.remote), |_| fabric::tunnels(&tunnels), streams)
}

/// `netvirt trace`: from host to host.
pub fn trace(controller: &Controller, packet: TraceRequest, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let Key { tenant, .. } = controller.key(Kind::Port, &packet.from)?;
    let question = Question::Trace { tenant: tenant.unwrap_or_else(ResourceName::default_tenant), packet };
    let trace = controller.client.ask(&question)?.trace().map_err(ClientError::from)?;
    let text = match controller.output {
        Output::Json => render::json(&trace)?,
        Output::Yaml => render::yaml(&trace)?,
        Output::Name => trace.legs.last().map(|leg| format!("{}\n", leg.report.verdict)).unwrap_or_default(),
        Output::Table | Output::Wide => fabric::trace(&trace),
    };
    streams.print(&text)
}

/// What a host says of itself, behind what the controller knows of it; why it says nothing, if it does not.
pub fn word_of_host(controller: &Controller, host: &ResourceName) -> Result<String, CliError> {
    match controller.client.ask(&Question::Host { host: host.clone() }).and_then(|answer| Ok(answer.host()?)) {
        Ok(report) => Ok(fabric::host_report(&report)),
        Err(ClientError::Refused(problem)) => Ok(format!("The host itself:\n  {problem}\n")),
        Err(error) => Err(error.into()),
    }
}

/// What is said where a host does not answer; any other error is one.
fn silent(error: ClientError, ports: Vec<ResourceName>) -> Result<Unanswered, CliError> {
    match error.problem().filter(|problem| problem.problem_type == api::ProblemType::Unavailable) {
        Some(Problem { detail, .. }) => Ok(Unanswered { ports, reason: detail.clone() }),
        None => Err(error.into()),
    }
}

fn show<T: Serialize>(
    controller: &Controller,
    known: &[T],
    name: impl Fn(&T) -> String,
    table: impl FnOnce(bool) -> String,
    streams: &mut Streams<'_>,
) -> Result<(), CliError> {
    let text = match controller.output {
        Output::Json => render::json(&known)?,
        Output::Yaml => render::yaml(&known)?,
        Output::Name => known.iter().map(name).collect(),
        Output::Table | Output::Wide if known.is_empty() => return Ok(()),
        Output::Table | Output::Wide => table(controller.wide()),
    };
    streams.print(&text)
}

/// Says what is missing. If that is everything, the command has failed.
fn all_said(nothing: bool, unanswered: Vec<Unanswered>, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let sentences = unanswered.into_iter().map(|Unanswered { ports, reason }| {
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        if ports.is_empty() { reason } else { format!("port {}: {reason}", ports.join(", ")) }
    });
    let sentences: Vec<String> = sentences.collect();
    if nothing && !sentences.is_empty() {
        return Err(ClientError::from(Problem::unavailable(sentences.join("; "))).into());
    }
    sentences.iter().try_for_each(|sentence| streams.note(&format!("warning: {sentence}")))
}
