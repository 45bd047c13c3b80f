//! Stories of gateways: a lab with a controller, two hosts for VMs (H1, H2), two that are a gateway (H3, H4), a router with a
//! server behind it outside, and companies' sites.

use std::time::Duration;

use lab::{Node, Output};
use serde_json::Value;

use crate::fabric::{Fabric, Lease, lease};
use crate::stage::eventually;

/// How long a connection may take to be as it is to be.
const LIMIT: Duration = Duration::from_secs(20);

/// The hosts that are the gateway.
const HOSTS: &str = "\
\x20 - {name: H3, addresses: [192.168.4.17/24], joined: true, outside: [], gateway: true}
\x20 - {name: H4, addresses: [192.168.4.18/24], joined: true, outside: [], gateway: true}
";

/// What lies outside of any cloud here.
const OUTSIDE: &str = "
outside:
  router:
    addresses: [203.0.113.1/24, \"2001:db8::1/64\"]
    lan: [198.51.100.1/24, \"2001:db8:1::1/64\"]
    servers: [{name: www, addresses: [198.51.100.7/24, \"2001:db8:1::7/64\"]}]
";

/// In the last byte of the VMs' MAC addresses: what the controller gives to compartments begins with 0.
const OWN: u8 = 0xA0;

/// Where the server outside greets.
pub const WWW: &str = "198.51.100.7:80";

/// The cloud; its gateway is named `edge`.
pub struct Cloud {
    /// Controller and lab.
    pub fabric: Fabric,
}

impl Cloud {
    /// A cloud with these VMs: name, host (1 or 2), last byte of the MAC address; beside it sites, each as the YAML of a list's
    /// entry. The gateway gives out 203.0.113.16 to 203.0.113.31.
    #[track_caller]
    pub fn up(vms: &[(&str, usize, u8)], sites: &str) -> Self {
        Self::up_with(vms, sites, "203.0.113.16-203.0.113.31")
    }

    /// The same with another range of addresses that the gateway gives out.
    #[track_caller]
    pub fn up_with(vms: &[(&str, usize, u8)], sites: &str, range: &str) -> Self {
        let sites = if sites.is_empty() { String::new() } else { format!("sites:\n{sites}") };
        let vms: Vec<_> = vms.iter().map(|(name, host, mac)| (*name, *host, mac | OWN)).collect();
        let fabric = Fabric::up_of(&vms, HOSTS, &format!("{OUTSIDE}{sites}"));
        let cloud = Self { fabric };
        for host in [3, 4] {
            cloud.op(&format!("set host {} --logical-network TDIv2", cloud.host_name(host)));
        }
        let hosts: Vec<_> = [(3, "203.0.113.2/24"), (4, "203.0.113.3/24")]
            .map(|(host, address)| {
                format!("{{host: {}, interface: eth1, addresses: [{address}]}}", cloud.host_name(host))
            })
            .into();
        cloud.fabric.apply(&format!(
            "kind: gateway\nname: edge\nspec:\n  logicalNetwork: TDIv2\n  hosts: [{}]\n  networks:\n\
             \x20   - {{prefix: 203.0.113.0/24, nextHop: 203.0.113.1, ranges: [{range}]}}\n\
             \x20   - {{prefix: \"2001:db8::/64\", nextHop: \"2001:db8::1\", ranges: [\"2001:db8::16-2001:db8::31\"]}}\n",
            hosts.join(", ")
        ));
        cloud
    }

    /// What `netvirt ARGUMENTS` prints at the controller; it must end well.
    #[track_caller]
    pub fn op(&self, arguments: &str) -> String {
        self.fabric.op(arguments)
    }

    /// The name of host 1, 2 ...
    pub fn host_name(&self, number: usize) -> String {
        self.fabric.stage.host_name(number)
    }

    /// Any node.
    pub fn node(&self, name: &str) -> Node {
        self.fabric.stage.lab.node(name).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A tenant with one VM network `net` of the subnet 10.10.1.0/24, whose pool begins with 10.10.1.100.
    #[track_caller]
    pub fn tenant(&self, tenant: &str) {
        self.op(&format!("create tenant {tenant}"));
        self.op(&format!("create vm-network net --tenant {tenant} --logical-network TDIv2"));
        self.op(&format!("create vm-subnet subnet --tenant {tenant} --vm-network net --prefix 10.10.1.0/24"));
        self.op(&format!("create ip-pool pool --tenant {tenant} --vm-subnet subnet --range 10.10.1.100-10.10.1.130"));
    }

    /// Puts a VM of the lab into its tenant's network, and has it ask for its address.
    #[track_caller]
    pub fn vm(&self, tenant: &str, vm: &str, host: usize, mac: u8) -> (Node, Lease) {
        self.fabric.port(vm, host, mac | OWN, &format!("--tenant {tenant} --vm-network net"));
        let node = self.fabric.vm(vm);
        let lease = lease(&node);
        (node, lease)
    }

    /// Declares a gateway connection of a tenant's network; `what` is the YAML of fields of its spec.
    #[track_caller]
    pub fn connect(&self, tenant: &str, name: &str, what: &str) {
        self.try_connect(tenant, name, what).ok().unwrap_or_else(|error| panic!("{error}"));
    }

    /// The same, whatever comes of it.
    #[track_caller]
    pub fn try_connect(&self, tenant: &str, name: &str, what: &str) -> Output {
        self.fabric.try_apply(
            &format!(
                "{{kind: gateway-connection, tenant: {tenant}, name: {name}, spec: {{vmNetwork: net, gateway: edge, {what}}}}}\n"
            ),
            &[],
        )
    }

    /// A connection as the controller shows it.
    #[track_caller]
    pub fn connection(&self, tenant: &str, name: &str) -> Value {
        self.fabric.json(&format!("get gateway-connection {name} --tenant {tenant}"))
    }

    /// What `describe` says of a connection.
    #[track_caller]
    pub fn described(&self, tenant: &str, name: &str) -> String {
        self.op(&format!("describe gateway-connection {name} --tenant {tenant}"))
    }

    /// Waits until a connection is in a state, and gives it as the controller shows it.
    #[track_caller]
    pub fn await_state(&self, tenant: &str, name: &str, state: &str) -> Value {
        let mut last = Value::Null;
        let come = eventually(LIMIT, || {
            last = self.connection(tenant, name);
            last["status"]["connection"]["state"] == state
        });
        assert!(come, "{tenant}'s {name} is not {state}: {last:#}\n{}", self.logs());
        last
    }

    /// Waits until it is said of a connection, in `describe`, what is wrong.
    #[track_caller]
    pub fn await_words(&self, tenant: &str, name: &str, words: &str) {
        let mut last = String::new();
        let come = eventually(LIMIT, || {
            last = self.described(tenant, name);
            last.contains(words)
        });
        assert!(come, "\"{words}\" is not said of {tenant}'s {name}:\n{last}\n{}", self.logs());
    }

    /// What the active gateway has reported of a connection.
    #[track_caller]
    pub fn report(&self, tenant: &str, name: &str) -> Value {
        self.connection(tenant, name)["status"]["connection"]["report"].clone()
    }

    /// Waits until a connection has learnt of a prefix by BGP.
    #[track_caller]
    pub fn await_learnt(&self, tenant: &str, name: &str, prefix: &str) {
        let learnt = || self.report(tenant, name)["learnt"].to_string().contains(prefix);
        assert!(eventually(LIMIT, learnt), "{tenant}'s {name}: {:#}\n{}", self.report(tenant, name), self.logs());
    }

    /// The address outside, IPv4, that a tenant's network has for a connection.
    #[track_caller]
    pub fn address(&self, tenant: &str, name: &str) -> String {
        let shown = self.connection(tenant, name);
        let mut addresses = shown["status"]["connection"]["external"].as_array().into_iter().flatten();
        let address = addresses.find_map(|its| its.as_str().filter(|its| !its.contains(':')));
        let address = address.unwrap_or_else(|| panic!("{tenant}'s {name} has no address: {shown:#}"));
        address.split('/').next().unwrap_or_default().to_owned()
    }

    /// What the gateways have said, for the message of an assertion.
    pub fn logs(&self) -> String {
        let log = |host| {
            let path = self.fabric.stage.lab.folder().join(format!("{}.gateway.log", self.host_name(host)));
            std::fs::read_to_string(path).unwrap_or_default()
        };
        format!("--- the active gateway:\n{}--- the one that stands ready:\n{}", log(3), log(4))
    }
}
