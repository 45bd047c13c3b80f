//! What `set` changes: which resource, and the given fields in the place of those that stand.

use model::fabric::ResourceName;
use model::{Kind, fabric as controller};
use serde_json::{Map, Value};

use super::SetWhat;
use super::spec::{self, AT_CONTROLLER, AT_HOST, FieldsError, Parts, given, merge, only};
use crate::args::Knows;

impl SetWhat {
    /// Who can be asked for it; of what both know, the given fields may decide.
    pub fn knows(&self) -> Knows {
        match self {
            Self::LookupRecord { .. }
            | Self::ProviderAddress { .. }
            | Self::ProviderRoute { .. }
            | Self::DhcpScope { .. }
            | Self::RoutingDomain { .. }
            | Self::Global { .. }
            | Self::Migration { .. } => Knows::Host,
            Self::CustomerRoute { fields, .. } => spec::told(&given(fields)),
            Self::SecurityGroup { fields, .. } => spec::told(&given(fields)),
            Self::AddressSet { fields, .. } => spec::told(&given(fields)),
            Self::Port { fields, .. } => spec::told(&fields.given()),
            _ => Knows::Controller,
        }
    }

    /// Whether `--host` is a field of it, where a controller is asked.
    pub const fn has_host_field(&self) -> bool {
        matches!(self, Self::Port { .. })
    }

    /// Which resource of a host, and the fields that were given.
    ///
    /// # Errors
    /// When no field is given, or one that a host does not know.
    pub fn at_host(&self) -> Result<Parts<Kind>, FieldsError> {
        let (kind, name, given) = match self {
            Self::LookupRecord { name, fields } => (Kind::LookupRecord, name, given(fields)),
            Self::ProviderAddress { name, fields } => (Kind::ProviderAddress, name, given(fields)),
            Self::ProviderRoute { name, fields } => (Kind::ProviderRoute, name, given(fields)),
            Self::DhcpScope { name, fields } => (Kind::DhcpScope, name, given(fields)),
            Self::RoutingDomain { name, fields } => (Kind::RoutingDomain, name, fields.given()),
            Self::Global { name, fields } => (Kind::Global, name, given(fields)),
            Self::Migration { name, fields } => (Kind::Migration, name, fields.given()),
            Self::CustomerRoute { name, fields } => (Kind::CustomerRoute, name, only(&AT_HOST, given(fields))?),
            Self::SecurityGroup { name, fields, added } => {
                let given = only(&AT_HOST, given(fields))?;
                (Kind::SecurityGroup, name, spec::adding("rules", added, given))
            }
            Self::AddressSet { name, fields, added } => {
                let given = only(&AT_HOST, given(fields))?;
                (Kind::AddressSet, name, spec::adding("prefixes", added, given))
            }
            Self::Port { name, fields } => (Kind::Port, name, only(&AT_HOST, fields.given())?),
            other => return Err(FieldsError::NotThere { kind: other.as_str(), place: AT_HOST.place }),
        };
        if given.is_empty() {
            return Err(FieldsError::Nothing(kind.as_str()));
        }
        Ok(Parts { kind, name: name.clone(), given })
    }

    /// Kind and name at a controller.
    fn parts(&self) -> Result<(controller::Kind, &str), FieldsError> {
        use controller::Kind;
        Ok(match self {
            Self::LogicalNetwork { name, .. } => (Kind::LogicalNetwork, name),
            Self::MacPool { name, .. } => (Kind::MacPool, name),
            Self::Host { name, .. } => (Kind::Host, name),
            Self::Tenant { name, .. } => (Kind::Tenant, name),
            Self::VmNetwork { name, .. } => (Kind::VmNetwork, name),
            Self::VmSubnet { name, .. } => (Kind::VmSubnet, name),
            Self::IpPool { name, .. } => (Kind::IpPool, name),
            Self::SecurityGroup { name, .. } => (Kind::SecurityGroup, name),
            Self::AddressSet { name, .. } => (Kind::AddressSet, name),
            Self::CustomerRoute { name, .. } => (Kind::CustomerRoute, name),
            Self::Port { name, .. } => (Kind::Port, name),
            Self::Gateway { name, .. } => (Kind::Gateway, name),
            Self::GatewayConnection { name, .. } => (Kind::GatewayConnection, name),
            other => return Err(FieldsError::NotThere { kind: other.as_str(), place: AT_CONTROLLER.place }),
        })
    }

    /// Which resource of a controller.
    ///
    /// # Errors
    /// When its name cannot be one.
    pub fn key(&self, tenant: &ResourceName) -> Result<controller::Key, FieldsError> {
        let (kind, name) = self.parts()?;
        Ok(controller::Key::new(kind, Some(tenant.clone()), name.parse()?))
    }

    /// The given fields in the place of those of a spec at a controller.
    ///
    /// # Errors
    /// When no field is given, or one that a controller does not know, or that the spec has no place for.
    pub fn edit(&self, host: Option<&str>, spec: &mut Value) -> Result<(), FieldsError> {
        let (kind, name) = self.parts()?;
        let given: Map<String, Value> = match self {
            Self::Host { fields, .. } if fields.is_empty() => return Err(FieldsError::Nothing(kind.as_str())),
            Self::Host { fields, .. } => return fields.edit(name, spec),
            Self::LogicalNetwork { fields, .. } => fields.given()?,
            Self::MacPool { fields, added, .. } => spec::with_added("ranges", added, given(fields), spec),
            Self::Tenant { fields, .. } => fields.given(),
            Self::VmNetwork { fields, .. } => fields.given(),
            Self::SecurityGroup { fields, added, .. } => {
                spec::with_added("rules", added, only(&AT_CONTROLLER, given(fields))?, spec)
            }
            Self::AddressSet { fields, added, .. } => {
                spec::with_added("prefixes", added, only(&AT_CONTROLLER, given(fields))?, spec)
            }
            Self::VmSubnet { fields, .. } => given(fields),
            Self::IpPool { fields, added, .. } => spec::with_added("ranges", added, given(fields), spec),
            Self::Gateway { fields, change, .. } => change.given(name, given(fields), spec)?,
            Self::GatewayConnection { fields, .. } => fields.given()?,
            Self::CustomerRoute { fields, .. } => only(&AT_CONTROLLER, given(fields))?,
            Self::Port { fields, .. } => {
                let mut given = only(&AT_CONTROLLER, fields.given())?;
                host.map(|host| given.insert("host".to_owned(), host.into()));
                spec::leave_network(&given, spec);
                given
            }
            Self::LookupRecord { .. }
            | Self::ProviderAddress { .. }
            | Self::ProviderRoute { .. }
            | Self::DhcpScope { .. }
            | Self::RoutingDomain { .. }
            | Self::Global { .. }
            | Self::Migration { .. }
            | Self::Password { .. } => Map::new(),
        };
        if given.is_empty() {
            return Err(FieldsError::Nothing(kind.as_str()));
        }
        merge(spec, Value::Object(given));
        Ok(())
    }
}
