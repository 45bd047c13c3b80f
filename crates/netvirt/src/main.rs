//! netvirt: network virtualization for Linux hosts. Hands the roles to the command line, and nothing else.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let roles = cli::Roles {
        agent: |options| {
            match &options.config {
                Some(config) => agent::run(config, options.check),
                None => agent::run_joined(options.state.as_deref(), options.check),
            }
            .map_err(Into::into)
        },
        controller: |options| controller::run(&controller_options(options), Some(console::pages)).map_err(Into::into),
        gateway: |options| gateway::run(&gateway_options(options)).map_err(Into::into),
        wireguard: |options| gateway::run_wireguard(&wireguard_options(options)).map_err(Into::into),
        join: |options| agent::join(&join_options(options)).map_err(Into::into),
        leave: |options| match agent::leave(&leave_options(options)) {
            Ok(agent::Left { host, controller, unasked }) => Ok(cli::Left { host, controller, unasked }),
            Err(error) => Err(error.into()),
        },
    };
    cli::main_with(std::env::args_os(), roles)
}

/// What the command line says, in the controller's own words.
fn controller_options(options: &cli::ControllerOptions) -> controller::Options {
    let cli::ControllerOptions { config, state, listen, agents, advertise, check } = options.clone();
    controller::Options { config, state, listen, agents, advertise, check }
}

/// What the command line says, in the gateway's own words.
fn gateway_options(options: &cli::GatewayOptions) -> gateway::Options {
    let cli::GatewayOptions { socket, folder } = options.clone();
    gateway::Options { socket, folder }
}

/// The same of one of its tunnels.
fn wireguard_options(options: &cli::WireguardOptions) -> gateway::WireguardOptions {
    let cli::WireguardOptions { device, config, mtu, status } = options.clone();
    gateway::WireguardOptions { device, config, mtu, socket: status }
}

/// What the command line says, in the agent's own words.
fn join_options(options: &cli::JoinOptions) -> agent::JoinOptions {
    let cli::JoinOptions { controller, token, uplinks, name, state, force } = options.clone();
    let state = state.unwrap_or_else(|| PathBuf::from(agent::Config::DEFAULT_STATE));
    agent::JoinOptions { controller, token, uplinks, name, state, force }
}

/// The same of leaving.
fn leave_options(options: &cli::LeaveOptions) -> agent::LeaveOptions {
    let cli::LeaveOptions { config, state, force } = options.clone();
    agent::LeaveOptions { config, state, force }
}
