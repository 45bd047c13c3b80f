//! Command lines that are understood, and those that are not.

use std::ffi::OsString;

use super::*;

fn line(text: &str) -> Result<Cli, clap::Error> {
    parse(std::iter::once("netvirt").chain(text.split_whitespace()).map(OsString::from))
}

#[test]
fn the_grammar_contradicts_itself_nowhere() {
    command().debug_assert();
}

fn understood(lines: &[&str]) {
    for text in lines {
        line(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn every_verb_of_a_host_is_understood() {
    understood(&[
        "get lookup-record",
        "get lookup-records 5001/10.0.0.5 5001/10.0.0.7 -o wide",
        "get lr -o json",
        "get cr -o yaml --host host1",
        "get pa --watch",
        "get provider-addresses",
        "get pr -w",
        "get ports blue1",
        "get drops",
        "describe port blue1",
        "describe lr",
        "create lookup-record --vsid 5001 --customer-address 10.0.0.5 --mac 06-06-00-00-00-05 --provider-address \
         192.168.4.11 --rule encap --type static --vm-name Blue1",
        "create lr --vsid 5001 --ca 0.0.0.0 --mac 06:06:00:00:00:05 --pa fd00::11 --rule TranslationMethodNat \
         --type GatewayWildcard --dry-run",
        "create customer-route --rdid {11111111-2222-3333-4444-000000005001} --vsid 5001 --prefix 10.0.0.0/24 \
         --next-hop 0.0.0.0 --metric 5",
        "create provider-address --address 192.168.4.11 --interface up0 --prefix-length 24",
        "create provider-route --prefix 192.168.5.0/24 --next-hop 192.168.4.1 --interface up0",
        "create port blue1 --device tap1 --mac 06-06-00-00-00-05 --vsid 5001",
        "create port plain --device tap1 --mac 06-06-00-00-00-05 --vsid 0",
        "set lookup-record 5001/10.0.0.5 --provider-address 192.168.4.22",
        "set port blue1 --vsid 6001 --dry-run",
        "set customer-route 5001/10.0.0.0/24/0.0.0.0 --metric 7",
        "set pa 192.168.4.11 --interface up1",
        "set provider-route 192.168.5.0/24/192.168.4.1 --metric 1",
        "delete port blue1 red1",
        "delete ports --all --dry-run",
        "delete -f host.yaml",
        "delete drops",
        "apply -f a.yaml -f b.yaml --dry-run",
        "apply -f -",
        "trace --from blue1 --to 10.0.0.7",
        "trace --from blue1 --to fd00::7 --tcp --dest-port 443 --source-port 1024 --syn --size 0 --ttl 1",
        "trace --from blue1 --to 10.0.0.7 --udp --source 10.0.0.5 --via 00-00-5E-00-01-01 --dont-fragment",
        "status --socket /run/netvirt/x.sock",
        "agent --config host.yaml --check",
        "agent --state /var/lib/netvirt",
        "get dhcp-scopes",
        "create dhcp-scope --vsid 5001 --prefix 10.0.0.0/24 --dns-server 10.0.0.53 --lease-time 8h",
        "set ds 5001/10.0.0.0/24 --route 192.168.9.0/24=10.0.0.7 --dns-suffix blue.example",
        "create port p --device tap1 --mac 06-06-00-00-00-05 --physical eth0.42 --address 10.0.0.5",
        "create port p --device tap1 --mac 06-06-00-00-00-05 --uid 6f1b7f1e-0000-4000-8000-000000000001",
        "port plug blue1",
        "port plug 6f1b7f1e-0000-4000-8000-000000000001 --device tap1 --queues 4 --user nobody -o json --host host1",
        "port unplug blue1 --force",
        "port unplug --leftovers",
        "port qemu-up tap1",
        "port qemu-down tap1 --socket /run/netvirt/x.sock",
        "libvirt hook web1 prepare begin -",
        "libvirt hook web1 release end - --socket /run/netvirt/x.sock",
        "libvirt attach web1 blue1 --persistent --model e1000 --queues 2 --connect qemu:///system",
        "libvirt detach web1 blue1",
        "completion bash",
        "lab up demo.yaml",
        "lab down demo",
        "lab exec blue1 -- ping -c 3 10.0.0.7",
        "lab exec --lab demo blue1 -- ip -o link",
        "lab status demo -o json",
        "lab status",
        "lab list",
    ]);
}

#[test]
fn every_verb_of_a_controller_is_understood() {
    understood(&[
        "get vm-networks -A -o wide",
        "get vn AAA -t blue -o name",
        "get ports --context /etc/netvirt/context.yaml -w",
        "get audit --limit 10",
        "get tokens",
        "watch vm-subnets --tenant blue",
        "diff -f a.yaml -f -",
        "apply -f a.yaml --wait --dry-run",
        "apply -f a.yaml --wait=2m",
        "create logical-network TDIv2 --network-virtualization --site rack1=192.168.4.0/24@42 --site-host rack1=host15 \
         --provider-pool pa=192.168.4.0/24,192.168.4.100-192.168.4.150",
        "create logical-network Flat --network-virtualization=false",
        "create mac-pool more --range 02-00-00-00-00-00..02-00-00-00-00-FF",
        "create host host15",
        "create tenant blue --ports 100 --vm-networks none",
        "create vm-network AAA --logical-network TDIv2 --isolation nvgre --tenant blue --wait",
        "create vm-subnet test --vm-network AAA --prefix 10.10.0.0/16 --prefix fd00:10::/64 --vsid 5001 --wait=5s",
        "create vm-subnet v42 --vm-network V --vlan 42 --gateway 192.168.42.1",
        "create ip-pool pool --vm-subnet test --range 10.10.1.100-10.10.1.130 --reserved 10.10.1.110 --dns-server \
         10.10.0.53 --dns-suffix blue.example --route 192.168.9.0/24=10.10.1.7 --lease-time 8h",
        "create port test01 --host host16 --device test01 --vm-network AAA --vm-subnet test --ip-pool pool --address \
         10.10.1.100 --addressing learnt --vm-name test01",
        "create vm-network AAA --logical-network TDIv2 --egress-default deny --ingress-default allow",
        "create vm-subnet test --vm-network AAA --prefix 10.10.0.0/16 --security-group web --security-group db",
        "create address-set offices --vm-network AAA --prefix 192.168.0.0/16",
        "create tenant red --security-groups 10 --address-sets none",
        "set port test01 --security-group web",
        "create port test02 --any-host --vm-network AAA",
        "set port test02 --any-host=false",
        "get sg -A",
        "create customer-route out --vm-network AAA --prefix 0.0.0.0/0 --next-hop 10.10.1.100 --metric 5",
        "create token blue-admin --role tenant --tenant blue --expires 30d",
        "create user tim --role tenant --tenant blue --password",
        "create user eve --role reader",
        "set password tim",
        "set password tim --generate",
        "get users -o yaml",
        "delete user tim",
        "create join-token --name host15 --expires 1h",
        "set port test01 --vm-network AAA --wait",
        "set port test01 --host host15 --revision 7",
        "set host host15 --logical-network TDIv2 --uplink eth1",
        "set tenant blue --ports 5",
        "migrate test01 --to host15 --without host17 --without host18 --timeout 1m",
        "migrate test01 --to host15 --qmp a.sock --target-qmp b.sock --via tcp:192.168.4.15:4444",
        "migrate test01 --to host15 --libvirt web1 --uri qemu+tls://{host}/system -- --persistent --unsafe",
        "lab receive test01 host15",
        "lab received test01 --lab tour",
        "delete vm-network AAA BBB -t blue",
        "delete token blue-admin",
        "controller --state /var/lib/c --listen [::]:7443 --agents [::]:7444 --advertise 192.168.4.10 --advertise c",
        "host join --controller 192.168.4.10:7444 --token T --uplink eth0 --name host15 --state /var/lib/x --force",
        "host list",
        "store export",
        "store import x.jsonl",
        "store backup x.redb",
    ]);
}

#[test]
fn wrong_usage_names_the_flag_and_the_value() {
    for (text, words) in [
        ("get vlan", "invalid value 'vlan' for '<KIND>'"),
        ("create lr --vsid 70", "VSID 70 is out of range; choose one of 4096 to 16777214"),
        ("create lr --vsid 5001", "--mac <MAC>"),
        ("create port p --vsid 5001 --physical eth0", "cannot be used with"),
        ("create lr --mac 01-00-5e-00-00-01", "is a multicast address"),
        ("create lr --rule gre", "the rules are encap, nat and none"),
        ("create lr --type learnt", "the types are static, dynamic, l2only and gateway-wildcard"),
        ("create cr --prefix 10.0.0.0", "\"10.0.0.0\" is not a prefix"),
        ("create port --device tap1 --mac 06-06-00-00-00-05", "<NAME>"),
        ("trace --from blue1 --to 10.0.0.7 --ttl 0", "0 is not in 1..=255"),
        ("create vm-network AAA", "--logical-network <NAME>"),
        ("create ip-pool a --vm-subnet test", "--range <FIRST-LAST>"),
        ("create vn AAA --logical-network L --isolation gre", "the isolations are nvgre, vxlan, geneve, vlan and none"),
        ("create ln L --provider-pool pa", "write NAME=PREFIX,RANGE"),
        ("create token a", "--role <ROLE>"),
        ("create user a", "--role <ROLE>"),
        // Nobody types a password as an argument, where others could read it.
        ("create user a --role reader --password secret", "unexpected argument 'secret'"),
        ("set password a secret", "unexpected argument 'secret'"),
        ("create token a --role tenant --expires soon", "write one such as 30s, 8h or 30d"),
        ("apply -f a --wait soon", "unexpected argument 'soon'"),
        ("get ports -A -t blue", "cannot be used with"),
        ("host join --token T --uplink eth0", "--controller <HOST:PORT>"),
        ("status --socket a --context b", "cannot be used with"),
        ("create port a/b --device tap1 --mac 06-06-00-00-00-05", "has '/' in it"),
        ("trace --from blue1", "--to <ADDRESS>"),
        ("trace --from blue1 --to 10.0.0.7 --tcp --udp", "cannot be used with"),
        ("trace --from blue1 --to 10.0.0.7 --syn", "--tcp"),
        ("trace --from blue1 --to blue2", "invalid value 'blue2' for '--to <ADDRESS>'"),
        ("delete", "<KIND>"),
        ("delete port blue1 --all", "cannot be used with"),
        ("delete port -f host.yaml", "cannot be used with"),
        ("apply", "--file <FILE>"),
        ("lab exec blue1", "<COMMAND>"),
        ("lab exec blue1 ping", "unexpected argument 'ping'"),
        ("status --host a --socket b", "cannot be used with"),
        ("migrate test01 --to host15 --qmp a.sock", "--target-qmp <SOCKET>"),
        ("migrate test01 --to host15 --via unix:x", "--qmp <SOCKET>"),
        ("migrate test01 --to host15 --qmp a --target-qmp b --via unix:x --libvirt web1", "cannot be used with"),
        ("migrate test01 --to host15 --uri qemu+ssh://{host}/system", "--libvirt <DOMAIN>"),
        ("migrate test01 --to host15 -- --unsafe", "--libvirt <DOMAIN>"),
        ("migrate test01", "--to <HOST>"),
        ("get lr -o xml", "invalid value 'xml'"),
    ] {
        let error = line(text).map(|_| ()).expect_err(text);
        assert_eq!(error.exit_code(), 2, "{text}");
        assert!(error.to_string().contains(words), "{text}: {error}");
    }
}
