//! All that is needed to understand a mismatch, and to repeat it.

use std::fmt::Write as _;

use datapath::Punt;
use datapath::testrun::Outcome;
use etherparse::{LaxSlicedPacket, NetSlice, SlicedPacket};
use pipeline::{DropReason, Learn};
use plan::HostTables;

use crate::port_frames::Case;
use crate::userspace::Expected;

/// The mismatch in words.
pub fn mismatch(
    seed: u64,
    place: &str,
    case: &Case,
    expected: &Expected,
    outcome: &Outcome,
    (learnt, punted): (&[Learn], &[Punt]),
    tables: Option<&HostTables>,
) -> String {
    let mut text = format!("NETVIRT_SEED={seed}, {place}: {} from the {:?}, {:?}\n", case.what, case.role, case.meta);
    let stages: Vec<_> = expected.stages.iter().map(|stage| stage.name()).collect();
    let mut line = |title: &str, value: String| {
        let _ = writeln!(text, "  {title:14} {value}");
    };
    line("frame", hex(&case.frame));
    line("decoded", decoded(&case.frame));
    line("stages", stages.join(" > "));
    line("user space", format!("{}, {}", expected.kind, words(&expected.outcome)));
    line("kernel", words(outcome));
    if expected.outcome.frame != outcome.frame {
        line("frames differ", differences(&expected.outcome.frame, &outcome.frame));
        line("user space's", hex(&expected.outcome.frame));
        line("decoded", decoded(&expected.outcome.frame));
        line("kernel's", hex(&outcome.frame));
        line("decoded", decoded(&outcome.frame));
    }
    if expected.learnt != learnt {
        line("learnt", format!("user space {:?}, kernel {learnt:?}", expected.learnt));
    }
    if expected.punted != punted {
        line("punted", format!("user space {:?}, kernel {punted:?}", expected.punted));
    }
    if let Some(tables) = tables {
        line("tables", format!("{tables:#?}"));
    }
    text
}

fn words(outcome: &Outcome) -> String {
    let Outcome { action, verdict, detail, frame } = outcome;
    let detail = match verdict {
        1 => DropReason::from_number(*detail).name().to_owned(),
        _ => detail.to_string(),
    };
    format!("returns {action}, verdict {verdict}, detail {detail}, {} bytes", frame.len())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where two frames differ.
fn differences(one: &[u8], other: &[u8]) -> String {
    let places = one.iter().zip(other).enumerate().filter(|(_, (a, b))| a != b);
    let places: Vec<_> = places.take(40).map(|(at, (a, b))| format!("{at}: {a:02x}/{b:02x}")).collect();
    format!("lengths {} and {}; {}", one.len(), other.len(), places.join(" "))
}

/// The headers, as a parser reads them that is not ours.
fn decoded(frame: &[u8]) -> String {
    let Ok(packet) = LaxSlicedPacket::from_ethernet(frame) else { return "no Ethernet header".to_owned() };
    let strict = SlicedPacket::from_ethernet(frame);
    let network = match strict.as_ref().map(|packet| &packet.net) {
        Ok(Some(NetSlice::Ipv4(ip))) => format!("{:?}", ip.header().to_header()),
        Ok(Some(NetSlice::Ipv6(ip))) => format!("{:?}", ip.header().to_header()),
        Ok(Some(other)) => format!("{other:?}"),
        Ok(None) => "no network header".to_owned(),
        Err(error) => format!("{error}; {:?}", packet.net.is_some()),
    };
    let link = packet.link.as_ref().map(|link| format!("{:?}", link.to_header()));
    let transport = packet.transport.as_ref().map(|transport| match transport {
        etherparse::TransportSlice::Tcp(tcp) => format!("{:?}", tcp.to_header()),
        etherparse::TransportSlice::Udp(udp) => format!("{:?}", udp.to_header()),
        etherparse::TransportSlice::Icmpv4(icmp) => format!("{:?}", icmp.header()),
        etherparse::TransportSlice::Icmpv6(icmp) => format!("{:?}", icmp.header()),
        etherparse::TransportSlice::Igmp(igmp) => format!("{igmp:?}"),
    });
    format!("{} | {network} | {}", link.unwrap_or_default(), transport.unwrap_or_default())
}
