//! Real DHCP clients on virtualized ports: isc-dhclient, udhcpc, dhcpcd and rdisc6, in two tenants with one prefix.
//! Needs root.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::capture::Capture;
use tests::clients::Machine;
use tests::stage::{Stage, eventually};
use tests::tools::{must_not_ping, must_ping, must_tcp, run, run_any};

/// Two tenants with the same addresses. blue1 and red1 come without, blue2 has its address configured, blue3 is behind
/// another host.
const TOPOLOGY: &str = r#"
name: LAB
underlay: {kind: segment, mtu: 1600}
hosts:
  - {name: H1, addresses: [192.168.4.11/24]}
  - {name: H2, addresses: [192.168.4.22/24]}
vms:
  - {name: blue1, host: H1, mac: 06-06-00-00-00-05, vsid: 5001}
  - {name: blue2, host: H1, mac: 06-06-00-00-00-07, vsid: 5001, addresses: [10.10.1.101/16, "fd00:a::101/64"]}
  - {name: blue3, host: H2, mac: 06-06-00-00-00-09, vsid: 5001, addresses: [10.10.1.102/16, "fd00:a::102/64"]}
  - {name: red1, host: H1, mac: 08-08-00-00-00-05, vsid: 6001}
resources:
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.10.1.100, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.10.1.101, mac: 06-06-00-00-00-07, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.10.1.102, mac: 06-06-00-00-00-09, providerAddress: 192.168.4.22}}
  - {kind: lookup-record, spec: {vsid: 6001, customerAddress: 10.10.1.100, mac: 08-08-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::100", mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::101", mac: 06-06-00-00-00-07, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::102", mac: 06-06-00-00-00-09, providerAddress: 192.168.4.22}}
  - {kind: lookup-record, spec: {vsid: 6001, customerAddress: "fd00:a::100", mac: 08-08-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: 10.10.0.0/16, nextHop: 0.0.0.0}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000006001}", vsid: 6001, prefix: 10.10.0.0/16, nextHop: 0.0.0.0}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: "fd00:a::/64", nextHop: "::"}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000006001}", vsid: 6001, prefix: "fd00:a::/64", nextHop: "::"}}
  - kind: dhcp-scope
    spec:
      vsid: 5001
      prefix: 10.10.0.0/16
      dnsServers: [10.10.0.53, 10.10.0.54]
      dnsSuffixes: [blue.example, example]
      routes: [{prefix: 172.16.0.0/12, nextHop: 10.10.1.102}]
      leaseTime: 1m
  - kind: dhcp-scope
    spec: {vsid: 5001, prefix: "fd00:a::/64", dnsServers: ["fd00:a::53"], dnsSuffixes: [blue.example, example], routes: [{prefix: "fd00:b::/48", nextHop: "fd00:a::102"}], leaseTime: 1m}
  - {kind: dhcp-scope, spec: {vsid: 6001, prefix: 10.10.0.0/16, dnsServers: [10.10.0.99], dnsSuffixes: [red.example], leaseTime: 1h}}
  - {kind: dhcp-scope, spec: {vsid: 6001, prefix: "fd00:a::/64", leaseTime: 1h}}
"#;

/// What fits through an underlay of 1600 bytes in NVGRE over IPv4.
const MTU: &str = "mtu 1558";

const DHCLIENT: &str = "dhclient -d -v -sf /sbin/dhclient-script -lf $F/leases -pf $F/pid";

/// The lab; the VMs that wait for DHCP do not know the MTU yet.
fn stage() -> Stage {
    let stage = Stage::up(TOPOLOGY);
    for vm in ["blue1", "red1"] {
        run(&stage.vm(vm), "ip link set eth0 mtu 1400");
    }
    stage
}

/// State and address of what DHCP last said to a port, by family.
fn lease(stage: &Stage, port: &str, v6: bool) -> Option<(String, String)> {
    let status = stage.json(1, &format!("get port {port}"))["status"].clone();
    let leases = status["leases"].as_array()?.clone();
    let text = |lease: &Value, field: &str| lease[field].as_str().unwrap_or_default().to_owned();
    let found = leases.iter().find(|lease| text(lease, "address").contains(':') == v6)?;
    assert!(text(found, "since").ends_with('Z'), "{found}");
    Some((text(found, "state"), text(found, "address")))
}

#[track_caller]
fn await_lease(stage: &Stage, port: &str, state: &str, address: &str) {
    let expected = Some((state.to_owned(), address.to_owned()));
    let come = eventually(Duration::from_secs(10), || lease(stage, port, address.contains(':')) == expected);
    assert!(come, "{state} {address} was expected: {}", stage.json(1, &format!("get port {port}"))["status"]);
}

/// Address, mask, gateway, routes and MTU of a VM are those of the scope.
#[track_caller]
fn must_be_configured(machine: &Machine) {
    let node = machine.node();
    let shown =
        || run(node, "ip -4 address show dev eth0") + &run(node, "ip -4 route show") + &run(node, "ip link show eth0");
    let wanted = [
        "inet 10.10.1.100/16",
        "default via 10.10.0.1 ",
        "172.16.0.0/12 via 10.10.1.102 ",
        "10.10.0.0/16 dev eth0",
        MTU,
    ];
    let all = eventually(Duration::from_secs(5), || wanted.iter().all(|words| shown().contains(words)));
    assert!(all, "{wanted:?} were expected:\n{}", shown());
}

#[test]
fn dhclient_gets_all_it_needs_renews_and_gives_back() {
    let stage = stage();
    let blue1 = Machine::of(stage.vm("blue1"));
    let wire = Capture::start(&stage.host(1), "eth0", "proto gre");
    let own = Capture::whole(blue1.node(), "eth0", "udp port 67 or udp port 68");
    let mut client = blue1.start(&format!("{DHCLIENT} -4 eth0"));
    client.await_words("bound to 10.10.1.100");
    must_be_configured(&blue1);
    let resolver =
        ["domain blue.example", "nameserver 10.10.0.53", "nameserver 10.10.0.54", "search blue.example. example."];
    assert_eq!(blue1.resolver(), resolver);
    await_lease(&stage, "blue1", "Bound", "10.10.1.100");
    let described = stage.ok(1, "describe port blue1");
    assert!(described.contains("DHCP Lease:") && described.contains("10.10.1.100, bound since 20"), "{described}");
    let leases = blue1.read("leases");
    for words in [
        "option dhcp-server-identifier 192.0.2.253;",
        "option dhcp-lease-time 60;",
        "option dhcp-renewal-time 30;",
        "option dhcp-rebinding-time 53;",
        "option broadcast-address 10.10.255.255;",
        "option domain-name \"blue.example\";",
        "option interface-mtu 1558;",
    ] {
        assert!(leases.contains(words), "{words}: {leases}");
    }
    // A VM without DHCP beside it, and one on the other host.
    must_ping(blue1.node(), "10.10.1.101");
    must_ping(blue1.node(), "10.10.1.102");
    must_ping(blue1.node(), "10.10.0.1");
    must_tcp(blue1.node(), &stage.vm("blue3"), "10.10.1.102");
    // It renews by unicast, for which it asks nobody but its gateway.
    let renewed = eventually(Duration::from_secs(45), || client.output().matches("bound to 10.10.1.100").count() >= 2);
    assert!(renewed, "{}", client.output());
    assert!(client.output().contains("to 192.0.2.253 port 67"), "{}", client.output());
    client.end(Signal::SIGTERM);
    blue1.run("dhclient -4 -r -v -sf /sbin/dhclient-script -lf $F/leases -pf $F/pid eth0");
    await_lease(&stage, "blue1", "Released", "10.10.1.100");
    // Its next start asks for what it had.
    let packets = own.end();
    assert_eq!(packets.count("dhcp.option.dhcp == 6"), 0, "no NAK");
    assert!(packets.count("dhcp.option.dhcp == 5 && ip.src == 192.0.2.253") >= 2, "{}", packets.lines("dhcp"));
    assert_eq!(wire.end().count("udp.port == 67"), 0, "nothing of it leaves the host");
}

#[test]
fn two_tenants_hold_the_same_address_and_know_nothing_of_each_other() {
    let stage = stage();
    let (blue1, red1) = (Machine::of(stage.vm("blue1")), Machine::of(stage.vm("red1")));
    let clients = [&blue1, &red1].map(|machine| machine.start(&format!("{DHCLIENT} -4 eth0")));
    for client in &clients {
        client.await_words("bound to 10.10.1.100");
    }
    assert_eq!(red1.resolver(), ["domain red.example", "nameserver 10.10.0.99", "search red.example."]);
    assert!(run(red1.node(), "ip -4 route show").contains("default via 10.10.0.1 "));
    assert!(!run(red1.node(), "ip -4 route show").contains("172.16.0.0/12"), "it is blue's");
    for port in ["blue1", "red1"] {
        await_lease(&stage, port, "Bound", "10.10.1.100");
    }
    must_ping(blue1.node(), "10.10.1.102");
    must_not_ping(red1.node(), "10.10.1.102");
}

#[test]
fn an_address_that_changes_is_refused_and_the_new_one_taken() {
    let stage = stage();
    let blue1 = Machine::of(stage.vm("blue1"));
    let mut client = blue1.start(&format!("{DHCLIENT} -4 eth0"));
    client.await_words("bound to 10.10.1.100");
    client.end(Signal::SIGTERM);
    stage.ok(1, "delete lookup-record 5001/10.10.1.100");
    let record = "kind: lookup-record\nspec: {vsid: 5001, customerAddress: 10.10.1.200, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}";
    stage.apply(1, record).ok().unwrap();
    run(blue1.node(), "ip address flush dev eth0");
    // It knows its lease and asks for it (INIT-REBOOT).
    let client = blue1.start(&format!("{DHCLIENT} -4 eth0"));
    client.await_words("DHCPNAK from 192.0.2.253");
    client.await_words("bound to 10.10.1.200");
    await_lease(&stage, "blue1", "Bound", "10.10.1.200");
}

#[test]
fn a_client_that_finds_its_address_in_use_declines_it() {
    let stage = stage();
    let blue1 = Machine::of(stage.vm("blue1"));
    // The script is what looks for a duplicate; this one finds one.
    blue1.write(
        "duplicate",
        "#!/bin/sh\ncase $reason in BOUND) exit 1;; BOUND6) exit 3;; *) exec /sbin/dhclient-script;; esac\n",
    );
    let client = blue1.start("dhclient -d -v -sf $F/duplicate -lf $F/leases -pf $F/pid -4 eth0");
    client.await_words("DHCPDECLINE");
    let declined = || {
        let log = stage.lab.folder().join(format!("{}.log", stage.host_name(1)));
        let log = std::fs::read_to_string(log).unwrap_or_default();
        log.contains("WARN") && log.contains("10.10.1.100 is in use already")
    };
    assert!(eventually(Duration::from_secs(5), declined), "the agent warns");
}

/// Writes down what udhcpc is told, and does what its package's own script does.
const UDHCPC_SCRIPT: &str = "#!/bin/sh\nenv >$F/$1.env\nexec /etc/udhcpc/default.script \"$@\"\n";

#[test]
fn udhcpc_gets_all_it_needs_renews_and_gives_back() {
    let stage = stage();
    let blue1 = Machine::of(stage.vm("blue1"));
    let folder = blue1.path("").display().to_string();
    blue1.write("script", &UDHCPC_SCRIPT.replace("$F", &folder));
    let own = Capture::whole(blue1.node(), "eth0", "udp port 67 or udp port 68");
    let mut client =
        blue1.start("udhcpc -f -i eth0 -s $F/script -p $F/pid -O staticroutes -O search -O mtu -O lease -O serverid");
    client.await_words("lease of 10.10.1.100 obtained from 192.0.2.253, lease time 60");
    let told = || blue1.read("bound.env");
    for words in [
        "ip=10.10.1.100",
        "subnet=255.255.0.0",
        "router=10.10.0.1",
        "dns=10.10.0.53 10.10.0.54",
        "domain=blue.example",
        "search=blue.example example",
        "mtu=1558",
        "lease=60",
        "serverid=192.0.2.253",
        "staticroutes=172.16.0.0/12 10.10.1.102 0.0.0.0/0 10.10.0.1",
    ] {
        assert!(eventually(Duration::from_secs(3), || told().lines().any(|line| line == words)), "{words}: {}", told());
    }
    let configured = || run(blue1.node(), "ip address show dev eth0") + &run(blue1.node(), "ip route show");
    let all = ["inet 10.10.1.100/16", "default via 10.10.0.1 ", MTU];
    assert!(
        eventually(Duration::from_secs(5), || all.iter().all(|words| configured().contains(words))),
        "{}",
        configured()
    );
    assert_eq!(blue1.resolver(), ["domain blue.example", "nameserver 10.10.0.53", "nameserver 10.10.0.54"]);
    must_ping(blue1.node(), "10.10.1.102");
    // It is told to renew, and does so by unicast; then to give back.
    let pid = blue1.read("pid");
    run(blue1.node(), &format!("kill -USR1 {pid}"));
    let renewed = eventually(Duration::from_secs(10), || !blue1.read("renew.env").is_empty());
    assert!(renewed, "{}", client.output());
    run(blue1.node(), &format!("kill -USR2 {pid}"));
    await_lease(&stage, "blue1", "Released", "10.10.1.100");
    client.end(Signal::SIGTERM);
    let packets = own.end();
    assert!(
        packets.count("dhcp.option.dhcp == 3 && ip.dst == 192.0.2.253") >= 1,
        "a renewal by unicast:\n{}",
        packets.lines("dhcp")
    );
}

#[test]
fn a_client_that_renews_an_address_of_yesterday_begins_anew() {
    let stage = stage();
    let blue1 = Machine::of(stage.vm("blue1"));
    let folder = blue1.path("").display().to_string();
    blue1.write("script", &UDHCPC_SCRIPT.replace("$F", &folder));
    let client = blue1.start("udhcpc -f -i eth0 -s $F/script -p $F/pid");
    client.await_words("lease of 10.10.1.100 obtained");
    assert!(
        eventually(Duration::from_secs(5), || run(blue1.node(), "ip route show").contains("default via 10.10.0.1 "))
    );
    stage.ok(1, "delete lookup-record 5001/10.10.1.100");
    let record = "kind: lookup-record\nspec: {vsid: 5001, customerAddress: 10.10.1.200, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}";
    stage.apply(1, record).ok().unwrap();
    // Nobody has the old address any more, and yet the host hears that it is asked for.
    run(blue1.node(), &format!("kill -USR1 {}", blue1.read("pid")));
    client.await_words("lease of 10.10.1.200 obtained");
    let lists = || run(blue1.node(), "ip address show dev eth0");
    assert!(
        eventually(Duration::from_secs(5), || lists().contains("10.10.1.200/") && !lists().contains("10.10.1.100/"))
    );
}

/// dhcpcd as a machine with one interface has it; the lab's VMs have link-local addresses that follow from the MAC
/// address already.
const DHCPCD: &str = "nodev
duid ll
noarp
noipv4ll
option subnet_mask, routers, classless_static_routes, domain_name_servers, domain_name, domain_search, interface_mtu
option dhcp6_name_servers, dhcp6_domain_search
require dhcp_server_identifier
slaac hwaddr
";

#[test]
fn dhcpcd_gets_addresses_of_both_families() {
    let stage = stage();
    let blue1 = Machine::of(stage.vm("blue1"));
    blue1.write("dhcpcd.conf", DHCPCD);
    let mut client = blue1.start("dhcpcd -B -d -f $F/dhcpcd.conf eth0");
    must_be_configured(&blue1);
    let addresses = || run(blue1.node(), "ip -6 address show dev eth0 scope global");
    let bound = eventually(Duration::from_secs(15), || addresses().contains("fd00:a::100/"));
    assert!(bound, "{}\n{}", addresses(), client.output());
    assert!(!addresses().contains("406:ff:fe00:5"), "no address is made of the prefix: {}", addresses());
    let routes = run(blue1.node(), "ip -6 route show");
    assert!(routes.contains("default via fe80::4e:56ff:fe00:1 "), "{routes}");
    let resolver = [
        "domain blue.example",
        "nameserver 10.10.0.53",
        "nameserver 10.10.0.54",
        "nameserver fd00:a::53",
        "search blue.example example",
    ];
    assert!(eventually(Duration::from_secs(5), || blue1.resolver() == resolver), "{:?}", blue1.resolver());
    await_lease(&stage, "blue1", "Bound", "10.10.1.100");
    await_lease(&stage, "blue1", "Bound", "fd00:a::100");
    must_ping(blue1.node(), "fd00:a::102");
    must_ping(blue1.node(), "10.10.1.102");
    blue1.run("dhcpcd -f $F/dhcpcd.conf --release eth0");
    await_lease(&stage, "blue1", "Released", "10.10.1.100");
    await_lease(&stage, "blue1", "Released", "fd00:a::100");
    client.finish(Duration::from_secs(5));
}

#[test]
fn dhcpcd_informs_itself_with_an_address_of_its_own() {
    let stage = stage();
    let blue2 = Machine::of(stage.vm("blue2"));
    blue2.write("dhcpcd.conf", DHCPCD);
    let own = Capture::whole(blue2.node(), "eth0", "udp port 67 or udp port 68");
    let client = blue2.start("dhcpcd -4 -B -d -f $F/dhcpcd.conf --inform 10.10.1.101/16 eth0");
    let told = eventually(Duration::from_secs(15), || blue2.resolver().contains(&"nameserver 10.10.0.53".to_owned()));
    assert!(told, "{:?}\n{}", blue2.resolver(), client.output());
    let packets = own.end();
    assert!(packets.count("dhcp.option.dhcp == 8") >= 1, "an INFORM");
    assert!(
        packets.count("dhcp.option.dhcp == 5 && dhcp.ip.your == 0.0.0.0 && !dhcp.option.ip_address_lease_time") >= 1
    );
    must_ping(blue2.node(), "10.10.1.102");
}

#[test]
fn dhclient_gets_an_ipv6_address_renews_and_gives_back() {
    let stage = stage();
    let blue1 = Machine::of(stage.vm("blue1"));
    let mut client = blue1.start(&format!("{DHCLIENT} -6 eth0"));
    client.await_words("Bound to lease");
    let addresses = || run(blue1.node(), "ip -6 address show dev eth0 scope global");
    assert!(eventually(Duration::from_secs(5), || addresses().contains("fd00:a::100/")), "{}", addresses());
    let resolver = ["nameserver fd00:a::53", "search blue.example. example."];
    assert!(eventually(Duration::from_secs(5), || blue1.resolver() == resolver), "{:?}", blue1.resolver());
    // The route comes from the advertisement that the kernel heard.
    let routes = || run(blue1.node(), "ip -6 route show");
    let routed = eventually(Duration::from_secs(20), || routes().contains("default via fe80::4e:56ff:fe00:1 "));
    assert!(routed && routes().contains("fd00:a::/64 dev eth0"), "{}", routes());
    await_lease(&stage, "blue1", "Bound", "fd00:a::100");
    must_ping(blue1.node(), "fd00:a::101");
    must_ping(blue1.node(), "fd00:a::102");
    must_ping(blue1.node(), "fe80::4e:56ff:fe00:1%eth0");
    let renewed = eventually(Duration::from_secs(45), || client.output().contains("XMT: Renew on eth0"));
    assert!(renewed && eventually(Duration::from_secs(5), || client.output().matches("RCV: Reply").count() >= 2));
    client.end(Signal::SIGTERM);
    blue1.run("dhclient -6 -r -v -sf /sbin/dhclient-script -lf $F/leases -pf $F/pid eth0");
    await_lease(&stage, "blue1", "Released", "fd00:a::100");
}

#[test]
fn dhclient_asks_for_information_alone_and_declines_an_ipv6_address() {
    let stage = stage();
    let red1 = Machine::of(stage.vm("red1"));
    let blue1 = Machine::of(stage.vm("blue1"));
    let informed = blue1.run("dhclient -6 -S -1 -v -sf /sbin/dhclient-script -lf $F/leases -pf $F/pid eth0");
    assert!(informed.contains("RCV: Reply"), "{informed}");
    assert_eq!(blue1.resolver(), ["nameserver fd00:a::53", "search blue.example. example."]);
    red1.write("duplicate", "#!/bin/sh\ncase $reason in BOUND6) exit 3;; *) exec /sbin/dhclient-script;; esac\n");
    let client = red1.start("dhclient -d -v -sf $F/duplicate -lf $F/leases -pf $F/pid -6 eth0");
    client.await_words("XMT: Decline");
    await_lease(&stage, "red1", "Declined", "fd00:a::100");
}

#[test]
fn rdisc6_hears_the_router() {
    let stage = stage();
    let blue1 = stage.vm("blue1");
    let heard = run_any(&blue1, "timeout 10 rdisc6 -1 -w 3000 eth0");
    let words = heard.split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in [
        "Hop limit : 64",
        "Stateful address conf. : Yes",
        "Stateful other conf. : Yes",
        "Router lifetime : 65535",
        "Prefix : fd00:a::/64",
        "On-link : Yes",
        "Autonomous address conf.: No",
        "MTU : 1558 bytes",
        "Source link-layer address: 02:4E:56:00:00:01",
        "Recursive DNS server : fd00:a::53",
        "DNS search list : blue.example example",
        "Route : fd00:b::/48",
        "from fe80::4e:56ff:fe00:1",
    ] {
        assert!(words.contains(expected), "{expected}:\n{heard}");
    }
}
