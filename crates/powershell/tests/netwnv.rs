//! The cmdlets of NetWNV and those beside them: what each parameter does, what is wrong with a value, and what objects look like.

mod support;

use powershell::cmdlets::bind;
use powershell::cmdlets::netwnv;
use powershell::cmdlets::parameter::Takes;
use support::{Bench, test};

const RECORD: &str = "New-NetVirtualizationLookupRecord -CustomerAddress 10.0.0.5 -VirtualSubnetID 5001 -MACAddress 101010101105 \
                      -ProviderAddress 192.168.4.11 -Rule TranslationMethodEncap -VMName Blue1";
const ON_LINK: &str = "New-NetVirtualizationCustomerRoute -RoutingDomainID '{11111111-2222-3333-4444-000000005001}' -VirtualSubnetID 5001 \
                       -DestinationPrefix 10.0.0.0/24 -NextHop 0.0.0.0 -Metric 255";

/// A mandatory set of parameters of each New- and Select- cmdlet.
fn given(cmdlet: &str) -> &'static str {
    match cmdlet {
        "New-NetVirtualizationLookupRecord" => {
            "-CustomerAddress 10.0.0.5 -VirtualSubnetID 5001 -MACAddress 101010101105 -ProviderAddress 192.168.4.11 -Rule TranslationMethodEncap"
        }
        "New-NetVirtualizationCustomerRoute" => {
            "-RoutingDomainID '{11111111-2222-3333-4444-000000005001}' -VirtualSubnetID 5001 -DestinationPrefix 10.0.0.0/24 -NextHop 0.0.0.0"
        }
        "New-NetVirtualizationProviderAddress" => "-ProviderAddress 192.168.4.11 -InterfaceIndex 2 -PrefixLength 24",
        "New-NetVirtualizationProviderRoute" => "-InterfaceIndex 2 -DestinationPrefix 0.0.0.0/0 -NextHop 192.168.4.1",
        "Select-NetVirtualizationNextHop" => "-DestinationCustomerAddress 10.0.0.5 -SourceVirtualSubnetID 5001",
        _ => "",
    }
}

#[test]
fn all_nineteen_are_there() {
    let mut names: Vec<&str> = netwnv::all().map(|cmdlet| cmdlet.name).collect();
    names.sort_unstable();
    let mut expected: Vec<String> = ["CustomerRoute", "LookupRecord", "ProviderAddress", "ProviderRoute"]
        .iter()
        .flat_map(|noun| ["Get", "New", "Remove", "Set"].map(|verb| format!("{verb}-NetVirtualization{noun}")))
        .chain(["Get", "Set"].map(|verb| format!("{verb}-NetVirtualizationGlobal")))
        .chain(["Select-NetVirtualizationNextHop".to_owned()])
        .collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn each_parameter_refuses_what_it_does_not_take_with_its_name_the_value_and_what_it_takes() {
    test(|| {
        let mut tried = 0;
        for cmdlet in netwnv::all() {
            for parameter in bind::parameters(cmdlet) {
                let wrong: &[&str] = match parameter.takes {
                    Takes::Integer(4096, _) => &["'abc'", "4095", "16777215", "-1", "1.0e20", "$null", "''"],
                    Takes::Integer(0, most) if most == i64::from(u32::MAX) => &["'abc'", "-1", "4294967296", "$null"],
                    Takes::Integer(..) => &["'abc'", "-1", "99999999999"],
                    Takes::Boolean => &["'yes'", "'False'"],
                    Takes::Mac => {
                        &["'abc'", "10101010110", "'10:10:10:10:11'", "111010101105", "000000000000", "$null"]
                    }
                    Takes::Address => &["'10.0.0'", "'10.0.0.256'", "'fd00::g'", "''", "$null"],
                    Takes::Prefix => &["'10.0.0.0/33'", "10.0.0.0", "'x/24'", "'fd00::/129'", "$null"],
                    Takes::Guid => &["'{123}'", "5", "$null"],
                    Takes::Word(_) => &["'Nonsense'", "99", "$null"],
                    Takes::Switch => &["'yes'", "5"],
                    Takes::Text | Takes::Script | Takes::Table | Takes::Anything => &[],
                };
                for value in wrong {
                    let given: Vec<&str> =
                        given(cmdlet.name).split(" -").map(|it| it.trim_start_matches('-')).collect();
                    let others = given.iter().filter(|it| !it.is_empty() && !it.starts_with(parameter.name));
                    let others: Vec<String> = others.map(|it| format!("-{it}")).collect();
                    let script = format!("{} -{}:{value} {}", cmdlet.name, parameter.name, others.join(" "));
                    let told = Bench::new().complaint(&script);
                    let shown = value.trim_matches('\'');
                    let names_value = *value == "$null"
                        || told.contains(&format!("\"{shown}\""))
                        || told.contains("\"1E+20\"")
                        || *value == "1.0e20";
                    assert!(told.contains(&format!("-{}", parameter.name)) && names_value, "{script}\n{told}");
                    assert!(
                        told.contains("it takes") || told.contains("write") || told.contains("give"),
                        "{script}\n{told}"
                    );
                    tried += 1;
                }
            }
        }
        assert!(tried > 300, "{tried}");
    });
}

#[test]
fn each_mandatory_parameter_is_asked_for() {
    test(|| {
        for cmdlet in netwnv::all() {
            for parameter in bind::parameters(cmdlet).filter(|it| it.mandatory) {
                let given: Vec<&str> = given(cmdlet.name).split(" -").map(|it| it.trim_start_matches('-')).collect();
                let others: Vec<String> =
                    given.iter().filter(|it| !it.starts_with(parameter.name)).map(|it| format!("-{it}")).collect();
                let script = format!("{} {}", cmdlet.name, others.join(" "));
                let told = Bench::new().complaint(&script);
                assert!(told.contains(&format!("it needs -{} (", parameter.name)), "{script}\n{told}");
            }
        }
    });
}

#[test]
fn lookup_records_are_made_shown_changed_and_removed() {
    test(|| {
        let mut bench = Bench::new();
        let shown = "
CustomerAddress : 10.0.0.5
VirtualSubnetID : 5001
MACAddress      : 101010101105
ProviderAddress : 192.168.4.11
CustomerID      : {00000000-0000-0000-0000-000000000000}
Context         : 
Rule            : TranslationMethodEncap
VMName          : Blue1
UseVmMACAddress : False
Type            : Static
Unusable        : False
Unsynchronized  : False

";
        assert_eq!(bench.out(RECORD), shown);
        assert_eq!(bench.out("Get-NetVirtualizationLookupRecord"), shown);
        assert_eq!(bench.out(RECORD_TWICE), "done\n");
        // All that can be set, by filters and by the pipeline.
        bench.out(
            "Set-NetVirtualizationLookupRecord -CustomerAddress 10.0.0.5 -ProviderAddress 192.168.4.22 -VMName Blue9",
        );
        bench.out(
            "Get-NetVirtualizationLookupRecord -VirtualSubnetID 5001 | Set-NetVirtualizationLookupRecord -Context 'Subnet 1' \
             -CustomerID '{00000000-0000-0000-0000-00000000123a}' -Rule TranslationMethodNat -UseVmMACAddress $false",
        );
        let fields = "Get-NetVirtualizationLookupRecord | % { $_.ProviderAddress, $_.VMName, $_.Context, $_.CustomerID, $_.Rule -join ' ' }";
        assert_eq!(
            bench.out(fields),
            "192.168.4.22 Blue9 Subnet 1 {00000000-0000-0000-0000-00000000123A} TranslationMethodNat\n"
        );
        let passed = bench.out("Set-NetVirtualizationLookupRecord -VMName x -PassThru | % VMName");
        assert_eq!(passed, "x\n");
        let told = bench.complaint("Set-NetVirtualizationLookupRecord -UseVmMACAddress $true");
        assert!(told.contains("-UseVmMACAddress \"True\"") && told.contains("it takes $false"), "{told}");
        assert!(
            bench
                .complaint("Set-NetVirtualizationLookupRecord -CustomerAddress 10.0.0.5")
                .contains("there is nothing to set")
        );
    });
}

#[test]
fn lookup_records_are_found_by_each_filter() {
    test(|| {
        let mut bench = Bench::new();
        bench.out(&format!("{RECORD} | Out-Null"));
        bench.out(
            "Set-NetVirtualizationLookupRecord -ProviderAddress 192.168.4.22 -VMName x -Context 'Subnet 1' -Rule TranslationMethodNat \
             -CustomerID '{00000000-0000-0000-0000-00000000123a}'",
        );
        bench.out(
            "New-NetVirtualizationLookupRecord -CustomerAddress fd00::7 -VirtualSubnetID 6001 -MACAddress 08-08-00-00-00-07 \
             -ProviderAddress fd00:4::22 -Rule 1 -VMName Red2 -Type Static | Out-Null",
        );
        for (filter, count) in [
            ("-CustomerAddress fd00::7", 1),
            ("-CustomerAddress 10.*", 1),
            ("-CustomerAddress 10.0.0.5, fd00::7", 2),
            ("-MACAddress 080800000007", 1),
            ("-MACAddress 08:08:00:00:00:07", 1),
            ("-VirtualSubnetID 5001, 6001", 2),
            ("-ProviderAddress 192.168.4.22", 1),
            ("-CustomerID '{00000000-0000-0000-0000-00000000123A}'", 1),
            ("-Context 'sub*'", 1),
            ("-Rule TranslationMethodEncap", 1),
            ("-Rule 0", 1),
            ("-VMName 'RED2'", 1),
            ("-VMName '[xr]*'", 2),
            ("-UseVmMACAddress $false", 2),
            ("-Type Static", 2),
            ("-Unusable $false", 2),
            ("-Unsynchronized $false", 2),
            ("-VirtualSubnetID 6001 -VMName r*", 1),
            ("-VMName nobody*", 0),
        ] {
            let script = format!("@(Get-NetVirtualizationLookupRecord {filter}).Count");
            assert_eq!(bench.out(&script), format!("{count}\n"), "{filter}");
        }
        let told = bench.complaint("Get-NetVirtualizationLookupRecord -VirtualSubnetID 7001");
        assert!(
            told.contains("No MSFT_NetVirtualizationLookupRecordSettingData objects found with property 'VirtualSubnetID' equal to '7001'.  Verify"),
            "{told}"
        );
        assert_eq!(
            bench.out("Remove-NetVirtualizationLookupRecord -VMName Red2 -PassThru | % CustomerAddress"),
            "fd00::7\n"
        );
        assert_eq!(bench.out("Remove-NetVirtualizationLookupRecord; Get-NetVirtualizationLookupRecord"), "");
    });
}

const RECORD_TWICE: &str = "try { New-NetVirtualizationLookupRecord -CustomerAddress 10.0.0.5 -VirtualSubnetID 5001 -MACAddress 101010101105 \
                            -ProviderAddress 192.168.4.11 -Rule TranslationMethodEncap -ErrorAction Stop } catch { 'done' }";

#[test]
fn types_of_records() {
    test(|| {
        let mut bench = Bench::new();
        let new = |rest: &str| {
            format!(
                "New-NetVirtualizationLookupRecord -VirtualSubnetID 5001 -ProviderAddress 192.168.4.11 -Rule TranslationMethodEncap {rest}"
            )
        };
        let kind = |bench: &mut Bench, rest: &str| bench.out(&format!("({}).Type", new(rest)));
        assert_eq!(
            kind(&mut bench, "-CustomerAddress 0.0.0.0 -MACAddress 101010101101 -Type GatewayWildcard"),
            "GatewayWildcard\n"
        );
        assert_eq!(kind(&mut bench, "-CustomerAddress '::' -MACAddress 101010101102"), "GatewayWildcard\n");
        assert_eq!(kind(&mut bench, "-CustomerAddress 0.0.0.0 -MACAddress 101010101103 -Type L2Only"), "L2Only\n");
        assert_eq!(kind(&mut bench, "-CustomerAddress 10.0.0.9 -MACAddress 101010101104 -Type Dynamic"), "Dynamic\n");
        let told = bench.complaint(&new("-CustomerAddress 10.0.0.8 -MACAddress 101010101105 -Type L2Only"));
        assert!(told.contains("-CustomerAddress \"10.0.0.8\"") && told.contains("write 0.0.0.0 or ::"), "{told}");
        // What the model refuses is the model's sentence.
        let told = bench.complaint(&new("-CustomerAddress 224.0.0.1 -MACAddress 101010101105"));
        assert!(told.contains("multicast"), "{told}");
        // The gateway is noted as the scripts of the TechNet gallery do.
        bench.out(&format!("{ON_LINK} | Out-Null"));
        bench.out("New-NetVirtualizationLookupRecord -CustomerAddress 10.0.0.1 -VirtualSubnetID 5001 -MACAddress 101010101106 -ProviderAddress 169.254.254.254 -Rule TranslationMethodEncap | Out-Null");
    });
}

#[test]
fn customer_routes() {
    test(|| {
        let mut bench = Bench::new();
        let shown = "
RoutingDomainID   : {11111111-2222-3333-4444-000000005001}
VirtualSubnetID   : 5001
DestinationPrefix : 10.0.0.0/24
NextHop           : 0.0.0.0
Metric            : 255

";
        assert_eq!(bench.out(ON_LINK), shown);
        bench.out(
            "New-NetVirtualizationCustomerRoute -RoutingDomainID 11111111-2222-3333-4444-000000005001 -VirtualSubnetID 5001 \
             -DestinationPrefix 0.0.0.0/0 -NextHop 10.0.0.9 | Out-Null",
        );
        for (filter, count) in [
            ("", 2),
            ("-RoutingDomainID '{11111111-2222-3333-4444-000000005001}'", 2),
            ("-VirtualSubnetID 5001", 2),
            ("-DestinationPrefix 0.0.0.0/0", 1),
            ("-DestinationPrefix 10.*", 1),
            ("-NextHop 10.0.0.9", 1),
            ("-Metric 255, 0", 2),
            ("-Metric 255", 1),
        ] {
            let script = format!("@(Get-NetVirtualizationCustomerRoute {filter}).Count");
            assert_eq!(bench.out(&script), format!("{count}\n"), "{filter}");
        }
        bench.out("Set-NetVirtualizationCustomerRoute -DestinationPrefix 0.0.0.0/0 -Metric 3");
        bench.out("Get-NetVirtualizationCustomerRoute -NextHop 0.0.0.0 | Set-NetVirtualizationCustomerRoute -Metric 4");
        assert_eq!(bench.out("Get-NetVirtualizationCustomerRoute | sort Metric | % Metric"), "3\n4\n");
        let told = bench.complaint("Set-NetVirtualizationCustomerRoute -NextHop 10.0.0.9");
        assert!(told.contains("there is nothing to set; give -Metric"), "{told}");
        bench.out("Get-NetVirtualizationCustomerRoute -NextHop 10.0.0.9 | Remove-NetVirtualizationCustomerRoute");
        assert_eq!(bench.out("@(Get-NetVirtualizationCustomerRoute).Count; Remove-NetVirtualizationCustomerRoute; @(Get-NetVirtualizationCustomerRoute).Count"), "1\n0\n");
    });
}

#[test]
fn provider_addresses_and_routes() {
    test(|| {
        let mut bench = Bench::new();
        let shown = "
ProviderAddress  : 192.168.4.11
InterfaceIndex   : 2
PrefixLength     : 24
VlanID           : 0
AddressState     : Preferred
MACAddress       : 020000000002
ManagedByCluster : False

";
        let new = "$nic = Get-NetAdapter eth0\nNew-NetVirtualizationProviderAddress -InterfaceIndex $nic.ifIndex -ProviderAddress 192.168.4.11 -PrefixLength 24";
        assert_eq!(bench.out(new), shown);
        for (filter, count) in [
            ("-ProviderAddress 192.168.4.11", 1),
            ("-InterfaceIndex 2", 1),
            ("-PrefixLength 24", 1),
            ("-VlanID 0", 1),
            ("-AddressState Preferred", 1),
            ("-AddressState 4", 1),
            ("-MACAddress 020000000002", 1),
            ("-ManagedByCluster $false", 1),
            ("-ProviderAddress 10.*", 0),
        ] {
            let script = format!("@(Get-NetVirtualizationProviderAddress {filter}).Count");
            assert_eq!(bench.out(&script), format!("{count}\n"), "{filter}");
        }
        bench.out("Set-NetVirtualizationProviderAddress -InterfaceIndex 2 -PrefixLength 25");
        assert_eq!(bench.out("Get-NetVirtualizationProviderAddress | % PrefixLength"), "25\n");
        for (script, word) in [
            (
                "New-NetVirtualizationProviderAddress -InterfaceIndex 9 -ProviderAddress 10.1.1.1 -PrefixLength 24",
                "-InterfaceIndex \"9\": the host has no such interface; it has 1 (lo), 2 (eth0), 3 (eth1)",
            ),
            (
                "New-NetVirtualizationProviderAddress -InterfaceIndex 2 -ProviderAddress 10.1.1.1 -PrefixLength 33",
                "-PrefixLength \"33\": 10.1.1.1 is IPv4; it takes 1 to 32",
            ),
            (
                "New-NetVirtualizationProviderAddress -InterfaceIndex 2 -ProviderAddress 10.1.1.1 -PrefixLength 24 -VlanID 103",
                "-VlanID \"103\": eth0 has no interface for this VLAN",
            ),
            (
                "New-NetVirtualizationProviderAddress -InterfaceIndex 2 -ProviderAddress 10.1.1.1 -PrefixLength 24 -MACAddress 020000000003",
                "-MACAddress \"020000000003\": eth0 has the MAC address 020000000002",
            ),
        ] {
            let told = bench.complaint(script);
            assert!(told.contains(word), "{told}");
        }
    });
}

#[test]
fn provider_routes() {
    test(|| {
        let mut bench = Bench::new();
        let route = "New-NetVirtualizationProviderRoute -InterfaceIndex 2 -DestinationPrefix 0.0.0.0/0 -NextHop 192.168.4.1 -Metric 5";
        assert_eq!(
            bench.out(route),
            "\nInterfaceIndex    : 2\nDestinationPrefix : 0.0.0.0/0\nNextHop           : 192.168.4.1\nMetric            : 5\n\n"
        );
        bench.out("Set-NetVirtualizationProviderRoute -DestinationPrefix 0.0.0.0/0 -InterfaceIndex 2 -NextHop 192.168.4.1 -Metric 23");
        for (filter, count) in [
            ("-InterfaceIndex 2", 1),
            ("-Metric 23", 1),
            ("-NextHop 192.168.4.1", 1),
            ("-DestinationPrefix 0.0.0.0/0", 1),
        ] {
            assert_eq!(
                bench.out(&format!("@(Get-NetVirtualizationProviderRoute {filter}).Count")),
                format!("{count}\n"),
                "{filter}"
            );
        }
        bench.out("Remove-NetVirtualizationProviderRoute; Remove-NetVirtualizationProviderAddress");
        assert_eq!(bench.out("Get-NetVirtualizationProviderAddress; Get-NetVirtualizationProviderRoute"), "");
    });
}

#[test]
fn what_if_changes_nothing_and_confirm_asks_nobody_here() {
    test(|| {
        let mut bench = Bench::new();
        let told = bench.out(&format!("{RECORD} -WhatIf"));
        assert_eq!(
            told,
            "What if: Performing the operation \"New-NetVirtualizationLookupRecord\" on target \"5001/10.0.0.5\".\n"
        );
        assert_eq!(bench.out("Get-NetVirtualizationLookupRecord"), "");
        bench.out(&format!("{RECORD} -Confirm:$false | Out-Null"));
        assert!(bench.complaint("Remove-NetVirtualizationLookupRecord -Confirm").contains("there is no terminal"));
        bench.out("Remove-NetVirtualizationLookupRecord -WhatIf; Set-NetVirtualizationLookupRecord -VMName y -WhatIf");
        assert_eq!(bench.out("Get-NetVirtualizationLookupRecord | % VMName"), "Blue1\n");
        let told = bench.complaint("Get-NetVirtualizationLookupRecord -AsJob");
        assert!(told.contains("-AsJob is not supported"), "{told}");
    });
}

#[test]
fn sessions_send_to_other_hosts() {
    test(|| {
        let mut bench = Bench::new();
        bench.out(&format!("foreach ($h in 'H1', 'H2') {{ {RECORD} -CimSession $h | Out-Null }}"));
        assert_eq!(bench.out("@(Get-NetVirtualizationLookupRecord).Count"), "0\n");
        assert_eq!(
            bench.out("Get-NetVirtualizationLookupRecord -CimSession H1, H2 -ThrottleLimit 4 | % PSComputerName"),
            "H1\nH2\n"
        );
        // What comes from a host goes back to it.
        bench.out("Get-NetVirtualizationLookupRecord -CimSession H2 | Set-NetVirtualizationLookupRecord -VMName only2");
        assert_eq!(bench.out("Get-NetVirtualizationLookupRecord -CimSession H1, H2 | % VMName"), "Blue1\nonly2\n");
        bench.out("$s = New-CimSession -ComputerName H1; Remove-NetVirtualizationLookupRecord -CimSession $s; Remove-CimSession $s");
        assert_eq!(bench.out("@(Get-NetVirtualizationLookupRecord -CimSession H1, H2).Count"), "1\n");
        let told = bench.complaint("Get-NetVirtualizationLookupRecord -CimSession H9");
        assert!(told.contains("there is no host \"H9\""), "{told}");
        assert_eq!(bench.out("@(Get-NetVirtualizationLookupRecord -CimSession localhost).Count"), "0\n");
    });
}

#[test]
fn the_global_setting_and_the_next_hop() {
    test(|| {
        let mut bench = Bench::new();
        assert_eq!(bench.out("Get-NetVirtualizationGlobal"), "\nUseExternalRouter : False\n\n");
        assert_eq!(
            bench.out("Set-NetVirtualizationGlobal -UseExternalRouter $false -PassThru | % UseExternalRouter"),
            "False\n"
        );
        assert_eq!(bench.out("@(Get-NetVirtualizationGlobal -UseExternalRouter $true).Count"), "0\n");
        let told = bench.complaint("Set-NetVirtualizationGlobal");
        assert!(told.contains("there is nothing to set; give -UseExternalRouter"), "{told}");
        bench.out(&format!("{RECORD} | Out-Null; {ON_LINK} | Out-Null"));
        bench.out(
            "New-NetVirtualizationLookupRecord -CustomerAddress 10.0.0.7 -VirtualSubnetID 5001 -MACAddress 101010101107 -ProviderAddress \
             192.168.4.22 -Rule TranslationMethodEncap | Out-Null",
        );
        let shown = "
SourceCustomerAddress      : 10.0.0.5
DestinationCustomerAddress : 10.0.0.7
SourceVirtualSubnetID      : 5001
NextHopAddress             : 10.0.0.7
SourceMACAddress           : 101010101105
NextHopMACAddress          : 101010101107

";
        assert_eq!(bench.out("Select-NetVirtualizationNextHop 10.0.0.5 10.0.0.7 5001"), shown);
        bench.out(
            "New-NetVirtualizationCustomerRoute -RoutingDomainID '{11111111-2222-3333-4444-000000005001}' -VirtualSubnetID 5002 \
             -DestinationPrefix 10.0.1.0/24 -NextHop 0.0.0.0 | Out-Null",
        );
        let hop = "(Select-NetVirtualizationNextHop -DestinationCustomerAddress 10.0.1.9 -SourceVirtualSubnetID 5001).NextHopAddress";
        assert_eq!(bench.out(hop), "10.0.0.1\n");
        // A router in the place of the hosts has the gateway's address.
        let router = "New-NetVirtualizationLookupRecord -CustomerAddress 10.0.0.1 -VirtualSubnetID 5001 -MACAddress 101010101101 \
                      -ProviderAddress 192.168.4.22 -Rule TranslationMethodEncap | Out-Null";
        assert!(bench.complaint(router).contains("10.0.0.1"), "the hosts are the gateway");
        bench.out(&format!(
            "Get-NetVirtualizationGlobal | Set-NetVirtualizationGlobal -UseExternalRouter $true; {router}"
        ));
        assert_eq!(bench.out("(Get-NetVirtualizationGlobal -UseExternalRouter $true).UseExternalRouter"), "True\n");
        let mac = hop.replace("NextHopAddress", "NextHopMACAddress");
        assert_eq!(bench.out(&mac), "101010101101\n");
        let told = bench.complaint("Set-NetVirtualizationGlobal -UseExternalRouter $false");
        assert!(told.contains("5001/10.0.0.1"), "the record stands in the way: {told}");
        bench.out("Remove-NetVirtualizationLookupRecord -CustomerAddress 10.0.0.1; Set-NetVirtualizationGlobal -UseExternalRouter $false");
        for (to, word) in [("10.0.0.99", "neither a lookup record"), ("172.16.0.1", "no customer route")] {
            let told = bench.complaint(&format!(
                "Select-NetVirtualizationNextHop -DestinationCustomerAddress {to} -SourceVirtualSubnetID 5001"
            ));
            assert!(told.contains(word) && told.contains(to), "{told}");
        }
    });
}

#[test]
fn adapters_of_hosts() {
    test(|| {
        let mut bench = Bench::new();
        let table = bench.out("Get-NetAdapter eth*");
        assert!(
            table.starts_with("\nName InterfaceDescription ifIndex Status MacAddress        MtuSize\n---- "),
            "{table}"
        );
        assert_eq!(
            bench.out("(Get-NetAdapter -Name eth1).InterfaceIndex; (Get-NetAdapter -ifIndex 2).Name"),
            "3\neth0\n"
        );
        assert!(
            bench
                .complaint("Get-NetAdapter eth7")
                .contains("-Name \"eth7\": the host has no such interface; it has lo, eth0, eth1")
        );
        assert_eq!(bench.out("Enable-NetAdapterBinding eth0 -ComponentID ms_netwnv; Get-NetAdapter eth0 | Enable-NetAdapterBinding -ComponentID ms_netwnv -PassThru | % Enabled"), "True\n");
        assert_eq!(bench.out("(Get-NetAdapterBinding eth0 -ComponentID ms_netwnv).Enabled"), "False\n");
        bench.out(&format!("{RECORD} | Out-Null; New-NetVirtualizationProviderAddress -InterfaceIndex 2 -ProviderAddress 192.168.4.11 -PrefixLength 24 | Out-Null"));
        assert_eq!(bench.out("(Get-NetAdapterBinding eth0).Enabled"), "True\n");
        bench.out("Disable-NetAdapterBinding eth0 -ComponentID ms_netwnv");
        assert_eq!(
            bench.out("@(Get-NetVirtualizationLookupRecord).Count; @(Get-NetVirtualizationProviderAddress).Count"),
            "0\n0\n"
        );
        let told = bench.complaint("Enable-NetAdapterBinding eth0 -ComponentID ms_tcpip");
        assert!(told.contains("-ComponentID \"ms_tcpip\": the component that is here is ms_netwnv"), "{told}");
    });
}
