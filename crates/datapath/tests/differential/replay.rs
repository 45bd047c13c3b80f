//! Frames that follow others: the same again, and answers to what was sent on, so that flows are known, answered, closed.

use datapath::Role;
use pipeline::{Encapsulation, Meta};
use plan::HostTables;
use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::port_frames::Case;
use crate::userspace::Expected;
use crate::world::Devices;

/// Most cases that are kept to go back to.
const KEPT: usize = 24;
/// TCP flags that follow.
const FLAGS: [u8; 7] = [0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14];

/// What was sent on lately, and the answers that would come.
#[derive(Default)]
pub struct Replay {
    kept: Vec<Case>,
}

impl Replay {
    /// Keeps a case that was sent on, and what would come back.
    pub fn keep(&mut self, case: &Case, expected: &Expected, tables: &HostTables, devices: &Devices) {
        if !matches!(
            expected.kind,
            "deliver" | "deliver, decapsulated" | "encapsulate over IPv4" | "encapsulate over IPv6"
        ) {
            return;
        }
        if self.kept.len() >= KEPT {
            self.kept.drain(..2);
        }
        self.kept.push(Case { what: "once more", ..case.clone() });
        self.kept.extend(answer(case, expected, tables, devices));
    }

    /// One of those that are kept, a little different perhaps.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Option<Case> {
        let mut case = self.kept.choose(rng)?.clone();
        let inner = inner_at(&case);
        if let Some((at, protocol)) = inner.and_then(|inner| transport(&case.frame, inner))
            && protocol == 6
            && case.frame.len() > at + 13
            && rng.random_bool(0.6)
        {
            case.frame[at + 13] = *FLAGS.choose(rng).expect("some");
        }
        Some(case)
    }
}

/// Offset of the frame that a VM sees.
fn inner_at(case: &Case) -> Option<usize> {
    if case.role == Role::Port {
        return Some(0);
    }
    let frame = &case.frame;
    let (protocol, at) = match frame.get(12..14)? {
        [0x08, 0x00] => (*frame.get(23)?, 34),
        [0x86, 0xdd] => (*frame.get(20)?, 54),
        _ => return None,
    };
    match protocol {
        47 => Some(at + 8),
        17 => Some(at + 16),
        _ => None,
    }
}

/// Offset and protocol of the transport header of the frame at `at`, if it has no options.
fn transport(frame: &[u8], at: usize) -> Option<(usize, u8)> {
    match frame.get(at + 12..at + 15)? {
        [0x08, 0x00, 0x45] => Some((at + 34, *frame.get(at + 23)?)),
        [0x86, 0xdd, _] => Some((at + 54, *frame.get(at + 20)?)),
        _ => None,
    }
}

fn swap(frame: &mut [u8], one: usize, other: usize, len: usize) {
    for i in 0..len {
        frame.swap(one + i, other + i);
    }
}

/// Turns the IP packet of the frame at `at` round.
fn turn(frame: &mut [u8], at: usize) -> Option<()> {
    let (transport, protocol) = transport(frame, at)?;
    match transport - at {
        34 => swap(frame, at + 26, at + 30, 4),
        _ => swap(frame, at + 22, at + 38, 16),
    }
    if matches!(protocol, 6 | 17) && frame.len() >= transport + 4 {
        swap(frame, transport, transport + 2, 2);
    }
    Some(())
}

/// What would come back of a frame that was sent on.
fn answer(case: &Case, expected: &Expected, tables: &HostTables, devices: &Devices) -> Option<Case> {
    let mut frame = expected.outcome.frame.clone();
    let gateway = tables.host?.gateway_mac;
    if expected.kind.starts_with("deliver") {
        turn(&mut frame, 0)?;
        let sender: [u8; 6] = frame.get(6..12)?.try_into().ok()?;
        // Through the router it goes back through the router, which has the same MAC address.
        swap(&mut frame, 0, 6, 6);
        debug_assert_eq!(frame[..6], sender);
        return Some(Case::new(Role::Port, frame, expected.outcome.detail, "an answer"));
    }
    let port = tables.ports.get(&case.meta.ifindex)?;
    let v4 = expected.kind.ends_with("IPv4");
    let network = if v4 { 34 } else { 54 };
    if v4 {
        swap(&mut frame, 26, 30, 4)
    } else {
        swap(&mut frame, 22, 38, 16)
    }
    let encapsulation = if frame[if v4 { 23 } else { 20 }] == 47 { Encapsulation::Nvgre } else { Encapsulation::Vxlan };
    let (vsid, inner) = if encapsulation.is_udp() { (network + 12, network + 16) } else { (network + 4, network + 8) };
    frame.get_mut(vsid..vsid + 3)?.copy_from_slice(&port.vsid.to_be_bytes()[1..]);
    turn(&mut frame, inner)?;
    let routed = frame.get(inner + 6..inner + 12)? == gateway;
    swap(&mut frame, inner, inner + 6, 6);
    if routed {
        frame[inner..inner + 6].copy_from_slice(&port.mac);
        frame[inner + 6..inner + 12].copy_from_slice(&gateway);
    }
    let len = frame.len() as u32;
    let meta = Meta { ifindex: devices.uplink, len, ..Meta::default() };
    Some(Case { role: Role::Uplink, frame, meta, what: "an answer from another host" })
}
