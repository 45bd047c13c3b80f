//! Why a VM cannot move to another host while it runs, each as a sentence with the value and what mends it.

use model::fabric::Key;

use super::RefusalSort;
use super::words::{Named, argument};

/// Why a port cannot migrate.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MigrationRefusal {
    /// To where it is.
    #[error("{}: it is on {} already; give --migrate-to another host", Named(.port), Named(.host))]
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
}

impl MigrationRefusal {
    /// What kind of answer it is.
    pub(super) const fn sort(&self) -> RefusalSort {
        match self {
            Self::StillArriving { .. } => RefusalSort::Conflict,
            _ => RefusalSort::Invalid,
        }
    }
}
