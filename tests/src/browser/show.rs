//! A cloud with something of everything, for the console's pages to show.

use super::Browser;
use super::people::{admin_password, user};
use crate::cloud::Cloud;
use crate::tools::must_ping;

/// The VMs: name, host, last byte of the MAC address.
const VMS: [(&str, usize, u8); 3] = [("web", 1, 1), ("db", 2, 2), ("shop", 2, 3)];

/// What is declared of blue beside what [`Cloud::tenant`] does: a second subnet, who may speak to whom, and a way out.
const BLUE: &str = "\
{kind: vm-subnet, tenant: blue, name: back, spec: {vmNetwork: net, prefixes: [10.10.2.0/24, 'fd00:10:2::/64']}}
---
{kind: ip-pool, tenant: blue, name: back, spec: {vmSubnet: back, ranges: [10.10.2.100-10.10.2.130], dnsServers: [10.10.1.100]}}
---
{kind: address-set, tenant: blue, name: offices, spec: {vmNetwork: net, prefixes: [192.0.2.0/24, 198.51.100.0/24]}}
---
{kind: security-group, tenant: blue, name: web, spec: {vmNetwork: net, rules: [{direction: ingress, protocol: tcp, ports: [80, 443]}, {direction: ingress, protocol: icmp}, {direction: ingress, protocol: tcp, ports: [22], remote: {addressSet: offices}}]}}
---
{kind: security-group, tenant: blue, name: db, spec: {vmNetwork: net, rules: [{direction: ingress, protocol: tcp, ports: [5432], remote: {securityGroup: web}}, {direction: ingress, protocol: icmp}]}}
---
{kind: customer-route, tenant: blue, name: lab, spec: {vmNetwork: net, prefix: 10.20.0.0/16, nextHop: 10.10.1.100}}
";

/// The cloud, and who may look at it.
pub struct Show {
    /// The cloud.
    pub cloud: Cloud,
    /// The password of `admin`.
    pub admin: String,
    /// The password of `tim`, whose tenant is blue.
    pub tim: String,
}

impl Show {
    /// Builds it. Blue has the VMs `web` and `db` in two subnets and a way out, red the VM `shop` and a tunnel whose other side
    /// has yet to be set up.
    #[track_caller]
    pub fn up() -> Self {
        let cloud = Cloud::up(&VMS, "");
        cloud.tenant("blue");
        cloud.tenant("red");
        let (web, _) = cloud.vm("blue", "web", 1, 1);
        cloud.fabric.apply(BLUE);
        cloud.fabric.port("db", 2, 2 | 0xA0, "--tenant blue --vm-network net --vm-subnet back");
        crate::fabric::lease(&cloud.node("db"));
        cloud.vm("red", "shop", 2, 3);
        must_ping(&web, "10.10.2.100");
        for (vm, group) in [("web", "web"), ("db", "db")] {
            cloud.op(&format!("set port {vm} --tenant blue --security-group {group}"));
        }
        cloud.connect("blue", "internet", "nat: {forwards: [{protocol: tcp, ports: 443, internal: 10.10.1.100}]}");
        cloud.await_state("blue", "internet", "up");
        let peer = "peerKey: \"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\", remotePrefixes: [10.20.1.0/24]";
        cloud.connect("red", "office", &format!("wireguard: {{{peer}}}"));
        let fabric = &cloud.fabric;
        let (admin, tim) = (admin_password(fabric), user(fabric, "tim", "blue"));
        fabric.op("create user eve --role reader");
        fabric.op("create token deploy --role tenant --tenant blue");
        Self { cloud, admin, tim }
    }

    /// A browser in which the admin has signed in.
    #[track_caller]
    pub fn of_admin(&self) -> Browser {
        let browser = Browser::of(&self.cloud.fabric);
        browser.sign_in("admin", &self.admin);
        browser
    }

    /// A browser in which blue's user has signed in.
    #[track_caller]
    pub fn of_tim(&self) -> Browser {
        let browser = Browser::of(&self.cloud.fabric);
        browser.sign_in("tim", &self.tim);
        browser
    }
}
