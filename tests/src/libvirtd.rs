//! Debian's libvirtd as it runs on a host of a lab: one for each, with folders of its own, and virsh that asks it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use lab::{ForeignGuest, Node};
use nix::sys::signal::Signal;

use crate::stage::{LIMIT, eventually, program};
use crate::tools::Background;

/// The folders of libvirtd that are each host's own; where they are, and their names beside each other.
const FOLDERS: [(&str, &str); 5] = [
    ("/etc/libvirt", "etc"),
    ("/var/lib/libvirt", "lib"),
    ("/var/log/libvirt", "log"),
    ("/var/cache/libvirt", "cache"),
    ("/run/libvirt", "run"),
];

/// Where a domain's channels are, as libvirtd sees it.
const CHANNELS: &str = "/run/libvirt/guest";

/// Neither users, security labels, cgroups nor namespaces: a lab is one machine, and often a container.
const QEMU_CONF: &str = "user = \"root\"\ngroup = \"root\"\nsecurity_driver = \"none\"\nremember_owner = 0\n\
                         cgroup_controllers = []\nnamespaces = []\nstdio_handler = \"file\"\n";

/// A libvirtd; it ends when this goes, with the domains that it has.
pub struct Libvirtd {
    host: Node,
    folder: PathBuf,
    daemon: Option<Background>,
}

impl Libvirtd {
    /// Starts it on a host, whose agent's socket is named after it. All that it keeps is in the folder.
    pub fn start(host: Node, folder: &Path) -> Self {
        let inside = |name: &str| folder.join(name);
        for name in FOLDERS.iter().map(|(_, name)| *name).chain(["etc/hooks/qemu.d", "run/guest", "etc/qemu"]) {
            fs::create_dir_all(inside(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let write = |name: &str, text: &str| fs::write(inside(name), text).unwrap_or_else(|error| panic!("{error}"));
        // Two daemons on one machine would say that a domain moves from the host to itself.
        let uuid = uuid::Uuid::new_v4();
        write(
            "etc/libvirtd.conf",
            &format!(
                "host_uuid = \"{uuid}\"\nauth_unix_rw = \"none\"\nlog_outputs = \"3:file:{}\"\n",
                inside("log/libvirtd.log").display()
            ),
        );
        write("etc/qemu.conf", QEMU_CONF);
        let mounts: Vec<String> = FOLDERS
            .iter()
            .map(|(at, name)| format!("mkdir -p {at}; mount --bind {} {at}", inside(name).display()))
            .collect();
        write(
            "start",
            &format!("set -e\n{}\nexec libvirtd --pid-file {}\n", mounts.join("\n"), inside("pid").display()),
        );
        let mut new = Self { host, folder: folder.to_owned(), daemon: None };
        new.script("etc/hooks/qemu.d/netvirt", "libvirt/hooks/qemu");
        new.run();
        new
    }

    /// Puts a script in place as it is shipped, but with the program that is tested and the socket of this host's agent; says
    /// where it is.
    pub fn script(&self, name: &str, example: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(example);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(text.contains("exec netvirt "), "{text}");
        let netvirt = format!("exec {} --host {} ", program().display(), self.host.name());
        let file = self.file(name, &text.replace("exec netvirt ", &netvirt));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("a script may be run");
        file
    }

    /// Runs the daemon.
    fn run(&mut self) {
        let script = self.folder.join("start").display().to_string();
        let daemon = Background::start(&self.host, &format!("unshare --mount --propagation private sh {script}"));
        let answers = || self.virsh(&["version"]).is_ok();
        assert!(eventually(LIMIT, answers), "libvirtd does not answer: {}\n{}", daemon.output(), self.log());
        self.daemon = Some(daemon);
    }

    /// Ends the daemon and starts it anew; domains run on meanwhile.
    pub fn restart(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.end(Signal::SIGTERM);
        }
        self.run();
    }

    /// The URI by which virsh, on any host of the machine, reaches it.
    pub fn uri(&self) -> String {
        format!("qemu+unix:///system?socket={}", self.folder.join("run/libvirt-sock").display())
    }

    /// What `virsh ARGUMENTS` prints.
    ///
    /// # Errors
    /// What it complains about.
    pub fn virsh(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new("timeout");
        // From the host's own namespace, so that addresses of other hosts are looked at from there.
        command.args(["60", "virsh", "--quiet", "--connect", &self.uri()]).args(arguments).stdin(Stdio::null());
        let output = command.output().unwrap_or_else(|error| panic!("cannot run virsh: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// The same; it must end well.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        self.virsh(arguments).unwrap_or_else(|error| panic!("virsh {}: {error}\n{}", arguments.join(" "), self.log()))
    }

    /// What `virsh ARGUMENTS` complains about; it must be refused.
    #[track_caller]
    pub fn refused(&self, arguments: &[&str]) -> String {
        match self.virsh(arguments) {
            Ok(said) => panic!("virsh {} was to be refused: {said}", arguments.join(" ")),
            Err(error) => error,
        }
    }

    /// Writes something down that virsh is to read, and says where.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path.display().to_string()
    }

    /// Runs a command in a domain on this host; it must end well.
    #[track_caller]
    pub fn inside(&self, domain: &str, command: &str) -> String {
        let (code, said) = self.try_inside(domain, command);
        assert_eq!(code, 0, "{command} in {domain}: {said}");
        said
    }

    /// Runs a command in a domain on this host: its exit code, and what it printed.
    #[track_caller]
    pub fn try_inside(&self, domain: &str, command: &str) -> (i32, String) {
        let guest = ForeignGuest::in_folder(&self.folder.join("run/guest").join(domain));
        let limit = Duration::from_secs(30);
        let mut last = String::new();
        let mut done = None;
        // A guest that boots has no channel yet.
        let ran = eventually(Duration::from_secs(60), || match guest.output(&["sh", "-c", command], limit) {
            Ok(ended) => {
                done = Some(ended);
                true
            }
            Err(error) => {
                last = error.to_string();
                false
            }
        });
        assert!(ran, "{domain} does not run \"{command}\": {last}\n{}", self.console(domain));
        done.unwrap_or_default()
    }

    /// The domain of a guest of the lab's kind, with these interfaces.
    pub fn domain(&self, name: &str, interfaces: &str) -> String {
        fs::create_dir_all(self.folder.join("run/guest").join(name)).expect("a folder for channels");
        let (kernel, initramfs) = ForeignGuest::boot_files().unwrap_or_else(|error| panic!("{error}"));
        let channel = |(inside, socket): (String, String)| {
            format!(
                "<channel type='unix'><source mode='bind' path='{CHANNELS}/{name}/{socket}'/><target type='virtio' \
                 name='{inside}'/></channel>"
            )
        };
        let channels: String = ForeignGuest::channels().map(channel).collect();
        // Interfaces can come to this machine type while it runs, without further ado.
        format!(
            "<domain type='qemu'><name>{name}</name><memory unit='MiB'>160</memory><vcpu>1</vcpu>\
             <os><type arch='x86_64' machine='pc'>hvm</type><kernel>{}</kernel><initrd>{}</initrd><cmdline>{}</cmdline></os>\
             <features><acpi/></features><on_reboot>destroy</on_reboot><on_crash>destroy</on_crash><devices>\
             <serial type='file'><source path='{CHANNELS}/{name}/console'/></serial>{channels}{interfaces}\
             <memballoon model='none'/></devices></domain>",
            kernel.display(),
            initramfs.display(),
            ForeignGuest::KERNEL_WORDS
        )
    }

    fn console(&self, domain: &str) -> String {
        fs::read_to_string(self.folder.join("run/guest").join(domain).join("console")).unwrap_or_default()
    }

    /// What the daemon has complained about.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log/libvirtd.log")).unwrap_or_default()
    }
}

impl Drop for Libvirtd {
    fn drop(&mut self) {
        // A QEMU outlives its daemon.
        for domain in self.virsh(&["list", "--name"]).unwrap_or_default().split_whitespace() {
            let _ = self.virsh(&["destroy", domain]);
        }
    }
}
