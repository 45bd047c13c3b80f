//! Where a list goes on: after a name, whatever has come and gone in between.

use api::Problem;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::fabric::{Key, Kind};

use crate::records;

/// The token with which a list goes on after this resource.
pub fn token(last: &Key) -> String {
    URL_SAFE_NO_PAD.encode(records::path(last))
}

/// The resource after which a list of this kind goes on.
pub fn after(token: &str, kind: Kind) -> Result<Key, Problem> {
    let read = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let mut parts = text.splitn(3, '/');
        let of: Kind = parts.next()?.parse().ok()?;
        let tenant = match parts.next()? {
            "-" => None,
            tenant => Some(tenant.parse().ok()?),
        };
        let name = parts.next()?.parse().ok()?;
        (of == kind && tenant.is_some() == kind.has_tenant()).then_some(Key { kind, tenant, name })
    };
    read().ok_or_else(|| {
        Problem::bad_request(format!(
            "\"{token}\" does not continue a list of {}; give what the page before has as \"continue\", or begin anew \
             without it",
            kind.plural()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_place_and_nonsense_is_refused() {
        let key = Key::new(Kind::IpPool, Some("blue".parse().unwrap()), "CA Pool".parse().unwrap());
        assert_eq!(after(&token(&key), Kind::IpPool), Ok(key.clone()));
        assert_eq!(after(&token(&key), Kind::Port).unwrap_err().status, 400);
        for nonsense in ["", "x", "%%%", "cG9ydA"] {
            assert!(after(nonsense, Kind::Port).unwrap_err().detail.contains("does not continue a list of ports"));
        }
        let host = Key::global(Kind::Host, &"host15".parse().unwrap());
        assert_eq!(after(&token(&host), Kind::Host), Ok(host));
    }
}
