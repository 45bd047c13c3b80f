//! The boxes of hosts and of groups of them.

use super::groups::Group;
use super::{Health, Host, Uplink};
use crate::pictures::Setting;
use crate::pictures::marks;
use crate::pictures::number::{bit_rate, grouped};
use crate::pictures::scene::{Drawing, Label, Rect};

/// How wide every box is.
pub(super) const WIDTH: i32 = 244;
/// How high that of a group is.
pub(super) const GROUP: i32 = 76;

const PAD: i32 = 12;
/// Where texts begin, right of the mark.
const TEXT: i32 = 36;

/// How high a host's box is.
pub(super) const fn height(host: &Host, roomy: bool) -> i32 {
    match (roomy, host.gateways.is_empty()) {
        (false, _) => 50,
        (true, true) => 74,
        (true, false) => 104,
    }
}

/// Draws a host.
pub(super) fn host(drawing: &mut Drawing, host: &Host, rect: Rect, roomy: bool, setting: &Setting) {
    let words = &setting.words;
    let addresses = host.addresses.join(", ");
    let health = host.health.word(words);
    let uplinks: Vec<String> = host.uplinks.iter().map(|it| told(it, setting)).collect();
    let note = if host.note.is_empty() { health.to_owned() } else { format!("{health}: {}", host.note) };
    let gateways: Vec<&str> = host.gateways.iter().map(|it| it.name.as_str()).collect();
    let title = [host.name.clone(), note, addresses.clone(), uplinks.join(", "), gateways.join(", ")].join("\n");
    drawing.group(&host.href, &title, "", |group| {
        group.frame(rect, 8, host.health.class());
        marks::mark(group, host.health.mark(), rect.x + 19, rect.y + 18);
        let right = rect.right() - PAD;
        group.text(Label::new(rect.x + TEXT, rect.y + 22, 120, &host.name).bold());
        group.text(Label::new(right, rect.y + 22, 72, &words.count_vms(host.vms)).small().class("dim").ending());
        if roomy {
            group.text(Label::new(rect.x + TEXT, rect.y + 41, rect.w - TEXT - PAD, &addresses).mono().class("dim"));
            row_of_uplinks(group, &host.uplinks, rect.x + TEXT, rect.y + 62);
        } else {
            group.text(Label::new(rect.x + TEXT, rect.y + 40, 112, &addresses).mono().class("dim"));
            triangles(group, host, right, rect.y + 36);
        }
    });
    if roomy && !host.gateways.is_empty() {
        row_of_gateways(drawing, host, rect, setting);
    }
}

fn told(uplink: &Uplink, setting: &Setting) -> String {
    format!("{} {}", uplink.name, if uplink.up { setting.words.up } else { setting.words.down })
}

/// A triangle that points up, or down.
fn triangle(drawing: &mut Drawing, up: bool, x: i32, y: i32) {
    if up {
        drawing.path(format!("M{x} {y}m-5 4l5-9l5 9z"), "good");
    } else {
        drawing.path(format!("M{x} {y}m-5-5l5 9l5-9z"), "bad");
    }
}

/// Uplinks with their names: two, and how many more.
fn row_of_uplinks(drawing: &mut Drawing, uplinks: &[Uplink], x: i32, y: i32) {
    const EACH: i32 = 82;
    for (at, uplink) in (0..).zip(&uplinks[..uplinks.len().min(2)]) {
        triangle(drawing, uplink.up, x + 5 + at * EACH, y - 4);
        let label = Label::new(x + 15 + at * EACH, y, EACH - 22, &uplink.name).small();
        drawing.text(label.class(if uplink.up { "dim" } else { "is-bad" }));
    }
    if uplinks.len() > 2 {
        drawing.text(Label::new(x + 2 * EACH, y, 32, &format!("+{}", uplinks.len() - 2)).small().class("dim"));
    }
}

/// Uplinks without names, and a G for a gateway, from the right.
fn triangles(drawing: &mut Drawing, host: &Host, right: i32, y: i32) {
    let mut x = right - 6;
    for uplink in host.uplinks.iter().take(3).rev() {
        triangle(drawing, uplink.up, x, y);
        x -= 17;
    }
    if let Some(active) = host.gateways.iter().map(|it| it.active).max() {
        let class = if active { "b s lead" } else { "s dim" };
        drawing.text(Label::new(x + 4, y + 4, 14, "G").small().class(class).ending());
    }
}

/// The first gateway as a link, and how many more.
fn row_of_gateways(drawing: &mut Drawing, host: &Host, rect: Rect, setting: &Setting) {
    let [first, others @ ..] = host.gateways.as_slice() else { return };
    let place = Rect::new(rect.x + TEXT, rect.y + 72, rect.w - TEXT - PAD, 24);
    let role = if first.active { setting.words.active } else { setting.words.standby };
    let text = if others.is_empty() {
        format!("{} · {role}", first.name)
    } else {
        format!("+{} · {} · {role}", others.len(), first.name)
    };
    let title = format!("{}: {} · {role}", setting.words.gateway, first.name);
    drawing.group(&first.href, &title, "", |group| {
        group.frame(place, 12, if first.active { "hub" } else { "ghost" });
        group.text(Label::new(place.x + 12, place.y + 16, place.w - 24, &text).small());
    });
}

/// Draws a group of hosts, with the traffic between them.
pub(super) fn group(drawing: &mut Drawing, group: &Group<'_>, rect: Rect, within: u64, setting: &Setting) {
    let words = &setting.words;
    let tally = group.tally();
    let spelt: Vec<String> = tally.iter().map(|(health, number)| format!("{number} {}", health.word(words))).collect();
    let traffic = format!("{} {}", words.within, bit_rate(within));
    let title = format!("{}\n{}\n{traffic}", group.name, spelt.join(", "));
    let class = match tally.as_slice() {
        [(Health::Gone, _)] => "troubled",
        some if some.iter().any(|(it, _)| matches!(it, Health::Gone | Health::Unfit)) => "worried",
        _ => "card",
    };
    drawing.group("", &title, "", |drawing| {
        drawing.frame(rect, 8, class);
        let hosts = format!("{} {}", grouped(group.hosts.len() as u128), words.hosts);
        drawing.text(Label::new(rect.x + PAD, rect.y + 22, 132, &group.name).bold());
        drawing.text(Label::new(rect.right() - PAD, rect.y + 22, 84, &hosts).small().class("dim").ending());
        drawing.text(Label::new(rect.x + PAD, rect.y + 42, 120, &traffic).small().class("dim"));
        let vms = words.count_vms(group.hosts.iter().fold(0, |sum, host| sum.saturating_add(host.vms)));
        drawing.text(Label::new(rect.right() - PAD, rect.y + 42, 96, &vms).small().class("dim").ending());
        let mut x = rect.x + PAD;
        for (health, number) in tally.iter().take(5) {
            marks::mark(drawing, health.mark(), x + marks::HALF, rect.y + 59);
            let label = Label::new(x + 18, rect.y + 64, 26, &number.to_string()).small();
            x += 18 + label.width() + 8;
            drawing.text(label);
        }
    });
}
