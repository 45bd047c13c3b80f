//! Gateways: what each of their hosts does, which VM networks are on it, draining one, and the connections.

use std::collections::{BTreeMap, BTreeSet};

use api::fabric::{Change, GatewayHostStatus, Item, PageAnswer};
use api::{Problem, ProblemType};
use maud::{Markup, html};
use model::fabric::{Gateway, GatewayConnection, GatewayHost, Key, Kind, Resource, ResourceName};
use model::gateway::ConnectionState;

use super::pieces::{self, SIZE, gather};
use crate::context::View;
use crate::layout;
use crate::pages::resources;
use crate::pages::resources::list::{pager, search_form, watched};
use crate::pages::resources::{detail, edit, yaml};
use crate::texts::Text;
use crate::texts::common::*;
use crate::texts::fabric::*;

/// The columns of tables of connections.
pub const CONNECTION_COLUMNS: [Text; 8] = [NAME, TENANT, VM_NETWORK, GATEWAY, HOST, EXTERNAL, STATE, WHY];

/// Most VM networks that are named for each host; the rest is counted.
const NAMED: usize = 50;

/// Answers for a path below `/fabric/gateways`.
///
/// # Errors
/// See [`crate::pages::answer`].
pub fn answer(view: &View<'_>, rest: &[&str]) -> Result<PageAnswer, Problem> {
    match rest {
        [] => list(view),
        [name] if *name != "new" => page(view, &View::name(name)?),
        _ => resources::answer(view, Kind::Gateway, None, rest),
    }
}

fn list(view: &View<'_>) -> Result<PageAnswer, Problem> {
    let page = pieces::listed(view, Kind::Gateway)?;
    let search = view.context.query.text("q");
    let actions = html! {
        @if view.may_change() { a.button.main href="/fabric/gateways/new" { (view.t(CREATE)) } }
    };
    let row = |item: &Item| {
        html! {
            th scope="row" { (pieces::link(&item.key())) }
            td { (detail::plain(&item.spec["logicalNetwork"])) }
            td { @for host in &item.status.gateway_hosts { div { (pieces::host_link(&host.host)) " " (heard(view, host)) } } }
            td { (pieces::usage_of(view, item)) }
            td { (item.spec.get("description").map(detail::plain).unwrap_or_default()) }
        }
    };
    let rows: Vec<Markup> = page.items.iter().map(row).collect();
    let body = html! {
        (layout::heading(view.t(GATEWAYS), &[], &actions))
        (layout::done(view))
        (search_form(view, search))
        div #list data-live=(watched(Kind::Gateway, None)) {
            (pieces::list(view, GATEWAYS, &[NAME, LOGICAL_NETWORK, HOSTS, USE, DESCRIPTION], &rows))
            (pager(view, page.continue_token.as_deref(), search))
        }
        (layout::command(view, &["netvirt get gateways".to_owned()]))
    };
    Ok(layout::page(view, view.t(GATEWAYS), &body))
}

/// Whether a host of a gateway does its work.
fn heard(view: &View<'_>, host: &GatewayHostStatus) -> Markup {
    match &host.trouble {
        Some(_) => layout::mark("bad", view.t(TROUBLE)),
        None => layout::mark("good", view.t(HEARD)),
    }
}

/// A change of who is drained that was refused: of which host, and why.
struct Refused {
    host: String,
    problem: Problem,
}

fn page(view: &View<'_>, name: &ResourceName) -> Result<PageAnswer, Problem> {
    let key = Key::global(Kind::Gateway, name);
    let item = view.context.api.get(view.caller(), &key)?;
    let mut refused = None;
    if view.context.is_post() {
        match drain(view, &item) {
            Ok(()) => return Ok(edit::see_done(&key, "changed")),
            Err(problem) => refused = Some(Refused { host: view.context.form.text("host").to_owned(), problem }),
        }
    }
    shown(view, &item, refused.as_ref())
}

/// Has a host be empty, or be used again, as the form says; what is declared of the others stays.
fn drain(view: &View<'_>, item: &Item) -> Result<(), Problem> {
    let form = &view.context.form;
    let host: ResourceName = form.need("host")?;
    let mut spec: Gateway = pieces::spec(item)?;
    spec.drained.retain(|drained| *drained != host);
    if form.text("drain") == "1" {
        spec.drained.push(host);
    }
    let resource = Resource::new(None, item.name.clone(), spec);
    edit::changed(view, vec![Change::Replace { resource, revision: form.parse("revision")? }])
}

fn shown(view: &View<'_>, item: &Item, refused: Option<&Refused>) -> Result<PageAnswer, Problem> {
    let key = item.key();
    let spec: Gateway = pieces::spec(item)?;
    let status = refused.map_or(200, |refused| refused.problem.status);
    let conflict = refused.is_some_and(|refused| refused.problem.problem_type == ProblemType::PreconditionFailed);
    let body = html! {
        (layout::heading(item.name.as_str(), &[pieces::crumb(view, Kind::Gateway)], &detail::actions(view, &key)))
        (layout::done(view))
        @if conflict { (edit::as_it_is(view, &yaml(item))) }
        div #gateway data-live="?kind=gateway-connection" data-every="5000" {
            (facts(view, item, &spec))
            (hosts(view, item, &spec, refused)?)
            (outside(view, &spec))
            (connections(view, &item.name)?)
        }
        details { summary { (view.t(DECLARED)) } pre.yaml tabindex="0" { code { (yaml(item)) } } }
        (layout::command(view, &[
            format!("netvirt describe gateway {}", layout::word(item.name.as_str())),
            drained_command(item, &spec),
        ]))
    };
    Ok(layout::with_status(view, status, item.name.as_str(), &body))
}

/// The command that has drained what is drained.
fn drained_command(item: &Item, spec: &Gateway) -> String {
    let mut line = format!("netvirt set gateway {}", layout::word(item.name.as_str()));
    for host in &spec.drained {
        line.push_str(&format!(" --drained {}", layout::word(host.as_str())));
    }
    if spec.drained.is_empty() {
        line.push_str(" --drained HOST");
    }
    line
}

fn facts(view: &View<'_>, item: &Item, spec: &Gateway) -> Markup {
    html! {
        dl.facts {
            dt { (view.t(LOGICAL_NETWORK)) }
            dd { (pieces::link(&Key::global(Kind::LogicalNetwork, &spec.logical_network))) }
            @if !item.status.families.is_empty() { dt { (view.t(USE)) } dd { (pieces::usage_of(view, item)) } }
            @if let Some(text) = &spec.description { dt { (view.t(DESCRIPTION)) } dd { (text) } }
            dt { (view.t(CREATED)) } dd { (pieces::time(&item.created)) }
            dt { (view.t(REVISION)) } dd { (item.revision) }
        }
    }
}

/// The VM networks that hosts have, as their connections say: active ones and those that stand ready.
#[derive(Default)]
struct Work {
    active: BTreeMap<ResourceName, BTreeSet<Key>>,
    standby: BTreeMap<ResourceName, BTreeSet<Key>>,
}

fn work(view: &View<'_>, gateway: &ResourceName) -> Result<Work, Problem> {
    let mut work = Work::default();
    for item in gather(view, Kind::GatewayConnection, Some(gateway.as_str()))?.items {
        let (Ok(spec), Some(status)) = (pieces::spec::<GatewayConnection>(&item), &item.status.connection) else {
            continue;
        };
        if spec.gateway != *gateway {
            continue;
        }
        let network = item.key().sibling(Kind::VmNetwork, &spec.vm_network);
        work.active.entry(status.host.clone()).or_default().insert(network.clone());
        for host in &status.standby {
            work.standby.entry(host.clone()).or_default().insert(network.clone());
        }
    }
    Ok(work)
}

fn hosts(view: &View<'_>, item: &Item, spec: &Gateway, refused: Option<&Refused>) -> Result<Markup, Problem> {
    let work = work(view, &item.name)?;
    let row = |host: &GatewayHost| {
        let status = item.status.gateway_hosts.iter().find(|status| status.host == host.host);
        let drained = spec.drained.contains(&host.host);
        let own = refused.filter(|refused| refused.host == host.host.as_str());
        html! {
            th scope="row" { (pieces::host_link(&host.host)) }
            td { (host.interface) @if !host.addresses.is_empty() { " " (pieces::joined(&host.addresses)) } }
            td {
                @if let Some(status) = status { (heard(view, status)) }
                @if drained { (layout::mark("wait", view.t(DRAINED))) }
                @if let Some(trouble) = status.and_then(|status| status.trouble.as_ref()) { div { (trouble) } }
            }
            td { (networks(view, status.map_or(0, |status| status.active), work.active.get(&host.host))) }
            td { (networks(view, status.map_or(0, |status| status.standby), work.standby.get(&host.host))) }
            td {
                @if view.may_change() { (drain_form(view, item, &host.host, drained)) }
                @if let Some(refused) = own { (layout::problem(&view.context, &refused.problem)) }
            }
        }
    };
    let rows: Vec<Markup> = spec.hosts.iter().map(row).collect();
    let stray = refused.filter(|refused| !spec.hosts.iter().any(|host| host.host.as_str() == refused.host));
    Ok(html! {
        h2 { (view.t(HOSTS)) }
        @if let Some(refused) = stray { (layout::problem(&view.context, &refused.problem)) }
        (pieces::table(view, HOSTS, &[HOST, INTERFACE, STATE, ACTIVE_FOR, STANDBY_FOR, CHANGES_OF_HOST], &rows, NOTHING))
    })
}

/// How many VM networks, and which.
fn networks(view: &View<'_>, count: u32, named: Option<&BTreeSet<Key>>) -> Markup {
    let named = named.into_iter().flatten();
    html! {
        (view.tf(N_NETWORKS, &[&count.to_string()]))
        @if count > 0 {
            ul.plain { @for network in named.take(NAMED) {
                li { (pieces::link(network)) " (" (network.tenant.as_ref().map_or("", ResourceName::as_str)) ")" }
            } }
        }
    }
}

fn drain_form(view: &View<'_>, item: &Item, host: &ResourceName, drained: bool) -> Markup {
    let (text, label) = if drained { (UNDRAIN, UNDRAIN_HOST) } else { (DRAIN, DRAIN_HOST) };
    html! {
        form method="post" {
            (layout::csrf(view))
            input type="hidden" name="revision" value=(item.revision);
            input type="hidden" name="host" value=(host);
            input type="hidden" name="drain" value=(if drained { "0" } else { "1" });
            button.quiet type="submit" aria-label=(view.tf(label, &[host.as_str()])) { (view.t(text)) }
        }
    }
}

fn outside(view: &View<'_>, spec: &Gateway) -> Markup {
    let row = |network: &model::fabric::ExternalNetwork| {
        html! {
            th scope="row" { (network.prefix) }
            td { (network.vlan.map_or_else(|| view.t(UNTAGGED).to_owned(), |vlan| vlan.to_string())) }
            td { (network.next_hop.map(|address| address.to_string()).unwrap_or_default()) }
            td { (pieces::joined(&network.ranges)) }
        }
    };
    let rows: Vec<Markup> = spec.networks.iter().map(row).collect();
    html! {
        h2 { (view.t(OUTSIDE)) }
        (pieces::table(view, OUTSIDE, &[PREFIX, VLAN, NEXT_HOP, RANGES], &rows, NOTHING))
    }
}

fn connections(view: &View<'_>, gateway: &ResourceName) -> Result<Markup, Problem> {
    let of_gateway =
        |item: &Item| item.spec.get("gateway").and_then(serde_json::Value::as_str) == Some(gateway.as_str());
    let (items, next) = pieces::wanted(view, Kind::GatewayConnection, gateway.as_str(), SIZE, of_gateway)?;
    let rows: Vec<Markup> = items.iter().map(connection_row).collect();
    Ok(html! {
        h2 #connections { (view.t(GATEWAY_CONNECTIONS)) }
        (pieces::table(view, GATEWAY_CONNECTIONS, &CONNECTION_COLUMNS, &rows, NOTHING))
        (pager(view, next.as_deref(), ""))
    })
}

/// A connection in a table; see [`CONNECTION_COLUMNS`].
pub fn connection_row(item: &Item) -> Markup {
    let key = item.key();
    let status = item.status.connection.as_ref();
    html! {
        th scope="row" { (pieces::link(&key)) }
        td { @if let Some(tenant) = &key.tenant { a href=(layout::tenant_address(tenant)) { (tenant) } } }
        td { (detail::plain(&item.spec["vmNetwork"])) }
        td { (detail::plain(&item.spec["gateway"])) }
        td { @if let Some(status) = status { (pieces::host_link(&status.host)) } }
        td { @if let Some(status) = status {
            (pieces::joined(status.external.iter().map(ipnet::IpNet::addr)))
            @if let Some(shared) = &status.shared { (shared.address) ":" (shared.ports) }
        } }
        td { @if let Some(status) = status { (connection_mark(status.state)) } }
        td { (status.and_then(|status| status.reason.as_deref()).unwrap_or_default()) }
    }
}

/// The word of a state is the interface's own.
fn connection_mark(state: ConnectionState) -> Markup {
    let class = match state {
        ConnectionState::Up => "good",
        ConnectionState::Down => "bad",
        ConnectionState::Connecting | ConnectionState::Standby => "wait",
    };
    layout::mark(class, state.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Desk;
    use api::fabric::Role;
    use model::fabric::Kind;

    const EDGE: &str = "/fabric/gateways/edge";

    #[test]
    fn a_gateway_says_what_its_hosts_do_and_how_its_connections_are() {
        let desk = Desk::of(Role::Admin, None);
        desk.say_of_hosts();
        desk.get("/fabric/gateways").has("edge").has("in trouble").says("<script>alert(1)</script>");
        let page = desk.get(EDGE);
        page.says("host host16 has not reported; is \"netvirt gateway\" running there?")
            .has("1 VM networks")
            .has("front");
        page.has("down")
            .says("the peer does not answer <script>alert(1)</script>")
            .has("198.51.100.10-198.51.100.20")
            .has("<td>198.51.100.10</td>")
            .has("IPv4 <span class=\"usage\">1 of 11");
        page.has("Drain host15").has("netvirt describe gateway edge").has("/t/blue/gateway-connections/home");
    }

    #[test]
    fn a_host_is_drained_and_used_again() {
        let desk = Desk::of(Role::Admin, None);
        let drained = |desk: &Desk| desk.item(Kind::Gateway, None, "edge").spec.get("drained").cloned();
        let revision = desk.revision(Kind::Gateway, None, "edge");
        let form = [("host", "host15"), ("drain", "1"), ("revision", revision.as_str())];
        let page = desk.post(EDGE, &form).leads_on(&desk);
        page.has("Use host15 again").has("netvirt set gateway edge --drained host15");
        assert_eq!(drained(&desk), Some(serde_json::json!(["host15"])));
        // The same form again: somebody was faster.
        let page = desk.post(EDGE, &form);
        assert_eq!(page.status, 412);
        page.has("Somebody else has changed this").has("role=\"alert\"");
        let revision = desk.revision(Kind::Gateway, None, "edge");
        let form = [("host", "host15"), ("drain", "0"), ("revision", revision.as_str())];
        desk.post(EDGE, &form).leads_on(&desk).has("Drain host15");
        assert_eq!(drained(&desk), None);
    }

    #[test]
    fn readers_and_tenants_are_refused() {
        let reader = Desk::of(Role::Reader, None);
        reader.get(EDGE).has("host15").lacks("Drain host15").lacks("/edit");
        let revision = reader.revision(Kind::Gateway, None, "edge");
        let form = [("host", "host15"), ("drain", "1"), ("revision", revision.as_str())];
        let page = reader.post(EDGE, &form);
        assert_eq!(page.status, 403);
        page.has("only an admin may");
        let tenant = Desk::of(Role::Tenant, Some("blue"));
        assert_eq!((tenant.get(EDGE).status, tenant.post(EDGE, &form).status), (404, 404));
        assert_eq!(reader.revision(Kind::Gateway, None, "edge"), revision);
    }
}
