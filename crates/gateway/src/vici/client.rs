//! A connection to charon's socket: packets, commands with their answers, events.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{Error, Section};

/// How long an answer may take. Nothing that charon is asked for here waits for another machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest packet that is taken; those of charon are bounded by 512 KiB (`vici_socket.h`).
const LONGEST: usize = 512 * 1024;

/// How many events are kept that nobody has asked for yet; the oldest go first.
const KEPT: usize = 4096;

const COMMAND: u8 = 0;
const ANSWER: u8 = 1;
const UNKNOWN_COMMAND: u8 = 2;
const REGISTER: u8 = 3;
const UNREGISTER: u8 = 4;
const CONFIRM: u8 = 5;
const UNKNOWN_EVENT: u8 = 6;
const EVENT: u8 = 7;

/// What charon told of its own accord.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Its name: `log`, `ike-updown`, `child-updown`.
    pub name: String,
    /// What it says.
    pub message: Section,
}

/// A connection to a charon. Commands wait for their answer; events that come meanwhile are kept.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    events: VecDeque<Event>,
    /// The bytes of a packet that has not come whole.
    partial: Vec<u8>,
}

/// One packet.
struct Packet {
    kind: u8,
    name: String,
    message: Section,
}

impl Client {
    /// Connects to the socket `name` in a folder. The path may be longer than a socket's address holds (108 bytes).
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(folder: &Path, name: &str) -> Result<Self, Error> {
        let failed = |source| Error::Connect { path: folder.join(name), source };
        let open = || {
            let folder = File::open(folder)?;
            let stream = UnixStream::connect(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        Ok(Self { stream: open().map_err(failed)?, events: VecDeque::new(), partial: Vec::new() })
    }

    /// Asks for the events of a name, from now on.
    ///
    /// # Errors
    /// When charon does not know them, or breaks off.
    pub fn register(&mut self, event: &str) -> Result<(), Error> {
        self.subscription(REGISTER, event)
    }

    /// Asks for one thing.
    ///
    /// # Errors
    /// When charon does not know the command, refuses it, or breaks off.
    pub fn request(&mut self, command: &str, message: &Section) -> Result<Section, Error> {
        self.send(COMMAND, Some(command), &message.encode()?, command)?;
        let answer = self.answer(command)?;
        match answer.kind {
            ANSWER => refused(command, answer.message),
            UNKNOWN_COMMAND => Err(Error::Unknown(format!("the command \"{command}\""))),
            _ => Err(Error::Garbled),
        }
    }

    /// Asks for a list, of which each item comes as an event of the name `event`.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn list(&mut self, command: &str, event: &str, message: &Section) -> Result<Vec<Section>, Error> {
        self.subscription(REGISTER, event)?;
        let answered = self.request(command, message);
        self.subscription(UNREGISTER, event)?;
        answered?;
        let (items, others): (VecDeque<_>, _) = self.events.drain(..).partition(|told| told.name == event);
        self.events = others;
        Ok(items.into_iter().map(|told| told.message).collect())
    }

    /// What has been told until now. It does not wait.
    ///
    /// # Errors
    /// When the connection is broken: charon has ended.
    pub fn events(&mut self) -> Result<Vec<Event>, Error> {
        let failed = |source| Error::Broken { command: "tell what happens".to_owned(), source };
        self.stream.set_nonblocking(true).map_err(failed)?;
        let read = self.read_all();
        self.stream.set_nonblocking(false).map_err(failed)?;
        read?;
        Ok(self.events.drain(..).collect())
    }

    fn read_all(&mut self) -> Result<(), Error> {
        while let Some(packet) = self.packet("tell what happens")? {
            self.keep(packet);
        }
        Ok(())
    }

    fn subscription(&mut self, kind: u8, event: &str) -> Result<(), Error> {
        self.send(kind, Some(event), &[], event)?;
        match self.answer(event)?.kind {
            CONFIRM => Ok(()),
            UNKNOWN_EVENT => Err(Error::Unknown(format!("the event \"{event}\""))),
            _ => Err(Error::Garbled),
        }
    }

    fn send(&mut self, kind: u8, name: Option<&str>, body: &[u8], command: &str) -> Result<(), Error> {
        let mut packet = vec![kind];
        if let Some(name) = name {
            packet.push(u8::try_from(name.len()).map_err(|_| Error::TooLong(name.to_owned()))?);
            packet.extend_from_slice(name.as_bytes());
        }
        packet.extend_from_slice(body);
        let length = u32::try_from(packet.len()).ok().filter(|length| *length as usize <= LONGEST);
        let length = length.ok_or_else(|| Error::TooLong(command.to_owned()))?;
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.append(&mut packet);
        let failed = |source| Error::Broken { command: command.to_owned(), source };
        self.stream.write_all(&bytes).map_err(failed)
    }

    /// The next packet that is no event; events before it are kept.
    fn answer(&mut self, command: &str) -> Result<Packet, Error> {
        loop {
            match self.packet(command)? {
                Some(packet) if packet.kind == EVENT => self.keep(packet),
                Some(packet) => return Ok(packet),
                None => {
                    let source = io::Error::from(io::ErrorKind::TimedOut);
                    return Err(Error::Broken { command: command.to_owned(), source });
                }
            }
        }
    }

    fn keep(&mut self, packet: Packet) {
        if packet.kind != EVENT {
            return;
        }
        if self.events.len() == KEPT {
            self.events.pop_front();
        }
        self.events.push_back(Event { name: packet.name, message: packet.message });
    }

    /// The next packet; `None` when none has come whole, without waiting or in time.
    fn packet(&mut self, command: &str) -> Result<Option<Packet>, Error> {
        let failed = |source| Error::Broken { command: command.to_owned(), source };
        loop {
            let wanted = match self.partial.first_chunk::<4>() {
                Some(length) => 4 + u32::from_be_bytes(*length) as usize,
                None => 4,
            };
            if wanted > 4 + LONGEST {
                return Err(Error::Garbled);
            }
            if self.partial.len() == wanted && wanted > 4 {
                let bytes = std::mem::take(&mut self.partial);
                return read_packet(&bytes).map(Some);
            }
            let mut chunk = vec![0; wanted.saturating_sub(self.partial.len()).max(1)];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => self.partial.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

/// Reads a packet with its length before it.
fn read_packet(bytes: &[u8]) -> Result<Packet, Error> {
    let (kind, rest) = bytes.get(4..).and_then(<[u8]>::split_first).ok_or(Error::Garbled)?;
    let (name, body) = match *kind {
        EVENT => {
            let (length, rest) = rest.split_first().ok_or(Error::Garbled)?;
            rest.split_at_checked(usize::from(*length)).ok_or(Error::Garbled)?
        }
        ANSWER => (Default::default(), rest),
        _ => Default::default(),
    };
    Ok(Packet { kind: *kind, name: String::from_utf8_lossy(name).into_owned(), message: Section::decode(body)? })
}

/// An answer, unless it says that there was no success.
fn refused(command: &str, answer: Section) -> Result<Section, Error> {
    match answer.text("success").as_deref() {
        Some("no") => {
            let reason = answer.text("errmsg").filter(|text| !text.is_empty());
            let reason = reason.unwrap_or_else(|| "it does not say why".to_owned());
            Err(Error::Refused { command: command.to_owned(), reason })
        }
        _ => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Speaks as charon does, in pieces as small as can be.
    fn charon(answers: Vec<Vec<u8>>) -> (Client, std::thread::JoinHandle<()>) {
        let (ours, mut its) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        let speaker = std::thread::spawn(move || {
            for answer in answers {
                let mut length = [0; 4];
                its.read_exact(&mut length).unwrap();
                let mut asked = vec![0; u32::from_be_bytes(length) as usize];
                its.read_exact(&mut asked).unwrap();
                answer.iter().for_each(|byte| its.write_all(&[*byte]).unwrap());
            }
        });
        (Client { stream: ours, events: VecDeque::new(), partial: Vec::new() }, speaker)
    }

    fn packet(kind: u8, name: &str, message: &Section) -> Vec<u8> {
        let mut body = vec![kind];
        if kind == EVENT {
            body.push(name.len() as u8);
            body.extend_from_slice(name.as_bytes());
        }
        body.extend(message.encode().unwrap());
        [(body.len() as u32).to_be_bytes().to_vec(), body].concat()
    }

    #[test]
    fn events_between_question_and_answer_are_kept() {
        let log = Section::new().value("msg", "retransmit 1");
        let items = [packet(EVENT, "log", &log), packet(EVENT, "list-sa", &log)].concat();
        let empty = Section::new();
        let (mut client, speaker) = charon(vec![
            packet(CONFIRM, "", &empty),
            [items, packet(ANSWER, "", &empty)].concat(),
            packet(CONFIRM, "", &empty),
        ]);
        assert_eq!(client.list("list-sas", "list-sa", &empty).unwrap(), std::slice::from_ref(&log));
        speaker.join().unwrap();
        let kept: Vec<_> = client.events.iter().map(|event| event.name.as_str()).collect();
        assert_eq!(kept, ["log"]);
        assert!(matches!(client.events(), Err(Error::Broken { .. })), "the speaker has gone");
    }

    #[test]
    fn refusals_are_told_in_charons_words() {
        let refusal = Section::new().value("success", "no").value("errmsg", "CHILD_SA config 'x' not found");
        let (mut client, speaker) =
            charon(vec![packet(ANSWER, "", &refusal), packet(UNKNOWN_COMMAND, "", &Section::new())]);
        let told = client.request("initiate", &Section::new()).unwrap_err().to_string();
        assert_eq!(told, "charon refuses to initiate: CHILD_SA config 'x' not found");
        assert!(matches!(client.request("dance", &Section::new()), Err(Error::Unknown(_))));
        speaker.join().unwrap();
    }
}
