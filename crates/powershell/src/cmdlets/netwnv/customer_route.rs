//! NetVirtualizationCustomerRoute: inside of a routing domain, which subnet or which VM leads to a prefix.

use model::{CustomerRoute, Kind, Resource};

use super::{INPUT, PASS_THRU, Sort, UINT32, VSID, number, parsed};
use crate::cmdlets::Cmdlet;
use crate::cmdlets::bind::Bound;
use crate::cmdlets::parameter::{Parameter, Takes, guid_text};
use crate::hosts::{Entry, Interface};
use crate::value::{Class, Value, View};

const PROPERTIES: &[&str] = &["RoutingDomainID", "VirtualSubnetID", "DestinationPrefix", "NextHop", "Metric"];
const CLASS: Class = Class {
    name: "Microsoft.Management.Infrastructure.CimInstance#ROOT/StandardCimv2/MSFT_NetVirtualizationCustomerRouteSettingData",
    view: View::List(PROPERTIES),
};

pub(super) const SORT: Sort = Sort {
    noun: "NetVirtualizationCustomerRoute",
    class: &CLASS,
    cim: "MSFT_NetVirtualizationCustomerRouteSettingData",
    kind: Kind::CustomerRoute,
    filters: PROPERTIES,
    properties,
    create,
    change,
};

pub(super) const CMDLETS: &[Cmdlet] = &[
    Cmdlet::new(
        "New-NetVirtualizationCustomerRoute",
        "Says which subnet has a prefix (next hop 0.0.0.0 or ::), or by which VM it is reached.",
        &[
            Parameter::new("RoutingDomainID", Takes::Guid).must(),
            Parameter::new("VirtualSubnetID", VSID).must(),
            Parameter::new("DestinationPrefix", Takes::Prefix).must(),
            Parameter::new("NextHop", Takes::Address).must(),
            Parameter::new("Metric", UINT32),
        ],
        super::new,
    )
    .remote()
    .changing(),
    Cmdlet::new("Get-NetVirtualizationCustomerRoute", "Shows customer routes.", FILTERS, super::get).remote(),
    Cmdlet::new(
        "Set-NetVirtualizationCustomerRoute",
        "Changes the metric of customer routes that are chosen, or given.",
        &[
            Parameter::new("RoutingDomainID", Takes::Guid).filter(),
            Parameter::new("VirtualSubnetID", VSID).filter(),
            Parameter::new("DestinationPrefix", Takes::Prefix).filter(),
            Parameter::new("NextHop", Takes::Address).many(),
            Parameter::new("Metric", UINT32),
            INPUT,
            PASS_THRU,
        ],
        super::set,
    )
    .remote()
    .changing(),
    Cmdlet::new(
        "Remove-NetVirtualizationCustomerRoute",
        "Removes customer routes; without filters all of them.",
        REMOVED,
        super::remove,
    )
    .remote()
    .changing(),
];

macro_rules! filters {
    ($($more:expr),*) => {
        &[
            Parameter::new("RoutingDomainID", Takes::Guid).filter(),
            Parameter::new("VirtualSubnetID", VSID).filter(),
            Parameter::new("DestinationPrefix", Takes::Prefix).filter(),
            Parameter::new("NextHop", Takes::Address).filter(),
            Parameter::new("Metric", UINT32).filter(),
            $($more),*
        ]
    };
}

const FILTERS: &[Parameter] = filters!();
const REMOVED: &[Parameter] = filters!(INPUT, PASS_THRU);

fn properties(entry: &Entry, _: &[Interface]) -> Vec<(&'static str, Value)> {
    let Resource::CustomerRoute(route) = &entry.resource else { return Vec::new() };
    vec![
        ("RoutingDomainID", Value::text(guid_text(route.rdid))),
        ("VirtualSubnetID", Value::Integer(route.vsid.get().into())),
        ("DestinationPrefix", Value::text(route.prefix.to_string())),
        ("NextHop", Value::text(route.next_hop.to_string())),
        ("Metric", Value::Integer(route.metric.into())),
    ]
}

fn create(bound: &Bound, _: &[Interface]) -> Result<Resource, String> {
    Ok(Resource::CustomerRoute(CustomerRoute {
        rdid: parsed(bound, "RoutingDomainID")?,
        vsid: parsed(bound, "VirtualSubnetID")?,
        prefix: parsed(bound, "DestinationPrefix")?,
        next_hop: parsed(bound, "NextHop")?,
        metric: number(bound, "Metric").unwrap_or(0),
    }))
}

fn change(resource: &Resource, bound: &Bound, _: &[Interface]) -> Result<Resource, String> {
    let Resource::CustomerRoute(route) = resource else { return Ok(resource.clone()) };
    let metric = number(bound, "Metric").unwrap_or(route.metric);
    Ok(Resource::CustomerRoute(CustomerRoute { metric, ..route.clone() }))
}
