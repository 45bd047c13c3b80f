//! Provider addresses that are declared and not on their interface yet, by the controller, which drew them from a pool, or by
//! hand: they are put there, and taken away when they are no longer declared. Addresses that somebody else has put there
//! are never touched.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use host::Netlink;
use ipnet::IpNet;
use model::{Change, Key, Kind, Name, ProviderAddress, Resource};
use serde::{Deserialize, Serialize};

use crate::session::files;

/// An address on an interface.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
struct Own {
    interface: Name,
    address: IpNet,
}

/// What is on the interfaces, and can be put there. The host, or a test's idea of one.
pub trait Interfaces {
    /// Puts an address on an interface; whether it was not there before.
    ///
    /// # Errors
    /// In a sentence.
    fn add(&self, interface: &Name, address: IpNet) -> Result<bool, String>;

    /// Takes an address from an interface. One that is not there is no error.
    ///
    /// # Errors
    /// In a sentence.
    fn delete(&self, interface: &Name, address: IpNet) -> Result<(), String>;
}

impl Interfaces for Netlink {
    fn add(&self, interface: &Name, address: IpNet) -> Result<bool, String> {
        let link = self.link(interface.as_str()).map_err(|error| error.to_string())?;
        // Whatever the length of its prefix: the address is what packets are sent from.
        if link.addresses.iter().any(|known| known.addr() == address.addr()) {
            return Ok(false);
        }
        match self.add_address(interface.as_str(), address) {
            Ok(()) => Ok(true),
            Err(error) if error.is_exists() => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    fn delete(&self, interface: &Name, address: IpNet) -> Result<(), String> {
        match self.link(interface.as_str()) {
            Ok(link) if link.addresses.contains(&address) => {
                self.delete_address(interface.as_str(), address).map_err(|error| error.to_string())
            }
            // With the interface its addresses have gone.
            Ok(_) | Err(host::Error::NoDevice(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The provider addresses that are declared in one place, and which of them this agent has added.
pub struct Addresses {
    path: PathBuf,
    wanted: BTreeMap<Key, ProviderAddress>,
    own: BTreeSet<Own>,
    problems: Vec<String>,
}

impl Addresses {
    /// Of the controller. Those that an agent has added in an earlier life are remembered in the folder.
    pub fn of_controller(folder: &Path) -> Self {
        Self::in_file(folder.join("addresses.yaml"))
    }

    /// Of this host's own declarations.
    pub fn of_host(folder: &Path) -> Self {
        Self::in_file(folder.join("own-addresses.yaml"))
    }

    fn in_file(path: PathBuf) -> Self {
        let text = files::read_text(&path).unwrap_or_else(|error| {
            tracing::warn!("{error}");
            None
        });
        let own = text.map(|text| serde_saphyr::from_str::<BTreeSet<Own>>(&text)).transpose().unwrap_or_else(|error| {
            tracing::warn!("{}: {error}; addresses of this agent may stay behind on the uplink", path.display());
            None
        });
        Self { path, wanted: BTreeMap::new(), own: own.unwrap_or_default(), problems: Vec::new() }
    }

    /// Takes in what is declared or deleted beside what is wanted so far.
    pub fn note(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Set(resource) => {
                    if let Resource::ProviderAddress(address) = resource {
                        self.wanted.insert(resource.key(), address.clone());
                    }
                }
                Change::Delete(key) if key.kind == Kind::ProviderAddress => drop(self.wanted.remove(key)),
                Change::Delete(_) => {}
            }
        }
    }

    /// Takes over all that is declared, in place of what was wanted.
    pub fn set<'r>(&mut self, declared: impl Iterator<Item = &'r Resource>) {
        self.wanted = declared
            .filter_map(|resource| match resource {
                Resource::ProviderAddress(address) => Some((resource.key(), address.clone())),
                _ => None,
            })
            .collect();
    }

    /// Puts on the interfaces what is declared and not there. To be done before tables are made that need it.
    pub fn add_missing(&mut self, interfaces: &impl Interfaces) {
        self.problems.clear();
        let mut added = false;
        for wanted in self.wanted.values() {
            let Ok(address) = IpNet::new(wanted.address, wanted.prefix_length) else {
                self.problems.push(format!("{}/{} is no address", wanted.address, wanted.prefix_length));
                continue;
            };
            let own = Own { interface: wanted.interface.clone(), address };
            match interfaces.add(&own.interface, address) {
                Ok(true) => {
                    tracing::info!(%address, interface = %own.interface, "added a provider address");
                    added |= self.own.insert(own);
                }
                Ok(false) => {}
                Err(error) => self.problems.push(error),
            }
        }
        if added {
            self.save();
        }
    }

    /// Takes from the interfaces what this agent has added and is not declared any more. To be done after tables are
    /// made that do without it.
    pub fn delete_unwanted(&mut self, interfaces: &impl Interfaces) {
        let wanted = |own: &Own| {
            let mut all = self.wanted.values();
            all.any(|wanted| wanted.interface == own.interface && wanted.address == own.address.addr())
        };
        let unwanted: Vec<Own> = self.own.iter().filter(|own| !wanted(own)).cloned().collect();
        for own in &unwanted {
            match interfaces.delete(&own.interface, own.address) {
                Ok(()) => {
                    tracing::info!(address = %own.address, interface = %own.interface, "took a provider address away");
                    self.own.remove(own);
                }
                Err(error) => self.problems.push(error),
            }
        }
        if !unwanted.is_empty() {
            self.save();
        }
    }

    /// Whether this agent has put an address on an interface.
    pub fn is_own(&self, interface: &Name, address: IpAddr) -> bool {
        self.own.iter().any(|own| own.interface == *interface && own.address.addr() == address)
    }

    /// Writes what could not be done into the log.
    pub fn tell_problems(&self) {
        for problem in &self.problems {
            tracing::warn!("provider addresses: {problem}");
        }
    }

    /// What could not be done, one sentence each.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    fn save(&mut self) {
        let text = serde_saphyr::to_string(&self.own).unwrap_or_default();
        if let Err(error) = files::replace(&self.path, text.as_bytes()) {
            self.problems.push(error.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Interfaces without a host.
    #[derive(Default)]
    struct Fake(RefCell<BTreeSet<Own>>);

    impl Interfaces for Fake {
        fn add(&self, interface: &Name, address: IpNet) -> Result<bool, String> {
            if interface.as_str() != "eth0" {
                return Err(format!("there is no {interface}"));
            }
            Ok(self.0.borrow_mut().insert(Own { interface: interface.clone(), address }))
        }

        fn delete(&self, interface: &Name, address: IpNet) -> Result<(), String> {
            self.0.borrow_mut().remove(&Own { interface: interface.clone(), address });
            Ok(())
        }
    }

    impl Fake {
        fn addresses(&self) -> Vec<String> {
            self.0.borrow().iter().map(|own| own.address.to_string()).collect()
        }
    }

    fn declared(address: &str, interface: &str) -> Resource {
        Resource::ProviderAddress(ProviderAddress {
            address: address.parse().unwrap(),
            interface: interface.parse().unwrap(),
            prefix_length: 24,
        })
    }

    #[test]
    fn what_is_declared_is_added_and_what_it_added_it_takes_away_after_a_restart_too() {
        let folder = tempfile::tempdir().unwrap();
        let interfaces = Fake::default();
        interfaces.add(&"eth0".parse().unwrap(), "192.168.4.11/24".parse().unwrap()).unwrap();
        let (host, pool) = (declared("192.168.4.11", "eth0"), declared("192.168.4.200", "eth0"));
        let mut addresses = Addresses::of_controller(folder.path());
        addresses.note(&[Change::Set(host.clone()), Change::Set(pool.clone())]);
        addresses.add_missing(&interfaces);
        addresses.delete_unwanted(&interfaces);
        assert_eq!(interfaces.addresses(), ["192.168.4.11/24", "192.168.4.200/24"]);
        let eth0 = "eth0".parse().unwrap();
        assert!(addresses.is_own(&eth0, "192.168.4.200".parse().unwrap()));
        assert!(!addresses.is_own(&eth0, "192.168.4.11".parse().unwrap()));
        let mut later = Addresses::of_controller(folder.path());
        later.note(&[Change::Set(host.clone()), Change::Set(pool.clone())]);
        later.note(&[Change::Delete(host.key()), Change::Delete(pool.key())]);
        later.delete_unwanted(&interfaces);
        assert_eq!(interfaces.addresses(), ["192.168.4.11/24"], "somebody else's stays");
        assert!(Addresses::of_controller(folder.path()).own.is_empty());
    }

    #[test]
    fn what_cannot_be_added_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let mut addresses = Addresses::of_controller(folder.path());
        addresses.note(&[Change::Set(declared("192.168.4.200", "eth7"))]);
        addresses.add_missing(&Fake::default());
        assert_eq!(addresses.problems(), ["there is no eth7"]);
    }
}
