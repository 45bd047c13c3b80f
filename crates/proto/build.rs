//! Makes Rust out of the .proto files, without protoc.
//!
//! Two passes over the same files: the messages first, then the services with `ControllerMessage` replaced by
//! `crate::Encoded`, so that the server sends bytes that were encoded once for all agents and the wire is still plain
//! gRPC.

use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let files = || {
        let files = ["agent", "asking", "claims", "resources"].map(|name| format!("netvirt/v1/{name}.proto"));
        protox::compile(files, ["proto"])
    };
    let pass = |folder: &str| -> Result<(tonic_prost_build::Builder, PathBuf), Box<dyn Error>> {
        let folder = out.join(folder);
        std::fs::create_dir_all(&folder)?;
        let builder = tonic_prost_build::configure().out_dir(Path::new(&folder)).emit_rerun_if_changed(false);
        Ok((builder, folder))
    };
    let (messages, _) = pass("messages")?;
    messages.build_client(false).build_server(false).bytes(".").compile_fds(files()?)?;
    let (services, _) = pass("services")?;
    services
        .build_transport(false)
        .extern_path(".netvirt.v1.ControllerMessage", "crate::Encoded")
        .extern_path(".netvirt.v1", "crate::wire")
        .compile_fds(files()?)?;
    Ok(())
}
