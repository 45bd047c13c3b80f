//! Measures how long the kernel takes to load the programs, to take many records, and to give them back:
//! `cargo run --release -p datapath --example fill -- FOLDER [RECORDS]`, with a folder that does not exist yet in a BPF
//! file system, as root. The folder is removed again.

use std::path::Path;
use std::time::Duration;

use datapath::Datapath;
use pipeline::{Address, Record, RecordFlags, RecordKey, StationKey};
use plan::{HostTables, diff};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name a folder of a BPF file system that does not exist yet")?;
    let records: u32 = arguments.next().map_or(Ok(100_000), |number| number.parse())?;
    let folder = Path::new(&folder);
    if folder.exists() {
        return Err(format!("{} exists already; name a new folder", folder.display()).into());
    }
    let measured = measure(folder, records);
    Datapath::remove(folder)?;
    Ok(measured?)
}

fn measure(folder: &Path, records: u32) -> Result<(), datapath::Error> {
    let (datapath, took) = timed(|| Datapath::open(folder));
    say("load the programs", took);
    let mut datapath = datapath?;
    let tables = tables(records);
    let changes = diff(&HostTables::default(), &tables);
    let (done, took) = timed(|| datapath.apply(&changes));
    done?;
    say(&format!("write {} entries", changes.len()), took);
    let (now, took) = timed(|| datapath.tables());
    say("read them back", took);
    let differ = diff(&now?, &tables).len();
    println!("{differ} entries differ");
    let one = diff(&HostTables::default(), &self::tables(1));
    let (done, took) = timed(|| (0..1000).try_for_each(|_| datapath.apply(&one)));
    done?;
    say(&format!("write {} entries", one.len()), took / 1000);
    let changes = diff(&tables, &HostTables::default());
    let (done, took) = timed(|| datapath.apply(&changes));
    done?;
    say(&format!("remove {} entries", changes.len()), took);
    Ok(())
}

/// A record and a station for each of so many VMs.
fn tables(records: u32) -> HostTables {
    let mut tables = HostTables::default();
    for number in 0..records {
        let [a, b, c, d] = number.to_be_bytes();
        let mac = [6, 6, a, b, c, d];
        let provider = Address::v4([192, 168, 4, 11 + d % 200]);
        let record = Record { mac, flags: RecordFlags::NONE, ifindex: 0, groups: 0, provider };
        tables.records.insert(RecordKey { vsid: 5001, address: Address::v4([10, b, c, d]) }, record);
        tables.stations.insert(StationKey { vsid: 5001, mac, reserved: 0 }, record);
    }
    tables
}

/// How long this thread has been on a processor (schedstats of the kernel), so that what else runs is not measured.
fn now() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = now();
    let done = work();
    (done, now().saturating_sub(begun))
}

fn say(what: &str, took: Duration) {
    println!("{took:>12.1?}  {what}");
}
