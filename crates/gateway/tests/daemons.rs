//! The supervisor of daemons, with real programs in real namespaces: what dies comes back, what runs outlives the gateway,
//! and nobody else's process is touched. Needs root.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use gateway::{ConfigFile, Daemon, Daemons, OnChange, Supervisor};
use support::{Ground, kill, until};

/// A daemon that is a line of the shell.
fn shell(name: &str, line: &str) -> Daemon {
    Daemon {
        name: name.to_owned(),
        program: "sh".into(),
        package: "dash",
        arguments: vec!["-c".to_owned(), line.to_owned()],
        arguments_again: vec!["again".to_owned()],
        environment: vec![("WORD".to_owned(), "swordfish".to_owned())],
        files: Vec::new(),
        own_folders: Vec::new(),
        user: None,
    }
}

fn file(name: &str, contents: &str, on_change: OnChange) -> ConfigFile {
    ConfigFile { name: name.to_owned(), contents: contents.to_owned(), on_change }
}

fn pid(daemons: &Daemons, ground: &Ground, name: &str) -> u32 {
    until("it runs", || daemons.status(&ground.folder(), name).pid)
}

/// Another process than this one, once it runs.
fn other(daemons: &Daemons, ground: &Ground, name: &str, than: u32) -> u32 {
    until("another one runs", || daemons.status(&ground.folder(), name).pid.filter(|pid| *pid != than))
}

fn alive(pid: u32) -> bool {
    host::process::start_time(pid).is_some()
}

/// Waits until a shell has come to its loop.
fn in_its_loop(pid: u32) {
    let children = format!("/proc/{pid}/task/{pid}/children");
    until("it sleeps", || fs::read_to_string(&children).ok().filter(|children| !children.is_empty()));
}

#[test]
fn a_daemon_lives_in_the_namespace_with_folders_of_its_own() {
    let ground = Ground::new("own");
    let supervisor = Supervisor::new().unwrap();
    let mut daemons = supervisor.of("test");
    let seen = ground.folder().join("seen");
    let looks = "echo $WORD $$ $0; cat /var/lib/misc/word; readlink /proc/self/ns/net";
    let line = format!("({looks}) > {0}.new && mv {0}.new {0}; exec sleep 600", seen.display());
    let mut daemon = shell("looker", &line);
    daemon.own_folders = vec!["/var/lib/misc".into()];
    daemon.files = vec![file("own/var/lib/misc/word", "inside\n", OnChange::Restart)];
    assert_eq!(ground.settle(&mut daemons, &[daemon]), Vec::<String>::new());
    let text = until("it has looked", || fs::read_to_string(&seen).ok());
    let pid = pid(&daemons, &ground, "looker");
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], [format!("swordfish {pid} /usr/bin/sh").as_str(), "inside"], "{text}");
    assert!(lines[2].starts_with("net:") && lines[2] != own.to_string_lossy(), "{text}");
    assert!(!Path::new("/var/lib/misc/word").exists(), "others see the folder of the machine");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let session = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap();
    assert_eq!(session, pid.to_string(), "a session of its own: {stat}");
    // Once it has died it is told so.
    kill(pid);
    other(&daemons, &ground, "looker", pid);
    until("it has looked again", || support::text(&seen).lines().next()?.ends_with("again").then_some(()));
    assert_eq!(ground.remove(&mut daemons), Vec::<String>::new());
    assert!(!alive(pid));
}

#[test]
fn what_is_killed_comes_back_and_what_keeps_dying_is_told() {
    let ground = Ground::new("back");
    let supervisor = Supervisor::new().unwrap();
    let mut daemons = supervisor.of("test");
    let wanted = [shell("sleeper", "exec sleep 600"), shell("dying", "echo cannot open the door >&2; exit 3")];
    ground.settle(&mut daemons, &wanted);
    let first = pid(&daemons, &ground, "sleeper");
    kill(first);
    let second = other(&daemons, &ground, "sleeper", first);
    let status = daemons.status(&ground.folder(), "sleeper");
    assert_eq!((status.restarts, status.trouble), (1, None));
    assert!(alive(second));

    let trouble = until("it has died three times", || {
        let status = daemons.status(&ground.folder(), "dying");
        status.trouble.filter(|_| status.restarts >= 3)
    });
    assert!(trouble.contains("cannot open the door"), "{trouble}");
    assert!(ground.settle(&mut daemons, &wanted)[0].contains("dying has ended"));

    // Once it is mended it starts at once, not when its patience has run out.
    let wanted = [wanted[0].clone(), shell("dying", "exec sleep 600")];
    ground.settle(&mut daemons, &wanted);
    assert!(daemons.status(&ground.folder(), "dying").pid.is_some());
    assert_eq!(pid(&daemons, &ground, "sleeper"), second, "it was left alone");
    ground.remove(&mut daemons);
}

#[test]
fn daemons_outlive_the_gateway_and_are_taken_up_by_the_next() {
    let ground = Ground::new("adopt");
    let wanted = ["one", "two", "three"].map(|name| shell(name, "exec sleep 600"));
    let supervisor = Supervisor::new().unwrap();
    let mut daemons = supervisor.of("test");
    ground.settle(&mut daemons, &wanted);
    let before = ["one", "two", "three"].map(|name| pid(&daemons, &ground, name));
    for pid in before {
        let command = format!("/proc/{pid}/cmdline");
        until("it sleeps", || fs::read_to_string(&command).ok().filter(|command| command.starts_with("sleep")));
    }
    drop((daemons, supervisor));

    // What was written down of the second is lost, as by a kill between its start and the writing. What was written down
    // of the third names a stranger, as after a new start of the machine.
    fs::remove_file(ground.folder().join("two.daemon")).unwrap();
    // Starts are known in ticks of 10 ms: a stranger that started in the same one could not be told from it.
    std::thread::sleep(std::time::Duration::from_millis(50));
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    let path = ground.folder().join("three.daemon");
    let text = fs::read_to_string(&path).unwrap();
    let forged = text.replace(&format!("\"pid\":{}", before[2]), &format!("\"pid\":{}", stranger.id()));
    assert_ne!(text, forged);
    fs::write(&path, forged).unwrap();

    let supervisor = Supervisor::new().unwrap();
    let mut daemons = supervisor.of("test");
    // Of another part's daemons nothing is touched.
    let mut others = supervisor.of("other");
    assert_eq!(ground.settle(&mut others, &[]), Vec::<String>::new());
    assert_eq!(ground.settle(&mut daemons, &wanted), Vec::<String>::new());
    assert_eq!(pid(&daemons, &ground, "one"), before[0]);
    for (place, name) in [(1, "two"), (2, "three")] {
        other(&daemons, &ground, name, before[place]);
        until("the old one is gone", || (!alive(before[place])).then_some(()));
    }
    assert!(stranger.try_wait().unwrap().is_none(), "a stranger's process was ended");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    ground.remove(&mut daemons);
    assert!(!alive(before[0]));
}

#[test]
fn changes_are_told_in_the_way_that_a_file_asks_for() {
    let ground = Ground::new("tell");
    let supervisor = Supervisor::new().unwrap();
    let mut daemons = supervisor.of("test");
    let folder = ground.folder();
    let heard = folder.join("heard");
    let hears = format!("cat {}/live >> {}", folder.display(), heard.display());
    let line = format!("trap '{hears}' HUP; while :; do sleep 0.05; done");
    let daemon = |live: &str, dead: &str, run: &str| {
        let command = ["sh", "-c", &format!("cat {0}/run >&2; grep -q good {0}/run", folder.display())];
        let mut daemon = shell("listener", &line);
        daemon.files = vec![
            file("live", live, OnChange::Signal(1)),
            file("dead", dead, OnChange::Restart),
            file("run", run, OnChange::Run(command.map(str::to_owned).to_vec())),
        ];
        daemon
    };
    ground.settle(&mut daemons, &[daemon("a\n", "1", "good")]);
    let first = pid(&daemons, &ground, "listener");
    in_its_loop(first);
    ground.settle(&mut daemons, &[daemon("b\n", "1", "good")]);
    until("it has heard", || (support::text(&heard) == "b\n").then_some(()));
    ground.settle(&mut daemons, &[daemon("b\n", "1", "good")]);

    let troubles = ground.settle(&mut daemons, &[daemon("b\n", "1", "what is bad")]);
    let sentence = "listener does not take its new configuration";
    assert!(troubles[0].contains(sentence) && troubles[0].contains("what is bad"), "{troubles:?}");
    assert_eq!(ground.settle(&mut daemons, &[daemon("b\n", "1", "good again")]), Vec::<String>::new());
    assert_eq!(pid(&daemons, &ground, "listener"), first);

    ground.settle(&mut daemons, &[daemon("b\n", "2", "good again")]);
    other(&daemons, &ground, "listener", first);
    assert_eq!(daemons.status(&folder, "listener").restarts, 0, "it was ended, it did not die");
    assert_eq!(support::text(&heard), "b\n");
    ground.remove(&mut daemons);
    assert!(!folder.join("live").exists(), "what may hold secrets is left");
}

#[test]
fn what_does_not_end_is_killed_and_what_is_missing_is_named() {
    let ground = Ground::new("end");
    let supervisor = Supervisor::new().unwrap();
    let mut daemons = supervisor.of("test");
    let mut missing = shell("missing", "");
    missing.program = "nvt-no-such-program".into();
    let deaf = shell("deaf", "trap '' TERM; while :; do sleep 0.1; done");
    let troubles = ground.settle(&mut daemons, &[missing, deaf]);
    let sentence =
        "there is no program nvt-no-such-program on this host; install it, on Debian with \"apt install dash\"";
    assert_eq!(troubles, [sentence]);
    let deaf = pid(&daemons, &ground, "deaf");
    in_its_loop(deaf);
    assert_eq!(ground.remove(&mut daemons), Vec::<String>::new());
    assert!(!alive(deaf));
}

#[test]
fn a_daemon_of_a_namespace_that_is_no_more_moves_to_the_new_one() {
    let mut ground = Ground::new("move");
    let supervisor = Supervisor::new().unwrap();
    let mut daemons = supervisor.of("test");
    ground.settle(&mut daemons, &[shell("mover", "exec sleep 600")]);
    let first = pid(&daemons, &ground, "mover");
    ground.renew();
    ground.settle(&mut daemons, &[shell("mover", "exec sleep 600")]);
    let second = other(&daemons, &ground, "mover", first);
    assert!(ground.namespace().holds(second));
    ground.remove(&mut daemons);
}
