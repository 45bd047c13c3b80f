//! Flows that come with a VM, taken in by the kernel as `pipeline` says.

use datapath::{Datapath, Role, Taken};
use pipeline::Meta;
use pipeline::flow::{Flow, FlowKey, Usage};
use pipeline::policy::Direction;
use pipeline::track::{Phase, State};
use pipeline::travel::{self, Traveller};
use plan::HostTables;

use crate::craft;
use crate::limits::{MAC, address, with_limits};
use crate::world::World;

const SYN: u8 = 0x02;
const SECOND: u64 = 1_000_000_000;

/// More than one call of the kernel program takes.
const FLOWS: u16 = 600;

fn open(world: &World) -> Datapath {
    let mut datapath = Datapath::open(&world.folder).expect("the kernel takes the programs");
    let tables = with_limits(world, |tables| {
        let host = tables.host.as_mut().expect("a host");
        (host.flow_limit, host.half_open_limit) = (1000, 1000);
    });
    datapath.apply(&plan::diff(&HostTables::default(), &tables)).expect("the tables");
    datapath
}

/// Sends a segment from a TCP port of the first port's VM.
fn send(world: &World, datapath: &mut Datapath, from: u16, flags: u8) {
    let ip = craft::Ip::new(address(0), address(1), craft::TCP);
    let packet = ip.packet(&ip.tcp((from, 80), flags, &[], &[]));
    let frame = craft::ethernet([6, 6, 0, 0, 0, 6], MAC, craft::IPV4, &packet);
    let meta = Meta { ifindex: world.devices.ports[0], len: frame.len() as u32, ..Meta::default() };
    let outcome = datapath.test_run(Role::Port, &frame, &meta).expect("a frame");
    assert!(outcome.verdict > 1, "{outcome:?}");
}

/// The flows of the first port.
fn own(world: &World, datapath: &Datapath) -> Vec<(FlowKey, Flow)> {
    let flows = datapath.flows().expect("the flows");
    flows.into_iter().filter(|(_, flow)| flow.ifindex == world.devices.ports[0]).collect()
}

fn usage(datapath: &Datapath) -> Usage {
    datapath.usage(1, Direction::Egress).expect("the usage")
}

#[test]
fn the_kernel_takes_flows_in_that_come_with_a_vm() {
    let world = World::new("travel");
    let run = || {
        let mut datapath = open(&world);
        let ifindex = world.devices.ports[0];
        for port in 0..FLOWS {
            send(&world, &mut datapath, 1000 + port, SYN);
        }
        let before = own(&world, &datapath);
        assert_eq!(before.len(), usize::from(FLOWS));
        let now = before.iter().map(|(_, flow)| flow.seen).max().expect("a flow");
        let travellers: Vec<Traveller> =
            before.iter().map(|(key, flow)| travel::set_out(key, flow, now).expect("it is under way")).collect();
        let all = usize::from(FLOWS);
        let known = datapath.take_flows(ifindex, &travellers).expect("the kernel runs the program");
        assert_eq!(known.taken + known.known, all, "{known:?}: where they are, they are known");
        datapath.clear_flows().expect("the kernel forgets");
        let taken = datapath.take_flows(ifindex, &travellers).expect("the kernel runs the program");
        assert_eq!(taken, Taken { taken: all, ..Taken::default() });
        assert_eq!(usage(&datapath), Usage { flows: all as u64, half_open: all as u64 });
        for ((key, old), (same, new)) in before.iter().zip(own(&world, &datapath)) {
            assert_eq!(*key, same);
            let (was, is) = (State::from_bits(old.state), State::from_bits(new.state));
            assert_eq!((is.phase, is.opener), (Phase::New, was.opener));
            assert_ne!(is.epoch, was.epoch, "the policy is asked anew");
            assert_eq!((new.from_packets, new.from_bytes, new.slot), (old.from_packets, old.from_bytes, old.slot));
        }
        // They go on.
        send(&world, &mut datapath, 1000, SYN);
        assert_eq!(usage(&datapath).flows, all as u64);
        let other = datapath.take_flows(world.devices.ports[1], &travellers[..3]).expect("the kernel runs the program");
        assert_eq!(other, Taken { gone: 3, ..Taken::default() });
        let old: Vec<Traveller> =
            travellers.iter().map(|traveller| Traveller { idle: 61 * SECOND, ..*traveller }).collect();
        let over = datapath.take_flows(ifindex, &old).expect("the kernel runs the program");
        assert_eq!(over, Taken { gone: all, ..Taken::default() }, "nobody has answered for a minute");
    };
    world.namespace.run(run).expect("the namespace can be entered");
}

#[test]
fn the_kernel_takes_no_more_flows_in_than_a_port_may_have() {
    let world = World::new("travel-room");
    let run = || {
        let mut datapath = open(&world);
        let ifindex = world.devices.ports[0];
        send(&world, &mut datapath, 1, SYN);
        let (key, flow) = own(&world, &datapath)[0];
        let one = travel::set_out(&key, &flow, flow.seen).expect("it is under way");
        datapath.clear_flows().expect("the kernel forgets");
        let many: Vec<Traveller> =
            (1..=1200).map(|port| Traveller { key: FlowKey { ports: port << 16 | 80, ..key }, ..one }).collect();
        let taken = datapath.take_flows(ifindex, &many).expect("the kernel runs the program");
        assert_eq!(taken, Taken { taken: 1000, no_room: 200, ..Taken::default() });
        assert_eq!(datapath.take_flows(ifindex, &[]).expect("nothing to do"), Taken::default());
    };
    world.namespace.run(run).expect("the namespace can be entered");
}
