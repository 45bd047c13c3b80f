//! What a gateway's host makes of a [`Compartment`]: rules, routes and the words of daemons. Pure: text and data out, which
//! the role `gateway` carries out.
//!
//! Inside of a compartment's namespace devices have fixed names, so that rules and a person find them: [`INSIDE`],
//! [`OUTSIDE`], [`EDGE`], `wg0`, `wg1`, … and `ipsec0`. A connection is known in rules, marks and classes of bandwidth by its
//! number, see [`number`].

use model::gateway::{Compartment, Connection, Service};

/// The compartment's end of the port's device.
pub const INSIDE: &str = "inside";
/// Its device on the external interface.
pub const OUTSIDE: &str = "outside";
/// Its device towards the host's edge, where addresses that compartments share are told apart.
pub const EDGE: &str = "edge";

/// The numbers of connections begin here; 0 is no connection.
pub const FIRST_NUMBER: u16 = 1;

/// The kernel's table of the routes that BGP has learnt, in each compartment. It is asked before the main table. Rules tell by
/// it what may leave untranslated by a routed connection.
pub const LEARNT_TABLE: u32 = 100;

/// The device of a tunnel in its compartment: `wg0`, `wg1`, … in the order of the WireGuard connections, and `ipsec0` of all
/// IPsec connections together, which are told apart by what lies behind them. `None` for what is no tunnel.
pub fn tunnel_device(compartment: &Compartment, connection: &Connection) -> Option<String> {
    match connection.service()? {
        Service::Wireguard(_) => {
            let mut tunnels = compartment.connections.iter().filter(|other| other.wireguard.is_some());
            tunnels.position(|other| other.name == connection.name).map(|place| format!("wg{place}"))
        }
        Service::Ipsec(_) => Some("ipsec0".to_owned()),
        Service::Nat(_) | Service::Routing(_) | Service::Dns(_) => None,
    }
}

/// The number of a connection in its compartment: its place, from [`FIRST_NUMBER`] on.
pub fn number(compartment: &Compartment, connection: &Connection) -> Option<u16> {
    let place = compartment.connections.iter().position(|other| other.name == connection.name)?;
    u16::try_from(place).ok()?.checked_add(FIRST_NUMBER)
}
