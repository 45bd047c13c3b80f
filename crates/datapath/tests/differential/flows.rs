//! Flows that end in the kernel: what is swept, what is kept, and that a port gets its room back.

use std::time::Duration;

use datapath::{Datapath, Role};
use pipeline::Meta;
use pipeline::flow::Usage;
use pipeline::policy::Direction;
use plan::HostTables;

use crate::craft;
use crate::limits::{MAC, address, with_limits};
use crate::world::World;

const SYN: u8 = 0x02;
const RST: u8 = 0x04;

/// Two ports, the first of which may open so many flows.
fn tables(world: &World, flows: u32) -> HostTables {
    with_limits(world, |tables| {
        let host = tables.host.as_mut().expect("a host");
        (host.flow_limit, host.half_open_limit) = (flows, 100);
    })
}

/// A host with two ports, on which the first sends to the second.
struct Ports<'w> {
    world: &'w World,
    datapath: Datapath,
}

impl<'w> Ports<'w> {
    fn up(world: &'w World, flows: u32) -> Self {
        let mut datapath = Datapath::open(&world.folder).expect("the kernel takes the programs");
        datapath.apply(&plan::diff(&HostTables::default(), &tables(world, flows))).expect("the tables");
        Self { world, datapath }
    }

    /// Sends a segment from a TCP port.
    fn send(&mut self, from: u16, flags: u8) {
        let ip = craft::Ip::new(address(0), address(1), craft::TCP);
        let packet = ip.packet(&ip.tcp((from, 80), flags, &[], &[]));
        let frame = craft::ethernet([6, 6, 0, 0, 0, 6], MAC, craft::IPV4, &packet);
        let meta = Meta { ifindex: self.world.devices.ports[0], len: frame.len() as u32, ..Meta::default() };
        let outcome = self.datapath.test_run(Role::Port, &frame, &meta).expect("a frame");
        assert!(outcome.verdict > 1, "{outcome:?}");
    }

    /// The interface indexes of the ports that have flows, each as often as it has some.
    fn flows(&self) -> Vec<u32> {
        let flows = self.datapath.flows().expect("the flows");
        let mut indexes: Vec<u32> = flows.values().map(|flow| flow.ifindex).collect();
        indexes.sort_unstable();
        indexes
    }

    /// What the first port has opened, and what the second was sent.
    fn usage(&self) -> [u64; 2] {
        [(1, Direction::Egress), (2, Direction::Ingress)].map(|(slot, opener)| {
            let Usage { flows, half_open } = self.datapath.usage(slot, opener).expect("the usage");
            assert!(half_open <= flows, "{half_open} of {flows} are half-open");
            flows
        })
    }
}

#[test]
fn flows_of_a_port_that_is_gone_are_forgotten_and_those_of_others_are_not() {
    let world = World::new("sweep-gone");
    let run = || {
        let mut ports = Ports::up(&world, 100);
        let [one, two, ..] = world.devices.ports[..] else { panic!("two ports") };
        ports.send(1000, SYN);
        ports.send(1001, SYN);
        assert_eq!((ports.flows(), ports.usage()), (vec![one, one, two, two], [2, 2]));
        assert_eq!(ports.datapath.sweep().expect("the sweep"), 0);
        let before = tables(&world, 100);
        let mut after = before.clone();
        after.ports.remove(&two);
        ports.datapath.apply(&plan::diff(&before, &after)).expect("the tables");
        assert_eq!(ports.datapath.sweep().expect("the sweep"), 2);
        assert_eq!((ports.flows(), ports.usage()), (vec![one, one], [2, 0]));
        assert_eq!(ports.datapath.sweep().expect("the sweep"), 0);
    };
    world.namespace.run(run).expect("the namespace can be entered");
}

#[test]
fn a_flow_that_is_over_makes_room_for_another() {
    let world = World::new("sweep-over");
    let run = || {
        let mut ports = Ports::up(&world, 1);
        ports.send(1000, SYN);
        // It passes, since no rule needs to know it, and is not remembered at the port that has one.
        ports.send(1001, SYN);
        assert_eq!(ports.usage(), [1, 2]);
        ports.send(1000, RST);
        assert_eq!(
            ports.datapath.sweep().expect("the sweep"),
            0,
            "a connection that was reset is kept for ten seconds"
        );
        std::thread::sleep(Duration::from_secs(11));
        assert_eq!(ports.datapath.sweep().expect("the sweep"), 2);
        assert_eq!(ports.usage(), [0, 1]);
        ports.send(1002, SYN);
        assert_eq!(ports.usage(), [1, 2]);
    };
    world.namespace.run(run).expect("the namespace can be entered");
}
