//! What a guest is told when it is up: the same settings as a VM that is a network namespace.

use std::fmt::Write;

use ipnet::IpNet;

use crate::topology::{Offloads, Vm};

/// IPv6 as `build.rs` sets it in namespaces: addresses are known to be free, and routers are not asked for.
const SYSCTLS: [(&str, &str); 5] = [
    ("accept_dad", "0"),
    ("dad_transmits", "0"),
    ("router_solicitations", "0"),
    ("mldv1_unsolicited_report_interval", "1"),
    ("mldv2_unsolicited_report_interval", "1"),
];

/// The script that makes a guest's interface what the topology says.
pub(super) fn script(vm: &Vm) -> String {
    let mut script = format!("set -e\nhostname {}\n", vm.name);
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a text does not fail.
        let _ = writeln!(script, "{text}");
    };
    for (key, value) in SYSCTLS {
        line(format_args!("echo {value} >/proc/sys/net/ipv6/conf/eth0/{key}"));
    }
    let Offloads { gro, gso, tso, tx } = vm.offloads;
    // The checksum comes first, because TSO needs it.
    for (offload, on) in [("tx", tx), ("tso", tso), ("gso", gso), ("gro", gro)] {
        if let Some(on) = on {
            line(format_args!("ethtool -K eth0 {offload} {}", if on { "on" } else { "off" }));
        }
    }
    if let Some(mtu) = vm.mtu {
        line(format_args!("ip link set eth0 mtu {mtu}"));
    }
    line(format_args!("ip link set eth0 up"));
    for address in &vm.addresses {
        line(format_args!("ip address add {address} dev eth0"));
    }
    for route in &vm.routes {
        line(format_args!("ip route add {} via {} dev eth0", route.to, route.via));
    }
    script
}

/// Addresses, link-local ones left out, and the MTU in what `ip address show dev eth0` prints: that of iproute2 and that
/// of busybox say both in the same words.
pub(super) fn parse_interface(text: &str) -> (Vec<IpNet>, Option<u32>) {
    let mut words = text.split_whitespace();
    let (mut addresses, mut mtu) = (Vec::new(), None);
    while let Some(word) = words.next() {
        match word {
            "mtu" if mtu.is_none() => mtu = words.next().and_then(|number| number.parse().ok()),
            "inet" | "inet6" => addresses.extend(words.next().and_then(|address| address.parse::<IpNet>().ok())),
            _ => {}
        }
    }
    addresses.retain(|net| !matches!(net, IpNet::V6(net) if net.addr().is_unicast_link_local()));
    (addresses, mtu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Topology;

    #[test]
    fn a_guest_is_told_what_the_topology_says() {
        let text = "name: x\nhosts:\n  - {name: h1, addresses: [192.168.4.11/24]}\nvms:\n  - {name: g1, host: h1, mac: \
                    06-06-00-00-00-0A, kind: vm, mtu: 1400, addresses: [10.0.0.5/24, \"fd00::5/64\"], offloads: {tso: \
                    false}, routes: [{to: 0.0.0.0/0, via: 10.0.0.1}]}\n";
        let topology = Topology::from_yaml(text).unwrap();
        let script = script(&topology.vms[0]);
        let lines: Vec<_> = script.lines().collect();
        assert_eq!(lines[..2], ["set -e", "hostname g1"]);
        let rest = [
            "ethtool -K eth0 tso off",
            "ip link set eth0 mtu 1400",
            "ip link set eth0 up",
            "ip address add 10.0.0.5/24 dev eth0",
            "ip address add fd00::5/64 dev eth0",
            "ip route add 0.0.0.0/0 via 10.0.0.1 dev eth0",
        ];
        assert_eq!(lines[lines.len() - rest.len()..], rest);
    }

    #[test]
    fn an_interface_is_read_from_what_ip_prints() {
        let text = "2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1558 qdisc mq state UP group default qlen 1000\n    \
                    link/ether 06:06:00:00:00:05 brd ff:ff:ff:ff:ff:ff\n    inet 10.0.0.5/24 scope global eth0\n       \
                    valid_lft forever preferred_lft forever\n    inet6 fd00::5/64 scope global \n    inet6 \
                    fe80::406:ff:fe00:5/64 scope link \n";
        let addresses = vec!["10.0.0.5/24".parse().unwrap(), "fd00::5/64".parse().unwrap()];
        assert_eq!(parse_interface(text), (addresses, Some(1558)));
        assert_eq!(parse_interface("Device \"eth0\" does not exist."), (Vec::new(), None));
    }
}
