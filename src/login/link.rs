//! A member without a matching NocoBase user links an account, once, by its password (`nocobase.link_by_password`).
//!
//! WeCom has just identified the member; the sealed cookie that belongs to the form contains the identity. NocoBase checks whose account it is.
//! Then the binding is made as at any first sign-in, by the same rules, and only the binding counts from then on. The session that
//! NocoBase opened for the password ends at once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use tracing::Instrument as _;

use super::account::person;
use super::blocks::{Block, Owner};
use super::clock::now;
use super::finish::{Callback, CallbackResponse, Retry};
use super::finished::Finished;
use super::link_offer::LinkOffer;
use super::records::of_session;
use super::sign_in::refused;
use super::sign_ins::SignIns;
use super::throttle::{Charge, LINK_ATTEMPTS, LINK_SPAN, LinkCharge, counted};
use crate::audit::{Action, Actor, Record, Source};
use crate::config::role;
use crate::error::{Cause, Failure, FailureWithCause};
use crate::nocobase::{OwnSession, PasswordAnswer, PasswordLogin};
use crate::session::{self, PendingLink, Session, SignInRequest, UnixMillis};
use crate::shared::{CallbackId, LinkTurn};

/// In the audit record of a binding.
const REASON: &str = "linked by password";

/// The form as sent. All of it may be forged.
pub(crate) struct LinkForm {
    /// The form's id.
    pub(crate) id: String,
    /// User name or e-mail address in NocoBase.
    pub(crate) account: String,
    /// As entered.
    pub(crate) password: SecretString,
    /// The language of the page (BCP 47).
    pub(crate) lang: String,
}

impl fmt::Debug for LinkForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkForm(..)")
    }
}

/// The other inputs of an attempt.
struct Attempt {
    request: SignInRequest,
    userid: String,
    name: String,
    account: String,
    password: SecretString,
    lang: String,
    source: Source,
    client: std::net::IpAddr,
}

/// Why an attempt did not succeed.
enum NotLinked {
    /// NocoBase does not accept account and password; its message.
    Rejected(String),
    Failed(FailureWithCause),
}

impl From<FailureWithCause> for NotLinked {
    fn from(failed: FailureWithCause) -> Self {
        NotLinked::Failed(failed)
    }
}

impl From<Failure> for NotLinked {
    fn from(failure: Failure) -> Self {
        NotLinked::Failed(failure.into())
    }
}

impl SignIns {
    /// The member without a matching user, if such members may prove which user is theirs.
    pub(super) fn unmatched(
        &self,
        request: &SignInRequest,
        (userid, name): (&str, &str),
        failure: Failure,
    ) -> Option<PendingLink> {
        let nobody = matches!(failure, Failure::NoMatchingUser | Failure::NothingToMatch);
        if !self.config.nocobase.link_by_password || !nobody || userid.is_empty() {
            return None;
        }
        PendingLink::begin(request, userid, name, now()).ok()
    }

    /// The response with a new form, whose cookie is added.
    pub(super) fn offer(&self, link: &PendingLink, offer: LinkOffer, cookies: &mut Vec<String>) -> Retry {
        let cookie = self.links.write(link).ok();
        let offer = cookie.is_some().then_some(offer);
        cookies.extend(cookie);
        Retry { link: offer, ..Retry::from(&link.request) }
    }

    /// Handles a form. Returns the response and its cookies.
    pub(crate) async fn link(
        self: &Arc<Self>,
        callback: Callback<'_>,
        form: LinkForm,
    ) -> (CallbackResponse, Vec<String>) {
        let client = callback.client;
        let failed = |failure, retry| (CallbackResponse::failed(failure, Some(retry)), Vec::new());
        let charge = match self.throttle.callback(client, Instant::now()) {
            Ok(charge) => charge,
            Err(failure) => return failed(failure, self.retry_from_the_start()),
        };
        // First of all: was this form issued to this browser, and is it the latest one (R19)?
        let checked = match self.links.check(callback.cookies, &form.id, now()) {
            Ok(checked) => checked,
            Err(failure) => {
                charge.keep();
                return failed(failure, self.retry_from_the_start());
            }
        };
        let pending = checked.pending;
        let retry = Retry::from(&pending.request);
        let slot = match self.throttle.slot(client, Instant::now()) {
            Ok(slot) => slot,
            Err(failure) => return failed(failure, retry),
        };
        // A form is valid for one attempt: a repetition gets the same outcome, different content with its id is refused (R18).
        let state = format!("link {}", form.id);
        let entered = SecretString::from(format!("{}\n{}", form.account, form.password.expose_secret()));
        let once = session::Callback { code: entered.expose_secret(), state: &state, cookie: checked.cookie };
        let id = CallbackId::of(&once);
        let attempt = Attempt {
            request: pending.request.clone(),
            userid: pending.userid.clone(),
            name: pending.name.clone(),
            account: form.account.clone(),
            password: form.password,
            lang: form.lang,
            source: callback.source.clone(),
            client,
        };
        let (sign_ins, logged) = (self.clone(), Arc::new(AtomicBool::new(false)));
        let written = logged.clone();
        // Slot and charges are held until the work ends, even if the browser no longer waits for it.
        let work = async move {
            let _slot = slot;
            let carry_out = async {
                let member = format!("{}/{}", attempt.request.entry, attempt.userid);
                let charged = sign_ins.throttle.link(client, &member, &attempt.account, Instant::now());
                let charged = match charged {
                    Ok(charged) => charged,
                    Err(failure) => return Finished::Failed(failure),
                };
                sign_ins.attempt_on_all_nodes(&attempt, &member, charged, &written).await
            };
            let finished = sign_ins.process_once(id, carry_out).await;
            if is_deserved(&finished) {
                charge.keep();
            }
            finished
        }
        .instrument(Self::span(&callback));
        let finished = self.callbacks.once(once, now(), work).await;
        let finished = finished.unwrap_or_else(|refused| {
            // A form that was used before: NocoBase was not called. Without capacity the next one is refused anyway.
            let _ = self.throttle.callback(client, Instant::now()).map(Charge::keep);
            Finished::Failed(refused.into())
        });
        let logged = logged.load(Ordering::Acquire);
        let mut cookies = Vec::new();
        let response = match finished {
            Finished::SignedIn(session) => {
                let before = self.sessions.live(callback.cookies);
                match self.hand_out(&callback, &session, before) {
                    Ok(handed_out) => {
                        cookies = handed_out;
                        CallbackResponse::Redirect(self.landing(&pending.request))
                    }
                    Err(failure) => CallbackResponse::failed(failure, Some(retry)),
                }
            }
            Finished::PasswordRejected(words) => {
                let retry = match pending.again() {
                    Ok(next) => {
                        let offer = LinkOffer { account: form.account, words, ..LinkOffer::new(&next) };
                        self.offer(&next, offer, &mut cookies)
                    }
                    Err(_) => retry,
                };
                CallbackResponse::Failed { failure: Failure::PasswordRejected, retry: Some(retry), logged }
            }
            Finished::Failed(failure) | Finished::CodeLost(failure) | Finished::Unmatched(failure, _) => {
                cookies.extend(self.links.delete(callback.cookies));
                CallbackResponse::Failed { failure, retry: Some(retry), logged }
            }
            Finished::NeedsConsent => CallbackResponse::failed(Failure::Internal, Some(retry)),
        };
        (response, cookies)
    }

    /// One attempt, if the other nodes have not had too many of this member or for this account, and none is at work.
    async fn attempt_on_all_nodes(
        &self,
        attempt: &Attempt,
        member: &str,
        charged: LinkCharge,
        logged: &AtomicBool,
    ) -> Finished {
        let shared = self.sessions.shared();
        let turn = match shared {
            Some(shared) => {
                let most = (LINK_ATTEMPTS, LINK_SPAN);
                match shared.begin_link(&counted(member, &attempt.account), most).await {
                    LinkTurn::Ours(turn) => Some((shared, turn)),
                    LinkTurn::TooMany => {
                        return Finished::Failed(self.throttle.refuse_link(attempt.client, Instant::now()));
                    }
                }
            }
            None => None,
        };
        let finished = self.attempt(attempt, charged).await;
        logged.store(true, Ordering::Release);
        if let Some((shared, turn)) = turn {
            shared.end_link(turn, is_deserved(&finished)).await;
        }
        finished
    }

    /// One attempt: counted, with one log line about its outcome.
    async fn attempt(&self, attempt: &Attempt, charged: LinkCharge) -> Finished {
        let began = Instant::now();
        let result = self.attempt_steps(attempt).await;
        let took = began.elapsed();
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let Attempt { request, source, .. } = attempt;
        let (metrics, entry, via) = (&self.metrics.sign_ins, request.entry.as_str(), request.via.name());
        let finished = match result {
            Ok(s) => {
                metrics.signed_in(entry, took);
                tracing::info!(event = "sign_in", outcome = "signed_in", entry, via, userid = s.userid, name = s.name,
                    nocobase_user = s.user_id, session = %s.sid, ms, reason = REASON, "signed in");
                let record = of_session(Action::SignIn, Actor::Member, &s);
                self.sessions.audit().write(source, &Record { via: Some(via), ..record });
                Finished::SignedIn(s)
            }
            Err(not_linked) => {
                let (failed, words) = match not_linked {
                    NotLinked::Rejected(words) => (Failure::PasswordRejected.into(), Some(words)),
                    NotLinked::Failed(failed) => (failed, None),
                };
                self.refused_link(attempt, &failed, (took, ms));
                match words {
                    Some(words) => Finished::PasswordRejected(words),
                    None => Finished::Failed(failed.failure),
                }
            }
        };
        if is_deserved(&finished) {
            charged.keep();
        }
        finished
    }

    fn refused_link(&self, attempt: &Attempt, failed: &FailureWithCause, (took, ms): (Duration, u64)) {
        let Attempt { request, userid, name, source, .. } = attempt;
        self.metrics.sign_ins.refused(&request.entry, failed.failure, took);
        refused(self, failed, request, (userid, name, Some(ms)), source);
    }

    async fn attempt_steps(&self, attempt: &Attempt) -> Result<Box<Session>, NotLinked> {
        let Attempt { request, userid, lang, source, .. } = attempt;
        let (entry, client) = self.entry(&request.entry).ok_or(Failure::NotFound)?;
        let (accounts, nocobase) = (&self.sessions.accounts, self.sessions.nocobase());
        // WeCom identified the member some minutes ago: may they still use the app?
        let member = client.member(userid).await.map_err(FailureWithCause::from)?;
        client.admit(&member).await.map_err(FailureWithCause::from)?;
        if accounts.find_binding(&entry.name, &member.userid).await?.is_some() {
            return Err(Failure::FlowMissing.into());
        }
        let login = PasswordLogin {
            account: &attempt.account,
            password: &attempt.password,
            client: attempt.client,
            lang,
        };
        let own = match nocobase.sign_in_by_password(&login).await? {
            PasswordAnswer::Accepted(own) => own,
            PasswordAnswer::Rejected(words) => return Err(NotLinked::Rejected(words)),
        };
        let roles = nocobase.own_roles(&own, lang).await;
        let user = own.user;
        self.end_own_session(own).await;
        let roles = match roles? {
            PasswordAnswer::Accepted(roles) => roles,
            PasswordAnswer::Rejected(words) => return Err(NotLinked::Rejected(words)),
        };
        let is_administrator = roles.iter().any(|name| role::is_root(name) || role::is_admin(name));
        if is_administrator || nocobase.service_user().is_none_or(|own| own == user) {
            let reason =
                "an administrator's account, or the gate's own, is not linked by its password".to_owned();
            let cause = Cause { reason, users: Some(user.to_string()), ..Cause::default() };
            return Err(FailureWithCause::new(Failure::LinkDenied, cause).into());
        }
        let person = person(entry, &member, &member.details);
        accounts.bind(user, &person).await?;
        self.record_binding(&person, user, (Actor::Member, Some(REASON)), source);
        self.roles(entry, client, &member, (user, source)).await;
        self.update_profile(entry, &member, user).await;
        Ok(self.sessions.open(entry, &member, user).await?)
    }

    /// Ends the session that NocoBase has opened for the password; its token was given to no one.
    async fn end_own_session(&self, own: OwnSession) {
        let signed_in_at = own.sign_in_ms.map_or_else(now, UnixMillis);
        let owner = Owner::User(own.user);
        self.sessions.block(vec![Block { id: own.jti, owner, signed_in_at }]).await;
    }
}

/// Could the attempt be a guess? Other attempts are not charged.
fn is_deserved(finished: &Finished) -> bool {
    matches!(
        finished,
        Finished::PasswordRejected(_)
            | Finished::Failed(Failure::LinkDenied | Failure::AlreadyBound | Failure::FlowMissing)
    )
}
