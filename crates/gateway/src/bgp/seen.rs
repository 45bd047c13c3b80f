//! What BIRD says of its sessions, and what it means in words.

use std::collections::BTreeMap;

use ipnet::IpNet;
use plan::gateway::bird::Session;

/// A session as BIRD shows it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Seen {
    /// Its state in RFC 4271's words.
    pub(super) state: String,
    /// What went wrong last. It stays there when all is well again.
    pub(super) last_error: Option<String>,
}

impl Seen {
    pub(super) fn is_established(&self) -> bool {
        self.state == "Established"
    }
}

/// Reads the answer to `show protocols all`: the sessions by their names.
pub(super) fn sessions(lines: &[String]) -> BTreeMap<String, Seen> {
    let mut sessions: BTreeMap<String, Seen> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in lines {
        if !line.starts_with(' ') && !line.is_empty() {
            let mut words = line.split_whitespace();
            let name = words.next().filter(|_| words.next() == Some("BGP"));
            current = name.map(str::to_owned);
            if let Some(name) = name {
                sessions.insert(name.to_owned(), Seen::default());
            }
            continue;
        }
        let Some(session) = current.as_ref().and_then(|name| sessions.get_mut(name)) else { continue };
        match line.trim().split_once(':') {
            Some(("BGP state", state)) => session.state = state.trim().to_owned(),
            Some(("Last error", error)) => session.last_error = Some(error.trim().to_owned()),
            _ => {}
        }
    }
    sessions
}

/// Reads the answer to `show route`: prefixes, each once.
pub(super) fn prefixes(lines: &[String]) -> Vec<IpNet> {
    let words =
        lines.iter().filter(|line| !line.starts_with([' ', '\t'])).filter_map(|line| line.split_whitespace().next());
    let mut prefixes: Vec<IpNet> = words.filter_map(|word| word.parse().ok()).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    prefixes
}

/// Why a session is not up, as a sentence that says what to do.
pub(super) fn reason(session: &Session<'_>, seen: &Seen) -> String {
    let neighbor = session.neighbor;
    let address = neighbor.address;
    let (ours, theirs) = (session.bgp.local_as, neighbor.remote_as);
    if session.is_off_link() {
        let device = &session.device;
        return format!(
            "neighbor {address} is in no prefix that {device} has an address of; correct the address, or set multihop"
        );
    }
    let error = seen.last_error.as_deref().unwrap_or_default();
    let us = session.local.map_or_else(|| format!("AS {ours}"), |local| format!("{local} in AS {ours}"));
    let agreed = if neighbor.password.is_some() { "has the same password and " } else { "asks for no password and " };
    if error.contains("imit exceeded") {
        let most = session.max_prefixes();
        format!(
            "neighbor {address} told more than {most} prefixes; raise maxPrefixes, or have it tell fewer; the session is tried again by itself"
        )
    } else if error.starts_with("Received: ") && error.contains("Bad peer AS") {
        format!("neighbor {address} does not expect AS {ours}; set localAs to what it expects, or correct it there")
    } else if error.contains("Bad peer AS") {
        format!("neighbor {address} is not in AS {theirs}; set remoteAs to its autonomous system")
    } else if error.contains("Hold timer expired") {
        format!(
            "neighbor {address} fell silent for longer than the hold time; look whether it runs, and at the path to it"
        )
    } else if error.contains("Connection refused") {
        format!("neighbor {address} refuses to speak BGP; start BGP there")
    } else if error.contains("closed") || error.contains("reset") || error.contains("ejected") {
        format!("neighbor {address} ends the connection ({error}); make {us} a neighbor there")
    } else if error.is_empty() || error.starts_with("Socket: ") || error.contains("Neighbor lost") {
        let how = error.strip_prefix("Socket: ").filter(|how| !how.is_empty());
        let how = how.map(|how| format!(" ({})", how.to_lowercase())).unwrap_or_default();
        format!(
            "there is no answer from neighbor {address}{how}; look whether it runs, {agreed}has {us} as its neighbor"
        )
    } else if let Some(told) = error.strip_prefix("Received: ") {
        format!("neighbor {address} ended the session with \"{told}\"; look into its log")
    } else {
        format!("the session with neighbor {address} ended with \"{error}\"; it is tried again")
    }
}
