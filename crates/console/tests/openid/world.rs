//! A console over HTTPS before a fabric in memory, an identity provider that others wrote, and a browser without a screen: curl
//! with a jar of cookies. Needs oidc-provider-mock (`scripts/tools test`).

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use api::fabric::accounts::IdentityProvider;
use api::fabric::memory::MemoryFabric;
use api::fabric::{ServerTls, TlsIdentity};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(60);

/// The console, its fabric and the authority of its certificate.
pub struct World {
    pub fabric: Arc<MemoryFabric>,
    pub url: String,
    pub authority: String,
    folder: TempDir,
    issuer: String,
}

impl World {
    /// A console that sends people to a provider on this port.
    pub fn new(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Of one name with the certificate that it signs, it would not be told from it.
        params.distinguished_name.push(DnType::CommonName, "netvirt test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        let identity = TlsIdentity { certificate_chain: certificate.pem(), key: key.serialize_pem() };
        let tls = ServerTls::new(&identity).unwrap();
        let (url, fabric) = (format!("https://{}", listener.local_addr().unwrap()), Arc::new(MemoryFabric::new()));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let api = Arc::clone(&fabric);
        let pages = console::pages(Arc::<MemoryFabric>::clone(&fabric));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let served = api::fabric::server::serve(listener, tls, api, Some(pages), std::future::pending());
            runtime.block_on(served).unwrap();
        });
        let world =
            Self { fabric, url, authority: authority.pem(), folder, issuer: format!("http://127.0.0.1:{port}") };
        world.fabric.set_identity_provider(world.configured());
        world
    }

    /// What the operator has configured.
    pub fn configured(&self) -> IdentityProvider {
        IdentityProvider {
            name: "Example ID".to_owned(),
            issuer: self.issuer.clone(),
            client_id: "netvirt".to_owned(),
            client_secret: "s3cret".into(),
            scopes: vec!["profile".to_owned(), "email".to_owned()],
            redirect_uri: None,
            authorities: None,
        }
    }

    /// Somebody without any cookie.
    pub fn browser(&self) -> Browser {
        Browser {
            url: self.url.clone(),
            authority: self.folder.path().join("ca.pem"),
            folder: tempfile::tempdir().unwrap(),
        }
    }
}

/// Somebody's browser.
pub struct Browser {
    url: String,
    authority: PathBuf,
    folder: TempDir,
}

/// What a browser gets.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub location: String,
    pub body: String,
}

impl Browser {
    /// Opens a page; a path is the console's.
    #[track_caller]
    pub fn get(&self, place: &str) -> Page {
        self.ask(place, &[])
    }

    /// Sends a form.
    #[track_caller]
    pub fn post(&self, place: &str, form: &[&str]) -> Page {
        let fields: Vec<&str> = form.iter().flat_map(|field| ["--data-urlencode", *field]).collect();
        self.ask(place, &fields)
    }

    #[track_caller]
    fn ask(&self, place: &str, more: &[&str]) -> Page {
        let url = if place.starts_with('/') { format!("{}{place}", self.url) } else { place.to_owned() };
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "60", "--write-out"])
            .args(["\n%{redirect_url}\n%{http_code}", "--cacert"])
            .arg(&self.authority)
            .arg("--cookie")
            .arg(self.jar())
            .arg("--cookie-jar")
            .arg(self.jar())
            .args(more)
            .arg(&url)
            .output()
            .expect("curl");
        assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        let mut parts = text.rsplitn(3, '\n');
        let mut next = || parts.next().unwrap().to_owned();
        let (status, location, body) = (next().parse().unwrap(), next(), next());
        Page { status, location, body }
    }

    fn jar(&self) -> PathBuf {
        self.folder.path().join("cookies")
    }

    /// The names of all cookies.
    pub fn cookies(&self) -> Vec<String> {
        let jar = std::fs::read_to_string(self.jar()).unwrap_or_default();
        jar.lines().filter_map(|line| line.split('\t').nth(5)).map(str::to_owned).collect()
    }

    /// Another browser, with the same cookies.
    pub fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(self.jar(), folder.path().join("cookies")).unwrap();
        Self { url: self.url.clone(), authority: self.authority.clone(), folder }
    }

    /// Begins to sign in: the address at the provider.
    #[track_caller]
    pub fn begin(&self, next: &str) -> String {
        let page = self.get(&format!("/sign-in/openid?next={next}"));
        assert_eq!(page.status, 303, "{}", page.body);
        page.location
    }

    /// Says at the provider who somebody is: the address that leads back.
    #[track_caller]
    pub fn consent(&self, address: &str) -> String {
        let page = self.post(address, &["sub=tim"]);
        assert_eq!(page.status, 302, "{}", page.body);
        page.location
    }

    /// Signs in as `tim`, as far as it goes.
    #[track_caller]
    pub fn sign_in(&self) -> Page {
        let address = self.begin("/");
        self.get(&self.consent(&address))
    }
}

impl Page {
    /// It is the page that asks to sign in, and says these words.
    #[track_caller]
    pub fn refuses(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert!(self.body.contains(words), "\"{words}\" does not stand in {}", self.body);
        assert!(self.body.contains("name=\"password\"") && self.body.contains("Example ID"), "{}", self.body);
    }
}

/// A port of loopback that is free now, and that nobody else is likely to take before its server has started: below those that the
/// kernel gives to whoever asks for any, and another one in each process that runs at the same time.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(16).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + u16::try_from(number % 12_000).unwrap_or_default();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// An identity provider of its own process, which ends with this.
pub struct Provider {
    child: Child,
    port: u16,
}

impl Provider {
    /// Starts one that knows `tim` by these claims.
    pub fn start(port: u16, claims: &str) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program = here.join("../../.tools/bin/oidc-provider-mock");
        let program = program
            .canonicalize()
            .unwrap_or_else(|error| panic!("{}: {error}; \"scripts/tools test\" installs it", program.display()));
        let child = Command::new(program.with_file_name("python"))
            .arg(here.join("tests/openid/provider.py"))
            .args(["--port", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the provider starts");
        let provider = Self { child, port };
        let deadline = Instant::now() + SOON;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the provider does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        provider.knows(claims);
        provider
    }

    /// From now on it says this of `tim`. Its tokens say these claims last, and so instead of its own.
    pub fn knows(&self, claims: &str) {
        let url = format!("http://127.0.0.1:{}/users/tim", self.port);
        let kind = ["--header", "Content-Type: application/json"];
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--noproxy", "*", "--request", "PUT"]).args(kind).args(["--data", claims]);
        assert!(curl.arg(url).status().expect("curl").success(), "{claims}");
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
