//! Counts calls in windows. Beyond the limit the caller is blocked for the length of the window (doc 90312).

use std::collections::HashMap;
use std::net::IpAddr;

/// A minute, in milliseconds.
pub(crate) const MINUTE: i64 = 60_000;
/// An hour, in milliseconds.
pub(crate) const HOUR: i64 = 3_600_000;

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// Calls of one company to one API.
    Api(String, &'static str),
    /// Calls from one address.
    Ip(IpAddr),
    /// Failing `gettoken` calls from one address.
    Failure(IpAddr),
}

#[derive(Debug, Clone, Copy, Default)]
struct Window {
    start: i64,
    count: u32,
    blocked_until: i64,
}

/// All windows.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    windows: HashMap<(Key, i64), Window>,
}

impl Limiter {
    /// Counts one call; false if it is one too many, or the caller is blocked. A blocked call does not extend the block.
    pub(crate) fn hit(&mut self, key: Key, length: i64, limit: u32, now: i64) -> bool {
        let w = self.windows.entry((key, length)).or_default();
        if now < w.blocked_until {
            return false;
        }
        if now - w.start >= length || w.blocked_until > w.start {
            *w = Window { start: now, ..Window::default() };
        }
        w.count += 1;
        if w.count > limit {
            w.blocked_until = now + length;
            return false;
        }
        true
    }

    /// Is the caller blocked?
    pub(crate) fn blocked(&self, key: Key, length: i64, now: i64) -> bool {
        self.windows.get(&(key, length)).is_some_and(|w| now < w.blocked_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_blocks_and_forgets() {
        let mut l = Limiter::default();
        let key = || Key::Api("ww1".into(), "/x");
        for n in 0..3 {
            assert!(l.hit(key(), MINUTE, 3, n), "call {n}");
        }
        assert!(!l.hit(key(), MINUTE, 3, 50_000));
        assert!(l.blocked(key(), MINUTE, 109_999));
        assert!(!l.hit(key(), MINUTE, 3, 109_999), "blocked for a whole window");
        assert!(l.hit(key(), MINUTE, 3, 110_000), "a new window after the block");
        assert!(l.hit(Key::Api("ww2".into(), "/x"), MINUTE, 3, 50_000), "another company is not touched");
    }

    #[test]
    fn a_window_ends_by_itself() {
        let mut l = Limiter::default();
        let ip = || Key::Ip(IpAddr::from([127, 0, 0, 1]));
        assert!(l.hit(ip(), MINUTE, 1, 0));
        assert!(l.hit(ip(), MINUTE, 1, MINUTE));
        assert!(!l.hit(ip(), MINUTE, 1, MINUTE + 1));
    }
}
