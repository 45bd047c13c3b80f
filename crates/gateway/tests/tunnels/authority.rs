//! An authority of certificates, and what it signs.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};

/// An authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, in PEM.
    pub pem: String,
}

/// A certificate and its key, in PEM.
pub struct Signed {
    pub certificate: String,
    pub key: String,
}

/// Today as year, month and day, shifted by years.
fn day(years: i32) -> (i32, u8, u8) {
    let today = time::OffsetDateTime::now_utc().date();
    (today.year() + years, u8::from(today.month()), 1)
}

impl Authority {
    /// One of this name.
    pub fn new(name: &str) -> Self {
        Self::with(name, KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap())
    }

    /// One of this name with this key.
    pub fn with(name: &str, key: KeyPair) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// Signs a certificate for a name, with a key of this algorithm. It is valid from so many years from now to so many.
    pub fn sign(&self, name: &str, algorithm: &'static rcgen::SignatureAlgorithm, years: [i32; 2]) -> Signed {
        self.sign_key(name, &KeyPair::generate_for(algorithm).unwrap(), years)
    }

    /// Signs a certificate for a name with this key.
    pub fn sign_key(&self, name: &str, key: &KeyPair, years: [i32; 2]) -> Signed {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let [from, to] = years.map(day);
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(to.0, to.1, to.2);
        let certificate = params.signed_by(key, &self.issuer).unwrap();
        Signed { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A key of RSA with so many bits, as OpenSSL makes it; what signs here makes none itself.
pub fn rsa(bits: u32) -> KeyPair {
    let option = format!("rsa_keygen_bits:{bits}");
    let pem = super::run("openssl", &["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", &option]);
    KeyPair::from_pem(&pem).unwrap()
}

/// A key of RSA in the form that older tools write: PKCS #1 (RFC 8017) where others have PKCS #8.
pub fn traditional(key: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), key).unwrap();
    let pem = super::run("openssl", &["rsa", "-traditional", "-in", &file.path().to_string_lossy()]);
    assert!(pem.starts_with("-----BEGIN RSA PRIVATE KEY-----"), "OpenSSL writes something else");
    pem
}
