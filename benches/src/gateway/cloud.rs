//! A lab with a controller and one gateway, and its operator.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use host::Namespace;
use lab::{LabGuard, Node, Topology, UpOptions};
use serde_json::Value;

use super::failed;
use crate::{Error, interrupt};

/// How long one command of the operator may take.
const LIMIT: Duration = Duration::from_secs(120);
/// How often the operator looks whether connections are up.
const GLANCE: Duration = Duration::from_millis(200);
/// The VM network of each tenant.
pub(super) const NETWORK: &str = "net";
/// The gateway.
pub(super) const GATEWAY: &str = "edge";
/// The logical network of everything.
const LOGICAL: &str = "fabric";

/// A lab whose hosts have joined its controller.
#[derive(Debug)]
pub(super) struct Cloud {
    pub(super) lab: LabGuard,
    controller: Node,
    program: PathBuf,
    /// The gateway's host.
    pub(super) gateway: String,
}

impl Cloud {
    /// Builds the lab of this YAML, whose controller has the name that it has by default, and gives its hosts a logical network.
    pub(super) fn up(yaml: &str, program: &Path, hosts: &[&str], gateway: &str) -> Result<Self, Error> {
        interrupt::check()?;
        let topology = Topology::from_yaml(yaml)?;
        let options = UpOptions { program: Some(program.to_owned()), ..UpOptions::default() };
        let lab = LabGuard::up(&topology, options)?;
        let controller = lab.node("controller")?;
        let cloud = Self { lab, controller, program: program.to_owned(), gateway: gateway.to_owned() };
        cloud.operator(&["create", "logical-network", LOGICAL, "--network-virtualization"])?;
        for host in hosts {
            cloud.operator(&["set", "host", host, "--logical-network", LOGICAL])?;
        }
        Ok(cloud)
    }

    /// What `netvirt WORDS` prints at the controller; it must end well.
    pub(super) fn operator(&self, words: &[&str]) -> Result<String, Error> {
        let context = format!("NETVIRT_CONTEXT={}", self.lab.context()?.display());
        let program = self.program.display().to_string();
        let command = [&["env", context.as_str(), program.as_str()], words].concat();
        Ok(self.controller.output(&command, LIMIT)?.ok()?)
    }

    /// Declares resources, and waits until all hosts have what they need of them.
    pub(super) fn apply(&self, documents: &[String]) -> Result<(), Error> {
        let path = self.lab.folder().join("declared.yaml");
        let written = std::fs::write(&path, documents.join("\n---\n"));
        written.map_err(|source| Error::File { action: "write", path: path.clone(), source })?;
        self.operator(&["apply", "-f", &path.display().to_string(), "--wait=100s"]).map(drop)
    }

    /// All gateway connections, as the controller tells them.
    pub(super) fn connections(&self) -> Result<Vec<Value>, Error> {
        let text = self.operator(&["get", "gateway-connections", "--all-tenants", "-o", "json"])?;
        serde_json::from_str(&text).map_err(|error| failed("read the gateway connections")(&error))
    }

    /// Waits until so many gateway connections are up; answers what is told of them.
    pub(super) fn await_up(&self, count: usize, limit: Duration) -> Result<Vec<Value>, Error> {
        let end = Instant::now() + limit;
        loop {
            let all = self.connections()?;
            let up = |one: &&Value| one["status"]["connection"]["state"] == "up";
            if all.iter().filter(up).count() >= count {
                return Ok(all);
            }
            if Instant::now() >= end {
                let down: Vec<_> =
                    all.iter().filter(|one| !up(one)).take(3).map(|one| one["status"].to_string()).collect();
                let what = format!("{} of {count} gateway connections are up", all.iter().filter(up).count());
                return Err(Error::Late { what, seconds: limit.as_secs(), log: down.join("\n") });
            }
            interrupt::pause(GLANCE)?;
        }
    }

    /// The namespaces of the gateway's compartments and edges.
    pub(super) fn namespaces(&self) -> Result<Vec<String>, Error> {
        let nodes = self.lab.status()?.nodes;
        let gateway = nodes.into_iter().find(|node| node.name == self.gateway).and_then(|node| node.gateway);
        Ok(gateway.map(|gateway| gateway.namespaces).unwrap_or_default())
    }

    /// The compartment of a tenant.
    pub(super) fn compartment(&self, tenant: &str) -> Result<Namespace, Error> {
        let end = format!(".c.{tenant}.{NETWORK}");
        let name = self.namespaces()?.into_iter().find(|name| name.ends_with(&end));
        let name = name.ok_or_else(|| failed("find a compartment")(&format!("there is none of {tenant}")))?;
        Ok(Namespace::open(&name)?)
    }
}

/// The compartment of a tenant on one of several hosts of a gateway.
pub(super) fn compartment_on(host: &str, tenant: &str) -> Result<Namespace, Error> {
    let is_its =
        |name: &String| name.contains(&format!(".{host}.")) && name.ends_with(&format!(".c.{tenant}.{NETWORK}"));
    let name = Namespace::list()?.into_iter().find(is_its);
    let name = name.ok_or_else(|| failed("find a compartment")(&format!("{host} has none of {tenant}")))?;
    Ok(Namespace::open(&name)?)
}

/// A tenant with a VM network that has one subnet.
pub(super) fn tenant(name: &str, prefix: &str) -> Vec<String> {
    vec![
        format!("{{kind: tenant, name: {name}, spec: {{}}}}"),
        format!("{{kind: vm-network, tenant: {name}, name: {NETWORK}, spec: {{logicalNetwork: {LOGICAL}}}}}"),
        format!("{{kind: vm-subnet, tenant: {name}, name: web, spec: {{vmNetwork: {NETWORK}, prefixes: [{prefix}]}}}}"),
    ]
}

/// The port of a VM whose device has its name.
pub(super) fn port(tenant: &str, vm: &str, host: &str, mac: &str, address: Ipv4Addr) -> String {
    format!(
        "{{kind: port, tenant: {tenant}, name: {vm}, spec: {{host: {host}, device: {vm}, mac: {mac}, vmNetwork: {NETWORK}, \
         vmSubnet: web, addresses: [{address}]}}}}"
    )
}

/// The gateway, with an address of the host's own, a router outside and addresses to give.
pub(super) fn gateway(host: &str, own: &str, prefix: &str, router: Ipv4Addr, range: &str) -> String {
    format!(
        "{{kind: gateway, name: {GATEWAY}, spec: {{logicalNetwork: {LOGICAL}, hosts: [{{host: {host}, interface: eth1, \
         addresses: [{own}]}}], networks: [{{prefix: {prefix}, nextHop: {router}, ranges: [{range}]}}]}}}}"
    )
}

/// A gateway connection; `kind` is what it is.
pub(super) fn connection(tenant: &str, name: &str, kind: &str) -> String {
    format!(
        "{{kind: gateway-connection, tenant: {tenant}, name: {name}, spec: {{vmNetwork: {NETWORK}, gateway: {GATEWAY}, {kind}}}}}"
    )
}
