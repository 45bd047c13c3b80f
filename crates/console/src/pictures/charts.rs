//! A chart of counts beside each other.

use super::Setting;
use super::number::grouped;
use super::render;
use super::scene::{Drawing, Label, Rect, Scene};

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

/// Bars; what is left is one more.
const BARS: usize = 12;

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
