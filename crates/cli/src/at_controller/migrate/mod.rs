//! `netvirt migrate`: moves a VM to another host while it runs, or lets whoever moves it do so, with its network.
//!
//! The port is prepared on both hosts (`prepare`), and when all hosts that know the VM know that, the VM is moved: by orders that
//! are given here (`orders`, `libvirt`), or by somebody else. Its first sign of life on the other host takes the network there;
//! all that is done here then is to wait for it.

mod libvirt;
mod orders;
mod prepare;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use api::ProblemType;
use api::fabric::{Item, LastMove};
use model::fabric::{Key, Kind, ResourceName};
use qemu::Moved;
use serde_json::Value;

use super::Controller;
use crate::CliError;
use crate::args::Migrate;
use crate::run::Streams;
use crate::signals;
use orders::{NotMoved, Orders};
use prepare::take_back;

/// How long is waited until nothing is late any more, where all hosts answer; otherwise what is known by then is told.
const REST: Duration = Duration::from_secs(5);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// A port that is to go from one host to another.
struct Move<'a> {
    controller: &'a Controller,
    key: &'a Key,
    from: String,
    to: &'a ResourceName,
    /// Somebody wants this to end, while orders are given and after.
    interrupted: Arc<AtomicBool>,
}

/// Prepares, has the VM moved or says when it may be, and waits until it has.
pub fn migrate(controller: &Controller, migrate: &Migrate, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let key = controller.key(Kind::Port, &migrate.port)?;
    let item = controller.client.get(&key)?;
    let from = host_of(&item).unwrap_or_default();
    let its = Move { controller, key: &key, from, to: &migrate.to, interrupted: Arc::default() };
    its.must_stay_yet(&item)?;
    its.must_answer()?;
    its.must_be_hosts(&migrate.without)?;
    // What cannot be given any orders is better known before anything is declared.
    let orders = Orders::of(migrate, &its.from, item.status.allocation.mac)?;
    its.prepare(item, &migrate.without, streams)?;
    signals::note(&its.interrupted)?;
    let Move { from, to, .. } = &its;
    let moved = match orders {
        None => {
            streams.print(&format!("{key} is prepared on {to}: move its VM there from {from} now\n"))?;
            None
        }
        Some(orders) => {
            streams.print(&format!("{key} is prepared on {to}: its VM is handed over from {from}\n"))?;
            Some(orders.give(migrate.timeout, &its.interrupted).map_err(|not| its.failed(not))?)
        }
    };
    its.await_arrival(migrate.timeout, moved.as_ref(), streams)?;
    its.tell_rest(streams)
}

impl Move<'_> {
    /// Whether nobody moves it yet.
    fn must_stay_yet(&self, item: &Item) -> Result<(), CliError> {
        let Some(other) = goes_to(item) else { return Ok(()) };
        Err(CliError::Told(format!(
            "{} is on its way from {} to {other} already; wait for that, or when it is sure that its VM stays, take it back with \
             \"netvirt set port {} --migrate-to ''\"",
            self.key, self.from, self.key.name
        )))
    }

    /// Whether both hosts can be told anything, as far as the controller knows them and this caller may know that.
    fn must_answer(&self) -> Result<(), CliError> {
        for host in [self.from.as_str(), self.to.as_str()] {
            let Ok(name) = host.parse::<ResourceName>() else { continue };
            let known = self.controller.client.get(&Key::global(Kind::Host, &name));
            if known.is_ok_and(|item| item.status.connected == Some(false)) {
                return Err(CliError::Told(format!(
                    "{} cannot move from {} to {}: the agent of {host} is not connected to the controller; start it, see \"netvirt get \
                     hosts\", and try again. The VM and its network stay where they are",
                    self.key, self.from, self.to
                )));
            }
        }
        Ok(())
    }

    /// Whether these are hosts, as far as this caller may know that.
    fn must_be_hosts(&self, names: &[ResourceName]) -> Result<(), CliError> {
        for name in names {
            let known = self.controller.client.get(&Key::global(Kind::Host, name));
            if let Err(error) = &known
                && error.problem().is_some_and(|problem| problem.problem_type == ProblemType::NotFound)
            {
                return Err(CliError::Told(format!(
                    "there is no host {name} to do without; \"netvirt get hosts\" lists those that there are"
                )));
            }
        }
        Ok(())
    }

    /// What is to be said of a VM that could not be moved. Where it is sure that it does not run at the other host, the
    /// preparation is taken back.
    fn failed(&self, not: NotMoved) -> CliError {
        let Self { key, from, to, .. } = self;
        let (why, certain) = match not {
            NotMoved::Stayed(why) => (format!("{key} stays on {from}, where its VM runs on: {why}"), true),
            NotMoved::Lost(why) => (format!("{key} stays on {from}, but its VM does not run any more: {why}"), true),
            NotMoved::Unknown(why) => (format!("{key} is prepared on {to} still, and on {from} as well: {why}"), false),
        };
        if !certain {
            let back = format!("netvirt set port {} --migrate-to ''", key.name);
            return CliError::Told(format!("{why}. When it is sure that the VM does not run on {to}, say \"{back}\""));
        }
        match take_back(self) {
            Ok(()) => CliError::Told(why),
            Err(error) => CliError::Told(format!(
                "{why}. That it does not go to {to} could not be declared ({error}); say \"netvirt set port {} --host {from} \
                 --migrate-to ''\"",
                key.name
            )),
        }
    }

    /// Waits for the VM's first sign of life.
    fn await_arrival(
        &self,
        timeout: Duration,
        moved: Option<&Moved>,
        streams: &mut Streams<'_>,
    ) -> Result<(), CliError> {
        let Self { key, from, to, .. } = self;
        let began = Instant::now();
        while began.elapsed() < timeout && !self.interrupted.load(Ordering::Relaxed) {
            std::thread::sleep(PAUSE);
            // A controller that does not answer now may in a moment; the hosts follow the VM without it.
            let Ok(item) = self.controller.client.get(key) else { continue };
            match (host_of(&item).as_deref(), goes_to(&item).as_deref()) {
                (Some(host), _) if host == to.as_str() => {
                    return streams.print(&report_line(key, to, began.elapsed(), moved));
                }
                (_, Some(goes)) if goes == to.as_str() => {}
                _ => {
                    return Err(CliError::Told(format!(
                        "{key} is to go to {to} no more: somebody else has changed that"
                    )));
                }
            }
        }
        if moved.is_some() {
            return Err(CliError::Told(format!(
                "{key}: its VM has left {from} and runs in the other QEMU, but was not heard on {to}: look whether that QEMU is on {to}, \
                 with the port's device as its tap. If it is on another host, say \"netvirt set port {name} --migrate-to ''\" and then \
                 \"netvirt set port {name} --host\" with that one",
                name = key.name
            )));
        }
        // Nothing is taken back: the VM may come at any moment, and would be cut off then.
        Err(CliError::Told(format!(
            "{key}: its VM was not heard on {to} within {}; it is prepared there still. When it is sure that the VM stays on {from}, \
             say \"netvirt set port {} --migrate-to ''\"",
            humantime::format_duration(Duration::from_secs(began.elapsed().as_secs())),
            key.name
        )))
    }

    /// Waits until nothing is late any more, and says what became of frames and connections.
    fn tell_rest(&self, streams: &mut Streams<'_>) -> Result<(), CliError> {
        let began = Instant::now();
        let mut last = None;
        while began.elapsed() < REST && !self.interrupted.load(Ordering::Relaxed) {
            if let Ok(item) = self.controller.client.get(self.key) {
                let settled = item.status.allocation.came_from.is_none();
                last = item.status.last_move.filter(|last| last.from.as_str() == self.from);
                if settled {
                    break;
                }
            }
            std::thread::sleep(PAUSE);
        }
        match last {
            Some(last) => streams.print(&rest_line(self.key, &last)),
            None => streams.note(&format!("note: {} has not told what became of what was late", self.from)),
        }
    }
}

/// What is said of what was under way while a VM moved.
fn rest_line(key: &Key, last: &LastMove) -> String {
    let count = |number: u64, one: &str, many: &str| match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    };
    let lost = match last.lost {
        Some(lost) => format!("{} found it standing still and got lost", count(lost, "frame", "frames")),
        None => "how many frames found it standing still is not known".to_owned(),
    };
    format!(
        "{key}: {lost}; {} came to {} when it had left, and were sent on; {} went with it\n",
        count(last.sent_on, "frame", "frames"),
        last.from,
        count(last.flows, "connection", "connections")
    )
}

/// What is said of a move that is done: when the VM was heard, and what is known of it besides, one part each.
fn report_line(key: &Key, to: &ResourceName, heard: Duration, moved: Option<&Moved>) -> String {
    let heard = heard.as_secs_f64();
    let parts = match moved {
        None => vec![format!("its VM was heard there after {heard:.1} s")],
        Some(moved) => vec![
            format!("the hand-over took {} ms", moved.total.as_millis()),
            moved.pause.to_string(),
            format!("all know {heard:.1} s later"),
        ],
    };
    format!("{key} is on {to}: {}\n", parts.join("; "))
}

fn host_of(item: &Item) -> Option<String> {
    item.spec.get("host").and_then(Value::as_str).map(str::to_owned)
}

fn goes_to(item: &Item) -> Option<String> {
    item.spec.get("migrateTo").and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use qemu::Pause;

    use super::*;

    #[test]
    fn a_move_is_reported_in_one_line() {
        let key = Key::new(Kind::Port, None, "test01".parse().unwrap());
        let to = "host15".parse().unwrap();
        let heard = Duration::from_millis(120);
        let line = report_line(&key, &to, heard, None);
        assert_eq!(line, "port \"test01\" is on host15: its VM was heard there after 0.1 s\n");
        let mut moved = Moved {
            pause: Pause::Counted(Duration::from_millis(21)),
            total: Duration::from_millis(510),
            stopped: None,
            resumed: None,
        };
        let line = report_line(&key, &to, heard, Some(&moved));
        let expected = "the hand-over took 510 ms; it stood still for 21 ms (as QEMU counts); all know 0.1 s later\n";
        assert!(line.ends_with(expected), "{line}");
        let mut last = LastMove {
            from: "host16".parse().unwrap(),
            to: "host15".parse().unwrap(),
            flows: 204,
            lost: Some(1),
            sent_on: 12,
        };
        assert_eq!(
            rest_line(&key, &last),
            "port \"test01\": 1 frame found it standing still and got lost; 12 frames came to host16 when it had left, and were \
             sent on; 204 connections went with it\n"
        );
        last.lost = None;
        assert!(rest_line(&key, &last).contains("is not known"));
        moved.pause = Pause::Unknown;
        let line = report_line(&key, &to, heard, Some(&moved));
        assert!(line.contains("QEMU does not say for how long it stood still"), "{line}");
    }
}
