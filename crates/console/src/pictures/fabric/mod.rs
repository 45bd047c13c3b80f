//! The hosts of a fabric in two columns, and between them the network that joins them: tunnels as wide as their
//! traffic, and VMs on their way. More hosts than can be read are drawn as groups.

mod cards;
mod groups;
mod lines;

use super::Setting;
use super::marks::{self, Mark};
use super::number::grouped;
use super::render;
use super::scene::{Drawing, Label, Rect, Scene};
use super::words::Words;

/// What is drawn.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fabric {
    /// What the picture is called.
    pub title: String,
    /// The network between the hosts, in a few words: its prefix and encapsulation.
    pub underlay: String,
    /// The hosts.
    pub hosts: Vec<Host>,
    /// What they send each other.
    pub tunnels: Vec<Tunnel>,
    /// VMs on their way.
    pub migrations: Vec<Migration>,
}

/// One host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    /// Its name, by which tunnels and migrations name it.
    pub name: String,
    /// Its page.
    pub href: String,
    /// The rack, or whatever it shares with its neighbours; may be empty.
    pub group: String,
    /// How it is.
    pub health: Health,
    /// Why it is so, if there is something to say.
    pub note: String,
    /// Its provider addresses.
    pub addresses: Vec<String>,
    /// Its uplinks.
    pub uplinks: Vec<Uplink>,
    /// How many VMs it runs.
    pub vms: u64,
    /// The gateways that it is one of the hosts of.
    pub gateways: Vec<GatewayRole>,
}

/// How a host is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Health {
    /// It does all that it was told.
    Well,
    /// It has not realized all that it was told.
    Lagging,
    /// It lives, and lacks something that it needs.
    Unfit,
    /// Nobody hears of it.
    Gone,
    /// An operator wants it empty.
    Drained,
    /// Nobody has heard of it yet.
    Unknown,
}

impl Health {
    pub(super) const ALL: [Self; 6] =
        [Self::Well, Self::Lagging, Self::Unfit, Self::Gone, Self::Drained, Self::Unknown];

    const fn mark(self) -> Mark {
        match self {
            Self::Well => Mark::Good,
            Self::Lagging => Mark::Wait,
            Self::Unfit => Mark::Warn,
            Self::Gone => Mark::Bad,
            Self::Drained => Mark::Drained,
            Self::Unknown => Mark::Unknown,
        }
    }

    const fn word(self, words: &Words) -> &'static str {
        match self {
            Self::Well => words.well,
            Self::Lagging => words.lagging,
            Self::Unfit => words.unfit,
            Self::Gone => words.gone,
            Self::Drained => words.drained,
            Self::Unknown => words.unknown,
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Gone => "troubled",
            Self::Unfit => "worried",
            Self::Well | Self::Lagging => "card",
            Self::Drained | Self::Unknown => "ghost",
        }
    }
}

/// A device that a host reaches the others by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Uplink {
    /// Its name.
    pub name: String,
    /// Whether it has a carrier.
    pub up: bool,
}

/// A host's part in a gateway.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GatewayRole {
    /// The gateway's name.
    pub name: String,
    /// Its page.
    pub href: String,
    /// Whether it works here; otherwise it stands by.
    pub active: bool,
}

/// What two hosts send each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tunnel {
    /// One of them.
    pub one: String,
    /// The other one.
    pub other: String,
    /// Bits a second from the one to the other.
    pub there: u64,
    /// And back.
    pub back: u64,
}

/// A VM on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Migration {
    /// Its name.
    pub vm: String,
    /// The page of its port.
    pub href: String,
    /// The host that it leaves.
    pub from: String,
    /// The one that it goes to.
    pub to: String,
    /// How far it is, in a few words; may be empty.
    pub about: String,
}

/// Boxes that are drawn at most; more hosts are drawn as groups.
const MOST: usize = 60;
/// With more boxes than these they are smaller.
const ROOMY: usize = 16;

const MARGIN: i32 = 16;
/// Between boxes.
const GAP: i32 = 12;
/// What lies between the columns.
const MIDDLE: i32 = 470;
/// Between boxes and the network, which is where the texts are.
const SHORE: i32 = 24;
const TOP: i32 = MARGIN + 34;

/// What a box stands for.
enum Node<'f> {
    Host(&'f Host),
    Group(groups::Group<'f>),
}

impl Node<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Host(host) => &host.name,
            Self::Group(group) => &group.name,
        }
    }
}

/// The picture of the hosts and what is between them.
pub fn fabric(fabric: &Fabric, setting: &Setting) -> String {
    render::svg(&scene(fabric, setting), setting)
}

pub(super) fn scene(fabric: &Fabric, setting: &Setting) -> Scene {
    let words = &setting.words;
    let nodes: Vec<Node<'_>> = if fabric.hosts.len() > MOST {
        groups::groups(&fabric.hosts, MOST, words).into_iter().map(Node::Group).collect()
    } else {
        fabric.hosts.iter().map(Node::Host).collect()
    };
    let (places, columns_end) = places(&nodes);
    let wires = lines::Wires::of(fabric, &nodes);

    let mut drawing = Drawing::default();
    let middle = Rect::new(MARGIN + cards::WIDTH, TOP, MIDDLE, columns_end - TOP);
    let cloud = Rect { x: middle.x + SHORE, w: middle.w - 2 * SHORE, y: TOP - 34, h: columns_end - TOP + 34 };
    drawing.frame(cloud, 24, "cloud");
    let title = format!("{}  {}", words.underlay, fabric.underlay);
    drawing.text(Label::new(cloud.x + cloud.w / 2, TOP - 12, cloud.w - 48, &title).small().class("dim").centered());
    wires.draw(&mut drawing, &places, middle, setting);
    for (node, place) in nodes.iter().zip(&places) {
        match node {
            Node::Host(host) => cards::host(&mut drawing, host, *place, nodes.len() <= ROOMY, setting),
            Node::Group(group) => cards::group(&mut drawing, group, *place, wires.within(group), setting),
        }
    }
    let mut y = columns_end + 14;
    if wires.hidden > 0 {
        let text = format!("+ {} {}", grouped(wires.hidden as u128), words.tunnels);
        let x = cloud.x + cloud.w / 2;
        drawing.text(Label::new(x, y + 12, cloud.w, &text).small().class("dim").centered());
        y += 28;
    }
    let width = 2 * (MARGIN + cards::WIDTH) + MIDDLE;
    let mut marks: Vec<(Mark, &str)> = Health::ALL.iter().map(|it| (it.mark(), it.word(words))).collect();
    marks.push((Mark::Moves, words.moving));
    let end = marks::legend(&mut drawing, &marks, Rect::new(MARGIN, y, width - 2 * MARGIN, 0));
    let title = fabric.title.clone();
    Scene { width, height: end + 6, title, about: about(fabric, words), drawing }
}

/// Where the boxes are: the first half of them on the left, and how far down they go.
fn places(nodes: &[Node<'_>]) -> (Vec<Rect>, i32) {
    let left = nodes.len().div_ceil(2);
    let xs = [MARGIN, MARGIN + cards::WIDTH + MIDDLE];
    let roomy = nodes.len() <= ROOMY;
    let mut ends = [TOP, TOP];
    let mut places: Vec<Rect> = Vec::with_capacity(nodes.len());
    for (at, node) in nodes.iter().enumerate() {
        let side = usize::from(at >= left);
        let height = match node {
            Node::Host(host) => cards::height(host, roomy),
            Node::Group(_) => cards::GROUP,
        };
        places.push(Rect::new(xs[side], ends[side], cards::WIDTH, height));
        ends[side] += height + GAP;
    }
    let end = (ends[0].max(ends[1]) - GAP).max(TOP + 60);
    // The shorter column stands in the middle.
    for side in [0, 1] {
        let shift = (end - (ends[side] - GAP)) / 2;
        for place in places.iter_mut().filter(|it| it.x == xs[side]) {
            place.y += shift;
        }
    }
    (places, end)
}

fn about(fabric: &Fabric, words: &Words) -> String {
    let mut parts = vec![format!("{} {}", fabric.hosts.len(), words.hosts)];
    for health in Health::ALL {
        let number = fabric.hosts.iter().filter(|host| host.health == health).count();
        if number > 0 {
            parts.push(format!("{number} {}", health.word(words)));
        }
    }
    parts.extend(fabric.migrations.iter().take(8).map(|it| format!("{}: {} → {}", it.vm, it.from, it.to)));
    parts.join(", ")
}
