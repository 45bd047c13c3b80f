//! The ways from VM to VM that are compared, and what each can do.

mod bridge;
mod daemon;
mod netvirt;
mod openvswitch;
mod routed;
mod stage;

use std::path::PathBuf;

pub use netvirt::program;
pub use stage::{LAB_PREFIX, Stage};

use crate::Error;
use crate::measure::{Frames, Measure, Scene};

/// A way from VM to VM.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
pub enum Contestant {
    /// The kernel routes, without any overlay: what all others are compared with.
    #[value(name = "a", help = "routed by the kernel, without overlay (the baseline)")]
    Routed,
    /// A kernel VXLAN device in a bridge; on one host the bridge alone.
    #[value(name = "b", help = "kernel VXLAN and bridge, static entries; on one host the bridge")]
    Bridge,
    /// Open vSwitch in userspace with a GRE port.
    #[value(name = "c", help = "Open vSwitch in userspace, GRE; two hosts only")]
    OpenVswitch,
    /// netvirt.
    #[value(name = "n", help = "netvirt, NVGRE")]
    Netvirt,
}

/// All, in the order of the table.
pub const ALL: [Contestant; 4] = [Contestant::Routed, Contestant::Bridge, Contestant::Netvirt, Contestant::OpenVswitch];

impl Contestant {
    /// Its letter on the command line and in the table.
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Routed => "a",
            Self::Bridge => "b",
            Self::OpenVswitch => "c",
            Self::Netvirt => "n",
        }
    }

    /// Its name in the table.
    pub const fn title(self, scene: Scene) -> &'static str {
        match (self, scene) {
            (Self::Routed, _) => "routed",
            (Self::Bridge, Scene::TwoHosts(_)) => "VXLAN + bridge",
            (Self::Bridge, Scene::OneHost) => "bridge",
            (Self::OpenVswitch, _) => "OVS userspace GRE",
            (Self::Netvirt, _) => "netvirt",
        }
    }

    /// Whether it can do what is to be measured.
    pub const fn does(self, measure: &Measure) -> bool {
        match self {
            // Open vSwitch in userspace reads frames one by one and would cut off what GRO has merged.
            Self::OpenVswitch => {
                matches!(measure.scene, Scene::TwoHosts(_)) && !matches!(measure.frames, Frames::UplinkMerges)
            }
            _ => true,
        }
    }

    /// Whether fewer rounds must do, since it is far from the others anyway.
    pub const fn is_far_off(self) -> bool {
        matches!(self, Self::OpenVswitch)
    }

    /// Builds the scene with this way in it.
    ///
    /// # Errors
    /// [`Error::Setup`]; what was built is removed then.
    pub fn raise(self, scene: Scene, netvirt: Option<&PathBuf>) -> Result<Stage, Error> {
        let raised = match self {
            Self::Routed => routed::raise(scene),
            Self::Bridge => bridge::raise(scene),
            Self::OpenVswitch => openvswitch::raise(scene),
            Self::Netvirt => netvirt::raise(scene, netvirt),
        };
        raised.map_err(|source| Error::Setup { contestant: self.title(scene).to_owned(), source: Box::new(source) })
    }
}
