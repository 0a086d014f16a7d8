//! The calls. Every error is logged here, once, where WeCom's answer turns into one of ours.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::address::{self, Scope};
use super::answer;
use super::error::{Call, Class, WeComError};
use super::member::{Details, Identity, Member, Standing, filled, is_userid, same_userid};
use super::redact::redact;
use super::rules::Rules;
use super::token::{Fetched, TokenCache};
use super::transport::{Reply, Transport, Trouble, Tuning};
use crate::config::{Group, WeComEntry};
use crate::error::{Failure, Level};

/// WeCom's own bound on tries when the system is busy (doc 90313, code -1).
const TRIES_WHEN_BUSY: u32 = 3;
/// Documented bound of a code, in bytes (doc 91022).
const LONGEST_CODE: usize = 512;

/// One `[[wecom]]` entry's way to WeCom; a clone shares token, caches and connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    entry: WeComEntry,
    transport: Transport,
    tuning: Tuning,
    token: TokenCache,
    rules: Rules,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("wecom::Client").field("entry", &self.inner.entry.name).finish_non_exhaustive()
    }
}

impl Client {
    /// Opens no connection yet.
    ///
    /// # Errors
    /// The TLS set-up of this machine (root certificates) or `http_proxy` cannot be used.
    pub fn new(entry: &WeComEntry) -> Result<Self, reqwest::Error> {
        Self::tuned(entry, Tuning::default())
    }

    pub(super) fn tuned(entry: &WeComEntry, tuning: Tuning) -> Result<Self, reqwest::Error> {
        let transport = Transport::new(&entry.api_base, entry.http_proxy.as_ref(), tuning)?;
        let inner = Inner {
            entry: entry.clone(),
            transport,
            tuning,
            token: TokenCache::default(),
            rules: Rules::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Address of WeCom's page inside its client. `state`: `[A-Za-z0-9]`, at most 128 bytes (doc 91022).
    pub fn authorize_url(&self, scope: Scope, state: &str, redirect_uri: &str) -> String {
        let e = &self.inner.entry;
        address::authorize(&e.authorize_url, &e.corp_id, &e.agent_id, scope, state, redirect_uri)
    }

    /// Address of WeCom's QR page for other browsers. `lang`: a language tag; WeCom has Chinese and English.
    pub fn web_login_url(&self, state: &str, redirect_uri: &str, lang: &str) -> String {
        let e = &self.inner.entry;
        address::web_login(&e.web_login_url, &e.corp_id, &e.agent_id, state, redirect_uri, lang)
    }

    /// Whom a code belongs to (`getuserinfo`). A code is spent once: sent again only when WeCom refused the
    /// access token, or when nothing of the first request was sent. This is no authorisation: see
    /// [`Client::member`].
    ///
    /// # Errors
    /// [`Failure::CodeRejected`], [`Failure::NotAMember`], [`Failure::OtherCompany`] (R21), or WeCom's side.
    pub async fn identify(&self, code: &str) -> Result<Identity, WeComError> {
        if code.is_empty() || code.len() > LONGEST_CODE {
            return Err(self.refuse(WeComError::code_rejected(), "a code that cannot be WeCom's"));
        }
        let request = Request {
            call: Call::UserInfo,
            path: &self.inner.entry.userinfo_path,
            params: &[("code", code)],
            body: None,
            hidden: &[code],
            tries_when_busy: 1,
        };
        let info: answer::UserInfo = self.call(&request).await?;
        let Some(userid) = self.one_spelling(Call::UserInfo, info.userid, info.old_userid)? else {
            return Err(self.refuse(
                WeComError::person(Call::UserInfo, Failure::NotAMember),
                "errcode 0 without a userid: not a member of this company",
            ));
        };
        if userid.contains('/') {
            return Err(self.refuse(
                WeComError::person(Call::UserInfo, Failure::OtherCompany),
                "the userid has the form corp/userid: a member of a linked company",
            ));
        }
        self.check_userid(Call::UserInfo, &userid)?;
        let ticket = info.user_ticket.filter(|t| !t.expose_secret().is_empty());
        Ok(Identity { userid, ticket })
    }

    /// What the member agreed to show (`getuserdetail`).
    ///
    /// # Errors
    /// [`Class::Detail`] when the ticket is used up; an answer about somebody else than `userid` is
    /// [`Failure::WeComBadAnswer`] (R21).
    pub async fn details(&self, userid: &str, ticket: &SecretString) -> Result<Details, WeComError> {
        let ticket = ticket.expose_secret();
        let request = Request {
            call: Call::UserDetail,
            path: &self.inner.entry.userdetail_path,
            params: &[],
            body: Some(json!({ "user_ticket": ticket })),
            hidden: &[ticket],
            tries_when_busy: TRIES_WHEN_BUSY,
        };
        let d: answer::UserDetail = self.call(&request).await?;
        self.same_person(Call::UserDetail, userid, d.userid, d.old_userid)?;
        Ok(Details {
            mobile: filled(d.mobile),
            email: filled(d.email),
            biz_mail: filled(d.biz_mail),
            avatar: filled(d.avatar),
        })
    }

    /// The member (`user/get`): its success is the proof that the person may use the app.
    ///
    /// # Errors
    /// [`Failure::NotVisible`], [`Failure::MemberDisabled`], or WeCom's side.
    pub async fn member(&self, userid: &str) -> Result<Member, WeComError> {
        self.check_userid(Call::UserGet, userid)?;
        let request = Request {
            call: Call::UserGet,
            path: "/cgi-bin/user/get",
            params: &[("userid", userid)],
            body: None,
            hidden: &[],
            tries_when_busy: TRIES_WHEN_BUSY,
        };
        let u: answer::User = self.call(&request).await?;
        let userid = self.same_person(Call::UserGet, userid, u.userid, u.old_userid)?;
        if u.status != 1 {
            return Err(self.refuse(
                WeComError::person(Call::UserGet, Failure::MemberDisabled),
                "status is not 1: disabled, not activated, or has left",
            ));
        }
        Ok(Member {
            name: filled(u.name).unwrap_or_else(|| userid.clone()),
            userid,
            departments: u.department.unwrap_or_default(),
            details: Details {
                mobile: filled(u.mobile),
                email: filled(u.email),
                biz_mail: filled(u.biz_mail),
                avatar: filled(u.avatar),
            },
        })
    }

    /// Do `allow_users`, `allow_departments`, `allow_tags` let this member in? Without any: yes.
    ///
    /// # Errors
    /// [`Failure::NotAllowed`]; [`Failure::RuleUnevaluable`] when nothing allows and something could not be
    /// evaluated (R22); or WeCom's side.
    pub async fn admit(&self, member: &Member) -> Result<(), WeComError> {
        self.inner.rules.admit(self, &self.inner.entry, member).await
    }

    /// Is the member in this department (or below it), or bears this tag (or is in a department that does)?
    ///
    /// # Errors
    /// As [`Client::admit`].
    pub async fn is_in(&self, member: &Member, group: Group) -> Result<bool, WeComError> {
        self.inner.rules.is_in(self, member, group).await
    }

    /// Do all departments and tags that the configuration names exist, as far as the app can see (R22)?
    ///
    /// # Errors
    /// [`Failure::RuleUnevaluable`] with the id in the log, or WeCom's side.
    pub async fn check_rules(&self) -> Result<(), WeComError> {
        self.inner.rules.check(self, &self.inner.entry).await
    }

    /// For the periodic check of a session in use.
    pub async fn standing(&self, userid: &str) -> Standing {
        let result = match self.member(userid).await {
            Ok(member) => self.admit(&member).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => Standing::Good,
            Err(error) => Standing::from(&error),
        }
    }

    /// Forgets departments and tags: WeCom said that they changed.
    pub fn drop_caches(&self) {
        self.inner.rules.forget();
    }

    /// Asks for all departments that the app sees.
    pub(super) async fn fetch_departments(&self) -> Result<answer::Departments, WeComError> {
        self.call(&Request::get(Call::Departments, "/cgi-bin/department/simplelist", &[])).await
    }

    /// Asks for one tag.
    pub(super) async fn fetch_tag(&self, id: u64) -> Result<answer::Tag, WeComError> {
        self.call(&Request::get(Call::Tag, "/cgi-bin/tag/get", &[("tagid", &id.to_string())])).await
    }

    /// Logs a refusal that is the gate's own decision, and hands it back.
    pub(super) fn refuse(&self, error: WeComError, why: &str) -> WeComError {
        log(&self.inner.entry.name, &error, why);
        error
    }

    /// One call with the access token: a refused token is replaced once, a busy system asked again.
    async fn call<T: DeserializeOwned>(&self, request: &Request<'_>) -> Result<T, WeComError> {
        let inner = &self.inner;
        let mut token = inner.token.get(|| fetch_token(Arc::clone(inner))).await?;
        let mut replaced = false;
        let mut busy = 0;
        loop {
            let value = token.value.expose_secret();
            let mut params = vec![("access_token", value)];
            params.extend_from_slice(request.params);
            let mut hidden = vec![value, inner.entry.secret.expose_secret()];
            hidden.extend_from_slice(request.hidden);
            let raw = inner.send(request.call, request.path, &params, request.body.as_ref(), &hidden).await;
            let refused = raw.as_ref().is_err_and(|(e, _)| e.class() == Class::Token);
            if replaced {
                inner.token.judge(&token, !refused).await;
            }
            let (error, text) = match raw.and_then(|body| read::<T>(request.call, &body)) {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            match error.class() {
                Class::Token if !replaced => {
                    tracing::info!(
                        entry = inner.entry.name,
                        call = request.call.name(),
                        errcode = error.errcode(),
                        "WeCom refuses the access token; fetching another"
                    );
                    token = inner.token.replace(&token, || fetch_token(Arc::clone(inner))).await?;
                    replaced = true;
                }
                Class::Transient if busy + 1 < request.tries_when_busy => {
                    busy += 1;
                    tokio::time::sleep(pause_when_busy(inner.tuning.backoff, busy)).await;
                }
                _ => return Err(self.refuse(error, &text)),
            }
        }
    }

    fn check_userid(&self, call: Call, userid: &str) -> Result<(), WeComError> {
        if is_userid(userid) {
            return Ok(());
        }
        Err(self.refuse(WeComError::bad_answer(call), "not of the documented form of a userid"))
    }

    /// `userid` and `UserId` are one field; both, and different, is nobody.
    fn one_spelling(
        &self,
        call: Call,
        new: Option<String>,
        old: Option<String>,
    ) -> Result<Option<String>, WeComError> {
        match (filled(new), filled(old)) {
            (Some(a), Some(b)) if !same_userid(&a, &b) => {
                Err(self.refuse(WeComError::bad_answer(call), "two different userids in one answer"))
            }
            (a, b) => Ok(a.or(b)),
        }
    }

    fn same_person(
        &self,
        call: Call,
        asked: &str,
        new: Option<String>,
        old: Option<String>,
    ) -> Result<String, WeComError> {
        match self.one_spelling(call, new, old)? {
            Some(userid) if same_userid(&userid, asked) => Ok(userid),
            _ => Err(self.refuse(WeComError::bad_answer(call), "the answer is about somebody else")),
        }
    }
}

impl From<&WeComError> for Standing {
    fn from(error: &WeComError) -> Self {
        match (error.class(), error.failure()) {
            (Class::User, failure) | (_, failure @ Failure::RuleUnevaluable) => Standing::Gone(failure),
            _ => Standing::Unknown,
        }
    }
}

/// One call, without the access token.
struct Request<'a> {
    call: Call,
    path: &'a str,
    params: &'a [(&'a str, &'a str)],
    body: Option<serde_json::Value>,
    /// What must never be logged.
    hidden: &'a [&'a str],
    tries_when_busy: u32,
}

impl<'a> Request<'a> {
    fn get(call: Call, path: &'a str, params: &'a [(&'a str, &'a str)]) -> Self {
        Self { call, path, params, body: None, hidden: &[], tries_when_busy: TRIES_WHEN_BUSY }
    }
}

/// An error and what to write into the log with it (redacted).
type Failed = (WeComError, String);

impl Inner {
    /// One exchange, or two when the first did not even connect; gives the body of a success.
    async fn send(
        &self,
        call: Call,
        path: &str,
        params: &[(&str, &str)],
        body: Option<&serde_json::Value>,
        hidden: &[&str],
    ) -> Result<Vec<u8>, Failed> {
        let mut reply = self.transport.exchange(path, params, body).await;
        if let Err(Trouble::Unreachable { nothing_sent: true, .. }) = reply {
            reply = self.transport.exchange(path, params, body).await;
        }
        match reply {
            Ok(reply) => check_errcode(call, reply, hidden),
            Err(Trouble::Unreachable { cause, .. }) => {
                Err((WeComError::unreachable(call), redact(&cause, hidden)))
            }
            Err(Trouble::RateLimited) => Err((WeComError::rate_limited(call), "HTTP 429".into())),
            Err(Trouble::BadAnswer { cause }) => Err((WeComError::bad_answer(call), redact(&cause, hidden))),
        }
    }
}

/// `gettoken`: asked again when busy, else never; [`TokenCache`] decides about the next time.
async fn fetch_token(inner: Arc<Inner>) -> Result<Fetched, WeComError> {
    let secret = inner.entry.secret.expose_secret();
    let params = [("corpid", inner.entry.corp_id.as_str()), ("corpsecret", secret)];
    let mut tries = 1;
    let (error, text) = loop {
        let raw = inner.send(Call::GetToken, "/cgi-bin/gettoken", &params, None, &[secret]).await;
        match raw.and_then(|body| read::<answer::Token>(Call::GetToken, &body)) {
            Ok(token) if token.access_token.expose_secret().is_empty() => {
                break (WeComError::bad_answer(Call::GetToken), "an empty access token".to_owned());
            }
            Ok(token) => {
                let life = Duration::from_secs(u64::try_from(token.expires_in).unwrap_or(0).min(86_400));
                tracing::debug!(entry = inner.entry.name, seconds = life.as_secs(), "new access token");
                return Ok(Fetched { value: token.access_token, life });
            }
            Err((error, _)) if error.class() == Class::Transient && tries < TRIES_WHEN_BUSY => {
                tokio::time::sleep(pause_when_busy(inner.tuning.backoff, tries)).await;
                tries += 1;
            }
            Err(failed) => break failed,
        }
    };
    log(&inner.entry.name, &error, &text);
    Err(error)
}

/// Success is `errcode` absent or 0 in a 2xx answer; `errmsg` is never compared (doc 90664).
fn check_errcode(call: Call, reply: Reply, hidden: &[&str]) -> Result<Vec<u8>, Failed> {
    let status = reply.status.as_u16();
    let unreadable = |what: &str| (WeComError::bad_answer(call), format!("HTTP {status}: {what}"));
    match reply.body.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'{') => {}
        None => return Err(unreadable("an empty answer")),
        Some(b'<') => return Err(unreadable("HTML instead of JSON")),
        // Serde would read an array as a struct's fields in order.
        Some(_) => return Err(unreadable("not a JSON object")),
    }
    let envelope: answer::Envelope = serde_json::from_slice(&reply.body)
        .map_err(|_| unreadable("broken JSON, or errcode is no number"))?;
    if envelope.errcode != 0 {
        let errmsg = envelope.errmsg.unwrap_or_default();
        return Err((WeComError::from_errcode(call, envelope.errcode, &errmsg), redact(&errmsg, hidden)));
    }
    if !reply.status.is_success() {
        return Err(unreadable("not a success"));
    }
    Ok(reply.body)
}

/// The documented fields of a success. What serde says may quote a value (a token, R27): only a missing field's
/// name is passed on.
fn read<T: DeserializeOwned>(call: Call, body: &[u8]) -> Result<T, Failed> {
    serde_json::from_slice(body).map_err(|error| {
        let said = error.to_string();
        let what =
            if said.starts_with("missing field") { said } else { "a field of another type".to_owned() };
        (WeComError::bad_answer(call), format!("not the documented fields: {what}"))
    })
}

/// `backoff` times the try, and as much again at random, so that many do not come back at once.
fn pause_when_busy(backoff: Duration, tries: u32) -> Duration {
    let base = backoff.saturating_mul(tries);
    let mut byte = [0u8];
    let random = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut byte);
    if random.is_err() { base } else { base + base.mul_f32(f32::from(byte[0]) / 256.0) }
}

/// One line per error, as loud as its failure says. `text` is redacted already.
fn log(entry: &str, error: &WeComError, text: &str) {
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                entry,
                call = error.call().name(),
                label = error.failure().answer().label,
                class = error.class().name(),
                errcode = error.errcode(),
                errmsg = text,
                remedy = error.remedy(),
                "WeCom call failed"
            )
        };
    }
    match error.failure().answer().level {
        Level::Debug => line!(debug),
        Level::Info => line!(info),
        Level::Warn => line!(warn),
        Level::Error => line!(error),
    }
}

#[cfg(test)]
mod tests;
