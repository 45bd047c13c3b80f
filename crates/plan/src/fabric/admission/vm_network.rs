//! VM networks: what stands on which logical network, and how it is kept apart.

use model::RoutingDomainId;
use model::fabric::{Allocation, Isolation, Key, Kind, Security, VmNetwork};

use super::Run;
use crate::fabric::Refusal;
use crate::fabric::claims::Slot;

impl Run<'_, '_> {
    pub(super) fn check_vm_network(&mut self, key: &Key, spec: &VmNetwork) {
        let network = Key::global(Kind::LogicalNetwork, &spec.logical_network);
        let virtualized =
            self.fabric.logical_network(&spec.logical_network).is_some_and(|on| on.network_virtualization);
        match spec.isolation {
            isolation if isolation.is_virtualized() && !virtualized => {
                self.refuse(key, Refusal::NotVirtualized { key: key.clone(), network });
            }
            Isolation::None => {
                // What settled before it may have had it; it is claimed anew.
                self.allocate(key, |_| {});
                let owner = self.fabric.claims.owner(&Slot::Flat(spec.logical_network.clone())).cloned();
                if let Some(owner) = owner.filter(|owner| owner != key) {
                    self.refuse(key, Refusal::FlatTwice { key: key.clone(), network, owner });
                }
            }
            _ => {}
        }
        if spec.security != Security::default() {
            self.check_isolation(key, "security", &key.name);
        }
        if !spec.limits.is_none() {
            self.check_isolation(key, "limits", &key.name);
        }
        if let Some(rdid) = spec.rdid {
            match self.fabric.claims.owner(&Slot::Rdid(rdid)).filter(|owner| *owner != key).cloned() {
                Some(owner) => {
                    let what = format!("RDID {rdid}");
                    self.refuse(key, Refusal::Claimed { key: key.clone(), what, owner });
                }
                None => self.allocate(key, |given| given.rdid = Some(rdid)),
            }
        }
    }

    pub(super) fn give_vm_network(&mut self, key: &Key, given: &Allocation) {
        if given.rdid.is_some() {
            return;
        }
        // The nil UUID is none, and one that is taken already is no use; random ones are neither.
        for _ in 0..8 {
            let Ok(rdid) = RoutingDomainId::new((self.context.uuid)()) else { continue };
            if self.fabric.claims.owner(&Slot::Rdid(rdid)).is_none() {
                self.allocate(key, |given| given.rdid = Some(rdid));
                return;
            }
        }
        self.refuse(key, Refusal::Exhausted { key: key.clone(), what: "routing domain identifiers" });
    }
}
