//! What every request with a session needs, apart from signing in: opening and registering a session, finding it again by its
//! cookie, and rechecking it. When a node sees it for the first time: [`super::first_sight`]. NocoBase's tokens for it:
//! [`super::session_tokens`]. How it ends: [`super::session_end`].

use std::collections::HashMap;
use std::sync::Arc;

use secrecy::ExposeSecret;

use super::blocks::Blocks;
use super::clock::now;
use super::event_arrivals::EventArrivals;
use super::known_admins::KnownAdmins;
use super::recheck_queue::MemberRechecks;
use super::token_policy::TokenPolicy;
use crate::audit::{Action, Actor, Audit, Source};
use crate::config::{Config, WeComEntry};
use crate::decide::browser::Browser;
use crate::error::{Failure, FailureWithCause};
use crate::metrics::Metrics;
use crate::nocobase::{
    About, Accounts, CheckOutcome, Class, Concurrency, Minter, NocoBase, Turn, UserId, Who,
};
use crate::session::{
    self, CachedSession, Keyring, OwnCookies, Recheck, Session, SessionCache, SessionCookies, SessionLimits,
    SessionStatus, TokenCookies, UnixMillis,
};
use crate::shared::{Ending, Shared};
use crate::wecom::{self, Member};

/// The session in a request's cookies.
pub(crate) enum FoundSession {
    /// No session, or a cookie that cannot be opened (R7).
    Nothing,
    /// A session that has ended.
    Ended,
    /// A session that this node sees for the first time, and NocoBase cannot confirm.
    Unknown(Failure),
    /// An active session.
    Active {
        /// From the cookie.
        session: Session,
        /// What this node knows of it.
        seen: Arc<CachedSession>,
    },
}

/// The sessions of one gate.
pub(crate) struct Sessions {
    pub(super) config: Arc<Config>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) audit: Audit,
    /// Reads and writes session cookies.
    pub(crate) cookies: SessionCookies,
    /// Mints and verifies NocoBase's tokens.
    pub(crate) minter: Arc<Minter>,
    pub(super) cache: SessionCache,
    pub(super) nocobase: Arc<NocoBase>,
    /// The request limits of NocoBase's nodes.
    pub(crate) concurrency: Concurrency,
    pub(super) accounts: Accounts,
    /// The client of each WeCom entry, by the entry's name.
    pub(super) wecom: HashMap<String, wecom::Client>,
    /// What the nodes share, if `session.redis` is set.
    pub(super) shared: Option<Arc<Shared>>,
    pub(super) token_cookies: Arc<TokenCookies>,
    pub(super) token_policy: Arc<TokenPolicy>,
    /// Ended sessions that NocoBase has not recorded yet.
    pub(super) blocks: Arc<Blocks>,
    /// The queues for asking WeCom about signed-in members.
    pub(super) member_rechecks: Arc<MemberRechecks>,
    pub(super) known_admins: KnownAdmins,
    /// Whether WeCom's events arrive.
    pub(super) event_arrivals: Arc<EventArrivals>,
    /// Number of the configuration, see [`super::open_streams`].
    pub(super) generation: u64,
}

impl Sessions {
    /// Replaces `before` after a change of the configuration: no one is signed out, NocoBase is not asked again, and WeCom's
    /// access tokens stay in use if the app is the same.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub(crate) fn after(
        before: Option<&Sessions>,
        config: Arc<Config>,
        metrics: Arc<Metrics>,
        keyring: &Arc<Keyring>,
    ) -> Result<Sessions, String> {
        Self::made(before, None, config, metrics, keyring)
    }

    /// The sessions of another application at the same gate (`config`: from [`Config::of_application`]). They share `main`'s
    /// request limits of NocoBase's nodes and WeCom's access tokens, but no sessions.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn beside(
        main: &Sessions,
        before: Option<&Sessions>,
        config: Arc<Config>,
        keyring: &Arc<Keyring>,
    ) -> Result<Sessions, String> {
        Self::made(before, Some(main), config, main.metrics.clone(), keyring)
    }

    fn made(
        before: Option<&Sessions>,
        main: Option<&Sessions>,
        config: Arc<Config>,
        metrics: Arc<Metrics>,
        keyring: &Arc<Keyring>,
    ) -> Result<Sessions, String> {
        let wecom = wecom_clients([main, before], &config, &metrics)?;
        let audit = {
            let (before, path) = (main.or(before).map(|sessions| &sessions.audit), &config.log.audit_file);
            let audit =
                Audit::after(before, path.as_deref(), &config.nocobase.app, &metrics.audit_lines_lost);
            audit.map_err(|e| e.to_string())?
        };
        let shared =
            Shared::after(before.and_then(|b| b.shared.as_deref()), &config, keyring, &metrics.redis)?;
        // An access token belongs to the WeCom app, whichever application it is used for.
        let tokens = main.map_or(shared.as_ref(), |main| main.shared.as_ref());
        if let Some(tokens) = tokens {
            wecom.values().for_each(|client| client.share(tokens));
        }
        let minter = Arc::new(Minter::new(config.nocobase.jwt_secret.expose_secret()));
        let nocobase = NocoBase::new(&config.upstream, &config.nocobase, minter.clone())
            .map_err(|e| format!("nocobase: {e}"))?;
        let before_it = main.or(before).map(|before| &before.concurrency);
        let concurrency = Concurrency::after(before_it, &config.upstream, &metrics.nodes);
        let nocobase = Arc::new(nocobase.counted(&metrics.nocobase).limited(&concurrency));
        Ok(Sessions {
            cookies: SessionCookies::of(&config, keyring.clone()),
            minter,
            cache: before.map_or_else(|| SessionCache::new(config.session.absolute), |b| b.cache.clone()),
            accounts: Accounts::new(nocobase.clone(), &config.nocobase),
            nocobase,
            concurrency,
            wecom,
            shared,
            token_policy: before.map(|b| b.token_policy.clone()).unwrap_or_default(),
            blocks: before.map(|b| b.blocks.clone()).unwrap_or_default(),
            token_cookies: TokenCookies::new(
                &format!("nb_auth_token_{}", config.nocobase.app),
                &format!("nb_authenticator_{}", config.nocobase.app),
            ),
            member_rechecks: before.map(|b| b.member_rechecks.clone()).unwrap_or_default(),
            known_admins: KnownAdmins::new(),
            event_arrivals: before.map(|b| b.event_arrivals.clone()).unwrap_or_default(),
            generation: before.map_or(0, |before| before.generation.wrapping_add(1)),
            audit,
            config,
            metrics,
        })
    }

    /// These sessions have replaced `before`: tokens are minted again if they would differ now.
    pub(crate) fn replaces(&self, before: &Sessions) {
        let made_of = |s: &Sessions| {
            let nocobase = &s.config.nocobase;
            (nocobase.jwt_secret.expose_secret().to_vec(), nocobase.app.clone())
        };
        if made_of(self) != made_of(before) {
            self.cache.forget_tokens();
        }
        // Keys and limits may have changed.
        self.cache.look_again();
    }

    /// How many sessions this process remembers, roughly.
    pub(crate) fn count(&self) -> u64 {
        self.cache.count()
    }

    /// How long sessions last.
    pub(crate) fn limits(&self) -> &SessionLimits {
        self.cookies.limits()
    }

    /// Name of the cookie in which NocoBase keeps its token.
    pub(crate) fn token_cookie(&self) -> &str {
        self.token_cookies.token_name()
    }

    /// The session of these cookies. Without I/O, except for a session that this node has not seen before: NocoBase records which
    /// sessions have ended, and is asked once (R15, R16).
    pub(crate) async fn find(self: &Arc<Self>, cookies: &OwnCookies<'_>) -> FoundSession {
        if cookies.is_crowded() {
            return FoundSession::Nothing;
        }
        let mut sessions = self.cookies.read_all(cookies, now());
        let Some(session) = sessions.next() else {
            return if cookies.has_session() { FoundSession::Ended } else { FoundSession::Nothing };
        };
        let others: Vec<Session> = sessions.filter(|other| other.sid != session.sid).collect();
        if others.is_empty() {
            self.status(session).await
        } else {
            Box::pin(self.find_among(session, others)).await
        }
    }

    /// The only live one of several sessions. If two are live, neither counts: it is impossible to tell the browser's own session
    /// from one that a neighbouring site has planted (R42).
    async fn find_among(self: &Arc<Self>, first: Session, others: Vec<Session>) -> FoundSession {
        let mut live: Option<(Session, Arc<CachedSession>)> = None;
        for session in std::iter::once(first).chain(others) {
            match self.status(session).await {
                FoundSession::Active { session, seen } => match &live {
                    Some((other, _)) if other.sid != session.sid => {
                        tracing::info!(event = "session_conflict", session = %other.sid, other = %session.sid,
                            "cookies of two live sessions in one request: neither counts");
                        return FoundSession::Nothing;
                    }
                    Some(_) => {}
                    None => live = Some((session, seen)),
                },
                FoundSession::Ended | FoundSession::Nothing => {}
                unknown @ FoundSession::Unknown(_) => return unknown,
            }
        }
        live.map_or(FoundSession::Ended, |(session, seen)| FoundSession::Active { session, seen })
    }

    /// Is this session live?
    pub(super) async fn status(self: &Arc<Self>, session: Session) -> FoundSession {
        let seen = match self.cache.get(session.sid) {
            Some(seen) => seen,
            None => match Box::pin(self.first_lookup(&session)).await {
                Ok(seen) => seen,
                Err(failure) => return FoundSession::Unknown(failure),
            },
        };
        seen.touch(session.last_seen);
        if seen.is_ended() { FoundSession::Ended } else { FoundSession::Active { session, seen } }
    }

    /// What this NocoBase node reports about itself.
    pub(crate) async fn about(&self, node: &str) -> About {
        self.nocobase.about(node).await
    }

    /// The live sessions of these cookies, according to this node alone.
    pub(super) fn live(&self, cookies: &OwnCookies<'_>) -> Vec<Session> {
        let is_live = |session: &Session| self.cache.get(session.sid).is_some_and(|seen| !seen.is_ended());
        self.cookies.read_all(cookies, now()).filter(is_live).collect()
    }

    /// The same for a request, which has no log line of its own for the cause.
    pub(super) async fn ask_and_log(&self, session: &Session) -> Result<SessionStatus, Failure> {
        self.ask(session, Class::New).await.map_err(FailureWithCause::logged)
    }

    /// Asks NocoBase about a session.
    pub(super) async fn ask(
        &self,
        session: &Session,
        class: Class,
    ) -> Result<SessionStatus, FailureWithCause> {
        if self.blocks.is_pending(&session.sid.to_string()) {
            return Ok(SessionStatus::Ended);
        }
        let token = self.mint(session)?;
        let turn = Turn { class, who: Who::User(session.user_id) };
        match self.nocobase.check(token.as_str(), turn).await? {
            CheckOutcome::Valid { user_id } if user_id.get() == session.user_id => Ok(SessionStatus::Active),
            CheckOutcome::Valid { .. } => Err(Failure::NocoBaseBadAnswer.into()),
            CheckOutcome::Ended(code) => {
                self.metrics.sign_ins.sessions_ended("nocobase", 1);
                tracing::info!(event = "session_ended", session = %session.sid, userid = session.userid,
                    reason = code.as_str(), "NocoBase has ended this session");
                let ended = (Action::SessionEnded, Actor::NocoBase);
                self.record_end(ended, session, code.as_str(), &Source::default());
                self.publish(Ending::of(session.sid));
                Ok(SessionStatus::Ended)
            }
        }
    }

    /// A new session for this user, registered with NocoBase and accepted by it.
    pub(super) async fn open(
        self: &Arc<Self>,
        entry: &WeComEntry,
        member: &Member,
        user: UserId,
    ) -> Result<Box<Session>, FailureWithCause> {
        let who = session::Member {
            entry: entry.name.clone(),
            corp_id: entry.corp_id.clone(),
            userid: member.userid.clone(),
            name: member.name.clone(),
            user_id: user.get(),
        };
        let session = Box::new(Session::begin(who, now())?);
        let sid = session.sid.to_string();
        self.nocobase.register_session(&sid, user, &entry.name, session.signed_in_at.0).await?;
        let began = now();
        // Reveals a wrong secret here, not only as a page that does not work.
        match self.ask(&session, Class::In).await? {
            SessionStatus::Active => {
                self.cache.insert_checked(&session, began).member_is_in(member.main_department());
                self.share_confirmed(&session, began);
            }
            SessionStatus::Ended => return Err(Failure::SessionEnded.into()),
        }
        self.learn_token_policy();
        Ok(session)
    }

    /// A new `Set-Cookie`, if one is due.
    pub(crate) fn renew(&self, session: &Session) -> Option<String> {
        let now = now();
        let cookie = self.cookies.renew(session, now).ok().flatten()?;
        if let Some(seen) = self.cache.get(session.sid) {
            seen.touch(now);
        }
        Some(cookie)
    }

    /// Is this the id of a session that has ended, as far as this node knows? Its tokens may still be in use (R35).
    pub(crate) fn is_over(&self, jti: &str) -> bool {
        let known = uuid::Uuid::parse_str(jti).ok().and_then(|sid| self.cache.get(sid));
        known.is_some_and(|seen| seen.is_ended())
    }

    /// Rechecks a session in use in the background: with NocoBase whether it has been ended, with WeCom whether the member may
    /// still use the app.
    pub(crate) fn recheck_if_due(self: &Arc<Self>, session: &Session, seen: &Arc<CachedSession>) {
        self.recheck_if_due_at(now(), session, seen);
    }

    /// A request of this session: records it for the console, and rechecks the session if that is due.
    pub(crate) fn used(
        self: &Arc<Self>,
        session: &Session,
        seen: &Arc<CachedSession>,
        user_agent: Option<&str>,
    ) {
        let now = now();
        self.recheck_if_due_at(now, session, seen);
        seen.used(now, || Browser::of(user_agent).number());
    }

    fn recheck_if_due_at(self: &Arc<Self>, now: UnixMillis, session: &Session, seen: &Arc<CachedSession>) {
        if let Some(order) = seen.due_recheck(now, self.config.session.recheck) {
            let (sessions, session) = (self.clone(), session.clone());
            tokio::spawn(async move { sessions.recheck(&session, order).await });
        }
        self.recheck_member_if_due(now, session, seen);
    }

    /// Asks NocoBase, unless another node has. A failure on its side does not end the session: if dropped, the recheck is soon due
    /// again.
    async fn recheck(&self, session: &Session, order: Recheck) {
        let mut lease = None;
        let recent = order.counts_from(self.config.session.recheck);
        match self.confirmed_after(session, recent, &mut lease).await {
            Ok(Some(at)) => {
                if order.passed(at)
                    && let Some(lease) = lease
                {
                    lease.confirmed(at);
                }
            }
            Ok(None) => order.ended(),
            Err(_) => {}
        }
    }
}

/// The client of each entry, with its calls counted. A client of the same app passes on its access token.
fn wecom_clients(
    known: [Option<&Sessions>; 2],
    config: &Config,
    metrics: &Metrics,
) -> Result<HashMap<String, wecom::Client>, String> {
    let client = |entry: &WeComEntry| {
        let client = match known.into_iter().flatten().find_map(|known| known.wecom.get(&entry.name)) {
            Some(old) => wecom::Client::after(old, entry),
            None => wecom::Client::new(entry),
        };
        let client = client.map_err(|e| format!("wecom {}: {e}", entry.name))?;
        client.count_into(&metrics.wecom);
        Ok((entry.name.clone(), client))
    };
    config.wecom.iter().map(client).collect()
}

#[cfg(test)]
mod tests;
