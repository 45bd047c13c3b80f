//! NetVirtualizationProviderAddress: an address of the host in the underlay.

use std::net::IpAddr;

use model::{Kind, ProviderAddress, Resource};

use super::{INPUT, PASS_THRU, Sort, UINT32, interface, number, parsed};
use crate::cmdlets::Cmdlet;
use crate::cmdlets::bind::Bound;
use crate::cmdlets::parameter::{Parameter, Takes, mac_text};
use crate::hosts::{AddressState, Entry, Interface};
use crate::value::{Class, Value, View};

const PROPERTIES: &[&str] =
    &["ProviderAddress", "InterfaceIndex", "PrefixLength", "VlanID", "AddressState", "MACAddress", "ManagedByCluster"];
const CLASS: Class = Class {
    name: "Microsoft.Management.Infrastructure.CimInstance#ROOT/StandardCimv2/MSFT_NetVirtualizationProviderAddressSettingData",
    view: View::List(PROPERTIES),
};
const STATE: Takes = Takes::Word(&["Invalid", "Tentative", "Duplicate", "Deprecated", "Preferred"]);
const LENGTH: Takes = Takes::Integer(1, 128);
const VLAN: Takes = Takes::Integer(0, 4094);

pub(super) const SORT: Sort = Sort {
    noun: "NetVirtualizationProviderAddress",
    class: &CLASS,
    cim: "MSFT_NetVirtualizationProviderAddressSettingData",
    kind: Kind::ProviderAddress,
    filters: PROPERTIES,
    properties,
    create,
    change,
};

pub(super) const CMDLETS: &[Cmdlet] = &[
    Cmdlet::new(
        "New-NetVirtualizationProviderAddress",
        "Gives the host a provider address on an uplink.",
        &[
            Parameter::new("ProviderAddress", Takes::Address).must(),
            Parameter::new("InterfaceIndex", UINT32).must(),
            Parameter::new("PrefixLength", LENGTH).must(),
            Parameter::new("VlanID", VLAN),
            Parameter::new("MACAddress", Takes::Mac),
        ],
        super::new,
    )
    .remote()
    .changing(),
    Cmdlet::new("Get-NetVirtualizationProviderAddress", "Shows provider addresses.", FILTERS, super::get).remote(),
    Cmdlet::new(
        "Set-NetVirtualizationProviderAddress",
        "Changes provider addresses that are chosen, or given.",
        &[
            Parameter::new("ProviderAddress", Takes::Address).filter(),
            Parameter::new("InterfaceIndex", UINT32).filter(),
            Parameter::new("AddressState", STATE).filter(),
            Parameter::new("VlanID", VLAN),
            Parameter::new("PrefixLength", LENGTH),
            Parameter::new("MACAddress", Takes::Mac),
            INPUT,
            PASS_THRU,
        ],
        super::set,
    )
    .remote()
    .changing(),
    Cmdlet::new(
        "Remove-NetVirtualizationProviderAddress",
        "Removes provider addresses; without filters all of them.",
        REMOVED,
        super::remove,
    )
    .remote()
    .changing(),
];

macro_rules! filters {
    ($($more:expr),*) => {
        &[
            Parameter::new("ProviderAddress", Takes::Address).filter(),
            Parameter::new("InterfaceIndex", UINT32).filter(),
            Parameter::new("PrefixLength", LENGTH).filter(),
            Parameter::new("VlanID", VLAN).filter(),
            Parameter::new("AddressState", STATE).filter(),
            Parameter::new("MACAddress", Takes::Mac).filter(),
            Parameter::new("ManagedByCluster", Takes::Boolean).filter(),
            $($more),*
        ]
    };
}

const FILTERS: &[Parameter] = filters!();
const REMOVED: &[Parameter] = filters!(INPUT, PASS_THRU);

fn properties(entry: &Entry, interfaces: &[Interface]) -> Vec<(&'static str, Value)> {
    let Resource::ProviderAddress(provider) = &entry.resource else { return Vec::new() };
    let on = interfaces.iter().find(|it| it.name == provider.interface.as_str());
    let (index, vlan) = match on {
        Some(Interface { vlan: Some((parent, vlan)), .. }) => (*parent, *vlan),
        Some(other) => (other.index, 0),
        None => (0, 0),
    };
    let state = on.and_then(|on| on.addresses.iter().find(|(address, _)| address.addr() == provider.address));
    let state = match state.map_or(AddressState::Invalid, |(_, state)| *state) {
        AddressState::Invalid => "Invalid",
        AddressState::Tentative => "Tentative",
        AddressState::Duplicate => "Duplicate",
        AddressState::Deprecated => "Deprecated",
        AddressState::Preferred => "Preferred",
    };
    let mac = on.and_then(|on| on.mac).map(mac_text).unwrap_or_default();
    vec![
        ("ProviderAddress", Value::text(provider.address.to_string())),
        ("InterfaceIndex", Value::Integer(index.into())),
        ("PrefixLength", Value::Integer(provider.prefix_length.into())),
        ("VlanID", Value::Integer(vlan.into())),
        ("AddressState", Value::text(state)),
        ("MACAddress", Value::text(mac)),
        ("ManagedByCluster", Value::Boolean(false)),
    ]
}

/// The interface that carries a VLAN of another one, or that one itself.
fn carrier<'i>(interfaces: &'i [Interface], parent: &'i Interface, vlan: u16) -> Result<&'i Interface, String> {
    if vlan == 0 {
        return Ok(parent);
    }
    interfaces.iter().find(|it| it.vlan == Some((parent.index, vlan))).ok_or_else(|| {
        let name = &parent.name;
        format!(
            "-VlanID \"{vlan}\": {name} has no interface for this VLAN; make one with \"ip link add link {name} name {name}.{vlan} type \
             vlan id {vlan}\", or write 0"
        )
    })
}

/// Netvirt sends with the MAC address that the interface has.
fn same_mac(bound: &Bound, on: &Interface) -> Result<(), String> {
    let has = on.mac.map(mac_text).unwrap_or_default();
    match bound.text("MACAddress") {
        Some(wanted) if wanted != has => Err(format!(
            "-MACAddress \"{wanted}\": {} has the MAC address {has}, with which it sends; write that, or set it with \"ip link set {} \
             address ...\"",
            on.name, on.name
        )),
        _ => Ok(()),
    }
}

fn create(bound: &Bound, interfaces: &[Interface]) -> Result<Resource, String> {
    let parent = interface(interfaces, bound.integer("InterfaceIndex").unwrap_or(0))?;
    let on = carrier(interfaces, parent, number(bound, "VlanID").unwrap_or(0))?;
    same_mac(bound, on)?;
    let address: IpAddr = parsed(bound, "ProviderAddress")?;
    Ok(Resource::ProviderAddress(ProviderAddress {
        address,
        interface: on.name.parse().map_err(|error| format!("-InterfaceIndex: {error}"))?,
        prefix_length: length(bound, address)?.unwrap_or(if address.is_ipv4() { 32 } else { 128 }),
    }))
}

fn length(bound: &Bound, address: IpAddr) -> Result<Option<u8>, String> {
    let length: Option<u8> = number(bound, "PrefixLength");
    match length {
        Some(length) if address.is_ipv4() && length > 32 => {
            Err(format!("-PrefixLength \"{length}\": {address} is IPv4; it takes 1 to 32"))
        }
        length => Ok(length),
    }
}

fn change(resource: &Resource, bound: &Bound, interfaces: &[Interface]) -> Result<Resource, String> {
    let Resource::ProviderAddress(provider) = resource else { return Ok(resource.clone()) };
    let mut provider = provider.clone();
    let now = interfaces.iter().find(|it| it.name == provider.interface.as_str());
    if let (Some(vlan), Some(now)) = (number::<u16>(bound, "VlanID"), now) {
        let parent = match now.vlan {
            Some((parent, _)) => interface(interfaces, parent.into())?,
            None => now,
        };
        let on = carrier(interfaces, parent, vlan)?;
        provider.interface = on.name.parse().map_err(|error| format!("-VlanID: {error}"))?;
    }
    if let Some(on) = interfaces.iter().find(|it| it.name == provider.interface.as_str()) {
        same_mac(bound, on)?;
    }
    if let Some(length) = length(bound, provider.address)? {
        provider.prefix_length = length;
    }
    Ok(Resource::ProviderAddress(provider))
}
