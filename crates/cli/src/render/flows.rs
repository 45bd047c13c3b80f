//! A table of flows.

use std::net::IpAddr;
use std::time::Duration;

use api::FlowItem;

use super::table::Table;

/// The headings, and whether only a wide table has them.
const COLUMNS: [(&str, bool); 11] = [
    ("PORT", false),
    ("PROTOCOL", false),
    ("LOCAL", false),
    ("OPENED", false),
    ("REMOTE", false),
    ("STATE", false),
    ("SENT", false),
    ("RECEIVED", false),
    ("IDLE", false),
    ("EXPIRES", true),
    ("WAY", true),
];

/// A table of flows.
pub fn flows(flows: &[FlowItem], wide: bool) -> String {
    let shown = |only_wide: bool| wide || !only_wide;
    let header = COLUMNS.iter().filter(|(_, only_wide)| shown(*only_wide)).map(|(name, _)| (*name).to_owned());
    let rows = flows.iter().map(|flow| {
        let cells = row(flow).into_iter().zip(COLUMNS);
        cells.filter(|(_, (_, only_wide))| shown(*only_wide)).map(|(cell, _)| cell).collect()
    });
    Table::new(header.collect()).render(rows.collect(), true)
}

fn row(flow: &FlowItem) -> [String; 11] {
    let arrow = if flow.opened == "egress" { "->" } else { "<-" };
    let state = if flow.current { flow.state.clone() } else { format!("{} (to be judged anew)", flow.state) };
    [
        flow.port.clone(),
        flow.protocol.clone(),
        end(flow.local, flow.local_port),
        arrow.to_owned(),
        end(flow.remote, flow.remote_port),
        state,
        amount(flow.from_packets, flow.from_bytes),
        amount(flow.to_packets, flow.to_bytes),
        time(flow.idle_ms),
        time(flow.expires_ms),
        flow.way.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

/// An address, and a port where there is one.
fn end(address: IpAddr, port: u16) -> String {
    match (address, port) {
        (address, 0) => address.to_string(),
        (IpAddr::V4(address), port) => format!("{address}:{port}"),
        (IpAddr::V6(address), port) => format!("[{address}]:{port}"),
    }
}

/// Packets and bytes.
pub(super) fn amount(packets: u64, bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut bytes, mut unit) = (bytes as f64, 0);
    while bytes >= 1000.0 && unit + 1 < UNITS.len() {
        bytes /= 1000.0;
        unit += 1;
    }
    let bytes = if unit == 0 { format!("{bytes}") } else { format!("{bytes:.1}") };
    format!("{packets} ({bytes} {})", UNITS[unit])
}

/// A time in seconds, or in what people count long ones in.
fn time(milliseconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(milliseconds / 1000)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_one_line() {
        let flow = FlowItem {
            port: "blue1".to_owned(),
            protocol: "tcp".to_owned(),
            local: "10.0.0.5".parse().unwrap(),
            local_port: 40000,
            remote: "fd00::7".parse().unwrap(),
            remote_port: 80,
            opened: "ingress".to_owned(),
            state: "open".to_owned(),
            idle_ms: 1999,
            expires_ms: 61_000,
            from_packets: 3,
            from_bytes: 999,
            to_packets: 2,
            to_bytes: 1_234_567,
            way: None,
            current: true,
        };
        let text = flows(std::slice::from_ref(&flow), false);
        let line: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        let expected = ["blue1", "tcp", "10.0.0.5:40000", "<-", "[fd00::7]:80", "open", "3", "(999", "B)", "2"];
        assert_eq!(line[..10], expected, "{text}");
        assert_eq!(line[10..], ["(1.2", "MB)", "1s"], "{text}");
        let stale = flows(&[FlowItem { current: false, ..flow }], true);
        assert!(stale.contains("open (to be judged anew)") && stale.contains("1m 1s"), "{stale}");
    }
}
