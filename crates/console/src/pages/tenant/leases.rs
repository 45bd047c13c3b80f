//! The addresses that DHCP has given in a VM subnet, asked of the hosts.

use api::Problem;
use api::fabric::{Lease, PageAnswer, Question};
use maud::{Markup, html};
use model::LeaseState;
use model::fabric::{Kind, ResourceName};

use super::network::traffic::unanswered;
use super::pieces::{all, field, link, select, table};
use crate::context::View;
use crate::layout;
use crate::texts::Text;
use crate::texts::common::*;
use crate::texts::tenant::*;

/// How many the page shows.
const SHOWN: usize = 200;

/// The page.
///
/// # Errors
/// Those of the interface; what hosts do not say is said on the page.
pub fn answer(view: &View<'_>, tenant: &ResourceName) -> Result<PageAnswer, Problem> {
    let subnets = all(view, Kind::VmSubnet, tenant)?;
    let asked = view.context.query.parse::<ResourceName>("subnet")?;
    let chosen = asked.or_else(|| subnets.first().map(|item| item.name.clone()));
    let options: Vec<_> = subnets.iter().map(|item| (item.name.to_string(), item.name.to_string())).collect();
    let chosen_text = chosen.as_ref().map(ToString::to_string).unwrap_or_default();
    let body = html! {
        (layout::heading(view.t(LEASES), &[], &html! {}))
        form.search method="get" {
            (field(view, SUBNET, None, &select("subnet", &chosen_text, &options)))
            button type="submit" { (view.t(SHOW)) }
        }
        div #leases data-live data-every="5000" {
            @match &chosen {
                Some(subnet) => (leases(view, tenant, subnet)),
                None => p.nothing { (view.t(NOTHING)) },
            }
        }
        (layout::command(view, &[
            format!("netvirt get leases {}{}", layout::word(&chosen_text), layout::for_tenant(Some(tenant))),
        ]))
    };
    Ok(layout::page(view, view.t(LEASES), &body))
}

const fn state_text(state: LeaseState) -> (&'static str, Text) {
    match state {
        LeaseState::Offered => ("wait", OFFERED),
        LeaseState::Bound => ("good", LEASED),
        LeaseState::Refused => ("bad", LEASE_REFUSED),
        LeaseState::Released => ("plain", RELEASED),
        LeaseState::Declined => ("bad", DECLINED),
    }
}

fn leases(view: &View<'_>, tenant: &ResourceName, subnet: &ResourceName) -> Markup {
    let question = Question::Leases { tenant: tenant.clone(), vm_subnet: subnet.clone() };
    let leases = match view.context.api.ask(view.caller(), question).and_then(api::fabric::Answer::leases) {
        Ok(leases) => leases,
        Err(problem) => return layout::problem(&view.context, &problem),
    };
    let row = |lease: &Lease| {
        let (class, text) = state_text(lease.state);
        html! {
            th scope="row" { (link(Kind::Port, tenant, &lease.port)) }
            td { (lease.address) }
            td.code { (lease.mac) }
            td { (layout::mark(class, view.t(text))) }
            td { time datetime=(lease.since) { (lease.since) } }
            td { @if let Some(until) = &lease.until { time datetime=(until) { (until) } } }
        }
    };
    let rows: Vec<Markup> = leases.leases.iter().take(SHOWN).map(row).collect();
    html! {
        (table(view, LEASES, &[PORT, ADDRESS, MAC, STATE, SINCE, UNTIL], &rows))
        @if leases.leases.len() > SHOWN {
            p.hint { (view.tf(FIRST_LEASES, &[&SHOWN.to_string(), &leases.leases.len().to_string()])) }
        }
        (unanswered(view, &leases.unanswered))
    }
}

#[cfg(test)]
mod tests {
    use crate::pages::tenant::testing::Desk;

    #[test]
    fn leases_are_those_of_the_chosen_subnet() {
        let desk = Desk::of_blue();
        desk.get("/t/blue/leases").has("10.10.1.5").has("02-00-00-00-00-05").has("netvirt get leases web");
        let other = desk.get("/t/blue/leases?subnet=hidden-subnet");
        other.lacks("10.66.").has("That did not work");
        assert_eq!(desk.get("/t/blue/leases?subnet=%3Cb%3E").status, 422);
    }
}
