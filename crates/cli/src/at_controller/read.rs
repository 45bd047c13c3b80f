//! `get`, `describe` and `status` at a controller.

use model::fabric::Kind;

use super::{Controller, access, accounts, asking};
use crate::CliError;
use crate::args::{Describe, Get, OfFlows, Output, Target};
use crate::render::{self, fabric};
use crate::run::Streams;

/// `netvirt get`.
pub fn get(controller: &Controller, get: &Get, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let Some(kind) = get.target.fabric_kind() else {
        return match get.target {
            Target::User => accounts::users(controller, &get.names, streams),
            Target::Audit => access::audit(controller, get, streams),
            Target::Counters => asking::counters(controller, get, streams),
            Target::Leases => asking::leases(controller, get, streams),
            Target::Tunnels => asking::tunnels(controller, get, streams),
            _ => access::tokens(controller, &get.names, streams),
        };
    };
    let items = controller.fetch(kind, &get.names)?;
    let text = match (controller.output, get.names.as_slice(), items.as_slice()) {
        (Output::Json, [_], [item]) => render::json(item)?,
        (Output::Json, ..) => render::json(&items)?,
        (Output::Yaml, ..) => fabric::resources(&items)?,
        (Output::Name, ..) => items.iter().map(|item| format!("{kind}/{}\n", item.name)).collect(),
        (_, _, []) => return streams.note(&controller.nothing(kind)),
        _ => fabric::items(kind, &items, controller.wide(), controller.all_tenants),
    };
    streams.print(&text)
}

/// `netvirt describe`.
pub fn describe(controller: &Controller, describe: &Describe, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let tables = matches!(controller.output, Output::Table | Output::Wide);
    let Some(kind) = describe.target.fabric_kind().filter(|_| tables) else {
        let get = Get {
            target: describe.target,
            names: describe.names.clone(),
            watch: false,
            limit: None,
            flows: OfFlows::default(),
        };
        return self::get(controller, &get, streams);
    };
    let items = controller.fetch(kind, &describe.names)?;
    if items.is_empty() {
        return streams.note(&controller.nothing(kind));
    }
    let mut texts: Vec<String> = items.iter().map(fabric::describe).collect();
    if kind == Kind::Host {
        for (text, item) in texts.iter_mut().zip(&items) {
            text.push_str(&asking::word_of_host(controller, &item.name)?);
        }
    }
    streams.print(&texts.join("\n"))
}

/// `netvirt status`.
pub fn status(controller: &Controller, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let status = controller.client.status()?;
    let text = match controller.output {
        Output::Json => render::json(&status)?,
        Output::Yaml => render::yaml(&status)?,
        Output::Table | Output::Wide => fabric::status(controller.client.url(), &status),
        Output::Name => format!("{}\n", controller.client.url()),
    };
    streams.print(&text)
}
