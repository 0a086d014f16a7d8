//! When those who are refused come back. Plain data; the caller has the clock and the rate.
//!
//! If all were told the same, they would come all at once, as they were refused; NocoBase would be idle before, and most of them would be
//! refused again. So every second to come takes only so many, in the order in which they were refused.

/// The latest second, counted from now.
const LATEST: u32 = 6;
/// Where the rate is unknown.
const USUAL: u32 = 3;
/// So many times what NocoBase is expected to do: some never come back, and it may do more than is known yet.
const OVERBOOKED: f64 = 2.0;

/// How many are expected in each of the next seconds.
#[derive(Debug, Default)]
pub(super) struct Returns {
    /// The first is of the second `now`.
    expected: [u32; LATEST as usize + 1],
    now: u64,
}

impl Returns {
    /// In how many seconds one more should come back, if so many a second get a slot.
    pub(super) fn next(&mut self, now: u64, rate: Option<f64>) -> u32 {
        let passed = usize::try_from(now.saturating_sub(self.now)).unwrap_or(usize::MAX);
        let length = self.expected.len();
        self.expected.rotate_left(passed.min(length) % length);
        self.expected.iter_mut().rev().take(passed).for_each(|second| *second = 0);
        self.now = self.now.max(now);
        let Some(rate) = rate else { return USUAL };
        let most = (rate * OVERBOOKED).max(1.0);
        let has_room = |(_, expected): &(u32, &u32)| f64::from(**expected) < most;
        (0..=LATEST).zip(&self.expected).skip(1).find(has_room).map_or(LATEST, |(second, _)| second)
    }

    /// The same for one that is told so.
    pub(super) fn book(&mut self, now: u64, rate: Option<f64>) -> u32 {
        let next = self.next(now, rate);
        if let Some(second) = self.expected.get_mut(next as usize) {
            *second = second.saturating_add(1);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(returns: &mut Returns, many: u32, now: u64, rate: f64) -> Vec<u32> {
        (0..many).map(|_| returns.book(now, Some(rate))).collect()
    }

    #[test]
    fn a_crowd_comes_back_at_nocobases_rate() {
        let mut returns = Returns::default();
        let seconds = told(&mut returns, 50, 1_000, 5.0);
        for second in 1..LATEST {
            assert_eq!(seconds.iter().filter(|s| **s == second).count(), 10, "{second}: {seconds:?}");
        }
        assert!(seconds.is_sorted(), "in the order in which they were refused");
        assert_eq!(told(&mut returns, 12, 1_000, 5.0), [LATEST; 12], "no later, however many they are");
        // What is next is not taken by asking.
        assert_eq!((returns.next(1_000, Some(7.0)), returns.next(1_000, Some(7.0))), (1, 1));
        assert_eq!(told(&mut returns, 1, 1_000, 7.0), [1]);
    }

    #[test]
    fn time_passes() {
        let mut returns = Returns::default();
        assert_eq!(told(&mut returns, 6, 7, 1.0), [1, 1, 2, 2, 3, 3]);
        // Those of second 8 are there, and are refused once more.
        assert_eq!(told(&mut returns, 2, 8, 1.0), [3, 3]);
        assert_eq!(told(&mut returns, 1, 10, 1.0), [2]);
        // A clock never goes back, but tasks overtake each other.
        assert_eq!(told(&mut returns, 1, 9, 1.0), [2]);
        for later in [17, 1_000_000, u64::MAX] {
            assert_eq!(told(&mut returns, 3, later, 1.0), [1, 1, 2], "{later}");
        }
    }

    #[test]
    fn where_nothing_is_known_all_are_told_the_same() {
        let mut returns = Returns::default();
        assert!((0..100).all(|_| returns.book(5, None) == USUAL));
        assert_eq!(told(&mut returns, 3, 5, 0.001), [1, 2, 4], "one a second at least");
    }
}
