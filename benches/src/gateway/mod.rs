//! Gateways: what passes a compartment beside a plain Linux router with the same rules and beside the VPN daemons alone, in turns;
//! and what many tenants with the same prefixes on one gateway cost, and whether one of them reaches another.

mod cloud;
mod daemon;
pub mod failover;
mod isolation;
mod memory;
mod plain;
mod report;
mod rounds;
mod scene;
mod tenants;
mod tunnels;

use std::path::PathBuf;
use std::time::Duration;

pub use report::Figures;

use crate::Error;
use crate::load::Timing;
use tunnels::Kind;

/// A part of the benchmark.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Part {
    /// NAT, beside a plain router with the same rules.
    Nat,
    /// Routing without translation, beside the same.
    Routing,
    /// IPsec and WireGuard, beside the daemons alone.
    Vpn,
    /// Many tenants with the same prefixes.
    Tenants,
}

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program that agents, gateways and the controller are.
    pub netvirt: PathBuf,
    /// Which parts.
    pub parts: Vec<Part>,
    /// How often each measurement is repeated.
    pub rounds: usize,
    /// How long one lasts.
    pub timing: Timing,
    /// CPUs of the client's and the server's side.
    pub cpus: [usize; 2],
    /// How many tenants there are whose tunnels are WireGuard's, and how many whose are IPsec's.
    pub tenants: [usize; 2],
    /// For how long the processor is looked at while all tenants rest.
    pub rest: Duration,
}

impl Plan {
    /// Measures it; a line for each step goes to standard error. What was measured before an error is not lost.
    pub fn run(&self) -> (Figures, Result<(), Error>) {
        let mut figures = Figures::default();
        let result = self.measure(&mut figures);
        (figures, result)
    }

    fn measure(&self, figures: &mut Figures) -> Result<(), Error> {
        let wants = |part| self.parts.contains(&part);
        if wants(Part::Nat) || wants(Part::Routing) || wants(Part::Vpn) {
            let scene = scene::Scene::up(self)?;
            figures.notes.extend(scene.notes());
            for group in scene.groups(self) {
                rounds::run(self, &group, &mut figures.rows)?;
            }
        }
        if wants(Part::Tenants) {
            for (kind, count) in [Kind::Wireguard, Kind::Ipsec].into_iter().zip(self.tenants) {
                if count > 0 {
                    figures.tenants.push(tenants::measure(self, kind, count)?);
                }
            }
        }
        Ok(())
    }
}

/// An error of a controller, a daemon or a tool.
fn failed(what: &'static str) -> impl Fn(&dyn std::fmt::Display) -> Error {
    move |reason| Error::Fabric { what, reason: reason.to_string() }
}
