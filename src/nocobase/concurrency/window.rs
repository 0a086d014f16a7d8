//! The responses since the limit was last adapted, counted without a lock. Plain data; the caller has the clock.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::limit::{KINDS, Responses};

/// Interval at which the limit is adapted, in microseconds, and how many responses that takes.
const SHORTEST_US: u64 = 250_000;
pub(super) const RESPONSES: u32 = 8;
/// What a step has changed shows only in the responses to later requests, of which the fast ones come first: up to this, it lasts
/// until they make up one part in [`SHARE`] of what NocoBase has done since.
const LONGEST_US: u64 = 1_000_000;
const SHARE: u64 = 3;

#[derive(Debug, Default)]
struct KindCounts {
    count: AtomicU32,
    micros: AtomicU64,
}

/// What has been measured since the limit was last adapted. All times are microseconds after the same moment.
#[derive(Debug, Default)]
pub(super) struct Window {
    kinds: [KindCounts; KINDS],
    pub(super) responses: AtomicU32,
    /// Sum of their durations.
    micros: AtomicU64,
    /// Those to newcomers.
    newcomers: KindCounts,
    /// The limit was reached at times.
    pub(super) was_full: AtomicBool,
    pub(super) began: AtomicU64,
    /// When the limit last changed: requests of before say nothing about it.
    changed: AtomicU64,
    /// Mean duration of a request at present; 0: unknown.
    pub(super) mean_us: AtomicU64,
    /// The same for newcomers: in a crowd they wait for slow calls, each of which is followed by quick ones that do not wait.
    pub(super) newcomers_mean_us: AtomicU64,
}

impl Window {
    /// A response arrived `now`, after so long. Is the `limit` to be adapted?
    pub(super) fn add(&self, kind: usize, is_newcomer: bool, took_us: u64, now: u64, limit: usize) -> bool {
        if now.saturating_sub(took_us) < self.changed.load(Ordering::Relaxed) {
            return false;
        }
        if let Some(kind) = self.kinds.get(kind % KINDS) {
            kind.count.fetch_add(1, Ordering::Relaxed);
            kind.micros.fetch_add(took_us, Ordering::Relaxed);
        }
        if is_newcomer {
            self.newcomers.count.fetch_add(1, Ordering::Relaxed);
            self.newcomers.micros.fetch_add(took_us, Ordering::Relaxed);
        }
        let responses = self.responses.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let done = self.micros.fetch_add(took_us, Ordering::Relaxed).saturating_add(took_us);
        let since = now.saturating_sub(self.began.load(Ordering::Relaxed));
        let possible = since.saturating_mul(u64::try_from(limit).unwrap_or(u64::MAX));
        responses >= RESPONSES
            && since >= SHORTEST_US
            && (since >= LONGEST_US || done.saturating_mul(SHARE) >= possible)
    }

    /// Its responses; another begins `now`.
    #[expect(clippy::cast_precision_loss, reason = "times are short")]
    pub(super) fn take(&self, now: u64) -> [Responses; KINDS] {
        self.began.store(now, Ordering::Relaxed);
        self.responses.store(0, Ordering::Relaxed);
        self.micros.store(0, Ordering::Relaxed);
        let (mut count, mut micros) = (0, 0);
        let responses = std::array::from_fn(|i| {
            let Some(kind) = self.kinds.get(i) else { return Responses::default() };
            let (n, us) = (kind.count.swap(0, Ordering::Relaxed), kind.micros.swap(0, Ordering::Relaxed));
            count += u64::from(n);
            micros += us;
            Responses { count: n, seconds: us as f64 / 1e6 }
        });
        follow(&self.mean_us, count, micros);
        let newcomers = u64::from(self.newcomers.count.swap(0, Ordering::Relaxed));
        follow(&self.newcomers_mean_us, newcomers, self.newcomers.micros.swap(0, Ordering::Relaxed));
        responses
    }

    /// The limit changes `now`.
    pub(super) fn changed(&self, now: u64) {
        self.changed.store(now, Ordering::Relaxed);
    }

    /// Mean duration of a request at present; zero: unknown.
    pub(super) fn mean(&self) -> Duration {
        Duration::from_micros(self.mean_us.load(Ordering::Relaxed))
    }

    /// The same for newcomers; for all, as long as there were none.
    pub(super) fn newcomers_mean(&self) -> Duration {
        match self.newcomers_mean_us.load(Ordering::Relaxed) {
            0 => self.mean(),
            micros => Duration::from_micros(micros),
        }
    }
}

/// The mean becomes that of so many with this sum, if there are any.
fn follow(mean_us: &AtomicU64, count: u64, micros: u64) {
    if let Some(mean) = micros.checked_div(count) {
        // After a stall it is no measure of how long others will wait.
        let before = mean_us.load(Ordering::Relaxed);
        let most = if before == 0 { u64::MAX } else { before.saturating_mul(2) };
        mean_us.store(mean.min(most), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000;

    /// So many responses, each after so long; whether the last one completes the window, with a limit of one.
    fn add(window: &Window, many: u32, took: u64, now: u64) -> bool {
        (0..many).fold(false, |_, _| window.add(3, false, took, now, 1))
    }

    #[test]
    fn it_is_long_enough_and_has_enough_responses() {
        let window = Window::default();
        assert!(!add(&window, RESPONSES, 10 * MS, 249 * MS), "too short");
        assert!(add(&window, 1, 10 * MS, 250 * MS));
        let responses = window.take(250 * MS);
        assert_eq!((responses[3].count, responses[2].count), (RESPONSES + 1, 0));
        assert!((responses[3].seconds - 0.09).abs() < 1e-9, "{responses:?}");
        assert!(!add(&window, RESPONSES - 1, 40 * MS, 900 * MS), "too few");
        assert!(add(&window, 1, 40 * MS, 900 * MS));
    }

    /// The fast ones come first: for up to a second it waits for those that make NocoBase busy.
    #[test]
    fn it_shows_a_share_of_what_nocobase_does() {
        let window = Window::default();
        // Half a second with a limit of 30: 15 s of work, of which a third is 5 s.
        assert!(!(0..40).any(|_| window.add(3, false, 10 * MS, 500 * MS, 30)));
        assert!(!(0..11).any(|_| window.add(4, false, 400 * MS, 500 * MS, 30)));
        assert!(window.add(4, false, 400 * MS, 500 * MS, 30));
        let window = Window::default();
        assert!(!(0..40).any(|_| window.add(3, false, 10 * MS, 999 * MS, 30)));
        assert!(window.add(3, false, 10 * MS, 1_000 * MS, 30));
    }

    /// A stall that has made the limit shrink counts once, however many requests it has delayed.
    #[test]
    fn requests_from_before_the_limit_changed_do_not_count() {
        let window = Window::default();
        window.changed(1_000 * MS);
        assert!(!add(&window, 20, 3_000 * MS, 1_500 * MS));
        assert_eq!(window.take(1_500 * MS)[3].count, 0);
        assert!(add(&window, 20, 400 * MS, 1_750 * MS));
        assert_eq!(window.take(1_750 * MS)[3].count, 20);
    }

    #[test]
    fn the_mean_at_most_doubles_from_one_to_the_next() {
        let window = Window::default();
        for (took, mean) in [(200, 200), (3_000, 400), (3_000, 800), (100, 100), (150, 150)] {
            add(&window, 10, took * MS, 10_000 * MS);
            window.take(10_000 * MS);
            assert_eq!(window.mean(), Duration::from_millis(mean));
        }
        window.take(11_000 * MS);
        assert_eq!(window.mean(), Duration::from_millis(150), "nothing new");
    }

    /// Each newcomer's slow check is followed by a page that takes a moment.
    #[test]
    fn what_newcomers_wait_for_has_a_mean_of_its_own() {
        let window = Window::default();
        let means = || (window.mean().as_millis(), window.newcomers_mean().as_millis());
        add(&window, 10, 20 * MS, 10_000 * MS);
        window.take(10_000 * MS);
        assert_eq!(means(), (20, 20), "no newcomer yet");
        for _ in 0..10 {
            window.add(3, true, 400 * MS, 10_000 * MS, 1);
            window.add(4, false, 4 * MS, 10_000 * MS, 1);
        }
        window.take(10_000 * MS);
        assert_eq!(means(), (40, 400));
        add(&window, 10, 20 * MS, 10_000 * MS);
        window.take(11_000 * MS);
        assert_eq!(means(), (20, 400), "no further one");
    }
}
