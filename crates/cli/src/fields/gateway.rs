//! Fields of gateways and of their connections. What flags have no words for is declared with `netvirt apply -f`.

use std::path::PathBuf;

use clap::Args;
use model::VlanId;
use model::fabric::ResourceName;
use model::gateway::WireguardKey;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::FieldsError;
use super::gateway_values::{Floating, Forward, GatewayHost, Neighbor, Network, Zone};
use super::limits::LimitFields;
use super::values::{Address, Endpoint, OrNothing, Prefix, Route};

/// Fields of a gateway.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayFields {
    /// The logical network whose VM networks it may serve.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    logical_network: Option<ResourceName>,
    /// Host of it, with its external interface, and its own addresses there where connections share addresses; may be repeated,
    /// the preferred one first. With set, all hosts anew, and one that is not named is no more one of it.
    #[arg(long = "gateway-host", value_name = "HOST=INTERFACE[,ADDRESS/LENGTH]")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<GatewayHost>,
    /// What lies outside: a prefix, its VLAN, its router, and the addresses that connections are given; may be repeated. With
    /// set, all networks anew, and a range that is not named is given no more; "" takes all away.
    #[arg(long = "network", value_name = "PREFIX[@VLAN][,via ADDRESS][,range FIRST-LAST]")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    networks: Vec<OrNothing<Network>>,
    /// Host of it that is to be empty, for maintenance: what it has active goes to the others, and loses nothing by it; may be
    /// repeated. With set, all anew; "" takes all away.
    #[arg(long = "drained", value_name = "HOST")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    drained: Vec<OrNothing<ResourceName>>,
    /// For the reader only; "" takes it away.
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

/// Fields of a gateway connection. Exactly one of `--nat`, `--routing`, `--ipsec`, `--wireguard` and `--dns` says what it is.
#[derive(Debug, Args)]
pub struct GatewayConnectionFields {
    /// The VM network.
    #[arg(long, value_name = "NAME")]
    vm_network: Option<ResourceName>,
    /// The gateway; all connections of a VM network have the same.
    #[arg(long, value_name = "NAME")]
    gateway: Option<ResourceName>,
    #[command(flatten)]
    nat: NatFields,
    #[command(flatten)]
    routing: RoutingFields,
    #[command(flatten)]
    tunnel: TunnelFields,
    #[command(flatten)]
    dns: DnsFields,
    #[command(flatten)]
    bgp: BgpFields,
    #[command(flatten)]
    limits: LimitFields,
    /// For the reader only; "" takes it away.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

/// Network address translation.
#[derive(Debug, Args)]
struct NatFields {
    /// Network address translation: VMs reach the outside in the name of an address that is drawn, or named.
    #[arg(long)]
    nat: bool,
    /// NAT: address outside that VMs appear under; may be repeated. Drawn from the gateway's ranges if it is left out.
    #[arg(long = "external-address", value_name = "ADDRESS")]
    external_addresses: Vec<OrNothing<Address>>,
    /// NAT: do with so many ports of an address that is shared, 64 to 32768, instead of an address of its own.
    #[arg(long, value_name = "COUNT")]
    shared_ports: Option<u16>,
    /// NAT: address outside that stands for a VM; may be repeated.
    #[arg(long = "floating", value_name = "EXTERNAL=INTERNAL")]
    floating: Vec<OrNothing<Floating>>,
    /// NAT: ports outside that lead to a VM, such as tcp:8443=10.0.0.5:443 or udp:203.0.113.9:53=10.0.0.5; may be repeated.
    #[arg(long = "forward", value_name = "PROTOCOL:[ADDRESS:]PORTS=ADDRESS[:PORT]")]
    forwards: Vec<OrNothing<Forward>>,
    /// NAT: log who had which address and port when, on the gateway's host.
    #[arg(long = "nat-log", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    log: Option<bool>,
}

/// Routing without translation.
#[derive(Debug, Args)]
struct RoutingFields {
    /// Routing without translation: the VM network's addresses are known outside.
    #[arg(long)]
    routing: bool,
    /// Routing: the VLAN outside; untagged if it is left out.
    #[arg(long)]
    vlan: Option<OrNothing<VlanId>>,
    /// Routing: what lies behind a router outside; may be repeated.
    #[arg(long = "route", value_name = "PREFIX=NEXTHOP")]
    routes: Vec<OrNothing<Route>>,
}

/// Tunnels: IPsec and WireGuard.
#[derive(Debug, Args)]
struct TunnelFields {
    /// An IPsec tunnel to a site, its keys by IKEv2.
    #[arg(long)]
    ipsec: bool,
    /// IPsec: address of the other side; with --passive it may be left out, and --remote-id tells who comes.
    #[arg(long, value_name = "ADDRESS")]
    remote: Option<OrNothing<Address>>,
    /// IPsec: file with the pre-shared key, its last newline not being part of it.
    #[arg(long, value_name = "FILE")]
    psk_file: Option<PathBuf>,
    /// IPsec: prefix of the VM network that is reached through the tunnel; may be repeated. All of its subnets if it is left out.
    #[arg(long = "local-prefix", value_name = "PREFIX")]
    local_prefixes: Vec<OrNothing<Prefix>>,
    /// IPsec: who we are; our address outside if it is left out.
    #[arg(long, value_name = "ID")]
    local_id: Option<String>,
    /// IPsec: who the other side is; its address if it is left out.
    #[arg(long, value_name = "ID")]
    remote_id: Option<String>,
    /// IPsec: wait for the other side to open the tunnel.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    passive: Option<bool>,
    /// A WireGuard tunnel to a site. Our key is made, and its public one shown, unless one is named.
    #[arg(long)]
    wireguard: bool,
    /// WireGuard: the other side's public key.
    #[arg(long, value_name = "KEY")]
    peer_key: Option<WireguardKey>,
    /// WireGuard: where the other side listens; if it is left out, wherever it speaks from.
    #[arg(long, value_name = "ADDRESS:PORT")]
    endpoint: Option<OrNothing<Endpoint>>,
    /// WireGuard: UDP port on which we listen; 51820 by default.
    #[arg(long, value_name = "PORT")]
    listen_port: Option<u16>,
    /// WireGuard: file with our private key, as "wg genkey" writes it.
    #[arg(long, value_name = "FILE")]
    private_key_file: Option<PathBuf>,
    /// WireGuard: file with the key that both sides share besides, as "wg genpsk" writes it.
    #[arg(long, value_name = "FILE")]
    preshared_key_file: Option<PathBuf>,
    /// WireGuard: seconds between signs of life.
    #[arg(long, value_name = "SECONDS")]
    keepalive: Option<u16>,
    /// Tunnels: what lies behind the other side; may be repeated.
    #[arg(long = "remote-prefix", value_name = "PREFIX")]
    remote_prefixes: Vec<OrNothing<Prefix>>,
    /// Tunnels: our own address inside, with the length of its prefix, where BGP speaks; may be repeated.
    #[arg(long = "tunnel-address", value_name = "ADDRESS/LENGTH")]
    tunnel_addresses: Vec<OrNothing<Prefix>>,
}

/// A DNS server.
#[derive(Debug, Args)]
struct DnsFields {
    /// A DNS server for the VM network, which knows its VMs.
    #[arg(long)]
    dns: bool,
    /// DNS: the domain of the VMs' names, such as aaa.internal.
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// DNS: server that is asked for everything else; may be repeated.
    #[arg(long = "forwarder", value_name = "ADDRESS")]
    forwarders: Vec<OrNothing<Address>>,
    /// DNS: zone that servers of its own are asked for, such as corp.example=10.20.0.53; may be repeated.
    #[arg(long = "zone", value_name = "ZONE=ADDRESS,...")]
    zones: Vec<OrNothing<Zone>>,
}

/// BGP.
#[derive(Debug, Args)]
struct BgpFields {
    /// BGP, with routing, ipsec and wireguard: our autonomous system.
    #[arg(long, value_name = "NUMBER")]
    bgp_as: Option<u32>,
    /// BGP: with whom routes are exchanged; may be repeated.
    #[arg(long = "neighbor", value_name = "ADDRESS=AS")]
    neighbors: Vec<Neighbor>,
}

/// Puts a value among the fields, if there is one.
fn put(map: &mut Map<String, Value>, field: &str, value: Option<impl Serialize>) {
    if let Some(value) = value {
        map.insert(field.to_owned(), json!(value));
    }
}

/// The same of a list that is not empty.
fn put_list(map: &mut Map<String, Value>, field: &str, values: &[impl Serialize]) {
    put(map, field, (!values.is_empty()).then_some(values));
}

/// A secret out of a file.
fn secret(file: Option<&PathBuf>) -> Result<Option<String>, FieldsError> {
    let Some(file) = file else { return Ok(None) };
    let text = std::fs::read_to_string(file).map_err(|source| FieldsError::File { file: file.clone(), source })?;
    Ok(Some(text.strip_suffix('\n').unwrap_or(&text).to_owned()))
}

impl GatewayConnectionFields {
    /// The fields as they stand in a spec.
    ///
    /// # Errors
    /// When a file cannot be read, or a flag does not say which tunnel it is about.
    pub(super) fn given(&self) -> Result<Map<String, Value>, FieldsError> {
        let mut map = Map::new();
        put(&mut map, "vmNetwork", self.vm_network.as_ref());
        put(&mut map, "gateway", self.gateway.as_ref());
        self.nat.add_to(&mut map);
        self.routing.add_to(&mut map);
        self.tunnel.add_to(&mut map)?;
        self.dns.add_to(&mut map);
        let mut bgp = Map::new();
        put(&mut bgp, "localAs", self.bgp.bgp_as);
        put_list(&mut bgp, "neighbors", &self.bgp.neighbors);
        put(&mut map, "bgp", (!bgp.is_empty()).then_some(bgp));
        self.limits.add_to(&mut map);
        put(&mut map, "description", self.description.as_ref());
        Ok(map)
    }
}

/// Puts a service among the fields, if it is named or something of it is.
fn add_service(map: &mut Map<String, Value>, name: &str, named: bool, fields: Map<String, Value>) {
    put(map, name, (named || !fields.is_empty()).then_some(fields));
}

impl NatFields {
    fn add_to(&self, map: &mut Map<String, Value>) {
        let mut nat = Map::new();
        put_list(&mut nat, "addresses", &self.external_addresses);
        put(&mut nat, "sharedPorts", self.shared_ports);
        put_list(&mut nat, "floating", &self.floating);
        put_list(&mut nat, "forwards", &self.forwards);
        put(&mut nat, "log", self.log);
        add_service(map, "nat", self.nat, nat);
    }
}

impl RoutingFields {
    fn add_to(&self, map: &mut Map<String, Value>) {
        let mut routing = Map::new();
        put(&mut routing, "vlan", self.vlan.as_ref());
        put_list(&mut routing, "routes", &self.routes);
        add_service(map, "routing", self.routing, routing);
    }
}

impl DnsFields {
    fn add_to(&self, map: &mut Map<String, Value>) {
        let mut dns = Map::new();
        put(&mut dns, "domain", self.domain.as_ref());
        put_list(&mut dns, "forwarders", &self.forwarders);
        put_list(&mut dns, "zones", &self.zones);
        add_service(map, "dns", self.dns, dns);
    }
}

impl TunnelFields {
    fn add_to(&self, map: &mut Map<String, Value>) -> Result<(), FieldsError> {
        let (mut ipsec, mut wireguard, mut both) = (Map::new(), Map::new(), Map::new());
        put(&mut ipsec, "remote", self.remote.as_ref());
        put(&mut ipsec, "psk", secret(self.psk_file.as_ref())?);
        put(&mut ipsec, "localId", self.local_id.as_ref());
        put(&mut ipsec, "remoteId", self.remote_id.as_ref());
        put(&mut ipsec, "passive", self.passive);
        put_list(&mut ipsec, "localPrefixes", &self.local_prefixes);
        put(&mut wireguard, "peerKey", self.peer_key.as_ref());
        put(&mut wireguard, "endpoint", self.endpoint.as_ref());
        put(&mut wireguard, "listenPort", self.listen_port);
        put(&mut wireguard, "privateKey", secret(self.private_key_file.as_ref())?);
        put(&mut wireguard, "presharedKey", secret(self.preshared_key_file.as_ref())?);
        put(&mut wireguard, "keepalive", self.keepalive);
        put_list(&mut both, "remotePrefixes", &self.remote_prefixes);
        put_list(&mut both, "addresses", &self.tunnel_addresses);
        let is_wireguard = self.wireguard || !wireguard.is_empty();
        let is_ipsec = self.ipsec || !ipsec.is_empty();
        if !both.is_empty() && is_wireguard == is_ipsec {
            return Err(FieldsError::WhichTunnel);
        }
        if is_wireguard {
            wireguard.extend(both);
        } else {
            ipsec.extend(both);
        }
        add_service(map, "ipsec", self.ipsec, ipsec);
        add_service(map, "wireguard", self.wireguard, wireguard);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Connection {
        #[command(flatten)]
        fields: GatewayConnectionFields,
    }

    #[derive(Parser)]
    struct Gateway {
        #[command(flatten)]
        fields: GatewayFields,
    }

    fn spec(line: &str) -> Value {
        let words = std::iter::once("x").chain(line.split_whitespace());
        let mut spec = Value::Object(Connection::try_parse_from(words).unwrap().fields.given().unwrap());
        super::super::clean(&mut spec);
        spec
    }

    #[test]
    fn connections_as_they_are_typed() {
        let typed = [
            ("--vm-network AAA --gateway gw --nat", json!({"vmNetwork": "AAA", "gateway": "gw", "nat": {}})),
            (
                "--nat --shared-ports 1024 --forward tcp:1443=10.0.0.5:443 --floating 203.0.113.21=10.0.0.6",
                json!({"nat": {
                    "sharedPorts": 1024,
                    "floating": [{"external": "203.0.113.21", "internal": "10.0.0.6"}],
                    "forwards": [{"protocol": "tcp", "ports": "1443", "internal": "10.0.0.5", "internalPort": 443}]
                }}),
            ),
            (
                "--forward udp:[fd99::9]:5000-5009=[fd00::5] --forward tcp:203.0.113.9:80=10.0.0.5",
                json!({"nat": {"forwards": [
                    {"protocol": "udp", "external": "fd99::9", "ports": "5000-5009", "internal": "fd00::5"},
                    {"protocol": "tcp", "external": "203.0.113.9", "ports": "80", "internal": "10.0.0.5"}
                ]}}),
            ),
            (
                "--ipsec --remote 198.51.100.1 --remote-prefix 10.10.2.0/24 --passive",
                json!({"ipsec": {"remote": "198.51.100.1", "remotePrefixes": ["10.10.2.0/24"], "passive": true}}),
            ),
            (
                "--wireguard --peer-key HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw= --endpoint 198.51.100.1:51820 \
                 --tunnel-address 169.254.7.1/30 --bgp-as 64512 --neighbor 169.254.7.2=64513 --egress-limit 5Mbit/s",
                json!({
                    "wireguard": {
                        "peerKey": "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=",
                        "endpoint": "198.51.100.1:51820",
                        "addresses": ["169.254.7.1/30"],
                    },
                    "bgp": {"localAs": 64512, "neighbors": [{"address": "169.254.7.2", "remoteAs": 64513}]},
                    "limits": {"egress": {"bandwidth": "5 Mbit/s"}},
                }),
            ),
            (
                "--routing --vlan 42 --route 10.9.0.0/16=203.0.113.9",
                json!({"routing": {"vlan": 42, "routes": [{"prefix": "10.9.0.0/16", "nextHop": "203.0.113.9"}]}}),
            ),
            (
                "--dns --domain aaa.internal --forwarder 9.9.9.9 --zone corp.example=10.20.0.53,10.20.0.54",
                json!({"dns": {
                    "domain": "aaa.internal",
                    "forwarders": ["9.9.9.9"],
                    "zones": [{"zone": "corp.example", "servers": ["10.20.0.53", "10.20.0.54"]}]
                }}),
            ),
        ];
        for (line, wanted) in typed {
            assert_eq!(spec(line), wanted, "{line}");
        }
    }

    #[test]
    fn a_gateway_as_it_is_typed() {
        let words = "x --logical-network TDIv2 --gateway-host host17=eth1,203.0.113.7/24 --gateway-host host18=eth1";
        let mut words: Vec<&str> = words.split_whitespace().collect();
        words.extend(["--network", "203.0.113.0/24,via 203.0.113.1,range 203.0.113.10-203.0.113.99"]);
        words.extend(["--network", "10.99.0.0/24@42", "--drained", "host18"]);
        let fields = Gateway::try_parse_from(words).unwrap().fields;
        assert_eq!(
            json!(fields),
            json!({
                "logicalNetwork": "TDIv2",
                "hosts": [
                    {"host": "host17", "interface": "eth1", "addresses": ["203.0.113.7/24"]},
                    {"host": "host18", "interface": "eth1"}
                ],
                "networks": [
                    {"prefix": "203.0.113.0/24", "nextHop": "203.0.113.1", "ranges": ["203.0.113.10-203.0.113.99"]},
                    {"prefix": "10.99.0.0/24", "vlan": 42}
                ],
                "drained": ["host18"],
            })
        );
    }

    #[test]
    fn what_is_typed_wrongly_is_said_with_an_example() {
        let said = |words: &[&str]| {
            let words = std::iter::once("x").chain(words.iter().copied());
            Connection::try_parse_from(words).map(|_| ()).unwrap_err().to_string()
        };
        for (words, wanted) in [
            (["--forward", "tcp:80"], "tcp:8443=10.0.0.5:443"),
            (["--forward", "icmp:80=10.0.0.5"], "tcp:8443=10.0.0.5:443"),
            (["--floating", "203.0.113.9"], "203.0.113.21=10.0.0.5"),
            (["--neighbor", "203.0.113.9"], "203.0.113.9=64513"),
            (["--zone", "corp.example"], "corp.example=10.20.0.53"),
            (["--remote", "office"], "'office' for '--remote <ADDRESS>'"),
            (["--remote", "office"], "write one such as 10.10.1.100"),
            (["--endpoint", "office:51820"], "203.0.113.101:51820"),
        ] {
            assert!(said(&words).contains(wanted), "{words:?}: {}", said(&words));
        }
        let lacking = |words: &[&str]| {
            let fields = Connection::try_parse_from(std::iter::once("x").chain(words.iter().copied())).unwrap().fields;
            let mut given = fields.given().unwrap();
            given.insert("vmNetwork".to_owned(), "n".into());
            given.insert("gateway".to_owned(), "g".into());
            let (kind, tenant) = (model::fabric::Kind::GatewayConnection, ResourceName::default_tenant());
            super::super::assemble_at_controller(kind, &tenant, &tenant, given.into()).unwrap_err().to_string()
        };
        assert_eq!(lacking(&["--wireguard"]), "gateway-connection: --peer-key is missing; give it as well");
        assert!(lacking(&["--routing", "--bgp-as", "65010"]).contains("--neighbor is missing"));
        assert!(lacking(&["--routing", "--neighbor", "203.0.113.1=65000"]).contains("--bgp-as is missing"));
        let neither = Connection::try_parse_from(["x", "--remote-prefix", "10.0.0.0/8"]).unwrap().fields.given();
        assert!(neither.unwrap_err().to_string().contains("--ipsec or --wireguard"));
    }
}
