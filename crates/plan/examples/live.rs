//! Measures what a change costs on a host that knows many records: `cargo run --release -p plan --example live`, with the
//! number of records as argument (100,000 without one).

use std::collections::BTreeMap;
use std::error::Error;
use std::net::Ipv4Addr;
use std::time::Duration;

use model::{
    Change, CustomerRoute, Intent, LookupRecord, LookupRecordType, MacAddress, Port, ProviderAddress, Resource,
    TranslationMethod, Vsid,
};
use plan::{Facts, Link, LinkKind, Live, Settings};

/// How often each change is made and taken back again.
const ROUNDS: usize = 1000;
/// How many hosts the records are spread over.
const HOSTS: u32 = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let records: u32 = std::env::args().nth(1).map_or(Ok(100_000), |number| number.parse())?;
    let mut resources = underlay()?;
    resources.extend((0..records).map(record).collect::<Result<Vec<_>, _>>()?);
    let (again, all) = (resources.clone(), resources.clone());
    let (intent, took) = timed(|| Intent::new(again));
    let intent = intent.map_err(|errors| format!("{errors:?}"))?;
    say(&format!("check {records} records"), took);
    let (mut live, took) = timed(|| Live::new(intent, facts(), Settings::default()));
    say("make all tables", took);
    let (_, took) = timed(|| plan::diff(&plan::HostTables::default(), live.tables()));
    say("compare them with empty ones", took);
    let mut cold = Live::new(Intent::default(), facts(), Settings::default());
    let (update, took) = timed(|| cold.update(all.into_iter().map(Change::Set)));
    drop(update.map_err(|errors| format!("{errors:?}"))?);
    say("the same as one change of an empty host", took);

    let new = record(records)?;
    let port = port(records)?;
    rounds(&mut live, "one record", &[Change::Set(new.clone())], &[Change::Delete(new.key())])?;
    let there = [Change::Set(new.clone()), Change::Set(port.clone())];
    let gone = [Change::Delete(new.key()), Change::Delete(port.key())];
    rounds(&mut live, "one record and its port", &there, &gone)?;
    let moved = record(7)?;
    let mut elsewhere = moved.clone();
    if let Resource::LookupRecord(record) = &mut elsewhere {
        record.provider_address = Ipv4Addr::new(192, 168, 4, 253).into();
    }
    rounds(
        &mut live,
        "one VM moves to a host that nobody else is on",
        &[Change::Set(elsewhere)],
        &[Change::Set(moved)],
    )?;
    devices(&mut live, &there)?;
    Ok(())
}

/// A port's device comes and goes.
fn devices(live: &mut Live, there: &[Change]) -> Result<(), Box<dyn Error>> {
    let update = live.update(there.iter().cloned()).map_err(|errors| format!("{errors:?}"))?;
    live.settle(&update);
    let link = Link { ifindex: 77, mtu: 1500, up: true, kind: LinkKind::Tap, mac: None, addresses: vec![] };
    let (_, took) = timed(|| {
        for _ in 0..ROUNDS {
            for link in [Some(link.clone()), None] {
                let update = live.observe("tap".parse().map(|name| (name, link)));
                live.settle(&update);
            }
        }
    });
    say("one device appears or goes", took / (2 * ROUNDS as u32));
    Ok(())
}

/// Makes a change and its reverse many times, and says how long one of them takes.
fn rounds(live: &mut Live, what: &str, there: &[Change], back: &[Change]) -> Result<(), Box<dyn Error>> {
    let mut slowest = Duration::ZERO;
    let begun = now();
    for _ in 0..ROUNDS {
        for changes in [there, back] {
            let (update, took) = timed(|| live.update(changes.iter().cloned()));
            live.settle(&update.map_err(|errors| format!("{errors:?}"))?);
            slowest = slowest.max(took);
        }
    }
    say(&format!("{what} (the slowest took {slowest:?})"), now().saturating_sub(begun) / (2 * ROUNDS as u32));
    Ok(())
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

fn facts() -> Facts {
    let addresses = "192.168.4.11/24".parse().into_iter().collect();
    let uplink = Link { ifindex: 2, mtu: 1600, up: true, kind: LinkKind::Other, mac: None, addresses };
    let links: BTreeMap<_, _> = "eth0".parse().map(|name| (name, uplink)).into_iter().collect();
    Facts { links, slots: BTreeMap::new() }
}

fn underlay() -> Result<Vec<Resource>, Box<dyn Error>> {
    Ok(vec![
        Resource::ProviderAddress(ProviderAddress {
            address: "192.168.4.11".parse()?,
            interface: "eth0".parse()?,
            prefix_length: 24,
        }),
        Resource::CustomerRoute(CustomerRoute {
            rdid: "11111111-2222-3333-4444-000000005001".parse()?,
            vsid: Vsid::new(5001)?,
            prefix: "10.0.0.0/8".parse()?,
            next_hop: "0.0.0.0".parse()?,
            metric: 0,
        }),
    ])
}

fn mac(number: u32) -> Result<MacAddress, Box<dyn Error>> {
    let [a, b, c, d] = number.to_be_bytes();
    Ok(MacAddress::new([0x06, 0x06, a, b, c, d])?)
}

fn record(number: u32) -> Result<Resource, Box<dyn Error>> {
    let host = 12 + number % HOSTS;
    Ok(Resource::LookupRecord(LookupRecord {
        vsid: Vsid::new(5001)?,
        customer_address: Some(Ipv4Addr::from_bits(0x0a00_0100 + number).into()),
        mac: mac(number)?,
        provider_address: Ipv4Addr::from_bits(0xc0a8_0400 + host).into(),
        rule: TranslationMethod::Encap,
        record_type: LookupRecordType::Static,
        vm_name: Some(format!("vm{number}")),
        customer_id: None,
        context: None,
        security_groups: Vec::new(),
    }))
}

fn port(number: u32) -> Result<Resource, Box<dyn Error>> {
    Ok(Resource::Port(Port::new("new".parse()?, "tap".parse()?, mac(number)?, Some(Vsid::new(5001)?))))
}
