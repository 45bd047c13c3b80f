//! Ports that any host may plug (`anyHost`): what becomes of one when a host does, and when it has unplugged it.
//!
//! A host is told no more of a port than its UUID before the port is the host's.

use model::Name;
use model::fabric::{Key, Object, Port, Resource, ResourceName, Spec};
use uuid::Uuid;

use crate::fabric::Fabric;
use crate::fabric::slots::device_of;

/// What there is to do about a claim.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClaimStep {
    /// Nothing: the port is on the host, or its VM is on the way there.
    Stands {
        /// The port.
        port: Key,
        /// Whether its VM runs elsewhere and is to move to the host.
        moves: bool,
    },
    /// The port becomes this, and the claim is judged again.
    Change(Box<Resource>),
    /// Nothing yet, for this reason.
    Wait(String),
}

/// Why a host cannot have a port.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClaimRefusal {
    /// Nobody has such a port, or not any host may plug it, which the host has no need to tell apart.
    #[error(
        "there is no port {0} that any host may plug; \"netvirt get ports -A -o json\" at the controller shows the UUIDs of ports, \
         \"netvirt set port NAME --any-host\" there lets any host plug one, and \"--host HOST\" puts one on a host"
    )]
    Unknown(Uuid),
    /// It leads nowhere.
    #[error(
        "port {0} is in no VM network, so that plugging it would reach nothing; connect it at the controller with \"netvirt set \
         port NAME --vm-network NETWORK\""
    )]
    Unconnected(Uuid),
    /// One name on all hosts.
    #[error(
        "port {uid} has device {device} on every host, not {wanted}; name it {device} here too (libvirt: <target dev='{device}'/>), \
         or change it at the controller with \"netvirt set port NAME --device {wanted}\""
    )]
    Device {
        /// The port.
        uid: Uuid,
        /// Its device.
        device: Name,
        /// What the host wants.
        wanted: Name,
    },
    /// No name at all.
    #[error(
        "port {0} names no device, and its own name cannot be one; give it one at the controller with \"netvirt set port NAME \
         --device DEVICE\", or here with --device"
    )]
    NoDevice(Uuid),
    /// Its VM goes to a third host.
    #[error("port {0} is on its way to another host, by live migration; plug it when that is over, or was taken back")]
    OnItsWay(Uuid),
}

impl Fabric {
    /// What becomes of a port that a host plugs. `bound` says of a port whether its device is there on the host that it is on,
    /// as far as that is known: only a VM that runs can move, and a port that nobody has plugged in is simply taken.
    ///
    /// # Errors
    /// Why it cannot be, in words for the host's operator.
    pub fn claim(
        &self,
        uid: Uuid,
        host: &ResourceName,
        device: Option<&Name>,
        bound: impl FnOnce(&Object, &ResourceName) -> Option<bool>,
    ) -> Result<ClaimStep, ClaimRefusal> {
        let (object, spec) = self.claimable(uid)?;
        let port = object.key();
        if spec.vm_network.is_none() {
            return Err(ClaimRefusal::Unconnected(uid));
        }
        let known = device_of(&port.name, spec);
        if let (Some(wanted), Some(known)) = (device, &known)
            && wanted != known
            && (spec.host.is_some() || spec.device.is_some())
        {
            return Err(ClaimRefusal::Device { uid, device: known.clone(), wanted: wanted.clone() });
        }
        if known.is_none() && device.is_none() {
            return Err(ClaimRefusal::NoDevice(uid));
        }
        let change = |spec: Port| {
            Ok(ClaimStep::Change(Box::new(Resource { spec: Spec::Port(spec), ..object.resource.clone() })))
        };
        let here = Some(host.clone());
        let Some(at) = spec.host.as_ref().filter(|at| *at != host) else {
            if spec.host.is_some() {
                return Ok(ClaimStep::Stands { port, moves: false });
            }
            let device = spec.device.clone().or_else(|| device.filter(|name| known.as_ref() != Some(name)).cloned());
            return change(Port { host: here, device, ..spec.clone() });
        };
        match &spec.migrate_to {
            Some(to) if to == host => Ok(ClaimStep::Stands { port, moves: true }),
            Some(_) => Err(ClaimRefusal::OnItsWay(uid)),
            None if bound(object, at) == Some(false) => change(Port { host: here, ..spec.clone() }),
            // What is late from the last move could be taken for this one.
            None if object.allocation.came_from.is_some() => Ok(ClaimStep::Wait(format!(
                "not all hosts know yet from where port {uid} came to the host that it is on"
            ))),
            None => change(Port { migrate_to: here, ..spec.clone() }),
        }
    }

    /// What becomes of a port that a host has unplugged: it is nowhere, unless it goes to another host meanwhile or is there
    /// already. A host that its VM was to move to, and did not, is expected no more. `None` if there is nothing to do.
    pub fn release(&self, uid: Uuid, host: &ResourceName) -> Option<Resource> {
        let (object, spec) = self.claimable(uid).ok()?;
        let spec = match (spec.host.as_ref() == Some(host), &spec.migrate_to) {
            (true, None) => Port { host: None, ..spec.clone() },
            (false, Some(to)) if to == host => Port { migrate_to: None, ..spec.clone() },
            _ => return None,
        };
        Some(Resource { spec: Spec::Port(spec), ..object.resource.clone() })
    }

    fn claimable(&self, uid: Uuid) -> Result<(&Object, &Port), ClaimRefusal> {
        self.index.claimable(uid).and_then(|key| self.port(key)).ok_or(ClaimRefusal::Unknown(uid))
    }
}
