//! The end of a session: signed out, replaced, refused by NocoBase or by WeCom. It ends on this node at once, and on
//! NocoBase and the other nodes right after.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use super::clock::now;
use super::sessions::{BLOCK_MARGIN, Sessions};
use crate::error::{Failure, FailureWithCause};
use crate::nocobase::error_body::Code;
use crate::session::{CachedSession, OwnCookies, Session, SessionStatus};
use crate::shared::Ending;

impl Sessions {
    /// Asks NocoBase alone, at once: it has just refused this session's token.
    fn ask_soon(self: &Arc<Self>, session: &Session) {
        let (sessions, session) = (self.clone(), session.clone());
        tokio::spawn(async move {
            if matches!(sessions.ask_and_log(&session).await, Ok(SessionStatus::Ended)) {
                sessions.cache.end(session.sid);
            }
        });
    }

    /// Ends a session: here at once, in NocoBase (and so on every node) right after.
    pub(crate) fn end(self: &Arc<Self>, session: &Session, reason: &'static str) {
        self.ended_by("member", session, reason);
    }

    pub(super) fn ended_by(self: &Arc<Self>, by: &'static str, session: &Session, reason: &'static str) {
        self.metrics.sign_ins.sessions_ended(by, 1);
        tracing::info!(event = "session_ended", session = %session.sid, userid = session.userid, reason, "session ended");
        self.cache.end(session.sid);
        self.publish(Ending::of(session.sid));
        let (sessions, session) = (self.clone(), session.clone());
        tokio::spawn(async move {
            if let Ok(token) = sessions.lasting_of(&session) {
                sessions.block(session.sid, token.as_str()).await;
            }
        });
    }

    /// The same, done when NocoBase has it on record.
    pub(crate) async fn end_now(&self, session: &Session, reason: &'static str) -> Result<(), Failure> {
        self.metrics.sign_ins.sessions_ended("member", 1);
        tracing::info!(event = "session_ended", session = %session.sid, userid = session.userid, reason, "session ended");
        self.cache.end(session.sid);
        self.publish(Ending::of(session.sid));
        self.nocobase.sign_out(self.lasting_of(session)?.as_str()).await.map_err(FailureWithCause::logged)
    }

    /// A member signs out in NocoBase: ends the session before the request goes on, and blocks it there with a token that
    /// lasts. If NocoBase cannot be told now, it is told in the background.
    pub(crate) async fn end_before_forwarding(self: &Arc<Self>, session: &Session) {
        const REASON: &str = "signed out in NocoBase";
        if self.end_now(session, REASON).await.is_err() {
            let (sessions, session) = (self.clone(), session.clone());
            tokio::spawn(async move {
                if let Ok(token) = sessions.lasting_of(&session) {
                    sessions.block(session.sid, token.as_str()).await;
                }
            });
        }
    }

    /// Ends a NocoBase session by the token of a user who signed in by password.
    pub(crate) async fn end_own(&self, token: &str) -> Result<(), Failure> {
        let Ok(verified) = self.minter.verify_renewable(token, now().as_secs()) else { return Ok(()) };
        let Some(jti) = verified.jti else { return Ok(()) };
        tracing::info!(event = "session_ended", session = jti, reason = "signed out", "session ended");
        // With a long-lived token: NocoBase remembers the sign-out only until that token expires.
        let end = now().plus(self.limits().absolute).plus(BLOCK_MARGIN).as_secs();
        let now = now();
        let lasting = self.minter.session_until(verified.user_id, &jti, now.0, now.as_secs(), end)?;
        self.nocobase.sign_out(lasting.as_str()).await.map_err(FailureWithCause::logged)
    }

    /// `Set-Cookie` lines of a sign-out: only the mark stays that prevents an automatic sign-in.
    pub(crate) fn signed_out_cookies(&self, cookies: &OwnCookies<'_>) -> Vec<String> {
        let names = self.cookies.names();
        let flows = cookies.flows.iter().map(|flow| names.delete(flow.name));
        let tries = (cookies.tries > 0).then(|| names.delete(names.tries()));
        [self.cookies.delete(), names.set_out()].into_iter().chain(flows).chain(tries).collect()
    }

    /// `Set-Cookie` lines that delete the cookies that NocoBase's own sign-in left in the browser.
    pub(crate) fn forget_nocobase(&self) -> impl Iterator<Item = String> + '_ {
        let (app, root) = (&self.config.nocobase.app, &self.config.nocobase.public_path);
        let path = root.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or("/");
        let secure = if self.config.origin.https { "; Secure" } else { "" };
        ["nb_auth_token", "nb_authenticator", "nb_role", "nb_csrf_token"].into_iter().map(move |name| {
            format!("{name}_{app}=; Path={path}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; SameSite=Lax{secure}")
        })
    }

    /// Blocks the session in NocoBase; tries a few times, since a session that goes on elsewhere is a hole.
    async fn block(&self, sid: uuid::Uuid, token: &str) {
        // Pauses of 1, 5 and 25 seconds.
        let pauses = ExponentialBuilder::new()
            .with_min_delay(Duration::from_secs(1))
            .with_factor(5.0)
            .with_max_times(3);
        let blocked = (|| self.nocobase.sign_out(token)).retry(pauses).await;
        if let Err(failed) = blocked {
            tracing::error!(event = "session_ended", session = %sid, label = failed.failure.response().label,
                call = failed.cause.call, reason = failed.cause.reason,
                "NocoBase could not be told that this session has ended; other nodes may still accept it");
        }
    }

    /// NocoBase refused a token that the gate put in.
    pub(crate) fn refused_by_nocobase(
        self: &Arc<Self>,
        session: &Session,
        seen: &Arc<CachedSession>,
        code: Option<Code>,
    ) {
        match code {
            Some(code @ (Code::BlockedToken | Code::ExpiredSession | Code::NotExistUser)) => {
                self.metrics.sign_ins.sessions_ended("nocobase", 1);
                tracing::info!(event = "session_ended", session = %session.sid, userid = session.userid,
                    reason = code.as_str(), "NocoBase has ended this session");
                self.cache.end(session.sid);
                self.publish(Ending::of(session.sid));
            }
            // A changed password makes older tokens invalid while the session goes on; a wrong secret shows in the
            // check. A fresh token decides.
            Some(Code::InvalidToken | Code::TokenRenewFailed | Code::ExpiredToken) => {
                seen.drop_token();
                self.ask_soon(session);
            }
            Some(_) => {}
            None => self.ask_soon(session),
        }
    }

    /// All sessions of a member end: he has left, or is out of range.
    pub(crate) fn end_member(self: &Arc<Self>, entry: &str, userid: &str, reason: &'static str) {
        let at = now();
        self.publish(Ending::Member { entry: entry.to_owned(), userid: userid.to_owned(), at });
        let sids = self.cache.end_member(entry, userid, at);
        self.member_ended("wecom", entry, userid, reason, sids);
    }

    /// These sessions of a member, which this node knew, are over.
    pub(super) fn member_ended(
        self: &Arc<Self>,
        by: &'static str,
        entry: &str,
        userid: &str,
        reason: &'static str,
        sids: Vec<uuid::Uuid>,
    ) {
        self.metrics.sign_ins.sessions_ended(by, sids.len());
        tracing::info!(
            event = "session_ended",
            entry,
            userid,
            reason,
            sessions = sids.len(),
            "sessions of a member ended"
        );
        let (sessions, entry, userid) = (self.clone(), entry.to_owned(), userid.to_owned());
        tokio::spawn(async move {
            // Whose tokens these are is what the binding says. Without Redis, other nodes learn it from NocoBase.
            let bound = sessions.accounts.find_binding(&entry, &userid).await;
            let Ok(Some(user)) = bound.map_err(FailureWithCause::logged) else { return };
            for sid in sids {
                if let Ok(token) = sessions.lasting(user, sid, now()) {
                    sessions.block(sid, token.as_str()).await;
                }
            }
        });
    }

    /// At each login the browser gets a new session; those before end (R15), also one that was planted (R42).
    pub(super) fn replace(self: &Arc<Self>, before: Vec<Session>, now: &Session) {
        for before in before.iter().filter(|b| b.sid != now.sid) {
            self.end(before, "replaced by a new sign-in");
        }
    }
}
