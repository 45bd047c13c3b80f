//! libvirt's domains have ports: started, ended, attached, detached and moved with virsh and nothing else, the network
//! follows. Needs root, and Debian's libvirtd and virsh (`scripts/tools lab`).

use std::time::{Duration, Instant};

use serde_json::Value;
use tests::fabric::{Fabric, lease};
use tests::libvirtd::Libvirtd;
use tests::stage::{LIMIT, Stage, eventually};
use tests::tools::{Background, must_ping, run};

/// The shipped domain, whose interface the domains of these stories have.
const EXAMPLE: &str = include_str!("../../examples/libvirt/domain.xml");

/// An interface as the example has it, for another port.
fn interface(uid: &str, device: &str, mac: u8) -> String {
    let begin = EXAMPLE.find("<interface ").expect("an interface");
    let end = EXAMPLE.find("</interface>").expect("its end") + "</interface>".len();
    let text = EXAMPLE[begin..end].replace("6f1b7f1e-0000-4000-8000-000000000001", uid);
    text.replace("dev='web1'", &format!("dev='{device}'"))
        .replace("00:1d:d8:b7:1c:01", &format!("00:1d:d8:b7:1c:{mac:02x}"))
}

/// A VM network with blue1 on the second host, and libvirtd on as many hosts as are asked for.
fn up(daemons: usize) -> (Fabric, Vec<Libvirtd>) {
    let fabric = Fabric::up(&[("blue1", 2, 9)]);
    furnish(fabric, daemons)
}

fn furnish(fabric: Fabric, daemons: usize) -> (Fabric, Vec<Libvirtd>) {
    fabric.network();
    fabric.port("blue1", 2, 9, "--vm-network AAA");
    lease(&fabric.vm("blue1"));
    let start =
        |host| Libvirtd::start(fabric.stage.host(host), &fabric.stage.lab.folder().join(format!("libvirt{host}")));
    let daemons = (1..=daemons).map(start).collect();
    (fabric, daemons)
}

/// Declares a port that any host may plug, and says its UUID.
fn port(fabric: &Fabric, name: &str, mac: u8) -> String {
    fabric.op(&format!("create port {name} --any-host --mac 00-1D-D8-B7-1C-{mac:02X} --vm-network AAA"));
    shown(fabric, name)["uid"].as_str().expect("a UUID").to_owned()
}

fn shown(fabric: &Fabric, port: &str) -> Value {
    fabric.json(&format!("get port {port}"))
}

fn host_of(fabric: &Fabric, port: &str) -> Value {
    shown(fabric, port)["spec"]["host"].clone()
}

fn has_device(fabric: &Fabric, host: usize, device: &str) -> bool {
    run(&fabric.stage.host(host), "ip -o link").contains(&format!(": {device}: "))
}

/// The address that DHCP gives an interface of a domain.
#[track_caller]
fn dhcp(libvirtd: &Libvirtd, domain: &str, interface: &str) -> String {
    let said = libvirtd
        .inside(domain, &format!("ip link set {interface} up; udhcpc -i {interface} -f -q -n -O mtu -t 8 -T 1"));
    let lease = said.lines().find_map(|line| line.strip_prefix("LEASE|")).unwrap_or_else(|| panic!("{said}"));
    lease.split('/').next().expect("an address").to_owned()
}

#[test]
fn a_domain_starts_with_its_port_and_ends_without() {
    let (fabric, mut daemons) = up(1);
    let (libvirtd, host) = (&daemons[0], fabric.stage.host_name(1));
    let uid = port(&fabric, "web1", 1);
    // What is wrong is said by virsh itself, and nothing is left of it.
    let stranger = "6f1b7f1e-0000-4000-8000-00000000dead";
    for (uid, mac, words) in [
        (stranger, 1, "there is no port 6f1b7f1e-0000-4000-8000-00000000dead that any host may plug"),
        (&*uid, 2, "interface web1 has MAC address 00-1D-D8-B7-1C-02, but port web1 has 00-1D-D8-B7-1C-01"),
    ] {
        let xml = libvirtd.file("wrong.xml", &libvirtd.domain("web1", &interface(uid, "web1", mac)));
        let refused = libvirtd.refused(&["create", &xml]);
        assert!(refused.contains(words), "{refused}");
        assert!(!has_device(&fabric, 1, "web1") && host_of(&fabric, "web1").is_null());
    }
    let xml = libvirtd.file("web1.xml", &libvirtd.domain("web1", &interface(&uid, "web1", 1)));
    libvirtd.ok(&["define", &xml]);
    libvirtd.ok(&["start", "web1"]);
    assert_eq!(host_of(&fabric, "web1"), host.as_str());
    let known = fabric.stage.json(1, "get port web1");
    assert_eq!((&known["status"]["state"], &known["spec"]["uid"]), (&"bound".into(), &uid.as_str().into()));
    let address = dhcp(libvirtd, "web1", "eth0");
    must_ping(&fabric.vm("blue1"), &address);
    libvirtd.inside("web1", "ping -c 2 10.10.1.100");

    // A daemon that starts anew finds the domain with its port.
    daemons[0].restart();
    let libvirtd = &daemons[0];
    must_ping(&fabric.vm("blue1"), &address);
    libvirtd.ok(&["destroy", "web1"]);
    assert!(!has_device(&fabric, 1, "web1"), "the tap is left");
    assert!(host_of(&fabric, "web1").is_null(), "{:#}", shown(&fabric, "web1"));
    // Without a pause: what the end gave back, the start claims anew. This domain names the port in its metadata.
    libvirtd.ok(&["undefine", "web1"]);
    let metadata = format!(
        "<metadata><netvirt:ports xmlns:netvirt='https://netvirt/1'><netvirt:port interface='web1' uuid='{uid}'/></netvirt:ports>\
         </metadata><memory"
    );
    let other = libvirtd.domain("web1", &interface("other", "web1", 1)).replacen("<memory", &metadata, 1);
    let other = libvirtd.file("other.xml", &other.replace("ua-netvirt-other", "ua-something"));
    libvirtd.ok(&["create", &other]);
    assert_eq!(host_of(&fabric, "web1"), host.as_str());
    libvirtd.ok(&["destroy", "web1"]);
    assert!(host_of(&fabric, "web1").is_null());
}

#[test]
fn interfaces_come_to_a_domain_that_runs_and_go() {
    let (fabric, daemons) = up(1);
    let libvirtd = &daemons[0];
    let uid = port(&fabric, "web1", 1);
    let netvirt = |arguments: &str| {
        let uri = libvirtd.uri();
        fabric.stage.ok(1, &format!("libvirt {arguments} --connect {uri}"))
    };
    let xml = libvirtd.file("vm.xml", &libvirtd.domain("vm", ""));
    libvirtd.ok(&["create", &xml]);
    libvirtd.inside("vm", "true");
    // With netvirt, which runs virsh.
    netvirt(&format!("attach vm {uid}"));
    let came = || libvirtd.try_inside("vm", "ip link show eth0").0 == 0;
    assert!(eventually(LIMIT, came), "no interface in the guest");
    let address = dhcp(libvirtd, "vm", "eth0");
    must_ping(&fabric.vm("blue1"), &address);
    let said = netvirt("detach vm web1");
    assert!(said.contains("unplugged web1"), "{said}");
    assert!(!has_device(&fabric, 1, "web1") && host_of(&fabric, "web1").is_null());

    // With virsh, and the port plugged before.
    let said = fabric.stage.ok(1, &format!("port plug {uid}"));
    assert!(said.contains("port \"web1\" is plugged: device web1, MAC address 00-1D-D8-B7-1C-01"), "{said}");
    let device = libvirtd.file("interface.xml", &interface(&uid, "web1", 1));
    libvirtd.ok(&["attach-device", "vm", &device, "--live"]);
    assert!(eventually(LIMIT, came), "no interface in the guest");
    let refused = fabric.stage.netvirt(1, &["port", "unplug", "web1"]).stderr;
    assert!(refused.contains("a process has device web1 open: its VM runs"), "{refused}");
    dhcp(libvirtd, "vm", "eth0");
    must_ping(&fabric.vm("blue1"), &address);
    // A tap that libvirt makes itself becomes the port of its name by QEMU's scripts, where the port is on the host.
    fabric.op(&format!(
        "create port web2 --host {} --mac 00-1D-D8-B7-1C-02 --vm-network AAA --wait",
        fabric.stage.host_name(1)
    ));
    let [up, down] = ["ifup", "ifdown"].map(|name| libvirtd.script(name, &format!("qemu/{name}")));
    let scripted = |device: &str| {
        libvirtd.file(
            "scripted.xml",
            &format!(
                "<interface type='ethernet'><mac address='00:1d:d8:b7:1c:02'/><target dev='{device}'/><model type='virtio'/>\
                 <script path='{up}'/><downscript path='{down}'/></interface>"
            ),
        )
    };
    let refused = libvirtd.refused(&["attach-device", "vm", &scripted("web9"), "--live"]);
    assert!(refused.contains("there is no port web9 on host"), "{refused}");
    libvirtd.ok(&["attach-device", "vm", &scripted("web2"), "--live"]);
    let state = || fabric.stage.json(1, "get port web2")["status"]["state"].clone();
    assert_eq!(state(), "bound");
    libvirtd.ok(&["detach-device", "vm", &scripted("web2"), "--live"]);
    assert!(eventually(LIMIT, || !has_device(&fabric, 1, "web2") && state() != "bound"), "the tap is left");
    // What the domain has when it ends is unplugged with it, also what came later.
    libvirtd.ok(&["destroy", "vm"]);
    assert!(!has_device(&fabric, 1, "web1") && host_of(&fabric, "web1").is_null());
}

/// Hosts in different subnets of the underlay, with a router between; the controller is in the first.
const ROUTED: &str = "\
name: LAB
underlay: {kind: segment, mtu: 1600}
controller: {name: LABc, addresses: [192.168.4.1/24]}
hosts:
  - {name: H1, addresses: [192.168.4.15/24], joined: true}
  - {name: H2, addresses: [192.168.5.16/24, 192.168.4.16/24], joined: true}
  - {name: H3, addresses: [192.168.4.254/24, 192.168.5.254/24], agent: false}
vms:
  - {name: blue1, host: H2, mac: 00-1D-D8-B7-1C-09}
";

fn routed() -> Fabric {
    let fabric = Fabric { stage: Stage::up(ROUTED) };
    let host = |number| fabric.stage.host(number);
    host(3).namespace().set_sysctl("ipv4/ip_forward", "1").expect("a router");
    run(&host(1), "ip route add 192.168.5.0/24 via 192.168.4.254");
    run(&host(2), "ip route add 192.168.4.15/32 via 192.168.5.254");
    let [one, two] = [1, 2].map(|number| fabric.stage.host_name(number));
    fabric.op(&format!(
        "create logical-network TDIv2 --network-virtualization --site east=192.168.4.0/24 --site-host east={one} \
         --site west=192.168.5.0/24 --site-host west={two}"
    ));
    for name in [&one, &two] {
        fabric.op(&format!("set host {name} --logical-network TDIv2"));
    }
    fabric
}

#[test]
fn a_domain_moves_to_another_host_and_its_port_follows() {
    let (fabric, daemons) = furnish(routed(), 2);
    let [one, two] = [1, 2].map(|number| fabric.stage.host_name(number));
    let uid = port(&fabric, "web1", 1);
    let domain = |number: usize| daemons[number].domain("web1", &interface(&uid, "web1", 1));
    // Its channels need their folder on either host.
    let (xml, _) = (daemons[0].file("web1.xml", &domain(0)), domain(1));
    daemons[0].ok(&["create", &xml]);
    let address = dhcp(&daemons[0], "web1", "eth0");
    let blue1 = fabric.vm("blue1");
    must_ping(&blue1, &address);
    for (from, to, name, at) in [(0, 1, &two, "192.168.5.16"), (1, 0, &one, "192.168.4.15")] {
        let mut pings = Background::start(&blue1, &format!("ping -n -i 0.2 -c 60 {address}"));
        std::thread::sleep(Duration::from_secs(1));
        let began = Instant::now();
        // QEMU 7.2 loses track of pages that an emulated guest writes while it is copied; so it stands still for that.
        daemons[from].ok(&["suspend", "web1"]);
        let there = daemons[to].uri();
        daemons[from].ok(&["migrate", "--live", "--unsafe", "web1", &there, "--migrateuri", &format!("tcp://{at}")]);
        daemons[to].ok(&["resume", "web1"]);
        let still = began.elapsed();
        let arrived = || host_of(&fabric, "web1") == name.as_str();
        assert!(eventually(LIMIT, arrived), "{:#}", shown(&fabric, "web1"));
        let said = pings.finish(Duration::from_secs(60));
        // One every 200 ms: what it stood still, and some more, for an emulated guest is slow to wake.
        let answered = said.lines().filter(|line| line.contains("time=")).count();
        let lost = still.as_millis() as usize / 200 + 10;
        println!("{answered} of 60 pings answered; the domain stood still for {still:?}");
        assert!(answered + lost >= 60, "{answered} of 60 pings answered, {still:?} without: {said}");
        must_ping(&blue1, &address);
        assert!(shown(&fabric, "web1")["spec"]["migrateTo"].is_null());
        assert!(has_device(&fabric, to + 1, "web1") && !has_device(&fabric, from + 1, "web1"));
    }
    // One that cannot move takes back what its port's move had begun.
    let broken = daemons[0].refused(&[
        "migrate",
        "--live",
        "--unsafe",
        "web1",
        &daemons[1].uri(),
        "--migrateuri",
        "tcp://192.168.9.9",
    ]);
    assert!(broken.contains("192.168.9.9"), "{broken}");
    assert!(!has_device(&fabric, 2, "web1"), "the tap is left");
    let now = shown(&fabric, "web1");
    assert_eq!((&now["spec"]["host"], &now["spec"]["migrateTo"]), (&one.as_str().into(), &Value::Null));
    must_ping(&blue1, &address);
    daemons[0].ok(&["destroy", "web1"]);
    assert!(host_of(&fabric, "web1").is_null());
}
