//! A fabric in memory with two tenants, and people who look at it, for the tests of these pages.

use std::sync::Arc;

use api::fabric::accounts::{NewUser, SignIn};
use api::fabric::memory::MemoryFabric;
use api::fabric::{
    Caller, CallerKind, Change, ChangeSet, FabricApi, PageAnswer, PageBody, PageMethod, PageRequest, Pages, Role,
};
use model::fabric::{Kind, Resource, resources_from_yaml};

use crate::Console;

/// What somebody would type to have it run as a script.
pub const EVIL: &str = "<script>alert(1)</script>";

/// What two tenants have. The second one's names stand nowhere else.
const DECLARED: &str = "
{kind: logical-network, name: TDIv2, spec: {networkVirtualization: true}}
---
{kind: tenant, name: blue, spec: {quota: {vmNetworks: 4, ports: 10}}}
---
{kind: tenant, name: red, spec: {}}
---
{kind: vm-network, tenant: blue, name: front, spec: {logicalNetwork: TDIv2, description: '<script>alert(1)</script>'}}
---
{kind: vm-subnet, tenant: blue, name: web, spec: {vmNetwork: front, prefixes: [10.10.1.0/24]}}
---
{kind: ip-pool, tenant: blue, name: web pool, spec: {vmSubnet: web, ranges: [10.10.1.100-10.10.1.199], dnsSuffixes: ['<script>alert(1)</script>']}}
---
{kind: address-set, tenant: blue, name: office, spec: {vmNetwork: front, prefixes: [10.2.0.0/16]}}
---
{kind: security-group, tenant: blue, name: servers, spec: {vmNetwork: front, description: '<script>alert(1)</script>', rules: [
  {direction: ingress, protocol: tcp, ports: [443], description: '<script>alert(1)</script>'}]}}
---
{kind: customer-route, tenant: blue, name: lab, spec: {vmNetwork: front, prefix: 10.99.0.0/16, nextHop: 10.10.1.9}}
---
{kind: port, tenant: blue, name: www, spec: {vmNetwork: front, vmSubnet: web, mac: 02-00-00-00-00-05, addresses: [10.10.1.5], vmName: '<script>alert(1)</script>', securityGroups: [servers]}}
---
{kind: gateway-connection, tenant: blue, name: home, spec: {vmNetwork: front, gateway: edge, description: '<script>alert(1)</script>',
  ipsec: {remote: 198.51.100.1, psk: swordfish, localId: '<script>alert(1)</script>', remotePrefixes: [10.20.0.0/16]}}}
---
{kind: vm-network, tenant: red, name: hidden-network, spec: {logicalNetwork: TDIv2}}
---
{kind: vm-subnet, tenant: red, name: hidden-subnet, spec: {vmNetwork: hidden-network, prefixes: [10.66.0.0/16]}}
---
{kind: port, tenant: red, name: hidden-port, spec: {vmNetwork: hidden-network, vmSubnet: hidden-subnet, vmName: hidden-vm}}
---
{kind: security-group, tenant: red, name: hidden-group, spec: {vmNetwork: hidden-network}}
";

/// A console, and somebody who has signed in.
pub struct Desk {
    console: Console,
    pub api: Arc<dyn FabricApi>,
    secret: String,
    pub csrf: String,
    language: &'static str,
}

/// What was answered.
pub struct Shown {
    pub status: u16,
    pub location: String,
    pub text: String,
}

/// An admin with a token.
pub fn admin() -> Caller {
    Caller { kind: CallerKind::Token, name: "admin".parse().unwrap(), role: Role::Admin, tenant: None }
}

impl Desk {
    /// Somebody of the tenant blue.
    pub fn of_blue() -> Self {
        Self::of(Role::Tenant, Some("blue"))
    }

    /// Somebody of the tenant blue, who has nothing, in a fabric without a logical network.
    pub fn without_logical_networks() -> Self {
        Self::with("{kind: tenant, name: blue, spec: {}}", Role::Tenant, Some("blue"))
    }

    /// Somebody of this role.
    pub fn of(role: Role, tenant: Option<&str>) -> Self {
        Self::with(DECLARED, role, tenant)
    }

    fn with(declared: &str, role: Role, tenant: Option<&str>) -> Self {
        let api: Arc<dyn FabricApi> = Arc::new(MemoryFabric::new());
        let create = |resource: Resource| Change::Put { resource, revision: None };
        let changes = resources_from_yaml(declared).unwrap().into_iter().map(create).collect();
        api.change(&admin(), ChangeSet { changes, ..ChangeSet::default() }).unwrap();
        let (name, password) = ("somebody", "a long password");
        let tenant = tenant.map(|tenant| tenant.parse().unwrap());
        let user = NewUser { name: name.parse().unwrap(), role, tenant, password: Some(password.into()) };
        api.create_user(&admin(), user).unwrap();
        let sign_in = SignIn { name: name.into(), password: password.into(), from: [127, 0, 0, 1].into() };
        let session = api.sign_in(sign_in).unwrap();
        let secret = session.secret.as_str().to_owned();
        let csrf = api.session(&secret).unwrap().csrf;
        Self {
            console: Console { api: Arc::clone(&api), providers: crate::openid::Providers::default() },
            api,
            secret,
            csrf,
            language: "en",
        }
    }

    /// Somebody who reads this language.
    pub fn reading(self, language: &'static str) -> Self {
        Self { language, ..self }
    }

    fn ask(&self, method: PageMethod, address: &str, body: Vec<u8>) -> Shown {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let fields = [
            ("cookie", format!("__Host-netvirt={}; netvirt-language={}", self.secret, self.language)),
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let (path, query) = (path.to_owned(), query.to_owned());
        let PageAnswer { status, fields, body } =
            self.console.answer(&PageRequest { method, path, query, fields, body, peer: None });
        let PageBody::Whole(body) = body else { panic!("{address} is a stream") };
        let location = fields.into_iter().find(|(name, _)| *name == "location").map(|(_, value)| value);
        Shown { status, location: location.unwrap_or_default(), text: String::from_utf8(body).unwrap() }
    }

    /// Opens a page.
    pub fn get(&self, address: &str) -> Shown {
        self.ask(PageMethod::Get, address, Vec::new())
    }

    /// Sends a form.
    pub fn post(&self, address: &str, pairs: &[(&str, &str)]) -> Shown {
        self.post_with(&self.csrf, address, pairs)
    }

    /// Sends a form with this in place of the session's token.
    pub fn post_with(&self, csrf: &str, address: &str, pairs: &[(&str, &str)]) -> Shown {
        let form =
            form_urlencoded::Serializer::new(String::new()).append_pair("csrf", csrf).extend_pairs(pairs).finish();
        self.ask(PageMethod::Post, address, form.into_bytes())
    }

    /// The names of the tenant blue's resources of a kind.
    pub fn names(&self, kind: Kind) -> Vec<String> {
        let query = api::fabric::ListQuery {
            kind,
            tenant: Some("blue".parse().unwrap()),
            limit: None,
            continue_token: None,
            search: None,
        };
        let page = self.api.list(&admin(), query).unwrap();
        page.items.into_iter().map(|item| item.name.to_string()).collect()
    }

    /// The revision of all that is declared: a draft leaves it alone.
    pub fn revision(&self) -> u64 {
        self.api.status(&admin()).unwrap().revision
    }
}

impl Shown {
    /// Asserts that it has this text.
    #[track_caller]
    pub fn has(&self, text: &str) -> &Self {
        assert!(self.text.contains(text), "{text} is not in the page:\n{}", self.text);
        self
    }

    /// Asserts that it does not.
    #[track_caller]
    pub fn lacks(&self, text: &str) -> &Self {
        assert!(!self.text.contains(text), "{text} is in the page:\n{}", self.text);
        self
    }
}
