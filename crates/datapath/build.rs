//! Builds the kernel programs in `ebpf/` and leaves the object at `$OUT_DIR/netvirt-ebpf.o`.
//!
//! BPF needs a `core` compiled for `bpfel-unknown-none` and a linker that speaks LLVM bitcode. Two compilers will do,
//! and the first that is complete is taken: one with a prebuilt `core` (Debian's `rustc-web` with
//! `libstd-rust-web-dev-bpf`), or rustup's nightly with `rust-src`, which compiles `core` on the way. The linker is
//! bpf-linker; it reads the compiler's bitcode, so both must be of one LLVM major version.
//! What is missing is named together with its remedy, which is `make tools`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const TARGET: &str = "bpfel-unknown-none";
const PROGRAM: &str = "netvirt-ebpf";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Error> {
    // Asked now, not when this script was compiled: another clone may share the folder that it was compiled into.
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it for build scripts")).join("../..");
    let root = root.canonicalize().map_err(|source| Error::Io { path: root, source })?;
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts"));
    for watched in [
        "ebpf/src",
        "ebpf/Cargo.toml",
        "ebpf/Cargo.lock",
        "ebpf/.cargo/config.toml",
        "crates/pipeline/src",
        "crates/pipeline/Cargo.toml",
    ] {
        println!("cargo:rerun-if-changed={}", root.join(watched).display());
    }

    let compiler = Compiler::find()?;
    let linker = find_linker(&root, &compiler)?;
    println!("cargo:rerun-if-changed={}", linker.display());

    // A folder of its own inside the outer target folder, where the lock is not the one that the outer cargo holds
    // while this script runs; debug and release builds share it, as the kernel programs are the same in both.
    // OUT_DIR is <target>/<profile>/build/<package>/out.
    let outer = out.ancestors().nth(4).unwrap_or(&out);
    let target_dir = outer.join("ebpf");
    let mut cargo = compiler.cargo();
    cargo
        .current_dir(root.join("ebpf"))
        .args(["build", "--release", "--target", TARGET])
        .arg("--target-dir")
        .arg(&target_dir)
        .arg("--config")
        // The object then names sources from the root of the project, not from the builder's home.
        .arg(format!("target.{TARGET}.rustflags=['--remap-path-prefix={}=.']", root.display()))
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &linker);
    let output = cargo.output().map_err(|source| Error::Io { path: cargo.get_program().into(), source })?;
    let messages = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(Error::Build { compiler: compiler.describe(), linker, messages: messages.into_owned() });
    }
    // Cargo hides the output of a script that succeeded; a warning in a kernel program must not be hidden.
    for line in messages.lines().skip_while(|line| !line.starts_with("warning")) {
        println!("cargo:warning={line}");
    }
    let object = target_dir.join(TARGET).join("release").join(PROGRAM);
    let copy = out.join(format!("{PROGRAM}.o"));
    fs::copy(&object, copy).map_err(|source| Error::Io { path: object, source })?;
    Ok(())
}

/// A compiler that can make BPF.
enum Compiler {
    /// Has `core` for BPF beside it.
    Prebuilt { rustc: PathBuf, llvm: u32 },
    /// rustup's nightly, which compiles `core` from its sources.
    Nightly { llvm: u32 },
}

impl Compiler {
    /// Takes the first complete one.
    fn find() -> Result<Compiler, Error> {
        let mut candidates = vec![PathBuf::from("/usr/bin/rustc")];
        candidates.extend(env::var_os("RUSTC").map(PathBuf::from));
        candidates.extend(in_path("rustc"));
        for rustc in candidates {
            let libraries = ask(clean(&rustc).args(["--print", "target-libdir", "--target", TARGET]));
            if libraries.is_some_and(|folder| holds_core(Path::new(&folder)))
                && let Some(llvm) = ask(clean(&rustc).arg("-vV")).and_then(|text| llvm_major(&text))
            {
                return Ok(Compiler::Prebuilt { rustc, llvm });
            }
        }
        let nightly = |arguments: &[&str]| ask(clean("rustup").args(["run", "nightly", "rustc"]).args(arguments));
        if let Some(sysroot) = nightly(&["--print", "sysroot"])
            && Path::new(&sysroot).join("lib/rustlib/src/rust/library/core").is_dir()
            && let Some(llvm) = nightly(&["-vV"]).and_then(|text| llvm_major(&text))
        {
            return Ok(Compiler::Nightly { llvm });
        }
        Err(Error::NoCompiler)
    }

    fn llvm(&self) -> u32 {
        match self {
            Compiler::Prebuilt { llvm, .. } | Compiler::Nightly { llvm } => *llvm,
        }
    }

    fn describe(&self) -> String {
        match self {
            Compiler::Prebuilt { rustc, llvm } => format!("{} (LLVM {llvm})", rustc.display()),
            Compiler::Nightly { llvm } => format!("rustup's nightly (LLVM {llvm})"),
        }
    }

    /// The cargo that drives this compiler.
    fn cargo(&self) -> Command {
        match self {
            Compiler::Prebuilt { rustc, .. } => {
                let mut cargo = clean(env::var_os("CARGO").expect("cargo sets CARGO for build scripts"));
                // The kernel crates use unstable features, which a stable compiler allows on this request alone.
                cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
                cargo
            }
            Compiler::Nightly { .. } => {
                let mut cargo = clean("rustup");
                cargo.args(["run", "nightly", "cargo", "-Z", "build-std=core"]);
                cargo
            }
        }
    }
}

/// bpf-linker of the compiler's LLVM: the project's own, else one in PATH, else one that cargo installed.
fn find_linker(root: &Path, compiler: &Compiler) -> Result<PathBuf, Error> {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    let candidates = [root.join(".tools/bin/bpf-linker")]
        .into_iter()
        .chain(in_path("bpf-linker"))
        .chain(cargo_home.map(|home| home.join("bin/bpf-linker")));
    let mut refused = Vec::new();
    for linker in candidates.filter(|path| path.is_file()) {
        match linked_llvm(&linker) {
            Some(llvm) if llvm != compiler.llvm() => refused.push((linker, llvm)),
            _ => return Ok(linker),
        }
    }
    Err(Error::NoLinker { compiler: compiler.describe(), refused })
}

/// The LLVM major version whose shared library a program names; none if LLVM is linked statically.
fn linked_llvm(program: &Path) -> Option<u32> {
    let bytes = fs::read(program).ok()?;
    ["libLLVM.so.", "libLLVM-"].iter().find_map(|name| {
        bytes.windows(name.len()).enumerate().filter(|(_, window)| *window == name.as_bytes()).find_map(|(at, _)| {
            let digits: Vec<u8> = bytes[at + name.len()..].iter().copied().take_while(u8::is_ascii_digit).collect();
            String::from_utf8(digits).ok()?.parse().ok()
        })
    })
}

/// The major number in the line "LLVM version: 22.1.8" of `rustc -vV`.
fn llvm_major(version: &str) -> Option<u32> {
    let line = version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    line.split('.').next()?.parse().ok()
}

fn holds_core(libraries: &Path) -> bool {
    let Ok(entries) = fs::read_dir(libraries) else {
        return false;
    };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
}

fn in_path(program: &'static str) -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    folders.into_iter().map(move |folder| folder.join(program)).filter(|path| path.is_file())
}

/// The standard output of a command that succeeds.
fn ask(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A command that inherits nothing of what the outer cargo, clippy or rustup set for their own target and compiler.
fn clean(program: impl AsRef<OsStr>) -> Command {
    // How the user reaches the registries holds for the inner cargo as well.
    const KEPT: [&str; 6] =
        ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_", "RUSTUP_HOME"];
    const DROPPED: [&str; 5] = ["CARGO", "RUST", "LD_LIBRARY_PATH", "MAKEFLAGS", "DEP_"];
    let starts =
        |name: &OsString, prefixes: &[&str]| prefixes.iter().any(|prefix| name.to_string_lossy().starts_with(prefix));
    let mut command = Command::new(program);
    for (name, _) in env::vars_os().filter(|(name, _)| starts(name, &DROPPED) && !starts(name, &KEPT)) {
        command.env_remove(name);
    }
    command
}

/// Why the kernel programs could not be built.
enum Error {
    NoCompiler,
    NoLinker { compiler: String, refused: Vec<(PathBuf, u32)> },
    Build { compiler: String, linker: PathBuf, messages: String },
    Io { path: PathBuf, source: std::io::Error },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoCompiler => write!(
                f,
                "no Rust compiler here has a core library for {TARGET}; run \"make tools\", which installs Debian's \
                 rustc-web and libstd-rust-web-dev-bpf, or else \"rustup toolchain install nightly -c rust-src\""
            ),
            Error::NoLinker { compiler, refused } => {
                for (path, llvm) in refused {
                    writeln!(f, "{} is linked with LLVM {llvm}, which cannot read other bitcode", path.display())?;
                }
                write!(f, "no bpf-linker here fits the compiler {compiler}; run \"make tools\", which builds one")
            }
            Error::Build { compiler, linker, messages } => {
                writeln!(f, "the kernel programs do not build with {compiler} and {}:", linker.display())?;
                f.write_str(messages)
            }
            Error::Io { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}
