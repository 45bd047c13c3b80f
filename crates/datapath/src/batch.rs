//! Many entries of a map in one system call, for which aya has no words: the batch commands of bpf(2), in the kernel
//! since 5.6.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr;

use aya::Pod;

/// From how many entries on they are written as a batch. Fewer are not worth the copies that a batch is made of.
pub const WORTH_WHILE: usize = 16;

/// Most entries of one system call, which takes a millisecond or two. With more there is nothing left to save, and a
/// signal would wait longer.
pub const MAX: usize = 4096;

/// The commands, as numbered in `enum bpf_cmd` (`include/uapi/linux/bpf.h`).
#[derive(Clone, Copy)]
enum Command {
    Lookup = 24,
    Update = 26,
    Delete = 27,
}

/// The part of `union bpf_attr` that is about batches (the same header).
#[repr(C)]
#[derive(Default)]
struct Attributes {
    /// Where to go on, and where that will be the next time.
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    /// How many entries there are, or there is room for; of the kernel's answer, how many are done.
    count: u32,
    map: u32,
    elem_flags: u64,
    flags: u64,
}

const _: () = assert!(size_of::<Attributes>() == 56);

/// The kernel refused an entry. Those before it are done, those behind it are not.
#[derive(Debug)]
pub struct Stopped {
    /// Which of the entries, from 0 on.
    pub at: usize,
    /// Why.
    pub source: io::Error,
}

/// Writes entries, whether they are there already or not. Key and value must be those of the map.
///
/// # Errors
/// At the first entry that the kernel refuses.
pub fn update<K: Pod, V: Pod>(map: BorrowedFd, keys: &[K], values: &[V]) -> Result<(), Stopped> {
    assert_eq!(keys.len(), values.len(), "each key has a value");
    for (number, (keys, values)) in keys.chunks(MAX).zip(values.chunks(MAX)).enumerate() {
        let mut attributes = Attributes {
            keys: keys.as_ptr() as u64,
            values: values.as_ptr() as u64,
            count: keys.len() as u32,
            map: map.as_raw_fd() as u32,
            ..Attributes::default()
        };
        // SAFETY: the kernel reads `count` keys and values of the map's sizes, which the caller promises to be theirs.
        unsafe { call(Command::Update, &mut attributes) }
            .map_err(|source| Stopped { at: number * MAX + done(&attributes, keys.len()), source })?;
    }
    Ok(())
}

/// Deletes entries. That one is not there is no error. The key must be the one of the map.
///
/// # Errors
/// At the first entry that the kernel does not delete, for another reason.
pub fn delete<K: Pod>(map: BorrowedFd, keys: &[K]) -> Result<(), Stopped> {
    let mut at = 0;
    while at < keys.len() {
        let some = &keys[at..keys.len().min(at + MAX)];
        let mut attributes = Attributes {
            keys: some.as_ptr() as u64,
            count: some.len() as u32,
            map: map.as_raw_fd() as u32,
            ..Attributes::default()
        };
        // SAFETY: the kernel reads `count` keys of the map's size, which the caller promises to be theirs.
        match unsafe { call(Command::Delete, &mut attributes) } {
            Ok(()) => at += some.len(),
            Err(source) => {
                at += done(&attributes, some.len());
                // The kernel stops at what is not there.
                if source.kind() != io::ErrorKind::NotFound {
                    return Err(Stopped { at, source });
                }
                at += 1;
            }
        }
    }
    Ok(())
}

/// All entries of a hash map or an array, in no order. What comes or goes meanwhile may be missing, or be there twice. Key
/// and value must be those of the map.
///
/// # Errors
/// When the kernel does not give them.
pub fn entries<K: Pod, V: Pod>(map: BorrowedFd) -> io::Result<Vec<(K, V)>> {
    let mut all = Vec::new();
    let (mut keys, mut values) = (Vec::<K>::with_capacity(MAX), Vec::<V>::with_capacity(MAX));
    let (mut from, mut next) = (None, 0_u32);
    loop {
        let mut attributes = Attributes {
            in_batch: from.as_ref().map_or(0, |from| ptr::from_ref::<u32>(from) as u64),
            out_batch: ptr::from_mut(&mut next) as u64,
            keys: keys.as_mut_ptr() as u64,
            values: values.as_mut_ptr() as u64,
            count: MAX as u32,
            map: map.as_raw_fd() as u32,
            ..Attributes::default()
        };
        // SAFETY: there is room for `count` keys and values of the map's sizes, which the caller promises to be theirs;
        // the kernel's place in such maps is a number of four bytes.
        let result = unsafe { call(Command::Lookup, &mut attributes) };
        let count = match &result {
            Ok(()) => attributes.count as usize,
            // The last ones.
            Err(error) if error.kind() == io::ErrorKind::NotFound => attributes.count as usize,
            Err(_) => 0,
        };
        // SAFETY: so many the kernel has written, and all bytes are values of these types.
        unsafe {
            keys.set_len(count);
            values.set_len(count);
        }
        all.extend(keys.drain(..).zip(values.drain(..)));
        match result {
            Ok(()) => from = Some(next),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(all),
            Err(error) => return Err(error),
        }
    }
}

/// How many entries of so many were done before the kernel refused one. What it refuses as a whole it leaves as it was.
fn done(attributes: &Attributes, asked: usize) -> usize {
    let count = attributes.count as usize;
    if count < asked { count } else { 0 }
}

/// The system call.
///
/// # Safety
/// What `attributes` point to must be as long as the kernel takes it to be.
unsafe fn call(command: Command, attributes: &mut Attributes) -> io::Result<()> {
    // SAFETY: as the caller promises; the kernel writes nothing but what the attributes name, and the attributes.
    let answer = unsafe {
        libc::syscall(libc::SYS_bpf, command as libc::c_long, ptr::from_mut(attributes), size_of::<Attributes>())
    };
    if answer == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}
