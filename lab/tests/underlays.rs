//! Hosts reach each other over each kind of underlay, VMs their hosts, and nothing is left when the lab is down.

mod common;

use common::{LIMIT, fresh_name, ping, remains, up};
use lab::{Lab, LabError, NodeKind, Topology, UpOptions};

const SEGMENT: &str = r#"
name: LAB
underlay: {kind: segment, mtu: 1600, offloads: {gro: true, tso: false}}
hosts:
  - {name: h1, addresses: [192.168.4.11/24, "fd00:4::11/64"], agent: false}
  - {name: h2, addresses: [192.168.4.22/24, "fd00:4::22/64"], agent: false}
vms:
  - name: a-vm-with-a-long-name
    host: h1
    mac: 06-06-00-00-00-05
    addresses: [10.0.0.5/24, "fd00:a::5/64"]
    routes: [{to: 0.0.0.0/0, via: 10.0.0.1}, {to: "::/0", via: "fd00:a::1"}]
    mtu: 1480
    offloads: {tso: false, gso: false}
"#;

#[test]
fn hosts_on_a_segment_are_neighbours() {
    let mut lab = up(SEGMENT);
    let h1 = lab.host("h1").unwrap();
    // 1600 bytes less the headers of IP and ICMP: the whole MTU is there.
    ping(&h1, "192.168.4.22", 1600 - 28).unwrap();
    ping(&h1, "fd00:4::22", 1600 - 48).unwrap();
    assert!(matches!(ping(&h1, "192.168.4.22", 1600 - 27), Err(LabError::Failed { .. })));
    let shown = h1.output(&["ethtool", "-k", "eth0"], LIMIT).unwrap().ok().unwrap();
    assert!(shown.contains("generic-receive-offload: on") && shown.contains("tx-tcp-segmentation: off"), "{shown}");
    assert_eq!(h1.namespace().sysctl("ipv4/ip_forward").unwrap(), "0");
    assert_eq!(
        lab.node("underlay").unwrap().namespace().sysctl("bridge/bridge-nf-call-iptables").unwrap_or("0".into()),
        "0"
    );
    let name = lab.name().to_owned();
    assert!(lab::list().unwrap().iter().any(|summary| summary.name == name && summary.complete));
    lab.down().unwrap();
    assert_eq!(remains(&name, &[]), Vec::<String>::new());
    assert!(matches!(lab.down(), Err(LabError::NoLab(_))));
}

#[test]
fn a_vm_has_what_the_topology_says() {
    let lab = up(SEGMENT);
    let vm = lab.vm("a-vm-with-a-long-name").unwrap();
    let link = vm.netlink().unwrap().link("eth0").unwrap();
    assert_eq!((link.mtu, link.mac, link.up), (1480, Some([6, 6, 0, 0, 0, 5]), true));
    // The link-local address follows the MAC address.
    for address in ["10.0.0.5/24", "fd00:a::5/64", "fe80::406:ff:fe00:5/64"] {
        assert!(link.addresses.contains(&address.parse().unwrap()), "{address} is not among {:?}", link.addresses);
    }
    let routes = vm.output(&["ip", "route"], LIMIT).unwrap().ok().unwrap();
    assert!(routes.contains("default via 10.0.0.1 dev eth0"), "{routes}");
    let device = lab.host("h1").unwrap().netlink().unwrap().link("a-vm-with-a-lon").unwrap();
    assert!(device.up && device.carrier && device.peer_elsewhere);
    assert!(matches!(lab.vm("h1"), Err(LabError::NoNode { .. })));
    let status = lab.status().unwrap();
    let kinds: Vec<_> = status.nodes.iter().map(|node| (node.name.as_str(), node.kind, node.present)).collect();
    assert_eq!(
        kinds,
        [
            ("underlay", NodeKind::Underlay, true),
            ("h1", NodeKind::Host, true),
            ("h2", NodeKind::Host, true),
            ("a-vm-with-a-long-name", NodeKind::Vm, true)
        ]
    );
    assert_eq!(status.nodes[1].addresses, ["192.168.4.11/24".parse().unwrap(), "fd00:4::11/64".parse().unwrap()]);
    assert_eq!((status.nodes[3].host.as_deref(), status.nodes[3].mtu), (Some("h1"), Some(1480)));
}

#[test]
fn a_vm_is_unplugged_and_plugged_elsewhere() {
    let mut lab = up(SEGMENT);
    let (name, device) = ("a-vm-with-a-long-name", "a-vm-with-a-lon");
    let links = |lab: &Lab, host: &str| lab.host(host).unwrap().netlink().unwrap();
    lab.unplug_vm(name).unwrap();
    assert!(links(&lab, "h1").link(device).unwrap_err().is_absent());
    assert_eq!(lab.status().unwrap().nodes[3].host, None);
    let vm = lab.vm(name).unwrap().netlink().unwrap();
    assert!(!vm.link("eth0").unwrap().carrier);
    lab.plug_vm(name, "h2").unwrap();
    lab.plug_vm(name, "h1").unwrap();
    lab.plug_vm(name, "h2").unwrap();
    assert!(links(&lab, "h2").link(device).unwrap().up);
    assert_eq!(lab.status().unwrap().nodes[3].host.as_deref(), Some("h2"));
    // It is a cable still: the host that has an address on it is reached.
    links(&lab, "h2").add_address(device, "10.0.0.1/24".parse().unwrap()).unwrap();
    ping(&lab.vm(name).unwrap(), "10.0.0.1", 56).unwrap();
    assert!(matches!(lab.plug_vm(name, "h9"), Err(LabError::NoNode { .. })));
}

#[test]
fn hosts_in_different_subnets_are_routed() {
    let lab = up(r#"
name: LAB
underlay: {kind: routed, mtu: 1700}
hosts:
  - {name: h1, addresses: [192.168.4.11/24, "fd00:4::11/64"], agent: false}
  - {name: h2, addresses: [192.168.5.1/24, "fd00:5::1/64"], agent: false}
"#);
    let h1 = lab.host("h1").unwrap();
    let shown = ping(&h1, "192.168.5.1", 1700 - 28).unwrap();
    assert!(shown.contains("ttl=63"), "one router is between:\n{shown}");
    ping(&h1, "fd00:5::1", 1700 - 48).unwrap();
    ping(&h1, "192.168.4.1", 56).unwrap();
    ping(&lab.host("h2").unwrap(), "192.168.5.254", 56).unwrap();
    assert_eq!(lab.node("router").unwrap().namespace().sysctl("ipv4/ip_forward").unwrap(), "1");
}

#[test]
fn a_cable_joins_two_hosts_with_nothing_between() {
    let lab = up(r#"
name: LAB
underlay: {kind: cable, mtu: 9000}
hosts:
  - {name: h1, addresses: [192.168.4.11/24], agent: false}
  - {name: h2, addresses: [192.168.4.22/24], agent: false}
"#);
    let shown = ping(&lab.host("h1").unwrap(), "192.168.4.22", 9000 - 28).unwrap();
    assert!(shown.contains("ttl=64"), "{shown}");
    assert_eq!(lab.status().unwrap().nodes.len(), 2);
}

#[test]
fn a_second_up_is_refused_and_leaves_the_first_alone() {
    let lab = up(SEGMENT);
    let topology = Topology::from_yaml(&SEGMENT.replace("LAB", lab.name())).unwrap();
    let refused = Lab::up(&topology, UpOptions::default()).unwrap_err().to_string();
    let name = lab.name();
    assert_eq!(
        refused,
        format!(
            "lab {name} is up already, or was left half-built; take it down first with \"netvirt lab down {name}\""
        )
    );
    ping(&lab.host("h1").unwrap(), "192.168.4.22", 56).unwrap();
}

#[test]
fn a_foreign_namespace_is_neither_used_nor_deleted() {
    let name = fresh_name();
    let foreign = format!("{name}-h2");
    host::Namespace::create(&foreign).unwrap();
    let topology = Topology::from_yaml(&SEGMENT.replace("LAB", &name)).unwrap();
    let refused = Lab::up(&topology, UpOptions::default());
    let left = remains(&name, &[]);
    host::Namespace::delete(&foreign).unwrap();
    let text = refused.unwrap_err().to_string();
    assert!(text.contains(&format!("network namespace {foreign} exists and is not the lab's")), "{text}");
    assert_eq!(left, [foreign]);
}

#[test]
fn a_program_has_a_time_limit_and_its_failure_is_shown() {
    let lab = up(SEGMENT);
    let h1 = lab.host("h1").unwrap();
    let begin = std::time::Instant::now();
    let error = h1.output(&["sh", "-c", "echo begun; sleep 60 & sleep 60"], std::time::Duration::from_millis(300));
    assert!(begin.elapsed() < LIMIT, "what it started was killed too");
    let text = error.unwrap_err().to_string();
    assert!(text.contains("did not end within 300ms") && text.contains("begun"), "{text}");
    let output = h1.output(&["sh", "-c", "echo said; echo wrong >&2; exit 7"], LIMIT).unwrap();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str(), output.status.code()), ("said\n", "wrong\n", Some(7)));
    let text = h1.output(&["no-such-program"], LIMIT).unwrap_err().to_string();
    assert!(text.starts_with("cannot run no-such-program in h1"), "{text}");
}

#[test]
fn processes_that_were_left_running_end_with_the_lab() {
    let mut lab = up(SEGMENT);
    let mut child = lab.host("h1").unwrap().command("sleep").arg("600").spawn().unwrap();
    lab.down().unwrap();
    let status = child.wait().unwrap();
    assert!(!status.success());
}
