//! What the host is like, as the compiler of tables wants to know it.

use std::collections::BTreeMap;

use host::{LinkEvent, Netlink};
use model::Name;
use plan::{Facts, HostTables, Link, LinkKind};

/// Looks at the devices of this namespace. `tables` are those in force: ports keep the counters that they have.
pub fn observe(netlink: &Netlink, tables: &HostTables) -> Result<Facts, host::Error> {
    let links = netlink.links()?;
    Ok(Facts {
        links: links.into_iter().filter_map(|link| Some((link.name.parse().ok()?, convert(&link)))).collect(),
        slots: tables.ports.iter().map(|(ifindex, port)| (*ifindex, port.slot)).collect::<BTreeMap<_, _>>(),
    })
}

/// A device as the compiler of tables wants to know it.
pub fn convert(link: &host::Link) -> Link {
    Link {
        ifindex: link.index,
        mtu: link.mtu,
        up: link.up && link.carrier,
        kind: match link.kind {
            host::LinkKind::Veth => LinkKind::Veth { peer_in_other_namespace: link.peer_elsewhere },
            host::LinkKind::Tun => LinkKind::Tap,
            _ => LinkKind::Other,
        },
        mac: link.mac.and_then(|mac| model::MacAddress::new(mac).ok()),
        addresses: link.addresses.clone(),
    }
}

/// What links became, one step after another: what happened to different devices, and the last that happened to each of
/// them, is one step; but that a device went is always seen, even if another one with its name and index came at once.
pub fn steps(
    events: impl IntoIterator<Item = LinkEvent>,
    mut name_of: impl FnMut(u32) -> Option<Name>,
) -> Vec<Vec<(Name, Option<Link>)>> {
    let mut steps = vec![BTreeMap::new()];
    let mut names = BTreeMap::new();
    for event in events {
        let (link, there) = match &event {
            LinkEvent::Appeared(link) | LinkEvent::Changed(link) => (link, true),
            LinkEvent::Gone(link) => (link, false),
        };
        let name: Option<Name> = link.name.parse().ok();
        // A device that was renamed is no longer there by its old name.
        let known = names.get(&link.index).cloned().unwrap_or_else(|| name_of(link.index));
        let now = name.clone().filter(|_| there);
        let gone = known.filter(|known| Some(known) != now.as_ref()).into_iter().chain(name.filter(|_| !there));
        let mut changes: Vec<(Name, Option<Link>)> = gone.map(|name| (name, None)).collect();
        changes.extend(now.clone().map(|name| (name, Some(convert(link)))));
        names.insert(link.index, now);
        for (name, link) in changes {
            let last = steps.last_mut().filter(|last| !matches!(last.get(&name), Some(None)));
            match last {
                Some(last) => {
                    last.insert(name, link);
                }
                None => steps.push(BTreeMap::from([(name, link)])),
            }
        }
    }
    steps.into_iter().filter(|step| !step.is_empty()).map(|step| step.into_iter().collect()).collect()
}
