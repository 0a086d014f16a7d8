//! What this node knows of one session, and the task of asking NocoBase about it again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use uuid::Uuid;

use super::by_member::SeenMember;
use crate::session::member_check::{Events, MemberRecheck};
use crate::session::open_streams::StreamList;
use crate::session::session::Session;
use crate::session::time::UnixMillis;
use crate::session::token::Token;

/// Delay before the next attempt if a recheck got no response.
pub(super) const RECHECK_RETRY: Duration = Duration::from_secs(30);

const MINUTE_MS: u64 = 60_000;

/// What is known of one session.
#[derive(Debug)]
pub struct CachedSession {
    ended: AtomicBool,
    /// Open requests.
    pub(in crate::session) streams: StreamList,
    /// [`UnixMillis`] at which the newest known cookie was sealed.
    last_seen: AtomicU64,
    /// Minute since 1970 of the last request on this node; 0: none yet.
    used_at: AtomicU32,
    /// The one that the other nodes know.
    shared_use: AtomicU32,
    /// The browser that sent it, as the caller numbers browsers.
    browser: AtomicU8,
    /// [`UnixMillis`] of NocoBase's last response.
    checked_at: AtomicU64,
    /// [`UnixMillis`] before which no recheck begins.
    not_before: AtomicU64,
    recheck_running: AtomicBool,
    token: ArcSwapOption<Token>,
    /// `None`: ended before it was seen.
    pub(super) member: Option<Arc<SeenMember>>,
    pub(super) signed_in_at: UnixMillis,
    /// A random byte of the session, see [`CachedSession::due_recheck`].
    spread: u8,
}

impl CachedSession {
    /// A session that NocoBase accepted or registered.
    pub(super) fn live(session: &Session, member: Arc<SeenMember>, checked_at: UnixMillis) -> Self {
        let mut seen = CachedSession::over(session.sid);
        seen.ended = AtomicBool::new(false);
        seen.checked_at = AtomicU64::new(checked_at.0);
        seen.member = Some(member);
        seen.signed_in_at = session.signed_in_at;
        seen.touch(session.last_seen);
        seen
    }

    /// A session that ended before it was seen.
    pub(super) fn over(sid: Uuid) -> Self {
        CachedSession {
            ended: AtomicBool::new(true),
            streams: StreamList::default(),
            last_seen: AtomicU64::new(0),
            used_at: AtomicU32::new(0),
            shared_use: AtomicU32::new(0),
            browser: AtomicU8::new(0),
            checked_at: AtomicU64::new(0),
            not_before: AtomicU64::new(0),
            recheck_running: AtomicBool::new(false),
            token: ArcSwapOption::empty(),
            member: None,
            signed_in_at: UnixMillis(0),
            spread: sid.as_bytes().first().copied().unwrap_or_default(),
        }
    }

    /// Whether it has ended. An ended session never becomes valid again.
    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.streams.end();
        self.token.store(None);
    }

    /// When the member signed in.
    pub(crate) fn signed_in_at(&self) -> UnixMillis {
        self.signed_in_at
    }

    /// The member's entry and userid (in lower case); empty if it ended before it was seen.
    pub(crate) fn member_names(&self) -> (&str, &str) {
        self.member.as_ref().map_or(("", ""), |member| (&member.key.entry, &member.key.userid))
    }

    /// Whether it is this session's turn in this second, out of `of` turns: each session has its own.
    pub(crate) fn is_turn(&self, second: u64, of: u64) -> bool {
        second % of == u64::from(self.spread) % of
    }

    /// When the member was last seen: from a request's cookie, or from the cookie set by the response.
    pub(crate) fn last_seen(&self) -> UnixMillis {
        UnixMillis(self.last_seen.load(Ordering::Relaxed))
    }

    /// Notes that the member was seen.
    pub(crate) fn touch(&self, at: UnixMillis) {
        // Nearly always known already: a read is cheaper than a write.
        if self.last_seen() < at {
            self.last_seen.fetch_max(at.0, Ordering::Relaxed);
        }
    }

    /// Notes a request, to the minute. `browser` is called in the first one of a minute.
    pub(crate) fn used(&self, now: UnixMillis, browser: impl FnOnce() -> u8) {
        let minute = u32::try_from(now.0 / MINUTE_MS).unwrap_or(u32::MAX);
        // Nearly always known: a read is cheaper than a write.
        if self.used_at.load(Ordering::Relaxed) < minute {
            self.used_at.fetch_max(minute, Ordering::Relaxed);
            self.browser.store(browser(), Ordering::Relaxed);
        }
    }

    /// The last request on this node, to the minute, and its browser.
    pub(crate) fn last_use(&self) -> Option<(UnixMillis, u8)> {
        let minute = self.used_at.load(Ordering::Relaxed);
        (minute > 0)
            .then(|| (UnixMillis(u64::from(minute) * MINUTE_MS), self.browser.load(Ordering::Relaxed)))
    }

    /// The same, once for each minute: for the other nodes.
    pub(crate) fn unshared_use(&self) -> Option<(UnixMillis, u8)> {
        let used = self.last_use()?;
        let minute = u32::try_from(used.0.0 / MINUTE_MS).unwrap_or(u32::MAX);
        // Nearly always known: a read is cheaper than a write.
        if self.shared_use.load(Ordering::Relaxed) >= minute || self.is_ended() {
            return None;
        }
        (self.shared_use.fetch_max(minute, Ordering::Relaxed) < minute).then_some(used)
    }

    /// When NocoBase last confirmed it.
    pub(crate) fn checked_at(&self) -> UnixMillis {
        UnixMillis(self.checked_at.load(Ordering::Acquire))
    }

    pub(super) fn checked(&self, now: UnixMillis) {
        self.checked_at.fetch_max(now.0, Ordering::AcqRel);
    }

    /// Whether a recheck is due, once per `every`: exactly one caller gets the task, until it is completed or dropped. Up to an
    /// eighth earlier, by an offset of the session's own, so that sessions first seen at the same moment (after a restart) do not
    /// ask at the same moment from then on.
    pub fn due_recheck(self: &Arc<Self>, now: UnixMillis, every: Duration) -> Option<Recheck> {
        if !self.is_due(now, every) || self.recheck_running.swap(true, Ordering::AcqRel) {
            return None;
        }
        let order = Recheck { seen: Arc::clone(self), began: now, retry: RECHECK_RETRY.min(every) };
        // Another recheck may have been completed between the two checks.
        self.is_due(now, every).then_some(order)
    }

    fn is_due(&self, now: UnixMillis, every: Duration) -> bool {
        let checked_at = self.checked_at();
        let every = every - every / 8 * u32::from(self.spread) / 256;
        let old = now.since(checked_at) >= every || checked_at.is_from_the_future(now);
        old && now.0 >= self.not_before.load(Ordering::Acquire) && !self.is_ended()
    }

    /// Is a recheck of the member with WeCom due, once per `every`?
    pub(crate) fn is_member_due(&self, now: UnixMillis, every: Duration) -> bool {
        !self.is_ended() && self.member.as_ref().is_some_and(|member| member.check.is_due(now, every))
    }

    /// According to WeCom, the member is in this department.
    pub(crate) fn member_is_in(&self, department: Option<u32>) {
        if let Some(member) = &self.member {
            member.check.is_in(department);
        }
    }

    /// Can that wait, because WeCom's events arrive?
    pub(crate) fn postpone_member_recheck(&self, now: UnixMillis, events: Events) -> bool {
        self.member.as_ref().is_some_and(|member| member.check.postpone(now, events))
    }

    /// The task of doing so: exactly one caller gets it, for all sessions of the member.
    pub(crate) fn due_member_recheck(&self, now: UnixMillis, every: Duration) -> Option<MemberRecheck> {
        self.member.as_ref()?.check.order(now, every)
    }

    /// The token, if it may still be used.
    pub(super) fn held_token(&self, now: UnixMillis) -> Option<Arc<Token>> {
        self.token.load_full().filter(|token| !token.is_stale(now))
    }

    pub(super) fn hold_token(&self, token: &Arc<Token>) {
        self.token.store(Some(Arc::clone(token)));
    }

    /// Drops the token that was minted at this time, if it is still held.
    pub(super) fn drop_token_of(&self, minted_at: UnixMillis) {
        if self.token.load().as_ref().is_some_and(|token| token.minted_at() == minted_at) {
            self.drop_token();
        }
    }

    /// For how long nothing has been known to be new, see [`super::SessionCache::drop_expired`]. One that ended before it was seen has no
    /// times: it counts from the first call.
    pub(super) fn age(&self, now: UnixMillis) -> Duration {
        if self.member.is_none() {
            let _ = self.checked_at.compare_exchange(0, now.0, Ordering::AcqRel, Ordering::Acquire);
        }
        now.since(self.checked_at().max(self.signed_in_at).max(self.last_seen()))
    }

    /// Drops the token, so that the next request mints one.
    pub(crate) fn drop_token(&self) {
        self.token.store(None);
    }
}

/// The task of asking NocoBase about a session again. Dropped without a result, it is handed out again after `RECHECK_RETRY`; the
/// session continues meanwhile.
#[derive(Debug)]
#[must_use = "report how the recheck ended"]
pub struct Recheck {
    seen: Arc<CachedSession>,
    began: UnixMillis,
    retry: Duration,
}

impl Recheck {
    /// From what time on a confirmation that another node got from NocoBase counts.
    pub(crate) fn counts_from(&self, every: Duration) -> UnixMillis {
        self.began.minus(every).max(self.seen.checked_at())
    }

    /// NocoBase, asked at this time, confirmed the session. Returns whether it is still valid.
    pub(crate) fn passed(self, at: UnixMillis) -> bool {
        self.seen.checked(at);
        !self.seen.is_ended()
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
