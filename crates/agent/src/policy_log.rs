//! What rules of security groups want to be logged: one line for the first packet of each flow, in the agent's own log.

use api::protocol_name;
use datapath::Logs;
use pipeline::policy::{Direction, Logged};
use plan::{rule_at, to_ip};

use crate::core::{Core, device_name};
use crate::error::RunError;
use crate::run::{Shared, lock};

/// Writes the lines, from now on.
pub fn watch(core: &Shared) -> Result<(), RunError> {
    let mut logs: Logs = lock(core).datapath.take_logs()?;
    let core = Shared::clone(core);
    let body = move || loop {
        if let Err(error) = logs.wait() {
            tracing::error!("cannot hear of packets to log any more: {error}");
            return;
        }
        while let Some(logged) = logs.next_logged() {
            // The agent is not kept from its work while the line is written.
            let line = line(&lock(&core), &logged);
            // The target lets an operator ask for these lines alone: RUST_LOG=policy=info.
            tracing::info!(target: "policy", "{line}");
        }
    };
    std::thread::Builder::new()
        .name("policy log".to_owned())
        .spawn(body)
        .map(|_| ())
        .map_err(|source| RunError::Io { what: "start the log of security groups", source })
}

/// Who may or may not do what, and which rule says so.
fn line(core: &Core, logged: &Logged) -> String {
    let direction = if logged.side & 1 == 0 { Direction::Egress } else { Direction::Ingress };
    let port = device_name(core.facts(), logged.ifindex).and_then(|device| core.intent().port_on(device));
    let rule = port.and_then(|port| rule_at(core.intent(), port, direction, logged.index as usize));
    let key = &logged.key;
    let end = |address, port: u32| match port & 0xffff {
        0 => to_ip(address).to_string(),
        port => format!("{} port {port}", to_ip(address)),
    };
    let (local, remote) = (end(key.local, key.ports >> 16), end(key.remote, key.ports));
    let (way, from, to) = match direction {
        Direction::Egress => ("egress", local, remote),
        Direction::Ingress => ("ingress", remote, local),
    };
    format!(
        "{} {way} at port {}: {} from {from} to {to}, by the rule {}",
        if logged.allowed != 0 { "allowed" } else { "denied" },
        port.map_or_else(|| format!("#{}", logged.ifindex), |port| port.name.to_string()),
        protocol_name(key.protocol),
        rule.unwrap_or_else(|| format!("at place {} of its policy, which has changed since", logged.index)),
    )
}
