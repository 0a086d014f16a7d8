//! How old a token may be for NocoBase to accept it as fresh (its token policy), and so how often a new one is minted.
//!
//! NocoBase renews an older token and gives its session a new id, which the browser never learns; the next token of that age is
//! refused (`TOKEN_RENEW_FAILED`). So no request may carry a token that NocoBase considers too old.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::session::REMINT_AFTER;

/// A token is used for at least this long: NocoBase counts its age in whole seconds.
const MIN_REUSE: Duration = Duration::from_secs(1);

/// What is known about NocoBase's token policy.
#[derive(Debug)]
pub(crate) struct TokenPolicy {
    /// How long a token is used, in milliseconds.
    reuse_ms: AtomicU64,
    /// NocoBase has been asked, or is being asked.
    pub(super) asked: AtomicBool,
}

impl Default for TokenPolicy {
    fn default() -> Self {
        TokenPolicy { reuse_ms: AtomicU64::new(millis(REMINT_AFTER)), asked: AtomicBool::new(false) }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl TokenPolicy {
    /// How long a token may be used.
    pub(crate) fn reuse(&self) -> Duration {
        Duration::from_millis(self.reuse_ms.load(Ordering::Relaxed))
    }

    /// NocoBase accepts tokens up to this age as fresh. Returns whether tokens must be minted more often than before.
    pub(super) fn learn(&self, token_expiration: Duration) -> bool {
        let reuse = (token_expiration / 2).clamp(MIN_REUSE, REMINT_AFTER);
        self.reuse_ms.swap(millis(reuse), Ordering::Relaxed) > millis(reuse)
    }

    /// NocoBase refused a token of this age as too old. Returns whether tokens must be minted more often than before.
    pub(super) fn too_old(&self, age: Duration) -> bool {
        let reuse = millis((age / 2).clamp(MIN_REUSE, REMINT_AFTER));
        self.reuse_ms.fetch_min(reuse, Ordering::Relaxed) > reuse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn tokens_are_used_for_half_of_what_nocobase_allows() {
        let policy = TokenPolicy::default();
        assert_eq!(policy.reuse(), REMINT_AFTER);
        assert!(!policy.learn(24 * 3600 * S), "a day is long enough");
        assert_eq!(policy.reuse(), REMINT_AFTER);
        assert!(policy.learn(60 * S));
        assert_eq!(policy.reuse(), 30 * S);
        assert!(!policy.learn(120 * S), "longer again");
        assert_eq!(policy.reuse(), 60 * S);
        assert!(policy.learn(Duration::ZERO));
        assert_eq!(policy.reuse(), MIN_REUSE);
    }

    /// With policies from immediate expiry to a year: a token is never used for longer than half of that, nor for longer than
    /// without a policy, and always for some time.
    #[test]
    fn any_policy_leaves_tokens_time_to_be_used_and_renewed() {
        for (seconds, reuse) in [
            (0, 1),
            (1, 1),
            (2, 1),
            (3, 1),
            (10, 5),
            (60, 30),
            (5 * 60, 150),
            (9 * 60, 270),
            (10 * 60, 300),
            (19 * 60, 570),
            (20 * 60, 600),
            (3600, 600),
            (365 * 24 * 3600, 600),
            (u64::MAX / 1000, 600),
        ] {
            let policy = TokenPolicy::default();
            policy.learn(Duration::from_secs(seconds));
            assert_eq!(policy.reuse().as_secs(), reuse, "{seconds}");
        }
        let policy = TokenPolicy::default();
        policy.learn(Duration::from_millis(1));
        assert_eq!(policy.reuse(), MIN_REUSE);
    }

    /// NocoBase refuses tokens of different ages at once, in any order, while its policy is read again.
    #[test]
    fn of_several_refusals_at_once_the_shortest_counts() {
        for ages in [[60, 30, 10], [10, 30, 60], [30, 10, 60], [10, 60, 30]] {
            let policy = TokenPolicy::default();
            let shorter = ages.iter().filter(|age| policy.too_old(**age * S)).count();
            assert!(shorter >= 1, "{ages:?}");
            assert_eq!(policy.reuse(), 5 * S, "{ages:?}");
            // After that the policy counts, whether longer or shorter.
            assert!(!policy.learn(120 * S));
            assert_eq!(policy.reuse(), 60 * S);
            assert!(policy.learn(4 * S));
            assert_eq!(policy.reuse(), 2 * S);
        }
        // A token that was too old when it was minted (a wrong clock) does not make the gate mint without end.
        let policy = TokenPolicy::default();
        assert!(policy.too_old(Duration::ZERO));
        assert_eq!(policy.reuse(), MIN_REUSE);
        assert!(!policy.too_old(Duration::ZERO), "nothing is shorter");
    }

    #[test]
    fn what_was_too_old_is_not_done_again() {
        let policy = TokenPolicy::default();
        assert!(policy.too_old(60 * S));
        assert!(!policy.too_old(60 * S), "another token of before");
        assert!(!policy.too_old(90 * S));
        assert_eq!(policy.reuse(), 30 * S);
        assert!(policy.too_old(10 * S));
        assert_eq!(policy.reuse(), 5 * S);
    }
}
