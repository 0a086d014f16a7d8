//! Whether WeCom's events arrive. While they do, members need not be looked up as often (`session.recheck_with_events`).

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::session::UnixMillis;

/// After this long without an event, the next one begins a new series: some may have been lost in between.
const GAP: Duration = Duration::from_secs(3600);
/// The other nodes are told at most this often that events arrive.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// The latest events, by entry. Kept over reloads.
#[derive(Debug, Default)]
pub(super) struct EventArrivals(Mutex<HashMap<String, Series>>);

/// Events without a gap.
#[derive(Debug, Clone, Copy)]
struct Series {
    since: UnixMillis,
    latest: UnixMillis,
    told: UnixMillis,
}

impl EventArrivals {
    /// Notes an event that arrived at this time. Returns whether the other nodes should be told.
    pub(super) fn note(&self, entry: &str, at: UnixMillis) -> bool {
        let mut all = self.0.lock();
        let Some(series) = all.get_mut(entry) else {
            all.insert(entry.to_owned(), Series { since: at, latest: at, told: at });
            return true;
        };
        if at.since(series.latest) > GAP {
            series.since = at;
        }
        series.latest = series.latest.max(at);
        let tell = at.since(series.told) >= TELL_EVERY;
        if tell {
            series.told = at;
        }
        tell
    }

    /// Since when events have arrived without a gap; `None` if they do not.
    pub(super) fn since(&self, entry: &str, now: UnixMillis) -> Option<UnixMillis> {
        let series = *self.0.lock().get(entry)?;
        (now.since(series.latest) <= GAP && !series.latest.is_from_the_future(now)).then_some(series.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> UnixMillis {
        UnixMillis(1_800_000_000_000 + minutes * 60_000)
    }

    #[test]
    fn an_hour_without_events_begins_a_new_series() {
        let events = EventArrivals::default();
        assert_eq!(events.since("main", at(0)), None, "none yet");
        for minute in [0, 60, 110] {
            events.note("main", at(minute));
            assert_eq!(events.since("main", at(minute)), Some(at(0)));
        }
        assert_eq!(events.since("other", at(110)), None, "another entry's");
        assert_eq!(events.since("main", at(170)), Some(at(0)));
        assert_eq!(events.since("main", at(171)), None);
        events.note("main", at(171));
        assert_eq!(events.since("main", at(172)), Some(at(171)));
        // One that another node reports late.
        events.note("main", at(100));
        assert_eq!(events.since("main", at(172)), Some(at(171)));
        assert_eq!(events.since("main", at(100)), None, "a clock that is an hour slow");
    }

    #[test]
    fn other_nodes_are_told_once_a_minute() {
        let events = EventArrivals::default();
        let told: Vec<u64> = (0..600)
            .filter(|second| events.note("main", UnixMillis(1_800_000_000_000 + second * 1000)))
            .collect();
        assert_eq!(told, (0..10).map(|minute| minute * 60).collect::<Vec<_>>());
    }
}
