//! The tour: a tenant's network from nothing to a ping, at a controller, with two hosts that joined it. Needs root.

use tests::fabric::Fabric;
use tests::tools::{Background, must_not_ping, must_ping, run, run_any};

/// Three VMs on host 2, as in `examples/tour.yaml`.
const VMS: [(&str, usize, u8); 3] = [("test01", 2, 1), ("test02", 2, 2), ("test03", 2, 3)];

/// AAA with a subnet and a pool, without ports.
fn aaa(fabric: &Fabric) {
    fabric.op("create vm-network AAA --logical-network TDIv2 --isolation nvgre");
    fabric.op("create vm-subnet test --vm-network AAA --prefix 10.10.0.0/16");
    fabric.op("create ip-pool pool-a --vm-subnet test --range 10.10.1.100-10.10.1.130");
}

/// BBB, the very same with other names.
fn bbb(fabric: &Fabric) {
    fabric.op("create vm-network BBB --logical-network TDIv2 --isolation nvgre");
    fabric.op("create vm-subnet test-b --vm-network BBB --prefix 10.10.0.0/16");
    fabric.op("create ip-pool pool-b --vm-subnet test-b --range 10.10.1.100-10.10.1.130");
}

#[test]
fn each_refusal_names_the_command_that_mends_it() {
    let fabric = Fabric::up(&VMS);
    fabric.op("create vm-network AAA --logical-network TDIv2 --isolation nvgre");
    fabric.port("test01", 2, 1, "");
    let refusal = fabric.refused("set port test01 --vm-network AAA");
    assert!(refusal.contains("VM network AAA has no VM subnet"), "{refusal}");
    assert!(refusal.contains("netvirt create vm-subnet"), "{refusal}");
    fabric.op("create vm-subnet test --vm-network AAA --prefix 10.10.0.0/16");
    let refusal = fabric.refused("set port test01 --vm-network AAA");
    assert!(refusal.contains("no IP pool"), "{refusal}");
    assert!(refusal.contains("netvirt create ip-pool"), "{refusal}");
    let output =
        fabric.try_op(&["create", "ip-pool", "CA Pool", "--vm-subnet", "test", "--range", "10.10.1.100-10.10.1.130"]);
    output.ok().unwrap();
    fabric.op("set port test01 --vm-network AAA --wait");
    let port = fabric.json("get port test01");
    assert_eq!(port["status"]["addresses"][0], "10.10.1.100", "{port}");
    let lease = fabric.lease("test01");
    assert_eq!(lease.address, "10.10.1.100/16");
    assert_eq!(lease.gateway, "10.10.0.1");
    assert_eq!(lease.server, "192.0.2.253");
    assert_eq!(lease.mtu, "1558", "the underlay has 1600 bytes, NVGRE takes 42");
    must_ping(&fabric.vm("test01"), "10.10.0.1");
}

#[test]
fn two_networks_with_one_prefix_do_not_notice_each_other() {
    let fabric = Fabric::up(&VMS);
    aaa(&fabric);
    bbb(&fabric);
    fabric.port("test01", 2, 1, "--vm-network AAA");
    fabric.port("test02", 2, 2, "--vm-network BBB");
    for vm in ["test01", "test02"] {
        assert_eq!(fabric.lease(vm).address, "10.10.1.100/16", "{vm}");
        let probe = run(&fabric.vm(vm), "arping -D -c 2 -w 2 -I eth0 10.10.1.100");
        assert!(probe.contains("Received 0 response"), "{vm} notices a duplicate: {probe}");
    }
    // A second VM of AAA has 10.10.1.101; BBB's VM must not reach it.
    fabric.port("test03", 2, 3, "--vm-network AAA");
    assert_eq!(fabric.lease("test03").address, "10.10.1.101/16");
    must_ping(&fabric.vm("test01"), "10.10.1.101");
    must_not_ping(&fabric.vm("test02"), "10.10.1.101");
    let routes = fabric.stage.json(2, "get customer-routes");
    let routes: Vec<_> = routes.as_array().unwrap().iter().map(|route| &route["spec"]).collect();
    let same: Vec<_> = routes.iter().filter(|spec| spec["prefix"] == "10.10.0.0/16").collect();
    assert_eq!(same.len(), 2, "{routes:?}");
    assert_ne!(same[0]["rdid"], same[1]["rdid"]);
    assert_ne!(same[0]["vsid"], same[1]["vsid"]);
    assert_eq!(fabric.stage.json(1, "get customer-routes").as_array().unwrap().len(), 0, "host 1 needs none of it");
}

#[test]
fn a_vm_moves_under_ping_and_keeps_everything() {
    let mut fabric = Fabric::up(&VMS);
    aaa(&fabric);
    fabric.op("create vm-subnet test02 --vm-network AAA --prefix 172.16.0.0/16");
    fabric.op("create ip-pool pool-2 --vm-subnet test02 --range 172.16.1.100-172.16.1.130");
    fabric.port("test01", 2, 1, "--vm-network AAA --vm-subnet test");
    fabric.port("test03", 2, 3, "--vm-network AAA --vm-subnet test02");
    assert_eq!(fabric.lease("test01").address, "10.10.1.100/16");
    assert_eq!(fabric.lease("test03").address, "172.16.1.100/16");
    must_ping(&fabric.vm("test03"), "10.10.1.100");
    let (test01, test03) = (fabric.vm("test01"), fabric.vm("test03"));
    let server = Background::start(&test01, "iperf3 -s -1 --forceflush");
    server.await_words("Server listening");
    let mut tcp = Background::start(&test03, "iperf3 -c 10.10.1.100 -t 60 -b 5M -i 1 --forceflush");
    tcp.await_words("Mbits/sec");
    let mut ping = Background::start(&test03, "ping -n -i 0.02 -c 200 -W 1 10.10.1.100");
    ping.await_words("icmp_seq=20 ");
    let target = fabric.stage.host_name(1);
    fabric.stage.lab.plug_vm("test01", &target).unwrap();
    fabric.op(&format!("set port test01 --host {target} --wait"));
    let text = ping.finish(std::time::Duration::from_secs(15));
    let received = text.split(',').find_map(|part| part.trim().strip_suffix(" received")).unwrap_or_default();
    let received: u32 = received.parse().unwrap_or_else(|_| panic!("{text}"));
    assert!(received >= 100, "more than half of 200 pings are lost: {text}");
    must_ping(&test03, "10.10.1.100");
    // The connection lives: a second of it carries data after the move.
    let before = tcp.output().matches("Mbits/sec").count();
    tcp_goes_on(&mut tcp, before);
    let records = fabric.stage.ok(1, "get lookup-records");
    assert!(records.contains("10.10.1.100") && records.contains("172.16.1.100"), "{records}");
    let own = run(&test01, "ip -4 -brief address show dev eth0");
    assert!(own.contains("10.10.1.100/16"), "{own}");
    // Host 1 had nothing of AAA before, and has all of it now; it loses it again when the VM leaves.
    let routes = fabric.stage.json(1, "get customer-routes");
    assert_eq!(routes.as_array().unwrap().len(), 2, "{routes}");
    fabric.op("delete port test01");
    let empty = tests::stage::eventually(std::time::Duration::from_secs(5), || {
        fabric.stage.json(1, "get customer-routes").as_array().unwrap().is_empty()
    });
    assert!(empty, "host 1 still has routes of a network that it has no VM of");
    assert!(!run_any(&test03, "ping -n -c 1 -W 1 10.10.1.100").contains(" 1 received"));
}

/// The connection must carry data in two more seconds.
#[track_caller]
fn tcp_goes_on(tcp: &mut Background, before: usize) {
    let goes_on = tests::stage::eventually(std::time::Duration::from_secs(8), || {
        let lines = tcp.output();
        let carried = lines.lines().filter(|line| line.contains("Mbits/sec") && !line.contains(" 0.00 ")).count();
        carried >= before + 2
    });
    assert!(goes_on && tcp.runs(), "the connection carries nothing any more: {}", tcp.output());
}
