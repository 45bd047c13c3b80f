//! A sign-in while the browser is at the provider. All of it stands in a cookie, so that nothing is kept here for people who
//! never come back, and any controller can take up what another began.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use openidconnect::CsrfToken;
use sha2::{Digest as _, Sha256};

/// How long the browser may be away.
pub const LIFE: Duration = Duration::from_secs(600);

/// Most bytes of the place to go to afterwards; a longer one is forgotten, as browsers forget cookies of 4 kB.
const MAX_NEXT: usize = 2000;

/// Random bytes of a cookie.
const SECRET_BYTES: u32 = 32;

/// What a sign-in remembers: when it began, a secret, and where it leads.
///
/// State, nonce and the verifier of PKCE are hashes over the whole cookie: each can be seen by somebody else than the others,
/// none leads back to the secret, and a cookie that was altered fits none of them.
pub struct Attempt {
    cookie: String,
    next: String,
}

impl Attempt {
    /// A new one.
    pub fn new(now: SystemTime, next: &str) -> Self {
        let next = if next.len() > MAX_NEXT { "/" } else { next };
        let secret = CsrfToken::new_random_len(SECRET_BYTES);
        let cookie = format!("{}.{}.{}", seconds(now), secret.secret(), BASE64_URL_SAFE_NO_PAD.encode(next));
        Self { cookie, next: next.to_owned() }
    }

    /// The one of a cookie, unless it is too old or none of ours.
    pub fn read(cookie: &str, now: SystemTime) -> Option<Self> {
        let mut parts = cookie.splitn(3, '.');
        let (began, secret, next) = (parts.next()?.parse::<u64>().ok()?, parts.next()?, parts.next()?);
        let age = seconds(now).checked_sub(began)?;
        if age > LIFE.as_secs() || secret.is_empty() {
            return None;
        }
        let next = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(next).ok()?).ok()?;
        Some(Self { cookie: cookie.to_owned(), next })
    }

    /// What the browser keeps.
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    /// Where it leads.
    pub fn next(&self) -> &str {
        &self.next
    }

    /// What the provider sends back by the browser (RFC 6749, section 10.12).
    pub fn state(&self) -> String {
        self.derived("state")
    }

    /// What must stand in the ID token (OpenID Connect Core 1.0, section 3.1.2.1).
    pub fn nonce(&self) -> String {
        self.derived("nonce")
    }

    /// What proves to the provider that the code is shown by whoever asked for it (RFC 7636, section 4.1).
    pub fn verifier(&self) -> String {
        self.derived("verifier")
    }

    fn derived(&self, what: &str) -> String {
        let hash = Sha256::new().chain_update("netvirt openid ").chain_update(what).chain_update([0]);
        BASE64_URL_SAFE_NO_PAD.encode(hash.chain_update(&self.cookie).finalize())
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_brings_it_back_for_ten_minutes() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let one = Attempt::new(now, "/t/blue?q=a.b");
        assert!(one.cookie().bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)), "{}", one.cookie());
        let back = |after| Attempt::read(one.cookie(), now + Duration::from_secs(after));
        for after in [0, 600] {
            let back = back(after).unwrap();
            assert_eq!((back.next(), back.state()), ("/t/blue?q=a.b", one.state()));
            assert_eq!((back.nonce(), back.verifier()), (one.nonce(), one.verifier()));
        }
        assert!(back(601).is_none());
        assert!(Attempt::read(one.cookie(), now - Duration::from_secs(1)).is_none());
        for wrong in ["", "1", "1800000000..Lw", "1800000000.x", "x.x.Lw", "1800000000.x.L", "-1.x.Lw"] {
            assert!(Attempt::read(wrong, now).is_none(), "{wrong}");
        }
    }

    #[test]
    fn an_altered_cookie_fits_nothing() {
        let now = SystemTime::now();
        let one = Attempt::new(now, "/a");
        let other = Attempt::read(&one.cookie().replace(".L2E", ".L2I"), now).unwrap();
        assert_eq!(other.next(), "/b");
        assert_ne!(one.state(), other.state());
        let values = [one.state(), one.nonce(), one.verifier(), Attempt::new(now, "/a").state()];
        for (place, value) in values.iter().enumerate() {
            assert!(!values[..place].contains(value) && value.len() == 43 && !one.cookie().contains(value));
        }
    }

    #[test]
    fn a_place_that_fits_no_cookie_is_forgotten() {
        assert_eq!(Attempt::new(SystemTime::now(), &format!("/{}", "x".repeat(2000))).next(), "/");
    }
}
