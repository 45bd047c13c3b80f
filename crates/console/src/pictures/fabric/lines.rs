//! What runs between hosts: tunnels and VMs on their way, as curves, and what is written on them.

use std::collections::{BTreeMap, HashMap};

use super::groups::Group;
use super::{Fabric, Migration, Node, Tunnel};
use crate::pictures::Setting;
use crate::pictures::number::bit_rate;
use crate::pictures::scene::{Drawing, Label, Rect};

/// Curves that are drawn, and texts that are written on them, at most.
const TUNNELS: usize = 60;
const TEXTS: usize = 14;
const MIGRATIONS: usize = 12;

/// The traffic between two boxes, by their places in the list.
struct Traffic {
    ends: (usize, usize),
    there: u64,
    back: u64,
}

impl Traffic {
    const fn both(&self) -> u64 {
        self.there.saturating_add(self.back)
    }
}

/// All that runs between boxes.
pub(super) struct Wires<'f> {
    names: Vec<String>,
    traffic: Vec<Traffic>,
    migrations: Vec<(usize, usize, &'f Migration)>,
    /// Inside of boxes, by their names.
    within: BTreeMap<String, u64>,
    /// How many tunnels are not drawn.
    pub(super) hidden: usize,
}

impl<'f> Wires<'f> {
    /// What of the fabric runs between these. What names a host that is not there is left out.
    pub(super) fn of(fabric: &'f Fabric, nodes: &[Node<'_>]) -> Self {
        let mut homes: HashMap<&str, usize> = HashMap::new();
        for (at, node) in nodes.iter().enumerate() {
            match node {
                Node::Host(host) => drop(homes.insert(&host.name, at)),
                Node::Group(group) => homes.extend(group.hosts.iter().map(|host| (host.name.as_str(), at))),
            }
        }
        let names: Vec<String> = nodes.iter().map(|it| it.name().to_owned()).collect();
        let (mut sums, mut within) = (BTreeMap::<(usize, usize), (u64, u64)>::new(), BTreeMap::new());
        for Tunnel { one, other, there, back } in &fabric.tunnels {
            let (Some(&one), Some(&other)) = (homes.get(one.as_str()), homes.get(other.as_str())) else { continue };
            if one == other {
                let sum: &mut u64 = within.entry(names[one].clone()).or_default();
                *sum = sum.saturating_add(*there).saturating_add(*back);
                continue;
            }
            let (ends, there, back) =
                if one < other { ((one, other), there, back) } else { ((other, one), back, there) };
            let sum = sums.entry(ends).or_default();
            *sum = (sum.0.saturating_add(*there), sum.1.saturating_add(*back));
        }
        let mut traffic: Vec<Traffic> =
            sums.into_iter().map(|(ends, (there, back))| Traffic { ends, there, back }).collect();
        traffic.sort_by_key(|it| (std::cmp::Reverse(it.both()), it.ends));
        let hidden = traffic.len().saturating_sub(TUNNELS);
        traffic.truncate(TUNNELS);
        let migrations = fabric.migrations.iter().filter_map(|it| {
            let (from, to) = (*homes.get(it.from.as_str())?, *homes.get(it.to.as_str())?);
            (from != to).then_some((from, to, it))
        });
        Self { names, traffic, migrations: migrations.take(MIGRATIONS).collect(), within, hidden }
    }

    /// The traffic inside of a group.
    pub(super) fn within(&self, group: &Group<'_>) -> u64 {
        self.within.get(&group.name).copied().unwrap_or(0)
    }

    /// Draws all of it between boxes at these places.
    pub(super) fn draw(&self, drawing: &mut Drawing, places: &[Rect], middle: Rect, setting: &Setting) {
        let ends: Vec<(usize, usize)> = self
            .traffic
            .iter()
            .map(|it| it.ends)
            .chain(self.migrations.iter().map(|(from, to, _)| (*from, *to)))
            .collect();
        let curves = curves(&ends, places, middle);
        let (tunnels, ways) = curves.split_at(self.traffic.len());
        // The thin ones last, or nobody would see them.
        for (it, curve) in self.traffic.iter().zip(tunnels) {
            self.tunnel(drawing, it, curve);
        }
        let mut taken: Vec<Rect> = Vec::new();
        for ((.., migration), curve) in self.migrations.iter().zip(ways) {
            way(drawing, migration, curve, &mut taken, middle, setting);
        }
        let mut written = 0;
        for (it, curve) in self.traffic.iter().zip(tunnels).filter(|(it, _)| it.both() > 0) {
            if written == TEXTS {
                break;
            }
            let text = bit_rate(it.both());
            let room = Label::new(0, 0, 120, &text).small().width() + 16;
            if let Some(place) = free_place(curve, (room, 20), &taken, middle) {
                taken.push(place);
                written += 1;
                drawing.frame(place, 10, "pill");
                drawing.text(Label::new(place.x + place.w / 2, place.y + 14, 120, &text).small().centered());
            }
        }
    }

    fn tunnel(&self, drawing: &mut Drawing, traffic: &Traffic, curve: &Curve) {
        let (one, other) = (&self.names[traffic.ends.0], &self.names[traffic.ends.1]);
        let (there, back) = (bit_rate(traffic.there), bit_rate(traffic.back));
        let title = format!("{one} → {other}: {there}\n{other} → {one}: {back}");
        drawing.group("", &title, "", |group| {
            let class = if traffic.both() == 0 { "quiet" } else { "tunnel" };
            group.wide_path(curve.data(), class, width(traffic.both()));
        });
    }
}

/// A migration: a line that marches, what travels on it, and its name.
fn way(
    drawing: &mut Drawing,
    migration: &Migration,
    curve: &Curve,
    taken: &mut Vec<Rect>,
    middle: Rect,
    setting: &Setting,
) {
    let title = format!(
        "{}: {}, {} → {}\n{}",
        setting.words.moving, migration.vm, migration.from, migration.to, migration.about
    );
    drawing.group(&migration.href, &title, "", |group| {
        let text = match migration.about.as_str() {
            "" => migration.vm.clone(),
            about => format!("{} · {about}", migration.vm),
        };
        let label = Label::new(0, 0, 150, &text).small();
        let place = free_place(curve, (label.width() + 22, 24), taken, middle);
        // The box comes first: the stylesheet marks it when the link has the focus.
        if let Some(place) = place {
            taken.push(place);
            group.path(curve.data(), "route");
            group.path(curve.data(), "travels");
            group.frame(place, 12, "moving");
            group.text(Label { x: place.x + place.w / 2, y: place.y + 16, ..label }.centered());
        } else {
            group.path(curve.data(), "route");
            group.path(curve.data(), "travels");
        }
    });
}

/// How wide a line is, in tenths of a pixel: one for nothing, and more with each power of ten from a kilobit on.
fn width(bits: u64) -> u32 {
    match bits {
        0 => 10,
        _ => 15 + bits.max(1000).ilog2().saturating_sub(9) * 3,
    }
    .min(110)
}

/// A cubic curve between two boxes.
struct Curve([(i32, i32); 4]);

impl Curve {
    fn data(&self) -> String {
        let [(ax, ay), (bx, by), (cx, cy), (dx, dy)] = self.0;
        format!("M{ax} {ay}C{bx} {by} {cx} {cy} {dx} {dy}")
    }

    /// The point after so many sixteenths of the way.
    fn point(&self, sixteenths: i32) -> (i32, i32) {
        let (t, s) = (i64::from(sixteenths), i64::from(16 - sixteenths));
        let weights = [s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t];
        let sum = |part: fn(&(i32, i32)) -> i32| {
            let sum: i64 = self.0.iter().zip(weights).map(|(point, weight)| i64::from(part(point)) * weight).sum();
            i32::try_from(sum / 4096).unwrap_or(0)
        };
        (sum(|point| point.0), sum(|point| point.1))
    }
}

/// The curves between boxes; those that end at one box are spread over its edge in the order of where they go.
fn curves(ends: &[(usize, usize)], places: &[Rect], middle: Rect) -> Vec<Curve> {
    // For each box: the height of the other end, and the line.
    let mut at_box: BTreeMap<usize, Vec<(i32, usize)>> = BTreeMap::new();
    for (line, (one, other)) in ends.iter().enumerate() {
        at_box.entry(*one).or_default().push((places[*other].middle(), line));
        at_box.entry(*other).or_default().push((places[*one].middle(), line));
    }
    let mut heights: HashMap<(usize, usize), i32> = HashMap::new();
    for (node, lines) in &mut at_box {
        lines.sort_unstable();
        let (place, number) = (places[*node], i32::try_from(lines.len()).unwrap_or(i32::MAX));
        for (at, (_, line)) in (0..).zip(lines.iter()) {
            let span = place.h - 20;
            heights.insert((*node, *line), place.y + 10 + span * (2 * at + 1) / (2 * number));
        }
    }
    let inner = |node: usize| if places[node].x < middle.x { middle.x } else { middle.right() };
    let curve = |(line, (one, other)): (usize, &(usize, usize))| {
        let (ay, by) = (heights[&(*one, line)], heights[&(*other, line)]);
        let (ax, bx) = (inner(*one), inner(*other));
        let (near, far) = if ax == bx {
            let bulge = (116 + (ay - by).abs() / 4).min(middle.w * 5 / 8);
            let x = if ax == middle.x { ax + bulge } else { ax - bulge };
            (x, x)
        } else {
            let half = (bx - ax) / 2;
            (ax + half, bx - half)
        };
        Curve([(ax, ay), (near, ay), (far, by), (bx, by)])
    };
    ends.iter().enumerate().map(curve).collect()
}

/// Where on a curve there is room for a text of this size.
fn free_place(curve: &Curve, (w, h): (i32, i32), taken: &[Rect], middle: Rect) -> Option<Rect> {
    [8, 7, 9, 6, 10, 5, 11, 4, 12].into_iter().find_map(|sixteenths| {
        let (x, y) = curve.point(sixteenths);
        let place = Rect::new(x - w / 2, y - h / 2, w, h);
        let inside = place.x >= middle.x + super::SHORE
            && place.right() <= middle.right() - super::SHORE
            && place.y >= middle.y
            && place.bottom() <= middle.bottom();
        let apart = Rect::new(place.x - 3, place.y - 3, w + 6, h + 6);
        (inside && !taken.iter().any(|other| other.meets(&apart))).then_some(place)
    })
}
