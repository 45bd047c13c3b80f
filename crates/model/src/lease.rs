//! Addresses that are lent: for how long, and what has become of them.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What became of an address that DHCP gives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum LeaseState {
    /// It was offered, and not yet asked for.
    Offered,
    /// The VM has it.
    Bound,
    /// The VM asked for this address, which is not its own.
    Refused,
    /// The VM gave it back.
    Released,
    /// The VM found that somebody else uses it.
    Declined,
}

/// How long a DHCP lease is valid, in whole seconds, at least [`LeaseTime::MIN`]. Written as `1d`, `8h 30m` or `90s`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LeaseTime(u32);

/// Why a text is no lease time.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LeaseTimeError {
    /// No duration.
    #[error("\"{0}\" is not a lease time; write one such as 1d, 8h or 90s")]
    Malformed(String),
    /// Too short or too long.
    #[error("a lease time of {0} is out of range; choose one of 60s to 49710d")]
    OutOfRange(String),
}

impl LeaseTime {
    /// The shortest: clients renew after half of it, and each renewal costs the host work.
    pub const MIN: Self = Self(60);
    /// The longest but "for ever" (0xFFFFFFFF, RFC 2131, section 3.3).
    pub const MAX: Self = Self(49_710 * 86_400);

    /// The lease time of so many seconds.
    ///
    /// # Errors
    /// When it is outside of [`LeaseTime::MIN`] to [`LeaseTime::MAX`].
    pub fn new(seconds: u32) -> Result<Self, LeaseTimeError> {
        if (Self::MIN.0..=Self::MAX.0).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(LeaseTimeError::OutOfRange(format!("{seconds}s")))
        }
    }

    /// Seconds.
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

/// A day.
impl Default for LeaseTime {
    fn default() -> Self {
        Self(86_400)
    }
}

impl std::fmt::Display for LeaseTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&humantime::format_duration(Duration::from_secs(self.0.into())).to_string())
    }
}

impl std::str::FromStr for LeaseTime {
    type Err = LeaseTimeError;
    fn from_str(text: &str) -> Result<Self, LeaseTimeError> {
        let duration = humantime::parse_duration(text).map_err(|_| LeaseTimeError::Malformed(text.to_owned()))?;
        let seconds = u32::try_from(duration.as_secs()).map_err(|_| LeaseTimeError::OutOfRange(text.to_owned()))?;
        Self::new(seconds)
    }
}

impl TryFrom<String> for LeaseTime {
    type Error = LeaseTimeError;
    fn try_from(text: String) -> Result<Self, LeaseTimeError> {
        text.parse()
    }
}

impl From<LeaseTime> for String {
    fn from(time: LeaseTime) -> String {
        time.to_string()
    }
}

impl schemars::JsonSchema for LeaseTime {
    fn schema_name() -> Cow<'static, str> {
        "LeaseTime".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "examples": ["1day", "8h 30m", "90s"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_of_what_a_lease_time_is() {
        assert_eq!("1d".parse(), Ok(LeaseTime::default()));
        assert_eq!(LeaseTime::default().to_string().parse(), Ok(LeaseTime::default()));
        assert_eq!("60s".parse(), Ok(LeaseTime::MIN));
        assert_eq!("49710d".parse(), Ok(LeaseTime::MAX));
        assert_eq!("59s".parse::<LeaseTime>(), Err(LeaseTimeError::OutOfRange("59s".into())));
        assert_eq!("49711d".parse::<LeaseTime>(), Err(LeaseTimeError::OutOfRange("49711d".into())));
        assert_eq!("soon".parse::<LeaseTime>(), Err(LeaseTimeError::Malformed("soon".into())));
    }
}
