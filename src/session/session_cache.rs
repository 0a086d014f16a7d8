//! What this node knows of each session: whether it has ended, when NocoBase was last asked about it, and the token minted for
//! it. NocoBase is authoritative; this is a bounded cache of its responses, and a lost entry costs one request.

mod by_member;
mod cached_session;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use uuid::Uuid;

use crate::error::Failure;

use super::member_check::MemberCheck;
use super::open_streams::Listed;
use super::session::Session;
use super::time::{CLOCK_SKEW, UnixMillis};
use by_member::{ByMember, MemberKey};
pub use cached_session::{CachedSession, Recheck};

/// Most sessions kept. Beyond this, the least recently used one is dropped, and NocoBase is asked again when it is next used.
pub(crate) const CAPACITY: u64 = 200_000;
/// moka refuses durations of centuries.
const MAX_RETENTION: Duration = Duration::from_secs(366 * 24 * 3600);

/// The state of a session in NocoBase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionStatus {
    /// It is valid.
    Active,
    /// It was ended, or its user no longer exists.
    Ended,
}

/// All that this node knows.
#[derive(Clone)]
pub struct SessionCache {
    seen: moka::sync::Cache<Uuid, Arc<CachedSession>>,
    /// First lookups in progress.
    asking: moka::future::Cache<Uuid, Arc<CachedSession>>,
    by_member: Arc<ByMember>,
    /// Sessions with open requests.
    pub(super) open: Arc<Listed<CachedSession>>,
    /// Members who left, and when: sessions that began before have ended, even those not seen yet.
    left: moka::sync::Cache<MemberKey, UnixMillis>,
}

impl std::fmt::Debug for SessionCache {
    // moka's own would print every session.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionCache").field("count", &self.count()).finish_non_exhaustive()
    }
}

impl SessionCache {
    /// `absolute`: `session.absolute`; an older session has expired anyway and need not be kept.
    pub fn new(absolute: Duration) -> Self {
        Self::with_capacity(absolute, CAPACITY)
    }

    /// With room for this many sessions.
    pub(crate) fn with_capacity(absolute: Duration, capacity: u64) -> Self {
        let memory = absolute.saturating_add(CLOCK_SKEW).min(MAX_RETENTION);
        let by_member = Arc::new(ByMember::default());
        let index = Arc::clone(&by_member);
        SessionCache {
            // Least recently used, not moka's default: when full, that one may refuse new entries, and NocoBase would then be
            // asked at every request.
            seen: moka::sync::Cache::builder()
                .max_capacity(capacity)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_idle(memory)
                .eviction_listener(move |sid: Arc<Uuid>, seen: Arc<CachedSession>, _| {
                    if let Some(member) = &seen.member {
                        index.remove(member, *sid);
                    }
                })
                .build(),
            asking: moka::future::Cache::builder()
                .max_capacity(10_000)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(Duration::from_secs(1))
                .build(),
            by_member,
            open: Arc::default(),
            left: moka::sync::Cache::builder()
                .max_capacity(capacity)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(memory)
                .build(),
        }
    }

    /// What is known of a session; `None`: this node sees it for the first time. Takes no lock.
    pub fn get(&self, sid: Uuid) -> Option<Arc<CachedSession>> {
        self.seen.get(&sid)
    }

    /// Keeps a session from being dropped while it has an open request: otherwise its end would be missed. False: it had been
    /// dropped, and has ended since.
    pub(crate) fn keep(&self, sid: Uuid, seen: &Arc<CachedSession>) -> bool {
        let entry = self.seen.entry(sid).or_insert_with(|| seen.clone());
        if !entry.is_fresh() {
            return !entry.into_value().is_ended();
        }
        let (Some(member), Some(check)) = (&seen.member, &seen.member_check) else { return !seen.is_ended() };
        self.by_member.add(member, sid, || check.clone());
        self.left.get(member).is_none_or(|left_at| seen.signed_in_at > left_at)
    }

    /// Drops a session, as when there are too many.
    #[cfg(test)]
    pub(super) fn forget(&self, sid: Uuid) {
        self.seen.invalidate(&sid);
        self.seen.run_pending_tasks();
    }

    /// Drops every minted token: tokens are minted differently from now on.
    pub(crate) fn forget_tokens(&self) {
        for (_, seen) in &self.seen {
            seen.drop_token();
        }
    }

    /// How many sessions are kept, roughly.
    pub(crate) fn count(&self) -> u64 {
        // moka counts what it has processed, in batches.
        self.seen.run_pending_tasks();
        self.seen.entry_count()
    }

    /// How many members have sessions here.
    pub(crate) fn members(&self) -> usize {
        self.by_member.count()
    }

    /// Notes that NocoBase accepted this session at `now`, or that it was registered there at that time. If it has ended
    /// meanwhile, it stays ended.
    pub fn insert_checked(&self, session: &Session, now: UnixMillis) -> Arc<CachedSession> {
        let member = MemberKey::new(&session.entry, &session.userid);
        // First into the index, then the check for members who left; `end_member` does it in reverse order. So the later of the
        // two sees the earlier.
        let [a, b, ..] = session.sid.into_bytes();
        let check = || Arc::new(MemberCheck::new(now, u16::from_be_bytes([a, b])));
        let check = self.by_member.add(&member, session.sid, check);
        let make = || Arc::new(CachedSession::live(session, member.clone(), check, now));
        let seen = self.seen.entry(session.sid).or_insert_with(make).into_value();
        seen.checked(now);
        if seen.member.is_none() {
            self.by_member.remove(&member, session.sid);
        }
        if self.left.get(&member).is_some_and(|left_at| session.signed_in_at <= left_at) {
            seen.end();
        }
        seen
    }

    /// Ends a session on this node, even one that it has not seen.
    pub(crate) fn end(&self, sid: Uuid) -> Arc<CachedSession> {
        let seen = self.seen.entry(sid).or_insert_with(|| Arc::new(CachedSession::over(sid))).into_value();
        seen.end();
        seen
    }

    /// Ends every session of a member that began no later than `at`: those seen here, of which the live ones are returned so that
    /// NocoBase can block them, and those created by other nodes, when they are first used here. May be called repeatedly, and
    /// late: a member who has signed in meanwhile keeps the new session.
    pub(crate) fn end_member(&self, entry: &str, userid: &str, at: UnixMillis) -> Vec<Uuid> {
        let member = MemberKey::new(entry, userid);
        self.left
            .entry(member.clone())
            .and_upsert_with(|before| before.map_or(at, |before| at.max(before.into_value())));
        let mut sids = self.by_member.of(&member);
        sids.retain(|sid| match self.get(*sid).filter(|s| !s.is_ended() && s.signed_in_at <= at) {
            Some(seen) => {
                seen.end();
                true
            }
            None => false,
        });
        sids
    }

    /// Asks NocoBase about a session that this node sees for the first time. However many requests arrive at once, only one
    /// lookup is in progress; if its request is dropped, the next one asks. A failure is not remembered.
    pub(crate) async fn first_lookup(
        &self,
        session: &Session,
        now: UnixMillis,
        ask: impl Future<Output = Result<SessionStatus, Failure>>,
    ) -> Result<Arc<CachedSession>, Failure> {
        if let Some(seen) = self.get(session.sid) {
            return Ok(seen);
        }
        let question = async {
            ask.await.map(|status| match status {
                SessionStatus::Active => self.insert_checked(session, now),
                SessionStatus::Ended => self.end(session.sid),
            })
        };
        self.asking.try_get_with(session.sid, question).await.map_err(|failure: Arc<Failure>| *failure)
    }
}

#[cfg(test)]
mod tests;
