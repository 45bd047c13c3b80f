//! Tunnels: the sites' ends, and those of routers that have nothing but the daemon.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use host::{LinkKind, Namespace, Netlink};
use lab::Node;

use super::daemon::{Daemon, own, read, script, write};
use super::{cloud::Cloud, failed};
use crate::Error;

/// Which VPN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// WireGuard.
    Wireguard,
    /// IPsec.
    Ipsec,
}

impl Kind {
    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Wireguard => "WireGuard",
            Self::Ipsec => "IPsec",
        }
    }

    /// The device of the only tunnel of a router without compartments.
    pub(super) const fn device(self) -> &'static str {
        match self {
            Self::Wireguard => "wg0",
            Self::Ipsec => "ipsec0",
        }
    }
}

/// The pre-shared key of all tunnels of IPsec.
pub(super) const PSK: &str = "opensesame";
/// The port where WireGuard listens.
pub(super) const PORT: u16 = 51820;
/// Debian's charon.
pub(super) const CHARON: &str = "/usr/lib/ipsec/charon";

/// One end of a tunnel of IPsec, as it sees it.
pub(super) struct Ipsec<'t> {
    pub(super) local: Ipv4Addr,
    /// An address, or `%any`.
    pub(super) remote: &'t str,
    pub(super) here: &'t str,
    pub(super) there: &'t str,
    /// Whether policies belong to an XFRM interface, as a compartment's do where the kernel does ESP.
    pub(super) interface: bool,
}

impl Ipsec<'_> {
    /// What swanctl reads. The proposals are the first of those that a compartment makes.
    fn configuration(&self) -> String {
        let Self { local, remote, here, there, interface } = self;
        let ids = if *interface { "if_id_in = 1\n if_id_out = 1" } else { "" };
        format!(
            "connections {{ bench {{\n version = 2\n local_addrs = {local}\n remote_addrs = {remote}\n encap = yes\n unique = never\n \
             proposals = aes256gcm16-prfsha384-ecp384\n {ids}\n local {{\n auth = psk\n id = {local}\n }}\n remote {{\n auth = psk\n \
             id = %any\n }}\n children {{ bench {{\n local_ts = {here}\n remote_ts = {there}\n esp_proposals = \
             aes256gcm16-ecp384\n }} }}\n }} }}\nsecrets {{ ike-bench {{\n secret = \"{PSK}\"\n }} }}\n"
        )
    }

    /// Starts a charon with the settings of a compartment's, and tells it of the tunnel.
    pub(super) fn start(&self, node: &Node, folder: &Path, settings: &str) -> Result<Daemon, Error> {
        let (conf, tunnel) = (own(folder, "strongswan.conf"), folder.join("swanctl.conf"));
        write(&conf, settings)?;
        write(&tunnel, &self.configuration())?;
        let command = ["env", "STRONGSWAN_CONF=/run/strongswan.conf", CHARON];
        let mut daemon = Daemon::start(node, folder, "charon", &command)?;
        daemon.until(|run| std::os::unix::net::UnixStream::connect(run.join("charon.vici")).is_ok())?;
        let load = Self::swanctl(folder, "--load-all");
        script(node, &format!("{load} --file {}", tunnel.display()))?;
        Ok(daemon)
    }

    /// Opens the tunnel from this end.
    pub(super) fn open(node: &Node, folder: &Path) -> Result<(), Error> {
        script(node, &Self::swanctl(folder, "--initiate --child bench --timeout 15")).map(drop)
    }

    fn swanctl(folder: &Path, command: &str) -> String {
        let [conf, socket] = ["strongswan.conf", "charon.vici"].map(|name| own(folder, name).display().to_string());
        format!("STRONGSWAN_CONF={conf} swanctl {command} --uri unix://{socket}")
    }
}

/// Keys of WireGuard: private and public ones.
pub(super) fn keys(node: &Node, count: usize) -> Result<Vec<(String, String)>, Error> {
    let text = format!("for i in $(seq {count}); do k=$(wg genkey); echo $k $(echo $k | wg pubkey); done");
    let text = script(node, &text)?;
    let pair = |line: &str| line.split_once(' ').map(|(private, public)| (private.to_owned(), public.to_owned()));
    let keys: Vec<_> = text.lines().filter_map(pair).collect();
    if keys.len() == count { Ok(keys) } else { Err(failed("make keys of WireGuard")(&text)) }
}

/// Starts a site's wireguard-go, whose peers have these public keys and may send from these prefixes.
pub(super) fn wireguard_go(
    node: &Node,
    folder: &Path,
    private_key: &str,
    peers: &[(String, String)],
) -> Result<Daemon, Error> {
    let mut daemon = Daemon::start(node, folder, "wireguard-go", &["wireguard-go", "-f", "wg0"])?;
    daemon.until(|run| run.join("wireguard/wg0.sock").exists())?;
    let mut text = format!("[Interface]\nPrivateKey = {private_key}\nListenPort = {PORT}\n");
    for (key, allowed) in peers {
        text += &format!("[Peer]\nPublicKey = {key}\nAllowedIPs = {allowed}\n");
    }
    write(&own(folder, "wg0.conf"), &text)?;
    let inside = format!("mount --bind {} /run && exec wg setconf wg0 /run/wg0.conf", folder.join("run").display());
    script(node, &format!("unshare --mount --propagation private sh -c '{inside}'\nip link set wg0 mtu 1420 up"))?;
    Ok(daemon)
}

/// What a compartment has told its VPN daemons, for one that has no compartment around it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) kind: Kind,
    /// The text of `strongswan.conf`, or of the tunnel's file of WireGuard.
    pub(super) text: String,
    /// MTU of the tunnel's device.
    pub(super) mtu: u32,
    /// Whether the kernel carries it.
    pub(super) by_kernel: bool,
}

impl Told {
    /// Reads what the gateway of a cloud has told the daemon of a tenant.
    pub(super) fn look(cloud: &Cloud, tenant: &str, kind: Kind) -> Result<Self, Error> {
        let namespace = cloud.compartment(tenant)?;
        let name = namespace.name().unwrap_or_default();
        let folder = cloud.lab.gateway_folder(&cloud.gateway)?.join("compartments").join(name);
        // In a compartment, devices of WireGuard have names by their connections' numbers.
        let links = Netlink::in_namespace(&namespace)?.links()?;
        let of_kind = |name: &str| match kind {
            Kind::Ipsec => name == kind.device(),
            Kind::Wireguard => name.starts_with("wg"),
        };
        let link = links.into_iter().find(|link| of_kind(&link.name));
        let link =
            link.ok_or_else(|| failed("find the tunnel's device")(&format!("there is none of {}", kind.name())))?;
        let file = match kind {
            Kind::Ipsec => "charon/strongswan.conf".to_owned(),
            Kind::Wireguard => format!("{}.conf", link.name),
        };
        Ok(Self { kind, text: read(&folder.join(file))?, mtu: link.mtu, by_kernel: link.kind != LinkKind::Tun })
    }

    /// Who carries it, in words.
    pub(super) fn carrier(&self) -> String {
        let by = if self.by_kernel { "the kernel" } else { "a process" };
        format!("{}: carried by {by}, in the compartment and without one", self.kind.name())
    }

    /// Starts the same daemon in a node that has the address `own` outside, for what is behind a site.
    pub(super) fn start(&self, at: &Alone<'_>) -> Result<Option<Daemon>, Error> {
        match self.kind {
            Kind::Ipsec => self.charon(at).map(Some),
            Kind::Wireguard => self.wireguard(at),
        }
    }

    fn charon(&self, at: &Alone<'_>) -> Result<Daemon, Error> {
        if self.by_kernel {
            script(at.node, "ip link add ipsec0 type xfrm dev outside if_id 1")?;
        }
        let site = at.site.to_string();
        let (here, there) = (at.here, at.there);
        let end = Ipsec { local: at.own, remote: &site, here, there, interface: self.by_kernel };
        let daemon = end.start(at.node, &at.folder, &self.text)?;
        self.lead(at)?;
        Ipsec::open(at.node, &at.folder)?;
        Ok(daemon)
    }

    /// Where the kernel carries it, there is no daemon.
    fn wireguard(&self, at: &Alone<'_>) -> Result<Option<Daemon>, Error> {
        let path = own(&at.folder, "wg0.conf");
        write(&path, &self.text)?;
        if self.by_kernel {
            script(at.node, &format!("ip link add wg0 type wireguard\nwg setconf wg0 {}", path.display()))?;
            self.lead(at)?;
            return Ok(None);
        }
        at.node.netlink()?.create_tun("wg0")?;
        self.lead(at)?;
        let (program, mtu) = (at.program.display().to_string(), self.mtu.to_string());
        let files = ["--device", "wg0", "--config", "/run/wg0.conf", "--status", "/run/status", "--mtu", &mtu];
        let command = [&[program.as_str(), "gateway", "wireguard"], files.as_slice()].concat();
        let mut daemon = Daemon::start(at.node, &at.folder, "netvirt gateway wireguard", &command)?;
        daemon.until(|run| run.join("status").exists())?;
        Ok(Some(daemon))
    }

    /// Leads what is behind the site into the tunnel.
    fn lead(&self, at: &Alone<'_>) -> Result<(), Error> {
        let (device, mtu, there) = (self.kind.device(), self.mtu, at.there);
        script(at.node, &format!("ip link set {device} mtu {mtu} up\nip route replace {there} dev {device}")).map(drop)
    }
}

/// A router that has a VPN daemon and no compartment.
pub(super) struct Alone<'t> {
    pub(super) node: &'t Node,
    pub(super) folder: PathBuf,
    pub(super) program: &'t Path,
    /// Its address outside.
    pub(super) own: Ipv4Addr,
    pub(super) site: Ipv4Addr,
    pub(super) here: &'t str,
    pub(super) there: &'t str,
}

/// Whether a namespace has a device.
pub(super) fn has_device(namespace: &Namespace, device: &str) -> bool {
    Netlink::in_namespace(namespace).is_ok_and(|netlink| netlink.link(device).is_ok())
}
