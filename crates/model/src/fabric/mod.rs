//! The resources of a whole fabric, as operators and tenants declare them at the controller, in the words of VMM.
//!
//! In YAML and JSON a resource is `{kind, tenant, name, spec}`; the tenant is left out of kinds that belong to nobody
//! (see [`Kind::has_tenant`]), and means [`DEFAULT_TENANT`] where it is left out of the others. `spec` is the user's
//! alone: what the controller chose in his place (a VSID, an address, a MAC address) stands in an [`Allocation`].
//!
//! **Invariant:** references between resources are names; whether they lead anywhere is the judgement of `plan`.

mod allocation;
mod document;
mod gateway;
mod kind;
mod name;
pub(crate) mod named;
mod ranges;
mod search;
mod specs;

pub use allocation::{Allocation, GatewayAllocation, Object};
pub use document::{resources_from_yaml, resources_to_yaml};
pub use gateway::{ExternalNetwork, Gateway, GatewayConnection, GatewayHost};
pub use kind::{Kind, KindError};
pub use name::{ResourceName, ResourceNameError};
pub use named::Named;
pub use ranges::{AddressRange, AddressRangeError, MacRange, MacRangeError};
pub use specs::{
    AddressSet, Addressing, CustomerRoute, Host, IpPool, Isolation, LogicalNetwork, MacPool, Port, ProviderPool, Quota,
    Security, SecurityGroup, Site, SiteSubnet, Spec, Tenant, Uplink, VmNetwork, VmSubnet,
};

/// The tenant that owns what names no tenant. It exists from the controller's first start.
pub const DEFAULT_TENANT: &str = "default";

/// The MAC pool that exists from the controller's first start, with [`MacRange::vmm`].
pub const DEFAULT_MAC_POOL: &str = "default";

/// What tells one resource of the fabric from all others.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    /// The kind.
    pub kind: Kind,
    /// The owner; `None` exactly for the kinds without one.
    pub tenant: Option<ResourceName>,
    /// The name, unique among the tenant's resources of the kind.
    pub name: ResourceName,
}

impl Key {
    /// The key of a resource of a kind without owner, or of the tenant.
    ///
    /// A tenant that does not fit the kind is corrected: left out where the kind has no owner,
    /// [`DEFAULT_TENANT`] where it needs one.
    pub fn new(kind: Kind, tenant: Option<ResourceName>, name: ResourceName) -> Self {
        let tenant = kind.has_tenant().then(|| tenant.unwrap_or_else(ResourceName::default_tenant));
        Self { kind, tenant, name }
    }

    /// The key of another resource of the same owner: where a name in a spec leads.
    #[must_use]
    pub fn sibling(&self, kind: Kind, name: &ResourceName) -> Self {
        Self::new(kind, self.tenant.clone(), name.clone())
    }

    /// The key of a resource of a kind without owner.
    pub fn global(kind: Kind, name: &ResourceName) -> Self {
        Self { kind, tenant: None, name: name.clone() }
    }
}

/// As it stands in sentences: `vm-subnet "test"`, with the tenant unless it is the default one.
impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} \"{}\"", self.kind, self.name)?;
        match &self.tenant {
            Some(tenant) if tenant.as_str() != DEFAULT_TENANT => write!(f, " of tenant \"{tenant}\""),
            _ => Ok(()),
        }
    }
}

/// Any resource of the fabric.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resource {
    /// The owner; `None` exactly for the kinds without one.
    pub tenant: Option<ResourceName>,
    /// The name.
    pub name: ResourceName,
    /// What is declared.
    pub spec: Spec,
}

impl Resource {
    /// A resource; the tenant is corrected as in [`Key::new`].
    pub fn new(tenant: Option<ResourceName>, name: ResourceName, spec: impl Into<Spec>) -> Self {
        let spec = spec.into();
        let Key { tenant, name, .. } = Key::new(spec.kind(), tenant, name);
        Self { tenant, name, spec }
    }

    /// The kind.
    pub const fn kind(&self) -> Kind {
        self.spec.kind()
    }

    /// What tells it from all others.
    pub fn key(&self) -> Key {
        Key { kind: self.kind(), tenant: self.tenant.clone(), name: self.name.clone() }
    }
}
