//! Whether the interfaces that a gateway cannot do without have a carrier.

use std::collections::BTreeMap;
use std::time::Duration;

use host::{Link, LinkEvent, Netlink};
use model::gateway::GatewayLinks;

use super::state::Shared;

/// How often is looked whether it shall end, or who is to be looked at has changed.
const LOOK: Duration = Duration::from_millis(100);
/// A watch that has failed is begun anew after so long.
const RETRY: Duration = Duration::from_secs(1);

/// Watches until the end, and calls `changed` whenever a carrier comes or goes.
pub fn run(shared: &Shared, changed: &dyn Fn()) {
    while !shared.is_over() {
        if let Err(error) = watch(shared, changed) {
            tracing::warn!("the interfaces cannot be watched: {error}");
            shared.wait(RETRY);
        }
    }
}

fn watch(shared: &Shared, changed: &dyn Fn()) -> Result<(), host::Error> {
    let mut watch = Netlink::current()?.watch_links()?;
    let mut links: BTreeMap<u32, Link> = BTreeMap::new();
    let mut generation = None;
    while !shared.is_over() {
        let mut event = watch.next_within(LOOK)?;
        let heard = event.is_some();
        // Those that wait already are taken in together.
        while let Some(now) = event {
            match now {
                LinkEvent::Appeared(link) | LinkEvent::Changed(link) => {
                    links.insert(link.index, link);
                }
                LinkEvent::Gone(link) => {
                    links.remove(&link.index);
                }
            }
            event = watch.next_within(Duration::ZERO)?;
        }
        if links.is_empty() || (!heard && generation == Some(shared.read(|state| state.generation))) {
            continue;
        }
        let seen = shared.read(|state| {
            generation = Some(state.generation);
            let interface = state.interface.as_deref()?;
            let works = |link: &Link| link.up && link.carrier;
            let outside = links.values().any(|link| link.name == interface && works(link));
            let ours = |link: &&Link| link.addresses.iter().any(|net| Some(net.addr()) == state.address);
            let uplink = state.address.is_none() || links.values().filter(ours).any(works);
            Some(GatewayLinks { outside, uplink })
        });
        let before = shared.change(|state| std::mem::replace(&mut state.links, seen));
        if before != seen {
            if let Some(seen) = seen {
                tracing::info!(outside = seen.outside, uplink = seen.uplink, "carriers");
            }
            changed();
        }
    }
    Ok(())
}
