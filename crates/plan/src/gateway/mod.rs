//! What a gateway's host makes of a [`Compartment`]: rules, routes and the words of daemons. Pure: text and data out, which
//! the role `gateway` carries out.
//!
//! Inside of a compartment's namespace devices have fixed names, so that rules and a person find them: [`INSIDE`],
//! [`OUTSIDE`], [`EDGE`] and `ipsec0`. A connection is known in rules, marks, classes of bandwidth and the name of its device
//! of WireGuard by its number, see [`number`].
//!
//! - [`layout`]: devices, addresses, routes, sysctls of a compartment.
//! - [`ruleset`]: its rules for nftables: what may pass, translation, limits, counters.
//! - [`edge`]: the namespace of a host in which addresses that compartments share are told apart.
//! - [`shaping`]: classes of bandwidth.
//! - [`bird`], [`dns`], [`ipsec`]: what BIRD, dnsmasq and strongSwan are told.
//! - [`health`]: which of a gateway's hosts are well, and who takes the place of one that is not.
//! - [`judgement`]: how its connections are, after what is seen of them.
//! - [`namespace_name`]: what its namespace is called.

pub mod announce;
pub mod bird;
pub mod dns;
pub mod edge;
pub mod health;
pub mod ipsec;
pub mod judgement;
pub mod layout;
mod names;
mod nat;
pub mod ruleset;
pub mod shaping;
pub mod wireguard;

use model::gateway::{Compartment, Connection, Service};

pub use names::{edge_namespace, namespace_name, namespace_prefix};

/// The compartment's end of the port's device.
pub const INSIDE: &str = "inside";
/// Its device on the external interface.
pub const OUTSIDE: &str = "outside";
/// Its device towards the host's edge, where addresses that compartments share are told apart.
pub const EDGE: &str = "edge";

/// The kernel's table of the routes that BGP has learnt, in each compartment. It is asked before the main table. Rules tell by
/// it what may leave untranslated by a routed connection.
pub const LEARNT_TABLE: u32 = 100;

/// The numbers of connections begin here; 0 is no connection.
pub const FIRST_NUMBER: u16 = 1;

/// The bits of a mark that are a connection's number.
pub const NUMBER_MASK: u32 = 0xffff;

/// The last number: classes of bandwidth from 0xfff0 on are not given out.
const LAST_NUMBER: u16 = 0xffef;

/// The device of a tunnel in its compartment: of a WireGuard connection `wg` and its [`number`] in four digits, so that it and
/// what runs behind it stay when other connections come and go; of all IPsec connections together `ipsec0`, which are told
/// apart by what lies behind them. `None` for what is no tunnel.
pub fn tunnel_device(compartment: &Compartment, connection: &Connection) -> Option<String> {
    match connection.service()? {
        Service::Wireguard(_) => number(compartment, connection).map(wireguard::device),
        Service::Ipsec(_) => Some("ipsec0".to_owned()),
        Service::Nat(_) | Service::Routing(_) | Service::Dns(_) => None,
    }
}

/// The number of a connection in its compartment, from [`FIRST_NUMBER`] on. It follows from the connection's name and, where
/// two names would have one number, from those before it: what flows keeps its number when other connections come and go.
pub fn number(compartment: &Compartment, connection: &Connection) -> Option<u16> {
    let mut taken = Vec::new();
    for other in &compartment.connections {
        let mut number = first_choice(other.name.as_str());
        while taken.contains(&number) {
            number = if number == LAST_NUMBER { FIRST_NUMBER } else { number + 1 };
        }
        if other.name == connection.name {
            return Some(number);
        }
        taken.push(number);
    }
    None
}

/// The number that a name asks for.
fn first_choice(name: &str) -> u16 {
    let span = u64::from(LAST_NUMBER - FIRST_NUMBER) + 1;
    let offset = u16::try_from(names::hash(name.as_bytes()) % span).unwrap_or_default();
    FIRST_NUMBER + offset
}

#[cfg(test)]
mod examples;
#[cfg(test)]
mod tests {
    use super::examples::compartment;
    use super::*;

    #[test]
    fn a_number_outlives_the_coming_and_going_of_others() {
        let before = compartment();
        let kept = before.connections.last().unwrap().clone();
        let mut after = before.clone();
        after.connections.remove(0);
        assert_eq!(number(&before, &kept), number(&after, &kept));
        let mut numbers: Vec<_> = before.connections.iter().map(|one| number(&before, one).unwrap()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), before.connections.len());
    }

    #[test]
    fn tunnels_have_devices() {
        let device = |compartment: &Compartment, name: &str| {
            let connection = compartment.connections.iter().find(|one| one.name.as_str() == name).unwrap();
            tunnel_device(compartment, connection)
        };
        let mut compartment = compartment();
        assert_eq!(device(&compartment, "to-branch").as_deref(), Some("wg74da"));
        let depot = device(&compartment, "to-depot").unwrap();
        assert!(depot != "wg74da" && wireguard::is_device(&depot), "{depot}");
        assert_eq!(device(&compartment, "to-office").as_deref(), Some("ipsec0"));
        assert_eq!(device(&compartment, "internet"), None);
        // The first of several goes, and the others keep theirs.
        compartment.connections.retain(|one| one.name.as_str() != "to-branch");
        assert_eq!(device(&compartment, "to-depot"), Some(depot));
    }
}
