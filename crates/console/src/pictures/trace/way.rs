//! The line that a packet goes along: whole as far as it came, broken from there on.

use super::{Stage, StageState};
use crate::pictures::scene::Drawing;

type Point = (i32, i32);

/// The line as it is being laid.
pub(super) struct Way {
    /// As far as the packet came.
    gone: Vec<Point>,
    /// Where it would have gone on; begins where the other one ends.
    rest: Vec<Point>,
    ended: bool,
}

impl Way {
    pub(super) fn new(start: Point) -> Self {
        Self { gone: vec![start], rest: Vec::new(), ended: false }
    }

    fn to(&mut self, point: Point) {
        if self.ended { self.rest.push(point) } else { self.gone.push(point) }
    }

    /// A stage on the way.
    pub(super) fn station(&mut self, point: Point, stage: &Stage) {
        if !self.ended && stage.state == StageState::NotReached {
            // It came as far as the one before.
            self.stop();
        }
        self.to(point);
        if !self.ended && stage.ends_the_way() {
            self.stop();
        }
    }

    fn stop(&mut self) {
        self.ended = true;
        self.rest.extend(self.gone.last());
    }

    /// The corners between two hosts.
    pub(super) fn turn(&mut self, corners: [Point; 2]) {
        for corner in corners {
            self.to(corner);
        }
    }

    pub(super) fn end(&mut self, point: Point) {
        self.to(point);
    }

    /// Whether the packet comes to the end.
    pub(super) const fn arrives(&self) -> bool {
        !self.ended
    }

    /// Draws it, with a point where it arrives.
    pub(super) fn draw(&self, drawing: &mut Drawing) {
        if self.rest.len() > 1 {
            drawing.path(data(&self.rest), "way-gone");
        }
        let mut gone = self.gone.clone();
        if let (false, [.., (_, before), (x, y)]) = (self.ended, self.gone.as_slice()) {
            let (x, y, up) = (*x, *y, before > y);
            if let Some(last) = gone.last_mut() {
                last.1 = if up { y + 9 } else { y - 9 };
            }
            drawing.path(format!("M{x} {y}l-7 {0}h14z", if up { 11 } else { -11 }), "tip");
        }
        drawing.path(data(&gone), "way");
    }
}

/// Straight lines, with corners that are round.
fn data(points: &[Point]) -> String {
    const ROUND: i32 = 12;
    let toward = |(x, y): Point, (to_x, to_y): Point| {
        let step = |from: i32, to: i32| (to - from).clamp(-ROUND, ROUND);
        (x + step(x, to_x), y + step(y, to_y))
    };
    let mut text = String::new();
    for (at, point) in points.iter().enumerate() {
        let (before, after) = (at.checked_sub(1).map(|at| points[at]), points.get(at + 1));
        match (before, after) {
            (None, _) => text = format!("M{} {}", point.0, point.1),
            (Some(before), Some(after)) if before.0 != after.0 && before.1 != after.1 => {
                let (one, other) = (toward(*point, before), toward(*point, *after));
                text += &format!("L{} {}Q{} {} {} {}", one.0, one.1, point.0, point.1, other.0, other.1);
            }
            _ => text += &format!("L{} {}", point.0, point.1),
        }
    }
    text
}
