//! What a host says of itself.

use super::values::{WireError, address_in, address_out, mac_in, mac_out, name_in, prefix_in, prefix_out, vsid_in};
use crate::{Departure, HostFacts, LearntAddress, PortReport, Report, Station, Uplink, wire};

pub fn facts_out(facts: &HostFacts) -> wire::HostFacts {
    wire::HostFacts {
        version: facts.version.clone(),
        uplinks: facts.uplinks.iter().map(uplink_out).collect(),
        questions: facts.questions.clone(),
    }
}

pub fn facts_in(facts: Option<wire::HostFacts>) -> Result<HostFacts, WireError> {
    let facts = facts.ok_or(WireError::Missing { field: "facts" })?;
    Ok(HostFacts { version: facts.version, uplinks: uplinks_in(facts.uplinks)?, questions: facts.questions })
}

pub fn report_out(report: &Report) -> wire::Report {
    let port = |port: &PortReport| wire::PortReport { name: port.name.to_string(), bound: port.bound };
    let learnt = |learnt: &LearntAddress| wire::LearntAddress {
        vsid: learnt.vsid.get(),
        mac: mac_out(learnt.mac),
        address: address_out(learnt.address),
    };
    wire::Report {
        ports: report.ports.iter().map(port).collect(),
        findings: report.findings.clone(),
        learnt: report.learnt.iter().map(learnt).collect(),
        uplinks: report.uplinks.iter().map(uplink_out).collect(),
        arrived: report.arrived.iter().map(|it| wire::Station { vsid: it.vsid.get(), mac: mac_out(it.mac) }).collect(),
        departures: report.departures.iter().map(departure_out).collect(),
    }
}

pub fn report_in(report: wire::Report) -> Result<Report, WireError> {
    let port = |port: wire::PortReport| {
        Ok::<_, WireError>(PortReport { name: name_in("ports.name", port.name)?, bound: port.bound })
    };
    let learnt = |learnt: wire::LearntAddress| {
        Ok::<_, WireError>(LearntAddress {
            vsid: vsid_in("learnt.vsid", learnt.vsid)?,
            mac: mac_in("learnt.mac", &learnt.mac)?,
            address: address_in("learnt.address", &learnt.address)?,
        })
    };
    Ok(Report {
        ports: report.ports.into_iter().map(port).collect::<Result<_, _>>()?,
        findings: report.findings,
        learnt: report.learnt.into_iter().map(learnt).collect::<Result<_, _>>()?,
        uplinks: uplinks_in(report.uplinks)?,
        arrived: report.arrived.into_iter().map(station_in).collect::<Result<_, _>>()?,
        departures: report.departures.into_iter().map(departure_in).collect::<Result<_, _>>()?,
    })
}

fn departure_out(departure: &Departure) -> wire::Departure {
    let Departure { station, sent_on, lost, flows } = *departure;
    wire::Departure { vsid: station.vsid.get(), mac: mac_out(station.mac), sent_on, lost, flows }
}

fn departure_in(departure: wire::Departure) -> Result<Departure, WireError> {
    let wire::Departure { vsid, mac, sent_on, lost, flows } = departure;
    let station = Station { vsid: vsid_in("departures.vsid", vsid)?, mac: mac_in("departures.mac", &mac)? };
    Ok(Departure { station, sent_on, lost, flows })
}

fn station_in(station: wire::Station) -> Result<Station, WireError> {
    Ok(Station { vsid: vsid_in("arrived.vsid", station.vsid)?, mac: mac_in("arrived.mac", &station.mac)? })
}

fn uplink_out(uplink: &Uplink) -> wire::Uplink {
    wire::Uplink {
        interface: uplink.interface.to_string(),
        addresses: uplink.addresses.iter().copied().map(prefix_out).collect(),
        mtu: uplink.mtu,
    }
}

fn uplinks_in(uplinks: Vec<wire::Uplink>) -> Result<Vec<Uplink>, WireError> {
    let address = |prefix: wire::Prefix| prefix_in("uplinks.addresses", Some(prefix));
    let uplink = |uplink: wire::Uplink| {
        Ok(Uplink {
            interface: name_in("uplinks.interface", uplink.interface)?,
            addresses: uplink.addresses.into_iter().map(address).collect::<Result<_, _>>()?,
            mtu: uplink.mtu,
        })
    };
    uplinks.into_iter().map(uplink).collect()
}
