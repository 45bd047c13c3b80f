//! An example of what is declared of each kind: the networks of the demonstration.

use model::fabric::Kind;
use serde_json::{Value, json};

/// Name and spec.
pub(super) fn example(kind: Kind) -> (&'static str, Value) {
    match kind {
        Kind::LogicalNetwork => (
            "TDIv2",
            json!({
                "networkVirtualization": true,
                "sites": [{"name": "Munich", "subnets": [{"prefix": "192.168.4.0/24"}]}],
                "providerPools": [
                    {"name": "PA Pool", "prefix": "192.168.4.0/24", "ranges": ["192.168.4.100-192.168.4.199"]}
                ],
            }),
        ),
        Kind::MacPool => ("default", json!({"ranges": ["00-1D-D8-B7-1C-00..00-1D-D8-F4-1F-FF"]})),
        Kind::Host => (
            "host15",
            json!({"uplinks": [
                {"interface": "eth0", "addresses": ["192.168.4.15/24"], "logicalNetworks": ["TDIv2"]}
            ]}),
        ),
        Kind::Tenant => ("blue", json!({"quota": {"vmNetworks": 10, "ports": 1000}})),
        Kind::Gateway => (
            "gw",
            json!({
                "logicalNetwork": "TDIv2",
                "hosts": [
                    {"host": "host17", "interface": "eth1", "addresses": ["203.0.113.7/24"]},
                    {"host": "host18", "interface": "eth1", "addresses": ["203.0.113.8/24"]},
                ],
                "networks": [
                    {"prefix": "203.0.113.0/24", "nextHop": "203.0.113.1", "ranges": ["203.0.113.10-203.0.113.99"]}
                ],
            }),
        ),
        Kind::VmNetwork => ("AAA", json!({"logicalNetwork": "TDIv2", "isolation": "nvgre"})),
        Kind::AddressSet => ("offices", json!({"vmNetwork": "AAA", "prefixes": ["192.168.0.0/16"]})),
        Kind::SecurityGroup => (
            "web",
            json!({
                "vmNetwork": "AAA",
                "rules": [
                    {"direction": "ingress", "protocol": "tcp", "ports": ["80", "443"]},
                    {"direction": "ingress", "protocol": "tcp", "ports": ["22"], "remote": {"addressSet": "offices"}},
                    {"direction": "egress", "action": "deny", "priority": 10, "protocol": "udp", "ports": ["53"], "log": true},
                ],
            }),
        ),
        Kind::VmSubnet => ("test", json!({"vmNetwork": "AAA", "prefixes": ["10.10.0.0/16"]})),
        Kind::IpPool => (
            "CA Pool",
            json!({
                "vmSubnet": "test",
                "ranges": ["10.10.1.100-10.10.1.130"],
                "dnsServers": ["10.10.0.53"],
                "leaseTime": "8h",
            }),
        ),
        Kind::CustomerRoute => {
            ("to-the-lab", json!({"vmNetwork": "AAA", "prefix": "172.20.0.0/16", "nextHop": "10.10.1.100"}))
        }
        Kind::Port => ("test01", json!({"host": "host16", "vmNetwork": "AAA", "vmName": "test01"})),
        Kind::GatewayConnection => (
            "internet",
            json!({
                "vmNetwork": "AAA",
                "gateway": "gw",
                "nat": {"forwards": [
                    {"protocol": "tcp", "ports": "8443", "internal": "10.10.1.100", "internalPort": 443}
                ]},
            }),
        ),
    }
}

/// More examples of a kind that is several things: IPsec with a pre-shared key, routing with BGP.
pub(super) fn more(kind: Kind) -> Vec<(&'static str, Value)> {
    if kind != Kind::GatewayConnection {
        return Vec::new();
    }
    let ipsec = json!({
        "vmNetwork": "AAA",
        "gateway": "gw",
        "ipsec": {"remote": "198.51.100.1", "psk": "c8Xo0Zt3mYqv5Wb1", "remotePrefixes": ["10.20.0.0/16"]},
        "limits": {"egress": {"bandwidth": "200 Mbit/s"}, "ingress": {"bandwidth": "200 Mbit/s"}},
    });
    let routing = json!({
        "vmNetwork": "AAA",
        "gateway": "gw",
        "routing": {"vlan": 42},
        "bgp": {
            "localAs": 64512,
            "neighbors": [
                {"address": "10.99.0.1", "remoteAs": 64513, "import": [{"prefix": "10.0.0.0/8", "atMost": 24}]}
            ],
        },
    });
    vec![("site", ipsec), ("company", routing)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::fabric::{ResourceName, Spec};

    #[test]
    fn every_example_can_be_declared() {
        for kind in Kind::ALL {
            let (name, spec) = example(kind);
            assert!(name.parse::<ResourceName>().is_ok(), "{name}");
            Spec::deserialize(kind, spec).unwrap_or_else(|error| panic!("{kind}: {error}"));
            for (name, spec) in more(kind) {
                Spec::deserialize(kind, spec).unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
            }
        }
    }
}
