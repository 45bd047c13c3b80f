//! The tour of `scripts/demo`, done in the console by those whose networks they are: refused twice, then it works, and pings
//! between the VMs prove it. Another tenant in another browser sees nothing of it. Needs root and Chromium
//! (`scripts/tools test`).

use tests::browser::Browser;
use tests::fabric::Fabric;
use tests::tools::{must_not_ping, must_ping, run};

/// Three VMs on host 2, as in `examples/tour.yaml`.
const VMS: [(&str, usize, u8); 3] = [("test01", 2, 1), ("test02", 2, 2), ("test03", 2, 3)];

/// The VMs of the tenant blue, plugged in and connected to nothing.
fn begun() -> Fabric {
    let fabric = Fabric::up(&VMS);
    fabric.op("create tenant blue");
    fabric.op("create tenant red");
    for (vm, host, mac) in VMS {
        fabric.port(vm, host, mac, "--tenant blue");
    }
    fabric
}

/// Makes a VM network on the guided page, with a subnet and a pool unless `subnet` is empty.
#[track_caller]
fn make_network(browser: &Browser, name: &str, subnet: &str, prefix: &str, range: &str) {
    browser.follow("VM networks");
    browser.press("Create");
    browser.expect("New VM network");
    browser.fill("Name", name);
    browser.choose("Logical network", "TDIv2");
    browser.choose("Isolation", "NVGRE");
    if subnet.is_empty() {
        browser.press("Remove");
    } else {
        browser.fill("Subnet", subnet);
        browser.fill("Prefixes", prefix);
        browser.fill("Pool's addresses", range);
    }
    browser.expect("This can be created.");
    browser.submit("Create");
    browser.expect("was created");
}

/// Adds a subnet to a VM network; one without a range has no pool.
#[track_caller]
fn add_subnet(browser: &Browser, network: &str, subnet: &str, prefix: &str, range: &str) {
    browser.open(&format!("/t/blue/vm-networks/{network}"));
    browser.press("Add subnet");
    browser.expect("What is left empty is chosen");
    browser.fill("Subnet", subnet);
    browser.fill("Prefixes", prefix);
    if range.is_empty() {
        browser.choose("Pool", "no");
    } else {
        browser.fill("Pool's addresses", range);
    }
    browser.expect("This can be created.");
    browser.submit("Create");
    browser.expect("was created");
}

/// Sends the form that connects a port to a subnet.
#[track_caller]
fn connect(browser: &Browser, port: &str, subnet: &str) {
    browser.follow("Ports");
    browser.follow(port);
    browser.press("Edit");
    browser.expect(&format!("{port}: Edit"));
    browser.choose("Subnet", subnet);
    browser.submit("Save");
}

#[test]
fn the_tour_is_done_in_the_console_and_nobody_else_sees_it() {
    let mut fabric = begun();
    let browser = Browser::of_tenant(&fabric, "tim", "blue");
    let other = Browser::of_tenant(&fabric, "rose", "red");

    make_network(&browser, "AAA", "", "", "");
    browser.open("/t/blue/ports/test01/edit");
    browser.fill("Declared", &format!("{}vmNetwork: AAA\n", browser.value("Declared")));
    browser.submit("Save");
    browser.expect("VM network AAA of tenant blue has no VM subnet");
    browser.expect("netvirt create vm-subnet");
    add_subnet(&browser, "AAA", "test", "10.10.0.0/16", "");
    connect(&browser, "test01", "test (AAA");
    browser.expect("no IP pool");
    browser.expect("netvirt create ip-pool");
    browser.open("/t/blue/ip-pools/new/yaml");
    browser.fill("Name", "CA Pool");
    browser.fill("Declared", "vmSubnet: test\nranges: [10.10.1.100-10.10.1.130]\n");
    browser.submit("Create");
    browser.expect("was created");
    connect(&browser, "test01", "test (AAA");
    browser.expect("was changed");
    browser.expect("10.10.1.100");
    browser.expect("in force");
    assert_eq!(fabric.lease("test01").address, "10.10.1.100/16");
    must_ping(&fabric.vm("test01"), "10.10.0.1");

    // The very same prefix and pool once more, which the page says while it is typed.
    make_network(&browser, "BBB", "test-b", "10.10.0.0/16", "10.10.1.100-10.10.1.130");
    connect(&browser, "test02", "test-b (BBB");
    browser.expect("was changed");
    browser.expect("in force");
    assert_eq!(fabric.lease("test02").address, "10.10.1.100/16");
    let probe = run(&fabric.vm("test02"), "arping -D -c 2 -w 2 -I eth0 10.10.1.100");
    assert!(probe.contains("Received 0 response"), "test02 notices a duplicate: {probe}");

    add_subnet(&browser, "AAA", "test02", "172.16.0.0/16", "172.16.1.100-172.16.1.130");
    connect(&browser, "test03", "test02 (AAA");
    browser.expect("was changed");
    browser.expect("in force");
    assert_eq!(fabric.lease("test03").address, "172.16.1.100/16");
    must_ping(&fabric.vm("test03"), "10.10.1.100");
    must_not_ping(&fabric.vm("test02"), "172.16.1.100");

    moves(&mut fabric);
    sees_nothing(&other);
    for one in [&browser, &other] {
        assert_eq!(one.complaints(), Vec::<String>::new());
    }
}

/// The operator moves a VM to the other host, and its network follows it.
#[track_caller]
fn moves(fabric: &mut Fabric) {
    let (from, to) = (fabric.stage.host_name(2), fabric.stage.host_name(1));
    let operator = Browser::of_admin(fabric);
    operator.open("/t/blue/ports/test01/edit");
    let declared = operator.value("Declared");
    assert!(declared.contains(&from), "{declared}");
    fabric.stage.lab.plug_vm("test01", &to).expect("a VM's cable can be plugged elsewhere");
    operator.fill("Declared", &declared.replace(&from, &to));
    operator.submit("Save");
    operator.expect("was changed");
    operator.expect("in force");
    must_ping(&fabric.vm("test03"), "10.10.1.100");
}

/// What blue has is nowhere to be found for red.
#[track_caller]
fn sees_nothing(other: &Browser) {
    let pages = other.crawl(|path| (path.to_owned(), other.text()));
    for (path, text) in pages.values() {
        for word in ["AAA", "BBB", "test01", "test-b", "blue", "10.10.1.100", "172.16"] {
            assert!(!text.contains(word), "{path} shows red \"{word}\":\n{text}");
        }
    }
    for path in ["/t/blue", "/t/blue/vm-networks/AAA", "/t/blue/ports/test01", "/t/blue/activity", "/fabric"] {
        other.open(path);
        other.expect("There is no such page");
    }
}
