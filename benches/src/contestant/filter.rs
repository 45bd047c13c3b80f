//! Kernel VXLAN and a bridge, as a stateful filter makes them of it: nftables lets pass what belongs to a connection that
//! it knows, and what may begin one.
//!
//! Where the kernel tracks connections on bridges (NF_CONNTRACK_BRIDGE) the rules are in a table of the bridge; elsewhere
//! the bridge hands its packets to a table of IPv4 (`bridge-nf-call-iptables`), as most clouds on Linux bridges have it.

use std::fs;
use std::time::Duration;

use lab::Node;

use super::bridge;
use super::stage::Stage;
use crate::Error;
use crate::measure::Scene;

/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The rules, in a table of one family. The first counts what connection tracking recognized. What is not IP has no
/// connection, and passes: ARP.
fn rules(family: &str) -> String {
    let other = if family == "bridge" { "meta protocol != ip accept;" } else { "" };
    format!(
        "table {family} filter {{\n  chain forward {{\n    type filter hook forward priority 0; policy drop; {other}\n    \
         ct state established,related counter accept\n    ct state new accept\n  }}\n}}\n"
    )
}

/// Builds it.
pub(super) fn raise(scene: Scene) -> Result<Stage, Error> {
    let mut stage = bridge::raise(scene, "bct")?;
    let file = stage.folder("filter.nft");
    let mut ways = Vec::new();
    for host in &stage.hosts {
        ways.push(filter(host, &file)?);
    }
    // A connection goes both ways: the answers are what has to be recognized.
    let address = stage.address.to_string();
    stage.client.output(&["ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", &address], LIMIT)?.ok()?;
    for host in &stage.hosts {
        let rules = host.output(&["nft", "list", "ruleset"], LIMIT)?.ok()?;
        if !counted(&rules) {
            return Err(Error::Untracked { host: host.name().to_owned(), rules });
        }
    }
    stage.note = ways.pop().map(|way| format!("(b') tracks connections by {way}."));
    Ok(stage)
}

/// Puts the rules onto a host; returns by what they take effect.
fn filter(host: &Node, file: &std::path::Path) -> Result<&'static str, Error> {
    let load = |family: &str| -> Result<bool, Error> {
        fs::write(file, rules(family)).map_err(|source| Error::File {
            action: "write",
            path: file.to_owned(),
            source,
        })?;
        let output = host.output(&["nft", "-f", &file.display().to_string()], LIMIT)?;
        if family == "bridge" { Ok(output.success()) } else { Ok(output.ok().map(|_| true)?) }
    };
    if load("bridge")? {
        return Ok("nf_conntrack_bridge and a table of family bridge");
    }
    host.namespace().set_sysctl("bridge/bridge-nf-call-iptables", "1")?;
    load("ip")?;
    Ok("br_netfilter (bridge-nf-call-iptables) and a table of family ip, since this kernel has no nf_conntrack_bridge")
}

/// Whether the first rule has recognized a packet.
fn counted(ruleset: &str) -> bool {
    let mut words = ruleset.split_whitespace().skip_while(|word| *word != "packets").skip(1);
    words.next().and_then(|number| number.parse::<u64>().ok()).is_some_and(|packets| packets > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_saw_nothing_has_not_counted() {
        let listed = |packets: u32| {
            format!("chain forward {{ ct state established,related counter packets {packets} bytes 84 accept }}")
        };
        assert!(counted(&listed(3)) && !counted(&listed(0)) && !counted("table ip filter {}"));
    }
}
