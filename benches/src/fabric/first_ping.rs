//! From the request that creates a port to the first ping of its VM that is answered.

use std::time::{Duration, Instant};

use api::fabric::{Change, ChangeSet};
use model::fabric::{Key, Kind, Port};

use super::probe::Probe;
use super::report::Figure;
use super::site::{NETWORK, PINGER, Site, TARGET, TARGET_ADDRESS, TO, failed, name, parsed, resource};
use crate::Error;

/// How long a first answer may take, and how long silence after the port's end.
const LIMIT: Duration = Duration::from_secs(20);

/// Creates and deletes the port again and again. The VM is plugged in and configured: what is measured is the way of
/// the declaration, through the controller, its store and both hosts' agents, into both hosts' kernels.
pub fn measure(site: &Site, others: usize, rounds: usize) -> Result<Vec<Figure>, Error> {
    let pinger = site.lab.vm(PINGER.0)?;
    let mut probe = Probe::open(pinger.namespace(), TARGET_ADDRESS)?;
    let mut samples = Vec::new();
    for round in 0..=rounds {
        let sample = once(site, &mut probe)?;
        // The first finds caches cold and neighbours unknown.
        if round > 0 {
            samples.push(sample);
        }
    }
    let title = format!("create port -> first ping, {others} other ports");
    Ok(Figure::percentiles(&title, &samples, "ms", Some(30.0)))
}

fn once(site: &Site, probe: &mut Probe) -> Result<f64, Error> {
    let port = Port {
        host: Some(name(&site.hosts[0])?),
        device: Some(parsed(TARGET.0)?),
        mac: Some(parsed(TARGET.1)?),
        vm_network: Some(name(NETWORK)?),
        vm_subnet: Some(name(TO)?),
        addresses: vec![TARGET_ADDRESS.into()],
        ..Port::default()
    };
    let port = resource(TARGET.0, port)?;
    let (answered, began) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| probe.until_answered(LIMIT));
        // The first requests find nobody: they are under way before the port is.
        std::thread::sleep(Duration::from_millis(5));
        let began = Instant::now();
        let created = site.create(vec![port]);
        let answered = asking.join().map_err(|_| failed("ask")(&"a thread has panicked"))?;
        created.and_then(|_| Ok((answered?, began)))
    })?;
    let answered =
        answered.ok_or_else(|| failed("reach the VM")(&format!("no answer within {} s", LIMIT.as_secs())))?;
    let key = Key::new(Kind::Port, None, name(TARGET.0)?);
    let changes = vec![Change::Delete { key, revision: None }];
    site.client
        .change(&ChangeSet { changes, ..ChangeSet::default() })
        .map_err(|error| failed("delete the port")(&error))?;
    let end = Instant::now() + LIMIT;
    let mut silent = 0;
    while silent < 20 {
        silent = if probe.ask()? { 0 } else { silent + 1 };
        if Instant::now() > end {
            return Err(failed("take the port away")(&"its VM still answers"));
        }
    }
    Ok(answered.saturating_duration_since(began).as_secs_f64() * 1e3)
}
