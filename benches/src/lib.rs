//! netvirt measured against its peers: a load generator of its own, the peers in labs side by side, one table.
//!
//! **Invariant:** a ratio is taken between two measurements of the same round, and nothing is measured that runs
//! outside of the lab's network namespaces.

pub mod alone;
pub mod args;
pub mod contestant;
mod error;
pub mod fabric;
pub mod gateway;
pub mod interrupt;
pub mod load;
pub mod machine;
pub mod measure;
pub mod moving;
pub mod profile;
pub mod report;
pub mod run;
pub mod stats;

pub use error::Error;
