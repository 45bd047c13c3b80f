//! A gateway, its connections, and the sites that they lead to.

use super::{Columns, Connection, ConnectionKind, ConnectionState, Gateway};
use crate::pictures::Setting;
use crate::pictures::marks::{self, Mark};
use crate::pictures::number::grouped;
use crate::pictures::scene::{Drawing, Label, Rect};

/// Widths of a site, of the line to it, and of a gateway.
pub(super) const SITE: i32 = 188;
pub(super) const LINK: i32 = 140;
pub(super) const WIDTH: i32 = 196;
/// A connection's row.
const ROW: i32 = 62;
/// Connections that are drawn of one gateway.
const MOST: usize = 8;
const PILL: (i32, i32) = (112, 26);

/// Draws a gateway from this height on, and answers where it ends.
pub(super) fn gateway(drawing: &mut Drawing, gateway: &Gateway, y: i32, columns: &Columns, setting: &Setting) -> i32 {
    let hidden = gateway.connections.len().saturating_sub(MOST);
    let shown = &gateway.connections[..gateway.connections.len() - hidden];
    let rows = i32::try_from(shown.len() + usize::from(hidden > 0)).unwrap_or(i32::MAX);
    let rect = Rect::new(columns.gateways, y, WIDTH, (rows * ROW - 10).max(78));
    for (at, connection) in (0..).zip(shown) {
        self::connection(drawing, connection, y + at * ROW, columns, setting);
    }
    if hidden > 0 {
        let place = Rect::new(columns.sites, y + (rows - 1) * ROW, SITE, 52);
        let text = format!("+ {} {}", grouped(hidden as u128), setting.words.connections);
        super::more(drawing, place, &gateway.href, &text);
        drawing.path(format!("M{} {}H{}", place.right(), place.middle(), rect.x), "line");
    }
    draw(drawing, gateway, rect, setting);
    rect.bottom()
}

fn draw(drawing: &mut Drawing, gateway: &Gateway, rect: Rect, setting: &Setting) {
    let words = &setting.words;
    let host = match &gateway.active {
        Some(host) => format!("{} {host}", words.active_on),
        None => words.no_host.to_owned(),
    };
    let standby = if gateway.standby.is_empty() {
        String::new()
    } else {
        format!("{}: {}", words.standby, gateway.standby.join(", "))
    };
    let title = format!("{}\n{host}\n{standby}", gateway.name);
    drawing.group(&gateway.href, &title, "", |group| {
        group.frame(rect, 8, if gateway.active.is_some() { "hub" } else { "troubled" });
        let (x, y) = (rect.x + 24, rect.y + 26);
        // A door with an arrow through it.
        group.path(format!("M{x} {y}m-10-11v22m20-22v22m-15-11h12m-4-4l4 4l-4 4"), "glyph");
        let room = rect.w - 46 - 10;
        group.text(Label::new(rect.x + 46, rect.y + 24, room, &gateway.name).bold());
        let class = if gateway.active.is_some() { "" } else { "is-bad" };
        group.text(Label::new(rect.x + 46, rect.y + 43, room, &host).small().class(class));
        group.text(Label::new(rect.x + 46, rect.y + 61, room, &standby).small());
    });
}

/// One connection: the site, the line, and on it what it is and how.
fn connection(drawing: &mut Drawing, connection: &Connection, y: i32, columns: &Columns, setting: &Setting) {
    let words = &setting.words;
    let kind = match &connection.kind {
        ConnectionKind::Nat => words.nat,
        ConnectionKind::Routed => words.routed,
        ConnectionKind::Ipsec => "IPsec",
        ConnectionKind::WireGuard => "WireGuard",
        ConnectionKind::Other(name) => name,
    };
    let (sign, line, state) = match connection.state {
        ConnectionState::Up => (Mark::Good, "is-up", words.up),
        ConnectionState::Connecting => (Mark::Wait, "is-connecting", words.connecting),
        ConnectionState::Down => (Mark::Bad, "is-down", words.down),
        ConnectionState::Standby => (Mark::Standby, "is-standby", words.standby),
    };
    let site = Rect::new(columns.sites, y, SITE, 52);
    let (from, to) = (site.right(), columns.gateways);
    let reason = if connection.reason.is_empty() { String::new() } else { format!("\n{}", connection.reason) };
    let leads = format!("{}\n{}", connection.site.name, connection.site.about);
    let title = format!("{}: {kind}, {state}{reason}\n{leads}", connection.name);
    drawing.group(&connection.href, &title, "", |group| {
        group.frame(site, 18, "card");
        let (x, room) = (site.x + 46, site.w - 46 - 14);
        globe(group, site.x + 26, site.middle(), &connection.kind);
        group.text(Label::new(x, y + 22, room, &connection.site.name));
        group.text(Label::new(x, y + 40, room, &connection.site.about).mono().class("dim"));
        group.path(format!("M{from} {}H{to}", site.middle()), line);
        let pill = Rect::new(from + (LINK - PILL.0) / 2 - 2, site.middle() - PILL.1 / 2, PILL.0, PILL.1);
        group.frame(pill, 13, "pill");
        marks::mark(group, sign, pill.x + 14, pill.middle());
        group.text(Label::new(pill.x + 27, pill.middle() + 4, pill.w - 27 - 8, kind).small());
        let name = Label::new(pill.x + pill.w / 2, pill.bottom() + 14, LINK - 16, &connection.name).small();
        group.text(name.class("dim").centered());
    });
}

/// A globe for what is everywhere, a house for a site.
fn globe(drawing: &mut Drawing, x: i32, y: i32, kind: &ConnectionKind) {
    let data = match kind {
        ConnectionKind::Nat | ConnectionKind::Routed => {
            "m-10 0a10 10 0 1 0 20 0a10 10 0 1 0-20 0h20m-10-10a14 14 0 0 0 0 20a14 14 0 0 0 0-20"
        }
        _ => "m-10-1l10-9l10 9m-17-2v11h14v-11m-9 11v-7h4v7",
    };
    drawing.path(format!("M{x} {y}{data}"), "hollow");
}
