//! The agent of the host, as a gateway sees it: what there is to do, and to whom it is reported.

use std::collections::BTreeMap;
use std::path::Path;

use api::{Client, ClientError};
use model::gateway::{Compartment, Gateway, GatewayBeat, GatewayReport};
use model::{QualifiedName, Resource};

/// All that is to be carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Work {
    /// Which state this is.
    pub revision: u64,
    /// The host's name.
    pub host: String,
    /// The host as a gateway; `None` while it is none.
    pub gateway: Option<Gateway>,
    /// The compartments.
    pub compartments: Vec<Compartment>,
    /// The MTU of compartments' interfaces inside.
    pub mtus: BTreeMap<QualifiedName, u32>,
    /// Whether the controller has said so in the agent's present session with it, or there is none.
    pub confirmed: bool,
}

/// What gives a gateway its work.
pub trait Agent: Send + Sync {
    /// The work, as soon as it is another one than that of revision `after`, or after some time.
    ///
    /// # Errors
    /// When it cannot be had now.
    fn work(&self, after: Option<u64>) -> Result<Work, ClientError>;

    /// Tells how the work goes.
    ///
    /// # Errors
    /// When it cannot be told now.
    fn report(&self, report: &GatewayReport) -> Result<(), ClientError>;

    /// Tells that the gateway lives, and what it sees of its peers.
    ///
    /// # Errors
    /// When it cannot be told now.
    fn beat(&self, beat: &GatewayBeat) -> Result<(), ClientError>;
}

/// The agent behind its socket.
#[derive(Debug)]
pub struct LocalAgent(Client);

impl LocalAgent {
    /// The one that listens at this socket.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn at(socket: &Path) -> Result<Self, ClientError> {
        Client::new(socket).map(Self)
    }
}

impl Agent for LocalAgent {
    fn work(&self, after: Option<u64>) -> Result<Work, ClientError> {
        let work = self.0.gateway_work(after)?;
        let mut wanted = Work {
            revision: work.revision,
            host: work.host,
            gateway: None,
            compartments: Vec::new(),
            mtus: work.mtus,
            confirmed: work.confirmed,
        };
        for resource in work.resources {
            match resource {
                Resource::Gateway(gateway) => wanted.gateway = Some(*gateway),
                Resource::Compartment(compartment) => wanted.compartments.push(*compartment),
                // The agent tells of nothing else.
                _ => {}
            }
        }
        Ok(wanted)
    }

    fn report(&self, report: &GatewayReport) -> Result<(), ClientError> {
        self.0.report_gateway(report)
    }

    fn beat(&self, beat: &GatewayBeat) -> Result<(), ClientError> {
        self.0.gateway_beat(beat)
    }
}
