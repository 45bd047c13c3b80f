//! The picture of a tenant's networks: what the interface says of them, as the picture wants it; as a part of a page, and as a
//! file to keep.

use std::collections::BTreeMap;

use api::Problem;
use api::fabric::{Item, PageAnswer, PortDevice};
use maud::{Markup, PreEscaped, html};
use model::fabric::{GatewayConnection, Key, Kind, Port, ResourceName, VmNetwork, VmSubnet};

use super::pieces::{all, joined, specs};
use crate::context::View;
use crate::pages::pieces::words;
use crate::pictures::{
    Connection, ConnectionKind, ConnectionState, Gateway, Network, Router, Setting, Site, Subnet, Topology, Vm,
    VmState, topology,
};
use crate::texts::tenant::*;
use crate::{answer, layout};

/// The picture in a page, with the way to it as a file.
///
/// # Errors
/// Those of the interface.
pub fn figure(view: &View<'_>, tenant: &ResourceName) -> Result<Markup, Problem> {
    let picture = topology(&gathered(view, tenant)?, &Setting::page(words(view)));
    Ok(html! {
        figure.picture {
            (PreEscaped(picture))
            figcaption { a href={ (layout::tenant_address(tenant)) "/topology.svg" } { (view.t(AS_FILE)) } }
        }
    })
}

/// The picture as a file.
///
/// # Errors
/// Those of the interface.
pub fn file(view: &View<'_>, tenant: &ResourceName) -> Result<PageAnswer, Problem> {
    let base = format!("https://{}", view.context.request.field("host"));
    Ok(answer::picture(topology(&gathered(view, tenant)?, &Setting::file(words(view), base))))
}

/// Everything of a tenant that the picture shows.
struct Parts<'p> {
    tenant: &'p ResourceName,
    subnets: Vec<(&'p Item, VmSubnet)>,
    ports: BTreeMap<ResourceName, Vec<(&'p Item, Port)>>,
    connections: Vec<(&'p Item, GatewayConnection)>,
    /// Whether hosts are told.
    with_hosts: bool,
}

fn gathered(view: &View<'_>, tenant: &ResourceName) -> Result<Topology, Problem> {
    let networks = all(view, Kind::VmNetwork, tenant)?;
    let subnets = all(view, Kind::VmSubnet, tenant)?;
    let ports = all(view, Kind::Port, tenant)?;
    let connections = all(view, Kind::GatewayConnection, tenant)?;
    let mut by_subnet: BTreeMap<ResourceName, Vec<(&Item, Port)>> = BTreeMap::new();
    for (item, port) in specs::<Port>(&ports) {
        if let Some(subnet) = item.status.allocation.vm_subnet.clone().or_else(|| port.vm_subnet.clone()) {
            by_subnet.entry(subnet).or_default().push((item, port));
        }
    }
    let parts = Parts {
        tenant,
        subnets: specs(&subnets).collect(),
        ports: by_subnet,
        connections: specs(&connections).collect(),
        with_hosts: view.is_operator(),
    };
    let networks = specs::<VmNetwork>(&networks).map(|(item, network)| parts.network(item, &network)).collect();
    let href = layout::list_address(Kind::VmNetwork, Some(tenant));
    Ok(Topology { title: view.tf(TOPOLOGY_OF, &[tenant.as_str()]), networks, href })
}

impl Parts<'_> {
    fn href(&self, kind: Kind, name: &ResourceName) -> String {
        layout::address(&Key::new(kind, Some(self.tenant.clone()), name.clone()))
    }

    fn network(&self, item: &Item, network: &VmNetwork) -> Network {
        let own = || self.subnets.iter().filter(|(_, subnet)| subnet.vm_network == item.name);
        let href = self.href(Kind::VmNetwork, &item.name);
        let gateways = joined(own().flat_map(|(item, _)| &item.status.gateways));
        let router = Router { href: href.clone(), about: gateways };
        Network {
            name: item.name.to_string(),
            href,
            about: network.isolation.to_string().to_uppercase(),
            router: network.isolation.is_virtualized().then_some(router),
            subnets: own().map(|(item, subnet)| self.subnet(item, subnet)).collect(),
            gateways: self.gateways(&item.name),
        }
    }

    fn subnet(&self, item: &Item, subnet: &VmSubnet) -> Subnet {
        let vsid = item.status.allocation.vsid.or(subnet.vsid).map(|vsid| format!("VSID {vsid}"));
        let vlan = subnet.vlan.map(|vlan| format!("VLAN {vlan}"));
        let ports = self.ports.get(&item.name).map_or(&[][..], Vec::as_slice);
        Subnet {
            name: item.name.to_string(),
            href: self.href(Kind::VmSubnet, &item.name),
            prefixes: subnet.prefixes.iter().map(ToString::to_string).collect(),
            segment: vsid.or(vlan).unwrap_or_default(),
            vms: ports.iter().map(|(item, port)| self.vm(item, port)).collect(),
            unlisted: 0,
        }
    }

    fn vm(&self, item: &Item, port: &Port) -> Vm {
        let given = &item.status.allocation;
        let addresses = if given.addresses.is_empty() { &port.addresses } else { &given.addresses };
        let told =
            |host: Option<&ResourceName>| host.filter(|_| self.with_hosts).map(ToString::to_string).unwrap_or_default();
        let state = match (&port.migrate_to, item.status.device) {
            (Some(to), _) => VmState::Moving { from: told(port.host.as_ref()), to: told(Some(to)) },
            (None, Some(PortDevice::Bound)) => VmState::Bound { host: told(port.host.as_ref()) },
            (None, _) => VmState::Missing,
        };
        Vm {
            name: port.vm_name.clone().unwrap_or_else(|| item.name.to_string()),
            href: self.href(Kind::Port, &item.name),
            addresses: addresses.iter().chain(&given.learnt).map(ToString::to_string).collect(),
            state,
        }
    }

    /// The gateways of a network, of which there is one today.
    fn gateways(&self, network: &ResourceName) -> Vec<Gateway> {
        let mut gateways: Vec<Gateway> = Vec::new();
        for (item, connection) in self.connections.iter().filter(|(_, one)| one.vm_network == *network) {
            let name = connection.gateway.to_string();
            let status = item.status.connection.as_ref().filter(|_| self.with_hosts);
            let at = gateways.iter().position(|gateway| gateway.name == name).unwrap_or_else(|| {
                gateways.push(Gateway {
                    name,
                    href: layout::list_address(Kind::GatewayConnection, Some(self.tenant)),
                    // A tenant is told that there is one, and not which.
                    active: item.status.connection.as_ref().map(|_| String::new()),
                    standby: Vec::new(),
                    connections: Vec::new(),
                });
                gateways.len() - 1
            });
            if let Some(status) = status {
                gateways[at].active = Some(status.host.to_string());
                gateways[at].standby = status.standby.iter().map(ToString::to_string).collect();
            }
            gateways[at].connections.push(self.connection(item, connection));
        }
        gateways
    }

    fn connection(&self, item: &Item, connection: &GatewayConnection) -> Connection {
        let status = item.status.connection.as_ref();
        let state = match status.map(|status| status.state) {
            Some(model::gateway::ConnectionState::Up) => ConnectionState::Up,
            Some(model::gateway::ConnectionState::Down) => ConnectionState::Down,
            Some(model::gateway::ConnectionState::Standby) => ConnectionState::Standby,
            Some(model::gateway::ConnectionState::Connecting) | None => ConnectionState::Connecting,
        };
        let kind = match connection {
            GatewayConnection { nat: Some(_), .. } => ConnectionKind::Nat,
            GatewayConnection { routing: Some(_), .. } => ConnectionKind::Routed,
            GatewayConnection { ipsec: Some(_), .. } => ConnectionKind::Ipsec,
            GatewayConnection { wireguard: Some(_), .. } => ConnectionKind::WireGuard,
            _ => ConnectionKind::Other("DNS".to_owned()),
        };
        let about = match connection {
            GatewayConnection { ipsec: Some(ipsec), .. } => joined(&ipsec.remote_prefixes),
            GatewayConnection { wireguard: Some(wireguard), .. } => joined(&wireguard.remote_prefixes),
            GatewayConnection { dns: Some(dns), .. } => dns.domain.clone().unwrap_or_default(),
            _ => status.map(|status| joined(status.external.iter().map(ipnet::IpNet::addr))).unwrap_or_default(),
        };
        Connection {
            name: item.name.to_string(),
            href: self.href(Kind::GatewayConnection, &item.name),
            kind,
            state,
            reason: status.and_then(|status| status.reason.clone()).unwrap_or_default(),
            site: Site { name: item.name.to_string(), about },
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::pages::tenant::testing::{Desk, EVIL};

    #[test]
    fn the_picture_shows_what_there_is() {
        let desk = Desk::of_blue();
        let page = desk.get("/t/blue");
        page.has("<svg").has("/t/blue/vm-networks/front").has("/t/blue/topology.svg").lacks(EVIL);
        let file = desk.get("/t/blue/topology.svg");
        assert_eq!(file.status, 200);
        file.has("<svg").has("10.10.1.0/24").has("10.20.0.0/16").lacks(EVIL).lacks("hidden-");
        assert_eq!(desk.get("/t/red/topology.svg").status, 404);
    }
}
