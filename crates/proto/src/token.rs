//! The text that an operator carries from the controller to a machine that is to become a host.

use std::str::FromStr;

/// A join token: `netvirt.ID.SECRET.FINGERPRINT`.
///
/// The secret proves to the controller that the machine may join; the fingerprint proves to the machine that it speaks
/// to the right controller, before the secret leaves it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Which token it is; not secret.
    pub id: String,
    /// What the controller knows the hash of.
    pub secret: String,
    /// SHA-256 of the authority's certificate (DER), in lower case hexadecimal.
    pub fingerprint: String,
}

/// Why a text is no join token.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TokenError {
    /// Not of the form.
    #[error(
        "this is not a join token; it reads netvirt.ID.SECRET.FINGERPRINT, as \"netvirt create join-token\" prints it, on \
         one line"
    )]
    Malformed,
    /// The last part is no fingerprint: it was cut off, probably.
    #[error("the join token ends in \"{0}\", which is no fingerprint of 64 hexadecimal digits; copy the whole line")]
    Fingerprint(String),
}

impl FromStr for Token {
    type Err = TokenError;
    fn from_str(text: &str) -> Result<Self, TokenError> {
        let parts: Vec<&str> = text.trim().split('.').collect();
        let [prefix, id, secret, fingerprint] = parts[..] else { return Err(TokenError::Malformed) };
        let plain = |part: &str| {
            !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
        };
        if prefix != "netvirt" || !plain(id) || !plain(secret) {
            return Err(TokenError::Malformed);
        }
        if fingerprint.len() != 64 || !fingerprint.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(TokenError::Fingerprint(fingerprint.to_owned()));
        }
        Ok(Self { id: id.to_owned(), secret: secret.to_owned(), fingerprint: fingerprint.to_ascii_lowercase() })
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "netvirt.{}.{}.{}", self.id, self.secret, self.fingerprint)
    }
}

/// Without the secret, so that no log has it.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "netvirt.{}.***.{}", self.id, self.fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_secret_is_not_logged() {
        let text = format!("netvirt.a1b2.s3cr-et_.{}", "0f".repeat(32));
        let token: Token = format!(" {text}\n").parse().unwrap();
        assert_eq!(token.to_string(), text);
        assert!(!format!("{token:?}").contains("s3cr"));
    }

    #[test]
    fn what_is_cut_or_foreign_is_refused() {
        for text in ["", "netvirt", "netvirt.a.b", "netvirt..b.c", "kube.a.b.c", "netvirt.a.b!.c", "netvirt.a.b.c.d"] {
            assert_eq!(text.parse::<Token>(), Err(TokenError::Malformed), "{text}");
        }
        assert_eq!("netvirt.a.b.0f0".parse::<Token>(), Err(TokenError::Fingerprint("0f0".to_owned())));
    }
}
