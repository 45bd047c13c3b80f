//! Select-NetVirtualizationNextHop: to which MAC address a VM sends for a destination.

use std::net::IpAddr;

use model::{Intent, Kind, Vsid};

use super::VSID;
use crate::cmdlets::parameter::{Parameter, Takes, mac_text};
use crate::cmdlets::{Call, Cmdlet};
use crate::run::{Emit, Shell, Stop};
use crate::value::{Class, Object, Value, View};

const CLASS: Class = Class {
    name: "Microsoft.Management.Infrastructure.CimInstance#ROOT/StandardCimv2/MSFT_NetVirtualizationNextHopLookup",
    view: View::List(&[
        "SourceCustomerAddress",
        "DestinationCustomerAddress",
        "SourceVirtualSubnetID",
        "NextHopAddress",
        "SourceMACAddress",
        "NextHopMACAddress",
    ]),
};

pub(super) const CMDLETS: &[Cmdlet] = &[Cmdlet::new(
    "Select-NetVirtualizationNextHop",
    "Says to which address and MAC address a VM of a subnet sends what is for another address.",
    &[
        Parameter::new("SourceCustomerAddress", Takes::Address).at(0),
        Parameter::new("DestinationCustomerAddress", Takes::Address).at(1).must(),
        Parameter::new("SourceVirtualSubnetID", VSID).at(2).must(),
    ],
    select,
)
.remote()
.changing()];

/// What a host knows of customers.
fn policy(shell: &mut Shell, call: &Call<'_>, host: Option<&str>) -> Result<Intent, Stop> {
    let mut resources = Vec::new();
    for kind in [Kind::Global, Kind::CustomerRoute, Kind::LookupRecord] {
        let entries = shell.hosts.list(host, kind).or_else(|error| call.fail(error))?;
        resources.extend(entries.into_iter().map(|entry| entry.resource));
    }
    // Only a host that changes while it is asked contradicts itself.
    Intent::new(resources)
        .or_else(|errors| call.fail(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))
}

fn select(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let source: Option<IpAddr> = call.bound.text("SourceCustomerAddress").and_then(|text| text.parse().ok());
    let to: IpAddr = super::parsed(call.bound, "DestinationCustomerAddress").or_else(|error| call.fail(error))?;
    let vsid: Vsid = super::parsed(call.bound, "SourceVirtualSubnetID").or_else(|error| call.fail(error))?;
    for host in call.sessions()? {
        let host = host.as_deref();
        let policy = policy(shell, call, host)?;
        if !call.should(shell, call.cmdlet.name, &to.to_string())? {
            continue;
        }
        let record = source.and_then(|source| policy.record_of(vsid, source)).map(|(_, record)| record.mac);
        if let (Some(source), None) = (source, record) {
            return call.fail(format!(
                "-SourceCustomerAddress \"{source}\": VSID {vsid} has no lookup record of this address"
            ));
        }
        let gateway_mac = shell.hosts.gateway_mac(host).or_else(|error| call.fail(error))?;
        let hop = plan::next_hop(&policy, gateway_mac, vsid, to)
            .or_else(|error| call.fail(format!("-DestinationCustomerAddress \"{to}\": {error}")))?;
        let mut fields = vec![
            ("SourceCustomerAddress", Value::text(source.map(|it| it.to_string()).unwrap_or_default())),
            ("DestinationCustomerAddress", Value::text(to.to_string())),
            ("SourceVirtualSubnetID", Value::Integer(vsid.get().into())),
            ("NextHopAddress", Value::text(hop.address.to_string())),
            ("SourceMACAddress", Value::text(record.map(mac_text).unwrap_or_default())),
            ("NextHopMACAddress", Value::text(mac_text(hop.mac))),
        ];
        fields.extend(host.map(|host| ("PSComputerName", Value::text(host))));
        emit(shell, Object::value(&CLASS, fields))?;
    }
    Ok(())
}
