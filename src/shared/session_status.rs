//! Sessions that NocoBase has confirmed to one node: another that sees such a session for the first time need not ask. So several
//! nodes cost NocoBase no more checks at first sight than one, however requests are spread over them.
//!
//! What a node learns here is worth what it would know if it had asked NocoBase itself at that time, and no more:
//!
//! - It counts for `session.recheck` from then on, and only a node that has asked publishes it: no chain of nodes makes it last.
//! - An ending wins, whichever comes first. Only a node that has read every ending since before NocoBase was asked accepts it; that
//!   begins again with each connection, so that nothing counts which is older than a crash, a failover or a restore of Redis.
//!   And who publishes the end of a session sets a mark first: while it is there, each node asks NocoBase.
//! - It is sealed under a name that depends on the session, its member and NocoBase's secret, and shows nothing of them.

use std::sync::Arc;
use std::time::Duration;

use redis::{cmd, pipe};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::node::{Shared, now};
use super::payload::Ending;
use crate::metrics::RedisOperation::SessionStatus as OPERATION;
use crate::session::{CLOCK_SKEW, Purpose, Session, UnixMillis};

/// Longest wait for Redis. The person waits too, so it is shorter than for everything else.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long a node may take to ask before another one does: a little longer than a call waits for a place before NocoBase.
const LEASE: Duration = Duration::from_secs(5);
/// How long a node waits for another that is asking.
const OTHERS_TURN: Duration = Duration::from_secs(3);
/// Pause before it looks again; doubled up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LAST_PAUSE: Duration = Duration::from_millis(400);
/// In place of a status, while a node asks. Like the mark of an ending it need not be sealed: a forged one costs a question to NocoBase.
const ASKING: &[u8] = b"1";

/// What a node has found out. If its fields change, [`Purpose::SessionStatus`] needs another label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Confirmed {
    /// When the request to NocoBase began that confirmed the session.
    at: UnixMillis,
}

impl Confirmed {
    /// When that was, if it is after both of these times.
    fn after(self, recent: UnixMillis, heard_since: UnixMillis, now: UnixMillis) -> Option<UnixMillis> {
        (self.at > recent.max(heard_since) && !self.at.is_from_the_future(now)).then_some(self.at)
    }
}

/// The names of a session's keys in Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionKey {
    status: String,
    end: String,
}

/// Who asks NocoBase about a session.
#[derive(Debug)]
pub(crate) enum SessionTurn {
    /// Nobody: a node has asked at this time, and the session is valid.
    ConfirmedAt(UnixMillis),
    /// This node, for all.
    Ours(SessionLease),
    /// This node, for itself: Redis is unreachable or slow, or the session has ended.
    Alone,
}

/// This node asks NocoBase, and other nodes wait for the response. If it is dropped, another asks.
pub(crate) struct SessionLease {
    shared: Arc<Shared>,
    key: SessionKey,
    /// Until then the lease is this node's; `None`: it never was, and others do not wait.
    until: Option<Instant>,
}

impl std::fmt::Debug for SessionLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionLease").field("until", &self.until).finish_non_exhaustive()
    }
}

impl SessionLease {
    /// NocoBase, asked at this time, confirmed the session: publishes that. Nothing waits for it.
    pub(crate) fn confirmed(mut self, at: UnixMillis) {
        self.until = None;
        let (shared, key) = (self.shared.clone(), self.key.clone());
        tokio::spawn(async move { shared.session_confirmed(&key, at).await });
    }
}

impl Drop for SessionLease {
    fn drop(&mut self) {
        // After that another node may have it.
        if self.until.is_some_and(|until| Instant::now() < until)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (shared, mut delete) = (self.shared.clone(), cmd("DEL"));
            delete.arg(&self.key.status);
            runtime.spawn(async move { shared.link.ask::<()>(OPERATION, &delete).await });
        }
    }
}

/// What Redis has: whether the lease is now this node's, the status, and the mark of an ending.
type Found = (Option<String>, Option<Vec<u8>>, Option<Vec<u8>>);

impl Shared {
    /// The keys of this session.
    pub(crate) fn session_key(&self, session: &Session) -> SessionKey {
        let (sid, userid) = (session.sid.to_string(), session.userid.to_ascii_lowercase());
        let parts = ["session status", &self.nocobase, &sid, &session.entry, &userid];
        let name = self.keyring.blind(&parts);
        SessionKey { status: self.names.session_status(&name), end: self.session_end_name(session.sid) }
    }

    /// Who asks about a session that this node sees for the first time. A confirmation after `recent` counts. Waits for a node that
    /// is asking already.
    pub(crate) async fn session_turn(self: &Arc<Self>, key: &SessionKey, recent: UnixMillis) -> SessionTurn {
        let lease = |until| SessionLease { shared: self.clone(), key: key.clone(), until };
        let mut look = pipe();
        look.cmd("SET").arg(&key.status).arg(ASKING).arg("NX").arg("EX").arg(LEASE.as_secs());
        look.cmd("GET").arg(&key.status).cmd("GET").arg(&key.end);
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let Some(heard_since) = self.ledger.heard_since() else { return SessionTurn::Alone };
            let asked_at = Instant::now();
            let found = timeout(PATIENCE, self.link.ask_all::<Found>(OPERATION, &look)).await;
            let Ok(found) = found else {
                self.metrics.failed(OPERATION);
                return SessionTurn::Ours(lease(None));
            };
            let Some((taken, status, None)) = found else { return SessionTurn::Alone };
            if taken.is_some() {
                return SessionTurn::Ours(lease(Some(asked_at + LEASE)));
            }
            if let Some(status) = status.filter(|status| status != ASKING) {
                let context = key.status.as_bytes();
                let confirmed = self.keyring.open::<Confirmed>(Purpose::SessionStatus, context, &status);
                if confirmed.is_none() {
                    self.ignored(OPERATION, 1);
                }
                // Otherwise Redis may have been another one when it responded.
                let still = self.ledger.heard_since() == Some(heard_since);
                let at = confirmed.filter(|_| still).and_then(|c| c.after(recent, heard_since, now()));
                return at.map_or_else(|| SessionTurn::Ours(lease(None)), SessionTurn::ConfirmedAt);
            }
            // Another node asks, or has just given up.
            if began.elapsed() >= OTHERS_TURN {
                return SessionTurn::Ours(lease(None));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Publishes that NocoBase, asked at this time, confirmed the session.
    pub(crate) async fn session_confirmed(&self, key: &SessionKey, at: UnixMillis) {
        let confirmed = Confirmed { at };
        let Ok(sealed) = self.keyring.seal(Purpose::SessionStatus, key.status.as_bytes(), &confirmed) else {
            return;
        };
        let mut set = cmd("SET");
        set.arg(&key.status).arg(sealed).arg("EX").arg(self.recheck.as_secs().max(1));
        self.link.ask::<()>(OPERATION, &set).await;
    }

    /// The mark that the session of this ending has, and for how long: until no confirmation from before counts any more. `None`: it
    /// is about no single session.
    pub(super) fn mark_of(&self, ending: &Ending) -> Option<(String, Duration)> {
        let sid = match ending {
            Ending::Session(sid) => Uuid::from_bytes(*sid),
            Ending::ToBlock(block) => Uuid::parse_str(&block.id).ok()?,
            Ending::Member { .. } | Ending::Blocked { .. } | Ending::Event { .. } => return None,
        };
        Some((self.session_end_name(sid), self.recheck.saturating_add(CLOCK_SKEW)))
    }

    fn session_end_name(&self, sid: Uuid) -> String {
        self.names.session_end(&self.keyring.blind(&["session end", &sid.to_string()]))
    }
}

#[cfg(test)]
mod tests;
