//! The limits of a port in the kernel, which has a clock and rings: broadcast and multicast frames, frames for the
//! agent, and all frames of a port and of a VM network with rate limits.

use std::time::Duration;

use datapath::{Datapath, Role};
use pipeline::meter::Limit;
use pipeline::{
    Address, DropReason, Host, HostFlags, Meta, Port, PortFlags, Record, RecordFlags, RecordKey, Replica, ReplicaKey,
    StationKey, Subnet,
};
use plan::HostTables;

use crate::craft;
use crate::world::World;

/// Puts a limit into tables.
type SetLimit = fn(&mut HostTables, Limit);

const VSID: u32 = 5001;
/// The MAC address of the first port.
pub const MAC: craft::Mac = [6, 6, 0, 0, 0, 5];

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

/// A DHCP message as a client sends it that has no address.
fn discover() -> Vec<u8> {
    let ip = craft::Ip::new(Address::UNSPECIFIED_V4, Address::v4([255; 4]), craft::UDP);
    craft::ethernet(craft::BROADCAST, MAC, craft::IPV4, &ip.packet(&ip.udp((68, 67), true, &[1; 300])))
}

/// Tables whose ports may ask the agent so often.
fn with_agent(world: &World, rate: u32, burst: u32) -> HostTables {
    let mut tables = tables(world, 0, 0);
    tables.host = tables.host.map(|host| Host { punt_rate: rate, punt_burst: burst, ..host });
    for port in tables.ports.values_mut() {
        port.flags = PortFlags::DHCP;
    }
    tables
}

#[test]
fn a_port_asks_the_agent_no_more_than_its_limit() {
    let world = World::new("punt-limit");
    let run = || {
        let mut datapath = Datapath::open(&world.folder).expect("the kernel takes the programs");
        let mut punts = datapath.take_punts().expect("the ring");
        datapath.apply(&plan::diff(&HostTables::default(), &with_agent(&world, 4, 5))).expect("the tables");
        let frame = discover();
        let meta = Meta { ifindex: world.devices.ports[0], len: frame.len() as u32, ..Meta::default() };
        let mut asked = 0;
        for pause in [0, 600] {
            std::thread::sleep(Duration::from_millis(pause));
            for _ in 0..40 {
                datapath.test_run(Role::Port, &frame, &meta).expect("a frame");
            }
            let heard: Vec<_> = std::iter::from_fn(|| punts.next_punt()).collect();
            let allowed = if pause == 0 { 5..=7 } else { 2..=6 };
            assert!(allowed.contains(&heard.len()), "{} of 40 frames reached the agent", heard.len());
            asked += heard.len() as u64;
            assert!(heard.iter().all(|punt| punt.frame == frame && punt.vsid == VSID && punt.ifindex == meta.ifindex));
        }
        let counters = datapath.counters(1).expect("the counters");
        assert_eq!(counters.drops(DropReason::PuntLimit), 80 - asked);
    };
    world.namespace.run(run).expect("the namespace can be entered");
}

#[test]
fn what_the_agent_does_not_fetch_is_dropped_and_counted() {
    let world = World::new("punt-lost");
    let run = || {
        let mut datapath = Datapath::open(&world.folder).expect("the kernel takes the programs");
        let mut punts = datapath.take_punts().expect("the ring");
        datapath
            .apply(&plan::diff(&HostTables::default(), &with_agent(&world, 1_000_000_000, u32::MAX)))
            .expect("the tables");
        let frame = discover();
        let meta = Meta { ifindex: world.devices.ports[0], len: frame.len() as u32, ..Meta::default() };
        let mut send = |count| {
            for _ in 0..count {
                datapath.test_run(Role::Port, &frame, &meta).expect("a frame");
            }
            datapath.counters(1).expect("the counters").drops(DropReason::PuntLost)
        };
        let lost = send(300);
        assert_eq!(std::iter::from_fn(|| punts.next_punt()).count() as u64, 300 - lost);
        assert_eq!(lost, 300 - (1 << 18) / (8 + 1536), "the ring has room for as many frames as it says");
        assert_eq!(send(100), lost, "what has been fetched makes room");
    };
    world.namespace.run(run).expect("the namespace can be entered");
}

/// The address of the port of a number.
pub fn address(index: u8) -> Address {
    Address::v4([10, 0, 0, 5 + index])
}

/// Two ports that talk to each other; `limit` is changed into what is to be limited.
pub fn with_limits(world: &World, limit: impl Fn(&mut HostTables)) -> HostTables {
    let mut tables = tables(world, 1_000_000_000, u32::MAX);
    tables.host = tables.host.map(|host| Host { flags: HostFlags::LIMITED, ..host });
    for (ifindex, port) in &mut tables.ports {
        let index = port.mac[5] - 5;
        (port.domain, port.flags) = (1, PortFlags::LIMITED);
        let record = Record { mac: port.mac, ifindex: *ifindex, flags: RecordFlags::LOCAL, ..Record::default() };
        tables.records.insert(RecordKey { vsid: VSID, address: address(index) }, record);
        tables.stations.insert(StationKey { vsid: VSID, mac: port.mac, reserved: 0 }, record);
    }
    tables.subnets.entry(VSID).and_modify(|subnet| subnet.domain = 1);
    limit(&mut tables);
    tables
}

/// How many of so many datagrams of 1,000 bytes pass at once, and after 500 ms.
fn passed_of(test: &str, count: usize, limit: impl Fn(&mut HostTables) + Send + Sync) -> (usize, usize) {
    let world = World::new(test);
    let run = || {
        let mut datapath = Datapath::open(&world.folder).expect("the kernel takes the programs");
        let tables = with_limits(&world, limit);
        datapath.apply(&plan::diff(&HostTables::default(), &tables)).expect("the kernel takes the tables");
        let ip = craft::Ip::new(address(0), address(1), craft::UDP);
        let other = [6, 6, 0, 0, 0, 6];
        let frame = craft::ethernet(other, MAC, craft::IPV4, &ip.packet(&ip.udp((1000, 2000), true, &[1; 958])));
        let meta = Meta { ifindex: world.devices.ports[0], len: frame.len() as u32, ..Meta::default() };
        // The first is the one that makes the meter.
        datapath.test_run(Role::Port, &frame, &meta).expect("a frame");
        let mut dropped = 0;
        let mut passed = || {
            let outcomes = (0..count).map(|_| datapath.test_run(Role::Port, &frame, &meta).expect("a frame"));
            let here =
                outcomes.filter(|outcome| (outcome.verdict, outcome.detail) == (1, DropReason::RateLimit as u32));
            let here = here.count();
            dropped += here as u64;
            count - here
        };
        let at_once = passed();
        std::thread::sleep(Duration::from_millis(500));
        let later = passed();
        assert_eq!(datapath.counters(1).expect("the counters").drops(DropReason::RateLimit), dropped);
        assert_eq!(datapath.counters(2).expect("the counters").to_packets, (1 + at_once + later) as u64);
        (at_once, later)
    };
    world.namespace.run(run).expect("the namespace can be entered")
}

/// The port of a number.
fn port_mut(tables: &mut HostTables, slot: u32) -> &mut Port {
    tables.ports.values_mut().find(|port| port.slot == slot).expect("a port")
}

#[test]
fn a_port_and_its_network_send_and_are_sent_no_more_than_their_limits() {
    // 160 kbit/s are 20 datagrams a second.
    let bandwidth = Limit { bandwidth: 160, burst: 5000, ..Limit::default() };
    let packets = Limit { packets: 20, packet_burst: 5, ..Limit::default() };
    let limits: [(&str, SetLimit); 4] = [
        ("rate-egress", |tables, limit| port_mut(tables, 1).egress = limit),
        ("rate-ingress", |tables, limit| port_mut(tables, 2).ingress = limit),
        ("rate-net-egress", |tables, limit| {
            tables.subnets.entry(VSID).and_modify(|subnet| subnet.egress = limit);
        }),
        ("rate-net-ingress", |tables, limit| {
            tables.subnets.entry(VSID).and_modify(|subnet| subnet.ingress = limit);
        }),
    ];
    for (test, set) in limits {
        for limit in [bandwidth, packets] {
            let (at_once, later) = passed_of(test, 40, |tables| set(tables, limit));
            assert!((5..=8).contains(&at_once), "{test}, {limit:?}: {at_once} of 40 passed a burst of 5");
            assert!((5..=8).contains(&later), "{test}, {limit:?}: {later} of 40 passed after 500 ms at 20 a second");
        }
    }
    // What limits the other direction, or the other port, does not bite.
    let (at_once, _) = passed_of("rate-other", 40, |tables| {
        port_mut(tables, 1).ingress = bandwidth;
        port_mut(tables, 2).egress = packets;
    });
    assert_eq!(at_once, 40);
}
