//! Warms up the cache of a node that has just started or connected. What NocoBase confirmed before does not count there (see
//! `session_status`); when such a node meets a session of which it could have known, it says so, and one of the others publishes again
//! the sessions that it knows to be valid. So the restart of one node costs NocoBase some checks, not one for each session.

use std::sync::Arc;
use std::time::Instant;

use redis::cmd;
use uuid::Uuid;

use super::ledger::WARM_UP_INTERVAL;
use super::node::Shared;
use super::payload::Ending;
use crate::metrics::RedisOperation::SessionStatus as OPERATION;
use crate::session::{CachedSession, UnixMillis};

/// Most sessions sent at once.
const BATCH: usize = 500;

impl Shared {
    /// This node has met a session of which it could have known.
    pub(super) fn say_cold(&self, heard_since: UnixMillis) {
        if self.ledger.warm_up.asks(heard_since, Instant::now()) {
            self.publish(Ending::Cold { node: self.ledger.node });
        }
    }

    /// A node is cold: may this one warm it? Not if that was published before this node was connected: it reads such things first.
    pub(crate) fn may_warm(&self, node: u64) -> bool {
        let is_current = self.ledger.heard_since().is_some();
        is_current && node != self.ledger.node && self.ledger.warm_up.warms(Instant::now())
    }

    /// Whether this node, and no other, is to do it: since when it has missed no ending.
    pub(crate) async fn warms(&self) -> Option<UnixMillis> {
        let mut take = cmd("SET");
        take.arg(self.names.warm_up_lease()).arg("1").arg("NX").arg("EX").arg(WARM_UP_INTERVAL.as_secs());
        self.link.ask::<Option<String>>(OPERATION, &take).await??;
        self.ledger.missed_none_since()
    }

    /// Sessions are known already, and endings may have been missed since.
    pub(crate) fn had_gap(&self) {
        self.ledger.gap();
    }

    /// Publishes that these sessions were valid at `known_at`.
    pub(crate) async fn warm(&self, sessions: &[(Uuid, Arc<CachedSession>)], known_at: UnixMillis) {
        for batch in sessions.chunks(BATCH) {
            self.sessions_known(batch, known_at).await;
        }
    }
}
