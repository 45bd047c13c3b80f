//! Why a client has no answer, or which one the controller gave.

use std::io;

use rustls::CertificateError;

use crate::Problem;
use crate::fabric::TlsError;

/// Why there is no answer, or which one the controller gave.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL leads nowhere.
    #[error("\"{0}\" is no address of a controller; write one such as https://controller.example:7443")]
    Url(String),
    /// The authority's certificate is none.
    #[error(transparent)]
    Authority(#[from] TlsError),
    /// Nobody listens there.
    #[error(
        "no controller listens on {0}; start one with \"netvirt controller\", or say where it is with --context FILE"
    )]
    NoController(String),
    /// There is no way there.
    #[error("cannot connect to {url}: {source}")]
    Connect {
        /// Where to.
        url: String,
        /// Why.
        source: io::Error,
    },
    /// Somebody listens there, but it is not the controller that is meant.
    #[error(
        "the certificate of {0} is not signed by the authority that the context names; copy admin.yaml anew from the \
         controller, and if it is the right one already, somebody else answers there"
    )]
    WrongAuthority(String),
    /// The controller is known under another name.
    #[error("the certificate of {url} is not for this name ({reason}); use a name or address that it is for")]
    WrongName {
        /// How it was called.
        url: String,
        /// What the certificate says.
        reason: String,
    },
    /// Another failure of TLS.
    #[error("{url} and this program do not agree on TLS: {reason}")]
    Tls {
        /// With whom.
        url: String,
        /// Why.
        reason: String,
    },
    /// The connection broke.
    #[error("the connection to {url} broke: {reason}; see the controller's log")]
    Broken {
        /// To whom.
        url: String,
        /// Why.
        reason: String,
    },
    /// No answer in time.
    #[error(
        "the controller on {url} did not answer within {seconds} s; whether the request was carried out is not known"
    )]
    Timeout {
        /// Who.
        url: String,
        /// How long the client waited.
        seconds: u64,
    },
    /// The controller does not know the token.
    #[error("the controller on {url} refuses the token: {problem}")]
    TokenRefused {
        /// Who.
        url: String,
        /// What it said.
        problem: Box<Problem>,
    },
    /// The controller refused. Boxed, so that results stay small where nothing goes wrong.
    #[error(transparent)]
    Refused(Box<Problem>),
    /// The answer has another shape than this version knows.
    #[error("the answer to {request} is not understood: {reason}; use the same version of netvirt as the controller's")]
    Answer {
        /// What was asked.
        request: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The system has no resources left for a client.
    #[error("cannot start a client: {0}")]
    Start(io::Error),
}

impl From<Problem> for ClientError {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

impl ClientError {
    /// What the controller said, if it said something.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) | Self::TokenRefused { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// Why nobody could be connected to.
    pub(super) fn unreachable(url: &str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::ConnectionRefused => Self::NoController(url.to_owned()),
            _ => Self::Connect { url: url.to_owned(), source },
        }
    }

    /// Why there is no TLS on a connection.
    pub(super) fn handshake(url: &str, error: &io::Error) -> Self {
        let url = url.to_owned();
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidCertificate(reason)) => match reason {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::WrongAuthority(url),
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Self::WrongName { url, reason: reason.to_string() }
                }
                reason => Self::Tls { url, reason: format!("its certificate is of no use: {reason}") },
            },
            // Agents are answered on a port of their own, which speaks gRPC alone.
            Some(rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol)) => {
                let reason = "it does not speak HTTPS with people and programs; agents may be answered on this port \
                              (7444 by default), people are on another (7443)";
                Self::Tls { url, reason: reason.to_owned() }
            }
            Some(error) => Self::Tls { url, reason: error.to_string() },
            None => Self::Broken { url, reason: error.to_string() },
        }
    }
}
