//! The agent's side of the network: join, connect, renew.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use hyper_util::rt::TokioIo;
use model::fabric::ResourceName;
use model::gateway::{GatewayBeat, GatewayReport};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::Service;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status, Streaming};

use crate::ca::{CaError, Certified, HostRequest, fingerprint_of};
use crate::convert::{claim_out, facts_out, gateway_beat_out, gateway_report_out, handover_out, report_out};
use crate::wire::agent_message::Message;
use crate::wire::services::enrolment_client::EnrolmentClient;
use crate::wire::services::sync_client::SyncClient;
use crate::{CONTROLLER_NAME, Claim, Encoded, HostFacts, Mirror, Report, Token, tls, wire};

/// How long connecting may take, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long joining and renewing may take.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a silent connection is asked whether it is still there, and how long it may take to answer.
pub const KEEPALIVE: Duration = Duration::from_secs(10);
/// Messages that wait to be sent to the controller.
const OUTGOING: usize = 64;

/// Why the controller cannot be spoken to.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClientError {
    /// Not HOST:PORT.
    #[error("\"{0}\" is not the address of a controller; write HOST:PORT, such as controller.example:7444")]
    Address(String),
    /// Nobody answers, or not the controller.
    #[error("cannot connect to the controller at {address}: {reason}")]
    Connect {
        /// Its address.
        address: String,
        /// Why.
        reason: String,
    },
    /// The controller says no.
    #[error("the controller refuses: {0}")]
    Refused(String),
    /// The session has ended, or the call failed on the way.
    #[error("the connection to the controller ended: {0}")]
    Ended(String),
    /// What came is not what was asked for.
    #[error("the controller's answer is wrong: {0}")]
    Answer(String),
    /// Keys and certificates.
    #[error(transparent)]
    Certificates(#[from] CaError),
}

impl ClientError {
    /// Whether trying again is of no use until somebody does something.
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Address(_))
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        let message = match std::error::Error::source(&status) {
            Some(source) if status.message().is_empty() || status.message() == "transport error" => causes(source),
            _ => status.message().to_owned(),
        };
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied | Code::FailedPrecondition | Code::InvalidArgument => {
                Self::Refused(message)
            }
            _ => Self::Ended(message),
        }
    }
}

/// An error with what caused it, the last of which says most.
fn causes(error: &dyn std::error::Error) -> String {
    let mut sentence = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !sentence.contains(&text) {
            sentence = format!("{sentence}: {text}");
        }
        next = cause.source();
    }
    sentence
}

/// Who a host is, and whom it believes. To be kept where only root reads it.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its certificate with its private key, PEM.
    pub certified: Certified,
    /// The certificate of the controller's authority, PEM.
    pub authority: String,
}

/// What a machine has that has joined.
#[derive(Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The name that it has as a host.
    pub host: ResourceName,
    /// Who it is.
    pub identity: Identity,
}

/// Makes a host of this machine. `address` is HOST:PORT of the controller, `name` what the host would like to be called.
///
/// # Errors
/// When the controller cannot be reached, is not the one that the token names, or refuses.
pub async fn join(address: &str, token: &Token, name: &str, facts: &HostFacts) -> Result<Enrolment, ClientError> {
    let channel = channel(address, tls::stranger(&token.fingerprint)?).await?;
    let (key, certificate_request) = HostRequest::make()?;
    let request = wire::JoinRequest {
        token_id: token.id.clone(),
        secret: token.secret.clone(),
        certificate_request: certificate_request.into(),
        name: name.to_owned(),
        facts: Some(facts_out(facts)),
    };
    let answer = limited(EnrolmentClient::new(channel).join(request)).await?;
    // The handshake believed the authority by its fingerprint; so must what is kept of it.
    if fingerprint_of(&answer.authority)? != token.fingerprint {
        return Err(ClientError::Answer("its authority is not the one that the join token names".to_owned()));
    }
    let host = answer.host.parse().map_err(|error| ClientError::Answer(format!("{error}")))?;
    let identity = Identity { certified: Certified { chain: answer.certificate, key }, authority: answer.authority };
    // Whether it can be used is better known now than later.
    tls::host(&identity.authority, &identity.certified)?;
    Ok(Enrolment { host, identity })
}

/// A new certificate with a new key, for a host whose certificate is still valid.
///
/// # Errors
/// When the controller cannot be reached or refuses.
pub async fn renew(address: &str, identity: &Identity) -> Result<Identity, ClientError> {
    let channel = channel(address, tls::host(&identity.authority, &identity.certified)?).await?;
    let (key, certificate_request) = HostRequest::make()?;
    let request = wire::RenewRequest { certificate_request: certificate_request.into() };
    let answer = limited(EnrolmentClient::new(channel).renew(request)).await?;
    let certified = Certified { chain: answer.certificate, key };
    tls::host(&identity.authority, &certified)?;
    Ok(Identity { certified, authority: identity.authority.clone() })
}

/// Gives up being a host of this controller. One that the controller does not know any more has left already.
///
/// # Errors
/// When the controller cannot be reached, or refuses since something still needs the host.
pub async fn leave(address: &str, identity: &Identity) -> Result<(), ClientError> {
    let channel = channel(address, tls::host(&identity.authority, &identity.certified)?).await?;
    let call = async move {
        match EnrolmentClient::new(channel).leave(wire::LeaveRequest {}).await {
            Err(status) if status.code() == Code::PermissionDenied => Ok(tonic::Response::new(wire::LeaveResponse {})),
            answer => answer,
        }
    };
    limited(call).await.map(drop)
}

/// Begins a session: says hello with what the mirror has.
///
/// # Errors
/// When the controller cannot be reached or refuses.
pub async fn connect(
    address: &str,
    identity: &Identity,
    facts: &HostFacts,
    mirror: &Mirror,
) -> Result<Session, ClientError> {
    let channel = channel(address, tls::host(&identity.authority, &identity.certified)?).await?;
    let (outgoing, queue) = mpsc::channel(OUTGOING);
    let hello = wire::Hello { facts: Some(facts_out(facts)), topics: mirror.known() };
    let session = Session { outgoing, incoming: None };
    session.say(Message::Hello(hello)).await?;
    let call = async move { SyncClient::new(channel).session(ReceiverStream::new(queue)).await };
    let incoming = limited(call).await?;
    Ok(Session { incoming: Some(incoming), ..session })
}

async fn limited<T>(call: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Result<T, ClientError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(ClientError::Ended(format!("no answer within {} s", CALL_TIMEOUT.as_secs()))),
    }
}

/// A session with the controller.
pub struct Session {
    outgoing: mpsc::Sender<wire::AgentMessage>,
    incoming: Option<Streaming<Encoded>>,
}

impl Session {
    /// The next message; to be given to [`Mirror::hear`].
    ///
    /// # Errors
    /// When the session has ended.
    pub async fn next(&mut self) -> Result<Encoded, ClientError> {
        let Some(incoming) = &mut self.incoming else { return Err(ended()) };
        match incoming.next().await {
            Some(message) => Ok(message?),
            None => Err(ended()),
        }
    }

    /// The next message, if it has come already.
    ///
    /// # Errors
    /// When the session has ended.
    pub fn next_now(&mut self) -> Result<Option<Encoded>, ClientError> {
        self.next().now_or_never().transpose()
    }

    /// Says that everything up to a revision is in force.
    ///
    /// # Errors
    /// When the session has ended.
    pub async fn ack(&self, revision: u64) -> Result<(), ClientError> {
        self.say(Message::Ack(wire::Ack { revision })).await
    }

    /// Asks for a topic anew; see [`crate::Heard::Resync`].
    ///
    /// # Errors
    /// When the session has ended.
    pub async fn resync(&self, topic: &crate::TopicId) -> Result<(), ClientError> {
        self.say(Message::Resync(wire::Resync { topic: topic.to_string() })).await
    }

    /// Says what the host has to say.
    ///
    /// # Errors
    /// When the session has ended.
    pub async fn report(&self, report: &Report) -> Result<(), ClientError> {
        self.say(Message::Report(report_out(report))).await
    }

    /// Says what the host's gateway has to say.
    ///
    /// # Errors
    /// When the session has ended.
    pub async fn report_gateway(&self, report: &GatewayReport) -> Result<(), ClientError> {
        self.say(Message::GatewayReport(gateway_report_out(report))).await
    }

    /// Says that the host, one of several of a gateway, lives.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn gateway_beat(&self, beat: &GatewayBeat) -> Result<(), ClientError> {
        self.say(Message::GatewayBeat(gateway_beat_out(beat))).await
    }

    /// Hands something over that a VM takes with it that moves to another host.
    ///
    /// # Errors
    /// When the session has ended.
    pub async fn hand_over(&self, handover: &crate::Handover) -> Result<(), ClientError> {
        self.say(Message::Handover(handover_out(handover))).await
    }

    /// Claims a port, or releases it. The answer comes among the messages; see [`Encoded::claim_answer`].
    ///
    /// # Errors
    /// When the session has ended.
    pub async fn claim(&self, number: u64, claim: &Claim) -> Result<(), ClientError> {
        self.say(Message::Claim(claim_out(number, claim))).await
    }

    /// Answers the question with this number. The content has at most [`crate::MAX_ANSWER_BYTES`].
    ///
    /// # Errors
    /// When the session has ended.
    pub async fn answer(&self, number: u64, content: Vec<u8>) -> Result<(), ClientError> {
        self.say(Message::Answer(wire::Answer { number, content: content.into() })).await
    }

    async fn say(&self, message: Message) -> Result<(), ClientError> {
        self.outgoing.send(wire::AgentMessage { message: Some(message) }).await.map_err(|_| ended())
    }
}

fn ended() -> ClientError {
    ClientError::Ended("the controller has closed it".to_owned())
}

async fn channel(address: &str, tls: ClientConfig) -> Result<Channel, ClientError> {
    let wrong = || ClientError::Address(address.to_owned());
    // The scheme is never seen: the connector below brings TLS.
    let uri: Uri = format!("http://{address}").parse().map_err(|_| wrong())?;
    if uri.port_u16().is_none() || uri.host().is_none_or(str::is_empty) || uri.path() != "/" {
        return Err(wrong());
    }
    let endpoint = Endpoint::from(uri)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true);
    let connector = Connector { address: address.to_owned(), tls: TlsConnector::from(Arc::new(tls)) };
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, endpoint.connect_with_connector(connector));
    let failed = |reason| ClientError::Connect { address: address.to_owned(), reason };
    match connecting.await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error)) => Err(failed(explained(causes(&error)))),
        Err(_) => Err(failed(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()))),
    }
}

/// What often stands behind a reason, said with it.
fn explained(reason: String) -> String {
    if reason.contains("NoApplicationProtocol") {
        return format!("{reason}; agents are not answered on this port, but on another (7444 by default)");
    }
    reason
}

/// Connects to the controller, whatever the address it is asked for.
#[derive(Clone)]
struct Connector {
    address: String,
    tls: TlsConnector,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { address, tls } = self.clone();
        Box::pin(async move {
            let stream = TcpStream::connect(&address).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::try_from(CONTROLLER_NAME).map_err(std::io::Error::other)?;
            tls.connect(name, stream).await.map(TokioIo::new)
        })
    }
}
