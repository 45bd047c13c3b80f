//! What nobody here wrote and a gateway meets outside: strongSwan, FRR, BIRD, wireguard-go, dnsmasq, each as its makers ship it,
//! in a node of a lab, with folders of its own. It ends when its handle goes.

mod authority;
mod greeter;
mod names;
mod routing;
mod strongswan;
mod wireguard;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lab::Node;
use tempfile::TempDir;

pub use authority::{Authority, Signed};
pub use greeter::{Conversation, Greeter, ask, ask_udp};
pub use names::Dnsmasq;
pub use routing::{Bird, Frr};
pub use strongswan::{IpsecPeer, StrongSwan};
pub use wireguard::{WireguardGo, WireguardPeer, wireguard_keys};

use crate::tools::Background;

/// How long one command to a daemon may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Folders that a daemon in a node has for itself, and commands that see them.
struct Den {
    node: Node,
    folder: TempDir,
}

impl Den {
    /// One where each of these folders of the machine is the daemon's own, and `/run` besides.
    #[track_caller]
    fn new(node: Node, own: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let mut script = "#!/bin/sh\nset -e\n".to_owned();
        for at in own.iter().chain(&["/run"]) {
            let inside = folder.path().join(at.trim_start_matches('/').replace('/', "-"));
            fs::create_dir(&inside).expect("a scratch folder takes folders");
            script += &format!("mount --bind {} {at}\n", inside.display());
        }
        let den = Self { node, folder };
        den.file("enter", &format!("{script}exec \"$@\"\n"));
        den
    }

    /// Where something in the folder of this name lies, as seen by everybody.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file down that everybody may read, and says where.
    #[track_caller]
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path.display().to_string()
    }

    /// A command as it is run with the folders in place.
    fn words(&self, command: &str) -> String {
        let enter = self.path("enter");
        format!("unshare --mount --propagation private sh {} {command}", enter.display())
    }

    /// Starts a daemon; it stays in the foreground. Words are divided by spaces.
    #[track_caller]
    fn start(&self, command: &str) -> Background {
        Background::start(&self.node, &self.words(command))
    }

    /// What a command prints; it must end well.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        let enter = self.path("enter");
        let before = ["unshare", "--mount", "--propagation", "private", "sh", text(&enter)];
        let output =
            self.node.output(&[&before[..], arguments].concat(), LIMIT).unwrap_or_else(|error| panic!("{error}"));
        output.ok().unwrap_or_else(|error| panic!("{error}"))
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a scratch path is readable")
}
