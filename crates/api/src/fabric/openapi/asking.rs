//! What hosts are asked on demand.

use serde_json::{Map, Value, json};

use super::operations::{Operation, json_of};
use super::schemas::schema;
use crate::ProblemType;
use crate::fabric::paths;

/// What groups these operations.
pub(super) const TAG: &str = "asking";

const HOW: &str = "The hosts are asked when this is, and nothing is kept: who asks nothing costs nothing. A host that is away, or \
    that does not answer within 2 s, is told in a sentence. A tenant, and everybody else who asks, may have four questions to a host \
    under way at once.";

fn asking(id: &str, summary: &str, more: &str) -> Operation {
    Operation::new(id, TAG, summary)
        .describe(format!("{HOW} {more}").trim())
        .may(&[ProblemType::NotFound, ProblemType::TooManyRequests])
}

/// The paths.
pub(super) fn asking_paths() -> Map<String, Value> {
    let own = ["tenant", "name"];
    let port = asking("getPortCounters", "What passed a port, and what was dropped there", "")
        .parameters(&own)
        .answers(200, "Since its device came.", json_of("PortTraffic"))
        .done();
    let ports = asking("askCounters", "What passed several ports of a tenant, and what was dropped there", "")
        .parameters(&["tenant"])
        .body("application/json", schema("AskedPorts"))
        .answers(200, "Of each port that something is known of, and why nothing is of the others.", json_of("Traffic"))
        .done();
    let trace = "The same function decides that decides in the kernel, on each host that the packet comes to. A tenant is told \
                 neither names of hosts nor provider addresses.";
    let trace = asking("tracePacket", "What would become of a packet from a port", trace)
        .parameters(&own)
        .body("application/json", schema("TraceRequest"))
        .answers(200, "From host to host.", json_of("Trace"))
        .may(&[ProblemType::Invalid])
        .done();
    let leases = asking("getLeases", "The addresses that DHCP has given in a VM subnet", "")
        .parameters(&own)
        .answers(200, "What it said last to each port.", json_of("Leases"))
        .done();
    let host = asking("getHostStatus", "How a host is, as it says itself", "")
        .parameters(&["name"])
        .answers(200, "Version, drift, findings, drops.", json_of("HostReport"))
        .done();
    let more =
        "What flows have carried that ended is in it no longer. The host looks through all of its flows: ask rarely.";
    let tunnels =
        asking("getHostTunnels", "What the flows of a host have sent to other hosts, and got from them", more)
            .parameters(&["name"])
            .answers(200, "By the provider addresses of the other hosts.", json_of("Tunnels"))
            .done();
    let mut all = Map::new();
    for (path, operations) in [
        (paths::PORT_COUNTERS, json!({"get": port})),
        (paths::COUNTERS, json!({"post": ports})),
        (paths::PORT_TRACE, json!({"post": trace})),
        (paths::LEASES, json!({"get": leases})),
        (paths::HOST_STATUS, json!({"get": host})),
        (paths::TUNNELS, json!({"get": tunnels})),
    ] {
        all.insert(documented(path), operations);
    }
    all
}

/// A path of the router in the words of the document.
fn documented(path: &str) -> String {
    if path.contains("{resource}") {
        return path.replace("{name}", "{tenant}").replace("{resource}", "{name}");
    }
    if path.starts_with("/v1/tenants/") { path.replace("{name}", "{tenant}") } else { path.to_owned() }
}
