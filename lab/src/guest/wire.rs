//! What is said over a port between `netvirt lab exec` on the machine and the program `guest/agent.rs` in a guest.
//!
//! A port is a byte stream that outlives those who speak over it: whoever comes finds what others left. So both begin
//! with words of [`GREETING_LENGTH`] bytes that are looked for in what arrives; what is before them is nobody's. The
//! client greets with [`HELLO`] and a number of its own choice, the guest answers with [`WELCOME`] and the same number.
//! From there on each side sends frames: a byte of [`Kind`], the length of the rest in four bytes, the rest.
//!
//! This file is compiled into both sides, and into the guest's without any crate.

use std::io::{self, Read};

/// Begins what a client says. No frame begins with its first byte.
pub const HELLO: [u8; 8] = *b"NVHELLO1";
/// Begins the guest's answer.
pub const WELCOME: [u8; 8] = *b"NVREADY1";
/// How long a greeting is: the word, and a number that tells one client's from another's.
pub const GREETING_LENGTH: usize = 16;

/// Longest rest of a frame. With its head it fits into the 32 KiB that a virtio-serial port takes in one write, so that
/// frames of several threads do not mix.
pub const MAX_PAYLOAD: usize = 16 * 1024;

/// Name of a port in the guest; a number follows.
pub const PORT_NAME: &str = "netvirt.exec.";

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// To the guest: a command, its words ended by zero bytes each.
    Run = b'x',
    /// To the guest: what the command reads; nothing is the end of it. One is sent, then [`Kind::Taken`] is waited for,
    /// so that a command that does not read holds nothing up.
    Stdin = b'i',
    /// To the guest: the number of a signal for the command and what it started.
    Signal = b's',
    /// From the guest: what was sent to the command's input was taken.
    Taken = b'a',
    /// From the guest: a signal was handed to the command. Who hears nothing knows that nobody is there.
    Signalled = b't',
    /// From the guest: what the command printed.
    Stdout = b'o',
    /// From the guest: what the command complained about.
    Stderr = b'e',
    /// From the guest: why the command cannot be run, in words.
    Refused = b'f',
    /// From the guest: the command has ended; its exit code, or 128 and the number of the signal that ended it, in four
    /// bytes.
    Ended = b'q',
}

impl Kind {
    /// All kinds.
    const ALL: [Self; 9] = [
        Self::Run,
        Self::Stdin,
        Self::Signal,
        Self::Taken,
        Self::Signalled,
        Self::Stdout,
        Self::Stderr,
        Self::Refused,
        Self::Ended,
    ];

    /// The kind that a byte stands for.
    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// The greeting of one side.
pub fn greeting(word: [u8; 8], number: [u8; 8]) -> [u8; GREETING_LENGTH] {
    let mut bytes = [0; GREETING_LENGTH];
    bytes[..8].copy_from_slice(&word);
    bytes[8..].copy_from_slice(&number);
    bytes
}

/// A frame's bytes. A rest that is too long is cut, which callers avoid.
pub fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(MAX_PAYLOAD)];
    let mut bytes = Vec::with_capacity(5 + payload.len());
    bytes.push(kind as u8);
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// What was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// A frame.
    Frame(Kind, Vec<u8>),
    /// A byte that begins no frame: somebody else greets, or what came is damaged. It is the first byte of what follows.
    Stranger(u8),
}

/// Reads a frame.
///
/// # Errors
/// When the stream ends or cannot be read.
pub fn read_frame(from: &mut impl Read) -> io::Result<Heard> {
    let mut first = [0];
    from.read_exact(&mut first)?;
    let Some(kind) = Kind::of(first[0]) else {
        return Ok(Heard::Stranger(first[0]));
    };
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_PAYLOAD {
        return Ok(Heard::Stranger(first[0]));
    }
    let mut payload = vec![0; length];
    from.read_exact(&mut payload)?;
    Ok(Heard::Frame(kind, payload))
}
