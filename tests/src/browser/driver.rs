//! A headless Chromium and its chromedriver in a node of a lab, or on this machine, spoken to as W3C's WebDriver says.
//!
//! WebDriver is JSON over HTTP, and one request at a time is all that a story needs: a crate for it would bring a second
//! HTTP client, and none of them speaks out of a network namespace.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lab::Node;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stage::eventually;

/// How long a start may take: of the driver, of the browser, of one command.
const LIMIT: Duration = Duration::from_secs(60);

/// How Chromium is started. What it does beside showing pages (looking for updates, filling caches) would only disturb.
const ARGUMENTS: [&str; 14] = [
    "--headless=new",
    "--no-sandbox", // it refuses to have one as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-proxy-server",
];

/// What WebDriver complains of: its word for the error, and its sentence.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The error's name, as in "stale element reference" (W3C WebDriver, section 6.6).
    pub error: String,
    /// What it says.
    pub message: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.error, self.message)
    }
}

/// A browser with its driver. Both end when this goes.
pub struct Driver {
    node: Option<Node>,
    child: Child,
    port: u16,
    /// The way to the session; empty until there is one.
    session: String,
    folder: TempDir,
}

impl Driver {
    /// Starts both, in a node or else on this machine.
    #[track_caller]
    pub fn start(node: Option<&Node>) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let said = folder.path().join("chromedriver.said");
        let output = File::create(&said).expect("a scratch file");
        let errors = output.try_clone().expect("a second handle of a file");
        let mut command = node.map_or_else(|| Command::new("chromedriver"), |node| node.command("chromedriver"));
        let log = folder.path().join("chromedriver.log");
        let child = command
            .args(["--port=0", &format!("--log-path={}", log.display())])
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run chromedriver ({error}); \"scripts/tools test\" installs it"));
        let mut driver = Self { node: node.cloned(), child, port: 0, session: String::new(), folder };
        let started = eventually(LIMIT, || {
            driver.port = port(&fs::read_to_string(&said).unwrap_or_default()).unwrap_or_default();
            driver.port != 0
        });
        assert!(started, "chromedriver names no port: {}", fs::read_to_string(&said).unwrap_or_default());
        driver.begin();
        driver
    }

    /// Has the browser started.
    #[track_caller]
    fn begin(&mut self) {
        let profile = self.folder.path().join("profile");
        let mut arguments: Vec<String> = ARGUMENTS.iter().map(|&argument| argument.to_owned()).collect();
        arguments.push(format!("--user-data-dir={}", profile.display()));
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            // The controller's authority is its own, which no browser knows.
            "acceptInsecureCerts": true,
            // A dialog that nobody expects is an error of whatever comes next.
            "unhandledPromptBehavior": "ignore",
            "timeouts": { "pageLoad": 60_000, "script": 60_000 },
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": arguments },
        } } });
        let begun = self.ask("POST", "/session", &wanted).unwrap_or_else(|error| panic!("no browser starts: {error}"));
        let id = begun["sessionId"].as_str().unwrap_or_else(|| panic!("a session without a name: {begun}"));
        self.session = format!("/session/{id}");
    }

    /// One command to the session: `POST` with this body to its path.
    ///
    /// # Errors
    /// What the driver refuses.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Refusal> {
        self.ask("POST", &format!("{}{path}", self.session), body)
    }

    /// One question to the session.
    ///
    /// # Errors
    /// See [`Self::post`].
    pub fn get(&self, path: &str) -> Result<Value, Refusal> {
        self.ask("GET", &format!("{}{path}", self.session), &Value::Null)
    }

    /// A command of the DevTools protocol, for what WebDriver has no word for.
    #[track_caller]
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.post("/goog/cdp/execute", &body).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// What was written beside the story: the driver's log and what it said.
    pub fn logs(&self) -> Vec<PathBuf> {
        ["chromedriver.log", "chromedriver.said"].iter().map(|name| self.folder.path().join(name)).collect()
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, Refusal> {
        let lost = |error: io::Error| Refusal { error: "no answer".to_owned(), message: format!("{path}: {error}") };
        let answer = self.exchange(method, path, body).map_err(lost)?;
        let value = answer.get("value").cloned().unwrap_or_default();
        match value.get("error").and_then(Value::as_str) {
            Some(error) => {
                let message = value["message"].as_str().unwrap_or_default();
                Err(Refusal { error: error.to_owned(), message: message.to_owned() })
            }
            None => Ok(value),
        }
    }

    /// One request of HTTP/1.1, whose connection ends with the answer (RFC 9112).
    fn exchange(&self, method: &str, path: &str, body: &Value) -> io::Result<Value> {
        let mut stream = self.connect()?;
        stream.set_read_timeout(Some(LIMIT * 2))?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.port,
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
        read_answer(&mut stream)
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        match &self.node {
            Some(node) => node.namespace().run(connect).map_err(io::Error::other)?,
            None => connect(),
        }
    }
}

/// The port in "ChromeDriver was started successfully on port 41234."
fn port(said: &str) -> Option<u16> {
    said.split_once("successfully on port ")?.1.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Reads an answer: its head, then as many bytes as that says.
fn read_answer(stream: &mut TcpStream) -> io::Result<Value> {
    let mut bytes = Vec::new();
    let mut piece = [0; 65_536];
    loop {
        if let Some(body) = whole_body(&bytes) {
            return serde_json::from_slice(body).map_err(io::Error::other);
        }
        match stream.read(&mut piece)? {
            0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, String::from_utf8_lossy(&bytes))),
            read => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

/// The body, if all of it is there.
fn whole_body(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok())?;
    bytes[end + 4..].get(..length)
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // The browser ends itself, with all of its processes; what does not is ended below.
            let _ = self.ask("DELETE", &self.session, &Value::Null);
        }
        let _ = killpg(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGKILL);
        let _ = self.child.wait();
        let gone = eventually(Duration::from_secs(10), || processes_of(self.folder.path()).is_empty());
        if !gone {
            for process in processes_of(self.folder.path()) {
                let _ = kill(process, Signal::SIGKILL);
            }
        }
    }
}

/// The processes whose command line names a folder that is ours alone.
fn processes_of(folder: &Path) -> Vec<Pid> {
    let name = folder.as_os_str().as_encoded_bytes();
    let ours = |entry: fs::DirEntry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        line.windows(name.len()).any(|part| part == name).then(|| Pid::from_raw(pid))
    };
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(ours).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_when_all_of_it_is_there() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"value\":null}";
        assert_eq!(whole_body(text), Some(&b"{\"value\":null}"[..]));
        assert_eq!(whole_body(&text[..text.len() - 1]), None);
        assert_eq!(whole_body(b"HTTP/1.1 200 OK\r\nContent-"), None);
    }

    #[test]
    fn the_port_is_read_out_of_what_the_driver_says() {
        let said = "Starting ChromeDriver 156.0 on port 0\nChromeDriver was started successfully on port 36443.\n";
        assert_eq!(port(said), Some(36443));
        assert_eq!(port("Starting ChromeDriver 156.0 on port 0\n"), None);
    }
}
