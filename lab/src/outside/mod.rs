//! What lies outside of the hosts' network, as a topology describes it: an Ethernet segment, a router to the rest of the
//! world, and companies' sites with servers behind their own routers.

mod build;
mod validate;

use ipnet::IpNet;
use model::Name;
use serde::{Deserialize, Serialize};

use crate::topology::{Offloads, Topology, VmRoute};
use crate::wiring::device_names;

pub(crate) use build::build;

/// Node with the bridge of the outside.
pub(crate) const OUTSIDE: &str = "outside";
/// A host's interface on the outside.
pub(crate) const ETH1: &str = "eth1";
/// The bridge to which the servers of a router are cabled.
pub(crate) const LAN: &str = "lan0";

/// An Ethernet segment beside the underlay, for what is not netvirt's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Outside {
    /// MTU of its devices in bytes.
    #[serde(default = "Outside::default_mtu")]
    pub mtu: u32,
    /// Offloads of all that is joined to it; those left out stay as the kernel sets them.
    #[serde(default)]
    pub offloads: Offloads,
    /// The router towards everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<Internet>,
}

impl Outside {
    const fn default_mtu() -> u32 {
        1500
    }
}

/// The router of the outside, and what lies behind it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Internet {
    /// Its name.
    #[serde(default = "Internet::default_name")]
    pub name: Name,
    /// Addresses of its `eth0` on the outside.
    pub addresses: Vec<IpNet>,
    /// Routes to what lies behind others on the outside.
    #[serde(default)]
    pub routes: Vec<VmRoute>,
    /// Its addresses towards its servers.
    #[serde(default)]
    pub lan: Vec<IpNet>,
    /// Servers behind it.
    #[serde(default)]
    pub servers: Vec<Server>,
}

impl Internet {
    fn default_name() -> Name {
        "internet".parse().unwrap_or_else(|_| unreachable!("\"internet\" is a legal name"))
    }
}

/// A company's site: a router on the outside, and servers behind it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Site {
    /// The router's name.
    pub name: Name,
    /// Addresses of its `eth0` on the outside.
    pub addresses: Vec<IpNet>,
    /// Its routes on the outside; by default, everything by the outside's router, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<VmRoute>>,
    /// Its addresses towards its servers.
    #[serde(default)]
    pub lan: Vec<IpNet>,
    /// Servers behind it.
    #[serde(default)]
    pub servers: Vec<Server>,
    /// Whether it has no address of its own outside: a node `NAME-nat` stands before it, has its addresses, and lets its
    /// IPv4 out under them, as a carrier's or a hotel's router does. Nothing comes in that was not asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nat: bool,
}

/// A server behind a router, by which its default routes lead.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Server {
    /// Its name.
    pub name: Name,
    /// Addresses of its `eth0`, each in a prefix of the router's `lan`.
    pub addresses: Vec<IpNet>,
}

impl Site {
    /// Name of the node that translates for it.
    pub(crate) fn nat_node(&self) -> Option<String> {
        self.nat.then(|| format!("{}-nat", self.name))
    }
}

/// A router on the outside: the outside's own, or a site's.
#[derive(Clone, Copy)]
pub(crate) struct Router<'t> {
    pub(crate) name: &'t Name,
    pub(crate) addresses: &'t [IpNet],
    pub(crate) lan: &'t [IpNet],
    pub(crate) servers: &'t [Server],
}

impl Topology {
    /// The node that is the outside itself, when there is one.
    pub(crate) fn outside_node(&self) -> Option<&'static str> {
        self.outside.as_ref().map(|_| OUTSIDE)
    }

    /// The router of the outside.
    pub(crate) fn internet(&self) -> Option<&Internet> {
        self.outside.as_ref()?.router.as_ref()
    }

    /// All routers on the outside, its own first.
    pub(crate) fn routers(&self) -> impl Iterator<Item = Router<'_>> {
        let own = self.internet().map(|its| Router {
            name: &its.name,
            addresses: &its.addresses,
            lan: &its.lan,
            servers: &its.servers,
        });
        own.into_iter().chain(self.sites.iter().map(|site| Router {
            name: &site.name,
            addresses: &site.addresses,
            lan: &site.lan,
            servers: &site.servers,
        }))
    }

    /// All servers behind routers.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &Server> {
        self.routers().flat_map(|router| router.servers)
    }

    /// Names of all nodes of the outside but the segment: its router, the sites and what translates for them, servers.
    pub(crate) fn outside_nodes(&self) -> Vec<String> {
        let routers = self.routers().map(|router| router.name.to_string());
        let translators = self.sites.iter().filter_map(Site::nat_node);
        let servers = self.servers().map(|server| server.name.to_string());
        routers.chain(translators).chain(servers).collect()
    }

    /// The nodes that have a cable to the outside, and the name of its end there: hosts, the router, sites or what
    /// translates for them.
    pub(crate) fn outside_cables(&self) -> Vec<(String, String)> {
        let hosts = self.hosts.iter().filter(|host| host.outside.is_some()).map(|host| host.name.to_string());
        let router = self.internet().map(|router| router.name.to_string());
        let sites = self.sites.iter().map(|site| site.nat_node().unwrap_or_else(|| site.name.to_string()));
        let nodes: Vec<_> = hosts.chain(router).chain(sites).collect();
        let devices = device_names(nodes.iter().map(String::as_str), &["lo", crate::wiring::BRIDGE]);
        nodes.into_iter().zip(devices).collect()
    }
}
