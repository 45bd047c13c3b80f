//! Secrets of tokens and sessions: random, told once, kept as SHA-256 and compared in constant time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Bytes of randomness of a secret; a hash of so much needs no salt and no slowness.
const SECRET_BYTES: usize = 32;

/// A new secret, of letters, digits, `-` and `_`.
pub fn new() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; SECRET_BYTES]>())
}

/// What is kept of a secret: SHA-256 in hexadecimal.
pub fn hash(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether two hashes are equal, in a time that does not tell where they differ.
pub fn same(one: &str, other: &str) -> bool {
    api::fabric::accounts::same(one.as_bytes(), other.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_only_their_own_hash_fits() {
        let (one, other) = (new(), new());
        assert_ne!(one, other);
        assert_eq!(one.len(), 43);
        assert!(same(&hash(&one), &hash(&one)));
        assert!(!same(&hash(&one), &hash(&other)));
        assert!(!same(&hash(&one), ""));
        // FIPS 180-4, "abc".
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
