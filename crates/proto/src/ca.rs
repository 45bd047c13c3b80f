//! Certificates: the controller's own authority, the controller's server certificate, and those of hosts.
//!
//! Three things keep the roles apart. A host's certificate is good for clients alone (extended key usage), so that no
//! host can pretend to be the controller. The controller's has a name of its own, [`crate::CONTROLLER_NAME`]. Who a host
//! is stands in a URI, `netvirt:host/NAME/UID`, which nothing else has.

use std::time::{Duration, SystemTime};

use model::fabric::ResourceName;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;

use crate::{CONTROLLER_NAME, Peer};

/// How far the clock of a host may be behind the controller's: certificates begin so much before they are made.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(300);

/// How long an authority is valid: 10 years.
pub const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);

/// What the URI of a host begins with.
const HOST_URI: &str = "netvirt:host/";

/// Why a certificate cannot be made or read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CaError {
    /// The library refuses.
    #[error("cannot {what}: {reason}")]
    Make {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        reason: String,
    },
    /// What is there is no certificate, or no key, of the kind that was expected.
    #[error("{what} cannot be read: {reason}")]
    Read {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The private key is another's.
    #[error("the private key does not belong to the certificate; restore both from the same backup")]
    Mismatch,
}

fn make(what: &'static str) -> impl FnOnce(rcgen::Error) -> CaError {
    move |error| CaError::Make { what, reason: error.to_string() }
}

fn read(what: &'static str, reason: impl std::fmt::Display) -> CaError {
    CaError::Read { what, reason: reason.to_string() }
}

/// A certificate with its private key, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Certified {
    /// The certificate, then those that signed it.
    pub chain: String,
    /// The private key (PKCS #8). Whoever has it is who the certificate says.
    pub key: String,
}

/// When a certificate is valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetime {
    /// From then on, [`CLOCK_LEEWAY`] before it was made.
    pub not_before: SystemTime,
    /// Until then.
    pub not_after: SystemTime,
}

impl Lifetime {
    /// When it should be renewed: after two thirds of its life.
    pub fn renew_at(&self) -> SystemTime {
        let made = self.not_before + CLOCK_LEEWAY;
        let life = self.not_after.duration_since(made).unwrap_or_default();
        made + life * 2 / 3
    }

    /// Whether it should be renewed now: its time has come, or the clock was set back to before its life.
    pub fn is_due(&self, now: SystemTime) -> bool {
        now >= self.renew_at() || now < self.not_before
    }
}

/// How often a server looks whether its certificate is due. It does not sleep until then: clocks are set, and a machine
/// that starts with a wrong one would show a certificate of the past for weeks.
pub const RENEWAL_LOOK: Duration = Duration::from_secs(60);

/// A certificate authority: signs for the hosts and the controller of one fabric.
pub struct Authority {
    certificate: String,
    der: CertificateDer<'static>,
    key: String,
    issuer: Issuer<'static, KeyPair>,
    fingerprint: String,
}

impl Authority {
    /// A new authority, with a key of its own.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn create() -> Result<Self, CaError> {
        let what = "make the certificate authority";
        let key = KeyPair::generate().map_err(make(what))?;
        let mut params = params(AUTHORITY_LIFE, "netvirt certificate authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(make(what))?;
        Self::load(&certificate.pem(), &key.serialize_pem())
    }

    /// An authority that was made before.
    ///
    /// # Errors
    /// When the texts are not the certificate and the private key of one authority.
    pub fn load(certificate: &str, key: &str) -> Result<Self, CaError> {
        let der = first_certificate("the certificate of the authority", certificate)?;
        let pair = KeyPair::from_pem(key).map_err(|error| read("the private key of the authority", error))?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&der)
            .map_err(|error| read("the certificate of the authority", error))?;
        if parsed.public_key().subject_public_key.data.as_ref() != pair.public_key_raw() {
            return Err(CaError::Mismatch);
        }
        let issuer = Issuer::from_ca_cert_der(&der, pair).map_err(make("sign with this authority"))?;
        Ok(Self {
            certificate: certificate.to_owned(),
            fingerprint: fingerprint(&der),
            der,
            key: key.to_owned(),
            issuer,
        })
    }

    /// Its certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its private key, PEM. To be kept where only root reads it.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// SHA-256 of its certificate, in hexadecimal: what join tokens end in.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub(crate) const fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// A certificate for the controller's servers, with a key of its own. `names` are the names and addresses that
    /// people reach it by; [`CONTROLLER_NAME`] is always among them.
    ///
    /// # Errors
    /// When a name is none.
    pub fn server_certificate(&self, names: &[String], life: Duration) -> Result<Certified, CaError> {
        let what = "make the controller's certificate";
        let all = std::iter::once(CONTROLLER_NAME.to_owned()).chain(names.iter().cloned());
        let alternatives = CertificateParams::new(all.collect::<Vec<_>>()).map_err(make(what))?.subject_alt_names;
        let mut params = params(life, CONTROLLER_NAME);
        params.subject_alt_names = alternatives;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(make(what))?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(make(what))?;
        Ok(Certified { chain: format!("{}{}", certificate.pem(), self.certificate), key: key.serialize_pem() })
    }

    /// Signs a host's request: a certificate (PEM) that says that the holder of the request's key is this host. What
    /// else the request asks for does not matter.
    ///
    /// # Errors
    /// When the request is none, or its signature is wrong.
    pub fn sign(
        &self,
        request: &HostRequest,
        host: &ResourceName,
        uid: &str,
        life: Duration,
    ) -> Result<String, CaError> {
        let what = "make the host's certificate";
        let mut params = params(life, host.as_str());
        // A URI has no spaces; a host's name has none either, but what decides is the reader below.
        let uri = format!("{HOST_URI}{host}/{uid}");
        params.subject_alt_names = vec![SanType::URI(uri.try_into().map_err(|error: rcgen::Error| make(what)(error))?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(&request.0.public_key, &self.issuer).map_err(make(what))?.pem())
    }
}

/// A host's request for a certificate, whose signature proves that the host has the key.
pub struct HostRequest(CertificateSigningRequestParams);

impl HostRequest {
    /// Reads one (PKCS #10, DER).
    ///
    /// # Errors
    /// When it is none, or its signature is wrong.
    pub fn read(der: &[u8]) -> Result<Self, CaError> {
        CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der))
            .map(Self)
            .map_err(|error| read("the certificate request", error))
    }

    /// Makes a key (PEM) and the request (DER) for its first or next certificate.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn make() -> Result<(String, Vec<u8>), CaError> {
        let what = "make a key";
        let key = KeyPair::generate().map_err(make(what))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key).map_err(make(what))?;
        Ok((key.serialize_pem(), request.der().to_vec()))
    }
}

/// Parameters of a certificate that begins now, with some leeway.
fn params(life: Duration, common_name: &str) -> CertificateParams {
    let now = SystemTime::now();
    let mut params = CertificateParams::default();
    params.not_before = (now - CLOCK_LEEWAY).into();
    params.not_after = (now + life).into();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn first_certificate(what: &'static str, pem: &str) -> Result<CertificateDer<'static>, CaError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| read(what, error))
}

/// SHA-256 of a certificate in hexadecimal.
pub(crate) fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of the first certificate of a PEM text, in hexadecimal.
///
/// # Errors
/// When there is none.
pub fn fingerprint_of(pem: &str) -> Result<String, CaError> {
    Ok(fingerprint(&first_certificate("the certificate", pem)?))
}

/// When the first certificate of a PEM text is valid.
///
/// # Errors
/// When there is none.
pub fn lifetime(pem: &str) -> Result<Lifetime, CaError> {
    let der = first_certificate("the certificate", pem)?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(|error| read("the certificate", error))?;
    let validity = parsed.validity();
    Ok(Lifetime {
        not_before: validity.not_before.to_datetime().into(),
        not_after: validity.not_after.to_datetime().into(),
    })
}

/// The host that a certificate is for. That it was signed by the authority is for the caller to know.
///
/// # Errors
/// When it is not the certificate of a host.
pub(crate) fn peer(der: &[u8]) -> Result<Peer, CaError> {
    let what = "the host's certificate";
    let (_, parsed) = x509_parser::parse_x509_certificate(der).map_err(|error| read(what, error))?;
    let alternatives = parsed.subject_alternative_name().map_err(|error| read(what, error))?;
    let names = alternatives.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let uri = names.iter().find_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix(HOST_URI),
        _ => None,
    });
    let (host, uid) = uri.and_then(|uri| uri.split_once('/')).ok_or_else(|| read(what, "it names no host"))?;
    Ok(Peer {
        host: host.parse().map_err(|error| read(what, error))?,
        uid: uid.to_owned(),
        fingerprint: fingerprint(der),
        not_after: parsed.validity().not_after.to_datetime().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(life: Duration) -> (Authority, String) {
        let authority = Authority::create().unwrap();
        let (_, request) = HostRequest::make().unwrap();
        let request = HostRequest::read(&request).unwrap();
        let certificate = authority.sign(&request, &"host15".parse().unwrap(), "a-uid", life).unwrap();
        (authority, certificate)
    }

    #[test]
    fn a_certificate_says_which_host_it_is() {
        let (_, certificate) = signed(Duration::from_secs(3600));
        let der = first_certificate("it", &certificate).unwrap();
        let peer = peer(&der).unwrap();
        assert_eq!((peer.host.as_str(), peer.uid.as_str()), ("host15", "a-uid"));
        assert_eq!(peer.fingerprint, fingerprint_of(&certificate).unwrap());
    }

    #[test]
    fn it_is_renewed_after_two_thirds_and_begins_a_little_before_it_is_made() {
        let before = SystemTime::now();
        let (_, certificate) = signed(Duration::from_secs(3000));
        let life = lifetime(&certificate).unwrap();
        assert!(life.not_before < before, "clocks differ");
        let wait = life.renew_at().duration_since(before).unwrap().as_secs();
        assert!((1990..=2010).contains(&wait), "{wait}");
        let second = Duration::from_secs(1);
        assert!(!life.is_due(before) && life.is_due(life.renew_at()) && !life.is_due(life.renew_at() - second));
        assert!(life.is_due(life.not_before - second), "the clock was set back");
    }

    #[test]
    fn an_authority_is_loaded_from_what_was_written_and_from_nothing_else() {
        let (one, two) = (Authority::create().unwrap(), Authority::create().unwrap());
        let again = Authority::load(one.certificate(), one.key()).unwrap();
        assert_eq!(again.fingerprint(), one.fingerprint());
        assert_eq!(Authority::load(one.certificate(), two.key()).err(), Some(CaError::Mismatch));
        assert!(matches!(Authority::load("nothing", two.key()).err(), Some(CaError::Read { .. })));
        assert!(HostRequest::read(b"nothing").is_err());
    }

    #[test]
    fn a_request_with_a_wrong_signature_is_refused() {
        let (_, mut request) = HostRequest::make().unwrap();
        let last = request.len() - 1;
        request[last] ^= 1;
        assert!(HostRequest::read(&request).is_err());
    }
}
