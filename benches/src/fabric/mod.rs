//! How fast a controller is: from a port's declaration to its first ping, to a thousand agents, to an agent that knows
//! nothing yet; and what 100,000 ports cost. All of it on a real controller with its real store, in a lab.
//!
//! Beside two real hosts there are simulated ones: they join and hold sessions as agents do, over mutual TLS, but carry
//! nothing out.

mod agents;
mod cold;
mod first_ping;
mod probe;
pub(crate) mod processor;
pub mod report;
mod scale;
mod site;

use std::path::PathBuf;

use crate::Error;
use report::Figure;
use site::Site;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The netvirt that is measured.
    pub netvirt: PathBuf,
    /// How many other ports there are when a port is created, one measure each, rising.
    pub other_ports: Vec<usize>,
    /// How many ports are created in each.
    pub rounds: usize,
    /// How many agents a change is to reach.
    pub agents: usize,
}

/// Ports that a simulated host has at least, so that it needs what its network needs.
const PORTS_A_HOST: usize = 100;

impl Plan {
    /// Measures all of it; a line for each step goes to standard error. What was measured before an error is not lost.
    pub fn run(&self) -> (Vec<Figure>, Result<(), Error>) {
        let mut figures = Vec::new();
        let result = self.measure(&mut figures);
        (figures, result)
    }

    fn measure(&self, figures: &mut Vec<Figure>) -> Result<(), Error> {
        let lab = site::raise(&self.netvirt)?;
        let controller = lab.node("controller")?.namespace().clone();
        // A client's sockets are in the namespace of the thread that asks.
        controller.run(|| self.measure_there(Site::new(lab)?, figures))?
    }

    fn measure_there(&self, mut site: Site, figures: &mut Vec<Figure>) -> Result<(), Error> {
        let most = self.other_ports.iter().copied().max().unwrap_or_default();
        let hosts = self.agents.max(most.div_ceil(PORTS_A_HOST));
        eprintln!("{hosts} simulated hosts join");
        let enrolled = site.enrol(hosts)?;
        let mut heard = false;
        for &count in &self.other_ports {
            let added = count.saturating_sub(site.others());
            eprintln!("{added} more ports");
            figures.extend(scale::declare(&mut site, &enrolled, added)?);
            // Each agent needs the network because of a port of its own. With few ports, since the agents share this
            // machine, and each takes in all of the network first.
            if !heard && site.others() >= hosts {
                eprintln!("{} agents hear of a change", self.agents);
                figures.extend(agents::propagation(&site, &enrolled[..self.agents], self.rounds)?);
                heard = true;
            }
            eprintln!("first ping with {count} other ports");
            figures.extend(first_ping::measure(&site, count, self.rounds)?);
        }
        figures.extend(scale::memory(&site)?);
        eprintln!("an agent that knows nothing yet");
        figures.push(cold::measure(&site)?);
        figures.push(cold::simulated(&site, &enrolled)?);
        eprintln!("the controller starts again");
        figures.push(scale::restart(&mut site)?);
        Ok(())
    }
}
