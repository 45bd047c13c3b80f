//! The page of a host: what the controller knows of it, and what it says itself while somebody looks.

use api::Problem;
use api::fabric::{Item, PageAnswer, Question};
use maud::{Markup, html};
use model::fabric::{Host, Key, Kind, ResourceName};

use super::super::pieces;
use super::{marks, ports, report};
use crate::context::View;
use crate::layout;
use crate::pages::resources::{detail, yaml};
use crate::texts::common::*;
use crate::texts::fabric::*;

/// How many of the host's ports stand here; a page of their own has all.
const PORTS: usize = 20;

/// How often the host is asked while somebody looks.
const EVERY_MS: &str = "2000";

/// The page.
///
/// # Errors
/// Those of [`api::fabric::FabricApi::get`].
pub fn answer(view: &View<'_>, name: &ResourceName) -> Result<PageAnswer, Problem> {
    let key = Key::global(Kind::Host, name);
    let item = view.context.api.get(view.caller(), &key)?;
    let ports = ports::on_host(view, name, PORTS)?;
    let ask = |question| view.context.api.ask(view.caller(), question);
    let said = ask(Question::Host { host: name.clone() }).and_then(api::fabric::Answer::host);
    // Which peers a host talks to costs it a look through all its flows: that is not asked for again and again.
    let again = view.context.request.field("x-fragment") == "1";
    let tunnels =
        (!again).then(|| ask(Question::Tunnels { host: name.clone() }).and_then(api::fabric::Answer::tunnels));
    let body = html! {
        (layout::heading(name.as_str(), &[pieces::crumb(view, Kind::Host)], &detail::actions(view, &key)))
        (layout::done(view))
        div #state data-live="" data-every=(EVERY_MS) { (facts(view, &item)) (waiting(view, &item, &ports.0)) }
        div #report data-live="" { (report::said(view, &said)) }
        @if let Some(tunnels) = &tunnels { div #tunnels data-live="" { (report::tunnels(view, tunnels)) } }
        h2 #ports-here { (view.t(PORTS_HERE)) }
        div #ports data-live="" {
            (ports::table(view, &ports.0))
            @if ports.1.is_some() { p { a href={ (layout::address(&key)) "/ports" } { (view.t(ALL_PORTS_HERE)) } } }
        }
        details { summary { (view.t(DECLARED)) } pre.yaml tabindex="0" { code { (yaml(&item)) } } }
        (layout::command(view, &[
            format!("netvirt describe host {}", layout::word(name.as_str())),
            format!("netvirt get host {} -o yaml", layout::word(name.as_str())),
        ]))
    };
    Ok(layout::page(view, name.as_str(), &body))
}

fn facts(view: &View<'_>, item: &Item) -> Markup {
    let status = &item.status;
    let uplinks = serde_json::from_value::<Host>(item.spec.clone()).map(|host| host.uplinks).unwrap_or_default();
    let row = |uplink: &model::fabric::Uplink| {
        html! {
            th scope="row" { (uplink.interface) }
            td { (pieces::joined(&uplink.addresses)) }
            td { (pieces::joined(&uplink.logical_networks)) }
        }
    };
    let rows: Vec<Markup> = uplinks.iter().map(row).collect();
    html! {
        dl.facts {
            dt { (view.t(STATE)) } dd { (marks(view, item)) }
            @if let Some(version) = &status.version { dt { (view.t(AGENT_VERSION)) } dd { (version) } }
            @if let Some(seen) = &status.last_seen { dt { (view.t(LAST_SEEN)) } dd { (pieces::time(seen)) } }
            dt { (view.t(PROVIDER_ADDRESSES)) } dd { (pieces::joined(&status.allocation.provider_addresses)) }
            @if let Some(text) = item.spec.get("description").and_then(serde_json::Value::as_str) {
                dt { (view.t(DESCRIPTION)) } dd { (text) }
            }
            dt { (view.t(CREATED)) } dd { (pieces::time(&item.created)) }
            dt { (view.t(REVISION)) } dd { (item.revision) }
        }
        h2 { (view.t(UPLINKS)) }
        (pieces::table(view, UPLINKS, &[INTERFACE, ADDRESSES, LOGICAL_NETWORKS], &rows, NOTHING))
    }
}

/// What of the host and of its ports is not in force here, and why; and what it has found.
fn waiting(view: &View<'_>, host: &Item, ports: &[Item]) -> Markup {
    let here = |item: &Item| {
        let waiting = item.status.realized.iter().flat_map(|realized| &realized.waiting_for);
        let reasons = waiting.filter(|waiting| waiting.host == host.name).map(|waiting| waiting.reason.clone());
        reasons.map(|reason| (item.key(), reason)).collect::<Vec<_>>()
    };
    let reasons: Vec<(Key, String)> = std::iter::once(host).chain(ports).flat_map(here).collect();
    html! {
        h2 { (view.t(WAITING)) }
        @if reasons.is_empty() { p.hint { (view.t(NOTHING_WAITS)) } }
        @else {
            ul { @for (key, reason) in &reasons { li { a href=(layout::address(key)) { (key) } ": " (reason) } } }
        }
        h2 { (view.t(FINDINGS)) }
        (pieces::sentences(view, &host.status.findings, NO_DRIFT))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Desk;
    use api::fabric::Role;

    #[test]
    fn a_host_says_how_it_is_while_somebody_looks() {
        let desk = Desk::of(Role::Admin, None);
        let page = desk.get("/fabric/hosts/host15");
        page.says("lookup record 5001/10.0.0.9 was missing and has been added").has("NoRoute").has("eth0");
        page.says("port test02 waits for its device \"test02\"").has("16.8 kB").has("id=\"tunnels\"").has("host16");
        page.has("www").has("data-every=\"2000\"").has("netvirt describe host host15");
        // The flows are looked through once, not every two seconds.
        let again = desk.again("/fabric/hosts/host15");
        again.has("id=\"report\"").lacks("id=\"tunnels\"");
    }

    #[test]
    fn a_host_that_is_away_still_has_its_page() {
        let desk = Desk::of(Role::Admin, None);
        desk.say_of_hosts();
        desk.say_of_move();
        let page = desk.get("/fabric/hosts/host15");
        assert_eq!(page.status, 200);
        page.says("host host15 is not connected; start its agent, and ask again").has("192.168.4.15/24").has("www");
        page.has("its agent is not connected").says("it is busy <script>alert(1)</script>");
    }

    #[test]
    fn hosts_are_listed_and_found() {
        let desk = Desk::of(Role::Reader, None);
        desk.say_of_hosts();
        desk.get("/fabric/hosts").has("host15").has("host16").has("not connected").lacks("/fabric/access#join");
        desk.get("/fabric/hosts?q=host16").has("host16").lacks("host15");
        desk.get("/fabric/hosts?q=%3Cscript%3Ealert%281%29%3C%2Fscript%3Ex").says("“<script>alert(1)</script>x”");
        desk.get("/fabric/hosts/host15").lacks("/edit").lacks("/move");
        assert_eq!(desk.get("/fabric/hosts/none").status, 404);
        let tenant = Desk::of(Role::Tenant, Some("blue"));
        for address in ["/fabric/hosts", "/fabric/hosts/host15", "/fabric/hosts/host15/ports"] {
            assert_eq!(tenant.get(address).status, 404, "{address}");
        }
    }
}
