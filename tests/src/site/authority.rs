//! An authority of certificates as a company has it, and what it signs.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};

/// An authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, in PEM.
    pub pem: String,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// One of this name.
    #[track_caller]
    pub fn new(name: &str) -> Self {
        let (mut params, key) = draft(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).expect("an authority signs itself");
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// Signs a certificate for a name of the DNS, valid from so many years from now to so many.
    #[track_caller]
    pub fn sign(&self, name: &str, years: [i32; 2]) -> Signed {
        let (mut params, key) = draft(name);
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().expect("a name of the DNS"))];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let today = time::OffsetDateTime::now_utc().date();
        // The first of the month, which there is in every year.
        let day = |years| rcgen::date_time_ymd(today.year() + years, u8::from(today.month()), 1);
        [params.not_before, params.not_after] = years.map(day);
        let certificate = params.signed_by(&key, &self.issuer).expect("an authority signs");
        Signed { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// What is to be signed for this name, with a key of its own.
#[track_caller]
fn draft(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new([]).expect("no names are legal ones");
    params.distinguished_name.push(DnType::CommonName, name);
    (params, KeyPair::generate().expect("keys are made"))
}
