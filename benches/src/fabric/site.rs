//! The lab of these measures: a controller, two hosts, two VMs, and as many simulated hosts as are asked for.

use std::net::Ipv4Addr;
use std::path::Path;

use api::fabric::{Change, ChangeReport, ChangeSet, Client, Context, NewJoinToken};
use host::Namespace;
use ipnet::{IpNet, Ipv4Net};
use lab::{LabGuard, Topology, UpOptions};
use model::fabric::{IpPool, Isolation, Port, Resource, ResourceName, Spec, VmNetwork, VmSubnet};
use proto::client::Enrolment;
use proto::{HostFacts, Token, Uplink};

use crate::Error;
use crate::contestant::LAB_PREFIX;

/// Address of the controller's gRPC port.
pub const CONTROLLER: &str = "10.200.0.1:7444";
/// The VM network.
pub const NETWORK: &str = "AAA";
/// The subnet of the VM that pings.
pub const FROM: &str = "from";
/// The subnet of all other ports.
pub const TO: &str = "to";
/// The VM that pings, on host 2, with its MAC address (outside of the MAC pool); and the VM that is pinged, on host 1.
pub const PINGER: (&str, &str) = ("pinger", "02-00-00-00-00-01");
/// See [`PINGER`].
pub const TARGET: (&str, &str) = ("target", "02-00-00-00-00-02");
/// The address of the pinged VM, outside of the pool.
pub const TARGET_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 2);

/// See the module.
pub struct Site {
    pub lab: LabGuard,
    pub controller: Namespace,
    pub client: Client,
    pub hosts: [String; 3],
    others: usize,
}

/// An error of the controller or of a simulated agent.
pub fn failed(what: &'static str) -> impl Fn(&dyn std::fmt::Display) -> Error {
    move |reason| Error::Fabric { what, reason: reason.to_string() }
}

/// A name that is known to be one.
pub fn name(text: &str) -> Result<ResourceName, Error> {
    text.parse().map_err(|error| failed("name a resource")(&error))
}

/// A value out of a text that is known to be one.
pub fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Error> {
    text.parse().map_err(|error| failed("read a value")(&error))
}

fn hosts() -> [String; 3] {
    [1, 2, 3].map(|number| format!("{LAB_PREFIX}fabric{number}"))
}

/// Builds the lab.
pub fn raise(netvirt: &Path) -> Result<LabGuard, Error> {
    let [one, two, three] = &hosts();
    let topology = Topology::from_yaml(&format!(
        "name: {LAB_PREFIX}fabric\ncontroller: {{addresses: [10.200.0.1/16]}}\nhosts:\n\
             - {{name: {one}, addresses: [10.200.0.11/16], joined: true}}\n\
             - {{name: {two}, addresses: [10.200.0.12/16], joined: true}}\n\
             - {{name: {three}, addresses: [10.200.0.13/16], joined: true}}\n\
             vms:\n- {{name: {}, host: {two}, mac: {}, addresses: [10.20.0.2/16], routes: [{{to: 0.0.0.0/0, via: 10.20.0.1}}]}}\n\
             - {{name: {}, host: {one}, mac: {}, addresses: [{TARGET_ADDRESS}/12], routes: [{{to: 10.20.0.0/16, via: 10.0.0.1}}]}}\n",
        PINGER.0, PINGER.1, TARGET.0, TARGET.1
    ))?;
    let options = UpOptions { program: Some(netvirt.to_owned()), ..UpOptions::default() };
    Ok(LabGuard::up(&topology, options)?)
}

impl Site {
    /// A client of the lab's controller, and the network; to be called in the controller's namespace.
    pub fn new(lab: LabGuard) -> Result<Self, Error> {
        let controller = lab.node("controller")?.namespace().clone();
        let context = Context::read(lab.context()?).map_err(|error| failed("read the context")(&error))?;
        let client = Client::new(&context.endpoint()).map_err(|error| failed("make a client")(&error))?;
        let site = Self { lab, controller, client, hosts: hosts(), others: 0 };
        site.network()?;
        Ok(site)
    }

    /// The process of the controller.
    pub fn controller_pid(&self) -> Result<u32, Error> {
        self.lab.controller_pid()?.ok_or_else(|| failed("look at the controller")(&"it does not run"))
    }

    /// How many ports there are beside the two VMs'.
    pub const fn others(&self) -> usize {
        self.others
    }

    /// Says that there are more.
    pub const fn add_others(&mut self, count: usize) {
        self.others += count;
    }

    /// The VM network with its two subnets, and the pinging VM's port.
    fn network(&self) -> Result<(), Error> {
        // The logical network that hosts get from their uplinks.
        let network = VmNetwork {
            logical_network: name("eth0")?,
            isolation: Isolation::Nvgre,
            rdid: None,
            security: model::fabric::Security::default(),
            limits: model::Limits::default(),
            description: None,
        };
        let subnet = |prefix: &str| -> Result<VmSubnet, Error> {
            Ok(VmSubnet {
                vm_network: name(NETWORK)?,
                prefixes: vec![parsed(prefix)?],
                vsid: None,
                vlan: None,
                gateways: Vec::new(),
                security_groups: Vec::new(),
            })
        };
        let pool = IpPool {
            vm_subnet: name(TO)?,
            ranges: vec![parsed("10.1.0.0-10.15.255.200")?],
            reserved: Vec::new(),
            dns_servers: Vec::new(),
            dns_suffixes: Vec::new(),
            routes: Vec::new(),
            lease_time: model::LeaseTime::default(),
        };
        let pinger = Port {
            host: Some(name(&self.hosts[1])?),
            device: Some(parsed(PINGER.0)?),
            mac: Some(parsed(PINGER.1)?),
            vm_network: Some(name(NETWORK)?),
            vm_subnet: Some(name(FROM)?),
            addresses: vec![parsed("10.20.0.2")?],
            ..Port::default()
        };
        // The host of the pinged VM has another port in the network: else it would forget the network with the one that
        // goes, and each round would begin with all of it, which is measured apart.
        let stays = Port {
            host: Some(name(&self.hosts[0])?),
            device: Some(parsed("stays")?),
            vm_network: Some(name(NETWORK)?),
            vm_subnet: Some(name(TO)?),
            ..Port::default()
        };
        self.create(vec![
            resource(NETWORK, network)?,
            resource(FROM, subnet("10.20.0.0/16")?)?,
            resource(TO, subnet("10.0.0.0/12")?)?,
            resource("pool", pool)?,
            resource(PINGER.0, pinger)?,
            resource("stays", stays)?,
        ])?;
        Ok(())
    }

    /// Declares resources.
    pub fn create(&self, resources: Vec<Resource>) -> Result<ChangeReport, Error> {
        let changes = resources.into_iter().map(Change::Create).collect();
        self.client
            .change(&ChangeSet { changes, ..ChangeSet::default() })
            .map_err(|error| failed("declare resources")(&error))
    }

    /// Lets simulated hosts join.
    pub fn enrol(&self, count: usize) -> Result<Vec<(Enrolment, HostFacts)>, Error> {
        (0..count).map(|number| self.join(number)).collect()
    }

    fn join(&self, number: usize) -> Result<(Enrolment, HostFacts), Error> {
        let ask = NewJoinToken::default();
        let token = self.client.create_join_token(&ask).map_err(|error| failed("make a join token")(&error))?;
        let token: Token = parsed(&token.token)?;
        let facts = facts(number)?;
        let joining = async { proto::client::join(CONTROLLER, &token, &format!("sim{number}"), &facts).await };
        let enrolment = self
            .controller
            .run(|| runtime()?.block_on(joining).map_err(|error| failed("let a simulated host join")(&error)))
            .map_err(|error| failed("enter the controller's namespace")(&error))??;
        Ok((enrolment, facts))
    }
}

/// A runtime whose threads are in the namespace of the caller.
pub fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().map_err(|error| failed("start a runtime")(&error))
}

/// A resource of the default tenant.
pub fn resource(its: &str, spec: impl Into<Spec>) -> Result<Resource, Error> {
    Ok(Resource::new(None, name(its)?, spec))
}

/// What a simulated host says of itself: 10.200.1.1 and on.
fn facts(number: usize) -> Result<HostFacts, Error> {
    let (high, low) = (number / 250 + 1, number % 250 + 1);
    let octets = [10, 200, u8::try_from(high).unwrap_or(u8::MAX), u8::try_from(low).unwrap_or(u8::MAX)];
    let address = Ipv4Net::new(Ipv4Addr::from(octets), 16).map_err(|error| failed("make an address")(&error))?;
    let uplink = Uplink { interface: parsed("eth0")?, addresses: vec![IpNet::V4(address)], mtu: 1600 };
    Ok(HostFacts { version: env!("CARGO_PKG_VERSION").to_owned(), uplinks: vec![uplink], questions: Vec::new() })
}
