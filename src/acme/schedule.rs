//! When to order a certificate. Pure: times in seconds since 1970, `jitter` from 0 to 1, so that many gates do not order at the
//! same moment.

use std::time::Duration;

use crate::certificate::Leaf;

/// Pauses after the first and the following failures, in minutes; the last one is repeated. Let's Encrypt allows five failed
/// validations per hour for an account and a name, and expects clients to back off.
const PAUSES: [u64; 6] = [1, 5, 15, 60, 180, 360];

/// Should a certificate be ordered now? `leaf`: the one in use, if there is one.
pub(crate) fn is_due(leaf: Option<&Leaf>, domains: &[String], now: i64, jitter: f64) -> bool {
    let Some(leaf) = leaf else { return true };
    now >= renewal(leaf, jitter) || domains.iter().any(|name| !leaf.names.contains(name))
}

/// When a third of its lifetime is left, or up to a thirtieth of the lifetime earlier.
fn renewal(leaf: &Leaf, jitter: f64) -> i64 {
    let lifetime = leaf.not_after.saturating_sub(leaf.not_before).max(0);
    let earlier = Duration::from_secs(lifetime.unsigned_abs() / 30).mul_f64(jitter.clamp(0.0, 1.0));
    let earlier = i64::try_from(earlier.as_secs()).unwrap_or(0);
    leaf.not_after.saturating_sub(lifetime / 3).saturating_sub(earlier)
}

/// How long to wait after this many consecutive failures: up to a fifth longer than in the table.
pub(crate) fn pause(failures: usize, jitter: f64) -> Duration {
    let last = PAUSES.len().saturating_sub(1);
    let minutes = PAUSES.get(failures.saturating_sub(1).min(last)).copied().unwrap_or(360);
    Duration::from_secs(minutes * 60).mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn a_certificate_is_renewed_when_a_third_of_its_lifetime_is_left() {
        let leaf = Leaf {
            not_before: 1_000 * DAY,
            not_after: 1_090 * DAY,
            names: vec!["a.test".into(), "b.test".into()],
            ..Leaf::default()
        };
        let due = |day: i64, jitter| is_due(Some(&leaf), &["a.test".into()], day * DAY, jitter);
        assert!(!due(1_059, 0.0) && due(1_060, 0.0));
        assert!(!due(1_056, 1.0) && due(1_057, 1.0), "three days earlier at most");
        assert!(due(1_200, 0.0), "expired");
        // Six days, as for Let's Encrypt's short-lived certificates.
        let short = Leaf { not_after: leaf.not_before + 6 * DAY, ..leaf.clone() };
        assert!(!is_due(Some(&short), &[], 1_003 * DAY, 1.0) && is_due(Some(&short), &[], 1_004 * DAY, 0.0));
        assert!(is_due(None, &[], 0, 0.0), "there is none");
        let more = ["a.test".to_owned(), "c.test".to_owned()];
        assert!(is_due(Some(&leaf), &more, 1_001 * DAY, 0.0), "not for all names");
        // Invalid dates do not cause a panic.
        let odd = Leaf { not_before: i64::MAX, not_after: i64::MIN, ..Leaf::default() };
        assert!(is_due(Some(&odd), &[], 0, 1.0));
    }

    #[test]
    fn pauses_grow_and_keep_within_the_limits_of_the_authority() {
        let minutes = |n| pause(n, 0.0).as_secs() / 60;
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 999].map(minutes), [1, 5, 15, 60, 180, 360, 360, 360]);
        assert_eq!(pause(1, 1.0), Duration::from_secs(72));
        // However often it fails, at most five times in any hour.
        let mut times = vec![0];
        (1..20).for_each(|n| times.push(times.last().unwrap() + pause(n, 0.0).as_secs()));
        for begin in &times {
            let within = times.iter().filter(|t| (*begin..begin + 3600).contains(t)).count();
            assert!(within <= 5, "{within} within the hour from {begin}");
        }
    }
}
