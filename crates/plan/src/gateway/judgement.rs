//! How a connection that rules carry is, after what is seen of its compartment.

use std::collections::BTreeMap;
use std::net::IpAddr;

use model::gateway::{Compartment, Connection, ConnectionReport, ConnectionState, NatLimits, Service};

use super::nat::{Sources, Translation, translations};
use super::ruleset::{Counts, counter};
use super::{layout, number};

/// What is seen of a compartment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// What is in the way of all its connections, as a sentence.
    pub trouble: Option<String>,
    /// Whether its rules are in force.
    pub rules: bool,
    /// Whether its device outside has a carrier; none if it has no such device.
    pub carrier: Option<bool>,
    /// The routers outside that were asked for and do not answer.
    pub silent: Vec<IpAddr>,
    /// What is in the way at the host's edge, for what leaves by it.
    pub edge: Option<String>,
    /// Its counters.
    pub counts: Counts,
    /// Its counters some time ago: what has grown since is told in words.
    pub before: Counts,
    /// Connections that it tracks, by the number of what they are part of; `None` where that is not known.
    pub sessions: Option<BTreeMap<u16, u64>>,
    /// Connections that found no free port, since its namespace is there, and some time ago.
    pub portless: u64,
    /// See [`Self::portless`].
    pub portless_before: u64,
}

/// The report of a connection. Those that are daemons' are only begun: who looks after those adds what it knows.
pub fn judge(compartment: &Compartment, connection: &Connection, seen: &Seen) -> ConnectionReport {
    let mut report = ConnectionReport {
        name: connection.name.clone(),
        state: ConnectionState::Up,
        reason: None,
        carriers: Vec::new(),
        addresses: Vec::new(),
        public_key: None,
        learnt: Vec::new(),
        sessions: None,
        refused: 0,
        received_bytes: 0,
        sent_bytes: 0,
    };
    let (Some(number), Some(service)) = (number(compartment, connection), connection.service()) else {
        report.state = ConnectionState::Down;
        report.reason = Some("it is of no kind that this gateway knows; upgrade netvirt on the host".to_owned());
        return report;
    };
    let bytes = |name: String| seen.counts.get(&name).map_or(0, |(_, bytes)| *bytes);
    report.sent_bytes = bytes(counter::sent(number));
    report.received_bytes = bytes(counter::received(number));
    let all = translations(compartment);
    let translation = all.iter().find(|translation| translation.number == number);
    report.addresses = addresses(compartment, service, translation);
    if matches!(service, Service::Nat(_) | Service::Routing(_)) {
        report.carriers = vec!["nftables".to_owned()];
    }
    let by_edge = translation.is_some_and(goes_by_edge);
    (report.state, report.reason) = state(compartment, seen, matches!(service, Service::Dns(_)), by_edge);
    if let Some(translation) = translation {
        report.sessions = seen.sessions.as_ref().map(|sessions| sessions.get(&number).copied().unwrap_or_default());
        let (refused, words) = refusals(translation, seen);
        report.refused = refused;
        report.reason = report.reason.or(words);
    }
    report
}

/// Whether what VMs of a NAT open leaves by the edge, in some family.
fn goes_by_edge(translation: &Translation<'_>) -> bool {
    [false, true].iter().any(|v6| matches!(translation.sources(*v6), Sources::Shared(_)))
}

/// The state as far as rules and devices go.
fn state(
    compartment: &Compartment,
    seen: &Seen,
    inside_alone: bool,
    by_edge: bool,
) -> (ConnectionState, Option<String>) {
    let down = |reason: String| (ConnectionState::Down, Some(reason));
    if let Some(trouble) = &seen.trouble {
        return down(trouble.clone());
    }
    if compartment.standby {
        return (ConnectionState::Standby, None);
    }
    if !seen.rules {
        return (ConnectionState::Connecting, None);
    }
    if inside_alone {
        return (ConnectionState::Up, None);
    }
    let Some(outside) = &compartment.outside else {
        return down("the compartment has no outside; declare one for it".to_owned());
    };
    if let Some(trouble) = seen.edge.as_ref().filter(|_| by_edge) {
        return down(trouble.clone());
    }
    let own = !layout::outside_addresses(compartment, outside).is_empty();
    if own && !by_edge {
        if seen.carrier == Some(false) {
            return down(NO_CARRIER.to_owned());
        }
        if let Some(router) = seen.silent.first() {
            return down(silent(*router));
        }
    }
    (ConnectionState::Up, None)
}

/// What is said of an external interface that is there and leads nowhere.
pub const NO_CARRIER: &str = "the external interface has no carrier; see to its cable or its switch";

/// What is said of a router that does not answer.
pub fn silent(router: IpAddr) -> String {
    let protocol = if router.is_ipv6() { "neighbor discovery" } else { "ARP" };
    format!(
        "the router {router} does not answer {protocol} on the external interface; see that it is there, and that interface \
         and VLAN are the right ones"
    )
}

/// Addresses outside that a connection has.
fn addresses(compartment: &Compartment, service: Service<'_>, translation: Option<&Translation<'_>>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = match (service, translation) {
        (Service::Nat(nat), Some(translation)) => {
            let sources = [false, true].into_iter().flat_map(|v6| match translation.sources(v6) {
                Sources::None => Vec::new(),
                Sources::Own(own) => own.clone(),
                Sources::Shared(parts) => parts.iter().map(|part| part.address).collect(),
            });
            let floating = nat.floating.iter().map(|floating| floating.external);
            let forwards = nat.forwards.iter().filter_map(|forward| translation.external(forward));
            sources.chain(floating).chain(forwards).collect()
        }
        (Service::Routing(_) | Service::Ipsec(_) | Service::Wireguard(_), _) => {
            let outside = compartment.outside.iter().flat_map(|outside| &outside.addresses);
            outside.map(ipnet::IpNet::addr).collect()
        }
        _ => Vec::new(),
    };
    let mut once = Vec::new();
    addresses.retain(|address| {
        let new = !once.contains(address);
        once.push(*address);
        new
    });
    addresses
}

/// How many connections a NAT has refused, and why it refused some lately.
fn refusals(translation: &Translation<'_>, seen: &Seen) -> (u64, Option<String>) {
    let number = translation.number;
    let NatLimits { connections, connections_per_address, new_per_second } = translation.nat.limits;
    let packets = |counts: &Counts, name: &str| counts.get(name).map_or(0, |(packets, _)| *packets);
    let mut total = 0;
    let mut words = Vec::new();
    let mut add = |now: u64, before: u64, why: String| {
        total += now;
        if now > before {
            words.push(why);
        }
    };
    let limits = [
        (counter::too_many(number), connections, "connections at once"),
        (counter::too_many_of_one(number), connections_per_address, "connections at once of each address"),
        (counter::too_fast(number), new_per_second, "new connections a second"),
    ];
    for (name, limit, of) in limits {
        let why =
            format!("the limit of {} {of} is reached; raise it, or see which VM opens so many", limit.unwrap_or(0));
        add(packets(&seen.counts, &name), packets(&seen.before, &name), why);
    }
    add(seen.portless, seen.portless_before, dry(translation));
    let words = (!words.is_empty()).then(|| format!("connections were refused: {}", words.join("; ")));
    (total, words)
}

/// What is said when connections found no port.
fn dry(translation: &Translation<'_>) -> String {
    let blocks: Vec<_> = [false, true]
        .into_iter()
        .flat_map(|v6| match translation.sources(v6) {
            Sources::Shared(parts) => parts.clone(),
            Sources::None | Sources::Own(_) => Vec::new(),
        })
        .map(|part| format!("{}-{} of {}", part.ports.first(), part.ports.last(), part.address))
        .collect();
    match blocks.as_slice() {
        [] => "the ports of its addresses have run dry; give the connection more addresses".to_owned(),
        [one] => format!("the port block {one} has run dry; give the connection more ports"),
        several => format!("the port blocks {} have run dry; give the connection more ports", several.join(", ")),
    }
}
