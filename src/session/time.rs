//! Points in time. Nothing here reads a clock: callers pass `now`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// How far the clocks of two nodes may differ: a timestamp up to this far in the future is accepted, a later one is not.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// Milliseconds since 1970-01-01T00:00:00Z, as in NocoBase's `signInTime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The time that has passed since `earlier`; zero if `earlier` is in the future.
    pub(crate) const fn since(self, earlier: UnixMillis) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This much later.
    pub(crate) fn plus(self, span: Duration) -> UnixMillis {
        UnixMillis(self.0.saturating_add(millis(span)))
    }

    /// This much earlier.
    pub(crate) fn minus(self, span: Duration) -> UnixMillis {
        UnixMillis(self.0.saturating_sub(millis(span)))
    }

    /// Whether this is further ahead of `now` than `CLOCK_SKEW` explains.
    pub(crate) fn is_from_the_future(self, now: UnixMillis) -> bool {
        self > now.plus(CLOCK_SKEW)
    }

    /// Whole seconds, as in `iat` and `exp` of a JWT.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }
}

impl From<SystemTime> for UnixMillis {
    /// Times before 1970 count as 1970.
    fn from(time: SystemTime) -> Self {
        UnixMillis(time.duration_since(UNIX_EPOCH).map_or(0, millis))
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(UnixMillis(5).since(UnixMillis(9)), Duration::ZERO);
        assert_eq!(UnixMillis(9).since(UnixMillis(5)), Duration::from_millis(4));
        assert_eq!(UnixMillis(u64::MAX).plus(Duration::from_secs(1)), UnixMillis(u64::MAX));
        assert_eq!(UnixMillis(1).plus(Duration::MAX), UnixMillis(u64::MAX));
        assert_eq!(UnixMillis(1).minus(Duration::MAX), UnixMillis(0));
        assert_eq!(UnixMillis(1500).minus(Duration::from_secs(1)), UnixMillis(500));
        assert_eq!(UnixMillis::from(UNIX_EPOCH - Duration::from_secs(1)), UnixMillis(0));
        assert_eq!(UnixMillis::from(UNIX_EPOCH + Duration::from_secs(2)).as_secs(), 2);
    }

    #[test]
    fn five_minutes_ahead_are_believed_and_not_a_millisecond_more() {
        let now = UnixMillis(1_000_000_000);
        assert!(!UnixMillis(now.0 + 300_000).is_from_the_future(now));
        assert!(UnixMillis(now.0 + 300_001).is_from_the_future(now));
        assert!(!UnixMillis(0).is_from_the_future(now));
    }
}
