//! The number of requests at once, derived from NocoBase's response times. Plain data; the caller provides the measurements.
//!
//! Additive increase, multiplicative decrease, by latency: NocoBase never reports an overload, it only becomes slow. Each kind of
//! request is compared with itself, so that a slow export does not look like an overload.

/// Kinds of requests, measured separately.
pub(super) const KINDS: usize = 16;
/// Lower bound: one slow query must not stop all requests.
const LEAST: f64 = 8.0;
/// Initial limit.
const FIRST: f64 = 16.0;
/// Upper bound.
const MOST: f64 = 1024.0;
/// A shorter response time is never an overload, seconds.
const QUICK: f64 = 0.025;
/// Up to this slowdown the limit grows.
const GROWS_UP_TO: f64 = 1.25;
/// Until this slowdown is first reached, the limit grows by half each time.
const SEEKS_UP_TO: f64 = 1.05;
/// From this slowdown on the limit shrinks.
const SHRINKS_FROM: f64 = 1.6;
/// The limit never shrinks below this fraction of itself in one step.
const STEEPEST: f64 = 0.8;

/// The responses of one kind in a period.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Responses {
    pub(super) count: u32,
    /// Sum of the times until their header sections arrived, seconds.
    pub(super) seconds: f64,
}

/// A limit that follows the latency.
#[derive(Debug)]
pub(super) struct AdaptiveLimit {
    limit: f64,
    /// Usual seconds of each kind, without overload.
    usual: [Option<f64>; KINDS],
    /// No slowdown has been seen yet.
    seeking: bool,
}

impl AdaptiveLimit {
    pub(super) fn new() -> AdaptiveLimit {
        AdaptiveLimit { limit: FIRST, usual: [None; KINDS], seeking: true }
    }

    /// The current limit.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between LEAST and MOST")]
    pub(super) fn now(&self) -> usize {
        self.limit as usize
    }

    /// These responses arrived. `full`: the limit was reached at times.
    pub(super) fn observe(&mut self, responses: &[Responses; KINDS], full: bool) {
        let (mut expected, mut actual) = (0.0, 0.0);
        // A limit that was raised without effect is lowered slowly; faster if the limit cannot be the reason any more.
        let drift = match (full, self.limit <= LEAST) {
            (false, _) | (true, true) => 0.05,
            (true, false) => 0.0002,
        };
        for (kind, usual) in responses.iter().zip(&mut self.usual) {
            if kind.count == 0 {
                continue;
            }
            let mean = kind.seconds / f64::from(kind.count);
            let known = usual.get_or_insert(mean);
            expected += known.max(QUICK) * f64::from(kind.count);
            actual += kind.seconds;
            *known += (mean - *known) * if mean < *known { 0.3 } else { drift };
        }
        if !full || expected <= 0.0 {
            return;
        }
        let slowdown = actual / expected;
        self.seeking &= slowdown < SEEKS_UP_TO;
        if slowdown > SHRINKS_FROM {
            self.limit *= (SHRINKS_FROM / slowdown).max(STEEPEST);
        } else if self.seeking {
            self.limit *= 1.5;
        } else if slowdown < GROWS_UP_TO {
            self.limit += (self.limit / 16.0).max(1.0);
        }
        self.limit = self.limit.clamp(LEAST, MOST);
    }
}

/// The kind of a request: from the first two segments of its path, which for an API call are the action.
pub(super) fn kind(path: &str) -> usize {
    let mut hash: u32 = 0x811c_9dc5;
    let mut slashes = 0;
    for byte in path.bytes().take_while(|b| {
        slashes += u32::from(*b == b'/');
        slashes < 3
    }) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    (hash ^ (hash >> 16)) as usize % KINDS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all_of(kind: usize, count: u32, mean: f64) -> [Responses; KINDS] {
        let mut all = [Responses::default(); KINDS];
        all[kind] = Responses { count, seconds: mean * f64::from(count) };
        all
    }

    /// The limit after a NocoBase that processes `capacity` at once, each in `seconds`, has been saturated for this many windows.
    fn crowded(limit: &mut AdaptiveLimit, capacity: f64, seconds: f64, windows: usize) -> f64 {
        for _ in 0..windows {
            let mean = seconds * (limit.limit / capacity).max(1.0);
            limit.observe(&all_of(1, 50, mean), true);
        }
        limit.limit
    }

    #[test]
    fn it_finds_the_capacity() {
        for capacity in [20.0, 50.0, 100.0, 400.0, 1000.0] {
            let mut limit = AdaptiveLimit::new();
            let soon = crowded(&mut limit, capacity, 0.2, 16);
            let later = crowded(&mut limit, capacity, 0.2, 1000);
            assert!(soon >= 0.75 * capacity, "{capacity}: {soon} too slowly");
            for found in [soon, later] {
                assert!(found <= 1.7 * capacity, "{capacity}: {found} too many");
            }
            assert!(later >= 0.95 * capacity, "{capacity}: {later} too few");
        }
    }

    #[test]
    fn it_shrinks_when_nocobase_becomes_slower_and_grows_when_it_recovers() {
        let mut limit = AdaptiveLimit::new();
        crowded(&mut limit, 200.0, 0.1, 60);
        let less = crowded(&mut limit, 40.0, 0.1, 40);
        assert!((30.0..80.0).contains(&less), "{less}");
        let more = crowded(&mut limit, 200.0, 0.1, 60);
        assert!(more >= 180.0, "{more}");
    }

    #[test]
    fn a_nocobase_that_is_slower_for_good_is_no_overload_for_ever() {
        let mut limit = AdaptiveLimit::new();
        crowded(&mut limit, 100.0, 0.05, 60);
        // Ten times slower whatever the limit is.
        let after = crowded(&mut limit, 100.0, 0.5, 300);
        assert!(after >= 80.0, "{after}");
    }

    #[test]
    fn without_a_crowd_and_where_all_is_quick_nothing_shrinks() {
        let mut limit = AdaptiveLimit::new();
        for i in 0..1000 {
            limit.observe(&all_of(1, 50, if i % 7 == 0 { 2.0 } else { 0.05 }), false);
        }
        assert_eq!(limit.now(), 16);
        for i in 0..1000 {
            limit.observe(&all_of(2, 50, if i % 7 == 0 { 0.024 } else { 0.001 }), true);
        }
        assert_eq!(limit.now(), 1024);
    }

    #[test]
    fn another_mix_of_requests_is_no_overload() {
        let mut limit = AdaptiveLimit::new();
        limit.observe(&all_of(1, 50, 0.05), false);
        limit.observe(&all_of(2, 50, 3.0), false);
        for i in 0..100 {
            limit.observe(&all_of(1 + i % 2, 50, if i % 2 == 0 { 0.05 } else { 3.0 }), true);
        }
        assert_eq!(limit.now(), 1024);
    }

    proptest! {
        #[test]
        fn it_stays_in_its_bounds(steps in proptest::collection::vec((0..KINDS, 0u32..500, 0.0f64..30.0, any::<bool>()), 0..200)) {
            let mut limit = AdaptiveLimit::new();
            for (kind, count, mean, full) in steps {
                limit.observe(&all_of(kind, count, mean), full);
                prop_assert!((8..=1024).contains(&limit.now()));
            }
        }
    }
}

#[cfg(test)]
mod steps;
