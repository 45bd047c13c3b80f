//! BGP of gateway connections.

use ipnet::IpNet;
use model::fabric::{GatewayConnection, Key};
use model::gateway::{Bgp, BgpNeighbor, PrefixFilter, Service};

use super::Run;
use super::checks::twice;
use crate::fabric::{GatewayRefusal, Refusal};

/// The longest password of TCP MD5 signatures that Linux takes (`TCP_MD5SIG_MAXKEYLEN`).
const MAX_PASSWORD: usize = 80;

impl Run<'_, '_> {
    pub(super) fn check_bgp(&mut self, key: &Key, bgp: &Bgp, service: Service<'_>) {
        let tunnel: Vec<IpNet> = match service {
            Service::Routing(_) => Vec::new(),
            Service::Ipsec(ipsec) => ipsec.addresses.iter().chain(&ipsec.remote_prefixes).copied().collect(),
            Service::Wireguard(own) => own.addresses.iter().chain(&own.remote_prefixes).copied().collect(),
            Service::Nat(_) | Service::Dns(_) => {
                let service = service.as_str();
                self.refuse(key, GatewayRefusal::BgpWithout { key: key.clone(), service }.into());
                return;
            }
        };
        self.length(key, "neighbors", bgp.neighbors.len());
        self.length(key, "announced prefixes", bgp.announce.len());
        if bgp.neighbors.is_empty() {
            self.refuse(key, Refusal::Empty { key: key.clone(), what: "neighbor", option: "--neighbor ADDRESS=AS" });
        }
        self.autonomous_system(key, "bgp.localAs", bgp.local_as);
        if let Some(address) = twice(bgp.neighbors.iter().map(|neighbor| neighbor.address)) {
            self.refuse(key, Refusal::Twice { key: key.clone(), what: format!("neighbor {address}") });
        }
        for prefix in &bgp.announce {
            self.remote_prefix(key, *prefix);
        }
        for neighbor in &bgp.neighbors {
            self.check_neighbor(key, neighbor);
            let inside = tunnel.iter().any(|prefix| prefix.contains(&neighbor.address));
            if !matches!(service, Service::Routing(_)) && !inside {
                let (neighbor, prefixes, tunnel) = (neighbor.address, tunnel.clone(), true);
                let refusal = GatewayRefusal::NeighborElsewhere { key: key.clone(), neighbor, prefixes, tunnel };
                self.refuse(key, refusal.into());
            }
        }
    }

    /// 0 and 4294967295 are no autonomous systems (RFC 7607, RFC 7300).
    fn autonomous_system(&mut self, key: &Key, field: &'static str, number: u32) {
        if matches!(number, 0 | u32::MAX) {
            self.out_of_range(key, field, number.into(), "1 to 4294967294");
        }
    }

    fn check_neighbor(&mut self, key: &Key, neighbor: &BgpNeighbor) {
        self.unicast(key, neighbor.address);
        self.autonomous_system(key, "bgp.neighbors.remoteAs", neighbor.remote_as);
        if let Some(seconds) = neighbor.hold_time.filter(|seconds| matches!(seconds, 1 | 2)) {
            self.out_of_range(
                key,
                "bgp.neighbors.holdTime",
                seconds.into(),
                "0, or 3 to 65535 seconds (RFC 4271, 4.2)",
            );
        }
        if neighbor.max_prefixes == Some(0) {
            self.out_of_range(key, "bgp.neighbors.maxPrefixes", 0, "1 or more");
        }
        let bad = |password: &str| {
            password.is_empty() || password.len() > MAX_PASSWORD || password.chars().any(char::is_control)
        };
        if neighbor.password.as_ref().is_some_and(|password| bad(password.reveal())) {
            let field = format!("bgp.neighbors.password of {}", neighbor.address);
            let wrong = "is no password of TCP MD5 signatures; write 1 to 80 characters, or leave it out";
            self.refuse(key, GatewayRefusal::Text { key: key.clone(), field, wrong }.into());
        }
        self.length(key, "import filters", neighbor.import.len());
        self.length(key, "export filters", neighbor.export.len());
        for filter in neighbor.import.iter().chain(&neighbor.export) {
            self.check_filter(key, filter);
        }
    }

    fn check_filter(&mut self, key: &Key, filter: &PrefixFilter) {
        let prefix = filter.prefix;
        self.remote_prefix(key, prefix);
        let at_least = filter.at_least.unwrap_or(prefix.prefix_len());
        let at_most = filter.at_most.unwrap_or(at_least.max(prefix.prefix_len()));
        if at_least > at_most || at_most < prefix.prefix_len() || at_most > prefix.max_prefix_len() {
            self.refuse(key, GatewayRefusal::Filter { key: key.clone(), prefix, at_least, at_most }.into());
        }
    }
}

/// The neighbors that must be on-link outside.
pub(super) fn neighbors_on_link(spec: &GatewayConnection) -> impl Iterator<Item = &BgpNeighbor> {
    let bgp = spec.bgp.as_ref().filter(|_| spec.routing.is_some());
    bgp.into_iter().flat_map(|bgp| &bgp.neighbors).filter(|neighbor| !neighbor.multihop)
}
