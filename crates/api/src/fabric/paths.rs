//! The paths and limits that the controller's server, its client and the OpenAPI document agree on.

use model::fabric::{Key, Kind, ResourceName};
use percent_encoding::utf8_percent_encode;

use crate::paths::NAME;

pub const STATUS: &str = "/v1/status";
pub const CHANGES: &str = "/v1/changes";
pub const WATCH: &str = "/v1/watch";
pub const TOKENS: &str = "/v1/tokens";
pub const TOKEN: &str = "/v1/tokens/{name}";
pub const USERS: &str = "/v1/users";
pub const USER: &str = "/v1/users/{name}";
pub const PASSWORD: &str = "/v1/users/{name}/password";
pub const JOIN_TOKENS: &str = "/v1/join-tokens";
pub const AUDIT: &str = "/v1/audit";
pub const EXPORT: &str = "/v1/export";
pub const IMPORT: &str = "/v1/import";
pub const BACKUP: &str = "/v1/backup";
/// Below a tenant, as the others with `{resource}`: the names are those of the router's other paths there.
pub const PORT_COUNTERS: &str = "/v1/tenants/{name}/ports/{resource}/counters";
pub const PORT_TRACE: &str = "/v1/tenants/{name}/ports/{resource}/trace";
pub const LEASES: &str = "/v1/tenants/{name}/vm-subnets/{resource}/leases";
pub const COUNTERS: &str = "/v1/tenants/{name}/counters";
pub const HOST_STATUS: &str = "/v1/hosts/{name}/status";
pub const TUNNELS: &str = "/v1/hosts/{name}/tunnels";
/// Open to everybody.
pub const OPENAPI: &str = "/v1/openapi.json";
/// Open to everybody.
pub const HEALTH: &str = "/healthz";

/// The media type of exports: one JSON value a line.
pub const JSON_LINES: &str = "application/x-ndjson";
/// The media type of backups.
pub const OCTETS: &str = "application/octet-stream";
/// The media type of a watch (WHATWG HTML, "Server-sent events").
pub const EVENT_STREAM: &str = "text/event-stream";
/// The event of a watch that tells why it ends; its data is a problem.
pub const PROBLEM_EVENT: &str = "problem";

/// Most bytes of an export, an import and a backup: a hundred thousand ports take about a tenth of it.
pub const MAX_BULK_BYTES: usize = 1 << 30;

/// Most bytes of the body of a caller who is no admin: room for changes of thousands of ports, and little enough that one
/// tenant with all connections does not use the controller's memory up.
pub const MAX_TENANT_BODY_BYTES: usize = 2 << 20;

/// The path of all resources of a kind: of a tenant, or of all of them.
pub fn collection(kind: Kind, tenant: Option<&ResourceName>) -> String {
    match tenant {
        Some(tenant) if kind.has_tenant() => format!("/v1/tenants/{}/{}", segment(tenant), kind.plural()),
        _ => format!("/v1/{}", kind.plural()),
    }
}

/// The path of one resource.
pub fn resource(key: &Key) -> String {
    format!("{}/{}", collection(key.kind, key.tenant.as_ref()), segment(&key.name))
}

/// The path of a token.
pub fn token(name: &ResourceName) -> String {
    format!("{TOKENS}/{}", segment(name))
}

/// One of the paths above that are below a tenant, of it and of what it owns.
pub fn below_tenant(path: &str, tenant: &ResourceName, resource: Option<&ResourceName>) -> String {
    let path = path.replace("{name}", &segment(tenant).to_string());
    resource.map_or(path.clone(), |resource| path.replace("{resource}", &segment(resource).to_string()))
}

/// One of the paths above that are below a host.
pub fn below_host(path: &str, host: &ResourceName) -> String {
    path.replace("{name}", &segment(host).to_string())
}

/// The path of a user.
pub fn user(name: &ResourceName) -> String {
    format!("{USERS}/{}", segment(name))
}

/// The path of a user's password.
pub fn password(name: &ResourceName) -> String {
    format!("{}/password", user(name))
}

/// A name as one segment of a path.
pub fn segment(name: &ResourceName) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(name.as_str(), NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenants_resource_is_below_its_tenant() {
        let name = |text: &str| text.parse::<ResourceName>().unwrap();
        let pool = Key::new(Kind::IpPool, Some(name("blue")), name("CA Pool"));
        assert_eq!(resource(&pool), "/v1/tenants/blue/ip-pools/CA%20Pool");
        assert_eq!(resource(&Key::global(Kind::Tenant, &name("blue"))), "/v1/tenants/blue");
        assert_eq!(resource(&Key::global(Kind::Host, &name("host15"))), "/v1/hosts/host15");
        assert_eq!(collection(Kind::Port, None), "/v1/ports");
    }

    #[test]
    fn what_is_asked_is_below_what_it_is_about() {
        let name = |text: &str| text.parse::<ResourceName>().unwrap();
        let counters = below_tenant(PORT_COUNTERS, &name("blue"), Some(&name("my port")));
        assert_eq!(counters, "/v1/tenants/blue/ports/my%20port/counters");
        assert_eq!(below_tenant(COUNTERS, &name("blue"), None), "/v1/tenants/blue/counters");
        assert_eq!(below_host(TUNNELS, &name("host15")), "/v1/hosts/host15/tunnels");
    }
}
