//! netvirt: network virtualization for Linux hosts. Hands the roles to the command line, and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    let roles = cli::Roles { agent: |config, check| agent::run(config, check).map_err(Into::into) };
    cli::main_with(std::env::args_os(), roles)
}
