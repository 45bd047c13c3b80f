//! `netvirt get flows`: the flows that a host knows, filtered.

use api::{Client, FlowFilter, FlowItem, FlowList};

use crate::args::{Get, OfFlows, Output};
use crate::error::CliError;
use crate::render;
use crate::run::Streams;

/// Shows them; the names are those of ports, one at most.
pub fn get(get: &Get, client: &Client, output: Output, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let ([] | [_]) = get.names.as_slice() else {
        return Err(CliError::Usage("of flows name one port at most; leave the others out".to_owned()));
    };
    let OfFlows { protocol, address, service, state } = get.flows.clone();
    let port = get.names.first().cloned();
    let list = client.flows(&FlowFilter { port, protocol, address, service, state, limit: get.limit })?;
    let text = match output {
        Output::Json => render::json(&list)?,
        Output::Yaml => render::yaml(&list)?,
        Output::Name => list.flows.iter().map(|flow| format!("{}\n", name(flow))).collect(),
        Output::Table | Output::Wide if list.flows.is_empty() => return streams.note(&nothing(&list)),
        Output::Table | Output::Wide => render::flows(&list.flows, output == Output::Wide),
    };
    streams.print(&text)?;
    let more = list.matching - list.flows.len();
    if more > 0 {
        streams.note(&format!("{more} more; see them with \"--limit {}\"", list.matching))?;
    }
    Ok(())
}

/// A flow in one word.
fn name(flow: &FlowItem) -> String {
    let FlowItem { port, protocol, local_port, remote_port, .. } = flow;
    format!("{port}/{protocol}/{}/{local_port}/{}/{remote_port}", flow.local, flow.remote)
}

fn nothing(list: &FlowList) -> String {
    match list.all {
        0 => "the host knows no flow".to_owned(),
        all => format!("none of the {all} flows that the host knows is such"),
    }
}
