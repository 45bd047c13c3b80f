//! Has libvirt move a VM, by its own program `virsh`: what that can do, and where its connections lead, its users know.

use std::io;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use qemu::{Moved, Pause};

use super::orders::NotMoved;

/// The program.
const VIRSH: &str = "virsh";
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// What stands for a host in the template of a connection.
const HOST: &str = "{host}";

/// A domain that goes from one libvirt to another.
pub(super) struct Domain {
    name: String,
    from: String,
    to: String,
    /// More arguments of `virsh migrate`.
    more: Vec<String>,
}

impl Domain {
    /// A domain, between the connections that a template gives for the two hosts.
    pub(super) fn new(name: &str, template: &str, from: &str, to: &str, more: &[String]) -> Self {
        let at = |host| template.replace(HOST, host);
        Self { name: name.to_owned(), from: at(from), to: at(to), more: more.to_vec() }
    }

    /// Whether it runs where it is, and the other libvirt answers.
    pub(super) fn ready(&self) -> Result<(), String> {
        if self.from == self.to {
            return Err(format!(
                "--uri {} names one connection for both hosts; write {HOST} where the host's name stands in it",
                self.to
            ));
        }
        let state = self.state(&self.from)?;
        if state != "running" {
            return Err(format!("domain {} is {state} at {}; start it", self.name, self.from));
        }
        said(&self.to, &["uri"]).map(drop)
    }

    /// The arguments that move it.
    fn arguments(&self) -> Vec<&str> {
        let own = ["-c", &self.from, "migrate", "--live", &self.name, &self.to];
        own.into_iter().chain(self.more.iter().map(String::as_str)).collect()
    }

    /// Moves it.
    pub(super) fn migrate(&self, limit: Duration) -> Result<Moved, NotMoved> {
        let began = Instant::now();
        match self.run(began + limit) {
            Ok(()) => Ok(self.moved(began.elapsed())),
            // What it says of itself is not what has become of the VM.
            Err(why) => match self.is_active_there() {
                Ok(true) if self.state(&self.to).as_deref() == Ok("running") => Ok(self.moved(began.elapsed())),
                Ok(false) => Err(self.stays(why)),
                known => {
                    let state = |uri| self.state(uri).unwrap_or_else(|error| error);
                    let (here, there) = (state(&self.from), known.map_or_else(|error| error, |_| state(&self.to)));
                    Err(NotMoved::Unknown(format!("{why} (at {}: {here}; at {}: {there})", self.from, self.to)))
                }
            },
        }
    }

    /// Its state at one of the two.
    fn state(&self, uri: &str) -> Result<String, String> {
        said(uri, &["domstate", &self.name])
    }

    /// Whether the other libvirt has it, running or not; an error if that cannot be found out.
    fn is_active_there(&self) -> Result<bool, String> {
        Ok(said(&self.to, &["list", "--name"])?.lines().any(|line| line.trim() == self.name))
    }

    /// What has become of a VM that the other libvirt does not have. It may have been suspended to be moved.
    fn stays(&self, why: String) -> NotMoved {
        match self.state(&self.from).as_deref() {
            Ok("running") => NotMoved::Stayed(why),
            Ok("paused") => match said(&self.from, &["resume", &self.name]) {
                Ok(_) => NotMoved::Stayed(why),
                Err(error) => NotMoved::Lost(format!("{why}; {error}")),
            },
            Ok(state) => NotMoved::Lost(format!("{why}; it is {state}")),
            Err(error) => NotMoved::Lost(format!("{why}; {error}")),
        }
    }

    /// Runs the move to its end; at the limit it is given up.
    fn run(&self, end: Instant) -> Result<(), String> {
        let mut command = Command::new(VIRSH);
        command.args(self.arguments()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(not_started)?;
        let mut given_up = false;
        while child.try_wait().map_err(not_started)?.is_none() {
            if Instant::now() >= end && !given_up {
                given_up = true;
                // Whether that was in time is seen by what has become of it.
                let _ = said(&self.from, &["domjobabort", &self.name]);
            }
            std::thread::sleep(PAUSE);
        }
        let output = child.wait_with_output().map_err(not_started)?;
        if output.status.success() { Ok(()) } else { Err(complaint("migrate", &output)) }
    }

    fn moved(&self, total: Duration) -> Moved {
        let job = said(&self.to, &["domjobinfo", &self.name, "--completed"]).ok();
        let pause = job.as_deref().and_then(downtime).map_or(Pause::Unknown, Pause::Counted);
        Moved { pause, total, stopped: None, resumed: None }
    }
}

/// What virsh prints of something.
fn said(uri: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(VIRSH).args(["-c", uri]).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(not_started)?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(complaint(arguments.first().copied().unwrap_or_default(), &output))
    }
}

fn complaint(verb: &str, output: &Output) -> String {
    let words = String::from_utf8_lossy(&output.stderr);
    let words = words.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let words = words.strip_prefix("error: ").unwrap_or(&words);
    format!("virsh {verb}: {}", if words.is_empty() { "it does not say why" } else { words })
}

fn not_started(error: io::Error) -> String {
    format!("cannot run {VIRSH}: {error}; is it installed? (Debian: libvirt-clients)")
}

/// For how long the domain stood still, as `virsh domjobinfo --completed` has it: `Total downtime:   21           ms`.
fn downtime(job: &str) -> Option<Duration> {
    let line = job.lines().find_map(|line| line.trim().strip_prefix("Total downtime:"))?;
    let mut words = line.split_whitespace();
    let number: u64 = words.next()?.parse().ok()?;
    match words.next()? {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_gives_both_connections() {
        let more = ["--unsafe".to_owned()];
        let domain = Domain::new("web 1", "qemu+ssh://{host}/system", "host16", "host15", &more);
        let words = domain.arguments();
        assert_eq!(
            words,
            ["-c", "qemu+ssh://host16/system", "migrate", "--live", "web 1", "qemu+ssh://host15/system", "--unsafe"]
        );
        let one = Domain::new("web", "qemu:///system", "host16", "host15", &[]).ready().unwrap_err();
        assert!(one.contains("{host}"), "{one}");
    }

    #[test]
    fn the_pause_is_read_from_what_virsh_prints() {
        let job = "Job type:         Completed   \nOperation:        Outgoing migration\nTotal downtime:   21           ms\n\
                   Downtime w/o network: 20           ms\n";
        assert_eq!(downtime(job), Some(Duration::from_millis(21)));
        assert_eq!(downtime("Job type:         None        \n"), None);
    }
}
