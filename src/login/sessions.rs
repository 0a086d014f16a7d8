//! A session from its first sight to its end: opened and registered, found again by its cookie, checked now and then,
//! ended from inside or outside.

use std::sync::Arc;
use std::time::Duration;

use super::{SignIns, UnixMillis, now};
use crate::config::WeComEntry;
use crate::error::Failure;
use crate::nocobase::answers::Code;
use crate::nocobase::{CheckOutcome, Minted, UserId};
use crate::session::{self, CachedSession, OwnCookies, Recheck, Session, SessionStatus, Token};
use crate::shared::Ending;
use crate::wecom::{self, Member};

/// A blocked `jti` is remembered by NocoBase until the token that signed out would have ended: that token must
/// outlive the session, by more than clocks differ.
const BLOCK_MARGIN: Duration = Duration::from_secs(24 * 3600);

/// What a request's cookies come to.
pub enum FoundSession {
    /// No session, or a cookie that does not open (R7).
    Nothing,
    /// A session that is over.
    Ended,
    /// A session that this node sees for the first time, and NocoBase cannot say whether it goes on.
    Unknown(Failure),
    /// A live session.
    Live {
        /// From the cookie.
        session: Session,
        /// What this node knows of it.
        seen: Arc<CachedSession>,
    },
}

impl SignIns {
    /// The session of these cookies. Without I/O, but for a session that this node has not seen before: NocoBase is
    /// the record of which sessions have ended, and is asked once (R15, R16).
    pub async fn find(self: &Arc<Self>, cookies: &OwnCookies<'_>) -> FoundSession {
        let Some(session) = self.sessions.read(cookies, now()) else {
            return if cookies.has_session() { FoundSession::Ended } else { FoundSession::Nothing };
        };
        let seen = match self.seen.get(session.sid) {
            Some(seen) => seen,
            None => match Box::pin(self.seen.first_sight(&session, now(), self.ask(&session))).await {
                Ok(seen) => seen,
                Err(failure) => return FoundSession::Unknown(failure),
            },
        };
        if seen.is_ended() { FoundSession::Ended } else { FoundSession::Live { session, seen } }
    }

    /// The live session of these cookies, by what this node knows alone.
    pub(super) fn live(&self, cookies: &OwnCookies<'_>) -> Option<Session> {
        let session = self.sessions.read(cookies, now())?;
        self.seen.get(session.sid).filter(|seen| !seen.is_ended()).map(|_| session)
    }

    /// Asks NocoBase about a session.
    async fn ask(&self, session: &Session) -> Result<SessionStatus, Failure> {
        let token = self.mint(session)?;
        match self.nocobase.check(token.as_str()).await? {
            CheckOutcome::Valid { user_id, .. } if user_id.get() == session.user_id => {
                Ok(SessionStatus::Live)
            }
            CheckOutcome::Valid { .. } => Err(Failure::NocoBaseBadAnswer),
            CheckOutcome::Ended(code) => {
                self.metrics.sign_ins.sessions_ended("nocobase", 1);
                tracing::info!(event = "session_ended", session = %session.sid, userid = session.userid,
                    reason = code.as_str(), "NocoBase has ended this session");
                self.tell(Ending::of(session.sid));
                Ok(SessionStatus::Ended)
            }
        }
    }

    /// A new session for this user, registered with NocoBase and accepted by it.
    pub(super) async fn open(
        &self,
        entry: &WeComEntry,
        member: &Member,
        user: UserId,
    ) -> Result<Box<Session>, Failure> {
        let who = session::Member {
            entry: entry.name.clone(),
            corp_id: entry.corp_id.clone(),
            userid: member.userid.clone(),
            name: member.name.clone(),
            user_id: user.get(),
            locale: None,
        };
        let session = Box::new(Session::begin(who, now())?);
        let sid = session.sid.to_string();
        self.nocobase.register_session(&sid, user, &entry.name, session.signed_in_at.0).await?;
        // Shows a wrong secret here, and not as a page that does not work.
        match self.ask(&session).await? {
            SessionStatus::Live => drop(self.seen.insert_checked(&session, now())),
            SessionStatus::Ended => return Err(Failure::SessionEnded),
        }
        Ok(session)
    }

    /// At each login the browser gets a new session; the one before ends (R15).
    pub(super) fn replace(self: &Arc<Self>, before: Option<Session>, now: &Session) {
        if let Some(before) = before.filter(|b| b.sid != now.sid) {
            self.end(&before, "replaced by a new sign-in");
        }
    }

    /// A fresh `Set-Cookie`, where one is due.
    pub fn renew(&self, session: &Session) -> Option<String> {
        self.sessions.renew(session, now()).ok().flatten()
    }

    fn mint(&self, session: &Session) -> Result<Minted, Failure> {
        let user = UserId::new(session.user_id).ok_or(Failure::Internal)?;
        self.lasting(user, session.sid, session.signed_in_at)
    }

    /// A token that outlives its session, with a fresh `iat`. NocoBase remembers a blocked session only until the token
    /// that signed out would have ended, and any request may turn out to be a sign-out; the token stays in the gate.
    fn lasting(&self, user: UserId, sid: uuid::Uuid, signed_in_at: UnixMillis) -> Result<Minted, Failure> {
        let end = now().plus(self.limits.absolute).plus(BLOCK_MARGIN).as_secs();
        self.minter.session_until(user, &sid.to_string(), signed_in_at.0, now().as_secs(), end)
    }

    /// NocoBase's token for a request of this session: minted at most every ten minutes.
    pub fn token(&self, session: &Session, seen: &CachedSession) -> Result<Arc<Token>, Failure> {
        seen.token(now(), || self.as_token(&self.mint(session)?))
    }

    fn as_token(&self, minted: &Minted) -> Result<Token, Failure> {
        let jwt = minted.as_str();
        let cookies = format!("{}={jwt}; {}=basic", self.token_cookie, self.authenticator_cookie);
        Token::new(jwt, cookies, now())
    }

    /// A token for the browser to hold (`token_delivery = "browser"`): good until the session's latest end. The gate puts
    /// a fresh one in its place before NocoBase sees it.
    pub fn browser_token(&self, session: &Session) -> Result<Minted, Failure> {
        let user = UserId::new(session.user_id).ok_or(Failure::Internal)?;
        let end = session.signed_in_at.plus(self.limits.absolute).as_secs();
        self.minter.session_until(
            user,
            &session.sid.to_string(),
            session.signed_in_at.0,
            now().as_secs(),
            end,
        )
    }

    /// Is this a token of this session?
    pub fn is_of_session(&self, token: &str, sid: uuid::Uuid) -> bool {
        let verified = self.minter.verify(token, now().as_secs());
        verified.is_ok_and(|v| v.jti.is_some_and(|jti| jti == sid.to_string()))
    }

    /// Asks again, in the background, whether a session in use goes on: NocoBase whether it has been ended, WeCom
    /// whether the member still may use the app.
    pub fn recheck_if_due(self: &Arc<Self>, session: &Session, seen: &Arc<CachedSession>) {
        if let Some(order) = seen.due_recheck(now(), self.config.session.recheck) {
            let (sign_ins, session) = (self.clone(), session.clone());
            tokio::spawn(async move { sign_ins.recheck(&session, order).await });
        }
    }

    async fn recheck(self: &Arc<Self>, session: &Session, order: Recheck) {
        let asked = self.ask(session).await;
        if matches!(asked, Ok(SessionStatus::Ended)) {
            return order.ended();
        }
        let Some((_, client)) = self.entry(&session.entry) else { return };
        match client.member_status(&session.userid).await {
            wecom::MemberStatus::Gone(failure) => {
                order.ended();
                self.ended_by("wecom", session, failure.response().label);
            }
            wecom::MemberStatus::Good if asked.is_ok() => order.passed(),
            // Trouble on the other side keeps the session; the order, dropped, is given again soon.
            _ => {}
        }
    }

    /// Asks NocoBase alone, at once: it has just refused this session's token.
    fn ask_soon(self: &Arc<Self>, session: &Session) {
        let (sign_ins, session) = (self.clone(), session.clone());
        tokio::spawn(async move {
            if matches!(sign_ins.ask(&session).await, Ok(SessionStatus::Ended)) {
                sign_ins.seen.end(session.sid);
            }
        });
    }

    /// Ends a session: here at once, in NocoBase (and so on every node) right after.
    pub fn end(self: &Arc<Self>, session: &Session, reason: &'static str) {
        self.ended_by("member", session, reason);
    }

    fn ended_by(self: &Arc<Self>, by: &'static str, session: &Session, reason: &'static str) {
        self.metrics.sign_ins.sessions_ended(by, 1);
        tracing::info!(event = "session_ended", session = %session.sid, userid = session.userid, reason, "session ended");
        self.seen.end(session.sid);
        self.tell(Ending::of(session.sid));
        let (sign_ins, session) = (self.clone(), session.clone());
        tokio::spawn(async move {
            if let Ok(token) = sign_ins.mint(&session) {
                sign_ins.block(session.sid, token.as_str()).await;
            }
        });
    }

    /// The same, done when NocoBase has it on record.
    pub async fn end_now(&self, session: &Session, reason: &'static str) -> Result<(), Failure> {
        self.metrics.sign_ins.sessions_ended("member", 1);
        tracing::info!(event = "session_ended", session = %session.sid, userid = session.userid, reason, "session ended");
        self.seen.end(session.sid);
        self.tell(Ending::of(session.sid));
        self.nocobase.sign_out(self.mint(session)?.as_str()).await
    }

    /// Ends a session of NocoBase's own, by the token of somebody who signed in by password.
    pub async fn end_own(&self, token: &str) -> Result<(), Failure> {
        let Ok(verified) = self.minter.verify_renewable(token, now().as_secs()) else { return Ok(()) };
        let Some(jti) = verified.jti else { return Ok(()) };
        tracing::info!(event = "session_ended", session = jti, reason = "signed out", "session ended");
        // With a token that lasts: NocoBase remembers the end only as long as the token that told it.
        let end = now().plus(self.limits.absolute).plus(BLOCK_MARGIN).as_secs();
        let now = now();
        let lasting = self.minter.session_until(verified.user_id, &jti, now.0, now.as_secs(), end)?;
        self.nocobase.sign_out(lasting.as_str()).await
    }

    /// `Set-Cookie` lines of a sign-out: nothing of the gate's stays but the mark that nobody is signed straight in again.
    pub fn signed_out_cookies(&self, cookies: &OwnCookies<'_>) -> Vec<String> {
        let names = self.cookie_names;
        let flows = cookies.flows.iter().map(|flow| names.delete(flow.name));
        let tries = (cookies.tries > 0).then(|| names.delete(names.tries()));
        [self.sessions.delete(), names.set_out()].into_iter().chain(flows).chain(tries).collect()
    }

    /// `Set-Cookie` lines that take away what a sign-in of NocoBase's own left in the browser.
    pub fn forget_nocobase(&self) -> impl Iterator<Item = String> + '_ {
        let (app, root) = (&self.config.nocobase.app, &self.config.nocobase.public_path);
        let path = root.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or("/");
        let secure = if self.config.origin.https { "; Secure" } else { "" };
        ["nb_auth_token", "nb_authenticator", "nb_role", "nb_csrf_token"].into_iter().map(move |name| {
            format!("{name}_{app}=; Path={path}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; SameSite=Lax{secure}")
        })
    }

    /// Blocks the session in NocoBase; tries a few times, since a session that goes on elsewhere is a hole.
    async fn block(&self, sid: uuid::Uuid, token: &str) {
        for pause in [1, 5, 30, 0] {
            match self.nocobase.sign_out(token).await {
                Ok(()) => return,
                Err(_) if pause > 0 => tokio::time::sleep(Duration::from_secs(pause)).await,
                Err(failure) => tracing::error!(event = "session_ended", session = %sid,
                    label = failure.response().label,
                    "NocoBase could not be told that this session has ended; other nodes may still take it"),
            }
        }
    }

    /// NocoBase refused a token that the gate put in.
    pub fn refused_by_nocobase(
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
                self.seen.end(session.sid);
                self.tell(Ending::of(session.sid));
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
    pub fn end_member(self: &Arc<Self>, entry: &str, userid: &str, reason: &'static str) {
        let at = now();
        self.tell(Ending::Member { entry: entry.to_owned(), userid: userid.to_owned(), at });
        let sids = self.seen.end_member(entry, userid, at);
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
        let (sign_ins, entry, userid) = (self.clone(), entry.to_owned(), userid.to_owned());
        tokio::spawn(async move {
            // Whose tokens these are is what the binding says. Without Redis, other nodes learn it from NocoBase.
            let Ok(Some(user)) = sign_ins.accounts.find_binding(&entry, &userid).await else { return };
            for sid in sids {
                if let Ok(token) = sign_ins.lasting(user, sid, now()) {
                    sign_ins.block(sid, token.as_str()).await;
                }
            }
        });
    }
}
