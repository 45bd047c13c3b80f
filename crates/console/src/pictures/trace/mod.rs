//! A trace as a way through the network: from a VM down through the stages of its host, through the tunnel, and up
//! through the stages of the other host. Where a packet is dropped, the way ends, and the reason is there.

mod way;

use super::Setting;
use super::marks::{self, Mark};
use super::render;
use super::scene::{Drawing, Label, Rect, Scene};
use super::text::{self, Face};

/// What is drawn.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    /// What the picture is called.
    pub title: String,
    /// The packet, in a line.
    pub packet: String,
    /// Where it comes from.
    pub from: End,
    /// Where it shall go.
    pub to: End,
    /// The hosts that it goes through, one or more, in order.
    pub legs: Vec<Leg>,
    /// What becomes of it.
    pub verdict: String,
    /// The same in a sentence, or why.
    pub explanation: String,
}

/// A VM, or what else a packet begins or ends at.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct End {
    /// Its name.
    pub name: String,
    /// Its page.
    pub href: String,
    /// Its address.
    pub address: String,
}

/// The stages on one host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Leg {
    /// The host's name.
    pub host: String,
    /// Its page.
    pub href: String,
    /// Its provider address.
    pub address: String,
    /// The stages, in order.
    pub stages: Vec<Stage>,
    /// How it goes on to the next host.
    pub passage: Option<Passage>,
}

/// The tunnel between two hosts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Passage {
    /// The encapsulation and its number: `VXLAN 5001`.
    pub name: String,
    /// The outer addresses, or what else is to be said.
    pub about: String,
}

/// One stage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// The question that it answers.
    pub question: String,
    /// What it found and decided.
    pub decision: String,
    /// What that means for the packet.
    pub state: StageState,
}

/// What a stage did with the packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StageState {
    /// It let it through.
    Passed,
    /// It dropped it.
    Dropped {
        /// The reason's name.
        reason: String,
        /// What happened and what to do.
        explanation: String,
    },
    /// It answered in place of the network, or handed it to the host; the packet goes no further.
    Answered,
    /// The packet never came here.
    NotReached,
}

impl Stage {
    const fn ends_the_way(&self) -> bool {
        matches!(self.state, StageState::Dropped { .. } | StageState::Answered)
    }
}

/// Hosts and stages of one that are drawn at most.
const LEGS: usize = 4;
const STAGES: usize = 24;

const MARGIN: i32 = 16;
/// A host's box, and what lies between two.
const LEG: i32 = 376;
const BETWEEN: i32 = 36;
/// From a box's left edge to the way and to the stages.
const WAY: i32 = 30;
const STAGE: i32 = 56;
const HEADER: i32 = 46;
const GAP: i32 = 10;
/// Heights of what is over and under the hosts: VMs and tunnels.
const VM: (i32, i32) = (236, 46);
const BAND: i32 = 78;

/// The picture of a trace.
pub fn trace(trace: &Trace, setting: &Setting) -> String {
    render::svg(&scene(trace, setting), setting)
}

pub(super) fn scene(trace: &Trace, setting: &Setting) -> Scene {
    let legs = &trace.legs[..trace.legs.len().min(LEGS)];
    let number = i32::try_from(legs.len()).unwrap_or(1).max(1);
    let width = (2 * MARGIN + number * LEG + (number - 1) * BETWEEN).max(2 * MARGIN + LEG + 160);
    let mut drawing = Drawing::default();
    let mut y = MARGIN;
    for line in text::wrap(&text::clean(&trace.packet), width - 2 * MARGIN, 2, 12, Face::Mono) {
        drawing.text(Label::new(MARGIN, y + 14, width - 2 * MARGIN, &line).mono());
        y += 18;
    }
    let top = y + 10 + BAND;
    let heights: Vec<Vec<i32>> = legs.iter().map(|leg| shown(leg).iter().map(height).collect()).collect();
    let tall = heights.iter().map(|it| it.iter().map(|height| height + GAP).sum::<i32>()).max().unwrap_or(0);
    let panels: Vec<Rect> =
        (0..number).map(|at| Rect::new(MARGIN + at * (LEG + BETWEEN), top, LEG, HEADER + tall.max(60) + 6)).collect();

    let mut way = way::Way::new((panels[0].x + WAY, top - BAND + VM.1));
    let mut stations = Drawing::default();
    for (at, leg) in legs.iter().enumerate() {
        let down = at % 2 == 0;
        host(&mut drawing, leg, panels[at]);
        stages(&mut stations, shown(leg), &heights[at], panels[at], down, &mut way, setting);
        let end = if down { panels[at].bottom() } else { top };
        if let Some(next) = legs.get(at + 1).and_then(|_| panels.get(at + 1)) {
            let y = if down { end + BAND / 2 } else { end - BAND / 2 };
            way.turn([(panels[at].x + WAY, y), (next.x + WAY, y)]);
            tunnel(&mut drawing, &mut stations, leg.passage.as_ref(), (panels[at], *next, y));
        }
    }
    let last = *panels.last().unwrap_or(&panels[0]);
    let goes_down = number % 2 == 1;
    let end = if goes_down { last.bottom() + BAND - VM.1 } else { top - BAND + VM.1 };
    way.end((last.x + WAY, end));
    way.draw(&mut drawing);
    drawing.items.append(&mut stations.items);
    vm(&mut drawing, &trace.from, (panels[0].x, top - BAND), true);
    vm(&mut drawing, &trace.to, (last.x, if goes_down { end } else { top - BAND }), way.arrives());
    let bottom = verdict(&mut drawing, trace, (last.bottom() + BAND + 14, width), way.arrives(), setting);
    Scene { width, height: bottom + 10, title: trace.title.clone(), about: about(trace, setting), drawing }
}

fn shown(leg: &Leg) -> &[Stage] {
    &leg.stages[..leg.stages.len().min(STAGES)]
}

const TEXT_ROOM: i32 = LEG - STAGE - 14 - 2 * 12;

/// The lines of the explanation of a stage that drops.
fn explained(stage: &Stage) -> Vec<String> {
    match &stage.state {
        StageState::Dropped { explanation, .. } => text::wrap(&text::clean(explanation), TEXT_ROOM, 4, 12, Face::Plain),
        _ => Vec::new(),
    }
}

fn height(stage: &Stage) -> i32 {
    let lines = i32::try_from(explained(stage).len()).unwrap_or(0);
    let reason = if matches!(stage.state, StageState::Dropped { .. }) { 18 } else { 0 };
    46 + reason + 16 * lines + if reason > 0 { 8 } else { 0 }
}

fn host(drawing: &mut Drawing, leg: &Leg, panel: Rect) {
    let title = format!("{}\n{}", leg.host, leg.address);
    drawing.group(&leg.href, &title, "", |group| {
        group.frame(panel, 10, "panel");
        group.text(Label::new(panel.x + STAGE, panel.y + 27, 150, &leg.host).bold());
        group.text(Label::new(panel.right() - 14, panel.y + 27, 150, &leg.address).mono().class("dim").ending());
    });
}

/// The stages of one host, from the top or from the bottom, each at its place of the way.
fn stages(
    drawing: &mut Drawing,
    stages: &[Stage],
    heights: &[i32],
    panel: Rect,
    down: bool,
    way: &mut way::Way,
    setting: &Setting,
) {
    let mut y = if down { panel.y + HEADER } else { panel.bottom() - 6 };
    for (it, height) in stages.iter().zip(heights) {
        let top = if down { y } else { y - GAP - height };
        let rect = Rect::new(panel.x + STAGE, top, LEG - STAGE - 14, *height);
        way.station((panel.x + WAY, rect.y + 23), it);
        stage(drawing, it, rect, panel.x + WAY, setting);
        y = if down { rect.bottom() + GAP } else { rect.y };
    }
}

fn stage(drawing: &mut Drawing, stage: &Stage, rect: Rect, way: i32, setting: &Setting) {
    let words = &setting.words;
    let (sign, class, text_class, word) = match &stage.state {
        StageState::Passed => (Mark::Good, "card", "is-good", words.passed),
        StageState::Dropped { .. } => (Mark::Bad, "troubled", "is-bad", words.dropped),
        StageState::Answered => (Mark::Moves, "moving", "is-moving", words.answered),
        StageState::NotReached => (Mark::Unknown, "ghost", "dim", words.not_reached),
    };
    let why = match &stage.state {
        StageState::Dropped { reason, explanation } => format!("\n{reason}: {explanation}"),
        _ => String::new(),
    };
    let title = format!("{}: {word}\n{}\n{}{why}", stage.name, stage.question, stage.decision);
    drawing.group("", &title, "", |group| {
        marks::mark(group, sign, way, rect.y + 23);
        group.frame(rect, 6, class);
        let (x, right) = (rect.x + 12, rect.right() - 12);
        group.text(Label::new(x, rect.y + 19, 170, &stage.name).bold());
        group.text(Label::new(right, rect.y + 19, 92, word).small().class(text_class).ending());
        let decision = if stage.decision.is_empty() { &stage.question } else { &stage.decision };
        group.text(Label::new(x, rect.y + 37, TEXT_ROOM, decision).small().class("dim"));
        if let StageState::Dropped { reason, .. } = &stage.state {
            group.text(Label::new(x, rect.y + 60, TEXT_ROOM, reason).bold().class("is-bad"));
            for (at, line) in (0..).zip(explained(stage)) {
                group.text(Label::new(x, rect.y + 78 + at * 16, TEXT_ROOM, &line).small());
            }
        }
    });
}

/// The network between two hosts, with the name of the tunnel on the way.
fn tunnel(under: &mut Drawing, over: &mut Drawing, passage: Option<&Passage>, (one, other, y): (Rect, Rect, i32)) {
    let band = Rect::new(one.x + WAY + 14, y - 27, other.x - one.x - 28, 54);
    under.frame(band, 27, "cloud");
    if let Some(passage) = passage {
        let title = format!("{}\n{}", passage.name, passage.about);
        over.group("", &title, "", |group| {
            let pill = Rect::new(band.x + (band.w - 252) / 2, y - 21, 252, 42);
            group.frame(pill, 21, "pill");
            group.text(Label::new(pill.x + 126, y - 3, 220, &passage.name).bold().centered());
            group.text(Label::new(pill.x + 126, y + 14, 220, &passage.about).mono().class("dim").centered());
        });
    }
}

fn vm(drawing: &mut Drawing, end: &End, (x, y): (i32, i32), there: bool) {
    let title = format!("{}\n{}", end.name, end.address);
    let rect = Rect::new(x, y, VM.0, VM.1);
    drawing.group(&end.href, &title, "", |group| {
        group.frame(rect, 8, if there { "hub" } else { "ghost" });
        // A screen on its foot.
        group.path(format!("M{} {}m-10-11h20v14h-20zm6 20h8m-4-6v6", x + WAY, rect.middle()), "glyph");
        group.text(Label::new(x + STAGE, y + 20, VM.0 - STAGE - 12, &end.name).bold());
        group.text(Label::new(x + STAGE, y + 37, VM.0 - STAGE - 12, &end.address).mono().class("dim"));
    });
}

/// What becomes of the packet; answers where that ends.
fn verdict(drawing: &mut Drawing, trace: &Trace, (y, width): (i32, i32), arrives: bool, setting: &Setting) -> i32 {
    let dropped =
        trace.legs.iter().flat_map(|leg| &leg.stages).any(|it| matches!(it.state, StageState::Dropped { .. }));
    let (sign, class, text_class) = match (dropped, arrives) {
        (true, _) => (Mark::Bad, "troubled", "is-bad"),
        (false, true) => (Mark::Good, "fine", "is-good"),
        (false, false) => (Mark::Moves, "moving", "is-moving"),
    };
    let room = width - 2 * MARGIN - 36 - 12;
    let lines = text::wrap(&text::clean(&trace.explanation), room, 4, 12, Face::Plain);
    let height = 34 + 17 * i32::try_from(lines.len()).unwrap_or(0);
    let rect = Rect::new(MARGIN, y, width - 2 * MARGIN, height);
    let word = if dropped { setting.words.dropped } else { setting.words.passed };
    let text = if trace.verdict.is_empty() { word } else { &trace.verdict };
    let title = format!("{text}\n{}", trace.explanation);
    drawing.group("", &title, "", |group| {
        group.frame(rect, 8, class);
        marks::mark(group, sign, rect.x + 19, y + 17);
        group.text(Label::new(rect.x + 36, y + 22, room, text).bold().class(text_class));
        for (at, line) in (0..).zip(&lines) {
            group.text(Label::new(rect.x + 36, y + 41 + at * 17, room, line).small());
        }
    });
    rect.bottom()
}

fn about(trace: &Trace, setting: &Setting) -> String {
    let words = &setting.words;
    let stages = trace.legs.iter().flat_map(|leg| leg.stages.iter().map(move |stage| (leg, stage)));
    let told = stages.map(|(leg, stage)| {
        let word = match &stage.state {
            StageState::Passed => words.passed,
            StageState::Dropped { .. } => words.dropped,
            StageState::Answered => words.answered,
            StageState::NotReached => words.not_reached,
        };
        format!("{}, {}: {word}", leg.host, stage.name)
    });
    told.chain([trace.verdict.clone()]).collect::<Vec<_>>().join("; ")
}
