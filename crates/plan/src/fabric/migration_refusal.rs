//! Why a VM cannot move to another host while it runs, each as a sentence with the value and what mends it.

use model::fabric::{Key, ResourceName};

use super::words::{Named, argument, list, quoted};
use super::{Late, RefusalSort};

/// Why a port cannot migrate.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MigrationRefusal {
    /// To where it is.
    #[error("{}: it is on {} already; name another host", Named(.port), Named(.host))]
    ToItself {
        /// The port.
        port: Key,
        /// Its host.
        host: Key,
    },
    /// Who is nowhere moves nowhere.
    #[error("{}: it is on no host, so that it cannot move; put it on one with --host", Named(.port))]
    FromNowhere {
        /// The port.
        port: Key,
    },
    /// What no lookup record leads to cannot be followed.
    #[error(
        "{}: only a port of a VM network of isolation nvgre, vxlan or geneve can move while its VM runs; connect it to one, or put \
         it on the other host with --host", Named(.port)
    )]
    NotVirtualized {
        /// The port.
        port: Key,
    },
    /// What is late from the last move could be taken for this one.
    #[error(
        "{}: not all hosts know yet that it has come from {}; wait until \"netvirt get port {} -o wide\" shows it realized on all, \
         or see \"netvirt describe port {}\" for the host that does not answer", Named(.port), Named(.from), argument(.port), argument(.port)
    )]
    StillArriving {
        /// The port.
        port: Key,
        /// The host that it was on.
        from: Key,
    },
    /// Some host does not know yet that the last move is over.
    #[error(
        "{}: not all hosts have acknowledged what was declared of it last (not yet: {}), and one that does not know that a VM's last \
         move is over misunderstands the next one; try again in a moment, or pass over a host that is away with \"netvirt migrate {} \
         --to {} --without HOST\"", Named(.port), list(.late), argument(.port), quoted(.to)
    )]
    NotAtRest {
        /// The port.
        port: Key,
        /// Where it is to go.
        to: ResourceName,
        /// Who does not know.
        late: Vec<Late>,
    },
    /// What cannot be done without.
    #[error("{}: {} is one of the two hosts between which it moves, and cannot be passed over; leave --without {} out", Named(.port), Named(.host), quoted(&.host.name))]
    NotWithout {
        /// The port.
        port: Key,
        /// The host.
        host: Key,
    },
    /// It goes elsewhere already.
    #[error(
        "{}: it is on its way to {} already; wait until it is there, or when it is sure that its VM stays, take that back with \
         \"netvirt set port {} --migrate-to ''\"", Named(.port), Named(.to), argument(.port)
    )]
    Underway {
        /// The port.
        port: Key,
        /// Where it goes.
        to: Key,
    },
    /// Said to be where it goes to, and to go there.
    #[error(
        "{}: it is on its way to {}, and is put there when its VM is heard there; if its VM is there and silent, say that it goes \
         nowhere any more as well: \"netvirt set port {} --host {} --migrate-to ''\"",
        Named(.port), Named(.to), argument(.port), quoted(&.to.name)
    )]
    ByHand {
        /// The port.
        port: Key,
        /// Where it goes.
        to: Key,
    },
    /// It would leave its network while it moves.
    #[error(
        "{}: its VM is on its way to {}, and until it is there the port stays in a VM network of isolation nvgre, vxlan or geneve; \
         wait for that, or when it is sure that its VM stays, take it back with \"netvirt set port {} --migrate-to ''\"",
        Named(.port), Named(.to), argument(.port)
    )]
    LeavesUnderway {
        /// The port.
        port: Key,
        /// Where it goes.
        to: Key,
    },
}

impl MigrationRefusal {
    /// What kind of answer it is.
    pub(super) const fn sort(&self) -> RefusalSort {
        match self {
            Self::StillArriving { .. }
            | Self::NotAtRest { .. }
            | Self::Underway { .. }
            | Self::ByHand { .. }
            | Self::LeavesUnderway { .. } => RefusalSort::Conflict,
            Self::ToItself { .. }
            | Self::FromNowhere { .. }
            | Self::NotVirtualized { .. }
            | Self::NotWithout { .. } => RefusalSort::Invalid,
        }
    }
}
