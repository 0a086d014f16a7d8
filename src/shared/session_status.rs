//! Sessions that NocoBase has confirmed to one node: another that sees such a session for the first time, or would recheck it, need
//! not ask. So several nodes cost NocoBase about as many checks as one, however requests are spread over them.
//!
//! What a node learns here is worth what it would know if it had asked NocoBase itself at that time, and no more:
//!
//! - It counts for `session.recheck` from then on, and only a node that has asked publishes it: no chain of nodes makes it last.
//! - An ending wins, whichever comes first. Only a node that has read every ending since before NocoBase was asked accepts it, or
//!   since another such node has published it again (`warm_up`); that begins again with each connection, so that nothing counts which
//!   is older than a crash, a failover or a restore of Redis. And who publishes the end of a session sets a mark first: while it
//!   is there, each node asks NocoBase.
//! - It is sealed under a name that depends on the session, its member and NocoBase's secret, and shows nothing of them.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, cmd, pipe};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::node::{Shared, now};
use super::payload::Ending;
use crate::metrics::RedisOperation::SessionStatus as OPERATION;
use crate::session::{CLOCK_SKEW, CachedSession, Purpose, Session, UnixMillis};

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
    asked_at: UnixMillis,
    /// When a node that had missed no ending since then knew of none: that time, or later.
    known_at: UnixMillis,
}

impl Confirmed {
    /// NocoBase, asked at this time, confirmed the session.
    fn at(asked_at: UnixMillis) -> Confirmed {
        Confirmed { asked_at, known_at: asked_at }
    }

    /// Is it from after this time, and from before now?
    fn is_recent(self, recent: UnixMillis, now: UnixMillis) -> bool {
        self.asked_at > recent
            && !self.asked_at.is_from_the_future(now)
            && !self.known_at.is_from_the_future(now)
    }

    /// Would a node that has read every ending since then know if the session had ended?
    fn is_vouched_for(self, heard_since: UnixMillis) -> bool {
        self.known_at > heard_since
    }

    /// The same for a node that has read every ending since `before` when it asked Redis, and since `after` when it had the response:
    /// if these differ, Redis may have been another one when it responded.
    fn counts(self, before: UnixMillis, after: Option<UnixMillis>) -> bool {
        after == Some(before) && self.is_vouched_for(before)
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
    /// This node, for itself: Redis is unreachable, or the end of the session has been published.
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
        self.key_of(session.sid, &session.entry, &session.userid.to_ascii_lowercase())
    }

    /// The same, given the userid in lower case.
    fn key_of(&self, sid: Uuid, entry: &str, userid: &str) -> SessionKey {
        let name = self.keyring.blind(&["session status", &self.nocobase, &sid.to_string(), entry, userid]);
        SessionKey { status: self.names.session_status(&name), end: self.session_end_name(sid) }
    }

    /// Who asks about a session that this node sees for the first time, or has to recheck. A confirmation after `recent` counts. Waits
    /// for a node that is asking already.
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
                let Some(confirmed) = confirmed.filter(|c| c.is_recent(recent, now())) else {
                    return SessionTurn::Ours(lease(None));
                };
                if confirmed.counts(heard_since, self.ledger.heard_since()) {
                    return SessionTurn::ConfirmedAt(confirmed.asked_at);
                }
                self.say_cold(heard_since);
                return SessionTurn::Ours(lease(None));
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
        if let Some(set) = self.publish_status(key, Confirmed::at(at)) {
            self.link.ask::<()>(OPERATION, &set).await;
        }
    }

    /// Those of these sessions about which nothing is published that a node would accept which has heard since then. `None`: Redis is
    /// unreachable.
    pub(super) async fn unknown_of(
        &self,
        sessions: &[(Uuid, Arc<CachedSession>)],
        heard_since: UnixMillis,
    ) -> Option<Vec<(Uuid, Arc<CachedSession>)>> {
        let keys: Vec<String> = sessions
            .iter()
            .map(|(sid, seen)| {
                let (entry, userid) = seen.member_names();
                self.key_of(*sid, entry, userid).status
            })
            .collect();
        let mut look = pipe();
        for key in &keys {
            look.cmd("GET").arg(key);
        }
        let found = self.link.ask_all::<Vec<Option<Vec<u8>>>>(OPERATION, &look).await?;
        let is_known = |key: &String, status: Option<Vec<u8>>| {
            status
                .and_then(|s| self.keyring.open::<Confirmed>(Purpose::SessionStatus, key.as_bytes(), &s))
                .is_some_and(|confirmed| confirmed.is_vouched_for(heard_since))
        };
        let known = keys.iter().zip(found).map(|(key, status)| is_known(key, status));
        Some(sessions.iter().zip(known).filter(|(_, known)| !known).map(|(one, _)| one.clone()).collect())
    }

    /// These sessions were valid at `known_at`, as far as this node knew, which had missed no ending since NocoBase was asked.
    pub(super) async fn sessions_known(&self, sessions: &[(Uuid, Arc<CachedSession>)], known_at: UnixMillis) {
        let mut commands = pipe();
        for (sid, seen) in sessions {
            let (entry, userid) = seen.member_names();
            let confirmed = Confirmed { asked_at: seen.checked_at(), known_at };
            if let Some(set) = self.publish_status(&self.key_of(*sid, entry, userid), confirmed) {
                commands.add_command(set).ignore();
            }
        }
        self.link.send(OPERATION, &commands).await;
    }

    /// The command that publishes it until the earliest time at which the session is due for a recheck: from then on, one of the nodes
    /// asks for all.
    fn publish_status(&self, key: &SessionKey, confirmed: Confirmed) -> Option<Cmd> {
        let context = key.status.as_bytes();
        let sealed = self.keyring.seal(Purpose::SessionStatus, context, &confirmed).ok()?;
        let kept = (self.recheck - self.recheck / 8).saturating_sub(now().since(confirmed.asked_at));
        let mut set = cmd("SET");
        set.arg(&key.status).arg(sealed).arg("EX").arg(kept.as_secs().max(1));
        Some(set)
    }

    /// The mark that the session of this ending has, and for how long: until no confirmation from before counts any more. `None`: it
    /// is about no single session.
    pub(super) fn mark_of(&self, ending: &Ending) -> Option<(String, Duration)> {
        let sid = match ending {
            Ending::Session(sid) => Uuid::from_bytes(*sid),
            Ending::ToBlock(block) => Uuid::parse_str(&block.id).ok()?,
            Ending::Member { .. } | Ending::Blocked { .. } | Ending::Event { .. } | Ending::Cold { .. } => {
                return None;
            }
        };
        Some((self.session_end_name(sid), self.recheck.saturating_add(CLOCK_SKEW)))
    }

    fn session_end_name(&self, sid: Uuid) -> String {
        self.names.session_end(&self.keyring.blind(&["session end", &sid.to_string()]))
    }
}

#[cfg(test)]
mod tests;
