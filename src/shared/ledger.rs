//! How far this node has read the stream of endings, since when without a gap, and what it still has to publish there.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::outbox::Outbox;
use crate::session::UnixMillis;

/// Shortest time between two warm-ups (see `warm_up`) that a node asks for, or does.
pub(super) const WARM_UP_INTERVAL: Duration = Duration::from_secs(10);
/// How long a node that has asked for one leaves those of other nodes to nodes that know more.
const COLD: Duration = Duration::from_secs(60);
/// How often a node asks after it has connected: what the others do not know by then, they will not know later either.
const MOST_ASKED: u32 = 3;

/// Position of an entry in the stream.
pub(super) type Position = (u64, u64);

/// How far this node has read, and what it has to publish.
pub(super) struct Ledger {
    /// A random number, so that this node knows what it has published itself.
    pub(super) node: u64,
    pub(super) read_to: Mutex<Position>,
    pub(super) outbox: Mutex<Outbox>,
    pub(super) news: Notify,
    pub(super) last_answer: Mutex<Option<UnixMillis>>,
    /// [`UnixMillis`] since when this node has read every ending; 0: it is not connected, or has not caught up.
    heard_since: AtomicU64,
    /// The connection has broken, or could not be made.
    had_gap: AtomicBool,
    pub(super) warm_up: WarmUp,
}

impl Default for Ledger {
    fn default() -> Self {
        Ledger {
            node: RandomState::new().build_hasher().finish(),
            read_to: Mutex::default(),
            outbox: Mutex::default(),
            news: Notify::default(),
            last_answer: Mutex::default(),
            heard_since: AtomicU64::default(),
            had_gap: AtomicBool::default(),
            warm_up: WarmUp::default(),
        }
    }
}

impl Ledger {
    /// Since when this node has read every ending that was published, over one connection and without a gap; `None`: it is not
    /// connected, or has not caught up.
    pub(super) fn heard_since(&self) -> Option<UnixMillis> {
        Some(UnixMillis(self.heard_since.load(Ordering::Acquire))).filter(|since| since.0 > 0)
    }

    /// Since when this node has missed no ending about the sessions that it knows: as above, or ever, if it has had this one
    /// connection since it knew none.
    pub(super) fn missed_none_since(&self) -> Option<UnixMillis> {
        let since = self.heard_since()?;
        Some(if self.had_gap.load(Ordering::Acquire) { since } else { UnixMillis(0) })
    }

    /// Endings may be missed: there is no connection, or sessions are known from before the first one.
    pub(super) fn gap(&self) {
        self.had_gap.store(true, Ordering::Release);
    }

    /// This node is connected since then.
    pub(super) fn listening(&self, since: UnixMillis) -> Listening<'_> {
        Listening { ledger: self, since }
    }
}

/// A connection over which endings are read. When it is dropped, this node may miss some.
pub(super) struct Listening<'a> {
    ledger: &'a Ledger,
    since: UnixMillis,
}

impl Listening<'_> {
    /// Whether everything published so far has been read.
    pub(super) fn caught_up(&self, caught_up: bool) {
        let since = if caught_up { self.since.0 } else { 0 };
        self.ledger.heard_since.store(since, Ordering::Release);
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.caught_up(false);
    }
}

/// When this node was last cold, and last warmed another.
#[derive(Debug, Default)]
pub(super) struct WarmUp(Mutex<Times>);

#[derive(Debug, Default)]
struct Times {
    /// The connection since when it is cold, and how often it has said so.
    connection: UnixMillis,
    asked: u32,
    cold: Option<Instant>,
    warmed: Option<Instant>,
}

fn is_past(at: Option<Instant>, span: Duration, now: Instant) -> bool {
    at.is_none_or(|at| now.saturating_duration_since(at) >= span)
}

impl WarmUp {
    /// This node, connected since then, is cold: whether it asks the others now.
    pub(super) fn asks(&self, connection: UnixMillis, now: Instant) -> bool {
        let mut times = self.0.lock();
        if times.connection != connection {
            (times.connection, times.asked) = (connection, 0);
        }
        let asks = times.asked < MOST_ASKED && is_past(times.cold, WARM_UP_INTERVAL, now);
        if asks {
            times.asked += 1;
            times.cold = Some(now);
        }
        asks
    }

    /// Another node is cold: whether this one may warm it.
    pub(super) fn warms(&self, now: Instant) -> bool {
        let mut times = self.0.lock();
        let warms = is_past(times.cold, COLD, now) && is_past(times.warmed, WARM_UP_INTERVAL, now);
        if warms {
            times.warmed = Some(now);
        }
        warms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r16_endings_are_known_since_the_latest_connection_and_while_nothing_is_left_to_read() {
        let ledger = Ledger::default();
        assert_eq!(ledger.heard_since(), None);
        let first = ledger.listening(UnixMillis(1000));
        assert_eq!(ledger.heard_since(), None, "the backlog has not been read");
        first.caught_up(true);
        assert_eq!(ledger.heard_since(), Some(UnixMillis(1000)));
        first.caught_up(false);
        assert_eq!(ledger.heard_since(), None, "more than one read has come at once");
        first.caught_up(true);
        assert_eq!(ledger.heard_since(), Some(UnixMillis(1000)));
        drop(first);
        assert_eq!(ledger.heard_since(), None);
        ledger.listening(UnixMillis(9000)).caught_up(true);
        assert_eq!(ledger.heard_since(), None);
        let second = ledger.listening(UnixMillis(9000));
        second.caught_up(true);
        assert_eq!(ledger.heard_since(), Some(UnixMillis(9000)));
    }

    #[test]
    fn r16_a_first_connection_that_lasts_misses_nothing_and_a_later_one_what_was_before() {
        let ledger = Ledger::default();
        assert_eq!(ledger.missed_none_since(), None);
        let first = ledger.listening(UnixMillis(1000));
        first.caught_up(true);
        assert_eq!(ledger.missed_none_since(), Some(UnixMillis(0)));
        drop(first);
        ledger.gap();
        assert_eq!(ledger.missed_none_since(), None);
        let second = ledger.listening(UnixMillis(9000));
        second.caught_up(true);
        assert_eq!(ledger.missed_none_since(), Some(UnixMillis(9000)));
    }

    #[test]
    fn r34_a_node_asks_and_is_asked_once_in_a_while_only() {
        let (warm_up, begin) = (WarmUp::default(), Instant::now());
        let after = |secs| begin + Duration::from_secs(secs);
        assert!(warm_up.warms(begin) && !warm_up.warms(after(9)) && warm_up.warms(after(10)));
        let asks = |connection, secs| warm_up.asks(UnixMillis(connection), after(secs));
        assert!(asks(1, 10) && !asks(1, 19) && asks(1, 20) && asks(1, 30));
        assert!(!asks(1, 3600), "nobody has told it");
        assert!(asks(2, 3600), "another connection");
        // It is cold itself.
        assert!(!warm_up.warms(after(3659)) && warm_up.warms(after(3660)));
    }
}
