//! The process of a WireGuard tunnel where the kernel has no WireGuard: gotatun between a tun device and UDP.
//!
//! It is a process of its own so that it outlives the gateway. Its device is persistent and was made before: when the process
//! ends, the device stays with its addresses and routes, and what is sent into it is lost instead of going elsewhere.

use std::fs::File;
use std::io;
use std::iter;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gotatun::device::uapi::{UapiClient, UapiServer};
use gotatun::device::{Device, DeviceBuilder, Peer};
use gotatun::packet::{Ip, Packet, PacketBufPool};
use gotatun::tun::{IpRecv, IpSend, MtuWatcher};
use gotatun::udp::socket::UdpSocketFactory;
use gotatun::x25519::{PublicKey, StaticSecret};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};

use super::configuration::Configuration;
use crate::tunnel_device::make_room;

/// What the process of a tunnel is started with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WireguardOptions {
    /// The tun device, which is there.
    pub device: String,
    /// Its configuration, in the words of `wg(8)`. It is read again on SIGHUP.
    pub config: PathBuf,
    /// The device's MTU in bytes.
    pub mtu: u16,
    /// The socket at which it tells how the tunnel is, by WireGuard's cross-platform interface.
    pub socket: PathBuf,
}

/// Why the process of a tunnel ends.
#[derive(Debug, thiserror::Error)]
pub enum WireguardError {
    /// The configuration cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The configuration says what is not understood.
    #[error(
        "{path} does not say well what {line} is; it is written by the gateway, which does so again when it starts"
    )]
    Configuration {
        /// Which file.
        path: PathBuf,
        /// Its line, as far as it is no secret.
        line: String,
    },
    /// The device cannot be used.
    #[error(transparent)]
    Device(#[from] host::Error),
    /// Something of the process itself.
    #[error("cannot {action}: {source}")]
    Process {
        /// What was tried.
        action: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
    /// The implementation refuses.
    #[error("WireGuard at {device}: {reason}; does another program listen at its port?")]
    Wireguard {
        /// The device.
        device: String,
        /// Its words.
        reason: String,
    },
}

/// Runs a tunnel until SIGTERM.
///
/// # Errors
/// When it cannot be started, or its device or sockets fail for good.
pub fn run_wireguard(options: &WireguardOptions) -> Result<(), WireguardError> {
    let failed = |action| move |source| WireguardError::Process { action, source };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(failed("start threads"))?.block_on(run(options))
}

/// The device in its making: UDP of the kernel's, the tun device for both directions.
type Tunnel = Device<(UdpSocketFactory, Tun, Tun)>;

async fn run(options: &WireguardOptions) -> Result<(), WireguardError> {
    let failed = |action| move |source| WireguardError::Process { action, source };
    // Signals first: what comes before they are awaited would end the process.
    let mut again = signal(SignalKind::hangup()).map_err(failed("wait for SIGHUP"))?;
    let mut end = signal(SignalKind::terminate()).map_err(failed("wait for SIGTERM"))?;
    let mut known = read(&options.config)?;
    let file = host::open_tun(&options.device)?;
    let tun = Tun::new(file, options.mtu).map_err(failed("wait for packets"))?;
    let server = listen(&options.socket).map_err(failed("listen at the tunnel's socket"))?;
    let refused = |error: gotatun::device::Error| WireguardError::Wireguard {
        device: options.device.clone(),
        reason: error.to_string(),
    };
    let builder = DeviceBuilder::new().with_default_udp().with_ip_pair(tun.clone(), tun).with_uapi(server);
    let builder = builder.with_private_key(StaticSecret::from(known.private_key)).with_listen_port(known.listen_port);
    let mut device: Tunnel = builder.with_peer(peer(&known)).build().await.map_err(refused)?;
    // By gotatun's own settings they would have what the machine allows everybody, which is no more than the default.
    make_room(std::process::id());
    tracing::info!(device = options.device, port = known.listen_port, "WireGuard, in user space");
    loop {
        tokio::select! {
            _ = end.recv() => break,
            () = device.wait() => {
                let reason = "its device or its sockets failed".to_owned();
                return Err(WireguardError::Wireguard { device: options.device.clone(), reason });
            }
            _ = again.recv() => match read(&options.config) {
                Ok(wanted) if wanted == known => {}
                Ok(wanted) => {
                    change(&device, &known, &wanted).await.map_err(refused)?;
                    // Another port is another socket.
                    make_room(std::process::id());
                    known = wanted;
                }
                Err(error) => tracing::error!("{error}; the tunnel stays as it was"),
            },
        }
    }
    device.stop().await;
    let _ = std::fs::remove_file(&options.socket);
    Ok(())
}

fn read(path: &Path) -> Result<Configuration, WireguardError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| WireguardError::Read { path: path.to_owned(), source })?;
    Configuration::read(&text).map_err(|line| WireguardError::Configuration { path: path.to_owned(), line })
}

/// Changes what differs. A session with a peer whose key stays goes on.
async fn change(device: &Tunnel, known: &Configuration, wanted: &Configuration) -> Result<(), gotatun::device::Error> {
    let change = device.write(async |device| {
        if wanted.private_key != known.private_key {
            device.set_private_key(StaticSecret::from(wanted.private_key)).await;
        }
        if wanted.listen_port != known.listen_port {
            device.set_listen_port(wanted.listen_port);
        }
        let peer_key = PublicKey::from(wanted.peer_key);
        if wanted.peer_key != known.peer_key {
            device.remove_peer(&PublicKey::from(known.peer_key)).await;
            device.add_peer(peer(wanted));
            return;
        }
        let allowed = peer(wanted).allowed_ips;
        device
            .modify_peer(&peer_key, |peer| {
                // Where the peer was last heard from is no configuration, and stays.
                if wanted.endpoint != known.endpoint {
                    peer.set_endpoint(wanted.endpoint);
                }
                peer.set_preshared_key(wanted.preshared_key);
                peer.set_keepalive(wanted.keepalive);
                peer.clear_allowed_ips();
                peer.add_allowed_ips(allowed);
            })
            .await;
    });
    change.await
}

fn peer(configuration: &Configuration) -> Peer {
    let mut peer = Peer::new(PublicKey::from(configuration.peer_key));
    peer.endpoint = configuration.endpoint;
    peer.preshared_key = configuration.preshared_key;
    peer.keepalive = configuration.keepalive;
    // Of one crate for prefixes into the other's, whose name is not needed.
    peer.allowed_ips = configuration.allowed.iter().filter_map(|prefix| prefix.to_string().parse().ok()).collect();
    peer
}

/// Serves WireGuard's cross-platform interface at a socket, whose path may be longer than a socket's address holds.
fn listen(socket: &Path) -> io::Result<UapiServer> {
    let missing = || io::Error::from(io::ErrorKind::InvalidInput);
    let folder = File::open(socket.parent().ok_or_else(missing)?)?;
    let name = socket.file_name().ok_or_else(missing)?.to_string_lossy();
    let _ = std::fs::remove_file(socket);
    let listener = UnixListener::bind(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()))?;
    let (client, server) = UapiServer::new();
    std::thread::Builder::new().name("uapi".to_owned()).spawn(move || serve(&listener, &client))?;
    Ok(server)
}

fn serve(listener: &UnixListener, client: &UapiClient) {
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => client.clone().wrap_read_write(stream),
            // Too many open files, for example: they become fewer.
            Err(error) => {
                tracing::warn!("cannot take a connection: {error}");
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }
}

/// A tun device, for gotatun.
#[derive(Clone)]
struct Tun {
    file: Arc<AsyncFd<File>>,
    mtu: MtuWatcher,
}

impl Tun {
    fn new(file: File, mtu: u16) -> io::Result<Self> {
        // SAFETY: a `File` that is never exchanged has one descriptor as long as it lives, and `AsyncFd` owns it.
        let file = unsafe { AsyncFd::register(file) }.map_err(io::Error::from)?;
        Ok(Self { file: Arc::new(file), mtu: MtuWatcher::new(mtu) })
    }
}

impl IpSend for Tun {
    async fn send(&mut self, packet: Packet<Ip>) -> io::Result<()> {
        let bytes = packet.into_bytes();
        let sent = self.file.async_io(Interest::WRITABLE, |mut file| io::Write::write(&mut file, &bytes)).await;
        match sent {
            // A packet that the kernel does not take, since it is none or the device is down, is lost, as on any link.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EIO | libc::ENOBUFS)) => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

impl IpRecv for Tun {
    async fn recv<'a>(
        &'a mut self,
        pool: &mut PacketBufPool,
    ) -> io::Result<impl Iterator<Item = Packet<Ip>> + Send + 'a> {
        loop {
            let mut packet = pool.get();
            let length =
                self.file.async_io(Interest::READABLE, |mut file| io::Read::read(&mut file, &mut packet)).await?;
            packet.truncate(length);
            // What is no IP packet is passed over.
            if let Ok(packet) = packet.try_into_ip() {
                return Ok(iter::once(packet));
            }
        }
    }

    fn mtu(&self) -> MtuWatcher {
        self.mtu.clone()
    }
}
