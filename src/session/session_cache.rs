//! What this node knows of each session: whether it has ended, when NocoBase was last asked about it, and the token minted for
//! it. NocoBase is authoritative; this is a bounded cache of its responses, and a lost entry costs one request.

mod by_member;
mod cached_session;
mod tokens;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, UnitWeighter};
use uuid::Uuid;

use crate::error::Failure;

use super::member_check::MemberCheck;
use super::open_streams::Listed;
use super::session::Session;
use super::time::{CLOCK_SKEW, UnixMillis};
use super::token::Token;
use by_member::{ByMember, MemberKey, SeenMember};
pub use cached_session::{CachedSession, Recheck};
use tokens::HeldTokens;

/// Most sessions kept, roughly. Beyond this, one that has not been used lately is dropped, and NocoBase is asked again when it is next used.
pub(crate) const CAPACITY: u64 = 200_000;
/// moka refuses durations of centuries.
const MAX_RETENTION: Duration = Duration::from_secs(366 * 24 * 3600);

/// Parts of the cache with a lock of their own. A reader waits only while its part is being written to.
const PARTS: usize = 64;
/// How much of the cache is for sessions that have been used more than once. Not more, so that the others are not dropped soon.
const OFTEN_USED: f64 = 0.5;
/// How often sessions that have expired are looked for.
const DROP_EXPIRED_EVERY: Duration = Duration::from_secs(3600);

/// The state of a session in NocoBase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionStatus {
    /// It is valid.
    Active,
    /// It was ended, or its user no longer exists.
    Ended,
}

type Seen = quick_cache::sync::Cache<Uuid, Arc<CachedSession>, UnitWeighter, DefaultHashBuilder, Evicted>;

/// Removes evicted sessions from the index. Called while the part of the cache is locked, so that a session which is inserted again at
/// the same moment comes after it.
#[derive(Clone)]
struct Evicted(Arc<ByMember>);

impl Lifecycle<Uuid, Arc<CachedSession>> for Evicted {
    type RequestState = ();

    fn on_evict(&self, _state: &mut (), sid: Uuid, seen: Arc<CachedSession>) {
        if let Some(member) = &seen.member {
            self.0.remove(&member.key, sid);
        }
    }
}

/// All that this node knows.
#[derive(Clone)]
pub struct SessionCache {
    seen: Arc<Seen>,
    /// First lookups in progress.
    asking: moka::future::Cache<Uuid, Arc<CachedSession>>,
    by_member: Arc<ByMember>,
    /// Sessions with open requests.
    pub(super) open: Arc<Listed<CachedSession>>,
    /// Members who left, and when: sessions that began before have ended, even those not seen yet.
    left: moka::sync::Cache<MemberKey, UnixMillis>,
    /// The sessions that hold a token.
    tokens: Arc<HeldTokens>,
    /// How long a session may matter.
    memory: Duration,
    /// [`UnixMillis`] from which expired sessions are looked for again.
    drop_expired_at: Arc<AtomicU64>,
}

impl std::fmt::Debug for SessionCache {
    // Not every session.
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
        // New ones are always let in: otherwise NocoBase would be asked at every request of those that are not.
        let (hasher, evicted) = (DefaultHashBuilder::default(), Evicted(by_member.clone()));
        let items = usize::try_from(capacity).unwrap_or(usize::MAX);
        let mut options = OptionsBuilder::new();
        options.shards(PARTS).estimated_items_capacity(items).weight_capacity(capacity);
        // No notes about what has been dropped: it says nothing about who comes next.
        options.hot_allocation(OFTEN_USED).ghost_allocation(0.0);
        let seen = match options.build() {
            Ok(options) => Seen::with_options(options, UnitWeighter, hasher, evicted),
            Err(_) => Seen::with(items, capacity, UnitWeighter, hasher, evicted),
        };
        SessionCache {
            seen: Arc::new(seen),
            asking: moka::future::Cache::builder()
                // For those who come right after a response: later ones find the session itself.
                .max_capacity(1_000)
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
            tokens: Arc::default(),
            memory,
            drop_expired_at: Arc::default(),
        }
    }

    /// What is known of a session; `None`: this node sees it for the first time. Readers do not wait for each other.
    pub fn get(&self, sid: Uuid) -> Option<Arc<CachedSession>> {
        self.seen.get(&sid)
    }

    /// The same; what is not known is made, once. Also returns whether it was.
    fn get_or_insert(
        &self,
        sid: Uuid,
        make: impl FnOnce() -> Arc<CachedSession>,
    ) -> (Arc<CachedSession>, bool) {
        let mut made = false;
        let make = || {
            made = true;
            Ok::<_, Infallible>(make())
        };
        let Ok(seen) = self.seen.get_or_insert_with(&sid, make);
        (seen, made)
    }

    /// Keeps a session from being dropped while it has an open request: otherwise its end would be missed. False: it had been
    /// dropped, and has ended since.
    pub(crate) fn keep(&self, sid: Uuid, seen: &Arc<CachedSession>) -> bool {
        let (known, made) = self.get_or_insert(sid, || seen.clone());
        if !made {
            return !known.is_ended();
        }
        let Some(member) = &seen.member else { return !seen.is_ended() };
        self.by_member.add(member.clone(), sid);
        self.left.get(&member.key).is_none_or(|left_at| seen.signed_in_at > left_at)
    }

    /// Drops a session, as when there are too many.
    #[cfg(test)]
    pub(super) fn forget(&self, sid: Uuid) {
        if let Some(member) = self.seen.remove(&sid).and_then(|(_, seen)| seen.member.clone()) {
            self.by_member.remove(&member.key, sid);
        }
    }

    /// Drops every minted token: tokens are minted differently from now on.
    pub(crate) fn forget_tokens(&self) {
        for (_, seen) in self.seen.iter() {
            seen.drop_token();
        }
    }

    /// The token of a session; `mint` creates one if there is none or it has been used for long enough. Two requests at the same moment may
    /// both mint one; either token is valid.
    pub fn token<E>(
        &self,
        seen: &Arc<CachedSession>,
        now: UnixMillis,
        mint: impl FnOnce() -> Result<Token, E>,
    ) -> Result<Arc<Token>, E> {
        if let Some(token) = seen.held_token(now) {
            return Ok(token);
        }
        let token = Arc::new(mint()?);
        seen.hold_token(&token);
        self.tokens.add(seen, &token, now);
        Ok(token)
    }

    /// Gives back memory: some of the tokens that nobody uses any more (true: there may be more), and once an hour the sessions that have
    /// expired in any case.
    pub(crate) fn drop_expired(&self, now: UnixMillis) -> bool {
        if self.drop_expired_at.load(Ordering::Relaxed) <= now.0 {
            self.drop_expired_at.store(now.plus(DROP_EXPIRED_EVERY).0, Ordering::Relaxed);
            self.seen.retain(|sid, seen| {
                let keep = seen.age(now) < self.memory;
                if !keep && let Some(member) = &seen.member {
                    self.by_member.remove(&member.key, *sid);
                }
                keep
            });
        }
        self.tokens.drop_stale(now)
    }

    /// The sessions that have been used since the last call: when, to the minute, and in which browser. Walks through all of them.
    pub(crate) fn unshared_uses(&self) -> Vec<(Uuid, UnixMillis, u8)> {
        let all = self.seen.iter();
        all.filter_map(|(sid, seen)| seen.unshared_use().map(|(at, browser)| (sid, at, browser))).collect()
    }

    /// The live sessions that NocoBase confirmed after this time. Walks through all of them.
    pub(crate) fn confirmed_after(&self, from: UnixMillis) -> Vec<(Uuid, Arc<CachedSession>)> {
        self.seen.iter().filter(|(_, seen)| seen.checked_at() > from && !seen.is_ended()).collect()
    }

    /// How many sessions are kept, roughly.
    pub(crate) fn count(&self) -> u64 {
        self.seen.len() as u64
    }

    /// How many members have sessions here.
    pub(crate) fn members(&self) -> usize {
        self.by_member.count()
    }

    /// WeCom has reported a change of this member, or of any of the entry: they are rechecked soon.
    pub(crate) fn member_changed(&self, entry: &str, userid: Option<&str>, at: UnixMillis) {
        self.by_member.changed(entry, userid, at);
    }

    /// Does this member have sessions here?
    pub(crate) fn has_member(&self, entry: &str, userid: &str) -> bool {
        self.by_member.check(&MemberKey::new(entry, userid)).is_some()
    }

    /// A list of this department's members that was requested at `at` names this one as active. Whether that confirms a member of
    /// this node.
    pub(crate) fn member_listed(&self, entry: &str, userid: &str, department: u32, at: UnixMillis) -> bool {
        let check = self.by_member.check(&MemberKey::new(entry, userid));
        let confirmed = check.filter(|check| check.listed(at));
        if let Some(check) = &confirmed {
            check.is_in(Some(department));
        }
        confirmed.is_some()
    }

    /// Notes that NocoBase accepted this session at `now`, or that it was registered there at that time. If it has ended
    /// meanwhile, it stays ended.
    pub fn insert_checked(&self, session: &Session, now: UnixMillis) -> Arc<CachedSession> {
        // First into the index, then the check for members who left; `end_member` does it in reverse order. So the later of the
        // two sees the earlier.
        let [a, b, ..] = session.sid.into_bytes();
        let key = MemberKey::new(&session.entry, &session.userid);
        let check = Arc::new(MemberCheck::new(now, u16::from_be_bytes([a, b])));
        let member = self.by_member.add(Arc::new(SeenMember { key, check }), session.sid);
        let make = || Arc::new(CachedSession::live(session, member.clone(), now));
        let (seen, made) = self.get_or_insert(session.sid, make);
        if made {
            // Between the two, an earlier entry may have been evicted, and removed from the index with it.
            self.by_member.add(member.clone(), session.sid);
        }
        seen.checked(now);
        if seen.member.is_none() {
            self.by_member.remove(&member.key, session.sid);
        }
        if self.left.get(&member.key).is_some_and(|left_at| session.signed_in_at <= left_at) {
            seen.end();
        }
        seen
    }

    /// Ends a session on this node, even one that it has not seen.
    pub(crate) fn end(&self, sid: Uuid) -> Arc<CachedSession> {
        let (seen, _) = self.get_or_insert(sid, || Arc::new(CachedSession::over(sid)));
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

    /// Asks about a session that this node sees for the first time: when NocoBase confirmed it; `None`: it has ended. However many
    /// requests arrive at once, only one lookup is in progress; if its request is dropped, the next one asks. A failure is not
    /// remembered.
    pub(crate) async fn first_lookup(
        &self,
        session: &Session,
        ask: impl Future<Output = Result<Option<UnixMillis>, Failure>>,
    ) -> Result<Arc<CachedSession>, Failure> {
        if let Some(seen) = self.get(session.sid) {
            return Ok(seen);
        }
        let question = async {
            ask.await.map(|confirmed| match confirmed {
                Some(at) => self.insert_checked(session, at),
                None => self.end(session.sid),
            })
        };
        self.asking.try_get_with(session.sid, question).await.map_err(|failure: Arc<Failure>| *failure)
    }
}

#[cfg(test)]
mod tests;
