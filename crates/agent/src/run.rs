//! The life of an agent: checks, start, three watchers (devices, learnt addresses, the socket), end.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use datapath::Events;
use host::{LinkWatch, Netlink};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::core::Core;
use crate::error::RunError;
use crate::local_api::LocalApi;
use crate::session::{Controlled, has_joined};

/// How many device events that wait already are acted on together.
const GATHERED: usize = 1024;

/// The core, shared by the watchers. A panic in one of them leaves it as it is: what is in force is in the kernel.
pub type Shared = Arc<Mutex<Core>>;

/// Locks the core.
pub fn lock(core: &Shared) -> MutexGuard<'_, Core> {
    core.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs an agent until it is asked to end by SIGTERM or SIGINT; with `check`, only says what would forbid a
/// start.
///
/// # Errors
/// When the configuration, this host or the kernel does not allow it. Nothing is changed then.
pub fn run(config: &Path, check: bool) -> Result<(), RunError> {
    run_with(Config::read(config)?, check)
}

/// As [`run`], without a configuration file, for a host that has joined a controller. `state` is the folder of what the
/// agent keeps, by default [`Config::DEFAULT_STATE`].
///
/// # Errors
/// When the host has not joined, or as [`run`].
pub fn run_joined(state: Option<&Path>, check: bool) -> Result<(), RunError> {
    let config = Config::without_file(state);
    // Not more than this is read before it is known that no other agent of this host runs.
    if !has_joined(&config.state)? {
        return Err(RunError::NotJoined(config.state));
    }
    run_with(config, check)
}

fn run_with(mut config: Config, check: bool) -> Result<(), RunError> {
    host::capabilities::require(&host::capabilities::Capability::AGENT)?;
    host::kernel::check()?;
    if check {
        return Core::check(&config);
    }
    start_log();
    host::kernel::ensure_bpffs(&config.bpffs)?;
    // The socket comes first: of two agents of one host the second must not touch anything.
    let socket = api::Socket::bind(&config.socket)?;
    let watch = Netlink::current()?.watch_links()?;
    let mut controlled = Controlled::read(&config.state)?;
    if let Some(controlled) = &controlled {
        // A host is called the same everywhere, unless the configuration says otherwise.
        config.name = config.name.or_else(|| controlled.host().as_str().parse().ok());
    }
    let known = controlled.as_mut().map(Controlled::resources).unwrap_or_default();
    let mut core = Core::start(&config, known)?;
    let events = core.datapath.take_events()?;
    tracing::info!(host = core.name, socket = %config.socket.display(), "started");
    let core = Arc::new(Mutex::new(core));
    watch_devices(watch, Arc::clone(&core))?;
    watch_events(events, Arc::clone(&core))?;
    crate::punts::watch(&core)?;
    crate::flows::keep(Arc::clone(&core))?;
    crate::policy_log::watch(&core)?;
    let claimant = controlled.as_ref().map(Controlled::claimant);
    if let Some(controlled) = controlled {
        controlled.start(Arc::clone(&core))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|source| RunError::Io { what: "start the runtime", source })?;
    runtime.block_on(serve(socket, LocalApi(core, claimant)))
}

/// The agent's own log goes to the standard error; `RUST_LOG` chooses how much.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // A second subscriber, in a test for example, is refused, and the first one serves.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).try_init();
}

/// Binds ports when their devices appear, and unbinds them when they go.
fn watch_devices(mut watch: LinkWatch, core: Shared) -> Result<(), RunError> {
    let body = move || {
        while let Some(event) = watch.next() {
            let mut events = match event {
                Ok(event) => vec![event],
                Err(error) => {
                    tracing::error!("cannot watch devices any more: {error}");
                    return;
                }
            };
            while let (true, Ok(Some(event))) = (events.len() < GATHERED, watch.next_within(Duration::ZERO)) {
                events.push(event);
            }
            lock(&core).devices(events);
        }
    };
    std::thread::Builder::new()
        .name("devices".to_owned())
        .spawn(body)
        .map(|_| ())
        .map_err(|source| RunError::Io { what: "start the watch over devices", source })
}

/// Answers on the socket until a signal says to end.
async fn serve(socket: api::Socket, local: LocalApi) -> Result<(), RunError> {
    let io = |what| move |source| RunError::Io { what, source };
    let mut terminate = signal(SignalKind::terminate()).map_err(io("wait for SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(io("wait for SIGINT"))?;
    let bell = Arc::clone(&lock(&local.0).gateways.bell);
    let end = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to end; programs and tables stay in force");
        bell.close();
    };
    api::server::serve(socket, Arc::new(local), end).await.map_err(io("serve the socket"))?;
    Ok(())
}

/// Takes over the addresses that the kernel programs heard.
fn watch_events(mut events: Events, core: Shared) -> Result<(), RunError> {
    let body = move || loop {
        if let Err(error) = events.wait() {
            tracing::error!("cannot hear of addresses to learn any more: {error}");
            return;
        }
        while let Some(learn) = events.next_event() {
            lock(&core).learn(&learn);
        }
    };
    std::thread::Builder::new()
        .name("events".to_owned())
        .spawn(body)
        .map(|_| ())
        .map_err(|source| RunError::Io { what: "start the watch over events", source })
}
