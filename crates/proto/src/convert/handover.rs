//! What a host hands over of a VM that moves. Flows are of the VM's port: no message can name another one's.

use std::time::Duration;

use model::LeaseState;
use pipeline::flow::FlowKey;
use pipeline::policy::Direction;
use pipeline::track::{Phase, State};
use pipeline::travel::Traveller;
use plan::{to_address, to_ip};

use super::values::{WireError, address_in, address_out, mac_in, mac_out, refused, vsid_in};
use crate::{Handover, Lease, Station, wire};

pub fn handover_out(handover: &Handover) -> wire::Handover {
    wire::Handover {
        vsid: handover.station.vsid.get(),
        mac: mac_out(handover.station.mac),
        flows: handover.flows.iter().map(flow_out).collect(),
        leases: handover.leases.iter().map(lease_out).collect(),
    }
}

pub fn handover_in(handover: wire::Handover) -> Result<Handover, WireError> {
    let (vsid, mac) = (vsid_in("handover.vsid", handover.vsid)?, mac_in("handover.mac", &handover.mac)?);
    let station = Station { vsid, mac };
    if handover.flows.len() > Handover::MAX_FLOWS {
        let limit = format!("there are at most {} in a message", Handover::MAX_FLOWS);
        return Err(refused("handover.flows", format!("{} flows", handover.flows.len()), limit));
    }
    Ok(Handover {
        station,
        flows: handover.flows.into_iter().map(|flow| flow_in(station, &flow)).collect::<Result<_, _>>()?,
        leases: handover.leases.into_iter().map(lease_in).collect::<Result<_, _>>()?,
    })
}

fn flow_out(flow: &Traveller) -> wire::Flow {
    let State { phase, opener, local_fin, remote_fin, epoch: _ } = State::from_bits(flow.state);
    wire::Flow {
        protocol: flow.key.protocol.into(),
        local: address_out(to_ip(flow.key.local)),
        remote: address_out(to_ip(flow.key.remote)),
        ports: flow.key.ports,
        phase: phase as u32,
        incoming: opener == Direction::Ingress,
        local_fin,
        remote_fin,
        idle: flow.idle,
        from_packets: flow.from_packets,
        from_bytes: flow.from_bytes,
        to_packets: flow.to_packets,
        to_bytes: flow.to_bytes,
    }
}

fn flow_in(station: Station, flow: &wire::Flow) -> Result<Traveller, WireError> {
    let protocol = flow.protocol.try_into();
    let protocol = protocol.map_err(|_| refused("flow.protocol", flow.protocol, "an IP protocol is one byte"))?;
    let phase = u8::try_from(flow.phase).ok().filter(|phase| *phase <= Phase::Reset as u8);
    let phase = phase.ok_or_else(|| refused("flow.phase", flow.phase, "flows have six phases"))?;
    let state = State {
        phase: Phase::from_number(phase),
        opener: if flow.incoming { Direction::Ingress } else { Direction::Egress },
        local_fin: flow.local_fin,
        remote_fin: flow.remote_fin,
        epoch: 0,
    };
    let key = FlowKey {
        vsid: station.vsid.get(),
        ports: flow.ports,
        mac: station.mac.octets(),
        protocol,
        reserved: 0,
        local: to_address(address_in("flow.local", &flow.local)?),
        remote: to_address(address_in("flow.remote", &flow.remote)?),
    };
    Ok(Traveller {
        key,
        state: state.to_bits(),
        idle: flow.idle,
        from_packets: flow.from_packets,
        from_bytes: flow.from_bytes,
        to_packets: flow.to_packets,
        to_bytes: flow.to_bytes,
    })
}

fn lease_out(lease: &Lease) -> wire::Lease {
    let state = match lease.state {
        LeaseState::Offered => wire::LeaseState::Offered,
        LeaseState::Bound => wire::LeaseState::Bound,
        LeaseState::Refused => wire::LeaseState::Refused,
        LeaseState::Released => wire::LeaseState::Released,
        LeaseState::Declined => wire::LeaseState::Declined,
    };
    let age = u64::try_from(lease.age.as_millis()).unwrap_or(u64::MAX);
    wire::Lease { address: address_out(lease.address), state: state.into(), age }
}

fn lease_in(lease: wire::Lease) -> Result<Lease, WireError> {
    let state = match wire::LeaseState::try_from(lease.state) {
        Ok(wire::LeaseState::Offered) => LeaseState::Offered,
        Ok(wire::LeaseState::Bound) => LeaseState::Bound,
        Ok(wire::LeaseState::Refused) => LeaseState::Refused,
        Ok(wire::LeaseState::Released) => LeaseState::Released,
        Ok(wire::LeaseState::Declined) => LeaseState::Declined,
        Err(_) => return Err(WireError::Missing { field: "lease.state" }),
    };
    let age = Duration::from_millis(lease.age);
    Ok(Lease { address: address_in("lease.address", &lease.address)?, state, age })
}
