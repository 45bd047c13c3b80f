//! TCP streams by iperf3, as its clients do it: from guest to guest, and the sizes of frames on the way.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use lab::Node;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::pcap::Capture;
use super::scene::{GUEST, GUEST_ADDRESS, LIMIT, OTHER_GUEST, Scene};
use crate::Error;

/// How long an iperf3 may take beyond its stream.
const BEYOND: Duration = Duration::from_secs(60);
/// For how long frames are looked at, in each place.
const LOOK: Duration = Duration::from_secs(1);
/// How long a stream would last that is ended when enough was seen, in seconds.
const LONG: u64 = 60;

/// An iperf3 that sends.
pub(super) struct Stream {
    child: Child,
    end: Instant,
}

impl Stream {
    /// Begins one from a node to the guest, for so long.
    pub(super) fn start(from: &Node, seconds: u64) -> Result<Self, Error> {
        let started = from
            .command("iperf3")
            .args(["-J", "-c", GUEST_ADDRESS, "-t", &seconds.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let child = started.map_err(|source| Error::Socket { action: "run iperf3", source })?;
        Ok(Self { child, end: Instant::now() + Duration::from_secs(seconds) + BEYOND })
    }

    /// Ends it before its time; Mbit/s over all that time, or nothing if it had ended by itself, which it does when its
    /// connection breaks, or when nothing was carried at the end.
    pub(super) fn stop(mut self) -> Result<Option<f64>, Error> {
        let ended = self.child.try_wait().map_err(|source| Error::Socket { action: "wait for iperf3", source })?;
        // Until it is waited for, the number is not another process's.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT);
        let report = self.finish()?;
        let intervals = report["intervals"].as_array().cloned().unwrap_or_default();
        let of = |interval: &Value, field: &str| interval["sum"][field].as_f64().unwrap_or_default();
        let lasts = intervals.iter().rev().take(2).any(|interval| of(interval, "bytes") > 0.0);
        let sum = |field| intervals.iter().map(|interval| of(interval, field)).sum::<f64>();
        Ok((ended.is_none() && lasts).then(|| sum("bytes") * 8.0 / 1e6 / sum("seconds")))
    }

    /// Its report, when it has ended.
    pub(super) fn finish(mut self) -> Result<Value, Error> {
        // What it prints is read beside, so that a long report does not hold it up.
        let output = self.child.stdout.take();
        let reading = std::thread::spawn(move || output.map(std::io::read_to_string));
        loop {
            let ended = self.child.try_wait().map_err(|source| Error::Socket { action: "wait for iperf3", source })?;
            if ended.is_some() {
                break;
            }
            if Instant::now() >= self.end {
                let _ = self.child.kill();
                let _ = self.child.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let text = reading.join().map_err(|_| Error::Panic)?;
        let text = text.and_then(Result::ok).unwrap_or_default();
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }
}

/// Has the guest listen for streams, for good.
pub(super) fn listen(scene: &Scene) -> Result<(), Error> {
    let script = "pidof iperf3 >/dev/null || setsid iperf3 -s >/dev/null 2>&1 </dev/null & \
                  for i in $(seq 50); do netstat -ltn | grep -q :5201 && exit 0; sleep 0.2; done; exit 1";
    scene.lab.vm(GUEST)?.output(&["sh", "-c", script], LIMIT)?.ok()?;
    Ok(())
}

/// Mbit/s that arrive from guest to guest.
pub(super) fn between_guests(scene: &Scene, seconds: u64) -> Result<f64, Error> {
    listen(scene)?;
    let command = format!("iperf3 -J -c {GUEST_ADDRESS} -t {seconds}");
    let words: Vec<&str> = command.split_whitespace().collect();
    let output = scene.lab.vm(OTHER_GUEST)?.output(&words, Duration::from_secs(seconds) + BEYOND)?;
    let report: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    received(&report).ok_or(Error::Silence)
}

/// What a report says of what has arrived, in Mbit/s.
fn received(report: &Value) -> Option<f64> {
    Some(report["end"]["sum_received"]["bits_per_second"].as_f64()? / 1e6).filter(|rate| *rate > 0.0)
}

/// Sizes of the frames of a stream from guest to guest, at one device: the median, and the largest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Sizes {
    /// The middle one, in bytes.
    pub median: u32,
    /// The largest.
    pub largest: u32,
    /// How many there were.
    pub count: usize,
}

/// Where frames are looked at: the sending guest's tap, its host's uplink, the receiving guest's tap.
pub(super) const PLACES: usize = 3;

/// Sizes at the three places, one after the other while one stream lasts.
pub(super) fn frames(scene: &Scene) -> Result<[Option<Sizes>; PLACES], Error> {
    listen(scene)?;
    let stream = Stream::start(&scene.lab.vm(OTHER_GUEST)?, LONG)?;
    std::thread::sleep(LOOK);
    let mut sizes = [None; PLACES];
    let places = [
        (scene.host(0), OTHER_GUEST, "ether src 06:06:00:00:00:06 and tcp"),
        (scene.host(0), "eth0", "outbound and greater 200"),
        (scene.host(1), GUEST, "ether dst 06:06:00:00:00:07 and tcp"),
    ];
    for (place, (host, device, filter)) in places.into_iter().enumerate() {
        let path = scene.lab.folder().join(format!("{device}.pcap"));
        let capture = Capture::start(host, device, filter, path)?;
        std::thread::sleep(LOOK);
        let mut lengths: Vec<u32> = capture.finish()?.into_iter().map(|seen| seen.length).collect();
        lengths.sort_unstable();
        let middle = lengths.get(lengths.len() / 2).copied();
        let largest = lengths.last().copied();
        sizes[place] = middle.zip(largest).map(|(median, largest)| Sizes { median, largest, count: lengths.len() });
    }
    drop(stream);
    Ok(sizes)
}

impl Drop for Stream {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
