//! A hand-over that fails, with what stands for the two QEMUs: what they were told, in which order, and what is said of it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use super::*;

/// The MAC address of the guest.
const MAC: &str = "00:1d:d8:b7:1c:02";

/// What one of them says to an order.
enum Answer {
    Fine(Value),
    /// An event comes behind the answer.
    And(Value, &'static str),
    No,
    /// It ends instead.
    Dies,
}

/// Orders of both in the order in which they came, each as `NAME ORDER`. Questions are left out.
type Told = Arc<Mutex<Vec<String>>>;

/// What stands for a QEMU: answers by a function, until it ends.
fn stand_in(
    name: &'static str,
    told: &Told,
    mut says: impl FnMut(&str) -> Answer + Send + 'static,
) -> (PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let listener = UnixListener::bind(&path).unwrap();
    let (told, at) = (Arc::clone(told), path.clone());
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        reader.get_mut().write_all(b"{\"QMP\": {}}\n").unwrap();
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
            let asked: Value = serde_json::from_str(&line).unwrap();
            line.clear();
            let order = asked["execute"].as_str().unwrap().to_owned();
            if !order.starts_with("query") && order != "qmp_capabilities" {
                told.lock().unwrap().push(format!("{name} {order}"));
            }
            let text = match says(&order) {
                Answer::Fine(value) => format!("{}\n", json!({ "return": value })),
                Answer::And(value, event) => {
                    let event = json!({ "event": event, "timestamp": { "seconds": 7, "microseconds": 500_000 } });
                    format!("{}\n{event}\n", json!({ "return": value }))
                }
                Answer::No => format!("{}\n", json!({ "error": { "desc": "not now" } })),
                Answer::Dies => break,
            };
            reader.get_mut().write_all(text.as_bytes()).unwrap();
        }
        drop(listener);
        let _ = std::fs::remove_file(at);
    });
    (path, folder)
}

/// A source whose guest is emulated, and that hands everything over well; it counts no downtime.
fn good_source(order: &str, running: &mut bool, sent: &mut bool) -> Answer {
    match order {
        "query-kvm" => return Answer::Fine(json!({ "enabled": false, "present": false })),
        "query-status" => return Answer::Fine(json!({ "status": if *running { "running" } else { "paused" } })),
        "query-migrate" => return Answer::Fine(if *sent { json!({ "status": "completed" }) } else { json!({}) }),
        "stop" => {
            *running = false;
            return Answer::And(json!({}), "STOP");
        }
        "cont" => *running = true,
        "migrate" => *sent = true,
        _ => {}
    }
    Answer::Fine(json!({}))
}

fn source(told: &Told) -> (PathBuf, tempfile::TempDir) {
    let (mut running, mut sent) = (true, false);
    stand_in("source", told, move |order| good_source(order, &mut running, &mut sent))
}

/// A target in which the guest arrives when it is asked for the second time.
fn arriving(order: &str, asked: &mut u32) -> Answer {
    match order {
        "query-status" => {
            *asked += 1;
            Answer::Fine(json!({ "status": if *asked < 2 { "inmigrate" } else { "paused" } }))
        }
        "cont" => Answer::And(json!({}), "RESUME"),
        "quit" => Answer::Dies,
        _ => Answer::Fine(json!({})),
    }
}

fn way() -> Way {
    Way {
        uri: "unix:/nowhere".to_owned(),
        parameters: Value::Null,
        limit: Duration::from_secs(20),
        interrupted: Arc::default(),
    }
}

fn go(source: &Path, target: &Path) -> Result<Moved, HandOverError> {
    let (mut source, mut target) = (Qmp::connect(source).unwrap(), Qmp::connect(target).unwrap());
    hand_over(&mut source, &mut target, &way(), quit)
}

#[test]
fn an_emulated_guest_stands_still_and_is_woken() {
    let told = Told::default();
    let (source, _a) = source(&told);
    let mut asked = 0;
    let (target, _b) = stand_in("target", &told, move |order| arriving(order, &mut asked));
    let moved = go(&source, &target).unwrap();
    assert!(matches!(moved.pause, Pause::Measured(_)), "{moved:?}");
    assert_eq!(moved.stopped, moved.resumed);
    assert_eq!(moved.resumed, Some(SystemTime::UNIX_EPOCH + Duration::from_millis(7500)));
    let told = told.lock().unwrap().join(", ");
    assert_eq!(told, "target migrate-incoming, source stop, source migrate, target cont, target announce-self");
}

#[test]
fn a_guest_that_runs_is_not_stopped_and_no_count_is_no_zero() {
    let told = Told::default();
    let (mut running, mut sent) = (true, false);
    let (source, _a) = stand_in("source", &told, move |order| match order {
        "query-kvm" => Answer::Fine(json!({ "enabled": true, "present": true })),
        order => good_source(order, &mut running, &mut sent),
    });
    let mut asked = 0;
    let (target, _b) = stand_in("target", &told, move |order| match order {
        "migrate-incoming" => Answer::And(json!({}), "RESUME"),
        order => arriving(order, &mut asked),
    });
    let moved = go(&source, &target).unwrap();
    assert_eq!(moved.pause, Pause::Unknown);
    assert_eq!(told.lock().unwrap().join(", "), "target migrate-incoming, source migrate");
}

#[test]
fn the_target_ends_before_the_source_runs_on() {
    let told = Told::default();
    let (source, _a) = source(&told);
    let mut asked = 0;
    let (target, _b) = stand_in("target", &told, move |order| match order {
        "cont" => Answer::No,
        order => arriving(order, &mut asked),
    });
    let failed = go(&source, &target).unwrap_err();
    assert!(matches!(&failed, HandOverError::Stayed { why } if why.contains("cont is refused: not now")), "{failed}");
    let told = told.lock().unwrap().join(", ");
    assert!(told.ends_with("target cont, target quit, source cont"), "{told}");
}

#[test]
fn who_interrupts_it_has_the_guest_run_on_where_it_was() {
    let told = Told::default();
    let (mut running, mut cancelled) = (true, false);
    let (source, _a) = stand_in("source", &told, move |order| match order {
        "query-migrate" => Answer::Fine(json!({ "status": if cancelled { "cancelled" } else { "active" } })),
        "migrate_cancel" => {
            cancelled = true;
            Answer::Fine(json!({}))
        }
        order => good_source(order, &mut running, &mut false),
    });
    let (target, _b) = stand_in("target", &told, |order| arriving(order, &mut 0));
    let (mut source, mut target) = (Qmp::connect(&source).unwrap(), Qmp::connect(&target).unwrap());
    let way = way();
    way.interrupted.store(true, Ordering::Relaxed);
    let failed = hand_over(&mut source, &mut target, &way, quit).unwrap_err();
    assert!(matches!(&failed, HandOverError::Stayed { why } if why == "it was interrupted"), "{failed}");
    let told = told.lock().unwrap().join(", ");
    assert!(told.ends_with("source migrate_cancel, target quit, source cont"), "{told}");
}

#[test]
fn where_the_target_does_not_end_the_source_stands_still() {
    let told = Told::default();
    let (source, _a) = source(&told);
    let mut asked = 0;
    let (target, _b) = stand_in("target", &told, move |order| match order {
        "cont" => Answer::No,
        order => arriving(order, &mut asked),
    });
    let (mut from, mut to) = (Qmp::connect(&source).unwrap(), Qmp::connect(&target).unwrap());
    let failed = hand_over(&mut from, &mut to, &way(), |_| false).unwrap_err();
    assert!(matches!(&failed, HandOverError::Unknown { .. }), "{failed}");
    assert!(failed.to_string().contains("not certain") && failed.to_string().contains("\"cont\""), "{failed}");
    assert!(!told.lock().unwrap().contains(&"source cont".to_owned()));
}

#[test]
fn a_source_that_dies_half_way_takes_its_guest_with_it() {
    let told = Told::default();
    let (mut running, mut sent) = (true, false);
    let (source, _a) = stand_in("source", &told, move |order| match order {
        "query-migrate" => Answer::Dies,
        order => good_source(order, &mut running, &mut sent),
    });
    // It ends when the stream does.
    let (target, _b) = stand_in("target", &told, move |order| match order {
        "query-status" => Answer::Dies,
        _ => Answer::Fine(json!({})),
    });
    let failed = go(&source, &target).unwrap_err();
    assert!(matches!(&failed, HandOverError::Lost { .. }), "{failed}");
    assert!(failed.to_string().contains("runs nowhere any more"), "{failed}");
}

#[test]
fn a_source_that_dies_when_all_is_sent_does_not_matter() {
    let told = Told::default();
    let (mut running, mut sent) = (true, false);
    let (source, _a) = stand_in("source", &told, move |order| match order {
        "query-migrate" => Answer::Dies,
        order => good_source(order, &mut running, &mut sent),
    });
    let mut asked = 0;
    let (target, _b) = stand_in("target", &told, move |order| arriving(order, &mut asked));
    assert!(go(&source, &target).is_ok());
}

#[test]
fn who_is_not_ready_is_named() {
    let told = Told::default();
    let (source, _a) = source(&told);
    let (target, _b) = stand_in("target", &told, |_| Answer::Fine(json!({ "status": "running" })));
    let (mut from, mut to) = (Qmp::connect(&source).unwrap(), Qmp::connect(&target).unwrap());
    let told = ready(&mut from, &mut to, MAC).unwrap_err();
    assert!(told.contains("waits for no guest") && told.contains("-incoming defer"), "{told}");
}

#[test]
fn another_vms_qemu_is_given_no_orders() {
    let told = Told::default();
    let with = |name, mac: &'static str, status: &'static str| {
        stand_in(name, &told, move |order| match order {
            "query-status" => Answer::Fine(json!({ "status": status })),
            "query-rx-filter" => Answer::Fine(json!([{ "name": "net0", "main-mac": mac }])),
            _ => Answer::Fine(json!({})),
        })
    };
    let other = "00:1d:d8:b7:1c:03";
    for (here, there, whose) in [(MAC, other, "another-target"), (other, MAC, "another-source")] {
        let (source, _a) = with("another-source", here, "running");
        let (target, _b) = with("another-target", there, "inmigrate");
        let (mut source, mut target) = (Qmp::connect(&source).unwrap(), Qmp::connect(&target).unwrap());
        let refused = ready(&mut source, &mut target, MAC).unwrap_err();
        assert!(refused.contains(whose) && refused.contains(other) && refused.contains(MAC), "{refused}");
    }
    let (source, _a) = with("source", "00:1D:D8:B7:1C:02", "running");
    let (target, _b) = with("target", MAC, "inmigrate");
    let (mut source, mut target) = (Qmp::connect(&source).unwrap(), Qmp::connect(&target).unwrap());
    ready(&mut source, &mut target, MAC).unwrap();
}
