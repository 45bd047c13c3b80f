//! What is measured: the list of measures, in the order of the table.

use serde::Serialize;

use crate::Error;
use crate::load::Load;

/// Where the two VMs are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Scene {
    /// On two hosts with one cable between them, whose MTU in bytes this is.
    TwoHosts(u32),
    /// On one host, with an MTU of 1500 bytes.
    OneHost,
}

/// What happens to frames that are larger than the MTU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frames {
    /// They pass whole from VM to VM, as far as the contestant lets them.
    Whole,
    /// The VMs' segmentation offloads are off: there are none.
    VmCuts,
    /// The uplinks' segmentation offloads are off: the sending host cuts them.
    UplinkCuts,
    /// The same, and the receiving uplink merges what it can (GRO).
    UplinkMerges,
}

/// How many CPUs are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cores {
    /// Everything on the client's.
    One,
    /// The client's side on one, the server's on the other.
    Two,
}

/// One line of the table (or three, where there are percentiles).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measure {
    /// Its name, as `--only` takes it.
    pub name: &'static str,
    /// Its name in the table.
    pub title: &'static str,
    /// Where.
    pub scene: Scene,
    /// What is sent.
    pub load: Load,
    /// How frames are cut.
    pub frames: Frames,
    /// Where it runs.
    pub cores: Cores,
}

/// The MTU of an underlay with room for 1,500 bytes inside of any encapsulation.
const NORMAL: Scene = Scene::TwoHosts(1600);
/// The MTU of an underlay with jumbo frames.
const JUMBO: Scene = Scene::TwoHosts(9000);

const fn measure(name: &'static str, title: &'static str, scene: Scene, load: Load, cores: Cores) -> Measure {
    Measure { name, title, scene, load, frames: Frames::Whole, cores }
}

const fn cut(name: &'static str, title: &'static str, scene: Scene, frames: Frames) -> Measure {
    Measure { frames, ..measure(name, title, scene, Load::Stream(1), Cores::Two) }
}

const fn packets(name: &'static str, title: &'static str, scene: Scene, payload: usize, flows: usize) -> Measure {
    measure(name, title, scene, Load::Packets { payload, flows }, Cores::Two)
}

/// On one core nothing is lost between sender and receiver, so that the rate is the cost of the whole way.
const fn flows(name: &'static str, title: &'static str, scene: Scene, flows: usize) -> Measure {
    measure(name, title, scene, Load::Flows(flows), Cores::One)
}

/// All measures.
pub const ALL: &[Measure] = &[
    measure("tcp-1", "TCP, 1 stream", NORMAL, Load::Stream(1), Cores::Two),
    measure("tcp-4", "TCP, 4 streams", NORMAL, Load::Stream(4), Cores::Two),
    measure("tcp-1-jumbo", "TCP, 1 stream, MTU 9000", JUMBO, Load::Stream(1), Cores::Two),
    measure("tcp-4-jumbo", "TCP, 4 streams, MTU 9000", JUMBO, Load::Stream(4), Cores::Two),
    cut("tcp-seg", "TCP, VMs' segmentation offload off", NORMAL, Frames::VmCuts),
    cut("tcp-apart", "TCP, frames apart on the wire", NORMAL, Frames::UplinkCuts),
    cut("tcp-apart-gro", "TCP, frames apart, GRO at the uplink", NORMAL, Frames::UplinkMerges),
    measure("tcp-rr-1", "TCP round trips, one core", NORMAL, Load::TcpRoundTrips, Cores::One),
    measure("tcp-rr-2", "TCP round trips, two cores", NORMAL, Load::TcpRoundTrips, Cores::Two),
    measure("udp-rr-1", "UDP round trips, one core", NORMAL, Load::UdpRoundTrips, Cores::One),
    measure("udp-rr-2", "UDP round trips, two cores", NORMAL, Load::UdpRoundTrips, Cores::Two),
    measure("crr-1", "TCP connections, one core", NORMAL, Load::Connections, Cores::One),
    measure("crr-2", "TCP connections, two cores", NORMAL, Load::Connections, Cores::Two),
    packets("udp-64-1", "UDP 64 B, 1 flow", NORMAL, 64, 1),
    packets("udp-64-1024", "UDP 64 B, 1,024 flows", NORMAL, 64, 1024),
    packets("udp-1000-1", "UDP 1,000 B, 1 flow", NORMAL, 1000, 1),
    packets("udp-1000-1024", "UDP 1,000 B, 1,024 flows", NORMAL, 1000, 1024),
    flows("flows-1", "64 B, packet socket, one core, 1 flow", NORMAL, 1),
    flows("flows-1024", "64 B, packet socket, one core, 1,024 flows", NORMAL, 1024),
    flows("flows-10000", "64 B, packet socket, one core, 10,000 flows", NORMAL, 10_000),
    flows("flows-1000000", "64 B, packet socket, one core, 1,000,000 flows", NORMAL, 1_000_000),
    measure("local-tcp-1", "TCP, 1 stream", Scene::OneHost, Load::Stream(1), Cores::Two),
    measure("local-tcp-4", "TCP, 4 streams", Scene::OneHost, Load::Stream(4), Cores::Two),
    cut("local-tcp-seg", "TCP, VMs' segmentation offload off", Scene::OneHost, Frames::VmCuts),
    measure("local-tcp-rr-1", "TCP round trips, one core", Scene::OneHost, Load::TcpRoundTrips, Cores::One),
    measure("local-tcp-rr-2", "TCP round trips, two cores", Scene::OneHost, Load::TcpRoundTrips, Cores::Two),
    measure("local-udp-rr-1", "UDP round trips, one core", Scene::OneHost, Load::UdpRoundTrips, Cores::One),
    measure("local-udp-rr-2", "UDP round trips, two cores", Scene::OneHost, Load::UdpRoundTrips, Cores::Two),
    measure("local-crr-1", "TCP connections, one core", Scene::OneHost, Load::Connections, Cores::One),
    measure("local-crr-2", "TCP connections, two cores", Scene::OneHost, Load::Connections, Cores::Two),
    packets("local-udp-64-1", "UDP 64 B, 1 flow", Scene::OneHost, 64, 1),
    packets("local-udp-64-1024", "UDP 64 B, 1,024 flows", Scene::OneHost, 64, 1024),
    packets("local-udp-1000-1", "UDP 1,000 B, 1 flow", Scene::OneHost, 1000, 1),
    packets("local-udp-1000-1024", "UDP 1,000 B, 1,024 flows", Scene::OneHost, 1000, 1024),
    flows("local-flows-1", "64 B, packet socket, one core, 1 flow", Scene::OneHost, 1),
    flows("local-flows-1000000", "64 B, packet socket, one core, 1,000,000 flows", Scene::OneHost, 1_000_000),
];

/// The measures in which everybody takes part; the others are for those that goals are about.
const CORE: [&str; 11] = [
    "tcp-1",
    "tcp-seg",
    "tcp-rr-1",
    "crr-1",
    "udp-64-1",
    "udp-64-1024",
    "flows-1000000",
    "local-tcp-1",
    "local-tcp-rr-1",
    "local-crr-1",
    "local-udp-64-1",
];

/// The measures of a quick look: the ones with the least noise, and one stream.
const QUICK: [&str; 8] =
    ["tcp-1", "tcp-seg", "tcp-apart-gro", "tcp-rr-1", "udp-rr-1", "crr-1", "udp-64-1", "udp-64-1024"];

impl Measure {
    /// The share of the baseline's rate that netvirt shall reach. Streams of frames larger than the MTU vary so much
    /// that a little less is granted.
    pub const fn goal(&self) -> f64 {
        match (self.load, self.frames) {
            (Load::Stream(_), Frames::Whole | Frames::UplinkCuts | Frames::UplinkMerges) => 0.95,
            _ => 1.0,
        }
    }

    /// Whether everybody takes part.
    pub fn is_core(&self) -> bool {
        CORE.contains(&self.name)
    }

    /// Whether fewer rounds must do, since each takes long: all of very many flows are sent before anything counts.
    pub const fn is_slow(&self) -> bool {
        matches!(self.load, Load::Flows(100_000..))
    }

    /// What a rate of 1 in its unit is, per second, and the unit.
    pub const fn unit(&self) -> (f64, &'static str) {
        match self.load {
            Load::Stream(_) | Load::StreamBack => (1e9, "Gbit/s"),
            Load::TcpRoundTrips | Load::UdpRoundTrips => (1e3, "k/s"),
            Load::Connections => (1e3, "k/s"),
            Load::Packets { .. } | Load::Flows(_) => (1e3, "kpps"),
        }
    }
}

/// The measures that words name, each a name or the beginning of names that end there or go on with a dash; all, or
/// the quick ones, when there is no word.
///
/// # Errors
/// [`Error::NoMeasure`] for a word that names none.
pub fn select(words: &[String], quick: bool) -> Result<Vec<Measure>, Error> {
    let meant = |word: &str, name: &str| match name.strip_prefix(word) {
        Some(rest) => rest.is_empty() || rest.starts_with('-'),
        None => false,
    };
    if let Some(word) = words.iter().find(|word| !ALL.iter().any(|measure| meant(word, measure.name))) {
        return Err(Error::NoMeasure(word.clone()));
    }
    let exact = |name: &str| words.iter().any(|word| word == name);
    // A word that is itself a name means that one alone.
    let loose: Vec<_> = words.iter().filter(|word| !ALL.iter().any(|measure| measure.name == word.as_str())).collect();
    let chosen = ALL.iter().filter(|measure| match (words, quick) {
        ([], true) => QUICK.contains(&measure.name),
        ([], false) => true,
        _ => exact(measure.name) || loose.iter().any(|word| meant(word, measure.name)),
    });
    Ok(chosen.copied().collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(words: &[&str]) -> Vec<&'static str> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        let chosen = select(&words, false).unwrap();
        chosen.iter().map(|measure| measure.name).collect()
    }

    #[test]
    fn names_are_unique_and_the_quick_ones_exist() {
        let names: BTreeSet<_> = ALL.iter().map(|measure| measure.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(ALL.iter().filter(|measure| measure.is_core()).count(), CORE.len());
        assert_eq!(select(&[], true).unwrap().len(), QUICK.len());
        assert_eq!(select(&[], false).unwrap().len(), ALL.len());
    }

    #[test]
    fn a_word_is_a_name_or_a_beginning() {
        assert_eq!(names(&["tcp-1"]), ["tcp-1"]);
        assert_eq!(names(&["tcp-rr"]), ["tcp-rr-1", "tcp-rr-2"]);
        assert_eq!(names(&["local-crr", "crr-1"]), ["crr-1", "local-crr-1", "local-crr-2"]);
        assert_eq!(names(&["local"]).len(), 15);
    }

    #[test]
    fn a_word_that_names_nothing_is_refused() {
        let error = select(&["tcp-1".to_owned(), "tc".to_owned()], false).unwrap_err();
        assert!(error.to_string().contains("\"tc\""), "{error}");
    }

    #[test]
    fn flows_are_squares_so_that_pairs_of_sockets_make_them() {
        for measure in ALL {
            if let Load::Packets { flows, .. } = measure.load {
                assert_eq!(flows.isqrt().pow(2), flows, "{}", measure.name);
            }
        }
    }
}
