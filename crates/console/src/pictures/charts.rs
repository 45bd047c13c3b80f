//! Small charts: traffic over time, and counts beside each other.

use super::Setting;
use super::number::{grouped, scaled};
use super::render;
use super::scene::{Drawing, Label, Rect, Scene};

/// Traffic over time: what was received above, what was sent below the axis.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Sparkline {
    /// What it is of.
    pub title: String,
    /// Equally far apart in time, oldest first.
    pub received: Vec<f64>,
    /// The same; may be empty, and then there is only what was received.
    pub sent: Vec<f64>,
    /// The unit of both, as `bit/s`.
    pub unit: String,
}

/// Counts as bars, the largest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bars {
    /// What they are of.
    pub title: String,
    /// The bars, in any order.
    pub bars: Vec<Bar>,
    /// Whether they count what went wrong.
    pub bad: bool,
}

/// One bar.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bar {
    /// What it counts.
    pub label: String,
    /// What that means, shown when one points at it.
    pub about: String,
    /// The page of it.
    pub href: String,
    /// How many.
    pub value: u64,
}

/// Points of a line, after which neighbours are taken together.
const POINTS: usize = 120;
/// Bars; what is left is one more.
const BARS: usize = 12;

/// The picture of traffic over time, small enough for a row of a table.
pub fn sparkline(sparkline: &Sparkline, setting: &Setting) -> String {
    render::svg(&sparkline_scene(sparkline, setting), setting)
}

pub(super) fn sparkline_scene(sparkline: &Sparkline, setting: &Setting) -> Scene {
    const PLOT: Rect = Rect::new(2, 4, 180, 44);
    let (received, sent) = (thinned(&sparkline.received), thinned(&sparkline.sent));
    let most = received.iter().chain(&sent).copied().fold(0.0, f64::max);
    let mut drawing = Drawing::default();
    let axis = if sent.is_empty() { PLOT.bottom() } else { PLOT.middle() };
    let mut about = setting.words.nothing.to_owned();
    if most > 0.0 {
        let reach = f64::from(axis - PLOT.y);
        for (values, up, classes) in
            [(&received, true, ("received-area", "received-line")), (&sent, false, ("sent-area", "sent-line"))]
        {
            if !values.is_empty() {
                let line = line(values, PLOT, axis, if up { -reach } else { reach } / most);
                drawing.path(format!("M{} {axis}L{line}L{} {axis}z", PLOT.x, PLOT.right()), classes.0);
                drawing.path(format!("M{line}"), classes.1);
            }
        }
        drawing.path(format!("M{} {axis}H{}", PLOT.x, PLOT.right()), "rule");
        let last = |values: &[f64]| values.last().map(|value| scaled(*value, &sparkline.unit)).unwrap_or_default();
        about = format!("{} {}", setting.words.most, scaled(most, &sparkline.unit));
        let (x, room) = (PLOT.right() + 10, 110);
        for (values, sign, y) in [(&received, "↓", 16), (&sent, "↑", 33)] {
            if !values.is_empty() {
                drawing.text(Label::new(x, y, room, &format!("{sign} {}", last(values))).small());
            }
        }
        drawing.text(Label::new(x, 49, room, &about).small().class("dim"));
    } else {
        drawing.text(Label::new(PLOT.x + 90, 30, 176, setting.words.nothing).small().class("dim").centered());
    }
    let title = sparkline.title.clone();
    Scene { width: 304, height: 54, title, about, drawing }
}

/// At most so many values: the greatest of those that are taken together, so that peaks stay. What is no number is none.
fn thinned(values: &[f64]) -> Vec<f64> {
    let sound = |value: &f64| if value.is_finite() { value.max(0.0) } else { 0.0 };
    let each = values.len().div_ceil(POINTS).max(1);
    values.chunks(each).map(|chunk| chunk.iter().map(sound).fold(0.0, f64::max)).collect()
}

fn line(values: &[f64], plot: Rect, axis: i32, scale: f64) -> String {
    let last = u32::try_from(values.len() - 1).unwrap_or(u32::MAX).max(1);
    let points = (0..).zip(values).map(|(at, value): (u32, &f64)| {
        let x = f64::from(plot.x) + f64::from(plot.w) * f64::from(at) / f64::from(last);
        format!("{x:.1} {:.1}", f64::from(axis) + value * scale)
    });
    let mut points: Vec<String> = points.collect();
    if let [only] = points.as_slice() {
        // One value is a level.
        let level = only.split_once(' ').map_or("0", |(_, y)| y).to_owned();
        points.push(format!("{} {level}", plot.right()));
    }
    points.join("L")
}

/// The picture of counts.
pub fn bars(bars: &Bars, setting: &Setting) -> String {
    render::svg(&bars_scene(bars, setting), setting)
}

pub(super) fn bars_scene(bars: &Bars, setting: &Setting) -> Scene {
    const NAME: i32 = 196;
    const TRACK: i32 = 280;
    const ROW: i32 = 28;
    let mut sorted: Vec<&Bar> = bars.bars.iter().filter(|bar| bar.value > 0).collect();
    sorted.sort_by(|one, other| other.value.cmp(&one.value).then_with(|| one.label.cmp(&other.label)));
    let rest = sorted.split_off(sorted.len().min(BARS));
    let rest = (!rest.is_empty()).then(|| Bar {
        label: format!("+ {} {}", rest.len(), setting.words.rest),
        value: rest.iter().fold(0, |sum, bar| sum.saturating_add(bar.value)),
        ..Bar::default()
    });
    let most = sorted.first().map_or(0, |bar| bar.value);
    let mut drawing = Drawing::default();
    let mut y = 4;
    for bar in sorted.iter().copied().chain(&rest) {
        let value = grouped(bar.value.into());
        let about = if bar.about.is_empty() { String::new() } else { format!("\n{}", bar.about) };
        drawing.group(&bar.href, &format!("{}: {value}{about}", bar.label), "", |group| {
            let track = Rect::new(NAME + 12, y + 4, TRACK, 18);
            group.frame(track, 4, "track");
            // What is left is many, and says nothing beside single ones.
            if rest.as_ref() != Some(bar) {
                // One of millions is a bar too.
                let length = u128::from(bar.value) * u128::from(TRACK.unsigned_abs()) / u128::from(most.max(1));
                let w = i32::try_from(length).unwrap_or(TRACK).clamp(3, TRACK);
                group.frame(Rect { w, ..track }, 4.min(w / 2), if bars.bad { "bar-bad" } else { "bar" });
            }
            group.text(Label::new(NAME, y + 18, NAME - 4, &bar.label).ending());
            group.text(Label::new(track.right() + 10, y + 18, 160, &value));
        });
        y += ROW;
    }
    if most == 0 {
        drawing.text(Label::new(8, y + 18, NAME + TRACK, setting.words.nothing).class("dim"));
        y += ROW;
    }
    let about = sorted.iter().map(|bar| format!("{}: {}", bar.label, bar.value)).collect::<Vec<_>>().join(", ");
    Scene { width: NAME + TRACK + 190, height: y + 4, title: bars.title.clone(), about, drawing }
}
