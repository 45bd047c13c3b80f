//! A tenant's pages: what it has and what it may have, networks made on one page, ports, security groups as tables, gateway
//! connections with what the other side needs, leases, what was done, and where a packet would go.
//!
//! What has no page here is shown by `resources`; `new/yaml` and `NAME/edit` take any declaration as YAML.

mod activity;
mod connection;
mod group;
mod guided;
mod leases;
mod network;
mod overview;
mod pieces;
mod port;
#[cfg(test)]
pub mod testing;
mod topology;
mod trace;

use api::Problem;
use api::fabric::PageAnswer;
use model::fabric::{Kind, ResourceName};

use super::fabric::pools;
use super::{nowhere, resources};
use crate::context::View;

/// Answers for a path below the tenant's.
///
/// # Errors
/// See [`super::answer`].
pub fn answer(view: &View<'_>, tenant: &ResourceName, rest: &[&str]) -> Result<PageAnswer, Problem> {
    // Another tenant is to a tenant as one that there is not.
    if view.confined_to().is_some_and(|own| own != tenant) {
        return Err(nowhere());
    }
    match rest {
        [] => overview::answer(view, tenant),
        ["topology.svg"] => topology::file(view, tenant),
        ["vm-networks", "new"] => guided::answer(view, tenant),
        ["vm-networks", name] => network::answer(view, tenant, name),
        ["vm-networks", name, "subnet"] => guided::add(view, tenant, name),
        ["vm-networks", name, "traffic"] => network::traffic::answer(view, tenant, name),
        ["ports"] => port::list(view, tenant),
        ["ports", "new"] => port::form::new(view, tenant),
        ["ports", name] => port::answer(view, tenant, name),
        ["ports", name, "change"] => port::form::change(view, tenant, name),
        ["security-groups", "new"] => group::editor::new(view, tenant),
        ["security-groups", name] => group::answer(view, tenant, name),
        ["security-groups", name, "rules"] => group::editor::change(view, tenant, name),
        ["gateway-connections"] => connection::list(view, tenant),
        ["gateway-connections", "new"] => connection::form::new(view, tenant),
        ["gateway-connections", name] => connection::answer(view, tenant, name),
        ["gateway-connections", name, "change"] => connection::form::change(view, tenant, name),
        ["ip-pools", name] if *name != "new" => pools::ip_pool(view, tenant, &View::name(name)?),
        ["leases"] => leases::answer(view, tenant),
        ["activity"] => activity::answer(view, tenant),
        ["trace"] => trace::answer(view, tenant),
        [plural, "new", "yaml"] => resources::answer(view, kind(plural)?, Some(tenant), &["new"]),
        [plural, rest @ ..] => resources::answer(view, kind(plural)?, Some(tenant), rest),
    }
}

fn kind(plural: &str) -> Result<Kind, Problem> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.has_tenant() && kind.plural() == plural);
    kind.ok_or_else(nowhere)
}

#[cfg(test)]
mod tests {
    use api::fabric::{Change, ChangeSet, Role};

    use super::testing::{Desk, EVIL, admin};

    /// Every page of the tenant that can be opened.
    const PAGES: [&str; 24] = [
        "/t/blue",
        "/t/blue/vm-networks",
        "/t/blue/vm-networks/new",
        "/t/blue/vm-networks/new/yaml",
        "/t/blue/vm-networks/front",
        "/t/blue/vm-networks/front/subnet",
        "/t/blue/vm-networks/front/traffic",
        "/t/blue/vm-subnets/web",
        "/t/blue/ip-pools/web%20pool",
        "/t/blue/ports",
        "/t/blue/ports/new",
        "/t/blue/ports/www",
        "/t/blue/ports/www/change",
        "/t/blue/security-groups",
        "/t/blue/security-groups/new",
        "/t/blue/security-groups/servers",
        "/t/blue/security-groups/servers/rules",
        "/t/blue/gateway-connections",
        "/t/blue/gateway-connections/new?service=ipsec",
        "/t/blue/gateway-connections/home",
        "/t/blue/gateway-connections/home/change",
        "/t/blue/leases",
        "/t/blue/activity",
        "/t/blue/trace?from=www&to=10.10.1.6",
    ];

    #[test]
    fn html_in_every_stored_field_stays_text() {
        let desk = Desk::of_blue();
        for page in PAGES {
            let shown = desk.get(page);
            assert_eq!(shown.status, 200, "{page}: {}", shown.text);
            shown.lacks(EVIL);
        }
        desk.get("/t/blue/ports/www").has("&lt;script&gt;alert(1)");
    }

    #[test]
    fn a_tenant_sees_nothing_of_another() {
        let desk = Desk::of_blue();
        for page in PAGES {
            desk.get(page).lacks("hidden-").lacks("10.66.");
        }
        for page in PAGES {
            let shown = desk.get(&page.replace("/t/blue", "/t/red"));
            assert_eq!(shown.status, 404, "{page}");
            shown.lacks("hidden-").has("There is no such page");
        }
        let there = desk.get("/t/red/ports/hidden-port").text.replace("hidden-port", "NAME");
        let not_there = desk.get("/t/red/ports/not-there-port").text.replace("not-there-port", "NAME");
        assert_eq!(there, not_there, "not even by guessing");
    }

    #[test]
    fn a_form_without_its_sessions_token_changes_nothing() {
        let desk = Desk::of_blue();
        let other = Desk::of_blue();
        let (before, form) = (desk.revision(), [("name", "mine"), ("subnet", "web")]);
        for token in ["", "wrong", &other.csrf] {
            let shown = desk.post_with(token, "/t/blue/ports/new", &form);
            assert_eq!((shown.status, desk.revision()), (409, before), "{token}");
            shown.has("mine");
            assert_eq!(desk.post_with(token, "/sign-out", &[]).location, "/", "nobody is signed out by it");
            assert_eq!(desk.get("/t/blue").status, 200);
        }
        assert_eq!(desk.post("/t/blue/ports/new", &form).status, 303);
    }

    #[test]
    fn an_operator_is_shown_the_same_and_a_reader_no_buttons() {
        let desk = Desk::of(Role::Admin, None);
        for page in PAGES {
            let shown = desk.get(page);
            assert_eq!(shown.status, 200, "{page}: {}", shown.text);
            shown.lacks("hidden-").lacks(EVIL);
        }
        let desk = Desk::of(Role::Reader, Some("blue"));
        for page in ["/t/blue", "/t/blue/ports", "/t/blue/ports/www", "/t/blue/security-groups/servers"] {
            desk.get(page).lacks("/new\"").lacks("/change\"").lacks("/rules\"");
        }
        let refused = desk.post("/t/blue/ports/new", &[("name", "mine"), ("subnet", "web")]);
        assert_eq!(refused.status, 403);
        refused.has("value=\"mine\"");
    }

    #[test]
    fn every_page_is_there_in_both_languages_and_small() {
        for (language, command) in [("en", "The same on the command line"), ("zh-CN", "命令行等价操作")] {
            let desk = Desk::of_blue().reading(language);
            for page in PAGES {
                let shown = desk.get(page);
                assert!(shown.text.len() < 100_000, "{page} has {} bytes", shown.text.len());
                shown.has(command).has("<h1>").has(&format!("<html lang=\"{language}\""));
            }
        }
    }

    #[test]
    fn thousands_of_ports_do_not_make_pages_large() {
        let desk = Desk::of_blue();
        let port = |number: usize| {
            let spec = format!(
                "{{kind: port, tenant: blue, name: port-with-a-long-name-{number}, spec: {{vmNetwork: front, vmSubnet: web, \
                 vmName: vm-with-a-long-name-{number}, mac: 02-00-00-00-{:02X}-{:02X}, addresses: [10.10.1.5, 'fd00::5']}}}}",
                number / 256,
                number % 256,
            );
            let resource = model::fabric::resources_from_yaml(&spec).unwrap().remove(0);
            Change::Create(resource)
        };
        let changes = (0..3000).map(port).collect();
        desk.api.change(&admin(), ChangeSet { changes, ..ChangeSet::default() }).unwrap();
        for page in PAGES {
            let shown = desk.get(page);
            assert!(shown.text.len() < 100_000, "{page} has {} bytes", shown.text.len());
        }
        let next = desk.get("/t/blue/ports").text.split("after=").nth(1).map(str::len);
        assert!(next.is_some(), "the list goes on");
    }
}
