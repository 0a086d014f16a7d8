//! The end of a session: signed out, replaced, refused by NocoBase or by WeCom. It ends on this node at once, and in NocoBase and
//! on the other nodes immediately after.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;

use super::blocks::{Block, Owner, Reporter, is_away};
use super::clock::now;
use super::sessions::Sessions;
use crate::audit::{Action, Actor, Record, Source};
use crate::error::FailureWithCause;
use crate::nocobase::UserId;
use crate::nocobase::error_body::Code;
use crate::session::{CachedSession, OwnCookies, Session, SessionStatus};
use crate::shared::Ending;

/// How long a sign-out waits for NocoBase. The call continues afterwards.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two attempts to send NocoBase the remaining calls before a stop.
const BEFORE_STOP: Duration = Duration::from_millis(500);
/// How often a node looks for calls that other nodes have not made.
const LOOK_FOR_BLOCKS: Duration = Duration::from_secs(1);

impl Sessions {
    /// Asks NocoBase at once: it has just refused this session's token.
    fn ask_soon(self: &Arc<Self>, session: &Session) {
        let (sessions, session) = (self.clone(), session.clone());
        tokio::spawn(async move {
            if matches!(sessions.ask_and_log(&session).await, Ok(SessionStatus::Ended)) {
                sessions.cache.end(session.sid);
            }
        });
    }

    /// Ends a session: here at once, in NocoBase (and so on every node) immediately after.
    pub(crate) fn end(self: &Arc<Self>, session: &Session, reason: &'static str, source: &Source) {
        self.ended_by(Actor::Member, session, reason, source);
    }

    pub(super) fn ended_by(
        self: &Arc<Self>,
        by: Actor,
        session: &Session,
        reason: &'static str,
        source: &Source,
    ) {
        self.metrics.sign_ins.sessions_ended(by.name(), 1);
        tracing::info!(event = "session_ended", session = %session.sid, userid = session.userid, reason, "session ended");
        self.record_end((Action::SessionEnded, by), session, reason, source);
        self.ends_here(session);
        drop(self.block_soon(block_of(session)));
    }

    /// A user signs out: returns when NocoBase has recorded it, or cannot be reached now. The session has ended in either case:
    /// this node refuses it, and the call to NocoBase is repeated in the background.
    pub(crate) async fn sign_out(self: &Arc<Self>, session: &Session, reason: &'static str, source: &Source) {
        self.metrics.sign_ins.sessions_ended("member", 1);
        tracing::info!(event = "session_ended", session = %session.sid, userid = session.userid, reason, "session ended");
        self.record_end((Action::SignOut, Actor::Member), session, reason, source);
        self.ends_here(session);
        self.block(block_of(session)).await;
    }

    /// Ends a session here at once, and on the other nodes.
    pub(super) fn ends_here(&self, session: &Session) {
        self.cache.end(session.sid);
        self.publish(Ending::of(session.sid));
    }

    /// A member signs out in NocoBase: ends the session before the request is forwarded, and blocks it there with a token that
    /// outlives it.
    pub(crate) async fn end_before_forwarding(self: &Arc<Self>, session: &Session, source: &Source) {
        self.sign_out(session, "signed out in NocoBase", source).await;
    }

    /// Ends a NocoBase session, given the token of a user who signed in by password.
    pub(crate) async fn end_own(self: &Arc<Self>, token: &str, source: &Source) {
        if let Some(sign_in) = self.password_sign_in(token) {
            return self.end_sign_in_now(&sign_in, source).await;
        }
        let Ok(verified) = self.minter.verify_renewable(token, now().as_secs()) else { return };
        let Some(jti) = verified.jti else { return };
        tracing::info!(event = "session_ended", session = jti, reason = "signed out", "session ended");
        let record = Record {
            nocobase_user: Some(verified.user_id.get()),
            session: Some(jti.clone()),
            reason: Some("signed out".into()),
            ..Record::new(Action::SignOut, Actor::Member)
        };
        self.audit.write(source, &record);
        if let Ok(sid) = uuid::Uuid::parse_str(&jti) {
            self.cache.end(sid);
            self.publish(Ending::of(sid));
        }
        self.block(vec![Block { id: jti, owner: Owner::User(verified.user_id), signed_in_at: now() }]).await;
    }

    /// `Set-Cookie` lines of a sign-out: only the cookie that prevents an automatic sign-in remains.
    pub(crate) fn signed_out_cookies(&self, cookies: &OwnCookies<'_>) -> Vec<String> {
        let names = self.cookies.names();
        let flows = cookies.flows.iter().map(|flow| names.delete(flow.name));
        let tries = (cookies.tries > 0).then(|| names.delete(names.tries()));
        let password = self.cookies.delete_password(cookies);
        let link = cookies.has_link().then(|| names.delete(names.link()));
        [self.cookies.delete(), names.set_out()]
            .into_iter()
            .chain(password)
            .chain(link)
            .chain(flows)
            .chain(tries)
            .collect()
    }

    /// `Set-Cookie` lines that delete the cookies of NocoBase's own sign-in.
    pub(crate) fn forget_nocobase(&self) -> impl Iterator<Item = String> + '_ {
        let (app, root) = (&self.config.nocobase.app, &self.config.nocobase.public_path);
        let path = root.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or("/");
        let secure = if self.config.origin.https { "; Secure" } else { "" };
        ["nb_auth_token", "nb_authenticator", "nb_role", "nb_csrf_token"].into_iter().map(move |name| {
            format!("{name}_{app}=; Path={path}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; SameSite=Lax{secure}")
        })
    }

    /// NocoBase refused a token that the gate inserted.
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
                let ended = (Action::SessionEnded, Actor::NocoBase);
                self.record_end(ended, session, code.as_str(), &Source::default());
                self.cache.end(session.sid);
                self.publish(Ending::of(session.sid));
            }
            // A changed password invalidates older tokens while the session continues; a wrong secret shows in the check. A fresh
            // token decides.
            Some(Code::InvalidToken | Code::TokenRenewFailed | Code::ExpiredToken) => {
                seen.drop_token();
                self.ask_soon(session);
            }
            Some(_) => {}
            None => self.ask_soon(session),
        }
    }

    /// Ends all sessions of a member who has left or is no longer in the visible range.
    pub(crate) fn end_member(self: &Arc<Self>, entry: &str, userid: &str, reason: &'static str) {
        let at = now();
        self.publish(Ending::Member { entry: entry.to_owned(), userid: userid.to_owned(), at });
        let sids = self.cache.end_member(entry, userid, at);
        self.member_ended(Actor::WeCom, entry, userid, reason, sids);
    }

    /// Ends these sessions of a member, which this node knew.
    pub(super) fn member_ended(
        self: &Arc<Self>,
        by: Actor,
        entry: &str,
        userid: &str,
        reason: &'static str,
        sids: Vec<uuid::Uuid>,
    ) {
        self.metrics.sign_ins.sessions_ended(by.name(), sids.len());
        for sid in &sids {
            let record = Record {
                entry: Some(entry.to_owned()),
                userid: Some(userid.to_owned()),
                session: Some(sid.to_string()),
                reason: Some(reason.to_owned()),
                ..Record::new(Action::SessionEnded, by)
            };
            self.audit.write(&Source::default(), &record);
        }
        tracing::info!(
            event = "session_ended",
            entry,
            userid,
            reason,
            sessions = sids.len(),
            "sessions of a member ended"
        );
        // The binding identifies the user whose sessions these are. Without Redis, other nodes ask NocoBase.
        let owner = Owner::Member { entry: entry.to_owned(), userid: userid.to_owned() };
        let block =
            |sid: uuid::Uuid| Block { id: sid.to_string(), owner: owner.clone(), signed_in_at: now() };
        drop(self.block_soon(sids.into_iter().map(block).collect()));
    }

    /// At each sign-in the browser gets a new session; earlier ones end (R15), including one that was planted (R42).
    pub(super) fn replace(self: &Arc<Self>, before: Vec<Session>, now: &Session, source: &Source) {
        for before in before.iter().filter(|b| b.sid != now.sid) {
            self.end(before, "replaced by a new sign-in", source);
        }
    }
}

fn block_of(session: &Session) -> Vec<Block> {
    let owner = match UserId::new(session.user_id) {
        Some(user) => Owner::User(user),
        None => Owner::Member { entry: session.entry.clone(), userid: session.userid.clone() },
    };
    vec![Block { id: session.sid.to_string(), owner, signed_in_at: session.signed_in_at }]
}

impl Sessions {
    fn as_reporter(self: &Arc<Self>) -> Weak<dyn Reporter> {
        let weak: Weak<Sessions> = Arc::downgrade(self);
        weak
    }

    /// From now on these sessions make the pending calls to NocoBase.
    pub(crate) fn report_from_now_on(self: &Arc<Self>) {
        self.blocks.set_reporter(self.as_reporter());
    }

    /// Blocks these sessions in NocoBase: returns when that is done, or cannot be done now. It is then done in the background,
    /// even if the caller does not wait.
    pub(super) async fn block(self: &Arc<Self>, blocks: Vec<Block>) {
        let done = self.block_soon(blocks);
        // An error: it is not done yet, or the task has panicked. Both are logged.
        let _ = tokio::time::timeout(PATIENCE, done).await;
    }

    /// The gate is stopping: makes the pending calls to NocoBase, as far as possible before `until`.
    pub(crate) async fn report_the_rest(self: &Arc<Self>, until: tokio::time::Instant) {
        let sent = async {
            while self.blocks.left() > 0 {
                for block in self.blocks.due() {
                    match self.report(&block).await {
                        Ok(()) => self.blocks.done(&block.id),
                        Err(failed) if is_away(failed.failure) => break,
                        Err(_) => {}
                    }
                }
                if self.blocks.left() > 0 {
                    tokio::time::sleep(BEFORE_STOP).await;
                }
            }
        };
        let _ = tokio::time::timeout_at(until, sent).await;
        let left = self.blocks.left();
        if left > 0 {
            tracing::error!(
                event = "session_ended",
                sessions = left,
                "the gate stops before NocoBase has recorded that these sessions have ended. With session.redis another node, or \
                 this one when it starts again, makes the calls; without, their cookies open them again where a gate does not know them"
            );
        }
    }

    /// Makes the calls to NocoBase that other nodes have left undone, until dropped.
    pub(super) async fn take_over_blocks(self: &Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_FOR_BLOCKS).await;
            if self.blocks.take_over(std::time::Instant::now()) && self.blocks.begins(self.as_reporter()) {
                tokio::spawn(self.blocks.clone().work());
            }
        }
    }

    /// Remembers that NocoBase has to block these sessions, and informs the other nodes: if this node is killed before it has
    /// made the calls, another makes them.
    pub(super) fn block_later(&self, blocks: &[Block]) {
        let until = now().plus(self.limits().absolute);
        for block in blocks {
            self.blocks.add(block, until);
            self.publish(Ending::ToBlock(block.shared(until)));
        }
    }

    /// Like [`Sessions::block`], without waiting.
    pub(super) fn block_soon(self: &Arc<Self>, blocks: Vec<Block>) -> tokio::task::JoinHandle<()> {
        self.block_later(&blocks);
        let sessions = self.clone();
        tokio::spawn(async move {
            let mut away = None;
            for block in &blocks {
                match sessions.report(block).await {
                    Ok(()) => sessions.blocks.done(&block.id),
                    Err(failed) => {
                        let gone = is_away(failed.failure);
                        away = Some(failed);
                        if gone {
                            break;
                        }
                    }
                }
            }
            let Some(failed) = away else { return };
            tracing::error!(
                event = "session_ended",
                sessions = blocks.len(),
                label = failed.failure.response().label,
                call = failed.cause.call,
                reason = failed.cause.reason,
                "NocoBase has not recorded that this session has ended; the call is repeated until it has. \
                 Until then this node refuses it, and with session.redis every node"
            );
            if sessions.blocks.begins(sessions.as_reporter()) {
                tokio::spawn(sessions.blocks.clone().work());
            }
        })
    }
}

#[async_trait]
impl Reporter for Sessions {
    async fn report(&self, block: &Block) -> Result<(), FailureWithCause> {
        let user = match &block.owner {
            Owner::User(user) => *user,
            Owner::Member { entry, userid } => match self.accounts.find_binding(entry, userid).await? {
                Some(user) => user,
                None => {
                    self.publish(Ending::Blocked { id: block.id.clone() });
                    return Ok(());
                }
            },
        };
        let token = self.lasting(user, &block.id, block.signed_in_at)?;
        self.nocobase.sign_out(token.as_str()).await?;
        self.publish(Ending::Blocked { id: block.id.clone() });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
