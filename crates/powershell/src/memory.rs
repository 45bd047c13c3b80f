//! Hosts that stand in memory: for tests, and to see what a script would make of fresh hosts without touching any.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use model::{Change, Intent, Kind, MacAddress, Resource};

use crate::hosts::{AddressState, Console, Entry, Hosts, Interface, Outcome, Question, Step};

/// One host.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// What is declared.
    pub intent: Intent,
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
}

/// Hosts by their names; the local one has the empty name.
#[derive(Clone, Default)]
pub struct Memory {
    hosts: Rc<RefCell<BTreeMap<String, Host>>>,
    /// Whether a host that is named comes into being, with an interface of each index that is asked for.
    open: bool,
}

impl Memory {
    /// These hosts, and no others.
    pub fn of(hosts: impl IntoIterator<Item = (&'static str, Host)>) -> Self {
        let hosts = hosts.into_iter().map(|(name, host)| (name.to_owned(), host)).collect();
        Self { hosts: Rc::new(RefCell::new(hosts)), open: false }
    }

    /// As many hosts as are named.
    pub fn open() -> Self {
        Self { hosts: Rc::default(), open: true }
    }

    /// The hosts as they are now.
    pub fn hosts(&self) -> BTreeMap<String, Host> {
        self.hosts.borrow().clone()
    }

    fn with<T>(&self, host: Option<&str>, act: impl FnOnce(&mut Host) -> Result<T, String>) -> Result<T, String> {
        let name = host.unwrap_or_default();
        let mut hosts = self.hosts.borrow_mut();
        if self.open {
            hosts
                .entry(name.to_owned())
                .or_insert_with(|| Host { intent: Intent::default(), interfaces: interfaces() });
        }
        match hosts.get_mut(name) {
            Some(host) => act(host),
            None => Err(format!("there is no host \"{name}\"")),
        }
    }
}

/// What a host has of which nothing is known: interfaces of the lowest indices.
fn interfaces() -> Vec<Interface> {
    (1..=64).map(|index| interface(&format!("eth{}", index - 1), index)).collect()
}

/// An interface that is up.
pub fn interface(name: &str, index: u32) -> Interface {
    let [.., high, low] = index.to_be_bytes();
    Interface {
        name: name.to_owned(),
        index,
        mac: MacAddress::new([2, 0, 0, 0, high, low]).ok(),
        mtu: 1600,
        up: true,
        kind: "ethernet".to_owned(),
        addresses: Vec::new(),
        vlan: None,
    }
}

impl Hosts for Memory {
    fn name(&mut self, host: Option<&str>) -> Result<String, String> {
        self.with(host, |_| Ok(host.unwrap_or("localhost").to_owned()))
    }

    fn list(&mut self, host: Option<&str>, kind: Kind) -> Result<Vec<Entry>, String> {
        self.with(host, |host| {
            let entry = |resource: &Resource| Entry { resource: resource.clone(), in_force: true, synchronized: true };
            Ok(host.intent.of_kind(kind).map(|(_, resource)| entry(resource)).collect())
        })
    }

    fn change(&mut self, host: Option<&str>, steps: &[Step]) -> Result<(), String> {
        self.with(host, |host| {
            let mut intent = host.intent.clone();
            let mut changes = Vec::new();
            for step in steps {
                let change = match step {
                    Step::Create(resource) if intent.get(&resource.key()).is_some() => {
                        return Err(format!("{} is there already", resource.key()));
                    }
                    Step::Create(resource) | Step::Put(resource) => Change::Set(resource.clone()),
                    Step::Delete(key) => Change::Delete(key.clone()),
                };
                changes.push(change);
            }
            intent
                .apply(changes)
                .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
            for resource in intent.of_kind(Kind::ProviderAddress).map(|(_, resource)| resource) {
                let Resource::ProviderAddress(provider) = resource else { continue };
                let Ok(address) = ipnet::IpNet::new(provider.address, provider.prefix_length) else { continue };
                for interface in host.interfaces.iter_mut().filter(|it| it.name == provider.interface.as_str()) {
                    interface.addresses.retain(|(known, _)| known.addr() != address.addr());
                    interface.addresses.push((address, AddressState::Preferred));
                }
            }
            host.intent = intent;
            Ok(())
        })
    }

    fn imagine(&mut self, host: Option<&str>, vm: &str) -> Result<bool, String> {
        if !self.open {
            return Ok(false);
        }
        let named: model::Name = vm.parse().map_err(|error: model::NameError| error.to_string())?;
        self.with(host, |host| {
            let known = host.intent.ports().any(|port| port.name == named)
                || host.intent.lookup_records().any(|record| record.vm_name.as_deref() == Some(vm));
            let number = u32::try_from(host.intent.ports().count() + 1).unwrap_or(u32::MAX);
            // The MAC address of its record, if there is one, or else one that no other has.
            let mac =
                host.intent.lookup_records().find(|it| it.vm_name.as_deref() == Some(vm)).map(|record| record.mac);
            let [.., a, b, c] = number.to_be_bytes();
            let mac = mac.or_else(|| MacAddress::new([2, 0, 1, a, b, c]).ok());
            let has_port = host.intent.ports().any(|port| Some(port.mac) == mac || port.name == named);
            if let (Some(mac), false) = (mac, has_port) {
                let port = Resource::Port(model::Port::new(named.clone(), named, mac, None));
                // One that contradicts what is there is not imagined.
                let _ = host.intent.apply([Change::Set(port)]);
            }
            Ok(known)
        })
    }

    fn gateway_mac(&mut self, host: Option<&str>) -> Result<MacAddress, String> {
        self.with(host, |_| "00-00-5E-00-01-01".parse().map_err(|error: model::MacAddressError| error.to_string()))
    }

    fn interfaces(&mut self, host: Option<&str>) -> Result<Vec<Interface>, String> {
        self.with(host, |host| Ok(host.interfaces.clone()))
    }

    fn ask(&mut self, host: Option<&str>, question: &Question) -> Result<Outcome, String> {
        self.with(host, |host| {
            let known = host.intent.lookup_records().any(|record| record.customer_address == Some(question.to));
            Ok(Outcome {
                travels: known,
                explanation: if known { "delivered" } else { "unknown destination" }.to_owned(),
            })
        })
    }
}

/// A console that keeps what is printed.
#[derive(Clone, Default)]
pub struct Kept {
    /// What was printed.
    pub out: Rc<RefCell<String>>,
    /// What was complained of, a line each.
    pub complaints: Rc<RefCell<Vec<String>>>,
}

impl Console for Kept {
    fn print(&mut self, text: &str) {
        self.out.borrow_mut().push_str(text);
    }

    fn complain(&mut self, text: &str) {
        self.complaints.borrow_mut().push(text.to_owned());
    }

    fn confirm(&mut self, _: &str) -> Option<bool> {
        None
    }

    fn width(&self) -> Option<usize> {
        None
    }
}
