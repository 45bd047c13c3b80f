//! BGP of a compartment, in BIRD's words: one process of it speaks for all connections.
//!
//! What is learnt goes to the kernel's table [`LEARNT_TABLE`] and stays there when BIRD dies. What is announced is the
//! compartment's own, never what another neighbor has told: a compartment is no way between two sites.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use model::gateway::{Bgp, BgpNeighbor, Compartment, Connection, PrefixFilter, Secret, Service};

use super::{INSIDE, LEARNT_TABLE, OUTSIDE, tunnel_device};

/// The protocol number by which the kernel knows BIRD's routes (RTPROT_BIRD).
pub const ROUTE_PROTOCOL: u8 = 12;
/// Seconds without a word after which a session ends, if nothing else is said.
const HOLD_TIME: u16 = 9;
/// How many prefixes a neighbor may tell, if nothing else is said.
pub const MAX_PREFIXES: u32 = 1000;
/// The longest password that the kernel takes (TCP_MD5SIG_MAXKEYLEN).
const LONGEST_PASSWORD: usize = 80;
/// The longest part of a connection's name in a protocol's: BIRD's names have at most 63 bytes, and an address has 39.
const LONGEST_NAME: usize = 18;
/// Seconds for which a BIRD that starts tells its neighbors that it forwarded all the time (RFC 4724), and for which one that
/// is started again leaves the kernel's routes as they are.
const RECOVERY: u32 = 20;
/// Nothing that is ever routed (RFC 6890): not even a neighbor whose filters name all is believed that it has these.
const MARTIANS: [&[&str]; 2] = [
    &["0.0.0.0/8+", "127.0.0.0/8+", "169.254.0.0/16+", "224.0.0.0/4+", "240.0.0.0/4+"],
    &["::/128", "::1/128", "fe80::/10+", "ff00::/8+"],
];

/// A session with a neighbor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session<'c> {
    /// What BIRD calls it. It follows from the connection's name and the neighbor's address, so that a session stays up when
    /// others come and go.
    pub protocol: String,
    /// The connection that it is of.
    pub connection: &'c Connection,
    /// The connection's part of BGP.
    pub bgp: &'c Bgp,
    /// The neighbor.
    pub neighbor: &'c BgpNeighbor,
    /// The device by which the neighbor is reached.
    pub device: String,
    /// Our addresses on that device.
    pub addresses: &'c [IpNet],
    /// Our address in it, where one is known.
    pub local: Option<IpAddr>,
}

impl Session<'_> {
    /// How many prefixes the neighbor may tell.
    pub fn max_prefixes(&self) -> u32 {
        self.neighbor.max_prefixes.unwrap_or(MAX_PREFIXES).max(1)
    }

    /// Whether the neighbor must be on the device's link, and is not by our addresses there.
    pub fn is_off_link(&self) -> bool {
        let address = self.neighbor.address;
        let on_link = is_link_local(address) || self.addresses.iter().any(|own| own.contains(&address));
        !self.neighbor.multihop && !on_link
    }

    fn is_v6(&self) -> bool {
        self.neighbor.address.is_ipv6()
    }
}

/// The sessions of a compartment; none while it stands by.
pub fn sessions(compartment: &Compartment) -> Vec<Session<'_>> {
    let mut sessions = Vec::new();
    let mut taken = BTreeSet::new();
    for connection in compartment.connections.iter().filter(|_| !compartment.standby) {
        let Some((bgp, service)) = connection.bgp.as_ref().zip(connection.service()) else { continue };
        let (device, addresses) = match service {
            Service::Routing(_) => {
                let outside = compartment.outside.as_ref();
                (Some(OUTSIDE.to_owned()), outside.map_or(&[][..], |outside| &outside.addresses))
            }
            Service::Ipsec(ipsec) => (tunnel_device(compartment, connection), &ipsec.addresses[..]),
            Service::Wireguard(wireguard) => (tunnel_device(compartment, connection), &wireguard.addresses[..]),
            Service::Nat(_) | Service::Dns(_) => continue,
        };
        let Some(device) = device else { continue };
        for neighbor in &bgp.neighbors {
            let protocol = protocol_name(connection, neighbor, &mut taken);
            let local = local_address(neighbor.address, addresses);
            sessions.push(Session { protocol, connection, bgp, neighbor, device: device.clone(), addresses, local });
        }
    }
    sessions
}

/// Why no session can be had with a neighbor as it is declared, as a sentence that says what to do.
pub fn trouble(session: &Session<'_>) -> Option<String> {
    let address = session.neighbor.address;
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() || session.local == Some(address) {
        return Some(format!("{address} is no address of a neighbor; name the other router's own"));
    }
    if is_link_local(address) && session.neighbor.multihop {
        return Some(format!("neighbor {address} has an address of its link alone; leave multihop out"));
    }
    if let Some(wrong) = session.neighbor.password.as_ref().and_then(wrong_password) {
        return Some(format!("the password of neighbor {address} {wrong}; agree on another one with the neighbor"));
    }
    if session.neighbor.remote_as == 0 || session.bgp.local_as == 0 {
        return Some(format!(
            "with neighbor {address} an autonomous system is 0; set localAs and remoteAs to 1 or more"
        ));
    }
    if session.local.is_none() && !is_link_local(address) {
        let device = &session.device;
        return Some(format!(
            "neighbor {address} cannot be spoken with, since {device} has no address of its family; give the connection one"
        ));
    }
    None
}

/// What is wrong with a password: BIRD's strings have no quotes and no line ends in them.
fn wrong_password(password: &Secret) -> Option<&'static str> {
    let text = password.reveal();
    if text.is_empty() {
        Some("is empty")
    } else if text.len() > LONGEST_PASSWORD {
        Some("is longer than 80 bytes, which is what TCP MD5 signatures have room for")
    } else if text.chars().any(|c| c == '"' || c.is_control()) {
        Some("has a quotation mark or a control character, which BIRD cannot read")
    } else {
        None
    }
}

/// What a BIRD finds in the kernel when it starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// Nothing: it is the first here. Another host's may have spoken to the neighbors before, who then keep what that one has
    /// announced until this one has done so.
    First,
    /// The routes that the one before has learnt. They are left as they are until the neighbors have told theirs.
    Again,
}

/// BIRD's configuration for a compartment; `None` if nothing is for it to do. It is to be started with `-R`.
pub fn config(compartment: &Compartment, start: Start) -> Option<String> {
    let sessions: Vec<_> = sessions(compartment).into_iter().filter(|session| trouble(session).is_none()).collect();
    if sessions.is_empty() {
        return None;
    }
    let mut text = String::from("# Written by netvirt: what is changed here is lost.\n");
    text += "log stderr { info, warning, error, fatal, bug, remote, auth };\n";
    let _ = writeln!(text, "router id {};", router_id(compartment));
    let _ = writeln!(text, "graceful restart wait {RECOVERY};\nprotocol device {{ scan time 5; }}");
    // A neighbor that never comes. Only with it is the time above always waited for; else what a dead BIRD has left would be
    // swept away at once where neighbors know nothing of graceful restarts, or have themselves started lately, and be learnt
    // anew a second later. The address is nobody's (RFC 7600).
    text += "protocol bgp patience {\n  local as 64512; neighbor 192.0.0.8 as 64512; multihop; passive;\n  \
             graceful restart on; ipv4 { import none; export none; };\n}\n";
    for v6 in [false, true] {
        let of_family: Vec<_> = sessions.iter().filter(|session| session.is_v6() == v6).collect();
        text += &family(compartment, &of_family, start, v6);
    }
    for session in &sessions {
        text += &neighbor(compartment, session);
    }
    Some(text)
}

/// What the sessions of a family share: the kernel's tables, and what is announced. It is there without sessions too: else
/// routes of the last one would stay behind in the kernel.
fn family(compartment: &Compartment, sessions: &[&Session<'_>], start: Start, v6: bool) -> String {
    let (number, channel) = if v6 { ("6", "ipv6") } else { ("4", "ipv4") };
    let waits = if start == Start::Again { "graceful restart; " } else { "" };
    let mut text = format!(
        "protocol kernel learnt{number} {{\n  kernel table {LEARNT_TABLE}; persist; {waits}scan time 30;\n  \
         {channel} {{ import none; export where source = RTS_BGP; }};\n}}\n"
    );
    if sessions.iter().any(|session| session.neighbor.multihop) {
        // What is far away is reached by what is declared, never by what is learnt.
        let _ = write!(
            text,
            "{channel} table declared{number};\nprotocol kernel main{number} {{\n  learn; scan time 30;\n  \
             {channel} {{ table declared{number}; import all; export none; }};\n}}\n"
        );
    }
    let all: BTreeSet<IpNet> = sessions.iter().flat_map(|session| announced(compartment, session.bgp, v6)).collect();
    // They are there to be told to neighbors. The kernel has routes of its own to what they are for.
    let _ = writeln!(text, "protocol static announced{number} {{\n  {channel};");
    for prefix in all {
        let _ = writeln!(text, "  route {prefix} via \"{INSIDE}\";");
    }
    text + "}\n"
}

/// What a connection announces, of a family.
fn announced(compartment: &Compartment, bgp: &Bgp, v6: bool) -> BTreeSet<IpNet> {
    let said = if bgp.announce.is_empty() { &compartment.inside.prefixes } else { &bgp.announce };
    said.iter().map(IpNet::trunc).filter(|prefix| prefix.addr().is_ipv6() == v6).collect()
}

/// The session with a neighbor.
fn neighbor(compartment: &Compartment, session: &Session<'_>) -> String {
    let (neighbor, bgp) = (session.neighbor, session.bgp);
    let (number, channel) = if session.is_v6() { ("6", "ipv6") } else { ("4", "ipv4") };
    let mut text = format!("protocol bgp '{}' {{\n  description \"{}\";\n", session.protocol, session.connection.name);
    let local = session.local.map(|local| format!(" {local}")).unwrap_or_default();
    let _ = writeln!(
        text,
        "  local{local} as {};\n  neighbor {} as {};",
        bgp.local_as, neighbor.address, neighbor.remote_as
    );
    if let Some(id) = bgp.router_id {
        let _ = writeln!(text, "  router id {id};");
    }
    if neighbor.multihop {
        text += "  multihop;\n";
    } else {
        let _ = writeln!(text, "  direct; interface \"{}\";", session.device);
    }
    let hold = match neighbor.hold_time.unwrap_or(HOLD_TIME) {
        0 => 0,
        // Shorter than three is illegal (RFC 4271, 4.2).
        seconds => seconds.max(3),
    };
    let _ = writeln!(text, "  hold time {hold};");
    // It is tried again soon: a link that comes up is to carry routes at once, and a neighbor in error costs little.
    text += "  connect delay time 1; connect retry time 5; error wait time 2, 30; error forget time 120;\n";
    if let Some(password) = &neighbor.password {
        let _ = writeln!(text, "  password \"{}\";", password.reveal());
    }
    // A link that is lost is not told: another host may take over by the time the neighbor hears of it, and keeps its routes.
    text += "  check link off;\n";
    let graceful = if neighbor.graceful_restart.unwrap_or(true) { "on; graceful restart time 120" } else { "off" };
    let _ = writeln!(text, "  graceful restart {graceful};");
    let _ = writeln!(text, "  {channel} {{\n    next hop self;");
    if neighbor.multihop {
        let _ = writeln!(text, "    igp table declared{number};");
    }
    // All that is told counts, taken or not.
    let _ = writeln!(text, "    import keep filtered; receive limit {} action restart;", session.max_prefixes());
    text += &import(compartment, session);
    text += &export(compartment, session);
    text + "  };\n}\n"
}

/// What is taken of what a neighbor tells.
fn import(compartment: &Compartment, session: &Session<'_>) -> String {
    let v6 = session.is_v6();
    let own = compartment.inside.prefixes.iter().chain(&compartment.inside.addresses);
    let own: BTreeSet<IpNet> = own.map(IpNet::trunc).filter(|prefix| prefix.addr().is_ipv6() == v6).collect();
    let own = own.iter().map(|prefix| format!("{prefix}+"));
    let never = MARTIANS[usize::from(v6)].iter().map(|pattern| (*pattern).to_owned()).chain(own);
    let mut text = format!("    import filter {{\n      if net ~ [ {} ] then reject;\n", set(never));
    if session.neighbor.import.is_empty() {
        // The way to everything is taken where a filter names it, and not by the way.
        let everything = if v6 { "::/0" } else { "0.0.0.0/0" };
        let _ = writeln!(text, "      if net = {everything} then reject;");
    } else {
        text += &unless(&session.neighbor.import, v6);
    }
    let address = session.neighbor.address;
    // What is learnt by a connection leads over it, and nowhere else.
    let _ = match session.neighbor.multihop {
        true => writeln!(text, "      if bgp_next_hop != {address} then reject;"),
        false => writeln!(text, "      if ifname != \"{}\" then reject;", session.device),
    };
    text + "      accept;\n    };\n"
}

/// What a neighbor is told.
fn export(compartment: &Compartment, session: &Session<'_>) -> String {
    let v6 = session.is_v6();
    let announced = announced(compartment, session.bgp, v6);
    let mut text = String::from("    export filter {\n");
    if !announced.is_empty() {
        text += "      if source != RTS_STATIC then reject;\n";
        if !session.neighbor.export.is_empty() {
            text += &unless(&session.neighbor.export, v6);
        }
        let _ = writeln!(text, "      if net ~ [ {} ] then accept;", set(announced.iter().map(ToString::to_string)));
    }
    text + "      reject;\n    };\n"
}

/// Rejects what no filter takes.
fn unless(filters: &[PrefixFilter], v6: bool) -> String {
    let patterns: Vec<String> = filters.iter().filter_map(|filter| pattern(filter, v6)).collect();
    if patterns.is_empty() {
        return "      reject;\n".to_owned();
    }
    format!("      if !(net ~ [ {} ]) then reject;\n", set(patterns))
}

/// A filter in BIRD's words; `None` if it takes nothing of the family.
fn pattern(filter: &PrefixFilter, v6: bool) -> Option<String> {
    let prefix = filter.prefix.trunc();
    if prefix.addr().is_ipv6() != v6 {
        return None;
    }
    // To BIRD, lengths below the prefix's own would mean what the prefix is inside of.
    let shortest = filter.at_least.unwrap_or_default().max(prefix.prefix_len());
    let longest = filter.at_most.unwrap_or(shortest).min(prefix.max_prefix_len());
    (shortest <= longest).then(|| format!("{prefix}{{{shortest},{longest}}}"))
}

fn set(patterns: impl IntoIterator<Item = String>) -> String {
    patterns.into_iter().collect::<Vec<_>>().join(", ")
}

/// The router's identifier where a connection names none: the lowest IPv4 address outside, else inside, else four bytes of
/// the MAC address, which are no address but one of a kind.
fn router_id(compartment: &Compartment) -> Ipv4Addr {
    let lowest = |addresses: &mut dyn Iterator<Item = IpAddr>| {
        let v4 = addresses.filter_map(|address| if let IpAddr::V4(address) = address { Some(address) } else { None });
        v4.min()
    };
    let outside = compartment.outside.as_ref().and_then(|outside| {
        let own = outside.addresses.iter().map(IpNet::addr);
        lowest(&mut own.chain(outside.shared.iter().map(|shared| shared.address)))
    });
    let inside = || lowest(&mut compartment.inside.addresses.iter().map(IpNet::addr));
    outside.or_else(inside).unwrap_or_else(|| {
        let [_, _, a, b, c, d] = compartment.inside.mac.octets();
        Ipv4Addr::new(a | 1, b, c, d)
    })
}

/// Our address towards a neighbor: that whose prefix the neighbor is in, else the first of the family.
fn local_address(neighbor: IpAddr, addresses: &[IpNet]) -> Option<IpAddr> {
    if is_link_local(neighbor) {
        return None;
    }
    let near = addresses.iter().find(|own| own.contains(&neighbor));
    let of_family = || addresses.iter().find(|own| own.addr().is_ipv6() == neighbor.is_ipv6());
    near.or_else(of_family).map(IpNet::addr)
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// What BIRD calls a session: a symbol of letters, digits, `_`, `-`, `.` and `:`, with no blank.
fn protocol_name(connection: &Connection, neighbor: &BgpNeighbor, taken: &mut BTreeSet<String>) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = connection.name.as_str().chars().map(legal).take(LONGEST_NAME).collect();
    let base = format!("{name}:{}", neighbor.address);
    let mut all = std::iter::once(base.clone()).chain((2..).map(|number| format!("{base}:{number}")));
    let free = all.find(|name| !taken.contains(name)).unwrap_or(base);
    taken.insert(free.clone());
    free
}

#[cfg(test)]
#[path = "bird_tests.rs"]
mod tests;
