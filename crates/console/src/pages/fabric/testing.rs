//! A fabric in memory with hosts, tenants and a gateway, and people who look at it, for the tests of an operator's pages.

use std::sync::Arc;

use api::fabric::accounts::{NewUser, SignIn};
use api::fabric::memory::MemoryFabric;
use api::fabric::{
    Caller, CallerKind, Change, ChangeSet, ConnectionStatus, FabricApi, FamilyUsage, GatewayHostStatus,
    HostRealization, Item, LastMove, PageAnswer, PageBody, PageMethod, PageRequest, Pages, PortDevice, Realized, Role,
    Status,
};
use model::fabric::{Allocation, Key, Kind, Resource, ResourceName, resources_from_yaml};
use model::gateway::ConnectionState;

use crate::Console;

/// What somebody would type to have it run as a script.
pub const EVIL: &str = "<script>alert(1)</script>";

/// What there is. Every text that may be anything has a script in it; names may not.
const DECLARED: &str = "
{kind: logical-network, name: TDIv2, spec: {networkVirtualization: true, description: '<script>alert(1)</script>',
  sites: [{name: Rack 1, hosts: [host15], subnets: [{prefix: 192.168.4.0/24, vlan: 42}]}],
  providerPools: [{name: PA Pool, prefix: 192.168.4.0/24, ranges: [192.168.4.10-192.168.4.19]}]}}
---
{kind: mac-pool, name: default, spec: {ranges: [00-1D-D8-B7-1C-00..00-1D-D8-F4-1F-FF]}}
---
{kind: host, name: host15, spec: {uplinks: [{interface: eth0, addresses: [192.168.4.15/24], logicalNetworks: [TDIv2]}], description: '<script>alert(1)</script>'}}
---
{kind: host, name: host16, spec: {uplinks: [{interface: eth0, addresses: [192.168.4.16/24]}]}}
---
{kind: tenant, name: blue, spec: {quota: {vmNetworks: 4, ports: 1}, description: '<script>alert(1)</script>'}}
---
{kind: gateway, name: edge, spec: {logicalNetwork: TDIv2, hosts: [{host: host15, interface: eth9}, {host: host16, interface: eth9}],
  networks: [{prefix: 198.51.100.0/24, nextHop: 198.51.100.1, ranges: [198.51.100.10-198.51.100.20]}], description: '<script>alert(1)</script>'}}
---
{kind: vm-network, tenant: blue, name: front, spec: {logicalNetwork: TDIv2}}
---
{kind: vm-subnet, tenant: blue, name: web, spec: {vmNetwork: front, prefixes: [10.10.1.0/24]}}
---
{kind: ip-pool, tenant: blue, name: web pool, spec: {vmSubnet: web, ranges: [10.10.1.100-10.10.1.199]}}
---
{kind: port, tenant: blue, name: www, spec: {host: host15, vmNetwork: front, vmSubnet: web, vmName: '<script>alert(1)</script>'}}
---
{kind: port, tenant: blue, name: elsewhere, spec: {host: host16, vmNetwork: front, vmSubnet: web}}
---
{kind: gateway-connection, tenant: blue, name: home, spec: {vmNetwork: front, gateway: edge, nat: {}, description: '<script>alert(1)</script>'}}
";

/// A console, and somebody who has signed in.
pub struct Desk {
    console: Console,
    /// The fabric behind it.
    pub api: Arc<MemoryFabric>,
    secret: String,
    csrf: String,
}

/// What was answered.
pub struct Shown {
    /// The status.
    pub status: u16,
    /// Where it leads, if it leads on.
    pub location: String,
    /// The header field that keeps it out of caches.
    pub cache: String,
    /// The page.
    pub text: String,
}

fn name(text: &str) -> ResourceName {
    text.parse().unwrap()
}

/// An admin with a token.
pub fn admin() -> Caller {
    Caller { kind: CallerKind::Token, name: name("admin"), role: Role::Admin, tenant: None }
}

/// The port that moves in these tests.
pub fn www() -> Key {
    Key::new(Kind::Port, Some(name("blue")), name("www"))
}

impl Desk {
    /// Somebody of this role.
    pub fn of(role: Role, tenant: Option<&str>) -> Self {
        let fabric = Arc::new(MemoryFabric::new());
        let api: Arc<dyn FabricApi> = fabric.clone();
        let create = |resource: Resource| Change::Put { resource, revision: None };
        let changes = resources_from_yaml(DECLARED).unwrap().into_iter().map(create).collect();
        api.change(&admin(), ChangeSet { changes, ..ChangeSet::default() }).unwrap();
        let (user, password) = ("somebody", "a long password");
        let tenant = tenant.map(name);
        api.create_user(&admin(), NewUser { name: name(user), role, tenant, password: Some(password.into()) }).unwrap();
        let sign_in = SignIn { name: user.into(), password: password.into(), from: [127, 0, 0, 1].into() };
        let secret = api.sign_in(sign_in).unwrap().secret.as_str().to_owned();
        let csrf = api.session(&secret).unwrap().csrf;
        Self { console: Console { api, providers: crate::openid::Providers::default() }, api: fabric, secret, csrf }
    }

    fn ask(&self, method: PageMethod, address: &str, more: &[(&str, &str)], body: Vec<u8>) -> Shown {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let cookie = format!("__Host-netvirt={}", self.secret);
        let mut fields = vec![("cookie", cookie.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        fields.extend(more);
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let (path, query) = (path.to_owned(), query.to_owned());
        let PageAnswer { status, fields, body } =
            self.console.answer(&PageRequest { method, path, query, fields, body, peer: None });
        let PageBody::Whole(body) = body else { panic!("{address} is a stream") };
        let field = |wanted: &str| fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
        let (location, cache) = (field("location").unwrap_or_default(), field("cache-control").unwrap_or_default());
        Shown { status, location, cache, text: String::from_utf8(body).unwrap() }
    }

    /// Opens a page. No page may have what was typed as anything but text.
    #[track_caller]
    pub fn get(&self, address: &str) -> Shown {
        let shown = self.ask(PageMethod::Get, address, &[], Vec::new());
        assert!(!shown.text.contains(EVIL), "{address} has a script of somebody's in it:\n{}", shown.text);
        shown
    }

    /// A file, which is no page: what people typed stands in it as it is.
    pub fn ask_file(&self, address: &str) -> String {
        self.ask(PageMethod::Get, address, &[], Vec::new()).text
    }

    /// What the page's script gets when it asks for the page again.
    pub fn again(&self, address: &str) -> Shown {
        self.ask(PageMethod::Get, address, &[("x-fragment", "1")], Vec::new())
    }

    /// Sends a form.
    #[track_caller]
    pub fn post(&self, address: &str, pairs: &[(&str, &str)]) -> Shown {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("csrf", &self.csrf)
            .extend_pairs(pairs)
            .finish();
        let shown = self.ask(PageMethod::Post, address, &[], form.into_bytes());
        assert!(!shown.text.contains(EVIL), "{address} has a script of somebody's in it:\n{}", shown.text);
        shown
    }

    /// A resource.
    pub fn item(&self, kind: Kind, tenant: Option<&str>, of: &str) -> Item {
        self.api.get(&admin(), &Key::new(kind, tenant.map(name), name(of))).unwrap()
    }

    /// The revision of a resource, as a form carries it.
    pub fn revision(&self, kind: Kind, tenant: Option<&str>, of: &str) -> String {
        self.item(kind, tenant, of).revision.to_string()
    }

    /// A host that is away and one that has found something; a gateway in trouble, and a connection that is down.
    pub fn say_of_hosts(&self) {
        let waiting_for =
            vec![HostRealization { host: name("host15"), reason: "its agent is not connected".to_owned() }];
        let away = Status {
            connected: Some(false),
            version: Some(EVIL.to_owned()),
            realized: Some(Realized { hosts: 0, of: 1, waiting_for }),
            last_seen: Some("2026-11-30T12:00:00Z".to_owned()),
            allocation: Allocation {
                provider_addresses: vec!["192.168.4.12/24".parse().unwrap()],
                ..Allocation::default()
            },
            ..Status::default()
        };
        let found = Status {
            connected: Some(true),
            findings: vec![format!("port test02 waits for its device {EVIL}")],
            ..Status::default()
        };
        let trouble = Some("host host16 has not reported; is \"netvirt gateway\" running there?".to_owned());
        let of_gateway = |host, active, trouble| GatewayHostStatus { host: name(host), active, standby: 0, trouble };
        let gateway = Status {
            gateway_hosts: vec![of_gateway("host15", 1, None), of_gateway("host16", 0, trouble)],
            families: vec![FamilyUsage { family: "IPv4".to_owned(), used: 1, total: 11 }],
            ..Status::default()
        };
        let connection = ConnectionStatus {
            state: ConnectionState::Down,
            reason: Some(format!("the peer does not answer {EVIL}")),
            host: name("host15"),
            standby: vec![name("host16")],
            vsid: 5001.try_into().unwrap(),
            external: vec!["198.51.100.10/24".parse().unwrap()],
            shared: None,
            report: None,
        };
        let connection = Status { connection: Some(connection), ..Status::default() };
        let set = |kind, tenant: Option<&str>, of, status| {
            self.api.set_status(&Key::new(kind, tenant.map(name), name(of)), status).unwrap();
        };
        set(Kind::Host, None, "host15", away);
        set(Kind::Host, None, "host16", found);
        set(Kind::Gateway, None, "edge", gateway);
        set(Kind::GatewayConnection, Some("blue"), "home", connection);
    }

    /// A port that has moved from one host to the other, of which not all hosts know yet.
    pub fn say_of_move(&self) {
        let moved = LastMove { from: name("host16"), to: name("host15"), flows: 3, lost: Some(2), sent_on: 7 };
        let waiting_for = vec![HostRealization { host: name("host15"), reason: format!("it is busy {EVIL}") }];
        let status = Status {
            device: Some(PortDevice::Bound),
            last_move: Some(moved),
            realized: Some(Realized { hosts: 1, of: 2, waiting_for }),
            allocation: Allocation { came_from: Some(name("host16")), ..Allocation::default() },
            ..Status::default()
        };
        self.api.set_status(&www(), status).unwrap();
    }
}

impl Shown {
    /// Asserts that it has this text, as HTML.
    #[track_caller]
    pub fn has(&self, text: &str) -> &Self {
        assert!(self.text.contains(text), "{text} is not in the page:\n{}", self.text);
        self
    }

    /// Asserts that it has this text, as a person reads it.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        self.has(&maud::html! { (text) }.into_string())
    }

    /// Asserts that it does not have this text.
    #[track_caller]
    pub fn lacks(&self, text: &str) -> &Self {
        assert!(!self.text.contains(text), "{text} is in the page:\n{}", self.text);
        self
    }

    /// Asserts that it leads on, and that what it leads to is there.
    #[track_caller]
    pub fn leads_on(&self, desk: &Desk) -> Shown {
        assert_eq!(self.status, 303, "{}", self.text);
        let shown = desk.get(&self.location);
        assert_eq!(shown.status, 200, "{}", shown.text);
        shown
    }

    /// The text between these two.
    #[track_caller]
    pub fn between(&self, before: &str, after: &str) -> String {
        let rest = self.text.split_once(before).map(|(_, rest)| rest);
        let found = rest.and_then(|rest| rest.split_once(after)).map(|(found, _)| found.to_owned());
        found.unwrap_or_else(|| panic!("{before} … {after} is not in the page:\n{}", self.text))
    }
}
