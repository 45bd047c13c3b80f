//! VMs that move while they run: who hands over to whom.

use model::fabric::{Kind, ResourceName};
use model::{MacAddress, Vsid};

use super::{AAA, World, key};
use crate::fabric::Change;

/// The host that the VM of port t1 goes to from this one.
fn successor(world: &World, host: &str, vsid: Option<u32>) -> Option<String> {
    let mac: MacAddress = world.get(Kind::Port, "t1").allocation.mac.unwrap();
    let subnet = world.get(Kind::VmSubnet, "test").allocation.vsid.unwrap();
    let vsid = vsid.map_or(subnet, |vsid| Vsid::new(vsid).unwrap());
    let host: ResourceName = host.parse().unwrap();
    let (port, to) = world.fabric.successor(&host, vsid, mac)?;
    assert_eq!(port, key(Kind::Port, "t1"));
    Some(to.to_string())
}

#[test]
fn what_a_host_knows_of_a_vm_goes_to_the_host_that_it_goes_to_and_to_no_other() {
    let mut world = World::new();
    world.apply(AAA);
    world.apply("{kind: port, name: t1, spec: {host: host15, vmNetwork: AAA}}");
    assert_eq!(successor(&world, "host15", None), None, "it stays");
    world.apply("{kind: port, name: t1, spec: {host: host15, migrateTo: host16, vmNetwork: AAA}}");
    assert_eq!(successor(&world, "host15", None).as_deref(), Some("host16"));
    assert_eq!(successor(&world, "host16", None), None, "the new host has nothing to hand over");
    assert_eq!(successor(&world, "host17", None), None, "another one has no say");
    assert_eq!(successor(&world, "host15", Some(9999)), None, "it is in another subnet");
    let arrived = world.fabric.arrived(&key(Kind::Port, "t1"), &"host16".parse().unwrap()).unwrap();
    world.change(&[Change::Put { resource: arrived, revision: None }]).unwrap();
    assert_eq!(successor(&world, "host15", None).as_deref(), Some("host16"), "what was under way");
    assert_eq!(successor(&world, "host16", None), None);
}
