//! To whom a VM of a subnet sends what is for another address, as the host would have it (Select-NetVirtualizationNextHop).

use std::net::IpAddr;

use ipnet::IpNet;
use model::{CustomerRoute, Intent, LookupRecordType, MacAddress, RoutingDomainId, Vsid};

use crate::compile::subnets::order;

/// To whom a VM sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NextHop {
    /// The destination itself, or its subnet's gateway.
    pub address: IpAddr,
    /// Its MAC address.
    pub mac: MacAddress,
}

/// Why there is nobody.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NextHopError {
    /// Nothing leads there.
    #[error("no customer route of the routing domain of VSID {vsid} leads to {to}")]
    NoRoute {
        /// The sender's subnet.
        vsid: Vsid,
        /// The destination.
        to: IpAddr,
    },
    /// It is in the subnet, and nobody knows it.
    #[error("VSID {vsid} has neither a lookup record of {to} nor a wildcard")]
    NoRecord {
        /// The sender's subnet.
        vsid: Vsid,
        /// The destination.
        to: IpAddr,
    },
    /// It is elsewhere, and the subnet has no gateway.
    #[error("VSID {vsid} has no gateway for {to}, which is not in it")]
    NoGateway {
        /// The sender's subnet.
        vsid: Vsid,
        /// The destination.
        to: IpAddr,
    },
}

/// To whom a VM of a subnet sends what is for `to`. `gateway_mac` is that of the hosts.
///
/// # Errors
/// When there is nobody.
pub fn next_hop(intent: &Intent, gateway_mac: MacAddress, vsid: Vsid, to: IpAddr) -> Result<NextHop, NextHopError> {
    let route = intent.routing_domain(vsid).and_then(|rdid| leading(intent, rdid, to));
    let route = route.ok_or(NextHopError::NoRoute { vsid, to })?;
    let gateways = || intent.on_link_routes(vsid).filter_map(CustomerRoute::gateway);
    if route.vsid == vsid && route.is_on_link() {
        return match gateways().any(|gateway| gateway == to) {
            true => gateway(intent, gateway_mac, vsid, to),
            false => station(intent, vsid, to),
        }
        .ok_or(NextHopError::NoRecord { vsid, to });
    }
    let known = gateways().filter(|gateway| gateway.is_ipv4() == to.is_ipv4()).min();
    known.and_then(|known| gateway(intent, gateway_mac, vsid, known)).ok_or(NextHopError::NoGateway { vsid, to })
}

/// The best route to a prefix, the one that is in the tables.
pub fn best_route(intent: &Intent, rdid: RoutingDomainId, prefix: IpNet) -> Option<&CustomerRoute> {
    intent.routes_to(rdid, prefix).min_by_key(|route| order(route))
}

/// The route that leads to an address: that of the longest prefix, and of those the best.
fn leading(intent: &Intent, rdid: RoutingDomainId, to: IpAddr) -> Option<&CustomerRoute> {
    let leading = intent.routes_of(rdid).filter(|route| route.prefix.contains(&to));
    leading.min_by_key(|route| (u8::MAX - route.prefix.prefix_len(), order(route)))
}

/// Who has the address of a gateway: the hosts, or the router in their place.
fn gateway(intent: &Intent, gateway_mac: MacAddress, vsid: Vsid, address: IpAddr) -> Option<NextHop> {
    match intent.global().external_router {
        true => station(intent, vsid, address),
        false => Some(NextHop { address, mac: gateway_mac }),
    }
}

/// Who has an address in the subnet, or stands for those that have no record.
fn station(intent: &Intent, vsid: Vsid, address: IpAddr) -> Option<NextHop> {
    let any: IpAddr = if address.is_ipv4() { [0_u8; 4].into() } else { [0_u8; 16].into() };
    let wildcard = || intent.record_of(vsid, any).filter(|(_, it)| it.record_type == LookupRecordType::GatewayWildcard);
    let (_, record) = intent.record_of(vsid, address).or_else(wildcard)?;
    Some(NextHop { address, mac: record.mac })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOURCES: &str = "
{kind: customer-route, spec: {rdid: '{11111111-2222-3333-4444-000000005001}', vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
---
{kind: customer-route, spec: {rdid: '{11111111-2222-3333-4444-000000005001}', vsid: 5002, prefix: 10.0.1.0/24, nextHop: 0.0.0.0}}
---
{kind: customer-route, spec: {rdid: '{11111111-2222-3333-4444-000000005001}', vsid: 5001, prefix: 'fd00::/64', nextHop: '::'}}
---
{kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
---
{kind: lookup-record, spec: {vsid: 5002, customerAddress: 0.0.0.0, mac: 06-06-00-00-00-09, providerAddress: 192.168.4.12, type: GatewayWildcard}}
";
    const ROUTER: &str = "
---
{kind: global, spec: {externalRouter: true}}
---
{kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.1, mac: 06-06-00-00-00-01, providerAddress: 192.168.4.13}}
";

    fn ask(text: &str, vsid: u32, to: &str) -> Result<String, String> {
        let resources = model::resources_from_yaml(text).unwrap();
        let intent = Intent::new(resources).unwrap_or_else(|errors| panic!("{errors:?}"));
        let mac = "02-4E-56-00-00-01".parse().unwrap();
        let found = next_hop(&intent, mac, Vsid::new(vsid).unwrap(), to.parse().unwrap());
        found.map(|hop| format!("{} {}", hop.address, hop.mac)).map_err(|error| error.to_string())
    }

    #[test]
    fn in_the_subnet_it_is_the_destination_itself() {
        assert_eq!(ask(RESOURCES, 5001, "10.0.0.5").unwrap(), "10.0.0.5 06-06-00-00-00-05");
        assert_eq!(ask(RESOURCES, 5002, "10.0.1.77").unwrap(), "10.0.1.77 06-06-00-00-00-09", "the wildcard");
        assert_eq!(
            ask(RESOURCES, 5001, "10.0.0.6").unwrap_err(),
            "VSID 5001 has neither a lookup record of 10.0.0.6 nor a wildcard"
        );
    }

    #[test]
    fn elsewhere_it_is_the_gateway() {
        assert_eq!(ask(RESOURCES, 5001, "10.0.1.77").unwrap(), "10.0.0.1 02-4E-56-00-00-01");
        assert_eq!(ask(RESOURCES, 5001, "fd00::1").unwrap(), "fd00::1 02-4E-56-00-00-01");
        assert_eq!(
            ask(RESOURCES, 5001, "10.9.9.9").unwrap_err(),
            "no customer route of the routing domain of VSID 5001 leads to 10.9.9.9"
        );
        assert_eq!(
            ask(RESOURCES, 5003, "10.0.0.5").unwrap_err(),
            "no customer route of the routing domain of VSID 5003 leads to 10.0.0.5"
        );
    }

    #[test]
    fn a_router_outside_of_the_hosts_takes_their_place() {
        let text = format!("{RESOURCES}{ROUTER}");
        assert_eq!(ask(&text, 5001, "10.0.1.77").unwrap(), "10.0.0.1 06-06-00-00-00-01");
        assert_eq!(ask(&text, 5001, "10.0.0.1").unwrap(), "10.0.0.1 06-06-00-00-00-01");
        // The wildcard stands for the gateway too, which has no record.
        assert_eq!(ask(&text, 5002, "10.0.0.5").unwrap(), "10.0.1.1 06-06-00-00-00-09");
        assert_eq!(
            ask(&text, 5001, "fd00::1").unwrap_err(),
            "VSID 5001 has neither a lookup record of fd00::1 nor a wildcard"
        );
    }
}
