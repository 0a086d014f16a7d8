//! Log lines about a connection that fails and recovers: one at the beginning, at most one per minute during the outage, one at its end.
//! Plain data; the caller provides the time.

use std::time::{Duration, Instant};

/// Minimum time between two lines about the same problem.
const EVERY: Duration = Duration::from_secs(60);
/// An outage has ended when the connection has worked for this long: one that fails again at once had not recovered.
pub(crate) const STEADY: Duration = Duration::from_secs(5);

/// What has been logged about one connection. `K`: kinds of problems, each with its own lines.
#[derive(Clone, Debug)]
pub(crate) struct Outage<K> {
    /// When each was last logged.
    lines: Vec<(K, Instant)>,
    /// A problem that has not been logged yet.
    pending: Option<K>,
    /// Changes not logged since the last line.
    left_out: u64,
    /// This outage has been logged.
    logged: bool,
    /// Since when the connection has worked again.
    held_since: Option<Instant>,
}

impl<K: Copy + PartialEq> Outage<K> {
    /// No problem is known.
    pub(crate) const fn new() -> Outage<K> {
        Outage { lines: Vec::new(), pending: None, left_out: 0, logged: false, held_since: None }
    }

    /// It does not work; `is_news`: it did until now, or the problem was different. Whether a line is due: how many were left out
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

    /// It works. Whether a line about the end of the outage is due.
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

    /// It fails again soon after the end, and does not recover: logged as soon as a line is due.
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
        // The end of a problem that was not logged is not logged either.
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
