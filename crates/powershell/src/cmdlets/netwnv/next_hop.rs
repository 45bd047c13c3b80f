//! Select-NetVirtualizationNextHop: to which MAC address a VM sends for a destination.

use std::net::IpAddr;

use model::{CustomerRoute, Kind, LookupRecord, LookupRecordType, Resource, Vsid};

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
struct Policy {
    records: Vec<LookupRecord>,
    routes: Vec<CustomerRoute>,
}

impl Policy {
    fn of(shell: &mut Shell, call: &Call<'_>, host: Option<&str>) -> Result<Self, Stop> {
        let mut policy = Self { records: Vec::new(), routes: Vec::new() };
        for kind in [Kind::LookupRecord, Kind::CustomerRoute] {
            for entry in shell.hosts.list(host, kind).or_else(|error| call.fail(error))? {
                match entry.resource {
                    Resource::LookupRecord(record) => policy.records.push(record),
                    Resource::CustomerRoute(route) => policy.routes.push(route),
                    _ => {}
                }
            }
        }
        Ok(policy)
    }

    fn record(&self, vsid: Vsid, address: IpAddr) -> Option<&LookupRecord> {
        let mut records = self.records.iter().filter(|record| record.vsid == vsid);
        records.find(|record| record.customer_address == Some(address))
    }

    /// The route that leads to an address: the longest prefix, then the lowest metric.
    fn route(&self, vsid: Vsid, to: IpAddr) -> Option<&CustomerRoute> {
        let rdid = self.routes.iter().find(|route| route.vsid == vsid)?.rdid;
        let leading = self.routes.iter().filter(|route| route.rdid == rdid && route.prefix.contains(&to));
        leading.min_by_key(|route| (u8::MAX - route.prefix.prefix_len(), route.metric))
    }

    /// The gateway of a subnet, of the family of an address.
    fn gateway(&self, vsid: Vsid, like: IpAddr) -> Option<IpAddr> {
        let mut gateways = self.routes.iter().filter(|route| route.vsid == vsid).filter_map(CustomerRoute::gateway);
        gateways.find(|gateway| gateway.is_ipv4() == like.is_ipv4())
    }
}

fn select(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let source: Option<IpAddr> = call.bound.text("SourceCustomerAddress").and_then(|text| text.parse().ok());
    let to: IpAddr = super::parsed(call.bound, "DestinationCustomerAddress").or_else(|error| call.fail(error))?;
    let vsid: Vsid = super::parsed(call.bound, "SourceVirtualSubnetID").or_else(|error| call.fail(error))?;
    for host in call.sessions()? {
        let host = host.as_deref();
        let policy = Policy::of(shell, call, host)?;
        if !call.should(shell, call.cmdlet.name, &to.to_string())? {
            continue;
        }
        let mac_of = |address: Option<IpAddr>| address.and_then(|it| policy.record(vsid, it)).map(|record| record.mac);
        if let (Some(source), None) = (source, mac_of(source)) {
            return call.fail(format!(
                "-SourceCustomerAddress \"{source}\": VSID {vsid} has no lookup record of this address"
            ));
        }
        let (hop, mac) = match policy.route(vsid, to) {
            Some(route) if route.vsid == vsid && route.is_on_link() => {
                let wildcard = || {
                    policy
                        .records
                        .iter()
                        .find(|it| it.vsid == vsid && it.record_type == LookupRecordType::GatewayWildcard)
                };
                let gateway = policy.gateway(vsid, to) == Some(to);
                match policy.record(vsid, to).or_else(wildcard) {
                    _ if gateway => (to, shell.hosts.gateway_mac(host).or_else(|error| call.fail(error))?),
                    Some(record) => (to, record.mac),
                    None => {
                        return call.fail(format!(
                            "-DestinationCustomerAddress \"{to}\": VSID {vsid} has neither a lookup record of this address nor a wildcard"
                        ));
                    }
                }
            }
            Some(_) => match policy.gateway(vsid, to) {
                Some(gateway) => (gateway, shell.hosts.gateway_mac(host).or_else(|error| call.fail(error))?),
                None => {
                    return call.fail(format!("-SourceVirtualSubnetID \"{vsid}\": the subnet has no gateway for {to}"));
                }
            },
            None => {
                return call.fail(format!("-DestinationCustomerAddress \"{to}\": no customer route of the routing domain of VSID {vsid} leads there"));
            }
        };
        let mut fields = vec![
            ("SourceCustomerAddress", Value::text(source.map(|it| it.to_string()).unwrap_or_default())),
            ("DestinationCustomerAddress", Value::text(to.to_string())),
            ("SourceVirtualSubnetID", Value::Integer(vsid.get().into())),
            ("NextHopAddress", Value::text(hop.to_string())),
            ("SourceMACAddress", Value::text(mac_of(source).map(mac_text).unwrap_or_default())),
            ("NextHopMACAddress", Value::text(mac_text(mac))),
        ];
        fields.extend(host.map(|host| ("PSComputerName", Value::text(host))));
        emit(shell, Object::value(&CLASS, fields))?;
    }
    Ok(())
}
