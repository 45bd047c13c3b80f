//! NetVirtualizationProviderRoute: a route in the underlay.

use model::{Kind, ProviderRoute, Resource};

use super::{INPUT, PASS_THRU, Sort, UINT32, index_of, interface, number, parsed};
use crate::cmdlets::Cmdlet;
use crate::cmdlets::bind::Bound;
use crate::cmdlets::parameter::{Parameter, Takes};
use crate::hosts::{Entry, Interface};
use crate::value::{Class, Value, View};

const PROPERTIES: &[&str] = &["InterfaceIndex", "DestinationPrefix", "NextHop", "Metric"];
const CLASS: Class = Class {
    name: "Microsoft.Management.Infrastructure.CimInstance#ROOT/StandardCimv2/MSFT_NetVirtualizationProviderRouteSettingData",
    view: View::List(PROPERTIES),
};

pub(super) const SORT: Sort = Sort {
    noun: "NetVirtualizationProviderRoute",
    class: &CLASS,
    cim: "MSFT_NetVirtualizationProviderRouteSettingData",
    kind: Kind::ProviderRoute,
    filters: PROPERTIES,
    properties,
    create,
    change,
};

pub(super) const CMDLETS: &[Cmdlet] = &[
    Cmdlet::new(
        "New-NetVirtualizationProviderRoute",
        "Says by which router of the underlay other hosts are reached.",
        &[
            Parameter::new("InterfaceIndex", UINT32).must(),
            Parameter::new("DestinationPrefix", Takes::Prefix).must(),
            Parameter::new("NextHop", Takes::Address).must(),
            Parameter::new("Metric", UINT32),
        ],
        super::new,
    )
    .remote()
    .changing(),
    Cmdlet::new("Get-NetVirtualizationProviderRoute", "Shows provider routes.", FILTERS, super::get).remote(),
    Cmdlet::new(
        "Set-NetVirtualizationProviderRoute",
        "Changes the metric of provider routes that are chosen, or given.",
        &[
            Parameter::new("InterfaceIndex", UINT32).filter(),
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
        "Remove-NetVirtualizationProviderRoute",
        "Removes provider routes; without filters all of them.",
        REMOVED,
        super::remove,
    )
    .remote()
    .changing(),
];

macro_rules! filters {
    ($($more:expr),*) => {
        &[
            Parameter::new("InterfaceIndex", UINT32).filter(),
            Parameter::new("DestinationPrefix", Takes::Prefix).filter(),
            Parameter::new("NextHop", Takes::Address).filter(),
            Parameter::new("Metric", UINT32).filter(),
            $($more),*
        ]
    };
}

const FILTERS: &[Parameter] = filters!();
const REMOVED: &[Parameter] = filters!(INPUT, PASS_THRU);

fn properties(entry: &Entry, interfaces: &[Interface]) -> Vec<(&'static str, Value)> {
    let Resource::ProviderRoute(route) = &entry.resource else { return Vec::new() };
    vec![
        ("InterfaceIndex", Value::Integer(index_of(interfaces, route.interface.as_str()))),
        ("DestinationPrefix", Value::text(route.prefix.to_string())),
        ("NextHop", Value::text(route.next_hop.to_string())),
        ("Metric", Value::Integer(route.metric.into())),
    ]
}

fn create(bound: &Bound, interfaces: &[Interface]) -> Result<Resource, String> {
    let uplink = interface(interfaces, bound.integer("InterfaceIndex").unwrap_or(0))?;
    Ok(Resource::ProviderRoute(ProviderRoute {
        prefix: parsed(bound, "DestinationPrefix")?,
        next_hop: parsed(bound, "NextHop")?,
        interface: uplink.name.parse().map_err(|error| format!("-InterfaceIndex: {error}"))?,
        metric: number(bound, "Metric").unwrap_or(0),
    }))
}

fn change(resource: &Resource, bound: &Bound, _: &[Interface]) -> Result<Resource, String> {
    let Resource::ProviderRoute(route) = resource else { return Ok(resource.clone()) };
    let metric = number(bound, "Metric").unwrap_or(route.metric);
    Ok(Resource::ProviderRoute(ProviderRoute { metric, ..route.clone() }))
}
