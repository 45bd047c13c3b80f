//! What the kernel hands to the agent: DHCP, DHCPv6 and router solicitations. They are answered at the port, by what is
//! declared of it; and routers are advertised unasked where a subnet has an IPv6 scope.
//!
//! Two threads. One waits for frames, finds the port, lets `dhcp` decide, and sends the answer out of the port's device.
//! The other looks once a second whether an advertisement is due ([`schedule`]).

mod binding;
mod leases;
mod schedule;

use std::sync::Arc;
use std::time::{Duration, Instant};

use datapath::{Punt, Punts};
use dhcp::{Answer, Event};
use host::{Netlink, PacketSocket};
use model::Name;

use crate::core::{Core, device_name};
use crate::error::RunError;
use crate::run::{Shared, lock};
use binding::binding;
pub use leases::Leases;
use schedule::Schedule;

/// How often is looked whether a router advertisement is due: so much later at most does a port hear one that has come,
/// and the VMs that do not want to wait ask.
const GLANCE: Duration = Duration::from_secs(1);

/// Starts to answer what the kernel hands over.
///
/// # Errors
/// When the ring has another reader, a packet socket cannot be opened or a thread cannot be started.
pub fn watch(core: &Shared) -> Result<(), RunError> {
    let punts = lock(core).datapath.take_punts()?;
    let answers = PacketSocket::open(&Netlink::current()?)?;
    let advertisements = PacketSocket::open(&Netlink::current()?)?;
    let shared = Arc::clone(core);
    spawn("punts", "start the answers to DHCP", move || answer_all(punts, &answers, &shared))?;
    let shared = Arc::clone(core);
    spawn("advertisements", "start the router advertisements", move || advertise(&advertisements, &shared))
}

fn spawn(name: &str, what: &'static str, body: impl FnOnce() + Send + 'static) -> Result<(), RunError> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(body).map(|_| ()).map_err(|source| RunError::Io { what, source })
}

/// Answers frames as they come. How many may come in a second is limited for each port, in the kernel.
fn answer_all(mut punts: Punts, socket: &PacketSocket, core: &Shared) {
    loop {
        if let Err(error) = punts.wait() {
            tracing::error!("cannot answer DHCP and router solicitations any more: {error}");
            return;
        }
        while let Some(punt) = punts.next_punt() {
            let answer = lock(core).answer(&punt);
            if let Some(frame) = answer.and_then(|answer| answer.frame)
                && let Err(error) = socket.send(punt.ifindex, &frame)
            {
                // The device may have gone in between; whoever is still there asks again.
                tracing::warn!("{error}");
            }
        }
    }
}

/// Sends router advertisements that nobody asked for, when they are due.
fn advertise(socket: &PacketSocket, core: &Shared) {
    let mut schedule = Schedule::default();
    let mut seen = None;
    loop {
        {
            let core = lock(core);
            // What is declared and which devices are there: nothing else changes an advertisement.
            if seen != Some(core.generation) {
                seen = Some(core.generation);
                schedule.update(core.advertisements(), Instant::now());
            }
        }
        for (ifindex, frame) in schedule.due(Instant::now()) {
            if let Err(error) = socket.send(ifindex, frame) {
                // A VM that is switched off hears nothing.
                tracing::debug!("{error}");
            }
        }
        std::thread::sleep(GLANCE);
    }
}

impl Core {
    /// Answers a frame by what is declared, and notes what came of it.
    fn answer(&mut self, punt: &Punt) -> Option<Answer> {
        // The port may have gone, or become another, since the frame was taken.
        let port = self.intent().port_on(device_name(self.facts(), punt.ifindex)?)?.clone();
        let status = self.ports().get(&port.name).filter(|status| status.ifindex() == Some(punt.ifindex))?;
        let mtu = status.mtu.or_else(|| self.facts().links.get(&port.device).map(|link| link.mtu))?;
        let binding = binding(self.intent(), &port, self.settings.gateway_mac, mtu)?;
        let Some(answer) = dhcp::answer(&punt.frame, &binding) else {
            tracing::debug!(port = %port.name, "no answer to a frame of {} bytes", punt.frame.len());
            return None;
        };
        if self.leases.note(&port, &answer.event) {
            say(&port.name, &answer.event);
        }
        Some(answer)
    }

    /// The router advertisement of each bound port whose subnet has an IPv6 scope, with the interface index of its
    /// device.
    fn advertisements(&self) -> Vec<(Name, u32, Vec<u8>)> {
        let ports = self.intent().ports().filter_map(|port| {
            let status = self.ports().get(&port.name)?;
            let ifindex = status.ifindex()?;
            let mtu = status.mtu.or_else(|| self.facts().links.get(&port.device).map(|link| link.mtu))?;
            let binding = binding(self.intent(), port, self.settings.gateway_mac, mtu)?;
            Some((port.name.clone(), ifindex, dhcp::router_advertisement(&binding)?))
        });
        ports.collect()
    }
}

/// Tells the log what happened at a port, once until something else happens.
fn say(port: &Name, event: &Event) {
    match event {
        Event::Declined(address) => tracing::warn!(
            %port,
            "the VM found that {address} is in use already; look for another machine with this address in the subnet"
        ),
        Event::NoAddress => tracing::warn!(
            %port,
            "the VM asks for an address and none is declared; give the port addresses, or its MAC address a static lookup \
             record"
        ),
        Event::Refused(_) => tracing::warn!(%port, "{event}; it begins anew"),
        _ => tracing::info!(%port, "{event}"),
    }
}
