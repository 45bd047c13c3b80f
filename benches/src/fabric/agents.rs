//! A change on its way to many agents.

use std::time::{Duration, Instant};

use model::fabric::Port;
use proto::client::Enrolment;
use proto::{Heard, HostFacts, Mirror};
use tokio::sync::mpsc;

use super::report::Figure;
use super::site::{CONTROLLER, NETWORK, Site, TO, failed, name, resource, runtime};
use crate::Error;

/// How long all agents may take to connect, and to hear of a change.
const LIMIT: Duration = Duration::from_secs(120);

/// That an agent has everything up to a revision, since when.
type Has = (u64, Instant);

/// Connects all agents, then changes something that all of them need, again and again: the time until each has it.
pub fn propagation(site: &Site, hosts: &[(Enrolment, HostFacts)], rounds: usize) -> Result<Vec<Figure>, Error> {
    let runtime = site.controller.run(runtime)??;
    let (heard, mut hearing) = mpsc::unbounded_channel::<Has>();
    let began = Instant::now();
    for (enrolment, facts) in hosts {
        runtime.spawn(agent(enrolment.clone(), facts.clone(), heard.clone()));
    }
    drop(heard);
    let mut next = |limit: Duration| -> Result<Has, Error> {
        let next = runtime.block_on(async { tokio::time::timeout(limit, hearing.recv()).await });
        next.ok().flatten().ok_or_else(|| failed("hear all agents")(&"one of them is missing"))
    };
    for _ in hosts {
        next(LIMIT)?;
    }
    let connected = began.elapsed().as_secs_f64();
    let (mut all, mut last) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let port = Port {
            host: Some(name(&site.hosts[1])?),
            vm_network: Some(name(NETWORK)?),
            vm_subnet: Some(name(TO)?),
            ..Port::default()
        };
        let began = Instant::now();
        let report = site.create(vec![resource(&format!("news{round}"), port)?])?;
        let mut missing = hosts.len();
        let mut latest = 0.0_f64;
        while missing > 0 {
            let (revision, at) = next(LIMIT)?;
            if revision >= report.revision {
                missing -= 1;
                let sample = at.saturating_duration_since(began).as_secs_f64() * 1e3;
                all.push(sample);
                latest = latest.max(sample);
            }
        }
        last.push(latest);
    }
    runtime.shutdown_background();
    let count = hosts.len();
    let mut figures = vec![Figure::single(&format!("{count} agents connect and get everything"), connected, "s", None)];
    let title = format!("create port -> an agent has it, of {count}");
    figures.extend(Figure::percentiles(&title, &all, "ms", Some(100.0)));
    figures.extend(Figure::percentiles(&format!("create port -> all {count} have it"), &last, "ms", None));
    Ok(figures)
}

/// An agent that acknowledges what it hears.
async fn agent(enrolment: Enrolment, facts: HostFacts, heard: mpsc::UnboundedSender<Has>) {
    let mut mirror = Mirror::default();
    let Ok(mut session) = proto::client::connect(CONTROLLER, &enrolment.identity, &facts, &mirror).await else {
        eprintln!("{} cannot connect", enrolment.host);
        return;
    };
    while let Ok(message) = session.next().await {
        let Ok(now) = mirror.hear(message) else { return };
        let Heard::Synced(revision) = now else { continue };
        let update = mirror.commit(revision);
        let at = Instant::now();
        if session.ack(update.revision).await.is_err() || heard.send((update.revision, at)).is_err() {
            return;
        }
    }
}
