//! Moving a port from host to host, and how far a move is.

use api::fabric::{Change, Item, PageAnswer};
use api::{Problem, ProblemType};
use maud::{Markup, html};
use model::fabric::{Key, Kind, Port, Resource, ResourceName};

use super::hosts::moves_of;
use super::pieces::{self, gather};
use crate::context::View;
use crate::forms::query;
use crate::pages::resources::{edit, yaml};
use crate::texts::fabric::*;
use crate::{answer, layout};

/// How often the page looks how far the move is, beside what hints tell.
const EVERY_MS: &str = "2000";

/// The page, and what becomes of its form.
///
/// # Errors
/// Those of [`api::fabric::FabricApi::get`].
pub fn answer(view: &View<'_>, tenant: &ResourceName, name: &ResourceName) -> Result<PageAnswer, Problem> {
    let key = Key::new(Kind::Port, Some(tenant.clone()), name.clone());
    let item = view.context.api.get(view.caller(), &key)?;
    let mut refused = None;
    if view.context.is_post() {
        match declare(view, &key, &item) {
            Ok(()) => {
                let done = query(&[("done", "changed"), ("what", &key.to_string())]);
                return Ok(answer::see_other(&format!("{}{done}", view.context.request.path)));
            }
            Err(problem) => refused = Some(problem),
        }
    }
    page(view, &key, &item, refused.as_ref())
}

/// Has the port move as the form says.
fn declare(view: &View<'_>, key: &Key, item: &Item) -> Result<(), Problem> {
    let form = &view.context.form;
    let port = Port { migrate_to: form.parse("to")?, ..pieces::spec(item)? };
    let resource = Resource::new(key.tenant.clone(), key.name.clone(), port);
    edit::changed(view, vec![Change::Replace { resource, revision: form.parse("revision")? }])
}

fn page(view: &View<'_>, key: &Key, item: &Item, refused: Option<&Problem>) -> Result<PageAnswer, Problem> {
    let port: Port = pieces::spec(item)?;
    let title = view.tf(MOVE_PORT, &[key.name.as_str()]);
    let mut crumbs = vec![pieces::crumb(view, Kind::Host)];
    if let Some(host) = &port.host {
        crumbs.push((layout::address(&Key::global(Kind::Host, host)), host.to_string()));
    }
    let tenant = key.tenant.as_ref().map_or("", ResourceName::as_str);
    let watched = query(&[("kind", key.kind.as_str()), ("tenant", tenant), ("name", key.name.as_str())]);
    let conflict = refused.is_some_and(|problem| problem.problem_type == ProblemType::PreconditionFailed);
    let status = refused.map_or(200, |problem| problem.status);
    let body = html! {
        (layout::heading(&title, &crumbs, &html! {}))
        (layout::done(view))
        div #move data-live=(watched) data-every=(EVERY_MS) { (progress(view, item, &port)) }
        @if let Some(problem) = refused { (layout::problem(&view.context, problem)) }
        @if conflict { (edit::as_it_is(view, &yaml(item))) }
        @if view.may_change() { (form(view, item, &port)?) }
        (layout::command(view, &[match &port.migrate_to {
            Some(_) => format!("netvirt set port {} --migrate-to ''{}", layout::word(key.name.as_str()), layout::for_tenant(key.tenant.as_ref())),
            None => format!("netvirt migrate {} --to HOST{}", layout::word(key.name.as_str()), layout::for_tenant(key.tenant.as_ref())),
        }]))
    };
    Ok(layout::with_status(view, status, &title, &body))
}

/// How far the move is: one line for each step that was taken, the last of them being where it is.
fn progress(view: &View<'_>, item: &Item, port: &Port) -> Markup {
    let host = port.host.as_ref().map_or("", ResourceName::as_str);
    let came_from = item.status.allocation.came_from.as_ref();
    let realized = item.status.realized.clone().unwrap_or_default();
    let mut steps = Vec::new();
    if let Some(from) = came_from {
        steps.push(("wait", view.tf(STEP_MOVED, &[host, from.as_str()])));
    } else if port.host.is_some() {
        let moved = item.status.last_move.is_some() && realized.everywhere();
        steps.push(("good", view.tf(if moved { STEP_SETTLED } else { STEP_HERE }, &[host])));
    } else {
        steps.push(("plain", view.t(STEP_NOWHERE).to_owned()));
    }
    if let Some(to) = &port.migrate_to {
        let known = [realized.hosts.to_string(), realized.of.to_string()];
        steps.push(("wait", view.tf(STEP_PREPARED, &[to.as_str(), &known[0], &known[1]])));
        if realized.everywhere() {
            steps.push(("good", view.tf(STEP_MAY_MOVE, &[to.as_str()])));
        }
    }
    html! {
        ol.steps { @for (class, text) in &steps { li { (layout::mark(class, text)) } } }
        p { (moves_of(view, item)) }
        @if let Some(moved) = &item.status.last_move {
            ul {
                li { (view.tf(WENT_ALONG, &[&moved.flows.to_string(), &moved.sent_on.to_string()])) }
                @if let Some(lost) = moved.lost { li { (view.tf(FRAMES_LOST, &[&lost.to_string()])) } }
            }
        }
        @if !realized.waiting_for.is_empty() {
            h2 { (view.t(WAITING)) }
            ul { @for waiting in &realized.waiting_for { li { (pieces::host_link(&waiting.host)) ": " (waiting.reason) } } }
        }
    }
}

fn form(view: &View<'_>, item: &Item, port: &Port) -> Result<Markup, Problem> {
    let revision = html! { (layout::csrf(view)) input type="hidden" name="revision" value=(item.revision); };
    if port.migrate_to.is_some() {
        return Ok(html! {
            form.card method="post" {
                (revision)
                input type="hidden" name="to" value="";
                p { (view.t(TAKE_BACK_HINT)) }
                button.danger type="submit" { (view.t(TAKE_BACK)) }
            }
        });
    }
    let hosts = gather(view, Kind::Host, None)?.items;
    let others = hosts.iter().filter(|host| Some(&host.name) != port.host.as_ref());
    let options: Vec<(String, String)> = others
        .map(|host| {
            let away = host.status.connected == Some(false);
            let note = if away { format!(" ({})", view.t(NOT_CONNECTED)) } else { String::new() };
            (host.name.to_string(), format!("{}{note}", host.name))
        })
        .collect();
    Ok(html! {
        form.card method="post" {
            (revision)
            @if options.is_empty() { p { (view.t(NO_OTHER_HOST)) } }
            @else {
                p { (view.t(MOVE_HINT)) }
                (pieces::field(view, MOVE_TO, None, &pieces::select("to", view.context.form.text("to"), &options)))
                button.main type="submit" { (view.t(PREPARE_MOVE)) }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Desk, www};
    use api::fabric::{FabricApi as _, Role};
    use model::fabric::Kind;

    const MOVE: &str = "/fabric/ports/blue/www/move";

    #[test]
    fn a_port_is_prepared_on_another_host_and_taken_back() {
        let desk = Desk::of(Role::Admin, None);
        let page = desk.get(MOVE);
        page.has("It runs on host15")
            .has("value=\"host16\"")
            .lacks("value=\"host15\"")
            .has("netvirt migrate www --to HOST");
        let revision = desk.revision(Kind::Port, Some("blue"), "www");
        let page = desk.post(MOVE, &[("to", "host16"), ("revision", &revision)]).leads_on(&desk);
        page.has("on its way to host16").has("Take the move back");
        assert_eq!(desk.item(Kind::Port, Some("blue"), "www").spec["migrateTo"], "host16");
        // It is seen at either host.
        desk.get("/fabric/hosts/host16").has("on its way to host16").has("www");
        let revision = desk.revision(Kind::Port, Some("blue"), "www");
        desk.post(MOVE, &[("to", ""), ("revision", &revision)]).leads_on(&desk).has("It runs on host15");
        assert!(desk.item(Kind::Port, Some("blue"), "www").spec.get("migrateTo").is_none());
    }

    #[test]
    fn a_move_is_seen_happening() {
        let desk = Desk::of(Role::Reader, None);
        desk.say_of_move();
        let page = desk.get(MOVE);
        page.says("Its VM runs on host15; what still comes to host16 for it is sent on").has("3 flows went along");
        page.has("2 frames were lost").says("it is busy <script>alert(1)</script>").lacks("Prepare the move");
        desk.get("/fabric/hosts/host16/ports").has("came from host16").has("last moved from host16 to host15");
    }

    #[test]
    fn somebody_else_was_faster_and_nothing_typed_is_lost() {
        let desk = Desk::of(Role::Admin, None);
        let page = desk.post(MOVE, &[("to", "host16"), ("revision", "1")]);
        assert_eq!(page.status, 412);
        page.has("Somebody else has changed this").has("value=\"host16\" selected").has("role=\"alert\"");
        let page = desk.post(MOVE, &[("to", "host16/<x"), ("revision", "")]);
        assert_eq!(page.status, 422, "{}", page.text);
    }

    #[test]
    fn readers_and_tenants_are_refused() {
        let reader = Desk::of(Role::Reader, None);
        let revision = reader.revision(Kind::Port, Some("blue"), "www");
        let page = reader.post(MOVE, &[("to", "host16"), ("revision", &revision)]);
        assert_eq!(page.status, 403);
        assert!(reader.api.get(&super::super::testing::admin(), &www()).unwrap().spec.get("migrateTo").is_none());
        let tenant = Desk::of(Role::Tenant, Some("blue"));
        assert_eq!(tenant.post(MOVE, &[("to", "host16"), ("revision", &revision)]).status, 404);
    }
}
