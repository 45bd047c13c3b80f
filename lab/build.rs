//! Compiles the program that runs commands in guests (`guest/agent.rs`) and leaves it at `$OUT_DIR/guest-agent`, from where
//! it goes into this crate, so that `netvirt` stays one file.
//!
//! It needs the standard library alone, so the compiler is asked without cargo. The example `guest-agent` is the same
//! file for those who look at all targets, clippy for one.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=guest");
    println!("cargo:rerun-if-changed=src/guest/wire.rs");
    let variable = |name: &str| env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name} for build scripts"));
    let output = PathBuf::from(variable("OUT_DIR")).join("guest-agent");
    let mut compiler = Command::new(variable("RUSTC"));
    compiler.args(["--edition", "2024", "--crate-name", "guest_agent", "--target"]).arg(variable("TARGET"));
    // Quick to load and small: it lies in the memory of each guest.
    compiler.args(["-C", "opt-level=s", "-C", "strip=symbols", "-C", "panic=abort", "-C", "codegen-units=1"]);
    match compiler.arg("-o").arg(&output).arg("guest/agent.rs").status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => {
            eprintln!("the compiler does not build guest/agent.rs ({status}); its reason stands above");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("cannot run the compiler {}: {error}", compiler.get_program().display());
            ExitCode::FAILURE
        }
    }
}
