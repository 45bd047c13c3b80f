//! The fabric at a glance: the controller, and whatever needs a look.

use api::Problem;
use api::fabric::{ControllerStatus, Item, PageAnswer};
use maud::{Markup, html};
use model::fabric::Kind;
use model::gateway::ConnectionState;

use super::picture::{self, drawn};
use super::pieces::{self, Gathered, MOST, bytes, gather, number};
use super::{gateways, hosts};
use crate::context::View;
use crate::layout;
use crate::texts::common::*;
use crate::texts::fabric::*;

/// How many rows each table has here; lists of their own have all.
const ROWS: usize = 20;

/// How often what no hint tells of is looked at again.
const EVERY_MS: &str = "5000";

/// All that the page shows.
struct Seen {
    status: ControllerStatus,
    hosts: Gathered,
    gateways: Gathered,
    connections: Gathered,
}

/// The page.
///
/// # Errors
/// Those of the interface.
pub fn answer(view: &View<'_>) -> Result<PageAnswer, Problem> {
    let seen = Seen {
        status: view.context.api.status(view.caller())?,
        hosts: gather(view, Kind::Host, None)?,
        gateways: gather(view, Kind::Gateway, None)?,
        connections: gather(view, Kind::GatewayConnection, None)?,
    };
    let body = html! {
        (layout::heading(view.t(FABRIC), &[], &html! { a.button href="/fabric/picture" { (view.t(WITH_TRAFFIC)) } }))
        div #overview data-live="?kind=host" data-every=(EVERY_MS) {
            (cards(view, &seen))
            @if !seen.hosts.items.is_empty() { (picture::shown(view, &drawn(view, &seen.hosts.items, &seen.gateways.items)?)) }
            (needing_a_look(view, &seen))
            (gateways_in_trouble(view, &seen.gateways))
            (connections_not_up(view, &seen.connections))
            (resources(view, &seen.status))
        }
        (layout::command(view, &["netvirt status".to_owned(), "netvirt get hosts -o wide".to_owned()]))
    };
    Ok(layout::page(view, view.t(FABRIC), &body))
}

fn in_trouble(gateway: &&Item) -> bool {
    gateway.status.gateway_hosts.iter().any(|host| host.trouble.is_some())
}

/// A connection that is set up or broken: one that nobody has taken up has no state yet.
fn is_not_up(connection: &&Item) -> bool {
    let state = connection.status.connection.as_ref().map(|connection| connection.state);
    state.is_some_and(|state| matches!(state, ConnectionState::Down | ConnectionState::Connecting))
}

fn cards(view: &View<'_>, seen: &Seen) -> Markup {
    let Seen { status, hosts, gateways, connections } = seen;
    let lagging = hosts.items.iter().filter(|host| hosts::is_lagging(host)).count();
    let findings: usize = hosts.items.iter().map(|host| host.status.findings.len()).sum();
    let all_hosts = status.resources.get(Kind::Host.as_str()).copied().unwrap_or(hosts.items.len() as u64);
    let troubled = gateways.items.iter().filter(in_trouble).count();
    let not_up = connections.items.iter().filter(is_not_up).count();
    let of = |count: usize, gathered: &Gathered| [number(count as u64), number(gathered.items.len() as u64)];
    let card = |id: &str, address: &str, title, figure: String, rest: Markup| {
        html! {
            section.card aria-labelledby=(id) {
                h2 id=(id) { a href=(address) { (view.t(title)) } }
                span.figure { (figure) }
                (rest)
            }
        }
    };
    let [troubled_text, gateways_text] = of(troubled, gateways);
    let [not_up_text, connections_text] = of(not_up, connections);
    html! {
        div.cards {
            (card("card-controller", "/fabric/audit", CONTROLLER, status.version.clone(), controller(view, status)))
            (card("card-hosts", "/fabric/hosts", HOSTS, number(all_hosts), html! {
                p { (view.tf(OF_CONNECTED, &[&number(u64::from(status.connected_hosts)), &number(all_hosts)])) }
                p {
                    (amount(lagging, &view.tf(N_LAGGING, &[&number(lagging as u64)])))
                    (amount(findings, &view.tf(N_FINDINGS, &[&number(findings as u64)])))
                }
            }))
            (card("card-gateways", "/fabric/gateways", GATEWAYS, gateways_text.clone(), html! {
                p { (amount(troubled, &view.tf(N_IN_TROUBLE, &[&troubled_text, &gateways_text]))) }
            }))
            (card("card-connections", "#connections", GATEWAY_CONNECTIONS, connections_text.clone(), html! {
                p { (amount(not_up, &view.tf(N_NOT_UP, &[&not_up_text, &connections_text]))) }
            }))
        }
    }
}

/// How much is amiss; the colour says whether that is nothing.
fn amount(count: usize, words: &str) -> Markup {
    layout::mark(if count == 0 { "good" } else { "wait" }, words)
}

fn controller(view: &View<'_>, status: &ControllerStatus) -> Markup {
    html! {
        dl.inner {
            dt { (view.t(RUNNING_SINCE)) } dd { (pieces::time(&status.started)) }
            dt { (view.t(REVISION)) } dd { (number(status.revision)) }
            dt { (view.t(STORE)) } dd { (bytes(status.store_bytes)) }
        }
    }
}

/// The hosts that are away, lag, or have found something.
fn needing_a_look(view: &View<'_>, seen: &Seen) -> Markup {
    let concerned: Vec<&Item> = seen.hosts.items.iter().filter(|host| hosts::needs_a_look(host)).collect();
    let row = |host: &&Item| {
        html! {
            th scope="row" { (pieces::link(&host.key())) }
            td { (hosts::marks(view, host)) }
            td { (hosts::why(host)) }
        }
    };
    let rows: Vec<Markup> = concerned.iter().take(ROWS).map(row).collect();
    html! {
        h2 #not-well { (view.t(NOT_WELL)) }
        (pieces::table(view, NOT_WELL, &[HOST, STATE, WHY], &rows, ALL_WELL))
        (rest(view, &seen.hosts, concerned.len()))
    }
}

fn gateways_in_trouble(view: &View<'_>, gathered: &Gathered) -> Markup {
    let troubled = || gathered.items.iter().filter(in_trouble);
    html! {
        @if troubled().next().is_some() {
            h2 { (view.t(GATEWAYS_IN_TROUBLE)) }
            @for gateway in troubled().take(ROWS) {
                p { strong { (pieces::link(&gateway.key())) } }
                ul { @for host in gateway.status.gateway_hosts.iter().filter(|host| host.trouble.is_some()) {
                    li { (pieces::host_link(&host.host)) ": " (host.trouble.as_deref().unwrap_or_default()) }
                } }
            }
        }
    }
}

fn connections_not_up(view: &View<'_>, gathered: &Gathered) -> Markup {
    let concerned: Vec<&Item> = gathered.items.iter().filter(is_not_up).collect();
    let rows: Vec<Markup> = concerned.iter().take(ROWS).map(|item| gateways::connection_row(item)).collect();
    html! {
        h2 #connections { (view.t(CONNECTIONS_NOT_UP)) }
        (pieces::table(view, CONNECTIONS_NOT_UP, &gateways::CONNECTION_COLUMNS, &rows, ALL_WELL))
        (rest(view, gathered, concerned.len()))
    }
}

/// That there is more than a table shows.
fn rest(view: &View<'_>, gathered: &Gathered, concerned: usize) -> Markup {
    let first = if concerned > ROWS { Some(ROWS) } else { Some(MOST).filter(|_| gathered.more) };
    html! { @if let Some(first) = first { p.hint { (view.tf(ONLY_FIRST, &[&first.to_string()])) } } }
}

fn resources(view: &View<'_>, status: &ControllerStatus) -> Markup {
    let kinds = Kind::ALL.into_iter().filter_map(|kind| Some((kind, *status.resources.get(kind.as_str())?)));
    html! {
        h2 { (view.t(RESOURCES)) }
        dl.facts { @for (kind, count) in kinds {
            dt { (view.t(layout::kind_text(kind))) } dd { (number(count)) }
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Desk;
    use api::fabric::Role;

    #[test]
    fn what_needs_a_look_is_seen_at_a_glance() {
        let desk = Desk::of(Role::Admin, None);
        desk.say_of_hosts();
        let page = desk.get("/fabric");
        page.has("not connected").has("its agent is not connected").has("port test02 waits").has("netvirt status");
        page.has("down").has("the peer does not answer").says("is \"netvirt gateway\" running there?");
        assert_eq!(page.status, 200);
    }

    #[test]
    fn a_reader_sees_it_and_a_tenant_does_not() {
        Desk::of(Role::Reader, None).get("/fabric").has("netvirt status");
        for (role, tenant) in [(Role::Tenant, Some("blue")), (Role::Reader, Some("blue"))] {
            let page = Desk::of(role, tenant).get("/fabric");
            assert_eq!(page.status, 404);
            page.lacks("host15").lacks("netvirt status");
        }
    }
}
