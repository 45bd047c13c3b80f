//! What lies outside: a network with routers that are not ours.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use host::Namespace;
use nix::unistd::User;

use super::{Ground, Watch, run_in, until};

/// The other side of a compartment's devices: `link` is that of `outside`, `lan` that of `inside`.
pub struct Outside {
    name: String,
    namespace: Namespace,
}

impl Outside {
    /// A namespace with these addresses at `link`. The compartment's devices get its own.
    pub fn new(ground: &Ground, addresses: &[&str]) -> Self {
        let name = format!("{}-out", ground.namespace().name().unwrap());
        let namespace = Namespace::create(&name).unwrap();
        let outside = Self { name, namespace };
        for (near, far) in [("outside", "link"), ("inside", "lan")] {
            ground.run("ip", &["link", "add", near, "type", "veth", "peer", "name", far, "netns", &outside.name]);
        }
        let own = ground.compartment.inside.addresses.iter().map(|address| ("inside", address.to_string()));
        let outer = super::outside().addresses.into_iter().map(|address| ("outside", address.to_string()));
        let add = |namespace: &Namespace, device: &str, address: &str| {
            let nodad: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
            run_in(namespace, "ip", &[&["address", "add", address, "dev", device], nodad].concat());
        };
        own.chain(outer).for_each(|(device, address)| add(ground.namespace(), device, &address));
        addresses.iter().for_each(|address| add(&outside.namespace, "link", address));
        for device in ["lo", "outside", "inside"] {
            ground.run("ip", &["link", "set", "dev", device, "up"]);
        }
        for device in ["lo", "link", "lan"] {
            run_in(&outside.namespace, "ip", &["link", "set", "dev", device, "up"]);
        }
        outside
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Watches changes of routes.
    pub fn watch_routes(&self) -> Watch {
        Watch::start(&self.namespace)
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = Namespace::delete(&self.name);
    }
}

/// A process that ends with the test.
struct Daemon(Child);

impl Daemon {
    fn start(namespace: &Namespace, program: &str, arguments: &[&str], log: &Path) -> Self {
        let log = fs::File::create(log).unwrap();
        let mut command = namespace.command(program);
        command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let missing = |error| panic!("{program}: {error}; \"make tools\" installs what tests need");
        Self(command.spawn().unwrap_or_else(missing))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder that belongs to a user.
fn folder_of(user: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let user = User::from_name(user).unwrap().unwrap_or_else(|| panic!("there is no user {user}; run \"make tools\""));
    chown(folder.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    folder
}

/// A BIRD as a neighbor.
pub struct Bird {
    namespace: Namespace,
    folder: tempfile::TempDir,
    _daemon: Daemon,
}

impl Bird {
    /// One that speaks from this address, announces these prefixes, and has more words in its session.
    pub fn start(outside: &Outside, address: &str, own: u32, other: u32, announced: &[&str], more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let routes: String = announced.iter().map(|prefix| format!("  route {prefix} via \"link\";\n")).collect();
        let config = format!(
            "log stderr all;\nrouter id 9.9.9.{};\nprotocol device {{ }}\nprotocol static {{\n  ipv4;\n{routes}}}\n\
             protocol bgp peer {{\n  local {address} as {own};\n  neighbor 192.0.2.10 as {other};\n  strict bind yes;\n  \
             connect retry time 2; error wait time 1, 2; {more}\n  \
             ipv4 {{ import all; export where source = RTS_STATIC; next hop self; }};\n}}\n",
            address.rsplit('.').next().unwrap()
        );
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        fs::write(path("bird.conf"), config).unwrap();
        let arguments = ["-f", "-c", &path("bird.conf"), "-s", &path("bird.ctl"), "-P", &path("bird.pid")];
        let daemon = Daemon::start(outside.namespace(), "bird", &arguments, &folder.path().join("log"));
        Self { namespace: outside.namespace().clone(), folder, _daemon: daemon }
    }

    /// The prefixes that it was told.
    pub fn told(&self) -> String {
        let socket = self.folder.path().join("bird.ctl");
        let socket = socket.to_string_lossy();
        let text = run_in(&self.namespace, "birdc", &["-s", &socket, "show", "route", "protocol", "peer"]);
        let prefixes = text.lines().filter(|line| line.contains('/')).filter_map(|line| line.split_whitespace().next());
        prefixes.collect::<Vec<_>>().join(" ")
    }
}

/// FRR as a neighbor.
pub struct Frr {
    namespace: Namespace,
    folder: tempfile::TempDir,
    _daemons: [Daemon; 2],
}

impl Frr {
    /// One with this configuration of bgpd.
    pub fn start(outside: &Outside, config: &str) -> Self {
        let folder = folder_of("frr");
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        for (name, config) in [("zebra.conf", ""), ("bgpd.conf", config)] {
            fs::write(path(name), config).unwrap();
        }
        let (run, zserv) = (folder.path().to_string_lossy().into_owned(), path("zserv.api"));
        let start = |program: &str| {
            let (file, pid) = (path(&format!("{program}.conf")), path(&format!("{program}.pid")));
            let arguments =
                ["-f", &file, "-i", &pid, "-z", &zserv, "--vty_socket", &run, "-A", "127.0.0.1", "--log", "stdout"];
            let program_path = PathBuf::from("/usr/lib/frr").join(program);
            let log = folder.path().join(format!("{program}.log"));
            Daemon::start(outside.namespace(), &program_path.to_string_lossy(), &arguments, &log)
        };
        let zebra = start("zebra");
        until("zebra listens", || Path::new(&zserv).exists().then_some(()));
        let daemons = [zebra, start("bgpd")];
        until("bgpd listens", || folder.path().join("bgpd.vty").exists().then_some(()));
        Self { namespace: outside.namespace().clone(), folder, _daemons: daemons }
    }

    /// Whether it says these words when it is asked.
    pub fn says(&self, question: &str, words: &str) -> bool {
        self.ask(question).contains(words)
    }

    /// Waits until nothing that it knows of us is stale.
    pub fn until_settled(&self) {
        for question in ["show bgp ipv4 unicast 10.0.0.0/24", "show bgp ipv6 unicast fd00:a::/64"] {
            until("nothing is stale", || {
                let said = self.ask(question);
                (said.contains("best") && !said.contains("tale")).then_some(())
            });
        }
    }

    fn ask(&self, question: &str) -> String {
        let run = self.folder.path().to_string_lossy().into_owned();
        run_in(&self.namespace, "vtysh", &["--vty_socket", &run, "-c", question])
    }
}

/// A dnsmasq as somebody's server.
pub struct Server {
    _folder: tempfile::TempDir,
    _daemon: Daemon,
}

impl Server {
    /// One that answers at this address, with these words of configuration.
    pub fn start(outside: &Outside, address: &str, config: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listen = format!("--listen-address={address}");
        let fixed = ["--keep-in-foreground", "--conf-file=/dev/null", "--bind-interfaces", "--no-resolv", "--no-hosts"];
        let more = ["--user=root", "--pid-file", "--log-facility=-", &listen];
        let arguments = [&fixed[..], &more[..], config].concat();
        let daemon = Daemon::start(outside.namespace(), "dnsmasq", &arguments, &folder.path().join("log"));
        Self { _folder: folder, _daemon: daemon }
    }
}
