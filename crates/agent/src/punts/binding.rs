//! What is declared of a port, as `dhcp` wants to know it.

use std::net::IpAddr;

use dhcp::Binding;
use model::{DhcpScope, Intent, LookupRecordType, MacAddress, Port};

/// What a port is answered by; none if its network has no DHCP scope.
///
/// Its addresses are those that it declares, or else those of the static lookup records of its MAC address.
pub fn binding(intent: &Intent, port: &Port, gateway_mac: MacAddress, mtu: u32) -> Option<Binding> {
    let scopes: Vec<DhcpScope> = intent.scopes(port.vsid, port.physical.as_ref()).cloned().collect();
    if scopes.is_empty() {
        return None;
    }
    let records = || port.vsid.into_iter().flat_map(|vsid| intent.records_at(vsid, port.mac)).map(|(_, record)| record);
    let addresses: Vec<IpAddr> = if port.addresses.is_empty() {
        let known = records().filter(|record| record.record_type == LookupRecordType::Static);
        known.filter_map(|record| record.customer_address).collect()
    } else {
        port.addresses.clone()
    };
    let learns = records().any(|record| record.record_type == LookupRecordType::L2Only);
    let routes = !intent.global().external_router;
    Some(Binding { mac: port.mac, addresses, scopes, gateway_mac, mtu, learns, routes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
{kind: dhcp-scope, spec: {vsid: 5001, prefix: 10.10.0.0/16}}
---
{kind: dhcp-scope, spec: {vsid: 5002, prefix: 10.10.0.0/16}}
---
{kind: dhcp-scope, spec: {physical: {interface: eth0, vlan: 42}, prefix: 192.168.42.0/24}}
---
{kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.10.1.5, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
---
{kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.10.1.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.4.11}}
---
{kind: lookup-record, spec: {vsid: 5001, mac: 06-06-00-00-00-09, providerAddress: 192.168.4.11, type: L2Only}}
---
{kind: port, name: a, spec: {device: a, mac: 06-06-00-00-00-05, vsid: 5001}}
---
{kind: port, name: b, spec: {device: b, mac: 06-06-00-00-00-07, vsid: 5001, addresses: [10.10.1.7]}}
---
{kind: port, name: c, spec: {device: c, mac: 06-06-00-00-00-09, vsid: 5001}}
---
{kind: port, name: d, spec: {device: d, mac: 06-06-00-00-00-0b, vsid: 5003}}
---
{kind: port, name: e, spec: {device: e, mac: 06-06-00-00-00-0d, physical: {interface: eth0, vlan: 42}, addresses: [192.168.42.9]}}
"#;

    fn of(name: &str) -> Option<Binding> {
        let intent =
            Intent::new(model::resources_from_yaml(TEXT).unwrap()).unwrap_or_else(|errors| panic!("{errors:?}"));
        let port = intent.ports().find(|port| port.name.as_str() == name).unwrap();
        binding(&intent, port, "02-4E-56-00-00-01".parse().unwrap(), 1458)
    }

    fn addresses(name: &str) -> Vec<String> {
        of(name).unwrap().addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn addresses_are_the_declared_ones_or_those_of_static_records() {
        assert_eq!(addresses("a"), ["10.10.1.5"]);
        assert_eq!(addresses("b"), ["10.10.1.7"]);
        assert_eq!(addresses("c"), [""; 0]);
        assert_eq!(addresses("e"), ["192.168.42.9"]);
    }

    #[test]
    fn scopes_are_those_of_the_ports_own_network() {
        let scopes = of("a").unwrap().scopes;
        assert_eq!(scopes.iter().map(|scope| scope.vsid.unwrap().get()).collect::<Vec<_>>(), [5001]);
        assert_eq!(of("e").unwrap().scopes[0].prefix.to_string(), "192.168.42.0/24");
        assert_eq!(of("d"), None);
    }

    #[test]
    fn whether_the_host_learns_is_said_by_the_record() {
        assert!(!of("a").unwrap().learns);
        assert!(of("c").unwrap().learns);
    }
}
