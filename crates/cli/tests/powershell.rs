//! `netvirt powershell`, `export` and `import` as a person or a script calls them, at an agent in memory.

mod support;

use std::sync::Arc;

use api::Socket;
use api::memory::MemoryHost;
use cli::Environment;
use support::{Ended, run};
use tempfile::TempDir;

/// A host with a port, and a folder for scripts.
struct Desk {
    folder: TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = Socket::bind(folder.path().join("agent.sock")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(api::server::serve(socket, Arc::new(MemoryHost::new()), std::future::pending()));
        let desk = Self { folder, _runtime: runtime };
        let port = "{kind: port, name: blue1, spec: {device: tap1, mac: 06-06-00-00-00-05}}";
        assert_eq!(desk.run(&["apply", "-f", "-"], port).code, 0);
        desk
    }

    fn socket(&self) -> String {
        self.folder.path().join("agent.sock").display().to_string()
    }

    fn run(&self, args: &[&str], input: &str) -> Ended {
        let socket = self.socket();
        let args: Vec<&str> =
            args.iter().copied().take(1).chain(["--socket", &socket]).chain(args.iter().copied().skip(1)).collect();
        run(&args, input, &Environment::empty(), |_| true)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }
}

const RECORD: &str = "New-NetVirtualizationLookupRecord -CustomerAddress 10.0.0.5 -VirtualSubnetID 5001 -MACAddress 060600000005 \
                      -ProviderAddress 192.168.4.11 -Rule TranslationMethodEncap -VMName Blue1";

#[test]
fn commands_files_and_the_standard_input_are_carried_out() {
    let desk = Desk::new();
    let ended = desk.run(&["powershell", "-c", "(Get-NetAdapter up0).ifIndex; (Get-VM).Name"], "");
    assert_eq!((ended.out.as_str(), ended.err.as_str(), ended.code), ("2\nblue1\n", "", 0));
    let script = desk.file("a.ps1", format!("param($Name)\n{RECORD} | % VMName\n\"$Name\"").as_bytes());
    assert_eq!(desk.run(&["powershell", &script, "-Name", "x"], "").out, "Blue1\nx\n");
    // As the editor of Windows PowerShell saves.
    let text: Vec<u8> = "\u{feff}'\u{e9}'\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(desk.run(&["powershell", &desk.file("b.ps1", &text)], "").out, "\u{e9}\n");
    assert_eq!(
        desk.run(&["powershell", "-"], "Get-NetVirtualizationLookupRecord | % CustomerAddress").out,
        "10.0.0.5\n"
    );
    assert_eq!(desk.run(&["powershell", "-c", "exit 7"], "").code, 7);
}

#[test]
fn mistakes_have_places_and_codes() {
    let desk = Desk::new();
    let script = desk.file("c.ps1", b"'ran'\nGet-Nonsense\n");
    let ended = desk.run(&["powershell", &script], "");
    assert!(ended.out.is_empty() && ended.code == 1, "{ended:?}");
    assert!(ended.err.starts_with(&format!("{script}:2:1: there is no cmdlet or function Get-Nonsense")), "{ended:?}");
    let ended = desk.run(&["powershell", "-c", &format!("{RECORD} | Out-Null; {RECORD}; 'on'")], "");
    assert!(ended.code == 1 && ended.out == "on\n" && ended.err.contains("5001/10.0.0.5 exists; "), "{ended:?}");
    let ended = desk.run(&["powershell", "-c", "Get-VM -CimSession nowhere"], "");
    assert!(
        ended
            .err
            .contains("there is no host \"nowhere\": neither /etc/netvirt/hosts.yaml nor /run/netvirt/nowhere.sock"),
        "{ended:?}"
    );
    let ended = desk.run(&["powershell", "-c", "while ($true) { }", "--max-steps", "1000"], "");
    assert!(ended.err.contains("has taken 1000 steps"), "{ended:?}");
    for (args, word) in [
        (&["powershell", "/no/such/file.ps1"][..], "cannot read /no/such/file.ps1"),
        (&["powershell", "-c", "1", "--hosts", "/no/such.yaml"], "cannot read /no/such.yaml"),
    ] {
        let ended = desk.run(args, "");
        assert!(ended.code == 2 && ended.err.contains(word), "{ended:?}");
    }
    let binary = desk.file("d.ps1", &[0xc3, 0x28, 0xff]);
    assert!(desk.run(&["powershell", &binary], "").err.contains("neither UTF-8 nor UTF-16"));
}

#[test]
fn a_hosts_file_says_where_hosts_are() {
    let (desk, other) = (Desk::new(), Desk::new());
    let hosts = desk.file("hosts.yaml", format!("H2: {}\n", other.socket()).as_bytes());
    let script = format!("{RECORD} -CimSession h2 | Out-Null; @(Get-NetVirtualizationLookupRecord).Count");
    assert_eq!(desk.run(&["powershell", "--hosts", &hosts, "-c", &script], "").out, "0\n");
    let there = other.run(&["powershell", "-c", "@(Get-NetVirtualizationLookupRecord).Count"], "");
    assert_eq!(there.out, "1\n");
    let wrong = desk.file("wrong.yaml", b"- H2\n");
    let ended = desk.run(&["powershell", "--hosts", &wrong, "-c", "1"], "");
    assert!(ended.code == 2 && ended.err.contains("write a line NAME: SOCKET or NAME: ssh://HOST"), "{ended:?}");
}

#[test]
fn a_host_is_exported_and_scripts_are_imported() {
    let desk = Desk::new();
    desk.run(&["powershell", "-c", RECORD], "");
    let exported = desk.run(&["export", "powershell"], "").out;
    assert!(
        exported.contains("-CustomerAddress '10.0.0.5' -VirtualSubnetID 5001 -MACAddress '060600000005'"),
        "{exported}"
    );
    let other = Desk::new();
    let script = other.file("export.ps1", exported.as_bytes());
    assert_eq!(other.run(&["powershell", &script], "").code, 0);
    assert_eq!(other.run(&["export", "powershell"], "").out, exported);
    let route = "New-NetVirtualizationCustomerRoute -RoutingDomainID '{11111111-2222-3333-4444-000000005001}' -VirtualSubnetID 5001 \
                 -DestinationPrefix 10.0.0.0/24 -NextHop 0.0.0.0";
    let all = desk.file("all.ps1", format!("{RECORD}\n{route}\n").as_bytes());
    let imported = run(&["import", "powershell", &all], "", &Environment::empty(), |_| true);
    assert!(
        imported.code == 0 && imported.out.contains("kind: vm-subnet") && imported.out.starts_with("# "),
        "{imported:?}"
    );
    let wrong = run(&["import", "powershell", "-"], "Foo", &Environment::empty(), |_| true);
    assert!(wrong.code == 1 && wrong.err.starts_with("-:1:1: there is no cmdlet"), "{wrong:?}");
}
