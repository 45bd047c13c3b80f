//! What the protocol asks of a controller: the trait that the role implements, and what is exchanged with it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use model::Resource;
use model::fabric::ResourceName;
use model::gateway::{GatewayBeat, GatewayReport};
use plan::fabric::TopicId;

use crate::{Claim, Claimed, HostFacts, Report, Station};

/// A controller, as the protocol sees it.
///
/// The methods may block for as long as a transaction takes: all but [`Controller::acked`] are called on threads of
/// their own. None is called from inside of [`crate::Hub::publish`], which may therefore be called with locks held that
/// these methods take.
pub trait Controller: Send + Sync + 'static {
    /// A machine wants to become a host. The token is used up if, and only if, this succeeds.
    ///
    /// # Errors
    /// Why it may not, in a sentence that its operator reads.
    fn join(&self, request: &JoinAsk) -> Result<Joined, Refused>;

    /// A host wants to be one no more. It is asked after [`Controller::admit`] has agreed.
    ///
    /// # Errors
    /// Why it may not: what still needs it, for example.
    fn leave(&self, peer: &Peer) -> Result<(), Refused>;

    /// Whether the host with this certificate may still speak: it is asked at the start of each session and at each
    /// renewal. See [`crate::Hub::disconnect`] for those that are connected when they lose that right.
    ///
    /// # Errors
    /// Why it may not: its host was deleted, for example.
    fn admit(&self, peer: &Peer) -> Result<(), Refused>;

    /// For how long a renewed certificate is valid.
    fn certificate_life(&self) -> Duration;

    /// Which topics a host needs now. It is asked when the host connects, and after each publication that changes the
    /// host's own topic, [`TopicId::Host`].
    fn topics_of(&self, host: &ResourceName) -> BTreeSet<TopicId>;

    /// A topic as a whole, and the revision up to which everything is in it. A topic that nothing is in is empty.
    fn topic(&self, topic: &TopicId) -> TopicContent;

    /// A host has connected and said what it is.
    fn connected(&self, host: &ResourceName, address: SocketAddr, facts: HostFacts);

    /// A host is connected no more.
    fn disconnected(&self, host: &ResourceName);

    /// Everything up to this revision that the host needs is in force there. Must not block: it is called in the middle
    /// of the traffic. See [`crate::Hub::in_force`] for asking.
    fn acked(&self, host: &ResourceName, revision: u64);

    /// What a host has to say; it replaces what it said before.
    fn report(&self, host: &ResourceName, report: Report);

    /// What the gateway of a host has to say; it replaces what it said before. A controller without gateways has no use for it.
    fn gateway_report(&self, _host: &ResourceName, _report: GatewayReport) {}

    /// A sign of life of a host that is one of several of a gateway. It is called on the session's own task and must not wait.
    fn gateway_beat(&self, _host: &ResourceName, _beat: &GatewayBeat) {}

    /// The host that a VM moves to, or has moved to, from this one; none if it does not.
    fn successor(&self, host: &ResourceName, vm: Station) -> Option<ResourceName>;

    /// A host claims a port, or releases it. While the answer is [`Claimed::Pending`] it is asked again, for as long as
    /// [`crate::server::CLAIM_TIMEOUT`]; so what was done already must be done no second time. A claim that is not done by then
    /// is taken back by a release. Without ports that hosts may claim, it is refused.
    fn claim(&self, _host: &ResourceName, claim: &Claim) -> Claimed {
        Claimed::Refused(format!("this controller has no port {} that any host may plug", claim.uid))
    }
}

/// A machine that wants to become a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinAsk {
    /// Which token it has.
    pub token_id: String,
    /// The token's secret, to be compared with its hash.
    pub secret: String,
    /// The name that it would like.
    pub name: String,
    /// What it is.
    pub facts: HostFacts,
    /// Where it asks from.
    pub address: SocketAddr,
}

/// What becomes of a machine that may join.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Joined {
    /// The host's name.
    pub host: ResourceName,
    /// What tells this host from another that has had, or will have, its name: the uid of its resource. It stands in
    /// the certificate; see [`Peer::uid`].
    pub uid: String,
    /// For how long its first certificate is valid.
    pub life: Duration,
}

/// A host by its certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// The host's name.
    pub host: ResourceName,
    /// The uid that [`Joined::uid`] gave it.
    pub uid: String,
    /// SHA-256 of the certificate, in hexadecimal.
    pub fingerprint: String,
    /// When the certificate ends.
    pub not_after: SystemTime,
}

/// Why a controller says no.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// The token is unknown, used, or expired. The sentence says which.
    #[error("{0}")]
    Token(String),
    /// The name or what the machine is does not fit what is declared.
    #[error("{0}")]
    Conflict(String),
    /// The host is unknown or was deleted.
    #[error("{0}")]
    Host(String),
    /// The controller itself failed; later it may work.
    #[error("{0}")]
    Internal(String),
}

/// A topic as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TopicContent {
    /// Everything up to this revision is in it.
    pub revision: u64,
    /// What is in it.
    pub items: Vec<Resource>,
}
