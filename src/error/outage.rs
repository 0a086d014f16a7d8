//! Lines about a link that breaks and comes back: one when it begins, at most one a minute as long as it goes on, one when it is over.
//! Plain data; the caller brings the time.

use std::time::{Duration, Instant};

/// Between two lines about the same.
const EVERY: Duration = Duration::from_secs(60);
/// An outage is over when the link has held for this long: one that breaks again at once was not back.
pub(crate) const STEADY: Duration = Duration::from_secs(5);

/// What has been logged about one link. `K`: kinds of trouble, each with lines of its own.
#[derive(Clone, Debug)]
pub(crate) struct Outage<K> {
    /// When there was a line about each.
    lines: Vec<(K, Instant)>,
    /// Trouble that there was no line about yet.
    pending: Option<K>,
    /// Changes without a line, since the last one.
    left_out: u64,
    /// There was a line about this outage.
    logged: bool,
    /// Since when the link has held again.
    held_since: Option<Instant>,
}

impl<K: Copy + PartialEq> Outage<K> {
    /// Nothing is known to be wrong.
    pub(crate) const fn new() -> Outage<K> {
        Outage { lines: Vec::new(), pending: None, left_out: 0, logged: false, held_since: None }
    }

    /// It does not work; `is_news`: it did until now, or the trouble was another one. Whether a line is due: how many were left out
    /// since the last.
    pub(crate) fn failed(&mut self, kind: K, is_news: bool, now: Instant) -> Option<u64> {
        self.held_since = None;
        if !is_news && self.pending != Some(kind) {
            return None;
        }
        let line = self.lines.iter().position(|(other, _)| *other == kind);
        let recent =
            line.and_then(|at| self.lines.get(at)).is_some_and(|(_, at)| now.duration_since(*at) < EVERY);
        if recent {
            self.left_out += u64::from(is_news);
            self.pending = Some(kind);
            return None;
        }
        self.lines.retain(|(other, _)| *other != kind);
        self.lines.push((kind, now));
        (self.pending, self.logged) = (None, true);
        Some(std::mem::take(&mut self.left_out))
    }

    /// It works. Whether a line is due: that the outage is over.
    pub(crate) fn works(&mut self, now: Instant) -> bool {
        let since = *self.held_since.get_or_insert(now);
        if now.duration_since(since) < STEADY {
            return false;
        }
        self.pending = None;
        std::mem::take(&mut self.logged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn an_outage_has_a_beginning_and_an_end() {
        let (mut outage, t) = (Outage::new(), Instant::now());
        assert!(!outage.works(t) && !outage.works(t + 2 * STEADY), "nothing was wrong");
        assert_eq!(outage.failed((), true, t), Some(0));
        for s in 1..3600 {
            assert_eq!(outage.failed((), false, t + s * 1000 * MS), None, "the same still");
        }
        let back = t + 3600 * 1000 * MS;
        assert!(!outage.works(back) && !outage.works(back + STEADY - MS));
        assert!(outage.works(back + STEADY));
        assert!(!outage.works(back + 2 * STEADY), "once");
        assert_eq!(outage.failed((), true, back + 2 * STEADY), Some(0));
    }

    #[test]
    fn a_link_that_flaps_has_a_line_a_minute() {
        let (mut outage, t) = (Outage::new(), Instant::now());
        let (mut lines, mut counted) = (0, 0);
        for s in 0..180 {
            let now = t + s * 1000 * MS;
            if let Some(left_out) = outage.failed((), true, now) {
                (lines, counted) = (lines + 1, counted + left_out + 1);
            }
            assert!(!outage.works(now + 500 * MS), "it does not hold");
        }
        assert_eq!((lines, counted), (3, 121));
        let last = t + 180 * 1000 * MS;
        assert!(!outage.works(last) && outage.works(last + STEADY));
    }

    /// It breaks again soon after the end, and stays away: that is told as soon as a line is due.
    #[test]
    fn trouble_that_lasts_is_told_within_a_minute() {
        let (mut outage, t) = (Outage::new(), Instant::now());
        let at = |s: u32| t + s * 1000 * MS;
        assert_eq!(outage.failed((), true, at(0)), Some(0));
        assert!(!outage.works(at(1)) && outage.works(at(6)));
        assert_eq!(outage.failed((), true, at(7)), None);
        assert_eq!(outage.failed((), false, at(59)), None);
        assert_eq!(outage.failed((), false, at(60)), Some(1));
        assert_eq!(outage.failed((), false, at(130)), None, "the same still");
        assert!(!outage.works(at(131)) && outage.works(at(136)));
        // What there was no line about has no end either.
        assert_eq!(outage.failed((), true, at(137)), Some(0));
        assert!(!outage.works(at(138)) && outage.works(at(143)));
        assert_eq!(outage.failed((), true, at(144)), None);
        assert!(!outage.works(at(145)) && !outage.works(at(150)));
    }

    #[test]
    fn each_kind_of_trouble_has_its_lines() {
        let (mut outage, t) = (Outage::new(), Instant::now());
        let at = |s: u32| t + s * 1000 * MS;
        assert_eq!(outage.failed('a', true, at(0)), Some(0));
        assert_eq!(outage.failed('b', true, at(1)), Some(0));
        assert_eq!(outage.failed('a', true, at(2)), None);
        assert_eq!(outage.failed('b', true, at(61)), Some(1));
        assert_eq!(outage.failed('a', true, at(62)), Some(0));
    }
}
