//! The cmdlets of Hyper-V: a VM is known by its port, or by the name that records give it.

mod support;

use model::{Intent, resources_from_yaml};
use powershell::cmdlets::bind;
use powershell::cmdlets::parameter::Takes;
use powershell::hosts::{Hosts, Step};
use powershell::memory::{Host, Memory, interface};
use support::{Bench, test};

/// A host with two VMs, one of them with a record that calls it otherwise.
fn bench() -> Bench {
    let yaml = "{kind: port, name: blue1, spec: {device: tap1, mac: 10-10-10-10-11-05, vsid: 5001}}
---
{kind: port, name: red1, spec: {device: tap2, mac: 20-20-20-20-20-05}}
---
{kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 10-10-10-10-11-05, providerAddress: 192.168.4.11, vmName: Web}}
---
{kind: customer-route, spec: {rdid: '{11111111-2222-3333-4444-000000005001}', vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
";
    let intent = Intent::new(resources_from_yaml(yaml).unwrap()).unwrap();
    let host = Host { intent, interfaces: vec![interface("eth0", 2)] };
    Bench::over(Memory::of([("", host.clone()), ("H2", host)]))
}

#[test]
fn vms_and_their_adapters_are_shown() {
    test(|| {
        let mut bench = bench();
        assert_eq!(
            bench.out("Get-VM"),
            "\nName State   Status\n---- -----   ------\nWeb  Running Operating normally\nred1 Running Operating normally\n\n"
        );
        let table = "\nName IsManagementOs VMName MacAddress   VirtualSubnetId Status IPAddresses\n---- -------------- ------ ----------   --------------- ------ -----------\ntap1 False          Web    101010101105            5001 {Ok}   {10.0.0.5}\n\n";
        assert_eq!(bench.out("Get-VMNetworkAdapter -VMName Web"), table);
        for (script, expected) in [
            ("Get-VMNetworkAdapter blue1 | % VMName", "Web\n"),
            ("Get-VMNetworkAdapter -VMName * | % Name", "tap1\ntap2\n"),
            ("Get-VMNetworkAdapter -All | % Name", "tap1\ntap2\n"),
            ("Get-VMNetworkAdapter * -Name tap2 | % VMName", "red1\n"),
            ("Get-VMNetworkAdapter * -VMNetworkAdapterName 'Network Adapter' | % VMName", "Web\nred1\n"),
            ("Get-VM red1 | Get-VMNetworkAdapter | % MacAddress", "202020202005\n"),
            ("(Get-VM Web).NetworkAdapters.VirtualSubnetId", "5001\n"),
            ("Get-VMNetworkAdapter red1 -ComputerName H2 | % PSComputerName", "H2\n"),
            ("Get-VMNetworkAdapter red1 -CimSession H2 | % PSComputerName", "H2\n"),
            ("'red1' | Get-VM | % Name", "red1\n"),
        ] {
            assert_eq!(bench.out(script), expected, "{script}");
        }
        assert!(bench.complaint("Get-VMNetworkAdapter").contains("it needs -VMName"));
        assert!(bench.complaint("Get-VMNetworkAdapter x -ComputerName H2 -CimSession H2").contains("say the same"));
        assert!(
            bench
                .complaint("Get-VMNetworkAdapter nobody")
                .contains("-VMName \"nobody\": the host has no port of such a VM; it has Web, red1")
        );
    });
}

#[test]
fn adapters_are_set() {
    test(|| {
        let mut bench = bench();
        let passed = bench.out("Set-VMNetworkAdapter -VMName red1 -VirtualSubnetId 6001 -PassThru | % VirtualSubnetId");
        assert_eq!(passed, "6001\n");
        bench.out("Get-VMNetworkAdapter red1 | Set-VMNetworkAdapter -StaticMacAddress 20-20-20-20-20-06");
        bench.out("Set-VMNetworkAdapter -VM (Get-VM red1) -MaximumBandwidth 50000000");
        bench.out("Set-VMNetworkAdapter red1 -VirtualSubnetId 7001 -WhatIf");
        let host = bench.memory.hosts()[""].clone();
        let port = host.intent.ports().find(|port| port.name.as_str() == "red1").unwrap().clone();
        assert_eq!(port.vsid.map(model::Vsid::get), Some(6001));
        assert_eq!(port.mac.to_string(), "20-20-20-20-20-06");
        assert_eq!(port.limits.egress.unwrap().to_string(), "50 Mbit/s");
        bench.out("Set-VMNetworkAdapter red1 -VirtualSubnetId 0 -MaximumBandwidth 0");
        assert_eq!(bench.out("(Get-VMNetworkAdapter red1).VirtualSubnetId"), "0\n");
        // Other parts of a limit stay.
        let limits = |bench: &Bench| {
            let hosts = bench.memory.hosts();
            hosts[""].intent.ports().find(|port| port.name.as_str() == "red1").unwrap().limits.egress
        };
        assert_eq!(limits(&bench), None);
        let limited = model::Port {
            limits: model::Limits { egress: Some("100 packets/s".parse().unwrap()), ingress: None },
            ..port.clone()
        };
        bench.memory.change(None, &[Step::Put(model::Resource::Port(limited))]).unwrap();
        bench.out("Set-VMNetworkAdapter red1 -MaximumBandwidth 50000000");
        assert_eq!(limits(&bench).unwrap().to_string(), "50 Mbit/s, 100 packets/s");
        bench.out("Set-VMNetworkAdapter red1 -MaximumBandwidth 0");
        assert_eq!(limits(&bench).unwrap().to_string(), "100 packets/s");
        for (script, word) in [
            ("Set-VMNetworkAdapter red1", "there is nothing to set"),
            ("Set-VMNetworkAdapter red1 -VirtualSubnetId 5", "-VirtualSubnetId \"5\": VSID 5 is out of range"),
            (
                "Set-VMNetworkAdapter red1 -VirtualSubnetId 99999999",
                "-VirtualSubnetId \"99999999\": it takes a whole number of 0 to 16777214",
            ),
            ("Set-VMNetworkAdapter red1 -StaticMacAddress 01", "-StaticMacAddress \"01\""),
            ("Set-VMNetworkAdapter red1 -DhcpGuard On", "has no parameter -DhcpGuard"),
            (
                "Get-NetAdapter | Set-VMNetworkAdapter -VirtualSubnetId 6001",
                "it takes objects of Get-VMNetworkAdapter or Get-VM",
            ),
        ] {
            let told = bench.complaint(script);
            assert!(told.contains(word), "{script}: {told}");
        }
    });
}

#[test]
fn routing_domains_of_adapters() {
    test(|| {
        let mut bench = bench();
        let add = |rest: &str| {
            format!(
                "Add-VMNetworkAdapterRoutingDomainMapping -VMName red1 -RoutingDomainID '{{11111111-2222-3333-4444-000000005001}}' -RoutingDomainName Blue {rest}"
            )
        };
        bench.out(&add("-IsolationID 5001 -IsolationName Subnet"));
        assert_eq!(
            bench.out("Get-VMNetworkAdapterRoutingDomainMapping -VMName red1"),
            "\nRoutingDomainID : {11111111-2222-3333-4444-000000005001}\nIsolationID     : {5001}\nVMName          : red1\n\n"
        );
        assert!(bench.complaint(&add("-IsolationID 5002")).contains("is in VSID 5001 already"));
        assert!(bench.complaint(&add("-IsolationID 5001, 5002")).contains("a port is in one VM subnet"));
        let other = "Add-VMNetworkAdapterRoutingDomainMapping red1 '{11111111-2222-3333-4444-000000009999}' Red 5001";
        assert!(
            bench
                .complaint(other)
                .contains("VSID 5001 belongs to routing domain {11111111-2222-3333-4444-000000005001}")
        );
        bench.out("Remove-VMNetworkAdapterRoutingDomainMapping -VMName red1 -RoutingDomainID '{11111111-2222-3333-4444-000000005001}'");
        assert_eq!(bench.out("@(Get-VMNetworkAdapterRoutingDomainMapping red1).Count"), "0\n");
    });
}

#[test]
fn the_way_between_two_addresses() {
    test(|| {
        let mut bench = bench();
        let asked = "Test-VMNetworkAdapter -VMName Web -Sender -SenderIPAddress 10.0.0.9 -ReceiverIPAddress 10.0.0.5 -SequenceNumber 100 -NextHopMacAddress 101010101105";
        assert_eq!(bench.out(&format!("({asked}).Reached")), "True\n");
        let back = "Test-VMNetworkAdapter Web -Receiver -SenderIPAddress 10.0.0.5 -ReceiverIPAddress 10.0.0.9 | % { \"$($_.SenderIPAddress) $($_.ReceiverIPAddress) $($_.Reached)\" }";
        assert_eq!(bench.out(back), "10.0.0.5 10.0.0.9 True\n");
        for (script, word) in [
            (
                "Test-VMNetworkAdapter Web -SenderIPAddress 10.0.0.5 -ReceiverIPAddress 10.0.0.7",
                "it needs -Sender or -Receiver",
            ),
            (
                "Test-VMNetworkAdapter * -Sender -SenderIPAddress 10.0.0.5 -ReceiverIPAddress 10.0.0.7",
                "it takes one adapter, and 2 fit",
            ),
            ("Test-VMNetworkAdapter Web -Sender -ReceiverIPAddress 10.0.0.7", "it needs -SenderIPAddress"),
            (
                "Test-VMNetworkAdapter Web -Sender -SenderIPAddress x -ReceiverIPAddress 10.0.0.7",
                "-SenderIPAddress \"x\"",
            ),
        ] {
            let told = bench.complaint(script);
            assert!(told.contains(word), "{script}: {told}");
        }
    });
}

#[test]
fn each_parameter_of_every_cmdlet_refuses_what_it_does_not_take() {
    test(|| {
        let mut tried = 0;
        for cmdlet in powershell::cmdlets::all() {
            for parameter in bind::parameters(cmdlet) {
                let wrong: &[&str] = match parameter.takes {
                    Takes::Integer(..) => &["'abc'", "99999999999999"],
                    Takes::Boolean => &["'yes'"],
                    Takes::Mac | Takes::Address | Takes::Prefix | Takes::Guid | Takes::Word(_) => &["'nonsense'"],
                    Takes::Switch => &["'yes'"],
                    Takes::Script => &["5"],
                    Takes::Table => &["5"],
                    Takes::Text | Takes::Anything => &[],
                };
                for value in wrong {
                    let script = format!("{} -{}:{value}", cmdlet.name, parameter.name);
                    let told = bench().complaint(&script);
                    let shown = value.trim_matches('\'');
                    let named = told.contains(&format!("-{} \"{shown}\"", parameter.name));
                    assert!(named && (told.contains("it takes") || told.contains("write")), "{script}\n{told}");
                    tried += 1;
                }
            }
        }
        assert!(tried > 400, "{tried}");
    });
}
