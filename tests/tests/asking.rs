//! What only hosts know, asked through the controller: counters, drops, leases, traces; and what is said when a host does not
//! answer. Needs root.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tests::fabric::Fabric;
use tests::rest::Rest;
use tests::tools::{must_not_ping, run};

/// The REST interface, as a tenant asks it.
fn tenant(fabric: &Fabric, name: &str) -> Rest {
    let secret = fabric.op(&format!("create token {name}-user --role tenant --tenant {name}"));
    Rest { token: secret.trim().to_owned(), ..fabric.rest() }
}

/// A number of the counters of a port.
fn count(fabric: &Fabric, port: &str, field: &str) -> u64 {
    let told = fabric.json(&format!("get counters {port}"));
    told[0][field].as_u64().unwrap_or_else(|| panic!("{told}"))
}

/// How much was dropped at a port for a reason.
fn drops(fabric: &Fabric, port: &str, reason: &str) -> u64 {
    let told = fabric.json(&format!("get counters {port}"));
    let drops = told[0]["drops"].as_array().unwrap_or_else(|| panic!("{told}"));
    drops.iter().filter(|drop| drop["reason"] == reason).filter_map(|drop| drop["packets"].as_u64()).sum()
}

#[test]
fn counters_rise_by_what_passes_and_drops_say_why() {
    let fabric = Fabric::two_vms();
    let before = ["sentPackets", "receivedPackets", "sentBytes"].map(|field| count(&fabric, "test01", field));
    run(&fabric.vm("test01"), "ping -n -c 7 -i 0.05 -s 1000 10.10.1.101");
    let after = ["sentPackets", "receivedPackets", "sentBytes"].map(|field| count(&fabric, "test01", field));
    assert!(after[0] >= before[0] + 7 && after[1] >= before[1] + 7, "{before:?} {after:?}");
    assert!(after[2] >= before[2] + 7 * 1042, "{before:?} {after:?}");
    // Nothing leads there.
    run(&fabric.vm("test01"), "ip route replace 172.16.0.0/16 via 10.10.0.1");
    let dropped = drops(&fabric, "test01", "NoRoute");
    must_not_ping(&fabric.vm("test01"), "172.16.9.9");
    assert!(drops(&fabric, "test01", "NoRoute") > dropped, "{}", fabric.op("get counters -o wide"));
    // The host says the same of itself, at once and through the controller.
    let (one, two) = (fabric.stage.host_name(1), fabric.stage.host_name(2));
    let reply = fabric.rest().ask("GET", &format!("/v1/hosts/{one}/status"), &[], None);
    assert_eq!(reply.status, 200, "{reply:?}");
    let mut own = fabric.stage.json(1, "status");
    // It goes up with each change.
    own["controller"]["revision"] = reply.body["status"]["controller"]["revision"].clone();
    assert_eq!(reply.body["status"], own);
    let at_port = |drop: &&Value| drop["port"] == "test01" && drop["reason"] == "NoRoute";
    assert!(reply.body["drops"].as_array().unwrap().iter().any(|drop| at_port(&drop)), "{reply:?}");
    assert!(fabric.op(&format!("describe host {one}")).contains("The host itself:"));
    // What went to the other host is known by its flows.
    let tunnels = fabric.json(&format!("get tunnels {one}"));
    let tunnel = &tunnels[0];
    assert_eq!((&tunnel["remote"], &tunnel["host"]), (&json!("192.168.4.16"), &json!(two)), "{tunnels}");
    assert!(tunnel["sentPackets"].as_u64() >= Some(7) && tunnel["receivedBytes"].as_u64() >= Some(7000), "{tunnels}");
}

#[test]
fn leases_are_those_that_dhcp_has_given() {
    let fabric = Fabric::two_vms();
    let told = fabric.json("get leases test");
    let leases: Vec<_> = told.as_array().unwrap().iter().collect();
    assert_eq!(leases.len(), 2, "{told}");
    for (lease, (port, address, mac)) in leases
        .iter()
        .zip([("test01", "10.10.1.100", "00-1D-D8-B7-1C-01"), ("test02", "10.10.1.101", "00-1D-D8-B7-1C-02")])
    {
        assert_eq!((&lease["port"], &lease["address"], &lease["mac"]), (&json!(port), &json!(address), &json!(mac)));
        assert_eq!(lease["state"], "Bound", "{told}");
        assert!(lease["since"].as_str() < lease["until"].as_str(), "{told}");
    }
    // The tenant sees the same, and another one nothing.
    let own = tenant(&fabric, "default").ask("GET", "/v1/tenants/default/vm-subnets/test/leases", &[], None);
    assert_eq!((own.status, own.body["leases"].as_array().map(Vec::len)), (200, Some(2)), "{own:?}");
    fabric.op("create tenant blue");
    let other = tenant(&fabric, "blue");
    for path in ["vm-subnets/test/leases", "ports/test01/counters"] {
        let there = other.ask("GET", &format!("/v1/tenants/default/{path}"), &[], None);
        let not = other.ask("GET", &format!("/v1/tenants/default/{}", path.replace("test", "none")), &[], None);
        assert_eq!((there.status, not.status), (403, 403), "{there:?}");
        let detail = |reply: &Value| reply["detail"].as_str().unwrap().replace("test", "none");
        assert_eq!(detail(&there.body), detail(&not.body), "whether it is there is not told");
    }
    let host = other.ask("GET", &format!("/v1/hosts/{}/status", fabric.stage.host_name(1)), &[], None);
    assert_eq!(host.status, 403, "{host:?}");
}

#[test]
fn a_trace_goes_from_host_to_host_and_says_what_each_of_them_does() {
    let fabric = Fabric::two_vms();
    let (one, two) = (fabric.stage.host_name(1), fabric.stage.host_name(2));
    let packet = "--from test01 --to 10.10.1.101";
    let told = fabric.json(&format!("trace {packet}"));
    let legs = told["legs"].as_array().unwrap();
    assert_eq!(legs.len(), 2, "{told:#}");
    assert_eq!(legs[0]["report"], fabric.stage.json(1, &format!("trace {packet}")), "as on the host itself");
    assert_eq!(legs[0]["end"], json!({"fate": "toHost", "remote": "192.168.4.16"}));
    assert_eq!((&legs[0]["host"], &legs[1]["host"]), (&json!(one), &json!(two)));
    assert_eq!(legs[1]["end"], json!({"fate": "delivered", "port": "test02"}), "{told:#}");
    assert_eq!(told["unfinished"], Value::Null);
    // A tenant is told the way, and not by whom.
    let own = tenant(&fabric, "default");
    let reply = own.ask("POST", "/v1/tenants/default/ports/test01/trace", &[], Some(&json!({"to": "10.10.1.101"})));
    assert_eq!(reply.status, 200, "{reply:?}");
    let text = reply.body.to_string();
    for secret in ["192.168.4.", &one, &two, "eth0"] {
        assert!(!text.contains(secret), "{secret}: {:#}", reply.body);
    }
    assert_eq!(reply.body["legs"][1]["end"]["port"], "test02", "{:#}", reply.body);
    // What the second host drops is told with its reason, which is the real one.
    fabric.op("create security-group closed --vm-network AAA");
    fabric.op("set port test02 --security-group closed --wait");
    let told = fabric.json(&format!("trace {packet}"));
    let last = &told["legs"][1];
    assert_eq!(last["end"]["fate"], "dropped", "{told:#}");
    let reason = last["report"]["reason"].as_str().unwrap();
    let dropped = || {
        let reply = fabric.rest().ask("GET", &format!("/v1/hosts/{two}/status"), &[], None);
        let drops = reply.body["drops"].as_array().unwrap_or_else(|| panic!("{reply:?}")).clone();
        // What comes from another host and reaches no port is counted at the uplink.
        let own = drops.iter().filter(|drop| drop["port"] == "uplink" && drop["reason"] == reason);
        own.filter_map(|drop| drop["packets"].as_u64()).sum::<u64>()
    };
    let before = dropped();
    must_not_ping(&fabric.vm("test01"), "10.10.1.101");
    assert!(dropped() > before, "{reason}: {}", fabric.stage.all_drops(2));
    // Another tenant's port is as one that is not there.
    fabric.op("create tenant blue");
    let other = tenant(&fabric, "blue");
    let ask = |port: &str| {
        let path = format!("/v1/tenants/default/ports/{port}/trace");
        other.ask("POST", &path, &[], Some(&json!({"to": "10.10.1.101"})))
    };
    let (there, not) = (ask("test01"), ask("none01"));
    let detail = |reply: &tests::rest::Reply| reply.body["detail"].as_str().unwrap().replace("test", "none");
    assert_eq!((there.status, detail(&there)), (not.status, detail(&not)));
}

#[test]
fn a_host_that_does_not_answer_is_told_in_a_sentence() {
    let mut fabric = Fabric::two_vms();
    let two = fabric.stage.host_name(2);
    let own = tenant(&fabric, "default");
    let told = |fabric: &Fabric, why: &str| {
        let refusal = fabric.refused("get counters test02");
        assert!(refusal.contains(&format!("host \"{two}\" {why}")), "{refusal}");
        // The rest is told beside it.
        let some = fabric.try_op(&["get", "counters"]);
        assert!(some.success() && some.stdout.contains("test01"), "{}{}", some.stdout, some.stderr);
        assert!(some.stderr.contains(why) && some.stderr.contains("port test02"), "{}", some.stderr);
        let trace = fabric.json("trace --from test01 --to 10.10.1.101");
        assert_eq!(trace["legs"].as_array().unwrap().len(), 1, "{trace:#}");
        assert!(trace["unfinished"].as_str().unwrap().contains(why), "{trace:#}");
        let tenants = own.ask("GET", "/v1/tenants/default/ports/test02/counters", &[], None);
        let detail = tenants.body["detail"].as_str().unwrap();
        assert_eq!((tenants.status, detail.contains(&two)), (503, false), "{tenants:?}");
        assert!(detail.contains("does not answer now"), "{detail}");
    };
    // Its agent stands still, and the connection is there.
    let agent = fabric.stage.json(2, "status")["pid"].as_i64().unwrap();
    let agent = Pid::from_raw(i32::try_from(agent).unwrap());
    kill(agent, Signal::SIGSTOP).unwrap();
    told(&fabric, "did not answer within 2 s");
    kill(agent, Signal::SIGCONT).unwrap();
    assert!(fabric.op("get counters test02").contains("test02"));
    // It is gone.
    fabric.stage.lab.kill_agent(&two).unwrap();
    let gone = || fabric.json(&format!("get host {two}"))["status"]["connected"] == json!(false);
    assert!(tests::stage::eventually(std::time::Duration::from_secs(10), gone));
    told(&fabric, "does not answer: its agent is not connected");
    fabric.stage.lab.start_agent(&two).unwrap();
    let back = || fabric.try_op(&["get", "counters", "test02"]).success();
    assert!(tests::stage::eventually(std::time::Duration::from_secs(10), back));
}
