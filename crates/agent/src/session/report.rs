//! What the host has to say to its controller, read off the core.

use std::collections::BTreeSet;
use std::net::IpAddr;

use model::{LookupRecordType, MacAddress, Migration, Name, Vsid};
use pipeline::StationKey;
use proto::{LearntAddress, PortReport, Report, Station, Uplink};

use crate::addresses::Addresses;
use crate::core::Core;

/// Whether other hosts could reach an address: it is of a scope wider than the link.
pub fn is_underlay(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !(v4.is_loopback() || v4.is_link_local() || v4.is_unspecified()),
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified()),
    }
}

/// The uplinks as they are now, without the addresses that the controller had put there.
pub fn uplinks(core: &Core, names: &[Name], addresses: &Addresses) -> Vec<Uplink> {
    let uplink = |name: &Name| {
        let link = core.facts().links.get(name)?;
        let own = link.addresses.iter().filter(|net| is_underlay(net.addr()) && !addresses.is_own(name, net.addr()));
        Some(Uplink { interface: name.clone(), addresses: own.copied().collect(), mtu: link.mtu })
    };
    names.iter().filter_map(uplink).collect()
}

/// All of it but the departures, which the session knows of.
pub fn report(core: &Core, names: &[Name], addresses: &Addresses) -> Report {
    let ports =
        core.ports().iter().map(|(name, status)| PortReport { name: name.clone(), bound: status.ifindex().is_some() });
    Report {
        ports: ports.collect(),
        findings: core.findings().into_iter().chain(addresses.problems().iter().cloned()).collect(),
        learnt: learnt(core),
        uplinks: uplinks(core, names, addresses),
        arrived: arrived(core),
        departures: Vec::new(),
    }
}

/// The VMs that were to move to this host, and were heard here. The kernel hears them, and tells nobody: it is asked.
pub fn arrived(core: &Core) -> Vec<Station> {
    let own: BTreeSet<IpAddr> = core.intent().provider_addresses().map(|provider| provider.address).collect();
    let mut awaited = core.intent().migrations().filter(|it| it.to.is_some_and(|to| own.contains(&to))).peekable();
    if awaited.peek().is_none() {
        return Vec::new();
    }
    let heard = match core.datapath.heard() {
        Ok(heard) => heard,
        Err(error) => {
            tracing::error!("which VMs have come cannot be read: {error}");
            return Vec::new();
        }
    };
    let is_here = |migration: &&Migration| {
        let key = StationKey { vsid: migration.vsid.get(), mac: migration.mac.octets(), reserved: 0 };
        heard.get(&key).is_some_and(|at| migration.to == Some(plan::to_ip(*at)))
    };
    awaited.filter(is_here).map(|it| Station { vsid: it.vsid, mac: it.mac }).collect()
}

/// The addresses that this host's own VMs were heard to use. An address stays in it when the controller has taken it
/// over, so that it is not said to be gone.
fn learnt(core: &Core) -> Vec<LearntAddress> {
    let ours: BTreeSet<(Option<Vsid>, MacAddress)> = core.intent().ports().map(|port| (port.vsid, port.mac)).collect();
    let heard = core.intent().lookup_records().filter(|record| {
        record.record_type == LookupRecordType::Dynamic && ours.contains(&(Some(record.vsid), record.mac))
    });
    heard
        .filter_map(|record| {
            Some(LearntAddress { vsid: record.vsid, mac: record.mac, address: record.customer_address? })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_link_are_no_underlay() {
        for (address, is) in [
            ("192.168.4.11", true),
            ("fd00::1", true),
            ("2001:db8::1", true),
            ("127.0.0.1", false),
            ("169.254.3.4", false),
            ("fe80::1", false),
            ("::1", false),
        ] {
            assert_eq!(is_underlay(address.parse().unwrap()), is, "{address}");
        }
    }
}
