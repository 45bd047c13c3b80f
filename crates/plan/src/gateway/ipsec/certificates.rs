//! Certificates of our own, looked at before they are shown to anybody: the other side would say no more than that it refuses.

use model::gateway::Certificates;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What is wrong with the certificates of a tunnel at a time, in seconds since 1970, as a sentence that says what to do.
pub fn trouble(certificates: &Certificates, now: u64) -> Option<String> {
    let ours = "ipsec.certificates.certificate";
    read("ipsec.certificates.ca", "the certificate of the other side's authority", &certificates.ca, now)
        .or_else(|| read(ours, "our certificate", &certificates.certificate, now))
}

/// What is wrong with certificates in one text.
fn read(field: &str, what: &str, text: &str, now: u64) -> Option<String> {
    let mut count = 0;
    for pem in x509_parser::pem::Pem::iter_from_buffer(text.as_bytes()) {
        let Ok(pem) = pem else {
            return Some(format!("{field} has PEM that cannot be read; paste the whole file, from BEGIN to END"));
        };
        if pem.label != "CERTIFICATE" {
            continue;
        }
        count += 1;
        let Ok((_, certificate)) = X509Certificate::from_der(&pem.contents) else {
            return Some(format!("{field} has a certificate that cannot be read; is it of X.509?"));
        };
        if let Some(sentence) = validity(field, what, &certificate, now) {
            return Some(sentence);
        }
    }
    (count == 0)
        .then(|| format!("{field} has no certificate; paste it in PEM, beginning with -----BEGIN CERTIFICATE-----"))
}

fn validity(field: &str, what: &str, certificate: &X509Certificate<'_>, now: u64) -> Option<String> {
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let (subject, validity) = (certificate.subject(), certificate.validity());
    if validity.not_after.timestamp() < now {
        let date = validity.not_after;
        return Some(format!("{what} (\"{subject}\") has expired on {date}; put a new one into {field}"));
    }
    let date = validity.not_before;
    (date.timestamp() > now).then(|| {
        format!("{what} (\"{subject}\") is not valid before {date}; is the clock of this host right? If so, put another one into {field}")
    })
}
