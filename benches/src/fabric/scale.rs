//! What many ports cost: their declaration, the controller's memory and file, its start.

use std::time::Instant;

use model::fabric::Port;
use proto::HostFacts;
use proto::client::Enrolment;

use super::report::Figure;
use super::site::{NETWORK, Site, TO, failed, name, resource};
use crate::Error;

/// Ports in one request.
const BATCH: usize = 10_000;

/// Declares more ports, spread over the simulated hosts.
pub fn declare(site: &mut Site, hosts: &[(Enrolment, HostFacts)], count: usize) -> Result<Vec<Figure>, Error> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let (first, began) = (site.others(), Instant::now());
    let ports: Result<Vec<_>, Error> = (first..first + count)
        .map(|number| {
            let port = Port {
                host: Some(hosts[number % hosts.len()].0.host.clone()),
                vm_network: Some(name(NETWORK)?),
                vm_subnet: Some(name(TO)?),
                ..Port::default()
            };
            resource(&format!("p{number}"), port)
        })
        .collect();
    let ports = ports?;
    for batch in ports.chunks(BATCH) {
        site.create(batch.to_vec())?;
    }
    let seconds = began.elapsed().as_secs_f64();
    site.add_others(count);
    let title = format!("declare {count} ports beside {first}, {BATCH} a request");
    Ok(vec![Figure::single(&title, seconds, "s", None)])
}

/// Memory and file of the controller.
pub fn memory(site: &Site) -> Result<Vec<Figure>, Error> {
    let pid = site.controller_pid()?;
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))
        .map_err(|error| failed("look at the controller's memory")(&error))?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
    let kilobytes: f64 = kilobytes.ok_or_else(|| failed("look at the controller's memory")(&"no VmRSS"))?;
    let status = site.client.status().map_err(|error| failed("ask for the status")(&error))?;
    let ports = site.others();
    Ok(vec![
        Figure::single(&format!("controller's memory with {ports} ports"), kilobytes / 1024.0, "MiB", None),
        Figure::single(&format!("its file with {ports} ports"), status.store_bytes as f64 / 1048576.0, "MiB", None),
    ])
}

/// Kills the controller; the time until it answers again.
pub fn restart(site: &mut Site) -> Result<Figure, Error> {
    site.lab.kill_controller()?;
    let began = Instant::now();
    site.lab.start_controller()?;
    let title = format!("start of the controller with {} ports, until it answers", site.others());
    Ok(Figure::single(&title, began.elapsed().as_secs_f64(), "s", None))
}
