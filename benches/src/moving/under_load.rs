//! Moves under load: what is lost, for how long the guest stands still, and how soon others hear it again.

use std::collections::HashSet;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use lab::Node;
use serde::Serialize;

use super::pcap::{Capture, Seen};
use super::scene::{GUEST_ADDRESS, GUEST_MAC, PEER, Scene};
use super::streams::{self, Stream};
use crate::Error;

/// How long the load runs before the first move, and after each.
const REST: Duration = Duration::from_secs(2);
/// How long a stream would last for each move, in seconds; it is ended with the last.
const PER_MOVE: u64 = 60;
/// Pings that are sent so shortly before the guest stands still may not be answered any more: it is busy with a stream.
const SHORTLY: Duration = Duration::from_millis(100);

/// What was seen of one move.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// For how long the guest stood still, in milliseconds: from QEMU's event STOP at the source to RESUME at the target.
    pub pause: f64,
    /// From RESUME to the first frame of the guest that the other VM has, in milliseconds. None if none came.
    pub first: Option<f64>,
    /// Pings sent while it stood still that were not answered.
    pub lost_in_pause: usize,
    /// The same, sent shortly before.
    pub lost_before: usize,
    /// The same, sent after it ran again.
    pub lost_after: usize,
    /// Pings sent while it stood still that were answered.
    pub late: usize,
}

/// What was seen of several moves under one load.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    /// Of each move.
    pub moves: Vec<Sample>,
    /// Mbit/s of the stream over all of it; none if its connection broke.
    pub stream: Option<f64>,
    /// Pings that were sent and not answered, far from any move.
    pub lost_elsewhere: usize,
    /// Pings that were sent.
    pub pings: usize,
}

/// Moves the guest so often.
pub(super) fn block(scene: &mut Scene, count: usize) -> Result<Block, Error> {
    streams::listen(scene)?;
    let peer = scene.lab.vm(PEER)?;
    let mac = GUEST_MAC.map(|byte| format!("{byte:02x}")).join(":");
    let path = scene.lab.folder().join("peer.pcap");
    let capture = Capture::start(&peer, "eth0", &format!("icmp or ether src {mac}"), path)?;
    let pings = Pings::start(&peer)?;
    let stream = Stream::start(&peer, PER_MOVE * count as u64)?;
    std::thread::sleep(REST);
    let mut times = Vec::new();
    for _ in 0..count {
        let moved = scene.go()?;
        times.extend(moved.stopped.and_then(since_1970).zip(moved.resumed.and_then(since_1970)));
        std::thread::sleep(REST);
    }
    let stream = stream.stop()?;
    drop(pings);
    // What is still on its way is not lost.
    std::thread::sleep(Duration::from_secs(1));
    Ok(judge(&capture.finish()?, &times, stream))
}

/// A hundred pings a second, until this goes.
struct Pings(Child);

impl Pings {
    fn start(from: &Node) -> Result<Self, Error> {
        let mut ping = from.command("ping");
        ping.args(["-n", "-q", "-i", "0.01", GUEST_ADDRESS])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        ping.spawn().map(Self).map_err(|source| Error::Socket { action: "run ping", source })
    }
}

impl Drop for Pings {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn since_1970(time: SystemTime) -> Option<Duration> {
    time.duration_since(SystemTime::UNIX_EPOCH).ok()
}

/// What frames say about moves that began and ended at these times.
fn judge(seen: &[Seen], times: &[(Duration, Duration)], stream: Option<f64>) -> Block {
    // Numbers begin anew after 65,536, which takes longer than a block.
    let requests: Vec<(u16, Duration)> = pings(seen, 8).collect();
    let answered: HashSet<u16> = pings(seen, 0).map(|(number, _)| number).collect();
    let mut moves = Vec::new();
    let mut near = 0;
    for (index, (stopped, resumed)) in times.iter().enumerate() {
        let next = times.get(index + 1).map_or(Duration::MAX, |(stopped, _)| stopped.saturating_sub(SHORTLY));
        let lost = |from: Duration, to: Duration| {
            requests.iter().filter(|(number, at)| *at >= from && *at < to && !answered.contains(number)).count()
        };
        let still = requests.iter().filter(|(_, at)| at >= stopped && at < resumed);
        let late = still.filter(|(number, _)| answered.contains(number)).count();
        let first = seen.iter().find(|seen| seen.at >= *resumed && seen.source() == Some(GUEST_MAC.as_slice()));
        let sample = Sample {
            pause: millis(resumed.saturating_sub(*stopped)),
            first: first.map(|seen| millis(seen.at.saturating_sub(*resumed))),
            lost_in_pause: lost(*stopped, *resumed),
            lost_before: lost(stopped.saturating_sub(SHORTLY), *stopped),
            // The last second of a block may have requests whose answers nobody waited for.
            lost_after: lost(*resumed, next.min(*resumed + REST)),
            late,
        };
        near += sample.lost_in_pause + sample.lost_before + sample.lost_after;
        moves.push(sample);
    }
    let lost = requests.iter().filter(|(number, _)| !answered.contains(number)).count();
    Block { moves, stream, lost_elsewhere: lost.saturating_sub(near), pings: requests.len() }
}

/// Numbers and times of the pings of a kind.
fn pings(seen: &[Seen], kind: u8) -> impl Iterator<Item = (u16, Duration)> {
    seen.iter().filter_map(move |seen| seen.ping().filter(|(its, _)| *its == kind).map(|(_, number)| (number, seen.at)))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
