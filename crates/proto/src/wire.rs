//! The messages as `prost` makes them of the .proto files. Nothing outside of this crate sees them.

#![allow(missing_docs, clippy::all, clippy::too_many_lines)]

include!(concat!(env!("OUT_DIR"), "/messages/netvirt.v1.rs"));

/// The services, as `tonic` makes them.
pub mod services {
    include!(concat!(env!("OUT_DIR"), "/services/netvirt.v1.rs"));
}
