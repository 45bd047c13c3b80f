//! Customer routes: to what lies behind a VM of a virtualized network.

use model::fabric::{CustomerRoute, Key, Kind};

use super::{Run, VIRTUALIZED};
use crate::fabric::Refusal;
use crate::fabric::claims::Slot;

impl Run<'_, '_> {
    pub(super) fn check_customer_route(&mut self, key: &Key, spec: &CustomerRoute) {
        let network = key.sibling(Kind::VmNetwork, &spec.vm_network);
        let Some((uid, isolation)) = self
            .fabric
            .get(&network)
            .map(|object| object.uid)
            .zip(self.fabric.vm_network(key, &spec.vm_network).map(|spec| spec.isolation))
        else {
            return;
        };
        let (prefix, next_hop) = (spec.prefix, spec.next_hop);
        if !isolation.is_virtualized() {
            let (field, needed) = ("a customer route", VIRTUALIZED);
            self.refuse(key, Refusal::Isolation { key: key.clone(), field, needed, network, isolation });
            return;
        }
        if prefix != prefix.trunc() {
            self.refuse(key, Refusal::HostBits { key: key.clone(), prefix });
        }
        if prefix.addr() != prefix.addr().to_canonical() {
            self.refuse(key, Refusal::NotUnicast { key: key.clone(), address: prefix.addr() });
        }
        if prefix.addr().is_ipv4() != next_hop.is_ipv4() {
            self.refuse(key, Refusal::Families { key: key.clone(), prefix, next_hop });
            return;
        }
        if self.unicast(key, next_hop) {
            self.check_next_hop(key, spec, &network);
        }
        self.allocate(key, |_| {});
        let owner =
            self.fabric.claims.owner(&Slot::Route(uid, prefix, next_hop)).filter(|owner| *owner != key).cloned();
        if let Some(owner) = owner {
            let what = format!("the route to {prefix} by {next_hop}");
            self.refuse(key, Refusal::Claimed { key: key.clone(), what, owner });
        }
    }

    /// The next hop is the address of a VM of one of the subnets.
    fn check_next_hop(&mut self, key: &Key, spec: &CustomerRoute, network: &Key) {
        let subnets: Vec<_> =
            self.fabric.subnets_of(network).map(|(object, subnet)| (object.key(), subnet.clone())).collect();
        let inside =
            subnets.iter().find(|(_, subnet)| subnet.prefixes.iter().any(|prefix| prefix.contains(&spec.next_hop)));
        match inside {
            Some((subnet_key, subnet)) => {
                if self.fabric.is_kept(subnet_key, subnet, spec.next_hop) {
                    let (what, address, subnet) = ("next hop", spec.next_hop, subnet_key.clone());
                    self.refuse(key, Refusal::AddressKept { key: key.clone(), what, address, subnet });
                }
            }
            None => {
                let prefixes: Vec<_> = subnets.iter().flat_map(|(_, subnet)| subnet.prefixes.iter().copied()).collect();
                self.inside(key, "next hop", spec.next_hop, &prefixes);
            }
        }
    }
}
