//! What guests boot from: the kernel that `scripts/tools lab` unpacked, and an initramfs made of busybox, real tools with
//! their libraries, the kernel's modules and the program that runs commands. It is made once and kept under a name that
//! follows from all that goes into it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};

use super::cpio::Archive;
use super::modules::{WANTED, load_order};
use crate::LabError;

/// The program that runs commands in a guest.
const AGENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest-agent"));
const INIT: &[u8] = include_bytes!("../../guest/init");
const UDHCPC: &[u8] = include_bytes!("../../guest/udhcpc.script");

/// What must be there: the shell and all small tools of a guest.
const BUSYBOX: &str = "busybox";
/// Real tools that guests are given as far as this machine has them; busybox stands in for some of the others.
const TOOLS: [&str; 6] = ["ip", "ping", "arping", "traceroute", "ethtool", "iperf3"];
/// Where programs are looked for beside PATH: a user's may lack what root's has.
const FOLDERS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Mount points and the like.
const EMPTY_FOLDERS: [&str; 7] = ["proc", "sys", "dev", "tmp", "run", "var/run", "etc"];
/// How many images are kept: clones of different versions may use one cache by turns.
const KEPT: usize = 4;

/// What a guest boots from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Image {
    pub(crate) kernel: PathBuf,
    pub(crate) initramfs: PathBuf,
}

/// What goes into the initramfs, by its path there.
enum Source {
    /// What this program brings.
    Bytes(Vec<u8>),
    /// A file of this machine.
    File(PathBuf),
}

/// The image, which is built if it is not there.
pub(crate) fn prepare() -> Result<Image, LabError> {
    let cache = cache()?;
    let kernel = kernel_folder(&cache)?;
    let image = kernel.join("boot");
    let vmlinuz = entries(&image)?.into_iter().find(|path| file_name(path).starts_with("vmlinuz"));
    let vmlinuz = vmlinuz.ok_or_else(|| problem(format!("there is no vmlinuz in {}", image.display())))?;
    let sources = sources(&kernel)?;
    let initramfs = cache.join(format!("initramfs-{}.cpio", digest(&sources)?));
    if !initramfs.exists() {
        build(&cache, &sources, &initramfs)?;
    }
    Ok(Image { kernel: vmlinuz, initramfs })
}

/// Where kernels and images of guests are kept.
fn cache() -> Result<PathBuf, LabError> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
    let cache =
        cache.ok_or_else(|| problem("it is not known where their image is kept; set HOME or XDG_CACHE_HOME"))?;
    Ok(cache.join("netvirt/guest"))
}

/// The kernel that came last.
fn kernel_folder(cache: &Path) -> Result<PathBuf, LabError> {
    let kernels = entries(cache).unwrap_or_default().into_iter().filter(|path| {
        let named = file_name(path).starts_with("kernel-");
        named && path.join("boot").is_dir()
    });
    let came = |path: &PathBuf| fs::metadata(path).map(|it| (it.ctime(), it.ctime_nsec())).unwrap_or_default();
    kernels.max_by_key(came).ok_or_else(|| {
        problem(format!(
            "there is no kernel for them in {}; \"scripts/tools lab\" of the project downloads one (\"make tools\" does \
             too)",
            cache.display()
        ))
    })
}

/// All that the initramfs is made of.
fn sources(kernel: &Path) -> Result<BTreeMap<String, Source>, LabError> {
    let mut sources = BTreeMap::from([
        ("init".to_owned(), Source::Bytes(INIT.to_vec())),
        ("sbin/netvirt-guest".to_owned(), Source::Bytes(AGENT.to_vec())),
        ("etc/udhcpc/default.script".to_owned(), Source::Bytes(UDHCPC.to_vec())),
        // Names of protocols and users that tools ask for.
        ("etc/passwd".to_owned(), Source::Bytes(b"root:x:0:0:root:/:/bin/busybox\n".to_vec())),
        ("etc/hosts".to_owned(), Source::Bytes(b"127.0.0.1 localhost\n::1 localhost\n".to_vec())),
    ]);
    add_modules(kernel, &mut sources)?;
    let busybox = find_program(BUSYBOX)
        .ok_or_else(|| problem("there is no busybox here; install busybox-static (\"scripts/tools lab\" does)"))?;
    let mut programs = vec![(format!("bin/{BUSYBOX}"), busybox)];
    programs.extend(TOOLS.iter().filter_map(|tool| Some((format!("usr/bin/{tool}"), find_program(tool)?))));
    for (_, program) in &programs {
        add_libraries(program, &mut sources)?;
    }
    // The program that runs commands is not a file yet whose libraries could be asked for. It needs what Rust programs
    // need, and this program is one.
    let own = std::env::current_exe().map_err(|source| problem(format!("this program has no path: {source}")))?;
    add_libraries(&own, &mut sources)?;
    sources.extend(programs.into_iter().map(|(path, program)| (path, Source::File(program))));
    Ok(sources)
}

/// The modules that guests need, and the list of them in the order in which they are loaded.
fn add_modules(kernel: &Path, sources: &mut BTreeMap<String, Source>) -> Result<(), LabError> {
    let modules = kernel.join("lib/modules");
    let version = entries(&modules)?.into_iter().next();
    let version = version.ok_or_else(|| problem(format!("there is no kernel version in {}", modules.display())))?;
    let read = |name: &str| {
        let path = version.join(name);
        fs::read_to_string(&path).map_err(|source| LabError::File { action: "read", path, source })
    };
    let built_in = read("modules.builtin").unwrap_or_default();
    let order = load_order(&read("modules.dep")?, &built_in, &WANTED)
        .map_err(|name| problem(format!("the kernel in {} has no module {name}", kernel.display())))?;
    let mut list = String::new();
    for file in order {
        let path = format!("lib/modules/{}/{file}", file_name(&version));
        list += &format!("/{path}\n");
        sources.insert(path, Source::File(version.join(file)));
    }
    sources.insert("etc/netvirt/modules".to_owned(), Source::Bytes(list.into_bytes()));
    Ok(())
}

/// The shared libraries of a program, as ldd names them.
fn add_libraries(program: &Path, sources: &mut BTreeMap<String, Source>) -> Result<(), LabError> {
    let output = Command::new("ldd").arg(program).stdin(Stdio::null()).output();
    let output =
        output.map_err(|source| problem(format!("cannot run ldd, which comes with the C library: {source}")))?;
    // One that is linked statically has none, which ldd calls a failure.
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for library in libraries(&text).map_err(|missing| {
        problem(format!(
            "{} needs the library {missing}, which is not here; install its package again",
            program.display()
        ))
    })? {
        let file = fs::canonicalize(&library).unwrap_or_else(|_| PathBuf::from(&library));
        sources.insert(library.trim_start_matches('/').to_owned(), Source::File(file));
    }
    Ok(())
}

/// Paths of libraries in what ldd prints, or the name of one that is not found.
fn libraries(ldd: &str) -> Result<Vec<String>, String> {
    let mut paths = Vec::new();
    for line in ldd.lines().map(str::trim) {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            [name, "=>", "not", "found"] => return Err((*name).to_owned()),
            [_, "=>", path, ..] | [path, ..] if path.starts_with('/') => paths.push((*path).to_owned()),
            _ => {}
        }
    }
    Ok(paths)
}

/// A program by its name.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(FOLDERS.split(':')).filter(|folder| folder.starts_with('/'));
    folders.map(|folder| Path::new(folder).join(name)).find(|file| file.is_file())?.canonicalize().ok()
}

/// What tells this image from all others. Files of this machine count by place, size and time, which is quick and says
/// all that a package's update changes.
fn digest(sources: &BTreeMap<String, Source>) -> Result<String, LabError> {
    let mut hash = Sha256::new();
    for (path, source) in sources {
        match source {
            Source::Bytes(bytes) => {
                hash.update(format!("{path} {}\n", bytes.len()));
                hash.update(bytes);
            }
            Source::File(file) => {
                let it = fs::metadata(file).map_err(|source| LabError::File {
                    action: "read",
                    path: file.clone(),
                    source,
                })?;
                let (time, part) = (it.mtime(), it.mtime_nsec());
                hash.update(format!("{path} {} {} {} {time} {part}\n", file.display(), it.len(), it.ino()));
            }
        }
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// Builds it, once for all who ask at the same time, and whole or not at all.
fn build(cache: &Path, sources: &BTreeMap<String, Source>, initramfs: &Path) -> Result<(), LabError> {
    let failed = |source| LabError::File { action: "write", path: initramfs.to_owned(), source };
    let _turn = lock(&cache.join(".image.lock"))?;
    if initramfs.exists() {
        return Ok(());
    }
    let fresh = initramfs.with_extension("new");
    let written =
        File::create(&fresh).and_then(|file| write(sources, file)).and_then(|()| fs::rename(&fresh, initramfs));
    if let Err(error) = written {
        let _ = fs::remove_file(&fresh);
        return Err(failed(error));
    }
    forget_old(cache);
    Ok(())
}

fn write(sources: &BTreeMap<String, Source>, file: File) -> io::Result<()> {
    let mut archive = Archive::new(BufWriter::new(file));
    for folder in EMPTY_FOLDERS {
        archive.folder(folder)?;
    }
    for (path, source) in sources {
        match source {
            Source::Bytes(bytes) => archive.file(path, bytes)?,
            Source::File(file) => archive.file(path, &fs::read(file)?)?,
        }
    }
    archive.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Removes all but the newest images. A guest that was started has read its image and needs it no more.
fn forget_old(cache: &Path) {
    let images =
        entries(cache).unwrap_or_default().into_iter().filter(|path| file_name(path).starts_with("initramfs-"));
    let mut images: Vec<_> =
        images.filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path))).collect();
    images.sort();
    let surplus = images.len().saturating_sub(KEPT);
    for (_, path) in images.into_iter().take(surplus) {
        // It may be removed next time.
        let _ = fs::remove_file(path);
    }
}

/// Waits for a lock file, making it and its folder if need be.
pub(super) fn lock(path: &Path) -> Result<Flock<File>, LabError> {
    let failed = |source| LabError::File { action: "lock", path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let file = File::options().create(true).append(true).open(path).map_err(failed)?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| failed(error.into()))
}

/// What a folder holds, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, LabError> {
    let failed = |source| LabError::File { action: "read", path: folder.to_owned(), source };
    let mut paths = fs::read_dir(folder)
        .and_then(|all| all.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>())
        .map_err(failed)?;
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn problem(text: impl Into<String>) -> LabError {
    LabError::GuestImage(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_what_ldd_gives_a_path_for() {
        let text = "\tlinux-vdso.so.1 (0x00007f)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\t\
                    /lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let paths = libraries(text).unwrap();
        assert_eq!(paths, ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
        assert_eq!(libraries("\tstatically linked\n"), Ok(Vec::new()));
        assert_eq!(libraries("\tlibx.so.1 => not found\n"), Err("libx.so.1".to_owned()));
    }

    #[test]
    fn an_image_is_named_after_what_goes_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tool");
        fs::write(&file, "one").unwrap();
        let of = |bytes: &[u8]| {
            let sources =
                [("a".to_owned(), Source::Bytes(bytes.to_vec())), ("b".to_owned(), Source::File(file.clone()))];
            digest(&BTreeMap::from(sources)).unwrap()
        };
        let before = of(b"x");
        assert_eq!(before, of(b"x"));
        assert_ne!(before, of(b"y"));
        fs::write(&file, "three").unwrap();
        assert_ne!(before, of(b"x"));
    }

    #[test]
    fn builders_at_once_make_one_image_that_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let initramfs = folder.path().join("initramfs-0.cpio");
        let sources = BTreeMap::from([("a".to_owned(), Source::Bytes(vec![7; 1_000_000]))]);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    build(folder.path(), &sources, &initramfs).unwrap();
                    assert!(fs::metadata(&initramfs).unwrap().len() > 1_000_000);
                });
            }
        });
        let left: Vec<_> = entries(folder.path()).unwrap().iter().map(|path| file_name(path)).collect();
        assert_eq!(left, [".image.lock", "initramfs-0.cpio"]);
    }
}
