//! `netvirt port` and `netvirt libvirt hook`, from the command line to the agent and back, in front of a served host in memory.

use std::ffi::OsString;
use std::sync::Arc;

use api::Socket;
use api::memory::MemoryHost;
use cli::{Environment, Roles, Streams, run_with};

const UID: &str = "6f1b7f1e-0000-4000-8000-000000000001";

/// A host with a port, and one command after the other.
struct Host {
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Host {
    fn up() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = Socket::bind(folder.path().join("agent.sock")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(api::server::serve(socket, Arc::new(MemoryHost::new()), std::future::pending()));
        let host = Self { folder, _runtime: runtime };
        host.ok(&format!("create port web1 --device tap0 --mac 52-54-00-12-34-57 --vsid 5001 --uid {UID}"), "");
        host
    }

    /// Exit code, what is printed, what is complained about.
    fn run(&self, line: &str, input: &str) -> (u8, String, String) {
        let roles = Roles {
            agent: |_| Ok(()),
            controller: |_| Ok(()),
            gateway: |_| Ok(()),
            wireguard: |_| Ok(()),
            join: |_| Err("not here".into()),
            leave: |_| Err("not here".into()),
        };
        let (mut input, mut out, mut err) = (input.as_bytes(), Vec::new(), Vec::new());
        let mut streams =
            Streams { input: &mut input, out: &mut out, err: &mut err, reader_gone: |_| false, ask: |_| Ok(None) };
        let socket = self.folder.path().join("agent.sock");
        let environment = Environment { socket: Some(socket.into()), ..Environment::default() };
        let words = std::iter::once("netvirt").chain(line.split_whitespace()).map(OsString::from);
        let code = run_with(words, &environment, roles, &mut streams);
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[track_caller]
    fn ok(&self, line: &str, input: &str) -> String {
        let (code, out, err) = self.run(line, input);
        assert_eq!((code, err.as_str()), (0, ""), "{line}");
        out
    }

    #[track_caller]
    fn refused(&self, line: &str, input: &str) -> String {
        let (code, out, err) = self.run(line, input);
        assert_eq!((code, out.as_str()), (1, ""), "{line}");
        err
    }
}

#[test]
fn a_port_is_plugged_by_any_of_its_names() {
    let host = Host::up();
    assert_eq!(
        host.ok("port plug web1", ""),
        "port \"web1\" is plugged: device tap0, MAC address 52-54-00-12-34-57, MTU 1458\n"
    );
    assert_eq!(host.ok(&format!("port plug {UID} -o name"), ""), "tap0\n");
    let json: serde_json::Value = serde_json::from_str(&host.ok("port plug tap0 -o json", "")).unwrap();
    assert_eq!((&json["uid"], &json["made"]), (&UID.into(), &false.into()));
    assert!(host.ok("port plug tap0 -o yaml", "").contains("device: tap0"));
    assert_eq!(host.ok("port unplug web1", ""), "device tap0 is unplugged\n");
    assert_eq!(host.ok("port unplug web1", ""), "nothing was there to unplug\n");
    assert!(host.refused("port plug web9", "").contains("there is no port web9"));
    assert_eq!(host.run("port unplug", "").0, 2);
    assert_eq!(host.run("port unplug web1 --leftovers", "").0, 2);
    assert_eq!(host.run("port plug web1 --user nosuchuser", "").0, 2);
    let (code, _, error) = host.run("port plug web1 --context admin.yaml", "");
    assert!(
        code == 2 && error.contains("a controller, which --context asks, knows nothing of devices of ports"),
        "{error}"
    );
}

fn domain(mac: &str) -> String {
    format!(
        "<domain type='kvm'><name>web</name><devices><interface type='ethernet'><mac address='{mac}'/><target dev='tap0' \
         managed='no'/><alias name='ua-netvirt-{UID}'/></interface></devices></domain>"
    )
}

#[test]
fn the_hook_plugs_what_a_domain_needs_and_prints_nothing() {
    let host = Host::up();
    let right = domain("52:54:00:12:34:57");
    let plugged = || host.ok("port plug web1 -o json", "").contains("\"made\": false");
    for operation in ["migrate begin -", "prepare begin -", "start begin -", "started begin -"] {
        assert_eq!(host.ok(&format!("libvirt hook web {operation}"), &right), "");
    }
    assert!(plugged());
    assert_eq!(host.ok("libvirt hook web reconnect begin -", &right), "");
    assert_eq!(host.ok("libvirt hook web stopped end -", &right), "");
    assert_eq!(host.ok("libvirt hook web release end migrated", &right), "");
    assert!(!plugged(), "it was unplugged");
    host.ok("port unplug web1", "");
    // What is wrong keeps a domain from being started, and leaves nothing.
    let error = host.refused("libvirt hook web prepare begin -", &domain("52:54:00:12:34:58"));
    assert_eq!(
        error,
        "error: interface tap0 has MAC address 52-54-00-12-34-58, but port web1 has 52-54-00-12-34-57, and drops what comes from \
         another; write <mac address='52:54:00:12:34:57'/>\n"
    );
    assert!(!plugged());
    let stranger = right.replace(UID, "6f1b7f1e-0000-4000-8000-00000000dead");
    assert!(host.refused("libvirt hook web prepare begin -", &stranger).contains("there is no port 6f1b7f1e"));
    assert!(host.refused("libvirt hook web prepare begin -", "<domain>").contains("domain web: the domain is not XML"));
    // One that runs is not ended for it.
    let (code, out, error) = host.run("libvirt hook web reconnect begin -", &stranger);
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(error.starts_with("warning: domain web: there is no port 6f1b7f1e"), "{error}");
}
