//! Compartments for tests.

use model::gateway::{Compartment, Connection, Inside, Outside};

/// The connection of that name and kind, with what JSON says.
pub(crate) fn connection(name: &str, said: &str) -> Connection {
    let text = format!("{{\"name\": \"{name}\", {said}}}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The compartment with these sides and connections, as JSON says them.
pub(crate) fn made(inside: &str, outside: &str, connections: Vec<Connection>) -> Compartment {
    let inside: Inside = serde_json::from_str(inside).unwrap();
    let outside: Option<Outside> = serde_json::from_str(outside).unwrap();
    Compartment { name: "aaa/net".parse().unwrap(), standby: false, leaving: false, inside, outside, connections }
}

/// An inside with IPv4 and IPv6.
pub(crate) const INSIDE: &str = r#"{"device": "gw1", "mac": "02:00:00:00:00:01",
    "addresses": ["10.254.254.2/29", "fd00:ffff::2/64"], "routers": ["10.254.254.1", "fd00:ffff::1"],
    "prefixes": ["10.1.0.0/24", "10.2.0.0/24", "fd00:1::/64"]}"#;

/// An outside with addresses of its own.
pub(crate) const OUTSIDE: &str = r#"{"mac": "02:00:00:00:01:01",
    "addresses": ["203.0.113.5/24", "203.0.113.7/24", "2001:db8::5/64"]}"#;

/// One with a connection of each kind.
pub(crate) fn compartment() -> Compartment {
    let key = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";
    let connections = vec![
        connection(
            "internet",
            r#""nat": {"addresses": ["203.0.113.5", "2001:db8::5"], "floating": [{"external": "203.0.113.7",
               "internal": "10.1.0.7"}], "forwards": [{"protocol": "tcp", "ports": "8000-8003", "internal": "10.1.0.5",
               "internalPort": 80}, {"protocol": "udp", "ports": "53", "internal": "10.1.0.6"}],
               "limits": {"connections": 1000, "connectionsPerAddress": 100, "newPerSecond": 50}}"#,
        ),
        connection(
            "datacenter",
            r#""routing": {"routes": [{"prefix": "172.16.0.0/12", "nextHop": "203.0.113.1"}]},
               "bgp": {"localAs": 65001, "neighbors": [{"address": "203.0.113.1", "remoteAs": 65000}]}"#,
        ),
        connection(
            "to-branch",
            &format!(r#""wireguard": {{"peerKey": "{key}", "remotePrefixes": ["192.168.1.0/24"]}}"#),
        ),
        connection("to-depot", &format!(r#""wireguard": {{"peerKey": "{key}", "listenPort": 51821}}"#)),
        connection(
            "to-office",
            r#""ipsec": {"remote": "198.51.100.1", "psk": "x", "remotePrefixes": ["192.168.2.0/24"]}"#,
        ),
        connection("names", r#""dns": {"domain": "aaa.internal"}"#),
    ];
    made(INSIDE, OUTSIDE, connections)
}

/// One that shares two addresses of IPv4 and one of IPv6 with others, and has one of its own too.
pub(crate) fn sharing() -> Compartment {
    let outside = r#"{"mac": "02:00:00:00:01:01", "addresses": ["203.0.113.7/24"], "shared": [
        {"address": "203.0.113.9", "ports": "1024-2047"}, {"address": "203.0.113.10", "ports": "4096-8191"},
        {"address": "2001:db8::9", "ports": "1024-2047"}]}"#;
    let nat = connection(
        "internet",
        r#""nat": {"floating": [{"external": "203.0.113.7", "internal": "10.1.0.7"}], "forwards": [
           {"protocol": "tcp", "external": "203.0.113.9", "ports": "1030", "internal": "10.1.0.5", "internalPort": 22}],
           "translations": [{"internal": "fd00:1::/64", "external": "2001:db8:5::/64"}]}"#,
    );
    made(INSIDE, outside, vec![nat])
}
