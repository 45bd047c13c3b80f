//! An agent that knows nothing of a network gets all of it.

use std::time::{Duration, Instant};

use model::fabric::{Key, Kind, Port};
use proto::client::Enrolment;
use proto::{Heard, HostFacts, Mirror};

use super::report::Figure;
use super::site::{CONTROLLER, NETWORK, Site, TO, failed, name, parsed, resource, runtime};
use crate::{Error, interrupt};

/// How long it may take before it is given up.
const LIMIT: Duration = Duration::from_secs(60);

/// A real host: from the request that gives it its first port in the network to its acknowledgement, that all records
/// of the network are in its kernel's tables.
pub fn measure(site: &Site) -> Result<Figure, Error> {
    let port = Port {
        host: Some(name(&site.hosts[2])?),
        device: Some(parsed("nothing")?),
        vm_network: Some(name(NETWORK)?),
        vm_subnet: Some(name(TO)?),
        ..Port::default()
    };
    let key = Key::new(Kind::Port, None, name("cold")?);
    let began = Instant::now();
    site.create(vec![resource("cold", port)?])?;
    loop {
        interrupt::check()?;
        let item = site.client.get(&key).map_err(|error| failed("ask for the port")(&error))?;
        let waiting = item.status.realized.map_or_else(Vec::new, |realized| realized.waiting_for);
        // The simulated hosts are not there to acknowledge.
        if !waiting.iter().any(|waiting| waiting.host.as_str() == site.hosts[2]) {
            break;
        }
        if began.elapsed() > LIMIT {
            return Err(failed("fill an agent")(&format!("{waiting:?}")));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let title = format!("first port on a host -> {} records in its kernel", site.others());
    Ok(Figure::single(&title, began.elapsed().as_secs_f64(), "s", Some(1.0)))
}

/// A simulated agent: from its connection to all records decoded.
pub fn simulated(site: &Site, hosts: &[(Enrolment, HostFacts)]) -> Result<Figure, Error> {
    let Some((enrolment, facts)) = hosts.first() else {
        return Err(failed("connect an agent")(&"there is no simulated host"));
    };
    let syncing = async {
        let mut mirror = Mirror::default();
        let began = Instant::now();
        let mut session = proto::client::connect(CONTROLLER, &enrolment.identity, facts, &mirror)
            .await
            .map_err(|error| failed("connect an agent")(&error))?;
        loop {
            let message = session.next().await.map_err(|error| failed("hear the controller")(&error))?;
            if let Heard::Synced(revision) = mirror.hear(message).map_err(|error| failed("understand it")(&error))? {
                let update = mirror.commit(revision);
                return Ok::<_, Error>((update.changes.len(), began.elapsed().as_secs_f64()));
            }
        }
    };
    let (records, seconds) = site.controller.run(|| runtime()?.block_on(syncing))??;
    Ok(Figure::single(&format!("connection of an agent -> {records} resources decoded"), seconds, "s", None))
}
