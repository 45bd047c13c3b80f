//! The ways from VM to VM that are compared, and what each can do.

mod bridge;
mod daemon;
mod filter;
mod groups;
mod netvirt;
mod openvswitch;
mod routed;
mod stage;

use std::path::PathBuf;

pub use netvirt::program;
pub use stage::{LAB_PREFIX, Stage};

use netvirt::Variant;

use crate::Error;
use crate::load::Load;
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
    /// The same, and nftables lets pass what connection tracking knows or may begin.
    #[value(name = "b'", alias = "bct", help = "(b) with nftables connection tracking on the bridge; also \"bct\"")]
    BridgeTracked,
    /// netvirt.
    #[value(name = "n", help = "netvirt, NVGRE, no security groups")]
    Netvirt,
    /// netvirt with stateful security groups of few rules.
    #[value(name = "g10", help = "(n) with a security group of 10 rules each way at both ports, the last one matching")]
    Groups10,
    /// netvirt with stateful security groups of many rules.
    #[value(name = "g1000", help = "the same with 1,000 rules")]
    Groups1000,
    /// netvirt, with another encapsulation.
    #[value(name = "v", help = "netvirt, VXLAN; two hosts only")]
    Vxlan,
    /// netvirt, with another encapsulation.
    #[value(name = "e", help = "netvirt, Geneve; two hosts only")]
    Geneve,
    /// Open vSwitch in userspace with a GRE port.
    #[value(name = "c", help = "Open vSwitch in userspace, GRE; two hosts only")]
    OpenVswitch,
    /// The same with connection tracking.
    #[value(name = "c'", alias = "cct", help = "(c) with connection tracking, ct(commit); also \"cct\"")]
    OpenVswitchTracked,
}

/// All, in the order of the table.
pub const ALL: [Contestant; 10] = [
    Contestant::Routed,
    Contestant::Bridge,
    Contestant::BridgeTracked,
    Contestant::Netvirt,
    Contestant::Groups10,
    Contestant::Groups1000,
    Contestant::Vxlan,
    Contestant::Geneve,
    Contestant::OpenVswitch,
    Contestant::OpenVswitchTracked,
];

impl Contestant {
    /// Its letter in the table and on the command line.
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Routed => "a",
            Self::Bridge => "b",
            Self::BridgeTracked => "b'",
            Self::Netvirt => "n",
            Self::Groups10 => "g10",
            Self::Groups1000 => "g1000",
            Self::Vxlan => "v",
            Self::Geneve => "e",
            Self::OpenVswitch => "c",
            Self::OpenVswitchTracked => "c'",
        }
    }

    /// Its name in the table.
    pub const fn title(self, scene: Scene) -> &'static str {
        match (self, scene) {
            (Self::Routed, _) => "routed",
            (Self::Bridge, Scene::TwoHosts(_)) => "VXLAN + bridge",
            (Self::Bridge, Scene::OneHost) => "bridge",
            (Self::BridgeTracked, _) => "with conntrack",
            (Self::Netvirt, _) => "netvirt",
            (Self::Groups10, _) => "10 rules",
            (Self::Groups1000, _) => "1,000 rules",
            (Self::Vxlan, _) => "VXLAN",
            (Self::Geneve, _) => "Geneve",
            (Self::OpenVswitch, _) => "OVS userspace GRE",
            (Self::OpenVswitchTracked, _) => "with conntrack",
        }
    }

    /// Whether it can do what is to be measured.
    pub const fn does(self, measure: &Measure) -> bool {
        match self {
            // Open vSwitch in userspace reads frames one by one and would cut off what GRO has merged, and it is too slow
            // for as many flows.
            Self::OpenVswitch | Self::OpenVswitchTracked => {
                matches!(measure.scene, Scene::TwoHosts(_))
                    && !matches!(measure.frames, Frames::UplinkMerges)
                    && !matches!(measure.load, Load::Flows(_))
            }
            // A port with security groups may have fewer flows (`plan::Settings`), and the others would be dropped.
            Self::Groups10 | Self::Groups1000 => !measure.is_slow(),
            // On one host nothing is encapsulated.
            Self::Vxlan | Self::Geneve => matches!(measure.scene, Scene::TwoHosts(_)),
            _ => true,
        }
    }

    /// Whether fewer rounds must do, since it is far from the others anyway.
    pub const fn is_far_off(self) -> bool {
        matches!(self, Self::OpenVswitch | Self::OpenVswitchTracked)
    }

    /// Whether it takes part in all measures without being asked to; the others in those of the core alone.
    pub const fn is_thorough(self) -> bool {
        matches!(self, Self::Routed | Self::Bridge | Self::Netvirt | Self::Groups1000)
    }

    /// Whether it is netvirt, of whatever variant.
    pub const fn is_netvirt(self) -> bool {
        self.variant().is_some()
    }

    /// Which netvirt it is.
    const fn variant(self) -> Option<Variant> {
        let (encapsulation, rules) = match self {
            Self::Netvirt => (None, 0),
            Self::Groups10 => (None, 10),
            Self::Groups1000 => (None, 1000),
            Self::Vxlan => (Some("vxlan"), 0),
            Self::Geneve => (Some("geneve"), 0),
            _ => return None,
        };
        Some(Variant { letter: self.letter(), encapsulation, rules })
    }

    /// Builds the scene with this way in it. `netvirt` is the program that is measured.
    ///
    /// # Errors
    /// [`Error::Setup`]; what was built is removed then.
    pub fn raise(self, scene: Scene, netvirt: Option<&PathBuf>) -> Result<Stage, Error> {
        let raised = match (self, self.variant()) {
            (_, Some(variant)) => variant.raise(scene, netvirt),
            (Self::Routed, _) => routed::raise(scene),
            (Self::BridgeTracked, _) => filter::raise(scene),
            (Self::OpenVswitchTracked, _) => openvswitch::raise(scene, true),
            (Self::OpenVswitch, _) => openvswitch::raise(scene, false),
            (_, None) => bridge::raise(scene, "b"),
        };
        raised.map_err(|source| match source {
            Error::Interrupted => Error::Interrupted,
            source => Error::Setup { contestant: self.named(scene), source: Box::new(source) },
        })
    }

    /// Letter and name, as messages have it.
    pub fn named(self, scene: Scene) -> String {
        format!("({}) {}", self.letter(), self.title(scene))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::ValueEnum;

    use super::*;

    #[test]
    fn letters_are_what_the_command_line_takes_and_all_are_listed() {
        let letters: BTreeSet<_> = ALL.into_iter().map(Contestant::letter).collect();
        assert_eq!(letters.len(), Contestant::value_variants().len());
        for contestant in ALL {
            assert_eq!(Contestant::from_str(contestant.letter(), false), Ok(contestant));
        }
        assert_eq!(Contestant::from_str("bct", false), Ok(Contestant::BridgeTracked));
    }
}
