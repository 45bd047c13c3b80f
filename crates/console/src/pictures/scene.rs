//! What a picture is made of: boxes, texts and lines at their places, before it becomes a string. Tests ask it whether
//! anything covers anything else.

use super::text::{self, Face};

/// A box, in pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rect {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) w: i32,
    pub(super) h: i32,
}

impl Rect {
    pub(super) const fn new(x: i32, y: i32, w: i32, h: i32) -> Self {
        Self { x, y, w, h }
    }

    pub(super) const fn right(&self) -> i32 {
        self.x + self.w
    }

    pub(super) const fn bottom(&self) -> i32 {
        self.y + self.h
    }

    /// The height of its middle.
    pub(super) const fn middle(&self) -> i32 {
        self.y + self.h / 2
    }

    /// Whether they have an area in common.
    pub(super) const fn meets(&self, other: &Self) -> bool {
        self.x < other.right() && other.x < self.right() && self.y < other.bottom() && other.y < self.bottom()
    }

    /// Whether the other one lies in it.
    #[cfg(test)]
    pub(super) const fn holds(&self, other: &Self) -> bool {
        self.x <= other.x && self.y <= other.y && other.right() <= self.right() && other.bottom() <= self.bottom()
    }
}

/// Which end of a text its place is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// One line of text that has been cut to its room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Label {
    pub(super) x: i32,
    /// Of its baseline.
    pub(super) y: i32,
    pub(super) room: i32,
    pub(super) size: i32,
    pub(super) face: Face,
    pub(super) anchor: Anchor,
    /// Classes of the stylesheet.
    pub(super) class: &'static str,
    /// The whole text, cleaned.
    pub(super) full: String,
}

impl Label {
    /// A text of 13 pixels whose left end is here.
    pub(super) fn new(x: i32, y: i32, room: i32, text: &str) -> Self {
        let full = text::clean(text);
        Self { x, y, room, size: 13, face: Face::Plain, anchor: Anchor::Start, class: "", full }
    }

    pub(super) const fn bold(mut self) -> Self {
        self.face = Face::Bold;
        self
    }

    /// For addresses.
    pub(super) const fn mono(mut self) -> Self {
        self.face = Face::Mono;
        self.size = 12;
        self
    }

    pub(super) const fn small(mut self) -> Self {
        self.size = 12;
        self
    }

    pub(super) const fn class(mut self, class: &'static str) -> Self {
        self.class = class;
        self
    }

    /// The place is its middle.
    pub(super) const fn centered(mut self) -> Self {
        self.anchor = Anchor::Middle;
        self
    }

    /// The place is its right end.
    pub(super) const fn ending(mut self) -> Self {
        self.anchor = Anchor::End;
        self
    }

    /// What of the text is shown.
    pub(super) fn shown(&self) -> String {
        text::fit(&self.full, self.room, self.size, self.face)
    }

    /// How wide that is at most.
    pub(super) fn width(&self) -> i32 {
        text::width(&self.shown(), self.size, self.face)
    }

    /// The place that it takes.
    pub(super) fn rect(&self) -> Rect {
        let width = self.width();
        let x = match self.anchor {
            Anchor::Start => self.x,
            Anchor::Middle => self.x - width / 2 - width % 2,
            Anchor::End => self.x - width,
        };
        Rect::new(x, self.y - self.size * 4 / 5, width, self.size + 1)
    }
}

/// Something that is drawn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Item {
    /// A box.
    Frame { rect: Rect, round: i32, class: &'static str },
    /// Boxes of one colour, which take little room.
    Cells { rects: Vec<Rect>, class: &'static str },
    /// A text.
    Text(Label),
    /// Any line or shape. Widths are in tenths of a pixel; none is the stylesheet's.
    Path { data: String, class: &'static str, width: Option<u32> },
    /// What belongs together, and is a link if it has an address.
    Group(Group),
}

/// Items that belong together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Group {
    /// The page that it leads to, or nothing.
    pub(super) href: String,
    /// What is shown of it when one points at it.
    pub(super) title: String,
    pub(super) class: &'static str,
    pub(super) items: Vec<Item>,
}

/// Things drawn, later ones over earlier ones.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Drawing {
    pub(super) items: Vec<Item>,
}

impl Drawing {
    pub(super) fn frame(&mut self, rect: Rect, round: i32, class: &'static str) {
        self.items.push(Item::Frame { rect, round, class });
    }

    pub(super) fn cells(&mut self, rects: Vec<Rect>, class: &'static str) {
        if !rects.is_empty() {
            self.items.push(Item::Cells { rects, class });
        }
    }

    pub(super) fn text(&mut self, label: Label) {
        if !label.full.is_empty() {
            self.items.push(Item::Text(label));
        }
    }

    pub(super) fn path(&mut self, data: impl Into<String>, class: &'static str) {
        self.items.push(Item::Path { data: data.into(), class, width: None });
    }

    /// A line as wide as so many tenths of a pixel.
    pub(super) fn wide_path(&mut self, data: impl Into<String>, class: &'static str, width: u32) {
        self.items.push(Item::Path { data: data.into(), class, width: Some(width) });
    }

    /// What the closure draws belongs together.
    pub(super) fn group(&mut self, href: &str, title: &str, class: &'static str, draw: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        draw(&mut inner);
        let lines = title.split('\n').map(text::clean).filter(|line| !line.is_empty());
        let (href, title) = (href.to_owned(), lines.collect::<Vec<_>>().join("\n"));
        self.items.push(Item::Group(Group { href, title, class, items: inner.items }));
    }
}

/// A whole picture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Scene {
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) title: String,
    /// What it shows, in a sentence, for those who cannot see it.
    pub(super) about: String,
    pub(super) drawing: Drawing,
}
