//! Each verb at a controller, from the command line to what a person reads, over TLS.

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use api::fabric::{Change, ChangeReport, Item};
use cli::Environment;
use serde_json::{Value, json};
use support::{AAA, Controller, Ended, run, run_asking};

fn item(controller: &Controller, line: &str) -> Item {
    serde_json::from_str(&controller.get(&format!("get {line} -o json"))).unwrap()
}

#[test]
fn apply_is_idempotent_and_delete_undoes_it_whatever_the_order() {
    let controller = Controller::start();
    let created = "\
logical-network \"TDIv2\" created
vm-network \"AAA\" created
vm-subnet \"test\" created
ip-pool \"CA Pool\" created
port \"test01\" created
";
    assert_eq!(controller.ok(&["apply", "-f", "-", "--dry-run"], AAA), created.replace("created", "created (dry run)"));
    assert_eq!(controller.ok(&["apply", "-f", "-"], AAA), created);
    assert_eq!(controller.ok(&["apply", "-f", "-"], AAA), created.replace("created", "unchanged"));
    let names = controller.ok(&["apply", "-f", "-", "-o", "name"], AAA);
    assert_eq!(names.lines().nth(3), Some("ip-pool/CA Pool"));
    let deleted = controller.ok(&["delete", "-f", "-"], AAA);
    let reversed: Vec<String> = created.lines().rev().map(|line| line.replace("created", "deleted")).collect();
    assert_eq!(deleted.lines().collect::<Vec<_>>(), reversed);
    let ended = controller.run(&["get", "ports"], "");
    let nothing = "tenant \"default\" has no port; --all-tenants shows those of all tenants\n";
    assert_eq!(ended, Ended { code: 0, out: String::new(), err: nothing.into() });
}

#[test]
fn tables_have_the_columns_that_one_looks_for() {
    let controller = Controller::with_aaa();
    for (line, table) in [
        (
            "get ln",
            "NAME   NETWORK-VIRTUALIZATION  SITES   PROVIDER-POOLS\nTDIv2  yes                     <none>  <none>\n",
        ),
        ("get vn", "NAME  LOGICAL-NETWORK  ISOLATION  REALIZED\nAAA   TDIv2            nvgre      <none>\n"),
        (
            "get vm-subnets -A",
            "\
TENANT   NAME  VM-NETWORK  PREFIXES      VSID    GATEWAYS  REALIZED
default  test  AAA         10.10.0.0/16  <none>  <none>    <none>
",
        ),
        (
            "get ip-pools",
            "\
NAME     VM-SUBNET  RANGES                   USED    REALIZED
CA Pool  test       10.10.1.100-10.10.1.130  <none>  <none>
",
        ),
        (
            "get ports test01",
            "\
NAME    VM-NETWORK  VM-SUBNET  ADDRESSES  MAC     HOST    DEVICE  REALIZED
test01  AAA         <none>     <none>     <none>  host16  test01  1/1
",
        ),
        (
            "get tenants",
            "\
NAME     VM-NETWORKS  VM-SUBNETS  IP-POOLS   CUSTOMER-ROUTES  PORTS
default  unlimited    unlimited   unlimited  unlimited        unlimited
",
        ),
        ("get ports -o name", "port/test01\n"),
    ] {
        assert_eq!(controller.get(line), table, "{line}");
    }
    let wide = controller.get("get ports -o wide");
    assert!(wide.lines().next().unwrap().ends_with("CREATED                   REVISION"), "{wide}");
    let yaml = controller.get("get vm-networks -o yaml");
    assert_eq!(controller.ok(&["apply", "-f", "-"], &yaml), "vm-network \"AAA\" unchanged\n");
    let text = controller.get("describe port test01");
    assert!(text.starts_with("Name:                test01\nKind:                port\nTenant:              default\n"));
    assert!(
        text.ends_with(
            "  VM Network:        AAA\nStatus:\n  Realized:          on 1 of 1 hosts\nFindings:            <none>\n"
        ),
        "{text}"
    );
    assert!(controller.get("status").contains("Resources:\n"));
}

#[test]
fn create_and_set_put_each_flag_into_its_field() {
    let controller = Controller::start();
    for line in [
        "create logical-network L --network-virtualization --site r=192.168.4.0/24@42 --site-host r=host15 \
         --provider-pool pa=192.168.4.0/24,192.168.4.7",
        "create vm-network AAA --logical-network L --isolation nvgre",
        "create vm-subnet test --vm-network AAA --prefix 10.10.0.0/16 --prefix fd00:10::/64 --vsid 5001",
        "create ip-pool pool --vm-subnet test --range 10.10.1.100-10.10.1.130 --lease-time 8h --dns-server 10.10.0.53 \
         --route 192.168.9.0/24=10.10.1.1 --dns-suffix blue.example --reserved 10.10.1.110",
        "create mac-pool more --range 02-00-00-00-00-00..02-00-00-00-00-FF",
        "create port test01 --host host16 --vm-network AAA --vm-subnet test --address 10.10.1.100 --ip-pool pool",
        "create customer-route out --vm-network AAA --prefix 0.0.0.0/0 --next-hop 10.10.1.100",
        "create tenant blue --ports 100 --vm-networks 2",
    ] {
        assert!(controller.get(line).ends_with(" created\n"), "{line}");
    }
    let spec = |line: &str| item(&controller, line).spec;
    assert_eq!(
        spec("ln L"),
        json!({
            "networkVirtualization": true,
            "sites": [{"name": "r", "hosts": ["host15"], "subnets": [{"prefix": "192.168.4.0/24", "vlan": 42}]}],
            "providerPools": [{"name": "pa", "prefix": "192.168.4.0/24", "ranges": ["192.168.4.7"]}],
        })
    );
    assert_eq!(spec("ip-pool pool")["routes"], json!([{"prefix": "192.168.9.0/24", "nextHop": "10.10.1.1"}]));
    assert_eq!(spec("port test01")["host"], "host16");
    controller.get("set port test01 --host host15");
    assert_eq!(spec("port test01")["host"], "host15");
    assert_eq!(spec("port test01")["vmSubnet"], "test", "what is not given stays");
    controller.ok(
        &["set", "port", "test01", "--egress-limit", "50 Mbit/s, burst 1 MB", "--ingress-limit", "9 packets/s"],
        "",
    );
    let egress = json!({"bandwidth": "50 Mbit/s", "burst": "1 MB"});
    assert_eq!(spec("port test01")["limits"], json!({"egress": egress, "ingress": {"packets": 9}}));
    controller.ok(&["set", "port", "test01", "--ingress-limit", ""], "");
    assert_eq!(spec("port test01")["limits"], json!({"egress": egress}));
    controller.ok(&["set", "port", "test01", "--egress-limit", ""], "");
    controller.ok(&["set", "vm-network", "AAA", "--egress-limit", "1 Gbit/s"], "");
    assert_eq!(spec("vm-network AAA")["limits"], json!({"egress": {"bandwidth": "1 Gbit/s"}}));
    controller.ok(&["set", "port", "test01", "--vm-network", ""], "");
    assert_eq!(spec("port test01"), json!({"host": "host15"}));
    controller.get("set tenant blue --ports 5 --vm-networks none");
    assert_eq!(spec("tenant blue")["quota"], json!({"ports": 5}));
    controller.get("set ip-pool pool --add-range 10.10.2.1-10.10.2.9");
    assert_eq!(spec("ip-pool pool")["ranges"], json!(["10.10.1.100-10.10.1.130", "10.10.2.1-10.10.2.9"]));
    let host = "kind: host\nname: host15\nspec:\n  uplinks:\n  - {interface: eth0, addresses: [192.168.4.11/24]}\n  \
                - {interface: eth1, addresses: []}\n";
    controller.ok(&["apply", "-f", "-"], host);
    controller.get("set host host15 --logical-network L");
    controller.get("set host host15 --logical-network L --uplink eth1");
    assert_eq!(spec("host host15")["uplinks"][0]["logicalNetworks"], json!(["L"]));
    assert_eq!(spec("host host15")["uplinks"][1]["logicalNetworks"], json!(["L"]));
    assert!(controller.refused("set host host15 --logical-network L --uplink eth7").1.contains("no uplink eth7"));
}

#[test]
fn tenants_are_named_by_flag_and_kept_apart() {
    let controller = Controller::with_aaa();
    controller.get("create tenant blue");
    let yaml = "kind: vm-network\nname: AAA\nspec: {logicalNetwork: TDIv2}\n";
    let ended = controller.ok(&["apply", "-f", "-", "-t", "blue"], yaml);
    assert_eq!(ended, "vm-network \"AAA\" of tenant \"blue\" created\n");
    let all = controller.get("get vn -A");
    assert_eq!(all.lines().count(), 3, "{all}");
    assert_eq!(controller.get("get vn AAA -t blue -o name"), "vm-network/AAA\n");
    assert_eq!(controller.get("delete vn --all -t blue"), "vm-network \"AAA\" of tenant \"blue\" deleted\n");
    assert_eq!(
        controller.refused("get vn BBB -A"),
        (1, "error: no tenant has a vm-network \"BBB\"; see \"netvirt get vm-network --all-tenants\"\n".into())
    );
}

#[test]
fn a_change_of_somebody_else_is_never_lost() {
    let controller = Controller::with_aaa();
    let other = |port: &str, spec: Value| {
        let whole = json!({"kind": "port", "name": port, "spec": spec});
        Change::Put { resource: serde_json::from_value(whole).unwrap(), revision: None }
    };
    let moved = || other("test01", json!({"host": "host15", "vmNetwork": "AAA"}));
    controller.script.others.lock().unwrap().push(moved());
    assert_eq!(controller.get("set port test01 --vm-name web"), "port \"test01\" configured\n");
    let port = item(&controller, "port test01");
    assert_eq!((&port.spec["host"], &port.spec["vmName"]), (&json!("host15"), &json!("web")));
    let (code, err) = controller.refused(&format!("set port test01 --vm-name db --revision {}", port.revision - 1));
    assert_eq!(code, 1);
    assert!(err.starts_with("error: ") && err.contains("revision"), "{err}");
    assert!(
        controller.get(&format!("set port test01 --vm-name db --revision {}", port.revision)).ends_with("configured\n")
    );
}

#[test]
fn wait_ends_when_every_host_has_it_and_says_which_has_not() {
    let controller = Controller::with_aaa();
    controller.script.slow.store(3, Ordering::SeqCst);
    assert_eq!(controller.get("set port test01 --vm-name a --wait"), "port \"test01\" configured\n");
    controller.script.slow.store(u32::MAX, Ordering::SeqCst);
    let ended = controller.run(&["set", "port", "test01", "--vm-name", "b", "--wait=50ms"], "");
    assert_eq!((ended.code, ended.out.as_str()), (4, "port \"test01\" configured\n"));
    assert_eq!(
        ended.err,
        "error: port \"test01\" is declared, but not realized within 50ms on 1 of 1 hosts: host16 (its agent is not \
         connected)\n"
    );
}

#[test]
fn waiting_for_a_deletion_ends_when_it_is_gone_everywhere() {
    let controller = Controller::with_aaa();
    controller.script.slow.store(3, Ordering::SeqCst);
    assert_eq!(controller.get("delete port test01 --wait"), "port \"test01\" deleted\n");
    assert_eq!(controller.script.slow.load(Ordering::SeqCst), 0, "it was asked about until it was so");
    controller.script.slow.store(u32::MAX, Ordering::SeqCst);
    let ended = controller.run(&["delete", "ip-pool", "CA Pool", "--wait=50ms"], "");
    assert_eq!((ended.code, ended.out.as_str()), (4, "ip-pool \"CA Pool\" deleted\n"));
    assert_eq!(
        ended.err,
        "error: ip-pool \"CA Pool\" is deleted, but was not seen to be gone within 50ms from 1 of 2 hosts: host16 (its \
         agent is not connected)\n"
    );
    let (code, err) = controller.refused("delete token admin --wait");
    assert!(code == 2 && err.contains("leave --wait out"), "{err}");
}

#[test]
fn diff_shows_what_apply_would_change() {
    let controller = Controller::with_aaa();
    assert_eq!(controller.ok(&["diff", "-f", "-"], AAA), "");
    let changed = AAA.replace("host16", "host15").replace("name: AAA\n", "name: AAB\n");
    let ended = controller.run(&["diff", "-f", "-"], &changed);
    assert_eq!((ended.code, ended.err.as_str()), (1, ""));
    assert_eq!(
        ended.out,
        "\
--- /dev/null
+++ file: vm-network \"AAB\"
@@ -0,0 +1,6 @@
+kind: vm-network
+tenant: default
+name: AAB
+spec:
+  logicalNetwork: TDIv2
+  isolation: nvgre
--- declared: port \"test01\"
+++ file: port \"test01\"
@@ -2,5 +2,5 @@
 tenant: default
 name: test01
 spec:
-  host: host16
+  host: host15
   vmNetwork: AAA
"
    );
    let ended = controller.run(&["diff", "-f", "-", "-t", "nobody"], "kind: port\nname: a\n");
    assert_eq!((ended.code, ended.out.as_str()), (2, ""), "refused, which is no difference: {}", ended.err);
    assert_eq!(item(&controller, "port test01").spec["host"], "host16", "nothing was changed");
}

#[test]
fn watch_shows_what_there_is_and_ends_when_nobody_reads() {
    let controller = Controller::with_aaa();
    let ended = controller.run_until(&["get", "ports", "-w"], "", |_| true);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    let rows: Vec<&str> = ended.out.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(rows, ["EVENT", "created"]);
    let ended = controller.run_until(&["watch", "ports", "test01", "-o", "json"], "", |_| true);
    let event: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&event["event"], &event["object"]["name"]), (&json!("created"), &json!("test01")));
}

#[test]
fn watch_streams_what_changes() {
    let controller = Controller::with_aaa();
    let shown = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            // The reader goes after half a second of silence.
            controller.run_until(&["watch", "vm-networks"], "", |_| {
                static SILENCES: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
                SILENCES.fetch_add(1, Ordering::SeqCst) >= 12
            })
        });
        std::thread::sleep(Duration::from_millis(800));
        controller.get("create vm-network BBB --logical-network TDIv2");
        controller.get("set vm-network BBB --isolation vlan");
        controller.get("delete vm-network BBB");
        watching.join().unwrap()
    });
    let rows: Vec<Vec<&str>> = shown.out.lines().map(|line| line.split_whitespace().take(2).collect()).collect();
    assert_eq!(
        rows,
        [["EVENT", "NAME"], ["created", "AAA"], ["created", "BBB"], ["changed", "BBB"], ["deleted", "BBB"]],
        "{shown:?}"
    );
}

#[test]
fn tokens_are_told_once_and_what_was_done_is_written_down() {
    let controller = Controller::with_aaa();
    controller.get("create tenant blue");
    let ended = controller.run(&["create", "token", "b", "--role", "tenant", "-t", "blue", "--expires", "30d"], "");
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert_eq!(ended.out.lines().count(), 1);
    assert_eq!(ended.err, "token \"b\" created; this is its secret, which is told this once:\n");
    let tokens = controller.get("get tokens");
    assert!(
        tokens.starts_with("NAME   ROLE    TENANT  CREATED") && tokens.contains("\nb      tenant  blue "),
        "{tokens}"
    );
    assert!(!tokens.contains(ended.out.trim()));
    assert_eq!(controller.get("get token b -o name"), "token/b\n");
    assert_eq!(controller.get("delete token b"), "token \"b\" deleted\n");
    assert_eq!(
        controller.refused("delete token b"),
        (1, "error: there is no token \"b\"; \"netvirt get tokens\" lists what there is\n".into())
    );
    let join: Value = serde_json::from_str(&controller.get("create join-token --name host15 -o json")).unwrap();
    assert!(join["token"].is_string(), "{join}");
    let ended = controller.run(&["create", "join-token", "--name", "host15"], "");
    assert!(
        ended.out.starts_with("netvirt host join --controller ") && ended.out.ends_with("--name host15\n"),
        "{ended:?}"
    );
    let audit = controller.get("get audit --limit 2");
    assert_eq!(audit.lines().count(), 3, "{audit}");
    assert!(audit.starts_with("ID  TIME "), "{audit}");
    assert!(controller.get("get audit -o wide").contains("BEFORE"));
}

#[test]
fn users_are_made_with_passwords_that_are_told_once_or_typed() {
    let controller = Controller::start();
    controller.get("create tenant blue");
    let ended = controller.run(&["create", "user", "tim", "--role", "tenant", "-t", "blue"], "");
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert_eq!((ended.out.lines().count(), ended.out.len() > 12), (1, true));
    assert_eq!(ended.err, "user \"tim\" created; this is the password, which is told this once:\n");
    let create = ["create", "user", "eve", "--role", "reader", "--password"];
    assert_eq!(controller.ok(&create, "correct horse battery\n"), "user \"eve\" created\n");
    let users = controller.get("get users");
    assert!(users.starts_with("NAME   ROLE    TENANT  CREATED") && users.contains("\ntim    tenant  blue "), "{users}");
    assert!(users.contains("\neve    reader  ") && users.contains("  local\n") && !users.contains("horse"), "{users}");
    let set = ["set", "password", "eve"];
    assert_eq!(controller.ok(&set, "another horse battery\r\n"), "password of user \"eve\" set\n");
    for (input, why) in [
        ("", "no password was given; type one"),
        ("one\ntwo\n", "more than one line"),
        ("short\n", "at least 12 characters"),
    ] {
        let ended = controller.run(&set, input);
        assert!(ended.code != 0 && ended.err.contains(why), "{ended:?}");
    }
    let made = controller.run(&["set", "password", "tim", "--generate"], "");
    assert!(made.err.ends_with("told this once:\n") && made.out != ended.out, "{made:?}");
    let shown: Value = serde_json::from_str(&controller.get("set password tim --generate -o json")).unwrap();
    assert!(shown["password"].is_string(), "{shown}");
    assert_eq!(controller.get("get user tim -o name"), "user/tim\n");
    assert_eq!(controller.get("delete user tim"), "user \"tim\" deleted\n");
    let missing = "error: there is no user \"tim\"; \"netvirt get users\" lists what there is\n";
    assert_eq!(controller.refused("delete user tim"), (1, missing.into()));
    assert_eq!(controller.refused("set password tim --generate"), (1, missing.into()));
    let (code, err) = controller.refused("set password eve --generate --dry-run");
    assert!(code == 2 && err.contains("a password is set at once; leave --dry-run and --wait out"), "{code} {err}");
}

#[test]
fn at_a_terminal_a_password_is_typed_twice() {
    let controller = Controller::start();
    let environment = Environment { context: Some(controller.context().into()), ..Environment::default() };
    let set = ["set", "password", "admin"];
    let typed = run_asking(&set, "", &environment, |_| false, |_| Ok(Some("typed horse battery".to_owned())));
    assert_eq!((typed.code, typed.out.as_str()), (0, "password of user \"admin\" set\n"), "{typed:?}");
    let differ = run_asking(&set, "", &environment, |_| false, |question| Ok(Some(question.to_owned())));
    assert!(differ.code == 2 && differ.err.contains("the two passwords differ"), "{differ:?}");
}

#[test]
fn a_token_comes_with_the_file_that_its_bearer_needs() {
    let controller = Controller::start();
    controller.get("create tenant blue");
    let file = controller.folder.path().join("blue.yaml");
    let path = file.to_str().unwrap();
    let create = format!("create token b --role tenant --tenant blue --write-context {path}");
    assert_eq!(controller.get(&create), format!("token \"b\" created; its context is {path}\n"));
    // Whoever has the file is in tenant blue without saying so.
    let line = ["get", "ports", "--context", path];
    let nothing = "tenant \"blue\" has no port; --all-tenants shows those of all tenants\n";
    let ended = run(&line, "", &Environment::default(), |_| false);
    assert_eq!(ended, Ended { code: 0, out: String::new(), err: nothing.into() });
    let apply = ["apply", "-f", "-", "--context", path];
    let ended = run(&apply, "kind: port\nname: a\n", &Environment::default(), |_| false);
    assert_eq!(ended.out, "port \"a\" of tenant \"blue\" created\n", "{}", ended.err);
    // With the secret alone, the tenant must be named, and that is said.
    let text = std::fs::read_to_string(&file).unwrap().replace("tenant: blue\n", "");
    std::fs::write(&file, text).unwrap();
    let ended = run(&apply, "kind: port\nname: b\n", &Environment::default(), |_| false);
    assert_eq!(ended.code, 1, "{ended:?}");
    let hint = "note: tenant \"default\" is meant, since none is named; --tenant NAME names another\nerror: ";
    assert!(ended.err.starts_with(hint), "{}", ended.err);
    // A token whose secret nobody could learn is not kept.
    let (code, err) = controller.refused("create token c --role reader --write-context /nowhere/c.yaml");
    assert!(code == 3 && err.contains("/nowhere/c.yaml"), "{code} {err}");
    assert!(!controller.get("get tokens").contains("\nc "));
}

#[test]
fn the_store_goes_out_and_in() {
    let controller = Controller::with_aaa();
    let file = controller.folder.path().join("export.jsonl");
    let path = file.to_str().unwrap();
    assert!(controller.get(&format!("store export {path}")).starts_with("exported "));
    let exported = controller.get("store export");
    assert_eq!(exported, std::fs::read_to_string(&file).unwrap());
    let copy = controller.folder.path().join("copy.redb");
    let backup = format!("store backup {}", copy.display());
    assert!(controller.get(&backup).starts_with("copied "));
    let (code, err) = controller.refused(&backup);
    assert!(code == 1 && err.contains("File exists"), "nothing is overwritten: {err}");
    let empty = Controller::start();
    assert!(empty.get(&format!("store import {path}")).starts_with("imported "));
    assert_eq!(empty.get("get ports -o name"), "port/test01\n");
}

#[test]
fn who_is_asked_is_said() {
    let controller = Controller::with_aaa();
    assert_eq!(
        controller.refused("get port nosuch"),
        (1, "error: there is no port \"nosuch\"; see \"netvirt get ports\"\n".into()),
        "the environment said it"
    );
    let guessing = Environment { contexts: vec![controller.context()], ..Environment::default() };
    let stay = |_| false;
    let ended = run(&["get", "port", "nosuch"], "", &guessing, stay);
    assert!(
        ended.err.contains("--host NAME or --socket PATH asks a host's agent\nerror: there is no port"),
        "{}",
        ended.err
    );
    let ended = run(&["get", "port", "nosuch"], "", &Environment::default(), stay);
    assert_eq!(ended.code, 3);
    assert!(
        ended.err.starts_with("note: the agent on /run/netvirt/agent.sock was asked; --context FILE asks a"),
        "{ended:?}"
    );
    let ended = run(&["get", "lookup-records"], "", &guessing, stay);
    let said = "note: a host's agent knows of this, and no controller; run it on the host\nerror: no agent listens on";
    assert!(ended.code == 3 && ended.err.starts_with(said), "{ended:?}");
    let ended = run(&["get", "vm-networks"], "", &Environment::default(), stay);
    assert_eq!(ended.code, 3);
    assert!(ended.err.contains("give --context FILE or set NETVIRT_CONTEXT"), "{}", ended.err);
    for (line, code, words) in [
        ("get vm-networks --host x", 2, "ask a controller with --context FILE"),
        ("create host host17", 1, "netvirt create join-token --name host17"),
        ("create port a --vsid 5001 --vm-network AAA", 2, "a controller has no field --vsid"),
        ("create customer-route a --vm-network AAA", 2, "needs --prefix, --next-hop"),
        ("set port test01", 2, "nothing to set"),
        ("delete audit", 2, "nothing of it can be deleted"),
        ("delete port", 2, "which port?"),
        ("watch tokens", 2, "cannot be watched"),
        ("get ports --limit 3", 2, "--limit is for the audit log"),
        ("get port a/b", 2, "has '/' in it"),
    ] {
        let (was, err) = controller.refused(line);
        assert!(was == code && err.contains(words), "{line}: {was} {err}");
    }
    let mixed = "kind: lookup-record\n---\nkind: vm-network\n";
    let ended = controller.run(&["apply", "-f", "-"], mixed);
    assert!(ended.code == 2 && ended.err.contains("apply them by themselves"), "{ended:?}");
}

#[test]
fn several_refusals_are_several_lines() {
    let controller = Controller::start();
    let ended = controller.run(&["delete", "port", "a", "b"], "");
    assert_eq!(ended.code, 1);
    assert_eq!(ended.err.lines().count(), 2, "{}", ended.err);
    assert!(ended.err.lines().all(|line| line.starts_with("error: there is no port")), "{}", ended.err);
    let report: ChangeReport = serde_json::from_str(&controller.ok(&["apply", "-f", "-", "-o", "json"], AAA)).unwrap();
    assert_eq!(report.results.len(), 5);
}

#[test]
fn roles_are_handed_what_was_typed() {
    let stay = |_| false;
    let ended = run(&["controller", "--listen", "[::1]:1"], "", &Environment::default(), stay);
    assert_eq!((ended.code, ended.err.as_str()), (1, "error: cannot listen on Some([::1]:1)\n"));
    let join = ["host", "join", "--controller", "c:7444", "--token", "t", "--uplink", "eth0", "--name", "host16"];
    let ended = run(&join, "", &Environment::default(), stay);
    assert_eq!((ended.code, ended.out.as_str()), (0, "host host16 joined the controller at c:7444\n"));
    let left = "host host15 left the controller at c:7444\n";
    let ended = run(&["host", "leave"], "", &Environment::default(), stay);
    assert_eq!(ended, Ended { code: 0, out: left.into(), err: String::new() });
    let ended = run(&["host", "leave", "--force"], "", &Environment::default(), stay);
    assert_eq!((ended.code, ended.out.as_str()), (0, left));
    assert!(ended.err.contains("it does not answer; delete the host at the controller with"), "{}", ended.err);
}
