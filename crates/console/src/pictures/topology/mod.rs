//! A tenant's VM networks: what is outside on the left, gateways, the distributed router, subnets and their VMs on the
//! right. Everything is in rows, so that no line crosses another. What there is too much of is counted instead of drawn.

mod gateway;
mod subnet;

use super::Setting;
use super::marks::{self, Mark};
use super::number::grouped;
use super::render;
use super::scene::{Drawing, Label, Rect, Scene};

/// What is drawn.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Topology {
    /// What the picture is called.
    pub title: String,
    /// The VM networks.
    pub networks: Vec<Network>,
    /// Page of the list of networks, where those are that are not drawn.
    pub href: String,
}

/// One VM network.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its page.
    pub href: String,
    /// Its isolation and what else is to be said in half a line.
    pub about: String,
    /// The router between its subnets; none in a physical network.
    pub router: Option<Router>,
    /// Its subnets.
    pub subnets: Vec<Subnet>,
    /// Its gateways.
    pub gateways: Vec<Gateway>,
}

/// The distributed router of a VM network.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Router {
    /// The page of its routes.
    pub href: String,
    /// What is shown when one points at it, as the gateway addresses.
    pub about: String,
}

/// One VM subnet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Subnet {
    /// Its name.
    pub name: String,
    /// Its page.
    pub href: String,
    /// Its prefixes.
    pub prefixes: Vec<String>,
    /// Its VSID or VLAN, with the word: `VSID 5001`.
    pub segment: String,
    /// Its VMs, or the first of them.
    pub vms: Vec<Vm>,
    /// How many more VMs it has than those.
    pub unlisted: u64,
}

impl Subnet {
    /// How many VMs it has.
    const fn all(&self) -> u64 {
        self.unlisted.saturating_add(self.vms.len() as u64)
    }
}

/// One port and the VM at it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vm {
    /// Its name.
    pub name: String,
    /// Its page.
    pub href: String,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Where it is.
    pub state: VmState,
}

/// Where a VM is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VmState {
    /// On a host; its name may be empty, where a tenant shall not see it.
    Bound {
        /// The host.
        host: String,
    },
    /// Nowhere.
    Missing,
    /// On the way between two hosts.
    Moving {
        /// The one that it leaves.
        from: String,
        /// The one that it goes to.
        to: String,
    },
}

/// A gateway of a VM network.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Gateway {
    /// Its name.
    pub name: String,
    /// Its page.
    pub href: String,
    /// The host that it works on; none if none does.
    pub active: Option<String>,
    /// Hosts that stand by.
    pub standby: Vec<String>,
    /// What it joins the network to.
    pub connections: Vec<Connection>,
}

/// One connection of a gateway.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connection {
    /// Its name.
    pub name: String,
    /// Its page.
    pub href: String,
    /// Of which kind it is.
    pub kind: ConnectionKind,
    /// How it is.
    pub state: ConnectionState,
    /// Why it is so, if there is something to say.
    pub reason: String,
    /// Where it leads.
    pub site: Site,
}

/// What a connection leads to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Site {
    /// What it is called.
    pub name: String,
    /// Its prefixes or address.
    pub about: String,
}

/// The kinds of connections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConnectionKind {
    /// Address translation.
    Nat,
    /// Routed.
    Routed,
    /// IPsec.
    Ipsec,
    /// WireGuard.
    WireGuard,
    /// Another one, by its name.
    Other(String),
}

/// How a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectionState {
    /// It works.
    Up,
    /// It is being set up.
    Connecting,
    /// It does not work.
    Down,
    /// It stands ready.
    Standby,
}

/// Networks that are drawn at most, and of all of them together subnets, and subnets and VMs.
const NETWORKS: usize = 8;
const SUBNETS: usize = 16;
const BOXES: usize = 52;
/// VMs that are drawn of one subnet.
const VMS_OF_ONE: usize = 12;

const MARGIN: i32 = 16;
const PAD: i32 = 16;
const GAP: i32 = 16;
const HEADER: i32 = 40;
/// Between columns, where the lines are.
const LANE: i32 = 32;
const ROUTER: i32 = 72;

/// The columns, from the left. Those without anything in them take no room.
struct Columns {
    sites: i32,
    panel: i32,
    gateways: i32,
    router: i32,
    subnets: i32,
    width: i32,
}

impl Columns {
    fn of(networks: &[Network]) -> Self {
        let outside = networks.iter().any(|it| !it.gateways.is_empty());
        let routed = outside || networks.iter().any(|it| it.router.is_some());
        let sites = MARGIN;
        let panel = if outside { sites + gateway::SITE + gateway::LINK } else { MARGIN };
        let gateways = panel + PAD;
        let router = if outside { gateways + gateway::WIDTH + LANE } else { gateways };
        let subnets = if routed { router + ROUTER + LANE } else { gateways };
        Self { sites, panel, gateways, router, subnets, width: subnets + subnet::WIDTH + PAD + MARGIN }
    }
}

/// What may still be drawn.
struct Budget {
    subnets: usize,
    vms_of_each: usize,
}

impl Budget {
    fn of(networks: &[Network]) -> Self {
        let all: usize = networks.iter().map(|it| it.subnets.len()).sum();
        let shown = all.clamp(1, SUBNETS);
        // What small subnets leave is there for large ones.
        let fits = |each: &usize| {
            let subnets = networks.iter().flat_map(|it| &it.subnets).take(shown);
            subnets.map(|it| it.vms.len().min(*each)).sum::<usize>() + shown <= BOXES
        };
        let vms_of_each = (1..=VMS_OF_ONE).rev().find(fits).unwrap_or(1);
        Self { subnets: shown, vms_of_each }
    }
}

/// The picture of a tenant's networks.
pub fn topology(topology: &Topology, setting: &Setting) -> String {
    render::svg(&scene(topology, setting), setting)
}

pub(super) fn scene(topology: &Topology, setting: &Setting) -> Scene {
    let words = &setting.words;
    let shown = &topology.networks[..topology.networks.len().min(NETWORKS)];
    let columns = Columns::of(shown);
    let mut budget = Budget::of(shown);
    let mut drawing = Drawing::default();
    let mut y = MARGIN;
    for it in shown {
        y = network(&mut drawing, it, y, &columns, &mut budget, setting) + GAP;
    }
    let hidden = topology.networks.len() - shown.len();
    if hidden > 0 {
        let rect = Rect::new(columns.panel, y, columns.width - MARGIN - columns.panel, 36);
        more(&mut drawing, rect, &topology.href, &format!("+ {} {}", grouped(hidden as u128), words.networks));
        y = rect.bottom() + GAP;
    }
    let (mut good, mut bad) = (words.bound.to_owned(), words.missing.to_owned());
    let mut marks = vec![(Mark::Moves, words.moving)];
    if shown.iter().any(|it| !it.gateways.is_empty()) {
        good = format!("{good}, {}", words.up);
        bad = format!("{bad}, {}", words.down);
        marks.extend([(Mark::Wait, words.connecting), (Mark::Standby, words.standby)]);
    }
    let marks = [&[(Mark::Good, good.as_str()), (Mark::Bad, bad.as_str())][..], &marks].concat();
    let legend = Rect::new(columns.panel + PAD, y, columns.width - columns.panel - PAD - MARGIN, 0);
    let y = marks::legend(&mut drawing, &marks, legend);
    let about = shown.iter().map(|it| told(it, setting)).collect::<Vec<_>>().join("; ");
    Scene { width: columns.width, height: y + 6, title: topology.title.clone(), about, drawing }
}

/// The network in half a sentence.
fn told(network: &Network, setting: &Setting) -> String {
    let words = &setting.words;
    let vms = network.subnets.iter().map(|it| it.all()).fold(0, u64::saturating_add);
    let connections: usize = network.gateways.iter().map(|it| it.connections.len()).sum();
    let counts = [
        format!("{} {}", network.subnets.len(), words.subnets),
        words.count_vms(vms),
        format!("{connections} {}", words.connections),
    ];
    format!("{}: {}", network.name, counts.join(", "))
}

/// Draws one network from this height on, and answers where it ends.
fn network(
    drawing: &mut Drawing,
    network: &Network,
    y: i32,
    columns: &Columns,
    budget: &mut Budget,
    setting: &Setting,
) -> i32 {
    let top = y + HEADER;
    let mut inner = Drawing::default();
    let (heights, end) = subnets(&mut inner, network, top, columns, budget, setting);
    let (wires, gateways_end) = gateways(&mut inner, network, top, columns, setting);
    let bottom = end.max(gateways_end).max(top + 88);
    if let Some(router) = &network.router {
        // Lines first, so that boxes lie over their ends.
        let to_subnets = heights.iter().map(|y| (columns.router + ROUTER, *y, columns.subnets));
        let to_gateways = wires.iter().map(|y| (columns.gateways + gateway::WIDTH, *y, columns.router));
        for (from, y, to) in to_subnets.chain(to_gateways) {
            inner.path(format!("M{from} {y}H{to}"), "line");
        }
        let rect = Rect::new(columns.router, top, ROUTER, bottom - top);
        self::router(&mut inner, router, rect, setting);
    }
    // Without gateways there is nothing left of the router.
    let left = match (network.gateways.is_empty(), &network.router) {
        (false, _) => columns.panel,
        (true, Some(_)) => columns.router - PAD,
        (true, None) => columns.subnets - PAD,
    };
    let panel = Rect::new(left, y, columns.width - MARGIN - left, bottom + PAD - y);
    drawing.frame(panel, 10, "panel");
    let title = format!("{}\n{}", network.name, network.about);
    drawing.group(&network.href, &title, "", |group| {
        group.text(Label::new(panel.x + PAD, y + 26, 260, &network.name).bold().class("lead"));
    });
    drawing.text(
        Label::new(panel.right() - PAD, y + 26, panel.w - 260 - 3 * PAD, &network.about).small().class("dim").ending(),
    );
    drawing.items.append(&mut inner.items);
    panel.bottom()
}

/// Draws the subnets; answers the heights of their lines to the router, and where they end.
fn subnets(
    drawing: &mut Drawing,
    network: &Network,
    top: i32,
    columns: &Columns,
    budget: &mut Budget,
    setting: &Setting,
) -> (Vec<i32>, i32) {
    let words = &setting.words;
    let mut heights = Vec::new();
    let mut y = top;
    let shown = network.subnets.len().min(budget.subnets);
    budget.subnets -= shown;
    for it in &network.subnets[..shown] {
        heights.push(y + 24);
        y = subnet::subnet(drawing, it, (columns.subnets, y), budget.vms_of_each, setting) + GAP;
    }
    let rect = Rect::new(columns.subnets, y, subnet::WIDTH, 36);
    let hidden = &network.subnets[shown..];
    if !hidden.is_empty() {
        let vms = hidden.iter().map(|it| it.all()).fold(0, u64::saturating_add);
        let text = format!("+ {} {}, {}", grouped(hidden.len() as u128), words.subnets, words.count_vms(vms));
        heights.push(rect.middle());
        more(drawing, rect, &network.href, &text);
        y = rect.bottom() + GAP;
    } else if shown == 0 {
        more(drawing, rect, "", words.no_subnets);
        y = rect.bottom() + GAP;
    }
    (heights, y - GAP)
}

/// Draws the gateways; answers the heights of their lines to the router, and where they end.
fn gateways(
    drawing: &mut Drawing,
    network: &Network,
    top: i32,
    columns: &Columns,
    setting: &Setting,
) -> (Vec<i32>, i32) {
    let mut heights = Vec::new();
    let mut y = top;
    for it in &network.gateways {
        let end = gateway::gateway(drawing, it, y, columns, setting);
        heights.push(y + 24);
        y = end + GAP;
    }
    (heights, y - GAP)
}

/// The router, as high as what it joins.
fn router(drawing: &mut Drawing, router: &Router, rect: Rect, setting: &Setting) {
    let title = format!("{}\n{}", setting.words.router, router.about);
    drawing.group(&router.href, &title, "", |group| {
        group.frame(rect, 8, "hub");
        let (x, y) = (rect.x + rect.w / 2, rect.middle() - 10);
        group.path(format!("M{x} {y}m-16 0a16 16 0 1 0 32 0a16 16 0 1 0-32 0"), "glyph");
        // Arrows in and out, as routers are drawn everywhere.
        group.path(
            format!("M{x} {y}m-11 0h7m-3-3l3 3l-3 3m14-3h-7m3-3l-3 3l3 3m-7-7v-6m-3 3l3-3l3 3m-3 10v7m-3-3l3 3l3-3"),
            "glyph",
        );
        group.text(Label::new(x, y + 36, rect.w - 8, setting.words.router).small().class("lead").centered());
    });
}

/// A box that counts what is not drawn, and leads to where it is.
fn more(drawing: &mut Drawing, rect: Rect, href: &str, text: &str) {
    drawing.group(href, text, "", |group| {
        group.frame(rect, 8, "ghost");
        group.text(Label::new(rect.x + rect.w / 2, rect.middle() + 5, rect.w - 16, text).class("dim").centered());
    });
}
