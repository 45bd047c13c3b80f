//! Network namespaces, named as `ip netns` names them.
//!
//! A name is a bind mount under [`NETNS_FOLDER`], so that `ip netns list` shows ours and we open those of others. Only
//! the network namespace is ever entered: mounts stay those of the caller, therefore bpffs stays visible (`ip netns
//! exec` hides it by a fresh /sys).

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::SigSet;
use nix::unistd::setsid;

use crate::Error;
use crate::process::cover_folders;

/// Where named namespaces are.
pub const NETNS_FOLDER: &str = "/run/netns";

/// NAME_MAX of linux/limits.h: a name is a file's.
const LONGEST_NAME: usize = 255;

/// The namespace of the thread that opens it.
const OWN: &str = "/proc/thread-self/ns/net";

/// An open network namespace. It stays usable after its name was deleted.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: Option<String>,
    file: Arc<OwnedFd>,
}

impl Namespace {
    /// Creates a namespace and its name. Its loopback device is down.
    ///
    /// # Errors
    /// When the name is no legal one or is taken, or without CAP_SYS_ADMIN.
    pub fn create(name: &str) -> Result<Self, Error> {
        let path = path_of(name)?;
        let failed = |action| {
            let name = name.to_owned();
            move |source| Error::Namespace { action, name, source }
        };
        share_folder().map_err(failed("prepare /run/netns for"))?;
        match File::options().write(true).create_new(true).open(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::NamespaceExists(name.to_owned()));
            }
            Err(error) => return Err(failed("create")(error)),
        }
        // A fresh thread is the only one whose namespace may change: it ends with the mount.
        let made = on_fresh_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            mount(Some(OWN), &path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        });
        if let Err(error) = made {
            let _ = fs::remove_file(&path);
            return Err(failed("create")(error.into()));
        }
        Self::open(name)
    }

    /// Opens a namespace by its name.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn open(name: &str) -> Result<Self, Error> {
        let path = path_of(name)?;
        match File::open(&path) {
            Ok(file) => Ok(Self { name: Some(name.to_owned()), file: Arc::new(file.into()) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::NoNamespace(name.to_owned())),
            Err(source) => Err(Error::Namespace { action: "open", name: name.to_owned(), source }),
        }
    }

    /// Opens the namespace of the calling thread.
    ///
    /// # Errors
    /// When /proc is not mounted.
    pub fn current() -> Result<Self, Error> {
        let file =
            File::open(OWN).map_err(|source| Error::Namespace { action: "open", name: OWN.to_owned(), source })?;
        Ok(Self { name: None, file: Arc::new(file.into()) })
    }

    /// Deletes a name. The namespace itself ends when no process and no handle uses it any more.
    ///
    /// # Errors
    /// When there is none of this name, or without CAP_SYS_ADMIN.
    pub fn delete(name: &str) -> Result<(), Error> {
        let path = path_of(name)?;
        if !path.exists() {
            return Err(Error::NoNamespace(name.to_owned()));
        }
        let failed = |source| Error::Namespace { action: "delete", name: name.to_owned(), source };
        match umount2(&path, MntFlags::MNT_DETACH) {
            // EINVAL: a file without a mount, left by a process that died between the two steps of `create`.
            Ok(()) | Err(nix::errno::Errno::EINVAL) => {}
            Err(error) => return Err(failed(error.into())),
        }
        fs::remove_file(&path).map_err(failed)
    }

    /// Whether a namespace of this name is there.
    pub fn exists(name: &str) -> bool {
        path_of(name).is_ok_and(|path| path.exists())
    }

    /// The names of all named namespaces, sorted.
    ///
    /// # Errors
    /// When the folder is there and cannot be read.
    pub fn list() -> Result<Vec<String>, Error> {
        let failed = |source| Error::Read { path: NETNS_FOLDER.into(), source };
        let entries = match fs::read_dir(NETNS_FOLDER) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// The name, when it was created or opened by one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Runs a closure on a fresh thread inside the namespace and waits for it. Sockets and device handles that it
    /// opens stay in the namespace when they are handed out. A panic in it goes on in the caller.
    ///
    /// # Errors
    /// When the namespace cannot be entered (CAP_SYS_ADMIN).
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        on_fresh_thread(|| {
            setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET).map_err(|error| Error::Namespace {
                action: "enter",
                name: self.label(),
                source: error.into(),
            })?;
            Ok(work())
        })
    }

    /// A command whose process starts inside the namespace, with the mounts of the caller, and with all signals let
    /// through: those that the caller's thread waits for by itself would else never reach what it starts.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let file = Arc::clone(&self.file);
        // SAFETY: between fork and exec only `setns` and `pthread_sigmask` are called, which are bare system calls: they
        // take no lock and allocate nothing. The descriptor lives as long as the closure.
        unsafe {
            command.pre_exec(move || {
                SigSet::empty().thread_set_mask()?;
                Ok(setns(file.as_fd(), CloneFlags::CLONE_NEWNET)?)
            });
        }
        command
    }

    /// As [`Namespace::command`], in a session of its own, so that it outlives the caller and its terminal, and with folders
    /// put over others, first before second, for it alone.
    ///
    /// # Errors
    /// When a folder's name has a zero byte.
    pub fn daemon_command(
        &self,
        program: impl AsRef<std::ffi::OsStr>,
        covered: &[(PathBuf, PathBuf)],
    ) -> io::Result<Command> {
        let name = |path: &Path| Ok::<_, io::Error>(CString::new(path.as_os_str().as_encoded_bytes())?);
        let covered =
            covered.iter().map(|(with, path)| Ok((name(with)?, name(path)?))).collect::<io::Result<Vec<_>>>()?;
        let mut command = self.command(program);
        // SAFETY: between fork and exec there are only bare system calls, on names that were made before.
        unsafe {
            command.pre_exec(move || {
                setsid()?;
                cover_folders(&covered)
            });
        }
        Ok(command)
    }

    /// Writes the sysctl `net.KEY`, for example `ipv4/ip_forward`. Parts are divided by slashes, so that a device's
    /// name may have a dot.
    ///
    /// # Errors
    /// When there is no such sysctl, or it refuses the value.
    pub fn set_sysctl(&self, key: &str, value: &str) -> Result<(), Error> {
        let path = sysctl_path(key);
        // /proc/sys/net shows the namespace of the thread that looks the path up.
        self.run(|| fs::write(path, value))?.map_err(|source| Error::Sysctl {
            action: format!("write {value} to"),
            key: key.to_owned(),
            source,
        })
    }

    /// Writes many sysctls `net.KEY`, in their order, in one visit to the namespace. Those that this kernel does not have are
    /// passed over.
    ///
    /// # Errors
    /// When one refuses its value.
    pub fn set_sysctls<'s>(&self, wanted: impl IntoIterator<Item = (&'s str, &'s str)> + Send) -> Result<(), Error> {
        self.run(|| {
            for (key, value) in wanted {
                match fs::write(sysctl_path(key), value) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    written => written.map_err(|source| {
                        let action = format!("write {value} to");
                        Error::Sysctl { action, key: key.to_owned(), source }
                    })?,
                }
            }
            Ok(())
        })?
    }

    /// Whether its name still stands for it: somebody may have deleted it, and made another of the same name.
    pub fn is_in_place(&self) -> bool {
        let Some(path) = self.name.as_deref().and_then(|name| path_of(name).ok()) else { return true };
        let own = fs::metadata(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        own.is_ok_and(|own| fs::metadata(path).is_ok_and(|named| (named.dev(), named.ino()) == (own.dev(), own.ino())))
    }

    /// Whether both are one opened namespace, so that what was opened in the one serves in the other.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.file, &other.file)
    }

    /// Reads the sysctl `net.KEY`, without the line's end.
    ///
    /// # Errors
    /// When there is no such sysctl.
    pub fn sysctl(&self, key: &str) -> Result<String, Error> {
        let path = sysctl_path(key);
        let text = self.run(|| fs::read_to_string(path))?.map_err(|source| Error::Sysctl {
            action: "read".to_owned(),
            key: key.to_owned(),
            source,
        })?;
        Ok(text.trim_end().to_owned())
    }

    /// Processes that are inside, by process id, as `ip netns pids` lists them.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn processes(&self) -> Result<Vec<u32>, Error> {
        let failed = |source| Error::Read { path: "/proc".into(), source };
        let own = fs::metadata(format!("/proc/self/fd/{}", self.file.as_raw_fd())).map_err(failed)?;
        let mut pids = Vec::new();
        for entry in fs::read_dir("/proc").map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // A process that ends meanwhile is not inside any more.
            if fs::metadata(entry.path().join("ns/net")).is_ok_and(|its| its.ino() == own.ino()) {
                pids.push(pid);
            }
        }
        Ok(pids)
    }

    /// Whether a process is inside; one that has ended is not.
    pub fn holds(&self, pid: u32) -> bool {
        let inode = |path: String| fs::metadata(path).ok().map(|its| its.ino());
        let own = inode(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        own.is_some() && own == inode(format!("/proc/{pid}/ns/net"))
    }

    /// The descriptor, for requests that name a namespace by one.
    pub(crate) fn raw(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// The name, or what stands for it in an error.
    fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| "(without a name)".to_owned())
    }
}

/// Runs a closure on a thread that ends with it. A panic goes on in the caller.
fn on_fresh_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Where the name is mounted.
fn path_of(name: &str) -> Result<PathBuf, Error> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > LONGEST_NAME || name.starts_with('.') || !name.chars().all(legal) {
        return Err(Error::NamespaceName(name.to_owned()));
    }
    Ok(Path::new(NETNS_FOLDER).join(name))
}

/// Where the sysctl is.
fn sysctl_path(key: &str) -> PathBuf {
    Path::new("/proc/sys/net").join(key)
}

/// Makes the folder a shared mount, as `ip netns` does, so that a name that is deleted in one mount namespace does not
/// keep living in another. The lock is the one that iproute2 takes as well.
fn share_folder() -> io::Result<()> {
    fs::create_dir_all(NETNS_FOLDER)?;
    let folder = File::open(NETNS_FOLDER)?;
    let _lock = Flock::lock(folder, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
    let share = || {
        let flags = MsFlags::MS_SHARED | MsFlags::MS_REC;
        mount(None::<&str>, NETNS_FOLDER, None::<&str>, flags, None::<&str>)
    };
    match share() {
        Err(nix::errno::Errno::EINVAL) => {
            let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
            mount(Some(NETNS_FOLDER), NETNS_FOLDER, None::<&str>, flags, None::<&str>)?;
            share()?;
        }
        other => other?,
    }
    Ok(())
}
