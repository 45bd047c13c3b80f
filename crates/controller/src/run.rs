//! The life of a controller: store, authority, first start, two servers, end.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use api::fabric::{FabricApi, Pages, ServerTls, TlsIdentity};
use proto::Hub;
use proto::ca::{Authority, Certified, RENEWAL_LOOK, lifetime};
use store::{RedbStore, Store};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config::{Config, Options};
use crate::core::{Core, Settings};
use crate::error::RunError;
use crate::first_start;
use crate::northbound::Controller;

/// How long the certificate of the REST interface is valid. It is made anew at each start, and when two thirds of its
/// life have passed.
const SERVER_LIFE: Duration = Duration::from_secs(90 * 86_400);

/// Makes the pages of a controller.
pub type MakePages = fn(Arc<dyn FabricApi>) -> Arc<dyn Pages>;

/// Runs a controller until it is asked to end by SIGTERM or SIGINT; with `check`, only says what is wrong with the
/// configuration. Browsers get what `pages` makes.
///
/// # Errors
/// When the configuration, the state folder or an address cannot be used, or the store fails.
pub fn run(options: &Options, pages: Option<MakePages>) -> Result<(), RunError> {
    let config = Config::new(options)?;
    if options.check {
        return Ok(());
    }
    start_log();
    first_start::folder(&config.state)?;
    // The store comes first: of two controllers in one folder the second must not touch anything.
    let store: Arc<dyn Store> = Arc::new(RedbStore::open(&config.state.join("store.redb"), store::Options::default())?);
    let authority = Arc::new(first_start::authority(&config.state, &*store)?);
    let addresses = addresses()?;
    let settings = Settings {
        agents: config.agents_address(&addresses),
        fingerprint: authority.fingerprint().to_owned(),
        certificate_life: config.certificate_life,
        scratch: config.state.clone(),
        openid: config.openid.clone(),
    };
    let controller = Controller::open(store, settings)?;
    let core = Arc::clone(&controller.0);
    // Both ports come before the file that says where they are.
    let rest = listen(config.listen, "people and programs", "--listen")?;
    let agents = listen(config.agents, "agents", "--agents")?;
    first_start::admin(&core, &config.state, &config.url(), authority.certificate())?;
    first_start::console_user(&core, &config.state)?;
    let names = names(&config, &addresses);
    let acks = Arc::clone(&core);
    let follower = std::thread::Builder::new()
        .name("acks".to_owned())
        .spawn(move || acks.follow_acks())
        .map_err(|source| RunError::Io { what: "start a thread".to_owned(), source })?;
    let watcher = Arc::clone(&core);
    let watcher = std::thread::Builder::new()
        .name("gateways".to_owned())
        .spawn(move || watcher.watch_gateways())
        .map_err(|source| RunError::Io { what: "start a thread".to_owned(), source })?;
    // Each has threads of its own: a thousand agents that acknowledge a change do not stand before a request.
    let (people, agency) = (runtime("people")?, runtime("agents")?);
    let pages = pages.map(|make| make(Arc::new(controller.clone())));
    let doors = Doors { rest, pages, agents };
    let ended = people.block_on(serve(Arc::clone(&core), authority, names, doors, agency.handle()));
    core.end();
    // A panic of it has been logged.
    let _ = (follower.join(), watcher.join());
    tracing::info!("ended");
    ended
}

fn runtime(name: &str) -> Result<tokio::runtime::Runtime, RunError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let built = builder.thread_name(name).enable_all().build();
    built.map_err(|source| RunError::Io { what: "start a runtime".to_owned(), source })
}

/// The log goes to the standard error; `RUST_LOG` chooses how much.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // A second subscriber, in a test for example, is refused, and the first one serves.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).try_init();
}

fn listen(address: SocketAddr, whom: &'static str, option: &'static str) -> Result<std::net::TcpListener, RunError> {
    let bind = || {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|source| RunError::Listen { address, whom, option, source })
}

/// The addresses that this machine has.
fn addresses() -> Result<Vec<IpAddr>, RunError> {
    let interfaces = nix::ifaddrs::getifaddrs()
        .map_err(|error| RunError::Io { what: "list this machine's addresses".to_owned(), source: error.into() })?;
    let address = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        let v6 = address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip()));
        v4.or(v6)
    };
    let reachable = |address: &IpAddr| !matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    Ok(interfaces.filter_map(address).filter(reachable).collect())
}

/// The names and addresses by which the controller may be called.
fn names(config: &Config, addresses: &[IpAddr]) -> Vec<String> {
    let mut names = config.advertise.clone();
    names.extend(nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()));
    names.push("localhost".to_owned());
    names.extend(addresses.iter().map(ToString::to_string));
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| !name.is_empty() && seen.insert(name.clone()));
    names
}

/// Where others come in.
struct Doors {
    rest: std::net::TcpListener,
    pages: Option<Arc<dyn Pages>>,
    agents: std::net::TcpListener,
}

/// Serves people and agents until a signal says to end, or the store fails.
async fn serve(
    core: Arc<Core>,
    authority: Arc<Authority>,
    names: Vec<String>,
    Doors { rest, pages, agents }: Doors,
    agency: &tokio::runtime::Handle,
) -> Result<(), RunError> {
    let io = |what: &'static str| move |source| RunError::Io { what: what.to_owned(), source };
    let controller = Controller(Arc::clone(&core));
    let hub = Hub::new(Arc::new(controller.clone()), core.state().revision);
    core.connect(Arc::clone(&hub) as Arc<dyn crate::Sessions>);
    let first = certificate(&authority, &names)?;
    let tls = ServerTls::new(&identity(&first))?;
    let renewal = tokio::spawn(keep_certificate(Arc::clone(&authority), names.clone(), tls.clone(), first.chain));
    let (stop, stopped) = watch::channel(false);
    let stopping = || {
        let mut stopped = stopped.clone();
        async move {
            // An error means that the sender is gone, and everything with it.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        }
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(io("wait for SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(io("wait for SIGINT"))?;
    let agents = {
        let _there = agency.enter();
        tokio::net::TcpListener::from_std(agents).map_err(io("listen for agents"))?
    };
    tracing::info!(
        rest = %rest.local_addr().map_err(io("listen"))?, agents = %agents.local_addr().map_err(io("listen"))?,
        revision = core.state().revision, "started"
    );
    let mut failure = core.failure();
    let end = async {
        let failed = tokio::select! {
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            failed = failure.wait_for(Option::is_some) => failed.ok().and_then(|reason| reason.clone()),
        };
        tracing::info!("asked to end; agents go on with what they know");
        core.watches.close(&api::Problem::unavailable("the controller ends; try again later"));
        stop.send_replace(true);
        failed
    };
    let rest = async {
        api::fabric::server::serve(rest, tls, Arc::new(controller), pages, stopping()).await.map_err(io("serve people"))
    };
    let agents = agency.spawn(proto::server::serve(agents, authority, names, hub, stopping()));
    let agents = async {
        let ended =
            agents.await.map_err(|panic| RunError::Io { what: "serve agents".to_owned(), source: panic.into() })?;
        ended.map_err(RunError::from)
    };
    let servers = async { tokio::try_join!(rest, agents) };
    tokio::pin!(servers);
    let failed = tokio::select! {
        // A server that ends before it is asked to has failed.
        ended = &mut servers => return ended.map(drop),
        failed = end => failed,
    };
    servers.await?;
    renewal.abort();
    failed.map_or(Ok(()), |reason| Err(RunError::StoreFailed(reason)))
}

fn certificate(authority: &Authority, names: &[String]) -> Result<Certified, RunError> {
    let certified = authority.server_certificate(names, SERVER_LIFE);
    certified.map_err(|source| RunError::Authority { folder: "memory".into(), source })
}

fn identity(certified: &Certified) -> TlsIdentity {
    TlsIdentity { certificate_chain: certified.chain.clone(), key: certified.key.clone() }
}

/// Makes the certificate of the REST interface anew whenever two thirds of its life have passed.
async fn keep_certificate(authority: Arc<Authority>, names: Vec<String>, tls: ServerTls, mut chain: String) {
    loop {
        tokio::time::sleep(RENEWAL_LOOK).await;
        if lifetime(&chain).is_ok_and(|life| !life.is_due(SystemTime::now())) {
            continue;
        }
        match authority.server_certificate(&names, SERVER_LIFE) {
            Ok(certified) => match tls.replace(&identity(&certified)) {
                Ok(()) => chain = certified.chain,
                Err(error) => tracing::error!("cannot show a new certificate: {error}"),
            },
            Err(error) => tracing::error!("cannot make a new certificate: {error}"),
        }
    }
}
