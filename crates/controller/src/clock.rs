//! The time, and how it is written.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 (UTC).
pub fn now() -> u64 {
    millis(SystemTime::now())
}

/// A time in milliseconds since 1970; 0 if it is before.
pub fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// As RFC 3339 writes it, in UTC.
pub fn rfc3339(millis: u64) -> String {
    // The last second of the year 9999, beyond which RFC 3339 has no words.
    const LAST: u64 = 253_402_300_799_000;
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(millis.min(LAST))).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_even_at_their_edges() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert!(rfc3339(u64::MAX).starts_with("9999-12-31T"));
        assert!(now() > 1_700_000_000_000);
    }
}
