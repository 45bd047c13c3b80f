//! The script that makes another host what this one is: with the cmdlets that a Windows host has too.
//!
//! What HNV has no words for (DHCP scopes, security groups, address sets, gateways, encapsulations, limits of packets) is named in remarks,
//! so that nothing is lost in silence.

use std::fmt::Write;

use model::{Encapsulation, Kind, LookupRecordType, Resource, TranslationMethod};

use crate::cmdlets::parameter::{guid_text, mac_text};
use crate::hosts::{Hosts, Interface};

/// The script for a host.
///
/// # Errors
/// When the host does not answer, in a sentence.
pub fn script(hosts: &mut dyn Hosts, host: Option<&str>) -> Result<String, String> {
    let name = hosts.name(host)?;
    let interfaces = hosts.interfaces(host)?;
    let mut list = |kind: Kind| -> Result<Vec<Resource>, String> {
        Ok(hosts.list(host, kind)?.into_iter().map(|entry| entry.resource).collect())
    };
    let mut out = format!(
        "# Network virtualization of {}, written by netvirt. Run on another host it makes that the same.\n\
         # It expects network adapters and virtual machines of the same names.\n\n",
        one_line(&name)
    );
    line(&mut out, "Import-Module NetWNV\n");
    let mut left = Vec::new();
    // First: whether a record may have a gateway's address follows from it.
    section(&mut out, "Routers", list(Kind::Global)?, &interfaces, &mut left);
    section(&mut out, "Provider addresses", list(Kind::ProviderAddress)?, &interfaces, &mut left);
    section(&mut out, "Provider routes", list(Kind::ProviderRoute)?, &interfaces, &mut left);
    let mut routes = list(Kind::CustomerRoute)?;
    // Next hops are in prefixes that must be there before.
    routes.sort_by_key(|route| !matches!(route, Resource::CustomerRoute(route) if route.is_on_link()));
    section(&mut out, "Customer routes", routes, &interfaces, &mut left);
    section(&mut out, "Lookup records", list(Kind::LookupRecord)?, &interfaces, &mut left);
    section(&mut out, "Virtual machines", list(Kind::Port)?, &interfaces, &mut left);
    let wordless = [Kind::RoutingDomain, Kind::DhcpScope, Kind::AddressSet, Kind::SecurityGroup, Kind::Migration];
    for kind in wordless.into_iter().chain([Kind::Gateway, Kind::Compartment]) {
        section(&mut out, "", list(kind)?, &interfaces, &mut left);
    }
    if !left.is_empty() {
        line(&mut out, "# ---- Not in here, for HNV has no words for it; \"netvirt get ... -o yaml\" shows it:");
        for what in left {
            line(&mut out, &format!("#   {}", one_line(&what)));
        }
    }
    Ok(out)
}

fn line(out: &mut String, text: &str) {
    // Writing into a String cannot fail.
    let _ = writeln!(out, "{text}");
}

/// A text in one line, for remarks.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// A text in quotes that mean nothing but themselves.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn section(out: &mut String, title: &str, resources: Vec<Resource>, interfaces: &[Interface], left: &mut Vec<String>) {
    let lines: Vec<String> = resources.iter().filter_map(|resource| command(resource, interfaces, left)).collect();
    if lines.is_empty() {
        return;
    }
    line(out, &format!("# ---- {title}"));
    lines.iter().for_each(|text| line(out, text));
    line(out, "");
}

/// The interface of a name as an expression: by the adapter's name, and for a VLAN the adapter that carries it.
fn index(interfaces: &[Interface], name: &str) -> (String, u16) {
    let found = interfaces.iter().find(|it| it.name == name);
    let carrier = found
        .and_then(|it| it.vlan)
        .and_then(|(parent, vlan)| Some((interfaces.iter().find(|it| it.index == parent)?.name.as_str(), vlan)));
    let (adapter, vlan) = carrier.unwrap_or((name, 0));
    (format!("(Get-NetAdapter -Name {}).InterfaceIndex", quoted(adapter)), vlan)
}

fn command(resource: &Resource, interfaces: &[Interface], left: &mut Vec<String>) -> Option<String> {
    match resource {
        Resource::ProviderAddress(provider) => {
            let (index, vlan) = index(interfaces, provider.interface.as_str());
            let vlan = if vlan == 0 { String::new() } else { format!(" -VlanID {vlan}") };
            Some(format!(
                "New-NetVirtualizationProviderAddress -InterfaceIndex {index} -ProviderAddress {} -PrefixLength {}{vlan} | Out-Null",
                quoted(&provider.address.to_string()),
                provider.prefix_length
            ))
        }
        Resource::ProviderRoute(route) => Some(format!(
            "New-NetVirtualizationProviderRoute -InterfaceIndex {} -DestinationPrefix {} -NextHop {} -Metric {} | Out-Null",
            index(interfaces, route.interface.as_str()).0,
            quoted(&route.prefix.to_string()),
            quoted(&route.next_hop.to_string()),
            route.metric
        )),
        Resource::CustomerRoute(route) => Some(format!(
            "New-NetVirtualizationCustomerRoute -RoutingDomainID {} -VirtualSubnetID {} -DestinationPrefix {} -NextHop {} -Metric {} | Out-Null",
            quoted(&guid_text(route.rdid)),
            route.vsid,
            quoted(&route.prefix.to_string()),
            quoted(&route.next_hop.to_string()),
            route.metric
        )),
        Resource::LookupRecord(_) => Some(record(resource, left)),
        Resource::Port(port) => {
            if port.physical.is_some() || !port.addresses.is_empty() || !port.security_groups.is_empty() {
                left.push(format!("{}: physical network, addresses and security groups", resource.key()));
            }
            let limits = port.limits;
            let bandwidth = limits.egress.and_then(|limit| limit.bandwidth);
            let plain = limits.ingress.is_none()
                && limits.egress.is_none_or(|limit| limit.packets.is_none() && limit.burst.is_none());
            if !plain {
                left.push(format!("{}: limits of packets, bursts, and what it is sent", resource.key()));
            }
            let bandwidth = bandwidth
                .map_or_else(String::new, |it| format!(" -MaximumBandwidth {}", u64::from(it.kilobits()) * 1000));
            Some(format!(
                "Get-VMNetworkAdapter -VMName {} | Set-VMNetworkAdapter -VirtualSubnetId {}{bandwidth}",
                quoted(port.name.as_str()),
                port.vsid.map_or(0, model::Vsid::get)
            ))
        }
        Resource::Global(global) => {
            Some(format!("Set-NetVirtualizationGlobal -UseExternalRouter ${}", global.external_router))
        }
        Resource::RoutingDomain(domain) => {
            if domain.encapsulation != Encapsulation::Nvgre || !domain.limits.is_none() {
                left.push(format!(
                    "{}: its encapsulation ({}) and limits",
                    resource.key(),
                    domain.encapsulation.as_str()
                ));
            }
            None
        }
        Resource::DhcpScope(_)
        | Resource::SecurityGroup(_)
        | Resource::AddressSet(_)
        | Resource::Migration(_)
        | Resource::Gateway(_)
        | Resource::Compartment(_) => {
            left.push(resource.key().to_string());
            None
        }
    }
}

fn record(resource: &Resource, left: &mut Vec<String>) -> String {
    let Resource::LookupRecord(record) = resource else { return String::new() };
    let unspecified = if record.provider_address.is_ipv4() { "0.0.0.0" } else { "::" };
    let customer = record.customer_address.map_or_else(|| unspecified.to_owned(), |address| address.to_string());
    let rule = match record.rule {
        TranslationMethod::Encap => "TranslationMethodEncap",
        TranslationMethod::Nat => "TranslationMethodNat",
        TranslationMethod::None => "TranslationMethodNone",
    };
    let kind = match record.record_type {
        LookupRecordType::Static => "Static",
        LookupRecordType::Dynamic => "Dynamic",
        LookupRecordType::L2Only => "L2Only",
        LookupRecordType::GatewayWildcard => "GatewayWildcard",
    };
    let mut text = format!(
        "New-NetVirtualizationLookupRecord -CustomerAddress {} -VirtualSubnetID {} -MACAddress {} -ProviderAddress {} -Rule {rule} -Type {kind}",
        quoted(&customer),
        record.vsid,
        quoted(&mac_text(record.mac)),
        quoted(&record.provider_address.to_string()),
    );
    let mut option = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!(" -{name} {}", quoted(&value)));
        }
    };
    option("VMName", record.vm_name.clone());
    option("CustomerID", record.customer_id.map(guid_text));
    option("Context", record.context.clone());
    if !record.security_groups.is_empty() {
        left.push(format!("{}: its security groups", resource.key()));
    }
    text + " | Out-Null"
}
