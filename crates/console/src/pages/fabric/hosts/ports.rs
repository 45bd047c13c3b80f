//! The ports of a host, and how they move to it and away from it.

use api::Problem;
use api::fabric::{Item, PageAnswer, PortDevice};
use maud::{Markup, html};
use model::fabric::{Key, Kind, Port, ResourceName};

use super::super::picture::move_address;
use super::super::pieces::{self, SIZE};
use crate::context::View;
use crate::layout;
use crate::pages::resources::list::{pager, watched};
use crate::pages::resources::state;
use crate::texts::common::*;
use crate::texts::fabric::*;

/// The ports that are on a host, come to it or came from it; and where to go on if there are more.
///
/// # Errors
/// Those of [`api::fabric::FabricApi::list`].
pub fn on_host(view: &View<'_>, host: &ResourceName, size: usize) -> Result<(Vec<Item>, Option<String>), Problem> {
    let is_here = |item: &Item| {
        let names = [item.spec.get("host"), item.spec.get("migrateTo")];
        let came_from = item.status.allocation.came_from.as_ref();
        names.into_iter().flatten().any(|name| name.as_str() == Some(host.as_str())) || came_from == Some(host)
    };
    pieces::wanted(view, Kind::Port, host.as_str(), size, is_here)
}

/// The page with all ports of a host.
///
/// # Errors
/// See [`on_host`].
pub fn answer(view: &View<'_>, name: &ResourceName) -> Result<PageAnswer, Problem> {
    let key = Key::global(Kind::Host, name);
    view.context.api.get(view.caller(), &key)?;
    let (ports, next) = on_host(view, name, SIZE)?;
    let crumbs = [pieces::crumb(view, Kind::Host), (layout::address(&key), name.to_string())];
    let body = html! {
        (layout::heading(view.t(PORTS_HERE), &crumbs, &html! {}))
        div #list data-live=(watched(Kind::Port, None)) {
            (table(view, &ports))
            (pager(view, next.as_deref(), ""))
        }
        (layout::command(view, &["netvirt get ports --all-tenants -o wide".to_owned()]))
    };
    Ok(layout::page(view, view.t(PORTS_HERE), &body))
}

/// The table of ports.
pub fn table(view: &View<'_>, ports: &[Item]) -> Markup {
    let rows: Vec<Markup> = ports.iter().map(|port| row(view, port)).collect();
    pieces::table(view, PORTS_HERE, &[PORTS, TENANT, VM, ADDRESSES, DEVICE, MOVES, REALIZED], &rows, NOTHING)
}

fn row(view: &View<'_>, item: &Item) -> Markup {
    let key = item.key();
    let text = |name: &str| item.spec.get(name).and_then(serde_json::Value::as_str);
    let device = text("device").unwrap_or(item.name.as_str());
    html! {
        th scope="row" { (pieces::link(&key)) }
        td { @if let Some(tenant) = &key.tenant { a href=(layout::tenant_address(tenant)) { (tenant) } } }
        td { (text("vmName").unwrap_or_default()) }
        td { (pieces::joined(item.status.allocation.addresses.iter().chain(&item.status.allocation.learnt))) }
        td { (device) " " (device_mark(item)) }
        td {
            (moves_of(view, item))
            @if view.may_change() {
                a href=(move_address(&key))
                    aria-label=(view.tf(MOVE_PORT, &[key.name.as_str()])) { (view.t(MOVE)) }
            }
        }
        td { (in_force(view, item)) }
    }
}

fn device_mark(item: &Item) -> Markup {
    match item.status.device {
        Some(PortDevice::Bound) => layout::mark("good", "bound"),
        Some(PortDevice::Missing) => layout::mark("bad", "missing"),
        Some(PortDevice::Unknown) => layout::mark("wait", "unknown"),
        None => html! {},
    }
}

/// On how many hosts the port is in force; its device has a column of its own.
fn in_force(view: &View<'_>, item: &Item) -> Markup {
    let mut item = item.clone();
    item.status.device = None;
    state(view, &item)
}

/// How a port moves, or has moved last.
pub fn moves_of(view: &View<'_>, item: &Item) -> Markup {
    let port: Port = serde_json::from_value(item.spec.clone()).unwrap_or_default();
    html! {
        @if let Some(to) = &port.migrate_to { (layout::mark("wait", &view.tf(MOVING_TO, &[to.as_str()]))) }
        @if let Some(from) = &item.status.allocation.came_from {
            (layout::mark("wait", &view.tf(CAME_FROM, &[from.as_str()])))
        }
        @if let Some(moved) = &item.status.last_move {
            span.hint { (view.tf(LAST_MOVE, &[moved.from.as_str(), moved.to.as_str()])) } " "
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Desk, admin};
    use api::fabric::{Change, ChangeSet, FabricApi as _, Role};
    use model::fabric::{Port, Resource};

    #[test]
    fn many_ports_are_pages_of_a_size_that_phones_bear() {
        let desk = Desk::of(Role::Admin, None);
        let port = |number: usize| {
            let (name, host) = (format!("vm-{number:04}"), "host15".parse().ok());
            let port = Port { host, vm_name: Some(format!("machine {number}")), ..Port::default() };
            Change::Create(Resource::new("blue".parse().ok(), name.parse().unwrap(), port))
        };
        let changes = (0..350).map(port).collect();
        desk.api.change(&admin(), ChangeSet { changes, ..ChangeSet::default() }).unwrap();
        let mut address = "/fabric/hosts/host15/ports".to_owned();
        let mut seen = 0;
        loop {
            let page = desk.get(&address);
            assert!(page.text.len() < 100_000, "{} bytes", page.text.len());
            seen += page.text.matches("<td>machine ").count();
            if !page.text.contains("rel=\"next\"") {
                break;
            }
            let next = page.between("rel=\"next\" href=\"", "\"").replace("&amp;", "&");
            address = format!("/fabric/hosts/host15/ports{next}");
        }
        assert_eq!(seen, 350);
        desk.get("/fabric/hosts/host15").has("/fabric/hosts/host15/ports");
    }
}
