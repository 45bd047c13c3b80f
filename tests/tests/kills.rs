//! Controller and agents are killed a hundred times while ports come, change and go: afterwards what is declared, what the
//! hosts hold and what happens are one, and traffic that ran has lost nothing. Needs root.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tests::fabric::{Fabric, Operator};
use tests::stage::eventually;
use tests::tools::{Background, must_ping};

/// How often somebody is killed.
const KILLS: usize = 100;
/// How many ports besides the VMs' own come and go.
const PORTS: u32 = 12;

/// Declares, changes and deletes ports at random until it is told to end. What is refused, or not answered because
/// the controller is dead, is tried no further: that is the operator's day.
fn churn(operator: &Operator, hosts: &[String; 2], end: &AtomicBool, seed: u64) -> (u32, u32) {
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut done, mut failed) = (0, 0);
    while !end.load(Ordering::Relaxed) {
        let port = format!("p{}", rng.random_range(0..PORTS));
        let host = &hosts[rng.random_range(0..2)];
        let words: Vec<&str> = match rng.random_range(0..4) {
            0 | 1 => vec!["create", "port", &port, "--host", host, "--vm-network", "AAA"],
            2 => vec!["set", "port", &port, "--host", host],
            _ => vec!["delete", "port", &port],
        };
        if operator.run(&words).success() { done += 1 } else { failed += 1 }
    }
    (done, failed)
}

/// (VSID/CA, MAC address, PA) of all records that a host holds.
fn records(fabric: &Fabric, host: usize) -> BTreeSet<(String, String, String)> {
    let records = fabric.stage.json(host, "get lookup-records");
    let records = records.as_array().expect("a list").iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    records
        .map(|item| (text(&item["name"]), text(&item["spec"]["mac"]), text(&item["spec"]["providerAddress"])))
        .collect()
}

/// The same as the declared ports say; and no address and no MAC address is there twice.
fn declared(fabric: &Fabric, vsid: u64) -> BTreeSet<(String, String, String)> {
    let provider: BTreeMap<String, String> = [(1, "192.168.4.15"), (2, "192.168.4.16")]
        .map(|(host, pa)| (fabric.stage.host_name(host), pa.to_owned()))
        .into();
    let ports = fabric.json("get ports");
    let (mut all, mut addresses, mut macs) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for port in ports.as_array().expect("a list") {
        let address = port["status"]["addresses"][0].as_str().expect("each port has an address").to_owned();
        let mac = port["status"]["mac"].as_str().expect("each port has a MAC address").to_owned();
        assert!(addresses.insert(address.clone()), "{address} is claimed twice: {ports}");
        assert!(macs.insert(mac.clone()), "{mac} is claimed twice: {ports}");
        let host = port["spec"]["host"].as_str().expect("each port is on a host");
        all.insert((format!("{vsid}/{address}"), mac, provider[host].clone()));
    }
    all
}

#[test]
fn a_hundred_kills_lose_no_packet_and_no_truth() {
    let mut fabric = Fabric::up(&[("test01", 1, 1), ("test02", 2, 2)]);
    fabric.network();
    for (vm, host, mac) in [("test01", 1, 1), ("test02", 2, 2)] {
        fabric.port(vm, host, mac, "--vm-network AAA");
        fabric.lease(vm);
    }
    let vsid = fabric.json("get vm-subnet test")["status"]["vsid"].as_u64().expect("a subnet has a VSID");
    let hosts = [fabric.stage.host_name(1), fabric.stage.host_name(2)];
    let test01 = fabric.vm("test01");
    must_ping(&test01, "10.10.1.101");
    let mut ping = Background::start(&test01, "ping -n -i 0.005 10.10.1.101");
    ping.await_words("icmp_seq=20 ");

    let seed = rand::random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let end = Arc::new(AtomicBool::new(false));
    let operator = fabric.operator();
    let (done, failed) = std::thread::scope(|scope| {
        let churning = scope.spawn({
            let (end, hosts) = (Arc::clone(&end), hosts.clone());
            move || churn(&operator, &hosts, &end, seed)
        });
        for _ in 0..KILLS {
            std::thread::sleep(Duration::from_millis(rng.random_range(0..120)));
            match rng.random_range(0..4) {
                // The controller twice as often: it starts faster, and most can go wrong in it.
                0 | 1 => {
                    fabric.stage.lab.kill_controller().unwrap();
                    fabric.stage.lab.start_controller().unwrap();
                }
                host => {
                    let name = &hosts[host - 2];
                    fabric.stage.lab.kill_agent(name).unwrap();
                    fabric.stage.lab.start_agent(name).unwrap();
                }
            }
        }
        end.store(true, Ordering::Relaxed);
        churning.join().expect("the operator ends")
    });
    assert!(done >= 20, "too little was changed to say anything: {done} changes, {failed} refused or not answered");

    let expected = declared(&fabric, vsid);
    for host in [1, 2] {
        let agrees = eventually(Duration::from_secs(10), || records(&fabric, host) == expected);
        assert!(agrees, "host {host} holds {:?}, declared is {expected:?}", records(&fabric, host));
        let states = fabric.stage.json(host, "get lookup-records");
        for record in states.as_array().expect("a list") {
            // Ports without a device are nobody's to deliver to; all others are in the kernel's tables.
            let own = ["10.10.1.100", "10.10.1.101"]
                .iter()
                .any(|ca| record["name"].as_str().unwrap_or_default().ends_with(ca));
            assert!(!own || record["status"]["state"] == "inForce", "{record}");
        }
    }
    let text = ping.end(Signal::SIGINT);
    let summary = text.lines().find(|line| line.contains("packets transmitted")).unwrap_or_else(|| panic!("{text}"));
    let numbers: Vec<u32> = summary.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    // At the moment of the signal one request may be on its way.
    assert!(numbers[0] > 1000 && numbers[0] - numbers[1] <= 1, "packets are lost: {summary}");
    println!("{KILLS} kills, {done} changes carried out, {failed} refused or not answered, {summary}");
}
