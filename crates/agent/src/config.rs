//! The configuration file of an agent.

use std::path::{Path, PathBuf};

use model::{MacAddress, Name, Resource};
use plan::Settings;
use serde::Deserialize;

/// What `netvirt agent --config` reads.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Name of the host; by default its host name.
    #[serde(default)]
    pub name: Option<Name>,
    /// The unix socket to listen on.
    #[serde(default = "default_socket")]
    pub socket: PathBuf,
    /// Folder in which the resources are kept that were declared over the socket.
    #[serde(default = "default_state")]
    pub state: PathBuf,
    /// Folder of a BPF file system in which programs, maps and links are pinned.
    #[serde(default = "default_bpffs")]
    pub bpffs: PathBuf,
    /// MAC address of every subnet's gateway; the same on all hosts.
    #[serde(default)]
    pub gateway_mac: Option<MacAddress>,
    /// How many broadcast and multicast frames a port may send.
    #[serde(default)]
    pub flood: Flood,
    /// How many flows a port may have.
    #[serde(default)]
    pub flows: Flows,
    /// Resources that are declared anew at each start, whatever happened to them over the socket.
    #[serde(default)]
    pub resources: Vec<Resource>,
}

/// How many broadcast and multicast frames a port may send.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Flood {
    /// Frames a second; 0 forbids them.
    pub rate: u32,
    /// Frames at once after a silence.
    pub burst: u32,
}

impl Default for Flood {
    fn default() -> Self {
        Self { rate: Settings::FLOOD_RATE, burst: Settings::FLOOD_BURST }
    }
}

/// How many flows a port may have: of those that its VM opens, and four times as many that others open towards it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Flows {
    /// All of them.
    pub limit: u32,
    /// Those that nobody has answered yet.
    pub half_open_limit: u32,
}

impl Default for Flows {
    fn default() -> Self {
        Self { limit: Settings::FLOW_LIMIT, half_open_limit: Settings::HALF_OPEN_LIMIT }
    }
}

fn default_socket() -> PathBuf {
    "/run/netvirt/agent.sock".into()
}

fn default_state() -> PathBuf {
    Config::DEFAULT_STATE.into()
}

fn default_bpffs() -> PathBuf {
    "/sys/fs/bpf/netvirt".into()
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not as it must be.
    #[error("{path}: {reason}", path = .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Line, column and what is wrong there.
        reason: String,
    },
}

impl Config {
    /// Folder of what the agent keeps, where none is named.
    pub const DEFAULT_STATE: &str = "/var/lib/netvirt";

    /// All by default, but for the folder of what the agent keeps.
    pub fn without_file(state: Option<&Path>) -> Self {
        Self {
            name: None,
            socket: default_socket(),
            state: state.map_or_else(default_state, Path::to_owned),
            bpffs: default_bpffs(),
            gateway_mac: None,
            flood: Flood::default(),
            flows: Flows::default(),
            resources: Vec::new(),
        }
    }

    /// Reads a configuration.
    ///
    /// # Errors
    /// When the file cannot be read, or something in it is not as it must be; line and column are named.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::from_yaml(&text).map_err(|reason| ConfigError::Content { path: path.to_owned(), reason })
    }

    fn from_yaml(text: &str) -> Result<Self, String> {
        serde_saphyr::from_str(text).map_err(|error| match error.location() {
            Some(at) => format!("line {}, column {}: {}", at.line(), at.column(), error.without_snippet()),
            None => error.without_snippet().to_string(),
        })
    }

    /// What of it the compiler of tables must know.
    pub fn settings(&self) -> Settings {
        let default = Settings::default();
        Settings {
            gateway_mac: self.gateway_mac.unwrap_or(default.gateway_mac),
            flood_rate: self.flood.rate,
            flood_burst: self.flood.burst,
            flow_limit: self.flows.limit,
            half_open_limit: self.flows.half_open_limit,
            ..default
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_has_a_default() {
        let config = Config::from_yaml("name: host1\n").unwrap();
        assert_eq!(config.socket, Path::new("/run/netvirt/agent.sock"));
        assert_eq!(config.settings(), Settings::default());
    }

    #[test]
    fn an_error_names_line_and_field() {
        let error = Config::from_yaml("name: host1\nflod: {rate: 1}\n").unwrap_err();
        assert!(error.contains("line 2") && error.contains("flod"), "{error}");
        let error = Config::from_yaml(
            "resources:\n  - kind: lookup-record\n    spec: {vsid: 70, mac: 06-06-00-00-00-05, providerAddress: 1.2.3.4}\n",
        )
        .unwrap_err();
        assert!(error.contains("line 3") && error.contains("VSID 70 is out of range"), "{error}");
    }
}
