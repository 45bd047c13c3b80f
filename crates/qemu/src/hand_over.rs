//! One QEMU hands its guest over to another, which waits for it (`-incoming defer`). Whatever fails on the way, the guest never
//! runs twice: the target is ended before the source runs on, and where it is not certain that the target has ended, the source
//! stands still and that is said.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::{Qmp, QmpError};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(2);
/// How long a QEMU may take to end when it is told to, or to give up a hand-over.
const END_LIMIT: Duration = Duration::from_secs(10);
/// How a guest that stood still is announced, as QEMU does by itself for one that runs when it comes: these are its times.
const ANNOUNCEMENTS: [(&str, u32); 4] = [("initial", 50), ("max", 550), ("rounds", 5), ("step", 100)];

/// How a guest goes from one QEMU to another.
#[derive(Clone, Debug)]
pub struct Way {
    /// Where the target listens and the source sends to, as QEMU writes it: `tcp:HOST:PORT`, `unix:PATH`.
    pub uri: String,
    /// What is set at the source before, of QEMU's `migrate-set-parameters`; null leaves it as it is.
    pub parameters: Value,
    /// How long it may take.
    pub limit: Duration,
    /// Set by whoever wants it to be given up, as long as the guest has not been sent.
    pub interrupted: Arc<AtomicBool>,
}

/// For how long a guest stood still, and who says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pause {
    /// QEMU itself, of a guest that ran until the last pages were copied.
    Counted(Duration),
    /// The one who gave the orders, of a guest that was stopped before and woken afterwards.
    Measured(Duration),
    /// Nobody: QEMU did not say.
    Unknown,
}

impl Pause {
    /// How long it was, if that is known.
    pub const fn duration(self) -> Option<Duration> {
        match self {
            Self::Counted(pause) | Self::Measured(pause) => Some(pause),
            Self::Unknown => None,
        }
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counted(pause) => write!(f, "it stood still for {} ms (as QEMU counts)", pause.as_millis()),
            Self::Measured(pause) => write!(f, "it stood still for {} ms (from stop to resume)", pause.as_millis()),
            Self::Unknown => write!(f, "QEMU does not say for how long it stood still"),
        }
    }
}

/// How a guest has moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moved {
    /// How long it stood still.
    pub pause: Pause,
    /// How long all of it took.
    pub total: Duration,
    /// When it stood still, by the clock of the host that it was on; `None` if QEMU did not say.
    pub stopped: Option<SystemTime>,
    /// When it ran again, by the clock of the host that it runs on; `None` if QEMU did not say.
    pub resumed: Option<SystemTime>,
}

/// How a hand-over failed, by what has become of the guest.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HandOverError {
    /// It runs where it was, and nowhere else.
    #[error("{why}; it runs on where it was")]
    Stayed {
        /// What failed.
        why: String,
    },
    /// It runs nowhere.
    #[error("{why}; the guest runs nowhere any more")]
    Lost {
        /// What failed.
        why: String,
    },
    /// It may run at the target. The source stands still.
    #[error(
        "{why}; it is not certain that the QEMU at {target} has ended, so the guest stands still where it was: look whether it runs \
         there, and if not, end that QEMU and give the one at {source_path} the order \"cont\""
    )]
    Unknown {
        /// What failed.
        why: String,
        /// Where the target takes orders.
        target: String,
        /// Where the source takes orders.
        source_path: String,
    },
}

/// Whether one QEMU runs the guest whose interface has this MAC address, as `00:1d:d8:b7:1c:02`, and the other waits for it.
/// Nothing is changed.
///
/// # Errors
/// When it is otherwise, in a sentence.
pub fn ready(source: &mut Qmp, target: &mut Qmp, mac: &str) -> Result<(), String> {
    let is = |qmp: &mut Qmp| -> Result<String, String> {
        let status = qmp.execute("query-status", json!({})).map_err(|error| error.to_string())?;
        Ok(status["status"].as_str().unwrap_or("of no known status").to_owned())
    };
    let (here, there) = (is(source)?, is(target)?);
    if here != "running" {
        return Err(format!("the guest of the QEMU at {} does not run: it is {here}", source.path().display()));
    }
    if there != "inmigrate" {
        let at = target.path().display();
        return Err(format!("the QEMU at {at} waits for no guest, but is {there}; start it with \"-incoming defer\""));
    }
    for qmp in [source, target] {
        let others = interfaces(qmp).map_err(|error| error.to_string())?;
        if !others.is_empty() && !others.iter().any(|other| other.eq_ignore_ascii_case(mac)) {
            return Err(format!(
                "the QEMU at {} is another VM's: its interfaces have {}, and the port's VM has {mac}",
                qmp.path().display(),
                others.join(", ")
            ));
        }
    }
    Ok(())
}

/// The MAC addresses of a QEMU's interfaces, as far as their models tell them (virtio does).
fn interfaces(qmp: &mut Qmp) -> Result<Vec<String>, QmpError> {
    let known = qmp.execute("query-rx-filter", json!({}))?;
    let macs = known.as_array().into_iter().flatten().filter_map(|interface| interface["main-mac"].as_str());
    Ok(macs.map(str::to_owned).collect())
}

/// Ends a QEMU; whether that is certain.
pub fn quit(target: &mut Qmp) -> bool {
    let end = Instant::now() + END_LIMIT;
    let mut gone = target.execute("quit", json!({})).is_err_and(|error| error.is_end());
    while !gone && Instant::now() < end {
        match target.execute("query-status", json!({})) {
            Err(error) if error.is_end() => gone = true,
            // One that ends answers no more, or refuses.
            Ok(_) | Err(_) => std::thread::sleep(PAUSE),
        }
    }
    // Somebody may have cut the connection alone; and one that ends closes its sockets one by one.
    while gone && Instant::now() < end {
        match Qmp::connect(target.path()) {
            Err(QmpError::Absent { .. }) => return true,
            Err(_) => std::thread::sleep(PAUSE),
            Ok(mut again) => drop(again.execute("quit", json!({}))),
        }
    }
    false
}

/// Hands a guest over. `end_target` ends the target's QEMU for good, and says whether that is certain; it is called when
/// anything fails, before the source runs on.
///
/// One that is emulated stands still while it is copied: under QEMU 7.2, guests that ran meanwhile were seen to die within
/// seconds of the hand-over.
///
/// # Errors
/// See [`HandOverError`].
pub fn hand_over(
    source: &mut Qmp,
    target: &mut Qmp,
    way: &Way,
    end_target: impl FnOnce(&mut Qmp) -> bool,
) -> Result<Moved, HandOverError> {
    let began = Instant::now();
    let end = began + way.limit;
    let handed = begin(source, target, way).and_then(|stopped| {
        let counted = match await_end(source, way, end) {
            Ok(counted) => counted,
            // It may have sent all of the guest before it ended, which the target knows.
            Err(Failed { source_ended: true, .. }) => None,
            Err(failed) => return Err(failed),
        };
        await_arrival(target, end)?;
        let resumed = run(target, stopped.is_some())?;
        let pause = match (stopped, counted) {
            (Some(stopped), _) => Pause::Measured(stopped.elapsed()),
            (None, Some(counted)) => Pause::Counted(counted),
            (None, None) => Pause::Unknown,
        };
        let stopped = source.seen("STOP").as_ref().and_then(time_of);
        Ok(Moved { pause, total: began.elapsed(), stopped, resumed })
    });
    let moved = handed.map_err(|failed| take_back(source, target, &failed.why, end_target))?;
    if matches!(moved.pause, Pause::Measured(_)) {
        announce(target);
    }
    Ok(moved)
}

/// What failed on the way.
struct Failed {
    why: String,
    source_ended: bool,
}

impl Failed {
    fn at_source(error: &QmpError) -> Self {
        Self { why: error.to_string(), source_ended: error.is_end() }
    }

    fn at_target(error: &QmpError) -> Self {
        Self { why: error.to_string(), source_ended: false }
    }

    const fn because(why: String) -> Self {
        Self { why, source_ended: false }
    }
}

/// Has the target listen and the source send; since when the guest stands still, if it does.
fn begin(source: &mut Qmp, target: &mut Qmp, way: &Way) -> Result<Option<Instant>, Failed> {
    let at_source = |error: QmpError| Failed::at_source(&error);
    let kvm = source.execute("query-kvm", json!({})).map_err(at_source)?["enabled"] == true;
    target.execute("migrate-incoming", json!({ "uri": way.uri })).map_err(|error| Failed::at_target(&error))?;
    if way.parameters.is_object() {
        source.execute("migrate-set-parameters", way.parameters.clone()).map_err(at_source)?;
    }
    let stopped = if kvm {
        None
    } else {
        let stopped = Instant::now();
        source.execute("stop", json!({})).map_err(at_source)?;
        Some(stopped)
    };
    source.execute("migrate", json!({ "uri": way.uri })).map_err(at_source)?;
    Ok(stopped)
}

/// Waits until all of the guest has been sent; how long it stood still for that, if QEMU says.
fn await_end(source: &mut Qmp, way: &Way, end: Instant) -> Result<Option<Duration>, Failed> {
    loop {
        let state = source.execute("query-migrate", json!({})).map_err(|error| Failed::at_source(&error))?;
        let why = || state["error-desc"].as_str().unwrap_or("it does not say why").to_owned();
        match state["status"].as_str() {
            Some("completed") => return Ok(state["downtime"].as_u64().map(Duration::from_millis)),
            Some(status @ ("failed" | "cancelled")) => {
                return Err(Failed::because(format!("QEMU's migration is {status}: {}", why())));
            }
            _ if Instant::now() >= end => return Err(Failed::because("QEMU's migration takes too long".to_owned())),
            _ if way.interrupted.load(Ordering::Relaxed) => {
                return Err(Failed::because("it was interrupted".to_owned()));
            }
            _ => std::thread::sleep(PAUSE),
        }
    }
}

/// Waits until the guest has come: the one who sent it is done a moment before.
fn await_arrival(target: &mut Qmp, end: Instant) -> Result<(), Failed> {
    while target.execute("query-status", json!({})).map_err(|error| Failed::at_target(&error))?["status"] == "inmigrate"
    {
        if Instant::now() >= end {
            return Err(Failed::because("the guest was sent, and does not come in".to_owned()));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Has a guest run that has come; when it did, by QEMU's clock. One that ran before runs by itself.
fn run(target: &mut Qmp, stood_still: bool) -> Result<Option<SystemTime>, Failed> {
    let at_target = |error: QmpError| Failed::at_target(&error);
    if stood_still {
        target.execute("cont", json!({})).map_err(at_target)?;
    }
    let event = target.await_event(&["RESUME"], END_LIMIT).map_err(at_target)?;
    Ok(time_of(&event))
}

/// When QEMU says that something happened.
fn time_of(event: &Value) -> Option<SystemTime> {
    let time = &event["timestamp"];
    let (seconds, micros) = (time["seconds"].as_u64()?, time["microseconds"].as_u64()?);
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros))
}

/// Has QEMU say to the network where the guest is. That it cannot is no reason to take the guest back: it runs, and speaks.
fn announce(target: &mut Qmp) {
    let times: serde_json::Map<String, Value> =
        ANNOUNCEMENTS.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let _ = target.execute("announce-self", Value::Object(times));
}

/// Ends the target, and then has the source run on.
fn take_back(
    source: &mut Qmp,
    target: &mut Qmp,
    why: &str,
    end_target: impl FnOnce(&mut Qmp) -> bool,
) -> HandOverError {
    let why = why.to_owned();
    let given_up = give_up(source);
    if !end_target(target) {
        let (target, source_path) = (target.path().display().to_string(), source.path().display().to_string());
        return HandOverError::Unknown { why, target, source_path };
    }
    let running = given_up.and_then(|()| {
        // One that ran until the end is woken by QEMU itself when it gives up.
        if source.execute("query-status", json!({}))?["status"] != "running" {
            source.execute("cont", json!({}))?;
        }
        Ok(source.execute("query-status", json!({}))?["status"] == "running")
    });
    match running {
        Ok(true) => HandOverError::Stayed { why },
        Ok(false) => HandOverError::Lost { why: format!("{why}; the QEMU that it was in does not let it run on") },
        Err(error) => {
            HandOverError::Lost { why: if why == error.to_string() { why } else { format!("{why}; {error}") } }
        }
    }
}

/// Has the source send no more.
fn give_up(source: &mut Qmp) -> Result<(), QmpError> {
    let end = Instant::now() + END_LIMIT;
    let mut told = false;
    loop {
        let state = source.execute("query-migrate", json!({}))?;
        if matches!(state["status"].as_str(), None | Some("none" | "completed" | "failed" | "cancelled")) {
            return Ok(());
        }
        if !told {
            source.execute("migrate_cancel", json!({}))?;
            told = true;
        }
        if Instant::now() >= end {
            return Err(QmpError::Late { path: source.path().to_owned(), order: "migrate_cancel".to_owned() });
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
#[path = "hand_over_tests.rs"]
mod tests;
