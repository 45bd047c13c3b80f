//! Hosts: their uplinks, and the provider addresses that they get.

use std::net::IpAddr;

use model::fabric::{Host, Key, Kind};

use super::Run;
use super::checks::twice;
use crate::fabric::Refusal;
use crate::fabric::allocation::{NoProvider, is_unicast};

impl Run<'_, '_> {
    /// The hosts in logical networks that changed: their provider addresses may come from other pools now.
    pub(super) fn hosts_to_look_at(&self) -> Vec<Key> {
        let networks =
            self.before.keys().filter(|key| key.kind == Kind::LogicalNetwork && self.fabric.get(key).is_some());
        let hosts = networks.flat_map(|network| self.fabric.users_by_name(network, Kind::Host));
        let mut hosts: Vec<Key> = hosts.map(|key| key.as_ref().clone()).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

    pub(super) fn check_host(&mut self, key: &Key, spec: &Host) {
        if !key.name.is_host_name() {
            self.refuse(key, Refusal::HostName { key: key.clone(), name: key.name.to_string() });
        }
        if spec.uplinks.is_empty() {
            self.refuse(key, Refusal::Empty { key: key.clone(), what: "uplink", option: "--uplink NAME" });
        }
        self.length(key, "uplinks", spec.uplinks.len());
        if let Some(interface) = twice(spec.uplinks.iter().map(|uplink| &uplink.interface)) {
            self.refuse(key, Refusal::Twice { key: key.clone(), what: format!("uplink {interface}") });
        }
        for uplink in &spec.uplinks {
            self.length(key, "addresses of an uplink", uplink.addresses.len());
            self.length(key, "logical networks of an uplink", uplink.logical_networks.len());
            if !uplink.interface.is_interface_name() || uplink.interface.as_str() == "lo" {
                let name = uplink.interface.to_string();
                self.refuse(key, Refusal::InterfaceName { key: key.clone(), name });
            }
        }
        let addresses: Vec<_> = spec.uplinks.iter().flat_map(|uplink| &uplink.addresses).copied().collect();
        for own in &addresses {
            let address = own.addr();
            // Every interface has a link-local address; it is of no use to other hosts, and does no harm.
            let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
            if !link_local && !is_unicast(address) {
                self.refuse(key, Refusal::NotUnicast { key: key.clone(), address });
            } else if own.prefix_len() == 0 {
                let max = own.max_prefix_len();
                self.refuse(key, Refusal::PrefixLength { key: key.clone(), prefix: *own, min: 1, max });
            } else if let Some(owner) = self.fabric.provider_owner(address).filter(|owner| *owner != key).cloned() {
                let what = format!("provider address {address}");
                self.refuse(key, Refusal::Claimed { key: key.clone(), what, owner });
            }
        }
        let shared = addresses.iter().map(|own| own.addr()).filter(|own| is_unicast(*own));
        if let Some(address) = twice(shared) {
            self.refuse(key, Refusal::Twice { key: key.clone(), what: format!("address {address}") });
        }
    }

    /// One provider address for each logical network in which it needs one.
    pub(super) fn give_host(&mut self, key: &Key, spec: &Host) {
        let Some(object) = self.fabric.get(key) else { return };
        let mut addresses: Vec<_> = self.fabric.providers(object).into_iter().map(|(address, _)| address).collect();
        if object.allocation.provider_addresses != addresses {
            self.allocate(key, |given| given.provider_addresses.clone_from(&addresses));
        }
        for network in spec.uplinks.iter().flat_map(|uplink| &uplink.logical_networks) {
            if self.fabric.provider_of(&key.name, network).is_some() {
                continue;
            }
            match self.fabric.free_provider(&key.name, network) {
                Ok(Some(address)) if !addresses.contains(&address) => {
                    if let Some(owner) =
                        self.fabric.provider_owner(address.addr()).filter(|owner| *owner != key).cloned()
                    {
                        let what = format!("provider address {}", address.addr());
                        self.refuse(key, Refusal::Claimed { key: key.clone(), what, owner });
                        return;
                    }
                    addresses.push(address);
                    self.allocate(key, |given| given.provider_addresses.push(address));
                }
                // A host without address can still have ports of physical networks.
                Ok(_) | Err(NoProvider::NoAddress) => {}
                Err(NoProvider::Exhausted { pool, total }) => {
                    let network = Key::global(Kind::LogicalNetwork, network);
                    self.refuse(key, Refusal::ProvidersExhausted { host: key.clone(), network, pool, total });
                    return;
                }
            }
        }
    }
}
