//! How objects, names and lists stand in the sentences of refusals and findings, and in the commands that they name.

use std::fmt;

use model::fabric::{DEFAULT_TENANT, Key, Kind, ResourceName};

/// An object as it stands in sentences: `VM network AAA`, with its tenant unless that is the default one.
pub(super) struct Named<'a>(pub(super) &'a Key);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key { kind, tenant, name } = self.0;
        write!(f, "{} {name}", kind.title())?;
        match tenant {
            Some(tenant) if tenant.as_str() != DEFAULT_TENANT => write!(f, " of tenant {tenant}"),
            _ => Ok(()),
        }
    }
}

/// A name as an argument of a command: in quotes if it has spaces.
pub(super) fn quoted(name: &ResourceName) -> String {
    if name.as_str().contains(' ') { format!("'{name}'") } else { name.to_string() }
}

/// The name of an object, and its tenant unless that is the default one, as arguments of a command.
pub(super) fn argument(key: &Key) -> String {
    format!("{}{}", quoted(&key.name), tenant_argument(key))
}

/// The tenant of an object as an argument of a command, with a space before it; nothing for the default one.
pub(super) fn tenant_argument(key: &Key) -> String {
    match &key.tenant {
        Some(tenant) if tenant.as_str() != DEFAULT_TENANT => format!(" --tenant {}", quoted(tenant)),
        _ => String::new(),
    }
}

/// Who uses something: the first [`Users::SHOWN`] by name, and how many more there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Users(pub Vec<Key>);

impl Users {
    /// How many are shown by name.
    pub const SHOWN: usize = 10;
}

impl fmt::Display for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.0.iter().take(Self::SHOWN).map(|key| Named(key).to_string()).collect();
        f.write_str(&shown.join(", "))?;
        match self.0.len().checked_sub(Self::SHOWN) {
            Some(more) if more > 0 => write!(f, " and {more} more"),
            _ => Ok(()),
        }
    }
}

/// A list as it stands in sentences.
pub(super) fn list<T: fmt::Display>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// How the missing thing comes into being.
pub(super) fn creation(key: &Key) -> String {
    match key.kind {
        Kind::Host => "it comes into being by \"netvirt host join\"".to_owned(),
        kind => format!("create it with \"netvirt create {kind} {}\"", argument(key)),
    }
}

/// A family of addresses as it stands in sentences.
pub(super) const fn family(v4: bool) -> &'static str {
    if v4 { "IPv4" } else { "IPv6" }
}

/// At which host, if it is about one.
pub(super) fn at_host(host: &Option<ResourceName>) -> String {
    host.as_ref().map(|host| format!(" of host {host}")).unwrap_or_default()
}

/// The option that gives a gateway a range more, in a network that it has if there is one to name.
pub(super) fn added_range(prefix: &Option<ipnet::IpNet>, vlan: &Option<model::VlanId>) -> String {
    let prefix = prefix.map_or_else(|| "PREFIX".to_owned(), |prefix| prefix.to_string());
    let vlan = vlan.map(|vlan| format!("@{vlan}")).unwrap_or_default();
    format!("--add-network '{prefix}{vlan},range FIRST-LAST'")
}

/// Where in the network outside of a gateway something is.
pub(super) fn in_vlan(vlan: &Option<model::VlanId>) -> String {
    vlan.map_or_else(|| "untagged".to_owned(), |vlan| format!("in VLAN {vlan}"))
}
