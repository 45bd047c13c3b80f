//! A gateway's host, from the command line to what a person reads: what is declared, how it is, and no secret.

use std::ffi::OsString;
use std::sync::Arc;

use api::memory::MemoryHost;
use api::{Client, Socket};
use cli::{Environment, Roles, Streams, run_with};

const COMPARTMENT: &str = "\
kind: compartment
name: aaa/net
spec:
  inside:
    device: gw0
    mac: 06-0F-00-00-00-01
    addresses: [10.254.254.2/29, 'fd00:ffff::2/64']
    routers: [10.254.254.1]
    prefixes: [10.0.0.0/24]
  outside: {mac: 06-0F-00-00-01-01, addresses: [203.0.113.10/24]}
  connections:
  - {name: out, nat: {addresses: [203.0.113.10]}, limits: {egress: {bandwidth: 100 Mbit/s}}}
  - name: site
    ipsec: {remote: 198.51.100.1, psk: swordfish, remotePrefixes: [10.1.0.0/16]}
    bgp: {localAs: 65000, neighbors: [{address: 169.254.0.2, remoteAs: 65001, password: xyzzy}]}
---
{kind: gateway, spec: {interface: ext0, addresses: [203.0.113.2/24], nextHops: [203.0.113.1]}}
";

/// A host in memory, and what asks it.
struct Host {
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = Socket::bind(folder.path().join("agent.sock")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(api::server::serve(socket, Arc::new(MemoryHost::new()), std::future::pending()));
        Self { folder, _runtime: runtime }
    }

    /// Output, complaint and exit code of a command.
    fn run(&self, line: &str, input: &str) -> (String, String, u8) {
        let roles = Roles {
            agent: |_| Ok(()),
            controller: |_| Ok(()),
            gateway: |options| Err(format!("for {} in {}", options.socket.display(), options.folder.display()).into()),
            wireguard: |options| Err(format!("for {}", options.device).into()),
            join: |_| Ok("host15".into()),
            leave: |_| Err("this host has not joined".into()),
        };
        let (mut input, mut out, mut err) = (input.as_bytes(), Vec::new(), Vec::new());
        let mut streams =
            Streams { input: &mut input, out: &mut out, err: &mut err, reader_gone: |_| true, ask: |_| Ok(None) };
        let environment =
            Environment { socket: Some(self.folder.path().join("agent.sock").into()), ..Environment::default() };
        let args = std::iter::once("netvirt").chain(line.split_whitespace()).map(OsString::from);
        let code = run_with(args, &environment, roles, &mut streams);
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), code)
    }

    fn ok(&self, line: &str, input: &str) -> String {
        let (out, err, code) = self.run(line, input);
        assert_eq!((err.as_str(), code), ("", 0), "{line}");
        out
    }
}

#[test]
fn what_is_declared_of_a_gateway_is_shown_without_secrets() {
    let host = Host::new();
    assert_eq!(host.ok("apply -f -", COMPARTMENT), "compartment aaa/net created\ngateway host created\n");
    assert_eq!(
        host.ok("get gateways", ""),
        "NAME  INTERFACE  ADDRESSES       STATE\nhost  ext0       203.0.113.2/24  in force\n"
    );
    let table = host.ok("get compartments", "");
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..3], ["aaa/net", "gw0", "10.254.254.2/29,"], "{table}");
    let text = host.ok("describe compartment aaa/net", "");
    for line in [
        "Name:                aaa/net",
        "Inside:",
        "  Device:            gw0",
        "  Addresses:         10.254.254.2/29, fd00:ffff::2/64",
        "Outside:",
        "Connections:         out nat as 203.0.113.10, egress 100 Mbit/s",
        "                     site ipsec with 198.51.100.1, BGP with 169.254.0.2 (AS 65001)",
        "  State:             in force",
    ] {
        assert!(text.lines().any(|is| is == line), "{line:?} in:\n{text}");
    }
    let yaml = host.ok("get compartments -o yaml", "");
    assert!(yaml.contains("psk: (hidden)") && yaml.contains("password: (hidden)"), "{yaml}");
    for shown in
        [&yaml, &text, &table, &host.ok("get compartments -o json", ""), &host.ok("get compartments -o wide", "")]
    {
        assert!(!shown.contains("swordfish") && !shown.contains("xyzzy"), "{shown}");
    }
    // What a difference is shown of has no secret in it either.
    let (out, err, code) = host.run("diff -f -", &COMPARTMENT.replace("203.0.113.10", "203.0.113.11"));
    assert_eq!((err.as_str(), code), ("", 1));
    assert!(out.contains("203.0.113.11") && !out.contains("swordfish"), "{out}");
    let work = Client::new(host.folder.path().join("agent.sock")).unwrap().gateway_work(None).unwrap();
    assert!(serde_json::to_string(&work).unwrap().contains("swordfish"), "a gateway is told the secrets");
    assert_eq!(host.ok("delete compartment aaa/net", ""), "compartment aaa/net deleted\n");
}

#[test]
fn the_gateway_is_run_for_the_agent_that_is_named() {
    let host = Host::new();
    let socket = host.folder.path().join("agent.sock");
    let (_, err, code) = host.run("gateway", "");
    assert_eq!((err, code), (format!("error: for {} in /run/netvirt/gateway\n", socket.display()), 1));
    let (_, err, _) = host.run("gateway --host h1 --folder /tmp/gw", "");
    assert_eq!(err, "error: for /run/netvirt/h1.sock in /tmp/gw\n");
}
