//! How far this node has read the stream of endings, and what it still has to publish there.

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
}
