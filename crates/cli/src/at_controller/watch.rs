//! `watch` and `get --watch` at a controller: a list, and then a stream of what changes.

use std::time::Duration;

use api::ProblemType;
use api::fabric::{EventKind, Item, WatchQuery};
use model::fabric::Kind;

use super::Controller;
use crate::CliError;
use crate::args::Watch;
use crate::render::fabric::Watcher;
use crate::run::Streams;

/// How long the stream may be silent before it is looked whether anybody still reads the output.
const GLANCE: Duration = Duration::from_millis(250);

/// Shows what there is, and then what changes, until interrupted or until nobody reads it.
pub fn watch(controller: &Controller, watch: &Watch, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let Some(kind) = watch.target.fabric_kind() else {
        let sentence = format!("{} cannot be watched; ask with \"netvirt get\"", watch.target.as_str());
        return Err(CliError::Usage(sentence));
    };
    let mut watcher = Watcher::new(kind, controller.output, controller.all_tenants);
    // A name that is not there yet may come; one that cannot be never will.
    for name in &watch.names {
        controller.key(kind, name)?;
    }
    loop {
        match follow(controller, kind, watch, &mut watcher, streams) {
            // The past that is missing is in the next list.
            Err(CliError::Fabric(error))
                if error.problem().is_some_and(|problem| problem.problem_type == ProblemType::Gone) => {}
            end => return end,
        }
    }
}

/// One list and the stream behind it.
fn follow(
    controller: &Controller,
    kind: Kind,
    watch: &Watch,
    watcher: &mut Watcher,
    streams: &mut Streams<'_>,
) -> Result<(), CliError> {
    let wanted = |item: &Item| watch.names.is_empty() || watch.names.iter().any(|name| item.name.as_str() == name);
    let owner = controller.owner(kind);
    let mut page = controller.client.list_all(kind, owner)?;
    page.items.retain(wanted);
    streams.print(&watcher.list(&page.items)?)?;
    let query = WatchQuery { kind: Some(kind), tenant: owner.cloned(), name: None, from: Some(page.revision) };
    let mut events = controller.client.watch(&query)?;
    let mut silent = false;
    loop {
        let event = events.next(GLANCE)?;
        // What happened meanwhile is told when it is back: only the wait is to be explained.
        let trouble = events.trouble();
        match (&trouble, silent) {
            (Some(reason), false) => streams.note(&format!("warning: {reason}; asking again until it answers"))?,
            (None, true) => streams.note("note: the controller answers again")?,
            _ => {}
        }
        silent = trouble.is_some();
        let text = match event {
            None if (streams.reader_gone)(Duration::ZERO) => return Ok(()),
            None => continue,
            Some(event) if !wanted(&event.item) => continue,
            Some(event) if event.event == EventKind::Deleted => watcher.gone(&event.item)?,
            Some(event) => watcher.seen(&event.item)?,
        };
        if !text.is_empty() {
            streams.print(&text)?;
        }
    }
}
