//! A change on its way to many agents.

use std::time::{Duration, Instant};

use model::fabric::Port;
use proto::client::Enrolment;
use proto::{Heard, HostFacts, Mirror};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use super::processor;
use super::report::Figure;
use super::site::{CONTROLLER, NETWORK, Site, TO, failed, name, resource, runtime};
use crate::Error;

/// How long all agents may take to connect, and to hear of a change.
const LIMIT: Duration = Duration::from_secs(120);

/// How often it is looked whether all agents have heard. They note the time themselves; to wake somebody for each would
/// only take from the processors that they share.
const LOOK: Duration = Duration::from_millis(1);

/// That an agent has everything up to a revision, since when.
type Has = (u64, Instant);

/// The agents, as they tell what they have.
struct Agents {
    heard: mpsc::UnboundedReceiver<Has>,
    count: usize,
}

impl Agents {
    /// Waits until each has a revision; the moments when they had it.
    fn all_have(&mut self, revision: u64) -> Result<Vec<Instant>, Error> {
        let (began, mut moments) = (Instant::now(), Vec::with_capacity(self.count));
        while moments.len() < self.count {
            match self.heard.try_recv() {
                Ok((now, at)) if now >= revision => moments.push(at),
                Ok(_) => {}
                Err(TryRecvError::Empty) if began.elapsed() < LIMIT => std::thread::sleep(LOOK),
                Err(_) => return Err(failed("hear all agents")(&"one of them is missing")),
            }
        }
        Ok(moments)
    }
}

/// Connects all agents, then changes something that all of them need, again and again: the time until each has it.
pub fn propagation(site: &Site, hosts: &[(Enrolment, HostFacts)], rounds: usize) -> Result<Vec<Figure>, Error> {
    let runtime = site.controller.run(runtime)??;
    let (hears, heard) = mpsc::unbounded_channel::<Has>();
    let began = Instant::now();
    for (enrolment, facts) in hosts {
        runtime.spawn(agent(enrolment.clone(), facts.clone(), hears.clone()));
    }
    drop(hears);
    let mut agents = Agents { heard, count: hosts.len() };
    agents.all_have(0)?;
    let count = hosts.len();
    let connected = began.elapsed().as_secs_f64();
    let mut figures = vec![Figure::single(&format!("{count} agents connect and get everything"), connected, "s", None)];
    let controller = site.controller_pid()?;
    let used = || Ok::<_, Error>([processor::used(controller)?, processor::used(std::process::id())?]);
    let (before, mut rows) = (used()?, Rows::default());
    for round in 0..rounds {
        let port = Port {
            host: Some(name(&site.hosts[1])?),
            vm_network: Some(name(NETWORK)?),
            vm_subnet: Some(name(TO)?),
            ..Port::default()
        };
        let began = Instant::now();
        let report = site.create(vec![resource(&format!("news{round}"), port)?])?;
        let answered = Instant::now();
        rows.take(began, answered, &agents.all_have(report.revision)?);
    }
    let after = used()?;
    runtime.shutdown_background();
    figures.extend(rows.figures(count));
    let whose = ["controller's", "simulated agents'"];
    for ((whose, before), after) in whose.into_iter().zip(before).zip(after) {
        let title = format!("{whose} processor time for an agent and a change, {count} agents");
        let uses = (count * rounds.max(1)) as f64;
        figures.push(Figure::single(&title, after.saturating_sub(before).as_secs_f64() * 1e6 / uses, "us", None));
    }
    Ok(figures)
}

/// Milliseconds since the request.
#[derive(Default)]
struct Rows {
    answered: Vec<f64>,
    each: Vec<f64>,
    last: Vec<f64>,
}

impl Rows {
    fn take(&mut self, began: Instant, answered: Instant, moments: &[Instant]) {
        let since = |at: Instant| at.saturating_duration_since(began).as_secs_f64() * 1e3;
        self.answered.push(since(answered));
        self.each.extend(moments.iter().copied().map(since));
        self.last.push(moments.iter().copied().map(since).fold(0.0, f64::max));
    }

    fn figures(&self, count: usize) -> Vec<Figure> {
        let row = |title: &str, samples: &[f64], goal| {
            Figure::percentiles(&format!("create port -> {title}"), samples, "ms", goal)
        };
        let mut figures = row(&format!("answered, {count} agents"), &self.answered, None);
        figures.extend(row(&format!("an agent has it, of {count}"), &self.each, Some(100.0)));
        figures.extend(row(&format!("all {count} have it"), &self.last, None));
        figures
    }
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
