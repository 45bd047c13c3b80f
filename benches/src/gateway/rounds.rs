//! Ways out that are compared, in turns.

use std::net::Ipv4Addr;

use host::Offload;
use lab::Node;
use serde::Serialize;

use super::Plan;
use crate::load::{self, Ends, Load, Station};
use crate::{Error, interrupt};

/// The interface of a VM.
const ETH0: &str = "eth0";

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    load: Load,
    /// Whether the VM cuts its stream into frames itself, so that each of them counts.
    cuts: bool,
    /// What a rate is divided by for the report.
    scale: f64,
}

const STREAM: Measure =
    Measure { title: "TCP, 1 stream", unit: "Mbit/s", load: Load::Stream(1), cuts: false, scale: 1e6 };
const FRAMES: Measure = Measure { title: "the same, cut by the VM", cuts: true, ..STREAM };
const BACK: Measure = Measure { title: "TCP, 1 stream from the site", load: Load::StreamBack, ..STREAM };
const PACKETS: Measure = Measure {
    title: "UDP, 64 bytes",
    unit: "packets/s",
    load: Load::Packets { payload: 64, flows: 1 },
    cuts: false,
    scale: 1.0,
};
const TRIPS: Measure =
    Measure { title: "TCP, 1 byte there and back", unit: "round trips/s", load: Load::TcpRoundTrips, ..PACKETS };
const CONNECTIONS: Measure =
    Measure { title: "TCP, connect and ask", unit: "connections/s", load: Load::Connections, ..PACKETS };

/// Of what passes a router.
pub(super) const ROUTER: [Measure; 5] = [STREAM, FRAMES, PACKETS, TRIPS, CONNECTIONS];
/// Of what passes a tunnel.
pub(super) const TUNNEL: [Measure; 4] = [STREAM, BACK, TRIPS, PACKETS];

/// A way from a VM to a server.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) name: String,
    pub(super) client: Node,
    pub(super) server: Node,
    /// The server's address.
    pub(super) address: Ipv4Addr,
    /// The place of the way that it is compared with.
    pub(super) beside: Option<usize>,
}

impl Way {
    fn ends(&self, cpus: [usize; 2]) -> Ends<'_> {
        // No load here is made of raw frames, for which alone these would count.
        let own = Station { mac: [0; 6], address: Ipv4Addr::UNSPECIFIED };
        Ends {
            client: self.client.namespace(),
            server: self.server.namespace(),
            address: self.address,
            own,
            next_hop: [0; 6],
            client_cpu: cpus[0],
            server_cpu: cpus[1],
        }
    }

    fn measure(&self, plan: &Plan, measure: Measure) -> Result<load::Figures, Error> {
        for offload in [Offload::Tso, Offload::Gso] {
            self.client.netlink()?.set_offload(ETH0, offload, !measure.cuts)?;
        }
        // What another load has left in the queues on the way goes first; those of a tunnel's process hold seconds of it.
        load::reach(self.ends(plan.cpus))?;
        load::run(measure.load, self.ends(plan.cpus), plan.timing)
    }
}

/// Ways that are compared.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) measures: &'static [Measure],
    pub(super) ways: Vec<Way>,
}

/// What one way showed in one measure.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The group.
    pub group: String,
    /// The measure.
    pub measure: String,
    /// Its unit.
    pub unit: String,
    /// The way.
    pub way: String,
    /// The name of the way that it is compared with.
    pub beside: Option<String>,
    /// What was seen, by round; none where it failed.
    pub samples: Vec<Option<f64>>,
    /// The median of a round trip's time in microseconds, by round.
    pub latency: Vec<f64>,
}

/// Measures all ways of a group, the order turned each time. What fails is told on standard error and left out.
pub(super) fn run(plan: &Plan, group: &Group, rows: &mut Vec<Row>) -> Result<(), Error> {
    for way in &group.ways {
        let setup =
            |source| Error::Setup { contestant: format!("{}, {}", group.title, way.name), source: Box::new(source) };
        load::reach(way.ends(plan.cpus)).map_err(setup)?;
    }
    let first = rows.len();
    for measure in group.measures {
        rows.extend(group.ways.iter().map(|way| Row {
            group: group.title.to_owned(),
            measure: measure.title.to_owned(),
            unit: measure.unit.to_owned(),
            way: way.name.clone(),
            beside: way.beside.map(|place| group.ways[place].name.clone()),
            samples: Vec::new(),
            latency: Vec::new(),
        }));
    }
    let count = group.ways.len();
    for round in 0..plan.rounds {
        for (number, measure) in group.measures.iter().enumerate() {
            let mut line = Vec::new();
            for place in (0..count).map(|place| (place + round + number) % count) {
                interrupt::check()?;
                let way = &group.ways[place];
                let row = &mut rows[first + number * count + place];
                match way.measure(plan, *measure) {
                    Ok(figures) => {
                        let rate = figures.rate / measure.scale;
                        row.samples.push(Some(rate));
                        row.latency.extend(figures.latency.map(|(median, _)| median));
                        line.push(format!("{}: {rate:.0}", way.name));
                    }
                    Err(Error::Interrupted) => return Err(Error::Interrupted),
                    Err(error) => {
                        row.samples.push(None);
                        line.push(format!("{}: {error}", way.name));
                    }
                }
            }
            eprintln!(
                "{}, round {}, {} ({}): {}",
                group.title,
                round + 1,
                measure.title,
                measure.unit,
                line.join("; ")
            );
        }
    }
    Ok(())
}
