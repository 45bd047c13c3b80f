//! Bandwidth of connections: a class of HTB for each, on the device by which its packets leave. Rules of the packet filter
//! choose the class (`meta priority`), by the connection's number; what is in no class passes unhindered.

use std::fmt::Write as _;

use model::Limit;
use model::gateway::{Compartment, Connection, Service};

use super::names::hash;
use super::{EDGE, INSIDE, OUTSIDE, number, tunnel_device};

/// The least that a class may send at once, in bytes: packets of 64 kB must fit, which the kernel cuts only when they leave.
const LEAST_BURST: u64 = 128 * 1024;

/// How much may wait, in milliseconds of the class' bandwidth, where the kernel has no fq_codel.
const WAITING_MS: u64 = 50;

/// How the packets of a class wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queue {
    /// Fairly, and short (RFC 8290).
    FqCodel,
    /// In one line of limited length.
    Fifo,
}

/// The classes of one device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shaping {
    /// The device.
    pub device: String,
    /// Class and limit of each connection.
    pub classes: Vec<(u16, Limit)>,
}

impl Shaping {
    /// A word for these very classes.
    pub fn version(&self) -> String {
        format!("{:016x}", hash(self.orders(Queue::FqCodel).as_bytes()))
    }

    /// The orders to `tc -batch` that make the classes on a device without any.
    pub fn orders(&self, queue: Queue) -> String {
        let device = &self.device;
        // Packets of no class, those of number 0, pass by all classes.
        let mut orders = format!("qdisc add dev {device} root handle 1: htb default 0 r2q 100\n");
        for (number, limit) in &self.classes {
            let Some(bandwidth) = limit.bandwidth else { continue };
            let kilobits = u64::from(bandwidth.kilobits());
            let burst = burst(limit, kilobits);
            let _ = writeln!(
                orders,
                "class add dev {device} parent 1: classid 1:{number:x} htb rate {kilobits}kbit burst {burst} cburst {burst} \
                 quantum 60000"
            );
            let _ = match queue {
                Queue::FqCodel => writeln!(orders, "qdisc add dev {device} parent 1:{number:x} fq_codel"),
                Queue::Fifo => {
                    let waiting = (kilobits * WAITING_MS / 8).max(2 * LEAST_BURST);
                    writeln!(orders, "qdisc add dev {device} parent 1:{number:x} bfifo limit {waiting}")
                }
            };
        }
        orders
    }
}

/// The burst of a class in bytes: as declared, else what passes in 10 ms.
fn burst(limit: &Limit, kilobits: u64) -> u64 {
    limit.burst.map_or(kilobits * 10 / 8, |burst| u64::from(burst.bytes())).max(LEAST_BURST)
}

/// The classes of a compartment's devices: what goes to the outside has its class where it leaves, and what comes from there
/// has it on the device inside.
pub fn shaping(compartment: &Compartment) -> Vec<Shaping> {
    let mut all: Vec<Shaping> = Vec::new();
    let mut add = |device: String, number: u16, limit: Limit| {
        if limit.bandwidth.is_none() {
            return;
        }
        match all.iter_mut().find(|shaping| shaping.device == device) {
            Some(shaping) => shaping.classes.push((number, limit)),
            None => all.push(Shaping { device, classes: vec![(number, limit)] }),
        }
    };
    for connection in &compartment.connections {
        let Some(number) = number(compartment, connection) else { continue };
        if let Some(limit) = connection.limits.egress {
            for device in devices(compartment, connection) {
                add(device, number, limit);
            }
        }
        if let Some(limit) = connection.limits.ingress {
            add(INSIDE.to_owned(), number, limit);
        }
    }
    all
}

/// The devices by which a connection's packets leave.
fn devices(compartment: &Compartment, connection: &Connection) -> Vec<String> {
    let shares = compartment.outside.as_ref().is_some_and(|outside| !outside.shared.is_empty());
    match connection.service() {
        Some(Service::Nat(_)) if shares => vec![OUTSIDE.to_owned(), EDGE.to_owned()],
        Some(Service::Nat(_) | Service::Routing(_)) => vec![OUTSIDE.to_owned()],
        Some(Service::Ipsec(_) | Service::Wireguard(_)) => tunnel_device(compartment, connection).into_iter().collect(),
        Some(Service::Dns(_)) | None => Vec::new(),
    }
}
