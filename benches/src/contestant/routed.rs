//! The baseline: the hosts route between the VMs' subnets. No overlay, no netfilter rules.

use std::net::{IpAddr, Ipv4Addr};

use host::Route;
use ipnet::{IpNet, Ipv4Net};

use super::stage::{Design, LOCAL_MTU, PROVIDERS, Stage, VMS};
use crate::Error;
use crate::measure::Scene;

/// The VM with this number.
const fn vm(index: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 1, index, 2)
}

/// Its gateway, on its host.
const fn gateway(index: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 1, index, 1)
}

/// The subnet of an address.
fn subnet(address: Ipv4Addr) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(address, 24))
}

/// Builds it.
pub(super) fn raise(scene: Scene) -> Result<Stage, Error> {
    let mtu = match scene {
        Scene::TwoHosts(mtu) => mtu,
        Scene::OneHost => LOCAL_MTU,
    };
    let route = |own: u8, other: u8| {
        let (to, via) = (subnet(vm(other)).trunc(), gateway(own));
        format!(", routes: [{{to: {to}, via: {via}}}]")
    };
    let mut stage = Design {
        letter: "a",
        scene,
        agent: false,
        addresses: [vm(0), vm(1)],
        vm_fields: format!(", mtu: {mtu}"),
        each_vm: [route(0, 1), route(1, 0)],
        resources: String::new(),
        program: None,
    }
    .raise()?;
    for host in &stage.hosts {
        host.namespace().set_sysctl("ipv4/ip_forward", "1")?;
    }
    for (index, device) in (0_u8..).zip(VMS) {
        let host = &stage.hosts[usize::from(index).min(stage.hosts.len() - 1)];
        host.netlink()?.add_address(device, subnet(gateway(index)))?;
    }
    stage.next_hop = stage.hosts[0].netlink()?.link(VMS[0])?.mac.ok_or(Error::NoMac { device: VMS[0] })?;
    if let [one, other] = stage.hosts.as_slice() {
        let via = |index: u8| IpAddr::V4(PROVIDERS[usize::from(index)]);
        one.netlink()?.add_route(&Route::via(subnet(vm(1)), via(1)))?;
        other.netlink()?.add_route(&Route::via(subnet(vm(0)), via(0)))?;
    }
    Ok(stage)
}
