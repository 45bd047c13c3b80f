//! The small marks of states: each has a shape of its own, so that nobody needs to tell colours apart.

use super::scene::{Drawing, Label, Rect};

/// What a mark says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    /// A filled circle with a tick.
    Good,
    /// A filled triangle with an exclamation mark.
    Warn,
    /// A filled octagon with a cross.
    Bad,
    /// A circle with a hand of a clock: wait.
    Wait,
    /// A circle with two bars: it stands by.
    Standby,
    /// A diamond with an arrow: it is being emptied.
    Drained,
    /// A circle with a question mark: nothing is known.
    Unknown,
    /// A filled circle with an arrow: on its way.
    Moves,
}

/// Half of a mark's width.
pub(super) const HALF: i32 = 7;

/// Draws one around this place.
pub(super) fn mark(drawing: &mut Drawing, mark: Mark, x: i32, y: i32) {
    let at = |data: &str| format!("M{x} {y}{data}");
    let disc = "m-7 0a7 7 0 1 0 14 0a7 7 0 1 0-14 0z";
    let ring = "m-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0z";
    let (shape, shape_class, sign, sign_class) = match mark {
        Mark::Good => (disc, "good", "m-3 0l2 2.5l4-5", "on"),
        Mark::Warn => ("m0-7l7.5 13.5h-15z", "warn", "m0-2v3.5m0 2.6v.1", "on"),
        Mark::Bad => ("m-3-7h6l4 4v6l-4 4h-6l-4-4v-6z", "bad", "m-2.5-2.5l5 5m0-5l-5 5", "on"),
        Mark::Wait => (ring, "hollow ring", "m0-3v3l2 1.5", "hollow"),
        Mark::Standby => (ring, "hollow ring", "m-1.7-2v4m3.4-4v4", "hollow"),
        Mark::Drained => ("m0-7l7 7l-7 7l-7-7z", "hollow", "m0-3v5.5m-2-2l2 2l2-2", "hollow"),
        Mark::Unknown => (ring, "hollow ring", "m-1.8-1.4a1.8 1.8 0 1 1 2.6 1.7q-.8.4-.8 1.1m0 2v.1", "hollow thin"),
        Mark::Moves => (disc, "moves", "m-3.5 0h7m-2.5-2.5l2.5 2.5l-2.5 2.5", "on"),
    };
    drawing.path(at(shape), shape_class);
    drawing.path(at(sign), sign_class);
}

/// A row that says what marks mean, as wide as it may be; answers where it ends.
pub(super) fn legend(drawing: &mut Drawing, marks: &[(Mark, &str)], place: Rect) -> i32 {
    let (mut x, mut y) = (place.x, place.y);
    for (kind, word) in marks {
        let label = Label::new(0, 0, 160, word).small().class("dim");
        let width = label.width() + 2 * HALF + 6;
        if x > place.x && x + width > place.right() {
            (x, y) = (place.x, y + 22);
        }
        mark(drawing, *kind, x + HALF, y + 10);
        drawing.text(Label { x: x + 2 * HALF + 6, y: y + 14, ..label });
        x += width + 22;
    }
    y + 22
}
