//! What would become of a packet, stage by stage, from the same question as `netvirt trace`.

use std::net::IpAddr;

use api::fabric::{PageAnswer, Question, Trace, TraceFate, TraceLeg};
use api::{Problem, TraceProtocol, TraceRequest};
use maud::{Markup, html};
use model::fabric::{Key, Kind, ResourceName};

use super::pieces::{field, line, link, select};
use crate::context::View;
use crate::forms::Form;
use crate::layout;
use crate::pages::pieces::{inside, words};
use crate::pictures::{self, End, Leg, Passage, Setting, Stage, StageState};
use crate::texts::Text;
use crate::texts::common::*;
use crate::texts::tenant::*;

/// The page: the form, and the answer once it is filled in. It changes nothing, and so its address can be sent to others.
///
/// # Errors
/// None: what goes wrong is said beside the form.
pub fn answer(view: &View<'_>, tenant: &ResourceName) -> Result<PageAnswer, Problem> {
    let form = &view.context.query;
    let traced = form.given("to").map(|_| ask(view, tenant, form));
    let status = match &traced {
        Some(Err(problem)) => problem.status,
        _ => 200,
    };
    let body = html! {
        (layout::heading(view.t(TRACE), &[], &html! {}))
        @if let Some(Err(problem)) = &traced { (layout::problem(&view.context, problem)) }
        (fields(view, form))
        @if let Some(Ok(trace)) = &traced {
            (inside(picture(view, tenant, form, trace)))
            (result(view, tenant, trace))
        }
        (layout::command(view, &[command(form, tenant)]))
    };
    Ok(layout::with_status(view, status, view.t(TRACE), &body))
}

fn protocol(form: &Form) -> TraceProtocol {
    match form.text("protocol") {
        "tcp" => TraceProtocol::Tcp,
        "udp" => TraceProtocol::Udp,
        _ => TraceProtocol::Icmp,
    }
}

fn ask(view: &View<'_>, tenant: &ResourceName, form: &Form) -> Result<Trace, Problem> {
    let from: ResourceName = form.need("from")?;
    let mut packet = TraceRequest::new(from.as_str(), form.need::<IpAddr>("to")?);
    packet.protocol = protocol(form);
    packet.source = form.parse("source")?;
    packet.destination_port = form.parse("port")?.unwrap_or(packet.destination_port);
    packet.source_port = form.parse("sourcePort")?.unwrap_or(packet.source_port);
    packet.size = form.parse("size")?.unwrap_or(packet.size);
    packet.syn = packet.protocol == TraceProtocol::Tcp;
    view.context.api.ask(view.caller(), Question::Trace { tenant: tenant.clone(), packet })?.trace()
}

fn fields(view: &View<'_>, form: &Form) -> Markup {
    let protocols = ["icmp", "tcp", "udp"].map(|word| (word.to_owned(), word.to_uppercase()));
    let of = |label, hint, name: &str| line(view, label, hint, name, form.text(name));
    html! {
        form.card method="get" {
            div.row {
                (of(FROM_PORT, None, "from"))
                (of(TO_ADDRESS, None, "to"))
                (field(view, PROTOCOL, None, &select("protocol", form.text("protocol"), &protocols)))
                (of(DESTINATION_PORT, None, "port"))
            }
            details open[["source", "sourcePort", "size"].iter().any(|name| form.given(name).is_some())] {
                summary { (view.t(MORE)) }
                div.row {
                    (of(SOURCE_ADDRESS, None, "source"))
                    (of(SOURCE_PORT, None, "sourcePort"))
                    (of(PAYLOAD, None, "size"))
                }
            }
            button.main type="submit" { (view.t(TRACE)) }
        }
    }
}

const fn fate_text(fate: TraceFate) -> (&'static str, Text) {
    match fate {
        TraceFate::Dropped => ("bad", FATE_DROPPED),
        TraceFate::Delivered => ("good", FATE_DELIVERED),
        TraceFate::ToHost => ("plain", FATE_TO_HOST),
        TraceFate::Replicated => ("good", FATE_REPLICATED),
        TraceFate::Answered => ("good", FATE_ANSWERED),
        TraceFate::Outside => ("plain", FATE_OUTSIDE),
    }
}

fn result(view: &View<'_>, tenant: &ResourceName, trace: &Trace) -> Markup {
    html! {
        section #trace aria-labelledby="result" {
            h2 #result { (view.t(RESULT)) }
            @for (index, leg) in trace.legs.iter().enumerate() { (leg_of(view, tenant, index + 1, leg)) }
            @if let Some(reason) = &trace.unfinished { p { (layout::mark("wait", view.t(UNFINISHED))) (reason) } }
        }
    }
}

/// The same as a picture.
fn picture(view: &View<'_>, tenant: &ResourceName, form: &Form, trace: &Trace) -> String {
    let address = |name: &ResourceName| layout::address(&Key::new(Kind::Port, Some(tenant.clone()), name.clone()));
    let from = form.text("from");
    let from = End {
        name: from.to_owned(),
        href: from.parse().map(|name| address(&name)).unwrap_or_default(),
        address: form.text("source").to_owned(),
    };
    let last = trace.legs.last();
    let port = last.and_then(|leg| leg.end.port.as_ref());
    let to = End {
        name: port.map(ToString::to_string).unwrap_or_default(),
        href: port.map(address).unwrap_or_default(),
        address: form.text("to").to_owned(),
    };
    let report = last.map(|leg| &leg.report);
    pictures::trace(
        &pictures::Trace {
            title: view.t(RESULT).to_owned(),
            packet: trace.legs.first().map(|leg| leg.report.packet.clone()).unwrap_or_default(),
            from,
            to,
            legs: trace.legs.iter().enumerate().map(|(index, leg)| drawn(view, index + 1, leg)).collect(),
            verdict: report.map(|report| report.verdict.clone()).unwrap_or_default(),
            explanation: report.and_then(|report| report.explanation.clone()).unwrap_or_default(),
        },
        &Setting::page(words(view)),
    )
}

fn drawn(view: &View<'_>, number: usize, leg: &TraceLeg) -> Leg {
    let steps = &leg.report.steps;
    let stage = |(index, step): (usize, &api::TraceStep)| {
        let is_last = index + 1 == steps.len();
        let state = match leg.end.fate {
            TraceFate::Dropped if is_last => StageState::Dropped {
                reason: leg.report.reason.clone().unwrap_or_default(),
                explanation: leg.report.explanation.clone().unwrap_or_default(),
            },
            TraceFate::Answered if is_last => StageState::Answered,
            _ => StageState::Passed,
        };
        let found = |lookup: &api::TraceLookup| {
            format!("{} {}: {}", lookup.table, lookup.key, lookup.found.as_deref().unwrap_or("–"))
        };
        let decision = step.lookups.iter().map(found).collect::<Vec<_>>().join("; ");
        Stage { name: step.stage.clone(), question: step.question.clone(), decision, state }
    };
    let passage = (leg.end.fate == TraceFate::ToHost).then(|| Passage {
        name: view.t(FATE_TO_HOST).to_owned(),
        about: leg.end.remote.map(|remote| remote.to_string()).unwrap_or_default(),
    });
    Leg {
        host: leg.host.as_ref().map_or_else(|| view.tf(LEG, &[&number.to_string()]), ToString::to_string),
        stages: steps.iter().enumerate().map(stage).collect(),
        passage,
        ..Leg::default()
    }
}

fn leg_of(view: &View<'_>, tenant: &ResourceName, number: usize, leg: &TraceLeg) -> Markup {
    let (class, text) = fate_text(leg.end.fate);
    let report = &leg.report;
    html! {
        section.card {
            h3 { (view.tf(LEG, &[&number.to_string()])) @if let Some(host) = &leg.host { ": " (host) } }
            p { (report.packet) }
            ol.stages {
                @for step in &report.steps {
                    li {
                        strong { (step.stage) } " " span.hint { (step.question) }
                        @if !step.lookups.is_empty() {
                            ul { @for lookup in &step.lookups {
                                li { (lookup.table) ": " code { (lookup.key) } " → " (lookup.found.as_deref().unwrap_or("–")) }
                            } }
                        }
                    }
                }
            }
            p {
                (layout::mark(class, view.t(text))) (report.verdict)
                @if let Some(port) = &leg.end.port { " " (link(Kind::Port, tenant, port)) }
            }
            @if let Some(reason) = &report.reason { p { strong { (reason) } @if let Some(text) = &report.explanation { ": " (text) } } }
            @else if let Some(text) = &report.explanation { p.hint { (text) } }
            @if !report.output.is_empty() { pre tabindex="0" { code { @for line in &report.output { (line) "\n" } } } }
        }
    }
}

/// The command that asks the same.
fn command(form: &Form, tenant: &ResourceName) -> String {
    let given = |name: &str, otherwise: &str| layout::word(form.given(name).unwrap_or(otherwise));
    let mut line = format!("netvirt trace --from {} --to {}", given("from", "PORT"), given("to", "ADDRESS"));
    let with_ports = protocol(form) != TraceProtocol::Icmp;
    match protocol(form) {
        TraceProtocol::Icmp => {}
        TraceProtocol::Tcp => line.push_str(" --tcp --syn"),
        TraceProtocol::Udp => line.push_str(" --udp"),
    }
    let flags = [("source", "source"), ("size", "size"), ("port", "dest-port"), ("sourcePort", "source-port")];
    for (name, flag) in flags.into_iter().filter(|(name, _)| with_ports || !name.to_lowercase().contains("port")) {
        if let Some(value) = form.given(name) {
            line.push_str(&format!(" --{flag} {}", layout::word(value)));
        }
    }
    line + &layout::for_tenant(Some(tenant))
}

#[cfg(test)]
mod tests {
    use crate::pages::tenant::testing::{Desk, EVIL};

    #[test]
    fn a_trace_is_shown_stage_by_stage() {
        let desk = Desk::of_blue();
        let shown = desk.get("/t/blue/trace?from=www&to=10.10.1.6&protocol=tcp&port=443");
        shown
            .has("<svg")
            .has("What kind of packet is it?")
            .has("delivered to port")
            .lacks("host15")
            .lacks("192.168.4.16");
        shown.has("netvirt trace --from www --to 10.10.1.6 --tcp --syn --dest-port 443 --tenant blue");
        desk.get("/t/blue/trace?from=www").has("value=\"www\"").lacks("role=\"alert\"");
    }

    #[test]
    fn what_was_refused_comes_back_as_it_was_typed() {
        let desk = Desk::of_blue();
        let shown = desk.get("/t/blue/trace?from=%3Cscript%3Ealert(1)%3C/script%3E&to=nowhere");
        assert_eq!(shown.status, 422);
        shown.lacks(EVIL).has("value=\"nowhere\"").has("role=\"alert\"");
        assert_eq!(desk.get("/t/blue/trace?from=hidden-port&to=10.0.0.1").status, 404);
    }
}
