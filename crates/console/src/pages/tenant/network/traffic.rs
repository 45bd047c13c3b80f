//! What passed the ports of a VM network, asked of the hosts while somebody looks.

use api::Problem;
use api::fabric::{ListQuery, PageAnswer, PortTraffic, Question, Traffic};
use maud::{Markup, html};
use model::fabric::{Kind, Port, ResourceName};

use crate::context::View;
use crate::layout;
use crate::pages::tenant::pieces::{bytes, crumb, link, one, specs, table};
use crate::texts::common::*;
use crate::texts::tenant::*;

/// How many ports a page has.
const SIZE: usize = 100;

/// The page.
///
/// # Errors
/// Those of the interface; what hosts do not say is said on the page.
pub fn answer(view: &View<'_>, tenant: &ResourceName, name: &str) -> Result<PageAnswer, Problem> {
    let item = one(view, Kind::VmNetwork, tenant, name)?;
    let page = view.context.api.list(
        view.caller(),
        ListQuery {
            kind: Kind::Port,
            tenant: Some(tenant.clone()),
            limit: Some(SIZE),
            continue_token: view.context.query.given("after").map(str::to_owned),
            search: Some(item.name.to_string()),
        },
    )?;
    let own = specs::<Port>(&page.items).filter(|(_, port)| port.vm_network.as_ref() == Some(&item.name));
    let ports: Vec<ResourceName> = own.map(|(item, _)| item.name.clone()).collect();
    let title = view.tf(TRAFFIC_OF, &[item.name.as_str()]);
    let crumbs = [crumb(view, Kind::VmNetwork, tenant), (layout::address(&item.key()), item.name.to_string())];
    let body = html! {
        (layout::heading(&title, &crumbs, &html! {}))
        p.hint { (view.t(TRAFFIC_HINT)) }
        div #traffic data-live data-every="3000" { (shown(view, tenant, ports)) }
        @if let Some(next) = &page.continue_token {
            nav.pager aria-label=(view.t(NEXT_PAGE)) {
                a rel="next" href=(crate::forms::query(&[("after", next)])) { (view.t(NEXT_PAGE)) }
            }
        }
        (layout::command(view, &[format!("netvirt get counters{}", layout::for_tenant(Some(tenant)))]))
    };
    Ok(layout::page(view, &title, &body))
}

fn shown(view: &View<'_>, tenant: &ResourceName, ports: Vec<ResourceName>) -> Markup {
    if ports.is_empty() {
        return html! { p.nothing { (view.t(NOTHING)) } };
    }
    let question = Question::Counters { tenant: tenant.clone(), ports };
    match view.context.api.ask(view.caller(), question).and_then(api::fabric::Answer::counters) {
        Ok(traffic) => of_ports(view, tenant, &traffic),
        Err(problem) => layout::problem(&view.context, &problem),
    }
}

fn of_ports(view: &View<'_>, tenant: &ResourceName, traffic: &Traffic) -> Markup {
    let sum = |of: fn(&PortTraffic) -> u64| traffic.ports.iter().map(of).fold(0, u64::saturating_add);
    let row = |port: &PortTraffic| {
        html! {
            th scope="row" { (link(Kind::Port, tenant, &port.port)) }
            td.number { (port.sent_packets) } td.number { (bytes(port.sent_bytes)) }
            td.number { (port.received_packets) } td.number { (bytes(port.received_bytes)) }
            td.number { (port.dropped()) }
        }
    };
    let mut rows: Vec<Markup> = traffic.ports.iter().map(row).collect();
    rows.push(html! {
        th scope="row" { (view.t(TOTAL)) }
        td.number { (sum(|port| port.sent_packets)) } td.number { (bytes(sum(|port| port.sent_bytes))) }
        td.number { (sum(|port| port.received_packets)) } td.number { (bytes(sum(|port| port.received_bytes))) }
        td.number { (sum(PortTraffic::dropped)) }
    });
    html! {
        (table(view, TRAFFIC, &[PORT, SENT_PACKETS, SENT_BYTES, RECEIVED_PACKETS, RECEIVED_BYTES, DROPPED], &rows))
        (unanswered(view, &traffic.unanswered))
    }
}

/// What nobody could say.
pub fn unanswered(view: &View<'_>, unanswered: &[api::fabric::Unanswered]) -> Markup {
    html! {
        @for rest in unanswered {
            p.hint { (view.tf(UNANSWERED, &[&crate::pages::tenant::pieces::joined(&rest.ports), &rest.reason])) }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::pages::tenant::testing::Desk;

    #[test]
    fn traffic_is_asked_for_again_and_again() {
        let shown = Desk::of_blue().get("/t/blue/vm-networks/front/traffic");
        shown.has("data-every=\"3000\"").has("/t/blue/ports/www").has("Total");
    }
}
