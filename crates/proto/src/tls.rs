//! TLS as both sides speak it: rustls with ring, certificates of the controller's own authority.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};

use crate::ca::{Authority, CaError, Certified, fingerprint};

/// How long the controller's own certificate is valid; it is made anew after two thirds of that.
pub const SERVER_LIFE: Duration = Duration::from_secs(90 * 86_400);

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn bad(what: &'static str) -> impl Fn(rustls::Error) -> CaError {
    move |error| CaError::Make { what, reason: error.to_string() }
}

fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, CaError> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| CaError::Read { what: "the certificate", reason: error.to_string() })
}

fn key(pem: &str) -> Result<PrivateKeyDer<'static>, CaError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| CaError::Read { what: "the private key", reason: error.to_string() })
}

fn roots(authority: CertificateDer<'static>) -> Result<Arc<RootCertStore>, CaError> {
    let mut roots = RootCertStore::empty();
    roots.add(authority).map_err(bad("trust the authority"))?;
    Ok(Arc::new(roots))
}

/// The controller's certificate, which is replaced while the server runs.
#[derive(Debug)]
pub struct ServerCertificate(RwLock<Arc<CertifiedKey>>);

impl ServerCertificate {
    /// This one at first.
    pub fn new(certified: &Certified) -> Result<Arc<Self>, CaError> {
        Ok(Arc::new(Self(RwLock::new(certified_key(certified)?))))
    }

    /// This one from now on.
    pub fn replace(&self, certified: &Certified) -> Result<(), CaError> {
        *self.0.write() = certified_key(certified)?;
        Ok(())
    }
}

fn certified_key(certified: &Certified) -> Result<Arc<CertifiedKey>, CaError> {
    CertifiedKey::from_der(chain(&certified.chain)?, key(&certified.key)?, &provider())
        .map(Arc::new)
        .map_err(bad("use the controller's certificate"))
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read()))
    }
}

/// The server's side. Clients without a certificate are let in, since they may want to join; those with one must have
/// it of the authority.
pub fn server(authority: &Authority, certificate: Arc<ServerCertificate>) -> Result<ServerConfig, CaError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(authority.der().clone())?, provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| CaError::Make { what: "trust the authority", reason: error.to_string() })?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(bad("speak TLS"))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// The side of a host that has joined: knows the authority, and shows who it is.
pub fn host(authority: &str, certified: &Certified) -> Result<ClientConfig, CaError> {
    let root = CertificateDer::from_pem_slice(authority.as_bytes())
        .map_err(|error| CaError::Read { what: "the certificate of the authority", reason: error.to_string() })?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(bad("speak TLS"))?
        .with_root_certificates(roots(root)?)
        .with_client_auth_cert(chain(&certified.chain)?, key(&certified.key)?)
        .map_err(bad("use the host's certificate"))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// The side of a machine that wants to join: knows the authority's fingerprint alone.
pub fn stranger(expected: &str) -> Result<ClientConfig, CaError> {
    let verifier = Pinned { expected: expected.to_owned(), provider: provider() };
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(bad("speak TLS"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// Believes the authority whose certificate has this fingerprint, which the server sends along; then checks as always.
#[derive(Debug)]
struct Pinned {
    expected: String,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let authority = intermediates.iter().find(|der| fingerprint(der) == self.expected).ok_or_else(|| {
            let shown: Vec<String> = intermediates.iter().map(|der| fingerprint(der)).collect();
            rustls::Error::General(format!(
                "the join token is of another controller: it names the authority {}, and this controller's is {}",
                self.expected,
                shown.first().map_or("unknown", String::as_str)
            ))
        })?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
