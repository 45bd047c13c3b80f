//! Routers outside that do not answer.

use std::collections::BTreeSet;
use std::net::IpAddr;

use host::{Netlink, Reachability};

/// Those that were asked for and have not answered since.
///
/// One that has not answered is asked for again and again, and while it is being asked the kernel no longer says that it
/// failed. It stays silent here until it answers, lest a connection be up and down every other second.
#[derive(Debug, Default)]
pub struct Silent(BTreeSet<IpAddr>);

impl Silent {
    /// Has the kernel ask for routers whose presence is not known for certain, and answers those that are silent, in the order
    /// given. Without a device, which is given by its number, none is asked for.
    pub fn look(&mut self, netlink: &Netlink, device: Option<u32>, routers: &[IpAddr]) -> Vec<IpAddr> {
        let Some(device) = device else { return Vec::new() };
        self.0.retain(|router| routers.contains(router));
        for router in routers {
            let state = netlink.neighbour(device, *router).ok().flatten();
            if state != Some(Reachability::Reachable) {
                let _ = netlink.ask_for_neighbour(device, *router);
            }
            match state {
                Some(Reachability::Failed) => _ = self.0.insert(*router),
                Some(Reachability::Reachable | Reachability::Stale) => _ = self.0.remove(router),
                Some(Reachability::Asked) | None => {}
            }
        }
        routers.iter().filter(|router| self.0.contains(router)).copied().collect()
    }
}
