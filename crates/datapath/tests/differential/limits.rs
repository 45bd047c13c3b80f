//! The limit of broadcast and multicast frames in the kernel, which has a clock.

use std::time::Duration;

use datapath::{Datapath, Role};
use pipeline::{DropReason, Host, Meta, Port, Replica, ReplicaKey, Subnet};
use plan::HostTables;

use crate::craft;
use crate::world::World;

const VSID: u32 = 5001;
const MAC: craft::Mac = [6, 6, 0, 0, 0, 5];

/// A port in a subnet with another one.
fn tables(world: &World, rate: u32, burst: u32) -> HostTables {
    let host = Some(Host { gateway_mac: [2, 0, 0, 0, 0, 1], flood_rate: rate, flood_burst: burst, ..Host::default() });
    let mut tables = HostTables { host, ..HostTables::default() };
    for (index, ifindex) in (0..2).zip(&world.devices.ports) {
        let mac = [6, 6, 0, 0, 0, 5 + index as u8];
        tables.ports.insert(*ifindex, Port { vsid: VSID, slot: 1 + index, mac, ..Port::default() });
        tables.replicas.insert(ReplicaKey { vsid: VSID, index }, Replica { ifindex: *ifindex, ..Replica::default() });
    }
    tables.subnets.insert(VSID, Subnet { replicas: 2, local_replicas: 2, ..Subnet::default() });
    tables
}

#[test]
fn a_port_floods_no_more_than_its_limit() {
    let world = World::new("limit");
    let run = || {
        let mut datapath = Datapath::open(&world.folder).expect("the kernel takes the programs");
        let tables = tables(&world, 4, 5);
        datapath.apply(&plan::diff(&HostTables::default(), &tables)).expect("the kernel takes the tables");
        let frame = craft::ethernet(craft::BROADCAST, MAC, 0x88b5, &[0; 46]);
        let meta = Meta { ifindex: world.devices.ports[0], len: frame.len() as u32, ..Meta::default() };
        let mut passed = |count: u32| {
            let outcomes = (0..count).map(|_| datapath.test_run(Role::Port, &frame, &meta).expect("a frame"));
            outcomes.filter(|outcome| (outcome.verdict, outcome.detail) != (1, DropReason::FloodLimit as u32)).count()
        };
        // The burst, and what comes in while the frames are sent.
        let at_once = passed(40);
        assert!((5..=7).contains(&at_once), "{at_once} of 40 frames passed a burst of 5");
        std::thread::sleep(Duration::from_millis(600));
        let later = passed(40);
        assert!((2..=6).contains(&later), "{later} of 40 frames passed after 600 ms at 4 a second");
        let counters = datapath.counters(1).expect("the counters");
        assert_eq!(counters.from_packets, 80);
        assert_eq!(counters.drops(DropReason::FloodLimit), 80 - (at_once + later) as u64);
    };
    world.namespace.run(run).expect("the namespace can be entered");
}
