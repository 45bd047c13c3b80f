//! Speaks QMP, by which QEMU takes orders: a JSON value a line over a unix socket (QEMU's docs/interop/qmp-spec).
//!
//! The crate `qapi` speaks it too. It brings all of QEMU's types as generated code, and no limit of time for an answer or
//! an event, which is what is needed here; what is used here are these few lines over serde_json.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::QmpError;

/// How long QEMU may take to take a caller in, or to answer an order.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How many events are kept that nobody has asked for; the oldest go first.
const KEPT_EVENTS: usize = 1024;
/// What is waited for at first, in errors.
const GREETING: &str = "greeting";

/// A connection to a QEMU. Only one can be there at a time; the next one waits.
#[derive(Debug)]
pub struct Qmp {
    path: PathBuf,
    reader: BufReader<UnixStream>,
    /// What was read of a line whose rest had not come yet.
    line: Vec<u8>,
    /// Events that came while something else was waited for.
    events: VecDeque<Value>,
}

impl Qmp {
    /// Connects to a QEMU.
    ///
    /// # Errors
    /// When nobody listens there, or what is there does not speak QMP.
    pub fn connect(path: &Path) -> Result<Self, QmpError> {
        let stream = UnixStream::connect(path)
            .map_err(|error| QmpError::Absent { path: path.to_owned(), problem: error.to_string() })?;
        let reader = BufReader::new(stream);
        let mut qmp = Self { path: path.to_owned(), reader, line: Vec::new(), events: VecDeque::new() };
        let greeting = qmp.next(GREETING, Instant::now() + ANSWER_LIMIT)?;
        if !greeting["QMP"].is_object() {
            return Err(QmpError::Strange { path: path.to_owned(), said: greeting.to_string() });
        }
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Gives an order, and what comes back.
    ///
    /// # Errors
    /// When QEMU refuses it, with QEMU's words, or does not answer within ten seconds.
    pub fn execute(&mut self, order: &str, arguments: Value) -> Result<Value, QmpError> {
        let mut asked = json!({ "execute": order });
        if arguments.as_object().is_some_and(|fields| !fields.is_empty()) {
            asked["arguments"] = arguments;
        }
        let sent = self.reader.get_mut().write_all(format!("{asked}\n").as_bytes());
        sent.map_err(|error| QmpError::of_system(&self.path, order, &error))?;
        let end = Instant::now() + ANSWER_LIMIT;
        loop {
            let mut heard = self.next(order, end)?;
            if heard["event"].is_string() {
                self.keep(heard);
            } else if let Some(error) = heard.get("error") {
                let words = error["desc"].as_str().unwrap_or_default().to_owned();
                return Err(QmpError::Refused { path: self.path.clone(), order: order.to_owned(), words });
            } else {
                return Ok(heard["return"].take());
            }
        }
    }

    /// The last event of a name that has come and was not asked for yet. Nothing is waited for, and nothing forgotten.
    pub fn seen(&self, name: &str) -> Option<Value> {
        self.events.iter().rev().find(|event| event["event"] == name).cloned()
    }

    /// Waits for an event of one of these names that has come since the connection was made and was not asked for yet.
    /// Events before it are forgotten.
    ///
    /// # Errors
    /// At the limit, and when QEMU ends.
    pub fn await_event(&mut self, names: &[&str], limit: Duration) -> Result<Value, QmpError> {
        let end = Instant::now() + limit;
        loop {
            let heard = match self.events.pop_front() {
                Some(event) => event,
                None => self.next(names.first().copied().unwrap_or_default(), end)?,
            };
            if heard["event"].as_str().is_some_and(|name| names.contains(&name)) {
                return Ok(heard);
            }
        }
    }

    fn keep(&mut self, event: Value) {
        if self.events.len() == KEPT_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// Where it takes orders.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next value; `order` is what is waited for.
    fn next(&mut self, order: &str, end: Instant) -> Result<Value, QmpError> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(QmpError::Late { path: self.path.clone(), order: order.to_owned() });
            }
            let limited = self.reader.get_ref().set_read_timeout(Some(left));
            let read = limited.and_then(|()| self.reader.read_until(b'\n', &mut self.line));
            match read {
                // A time limit that ends within a line leaves what has come of it.
                Ok(_) if self.line.ends_with(b"\n") => {
                    let line = std::mem::take(&mut self.line);
                    let said = || String::from_utf8_lossy(&line).trim_end().to_owned();
                    return serde_json::from_slice(&line)
                        .map_err(|_| QmpError::Strange { path: self.path.clone(), said: said() });
                }
                Ok(_) => return Err(QmpError::Ended { path: self.path.clone(), order: order.to_owned() }),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(QmpError::of_system(&self.path, order, &error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// What stands for QEMU says these lines, one whenever it was spoken to.
    fn talk(lines: &'static [&'static str], with: impl FnOnce(&Path)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("qmp");
        let listener = UnixListener::bind(&path).unwrap();
        let qemu = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            for said in lines {
                reader.get_mut().write_all(said.as_bytes()).unwrap();
                let mut asked = String::new();
                if reader.read_line(&mut asked).unwrap_or_default() == 0 {
                    return;
                }
            }
        });
        with(&path);
        qemu.join().unwrap();
    }

    const HELLO: &str = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\n";

    #[test]
    fn an_event_before_the_answer_is_kept() {
        let lines =
            &[HELLO, "{\"return\": {}}\n", "{\"event\": \"STOP\"}\n{\"return\": {\"status\": \"paused\"}}\n{\"ev", ""];
        talk(lines, |path| {
            let mut qmp = Qmp::connect(path).unwrap();
            assert_eq!(qmp.execute("query-status", json!({})).unwrap()["status"], "paused");
            assert_eq!(qmp.await_event(&["STOP", "SHUTDOWN"], Duration::from_secs(1)).unwrap()["event"], "STOP");
            let late = qmp.await_event(&["RESUME"], Duration::from_millis(20)).unwrap_err().to_string();
            assert!(late.contains("does not answer in time"), "{late}");
        });
    }

    #[test]
    fn a_refusal_is_told_in_qemu_s_words() {
        let lines = &[
            HELLO,
            "{\"return\": {}}\n",
            "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such device\"}}\n",
        ];
        talk(lines, |path| {
            let mut qmp = Qmp::connect(path).unwrap();
            let refused = qmp.execute("device_del", json!({"id": "x"})).unwrap_err().to_string();
            assert!(refused.contains("device_del is refused: no such device"), "{refused}");
        });
    }

    #[test]
    fn what_is_not_qmp_is_told() {
        talk(&["{\"hello\": 1}\n"], |path| {
            let refused = Qmp::connect(path).unwrap_err().to_string();
            assert!(refused.contains("which is not QMP"), "{refused}");
        });
        let absent = Qmp::connect(Path::new("/nowhere/qmp")).unwrap_err().to_string();
        assert!(absent.contains("/nowhere/qmp"), "{absent}");
    }
}
