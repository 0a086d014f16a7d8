//! Sessions that began at NocoBase's own form: opened once NocoBase has accepted the page's token, found by their cookie, checked
//! and ended like all others. NocoBase has to block two ids at their end: that of the session, which stays the same, and that of
//! the token which the page sent last.

use std::sync::Arc;
use std::time::Duration;

use super::blocks::{Block, Owner};
use super::clock::now;
use super::records::of_session;
use super::sessions::{FoundSession, Sessions};
use crate::audit::{Action, Actor, Record, Source};
use crate::error::Failure;
use crate::nocobase::UserId;
use crate::nocobase::token::Verified;
use crate::session::{CachedSession, OwnCookies, PasswordSession, PasswordSignIn, Session, UnixMillis};

/// Longest `jti` of a token that can have a session. NocoBase's are UUIDs.
const MAX_JTI_LENGTH: usize = 64;
/// While NocoBase cannot confirm a session, it is asked again after this time.
const RETRY: Duration = Duration::from_secs(30);
/// Why a session ends when another begins in its browser.
const REPLACED: &str = "replaced by a new sign-in";

/// A live session that began at NocoBase's own form.
pub(crate) struct FoundPasswordSession {
    /// From the cookie.
    pub(crate) own: PasswordSession,
    /// What this node knows of it.
    pub(crate) seen: Arc<CachedSession>,
}

impl Sessions {
    /// The sign-in that a token from NocoBase's own sign-in belongs to. `None`: an API key, or not a valid token.
    pub(crate) fn password_sign_in(&self, token: &str) -> Option<PasswordSignIn> {
        let verified = self.minter.verify_renewable(token, now().as_secs()).ok()?;
        sign_in_of(verified)
    }

    /// Does this token belong to a session that has ended, as far as this node knows?
    pub(crate) fn is_token_over(&self, verified: &Verified) -> bool {
        let is_over = |sid: uuid::Uuid| self.cache.get(sid).is_some_and(|seen| seen.is_ended());
        verified.jti.as_ref().is_some_and(|jti| self.is_over(jti))
            || sign_in_of(verified.clone()).is_some_and(|sign_in| is_over(sign_in.sid()))
    }

    /// The session of a token, if this node knows it: a member's, or one that began at NocoBase's own form.
    pub(crate) fn of_token(&self, token: &str) -> Option<(Arc<Session>, Arc<CachedSession>)> {
        let verified = self.minter.verify_renewable(token, now().as_secs()).ok()?;
        let (user_id, by_id) = (verified.user_id.get(), uuid::Uuid::parse_str(verified.jti.as_deref()?).ok());
        let by_sign_in = || sign_in_of(verified).map(|sign_in| sign_in.sid());
        by_id.and_then(|sid| self.known(sid, user_id)).or_else(|| self.known(by_sign_in()?, user_id))
    }

    /// The session with this id, if this node knows it.
    fn known(&self, sid: uuid::Uuid, user_id: u64) -> Option<(Arc<Session>, Arc<CachedSession>)> {
        let seen = self.cache.get(sid)?;
        Some((Arc::new(seen.without_cookie(sid, user_id).ok()?), seen))
    }

    /// The live session of these cookies that began at NocoBase's own form. As with all sessions, NocoBase is asked when the
    /// session is first seen.
    pub(crate) async fn find_password(
        self: &Arc<Self>,
        cookies: &OwnCookies<'_>,
    ) -> Result<Option<FoundPasswordSession>, Failure> {
        for own in self.cookies.read_passwords(cookies, now()) {
            match self.status(own.session.clone()).await {
                FoundSession::Active { seen, .. } => return Ok(Some(FoundPasswordSession { own, seen })),
                FoundSession::Unknown(failure) => return Err(failure),
                FoundSession::Ended | FoundSession::Nothing => {}
            }
        }
        Ok(None)
    }

    /// NocoBase has accepted the token of this sign-in: returns the session's `Set-Cookie`. The browser's previous session ends.
    pub(crate) fn open_password(
        self: &Arc<Self>,
        sign_in: &PasswordSignIn,
        before: Option<&PasswordSession>,
        source: &Source,
    ) -> Option<String> {
        let own = PasswordSession::new(sign_in, now()).ok()?;
        if self.cache.get(own.session.sid).is_none() {
            let record = of_session(Action::SignIn, Actor::Member, &own.session);
            self.audit.write(source, &Record { via: Some("password"), ..record });
        }
        if self.cache.insert_checked(&own.session, now()).is_ended() {
            return None;
        }
        if let Some(before) = before.filter(|before| before.session.sid != own.session.sid) {
            self.end_password(before, REPLACED, source);
        }
        self.cookies.write_password(&own, now()).ok()
    }

    /// A new `Set-Cookie`, if one is due, or if NocoBase has renewed the page's token since (`jti`).
    pub(crate) fn renew_password(&self, found: &FoundPasswordSession, jti: Option<&str>) -> Option<String> {
        let (own, now) = (&found.own, now());
        let jti = jti.filter(|jti| **jti != own.jti);
        let session = match own.session.renewed(self.limits(), now) {
            Some(session) => session,
            None if jti.is_some() => Session { last_seen: now, ..own.session.clone() },
            None => return None,
        };
        found.seen.touch(session.last_seen);
        let own = PasswordSession { session, jti: jti.unwrap_or(&own.jti).to_owned() };
        self.cookies.write_password(&own, now).ok()
    }

    /// Ends such a session: here at once, on the other nodes and in NocoBase immediately after.
    fn end_password(self: &Arc<Self>, own: &PasswordSession, reason: &'static str, source: &Source) {
        self.log_end(Action::SessionEnded, &own.session, reason, source);
        drop(self.block_soon(blocks_of(own)));
    }

    /// Ends all such sessions of these cookies: another user signs in.
    pub(super) fn end_passwords(self: &Arc<Self>, cookies: &OwnCookies<'_>, source: &Source) {
        let all: Vec<_> = self.cookies.read_passwords(cookies, now()).collect();
        all.iter().for_each(|own| self.end_password(own, REPLACED, source));
    }

    /// Ends all such sessions of these cookies: their user signs out. Returns when NocoBase has recorded it, or cannot be reached
    /// now.
    pub(crate) async fn sign_out_passwords(self: &Arc<Self>, cookies: &OwnCookies<'_>, source: &Source) {
        let all: Vec<_> = self.cookies.read_passwords(cookies, now()).collect();
        for own in all {
            self.log_end(Action::SignOut, &own.session, "signed out", source);
            self.block(blocks_of(&own)).await;
        }
    }

    /// Ends the session of this sign-in, and blocks the token.
    pub(super) async fn end_sign_in_now(self: &Arc<Self>, sign_in: &PasswordSignIn, source: &Source) {
        let Ok(own) = PasswordSession::new(sign_in, now()) else { return };
        self.log_end(Action::SignOut, &own.session, "signed out", source);
        self.block(blocks_of(&own)).await;
    }

    /// A user signs out in NocoBase with a token of this sign-in, which NocoBase itself blocks. The session ends here at once; it
    /// is blocked in NocoBase after the response, by [`Sessions::password_signed_out`]: two concurrent sign-outs are more than
    /// SQLite can handle, and the user's might be the one that fails.
    pub(crate) fn password_signs_out(self: &Arc<Self>, sign_in: &PasswordSignIn, source: &Source) {
        let Ok(own) = PasswordSession::new(sign_in, now()) else { return };
        self.log_end(Action::SignOut, &own.session, "signed out in NocoBase", source);
        self.block_later(&[block(&own, own.session.sid.to_string())]);
    }

    /// NocoBase has processed the sign-out with this token: now the session itself has to be blocked.
    pub(crate) fn password_signed_out(self: &Arc<Self>, token: &str) {
        let Some(sign_in) = self.password_sign_in(token) else { return };
        let Ok(own) = PasswordSession::new(&sign_in, now()) else { return };
        drop(self.block_soon(vec![block(&own, own.session.sid.to_string())]));
    }

    fn log_end(self: &Arc<Self>, action: Action, session: &Session, reason: &'static str, source: &Source) {
        self.metrics.sign_ins.sessions_ended("member", 1);
        tracing::info!(event = "session_ended", session = %session.sid, userid = session.userid, reason, "session ended");
        self.record_end((action, Actor::Member), session, reason, source);
        self.ends_here(session);
    }

    /// Waits for the end of this sign-in's session, for a WebSocket that was opened before the user signed in, and so without the
    /// session's cookie.
    pub(crate) async fn until_password_ends(self: &Arc<Self>, sign_in: &PasswordSignIn) {
        // A token of a member's session that was kept.
        let id = uuid::Uuid::parse_str(&sign_in.jti).ok();
        if let Some((session, seen)) = id.and_then(|sid| self.known(sid, sign_in.user_id)) {
            let attached = self.attach(&session, &seen, Vec::new());
            return attached.stream().until_ended().await;
        }
        let Ok(own) = PasswordSession::new(sign_in, now()) else { return };
        loop {
            match self.status(own.session.clone()).await {
                FoundSession::Active { session, seen } => {
                    let attached = self.attach(&Arc::new(session), &seen, Vec::new());
                    return attached.stream().until_ended().await;
                }
                FoundSession::Ended | FoundSession::Nothing => return,
                FoundSession::Unknown(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }
}

fn sign_in_of(verified: Verified) -> Option<PasswordSignIn> {
    let (jti, signed_in_at) = (verified.jti?, UnixMillis(verified.sign_in_ms?));
    let good = !verified.api_key && jti.len() <= MAX_JTI_LENGTH;
    good.then(|| PasswordSignIn { user_id: verified.user_id.get(), signed_in_at, jti })
}

fn block(own: &PasswordSession, id: String) -> Block {
    let owner = match UserId::new(own.session.user_id) {
        Some(user) => Owner::User(user),
        // No user is bound like this, so there is nothing to end.
        None => Owner::Member { entry: String::new(), userid: own.session.userid.clone() },
    };
    Block { id, owner, signed_in_at: own.session.signed_in_at }
}

pub(super) fn blocks_of(own: &PasswordSession) -> Vec<Block> {
    vec![block(own, own.session.sid.to_string()), block(own, own.jti.clone())]
}

#[cfg(test)]
mod tests;
