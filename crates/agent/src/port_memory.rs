//! What this host remembers of a port's VM, told and taken in in words, for VMs that move between hosts by hand. Between
//! hosts of a controller `session` carries it.

use std::net::IpAddr;
use std::time::Duration;

use api::{Connection, PastLease, PortMemory, Problem, Remembered, protocol_name, protocol_number};
use model::{Port, Vsid};
use pipeline::flow::FlowKey;
use pipeline::policy::Direction;
use pipeline::track::State;
use pipeline::travel::{Traveller, set_out};
use plan::{to_address, to_ip};

use crate::core::Core;
use crate::flows::{PHASES, now};
use crate::plugging;

/// Nanoseconds in a millisecond.
const MILLISECOND: u64 = 1_000_000;

/// What is remembered of a port's VM.
pub fn of(core: &Core, name: &str) -> Result<PortMemory, Problem> {
    let (port, vsid) = virtualized(core, name)?;
    let flows = core.datapath.flows().map_err(|error| Problem::internal(error.to_string()))?;
    let now = now();
    let own = flows.iter().filter(|(key, _)| key.vsid == vsid.get() && key.mac == port.mac.octets());
    let connections = own.filter_map(|(key, flow)| set_out(key, flow, now)).map(|flow| told(&flow)).collect();
    let lease = |lease: proto::Lease| PastLease {
        address: lease.address,
        state: lease.state,
        age_ms: u64::try_from(lease.age.as_millis()).unwrap_or(u64::MAX),
    };
    let leases = core.leases.handed_over(&port).into_iter().map(lease).collect();
    Ok(PortMemory { vsid, mac: port.mac, connections, leases })
}

/// Takes in what another host remembers of a port's VM: all of it, or, if a part cannot be understood, nothing.
pub fn take_in(core: &mut Core, name: &str, memory: &PortMemory) -> Result<Remembered, Problem> {
    let (port, vsid) = virtualized(core, name)?;
    if (vsid, port.mac) != (memory.vsid, memory.mac) {
        return Err(Problem::conflict(format!(
            "this is of MAC address {} in VSID {}, and port {name} has {} in {vsid}; give it to the port of the same VM",
            memory.mac, memory.vsid, port.mac
        )));
    }
    let Some(ifindex) = core.ports().get(&port.name).and_then(plan::PortStatus::ifindex) else {
        return Err(Problem::conflict(format!(
            "port {name} has no device yet, and no connections without one; plug it first (\"netvirt port plug {name}\")"
        )));
    };
    let flows = memory.connections.iter().map(|connection| understood(&port, vsid, connection));
    let flows = flows.collect::<Result<Vec<Traveller>, Problem>>()?;
    let lease = |lease: &PastLease| proto::Lease {
        address: lease.address,
        state: lease.state,
        age: Duration::from_millis(lease.age_ms),
    };
    let leases: Vec<proto::Lease> = memory.leases.iter().map(lease).collect();
    let taken = core.datapath.take_flows(ifindex, &flows).map_err(|error| Problem::internal(error.to_string()))?;
    core.leases.take_over(&port, &leases);
    Ok(Remembered { connections: taken.taken, known: taken.known, ended: taken.gone, no_room: taken.no_room })
}

/// A port of this host in a virtualized subnet, by its name, device or UUID; and its VSID.
fn virtualized(core: &Core, name: &str) -> Result<(Port, Vsid), Problem> {
    let Some(port) = plugging::find(core, name)? else { return Err(plugging::unknown(core, name)) };
    match port.vsid {
        Some(vsid) => Ok((port, vsid)),
        None => Err(Problem::bad_request(format!(
            "port {name} is in no VM subnet, and its host remembers no connections of such ports"
        ))),
    }
}

fn told(flow: &Traveller) -> Connection {
    let (key, state) = (&flow.key, State::from_bits(flow.state));
    Connection {
        protocol: protocol_name(key.protocol),
        local: to_ip(key.local),
        local_port: (key.ports >> 16) as u16,
        remote: to_ip(key.remote),
        remote_port: key.ports as u16,
        opened: opened(state.opener).to_owned(),
        state: state.phase.name().to_owned(),
        local_fin: state.local_fin,
        remote_fin: state.remote_fin,
        idle_ms: flow.idle / MILLISECOND,
        from_packets: flow.from_packets,
        from_bytes: flow.from_bytes,
        to_packets: flow.to_packets,
        to_bytes: flow.to_bytes,
    }
}

const fn opened(opener: Direction) -> &'static str {
    match opener {
        Direction::Egress => "egress",
        Direction::Ingress => "ingress",
    }
}

fn understood(port: &Port, vsid: Vsid, connection: &Connection) -> Result<Traveller, Problem> {
    let wrong = |field: &str, value: &str, say: &str| {
        let (local, remote) = (connection.local, connection.remote);
        Problem::bad_request(format!(
            "the connection of {local} with {remote} has {field} \"{value}\", and that is none; say {say}"
        ))
    };
    let protocol = protocol_number(&connection.protocol)
        .ok_or_else(|| wrong("protocol", &connection.protocol, "tcp, udp, icmp, icmpv6, or a number from 0 to 255"))?;
    let phase = PHASES.into_iter().find(|phase| phase.name() == connection.state);
    let phase =
        phase.ok_or_else(|| wrong("state", &connection.state, "one of new, opening, open, closing, closed, reset"))?;
    let opener = [Direction::Egress, Direction::Ingress].into_iter().find(|it| opened(*it) == connection.opened);
    let opener = opener.ok_or_else(|| wrong("opened", &connection.opened, "egress or ingress"))?;
    let same_family = |address: IpAddr| address.is_ipv4() == connection.local.is_ipv4();
    if !same_family(connection.remote) {
        return Err(wrong("remote", &connection.remote.to_string(), "an address of the same family as local"));
    }
    let Connection { local_fin, remote_fin, .. } = *connection;
    let key = FlowKey {
        vsid: vsid.get(),
        ports: u32::from(connection.local_port) << 16 | u32::from(connection.remote_port),
        mac: port.mac.octets(),
        protocol,
        reserved: 0,
        local: to_address(connection.local),
        remote: to_address(connection.remote),
    };
    Ok(Traveller {
        key,
        state: State { phase, opener, local_fin, remote_fin, epoch: 0 }.to_bits(),
        idle: connection.idle_ms.saturating_mul(MILLISECOND),
        from_packets: connection.from_packets,
        from_bytes: connection.from_bytes,
        to_packets: connection.to_packets,
        to_bytes: connection.to_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port() -> Port {
        let mac = "06-06-00-00-00-05".parse().unwrap();
        Port::new("a".parse().unwrap(), "a".parse().unwrap(), mac, Some(Vsid::new(5001).unwrap()))
    }

    fn connection() -> Connection {
        Connection {
            protocol: "tcp".to_owned(),
            local: "10.0.0.5".parse().unwrap(),
            local_port: 443,
            remote: "10.0.0.7".parse().unwrap(),
            remote_port: 40_000,
            opened: "ingress".to_owned(),
            state: "closing".to_owned(),
            local_fin: true,
            remote_fin: false,
            idle_ms: 1_500,
            from_packets: 1,
            from_bytes: 2,
            to_packets: 3,
            to_bytes: 4,
        }
    }

    #[test]
    fn what_is_told_is_understood() {
        let vsid = Vsid::new(5001).unwrap();
        let flow = understood(&port(), vsid, &connection()).unwrap();
        assert_eq!((flow.key.ports, flow.key.mac, flow.idle), (443 << 16 | 40_000, [6, 6, 0, 0, 0, 5], 1_500_000_000));
        assert_eq!(told(&flow), connection());
    }

    #[test]
    fn what_is_no_connection_is_named() {
        let wrong = |change: fn(&mut Connection), word: &str| {
            let mut connection = connection();
            change(&mut connection);
            let problem = understood(&port(), Vsid::new(5001).unwrap(), &connection).unwrap_err();
            assert!(problem.detail.contains(word) && problem.detail.contains("10.0.0.5"), "{}", problem.detail);
        };
        wrong(|it| it.protocol = "tcpp".to_owned(), "\"tcpp\"");
        wrong(|it| it.state = "ajar".to_owned(), "\"ajar\"");
        wrong(|it| it.opened = "both".to_owned(), "\"both\"");
        wrong(|it| it.remote = "fd00::7".parse().unwrap(), "fd00::7");
    }
}
