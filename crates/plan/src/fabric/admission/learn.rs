//! What hosts hear of ports whose VMs choose their own addresses.

use std::net::IpAddr;

use model::fabric::{Addressing, Key, Kind};

use super::{MAX_ADDRESSES, Run};
use crate::fabric::allocation::is_unicast;
use crate::fabric::claims::Slot;
use crate::fabric::{Context, Fabric, Transition};

impl Fabric {
    /// Whether a VM of the subnet can have chosen the address.
    pub(super) fn is_learnable(&self, subnet: &Key, address: IpAddr) -> bool {
        self.vm_subnet(subnet).is_some_and(|spec| {
            is_unicast(address)
                && spec.prefixes.iter().any(|prefix| prefix.contains(&address))
                && !self.is_kept(subnet, spec, address)
        })
    }

    /// Takes in which addresses a host heard a port use: all of them, in the place of those it heard before. Of these
    /// count the ones inside of the subnet's prefixes that mean nothing else and that no other port has, at most
    /// [`super::MAX_ADDRESSES`]. `None` if nothing changes, and for ports whose addresses are not learnt or whose VM
    /// network is not virtualized.
    pub fn learn(&mut self, port: &Key, addresses: &[IpAddr], context: Context<'_>) -> Option<Transition> {
        let (object, spec) = self.port(port)?;
        let network = self.vm_network(port, spec.vm_network.as_ref()?)?;
        if spec.addressing != Addressing::Learnt || !network.isolation.is_virtualized() {
            return None;
        }
        let subnet = port.sibling(Kind::VmSubnet, object.allocation.vm_subnet.as_ref()?);
        let uid = self.get(&subnet)?.uid;
        let mut learnt: Vec<IpAddr> = addresses.to_vec();
        learnt.sort_unstable();
        learnt.dedup();
        learnt.retain(|address| {
            let owner = self.claims.owner(&Slot::Address(uid, *address));
            owner.is_none_or(|owner| owner == port) && self.is_learnable(&subnet, *address)
        });
        learnt.truncate(MAX_ADDRESSES);
        if learnt == object.allocation.learnt {
            return None;
        }
        let mut run = Run::new(self, context);
        run.allocate(port, |given| given.learnt = learnt);
        run.finish(vec![port.clone()]).ok()
    }
}
