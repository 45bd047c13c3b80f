//! What happens to one packet.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod tables;
pub use tables::*;

/// One step of a packet's way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Reads the headers.
    Parse,
}
