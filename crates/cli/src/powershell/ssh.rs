//! The way to the agent of another host: a socket here that ssh leads to the one there. Who may use it is ssh's to decide.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The agent's socket on a host of its own.
const REMOTE: &str = "/run/netvirt/agent.sock";
/// How long ssh may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What `env` says of a program that is not there.
const NOT_FOUND: i32 = 127;
const INSTEAD: &str = "install an ssh client, or name the agent's socket in the hosts file";

/// A tunnel; it ends when it is dropped.
pub struct Tunnel {
    ssh: Child,
    folder: PathBuf,
    socket: PathBuf,
}

impl Tunnel {
    /// A tunnel to `[USER@]HOST[:PORT][/PATH]`, PATH being the agent's socket there.
    ///
    /// # Errors
    /// In a sentence.
    pub fn open(target: &str) -> Result<Self, String> {
        let (login, remote) = match target.find('/') {
            Some(slash) => (&target[..slash], target[slash..].to_owned()),
            None => (target, REMOTE.to_owned()),
        };
        let (login, port) = port_of(login)?;
        if login.is_empty() || login.starts_with('-') {
            return Err(format!("\"ssh://{target}\" names no host; write ssh://[USER@]HOST[:PORT]"));
        }
        let folder = std::env::temp_dir().join(format!("netvirt-{}-{}", std::process::id(), remote_id()));
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let socket = folder.join("agent.sock");
        // Ctrl-C at the prompt is for the command, not for the way to the host: ssh leaves what is ignored so.
        let mut command = Command::new("env");
        command.args([
            "--ignore-signal=INT",
            "ssh",
            "-N",
            "-T",
            "-o",
            "BatchMode=yes",
            "-o",
            "ExitOnForwardFailure=yes",
            "-o",
            "ConnectTimeout=10",
        ]);
        if let Some(port) = port {
            command.args(["-p", &port.to_string()]);
        }
        command.arg("-L").arg(format!("{}:{remote}", socket.display())).arg("--").arg(login);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let ssh = command.spawn().map_err(|error| {
            let _ = std::fs::remove_dir_all(&folder);
            format!("cannot run ssh: {error}; {INSTEAD}")
        })?;
        let mut tunnel = Self { ssh, folder, socket };
        tunnel.wait(target)?;
        Ok(tunnel)
    }

    /// The socket that leads there.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    fn wait(&mut self, target: &str) -> Result<(), String> {
        let began = Instant::now();
        while !self.socket.exists() {
            if let Ok(Some(ended)) = self.ssh.try_wait() {
                let mut said = String::new();
                if let Some(stderr) = &mut self.ssh.stderr {
                    // What cannot be read says nothing.
                    let _ = std::io::Read::read_to_string(stderr, &mut said);
                }
                let said = said.trim().replace('\n', "; ");
                return Err(match ended.code() {
                    Some(NOT_FOUND) => format!("cannot run ssh: {said}; {INSTEAD}"),
                    _ => format!("ssh to {target} failed: {said}"),
                });
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("ssh to {target} does not get through within {} s", PATIENCE.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        // It may have ended already, and then there is nothing to end.
        let _ = self.ssh.kill();
        let _ = self.ssh.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A host and the port behind it; an IPv6 address has brackets around it when there is one.
fn port_of(login: &str) -> Result<(String, Option<u16>), String> {
    let number = |text: &str| text.parse().map_err(|_| format!("\"{text}\" is no port; write 1 to 65535"));
    let (user, host) = login.rsplit_once('@').map_or(("", login), |(user, host)| (user, host));
    let (host, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').map(number).transpose()?),
        None => match host.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(number(port)?)),
            _ => (host, None),
        },
    };
    Ok((if user.is_empty() { host.to_owned() } else { format!("{user}@{host}") }, port))
}

/// A number that no other tunnel of this process has.
fn remote_id() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::port_of;

    #[test]
    fn targets_have_users_and_ports() {
        for (text, login, port) in [
            ("h1", "h1", None),
            ("root@h1:2222", "root@h1", Some(2222)),
            ("192.168.4.11", "192.168.4.11", None),
            ("fd00::1", "fd00::1", None),
            ("root@[fd00::1]:22", "root@fd00::1", Some(22)),
        ] {
            assert_eq!(port_of(text), Ok((login.to_owned(), port)), "{text}");
        }
        assert!(port_of("h1:x").is_err() && port_of("[fd00::1]:99999").is_err());
    }
}
