//! A subnet and its VMs.

use super::{Subnet, Vm, VmState};
use crate::pictures::Setting;
use crate::pictures::marks::{self, Mark};
use crate::pictures::number::grouped;
use crate::pictures::scene::{Drawing, Label, Rect};

/// VMs beside each other, and their size.
const ACROSS: i32 = 3;
const CHIP: (i32, i32) = (184, 44);
const GAP: i32 = 8;
const PAD: i32 = 12;
const HEADER: i32 = 50;
/// A subnet's width.
pub(super) const WIDTH: i32 = 2 * PAD + ACROSS * CHIP.0 + (ACROSS - 1) * GAP;
/// A VM that moves has a row of its own, and one of the hosts at its ends so much.
const END: i32 = 132;

/// Draws a subnet whose upper left corner is here, with so many VMs at most, and answers where it ends.
pub(super) fn subnet(
    drawing: &mut Drawing,
    subnet: &Subnet,
    (x, y): (i32, i32),
    most: usize,
    setting: &Setting,
) -> i32 {
    // What is not as it should be is shown first, and all else in the order of the page.
    let rank = |vm: &&Vm| match vm.state {
        VmState::Moving { .. } => 0,
        VmState::Missing => 1,
        VmState::Bound { .. } => 2,
    };
    let all = subnet.all();
    let mut vms: Vec<&Vm> = subnet.vms.iter().collect();
    vms.sort_by_key(rank);
    let whole = all <= most as u64;
    // The box with what is left takes the place of a VM only where rows are full.
    vms.truncate(most);
    let mut inner = Drawing::default();
    let mut end = y + HEADER;
    let (moving, still): (Vec<&Vm>, Vec<&Vm>) = vms.iter().partition(|vm| rank(vm) == 0);
    for vm in moving {
        moving_vm(&mut inner, vm, Rect::new(x + PAD, end, WIDTH - 2 * PAD, CHIP.1), setting);
        end += CHIP.1 + GAP;
    }
    let mut places = (0..).map(|at| {
        let (column, row) = (at % ACROSS, at / ACROSS);
        Rect::new(x + PAD + column * (CHIP.0 + GAP), end + row * (CHIP.1 + GAP), CHIP.0, CHIP.1)
    });
    let mut last = None;
    for (vm, place) in still.iter().zip(places.by_ref()) {
        chip(&mut inner, vm, place, setting);
        last = Some(place);
    }
    if !whole {
        let place = places.next().unwrap_or(Rect::new(x + PAD, end, CHIP.0, CHIP.1));
        rest(&mut inner, subnet, place, all - vms.len() as u64, setting);
        last = Some(place);
    }
    let mut bottom = last.map_or(end - GAP, |place| place.bottom()) + PAD;
    if all == 0 {
        inner.text(Label::new(x + PAD, y + HEADER + 12, WIDTH - 2 * PAD, setting.words.no_vms).small().class("dim"));
        bottom = y + HEADER + 26;
    }
    header(drawing, subnet, Rect::new(x, y, WIDTH, bottom - y), all, setting);
    drawing.items.append(&mut inner.items);
    bottom
}

fn header(drawing: &mut Drawing, subnet: &Subnet, rect: Rect, all: u64, setting: &Setting) {
    let prefixes = subnet.prefixes.join(", ");
    let title = format!("{}\n{prefixes}\n{}", subnet.name, subnet.segment);
    let count = setting.words.count_vms(all);
    drawing.group(&subnet.href, &title, "", |group| {
        group.frame(rect, 8, "card");
        group.text(Label::new(rect.x + PAD, rect.y + 21, 380, &subnet.name).bold());
        group.text(Label::new(rect.right() - PAD, rect.y + 21, 160, &count).small().class("dim").ending());
        group.text(Label::new(rect.x + PAD, rect.y + 39, 420, &prefixes).mono().class("dim"));
        group.text(Label::new(rect.right() - PAD, rect.y + 39, 136, &subnet.segment).mono().class("dim").ending());
    });
}

/// A VM that is where it is.
fn chip(drawing: &mut Drawing, vm: &Vm, rect: Rect, setting: &Setting) {
    let (class, sign, state) = match &vm.state {
        VmState::Missing => ("lost", Mark::Bad, setting.words.missing.to_owned()),
        VmState::Bound { host } if host.is_empty() => ("chip", Mark::Good, setting.words.bound.to_owned()),
        VmState::Bound { host } => ("chip", Mark::Good, format!("{}: {host}", setting.words.bound)),
        VmState::Moving { .. } => ("moving", Mark::Moves, setting.words.moving.to_owned()),
    };
    let addresses = vm.addresses.join(", ");
    let title = format!("{}\n{addresses}\n{state}", vm.name);
    drawing.group(&vm.href, &title, "", |group| {
        group.frame(rect, 6, class);
        marks::mark(group, sign, rect.x + 17, rect.middle());
        let room = rect.w - 32 - 8;
        group.text(Label::new(rect.x + 32, rect.y + 18, room, &vm.name));
        group.text(Label::new(rect.x + 32, rect.y + 35, room, &addresses).mono().class("dim"));
    });
}

/// A VM between the hosts that it goes from and to; what moves runs under it.
fn moving_vm(drawing: &mut Drawing, vm: &Vm, row: Rect, setting: &Setting) {
    let VmState::Moving { from, to } = &vm.state else {
        return chip(drawing, vm, Rect { w: CHIP.0, ..row }, setting);
    };
    let middle = Rect { x: row.x + (row.w - CHIP.0) / 2, w: CHIP.0, ..row };
    let title = format!("{}\n{}: {from} → {to}", vm.name, setting.words.moving);
    drawing.group("", &title, "", |group| {
        for (host, x) in [(from, row.x), (to, row.right() - END)] {
            let place = Rect { x, w: END, y: row.y + 7, h: 30 };
            group.frame(place, 6, "ghost");
            let name = if host.is_empty() { "?" } else { host };
            group.text(Label::new(x + END / 2, place.middle() + 4, END - 16, name).small().class("dim").centered());
        }
        for (from, to) in [(row.x + END, middle.x), (middle.right(), row.right() - END)] {
            let y = row.middle();
            group.path(format!("M{} {y}H{}", from + 2, to - 3), "route");
            group.path(format!("M{} {y}H{}", from + 2, to - 3), "travels");
        }
    });
    chip(drawing, vm, middle, setting);
}

/// How many VMs are not drawn.
fn rest(drawing: &mut Drawing, subnet: &Subnet, rect: Rect, number: u64, setting: &Setting) {
    let title = format!("+ {} {}", grouped(number.into()), setting.words.vms);
    drawing.group(&subnet.href, &title, "", |group| {
        group.frame(rect, 6, "count");
        let text = format!("+ {}", grouped(number.into()));
        group.text(
            Label::new(rect.x + rect.w / 2, rect.middle() + 5, rect.w - 16, &text).bold().class("lead").centered(),
        );
    });
}
