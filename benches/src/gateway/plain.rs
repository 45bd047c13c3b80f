//! Plain Linux routers: what a compartment is compared with. The VM's cable ends in the router itself, or behind a bridge and the
//! kernel's VXLAN; the way outside is a macvlan, as a compartment's.

use std::io::Write;
use std::net::Ipv4Addr;
use std::process::Stdio;

use host::Namespace;
use lab::Node;

use super::daemon::script;
use super::failed;
use crate::Error;

/// Has a host route between its device `inside`, with this address of the VMs' router, and a macvlan `outside`.
pub(super) fn router(node: &Node, inside: &str, outside: Ipv4Addr) -> Result<(), Error> {
    script(
        node,
        &format!(
            "ip address add {inside} dev inside\nip link set inside up\nip link add link eth1 name outside type macvlan mode \
             bridge\nip address add {outside}/24 dev outside\nip link set outside up\nip route add default via 203.0.113.1"
        ),
    )?;
    node.namespace().set_sysctl("ipv4/ip_forward", "1")?;
    Ok(())
}

/// Makes the cable of a VM that is on the router's own host its device `inside`.
pub(super) fn beside(node: &Node, device: &str) -> Result<(), Error> {
    script(node, &format!("ip link set {device} down\nip link set {device} name inside")).map(drop)
}

/// Joins the VM of a host to a router behind another host by VXLAN between these addresses. The router's device `inside` is the
/// VXLAN itself; its packets come by the other host, as those of a compartment do, and no rule of the router sees them wrapped.
pub(super) fn behind_vxlan(
    vms: (&Node, &str, &str),
    ends: (&Node, &str),
    router: &Node,
    number: u32,
) -> Result<(), Error> {
    let ((host, device, own), (gateway, other)) = (vms, ends);
    let vxlan = |name: &str, here: &str, there: &str| {
        format!("ip link add {name} type vxlan id {number} local {here} remote {there} dstport 4789")
    };
    script(
        host,
        &format!(
            "ip link add br0 type bridge\nip link set br0 up\n{}\nip link set vxlan0 master br0 up\nip link set {device} master br0 up",
            vxlan("vxlan0", own, other)
        ),
    )?;
    let namespace = router.namespace().name().unwrap_or_default();
    script(gateway, &format!("{}\nip link set inside netns {namespace}", vxlan("inside", other, own))).map(drop)
}

/// All rules of a namespace's packet filter, as nftables lists them.
pub(super) fn rules(namespace: &Namespace) -> Result<String, Error> {
    let output = namespace.command("nft").args(["list", "ruleset"]).output();
    let output = output.map_err(|error| failed("list the rules of a compartment")(&error))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() && text.contains("table inet netvirt") {
        true => Ok(text),
        false => Err(failed("list the rules of a compartment")(&String::from_utf8_lossy(&output.stderr))),
    }
}

/// Has a router filter and translate by these rules.
pub(super) fn filter(node: &Node, rules: &str) -> Result<(), Error> {
    let refused = failed("give a plain router the rules of a compartment");
    let command = node.command("nft").args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut command = command.map_err(|error| refused(&error))?;
    if let Some(mut input) = command.stdin.take() {
        input.write_all(rules.as_bytes()).map_err(|error| refused(&error))?;
    }
    let output = command.wait_with_output().map_err(|error| refused(&error))?;
    if output.status.success() { Ok(()) } else { Err(refused(&String::from_utf8_lossy(&output.stderr))) }
}
