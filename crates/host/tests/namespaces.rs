//! Named network namespaces: made, seen by `ip netns`, entered and deleted.

mod common;

use std::process::Command;

use common::Scratch;
use host::{Error, Namespace, Netlink};

#[test]
fn ip_netns_sees_ours_and_it_goes_when_deleted() {
    let scratch = Scratch::new();
    let name = scratch.name().to_owned();
    let shown = Command::new("ip").args(["netns", "list"]).output().expect("iproute2 is installed");
    assert!(String::from_utf8_lossy(&shown.stdout).lines().any(|line| line.starts_with(&name)));
    assert!(Namespace::list().unwrap().contains(&name) && Namespace::exists(&name));
    assert!(matches!(Namespace::create(&name), Err(Error::NamespaceExists(_))));
    drop(scratch);
    assert!(!Namespace::exists(&name));
    assert!(matches!(Namespace::open(&name), Err(Error::NoNamespace(_))));
    assert!(matches!(Namespace::delete(&name), Err(Error::NoNamespace(_))));
}

#[test]
fn we_open_what_ip_netns_made() {
    let name = format!("nvt-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
    let _root = Scratch::new();
    assert!(Command::new("ip").args(["netns", "add", &name]).status().unwrap().success());
    let links = Namespace::open(&name).and_then(|namespace| Netlink::in_namespace(&namespace)).and_then(|n| n.links());
    Namespace::delete(&name).unwrap();
    assert!(links.unwrap().iter().any(|link| link.name == "lo"));
}

#[test]
fn a_closure_and_a_command_run_inside_and_the_caller_stays_outside() {
    let scratch = Scratch::new();
    let inode = || std::fs::read_link("/proc/thread-self/ns/net").unwrap();
    let outside = inode();
    let inside = scratch.run(inode).unwrap();
    assert_ne!(inside, outside);
    assert_eq!(inode(), outside);
    let output = scratch.command("readlink").arg("/proc/self/ns/net").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), inside.to_string_lossy());
}

#[test]
fn a_command_hears_signals_that_its_starter_waits_for_by_itself() {
    use std::os::unix::process::ExitStatusExt;
    let signals = nix::sys::signal::SigSet::from(nix::sys::signal::Signal::SIGTERM);
    signals.thread_block().unwrap();
    let ended = Namespace::current().unwrap().command("sh").args(["-c", "kill -TERM $$; exit 3"]).status();
    signals.thread_unblock().unwrap();
    assert_eq!(ended.unwrap().signal(), Some(15));
}

#[test]
fn mounts_stay_those_of_the_caller_inside() {
    let scratch = Scratch::new();
    let mounts = || std::fs::read_link("/proc/thread-self/ns/mnt").unwrap();
    assert_eq!(scratch.run(mounts).unwrap(), mounts());
}

#[test]
fn a_panic_inside_reaches_the_caller() {
    let scratch = Scratch::new();
    let panicked = std::panic::catch_unwind(|| scratch.run(|| panic!("inside"))).unwrap_err();
    assert_eq!(panicked.downcast_ref::<&str>(), Some(&"inside"));
}

#[test]
fn a_sysctl_is_that_of_the_namespace_alone() {
    let (one, other) = (Scratch::new(), Scratch::new());
    let own = std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
    one.set_sysctl("ipv4/ip_forward", "1").unwrap();
    other.set_sysctl("ipv4/ip_forward", "0").unwrap();
    assert_eq!(one.sysctl("ipv4/ip_forward").unwrap(), "1");
    assert_eq!(other.sysctl("ipv4/ip_forward").unwrap(), "0");
    assert_eq!(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(), own);
    let text = one.set_sysctl("ipv4/no_such", "1").unwrap_err().to_string();
    assert!(text.starts_with("cannot write 1 to sysctl net.ipv4/no_such"), "{text}");
}

#[test]
fn processes_inside_are_found() {
    let scratch = Scratch::new();
    let mut child = scratch.command("sleep").arg("60").spawn().unwrap();
    let found = scratch.processes().unwrap();
    let start = host::process::start_time(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(found, [child.id()]);
    assert!(start.is_some());
    assert_eq!(host::process::start_time(child.id()), None);
}

#[test]
fn illegal_names_are_refused() {
    for name in ["", ".", "..", "a/b", "a b", &"x".repeat(256)] {
        assert!(matches!(Namespace::create(name), Err(Error::NamespaceName(_))), "{name:?}");
    }
}
