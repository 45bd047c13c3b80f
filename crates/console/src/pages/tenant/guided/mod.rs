//! A VM network with its subnets and pools on one page, which computes and checks while somebody types. What is checked is
//! checked by the controller itself, and what is created is created at once or not at all.

mod commands;
mod draft;

use api::Problem;
use api::fabric::{Change, ChangeSet, PageAnswer};
use ipnet::IpNet;
use maud::{Markup, html};
use model::fabric::{Isolation, Key, Kind, ResourceName, VmSubnet};
use plan::fabric::free_prefix;

use super::pieces::{all, commands_shown, crumb, field, joined, line, one, select, specs};
use crate::context::View;
use crate::forms::query;
use crate::texts::common::*;
use crate::texts::tenant::*;
use crate::{answer, layout};
use draft::{Draft, Made, Other, Part, Row, Subnet};

/// A new VM network with its subnets.
///
/// # Errors
/// Those of the interface that no form can be shown for.
pub fn answer(view: &View<'_>, tenant: &ResourceName) -> Result<PageAnswer, Problem> {
    page(view, tenant, None)
}

/// More subnets of a VM network.
///
/// # Errors
/// See [`answer`].
pub fn add(view: &View<'_>, tenant: &ResourceName, network: &str) -> Result<PageAnswer, Problem> {
    let item = one(view, Kind::VmNetwork, tenant, network)?;
    page(view, tenant, Some(&item.name))
}

/// The page, its drafts, and what becomes of its form. `network` is the one that is there already.
fn page(view: &View<'_>, tenant: &ResourceName, network: Option<&ResourceName>) -> Result<PageAnswer, Problem> {
    let others = others(view, tenant)?;
    let taken: Vec<IpNet> = others.iter().flat_map(|other| other.prefixes.iter().copied()).collect();
    let free = free_prefix(&taken);
    let form = &view.context.form;
    let sent = view.context.is_post();
    let mut draft = Draft::read(form);
    if !sent {
        let prefixes = free.as_ref().map(ToString::to_string).unwrap_or_default();
        draft.rows = vec![Row { prefixes, ..Row::default() }];
    }
    let made = match network {
        None => draft.made(tenant, &others),
        Some(name) => {
            let has = others.iter().filter(|other| other.network == *name).count();
            draft.added(tenant, name, has, &others)
        }
    };
    let is_draft = form.is_set("draft");
    let judged = if sent { judge(view, &made, is_draft) } else { Ok(()) };
    if let (Ok(()), true, false, Some(first)) = (&judged, sent, is_draft, made.resources.first()) {
        let key = Key::new(Kind::VmNetwork, Some(tenant.clone()), network.unwrap_or(&first.name).clone());
        // Without scripts nobody has seen what would come of it.
        let cut = joined(made.subnets.iter().flat_map(|subnet| &subnet.parts).filter_map(|part| part.typed));
        let done = query(&[("done", "created"), ("what", &first.key().to_string()), ("cut", &cut)]);
        return Ok(answer::see_other(&format!("{}{done}", layout::address(&key))));
    }
    // Without scripts, checking also gives one more row to fill in.
    if is_draft && view.context.request.field("x-fragment").is_empty() {
        draft.rows.push(Row::default());
    }
    let problem = judged.as_ref().err();
    let refused = problem.filter(|_| !is_draft);
    let title = view.t(if network.is_some() { ADD_SUBNET } else { NEW_NETWORK });
    let plain = if network.is_some() { Kind::VmSubnet } else { Kind::VmNetwork };
    let back = network.map_or_else(
        || crumb(view, Kind::VmNetwork, tenant),
        |name| (layout::address(&Key::new(Kind::VmNetwork, Some(tenant.clone()), name.clone())), name.to_string()),
    );
    let body = html! {
        (layout::heading(title, std::slice::from_ref(&back), &html! {
            a.button href={ (layout::list_address(plain, Some(tenant))) "/new/yaml" } { (view.t(AS_YAML)) }
        }))
        @if let Some(problem) = refused { (layout::problem(&view.context, problem)) }
        form method="post" data-draft novalidate autocomplete="off" {
            (layout::csrf(view))
            @if network.is_none() { (network_fields(view, tenant, &draft)?) }
            (subnet_table(view, &draft, free))
            div #check data-check aria-live="polite" { (checked(view, is_draft, problem.filter(|_| is_draft), &made)) }
            div.buttons {
                button.main type="submit" { (view.t(CREATE)) }
                button type="submit" name="draft" value="1" { (view.t(CHECK)) }
                a.button href=(back.0) { (view.t(CANCEL)) }
            }
        }
    };
    Ok(layout::with_status(view, refused.map_or(200, |problem| problem.status), title, &body))
}

/// What the controller says of it; creates it, unless it is a draft.
fn judge(view: &View<'_>, made: &Made, is_draft: bool) -> Result<(), Problem> {
    if !made.problems.is_empty() {
        return Err(Problem::with_errors(api::ProblemType::Invalid, made.problems.clone()));
    }
    let changes = made.resources.iter().cloned().map(Change::Create).collect();
    let changes = ChangeSet { changes, dry_run: is_draft, ..ChangeSet::default() };
    view.context.api.change(view.caller(), changes).map(drop)
}

fn others(view: &View<'_>, tenant: &ResourceName) -> Result<Vec<Other>, Problem> {
    let items = all(view, Kind::VmSubnet, tenant)?;
    let other = |(item, spec): (&api::fabric::Item, VmSubnet)| Other {
        network: spec.vm_network,
        subnet: item.name.clone(),
        prefixes: spec.prefixes,
    };
    Ok(specs::<VmSubnet>(&items).map(other).collect())
}

fn network_fields(view: &View<'_>, tenant: &ResourceName, draft: &Draft) -> Result<Markup, Problem> {
    let logical = all(view, Kind::LogicalNetwork, tenant)?;
    let able = |item: &&api::fabric::Item| item.spec["networkVirtualization"].as_bool() == Some(true);
    let logical: Vec<_> =
        logical.iter().filter(able).map(|item| (item.name.to_string(), item.name.to_string())).collect();
    let virtualized = Isolation::ALL.into_iter().filter(|one| one.is_virtualized());
    let isolations: Vec<_> = virtualized.map(|one| (one.to_string(), one.as_str().to_uppercase())).collect();
    let pair = |value: &str, text| (value.to_owned(), view.t(text).to_owned());
    let ingress = [pair("same-group", SAME_GROUP), pair("allow", EVERYBODY), pair("deny", NOBODY)];
    let egress = [pair("allow", ALLOW), pair("deny", DENY)];
    Ok(html! {
        @if logical.is_empty() { (no_logical_network(view)) }
        section.card {
            (field(view, NAME, None, &html! {
                input name="name" required maxlength="63" autocomplete="off" spellcheck="false" value=(draft.name);
            }))
            div.row {
                (field(view, LOGICAL_NETWORK, None, &select("logicalNetwork", &draft.logical_network, &logical)))
                (field(view, ISOLATION, Some(ISOLATION_HINT), &select("isolation", &draft.isolation, &isolations)))
            }
            details open[draft.ingress == "deny" || draft.egress == "deny"] {
                summary { (view.t(SECURITY_DEFAULTS)) }
                p.hint { (view.t(SECURITY_DEFAULTS_HINT)) }
                div.row {
                    (field(view, INGRESS_DEFAULT, None, &select("ingress", &draft.ingress, &ingress)))
                    (field(view, EGRESS_DEFAULT, None, &select("egress", &draft.egress, &egress)))
                }
            }
            (line(view, DESCRIPTION, None, "description", &draft.description))
        }
    })
}

/// Without a logical network nothing can be created here: who can help, or how.
fn no_logical_network(view: &View<'_>) -> Markup {
    html! {
        div.problem role="alert" {
            @if view.is_operator() {
                p { (view.t(NO_LOGICAL_NETWORK_YET)) }
                p { a href={ (layout::list_address(Kind::LogicalNetwork, None)) "/new" } { (view.t(LOGICAL_NETWORKS)) } }
                (layout::command(view, &[format!("netvirt create logical-network {} --network-virtualization", layout::NO_NAME)]))
            } @else { p { (view.t(NO_LOGICAL_NETWORK)) } }
        }
    }
}

fn subnet_table(view: &View<'_>, draft: &Draft, free: Option<IpNet>) -> Markup {
    let columns = [SUBNET, PREFIXES, POOL, POOL_RANGES, DNS_SERVERS];
    html! {
        h2 #subnets-title { (view.t(VM_SUBNETS)) }
        p.hint { (view.t(SUBNETS_HINT)) @if let Some(free) = free { " " (view.tf(FREE_PREFIX, &[&free.to_string()])) } }
        div.wide tabindex="0" role="group" aria-labelledby="subnets-title" {
            table.rows #subnets {
                thead { tr { @for column in columns { th scope="col" { (view.t(column)) } } th { span.unseen { (view.t(REMOVE)) } } } }
                tbody { @for row in &draft.rows { (subnet_row(view, row)) } }
                template { (subnet_row(view, &Row::default())) }
            }
        }
        p { button type="button" data-row="add" aria-controls="subnets" { (view.t(ADD_SUBNET)) } }
    }
}

fn subnet_row(view: &View<'_>, row: &Row) -> Markup {
    let pool = [("yes".to_owned(), view.t(YES).to_owned()), ("no".to_owned(), view.t(NO).to_owned())];
    let cell = |label, name: &str, value: &str| {
        html! { td { input name=(name) value=(value) aria-label=(view.t(label)) autocomplete="off" spellcheck="false"; } }
    };
    html! {
        tr {
            (cell(SUBNET, "subnet", &row.name))
            (cell(PREFIXES, "prefixes", &row.prefixes))
            td {
                select name="pool" aria-label=(view.t(POOL)) {
                    @for (value, text) in &pool { option value=(value) selected[*value == row.pool] { (text) } }
                }
            }
            (cell(POOL_RANGES, "ranges", &row.ranges))
            (cell(DNS_SERVERS, "dns", &row.dns))
            td { button.quiet type="button" data-row="remove" { (view.t(REMOVE)) } }
        }
    }
}

/// What follows from what was typed, and what is wrong with it.
fn checked(view: &View<'_>, is_draft: bool, problem: Option<&Problem>, made: &Made) -> Markup {
    html! {
        @if is_draft {
            @match problem {
                Some(problem) => div.problem {
                    ul { @for sentence in problem.sentences() { li { (sentence) } } }
                },
                None => p { (layout::mark("good", view.t(CAN_BE_CREATED))) },
            }
        }
        @if !made.subnets.is_empty() {
            h2 #derived { (view.t(DERIVED)) }
            div.wide tabindex="0" role="group" aria-labelledby="derived" {
                table {
                    thead { tr {
                        @for column in [SUBNET, PREFIX, GATEWAY, USABLE, POOL_RANGES, LEFT, OVERLAPS] { th scope="col" { (view.t(column)) } }
                    } }
                    tbody { @for subnet in &made.subnets { @for part in &subnet.parts { (derived_row(view, subnet, part)) } } }
                }
            }
        }
        (commands_shown(view, &commands::of(&made.resources)))
        @if let Ok(text) = model::fabric::resources_to_yaml(&made.resources) {
            @if !made.resources.is_empty() {
                h3 #yaml { (view.t(FOR_APPLY)) }
                pre.yaml tabindex="0" role="group" aria-labelledby="yaml" { code { (text) } }
            }
        }
    }
}

fn derived_row(view: &View<'_>, subnet: &Subnet, part: &Part) -> Markup {
    let Part { proposal, typed, left, clashes, also } = part;
    let inside = subnet.ranges.iter().filter(|range| proposal.prefix.contains(&range.first()));
    html! {
        tr {
            th scope="row" { (subnet.name) }
            td {
                (proposal.prefix)
                @if let Some(typed) = typed { p.hint { (view.tf(CUT_PREFIX, &[&typed.to_string()])) } }
            }
            td { (proposal.gateway) }
            td.number { (count(proposal.usable)) }
            td { (joined(inside)) }
            td.number { (count(*left)) }
            td {
                @if clashes.is_empty() && also.is_empty() { (layout::mark("good", view.t(NO_OVERLAP))) }
                @if !clashes.is_empty() { (layout::mark("bad", view.t(OVERLAPS))) (joined(clashes)) }
                @if !also.is_empty() { p.hint { (view.tf(ALSO_USED, &[&joined(also)])) } }
            }
        }
    }
}

/// A number of addresses: of IPv6, as a power of two.
fn count(number: u128) -> String {
    if number < 1 << 32 {
        number.to_string()
    } else {
        format!("≈ 2^{}", number.ilog2() + u32::from(!number.is_power_of_two()))
    }
}

#[cfg(test)]
mod tests {
    use model::fabric::Kind;

    use crate::pages::tenant::testing::{Desk, EVIL};

    const PAGE: &str = "/t/blue/vm-networks/new";
    const FORM: [(&str, &str); 7] = [
        ("name", "shop"),
        ("logicalNetwork", "TDIv2"),
        ("isolation", "vxlan"),
        ("subnet", "till"),
        ("prefixes", "10.10.1.0/25"),
        ("pool", "yes"),
        ("ranges", ""),
    ];

    #[test]
    fn one_form_makes_all_of_it() {
        let desk = Desk::of_blue();
        let shown = desk.post(PAGE, &FORM);
        assert_eq!((shown.status, shown.location.split('?').next()), (303, Some("/t/blue/vm-networks/shop")));
        assert_eq!(desk.names(Kind::VmNetwork), ["front", "shop"]);
        assert_eq!(desk.names(Kind::VmSubnet), ["till", "web"]);
        assert_eq!(desk.names(Kind::IpPool), ["till pool", "web pool"]);
    }

    #[test]
    fn what_is_cut_off_and_what_is_lacking_is_said() {
        let desk = Desk::of_blue();
        desk.get(PAGE).lacks("no logical network");
        let form = [&[("subnet", "x"), ("prefixes", "10.10.1.9/25"), ("draft", "1")][..], &FORM[..3]].concat();
        desk.post(PAGE, &form).has("10.10.1.9/25 was typed: bits behind the length are cut off.");
        let made = desk.post(PAGE, &[&[("subnet", "x"), ("prefixes", "10.10.1.9/25")][..], &FORM[..3]].concat());
        assert_eq!(made.status, 303);
        desk.get(&made.location).has("was created. 10.10.1.9/25 was typed: bits behind the length are cut off.");
        desk.post(PAGE, &[("name", ""), ("prefixes", "10.9.0.0/24"), ("draft", "1")])
            .has("&lt;NAME&gt;-1")
            .lacks(">-1<");
        let without = Desk::without_logical_networks();
        without.get(PAGE).has("There is no logical network").has("Ask an operator");
    }

    #[test]
    fn a_draft_says_what_would_come_of_it_and_changes_nothing() {
        let desk = Desk::of_blue();
        let before = desk.revision();
        let shown = desk.post(PAGE, &[&FORM[..], &[("draft", "1")]].concat());
        assert_eq!((shown.status, desk.revision()), (200, before));
        shown.has("10.10.1.1<").has("10.10.1.2-10.10.1.126").has("Addresses of “web”");
        shown.has("netvirt create vm-subnet till --vm-network shop --prefix 10.10.1.0/25 --tenant blue");
        shown.has("kind: vm-network").has("can be created");
        let taken = desk.post(PAGE, &[("name", "front"), ("logicalNetwork", "TDIv2"), ("draft", "1")]);
        taken.has("exists").lacks("can be created");
        assert_eq!(desk.revision(), before);
    }

    #[test]
    fn what_was_refused_comes_back_as_it_was_typed() {
        let desk = Desk::of_blue();
        let before = desk.revision();
        let form =
            [("name", EVIL), ("logicalNetwork", "TDIv2"), ("subnet", "a"), ("prefixes", "10.1.1.0/33"), ("dns", EVIL)];
        let shown = desk.post(PAGE, &form);
        assert_eq!((shown.status, desk.revision()), (422, before));
        shown.has("10.1.1.0/33").has("role=\"alert\"").lacks(EVIL).has("value=\"&lt;script&gt;");
        let taken = desk.post(
            PAGE,
            &[("name", "front"), ("logicalNetwork", "TDIv2"), ("subnet", "b"), ("prefixes", "10.7.0.0/24")],
        );
        assert_eq!(taken.status, 409);
        taken.has("value=\"10.7.0.0/24\"");
        assert_eq!(desk.names(Kind::VmSubnet), ["web"], "all or nothing");
    }

    #[test]
    fn subnets_are_added_to_a_network() {
        let desk = Desk::of_blue();
        let page = "/t/blue/vm-networks/front/subnet";
        desk.get(page).has("10.0.0.0/24");
        desk.post(page, &[("subnet", ""), ("prefixes", "10.10.1.128/25"), ("draft", "1")]).has("10.10.1.0/24");
        let shown = desk.post(page, &[("subnet", ""), ("prefixes", "10.10.2.0/24")]);
        assert_eq!((shown.status, shown.location.split('?').next()), (303, Some("/t/blue/vm-networks/front")));
        assert_eq!(desk.names(Kind::VmSubnet), ["front-2", "web"]);
        assert_eq!(desk.post(page, &[("subnet", "")]).status, 422);
        assert_eq!(desk.get("/t/blue/vm-networks/none/subnet").status, 404);
    }
}
