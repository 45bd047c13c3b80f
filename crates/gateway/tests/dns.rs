//! DNS of a compartment, asked by dig as a VM would, with servers behind that are not ours. Needs root, dnsmasq-base and
//! bind9-dnsutils.

mod support;

use gateway::{Dns, Part, Supervisor, Trouble};
use model::gateway::{Connection, ConnectionReport, ConnectionState, DnsName, DnsZone};
use support::router::{Outside, Server};
use support::{Ground, kill, run_in, until};

/// A compartment's part of DNS, on a ground with a VM inside and servers outside.
struct Stage {
    ground: Ground,
    outside: Outside,
    part: Dns,
    _supervisor: Supervisor,
}

impl Stage {
    fn new(word: &str) -> Self {
        let ground = Ground::new(word);
        let outside = Outside::new(&ground, &["192.0.2.53/24", "192.0.2.54/24"]);
        for address in ["10.254.254.1/29", "fd00:fe::1/64"] {
            let nodad: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
            run_in(outside.namespace(), "ip", &[&["address", "add", address, "dev", "lan"], nodad].concat());
        }
        let supervisor = Supervisor::new().unwrap();
        let part = Dns::new(supervisor.of(Dns::KIND));
        Self { ground, outside, part, _supervisor: supervisor }
    }

    fn set(&mut self, dns: model::gateway::Dns) -> Vec<Trouble> {
        self.ground.compartment.connections = vec![Connection { dns: Some(dns), ..support::connection("names") }];
        self.part.settle(&self.ground.place())
    }

    /// What is reported of it.
    fn report(&mut self) -> ConnectionReport {
        let place = self.ground.place();
        let mut report = support::report("names");
        assert_eq!(self.part.tend(&place), Vec::<Trouble>::new());
        self.part.report(&place, &place.compartment.connections[0], &mut report);
        report
    }

    /// What dig says, in short: answers, or why there are none.
    fn dig(&self, server: &str, question: &[&str]) -> String {
        let at = format!("@{server}");
        let fixed = [at.as_str(), "+noedns", "+tries=1", "+time=2", "+noall", "+comments", "+answer"];
        let output = self.outside.namespace().command("dig").args(fixed).args(question).output();
        let output = output.unwrap_or_else(|error| panic!("dig: {error}; \"make tools\" installs what tests need"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            return format!("no answer: {}", text.lines().last().unwrap_or_default());
        }
        let data = |line: &str| line.split_whitespace().skip(4).collect::<Vec<_>>().join(" ");
        let answers = text.lines().filter(|line| !line.starts_with(';') && !line.is_empty());
        let answers: Vec<String> = answers.map(data).collect();
        let status = text.split("status: ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or("none");
        if answers.is_empty() { status.to_owned() } else { answers.join(" ") }
    }

    /// Waits for an answer.
    fn wait(&self, question: &[&str], answer: &str) {
        let mut last = String::new();
        let found = support::within(std::time::Duration::from_secs(20), || {
            last = self.dig("10.254.254.2", question);
            (last == answer).then_some(())
        });
        assert!(found.is_some(), "{question:?} is {last}, not {answer}\n{}", self.ground.log("dnsmasq"));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.part.remove(&self.ground.place());
    }
}

fn names(names: &[(&str, &[&str])]) -> Vec<DnsName> {
    let name = |(name, addresses): &(&str, &[&str])| DnsName {
        name: (*name).to_owned(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    };
    names.iter().map(name).collect()
}

fn own() -> model::gateway::Dns {
    model::gateway::Dns {
        domain: Some("blue.internal".to_owned()),
        forwarders: vec!["192.0.2.53".parse().unwrap()],
        zones: vec![DnsZone { zone: "corp.example".to_owned(), servers: vec!["192.0.2.54".parse().unwrap()] }],
        names: names(&[("aaa", &["10.0.0.5", "fd00:a::5"]), ("www.shop.example", &["10.0.0.6"])]),
    }
}

#[test]
fn own_names_are_answered_and_the_rest_is_asked_of_those_who_know() {
    let mut stage = Stage::new("dns");
    let elsewhere =
        ["--host-record=www.example,203.0.113.80", "--local=/example/", "--host-record=secret.blue.internal,1.1.1.1"];
    let _internet = Server::start(&stage.outside, "192.0.2.53", &elsewhere);
    // A site's names have private addresses: they are not taken for an attack.
    let _site = Server::start(
        &stage.outside,
        "192.0.2.54",
        &["--host-record=sql.corp.example,10.7.0.9", "--local=/corp.example/"],
    );
    assert_eq!(stage.set(own()), Vec::<Trouble>::new());
    for (question, answer) in [
        (&["aaa.blue.internal"][..], "10.0.0.5"),
        (&["AAA.blue.internal", "AAAA"], "fd00:a::5"),
        (&["aaa"], "10.0.0.5"),
        (&["-x", "10.0.0.5"], "aaa.blue.internal."),
        (&["-x", "fd00:a::5"], "aaa.blue.internal."),
        (&["www.shop.example"], "10.0.0.6"),
        (&["www.example"], "203.0.113.80"),
        (&["www.example", "+tcp"], "203.0.113.80"),
        (&["sql.corp.example"], "10.7.0.9"),
        (&["nobody.corp.example"], "NXDOMAIN"),
        (&["nobody.blue.internal"], "NXDOMAIN"),
        (&["nobody.example"], "NXDOMAIN"),
        // What would be our own is asked of nobody else.
        (&["secret.blue.internal"], "NXDOMAIN"),
        (&["-x", "10.0.0.77"], "NXDOMAIN"),
    ] {
        stage.wait(question, answer);
    }
    assert_eq!(stage.dig("fd00:fe::2", &["aaa.blue.internal"]), "10.0.0.5");
    assert!(stage.dig("192.0.2.10", &["aaa.blue.internal"]).starts_with("no answer"), "it answers to the outside");

    // A name comes and one goes, and what runs goes on.
    let before = stage.ground.pid("dnsmasq");
    let mut dns = own();
    dns.names = names(&[("aaa", &["10.0.0.5"]), ("bbb", &["10.0.0.7"])]);
    assert_eq!(stage.set(dns.clone()), Vec::<Trouble>::new());
    stage.wait(&["bbb.blue.internal"], "10.0.0.7");
    stage.wait(&["www.shop.example"], "NXDOMAIN");
    assert_eq!(stage.ground.pid("dnsmasq"), before);
    // Other servers want a new start, which is soon over.
    dns.zones.clear();
    stage.set(dns);
    stage.wait(&["sql.corp.example"], "NXDOMAIN");
    stage.wait(&["bbb.blue.internal"], "10.0.0.7");
}

#[test]
fn it_comes_back_and_its_state_is_told() {
    let mut stage = Stage::new("back");
    let mut dns = own();
    dns.names.extend(names(&[("not a name", &["10.0.0.9"])]));
    assert_eq!(stage.set(dns.clone()), Vec::<Trouble>::new());
    let reason = stage.report().reason.unwrap();
    assert!(reason.contains("\"not a name\" is no name of the DNS and is left out"), "{reason}");
    stage.wait(&["aaa.blue.internal"], "10.0.0.5");
    kill(stage.ground.pid("dnsmasq"));
    stage.wait(&["aaa.blue.internal"], "10.0.0.5");

    dns.names.pop();
    assert_eq!(stage.set(dns), Vec::<Trouble>::new());
    // None of its servers answers.
    let report = until("its servers are missed", || {
        let report = stage.report();
        report.reason.as_ref().is_some_and(|reason| reason.contains(", 192")).then_some(report)
    });
    assert_eq!((report.state, report.carriers), (ConnectionState::Up, vec!["dnsmasq".to_owned()]));
    let sentence = "servers 192.0.2.53, 192.0.2.54 do not answer; look whether they run, and whether they can be reached from the gateway";
    assert_eq!(report.reason.as_deref(), Some(sentence));
    let _server = Server::start(&stage.outside, "192.0.2.53", &["--local=/example/"]);
    until("one of them is there", || {
        stage.report().reason.filter(|reason| reason.starts_with("server 192.0.2.54 does not answer"))
    });

    let standby = &mut stage.ground.compartment.standby;
    *standby = true;
    stage.part.settle(&stage.ground.place());
    until("it is gone", || stage.dig("10.254.254.2", &["aaa"]).starts_with("no answer").then_some(()));
}
