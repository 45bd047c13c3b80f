//! What is legal in a fabric but probably not meant, each as a sentence with the value and the remedy.

use model::fabric::{Key, Kind, ResourceName};

use super::words::{Named, tenant_argument};

/// Something that the operator should know.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
pub enum Finding {
    /// A tenant has more than its quota now allows.
    #[error("{tenant} has {count} {}, more than its new quota of {limit}; it keeps them, but gets no more", .kind.plural(), tenant = Named(.tenant))]
    OverQuota {
        /// The tenant.
        tenant: Key,
        /// Of which kind.
        kind: Kind,
        /// How many it has.
        count: usize,
        /// How many it may have.
        limit: u32,
    },
    /// A site is for a host that is not there.
    #[error("site {site} of {network} is for host {host}, which has not joined; run \"netvirt host join\" there, or correct the name", network = Named(.network))]
    NoSuchHost {
        /// The logical network.
        network: Key,
        /// The site.
        site: ResourceName,
        /// The name that leads nowhere.
        host: ResourceName,
    },
    /// A pool is new, but does not have enough for the ports that have no address of its family.
    #[error(
        "{port} has no address of {pool}, which is exhausted; add a range to it, or a pool: \"netvirt create ip-pool \
         NAME --vm-subnet {subnet} --range FIRST-LAST{}\"", tenant_argument(.pool), port = Named(.port), pool = Named(.pool)
    )]
    NoAddressLeft {
        /// The first such port.
        port: Key,
        /// The pool.
        pool: Key,
        /// Its subnet.
        subnet: ResourceName,
    },
}
