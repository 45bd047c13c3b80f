//! Guests with kernels of their own that move while they speak with others, and what guests send each other: netvirt beside
//! kernel VXLAN with a bridge, the same guests on the same kind of hosts, in turns.

mod idle;
mod pcap;
mod report;
mod scene;
mod streams;
mod under_load;

use std::path::PathBuf;

pub use report::Figures;
use scene::{Kind, Scene};

use crate::{Error, interrupt};

/// How many moves one contestant makes before it is the other's turn.
const BLOCK: usize = 5;

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program that the agents are.
    pub netvirt: PathBuf,
    /// How often the guest moves with each.
    pub moves: usize,
    /// Idle connections.
    pub idle: usize,
    /// How often the streams between guests are measured with each.
    pub rounds: usize,
    /// How long each lasts, in seconds.
    pub seconds: u64,
}

impl Plan {
    /// Measures it.
    ///
    /// # Errors
    /// When a lab does not come up, a guest does not move, or what it was to say does not come.
    pub fn run(&self) -> Result<Figures, Error> {
        let mut scenes =
            Kind::BOTH.map(|kind| Scene::up(kind, &self.netvirt)).into_iter().collect::<Result<Vec<_>, _>>()?;
        let mut figures = Figures::new(&scenes);
        for round in 0..self.rounds {
            // The order turns each time.
            for place in turned(round) {
                interrupt::check()?;
                let sample = streams::between_guests(&scenes[place], self.seconds)?;
                figures.stream(place, sample);
            }
        }
        for (place, scene) in scenes.iter().enumerate() {
            figures.frames(place, streams::frames(scene)?);
        }
        let mut held = Vec::new();
        for scene in &scenes {
            held.push(idle::Held::open(scene, self.idle)?);
        }
        let mut left = self.moves;
        for block in 0.. {
            let now = left.min(BLOCK);
            if now == 0 {
                break;
            }
            for place in turned(block) {
                interrupt::check()?;
                figures.moved(place, under_load::block(&mut scenes[place], now)?);
            }
            left -= now;
        }
        for (place, held) in held.into_iter().enumerate() {
            figures.held(place, held.still_answer());
        }
        Ok(figures)
    }
}

/// The places of both contestants, each time the other one first.
fn turned(round: usize) -> [usize; 2] {
    if round.is_multiple_of(2) { [0, 1] } else { [1, 0] }
}
