//! The pictures of the console: pure functions from plain data to SVG. They know nothing of the API; pages fill their
//! inputs. The same input gives the same string.
//!
//! Inside of a page a picture has classes alone, which [`CSS`] styles as a part of the page's stylesheet, since no
//! inline style is let in there. As a file of its own it brings its stylesheet along ([`Setting::standalone`]) and is
//! served as `image/svg+xml`.
//!
//! What users have named is text, whatever it holds, is cut to the room that there is, and shown in full when one
//! points at it. Nothing covers anything else: each picture is laid out as a `Scene` first, which the tests ask.

mod address_map;
mod charts;
mod fabric;
mod marks;
mod number;
mod render;
mod scene;
mod style;
#[cfg(test)]
mod tests;
mod text;
mod topology;
mod trace;
mod words;

pub use address_map::{AddressMap, Stretch, StretchKind, address_map};
pub use charts::{Bar, Bars, bars};
pub use fabric::{Fabric, GatewayRole, Health, Host, Migration, Tunnel, Uplink, fabric};
pub use style::CSS;
pub use topology::{
    Connection, ConnectionKind, ConnectionState, Gateway, Network, Router, Site, Subnet, Topology, Vm, VmState,
    topology,
};
pub use trace::{End, Leg, Passage, Stage, StageState, Trace, trace};
pub use words::Words;

/// How a picture is to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// As a file that is seen, printed and kept without a page around it: it has its own stylesheet and ground.
    pub standalone: bool,
    /// What is put before the addresses of links, as `https://controller.example:8443`; nothing inside of a page.
    pub base: String,
    /// What the picture itself says.
    pub words: Words,
}

impl Setting {
    /// Inside of a page of the console.
    pub const fn page(words: Words) -> Self {
        Self { standalone: false, base: String::new(), words }
    }

    /// As a file, whose links lead to the console at this address.
    pub fn file(words: Words, base: impl Into<String>) -> Self {
        Self { standalone: true, base: base.into(), words }
    }
}
