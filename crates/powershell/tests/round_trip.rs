//! What a host is, written as a script and carried out on a fresh host, is the same; for random states.

mod support;

use std::cell::RefCell;
use std::collections::BTreeMap;

use model::{Intent, Port, Resource};
use powershell::export;
use powershell::import::{self, Options, Source};
use powershell::memory::{Host, Memory, interface};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::{Bench, test};

/// What of a host HNV has words for.
fn expressible(intent: &Intent) -> BTreeMap<String, Resource> {
    let without_more = |resource: &Resource| match resource.clone() {
        Resource::Port(port) => {
            let mut plain = Port::new(port.name, port.device, port.mac, port.vsid);
            plain.limits.egress =
                port.limits.egress.and_then(|limit| model::Limit::new(limit.bandwidth, None, None).ok());
            Some(Resource::Port(plain))
        }
        Resource::LookupRecord(mut record) => {
            record.security_groups = Vec::new();
            Some(Resource::LookupRecord(record))
        }
        Resource::CustomerRoute(_) | Resource::ProviderAddress(_) | Resource::ProviderRoute(_) => {
            Some(resource.clone())
        }
        _ => None,
    };
    intent.resources().filter_map(without_more).map(|resource| (resource.key().to_string(), resource)).collect()
}

/// A host with the same VMs, in no network, and the interface that generated hosts have.
fn fresh(intent: &Intent) -> Host {
    let ports =
        intent.ports().map(|port| Resource::Port(Port::new(port.name.clone(), port.device.clone(), port.mac, None)));
    let intent = Intent::new(ports).expect("ports in no network contradict nothing");
    Host { intent, interfaces: vec![interface("lo", 1), interface("eth9", 2), interface(model::generators::UPLINK, 3)] }
}

#[test]
fn an_exported_host_is_made_again() {
    test(|| {
        let seen = RefCell::new(0);
        let mut runner = TestRunner::new(Config { cases: 96, failure_persistence: None, ..Config::default() });
        runner
            .run(&Intent::any(), |intent| {
                let mut from = Memory::of([("", Host { intent: intent.clone(), ..fresh(&intent) })]);
                let script = export::script(&mut from, None).unwrap();
                let mut bench = Bench::over(Memory::of([("", fresh(&intent))]));
                let ran = bench.run(&script);
                prop_assert!(ran.complaints.is_empty() && ran.code == 0, "{:?}\n{script}", ran.complaints);
                let made = bench.memory.hosts()[""].intent.clone();
                *seen.borrow_mut() += made.resources().count();
                prop_assert_eq!(expressible(&made), expressible(&intent), "{}", script);
                Ok(())
            })
            .unwrap();
        assert!(*seen.borrow() > 500, "{seen:?}");
    });
}

#[test]
fn texts_are_quoted_and_what_has_no_words_is_named() {
    test(|| {
        let mut bench = Bench::new();
        bench.out(
            "New-NetVirtualizationLookupRecord -CustomerAddress 10.0.0.5 -VirtualSubnetID 5001 -MACAddress 101010101105 -ProviderAddress \
             192.168.4.11 -Rule TranslationMethodEncap -VMName \"O'Neil `$x `\"q`\"\" -Context '$(exit 9)' | Out-Null",
        );
        let mut memory = bench.memory.clone();
        let script = export::script(&mut memory, None).unwrap();
        let mut other = Bench::new();
        other.out(&script);
        assert_eq!(
            other.out("Get-NetVirtualizationLookupRecord | % { $_.VMName, $_.Context }"),
            "O'Neil $x \"q\"\n$(exit 9)\n"
        );
    });
}

const SCRIPT: &str = "
foreach ($h in 'H1', 'H2') {
    $pa = @{ H1 = '192.168.4.11'; H2 = '192.168.4.22' }
    New-NetVirtualizationProviderAddress -CimSession $h -InterfaceIndex 7 -ProviderAddress $pa[$h] -PrefixLength 24
    New-NetVirtualizationLookupRecord -CimSession $h -CustomerAddress 10.0.0.5 -VirtualSubnetID 5001 -MACAddress 101010101105 -ProviderAddress 192.168.4.11 -Rule TranslationMethodEncap -VMName 'Blue 1' -CustomerID '{00000000-0000-0000-0000-000000000b10}'
    New-NetVirtualizationLookupRecord -CimSession $h -CustomerAddress 10.0.0.7 -VirtualSubnetID 5001 -MACAddress 101010101107 -ProviderAddress 192.168.4.22 -Rule TranslationMethodEncap -VMName Blue2 -CustomerID '{00000000-0000-0000-0000-000000000b10}'
    New-NetVirtualizationLookupRecord -CimSession $h -CustomerAddress 10.0.0.1 -VirtualSubnetID 5001 -MACAddress 101010101101 -ProviderAddress 169.254.254.254 -Rule TranslationMethodEncap
    New-NetVirtualizationCustomerRoute -CimSession $h -RoutingDomainID '{11111111-2222-3333-4444-000000005001}' -VirtualSubnetID 5001 -DestinationPrefix 10.0.0.0/24 -NextHop 0.0.0.0
    New-NetVirtualizationCustomerRoute -CimSession $h -RoutingDomainID '{11111111-2222-3333-4444-000000005001}' -VirtualSubnetID 5001 -DestinationPrefix 0.0.0.0/0 -NextHop 10.0.0.7 -Metric 9
}
";

#[test]
fn scripts_and_outputs_become_a_controllers_resources() {
    test(|| {
        let options = Options { logical_network: "TDIv2".to_owned(), tenant: "default".to_owned() };
        let source = |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
        let imported = import::resources(&[source("net.ps1", SCRIPT)], &options).unwrap();
        assert!(
            imported.remarks.len() == 1 && imported.remarks[0].contains("stand on logical network TDIv2"),
            "{:?}",
            imported.remarks
        );
        let yaml = model::fabric::resources_to_yaml(&imported.resources).unwrap();
        for part in [
            "name: customer-00000000000000000000000000000b10",
            "rdid: \"{11111111-2222-3333-4444-000000005001}\"",
            "vsid: 5001",
            "name: Blue-1-5001",
            "host: H1",
            "mac: 10-10-10-10-11-05",
            "vmName: Blue 1",
            "nextHop: 10.0.0.7",
            "metric: 9",
        ] {
            assert!(yaml.replace("\"10.0.0.7\"", "10.0.0.7").contains(part), "{part} in {yaml}");
        }
        // The outputs of the same hosts say the same.
        let mut sources = Vec::new();
        for host in ["H1", "H2"] {
            let mut bench = Bench::over(Memory::open());
            bench.run(SCRIPT);
            for noun in ["LookupRecord", "CustomerRoute", "ProviderAddress"] {
                let how = if noun == "LookupRecord" { " | ConvertTo-Csv" } else { "" };
                let text = bench.out(&format!("Get-NetVirtualization{noun} -CimSession {host}{how}"));
                sources.push(source(&format!("/tmp/{host}.txt"), &text));
            }
        }
        let again = import::resources(&sources, &options).unwrap();
        assert_eq!(again.resources, imported.resources);
        // What is wrong is told with file and place.
        let wrong = import::resources(&[source("net.ps1", "New-Nonsense")], &options).unwrap_err();
        assert!(wrong[0].starts_with("net.ps1:1:1: there is no cmdlet"), "{wrong:?}");
        let wrong = import::resources(&[source("x.xml", "<Objs><Obj>")], &options).unwrap_err();
        assert!(wrong[0].starts_with("x.xml: this is no XML"), "{wrong:?}");
        let wrong = import::resources(&[source("net.ps1", &format!("{SCRIPT}\nexit 3"))], &options).unwrap_err();
        assert!(wrong[0].starts_with("net.ps1: the script gives up with code 3"), "{wrong:?}");
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is read is read to its end: into a tree, or into mistakes with places.
    #[test]
    fn the_parser_survives_anything(text in "\\PC{0,200}") {
        read(&text);
    }

    /// As above, of what looks like scripts.
    #[test]
    fn the_parser_survives_pieces_of_scripts(pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..40)) {
        read(&pieces.concat());
    }
}

const PIECES: [&str; 46] = [
    "$a",
    " ",
    "\n",
    "=",
    "+",
    "-",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "@{",
    "@(",
    "$(",
    "\"",
    "'",
    "`",
    "|",
    ";",
    ",",
    ".",
    "::",
    "-eq",
    "-f",
    "if",
    "else",
    "foreach",
    " in ",
    "while",
    "function f",
    "param",
    "[int]",
    "1",
    "0x1F",
    "1..3",
    "Get-VM",
    " -Name",
    "*",
    "#",
    "<#",
    "#>",
    "@\"\n",
    "\n\"@",
    "\u{e9}\u{1f600}",
    "$_.a.b",
];

fn read(text: &str) {
    test(|| {
        let bench = Bench::new();
        if let Err(mistakes) = bench.shell.parse(text) {
            assert!(
                !mistakes.is_empty()
                    && mistakes.iter().all(|it| it.at.line >= 1 && it.at.column >= 1 && !it.message.is_empty())
            );
        }
        powershell::syntax::is_open(text);
    });
}
