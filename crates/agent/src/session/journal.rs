//! What the controller has said, on disk: what an agent last knew is in force after a restart, controller or not.
//!
//! One file, `topics.log`: messages as they were heard, each behind its length, the first of them the topics as they were
//! when the file was begun. It is only added to, and begun anew when what was added outweighs the rest: on a thread of its
//! own, since a network of 100,000 records takes a disk a tenth of a second, for which no change should wait. What is
//! added is with the kernel when [`Journal::add`] returns, and so survives the death of the agent; of a machine that loses
//! power the last seconds may be lost, which the controller then says again.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use proto::{Encoded, Heard, Mirror};

use super::files::{self, FileError};

/// What may be added before the file is begun anew, in bytes, however little it began with.
const MIN_ADDED: u64 = 1 << 20;
/// What may be added while it is begun anew, in bytes; with more the disk is waited for.
const MAX_MEANWHILE: usize = 1 << 20;

/// The file.
pub struct Journal {
    path: PathBuf,
    file: File,
    begun_with: u64,
    added: u64,
    /// A write failed in the middle, perhaps: what is added behind it would not be understood.
    torn: bool,
    anew: Option<Anew>,
}

/// The file that is to take the place of the present one.
struct Anew {
    thread: JoinHandle<Result<(File, u64), FileError>>,
    /// What was added to the present one meanwhile.
    meanwhile: Vec<u8>,
}

impl Journal {
    /// Reads what was said, and begins the file anew.
    ///
    /// What cannot be understood, such as an end that is cut off, is left out: the controller says it again.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(folder: &Path) -> Result<(Self, Mirror), FileError> {
        files::make_folder(folder)?;
        let path = folder.join("topics.log");
        let mirror = replay(&files::read(&path)?.unwrap_or_default());
        let (file, begun_with) = begin(&path, mirror.checkpoint())?;
        replace(&path)?;
        Ok((Self { path, file, begun_with, added: 0, torn: false, anew: None }, mirror))
    }

    /// Adds what was heard, up to a `Synced`. `mirror` is what has come of it.
    ///
    /// # Errors
    /// When the file cannot be written. The next attempt begins it anew, with all that `mirror` knows by then.
    pub fn add(&mut self, messages: &[Encoded], mirror: &Mirror) -> Result<(), FileError> {
        if self.torn {
            // Whatever the other thread has is older than this.
            let _ = self.anew.take().map(|anew| anew.thread.join());
            let (file, begun_with) = begin(&self.path, mirror.checkpoint())?;
            replace(&self.path)?;
            (self.file, self.begun_with, self.added, self.torn) = (file, begun_with, 0, false);
            return Ok(());
        }
        let is_due = |anew: &mut Anew| anew.thread.is_finished() || anew.meanwhile.len() > MAX_MEANWHILE;
        if let Some(anew) = self.anew.take_if(is_due)
            && let Err(error) = self.replace_by(anew)
        {
            tracing::warn!("{error}; {} goes on, and grows", self.path.display());
        }
        self.torn = true;
        append(&mut self.file, messages).map_err(FileError::new("write", &self.path))?;
        self.torn = false;
        self.added += messages.iter().map(framed_length).sum::<u64>();
        match &mut self.anew {
            // A vector takes everything.
            Some(anew) => messages.iter().for_each(|message| drop(frame(message, &mut anew.meanwhile))),
            None if self.added > MIN_ADDED.max(self.begun_with) => self.begin_anew(mirror),
            None => {}
        }
        Ok(())
    }

    /// Has another thread write what `mirror` knows. Without a thread the file grows, and it is tried again with what is
    /// added next.
    fn begin_anew(&mut self, mirror: &Mirror) {
        let (path, messages) = (self.path.clone(), mirror.checkpoint().collect::<Vec<_>>());
        let body = move || begin(&path, messages.into_iter());
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(body);
        self.anew = thread.ok().map(|thread| Anew { thread, meanwhile: Vec::new() });
    }

    /// Puts the new file in the place of the present one.
    fn replace_by(&mut self, Anew { thread, meanwhile }: Anew) -> Result<(), FileError> {
        // A thread that panicked has said so itself.
        let Ok(begun) = thread.join() else { return Ok(()) };
        let (mut file, begun_with) = begun?;
        file.write_all(&meanwhile).map_err(FileError::new("write", &new_path(&self.path)))?;
        replace(&self.path)?;
        (self.file, self.begun_with, self.added) = (file, begun_with, meanwhile.len() as u64);
        Ok(())
    }
}

/// A message behind its length. None has 4 GiB: gRPC takes 4 MiB at most, and a topic of a million records has 70.
fn frame(message: &Encoded, to: &mut impl Write) -> std::io::Result<()> {
    let length = u32::try_from(message.len()).unwrap_or(0);
    to.write_all(&length.to_be_bytes())?;
    to.write_all(&message.as_bytes()[..length as usize])
}

/// Adds messages to a file; large ones are not copied on the way.
fn append(file: &mut File, messages: &[Encoded]) -> std::io::Result<()> {
    let mut writer = BufWriter::new(file);
    messages.iter().try_for_each(|message| frame(message, &mut writer))?;
    writer.flush()
}

/// How long a message is behind its length.
fn framed_length(message: &Encoded) -> u64 {
    message.len() as u64 + 4
}

/// The name of the file that is to take the place of another one.
fn new_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Writes a new file and opens it for what will be added; and says how long it is.
fn begin(path: &Path, messages: impl Iterator<Item = Encoded>) -> Result<(File, u64), FileError> {
    let new = new_path(path);
    let failed = || FileError::new("write", &new);
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(failed())?;
    let mut writer = BufWriter::new(file);
    let mut length = 0;
    for message in messages {
        frame(&message, &mut writer).map_err(failed())?;
        length += framed_length(&message);
    }
    let file = writer.into_inner().map_err(|error| failed()(error.into_error()))?;
    file.sync_all().map_err(failed())?;
    Ok((file, length))
}

/// Puts the new file in the place of the present one.
fn replace(path: &Path) -> Result<(), FileError> {
    std::fs::rename(new_path(path), path).map_err(FileError::new("replace", path))
}

/// What all messages of the file come to.
fn replay(mut bytes: &[u8]) -> Mirror {
    let mut mirror = Mirror::default();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((message, rest)) = rest.split_at_checked(length) else { break };
        match mirror.hear(Encoded::from_bytes(message.to_vec())) {
            Ok(Heard::Synced(revision)) => drop(mirror.commit(revision)),
            // A topic that had to be asked for anew stands further behind; what is handed over is never written down.
            Ok(Heard::More | Heard::Resync(_) | Heard::Handover(_)) => {}
            Err(error) => {
                tracing::warn!("what the controller said last is damaged on disk, and is asked for again: {error}");
                break;
            }
        }
        bytes = rest;
    }
    mirror.reset();
    mirror
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A topic of so many ports, in the words of the protocol.
    fn heard(revision: u64, ports: u8) -> Vec<Encoded> {
        use model::{MacAddress, Port, Resource};
        let resource = |number: u8| {
            let name: model::Name = format!("port{number}").parse().unwrap();
            let mac = MacAddress::new([6, 6, 0, 0, 0, number]).unwrap();
            Resource::Port(Port::new(name.clone(), name, mac, None))
        };
        let items = (1..=ports).map(resource).collect();
        proto::snapshot(&"host/host1".parse().unwrap(), &proto::TopicContent { revision, items })
    }

    fn tell(mirror: &mut Mirror, messages: &[Encoded]) {
        for message in messages {
            if let Heard::Synced(revision) = mirror.hear(message.clone()).unwrap() {
                mirror.commit(revision);
            }
        }
    }

    #[test]
    fn what_was_heard_is_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, mut mirror) = Journal::open(folder.path()).unwrap();
        assert!(mirror.resources().is_empty());
        for ports in 1..=5 {
            let messages = heard(ports.into(), ports);
            tell(&mut mirror, &messages);
            journal.add(&messages, &mirror).unwrap();
            let (_, again) = Journal::open(folder.path()).unwrap();
            assert_eq!((again.resources(), again.revision()), (mirror.resources(), Some(ports.into())));
            // Opening has replaced the file under the journal; as after a restart, it goes on with the new one.
            (journal, mirror) = Journal::open(folder.path()).unwrap();
        }
    }

    #[test]
    fn an_end_that_is_cut_off_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, mut mirror) = Journal::open(folder.path()).unwrap();
        for ports in 1..=2 {
            let messages = heard(ports.into(), ports);
            tell(&mut mirror, &messages);
            journal.add(&messages, &mirror).unwrap();
        }
        drop(journal);
        let path = folder.path().join("topics.log");
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let (_, known) = Journal::open(folder.path()).unwrap();
            assert!(known.resources().len() < 2, "cut at {length}");
        }
        std::fs::write(&path, b"\0\0\0\x05nonsense").unwrap();
        assert!(Journal::open(folder.path()).unwrap().1.resources().is_empty());
    }

    #[test]
    fn what_comes_after_a_full_disk_is_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, mut mirror) = Journal::open(folder.path()).unwrap();
        let path = folder.path().join("topics.log");
        for ports in 1..=3 {
            let messages = heard(ports.into(), ports);
            tell(&mut mirror, &messages);
            if ports == 2 {
                // A part of it was written when the disk was full.
                std::fs::write(&path, b"\0\0\x01\0part").unwrap();
                journal.file = File::options().append(true).open("/dev/full").unwrap();
                assert!(journal.add(&messages, &mirror).unwrap_err().to_string().contains("topics.log"));
            } else {
                journal.add(&messages, &mirror).unwrap();
            }
        }
        assert_eq!(Journal::open(folder.path()).unwrap().1.resources().len(), 3);
    }

    #[test]
    fn what_comes_while_the_file_is_begun_anew_is_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, mut mirror) = Journal::open(folder.path()).unwrap();
        let path = folder.path().join("topics.log");
        let mut anew = 0;
        for (revision, ports) in (1..).zip((1..=200).cycle().take(1200)) {
            let messages = heard(revision, ports);
            tell(&mut mirror, &messages);
            let before = journal.anew.is_some();
            journal.add(&messages, &mirror).unwrap();
            anew += usize::from(!before && journal.anew.is_some());
            if revision % 90 == 0 {
                // As a restart at this moment would find it.
                let known = replay(&std::fs::read(&path).unwrap());
                assert_eq!((known.resources(), known.revision()), (mirror.resources(), Some(revision)));
            }
        }
        assert!(anew > 1, "the file was begun anew {anew} times");
    }

    #[test]
    fn the_file_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, mut mirror) = Journal::open(folder.path()).unwrap();
        let messages = heard(1, 200);
        tell(&mut mirror, &messages);
        for _ in 0..600 {
            journal.add(&messages, &mirror).unwrap();
            let size = std::fs::metadata(folder.path().join("topics.log")).unwrap().len();
            assert!(size < 2 * MIN_ADDED + MAX_MEANWHILE as u64, "{size}");
        }
        assert_eq!(Journal::open(folder.path()).unwrap().1.resources().len(), 200);
    }
}
