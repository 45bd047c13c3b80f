//! netvirt: network virtualization for Linux hosts. Hands the roles to the command line, and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    let roles = cli::Roles {
        agent: |options| match &options.config {
            Some(config) => agent::run(config, options.check).map_err(Into::into),
            None => Err("this build runs an agent from a configuration alone; give --config FILE".into()),
        },
        controller: |_| Err("this build has no controller".into()),
        join: |_| Err("this build cannot join a controller".into()),
    };
    cli::main_with(std::env::args_os(), roles)
}
