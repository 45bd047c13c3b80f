//! What a user notices when the active host of a gateway dies, loses a link or a process, or is drained: how long nothing passes
//! over connections of each kind, and how many TCP connections through NAT go on.

mod report;
mod scene;
mod traffic;

use std::path::PathBuf;

pub use report::Figures;

use crate::{Error, interrupt};
use report::Row;
use scene::Scene;

/// What is done to the active host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Way {
    /// The process of its gateway is killed, and started again.
    Gateway,
    /// Its agent is killed, and started again.
    Agent,
    /// It dies: agent, gateway and both links at once.
    Host,
    /// Its external link is cut.
    OutsideLink,
    /// Its uplink is cut.
    Uplink,
    /// It is drained.
    Drain,
    /// The BGP daemon of a compartment is killed.
    Bgp,
    /// The IPsec daemon of a compartment is killed.
    Ipsec,
    /// The WireGuard daemon of a compartment is killed.
    Wireguard,
}

impl Way {
    /// What was done, for a reader.
    const fn words(self) -> &'static str {
        match self {
            Self::Gateway => "kill -9 netvirt gateway",
            Self::Agent => "kill -9 netvirt agent",
            Self::Host => "host dead",
            Self::OutsideLink => "external link cut",
            Self::Uplink => "uplink cut",
            Self::Drain => "drained",
            Self::Bgp => "kill -9 bird",
            Self::Ipsec => "kill -9 charon",
            Self::Wireguard => "kill -9 of WireGuard's process",
        }
    }
}

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct FailoverPlan {
    /// The program that agents, gateways and the controller are.
    pub netvirt: PathBuf,
    /// Which ways.
    pub ways: Vec<Way>,
    /// How often each.
    pub rounds: usize,
    /// TCP connections through NAT.
    pub connections: usize,
}

impl FailoverPlan {
    /// Measures it; a line for each round goes to standard error. What was measured before an error is not lost.
    pub fn run(&self) -> (Figures, Result<(), Error>) {
        let mut figures = Figures::default();
        let result = self.measure(&mut figures);
        (figures, result)
    }

    fn measure(&self, figures: &mut Figures) -> Result<(), Error> {
        let mut scene = Scene::up(self)?;
        for way in &self.ways {
            let mut rows = scene.kinds().map(|kind| Row::new(way.words(), kind)).to_vec();
            let done = (1..=self.rounds).try_for_each(|round| self.round(&mut scene, *way, round, &mut rows));
            // Rounds that were measured stay, also when one after them fails.
            figures.rows.extend(rows.into_iter().filter(|row| !row.outages.is_empty()));
            done?;
        }
        Ok(())
    }

    fn round(&self, scene: &mut Scene, way: Way, round: usize, rows: &mut [Row]) -> Result<(), Error> {
        interrupt::check()?;
        let held = traffic::Held::open(scene, self.connections)?;
        let pings = scene.pings()?;
        scene.await_passing(&pings)?;
        scene.strike(way)?;
        scene.await_recovery(&pings)?;
        let gaps = pings.map(traffic::Ping::end);
        let kept = held.check();
        for (row, gap) in rows.iter_mut().zip(gaps) {
            row.outages.push(gap?);
        }
        if let Some(row) = rows.first_mut() {
            row.held += self.connections;
            row.kept += kept;
        }
        eprintln!(
            "{}, {round} of {}: {:?} ms, {kept} of {} connections",
            way.words(),
            self.rounds,
            rows.iter().map(|row| row.outages.last().copied().unwrap_or_default().round()).collect::<Vec<_>>(),
            self.connections
        );
        scene.restore(way)
    }
}
