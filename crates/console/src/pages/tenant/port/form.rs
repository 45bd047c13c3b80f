//! A port made or changed in fields: where it is connected, its addresses, its security groups. What has no field here stays
//! as it is.

use api::fabric::{Change, Item, PageAnswer};
use api::{Problem, ProblemType};
use maud::{Markup, html};
use model::fabric::{Addressing, IpPool, Key, Kind, Port, Resource, ResourceName, SecurityGroup, VmSubnet};

use crate::context::View;
use crate::forms::Form;
use crate::layout;
use crate::pages::resources::{as_it_is, changed, see_done, yaml};
use crate::pages::tenant::pieces::{all, crumb, field, joined, line, one, select, spec, specs};
use crate::texts::common::*;
use crate::texts::tenant::*;

/// What may be chosen from.
struct Choices {
    subnets: Vec<(ResourceName, VmSubnet)>,
    pools: Vec<(ResourceName, IpPool)>,
    groups: Vec<(ResourceName, SecurityGroup)>,
}

impl Choices {
    fn of(view: &View<'_>, tenant: &ResourceName) -> Result<Self, Problem> {
        fn named<T: serde::de::DeserializeOwned>(items: &[Item]) -> Vec<(ResourceName, T)> {
            specs(items).map(|(item, spec)| (item.name.clone(), spec)).collect()
        }
        Ok(Self {
            subnets: named(&all(view, Kind::VmSubnet, tenant)?),
            pools: named(&all(view, Kind::IpPool, tenant)?),
            groups: named(&all(view, Kind::SecurityGroup, tenant)?),
        })
    }
}

/// A new port.
///
/// # Errors
/// Those of the interface that no form can be shown for.
pub fn new(view: &View<'_>, tenant: &ResourceName) -> Result<PageAnswer, Problem> {
    let choices = Choices::of(view, tenant)?;
    let form = if view.context.is_post() { view.context.form.clone() } else { Form::default() };
    let mut refused = None;
    if view.context.is_post() {
        let made = form.need::<ResourceName>("name").and_then(|name| {
            let port = read(&form, Port::default(), &choices)?;
            let key = Key::new(Kind::Port, Some(tenant.clone()), name.clone());
            changed(view, vec![Change::Create(Resource::new(Some(tenant.clone()), name, port))])?;
            Ok(key)
        });
        match made {
            Ok(key) => return Ok(see_done(&key, "created")),
            Err(problem) => refused = Some(problem),
        }
    }
    let list = layout::list_address(Kind::Port, Some(tenant));
    let body = html! {
        (layout::heading(view.t(NEW_PORT), &[crumb(view, Kind::Port, tenant)], &html! {
            a.button href={ (list) "/new/yaml" } { (view.t(AS_YAML)) }
        }))
        @if let Some(problem) = &refused { (layout::problem(&view.context, problem)) }
        form.card method="post" novalidate {
            (layout::csrf(view))
            (field(view, NAME, None, &html! {
                input name="name" required maxlength="63" autocomplete="off" spellcheck="false" value=(form.text("name"));
            }))
            (fields(view, &form, &choices))
            div.buttons {
                button.main type="submit" { (view.t(CREATE)) }
                a.button href=(list) { (view.t(CANCEL)) }
            }
        }
        (layout::command(view, &[command("create", &form, tenant, "NAME")]))
    };
    Ok(layout::with_status(view, refused.map_or(200, |problem| problem.status), view.t(NEW_PORT), &body))
}

/// Changes a port.
///
/// # Errors
/// See [`new`].
pub fn change(view: &View<'_>, tenant: &ResourceName, name: &str) -> Result<PageAnswer, Problem> {
    let item = one(view, Kind::Port, tenant, name)?;
    let port: Port = spec(&item)?;
    let choices = Choices::of(view, tenant)?;
    let form = if view.context.is_post() { view.context.form.clone() } else { written(&port) };
    let mut refused = None;
    if view.context.is_post() {
        let done = read(&form, port, &choices).and_then(|port| {
            let resource = Resource::new(Some(tenant.clone()), item.name.clone(), port);
            changed(view, vec![Change::Replace { resource, revision: form.parse("revision")? }])
        });
        match done {
            Ok(()) => return Ok(see_done(&item.key(), "changed")),
            Err(problem) => refused = Some(problem),
        }
    }
    let conflict = refused.as_ref().is_some_and(|problem| problem.problem_type == ProblemType::PreconditionFailed);
    let address = layout::address(&item.key());
    let title = format!("{}: {}", item.name, view.t(EDIT));
    let crumbs = [crumb(view, Kind::Port, tenant), (address.clone(), item.name.to_string())];
    let body = html! {
        (layout::heading(&title, &crumbs, &html! { a.button href={ (address) "/edit" } { (view.t(AS_YAML)) } }))
        @if let Some(problem) = &refused { (layout::problem(&view.context, problem)) }
        @if conflict { (as_it_is(view, &yaml(&item))) }
        form.card method="post" novalidate {
            (layout::csrf(view))
            input type="hidden" name="revision" value=(item.revision);
            (fields(view, &form, &choices))
            div.buttons {
                button.main type="submit" { (view.t(SAVE)) }
                a.button href=(address) { (view.t(CANCEL)) }
            }
        }
        (layout::command(view, &[command("set", &form, tenant, name)]))
    };
    Ok(layout::with_status(view, refused.map_or(200, |problem| problem.status), &title, &body))
}

/// A port as the form would have it.
fn written(port: &Port) -> Form {
    let text = |name: Option<&ResourceName>| name.map(ToString::to_string).unwrap_or_default();
    let mut form = Form::default()
        // A port that names its VM network alone is in its only subnet; that stays so unless another one is chosen.
        .with("subnet", text(port.vm_subnet.as_ref()))
        .with("addressing", if port.addressing == Addressing::Learnt { "learnt" } else { "pool" })
        .with("pool", text(port.ip_pool.as_ref()))
        .with("addresses", joined(&port.addresses))
        .with("mac", port.mac.map(|mac| mac.to_string()).unwrap_or_default())
        .with("vmName", port.vm_name.clone().unwrap_or_default());
    for group in &port.security_groups {
        form = form.and("group", group.as_str());
    }
    form
}

/// What was typed, in the place of what a port had.
fn read(form: &Form, mut port: Port, choices: &Choices) -> Result<Port, Problem> {
    match form.parse::<ResourceName>("subnet")? {
        Some(name) => {
            let subnet = choices.subnets.iter().find(|(other, _)| *other == name);
            // One that has gone meanwhile is refused by the controller, which says so.
            port.vm_network = subnet.map(|(_, subnet)| subnet.vm_network.clone()).or(port.vm_network);
            port.vm_subnet = Some(name);
        }
        None if port.vm_subnet.is_some() => (port.vm_network, port.vm_subnet) = (None, None),
        None => {}
    }
    port.addressing = if form.text("addressing") == "learnt" { Addressing::Learnt } else { Addressing::Pool };
    port.ip_pool = form.parse("pool")?;
    port.addresses = form.list("addresses")?;
    port.mac = form.parse("mac")?;
    port.vm_name = form.given("vmName").map(str::to_owned);
    let group = |text: &str| text.parse().map_err(|error| Problem::invalid(format!("group: \"{text}\": {error}")));
    port.security_groups = form.all("group").map(group).collect::<Result<_, Problem>>()?;
    Ok(port)
}

fn fields(view: &View<'_>, form: &Form, choices: &Choices) -> Markup {
    let none = |text| (String::new(), view.t(text).to_owned());
    let subnet = |(name, subnet): &(ResourceName, VmSubnet)| {
        (name.to_string(), format!("{name} ({}, {})", subnet.vm_network, joined(&subnet.prefixes)))
    };
    let pool = |(name, pool): &(ResourceName, IpPool)| {
        (name.to_string(), format!("{name} ({}, {})", pool.vm_subnet, joined(&pool.ranges)))
    };
    let subnets: Vec<_> = std::iter::once(none(NOT_CONNECTED)).chain(choices.subnets.iter().map(subnet)).collect();
    let pools: Vec<_> = std::iter::once(none(ANY_POOL)).chain(choices.pools.iter().map(pool)).collect();
    let ways =
        [("pool", FROM_POOL), ("learnt", LEARNT)].map(|(value, text)| (value.to_owned(), view.t(text).to_owned()));
    let ticked = |name: &ResourceName| form.all("group").any(|group| group == name.as_str());
    html! {
        (field(view, SUBNET, None, &select("subnet", form.text("subnet"), &subnets)))
        (field(view, ADDRESSING, None, &select("addressing", form.text("addressing"), &ways)))
        (field(view, POOL, None, &select("pool", form.text("pool"), &pools)))
        (line(view, ADDRESSES, Some(ADDRESSES_HINT), "addresses", form.text("addresses")))
        (line(view, MAC, Some(MAC_HINT), "mac", form.text("mac")))
        (line(view, VM, Some(FOR_THE_READER), "vmName", form.text("vmName")))
        fieldset {
            legend { (view.t(SECURITY_GROUPS)) }
            @if choices.groups.is_empty() { p.hint { (view.t(NO_GROUPS)) } }
            @for (name, group) in &choices.groups {
                label.check {
                    input type="checkbox" name="group" value=(name) checked[ticked(name)];
                    span { (name) " " span.hint { "(" (group.vm_network) ")" } }
                }
            }
        }
    }
}

/// The command that does the same.
fn command(verb: &str, form: &Form, tenant: &ResourceName, name: &str) -> String {
    let mut line = format!("netvirt {verb} port {}", layout::word(form.given("name").unwrap_or(name)));
    for (field, flag) in [("subnet", "vm-subnet"), ("pool", "ip-pool"), ("mac", "mac"), ("vmName", "vm-name")] {
        if let Some(value) = form.given(field) {
            line.push_str(&format!(" --{flag} {}", layout::word(value)));
        }
    }
    if form.text("addressing") == "learnt" {
        line.push_str(" --addressing learnt");
    }
    for address in form.text("addresses").split([' ', ',']).filter(|word| !word.is_empty()) {
        line.push_str(&format!(" --address {}", layout::word(address)));
    }
    for group in form.all("group") {
        line.push_str(&format!(" --security-group {}", layout::word(group)));
    }
    if verb == "set" && form.all("group").next().is_none() {
        line.push_str(" --security-group ''");
    }
    line + &layout::for_tenant(Some(tenant))
}

#[cfg(test)]
mod tests {
    use model::fabric::Kind;

    use crate::pages::tenant::testing::{Desk, EVIL};

    #[test]
    fn a_port_is_made_in_fields() {
        let desk = Desk::of_blue();
        desk.get("/t/blue/ports/new")
            .has("web (front, 10.10.1.0/24)")
            .has("type=\"checkbox\" name=\"group\" value=\"servers\"");
        let form =
            [("name", "db"), ("subnet", "web"), ("addresses", "10.10.1.7"), ("group", "servers"), ("vmName", EVIL)];
        let shown = desk.post("/t/blue/ports/new", &form);
        assert_eq!((shown.status, shown.location.split('?').next()), (303, Some("/t/blue/ports/db")));
        desk.get("/t/blue/ports/db").has("10.10.1.7").lacks(EVIL).has("/vm-networks/front");
    }

    #[test]
    fn what_was_refused_comes_back_as_it_was_typed() {
        let desk = Desk::of_blue();
        let before = desk.revision();
        let form =
            [("name", "db"), ("subnet", "web"), ("mac", "no mac"), ("group", "servers"), ("vmName", "the <b>db</b>")];
        let shown = desk.post("/t/blue/ports/new", &form);
        assert_eq!((shown.status, desk.revision()), (422, before));
        shown
            .has("no mac")
            .has("the &lt;b&gt;db&lt;/b&gt;")
            .has("value=\"servers\" checked")
            .has("value=\"web\" selected");
        assert_eq!(desk.names(Kind::Port), ["www"]);
    }

    #[test]
    fn a_change_keeps_what_has_no_field_and_shows_a_conflict() {
        let desk = Desk::of_blue();
        let page = "/t/blue/ports/www/change";
        desk.get(page).has("value=\"10.10.1.5\"").has("value=\"servers\" checked");
        let form = [("revision", "1"), ("subnet", "web"), ("addresses", "10.10.1.6"), ("vmName", "mine")];
        let shown = desk.post(page, &form);
        assert_eq!(shown.status, 412);
        shown.has("As it is now").has("10.10.1.5").has("value=\"10.10.1.6\"");
        let revision = desk.revision().to_string();
        let form = [("revision", revision.as_str()), ("subnet", "web"), ("addresses", "10.10.1.6"), ("vmName", "mine")];
        assert_eq!(desk.post(page, &form).status, 303);
        desk.get("/t/blue/ports/www").has("10.10.1.6").lacks("10.10.1.5").lacks("/security-groups/servers");
    }
}
