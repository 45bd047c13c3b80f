//! What a change opens and closes, in sentences.

use maud::{Markup, html};
use model::security::{Direction, Protocol};
use plan::fabric::{Peers, Reach, Services};

use crate::context::View;
use crate::layout;
use crate::pages::tenant::pieces::joined;
use crate::texts::tenant::*;

/// The flows that differ; a sentence where nothing does, or where it would take too long to say.
pub fn change(view: &View<'_>, reaches: Option<&[Reach]>) -> Markup {
    match reaches {
        None => html! { p.hint { (view.t(TOO_MANY_RULES)) } },
        Some([]) => html! { p { (view.t(NOTHING_CHANGES)) } },
        Some(reaches) => html! {
            ul.reaches {
                @for reach in reaches {
                    li {
                        @if reach.opens { (layout::mark("wait", view.t(OPENS))) } @else { (layout::mark("bad", view.t(CLOSES))) }
                        (sentence(view, reach))
                    }
                }
            }
            p.hint { (view.t(GROUP_ALONE)) }
        },
    }
}

fn sentence(view: &View<'_>, reach: &Reach) -> String {
    let services: Vec<String> = reach.services.iter().map(|services| service(view, services)).collect();
    let text = match reach.direction {
        Direction::Ingress => REACH_IN,
        Direction::Egress => REACH_OUT,
    };
    view.tf(text, &[&services.join("; "), &peers(view, &reach.peers)])
}

fn service(view: &View<'_>, services: &Services) -> String {
    match services {
        Services::AllBut(but) if but.is_empty() => view.t(ALL_PROTOCOLS).to_owned(),
        Services::AllBut(but) => view.tf(ALL_PROTOCOLS_BUT, &[&joined(but)]),
        Services::Of { protocol, ranges } => {
            let word = if protocol.is_icmp() { kinds(ranges) } else { ports(ranges) };
            format!("{protocol} {word}").trim_end().to_owned()
        }
    }
}

fn ports(ranges: &[(u16, u16)]) -> String {
    joined(ranges.iter().map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") }))
}

/// Types, or single codes of a type as `type/code`.
fn kinds(ranges: &[(u16, u16)]) -> String {
    let one = |(first, last): &(u16, u16)| {
        let [from, low] = first.to_be_bytes();
        let [to, high] = last.to_be_bytes();
        match (from == to, low, high) {
            (true, 0, 255) => from.to_string(),
            (true, low, high) if low == high => format!("{from}/{low}"),
            (false, 0, 255) => format!("{from}-{to}"),
            _ => format!("{from}/{low}-{to}/{high}"),
        }
    };
    joined(ranges.iter().map(one))
}

fn peers(view: &View<'_>, peers: &Peers) -> String {
    let span = |span: &plan::fabric::Span| {
        if span.except.is_empty() {
            span.prefix.to_string()
        } else {
            view.tf(WITHOUT, &[&span.prefix.to_string(), &joined(&span.except)])
        }
    };
    let place = if peers.is_everywhere() { None } else { Some(joined(peers.addresses.iter().map(span))) };
    let mut parts: Vec<String> = Vec::new();
    match (&place, peers.members_of.as_slice()) {
        (None, []) => parts.push(view.t(EVERYBODY).to_owned()),
        (None, groups) => parts.push(view.tf(MEMBERS_OF, &[&joined(groups)])),
        (Some(place), []) => parts.push(place.clone()),
        (Some(place), groups) => parts.push(view.tf(MEMBERS_AT, &[&joined(groups), place])),
    }
    if !peers.not_members_of.is_empty() {
        parts.push(view.tf(NOT_MEMBERS_OF, &[&joined(&peers.not_members_of)]));
    }
    parts.concat()
}

/// The protocols that people choose from.
pub fn protocols() -> [Protocol; 6] {
    [Protocol::ANY, Protocol::new(6), Protocol::new(17), Protocol::ICMP, Protocol::ICMPV6, Protocol::new(132)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_as_people_type_them() {
        assert_eq!(ports(&[(80, 80), (8000, 8100)]), "80, 8000-8100");
        assert_eq!(
            kinds(&[(0x0800, 0x08ff), (0x0301, 0x0301), (0x0400, 0x05ff), (0x0901, 0x0a02)]),
            "8, 3/1, 4-5, 9/1-10/2"
        );
    }
}
