//! Warms up the cache of a node that has just started or connected. What NocoBase confirmed before does not count there (see
//! `session_status`); when such a node meets a session of which it could have known, it says so, and the others publish again the
//! sessions that they know to be valid. So the restart of one node costs NocoBase some checks, not one for each session.
//!
//! Which sessions a node knows depends on the balancer: each may know all of them, or each its own share. So every node goes through
//! its sessions, in an order of its own, publishes what no other has, and stops where the others have nearly everything: together
//! they publish each session about once, and look at each a few times.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use super::node::Shared;
use super::payload::Ending;
use crate::session::{CachedSession, UnixMillis};

/// Most sessions looked at and sent at once.
const BATCH: usize = 500;
/// A node stops after a batch of which fewer than one session in this many was missing.
const FEW: usize = 50;

impl Shared {
    /// This node has met a session of which it could have known.
    pub(super) fn say_cold(&self, heard_since: UnixMillis) {
        if self.ledger.warm_up.asks(heard_since, Instant::now()) {
            self.publish(Ending::Cold { node: self.ledger.node, since: heard_since });
        }
    }

    /// A node is cold: may this one warm it? Not if that was published before this node was connected: it reads such things first.
    pub(crate) fn may_warm(&self, node: u64) -> bool {
        let is_current = self.ledger.heard_since().is_some();
        is_current && node != self.ledger.node && self.ledger.warm_up.warms(Instant::now())
    }

    /// Since when this node has missed no ending about the sessions that it knows.
    pub(crate) fn missed_none_since(&self) -> Option<UnixMillis> {
        self.ledger.missed_none_since()
    }

    /// Sessions are known already, and endings may have been missed since.
    pub(crate) fn had_gap(&self) {
        self.ledger.gap();
    }

    /// These sessions were valid at `known_at`: publishes that of each about which nothing is published that counts for a node
    /// which has heard since `since`.
    pub(crate) async fn warm(
        &self,
        mut sessions: Vec<(Uuid, Arc<CachedSession>)>,
        known_at: UnixMillis,
        since: UnixMillis,
    ) {
        let order = RandomState::new();
        sessions.sort_by_cached_key(|(sid, _)| order.hash_one(sid));
        for batch in sessions.chunks(BATCH) {
            let Some(missing) = self.unknown_of(batch, since).await else { return };
            if !missing.is_empty() {
                self.sessions_known(&missing, known_at).await;
            }
            if missing.len() * FEW < batch.len() {
                return;
            }
        }
    }
}
