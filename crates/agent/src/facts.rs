//! What the host is like, as the compiler of tables wants to know it.

use std::collections::BTreeMap;

use host::Netlink;
use plan::{Facts, HostTables, Link, LinkKind};

/// Looks at the devices of this namespace. `tables` are those in force: ports keep the counters that they have.
pub fn observe(netlink: &Netlink, tables: &HostTables) -> Result<Facts, host::Error> {
    let links = netlink.links()?;
    Ok(Facts {
        links: links.into_iter().filter_map(|link| Some((link.name.parse().ok()?, convert(&link)))).collect(),
        slots: tables.ports.iter().map(|(ifindex, port)| (*ifindex, port.slot)).collect::<BTreeMap<_, _>>(),
    })
}

fn convert(link: &host::Link) -> Link {
    Link {
        ifindex: link.index,
        mtu: link.mtu,
        kind: match link.kind {
            host::LinkKind::Veth => LinkKind::Veth { peer_in_other_namespace: link.peer_elsewhere },
            host::LinkKind::Tun => LinkKind::Tap,
            _ => LinkKind::Other,
        },
        addresses: link.addresses.clone(),
    }
}
