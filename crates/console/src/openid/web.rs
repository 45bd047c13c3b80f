//! The questions to a provider over HTTP: with limits of time and size, over TLS with those authorities alone that the system
//! and the operator trust.

use std::sync::Arc;
use std::time::Duration;

use openidconnect::{HttpRequest, HttpResponse, SyncHttpClient, http};
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Most bytes of an answer. Key sets and tokens are a few kB.
const MAX_ANSWER: u64 = 1 << 20;

/// Where a provider without TLS may be: on the machine itself, where nobody stands between.
const HERE: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// No connection, no trust, no answer in time.
    #[error("{}", in_words(.0))]
    Asking(#[from] ureq::Error),
    /// What the provider says of itself leads somewhere without TLS.
    #[error("{0} is not https, so that anybody could answer there")]
    Insecure(String),
    /// The authorities cannot be read.
    #[error("the certificates of authorities cannot be read: {0}")]
    Authorities(String),
}

/// Asks.
pub struct Web {
    agent: Agent,
}

impl Web {
    /// With the authorities that the system trusts, and those of this PEM text.
    pub fn new(authorities: Option<&str>) -> Result<Self, WebError> {
        let mut trusted = Vec::new();
        // A store that is missing is empty; what comes of it is said when a certificate is not trusted.
        for certificate in rustls_native_certs::load_native_certs().certs {
            trusted.push(Certificate::from_der(&certificate).to_owned());
        }
        for item in parse_pem(authorities.unwrap_or_default().as_bytes()) {
            match item {
                Ok(PemItem::Certificate(certificate)) => trusted.push(certificate),
                Ok(_) => {}
                Err(error) => return Err(WebError::Authorities(error.to_string())),
            }
        }
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::from(trusted))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(LIMIT))
            .http_status_as_error(false)
            // A provider that is led elsewhere is another one than the operator trusts.
            .max_redirects(0)
            .user_agent("netvirt")
            .build();
        Ok(Self { agent: config.into() })
    }
}

impl SyncHttpClient for Web {
    type Error = WebError;

    fn call(&self, request: HttpRequest) -> Result<HttpResponse, WebError> {
        let uri = request.uri();
        let here = uri.host().is_some_and(|host| HERE.contains(&host));
        if !is_safe(uri.scheme_str().unwrap_or_default(), uri.host()) {
            return Err(WebError::Insecure(uri.to_string()));
        }
        let (parts, body) = request.into_parts();
        let answer = if parts.method == http::Method::GET {
            self.asked(here, http::Request::from_parts(parts, ()))
        } else {
            self.asked(here, http::Request::from_parts(parts, body))
        }?;
        let (parts, mut body) = answer.into_parts();
        let body = body.with_config().limit(MAX_ANSWER).read_to_vec()?;
        Ok(http::Response::from_parts(parts, body))
    }
}

impl Web {
    /// One question. The way to the machine itself leads over no proxy.
    fn asked(
        &self,
        here: bool,
        request: http::Request<impl ureq::AsSendBody>,
    ) -> Result<http::Response<ureq::Body>, ureq::Error> {
        if !here {
            return self.agent.run(request);
        }
        let request = self.agent.configure_request(request).proxy(None).build();
        self.agent.run(request)
    }
}

/// Whether nobody can listen or answer on the way.
pub fn is_safe(scheme: &str, host: Option<&str>) -> bool {
    scheme == "https" || (scheme == "http" && host.is_some_and(|host| HERE.contains(&host)))
}

/// What happened, for somebody who does not know the library.
fn in_words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "its name has no address".to_owned(),
        ureq::Error::Timeout(_) => format!("it does not answer within {} s", LIMIT.as_secs()),
        ureq::Error::BodyExceedsLimit(_) => format!("it answers with more than {} kB", MAX_ANSWER >> 10),
        other => {
            let text = other.to_string();
            // rustls's word for it, however deep it lies.
            if !text.contains("UnknownIssuer") {
                return text;
            }
            "nobody whom the system trusts vouches for its certificate; an operator names the authority's certificate as \
             console.openid.caFile"
                .to_owned()
        }
    }
}
