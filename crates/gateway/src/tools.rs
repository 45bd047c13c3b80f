//! Programs that are given orders: `nft` and `tc`, in a compartment's namespace.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, thread};

use host::{Link, Namespace, Netfilter, Netlink};
use plan::gateway::ruleset::{Counts, Ruleset, TABLE};
use plan::gateway::shaping::{Queue, Shaping};

use crate::Error;

/// What is noted at a device whose classes of bandwidth were made, before a word for which they are.
const SHAPED: &str = "netvirt shaping ";

/// Whether this kernel is known to have no fq_codel.
static NO_FQ_CODEL: AtomicBool = AtomicBool::new(false);

/// Puts rules in force, unless they are already. Answers whether they were not.
///
/// # Errors
/// When `nft` is not there or refuses.
pub fn apply_rules(namespace: &Namespace, filter: &Netfilter, rules: &Ruleset) -> Result<bool, Error> {
    let counters = filter.counters(TABLE)?;
    let version = rules.version();
    if counters.iter().any(|counter| counter.name == version) {
        return Ok(false);
    }
    let counts: Counts = counters.into_iter().map(|counter| (counter.name, (counter.packets, counter.bytes))).collect();
    run(namespace, "nft", "nftables", &["-f", "-"], &rules.orders(&counts))?;
    Ok(true)
}

/// Makes the classes of bandwidth of a device, unless they are there. `None` takes away those that a gateway made.
///
/// # Errors
/// When `tc` is not there or refuses.
pub fn apply_shaping(
    namespace: &Namespace,
    netlink: &Netlink,
    link: &Link,
    shaping: Option<&Shaping>,
) -> Result<(), Error> {
    let noted = link.alias.as_deref().filter(|alias| alias.starts_with(SHAPED));
    let Some(shaping) = shaping else {
        if noted.is_some() {
            clear(namespace, &link.name)?;
            netlink.set_alias(&link.name, "")?;
        }
        return Ok(());
    };
    let note = format!("{SHAPED}{}", shaping.version());
    if noted == Some(&note) {
        return Ok(());
    }
    clear(namespace, &link.name)?;
    let attempt = |queue| run(namespace, "tc", "iproute2", &["-batch", "-"], &shaping.orders(queue));
    let known = NO_FQ_CODEL.load(Ordering::Relaxed);
    let mut made = attempt(if known { Queue::Fifo } else { Queue::FqCodel });
    // The kernel says ENOENT of a kind of queue that it does not know.
    if !known
        && matches!(&made, Err(Error::Refused { words, .. }) if words.contains("No such file") || words.contains("unknown"))
    {
        clear(namespace, &link.name)?;
        made = attempt(Queue::Fifo);
        NO_FQ_CODEL.store(made.is_ok(), Ordering::Relaxed);
    }
    made?;
    netlink.set_alias(&link.name, &note)?;
    Ok(())
}

/// Takes all classes from a device. That there are none is no error.
fn clear(namespace: &Namespace, device: &str) -> Result<(), Error> {
    match run(namespace, "tc", "iproute2", &["qdisc", "del", "dev", device, "root"], "") {
        Err(Error::Refused { .. }) => Ok(()),
        result => result,
    }
}

/// Forgets the connections to and from an address of the outside that is not the compartment's any more.
///
/// # Errors
/// When connections cannot be listed or removed.
pub fn forget_connections(namespace: &Namespace, gone: &[std::net::IpAddr]) -> Result<(), Error> {
    if gone.is_empty() {
        return Ok(());
    }
    let conntrack = host::conntrack::Conntrack::in_namespace(namespace)?;
    for entry in conntrack.list()? {
        let outside = [entry.original.destination, entry.reply.destination];
        if outside.iter().any(|address| gone.contains(address)) {
            match conntrack.remove(&entry) {
                Err(error) if !error.is_absent() => return Err(error.into()),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Runs a program in a namespace and gives it its orders.
fn run(
    namespace: &Namespace,
    program: &'static str,
    package: &'static str,
    arguments: &[&str],
    orders: &str,
) -> Result<(), Error> {
    let path = find(program).ok_or(Error::NoProgram { program, package })?;
    let output = exchange(namespace, &path, arguments, orders).map_err(|source| Error::Run { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let words: Vec<_> = words.lines().map(str::trim).filter(|line| !line.is_empty()).take(6).collect();
    Err(Error::Refused { program, words: words.join("; ") })
}

/// Starts a program, writes to it and reads from it at the same time, since either may wait for the other.
fn exchange(namespace: &Namespace, path: &Path, arguments: &[&str], orders: &str) -> io::Result<Output> {
    let mut command = namespace.command(path);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).env("LC_ALL", "C");
    let mut child = command.spawn()?;
    let input = child.stdin.take();
    thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(mut input) = input {
                // Who does not read to the end says why by itself.
                let _ = input.write_all(orders.as_bytes());
            }
        });
        child.wait_with_output()
    })
}

/// Where a program is: in `PATH`, or where daemons are.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(crate::daemons::FOLDERS.iter().map(PathBuf::from));
    folders.chain([PathBuf::from("/sbin")]).map(|folder| folder.join(program)).find(|file| file.is_file())
}
