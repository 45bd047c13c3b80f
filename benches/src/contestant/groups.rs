//! Security groups for the benchmark: many rules in each direction, of which the last one alone matches.

use std::fs;
use std::path::Path;
use std::time::Duration;

use lab::Node;

use super::stage::{MACS, Stage, VMS, mac_text};
use crate::Error;

/// The group's name.
const GROUP: &str = "bench";
/// How long an agent may take to put so many rules into force.
const LIMIT: Duration = Duration::from_secs(30);

/// Gives both ports a group with so many rules each way, by the program `netvirt` as an operator would.
pub(super) fn put(stage: &Stage, netvirt: &Path, vsid: u32, rules: usize) -> Result<(), Error> {
    let file = stage.folder("groups.yaml");
    let write = |text: String| {
        fs::write(&file, text).map_err(|source| Error::File { action: "write", path: file.clone(), source })
    };
    for (index, host) in stage.hosts.iter().enumerate() {
        let here = |vm: &usize| stage.hosts.len() == 1 || *vm == index;
        let ports: String = (0..VMS.len()).filter(here).map(|vm| port(vm, vsid)).collect();
        write(group(rules) + &ports)?;
        apply(host, netvirt, &file)?;
    }
    Ok(())
}

fn apply(host: &Node, netvirt: &Path, file: &Path) -> Result<(), Error> {
    let [netvirt, file] = [netvirt, file].map(|path| path.display().to_string());
    host.output(&[&netvirt, "apply", "-f", &file, "--host", host.name()], LIMIT)?.ok()?;
    Ok(())
}

/// The port of a VM, in the group.
fn port(vm: usize, vsid: u32) -> String {
    let (name, mac) = (VMS[vm], mac_text(MACS[vm]));
    format!(
        "---\nkind: port\nname: {name}\nspec: {{device: {name}, mac: {mac}, vsid: {vsid}, securityGroups: [{GROUP}]}}\n"
    )
}

/// The group. Its rules are of two kinds in turn: such that match by address and not by service, and such that match by
/// service and not by address; the last of each direction is for everything of the VMs' subnet.
fn group(rules: usize) -> String {
    let mut text = format!(
        "kind: security-group\nname: {GROUP}\nspec:\n  egressDefault: deny\n  ingressDefault: deny\n  rules:\n"
    );
    for direction in ["ingress", "egress"] {
        for number in 1..rules {
            let rule = if number % 2 == 0 {
                // No load uses ports as low as these.
                let (protocol, port) = (if number % 4 == 0 { "tcp" } else { "udp" }, number);
                format!("protocol: {protocol}, ports: [\"{port}-{}\"], remote: {{prefixes: [10.0.0.0/24]}}", port + 20)
            } else {
                let (third, fourth) = (number / 128, number % 128 * 2);
                format!("protocol: any, remote: {{prefixes: [172.16.{third}.{fourth}/31]}}")
            };
            let action = if number % 3 == 0 { "deny" } else { "allow" };
            text += &format!("    - {{direction: {direction}, action: {action}, priority: {number}, {rule}}}\n");
        }
        text += &format!(
            "    - {{direction: {direction}, action: allow, priority: {rules}, protocol: any, remote: {{prefixes: \
             [10.0.0.0/24]}}}}\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_as_many_rules_each_way_and_the_last_is_for_all() {
        for rules in [10, 1000] {
            let text = group(rules);
            for direction in ["ingress", "egress"] {
                let of: Vec<_> =
                    text.lines().filter(|line| line.contains(&format!("direction: {direction}"))).collect();
                assert_eq!(of.len(), rules);
                assert!(
                    of[rules - 1].contains("protocol: any, remote: {prefixes: [10.0.0.0/24]}"),
                    "{}",
                    of[rules - 1]
                );
                assert!(of[..rules - 1].iter().all(|line| line.contains("ports:") || line.contains("172.16.")));
            }
        }
    }
}
