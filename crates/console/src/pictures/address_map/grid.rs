//! Sixteen cells a row, each of one address or of a power of two of them.

use super::segments::{Segment, Space};
use super::{AddressMap, MARGIN, NAMES, StretchKind, spoken};
use crate::pictures::Setting;
use crate::pictures::number::addresses;
use crate::pictures::scene::{Drawing, Label, Rect};
use crate::pictures::text::{self, Face};

const ACROSS: u32 = 16;
const CELL: (i32, i32) = (32, 24);
/// A cell that has no number in it.
const FLAT: i32 = 16;
const GAP: i32 = 2;
/// How wide all are together.
pub(super) const WIDTH: i32 = 16 * (CELL.0 + GAP);

/// The cells that some addresses are shown in.
pub(super) struct Grid {
    first: u128,
    last: u128,
    /// How many addresses a cell has, as a power of two.
    shift: u32,
}

impl Grid {
    /// As few addresses a cell as 16 rows allow.
    pub(super) fn of(first: u128, last: u128) -> Self {
        let rows = |shift: u32| {
            let row = |number: u128| number >> shift >> ACROSS.ilog2();
            row(last) - row(first) + 1
        };
        // One row more, where the addresses do not begin with a row.
        let shift = (0..=120).find(|shift| rows(*shift) <= 17).unwrap_or(120);
        Self { first, last, shift }
    }

    /// Whether several addresses share a cell.
    pub(super) const fn shared(&self) -> bool {
        self.shift > 0
    }

    /// The addresses of a cell by its number, counted from zero on; as far as they are the map's.
    const fn addresses(&self, cell: u128) -> (u128, u128) {
        let (first, last) = (cell << self.shift, (cell << self.shift) | ((1 << self.shift) - 1));
        let first = if first < self.first { self.first } else { first };
        (first, if last > self.last { self.last } else { last })
    }

    /// Draws all cells from this height on, and a frame around those that are shown in detail; answers where they end.
    pub(super) fn draw(
        &self,
        drawing: &mut Drawing,
        map: &AddressMap,
        space: &Space,
        y: i32,
        detail: Option<(u128, u128)>,
        setting: &Setting,
    ) -> i32 {
        let height = if self.shared() { FLAT } else { CELL.1 };
        let (low, high) = (self.first >> self.shift, self.last >> self.shift);
        let across = u128::from(ACROSS);
        let start = low - low % across;
        let place = |cell: u128| {
            let at = i32::try_from(cell - start).unwrap_or(0);
            let (column, row) = (at % 16, at / 16);
            Rect::new(MARGIN + NAMES + column * (CELL.0 + GAP), y + row * (height + GAP), CELL.0, height)
        };
        let mut free = Vec::new();
        for cell in low..=high {
            let place = place(cell);
            let (first, last) = self.addresses(cell);
            if cell == low || cell % across == 0 {
                let first = space.spelt((cell - cell % across) << self.shift);
                let label = Label::new(MARGIN, place.middle() + 4, NAMES - 8, &tail(&first, NAMES - 8));
                drawing.text(label.mono().class("dim"));
            }
            match space.between(first, last).next() {
                Some(_) if self.shared() => self.shared_cell(drawing, map, space, cell, place, setting),
                Some(segment) => single(drawing, map, space, segment, place, setting),
                None => {
                    free.push(place);
                    if !self.shared() {
                        inscribe(drawing, &space.end(cell), place, "dim");
                    }
                }
            }
        }
        // Under the texts of the others.
        let mut above = std::mem::take(&mut drawing.items);
        drawing.cells(free, "a-free");
        drawing.items.append(&mut above);
        if let Some((first, _)) = detail {
            let Rect { x, y, w, h } = place(first >> self.shift);
            drawing.path(format!("M{} {}H{}V{}H{0}z", x - 1, y - 1, x + w + 1, y + h + 1), "lens");
        }
        let mut end = place(high).bottom();
        if self.shared() {
            let number = 1u128 << self.shift;
            let words = &setting.words;
            let text = format!("{} {} {}", words.each_cell, addresses(number), words.addresses);
            drawing.text(Label::new(MARGIN + NAMES, end + 18, WIDTH - 350, &text).small().class("dim"));
            shades(drawing, MARGIN + NAMES + WIDTH, end + 8);
            end += 22;
        }
        end
    }

    /// A cell of many addresses: the darker, the more of them are in use.
    fn shared_cell(
        &self,
        drawing: &mut Drawing,
        map: &AddressMap,
        space: &Space,
        cell: u128,
        place: Rect,
        setting: &Setting,
    ) {
        let (first, last) = self.addresses(cell);
        let counts = space.counts(first, last);
        let class = match counts.hundredths(counts.used()) {
            _ if counts.used() == 0 => "a-reserved",
            0..2_500 => "a-1",
            2_500..5_000 => "a-2",
            5_000..9_000 => "a-3",
            _ => "a-4",
        };
        let title = format!("{}: {}", space.spelt(first), spoken(&counts, setting));
        let href = if map.zoom.is_empty() { String::new() } else { format!("{}{}", map.zoom, space.spelt(first)) };
        drawing.group(&href, &title, "", |group| {
            swatch(group, place, class);
            if counts.gateway > 0 {
                group.cells(vec![Rect::new(place.right() - 9, place.y + 4, 6, 8)], "a-gateway");
            }
        });
    }
}

/// What the shades of shared cells say, up to this edge.
fn shades(drawing: &mut Drawing, right: i32, y: i32) {
    const EACH: i32 = 84;
    for (at, (class, from)) in (1..).zip([("a-4", "≥ 90 %"), ("a-3", "≥ 50 %"), ("a-2", "≥ 25 %"), ("a-1", "> 0 %")])
    {
        let x = right - at * EACH;
        drawing.frame(Rect::new(x, y, 12, 12), 3, class);
        drawing.text(Label::new(x + 17, y + 10, EACH - 19, from).small().class("dim"));
    }
}

/// The end of a text that is too long, since the beginnings of addresses are the same.
fn tail(address: &str, room: i32) -> String {
    if text::width(address, 12, Face::Mono) <= room {
        return address.to_owned();
    }
    let mut shown = address;
    while text::width(shown, 12, Face::Mono) + 12 > room {
        shown = shown.get(1..).unwrap_or_default();
    }
    format!("…{shown}")
}

/// A cell of one address that is not free, with its last byte, or a G for the gateway.
fn single(drawing: &mut Drawing, map: &AddressMap, space: &Space, segment: Segment, place: Rect, setting: &Setting) {
    let words = &setting.words;
    let stretch = &map.stretches[segment.stretch];
    let end = space.end(segment.first);
    let (class, ink, word, text) = match segment.kind {
        StretchKind::Reserved => ("a-reserved", "is-warn", words.reserved, end),
        StretchKind::Given => ("a-4", "on-cell", words.given, end),
        StretchKind::Gateway => ("a-gateway", "on-cell", words.gateway, "G".to_owned()),
    };
    let apart = if stretch.label.is_empty() { "" } else { ", " };
    let title = format!("{}: {word}{apart}{}", space.spelt(segment.first), stretch.label);
    drawing.group(&stretch.href, &title, "", |group| {
        swatch(group, place, class);
        inscribe(group, &text, place, ink);
    });
}

/// What is written in a cell.
fn inscribe(drawing: &mut Drawing, text: &str, place: Rect, ink: &'static str) {
    let label = Label::new(place.x + place.w / 2, place.middle() + 4, place.w - 2, text);
    drawing.text(label.mono().class(ink).centered());
}

/// A box in the colour of what it means; what is reserved has a stroke through its corner.
pub(super) fn swatch(drawing: &mut Drawing, place: Rect, class: &'static str) {
    let reserved = class == "a-reserved";
    drawing.cells(vec![place], class);
    if reserved {
        drawing.path(format!("M{} {}l8-8", place.x + 1, place.y + 9), "hatch");
    }
}
