//! The hosts that cmdlets speak to, by the names of `-CimSession`: their agents' sockets here, or elsewhere through ssh.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use api::{Client, ClientError, Item, ProblemType, RealizedState, TraceProtocol, TraceRequest};
use model::{Key, Kind, MacAddress, Resource};
use powershell::hosts::{AddressState, Entry, Hosts, Interface, Outcome, Question, Step};
use serde_json::{Map, Value};

use super::ssh::Tunnel;
use crate::CliError;
use crate::args::Global;
use crate::at_controller::host_address;
use crate::side::{Environment, SOCKET_FOLDER};

/// Where hosts are looked up if no file is named.
const HOSTS_FILE: &str = "/etc/netvirt/hosts.yaml";

/// How a host is reached.
enum Way {
    Here(Client),
    Through(Client, #[allow(dead_code)] Tunnel),
}

impl Way {
    const fn client(&self) -> &Client {
        match self {
            Self::Here(client) | Self::Through(client, _) => client,
        }
    }
}

/// All hosts that can be reached.
pub struct Directory {
    local: PathBuf,
    file: PathBuf,
    named: BTreeMap<String, String>,
    context: Option<PathBuf>,
    ways: BTreeMap<Option<String>, Way>,
}

impl Directory {
    /// The hosts of a file, and those that are found otherwise.
    ///
    /// # Errors
    /// When the file cannot be read, or says something else.
    pub fn new(file: Option<&Path>, global: &Global, environment: &Environment) -> Result<Self, CliError> {
        let path = file.unwrap_or(Path::new(HOSTS_FILE)).to_owned();
        let named = match std::fs::read_to_string(&path) {
            Ok(text) => serde_saphyr::from_str(&text).map_err(|error| {
                CliError::Usage(format!(
                    "{}: {error}; write a line NAME: SOCKET or NAME: ssh://HOST for each host",
                    path.display()
                ))
            })?,
            Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(CliError::Usage(format!("cannot read {}: {error}", path.display()))),
        };
        Ok(Self {
            local: global.socket_path(environment),
            file: path,
            named,
            context: global.context_path(environment),
            ways: BTreeMap::new(),
        })
    }

    /// The way to a host, made when it is first needed.
    fn way(&mut self, host: Option<&str>) -> Result<&Client, String> {
        let key = host.map(str::to_owned);
        if !self.ways.contains_key(&key) {
            let way = self.make(host)?;
            self.ways.insert(key.clone(), way);
        }
        self.ways.get(&key).map(Way::client).ok_or_else(|| "no way to the host".to_owned())
    }

    fn make(&self, host: Option<&str>) -> Result<Way, String> {
        let here = |path: &Path| Client::new(path).map(Way::Here).map_err(|error| error.to_string());
        let Some(host) = host else { return here(&self.local) };
        if let Some((_, place)) = self.named.iter().find(|(name, _)| name.eq_ignore_ascii_case(host)) {
            return match place.strip_prefix("ssh://") {
                Some(target) => through(target),
                None => here(Path::new(place)),
            };
        }
        let socket = PathBuf::from(format!("{SOCKET_FOLDER}/{host}.sock"));
        // What is no name of a file is no name of a host here.
        if !host.contains('/') && socket.exists() {
            return here(&socket);
        }
        if let Some(context) = &self.context {
            match host_address(context, host) {
                Ok(Some(address)) => return through(&address.to_string()),
                Ok(None) => {}
                Err(error) => return Err(format!("the controller was asked for host {host}: {error}")),
            }
        }
        let asked = if self.context.is_some() { ", nor does the controller know one" } else { "" };
        Err(format!(
            "there is no host \"{host}\": neither {} nor {} says where its agent is{asked}",
            self.file.display(),
            socket.display()
        ))
    }
}

fn through(target: &str) -> Result<Way, String> {
    let tunnel = Tunnel::open(target)?;
    let client = Client::new(tunnel.socket()).map_err(|error| error.to_string())?;
    Ok(Way::Through(client, tunnel))
}

/// The sentences of an error.
fn told(error: ClientError) -> String {
    match error {
        ClientError::Refused(problem) => problem.sentences().collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

/// Whether a host knows what is wanted of it. One that has lost its controller does not.
fn is_synchronized(client: &Client, kind: Kind) -> Result<bool, String> {
    if kind != Kind::LookupRecord {
        return Ok(true);
    }
    Ok(client.status().map_err(told)?.controller.is_none_or(|controller| controller.connected))
}

/// The resource of an item, and what is true of it.
fn entry(item: Item, synchronized: bool) -> Result<Entry, String> {
    let in_force = item.status.get("state").is_none_or(|state| {
        let not = serde_json::to_value(RealizedState::NotInForce).unwrap_or_default();
        *state != not && state.as_str() != Some("absent")
    });
    let mut whole = Map::new();
    whole.insert("kind".to_owned(), item.kind.as_str().into());
    if matches!(item.kind, Kind::Port | Kind::SecurityGroup | Kind::AddressSet | Kind::Compartment) {
        whole.insert("name".to_owned(), item.name.into());
    }
    whole.insert("spec".to_owned(), item.spec);
    let resource: Resource = serde_json::from_value(Value::Object(whole)).map_err(|error| error.to_string())?;
    Ok(Entry { resource, in_force, synchronized })
}

impl Hosts for Directory {
    fn name(&mut self, host: Option<&str>) -> Result<String, String> {
        Ok(self.way(host)?.status().map_err(told)?.name)
    }

    fn list(&mut self, host: Option<&str>, kind: Kind) -> Result<Vec<Entry>, String> {
        let client = self.way(host)?;
        let items = client.list(kind).map_err(told)?;
        let synchronized = items.is_empty() || is_synchronized(client, kind)?;
        items.into_iter().map(|item| entry(item, synchronized)).collect()
    }

    fn get(&mut self, host: Option<&str>, key: &Key) -> Result<Option<Entry>, String> {
        let client = self.way(host)?;
        match client.get(key.kind, &key.name) {
            Ok(item) => {
                let synchronized = is_synchronized(client, key.kind)?;
                entry(item, synchronized).map(Some)
            }
            Err(ClientError::Refused(problem)) if problem.problem_type == ProblemType::NotFound => Ok(None),
            Err(error) => Err(told(error)),
        }
    }

    fn change(&mut self, host: Option<&str>, steps: &[Step]) -> Result<(), String> {
        let change = |step: &Step| match step.clone() {
            Step::Create(resource) => api::Change::Create(resource),
            Step::Put(resource) => api::Change::Replace(resource),
            Step::Delete(key) => api::Change::Delete(key),
        };
        let changes = api::ChangeSet { changes: steps.iter().map(change).collect(), dry_run: false };
        self.way(host)?.change(&changes).map(drop).map_err(told)
    }

    fn gateway_mac(&mut self, host: Option<&str>) -> Result<MacAddress, String> {
        let mac = self.way(host)?.status().map_err(told)?.gateway_mac;
        mac.ok_or_else(|| "the agent does not say which MAC address its gateway has; update it".to_owned())
    }

    fn interfaces(&mut self, host: Option<&str>) -> Result<Vec<Interface>, String> {
        let state = |state| match state {
            api::AddressState::Tentative => AddressState::Tentative,
            api::AddressState::Duplicate => AddressState::Duplicate,
            api::AddressState::Deprecated => AddressState::Deprecated,
            api::AddressState::Preferred => AddressState::Preferred,
        };
        let interfaces = self.way(host)?.interfaces().map_err(told)?;
        let interface = |it: api::InterfaceStatus| Interface {
            name: it.name,
            index: it.ifindex,
            mac: it.mac,
            mtu: it.mtu,
            up: it.up,
            kind: it.kind,
            addresses: it.addresses.into_iter().map(|on| (on.address, state(on.state))).collect(),
            vlan: it.vlan.map(|vlan| (vlan.parent, vlan.id)),
        };
        Ok(interfaces.into_iter().map(interface).collect())
    }

    fn ask(&mut self, host: Option<&str>, question: &Question) -> Result<Outcome, String> {
        let request = TraceRequest {
            source: Some(question.from),
            protocol: TraceProtocol::Icmp,
            ..TraceRequest::new(question.port.clone(), question.to)
        };
        let report = self.way(host)?.trace(&request).map_err(told)?;
        let explanation = match (&report.reason, &report.explanation) {
            (Some(reason), Some(explanation)) => format!("{}: {reason}: {explanation}", report.verdict),
            _ => report.verdict.clone(),
        };
        Ok(Outcome { travels: report.reason.is_none(), explanation })
    }
}
