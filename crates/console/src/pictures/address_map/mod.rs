//! The addresses of a pool as a map: rows of cells from the lowest to the highest. Up to 256 addresses have a cell each;
//! more share cells, and the part where most is given out, or that was asked for, is drawn below it in detail.

mod grid;
mod segments;

use std::net::IpAddr;

use super::Setting;
use super::number::addresses;
use super::render;
use super::scene::{Drawing, Label, Rect, Scene};
use segments::{Counts, Space};

/// What is drawn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddressMap {
    /// What the picture is called.
    pub title: String,
    /// The lowest address.
    pub first: IpAddr,
    /// The highest one, of the same family.
    pub last: IpAddr,
    /// What of it is not free, in any order. Where stretches overlap, the gateway counts before what is given out, and
    /// that before what is reserved.
    pub stretches: Vec<Stretch>,
    /// The address around which the map is drawn in detail, if somebody asked for one.
    pub at: Option<IpAddr>,
    /// The link by which one asks for that, to which an address is appended: `/pools/blue?at=`. May be empty.
    pub zoom: String,
}

/// Addresses in a row with the same use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// The lowest.
    pub first: IpAddr,
    /// The highest.
    pub last: IpAddr,
    /// What they are used for.
    pub kind: StretchKind,
    /// By whom, or why.
    pub label: String,
    /// The page of that.
    pub href: String,
}

/// What addresses are used for; what is mentioned nowhere is free.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum StretchKind {
    /// Held back.
    Reserved,
    /// In use.
    Given,
    /// The subnet's gateway.
    Gateway,
}

const MARGIN: i32 = 16;
/// Room for the addresses of rows.
const NAMES: i32 = 158;
const WIDTH: i32 = 2 * MARGIN + NAMES + grid::WIDTH;

/// The picture of a pool.
pub fn address_map(map: &AddressMap, setting: &Setting) -> String {
    render::svg(&scene(map, setting), setting)
}

pub(super) fn scene(map: &AddressMap, setting: &Setting) -> Scene {
    let words = &setting.words;
    let space = Space::of(map);
    let counts = space.counts(space.first, space.last);
    let mut drawing = Drawing::default();
    let mut y = bar(&mut drawing, &counts, MARGIN, setting);
    y = legend(&mut drawing, &counts, y + 10, setting) + 14;
    let whole = grid::Grid::of(space.first, space.last);
    let detail = whole.shared().then(|| space.window(map.at));
    y = whole.draw(&mut drawing, map, &space, y, detail, setting);
    if let Some((first, last)) = detail {
        let title = format!("{} – {}", space.spelt(first), space.spelt(last));
        drawing.path(format!("M{MARGIN} {}H{}", y + 12, WIDTH - MARGIN), "rule");
        drawing.text(Label::new(MARGIN, y + 36, WIDTH - 2 * MARGIN - 130, &title).mono());
        let word = Label::new(WIDTH - MARGIN, y + 36, 120, words.detail).small();
        drawing.text(word.class("dim").ending());
        y = grid::Grid::of(first, last).draw(&mut drawing, map, &space, y + 50, None, setting);
    }
    let about = format!("{} – {}: {}", space.spelt(space.first), space.spelt(space.last), spoken(&counts, setting));
    Scene { width: WIDTH, height: y + MARGIN, title: map.title.clone(), about, drawing }
}

/// All that there is, in the order in which it is shown.
fn parts(counts: &Counts, setting: &Setting) -> [(u128, &'static str, &'static str); 4] {
    let words = &setting.words;
    [
        (counts.given, words.given, "a-4"),
        (counts.gateway, words.gateway, "a-gateway"),
        (counts.reserved, words.reserved, "a-reserved"),
        (counts.free, words.free, "a-free"),
    ]
}

/// The counts in words.
fn spoken(counts: &Counts, setting: &Setting) -> String {
    let some = parts(counts, setting).into_iter().filter(|(number, ..)| *number > 0);
    some.map(|(number, word, _)| format!("{} {word}", addresses(number))).collect::<Vec<_>>().join(", ")
}

/// A bar of all parts, in which the least one is seen too; answers where it ends.
fn bar(drawing: &mut Drawing, counts: &Counts, y: i32, setting: &Setting) -> i32 {
    const LEAST: i32 = 4;
    let room = WIDTH - 2 * MARGIN;
    let parts = parts(counts, setting);
    let some = parts.iter().filter(|(number, ..)| *number > 0).count();
    let spread = room - i32::try_from(some).unwrap_or(0) * LEAST;
    let mut x = MARGIN;
    let mut left = some;
    for (number, word, class) in parts.into_iter().filter(|(number, ..)| *number > 0) {
        left -= 1;
        let width = if left == 0 { MARGIN + room - x } else { LEAST + counts.share(number, spread) };
        drawing.group("", &format!("{} {word}", addresses(number)), "", |group| {
            group.frame(Rect::new(x, y, width, 14), 0, class);
        });
        x += width;
    }
    y + 14
}

/// What the colours mean, and how many there are of each.
fn legend(drawing: &mut Drawing, counts: &Counts, y: i32, setting: &Setting) -> i32 {
    let each = (WIDTH - 2 * MARGIN) / 4;
    for (at, (number, word, class)) in (0..).zip(parts(counts, setting)) {
        let x = MARGIN + at * each;
        grid::swatch(drawing, Rect::new(x, y + 2, 16, 14), class);
        drawing.text(Label::new(x + 24, y + 14, each - 32, word).small().class("dim"));
        let share = match counts.hundredths(number) {
            0 if number > 0 => "< 0.01 %".to_owned(),
            share if share % 100 == 0 => format!("{} %", share / 100),
            share => format!("{}.{:02} %", share / 100, share % 100),
        };
        drawing.text(Label::new(x + 24, y + 32, each - 32, &format!("{}  ·  {share}", addresses(number))));
    }
    y + 38
}
