//! The paths and limits that server and client agree on.

use model::Kind;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::FlowFilter;

/// Most bytes of a request's body: room for a change of every lookup record that a host can have (2^18, about 200
/// bytes each).
pub const MAX_BODY_BYTES: usize = 64 << 20;
/// Most bytes of an answer that a client reads: room for a list of as many records with their status.
pub const MAX_ANSWER_BYTES: usize = 256 << 20;

pub const STATUS: &str = "/v1/status";
pub const CHANGES: &str = "/v1/changes";
pub const DROPS: &str = "/v1/drops";
pub const FLOWS: &str = "/v1/flows";
pub const TRACE: &str = "/v1/trace";
pub const PLUG: &str = "/v1/plug";
pub const UNPLUG: &str = "/v1/unplug";
pub const INTERFACES: &str = "/v1/interfaces";
pub const GATEWAY_WORK: &str = "/v1/gateway-work";
pub const GATEWAY_REPORT: &str = "/v1/gateway-report";
pub const GATEWAY_BEAT: &str = "/v1/gateway-beat";
pub const COLLECTION: &str = "/v1/{kind}";
pub const RESOURCE: &str = "/v1/{kind}/{name}";
pub const PORT_MEMORY: &str = "/v1/ports/{name}/memory";

/// All but the unreserved characters of RFC 3986, so that a name's slashes stay inside of one segment.
pub const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The plural in paths.
pub const fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::LookupRecord => "lookup-records",
        Kind::CustomerRoute => "customer-routes",
        Kind::ProviderAddress => "provider-addresses",
        Kind::ProviderRoute => "provider-routes",
        Kind::DhcpScope => "dhcp-scopes",
        Kind::Port => "ports",
        Kind::SecurityGroup => "security-groups",
        Kind::AddressSet => "address-sets",
        Kind::RoutingDomain => "routing-domains",
        Kind::Global => "globals",
        Kind::Migration => "migrations",
        Kind::Gateway => "gateways",
        Kind::Compartment => "compartments",
    }
}

/// The path of all resources of a kind.
pub fn collection(kind: Kind) -> String {
    format!("/v1/{}", plural(kind))
}

/// The path of the flows that a filter asks for.
pub fn flows(filter: &FlowFilter) -> String {
    let given = [
        ("port", filter.port.clone()),
        ("protocol", filter.protocol.clone()),
        ("address", filter.address.map(|address| address.to_string())),
        ("service", filter.service.map(|service| service.to_string())),
        ("state", filter.state.clone()),
        ("limit", filter.limit.map(|limit| limit.to_string())),
    ];
    let given = given.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let query: Vec<String> =
        given.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NAME))).collect();
    if query.is_empty() { FLOWS.to_owned() } else { format!("{FLOWS}?{}", query.join("&")) }
}

/// The path of a gateway's work, when that is another one than `after`.
pub fn gateway_work(after: Option<u64>) -> String {
    after.map_or_else(|| GATEWAY_WORK.to_owned(), |after| format!("{GATEWAY_WORK}?after={after}"))
}

/// The path of what is remembered of a port's VM.
pub fn port_memory(port: &str) -> String {
    format!("{}/memory", resource(Kind::Port, port))
}

/// The path of one resource.
pub fn resource(kind: Kind, name: &str) -> String {
    format!("/v1/{}/{}", plural(kind), utf8_percent_encode(name, NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_slashes_is_one_segment() {
        assert_eq!(resource(Kind::LookupRecord, "5001/10.0.0.5"), "/v1/lookup-records/5001%2F10.0.0.5");
        assert_eq!(resource(Kind::ProviderAddress, "fd00::1"), "/v1/provider-addresses/fd00%3A%3A1");
    }

    #[test]
    fn every_plural_is_read_as_its_kind() {
        for kind in Kind::ALL {
            assert_eq!(plural(kind).parse(), Ok(kind));
        }
    }
}
