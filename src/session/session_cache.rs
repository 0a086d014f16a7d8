//! What this node has seen of each session: whether it has ended, when NocoBase was last asked about it, and
//! the token minted for it. NocoBase is the record; this is a bounded cache of its responses, and losing it
//! costs a question.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use moka::policy::EvictionPolicy;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::error::Failure;

use super::member_check::{MemberCheck, MemberRecheck};
use super::open_streams::{Listed, StreamList};
use super::session::Session;
use super::time::{CLOCK_SKEW, UnixMillis};
use super::token::Token;

/// Most sessions remembered. Beyond it the one unused for longest is forgotten, and asked about again when it
/// comes back.
pub(crate) const CAPACITY: u64 = 200_000;
/// After a recheck without a response, the next attempt is this much later.
pub(crate) const RECHECK_RETRY: Duration = Duration::from_secs(30);
/// moka refuses spans of centuries.
const LONGEST_MEMORY: Duration = Duration::from_secs(366 * 24 * 3600);

/// What NocoBase says about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionStatus {
    /// It is valid.
    Live,
    /// It was ended, or its user is gone.
    Ended,
}

/// A member of one entry, as NocoBase's events name him. WeCom's userids are case-insensitive: ASCII lower
/// case here, no other folding (R21).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct MemberKey {
    entry: String,
    userid: String,
}

impl MemberKey {
    fn new(entry: &str, userid: &str) -> Self {
        MemberKey { entry: entry.to_owned(), userid: userid.to_ascii_lowercase() }
    }
}

/// What is known of one session.
#[derive(Debug)]
pub struct CachedSession {
    ended: AtomicBool,
    /// Requests under way.
    pub(super) streams: StreamList,
    /// [`UnixMillis`] at which the newest cookie that this node knows of was sealed.
    last_seen: AtomicU64,
    /// [`UnixMillis`] of NocoBase's last response.
    checked_at: AtomicU64,
    /// [`UnixMillis`] before which no recheck begins.
    not_before: AtomicU64,
    recheck_running: AtomicBool,
    token: ArcSwapOption<Token>,
    /// `None`: ended before it was seen.
    member: Option<MemberKey>,
    /// Shared by all sessions of the member.
    member_check: Option<Arc<MemberCheck>>,
    signed_in_at: UnixMillis,
    /// A random byte of the session's own, see [`CachedSession::due_recheck`].
    spread: u8,
}

impl CachedSession {
    /// One that NocoBase let pass, or registered.
    fn live(session: &Session, member: MemberKey, check: Arc<MemberCheck>, checked_at: UnixMillis) -> Self {
        let mut seen = CachedSession::over(session.sid);
        seen.ended = AtomicBool::new(false);
        seen.checked_at = AtomicU64::new(checked_at.0);
        seen.member = Some(member);
        seen.member_check = Some(check);
        seen.signed_in_at = session.signed_in_at;
        seen.saw(session.last_seen);
        seen
    }

    /// One that ended before it was seen.
    fn over(sid: Uuid) -> Self {
        CachedSession {
            ended: AtomicBool::new(true),
            streams: StreamList::default(),
            last_seen: AtomicU64::new(0),
            checked_at: AtomicU64::new(0),
            not_before: AtomicU64::new(0),
            recheck_running: AtomicBool::new(false),
            token: ArcSwapOption::empty(),
            member: None,
            member_check: None,
            signed_in_at: UnixMillis(0),
            spread: sid.as_bytes().first().copied().unwrap_or_default(),
        }
    }

    /// Whether it has ended. What has ended never lives again.
    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.streams.end();
        self.token.store(None);
    }

    /// When the member signed in.
    pub(crate) fn signed_in_at(&self) -> UnixMillis {
        self.signed_in_at
    }

    /// Whether it is this session's turn in this second, one of so many: each has its own.
    pub(crate) fn is_turn(&self, second: u64, of: u64) -> bool {
        second % of == u64::from(self.spread) % of
    }

    /// When the member was last seen: what a request's cookie says, or the cookie that went back with the response.
    pub(crate) fn last_seen(&self) -> UnixMillis {
        UnixMillis(self.last_seen.load(Ordering::Relaxed))
    }

    /// Notes that the member was seen.
    pub(crate) fn saw(&self, at: UnixMillis) {
        // Nearly always known: a read is cheaper than a write.
        if self.last_seen() < at {
            self.last_seen.fetch_max(at.0, Ordering::Relaxed);
        }
    }

    /// When NocoBase last confirmed it.
    pub(crate) fn checked_at(&self) -> UnixMillis {
        UnixMillis(self.checked_at.load(Ordering::Acquire))
    }

    fn checked(&self, now: UnixMillis) {
        self.checked_at.fetch_max(now.0, Ordering::AcqRel);
    }

    /// Whether it is time to ask again, `every` so often: exactly one caller gets the order to do so, until
    /// it is carried out or dropped. Up to an eighth earlier, each session by its own part, so that sessions
    /// seen in the same moment (after a restart) do not ask in the same moment ever after.
    pub fn due_recheck(self: &Arc<Self>, now: UnixMillis, every: Duration) -> Option<Recheck> {
        if !self.is_due(now, every) || self.recheck_running.swap(true, Ordering::AcqRel) {
            return None;
        }
        let order = Recheck { seen: Arc::clone(self), began: now, retry: RECHECK_RETRY.min(every) };
        // Another order may have been carried out between the two looks.
        self.is_due(now, every).then_some(order)
    }

    fn is_due(&self, now: UnixMillis, every: Duration) -> bool {
        let checked_at = self.checked_at();
        let every = every - every / 8 * u32::from(self.spread) / 256;
        let old = now.since(checked_at) >= every || checked_at.is_from_the_future(now);
        old && now.0 >= self.not_before.load(Ordering::Acquire) && !self.is_ended()
    }

    /// Is it time to ask WeCom about the member, `every` so often?
    pub(crate) fn is_member_due(&self, now: UnixMillis, every: Duration) -> bool {
        !self.is_ended() && self.member_check.as_ref().is_some_and(|check| check.is_due(now, every))
    }

    /// The order to do so: exactly one caller gets it, for all sessions of the member.
    pub(crate) fn due_member_recheck(&self, now: UnixMillis, every: Duration) -> Option<MemberRecheck> {
        self.member_check.as_ref()?.order(now, every)
    }

    /// The token, minted by `mint` when there is none or it has been used for long enough. Two requests at
    /// the same moment may both mint; either token is good.
    pub fn token<E>(
        &self,
        now: UnixMillis,
        mint: impl FnOnce() -> Result<Token, E>,
    ) -> Result<Arc<Token>, E> {
        if let Some(token) = self.token.load_full()
            && !token.is_stale(now)
        {
            return Ok(token);
        }
        let token = Arc::new(mint()?);
        self.token.store(Some(Arc::clone(&token)));
        Ok(token)
    }

    /// Forgets the token, so that the next request mints one.
    pub(crate) fn drop_token(&self) {
        self.token.store(None);
    }
}

/// The order to ask NocoBase about a session again. Dropped without a result, it is given again
/// after `RECHECK_RETRY`: the session goes on meanwhile.
#[derive(Debug)]
#[must_use = "say how the recheck ended"]
pub struct Recheck {
    seen: Arc<CachedSession>,
    began: UnixMillis,
    retry: Duration,
}

impl Recheck {
    /// The session counts.
    pub(crate) fn passed(self) {
        self.seen.checked(self.began);
    }
    /// The session has ended.
    pub(crate) fn ended(self) {
        self.seen.end();
    }
}

impl Drop for Recheck {
    fn drop(&mut self) {
        self.seen.not_before.store(self.began.plus(self.retry).0, Ordering::Release);
        self.seen.recheck_running.store(false, Ordering::Release);
    }
}

/// Sessions by member, for ends that name a member instead of a session.
#[derive(Debug, Default)]
struct ByMember(Mutex<HashMap<MemberKey, SeenMember>>);

/// A member with sessions here.
#[derive(Debug)]
struct SeenMember {
    sids: Vec<Uuid>,
    check: Arc<MemberCheck>,
}

impl ByMember {
    /// `check`: of a member who has no session here yet.
    fn add(
        &self,
        member: &MemberKey,
        sid: Uuid,
        check: impl FnOnce() -> Arc<MemberCheck>,
    ) -> Arc<MemberCheck> {
        let mut map = self.0.lock();
        let seen = map
            .entry(member.clone())
            .or_insert_with(|| SeenMember { sids: Vec::with_capacity(1), check: check() });
        if !seen.sids.contains(&sid) {
            seen.sids.push(sid);
        }
        seen.check.clone()
    }
    fn remove(&self, member: &MemberKey, sid: Uuid) {
        let mut map = self.0.lock();
        if let Some(seen) = map.get_mut(member) {
            seen.sids.retain(|s| *s != sid);
            if seen.sids.is_empty() {
                map.remove(member);
            }
        }
    }
    fn of(&self, member: &MemberKey) -> Vec<Uuid> {
        let map = self.0.lock();
        map.get(member).map(|seen| seen.sids.clone()).unwrap_or_default()
    }
    fn count(&self) -> usize {
        self.0.lock().len()
    }
}

/// All that this node has seen.
#[derive(Clone)]
pub struct SessionCache {
    seen: moka::sync::Cache<Uuid, Arc<CachedSession>>,
    /// First questions under way.
    asking: moka::future::Cache<Uuid, Arc<CachedSession>>,
    by_member: Arc<ByMember>,
    /// Those with requests under way.
    pub(super) open: Arc<Listed<CachedSession>>,
    /// Members who left, and when: sessions begun before are over, also those not seen yet.
    left: moka::sync::Cache<MemberKey, UnixMillis>,
}

impl std::fmt::Debug for SessionCache {
    // moka's own would print every session.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionCache").field("count", &self.count()).finish_non_exhaustive()
    }
}

impl SessionCache {
    /// `absolute`: `session.absolute`; what is older is over by its own date and need not be remembered.
    pub fn new(absolute: Duration) -> Self {
        Self::with_capacity(absolute, CAPACITY)
    }

    /// With room for so many sessions.
    pub(crate) fn with_capacity(absolute: Duration, capacity: u64) -> Self {
        let memory = absolute.saturating_add(CLOCK_SKEW).min(LONGEST_MEMORY);
        let by_member = Arc::new(ByMember::default());
        let index = Arc::clone(&by_member);
        SessionCache {
            // Least recently used, not moka's default: that one may refuse newcomers when it is full, who
            // would then be asked about at every request.
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

    /// Keeps a session from being forgotten while it has a request under way: else its end would not be heard of. False:
    /// it had been forgotten, and has ended since.
    pub(crate) fn keep(&self, sid: Uuid, seen: &Arc<CachedSession>) -> bool {
        let entry = self.seen.entry(sid).or_insert_with(|| seen.clone());
        if !entry.is_fresh() {
            return !entry.into_value().is_ended();
        }
        let (Some(member), Some(check)) = (&seen.member, &seen.member_check) else { return !seen.is_ended() };
        self.by_member.add(member, sid, || check.clone());
        self.left.get(member).is_none_or(|left_at| seen.signed_in_at > left_at)
    }

    /// Forgets a session, as when there are too many.
    #[cfg(test)]
    pub(super) fn forget(&self, sid: Uuid) {
        self.seen.invalidate(&sid);
        self.seen.run_pending_tasks();
    }

    /// Forgets every minted token: they are made in another way from now on.
    pub(crate) fn forget_tokens(&self) {
        for (_, seen) in &self.seen {
            seen.drop_token();
        }
    }

    /// How many sessions are remembered, roughly.
    pub(crate) fn count(&self) -> u64 {
        // moka counts what it has worked through, a batch at a time.
        self.seen.run_pending_tasks();
        self.seen.entry_count()
    }

    /// How many members have sessions here.
    pub(crate) fn members(&self) -> usize {
        self.by_member.count()
    }

    /// Notes that NocoBase let this session pass at `now`, or that it was registered there at this moment.
    /// One that has ended meanwhile stays ended.
    pub fn insert_checked(&self, session: &Session, now: UnixMillis) -> Arc<CachedSession> {
        let member = MemberKey::new(&session.entry, &session.userid);
        // First into the index, then the look at who left; `end_member` does it the other way round. So
        // whichever comes second sees the other.
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

    /// Ends a session on this node, also one that it has not seen.
    pub(crate) fn end(&self, sid: Uuid) -> Arc<CachedSession> {
        let seen = self.seen.entry(sid).or_insert_with(|| Arc::new(CachedSession::over(sid))).into_value();
        seen.end();
        seen
    }

    /// Ends every session of a member that began up to `at`: those seen here, of which those that were live are
    /// returned so that NocoBase can be told to block them, and those that other nodes made, when they come by. May be
    /// told again, and late: a member who signed in meanwhile keeps the new session.
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

    /// Asks NocoBase about a session that this node sees for the first time. However many requests come at
    /// once, one question is under way; if its request is given up, the next one asks. A failure is not
    /// remembered.
    pub(crate) async fn first_sight(
        &self,
        session: &Session,
        now: UnixMillis,
        ask: impl Future<Output = Result<SessionStatus, Failure>>,
    ) -> Result<Arc<CachedSession>, Failure> {
        if let Some(seen) = self.get(session.sid) {
            return Ok(seen);
        }
        let question = async {
            ask.await.map(|standing| match standing {
                SessionStatus::Live => self.insert_checked(session, now),
                SessionStatus::Ended => self.end(session.sid),
            })
        };
        self.asking.try_get_with(session.sid, question).await.map_err(|failure: Arc<Failure>| *failure)
    }
}

#[cfg(test)]
mod tests;
