//! Tenants: how much each may have, and how much it has.

use std::collections::BTreeMap;

use api::fabric::{Change, Item, PageAnswer};
use api::{Problem, ProblemType};
use maud::{Markup, html};
use model::fabric::{Key, Kind, Quota, Resource, ResourceName, Tenant};

use super::pieces::{self, number};
use crate::context::View;
use crate::layout;
use crate::pages::resources;
use crate::pages::resources::list::{pager, search_form, watched};
use crate::pages::resources::{edit, yaml};
use crate::texts::common::*;
use crate::texts::fabric::*;

/// Answers for a path below `/fabric/tenants`.
///
/// # Errors
/// See [`crate::pages::answer`].
pub fn answer(view: &View<'_>, rest: &[&str]) -> Result<PageAnswer, Problem> {
    match rest {
        [] => list(view),
        ["new"] => new(view),
        [name] => page(view, &View::name(name)?),
        _ => resources::answer(view, Kind::Tenant, None, rest),
    }
}

/// The kinds that a quota is about.
fn kinds() -> impl Iterator<Item = Kind> {
    Kind::ALL.into_iter().filter(|kind| kind.has_tenant())
}

/// How many a tenant has of each kind.
fn in_use(view: &View<'_>, tenant: &ResourceName) -> Result<BTreeMap<String, u64>, Problem> {
    Ok(view.context.api.status(&pieces::as_tenant(view, tenant))?.resources)
}

fn list(view: &View<'_>) -> Result<PageAnswer, Problem> {
    let page = pieces::listed(view, Kind::Tenant)?;
    let search = view.context.query.text("q");
    let actions = html! {
        @if view.may_change() { a.button.main href="/fabric/tenants/new" { (view.t(CREATE)) } }
    };
    let rows = page.items.iter().map(|item| row(view, item)).collect::<Result<Vec<Markup>, Problem>>()?;
    let columns = [NAME, VM_NETWORKS, VM_SUBNETS, PORTS, GATEWAY_CONNECTIONS, DESCRIPTION];
    let body = html! {
        (layout::heading(view.t(TENANTS), &[], &actions))
        (layout::done(view))
        (search_form(view, search))
        div #list data-live=(watched(Kind::Tenant, None)) {
            (pieces::list(view, TENANTS, &columns, &rows))
            (pager(view, page.continue_token.as_deref(), search))
        }
        (layout::command(view, &["netvirt get tenants".to_owned()]))
    };
    Ok(layout::page(view, view.t(TENANTS), &body))
}

fn row(view: &View<'_>, item: &Item) -> Result<Markup, Problem> {
    let spec: Tenant = pieces::spec(item)?;
    let used = in_use(view, &item.name)?;
    let shown = [Kind::VmNetwork, Kind::VmSubnet, Kind::Port, Kind::GatewayConnection];
    Ok(html! {
        th scope="row" { (pieces::link(&item.key())) }
        @for kind in shown { td { (use_of(view, kind, &spec.quota, &used)) } }
        td { (spec.description.unwrap_or_default()) }
    })
}

/// How much of what it may have of a kind a tenant has.
fn use_of(view: &View<'_>, kind: Kind, quota: &Quota, used: &BTreeMap<String, u64>) -> Markup {
    let used = used.get(kind.as_str()).copied().unwrap_or_default();
    match quota.of(kind) {
        Some(most) => html! {
            (pieces::usage(view, used, u64::from(most)))
            @if used >= u64::from(most) { " " (layout::mark("wait", view.t(FULL))) }
        },
        None => html! { (number(used)) },
    }
}

/// What the form says.
fn typed(view: &View<'_>) -> Result<Tenant, Problem> {
    let form = &view.context.form;
    let limit = |kind: Kind| form.parse::<u32>(kind.plural());
    let quota = Quota {
        vm_networks: limit(Kind::VmNetwork)?,
        vm_subnets: limit(Kind::VmSubnet)?,
        ip_pools: limit(Kind::IpPool)?,
        customer_routes: limit(Kind::CustomerRoute)?,
        ports: limit(Kind::Port)?,
        security_groups: limit(Kind::SecurityGroup)?,
        address_sets: limit(Kind::AddressSet)?,
        gateway_connections: limit(Kind::GatewayConnection)?,
    };
    Ok(Tenant { quota, description: form.given("description").map(str::to_owned) })
}

fn new(view: &View<'_>) -> Result<PageAnswer, Problem> {
    let form = &view.context.form;
    let mut refused = None;
    if view.context.is_post() {
        let made = form.need::<ResourceName>("name").and_then(|name| {
            let resource = Resource::new(None, name, typed(view)?);
            let key = resource.key();
            edit::changed(view, vec![Change::Create(resource)])?;
            Ok(key)
        });
        match made {
            Ok(key) => return Ok(edit::see_done(&key, "created")),
            Err(problem) => refused = Some(problem),
        }
    }
    let status = refused.as_ref().map_or(200, |problem| problem.status);
    let title = view.t(NEW_TENANT);
    let body = html! {
        (layout::heading(title, &[pieces::crumb(view, Kind::Tenant)], &html! {}))
        @if let Some(problem) = &refused { (layout::problem(&view.context, problem)) }
        form.card method="post" {
            (layout::csrf(view))
            (pieces::field(view, NAME, None, &html! {
                input name="name" required maxlength="63" autocomplete="off" value=(form.text("name"));
            }))
            (fields(view, &Tenant::default(), &BTreeMap::new()))
            div.buttons {
                button.main type="submit" { (view.t(CREATE)) }
                a.button href="/fabric/tenants" { (view.t(CANCEL)) }
            }
        }
        (layout::command(view, &["netvirt create tenant '<NAME>' --vm-networks 4 --ports 20".to_owned()]))
    };
    Ok(layout::with_status(view, status, title, &body))
}

fn page(view: &View<'_>, name: &ResourceName) -> Result<PageAnswer, Problem> {
    let key = Key::global(Kind::Tenant, name);
    let item = view.context.api.get(view.caller(), &key)?;
    let mut refused = None;
    if view.context.is_post() {
        let done = typed(view).and_then(|spec| {
            let resource = Resource::new(None, name.clone(), spec);
            edit::changed(view, vec![Change::Replace { resource, revision: view.context.form.parse("revision")? }])
        });
        match done {
            Ok(()) => return Ok(edit::see_done(&key, "changed")),
            Err(problem) => refused = Some(problem),
        }
    }
    shown(view, &item, refused.as_ref())
}

fn shown(view: &View<'_>, item: &Item, refused: Option<&Problem>) -> Result<PageAnswer, Problem> {
    let key = item.key();
    let spec: Tenant = pieces::spec(item)?;
    let used = in_use(view, &item.name)?;
    let status = refused.map_or(200, |problem| problem.status);
    let conflict = refused.is_some_and(|problem| problem.problem_type == ProblemType::PreconditionFailed);
    let actions = html! {
        a.button.main href=(layout::tenant_address(&item.name)) { (view.t(PORTAL)) }
        @if view.may_change() { a.button.danger href={ (layout::address(&key)) "/delete" } { (view.t(DELETE)) } }
    };
    let body = html! {
        (layout::heading(item.name.as_str(), &[pieces::crumb(view, Kind::Tenant)], &actions))
        (layout::done(view))
        h2 { (view.t(QUOTA_AND_USE)) }
        @if let Some(problem) = refused { (layout::problem(&view.context, problem)) }
        @if conflict { (edit::as_it_is(view, &yaml(item))) }
        @if view.may_change() {
            form.card method="post" {
                (layout::csrf(view))
                input type="hidden" name="revision" value=(item.revision);
                (fields(view, &spec, &used))
                button.main type="submit" { (view.t(SAVE)) }
            }
        } @else {
            dl.facts {
                @if let Some(text) = &spec.description { dt { (view.t(DESCRIPTION)) } dd { (text) } }
                @for kind in kinds() { dt { (view.t(layout::kind_text(kind))) } dd { (use_of(view, kind, &spec.quota, &used)) } }
            }
        }
        (layout::command(view, &[format!("netvirt set tenant {} --vm-networks 4 --ports 20", layout::word(item.name.as_str()))]))
    };
    Ok(layout::with_status(view, status, item.name.as_str(), &body))
}

/// The fields of a tenant: as typed if a form was sent, as they are otherwise; beside each limit what is in use.
fn fields(view: &View<'_>, spec: &Tenant, used: &BTreeMap<String, u64>) -> Markup {
    let form = &view.context.form;
    let limit = |kind: Kind| {
        let now = spec.quota.of(kind).map(|most| most.to_string()).unwrap_or_default();
        form.first(kind.plural()).map_or(now, str::to_owned)
    };
    let description = form.first("description").or(spec.description.as_deref()).unwrap_or_default();
    html! {
        (pieces::field(view, DESCRIPTION, None, &html! { input name="description" value=(description); }))
        fieldset {
            legend { (view.t(QUOTA)) }
            p.hint { (view.t(QUOTA_HINT)) }
            div.quota {
                @for kind in kinds() {
                    label.field {
                        span { (view.t(layout::kind_text(kind))) }
                        small { (view.tf(IN_USE, &[&number(used.get(kind.as_str()).copied().unwrap_or_default())])) }
                        // Text, so that what is no number comes back as it was typed.
                        input name=(kind.plural()) inputmode="numeric" autocomplete="off" value=(limit(kind))
                            placeholder=(view.t(NO_LIMIT));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Desk, EVIL};
    use api::fabric::Role;
    use model::fabric::Kind;

    const BLUE: &str = "/fabric/tenants/blue";

    #[test]
    fn a_quota_is_changed_beside_what_is_in_use() {
        let desk = Desk::of(Role::Admin, None);
        desk.get("/fabric/tenants").has("1 of 4").has("2 of 1").has("full").says("<script>alert(1)</script>");
        desk.get(BLUE).has("2 in use").has("href=\"/t/blue\"").has("name=\"ports\"");
        let revision = desk.revision(Kind::Tenant, None, "blue");
        let form = [("revision", revision.as_str()), ("ports", "20"), ("vm-networks", ""), ("description", EVIL)];
        desk.post(BLUE, &form).leads_on(&desk).says("tenant \"blue\" was changed.");
        let item = desk.item(Kind::Tenant, None, "blue");
        assert_eq!(item.spec, serde_json::json!({ "quota": { "ports": 20 }, "description": EVIL }));
    }

    #[test]
    fn what_cannot_be_is_told_and_nothing_typed_is_lost() {
        let desk = Desk::of(Role::Admin, None);
        let revision = desk.revision(Kind::Tenant, None, "blue");
        let page = desk.post(BLUE, &[("revision", &revision), ("ports", "many"), ("description", EVIL)]);
        assert_eq!(page.status, 422);
        page.says("ports: \"many\"").has("value=\"many\"").says(EVIL);
        // Somebody else has changed it meanwhile: what is now stands beside what was typed.
        let page = desk.post(BLUE, &[("revision", "1"), ("ports", "77")]);
        assert_eq!(page.status, 412);
        page.has("Somebody else has changed this")
            .has("value=\"77\"")
            .has("vmNetworks: 4")
            .has(&format!("value=\"{revision}\""));
    }

    #[test]
    fn a_tenant_comes_and_goes() {
        let desk = Desk::of(Role::Admin, None);
        let page = desk.post("/fabric/tenants/new", &[("name", "a/b"), ("ports", "7")]);
        page.has("value=\"a/b\"").has("value=\"7\"").has("role=\"alert\"");
        let page = desk.post("/fabric/tenants/new", &[("name", "green"), ("ports", "7")]).leads_on(&desk);
        page.says("tenant \"green\" was created.").has("value=\"7\"");
        let revision = desk.revision(Kind::Tenant, None, "green");
        desk.get("/fabric/tenants/green/delete").says("Delete tenant \"green\"?");
        desk.post("/fabric/tenants/green/delete", &[("revision", &revision)]).leads_on(&desk).lacks("/tenants/green");
    }

    #[test]
    fn readers_and_tenants_are_refused() {
        let reader = Desk::of(Role::Reader, None);
        reader.get(BLUE).has("2 of 1").lacks("<form class=\"card\"").lacks("/delete");
        let revision = reader.revision(Kind::Tenant, None, "blue");
        assert_eq!(reader.post(BLUE, &[("revision", &revision), ("ports", "9")]).status, 403);
        assert_eq!(reader.post("/fabric/tenants/new", &[("name", "green")]).status, 403);
        let tenant = Desk::of(Role::Tenant, Some("blue"));
        assert_eq!(tenant.get(BLUE).status, 404);
        assert_eq!(tenant.post(BLUE, &[("revision", &revision), ("ports", "9")]).status, 404);
        assert_eq!(reader.revision(Kind::Tenant, None, "blue"), revision);
    }
}
