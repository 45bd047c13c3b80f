//! What each verb does where a controller is asked.

mod access;
mod accounts;
mod asking;
mod change;
mod migrate;
mod read;
mod wait;
mod watch;

use std::net::IpAddr;
use std::path::Path;

use api::ProblemType;
use api::fabric::{Client, Context, Item};
use model::fabric::{Key, Kind, ResourceName};

use crate::CliError;
use crate::args::{Global, Output};
use crate::side::Environment;

pub use access::store;
pub use asking::trace;
pub use change::{apply, create, delete, diff, set};
pub use migrate::migrate;
pub use read::{describe, get, status};
pub use watch::watch;

/// A controller, and what is meant where a command says nothing else.
#[derive(Debug)]
pub struct Controller {
    client: Client,
    /// How it is reached, for those who are to reach it too.
    context: Context,
    /// The owner that is meant.
    tenant: ResourceName,
    /// The owner that is named, by the flag, the variable or the context.
    named_tenant: Option<ResourceName>,
    /// The owner of the command line.
    tenant_flag: Option<ResourceName>,
    all_tenants: bool,
    /// The value of `--host`, where it is a field.
    host: Option<String>,
    output: Output,
}

/// The address of the first uplink of a host, as the controller of a context knows it; none if it does not know the host.
///
/// # Errors
/// When the controller does not answer.
pub fn host_address(context: &Path, host: &str) -> Result<Option<IpAddr>, CliError> {
    let client = Client::new(&Context::read(context)?.endpoint())?;
    let hosts = client.list_all(Kind::Host, None)?.items;
    let Some(item) = hosts.iter().find(|item| item.name.as_str().eq_ignore_ascii_case(host)) else { return Ok(None) };
    let address = item.spec.pointer("/uplinks/0/addresses/0").and_then(|address| address.as_str());
    Ok(address.and_then(|address| address.parse::<ipnet::IpNet>().ok()).map(|address| address.addr()))
}

impl Controller {
    /// The controller of this context. Nothing is asked yet.
    ///
    /// # Errors
    /// When the context cannot be read or is of no use.
    pub fn open(context: &Path, global: &Global, environment: &Environment) -> Result<Self, CliError> {
        let context = Context::read(context)?;
        let named_tenant = global.named_tenant(environment)?.or_else(|| context.tenant.clone());
        Ok(Self {
            client: Client::new(&context.endpoint())?,
            context,
            tenant: named_tenant.clone().unwrap_or_else(ResourceName::default_tenant),
            named_tenant,
            tenant_flag: global.tenant.clone(),
            all_tenants: global.all_tenants,
            host: global.host.clone(),
            output: global.output,
        })
    }

    /// What is said behind a refusal where another tenant could have been meant.
    pub fn hint(&self, error: &CliError) -> Option<String> {
        let CliError::Fabric(error) = error else { return None };
        let forbidden = error.problem().is_some_and(|problem| problem.problem_type == ProblemType::Forbidden);
        (forbidden && self.named_tenant.is_none() && !self.all_tenants)
            .then(|| format!("tenant \"{}\" is meant, since none is named; --tenant NAME names another", self.tenant))
    }

    /// The key of a resource by its name.
    fn key(&self, kind: Kind, name: &str) -> Result<Key, CliError> {
        let name = name.parse().map_err(|error| CliError::Usage(format!("{error}")))?;
        Ok(Key::new(kind, Some(self.tenant.clone()), name))
    }

    /// The connection alone.
    pub fn into_client(self) -> Client {
        self.client
    }

    /// The owner whose resources of a kind are listed; none for all.
    pub fn owner(&self, kind: Kind) -> Option<&ResourceName> {
        (kind.has_tenant() && !self.all_tenants).then_some(&self.tenant)
    }

    /// The resources of a kind with these names, or all.
    fn fetch(&self, kind: Kind, names: &[String]) -> Result<Vec<Item>, CliError> {
        if !names.is_empty() && (!self.all_tenants || !kind.has_tenant()) {
            return names.iter().map(|name| Ok(self.client.get(&self.key(kind, name)?)?)).collect();
        }
        let mut items = self.client.list_all(kind, self.owner(kind))?.items;
        if let Some(name) = names.iter().find(|name| !items.iter().any(|item| item.name.as_str() == name.as_str())) {
            return Err(CliError::Nowhere { kind, name: name.clone() });
        }
        items.retain(|item| names.is_empty() || names.iter().any(|name| item.name.as_str() == name));
        Ok(items)
    }

    /// What is said where there is nothing of a kind.
    fn nothing(&self, kind: Kind) -> String {
        match self.owner(kind) {
            Some(tenant) => format!("tenant \"{tenant}\" has no {kind}; --all-tenants shows those of all tenants"),
            None => format!("no {kind} is declared"),
        }
    }

    /// Whether answers are tables.
    fn tables(&self) -> bool {
        matches!(self.output, Output::Table | Output::Wide)
    }

    /// Whether answers are tables with more columns.
    fn wide(&self) -> bool {
        self.output == Output::Wide
    }
}
