//! TLS of the northbound interface: the controller's certificate, and the one authority that a client trusts.
//!
//! Versions 1.2 and 1.3 with ring's ciphers. Clients have no certificates; they show tokens.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// What ALPN (RFC 7301) calls HTTP/1.1.
const HTTP_1_1: &[u8] = b"http/1.1";

/// A certificate and its key, both as PEM.
#[derive(Clone)]
pub struct TlsIdentity {
    /// The certificate, and behind it those that lead to the authority.
    pub certificate_chain: String,
    /// The private key (PKCS #8, PKCS #1 or SEC 1).
    pub key: String,
}

/// The key is not for logs.
impl std::fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsIdentity").field("certificate_chain", &self.certificate_chain).finish_non_exhaustive()
    }
}

/// Why a certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A text that is no PEM.
    #[error("the {what} is not PEM: {reason}; give the text from \"-----BEGIN\" to \"-----END ...-----\"")]
    Pem {
        /// Which text.
        what: &'static str,
        /// What is wrong with it.
        reason: PemError,
    },
    /// PEM without what was looked for.
    #[error("the {0} has no part that is one; give the text from \"-----BEGIN\" to \"-----END ...-----\"")]
    Nothing(&'static str),
    /// Understood, but of no use.
    #[error("the {what} cannot be used: {reason}")]
    Unusable {
        /// Which text.
        what: &'static str,
        /// Why not.
        reason: rustls::Error,
    },
}

fn unusable(what: &'static str) -> impl FnOnce(rustls::Error) -> TlsError {
    move |reason| TlsError::Unusable { what, reason }
}

/// The certificates of a text.
fn certificates(what: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|reason| TlsError::Pem { what, reason })?;
    if certificates.is_empty() { Err(TlsError::Nothing(what)) } else { Ok(certificates) }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

/// What the server shows to clients; it can be exchanged while the server runs, for new connections.
#[derive(Clone, Debug)]
pub struct ServerTls {
    current: Arc<Current>,
    config: Arc<ServerConfig>,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl ServerTls {
    /// Shows this certificate.
    ///
    /// # Errors
    /// When a text is not what it should be, or the key is not the certificate's.
    pub fn new(identity: &TlsIdentity) -> Result<Self, TlsError> {
        let current = Arc::new(Current(RwLock::new(Arc::new(certified(identity)?))));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable("TLS library"))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Ok(Self { current, config: Arc::new(config) })
    }

    /// Shows another certificate from now on; connections that are open keep the one that they were opened with.
    ///
    /// # Errors
    /// As of [`ServerTls::new`]; then the one before stays.
    pub fn replace(&self, identity: &TlsIdentity) -> Result<(), TlsError> {
        let next = Arc::new(certified(identity)?);
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// What tokio-rustls takes.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

/// Reads an identity and sees that the key is the certificate's.
fn certified(identity: &TlsIdentity) -> Result<CertifiedKey, TlsError> {
    let chain = certificates("certificate chain", &identity.certificate_chain)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).map_err(|reason| match reason {
        PemError::NoItemsFound => TlsError::Nothing("private key"),
        reason => TlsError::Pem { what: "private key", reason },
    })?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(unusable("certificate with this key"))
}

/// The configuration of a client that trusts this authority and no other.
pub(super) fn client_config(ca_pem: &str) -> Result<ClientConfig, TlsError> {
    let what = "certificate of the controller's authority (ca)";
    let mut roots = RootCertStore::empty();
    for certificate in certificates(what, ca_pem)? {
        roots.add(certificate).map_err(unusable(what))?;
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable("TLS library"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(config)
}
