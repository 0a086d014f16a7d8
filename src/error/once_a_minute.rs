//! Failures that concern everyone at once are logged once a minute: a line for each request would hide everything else.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Failure;

const INTERVAL: Duration = Duration::from_secs(60);

/// When a line was last written, and how many have been left out since; `None`: never written.
type Line = Option<(Instant, u64)>;
type Lines = HashMap<(&'static str, Failure), Line>;

/// A log line that is written at most once a minute.
#[derive(Debug)]
pub(crate) struct OnceAMinute(Mutex<Line>);

impl OnceAMinute {
    /// A line that has not been written yet.
    pub(crate) const fn new() -> OnceAMinute {
        OnceAMinute(Mutex::new(None))
    }

    /// If the line is due: how many have been left out since the last one.
    pub(crate) fn due(&self) -> Option<u64> {
        due_at(&mut self.0.lock(), Instant::now())
    }
}

impl Default for OnceAMinute {
    fn default() -> OnceAMinute {
        OnceAMinute::new()
    }
}

static LINES: LazyLock<Mutex<Lines>> = LazyLock::new(Mutex::default);

/// If a line about this failure is due, in this `place` of the code: how many have been left out since the last one. Failures of
/// a single request are always due.
pub(crate) fn line_due(place: &'static str, failure: Failure) -> Option<u64> {
    due(&mut LINES.lock(), place, failure, Instant::now())
}

fn due(lines: &mut Lines, place: &'static str, failure: Failure, now: Instant) -> Option<u64> {
    if !matches!(
        failure,
        Failure::NocoBaseUnreachable
            | Failure::NocoBaseStarting
            | Failure::NocoBaseBusy
            | Failure::TooManyConnections
            | Failure::TooManyOpenFiles
    ) {
        return Some(0);
    }
    due_at(lines.entry((place, failure)).or_default(), now)
}

fn due_at(line: &mut Line, now: Instant) -> Option<u64> {
    match line {
        Some((at, left_out)) if now.saturating_duration_since(*at) < INTERVAL => {
            *left_out = left_out.saturating_add(1);
            None
        }
        _ => Some(line.replace((now, 0)).map_or(0, |(_, left_out)| left_out)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_minute_counts_the_others() {
        let (mut lines, start) = (Lines::new(), Instant::now());
        let mut at = |seconds, failure| due(&mut lines, "x", failure, start + Duration::from_secs(seconds));
        let away = Failure::NocoBaseUnreachable;
        assert_eq!([at(0, away), at(1, away), at(59, away)], [Some(0), None, None]);
        assert_eq!(at(2, Failure::NocoBaseStarting), Some(0), "each failure by itself");
        assert_eq!([at(60, away), at(61, away), at(120, away)], [Some(2), None, Some(1)]);
        for _ in 0..3 {
            assert_eq!(at(0, Failure::BadPath), Some(0), "about one request");
        }
    }
}
