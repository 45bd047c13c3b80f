//! How a controller is told what it is to do: by options, by a file, or not at all.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::error::RunError;
use crate::openid::{OpenId, OpenIdFile};

/// Port of the REST interface.
const REST_PORT: u16 = 7443;
/// Port that agents connect to.
const AGENTS_PORT: u16 = 7444;
/// How long hosts' certificates are valid; they renew when two thirds have passed, so that a controller may be away for
/// ten days.
const CERTIFICATE_LIFE: Duration = Duration::from_secs(30 * 86_400);
/// Hosts could not renew in time with less.
const LEAST_CERTIFICATE_LIFE: Duration = Duration::from_secs(10);

/// What `netvirt controller` is told; what is absent is as the configuration file says, or else by default.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Configuration file, in YAML.
    pub config: Option<PathBuf>,
    /// Folder of the store, the certificates and `admin.yaml`; `/var/lib/netvirt/controller` by default.
    pub state: Option<PathBuf>,
    /// Where people and programs are answered (HTTPS); `0.0.0.0:7443` by default.
    pub listen: Option<SocketAddr>,
    /// Where agents are answered (gRPC); `0.0.0.0:7444` by default.
    pub agents: Option<SocketAddr>,
    /// Addresses and names under which others reach the controller; the first is told to hosts that join.
    pub advertise: Vec<String>,
    /// Check the configuration, and end.
    pub check: bool,
}

/// The configuration file.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct File {
    state: Option<PathBuf>,
    listen: Option<SocketAddr>,
    agents: Option<SocketAddr>,
    advertise: Vec<String>,
    /// How long hosts' certificates are valid, such as `30d`.
    certificate_life: Option<String>,
    console: ConsoleFile,
}

/// What the file says of the console.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ConsoleFile {
    /// Where people may sign in beside the controller itself.
    openid: Option<OpenIdFile>,
}

/// What a controller does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    pub state: PathBuf,
    pub listen: SocketAddr,
    pub agents: SocketAddr,
    pub advertise: Vec<String>,
    pub certificate_life: Duration,
    pub openid: Option<OpenId>,
}

impl Config {
    /// Options before the file, the file before defaults.
    pub fn new(options: &Options) -> Result<Self, RunError> {
        let file = options.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let named = options.config.clone().unwrap_or_else(|| PathBuf::from("--advertise"));
        let wrong = |reason: String| RunError::Config { path: named.clone(), reason };
        let everywhere = |port| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
        let advertise = if options.advertise.is_empty() { file.advertise } else { options.advertise.clone() };
        let advertise =
            advertise.iter().map(|text| host(text).ok_or_else(|| wrong(not_a_host(text)))).collect::<Result<_, _>>()?;
        let certificate_life = match file.certificate_life {
            None => CERTIFICATE_LIFE,
            Some(text) => humantime::parse_duration(&text).map_err(|error| {
                wrong(format!("certificateLife \"{text}\" is not a time ({error}); write one such as 30d or 12h"))
            })?,
        };
        if certificate_life < LEAST_CERTIFICATE_LIFE {
            return Err(wrong(format!(
                "certificateLife {} is too short for hosts to renew in; write at least {}",
                humantime::format_duration(certificate_life),
                humantime::format_duration(LEAST_CERTIFICATE_LIFE)
            )));
        }
        let beside = options.config.as_deref().and_then(Path::parent);
        let openid = file.console.openid.map(|openid| OpenId::new(openid, beside)).transpose().map_err(wrong)?;
        Ok(Self {
            state: options.state.clone().or(file.state).unwrap_or_else(|| "/var/lib/netvirt/controller".into()),
            listen: options.listen.or(file.listen).unwrap_or_else(|| everywhere(REST_PORT)),
            agents: options.agents.or(file.agents).unwrap_or_else(|| everywhere(AGENTS_PORT)),
            advertise,
            certificate_life,
            openid,
        })
    }

    /// Where the REST interface is found: by the first name that is advertised, by the address that it listens on, or
    /// on this machine.
    pub fn url(&self) -> String {
        let host = self.advertise.first().cloned().unwrap_or_else(|| match self.listen.ip() {
            ip if ip.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
            ip => ip.to_string(),
        });
        format!("https://{}", with_port(&host, self.listen.port()))
    }

    /// Where agents find the controller; `addresses` are this machine's.
    pub fn agents_address(&self, addresses: &[IpAddr]) -> String {
        let host = self.advertise.first().cloned().unwrap_or_else(|| {
            let reachable = addresses.iter().find(|address| !address.is_loopback());
            match self.agents.ip() {
                ip if ip.is_unspecified() => reachable.copied().unwrap_or(Ipv4Addr::LOCALHOST.into()).to_string(),
                ip => ip.to_string(),
            }
        });
        with_port(&host, self.agents.port())
    }
}

fn read(path: &Path) -> Result<File, RunError> {
    let wrong = |reason| RunError::Config { path: path.to_owned(), reason };
    let text =
        std::fs::read_to_string(path).map_err(|error| wrong(format!("cannot read the configuration: {error}")))?;
    if text.trim().is_empty() {
        return Ok(File::default());
    }
    serde_saphyr::from_str(&text).map_err(|error| {
        wrong(match error.location() {
            Some(at) => format!("line {}, column {}: {}", at.line(), at.column(), error.without_snippet()),
            None => error.without_snippet().to_string(),
        })
    })
}

/// A name or address without port; brackets around an IPv6 address are taken off.
fn host(text: &str) -> Option<String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let good = bare.parse::<IpAddr>().is_ok() || (!bare.is_empty() && bare.len() <= 253 && bare.chars().all(name));
    good.then(|| bare.to_owned())
}

fn not_a_host(text: &str) -> String {
    format!("\"{text}\" cannot be advertised; write an address or a name, without a port")
}

fn with_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_needs_to_be_said() {
        let config = Config::new(&Options::default()).unwrap();
        assert_eq!(config.state, Path::new("/var/lib/netvirt/controller"));
        assert_eq!((config.listen.to_string().as_str(), config.agents.port()), ("0.0.0.0:7443", 7444));
        assert_eq!(config.url(), "https://127.0.0.1:7443");
        let addresses = ["127.0.0.1".parse().unwrap(), "192.168.4.2".parse().unwrap()];
        assert_eq!(config.agents_address(&addresses), "192.168.4.2:7444");
        assert_eq!(config.agents_address(&[]), "127.0.0.1:7444");
    }

    #[test]
    fn options_go_before_the_file_and_mistakes_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("controller.yaml");
        let with = |text: &str, advertise: &[&str]| {
            std::fs::write(&path, text).unwrap();
            let advertise = advertise.iter().map(|&text| text.to_owned()).collect();
            Config::new(&Options { config: Some(path.clone()), advertise, ..Options::default() })
        };
        let text = "listen: '[::1]:8443'\nadvertise: [a.example]\ncertificateLife: 1h\n";
        let config = with(text, &[]).unwrap();
        assert_eq!(config.url(), "https://a.example:8443");
        assert_eq!(config.certificate_life, Duration::from_secs(3600));
        assert_eq!(with(text, &["[fd00::1]"]).unwrap().url(), "https://[fd00::1]:8443");
        assert!(with("", &[]).is_ok());
        let error = |text: &str, advertise: &[&str]| with(text, advertise).unwrap_err().to_string();
        assert!(error("listen: nowhere\n", &[]).contains("line 1"));
        assert!(error("lisen: x\n", &[]).contains("lisen"));
        assert!(error("certificateLife: 1s\n", &[]).contains("at least 10s"));
        assert!(error("certificateLife: long\n", &[]).contains("not a time"));
        assert!(error("", &["a.example:7444"]).contains("without a port"));
        let missing = Options { config: Some(folder.path().join("none.yaml")), ..Options::default() };
        assert!(Config::new(&missing).unwrap_err().to_string().contains("none.yaml"));
    }
}
