//! Each verb, from the command line to what a person reads, in front of a served host in memory.

use std::ffi::OsString;
use std::fs;
use std::sync::Arc;

use api::Socket;
use api::memory::MemoryHost;
use cli::{Environment, Roles, Streams, run_with};

/// A host that is asked by command lines.
struct Host {
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

/// How a command ended.
#[derive(Debug, PartialEq)]
struct Ended {
    code: u8,
    out: String,
    err: String,
}

/// Roles that nobody takes on here.
fn roles() -> Roles {
    Roles {
        agent: |_| Ok(()),
        controller: |_| Ok(()),
        gateway: |_| Ok(()),
        wireguard: |_| Ok(()),
        join: |_| Ok("host15".into()),
        leave: |_| Err("this host has not joined".into()),
    }
}

/// A reader who stays.
fn stay(time: std::time::Duration) -> bool {
    std::thread::sleep(time);
    false
}

fn command(socket: &str, args: &[&str], input: &str) -> Ended {
    let roles = Roles {
        agent: |options| match (&options.config, options.check) {
            (Some(config), false) => Err(format!("line 3 of {} is wrong", config.display()).into()),
            _ => Ok(()),
        },
        ..roles()
    };
    let (mut input, mut out, mut err) = (input.as_bytes(), Vec::new(), Vec::new());
    let mut streams = Streams { input: &mut input, out: &mut out, err: &mut err, reader_gone: stay, ask: |_| Ok(None) };
    let environment = Environment { socket: Some(socket.into()), ..Environment::default() };
    let args = std::iter::once("netvirt").chain(args.iter().copied()).map(OsString::from);
    let code = run_with(args, &environment, roles, &mut streams);
    Ended { code, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

impl Host {
    /// A host with the resources of the Blue tenant.
    fn blue() -> Self {
        let host = Self::empty();
        host.ok(&["apply", "-f", "-"], BLUE);
        host
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = Socket::bind(folder.path().join("agent.sock")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(api::server::serve(socket, Arc::new(MemoryHost::new()), std::future::pending()));
        Self { folder, _runtime: runtime }
    }

    fn run(&self, args: &[&str], input: &str) -> Ended {
        command(self.folder.path().join("agent.sock").to_str().unwrap(), args, input)
    }

    /// A command that must succeed without a word of complaint; returns its output.
    fn ok(&self, args: &[&str], input: &str) -> String {
        let ended = self.run(args, input);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{args:?}");
        ended.out
    }

    fn get(&self, line: &str) -> String {
        self.ok(&line.split_whitespace().collect::<Vec<_>>(), "")
    }

    /// A command that must fail; returns exit code and complaint.
    fn refused(&self, line: &str) -> (u8, String) {
        let ended = self.run(&line.split_whitespace().collect::<Vec<_>>(), "");
        assert_eq!(ended.out, "", "{line}");
        (ended.code, ended.err)
    }
}

const BLUE: &str = "\
kind: provider-address
spec: {address: 192.168.4.11, interface: up0, prefixLength: 24}
---
kind: customer-route
spec:
  rdid: '{11111111-2222-3333-4444-000000005001}'
  vsid: 5001
  prefix: 10.0.0.0/24
  nextHop: 0.0.0.0
---
kind: lookup-record
spec:
  vsid: 5001
  customerAddress: 10.0.0.5
  mac: 06-06-00-00-00-05
  providerAddress: 192.168.4.11
---
kind: provider-route
spec: {prefix: 192.168.5.0/24, nextHop: 192.168.4.1, interface: up0}
---
kind: port
name: blue1
spec: {device: tap1, mac: 06-06-00-00-00-05, vsid: 5001}
";

#[test]
fn apply_says_what_became_of_each_resource() {
    let host = Host::empty();
    let created = "\
provider-address 192.168.4.11 created
customer-route 5001/10.0.0.0/24/0.0.0.0 created
lookup-record 5001/10.0.0.5 created
provider-route 192.168.5.0/24/192.168.4.1 created
port blue1 created
";
    assert_eq!(host.ok(&["apply", "-f", "-", "--dry-run"], BLUE), created.replace("created", "created (dry run)"));
    assert_eq!(host.ok(&["apply", "-f", "-"], BLUE), created);
    assert_eq!(host.ok(&["apply", "-f", "-"], BLUE), created.replace("created", "unchanged"));
    let file = host.folder.path().join("blue.yaml");
    fs::write(&file, BLUE.replace("tap1", "tap2")).unwrap();
    let changed = host.ok(&["apply", "-f", file.to_str().unwrap()], "");
    assert!(changed.ends_with("port blue1 configured\n"), "{changed}");
    let deleted = host.ok(&["delete", "-f", file.to_str().unwrap()], "");
    assert_eq!(deleted, created.replace("created", "deleted"));
    let ended = host.run(&["get", "ports"], "");
    assert_eq!(ended, Ended { code: 0, out: String::new(), err: "no port is declared\n".into() });
}

#[test]
fn tables_look_as_those_of_kubectl() {
    let host = Host::blue();
    for (line, table) in [
        (
            "get lr",
            "\
NAME           MAC                PROVIDER-ADDRESS  RULE   TYPE    PORT   STATE
5001/10.0.0.5  06-06-00-00-00-05  192.168.4.11      Encap  Static  blue1  in force
",
        ),
        (
            "get lookup-records 5001/10.0.0.5 -o wide",
            "\
NAME           MAC                PROVIDER-ADDRESS  RULE   TYPE    PORT   STATE     VSID  CUSTOMER-ADDRESS  VM      CUSTOMER-ID  CONTEXT  SECURITY-GROUPS
5001/10.0.0.5  06-06-00-00-00-05  192.168.4.11      Encap  Static  blue1  in force  5001  10.0.0.5          <none>  <none>       <none>   <none>
",
        ),
        (
            "get cr",
            "\
RDID                                    VSID  PREFIX       NEXT-HOP  METRIC  STATE
{11111111-2222-3333-4444-000000005001}  5001  10.0.0.0/24  0.0.0.0   0       in force
",
        ),
        ("get pa", "NAME          INTERFACE  PREFIX-LENGTH  STATE\n192.168.4.11  up0        24             in force\n"),
        (
            "get pr -o wide",
            "\
NAME                        PREFIX          NEXT-HOP     INTERFACE  METRIC  STATE     HOSTS   REASON
192.168.5.0/24/192.168.4.1  192.168.5.0/24  192.168.4.1  up0        0       in force  <none>  <none>
",
        ),
        (
            "get port",
            "\
NAME   DEVICE  MAC                VSID  STATE  FROM-VM  TO-VM  DROPS
blue1  tap1    06-06-00-00-00-05  5001  bound  10       9      3
",
        ),
        ("get drops", "PORT    REASON        PACKETS\nblue1   source-mac    3\nuplink  unknown-vsid  12\n"),
        (
            "get drops blue1 -o wide",
            "\
PORT   REASON      PACKETS  EXPLANATION
blue1  source-mac  3        The source MAC address is not the port's.
",
        ),
    ] {
        assert_eq!(host.get(line), table, "{line}");
    }
}

#[test]
fn describe_shows_everything() {
    let host = Host::blue();
    assert_eq!(
        host.get("describe port blue1"),
        "\
Name:                blue1
Kind:                port
Device:              tap1
MAC:                 06-06-00-00-00-05
VSID:                5001
Physical:            <none>
Addresses:           <none>
Security Groups:     <none>
Limits:              <none>
UID:                 <none>
Status:
  State:             bound
  Interface Index:   7
  MTU (bytes):       1458
  Counter Slot:      1
Traffic:
  From the VM:       10 packets, 980 bytes
  To the VM:         9 packets, 882 bytes
  Dropped:           3 packets
Drops:
  PORT   REASON      PACKETS  EXPLANATION
  blue1  source-mac  3        The source MAC address is not the port's.
"
    );
    assert_eq!(
        host.get("describe lr"),
        "\
Name:                5001/10.0.0.5
Kind:                lookup-record
VSID:                5001
Customer Address:    10.0.0.5
MAC:                 06-06-00-00-00-05
Provider Address:    192.168.4.11
Rule:                Encap
Type:                Static
VM:                  <none>
Customer ID:         <none>
Context:             <none>
Security Groups:     <none>
Status:
  State:             in force
  Local:             yes
  Port:              blue1
"
    );
    assert!(host.get("describe drops").starts_with("PORT    REASON        PACKETS  EXPLANATION\n"));
    assert!(host.get("describe port -o json").starts_with("[\n"));
}

#[test]
fn limits_are_shown_as_they_are_typed() {
    let host = Host::blue();
    let rdid = "{11111111-2222-3333-4444-000000005001}";
    host.ok(
        &["set", "port", "blue1", "--egress-limit", "50 Mbit/s, burst 1 MB", "--ingress-limit", "2000 packets/s"],
        "",
    );
    host.ok(&["create", "routing-domain", "--rdid", rdid, "--egress-limit", "1 Gbit/s"], "");
    let bare = "11111111-2222-3333-4444-000000005001";
    assert!(host.get(&format!("get routing-domain {bare}")).contains(rdid), "its braces may be left out");
    host.ok(&["set", "routing-domain", bare, "--encapsulation", "vxlan"], "");
    let port = host.get("describe port blue1");
    let shown = "Limits:              egress 50 Mbit/s, burst 1 MB; ingress 2000 packets/s\n";
    assert!(port.contains(shown), "{port}");
    assert!(host.get("get ports -o wide").contains("egress 50 Mbit/s, burst 1 MB; ingress 2000 packets/s"));
    assert!(host.get("describe routing-domain").contains("Limits:              egress 1 Gbit/s\n"));
    // What is given takes the place of the whole limit of its direction, and leaves the other one.
    host.ok(&["set", "port", "blue1", "--egress-limit", "3000 packets/s"], "");
    assert!(host.get("describe port blue1").contains("egress 3000 packets/s; ingress 2000 packets/s\n"));
    host.ok(&["set", "port", "blue1", "--egress-limit", "", "--ingress-limit", ""], "");
    assert!(host.get("describe port blue1").contains("Limits:              <none>\n"));
    let (code, error) = host.refused("set port blue1 --egress-limit fast");
    assert!(code == 2 && error.contains("\"fast\" is no part of a limit"), "{error}");
    let ended = host.run(&["set", "port", "blue1", "--egress-limit", "burst 1 MB"], "");
    assert!(ended.code == 2 && ended.err.contains("a limit needs a bandwidth, packets a second, or both"), "{ended:?}");
}

#[test]
fn flows_are_looked_at_and_nothing_else() {
    let host = Host::blue();
    for verb in ["watch flows", "get flows --watch", "delete flows --all"] {
        let (code, error) = host.refused(verb);
        assert!(code != 0 && error.contains("flows"), "{verb}: {error}");
    }
    for wrong in ["get ports --protocol tcp", "get ports --limit 5"] {
        assert_eq!(host.refused(wrong).0, 2, "{wrong}");
    }
}

#[test]
fn rules_are_shown_as_they_are_typed() {
    let host = Host::blue();
    let rules = ["ingress allow tcp 80,443 from 10.0.0.0/8", "egress deny udp 53 to set:resolvers priority 10 log"];
    let made = host.ok(&["create", "security-group", "web", "--rule", rules[0], "--rule", rules[1]], "");
    assert_eq!(made, "security-group web created\n");
    host.ok(&["create", "address-set", "resolvers", "--prefix", "10.0.0.53/32", "--prefix", "fd00::53/128"], "");
    let added = "ingress allow any from group:web";
    host.ok(&["set", "security-group", "web", "--add-rule", added, "--egress-default", "deny"], "");
    host.ok(&["set", "port", "blue1", "--security-group", "web", "--security-group", "tenant/net/db"], "");
    assert_eq!(
        host.get("describe sg web"),
        format!(
            "\
Name:                web
Kind:                security-group
Ingress Default:     same-group
Egress Default:      deny
Rules:               {}
                     {}
                     {added}
Status:
  State:             in force
  Ports:             <none>
",
            rules[0], rules[1]
        )
    );
    let table = host.get("get sg");
    let shown = format!("{}; {}; {added}  same-group", rules[0], rules[1]);
    assert!(table.contains(&shown), "{table}");
    let port = host.get("describe port blue1");
    assert!(port.contains("Security Groups:     web, tenant/net/db\n"), "{port}");
    assert!(host.get("get as").contains("resolvers  10.0.0.53/32, fd00::53/128  in force"), "{}", host.get("get as"));
    let yaml = host.get("get sg -o yaml");
    assert!(host.ok(&["apply", "-f", "-"], &yaml).ends_with(" unchanged\n"), "{yaml}");
    host.ok(&["set", "port", "blue1", "--security-group", ""], "");
    assert!(host.get("describe port blue1").contains("Security Groups:     <none>\n"));
    host.ok(&["set", "security-group", "web", "--rule", ""], "");
    assert!(host.get("describe sg web").contains("Rules:               <none>\n"));
}

#[test]
fn programs_get_json_whole_and_yaml_that_can_be_applied_again() {
    let host = Host::blue();
    let one: api::Item = serde_json::from_str(&host.get("get port blue1 -o json")).unwrap();
    let all: Vec<api::Item> = serde_json::from_str(&host.get("get ports -o json")).unwrap();
    assert_eq!(all, [one]);
    assert_eq!(all[0].status["counters"]["drops"], 3);
    for kind in ["lr", "cr", "pa", "pr", "port"] {
        let yaml = host.get(&format!("get {kind} -o yaml"));
        let report = host.ok(&["apply", "-f", "-"], &yaml);
        assert!(report.ends_with(" unchanged\n"), "{yaml}{report}");
    }
    let report: api::ChangeReport = serde_json::from_str(&host.get("delete port blue1 -o json --dry-run")).unwrap();
    assert_eq!(report.results[0].outcome, api::Outcome::Deleted);
}

#[test]
fn create_set_and_delete_change_one_resource() {
    let host = Host::blue();
    let create = "create lr --vsid 5001 --ca 10.0.0.7 --mac 06-06-00-00-00-07 --pa 192.168.4.22 --vm-name Blue2";
    assert_eq!(host.get(&format!("{create} --dry-run")), "lookup-record 5001/10.0.0.7 created (dry run)\n");
    assert_eq!(host.get(create), "lookup-record 5001/10.0.0.7 created\n");
    assert_eq!(
        host.refused(create),
        (
            1,
            "error: lookup-record 5001/10.0.0.7 exists; change it with \"netvirt set lookup-record 5001/10.0.0.7\"\n"
                .into()
        )
    );
    assert_eq!(
        host.get("set lr 5001/10.0.0.7 --pa 192.168.4.11 --type dynamic"),
        "lookup-record 5001/10.0.0.7 configured\n"
    );
    let record = |pointer: &str| {
        let item: api::Item = serde_json::from_str(&host.get("get lr 5001/10.0.0.7 -o json")).unwrap();
        item.spec.pointer(pointer).cloned()
    };
    assert_eq!(record("/providerAddress"), Some("192.168.4.11".into()));
    assert_eq!(record("/type"), Some("Dynamic".into()));
    assert_eq!(record("/vmName"), Some("Blue2".into()), "what is not given stays");
    host.ok(&["set", "lr", "5001/10.0.0.7", "--vm-name", ""], "");
    assert_eq!(record("/vmName"), None);
    assert_eq!(host.get("create port red1 --device tap9 --mac 08-08-00-00-00-05"), "port red1 created\n");
    assert_eq!(host.get("set port red1 --vsid 6001"), "port red1 configured\n");
    assert_eq!(host.get("delete port red1 blue1"), "port red1 deleted\nport blue1 deleted\n");
    assert_eq!(
        host.get("delete lr --all"),
        "lookup-record 5001/10.0.0.5 deleted\nlookup-record 5001/10.0.0.7 deleted\n"
    );
    assert_eq!(host.get("delete drops --dry-run"), "drops reset (dry run)\n");
    assert_eq!(host.get("delete drops"), "drops reset\n");
    assert_eq!(host.run(&["get", "drops"], "").err, "no packet was dropped\n");
}

#[test]
fn a_refusal_says_why_in_a_sentence_and_exits_with_1() {
    let host = Host::blue();
    for (line, code, err) in [
        ("get port x", 1, "error: there is no port x; see \"netvirt get port\"\n"),
        (
            "delete port x blue1 y",
            1,
            "error: there is no port x; see \"netvirt get port\"\nerror: there is no port y; see \"netvirt get port\"\n",
        ),
        ("set port x --vsid 5001", 1, "error: there is no port x; see \"netvirt get port\"\n"),
        ("set port blue1", 2, "error: nothing to set; give at least one field, see \"netvirt set port --help\"\n"),
        (
            "set cr 5001/10.0.0.0/24/0.0.0.0 --prefix 10.0.1.0/24",
            1,
            "error: this would make customer-route 5001/10.0.0.0/24/0.0.0.0 into customer-route \
             5001/10.0.1.0/24/0.0.0.0, which is another resource; create that one and delete this one\n",
        ),
        ("delete port", 2, "error: which port? name one or several, or say --all\n"),
        ("delete drops blue1", 2, "error: the counters of drops are set to 0 all at once; leave the names out\n"),
        ("apply -f /nowhere/x.yaml", 1, "error: cannot read /nowhere/x.yaml: No such file or directory (os error 2)\n"),
        ("agent --config host.yaml", 1, "error: line 3 of host.yaml is wrong\n"),
    ] {
        assert_eq!(host.refused(line), (code, err.to_owned()), "{line}");
    }
    assert_eq!(host.get("get port").lines().count(), 2, "nothing was deleted");
    assert_eq!(host.get("agent --config host.yaml --check"), "");
    let (code, err) = host.refused("get vlans");
    assert!(code == 2 && err.contains("[possible values: logical-network,"), "{err}");
}

#[test]
fn wrong_yaml_is_named_by_file_line_column_and_field() {
    let host = Host::empty();
    let file = host.folder.path().join("host.yaml");
    let path = file.to_str().unwrap();
    for (text, place, words) in [
        (
            BLUE.replace("vsid: 5001\n  customer", "vsid: 70\n  customer"),
            "line 13, column 9, spec.vsid: ",
            "VSID 70 is out of range",
        ),
        (
            BLUE.replace("  providerAddress", "  providerAdress"),
            "line 16, column 3, spec",
            "unknown field `providerAdress`",
        ),
        ("kind: vlan\n".to_owned(), "line 1, column 7, kind: ", "vlan"),
        ("kind: [port\n".to_owned(), "line ", ""),
    ] {
        fs::write(&file, &text).unwrap();
        let ended = host.run(&["apply", "-f", path], "");
        assert_eq!(ended.code, 1);
        assert!(ended.err.starts_with(&format!("error: {path}: {place}")), "{}", ended.err);
        assert!(ended.err.contains(words), "{}", ended.err);
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    }
    let ended = host.run(&["apply", "-f", "-"], "# nothing\n");
    assert_eq!(
        (ended.code, ended.err.as_str()),
        (1, "error: standard input declares no resource; write at least one with kind and spec\n")
    );
    assert_eq!(host.run(&["get", "lr"], "").err, "no lookup-record is declared\n", "nothing half-done");
}

#[test]
fn trace_numbers_its_stages_and_gives_the_reason_in_words() {
    let host = Host::blue();
    assert_eq!(
        host.get("trace --from blue1 --to 10.0.0.9 --udp --dest-port 53"),
        "\
Packet: Udp to 10.0.0.9

 1. route  Which subnet leads to the destination?
      records[5001/10.0.0.9] = nothing

Verdict: drop (no-record)
  No lookup record names the destination.
"
    );
    let report: api::TraceReport = serde_json::from_str(&host.get("trace --from blue1 --to 10.0.0.9 -o json")).unwrap();
    assert_eq!(report.reason.as_deref(), Some("no-record"));
    assert_eq!(host.refused("trace --from x --to 10.0.0.9").0, 1);
}

#[test]
fn status_shows_the_host() {
    let host = Host::blue();
    assert_eq!(
        host.get("status"),
        "\
Host:                host1
Agent:               netvirt 0.1.0, process 4711
Started:             2026-01-02T03:04:05Z
Uplink:              up0, MTU 1500 bytes, 192.168.4.11
Ports:               1, 1 bound
Lookup Records:      1
Customer Routes:     1
Drift at the start:
  - lookup record 5001/10.0.0.9 was in force but is not declared; it was removed
Findings:            <none>
"
    );
    assert!(host.get("status -o yaml").contains("boundPorts: 1\n"));
}

#[test]
fn without_an_agent_the_exit_code_is_3() {
    for args in [&["get", "lr"][..], &["status"], &["get", "lr", "--watch"], &["apply", "-f", "-"]] {
        let ended = command("/nowhere/agent.sock", args, BLUE);
        assert_eq!((ended.code, ended.out.as_str()), (3, ""), "{args:?}");
        assert!(
            ended.err.starts_with("error: no agent listens on /nowhere/agent.sock; start one with"),
            "{}",
            ended.err
        );
    }
}

#[test]
fn help_names_the_exit_codes_and_shells_are_told_how_to_complete() {
    let help = command("", &["--help"], "");
    assert_eq!(help.code, 0);
    assert!(
        help.out.contains("3  no agent or controller answers") && help.out.contains("NETVIRT_SOCKET"),
        "{}",
        help.out
    );
    assert!(!help.out.contains('\u{1b}'), "no colours outside of a terminal");
    for shell in ["bash", "zsh", "fish"] {
        let script = command("", &["completion", shell], "");
        assert_eq!(script.code, 0);
        assert!(script.out.contains("NETVIRT_COMPLETE"), "{shell}");
    }
}

#[test]
fn a_reader_who_has_enough_is_no_error() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let host = Host::blue();
    let socket = host.folder.path().join("agent.sock");
    let (mut input, mut err) = (std::io::empty(), Vec::new());
    let mut streams =
        Streams { input: &mut input, out: &mut Closed, err: &mut err, reader_gone: stay, ask: |_| Ok(None) };
    let environment = Environment { socket: Some(socket.into()), ..Environment::default() };
    let args = ["netvirt", "get", "lr"].map(OsString::from);
    assert_eq!(run_with(args, &environment, roles(), &mut streams), 0);
    assert_eq!(err, b"");
}

#[test]
fn a_lab_that_cannot_be_had_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lab.yaml");
    let path = file.to_str().unwrap();
    fs::write(&file, "name: demo\nhosts: 5\n").unwrap();
    let ended = command("", &["lab", "up", path], "");
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    assert!(ended.err.starts_with(&format!("error: {path}: line 2, column 8: ")), "{}", ended.err);
    for args in [&["lab", "down", "no-such-lab"][..], &["lab", "status", "no-such-lab"]] {
        let ended = command("", args, "");
        assert_eq!(ended.code, 1);
        assert_eq!(ended.err, "error: there is no lab no-such-lab; \"netvirt lab list\" shows those that are up\n");
    }
    let ended = command("", &["lab", "exec", "--lab", "no-such-lab", "blue1", "--", "true"], "");
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
}
