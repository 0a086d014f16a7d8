//! How far this node has read the stream of endings, and what it still has to publish there.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::outbox::Outbox;
use crate::session::UnixMillis;

/// Position of an entry in the stream.
pub(super) type Position = (u64, u64);

/// How far this node has read, and what it has to publish.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) read_to: Mutex<Position>,
    pub(super) outbox: Mutex<Outbox>,
    pub(super) news: Notify,
    pub(super) last_answer: Mutex<Option<UnixMillis>>,
    /// [`UnixMillis`] since when this node has read every ending; 0: it is not connected, or has not caught up.
    heard_since: AtomicU64,
}

impl Ledger {
    /// Since when this node has read every ending that was published, over one connection and without a gap; `None`: it is not
    /// connected, or has not caught up.
    pub(super) fn heard_since(&self) -> Option<UnixMillis> {
        Some(UnixMillis(self.heard_since.load(Ordering::Acquire))).filter(|since| since.0 > 0)
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
}
