//! A security group edited as a table, with what the change would open and close before it is saved.

use api::fabric::{Change, ChangeSet, PageAnswer};
use api::{Problem, ProblemType};
use maud::{Markup, html};
use model::fabric::{AddressSet, Key, Kind, Resource, ResourceName, Security, SecurityGroup, VmNetwork};
use model::security::Direction;
use plan::fabric::{AddressSets, Policy, Reach, security_change};

use super::rows::{self, FIELDS, Row, Rule};
use super::words;
use crate::context::View;
use crate::pages::resources::{as_it_is, see_done, yaml};
use crate::pages::tenant::pieces::{all, commands_shown, crumb, field, line, one, select, spec, specs};
use crate::texts::Text;
use crate::texts::common::*;
use crate::texts::tenant::*;
use crate::{answer, layout};

/// The word for a direction.
pub const fn direction_text(direction: Direction) -> Text {
    match direction {
        Direction::Ingress => INGRESS,
        Direction::Egress => EGRESS,
    }
}

/// Most rules that are edited as a table; a page with more would be long to load and longer to read.
pub const MOST: usize = 100;

/// What is edited.
struct Draft {
    /// Whether there is none of its name yet.
    is_new: bool,
    name: String,
    network: String,
    description: String,
    rows: Vec<Row>,
}

/// What came of it.
struct Judged {
    /// What would open and close; none where that takes too long to say.
    reaches: Option<Vec<Reach>>,
    problem: Option<Problem>,
}

impl Draft {
    fn read(view: &View<'_>) -> Self {
        let form = &view.context.form;
        let text = |name| form.text(name).to_owned();
        Self {
            is_new: false,
            name: text("name"),
            network: text("vmNetwork"),
            description: text("description"),
            rows: Row::all(form),
        }
    }

    fn group(&self) -> Result<SecurityGroup, Problem> {
        let rules = rows::rules(&self.rows)?;
        let network = self.network.parse().map_err(|error| Problem::invalid(format!("vmNetwork: {error}")))?;
        let description = Some(self.description.clone()).filter(|text| !text.is_empty());
        Ok(SecurityGroup { vm_network: network, rules, description })
    }
}

/// A new group.
///
/// # Errors
/// Those of the interface that no form can be shown for.
pub fn new(view: &View<'_>, tenant: &ResourceName) -> Result<PageAnswer, Problem> {
    let mut draft = Draft { is_new: true, ..Draft::read(view) };
    let list = layout::list_address(Kind::SecurityGroup, Some(tenant));
    let networks = all(view, Kind::VmNetwork, tenant)?;
    if !view.context.is_post() {
        draft.network = networks.first().map(|item| item.name.to_string()).unwrap_or_default();
    }
    let name = draft.name.parse::<ResourceName>();
    let change = |group: SecurityGroup| {
        let name = name.clone().map_err(|error| Problem::invalid(format!("name: {error}")))?;
        Ok(Change::Create(Resource::new(Some(tenant.clone()), name, group)))
    };
    let own = name.clone().unwrap_or_else(|_| ResourceName::default_tenant());
    let judged = judge(view, tenant, &own, &draft, &[], change)?;
    if let (None, true, Ok(name)) = (&judged.problem, is_sent(view), &name) {
        return Ok(see_done(&Key::new(Kind::SecurityGroup, Some(tenant.clone()), name.clone()), "created"));
    }
    let options: Vec<_> = networks.iter().map(|item| (item.name.to_string(), item.name.to_string())).collect();
    let fields = html! {
        (field(view, NAME, None, &html! {
            input name="name" required maxlength="63" autocomplete="off" spellcheck="false" value=(draft.name);
        }))
        (field(view, VM_NETWORKS, None, &select("vmNetwork", &draft.network, &options)))
    };
    let heading = layout::heading(
        view.t(NEW_GROUP),
        &[crumb(view, Kind::SecurityGroup, tenant)],
        &html! {
            a.button href={ (list) "/new/yaml" } { (view.t(AS_YAML)) }
        },
    );
    page(view, tenant, draft, &judged, view.t(NEW_GROUP), &heading, &fields, &list)
}

/// Changes the rules of a group.
///
/// # Errors
/// See [`new`].
pub fn change(view: &View<'_>, tenant: &ResourceName, name: &str) -> Result<PageAnswer, Problem> {
    let item = one(view, Kind::SecurityGroup, tenant, name)?;
    let group: SecurityGroup = spec(&item)?;
    if group.rules.len() > MOST && !view.context.is_post() {
        return Ok(answer::see_other(&format!("{}/edit", layout::address(&item.key()))));
    }
    let mut draft = Draft::read(view);
    draft.name = item.name.to_string();
    draft.network = group.vm_network.to_string();
    if !view.context.is_post() {
        draft.description = group.description.clone().unwrap_or_default();
        draft.rows = group.rules.iter().map(Row::of).collect();
    }
    let revision = view.context.form.parse("revision")?;
    let replace = |group: SecurityGroup| {
        let resource = Resource::new(Some(tenant.clone()), item.name.clone(), group);
        Ok(Change::Replace { resource, revision })
    };
    let judged = judge(view, tenant, &item.name, &draft, &group.rules, replace)?;
    if judged.problem.is_none() && is_sent(view) {
        return Ok(see_done(&item.key(), "changed"));
    }
    let conflict = |problem: &Problem| problem.problem_type == ProblemType::PreconditionFailed;
    let is_conflict = judged.problem.as_ref().is_some_and(conflict);
    let address = layout::address(&item.key());
    let title = format!("{}: {}", item.name, view.t(EDIT_RULES));
    let crumbs = [crumb(view, Kind::SecurityGroup, tenant), (address.clone(), item.name.to_string())];
    let fields = html! {
        @if is_conflict && !is_draft(view) { (as_it_is(view, &yaml(&item))) }
        // After a conflict the person has seen what is there now: saving again replaces that.
        input type="hidden" name="revision" value=(item.revision);
    };
    let heading =
        layout::heading(&title, &crumbs, &html! { a.button href={ (address) "/edit" } { (view.t(AS_YAML)) } });
    page(view, tenant, draft, &judged, &title, &heading, &fields, &address)
}

fn is_draft(view: &View<'_>) -> bool {
    view.context.form.is_set("draft")
}

fn is_sent(view: &View<'_>) -> bool {
    view.context.is_post() && !is_draft(view)
}

/// What would come of a draft; carries it out if it is none.
fn judge(
    view: &View<'_>,
    tenant: &ResourceName,
    own: &ResourceName,
    draft: &Draft,
    before: &[Rule],
    change: impl FnOnce(SecurityGroup) -> Result<Change, Problem>,
) -> Result<Judged, Problem> {
    let group = match draft.group() {
        Ok(group) => group,
        Err(problem) if view.context.is_post() => {
            return Ok(Judged { reaches: Some(Vec::new()), problem: Some(problem) });
        }
        Err(_) => return Ok(Judged { reaches: Some(Vec::new()), problem: None }),
    };
    let defaults = defaults(view, tenant, &group.vm_network);
    let sets = sets(view, tenant, &group.vm_network)?;
    let after = Policy { rules: &group.rules, defaults };
    let before = if draft.is_new { Policy::NOTHING } else { Policy { rules: before, defaults } };
    let reaches = security_change(own, &before, &after, &sets);
    let made = |group| {
        let changes = ChangeSet { changes: vec![change(group)?], dry_run: is_draft(view), ..ChangeSet::default() };
        view.context.api.change(view.caller(), changes).map(drop)
    };
    let problem = if view.context.is_post() { made(group).err() } else { None };
    Ok(Judged { reaches, problem })
}

/// What becomes of flows of the VM network that no rule is about.
fn defaults(view: &View<'_>, tenant: &ResourceName, network: &ResourceName) -> Security {
    let network = one(view, Kind::VmNetwork, tenant, network.as_str());
    network.and_then(|item| spec::<VmNetwork>(&item)).map(|network| network.security).unwrap_or_default()
}

fn sets(view: &View<'_>, tenant: &ResourceName, network: &ResourceName) -> Result<AddressSets, Problem> {
    let items = all(view, Kind::AddressSet, tenant)?;
    let own = specs::<AddressSet>(&items).filter(|(_, set)| set.vm_network == *network);
    Ok(own.map(|(item, set)| (item.name.clone(), set.prefixes)).collect())
}

#[allow(clippy::too_many_arguments, reason = "one page out of what its two users have in common")]
fn page(
    view: &View<'_>,
    tenant: &ResourceName,
    mut draft: Draft,
    judged: &Judged,
    title: &str,
    heading: &Markup,
    fields: &Markup,
    back: &str,
) -> Result<PageAnswer, Problem> {
    // Without scripts, each check gives one more row to fill in.
    if view.context.request.field("x-fragment").is_empty() {
        draft.rows.push(Row::default());
    }
    let refused = judged.problem.as_ref().filter(|_| !is_draft(view));
    let body = html! {
        (heading)
        @if let Some(problem) = refused { (layout::problem(&view.context, problem)) }
        form method="post" data-draft novalidate autocomplete="off" {
            (layout::csrf(view))
            (fields)
            (line(view, DESCRIPTION, Some(FOR_THE_READER), "description", &draft.description))
            (rule_table(view, tenant, &draft)?)
            section.card aria-labelledby="change-title" {
                h2 #change-title { (view.t(WHAT_CHANGES)) }
                div #change data-check aria-live="polite" {
                    @match judged.problem.as_ref().filter(|_| is_draft(view)) {
                        Some(problem) => div.problem { ul { @for one in problem.sentences() { li { (one) } } } },
                        None => (words::change(view, judged.reaches.as_deref())),
                    }
                }
            }
            div.buttons {
                button.main type="submit" { (view.t(SAVE)) }
                button type="submit" name="draft" value="1" { (view.t(CHECK)) }
                a.button href=(back) { (view.t(CANCEL)) }
            }
            div #command data-check { (commands_shown(view, &[command(tenant, &draft)])) }
        }
    };
    Ok(layout::with_status(view, refused.map_or(200, |problem| problem.status), title, &body))
}

fn rule_table(view: &View<'_>, tenant: &ResourceName, draft: &Draft) -> Result<Markup, Problem> {
    let groups = all(view, Kind::SecurityGroup, tenant)?;
    let sets = all(view, Kind::AddressSet, tenant)?;
    let columns = [DIRECTION, ACTION, PROTOCOL, SERVICE, PEER, PRIORITY, LOG, DESCRIPTION];
    Ok(html! {
        h2 #rules-title { (view.t(RULES)) }
        p.hint { (view.t(RULES_HINT)) }
        datalist #peers {
            option value="0.0.0.0/0" {} option value="::/0" {}
            @for item in &groups { option value={ "group:" (item.name) } {} }
            @for item in &sets { option value={ "set:" (item.name) } {} }
        }
        datalist #protocols { @for protocol in words::protocols() { option value=(protocol) {} } }
        div.wide tabindex="0" role="group" aria-labelledby="rules-title" {
            table.rows #rules spellcheck="false" {
                thead { tr { @for column in columns { th scope="col" { (view.t(column)) } } th { span.unseen { (view.t(REMOVE)) } } } }
                tbody { @for row in &draft.rows { (rule_row(view, row)) } }
                template { (rule_row(view, &Row::default())) }
            }
        }
        p { button type="button" data-row="add" aria-controls="rules" { (view.t(ADD_RULE)) } }
    })
}

fn rule_row(view: &View<'_>, row: &Row) -> Markup {
    let [direction, action, protocol, service, peer, priority, log, note] = FIELDS;
    let choice = |name: &str, label: Text, chosen: &str, options: [(&str, Text); 2]| {
        html! {
            td { select name=(name) aria-label=(view.t(label)) {
                @for (value, text) in options { option value=(value) selected[value == chosen] { (view.t(text)) } }
            } }
        }
    };
    let cell = |name: &str, label: Text, value: &str, list: Option<&str>| {
        html! { td { input name=(name) value=(value) aria-label=(view.t(label)) list=[list]; } }
    };
    html! {
        tr {
            (choice(direction, DIRECTION, &row.direction, [("ingress", INGRESS), ("egress", EGRESS)]))
            (choice(action, ACTION, &row.action, [("allow", ALLOW), ("deny", DENY)]))
            (cell(protocol, PROTOCOL, &row.protocol, Some("protocols")))
            (cell(service, SERVICE, &row.service, None))
            (cell(peer, PEER, &row.peer, Some("peers")))
            (cell(priority, PRIORITY, &row.priority, None))
            (choice(log, LOG, &row.log, [("no", NO), ("yes", YES)]))
            (cell(note, DESCRIPTION, &row.description, None))
            td { button.quiet type="button" data-row="remove" { (view.t(REMOVE)) } }
        }
    }
}

/// The command that does the same.
fn command(tenant: &ResourceName, draft: &Draft) -> String {
    let rules = rows::rules(&draft.rows).unwrap_or_default();
    let rules: Vec<String> = rules.iter().map(|rule| format!(" --rule {}", layout::word(&rule.to_string()))).collect();
    let rules = if rules.is_empty() && !draft.is_new { " --rule ''".to_owned() } else { rules.concat() };
    let name = layout::word(if draft.name.is_empty() { layout::NO_NAME } else { &draft.name });
    let verb = if draft.is_new { "create" } else { "set" };
    let network = if draft.is_new { format!(" --vm-network {}", layout::word(&draft.network)) } else { String::new() };
    format!("netvirt {verb} security-group {name}{network}{rules}{}", layout::for_tenant(Some(tenant)))
}

#[cfg(test)]
mod tests {
    use model::fabric::Kind;

    use super::MOST;
    use crate::pages::tenant::testing::{Desk, EVIL};

    const RULES: &str = "/t/blue/security-groups/servers/rules";

    fn rule<'a>(protocol: &'a str, service: &'a str, peer: &'a str) -> [(&'a str, &'a str); 8] {
        [
            ("direction", "ingress"),
            ("action", "allow"),
            ("protocol", protocol),
            ("service", service),
            ("peer", peer),
            ("priority", ""),
            ("log", "no"),
            ("note", ""),
        ]
    }

    #[test]
    fn a_draft_says_what_opens_and_closes_and_changes_nothing() {
        let desk = Desk::of_blue();
        let before = desk.revision();
        desk.get(RULES).has("Nothing changes").has("set:office").has("group:servers");
        let form = [&rule("tcp", "22", "set:office")[..], &[("draft", "1")]].concat();
        let shown = desk.post(RULES, &form);
        shown.has("opens").has("tcp 22").has("10.2.0.0/16").has("closes").has("tcp 443").lacks(EVIL);
        assert_eq!(desk.revision(), before);
    }

    #[test]
    fn rules_are_saved_and_conflicts_shown() {
        let desk = Desk::of_blue();
        let form = [&rule("udp", "53", "")[..], &[("revision", "1")]].concat();
        let shown = desk.post(RULES, &form);
        assert_eq!(shown.status, 412);
        shown.has("As it is now").has("value=\"53\"");
        let revision = desk.revision().to_string();
        let form = [&rule("udp", "53", "group:servers")[..], &[("revision", revision.as_str())]].concat();
        assert_eq!(desk.post(RULES, &form).status, 303);
        desk.get("/t/blue/security-groups/servers").has("udp").has("group:servers").lacks("443");
    }

    #[test]
    fn what_was_refused_comes_back_as_it_was_typed() {
        let desk = Desk::of_blue();
        let before = desk.revision();
        let form =
            [&rule("tpc", "22", "10.0.0.0/99")[..], &[("name", "new"), ("vmNetwork", "front"), ("description", EVIL)]];
        let shown = desk.post("/t/blue/security-groups/new", &form.concat());
        assert_eq!((shown.status, desk.revision()), (422, before));
        shown.has("rule 1: protocol").has("value=\"tpc\"").has("10.0.0.0/99").lacks(EVIL);
        let form = [&rule("tcp", "22", "")[..], &[("name", "new"), ("vmNetwork", "front")]].concat();
        assert_eq!(desk.post("/t/blue/security-groups/new", &form).status, 303);
        assert_eq!(desk.names(Kind::SecurityGroup), ["new", "servers"]);
    }

    #[test]
    fn a_hundred_rules_are_a_table_and_more_are_yaml() {
        let desk = Desk::of_blue();
        let most = [&rule("tcp", "8000-8100", "10.2.0.0/16")[..]; MOST].concat();
        let named = [("name", "large"), ("vmNetwork", "front")];
        assert_eq!(desk.post("/t/blue/security-groups/new", &[&named[..], &most].concat()).status, 303);
        let shown = desk.get("/t/blue/security-groups/large/rules");
        assert!(shown.status == 200 && shown.text.len() < 100_000, "{} bytes", shown.text.len());
        let more = [&[("name", "larger"), ("vmNetwork", "front")][..], &most, &rule("udp", "53", "")].concat();
        assert_eq!(desk.post("/t/blue/security-groups/new", &more).status, 303);
        assert!(desk.get("/t/blue/security-groups/larger/rules").location.ends_with("/security-groups/larger/edit"));
        desk.get("/t/blue/security-groups/larger").lacks("/rules\"");
    }
}
